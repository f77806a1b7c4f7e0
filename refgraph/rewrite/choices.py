"""Choices: comparisons, logic, bits, the larger and the smaller, and `switch`, as far as the graph decides them."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgraph.core.graph import Apply
from refgraph.ops import elementwise as e
from refgraph.ops.elementwise import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    cast,
    eq,
    fmax,
    fmin,
    ge,
    gt,
    invert,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    maximum,
    minimum,
    mul,
    neq,
    switch,
    true_div,
)
from refgraph.ops.families import Elemwise
from refgraph.ops.shape import ShapeI
from refgraph.ops.tensor import DISCRETE, UNSIGNED, TensorConstant, weak_constant
from refgraph.rewrite.canonical import is_never_negative
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

_COMPARISONS = (eq, neq, lt, le, gt, ge)
_DEPTH = 6  # how far to look for what bounds a length


def _made_by(x: Any, op: Any) -> Any:
    """The application of an op that makes x; None where another one does."""
    node = x.owner
    return node if node is not None and node.op is op else None


def _number(x: Any) -> Any:
    """The value of a constant number, as a 0-d array; None where x is none."""
    return x.value if isinstance(x, TensorConstant) and x.type.ndim == 0 else None


def _is_bool(x: Any) -> bool:
    return bool(x.type.dtype == "bool")


# Comparisons


@node_rule("canonical", *_COMPARISONS)
def comparison_with_itself(node: Apply, facts: Facts) -> Any:
    """x < x is false; x == x, x <= x are true for integers. (Of floats they tell what is not NaN.)"""
    x, y = node.inputs
    if x is not y:
        return None
    if node.op is lt or node.op is gt:
        return facts.like(False, node.outputs[0])
    if x.type.dtype not in DISCRETE:  # type: ignore[attr-defined]  # a tensor
        return None
    return facts.like(node.op is not neq, node.outputs[0])


_MIRRORED: dict[Any, Any] = {lt: gt, gt: lt, le: ge, ge: le, eq: eq, neq: neq}


@node_rule("canonical", *_COMPARISONS)
def comparison_of_lengths(node: Apply, facts: Facts) -> Any:
    """A length is never negative: n >= 0 is true, n < 0 and n == -1 are false; and equal lengths are equal."""
    op, x, y = node.op, node.inputs[0], node.inputs[1]
    if x.type.ndim or y.type.ndim:  # type: ignore[attr-defined]  # tensors
        return None
    first, second = _length_class(x, facts), _length_class(y, facts)
    if first is not None and first == second:
        return facts.like(op in (eq, le, ge), node.outputs[0])
    if _number(x) is not None:
        op, x, y = _MIRRORED[op], y, x
    c = _number(y)
    if c is None or x.type.dtype not in DISCRETE or isinstance(x, TensorConstant):  # type: ignore[attr-defined]
        return None
    least = _least(x)
    if least is None or not least >= c:
        return None
    if op is ge or op is lt:
        return facts.like(op is ge, node.outputs[0])
    if least > c:
        return facts.like(op in (gt, neq), node.outputs[0])
    return None


def _length_class(x: Any, facts: Facts) -> Any:
    """The entry in `facts.lengths` of the axis that x measures; None where it measures none."""
    node = x.owner
    return facts.lengths(node.inputs[0])[node.op.i] if node is not None and isinstance(node.op, ShapeI) else None


def _least(x: Any, depth: int = _DEPTH) -> Any:
    """A number than which an integer computed of lengths is never less; None where none is known."""
    value = _number(x)
    if value is not None:
        return value
    node = x.owner
    if node is None or not depth:
        return 0 if x.type.dtype in UNSIGNED else None
    if isinstance(node.op, ShapeI):
        return 0
    if node.op not in (e.add, mul, maximum, minimum) or x.type.dtype != "int64":  # others may wrap
        return None
    a, b = (_least(y, depth - 1) for y in node.inputs)
    if node.op is maximum:
        return max([v for v in (a, b) if v is not None], default=None)
    if a is None or b is None or a < 0 or b < 0:
        return None
    return min(a, b) if node.op is minimum else a + b if node.op is e.add else a * b


@node_rule("canonical", eq, neq, gt)
def comparison_of_truth(node: Apply, facts: Facts) -> Any:
    """b == True is b, b == False is ~b, and so for b as a number; b > 0 is b."""
    x, y = node.inputs
    if _number(y) is None and node.op is not gt:
        x, y = y, x
    c, inner = _number(y), x.owner
    if inner is not None and inner.op in e._CASTS.values():
        x = inner.inputs[0]
    if c is None or not _is_bool(x):
        return None
    if node.op is gt:
        return facts.like(x, node.outputs[0]) if c == 0 else None
    if c != 0 and c != 1:
        return None
    return facts.like(x if (c == 1) == (node.op is eq) else invert(x), node.outputs[0])


_OPPOSITE: dict[Any, Any] = {eq: neq, neq: eq, lt: ge, ge: lt, gt: le, le: gt}


@node_rule("canonical", invert)
def opposite_of_comparison(node: Apply) -> Any:
    """~(x == y) is x != y, and for integers, which are not NaN, ~(x < y) is x >= y; ~~x is x."""
    inner = node.inputs[0].owner
    if inner is None:
        return None
    if inner.op is invert:
        return inner.inputs[0]
    opposite = _OPPOSITE.get(inner.op)
    if opposite is None or not (opposite in (eq, neq) or all(x.type.dtype in DISCRETE for x in inner.inputs)):  # type: ignore[attr-defined]
        return None
    return opposite(*inner.inputs)


# Logic and bits


_BITS: dict[Any, Any] = {logical_and: bitwise_and, logical_or: bitwise_or, logical_xor: bitwise_xor}


@node_rule("canonical", logical_not, *_BITS)
def logic_of_bits(node: Apply) -> Any:
    """The logic of bools is that of bits: `logical_and` is x & y, `logical_not` is ~x."""
    if not all(map(_is_bool, node.inputs)):
        return None
    return invert(*node.inputs) if node.op is logical_not else _BITS[node.op](*node.inputs)


@node_rule("canonical", logical_and, logical_or, logical_xor, logical_not)
def logic_of_numbers(node: Apply, facts: Facts) -> Any:
    """What has a constant beside it is that, or is the question whether it is not 0."""
    if node.op is logical_not:
        return eq(node.inputs[0], 0)
    out = node.outputs[0]
    x, y = node.inputs
    if x is y:
        return facts.like(False if node.op is logical_xor else neq(x, 0), out)
    if _number(y) is None:
        x, y = y, x
    c = _number(y)
    if c is None:
        return None
    if node.op is logical_xor:
        return facts.like(eq(x, 0) if c else neq(x, 0), out)
    return facts.like(neq(x, 0) if bool(c) == (node.op is logical_and) else bool(c), out)


@node_rule("canonical", bitwise_and, bitwise_or, bitwise_xor)
def bits_with_constants(node: Apply, facts: Facts) -> Any:
    """x & 0 is 0, x & ~0 is x, x | 0 is x, x | ~0 is ~0, x ^ 0 is x, x ^ ~0 is ~x; x & x, x | x are x; x ^ x is 0."""
    op, out = node.op, node.outputs[0]
    dtype: str = out.type.dtype  # type: ignore[attr-defined]  # a tensor
    x, y = node.inputs
    if x is y:
        return facts.like(0, out) if op is bitwise_xor else x
    if _number(y) is None:
        x, y = y, x
    c = _number(y)
    if c is None:
        return None
    c = c.astype(dtype)
    if c == 0:
        return facts.like(0 if op is bitwise_and else x, out)
    if c == np.invert(np.zeros((), dtype)):
        return facts.like(x if op is bitwise_and else invert(cast(x, dtype)) if op is bitwise_xor else y, out)
    return None


@node_rule("canonical", bitwise_and, bitwise_or)
def absorption(node: Apply, facts: Facts) -> Any:
    """x & (x | y) is x, x | (x & y) is x; x & ~x is 0, and x | ~x is ~0."""
    out: Any = node.outputs[0]
    other = bitwise_or if node.op is bitwise_and else bitwise_and
    for x, y in (node.inputs, node.inputs[::-1]):
        inner: Any = y.owner
        if inner is None or x.type.dtype != out.type.dtype:  # type: ignore[attr-defined]  # a tensor
            continue
        if inner.op is other and x in inner.inputs:
            return facts.like(x, out)
        if inner.op is invert and inner.inputs[0] is x:
            ones = np.invert(np.zeros((), out.type.dtype))
            return facts.like(0 if node.op is bitwise_and else weak_constant(ones.item(), out.type.dtype), out)
    return None


# The larger and the smaller


@node_rule("canonical", maximum, minimum, fmax, fmin)
def larger_of_same(node: Apply, facts: Facts) -> Any:
    """The larger of x and x is x; and of x and max(x, y), max(x, y)."""
    x, y = node.inputs
    if x is y:
        return x
    for a, b in ((x, y), (y, x)):
        inner = _made_by(b, node.op)
        if inner is not None and any(a is c for c in inner.inputs):
            return facts.like(b, node.outputs[0])
    return None


@node_rule("canonical", maximum, minimum)
def larger_than_the_least(node: Apply, facts: Facts) -> Any:
    """max(x, c) is x where x is never less than c: of its dtype, of a length, of what is never negative; so for min."""
    out: Any = node.outputs[0]
    x, y = node.inputs
    if _number(y) is None:
        x, y = y, x
    c: Any = _number(y)
    if c is None or out.type.is_complex:
        return None
    largest = node.op is maximum
    if c == _bound(out.type.numpy_dtype, not largest) or (largest and c <= 0 and is_never_negative(x)):
        return facts.like(x, out)
    least = _least(x) if out.type.ndim == 0 and out.type.dtype in DISCRETE else None
    if least is not None and least >= c:
        return cast(x if largest else y, out.type.dtype)
    return _with_bound(node, x, c, facts)


def _bound(dtype: np.dtype[Any], upper: bool) -> Any:
    """The largest, or the least, number of a dtype."""
    if dtype.kind == "b":
        return upper
    if dtype.kind == "f":
        return np.inf if upper else -np.inf
    info = np.iinfo(dtype)
    return info.max if upper else info.min


def _with_bound(node: Apply, x: Any, c: Any, facts: Facts) -> Any:
    """max(max(x, a), c) is max(x, max(a, c)) for constants."""
    inner = _made_by(x, node.op)
    if inner is None or facts.readers(x) > 1 or x.type.dtype != node.outputs[0].type.dtype:  # type: ignore[attr-defined]
        return None
    for a, b in (inner.inputs, inner.inputs[::-1]):
        value = _number(a)
        if value is not None:
            return node.op(b, weak_constant((max if node.op is maximum else min)(value, c).item(), x.type.dtype))
    return None


@node_rule("canonical", e._clip)
def clip_to_one_side(node: Apply, facts: Facts) -> Any:
    """clip(x, a, b) is min(x, b) where no number is less than a, and max(x, a) where none is larger than b."""
    out: Any = node.outputs[0]
    x, low, high = node.inputs
    if out.type.is_complex or x.type.dtype != out.type.dtype:  # type: ignore[attr-defined]  # a tensor
        return None
    a, b = _number(low), _number(high)
    free_below = a is not None and a == _bound(out.type.numpy_dtype, False)
    free_above = b is not None and b == _bound(out.type.numpy_dtype, True)
    if free_below and free_above:
        return x
    if free_below:
        return minimum(x, high)
    return maximum(x, low) if free_above else None


# switch


@node_rule("canonical", switch)
def switch_decided(node: Apply, facts: Facts) -> Any:
    """switch(true, x, y) is x, switch(c, x, x) is x, and switch(c, True, False) is c."""
    out = node.outputs[0]
    c, x, y = node.inputs
    value = _number(c)
    if value is not None:
        return facts.like(x if value else y, out)
    if x is y:
        return facts.like(x, out)
    if _is_bool(x) and _is_bool(y) and _is_bool(c):
        a, b = _number(x), _number(y)
        if a is not None and b is not None and a != b:
            return facts.like(c if a else invert(c), out)
    return None


@node_rule("canonical", switch)
def switch_turned(node: Apply) -> Any:
    """switch(~c, x, y) is switch(c, y, x), and so for c == 0."""
    c, x, y = node.inputs
    inner = c.owner
    if inner is None:
        return None
    if inner.op is invert and _is_bool(c):
        return switch(inner.inputs[0], y, x)
    if inner.op is eq or inner.op is neq:
        a, b = inner.inputs if _number(inner.inputs[1]) is not None else inner.inputs[::-1]
        zero = _number(b)
        if zero is not None and zero == 0:
            return switch(a, y, x) if inner.op is eq else switch(a, x, y)
    return None


@node_rule("canonical", switch)
def switch_in_switch(node: Apply, facts: Facts) -> Any:
    """switch(c, switch(c, x, y), z) is switch(c, x, z), and so on the other side; y must not broadcast the others."""
    c, x, y = node.inputs
    out: Any = node.outputs[0]
    for i in (1, 2):
        inner = _made_by(node.inputs[i], switch)
        if inner is not None and inner.inputs[0] is c:
            chosen = inner.inputs[i]
            fresh = switch(c, chosen, y) if i == 1 else switch(c, x, chosen)
            return fresh if fresh.type.dtype == out.type.dtype and facts.same_shape(fresh, out) else None
    return None


@node_rule("canonical", Elemwise)
def function_of_switches(node: Apply, facts: Facts) -> Any:
    """f(switch(c, a, b), switch(c, x, y)) is switch(c, f(a, x), f(b, y)), where one of these is a constant."""
    made = []
    for x in node.inputs:
        maker = x.owner
        made.append(maker if maker is not None and maker.op is switch else None)
    found = [m for m in made if m is not None]
    if not found or node.op is switch or node.op is e.fill:
        return None
    if any(m.inputs[0] is not found[0].inputs[0] for m in found):
        return None
    if not any(facts.readers(x) <= 1 for x, m in zip(node.inputs, made, strict=True) if m is not None):
        return None
    sides = [[x if m is None else m.inputs[i] for x, m in zip(node.inputs, made, strict=True)] for i in (1, 2)]
    constant = [all(isinstance(x, TensorConstant) for x in side) for side in sides]
    if not (all(constant) or (any(constant) and all(m is not None for m in made))):
        return None
    types = [[x.type.dtype for x in side] for side in (node.inputs, *sides)]  # type: ignore[attr-defined]  # tensors
    if types[1] != types[0] or types[2] != types[0]:
        return None
    return facts.like(switch(found[0].inputs[0], node.op(*sides[0]), node.op(*sides[1])), node.outputs[0])


@node_rule("canonical", mul, true_div)
def product_of_switch(node: Apply, facts: Facts) -> Any:
    """switch(c, 0, x) * y is switch(c, 0, x * y), and switch(c, 0, x) / y is switch(c, 0, x / y)."""
    out: Any = node.outputs[0]
    if _is_bool(out):
        return None
    given: list[Any] = list(node.inputs)
    for i, x in enumerate(given if node.op is mul else given[:1]):
        made = _made_by(x, switch)
        if made is None or facts.readers(x) > 1 or x.type.ndim < out.type.ndim or x.type.dtype != out.type.dtype:
            continue
        for zero, kept in ((1, 2), (2, 1)):
            if _is_zero(made.inputs[zero]):
                inputs = list(given)
                inputs[i] = made.inputs[kept]
                product, nothing = node.op(*inputs), weak_constant(0, out.type.dtype)
                if product.type.dtype != out.type.dtype:
                    return None
                sides = (nothing, product) if kept == 2 else (product, nothing)
                return facts.like(switch(made.inputs[0], *sides), out)
    return None


def _is_zero(x: Any) -> bool:
    value = _number(x)
    return value is not None and bool(value == 0)
