"""Arrays put together, repeated, moved along their axes, and given a border: copies into parts of a new array."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Apply, Join, Pad, Repeat, Roll, Shift, Stack, Tile
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.kernels.construct import filled_in
from refgraph_cupy.kernels.indexing import Picks, taken
from refgraph_cupy.layout import over
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import after, makes
from refgraph_cupy.moving import copy, unit
from refgraph_cupy.writing import NDIM, THREADS, index, padded, run, written


def _dtype(node: Apply) -> str:
    out: Any = node.outputs[0]
    return str(out.type.dtype)


def _part(array: Array, axis: int, start: int | None, stop: int | None) -> Array:
    """The items along an axis from one on, up to another."""
    return array[(*(slice(None),) * axis, slice(start, stop), ...)]


@makes(Join)
def join(node: Apply) -> Run:
    op: Any = node.op
    dtype = _dtype(node)

    def make(*arrays: Array) -> Array:
        device = current()
        axis, first = op.axis % arrays[0].ndim, arrays[0].shape
        if any([a.shape[:axis] != first[:axis] or a.shape[axis + 1 :] != first[axis + 1 :] for a in arrays]):
            raise ValueError(f"shapes {[a.shape for a in arrays]} differ beside axis {axis}")
        total = sum([a.shape[axis] for a in arrays])
        out = device.empty((*first[:axis], total, *first[axis + 1 :]), dtype)
        at = 0
        for a in arrays:
            copy(device, a, _part(out, axis, at, at + a.shape[axis]))
            at += a.shape[axis]
        return out

    return make


@makes(Stack)
def stack(node: Apply) -> Run:
    op: Any = node.op
    dtype = _dtype(node)

    def make(*arrays: Array) -> Array:
        device = current()
        axis, shape = op.axis % (arrays[0].ndim + 1), arrays[0].shape
        if any([a.shape != shape for a in arrays]):
            raise ValueError(f"shapes {[a.shape for a in arrays]} differ")
        out = device.empty((*shape[:axis], len(arrays), *shape[axis:]), dtype)
        for i, a in enumerate(arrays):
            copy(device, a, out[(*(slice(None),) * axis, i, ...)])
        return out

    return make


# --- repeated


@makes(Tile, read=after(1))
def tile(node: Apply) -> Run:
    """Each axis of the result is two: which brick, and where in it. The first is repeated."""
    op: Any = node.op

    def make(x: Array, *given: Any) -> Array:
        return _repeated(x, [(r, n) for r, n in zip(filled_in(op.reps, given), x.shape, strict=True)], first=True)

    return make


def _repeated(x: Array, pairs: Sequence[tuple[int, int]], first: bool) -> Array:
    """Each axis of x as two, of which one is repeated: the first or the second. Then they are one."""
    device = current()
    out = device.empty([a * b for a, b in pairs], x.dtype)
    if out.size:
        each = [n for n in x.shape]
        split = x.reshape([m for n in each for m in ((1, n) if first else (n, 1))])
        copy(device, split, out.reshape([n for pair in pairs for n in pair]))
    return out


@makes(Repeat, read=lambda node: [1])
def repeat(node: Apply) -> Run:
    """Copies where all are repeated as often; else, elements are picked along the axis."""
    op: Any = node.op

    def make(x: Array, given: Any) -> Array:
        device = current()
        counts = np.asarray(given, np.int64).reshape(-1)
        axis, n = op.axis, x.shape[op.axis]
        if counts.size and counts.min() < 0:
            raise ValueError("a negative number of repetitions")
        if counts.size not in (1, n):
            raise ValueError(f"{counts.size} numbers of repetitions for {n} elements")
        if counts.size == 1:
            times = [int(counts[0]) if d == axis else 1 for d in range(x.ndim)]
            return _repeated(x, list(zip(x.shape, times, strict=True)), first=False)
        at = device.upload(np.repeat(np.arange(n), counts))
        return taken(device, Picks(x, [axis], [at], axis, True))

    return make


# --- moved


@makes(Roll, read=after(1))
def roll(node: Apply) -> Run:
    op: Any = node.op

    def make(x: Array, *given: Any) -> Array:
        device = current()
        out = device.empty(x.shape, x.dtype)
        shifts: dict[int, int] = {}
        for axis, by in zip(op.axes, given, strict=True):
            shifts[axis % x.ndim] = shifts.get(axis % x.ndim, 0) + int(by)
        _rolled(device, x, out, list(shifts.items()))
        return out

    return make


def _rolled(device: Device, x: Array, out: Array, shifts: Sequence[tuple[int, int]]) -> None:
    """Copy x into `out`, rolled: along each axis in two parts."""
    if not out.size:
        return
    if not shifts:
        copy(device, x, out)
        return
    (axis, by), *rest = shifts
    n = x.shape[axis]
    by %= n
    _rolled(device, _part(x, axis, 0, n - by), _part(out, axis, by, n), rest)
    _rolled(device, _part(x, axis, n - by, n), _part(out, axis, 0, by), rest)


@makes(Shift)
def shift(node: Apply) -> Run:
    """x, of which one item at an end is cut off, with a border of one at the other end."""
    op: Any = node.op
    value: list[Array] = []

    def make(x: Array) -> Array:
        device = current()
        if not value:
            value.append(device.upload(np.array(op.fill).astype(x.dtype)))
        before = [(-1 if op.backwards else 1) if d == op.axis else 0 for d in range(x.ndim)]
        return _bordered(device, x, value[0], before, x.shape)

    return make


@makes(Pad, read=after(2))
def pad(node: Apply) -> Run:
    op: Any = node.op

    def make(x: Array, value: Array, *given: Any) -> Array:
        widths = filled_in(op.widths, given)
        before, behind = widths[::2], widths[1::2]
        lengths = [n + b + a for n, b, a in zip(x.shape, before, behind, strict=True)]
        return _bordered(current(), x, value, before, lengths)

    return make


def _bordered(device: Device, x: Array, value: Array, before: Sequence[int], lengths: Sequence[int]) -> Array:
    """An array of these lengths, in which x begins where `before` says, maybe outside; the rest is one value."""
    out = device.empty(lengths, x.dtype)
    n = out.size
    arguments = [n, x.ndim, *padded(lengths), *padded(x.shape), *padded(before), device.address(x)]
    arguments += [*padded(over(x, x.shape)), device.address(value), device.address(out)]
    run(device, _bordering(unit(x.dtype.itemsize), index(n)), n, arguments)
    return out


@cache
def _bordering(dtype: str, index: str) -> Kernel:
    return written("pad", _PAD.format(dtype=dtype, index=index, ndim=NDIM, threads=THREADS))


_PAD = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}], lengths[{ndim}], before[{ndim}];
    const char *data;
    int64 strides[{ndim}];
    const {dtype} *value;
    {dtype} *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const {index} mine = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)mine >= a.n)
        return;
    {index} rest = mine;
    int64 at = 0;
    bool is_inside = true;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length;
        const int64 i = (int64)(rest - before * length) - a.before[d];
        rest = before;
        is_inside = is_inside && i >= 0 && i < a.lengths[d];
        at += i * a.strides[d];
    }}
    a.to[mine] = is_inside ? *(const {dtype} *)(a.data + at) : *a.value;
}}
"""
