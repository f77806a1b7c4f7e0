"""Lazy ops run one of their graphs: what only that graph needs is best computed inside it.

A lazy op (`Op.lazy`) is applied to a condition and to arguments, and each of its graphs takes all of the arguments. An
application belongs to a branch when all that reads it does: the place of an application is the innermost branch that
all of its readers are in. One walk from the outputs back finds the places, and one walk forward moves the applications
there; so branches within branches are done with, too, and time is linear in the number of applications.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, rebuild
from refgraph.core.op import GraphOp
from refgraph.core.origin import made_for

_DEEPEST = 50  # branches within branches, each a Python call in a call: what is deeper is computed at this depth

StandIn = tuple[Apply, Sequence[Variable]]
"""What to run or differentiate in place of an application, and the variables, of the old, that it computes."""


def gathered(graph: Graph) -> Graph:
    """The same function, where what only one branch of a lazy op needs is computed inside that branch."""
    return Graph(graph.inputs, settled(graph.outputs, graph.nodes, graph.inputs, graph.nodes))


def settled(
    outputs: Sequence[Variable], nodes: Sequence[Apply], given: Iterable[Variable], chosen: Iterable[Apply]
) -> list[Variable]:
    """`outputs`, which `nodes` compute of `given`, with stand-ins for those of the nodes that are `chosen`."""
    given, chosen = set(given), set(chosen)
    stand_ins = gather(nodes, outputs, given)
    made: dict[Variable, Variable] = {x: x for x in given}
    for old in nodes:
        node, outs = (old in chosen and stand_ins.get(old)) or (old, old.outputs)
        if outs:
            inputs = [made.get(x, x) for x in node.inputs]
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            fresh = node if same else node.with_inputs(inputs)
            for out, new in zip(outs, fresh.outputs, strict=True):
                made.setdefault(out, new)
    return [made.get(x, x) for x in outputs]


def gather(nodes: Sequence[Apply], outputs: Iterable[Variable], given: Iterable[Variable]) -> dict[Apply, StandIn]:
    """Stand-ins for those of `nodes`, inputs before users, that are lazy, or that are only needed inside a lazy one.

    A lazy application outside of all branches gets one with the same inputs as far as they are needed still, that
    computes more inside, and no output that nothing reads. One that belongs inside another, or that nothing reads, has
    itself and no variables. `outputs` and `given` stay outside of branches; nothing behind `given` is moved.
    """
    return _Gathering(nodes, outputs, given).stand_ins


class _Region:
    """Where applications are computed: outside of all branches, or in a branch, which is a graph to be."""

    __slots__ = ("depth", "inputs", "made", "parent")

    def __init__(self, parent: _Region | None, inputs: dict[Variable, Variable]) -> None:
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.inputs = inputs
        """For each variable from outside, the input that stands for it in every branch of the application."""
        self.made: dict[Variable, Variable] = {}

    def inner(self, x: Variable) -> Variable:
        """What stands for `x` here."""
        if self.parent is None or isinstance(x, Constant):
            return x
        if x in self.made:
            return self.made[x]
        if x not in self.inputs:
            self.inputs[x] = x.type.variable(name=x.name)
        return self.inputs[x]


def _common(a: _Region, b: _Region) -> _Region:
    """The innermost region that both are in."""
    while a is not b:
        if a.depth < b.depth:
            a, b = b, a
        assert a.parent is not None  # only the outermost has none, and it has no depth
        a = a.parent
    return a


class _Gathering:
    """Finds the place of every application, then makes the stand-ins."""

    def __init__(self, nodes: Sequence[Apply], outputs: Iterable[Variable], given: Iterable[Variable]) -> None:
        self.stand_ins: dict[Apply, StandIn] = {}
        self._outside = _Region(None, {})
        self._place: dict[Apply, _Region] = {}
        self._read: set[Variable] = set()
        self._branches: dict[Apply, list[tuple[_Region, list[int]]]] = {}
        for x in [*outputs, *given]:
            self._claim(x, self._outside)
        for node in reversed(nodes):
            if node in self._place:
                self._claim_inputs(node, self._place[node])
        for node in nodes:
            self._move(node)

    def _claim(self, x: Variable, region: _Region) -> None:
        """Note that something in `region` reads `x`."""
        self._read.add(x)
        node = x.owner
        if node is not None:
            place = self._place.get(node)
            self._place[node] = region if place is None else _common(place, region)

    def _claim_inputs(self, node: Apply, here: _Region) -> None:
        if not node.op.lazy or here.depth == _DEEPEST:
            for x in node.inputs:
                self._claim(x, here)
            return
        condition, *args = node.inputs
        self._claim(condition, here)
        inputs: dict[Variable, Variable] = {}
        self._branches[node] = []
        for graph in _graphs(node):
            region = _Region(here, inputs)
            wanted = set(leaves(_wanted(graph, self._live(node)), set(graph.inputs)))
            needed = [i for i, x in enumerate(graph.inputs) if x in wanted]
            self._branches[node].append((region, needed))
            for i in needed:
                self._claim(args[i], region)

    def _live(self, node: Apply) -> list[Variable]:
        return [out for out in node.outputs if out in self._read]

    def _move(self, node: Apply) -> None:
        here = self._place.get(node)
        if here is None:
            self.stand_ins[node] = node, ()
        elif node.op.lazy:
            self._put(node, here, *self._gathered(node, here))
        elif here.parent is not None:
            self._put(node, here, node.with_inputs([here.inner(x) for x in node.inputs]), node.outputs)

    def _put(self, node: Apply, here: _Region, fresh: Apply, outs: Sequence[Variable]) -> None:
        if here.parent is None:
            self.stand_ins[node] = fresh, outs
        else:
            here.made.update(zip(outs, fresh.outputs, strict=True))
            self.stand_ins[node] = node, ()

    def _gathered(self, node: Apply, here: _Region) -> StandIn:
        """A lazy application, in `here`, whose graphs compute what only they need; in a branch it is lazy no more."""
        assert isinstance(node.op, GraphOp)
        condition, *args = node.inputs
        outs: Sequence[Variable] = node.outputs
        graphs = _graphs(node)
        if node in self._branches:
            outs = self._live(node)
            bodies = []
            for graph, (region, needed) in zip(graphs, self._branches[node], strict=True):
                inner = {graph.inputs[i]: region.inner(args[i]) for i in needed}
                bodies.append(rebuild(_wanted(graph, outs), inner))
            inputs = self._branches[node][0][0].inputs
            args, graphs = list(inputs), tuple([Graph(inputs.values(), body) for body in bodies])
        op = node.op.with_graphs(graphs)
        op.lazy = here.parent is None  # what goes into one that is in a branch is settled, once for all depths
        with made_for(node.origin):
            fresh = op.make_node(here.inner(condition), *[here.inner(x) for x in args])
        for old, new in zip(outs, fresh.outputs, strict=True):
            new.name = old.name
        return fresh, outs


def _graphs(node: Apply) -> tuple[Graph, ...]:
    return node.op.graphs  # type: ignore[attr-defined, no-any-return]  # lazy ops hold graphs


def _wanted(graph: Graph, outs: Iterable[Variable]) -> list[Variable]:
    """The outputs of a branch's graph that are `outs`, outputs of the application."""
    return [graph.outputs[out.index] for out in outs]  # type: ignore[index]  # a computed variable has one
