"""Arrays that samples of several ops are made of: different numbers, in every dtype and memory layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgraph.core.op import Sample


def numbers(*shape: int, dtype: str = "float64") -> Any:
    """An array of different numbers, for samples."""
    steps = np.arange(math.prod(shape))
    values: Any = steps % 2 if dtype == "bool" else steps * 0.75 - 1.5 if np.dtype(dtype).kind in "fc" else steps
    return (values + 0.5j * steps[::-1] if np.dtype(dtype).kind == "c" else values).astype(dtype).reshape(shape)


def over_matrices(build: Callable[..., Any], expect: Callable[..., Any]) -> Iterator[Sample]:
    """Samples of one use over dtypes and memory layouts of a 2 by 3 matrix."""
    for dtype in ("bool", "int8", "uint64", "float16", "float32", "complex64", "complex128"):
        yield Sample(dtype, build, (numbers(2, 3, dtype=dtype),), expect)
    yield Sample("strided", build, (numbers(4, 6)[1::2, ::2],), expect)
    yield Sample("negative-strides", build, (numbers(2, 3)[::-1, ::-1],), expect)
    yield Sample("column-major", build, (numbers(3, 2).T,), expect)
    yield Sample("one-value", build, (np.broadcast_to(numbers(1), (2, 3)),), expect)
