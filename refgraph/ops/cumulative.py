"""Running sums and products along an axis, and differences of neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import Derivatives, Sample, declare
from refgraph.ops.families import conj
from refgraph.ops.lengths import one_axis
from refgraph.ops.linear import Linear, TensorOp, no_tangent
from refgraph.ops.reductions import widened
from refgraph.ops.shape import flat_or_along
from refgraph.ops.tensor import TensorType, TensorVariable, as_tensor

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch


def cumsum(x: Any, axis: int | None = None) -> TensorVariable:
    """Running sums along an axis, or of the flattened elements. Integers widen to 64 bits."""
    x, along = flat_or_along("cumsum", x, axis)
    return CumSum(along)(x)


def cumprod(x: Any, axis: int | None = None) -> TensorVariable:
    """Running products along an axis, or of the flattened elements. Integers widen to 64 bits.

    Derivatives of every order hold at any number of zeros.
    """
    x, along = flat_or_along("cumprod", x, axis)
    return CumProd(along)(x)


def diff(x: Any, n: int = 1, axis: int = -1) -> TensorVariable:
    """Differences of neighbours along an axis, taken n times; of bools, whether they differ."""
    y = as_tensor(x)
    if n < 0:
        raise GraphTypeError(f"diff: n={n} is negative")
    before = (slice(None),) * one_axis("diff", axis, y.type.ndim, y)
    for _ in range(n):
        above, below = y[(*before, slice(1, None))], y[(*before, slice(None, -1))]
        y = above ^ below if y.type.dtype == "bool" else above - below
    return y


class Cumulative(TensorOp):
    """A ufunc accumulated along one axis, from the far end where `reverse`. Integers widen to 64 bits."""

    __props__ = ("axis", "reverse")
    ufunc: np.ufunc

    def __init__(self, axis: int, reverse: bool = False) -> None:
        self.axis, self.reverse = axis, reverse

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (TensorType(widened(x.type.dtype)[0], x.type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any) -> Any:
        dtype = widened(x.dtype.name)[0]
        if self.reverse:
            return np.flip(self.ufunc.accumulate(np.flip(x, self.axis), self.axis, dtype), self.axis)
        return self.ufunc.accumulate(x, self.axis, dtype)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [type(self)(self.axis + 1, self.reverse)(*batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.random.default_rng(7).uniform(-2, 2, (3, 4))
        x[1, 2] = x[2, 2] = 0
        judge: Any = {"cumsum": np.cumsum, "cumprod": np.cumprod}[cls.name]
        for dtype in ("float64", "float32", "float16", "complex128", "int8", "uint8", "bool"):
            yield Sample(f"{dtype}-axis0", cls(0), (x.astype(dtype),), lambda x: judge(x, axis=0))
        yield Sample("axis1", cls(1), (x,), lambda x: judge(x, axis=1))
        yield Sample("reverse", cls(1, True), (x,), lambda x: judge(x[:, ::-1], axis=1)[:, ::-1])
        yield Sample("complex-reverse", cls(0, True), (x * (1 + 0.5j),), lambda x: judge(x[::-1], axis=0)[::-1])
        yield Sample("empty", cls(0), (x[:0],), lambda x: judge(x, axis=0))
        yield Sample("length-1", cls(0), (x[:1],), lambda x: judge(x, axis=0))
        yield Sample("strided", cls(1), (x[::2, ::-1],), lambda x: judge(x, axis=1))


@declare
class CumSum(Cumulative, Linear):
    """Running sums."""

    name = "cumsum"
    ufunc = np.add

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return CumSum(self.axis, not self.reverse)(g)


@declare
class CumProd(Cumulative):
    """Running products z. Their tangents s along t, without division: s[i] = x[i] * s[i-1] + z[i-1] * t[i]."""

    name = "cumprod"
    ufunc = np.multiply

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,), (x,), (z,) = cotangents, node.inputs, node.outputs
        if not isinstance(g, Variable):
            return (g,)
        return (_recurrence_back(self, x, g) * conj(_neighbour(self, z, 1)),)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (t,), (x,), (z,) = tangents, node.inputs, node.outputs
        if not isinstance(t, Variable):
            return (t,)
        return (LinearRecurrence(self.axis, self.reverse)(x, t * _neighbour(self, z, 1)),)


@declare
class LinearRecurrence(TensorOp):
    """y[i] = a[i] * y[i-1] + b[i] along `axis`, y being 0 before its beginning; from the far end where `reverse`.

    Its adjoint is the recurrence from the other end.
    """

    __props__ = ("axis", "reverse")
    name = "linear_recurrence"

    def __init__(self, axis: int, reverse: bool = False) -> None:
        self.axis, self.reverse = axis, reverse

    def infer(self, a: TensorVariable, b: TensorVariable) -> tuple[TensorType]:
        dtype = np.result_type(a.type.numpy_dtype, b.type.numpy_dtype).name
        return (TensorType(dtype, b.type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[1])]

    def impl(self, a: Any, b: Any) -> Any:
        y = b.astype(np.result_type(a, b))
        rows, factors = np.moveaxis(y, self.axis, 0), np.moveaxis(a, self.axis, 0)
        if self.reverse:
            rows, factors = rows[::-1], factors[::-1]
        n, size = len(rows), math.prod(rows.shape[1:])
        if n < 256 or n < size or not _scan_blocks(factors, rows, math.isqrt(n)):
            _scan(factors, rows)
        return y

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,), (a, _), (y,) = cotangents, node.inputs, node.outputs
        if not isinstance(g, Variable):
            return g, g
        back = _recurrence_back(self, a, g)
        return (lambda: back * conj(_neighbour(self, y, 0))), back

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (ta, tb), (a, _), (y,) = tangents, node.inputs, node.outputs
        terms: list[Any] = [ta * _neighbour(self, y, 0)] if isinstance(ta, Variable) else []
        terms += [tb] if isinstance(tb, Variable) else []
        if not terms:
            return (no_tangent(tangents),)
        return (self(a, sum(terms[1:], terms[0])),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [LinearRecurrence(self.axis + 1, self.reverse)(batch.spread(0), batch.spread(1))]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        a = np.array([[9.0, 2.0, 0.0, -1.0], [7.0, 0.5, 3.0, 2.0]])
        b = np.array([[1.0, 0.5, -1.0, 2.0], [0.0, 1.0, 4.0, -2.0]])
        want = np.array([[1.0, 2.5, -1.0, 3.0], [0.0, 1.0, 7.0, 12.0]])
        yield Sample("axis1", cls(1), (a, b), lambda a, b: want)
        yield Sample("reverse", cls(1, True), (a[:, ::-1], b[:, ::-1]), lambda a, b: want[:, ::-1])
        yield Sample("axis0", cls(0), (a.T, b.T), lambda a, b: want.T)
        yield Sample("complex", cls(0), (a.T + 1j, b.T - 2j))
        yield Sample("empty", cls(1), (a[:, :0], b[:, :0]), lambda a, b: b)


def _scan(a: Any, y: Any, start: int = 1) -> None:
    """y[i] += a[i] * y[i-1], for each i from `start`."""
    for i in range(start, len(y)):
        y[i] += a[i] * y[i - 1]


def _scan_blocks(a: Any, y: Any, blocks: int) -> bool:
    """`_scan` of that many blocks abreast; False, and y as it was, where a block's product of a is not finite.

    Each block runs twice: from 0, for what it adds to what comes in, which its product of a multiplies; and, once that
    is known for every block, from what comes in. So only these values round otherwise than in `_scan`.
    """
    steps = len(y) // blocks
    rows = y[: blocks * steps].reshape(blocks, steps, *y.shape[1:])
    factors = a[: blocks * steps].reshape(rows.shape)
    through = np.multiply.reduce(factors, 1)
    if not np.isfinite(through).all():
        return False
    ends = rows[:, 0].copy()
    for j in range(1, steps):
        ends *= factors[:, j]
        ends += rows[:, j]
    _scan(through, ends)
    rows[1:, 0] += factors[1:, 0] * ends[:-1]
    _scan(np.moveaxis(factors, 1, 0), np.moveaxis(rows, 1, 0))
    _scan(a, y, blocks * steps)
    return True


@declare
class Shift(Linear):
    """x moved one place along `axis`, forwards or backwards; `fill` takes the place that becomes free."""

    __props__ = ("axis", "backwards", "fill")
    name = "shift"

    def __init__(self, axis: int, backwards: bool = False, fill: int = 0) -> None:
        self.axis, self.backwards, self.fill = axis, backwards, fill

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (x.type,)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any) -> Any:
        out = np.full_like(x, self.fill)
        to, of = np.moveaxis(out, self.axis, 0), np.moveaxis(x, self.axis, 0)
        if self.backwards:
            to[:-1] = of[1:]
        else:
            to[1:] = of[:-1]
        return out

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return Shift(self.axis, not self.backwards)(g)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return Linear.jvp(Shift(self.axis, self.backwards), node, tangents)  # `fill` does not move

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Shift(self.axis + 1, self.backwards, self.fill)(*batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.arange(6.0).reshape(2, 3)
        yield Sample("forwards", cls(1), (x,), lambda x: np.array([[0.0, 0, 1], [0, 3, 4]]))
        yield Sample("backwards", cls(1, True), (x,), lambda x: np.array([[1.0, 2, 0], [4, 5, 0]]))
        yield Sample("fill", cls(0, False, 1), (x,), lambda x: np.array([[1.0, 1, 1], [0, 1, 2]]))
        yield Sample("empty", cls(0), (x[:0],), lambda x: x)


def _neighbour(op: Any, z: Any, fill: int) -> Any:
    """z[i-1], where op runs from 0 up; z[i+1] where it runs down; `fill` where there is none."""
    return Shift(op.axis, op.reverse, fill)(z)


def _recurrence_back(op: Any, a: Any, g: Any) -> Any:
    """The adjoint of op's recurrence, with coefficients a, applied to g: w[i] = conj(a[i+1]) * w[i+1] + g[i]."""
    return LinearRecurrence(op.axis, not op.reverse)(conj(Shift(op.axis, not op.reverse)(a)), g)
