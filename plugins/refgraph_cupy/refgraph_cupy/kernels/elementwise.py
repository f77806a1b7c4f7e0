"""Elementwise ops: kernels of groups of them, each of which goes over memory once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgraph.backend import Variable
from refgraph_cupy.device import Array, Device, Kernel
from refgraph_cupy.kernels.group import Group, dtype_of, joined
from refgraph_cupy.layout import broadcast, collapsed, over, size
from refgraph_cupy.writing import THREADS, named

NDIM = 8
"""Axes that arrays have at most."""
VECTOR = 16
"""Bytes that a thread moves at once."""


class Elementwise:
    """Values of a group, of one shape, each stored whole."""

    def __init__(self, group: Group, outs: Sequence[Variable], words: Sequence[str]) -> None:
        part = group.part(outs)
        self.leaves, self.dtypes = part.leaves, [group.dtypes[i] for i in part.leaves]
        self.outs = [dtype_of(x) for x in outs]
        params = [*[f"const {d} x{i}" for i, d in zip(self.leaves, self.dtypes, strict=True)]]
        params += [f"{d} &z{i}" for i, d in enumerate(self.outs)]
        lines = [*part.lines, *[f"z{i} = {group.names[x]};" for i, x in enumerate(outs)]]
        self._computed = f"RG_DEVICE void computed({', '.join(params)}) {{\n{joined(lines, 4)}\n}}\n"
        self._words = words
        self._kernels: dict[Any, Kernel] = {}

    def __call__(self, device: Device, arrays: Sequence[Array]) -> list[Array]:
        """The values, of the arrays of all leaves of the group."""
        given = [arrays[i] for i in self.leaves]
        shape = broadcast(*[a.shape for a in given])
        outs = [device.empty(shape, d) for d in self.outs]
        if size(shape):
            self._into(device, [*given, *outs], shape)
        return outs

    def _into(self, device: Device, every: Sequence[Array], shape: Sequence[int]) -> None:
        shape, strides = collapsed(shape, [over(a, shape) for a in every])
        places = [device.address(a) for a in every]
        sizes = [np.dtype(d).itemsize for d in (*self.dtypes, *self.outs)]
        ways = ways_of(strides, sizes)
        is_flat = len(shape) < 2 and "any" not in ways
        lanes = lanes_of(shape, strides, places, sizes, ways, is_flat)
        count = -(-size(shape) // lanes)
        if is_flat:
            arguments = [size(shape), *places]
            kernel = self._kernel(("flat", ways, lanes))
        else:
            arguments = [count, len(shape), *padded([*shape[:-1], shape[-1] // lanes])]
            for place, steps in zip(places, strides, strict=True):
                arguments += [place, *padded([*steps[:-1], steps[-1] * lanes]), steps[-1]]
            kernel = self._kernel(("any", ways if lanes > 1 else None, lanes, count < 2**31))
        device.launch(kernel, (-(-count // THREADS), 1, 1), (THREADS, 1, 1), np.array(arguments, np.int64))

    def _kernel(self, kind: Any) -> Kernel:
        made = self._kernels.get(kind)
        if made is None:
            body = self._computed + (self._flat(*kind[1:]) if kind[0] == "flat" else self._any(*kind[1:]))
            name = named(self._words, body)
            made = self._kernels[kind] = Kernel(name, body.replace("KERNEL", name))
        return made

    def _flat(self, ways: Sequence[str], lanes: int) -> str:
        """The kernel of arrays that lie as one row: a thread has `lanes` neighbours, moved as one."""
        ins, outs = self.dtypes, self.outs
        rows = [i for i in range(len(ins)) if ways[i] == "row"]
        fields = [f"const {d} *x{i};" for i, d in enumerate(ins)] + [f"{d} *z{i};" for i, d in enumerate(outs)]
        once = [f"const {ins[i]} x{i} = *a.x{i};" for i in range(len(ins)) if i not in rows]
        loads = [
            f"const Lanes<{ins[i]}, {lanes}> y{i} = *(const Lanes<{ins[i]}, {lanes}> *)(a.x{i} + first);" for i in rows
        ]
        kept = [f"Lanes<{d}, {lanes}> w{i};" for i, d in enumerate(outs)]
        stores = [f"*(Lanes<{d}, {lanes}> *)(a.z{i} + first) = w{i};" for i, d in enumerate(outs)]
        vector = [f"y{i}.at[k]" if i in rows else f"x{i}" for i in range(len(ins))]
        alone = [f"a.x{i}[i]" if i in rows else f"x{i}" for i in range(len(ins))]
        return _FLAT.format(
            fields=joined(fields, 4), threads=THREADS, lanes=lanes, once=joined(once, 4), loads=joined(loads, 8),
            kept=joined(kept, 8), vector=", ".join([*vector, *[f"w{i}.at[k]" for i in range(len(outs))]]),
            stores=joined(stores, 8), alone=", ".join([*alone, *[f"a.z{i}[i]" for i in range(len(outs))]]),
        )  # fmt: skip

    def _any(self, ways: Sequence[str] | None, lanes: int, is_small: bool) -> str:
        """The kernel of arrays of any strides: a thread has `lanes` neighbours along the last axis."""
        dtypes = [*self.dtypes, *self.outs]
        moves = Moves(dtypes, ways or ["row"] * len(dtypes), lanes)
        given = [moves.element(i) for i in range(len(self.dtypes))]
        made = [f"w{i}.at[k]" for i in range(len(self.dtypes), len(dtypes))]
        places = [f"char *p{i} = a.array[{i}].data + at[{i}];" for i in range(len(dtypes))]
        return _ANY.format(
            count=len(dtypes), threads=THREADS, index="uint32" if is_small else "int64", ndim=NDIM, lanes=lanes,
            places=joined(places, 4), loads=joined(moves.loads(range(len(self.dtypes))), 4),
            kept=joined(moves.kept(range(len(self.dtypes), len(dtypes))), 4), given=", ".join([*given, *made]),
            stores=joined(moves.stores(range(len(self.dtypes), len(dtypes))), 4),
        )  # fmt: skip


def ways_of(strides: Sequence[Sequence[int]], sizes: Sequence[int]) -> tuple[str, ...]:
    """How each array lies along the last axis: as a row, as one element that is repeated, or in any other way."""
    last = [s[-1] if s else 0 for s in strides]
    return tuple(["one" if s == 0 else "row" if s == n else "any" for s, n in zip(last, sizes, strict=True)])


def lanes_of(
    shape: Sequence[int], strides: Any, places: Any, sizes: Sequence[int], ways: Sequence[str], is_flat: bool
) -> int:
    """How many neighbours along the last axis a thread takes: as many as make a vector, where rows begin at vectors."""
    rows = [i for i, way in enumerate(ways) if way == "row"]
    lanes = max(1, VECTOR // max(sizes))
    if not is_flat:
        while not shape or shape[-1] % lanes:
            lanes //= 2
    while any([n % (sizes[i] * lanes) for i in rows for n in (places[i], *strides[i][:-1])]):
        lanes //= 2
    return lanes


class Moves:
    """Text that moves neighbours along the last axis between arrays, at p0, p1, ..., and registers."""

    def __init__(self, dtypes: Sequence[str], ways: Sequence[str], lanes: int) -> None:
        self._dtypes, self._ways, self._lanes = dtypes, ways, lanes

    def _vector(self, i: int) -> str:
        return f"Lanes<{self._dtypes[i]}, {self._lanes}>"

    def _each(self, i: int) -> str:
        return f"*({self._dtypes[i]} *)(p{i} + k * a.array[{i}].step)"

    def loads(self, which: Sequence[int]) -> list[str]:
        lines = []
        for i in which:
            d, vector = self._dtypes[i], self._vector(i)
            if self._ways[i] == "one":
                lines.append(f"const {d} y{i} = *(const {d} *)p{i};")
            elif self._ways[i] == "row":
                lines.append(f"const {vector} y{i} = *(const {vector} *)p{i};")
            else:
                lines += [f"{vector} y{i};", "#pragma unroll", f"for (int k = 0; k < {self._lanes}; k++)"]
                lines.append(f"    y{i}.at[k] = {self._each(i)};")
        return lines

    def element(self, i: int) -> str:
        """The element number k of what was loaded."""
        return f"y{i}" if self._ways[i] == "one" else f"y{i}.at[k]"

    def kept(self, which: Sequence[int]) -> list[str]:
        return [f"{self._vector(i)} w{i};" for i in which]

    def stores(self, which: Sequence[int]) -> list[str]:
        lines = []
        for i in which:
            if self._ways[i] == "row":
                lines.append(f"*({self._vector(i)} *)p{i} = w{i};")
            else:
                lines += [
                    "#pragma unroll",
                    f"for (int k = 0; k < {self._lanes}; k++)",
                    f"    {self._each(i)} = w{i}.at[k];",
                ]
        return lines


_FLAT = """
struct Arguments {{
    int64 n;
{fields}
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 first = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * {lanes};
    if (first >= a.n)
        return;
{once}
    if (first + {lanes} <= a.n) {{
{loads}
{kept}
#pragma unroll
        for (int k = 0; k < {lanes}; k++)
            computed({vector});
{stores}
        return;
    }}
    for (int64 i = first; i < a.n; i++)
        computed({alone});
}}
"""

_ANY = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 strides[{ndim}], step;
    }} array[{count}];
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    {index} rest = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)rest >= a.n)
        return;
    int64 at[{count}] = {{0}};
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length, i = rest - before * length;
        rest = before;
#pragma unroll
        for (int k = 0; k < {count}; k++)
            at[k] += (int64)i * a.array[k].strides[d];
    }}
{places}
{loads}
{kept}
#pragma unroll
    for (int k = 0; k < {lanes}; k++)
        computed({given});
{stores}
}}
"""


def padded(numbers: Sequence[int]) -> list[int]:
    """Numbers for each axis that there may be."""
    if len(numbers) > NDIM:
        raise ValueError(f"more than {NDIM} axes")
    return [*numbers, *[0] * (NDIM - len(numbers))]
