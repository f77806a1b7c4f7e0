"""Order: sorting, the greatest, distinct values, places in sorted arrays, counts of integers.

All are made of one sort, by merging: a block sorts a tile of a row, first a few neighbours in each thread, then by
merging twice as many at a time, in shared memory; longer rows are tiles that are merged in passes over memory, where
each block finds by bisection which parts of two runs its tile of the result is made of (O. Green, R. McColl, D. A.
Bader, "GPU merge path: a GPU merging algorithm", ICS 2012). It is stable, so that results are the interpreter's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import Apply, ArgSort, ArgTopK, BinCount, SearchSorted, Sort, Unique
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.kernels.cumulative import accumulated
from refgraph_cupy.layout import collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.moving import contiguous, copied
from refgraph_cupy.writing import NDIM, THREADS, padded, run, written

_ITEMS = 9
"""Neighbours that a thread sorts by itself: an odd number, so that threads read different banks of shared memory."""
_TILE = THREADS * _ITEMS
_SHARES = (1, 4, 16, 64, THREADS)
"""How many threads of a block take a row, or a tile of one."""
_MOST = 2**31 - 1


# --- the sort


class _Order(NamedTuple):
    """What is sorted: values of a dtype, or numbers of slices, which go by one element after the other."""

    dtype: str
    has_places: bool = False
    """Whether keys take along where they were."""
    is_falling: bool = False
    is_of_slices: bool = False

    @property
    def key(self) -> str:
        return "int32" if self.is_of_slices else self.dtype

    def text(self, fields: str, body: str) -> str:
        """A kernel: what compares two keys, its arguments, what merges, and what it does."""
        compare = _BY_SLICES if self.is_of_slices else f"return precedes({'y, x' if self.is_falling else 'x, y'});"
        words = {"key": self.key, "element": self.dtype, "has_places": int(self.has_places), "compare": compare,
                 "tile": _TILE, "items": _ITEMS, "threads": THREADS, "fields": fields, "body": body}  # fmt: skip
        return _SORT.format(**words)


class _Keys(NamedTuple):
    """Rows of keys, and of places, int32: None where each key is, or has, its place."""

    values: Array
    places: Array
    rows: int
    length: int

    def addresses(self, device: Device) -> list[int]:
        return [0 if x is None else device.address(x) for x in (self.values, self.places)]


def _new(device: Device, order: _Order, rows: int, length: int) -> _Keys:
    places = device.empty((rows, length), "int32") if order.has_places else None
    return _Keys(device.empty((rows, length), order.key), places, rows, length)


def _tiles_sorted(device: Device, order: _Order, of: list[int], keys: _Keys, kept: int = _TILE) -> _Keys:
    """Tiles of rows, each sorted by itself: of every one the first `kept`. `of`: slices, if they are what is sorted."""
    if keys.length > _MOST:
        raise ValueError(f"{keys.length} elements are too many to be sorted")
    share = next(n for n in _SHARES if n * _ITEMS >= keys.length or n == THREADS)
    tiles, each = -(-keys.length // (share * _ITEMS)), THREADS // share
    wanted = _new(device, order, keys.rows, (tiles - 1) * kept + min(kept, keys.length - (tiles - 1) * _TILE))
    arguments = [*of, keys.rows, keys.length, *keys.addresses(device), *wanted.addresses(device), tiles]
    arguments += [kept, wanted.length]
    device.launch(
        _tiling(order, share), (-(-keys.rows * tiles // each), 1, 1), (share, each, 1), np.array(arguments, np.int64)
    )
    return wanted


def _sorted(device: Device, order: _Order, of: list[int], keys: _Keys) -> _Keys:
    """Rows in order."""
    found = _tiles_sorted(device, order, of, keys)
    tiles, run_length = -(-keys.length // _TILE), _TILE
    while run_length < keys.length:
        merged = _new(device, order, keys.rows, keys.length)
        arguments = [*of, keys.rows, keys.length, *found.addresses(device), *merged.addresses(device), tiles]
        arguments += [run_length]
        device.launch(_merging(order), (keys.rows * tiles, 1, 1), (THREADS, 1, 1), np.array(arguments, np.int64))
        found, run_length = merged, 2 * run_length
    return found


def _keys(x: Array) -> _Keys:
    """Rows along the last axis of an array that is as C lays it."""
    return _Keys(x, None, size(x.shape[:-1]), x.shape[-1])


_BY_VALUES = [0, 0]


def sorted_rows(device: Device, x: Array) -> Array:
    """A new array of the elements of each row along the last axis, in order."""
    if x.size == 0:
        return device.empty(x.shape, x.dtype)
    return _sorted(device, _Order(str(x.dtype)), _BY_VALUES, _keys(contiguous(device, x))).values.reshape(x.shape)


def argsorted(device: Device, x: Array, is_falling: bool = False) -> Array:
    """The places of the elements of each row along the last axis, int64, in order; equal ones stay in theirs."""
    if x.size == 0:
        return device.empty(x.shape, "int64")
    found = _sorted(device, _Order(str(x.dtype), True, is_falling), _BY_VALUES, _keys(contiguous(device, x)))
    return copied(device, found.places, "int64").reshape(x.shape)


def _first_places(device: Device, x: Array, count: int, is_falling: bool) -> Array:
    """The first places of `argsorted`. Of few, each tile keeps as many, until there is one tile."""
    keys = _keys(contiguous(device, x))
    if x.size == 0 or keys.length <= _TILE or count > _TILE // 2:
        return argsorted(device, x, is_falling)[..., :count]
    order = _Order(str(x.dtype), True, is_falling)
    while keys.places is None or keys.length > count:
        keys = _tiles_sorted(device, order, _BY_VALUES, keys, count)
    return keys.places.reshape((*x.shape[:-1], count))


def _slices_argsorted(device: Device, x: Array) -> Array:
    """The places of the rows of a matrix, as C lays it, int32, in order."""
    of = [device.address(x), x.shape[1]]
    return _sorted(device, _Order(str(x.dtype), is_of_slices=True), of, _Keys(None, None, 1, len(x))).values.reshape(-1)


_SORT = """
struct Order {{
    const {element} *slices;
    int64 width;
    __device__ bool operator()(const {key} x, const {key} y) const {{
        {compare}
    }}
}};

struct Arguments {{
    Order order;
    int64 rows, length;
    const {key} *keys;
    const int32 *places;
    {key} *to;
    int32 *to_places;
    int64 tiles, {fields};
}};

// How many of the first n of two runs, merged, are of the first run; of equal ones those of the first come first.
template <typename I> RG_DEVICE I reach(const Order &order, const {key} *x, I of_x, const {key} *y, I of_y, I n) {{
    I least = n > of_y ? n - of_y : 0, most = n < of_x ? n : of_x;
    while (least < most) {{
        const I middle = (least + most) / 2;
        if (order(y[n - 1 - middle], x[middle]))
            most = middle;
        else
            least = middle + 1;
    }}
    return least;
}}

// The next few of two runs, merged. They are in `keys`, from x to x_end and from y to y_end.
RG_DEVICE void merge(const Order &order, const {key} *keys, const int32 *places, int x, int x_end, int y, int y_end,
                     {key} *z, int32 *p) {{
#pragma unroll
    for (int k = 0; k < {items}; k++)
        if (x < x_end || y < y_end) {{
            const bool is_y = x >= x_end || (y < y_end && order(keys[y], keys[x]));
            const int at = is_y ? y++ : x++;
            z[k] = keys[at];
            if ({has_places})
                p[k] = places[at];
        }}
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    __shared__ __attribute__((aligned(16))) char raw[{tile} * (sizeof({key}) + {has_places} * sizeof(int32))];
    {key} *keys = ({key} *)raw;
    int32 *places = (int32 *)(keys + {tile});
    {key} z[{items}];
    int32 p[{items}];
    {body}
}}
"""

_BY_SLICES = """for (int64 j = 0; j < width; j++) {
            const auto one = slices[x * width + j], other = slices[y * width + j];
            if (precedes(one, other))
                return true;
            if (precedes(other, one))
                return false;
        }
        return false;"""


@cache
def _tiling(order: _Order, share: int) -> Kernel:
    given = "(int32)(first + k)" if order.is_of_slices else "a.keys[start + k]"
    body = _TILES.format(
        share=share, size=share * _ITEMS, items=_ITEMS, each=THREADS // share, given=given,
        has_places=int(order.has_places),
    )  # fmt: skip
    return written("sort_tiles", order.text("kept, wanted", body))


_TILES = """
    const int64 number = (int64)blockIdx.x * {each} + threadIdx.y;
    const int64 row = number / a.tiles, tile = number - row * a.tiles;
    const int64 first = tile * {size}, start = row * a.length + first, left = a.length - first;
    const int count = row >= a.rows ? 0 : left < {size} ? (int)left : {size};
    keys += threadIdx.y * {size}, places += threadIdx.y * {size};
    for (int k = threadIdx.x; k < count; k += {share}) {{
        keys[k] = {given};
        if ({has_places})
            places[k] = a.places ? a.places[start + k] : (int32)(first + k);
    }}
    __syncthreads();
    const int mine = threadIdx.x * {items}, own = count - mine < {items} ? count - mine : {items};
#pragma unroll
    for (int k = 0; k < {items}; k++)
        if (k < own) {{
            z[k] = keys[mine + k];
            if ({has_places})
                p[k] = places[mine + k];
        }}
    // Neighbours change places until all are in order.
#pragma unroll
    for (int turn = 0; turn < {items}; turn++)
#pragma unroll
        for (int k = turn % 2; k + 1 < {items}; k += 2)
            if (k + 1 < own && a.order(z[k + 1], z[k])) {{
                const auto key = z[k];
                z[k] = z[k + 1], z[k + 1] = key;
                if ({has_places}) {{
                    const int32 place = p[k];
                    p[k] = p[k + 1], p[k + 1] = place;
                }}
            }}
    for (int length = {items};; length *= 2) {{
        __syncthreads();
#pragma unroll
        for (int k = 0; k < {items}; k++)
            if (k < own) {{
                keys[mine + k] = z[k];
                if ({has_places})
                    places[mine + k] = p[k];
            }}
        __syncthreads();
        if (length >= {size})
            break;
        if (own > 0) {{
            const int begin = mine / (2 * length) * (2 * length), n = mine - begin;
            const int middle = begin + length < count ? begin + length : count;
            const int end = begin + 2 * length < count ? begin + 2 * length : count;
            const int x = reach<int>(a.order, keys + begin, middle - begin, keys + middle, end - middle, n);
            merge(a.order, keys, places, begin + x, middle, middle + n - x, end, z, p);
        }}
    }}
    const int kept = count < a.kept ? count : (int)a.kept;
    for (int k = threadIdx.x; k < kept; k += {share}) {{
        const int64 at = row * a.wanted + tile * a.kept + k;
        a.to[at] = keys[k];
        if ({has_places})
            a.to_places[at] = places[k];
    }}
"""


@cache
def _merging(order: _Order) -> Kernel:
    body = _MERGE.format(tile=_TILE, items=_ITEMS, threads=THREADS, has_places=int(order.has_places))
    return written("merge_tiles", order.text("run", body))


_MERGE = """
    __shared__ int64 cuts[2];
    const int64 row = blockIdx.x / a.tiles, first = (blockIdx.x - row * a.tiles) * {tile}, start = row * a.length;
    const int64 begin = first / (2 * a.run) * (2 * a.run);
    const int64 middle = begin + a.run < a.length ? begin + a.run : a.length;
    const int64 end = begin + 2 * a.run < a.length ? begin + 2 * a.run : a.length;
    const int64 last = first + {tile} < end ? first + {tile} : end;
    const auto *const one = a.keys + start + begin, *const other = a.keys + start + middle;
    if (threadIdx.x < 2)
        cuts[threadIdx.x] = reach<int64>(a.order, one, middle - begin, other, end - middle,
                                         (threadIdx.x ? last : first) - begin);
    __syncthreads();
    const int64 from_one = start + begin + cuts[0], from_other = start + middle + (first - begin - cuts[0]);
    const int of_one = (int)(cuts[1] - cuts[0]), count = (int)(last - first);
    for (int k = threadIdx.x; k < count; k += {threads}) {{
        const int64 at = k < of_one ? from_one + k : from_other + (k - of_one);
        keys[k] = a.keys[at];
        if ({has_places})
            places[k] = a.places[at];
    }}
    __syncthreads();
    const int mine = threadIdx.x * {items}, own = count - mine < {items} ? count - mine : {items};
    if (own > 0) {{
        const int x = reach<int>(a.order, keys, of_one, keys + of_one, count - of_one, mine);
        merge(a.order, keys, places, x, of_one, of_one + mine - x, count, z, p);
    }}
    __syncthreads();
#pragma unroll
    for (int k = 0; k < {items}; k++)
        if (k < own) {{
            keys[mine + k] = z[k];
            if ({has_places})
                places[mine + k] = p[k];
        }}
    __syncthreads();
    for (int k = threadIdx.x; k < count; k += {threads}) {{
        a.to[start + first + k] = keys[k];
        if ({has_places})
            a.to_places[start + first + k] = places[k];
    }}
"""


# --- sorted, and the greatest


def _along(device: Device, x: Array, axis: int, do: Callable[[Device, Array], Array]) -> Array:
    """What makes new rows along the last axis, done along another."""
    axis %= x.ndim
    if axis == x.ndim - 1:
        return do(device, x)
    order = [*[d for d in range(x.ndim) if d != axis], axis]
    back = [order.index(d) for d in range(x.ndim)]
    return copied(device, do(device, x.transpose(order)).transpose(back))


@makes(Sort)
def sort(node: Apply) -> Run:
    op: Any = node.op
    return lambda x: _along(current(), x, op.axis, sorted_rows)


@makes(ArgSort)
def argsort(node: Apply) -> Run:
    op: Any = node.op
    return lambda x: _along(current(), x, op.axis, argsorted)


@makes(ArgTopK, read=lambda node: [1])
def argtopk(node: Apply) -> Run:
    op: Any = node.op

    def make(x: Array, k: Any) -> Array:
        device, count = current(), abs(int(k))
        if not 0 < count <= x.shape[op.axis]:
            raise ValueError(f"the greatest {k} of {x.shape[op.axis]}")

        def best(device: Device, rows: Array) -> Array:
            places = contiguous(device, _first_places(device, rows, count, is_falling=int(k) > 0))
            return places if op.sorted else sorted_rows(device, places)

        return copied(device, _along(device, x, op.axis, best), op.idx_dtype)

    return make


# --- distinct values


@makes(Unique)
def unique(node: Apply) -> Run:
    """How many there are, the host has to know: it waits for the device."""
    op: Any = node.op

    def make(x: Array) -> Any:
        device = current()
        n = x.size if op.axis is None else x.shape[op.axis]
        outs = [device.empty((0,), "int64")]
        inverse = device.empty(x.shape if op.axis is None else (n,), "int64")
        counts = outs[0]
        if n:
            outs, counts = _distinct(device, op, x, n, inverse)
        answers = [*outs, *[inverse] * op.return_inverse, *[counts] * op.return_counts]
        return tuple(answers) if len(answers) > 1 else answers[0]

    return make


def _distinct(device: Device, op: Any, x: Array, n: int, inverse: Array) -> tuple[list[Array], Array]:
    """Where each value is first, and how often it is there; the numbers of values are written to `inverse`."""
    if op.axis is None:
        matrix = contiguous(device, x).reshape(n, 1)
        order = argsorted(device, matrix.reshape(n))
    else:
        axis = op.axis % x.ndim
        moved = x.transpose([axis, *[d for d in range(x.ndim) if d != axis]])
        matrix = contiguous(device, moved).reshape(n, x.size // n)
        order = copied(device, _slices_argsorted(device, matrix), "int64")
    is_new = device.empty((n,), "bool")
    arguments = [n, matrix.shape[1], *[device.address(a) for a in (matrix, order, is_new)]]
    run(device, _differing(str(x.dtype), op.axis is None), n, arguments)
    turns = accumulated(device, is_new, "int64", "x + y", 0)
    count = int(device.download(turns[n - 1 :])[0])
    first, counts = device.empty((count,), "int64"), device.empty((count,), "int64")
    starts = device.empty((count + 1,), "int64")
    arguments = [n, count, *[device.address(a) for a in (order, turns, first, starts, inverse, counts)]]
    run(device, written("distinct", _DISTINCT.format(threads=THREADS)), n, arguments)
    if op.return_counts:
        run(device, written("between", _BETWEEN.format(threads=THREADS)), count, arguments)
    return [first], counts


@cache
def _differing(dtype: str, is_nan_one: bool) -> Kernel:
    # as NumPy has it, NaNs are one value, but slices that have one are all different
    differ = "precedes(x, y) && !(is_nan(x) && is_nan(y))" if is_nan_one else "precedes(x, y) || is_nan(y)"
    text = _DIFFER.format(dtype=dtype, threads=THREADS, differ=differ)
    return written("differ", text)


_DIFFER = """
struct Arguments {{
    int64 n, width;
    const {dtype} *slices;
    const int64 *order;
    bool *is_new;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n)
        return;
    bool is_new = i == 0;
    for (int64 j = 0; j < a.width && !is_new; j++) {{
        const {dtype} x = a.slices[a.order[i - 1] * a.width + j], y = a.slices[a.order[i] * a.width + j];
        is_new = {differ};
    }}
    a.is_new[i] = is_new;
}}
"""

_VALUES_FIELDS = """
struct Arguments {{
    int64 n, count;
    const int64 *order, *turns;
    int64 *first, *starts, *inverse, *counts;
}};
"""

_DISTINCT = (
    _VALUES_FIELDS
    + """
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n)
        return;
    const int64 turn = a.turns[i] - 1;
    if (i == 0 || turn != a.turns[i - 1] - 1)
        a.first[turn] = a.order[i], a.starts[turn] = i;
    if (i == a.n - 1)
        a.starts[a.count] = a.n;
    a.inverse[a.order[i]] = turn;
}}
"""
)

_BETWEEN = (
    _VALUES_FIELDS
    + """
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count)
        a.counts[i] = a.starts[i + 1] - a.starts[i];
}}
"""
)


# --- places in a sorted array


@makes(SearchSorted)
def searchsorted(node: Apply) -> Run | str:
    """A thread bisects for each element, in the dtype that NumPy compares both in."""
    op: Any = node.op
    inputs: Any = node.inputs
    x_dtype, v_dtype, *sorter = [x.type.dtype for x in inputs]
    if sorter == ["uint64"]:
        return "a sorter in uint64, which NumPy refuses"
    kernel = _searching(x_dtype, v_dtype, sorter[0] if sorter else "", op.side == "left")

    def make(x: Array, v: Array, order: Array = None) -> Array:
        device = current()
        if order is not None and len(order) != len(x):
            raise ValueError(f"a sorter of {len(order)} places for {len(x)} elements")
        out = device.empty(v.shape, "int64")
        lengths, (strides,) = collapsed(v.shape, [over(v, v.shape)])
        arguments = [v.size, len(lengths), *padded(lengths), *padded(strides), device.address(v), device.address(out)]
        arguments += [len(x), device.address(x), int(x.strides[0])]
        if order is not None:
            arguments += [device.address(order), int(order.strides[0]), device.address(device.flag())]
        run(device, kernel, v.size, arguments)
        if order is not None:
            device.check(ValueError("a sorter's place is outside"))
        return out

    return make


@cache
def _searching(x: str, v: str, sorter: str, is_left: bool) -> Kernel:
    wide = np.result_type(np.dtype(x), np.dtype(v)).name
    place = "middle"
    if sorter:
        place = f"placed(*(const {sorter} *)(a.order + middle * a.order_step), a.length, a.wrong)"
    read = f"as<{wide}>(*(const {x} *)(a.x + {place} * a.step))"
    text = _SEARCH.format(
        v=v, wide=wide, ndim=NDIM, threads=THREADS,
        fields="const char *order;\n    int64 order_step;\n    int32 *wrong;" if sorter else "",
        is_before=f"precedes({read}, v)" if is_left else f"!precedes(v, {read})",
    )  # fmt: skip
    return written("search", text)


_SEARCH = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}], strides[{ndim}];
    const char *v;
    int64 *to, length;
    const char *x;
    int64 step;
    {fields}
}};

template <typename T> RG_DEVICE int64 placed(T place, int64 length, int32 *wrong) {{
    if (place >= 0 && (int64)place < length)
        return (int64)place;
    *wrong = 1;
    return 0;
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 mine = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (mine >= a.n)
        return;
    int64 rest = mine, at = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d];
        at += (rest - before * a.shape[d]) * a.strides[d];
        rest = before;
    }}
    const {wide} v = as<{wide}>(*(const {v} *)(a.v + at));
    int64 least = 0, most = a.length;
    while (least < most) {{
        const int64 middle = (least + most) / 2;
        if ({is_before})
            least = middle + 1;
        else
            most = middle;
    }}
    a.to[mine] = least;
}}
"""


# --- counts of integers


@makes(BinCount, read=lambda node: [1])
def bincount(node: Apply) -> Run:
    """Of sorted numbers equal ones are neighbours: a bin is between two places. Weights are added in their order, by
    one thread, or where bins are large by a block.

    How many bins there are, the host has to know: it waits for the device.
    """
    inputs: Any = node.inputs
    weight = inputs[2].type.dtype if len(inputs) > 2 else ""

    def make(x: Array, minlength: Any, weights: Array = None) -> Array:
        device, n, bins = current(), x.size, int(minlength)
        if bins < 0 or (weights is not None and weights.shape != x.shape):
            raise ValueError("numbers to be counted and their weights are equally many, and so are bins at least 0")
        if x.dtype == np.uint64:
            x = copied(device, x, "int64")
        order = _Order(str(x.dtype), has_places=weights is not None)
        found = _sorted(device, order, _BY_VALUES, _keys(contiguous(device, x))) if n else _keys(x)
        if n:
            ends = device.download(found.values.reshape(-1)[:: max(n - 1, 1)]).astype(np.int64)
            if ends[0] < 0:
                raise ValueError("a number to be counted is negative")
            bins = max(bins, int(ends[-1]) + 1)
        out = device.empty((bins,), "float64" if weight else "int64")
        threads = THREADS if weight and n > 64 * bins else 1
        kernel = _counting(str(x.dtype), weight, threads)
        arguments = [n, bins, *found.addresses(device), device.address(out)]
        if weights is not None:
            arguments += [device.address(weights), int(weights.strides[0])]
        run(device, kernel, bins * threads, arguments)
        return out

    return make


@cache
def _counting(dtype: str, weight: str, threads: int) -> Kernel:
    fields = "const char *weights;\n    int64 step;" if weight else ""
    body = _COUNTED
    if weight:
        body = (_SUMMED_BY_ONE if threads == 1 else _SUMMED_BY_BLOCK).replace("WEIGHT", weight)
    out = "float64" if weight else "int64"
    return written(
        "count", _COUNT.format(dtype=dtype, out=out, fields=fields, body=body, share=threads, threads=THREADS)
    )


_COUNT = """
struct Arguments {{
    int64 n, bins;
    const {dtype} *x;
    const int32 *places;
    {out} *to;
    {fields}
}};

// How many of the numbers are below one.
RG_DEVICE int64 below(const Arguments &a, int64 number) {{
    int64 least = 0, most = a.n;
    while (least < most) {{
        const int64 middle = (least + most) / 2;
        if ((int64)a.x[middle] < number)
            least = middle + 1;
        else
            most = middle;
    }}
    return least;
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 bin = ((int64)blockIdx.x * blockDim.x + threadIdx.x) / {share};
    if (bin >= a.bins)
        return;
    const int64 first = below(a, bin), end = below(a, bin + 1);
    {body}
}}
"""

_COUNTED = "a.to[bin] = end - first;"

_SUMMED_BY_ONE = """
    float64 sum = 0;
    for (int64 i = first; i < end; i++)
        sum += as<float64>(*(const WEIGHT *)(a.weights + a.places[i] * a.step));
    a.to[bin] = sum;
"""

_SUMMED_BY_BLOCK = """
    __shared__ float64 sums[256];
    float64 sum = 0;
    for (int64 i = first + threadIdx.x; i < end; i += blockDim.x)
        sum += as<float64>(*(const WEIGHT *)(a.weights + a.places[i] * a.step));
    sums[threadIdx.x] = sum;
    for (int half = (int)blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        a.to[bin] = sums[0];
"""
