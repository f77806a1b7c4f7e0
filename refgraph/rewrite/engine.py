"""The engine: applies rules to a graph, from its inputs to its outputs, until nothing changes.

A sweep goes over the applications once, inputs before users. It knows each by op and inputs, so that what is computed
twice becomes one application (hash consing), and shows it to the rules that look at its op. What a rule answers is
swept in the same way before any reader is looked at. So a rule sees inputs in their final form, and a sweep takes time
in proportion to the number of applications, old and new. Nothing recurses but into loops and branches: graphs are deep.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, lru_cache, reduce
from typing import Any

import numpy as np

from refgraph.core import collecting
from refgraph.core.config import config
from refgraph.core.errors import BoundsError, RefgraphError, RewriteError, ShapeError
from refgraph.core.graph import Apply, Constant, Graph, Variable, toposort
from refgraph.core.op import GraphOp, Op
from refgraph.core.origin import joined, made_for
from refgraph.ops.elementwise import fill
from refgraph.ops.families import Elemwise
from refgraph.ops.shape import retype
from refgraph.ops.tensor import NumberConstant, TensorConstant, TensorType, TensorVariable
from refgraph.rewrite.lengths import Lengths
from refgraph.rewrite.rule import PHASES, RULES, GraphRule, NodeRule, PairRule, Pattern, Rule, places

SWEEPS = (("canonical", "stable"), ("scan",), ("specialize", "matmul"), ("fuse",))
"""Phases whose rules are tried together: what one spells canonically another may find stable, and so on in turn."""

_ALSO = {"scan": ("canonical", "stable")}
"""Phases whose rules are tried in a later one again: what leaves a loop is an expression like any other."""

_SWEEPS = 3  # of one graph after the other; the first does nearly all there is to do
_ROUNDS = 20  # how often the rules for whole graphs may change something, and the other rules look again
_MOST = 60  # changes for each application; beyond 1,000, a graph that takes more does not settle
_MERGED = 1 << 12  # bytes up to which constants are compared by value

Note = Callable[[Rule, Any, Any], None]
"""Is told of each change: the rule; the application, or graph, that was; the variables, or graph, that stand for it."""


def rewrite(
    graph: Graph, rules: Iterable[Rule], note: Note | None = None, lengths: Callable[[], Lengths] = Lengths
) -> Graph:
    """A graph of the same function, as these rules make it; equal expressions are merged, whatever the rules.

    `note` is told of each change; `lengths` makes what knows which axes are equally long. Where a rule raises, answers
    what cannot stand for what was, or changes a graph without end, the flag on_opt_error says what happens: "raise"
    RewriteError; "warn", or "ignore", and do without.
    """
    with collecting.put_off():
        return _Rewriting(tuple(rules), note, lengths).rewritten(graph)


class _Rewriting:
    """What the sweeps of one graph, and of the graphs within it, have in common."""

    def __init__(self, rules: tuple[Rule, ...], note: Note | None, lengths: Callable[[], Lengths] = Lengths) -> None:
        self.note, self.fresh_lengths = note, lengths
        self.lengths = lengths()
        self.constants: dict[Any, TensorConstant] = {}
        self.active = _actives(rules)
        self.inner: dict[tuple[Graph, _Active], Graph] = {}

    def rewritten(self, graph: Graph) -> Graph:
        graph = self.swept(graph, _MERGING)  # so that rules know how often a value is read
        for active in self.active:
            if active.rules and (not active.is_of_loops or any(isinstance(node.op, GraphOp) for node in graph.nodes)):
                graph = self.swept(graph, active)
        return graph

    def swept(self, graph: Graph, active: _Active) -> Graph:
        """The graph as the rules of some phases make it: those for applications and those for whole graphs in turns."""
        for _ in range(_ROUNDS):
            graph = self._settled(graph, active)
            before = graph
            for rule in active.graph_rules:
                changed = self._guarded(_Ruled(rule, graph, self), graph)
                if changed is not graph and self.note is not None:
                    self.note(rule, graph, changed)
                if changed is not graph:
                    self.lengths = self.fresh_lengths()  # the old one says lengths in terms of variables that are gone
                graph = changed
            if graph is before:
                return graph
        return self._guarded(_no_end(active.graph_rules), graph)

    def _settled(self, graph: Graph, active: _Active) -> Graph:
        """The graph after a sweep, and after more while they change something: each knows better who reads what."""
        for _ in range(_SWEEPS):
            before, graph = graph, self._guarded(_Sweep(self, active, graph).run, graph)
            if graph is before:
                break
        return graph

    def swept_inside(self, graph: Graph, active: _Active) -> Graph:
        """The same for a graph that an op holds; inputs and outputs keep their types."""
        found = self.inner.get((graph, active))
        if found is None:
            found = self.swept(graph, active)
            if any(new.type != old.type for new, old in zip(found.outputs, graph.outputs, strict=True)):
                pairs = zip(found.outputs, graph.outputs, strict=True)
                outputs = [_retyped(new, old.type) for new, old in pairs]
                found = Graph(graph.inputs, outputs)
            self.inner[graph, active] = self.inner[found, active] = found
        return found

    def _guarded(self, work: Callable[[], Graph], graph: Graph) -> Graph:
        """What `work` answers; `graph` where it raises, if the flag says so."""
        try:
            return work()
        except RewriteError as error:
            _report(error)
            return graph


def _retyped(x: Any, type: Any) -> Any:
    return x if x.type == type else retype(x, type)


def _report(error: RewriteError) -> None:
    """Raise, warn or ignore, as the flag on_opt_error says."""
    if config.on_opt_error in ("raise", "pdb"):
        raise error
    if config.on_opt_error == "warn":
        warnings.warn(str(error), stacklevel=2)


class _Ruled:
    """A rule for whole graphs, applied to one when it is called."""

    def __init__(self, rule: GraphRule, graph: Graph, common: _Rewriting) -> None:
        self.rule, self.graph, self.facts = rule, graph, Facts(graph, common.lengths)

    def __call__(self) -> Graph:
        try:
            found = self.rule(self.graph, self.facts)
        except Exception as error:
            raise RewriteError(f"the rule {self.rule.name} raised {type(error).__name__}", why=str(error)) from error
        return found


def _no_end(rules: Sequence[Rule]) -> Callable[[], Graph]:
    def work() -> Graph:
        names = ", ".join(r.name for r in rules)
        raise RewriteError(f"rewriting does not settle after {_ROUNDS} rounds of {names}")

    return work


class _Active:
    """The rules of phases that run together, by the op at the root of what they look for."""

    def __init__(self, rules: Sequence[Rule], phases: tuple[str, ...]) -> None:
        self.is_of_loops = phases == ("scan",)
        first = PHASES.index(phases[0])
        also = {p for phase in phases for p in _ALSO.get(phase, ())}
        ordered = [r for phase in PHASES for r in rules if r.phase == phase]
        self.rules = [r for r in ordered if r.phase in phases]
        self.graph_rules = [r for r in self.rules if isinstance(r, GraphRule)]
        self._tried = [
            r
            for r in ordered
            if isinstance(r, NodeRule | PairRule)
            and (r.phase in phases or r.phase in also or (r.always and PHASES.index(r.phase) < first))
        ]
        self._found: dict[Any, list[tuple[Rule, Pattern | None]]] = {}

    @cached_property
    def _by_place(self) -> dict[Any, list[int]]:
        """The numbers of the rules that look at a place, see `places`."""
        found: dict[Any, list[int]] = {}
        for i, r in enumerate(self._tried):
            for place in r.at if isinstance(r, NodeRule) else [pattern_of(r).op]:
                found.setdefault(place, []).append(i)
        return found

    @cached_property
    def _single(self) -> set[type[Op]]:
        """The classes that have an op which some rule looks at by itself."""
        return {type(place) for place in self._by_place if isinstance(place, Op)}

    def at(self, op: Op) -> list[tuple[Rule, Pattern | None]]:
        """The rules to try on applications of an op, those that are pairs with the pattern to find."""
        kind = op if type(op) in self._single else (type(op), getattr(op, "row", None))
        found = self._found.get(kind)
        if found is None:
            numbers = {i for place in places(op) for i in self._by_place.get(place, ())}
            tried = [self._tried[i] for i in sorted(numbers)]
            found = self._found[kind] = [(r, pattern_of(r) if isinstance(r, PairRule) else None) for r in tried]
        return found


_MERGING = _Active((), PHASES[:1])


@lru_cache(maxsize=32)
def _actives(rules: tuple[Rule, ...]) -> tuple[_Active, ...]:
    return tuple([_Active(rules, phases) for phases in SWEEPS])


@cache
def pattern_of(rule: PairRule) -> Pattern:
    """What a rule looks for, in the spelling that the canonical phase has for it: ours are written in that."""
    if rule.is_ours:
        return Pattern(rule.holes, rule.before, rule.on)
    spelling = [r for r in RULES.values() if r.phase == "canonical" and r is not rule]
    if rule.phase == "canonical":  # each needs the others: by what is no pair alone
        spelling = [r for r in spelling if isinstance(r, NodeRule)]
    sides = [x for x in (rule.before, rule.after) if isinstance(x, Variable)]
    spelled = _Rewriting(tuple(spelling), None).rewritten(Graph(rule.holes, sides)).outputs
    known = spelled[0].owner is None or (len(sides) == 2 and spelled[0] is spelled[1])  # others do what it says
    return Pattern(rule.holes, rule.before if known else spelled[0], rule.on)


class Facts:
    """What a rule may ask about the graph that is being rewritten."""

    def __init__(self, graph: Graph, lengths: Lengths) -> None:
        self.graph, self._lengths = graph, lengths

    @cached_property
    def _readers(self) -> dict[Variable, int]:
        found: dict[Variable, int] = {}
        for node in self.graph.nodes:
            for x in node.inputs:
                found[x] = found.get(x, 0) + 1
        for x in self.graph.outputs:
            found[x] = found.get(x, 0) + 1
        return found

    def readers(self, x: Variable) -> int:
        """How often x, or what it stands for, is read in the graph before the sweep, by applications and as an output.

        0 for what a rule has made on the way to what it answers, which that alone reads.
        """
        return self._readers.get(x, 0)

    def lengths(self, x: Variable) -> tuple[Any, ...]:
        """For each axis of x an int or a symbol; where they are equal, so are the lengths at run time."""
        return self._lengths.of(x)

    def length(self, x: Variable, axis: int) -> Any:
        """The length of an axis, an int or the simplest 0-d variable that has it; None where there is none simpler."""
        return self._lengths.length(x, axis)

    def same_shape(self, x: Variable, y: Variable) -> bool:
        """Whether x and y provably have the same shape at run time."""
        return x is y or self._lengths.of(x) == self._lengths.of(y)

    def lender(self, x: Variable) -> Variable:
        """The simplest variable that provably has the shape of x."""
        return self._lengths.lender(x)

    def like(self, value: Any, x: Any) -> Any:
        """`value`, a variable or a number, of the dtype of x and broadcast to its shape, of which x lends no value.

        x is what a rule looks at, the output of an elementwise op, or anything that stays.
        """
        if not isinstance(value, TensorVariable):
            value = _scalar(value, x.type.dtype)
        elif value.type.dtype != x.type.dtype:
            value = value.astype(x.type.dtype)
        if self.same_shape(value, x):
            return value
        sources = [x]
        if x.owner is not None and isinstance(x.owner.op, Elemwise):
            wide = [y for y in x.owner.inputs if y.type.ndim]
            sources = [y for y in wide if self.same_shape(y, x)][:1] or wide
        return reduce(lambda found, y: fill(y, found), sources, value)


def _scalar(value: Any, dtype: str) -> TensorConstant:
    array = np.array(value, dtype)
    array.setflags(write=False)
    return TensorType(dtype, array.shape).constant(array)


class _Frame:
    """An application to be replaced, by what rule and what; and the new applications that are still to be swept."""

    __slots__ = ("answer", "node", "pending", "rule")

    def __init__(self, node: Apply | None, rule: Rule | None, answer: Sequence[Variable], pending: list[Apply]) -> None:
        self.node, self.rule, self.answer, self.pending = node, rule, answer, iter(pending)


class _Sweep(Facts):
    """One sweep over one graph; what it has done is in `_settled`, from each variable to that which stands for it."""

    def __init__(self, common: _Rewriting, active: _Active, graph: Graph) -> None:
        super().__init__(graph, common.lengths)
        self._common, self._active = common, active
        self._settled: dict[Variable, Variable] = {x: x for x in graph.inputs}
        self._known: dict[tuple[Any, ...], Apply] = {}
        self._changes, self._most = 0, 1000 + _MOST * len(graph.nodes)
        self._last: list[str] = []

    def run(self) -> Graph:
        """The graph of the same function, as the rules make it."""
        stack = [_Frame(None, None, self.graph.outputs, list(self.graph.nodes))]
        settled = self._settled
        while True:
            frame = stack[-1]
            for node in frame.pending:
                if all(x in settled for x in node.outputs):
                    continue
                fresh = self._interned(node)
                if fresh is not node and all(x in settled for x in fresh.outputs):
                    self._settle(node, [settled[x] for x in fresh.outputs])
                    continue
                change = self._change(fresh)
                if change is not None:
                    stack.append(change)
                    if fresh is not node:
                        self._settle(node, fresh.outputs)
                    break
                self._settle(fresh, fresh.outputs)
                self._settle(node, fresh.outputs)
            else:
                stack.pop()
                if frame.node is None:
                    break
                self._settle(frame.node, [self._final(x) for x in frame.answer])
        outputs = [self._final(x) for x in self.graph.outputs]
        if all(new is old for new, old in zip(outputs, self.graph.outputs, strict=True)):
            return self.graph
        for new, old in zip(outputs, self.graph.outputs, strict=True):
            _take_name(new, old)
        return Graph(self.graph.inputs, outputs)

    def _settle(self, node: Apply, outputs: Sequence[Variable]) -> None:
        for old, new in zip(node.outputs, outputs, strict=True):
            if old not in self._settled:
                self._settled[old] = new
                if new is not old and old in self._readers:
                    self._readers[new] = self._readers.get(new, 0) + self._readers[old]

    def _final(self, x: Variable) -> Variable:
        """What stands for x in the end; a chain of replacements is walked once and then known."""
        settled = self._settled
        if isinstance(x, Constant):
            return self._constant(x)
        chain = []
        while (new := settled.get(x, x)) is not x:
            chain.append(x)
            x = new
        for old in chain[:-1]:
            settled[old] = x
        return x

    # what is known already

    def _interned(self, node: Apply) -> Apply:
        """The application that is known of the same op to the same things; else this, of what stands for its inputs."""
        inputs = [self._final(x) for x in node.inputs]
        op = node.op
        key = (op, frozenset(inputs)) if op.commutative else (op, *inputs)
        known = self._known.get(key)
        if known is None or len(known.outputs) != len(node.outputs):
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            known = self._known[key] = node if same else _with_inputs(node, inputs)
        return known

    def _constant(self, x: Constant) -> Constant:
        if not isinstance(x, TensorConstant) or x.value.nbytes > _MERGED:
            return x
        key = (x.type, x.value.tobytes())
        known = self._common.constants.get(key)
        if known is None:
            known = x
            if isinstance(
                x, NumberConstant
            ):  # one that takes its neighbours' dtype would, in a new expression, take another
                known = TensorConstant(x.type, x.value, x.name)
            self._common.constants[key] = known
        return known

    # rules

    def _change(self, node: Apply) -> _Frame | None:
        """What the first rule that applies makes of an application, to be swept; None when no rule applies."""
        with made_for(node.origin):
            if isinstance(node.op, GraphOp):
                op = self._with_rewritten_graphs(node.op)
                if op is not node.op:
                    return self._frame(node, None, op.make_node(*node.inputs).outputs)
            for rule, pattern in self._active.at(node.op):
                try:
                    answer = self._answer(rule, pattern, node)
                except (ShapeError, BoundsError):
                    continue  # what it would make is known to fail, as the node will when it runs
                except Exception as error:
                    _report(_raised(rule, node, error))
                    continue
                if answer is not None:
                    self._count(rule, node)
                    if self._common.note is not None:
                        self._common.note(rule, node, answer)
                    return self._frame(node, rule, answer)
        return None

    def _with_rewritten_graphs(self, op: GraphOp) -> GraphOp:
        graphs = [self._common.swept_inside(graph, self._active) for graph in op.graphs]
        return op if all(a is b for a, b in zip(graphs, op.graphs, strict=True)) else op.with_graphs(graphs)

    def _answer(self, rule: Rule, pattern: Pattern | None, node: Apply) -> Sequence[Variable] | None:
        """What the rule makes of the node's outputs; None where that is nothing else."""
        if pattern is None:
            assert isinstance(rule, NodeRule)
            found: Any = rule(node, self)
        else:
            assert isinstance(rule, PairRule)
            held = pattern.match(node)
            found = None if held is None else self._fitted(rule, rule.made(held), node.outputs[0])
        if found is None:
            return None
        answer = [found] if isinstance(found, Variable) else list(found)
        if len(answer) == len(node.outputs) and all(a is b for a, b in zip(answer, node.outputs, strict=True)):
            return None
        _refuse_other_types(answer, node)
        return answer

    def _fitted(self, rule: PairRule, after: Any, before: Any) -> Any:
        """The right side of a rule in the shape of the left; None where it has another dtype."""
        if isinstance(after, TensorVariable) and after.type.dtype != before.type.dtype:
            return None
        return after if rule.keeps_shape else self.like(after, before)

    def _frame(self, node: Apply, rule: Rule | None, answer: Sequence[Variable]) -> _Frame:
        pending = toposort(answer, self._settled)
        for new, old in zip(answer, node.outputs, strict=True):
            if new.owner is not None and new not in self._settled:
                _take_name(new, old)
        if rule is not None:
            self._join_origins(node, pending)
        return _Frame(node, rule, answer, pending)

    def _join_origins(self, node: Apply, made: Sequence[Apply]) -> None:
        """New applications are of all the lines that they stand for: the node's, and those of inputs left out."""
        kept = {x for new in made for x in new.inputs}
        gone = [x.owner.origin for x in node.inputs if x.owner is not None and x not in kept]
        if any(origin != node.origin for origin in gone):
            origin = joined([node.origin, *gone])
            for new in made:
                if new.origin == node.origin:  # not where a rule has said another, as for what leaves a loop
                    new.origin = origin

    def _count(self, rule: Rule, node: Apply) -> None:
        self._changes += 1
        if self._changes > self._most - 10:
            self._last.append(rule.name)
        if self._changes > self._most:
            raise RewriteError(
                f"rewriting does not settle: after {self._most} changes the rule {rule.name} applies again",
                why=f"the last rules to change something were {', '.join(dict.fromkeys(self._last))}",
                help=f"leave it out: mode.excluding({rule.name!r}), and report it",
                node=node,
            )


def _with_inputs(node: Apply, inputs: Sequence[Variable]) -> Apply:
    """The same op on other inputs; or the node as it is, where these are known to be of other lengths than it takes.

    Then it fails when it runs, as it would have: the old inputs do not know their lengths.
    """
    try:
        return node.with_inputs(inputs)
    except RefgraphError:
        return node


def _take_name(new: Variable, old: Variable) -> None:
    if new.name is None and old.name is not None and new.owner is not None:
        new.name = old.name


def _raised(rule: Rule, node: Apply, error: Exception) -> RewriteError:
    made = error if isinstance(error, RewriteError) else None
    return made or RewriteError(
        f"the rule {rule.name} raised {type(error).__name__} on {node.op}",
        why=str(getattr(error, "message", error)),
        help=f"leave it out: mode.excluding({rule.name!r}), and report it",
        node=node,
    )


def _refuse_other_types(answer: Sequence[Variable], node: Apply) -> None:
    """Raise RewriteError unless each variable may stand for the output: equal but for what is known of lengths."""
    fits = len(answer) == len(node.outputs)
    if not fits or not all(_may_stand_for(new.type, old.type) for new, old in zip(answer, node.outputs, strict=True)):
        raise RewriteError(
            f"{', '.join(str(x.type) for x in answer)} cannot stand for {', '.join(str(x.type) for x in node.outputs)}",
            why="what stands for a variable has its dtype and shape",
            node=node,
        )


def _may_stand_for(new: Any, old: Any) -> bool:
    if new == old or not isinstance(old, TensorType) or not isinstance(new, TensorType):
        return bool(new == old)
    if new.dtype != old.dtype or new.ndim != old.ndim:
        return False
    return all(n is None or d is None or n == d for n, d in zip(new.shape, old.shape, strict=True))
