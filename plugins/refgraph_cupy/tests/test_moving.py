"""Elements moved between arrays of all layouts, by kernels that are run on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgraph_cupy.device import current
from refgraph_cupy.moving import copied, copy, repeated

DTYPES = ("bool", "int8", "uint16", "float16", "float32", "int64", "complex64", "complex128")


def _array(shape: Any, dtype: str) -> Any:
    return np.random.default_rng(3).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F", "reversed", "every-other", "swapped"])
def test_a_copy_has_the_same_elements(dtype: str, order: str) -> None:
    device = current()
    x = device.upload(_array((3, 40, 66), dtype))
    views = {"C": x, "F": x.T, "reversed": x[::-1, :, ::-1], "every-other": x[:, 1::2], "swapped": x.swapaxes(1, 2)}
    source = views[order]
    found = copied(device, source)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(device.download(found), device.download(source))


@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (4, 3, 5), (2, 2, 2, 2, 2, 2, 2, 2, 5)])
def test_a_copy_into_an_array_of_other_strides(shape: tuple[int, ...]) -> None:
    device = current()
    x = device.upload(_array(shape[-1:], "float32"))
    target = device.empty(shape[::-1], "float32").T
    copy(device, x, target)
    np.testing.assert_array_equal(device.download(target), np.broadcast_to(device.download(x), shape))


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_become_of_the_other_dtype(dtype: str) -> None:
    device = current()
    x = _array((4, 1, 5), "int64")
    found = repeated(device, device.upload(x), (4, 3, 5), dtype)
    np.testing.assert_array_equal(device.download(found), np.broadcast_to(x.astype(dtype), (4, 3, 5)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    device = current()
    with pytest.raises(ValueError, match="cannot be written"):
        copy(device, device.empty((2, 3), "int64"), device.empty((3,), "int64"))
