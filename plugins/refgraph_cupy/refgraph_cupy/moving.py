"""Elements moved from one array to another: as they are, or as elements of another dtype."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from refgraph_cupy.device import Array, Device, Kernel, Shape
from refgraph_cupy.layout import Strides, collapsed, over, size
from refgraph_cupy.writing import NDIM, THREADS, index, padded, run, written

_TILE = 32
_UNITS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64", 16: "Lanes<uint64, 2>"}
"""What elements are moved as, by how many bytes they have."""


def unit(itemsize: int) -> str:
    """What elements of so many bytes are moved as."""
    return _UNITS[itemsize]


def wider(
    itemsize: int, shape: Shape, every: Sequence[Strides], places: Sequence[int]
) -> tuple[int, Any, list[Strides]]:
    """Rows of neighbours as rows of fewer, larger units, at most 16 bytes, where all arrays allow that."""
    if shape and all([s[-1] == itemsize for s in every]):
        for larger in (16, 8, 4, 2):
            numbers = [shape[-1] * itemsize, *places, *[n for s in every for n in s[:-1]]]
            if larger > itemsize and all([n % larger == 0 for n in numbers]):
                lengths = (*shape[:-1], shape[-1] * itemsize // larger)
                return larger, lengths, [(*s[:-1], larger) for s in every]
    return itemsize, tuple(shape), list(every)


def copy(device: Device, source: Array, target: Array) -> None:
    """Write the elements of one array, broadcast, into another; they become of its dtype.

    Raises ValueError where the shapes do not fit.
    """
    shape = target.shape
    if len(source.shape) > len(shape) or any(
        [n not in (1, m) for n, m in zip(source.shape[::-1], shape[::-1], strict=False)]
    ):
        raise ValueError(f"an array of shape {source.shape} cannot be written into one of {shape}")
    n = size(shape)
    if n == 0:
        return
    lengths, strides = collapsed(shape, [over(source, shape), over(target, shape)])
    places = [device.address(source), device.address(target)]
    if source.dtype != target.dtype:
        kernel = _copying(str(source.dtype), str(target.dtype), index(n))
        run(device, kernel, n, _arguments(n, lengths, places, strides))
        return
    itemsize, lengths, strides = wider(source.dtype.itemsize, lengths, strides, places)
    crossed = _crossed(itemsize, lengths, *strides)
    if crossed is not None:
        _transpose(device, itemsize, lengths, strides, places, crossed)
        return
    n = size(lengths)
    run(device, _copying(unit(itemsize), unit(itemsize), index(n)), n, _arguments(n, lengths, places, strides))


def contiguous(device: Device, array: Array) -> Array:
    """The array, as C lays it: itself, or a copy."""
    return array if array.flags.c_contiguous else copied(device, array)


def copied(device: Device, array: Array, dtype: Any = None) -> Array:
    """A copy of an array, as C lays it, maybe of another dtype."""
    return repeated(device, array, array.shape, dtype)


def repeated(device: Device, array: Array, shape: Shape, dtype: Any = None) -> Array:
    """A new array of this shape, with the elements of one that is broadcast to it."""
    out = device.empty(shape, array.dtype if dtype is None else dtype)
    copy(device, array, out)
    return out


def _arguments(n: int, shape: Shape, places: Sequence[int], strides: Sequence[Strides]) -> list[int]:
    found = [n, len(shape), *padded(shape)]
    for place, steps in zip(places, strides, strict=True):
        found += [place, *padded(steps)]
    return found


@cache
def _copying(given: str, wanted: str, index: str) -> Kernel:
    value = f"*(const {given} *)(a.source.data + at)"
    value = value if given == wanted else f"as<{wanted}>({value})"
    return written("copy", _COPY.format(index=index, ndim=NDIM, threads=THREADS, to=wanted, value=value))


_COPY = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 strides[{ndim}];
    }} source, target;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    {index} rest = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)rest >= a.n)
        return;
    int64 at = 0, to = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length, i = rest - before * length;
        rest = before;
        at += (int64)i * a.source.strides[d];
        to += (int64)i * a.target.strides[d];
    }}
    *({to} *)(a.target.data + to) = {value};
}}
"""


def _crossed(itemsize: int, shape: Shape, source: Strides, target: Strides) -> int | None:
    """The axis along which neighbours of the source lie, where those of the target lie along the last, and both are
    long: then blocks go through tiles of shared memory, so that neighbours are read and written as such."""
    if len(shape) < 2 or target[-1] != itemsize or source[-1] == itemsize or shape[-1] < _TILE // 2:
        return None
    return next((d for d in range(len(shape) - 1) if source[d] == itemsize and shape[d] >= _TILE // 2), None)


def _transpose(device: Device, itemsize: int, shape: Any, strides: Any, places: Sequence[int], crossed: int) -> None:
    order = [*[d for d in range(len(shape) - 1) if d != crossed], crossed, len(shape) - 1]
    lengths = [shape[d] for d in order]
    rows, columns = [-(-n // _TILE) for n in lengths[-2:]]
    arguments = _arguments(rows * columns, lengths, places, [tuple([s[d] for d in order]) for s in strides])
    kernel = written("transpose", _TRANSPOSE.format(ndim=NDIM, unit=unit(itemsize), tile=_TILE))
    blocks = rows * columns * size(lengths[:-2])
    device.launch(kernel, (blocks, 1, 1), (_TILE, 8, 1), np.array(arguments, np.int64))


_TRANSPOSE = """
struct Arguments {{
    int64 tiles, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 strides[{ndim}];
    }} source, target;
}};

extern "C" __global__ void __launch_bounds__({tile} * 8) KERNEL(const Arguments a) {{
    __shared__ {unit} tile[{tile}][{tile} + 1];
    const int last = (int)a.ndim - 1;
    const char *source = a.source.data;
    char *target = a.target.data;
    int64 rest = blockIdx.x / a.tiles;
    const int64 mine = blockIdx.x - rest * a.tiles, across = (a.shape[last] + {tile} - 1) / {tile};
    for (int d = last - 2; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        source += i * a.source.strides[d];
        target += i * a.target.strides[d];
    }}
    const int64 down = a.source.strides[last - 1], right = a.source.strides[last];
    const int64 row = mine / across * {tile}, column = mine % across * {tile};
    for (int k = threadIdx.y; k < {tile}; k += 8) {{
        const int64 i = row + threadIdx.x, j = column + k;
        if (i < a.shape[last - 1] && j < a.shape[last])
            tile[k][threadIdx.x] = *(const {unit} *)(source + i * down + j * right);
    }}
    __syncthreads();
    for (int k = threadIdx.y; k < {tile}; k += 8) {{
        const int64 i = row + k, j = column + threadIdx.x;
        if (i < a.shape[last - 1] && j < a.shape[last])
            *({unit} *)(target + i * a.target.strides[last - 1] + j * a.target.strides[last]) = tile[threadIdx.x][k];
    }}
}}
"""
