"""Axes and shapes: the same elements with other axes, in another shape, known or checked to have one, broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.families import SUM_TO
from refgraph.ops.lengths import (
    Length,
    filled,
    length,
    lengths,
    many_axes,
    one_axis,
    product,
    repeated_axis,
    show,
    split_lengths,
    static,
)
from refgraph.ops.linear import Linear, TensorOp
from refgraph.ops.sample_arrays import numbers, over_matrices
from refgraph.ops.tensor import Cache, TensorConstant, TensorType, TensorVariable, as_tensor, constant
from refgraph.ops.tensor import Shape as StaticShape

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

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
        self._types: Cache[TensorType, tuple[TensorType]] = Cache()

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        found = self._types.get(x.type)
        if found is None:
            found = self._types[x.type] = self._infer(x)
        return found

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        return [[1 if o == "x" else x[o] for o in self.order]]

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

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [dimshuffle(batch.inputs[0], [0, *[o if o == "x" else o + 1 for o in self.order]])]  # type: ignore[operator]

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
            raise repeated_axis("dimshuffle", order, x)
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
    measures = (0,)
    __props__ = ("name",)

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (TensorType("int64", (x.type.ndim,)),)

    def impl(self, x: Any) -> Any:
        return np.array(x.shape, "int64")

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [self(*batch.inputs)[1:]]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for x in (numbers(2, 3), np.zeros((0, 4)), np.array(1.5), numbers(5, dtype="int8")):
            yield Sample(f"{list(x.shape)}", cls(), (x,), lambda x: np.array(x.shape, "int64"))


@declare
class ShapeI(TensorOp):
    """The length of axis `i`, as an int64 scalar."""

    __props__ = ("i",)
    measures = (0,)
    name = "shape_i"

    def __init__(self, i: int) -> None:
        self.i = i

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        one_axis("shape_i", self.i, x.type.ndim, x)
        return (_INT64,)

    def impl(self, x: Any) -> Any:
        return np.array(x.shape[self.i], "int64")

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [shape_i(batch.inputs[0], self.i + 1)]

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        target = [known.sure(n) for n in known.filled(self.shape, node.inputs[1:])]
        for at, n in enumerate(target):
            if n == -1:  # what is left, where the others are lengths of x
                rest = list(x)
                for d in [*target[:at], *target[at + 1 :]]:
                    if d in rest:
                        rest.remove(d)
                    elif d != 1:
                        rest = []
                        break
                rest = [d for d in rest if d != 1]
                target[at] = rest[0] if len(rest) == 1 else None
        return [target]

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

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0):
            return None
        found = node.outputs[0].type.shape  # type: ignore[attr-defined]  # a tensor
        rest = iter(batch.inputs[1:])
        target = [next(rest) if d is None else d for d in self.shape]
        target = [d if n is None else n for d, n in zip(target, found, strict=True)]
        known, symbolic = split_lengths([batch.count, *target])
        return [Reshape(known)(batch.inputs[0], *symbolic)]

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


def flat_or_along(op: str, x: Any, axis: Any) -> tuple[TensorVariable, int]:
    """x and one of its axes; for axis None, x flattened and its only axis. Raises AxisError."""
    x = as_tensor(x)
    return (flatten(x), 0) if axis is None else (x, one_axis(op, axis, x.type.ndim, x))


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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        found = list(known.of(node.inputs[0]))
        for axis, n in zip(self.checked, node.inputs[1:], strict=True):
            found[axis] = found[axis] if isinstance(found[axis], int) else known.number(n)
        return [found]

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

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0):
            return None
        x, checked = batch.inputs[0], tuple([a + 1 for a in self.checked])
        return [SpecifyShape((x.type.shape[0], *self.shape), checked)(*batch.inputs)]

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.filled(self.shape, node.inputs[1:])]

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

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0):
            return None
        shape, symbolic = batch.sized(self.shape, batch.inputs[1:])
        return [type(self)(shape)(batch.padded(0, len(self.shape)), *symbolic)]

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
    total = symbolic[-1]
    for d in reversed(symbolic[:-1]):
        total = ops.elementwise.switch(ops.elementwise.eq(d, 1), total, d)
    return total  # type: ignore[no-any-return]


def broadcast_arrays(*args: Any) -> list[TensorVariable]:
    """The tensors broadcast to the shape they have together. Raises ShapeError where known lengths contradict."""
    tensors = [as_tensor(x) for x in args]
    target = broadcast_shape(*tensors)
    return [broadcast_to(x, target) for x in tensors]


MOVES = (DimShuffle, Reshape, SpecifyShape, BroadcastTo)
"""Ops whose output has the elements of their first input, and no others."""
