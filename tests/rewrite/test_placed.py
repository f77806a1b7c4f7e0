"""Products with zeros that have something in one place."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import Graph
from refgraph.interp.modes import get_mode
from refgraph.ops.scan import Scan
from refgraph.rewrite.rule import NodeRule

from .forms import assert_form
from .rooms import assert_values_stay, rules_in

RULES = rules_in("placed")
x, y = T.dmatrices("x", "y")
v = T.dvector("v")
a, b = T.dscalars("a", "b")
i, j = T.lscalars("i", "j")
EXP, ZEROS = T.exp(x), T.zeros_like(x)
setting = T.set_subtensor


def same(before):
    """For what is to stay as it is."""
    return before, before


TABLE = {
    "product with a place among zeros": (EXP * setting(ZEROS[i], v), setting(ZEROS[i], v * EXP[i])),
    "product of an element and a number": (setting(ZEROS[i, j], b) * a, setting(ZEROS[i, j], b * a)),
    "product with slices among zeros": same(EXP * setting(ZEROS[1:], y)),
    "product with a place among zeros of another shape": same(y * setting(ZEROS[i], v)),
    "dot with an element on the right": (T.dot(x, setting(T.alloc(0.0, x.shape[1])[i], a)), x[:, i] * a),
    "dot with an element on the left": (T.dot(setting(T.alloc(0.0, x.shape[0])[i], a), x), x[i] * a),
    "dot of vectors with an element": (T.dot(v, setting(T.zeros_like(v)[i], a)), v[i] * a),
    "dot with an element of another length": same(T.dot(x, setting(T.zeros_like(v)[i], a))),
    "dot with a row among zeros": same(T.dot(x, setting(T.alloc(0.0, x.shape[1], 3)[i], a))),
}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, "stable", rules=RULES)


def test_values_stay_and_every_rule_is_in_the_table():
    applied = set()
    for id, (before, _) in TABLE.items():
        applied |= assert_values_stay(before, RULES, id)
    assert {r.name for r in RULES if isinstance(r, NodeRule)} - applied == set()


# in loops


def rewritten(inputs, output):
    return get_mode("FAST_RUN").rewrite(Graph(inputs, [output]))


def jacobian(n, m):
    """As in the tutorial on derivatives."""
    w = T.tensor("float64", shape=(None, None), name="w")
    out = T.tanh(T.dot(v, w))
    found, _ = rg.scan(lambda i, out, v: rg.grad(out[i], v), T.arange(out.shape[0]), non_sequences=[out, v])
    return w, found


def test_a_jacobian_by_a_loop_is_an_expression_without_one():
    w, found = jacobian(3, 4)
    graph = rewritten([v, w], found)
    assert not any(isinstance(node.op, Scan) for node in graph.nodes)
    assert not any(node.op.name.startswith(("set_", "inc_")) for node in graph.nodes)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (4, 1), (5, 5)])
def test_it_has_the_values_of_the_loop(shape):
    w, found = jacobian(*shape)
    rng = np.random.default_rng(0)
    given = rng.normal(size=shape[0]), rng.normal(size=shape)
    fast, plain = (rg.function([v, w], found, mode=mode, backend="numpy") for mode in ("FAST_RUN", "FAST_COMPILE"))
    np.testing.assert_allclose(fast(*given), plain(*given), rtol=1e-12)
    np.testing.assert_allclose(fast(*given), given[1].T * (1 - np.tanh(given[0] @ given[1]) ** 2)[:, None], rtol=1e-12)


def test_zeros_that_are_read_in_other_ways_are_still_made_once():
    """What does not depend on a step is outside, where no rule takes it away."""
    out, _ = rg.scan(lambda i, x: T.inc_subtensor(T.zeros_like(x)[i], 1.0) + x, T.arange(3), non_sequences=[v])
    f = rg.function([v], out, backend="numpy")
    np.testing.assert_array_equal(f(np.ones(3)), np.eye(3) + 1)
