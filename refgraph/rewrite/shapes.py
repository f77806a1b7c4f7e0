"""Shapes from shapes: lengths are read where they take least, and nothing is computed only to be measured.

What broadcasting added is summed away only where something may have been added (`sum_to`).
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from refgraph.core.graph import Apply, Variable
from refgraph.ops import reductions
from refgraph.ops.einsum import EmbedDiagonals
from refgraph.ops.elementwise import fill, mul, neg, true_div
from refgraph.ops.families import SUM_TO, Elemwise, SumTo
from refgraph.ops.indexing import LastWrite
from refgraph.ops.joining import stack
from refgraph.ops.reductions import Count
from refgraph.ops.shape import BroadcastTo, Shape, ShapeI, broadcast_to
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
    return reduce(mul, lengths) if lengths else constant(1, dtype="int64")


# what is only measured

_MEASURING = (fill, SumTo, ShapeI, Shape, Count, LastWrite, EmbedDiagonals)


@node_rule("canonical", *_MEASURING, always=True)
def measured_elsewhere(node: Apply, facts: Facts) -> Any:
    """sum_to(g, exp(x)) is sum_to(g, x): of what is only measured, the simplest that has its shape is measured.

    What would be computed for that alone is not: sum_to(g, x * y) is then sum_to(g, fill(x, fill(y, 0))), and
    fill(x * y, z) is fill(x, fill(y, z)).
    """
    inputs: list[Any] = list(node.inputs)
    for i in node.op.measures:
        x, lender = inputs[i], facts.lender(inputs[i])
        inputs[i] = lender
        counted = facts.readers(node.outputs[0]) > 0  # whether the readers of x are known with this one
        if facts.readers(x) <= counted and facts.readers(lender) <= (counted if lender is x else 1):
            value = inputs[1] if node.op is fill else weak_constant(0, x.type.dtype)
            blank = _blank(lender, value, facts)
            if blank is not None and node.op is fill:
                return blank
            inputs[i] = lender if blank is None else blank
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return None
    return node.op.make_node(*inputs).outputs


def _blank(x: Any, value: Any, facts: Facts) -> Any:
    """`value` broadcast with x, which is not computed for that; None where it is not computed, or must be."""
    made = x.owner
    if made is None or _is_blank(x):
        return None
    if isinstance(made.op, Elemwise):
        return reduce(lambda found, y: fill(y, found), [y for y in made.inputs[::-1] if y.type.ndim], value)
    lengths = [_read_elsewhere(x, axis, facts) for axis in range(x.type.ndim)]
    if None in lengths or not lengths:
        return None
    if value.type.ndim == 0:
        return broadcast_to(value, lengths)
    return fill(broadcast_to(weak_constant(0, x.type.dtype), lengths), value)


def _is_blank(x: Any) -> bool:
    """Whether x is something that is not computed, broadcast."""
    while x.owner is not None and (x.owner.op is fill or isinstance(x.owner.op, BroadcastTo)):
        x = x.owner.inputs[1 if x.owner.op is fill else 0]
    return x.owner is None


# what broadcasting added


@node_rule("canonical", SumTo, always=True)
def sum_to_own_shape(node: Apply, facts: Facts) -> Any:
    """sum_to(g, x) is g where they have one shape."""
    return node.inputs[0] if facts.same_shape(*node.inputs) else None


@node_rule("canonical", SumTo)
def sum_to_of_sum_to(node: Apply, facts: Facts) -> Any:
    """sum_to(sum_to(g, y), x) is sum_to(g, x), where the inner one is made for this alone."""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, SumTo) or facts.readers(node.inputs[0]) > 1:
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
    """Whether a is one along each axis along which g is summed to the shape of x, and no larger than x along others."""
    if a.type.ndim > x.type.ndim:
        return False
    ours, theirs, wide = (facts.lengths(v)[::-1] for v in (a, x, g))
    return all(n == 1 or n == m or m == w for n, m, w in zip(ours, theirs, wide, strict=False))


@node_rule("canonical", SumTo)
def sum_to_known_axes(node: Apply, facts: Facts) -> Any:
    """sum_to(g, x) is a sum along the axes that are known to have been added.

    What is left to do where that is not known of all, if anything, is done after that, with less.
    """
    g: Any
    x: Any
    g, x = node.inputs
    wide, narrow = facts.lengths(g), facts.lengths(x)
    added = len(wide) - len(narrow)
    pairs = list(enumerate(zip(wide[added:], narrow, strict=True), added))
    axes = [*range(added), *[a for a, (n, m) in pairs if m == 1 and n != 1]]
    is_all = all(m == 1 or n == m for _, (n, m) in pairs)
    if not axes or g.type.dtype not in CONTINUOUS:  # integers widen in a sum
        return None
    summed = reductions.sum.over(g, axes, False, g.type.dtype, g.type.dtype)
    kept = iter(range(summed.type.ndim))
    found = summed.dimshuffle(*["x" if a in axes else next(kept) for a in range(added, g.type.ndim)])
    return found if is_all else SUM_TO(found, x)
