"""Elements picked by an index, set, or added to; and positions as values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import (
    Apply,
    Choose,
    Constant,
    Index,
    IndexUpdate,
    LastWrite,
    Nonzero,
    RavelMultiIndex,
    UnravelIndex,
)
from refgraph_cupy.device import Array, Device, Kernel, current
from refgraph_cupy.kernels.cumulative import accumulated
from refgraph_cupy.kernels.sorting import argsorted
from refgraph_cupy.layout import Strides, broadcast, collapsed, over, size
from refgraph_cupy.making import Kernel as Run
from refgraph_cupy.making import makes
from refgraph_cupy.moving import contiguous, copied, copy, repeated, unit, wider
from refgraph_cupy.writing import NDIM, THREADS, index, padded, run, written

_FEW = 2048
"""Positions among which a thread looks for its like by itself."""


def _kind(item: Any) -> str:
    """What an item of a template is: "new", "rest", "number", "slice", and INT, INTS or MASK for inputs."""
    if item is None:
        return "new"
    if item is Ellipsis:
        return "rest"
    if isinstance(item, int):
        return "number"
    return "slice" if isinstance(item, tuple) else str(item.name)


def _numbers(template: Sequence[Any], first: int) -> list[int]:
    """Which inputs are single integers that say what is picked; those of a template begin with number `first`."""
    found: list[int] = []
    input = first
    for item in template:
        kind = _kind(item)
        count = _open(item) if kind == "slice" else kind in ("INT", "INTS", "MASK")
        found += range(input, input + count) if kind in ("slice", "INT") else []
        input += count
    return found


class Picks(NamedTuple):
    """x[index]: a view, along some of whose axes arrays say which positions are taken."""

    view: Array
    axes: list[int]
    arrays: list[Array]
    before: int
    """How many axes of what is picked come before those of the arrays."""
    is_sure: bool
    """Whether all positions are known to be inside."""

    @property
    def around(self) -> tuple[int, ...]:
        """The lengths of the arrays, broadcast together."""
        return broadcast(*[a.shape for a in self.arrays])

    @property
    def kept(self) -> list[int]:
        """The axes of the view that are taken whole."""
        return [d for d in range(self.view.ndim) if d not in self.axes]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what is picked."""
        kept = [self.view.shape[d] for d in self.kept]
        return (*kept[: self.before], *self.around, *kept[self.before :])

    def strides(self) -> Strides:
        """The steps in the view along the axes of what is picked; arrays make their own."""
        kept = [int(self.view.strides[d]) for d in self.kept]
        return (*kept[: self.before], *(0,) * len(self.around), *kept[self.before :])

    def of_arrays(self) -> list[Strides]:
        """For each array the steps in it along the axes of what is picked."""
        after = len(self.kept) - self.before
        return [(*(0,) * self.before, *over(a, self.around), *(0,) * after) for a in self.arrays]


class _Reader:
    """Reads an index of x, item by item."""

    def __init__(self, device: Device, x: Array, bounds: dict[int, tuple[int, int]]) -> None:
        self.device, self.x, self.bounds = device, x, bounds
        self.basic: list[Any] = []
        """The index that makes the view: a slice for each axis along which an array picks."""
        self.axes: list[Any] = []
        """For each axis of the view, and each number: None where it is kept, -1 for a number, or which array picks."""
        self.arrays: list[Array] = []
        self.is_sure = True

    @property
    def axis(self) -> int:
        """How many axes of x are used so far."""
        return len([b for b in self.basic if b is not None])

    def keep(self, item: Any, count: int = 1) -> None:
        self.basic += [item] * count
        self.axes += [None] * count

    def number(self, i: int) -> None:
        self.basic.append(i)
        self.axes.append(-1)

    def integers(self, array: Array, input: int) -> None:
        length = self.x.shape[self.axis]
        least, most = self.bounds.get(input, (-length - 1, length))
        self.is_sure &= -length <= least and most < length
        self._pick([array])

    def mask(self, mask: Array) -> None:
        """The positions that a mask picks; of one without axes those along a new axis of length 1."""
        if mask.ndim == 0:
            count = int(bool(self.device.download(mask)))
            self._pick([self.device.upload(np.zeros(count, np.int64))], is_new=True)
            return
        lengths = self.x.shape[self.axis : self.axis + mask.ndim]
        if len(lengths) != mask.ndim or any([m and m != n for m, n in zip(mask.shape, lengths, strict=True)]):
            raise IndexError(f"a mask of shape {mask.shape} for axes of lengths {lengths}")
        self._pick(positions(self.device, mask))

    def _pick(self, arrays: Sequence[Array], is_new: bool = False) -> None:
        self.basic += [None if is_new else slice(None)] * len(arrays)
        self.axes += range(len(self.arrays), len(self.arrays) + len(arrays))
        self.arrays += arrays


def picks(
    device: Device, template: Sequence[Any], x: Array, given: Sequence[Any], bounds: dict[int, tuple[int, int]]
) -> Picks:
    """What an index says of x, given its inputs: single integers are NumPy's, and arrays the device's."""
    reader, input = _Reader(device, x, bounds), 0
    kinds = [_kind(item) for item in template]
    used = _used(template, given)
    for kind, item in zip(kinds, template, strict=True):
        if kind == "new":
            reader.keep(None)
        elif kind == "rest":
            reader.keep(slice(None), x.ndim - used)
        elif kind == "slice":
            open_ = _open(item)
            numbers = iter([int(n) for n in given[input : input + open_]])
            reader.keep(slice(*[b if b is None or isinstance(b, int) else next(numbers) for b in item]))
            input += open_
            continue
        elif kind == "number":
            reader.number(item)
        elif kind == "INT":
            reader.number(int(given[input]))
        elif kind == "INTS":
            reader.integers(given[input], input)
        else:
            reader.mask(given[input])
        input += kind in ("INT", "INTS", "MASK")
    view = x[(*reader.basic, ...)]
    axes = [a for a in reader.axes if a != -1]
    in_index = [k for k, kind in enumerate(kinds) if kind in ("number", "INT", "INTS", "MASK")]
    together = bool(reader.arrays) and in_index[-1] - in_index[0] == len(in_index) - 1
    before = next(k for k, a in enumerate(reader.axes) if a is not None) if together else 0
    return Picks(view, [axes.index(k) for k in range(len(reader.arrays))], reader.arrays, before, reader.is_sure)


def _open(item: Any) -> int:
    """How many bounds of a slice are inputs."""
    return len([b for b in item if not (b is None or isinstance(b, int))])


def _used(template: Sequence[Any], given: Sequence[Any]) -> int:
    """How many axes an index names."""
    used = input = 0
    for item in template:
        kind = _kind(item)
        used += given[input].ndim if kind == "MASK" else kind not in ("new", "rest")
        input += _open(item) if kind == "slice" else kind in ("INT", "INTS", "MASK")
    return used


def _bounds(node: Apply, first: int) -> dict[int, tuple[int, int]]:
    """The least and the greatest element of those inputs of an index that are constant arrays of integers."""
    constants = [(i, x.value) for i, x in enumerate(node.inputs[first:]) if isinstance(x, Constant)]
    return {i: (int(v.min()), int(v.max())) for i, v in constants if v.dtype.kind in "iu" and v.size}


# --- what kernels read of an index

_POSITION = """
RG_DEVICE int64 position(int64 i, int64 length, int32 *wrong) {
    if (i < 0)
        i += length;
    if (i >= 0 && i < length)
        return i;
    *wrong = 1;
    return 0;
}
"""


def _fields(count: int) -> str:
    return f"""
    int32 *wrong;
    struct {{
        const char *data;
        int64 length, step, strides[{NDIM}];
    }} index[{max(count, 1)}];"""


def _stepping(dtypes: Sequence[str], to: str) -> str:
    """Statements that move an offset into the view to where arrays say; `in0`, ... are offsets into these."""
    return "\n".join(
        [
            f"    {to} += position((int64)*(const {d} *)(a.index[{k}].data + in{k}), a.index[{k}].length, a.wrong)"
            f" * a.index[{k}].step;"
            for k, d in enumerate(dtypes)
        ]
    )


def _given(device: Device, found: Picks, strides: Sequence[Strides]) -> list[int]:
    """The arrays of an index as fields. Raises IndexError where there is nothing to be picked from."""
    fields = [device.address(device.flag())]
    for axis, array, steps in zip(found.axes, found.arrays, strides, strict=True):
        length, step = found.view.shape[axis], int(found.view.strides[axis])
        if length == 0 and size(found.around):
            raise IndexError("a position along an axis of length 0")
        fields += [device.address(array), length, step, *padded(steps)]
    if not found.arrays:
        fields += [0] * (3 + NDIM)
    return fields


def _check(device: Device, found: Picks) -> None:
    if not found.is_sure:
        device.check(IndexError("a position outside its axis"))


# --- picked


@makes(Index, read=lambda node: _numbers(node.op.template, 1))  # type: ignore[attr-defined]
def pick(node: Apply) -> Run:
    """A view where no array is in the index."""
    op: Any = node.op
    bounds = _bounds(node, 1)

    def run(x: Array, *given: Any) -> Array:
        device = current()
        found = picks(device, op.template, x, given, bounds)
        return taken(device, found) if found.arrays else found.view

    return run


def taken(device: Device, found: Picks) -> Array:
    """A new array of what is picked."""
    view = found.view
    out = device.empty(found.shape, view.dtype)
    if out.size == 0:
        _places(device, found)
        _check(device, found)
        return out
    inputs = found.of_arrays()
    lengths, strides = collapsed(out.shape, [found.strides(), over(out, out.shape), *inputs])
    itemsize = view.dtype.itemsize
    moved = strides[:2]
    if lengths and not any([s[-1] for s in strides[2:]]):
        steps = [int(view.strides[d]) for d in found.axes]
        places = [device.address(view), device.address(out), *steps]
        itemsize, lengths, moved = wider(itemsize, lengths, moved, places)
    n = size(lengths)
    arguments = [n, len(lengths), *padded(lengths)]
    for a, s in zip((view, out), moved, strict=True):
        arguments += [device.address(a), *padded(s)]
    arguments += _given(device, found, strides[2:])
    run(device, _taking(unit(itemsize), tuple([str(a.dtype) for a in found.arrays]), index(n)), n, arguments)
    _check(device, found)
    return out


@cache
def _taking(dtype: str, arrays: tuple[str, ...], index: str) -> Kernel:
    count = len(arrays)
    text = _TAKE.format(
        fields=_fields(count), dtype=dtype, index=index, ndim=NDIM, threads=THREADS, position=_POSITION,
        zero=_zeros(count), more=_more(count), stepping=_stepping(arrays, "from"),
    )  # fmt: skip
    return written("take", text)


def _zeros(count: int) -> str:
    return "".join([f", in{k} = 0" for k in range(count)])


def _more(count: int) -> str:
    return " ".join([f"in{k} += (int64)i * a.index[{k}].strides[d];" for k in range(count)])


_TAKE = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    struct {{
        char *data;
        int64 strides[{ndim}];
    }} source, target;{fields}
}};
{position}
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    {index} rest = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)rest >= a.n)
        return;
    int64 from = 0, to = 0{zero};
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length, i = rest - before * length;
        rest = before;
        from += (int64)i * a.source.strides[d], to += (int64)i * a.target.strides[d];
        {more}
    }}
{stepping}
    *({dtype} *)(a.target.data + to) = *(const {dtype} *)(a.source.data + from);
}}
"""


# --- where arrays of an index pick, and which positions they pick repeatedly


def _places(device: Device, found: Picks) -> Array:
    """For each place in the arrays of an index, in C order, what it adds to the address of an element, in bytes."""
    n = size(found.around)
    places = device.empty((n,), "int64")
    shape, strides = collapsed(found.around, [over(a, found.around) for a in found.arrays])
    arguments = [n, len(shape), *padded(shape), device.address(places), *_given(device, found, strides)]
    run(device, _placing(tuple([str(a.dtype) for a in found.arrays])), n, arguments)
    return places


@cache
def _placing(arrays: tuple[str, ...]) -> Kernel:
    count = len(arrays)
    text = _PLACES.format(
        fields=_fields(count), ndim=NDIM, threads=THREADS, position=_POSITION, zero=_zeros(count), more=_more(count),
        stepping=_stepping(arrays, "to"),
    )  # fmt: skip
    return written("places", text)


_PLACES = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}], *places;{fields}
}};
{position}
extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 mine = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (mine >= a.n)
        return;
    int64 rest = mine, to = 0{zero};
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        {more}
    }}
{stepping}
    a.places[mine] = to;
}}
"""


def _chained(device: Device, places: Array) -> Array:
    """Two rows: for each place the next that is equal, -1 where it is the last; and 1 where it is the first.

    Of few places a thread looks through all; many are sorted, so that equal ones are neighbours, in their order.
    """
    n = places.size
    chains = device.empty((2, n), "int64")
    arguments = [n, device.address(places), device.address(chains)]
    if n <= _FEW:
        run(device, written("chain", _CHAIN.format(threads=THREADS)), n, arguments)
    else:
        order = argsorted(device, places)
        run(device, written("chain_sorted", _SORTED.format(threads=THREADS)), n, [*arguments, device.address(order)])
    return chains


_CHAIN = """
struct Arguments {{
    int64 n;
    const int64 *places;
    int64 *next;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n)
        return;
    const int64 mine = a.places[i];
    int64 next = i + 1, before = i - 1;
    while (next < a.n && a.places[next] != mine)
        next++;
    while (before >= 0 && a.places[before] != mine)
        before--;
    a.next[i] = next < a.n ? next : -1;
    a.next[a.n + i] = before < 0;
}}
"""

_SORTED = """
struct Arguments {{
    int64 n;
    const int64 *places;
    int64 *next;
    const int64 *order;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 k = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= a.n)
        return;
    const int64 i = a.order[k], mine = a.places[i];
    a.next[i] = k + 1 < a.n && a.places[a.order[k + 1]] == mine ? a.order[k + 1] : -1;
    a.next[a.n + i] = k == 0 || a.places[a.order[k - 1]] != mine;
}}
"""


@makes(LastWrite, read=lambda node: _numbers(node.op.template, 1))  # type: ignore[attr-defined]
def last_write(node: Apply) -> Run:
    op: Any = node.op
    bounds = _bounds(node, 1)

    def make(x: Array, *given: Any) -> Array:
        device = current()
        found = picks(device, op.template, device.empty(x.shape, "bool"), given, bounds)
        if not found.arrays:
            return repeated(device, device.upload(np.array(True)), found.shape)
        places = _places(device, found)
        _check(device, found)
        last = device.empty((places.size,), "bool")
        chains = _chained(device, places)
        arguments = [places.size, device.address(chains), device.address(last)]
        run(device, written("last", _LAST.format(threads=THREADS)), places.size, arguments)
        after = len(found.kept) - found.before
        return repeated(device, last.reshape((*found.around, *(1,) * after)), found.shape)

    return make


_LAST = """
struct Arguments {{
    int64 n;
    const int64 *next;
    bool *last;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.n)
        a.last[i] = a.next[i] < 0;
}}
"""


# --- set, or added to


@makes(IndexUpdate, read=lambda node: _numbers(node.op.template, 2))  # type: ignore[attr-defined]
def update(node: Apply) -> Run:
    """In a copy of x. Where an element is picked repeatedly, one thread does all that is done to it, in order."""
    op: Any = node.op
    is_set, bounds = op.set_instead_of_inc, _bounds(node, 2)

    def make(x: Array, y: Array, *given: Any) -> Array:
        device = current()
        out = copied(device, x)
        found = picks(device, op.template, out, given, bounds)
        if is_set and not found.arrays:
            copy(device, y, found.view)
        else:
            _updated(device, found, device.broadcast(y, found.shape), is_set, op.ignore_duplicates)
            _check(device, found)
        return out

    return make


def _updated(device: Device, found: Picks, y: Array, is_set: bool, is_once: bool) -> None:
    """Set what is picked to y, or add it. The arrays of an index are one axis here, of places."""
    view, before, around = found.view, found.before, found.around
    places = _places(device, found)
    n = size(y.shape)
    if n == 0:
        return
    middle, after = len(around), len(found.kept) - before
    chains = places if is_once else _chained(device, places)
    kept = [int(view.strides[d]) for d in found.kept]
    steps, of_y = (*kept[:before], 0, *kept[before:]), over(y, y.shape)
    own = (*of_y[:before], 0, *of_y[before + middle :])
    turns = (*(0,) * before, 1, *(0,) * after)
    shape, strides = collapsed((*y.shape[:before], places.size, *y.shape[before + middle :]), [steps, own, turns])
    arguments = [n, len(shape), *padded(shape), places.size, device.address(places), device.address(chains)]
    arguments += [
        device.address(view),
        *padded(strides[0]),
        device.address(y),
        *padded(strides[1]),
        *padded(strides[2]),
    ]
    arguments += [middle, *padded(around), *padded(of_y[before : before + middle])]
    run(device, _updating(str(view.dtype), index(n), is_set, is_once), n, arguments)


@cache
def _updating(dtype: str, index: str, is_set: bool, is_once: bool) -> Kernel:
    wide = {"float16": "float32"}.get(dtype, dtype)
    total = "z || y" if dtype == "bool" else "z + y"
    body = (_SET if is_set else _ADD).format(dtype=dtype, wide=wide, total=total)
    if is_once:
        body = _ONCE + body
    elif is_set:
        body = _ONLY_LAST + body
    else:
        body = _ONLY_FIRST + body
    text = _UPDATE.format(dtype=dtype, index=index, ndim=NDIM, threads=THREADS, body=body)
    return written("set" if is_set else "increment", text)


_ONCE = "const bool is_once = true, is_mine = true;"
_ONLY_LAST = "const bool is_once = true, is_mine = a.chains[turn] < 0;"
_ONLY_FIRST = "const bool is_once = false, is_mine = a.chains[a.places_count + turn] != 0;"

_SET = """
    (void)is_once;
    if (is_mine)
        *to = *(const {dtype} *)(given + taken(a, turn));
"""

_ADD = """
    if (!is_mine)
        return;
    {wide} z = as<{wide}>(*to);
    for (; turn >= 0; turn = is_once ? -1 : a.chains[turn]) {{
        const {wide} y = as<{wide}>(*(const {dtype} *)(given + taken(a, turn)));
        z = {wide}({total});
    }}
    *to = as<{dtype}>(z);
"""

_UPDATE = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}], places_count;
    const int64 *places, *chains;
    struct {{
        char *data;
        int64 strides[{ndim}];
    }} target, y;
    int64 turns[{ndim}], around, lengths[{ndim}], steps[{ndim}];
}};

// Where in y that lies which is done in this turn.
RG_DEVICE int64 taken(const Arguments &a, int64 turn) {{
    int64 at = 0;
    for (int d = (int)a.around - 1; d >= 0; d--) {{
        const int64 before = turn / a.lengths[d];
        at += (turn - before * a.lengths[d]) * a.steps[d];
        turn = before;
    }}
    return at;
}}

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    {index} rest = ({index})((int64)blockIdx.x * blockDim.x + threadIdx.x);
    if ((int64)rest >= a.n)
        return;
    int64 place = 0, from = 0, turn = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const {index} length = ({index})a.shape[d], before = rest / length, i = rest - before * length;
        rest = before;
        place += (int64)i * a.target.strides[d], from += (int64)i * a.y.strides[d], turn += (int64)i * a.turns[d];
    }}
    {dtype} *const to = ({dtype} *)(a.target.data + place + a.places[turn]);
    const char *const given = a.y.data + from;
    {body}
}}
"""


# --- positions as values


@makes(Nonzero)
def nonzero(node: Apply) -> Run:
    """How many there are, the host has to know: it waits for the device."""

    def make(x: Array) -> Any:
        found = positions(current(), x)
        return tuple(found) if len(found) > 1 else found[0]

    return make


def positions(device: Device, x: Array) -> list[Array]:
    """For each axis the positions of the elements that are not zero, in C order."""
    turns = accumulated(device, _truths(device, x), "int64", "x + y", 0)
    n = x.size
    count = int(device.download(turns[n - 1 :])[0]) if n else 0
    out = device.empty((x.ndim, count), "int64")
    arguments = [n, x.ndim, *padded(x.shape), count, device.address(turns), device.address(out)]
    run(device, written("positions", _POSITIONS.format(ndim=NDIM, threads=THREADS)), n if count else 0, arguments)
    return [out[a] for a in range(x.ndim)]


def _truths(device: Device, x: Array) -> Array:
    return contiguous(device, x if x.dtype == bool else copied(device, x, "bool")).reshape(-1)


_POSITIONS = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}], count;
    const int64 *turns;
    int64 *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n)
        return;
    const int64 turn = a.turns[i];
    if (turn == (i ? a.turns[i - 1] : 0))
        return;
    int64 rest = i;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d];
        a.to[d * a.count + turn - 1] = rest - before * a.shape[d];
        rest = before;
    }}
}}
"""


@makes(Choose)
def choose(node: Apply) -> Run:
    """Picks from the first axis of the choices by number; along the others each element from its own place."""
    op: Any = node.op
    dtype = _dtypes(node)[0]

    def make(numbers: Array, options: Array) -> Array:
        device = current()
        count = len(options)
        shape = broadcast(numbers.shape, options.shape[1:])
        out = device.empty(shape, options.dtype)
        if count == 0 and numbers.size:
            raise ValueError("there is nothing to choose from")
        each = options[0] if count else out
        lengths, strides = collapsed(shape, [over(numbers, shape), over(each, shape)])
        kernel = _choosing(dtype, unit(options.dtype.itemsize), op.mode)
        step = int(options.strides[0])
        arguments = [out.size, len(lengths), *padded(lengths), count, step, device.address(device.flag())]
        for x, steps in zip((numbers, options), strides, strict=True):
            arguments += [device.address(x), *padded(steps)]
        run(device, kernel, out.size, [*arguments, device.address(out)])
        if op.mode == "raise" and out.size:
            device.check(ValueError("a number of no choice"))
        return out

    return make


def _dtypes(node: Apply) -> list[str]:
    inputs: Any = node.inputs
    return [x.type.dtype for x in inputs]


_INSIDE = {
    "raise": "if (i < 0 || i >= n) *wrong = 1, i = 0;",
    "wrap": "i = mod(i, n);",
    "clip": "i = i < 0 ? 0 : i >= n ? n - 1 : i;",
}
"""How a number is brought into 0 ... n - 1."""


@cache
def _choosing(numbers: str, dtype: str, mode: str) -> Kernel:
    text = _CHOOSE.format(numbers=numbers, dtype=dtype, inside=_INSIDE[mode], ndim=NDIM, threads=THREADS)
    return written("choose", text)


_CHOOSE = """
struct Arguments {{
    int64 size, ndim, shape[{ndim}], n, step;
    int32 *wrong;
    struct {{
        const char *data;
        int64 strides[{ndim}];
    }} numbers, choices;
    {dtype} *to;
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 mine = (int64)blockIdx.x * blockDim.x + threadIdx.x, n = a.n;
    if (mine >= a.size)
        return;
    int64 rest = mine, at = 0, from = 0;
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], j = rest - before * a.shape[d];
        rest = before;
        at += j * a.numbers.strides[d], from += j * a.choices.strides[d];
    }}
    int32 *const wrong = a.wrong;
    int64 i = (int64)*(const {numbers} *)(a.numbers.data + at);
    {inside}
    (void)wrong;
    a.to[mine] = *(const {dtype} *)(a.choices.data + from + i * a.step);
}}
"""


@makes(RavelMultiIndex, read=lambda node: [0])
def ravel_multi_index(node: Apply) -> Run:
    op: Any = node.op
    dtypes = tuple(_dtypes(node)[1:])
    kernel = _raveling(dtypes, op.mode)

    def make(dims: Any, *where: Array) -> Array:
        device = current()
        lengths = [int(n) for n in dims]
        if len(lengths) != len(where) or any([n < 0 for n in lengths]):
            raise ValueError(f"{len(where)} positions along axes of lengths {lengths}")
        shape = broadcast(*[x.shape for x in where])
        out = device.empty(shape, "int64")
        if out.size and not size(lengths):
            raise ValueError("a position in an array of no elements")
        arguments = [out.size, len(shape), *padded(shape), device.address(device.flag()), device.address(out)]
        for x, n, step in zip(where, lengths, _steps(lengths, op.order), strict=True):
            arguments += [device.address(x), n, step, *padded(over(x, shape))]
        run(device, kernel, out.size, arguments)
        if op.mode == "raise" and out.size:
            device.check(ValueError("a position outside its axis"))
        return out

    return make


def _steps(lengths: Sequence[int], order: str) -> list[int]:
    """How far apart neighbours along each axis are in the flattened array. Raises ValueError where that is too far."""
    steps, total = [], 1
    for n in lengths[::-1] if order == "C" else lengths:
        steps.append(total)
        total *= n
    if total >= 2**63:
        raise ValueError(f"an array of lengths {lengths} is too large")
    return steps[::-1] if order == "C" else steps


@cache
def _raveling(dtypes: tuple[str, ...], mode: str) -> Kernel:
    parts = [
        f"    {{ int64 i = (int64)*(const {d} *)(a.of[{k}].data + in{k}); const int64 n = a.of[{k}].length;\n"
        f"      {_INSIDE[mode]}\n      z += i * a.of[{k}].step; }}"
        for k, d in enumerate(dtypes)
    ]
    count = len(dtypes)
    more = _more(count).replace("a.index[", "a.of[")
    text = _RAVEL.format(
        count=count, zero=_zeros(count), more=more, parts="\n".join(parts), ndim=NDIM, threads=THREADS
    )  # fmt: skip
    return written("ravel", text)


_RAVEL = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    int32 *wrong;
    int64 *to;
    struct {{
        const char *data;
        int64 length, step, strides[{ndim}];
    }} of[{count}];
}};

extern "C" __global__ void __launch_bounds__({threads}) KERNEL(const Arguments a) {{
    const int64 mine = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    if (mine >= a.n)
        return;
    int64 rest = mine, z = 0{zero};
    for (int d = (int)a.ndim - 1; d >= 0; d--) {{
        const int64 before = rest / a.shape[d], i = rest - before * a.shape[d];
        rest = before;
        {more}
    }}
    int32 *const wrong = a.wrong;
    (void)wrong;
{parts}
    a.to[mine] = z;
}}
"""


@makes(UnravelIndex, read=lambda node: [1])
def unravel_index(node: Apply) -> Run:
    op: Any = node.op
    kernel = written("unravel", _UNRAVEL.format(dtype=_dtypes(node)[0], ndim=NDIM, threads=THREADS))

    def make(numbers: Array, dims: Any) -> Any:
        device = current()
        lengths = [int(n) for n in dims]
        if any([n < 0 for n in lengths]):
            raise ValueError(f"a length is negative in {lengths}")
        steps, n = _steps(lengths, op.order), numbers.size
        if n and not size(lengths):
            raise ValueError("a position in an array of no elements")
        out = device.empty((len(lengths), *numbers.shape), "int64")
        arguments = [n, numbers.ndim, *padded(numbers.shape), device.address(numbers)]
        arguments += [*padded(over(numbers, numbers.shape)), device.address(device.flag()), device.address(out)]
        arguments += [size(lengths), len(lengths), *padded(lengths), *padded(steps)]
        run(device, kernel, n, arguments)
        if n:
            device.check(ValueError("a number outside the array"))
        return tuple([out[a, ...] for a in range(len(lengths))]) if len(lengths) > 1 else out[0, ...]

    return make


_UNRAVEL = """
struct Arguments {{
    int64 n, ndim, shape[{ndim}];
    const char *data;
    int64 strides[{ndim}];
    int32 *wrong;
    int64 *to, total, axes, lengths[{ndim}], steps[{ndim}];
}};

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
    int64 number = (int64)*(const {dtype} *)(a.data + at);
    if (number < 0 || number >= a.total)
        *a.wrong = 1, number = 0;
    for (int d = 0; d < (int)a.axes; d++)
        a.to[d * a.n + mine] = number / a.steps[d] % a.lengths[d];
}}
"""
