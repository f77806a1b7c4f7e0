"""What training steps of small nets are made of: softmax with its logarithm, and the thunks that a step takes."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import Graph
from refgraph.testing.compare import assert_same
from refgraph_cython import backend
from refgraph_cython.lower.program import Builder

SPECIAL = (np.inf, -np.inf, np.nan, -0.0, 1000.0, -1000.0)


def kernels(inputs, outputs):
    """The names of the thunks' kernels, of those that run in each call."""
    build = Builder(Graph(inputs, outputs))
    build.build()
    return [t.kernel for t in build._thunks if not t.early]


def both(x, axis):
    return [T.nnet.softmax(x, axis), T.nnet.logsoftmax(x, axis)]


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_and_its_logarithm_are_computed_together(axis):
    x = T.matrix("x")

    assert kernels([x], both(x, axis)) == ["softmax"]
    assert kernels([x], [T.nnet.softmax(x, axis), T.nnet.logsoftmax(x, 1 - axis)]) == ["softmax", "softmax"]
    assert kernels([x], [T.nnet.softmax(x, axis), T.nnet.logsoftmax(-x, axis)]).count("softmax") == 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_and_its_logarithm_together_are_those_of_the_interpreter(axis, dtype):
    x = T.matrix("x", dtype=dtype)
    f = rg.function([x], both(x, axis), backend=backend, strict=True)
    g = rg.function([x], both(x, axis), backend="numpy")
    for rows in (0, 1, 2, 15, 16, 17, 60):
        for columns in (1, 2, 7, 8, 9, 10, 15, 16, 17, 40):
            a = np.random.default_rng(rows).normal(0, 3, (rows, columns)).astype(dtype)
            wide = np.concatenate([a, a], axis=1)
            special = a.copy()
            special.ravel()[:: max(1, columns - 1)] = np.resize(SPECIAL, special.ravel()[:: max(1, columns - 1)].size)
            for given in (a, np.asfortranarray(a), a[::-1, ::-1], wide[:, :columns], wide[:, ::2], special):
                for got, want in zip(f(given), g(given), strict=True):
                    assert_same(got, want, tolerance=4)


def classifier(dtype):
    """A step of softmax regression, and its parameters."""
    x, y = T.matrix("x", dtype=dtype), T.ivector("y")
    w, b = rg.shared(np.zeros((20, 10), dtype)), rg.shared(np.zeros(10, dtype))
    p = T.nnet.softmax(T.dot(x, w) + b)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    updates = [(v, v - 0.1 * g) for v, g in zip((w, b), T.grad(cost, [w, b]), strict=True)]
    return x, y, cost, updates, [w, b]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_a_classifier_are_those_of_the_interpreter(dtype):
    with rg.config.change_flags(floatX=dtype):
        ours, theirs = classifier(dtype), classifier(dtype)
        f = rg.function([*ours[:2]], ours[2], updates=ours[3], backend=backend, strict=True)
        g = rg.function([*theirs[:2]], theirs[2], updates=theirs[3], backend="numpy")
    for batch in (1, 2, 10, 16, 17, 25, 60, 3):
        rng = np.random.default_rng(batch)
        x, y = rng.normal(size=(batch, 20)).astype(dtype), rng.integers(-10, 10, batch).astype("int32")
        assert_same(f(x, y), g(x, y), tolerance=10)
        for a, b in zip(ours[4], theirs[4], strict=True):
            assert_same(a.get_value(), b.get_value(), tolerance=10)


def test_a_class_that_there_is_not_is_the_users_error_and_changes_nothing():
    x, y, cost, updates, parameters = classifier("float64")
    f = rg.function([x, y], cost, updates=updates, backend=backend, strict=True)
    a = np.random.default_rng(0).normal(size=(3, 20))
    f(a, np.array([0, 1, 2], "int32"))
    before = [v.get_value() for v in parameters]
    for wrong in ([0, 10, 2], [0, 1, 2, 3]):
        with pytest.raises(IndexError):
            f(a, np.array(wrong, "int32"))

    for v, value in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(v.get_value(), value)


def test_what_follows_from_the_length_of_a_vector_is_computed_once():
    y = T.lvector("y")

    assert kernels([y], [T.arange(y.shape[0]) * y, T.alloc(0.0, y.shape[0])[::2] + y[::2]]).count("arange") == 0
