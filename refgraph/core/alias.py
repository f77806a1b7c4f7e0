"""Who may share memory with whom, as far as the ops declare it (`Op.views`)."""

from __future__ import annotations

from collections.abc import Iterable

from refgraph.core.graph import Graph, Variable


class Memory:
    """In whose memory the values of a graph may lie: an input's, a constant's, or that of what an op computes afresh.

    Only the steps are kept, from an output to the inputs that its op may answer a view of: whole sets of origins, in a
    long chain of views, take the square of its length. A question walks back over the steps.
    """

    def __init__(self, graph: Graph) -> None:
        given = set(graph.inputs)
        self.outside = {*given, *[out for out in graph.outputs if out.owner is None]}
        """Inputs and constants: memory that somebody else keeps."""
        self._viewed: dict[Variable, tuple[Variable, ...]] = {}
        for node in graph.nodes:
            self.outside.update([x for x in node.inputs if x.owner is None])
            viewed = tuple([node.inputs[i] for i in node.op.views if i < len(node.inputs)])
            if viewed:  # an input in the middle of an expression is an input
                self._viewed.update([(out, viewed) for out in node.outputs if out not in given])

    def origins(self, variables: Iterable[Variable]) -> set[Variable]:
        """All in whose memory the values of `variables` may lie. Two values may overlap only when their origins do."""
        found: set[Variable] = set()
        for x in variables:
            self.claim(x, found)
        return found

    def claim(self, x: Variable, taken: set[Variable]) -> set[Variable]:
        """Add the origins of `x` to `taken`; the answer are the first, on each way back, that were in it already.

        Nothing is looked behind twice: claiming every variable of a graph takes as long as walking over it once. So
        `taken` holds `outside`, or nothing, and what was claimed before.
        """
        met: set[Variable] = set()
        stack = [x]
        while stack:
            v = stack.pop()
            if v in taken:
                met.add(v)
            else:
                taken.add(v)
                stack += self._viewed.get(v, ())
        return met

    def may_be_view(self, x: Variable) -> bool:
        """Whether the value of `x` may lie in other memory than its own."""
        return x in self._viewed


def viewed(graph: Graph) -> tuple[int, ...]:
    """Numbers of the inputs in whose memory an output may lie."""
    reached = Memory(graph).origins(graph.outputs)
    return tuple([i for i, x in enumerate(graph.inputs) if x in reached])


def overlapping(graph: Graph) -> list[bool]:
    """For each output whether it may share memory with a constant, or with an output before it beyond the inputs'."""
    memory = Memory(graph)
    inputs, taken = set(graph.inputs), set(memory.outside)
    return [bool(memory.claim(out, taken) - inputs) for out in graph.outputs]
