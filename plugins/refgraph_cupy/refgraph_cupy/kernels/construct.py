"""Arrays made of a few numbers, and diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Alloc, AllocDiag, Apply, ARange, EmbedDiagonals, Eye, Linspace, Tri, Triangle
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.kernels.shape import on_diagonals
from refgraph_cupy.layout import over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import after, makes
from refgraph_cupy.moving import copy, repeated
from refgraph_cupy.writing import NDIM, THREADS, index, padded, run, written

_FAR = 2**62
"""What the number of a diagonal is cut to: any so far away misses every matrix."""


def filled_in(shape: Sequence[int | None], given: Sequence[Any]) -> list[int]:
    """The lengths, of which those that are None are given as numbers. Raises ValueError for one that is negative."""
    rest = iter(given)
    found = [int(next(rest)) if n is None else n for n in shape]
    if any([n < 0 for n in found]):
        raise ValueError(f"a length is negative in {found}")
    return found


@makes(Alloc, read=after(1))
def alloc(node: Apply) -> Run:
    op: Any = node.op
    return lambda value, *lengths: repeated(current(), value, filled_in(op.shape, lengths))


# --- ranges


@makes(ARange, read=after(0))
def arange(node: Apply) -> Run | str:
    """start + i * (next - start), computed in the dtype of the range, as NumPy does."""
    op: Any = node.op
    dtype = np.dtype(op.dtype)
    if dtype.kind in "bc":
        return f"a range of {op.dtype}"

    def make(start: Any, stop: Any, step: Any) -> Array:
        device = current()
        first, last, by = start.item(), stop.item(), step.item()
        out = device.empty((_count(first, last, by),), dtype)
        with np.errstate(all="ignore"):
            ends = np.array([first, first + by] if out.size > 1 else [first, first] if out.size else [0, 0]).astype(
                dtype
            )
        run(device, _ranging(op.dtype), out.size, [out.size, device.address(out), *_bits(ends)])
        return out

    return make


def _count(start: float, stop: float, step: float) -> int:
    """How many numbers a range has. Raises ValueError where the step is 0 or that is no number."""
    if step == 0:
        raise ValueError("the step of a range is 0")
    steps = (stop - start) / step
    if not math.isfinite(steps):
        raise ValueError(f"a range of {steps} numbers")
    if steps == 0 and stop != start:  # less than what floats hold
        return 0 if math.copysign(1, steps) < 0 else 1
    return max(0, math.ceil(steps))


def _bits(numbers: np.ndarray[Any, Any]) -> list[int]:
    """Numbers of one dtype as fields of a kernel's struct: each in the first bytes of 8."""
    places = np.zeros((len(numbers), 8 // numbers.dtype.itemsize), numbers.dtype)
    places[:, 0] = numbers
    return [int(n) for n in places.view(np.int64).reshape(-1)]


@cache
def _ranging(dtype: str) -> Kernel:
    computed = "float32" if dtype == "float16" else dtype
    return written(f"arange_{dtype}", _ARANGE.format(dtype=dtype, computed=computed, threads=THREADS))


_ARANGE = """
struct Arguments {{
    int64 n;
    {dtype} *to;
    struct alignas(8) {{
        {dtype} value;
    }} first, next;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n)
        return;
    const {computed} first = ({computed})a.first.value, step = {computed}(({computed})a.next.value - first);
    a.to[i] = as<{dtype}>({computed}(first + {computed}(i) * step));
}}
"""


@makes(Linspace, read=lambda node: range(2, len(node.inputs)))
def linspace(node: Apply) -> Run | str:
    """In the dtype in which NumPy computes; where another is wanted, rounded down if it is one of integers."""
    op: Any = node.op
    inputs: Any = node.inputs
    start, stop, *_ = [x.type.dtype for x in inputs]
    computed = np.result_type(start, stop, 0.0).name
    if computed.startswith("complex") and not op.dtype.startswith("complex"):
        return "complex numbers that become real ones"

    def make(first: Array, last: Array, *given: Any) -> Array:
        device = current()
        (count,) = filled_in([op.num], given)
        shape = (count, *np.broadcast_shapes(first.shape, last.shape))
        out = device.empty(shape, op.dtype)
        n, parts = size(shape), count - 1 if op.endpoint else count
        kernel = _spacing(start, stop, computed, op.dtype)
        arguments = [n, max(n // count, 1) if count else 1, parts, op.endpoint and count > 1, len(shape) - 1]
        arguments += [*padded(shape[1:]), device.address(out)]
        for x in (first, last):
            arguments += [device.address(x), *padded(over(x, shape[1:]))]
        run(device, kernel, n, arguments)
        return out

    return make


@cache
def _spacing(start: str, stop: str, computed: str, out: str) -> Kernel:
    wide = "float32" if computed == "float16" else computed
    value = f"as<{out}>({'floor(z)' if np.dtype(out).kind in 'iu' else 'z'})"
    if computed != wide:
        value = f"as<{out}>({'floor' if np.dtype(out).kind in 'iu' else ''}({wide}(as<{computed}>(z))))"
    real = {"complex64": "float32", "complex128": "float64"}.get(wide, wide)
    text = _LINSPACE.format(
        start=start, stop=stop, wide=wide, real=real, out=out, value=value, ndim=NDIM, threads=THREADS
    )
    return written(f"linspace_{out}", text)


_LINSPACE = """
struct Arguments {{
    int64 n, width, parts, ends, ndim, shape[{ndim}];
    {out} *to;
    struct {{
        const char *data;
        int64 strides[{ndim}];
    }} start, stop;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 k = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= a.n)
        return;
    const int64 i = k / a.width;
    int64 rest = k - i * a.width, at = 0, to = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], j = rest - before * a.shape[d];
        rest = before;
        at += j * a.start.strides[d];
        to += j * a.stop.strides[d];
    }}
    const {wide} start = as<{wide}>(*(const {start} *)(a.start.data + at));
    const {wide} stop = as<{wide}>(*(const {stop} *)(a.stop.data + to));
    const {wide} step = {wide}((stop - start) / {wide}({real}(a.parts > 0 ? a.parts : 1)));
    {wide} z = {wide}(step * {wide}({real}(i)) + start);
    if (step == {wide}({real}(0)) && a.parts > 0) // the difference is less than parts of it can be told
        z = {wide}({wide}({real}(i)) / {wide}({real}(a.parts)) * (stop - start) + start);
    if (a.ends && i == a.parts)
        z = stop;
    a.to[k] = {value};
}}
"""


# --- matrices by their diagonals


@makes(Eye, Tri, read=after(0))
def eye(node: Apply) -> Run:
    """Ones on a diagonal, or on and below it."""
    op: Any = node.op
    relation = "<=" if isinstance(op, Tri) else "=="
    kernel = written(op.name, _EYE.format(dtype=op.dtype, relation=relation, threads=THREADS))

    def make(k: Any, *lengths: Any) -> Array:
        device = current()
        out = device.empty(filled_in(op.shape, lengths), op.dtype)
        run(device, kernel, out.size, [out.size, max(out.shape[1], 1), _near(int(k)), device.address(out)])
        return out

    return make


_EYE = """
struct Arguments {{
    int64 n, columns, k;
    {dtype} *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x, row = at / a.columns;
    if (at < a.n)
        a.to[at] = as<{dtype}>(at - row * a.columns - row {relation} a.k);
}}
"""


def _near(k: int) -> int:
    return max(-_FAR, min(k, _FAR))


@makes(Triangle, read=after(1))
def triangle(node: Apply) -> Run:
    op: Any = node.op
    x: Any = node.inputs[0]
    dtype, relation = x.type.dtype, "<=" if op.lower else ">="

    def make(x: Array, k: Any) -> Array:
        device = current()
        out = device.empty(x.shape, x.dtype)
        text = _TRIANGLE.format(dtype=dtype, relation=relation, index=index(out.size), ndim=NDIM, threads=THREADS)
        arguments = [out.size, x.ndim, *padded(x.shape), device.address(x), *padded(over(x, x.shape))]
        run(device, written(op.name, text), out.size, [*arguments, _near(int(k)), device.address(out)])
        return out

    return make


_TRIANGLE = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    const char *data;
    int64 strides[{ndim}], k;
    {dtype} *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const {index} mine = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)mine >= a.n)
        return;
    {index} rest = mine;
    int64 at = 0, column = 0, row = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length, i = rest - before * length;
        rest = before;
        at += (int64)i * a.strides[d];
        if (d == (int)a.ndim - 1)
            column = (int64)i;
        if (d == (int)a.ndim - 2)
            row = (int64)i;
    }}
    a.to[mine] = column - row {relation} a.k ? *(const {dtype} *)(a.data + at) : as<{dtype}>(0);
}}
"""


def zeros(device: Device, shape: Sequence[int], dtype: Any) -> Array:
    """A new array of nothing but 0."""
    out = device.empty(shape, dtype)
    clear(device, out)
    return out


def clear(device: Device, array: Array) -> None:
    """Let all elements of an array that lies as C lays it be 0."""
    count = size(array.shape) * array.dtype.itemsize
    run(device, written("clear", _CLEAR.format(threads=THREADS)), -(-count // 8), [count, device.address(array)])


_CLEAR = """
struct Arguments {{
    int64 n;
    char *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 at = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    if (at + 8 <= a.n) {{
        *(int64 *)(a.to + at) = 0;
        return;
    }}
    for (int64 i = at; i < a.n; i++)
        a.to[i] = 0;
}}
"""


@makes(AllocDiag, read=after(1))
def alloc_diag(node: Apply) -> Run:
    op: Any = node.op

    def make(d: Array, *lengths: Any) -> Array:
        device = current()
        n, m = filled_in(op.shape, lengths)
        rest = iter(d.shape[:-1])
        rows, columns = op.axis1 % (d.ndim + 1), op.axis2 % (d.ndim + 1)
        out = zeros(device, [n if a == rows else m if a == columns else next(rest) for a in range(d.ndim + 1)], d.dtype)
        there = out.diagonal(op.offset, rows, columns)
        if there.shape[-1] != d.shape[-1]:
            raise ValueError(f"{d.shape[-1]} elements for a diagonal of {there.shape[-1]}")
        copy(device, d, there)
        return out

    return make


@makes(EmbedDiagonals)
def embed_diagonals(node: Apply) -> Run:
    op: Any = node.op

    def make(x: Array, like: Array) -> Array:
        device = current()
        out = zeros(device, like.shape, x.dtype)
        copy(device, x, on_diagonals(out, op.term))
        return out

    return make
