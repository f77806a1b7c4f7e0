"""Kernels that work along axes: softmax, running sums and products, recurrences, products of others."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.backend import DTYPES, CumProd, CumSum, Graph, LinearRecurrence, Plan, ProductOfOthers, TensorType
from refgraph.testing.compare import assert_same
from refgraph_cython.lower.program import program

_SHAPES = [((), None), ((1,), 0), ((7,), 0), ((33,), -1), ((1000,), 0), ((5, 31), 1), ((40, 10), 1), ((40, 64), 1)]
_SHAPES += [((10, 40), 0), ((3, 10, 17), 1), ((3, 4, 5, 6), (0, 2)), ((3, 4, 5, 6), (1, 2, 3)), ((6, 100, 3), None)]
_FLOATS = ("float16", "float32", "float64")


def _both(formula, *values):
    """What the program and the interpreter compute."""
    inputs = [TensorType(str(v.dtype), (None,) * v.ndim).variable() for v in values]
    graph = Graph(inputs, [formula(*inputs)])
    return program(graph)(*values)[0], Plan(graph)(*values)[0]


def _assert_same(formula, *values):
    got, want = _both(formula, *values)
    assert_same(got, want, tolerance=2)


def _layouts(x):
    """x in C order, in the other order, backwards, and with gaps."""
    yield x
    if x.ndim:
        yield np.asfortranarray(x)
        yield x[::-1]
        yield np.repeat(x, 2, axis=-1)[..., ::2]


@pytest.mark.parametrize(("shape", "axis"), _SHAPES)
@pytest.mark.parametrize("dtype", _FLOATS)
def test_softmax_is_that_of_the_interpreter_in_any_layout(dtype, shape, axis):
    x = np.asarray(3 * np.random.default_rng(0).standard_normal(shape), dtype)
    for given in _layouts(x):
        _assert_same(lambda x: T.nnet.softmax(x, axis), given)
        _assert_same(lambda x: T.nnet.logsoftmax(x, axis), given)


@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_rows_with_infinities_and_nans_is_that_of_the_interpreter(axis, n):
    x = np.zeros((7, n))
    x[1], x[2, 1], x[3, 0], x[4, -1], x[5] = -np.inf, np.inf, np.nan, -np.inf, np.nan
    x[6, :2] = 800, -800
    for given in (x if axis == 1 else x.T, (x if axis == 1 else x.T).astype("float32")):
        _assert_same(lambda x: T.nnet.softmax(x, axis), given)
        _assert_same(lambda x: T.nnet.logsoftmax(x, axis), given)


def test_softmax_is_the_same_on_any_number_of_threads():
    x = np.random.default_rng(1).standard_normal((999, 301)).astype("float32")
    _assert_same(lambda x: T.nnet.softmax(x), x)
    _assert_same(lambda x: T.nnet.softmax(x, 0), x)


@pytest.mark.parametrize("shape", [(1,), (9,), (6, 50), (50, 6), (3, 7, 9), (2, 0), (0, 2)])
@pytest.mark.parametrize("op", [CumSum, CumProd])
@pytest.mark.parametrize("dtype", DTYPES)
def test_running_sums_and_products_are_those_of_the_interpreter(dtype, op, shape):
    x = np.random.default_rng(2).uniform(-1.5, 1.5, shape)
    x = (x + 0.5j * x if dtype.startswith("complex") else x * (50 if dtype.startswith("int") else 1)).astype(dtype)
    for given in _layouts(x):
        for axis in range(x.ndim):
            _assert_same(op(axis), given)
            _assert_same(op(axis, True), given)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64", *_FLOATS, "complex64", "complex128"])
def test_recurrences_are_those_of_the_interpreter(dtype, reverse, axis):
    rng = np.random.default_rng(3)
    a, b = [(rng.uniform(-1, 1, (20, 13)) * (3 if "int" in dtype else 1)).astype(dtype) for _ in range(2)]
    for given in _layouts(a):
        _assert_same(LinearRecurrence(axis, reverse), given, b)
        _assert_same(LinearRecurrence(axis, reverse), b, given)


@pytest.mark.parametrize("axis", [(), (0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("dtype", [*_FLOATS, "complex64", "complex128"])
@pytest.mark.parametrize("parts", [0, 1, 3])
def test_products_of_others_are_those_of_the_interpreter(parts, dtype, axis):
    rng = np.random.default_rng(4)
    values = [rng.uniform(0.5, 1.5, (3, 4, 2)).astype(dtype) for _ in range(parts + 1)]
    _assert_same(ProductOfOthers(axis), *values)
    values[0][1] = 0
    _assert_same(ProductOfOthers(axis), *[v.transpose(2, 1, 0)[::-1] for v in values])
