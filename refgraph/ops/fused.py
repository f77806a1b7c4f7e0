"""Fused: elementwise ops, and the reductions that they feed, as one application."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Graph, Variable, rebuild
from refgraph.core.op import BadSample, Compile, Derivatives, GraphOp, Sample, declare, same_signature
from refgraph.core.show import formula
from refgraph.ops import reductions
from refgraph.ops.elementwise import cast, exp, isnan, log1p, maximum, neq, switch, tanh
from refgraph.ops.families import Elemwise
from refgraph.ops.reductions import Reduction
from refgraph.ops.subgraph import OpFromGraph, pulled_back
from refgraph.ops.tensor import Cache, TensorType, as_tensor

if TYPE_CHECKING:
    from refgraph.core.types import Type
    from refgraph.ops.batching import Batch
    from refgraph.ops.fused_kernel import Body

_WIDTH = 60  # characters of the formula in its name


class FusedGraph(Graph):
    """The graph of a Fused, which is not to be fused once more."""


@declare
class Fused(GraphOp):
    """A graph of elementwise ops, and of reductions that read what these compute, run as one op.

    It means what its graph means, op by op; running it whole saves the memory, and the way to it, of what is computed
    on the way. Every output is computed in the graph, and none twice; nothing in the graph reads a reduction. Given
    inputs of other known lengths, the graph is made anew for those; another dtype or rank is refused.

    Raises GraphTypeError for a graph with other ops, or ops that answer a view of an input.
    """

    name = "fused"

    def __init__(self, graph: Graph) -> None:
        _refuse(graph)
        self.graph = graph if isinstance(graph, FusedGraph) else FusedGraph(graph.inputs, graph.outputs)
        self._variants: Cache[tuple[Type, ...], Fused] = Cache()

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return (self.graph,)

    def with_graphs(self, graphs: Sequence[Graph]) -> GraphOp:
        """This op with another graph; where that is none to fuse, an op to be put in line."""
        (graph,) = same_signature(self, graphs)
        try:
            return Fused(graph)
        except GraphTypeError:
            return OpFromGraph(graph.inputs, graph.outputs, inline=True)

    def make_node(self, *inputs: Any) -> Apply:
        expected = self.graph.inputs
        if len(inputs) != len(expected):
            raise GraphTypeError(f"{self} takes {len(expected)} inputs, got {len(inputs)}")
        given = [x if isinstance(x, Variable) else as_tensor(x) for x in inputs]
        op = self
        if any(x.type != y.type for x, y in zip(given, expected, strict=True)):
            op = self._variant(given)
        return Apply(op, given, [out.type.variable() for out in op.graph.outputs])

    def _variant(self, inputs: Sequence[Variable]) -> Fused:
        """The same for inputs of other known lengths."""
        key = tuple([x.type for x in inputs])
        found = self._variants.get(key)
        if found is None:
            for n, (x, y) in enumerate(zip(inputs, self.graph.inputs, strict=True)):
                if not _alike(x.type, y.type):
                    raise GraphTypeError(f"{self}: input {n} must be {y.type}, got {x} ({x.type})", inputs=[x])
            fresh = [t.variable(name=y.name) for t, y in zip(key, self.graph.inputs, strict=True)]
            found = self._variants[key] = Fused(Graph(fresh, self.graph(*fresh)))
        return found

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        found: Sequence[Any] = known.inside(self.graph, node.inputs)
        return found

    # running

    @cached_property
    def body(self) -> Body:
        """The graph as steps, for kernels."""
        from refgraph.ops.fused_kernel import Body  # loads when something fused is run

        return Body(self.graph)

    def __getstate__(self) -> dict[str, Any]:
        """What to pickle: all but what the graph is made into."""
        return {name: value for name, value in vars(self).items() if name != "body"}

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        return self.body.kernel(compile)

    def reuses(self, node: Apply) -> tuple[int, ...]:
        return self.body.reuses

    def is_safe(self, out: Any, *arrays: Any) -> bool:
        return self.body.is_safe(out, arrays)

    # derivatives and many items: those of the expressions

    def vjp_through(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> Derivatives:
        return self._of(node.inputs, pulled_back(self.graph, cotangents, wanted, pullback))

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        return self._of(node.inputs, pushforward(self.graph.outputs, self.graph.inputs, tangents))

    def _of(self, inputs: Sequence[Variable], derivatives: Sequence[Any]) -> list[Any]:
        """Derivatives in terms of the graph's inputs in terms of other ones; entries that are no expression stay."""
        live = [d for d in derivatives if isinstance(d, Variable)]
        made = iter(rebuild(live, dict(zip(self.graph.inputs, inputs, strict=True))))
        return [next(made) if isinstance(d, Variable) else d for d in derivatives]

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        pairs = list(zip(self.graph.inputs, batch.inputs, batch.marked, strict=True))
        outputs = rebuild(self.graph.outputs, {old: new for old, new, marked in pairs if not marked})
        return batch.vectorized(outputs, {old: new for old, new, marked in pairs if marked})

    # for people

    def __repr__(self) -> str:
        """The formulas of its outputs, cut where they are long."""
        given = {x: x.name or f"x{i}" for i, x in enumerate(self.graph.inputs)}
        text = ", ".join([formula(out, 16, given) for out in self.graph.outputs[:4]])
        return f"fused{{{text if len(text) <= _WIDTH else text[: _WIDTH - 3] + '...'}}}"

    # for the suites

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        x, y, row, few = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(1, 4))

        def one(x: Any, y: Any) -> list[Any]:
            return [tanh(2 * x + y) * exp(-x * x)]

        def wanted(x: Any, y: Any) -> Any:
            return np.tanh(2 * x + y) * np.exp(-x * x)

        def several(x: Any, y: Any) -> list[Any]:
            z = one(x, y)[0]
            return [z, reductions.sum(z, 0), reductions.mean(z * x), reductions.max(z, -1, keepdims=True)]

        def several_wanted(x: Any, y: Any) -> list[Any]:
            z = wanted(x, y)
            return [z, z.sum(0), (z * x).mean(), z.max(-1, keepdims=True)]

        def chosen(x: Any, y: Any) -> list[Any]:
            z = switch(x > y, maximum(x, 0.0), cast(x + y, "float32"))
            return [z, reductions.any(isnan(z)), reductions.argmax(z, -1)]

        def chosen_wanted(x: Any, y: Any) -> list[Any]:
            z = np.where(x > y, np.maximum(x, 0.0), (x + y).astype("float32"))
            return [z, np.isnan(z).any(), z.argmax(-1)]

        yield Sample("one-output", _fused(one), (x, y), wanted)
        yield Sample("row", _fused(one), (x, row), wanted)
        yield Sample("length-1", _fused(one), (few, y), wanted)
        yield Sample("0-d", _fused(one), (x[0, 0], y[0, 0]), wanted)
        yield Sample("empty", _fused(one), (x[:0], y[:0]), wanted)
        yield Sample("same-input-twice", lambda x: _fused(one)(x, x), (x,), lambda x: wanted(x, x))
        yield Sample("reductions", _fused(several), (x, y), several_wanted)
        yield Sample("strided", _fused(several), (x[::-1, ::2], y.T[:3:2].T), several_wanted)
        yield Sample("transposed", _fused(several), (x.T, y.T), several_wanted, ())
        yield Sample("complex", _fused(lambda x: [exp(x * 1j) * x]), (x + 1j * y,), lambda x: np.exp(x * 1j) * x)
        yield Sample("choice", _fused(chosen), (x, y), chosen_wanted, ())
        yield Sample(
            "float32",
            _fused(lambda x: [log1p(exp(x)), reductions.sum(neq(x, 0.0))]),
            (x.astype("float32"),),
            lambda x: [np.log1p(np.exp(x)), (x != 0).sum()],
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x, refused = np.ones((2, 3)), GraphTypeError
        double = TensorType("float64", (None, None))("x")
        op = Fused(Graph([double], [double * 2.0 + 1.0]))
        yield BadSample("rank", op, (x[0],), refused, "must be")
        yield BadSample("dtype", op, (x.astype("float32"),), refused, "must be")
        yield BadSample("too-many", lambda x: op(x, x), (x,), refused, "takes 1 input")
        yield BadSample("other-op", _fused(lambda x: [(x * 2.0).T]), (x,), refused, "dimshuffle")
        yield BadSample("view", _fused(lambda x: [(x * 1j).imag]), (x,), refused, "imag")
        yield BadSample("not-computed", _fused(lambda x: [x * 2.0, x]), (x,), refused, "computes")
        yield BadSample("reduction-read", _fused(lambda x: [x * 2.0 / reductions.sum(x)]), (x,), refused, "sum")
        yield BadSample("broadcast", _fused(lambda x, y: [x * y + y]), (x, x[:, :2]), ValueError, "broadcast")


def _refuse(graph: Graph) -> None:
    """Raise GraphTypeError unless a graph is one to fuse."""
    computed = {out for node in graph.nodes for out in node.outputs}
    reduced = {node.outputs[0]: node for node in graph.nodes if isinstance(node.op, Reduction)}
    for node in graph.nodes:
        if node.outputs[0] not in reduced and (not isinstance(node.op, Elemwise) or node.op.views):
            raise GraphTypeError(
                "fused takes elementwise ops that answer arrays of their own, and reductions of what they compute, "
                f"not {node.op}",
                node=node,
            )
        for x in node.inputs:
            if x in reduced:
                raise GraphTypeError(f"fused: {node.op} reads the {reduced[x].op.name} that is an output", node=node)
    if len(set(graph.outputs)) < len(graph.outputs) or not computed.issuperset(graph.outputs):
        raise GraphTypeError("fused answers what it computes, each once")


def _alike(a: Any, b: Any) -> bool:
    return isinstance(a, TensorType) and isinstance(b, TensorType) and a.dtype == b.dtype and a.ndim == b.ndim


def _fused(build: Callable[..., list[Any]]) -> Callable[..., Any]:
    """A function that is `build`, as one op."""

    def fused(*inputs: Any) -> Any:
        fresh = [x.type.variable(name=f"x{i}") for i, x in enumerate(inputs)]
        return Fused(Graph(fresh, build(*fresh)))(*inputs)

    return fused
