"""Zeros with something in one place, as the gradient of x[i] is: what they are multiplied with is picked there."""

from __future__ import annotations

from typing import Any

from refgraph.core.graph import Apply
from refgraph.ops.elementwise import cast, mul
from refgraph.ops.indexing import Index, IndexUpdate
from refgraph.ops.linalg import Dot
from refgraph.rewrite.axes import made_only_for_this
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.indexing import ALL, is_zero, per_axis, pick, picks_once
from refgraph.rewrite.rule import node_rule


def is_placing(made: Any) -> bool:
    """Whether an update puts something among zeros, in the place of one index along some axis."""
    if made is None or not is_zero(made.inputs[0]) or not picks_once(made):
        return False
    items = per_axis(made, 2)
    return items is not None and not all(isinstance(item, slice) for item in items)


@node_rule("stable", mul)
def product_with_placed(node: Apply, facts: Facts) -> Any:
    """(zeros with y in place i) * x is zeros with y * x[i] there."""
    out: Any = node.outputs[0]
    for placed, x in (node.inputs, node.inputs[::-1]):
        made = made_only_for_this(placed, IndexUpdate, facts)
        if not is_placing(made) or (x.type.ndim and not facts.same_shape(x, placed)):  # type: ignore[attr-defined]  # a tensor
            continue
        template, places = made.op.template, made.inputs[2:]
        y = made.inputs[1] * (Index(template)(x, *places) if x.type.ndim else x)  # type: ignore[attr-defined]
        return type(made.op)(template, True)(cast(made.inputs[0], out.type.dtype), cast(y, out.type.dtype), *places)
    return None


@node_rule("stable", Dot)
def dot_with_placed(node: Apply, facts: Facts) -> Any:
    """dot(x, zeros with y in place i) is x[:, i] * y, and dot(zeros with y in place i, x) is x[i] * y."""
    for side in range(2):
        placed, x = node.inputs[side], node.inputs[1 - side]
        if (
            is_placing(made_only_for_this(placed, IndexUpdate, facts))
            and facts.lengths(x)[-side] == facts.lengths(placed)[0]
        ):
            return picked_by(node, side)
    return None


def picked_by(node: Apply, side: int) -> Any:
    """What a product with zeros that have a number in one place picks of its other input, where lengths are equal."""
    out: Any = node.outputs[0]
    x: Any = node.inputs[1 - side]
    made = node.inputs[side].owner
    items = None if made is None or made.inputs[1].type.ndim else per_axis(made, 2)  # type: ignore[attr-defined]
    if made is None or items is None or len(items) != 1 or isinstance(items[0], slice):
        return None
    picked = pick(x, [*[ALL] * (x.type.ndim - 1), *items] if side else items)
    return None if picked is None else cast(picked * made.inputs[1], out.type.dtype)
