"""Running sums of arrays that are long, or have many rows: the ways that kernels share the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgraph_cupy.device import current
from refgraph_cupy.kernels.cumulative import accumulated

SHAPES = [
    (1, 0),
    (63, 0),
    (64, 0),
    (20000, 0),
    (33000, 0),
    ((3, 300), 1),
    ((300, 3), 0),
    ((2, 70, 5), 1),
    ((5000, 2), 1),
]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("reverse", [False, True])
def test_sums_are_numpys(shape: Any, axis: int, reverse: bool) -> None:
    device = current()
    x = np.random.default_rng(1).integers(-9, 9, shape)
    found = device.download(accumulated(device, device.upload(x), "int64", "x + y", axis, reverse))
    want = np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)
    np.testing.assert_array_equal(found, want)


def test_products_of_parts_keep_their_order() -> None:
    device = current()
    x = 1 + np.random.default_rng(1).normal(size=20000).astype("float32") / 100
    found = device.download(accumulated(device, device.upload(x), "float32", "x * y", 0))
    np.testing.assert_allclose(found, np.cumprod(x.astype("float64")), rtol=1e-6)
