"""Ops whose value is their input and whose derivative is something else: clipped, scaled, zero, cut, undefined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply
from refgraph.core.op import Derivatives, Op, Sample, declare, is_zero
from refgraph.core.types import NullType
from refgraph.ops import elementwise
from refgraph.ops.tensor import TensorType, TensorVariable, as_tensor

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch


class PassThrough(Op):
    """The input itself; subclasses say what flows back (`back`) and forth (`forth`) instead of its derivative."""

    views = (0,)

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (x.type,)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any) -> Any:
        return x

    def back(self, g: Any) -> Any:
        """The cotangent of the input, given that of the output."""
        return 0

    def forth(self, t: Any) -> Any:
        """The tangent of the output, given that of the input."""
        return self.back(t)

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        return tuple([g if g is None or is_zero(g) else self.back(g) for g in cotangents])

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        return tuple([t if t is None or is_zero(t) else self.forth(t) for t in tangents])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for x in (np.array([-2.0, 0.5, 3.0]), np.float32(1.5)):
            yield Sample(f"{np.asarray(x).dtype}", cls._sample, (np.asarray(x),), lambda x: x, differentiable=())

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return self.make_node(*batch.inputs).outputs

    @classmethod
    def _sample(cls, x: Any) -> Any:
        return cls()(x)


@declare
class GradClip(PassThrough):
    """Clip what flows back into [low, high]."""

    name = "grad_clip"
    __props__ = ("low", "high")

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        if not low <= high:
            raise GraphTypeError(f"grad_clip: the lower bound {low} is above the upper bound {high}")
        self.low, self.high = low, high

    def back(self, g: Any) -> Any:
        return elementwise.clip(g, self.low, self.high)

    def forth(self, t: Any) -> Any:
        return t


@declare
class GradScale(PassThrough):
    """Multiply what flows back by a number."""

    name = "grad_scale"
    __props__ = ("multiplier",)

    def __init__(self, multiplier: float = 1.0) -> None:
        self.multiplier = multiplier

    def back(self, g: Any) -> Any:
        return g * self.multiplier


@declare
class ZeroGrad(PassThrough):
    """Connected, with a derivative of zero."""

    name = "zero_grad"
    __props__ = ("name",)


@declare
class DisconnectedGrad(PassThrough):
    """Not connected: asking for a derivative through it raises DisconnectedInputError."""

    name = "disconnected_grad"
    __props__ = ("name",)

    def back(self, g: Any) -> Any:
        return None


@declare
class UndefinedGrad(PassThrough):
    """No derivative exists: asking for one raises NullTypeGradError."""

    name = "undefined_grad"
    __props__ = ("name",)

    def back(self, g: Any) -> Any:
        return NullType("undefined_grad says that no derivative exists here").variable()


def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> TensorVariable:
    """x, whose gradient is clipped into [lower_bound, upper_bound] where it passes here."""
    return GradClip(lower_bound, upper_bound)(as_tensor(x))  # type: ignore[no-any-return]


def grad_scale(x: Any, multiplier: float) -> TensorVariable:
    """x, whose gradient is multiplied by a number where it passes here."""
    return GradScale(multiplier)(as_tensor(x))  # type: ignore[no-any-return]


def zero_grad(x: Any) -> TensorVariable:
    """x as a constant of differentiation: connected, with gradient zero."""
    return ZeroGrad()(as_tensor(x))  # type: ignore[no-any-return]


consider_constant = zero_grad


def disconnected_grad(x: Any) -> TensorVariable:
    """x as something that a cost does not depend on."""
    return DisconnectedGrad()(as_tensor(x))  # type: ignore[no-any-return]


def undefined_grad(x: Any) -> TensorVariable:
    """x as something that has no derivative."""
    return UndefinedGrad()(as_tensor(x))  # type: ignore[no-any-return]
