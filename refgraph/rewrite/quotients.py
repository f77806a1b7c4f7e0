"""Products and quotients of what overflows or rounds to 0, as gradients have them: what cancels is taken out.

The gradient of -y log(p), where p is sigmoid(x), is written as -y / p * p (1 - p): NaN where p is 0. And exp(x) beside
1 / (1 + exp(x)) is an infinite multiple of 0, where their product is a number between 0 and 1.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from math import isclose
from math import sqrt as _sqrt
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from refgraph.core.graph import Apply
from refgraph.ops.elementwise import (
    abs,
    add,
    cast,
    erfcx,
    exp,
    expm1,
    log,
    mul,
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
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule, rule
from refgraph.rewrite.softmax import (
    FLOATS,
    added,
    after_reduction,
    exponent_of,
    is_one,
    is_same_along,
    laid,
    log_of_added,
    made_by,
    softmax_of,
    view_order,
    without_leading,
)

_MOST = 12  # factors of a product, and terms of a sum, that are looked at
_REAL = Reals(-4, 4, edges=(0.0, -0.0, 1e-20), kinds="f")


# Pairs of factors


@rule("stable", Reals(0, 8, edges=(0.0,), kinds="f"), fails=[0])
def x_log_x(x: Any) -> Any:
    """x log(x) is 0 at 0, its limit."""
    return x * log(x), xlogx(x)


@rule("stable", _REAL, fails=[0])
def quotient_by_abs(x: Any) -> Any:
    """x / |x|, in the derivative of sqrt(x^2), is sign(x); at 0, where it has no value, 0 is taken, as for |x|."""
    return x / abs(x), sign(x)


@rule("stable", _REAL, fails=[800])
def quotient_by_expm1(x: Any) -> Any:
    """exp(x) / (exp(x) - 1), in the derivative of log(1 - exp(x)), is -1 / (exp(-x) - 1)."""
    return exp(x) / expm1(x), -(1 / expm1(-x))


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
def pairs_in_product(node: Apply, facts: Facts) -> Any:
    """exp(x) / sum(exp(x)) is softmax(x), exp(x) / (1 + exp(x)) is sigmoid(x), exp(-x) sigmoid(x) is sigmoid(-x),
    exp(x) exp(-x) is 1, (exp(x) - 1) sigmoid(-x) is tanh(x / 2), exp(-x^2) / erfc(x) is 1 / erfcx(x), x log(x) is
    xlogx(x), and so on: also with other factors between the two.
    """
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or product.makers.isdisjoint(_TOGETHER):
        return None
    for i, f in enumerate(product.factors):
        together = None if f.value.owner is None else _TOGETHER.get(f.value.owner.op.name)
        if together is None:
            continue
        for j, g in enumerate(product.factors):
            found = together(f, g, facts) if i != j else None
            if found is not None:
                return facts.like(product.replaced((i, j), found, out.type.dtype), out)
    return None


@node_rule("stable", true_div)
def quotient_by_one_plus_exp(node: Apply, facts: Facts) -> Any:
    """y / (1 + exp(x)) is y sigmoid(-x)."""
    out: Any = node.outputs[0]
    product = product_of(out, facts)
    if out.type.dtype not in FLOATS or "add" not in product.makers:
        return None
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
    first: Any = node.inputs[0]
    if node.op is neg:
        return first
    turned = made_by(first, neg) if first.type.dtype in FLOATS else None  # integers wrap
    return sub(node.inputs[1], first) if turned is None else add(turned.inputs[0], node.inputs[1])


def _exp_beside_one(y: Any) -> Any:
    """x, where y is 1 + exp(x); else None."""
    node = made_by(y, add)
    for one, other in () if node is None else (node.inputs, node.inputs[::-1]):
        exponent = made_by(other, exp)
        if is_one(one) and exponent is not None:
            return cast(exponent.inputs[0], y.type.dtype)
    return None


def _with_exp(f: Factor, g: Factor, facts: Facts) -> list[Factor] | None:
    """What stands for exp(x) and another factor; None where nothing better does."""
    if f.below or g.value.owner is None:
        return None
    x = cast(f.value.owner.inputs[0], f.value.type.dtype)
    with_it = _WITH_EXP.get(g.value.owner.op.name)
    if with_it is not None:
        return with_it(x, g)
    if not g.below:
        return _exp_and_sum(f.value, g.value, facts)
    found = softmax_of(f.value, g.value)
    found = _share(x, f.value, added(g.value)) if found is None else found
    return None if found is None else [Factor(found)]


def _exp_and_sum(e: Any, total: Any, facts: Facts) -> list[Factor] | None:
    """exp(x) sum(y / s) is softmax(x) sum(y), where s, a sum of exp(x), is the same for all that is summed."""
    order = view_order(total)
    node: Any = total.owner if order is None else total.owner.inputs[0].owner
    if node is None or not isinstance(node.op, Reduction) or node.op.row is not sum or total.type.dtype == "float16":
        return None
    inside: Any = node.inputs[0]
    product = product_of(inside, facts)
    for i, f in enumerate(product.factors):
        if f.below and is_same_along(f.value, node.op.axis, inside) and _is_sum_of_exp(f.value):
            shares = softmax_of(e, _brought_out(f.value, node, order))
            if shares is not None:
                rest = node.op(product.replaced((i,), [], inside.type.dtype))
                return [Factor(shares), Factor(rest if order is None else dimshuffle(rest, order))]
    return None


def _brought_out(x: Any, node: Any, order: list[Any] | None) -> Any:
    """x, which is the same for all that a node reduces, beside the result, of which `order` is that of a view."""
    inside, inner = node.inputs[0], view_order(x)
    base = x if inner is None else x.owner.inputs[0]
    axes: list[Any] = list(range(x.type.ndim)) if inner is None else inner
    axes = ["x"] * (inside.type.ndim - len(axes)) + axes
    axes = after_reduction(axes, node.op.axis, node.op.keepdims)
    if order is not None:
        axes = [o if o == "x" else axes[o] for o in order]
    return dimshuffle(base, without_leading(axes))


def _exp_and_exp(x: Any, g: Factor) -> list[Factor] | None:
    """exp(x) exp(-x) is 1."""
    return [] if not g.below and are_opposite(x, g.value.owner.inputs[0]) else None


def _exp_and_expm1(x: Any, g: Factor) -> list[Factor] | None:
    """exp(x) / (exp(x) - 1): see the rule."""
    return [Factor(quotient_by_expm1.made([x]))] if g.below and g.value.owner.inputs[0] is x else None


def _exp_and_sigmoid(x: Any, g: Factor) -> list[Factor] | None:
    """exp(-z) sigmoid(z) is sigmoid(-z), and exp(z) / sigmoid(z) is 1 / sigmoid(-z): both of the z that there is."""
    (z,) = g.value.owner.inputs
    if g.below:
        return [Factor(sigmoid(opposite_of(z)), below=True)] if x is z else None
    return [Factor(sigmoid(opposite_of(z)))] if are_opposite(x, z) else None


def _exp_and_erfc(x: Any, g: Factor) -> list[Factor] | None:
    """exp(z^2) erfc(z) is erfcx(z)."""
    (z,) = g.value.owner.inputs
    return [Factor(erfcx(z), g.below)] if _is_multiple_of_square(x, z, -1.0 if g.below else 1.0) else None


def _exp_and_ndtr(x: Any, g: Factor) -> list[Factor] | None:
    """exp(-z^2 / 2) / ndtr(z) is 2 / erfcx(-z / sqrt(2))."""
    (z,) = g.value.owner.inputs
    if not g.below or not _is_multiple_of_square(x, z, -0.5):
        return None
    return [Factor(2 / erfcx(-_sqrt(0.5) * z))]


_WITH_EXP = {
    "exp": _exp_and_exp,
    "expm1": _exp_and_expm1,
    "sigmoid": _exp_and_sigmoid,
    "erfc": _exp_and_erfc,
    "ndtr": _exp_and_ndtr,
}


def _with_expm1(f: Factor, g: Factor, facts: Facts) -> list[Factor] | None:
    """(exp(x) - 1) sigmoid(-x), which is (exp(x) - 1) / (exp(x) + 1), is tanh(x / 2)."""
    logistic = made_by(g.value, sigmoid)
    x = f.value.owner.inputs[0]
    fits = logistic is not None and not f.below and not g.below and are_opposite(x, logistic.inputs[0])
    return [Factor(tanh(0.5 * x))] if fits else None


def _with_log(f: Factor, g: Factor, facts: Facts) -> list[Factor] | None:
    """x log(x): see the rule."""
    fits = not f.below and not g.below and f.value.owner.inputs[0] is g.value
    return [Factor(x_log_x.made([g.value]))] if fits and g.value.type.dtype in FLOATS else None


def _with_abs(f: Factor, g: Factor, facts: Facts) -> list[Factor] | None:
    """x / |x|: see the rule."""
    fits = f.below and not g.below and f.value.owner.inputs[0] is g.value
    return [Factor(quotient_by_abs.made([g.value]))] if fits and g.value.type.dtype in FLOATS else None


_TOGETHER = {"exp": _with_exp, "expm1": _with_expm1, "log": _with_log, "abs": _with_abs}
"""By the name of the op that makes a factor: what stands for it and another one."""


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
    if x.type.dtype not in FLOATS or y.type.dtype not in FLOATS:
        return False  # integers wrap
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


def _is_multiple_of_square(x: Any, z: Any, scale: float) -> bool:
    """Whether x is scale * z^2, as far as their products tell."""
    if x.type.dtype != z.type.dtype or x.type.dtype not in FLOATS:
        return False
    (p, powers), (q, roots) = _monomial(x), _monomial(z)
    rounding = 4 * float(np.finfo(x.type.numpy_dtype).eps)
    return powers == {f: 2 * n for f, n in roots.items()} and isclose(p, scale * q * q, rel_tol=rounding)


def _monomial(x: Any) -> tuple[float, dict[Any, int]]:
    """The number in a product, and its other factors with their exponents."""
    product = _product_of(x)
    number = -1.0 if product.negative else 1.0
    for value, below in product.factors:
        if _is_number(value):
            number = number / float(value.value) if below and value.value else number * float(value.value)
    return number, {f: n for f, n in _powers(product).items() if not _is_number(f)}


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
        if exponent is not None and _with_exp(Factor(f), Factor(value, below), facts) is not None:
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
                other_side = sigmoid(opposite_of(cast(x.owner.inputs[0], x.type.dtype)))
                return _sum_of([(whole * other_side, minus), *rest], out.type.dtype)
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
    shares = Softmax(below.axis)(cast(exponent.inputs[0], below.of.type.dtype))
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
