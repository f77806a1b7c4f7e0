"""Who may share memory with whom, as far as the ops declare it (`Op.views`)."""

from __future__ import annotations

from refgraph.core.graph import Graph, Variable


def origins_of_memory(graph: Graph) -> dict[Variable, frozenset[Variable]]:
    """For every variable, those in whose memory its value may lie: an input, a constant, or what an op computes afresh.

    Two values may overlap only when these sets do.
    """
    found: dict[Variable, frozenset[Variable]] = {x: frozenset((x,)) for x in graph.inputs}
    for node in graph.nodes:
        for x in node.inputs:
            if x not in found:  # a constant
                found[x] = frozenset((x,))
        views = node.op.views
        viewed = (
            frozenset[Variable]().union(*[found[node.inputs[i]] for i in views if i < len(node.inputs)])
            if views
            else ()
        )
        for out in node.outputs:
            if out not in found:  # an input in the middle of an expression is an input
                found[out] = frozenset((out, *viewed))
    for out in graph.outputs:
        found.setdefault(out, frozenset((out,)))
    return found
