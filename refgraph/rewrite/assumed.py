"""A graph as it is where nothing is broadcast at run time but what is known to be.

The gradient of x * y, of two vectors, is summed to the shape of x, which may turn out to be of one element. Mostly it
is not, and the sum is of nothing; but it keeps apart what could be fused, and hides what could be simplified. A
backend that knows all shapes before it computes takes the graph as the rules make it where axes that are broadcast
together are equally long, and the lengths that must be equal for that; in a call in which they are not, it takes the
graph as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from refgraph.core.graph import Graph, Variable
from refgraph.ops.families import SumTo
from refgraph.ops.fused import Fused
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.lengths import Axis, Broadcast, Length, Lengths
from refgraph.rewrite.rule import Rule

Place = tuple[int, int]
"""The number of an input of a graph, and an axis of it."""


class Assumed(NamedTuple):
    """graph: of the same inputs and outputs. equal: axes of inputs; it is right where those of each group are equally
    long.
    """

    graph: Graph
    equal: Sequence[Sequence[Place]]


def assumed(graph: Graph, rules: Iterable[Rule]) -> Assumed | None:
    """What rules make of a graph if what is broadcast together is equally long; None where that is not worth it.

    It is where something is summed to a shape that may be its own, and the rules leave such sums out.
    """
    sums = _sums(graph)
    if not sums:
        return None
    number = {x: i for i, x in enumerate(graph.inputs)}
    groups: dict[Axis, list[Axis]] = {}
    for n in _together(graph):
        axes = [m for m in n.members if isinstance(m, Axis) and m.x in number]
        merged = list(dict.fromkeys([m for axis in axes for m in groups.get(axis, [axis])]))
        groups.update(dict.fromkeys(merged, merged))
    found = {id(group): sorted([(number[a.x], a.axis) for a in group]) for group in groups.values() if len(group) > 1}
    if not found:
        return None
    same = {Axis(graph.inputs[i], axis): Axis(graph.inputs[g[0][0]], g[0][1]) for g in found.values() for i, axis in g}
    made = rewrite(graph, rules, lengths=lambda: _Assuming(same))
    return Assumed(made, list(found.values())) if _sums(made) < sums else None


def _sums(graph: Graph) -> int:
    """How often something is summed to a shape that, as far as is known, may be its own."""
    return sum([isinstance(n.op, SumTo) and n.inputs[0].type == n.outputs[0].type for n in graph.nodes])


def _together(graph: Graph) -> Iterator[Broadcast]:
    """Lengths of axes that are broadcast together without being known to be equal."""
    lengths = Lengths()
    for node in graph.nodes:
        shapes: list[Sequence[Length | None]] = [lengths.of(out) for out in node.outputs]
        if isinstance(node.op, Fused):
            inner = node.op.graph
            shapes += lengths.inside(Graph(inner.inputs, [out for n in inner.nodes for out in n.outputs]), node.inputs)
        for shape in shapes:
            yield from [n for n in shape if isinstance(n, Broadcast)]


class _Assuming(Lengths):
    """Lengths of which some are taken to be others."""

    def __init__(self, same: Mapping[Axis, Axis]) -> None:
        super().__init__()
        self._same = same

    def own(self, x: Variable, said: Any = None) -> tuple[Length, ...]:
        found = super().own(x, said)
        return tuple([self._same.get(n, n) if isinstance(n, Axis) else n for n in found])
