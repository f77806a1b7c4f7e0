"""softmax of rows of all lengths, along axes that lie in all ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import refgraph as rg
import refgraph.tensor as T


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3, 10), -1),
        ((2, 700), -1),
        ((2, 5000), -1),
        ((40, 50), 0),
        ((5, 300), 0),
        ((2, 300, 3), 1),
        ((4, 5, 6), (0, 2)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_sum_to_one(shape: Any, axis: Any, dtype: str) -> None:
    x = 5 * np.random.default_rng(4).normal(size=shape).astype(dtype)
    a = T.tensor(dtype, shape=(None,) * x.ndim)
    f = rg.function([a], [T.softmax(a, axis=axis), T.logsoftmax(a, axis=axis)], backend="cupy", strict=True)
    z, logs = f(x)
    wide = x.astype("float64")
    np.testing.assert_allclose(z, scipy.special.softmax(wide, axis), rtol=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(
        logs, scipy.special.log_softmax(wide, axis), rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-7
    )
