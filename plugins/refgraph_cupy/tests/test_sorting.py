"""Sorts of rows that threads, blocks and passes share, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import Unique
from refgraph_cupy.device import Array, current
from refgraph_cupy.kernels.sorting import argsorted, sorted_rows

ROWS = [(2, 3, 5), (7, 30), (2, 577), (1, 2304), (2, 2305), (1, 9300)]
"""Some for each way: of a thread, a few, a block, and of two and more tiles."""


def _values(dtype: str, shape: Any) -> np.ndarray[Any, Any]:
    """Numbers with ties, zeros of both signs, and NaN."""
    rng = np.random.default_rng(3)
    x = rng.integers(-20, 20, shape) * (-1.0 if dtype[0] in "fc" else 1)
    if dtype[0] in "fc":
        x[rng.random(shape) < 0.1] = np.nan
    if dtype[0] == "c":
        x = x + 1j * np.roll(x, 1)
    return x.astype(dtype)


def _on(x: Any) -> Array:
    return current().upload(x)


def _off(x: Array) -> np.ndarray[Any, Any]:
    return current().download(x)


@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_rows_are_sorted_and_equal_elements_stay_in_their_order(shape: Any, dtype: str) -> None:
    x = _values(dtype, shape)
    np.testing.assert_array_equal(_off(argsorted(current(), _on(x))), np.argsort(x, -1, kind="stable"))
    np.testing.assert_array_equal(_off(sorted_rows(current(), _on(x))), np.sort(x, -1))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float64", "complex128"])
def test_every_dtype_has_numpys_order(dtype: str) -> None:
    x = _values(dtype, (3, 200))
    np.testing.assert_array_equal(_off(argsorted(current(), _on(x))), np.argsort(x, -1, kind="stable"))


@pytest.mark.parametrize("k", [5, -5, 2000])
def test_the_greatest_of_many_are_found(k: int) -> None:
    x = _values("float32", (2, 5000))
    v = T.fmatrix()
    f = rg.function([v], [T.argtopk(v, k), T.argtopk(v, k, sorted=False)], backend="cupy", strict=True)
    g = rg.function([v], [T.argtopk(v, k), T.argtopk(v, k, sorted=False)], backend="numpy")
    for got, want in zip(f(x), g(x), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_distinct_values_and_slices_of_many_are_numpys(axis: int | None) -> None:
    x = _values("float32", (60, 2)) // 8
    v = T.fmatrix()
    op = Unique(True, True, axis)
    f, g = [rg.function([v], op.make_node(v).outputs, backend=name) for name in ("cupy", "numpy")]
    for got, want in zip(f(x), g(x), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [40, 5000])
def test_weights_are_added_up(n: int) -> None:
    """Those of small bins as NumPy does, to the bit."""
    rng = np.random.default_rng(4)
    x, w = rng.integers(0, 30, n), rng.normal(size=n)
    i, a = T.lvector(), T.dvector()
    f = rg.function([i, a], [T.bincount(i, a), T.bincount(i)], backend="cupy", strict=True)
    sums, counts = f(x, w)
    np.testing.assert_allclose(sums, np.bincount(x, w), rtol=0 if n == 40 else 1e-12)
    np.testing.assert_array_equal(counts, np.bincount(x))
    with pytest.raises(ValueError, match="negative"):
        f(-x, w)


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_in_sorted_arrays_are_numpys(side: Any) -> None:
    x, v = _values("float32", 50), np.append(np.arange(-25, 25), 3)
    a, b, o = T.fvector(), T.lmatrix(), T.lvector()
    f = rg.function([a, b, o], T.searchsorted(a, b, side, o), backend="cupy", strict=True)
    order = np.argsort(x)
    np.testing.assert_array_equal(f(x, v[None, ::-1], order), np.searchsorted(x, v[None, ::-1], side, order))
    with pytest.raises(ValueError, match="Sorter"):
        f(x, v[None], np.full(50, 50))


def test_a_call_that_sorts_is_recorded() -> None:
    v = T.fvector()
    f = rg.function([v], [T.sort(v), T.argsort(v)], backend="cupy", strict=True)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=3000).astype("float32")
        values, places = f(x)
        np.testing.assert_array_equal(values, np.sort(x))
        np.testing.assert_array_equal(places, np.argsort(x))
    assert "3000]: " in str(f.report())
    assert "one by one" not in str(f.report())
