"""Products and quotients of what overflows or rounds to 0, as gradients have them: what cancels is taken out.

The gradient of -y log(p), where p is sigmoid(x), is written as -y / p * p (1 - p): NaN where p is 0. And exp(x) beside
1 / (1 + exp(x)) is an infinite multiple of 0, where their product is a number between 0 and 1.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from functools import cache
from math import sqrt as _sqrt
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from refgraph.core.graph import Apply
from refgraph.ops.elementwise import (
    abs,
    add,
    cast,
    erfc,
    erfcx,
    exp,
    expm1,
    log,
    mul,
    ndtr,
    neg,
    sigmoid,
    sign,
    square,
    sub,
    tanh,
    true_div,
    xlogx,
)
from refgraph.ops.families import Reals
from refgraph.ops.indexing import Index, IndexUpdate
from refgraph.ops.nnet import Softmax
from refgraph.ops.reductions import Reduction, sum
from refgraph.ops.shape import dimshuffle
from refgraph.ops.tensor import TensorConstant, weak_constant
from refgraph.rewrite.engine import Facts, pattern_of
from refgraph.rewrite.rule import PairRule, node_rule, rule
from refgraph.rewrite.softmax import (
    FLOATS,
    added,
    exponent_of,
    is_one,
    is_same_along,
    laid,
    log_of_added,
    made_by,
    softmax_of,
    view_order,
)

_MOST = 12  # factors of a product, and terms of a sum, that are looked at
_REAL = Reals(-4, 4, edges=(0.0, -0.0, 1e-20), kinds="f")
_WIDE = Reals(-40, 40, edges=(0.0, -0.0), kinds="f")


# Pairs of factors


@rule("stable", Reals(0, 8, edges=(0.0,), kinds="f"), fails=[0])
def x_log_x(x: Any) -> Any:
    """x log(x) is 0 at 0, its limit."""
    return x * log(x), xlogx(x)


@rule("stable", _REAL, fails=[0])
def quotient_by_abs(x: Any) -> Any:
    """x / |x|, in the derivative of sqrt(x^2), is sign(x); at 0, where it has no value, 0 is taken, as for |x|."""
    return x / abs(x), sign(x)


@rule("stable", _REAL, fails=[30])
def slope_of_log_erfc(x: Any) -> Any:
    """exp(-x^2) / erfc(x), in the derivative of log(erfc(x)), is 1 / erfcx(x)."""
    return exp(-square(x)) / erfc(x), 1 / erfcx(x)


@rule("stable", _REAL, fails=[-40])
def slope_of_log_ndtr(x: Any) -> Any:
    """exp(-x^2 / 2) / ndtr(x), in the derivative of log(ndtr(x)), is 2 / erfcx(-x / sqrt(2))."""
    return exp(-0.5 * square(x)) / ndtr(x), 2 / erfcx(-_sqrt(0.5) * x)


@rule("stable", _REAL, fails=[800])
def quotient_by_expm1(x: Any) -> Any:
    """exp(x) / (exp(x) - 1), in the derivative of log(1 - exp(x)), is -1 / (exp(-x) - 1)."""
    return exp(x) / expm1(x), -(1 / expm1(-x))


@rule("stable", _WIDE, fails=[800])
def expm1_times_sigmoid(x: Any) -> Any:
    """(exp(x) - 1) / (exp(x) + 1) is tanh(x / 2)."""
    return expm1(x) * sigmoid(-x), tanh(0.5 * x)


_PAIRS = (x_log_x, quotient_by_abs, slope_of_log_erfc, slope_of_log_ndtr, quotient_by_expm1, expm1_times_sigmoid)


# Products


class Factor(NamedTuple):
    """A factor of a product, or, where it is `below`, of what that is divided by."""

    value: Any
    below: bool = False


class Product(NamedTuple):
    """Factors, as many as there are in an expression through all its products, quotients, squares and signs.

    `makers` are the names of the ops that make them.
    """

    factors: list[Factor]
    negative: bool
    makers: frozenset[str]

    def replaced(self, gone: Iterable[int], by: Iterable[Factor], dtype: str) -> Any:
        """The expression, with some of the factors replaced."""
        gone = set(gone)
        return _written([f for i, f in enumerate(self.factors) if i not in gone] + list(by), self.negative, dtype)


_memos: WeakKeyDictionary[Facts, dict[Any, Product]] = WeakKeyDictionary()


def product_of(x: Any, facts: Facts) -> Product:
    """What x is the product of, as far as that is of its dtype; itself alone, where it is no product."""
    memo = _memos.get(facts)
    if memo is None:
        memo = _memos[facts] = {}
    found = memo.get(x)
    if found is None:
        found = memo[x] = _product_of(x)
    return found


def _product_of(x: Any) -> Product:
    found: list[Factor] = []
    negative = False
    pending = [(x, False)]
    while pending:
        y, below = pending.pop()
        node: Any = y.owner if y.type.dtype == x.type.dtype and len(found) + len(pending) < _MOST else None
        op = None if node is None else node.op
        if op is mul:
            pending += [(node.inputs[1], below), (node.inputs[0], below)]
        elif op is true_div:
            pending += [(node.inputs[1], not below), (node.inputs[0], below)]
        elif op is square:
            pending += [(node.inputs[0], below)] * 2
        elif op is neg:
            negative = not negative
            pending.append((node.inputs[0], below))
        else:
            found.append(Factor(y, below))
    return Product(found, negative, frozenset([f.value.owner.op.name for f in found if f.value.owner is not None]))


def _written(factors: Iterable[Factor], negative: bool, dtype: str) -> Any:
    """The product as an expression, from the smallest arrays to the largest."""
    above: Any = None
    below: Any = None
    for value, is_below in sorted(factors, key=lambda f: builtins.sum(n != 1 for n in f.value.type.shape)):
        if is_below:
            below = value if below is None else below * value
        else:
            above = value if above is None else above * value
    above = weak_constant(1, dtype) if above is None else above
    above = cast(above if below is None else above / below, dtype)
    return -above if negative else above


@node_rule("stable", mul, true_div)
def exponentials_in_product(node: Apply, facts: Facts) -> Any:
    """exp(x) / sum(exp(x)) is softmax(x), exp(x) / (1 + exp(x)) is sigmoid(x), y / (1 + exp(x)) is y sigmoid(-x),
    exp(-x) sigmoid(x) is sigmoid(-x) and exp(x) exp(-x) is 1, with whatever stands between the two in a product.
    """
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or product.makers.isdisjoint(("exp", "add")):
        return None
    for i, f in enumerate(product.factors):
        if f.below or made_by(f.value, exp) is None:
            continue
        for j, g in enumerate(product.factors):
            found = _with_exp(f.value, g) if i != j else None
            if found is not None:
                return facts.like(product.replaced((i, j), found, out.type.dtype), out)
    for i, f in enumerate(product.factors):
        x = _exp_beside_one(f.value) if f.below else None
        if x is not None:
            return product.replaced((i,), [Factor(sigmoid(opposite_of(x)))], out.type.dtype)
    return None


def opposite_of(x: Any) -> Any:
    """-x, in as few operations as there may be, whoever else reads x."""
    node = made_by(x, neg, sub)
    if node is None:
        return neg(x)
    first = node.inputs[0]
    if node.op is neg:
        return first
    turned = made_by(first, neg)
    return sub(node.inputs[1], first) if turned is None else add(turned.inputs[0], node.inputs[1])


def _exp_beside_one(y: Any) -> Any:
    """x, where y is 1 + exp(x); else None."""
    node = made_by(y, add)
    for one, other in () if node is None else (node.inputs, node.inputs[::-1]):
        exponent = made_by(other, exp)
        if is_one(one) and exponent is not None:
            return exponent.inputs[0]
    return None


def _with_exp(e: Any, g: Factor) -> list[Factor] | None:
    """What stands for exp(x), which is e, and another factor of the same product; None where nothing better does."""
    x = e.owner.inputs[0]
    other = made_by(g.value, sigmoid, exp)
    if other is not None:
        (z,) = other.inputs
        if other.op is exp:
            return [] if not g.below and are_opposite(x, z) else None
        if not g.below and are_opposite(x, z):  # exp(-z) / (1 + exp(-z)), written with the z that there is
            return [Factor(sigmoid(opposite_of(z)))]
        return [Factor(sigmoid(opposite_of(z)), below=True)] if g.below and x is z else None
    found = None
    if g.below:
        found = softmax_of(e, g.value)
        found = _share(x, e, added(g.value)) if found is None else found
    return None if found is None else [Factor(found)]


def _share(x: Any, e: Any, terms: list[Any]) -> Any:
    """exp(x) / (exp(x) + exp(y) + ...), where exp(x) is e; None where that is no term, or another is no exponential."""
    others = [t for t in terms if t is not e]
    if not others or len(others) != len(terms) - 1:
        return None
    if len(others) == 1 and is_one(others[0]):
        return sigmoid(x)
    total = log_of_added(others)
    return None if total is None else sigmoid(x - total)


def are_opposite(x: Any, y: Any) -> bool:
    """Whether x is -y, as far as their sums tell."""
    first, second = _coefficients(x), _coefficients(y)
    return first.keys() == second.keys() and all(first[key] == -second[key] for key in first)


def _coefficients(x: Any) -> dict[Any, float]:
    """The terms of a sum, or a few of them, each with its coefficient; the constant is under None."""
    found: dict[Any, float] = {}
    pending = [(x, 1.0)]
    while pending:
        y, sign = pending.pop()
        wanted = y.type.dtype == x.type.dtype and len(found) + len(pending) < _MOST
        node = made_by(y, add, sub, neg, mul) if wanted else None
        if isinstance(y, TensorConstant) and y.type.ndim == 0:
            key, sign = None, sign * float(y.value)
        elif node is None or (node.op is mul and not _is_number(node.inputs[0])):
            key = y
        else:
            if node.op is mul:
                number: Any = node.inputs[0]
                pending.append((node.inputs[1], sign * float(number.value)))
            elif node.op is neg:
                pending.append((node.inputs[0], -sign))
            else:
                a, b = node.inputs
                pending += [(b, sign if node.op is add else -sign), (a, sign)]
            continue
        found[key] = found.get(key, 0.0) + sign
    return {key: total for key, total in found.items() if total}


def _is_number(x: Any) -> bool:
    return isinstance(x, TensorConstant) and x.type.ndim == 0


@node_rule("stable", mul, true_div)
def pairs_in_product(node: Apply, facts: Facts) -> Any:
    """x y log(x) is y xlogx(x), and so for the other pairs of factors that a rule is about."""
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or len(product.factors) < 3:
        return None
    for pair in _PAIRS:
        first, second = _sought(pair)
        if {first, second} - {""} <= product.makers:
            found = _pair_in(product, pair, first, second)
            if found is not None:
                return product.replaced(*found, out.type.dtype)
    return None


@cache
def _sought(pair: PairRule) -> tuple[str, str]:
    """The names of the ops that make the two factors of which a rule is about; "" for any."""
    names = [x.owner.op.name if x.owner is not None else "" for x in _root(pair).inputs]
    return names[0], names[1]


def _root(pair: PairRule) -> Apply:
    node = pattern_of(pair).root.owner
    assert node is not None  # a pattern is an application
    return node


def _pair_in(product: Product, pair: PairRule, first: str, second: str) -> tuple[tuple[int, int], list[Factor]] | None:
    """The places of two factors that a rule is about, and what stands for both."""
    pattern, op = pattern_of(pair), _root(pair).op
    for i, f in enumerate(product.factors):
        for j, g in enumerate(product.factors):
            fits = i != j and not f.below and g.below == (op is true_div)
            if fits and _is_made_by(f.value, first) and _is_made_by(g.value, second):
                held = pattern.match(op.make_node(f.value, g.value))
                if held is not None:
                    return (i, j), [Factor(pair.made(held))]
    return None


def _is_made_by(x: Any, name: str) -> bool:
    return not name or (x.owner is not None and x.owner.op.name == name)


# Sums in products


@node_rule("stable", mul, true_div)
def product_of_sum(node: Apply, facts: Facts) -> Any:
    """p (x / p + y) is x + p y: a factor goes into a sum where it meets what it cancels, or makes finite."""
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or product.makers.isdisjoint(("add", "sub")):
        return None
    for i, total in enumerate(product.factors):
        if total.below or made_by(total.value, add, sub) is None:
            continue
        terms = _signed_terms(total.value)
        for j, f in enumerate(product.factors):
            if i != j and not f.below and any(_meets(f.value, t, facts) for t, _ in terms):
                inside = _sum_of([(f.value * t, minus) for t, minus in terms], out.type.dtype)
                return product.replaced((i, j), [Factor(inside)], out.type.dtype)
    return None


def _signed_terms(x: Any) -> list[tuple[Any, bool]]:
    """The terms of a sum, or a few of them, each with whether it is subtracted."""
    found: list[tuple[Any, bool]] = []
    pending = [(x, False)]
    while pending:
        y, minus = pending.pop()
        node: Any = y.owner if y.type.dtype == x.type.dtype and len(found) + len(pending) < _MOST else None
        op = None if node is None else node.op
        if op is add or op is sub:
            a, b = node.inputs
            pending += [(b, minus ^ (op is sub)), (a, minus)]
        elif op is neg:
            pending.append((node.inputs[0], not minus))
        else:
            found.append((y, minus))
    return found


def _sum_of(terms: Iterable[tuple[Any, bool]], dtype: str) -> Any:
    """The sum of terms, each with whether it is subtracted."""
    total: Any = None
    for t, minus in terms:
        if total is None:
            total = -t if minus else t
        else:
            total = total - t if minus else total + t
    return cast(total, dtype)


def _meets(f: Any, t: Any, facts: Facts) -> bool:
    """Whether f times the term is less than it looks: f cancels, or makes something finite with what it meets."""
    exponent, logistic = made_by(f, exp), made_by(f, sigmoid)
    for value, below in product_of(t, facts).factors:
        if below and value is f:
            return True
        if not below and _picks_cancel(f, value, facts):
            return True
        if exponent is not None and _with_exp(f, Factor(value, below)) is not None:
            return True
        other = None if below else made_by(value, exp)
        if logistic is not None and other is not None and are_opposite(other.inputs[0], logistic.inputs[0]):
            return True
    return False


@node_rule("stable", add, sub)
def sigmoid_of_rest(node: Apply, facts: Facts) -> Any:
    """p - p sigmoid(x) is p sigmoid(-x), also among other terms."""
    out: Any = node.outputs[0]
    if out.type.dtype not in FLOATS:
        return None
    terms = _signed_terms(out)
    products = [product_of(t, facts) for t, _ in terms]
    if not any("sigmoid" in product.makers for product in products):
        return None
    powers = list(map(_powers, products))
    for i, (whole, minus) in enumerate(terms):
        for j, (_, other) in enumerate(terms):
            x = _sole(powers[j], powers[i]) if minus != other else None
            if x is not None and made_by(x, sigmoid) is not None:
                rest = [t for k, t in enumerate(terms) if k not in (i, j)]
                return _sum_of([(whole * sigmoid(opposite_of(x.owner.inputs[0])), minus), *rest], out.type.dtype)
    return None


def _powers(product: Product) -> dict[Any, int]:
    """The factors of a product, each with its exponent."""
    found: dict[Any, int] = {}
    for value, below in product.factors:
        found[value] = found.get(value, 0) + (-1 if below else 1)
    return {value: n for value, n in found.items() if n}


def _sole(more: dict[Any, int], fewer: dict[Any, int]) -> Any:
    """The factor that one product has and another has not, where that is all in which they differ; else None."""
    differ = [x for x in {**more, **fewer} if more.get(x, 0) != fewer.get(x, 0)]
    alone = len(differ) == 1 and more.get(differ[0], 0) - fewer.get(differ[0], 0) == 1
    return differ[0] if alone else None


@node_rule("stable", sum)
def sum_of_shares(node: Apply, facts: Facts) -> Any:
    """sum(x (y / s)) is sum(x y) / s, where s is a sum of exponentials, the same for all that is summed."""
    out: Any = node.outputs[0]
    x: Any = node.inputs[0]
    op: Any = node.op
    if x.type.dtype not in ("float32", "float64") or out.type.dtype != x.type.dtype:  # a sum in float16 may overflow
        return None
    product = product_of(x, facts)
    for i, f in enumerate(product.factors):
        if f.below and is_same_along(f.value, op.axis, x) and _is_sum_of_exp(f.value):
            over = Reduction(op.row, op.axis, True, op.dtype, op.acc_dtype)
            total = over(product.replaced((i,), [], x.type.dtype)) / f.value
            return total if op.keepdims else dimshuffle(total, [a for a in range(x.type.ndim) if a not in op.axis])
    return None


def _is_sum_of_exp(x: Any) -> bool:
    """Whether x is a sum of exponentials along axes."""
    found = laid(x, sum)
    return found is not None and exponent_of(found.of) is not None


@node_rule("stable", mul, true_div)
def mean_by_shares(node: Apply, facts: Facts) -> Any:
    """sum(x exp(z)) / sum(exp(z)) is sum(x softmax(z)), with whatever stands between the two in a product."""
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or product.makers.isdisjoint(("sum", "dimshuffle")):
        return None
    for j, g in enumerate(product.factors):
        if g.below and _is_sum_of_exp(g.value):
            for i, f in enumerate(product.factors):
                found = None if i == j or f.below else _mean(f.value, g.value, facts)
                if found is not None:
                    return product.replaced((i, j), [Factor(found)], out.type.dtype)
    return None


def _mean(total: Any, norm: Any, facts: Facts) -> Any:
    """total / norm, where the one is a sum of multiples of the exponentials that the other is a sum of; else None."""
    above, below = laid(total, sum), laid(norm, sum)
    exponent = None if below is None else made_by(below.of, exp)
    if above is None or below is None or exponent is None or above[1:] != below[1:]:
        return None
    product = product_of(above.of, facts)
    at = [i for i, f in enumerate(product.factors) if f.value is below.of and not f.below]
    if not at or not facts.same_shape(above.of, below.of):
        return None
    shares = Softmax(below.axis)(exponent.inputs[0])
    weighed = product.replaced(at[:1], [Factor(shares)], above.of.type.dtype)
    if view_order(total) is None:
        return total.owner.op(weighed)
    return total.owner.op(total.owner.inputs[0].owner.op(weighed))


# Picked elements


@node_rule("stable", mul)
def product_of_picked(node: Apply, facts: Facts) -> Any:
    """p times zeros to whose [i] x / p[i] is added, or set, is zeros to whose [i] x is."""
    for p, update in (node.inputs, node.inputs[::-1]):
        if _picks_cancel(p, update, facts):
            p, update, order = _without_view(p, update)
            zeros, y, *parts = update.owner.inputs
            found = update.owner.op(zeros, y * Index(update.owner.op.template)(p, *parts), *parts)
            return found if order is None else dimshuffle(found, order)
    return None


def _picks_cancel(p: Any, update: Any, facts: Facts) -> bool:
    """Whether `update` puts something divided by elements of p among zeros, in the places of these elements."""
    p, update, _ = _without_view(p, update)
    node: Any = update.owner
    if node is None or not isinstance(node.op, IndexUpdate) or not facts.same_shape(p, update):
        return False
    zeros, y, *parts = node.inputs
    if not _is_zeros(zeros):
        return False
    for value, below in product_of(y, facts).factors:
        picked = value.owner
        if below and picked is not None and isinstance(picked.op, Index) and picked.op.template == node.op.template:
            if picked.inputs[0] is p and all(a is b for a, b in zip(picked.inputs[1:], parts, strict=True)):
                return True
    return False


def _without_view(x: Any, y: Any) -> tuple[Any, Any, list[Any] | None]:
    """What two dimshuffles are made of, and their order, where they have the same; else x and y."""
    order = view_order(x)
    if order is None or order != view_order(y) or x.owner.inputs[0].type.ndim != y.owner.inputs[0].type.ndim:
        return x, y, None
    return x.owner.inputs[0], y.owner.inputs[0], order


def _is_zeros(x: Any) -> bool:
    """Whether x is 0, broadcast."""
    while x.owner is not None and x.owner.op.name in ("fill", "alloc", "broadcast_to"):
        x = x.owner.inputs[1 if x.owner.op.name == "fill" else 0]
    return isinstance(x, TensorConstant) and not x.value.any()
