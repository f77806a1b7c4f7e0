"""Products of matrices added to something: what BLAS does in one call, its gemm, gemv and ger.

Rewriting makes these; nobody has to write them.

(C. L. Lawson et al., "Basic linear algebra subprograms for Fortran usage", 1979; J. Dongarra et al., "A set of level 3
basic linear algebra subprograms", 1990.)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from refgraph.core.errors import DTypeError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Compile, Derivatives, Sample, declare
from refgraph.ops.families import broadcast_shapes, conj, full_shape, sum_to
from refgraph.ops.linalg import DOT, MATMUL
from refgraph.ops.linear import TensorOp, no_tangent, same_kind
from refgraph.ops.sample_arrays import numbers
from refgraph.ops.tensor import CONTINUOUS, TensorConstant, TensorType, TensorVariable, weak_constant

_LARGE = 1 << 15
"""Elements from which on it matters how often memory is gone over."""


@declare
class Gemm(TensorOp):
    """beta * c + alpha * (x @ y). Inputs: c, alpha, x, y, beta.

    alpha and beta are 0-d. The product is that of `Dot`, or of `MatMul` where `stacked`; c broadcasts with it.
    (C1) all inputs have one dtype, a floating or complex one; (C2) alpha and beta have no axes.
    """

    __props__ = ("stacked",)
    name = "gemm"

    def __init__(self, stacked: bool = False) -> None:
        self.stacked = stacked

    @property
    def product(self) -> Any:
        """The op that x @ y is."""
        return MATMUL if self.stacked else DOT

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        c, alpha, x, y, beta = inputs
        dtype = c.type.dtype
        if dtype not in CONTINUOUS or any(v.type.dtype != dtype for v in inputs):  # gemm_c1
            raise DTypeError(
                f"gemm takes inputs of one floating dtype, got {', '.join(str(v.type) for v in inputs)}", inputs=inputs
            )
        if alpha.type.ndim or beta.type.ndim:  # gemm_c2
            raise ShapeError(f"gemm: alpha and beta are scalars, got {alpha.type} and {beta.type}", inputs=inputs)
        (product,) = self.product.infer(x, y)
        return (TensorType(dtype, broadcast_shapes("gemm", [c, product.variable()])),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        c, _, x, y, _ = map(known.of, node.inputs)
        product = [*known.joined(x[:-2], y[:-2]), x[-2], y[-1]] if self.stacked else [*x[:-1], *y[1:]]
        return [known.joined(c, product)]

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        ones = [isinstance(x, TensorConstant) and x.value == 1 for x in (node.inputs[1], node.inputs[4])]
        if self.stacked or not all(ones):
            return self.impl
        return lambda c, alpha, x, y, beta: self.impl(c, 1, x, y, 1) if c.size > _LARGE else c + np.dot(x, y)

    def impl(self, c: Any, alpha: Any, x: Any, y: Any, beta: Any) -> Any:
        if c.size <= _LARGE or not self._is_plain(c, x, y):
            z = np.matmul(x, y) if self.stacked else np.dot(x, y)
            z = z if alpha == 1 else z * alpha
            return (c if beta == 1 else c * beta) + z
        if x.shape[1] == 1:
            z = np.multiply(x if alpha == 1 else x * alpha, y)
        else:
            z = np.dot(x, y)
            if alpha != 1:
                z *= alpha
        return np.add(c if beta == 1 else c * beta, z, out=z)

    def _is_plain(self, c: Any, x: Any, y: Any) -> bool:
        """Whether these are matrices, c as large as the product."""
        return bool(
            x.ndim == y.ndim == 2 and not self.stacked and c.shape == (x.shape[0], y.shape[1]) and x.shape[1] == len(y)
        )

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if not isinstance(g, Variable):
            return (g,) * 5
        c, alpha, x, y, beta = node.inputs
        product: Any = self.product(x, y)
        both: Any = sum_to(g, product, [c])

        def factor(i: int) -> Callable[[], Any]:
            return lambda: same_kind(self.product.pull(i, conj(alpha) * both, (x, y)), node.inputs[2 + i])

        return (
            lambda: sum_to(g * conj(beta), c, [product]),
            lambda: (both * conj(product)).sum(),
            factor(0),
            factor(1),
            lambda: (g * conj(c)).sum(),
        )

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        moved = [t if isinstance(t, Variable) else None for t in tangents]
        terms: list[Any] = []
        for i, t in enumerate(moved):
            if t is not None:
                c, alpha, x, y, beta = [t if j == i else v for j, v in enumerate(node.inputs)]
                terms.append(c * beta if i in (0, 4) else alpha * self.product(x, y))  # type: ignore[operator]  # tensors
        if not terms:
            return (no_tangent(tangents),)
        z: Any = node.outputs[0]
        return (same_kind(full_shape(reduce(operator.add, terms), z), z),)

    def __repr__(self) -> str:
        return "gemm{stacked}" if self.stacked else "gemm"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        c, x, y = numbers(2, 4), numbers(2, 3, seed=1), numbers(3, 4, seed=2)
        a, b = np.array(0.5), np.array(-2.0)
        big = numbers(150, 250), numbers(150, 2, seed=1), numbers(2, 250, seed=2)
        for id, arrays in {
            "matrices": (c, a, x, y, b),
            "ones": (c, np.array(1.0), x, y, np.array(1.0)),
            "row": (c[:1], a, x, y, b),
            "vector-broadcasts": (c[0], a, x, y, b),
            "product-broadcasts": (c, a, x[:1], y, b),
            "matrix-vector": (c[:, 0], a, x, y[:, 0], b),
            "vector-matrix": (c[0], a, x[0], y, b),
            "vectors": (np.array(1.5), a, x[0], y[:, 0], b),
            "large": (big[0], a, big[1], big[2], b),
            "large-transposed": (big[0].T, a, big[2].T, big[1].T, b),
            "large-strided": (big[0][::-1, ::-1], a, big[1][::-1], big[2][:, ::-1], b),
            "large-broadcast": (big[0][:1], a, big[1], big[2], b),
            "large-outer": (big[0], a, big[1][:, :1], big[2][:1], b),
            "no-terms": (c, a, x[:, :0], y[:0], b),
            "no-rows": (c[:0], a, x[:0], y, b),
        }.items():
            yield Sample(id, cls(), arrays, _meant)
            if id in ("matrices", "large"):
                yield Sample(f"{id}-float32", cls(), tuple(v.astype("float32") for v in arrays), _meant)
                yield Sample(f"{id}-float16", cls(), tuple(v.astype("float16") for v in arrays), _meant, ())
                yield Sample(f"{id}-complex", cls(), tuple(v + 0.5j * v for v in arrays), _meant)
        for id, given in {"known-ones": (c, x, y), "known-ones-large": big}.items():
            yield Sample(id, lambda c, x, y: gemm(c, 1, x, y), given, lambda c, x, y: c + np.dot(x, y))
        yield Sample("stacks", cls(True), (numbers(5, 2, 4), a, numbers(5, 2, 3, seed=1), y, b), _meant)
        yield Sample("stacks-broadcast", cls(True), (c, a, numbers(5, 2, 3, seed=1), y[None], b), _meant)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        c, x, y, a = numbers(2, 4), numbers(2, 3), numbers(3, 4), np.array(1.0)
        yield BadSample("dtypes", cls(), (c, a, x.astype("float32"), y, a), DTypeError, "one floating dtype")
        yield BadSample("integers", cls(), tuple(v.astype(int) for v in (c, a, x, y, a)), DTypeError, "one floating")
        yield BadSample("alpha", cls(), (c, c, x, y, a), ShapeError, "alpha and beta are scalars")
        yield BadSample("shapes", cls(), (numbers(3, 4), a, x, y, a), ValueError, "broadcast")


GEMM, GEMM_STACKED = Gemm(), Gemm(True)


def _meant(c: Any, alpha: Any, x: Any, y: Any, beta: Any) -> Any:
    return beta * c + alpha * (np.matmul(x, y) if x.ndim > 2 or y.ndim > 2 else np.dot(x, y))


def gemm(c: Any, alpha: Any, x: Any, y: Any, beta: Any = 1) -> TensorVariable:
    """beta * c + alpha * (x @ y) as one application; alpha and beta are numbers or 0-d variables of the dtype of c."""
    stacked = x.type.ndim > 2 or y.type.ndim > 2
    alpha, beta = (v if isinstance(v, Variable) else weak_constant(v, c.type.dtype) for v in (alpha, beta))
    return (GEMM_STACKED if stacked else GEMM)(c, alpha, x, y, beta)
