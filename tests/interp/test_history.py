"""rewrite_history: which rule changed what, in order."""

import pickle

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError
from refgraph.printing import rewrite_history

x = T.dvector("x")
APART = rg.Mode().excluding("fuse")


def test_steps_come_in_order_with_rule_phase_expressions_and_line():
    f = rg.function([x], T.log(1 + (x + x)), mode=APART)  # this line
    one, two = rewrite_history(f)
    assert (one.rule, one.phase, one.before, one.after) == ("like_terms", "canonical", "(x + x)", "(2.0 * x)")
    assert (two.rule, two.phase, two.after) == ("stable_log1p", "stable", "log1p((2.0 * x))")
    with open(__file__) as file:
        (number,) = [n for n, line in enumerate(file, 1) if line.rstrip().endswith("# this line")]
    assert one.line == f"{__file__}:{number}"


def test_it_prints_as_a_numbered_list():
    text = str(rewrite_history(rg.function([x], T.log(1 + (x + x)), mode=APART)))
    first, second = text.splitlines()
    assert first.startswith("   0 canonical  like_terms: (x + x) -> (2.0 * x)")
    assert second.startswith("   1 stable     stable_log1p: ")


def test_nothing_is_said_of_what_stays():
    f = rg.function([x], T.exp(x))
    assert list(rewrite_history(f)) == []
    assert str(rewrite_history(f)) == "nothing was rewritten"


def test_it_is_the_history_of_the_functions_own_mode():
    f = rg.function([x], T.log(1 + (x + x)), mode=APART.excluding("like_terms"))
    assert [step.rule for step in rewrite_history(f)] == ["stable_log1p"]


def test_graphs_within_loops_are_told_of_too():
    h, _ = rg.scan(lambda h: T.log(1 + h), outputs_info=x, n_steps=3)
    assert "stable_log1p" in {step.rule for step in rewrite_history(rg.function([x], h))}


def test_a_function_from_a_pickle_says_that_it_cannot_tell():
    f = pickle.loads(pickle.dumps(rg.function([x], T.log(1 + T.exp(x)), name="f")))
    np.testing.assert_allclose(f([0.0]), np.log(2))
    with pytest.raises(GraphTypeError, match=r"rewrite_history of f: .* pickle"):
        rewrite_history(f)


def test_a_copy_has_the_history_of_what_was_written():
    w = rg.shared(np.ones(3), "w")
    f = rg.function([], T.log(1 + T.exp(w)))
    copy = f.copy(swap={w: rg.shared(np.zeros(3), "v")})
    assert [s.rule for s in rewrite_history(copy)] == [s.rule for s in rewrite_history(f)]
