"""Ops that put elements together and move them: joining, splitting, repeating, rolling, padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, NotScalarConstantError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Op, Sample, declare
from refgraph.ops.families import operands
from refgraph.ops.lengths import (
    Length,
    filled,
    length,
    lengths,
    many_axes,
    one_axis,
    one_length,
    show,
    split_lengths,
    static,
)
from refgraph.ops.linear import Linear, TensorOp, joint_tangent, same_kind
from refgraph.ops.sample_arrays import numbers, over_matrices
from refgraph.ops.shape import ravel, reshape, reshape_like, shape_padleft
from refgraph.ops.tensor import (
    INTEGERS,
    Shape,
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor,
    constant,
    has_variables,
)

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        every = [known.of(x) for x in node.inputs]
        found = list(every[0])
        for x in every[1:]:
            for axis, n in enumerate(x):
                if axis == self.axis:
                    found[axis] = known.sum(found[axis], n)
                elif isinstance(n, int):
                    found[axis] = n
        return [found]

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
        return (joint_tangent(self, node, tangents),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Join(self.axis + 1)(*[batch.spread(i) for i in range(len(batch.inputs))])]

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        found = list(known.of(node.inputs[0]))
        found.insert(self.axis, len(node.inputs))
        return [found]

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
        return (joint_tangent(self, node, tangents),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Stack(self.axis + 1)(*[batch.spread(i) for i in range(len(batch.inputs))])]

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


def _agree(op: str, found: list[int | None], shape: Shape, free: int | None, tensors: Sequence[Any]) -> None:
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


@declare
class Split(Op):
    """The parts of x along an axis, of the lengths in `sizes`, which add up to that of x. Each part is an output."""

    __props__ = ("axis", "sizes")
    name = "split"
    views = (0,)

    def __init__(self, axis: int, sizes: Shape) -> None:
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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        return [[*x[: self.axis], n, *x[self.axis + 1 :]] for n in known.filled(self.sizes, node.inputs[1:])]

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
            g if isinstance(g, Variable) else ops.construct.zeros_like(out)
            for g, out in zip(cotangents, node.outputs, strict=True)
        ]
        return Join(self.axis)(*parts)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        t = tangents[0]
        return self.make_node(t, *node.inputs[1:]).outputs if isinstance(t, Variable) else (t,) * len(node.outputs)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return Split(self.axis + 1, self.sizes).make_node(*batch.inputs).outputs if batch.only(0) else None

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

    def __init__(self, reps: Shape) -> None:
        self.reps = reps

    def infer(self, x: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        reps = static("tile", self.reps, symbolic)
        if len(reps) != x.type.ndim:
            raise GraphTypeError(f"tile: {len(reps)} repetitions for {x.type}", inputs=[x])
        _refuse_negative_reps("tile", reps)
        return (TensorType(x.type.dtype, [_times(n, r) for n, r in zip(x.type.shape, reps, strict=True)]),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x, reps = known.of(node.inputs[0]), known.filled(self.reps, node.inputs[1:])
        return [[n if r == 1 else r if n == 1 else None for n, r in zip(x, reps, strict=True)]]

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

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Tile((1, *self.reps))(*batch.inputs)] if batch.only(0) else None

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [[None if a == self.axis else n for a, n in enumerate(known.of(node.inputs[0]))]]

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
        sources = Repeat(0)(ops.construct.arange(n), repeats)
        return ops.indexing.inc_subtensor(ops.construct.zeros_like(x)[(*(slice(None),) * self.axis, sources)], g)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Repeat(self.axis + 1)(*batch.inputs)] if batch.only(0) else None

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any, *shifts: Any) -> Any:
        return np.roll(x, tuple([int(s) for s in shifts]), self.axes)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return self(
            g, *[constant(-int(s.value)) if isinstance(s, TensorConstant) else -s.astype("int64") for s in rest]
        )

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Roll(tuple([a + 1 for a in self.axes]))(*batch.inputs)] if batch.only(0) else None

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

    def __init__(self, widths: Shape) -> None:
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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x, widths = known.of(node.inputs[0]), known.filled(self.widths, node.inputs[2:])
        borders = [known.sum(b, a) for b, a in zip(widths[::2], widths[1::2], strict=True)]
        return [[known.sum(n, m) for n, m in zip(x, borders, strict=True)]]

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
        return ops.indexing.set_subtensor(self._inside(node, g), 0).sum() if self.widths else 0

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return (joint_tangent(self, node, tangents[:2]),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Pad((0, 0, *self.widths))(*batch.inputs)] if batch.only(0) else None

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
    widths = [one_length("pad", d) for d in _per_side("pad", pad_width, x.type.ndim)]
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
    return _PAD_SOURCES[mode](ops.construct.arange(0 - before, n + after), n)


def _reflected(k: Any, n: Any) -> Any:
    last = n - 1
    return last - abs(k % ops.elementwise.maximum(2 * last, 1) - last)


def _mirrored(k: Any, n: Any) -> Any:
    there = k % (2 * n)
    return ops.elementwise.minimum(there, 2 * n - 1 - there)


_PAD_SOURCES: dict[str, Callable[[Any, Any], Any]] = {
    "edge": lambda k, n: k.clip(0, n - 1),
    "reflect": _reflected,
    "symmetric": _mirrored,
    "wrap": lambda k, n: k % n,
}
