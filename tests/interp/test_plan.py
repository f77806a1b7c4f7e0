"""Plan answers as evaluate does, frees what it no longer needs, and says what failed where."""

import gc
import time
import weakref

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import ShapeError
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.interp.plan import INTERPRETER, Kernels, Plan

BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: T.maximum(a, b), lambda a, b: T.switch(a > b, a, b)]
UNARY = [T.tanh, lambda a: -a, lambda a: a + 1, lambda a: a[::-1]]


class Kept(Kernels):
    """Nothing is overwritten."""

    in_place = False


@st.composite
def graphs(draw):
    """A random graph over two vectors; any of its variables, in any order and number, are outputs."""
    made = [T.dvector("x"), T.dvector("y")]
    inputs = list(made)
    for _ in range(draw(st.integers(0, 12))):
        a, b = (made[draw(st.integers(0, len(made) - 1))] for _ in range(2))
        made.append(draw(st.sampled_from(UNARY))(a) if draw(st.booleans()) else draw(st.sampled_from(BINARY))(a, b))
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=4))
    return inputs, outputs


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_agrees_with_evaluate(case):
    inputs, outputs = case
    arrays = [np.array([0.5, -1.0, 2.0]), np.array([-0.25, 3.0, 1.0])]
    want = evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
    for kernels in (INTERPRETER, Kept()):
        got = Plan(Graph(inputs, outputs), kernels)(*arrays)
        for w, g in zip(want, got, strict=True):
            np.testing.assert_array_equal(g, w)


def test_several_outputs_of_one_node_and_constants():
    class DivMod(rg.Op):
        def infer(self, x, y):
            return x.type, x.type

        def impl(self, x, y):
            return np.divmod(x, y)

    x = T.dvector("x")
    q, r = DivMod()(x, T.constant(np.array([2.0, 2.0])))
    got = Plan(Graph([x], [r, q, r + q, T.constant(3.0)]))(np.array([5.0, 8.0]))
    for g, w in zip(got, [[1, 0], [2, 4], [3, 4], 3.0], strict=True):
        np.testing.assert_array_equal(g, w)


def test_an_unused_output_of_a_node_is_dropped():
    class Two(rg.Op):
        def infer(self, x):
            return x.type, x.type

        def impl(self, x):
            return x + 1, x + 2

    x = T.dvector("x")
    _, second = Two()(x)
    np.testing.assert_array_equal(Plan(Graph([x], [second * 2]))(np.zeros(2))[0], [4, 4])


def test_a_wrong_number_of_outputs_is_an_error_that_names_the_op():
    class Short(rg.Op):
        name = "short"

        def infer(self, x):
            return x.type, x.type

        def impl(self, x):
            return (x,)

    x = T.dvector("x")
    with pytest.raises(ValueError, match="2 outputs answered 1") as caught:
        Plan(Graph([x], Short()(x)))(np.zeros(2))
    assert "short" in "\n".join(caught.value.__notes__)


def test_values_are_freed_after_their_last_reader():
    class Tracked(np.ndarray):
        """An array that can be referred to weakly."""

    alive = []

    class Make(rg.Op):
        def infer(self, x):
            return (x.type,)

        def impl(self, x):
            gc.collect()
            counts.append(sum(ref() is not None for ref in alive))
            fresh = (np.asarray(x) + 1).view(Tracked)
            alive.append(weakref.ref(fresh))
            return fresh

    counts = []
    x = T.dvector("x")
    z = x
    for _ in range(6):
        z = Make()(z)
    Plan(Graph([x], [z]))(np.zeros(3))
    assert counts == [0, 1, 1, 1, 1, 1]

    alive.clear()
    counts.clear()
    both = Make()(x) + Make()(x)  # the sum takes the place of one of its inputs; the other must go too
    Plan(Graph([x], [Make()(both)]))(np.zeros(3))
    assert counts == [0, 1, 0]


def test_a_failing_node_is_explained_with_the_users_line_and_shapes():
    x, y = T.dvector("x"), T.dvector("y")
    z = x * y  # the line that fails
    with pytest.raises(ShapeError) as caught:
        Plan(Graph([x, y], [T.exp(z)]))(np.zeros(2), np.zeros(3))
    text = str(caught.value)
    assert "the line that fails" in text
    assert "(2,)" in text
    assert "(3,)" in text
    assert caught.value.node is z.owner
    assert caught.value.shapes == ((2,), (3,))


def test_an_error_of_an_op_keeps_its_type_and_its_traceback():
    @rg.as_op([T.dscalar] * 3, [T.dscalar])
    def fails(a, b, c):
        return {}["no such key"]

    x = T.dscalar("x")
    with pytest.raises(KeyError) as caught:
        Plan(Graph([x], [fails(x, x, x)]))(np.array(1.0))
    assert "fails" in "\n".join(caught.value.__notes__)
    assert caught.traceback[-1].name == "fails"


def test_numpy_does_not_warn():
    x = T.dvector("x")
    with np.errstate(all="raise"):
        (got,) = Plan(Graph([x], [T.log(x) / x]))(np.zeros(1))
        assert np.isneginf(got[0])
        assert np.geterr()["divide"] == "raise"


def test_deep_chains_take_linear_time_and_no_recursion():
    def seconds(n):
        x = T.dscalar("x")
        z = x
        for _ in range(n):
            z = z + 1.0
        start = time.perf_counter()
        (got,) = Plan(Graph([x], [z]))(np.array(0.0))
        assert got == n
        return time.perf_counter() - start

    small, large = min(seconds(5_000) for _ in range(3)), seconds(100_000)
    assert large < 20 * small * 6  # linear, with room for noise: quadratic would be 20 times as much again


def test_what_is_given_for_an_output_stands():
    x = T.dvector("x")
    a, b, c = T.split(x, [1, 1, 1], 3)
    arrays = [np.array([1.0, 2.0, 3.0]), np.array([10.0]), np.array([30.0])]
    for inputs, outputs in (([x, a, c], [a + b, c, a, b]), ([x, a, c], [b]), ([x, a, c], [b + b, a])):
        want = evaluate(outputs, dict(zip(inputs, arrays, strict=True)))
        for _ in range(2):
            got = Plan(Graph(inputs, outputs))(*arrays)
            for g, w in zip(got, want, strict=True):
                np.testing.assert_array_equal(g, w)
    np.testing.assert_array_equal(evaluate([a + b], dict(zip([x, a], arrays, strict=False))), [[12.0]])
