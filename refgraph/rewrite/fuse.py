"""Neighbours into one: elementwise ops, and the reductions that they feed, become the graph of a `Fused`.

What may be in one group is what reads one another and has one shape. Groups must not depend on one another in a circle,
as they would if one application in between were left out. That follows from numbers: along each edge between two that
may be in one group the number does not fall, along all other edges it rises. So whoever leaves a number never comes
back to it, and all that are joined by edges within one number can be a group. There are two ways to give such numbers,
as late as possible and as early as possible: the first puts what is computed beside its first reader; the second then
joins groups that it has kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refgraph.core.graph import Apply, Constant, Graph, Variable
from refgraph.core.lazy import gathered
from refgraph.core.origin import joined, made_for
from refgraph.ops.families import Elemwise
from refgraph.ops.fused import Fused, FusedGraph
from refgraph.ops.reductions import Reduction
from refgraph.ops.subgraph import OpFromGraph
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import graph_rule, node_rule

_MOST = 64  # ops in one graph: a longer group is cut, so that making and running its kernel takes little at a time
_INSIDE = 64  # elements of a constant that goes inside; a larger one becomes an input

Group = list[Apply]


@graph_rule("fuse")
def fuse_elementwise(graph: Graph, facts: Facts) -> Graph:
    """Elementwise ops that read one another, and the reductions of what they compute, are one op that holds them."""
    if isinstance(graph, FusedGraph) or any(isinstance(node.op, Fused) for node in graph.nodes):
        return graph
    graph = _in_branches(graph)
    groups = _Edges(graph, facts).groups()
    if all(len(group) == 1 for group in groups):
        return graph
    return _with_fused(graph, groups)


@node_rule("canonical", Fused)
def fused_in_line(node: Apply) -> Any:
    """What was fused once is rewritten as the ops that it is made of."""
    return node.op.graph(*node.inputs)  # type: ignore[attr-defined]  # a Fused


@node_rule("canonical", OpFromGraph, always=True)
def subgraph_in_line(node: Apply) -> Any:
    """A subgraph that is made `inline` is the expressions that it holds."""
    op: Any = node.op
    return op.graph(*node.inputs) if op.inline else None


def _in_branches(graph: Graph) -> Graph:
    """The graph with what only one branch of a lazy op needs in that branch: fused with others it would always run."""
    if not any(node.op.lazy for node in graph.nodes):
        return graph
    found = gathered(graph)
    return found if len(found.nodes) < len(graph.nodes) else graph


class _Edges:
    """Who reads whom in a graph, by the numbers of applications in order, and who may be in one group."""

    def __init__(self, graph: Graph, facts: Facts) -> None:
        self.nodes = graph.nodes
        self._facts = facts
        self._shapes: dict[Variable, tuple[bool, ...]] = {}
        number = {node: i for i, node in enumerate(graph.nodes)}
        given = set(graph.inputs)
        self.sources: list[list[tuple[int, bool]]] = []
        """For each application those that it reads, and whether they may be in its group."""
        for node in graph.nodes:
            makers = {x.owner: x for x in node.inputs if x.owner is not None and x not in given}
            self.sources.append([(number[maker], self._fits(maker, node)) for maker in makers])

    def _fits(self, maker: Apply, reader: Apply) -> bool:
        if not _is_elementwise(maker) or not (_is_elementwise(reader) or isinstance(reader.op, Reduction)):
            return False
        x = maker.outputs[0]
        return self._shape(x) == self._shape(reader.outputs[0] if _is_elementwise(reader) else x)

    def _shape(self, x: Variable) -> tuple[bool, ...]:
        """Along which axes there surely is one element only. Other lengths of what is computed together mostly are the
        same, also where that is not known; where they are not, the kernel still computes what is smaller once.
        """
        found = self._shapes.get(x)
        if found is None:
            found = self._shapes[x] = tuple([n == 1 and n.__class__ is int for n in self._facts.lengths(x)])
        return found

    def groups(self) -> list[Group]:
        """Groups that take each application once, in an order in which they can be computed."""
        sets = _Sets(len(self.nodes))
        late = self._late()
        self._join(sets, late)
        early = self._early(sets, late)
        self._join(sets, early)
        found: dict[int, list[int]] = {}
        for i in range(len(self.nodes)):
            found.setdefault(sets.find(i), []).append(i)
        ordered = sorted(found.values(), key=lambda group: early[group[0]])
        return [[self.nodes[i] for i in group[k : k + _MOST]] for group in ordered for k in range(0, len(group), _MOST)]

    def _join(self, sets: _Sets, numbers: Sequence[int]) -> None:
        for i, sources in enumerate(self.sources):
            for j, fits in sources:
                if fits and numbers[i] == numbers[j]:
                    sets.join(i, j)

    def _late(self) -> list[int]:
        """Numbers that put each application as near to the outputs as can be; they count down to 0."""
        found = [0] * len(self.nodes)
        for i in range(len(self.nodes) - 1, -1, -1):
            for j, fits in self.sources[i]:
                found[j] = max(found[j], found[i] + (not fits))
        return found

    def _early(self, sets: _Sets, late: Sequence[int]) -> list[int]:
        """Numbers that put each set of applications as near to the inputs as can be."""
        found = [0] * len(self.nodes)
        for i in sorted(range(len(self.nodes)), key=lambda i: -late[i]):  # no set reads another of its own number
            mine = sets.find(i)
            for j, fits in self.sources[i]:
                other = sets.find(j)
                if other != mine:
                    found[mine] = max(found[mine], found[other] + (not fits))
        return [found[sets.find(i)] for i in range(len(self.nodes))]


class _Sets:
    """Sets of numbers, each with one that stands for it, that are joined one pair at a time."""

    def __init__(self, n: int) -> None:
        self._next = list(range(n))

    def find(self, i: int) -> int:
        """The number that stands for the set of i."""
        ways = self._next
        while ways[i] != i:
            ways[i] = ways[ways[i]]
            i = ways[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make the sets of i and j one."""
        self._next[self.find(i)] = self.find(j)


def _with_fused(graph: Graph, groups: Sequence[Group]) -> Graph:
    """The graph with one application for each group."""
    at = {node: i for i, group in enumerate(groups) for node in group}
    read = set(graph.outputs)  # outside of its own group
    for node in graph.nodes:
        read.update([x for x in node.inputs if x.owner is not None and at.get(x.owner) != at[node]])
    made: dict[Variable, Variable] = {x: x for x in graph.inputs}
    for group in groups:
        olds: Sequence[Variable] = group[0].outputs
        if len(group) > 1:
            olds = [out for node in group for out in node.outputs if out in read]
            fresh = _fused(group, olds, made)
        else:
            inputs = [made.get(x, x) for x in group[0].inputs]
            same = all(new is old for new, old in zip(inputs, group[0].inputs, strict=True))
            fresh = group[0] if same else group[0].with_inputs(inputs)
        for old, new in zip(olds, fresh.outputs, strict=True):
            made.setdefault(old, new)
    return Graph(graph.inputs, [made.get(x, x) for x in graph.outputs])


def _fused(group: Group, outputs: Sequence[Variable], made: Mapping[Variable, Variable]) -> Apply:
    """An application that computes these outputs of the group from what is made already."""
    computed = {out for node in group for out in node.outputs}
    read = dict.fromkeys([x for node in group for x in node.inputs if x not in computed and not _is_small(x)])
    inner: dict[Variable, Variable] = {x: x.type.variable(name=_name(x, i)) for i, x in enumerate(read)}
    inputs = tuple(inner.values())
    for node in group:
        inside = node.with_inputs([inner.get(x, x) for x in node.inputs])
        inner.update(zip(node.outputs, inside.outputs, strict=True))
    op = Fused(FusedGraph(inputs, [inner[out] for out in outputs]))
    with made_for(joined([node.origin for node in reversed(group)])):
        fused = op.make_node(*[made.get(x, x) for x in read])
    for new, old in zip(fused.outputs, outputs, strict=True):
        new.name = old.name
    return fused


def _is_small(x: Variable) -> bool:
    return isinstance(x, Constant) and x.value.size <= _INSIDE


def _name(x: Variable, i: int) -> str:
    """What to call an input of a group, for whoever reads its formula."""
    return x.name or (f"x{i}" if x.owner is None else f"{x.owner.op.name}.{x.index}")


def _is_elementwise(node: Apply) -> bool:
    return isinstance(node.op, Elemwise) and not node.op.views
