"""Cheaper elementwise ops for special cases: powers by multiplication, remainders by bits, small arrays first.

What is cheaper was measured on NumPy, for 100,000 numbers (benchmarks/decisions.py): a power takes 2 times as long as
`square` or `sqrt`, 4 times as long as two products, a power of 2 takes 7 times as long as `exp2`; `remainder` 40 times
as long as `floor`, of integers 12 times as long as `bitwise_and`; `maximum` and `minimum` 5 times as long as `clip`.
A quotient by a constant stays one (but for powers of 2): reciprocals are rounded, and 49 * (1 / 49) is less than 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgraph.core.graph import Apply
from refgraph.ops.elementwise import (
    _clip,
    abs,
    bitwise_and,
    cast,
    exp,
    exp2,
    floor,
    floor_div,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    pow,
    right_shift,
    sqrt,
    square,
    sub,
    true_div,
)
from refgraph.ops.families import Reals
from refgraph.ops.tensor import CONTINUOUS, FLOATS, INTEGERS, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule, rule
from refgraph.rewrite.terms import constant_of, is_number, rank

_FLOAT = Reals(-4, 4, edges=(0.0, -0.0), kinds="f")
_HIGHEST = 16  # the largest power that is multiplied out: the higher it is the more roundings
_HIGHEST_WITH_ROOT = 2.5


# Powers


@node_rule("specialize", pow)
def power_by_multiplication(node: Apply) -> Any:
    """x**3 is x * square(x), x**8 is square(square(square(x))), x**1.5 is x * sqrt(x)."""
    x: Any = node.inputs[0]
    y: Any = node.inputs[1]
    dtype = node.outputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    if not is_number(y) or y.value.imag or dtype == "bool":
        return None
    exponent = float(y.value.real)
    if not 2 <= exponent <= _HIGHEST and not (0 < exponent <= _HIGHEST_WITH_ROOT and dtype in CONTINUOUS):
        return None
    whole = int(exponent)
    if exponent == whole:
        return _multiplied_out(cast(x, dtype), whole)
    if exponent - whole != 0.5 or exponent > _HIGHEST_WITH_ROOT:
        return None
    x = cast(x, dtype)
    return _multiplied_out(x, whole) * sqrt(x)


def _multiplied_out(x: Any, exponent: int) -> Any:
    """x to a power, by squares."""
    found = None
    while True:
        if exponent & 1:
            found = x if found is None else found * x
        exponent >>= 1
        if not exponent:
            return found
        x = square(x)


@node_rule("specialize", pow)
def power_of_constant(node: Apply) -> Any:
    """2**x is exp2(x), and e**x is exp(x), for floats."""
    x: Any = node.inputs[0]
    dtype = node.outputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    if not is_number(x) or dtype not in FLOATS:
        return None
    value = x.value.astype(dtype)
    op = exp2 if value == 2 else exp if value == np.array(np.e, dtype) else None
    return None if op is None else op(cast(node.inputs[1], dtype))


# Quotients and remainders


def _power_of_two(x: Any, dtype: str) -> int | None:
    """The k of a constant 2**k."""
    if not is_number(x) or x.type.is_complex or x.value <= 0:
        return None
    mantissa, exponent = np.frexp(float(x.value))
    limit = np.finfo(dtype).maxexp - 2 if dtype in FLOATS else 8 * np.dtype(dtype).itemsize
    return int(exponent) - 1 if mantissa == 0.5 and -limit < exponent - 1 < limit else None


@node_rule("specialize", mod)
def remainder_by_constant(node: Apply) -> Any:
    """For integers x % 8 is x & 7 and x % 6 is x - 6 * (x // 6); for floats x % 1 is x - floor(x), all exactly."""
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    x: Any = node.inputs[0]
    y: Any = node.inputs[1]
    if not out.type.ndim or not is_number(y) or x.type.dtype != dtype:
        return None
    k = _power_of_two(y, dtype)
    if dtype in INTEGERS:
        c = int(y.value)
        if k is not None:
            return bitwise_and(x, weak_constant(c - 1, dtype))
        return sub(x, mul(weak_constant(c, dtype), floor_div(x, y))) if not -2 < c < 2 else None
    return sub(x, floor(x)) if k == 0 and dtype in FLOATS else None


@node_rule("specialize", floor_div)
def quotient_by_shift(node: Apply) -> Any:
    """For integers x // 8 is x >> 3; for floats x // 0.5 is floor(2 * x), exactly."""
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    x: Any = node.inputs[0]
    k = _power_of_two(node.inputs[1], dtype) if out.type.ndim and x.type.dtype == dtype else None
    if k is None:
        return None
    if dtype in INTEGERS:
        return right_shift(x, weak_constant(k, dtype))
    return floor(mul(weak_constant(2.0**-k, dtype), x) if k else x) if dtype in FLOATS else None


# Small arrays first


@node_rule("specialize", mul)
def small_factors_first(node: Apply, facts: Facts) -> Any:
    """a * (v * X) is (a * v) * X, and a * (X / v) is X / (v / a), where a and v are smaller than X."""
    out: Any = node.outputs[0]
    dtype, large = out.type.dtype, rank(out)
    a: Any
    b: Any
    for a, b in (node.inputs, node.inputs[::-1]):
        made = b.owner
        if made is None or b.type.dtype != dtype or facts.readers(b) > 1 or rank(a) >= large:
            continue
        x, y = (*made.inputs, None, None)[:2]
        if made.op is mul:
            v, big = (x, y) if rank(x) <= rank(y) else (y, x)
            if rank(v) < large and rank(big) == large and not is_number(v):
                return _fitting(mul(_product(a, v, dtype), big), dtype)
        elif made.op is true_div and is_number(a) and a.value:
            if rank(x) < large and rank(y) == large:
                return _fitting(true_div(_product(a, x, dtype), y), dtype)
            if rank(y) < large and rank(x) == large and not is_number(y):
                return _fitting(true_div(x, _quotient(y, a, dtype)), dtype)
    return None


def _product(x: Any, y: Any, dtype: str) -> Any:
    return mul(x if y.type.dtype == dtype else cast(x, dtype), y)


def _quotient(x: Any, number: Any, dtype: str) -> Any:
    return true_div(cast(x, dtype), constant_of(number.value, dtype))


def _fitting(made: Any, dtype: str) -> Any:
    return made if made.type.dtype == dtype else None


@node_rule("specialize", neg)
def sign_of_small_factor(node: Apply, facts: Facts) -> Any:
    """-(v * X) is -v * X, and -(X / v) is X / -v, where v is smaller than X."""
    b: Any = node.inputs[0]
    made: Any = b.owner
    if made is None or facts.readers(b) > 1 or (made.op is not mul and made.op is not true_div):
        return None
    x: Any
    y: Any
    x, y = made.inputs
    dtype, large = b.type.dtype, rank(b)
    if rank(x) < large and x.type.dtype == dtype:
        return made.op(neg(x), y)
    if rank(y) < large and y.type.dtype == dtype:
        return made.op(x, neg(y))
    return None


# Absolute values and bounds


@rule("specialize", _FLOAT, _FLOAT)
def product_of_absolutes(x: Any, y: Any) -> Any:
    """|x| * |y| is |x * y|."""
    return abs(x) * abs(y), abs(x * y)


@rule("specialize", _FLOAT, Reals(0.1, 8, kinds="f"))
def quotient_of_absolutes(x: Any, y: Any) -> Any:
    """|x| / |y| is |x / y|."""
    return abs(x) / abs(y), abs(x / y)


@node_rule("specialize", minimum, maximum)
def bounds_by_clip(node: Apply, facts: Facts) -> Any:
    """min(max(x, a), b) is clip(x, a, b), and so is max(min(x, b), a), for constants a <= b."""
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    if dtype in ("bool", "complex64", "complex128"):
        return None
    x: Any
    first: Any
    for x, first in (node.inputs, node.inputs[::-1]):
        made = x.owner
        if not is_number(first) or made is None or made.op is not (maximum if node.op is minimum else minimum):
            continue
        y, second = made.inputs if is_number(made.inputs[1]) else made.inputs[::-1]  # type: Any, Any
        if not is_number(second) or y.type.dtype != dtype or facts.readers(x) > 1:
            return None
        low, high = (second, first) if node.op is minimum else (first, second)
        if low.value > high.value:
            return None
        return _clip(y, constant_of(low.value, dtype), constant_of(high.value, dtype))
    return None
