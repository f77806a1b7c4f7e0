"""What runs elementwise ops and reductions: as few passes over memory as the shapes of a call allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgraph.backend import Apply, Constant, Elemwise, Fused, Graph, Reduction, Variable
from refgraph_cupy.device import Array, current
from refgraph_cupy.kernels.elementwise import Elementwise
from refgraph_cupy.kernels.group import Group
from refgraph_cupy.kernels.reductions import Folded, Reduced, passes
from refgraph_cupy.layout import broadcast
from refgraph_cupy.making import makes
from refgraph_cupy.texts import Unsaid

Pass = Elementwise | Reduced


class Groups:
    """The outputs of a graph of elementwise ops and reductions. Raises Unsaid where there is no kernel."""

    def __init__(self, graph: Graph, words: Sequence[str]) -> None:
        self._group, self._words = Group(graph), words
        makers = {out: node for node in graph.nodes for out in node.outputs}
        self._outputs = graph.outputs
        nodes = {x: makers[x] for x in graph.outputs if x in makers and isinstance(makers[x].op, Reduction)}
        self._folded = {x: Folded(node, self._group.names[node.inputs[0]]) for x, node in nodes.items()}
        self._values = {x: self._folded[x].x if x in self._folded else x for x in graph.outputs}
        self._constants = [x.value for x in self._group.leaves if isinstance(x, Constant)]
        self._uploaded: list[Array] | None = None
        self._plans: dict[Any, list[tuple[Pass, list[Variable]]]] = {}
        self._made: dict[Any, Pass] = {}

    def __call__(self, *arrays: Array) -> Any:
        device = current()
        if self._uploaded is None:
            self._uploaded = [device.upload(value) for value in self._constants]
        given = [*arrays, *self._uploaded]
        shapes = tuple([tuple(a.shape) for a in given])
        plan = self._plans.get(shapes)
        if plan is None:
            if len(self._plans) > 99:
                self._plans.clear()
            plan = self._plans[shapes] = self._plan(shapes)
        found: dict[Variable, Array] = {}
        for run, outs in plan:
            found.update(zip(outs, run(device, given), strict=True))
        results = tuple([found[x] for x in self._outputs])
        return results if len(results) > 1 else results[0]

    def _plan(self, shapes: Sequence[Any]) -> list[tuple[Pass, list[Variable]]]:
        """Which passes compute which outputs: reductions of one shape along the same axes are one pass, which also
        stores what has that shape; what else has one shape is stored in one."""
        reduced: dict[Any, list[Variable]] = {}
        stored: dict[Any, list[Variable]] = {}
        for x in dict.fromkeys(self._outputs):
            shape = broadcast(*[shapes[i] for i in self._group.leaves_of(self._values[x])])
            if x in self._folded:
                reduced.setdefault((shape, self._folded[x].op.axis), []).append(x)
            else:
                stored.setdefault(shape, []).append(x)
        plan: list[tuple[Pass, list[Variable]]] = []
        for (shape, _), outs in reduced.items():
            by_fold = {self._folded[x]: x for x in outs}
            for folds in passes(list(by_fold)):
                beside = stored.pop(shape, [])
                plan.append(self._reduced(folds, [by_fold[f] for f in folds], beside))
        return plan + [self._stored(outs) for outs in stored.values()]

    def _reduced(self, folds: Sequence[Folded], outs: list[Variable], beside: list[Variable]) -> Any:
        key = (*outs, None, *beside)
        if key not in self._made:
            self._made[key] = Reduced(self._group, folds, beside)
        return self._made[key], [*outs, *beside]

    def _stored(self, outs: list[Variable]) -> Any:
        key = tuple(outs)
        if key not in self._made:
            self._made[key] = Elementwise(self._group, outs, self._words)
        return self._made[key], outs


@makes(Elemwise, Reduction, Fused)
def group(node: Apply) -> Callable[..., Any] | str:
    """A group of elementwise ops, and of reductions of what these compute."""
    op: Any = node.op
    graph: Graph
    if isinstance(op, Fused):
        graph = op.graph
    else:
        fresh = [x.type.variable() for x in node.inputs]
        graph = Graph(fresh, node.with_inputs(fresh).outputs)
    try:
        return Groups(graph, [n.op.name for n in graph.nodes])
    except Unsaid as why:
        return str(why)
