"""Graphs made simpler for calls in which nothing is broadcast."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.interp.modes import get_mode
from refgraph.ops.families import SumTo
from refgraph.ops.fused import Fused

FAST_RUN = get_mode("FAST_RUN")


def rewritten(inputs, outputs):
    return FAST_RUN.rewrite(Graph(inputs, outputs))


def gradients(cost, *wrt):
    return rewritten(wrt, rg.grad(cost, list(wrt)))


def ops(graph):
    return [node.op for node in graph.nodes]


def test_sums_to_what_may_be_the_own_shape_are_left_out_and_all_is_one_group():
    x, y = T.vector("x"), T.vector("y")
    graph = gradients((T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y))).sum(), x, y)
    assert any(isinstance(op, SumTo) for op in ops(graph))

    found = FAST_RUN.assumed(graph)

    assert [type(op) for op in ops(found.graph)] == [Fused]
    assert found.equal == [[(0, 0), (1, 0)]]
    assert found.graph.inputs == graph.inputs


def test_it_answers_what_the_graph_answers_where_lengths_are_equal():
    x, y, z = T.matrix("x"), T.matrix("y"), T.matrix("z")
    graph = gradients((T.sin(x * y) * z + x / (2 + T.cos(z))).sum(), x, y, z)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(3, 4)).astype(v.type.dtype) for v in graph.inputs]

    found = FAST_RUN.assumed(graph)

    assert found.equal == [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1), (2, 1)]]
    for got, want in zip(
        evaluate(found.graph.outputs, dict(zip(found.graph.inputs, given, strict=True))),
        evaluate(graph.outputs, dict(zip(graph.inputs, given, strict=True))),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_what_a_group_reduces_is_seen():
    x, y = T.vector("x"), T.vector("y")
    cost = T.sqr(x - y).sum()

    found = FAST_RUN.assumed(rewritten([x, y], [cost, *rg.grad(cost, [x, y])]))

    assert found.equal == [[(0, 0), (1, 0)]]
    assert not any(isinstance(op, SumTo) for op in ops(found.graph))


@pytest.mark.parametrize("kind", ["nothing-broadcast", "known-lengths", "no-sum", "no-rules"])
def test_there_is_none_where_it_would_be_no_simpler(kind):
    x, row = T.matrix("x"), T.row("row")
    v, w = T.vector("v"), T.vector("w")
    a, b = T.tensor("float64", shape=(3, 4), name="a"), T.tensor("float64", shape=(1, 4), name="b")
    mode = get_mode("FAST_COMPILE") if kind == "no-rules" else FAST_RUN
    graph = {
        "no-rules": lambda: mode.rewrite(Graph([v, w], rg.grad((v * w).sum(), [v, w]))),
        "nothing-broadcast": lambda: gradients(T.exp(x).sum(), x),
        "known-lengths": lambda: gradients((a * b).sum(), a, b),
        "no-sum": lambda: rewritten([x, row], [x * row]),
    }[kind]()

    assert mode.assumed(graph) is None


def test_only_the_rules_of_the_mode_are_used():
    x, y = T.vector("x"), T.vector("y")
    mode = FAST_RUN.excluding("fuse")
    graph = mode.rewrite(Graph([x, y], rg.grad((T.exp(x) * y).sum(), [x, y])))

    found = mode.assumed(graph)

    assert found is not None
    assert not any(isinstance(op, (Fused, SumTo)) for op in ops(found.graph))
