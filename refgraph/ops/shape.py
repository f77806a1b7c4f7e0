"""Ops that move elements without changing them: axes, lengths, joining, splitting, repeating.

Lengths may be symbolic everywhere. An op holds the lengths that were known when it was applied, with None where one is
an input: `Reshape((None, 3))(x, n)` reshapes x to (n, 3).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, NotScalarConstantError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Op, Sample, declare
from refgraph.ops.families import SUM_TO, Elemwise, operands, same_kind
from refgraph.ops.tensor import (
    INTEGERS,
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor,
    constant,
    has_variables,
)
from refgraph.ops.tensor import Shape as StaticShape

Length = int | TensorVariable
"""The length of an axis: a number where it is known, else a 0-d integer variable."""


class TensorOp(Op):
    """An op with one output, a tensor."""

    def __call__(self, *inputs: Any, **kwargs: Any) -> TensorVariable:
        return self.make_node(*inputs, **kwargs).outputs[0]  # type: ignore[return-value]  # a tensor


class Linear(TensorOp):
    """An op with one output, linear in its first input; the other inputs say how and have no derivative."""

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        """The cotangent of x, given that of the output: the adjoint of this op."""
        raise NotImplementedError(f"{type(self).__name__} says no `transpose`")

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        rest = (None,) * (len(node.inputs) - 1)
        if not isinstance(g, Variable):
            return g, *rest
        return lambda: self.transpose(g, *node.inputs), *rest

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        t = tangents[0]
        return (self(t, *node.inputs[1:]) if isinstance(t, Variable) else t,)


# What samples are made of


def numbers(*shape: int, dtype: str = "float64") -> Any:
    """An array of different numbers, for samples."""
    steps = np.arange(math.prod(shape))
    values: Any = steps % 2 if dtype == "bool" else steps * 0.75 - 1.5 if np.dtype(dtype).kind in "fc" else steps
    return (values + 0.5j * steps[::-1] if np.dtype(dtype).kind == "c" else values).astype(dtype).reshape(shape)


def over_matrices(build: Callable[..., Any], expect: Callable[..., Any]) -> Iterator[Sample]:
    """Samples of one use over dtypes and memory layouts of a 2 by 3 matrix."""
    for dtype in ("bool", "int8", "uint64", "float16", "float32", "complex64", "complex128"):
        yield Sample(dtype, build, (numbers(2, 3, dtype=dtype),), expect)
    yield Sample("strided", build, (numbers(4, 6)[1::2, ::2],), expect)
    yield Sample("negative-strides", build, (numbers(2, 3)[::-1, ::-1],), expect)
    yield Sample("column-major", build, (numbers(3, 2).T,), expect)
    yield Sample("one-value", build, (np.broadcast_to(numbers(1), (2, 3)),), expect)


# Numbers and axes


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
    if isinstance(op, ShapeI):
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
    if isinstance(op, _MOVES):
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
    if v.owner is not None and isinstance(v.owner.op, Stack):
        return scalar_value(v.owner.inputs[i], depth - 1)
    return scalar_value(v, depth - 1)


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
    """An int, or a list or tuple of them, as axes counted from 0. Raises AxisError, also for a repeated one."""
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    found = tuple([one_axis(op, a, ndim, x) for a in given])
    if len(set(found)) != len(found):
        raise AxisError(f"{op}: an axis is repeated in {tuple(given)}", inputs=[] if x is None else [x])
    return found


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
        found = [_length(op, d, unknown) for d in given]
    elif isinstance(given, np.ndarray) and given.ndim == 1:
        found = [_length(op, d, unknown) for d in given]
    else:
        found = [_length(op, given, unknown)]
    if ndim is not None and len(found) != ndim:
        raise GraphTypeError(f"{op}: ndim={ndim}, but {len(found)} lengths were given")
    return found


def _length(op: str, d: Any, unknown: bool) -> Any:
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
        raise DTypeError(f"{op}: a length is an integer, got {d!r} ({type(d).__name__})") from None


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
        v = specify_shape(v, (n,))  # there may be more of them when it runs
    return [entry(v, i) for i in range(n)]


def entry(v: Any, i: int) -> Length:
    """Element i >= 0 of an integer vector: a number where the graph fixes it, else the simplest 0-d variable for it."""
    while True:
        if isinstance(v, TensorConstant):
            return int(v.value[i])
        op = v.owner.op if v.owner is not None else None
        if isinstance(op, Shape):
            return length(v.owner.inputs[0], i)
        if isinstance(op, Stack):
            value = scalar_value(v.owner.inputs[i])
            return v.owner.inputs[i] if value is None else int(value)
        if isinstance(op, Join):
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
    return n if n is not None else ShapeI(axis % x.type.ndim)(x)


def split_lengths(given: Sequence[Any]) -> tuple[StaticShape, list[TensorVariable]]:
    """Lengths as what an op holds, with None for the symbolic ones, and those as its inputs."""
    return tuple([d if d.__class__ is int else None for d in given]), [d for d in given if d.__class__ is not int]


def filled(shape: StaticShape, symbolic: Sequence[Any]) -> tuple[int, ...]:
    """The lengths at run time: those that the op holds, and its inputs for the others."""
    if not symbolic:
        return shape  # type: ignore[return-value]  # no None in it, for each stands for an input
    rest = iter(symbolic)
    return tuple([int(next(rest)) if d is None else d for d in shape])


def static(op: str, shape: StaticShape, symbolic: Sequence[Any]) -> list[int | None]:
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


# Axes


@declare
class DimShuffle(Linear):
    """Reorder axes, add axes of length 1 ('x' in `order`), drop axes of length 1 (those that `order` leaves out).

    Raises AxisError for an axis that x does not have or that comes twice, ShapeError for a dropped axis that is not 1.
    """

    __props__ = ("order",)
    name = "dimshuffle"
    views = (0,)

    def __init__(self, order: tuple[int | str, ...]) -> None:
        self.order = order
        self.kept = tuple([o for o in order if isinstance(o, int)])
        ranks = {a: i for i, a in enumerate(sorted(self.kept))}
        moved = tuple([ranks[a] for a in self.kept])
        self._moved = moved if moved != tuple(range(len(moved))) else None
        self._index = tuple([None if o == "x" else slice(None) for o in order]) if "x" in order else None
        self._types: dict[TensorType, tuple[TensorType]] = {}

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        found = self._types.get(x.type)
        return found if found is not None else self._types.setdefault(x.type, self._infer(x))

    def _infer(self, x: TensorVariable) -> tuple[TensorType]:
        shape = x.type.shape
        ndim = len(shape)
        for a in self.kept:
            if not 0 <= a < ndim:
                raise AxisError(
                    f"dimshuffle: no axis {a} in {x.type}", help=f"axes go from 0 to {ndim - 1}", inputs=[x]
                )
        if len(self.kept) != ndim:
            for a in range(ndim):
                if a not in self.kept and shape[a] not in (1, None):
                    raise _cannot_drop(a, shape[a], [x])
        return (TensorType(x.type.dtype, [1 if o == "x" else shape[o] for o in self.order]),)  # type: ignore[index]

    def impl(self, x: Any) -> Any:
        if len(self.kept) != x.ndim:
            dropped = tuple([a for a in range(x.ndim) if a not in self.kept])
            for a in dropped:
                if x.shape[a] != 1:
                    raise _cannot_drop(a, x.shape[a], [])
            x = x.squeeze(dropped)
        if self._moved is not None:
            x = x.transpose(self._moved)
        return x if self._index is None else x[self._index]

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        back: list[int | str] = ["x"] * x.type.ndim
        for i, o in enumerate(self.order):
            if o != "x":
                back[o] = i  # type: ignore[index]
        return dimshuffle(g, back)

    def __repr__(self) -> str:
        return f"dimshuffle{{{', '.join(map(str, self.order))}}}"

    def written(self, x: str) -> str:
        """For formulas: x.T, or how it is called."""
        return f"{x}.T" if self.order == (1, 0) else f"{x}.dimshuffle({', '.join(map(repr, self.order))})"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3, 4)
        for order in ((2, 0, 1), (2, 1, 0), (0, "x", 1, 2), ("x", 2, 0, "x", 1), (-1, 0, 1)):
            id = ",".join(map(str, order))
            axes = [o for o in order if o != "x"]
            added = tuple([i for i, o in enumerate(order) if o == "x"])
            yield Sample(
                id,
                lambda x, order=order: dimshuffle(x, order),
                (x,),
                lambda x, axes=axes, added=added: np.expand_dims(np.transpose(x, axes), added),
            )
        yield Sample("drop", lambda x: dimshuffle(x, (2, 0)), (x[:, :1],), lambda x: x[:, 0].T)
        yield Sample("drop-and-add", lambda x: dimshuffle(x, ("x", 1)), (x[:1, :, :1].reshape(1, 3)[:, ::-1],))
        yield Sample("drop-all", lambda x: dimshuffle(x, ()), (x[:1, :1, :1],), lambda x: x[0, 0, 0])
        yield Sample("empty", lambda x: dimshuffle(x, ("x", 1, 0)), (np.zeros((0, 2)),), lambda x: x.T[None])
        yield Sample("scalar", lambda x: dimshuffle(x, ("x", "x")), (np.array(2.5),), lambda x: x[None, None])
        yield from over_matrices(transpose, lambda x: x.T)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("axis-out-of-range", lambda x: dimshuffle(x, (0, 2)), (x,), AxisError, "no axis 2")
        yield BadSample("axis-twice", lambda x: dimshuffle(x, (0, 1, 0)), (x,), AxisError, "repeated")
        yield BadSample("axis-is-a-word", lambda x: dimshuffle(x, (0, 1, "y")), (x,), DTypeError, "'y'")
        yield BadSample("drop-longer-than-1", lambda x: dimshuffle(x, (0,)), (x,), ShapeError, "cannot drop axis 1")
        yield BadSample("drop-empty", lambda x: dimshuffle(x, (1,)), (x[:0],), ShapeError, "length 0")
        yield BadSample("transpose-too-few", lambda x: transpose(x, (0,)), (x,), AxisError, "each axis once")
        yield BadSample("squeeze", lambda x: squeeze(x, 0), (x,), ShapeError, "cannot drop axis 0")


def _cannot_drop(axis: int, n: int | None, inputs: Sequence[Any]) -> ShapeError:
    return ShapeError(
        f"cannot drop axis {axis}, which has length {n}",
        why="an axis can be left out only where its length is 1",
        help="take one element with x[..., 0], or sum or reshape the axis away",
        inputs=inputs,
    )


_DIMSHUFFLES: dict[tuple[int | str, ...], DimShuffle] = {}


def dimshuffle(x: Any, order: Sequence[Any]) -> TensorVariable:
    """Reorder axes; 'x' adds one of length 1; an axis left out must have length 1. `dimshuffle(x, (1, 'x', 0))`.

    Raises AxisError for an axis that does not exist or comes twice, ShapeError for a dropped axis that is not 1 long.
    """
    x = as_tensor(x)
    ndim = x.type.ndim
    full = tuple(
        [
            o
            if (o.__class__ is int and 0 <= o < ndim) or (o.__class__ is str and o == "x")
            else one_axis("dimshuffle", o, ndim, x)
            for o in order
        ]
    )
    if len(full) == ndim and full == tuple(range(ndim)):
        return x  # type: ignore[no-any-return]
    op = _DIMSHUFFLES.get(full)
    if op is None:
        kept = [o for o in full if o != "x"]
        if len(set(kept)) != len(kept):
            raise AxisError(f"dimshuffle: an axis is repeated in {tuple(order)}", inputs=[x])
        op = _DIMSHUFFLES.setdefault(full, DimShuffle(full))
    return op(x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> TensorVariable:
    """The axes in reverse, or in the order given. Raises AxisError unless `axes` names each axis once."""
    x = as_tensor(x)
    if axes is None:
        return dimshuffle(x, range(x.type.ndim - 1, -1, -1))
    if len(axes) != x.type.ndim:
        raise AxisError(f"transpose: {len(axes)} axes for {x.type}", help="name each axis once", inputs=[x])
    return dimshuffle(x, axes)


def swapaxes(x: Any, axis1: int, axis2: int) -> TensorVariable:
    """Exchange two axes."""
    x = as_tensor(x)
    order = list(range(x.type.ndim))
    a, b = (one_axis("swapaxes", a, x.type.ndim, x) for a in (axis1, axis2))
    order[a], order[b] = b, a
    return dimshuffle(x, order)


def moveaxis(x: Any, source: Any, destination: Any) -> TensorVariable:
    """Move axes to other places; the others keep their order (NumPy's moveaxis)."""
    x = as_tensor(x)
    origin = many_axes("moveaxis", source, x.type.ndim, x)
    target = many_axes("moveaxis", destination, x.type.ndim, x)
    if len(origin) != len(target):
        raise AxisError(f"moveaxis: {len(origin)} axes to {len(target)} places", inputs=[x])
    order = [a for a in range(x.type.ndim) if a not in origin]
    for place, a in sorted(zip(target, origin, strict=True)):
        order.insert(place, a)
    return dimshuffle(x, order)


def expand_dims(x: Any, axis: Any) -> TensorVariable:
    """Add axes of length 1, at `axis` (int or tuple) of the result."""
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    added = many_axes("expand_dims", axis, x.type.ndim + count, x)
    rest = iter(range(x.type.ndim))
    return dimshuffle(x, ["x" if a in added else next(rest) for a in range(x.type.ndim + count)])


def squeeze(x: Any, axis: Any = None) -> TensorVariable:
    """Drop axes of length 1: all those known to be, or `axis` (int or tuple), which is checked when it runs.

    Without `axis`, an axis of unknown length stays, for the rank of a variable is fixed.
    """
    x = as_tensor(x)
    if axis is None:
        dropped: Sequence[int] = [a for a, one in enumerate(x.type.broadcastable) if one]
    else:
        dropped = many_axes("squeeze", axis, x.type.ndim, x)
    return dimshuffle(x, [a for a in range(x.type.ndim) if a not in dropped])


def atleast_1d(*arrays: Any) -> Any:
    """With an axis added where there is none; a list for several inputs."""
    return _each(arrays, lambda x: dimshuffle(x, ("x",)) if x.type.ndim == 0 else x)


def atleast_2d(*arrays: Any) -> Any:
    """With axes added on the left up to two; a list for several inputs."""
    return _each(arrays, lambda x: shape_padleft(x, max(0, 2 - x.type.ndim)))


def atleast_3d(*arrays: Any) -> Any:
    """With axes added up to three, where NumPy adds them: (n,) to (1, n, 1), (n, m) to (n, m, 1)."""
    orders: dict[int, tuple[Any, ...]] = {0: ("x", "x", "x"), 1: ("x", 0, "x"), 2: (0, 1, "x")}
    return _each(arrays, lambda x: dimshuffle(x, orders[x.type.ndim]) if x.type.ndim < 3 else x)


def _each(arrays: Sequence[Any], change: Callable[[TensorVariable], TensorVariable]) -> Any:
    found = [change(as_tensor(x)) for x in arrays]
    return found[0] if len(found) == 1 else found


def shape_padleft(t: Any, n_ones: int = 1) -> TensorVariable:
    """Add `n_ones` axes of length 1 on the left."""
    t = as_tensor(t)
    return dimshuffle(t, ["x"] * n_ones + list(range(t.type.ndim)))


def shape_padright(t: Any, n_ones: int = 1) -> TensorVariable:
    """Add `n_ones` axes of length 1 on the right."""
    t = as_tensor(t)
    return dimshuffle(t, list(range(t.type.ndim)) + ["x"] * n_ones)


def shape_padaxis(t: Any, axis: int) -> TensorVariable:
    """Add one axis of length 1 at `axis` of the result."""
    return expand_dims(t, axis)


# Shapes


@declare
class Shape(TensorOp):
    """The lengths of all axes, as an int64 vector."""

    name = "shape"
    __props__ = ("name",)

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (TensorType("int64", (x.type.ndim,)),)

    def impl(self, x: Any) -> Any:
        return np.array(x.shape, "int64")

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for x in (numbers(2, 3), np.zeros((0, 4)), np.array(1.5), numbers(5, dtype="int8")):
            yield Sample(f"{list(x.shape)}", cls(), (x,), lambda x: np.array(x.shape, "int64"))


@declare
class ShapeI(TensorOp):
    """The length of axis `i`, as an int64 scalar."""

    __props__ = ("i",)
    name = "shape_i"

    def __init__(self, i: int) -> None:
        self.i = i

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        one_axis("shape_i", self.i, x.type.ndim, x)
        return (_INT64,)

    def impl(self, x: Any) -> Any:
        return np.array(x.shape[self.i], "int64")

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for i, x in ((0, numbers(2, 3)), (1, numbers(2, 3)), (0, np.zeros((0, 4)))):
            yield Sample(f"{i}-of-{list(x.shape)}", cls(i), (x,), lambda x, i=i: np.array(x.shape[i], "int64"))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("axis-out-of-range", lambda x: shape_i(x, 2), (numbers(2, 3),), AxisError, "no axis 2")


_INT64 = TensorType("int64", ())


def shape(x: Any) -> TensorVariable:
    """The lengths of x as an int64 vector; a constant where they are all known."""
    x = as_tensor(x)
    if None in x.type.shape:
        return Shape()(x)
    return constant(np.array(x.type.shape, "int64"))


def shape_i(x: Any, i: int) -> TensorVariable:
    """The length of axis i as an int64 scalar; a constant where it is known. Raises AxisError."""
    x = as_tensor(x)
    n = length(x, one_axis("shape_i", i, x.type.ndim, x))
    return constant(np.array(n, "int64")) if isinstance(n, int) else n


def size(x: Any) -> TensorVariable:
    """The number of elements as an int64 scalar; a constant where it is known."""
    x = as_tensor(x)
    found = product([length(x, a) for a in range(x.type.ndim)])
    return constant(np.array(found, "int64")) if isinstance(found, int) else found


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


@declare
class Reshape(Linear):
    """The same elements, in order, in another shape; one length may be -1, which stands for what is left.

    (C1) At most one length is -1, none is less. (C2) The number of elements stays.
    """

    __props__ = ("shape",)
    name = "reshape"
    views = (0,)

    def __init__(self, shape: StaticShape) -> None:
        self.shape = shape

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        target = static("reshape", self.shape, symbolic)
        _refuse_negatives(target, [x])
        found = [None if d == -1 else d for d in target]
        total = _count(x.type.shape)
        if total is not None:
            open_ = [i for i, d in enumerate(found) if d is None]
            rest = math.prod([d for d in found if d is not None])
            if total != rest if not open_ else total if rest == 0 else total % rest:
                raise _cannot_reshape(x.type.shape, target, [x])
            if len(open_) == 1 and rest != 0:
                found[open_[0]] = total // rest
        return (TensorType(x.type.dtype, found),)

    def impl(self, x: Any, *symbolic: Any) -> Any:
        target = filled(self.shape, symbolic)
        if symbolic:
            _refuse_negatives(target, [])
        if -1 in target:
            target = _with_missing(x.shape, target)
        try:
            return x.reshape(target)
        except ValueError:
            raise _cannot_reshape(x.shape, target, []) from None

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return reshape_like(g, x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3, 4)
        for target in ((24,), (4, 6), (-1,), (3, -1), (2, 1, -1, 4), (6, 4, 1)):
            yield Sample(
                str(target).replace(" ", ""),
                lambda x, target=target: reshape(x, target),
                (x,),
                lambda x, target=target: x.reshape(target),
            )
        n = np.array(6)
        yield Sample("symbolic", lambda x, n: reshape(x, (n, 4)), (x, n), lambda x, n: x.reshape(n, 4))
        yield Sample("symbolic-and-rest", lambda x, n: reshape(x, (-1, n)), (x, n), lambda x, n: x.reshape(-1, n))
        yield Sample("symbolic-rest", lambda x, n: reshape(x, (6, n)), (x, np.array(-1)), lambda x, n: x.reshape(6, n))
        yield Sample("vector", lambda x, s: reshape(x, s, ndim=2), (x, np.array([4, 6])), lambda x, s: x.reshape(s))
        yield Sample(
            "small-int", lambda x, n: reshape(x, (n, 4)), (x, np.array(6, "uint8")), lambda x, n: x.reshape(n, 4)
        )
        yield Sample("to-scalar", lambda x: reshape(x, ()), (x[:1, :1, 0],), lambda x: x.reshape(()))
        yield Sample("of-scalar", lambda x: reshape(x, (1, -1)), (np.array(2.5),), lambda x: x.reshape(1, 1))
        yield Sample("empty", lambda x: reshape(x, (3, 0, 2)), (np.zeros((0, 2)),), lambda x: x.reshape(3, 0, 2))
        yield Sample("flatten-empty", lambda x: flatten(x, 2), (np.zeros((0, 3, 4)),), lambda x: x.reshape(0, 12))
        yield Sample("flatten", lambda x: flatten(x, 2), (x,), lambda x: x.reshape(2, 12))
        yield from over_matrices(lambda x: reshape(x, (3, -1)), lambda x: x.reshape(3, -1))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x, n = numbers(2, 3), np.array(4)
        yield BadSample("does-not-divide", lambda x: reshape(x, (4, -1)), (x,), ShapeError, "6 elements")
        yield BadSample("other-count", lambda x: reshape(x, (2, 4)), (x,), ShapeError, "(2, 3) to (2, 4)")
        yield BadSample("other-count-symbolic", lambda x, n: reshape(x, (2, n)), (x, n), ShapeError, "(2, 3) to (2, 4)")
        yield BadSample("two-rests", lambda x: reshape(x, (-1, -1)), (x,), ShapeError, "more than one")
        yield BadSample("negative", lambda x: reshape(x, (-3, 2)), (x,), ShapeError, "negative")
        yield BadSample("negative-symbolic", lambda x, n: reshape(x, (-n, 2)), (x, n), ShapeError, "negative")
        yield BadSample("ambiguous", lambda x: reshape(x, (0, -1)), (x,), ShapeError, "(2, 3) to (0, -1)")
        yield BadSample("float", lambda x: reshape(x, (2.0, 3)), (x,), DTypeError, "2.0")
        yield BadSample("float-symbolic", lambda x: reshape(x, (x[0, 0], 3)), (x,), DTypeError, "float64")
        yield BadSample("not-a-number", lambda x, n: reshape(x, ([n, 3], 3)), (x, n), DTypeError, "list")
        yield BadSample("unknown-rank", lambda x, s: reshape(x, s), (x, np.array([3, 2])), GraphTypeError, "give ndim=")
        yield BadSample("other-rank", lambda x: reshape(x, (3, 2), ndim=1), (x,), GraphTypeError, "ndim=1")
        longer = np.array([3, 2, 1])
        yield BadSample("longer-vector", lambda x, s: reshape(x, s, ndim=2), (x, longer), ShapeError, "length 3, but 2")
        yield BadSample("flatten", lambda x: flatten(x, 3), (x,), AxisError, "3-d")


def _refuse_negatives(target: Sequence[int | None], inputs: Sequence[Any]) -> None:
    if any(d is not None and d < -1 for d in target):
        raise ShapeError(
            f"reshape to {show(target)}: a length is negative",
            help="only -1 has a meaning: what is left",
            inputs=inputs,
        )
    if list(target).count(-1) > 1:
        raise ShapeError(
            f"reshape to {show(target)}: more than one length is -1", help="give all lengths but one", inputs=inputs
        )


def _cannot_reshape(shape: Sequence[int | None], target: Sequence[int | None], inputs: Sequence[Any]) -> ShapeError:
    total, rest = _count(shape), math.prod([d for d in target if d is not None and d >= 0])
    exact = -1 not in target and None not in target
    return ShapeError(
        f"cannot reshape {show(shape)} to {show(target)}",
        why=f"{'' if total is None else f'{total} elements '}do not go into "
        f"{rest if exact else f'a multiple of {rest}' if rest else 'a shape of no elements'}",
        help="the product of the lengths must stay; one of them may be -1",
        inputs=inputs,
    )


def _count(shape: Sequence[int | None]) -> int | None:
    """The number of elements, where known."""
    return 0 if 0 in shape else None if None in shape else math.prod(shape)  # type: ignore[arg-type]


def _with_missing(shape: Sequence[int], target: tuple[int, ...]) -> tuple[int, ...]:
    """`target` with its -1 replaced by what is left of `shape`.

    Where a length is 0 that is ambiguous by division alone, so lengths that both shapes begin or end with are set aside
    first: (0, 3, 4) to (0, -1) is (0, 12).
    """
    at = target.index(-1)
    source, before, after = list(shape), list(target[:at]), list(target[at + 1 :])
    while source and before and source[0] == before[0]:
        del source[0], before[0]
    while source and after and source[-1] == after[-1]:
        del source[-1], after[-1]
    total, rest = math.prod(source), math.prod(before + after)
    if rest == 0 or total % rest:
        raise _cannot_reshape(shape, target, [])
    return (*target[:at], total // rest, *target[at + 1 :])


def reshape(x: Any, newshape: Any, ndim: int | None = None) -> TensorVariable:
    """The same elements, in order, in another shape.

    newshape: an int, a list of ints and integer scalars, or an integer vector. One length may be -1, for what is left.
    ndim: the rank of the result, needed when `newshape` is a vector whose own length is not known.
    Raises ShapeError when the number of elements cannot stay.
    """
    x = as_tensor(x)
    target = lengths("reshape", newshape, ndim)
    if -1 in [d for d in target if d.__class__ is int]:
        target = _with_known_missing(x, target)
    known, symbolic = split_lengths(target)
    if len(target) == x.type.ndim and all(_is_length(d, x, a) for a, d in enumerate(target)):
        return x  # type: ignore[no-any-return]
    return Reshape(known)(x, *symbolic)


def _is_length(d: Any, x: TensorVariable, axis: int) -> bool:
    """Whether a length asked for is that of this axis of x, as far as can be told without running."""
    if isinstance(d, int):
        return d == x.type.shape[axis] or (d == -1 and x.type.ndim == 1)
    return _axis_of_length(d, x) == axis


def _axis_of_length(d: TensorVariable, x: TensorVariable) -> int | None:
    """The axis of x that a symbolic length was read from."""
    node = d.owner
    return node.op.i if node is not None and isinstance(node.op, ShapeI) and node.inputs[0] is x else None


def _with_known_missing(x: TensorVariable, target: list[Any]) -> list[Any]:
    """`target` with a number for its -1 where it can be told: axes of x whose own lengths are in it are set aside."""
    source = list(x.type.shape)
    rest: list[Any] = []
    at = -1
    for i, d in enumerate(target):
        if isinstance(d, int):
            if d == -1 and at < 0:
                at = i
            else:
                rest.append(d)
            continue
        axis = _axis_of_length(d, x)
        if axis is None or source[axis] is not None:
            return target
        source[axis] = 1
    if None in source or any(d < 0 for d in rest):
        return target
    total, others = math.prod(source), math.prod(rest)  # type: ignore[arg-type]  # no None in it
    if others == 0:
        return target
    if total % others:
        raise _cannot_reshape(x.type.shape, [d if d.__class__ is int else None for d in target], [x])
    return [*target[:at], total // others, *target[at + 1 :]]


def reshape_like(g: Any, x: Any) -> TensorVariable:
    """g in the shape of x, which has as many elements."""
    return reshape(g, [length(x, a) for a in range(x.type.ndim)])


def flatten(x: Any, ndim: int = 1, outdim: int | None = None) -> TensorVariable:
    """The axes from the `ndim`th on made into one, so that `ndim` remain (Theano's old name for it is `outdim`).

    Raises AxisError unless 1 <= ndim <= x.ndim (a scalar becomes a vector).
    """
    x = as_tensor(x)
    n = ndim if outdim is None else outdim
    if not isinstance(n, (int, np.integer)) or not 1 <= n <= max(x.type.ndim, 1):
        raise AxisError(
            f"flatten: {x.type} cannot become {n}-d", help=f"ndim goes from 1 to {max(x.type.ndim, 1)}", inputs=[x]
        )
    if n == x.type.ndim:
        return x  # type: ignore[no-any-return]
    return reshape(x, [*[length(x, a) for a in range(n - 1)], -1])


def ravel(x: Any) -> TensorVariable:
    """All elements as a vector."""
    return flatten(x, 1)


@declare
class SpecifyShape(Linear):
    """x, checked to have the lengths in `shape`; where that is None nothing is said, and what was known is forgotten.

    Further inputs are the lengths of the axes in `checked`.
    """

    __props__ = ("shape", "checked")
    name = "specify_shape"
    views = (0,)

    def __init__(self, shape: StaticShape, checked: tuple[int, ...] = ()) -> None:
        self.shape, self.checked = shape, checked

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        if len(self.shape) != x.type.ndim:
            raise GraphTypeError(f"specify_shape: {len(self.shape)} lengths for {x.type}", inputs=[x])
        for axis, (n, d) in enumerate(zip(x.type.shape, self.shape, strict=True)):
            if n is not None and d is not None and n != d:
                raise _other_length(axis, n, d, [x])
        return (TensorType(x.type.dtype, self.shape),)

    def impl(self, x: Any, *symbolic: Any) -> Any:
        for axis, (n, d) in enumerate(zip(x.shape, self.shape, strict=True)):
            if d is not None and n != d:
                raise _other_length(axis, n, d, [])
        for axis, d in zip(self.checked, symbolic, strict=True):
            if x.shape[axis] != d:
                raise _other_length(axis, x.shape[axis], int(d), [])
        return x

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return g

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, n = numbers(2, 3), np.array(2)
        yield Sample("numbers", lambda x: specify_shape(x, (2, 3)), (x,), lambda x: x)
        yield Sample("partly", lambda x: specify_shape(x, (None, 3)), (x,), lambda x: x)
        yield Sample("symbolic", lambda x, n: specify_shape(x, (n, None)), (x, n), lambda x, n: x)
        yield Sample("vector", lambda x, s: specify_shape(x, s), (x, np.array([2, 3])), lambda x, s: x)
        yield Sample("add-broadcast", lambda x: addbroadcast(x, 0), (x[:1],), lambda x: x)
        yield Sample("un-broadcast", lambda x: unbroadcast(x, 0), (x[:1],), lambda x: x)
        yield Sample("scalar", lambda x: specify_shape(x, ()), (np.array(1.5),), lambda x: x)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample(
            "other-length", lambda x: specify_shape(x, (2, 4)), (x,), ShapeError, "axis 1 has length 3, but 4"
        )
        yield BadSample(
            "other-length-symbolic",
            lambda x, n: specify_shape(x, (None, n)),
            (x, np.array(5)),
            ShapeError,
            "axis 1 has length 3, but 5",
        )
        yield BadSample("other-rank", lambda x: specify_shape(x, (2,)), (x,), GraphTypeError, "1 lengths")
        yield BadSample("float", lambda x: specify_shape(x, (2, 3.0)), (x,), DTypeError, "3.0")
        yield BadSample("not-1", lambda x: addbroadcast(x, 1), (x,), ShapeError, "axis 1 has length 3, but 1")


def _other_length(axis: int, n: int, d: int, inputs: Sequence[Any]) -> ShapeError:
    return ShapeError(f"specify_shape: axis {axis} has length {n}, but {d} was specified", inputs=inputs)


def specify_shape(x: Any, shape: Any) -> TensorVariable:
    """x, with its lengths checked when it runs and known to the graph where they are numbers.

    shape: one entry an axis: an int, an integer scalar, or None for nothing to say; or an integer vector.
    Raises ShapeError, when built where the lengths tell, else when run.
    """
    x = as_tensor(x)
    given = lengths("specify_shape", shape, x.type.ndim if isinstance(shape, Variable) else None, unknown=True)
    if len(given) != x.type.ndim:
        raise GraphTypeError(f"specify_shape: {len(given)} lengths for {x.type}", inputs=[x])
    known = tuple([d if isinstance(d, int) else n for d, n in zip(given, x.type.shape, strict=True)])
    checked = tuple([a for a, d in enumerate(given) if isinstance(d, Variable)])
    if known == x.type.shape and not checked:
        return x  # type: ignore[no-any-return]
    return SpecifyShape(known, checked)(x, *[given[a] for a in checked])


def retype(x: Any, type: TensorType) -> TensorVariable:
    """x as a variable of exactly this type: lengths that only x knows are forgotten, those that only the type knows are
    checked when it runs. Raises GraphTypeError where dtype, rank or a known length is another.
    """
    x = as_tensor(x)
    if x.type is type:
        return x  # type: ignore[no-any-return]
    if (
        x.type.dtype != type.dtype
        or x.type.ndim != type.ndim
        or any(n is not None and d is not None and n != d for n, d in zip(x.type.shape, type.shape, strict=True))
    ):
        raise GraphTypeError(f"cannot use a {x.type} where a {type} is needed", inputs=[x])
    if isinstance(x, TensorConstant):
        return type.constant(x.value, x.name)
    return SpecifyShape(type.shape)(x)


def addbroadcast(x: Any, *axes: int) -> TensorVariable:
    """x, with these axes known to have length 1, which is checked when it runs."""
    x = as_tensor(x)
    ones = many_axes("addbroadcast", axes, x.type.ndim, x)
    return specify_shape(x, [1 if a in ones else None for a in range(x.type.ndim)])


def unbroadcast(x: Any, *axes: int) -> TensorVariable:
    """x, with these axes no longer known to have length 1."""
    x = as_tensor(x)
    some = many_axes("unbroadcast", axes, x.type.ndim, x)
    return retype(
        x, TensorType(x.type.dtype, [None if a in some and n == 1 else n for a, n in enumerate(x.type.shape)])
    )


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> TensorVariable:
    """x, with exactly the axes marked True known to have length 1: checked where new, forgotten where not."""
    x = as_tensor(x)
    if len(broadcastable) != x.type.ndim:
        raise GraphTypeError(f"patternbroadcast: {len(broadcastable)} flags for {x.type}", inputs=[x])
    shape = [1 if one else None if n == 1 else n for one, n in zip(broadcastable, x.type.shape, strict=True)]
    return retype(x, TensorType(x.type.dtype, shape))


# Broadcasting


@declare
class BroadcastTo(Linear):
    """x, repeated without copying along axes where its length is 1, and along new axes on the left."""

    __props__ = ("shape",)
    name = "broadcast_to"
    views: tuple[int, ...] = (0,)

    def __init__(self, shape: StaticShape) -> None:
        self.shape = shape

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        target = static(self.name, self.shape, symbolic)
        source = x.type.shape
        if any(d is not None and d < 0 for d in target):
            raise ShapeError(f"{self.name}: a length is negative in {show(target)}")
        if len(source) > len(target):
            raise self._cannot(source, target, [x])
        for i, n in enumerate(source, len(target) - len(source)):
            if n is not None and n != 1:
                if target[i] is None:
                    target[i] = n
                elif target[i] != n:
                    raise self._cannot(source, target, [x])
        return (TensorType(x.type.dtype, target),)

    def impl(self, x: Any, *symbolic: Any) -> Any:
        target = filled(self.shape, symbolic)
        try:
            return np.broadcast_to(x, target)
        except ValueError:
            raise self._cannot(np.shape(x), target, []) from None

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        found = self.infer(x, *rest)[0].shape
        return g if found == x.type.shape and None not in found else SUM_TO(g, x)

    def _cannot(self, source: Sequence[int | None], target: Sequence[int | None], inputs: Sequence[Any]) -> ShapeError:
        if any(d is not None and d < 0 for d in target):
            return ShapeError(f"{self.name}: a length is negative in {show(target)}", inputs=inputs)
        return ShapeError(
            f"{self.name} cannot broadcast {show(source)} to {show(target)}",
            why="from the right, each length must be the same or 1",
            inputs=inputs,
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from broadcast_samples(broadcast_to)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield from broadcast_bad_samples(broadcast_to)


def broadcast_samples(build: Callable[[Any, Any], Any]) -> Iterator[Sample]:
    """Samples of `build(x, shape)`, which broadcasts x."""
    for source, target in (
        ((), (2, 3)),
        ((3,), (2, 3)),
        ((1, 3), (4, 2, 3)),
        ((2, 1), (2, 3)),
        ((2, 3), (2, 3)),
        ((1,), (0,)),
        ((), ()),
    ):
        yield Sample(
            f"{list(source)}-{list(target)}".replace(" ", ""),
            lambda x, target=target: build(x, target),
            (numbers(*source),),
            lambda x, target=target: np.broadcast_to(x, target).copy(),
        )
    x, n = numbers(3), np.array(2)
    yield Sample("symbolic", lambda x, n: build(x, (n, 3)), (x, n), lambda x, n: np.broadcast_to(x, (2, 3)))
    yield Sample("symbolic-1", lambda x, n: build(x, (n, n)), (x[:1], n), lambda x, n: np.broadcast_to(x, (2, 2)))
    yield Sample(
        "vector",
        lambda x, s: build(x, specify_shape(s, (2,))),
        (x, np.array([2, 3])),
        lambda x, s: np.broadcast_to(x, (2, 3)),
    )
    yield from over_matrices(lambda x: build(x, (2, 2, 3)), lambda x: np.broadcast_to(x, (2, 2, 3)))


def broadcast_bad_samples(build: Callable[[Any, Any], Any]) -> Iterator[BadSample]:
    """Uses of `build(x, shape)` that must be refused."""
    x = numbers(2, 3)
    yield BadSample("other-length", lambda x: build(x, (2, 4)), (x,), ShapeError, "(2, 3) to (2, 4)")
    yield BadSample("to-1", lambda x: build(x, (2, 1)), (x,), ShapeError, "(2, 3) to (2, 1)")
    yield BadSample("fewer-axes", lambda x: build(x, (3,)), (x,), ShapeError, "to (3,)")
    yield BadSample("negative", lambda x: build(x, (2, -3)), (x,), ShapeError, "negative")
    yield BadSample("negative-symbolic", lambda x, n: build(x, (n, 3)), (x[0], np.array(-2)), ShapeError, "negative")
    yield BadSample("float", lambda x: build(x, (2, 3.0)), (x,), DTypeError, "3.0")


def broadcast_to(x: Any, shape: Any) -> TensorVariable:
    """x broadcast to `shape`: an int, a list of ints and integer scalars, or an integer vector of known length.

    Raises ShapeError unless each length of x, from the right, is the one asked for or 1.
    """
    x = as_tensor(x)
    known, symbolic = split_lengths(lengths("broadcast_to", shape))
    if known == x.type.shape and not symbolic:
        return x  # type: ignore[no-any-return]
    return BroadcastTo(known)(x, *symbolic)


def broadcast_shape(*arrays: Any) -> tuple[Length, ...]:
    """The lengths that arrays have when broadcast together: numbers where known, else integer scalars.

    Raises ShapeError where known lengths contradict. See also `broadcast_shapes`, for shapes instead of arrays.
    """
    tensors = [as_tensor(x) for x in arrays]
    return broadcast_shapes(*[[length(x, a) for a in range(x.type.ndim)] for x in tensors])


def broadcast_shapes(*shapes: Any) -> tuple[Length, ...]:
    """The lengths of a broadcast of arrays of these shapes: numbers where known, else integer scalars.

    Raises ShapeError where known lengths contradict; unknown ones are trusted to agree.
    """
    given = [lengths("broadcast_shapes", s) for s in shapes]
    ndim = max(map(len, given), default=0)
    return tuple([_broadcast_length([s[axis] for s in given if -axis <= len(s)]) for axis in range(-ndim, 0)])


def _broadcast_length(found: Sequence[Any]) -> Length:
    known = {d for d in found if isinstance(d, int)} - {1}
    if len(known) > 1:
        raise ShapeError(f"cannot broadcast lengths {' and '.join(map(str, sorted(known)))} together")
    if known:
        return int(known.pop())
    symbolic = list(dict.fromkeys(d for d in found if not isinstance(d, int)))
    if not symbolic:
        return 1
    from refgraph.ops.elementwise import eq, switch

    total = symbolic[-1]
    for d in reversed(symbolic[:-1]):
        total = switch(eq(d, 1), total, d)
    return total  # type: ignore[no-any-return]


def broadcast_arrays(*args: Any) -> list[TensorVariable]:
    """The tensors broadcast to the shape they have together. Raises ShapeError where known lengths contradict."""
    tensors = [as_tensor(x) for x in args]
    target = broadcast_shape(*tensors)
    return [broadcast_to(x, target) for x in tensors]


# Joining and splitting


@declare
class Join(TensorOp):
    """Tensors one after another along an axis that they have; in all other axes they agree. The dtype is NumPy's."""

    __props__ = ("axis",)
    name = "join"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer(self, *tensors: TensorVariable) -> tuple[TensorType]:
        first = tensors[0].type
        one_axis("join", self.axis, first.ndim, tensors[0])
        found = list(first.shape)
        total: int | None = 0
        for x in tensors:
            if x.type.ndim != first.ndim:
                raise GraphTypeError(
                    f"join: {first} and {x.type} differ in rank",
                    help="to put them along a new axis use stack",
                    inputs=tensors,
                )
            n = x.type.shape[self.axis]
            total = None if n is None or total is None else total + n
            _agree("join", found, x.type.shape, self.axis, tensors)
        found[self.axis] = total
        return (TensorType(_common_dtype(tensors), found),)

    def impl(self, *arrays: Any) -> Any:
        try:
            return np.concatenate(arrays, self.axis)
        except ValueError:
            _agree_at_run("join", arrays, self.axis)
            raise

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if not isinstance(g, Variable):
            return (g,) * len(node.inputs)
        parts: list[Any] = []

        def part(i: int) -> Any:
            if not parts:
                parts.extend(_split(g, [length(x, self.axis) for x in node.inputs], self.axis))
            return same_kind(parts[i], node.inputs[i])

        return tuple([partial(part, i) for i in range(len(node.inputs))])

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return (_joined_tangents(self, node, tangents),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, y = numbers(2, 3), numbers(4, 3)[::-1]
        yield Sample("two", lambda x, y: join(0, x, y), (x, y), lambda x, y: np.concatenate([x, y]))
        yield Sample("one", lambda x: join(0, x), (x,), lambda x: x)
        yield Sample("negative-axis", lambda x, y: join(-1, x, y), (x, y[:2]), lambda x, y: np.hstack([x, y]))
        yield Sample("same-twice", lambda x: join(1, x, x, x), (x,), lambda x: np.hstack([x, x, x]))
        yield Sample("empty", lambda x, y: join(0, x, y), (x[:0], y), lambda x, y: np.concatenate([x, y]))
        yield Sample("lists", lambda x: concatenate([[1, 2], x]), (x[0],), lambda x: np.concatenate([[1, 2], x]))
        yield Sample(
            "vectors", lambda x, y: concatenate([x, y], axis=0), (x[0], y[:, 0]), lambda x, y: np.concatenate([x, y])
        )
        yield Sample(
            "flattened", lambda x, y: concatenate([x, y], axis=None), (x, y), lambda x, y: np.concatenate([x, y], None)
        )
        for a, b in (("int8", "float32"), ("float32", "float64"), ("float64", "complex128"), ("bool", "uint8")):
            yield Sample(
                f"{a}-{b}",
                lambda x, y: join(1, x, y),
                (numbers(2, 3, dtype=a), numbers(2, 1, dtype=b)),
                lambda x, y: np.hstack([x, y]),
            )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x, y = numbers(2, 3), numbers(2, 4)
        yield BadSample("other-length", lambda x, y: join(0, x, y), (x, y), ShapeError, "axis 1 has lengths 3 and 4")
        yield BadSample("no-broadcast", lambda x: join(0, x, x[:, :1]), (x,), ShapeError, "axis 1")
        yield BadSample("other-rank", lambda x: join(0, x, x[0]), (x,), GraphTypeError, "differ in rank")
        yield BadSample("axis-out-of-range", lambda x: join(2, x, x), (x,), AxisError, "no axis 2")
        yield BadSample("scalars", lambda x: join(0, x[0, 0], x[0, 0]), (x,), AxisError, "0-d")
        yield BadSample("nothing", lambda x: concatenate([]), (x,), GraphTypeError, "nothing to join")
        yield BadSample("no-list", lambda x: concatenate(x), (x,), GraphTypeError, "list")
        yield BadSample("symbolic-axis", lambda x, n: join(n, x, x), (x, np.array(0)), NotScalarConstantError, "axis")


@declare
class Stack(TensorOp):
    """Tensors of one shape along a new axis."""

    __props__ = ("axis",)
    name = "stack"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer(self, *tensors: TensorVariable) -> tuple[TensorType]:
        first = tensors[0].type
        one_axis("stack", self.axis, first.ndim + 1)
        found = list(first.shape)
        for x in tensors:
            if x.type is first:
                continue
            if x.type.ndim != first.ndim:
                raise GraphTypeError(f"stack: {first} and {x.type} differ in rank", inputs=tensors)
            _agree("stack", found, x.type.shape, None, tensors)
        found.insert(self.axis, len(tensors))
        return (TensorType(_common_dtype(tensors), found),)

    def impl(self, *arrays: Any) -> Any:
        try:
            return np.stack(arrays, self.axis)
        except ValueError:
            _agree_at_run("stack", arrays, None)
            raise

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if not isinstance(g, Variable):
            return (g,) * len(node.inputs)
        return tuple([partial(self._part, g, i, x) for i, x in enumerate(node.inputs)])

    def _part(self, g: Any, i: int, x: Any) -> Any:
        return same_kind(g[(*(slice(None),) * self.axis, i)], x)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return (_joined_tangents(self, node, tangents),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, y = numbers(2, 3), numbers(2, 3)[::-1] * 2
        for axis in (0, 1, 2, -1, -3):
            yield Sample(
                f"axis{axis}",
                lambda x, y, axis=axis: stack([x, y], axis=axis),
                (x, y),
                lambda x, y, axis=axis: np.stack([x, y], axis),
            )
        yield Sample("old-call", lambda x, y: stack(x, y, x), (x, y), lambda x, y: np.stack([x, y, x]))
        yield Sample("one", lambda x: stack([x]), (x,), lambda x: x[None])
        yield Sample(
            "scalars", lambda x, y: stack([x, y]), (np.array(1.5), np.array(2.5)), lambda x, y: np.array([x, y])
        )
        yield Sample("empty", lambda x: stack([x, x], axis=1), (x[:0],), lambda x: np.stack([x, x], 1))
        yield Sample(
            "nested", lambda x: stack_nested([[x, 1], (2, x)]), (np.array(1.5),), lambda x: np.array([[x, 1], [2, x]])
        )
        yield Sample(
            "lists", lambda x, y: stacklists([[x, y], [y, x]]), (x, y), lambda x, y: np.array([[x, y], [y, x]])
        )
        for a, b in (("int8", "float32"), ("float32", "float64"), ("float64", "complex128")):
            yield Sample(
                f"{a}-{b}",
                lambda x, y: stack([x, y], axis=1),
                (numbers(2, 3, dtype=a), numbers(2, 3, dtype=b)),
                lambda x, y: np.stack([x, y], 1),
            )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("other-length", lambda x: stack([x, x[:, :2]]), (x,), ShapeError, "axis 1")
        yield BadSample("other-rank", lambda x: stack([x, x[0]]), (x,), GraphTypeError, "differ in rank")
        yield BadSample("axis-out-of-range", lambda x: stack([x, x], axis=3), (x,), AxisError, "no axis 3")
        yield BadSample("nothing", lambda x: stack([]), (x,), GraphTypeError, "nothing to stack")


def _agree(op: str, found: list[int | None], shape: StaticShape, free: int | None, tensors: Sequence[Any]) -> None:
    """Fill in `found` what `shape` knows; raise ShapeError where they contradict, but for the axis `free`."""
    for axis, n in enumerate(shape):
        if axis != free and n is not None and n != found[axis]:
            if found[axis] is not None:
                raise ShapeError(
                    f"{op} cannot put together {', '.join(str(x.type) for x in tensors)}",
                    why=f"axis {axis} has lengths {found[axis]} and {n}",
                    help="the lengths must be equal in every axis" + ("" if free is None else f" but axis {free}"),
                    inputs=tensors,
                )
            found[axis] = n


def _agree_at_run(op: str, arrays: Sequence[Any], free: int | None) -> None:
    """Raise ShapeError where shapes do not agree, but for the axis `free`."""
    for x in arrays:
        for axis, (n, d) in enumerate(zip(x.shape, arrays[0].shape, strict=True)):
            if axis != free and n != d:
                raise ShapeError(
                    f"{op} cannot put together shapes {', '.join(str(x.shape) for x in arrays)}",
                    why=f"axis {axis} has lengths {d} and {n}",
                )


def _common_dtype(tensors: Sequence[TensorVariable]) -> str:
    first = tensors[0].type.dtype
    if all(x.type.dtype == first for x in tensors):
        return first
    return np.result_type(*[x.type.numpy_dtype for x in tensors]).name


def _joined_tangents(op: Op, node: Apply, tangents: Derivatives) -> Any:
    """`op` of the tangents, with zeros where there is none; it is linear in all its inputs together."""
    if not any(isinstance(t, Variable) for t in tangents):
        return None if all(t is None for t in tangents) else 0
    out = node.outputs[0]
    moved = [t if isinstance(t, Variable) else _zeros_like(x) for t, x in zip(tangents, node.inputs, strict=True)]
    return same_kind(op(*moved), out)


def _zeros_like(x: Any) -> Any:
    from refgraph.ops.construct import zeros_like

    return zeros_like(x)


@declare
class Split(Op):
    """The parts of x along an axis, of the lengths in `sizes`, which add up to that of x. Each part is an output."""

    __props__ = ("axis", "sizes")
    name = "split"
    views = (0,)

    def __init__(self, axis: int, sizes: StaticShape) -> None:
        self.axis, self.sizes = axis, sizes

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType, ...]:
        one_axis("split", self.axis, x.type.ndim, x)
        sizes = static("split", self.sizes, symbolic)
        n = x.type.shape[self.axis]
        _refuse_sizes(sizes, n, [x])
        if n is not None and sizes.count(None) == 1:
            sizes[sizes.index(None)] = n - sum([d for d in sizes if d is not None])
        shape = list(x.type.shape)
        return tuple([TensorType(x.type.dtype, [*shape[: self.axis], d, *shape[self.axis + 1 :]]) for d in sizes])

    def impl(self, x: Any, *symbolic: Any) -> Any:
        sizes = filled(self.sizes, symbolic)
        _refuse_sizes(sizes, x.shape[self.axis], [])
        parts, start, before = [], 0, (slice(None),) * self.axis
        for d in sizes:
            parts.append(x[(*before, slice(start, start + d))])
            start += d
        return tuple(parts) if len(parts) != 1 else parts[0]

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        rest = (None,) * (len(node.inputs) - 1)
        if not any(isinstance(g, Variable) for g in cotangents):
            return None if all(g is None for g in cotangents) else 0, *rest
        return lambda: self._joined(node, cotangents), *rest

    def _joined(self, node: Apply, cotangents: Derivatives) -> Any:
        parts = [
            g if isinstance(g, Variable) else _zeros_like(out) for g, out in zip(cotangents, node.outputs, strict=True)
        ]
        return Join(self.axis)(*parts)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        t = tangents[0]
        return self.make_node(t, *node.inputs[1:]).outputs if isinstance(t, Variable) else (t,) * len(node.outputs)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(5, 3)
        yield Sample("three", lambda x: split(x, [2, 0, 3]), (x,), lambda x: np.split(x, [2, 2]))
        yield Sample("second-only", lambda x: split(x, [2, 3])[1], (x,), lambda x: x[2:])
        yield Sample("one", lambda x: split(x, [5])[0], (x,), lambda x: x)
        yield Sample("last-axis", lambda x: split(x, [1, 2], axis=-1), (x[::-2],), lambda x: np.split(x, [1], -1))
        yield Sample("vector", lambda x, s: split(x, s, 2), (x, np.array([1, 4])), lambda x, s: np.split(x, [1]))
        yield Sample("symbolic", lambda x, n: split(x, [n, 5 - n]), (x, np.array(2)), lambda x, n: np.split(x, [2]))
        yield Sample("empty", lambda x: split(x, [0, 0]), (x[:0],), lambda x: [x, x])
        yield Sample(
            "complex",
            lambda x: split(x, [2, 1], 2, 1),
            (numbers(2, 3, dtype="complex128"),),
            lambda x: np.split(x, [2], 1),
        )
        yield Sample("integers", lambda x: split(x, [2, 1]), (numbers(3, dtype="int8"),), lambda x: np.split(x, [2]))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(5, 3)
        yield BadSample("too-much", lambda x: split(x, [2, 4]), (x,), ShapeError, "do not add up to the length 5")
        yield BadSample("too-little", lambda x: split(x, [2, 1]), (x,), ShapeError, "do not add up to the length 5")
        yield BadSample("negative", lambda x: split(x, [6, -1]), (x,), ShapeError, "negative")
        yield BadSample("other-count", lambda x: split(x, [2, 3], 3), (x,), GraphTypeError, "n_splits=3")
        yield BadSample("axis-out-of-range", lambda x: split(x, [2, 3], axis=2), (x,), AxisError, "no axis 2")


def _refuse_sizes(sizes: Sequence[int | None], n: int | None, inputs: Sequence[Any]) -> None:
    known = [d for d in sizes if d is not None]
    if any(d < 0 for d in known):
        raise ShapeError(f"split: a size is negative in {show(sizes)}", inputs=inputs)
    if n is not None and (sum(known) > n or (sum(known) < n and None not in sizes)):
        raise ShapeError(f"split: sizes {show(sizes)} do not add up to the length {n}", inputs=inputs)


def _split(x: Any, sizes: Sequence[Length], axis: int) -> list[Any]:
    if len(sizes) == 1:
        return [x]
    known, symbolic = split_lengths(sizes)
    return list(Split(axis, known).make_node(x, *symbolic).outputs)


def join(axis: Any, *tensors: Any) -> TensorVariable:
    """Tensors one after another along `axis`. Their dtypes promote as NumPy's.

    Raises AxisError, GraphTypeError when ranks differ, ShapeError when lengths in other axes do.
    """
    if not tensors:
        raise GraphTypeError("join: nothing to join")
    parts = [as_tensor(t) for t in tensors]
    if parts[0].type.ndim == 0:
        raise AxisError("join: a 0-d array has no axis to join along", help="use stack", inputs=parts)
    op = Join(one_axis("join", axis, parts[0].type.ndim, parts[0]))
    return parts[0] if len(parts) == 1 else op(*parts)


def concatenate(tensor_list: Any, axis: Any = 0) -> TensorVariable:
    """A list of tensors one after another along `axis`; None flattens them first, as in NumPy. See `join`."""
    tensors = _listed("concatenate", tensor_list)
    return join(0, *[ravel(t) for t in tensors]) if axis is None else join(axis, *tensors)


def _listed(op: str, tensors: Any) -> list[Any]:
    if isinstance(tensors, (list, tuple)):
        return list(tensors)
    if isinstance(tensors, np.ndarray) or (
        isinstance(tensors, TensorVariable) and tensors.type.shape[:1] not in ((), (None,))
    ):
        return list(tensors)
    raise GraphTypeError(f"{op} takes a list of tensors, got {tensors!r}", help="write [a, b]", inputs=[])


def stack(*tensors: Any, axis: Any = None, **old: Any) -> TensorVariable:
    """A list of tensors of one shape along a new axis: `stack([a, b], axis=0)`. Theano's old call is `stack(a, b)`.

    Raises AxisError, GraphTypeError when ranks differ, ShapeError when lengths do.
    """
    if old:
        tensors = (old.pop("tensors", None), *tensors)
        if old:
            raise TypeError(f"stack() got an unexpected keyword argument {next(iter(old))!r}")
    if tensors and isinstance(tensors[0], (list, tuple)) and len(tensors) <= 2:
        if len(tensors) == 2:
            if axis is not None:
                raise TypeError("stack() got axis twice")
            axis = tensors[1]
        listed = list(tensors[0])
    elif len(tensors) == 1:
        listed = _listed("stack", tensors[0])
    else:
        listed = list(tensors)
    if not listed:
        raise GraphTypeError("stack: nothing to stack")
    parts = operands("stack", listed)
    return Stack(one_axis("stack", 0 if axis is None else axis, parts[0].type.ndim + 1))(*parts)


def stack_nested(nest: Any) -> TensorVariable:
    """A nest of lists and tuples, with variables in it, as one tensor: what NumPy would make of the values.

    Python numbers in it take the dtype of the arrays beside them where they fit.
    """
    leaves = list(_leaves(nest))
    dtypes = [x.type.numpy_dtype for x in leaves if isinstance(x, TensorVariable)]
    numbers = [x for x in leaves if not isinstance(x, Variable)]
    weak = [x if type(x) in (bool, int, float, complex) else np.asarray(x) for x in numbers]
    dtype = np.result_type(*dtypes, *weak).name if dtypes else None
    return _stacked(nest, dtype)


def _leaves(nest: Any) -> Iterator[Any]:
    for item in nest:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _stacked(nest: Any, dtype: str | None) -> TensorVariable:
    if isinstance(nest, (list, tuple)):
        if not has_variables(nest):
            return constant(nest, dtype=dtype)
        return Stack(0)(*[_stacked(item, dtype) for item in nest])
    return nest if isinstance(nest, TensorVariable) else as_tensor(nest, dtype=dtype)


def stacklists(arg: Any) -> TensorVariable:
    """Nested lists of tensors as one tensor, with an axis for each level: `stacklists([[a, b], [c, d]])`."""
    if isinstance(arg, (list, tuple)):
        return stack([stacklists(item) for item in arg])
    return as_tensor(arg)


def horizontal_stack(*args: Any) -> TensorVariable:
    """Matrices side by side. Raises GraphTypeError for what is no matrix."""
    return join(1, *_matrices("horizontal_stack", args))


def vertical_stack(*args: Any) -> TensorVariable:
    """Matrices below one another. Raises GraphTypeError for what is no matrix."""
    return join(0, *_matrices("vertical_stack", args))


def _matrices(op: str, args: Sequence[Any]) -> list[TensorVariable]:
    parts = [as_tensor(x) for x in args]
    for x in parts:
        if x.type.ndim != 2:
            raise GraphTypeError(f"{op} takes matrices, got {x.type}", inputs=parts)
    return parts


def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: Any = 0) -> list[TensorVariable]:
    """The parts of x along `axis`, of lengths `splits_size`, a list or an integer vector (of `n_splits` elements).

    Raises ShapeError unless the sizes add up to the length of x.
    """
    x = as_tensor(x)
    vector = isinstance(splits_size, TensorVariable) and splits_size.type.ndim == 1
    sizes = lengths("split", splits_size, n_splits if vector else None)
    if n_splits is not None and len(sizes) != n_splits:
        raise GraphTypeError(f"split: n_splits={n_splits}, but {len(sizes)} sizes were given", inputs=[x])
    known, symbolic = split_lengths(sizes)
    op = Split(one_axis("split", axis, x.type.ndim, x), known)
    return list(op.make_node(x, *symbolic).outputs)  # type: ignore[arg-type]  # tensors


# Repeating and moving elements


@declare
class Tile(Linear):
    """x as a brick, laid `reps` times along each axis; one length an axis, None for those that are inputs."""

    __props__ = ("reps",)
    name = "tile"

    def __init__(self, reps: StaticShape) -> None:
        self.reps = reps

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        reps = static("tile", self.reps, symbolic)
        if len(reps) != x.type.ndim:
            raise GraphTypeError(f"tile: {len(reps)} repetitions for {x.type}", inputs=[x])
        _refuse_negative_reps("tile", reps)
        return (TensorType(x.type.dtype, [_times(n, r) for n, r in zip(x.type.shape, reps, strict=True)]),)

    def impl(self, x: Any, *symbolic: Any) -> Any:
        reps = filled(self.reps, symbolic)
        _refuse_negative_reps("tile", reps)
        return np.tile(x, reps)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        symbolic = iter(rest)
        reps = [next(symbolic) if r is None else r for r in self.reps]
        bricks: list[Length] = []
        summed = []
        for axis, r in enumerate(reps):
            if r.__class__ is not int or r != 1:
                summed.append(len(bricks))
                bricks.append(r)
            bricks.append(length(x, axis))
        return reshape(g, bricks).sum(axis=tuple(summed)) if summed else g

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3)
        for reps in (2, (1,), (2, 3), (2, 1, 3), (0, 2), (1, 1)):
            yield Sample(
                str(reps).replace(" ", ""),
                lambda x, reps=reps: tile(x, reps),
                (x,),
                lambda x, reps=reps: np.tile(x, reps),
            )
        yield Sample("symbolic", lambda x, n: tile(x, (n, 1)), (x, np.array(2)), lambda x, n: np.tile(x, (n, 1)))
        yield Sample("vector", lambda x, r: tile(x, r, ndim=2), (x, np.array([2, 3])), np.tile)
        yield Sample("rank", lambda x: tile(x, 2, ndim=3), (x,), lambda x: np.tile(x, (1, 1, 2)))
        yield Sample("scalar", lambda x: tile(x, 3), (np.array(1.5),), lambda x: np.tile(x, 3))
        yield Sample("empty", lambda x: tile(x, (2, 2)), (x[:0],), lambda x: np.tile(x, (2, 2)))
        yield from over_matrices(lambda x: tile(x, (2, 2)), lambda x: np.tile(x, (2, 2)))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("negative", lambda x: tile(x, (2, -1)), (x,), ShapeError, "negative")
        yield BadSample("negative-symbolic", lambda x, n: tile(x, (n, 2)), (x, np.array(-1)), ShapeError, "negative")
        yield BadSample("float", lambda x: tile(x, 1.5), (x,), DTypeError, "1.5")
        yield BadSample("unknown-rank", lambda x, r: tile(x, r), (x, np.array([2, 2])), GraphTypeError, "must be known")


def _times(n: int | None, r: int | None) -> int | None:
    return 0 if n == 0 or r == 0 else None if n is None or r is None else n * r


def _refuse_negative_reps(op: str, reps: Sequence[int | None]) -> None:
    if any(r is not None and r < 0 for r in reps):
        raise ShapeError(f"{op}: negative repetitions: {show(reps)}")


def tile(x: Any, reps: Any, ndim: int | None = None) -> TensorVariable:
    """x laid `reps` times along each axis, as in NumPy; the shorter of x.shape and reps is filled with 1 on the left.

    reps: an int, a list of ints and integer scalars, or an integer vector (of `ndim` elements, where its length is not
    known). ndim: the least rank of the result.
    """
    x = as_tensor(x)
    vector = isinstance(reps, TensorVariable) and reps.type.ndim == 1
    given = lengths("tile", reps, ndim if vector else None)
    rank = max(x.type.ndim, len(given), ndim or 0)
    full = [1] * (rank - len(given)) + given
    known, symbolic = split_lengths(full)
    x = shape_padleft(x, rank - x.type.ndim)
    if all(r == 1 for r in known):
        return x  # type: ignore[no-any-return]
    return Tile(known)(x, *symbolic)


@declare
class Repeat(Linear):
    """Each element along an axis repeated: as often as a number says, or as a vector of numbers says for each."""

    __props__ = ("axis",)
    name = "repeat"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer(self, x: TensorVariable, repeats: TensorVariable) -> tuple[TensorType]:
        one_axis("repeat", self.axis, x.type.ndim, x)
        if repeats.type.dtype not in INTEGERS or repeats.type.ndim > 1:
            raise DTypeError(
                f"repeat: `repeats` is an integer or a vector of them, got {repeats.type}", inputs=[x, repeats]
            )
        n = x.type.shape[self.axis]
        m = repeats.type.shape[0] if repeats.type.ndim else 1
        if m not in (None, 1) and n is not None and m != n:
            raise _other_repeats(n, m, [x, repeats])
        found = None
        if isinstance(repeats, TensorConstant):
            if (repeats.value < 0).any():
                raise ShapeError("repeat: `repeats` is negative", inputs=[x, repeats])
            found = _times(n, int(repeats.value.reshape(-1)[0])) if m == 1 else int(repeats.value.sum())
        shape = list(x.type.shape)
        shape[self.axis] = found
        return (TensorType(x.type.dtype, shape),)

    def impl(self, x: Any, repeats: Any) -> Any:
        counts = np.asarray(repeats, "int64")
        if counts.size and counts.min() < 0:
            raise ShapeError("repeat: `repeats` is negative")
        if counts.size not in (1, x.shape[self.axis]):
            raise _other_repeats(x.shape[self.axis], counts.size, [])
        return np.repeat(x, counts, self.axis)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        (repeats,) = rest
        n = length(x, self.axis)
        if repeats.type.ndim == 0:
            each = int(repeats.value) if isinstance(repeats, TensorConstant) else repeats
            shape: list[Length] = [length(x, a) for a in range(x.type.ndim)]
            shape.insert(self.axis + 1, each)
            return reshape(g, shape).sum(axis=self.axis + 1)
        from refgraph.ops.construct import arange
        from refgraph.ops.indexing import inc_subtensor

        sources = Repeat(0)(arange(n), repeats)
        return inc_subtensor(_zeros_like(x)[(*(slice(None),) * self.axis, sources)], g)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3)
        for axis in (None, 0, 1, -1):
            yield Sample(
                f"axis-{axis}",
                lambda x, axis=axis: repeat(x, 2, axis),
                (x,),
                lambda x, axis=axis: np.repeat(x, 2, axis),
            )
        counts = np.array([2, 0, 3])
        yield Sample("each", lambda x: repeat(x, counts, 1), (x,), lambda x: np.repeat(x, counts, 1))
        yield Sample("each-symbolic", lambda x, r: repeat(x, r, axis=-1), (x, counts), lambda x, r: np.repeat(x, r, 1))
        yield Sample(
            "each-the-same", lambda x, r: repeat(x, r, axis=0), (x, counts[:1]), lambda x, r: np.repeat(x, r, 0)
        )
        yield Sample("symbolic", lambda x, r: repeat(x, r, axis=1), (x, counts[2]), lambda x, r: np.repeat(x, r, 1))
        yield Sample("unsigned", lambda x, r: repeat(x, r), (x, np.array(2, "uint64")), lambda x, r: np.repeat(x, 2))
        yield Sample("never", lambda x: repeat(x, 0, axis=0), (x,), lambda x: np.repeat(x, 0, 0))
        yield Sample("scalar", lambda x: repeat(x, 3), (np.array(1.5),), lambda x: np.repeat(x, 3))
        yield from over_matrices(lambda x: repeat(x, 2, axis=0), lambda x: np.repeat(x, 2, 0))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("negative", lambda x: repeat(x, -1), (x,), ShapeError, "negative")
        yield BadSample(
            "negative-symbolic", lambda x, r: repeat(x, r, 0), (x, np.array([1, -1])), ShapeError, "negative"
        )
        yield BadSample("other-length", lambda x, r: repeat(x, r, 0), (x, np.array([1, 2, 3])), ShapeError, "3 entries")
        yield BadSample("float", lambda x: repeat(x, 1.5, 0), (x,), DTypeError, "integer")
        yield BadSample("axis-out-of-range", lambda x: repeat(x, 2, 2), (x,), AxisError, "no axis 2")


def _other_repeats(n: int, m: int, inputs: Sequence[Any]) -> ShapeError:
    return ShapeError(
        f"repeat: {m} entries in `repeats` for an axis of length {n}", help="give one, or one for each", inputs=inputs
    )


def repeat(x: Any, repeats: Any, axis: Any = None) -> TensorVariable:
    """Each element repeated along `axis`, or of all elements in order where it is None.

    repeats: an integer, or a vector with one for each element along the axis; both may be symbolic.
    Raises DTypeError for what is no integer, ShapeError for negative numbers and for a vector of another length.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    return Repeat(one_axis("repeat", axis, x.type.ndim, x))(x, as_tensor(repeats))


@declare
class Roll(Linear):
    """Elements moved along axes, by as many places as further inputs say; what leaves at an end enters at the other."""

    __props__ = ("axes",)
    name = "roll"

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def infer(self, x: TensorVariable, *shifts: TensorVariable) -> tuple[TensorType]:
        for s in shifts:
            if s.type.dtype not in INTEGERS or s.type.ndim != 0:
                raise DTypeError(f"roll: a shift is an integer scalar, got {s} ({s.type})", inputs=[x, s])
        return (x.type,)

    def impl(self, x: Any, *shifts: Any) -> Any:
        return np.roll(x, tuple([int(s) for s in shifts]), self.axes)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return self(
            g, *[constant(-int(s.value)) if isinstance(s, TensorConstant) else -s.astype("int64") for s in rest]
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3, 4)
        for shift, axis in ((1, 0), (-1, 1), (7, -1), (2, None), ((1, 2), (0, 2)), (1, (0, 1)), ((1, 1), (2, 2))):
            yield Sample(
                f"{shift}-{axis}".replace(" ", ""),
                lambda x, shift=shift, axis=axis: roll(x, shift, axis),
                (x,),
                lambda x, shift=shift, axis=axis: np.roll(x, shift, axis),
            )
        yield Sample("symbolic", lambda x, s: roll(x, s, 1), (x, np.array(2)), lambda x, s: np.roll(x, s, 1))
        yield Sample("unsigned", lambda x, s: roll(x, s, 1), (x, np.array(2, "uint8")), lambda x, s: np.roll(x, 2, 1))
        yield Sample("empty", lambda x: roll(x, 1, 0), (x[:0],), lambda x: x)
        yield from over_matrices(lambda x: roll(x, 1, 1), lambda x: np.roll(x, 1, 1))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("float", lambda x: roll(x, 0.5, 0), (x,), DTypeError, "integer")
        yield BadSample("axis-out-of-range", lambda x: roll(x, 1, 2), (x,), AxisError, "no axis 2")
        yield BadSample("other-count", lambda x: roll(x, (1, 2, 3), (0, 1)), (x,), AxisError, "3 shifts")


def roll(x: Any, shift: Any, axis: Any = None) -> TensorVariable:
    """Elements moved by `shift` places along `axis` (int or tuple), or in the flattened order where it is None.

    shift: an integer, or one for each axis; may be symbolic. Raises DTypeError for what is no integer.
    """
    x = as_tensor(x)
    if axis is None:
        return reshape_like(roll(ravel(x), shift, 0), x)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple([one_axis("roll", a, x.type.ndim, x) for a in given])
    shifts = list(shift) if isinstance(shift, (tuple, list)) else [shift] * len(axes)
    if len(axes) == 1 and len(shifts) > 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise AxisError(f"roll: {len(shifts)} shifts for {len(axes)} axes", inputs=[x])
    return Roll(axes)(x, *[as_tensor(s) for s in shifts])


def flip(x: Any, axis: Any = None) -> TensorVariable:
    """The elements in reverse order along `axis` (int or tuple), or along all axes; a view."""
    x = as_tensor(x)
    turned = range(x.type.ndim) if axis is None else many_axes("flip", axis, x.type.ndim, x)
    if x.type.ndim == 0:
        return x  # type: ignore[no-any-return]
    return x[tuple([slice(None, None, -1) if a in turned else slice(None) for a in range(x.type.ndim)])]  # type: ignore[no-any-return]


@declare
class Pad(TensorOp):
    """x with a border of one value; `widths` are the border's lengths before and after each axis, None where an input.

    Inputs: x, the value, and the lengths that are symbolic.
    """

    __props__ = ("widths",)
    name = "pad"

    def __init__(self, widths: StaticShape) -> None:
        self.widths = widths

    def infer(self, x: TensorVariable, value: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        widths = static("pad", self.widths, symbolic)
        if len(widths) != 2 * x.type.ndim:
            raise GraphTypeError(f"pad: {len(widths)} widths for {x.type}, which takes two an axis", inputs=[x])
        if value.type.ndim != 0 or value.type.dtype != x.type.dtype:
            raise GraphTypeError(
                f"pad: the value is a scalar of dtype {x.type.dtype}, got {value.type}", inputs=[x, value]
            )
        _refuse_negative_widths(widths)
        pairs = zip(x.type.shape, widths[::2], widths[1::2], strict=True)
        shape = [None if n is None or b is None or a is None else n + b + a for n, b, a in pairs]
        return (TensorType(x.type.dtype, shape),)

    def impl(self, x: Any, value: Any, *symbolic: Any) -> Any:
        widths = filled(self.widths, symbolic)
        _refuse_negative_widths(widths)
        before, after = widths[::2], widths[1::2]
        out = np.full([n + b + a for n, b, a in zip(x.shape, before, after, strict=True)], value, x.dtype)
        out[tuple([slice(b, b + n) for n, b in zip(x.shape, before, strict=True)])] = x
        return out

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        rest = (None,) * (len(node.inputs) - 2)
        if not isinstance(g, Variable):
            return g, g, *rest
        return lambda: self._inside(node, g), lambda: self._border(node, g), *rest

    def _inside(self, node: Apply, g: Any) -> Any:
        """The part of g where x is."""
        x, rest = node.inputs[0], iter(node.inputs[2:])
        widths: list[Any] = [next(rest) if d is None else d for d in self.widths]
        if not widths:
            return g
        return g[tuple([slice(b, b + length(x, a)) for a, b in enumerate(widths[::2])])]

    def _border(self, node: Apply, g: Any) -> Any:
        """The sum of g where x is not."""
        from refgraph.ops.indexing import set_subtensor

        return set_subtensor(self._inside(node, g), 0).sum() if self.widths else 0

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        moved = [
            t if isinstance(t, Variable) else _zeros_like(x) for t, x in zip(tangents[:2], node.inputs, strict=False)
        ]
        if not any(isinstance(t, Variable) for t in tangents[:2]):
            return (None if tangents[0] is tangents[1] is None else 0,)
        return (self(*moved, *node.inputs[2:]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(2, 3)
        for width in (1, (1, 2), ((0, 2), (1, 0)), ((2,),), 0):
            yield Sample(
                str(width).replace(" ", ""),
                lambda x, width=width: pad(x, width),
                (x,),
                lambda x, width=width: np.pad(x, width),
            )
        for mode in ("edge", "reflect", "symmetric", "wrap"):
            for width in (1, (7, 5)):
                yield Sample(
                    f"{mode}-{width}".replace(" ", ""),
                    lambda x, mode=mode, width=width: pad(x, width, mode),
                    (x,),
                    lambda x, mode=mode, width=width: np.pad(x, width, mode),
                )
        yield Sample(
            "value",
            lambda x, v: pad(x, 1, constant_values=v),
            (x, np.array(2.5)),
            lambda x, v: np.pad(x, 1, constant_values=v),
        )
        sides = ((1.5, 2), (3, 4.5))
        yield Sample(
            "values", lambda x: pad(x, 2, constant_values=sides), (x,), lambda x: np.pad(x, 2, constant_values=sides)
        )
        yield Sample(
            "symbolic",
            lambda x, n: pad(x, ((n, 0), (1, n))),
            (x, np.array(2)),
            lambda x, n: np.pad(x, ((2, 0), (1, 2))),
        )
        yield Sample(
            "edge-symbolic", lambda x, n: pad(x, n, "edge"), (x, np.array(2)), lambda x, n: np.pad(x, 2, "edge")
        )
        yield Sample("empty", lambda x: pad(x, 1), (x[:0],), lambda x: np.pad(x, 1))
        yield Sample("scalar", lambda x: pad(x, 1), (np.array(1.5),), lambda x: x)
        yield from over_matrices(lambda x: pad(x, (0, 1)), lambda x: np.pad(x, (0, 1)))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(2, 3)
        yield BadSample("negative", lambda x: pad(x, -1), (x,), ShapeError, "negative")
        yield BadSample("negative-symbolic", lambda x, n: pad(x, n), (x, np.array(-1)), ShapeError, "negative")
        yield BadSample("float", lambda x: pad(x, 1.5), (x,), DTypeError, "1.5")
        yield BadSample("no-pair", lambda x: pad(x, (1, 2, 3)), (x,), GraphTypeError, "(1, 2, 3)")
        yield BadSample(
            "other-dtype", lambda x: pad(x, 1, constant_values=0.5), (x.astype("int32"),), DTypeError, "float64"
        )
        yield BadSample("no-such-mode", lambda x: pad(x, 1, "mean"), (x,), GraphTypeError, "mean")


def _refuse_negative_widths(widths: Sequence[int | None]) -> None:
    if any(d is not None and d < 0 for d in widths):
        raise ShapeError(f"pad: a width is negative in {show(widths)}", help="to cut elements off, index")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> TensorVariable:
    """x with a border, as np.pad.

    pad_width: a width, a pair (before, after), or one pair an axis; the widths may be symbolic.
    mode: "constant" (`constant_values`, given as `pad_width` is), "edge", "reflect", "symmetric", "wrap".
    Raises ShapeError for a negative width.
    """
    x = as_tensor(x)
    widths = [_length("pad", d, False) for d in _per_side("pad", pad_width, x.type.ndim)]
    if mode == "constant":
        return _pad_constant(x, widths, constant_values)
    if mode not in _PAD_SOURCES:
        raise GraphTypeError(f"pad: no mode {mode!r}", help=f"use one of: constant, {', '.join(_PAD_SOURCES)}")
    _refuse_negative_widths([d if isinstance(d, int) else None for d in widths])
    for axis, (before, after) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
        if (before, after) != (0, 0):
            x = x.take(_pad_sources(mode, length(x, axis), before, after), axis=axis)
    return x  # type: ignore[no-any-return]


def _per_side(op: str, given: Any, ndim: int) -> list[Any]:
    """What NumPy broadcasts to (ndim, 2): one thing, a pair, or a pair an axis, as a flat list."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        return [given] * (2 * ndim)
    if any(isinstance(d, (list, tuple, np.ndarray)) for d in given):
        pairs = [list(d) * (2 // len(d)) if len(d) in (1, 2) else [] for d in given]
        pairs = pairs * ndim if len(pairs) == 1 else pairs
        if len(pairs) == ndim and all(pairs):
            return [d for pair in pairs for d in pair]
    elif len(given) in (1, 2):
        return list(given) * (2 // len(given)) * ndim
    raise GraphTypeError(f"{op}: {given!r} is neither one pair (before, after) nor one for each of {ndim} axes")


def _pad_constant(x: TensorVariable, widths: Sequence[Length], values: Any) -> TensorVariable:
    if not isinstance(values, (list, tuple, np.ndarray)):
        return _padded(x, widths, values)
    for i, (d, value) in enumerate(zip(widths, _per_side("pad", values, x.type.ndim), strict=True)):
        side: list[Length] = [0] * len(widths)
        side[i] = d
        x = _padded(x, side, value)
    return x


def _padded(x: TensorVariable, widths: Sequence[Length], value: Any) -> TensorVariable:
    if all(isinstance(d, int) and d == 0 for d in widths):
        return x
    if x.type.dtype == "bool" and value in (0, 1) and type(value) is int:
        value = bool(value)  # the default, 0, is False there
    _, value = operands("pad", (x, value))
    dtype = np.result_type(x.type.numpy_dtype, value.type.numpy_dtype)
    if dtype != x.type.numpy_dtype:
        raise DTypeError(
            f"pad: {value.type.dtype} does not fit into {x.type.dtype}",
            help=f"convert x with .astype('{dtype}')",
            inputs=[x, value],
        )
    known, symbolic = split_lengths(widths)
    return Pad(known)(x, value.astype(x.type.dtype), *symbolic)


def _pad_sources(mode: str, n: Length, before: Length, after: Length) -> Any:
    """The numbers of the elements that a padded axis takes from an axis of length n."""
    from refgraph.ops.construct import arange

    return _PAD_SOURCES[mode](arange(0 - before, n + after), n)


def _reflected(k: Any, n: Any) -> Any:
    from refgraph.ops.elementwise import maximum

    last = n - 1
    return last - abs(k % maximum(2 * last, 1) - last)


def _mirrored(k: Any, n: Any) -> Any:
    from refgraph.ops.elementwise import minimum

    there = k % (2 * n)
    return minimum(there, 2 * n - 1 - there)


_PAD_SOURCES: dict[str, Callable[[Any, Any], Any]] = {
    "edge": lambda k, n: k.clip(0, n - 1),
    "reflect": _reflected,
    "symmetric": _mirrored,
    "wrap": lambda k, n: k % n,
}

_MOVES = (DimShuffle, Reshape, SpecifyShape, BroadcastTo)
