"""Running sums and products, recurrences, and products of all others along an axis."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Apply, CumProd, CumSum, LinearRecurrence, ProductOfOthers
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.layout import collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.moving import copy
from refgraph_cupy.writing import NDIM, THREADS, padded, run, written

_ITEMS = 8
"""Neighbours that a thread of a block accumulates by itself."""
_CHUNK = THREADS * _ITEMS
_WIDER = {"float16": "float32", "float32": "float64", "complex64": "complex128"}


@makes(CumSum, CumProd)
def cumulative(node: Apply) -> Run:
    op: Any = node.op
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    joined = ("x || y" if dtype == "bool" else "x + y") if isinstance(op, CumSum) else "x * y"
    return lambda x: accumulated(current(), x, dtype, joined, op.axis, op.reverse)


def accumulated(device: Device, x: Array, dtype: str, joined: str, axis: int, reverse: bool = False) -> Array:
    """Along an axis, for each element all up to it joined by an expression of x and y, which is associative.

    Where neighbours lie along the axis, or rows are few and long, a block takes a row, or a part of one that is long:
    then totals of parts come first, and each part begins with the total of those before. Else a thread takes a row.
    """
    out = device.empty(x.shape, dtype)
    n, length = out.size, x.shape[axis]
    if n == 0:
        return out
    of, to = (a[tuple([slice(None, None, -1) if d == axis else slice(None) for d in range(a.ndim)])] if reverse else a
              for a in (x, out))  # fmt: skip
    rows = n // length
    given, acc = str(x.dtype), _WIDER.get(dtype, dtype)
    shape, strides = collapsed(
        [m for d, m in enumerate(x.shape) if d != axis],
        [tuple([s for d, s in enumerate(over(a, x.shape)) if d != axis]) for a in (of, to)],
    )
    steps = [int(a.strides[axis]) for a in (of, to)]
    arguments = [rows, length, len(shape), *padded(shape)]
    for a, kept, step in zip((of, to), strides, steps, strict=True):
        arguments += [device.address(a), step, *padded(kept)]
    if length < 64 or (rows >= 4096 and abs(steps[0]) != x.dtype.itemsize):
        run(device, _each_row(given, acc, dtype, joined), rows, arguments)
        return out
    parts = max(1, min(-(-length // (4 * _CHUNK)), 1024 // rows))
    part = -(-length // parts)
    parts = -(-length // part)
    totals = device.empty((rows, parts), acc) if parts > 1 else None
    before = 0
    if totals is not None:
        before = device.address(totals)
        _blocks(device, _each_block(given, acc, dtype, joined, True), rows, parts, [*arguments, part, before])
        copy(device, accumulated(device, totals, acc, joined, 1), totals)
    _blocks(device, _each_block(given, acc, dtype, joined, False), rows, parts, [*arguments, part, before])
    return out


def _blocks(device: Device, kernel: Kernel, rows: int, parts: int, arguments: list[int]) -> None:
    device.launch(kernel, (rows, parts, 1), (THREADS, 1, 1), np.array(arguments, np.int64))


_FIELDS = """
struct Arguments {{
    int64 rows, length, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 step, strides[{ndim}];
    }} from, to;
    int64 part;
    {acc} *totals;
}};

RG_DEVICE {acc} joined(const {acc} x, const {acc} y) {{ return {acc}({joined}); }}
"""

_PLACED = """
    const char *from = a.from.data;
    char *to = a.to.data;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        from += i * a.from.strides[d];
        to += i * a.to.strides[d];
    }}
"""


@cache
def _each_row(given: str, acc: str, out: str, joined: str) -> Kernel:
    text = (_FIELDS + _ROWS).format(given=given, acc=acc, out=out, joined=joined, ndim=NDIM, threads=THREADS)
    return written("accumulate_rows", text)


_ROWS = (
    """
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    int64 rest = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (rest >= a.rows)
        return;
"""
    + _PLACED
    + """
    {acc} z = as<{acc}>(*(const {given} *)from);
    *({out} *)to = as<{out}>(z);
    for (int64 i = 1; i < a.length; i++) {{
        from += a.from.step, to += a.to.step;
        z = joined(z, as<{acc}>(*(const {given} *)from));
        *({out} *)to = as<{out}>(z);
    }}
}}
"""
)


@cache
def _each_block(given: str, acc: str, out: str, joined: str, only_totals: bool) -> Kernel:
    text = (_FIELDS + _PARTS).format(
        given=given, acc=acc, out=out, joined=joined, ndim=NDIM, threads=THREADS, items=_ITEMS,
        raw=f"{THREADS} * sizeof({acc})", only_totals=str(only_totals).lower(),
    )  # fmt: skip
    return written("totals" if only_totals else "accumulate", text)


_PARTS = (
    """
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    __shared__ __attribute__((aligned(16))) char raw[{raw}];
    {acc} *all = ({acc} *)raw;
    int64 rest = blockIdx.x;
"""
    + _PLACED
    + """
    const int64 first = blockIdx.y * a.part, last = first + a.part < a.length ? first + a.part : a.length;
    {acc} *const total = a.totals ? a.totals + blockIdx.x * gridDim.y + blockIdx.y : a.totals;
    bool begun = !{only_totals} && blockIdx.y > 0;
    {acc} carried = begun ? total[-1] : {acc}(0);
    for (int64 chunk = first; chunk < last; chunk += {threads} * {items}) {{
        const int64 mine = chunk + threadIdx.x * {items}, left = last - mine;
        const int count = left < 0 ? 0 : left < {items} ? (int)left : {items};
        {acc} z[{items}];
#pragma unroll
        for (int k = 0; k < {items}; k++)
            if (k < count) {{
                const {acc} x = as<{acc}>(*(const {given} *)(from + (mine + k) * a.from.step));
                z[k] = k ? joined(z[k - 1], x) : x;
            }}
        if (count)
            all[threadIdx.x] = z[count - 1];
        const int64 busy = (last - chunk + {items} - 1) / {items};
        for (int reach = 1; reach < {threads}; reach *= 2) {{
            __syncthreads();
            const bool joins = threadIdx.x >= reach && threadIdx.x < busy;
            {acc} sum = {acc}(0);
            if (joins)
                sum = joined(all[threadIdx.x - reach], all[threadIdx.x]);
            __syncthreads();
            if (joins)
                all[threadIdx.x] = sum;
        }}
        __syncthreads();
        const bool has_before = begun || threadIdx.x > 0;
        {acc} before = carried;
        if (threadIdx.x > 0 && count)
            before = begun ? joined(carried, all[threadIdx.x - 1]) : all[threadIdx.x - 1];
        if (!{only_totals}) {{
#pragma unroll
            for (int k = 0; k < {items}; k++)
                if (k < count)
                    *({out} *)(to + (mine + k) * a.to.step) = as<{out}>(has_before ? joined(before, z[k]) : z[k]);
        }}
        const {acc} end = all[(busy < {threads} ? busy : {threads}) - 1];
        carried = begun ? joined(carried, end) : end;
        begun = true;
        __syncthreads();
    }}
    if ({only_totals} && threadIdx.x == 0)
        *total = carried;
}}
"""
)


# --- recurrences


@makes(LinearRecurrence)
def linear_recurrence(node: Apply) -> Run:
    """A thread takes a row, so that results round as the interpreter's do: rows are many where this is much work."""
    op: Any = node.op
    a, b, y = _dtypes(node)
    wide = "float32" if y == "float16" else y
    text = _RECURRENCE.format(a=a, b=b, wide=wide, y=y, ndim=NDIM, threads=THREADS, plus="||" if y == "bool" else "+")
    kernel = written("recurrence", text)

    def make(factors: Array, added: Array) -> Array:
        device = current()
        factors = device.broadcast(factors, added.shape)
        out = device.empty(added.shape, y)
        length = out.shape[op.axis]
        every = [factors, added, out]
        kept = [tuple([s for d, s in enumerate(over(x, out.shape)) if d != op.axis]) for x in every]
        shape, strides = collapsed([n for d, n in enumerate(out.shape) if d != op.axis], kept)
        arguments = [size(shape), length, len(shape), *padded(shape)]
        for x, others in zip(every, strides, strict=True):
            step = int(x.strides[op.axis])
            begin = device.address(x) + (step * (length - 1) if op.reverse else 0)
            arguments += [begin, -step if op.reverse else step, *padded(others)]
        run(device, kernel, size(shape) if out.size else 0, arguments)
        return out

    return make


def _dtypes(node: Apply) -> list[str]:
    variables: Any = (*node.inputs, *node.outputs)
    return [x.type.dtype for x in variables]


_RECURRENCE = """
struct Arguments {{
    int64 rows, length, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 step, strides[{ndim}];
    }} a, b, y;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    int64 rest = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (rest >= a.rows)
        return;
    const char *factor = a.a.data, *added = a.b.data;
    char *to = a.y.data;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        factor += i * a.a.strides[d], added += i * a.b.strides[d], to += i * a.y.strides[d];
    }}
    {wide} y = as<{wide}>(*(const {b} *)added);
    *({y} *)to = as<{y}>(y);
    for (int64 i = 1; i < a.length; i++) {{
        factor += a.a.step, added += a.b.step, to += a.y.step;
        y = {wide}(as<{wide}>(*(const {a} *)factor) * y {plus} as<{wide}>(*(const {b} *)added));
        *({y} *)to = as<{y}>(y);
    }}
}}
"""


# --- products of all others

_MOST_PARTS = 6


@makes(ProductOfOthers)
def product_of_others(node: Apply) -> Run | str:
    """For each row products of what is before, from one end, and then of what is after, from the other.

    With further inputs, numbers are x + g1*e1 + ... + gm*em, where every e*e is 0: 2**m coefficients, that of e1*e3 at
    place 0b101. The output is of the highest.
    """
    op: Any = node.op
    more = len(node.inputs) - 1
    if more > _MOST_PARTS:
        return f"more than {_MOST_PARTS + 1} inputs"
    *given, out = _dtypes(node)
    acc = _WIDER.get(out, out)
    fields = [f"const char *x{i}; int64 kept{i}[{NDIM}], steps{i}[{NDIM}];" for i in range(more + 1)]
    parts = [f"z[{1 << i >> 1}] = as<{acc}>(*(const {d} *)(a.x{i} + k{i} + r{i}));" for i, d in enumerate(given)]
    text = _OTHERS.format(
        fields="\n    ".join(fields), out=out, acc=acc, size=1 << more, ndim=NDIM, threads=THREADS,
        kept="\n        ".join([f"k{i} += j * a.kept{i}[d];" for i in range(more + 1)]),
        steps="\n        ".join([f"r{i} += j * a.steps{i}[d];" for i in range(more + 1)]),
        zero=", ".join([f"k{i} = 0" for i in range(more + 1)]), none=", ".join([f"r{i} = 0" for i in range(more + 1)]),
        parts="\n        ".join(parts),
       
    )  # fmt: skip
    kernel = written("product_of_others", text)

    def make(*arrays: Array) -> Array:
        device = current()
        shape = arrays[0].shape
        if any([x.shape != shape for x in arrays]):
            raise ValueError(f"shapes {[x.shape for x in arrays]} differ")
        result = device.empty(shape, out)
        kept = [d for d in range(len(shape)) if d not in op.axis]
        lengths, inner = [shape[d] for d in kept], [shape[d] for d in op.axis]
        rows, length = size(lengths), size(inner)
        scratch = device.empty((length << more, rows), acc) if result.size else result
        arguments = [rows, length, len(lengths), len(inner), *padded(lengths), *padded(inner), device.address(scratch)]
        for x in (result, *arrays):
            strides = [int(s) for s in x.strides]
            arguments += [
                device.address(x),
                *padded([strides[d] for d in kept]),
                *padded([strides[d] for d in op.axis]),
            ]
        run(device, kernel, rows if result.size else 0, arguments)
        return result

    return make


_OTHERS = """
struct Arguments {{
    int64 rows, length, ndim, inner, shape[{ndim}], lengths[{ndim}];
    {acc} *scratch;
    char *to;
    int64 kept[{ndim}], steps[{ndim}];
    {fields}
}};

struct Number {{
    {acc} z[{size}];
}};

RG_DEVICE Number operator*(const Number &x, const Number &y) {{
    Number out;
    for (int place = 0; place < {size}; place++) {{
        {acc} sum = x.z[place] * y.z[0];
        for (int part = place; part; ) {{
            part = (part - 1) & place;
            sum = sum + x.z[part] * y.z[place ^ part];
        }}
        out.z[place] = sum;
    }}
    return out;
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 row = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= a.rows)
        return;
    int64 rest = row, k = 0, {zero};
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], j = rest - before * a.shape[d];
        rest = before;
        k += j * a.kept[d];
        {kept}
    }}
    Number product;
    for (int way = 0; way < 2; way++) {{
        for (int place = 0; place < {size}; place++)
            product.z[place] = {acc}(place == 0);
        for (int64 n = 0; n < a.length; n++) {{
            const int64 i = way ? a.length - 1 - n : n;
            int64 left = i, r = 0, {none};
            for (int d = (int)a.inner - 1; d >= 0; d--) {{
                const int64 before = left / a.lengths[d], j = left - before * a.lengths[d];
                left = before;
                r += j * a.steps[d];
                {steps}
            }}
            {acc} *const kept = a.scratch + i * {size} * a.rows + row;
            Number number;
            {acc} *const z = number.z;
            for (int place = 0; place < {size}; place++)
                z[place] = {acc}(0);
            {parts}
            if (way) {{
                Number earlier;
                for (int place = 0; place < {size}; place++)
                    earlier.z[place] = kept[place * a.rows];
                *({out} *)(a.to + k + r) = as<{out}>((earlier * product).z[{size} - 1]);
                product = product * number;
            }} else {{
                for (int place = 0; place < {size}; place++)
                    kept[place * a.rows] = product.z[place];
                product = product * number;
            }}
        }}
    }}
}}
"""
