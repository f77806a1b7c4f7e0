"""In the steps of loops: rules for applications do not see there what is known of lengths outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgraph.core.graph import Apply, Graph, Variable
from refgraph.ops.elementwise import fill
from refgraph.ops.indexing import IndexUpdate
from refgraph.ops.linalg import Dot
from refgraph.rewrite.axes import made_by
from refgraph.rewrite.lengths import Lengths
from refgraph.rewrite.placed import is_placing, picked_by
from refgraph.rewrite.rule import graph_rule
from refgraph.rewrite.scan import with_loops
from refgraph.rewrite.scan_moves import given_lengths, with_step


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
            if isinstance(n.op, Dot) and is_placing(made_by(n.inputs[side], IndexUpdate))
        ]
        if not found:
            return None
        asked = [x for n, _ in found for x in n.inputs]
        lengths = dict(zip(asked, known.inside(Graph(op.graph.inputs, asked), given_lengths(node, known)), strict=True))
        better: dict[Variable, Variable] = {}
        for n, side in found:
            a, b = lengths[n.inputs[side]][0], lengths[n.inputs[1 - side]][-side]
            picked = picked_by(n, side) if a == b and a is not None else None
            if picked is not None:
                better[n.outputs[0]] = picked
        return with_step(node, lambda n, new: better.get(n.outputs[0])).outputs if better else None

    return with_loops(graph, change)
