"""Programs with loops that are drawn at random, and their derivatives of all kinds: rewritten, they mean the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.rewrite.engine import rewrite

from ..ops.test_scan_gradient import derivatives, programs  # noqa: TID252  (they are drawn there)
from .loops import every_rule, scan_rules


def assert_same(program, forward, rules):
    if program.n == 0:
        program.reads = ["all" if read == "last" else read for read in program.reads]
    found = derivatives(program, program.looped(), np.random.default_rng(0), forward)
    outputs = [x for _, x in found]
    graph = rewrite(Graph(list(program.given), outputs), rules)
    want = evaluate(outputs, program.given)
    got = evaluate(graph.outputs, dict(zip(graph.inputs, program.given.values(), strict=True)))
    rtol = 1e-7 if program.dtype == "float64" else 5e-3
    for (name, x), y, a, b in zip(found, graph.outputs, want, got, strict=True):
        assert (x.type.dtype, x.type.ndim) == (y.type.dtype, y.type.ndim), name
        np.testing.assert_allclose(b, a, rtol, rtol * np.abs(a).max(initial=1.0), err_msg=name)


@pytest.mark.parametrize("rules", [scan_rules, every_rule], ids=["alone", "with all others"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(program=programs(0, 5), forward=st.booleans())
def test_values_and_derivatives_stay(rules, program, forward):
    assert_same(program, forward, rules())


def test_the_rules_for_loops_have_something_to_do():
    """So the programs are such as the rules are for."""
    applied = set()

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(program=programs(2, 4))
    def collect(program):
        found = [x for _, x in derivatives(program, program.looped(), np.random.default_rng(0), False)]
        rewrite(Graph(list(program.given), found), scan_rules(), lambda rule, *_: applied.add(rule.name))

    collect()
    assert applied >= {"loop_invariants", "work_on_sequences", "work_on_records", "only_what_is_read", "unread_outputs"}
