"""Random numbers: draws, each of whose elements is a function of key, call and its number, and so the interpreter's.

Key and call are read in memory of the device: a call that is recorded draws anew whenever it is replayed. What a draw
depends on besides is looked at before, where it is not constant, by a kernel that sets a flag.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import (
    Apply,
    Constant,
    RandomBernoulli,
    RandomBinomial,
    RandomCategorical,
    RandomDistinct,
    RandomFork,
    RandomIntegers,
    RandomMultinomial,
    RandomNormal,
    RandomPoisson,
    RandomUniform,
)
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.kernels.construct import filled_in
from refgraph_cupy.kernels.cumulative import accumulated
from refgraph_cupy.kernels.sorting import argsorted
from refgraph_cupy.layout import broadcast, collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.moving import contiguous, copied
from refgraph_cupy.writing import NDIM, THREADS, padded, run, written


def _lengths(node: Apply) -> range:
    """Which inputs are lengths."""
    op: Any = node.op
    return range(1 + op.arity, len(node.inputs))


def _dtypes(node: Apply) -> list[str]:
    """The dtypes of the parameters."""
    op: Any = node.op
    inputs: Any = node.inputs[1 : 1 + op.arity]
    return [x.type.dtype for x in inputs]


def _is_sure(node: Apply) -> bool:
    """Whether all parameters are constant: then they have been looked at when the graph was made."""
    op: Any = node.op
    return all([isinstance(x, Constant) for x in node.inputs[1 : 1 + op.arity]])


# --- what all draws share


def _draw(
    device: Device, kernel: Kernel, each: int, state: Array, out: Array, given: Sequence[Array],
    width: int = 0, is_rows: bool = False,
) -> Array:  # fmt: skip
    """Run a kernel that has a thread for each `each` elements, or where these are rows, for each. Its parameters are
    numbers, or rows of `width` numbers, of which the first is given.

    Raises ValueError where parameters do not fit.
    """
    if state.shape != (2,):
        raise ValueError(f"a random state of shape {state.shape}")
    shape = out.shape[: out.ndim - is_rows]
    given = [device.broadcast(x, shape) for x in given]
    lengths, strides = collapsed(shape, [over(x, shape) for x in given])
    if not any([s for steps in strides for s in steps]):
        lengths, strides = (), [() for _ in given]
    n = size(shape)
    arguments = [n, device.address(state), int(state.strides[0]), device.address(out), width]
    arguments += [len(lengths), *padded(lengths)]
    for x, steps in zip(given, strides, strict=True):
        arguments += [device.address(x), *padded(steps)]
    run(device, kernel, -(-n // each), arguments)
    return out


@cache
def _drawing(
    word: str, out: str, each: int, body: str, given: tuple[str, ...] = (), wide: str = "float64", is_rows: bool = False
) -> Kernel:
    """`body` makes z.at[0], ... of `words`; of parameters each element has its own p0, ..., as `wide`. Of rows the body
    writes all."""
    reads = [f"const {wide} p{k} = as<{wide}>(*(const {d} *)(a.of[{k}].data + in{k}));" for k, d in enumerate(given)]
    zero = "".join([f", in{k} = 0" for k in range(len(given))])
    more = " ".join([f"in{k} += i * a.of[{k}].strides[d];" for k in range(len(given))])
    if given:
        body = _EACH.format(each=each, zero=zero, more=more, reads=" ".join(reads), body=body)
    if not is_rows:
        body = _STORED.format(out=out, each=each, body=body)
    text = _DRAW.format(out=out, each=each, body=body, count=max(len(given), 1), ndim=NDIM, threads=THREADS)
    return written(word, text)


_DRAW = """
struct Arguments {{
    int64 n;
    const char *state;
    int64 step;
    {out} *to;
    int64 width, ndim, shape[{ndim}];
    struct {{
        const char *data;
        int64 strides[{ndim}];
    }} of[{count}];
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 number = (int64)blockIdx.x * blockDim.x + threadIdx.x, first = number * {each};
    if (first >= a.n)
        return;
    const uint64 key = *(const uint64 *)a.state, call = *(const uint64 *)(a.state + a.step);
    const Words words = philox(key, call, (uint64)number);
    {body}
}}
"""

_STORED = """
    Lanes<{out}, {each}> z;
    {body}
    if (first + {each} <= a.n)
        *(Lanes<{out}, {each}> *)(a.to + first) = z;
    else
        for (int k = 0; k < (int)(a.n - first); k++)
            a.to[first + k] = z.at[k];
"""

_EACH = """
    for (int k = 0; k < {each}; k++) {{
        int64 rest = first + k < a.n ? first + k : first{zero};
        for (int d = (int)a.ndim - 1; d >= 0; d--) {{
            const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
            rest = before;
            {more}
        }}
        {reads}
        {body}
    }}
"""


def _require(device: Device, good: str, arrays: Sequence[Array], error: str) -> None:
    """Raise ValueError where something does not hold of the elements x, y of some arrays, broadcast together."""
    dtypes = tuple([str(x.dtype) for x in arrays])
    shape = broadcast(*[x.shape for x in arrays])
    lengths, strides = collapsed(shape, [over(x, shape) for x in arrays])
    arguments = [size(shape), device.address(device.flag()), len(lengths), *padded(lengths)]
    for x, steps in zip(arrays, strides, strict=True):
        arguments += [device.address(x), *padded(steps)]
    run(device, _requiring(good, dtypes), size(shape), arguments)
    device.check(ValueError(error))


@cache
def _requiring(good: str, dtypes: tuple[str, ...]) -> Kernel:
    named = list(zip("xy", dtypes, strict=False))
    text = _REQUIRE.format(
        good=good, ndim=NDIM, threads=THREADS, count=len(dtypes),
        zero=", ".join([f"in{v} = 0" for v, _ in named]),
        more=" ".join([f"in{v} += i * a.of[{k}].strides[d];" for k, (v, _) in enumerate(named)]),
        reads=" ".join([f"const {d} {v} = *(const {d} *)(a.of[{k}].data + in{v});" for k, (v, d) in enumerate(named)]),
    )  # fmt: skip
    return written("require", text)


_REQUIRE = """
struct Arguments {{
    int64 n;
    int32 *wrong;
    int64 ndim, shape[{ndim}];
    struct {{
        const char *data;
        int64 strides[{ndim}];
    }} of[{count}];
}};

// Whether one number is below another, as numbers: of two integers of any dtypes.
template <typename A, typename B> RG_DEVICE bool is_below(A x, B y) {{
    return (x < A(0)) != (y < B(0)) ? x < A(0) : (uint64)x < (uint64)y;
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    int64 rest = (int64)blockIdx.x * blockDim.x + threadIdx.x, {zero};
    if (rest >= a.n)
        return;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        {more}
    }}
    {reads}
    if (!({good}))
        *a.wrong = 1;
}}
"""

_TRIALS = "x >= 0 && as<float64>(x) <= 0x1p53"
_PROBABILITY = "as<float64>(x) >= 0 && as<float64>(x) <= 1"
_RATE = "as<float64>(x) >= 0 && as<float64>(x) <= 0x1p53"


# --- real numbers


def _each(dtype: str) -> int:
    """How many elements a block of words makes."""
    return 2 if dtype == "float64" else 4


def _plain(node: Apply, body: str) -> Run:
    """A draw without parameters."""
    op: Any = node.op
    each = _each(op.dtype)
    kernel = _drawing(op.name, op.dtype, each, body)

    def make(state: Array, *lengths: Any) -> Array:
        device = current()
        return _draw(device, kernel, each, state, device.empty(filled_in(op.shape, lengths), op.dtype), [])

    return make


@makes(RandomUniform, read=_lengths)
def uniform(node: Apply) -> Run:
    op: Any = node.op
    bits = np.finfo(op.dtype).nmant + (not op.open)
    if op.dtype == "float64":
        number = f"{'inside' if op.open else 'unit'}(words.pair(k))"
    else:
        half = " + 0.5f" * op.open
        number = f"({op.dtype})(((float32)(words.at[k] >> {32 - bits}){half}) * 0x1p-{bits}f)"
    return _plain(node, f"for (int k = 0; k < {_each(op.dtype)}; k++) z.at[k] = {number};")


@makes(RandomNormal, read=_lengths)
def normal(node: Apply) -> Run:
    """In double precision, rounded once."""
    op: Any = node.op
    if op.dtype == "float64":
        return _plain(node, "point(inside(words.pair(0)), inside(words.pair(1)), words.pair(1), z.at);")
    return _plain(node, _POINTS.format(dtype=op.dtype))


_POINTS = """
    for (int k = 0; k < 4; k += 2) {{
        float64 pair[2];
        const uint32 u = words.at[k], t = words.at[k + 1];
        point((u + 0.5) * 0x1p-32, ((t >> 2) + 0.5) * 0x1p-30, t, pair);
        z.at[k] = ({dtype})pair[0], z.at[k + 1] = ({dtype})pair[1];
    }}
"""


# --- whole numbers, each of parameters of its own


@makes(RandomIntegers, read=_lengths)
def integers(node: Apply) -> Run:
    op: Any = node.op
    last = int(op.endpoint)
    low, high = _dtypes(node)
    body = f"const uint64 r = p1 - p0 + {last};\n        z.at[k] = ({op.dtype})(p0 + {_PICKED});"
    kernel = _drawing(op.name, op.dtype, 2, body, (low, high), "uint64")
    info = np.iinfo(op.dtype)
    good = " && ".join(
        [
            "!is_below(y, x)" if last else "is_below(x, y)",
            f"!is_below(x, {op.dtype}({info.min + (info.min < 0)}ll - {int(info.min < 0)}))",
            f"(y <= 0 || (uint64)y - {1 - last} <= {info.max}ull)",
        ]
    )

    is_sure = _is_sure(node)

    def make(state: Array, first: Array, end: Array, *lengths: Any) -> Array:
        device = current()
        out = device.empty(filled_in(op.shape, lengths), op.dtype)
        if out.size and not is_sure:
            _require(device, good, [first, end], "there is nothing to choose from, or it does not fit")
        return _draw(device, kernel, 2, state, out, [first, end])

    return make


_PICKED = "below(r, key, call, (uint64)number, k, words.pair(k))"


def _counted(node: Apply, each: int, body: str, good: Sequence[str]) -> Run:
    """A draw of parameters, of each of which something has to hold."""
    op: Any = node.op
    kernel = _drawing(op.name, op.dtype, each, body, tuple(_dtypes(node)))
    wanted = [] if _is_sure(node) else list(good)

    def make(state: Array, *rest: Any) -> Array:
        device, parameters = current(), rest[: op.arity]
        for x, text in zip(parameters, wanted, strict=False):
            _require(device, text, [x], f"{op.name}: a parameter out of range")
        out = device.empty(filled_in(op.shape, rest[op.arity :]), op.dtype)
        return _draw(device, kernel, each, state, out, parameters)

    return make


@makes(RandomBernoulli, read=_lengths)
def bernoulli(node: Apply) -> Run:
    return _counted(node, 4, "z.at[k] = words.at[k] < p0 * 0x1p32;", [_PROBABILITY])


@makes(RandomBinomial, read=_lengths)
def binomial(node: Apply) -> Run:
    body = "z.at[k] = successes(key, call, (uint64)first, p0, p1);"
    return _counted(node, 1, body, [_TRIALS, _PROBABILITY])


@makes(RandomPoisson, read=_lengths)
def poisson(node: Apply) -> Run:
    return _counted(node, 1, "z.at[k] = events(key, call, (uint64)first, p0);", [_RATE])


# --- distributions of categories: the last axis of a parameter


def _sums(device: Device, p: Array, is_sure: bool, reverse: bool = False) -> Array:
    """Running sums of probabilities along their last axis. Raises ValueError where they are none.

    A sum may be off by the square root of the dtype's precision.
    """
    count = p.shape[-1]
    if count == 0:
        raise ValueError("there are no categories to choose from")
    sums = accumulated(device, p, "float64", "x + y", p.ndim - 1, reverse)
    if not is_sure:
        slack = math.sqrt(np.finfo(p.dtype if p.dtype.kind == "f" else np.float64).eps)
        totals = sums[..., :1] if reverse else sums[..., count - 1 :]
        good = f"as<float64>(x) >= 0 && fabs(y - 1) <= {float(slack).hex()}"
        _require(device, good, [p, totals], "probabilities that are negative, or whose sum is not 1")
    return sums


@makes(RandomCategorical, read=_lengths)
def categorical(node: Apply) -> Run:
    """Each element looks for its number in a row of running sums."""
    op: Any = node.op
    kernel = _drawing(op.name, "int64", 2, _SEARCH, ("float64",))
    is_sure = _is_sure(node)

    def make(state: Array, p: Array, *lengths: Any) -> Array:
        device = current()
        sums = _sums(device, p, is_sure)
        out = device.empty(filled_in(op.shape, lengths), "int64")
        return _draw(device, kernel, 2, state, out, [sums[..., 0]], p.shape[-1])

    return make


_SEARCH = """
        (void)p0;
        const float64 *const sums = (const float64 *)(a.of[0].data + in0), total = sums[a.width - 1];
        const float64 u = unit(words.pair(k));
        int64 least = 0, most = a.width;
        while (least < most) {
            const int64 middle = (least + most) / 2;
            if (sums[middle] / total <= u)
                least = middle + 1;
            else
                most = middle;
        }
        z.at[k] = least;
"""


@makes(RandomMultinomial, read=_lengths)
def multinomial(node: Apply) -> Run:
    """A thread takes a row: each count is of the trials that those before have left open."""
    op: Any = node.op
    trials, dtype = _dtypes(node)
    given = (trials, dtype, "float64")
    kernel = _drawing(op.name, "int64", 1, _SPREAD.format(p=dtype), given, is_rows=True)
    n_is_sure, p_is_sure = [isinstance(x, Constant) for x in node.inputs[1:3]]

    def make(state: Array, n: Array, p: Array, *lengths: Any) -> Array:
        device, shape = current(), filled_in(op.shape, lengths)
        if not n_is_sure:
            _require(device, _TRIALS, [n], "the number of trials is from 0 to 2**53")
        p = contiguous(device, p)
        sums = _sums(device, p, p_is_sure, reverse=True)
        if p.shape[-1] != shape[-1]:
            raise ValueError(f"{p.shape[-1]} probabilities for {shape[-1]} categories")
        rows = [n, p[..., 0], sums[..., 0]]
        return _draw(device, kernel, 1, state, device.empty(shape, "int64"), rows, shape[-1], is_rows=True)

    return make


_SPREAD = """
        (void)p1, (void)p2;
        const {p} *const p = (const {p} *)(a.of[1].data + in1);
        const float64 *const open = (const float64 *)(a.of[2].data + in2);
        int64 *const to = a.to + first * a.width;
        int64 left = (int64)p0;
        for (int64 j = 0; j < a.width - 1; j++) {{
            const float64 share = open[j] > 0 ? as<float64>(p[j]) / open[j] : 0;
            const uint64 turn = (uint64)(first * a.width + j);
            const int64 count = successes(key, call, turn, (float64)left, share < 1 ? share : 1);
            to[j] = count, left -= count;
        }}
        to[a.width - 1] = left;
"""


# --- different numbers


@makes(
    RandomDistinct,
    read=lambda node: [*([] if _is_weighed(node) else [1]), *_lengths(node)],
)
def distinct(node: Apply) -> Run:
    """The places of random keys, in their order."""
    op: Any = node.op
    if _is_weighed(node):
        return _weighed(node)
    keys = _drawing("random_keys", "uint64", 2, "for (int k = 0; k < 2; k++) z.at[k] = words.pair(k);")

    def make(state: Array, population: Any, *lengths: Any) -> Array:
        device, shape, n = current(), filled_in(op.shape, lengths), int(population)
        _refuse(n, shape[-1])
        drawn = _draw(device, keys, 2, state, device.empty((size(shape[:-1]), n), "uint64"), [])
        return copied(device, argsorted(device, drawn)[:, : shape[-1]]).reshape(shape)

    return make


def _is_weighed(node: Apply) -> bool:
    """Whether the population is a vector of probabilities."""
    population: Any = node.inputs[1]
    return bool(population.type.ndim == 1)


def _refuse(n: int, k: int) -> None:
    if n < 0 or k > n:
        raise ValueError(f"cannot take {k} different ones of {n}")


def _weighed(node: Apply) -> Run:
    op: Any = node.op
    (dtype,) = _dtypes(node)
    keys = _drawing("random_keys", "float64", 2, "z.at[k] = -::log(inside(words.pair(k))) / p0;", (dtype,))
    chosen = written("chosen", _CHOSEN.format(dtype=dtype, threads=THREADS))
    is_sure = _is_sure(node)

    def make(state: Array, p: Array, *lengths: Any) -> Array:
        device, shape, n = current(), filled_in(op.shape, lengths), len(p)
        k, rows = shape[-1], max(size(shape[:-1]), 1)  # too few are refused also where no row is wanted
        _refuse(n, k)
        _sums(device, p, is_sure)
        order = argsorted(device, _draw(device, keys, 2, state, device.empty((rows, n), "float64"), [p]))
        out = device.empty((rows, k), "int64")
        step = int(p.strides[0])
        arguments = [out.size, k, n, step, *[device.address(x) for x in (p, order, out, device.flag())]]
        run(device, chosen, out.size, arguments)
        device.check(ValueError("too few have a probability above 0"))
        return out[: size(shape[:-1])].reshape(shape)

    return make


_CHOSEN = """
struct Arguments {{
    int64 rows, count, n, step;
    const char *p;
    const int64 *order;
    int64 *to;
    int32 *wrong;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.rows)
        return;
    const int64 row = i / a.count, place = a.order[row * a.n + (i - row * a.count)];
    if (!(as<float64>(*(const {dtype} *)(a.p + place * a.step)) > 0))
        *a.wrong = 1;
    a.to[i] = place;
}}
"""


# --- states of loops


@makes(RandomFork)
def fork(node: Apply) -> Run:
    """The finaliser of splitmix64, of key, call number, and "loop" in ASCII."""

    def make(state: Array) -> Array:
        device = current()
        if len(state) < 2:
            raise ValueError("a random state has 2 elements")
        out = device.empty((2,), "uint64")
        arguments = [device.address(state), int(state.strides[0]), device.address(out)]
        device.launch(written("fork", _FORK), (1, 1, 1), (1, 1, 1), np.array(arguments, np.int64))
        return out

    return make


_FORK = """
struct Arguments {
    const char *state;
    int64 step;
    uint64 *to;
};

extern "C" __global__ void KERNEL(const Arguments a) {
    const uint64 words[3] = {*(const uint64 *)a.state, *(const uint64 *)(a.state + a.step), 0x6C6F6F70ull};
    uint64 h = 0;
    for (int i = 0; i < 3; i++) {
        h = (h ^ words[i]) + 0x9E3779B97F4A7C15ull;
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9ull;
        h = (h ^ h >> 27) * 0x94D049BB133111EBull;
        h ^= h >> 31;
    }
    a.to[0] = h;
    a.to[1] = 0;
}
"""
