"""Axes and lengths as callers give them, and as far as the graph fixes them.

A length is an int where it is known when the graph is built, else a 0-d integer variable. An op holds the lengths that
were known when it was applied, with None where one is an input: `Reshape((None, 3))(x, n)` reshapes x to (n, 3).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, NotScalarConstantError
from refgraph.core.graph import Variable
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import INTEGERS, Shape, TensorConstant, TensorVariable

Length = int | TensorVariable
"""The length of an axis: a number where it is known, else a 0-d integer variable."""


# Numbers that the graph fixes


def scalar_value(x: Any, depth: int = 12) -> Any:
    """The value of a number that the graph already fixes, as a 0-d array, or None.

    Looks through lengths that are known, changes of shape, casts and arithmetic of constants, at most `depth` ops deep.
    """
    if not isinstance(x, TensorVariable):
        return None if isinstance(x, Variable) else _array_value(np.asarray(x))
    if isinstance(x, TensorConstant):
        return _array_value(x.value)
    node = x.owner
    if node is None or depth == 0:
        return None
    op, inputs = node.op, node.inputs
    if isinstance(op, ops.shape.ShapeI):
        n = inputs[0].type.shape[op.i]  # type: ignore[attr-defined]  # a tensor
        return None if n is None else np.asarray(n)
    if isinstance(op, Elemwise):
        if op.name == "fill":
            return scalar_value(inputs[1], depth - 1)
        found = [scalar_value(y, depth - 1) for y in inputs] if x.type.ndim == 0 else [None]
        if any(v is None for v in found):
            return None
        with np.errstate(all="ignore"):
            return np.asarray(op.impl(*found), x.type.numpy_dtype)
    if isinstance(op, ops.shape.MOVES):
        return scalar_value(inputs[0], depth - 1)
    if op.name == "index" and x.type.ndim == 0:
        return _picked_value(op.template, inputs, depth)  # type: ignore[attr-defined]  # Index, which imports this file
    return None


def _array_value(array: Any) -> Any:
    """The one number that all elements are, or None."""
    if array.dtype.kind not in "biufc":
        return None
    if array.ndim == 0:
        return array
    if array.size == 0 or not (array == array.flat[0]).all():
        return None
    return array.reshape(-1)[0]


def _picked_value(template: Sequence[Any], inputs: Sequence[Any], depth: int) -> Any:
    """The value of v[i] for a stack of numbers, or a constant, and a known i."""
    v = inputs[0]
    if len(template) != 1 or not isinstance(template[0], int) or v.type.shape[0] is None:
        return None
    i = template[0] % v.type.shape[0]
    if isinstance(v, TensorConstant):
        return np.asarray(v.value[i])
    if v.owner is not None and isinstance(v.owner.op, ops.joining.Stack):
        return scalar_value(v.owner.inputs[i], depth - 1)
    return scalar_value(v, depth - 1)


# Axes


def one_axis(op: str, axis: Any, ndim: int, x: Any = None) -> int:
    """`axis` counted from 0. Raises AxisError where `ndim` axes have none such, DTypeError for what is no int."""
    if isinstance(axis, TensorVariable):
        axis = scalar_value(axis)
        if axis is None:
            raise NotScalarConstantError(f"{op}: the axis must be known when the graph is built", help="give an int")
    try:
        found = operator.index(axis)
    except TypeError:
        raise DTypeError(f"{op}: an axis is an int, got {axis!r} ({type(axis).__name__})") from None
    if not -ndim <= found < ndim:
        raise AxisError(
            f"{op}: no axis {found} in {ndim} dimension{'s' * (ndim != 1)}",
            help=f"axes go from {-ndim} to {ndim - 1}" if ndim else "a 0-d array has no axes",
            inputs=[] if x is None else [x],
        )
    return found % ndim


def many_axes(op: str, axes: Any, ndim: int, x: Any = None) -> tuple[int, ...]:
    """An axis, or a list, tuple or constant vector of them, counted from 0, in the order given.

    Raises AxisError for one that is not among `ndim` or comes twice, DTypeError for what is no int.
    """
    value = axes.value if isinstance(axes, TensorConstant) else axes
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    given = tuple(listed) if isinstance(listed, (tuple, list)) else (listed,)
    found = tuple([one_axis(op, a, ndim, x) for a in given])
    if len(set(found)) != len(found):
        raise repeated_axis(op, given, x)
    return found


def axes_of(op: str, axis: Any, x: TensorVariable) -> tuple[int, ...]:
    """The axes of x that a reduction over `axis` is along, in order: all of them for None, else as `many_axes`."""
    ndim = x.type.ndim
    if axis is None:
        return tuple(range(ndim))
    if axis.__class__ is int and 0 <= axis < ndim:
        return (axis,)
    return tuple(sorted(many_axes(op, axis, ndim, x)))


def repeated_axis(op: str, axes: Sequence[Any], x: Any) -> AxisError:
    """The error for an axis that comes twice in `axes`."""
    return AxisError(
        f"{op}: an axis is repeated in {tuple(axes)}", help="name each axis once", inputs=[] if x is None else [x]
    )


# Lengths


def lengths(op: str, given: Any, ndim: int | None = None, unknown: bool = False) -> list[Any]:
    """What a caller gave as a shape, as a list of lengths: ints where known, else 0-d integer variables.

    given: an int, a 0-d integer variable, a list or tuple of both, or an integer vector whose own length is known (or
    given as `ndim`). `unknown` also lets None through, for an axis of which nothing is said.
    Raises DTypeError for what is no integer, GraphTypeError when the rank cannot be told or is not `ndim`.
    """
    if isinstance(given, Variable) and getattr(given, "ndim", None) == 1:
        found = _vector_entries(op, given, ndim)
    elif isinstance(given, (list, tuple)):
        found = [one_length(op, d, unknown) for d in given]
    elif isinstance(given, np.ndarray) and given.ndim == 1:
        found = [one_length(op, d, unknown) for d in given]
    else:
        found = [one_length(op, given, unknown)]
    if ndim is not None and len(found) != ndim:
        raise GraphTypeError(f"{op}: ndim={ndim}, but {len(found)} lengths were given")
    return found


def one_length(op: str, d: Any, unknown: bool = False) -> Any:
    """What a caller gave as one length: an int where known, else a 0-d integer variable. Raises as `lengths`."""
    if d.__class__ is int or (d is None and unknown):
        return d
    if isinstance(d, TensorVariable):
        if d.type.dtype not in INTEGERS:
            raise DTypeError(
                f"{op}: a length is an integer, got {d} ({d.type})", help="convert it with .astype('int64')", inputs=[d]
            )
        if d.type.ndim != 0:
            raise GraphTypeError(f"{op}: a length is one number, got {d} ({d.type})", inputs=[d])
        value = scalar_value(d)
        return d if value is None else int(value)
    if isinstance(d, bool):
        raise DTypeError(f"{op}: a length is an integer, got {d}")
    try:
        return operator.index(d)
    except TypeError:
        raise DTypeError(
            f"{op}: a length is an integer, got {d!r} ({type(d).__name__})",
            help="a shape is an integer, a list of integers and integer scalars, or an integer vector",
        ) from None


def _vector_entries(op: str, v: Any, ndim: int | None) -> list[Length]:
    if v.type.dtype not in INTEGERS:
        raise DTypeError(
            f"{op}: lengths are integers, got {v} ({v.type})", help="convert with .astype('int64')", inputs=[v]
        )
    n = v.type.shape[0] if v.type.shape[0] is not None else ndim
    if n is None:
        raise GraphTypeError(
            f"{op}: how many lengths {v} ({v.type}) holds must be known when the graph is built",
            help="give ndim=, or a list of lengths",
            inputs=[v],
        )
    if v.type.shape[0] is None:
        v = ops.shape.specify_shape(v, (n,))  # there may be more of them when it runs
    return [entry(v, i) for i in range(n)]


def entry(v: Any, i: int) -> Length:
    """Element i >= 0 of an integer vector: a number where the graph fixes it, else the simplest 0-d variable for it."""
    while True:
        if isinstance(v, TensorConstant):
            return int(v.value[i])
        op = v.owner.op if v.owner is not None else None
        if isinstance(op, ops.shape.Shape):
            return length(v.owner.inputs[0], i)
        if isinstance(op, ops.joining.Stack):
            value = scalar_value(v.owner.inputs[i])
            return v.owner.inputs[i] if value is None else int(value)
        if isinstance(op, ops.joining.Join):
            part = _part(v.owner.inputs, i)
        else:
            part = _unsliced(v, i)
        if part is None:
            return v[i]  # type: ignore[no-any-return]
        v, i = part


def _part(vectors: Sequence[Any], i: int) -> tuple[Any, int] | None:
    """The vector of a concatenation that element i comes from, and its number there, where lengths tell."""
    for v in vectors:
        n = v.type.shape[0]
        if n is None:
            return None
        if i < n:
            return v, i
        i -= n
    return None


def _unsliced(v: Any, i: int) -> tuple[Any, int] | None:
    """What element i of a slice with known ends is in the vector that was sliced."""
    if v.owner is None or v.owner.op.name != "index" or len(v.owner.inputs) != 1:
        return None
    template: Sequence[Any] = v.owner.op.template
    if len(template) != 1 or not isinstance(template[0], tuple):
        return None
    (base,) = v.owner.inputs
    n = base.type.shape[0]
    return None if n is None else (base, range(n)[slice(*template[0])][i])


def length(x: Any, axis: int) -> Length:
    """The length of an axis of x: a number where known, else the op that reads it."""
    n = x.type.shape[axis]
    return n if n is not None else ops.shape.ShapeI(axis % x.type.ndim)(x)


def split_lengths(given: Sequence[Any]) -> tuple[Shape, list[TensorVariable]]:
    """Lengths as what an op holds, with None for the symbolic ones, and those as its inputs."""
    return tuple([d if d.__class__ is int else None for d in given]), [d for d in given if d.__class__ is not int]


def filled(shape: Shape, symbolic: Sequence[Any]) -> tuple[int, ...]:
    """The lengths at run time: those that the op holds, and its inputs for the others."""
    if not symbolic:
        return shape  # type: ignore[return-value]  # no None in it, for each stands for an input
    rest = iter(symbolic)
    return tuple([int(next(rest)) if d is None else d for d in shape])


def static(op: str, shape: Shape, symbolic: Sequence[Any]) -> list[int | None]:
    """The lengths as far as known at build time. Raises unless there is one integer scalar for each None in `shape`."""
    if len(symbolic) != shape.count(None):
        raise GraphTypeError(f"{op} of shape {shape} takes {shape.count(None)} lengths, got {len(symbolic)}")
    rest = iter(symbolic)
    found: list[int | None] = []
    for d in shape:
        if d is None:
            n = next(rest)
            if n.type.ndim != 0 or n.type.dtype not in INTEGERS:
                raise DTypeError(f"{op}: a length is an integer scalar, got {n} ({n.type})", inputs=[n])
            d = int(n.value) if isinstance(n, TensorConstant) else None
        found.append(d)
    return found


def show(shape: Sequence[int | None]) -> str:
    """A shape for people: (2, ?, 3)."""
    return f"({', '.join('?' if d is None else str(d) for d in shape)}{',' * (len(shape) == 1)})"


def product(factors: Sequence[Length]) -> Length:
    """The product of lengths, with the known ones multiplied now."""
    known = math.prod([d for d in factors if isinstance(d, int)])
    symbolic = [d for d in factors if not isinstance(d, int)]
    if not symbolic or known == 0:
        return known
    total: Any = symbolic[0] if known == 1 else symbolic[0] * known
    for d in symbolic[1:]:
        total = total * d
    return total  # type: ignore[no-any-return]
