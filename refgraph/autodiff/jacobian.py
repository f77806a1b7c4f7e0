"""Jacobians and Hessians: one pullback, mapped over the rows of the identity."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from refgraph.autodiff.forward import Rop
from refgraph.autodiff.reverse import Lop, grad, like, listed
from refgraph.core.errors import GraphTypeError, NonScalarCostError
from refgraph.core.graph import Variable
from refgraph.ops.construct import eye
from refgraph.ops.joining import concatenate
from refgraph.ops.tensor import TensorVariable


def jacobian(
    expression: Any, wrt: Any, consider_constant: Collection[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The derivatives of every element of `expression` by every element of `wrt`.

    expression: a continuous variable of any rank; wrt: a variable, or a list or tuple of them.
    The answer, one for each of wrt, has the shape of expression followed by the shape of wrt.
    Raises DisconnectedInputError as grad does.
    """
    if not isinstance(expression, TensorVariable) or not expression.type.is_continuous:
        raise GraphTypeError(
            f"jacobian takes a float or complex expression, got {expression} ({getattr(expression, 'type', None)})"
        )
    from refgraph.ops.control import map_graph  # loads when there is something to map

    wanted = listed(wrt)
    flat = expression.flatten() if expression.ndim != 1 else expression

    def rows(seed: Any) -> list[Any]:
        return Lop(flat, wanted, seed, consider_constant, disconnected_inputs)  # type: ignore[no-any-return]

    n = flat.shape[0]
    found = map_graph(rows, [eye(n, dtype=expression.dtype)])
    if expression.ndim != 1:
        heads = [expression.shape] if expression.ndim else []
        found = [
            j.reshape(concatenate([*heads, x.shape]) if heads or x.ndim else (), ndim=expression.ndim + x.ndim)
            for j, x in zip(found, wanted, strict=True)
        ]
    return like(wrt, found)


def hessian(
    cost: Any, wrt: Any, consider_constant: Collection[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The second derivatives of a scalar `cost` by `wrt`: for each of wrt an array of its shape twice over.

    Only the blocks of each variable by itself, as in Theano.
    """
    blocks = []
    for x in listed(wrt):
        slope = grad(cost, x, consider_constant, disconnected_inputs)
        blocks.append(jacobian(slope, x, consider_constant, disconnected_inputs="ignore"))
    return like(wrt, blocks)


def hessian_vector_product(cost: Any, wrt: Any, p: Any) -> Any:
    """The Hessian of a scalar `cost` by all of `wrt` together, times `p`: forward over reverse mode, no Hessian made.

    wrt: a variable, or a list or tuple of them; p: one direction for each, of its shape. Answers have wrt's shapes.
    """
    if not isinstance(cost, TensorVariable) or cost.ndim != 0:
        raise NonScalarCostError(f"cost must be a scalar, got {cost} ({getattr(cost, 'type', None)})")
    slopes = grad(cost, listed(wrt))
    return like(wrt, Rop(slopes, listed(wrt), listed(p), disconnected_outputs="ignore"))
