"""Products of arrays: dot, matmul, tensordot, einsum, and what is written with them.

Every op here is linear in each of its inputs, which is all that their derivatives need to know (`Multilinear`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from math import prod
from typing import Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.families import SUM_TO, broadcast_shapes, conj, full_shape, operands
from refgraph.ops.lengths import length, many_axes
from refgraph.ops.linear import Linear, Multilinear
from refgraph.ops.tensor import Shape, TensorType, TensorVariable, as_tensor

Axes = int | Sequence[int] | Sequence[Sequence[int]]


def _result_dtype(*inputs: TensorVariable) -> str:
    """The dtype of a product: NumPy's promotion of all of them."""
    first = inputs[0].type.dtype
    if all(x.type.dtype == first for x in inputs):
        return first
    return np.result_type(*[x.type.numpy_dtype for x in inputs]).name


def _tensors(op: str, *args: Any) -> tuple[TensorVariable, ...]:
    """`args` as tensors, a Python number in its neighbours' dtype."""
    for a in args:
        if not isinstance(a, TensorVariable):
            return operands(op, args)
    return args


def _differ(m: int | None, n: int | None) -> bool:
    """Whether two lengths are known to be different."""
    return m != n and m is not None and n is not None


def _known(m: int | None, n: int | None) -> int | None:
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
        if _differ(a[-1], b[0]):  # dot_c2
            raise _misfit("dot", x, y, a[-1], b[0])
        return (TensorType(_result_dtype(x, y), a[:-1] + b[1:]),)

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

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        v, w, m, n = _draw(3), _draw(3, seed=1), _draw(2, 3), _draw(3, 4)
        for id, x, y in [
            ("vector-vector", v, w),
            ("matrix-vector", m, v),
            ("vector-matrix", v, n),
            ("matrix-matrix", m, n),
            ("length-1", _draw(1, 1), _draw(1, 3)),
            ("no-terms", _draw(2, 0), _draw(0, 3)),
            ("no-rows", _draw(0, 3), n),
            ("empty-vectors", _draw(0), _draw(0)),
            ("strided", _draw(4, 6)[::2, ::-2], n[:, ::-1]),
            ("column-major", m.T, np.asfortranarray(m)),
            ("float32", m.astype("float32"), n.astype("float32")),
            ("float16", m.astype("float16"), v.astype("float16")),
            ("int8-wraps", np.array([[100, 3]], "int8"), np.array([2, 1], "int8")),
            ("int", np.arange(6).reshape(2, 3), np.arange(3)),
            ("bool", m > 0, n > 0),
            ("complex", m + 1j * _draw(2, 3, seed=2), n - 2j * n),
            ("complex-real", v + 1j * w, n),
            ("int-float32", np.arange(6, dtype="int16").reshape(2, 3), v.astype("float32")),
            ("float32-float64", m.astype("float32"), n),
        ]:
            yield Sample(id, dot, (x, y), np.dot)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("matrices", partial(dot, _draw(2, 3), _draw(4, 5)), (), ShapeError, "float64[2, 3]")
        yield BadSample("advice", partial(dot, _draw(2, 3), _draw(5, 3)), (), ShapeError, "y.T")
        yield BadSample("vectors", partial(dot, _draw(2), _draw(3)), (), ShapeError, "lengths 2 and 3")
        yield BadSample("stack", partial(dot, _draw(2, 2, 3), _draw(2, 3)), (), ShapeError, "lengths 3 and 2")
        yield BadSample("rank", cls(), (_draw(2, 2, 2), _draw(2)), ShapeError, "not vectors or matrices")


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
    a, b = _tensors("dot", x, y)
    m, n = a.type.ndim, b.type.ndim
    if m == 0 or n == 0:
        return a * b
    if m <= 2 and n <= 2:
        return DOT(a, b)
    inner = n - 2 if n > 1 else 0
    if _differ(a.type.shape[-1], b.type.shape[inner]):
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
        if _differ(a[-1], b[-2]):  # matmul_c2
            raise _misfit("matmul", x, y, a[-1], b[-2])
        return (TensorType(_result_dtype(x, y), (*_batch_shape(x, y), a[-2], b[-1])),)  # matmul_c3

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

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        t, u = _draw(2, 3, 4), _draw(2, 4, 3, seed=1)
        for id, x, y in [
            ("stack-stack", t, u),
            ("matrix-stack", _draw(5, 4), u),
            ("stack-matrix", t, _draw(4, 2)),
            ("vector-stack", _draw(4), u),
            ("stack-vector", t, _draw(4)),
            ("broadcast-left", _draw(1, 3, 4), u),
            ("broadcast-right", t, _draw(1, 4, 5)),
            ("broadcast-both", _draw(3, 1, 2, 2), _draw(1, 4, 2, 3)),
            ("broadcast-rank", _draw(3, 2, 2, 4), u[0:1]),
            ("matrices", _draw(2, 3), _draw(3, 2)),
            ("no-terms", _draw(2, 3, 0), _draw(2, 0, 4)),
            ("no-batch", _draw(0, 3, 4), _draw(1, 4, 2)),
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
        t = _draw(2, 3, 4)
        yield BadSample("inner", partial(matmul, t, _draw(2, 3, 5)), (), ShapeError, "lengths 4 and 3")
        yield BadSample("stacks", partial(matmul, t, _draw(3, 4, 5)), (), ShapeError, "axis 0 is 2")
        yield BadSample("0-d", matmul, (_draw(), _draw(3, 3)), ShapeError, "use *")
        yield BadSample("rank", cls(), (_draw(3), _draw(3, 3)), ShapeError, "not stacks of matrices")


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
    x, y = _tensors("matmul", x, y)
    m, n = x.type.ndim, y.type.ndim
    if m == 0 or n == 0:
        raise ShapeError(
            f"matmul: {x.type} @ {y.type} has an operand without axes",
            help="to multiply by a scalar use *",
            inputs=[x, y],
        )
    if _differ(x.type.shape[-1], y.type.shape[-2 if n > 1 else 0]):
        raise _misfit("matmul", x, y, x.type.shape[-1], y.type.shape[-2 if n > 1 else 0])
    if n <= 2:  # one large product rather than a stack of small ones
        return dot(x, y)
    if m == 1:
        rows = MATMUL(x.dimshuffle("x", 0), y)
        return rows.dimshuffle(*range(n - 2), n - 1)
    return MATMUL(x, y)


def vecdot(x: Any, y: Any) -> TensorVariable:
    """The sum of conj(x) * y along the last axis; the axes before it broadcast, as `numpy.vecdot`."""
    x, y = _tensors("vecdot", x, y)
    _refuse_rank("vecdot", x, 1)
    _refuse_rank("vecdot", y, 1)
    if x.type.ndim == y.type.ndim == 1:
        return dot(conj(x), y)
    return _column(matmul(_as_rows(conj(x)), _as_columns(y)), drop_row=True)


def matvec(x: Any, y: Any) -> TensorVariable:
    """The product of matrices (last two axes of x) and vectors (last axis of y), as `numpy.matvec`."""
    x, y = _tensors("matvec", x, y)
    _refuse_rank("matvec", x, 2)
    _refuse_rank("matvec", y, 1)
    return dot(x, y) if y.type.ndim == 1 else _column(matmul(x, _as_columns(y)))


def vecmat(x: Any, y: Any) -> TensorVariable:
    """The product of conjugated vectors (last axis of x) and matrices (last two axes of y), as `numpy.vecmat`."""
    x, y = _tensors("vecmat", x, y)
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
            if _differ(a[i], b[j]):
                raise ShapeError(
                    f"tensordot: {x.type} does not fit {y.type}",
                    why=f"axis {i} of x goes with axis {j} of y, but they have lengths {a[i]} and {b[j]}",
                    help="give other axes, or transpose one of them",
                    inputs=[x, y],
                )
        shape = [_known(a[k], b[k]) for k in shared]
        shape += [a[k] for k in self._kept(len(a), self.axes_x)] + [b[k] for k in self._kept(len(b), self.axes_y)]
        return (TensorType(_result_dtype(x, y), shape),)

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

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        t, u = _draw(2, 3, 4), _draw(4, 3, 2, seed=1)
        for id, x, y, axes in [
            ("int", t, _draw(3, 4, 2), 2),
            ("none", _draw(2), _draw(3, 2), 0),
            ("all", t, _draw(2, 3, 4, seed=1), 3),
            ("pair", t, u, ((2, 1), (0, 1))),
            ("crossed", t, u, ((0, 2), (2, 0))),
            ("negative", t, u, ((-1, 0), (0, -1))),
            ("one-each", t, u, (1, 1)),
            ("matrices", _draw(3, 2), _draw(4, 3), (0, 1)),
            ("vectors", _draw(3), _draw(3, seed=1), 1),
            ("no-terms", _draw(2, 0), _draw(0, 3, 1), 1),
            ("length-1", _draw(1, 2), _draw(2, 1, 1), 1),
            ("complex", t + 1j, u - 2j * u, ((1, 2), (1, 0))),
            ("int8", np.arange(6, dtype="int8").reshape(1, 2, 3), np.arange(6).reshape(3, 2), ((2,), (0,))),
            ("bool", t > 0, u > 0, ((1,), (1,))),
            ("float32", t.astype("float32"), u.astype("float32"), ((2, 1), (0, 1))),
        ]:
            yield Sample(
                f"axes-{id}", partial(_swap_call, tensordot, axes), (x, y), partial(_swap_call, np.tensordot, axes)
            )
        for x in (_draw(2, 4), _draw(2, 3, 4), _draw(2, 3, 1, 4)):
            for y in (_draw(2, 4), _draw(2, 4, 3), _draw(2, 1, 4, 3)):
                yield Sample(f"batched-dot-{x.ndim}d-{y.ndim}d", batched_dot, (x, y), _dot_each)
        yield Sample("batched-dot-vector", batched_dot, (_draw(2), t), _dot_each)
        yield Sample("batched-dot-complex", batched_dot, (t + 1j * t, t.swapaxes(1, 2) - 1j), _dot_each)
        yield Sample(
            "batched-axes",
            partial(_swap_call, batched_tensordot, ((1, 2), (2, 1))),
            (t, t.swapaxes(1, 2)),
            _sum_products_each,
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        t, u = _draw(2, 3, 4), _draw(4, 3, 2)
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
        yield BadSample("batch", partial(batched_dot, t, _draw(3, 4, 2)), (), ShapeError, "batched_dot")
        yield BadSample("batched-scalar", batched_dot, (_draw(), t), ShapeError, "at least 1")
        yield BadSample("batch-axis", partial(batched_tensordot, axes=(0, 0)), (t, t), AxisError, "batch axis")
        yield BadSample("batch-at-run", TensorDot((2,), (1,), 1), (t, _draw(1, 4, 2)), ValueError, "axis 0")


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
    a, b = _tensors("tensordot", a, b)
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
    x, y = _tensors("batched_dot", a, b)
    _refuse_rank("batched_dot", x, 1)
    _refuse_rank("batched_dot", y, 1)
    m, n = x.type.ndim, y.type.ndim
    if _differ(x.type.shape[0], y.type.shape[0]):
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
    x, y = _tensors("batched_tensordot", x, y)
    _refuse_rank("batched_tensordot", x, 1)
    _refuse_rank("batched_tensordot", y, 1)
    return tensor_dot(x, y, *_paired_axes("batched_tensordot", x, y, axes, 1), batch=1)


# ---------------------------------------------------------------------------------------------------------------------
# einsum

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@declare
class Einsum(Multilinear):
    """Products of all operands, summed over every letter that the output lacks, as `numpy.einsum`.

    `subscripts` has a letter an axis, each at most once in an operand. Axes of one letter broadcast: each has the
    letter's length, or length 1. (C1) the known lengths of a letter agree so.
    """

    name = "einsum"
    __props__ = ("subscripts",)

    def __init__(self, subscripts: str) -> None:
        self.subscripts = subscripts
        left, self.out = subscripts.split("->")
        self.terms = left.split(",")
        if len(self.terms) == 1 and len(self.out) == len(left):
            self.views = (0,)

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        lengths: dict[str, int | None] = {}
        for term, x in zip(self.terms, inputs, strict=True):
            for letter, n in zip(term, x.type.shape, strict=True):
                m = lengths.setdefault(letter, n)
                if _differ(m, n) and m != 1 and n != 1:  # einsum_c1
                    raise ShapeError(
                        f"einsum: the operands {', '.join(str(x.type) for x in inputs)} do not fit {self.subscripts!r}",
                        why=f"index {letter!r} has lengths {m} and {n}",
                        inputs=inputs,
                    )
                if m == 1 or (m is None and n != 1):
                    lengths[letter] = n
        return (TensorType(_result_dtype(*inputs), [lengths[c] for c in self.out]),)

    def impl(self, *arrays: Any) -> Any:
        if len(arrays) == 1:
            return np.einsum(self.subscripts, arrays[0])
        dtype = np.result_type(*[a.dtype for a in arrays])
        return np.einsum(self.subscripts, *[a.astype(dtype, copy=False) for a in arrays], optimize=True)

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        x, mine = inputs[i], self.terms[i]
        rest = [j for j in range(len(inputs)) if j != i]
        terms = [self.out, *[self.terms[j] for j in rest]]
        kept = "".join(c for c in mine if any(c in t for t in terms))
        found = _einsum(terms, kept, [g, *[conj(inputs[j]) for j in rest]])
        if len(kept) < len(mine):  # summed alone: the same for each index
            found = found.dimshuffle(*[kept.index(c) if c in kept else "x" for c in mine])
        return self._fit(found, x, mine, [(self.terms[j], inputs[j].type.shape) for j in rest])

    def _fit(self, g: Any, x: Any, term: str, rest: Sequence[tuple[str, Shape]]) -> Any:
        """g in the shape of x: repeated along axes that only x has, summed along axes where only x has length 1."""
        grow = shrink = False
        for letter, m, n in zip(term, x.type.shape, g.type.shape, strict=True):
            others = [shape[t.index(letter)] for t, shape in rest if letter in t]
            grow |= m != 1 and (n is None or n == 1) and letter not in self.out
            shrink |= (m is None or m == 1) and n != 1 and any(d != 1 for d in others)
        if grow:
            g = full_shape(g, x)
        return SUM_TO(g, x) if shrink else g

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, subscripts, *inputs in _einsum_cases():
            yield Sample(id, partial(einsum, subscripts), tuple(inputs), partial(np.einsum, subscripts))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        m, n = _draw(2, 3), _draw(4, 5)
        for id, subscripts, inputs, error, says in [
            ("lengths", "ij,jk->ik", (m, n), ShapeError, "'j' has lengths 3 and 4"),
            ("ellipsis-lengths", "...,...->...", (m, n), ShapeError, "axis -2 of '...' has lengths 2 and 4"),
            ("diagonal", "ii->i", (m,), ShapeError, "'i' has lengths 2 and 3"),
            ("diagonal-of-1", "ii->i", (m[:1],), ShapeError, "diagonal"),
            ("rank", "ijk->i", (m,), ShapeError, "3 indices"),
            ("rank-ellipsis", "...ijk->i", (m,), ShapeError, "3 indices"),
            ("count", "ij->i", (m, n), GraphTypeError, "1 operand"),
            ("unknown-output", "ij->k", (m,), GraphTypeError, "'k'"),
            ("repeated-output", "ij->ii", (m,), GraphTypeError, "twice"),
            ("dot", "i.j->i", (m,), GraphTypeError, "'i.j'"),
            ("character", "i1->i", (m,), GraphTypeError, "'1'"),
            ("two-arrows", "ij->j->i", (m,), GraphTypeError, "->"),
            ("lost-ellipsis", "i...->i", (m,), GraphTypeError, "..."),
        ]:
            yield BadSample(id, partial(einsum, subscripts, *inputs), (), error, says)
        yield BadSample(
            "op-lengths", partial(cls("ab,bc->ac"), as_tensor(m), as_tensor(n)), (), ShapeError, "index 'b'"
        )


@declare
class Diagonals(Linear):
    """x with one axis for each letter of `term`: where a letter repeats, the diagonal. A view.

    `Diagonals("aab")(x)[a, b]` is `x[a, a, b]`. (C1) the axes of one letter are equally long.
    """

    name = "diagonals"
    __props__ = ("term",)
    views = (0,)

    def __init__(self, term: str) -> None:
        self.term = term
        self.subscripts = f"{term}->{_once(term)}"

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        lengths: dict[str, int | None] = {}
        for letter, n in zip(self.term, x.type.shape, strict=True):
            m = lengths.setdefault(letter, n)
            if _differ(m, n):  # diagonals_c1
                raise ShapeError(
                    f"einsum: {x.type} has no diagonal over the axes {_places(self.term, letter)}",
                    why=f"they share an index, but have lengths {m} and {n}",
                    inputs=[x],
                )
            lengths[letter] = _known(m, n)
        return (TensorType(x.type.dtype, tuple(lengths.values())),)

    def impl(self, x: Any) -> Any:
        return np.einsum(self.subscripts, x)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return EmbedDiagonals(self.term)(g, x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for term, x in _diagonal_cases():
            op = cls(term)
            yield Sample(f"{term}-{x.dtype}", op, (x,), partial(np.einsum, op.subscripts))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("lengths", partial(cls("aab"), as_tensor(_draw(2, 3, 4))), (), ShapeError, "lengths 2 and 3")


@declare
class EmbedDiagonals(Linear):
    """Zeros in the shape of the second input, with the first along their diagonals: the adjoint of Diagonals."""

    name = "embed_diagonals"
    __props__ = ("term",)

    def __init__(self, term: str) -> None:
        self.term = term

    def infer(self, x: TensorVariable, like: TensorVariable) -> tuple[TensorType]:
        return (TensorType(x.type.dtype, like.type.shape),)

    def impl(self, x: Any, like: Any) -> Any:
        out = np.zeros(like.shape, x.dtype)
        np.einsum(f"{self.term}->{_once(self.term)}", out)[...] = x
        return out

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return Diagonals(self.term)(g)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for term, like in _diagonal_cases():
            x = np.einsum(f"{term}->{_once(term)}", like) * np.ones((), like.dtype)
            yield Sample(f"{term}-{x.dtype}", cls(term), (x, like), partial(_embedded, term), differentiable=(0,))


def _once(term: str) -> str:
    return "".join(dict.fromkeys(term))


def _places(term: str, letter: str) -> str:
    return " and ".join(str(k) for k, c in enumerate(term) if c == letter)


def einsum(*args: Any, optimize: Any = None) -> TensorVariable:
    """Products of all operands, summed over every index that the output lacks, as `numpy.einsum`.

    `einsum("ij,jk->ik", a, b)`, or `einsum(a, [0, 1], b, [1, 2], [0, 2])`. Without an output, its indices are those
    that occur once, sorted. An index repeated in one operand takes the diagonal; `...` stands for the other axes, which
    broadcast; so do axes of length 1. `optimize` is accepted and ignored: the order of products is chosen anyway.
    Raises GraphTypeError for subscripts without meaning, ShapeError when shapes are known and do not fit them.
    """
    if args and isinstance(args[0], str):
        terms, output, given = *_parse(args[0]), list(args[1:])
    else:
        terms, output, given = _parse_interleaved(args)
    if len(terms) != len(given):
        raise GraphTypeError(
            f"einsum: subscripts for {len(terms)} operand{'s' * (len(terms) != 1)}, but {len(given)} given",
            help="write one group of indices an operand, separated by commas",
        )
    inputs = _tensors("einsum", *given)
    letters, out = _canonical(terms, output, inputs)
    for k, (term, x) in enumerate(zip(letters, inputs, strict=True)):
        if len(_once(term)) < len(term):
            letters[k] = _once(term)
            inputs = (*inputs[:k], Diagonals(_renamed(term))(x), *inputs[k + 1 :])
    return _einsum(letters, out, inputs)


def _einsum(terms: Sequence[str], out: str, inputs: Sequence[TensorVariable]) -> TensorVariable:
    """An einsum of terms without repeated letters; only axes moved, where that is all."""
    if len(terms) == 1 and len(out) == len(terms[0]):
        return inputs[0] if out == terms[0] else inputs[0].dimshuffle(*[terms[0].index(c) for c in out])
    return Einsum(_renamed(",".join(terms) + "->" + out))(*inputs)


def _renamed(subscripts: str) -> str:
    """The same with letters in the order a, b, c, ..., so that equal ops look equal."""
    names: dict[str, str] = {}
    return "".join(c if c in ",->" else names.setdefault(c, _LETTERS[len(names)]) for c in subscripts)


def _parse(subscripts: str) -> tuple[list[list[Any]], list[Any] | None]:
    """Groups of indices, where Ellipsis may stand among letters, for each operand and for the output if it is given."""
    left, *right = subscripts.replace(" ", "").split("->")
    if len(right) > 1:
        raise GraphTypeError(f"einsum: {subscripts!r} has more than one '->'")
    return [_indices(part) for part in left.split(",")], _indices(right[0]) if right else None


def _indices(group: str) -> list[Any]:
    head, dots, tail = group.partition("...")
    found = [*head, Ellipsis, *tail] if dots else list(head)
    for c in found:
        if c is not Ellipsis and c not in _LETTERS:
            raise GraphTypeError(
                f"einsum: {c!r} in {group!r} is no index", help="use letters, and '...' at most once an operand"
            )
    return found


def _parse_interleaved(args: tuple[Any, ...]) -> tuple[list[list[Any]], list[Any] | None, list[Any]]:
    groups, given = [list(g) for g in args[1::2]], list(args[0 : len(args) - len(args) % 2 : 2])
    output = list(args[-1]) if len(args) % 2 else None
    for group in [*groups, *([output] if output is not None else [])]:
        for c in group:
            if c is not Ellipsis and not (isinstance(c, (int, np.integer)) and 0 <= c < len(_LETTERS)):
                raise GraphTypeError(
                    f"einsum: {c!r} is no index",
                    help=f"use ints from 0 to {len(_LETTERS) - 1}, and Ellipsis at most once",
                )
        if group.count(Ellipsis) > 1:
            raise GraphTypeError("einsum: Ellipsis occurs twice for one operand")
    if not groups:
        raise GraphTypeError("einsum needs subscripts", help='for example einsum("ij,jk->ik", a, b)')
    return groups, output, given


def _canonical(
    terms: Sequence[list[Any]], output: list[Any] | None, inputs: Sequence[TensorVariable]
) -> tuple[list[str], str]:
    """The groups with the ellipses spelled out, one letter an index."""
    hidden = [_hidden(term, x) for term, x in zip(terms, inputs, strict=True)]
    most = max(hidden)
    full = [_spelled(term, n) for term, n in zip(terms, hidden, strict=True)]
    _refuse_unequal(full, inputs)
    every = [c for term in full for c in term]
    if output is None:
        once = sorted(c for c in set(every) if not isinstance(c, _Hidden) and every.count(c) == 1)
        output = [Ellipsis, *once]
    elif most and Ellipsis not in output:
        raise GraphTypeError(
            "einsum: the output has no '...'",
            why=f"in the operands '...' stands for {most} ax{'i' if most == 1 else 'e'}s",
        )
    out = _spelled(output, most)
    for c in out:
        if c not in every:
            raise GraphTypeError(f"einsum: the output index {c!r} occurs in no operand")
        if out.count(c) > 1:
            raise GraphTypeError(f"einsum: the index {c!r} occurs twice in the output")
    names = dict(zip(dict.fromkeys(every), _LETTERS, strict=False))
    if len(names) < len(set(every)):
        raise GraphTypeError(f"einsum: more than {len(_LETTERS)} indices")
    return ["".join(names[c] for c in term) for term in full], "".join(names[c] for c in out)


class _Hidden(int):
    """An axis that `...` stands for, counted from the right: -1 is the last."""

    def __repr__(self) -> str:
        return f"axis {int(self)} of '...'"


def _refuse_unequal(terms: Sequence[list[Any]], inputs: Sequence[TensorVariable]) -> None:
    """Raise ShapeError for lengths known to differ, in the caller's own letters."""
    known: dict[Any, int] = {}
    for term, x in zip(terms, inputs, strict=True):
        for c, n in zip(term, x.type.shape, strict=True):
            if n is not None and n != 1 and known.setdefault(c, n) != n:
                raise ShapeError(
                    f"einsum: index {c!r} has lengths {known[c]} and {n}",
                    why="axes that share an index are equally long, or have length 1",
                    help="the operands are " + ", ".join(str(y.type) for y in inputs),
                    inputs=inputs,
                )


def _hidden(term: list[Any], x: TensorVariable) -> int:
    """How many axes of x the ellipsis stands for."""
    named = sum(c is not Ellipsis for c in term)
    n = x.type.ndim - named
    if n < 0 or (n > 0 and Ellipsis not in term):
        raise ShapeError(
            f"einsum: {named} indices {'or more ' * (Ellipsis in term)}for {x.type}, which has {x.type.ndim} axes",
            help="write one index an axis; '...' stands for the axes that are not named",
            inputs=[x],
        )
    return n


def _spelled(term: list[Any], hidden: int) -> list[Any]:
    return [d for c in term for d in ([_Hidden(k) for k in range(-hidden, 0)] if c is Ellipsis else [c])]


# ---------------------------------------------------------------------------------------------------------------------
# written with these


def outer(x: Any, y: Any) -> TensorVariable:
    """The products of each element of x with each of y, both flattened, as `numpy.outer`: a matrix."""
    return _outer(*[a if a.type.ndim == 1 else a.flatten() for a in _tensors("outer", x, y)])


def inner(x: Any, y: Any) -> TensorVariable:
    """The last axes of x and y summed together, as `numpy.inner`; a 0-d operand multiplies."""
    a, b = _tensors("inner", x, y)
    return a * b if a.type.ndim == 0 or b.type.ndim == 0 else tensordot(a, b, (-1, -1))


def vdot(x: Any, y: Any) -> TensorVariable:
    """The sum of conj(x) * y over all elements, both flattened, as `numpy.vdot`."""
    x, y = (a if a.type.ndim == 1 else a.flatten() for a in _tensors("vdot", x, y))
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
    x, y = _tensors("kron", a, b)
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
    if _differ(*square.type.shape[-2:]):
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


def _draw(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng([seed, *shape]).uniform(-2, 2, shape)


def _swap_call(function: Callable[..., Any], axes: Any, x: Any, y: Any) -> Any:
    return function(x, y, axes)


def _dot_each(a: Any, b: Any) -> Any:
    return np.stack([np.dot(x, y) for x, y in zip(a, b, strict=True)])


def _sum_products_each(x: Any, y: Any) -> Any:
    return np.stack([np.tensordot(a, b, ((0, 1), (1, 0))) for a, b in zip(x, y, strict=True)])


def _diagonal_cases() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield "aa", _draw(3, 3)
    yield "aab", _draw(2, 2, 3)
    yield "aba", _draw(2, 3, 2).astype("float32")
    yield "aaa", _draw(2, 2, 2) + 1j
    yield "abab", _draw(2, 3, 2, 3)[::-1]
    yield "aa", np.arange(4).reshape(2, 2)
    yield "aa", _draw(0, 0).astype("float32")
    yield "aab", _draw(1, 1, 2) > 0


def _embedded(term: str, x: Any, like: Any) -> Any:
    out = np.zeros_like(like)
    for index in np.ndindex(*x.shape):
        at = dict(zip(_once(term), index, strict=True))
        out[tuple(at[c] for c in term)] = x[index]
    return out


def _einsum_cases() -> Iterator[tuple[Any, ...]]:
    """Subscripts with operands that fit: every feature, and what people write most."""
    v, w, m, n, s, t = _draw(3), _draw(4), _draw(2, 3), _draw(3, 4), _draw(3, 3), _draw(2, 3, 4)
    yield "identity", "ij->ij", m
    yield "transpose", "ij->ji", m
    yield "permute", "ijk->kij", t
    yield "sum", "ij->", m
    yield "sum-rows", "ij->j", m
    yield "sum-and-transpose", "ijk->ki", t
    yield "dot", "i,i", v, v[::-1]
    yield "matrix-vector", "ij,j->i", m, v
    yield "matrix-matrix", "ij,jk->ik", m, n
    yield "implicit", "ij,jk", m, n
    yield "implicit-sorted", "ba", m
    yield "transposed-product", "ij,kj->ik", m, s
    yield "outer", "i,j->ij", v, w
    yield "hadamard", "ij,ij->ij", m, m + 1
    yield "frobenius", "ij,ij->", m, m + 1
    yield "bilinear", "i,ij,j->", v, n, w
    yield "batched", "bij,bjk->bik", t, _draw(2, 4, 2)
    yield "batched-vector", "bij,bj->bi", t, _draw(2, 4)
    yield "chain", "ij,jk,kl->il", m, n, _draw(4, 2)
    yield "trace", "ii->", s
    yield "diagonal", "ii->i", s
    yield "diagonal-implicit", "ii", s
    yield "diagonal-of-stack", "iij->j", _draw(2, 2, 3)
    yield "diagonal-thrice", "iii->i", _draw(2, 2, 2)
    yield "diagonal-times", "ii,i->i", s, v
    yield "two-diagonals", "ijij->ij", _draw(2, 3, 2, 3)
    yield "sum-alone", "ij,k->i", m, w
    yield "ellipsis", "...ij,...jk->...ik", t, _draw(2, 4, 2)
    yield "ellipsis-broadcast", "...i,...i->...", t, w
    yield "ellipsis-implicit", "...i,...i", t, w
    yield "ellipsis-end", "i...->...", t
    yield "ellipsis-middle", "i...j->j...i", t
    yield "ellipsis-diagonal", "...ii->...i", _draw(2, 3, 3)
    yield "ellipsis-empty", "...i->...", v
    yield "length-1", "ij,jk->ik", _draw(2, 1), n
    yield "length-1-kept", "ij,ij->ij", _draw(2, 1), m
    yield "length-1-both", "ij,ij->", _draw(1, 3), _draw(2, 1)
    yield "length-1-three", "ij,j,j->i", m, _draw(1), v
    yield "length-1-diagonal", "ii,i->i", _draw(1, 1), v
    yield "length-1-summed", "ij,kj->ik", m, _draw(2, 1)
    yield "scalar", ",ij->ij", _draw(), m
    yield "only-scalars", ",->", _draw(), _draw(seed=1)
    yield "attention", "bqhd,bkhd->bhqk", _draw(1, 2, 2, 3), _draw(1, 3, 2, 3)
    yield "tensor-contraction", "ijk,jil->kl", t, _draw(3, 2, 2)
    yield "no-terms", "ij,jk->ik", _draw(2, 0), _draw(0, 3)
    yield "capital", "Ij,jK->KI", m, n
    yield "spaces", "i j, j k -> i k", m, n
    yield "int", "ij,j->i", np.arange(6).reshape(2, 3), np.arange(3)
    yield "int8-sum", "ij->i", np.full((2, 3), 100, "int8")
    yield "bool", "ij,jk->ik", m > 0, n > 0
    yield "float32", "ij,jk->ik", m.astype("float32"), n.astype("float32")
    yield "mixed", "ij,jk->ik", m.astype("float32"), np.arange(12, dtype="int8").reshape(3, 4)
    yield "complex", "ij,jk->ik", m + 1j * m[::-1], n - 1j
    yield "complex-diagonal", "ii,i->", s + 1j * s.T, v
    yield "strided", "ij,jk->ki", m[::-1, ::2], n[::2, ::-1]
