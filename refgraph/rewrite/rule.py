"""Rules: what may stand for what. A rule is one decorated function; decorating it makes it known.

`@rule` takes a function of holes that answers a pair of expressions, before and after, which are equal on a domain: the
suite runs both sides there. `@node_rule` takes one that looks at an application and answers what may stand for its
outputs, or None; `@graph_rule` one from a whole graph to another. Phases run in the order of `PHASES`; within a phase
rules are tried in the order in which they were declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from inspect import signature, unwrap
from typing import TYPE_CHECKING, Any

from refgraph.core.errors import RewriteError
from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, toposort
from refgraph.core.op import Op
from refgraph.ops.families import Elemwise, Reals
from refgraph.ops.tensor import ConstantOfNumber, TensorConstant, TensorType

if TYPE_CHECKING:
    from refgraph.rewrite.engine import Facts

PHASES = ("canonical", "stable", "scan", "specialize", "matmul", "fuse")
"""canonical: one spelling for what is the same, and less of it. stable: nothing overflows or cancels that need not.
scan: loops do less. specialize: cheaper ops for special cases. matmul: products of matrices. fuse: neighbours.
"""

Answer = Variable | Sequence[Variable] | None
"""What may stand for the outputs of an application; None: the rule does not apply."""

RULES: dict[str, Rule] = {}
"""Every rule by name, in the order in which they are tried."""


class Rule:
    """Something that rewrites. `always` says that it is tried in every phase after its own, too.

    `source` is where its function is; the same function, declared again as in a notebook, takes the place of the first.
    """

    def __init__(self, name: str, phase: str, doc: str | None, source: Any, always: bool = False) -> None:
        self.source = f"{source.__module__}.{source.__qualname__}"
        if phase not in PHASES:
            raise _no_phase(name, phase)
        if name in PHASES or (name in RULES and RULES[name].source != self.source):
            raise RewriteError(
                f"rule {name}: there is a {'phase' if name in PHASES else 'rule'} of that name", help="use another name"
            )
        if not doc:
            raise RewriteError(f"rule {name} has no docstring", help="state the equation in one sentence")
        self.name, self.phase, self.always = name, phase, always
        self.is_ours = self.source.startswith("refgraph.")
        self.__doc__ = doc
        RULES[name] = self

    def __repr__(self) -> str:
        return f"<{self.phase} rule {self.name}>"


class NodeRule(Rule):
    """A function of an application; see `node_rule`."""

    def __init__(self, function: Callable[..., Answer], phase: str, at: Sequence[Any], always: bool) -> None:
        super().__init__(function.__name__, phase, function.__doc__, function, always)
        self.function, self.at = function, tuple(at) or (Op,)
        self._asks = _wants_facts(function)

    def __call__(self, node: Apply, facts: Facts) -> Answer:
        return self.function(node, facts) if self._asks else self.function(node)


def _wants_facts(function: Any) -> bool:
    inner = unwrap(function)
    needed: int = inner.__code__.co_argcount - len(inner.__defaults__ or ())  # `signature` takes 20 times as long
    return needed > 1


def places(op: Op) -> tuple[Any, ...]:
    """Where a rule may look to be shown an op: at it, its row of the reductions, and its classes."""
    return (op, getattr(op, "row", None), *type(op).__mro__)


class GraphRule(Rule):
    """A function of a graph; see `graph_rule`."""

    def __init__(self, function: Callable[..., Graph], phase: str) -> None:
        super().__init__(function.__name__, phase, function.__doc__, function)
        self.function = function
        self._asks = _wants_facts(function)

    def __call__(self, graph: Graph, facts: Facts) -> Graph:
        return self.function(graph, facts) if self._asks else self.function(graph)


def _no_phase(name: str, phase: Any) -> RewriteError:
    got = repr(phase) if isinstance(phase, str) else f"{phase!r:.60} ({type(phase).__name__})"
    return RewriteError(f"rule {name}: no phase {got}", help=f"use one of: {', '.join(PHASES)}")


class PairRule(Rule):
    """`before` may become `after`, both expressions of `holes`, for values in `on`; see `rule`.

    `fails` are points at which `before`, computed as it is written, is wrong or not finite, and `after` is right.
    """

    def __init__(
        self,
        name: str,
        phase: str,
        doc: str | None,
        build: Callable[..., tuple[Any, Any]],
        on: Sequence[Reals],
        fails: Sequence[tuple[float, ...]] = (),
    ) -> None:
        self.holes = tuple([_HOLE(f"x{i}") for i in range(len(on))])
        self.on, self.fails = tuple(on), tuple(fails)
        if phase not in PHASES:  # the usual mistake: to leave it out
            raise _no_phase(name, phase)
        try:
            before, after = build(*self.holes)
        except TypeError:
            _refuse_other_holes(name, phase, build, self.holes)
            raise
        self.before: Variable = before
        self.after: Any = after
        if self.before.owner is None:
            raise RewriteError(f"rule {name}: what stands before must be an application, got {before}")
        super().__init__(name, phase, doc, build)

    @cached_property
    def keeps_shape(self) -> bool:
        """Whether both sides surely have one shape, for they are elementwise, of the same things."""
        before, after = _broadcast(self.before), _broadcast(self.after)
        return before == after and before is not None

    @cached_property
    def _make(self) -> _Template:
        return _Template(self.holes, self.after)

    def written(self, holes: Sequence[Variable]) -> Any:
        """`before` as it is written, with these in the holes."""
        return _Template(self.holes, self.before)(holes)

    def made(self, found: Sequence[Variable]) -> Any:
        """`after`, with what was found in the holes."""
        return self._make(found)


def _refuse_other_holes(name: str, phase: str, build: Callable[..., Any], holes: Sequence[Variable]) -> None:
    """Raise RewriteError where a function does not take these holes."""
    try:
        signature(build).bind(*holes)
    except TypeError as error:
        raise RewriteError(
            f"rule {name}: the function does not take {len(holes)} holes, one for each domain",
            why=str(error),
            help=f'as in @rule("{phase}", Reals(-4, 4)) for a function of one',
        ) from None


def _broadcast(expression: Any) -> set[Variable] | None:
    """The variables that an elementwise expression broadcasts; None where an op in it is another."""
    if not isinstance(expression, Variable):
        return set()
    if not all(isinstance(node.op, Elemwise) for node in toposort([expression])):
        return None
    return {x for x in leaves([expression]) if not isinstance(x, Constant)}


_HOLE = TensorType("float64", ())


def rule(
    phase: str, *on: Reals, fails: Sequence[Any] = (), name: str | None = None
) -> Callable[[Callable[..., tuple[Any, Any]]], PairRule]:
    """Make a rule of a function of holes that answers (before, after), which are equal on a domain.

    phase: one of PHASES. on: for each hole the domain, a `Reals`; a hole stands for tensors of the dtype kinds of its
    domain, of any shape. fails: points, a number or one number a hole, where `before` as it is written overflows or
    cancels; there the suite compares `after` with more precise arithmetic. name: by default the function's.
    Where the two sides would differ in dtype the rule does not apply.
    """
    points = [p if isinstance(p, tuple) else (p,) for p in fails]
    return lambda build: PairRule(name or build.__name__, phase, build.__doc__, build, on, points)


def node_rule(phase: str, *at: Any, always: bool = False) -> Callable[[Callable[..., Answer]], NodeRule]:
    """Make a rule of a function `(node)` or `(node, facts)` that answers what may stand for the outputs, or None.

    at: the ops to look at: ops, classes of ops, rows of the reductions; none for all. always: in the later phases, too.
    """
    return lambda function: NodeRule(function, phase, at, always)


def graph_rule(phase: str) -> Callable[[Callable[..., Graph]], GraphRule]:
    """Make a rule of a function `(graph)` or `(graph, facts)` that answers a graph, the same where nothing changes."""
    return lambda function: GraphRule(function, phase)


class Pattern:
    """An expression with holes, to be found; ops that commute match in either order."""

    def __init__(self, holes: Sequence[Variable], root: Variable, on: Sequence[Reals]) -> None:
        self.holes, self.root = tuple(holes), root
        self.kinds = {hole: domain.kinds for hole, domain in zip(holes, on, strict=True)}
        assert root.owner is not None  # PairRule has looked
        self.op: Op = root.owner.op

    def match(self, node: Apply) -> list[Variable] | None:
        """What stands in the holes, where the pattern is the output of `node`; None where it is not."""
        assert self.root.owner is not None
        for found in self._inputs(self.root.owner, node, {}):
            return [found[hole] for hole in self.holes]
        return None

    def _inputs(self, p: Apply, v: Apply, found: dict[Variable, Variable]) -> Iterator[dict[Variable, Variable]]:
        orders = [v.inputs, v.inputs[::-1]] if p.op.commutative else [v.inputs]
        for inputs in orders:
            if all(self._may_be(a, b, found) for a, b in zip(p.inputs, inputs, strict=True)):
                yield from self._each(p.inputs, inputs, found)

    def _each(
        self, ps: Sequence[Variable], vs: Sequence[Variable], found: dict[Variable, Variable]
    ) -> Iterator[dict[Variable, Variable]]:
        if not ps:
            yield found
            return
        for first in self._one(ps[0], vs[0], found):
            yield from self._each(ps[1:], vs[1:], first)

    def _one(self, p: Variable, v: Variable, found: dict[Variable, Variable]) -> Iterator[dict[Variable, Variable]]:
        if not self._may_be(p, v, found):
            return
        if p.owner is not None and v.owner is not None:
            yield from self._inputs(p.owner, v.owner, found)
        else:
            yield found if isinstance(p, Constant) else {**found, p: v}

    def _may_be(self, p: Variable, v: Variable, found: dict[Variable, Variable]) -> bool:
        """Whether `v` may be what the pattern has there, as far as can be told without looking behind it."""
        if p.owner is not None:
            return v.owner is not None and v.owner.op is p.owner.op
        if isinstance(p, TensorConstant):
            return isinstance(v, TensorConstant) and v.type.ndim == 0 and bool(v.value == p.value)
        held = found.get(p)
        if held is not None:
            return held is v
        return isinstance(v.type, TensorType) and v.type.numpy_dtype.kind in self.kinds[p]


class _Template:
    """An expression to be made with other things in its holes; numbers take the dtypes of what is beside them."""

    def __init__(self, holes: Sequence[Variable], after: Any) -> None:
        place: dict[Variable, int] = {hole: i for i, hole in enumerate(holes)}
        self._steps: list[tuple[Op, list[tuple[int | None, Any]]]] = []
        self._result: tuple[int | None, Any] = (None, after)
        if not isinstance(after, Variable):
            return
        for node in toposort([after]):
            self._steps.append((node.op, [_reference(x, place) for x in node.inputs]))
            place[node.outputs[0]] = len(place)
        self._result = _reference(after, place)

    def __call__(self, found: Sequence[Variable]) -> Any:
        made: list[Any] = list(found)
        for op, inputs in self._steps:
            made.append(op(*[value if i is None else made[i] for i, value in inputs]))
        i, value = self._result
        return value if i is None else made[i]


def _reference(x: Variable, place: dict[Variable, int]) -> tuple[int | None, Any]:
    """Where to find what stands for x; or what it is, with None."""
    if x in place:
        return place[x], None
    return None, x.number if isinstance(x, ConstantOfNumber) else x
