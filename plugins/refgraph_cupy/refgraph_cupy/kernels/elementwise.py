"""Elementwise ops and reductions: kernels of groups of them, each of which goes over memory once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from refgraph.backend import Apply, Constant, Elemwise, Fused, Graph, Reduction, Variable
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.layout import broadcast, collapsed, over, size
from refgraph_cupy.making import makes
from refgraph_cupy.texts import Unsaid, expression, literal

NDIM = 8
"""Axes that arrays have at most."""
_THREADS = 256
_VECTOR = 16  # bytes that a thread moves at once

_FOLDS = {
    "sum": "Sum", "mean": "Mean", "norm": "Root", "count_nonzero": "Sum", "prod": "Prod", "prod_no_zeros": "Prod",
    "max": "Max", "min": "Min", "all": "All", "any": "Any", "bitwise_and_reduce": "And", "bitwise_or_reduce": "Or",
    "bitwise_xor_reduce": "Xor", "argmax": "ArgMax", "argmin": "ArgMin", "logsumexp": "LogSumExp",
}  # fmt: skip
"""For each reduction its fold in cuda/folds.h."""
_NEED_ONE = ("max", "min", "argmax", "argmin")


class Group:
    """A graph of elementwise ops as C++: leaves are x0, x1, ...; what is computed of them v0, v1, ..."""

    def __init__(self, graph: Graph) -> None:
        self.leaves: list[Variable] = list(graph.inputs)
        self.dtypes = [_dtype(x) for x in self.leaves]
        self.names = {x: f"x{i}" for i, x in enumerate(self.leaves)}
        self.lines: list[str] = []
        self.leaves_of = {x: {i} for i, x in enumerate(self.leaves)}
        """For each value the leaves that it is computed of, which give it its shape."""
        for node in graph.nodes:
            if isinstance(node.op, Elemwise):
                self._add(node)

    def _add(self, node: Apply) -> None:
        op: Any = node.op
        given = [self._name(x) for x in node.inputs]
        if op.name == "pow" and _is_natural(node):
            text, dtype = "power({x}, {y})", _dtype(node.outputs[0])
            text = f"power(as<{dtype}>({{x}}), as<{dtype}>({{y}}))"
        else:
            text, dtype = expression(op, tuple([_dtype(x) for x in node.inputs]))
        name = f"v{len(self.lines)}"
        self.lines.append(f"const {dtype} {name} = {text.format(**dict(zip('xyw', given, strict=False)))};")
        out = node.outputs[0]
        self.names[out] = name
        self.leaves_of[out] = set().union(*[self.leaves_of.get(x, set()) for x in node.inputs])

    def _name(self, x: Variable) -> str:
        if x not in self.names:
            assert isinstance(x, Constant)
            text = literal(x.value) if x.value.ndim == 0 else None
            if text is None:
                self.names[x] = f"x{len(self.leaves)}"
                self.leaves_of[x] = {len(self.leaves)}
                self.leaves.append(x)
                self.dtypes.append(_dtype(x))
            else:
                self.names[x] = text
        return self.names[x]

    def body(self, indent: str = "    ") -> str:
        return "\n".join([indent + line for line in self.lines])

    def params(self) -> str:
        return ", ".join([f"const {d} x{i}" for i, d in enumerate(self.dtypes)])


def _dtype(x: Any) -> str:
    return str(x.type.dtype)


def _is_natural(node: Apply) -> bool:
    """Whether a power of integers has an exponent that is known not to be negative."""
    exponent, out = node.inputs[1], _dtype(node.outputs[0])
    if out[0] not in "iu":
        return False
    return _dtype(exponent)[0] in "bu" or (isinstance(exponent, Constant) and bool(np.all(exponent.value >= 0)))


def named(words: Iterable[str], text: str) -> str:
    """A name for a kernel: what it does, and a number that is its text's."""
    said = "_".join(dict.fromkeys(["".join([c if c.isalnum() else "_" for c in w]).strip("_") for w in words]))
    return f"{said[:60]}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"


# --- elementwise


class Elementwise:
    """Values of a group, each stored whole."""

    def __init__(self, group: Group, outs: Sequence[Variable], words: Sequence[str]) -> None:
        self.dtypes, self.outs = list(group.dtypes), [_dtype(x) for x in outs]
        self.shaped_by = [sorted(group.leaves_of[x]) for x in outs]
        results = [f"{d} &z{i}" for i, d in enumerate(self.outs)]
        function = ", ".join([*([group.params()] if self.dtypes else []), *results])
        stores = "\n".join([f"    z{i} = {group.names[x]};" for i, x in enumerate(outs)])
        self._computed = f"RG_DEVICE void computed({function}) {{\n{group.body()}\n{stores}\n}}\n"
        self._words = words
        self._kernels: dict[Any, Kernel] = {}

    def __call__(self, device: Device, arrays: Sequence[Array]) -> list[Array]:
        shape = broadcast(*[a.shape for a in arrays])
        outs = [
            device.empty(broadcast(*[arrays[i].shape for i in leaves]), d)
            for leaves, d in zip(self.shaped_by, self.outs, strict=True)
        ]
        self.into(device, arrays, outs, shape)
        return outs

    def into(self, device: Device, arrays: Sequence[Array], outs: Sequence[Array], shape: Sequence[int]) -> None:
        """Compute elements of this shape into `outs`."""
        every = [*arrays, *outs]
        n = size(shape)
        if n == 0:
            if any([size(a.shape) for a in outs]):
                raise ValueError("what is stored is larger than what is computed with it")
            return
        shape, strides = collapsed(shape, [over(a, shape) for a in every])
        places = [device.address(a) for a in every]
        flat = self._flat(shape, strides, places)
        if flat is not None:
            single, lanes = flat
            kernel = self._kernel(("flat", single, lanes))
            arguments, count = [n, *places], -(-n // lanes)
        else:
            kernel = self._kernel(("any", n < 2**31))
            arguments, count = [n, len(shape), *_padded(shape)], n
            for place, steps in zip(places, strides, strict=True):
                arguments += [place, *_padded(steps)]
        device.launch(kernel, (-(-count // _THREADS), 1, 1), (_THREADS, 1, 1), np.array(arguments, np.uint64))

    def _flat(self, shape: Sequence[int], strides: Sequence[Any], places: Sequence[int]) -> Any:
        """Which leaves are single elements, and how many neighbours a thread takes, where all else lies as one row."""
        if len(shape) > 1:
            return None
        sizes = [np.dtype(d).itemsize for d in (*self.dtypes, *self.outs)]
        single = tuple([shape == () or s[0] == 0 for s in strides[: len(self.dtypes)]])
        rows = [i for i in range(len(places)) if i >= len(single) or not single[i]]
        if any([shape and strides[i][0] != sizes[i] for i in rows]):
            return None
        lanes = max(1, _VECTOR // max([sizes[i] for i in rows]))
        while any([places[i] % (sizes[i] * lanes) for i in rows]):
            lanes //= 2
        return single, lanes

    def _kernel(self, kind: Any) -> Kernel:
        made = self._kernels.get(kind)
        if made is None:
            body = self._computed + (self._row(*kind[1:]) if kind[0] == "flat" else self._any(kind[1]))
            name = named(self._words, body)
            made = self._kernels[kind] = Kernel(name, body.replace("KERNEL", name))
        return made

    def _row(self, single: Sequence[bool], lanes: int) -> str:
        """The kernel of arrays that lie as one row: a thread has `lanes` neighbours, moved as one."""
        ins, outs = self.dtypes, self.outs
        rows = [i for i in range(len(ins)) if not single[i]]
        fields = [f"const {d} *x{i};" for i, d in enumerate(ins)] + [f"{d} *z{i};" for i, d in enumerate(outs)]
        once = [f"const {ins[i]} x{i} = *a.x{i};" for i in range(len(ins)) if single[i]]
        loads = [f"const Lanes<{ins[i]}, {lanes}> y{i} = *(const Lanes<{ins[i]}, {lanes}> *)(a.x{i} + first);" for i in rows]
        kept = [f"Lanes<{d}, {lanes}> w{i};" for i, d in enumerate(outs)]
        stores = [f"*(Lanes<{d}, {lanes}> *)(a.z{i} + first) = w{i};" for i, d in enumerate(outs)]
        vector = [f"y{i}.at[k]" if i in rows else f"x{i}" for i in range(len(ins))]
        alone = [f"a.x{i}[i]" if i in rows else f"x{i}" for i in range(len(ins))]
        return _ROW.format(
            fields=_lines(fields, 4), threads=_THREADS, lanes=lanes, once=_lines(once, 4), loads=_lines(loads, 8),
            kept=_lines(kept, 8), vector=", ".join([*vector, *[f"w{i}.at[k]" for i in range(len(outs))]]),
            stores=_lines(stores, 8), alone=", ".join([*alone, *[f"a.z{i}[i]" for i in range(len(outs))]]),
        )  # fmt: skip

    def _any(self, is_small: bool) -> str:
        """The kernel of arrays of any strides: a thread has one element."""
        ins, outs = self.dtypes, self.outs
        count = len(ins) + len(outs)
        given = [f"*(const {d} *)(a.array[{i}].data + at[{i}])" for i, d in enumerate(ins)]
        made = [f"*({d} *)(a.array[{len(ins) + i}].data + at[{len(ins) + i}])" for i, d in enumerate(outs)]
        index = "uint32" if is_small else "int64"
        return _ANY.format(
            count=count, threads=_THREADS, index=index, ndim=NDIM, given=", ".join([*given, *made])
        )  # fmt: skip


_ROW = """
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
        int64 strides[{ndim}];
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
    computed({given});
}}
"""


# --- reductions


class Reduced:
    """One reduction of a value of a group."""

    def __init__(self, group: Group, node: Apply) -> None:
        op: Any = node.op
        self.op, x = op, node.inputs[0]
        self.dtypes = list(group.dtypes)
        self.shaped_by = sorted(group.leaves_of[x])
        self.out = _dtype(node.outputs[0])
        value, acc = _folded(op, group.names[x], _dtype(x), self.out)
        self.fold = f"folds::{_FOLDS[op.name]}<{acc}>"
        loads = [f"const {d} x{i} = *(const {d} *)(p{i} + at[{i}]);" for i, d in enumerate(self.dtypes)]
        places = [f"const char *p{i} = a.array[{i}].data + at[{i}];" for i in range(len(self.dtypes))]
        body = _REDUCED.format(
            count=len(self.dtypes), ndim=NDIM, fold=self.fold, out=self.out, threads=_THREADS,
            places=_lines(places, 8), loads=_lines(loads, 12), body=group.body(" " * 12), value=value,
        )  # fmt: skip
        name = named([op.name], body)
        self._kernel = Kernel(name, body.replace("KERNEL", name))
        joined = _JOINED.format(fold=self.fold, out=self.out, threads=_THREADS)
        name = named([op.name, "joined"], joined)
        self._join = Kernel(name, joined.replace("KERNEL", name))
        self._bytes = 16 * max(1, -(-2 * np.dtype(acc).itemsize // 16))
        """What a fold takes in memory at most."""

    def __call__(self, device: Device, arrays: Sequence[Array]) -> Array:
        shape = broadcast(*[arrays[i].shape for i in self.shaped_by])
        if shape != broadcast(*[a.shape for a in arrays]):
            raise ValueError("what is reduced is smaller than what is computed with it")
        axes = self.op.axis
        kept = [n for a, n in enumerate(shape) if a not in axes]
        reduced = [shape[a] for a in axes]
        lengths = [1 if a in axes else n for a, n in enumerate(shape)] if self.op.keepdims else kept
        out = device.empty(lengths, self.out)
        n, length = size(kept), size(reduced)
        if length == 0 and self.op.name in _NEED_ONE and (n or self.op.name.startswith("arg")):
            raise ValueError("a reduction of no elements has no value")
        if n:
            self._run(device, arrays, shape, out, n, length)
        return out

    def _run(self, device: Device, arrays: Sequence[Array], shape: Any, out: Array, n: int, length: int) -> None:
        axes = self.op.axis
        every = [over(a, shape) for a in arrays]
        kept, kept_strides = collapsed(
            [m for a, m in enumerate(shape) if a not in axes],
            [tuple([s for a, s in enumerate(strides) if a not in axes]) for strides in every],
        )
        inner, inner_strides = collapsed([shape[a] for a in axes], [tuple([s[a] for a in axes]) for s in every])
        wide, tall = _block(n, length, kept_strides, inner_strides)
        blocks = -(-n // wide)
        parts = max(1, min(64, length // (tall * 16), 512 // blocks))
        part = -(-length // parts) if length else 1
        parts = -(-length // part) if length else 1
        partial = device.empty((parts * n * self._bytes,), "uint8") if parts > 1 else None
        place = device.address(partial if partial is not None else out)
        arguments = [n, length, part, place, len(kept), len(inner), *_padded(kept), *_padded(inner)]
        for a, k, i in zip(arrays, kept_strides, inner_strides, strict=True):
            arguments += [device.address(a), *_padded(k), *_padded(i)]
        device.launch(self._kernel, (blocks, parts, 1), (wide, tall, 1), np.array(arguments, np.int64))
        if partial is not None:
            rest = [n, parts, length, place, device.address(out)]
            device.launch(self._join, (-(-n // 32), 1, 1), (32, 8, 1), np.array(rest, np.int64))


def _block(n: int, length: int, kept: Sequence[Any], inner: Sequence[Any]) -> tuple[int, int]:
    """How many results a block has beside each other, and how many threads share one: neighbours in memory are taken
    by neighbouring threads."""
    across = sum([abs(k[-1]) < abs(i[-1]) and k[-1] != 0 for k, i in zip(kept, inner, strict=True) if k and i])
    if across and n >= 32:
        return 32, 8
    tall = 1
    while tall < min(length, _THREADS):
        tall *= 2
    return max(1, min(_THREADS // tall, 32)), tall


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
typedef {fold} Fold;

struct Arguments {{
    int64 n, length, part;
    char *to;
    int64 kept, inner, kept_shape[{ndim}], inner_shape[{ndim}];
    struct {{
        const char *data;
        int64 kept[{ndim}], inner[{ndim}];
    }} array[{count}];
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 o = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    const int64 first = blockIdx.y * a.part, last = first + a.part < a.length ? first + a.part : a.length;
    Fold fold;
    fold.begin();
    if (o < a.n) {{
        int64 at[{count}] = {{0}}, rest = o;
        for (int d = (int)a.kept - 1; d >= 0; d--) {{
            const int64 i = rest % a.kept_shape[d];
            rest /= a.kept_shape[d];
            for (int k = 0; k < {count}; k++)
                at[k] += i * a.array[k].kept[d];
        }}
{places}
        for (int64 r = first + threadIdx.y; r < last; r += blockDim.y) {{
            int64 left = r;
            for (int k = 0; k < {count}; k++)
                at[k] = 0;
            for (int d = (int)a.inner - 1; d >= 0; d--) {{
                const int64 before = d ? left / a.inner_shape[d] : 0, i = left - before * a.inner_shape[d];
                left = before;
                for (int k = 0; k < {count}; k++)
                    at[k] += i * a.array[k].inner[d];
            }}
{loads}
{body}
            fold.take({value}, r);
        }}
    }}
""" + _FOLDING + """
    if (threadIdx.y == 0 && o < a.n) {{
        if (gridDim.y > 1)
            ((Fold *)a.to)[blockIdx.y * a.n + o] = fold;
        else
            (({out} *)a.to)[o] = as<{out}>(fold.done(a.length));
    }}
}}
"""

_JOINED = """
typedef {fold} Fold;

struct Arguments {{
    int64 n, parts, length;
    const Fold *from;
    {out} *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 o = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    Fold fold;
    fold.begin();
    if (o < a.n)
        for (int64 part = threadIdx.y; part < a.parts; part += blockDim.y)
            fold.join(a.from[part * a.n + o]);
""" + _FOLDING + """
    if (threadIdx.y == 0 && o < a.n)
        a.to[o] = as<{out}>(fold.done(a.length));
}}
"""


_WIDER = {"float16": "float64", "float32": "float64", "complex64": "complex128"}


def _folded(op: Any, value: str, dtype: str, out: str) -> tuple[str, str]:
    """The element that a fold takes, and the dtype of its accumulator."""
    name = op.name
    if name not in _FOLDS:
        raise Unsaid(f"no kernel for {name}")
    if name in ("max", "min", "argmax", "argmin") or name.startswith("bitwise"):
        if dtype.startswith("complex"):
            raise Unsaid(f"no kernel for {name} of {dtype}")
        acc = "float32" if dtype == "float16" else dtype
    elif name in ("all", "any"):
        acc = "bool"
    elif name == "count_nonzero":
        return f"int64(as<bool>({value}))", "int64"
    elif name == "logsumexp":
        if dtype.startswith("complex"):
            raise Unsaid(f"no kernel for {name} of {dtype}")
        acc = "float64"
    elif name == "norm":
        if dtype.startswith("complex"):
            value = f"as<complex128>({value})"
            return f"({value}.real() * {value}.real() + {value}.imag() * {value}.imag())", "float64"
        value = f"as<float64>({value})"
        return f"({value} * {value})", "float64"
    else:
        acc = op.dtypes_for(dtype)[1] or out
        acc = _WIDER.get(acc, acc)
    return f"as<{acc}>({value})", acc


def _padded(numbers: Sequence[int]) -> list[int]:
    if len(numbers) > NDIM:
        raise ValueError(f"more than {NDIM} axes")
    return [*numbers, *[0] * (NDIM - len(numbers))]


def _lines(lines: Sequence[str], indent: int) -> str:
    return "\n".join([" " * indent + line for line in lines])


# --- what runs a node


@makes(Elemwise, Reduction, Fused)
def group(node: Apply) -> Callable[..., Any] | str:
    """A group of elementwise ops, and of reductions of what these compute."""
    op: Any = node.op
    if isinstance(op, Fused):
        graph = op.graph
    else:
        fresh = [x.type.variable() for x in node.inputs]
        graph = Graph(fresh, node.with_inputs(fresh).outputs)
    try:
        return _kernel(graph, [n.op.name for n in graph.nodes])
    except Unsaid as why:
        return str(why)


def _kernel(graph: Graph, words: Sequence[str]) -> Callable[..., Any]:
    """What computes the outputs of such a graph. Raises Unsaid where there is no kernel."""
    group = Group(graph)
    makers = {out: node for node in graph.nodes for out in node.outputs}
    stored = [x for x in graph.outputs if not isinstance(makers[x].op, Reduction)]
    reduced = {x: Reduced(group, makers[x]) for x in graph.outputs if isinstance(makers[x].op, Reduction)}
    store = Elementwise(group, stored, words) if stored else None
    constants = [x.value for x in group.leaves if isinstance(x, Constant)]
    uploaded: list[Array] = []

    def run(*arrays: Array) -> Any:
        device = current()
        if constants and not uploaded:
            uploaded.extend([device.upload(value) for value in constants])
        given = [*arrays, *uploaded]
        found: dict[Variable, Array] = {}
        if store is not None:
            found.update(zip(stored, store(device, given), strict=True))
        for x, reduce in reduced.items():
            found[x] = reduce(device, given)
        results = tuple([found[x] for x in graph.outputs])
        return results if len(results) > 1 else results[0]

    return run
