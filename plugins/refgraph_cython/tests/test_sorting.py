"""Kernels of order: in every dtype, with ties, NaNs and zeros of both signs, of few elements and of many."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.backend import DTYPES, Graph, Plan, TensorType
from refgraph_cython.lower.program import program

_LENGTHS = (0, 1, 2, 15, 40, 399, 5000)


def _both(formula, *values):
    """What the program and the interpreter compute."""
    inputs = [TensorType(str(v.dtype), (None,) * v.ndim).variable() for v in values]
    found = formula(*inputs)
    graph = Graph(inputs, found if isinstance(found, list) else [found])
    return program(graph)(*values), Plan(graph)(*values)


def _assert_same(formula, *values):
    for got, want in zip(*_both(formula, *values), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def _numbers(n, dtype, distinct=30):
    """Numbers with ties; floats with NaNs, infinities and zeros of both signs among them."""
    rng = np.random.default_rng(n)
    x = rng.integers(0, distinct, n)
    if not dtype.startswith(("float", "complex")):
        out = x.astype(dtype)
        if dtype != "bool":
            out[x == 0], out[x == 1] = np.iinfo(dtype).min, np.iinfo(dtype).max
        return out
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.5, 1e-3, 1e3])
    real = np.where(x < 16, special[x % 8], x - 20.0)
    if dtype.startswith("float"):
        return real.astype(dtype)
    out = np.empty(n, dtype)
    out.real, out.imag = real, rng.permutation(real)
    return out


@pytest.mark.parametrize("n", _LENGTHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sorted_elements_and_their_places_are_those_of_numpy(dtype, n):
    x = _numbers(n, dtype)
    _assert_same(lambda x: [T.sort(x), T.argsort(x)], x)


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_many_different_elements_are_sorted(dtype):
    x = (np.random.default_rng(0).standard_normal(20_000) * 1e6).astype(dtype)
    _assert_same(lambda x: [T.sort(x), T.argsort(x)], x)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_of_any_layout_is_sorted(axis):
    x = np.random.default_rng(1).integers(0, 50, (6, 40, 30)).astype("int16").transpose(2, 0, 1)[::-1, :, ::2]
    _assert_same(lambda x: [T.sort(x, axis), T.argsort(x, axis)], x)


@pytest.mark.parametrize("k", [1, -1, 7, -7, 300, -300, 2000, -2000])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint64", "float16", "float32", "float64", "complex64"])
def test_the_greatest_are_those_of_numpy_and_in_its_order(dtype, k):
    x = _numbers(2000, dtype)
    _assert_same(lambda x: [T.argtopk(x, k), T.argtopk(x, k, sorted=False, idx_dtype="int16")], x)


def test_the_number_of_the_greatest_may_change_from_call_to_call():
    x, k = TensorType("float64", (None,)).variable(), TensorType("int64", ()).variable()
    made = program(Graph([x, k], [T.topk(x, k)]))
    values = np.random.default_rng(2).permutation(9.0 * np.arange(9))
    for n in (1, 5, -3, 9, 2):
        want = np.sort(values)[::-1][:n] if n > 0 else np.sort(values)[:-n]
        np.testing.assert_array_equal(made(values, np.array(n))[0], want)


@pytest.mark.parametrize("n", _LENGTHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_distinct_values_are_those_of_numpy(dtype, n):
    _assert_same(lambda x: list(T.unique(x, True, True, True)), _numbers(n, dtype))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_distinct_slices_are_those_of_numpy(dtype, axis):
    x = np.random.default_rng(3).integers(0, 2, (40, 3) if axis == 0 else (3, 40)).astype(dtype)
    if dtype.startswith(("float", "complex")):
        x[1, 1] = np.nan
        x[x == 0] *= -1
    _assert_same(lambda x: list(T.unique(x, True, True, True, axis=axis)), x)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
@pytest.mark.parametrize("other", ["bool", "int8", "uint64", "float16", "float32", "float64", "complex128"])
def test_places_in_a_sorted_vector_are_those_of_numpy(dtype, other, side):
    x, v = np.sort(_numbers(200, dtype)), _numbers(60, other).reshape(12, 5)[:, ::-1]
    _assert_same(lambda x, v: T.searchsorted(x, v, side), x, v)


def test_a_vector_may_come_with_its_order():
    x = np.random.default_rng(4).standard_normal(100)
    order, v = np.argsort(x).astype("int8"), np.linspace(-2, 2, 50)
    _assert_same(lambda x, v, order: T.searchsorted(x, v, sorter=order), x, v, order)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint8", "uint64"])
@pytest.mark.parametrize("weight", [None, "bool", "int32", "float32", "float64"])
def test_integers_are_counted_and_their_weights_summed(dtype, weight):
    x = np.random.default_rng(5).integers(0, 2 if dtype == "bool" else 20, 300).astype(dtype)[::-3]
    if weight is None:
        _assert_same(lambda x: T.bincount(x, minlength=4), x)
    else:
        w = np.random.default_rng(6).integers(0, 2, len(x)).astype(weight)
        _assert_same(lambda x, w: T.bincount(x, w, 25), x, w)
