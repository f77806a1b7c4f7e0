"""Reductions of what a group of elementwise ops computes: all along the same axes in one pass, with what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgraph.backend import Apply, Variable
from refgraph_cupy.device import Array, Device, Kernel
from refgraph_cupy.kernels.elementwise import NDIM, VECTOR, Moves, padded, ways_of
from refgraph_cupy.kernels.group import Group, dtype_of, joined
from refgraph_cupy.layout import broadcast, collapsed, over, size
from refgraph_cupy.texts import Unsaid
from refgraph_cupy.writing import THREADS, named

_FOLDS = {
    "sum": "Sum", "mean": "Mean", "norm": "Root", "count_nonzero": "Sum", "prod": "Prod", "prod_no_zeros": "Prod",
    "max": "Max", "min": "Min", "all": "All", "any": "Any", "bitwise_and_reduce": "And", "bitwise_or_reduce": "Or",
    "bitwise_xor_reduce": "Xor", "argmax": "ArgMax", "argmin": "ArgMin", "logsumexp": "LogSumExp",
}  # fmt: skip
"""For each reduction its fold in cuda/folds.h."""
_NEED_ONE = ("max", "min", "argmax", "argmin")
_WIDER = {"float16": "float64", "float32": "float64", "complex64": "complex128"}
_MOST = 160
"""Bytes of folds that a thread has at most: those of a block lie in its shared memory."""
_BLOCKS = 1024
"""How many blocks a reduction is cut into where it has few results: enough for large devices. It is no device's own
number, so that results are the same on all."""


class Folded:
    """A reduction as a fold of what a group computes."""

    def __init__(self, node: Apply, value: str) -> None:
        op: Any = node.op
        self.node, self.x, self.op = node, node.inputs[0], op
        self.out = dtype_of(node.outputs[0])
        self.value, acc = element(op, value, dtype_of(self.x), self.out)
        self.type = f"folds::{_FOLDS[op.name]}<{acc}>"
        self.bytes = 16 * -(-(np.dtype(acc).itemsize + 8) // 16)
        """What it takes in memory at most."""


def element(op: Any, value: str, dtype: str, out: str) -> tuple[str, str]:
    """The element that a fold takes, and the dtype of its accumulator."""
    name = op.name
    if name not in _FOLDS or (name == "logsumexp" and dtype.startswith("complex")):
        raise Unsaid(f"no kernel for {name} of {dtype}")
    if name in _NEED_ONE or name.startswith("bitwise"):
        acc = "float32" if dtype == "float16" else dtype
    elif name in ("all", "any"):
        acc = "bool"
    elif name == "count_nonzero":
        return f"int64(as<bool>({value}))", "int64"
    elif name == "logsumexp":
        acc = "float64"
    elif name == "norm":
        return f"squared(as<{'complex128' if dtype.startswith('complex') else 'float64'}>({value}))", "float64"
    else:
        acc = op.dtypes_for(dtype)[1] or out
        acc = _WIDER.get(acc, acc)
    return f"as<{acc}>({value})", acc


def passes(folded: Sequence[Folded]) -> list[list[Folded]]:
    """The same in as many passes as need be: a thread has so many folds at most."""
    found: list[list[Folded]] = []
    room = 0
    for fold in folded:
        if room < fold.bytes:
            found.append([])
            room = _MOST
        found[-1].append(fold)
        room -= fold.bytes
    return found


class Reduced:
    """Reductions along the same axes of values of one shape, and values of that shape that are stored."""

    def __init__(self, group: Group, folded: Sequence[Folded], stored: Sequence[Variable]) -> None:
        part = group.part([*[f.x for f in folded], *stored])
        self.leaves, self.dtypes = part.leaves, [group.dtypes[i] for i in part.leaves]
        self._folded, self._stored = folded, [dtype_of(x) for x in stored]
        self.axes = folded[0].op.axis
        fields = [f"{f.type} fold{i};" for i, f in enumerate(folded)]
        begins = " ".join([f"fold{i}.begin();" for i in range(len(folded))])
        joins = " ".join([f"fold{i}.join(other.fold{i});" for i in range(len(folded))])
        self._fold = _FOLD.format(fields=joined(fields, 4), begins=begins, joins=joins)
        params = [f"const {d} x{i}" for i, d in zip(self.leaves, self.dtypes, strict=True)]
        params += ["const int64 position", "Fold &fold", *[f"{d} &z{i}" for i, d in enumerate(self._stored)]]
        lines = [*part.lines, *[f"fold.fold{i}.take({f.value}, position);" for i, f in enumerate(folded)]]
        lines += [f"z{i} = {group.names[x]};" for i, x in enumerate(stored)]
        self._taken = f"RG_DEVICE void taken({', '.join(params)}) {{\n{joined(lines, 4)}\n}}\n"
        self._to = joined([f"{f.out} *to{i};" for i, f in enumerate(folded)], 4)
        self._done = [f"a.to{i}[o] = as<{f.out}>(fold.fold{i}.done(a.length));" for i, f in enumerate(folded)]
        self._words = [*dict.fromkeys([f.op.name for f in folded]), *["stored"] * bool(stored)]
        self._kernels: dict[Any, Kernel] = {}

    def __call__(self, device: Device, arrays: Sequence[Array]) -> list[Array]:
        """The reductions, and what is stored, of the arrays of all leaves of the group."""
        given = [arrays[i] for i in self.leaves]
        shape = broadcast(*[a.shape for a in given])
        outs = [device.empty(self._lengths(f, shape), f.out) for f in self._folded]
        stored = [device.empty(shape, d) for d in self._stored]
        n = size([m for a, m in enumerate(shape) if a not in self.axes])
        length = size([shape[a] for a in self.axes])
        if length == 0 and any([f.op.name in _NEED_ONE and (n or f.op.name[:3] == "arg") for f in self._folded]):
            raise ValueError("a reduction of no elements has no value")
        if n:
            self._run(device, [*given, *stored], shape, outs, n, length)
        return [*outs, *stored]

    def _lengths(self, fold: Folded, shape: Sequence[int]) -> list[int]:
        if fold.op.keepdims:
            return [1 if a in self.axes else m for a, m in enumerate(shape)]
        return [m for a, m in enumerate(shape) if a not in self.axes]

    def _run(
        self, device: Device, arrays: Sequence[Array], shape: Any, outs: Sequence[Array], n: int, length: int
    ) -> None:
        axes, every = self.axes, [over(a, shape) for a in arrays]
        kept, kept_strides = collapsed(
            [m for a, m in enumerate(shape) if a not in axes],
            [tuple([s for a, s in enumerate(strides) if a not in axes]) for strides in every],
        )
        inner, inner_strides = collapsed([shape[a] for a in axes], [tuple([s[a] for a in axes]) for s in every])
        sizes = [np.dtype(d).itemsize for d in (*self.dtypes, *self._stored)]
        chunk = 1 if _is_across(n, kept_strides, inner_strides) else _chunk(inner, length, sizes)
        wide, tall = _block(n, -(-length // chunk), chunk == 1 and _is_across(n, kept_strides, inner_strides))
        blocks = -(-n // wide)
        parts = max(1, min(_BLOCKS // blocks, length // (tall * chunk * 8)))
        part = chunk * -(-length // (parts * chunk)) if length else 1
        parts = -(-length // part) if length else 1
        places = [device.address(a) for a in arrays]
        ways = ways_of(inner_strides, sizes)
        if chunk > 1:
            ways = tuple(
                [_aligned(*w, chunk) for w in zip(ways, places, kept_strides, inner_strides, sizes, strict=True)]
            )
        partial = device.empty((parts * n * sum([f.bytes for f in self._folded]),), "uint8") if parts > 1 else None
        to = [device.address(a) for a in outs]
        place = 0 if partial is None else device.address(partial)
        arguments = [n, length, part, place, *to, len(kept), len(inner), *padded(kept), *padded(inner)]
        for at, k, i in zip(places, kept_strides, inner_strides, strict=True):
            arguments += [at, *padded(k), *padded(i), i[-1] if i else 0]
        kernel = self._kernel((chunk, ways if chunk > 1 else None, max(n, length) < 2**31))
        device.launch(kernel, (blocks, parts, 1), (wide, tall, 1), np.array(arguments, np.int64))
        if partial is not None:
            wide, tall = _block(n, parts, n >= 32)
            rest = np.array([n, parts, length, place, *to], np.int64)
            device.launch(self._kernel("join"), (-(-n // wide), 1, 1), (wide, tall, 1), rest)

    def _kernel(self, kind: Any) -> Kernel:
        made = self._kernels.get(kind)
        if made is None:
            body = self._joined() if kind == "join" else self._reduced(*kind)
            name = named([*self._words, *["joined"] * (kind == "join")], body)
            made = self._kernels[kind] = Kernel(name, body.replace("KERNEL", name))
        return made

    def _reduced(self, chunk: int, ways: Sequence[str] | None, is_small: bool) -> str:
        dtypes = [*self.dtypes, *self._stored]
        ins, outs = range(len(self.dtypes)), range(len(self.dtypes), len(dtypes))
        moves = Moves(dtypes, ways or ["row"] * len(dtypes), chunk)
        values = [*[moves.element(i) for i in ins], "r + k", "fold", *[f"w{i}.at[k]" for i in outs]]
        alone = [f"*({dtypes[i]} *)(p{i} + k * a.array[{i}].step)" for i in range(len(dtypes))]
        return self._fold + self._taken + _REDUCED.format(
            to=self._to, count=max(1, len(dtypes)), ndim=NDIM, threads=THREADS, chunk=chunk,
            index="uint32" if is_small else "int64",
            places=joined([f"char *const q{i} = a.array[{i}].data + at[{i}];" for i in range(len(dtypes))], 8),
            moved=joined([f"char *const p{i} = q{i} + at[{i}];" for i in range(len(dtypes))], 12),
            loads=joined(moves.loads(ins), 16), kept=joined(moves.kept(outs), 16), values=", ".join(values),
            stores=joined(moves.stores(outs), 16),
            alone=", ".join([*[alone[i] for i in ins], "r + k", "fold", *[alone[i] for i in outs]]),
            done=joined(self._done, 12),
        )  # fmt: skip

    def _joined(self) -> str:
        return self._fold + _JOINED.format(to=self._to, threads=THREADS, done=joined(self._done, 8))


def _is_across(n: int, kept: Sequence[Any], inner: Sequence[Any]) -> bool:
    """Whether neighbours in memory belong to different results."""
    return n >= 32 and any(
        [abs(k[-1]) < abs(i[-1]) and k[-1] != 0 for k, i in zip(kept, inner, strict=True) if k and i]
    )


def _chunk(inner: Sequence[int], length: int, sizes: Sequence[int]) -> int:
    """How many neighbours a thread takes at once. Like all that orders a fold it depends on shapes and strides alone,
    not on where arrays begin."""
    chunk = max(1, VECTOR // max(sizes, default=1))
    while chunk > 1 and (length < 32 * chunk or (len(inner) > 1 and inner[-1] % chunk)):
        chunk //= 2
    return chunk


def _block(n: int, length: int, is_across: bool) -> tuple[int, int]:
    """How many results a block has beside each other, and how many threads share one."""
    if is_across:
        return 32, 8
    tall = 1
    while tall < min(length, THREADS):
        tall *= 2
    return max(1, min(THREADS // tall, 32)), tall


def _aligned(way: str, place: int, kept: Sequence[int], inner: Sequence[int], size: int, chunk: int) -> str:
    """How elements are moved that lie in some way along the last axis: rows as vectors only where these begin right."""
    is_right = not any([n % (size * chunk) for n in (place, *kept, *inner[:-1])])
    return "any" if way == "row" and not is_right else way


_FOLD = """
struct Fold {{
{fields}
    __device__ void begin() {{ {begins} }}
    __device__ void join(const Fold &other) {{ {joins} }}
}};
"""

_FOLDING = """
    if (blockDim.y > 1) {{
        __shared__ __attribute__((aligned(16))) char raw[{threads} * sizeof(Fold)];
        Fold *all = (Fold *)raw;
        const int mine = threadIdx.y * blockDim.x + threadIdx.x;
        all[mine] = fold;
        for (int half = blockDim.y / 2; half; half /= 2) {{
            __syncthreads();
            if (threadIdx.y < half)
                all[mine].join(all[mine + half * blockDim.x]);
        }}
        fold = all[mine];
    }}
"""

_REDUCED = """
struct Arguments {{
    int64 n, length, part;
    Fold *partial;
{to}
    int64 kept, inner, kept_shape[{ndim}], inner_shape[{ndim}];
    struct {{
        char *data;
        int64 kept[{ndim}], inner[{ndim}], step;
    }} array[{count}];
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 o = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    const int64 first = blockIdx.y * a.part, last = first + a.part < a.length ? first + a.part : a.length;
    Fold fold;
    fold.begin();
    if (o < a.n) {{
        int64 at[{count}] = {{0}};
        {index} rest = ({index})o;
        for (int d = (int)a.kept - 1; d >= 0; d--) {{
            const {index} m = ({index})a.kept_shape[d], before = rest / m, i = rest - before * m;
            rest = before;
#pragma unroll
            for (int k = 0; k < {count}; k++)
                at[k] += (int64)i * a.array[k].kept[d];
        }}
{places}
        for (int64 r = first + threadIdx.y * {chunk}; r < last; r += blockDim.y * {chunk}) {{
            {index} left = ({index})r;
#pragma unroll
            for (int k = 0; k < {count}; k++)
                at[k] = 0;
            for (int d = (int)a.inner - 1; d >= 0; d--) {{
                const {index} m = ({index})a.inner_shape[d], before = d ? left / m : 0, i = left - before * m;
                left = before;
#pragma unroll
                for (int k = 0; k < {count}; k++)
                    at[k] += (int64)i * a.array[k].inner[d];
            }}
{moved}
            if (r + {chunk} <= last) {{
{loads}
{kept}
#pragma unroll
                for (int k = 0; k < {chunk}; k++)
                    taken({values});
{stores}
            }} else
                for (int k = 0; k < last - r; k++)
                    taken({alone});
        }}
    }}
""" + _FOLDING + """
    if (threadIdx.y == 0 && o < a.n) {{
        if (gridDim.y > 1)
            a.partial[blockIdx.y * a.n + o] = fold;
        else {{
{done}
        }}
    }}
}}
"""  # fmt: skip

_JOINED = """
struct Arguments {{
    int64 n, parts, length;
    const Fold *partial;
{to}
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 o = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    Fold fold;
    fold.begin();
    if (o < a.n)
        for (int64 part = threadIdx.y; part < a.parts; part += blockDim.y)
            fold.join(a.partial[part * a.n + o]);
""" + _FOLDING + """
    if (threadIdx.y == 0 && o < a.n) {{
{done}
    }}
}}
"""  # fmt: skip
