"""Ops that hold graphs and decide how often to run them. `Map` runs one for every item; loops belong here too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refgraph.core.errors import GraphTypeError, ShapeError
from refgraph.core.graph import Apply, Constant, Graph, Variable, rebuild, toposort
from refgraph.core.op import BadSample, Compile, Derivatives, GraphOp, Sample, declare, is_zero
from refgraph.ops import reductions
from refgraph.ops.tensor import TensorType, as_tensor


@declare
class Map(GraphOp):
    """A graph applied to each item of some sequences, its outputs stacked.

    The first `n_sequences` inputs are taken apart along their first axis, all of one length; others are given whole.
    """

    name = "map"

    def __init__(self, graph: Graph, n_sequences: int) -> None:
        self.graph, self.n_sequences = graph, n_sequences

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return (self.graph,)

    def infer(self, *inputs: Any) -> tuple[TensorType, ...]:
        lengths = {x.type.shape[0] for x in inputs[: self.n_sequences]} - {None}
        if len(lengths) > 1:
            raise ShapeError(f"map takes sequences of one length, got {sorted(lengths)}", inputs=inputs)
        n = lengths.pop() if lengths else None
        return tuple([TensorType(out.type.dtype, (n, *out.type.shape)) for out in self.graph.outputs])  # type: ignore[attr-defined]

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        run, count = compile(self.graph), self.n_sequences

        def mapped(*arrays: Any) -> Any:
            sequences, whole = arrays[:count], arrays[count:]
            if len({len(s) for s in sequences}) != 1:
                raise ValueError(f"map takes sequences of one length, got shapes {[s.shape for s in sequences]}")
            rows = [run(*items, *whole) for items in zip(*sequences, strict=True)]
            if rows:
                stacked = [np.stack(column) for column in zip(*rows, strict=True)]
            else:  # no item: one run on zeros tells the shapes
                blank = run(*[np.zeros(s.shape[1:], s.dtype) for s in sequences], *whole)
                stacked = [np.empty((0, *np.shape(b)), b.dtype) for b in blank]
            return stacked[0] if len(stacked) == 1 else tuple(stacked)

        return mapped

    def vjp_through(self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]]) -> Derivatives:
        live = [(out, g) for out, g in zip(self.graph.outputs, cotangents, strict=True) if isinstance(g, Variable)]
        if not live:
            return [None if all(g is None for g in cotangents) else 0] * len(node.inputs)
        seeds = [out.type.variable() for out, _ in live]
        found = pullback([out for out, _ in live], seeds, self.graph.inputs)
        answers: list[Any] = [g if g is None or is_zero(g) else None for g in found]
        kept = [i for i, g in enumerate(found) if isinstance(g, Variable)]
        count = self.n_sequences
        items, whole = self.graph.inputs[:count], self.graph.inputs[count:]
        if kept:
            backward = Map(Graph([*items, *seeds, *whole], [found[i] for i in kept]), count + len(seeds))
            sequences, rest = node.inputs[:count], node.inputs[count:]
            for i, g in zip(kept, backward.make_node(*sequences, *[g for _, g in live], *rest).outputs, strict=True):
                answers[i] = g if i < count else reductions.sum(g, axis=0)
        return answers

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        count = self.n_sequences
        moved = [(i, t) for i, t in enumerate(tangents) if isinstance(t, Variable)]
        fresh = {i: self.graph.inputs[i].type.variable() for i, _ in moved}
        points = [fresh.get(i, t) for i, t in enumerate(tangents)]
        found = pushforward(self.graph.outputs, self.graph.inputs, points)
        kept = [k for k, t in enumerate(found) if isinstance(t, Variable)]
        answers = list(found)
        if kept:
            items, whole = self.graph.inputs[:count], self.graph.inputs[count:]
            item_tangents = [(fresh[i], t) for i, t in moved if i < count]
            whole_tangents = [(fresh[i], t) for i, t in moved if i >= count]
            inner = Graph(
                [*items, *[u for u, _ in item_tangents], *whole, *[u for u, _ in whole_tangents]],
                [found[k] for k in kept],
            )
            forward = Map(inner, count + len(item_tangents))
            outputs = forward.make_node(
                *node.inputs[:count],
                *[t for _, t in item_tangents],
                *node.inputs[count:],
                *[t for _, t in whole_tangents],
            ).outputs
            for k, t in zip(kept, outputs, strict=True):
                answers[k] = t
        return answers

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)

        def build(xs: Any, w: Any) -> list[Any]:
            return map_graph(lambda x: [(x * w).sum() * x, x * 2 + w], [xs])

        def expect(xs: Any, w: Any) -> list[Any]:
            return [(xs * w).sum(axis=1, keepdims=True) * xs, xs * 2 + w]

        for n in (4, 1, 0):
            yield Sample(f"rows-{n}", build, (rng.normal(size=(n, 3)), rng.normal(size=3)), expect)
        yield Sample(
            "two-sequences",
            lambda a, b: map_graph(lambda x, y: [x**2 * y], [a, b]),
            (rng.normal(size=(3, 2)), rng.normal(size=3)),
            lambda a, b: a**2 * b[:, None],
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        def build(a: Any, b: Any) -> Any:
            return map_graph(lambda x, y: [x * y], [a, b])

        yield BadSample("lengths", build, (np.zeros(3), np.zeros(4)), ValueError, "one length")
        yield BadSample("scalar", build, (np.zeros(3), np.zeros(())), GraphTypeError, "at least one axis")


def map_graph(fn: Callable[..., Sequence[Any]], sequences: Sequence[Any]) -> list[Any]:
    """`fn` of each item of the sequences (along their first axes), each of its outputs stacked.

    What `fn` uses from outside is found by itself, and whatever does not depend on an item is computed once.
    """
    sequences = [as_tensor(s) for s in sequences]
    for s in sequences:
        if s.ndim == 0:
            raise GraphTypeError(f"map takes sequences with at least one axis, got {s} ({s.type})", inputs=[s])
    items: list[Any] = [TensorType(s.dtype, s.type.shape[1:])() for s in sequences]
    outputs = list(fn(*items))
    inside: set[Variable] = set(items)
    outside: dict[Variable, Variable] = {}
    for node in toposort(outputs):
        if any(x in inside for x in node.inputs):
            inside.update(node.outputs)
    for x in [x for node in toposort(outputs) if node.outputs[0] in inside for x in node.inputs] + outputs:
        if x not in inside and not isinstance(x, Constant):
            outside.setdefault(x, x.type.variable())
    graph = Graph([*items, *outside.values()], rebuild(outputs, outside))
    return list(Map(graph, len(items)).make_node(*sequences, *outside).outputs)
