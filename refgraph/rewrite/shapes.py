"""Shapes from shapes: lengths are read where they take least, and nothing is computed only to be measured.

What broadcasting added is summed away only where something may have been added (`sum_to`).
"""

from __future__ import annotations

from math import prod
from typing import Any

from refgraph.core.graph import Apply, Variable
from refgraph.ops import reductions
from refgraph.ops.elementwise import fill, mul, neg, true_div
from refgraph.ops.families import SUM_TO, SumTo
from refgraph.ops.joining import stack
from refgraph.ops.reductions import Count
from refgraph.ops.shape import Shape, ShapeI, broadcast_to
from refgraph.ops.tensor import CONTINUOUS, constant, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule


@node_rule("canonical", ShapeI, always=True)
def length_of_source(node: Apply, facts: Facts) -> Any:
    """The length of exp(x) is that of x: it is read where it comes from."""
    op: Any = node.op
    return _read_elsewhere(node.inputs[0], op.i, facts)


def _read_elsewhere(x: Variable, axis: int, facts: Facts) -> Any:
    """The length of an axis of x, as a variable that is computed without x; None where there is none."""
    n = facts.length(x, axis)
    if n is None:
        return None
    if isinstance(n, int):
        return constant(n, dtype="int64")
    return None if n.owner is not None and x in n.owner.inputs else n


@node_rule("canonical", Shape, always=True)
def shape_of_source(node: Apply, facts: Facts) -> Any:
    """The shape of x, where all its lengths are known or read elsewhere, is the vector of these."""
    x: Any = node.inputs[0]
    lengths = [_read_elsewhere(x, axis, facts) for axis in range(x.type.ndim)]
    return stack(lengths) if lengths and None not in lengths else None


@node_rule("canonical", Count, always=True)
def count_of_source(node: Apply, facts: Facts) -> Any:
    """The number of elements of x along axes is the product of lengths that are read elsewhere."""
    op: Any = node.op
    lengths = [_read_elsewhere(node.inputs[0], axis, facts) for axis in op.axis]
    if None in lengths:
        return None
    return prod(lengths, start=constant(1, dtype="int64")) if len(lengths) != 1 else lengths[0]


@node_rule("canonical", fill, SumTo)
def measured_elsewhere(node: Apply, facts: Facts) -> Any:
    """sum_to(g, exp(x)) is sum_to(g, x): of what is only measured, the simplest that has its shape is measured."""
    inputs = list(node.inputs)
    for i in node.op.measures:
        inputs[i] = _lent(inputs[i], facts)
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return None
    return node.op.make_node(*inputs).outputs


def _lent(x: Any, facts: Facts) -> Any:
    """Something of the shape of x that takes no computing: what lends it, or where nothing else reads x a blank."""
    lender: Any = facts.lender(x)
    if lender.owner is None or facts.readers(lender) > 1 or _is_blank(lender):
        return lender
    lengths = [_read_elsewhere(lender, axis, facts) for axis in range(lender.type.ndim)]
    if None in lengths or not lengths:
        return lender
    return broadcast_to(weak_constant(0, x.type.dtype), lengths)


def _is_blank(x: Any) -> bool:
    return x.owner.op.name in ("broadcast_to", "alloc") and x.owner.inputs[0].owner is None


# what broadcasting added


@node_rule("canonical", SumTo)
def sum_to_known_axes(node: Apply, facts: Facts) -> Any:
    """sum_to(g, x) is g where their shapes agree, and a sum along axes where it is known which were added."""
    g: Any
    x: Any
    g, x = node.inputs
    axes = _added_axes(g, x, facts)
    if axes is None:
        return None
    if not axes:
        return g
    added = g.type.ndim - x.type.ndim
    if g.type.dtype not in CONTINUOUS:
        return None  # integers widen in a sum
    found = reductions.sum.over(g, axes, False, g.type.dtype, g.type.dtype)
    kept = iter(range(found.type.ndim))
    return found.dimshuffle(*["x" if a in axes else next(kept) for a in range(added, g.type.ndim)])


def _added_axes(g: Any, x: Any, facts: Facts) -> list[int] | None:
    """The axes of g that are summed to get the shape of x; None where it is not known."""
    wide, narrow = facts.lengths(g), facts.lengths(x)
    added = len(wide) - len(narrow)
    axes = list(range(added))
    for axis, (n, m) in enumerate(zip(wide[added:], narrow, strict=True), added):
        if n == m:
            continue
        if m != 1:
            return None
        axes.append(axis)
    return axes


@node_rule("canonical", SumTo)
def sum_to_of_sum_to(node: Apply) -> Any:
    """sum_to(sum_to(g, y), x) is sum_to(g, x)."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, SumTo):
        return None
    return SUM_TO(inner.inputs[0], node.inputs[1])


@node_rule("canonical", SumTo)
def sum_to_of_product(node: Apply, facts: Facts) -> Any:
    """sum_to(a * g, x) is a * sum_to(g, x), where a is no larger than x; the same for quotients and signs."""
    g: Any
    x: Any
    g, x = node.inputs
    inner = g.owner
    if inner is None or facts.readers(g) > 1 or inner.op not in (mul, true_div, neg):
        return None
    if inner.op is neg:
        return neg(SUM_TO(inner.inputs[0], x))
    for i in (1, 0) if inner.op is mul else (1,):
        factor, rest = inner.inputs[i], inner.inputs[1 - i]
        if rest.type.dtype == g.type.dtype and facts.same_shape(rest, g) and _is_within(factor, x, g, facts):
            summed = SUM_TO(rest, x)
            return inner.op(*((factor, summed) if i == 0 else (summed, factor)))
    return None


def _is_within(a: Any, x: Any, g: Any, facts: Facts) -> bool:
    """Whether each axis of a has the length of that of x, or length 1 where g may be longer than x."""
    if a.type.ndim > x.type.ndim:
        return False
    ours, theirs, wide = (facts.lengths(v) for v in (a, x, g))
    return all(
        n == m or (n == 1 and (m == w or m == 1)) for n, m, w in zip(ours[::-1], theirs[::-1], wide[::-1], strict=False)
    )
