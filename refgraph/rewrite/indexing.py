"""Picking elements: as early as can be, from as little as can be; and assignments that nobody reads, or that say less.

Indexing goes towards the inputs, past changes of axes and what computes each element apart, so that fewer are computed
and indices meet what they pick from. An index that may be outside stays: it is to raise IndexError when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Variable
from refgraph.ops import reductions
from refgraph.ops.construct import ARange, alloc
from refgraph.ops.elementwise import add, cast, fill, maximum, minimum, sub
from refgraph.ops.families import Elemwise
from refgraph.ops.index_pattern import Part, Slice, Template, is_basic, parse
from refgraph.ops.indexing import Index, IndexUpdate, index
from refgraph.ops.joining import Join, Stack, join
from refgraph.ops.lengths import scalar_value, split_lengths
from refgraph.ops.linalg import Dot
from refgraph.ops.nnet import Normalization
from refgraph.ops.reductions import Reduction
from refgraph.ops.shape import BroadcastTo, DimShuffle, Shape, dimshuffle, shape_i
from refgraph.ops.tensor import CONTINUOUS, INTEGERS, TensorConstant, constant, weak_constant
from refgraph.rewrite.axes import asked_lengths, few_behind, fitting, has_length, made_by, made_only_for_this
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

ALL = slice(None)
_FEW = 32  # updates that are looked behind, and elements that are compared


# Indices as they are written: a list with an int, a 0-d variable or a slice for each axis


def _items(template: Template, parts: Sequence[Any]) -> list[Any]:
    """The items of an index, with its variables in their places."""
    rest = iter(parts)
    found: list[Any] = []
    for item in template:
        if isinstance(item, Slice):
            found.append(slice(*[next(rest) if bound is Part.INT else bound for bound in item]))
        else:
            found.append(next(rest) if isinstance(item, Part) else item)
    return found


def per_axis(node: Apply, first: int = 1) -> list[Any] | None:
    """One item for each axis of the indexed array; None where there are arrays or new axes in the index.

    first: the number of the first input that is a variable in the index.
    """
    template: Template = node.op.template  # type: ignore[attr-defined]  # an index's
    if not is_basic(template) or None in template or Ellipsis in template:
        return None
    items = _items(template, node.inputs[first:])
    return items + [ALL] * (node.inputs[0].type.ndim - len(items))  # type: ignore[attr-defined]  # a tensor


def _read_from(node: Apply, kinds: Any) -> tuple[Any, list[Any]]:
    """What makes the array that is indexed, and one item for each axis; None, and no items, where it is of no op of
    these classes, or there are arrays or new axes in the index."""
    made = made_by(node.inputs[0], kinds)
    items = None if made is None else per_axis(node)
    return (None, []) if items is None else (made, items)


def pick(x: Any, items: Sequence[Any]) -> Any:
    """x[items]; None where that is known to be outside."""
    if all(_is_all(item) for item in items):
        return x
    return fitting(lambda: index(x, tuple(items)))


def _is_all(item: Any) -> bool:
    return isinstance(item, slice) and item == ALL


def _is_constant(item: Any) -> bool:
    """Whether an item has no variable in it."""
    if isinstance(item, slice):
        return not any(isinstance(bound, Variable) for bound in (item.start, item.stop, item.step))
    return isinstance(item, int)


def _takes_whole(item: Any, n: Any, facts: Facts) -> bool:
    """Whether a slice takes all of an axis whose entry in `facts.lengths` is n, in order."""
    if not isinstance(item, slice) or item.step not in (None, 1):
        return False
    if isinstance(n, int) and _is_constant(item):
        return range(n)[item] == range(n)
    return item.start in (None, 0) and (item.stop is None or has_length(item.stop, n, facts))


def _never_fails(node: Apply, first: int, facts: Facts) -> bool:
    """Whether the index of a reading or an update is known to lie inside the array."""
    x = node.inputs[0]
    lengths = iter(facts.lengths(x))
    for item in _items(node.op.template, node.inputs[first:]):  # type: ignore[attr-defined]  # an index's
        if item is None:
            continue
        if item is Ellipsis:
            return False
        n = next(lengths)
        if isinstance(item, slice):
            continue
        ends = _ends(item)
        if not isinstance(n, int) or ends is None or any(not -n <= i < n for i in ends):
            return False
    return True


def _ends(item: Any) -> list[int] | None:
    """The least and the greatest of the numbers that an item which is no slice holds; None where they are not known."""
    if isinstance(item, TensorConstant) and item.type.dtype != "bool":
        return [int(item.value.min()), int(item.value.max())] if item.value.size else []
    return [item] if isinstance(item, int) else None


# Spelling


@node_rule("canonical", Index, always=True)
def index_known(node: Apply) -> Any:
    """x[i], where i is a constant, is x[number]."""
    items = _known(node, 1)
    return None if items is None else fitting(lambda: index(node.inputs[0], tuple(items)))


@node_rule("canonical", IndexUpdate, always=True)
def update_known(node: Apply) -> Any:
    """The same for an assignment to x[i]."""
    items = _known(node, 2)
    return None if items is None else fitting(lambda: _updated(node, items))


def _known(node: Apply, first: int) -> list[Any] | None:
    """The items of an index in which a single integer, or a bound of a slice, is a constant; None where none is."""
    template: Template = node.op.template  # type: ignore[attr-defined]  # an index's
    for x, item in zip(node.inputs[first:], _places(template), strict=True):
        if item is Part.INT and scalar_value(x, 3) is not None:
            return _items(template, node.inputs[first:])
    return None


def _places(template: Template) -> list[Part]:
    """What each variable of an index stands for."""
    flat = [bound for item in template for bound in (item if isinstance(item, Slice) else (item,))]
    return [item for item in flat if isinstance(item, Part)]


def _updated(node: Apply, items: Sequence[Any], x: Any = None) -> Any:
    """The update of a node, of another place, and of another array where one is given."""
    op: Any = node.op
    x = node.inputs[0] if x is None else x
    template, parts = parse(tuple(items), x)
    return IndexUpdate(template, op.set_instead_of_inc, op.ignore_duplicates)(x, node.inputs[1], *parts)


@node_rule("canonical", Index, always=True)
def new_axes_by_dimshuffle(node: Apply) -> Any:
    """x[i, None] is x[i] with an axis added by a dimshuffle, which meets others."""
    template: Template = node.op.template  # type: ignore[attr-defined]  # an Index
    if not is_basic(template) or None not in template or Ellipsis in template:
        return None
    items = _items(template, node.inputs[1:])
    picked = pick(node.inputs[0], [item for item in items if item is not None])
    if picked is None:
        return None
    order: list[Any] = []
    axis = 0
    for item in items:
        if item is None:
            order.append("x")
        elif isinstance(item, slice):
            order.append(axis)
            axis += 1
    return dimshuffle(picked, [*order, *range(axis, picked.type.ndim)])


@node_rule("canonical", IndexUpdate, always=True)
def update_without_new_axes(node: Apply) -> Any:
    """x[i, None] = y is x[i] = y without that axis, which has length 1."""
    op: Any = node.op
    x: Any = node.inputs[0]
    y: Any = node.inputs[1]
    if not is_basic(op.template) or None not in op.template or Ellipsis in op.template:
        return None
    items = _items(op.template, node.inputs[2:])
    added = [item is None for item in items if item is None or isinstance(item, slice)]  # of the axes of x[index]
    added += [False] * (x.type.ndim + op.template.count(None) - len(items))
    kept = [a for a, new in enumerate(added[len(added) - y.type.ndim :]) if not new]
    template, parts = parse(tuple([item for item in items if item is not None]), x)
    return fitting(lambda: IndexUpdate(template, op.set_instead_of_inc)(x, dimshuffle(y, kept), *parts))


@node_rule("canonical", Index, always=True)
def index_without_whole_slices(node: Apply, facts: Facts) -> Any:
    """x[0:n], where n is the length of x, is x; x[0:n, i] is x[:, i]."""
    x = node.inputs[0]
    if node.op.template == ():  # type: ignore[attr-defined]  # an Index
        return x
    items = _without_whole(node, 1, facts)
    return None if items is None else pick(x, items)


@node_rule("canonical", IndexUpdate, always=True)
def update_without_whole_slices(node: Apply, facts: Facts) -> Any:
    """The same for an assignment to x[0:n]."""
    items = _without_whole(node, 2, facts)
    return None if items is None else fitting(lambda: _updated(node, items))


def _without_whole(node: Apply, first: int, facts: Facts) -> list[Any] | None:
    """The items of an index with `:` for slices that take all; None where there are none to replace."""
    items = per_axis(node, first)
    if items is None:
        return None
    lengths = facts.lengths(node.inputs[0])
    found = [ALL if _takes_whole(i, n, facts) else i for i, n in zip(items, lengths, strict=True)]
    changes = any(_is_all(new) and not _is_all(old) for new, old in zip(found, items, strict=True))
    return found if changes else None


@node_rule("canonical", Index, always=True)
def index_of_length_one(node: Apply, facts: Facts) -> Any:
    """x[:, 0], where the axis has length 1, is x without that axis: a dimshuffle."""
    items = per_axis(node)
    if items is None or not any(isinstance(item, int) for item in items):
        return None
    lengths = facts.lengths(node.inputs[0])
    kept = [a for a, item in enumerate(items) if _is_all(item)]
    for a, item in enumerate(items):
        if a not in kept and (lengths[a] != 1 or not isinstance(item, int) or item not in (0, -1)):
            return None
    return dimshuffle(node.inputs[0], kept)


# An index of an index


@node_rule("canonical", Index, always=True)
def index_of_index(node: Apply, facts: Facts) -> Any:
    """x[a:b][c:d] and x[a:b][i] are one index of x, where they are known to pick the same and to fail alike."""
    inner, then = _read_from(node, Index)
    first = None if inner is None else per_axis(inner)
    if first is None:
        return None
    lengths = facts.lengths(inner.inputs[0])
    rest = iter(then)
    items: list[Any] = []
    for item, n in zip(first, lengths, strict=True):
        merged = _then(item, next(rest), n) if isinstance(item, slice) else item
        if merged is None:
            return None
        items.append(merged)
    return pick(inner.inputs[0], items)


def _then(first: slice, then: Any, n: Any) -> Any:
    """The item that picks what `then` picks of what `first` does; n is the number of elements, where it is an int."""
    if _is_all(first):
        return then
    if _is_all(then):
        return first
    if not _is_constant(first):
        return None
    if not _is_constant(then):
        return _turned_place(then) if first == slice(None, None, -1) and not isinstance(then, slice) else None
    return slice_of_slice(first, then, n) if isinstance(then, slice) else item_of_slice(first, then, n)


def _turned_place(i: Any) -> Any:
    """Where element i of x[::-1] is in x."""
    return None if i.type.dtype == "uint64" else -1 - i.astype("int64")


def item_of_slice(first: slice, i: int, n: Any) -> int | None:
    """The j for which x[j] is x[first][i] for every x, also where both raise; n is the length of x where it is an int.

    The first elements of a slice have fixed places if its start is counted from the end at which it starts; its last
    ones if its steps are 1 and its stop is counted from the end at which it stops.
    """
    start, stop, step = first.start, first.stop, 1 if first.step is None else first.step
    ahead = step > 0
    begin = start if start is not None else 0 if ahead else -1
    if i in (0, -1) and first in (slice(begin, begin + 1 or None), slice(None, 1)):  # of one element at most
        return begin
    if i >= 0:
        j = begin + step * i
        if (begin >= 0) == ahead and (stop is None or ((stop >= 0) == ahead and (stop - j) * step > 0)):
            return int(j)
    elif abs(step) == 1:
        end = stop if stop is not None else 0 if ahead else -1
        j = end + step * i
        from_there = stop is None or (stop < 0) == ahead
        if from_there and (begin in (0, -1) and (begin == 0) == ahead):
            return int(j)
        if from_there and (begin < 0) == ahead and (j - begin) * step >= 0:
            return int(j)
    if isinstance(n, int) and -len(range(n)[first]) <= i < len(range(n)[first]):
        j = range(n)[first][i]
        return j - n if i < 0 else j
    return None


def slice_of_slice(first: slice, then: slice, n: Any) -> slice | None:
    """The slice that picks from every x what `then` picks from x[first]; n is the length of x where it is an int."""
    if (first.step or 1) < 0:
        found = _ahead(_turned(first), then)
        found = None if found is None else _turned(found)
    else:
        found = _ahead(first, then)
    if found is None and isinstance(n, int):
        found = _of_range(range(n)[first][then], n, then.start is not None and then.start < 0)
    return found


def _turned(s: slice) -> slice:
    """The slice t for which x[::-1][t] is x[s]."""
    start, stop = (None if bound is None else -1 - bound for bound in (s.start, s.stop))
    step = -(s.step or 1)
    return slice(start, stop, None if step == 1 else step)


def _ahead(first: slice, then: slice) -> slice | None:
    """`slice_of_slice`, for any length, where `first` has a positive step."""
    if (then.step or 1) > 0:
        return _both_ahead(first, then)
    if first.step not in (None, 1):
        return None
    if first.stop == 0:
        return slice(0, 0)
    # x[first][then] is x[first][::-1][turned], and x[first][::-1] is x[::-1][-stop:-start]
    start = None if first.stop is None else -first.stop
    stop = -first.start if first.start else None
    found = _both_ahead(slice(start, stop), _turned(then))
    return None if found is None else _turned(found)


def _both_ahead(first: slice, then: slice) -> slice | None:
    a, b, c = first.start or 0, first.stop, first.step or 1
    d, e, f = then.start or 0, then.stop, then.step or 1
    if c != 1:
        if a < 0 or d < 0:
            return None
        if e is None:
            return slice(a + c * d, b, c * f)
        if e < 0 or (b is not None and b < 0):
            return None
        ends = [end for end in (b, None if e is None else a + c * e) if end is not None]
        return slice(a + c * d, min(ends, default=None), c * f)
    from_end = b is None or b < 0
    end = b or 0  # where it is counted from the end
    # the beginning
    if a >= 0 and d >= 0:
        start = a + d
    elif d < 0 and from_end and a <= 0:
        start = end + d if a == 0 else max(a, end + d)
    elif d == 0:
        start = a
    else:
        return None
    # the end
    if e is None:
        stop = b
    elif e < 0:
        if not from_end:
            return None
        stop = end + e
    elif a >= 0 and not (from_end and end < 0):
        stop = a + e if b is None else min(b, a + e)
    elif e == 0:
        return slice(0, 0)
    else:
        return None
    return slice(start or None, stop, None if f == 1 else f)


def _of_range(r: range, n: int, from_end: bool = False) -> slice:
    """The slice that picks, of n elements, those of these numbers; its bounds counted from the end if asked."""
    if not r:
        return slice(0, 0)
    step = None if r.step == 1 else r.step
    if r.step < 0:
        return slice(None if r.start == n - 1 else r.start, None if r.stop < 0 else r.stop, step)
    if from_end:
        return slice(r.start - n, None if r.stop >= n else r.stop - n, step)
    return slice(r.start or None, None if r.stop >= n else r.stop, step)


# What is picked from things that are put together


@node_rule("canonical", Index, always=True)
def index_of_stack(node: Apply, facts: Facts) -> Any:
    """[x, y, z][1] is y; [x, y, z][1:] is [y, z]."""
    out: Any = node.outputs[0]
    made, items = _read_from(node, Stack)
    if made is None:
        return None
    axis, pieces = made.op.axis, made.inputs
    item = items.pop(axis)
    if isinstance(item, int):
        found = pick(pieces[item], items) if -len(pieces) <= item < len(pieces) else None
    elif _is_constant(item) and not _is_all(item) and pieces[item] and facts.readers(node.inputs[0]) <= 1:
        found = pick(Stack(axis)(*pieces[item]), [*items[:axis], ALL, *items[axis:]])
    else:
        return None
    return None if found is None else cast(found, out.type.dtype)


@node_rule("canonical", Index, always=True)
def index_of_join(node: Apply, facts: Facts) -> Any:
    """join(x, y)[i] is x[i], or y[i - len(x)], and so for slices, where the lengths of the pieces tell."""
    out: Any = node.outputs[0]
    made, items = _read_from(node, Join)
    if made is None:
        return None
    axis = made.op.axis
    before, item, after = items[:axis], items[axis], items[axis + 1 :]
    found = _in_pieces(item, made.inputs, [facts.lengths(x)[axis] for x in made.inputs], facts)
    if found is None or (len(found) > 1 and facts.readers(node.inputs[0]) > 1):
        return None
    if len(found) == 1:
        ((piece, item),) = found
    else:
        piece, item = join(axis, *[pick(x, [*[ALL] * axis, part]) for x, part in found]), ALL
    picked = pick(piece, [*before, item, *after])
    return None if picked is None else cast(picked, out.type.dtype)


def _in_pieces(item: Any, pieces: Sequence[Any], lengths: Sequence[Any], facts: Facts) -> list[tuple[Any, Any]] | None:
    """Of which pieces of a concatenation an item picks, and what of each; None where that cannot be told."""
    if isinstance(item, slice) and item.step in (None, 1) and not _is_constant(item):
        if item.start in (None, 0) and has_length(item.stop, lengths[0], facts):
            return [(pieces[0], ALL)]
        if item.stop is None and has_length(item.start, lengths[0], facts):
            return [(x, ALL) for x in pieces[1:]]
    wanted = _numbers(item, lengths)
    if wanted is None:
        return None
    spans = _spans(lengths) if not wanted or wanted[0] >= 0 else _spans_from_end(lengths)
    return _of_spans(item, wanted, spans, pieces)


def _numbers(item: Any, lengths: Sequence[Any]) -> range | None:
    """The numbers of the elements that an item picks, counted from the beginning, or as negative ones from the end."""
    if not _is_constant(item) or _is_all(item):
        return None
    if all(isinstance(n, int) for n in lengths):
        n = sum(lengths)
        if isinstance(item, slice):
            return range(n)[item]
        return range(item % n, item % n + 1) if -n <= item < n else None
    if isinstance(item, int):
        return range(item, item + 1)
    start, stop, step = item.start or 0, item.stop, item.step or 1
    if step > 0 and start >= 0 and stop is not None and stop >= 0:
        return range(start, stop, step)
    if step > 0 and start < 0 and (stop is None or stop < 0):
        return range(start, stop or 0, step)
    return None


Span = tuple[int, int, int]
"""The number of a piece, those of its first element and of the one after its last."""


def _spans(lengths: Sequence[Any]) -> list[Span]:
    """Where pieces are, up to the first of unknown length."""
    found: list[Span] = []
    end = 0
    for i, n in enumerate(lengths):
        if not isinstance(n, int):
            break
        found.append((i, end, end + n))
        end += n
    return found


def _spans_from_end(lengths: Sequence[Any]) -> list[Span]:
    """The same from the end, which is at 0."""
    turned = _spans(lengths[::-1])
    return [(len(lengths) - 1 - i, -stop, -start) for i, start, stop in turned[::-1]]


def _of_spans(item: Any, wanted: range, spans: Sequence[Span], pieces: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    if not wanted:
        return [(pieces[0], slice(0, 0))]
    low, high = min(wanted), max(wanted)
    touched = [span for span in spans if span[1] <= high and low < span[2]]
    if not touched or low < touched[0][1] or high >= touched[-1][2]:
        return None
    if len(touched) == 1:
        i, start, stop = touched[0]
        inside = range(wanted.start - start, wanted.stop - start, wanted.step)
        return [(pieces[i], inside[0] if isinstance(item, int) else _of_range(inside, stop - start))]
    if wanted.step != 1:
        return None
    found = []
    for i, start, stop in touched:
        inside = range(max(wanted.start, start) - start, min(wanted.stop, stop) - start)
        found.append((pieces[i], _of_range(inside, stop - start)))
    return found


@node_rule("canonical", Index, always=True)
def index_of_broadcast(node: Apply, facts: Facts) -> Any:
    """What is picked from a broadcast value is the value, or what is picked from it, broadcast to fewer elements."""
    made, items = _read_from(node, BroadcastTo)
    if made is None:
        return None
    value = made.inputs[0]
    added = len(items) - value.type.ndim
    own, full = [1] * added + list(facts.lengths(value)), facts.lengths(node.inputs[0])
    asked = asked_lengths(made.op.shape, made.inputs[1:])
    places: list[Any] = []
    lengths: list[Any] = []
    for item, m, n, d in zip(items, own, full, asked, strict=True):
        if _is_all(item):
            places.append(ALL)
            lengths.append(d)
            continue
        if m not in (1, n):
            return None
        places.append(item if m == n else ALL if isinstance(item, slice) else 0)
        if isinstance(item, slice):
            lengths.append(_sliced(item, d))
            if lengths[-1] is None:
                return None
        elif not isinstance(n, int) or not isinstance(item, int) or not -n <= item < n:
            return None
    picked = pick(value, places[added:])
    known, symbolic = split_lengths(lengths)
    return None if picked is None else fitting(lambda: type(made.op)(known)(picked, *symbolic))


def _sliced(item: slice, n: Any) -> Any:
    """How many of n elements a slice picks; None where there is no simple expression for that."""
    if not _is_constant(item):
        return None
    if isinstance(n, int):
        return len(range(n)[item])
    n = n.astype("int64")
    start, stop, step = item.start or 0, item.stop, item.step or 1
    if step == 1 and stop is None:
        return minimum(n, -start) if start < 0 else maximum(n - start, 0)
    if step == 1 and start == 0:
        return minimum(n, stop) if stop >= 0 else maximum(n + stop, 0)
    return n if item == slice(None, None, -1) else None


@node_rule("canonical", Index, always=True)
def arrays_index_of_broadcast(node: Apply, facts: Facts) -> Any:
    """A number that is broadcast, indexed with constant arrays that are known to fit, is the number broadcast."""
    out: Any = node.outputs[0]
    made = node.inputs[0].owner
    if made is None or not (isinstance(made.op, BroadcastTo) or made.op is fill):
        return None
    value: Any = made.inputs[1 if made.op is fill else 0]
    if is_basic(node.op.template) or value.type.ndim or None in out.type.shape:  # type: ignore[attr-defined]
        return None
    return alloc(value, list(out.type.shape)) if _never_fails(node, 1, facts) else None


@node_rule("canonical", Index, always=True)
def index_of_shape(node: Apply) -> Any:
    """shape(x)[i] is the length of an axis; a slice of a shape is a stack of lengths."""
    made, items = _read_from(node, Shape)
    if made is None or not _is_constant(items[0]):
        return None
    (x,), (item,) = made.inputs, items
    axes = range(x.type.ndim)
    if isinstance(item, int):
        return shape_i(x, item) if item in range(-len(axes), len(axes)) else None
    wanted = axes[item]
    return Stack(0)(*[shape_i(x, a) for a in wanted]) if wanted else constant(np.zeros(0, "int64"))


@node_rule("canonical", Index, always=True)
def index_of_arange(node: Apply) -> Any:
    """arange(a, b)[c:d] is arange(a + c, min(b, a + d)), for c and d that are not negative."""
    made, items = _read_from(node, ARange)
    if made is None or not isinstance(items[0], slice) or not _is_constant(items[0]):
        return None
    if any(x.type.dtype not in INTEGERS or x.type.dtype == "uint64" for x in made.inputs):
        return None
    c, d, f = items[0].start or 0, items[0].stop, items[0].step or 1
    step = scalar_value(made.inputs[2])
    if step is None or f < 0 or c < 0 or (d is not None and d < 0) or made.op.dtype not in INTEGERS:
        return None
    start, stop = (x.astype("int64") for x in made.inputs[:2])
    step = int(step)
    if d is not None:
        stop = (minimum if step > 0 else maximum)(stop, start + step * d)
    return made.op(start + step * c, stop, constant(np.array(step * f, "int64")))


@node_rule("canonical", Index, always=True)
def index_by_all_numbers(node: Apply, facts: Facts) -> Any:
    """x[:, arange(n)], where n is the length of the axis, is x."""
    template: Template = node.op.template  # type: ignore[attr-defined]  # an Index
    if template.count(Part.INTS) != 1 or len(node.inputs) != 2 or None in template or Ellipsis in template:
        return None
    made, axis = made_by(node.inputs[1], ARange), template.index(Part.INTS)
    if made is None or any(item != Slice(None, None, None) for a, item in enumerate(template) if a != axis):
        return None
    start, stop, step = made.inputs
    if scalar_value(start) != 0 or scalar_value(step) != 1:
        return None
    return node.inputs[0] if has_length(stop, facts.lengths(node.inputs[0])[axis], facts) else None


# What picking goes through


_THROUGH = (Elemwise, Dot, Reduction, Normalization, DimShuffle)


def _read_alone(node: Apply, kinds: Any, facts: Facts) -> tuple[Any, list[Any]]:
    """The same, where nothing else reads the array, and the index would move through no more than a few ops behind."""
    made, items = _read_from(node, kinds) if facts.readers(node.inputs[0]) <= 1 else (None, [])
    return (made, items) if made is not None and few_behind(made, _THROUGH, facts) else (None, [])


@node_rule("canonical", Index, always=True)
def index_of_dimshuffle(node: Apply, facts: Facts) -> Any:
    """x.T[i] is x[:, i]: what is picked from other axes is picked first, and then has other axes."""
    made, items = _read_from(node, DimShuffle)
    if made is None:
        return None
    x = made.inputs[0]
    places: list[Any] = [ALL] * x.type.ndim
    order: list[Any] = []
    for item, o in zip(items, made.op.order, strict=True):
        if o != "x":
            places[o] = item
        elif not _is_constant(item) or (not _takes_one(item) if isinstance(item, slice) else item not in (0, -1)):
            return None
        if isinstance(item, slice):
            order.append(o)
    picked = pick(x, places)
    left = [a for a, item in enumerate(places) if isinstance(item, slice)]
    return None if picked is None else dimshuffle(picked, ["x" if o == "x" else left.index(o) for o in order])


def _takes_one(item: slice) -> bool:
    """Whether a slice takes the element of an axis of length 1."""
    return len(range(1)[item]) == 1


@node_rule("canonical", Index)
def index_into_elementwise(node: Apply, facts: Facts) -> Any:
    """f(x, y)[i] is f(x[i], y[i]), where f is computed for this alone; what is broadcast along an axis stays so."""
    out: Any = node.inputs[0]
    made, items = _read_alone(node, Elemwise, facts)
    if made is None:
        return None
    inputs = []
    for x in made.inputs:
        added = out.type.ndim - x.type.ndim
        places = _broadcast_places(items[added:], facts.lengths(x), facts.lengths(out)[added:])
        picked = None if places is None else pick(x, places)
        if picked is None:
            return None
        inputs.append(picked)
    return made.op.make_node(*inputs).outputs


def _broadcast_places(items: Sequence[Any], own: Sequence[Any], full: Sequence[Any]) -> list[Any] | None:
    """The items that pick from what has lengths `own` where `items` pick from what it is broadcast to."""
    found: list[Any] = []
    for item, m, n in zip(items, own, full, strict=True):
        if m != n and m != 1 and not _is_all(item):
            return None
        found.append(item if m == n or _is_all(item) else ALL if isinstance(item, slice) else 0)
    return found


@node_rule("canonical", Index, always=True)
def index_into_dot(node: Apply, facts: Facts) -> Any:
    """dot(x, y)[i] is dot(x[i], y), and dot(x, y)[:, j] is dot(x, y[:, j]), where all of it is not wanted."""
    made, items = _read_alone(node, Dot, facts)
    if made is None or not any(_takes_fewer(item) for item in items):
        return None
    x, y = made.inputs
    rows = pick(x, items[:1]) if x.type.ndim == 2 else x
    columns = pick(y, [ALL, items[-1]]) if y.type.ndim == 2 else y
    return None if rows is None or columns is None else made.op(rows, columns)


def _takes_fewer(item: Any) -> bool:
    """Whether an item may take less than all, in order."""
    return not isinstance(item, slice) or (not _is_all(item) and not (isinstance(item.step, int) and item.step < 0))


@node_rule("canonical", Index, always=True)
def index_into_reduction(node: Apply, facts: Facts) -> Any:
    """sum(x, axis=1)[i] is sum(x[i], axis=0), and so for every reduction and softmax along other axes."""
    made, items = _read_alone(node, (Reduction, Normalization), facts)
    if made is None or all(_is_all(item) for item in items):
        return None
    op, x = made.op, made.inputs[0]
    keeps = isinstance(op, Normalization) or op.keepdims
    rest = iter(items)
    places = [ALL if a in op.axis and not keeps else next(rest) for a in range(x.type.ndim)]
    if not all(_is_all(places[a]) for a in op.axis):
        return None
    picked = pick(x, places)
    if picked is None:
        return None
    left = [a for a, item in enumerate(places) if isinstance(item, slice)]
    axes = tuple([left.index(a) for a in op.axis])
    if isinstance(op, Normalization):
        return type(op)(axes)(picked)
    return op.row.over(picked, axes, op.keepdims, op.dtype, op.acc_dtype)


# What was assigned


def _place(node: Apply) -> Any:
    """What an update replaces or adds to: x[index]; None where that is known to be outside."""
    op: Any = node.op
    return fitting(lambda: Index(op.template)(node.inputs[0], *node.inputs[2:]))


def picks_once(node: Apply) -> bool:
    """Whether no element is picked twice by the index of an update."""
    op: Any = node.op
    if op.ignore_duplicates:
        return True
    arrays = [x for x, item in zip(node.inputs[2:], _places(op.template), strict=True) if item is Part.INTS]
    (at, *rest) = arrays
    if rest or not isinstance(at, TensorConstant) or not at.value.size:
        return False
    return bool((at.value.min() >= 0 or at.value.max() < 0) and np.unique(at.value).size == at.value.size)


def _fits(y: Any, x: Any, facts: Facts) -> bool:
    """Whether y is known to be broadcast to the shape of x, and x never to that of y."""
    own, full = facts.lengths(y), facts.lengths(x)
    return len(own) <= len(full) and all(m in (1, n) for m, n in zip(own, full[len(full) - len(own) :], strict=True))


def is_zero(x: Any) -> bool:
    """Whether all elements of x are known to be 0."""
    value = scalar_value(x, 3)
    return value is not None and value == 0


@node_rule("canonical", Index, always=True)
def index_of_update(node: Apply, facts: Facts) -> Any:
    """What is read where y was assigned is y; where y was added, x[i] + y."""
    made = made_by(node.inputs[0], IndexUpdate)
    if made is None or made.op.template != node.op.template or made.inputs[2:] != node.inputs[1:]:  # type: ignore[attr-defined]
        return None
    y, place = made.inputs[1], _place(made)
    if place is None or not picks_once(made) or not _fits(y, place, facts):
        return None
    if made.op.set_instead_of_inc and facts.same_shape(y, place):
        return y if _never_fails(made, 2, facts) else None
    if facts.readers(node.inputs[0]) > 1:
        return None
    return fill(place, y) if made.op.set_instead_of_inc else place + y


@node_rule("canonical", Index, always=True)
def index_beside_update(node: Apply, facts: Facts) -> Any:
    """What is read where nothing was assigned is what was there before."""
    read = per_axis(node)
    x = node.inputs[0]
    for _ in range(_FEW):
        made = made_by(x, IndexUpdate)
        if made is None or read is None or not _is_beside(made, read, facts):
            return None if x is node.inputs[0] else node.op(x, *node.inputs[1:])
        x = made.inputs[0]
    return None


def _is_beside(update: Apply, read: Sequence[Any], facts: Facts) -> bool:
    """Whether an update is known to change nothing that an index reads, and not to fail."""
    written = per_axis(update, 2)
    if written is None or not _never_fails(update, 2, facts):
        return False
    items = zip(written, read, facts.lengths(update.inputs[0]), strict=True)
    return any(isinstance(n, int) and _is_constant(w) and _is_constant(r) and not _meet(w, r, n) for w, r, n in items)


def _meet(a: Any, b: Any, n: int) -> bool:
    """Whether two items pick an element in common, of n; where one is outside, it is taken to."""
    found = []
    for item in (a, b):
        if not isinstance(item, slice):
            if not -n <= item < n:
                return True
            item = slice(item % n, item % n + 1)
        found.append(range(n)[item])
    shorter, longer = sorted(found, key=len)
    if not shorter or max(shorter) < min(longer) or max(longer) < min(shorter):
        return False
    return len(shorter) > _FEW or any(i in longer for i in shorter)


@node_rule("canonical", IndexUpdate, always=True)
def update_of_all(node: Apply, facts: Facts) -> Any:
    """x with all of it set to y is y, broadcast; with y added to all of it, x + y."""
    op: Any = node.op
    x, y = node.inputs[:2]
    items = per_axis(node, 2)
    if items is None or not _fits(y, x, facts) or not all(_is_all(item) for item in items):
        return None
    return facts.like(y, x) if op.set_instead_of_inc else x + y  # type: ignore[operator]  # tensors


@node_rule("canonical", IndexUpdate, always=True)
def update_of_one(node: Apply, facts: Facts) -> Any:
    """The same for x[0], where the axis has length 1."""
    op: Any = node.op
    x: Any = node.inputs[0]
    items, lengths = per_axis(node, 2), facts.lengths(x)
    if items is None or all(_is_all(item) for item in items):
        return None
    for item, n in zip(items, lengths, strict=True):
        if not _is_all(item) and (n != 1 or not isinstance(item, int) or item not in (0, -1)):
            return None
    rest = iter(range(x.type.ndim))
    order = [next(rest) if _is_all(item) else "x" for item in items]
    place = dimshuffle(x, [a for a, item in enumerate(items) if _is_all(item)])
    if not _fits(node.inputs[1], place, facts):
        return None
    y = facts.like(node.inputs[1], place)
    return dimshuffle(y, order) if op.set_instead_of_inc else x + dimshuffle(y, order)


@node_rule("canonical", IndexUpdate, always=True)
def update_by_number(node: Apply) -> Any:
    """x[i] = y, where y is broadcast from less, is x[i] = that, which the assignment broadcasts itself."""
    made = node.inputs[1].owner
    if made is None or not (isinstance(made.op, BroadcastTo) or made.op is fill):
        return None
    value = made.inputs[1 if made.op is fill else 0]
    return node.op(node.inputs[0], value, *node.inputs[2:])


@node_rule("canonical", IndexUpdate, always=True)
def update_of_update(node: Apply, facts: Facts) -> Any:
    """What is assigned where something was assigned before is all that counts; what is added twice is added once."""
    op: Any = node.op
    x, y = node.inputs[:2]
    made = made_by(x, IndexUpdate)
    if made is None or made.op.template != op.template or made.inputs[2:] != node.inputs[2:]:
        return None
    if op.set_instead_of_inc:
        return op(made.inputs[0], y, *node.inputs[2:])
    if made.op != op or facts.readers(x) > 1:
        return None
    return op(made.inputs[0], made.inputs[1] + y, *node.inputs[2:])


@node_rule("canonical", IndexUpdate, always=True)
def update_that_changes_nothing(node: Apply, facts: Facts) -> Any:
    """x[i] += 0, x[i] = x[i], and x[i] = c where all of x is c, leave x, where i is known to be inside."""
    op: Any = node.op
    x, y = node.inputs[:2]
    if not op.set_instead_of_inc:
        idle = is_zero(y)
    else:
        read = made_by(y, Index)
        idle = read is not None and read.op.template == op.template and read.inputs == (x, *node.inputs[2:])
        if not idle:
            value = scalar_value(x, 3)
            idle = value is not None and scalar_value(y, 3) == value
    return x if idle and _never_fails(node, 2, facts) else None


@node_rule("canonical", IndexUpdate, always=True)
def update_by_sum(node: Apply) -> Any:
    """x[i] = x[i] + y is x[i] += y, where no element is picked twice."""
    op: Any = node.op
    total = node.inputs[1].owner
    if not op.set_instead_of_inc or total is None or total.op is not add or not picks_once(node):
        return None
    for read, y in (total.inputs, total.inputs[::-1]):
        made = made_by(read, Index)
        if made is not None and made.op.template == op.template and made.inputs == (node.inputs[0], *node.inputs[2:]):
            return IndexUpdate(op.template, False, op.ignore_duplicates)(node.inputs[0], y, *node.inputs[2:])
    return None


@node_rule("canonical", IndexUpdate, always=True)
def update_of_zeros(node: Apply) -> Any:
    """Adding y to zeros, where no element is picked twice, is setting to y."""
    op: Any = node.op
    if op.set_instead_of_inc or not picks_once(node) or not is_zero(node.inputs[0]):
        return None
    return IndexUpdate(op.template, True, op.ignore_duplicates)(*node.inputs)


@node_rule("canonical", add, always=True)
def sum_with_update_of_zeros(node: Apply, facts: Facts) -> Any:
    """x + (zeros with y in some place) is x with y added in that place."""
    for x, term in (node.inputs, node.inputs[::-1]):
        made = made_only_for_this(term, IndexUpdate, facts)
        if made is None or not is_zero(made.inputs[0]) or not facts.same_shape(x, made.inputs[0]):
            continue
        op: Any = made.op
        if x.type.dtype == term.type.dtype and (not op.set_instead_of_inc or picks_once(made)):  # type: ignore[attr-defined]
            return IndexUpdate(op.template, False, op.ignore_duplicates)(x, *made.inputs[1:])
    return None


@node_rule("canonical", sub, always=True)
def difference_with_update_of_zeros(node: Apply, facts: Facts) -> Any:
    """x - (zeros with y added in some place) is x with -y added there, and the other way round -x with y."""
    for i in (0, 1):
        x: Any = node.inputs[1 - i]
        made = made_only_for_this(node.inputs[i], IndexUpdate, facts)
        if made is None or not is_zero(made.inputs[0]) or not facts.same_shape(x, made.inputs[0]):
            continue
        op: Any = made.op
        if x.type.dtype == made.inputs[0].type.dtype and (not op.set_instead_of_inc or picks_once(made)):
            terms = (x, -made.inputs[1]) if i else (-x, made.inputs[1])
            return IndexUpdate(op.template, False, op.ignore_duplicates)(*terms, *made.inputs[2:])
    return None


@node_rule("canonical", reductions.sum, always=True)
def sum_of_update_of_zeros(node: Apply, facts: Facts) -> Any:
    """sum(zeros with y added at [i, j], axis=1), for arrays i and j, is zeros with y added at [i]."""
    op: Any = node.op
    made = made_by(node.inputs[0], IndexUpdate)
    if made is None or made.op.set_instead_of_inc or made.op.ignore_duplicates or not is_zero(made.inputs[0]):
        return None
    x, y, *arrays = made.inputs
    summed, left = ([at for a, at in enumerate(arrays) if (a in op.axis) is taken] for taken in (True, False))
    if any(item is not Part.INTS for item in made.op.template) or len(summed) < len(op.axis) or not left:
        return None
    if x.type.dtype != node.outputs[0].type.dtype or x.type.dtype not in CONTINUOUS or op.dtype or op.acc_dtype:  # type: ignore[attr-defined]
        return None
    for at in summed:  # an array may be broadcast to the others
        left[0] = left[0] if facts.same_shape(left[0], at) else fill(at, left[0])
    kept = [a for a in range(x.type.ndim) if a not in op.axis]
    zeros = alloc(weak_constant(0, x.type.dtype), [shape_i(x, a) for a in kept])
    found = IndexUpdate((Part.INTS,) * len(left), False)(zeros, y, *left)
    order = [kept.index(a) if a in kept else "x" for a in range(x.type.ndim)]
    return dimshuffle(found, order) if op.keepdims else found
