"""Sums and products: like terms collected, constants brought together, one spelling for signs, quotients and powers.

A sum is seen as {term: coefficient} and a product as {factor: exponent}, through all the applications of which it is
built, as long as these have its dtype and there are at most `_WIDEST` of both. It is built anew only where that takes
fewer terms and no more work; otherwise the grouping and the order that somebody chose stay, and with them the
roundings. Integers are in modular arithmetic throughout; quotients of integers are floats, and taken apart no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from refgraph.core.graph import Apply, toposort
from refgraph.ops.elementwise import (
    add,
    cast,
    fill,
    float_power,
    mul,
    neg,
    pow,
    reciprocal,
    sqrt,
    square,
    sub,
    true_div,
)
from refgraph.ops.tensor import CONTINUOUS, TensorConstant, TensorType, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

_WIDEST = 48  # terms, and sums of some of them, that are looked through: so time stays in proportion to the graph
_MOST_SHARED = 8  # sums that others read, too, that are looked through: each has to be made again
_HIGHEST = 64  # the largest exponent that is collected
_UNIT = 1  # the coefficient of what has none
_CONSTANT: Any = None  # the key under which a sum or a product has its constants
_SIGN = TensorType("int8", ()).constant(np.array(-1, "int8"))

Parts = Sequence[tuple[Any, int]]
"""Operands, each with the coefficient, or the exponent, that it has."""


# constants


def is_number(x: Any) -> bool:
    """Whether x is a constant number, 0-d and finite."""
    return isinstance(x, TensorConstant) and x.type.ndim == 0 and bool(np.isfinite(x.value))


def _is_finite(x: Any) -> bool:
    """Whether x is a constant, of any shape, all of whose elements are finite."""
    return isinstance(x, TensorConstant) and bool(np.isfinite(x.value).all())


def _is_zero(x: Any) -> bool:
    return isinstance(x, TensorConstant) and not x.value.any()


def _value(x: TensorConstant, dtype: str) -> Any:
    """The value of a constant in the dtype in which the operation computes it."""
    return x.value if x.type.dtype == dtype else x.value.astype(dtype)


def constant_of(value: Any, dtype: str) -> TensorConstant:
    """A constant of this value and dtype; a number is spelled as Python does."""
    array = np.asarray(value, dtype)
    if array.ndim == 0:
        return weak_constant(array.item(), dtype)
    array = array.copy()
    array.setflags(write=False)
    return TensorType(dtype, array.shape).constant(array)


def is_negative(value: Any) -> bool:
    """Whether a number is written with a minus sign. (The smallest integer is not: it has no counterpart.)"""
    if value.ndim or value.dtype.kind in "bu":
        return False
    if value.dtype.kind == "c":
        return bool(value.real < 0 or (value.real == 0 and value.imag < 0))
    return bool(value < 0 and (value.dtype.kind == "f" or value > np.iinfo(value.dtype).min))


def _is_reachable(value: Any) -> bool:
    """Whether a constant that was computed from constants is neither beyond the numbers of its dtype nor too near 0."""
    if value.dtype.kind in "biu":
        return True
    size = np.abs(value)
    return bool((np.isfinite(size) & ((size == 0) | (size >= np.finfo(value.dtype).tiny))).all())


def _times(p: Any, q: Any) -> Any:
    """The product of constants; NaN where it is 0, or as good as that, and neither of them is."""
    made = np.asarray(p * q)
    vanishes = made.dtype.kind in "fc" and p.all() and q.all() and (np.abs(made) < np.finfo(made.dtype).tiny).any()
    return np.full_like(made, np.nan) if vanishes else made


def _is_moderate(value: Any) -> bool:
    """Whether a factor is so near to 1 that products do not leave the numbers of its dtype by taking it elsewhere."""
    if value.dtype.kind in "biu":
        return True
    limit = 2.0 ** (np.finfo(value.dtype).maxexp // 8)
    return bool(1 / limit <= np.abs(value) <= limit)


# operations in a given dtype


def _computed(op: Any, x: Any, y: Any, dtype: str) -> Any:
    """op(x, y), computed in this dtype, which is that of one of them or the one to which both are promoted."""
    made = op(x, y)
    return made if made.type.dtype == dtype else op(cast(x, dtype), y)


def _power(x: Any, exponent: int, dtype: str) -> Any:
    """x to a positive integer power."""
    if exponent == 1:
        return x
    x = cast(x, dtype)
    return square(x) if exponent == 2 else pow(x, weak_constant(exponent, dtype))


def rank(x: Any) -> int:
    """How many axes are not of length 1, as far as is known: the measure of how large an array is."""
    return sum(d != 1 for d in x.type.shape)


def _smallest_first(xs: Iterable[Any]) -> list[Any]:
    return sorted(xs, key=rank)  # it is stable


def _work(made: Any, given: Iterable[Any]) -> int:
    """What it takes to compute `made` from what is given."""
    return sum(weight(node.outputs[0]) for node in toposort([made], set(given)))


def _least_work(joined: Iterable[Any], changed: Iterable[Any]) -> int:
    """What it takes at least to join these, the smallest first, after some of them have been changed."""
    return sum([1 + r for r in sorted(map(rank, joined))[1:]]) + sum(map(weight, changed))


def weight(x: Any) -> int:
    """What it takes to compute the elements of x from those of its operands."""
    return 1 + rank(x)


def _covered(made: Any, out: Any, gone: Iterable[Any], facts: Facts) -> Any:
    """`made` in the dtype and shape of `out`, which had these operands, too."""
    made = cast(made, out.type.dtype)
    if made.type.shape != out.type.shape or not facts.same_shape(made, out):
        for x in gone:
            if not facts.same_shape(made, x) and rank(x):
                made = fill(x, made)
            elif x.type.ndim > made.type.ndim:
                made = fill(x, made)
    return made


# collecting


class _Memo:
    """The terms, or factors, of the variables of one sweep."""

    def __init__(self) -> None:
        self.terms: dict[Any, set[Any]] = {}
        self.factors: dict[Any, set[Any]] = {}


_memos: WeakKeyDictionary[Facts, _Memo] = WeakKeyDictionary()


def _memo(facts: Facts) -> _Memo:
    found = _memos.get(facts)
    if found is None:
        found = _memos[facts] = _Memo()
    return found


def _terms(node: Apply) -> Parts | None:
    """What is added up by a node; None where it adds nothing."""
    op, inputs = node.op, node.inputs
    if op is add:
        return (inputs[0], 1), (inputs[1], 1)
    if op is sub:
        return (inputs[0], 1), (inputs[1], -1)
    return ((inputs[0], -1),) if op is neg else None


def _factors(node: Apply) -> Parts | None:
    """What is multiplied by a node; None where it multiplies nothing."""
    op, inputs = node.op, node.inputs
    if op is mul:
        return (inputs[0], 1), (inputs[1], 1)
    if op is true_div:
        return (inputs[0], 1), (inputs[1], -1)
    if op is square:
        return ((inputs[0], 2),)
    if op is neg:
        return (_SIGN, 1), (inputs[0], 1)
    if op is pow:
        exponent = _exponent(inputs[1])
        return None if exponent is None else ((inputs[0], exponent),)
    return None


def _exponent(x: Any) -> int | None:
    """The integer other than 0 that x is, if it is one."""
    if not is_number(x) or x.type.is_complex or x.value != np.rint(x.value) or not 0 < abs(x.value) <= _HIGHEST:
        return None
    return int(x.value)


def _term(x: Any, dtype: str) -> tuple[Any, Any]:
    """What of x is the same in like terms, and its coefficient."""
    if _is_finite(x):
        return _CONSTANT, _value(x, dtype)
    node = x.owner
    if node is not None and x.type.dtype == dtype:
        a, b = (*node.inputs, None, None)[:2]
        if node.op is mul:
            if is_number(a):
                return b, _value(a, dtype)
            if is_number(b):
                return a, _value(b, dtype)
        elif node.op is true_div and is_number(b) and b.value:
            return a, 1 / _value(b, dtype)
    return x, _UNIT


class _Found(NamedTuple):
    """The operands of which a sum or product is built, and the work that goes into what nothing else needs of it."""

    operands: list[tuple[Any, int, bool]]  # each with its coefficient or exponent, and whether nothing else reads it
    work: int


def _operands(node: Apply, parts_of: Any, memo: dict[Any, set[Any]], facts: Facts, shared: bool) -> _Found:
    """The operands of a node, looking through some that others read, too, if `shared`."""
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    found: list[tuple[Any, int, bool]] = []
    work, budget = weight(out), {True: _WIDEST, False: _MOST_SHARED if shared else 0}
    stack = [(x, scale, True) for x, scale in reversed(parts_of(node))]
    while stack:
        x, scale, alone = stack.pop()
        alone = alone and facts.readers(x) <= 1
        if x in memo and budget[alone] and x.type.dtype == dtype:
            budget[alone] -= 1
            work += weight(x) if alone else 0
            stack += [(y, scale * s, alone) for y, s in reversed(parts_of(x.owner))]
        else:
            found.append((x, scale, alone))
    return _Found(found, work)


def _key_of_term(x: Any, dtype: str) -> Any:
    return _term(x, dtype)[0]


def _key_of_factor(x: Any, dtype: str) -> Any:
    return _CONSTANT if _is_finite(x) else x


def _meets_itself(node: Apply, parts: Parts, key_of: Any, memo: dict[Any, set[Any]]) -> bool:
    """Whether two operands have a term, or factor, in common; what there is goes into the memo."""
    out: Any = node.outputs[0]
    dtype = out.type.dtype
    seen: set[Any] = set()
    twice = False
    for x, _ in parts:
        keys = memo.get(x) if x.type.dtype == dtype else None
        keys = {key_of(x, dtype)} if keys is None else keys | {x}
        twice = twice or not seen.isdisjoint(keys)
        seen = seen | keys if seen else keys
    if len(seen) <= _WIDEST:
        memo[out] = seen
    return twice


# sums


@node_rule("canonical", add, sub, neg)
def like_terms(node: Apply, facts: Facts) -> Any:
    """2 * x + y + 3 * x is 5 * x + y: terms that differ in a constant factor are one, and constants are."""
    out: Any = node.outputs[0]
    parts, memo = _terms(node), _memo(facts).terms
    if parts is None or out.type.dtype == "bool" or not _meets_itself(node, parts, _key_of_term, memo):
        return None
    for shared in (False, True):
        operands, work = _operands(node, _terms, memo, facts, shared)
        made = _sum_of(operands, work, out, facts)
        if made is not None:
            return made
    return None


def _sum_of(operands: Sequence[tuple[Any, int, bool]], work: int, out: Any, facts: Facts) -> Any:
    """The sum of the operands, each with its sign; None where that takes as many terms, or more work."""
    dtype = out.type.dtype
    totals: dict[Any, Any] = {}
    spelled: dict[Any, tuple[int, Any]] = {}
    keyed = []
    with np.errstate(all="ignore"):
        for x, sign, alone in operands:
            key, coefficient = _term(x, dtype)
            if coefficient is not _UNIT:
                coefficient = np.multiply(_exactly(sign, dtype), coefficient, dtype=dtype)
            else:
                coefficient = sign
            if key in totals:
                totals[key] = _plus(totals[key], coefficient, dtype)
                spelled.pop(key, None)
            else:
                totals[key], spelled[key] = coefficient, (sign, x)
            keyed.append((x, key, alone))
    constants = [x for x, key, _ in keyed if key is _CONSTANT]
    constant = totals.pop(_CONSTANT, np.zeros((), dtype))
    left = {key: _exactly(total, dtype) for key, total in totals.items() if key not in spelled}
    gone = [key for key, total in left.items() if not total]
    scaled = [key for key, total in left.items() if total and abs(total) != 1]
    count = len(totals) - len(gone) + bool(constant.any())
    least = _least_work([key for key in totals if key not in gone], scaled)
    work += sum(weight(x) for x, key, alone in keyed if alone and x is not key and key not in spelled)
    if count >= len(operands) or least > work:
        return None
    if not all(map(_is_reachable, (constant, *left.values()))) or _is_larger(constant, constants):
        return None
    terms = [spelled[key] if key in spelled else _signed(key, left[key], dtype) for key in totals if key not in gone]
    if constant.any():
        terms.append(_signed_constant(constant, dtype, alone=not any(sign > 0 for sign, _ in terms)))
    made = _added(terms, dtype)
    if _work(made, [y for x, key, _ in keyed for y in (x, key)]) > work:
        return None
    return _covered(made, out, [*gone, *constants], facts)


def _exactly(number: Any, dtype: str) -> Any:
    """A number in a dtype, where integers wrap."""
    return number if isinstance(number, np.generic) else np.array(number).astype(dtype)[()]


def _plus(x: Any, y: Any, dtype: str) -> Any:
    """x + y, as integers of Python where both are."""
    if x.__class__ is int and y.__class__ is int:
        return x + y
    return np.add(_exactly(x, dtype), _exactly(y, dtype), dtype=dtype)


def _is_larger(value: Any, constants: Sequence[Any]) -> bool:
    """Whether a constant has more elements than each of those that it is made of."""
    return bool(value.size > max([x.value.size for x in constants], default=1))


def _signed(key: Any, total: Any, dtype: str) -> tuple[int, Any]:
    """total * key as a sign and a term."""
    sign = -1 if is_negative(total) else 1
    total = -total if sign < 0 else total
    return sign, key if total == 1 else _computed(mul, constant_of(total, dtype), key, dtype)


def _signed_constant(value: Any, dtype: str, alone: bool) -> tuple[int, Any]:
    sign = -1 if is_negative(value) and not alone else 1
    return sign, constant_of(-value if sign < 0 else value, dtype)


def _added(terms: Sequence[tuple[int, Any]], dtype: str) -> Any:
    """The sum of terms with signs: constants first, then from the smallest arrays to the largest."""
    if not terms:
        return constant_of(0, dtype)
    terms = sorted(terms, key=lambda term: (rank(term[1]), not isinstance(term[1], TensorConstant)))
    sign, made = terms[0]
    for s, x in terms[1:]:
        if s == sign:
            made = _computed(add, made, x, dtype)
        elif s < 0:
            made = _computed(sub, made, x, dtype)
        else:
            sign, made = 1, _computed(sub, x, made, dtype)
    made = cast(made, dtype)
    return neg(made) if sign < 0 else made


@node_rule("canonical", add, sub, neg)
def signs_of_terms(node: Apply, facts: Facts) -> Any:
    """x + -y is x - y, x - -y is x + y, -x - y is -(x + y), -(x - y) is y - x, and 0 is not added."""
    out: Any = node.outputs[0]
    op, dtype = node.op, out.type.dtype
    if dtype == "bool":
        return None
    if op is neg:
        minus = _without_sign(node.inputs[0], dtype, facts)
        return _negative_of_sum(node.inputs[0], facts) if minus is None else minus
    x: Any
    y: Any
    x, y = node.inputs
    if _is_zero(y):
        return facts.like(x, out)
    if _is_zero(x):
        return facts.like(y if op is add else neg(cast(y, dtype)), out)
    minus_y = _without_sign(y, dtype, facts)
    if minus_y is not None:
        return _computed(sub if op is add else add, x, minus_y, dtype)
    if op is add:
        minus_x = _without_sign(x, dtype, facts)
        return None if minus_x is None else _computed(sub, y, minus_x, dtype)
    if not _is_minus(x, dtype) or facts.readers(x) > 1:
        return None
    if is_number(y):
        return _computed(sub, constant_of(np.negative(_value(y, dtype)), dtype), x.owner.inputs[0], dtype)
    return neg(_computed(add, x.owner.inputs[0], y, dtype)) if rank(x) == rank(out) else None


def _negative_of_sum(x: Any, facts: Facts) -> Any:
    node = x.owner
    if node is None or facts.readers(x) > 1:
        return None
    a, b = (*node.inputs, None, None)[:2]
    if node.op is sub:
        return _computed(sub, b, a, x.type.dtype)
    if node.op is add and (is_number(a) or is_number(b)):
        number, other = (a, b) if is_number(a) else (b, a)
        return _computed(sub, constant_of(np.negative(_value(number, x.type.dtype)), x.type.dtype), other, x.type.dtype)
    return None


def _without_sign(x: Any, dtype: str, facts: Facts) -> Any:
    """-x, where x is written with a minus sign; None where it is not, or where more would be computed."""
    if x.type.dtype != dtype:
        return None  # in its own dtype -x may be another number
    if isinstance(x, TensorConstant):
        return constant_of(-x.value, dtype) if is_number(x) and is_negative(x.value) else None
    node = x.owner
    if node is None:
        return None
    if node.op is neg:
        return node.inputs[0]
    if (node.op is mul or node.op is true_div) and facts.readers(x) <= 1:
        a, b = node.inputs
        if is_number(a) and is_negative(_value(a, dtype)):
            return _computed(node.op, constant_of(-_value(a, dtype), dtype), b, dtype)
        if is_number(b) and is_negative(_value(b, dtype)):
            return _computed(node.op, a, constant_of(-_value(b, dtype), dtype), dtype)
        if _is_minus(a, dtype):
            return _computed(node.op, a.owner.inputs[0], b, dtype)
        if _is_minus(b, dtype):
            return _computed(node.op, a, b.owner.inputs[0], dtype)
    return None


def _is_minus(x: Any, dtype: str) -> bool:
    return x.owner is not None and x.owner.op is neg and x.type.dtype == dtype


# products


@node_rule("canonical", mul, true_div, neg, square, pow)
def like_factors(node: Apply, facts: Facts) -> Any:
    """x * y / x is y, x**2 * x is x**3: integer powers of one factor are one power, and constants are one."""
    out: Any = node.outputs[0]
    parts, memo = _factors(node), _memo(facts).factors
    if parts is None or out.type.dtype == "bool" or not _meets_itself(node, parts, _key_of_factor, memo):
        return None
    for shared in (False, True):
        operands, work = _operands(node, _factors, memo, facts, shared)
        made = _product_of(operands, work, out, facts)
        if made is not None:
            return made
    return None


def _product_of(operands: Sequence[tuple[Any, int, bool]], work: int, out: Any, facts: Facts) -> Any:
    """The product of the operands, each to its power; None where that takes as many factors, or as much work."""
    dtype = out.type.dtype
    powers: dict[Any, int] = {}
    p = q = np.array(1, dtype)
    if any(abs(exponent) > _HIGHEST for _, exponent, _ in operands):
        return None
    with np.errstate(all="ignore"):
        for x, exponent, _ in operands:
            if _is_finite(x):
                value = _value(x, dtype)
                for _ in range(abs(exponent)):
                    p, q = (_times(p, value), q) if exponent > 0 else (p, _times(q, value))
            else:
                powers[x] = powers.get(x, 0) + exponent
    if any(abs(n) > _HIGHEST for n in powers.values()):
        return None
    factors = [x for x, n in powers.items() if n]
    least = _least_work(factors, [x for x in factors if abs(powers[x]) > 1])
    if len(factors) >= len(operands) or least >= work:
        return None
    over = [_power(x, n, dtype) for x, n in powers.items() if n > 0]
    under = [_power(x, -n, dtype) for x, n in powers.items() if n < 0]
    made = _quotient(np.asarray(p), np.asarray(q), over, under, dtype)
    if made is None or _work(made, [x for x, _, _ in operands]) >= work:
        return None
    gone = [x for x, n in powers.items() if not n]
    return _covered(made, out, [*gone, *[x for x, _, _ in operands if isinstance(x, TensorConstant)]], facts)


def _multiplied(xs: Sequence[Any], dtype: str) -> Any:
    """The product, from the smallest arrays to the largest; None of no factors."""
    xs = _smallest_first(xs)
    made = xs[0] if xs else None
    for x in xs[1:]:
        made = _computed(mul, made, x, dtype)
    return made


def _quotient(p: Any, q: Any, over: Sequence[Any], under: Sequence[Any], dtype: str) -> Any:
    """p / q * over / under with one constant, where a product has it: outside.

    So it is c * (x / y), x / c, x / (c * y) or c / y. None where the constant would be beyond the numbers of the dtype.
    """
    numerator, denominator = _multiplied(over, dtype), _multiplied(under, dtype)
    with np.errstate(all="ignore"):
        if q.ndim == 0 and q == -1:
            p, q = np.asarray(-p), np.asarray(-q)
        stays = numerator is not None and p.ndim == 0 and p in (1, -1) and not (q == 1).all()
        c = q * p if stays else p if (q == 1).all() else np.asarray(p / q, dtype)
    if not _is_reachable(c) or (p.all() and not c.all()):
        return None
    if numerator is None:
        number = constant_of(c, dtype)
        return number if denominator is None else _computed(true_div, number, denominator, dtype)
    if stays:
        number = constant_of(c, dtype)
        return _computed(true_div, numerator, _multiplied([number, *under], dtype), dtype)
    made = numerator if denominator is None else _computed(true_div, numerator, denominator, dtype)
    if c.ndim == 0 and c in (1, -1):
        made = cast(made, dtype)
        return made if c == 1 else neg(made)
    return _computed(mul, constant_of(c, dtype), made, dtype)


class _Stripped(NamedTuple):
    """p / q * over / under, of which p and q are numbers."""

    p: Any
    q: Any
    over: Any = None
    under: Any = None


def _stripped(x: Any, dtype: str, facts: Facts, shared: bool = False) -> _Stripped | None:
    """x as a product with its outermost constant; None where it has none, or others read it, unless `shared`."""
    one = np.array(1, dtype)
    if is_number(x):
        return _Stripped(_value(x, dtype), one)
    node = x.owner
    if node is None or x.type.dtype != dtype:
        return None
    op = node.op
    if op is not mul and op is not true_div and op is not neg:
        return None
    alone = facts.readers(x) <= 1
    if not alone and not shared:
        return None
    a, b = (*node.inputs, None, None)[:2]
    if op is neg:
        return _Stripped(np.array(-1).astype(dtype), one, a)
    if is_number(a):
        if op is mul:
            return _Stripped(_value(a, dtype), one, b)
        return _Stripped(_value(a, dtype), one, None, b) if alone else None
    if is_number(b) and b.value:
        value = _value(b, dtype)
        return _Stripped(value, one, a) if op is mul else _Stripped(one, value, a)
    return None


@node_rule("canonical", mul, true_div, neg, reciprocal)
def constants_of_factors(node: Apply, facts: Facts) -> Any:
    """(2 * x) * y is 2 * (x * y), -x * y is -(x * y), x * (1 / y) is x / y: constants go outside and are one.

    0 * x is 0, 1 * x is x, and x / 2 is 0.5 * x, as other powers of 2: that is exact.
    """
    out: Any = node.outputs[0]
    op, dtype = node.op, out.type.dtype
    if dtype == "bool":
        return None
    x: Any = node.inputs[0]
    if op is neg:
        return _negative_of_product(x, dtype, facts)
    if op is reciprocal:
        return true_div(weak_constant(1, dtype), x) if dtype in CONTINUOUS else None
    y: Any = node.inputs[1]
    if op is mul:
        if x is y:
            return square(x)
        if _is_zero(x) or _is_zero(y):
            return facts.like(0, out)
    elif _is_zero(x):
        return facts.like(0, out)
    elif _is_zero(y):
        return None
    both = _is_minus(x, dtype) and _is_minus(y, dtype)
    a = _stripped(x, dtype, facts, shared=both or is_number(y))
    b = _stripped(y, dtype, facts, shared=both or is_number(x))
    if a is None and b is None:
        return None
    if (a is None and is_number(y)) or (b is None and is_number(x)):
        return _times_number(node, (y if a is None else x), (x if a is None else y), dtype, facts)
    if op is true_div and a is None and is_number_times(y):
        return None  # x / (2 * y) is as short as it gets
    return _combined(op, x, y, a, b, dtype)


def is_number_times(x: Any) -> bool:
    """Whether x is a number times something."""
    return x.owner is not None and x.owner.op is mul and any(map(is_number, x.owner.inputs))


def _times_number(node: Apply, number: Any, x: Any, dtype: str, facts: Facts) -> Any:
    """number * x, x / number or number / x, where there is less to do; else None."""
    if node.op is true_div and number is node.inputs[0]:
        return None
    value = _value(number, dtype)
    if value == 1:
        return facts.like(x, node.outputs[0])
    if value == -1 and value.dtype.kind in "if":
        return neg(cast(x, dtype))
    if node.op is true_div and value.dtype.kind == "f" and np.frexp(value)[0] in (0.5, -0.5) and _is_moderate(value):
        return _computed(mul, constant_of(1 / value, dtype), x, dtype)
    return None


def _negative_of_product(x: Any, dtype: str, facts: Facts) -> Any:
    a = _stripped(x, dtype, facts)
    if a is None or isinstance(x, TensorConstant):
        return None
    with np.errstate(all="ignore"):
        p = np.asarray(np.negative(a.p))
    return _quotient(p, a.q, _given(a.over), _given(a.under), dtype)


def _given(*xs: Any) -> list[Any]:
    return [x for x in xs if x is not None]


def _combined(op: Any, x: Any, y: Any, a: _Stripped | None, b: _Stripped | None, dtype: str) -> Any:
    """x * y, or x / y, with what is constant in both outside."""
    one = np.array(1, dtype)
    first, second = a or _Stripped(one, one, x), b or _Stripped(one, one, y)
    if op is true_div:
        second = _Stripped(second.q, second.p, second.under, second.over)
    if not second.q.all():
        return None
    if (a is None or b is None) and not all(map(_is_moderate, (*first[:2], *second[:2]))):
        return None  # it may stand where it does to keep the product in range
    with np.errstate(all="ignore"):
        p, q = _times(first.p, second.p), _times(first.q, second.q)
    over, under = _given(first.over, second.over), _given(first.under, second.under)
    return _quotient(p, q, over, under, dtype)


# powers


@node_rule("canonical", pow, float_power)
def constant_powers(node: Apply, facts: Facts) -> Any:
    """x**0 is 1, x**1 is x, x**2 is square(x), x**0.5 is sqrt(x), and x**-n is 1 / x**n; 1**x is 1."""
    out: Any = node.outputs[0]
    x: Any
    y: Any
    x, y = node.inputs
    dtype = out.type.dtype
    if is_number(x) and x.value == 1:
        return facts.like(1, out)
    if node.op is float_power:
        return pow(cast(x, dtype), constant_of(_value(y, dtype), dtype) if is_number(y) else cast(y, dtype))
    if not is_number(y) or dtype == "bool":
        return None
    value = complex(y.value)
    if value.imag:
        return None
    exponent = value.real
    if exponent == 0:
        return facts.like(1, out)
    if exponent == 1:
        return facts.like(x, out)
    if dtype in CONTINUOUS and exponent < 0 and (2 * exponent).is_integer():
        one = weak_constant(1, dtype)
        return true_div(one, pow(cast(x, dtype), weak_constant(-exponent, dtype)))
    if exponent == 2:
        return square(cast(x, dtype))
    return sqrt(cast(x, dtype)) if exponent == 0.5 and dtype in CONTINUOUS else None


@node_rule("canonical", square, pow)
def powers_of_powers(node: Apply, facts: Facts) -> Any:
    """square(x**3) is x**6, and square(-x) is square(x), for integer powers."""
    parts = _factors(node)
    if parts is None:
        return None
    ((x, exponent),) = parts
    dtype = node.outputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    inner = x.owner
    if inner is None or x.type.dtype != dtype or dtype == "bool":
        return None
    if inner.op is neg and exponent % 2 == 0:
        return _power(inner.inputs[0], exponent, dtype) if exponent > 0 else None
    if inner.op is not square and inner.op is not pow:
        return None
    below = _factors(inner)
    if below is None or facts.readers(x) > 1 or not 0 < below[0][1] * exponent <= _HIGHEST:
        return None
    return _power(below[0][0], below[0][1] * exponent, dtype)
