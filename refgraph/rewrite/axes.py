"""Changes of axes and shape: fewer of them, none that changes nothing, and each as far inside as it goes.

They go towards the inputs: there they meet others of their kind and constants, and leave elementwise ops as neighbours,
which fuse. Indexing goes further inside still (indexing.py). Where an op repeats, joins or moves elements and has
nothing to do, it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply, Variable
from refgraph.ops.construct import alloc
from refgraph.ops.cumulative import CumProd, CumSum
from refgraph.ops.elementwise import add, cast, fill
from refgraph.ops.families import Elemwise
from refgraph.ops.joining import Join, Pad, Repeat, Roll, Split, Stack, Tile, join
from refgraph.ops.lengths import scalar_value, split_lengths
from refgraph.ops.nnet import LogSoftmax, Softmax
from refgraph.ops.reductions import Count
from refgraph.ops.shape import (
    BroadcastTo,
    DimShuffle,
    Reshape,
    ShapeI,
    SpecifyShape,
    dimshuffle,
    reshape,
    shape_i,
    specify_shape,
)
from refgraph.ops.sorting import ArgSort, Sort
from refgraph.ops.tensor import UNSIGNED, TensorConstant, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

_MOST_PIECES = 64  # of a concatenation that takes up another, so that a long chain of them takes no quadratic time
_FEW = 32  # applications that something moves through


# What rules about axes ask


def made_by(x: Variable, op: Any) -> Any:
    """The application that makes x, where it is of this class of ops; else None."""
    node = x.owner
    return node if node is not None and isinstance(node.op, op) else None


def made_only_for_this(x: Variable, op: Any, facts: Facts) -> Any:
    """The same, where nothing else reads x, so that nothing is computed twice when it is computed in another way."""
    return made_by(x, op) if facts.readers(x) <= 1 else None


def few_behind(node: Apply, kinds: Any, facts: Facts) -> bool:
    """Whether there are only a few applications of these classes of ops behind one, each made for the next alone.

    What moves towards the inputs moves through all of them. Where a chain is long, and something moves through it from
    many of its places, that would take time in proportion to the square of its length.
    """
    stack = [node]
    for _ in range(_FEW):
        if not stack:
            return True
        node = stack.pop()
        stack += [made for x in node.inputs if (made := made_only_for_this(x, kinds, facts)) is not None]
    return False


def fitting(make: Callable[[], Any]) -> Any:
    """What `make` makes; None where that is known not to fit: then the graph stays, to raise its error when it runs."""
    try:
        return make()
    except RefgraphError:
        return None


def asked_lengths(shape: Sequence[int | None], symbolic: Sequence[Any]) -> list[Any]:
    """The lengths that an op holds, with its inputs in the places of those that are symbolic."""
    rest = iter(symbolic)
    return [next(rest) if d is None else d for d in shape]


def has_length(d: Any, n: Any, facts: Facts) -> bool:
    """Whether a length, a number or a variable, is that of an axis whose entry in `facts.lengths` is n."""
    if isinstance(d, int) or d is n:
        return bool(d == n)
    measured = made_by(d, ShapeI)
    return measured is not None and bool(facts.lengths(measured.inputs[0])[measured.op.i] == n)


def length_without(x: Any, axis: int, facts: Facts) -> Any:
    """The length of an axis of x, as an int or a variable that is not computed from x; None where there is none."""
    n = facts.length(x, axis)
    return None if isinstance(n, Variable) and n.owner is not None and x in n.owner.inputs else n


def _is_never_negative(d: Any) -> bool:
    """Whether a length is one that there is, or computed of such so that it is not negative."""
    stack = [d]
    for _ in range(12):
        if not stack:
            return True
        d = stack.pop()
        value = d if isinstance(d, int) else scalar_value(d, 1)
        if value is not None:
            if value < 0:
                return False
        elif d.type.dtype not in UNSIGNED and made_by(d, (ShapeI, Count)) is None:
            if d.owner is None or d.owner.op.name not in ("add", "mul", "maximum", "minimum"):
                return False
            stack += d.owner.inputs
    return False


def without_added(order: Sequence[Any]) -> list[Any]:
    """An order of axes without those that it adds on the left, where broadcasting adds them."""
    start = 0
    while start < len(order) and order[start] == "x":
        start += 1
    return list(order[start:])


# Lengths that have become known


_HOLDERS: dict[type, tuple[str, int]] = {
    Reshape: ("shape", 1),
    BroadcastTo: ("shape", 1),
    Tile: ("reps", 1),
    Split: ("sizes", 1),
    Pad: ("widths", 2),
}
"""Ops that hold lengths: the attribute, and how many inputs come before those that are symbolic."""


@node_rule("canonical", *_HOLDERS, always=True)
def lengths_known(node: Apply) -> Any:
    """A length that is a constant is held by the op, which then knows the shape of what it makes."""
    op: Any = node.op
    attribute, first = next(held for kind, held in _HOLDERS.items() if isinstance(op, kind))
    symbolic = node.inputs[first:]
    if not any(isinstance(d, TensorConstant) for d in symbolic):
        return None
    numbers = [int(d.value) if isinstance(d, TensorConstant) else d for d in symbolic]
    known, rest = split_lengths(asked_lengths(getattr(op, attribute), numbers))
    fresh = Split(op.axis, known) if isinstance(op, Split) else type(op)(known)
    return fitting(lambda: fresh.make_node(*node.inputs[:first], *rest).outputs)


# Orders of axes


@node_rule("canonical", DimShuffle, always=True)
def dimshuffle_of_nothing(node: Apply, facts: Facts) -> Any:
    """dimshuffle(x, (0, 1, ...)) is x, also where an axis of length 1 is dropped and added again in its place."""
    x: Any = node.inputs[0]
    order: Sequence[Any] = node.op.order  # type: ignore[attr-defined]  # a DimShuffle
    if len(order) != x.type.ndim:
        return None
    pairs = enumerate(zip(order, facts.lengths(x), strict=True))
    return x if all(o == a or (o == "x" and a not in order and n == 1) for a, (o, n) in pairs) else None


@node_rule("canonical", DimShuffle, always=True)
def dimshuffle_of_dimshuffle(node: Apply) -> Any:
    """dimshuffle(dimshuffle(x, a), b) is dimshuffle(x, a[b]); a transpose of a transpose is nothing."""
    inner = made_by(node.inputs[0], DimShuffle)
    if inner is None:
        return None
    order = ["x" if o == "x" else inner.op.order[o] for o in node.op.order]  # type: ignore[attr-defined]
    return dimshuffle(inner.inputs[0], order)


@node_rule("canonical", DimShuffle, always=True)
def dimshuffle_of_broadcast(node: Apply) -> Any:
    """A value that is broadcast, with other axes, is the value with other axes, broadcast."""
    x: Any = node.inputs[0]
    made = made_by(x, BroadcastTo)
    order: Sequence[Any] = node.op.order  # type: ignore[attr-defined]  # a DimShuffle
    if made is None or any(x.type.shape[a] != 1 for a in range(x.type.ndim) if a not in order):
        return None
    lengths = asked_lengths(made.op.shape, made.inputs[1:])
    value = made.inputs[0]
    added = len(lengths) - value.type.ndim
    moved = ["x" if o == "x" or o < added else o - added for o in order]
    known, symbolic = split_lengths([1 if o == "x" else lengths[o] for o in order])
    return type(made.op)(known)(dimshuffle(value, without_added(moved)), *symbolic)


@node_rule("canonical", DimShuffle)
def dimshuffle_into_elementwise(node: Apply, facts: Facts) -> Any:
    """f(x, y) with other axes is f of x and y with other axes, where f is computed for this alone."""
    x: Any = node.inputs[0]
    made = made_only_for_this(x, Elemwise, facts)
    if made is None or x.type.ndim == 0 or not few_behind(made, Elemwise, facts):
        return None
    order: Sequence[Any] = node.op.order  # type: ignore[attr-defined]  # a DimShuffle
    return made.op.make_node(*[_shuffled(y, order, x.type.ndim) for y in made.inputs]).outputs


def _shuffled(y: Any, order: Sequence[Any], ndim: int) -> Any:
    """An operand of an elementwise op in the order that is asked of what it makes, which has `ndim` axes."""
    added = ndim - y.type.ndim
    moved = ["x" if o == "x" or o < added else o - added for o in order]
    return dimshuffle(y, moved if added == 0 else without_added(moved))


# Shapes


@node_rule("canonical", Reshape, always=True)
def reshape_by_ones(node: Apply, facts: Facts) -> Any:
    """A reshape that only adds and drops axes of length 1 is a dimshuffle; one that keeps the shape is nothing."""
    source = facts.lengths(node.inputs[0])
    asked: list[Any] = list(facts.lengths(node.outputs[0]))
    lengths = asked_lengths(node.op.shape, node.inputs[1:])  # type: ignore[attr-defined]  # a Reshape
    for i, d in enumerate(lengths):
        if not isinstance(asked[i], int):
            measured = made_by(d, ShapeI) if isinstance(d, Variable) else None
            if measured is not None:
                asked[i] = facts.lengths(measured.inputs[0])[measured.op.i]
            elif d in source:  # then it is no -1
                asked[i] = d
            elif isinstance(d, int):  # -1
                asked[i] = None
    order = _order(source, asked)
    return None if order is None else dimshuffle(node.inputs[0], order)


def _order(source: Sequence[Any], target: Sequence[Any]) -> list[Any] | None:
    """The dimshuffle from one shape to another that has the same axes but for those of length 1; None if none does.

    A length of None, of which there is one at most, is what is left.
    """
    order: list[Any] = []
    i = 0
    for n in target:
        while i < len(source) and source[i] == 1 and n != 1:
            i += 1
        if i < len(source) and (n is None or source[i] == n):
            order.append(i)
            i += 1
        elif n == 1:
            order.append("x")
        else:
            return None
    return order if all(n == 1 for n in source[i:]) else None


@node_rule("canonical", Reshape, always=True)
def reshape_of_reshape(node: Apply, facts: Facts) -> Any:
    """reshape(reshape(x, a), b) is reshape(x, b); so it is of a dimshuffle that only adds or drops axes of length 1."""
    inner = made_by(node.inputs[0], (Reshape, DimShuffle))
    if inner is None or (isinstance(inner.op, DimShuffle) and list(inner.op.kept) != sorted(inner.op.kept)):
        return None
    target = _target(node, facts)
    return None if target is None else fitting(lambda: reshape(inner.inputs[0], target))


def _target(node: Apply, facts: Facts) -> list[Any] | None:
    """The lengths that a reshape asks for, if they say the same of whatever has as many elements; else None.

    A -1 may, beside a length of 0, depend on the shape that there was; and so may one that turns out to be -1.
    """
    out: Any = node.outputs[0]
    target = asked_lengths(node.op.shape, node.inputs[1:])  # type: ignore[attr-defined]  # a Reshape
    open_ = [i for i, d in enumerate(target) if not _is_never_negative(d)]
    for i in open_:
        if isinstance(target[i], int) and (n := length_without(out, i, facts)) is not None:
            target[i] = n
    open_ = [i for i in open_ if not _is_never_negative(target[i])]
    others = [d for i, d in enumerate(target) if i not in open_]
    if not open_ or (len(open_) == 1 and all(isinstance(d, int) and d > 0 for d in others)):
        return target
    return None


@node_rule("canonical", Reshape, always=True)
def reshape_of_broadcast(node: Apply, facts: Facts) -> Any:
    """A number that is broadcast, in another shape, is the number broadcast to that."""
    made = node.inputs[0].owner
    if made is None or not (isinstance(made.op, BroadcastTo) or made.op is fill):
        return None
    value: Any = made.inputs[1 if made.op is fill else 0]
    target = _target(node, facts)
    if value.type.ndim or target is None or not all(_is_never_negative(d) for d in target):
        return None
    return fitting(lambda: alloc(value, target))


@node_rule("canonical", Reshape)
def reshape_into_elementwise(node: Apply, facts: Facts) -> Any:
    """reshape(f(x), shape) is f(reshape(x, shape)), where f is computed for this alone, of one array and numbers."""
    made = made_only_for_this(node.inputs[0], Elemwise, facts)
    if made is None or sum(y.type.ndim > 0 for y in made.inputs) != 1 or not few_behind(made, Elemwise, facts):
        return None
    inputs = [y if y.type.ndim == 0 else node.op(y, *node.inputs[1:]) for y in made.inputs]
    return made.op.make_node(*inputs).outputs


@node_rule("canonical", SpecifyShape, always=True)
def specify_shape_known(node: Apply, facts: Facts) -> Any:
    """A length that is known to be the one specified needs no check; without any, and without forgetting, x is left."""
    op: Any = node.op
    x: Any = node.inputs[0]
    found = facts.lengths(x)
    checked = [(a, d) for a, d in zip(op.checked, node.inputs[1:], strict=True) if not has_length(d, found[a], facts)]
    if op.shape == x.type.shape and not checked:
        return x
    if len(checked) == len(op.checked):
        return None
    return SpecifyShape(op.shape, tuple([a for a, _ in checked]))(x, *[d for _, d in checked])


@node_rule("canonical", SpecifyShape, always=True)
def specify_shape_of_specify_shape(node: Apply) -> Any:
    """Two checks of a shape are one, where the outer does not forget what the inner finds out."""
    op: Any = node.op
    inner = made_by(node.inputs[0], SpecifyShape)
    if inner is None:
        return None
    x = inner.inputs[0]
    if any(n is not None and n not in (m, d) for n, m, d in zip(inner.op.shape, op.shape, x.type.shape, strict=True)):
        return None
    checks = {(a, d): None for a, d in zip(inner.op.checked, inner.inputs[1:], strict=True)}
    checks.update({(a, d): None for a, d in zip(op.checked, node.inputs[1:], strict=True)})
    return fitting(lambda: SpecifyShape(op.shape, tuple([a for a, _ in checks]))(x, *[d for _, d in checks]))


@node_rule("canonical", BroadcastTo, always=True)
def broadcast_to_own_shape(node: Apply, facts: Facts) -> Any:
    """x broadcast to the shape that it has is x."""
    return node.inputs[0] if facts.same_shape(node.inputs[0], node.outputs[0]) else None


@node_rule("canonical", BroadcastTo, always=True)
def broadcast_of_broadcast(node: Apply, facts: Facts) -> Any:
    """What is broadcast and then broadcast further is broadcast once, where the lengths are known to fit."""
    x: Any = node.inputs[0]
    made = x.owner
    if made is None or not (isinstance(made.op, BroadcastTo) or made.op is fill):
        return None
    value: Any = made.inputs[1 if made.op is fill else 0]
    if made.op is fill and value.type.ndim:
        return None
    wide = facts.lengths(node.outputs[0])[node.outputs[0].type.ndim - x.type.ndim :]  # type: ignore[attr-defined]
    if any(n not in (1, m) for n, m in zip(facts.lengths(x), wide, strict=True)):
        return None
    return node.op(value, *node.inputs[1:])


@node_rule("canonical", BroadcastTo, always=True)
def broadcast_of_added_axes(node: Apply) -> Any:
    """x with axes added on the left, broadcast, is x broadcast, which adds them."""
    made = made_by(node.inputs[0], DimShuffle)
    if made is None or made.op.order[:1] != ("x",):
        return None
    return node.op(dimshuffle(made.inputs[0], without_added(made.op.order)), *node.inputs[1:])


# Joining and splitting


@node_rule("canonical", ShapeI, always=True)
def length_of_pieces(node: Apply) -> Any:
    """The length of join(x, y) along their axis is the sum of theirs; that of x laid twice is twice that of x."""
    made, axis = made_by(node.inputs[0], (Join, Tile)), node.op.i  # type: ignore[attr-defined]  # a ShapeI
    if made is None:
        return None
    if isinstance(made.op, Tile):
        times = made.op.reps[axis]
        return None if times is None else times * shape_i(made.inputs[0], axis)
    lengths = [shape_i(x, axis) for x in made.inputs]
    return reduce(add, lengths) if axis == made.op.axis else lengths[0]


@node_rule("canonical", Join, always=True)
def join_without_empty(node: Apply) -> Any:
    """A concatenation needs no pieces that are empty; of one piece it is the piece."""
    op: Any = node.op
    out: Any = node.outputs[0]
    pieces: Sequence[Any] = node.inputs
    kept = [x for x in pieces if x.type.shape[op.axis] != 0] or [pieces[0]]
    return None if len(kept) == len(pieces) > 1 else cast(join(op.axis, *kept), out.type.dtype)


@node_rule("canonical", Join, always=True)
def join_of_joins(node: Apply, facts: Facts) -> Any:
    """join(join(x, y), z) is join(x, y, z), where the inner one is made for this alone."""
    op: Any = node.op
    pieces: list[Any] = []
    for x in node.inputs:
        inner = made_only_for_this(x, Join, facts)
        taken = inner is not None and inner.op.axis == op.axis and _same_dtype(inner)
        pieces += inner.inputs if taken else [x]
    return op(*pieces) if len(node.inputs) < len(pieces) <= _MOST_PIECES else None


def _same_dtype(node: Any) -> bool:
    return all(x.type.dtype == node.outputs[0].type.dtype for x in node.inputs)


@node_rule("canonical", Join, always=True)
def join_of_stacks(node: Apply, facts: Facts) -> Any:
    """join([x, y], [z]) is [x, y, z]: stacks, and arrays with an axis added, joined along the new axis are a stack."""
    axis: int = node.op.axis  # type: ignore[attr-defined]  # a Join
    pieces: list[Any] = []
    for x in node.inputs:
        stacked = _stacked(x, axis, facts)
        if stacked is None:
            return None
        pieces += stacked
    return Stack(axis)(*pieces) if len(pieces) <= _MOST_PIECES else None


def _stacked(x: Any, axis: int, facts: Facts) -> Sequence[Any] | None:
    """What lies along an axis of x, where x is made by putting it there."""
    made = made_by(x, DimShuffle)
    if made is not None:
        n = made.inputs[0].type.ndim
        return made.inputs if made.op.order == (*range(axis), "x", *range(axis, n)) else None
    made = made_only_for_this(x, Stack, facts)
    return made.inputs if made is not None and made.op.axis == axis and _same_dtype(made) else None


@node_rule("canonical", Join, always=True)
def join_of_split(node: Apply) -> Any:
    """All parts of x joined again are x."""
    parts = made_by(node.inputs[0], Split)
    whole = parts is not None and parts.op.axis == node.op.axis and parts.outputs == node.inputs  # type: ignore[attr-defined]
    return parts.inputs[0] if whole else None


@node_rule("canonical", Stack, always=True)
def stack_of_one(node: Apply) -> Any:
    """[x] is x with an axis added."""
    axis: int = node.op.axis  # type: ignore[attr-defined]  # a Stack
    x: Any = node.inputs[0]
    return dimshuffle(x, [*range(axis), "x", *range(axis, x.type.ndim)]) if len(node.inputs) == 1 else None


@node_rule("canonical", Split, always=True)
def split_into_one(node: Apply, facts: Facts) -> Any:
    """The only part of x is x, checked to have the length that the part should have."""
    op: Any = node.op
    if len(op.sizes) != 1:
        return None
    x: Any = node.inputs[0]
    (size,) = asked_lengths(op.sizes, node.inputs[1:])
    if has_length(size, facts.lengths(x)[op.axis], facts):
        return x
    return specify_shape(x, [size if a == op.axis else None for a in range(x.type.ndim)])


# Nothing to repeat, move or accumulate


@node_rule("canonical", Tile, always=True)
def tile_once(node: Apply) -> Any:
    """x laid once along each axis is x."""
    return node.inputs[0] if all(r == 1 for r in node.op.reps) else None  # type: ignore[attr-defined]  # a Tile


@node_rule("canonical", Repeat, always=True)
def repeat_once(node: Apply) -> Any:
    """Each element of x, once, is x."""
    x, repeats = node.inputs
    return x if repeats.type.ndim == 0 and scalar_value(repeats) == 1 else None  # type: ignore[attr-defined]


@node_rule("canonical", Roll, always=True)
def roll_by_nothing(node: Apply, facts: Facts) -> Any:
    """Moving by 0 places, or along an axis of length 1, does nothing."""
    x, lengths = node.inputs[0], facts.lengths(node.inputs[0])
    axes: Sequence[int] = node.op.axes  # type: ignore[attr-defined]  # a Roll
    moves = [(a, s) for a, s in zip(axes, node.inputs[1:], strict=True) if lengths[a] != 1 and scalar_value(s) != 0]
    if not moves:
        return x
    return None if len(moves) == len(axes) else Roll(tuple([a for a, _ in moves]))(x, *[s for _, s in moves])


@node_rule("canonical", Pad, always=True)
def pad_by_nothing(node: Apply) -> Any:
    """x with a border of no width is x."""
    return node.inputs[0] if all(d == 0 for d in node.op.widths) else None  # type: ignore[attr-defined]  # a Pad


@node_rule("canonical", CumSum, CumProd, Sort, ArgSort, Softmax, LogSoftmax, always=True)
def along_one_element(node: Apply, facts: Facts) -> Any:
    """One element accumulated or sorted is itself, its place is 0, its share of the whole is 1."""
    op: Any = node.op
    x: Any = node.inputs[0]
    out: Any = node.outputs[0]
    lengths = facts.lengths(x)
    axes = op.axis if isinstance(op.axis, tuple) else (op.axis,)
    if any(lengths[a] != 1 for a in axes):
        return None
    if isinstance(op, (CumSum, CumProd, Sort)):
        return cast(x, out.type.dtype)
    return fill(x, weak_constant(1 if isinstance(op, Softmax) else 0, out.type.dtype))


@node_rule("canonical", Sort, always=True)
def sort_of_sort(node: Apply) -> Any:
    """What is sorted along an axis is sorted."""
    made = made_by(node.inputs[0], Sort)
    return node.inputs[0] if made is not None and made.op == node.op else None
