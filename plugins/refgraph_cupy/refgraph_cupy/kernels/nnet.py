"""softmax and its logarithm."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Apply, LogSoftmax, Softmax
from refgraph_cupy.device import Array, Kernel, current
from refgraph_cupy.layout import collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.writing import NDIM, THREADS, padded, written

_HELD = 16
"""Elements of a row that a thread keeps: rows of at most so many times the threads of a block are read once."""


@makes(Softmax, LogSoftmax)
def softmax(node: Apply) -> Run:
    """A block takes a row, or several that are short. Sums are float64, as their rounding is seen in all of a row."""
    op: Any = node.op
    is_log = isinstance(op, LogSoftmax)

    def make(x: Array) -> Array:
        device = current()
        out = device.empty(x.shape, x.dtype)
        if out.size == 0:
            return out
        axes = [a % x.ndim for a in op.axis]
        kept = [d for d in range(x.ndim) if d not in axes]
        every = [over(a, x.shape) for a in (x, out)]
        shape, rows = collapsed([x.shape[d] for d in kept], [tuple([s[d] for d in kept]) for s in every])
        inner, steps = collapsed([x.shape[d] for d in axes], [tuple([s[d] for d in axes]) for s in every])
        n, length = size(shape), size(inner)
        along = not (shape and inner) or abs(steps[0][-1]) < abs(rows[0][-1])
        lanes = 1
        while lanes < min(length, THREADS if along else 8):
            lanes *= 2
        if length < 32 and not along:
            lanes = 1
        held = next((k for k in (1, 2, 4, 8, _HELD) if k * lanes >= length), 0)
        arguments = [n, length, len(shape), len(inner), *padded(shape), *padded(inner)]
        for a, row, step in zip((x, out), rows, steps, strict=True):
            arguments += [device.address(a), *padded(row), *padded(step)]
        kernel = _softmax(str(x.dtype), is_log, lanes, held, along)
        blocks = -(-n * lanes // THREADS)
        device.launch(kernel, (blocks, 1, 1), (THREADS, 1, 1), np.array(arguments, np.int64))
        return out

    return make


@cache
def _softmax(dtype: str, is_log: bool, lanes: int, held: int, along: bool) -> Kernel:
    """lanes: how many threads share a row, held: how many elements each keeps, 0 where it reads them again and again,
    along: whether neighbouring threads share a row, else have neighbouring ones."""
    wide = "float32" if dtype == "float16" else dtype
    rows = THREADS // lanes
    lane, row = ("%", "/") if along else ("/", "%")
    by = lanes if along else rows
    loop = f"for (int k = 0; k < {held}; k++)" if held else "for (int64 i = lane; i < a.length; i += LANES)"
    each = "const int64 i = lane + k * LANES;\n            if (i >= a.length)\n                break;" if held else ""
    text = _SOFTMAX.format(
        dtype=dtype, wide=wide, rows=rows, threads=THREADS, ndim=NDIM, lane=f"threadIdx.x {lane} {by}",
        row=f"threadIdx.x {row} {by}", hold=f"{wide} x[{held}];" if held else "", loop=loop, each=each,
        first="x[k] = taken(a, from, i)" if held else "taken(a, from, i)",
        value="x[k]" if held else "taken(a, from, i)",
        shared=f"({wide})log(total)" if is_log else f"({wide})total",
        result=f"{wide}(x0 - shared)" if is_log else f"{wide}(exp(x0) / shared)",
        joined_greatest=_JOINED.format(value="greatest", joined="greater", wide=wide) if lanes > 1 else "",
        joined_total=_JOINED.format(value="total", joined="plus", wide="float64") if lanes > 1 else "",
        every=f"__shared__ float64 every[{THREADS}];" if lanes > 1 else "",
    )  # fmt: skip
    return written("logsoftmax" if is_log else "softmax", text.replace("LANES", str(lanes)))


# What the threads of a row have found, put together: each has that of all then.
_JOINED = """
    every[mine] = (float64){value};
    for (int half = LANES / 2; half; half /= 2) {{
        __syncthreads();
        if (lane < half)
            every[mine] = {joined}(every[mine], every[mine + half]);
    }}
    __syncthreads();
    {value} = ({wide})every[mine - lane];
    __syncthreads();
"""

_SOFTMAX = """
struct Arguments {{
    int64 n, length, kept, inner, shape[{ndim}], lengths[{ndim}];
    struct {{
        char *data;
        int64 rows[{ndim}], steps[{ndim}];
    }} from, to;
}};

RG_DEVICE float64 greater(float64 x, float64 y) {{ return y > x || y != y ? y : x; }}
RG_DEVICE float64 plus(float64 x, float64 y) {{ return x + y; }}

RG_DEVICE int64 offset(const Arguments &a, const int64 *steps, int64 i) {{
    if (a.inner == 1)
        return i * steps[0];
    int64 at = 0;
    for (int d = (int)a.inner - 1; d >= 0; d--) {{
        const int64 before = i / a.lengths[d];
        at += (i - before * a.lengths[d]) * steps[d];
        i = before;
    }}
    return at;
}}

RG_DEVICE {wide} taken(const Arguments &a, const char *from, int64 i) {{
    return as<{wide}>(*(const {dtype} *)(from + offset(a, a.from.steps, i)));
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    {every}
    const int lane = {lane}, row = {row}, mine = row * LANES + lane;
    int64 rest = (int64)blockIdx.x * {rows} + row;
    const bool is_there = rest < a.n;
    const char *from = a.from.data;
    char *to = a.to.data;
    for (int d = (int)a.kept - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        from += i * a.from.rows[d], to += i * a.to.rows[d];
    }}
    (void)mine;
    {hold}
    {wide} greatest = -INFINITY;
    if (is_there)
#pragma unroll
        {loop} {{
            {each}
            const {wide} x0 = {first};
            greatest = x0 > greatest || x0 != x0 ? x0 : greatest;
        }}
{joined_greatest}
    float64 total = 0;
    if (is_there)
#pragma unroll
        {loop} {{
            {each}
            total += (float64)exp({value} - greatest);
        }}
{joined_total}
    if (!is_there)
        return;
    const {wide} shared = {shared};
#pragma unroll
    {loop} {{
            {each}
            const {wide} x0 = {value} - greatest;
            *({dtype} *)(to + offset(a, a.to.steps, i)) = as<{dtype}>({result});
    }}
}}
"""
