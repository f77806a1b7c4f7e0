"""OpFromGraph: a whole expression as one op, with derivatives that may be overridden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.alias import overlapping, viewed
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Graph, Variable, leaves, rebuild
from refgraph.core.op import BadSample, Compile, Derivatives, GraphOp, Sample, declare, same_signature
from refgraph.core.types import NullType, Type
from refgraph.ops.custom import cotangents_of
from refgraph.ops.linear import zeros_for
from refgraph.ops.tensor import Cache, TensorType, as_tensor

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch


@declare
class OpFromGraph(GraphOp):
    """The expressions `outputs` of `inputs` as an op: `OpFromGraph([x, y], [x * y])(a, b)`.

    Shared variables in the expressions become inputs by themselves. Given inputs of other known lengths, the
    expressions are made anew for those; another dtype or rank is refused.

    lop_overrides: the gradient to use instead of the expressions' own: a function of (inputs, outputs, output_grads),
        or an OpFromGraph called with all of these, answering a list, one for each of `inputs`; or a list with one of
        those, each answering one gradient, for each of `inputs`. "default" and None stand for the expressions' own
        gradient; a variable of DisconnectedType or NullType says that there is none.
    grad_overrides: the same, of (inputs, output_grads).
    rop_overrides: in forward mode, of (inputs, eval_points), answering one for each of `outputs`.
    connection_pattern: for each input a list that says for each output whether it depends on it.
    inline: let rewriting put the expressions in its place.

    Raises MissingInputError when the outputs depend on anything else.
    """

    name = "subgraph"

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Any],
        inline: bool = False,
        lop_overrides: Any = "default",
        grad_overrides: Any = "default",
        rop_overrides: Any = "default",
        connection_pattern: Any = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(inputs, (list, tuple)) or not isinstance(outputs, (list, tuple)):
            raise GraphTypeError("OpFromGraph takes a list of inputs and a list of outputs")
        if not _is_default(lop_overrides) and not _is_default(grad_overrides):
            raise GraphTypeError("OpFromGraph takes lop_overrides or grad_overrides, not both")
        outs = [out if isinstance(out, Variable) else as_tensor(out) for out in outputs]
        given = set(inputs)
        self.closed_over = tuple([v for v in leaves(outs, given) if v not in given and hasattr(v, "container")])
        self.graph = Graph([*inputs, *self.closed_over], outs)
        self.inline, self.connection = inline, connection_pattern
        self.lop_overrides, self.grad_overrides, self.rop_overrides = lop_overrides, grad_overrides, rop_overrides
        if name is not None:
            self.name = name
        for overrides, count, what in (
            (lop_overrides, len(inputs), "lop_overrides"),
            (grad_overrides, len(inputs), "grad_overrides"),
            (rop_overrides, len(outs), "rop_overrides"),
        ):
            if isinstance(overrides, (list, tuple)) and len(overrides) != count:
                raise GraphTypeError(f"OpFromGraph: {what} has {len(overrides)} entries, {count} are needed")
        self.views = viewed(self.graph)
        self._variants: Cache[tuple[Type, ...], OpFromGraph] = Cache()

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return (self.graph,)

    @property
    def count(self) -> int:
        """How many inputs are given in a call."""
        return len(self.graph.inputs) - len(self.closed_over)

    def make_node(self, *inputs: Any) -> Apply:
        """An application to as many inputs as it has; the shared variables may be given too."""
        expected = self.graph.inputs
        if len(inputs) == self.count:
            inputs = (*inputs, *self.closed_over)
        if len(inputs) != len(expected):
            raise GraphTypeError(f"{self.name} takes {self.count} inputs, got {len(inputs)}")
        given = [x if isinstance(x, Variable) else as_tensor(x) for x in inputs]
        op = self
        if any(x.type != y.type for x, y in zip(given, expected, strict=True)):
            op = self._variant(given)
        return Apply(op, given, [out.type.variable() for out in op.graph.outputs])

    def _variant(self, inputs: Sequence[Variable]) -> OpFromGraph:
        """The same op for inputs of other types."""
        key = tuple([x.type for x in inputs])
        op = self._variants.get(key)
        if op is None:
            for n, (x, y) in enumerate(zip(inputs, self.graph.inputs, strict=True)):
                if x.type != y.type and _kind(x) != _kind(y):
                    raise GraphTypeError(f"{self.name}: input {n} must be {y.type}, got {x} ({x.type})", inputs=[x])
            fresh = [t.variable(name=y.name) for t, y in zip(key, self.graph.inputs, strict=True)]
            op = object.__new__(type(self))
            op.__dict__.update(self.__dict__)
            op.graph, op._variants = Graph(fresh, self.graph(*fresh)), self._variants
            op.views = viewed(op.graph)
            self._variants[key] = op
        return op

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        found: Sequence[Any] = known.inside(self.graph, node.inputs)
        return found

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        return kernel(self.graph, compile)

    def with_graphs(self, graphs: Sequence[Graph]) -> OpFromGraph:
        """This op with another graph of the same types; overrides of derivatives stay as they are."""
        (graph,) = same_signature(self, graphs)
        op: OpFromGraph = object.__new__(type(self))
        op.__dict__.update(self.__dict__)
        op.graph, op._variants, op.views = graph, Cache(), viewed(graph)
        return op

    # derivatives

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """For each input, for each output, whether the output depends on it."""
        if self.connection is not None:
            given = self.connection(node) if callable(self.connection) else self.connection
            rows = [list(map(bool, row)) for row in given]
            return rows + [[True] * len(self.graph.outputs)] * (len(self.graph.inputs) - len(rows))
        reached = [set(leaves([out], set(self.graph.inputs))) for out in self.graph.outputs]
        return [[x in r for r in reached] for x in self.graph.inputs]

    def vjp_through(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> Derivatives:
        if not any(isinstance(g, Variable) for g in cotangents):
            return [None if all(g is None for g in cotangents) else 0] * len(node.inputs)
        default = _Default(lambda: self._own_vjp(node, cotangents, pullback, wanted))
        entries: list[Any] = [default.entry(i) for i in range(len(node.inputs))]
        count, grads = self.count, None
        for overrides, before in (
            (self.lop_overrides, [*node.inputs[:count], *node.outputs]),
            (self.grad_overrides, list(node.inputs[:count])),
        ):
            if not _is_default(overrides):
                grads = [
                    g if isinstance(g, Variable) else zeros_for(out)
                    for g, out in zip(cotangents, node.outputs, strict=True)
                ]
                groups = [before[:count], before[count:], grads] if len(before) > count else [before, grads]
                entries[:count] = _overridden(
                    f"{self.name}: gradient", overrides, groups, node.inputs[:count], entries[:count]
                )
        if self.connection is not None:
            live = [g is not None for g in cotangents]
            pattern = self.connection_pattern(node)
            entries = [
                e if any(c and on for c, on in zip(row, live, strict=True)) else None
                for e, row in zip(entries, pattern, strict=True)
            ]
        return entries

    def _own_vjp(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> list[Any]:
        """Cotangents from the graph inside, computed by another op of this kind."""
        seeds = [g.type.variable() if isinstance(g, Variable) else g for g in cotangents]
        inputs = self.graph.inputs
        found = pulled_back(self.graph, seeds, wanted, pullback)
        fed = [s for s in seeds if isinstance(s, Variable)]
        return _applied(
            f"grad of {self.name}",
            [*inputs, *fed],
            found,
            [*node.inputs, *[g for g in cotangents if isinstance(g, Variable)]],
        )

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        if not any(isinstance(t, Variable) for t in tangents):
            return [None if all(t is None for t in tangents) else 0] * len(node.outputs)
        seeds = [t.type.variable() if isinstance(t, Variable) else t for t in tangents]
        fed = [s for s in seeds if isinstance(s, Variable)]
        moving = [t for t in tangents if isinstance(t, Variable)]

        def own() -> list[Any]:
            found = pushforward(self.graph.outputs, self.graph.inputs, seeds)
            return _applied(f"tangent of {self.name}", [*self.graph.inputs, *fed], found, [*node.inputs, *moving])

        if _is_default(self.rop_overrides):
            return own()
        default, count = _Default(own), self.count
        entries = [default.entry(i) for i in range(len(node.outputs))]
        points = [
            t if isinstance(t, Variable) else zeros_for(x)
            for t, x in zip(tangents[:count], node.inputs[:count], strict=True)
        ]
        found = _overridden(
            f"{self.name}: tangent", self.rop_overrides, [list(node.inputs[:count]), points], node.outputs, entries
        )
        return [e() if callable(e) else e for e in found]

    # many items

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if self.connection is not None or not all(
            map(_is_default, (self.lop_overrides, self.grad_overrides, self.rop_overrides))
        ):
            return None  # what is said of the derivatives holds for an item
        inputs = [x.type.variable(name=y.name) for x, y in zip(batch.inputs, self.graph.inputs, strict=True)]
        held = list(zip(inputs, self.graph.inputs, batch.marked, strict=True))
        many = {old: new for new, old, marked in held if marked}
        outputs = rebuild(
            batch.vectorized(self.graph.outputs, many), {old: new for new, old, marked in held if not marked}
        )
        return OpFromGraph(inputs, outputs, self.inline, name=self.name).make_node(*batch.inputs).outputs

    # for the suites

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        x, y = TensorType("float64", (None, None))("x"), TensorType("float64", (None,))("y")
        two = cls([x, y], [x * y + x, x.T, (x * x).sum()], name="two")
        yield Sample(
            "three-outputs",
            lambda a, b: two(a, b),
            (rng.normal(size=(2, 3)), rng.normal(size=3)),
            lambda a, b: [a * b + a, a.T, (a * a).sum()],
        )
        yield Sample(
            "nested",
            lambda a, b: two(two(a, b)[0], b)[0],
            (rng.normal(size=(2, 3)), rng.normal(size=3)),
            lambda a, b: (a * b + a) * (b + 1),
        )
        yield Sample("view", lambda a: cls([x], [x.T])(a), (rng.normal(size=(2, 3)),), lambda a: a.T)
        yield Sample("empty", lambda a: cls([x], [x * 2])(a), (np.ones((2, 0)),), lambda a: a * 2)

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = TensorType("float64", (None, None))("x")
        op = cls([x], [x * 2])
        yield BadSample("rank", lambda a: op(a), (np.ones(3),), GraphTypeError, "must be")
        yield BadSample("dtype", lambda a: op(a), (np.ones((2, 2), "float32"),), GraphTypeError, "must be")
        yield BadSample("too-many", lambda a: op(a, a), (np.ones((3, 2)),), GraphTypeError, "takes 1 input")


def kernel(graph: Graph, compile: Compile) -> Callable[..., Any]:
    """What runs a graph as an op's meaning: its outputs share memory with inputs at most, one is answered as itself."""
    run = compile(graph)
    pairs = zip(graph.outputs, overlapping(graph), strict=True)
    copied = [isinstance(out.type, TensorType) and overlaps for out, overlaps in pairs]
    if not any(copied):
        return (lambda *arrays: run(*arrays)[0]) if len(copied) == 1 else lambda *arrays: tuple(run(*arrays))

    def run_and_copy(*arrays: Any) -> Any:
        values = [np.array(v) if c else v for v, c in zip(run(*arrays), copied, strict=True)]
        return values[0] if len(values) == 1 else tuple(values)

    return run_and_copy


def pulled_back(
    graph: Graph, cotangents: Derivatives, wanted: Sequence[bool], pullback: Callable[..., list[Any]]
) -> list[Any]:
    """Cotangents of the inputs of a graph that are wanted, None for the others."""
    wrt = [x for x, w in zip(graph.inputs, wanted, strict=True) if w]
    found = iter(pullback(graph.outputs, cotangents, wrt, constant=graph.inputs))  # one may be computed from another
    return [next(found) if w else None for w in wanted]


def _kind(x: Any) -> Any:
    """What inputs of one op have in common, whatever their lengths. (Numbers in its expressions have taken a dtype.)"""
    return (x.type.dtype, x.type.ndim) if isinstance(x.type, TensorType) else x.type


class _Default:
    """Derivatives made together, when the first of them is wanted."""

    def __init__(self, make: Callable[[], list[Any]]) -> None:
        self.make = make
        self.made: list[Any] | None = None

    def entry(self, i: int) -> Callable[[], Any]:
        def get() -> Any:
            if self.made is None:
                self.made = self.make()
            return self.made[i]

        return get


def _is_default(overrides: Any) -> bool:
    return overrides is None or (isinstance(overrides, str) and overrides == "default")


def _applied(name: str, inputs: Sequence[Variable], found: list[Any], given: Sequence[Variable]) -> list[Any]:
    """`found`, expressions of `inputs`, as the outputs of one op on `given`; entries that are no expression stay."""
    live = [i for i, g in enumerate(found) if isinstance(g, Variable) and not isinstance(g.type, NullType)]
    answers = list(found)
    if live:
        op = OpFromGraph(inputs, [found[i] for i in live], name=name)
        for i, g in zip(live, op.make_node(*given).outputs, strict=True):
            answers[i] = g
    return answers


def _overridden(
    who: str, overrides: Any, groups: list[list[Any]], like: Sequence[Variable], default: list[Any]
) -> list[Any]:
    """What overrides say, as entries of a vjp or jvp; `groups` are their arguments, answers belong to `like`."""
    if not isinstance(overrides, (list, tuple)):
        return cotangents_of(who, like, _called(overrides, groups))
    found = [d if _is_default(o) else _called(o, groups) for o, d in zip(overrides, default, strict=True)]
    alone = [(i, g[0] if isinstance(g, (list, tuple)) else g) for i, g in enumerate(found) if not callable(g)]
    for (i, _), entry in zip(
        alone, cotangents_of(who, [like[i] for i, _ in alone], [g for _, g in alone]), strict=True
    ):
        found[i] = entry
    return found


def _called(override: Any, groups: list[list[Any]]) -> Any:
    if isinstance(override, Variable):
        return override
    if isinstance(override, OpFromGraph):
        return override(*[x for group in groups for x in group])
    return override(*groups)
