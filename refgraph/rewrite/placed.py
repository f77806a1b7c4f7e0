"""Zeros with something in one place, as the gradient of x[i] is: what they are multiplied with is picked there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgraph.core.graph import Apply, Graph, Variable
from refgraph.ops.elementwise import cast, fill, mul
from refgraph.ops.indexing import Index, IndexUpdate
from refgraph.ops.linalg import Dot
from refgraph.rewrite.axes import made_by, made_only_for_this
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.indexing import ALL, is_zero, per_axis, pick, picks_once
from refgraph.rewrite.lengths import Lengths
from refgraph.rewrite.rule import graph_rule, node_rule
from refgraph.rewrite.scan import with_loops
from refgraph.rewrite.scan_moves import given_lengths, with_step


def _is_placing(made: Any) -> bool:
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
        if not _is_placing(made) or (x.type.ndim and not facts.same_shape(x, placed)):  # type: ignore[attr-defined]  # a tensor
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
            _is_placing(made_only_for_this(placed, IndexUpdate, facts))
            and facts.lengths(x)[-side] == facts.lengths(placed)[0]
        ):
            return _picked_by(node, side)
    return None


def _picked_by(node: Apply, side: int) -> Any:
    """What a product with zeros that have a number in one place picks of its other input, where lengths are equal."""
    out: Any = node.outputs[0]
    x: Any = node.inputs[1 - side]
    made = node.inputs[side].owner
    items = None if made is None or made.inputs[1].type.ndim else per_axis(made, 2)  # type: ignore[attr-defined]
    if made is None or items is None or len(items) != 1 or isinstance(items[0], slice):
        return None
    picked = pick(x, [*[ALL] * (x.type.ndim - 1), *items] if side else items)
    return None if picked is None else cast(picked * made.inputs[1], out.type.dtype)


# In the steps of loops: what is known of lengths outside is not seen by the rules for applications


@graph_rule("canonical")
def measured_by_what_is_read(graph: Graph) -> Graph:
    """In a step fill(x, c), where x is given whole to be measured, is fill(y, c) of a y that is read and has its shape.

    What is made of the zeros and of y is then known to have one shape, and x need not be given.
    """
    known = Lengths()

    def change(_: Apply, node: Apply) -> Sequence[Variable] | None:
        op: Any = node.op
        fills = [n for n in op.graph.nodes if n.op is fill]
        if not fills:
            return None
        outer = dict(zip(op.whole, op.parts(node.inputs[1:])[-1], strict=True))
        read = {x for n in op.graph.nodes for i, x in enumerate(n.inputs) if x in outer and i not in n.op.measures}
        found: dict[Variable, Variable] = {}
        for n in fills:
            x = n.inputs[0]
            if x in outer and x not in read:
                lengths = known.of(outer[x])
                y = next((y for y in outer if y in read and known.of(outer[y]) == lengths), None)
                if y is not None:
                    found[n.outputs[0]] = fill(y, n.inputs[1])
        if not found:
            return None
        return with_step(node, lambda n, new: found.get(n.outputs[0])).outputs

    return with_loops(graph, change)


@graph_rule("canonical")
def products_with_placed_in_steps(graph: Graph) -> Graph:
    """dot(x, zeros with y in place i) is x[:, i] * y in a step, too, where lengths are known outside to be equal."""
    known = Lengths()

    def change(_: Apply, node: Apply) -> Sequence[Variable] | None:
        op: Any = node.op
        found = [
            (n, side)
            for n in op.graph.nodes
            for side in range(2)
            if isinstance(n.op, Dot) and _is_placing(made_by(n.inputs[side], IndexUpdate))
        ]
        if not found:
            return None
        asked = [x for n, _ in found for x in n.inputs]
        lengths = dict(zip(asked, known.inside(Graph(op.graph.inputs, asked), given_lengths(node, known)), strict=True))
        better: dict[Variable, Variable] = {}
        for n, side in found:
            a, b = lengths[n.inputs[side]][0], lengths[n.inputs[1 - side]][-side]
            picked = _picked_by(n, side) if a == b and a is not None else None
            if picked is not None:
                better[n.outputs[0]] = picked
        return with_step(node, lambda n, new: better.get(n.outputs[0])).outputs if better else None

    return with_loops(graph, change)
