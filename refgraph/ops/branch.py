"""ifelse: one of two expressions, and only that one is computed, in derivatives too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refgraph.core.alias import viewed
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Graph, Variable
from refgraph.core.op import BadSample, Compile, Derivatives, GraphOp, Sample, declare, is_zero
from refgraph.core.types import NullType, Type, label
from refgraph.ops.batching import Batch, has_items, many_of
from refgraph.ops.construct import zeros
from refgraph.ops.families import operands
from refgraph.ops.lengths import length
from refgraph.ops.linear import no_tangent, zeros_for
from refgraph.ops.subgraph import kernel, pulled_back
from refgraph.ops.tensor import Cache, TensorType, TensorVariable, as_tensor, constant


@declare
class IfElse(GraphOp):
    """The outputs of one of two graphs, as a condition says; the other graph does not run.

    Its inputs are the condition, a tensor of rank 0, and the inputs of the graphs: both take them all, in one order.
    As `ifelse` makes it, the graphs compute nothing and only pick; whoever runs or differentiates it first moves into
    each graph what only that one needs (`refgraph.core.lazy`).

    graphs: two, with inputs of the same types, and outputs that differ at most in their known lengths.
    """

    name = "ifelse"
    lazy = True

    def __init__(self, graphs: Sequence[Graph], name: str | None = None) -> None:
        then, orelse = graphs
        if [x.type for x in then.inputs] != [x.type for x in orelse.inputs]:
            raise GraphTypeError("IfElse: both graphs must take inputs of the same types")
        pairs = zip(then.outputs, orelse.outputs, strict=True)
        self._graphs = (then, orelse)
        self._types = [_joined(a, b) for a, b in pairs]
        self.views = tuple(sorted({1 + i for graph in graphs for i in viewed(graph)}))
        if name is not None:
            self.name = name

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return self._graphs

    def with_graphs(self, graphs: Sequence[Graph]) -> IfElse:
        """The same choice between two other graphs."""
        op = IfElse(graphs, self.name)
        op.lazy = self.lazy
        return op

    def make_node(self, *inputs: Any) -> Apply:
        """An application to the condition and the inputs of the graphs; these are made anew for other lengths.

        Raises GraphTypeError, also for another dtype or rank.
        """
        expected = self._graphs[0].inputs
        if len(inputs) != 1 + len(expected):
            raise GraphTypeError(f"{self.name} takes a condition and {len(expected)} inputs, got {len(inputs)} in all")
        condition, *args = [x if isinstance(x, Variable) else as_tensor(x) for x in inputs]
        op = self
        if any(x.type != y.type for x, y in zip(args, expected, strict=True)):
            op = self._for(args)
        return Apply(op, [_scalar(self.name, condition), *args], [t.variable() for t in op._types])

    def _for(self, args: Sequence[Variable]) -> IfElse:
        """The same op for inputs of other lengths."""
        for n, (x, y) in enumerate(zip(args, self._graphs[0].inputs, strict=True)):
            if x.type != y.type and not _alike_but_for_lengths(x, y):
                raise GraphTypeError(f"{self.name}: input {n} must be {y.type}, got {x} ({x.type})", inputs=[x])
        fresh = [x.type.variable(name=x.name) for x in args]
        return self.with_graphs([Graph(fresh, graph(*fresh)) for graph in self._graphs])

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        then, orelse = [known.inside(graph, node.inputs[1:]) for graph in self._graphs]
        pairs = [zip(a, b, strict=True) for a, b in zip(then, orelse, strict=True)]
        return [[n if n == m else None for n, m in pair] for pair in pairs]

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        then, orelse = [kernel(graph, compile) for graph in self._graphs]
        return lambda condition, *args: then(*args) if condition else orelse(*args)

    def written(self, condition: str, *args: str) -> str:
        """How it reads in a formula: each branch in full where it picks, and where it computes from short texts."""
        from refgraph.core.show import formula

        branches = []
        for graph in self._graphs:
            picked = dict(zip(graph.inputs, args, strict=True))
            short = {x: text if len(text) <= 40 else x.name or "..." for x, text in picked.items()}
            texts = [picked[out] if out in picked else formula(out, 100, short) for out in graph.outputs]
            branches.append(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        return f"{self.name}({', '.join([condition, *branches])})"

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        """One choice for all items; where the condition differs from item to item there is no such form."""
        if batch.marked[0]:
            return None
        marks, bodies = batch.marked[1:], []
        for graph in self._graphs:
            inputs: list[Any] = [many_of(x) if m else x for x, m in zip(graph.inputs, marks, strict=True)]
            given = {x: many for x, many, m in zip(graph.inputs, inputs, marks, strict=True) if m}
            first = next(iter(given.values()))
            inner = Batch(inputs, marks, length(first, 0), batch.vectorized)
            bodies.append((inner, batch.vectorized(graph.outputs, given)))
        pairs = zip(*[outputs for _, outputs in bodies], node.outputs, strict=True)
        wide = [has_items(a, out) or has_items(b, out) for a, b, out in pairs]
        graphs = []
        for inner, outputs in bodies:
            spread = [w and not has_items(x, out) for w, x, out in zip(wide, outputs, node.outputs, strict=True)]
            found = [inner.repeated(x) if s else x for s, x in zip(spread, outputs, strict=True)]
            graphs.append(Graph(inner.inputs, found))
        return self.with_graphs(graphs).make_node(*batch.inputs).outputs

    # derivatives: by the condition zero, as those of switch

    def vjp_through(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> Derivatives:
        if not any(isinstance(g, Variable) for g in cotangents):
            return [no_tangent(cotangents)] * len(node.inputs)
        found = self._derived(
            node,
            cotangents,
            lambda graph, seeds: pulled_back(graph, seeds, wanted[1:], pullback),
            [graph.inputs for graph in self._graphs],
        )
        return [0, *found]

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        by_condition, *moved = tangents
        if not any(isinstance(t, Variable) for t in moved):
            return [no_tangent(tangents)] * len(node.outputs)
        found = self._derived(
            node,
            moved,
            lambda graph, seeds: pushforward(graph.outputs, graph.inputs, seeds),
            [graph.outputs for graph in self._graphs],
        )
        return found if by_condition is None else [0 if t is None else t for t in found]

    def _derived(
        self,
        node: Apply,
        given: Derivatives,
        derive: Callable[[Graph, list[Any]], list[Any]],
        of: Sequence[Sequence[Variable]],
    ) -> list[Any]:
        """Derivatives of this application, by another: it chooses between what `derive(graph, seeds)` says of each.

        `given` are what stands for the seeds; `of` the variables of each graph that the derivatives belong to.
        """
        seeds = [g.type.variable() if isinstance(g, Variable) else g for g in given]
        found = [derive(graph, seeds) for graph in self._graphs]
        merged = [_merged(*pair) for pair in zip(*found, *of, strict=True)]
        live = [m for m in merged if isinstance(m, tuple)]
        if not live:
            return merged
        fed = [s for s in seeds if isinstance(s, Variable)]
        bodies = zip(*live, strict=True)
        graphs = [Graph([*graph.inputs, *fed], body) for graph, body in zip(self._graphs, bodies, strict=True)]
        chosen = self.with_graphs(graphs).make_node(*node.inputs, *[g for g in given if isinstance(g, Variable)])
        outputs = iter(chosen.outputs)
        return [next(outputs) if isinstance(m, tuple) else m for m in merged]

    # for the suites

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        square, row = rng.normal(size=(3, 3)), rng.normal(size=3)
        for condition in (np.bool_(True), np.bool_(False)):
            yield Sample(
                f"computed-{condition}",
                lambda c, a, b: ifelse(c, (a * b).sum(axis=1), b**2),
                (condition, square, row),
                lambda c, a, b: (a * b).sum(axis=1) if c else b**2,
                (1, 2),
            )
            yield Sample(
                f"several-{condition}",
                lambda c, a, b: ifelse(c, [a @ b, a.T, b], [b * b, a, (a * b).sum(axis=0)]),
                (condition, square, row),
                lambda c, a, b: [a @ b, a.T, b] if c else [b * b, a, (a * b).sum(axis=0)],
                (1, 2),
            )
            yield Sample(
                f"nested-{condition}",
                lambda c, a, b: ifelse(c, a * ifelse(c, b, a), ifelse(c, a, b * ifelse(c, b, a))) * a,
                (condition, row, row[::-1]),
                lambda c, a, b: a * b * a,
                (1, 2),
            )
        shape = (0, 2)
        yield Sample(
            "empty",
            lambda c, a: ifelse(c, a * 2, a + 1),
            (np.float64(2.5), np.ones(shape)),
            lambda c, a: a * 2,
            (1,),
        )
        yield Sample(
            "length-1",
            lambda c, a, b: ifelse(c, a, b) * 2,
            (np.int8(0), np.ones((1, 3)), rng.normal(size=(2, 3))),
            lambda c, a, b: b * 2,
            (1, 2),
        )
        yield Sample(
            "strided",
            lambda c, a: ifelse(c, a[0], a[1] * 2),
            (np.int64(-1), rng.normal(size=(4, 6))[::-2, ::3]),
            lambda c, a: a[0],
            (1,),
        )
        for dtype, other in (("float32", "float32"), ("complex128", "float64"), ("int8", "uint8"), ("bool", "int64")):
            yield Sample(
                f"{dtype}-{other}",
                lambda c, a, b: ifelse(c, a, b * b),
                (np.bool_(True), np.array([1, 0, 1], dtype), np.array([2, 3, 1], other)),
                lambda c, a, b: a.astype(np.result_type(a, b)),
                (1, 2) if dtype[0] in "fc" else (),
            )
        yield Sample(
            "number",
            lambda c, a: ifelse(c, a, 0.5),
            (np.complex128(0j), np.float32(3)),
            lambda c, a: np.float32(0.5),
            (1,),
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        no, vector, matrix = np.bool_(False), np.zeros(3), np.zeros((1, 3))
        yield BadSample("condition", lambda c, a: ifelse(c, a, a), (vector, vector), GraphTypeError, "T.switch")
        yield BadSample("ranks", lambda c, a, b: ifelse(c, a, b), (no, vector, matrix), GraphTypeError, "ranks")
        yield BadSample("counts", lambda c, a: ifelse(c, [a, a], [a]), (no, vector), GraphTypeError, "2 and 1")
        yield BadSample("number", lambda c, a: ifelse(c, a, 1.0), (no, vector), GraphTypeError, "ranks")


def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """`then_branch` where the condition holds, else `else_branch`; only the one that is taken is computed.

    condition: a variable of rank 0 and any dtype, or a number; it holds unless it is zero. To choose element by
        element, use `switch`, which computes both.
    then_branch, else_branch: expressions of the same rank, whose dtypes promote as NumPy's (a Python number takes the
        other's), or of the same type when they are no tensors; or lists of as many expressions.
    name: how the application prints.

    Answers a variable, or a list (for a tuple a tuple) when the branches are lists, also of one expression. Derivatives
    are lazy as well: where the branch that is not taken has none, or an infinite one, that makes no NaN. What other
    expressions, or both branches, need too is computed in any case. Raises GraphTypeError.
    """
    thens, elses = _listed(then_branch), _listed(else_branch)
    if len(thens) != len(elses):
        raise GraphTypeError(
            f"ifelse takes branches of as many expressions, got {len(thens)} and {len(elses)}",
            help="give both branches one expression for each output",
        )
    pairs = [_branches(a, b) for a, b in zip(thens, elses, strict=True)]
    args = [a for a, _ in pairs] + [b for _, b in pairs]
    op = _picking(tuple([x.type for x in args]), label(name))
    outputs = op.make_node(condition, *args).outputs
    kind = next((type(b) for b in (then_branch, else_branch) if isinstance(b, (list, tuple))), None)
    return outputs[0] if kind is None else tuple(outputs) if issubclass(kind, tuple) else list(outputs)


_PICKING: Cache[tuple[tuple[Type, ...], str | None], IfElse] = Cache()


def _picking(types: tuple[Type, ...], name: str | None) -> IfElse:
    """The op whose inputs are one branch's outputs and then the other's."""
    op = _PICKING.get((types, name))
    if op is None:
        inputs, half = [t.variable() for t in types], len(types) // 2
        op = _PICKING[types, name] = IfElse([Graph(inputs, inputs[:half]), Graph(inputs, inputs[half:])], name)
    return op


def _listed(branch: Any) -> list[Any]:
    return list(branch) if isinstance(branch, (list, tuple)) else [branch]


def _scalar(who: str, condition: Variable) -> Variable:
    """A condition that there is one of. Raises GraphTypeError."""
    if not isinstance(condition, TensorVariable):
        raise GraphTypeError(f"{who}: the condition must be a scalar, got {condition} ({condition.type})")
    if condition.type.ndim:
        raise GraphTypeError(
            f"{who}: the condition must be a scalar, got {condition} ({condition.type})",
            help="use T.switch to choose element by element, or reduce it with .all() or .any()",
            inputs=[condition],
        )
    return condition


def _branches(a: Any, b: Any) -> tuple[Variable, Variable]:
    """An expression of each branch as variables of one type, but for known lengths. Raises GraphTypeError."""
    if any(isinstance(x, Variable) and not isinstance(x, TensorVariable) for x in (a, b)):
        if not isinstance(a, Variable) or not isinstance(b, Variable) or a.type != b.type:
            shown = [f"{x} ({x.type})" if isinstance(x, Variable) else f"{x!r:.60}" for x in (a, b)]
            raise GraphTypeError(
                f"ifelse: both branches must have the same type, got {shown[0]} and {shown[1]}",
                help="give an expression of the same type in both",
                inputs=[x for x in (a, b) if isinstance(x, Variable)],
            )
        return a, b
    x, y = operands("ifelse", (a, b))
    if x.type.ndim != y.type.ndim:
        raise GraphTypeError(
            f"ifelse: the branches must be of equal ranks, got {x} ({x.type}) and {y} ({y.type})",
            help="give one the shape of the other: T.full_like(x, number), T.shape_padleft or T.broadcast_to",
            inputs=[x, y],
        )
    return _of_one_dtype(x, y)


def _of_one_dtype(x: Any, y: Any) -> tuple[Any, Any]:
    if x.type.dtype == y.type.dtype:
        return x, y
    dtype = np.result_type(x.type.numpy_dtype, y.type.numpy_dtype).name
    return x.astype(dtype), y.astype(dtype)


def _joined(x: Variable, y: Variable) -> Type:
    """The type of either x or y. Raises GraphTypeError."""
    if x.type == y.type:
        return x.type
    if not _alike_but_for_lengths(x, y):
        raise GraphTypeError(f"IfElse: both graphs must have outputs of the same types, got {x.type} and {y.type}")
    lengths = [m if m == n else None for m, n in zip(x.type.shape, y.type.shape, strict=True)]  # type: ignore[attr-defined]
    return TensorType(x.type.dtype, lengths)  # type: ignore[attr-defined]  # tensors, as they are alike


def _alike_but_for_lengths(x: Variable, y: Variable) -> bool:
    """Whether both are tensors of one dtype and rank."""
    a, b = x.type, y.type
    return isinstance(a, TensorType) and isinstance(b, TensorType) and (a.dtype, a.ndim) == (b.dtype, b.ndim)


def _merged(a: Any, b: Any, of_a: Any, of_b: Any) -> Any:
    """The derivatives that two branches say: a pair of variables to choose from, or what holds for both branches.

    They belong to `of_a` and `of_b`, in whose shapes there are zeros where a branch has no derivative.
    """
    for g in (a, b):
        if isinstance(g, Variable) and isinstance(g.type, NullType):
            return g
    if not isinstance(a, Variable) and not isinstance(b, Variable):
        return 0 if is_zero(a) or is_zero(b) else None
    return _of_one_dtype(a if isinstance(a, Variable) else _zero(of_a), b if isinstance(b, Variable) else _zero(of_b))


def _zero(x: Any) -> Any:
    """A zero derivative of x, that does not need x when all its lengths are known."""
    lengths = x.type.shape
    if None in lengths:
        return zeros_for(x)
    dtype = x.type.dtype if x.type.is_continuous else "floatX"
    return zeros(lengths, dtype) if lengths else constant(0, dtype=dtype)
