"""Less of what changes nothing: constants are folded; copies and casts go; nothing is computed more than once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Constant, Graph
from refgraph.core.op import GraphOp, is_declared
from refgraph.ops import elementwise as e
from refgraph.ops.elementwise import (
    abs,
    arcsinh,
    arctanh,
    cast,
    complex,
    conj,
    cos,
    cosh,
    deg2rad,
    exp,
    fill,
    imag,
    log2,
    neg,
    rad2deg,
    real,
    sign,
    sinh,
    square,
    tanh,
)
from refgraph.ops.families import Elemwise, Reals
from refgraph.ops.gradient import PassThrough
from refgraph.ops.shape import BroadcastTo
from refgraph.ops.tensor import DISCRETE, UNSIGNED, TensorConstant, TensorType, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule, rule

_MOST = 1 << 16  # bytes that a folded constant may have, unless what it is made of has more

_FLOAT = Reals(-4, 4, edges=(0.0, -0.0), kinds="f")


# Constants


@node_rule("canonical", always=True)
def constant_folding(node: Apply) -> Any:
    """What is made of constants alone is a constant, unless it is large, or random, or raises."""
    for x in node.inputs:
        if not isinstance(x, Constant):
            return None
    op = node.op
    if not node.inputs or isinstance(op, GraphOp) or op.keeps or op.name.startswith("random_") or not is_declared(op):
        return None
    arrays = [x.value for x in node.inputs]  # type: ignore[attr-defined]  # constants
    if not all(isinstance(a, np.ndarray) for a in arrays):
        return None
    most = max(_MOST, sum(a.nbytes for a in arrays))
    if not all(_is_at_most(out.type, most) for out in node.outputs):
        return None
    try:
        with np.errstate(all="ignore"):
            found = op.bind(node, _no_graphs)(*arrays)
    except Exception:
        return None  # it is raised when it runs, if it does
    values = [found] if len(node.outputs) == 1 else found
    types: list[Any] = [out.type for out in node.outputs]
    return [_constant(value, type) for value, type in zip(values, types, strict=True)]


def _is_at_most(type: Any, most: int) -> bool:
    """Whether values of a type have no more bytes than that, as far as is known."""
    if not isinstance(type, TensorType) or None in type.shape:
        return False
    return prod(type.shape) * type.numpy_dtype.itemsize <= most  # type: ignore[arg-type]  # no None


def _no_graphs(graph: Graph) -> Callable[..., Sequence[Any]]:
    raise NotImplementedError("graphs are not folded")


def _constant(value: Any, type: TensorType) -> TensorConstant:
    array = np.array(value, type.numpy_dtype)
    if array.ndim == 0:
        return weak_constant(array.item(), type.dtype)
    array.setflags(write=False)
    return type.constant(array)


@node_rule("canonical", Elemwise)
def uniform_constants(node: Apply, facts: Facts) -> Any:
    """A constant array whose elements are one number is that number, beside what has its shape."""
    for x in node.inputs:
        if isinstance(x, TensorConstant) and x.type.ndim and node.op is not fill:
            break
    else:
        return None
    inputs = [_as_number(x) for x in node.inputs]
    if inputs == list(node.inputs) or all(isinstance(x, TensorConstant) for x in inputs):
        return None
    return facts.like(node.op(*inputs), node.outputs[0])


def _as_number(x: Any) -> Any:
    """The number that all elements of a constant array are; x itself where it is no such array."""
    if not isinstance(x, TensorConstant) or x.type.ndim == 0 or x.value.size == 0:
        return x
    first = x.value.flat[0]
    if first != x.value.flat[-1] or not (x.value == first).all():
        return x
    return weak_constant(first.item(), x.type.dtype)


@node_rule("canonical", Elemwise)
def constants_converted(node: Apply) -> Any:
    """A constant has the dtype in which the op computes: it is converted once."""
    first: Any = node.inputs[0]
    for x in node.inputs:
        if isinstance(x, TensorConstant) and x.type.dtype != first.type.dtype:
            break
    else:
        if not isinstance(first, TensorConstant):
            return None
    like = node.op.meaning  # type: ignore[attr-defined]  # an Elemwise
    given = [x.type.numpy_dtype for x in node.inputs]  # type: ignore[attr-defined]  # tensors
    if not isinstance(like, np.ufunc) or len(set(given)) == 1:
        return None
    computed = like.resolve_dtypes((*given, None))
    inputs: list[Any] = list(node.inputs)
    for i, x in enumerate(node.inputs):
        if isinstance(x, TensorConstant) and given[i] != computed[i] and computed[i].name in e._CASTS:
            with np.errstate(all="ignore"):
                inputs[i] = _constant(x.value.astype(computed[i]), TensorType(computed[i], x.type.shape))
    return node.op(*inputs) if inputs != list(node.inputs) else None


# Copies


@node_rule("canonical", e.identity, e.positive, PassThrough)
def copies(node: Apply) -> Any:
    """identity(x) and +x are x; and once derivatives are taken, so is what stands only for other derivatives."""
    return None if node.op.keeps else node.inputs[0]


@node_rule("canonical", fill)
def fill_of_its_shape(node: Apply, facts: Facts) -> Any:
    """fill(x, y) is y, where y has the shape, and fill(x, fill(y, z)) is fill(x, z), where x has it."""
    out, y = node.outputs[0], node.inputs[1]
    if facts.same_shape(y, out):
        return y
    inner = y.owner
    if inner is not None and (inner.op is fill or isinstance(inner.op, BroadcastTo)):
        value = inner.inputs[1 if inner.op is fill else 0]
        if facts.same_shape(node.inputs[0], out):
            return fill(node.inputs[0], value)
    return None


@node_rule("canonical", Elemwise)
def fill_outside(node: Apply, facts: Facts) -> Any:
    """f(fill(x, y), z) is fill(x, f(y, z)), or f(y, z) where z has the shape: nothing is computed many times."""
    op: Any = node.op
    if op is fill:
        return None
    inputs: list[Any] = list(node.inputs)
    broadcast: list[Apply] = []
    for i, x in enumerate(inputs):
        made = x.owner
        if made is not None and (made.op is fill or isinstance(made.op, BroadcastTo)):
            inputs[i] = made.inputs[1 if made.op is fill else 0]
            broadcast.append(made)
    if not broadcast:
        return None
    out: Any = node.outputs[0]
    fresh = op(*inputs)
    if fresh.type.dtype != out.type.dtype:
        return None
    if facts.same_shape(fresh, out):
        return fresh
    for made in broadcast:
        if facts.same_shape(made.outputs[0], out):
            if made.op is fill:
                return fill(made.inputs[0], fresh)
            return made.op(fresh, *made.inputs[1:])
    if any(made.op is not fill or _is_filled(made.inputs[1]) for made in broadcast):
        return None  # a chain of many shapes would drag all of them along
    for made in broadcast:
        fresh = fill(made.inputs[0], fresh)
    return fresh


def _is_filled(x: Any) -> bool:
    return x.owner is not None and x.owner.op is fill


# Casts


@node_rule("canonical", *e._CASTS.values(), always=True)
def cast_of_cast(node: Apply) -> Any:
    """A cast to another dtype on the way changes nothing where that keeps what the last one keeps."""
    x: Any = node.inputs[0]
    last = node.outputs[0].type.dtype  # type: ignore[attr-defined]  # a tensor
    if x.type.dtype == last:
        return x
    inner = x.owner
    if inner is None or e._CASTS.get(x.type.dtype) is not inner.op:
        return None
    first = inner.inputs[0].type.dtype
    return cast(inner.inputs[0], last) if _keeps(first, x.type.dtype, last) else None


def _keeps(first: str, middle: str, last: str) -> bool:
    """Whether to cast to `middle` on the way from one dtype to another changes nothing."""
    a, b, c = (np.dtype(d) for d in (first, middle, last))
    if a.kind in "iu" and b.kind in "iu" and c.kind in "iu" and c.itemsize <= b.itemsize:
        return True  # the low bits are all that is left
    return is_exact(a, b)


def is_exact(a: np.dtype[Any], b: np.dtype[Any]) -> bool:
    """Whether every number of dtype a is one of dtype b."""
    if a.kind == "b" or a == b:
        return True
    if a.kind in "iu" and b.kind in "fc":
        digits = np.finfo(b).nmant + 1
        return bool(8 * a.itemsize - (a.kind == "i") <= digits)
    return b.kind != "b" and bool(np.can_cast(a, b))


# Whole numbers, real numbers, numbers that are not negative

_ROUNDINGS = (e.floor, e.ceil, e.trunc, e.rint, e.round_half_away_from_zero)
_NOT_NEGATIVE = (
    abs,
    e.fabs,
    square,
    e.exp,
    e.exp2,
    e.sqrt,
    cosh,
    e.sigmoid,
    e.softplus,
    e.hypot,
    e.erfc,
    e.erfcx,
    e.ndtr,
)


@node_rule("canonical", *_ROUNDINGS)
def rounded_already(node: Apply) -> Any:
    """Whole numbers are not rounded: integers, and what is rounded."""
    x: Any = node.inputs[0]
    whole = x.type.dtype in DISCRETE or (x.owner is not None and x.owner.op in _ROUNDINGS)
    return cast(x, node.outputs[0].type.dtype) if whole else None  # type: ignore[attr-defined]  # a tensor


def is_never_negative(x: Any) -> bool:
    """Whether x is a real number that is not negative, or NaN, whatever it is computed of."""
    if x.type.is_complex:
        return False
    if x.type.dtype == "bool" or x.type.dtype in UNSIGNED:
        return True
    if isinstance(x, TensorConstant):
        return bool((x.value >= 0).all())
    node = x.owner
    if node is None or node.op not in _NOT_NEGATIVE:
        return False
    return bool(x.type.is_continuous) and not node.inputs[0].type.is_complex  # integers wrap


@node_rule("canonical", abs, e.fabs)
def absolute_already(node: Apply) -> Any:
    """|x| is x where x is never negative, and |-x| is |x|."""
    x: Any = node.inputs[0]
    if is_never_negative(x):
        return cast(x, node.outputs[0].type.dtype)  # type: ignore[attr-defined]  # a tensor
    if x.owner is not None and x.owner.op is neg:
        return node.op(x.owner.inputs[0])
    return None


@node_rule("canonical", square)
def square_of_absolute(node: Apply) -> Any:
    """square(|x|) is square(x), for real x."""
    inner = node.inputs[0].owner
    if inner is None or inner.op is not abs or inner.inputs[0].type.is_complex:  # type: ignore[attr-defined]  # a tensor
        return None
    return square(inner.inputs[0])


@node_rule("canonical", e.isnan, e.isinf, e.isfinite, e.signbit, imag, e.sign)
def known_of_the_dtype(node: Apply, facts: Facts) -> Any:
    """Integers are finite, unsigned ones have no sign, and real numbers no imaginary part."""
    op, x = node.op, node.inputs[0]
    dtype: str = x.type.dtype  # type: ignore[attr-defined]  # a tensor
    if op is imag:
        return None if x.type.is_complex else facts.like(0, node.outputs[0])  # type: ignore[attr-defined]
    if op is e.isfinite:
        return facts.like(True, node.outputs[0]) if dtype in DISCRETE else None
    if op is e.isnan or op is e.isinf:
        return facts.like(False, node.outputs[0]) if dtype in DISCRETE else None
    if op is e.signbit:
        return facts.like(False, node.outputs[0]) if dtype == "bool" or dtype in UNSIGNED else None
    return x if x.owner is not None and x.owner.op is sign else None


# Integers


@node_rule("canonical", e.floor_div, e.mod, e.fmod, e.left_shift, e.right_shift)
def integers_by_one(node: Apply, facts: Facts) -> Any:
    """x // 1 is x, x % 1 is 0, and x << 0 is x, for integers."""
    out: Any = node.outputs[0]
    y = node.inputs[1]
    if not isinstance(y, TensorConstant) or y.type.ndim or out.type.dtype not in DISCRETE:
        return None
    if node.op is e.left_shift or node.op is e.right_shift:
        return None if y.value else facts.like(node.inputs[0], out)
    if y.value != 1:
        return None
    return facts.like(node.inputs[0] if node.op is e.floor_div else 0, out)


# Functions and their inverses. exp(log(x)) stays: it is NaN where x is negative.


@rule("canonical", _FLOAT)
def log2_of_exp2(x: Any) -> Any:
    """log2(2**x) is x."""
    return log2(e.exp2(x)), x


@rule("canonical", _FLOAT)
def log1p_of_expm1(x: Any) -> Any:
    """log1p(expm1(x)) is x."""
    return e.log1p(e.expm1(x)), x


@rule("canonical", _FLOAT)
def arcsinh_of_sinh(x: Any) -> Any:
    """arcsinh(sinh(x)) is x."""
    return arcsinh(sinh(x)), x


@rule("canonical", _FLOAT)
def sinh_of_arcsinh(x: Any) -> Any:
    """sinh(arcsinh(x)) is x."""
    return sinh(arcsinh(x)), x


@rule("canonical", _FLOAT)
def arctanh_of_tanh(x: Any) -> Any:
    """arctanh(tanh(x)) is x."""
    return arctanh(tanh(x)), x


@rule("canonical", _FLOAT)
def degrees_of_radians(x: Any) -> Any:
    """rad2deg(deg2rad(x)) is x."""
    return rad2deg(deg2rad(x)), x


@rule("canonical", _FLOAT)
def radians_of_degrees(x: Any) -> Any:
    """deg2rad(rad2deg(x)) is x."""
    return deg2rad(rad2deg(x)), x


@rule("canonical", _FLOAT)
def one_over_exp(x: Any) -> Any:
    """1 / exp(x) is exp(-x)."""
    return 1 / exp(x), exp(-x)


@rule("canonical", _FLOAT, _FLOAT)
def power_of_exp(x: Any, y: Any) -> Any:
    """exp(x)**y is exp(x * y)."""
    return exp(x) ** y, exp(x * y)


@rule("canonical", _FLOAT)
def cos_of_minus(x: Any) -> Any:
    """cos(-x) is cos(x)."""
    return cos(-x), cos(x)


@rule("canonical", _FLOAT)
def cosh_of_minus(x: Any) -> Any:
    """cosh(-x) is cosh(x)."""
    return cosh(-x), cosh(x)


# Complex numbers


@node_rule("canonical", real, imag, conj, abs)
def parts_of_complex(node: Apply, facts: Facts) -> Any:
    """real(x + iy) is x and imag(x + iy) is y; conj(conj(x)) is x, real(conj(x)) is real(x) and |conj(x)| is |x|."""
    inner = node.inputs[0].owner
    out: Any = node.outputs[0]
    if inner is None:
        return None
    if inner.op is complex and node.op in (real, imag):
        found: Any = inner.inputs[node.op is imag]
        made = cast(found, out.type.dtype)
        return made if facts.same_shape(made, out) else fill(inner.inputs[node.op is real], made)
    if inner.op is not conj:
        return None
    x: Any = inner.inputs[0]
    if node.op is conj:
        return x
    return neg(imag(x)) if node.op is imag else node.op(x)


@node_rule("canonical", complex)
def complex_of_parts(node: Apply) -> Any:
    """real(x) + i imag(x) is x."""
    x, y = (part.owner for part in node.inputs)
    if x is None or y is None or x.op is not real or y.op is not imag or x.inputs != y.inputs:
        return None
    found: Any = x.inputs[0]
    return found if found.type.dtype == node.outputs[0].type.dtype else None  # type: ignore[attr-defined]  # a tensor
