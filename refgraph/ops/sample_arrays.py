"""Arrays that samples of several ops are made of: different numbers, in every dtype and memory layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from refgraph.core.op import Sample


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> Any:
    """An array of different numbers, for samples: between -2 and 2, other ones for another seed; integers count."""
    kind = np.dtype(dtype).kind
    if kind not in "fc":
        steps = np.arange(math.prod(shape)).reshape(shape)
        return (steps % 2 if kind == "b" else steps).astype(dtype)
    draw = partial(np.random.default_rng([seed, *shape]).uniform, -2, 2, shape)
    return np.asarray(draw() + 1j * draw() if kind == "c" else draw()).astype(dtype)


def over_matrices(build: Callable[..., Any], expect: Callable[..., Any]) -> Iterator[Sample]:
    """Samples of one use over dtypes and memory layouts of a 2 by 3 matrix."""
    for dtype in ("bool", "int8", "uint64", "float16", "float32", "complex64", "complex128"):
        yield Sample(dtype, build, (numbers(2, 3, dtype=dtype),), expect)
    yield Sample("strided", build, (numbers(4, 6)[1::2, ::2],), expect)
    yield Sample("negative-strides", build, (numbers(2, 3)[::-1, ::-1],), expect)
    yield Sample("column-major", build, (numbers(3, 2).T,), expect)
    yield Sample("one-value", build, (np.broadcast_to(numbers(1), (2, 3)),), expect)
