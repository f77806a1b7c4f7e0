"""Sums of exponentials, and what is divided by them: logsumexp, softmax, logsoftmax, however they are written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import log as _log
from typing import Any, NamedTuple

import numpy as np

from refgraph.core.graph import Apply
from refgraph.ops.elementwise import add, cast, exp, log, logaddexp, mul, neg, softplus, sub, true_div
from refgraph.ops.indexing import Index
from refgraph.ops.nnet import LogSoftmax, Softmax
from refgraph.ops.reductions import Reduction, count, logsumexp, max, mean, sum
from refgraph.ops.shape import DimShuffle, Reshape, dimshuffle
from refgraph.ops.tensor import TensorConstant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

FLOATS = ("float16", "float32", "float64")
MOST = 8  # how many exponentials are looked for in a sum, and how many views one behind another


# Matching


def made_by(x: Any, *ops: Any) -> Apply | None:
    """The application of one of these ops that makes x, or None."""
    node = x.owner
    if node is not None:
        for op in ops:
            if node.op is op:
                return node  # type: ignore[no-any-return]  # a variable's owner
    return None


def reduced(x: Any, *rows: Any) -> tuple[Any, tuple[int, ...]] | None:
    """What x is the reduction of, and along which axes, by one of these rows in its own dtype; or None."""
    node = x.owner
    if node is None or not isinstance(node.op, Reduction) or node.op.row not in rows:
        return None
    return (node.inputs[0], node.op.axis) if node.inputs[0].type.dtype == x.type.dtype else None


class Laid(NamedTuple):
    """A reduction as it lies beside others: of what, along which axes, and where the axes of that are.

    `places` has for each axis of the reduction, but for new ones in front, the axis that it is, or "x" for none.
    """

    of: Any
    axis: tuple[int, ...]
    places: list[Any]


def laid(x: Any, *rows: Any) -> Laid | None:
    """x as the reduction by one of these rows, or as a view of it; or None."""
    order = view_order(x)
    total = x if order is None else x.owner.inputs[0]
    found = reduced(total, *rows)
    if found is None:
        return None
    z, axis = found
    left = after_reduction(list(range(z.type.ndim)), axis, total.owner.op.keepdims)
    return Laid(z, axis, without_leading(left if order is None else [o if o == "x" else left[o] for o in order]))


def reduced_beside(x: Any, *rows: Any) -> Laid | None:
    """The same, where it lies so that each element meets those that it is made of."""
    found = laid(x, *rows)
    if found is None:
        return None
    beside = after_reduction(list(range(found.of.type.ndim)), found.axis, keepdims=True)
    return found if found.places == without_leading(beside) else None


def view_order(x: Any) -> list[Any] | None:
    """The order in which x, a dimshuffle, has the axes of something; None where it is none."""
    node = x.owner
    return list(node.op.order) if node is not None and isinstance(node.op, DimShuffle) else None


def after_reduction(axes: list[Any], axis: tuple[int, ...], keepdims: bool) -> list[Any]:
    """What is left of axes when some are reduced; those that are kept have length 1."""
    if keepdims:
        return ["x" if a in axis else o for a, o in enumerate(axes)]
    return [o for a, o in enumerate(axes) if a not in axis]


def without_leading(order: list[Any]) -> list[Any]:
    """Without new axes in front, where broadcasting puts them anyway."""
    while order and order[0] == "x":
        order = order[1:]
    return order


def _is_float(x: Any) -> bool:
    return x.type.dtype in FLOATS


# The logarithm of a sum of exponentials


@node_rule("stable", log)
def log_of_sum_of_exp(node: Apply) -> Any:
    """log(sum(exp(x))) is logsumexp(x), and log(mean(exp(x))) is that less log(n)."""
    return _log_of_reduced(node.inputs[0])


def _log_of_reduced(x: Any) -> Any:
    found = reduced(x, sum, mean)
    if found is None or not _is_float(x):
        return None
    z, axis = found
    exponent = made_by(z, exp)
    if exponent is None:
        return None
    op: Any = x.owner.op
    exponents: Any = exponent.inputs[0]
    total = logsumexp(cast(exponents, x.type.dtype), axis, op.keepdims)
    if op.row is sum:
        return total
    n = count(exponents, axis)
    if isinstance(n, int):
        return total - _log(n) if n else None
    return total - log(n.astype(x.type.dtype))


@node_rule("stable", log)
def log_of_scaled_sum_of_exp(node: Apply) -> Any:
    """log(c sum(exp(x))) is logsumexp(x) + log(c), for a number c above 0."""
    x: Any = node.inputs[0]
    product = made_by(x, mul, true_div)
    if product is None:
        return None
    for c, other in (product.inputs, product.inputs[::-1]):
        if isinstance(c, TensorConstant) and c.type.ndim == 0 and c.value > 0:
            total = _log_of_reduced(other)
            if total is None:
                return None
            if product.op is mul:
                return total + log(c)
            return total - log(c) if c is product.inputs[1] else log(c) - total
    return None


@node_rule("stable", log)
def log_of_exps(node: Apply) -> Any:
    """log(exp(x) + exp(y) + ...) is logaddexp of x, y, ...; of 1 + exp(x) + ... it begins with softplus(x)."""
    terms = added(node.inputs[0])
    return log_of_added(terms) if len(terms) > 1 else None


def log_of_added(terms: Sequence[Any]) -> Any:
    """The logarithm of a sum of exponentials, of which one may be 1; None where a term is anything else."""
    exponents = [_logarithm(t) for t in terms if not is_one(t)]
    ones = len(terms) - len(exponents)
    if not exponents or ones > 1 or any(e is None for e in exponents):
        return None
    dtype = np.result_type(*[t.type.dtype for t in terms]).name
    first, *rest = [cast(e, dtype) for e in exponents]
    return reduce(logaddexp, rest, softplus(first) if ones else first)


def is_one(x: Any) -> bool:
    """Whether x is the number 1."""
    return isinstance(x, TensorConstant) and x.type.ndim == 0 and bool(x.value == 1)


def _logarithm(x: Any) -> Any:
    """The logarithm of an exponential, or of a sum of them; None of anything else."""
    exponent = made_by(x, exp)
    if exponent is None:
        return _log_of_reduced(x)
    return cast(exponent.inputs[0], x.type.dtype) if _is_float(x) else None


def added(x: Any) -> list[Any]:
    """The terms of a sum; a few of them."""
    found: list[Any] = []
    pending = [x]
    while pending:
        term = pending.pop()
        wanted = term.type.dtype == x.type.dtype and len(found) + len(pending) < MOST
        node = made_by(term, add) if wanted else None
        if node is None:
            found.append(term)
        else:
            pending += node.inputs[::-1]
    return found


# softmax


@node_rule("stable", true_div)
def softmax_of_quotient(node: Apply) -> Any:
    """exp(x) / sum(exp(x)) is softmax(x), where each element is divided by the sum that it is part of."""
    x, y = node.inputs
    return softmax_of(x, y)


def softmax_of(x: Any, y: Any) -> Any:
    """softmax(z), where x is exp(z) and y the sum of it along some axes, laid beside x; None where they are not.

    Both may be views of one array of exponentials, x with its axes in another order.
    """
    found, numerator = laid(y, sum), exponent_of(x)
    denominator = None if found is None else exponent_of(found.of)
    if found is None or numerator is None or denominator is None or not _is_float(x):
        return None
    (z, order), (same, axes) = numerator, denominator
    summed = [axes[a] for a in found.axis]
    if same is not z or "x" in summed or not all(o in order for o in summed):
        return None
    places = [o if o == "x" else axes[o] for o in found.places]
    if places != without_leading(["x" if o in summed else o for o in order]):
        return None
    return dimshuffle(Softmax(tuple(sorted(summed)))(cast(z, x.type.dtype)), order)


def exponent_of(x: Any) -> tuple[Any, list[Any]] | None:
    """z and an order of axes, where x is exp(z), or a view of it, with its axes in that order; else None."""
    order: list[Any] = list(range(x.type.ndim))
    is_exp = False
    for _ in range(MOST):
        moved = view_order(x)
        if moved is not None:
            order = ["x" if o == "x" else moved[o] for o in order]
        elif is_exp or made_by(x, exp) is None:
            break
        else:
            is_exp = True
        x = x.owner.inputs[0]
    return (x, order) if is_exp else None


@node_rule("stable", log)
def log_of_softmax(node: Apply) -> Any:
    """log(softmax(x)) is logsoftmax(x), also of elements picked from it, and with axes moved."""
    x: Any = node.inputs[0]
    views: list[Apply] = []
    while x.owner is not None and isinstance(x.owner.op, (Index, DimShuffle, Reshape)) and len(views) < MOST:
        views.append(x.owner)
        x = x.owner.inputs[0]
    if x.owner is None or not isinstance(x.owner.op, Softmax):
        return None
    found = LogSoftmax(x.owner.op.axis)(x.owner.inputs[0])
    for view in reversed(views):
        found = view.op(found, *view.inputs[1:])
    return found


@node_rule("stable", sub)
def logsoftmax_of_difference(node: Apply) -> Any:
    """x - logsumexp(x) is logsoftmax(x)."""
    x, y = node.inputs
    found = reduced_beside(y, logsumexp)
    return LogSoftmax(found.axis)(cast(x, y.type.dtype)) if found is not None and found.of is x else None  # type: ignore[attr-defined]  # a tensor


@node_rule("stable", Softmax, LogSoftmax)
def softmax_of_shifted(node: Apply, facts: Facts) -> Any:
    """softmax(x + c) is softmax(x), where c is the same along the axes it is taken over; so it is for logsoftmax."""
    op: Any = node.op
    (x,) = node.inputs
    shifted = made_by(x, add, sub)
    if shifted is None:
        return None
    for c, other in (shifted.inputs, shifted.inputs[::-1]):
        if is_same_along(c, op.axis, x) and facts.same_shape(other, x):
            other = cast(other, x.type.dtype)  # type: ignore[attr-defined]  # a tensor
            return op(neg(other) if shifted.op is sub and c is shifted.inputs[0] else other)
    return None


def is_same_along(c: Any, axis: tuple[int, ...], x: Any) -> bool:
    """Whether c, beside x, has length 1 along these axes of x."""
    missing = x.type.ndim - c.type.ndim
    return all(a < missing or c.type.shape[a - missing] == 1 for a in axis)


@node_rule("stable", add)
def logsumexp_of_centered(node: Apply, facts: Facts) -> Any:
    """m + logsumexp(x - m) is logsumexp(x), which takes the greatest away itself."""
    for m, total in (node.inputs, node.inputs[::-1]):
        found = reduced(total, logsumexp)
        less = None if found is None else made_by(found[0], sub)
        if found is None or less is None:
            continue
        (x, beside), (z, axis) = less.inputs, found
        keepdims = total.owner.op.keepdims  # type: ignore[union-attr]  # it is a reduction
        same = is_same_along(beside, axis, z) and facts.same_shape(x, z)
        if same and _is_laid_beside(beside, m, axis, keepdims, z):
            return logsumexp(cast(x, z.type.dtype), axis, keepdims)
    return None


def _is_laid_beside(wide: Any, m: Any, axis: tuple[int, ...], keepdims: bool, z: Any) -> bool:
    """Whether `wide` is m, a reduction of z or of its shape, laid beside z."""
    if wide is m:
        return keepdims or m.type.ndim + len(axis) == z.type.ndim
    if view_order(m) == [a for a in range(z.type.ndim) if a not in axis] and m.owner.inputs[0] is wide:
        return True
    order = view_order(wide)
    if order is not None and wide.owner.inputs[0] is m:
        kept = iter(range(m.type.ndim))
        return order == ["x" if a in axis else next(kept, None) for a in range(z.type.ndim)]
    greatest, wider = reduced(m, max), reduced(wide, max)
    return greatest is not None and greatest == wider and greatest[1] == axis
