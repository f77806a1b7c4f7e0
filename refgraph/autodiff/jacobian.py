"""Jacobians and Hessians: one pullback, of all rows of the identity at once (see ops/vectorize.py)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from refgraph.autodiff.forward import Rop
from refgraph.autodiff.reverse import Lop, grad, like, listed
from refgraph.core.errors import GraphTypeError, NonScalarCostError
from refgraph.core.graph import Variable
from refgraph.ops.construct import alloc, eye
from refgraph.ops.elementwise import fill
from refgraph.ops.lengths import Length, length, product
from refgraph.ops.shape import reshape
from refgraph.ops.tensor import TensorVariable


def jacobian(
    expression: Any, wrt: Any, consider_constant: Collection[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The derivatives of every element of `expression` by every element of `wrt`.

    expression: a continuous variable of any rank; wrt: a variable, or a list or tuple of them.
    The answer, one for each of wrt, has the shape of expression followed by the shape of wrt.
    All rows come of one pass, which holds what the gradient of a single element does as many times as there are
    elements; only ops that have no form for many rows at once (`Op.batched`) are looped over the rows.
    Raises DisconnectedInputError as grad does.
    """
    if not isinstance(expression, TensorVariable) or not expression.type.is_continuous:
        raise GraphTypeError(
            f"jacobian takes a float or complex expression, got {expression} ({getattr(expression, 'type', None)})"
        )
    from refgraph.ops.vectorize import vectorize  # loads when there is something to vectorize

    wanted = listed(wrt)
    if expression.ndim == 0:
        seed = fill(expression, 1.0)
        return like(wrt, Lop(expression, wanted, seed, consider_constant, disconnected_inputs))
    lengths = [length(expression, axis) for axis in range(expression.ndim)]
    n = product(lengths)
    seed = expression.type.variable()
    rows = Lop(expression, wanted, seed, consider_constant, disconnected_inputs)
    seeds = eye(n, dtype=expression.dtype)
    if expression.ndim != 1:
        seeds = reshape(seeds, [n, *lengths])
    found = vectorize(rows, {seed: seeds}, n)
    return like(wrt, [_over(lengths, n, g, x) for g, x in zip(found, wanted, strict=True)])


def _over(lengths: Sequence[Length], n: Length, g: Any, x: Any) -> Any:
    """Gradients of x along a first axis, of length n, as an array over all of `lengths`, then x.

    A gradient without that axis is the same for every element of the expression.
    """
    of_x = [length(x, axis) for axis in range(x.ndim)]
    if g.ndim == x.ndim:
        return alloc(g, *lengths, *of_x)
    return g if len(lengths) == 1 else reshape(g, [*lengths, *of_x])


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
