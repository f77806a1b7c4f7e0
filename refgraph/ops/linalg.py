"""Products of arrays: dot, matmul, tensordot, and what is written with them; einsum.py has the general one.

Every op here is linear in each of its inputs, which is all that their derivatives need to know (`Multilinear`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Apply
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.families import SUM_TO, broadcast_shapes, conj, operands
from refgraph.ops.lengths import length, many_axes
from refgraph.ops.linear import Multilinear
from refgraph.ops.sample_arrays import numbers
from refgraph.ops.tensor import Shape, TensorType, TensorVariable, as_tensor

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

Axes = int | Sequence[int] | Sequence[Sequence[int]]


def result_dtype(*inputs: TensorVariable) -> str:
    """The dtype of a product: NumPy's promotion of all of them."""
    first = inputs[0].type.dtype
    if all(x.type.dtype == first for x in inputs):
        return first
    return np.result_type(*[x.type.numpy_dtype for x in inputs]).name


def tensors(op: str, *args: Any) -> tuple[TensorVariable, ...]:
    """`args` as tensors, a Python number in its neighbours' dtype."""
    for a in args:
        if not isinstance(a, TensorVariable):
            return operands(op, args)
    return args


def differ(m: int | None, n: int | None) -> bool:
    """Whether two lengths are known to be different."""
    return m != n and m is not None and n is not None


def known_length(m: int | None, n: int | None) -> int | None:
    """The length of two equally long axes, where one of them is known."""
    return n if m is None else m


# ---------------------------------------------------------------------------------------------------------------------
# dot and matmul


@declare
class Dot(Multilinear):
    """The product of two vectors, a matrix and a vector, a vector and a matrix, or two matrices, as `numpy.dot`.

    (C1) each input has 1 or 2 axes; (C2) the last axis of x is as long as the first of y.
    """

    name = "dot"

    def infer(self, x: TensorVariable, y: TensorVariable) -> tuple[TensorType]:
        a, b = x.type.shape, y.type.shape
        if not 1 <= len(a) <= 2 or not 1 <= len(b) <= 2:  # dot_c1
            raise ShapeError(f"dot: {x.type} and {y.type} are not vectors or matrices", inputs=[x, y])
        if differ(a[-1], b[0]):  # dot_c2
            raise _misfit("dot", x, y, a[-1], b[0])
        return (TensorType(result_dtype(x, y), a[:-1] + b[1:]),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [[*known.of(node.inputs[0])[:-1], *known.of(node.inputs[1])[1:]]]

    def impl(self, x: Any, y: Any) -> Any:
        return np.dot(x, y)

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        x, y = inputs
        both = x.type.ndim, y.type.ndim
        if i == 0:
            y = conj(y)
            return DOT(g, y.T) if both == (2, 2) else DOT(y, g) if both == (1, 2) else _outer(g, y)
        x = conj(x)
        return DOT(x.T, g) if both == (2, 2) else DOT(g, x) if both == (2, 1) else _outer(x, g)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [_product_each(batch, (batch.rank(0) - 1,), (0,), 0)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        v, w, m, n = numbers(3), numbers(3, seed=1), numbers(2, 3), numbers(3, 4)
        for id, x, y in [
            ("vector-vector", v, w),
            ("matrix-vector", m, v),
            ("vector-matrix", v, n),
            ("matrix-matrix", m, n),
            ("length-1", numbers(1, 1), numbers(1, 3)),
            ("no-terms", numbers(2, 0), numbers(0, 3)),
            ("no-rows", numbers(0, 3), n),
            ("empty-vectors", numbers(0), numbers(0)),
            ("strided", numbers(4, 6)[::2, ::-2], n[:, ::-1]),
            ("column-major", m.T, np.asfortranarray(m)),
            ("float32", m.astype("float32"), n.astype("float32")),
            ("float16", m.astype("float16"), v.astype("float16")),
            ("int8-wraps", np.array([[100, 3]], "int8"), np.array([2, 1], "int8")),
            ("int", np.arange(6).reshape(2, 3), np.arange(3)),
            ("bool", m > 0, n > 0),
            ("complex", m + 1j * numbers(2, 3, seed=2), n - 2j * n),
            ("complex-real", v + 1j * w, n),
            ("int-float32", np.arange(6, dtype="int16").reshape(2, 3), v.astype("float32")),
            ("float32-float64", m.astype("float32"), n),
        ]:
            yield Sample(id, dot, (x, y), np.dot)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("matrices", partial(dot, numbers(2, 3), numbers(4, 5)), (), ShapeError, "float64[2, 3]")
        yield BadSample("advice", partial(dot, numbers(2, 3), numbers(5, 3)), (), ShapeError, "y.T")
        yield BadSample("vectors", partial(dot, numbers(2), numbers(3)), (), ShapeError, "lengths 2 and 3")
        yield BadSample("stack", partial(dot, numbers(2, 2, 3), numbers(2, 3)), (), ShapeError, "lengths 3 and 2")
        yield BadSample("rank", cls(), (numbers(2, 2, 2), numbers(2)), ShapeError, "not vectors or matrices")


DOT = Dot()


def _misfit(op: str, x: TensorVariable, y: TensorVariable, m: int | None, n: int | None) -> ShapeError:
    """The error for inner lengths that differ, with the transposition that would fit."""
    a, b = x.type.shape, y.type.shape
    tries = []
    if len(a) == 2 and a[0] == b[-2 if len(b) > 1 else 0]:
        tries.append(f"{op}(x.T, y)")
    if len(b) == 2 and a[-1] == b[1]:
        tries.append(f"{op}(x, y.T)")
    if len(a) == 2 and len(b) == 2 and a[0] == b[1]:
        tries.append(f"{op}(y, x)")
    return ShapeError(
        f"{op}: {x.type} does not fit {y.type}",
        why=f"the last axis of x and the {'second to last' if len(b) > 1 else 'only'} axis of y are summed together, "
        f"but have lengths {m} and {n}",
        help=f"with these shapes, {' or '.join(tries)} would fit" if tries else "transpose or reshape one of them",
        inputs=[x, y],
    )


def _outer(u: TensorVariable, v: TensorVariable) -> TensorVariable:
    """u v', of two vectors, or of a scalar and a vector."""
    if u.type.ndim == 0 or v.type.ndim == 0:
        return u * v
    return DOT(u.dimshuffle(0, "x"), v.dimshuffle("x", 0))


def dot(x: Any, y: Any) -> TensorVariable:
    """The dot product: the last axis of x summed with the second to last of y, or with the only one, as `numpy.dot`.

    A 0-d operand multiplies. The shape is `x.shape[:-1] + y.shape[:-2] + y.shape[-1:]`.
    Raises ShapeError when the lengths to sum are known and differ.
    """
    a, b = tensors("dot", x, y)
    m, n = a.type.ndim, b.type.ndim
    if m == 0 or n == 0:
        return a * b
    if m <= 2 and n <= 2:
        return DOT(a, b)
    inner = n - 2 if n > 1 else 0
    if differ(a.type.shape[-1], b.type.shape[inner]):
        raise _misfit("dot", a, b, a.type.shape[-1], b.type.shape[inner])
    return TensorDot((m - 1,), (inner,))(a, b)


@declare
class MatMul(Multilinear):
    """The matrix product over the last two axes; the axes before them broadcast, as `numpy.matmul`.

    (C1) each input has 2 axes or more; (C2) the last axis of x is as long as the second to last of y; (C3) the other
    axes broadcast.
    """

    name = "matmul"

    def infer(self, x: TensorVariable, y: TensorVariable) -> tuple[TensorType]:
        a, b = x.type.shape, y.type.shape
        if len(a) < 2 or len(b) < 2:  # matmul_c1
            raise ShapeError(f"matmul: {x.type} and {y.type} are not stacks of matrices", inputs=[x, y])
        if differ(a[-1], b[-2]):  # matmul_c2
            raise _misfit("matmul", x, y, a[-1], b[-2])
        return (TensorType(result_dtype(x, y), (*_batch_shape(x, y), a[-2], b[-1])),)  # matmul_c3

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x, y = map(known.of, node.inputs)
        return [[*known.joined(x[:-2], y[:-2]), x[-2], y[-1]]]

    def impl(self, x: Any, y: Any) -> Any:
        return np.matmul(x, y)

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        x, y = inputs
        stack = tuple(range(g.type.ndim - 2))
        if i == 0:
            y = conj(y)
            if x.type.ndim == 2 and stack:
                rows_with_columns = (*stack, len(stack) + 1)
                return tensor_dot(g, y, rows_with_columns, rows_with_columns)
            return _sum_batch(matmul(g, y.mT), x, y)
        x = conj(x)
        if y.type.ndim == 2 and stack:
            return tensor_dot(x, g, (*stack, len(stack)), (*stack, len(stack)))
        return _sum_batch(matmul(x.mT, g), y, x)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if batch.only(0) and batch.rank(1) == 2:  # one large product rather than a stack of small ones
            return [_product_each(batch, (batch.rank(0) - 1,), (0,), 0)]
        return [self(*batch.aligned())]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        t, u = numbers(2, 3, 4), numbers(2, 4, 3, seed=1)
        for id, x, y in [
            ("stack-stack", t, u),
            ("matrix-stack", numbers(5, 4), u),
            ("stack-matrix", t, numbers(4, 2)),
            ("vector-stack", numbers(4), u),
            ("stack-vector", t, numbers(4)),
            ("broadcast-left", numbers(1, 3, 4), u),
            ("broadcast-right", t, numbers(1, 4, 5)),
            ("broadcast-both", numbers(3, 1, 2, 2), numbers(1, 4, 2, 3)),
            ("broadcast-rank", numbers(3, 2, 2, 4), u[0:1]),
            ("matrices", numbers(2, 3), numbers(3, 2)),
            ("no-terms", numbers(2, 3, 0), numbers(2, 0, 4)),
            ("no-batch", numbers(0, 3, 4), numbers(1, 4, 2)),
            ("strided", t[::-1, :, ::2], u[:, ::-2]),
            ("float32", t.astype("float32"), u.astype("float32")),
            ("int", np.arange(8).reshape(2, 2, 2), np.arange(8, dtype="int8").reshape(2, 2, 2)),
            ("bool", t > 0, u > 0),
            ("complex", t + 1j * t[::-1], u - 1j),
            ("real-complex", t, u - 1j),
        ]:
            yield Sample(id, matmul, (x, y), np.matmul)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        t = numbers(2, 3, 4)
        yield BadSample("inner", partial(matmul, t, numbers(2, 3, 5)), (), ShapeError, "lengths 4 and 3")
        yield BadSample("stacks", partial(matmul, t, numbers(3, 4, 5)), (), ShapeError, "axis 0 is 2")
        yield BadSample("0-d", matmul, (numbers(), numbers(3, 3)), ShapeError, "use *")
        yield BadSample("rank", cls(), (numbers(3), numbers(3, 3)), ShapeError, "not stacks of matrices")


MATMUL = MatMul()


def _batch_shape(x: TensorVariable, y: TensorVariable) -> Shape:
    a, b = x.type.shape[:-2], y.type.shape[:-2]
    if a == b or not b:
        return a
    if not a:
        return b
    stacks = [TensorType(t.dtype, t.shape[:-2]).variable() for t in (x.type, y.type)]
    return broadcast_shapes("matmul: stacks of matrices", stacks)


def _sum_batch(g: Any, x: Any, other: Any) -> Any:
    """g summed over the batch axes along which x was broadcast against `other`; g itself where there is none."""
    a, b = x.type.shape[:-2], other.type.shape[:-2]
    if len(a) < len(b):
        return SUM_TO(g, x)
    for m, n in zip(reversed(a), reversed(b), strict=False):
        if (m == 1 and n != 1) or (m is None and n != 1):
            return SUM_TO(g, x)
    return g


def matmul(x: Any, y: Any) -> TensorVariable:
    """The matrix product `x @ y`, as `numpy.matmul`: stacks of matrices broadcast, a vector counts as a row on the left
    and as a column on the right.

    Raises ShapeError for a 0-d operand, and when lengths are known and do not fit.
    """
    x, y = tensors("matmul", x, y)
    m, n = x.type.ndim, y.type.ndim
    if m == 0 or n == 0:
        raise ShapeError(
            f"matmul: {x.type} @ {y.type} has an operand without axes",
            help="to multiply by a scalar use *",
            inputs=[x, y],
        )
    if differ(x.type.shape[-1], y.type.shape[-2 if n > 1 else 0]):
        raise _misfit("matmul", x, y, x.type.shape[-1], y.type.shape[-2 if n > 1 else 0])
    if n <= 2:  # one large product rather than a stack of small ones
        return dot(x, y)
    if m == 1:
        rows = MATMUL(x.dimshuffle("x", 0), y)
        return rows.dimshuffle(*range(n - 2), n - 1)
    return MATMUL(x, y)


def vecdot(x: Any, y: Any) -> TensorVariable:
    """The sum of conj(x) * y along the last axis; the axes before it broadcast, as `numpy.vecdot`."""
    x, y = tensors("vecdot", x, y)
    _refuse_rank("vecdot", x, 1)
    _refuse_rank("vecdot", y, 1)
    if x.type.ndim == y.type.ndim == 1:
        return dot(conj(x), y)
    return _column(matmul(_as_rows(conj(x)), _as_columns(y)), drop_row=True)


def matvec(x: Any, y: Any) -> TensorVariable:
    """The product of matrices (last two axes of x) and vectors (last axis of y), as `numpy.matvec`."""
    x, y = tensors("matvec", x, y)
    _refuse_rank("matvec", x, 2)
    _refuse_rank("matvec", y, 1)
    return dot(x, y) if y.type.ndim == 1 else _column(matmul(x, _as_columns(y)))


def vecmat(x: Any, y: Any) -> TensorVariable:
    """The product of conjugated vectors (last axis of x) and matrices (last two axes of y), as `numpy.vecmat`."""
    x, y = tensors("vecmat", x, y)
    _refuse_rank("vecmat", x, 1)
    _refuse_rank("vecmat", y, 2)
    if x.type.ndim == 1:
        return matmul(conj(x), y)
    rows = matmul(_as_rows(conj(x)), y)
    last = rows.type.ndim - 1
    return rows.dimshuffle(*range(last - 1), last)


def _refuse_rank(op: str, x: TensorVariable, least: int) -> None:
    if x.type.ndim < least:
        raise ShapeError(f"{op} needs at least {least} ax{'i' if least == 1 else 'e'}s, got {x.type}", inputs=[x])


def _as_rows(x: TensorVariable) -> TensorVariable:
    n = x.type.ndim
    return x.dimshuffle(*range(n - 1), "x", n - 1)


def _as_columns(x: TensorVariable) -> TensorVariable:
    return x.dimshuffle(*range(x.type.ndim), "x")


def _column(x: TensorVariable, drop_row: bool = False) -> TensorVariable:
    """x without its last axis (and the one before), which have length 1."""
    return x.dimshuffle(*range(x.type.ndim - 1 - drop_row))


# ---------------------------------------------------------------------------------------------------------------------
# tensordot


@declare
class TensorDot(Multilinear):
    """Sums over pairs of axes, one of x and one of y, for each index of the first `batch` axes, which both share.

    The output has the batch axes, then what is left of x, then what is left of y. Nothing broadcasts.
    (C1) paired axes, and batch axes, have equal lengths.
    """

    name = "tensordot"
    __props__ = ("axes_x", "axes_y", "batch")

    def __init__(self, axes_x: tuple[int, ...], axes_y: tuple[int, ...], batch: int = 0) -> None:
        self.axes_x, self.axes_y, self.batch = axes_x, axes_y, batch

    def _kept(self, ndim: int, axes: tuple[int, ...]) -> list[int]:
        return [axis for axis in range(self.batch, ndim) if axis not in axes]

    def infer(self, x: TensorVariable, y: TensorVariable) -> tuple[TensorType]:
        a, b = x.type.shape, y.type.shape
        shared = range(self.batch)
        for i, j in zip((*shared, *self.axes_x), (*shared, *self.axes_y), strict=True):  # tensordot_c1
            if differ(a[i], b[j]):
                raise ShapeError(
                    f"tensordot: {x.type} does not fit {y.type}",
                    why=f"axis {i} of x goes with axis {j} of y, but they have lengths {a[i]} and {b[j]}",
                    help="give other axes, or transpose one of them",
                    inputs=[x, y],
                )
        shape = [known_length(a[k], b[k]) for k in shared]
        shape += [a[k] for k in self._kept(len(a), self.axes_x)] + [b[k] for k in self._kept(len(b), self.axes_y)]
        return (TensorType(result_dtype(x, y), shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x, y = map(known.of, node.inputs)
        left, right = self._kept(len(x), self.axes_x), self._kept(len(y), self.axes_y)
        return [[*x[: self.batch], *[x[k] for k in left], *[y[k] for k in right]]]

    def impl(self, x: Any, y: Any) -> Any:
        if not self.batch:
            return np.tensordot(x, y, (self.axes_x, self.axes_y))
        shared = tuple(range(self.batch))
        for i, j in zip(shared + self.axes_x, shared + self.axes_y, strict=True):
            if x.shape[i] != y.shape[j]:
                raise ValueError(f"axis {i} of x has length {x.shape[i]}, axis {j} of y has {y.shape[j]}")
        left, right = self._kept(x.ndim, self.axes_x), self._kept(y.ndim, self.axes_y)
        batch, rows, columns = x.shape[: self.batch], [x.shape[k] for k in left], [y.shape[k] for k in right]
        terms = prod([x.shape[k] for k in self.axes_x])
        x = x.transpose(*shared, *left, *self.axes_x).reshape(*batch, prod(rows), terms)
        y = y.transpose(*shared, *self.axes_y, *right).reshape(*batch, terms, prod(columns))
        return np.matmul(x, y).reshape(*batch, *rows, *columns)

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        x, y = inputs
        left, right = self._kept(x.type.ndim, self.axes_x), self._kept(y.type.ndim, self.axes_y)
        split, end = self.batch + len(left), self.batch + len(left) + len(right)
        if i == 0:
            found = tensor_dot(g, conj(y), tuple(range(split, end)), tuple(right), self.batch)
            come = [*left, *[self.axes_x[self.axes_y.index(k)] for k in sorted(self.axes_y)]]
        else:
            found = tensor_dot(conj(x), g, tuple(left), tuple(range(self.batch, split)), self.batch)
            come = [*[self.axes_y[self.axes_x.index(k)] for k in sorted(self.axes_x)], *right]
        come = [*range(self.batch), *come]  # the axis of the input that each axis of `found` is
        return found.dimshuffle(*[come.index(k) for k in range(len(come))])

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [_product_each(batch, self.axes_x, self.axes_y, self.batch)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        t, u = numbers(2, 3, 4), numbers(4, 3, 2, seed=1)
        for id, x, y, axes in [
            ("int", t, numbers(3, 4, 2), 2),
            ("none", numbers(2), numbers(3, 2), 0),
            ("all", t, numbers(2, 3, 4, seed=1), 3),
            ("pair", t, u, ((2, 1), (0, 1))),
            ("crossed", t, u, ((0, 2), (2, 0))),
            ("negative", t, u, ((-1, 0), (0, -1))),
            ("one-each", t, u, (1, 1)),
            ("matrices", numbers(3, 2), numbers(4, 3), (0, 1)),
            ("vectors", numbers(3), numbers(3, seed=1), 1),
            ("no-terms", numbers(2, 0), numbers(0, 3, 1), 1),
            ("length-1", numbers(1, 2), numbers(2, 1, 1), 1),
            ("complex", t + 1j, u - 2j * u, ((1, 2), (1, 0))),
            ("int8", np.arange(6, dtype="int8").reshape(1, 2, 3), np.arange(6).reshape(3, 2), ((2,), (0,))),
            ("bool", t > 0, u > 0, ((1,), (1,))),
            ("float32", t.astype("float32"), u.astype("float32"), ((2, 1), (0, 1))),
        ]:
            yield Sample(
                f"axes-{id}", partial(_swap_call, tensordot, axes), (x, y), partial(_swap_call, np.tensordot, axes)
            )
        for x in (numbers(2, 4), numbers(2, 3, 4), numbers(2, 3, 1, 4)):
            for y in (numbers(2, 4), numbers(2, 4, 3), numbers(2, 1, 4, 3)):
                yield Sample(f"batched-dot-{x.ndim}d-{y.ndim}d", batched_dot, (x, y), _dot_each)
        yield Sample("batched-dot-vector", batched_dot, (numbers(2), t), _dot_each)
        yield Sample("batched-dot-complex", batched_dot, (t + 1j * t, t.swapaxes(1, 2) - 1j), _dot_each)
        yield Sample(
            "batched-axes",
            partial(_swap_call, batched_tensordot, ((1, 2), (2, 1))),
            (t, t.swapaxes(1, 2)),
            _sum_products_each,
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        t, u = numbers(2, 3, 4), numbers(4, 3, 2)
        refused: list[tuple[str, Any, type[Exception], str]] = [
            ("lengths", ((0,), (0,)), ShapeError, "lengths 2 and 4"),
            ("range", ((3,), (0,)), AxisError, "axis 3"),
            ("twice", ((0, -3), (2, 2)), AxisError, "repeated"),
            ("count", ((0, 1), (2,)), AxisError, "2 axes"),
            ("too-many", 4, AxisError, "4 axes"),
            ("negative", -1, AxisError, "-1 axes"),
            ("triple", (0, 1, 2), AxisError, "pair"),
        ]
        for id, axes, error, says in refused:
            yield BadSample(id, partial(tensordot, t, u, axes), (), error, says)
        yield BadSample("batch", partial(batched_dot, t, numbers(3, 4, 2)), (), ShapeError, "batched_dot")
        yield BadSample("batched-scalar", batched_dot, (numbers(), t), ShapeError, "at least 1")
        yield BadSample("batch-axis", partial(batched_tensordot, axes=(0, 0)), (t, t), AxisError, "batch axis")
        yield BadSample("batch-at-run", TensorDot((2,), (1,), 1), (t, numbers(1, 4, 2)), ValueError, "axis 0")


def _product_each(batch: Batch, axes_x: tuple[int, ...], axes_y: tuple[int, ...], shared: int) -> TensorVariable:
    """TensorDot of these axes, for many items: their axis comes after the shared ones, or is one where both have it."""
    both = all(batch.marked)
    x, y = (
        z if both or not marked else z.dimshuffle(*range(1, shared + 1), 0, *range(shared + 1, z.type.ndim))
        for z, marked in zip(batch.inputs, batch.marked, strict=True)
    )
    left, right = (
        tuple([a + marked for a in axes]) for axes, marked in zip((axes_x, axes_y), batch.marked, strict=True)
    )
    found = tensor_dot(x, y, left, right, shared + both)
    at = 0 if both else shared if batch.marked[0] else batch.rank(0) - len(axes_x)
    return batch.to_front(found, at)


def tensor_dot(
    x: TensorVariable, y: TensorVariable, axes_x: tuple[int, ...], axes_y: tuple[int, ...], batch: int = 0
) -> TensorVariable:
    """TensorDot of checked axes; a plain Dot where that is all."""
    m, n = x.type.ndim, y.type.ndim
    if len(axes_x) == 1 and not batch and m <= 2 and n <= 2:
        return DOT(x if axes_x[0] == m - 1 else x.T, y if axes_y[0] == 0 else y.T)
    return TensorDot(axes_x, axes_y, batch)(x, y)


def tensordot(a: Any, b: Any, axes: Axes = 2) -> TensorVariable:
    """Sums of products over pairs of axes, as `numpy.tensordot`.

    axes: how many of the last axes of a go with the first of b; or a pair of axes (ints or lists of ints, which may be
    negative), those of a and those of b.
    Raises AxisError for axes that do not exist, ShapeError when paired lengths are known and differ.
    """
    a, b = tensors("tensordot", a, b)
    return tensor_dot(a, b, *_paired_axes("tensordot", a, b, axes, 0))


def _paired_axes(
    op: str, a: TensorVariable, b: TensorVariable, axes: Axes, batch: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    m, n = a.type.ndim, b.type.ndim
    if isinstance(axes, np.ndarray):
        axes = axes.tolist()
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        if not 0 <= count <= min(m, n) - batch:
            raise AxisError(f"{op}: cannot sum over {count} axes of {a.type} and {b.type}", inputs=[a, b])
        return tuple(range(m - count, m)), tuple(range(batch, batch + count))
    if len(axes) != 2:
        raise AxisError(f"{op}: axes={axes!r} is not a number or a pair", help="for example axes=([1, 0], [0, 1])")
    left, right = (many_axes(op, part, x.type.ndim, x) for part, x in zip(axes, (a, b), strict=True))
    if len(left) != len(right):
        raise AxisError(f"{op}: {len(left)} axes of x go with {len(right)} axes of y", inputs=[a, b])
    if any(k < batch for k in (*left, *right)):
        raise AxisError(f"{op}: axes={axes!r} names the first axis, the batch axis, which is not summed", inputs=[a, b])
    return left, right


def batched_dot(a: Any, b: Any) -> TensorVariable:
    """dot(a[i], b[i]) for each index i of the first axis, which both share, as Theano's.

    Two matrices give a vector of dot products, two 3-d tensors a stack of matrix products; a vector multiplies.
    Raises ShapeError for a 0-d operand and when lengths are known and differ.
    """
    x, y = tensors("batched_dot", a, b)
    _refuse_rank("batched_dot", x, 1)
    _refuse_rank("batched_dot", y, 1)
    m, n = x.type.ndim, y.type.ndim
    if differ(x.type.shape[0], y.type.shape[0]):
        raise ShapeError(
            f"batched_dot: {x.type} does not fit {y.type}",
            why=f"the first axis is the batch, but has lengths {x.type.shape[0]} and {y.type.shape[0]}",
            inputs=[x, y],
        )
    if m == 1:
        return x.dimshuffle(0, *["x"] * (n - 1)) * y
    if n == 1:
        return x * y.dimshuffle(0, *["x"] * (m - 1))
    return TensorDot((m - 1,), (max(1, n - 2),), 1)(x, y)


def batched_tensordot(x: Any, y: Any, axes: Axes = 2) -> TensorVariable:
    """tensordot(x[i], y[i]) for each index i of the first axis, which both share, as Theano's.

    axes: as for `tensordot`, counted in x and y themselves (so never 0).
    """
    x, y = tensors("batched_tensordot", x, y)
    _refuse_rank("batched_tensordot", x, 1)
    _refuse_rank("batched_tensordot", y, 1)
    return tensor_dot(x, y, *_paired_axes("batched_tensordot", x, y, axes, 1), batch=1)


# ---------------------------------------------------------------------------------------------------------------------
# written with these


def outer(x: Any, y: Any) -> TensorVariable:
    """The products of each element of x with each of y, both flattened, as `numpy.outer`: a matrix."""
    return _outer(*[a if a.type.ndim == 1 else a.flatten() for a in tensors("outer", x, y)])


def inner(x: Any, y: Any) -> TensorVariable:
    """The last axes of x and y summed together, as `numpy.inner`; a 0-d operand multiplies."""
    a, b = tensors("inner", x, y)
    return a * b if a.type.ndim == 0 or b.type.ndim == 0 else tensordot(a, b, (-1, -1))


def vdot(x: Any, y: Any) -> TensorVariable:
    """The sum of conj(x) * y over all elements, both flattened, as `numpy.vdot`."""
    x, y = (a if a.type.ndim == 1 else a.flatten() for a in tensors("vdot", x, y))
    return dot(conj(x), y)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TensorVariable:
    """The sum along a diagonal of two axes, as `numpy.trace`; small integers sum as int64, as `sum` does."""
    return as_tensor(x).diagonal(offset, axis1, axis2).sum(axis=-1)


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> TensorVariable:
    """Covariances of the rows of m, and of y below them, as `numpy.cov`; of its columns when not `rowvar`.

    The divisor is the number of observations less `ddof`, which is 1, or 0 with `bias`. `fweights` are numbers of times
    that each observation was made, `aweights` their importance; both are vectors. A vector alone has its variance as a
    scalar, but a matrix has a matrix, also where it turns out to have one row. Raises GraphTypeError.
    """
    x = _variables(m, rowvar)
    if y is not None:
        x = ops.joining.concatenate([x, _variables(y, rowvar)], axis=0)
    weights = [as_tensor(w) for w in (fweights, aweights) if w is not None]
    w = reduce(operator.mul, weights) if weights else ops.construct.ones(length(x, 1), x.type.dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    total = w.sum()
    lost = (w * as_tensor(aweights)).sum() / total if aweights is not None else 1
    centered = x - (x * w).sum(axis=1, keepdims=True) / total
    found = dot(centered * w, conj(centered).T) / (total - ddof * lost)
    return found[0, 0] if y is None and as_tensor(m).type.ndim < 2 else found


def _variables(m: Any, rowvar: bool) -> TensorVariable:
    """A sample as a matrix with a row for each variable, of floating point."""
    m = as_tensor(m)
    if m.type.ndim > 2:
        raise GraphTypeError(f"cov takes vectors and matrices, got {m.type}", inputs=[m])
    rows = m.T if m.type.ndim == 2 and not rowvar else as_tensor(m, ndim=2)
    return rows if rows.type.is_continuous else rows.astype("float64")


def kron(a: Any, b: Any) -> TensorVariable:
    """The Kronecker product, as `numpy.kron`: a block `a[i] * b` for each element of a. Ranks grow on the left."""
    x, y = tensors("kron", a, b)
    if x.type.ndim == 0 or y.type.ndim == 0:
        return x * y
    n = max(x.type.ndim, y.type.ndim)
    x, y = as_tensor(x, ndim=n), as_tensor(y, ndim=n)
    blocks = x.dimshuffle(*_paired(n, 0)) * y.dimshuffle(*_paired(n, 1))
    return blocks.reshape([length(x, k) * length(y, k) for k in range(n)], ndim=n)


def _paired(n: int, first: int) -> list[Any]:
    """An order of axes with a new one after each (first=0), or before each (first=1)."""
    return [("x" if half != first else k) for k in range(n) for half in (0, 1)]


def matrix_dot(*matrices: Any) -> TensorVariable:
    """The product of any number of matrices, from left to right: dot(dot(a, b), c)."""
    if not matrices:
        raise GraphTypeError("matrix_dot needs at least one matrix")
    return reduce(dot, matrices[1:], as_tensor(matrices[0]))


def matrix_power(M: Any, n: int) -> TensorVariable:
    """M multiplied with itself n times, by repeated squaring, over the last two axes of M; the identity for n = 0.

    Raises ShapeError when M is known not to be square, DTypeError for a negative n.
    """
    square, n = as_tensor(M), operator.index(n)
    _refuse_rank("matrix_power", square, 2)
    if differ(*square.type.shape[-2:]):
        raise ShapeError(f"matrix_power: {square.type} is not square", inputs=[square])
    if n < 0:
        raise DTypeError(f"matrix_power: the exponent {n} is negative", help="invert the matrix first")
    if n == 0:
        identity = ops.construct.eye(length(square, -1), dtype=square.type.dtype)
        return ops.elementwise.fill(square, identity)
    factors = []  # the powers of M that the bits of n name
    while n:
        if n & 1:
            factors.append(square)
        n >>= 1
        square = matmul(square, square) if n else square
    return reduce(matmul, factors)


# ---------------------------------------------------------------------------------------------------------------------
# what the samples are made of


def _swap_call(function: Callable[..., Any], axes: Any, x: Any, y: Any) -> Any:
    return function(x, y, axes)


def _dot_each(a: Any, b: Any) -> Any:
    return np.stack([np.dot(x, y) for x, y in zip(a, b, strict=True)])


def _sum_products_each(x: Any, y: Any) -> Any:
    return np.stack([np.tensordot(a, b, ((0, 1), (1, 0))) for a, b in zip(x, y, strict=True)])
