"""Ops that make tensors: filled, counted, diagonal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, NotScalarConstantError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Sample, declare
from refgraph.ops.elementwise import fill, maximum
from refgraph.ops.families import broadcast_shapes as broadcast_static
from refgraph.ops.families import operands, sum_to
from refgraph.ops.joining import stack
from refgraph.ops.lengths import Length, filled, length, lengths, many_axes, scalar_value, show, split_lengths, static
from refgraph.ops.linear import Linear, TensorOp, joint_tangent, no_tangent, same_kind
from refgraph.ops.sample_arrays import numbers, over_matrices
from refgraph.ops.shape import (
    BroadcastTo,
    broadcast_arrays,
    broadcast_bad_samples,
    broadcast_samples,
    broadcast_to,
    dimshuffle,
    ravel,
    shape_padright,
)
from refgraph.ops.tensor import (
    INTEGERS,
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor,
    dtype_name,
    weak_constant,
)
from refgraph.ops.tensor import Shape as StaticShape

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch


@declare
class Alloc(BroadcastTo):
    """A new array of these lengths, filled with a value that is broadcast to them."""

    name = "alloc"
    views = ()

    def impl(self, value: Any, *symbolic: Any) -> Any:
        target = filled(self.shape, symbolic)
        try:
            out = np.empty(target, value.dtype)
            out[...] = value
        except ValueError:
            raise self._cannot(np.shape(value), target, []) from None
        return out

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from broadcast_samples(alloc)
        yield Sample("lengths-apart", lambda x: alloc(x, 2, 3), (np.array(1.5),), lambda x: np.full((2, 3), x))
        yield Sample("no-lengths", lambda x: alloc(x), (np.array(1.5),), lambda x: x)
        yield Sample(
            "full", lambda x: full((2, 2), x, "float32"), (np.array(1.5),), lambda x: np.full((2, 2), x, "float32"), ()
        )
        yield Sample("zeros", lambda n: zeros((n, 3), "int8"), (np.array(2),), lambda n: np.zeros((2, 3), "int8"))
        yield Sample("ones", lambda n: ones(n, "complex64"), (np.array(2),), lambda n: np.ones(2, "complex64"))
        yield Sample("zeros-like", zeros_like, (numbers(2, 3, dtype="int8"),), np.zeros_like)
        yield Sample("full-like", lambda x: full_like(x, 2), (numbers(2, 3),), lambda x: np.full_like(x, 2))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield from broadcast_bad_samples(alloc)
        x = numbers(2, 3, dtype="int64")
        yield BadSample("full-like-truncates", lambda x: full_like(x, 0.5), (x,), DTypeError, "0.5")


def alloc(value: Any, *shape: Any) -> TensorVariable:
    """A tensor of these lengths (ints and integer scalars, or one list of them), filled with `value`, broadcast.

    Raises ShapeError for a negative length, or where `value` does not broadcast.
    """
    given = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    known, symbolic = split_lengths(lengths("alloc", given))
    return Alloc(known)(as_tensor(value), *symbolic)


def zeros(shape: Any, dtype: Any = None) -> TensorVariable:
    """Zeros, of dtype floatX unless given. `shape` is a length, a list of lengths or an integer vector."""
    return _filled("zeros", shape, 0, "floatX" if dtype is None else dtype)


def ones(shape: Any, dtype: Any = None) -> TensorVariable:
    """Ones, of dtype floatX unless given. `shape` is a length, a list of lengths or an integer vector."""
    return _filled("ones", shape, 1, "floatX" if dtype is None else dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> TensorVariable:
    """A tensor filled with `fill_value`, of its dtype unless one is given."""
    return _filled("full", shape, fill_value, dtype)


def _filled(op: str, shape: Any, value: Any, dtype: Any) -> TensorVariable:
    known, symbolic = split_lengths(lengths(op, shape))
    return Alloc(known)(_value(value, dtype), *symbolic)


def _value(value: Any, dtype: Any) -> TensorVariable:
    if dtype is None:
        return as_tensor(value)
    dtype = dtype_name(dtype)
    if type(value) in (bool, int, float, complex):
        return weak_constant(value, dtype)
    return as_tensor(value).astype(dtype)


def empty(shape: Any, dtype: Any = None) -> TensorVariable:
    """A tensor whose values nobody may rely on (they are zeros), of dtype floatX unless given."""
    return _filled("empty", shape, 0, "floatX" if dtype is None else dtype)


def zeros_like(x: Any, dtype: Any = None) -> TensorVariable:
    """Zeros in the shape of x, and in its dtype unless another is given."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> TensorVariable:
    """Ones in the shape of x, and in its dtype unless another is given."""
    return full_like(x, 1, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> TensorVariable:
    """`fill_value` in the shape of x, and in its dtype unless another is given."""
    x = as_tensor(x)
    if (
        dtype is None
        and type(fill_value) in (float, complex)
        and np.result_type(x.type.numpy_dtype, fill_value) != x.type.numpy_dtype
    ):
        raise DTypeError(f"full_like: {fill_value} does not fit into {x.type.dtype}", help="give dtype=", inputs=[x])
    return fill(x, _value(fill_value, x.type.dtype if dtype is None else dtype))


def empty_like(x: Any, dtype: Any = None) -> TensorVariable:
    """A tensor in the shape of x whose values nobody may rely on (they are zeros)."""
    return zeros_like(x, dtype)


def get_scalar_constant_value(x: Any) -> Any:
    """The number that x always is, as a 0-d array: from constants, known lengths, and arithmetic of these.

    Raises NotScalarConstantError where the graph does not fix it, or where the elements of x differ.
    """
    found = scalar_value(x)
    if found is None:
        raise NotScalarConstantError(
            f"the value of {x} is not fixed by the graph, or not one number",
            inputs=[x] if isinstance(x, Variable) else [],
        )
    return found


def get_vector_length(v: Any) -> int:
    """The length of a vector, where it is known.

    Raises ShapeError (a ValueError) where it is not, GraphTypeError for what is no vector.
    """
    v = as_tensor(v)
    if v.type.ndim != 1:
        raise GraphTypeError(f"get_vector_length takes a vector, got {v.type}", inputs=[v])
    n = v.type.shape[0]
    if n is None:
        raise ShapeError(
            f"the length of {v} ({v.type}) is not known", help="say it with specify_shape(v, (n,))", inputs=[v]
        )
    return n  # type: ignore[no-any-return]


def default(x: Any, default: Any) -> TensorVariable:
    """x, or `default` where x is None."""
    return as_tensor(default if x is None else x)


# Counting


@declare
class ARange(TensorOp):
    """start, start + step, start + 2 step, ... up to but without stop.

    By its ends a float range has derivatives, where they do not change how many elements there are.
    """

    __props__ = ("dtype",)
    name = "arange"

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def infer(self, start: TensorVariable, stop: TensorVariable, step: TensorVariable) -> tuple[TensorType]:
        ends = (start, stop, step)
        for x in ends:
            if x.type.ndim != 0:
                raise GraphTypeError(f"arange takes scalars, got {x} ({x.type})", inputs=ends)
            if x.type.is_complex:
                raise DTypeError(f"arange: complex numbers have no order, got {x} ({x.type})", inputs=ends)
        n = None
        if isinstance(start, TensorConstant) and isinstance(stop, TensorConstant) and isinstance(step, TensorConstant):
            n = _range_length(start.value.item(), stop.value.item(), step.value.item())
        elif isinstance(step, TensorConstant) and step.value == 0:
            raise ShapeError("arange: the step is 0", inputs=ends)
        return (TensorType(self.dtype, (n,)),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        start, stop, step = node.inputs
        counts = [isinstance(x, TensorConstant) and x.value == n for x, n in ((start, 0), (step, 1))]
        is_length = all(counts) and stop.owner is not None and stop.owner.op.name == "shape_i"  # so it is not negative
        return [[known.number(stop) if is_length else None]]

    def impl(self, start: Any, stop: Any, step: Any) -> Any:
        if step == 0:
            raise ShapeError("arange: the step is 0")
        return np.arange(start.item(), stop.item(), step.item(), dtype=self.dtype)

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if not isinstance(g, Variable):
            return g, g, g
        return lambda: g.sum(), 0, lambda: (g * self._steps(node)).sum()  # type: ignore[attr-defined]  # a tensor

    def _steps(self, node: Apply) -> Any:
        """How many steps each element is from start."""
        return arange(length(node.outputs[0], 0), dtype=self.dtype)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        start, _, step = tangents
        terms = [t for t in (start, step) if isinstance(t, Variable)]
        if not terms:
            return (no_tangent(tangents),)
        total = step * self._steps(node) if isinstance(step, Variable) else zeros_like(node.outputs[0])
        return (same_kind(total + start if isinstance(start, Variable) else total, node.outputs[0]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        n = np.array(5)
        yield Sample("stop", arange, (n,), lambda n: np.arange(5))
        yield Sample("small-int", arange, (np.array(5, "uint8"),), lambda n: np.arange(5))
        yield Sample("start-stop", arange, (np.array(2), n), lambda m, n: np.arange(2, 5))
        yield Sample("backwards", lambda n: arange(n, -3, -2), (n,), lambda n: np.arange(5, -3, -2))
        yield Sample(
            "unsigned-backwards", lambda n: arange(n, 0, -1), (np.array(3, "uint8"),), lambda n: np.arange(3, 0, -1)
        )
        yield Sample("empty", lambda n: arange(n, 2), (n,), lambda n: np.arange(0))
        yield Sample("dtype", lambda n: arange(n, dtype="float32"), (n,), lambda n: np.arange(5, dtype="float32"))
        ends = np.array(0.25), np.array(2.1), np.array(0.5)
        yield Sample("floats", arange, ends, np.arange)
        yield Sample(
            "float-step", lambda n, step: arange(0, n, step), (n, np.array(0.3)), lambda n, step: np.arange(0, 5, 0.3)
        )
        yield Sample("float32", arange, (np.array(2.5, "float32"),), lambda x: np.arange(2.5))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("no-step", lambda n: arange(0, n, 0), (np.array(5),), ShapeError, "step is 0")
        yield BadSample("no-step-symbolic", lambda n: arange(0, 5, n), (np.array(0),), ShapeError, "step is 0")
        yield BadSample("complex", arange, (np.array(5j),), DTypeError, "no order")
        yield BadSample("vector", arange, (np.arange(3),), GraphTypeError, "scalars")


def _range_length(start: float, stop: float, step: float) -> int | None:
    """How many numbers np.arange gives, or None where that cannot be said. Raises ShapeError for a step of 0."""
    if step == 0:
        raise ShapeError("arange: the step is 0")
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        return len(range(start, stop, step))
    count = (stop - start) / step
    return max(0, math.ceil(count)) if math.isfinite(count) else None


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> TensorVariable:
    """start, start + step, ... up to but without stop; `arange(stop)` starts at 0. All three may be symbolic scalars.

    Its dtype is NumPy's (int64 at least); of Python numbers alone, with a float among them, floatX.
    Raises ShapeError for a step of 0.
    """
    if stop is None:
        start, stop = 0, start
    ends = [x if isinstance(x, (int, float, TensorVariable)) else as_tensor(x) for x in (start, stop, step)]
    name = _range_dtype(ends) if dtype is None else dtype_name(dtype)
    return ARange(name)(*[as_tensor(x) for x in ends])


def _range_dtype(ends: Sequence[Any]) -> str:
    strong = [x.type.numpy_dtype if isinstance(x, TensorVariable) else x.dtype for x in ends if hasattr(x, "dtype")]
    weak = [x for x in ends if not hasattr(x, "dtype")]
    if not strong and any(isinstance(x, float) for x in weak):
        return config.floatX
    return np.result_type("int64", *strong, *weak).name


@declare
class Linspace(TensorOp):
    """`num` numbers at equal distances from start to stop, along a new first axis; start and stop broadcast.

    num: their number, or None where it is the third input. endpoint: whether stop is the last of them.
    """

    __props__ = ("num", "endpoint", "dtype")
    name = "linspace"

    def __init__(self, num: int | None, endpoint: bool, dtype: str) -> None:
        self.num, self.endpoint, self.dtype = num, endpoint, dtype

    def infer(self, start: TensorVariable, stop: TensorVariable, *num: TensorVariable) -> tuple[TensorType]:
        (n,) = static("linspace", (self.num,), num)
        if n is not None and n < 0:
            raise ShapeError(f"linspace: {n} numbers were asked for", inputs=[start, stop])
        return (TensorType(self.dtype, (n, *broadcast_static("linspace", [start, stop]))),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        start, stop, *num = node.inputs
        return [[*known.filled((self.num,), num), *known.broadcast([start, stop])]]

    def impl(self, start: Any, stop: Any, *num: Any) -> Any:
        n = self.num if self.num is not None else int(num[0])
        if n < 0:
            raise ShapeError(f"linspace: {n} numbers were asked for")
        return np.linspace(start, stop, n, endpoint=self.endpoint, dtype=self.dtype)

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        rest = (None,) * (len(node.inputs) - 2)
        if not isinstance(g, Variable):
            return g, g, *rest
        start, stop = node.inputs[:2]

        def by(weight: Any, x: Any, other: Any) -> Any:
            return same_kind(sum_to((g * weight).sum(axis=0), x, [other]), x)

        return lambda: by(1 - self._way(node), start, stop), lambda: by(self._way(node), stop, start), *rest

    def _way(self, node: Apply) -> Any:
        """How far each number is on the way from start to stop, from 0 to 1, with axes to broadcast."""
        dtype = np.empty(0, self.dtype).real.dtype.name
        way = Linspace(self.num, self.endpoint, dtype)(
            weak_constant(0, dtype), weak_constant(1, dtype), *node.inputs[2:]
        )
        return shape_padright(way, node.outputs[0].type.ndim - 1)  # type: ignore[attr-defined]

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return (joint_tangent(self, node, tangents[:2]),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0, 1):
            return None
        return [batch.to_front(self(*batch.aligned(0, 1), *batch.inputs[2:]), 1)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        ends = np.array(0.5), np.array(2.0)
        for num, endpoint in ((5, True), (5, False), (1, True), (1, False), (0, True)):
            yield Sample(
                f"{num}-{endpoint}",
                lambda a, b, num=num, endpoint=endpoint: linspace(a, b, num, endpoint),
                ends,
                lambda a, b, num=num, endpoint=endpoint: np.linspace(a, b, num, endpoint),
            )
        yield Sample("symbolic", linspace, (*ends, np.array(4)), lambda a, b, n: np.linspace(a, b, 4))
        yield Sample(
            "vectors", lambda a, b: linspace(a, b, 4), (numbers(3), numbers(2, 1)), lambda a, b: np.linspace(a, b, 4)
        )
        yield Sample(
            "integers",
            lambda a, b: linspace(a, b, 4, dtype="int64"),
            (np.array(0), np.array(7)),
            lambda a, b: np.linspace(0, 7, 4, dtype=int),
        )
        yield Sample(
            "float32", lambda a: linspace(a, 1, 4), (np.array(0.25, "float32"),), lambda a: np.linspace(a, 1, 4)
        )
        yield Sample(
            "complex", lambda a, b: linspace(a, b, 3), (np.array(1j), np.array(2.0)), lambda a, b: np.linspace(a, b, 3)
        )
        yield Sample(
            "logspace", lambda a, b: logspace(a, b, 4, base=2.0), ends, lambda a, b: np.logspace(a, b, 4, base=2.0)
        )
        yield Sample("geomspace", lambda a, b: geomspace(a, b, 4), ends, lambda a, b: np.geomspace(a, b, 4))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("negative", lambda a: linspace(a, 1, -1), (np.array(0.5),), ShapeError, "-1 numbers")
        yield BadSample("negative-symbolic", lambda n: linspace(0, 1, n), (np.array(-1),), ShapeError, "-1 numbers")
        yield BadSample("float", lambda a: linspace(a, 1, 2.5), (np.array(0.5),), DTypeError, "2.5")


def _inexact_dtype(*ends: Any) -> str:
    """The floating or complex dtype that goes with tensors and numbers; of Python numbers alone floatX."""
    if all(type(x) in (bool, int, float) for x in ends):
        return config.floatX
    return np.result_type(0.0, *[x.type.numpy_dtype for x in operands("linspace", ends)]).name


def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None) -> TensorVariable:
    """`num` numbers at equal distances from start to stop, which are broadcast, along a new first axis.

    Its dtype is NumPy's: floating, and of Python numbers alone floatX. Raises ShapeError for a negative number.
    """
    name = _inexact_dtype(start, stop) if dtype is None else dtype_name(dtype)
    start, stop = operands("linspace", (start, stop))
    known, symbolic = split_lengths(lengths("linspace", num, 1))
    return Linspace(known[0], bool(endpoint), name)(start, stop, *symbolic)


def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None
) -> TensorVariable:
    """`num` powers of `base`, of exponents at equal distances from start to stop. See `linspace`."""
    found = base ** linspace(start, stop, num, endpoint)
    return found if dtype is None else found.astype(dtype)  # type: ignore[no-any-return]


def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None) -> TensorVariable:
    """`num` numbers from start to stop, each the one before times the same factor. See `linspace`.

    start * (stop / start)^t for t at equal distances from 0 to 1: both ends have one sign and are not 0.
    """
    name = _inexact_dtype(start, stop)
    start, stop = operands("geomspace", (start, stop))
    way = linspace(0.0, 1.0, num, endpoint, name)
    found = start * (stop / start) ** shape_padright(way, max(start.type.ndim, stop.type.ndim))
    return found if dtype is None else found.astype(dtype)  # type: ignore[no-any-return]


class _Grid:
    """What mgrid and ogrid are: an object to index with slices, whose parts may be symbolic; see NumPy's."""

    def __init__(self, name: str, sparse: bool) -> None:
        self.name, self.sparse = name, sparse

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return self._range(key)
        ranges = [_along(self._range(k), i, len(key)) for i, k in enumerate(key)]
        dtype = np.result_type(*[r.type.numpy_dtype for r in ranges])
        ranges = [r if r.type.numpy_dtype == dtype else r.astype(dtype) for r in ranges]
        return ranges if self.sparse else stack(broadcast_arrays(*ranges))

    def _range(self, key: Any) -> TensorVariable:
        if not isinstance(key, slice) or key.stop is None:
            raise GraphTypeError(
                f"{self.name} is indexed with slices that have a stop, got {key!r}", help=f"write {self.name}[0:3, 0:4]"
            )
        start = 0 if key.start is None else key.start
        if isinstance(key.step, complex):
            return linspace(start, key.stop, int(abs(key.step)))
        return arange(start, key.stop, 1 if key.step is None else key.step)

    def __repr__(self) -> str:
        return self.name


mgrid = _Grid("mgrid", sparse=False)
ogrid = _Grid("ogrid", sparse=True)


def _along(vector: TensorVariable, axis: int, ndim: int) -> TensorVariable:
    """A vector as an axis of an `ndim`-dimensional tensor whose other axes have length 1."""
    return dimshuffle(vector, ["x"] * axis + [0] + ["x"] * (ndim - axis - 1))


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False, copy: bool = True) -> list[TensorVariable]:
    """The coordinates of a grid with these vectors as its sides, one tensor a side (see np.meshgrid)."""
    if indexing not in ("xy", "ij"):
        raise GraphTypeError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    ndim = len(xi)
    axes = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        axes[:2] = 1, 0
    sides = [_along(ravel(x), a, ndim) for x, a in zip(xi, axes, strict=True)]
    return sides if sparse else broadcast_arrays(*sides)


def indices(dimensions: Any, dtype: Any = "int64", sparse: bool = False) -> Any:
    """The coordinates of all elements of an array of these lengths: a tensor with one more axis in front, or a list."""
    sides = lengths("indices", dimensions)
    ranges = [_along(arange(n, dtype=dtype), i, len(sides)) for i, n in enumerate(sides)]
    if sparse:
        return ranges
    return stack([broadcast_to(r, sides) for r in ranges]) if ranges else zeros((0,), dtype)


# Diagonals and triangles


def diagonal_samples(build: Callable[..., Any], expect: Callable[..., Any]) -> Iterator[Sample]:
    """Samples of eye and tri: `build` and `expect` of (n, m, k, dtype)."""
    for m, k in ((3, 0), (4, 1), (2, -1), (0, 0), (3, 9), (3, -9)):
        yield Sample(
            f"3,{m},{k}",
            lambda n, m=m, k=k: build(n, m, k, "float32"),
            (np.array(3),),
            lambda n, m=m, k=k: expect(3, m, k, "float32"),
        )
    yield Sample("square", lambda n: build(n, dtype="int8"), (np.array(3),), lambda n: expect(3, dtype="int8"))
    yield Sample(
        "symbolic-diagonal", lambda k: build(3, 4, k, "bool"), (np.array(1),), lambda k: expect(3, 4, 1, "bool")
    )


def diagonal_bad_samples(build: Callable[..., Any]) -> Iterator[BadSample]:
    """Uses of eye and tri that must be refused."""
    yield BadSample("negative", build, (np.array(-3),), ShapeError, "negative")
    yield BadSample("float", lambda x: build(2.5), (np.array(1),), DTypeError, "2.5")
    yield BadSample("float-diagonal", lambda n: build(n, n, 0.5), (np.array(3),), DTypeError, "integer scalar")


@declare
class Eye(TensorOp):
    """A matrix of ones on its diagonal number k, zeros elsewhere. Inputs: k, and the symbolic lengths."""

    __props__ = ("shape", "dtype")
    name = "eye"

    def __init__(self, shape: StaticShape, dtype: str) -> None:
        self.shape, self.dtype = shape, dtype

    def infer(self, k: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        found = static(self.name, self.shape, symbolic)
        _refuse_no_integer(self.name, k)
        _refuse_negative(self.name, found)
        return (TensorType(self.dtype, found),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.filled(self.shape, node.inputs[1:])]

    def impl(self, k: Any, *symbolic: Any) -> Any:
        n, m = filled(self.shape, symbolic)
        _refuse_negative(self.name, (n, m))
        return np.eye(n, m, int(k), self.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from diagonal_samples(eye, np.eye)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield from diagonal_bad_samples(eye)


@declare
class Tri(Eye):
    """A matrix of ones on and below its diagonal number k, zeros above. Inputs: k, and the symbolic lengths."""

    name = "tri"

    def impl(self, k: Any, *symbolic: Any) -> Any:
        n, m = filled(self.shape, symbolic)
        _refuse_negative(self.name, (n, m))
        return np.tri(n, m, int(k), self.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from diagonal_samples(tri, np.tri)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield from diagonal_bad_samples(tri)


def _refuse_no_integer(op: str, k: Any) -> None:
    if k.type.ndim != 0 or k.type.dtype not in INTEGERS:
        raise DTypeError(f"{op}: the number of a diagonal is an integer scalar, got {k} ({k.type})", inputs=[k])


def _refuse_negative(op: str, shape: Sequence[int | None]) -> None:
    if any(d is not None and d < 0 for d in shape):
        raise ShapeError(f"{op}: a length is negative in {show(shape)}")


def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> TensorVariable:
    """An n by m matrix (n by n unless m is given) of ones on diagonal k, zeros elsewhere; dtype floatX unless given."""
    known, symbolic = split_lengths(lengths("eye", [n, n if m is None else m]))
    return Eye(known, dtype_name("floatX" if dtype is None else dtype))(as_tensor(k), *symbolic)


def identity_like(x: Any, dtype: Any = None) -> TensorVariable:
    """A matrix of the shape and dtype of x (unless one is given) with ones on its diagonal, zeros elsewhere."""
    x = as_tensor(x)
    if x.type.ndim != 2:
        raise GraphTypeError(f"identity_like takes a matrix, got {x.type}", inputs=[x])
    return eye(length(x, 0), length(x, 1), 0, x.type.dtype if dtype is None else dtype)


def tri(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> TensorVariable:
    """An n by m matrix (n by n unless m is given) of ones on and below diagonal k; dtype floatX unless given."""
    known, symbolic = split_lengths(lengths("tri", [n, n if m is None else m]))
    return Tri(known, dtype_name("floatX" if dtype is None else dtype))(as_tensor(k), *symbolic)


@declare
class Triangle(Linear):
    """The part on and below (`lower`) or on and above diagonal number k of the matrices along the last two axes."""

    __props__ = ("lower",)

    def __init__(self, lower: bool) -> None:
        self.lower = lower
        self.name = "tril" if lower else "triu"

    def infer(self, x: TensorVariable, k: TensorVariable) -> tuple[TensorType]:
        _refuse_no_integer(self.name, k)
        if x.type.ndim < 2:
            raise GraphTypeError(f"{self.name} takes matrices, got {x.type}", inputs=[x])
        return (x.type,)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any, k: Any) -> Any:
        return (np.tril if self.lower else np.triu)(x, int(k))

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return self(g, *rest)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [self(*batch.inputs)] if batch.only(0) else None

    def __repr__(self) -> str:
        return self.name

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(3, 4)
        for k in (0, 1, -1, 9, -9):
            yield Sample(f"tril{k}", lambda x, k=k: tril(x, k), (x,), lambda x, k=k: np.tril(x, k))
            yield Sample(f"triu{k}", lambda x, k=k: triu(x, k), (x,), lambda x, k=k: np.triu(x, k))
        yield Sample("symbolic", tril, (x, np.array(1)), lambda x, k: np.tril(x, 1))
        yield Sample("batch", triu, (numbers(2, 3, 3),), np.triu)
        yield Sample("empty", tril, (x[:0],), np.tril)
        yield from over_matrices(tril, np.tril)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("vector", tril, (numbers(3),), GraphTypeError, "matrices")
        yield BadSample("float", lambda x: triu(x, 0.5), (numbers(3, 3),), DTypeError, "integer")


def tril(m: Any, k: Any = 0) -> TensorVariable:
    """The elements on and below diagonal k, zeros above; of matrices along the last two axes."""
    return Triangle(True)(as_tensor(m), as_tensor(k))


def triu(m: Any, k: Any = 0) -> TensorVariable:
    """The elements on and above diagonal k, zeros below; of matrices along the last two axes."""
    return Triangle(False)(as_tensor(m), as_tensor(k))


def tril_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The row and column numbers of the elements on and below diagonal k of an n by m matrix."""
    return tri(n, m, k, "bool").nonzero()


def triu_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The row and column numbers of the elements on and above diagonal k of an n by m matrix."""
    return (~tri(n, m, k - 1, "bool")).nonzero()


@declare
class Diagonal(Linear):
    """The diagonal number `offset` of the matrices along two axes, as a new last axis; a view."""

    __props__ = ("offset", "axis1", "axis2")
    name = "diagonal"
    views = (0,)

    def __init__(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> None:
        self.offset, self.axis1, self.axis2 = offset, axis1, axis2

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        if x.type.ndim < 2:
            raise GraphTypeError(f"diagonal takes matrices, got {x.type}", inputs=[x])
        many_axes("diagonal", (self.axis1, self.axis2), x.type.ndim, x)
        n, m = x.type.shape[self.axis1], x.type.shape[self.axis2]
        rest = [d for a, d in enumerate(x.type.shape) if a not in (self.axis1, self.axis2)]
        return (TensorType(x.type.dtype, [*rest, _diagonal_length(n, m, self.offset)]),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        n, m = x[self.axis1], x[self.axis2]
        rest = [d for a, d in enumerate(x) if a not in (self.axis1, self.axis2)]
        return [[*rest, known.sum(n, -abs(self.offset)) if n == m else None]]

    def impl(self, x: Any) -> Any:
        return x.diagonal(self.offset, self.axis1, self.axis2)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return _on_diagonal(g, self.offset, self.axis1, self.axis2, [length(x, self.axis1), length(x, self.axis2)])

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Diagonal(self.offset, self.axis1 + 1, self.axis2 + 1)(*batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = numbers(3, 4)
        for k in (0, 1, -1, 9, -9):
            yield Sample(f"{k}", lambda x, k=k: diagonal(x, k), (x,), lambda x, k=k: np.diagonal(x, k))
        y = numbers(2, 3, 4)
        for a, b in ((0, 1), (1, 0), (0, 2), (-1, 1)):
            yield Sample(
                f"axes{a},{b}",
                lambda y, a=a, b=b: diagonal(y, 1, a, b),
                (y,),
                lambda y, a=a, b=b: np.diagonal(y, 1, a, b),
            )
        yield Sample("diag", diag, (x,), np.diag)
        yield Sample("empty", diagonal, (x[:0],), np.diagonal)
        yield from over_matrices(diagonal, np.diagonal)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = numbers(3, 4)
        yield BadSample("vector", diagonal, (x[0],), GraphTypeError, "matrices")
        yield BadSample("axis-twice", lambda x: diagonal(x, 0, 1, 1), (x,), AxisError, "repeated")
        yield BadSample("axis-out-of-range", lambda x: diagonal(x, 0, 0, 2), (x,), AxisError, "no axis 2")
        yield BadSample("float", lambda x: diagonal(x, 0.5), (x,), DTypeError, "0.5")
        yield BadSample("diag-of-tensor3", diag, (numbers(2, 2, 2),), GraphTypeError, "vector or a matrix")


@declare
class AllocDiag(Linear):
    """Matrices along two axes, of lengths `shape`, with the last axis of the input on diagonal number `offset`."""

    __props__ = ("offset", "axis1", "axis2", "shape")
    name = "alloc_diag"

    def __init__(self, offset: int, axis1: int, axis2: int, shape: StaticShape) -> None:
        self.offset, self.axis1, self.axis2, self.shape = offset, axis1, axis2, shape

    def infer(self, d: TensorVariable, *symbolic: TensorVariable) -> tuple[TensorType]:
        if d.type.ndim < 1:
            raise GraphTypeError(f"alloc_diag takes a vector, got {d.type}", inputs=[d])
        many_axes("alloc_diag", (self.axis1, self.axis2), d.type.ndim + 1, d)
        n, m = static("alloc_diag", self.shape, symbolic)
        known, there = _diagonal_length(n, m, self.offset), d.type.shape[-1]
        if known is not None and there is not None and known != there:
            raise _other_diagonal(there, known, [d])
        return (TensorType(d.type.dtype, self._around(d.type.shape, n, m)),)

    def _around(self, shape: Sequence[Any], n: Any, m: Any) -> list[Any]:
        """The lengths of the result: n and m at their axes, those of the input but its last at the others."""
        rest = iter(shape[:-1])
        return [n if a == self.axis1 else m if a == self.axis2 else next(rest) for a in range(len(shape) + 1)]

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [self._around(known.of(node.inputs[0]), *known.filled(self.shape, node.inputs[1:]))]

    def impl(self, d: Any, *symbolic: Any) -> Any:
        n, m = filled(self.shape, symbolic)
        if _diagonal_length(n, m, self.offset) != d.shape[-1]:
            raise _other_diagonal(d.shape[-1], _diagonal_length(n, m, self.offset), [])
        out = np.zeros(self._around(d.shape, n, m), d.dtype)
        rows = np.arange(d.shape[-1])
        matrices = np.moveaxis(out, (self.axis1, self.axis2), (-2, -1))
        matrices[..., rows + max(-self.offset, 0), rows + max(self.offset, 0)] = d
        return out

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return diagonal(g, self.offset, self.axis1, self.axis2)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0):
            return None
        return [AllocDiag(self.offset, self.axis1 + 1, self.axis2 + 1, self.shape)(*batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        d = numbers(3)
        for k in (0, 2, -1):
            yield Sample(f"{k}", lambda d, k=k: diag(d, k), (d,), lambda d, k=k: np.diag(d, k))
        yield Sample("batch", alloc_diag, (numbers(2, 3),), lambda d: np.stack([np.diag(row) for row in d], 2))
        yield Sample(
            "axes",
            lambda d: alloc_diag(d, 1, 0, 2),
            (numbers(2, 3),),
            lambda d: np.stack([np.diag(row, 1) for row in d], 1),
        )
        yield Sample("empty", diag, (d[:0],), np.diag)
        for dtype in ("bool", "int8", "float32", "complex128"):
            yield Sample(dtype, diag, (numbers(3, dtype=dtype),), np.diag)
        yield Sample("negative-strides", diag, (d[::-1],), np.diag)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("scalar", alloc_diag, (np.array(1.5),), GraphTypeError, "vector")
        yield BadSample("axis-twice", lambda d: alloc_diag(d, 0, 1, 1), (numbers(3),), AxisError, "repeated")
        yield BadSample("other-length", lambda d: cls(0, 0, 1, (2, 2))(d), (numbers(3),), ShapeError, "3 elements")


def _diagonal_length(n: int | None, m: int | None, offset: int) -> int | None:
    if n is None or m is None:
        return None
    return max(0, min(n, m - offset) if offset >= 0 else min(n + offset, m))


def _other_diagonal(there: int, needed: int | None, inputs: Sequence[Any]) -> ShapeError:
    return ShapeError(f"alloc_diag: {there} elements for a diagonal of {needed}", inputs=inputs)


def _on_diagonal(d: Any, offset: int, axis1: int, axis2: int, shape: Sequence[Length]) -> TensorVariable:
    known, symbolic = split_lengths(shape)
    return AllocDiag(offset, axis1, axis2, known)(d, *symbolic)


def diagonal(a: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1) -> TensorVariable:
    """Diagonal number `offset` of the matrices along two axes, as a new last axis. Raises AxisError, GraphTypeError."""
    a = as_tensor(a)
    if a.type.ndim < 2:
        raise GraphTypeError(f"diagonal takes matrices, got {a.type}", inputs=[a])
    return Diagonal(_offset(offset), *many_axes("diagonal", (axis1, axis2), a.type.ndim, a))(a)


def _offset(offset: Any) -> int:
    if isinstance(offset, (int, np.integer)):
        return int(offset)
    raise DTypeError(
        f"the number of a diagonal is an int here, got {offset!r}", help="for a symbolic one multiply by T.eye(n, m, k)"
    )


def alloc_diag(diag: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1) -> TensorVariable:
    """Square matrices along two axes, zero but for the last axis of `diag` on diagonal number `offset`."""
    diag = as_tensor(diag)
    if diag.type.ndim < 1:
        raise GraphTypeError(f"alloc_diag takes a vector, got {diag.type}", inputs=[diag])
    offset = _offset(offset)
    axis1, axis2 = many_axes("alloc_diag", (axis1, axis2), diag.type.ndim + 1, diag)
    n: Any = length(diag, -1)
    n = n + abs(offset) if offset else n
    return _on_diagonal(diag, offset, axis1, axis2, [n, n])


def diag(v: Any, k: Any = 0) -> TensorVariable:
    """A vector as diagonal k of a square matrix, or diagonal k of a matrix. Raises GraphTypeError for another rank."""
    v = as_tensor(v)
    if v.type.ndim == 1:
        return alloc_diag(v, k)
    if v.type.ndim == 2:
        return diagonal(v, k)
    raise GraphTypeError(f"diag takes a vector or a matrix, got {v.type}", inputs=[v])


# A window


def bartlett(M: Any) -> TensorVariable:
    """The triangular window of M points, zero at both ends, as `numpy.bartlett`; M may be symbolic."""
    M = as_tensor(M)
    if M.type.ndim != 0 or M.type.dtype not in INTEGERS:
        raise GraphTypeError(f"bartlett takes the number of points, an integer; got {M.type}", inputs=[M])
    M = M.astype("int64")
    return 1 - abs(arange(1 - M, M, 2)) / maximum(M - 1, 1)
