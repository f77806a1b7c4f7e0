"""Picking and adding where there is much of it: the ways that kernels take, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T


@pytest.mark.parametrize("n", [7, 5000])
def test_what_is_added_repeatedly_is_added_in_order(n: int) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.normal(size=(n, 3)).astype("float32")
    at = rng.integers(-20, 20, n)
    a, b, i = T.matrix(dtype="float32"), T.matrix(dtype="float32"), T.lvector()
    f = rg.function([a, b, i], [T.inc_subtensor(a[i], b), T.set_subtensor(a[i], b)], backend="cupy", strict=True)
    added, last = f(x, y, at)
    want, assigned = x.copy(), x.copy()
    np.add.at(want, at, y)
    assigned[at] = y
    np.testing.assert_array_equal(added, want)
    np.testing.assert_array_equal(last, assigned)


@pytest.mark.parametrize("width", [3, 64])
def test_rows_of_any_width_are_picked(width: int) -> None:
    x = np.random.default_rng(2).normal(size=(9, width)).astype("float32")
    a, i = T.matrix(dtype="float32"), T.lmatrix()
    f = rg.function([a, i], a[i], backend="cupy", strict=True)
    at = np.array([[0, -1, 3], [8, 8, -9]])
    np.testing.assert_array_equal(f(x, at), x[at])


def test_a_position_outside_is_refused_and_the_next_call_works() -> None:
    a, i = T.vector(dtype="float32"), T.lvector()
    f = rg.function([a, i], a[i], backend="cupy", strict=True)
    x = np.arange(4, dtype="float32")
    for wrong in ([0, 4], [-5]):
        with pytest.raises(IndexError):
            f(x, np.array(wrong))
    np.testing.assert_array_equal(f(x, np.array([3, -4])), [3, 0])
    with pytest.raises(IndexError):
        f(x[:0], np.array([0]))
