"""Reductions: of fewer elements, over fewer axes, once; what all reduced elements have in common is taken out.

What is taken out keeps dtype and accuracy: integers narrower than the result would wrap before they are reduced and not
after, and float16 overflows early, so with these nothing is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from refgraph.core.graph import Apply
from refgraph.ops import elementwise as e
from refgraph.ops import reductions as r
from refgraph.ops.construct import alloc
from refgraph.ops.families import Elemwise
from refgraph.ops.joining import Join, Stack
from refgraph.ops.lengths import length, product
from refgraph.ops.nnet import LogSoftmax, Softmax
from refgraph.ops.reductions import Reduction
from refgraph.ops.shape import BroadcastTo, DimShuffle, Reshape, dimshuffle
from refgraph.ops.tensor import CONTINUOUS, weak_constant
from refgraph.rewrite.axes import asked_lengths, made_by, made_only_for_this, without_added
from refgraph.rewrite.canonical import is_never_negative
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

_PLACES = (r.argmax, r.argmin)
_IN_TURN = (r.sum, r.mean, r._prod, r._prod_no_zeros, r.max, r.min, r.all, r.any, r.logsumexp, r._norm2)
_BITS = (r.bitwise_and_reduce, r.bitwise_or_reduce, r.bitwise_xor_reduce)
_MOST_PIECES = 8  # that are reduced apart: each takes a turn of its own


def _over(node: Apply, x: Any, axes: Sequence[int], keepdims: bool = False) -> Any:
    """The node's reduction of x over other axes."""
    op: Any = node.op
    return op.row.over(x, tuple(axes), keepdims, op.dtype, op.acc_dtype)


def _kept(node: Apply) -> list[int]:
    """The axes of the input that are not reduced."""
    op: Any = node.op
    return [a for a in range(node.inputs[0].type.ndim) if a not in op.axis]  # type: ignore[attr-defined]  # a tensor


# Axes


@node_rule("canonical", Reduction, always=True)
def reduction_over_ones(node: Apply, facts: Facts) -> Any:
    """Reducing one element does nothing to it but what the dtype asks for; so axes of length 1 are dropped."""
    op: Any = node.op
    x: Any = node.inputs[0]
    out: Any = node.outputs[0]
    lengths = facts.lengths(x)
    rest = [a for a in op.axis if lengths[a] != 1]
    if rest == list(op.axis) and rest:
        return None
    kept = range(x.type.ndim) if op.keepdims else _kept(node)
    if not rest:
        return _of_one(op.row, dimshuffle(x, kept), out.type.dtype)
    if op.keepdims:
        return _over(node, x, rest, True)
    left = [a for a in range(x.type.ndim) if a not in rest]
    return dimshuffle(_over(node, x, rest), [left.index(a) for a in kept])


def _of_one(row: Any, x: Any, dtype: str) -> Any:
    """What a reduction makes of single elements."""
    if row in _PLACES:
        return e.fill(x, weak_constant(0, dtype))
    if row in (r.all, r.any, r.count_nonzero):
        x = x if x.type.dtype == "bool" else e.neq(x, 0)
    if row is r._norm2:
        x = abs(x)
    return e.cast(x, dtype)


@node_rule("canonical", Reduction, always=True)
def reduction_of_reduction(node: Apply, facts: Facts) -> Any:
    """sum(sum(x, a), b) is one sum over both; so it is of every reduction whose parts reduce alike."""
    op: Any = node.op
    inner = made_only_for_this(node.inputs[0], Reduction, facts)
    if inner is None or not _in_turn(op, inner.op):
        return None
    x = inner.inputs[0]
    between = list(range(x.type.ndim)) if inner.op.keepdims else _kept(inner)
    axes = sorted({*inner.op.axis, *[between[a] for a in op.axis]})
    found = inner.op.row.over(x, tuple(axes), False, inner.op.dtype, inner.op.acc_dtype)
    if found.type.dtype != node.outputs[0].type.dtype:  # type: ignore[attr-defined]  # a tensor
        return None
    left = between if op.keepdims else [a for i, a in enumerate(between) if i not in op.axis]
    rest = iter(range(found.type.ndim))
    return dimshuffle(found, ["x" if a in axes else next(rest) for a in left])


def _in_turn(outer: Reduction, inner: Reduction) -> bool:
    """Whether reducing what `inner` has reduced is reducing all at once."""
    if outer.row is r.sum and inner.row is r.count_nonzero:
        return outer.dtype is None and outer.acc_dtype is None
    same = outer.dtype == inner.dtype and outer.acc_dtype == inner.acc_dtype
    return outer.row is inner.row and same and (outer.row in _IN_TURN or outer.row in _BITS)


@node_rule("canonical", Reduction, always=True)
def reduction_of_dimshuffle(node: Apply) -> Any:
    """sum(x.T, axis=0) is sum(x, axis=1): a reduction does not ask for the order of axes, and leaves fewer of them."""
    op: Any = node.op
    made = made_by(node.inputs[0], DimShuffle)
    if made is None:
        return None
    order = made.op.order
    axes = sorted([order[a] for a in op.axis if order[a] != "x"])
    if op.row in _PLACES and axes != [order[a] for a in op.axis if order[a] != "x"]:
        return None  # places are counted in the order of the axes
    x = made.inputs[0]
    found = _over(node, x, axes)
    left = [a for a in range(x.type.ndim) if a not in axes]
    wanted = [o for a, o in enumerate(order) if op.keepdims or a not in op.axis]
    return dimshuffle(found, ["x" if o == "x" or o in axes else left.index(o) for o in wanted])


@node_rule("canonical", Reduction, always=True)
def reduction_of_reshape(node: Apply) -> Any:
    """sum(reshape(x, shape)), over all of it, is sum(x)."""
    op: Any = node.op
    made = made_by(node.inputs[0], Reshape)
    if made is None or len(op.axis) != node.inputs[0].type.ndim:  # type: ignore[attr-defined]  # a tensor
        return None
    x = made.inputs[0]
    found = _over(node, x, range(x.type.ndim))
    return dimshuffle(found, ["x"] * len(op.axis)) if op.keepdims else found


# What is broadcast


@node_rule("canonical", Reduction, always=True)
def reduction_of_broadcast(node: Apply, facts: Facts) -> Any:
    """The sum of n equal elements is n times one, their product its power; their mean, greatest or least is one."""
    op: Any = node.op
    x: Any = node.inputs[0]
    found = _broadcast(x, facts)
    if found is None or op.dtype is not None or op.acc_dtype is not None:
        return None
    value, lengths = found
    added = x.type.ndim - value.type.ndim
    own, full = [1] * added + list(facts.lengths(value)), facts.lengths(x)
    equal = [a for a in op.axis if own[a] == 1 and full[a] != 1]
    rest = [a for a in op.axis if a not in equal]
    if not equal or any(own[a] != full[a] for a in rest):
        return None
    reduced = [a - added for a in rest if a >= added]
    one = _over(node, value, reduced)
    many = _of_many(op.row, one, [lengths[a] for a in equal], node.outputs[0].type.dtype)  # type: ignore[attr-defined]
    if many is None:
        return None
    left = [a + added for a in range(value.type.ndim) if a not in reduced]
    wanted = [(a, 1 if a in op.axis else n) for a, n in enumerate(lengths) if op.keepdims or a not in op.axis]
    order = [left.index(a) if a in left else "x" for a, _ in wanted]
    return alloc(dimshuffle(many, without_added(order)), [n for _, n in wanted])


def _broadcast(x: Any, facts: Facts) -> tuple[Any, list[Any]] | None:
    """The value that x is made of by broadcasting, and the lengths of x; None where it is made otherwise."""
    made = x.owner
    if made is None:
        return None
    if isinstance(made.op, BroadcastTo):
        return made.inputs[0], asked_lengths(made.op.shape, made.inputs[1:])
    if made.op is not e.fill:
        return None
    like, value = made.inputs
    if facts.same_shape(x, like):
        return value, [length(like, a) for a in range(x.type.ndim)]
    return None


def _of_many(row: Any, one: Any, lengths: Sequence[Any], dtype: str) -> Any:
    """What a reduction makes of so many equal elements, each alike; None where there is nothing simpler."""
    if row is r.mean:
        return one
    if row in (r.max, r.min, r.all, r.any):
        return one if all(isinstance(n, int) and n > 0 for n in lengths) else None
    if row not in (r.sum, r._prod):
        return None
    n = product(lengths)
    work = "float32" if dtype == "float16" else dtype
    times = weak_constant(n, work) if isinstance(n, int) else n.astype(work)
    one = e.cast(one, work)
    return e.cast(one * times if row is r.sum else one**times, dtype)


# What all elements have in common


@node_rule("canonical", r.sum, r.mean, always=True)
def sum_of_scaled(node: Apply, facts: Facts) -> Any:
    """sum(c * x) is c * sum(x), sum(x / c) is sum(x) / c, where c is the same for all that is summed; so for means."""
    made = node.inputs[0].owner
    if made is None or made.op not in (e.mul, e.true_div) or not _takes_out(node):
        return None
    for c, x in (made.inputs, made.inputs[::-1]) if made.op is e.mul else (made.inputs[::-1],):
        scale = _common(node, c, facts)
        if scale is None:
            continue
        total = _rest(node, x)
        if total is None:
            continue
        found = scale * total if made.op is e.mul else total / scale
        if found.type.dtype == node.outputs[0].type.dtype:  # type: ignore[attr-defined]  # a tensor
            return found
    return None


@node_rule("canonical", r.sum, r.mean, always=True)
def sum_of_negative(node: Apply) -> Any:
    """sum(-x) is -sum(x); so for means."""
    made = node.inputs[0].owner
    return -_over_all(node, made.inputs[0]) if made is not None and made.op is e.neg and _takes_out(node) else None


def _over_all(node: Apply, x: Any) -> Any:
    op: Any = node.op
    return _over(node, x, op.axis, op.keepdims)


def _takes_out(node: Apply) -> bool:
    """Whether factors may be taken out of a reduction of this dtype; see above."""
    op: Any = node.op
    dtype = node.inputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    if op.dtype is not None or op.acc_dtype is not None:
        return False
    return (dtype in CONTINUOUS and dtype != "float16") or (dtype in ("int64", "uint64") and op.row is not r.mean)


def _common(node: Apply, c: Any, facts: Facts) -> Any:
    """An operand of what is reduced, as one of the result, where it is the same for all that is reduced; else None."""
    op: Any = node.op
    added = node.inputs[0].type.ndim - c.type.ndim  # type: ignore[attr-defined]  # a tensor
    lengths = facts.lengths(c)
    if any(a >= added and lengths[a - added] != 1 for a in op.axis):
        return None
    if op.keepdims:
        return c
    return dimshuffle(c, [a - added for a in range(added, added + c.type.ndim) if a not in op.axis])


def _rest(node: Apply, x: Any) -> Any:
    """The reduction of the other operand, in the dtype of both; None where it lacks an axis that is reduced."""
    op: Any = node.op
    whole: Any = node.inputs[0]
    added = whole.type.ndim - x.type.ndim
    if any(a < added for a in op.axis):
        return None
    dtype = None if op.row.dtypes(x.type.dtype)[0] == whole.type.dtype else whole.type.dtype
    return op.row.over(x, tuple([a - added for a in op.axis]), op.keepdims, dtype)


@node_rule("canonical", r._prod, always=True)
def product_of_scaled(node: Apply, facts: Facts) -> Any:
    """prod(-x) is (-1)**n * prod(x); of integers prod(c * x) is c**n * prod(x), as they wrap and do not overflow."""
    op: Any = node.op
    made = node.inputs[0].owner
    if made is None or made.op not in (e.mul, e.neg) or not _takes_out(node):
        return None
    dtype = node.outputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    n = product([_length(node.inputs[0], a, facts) for a in op.axis])
    if made.op is e.neg:
        total = _over_all(node, made.inputs[0])
        if isinstance(n, int):
            return -total if n % 2 else total
        return e.cast(1 - 2 * (n % 2), dtype) * total
    if dtype in CONTINUOUS:
        return None
    times = weak_constant(n, dtype) if isinstance(n, int) else e.cast(n, dtype)
    for c, x in (made.inputs, made.inputs[::-1]):
        scale, total = _common(node, c, facts), _rest(node, x)
        if scale is not None and total is not None and total.type.dtype == dtype:
            return e.cast(scale, dtype) ** times * total
    return None


def _length(x: Any, axis: int, facts: Facts) -> Any:
    n = facts.length(x, axis)
    return length(x, axis) if n is None else n


@node_rule("stable", e.log)
def log_of_product(node: Apply, facts: Facts) -> Any:
    """log(prod(x)) is sum(log(x)), which neither overflows nor underflows, where x is never negative."""
    out: Any = node.outputs[0]
    made = made_only_for_this(node.inputs[0], Reduction, facts)
    if made is None or made.op.row is not r._prod or not is_never_negative(made.inputs[0]):
        return None
    found = r.sum.over(e.log(made.inputs[0]), made.op.axis, made.op.keepdims)
    return found if found.type.dtype == out.type.dtype else None


@node_rule("canonical", r.max, r.min, always=True)
def greatest_of_negative(node: Apply) -> Any:
    """max(-x) is -min(x), and min(-x) is -max(x).

    Other monotone functions stay inside: what is compared with the greatest of them, as the derivative does, must have
    been computed in the same way to the last digit.
    """
    op: Any = node.op
    made = node.inputs[0].owner
    if made is None or made.op is not e.neg or node.inputs[0].type.dtype not in CONTINUOUS:  # type: ignore[attr-defined]
        return None
    other = r.min if op.row is r.max else r.max
    return -other.over(made.inputs[0], op.axis, op.keepdims)


_INCREASING = (e.exp, e.sigmoid, e.softplus, e.tanh)


@node_rule("canonical", *_PLACES, always=True)
def place_of_increasing(node: Apply) -> Any:
    """The greatest of softmax(x) is where the greatest of x is; so for every function that increases everywhere."""
    op: Any = node.op
    made = node.inputs[0].owner
    if made is None:
        return None
    along = isinstance(made.op, (Softmax, LogSoftmax)) and set(op.axis) <= set(made.op.axis)
    return _over_all(node, made.inputs[0]) if along or made.op in _INCREASING else None


# What is put together


_TOGETHER: dict[Any, Elemwise] = {
    r.sum: e.add,
    r._prod: e.mul,
    r.max: e.maximum,
    r.min: e.minimum,
    r.all: e.logical_and,
    r.any: e.logical_or,
}


@node_rule("canonical", *_TOGETHER, always=True)
def reduction_of_pieces(node: Apply, facts: Facts) -> Any:
    """sum([x, y]) is x + y, sum(join(x, y)) is sum(x) + sum(y), where what is put together is not needed itself."""
    op: Any = node.op
    out: Any = node.outputs[0]
    made = made_only_for_this(node.inputs[0], (Join, Stack), facts)
    if made is None or made.op.axis not in op.axis or not 1 < len(made.inputs) <= _MOST_PIECES:
        return None
    if op.dtype is not None or op.acc_dtype is not None or op.keepdims:
        return None
    if isinstance(made.op, Stack):
        axes = [a - (a > made.op.axis) for a in op.axis if a != made.op.axis]
    else:
        axes = list(op.axis)
        if not op.row.empty and any(x.type.shape[a] in (0, None) for x in made.inputs for a in axes):
            return None
    work = out.type.dtype
    if op.row in (r.sum, r._prod) and (axes or len(made.inputs) > 2):
        work = op.dtypes_for(node.inputs[0].type.dtype)[1]  # type: ignore[attr-defined]  # a tensor
    parts = [_part(op.row, x, axes, work) for x in made.inputs]
    return e.cast(reduce(_TOGETHER[op.row], parts), out.type.dtype)


def _part(row: Any, x: Any, axes: Sequence[int], work: str) -> Any:
    """One of the pieces reduced, in the dtype in which they are put together."""
    if not axes:
        return _of_one(row, x, work)
    if row in (r.sum, r._prod):
        return row.over(x, tuple(axes), False, None if row.dtypes(x.type.dtype)[0] == work else work)
    return row.over(x if row in (r.all, r.any) else e.cast(x, work), tuple(axes))
