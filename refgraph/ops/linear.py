"""Ops that are linear in their inputs, or in some of them: their derivatives are the op itself and its adjoint."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import refgraph.ops as ops
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import Derivatives, Op
from refgraph.core.types import DisconnectedType
from refgraph.ops.tensor import CONTINUOUS, TensorVariable


class TensorOp(Op):
    """An op with one output, a tensor."""

    def __call__(self, *inputs: Any, **kwargs: Any) -> TensorVariable:
        return self.make_node(*inputs, **kwargs).outputs[0]  # type: ignore[return-value]  # a tensor


class Linear(TensorOp):
    """An op that is linear in its first input; the other inputs say how, and have no derivative."""

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


class Multilinear(TensorOp):
    """An op that is linear in each of its inputs; a subclass says `pull`, its adjoint in one of them."""

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        """The cotangent of input i, in any dtype, given that of the output."""
        raise NotImplementedError(f"{type(self).__name__} says no `pull`")

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if not isinstance(g, Variable):
            return (g,) * len(node.inputs)
        return [partial(self._pull, node, i, g) for i in range(len(node.inputs))]

    def _pull(self, node: Apply, i: int, g: Any) -> Any:
        return same_kind(self.pull(i, g, node.inputs), node.inputs[i])

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        terms = [
            self(*node.inputs[:i], t, *node.inputs[i + 1 :]) for i, t in enumerate(tangents) if isinstance(t, Variable)
        ]
        if not terms:
            return (no_tangent(tangents),)
        return (same_kind(reduce(operator.add, terms), node.outputs[0]),)


def joint_tangent(op: Op, node: Apply, tangents: Derivatives) -> Any:
    """The tangent of the output of an op that is linear in its first inputs together, given theirs.

    It is the op of the tangents, with zeros for an input that does not move; other inputs say how.
    """
    if not any(isinstance(t, Variable) for t in tangents):
        return no_tangent(tangents)
    pairs = zip(tangents, node.inputs, strict=False)
    moved = [t if isinstance(t, Variable) else ops.construct.zeros_like(x) for t, x in pairs]
    return same_kind(op(*moved, *node.inputs[len(moved) :]), node.outputs[0])


def no_tangent(tangents: Derivatives) -> int | None:
    """What comes of tangents none of which is a variable: 0 where something is connected, else None."""
    return None if all(t is None for t in tangents) else 0


def zeros_for(x: Any) -> Any:
    """A zero derivative of x: its shape; its dtype, or floatX where x is discrete. What is no tensor has none."""
    if not isinstance(x, TensorVariable):
        return DisconnectedType()()
    return x.zeros_like() if x.type.is_continuous else x.zeros_like(dtype="floatX")


def same_kind(g: Any, x: Any) -> Any:
    """A derivative of x in x's dtype: its real part where x is real; a float where x is discrete."""
    if g.type.is_complex and not x.type.is_complex:
        g = g.real
    dtype = x.type.dtype
    return g if g.type.dtype == dtype or dtype not in CONTINUOUS else g.astype(dtype)
