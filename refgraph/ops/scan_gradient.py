"""Derivatives of loops, which are loops: backwards in reverse mode; in forward mode, states carry tangents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import reduce
from typing import Any

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Variable, leaves, rebuild, toposort
from refgraph.core.op import Derivatives, is_zero
from refgraph.core.types import NullType
from refgraph.ops.construct import zeros_like
from refgraph.ops.elementwise import fill, minimum
from refgraph.ops.index_pattern import Slice
from refgraph.ops.indexing import IndexUpdate, add_cotangents, set_subtensor
from refgraph.ops.joining import concatenate
from refgraph.ops.lengths import length
from refgraph.ops.linear import zeros_for
from refgraph.ops.scan import Loop, Scan, State
from refgraph.ops.shape import broadcast_to


def reverse(
    op: Scan, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
) -> Derivatives:
    """Cotangents of what a loop was given, as far as they are wanted, by a loop that goes backwards; see `Op.vjp`.

    What a state receives from the steps after it is, for each of its taps k, the cotangent that the step k later has
    for what it read there. So each tap becomes a state of the loop that goes backwards, which is read k steps back;
    what is left of it at the end belongs to the initial values. Cotangents of whole values are summed up in states.
    (P. J. Werbos, "Backpropagation through time", 1990.)
    """
    return _Reverse(op, node, cotangents, pullback, wanted).answers()


def forward(op: Scan, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
    """Tangents of what a loop puts out, by a loop whose states are the states and their tangents; see `Op.jvp`."""
    return _Forward(op, node, tangents, pushforward).answers()


def _is_null(entry: Any) -> bool:
    return isinstance(entry, Variable) and isinstance(entry.type, NullType)


def _is_live(entry: Any) -> bool:
    return isinstance(entry, Variable) and not isinstance(entry.type, NullType)


def _dead(entry: Any) -> Any:
    """What is left of an entry that does not come in where it says: nothing, zero, or what has no value."""
    return 0 if _is_live(entry) else entry


def _kind(entry: Any) -> int:
    """Entries in the order in which more is known to flow: nothing, zero, something, something without a value."""
    return 0 if entry is None else 1 if is_zero(entry) else 3 if _is_null(entry) else 2


def _together(entries: Sequence[Any]) -> Any:
    """The sum of entries."""
    most = max(entries, key=_kind, default=None)
    if not _is_live(most):
        return most
    return reduce(add_cotangents, [e for e in entries if _is_live(e)])


def _continuous(entry: Any, x: Any) -> Any:
    """An entry for x, of which only continuous values have derivatives."""
    return entry if not _is_live(entry) or getattr(x.type, "is_continuous", False) else 0


def _read_for_values(expressions: Sequence[Variable], stop: Collection[Variable]) -> set[Variable]:
    """What the expressions read as far as `stop`, but for that of which only the shape is read."""
    read = set(expressions)
    for node in toposort(expressions, stop):
        read.update([x for i, x in enumerate(node.inputs) if i not in node.op.measures])
    return read


def _moving(op: Scan, wanted: Sequence[bool]) -> set[Variable]:
    """The variables of the graph of a step that depend on what is wanted, among what the loop is given."""
    items, initials, _, whole = op.parts(wanted[1:])
    moving = {x for x, w in zip((*op.items, *op.whole), (*items, *whole), strict=True) if w}
    moving.update([x for reads, w in zip(op.reads, initials, strict=True) if w for x in reads])
    while True:
        for node in op.graph.nodes:
            if not moving.isdisjoint(node.inputs):
                moving.update(node.outputs)
        more = [x for reads, new in zip(op.reads, op.news, strict=True) if new in moving for x in reads]
        if moving.issuperset(more):
            return moving
        moving.update(more)


def _put(g: Any, place: Any) -> Any:
    """What is put at a place along the first axis, where g is that among zeros, as the cotangent of one reading is."""
    node = g.owner
    if node is None or not isinstance(node.op, IndexUpdate) or node.op.template != (place,):
        return None
    return node.inputs[1] if node.op.adds_to_zeros(node) else None


class _Reverse:
    """The loop that goes backwards while it is put together. Its step t is step n - 1 - t of the loop itself.

    `pending` says for each state i and each of its taps, number j, what the step that is being pulled back reads there:
    what later steps have left for this one.
    """

    def __init__(
        self,
        op: Scan,
        node: Apply,
        cotangents: Derivatives,
        pullback: Callable[..., list[Any]],
        wanted: Sequence[bool],
    ) -> None:
        self.op, self.node, self.pullback = op, node, pullback
        self.moving = _moving(op, wanted)
        outputs = [g if x in self.moving else _dead(g) for g, x in zip(cotangents, op.graph.outputs, strict=False)]
        self.gs_states = outputs[: len(op.taps)]
        self.ends = list(op.keep[: len(op.taps)])
        """For each state how many of its last entries its cotangent is for, None for all."""
        self.gs_records = outputs[len(op.taps) + op.n_carried : len(outputs) - op.until]
        self.sequences, self.initials, self.carried, self.whole = op.parts(node.inputs[1:])
        self.steps: Any = node.outputs[-1] if op.until else node.inputs[0]
        self.back = self.steps if op.truncate < 0 else minimum(self.steps, op.truncate)
        turns = op.name if op.truncate < 0 else ""
        self.loop = Loop(self.back, f"grad of {op.name}", node.inputs, op.mode, turns)
        self.full: Apply | None = None
        self.keys = [(i, j) for i, taps in enumerate(op.taps) for j in range(len(taps))]
        self.pending: dict[tuple[int, int], Any] = dict.fromkeys(self.keys)
        self.states: dict[tuple[int, int], State] = {}
        for i, g in enumerate(self.gs_states):
            last = self._last_alone(i, g) if _is_live(g) and op.keep[i] is None else None
            if last is not None:
                self.gs_states[i], self.ends[i] = fill(self.initials[i][-1], last)[None], 1

    def answers(self) -> list[Any]:
        op = self.op
        found = self._in_terms_of_the_loop(self._pulled())
        n_items, n_reads = len(op.items), len(self.keys)
        items, reads = found[:n_items], found[n_items : n_items + n_reads]
        wholes = found[n_items + n_reads + op.n_carried :]
        for key, g in zip(self.keys, reads, strict=True):
            if _is_live(g):
                self.states[key].new = g
        sums = [self._sum(x, g) if _is_live(g) else None for x, g in zip(self.whole, wholes, strict=True)]
        for g in items:
            if _is_live(g):
                self.loop.record(g)
        recorded: Iterator[Any] = iter(())
        if self.loop.states or self.loop.records:
            recorded = iter(self.loop.recorded(self.loop.node()))
        pairs = zip(items, self.sequences, strict=True)
        return [
            None,
            *[self._placed(next(recorded), x) if _is_live(g) else g for g, x in pairs],
            *[self._initial(i) for i in range(len(op.taps))],
            *[None] * op.n_carried,
            *[g if total is None else total.buffer[-1] for g, total in zip(wholes, sums, strict=True)],
        ]

    # one step

    def _pulled(self) -> list[Any]:
        """Entries for the inputs of the graph of one step.

        What flows around the loop is found by going around until nothing more does.
        """
        op, start = self.op, len(self.op.items)
        states = [self._arriving(i, g) for i, g in enumerate(self.gs_states)]
        records = [self._recorded(i, g) for i, g in enumerate(self.gs_records)]
        while True:
            seeds = [
                _continuous(_together([g, *[self.pending[i, j] for j in range(len(op.taps[i]))]]), op.news[i])
                for i, g in enumerate(states)
            ]
            cotangents = [*seeds, *[None] * op.n_carried, *records, *[None] * op.until]
            wrt = [x for x in op.graph.inputs if x in self.moving]
            cotangent_of = dict(zip(wrt, self.pullback(op.graph.outputs, cotangents, wrt), strict=True))
            pulled = [cotangent_of.get(x) for x in op.graph.inputs]
            inner = len(pulled) - len(op.whole)  # discrete whole values have what their readers say, as outside
            found = [_continuous(e, x) for e, x in zip(pulled[:inner], op.graph.inputs, strict=False)] + pulled[inner:]
            entries = dict(zip(self.keys, found[start:], strict=False))
            more = [key for key in self.keys if _kind(entries[key]) > _kind(self.pending[key])]
            if not more:
                break
            for key in more:
                self.pending[key] = self._left_for(key) if _is_live(entries[key]) else self._dropped(key, entries[key])
        for at, key in enumerate(self.keys, start):
            if key in self.states and not _is_live(found[at]):  # what was there at the beginning goes nowhere
                found[at] = zeros_like(self.pending[key])
        return found

    def _left_for(self, key: tuple[int, int]) -> Any:
        """Make a state of what steps leave for the steps before them, at one tap of a state."""
        i, j = key
        self.states[key] = state = self.loop.state(self._begin(i, j), (self.op.taps[i][j],))
        return state.reads[0]

    def _dropped(self, key: tuple[int, int], entry: Any) -> Any:
        """An entry that is no variable, and so needs no state: the one that it had, if any, goes."""
        if key in self.states:
            self.loop.states.remove(self.states.pop(key))
        return entry

    def _last_alone(self, i: int, g: Any) -> Any:
        """What arrives for the last value of a state, where nothing does for others."""
        later = _put(g, Slice(self.op.depths[i]))
        return _put(g if later is None else later, -1)

    def _arriving(self, i: int, g: Any) -> Any:
        """What arrives from outside, in each step, for the new value of a state."""
        if not _is_live(g) or self.op.keep[i] == 0:
            return _dead(g)
        j = self._comes_in_at(i)
        if j is not None:
            self.pending[i, j] = self._left_for((i, j))
            return 0
        depth = self.op.depths[i]
        later = _put(g, Slice(depth))
        if later is None:
            return self._item(self._untrimmed(g, i, i)[depth:])
        lengths = [length(self.initials[i], a) for a in range(1, g.type.ndim)]
        return self._item(broadcast_to(later, [self.steps, *lengths]))

    def _recorded(self, i: int, g: Any) -> Any:
        """What arrives in each step for a record."""
        n_states = len(self.op.taps)
        if not _is_live(g) or self.op.keep[n_states + i] == 0:
            return _dead(g)
        return self._item(self._untrimmed(g, n_states + i, n_states + self.op.n_carried + i))

    def _comes_in_at(self, i: int) -> int | None:
        """The tap at which what arrives for the last values of a state is pending from the beginning, if it reaches."""
        ends, taps = self.ends[i], self.op.taps[i]
        return taps.index(max(taps)) if ends is not None and 0 < ends <= max(taps) else None

    def _begin(self, i: int, j: int) -> Any:
        """What is pending when the loop begins: nothing, or what arrives for the last values, the last first."""
        zeros = zeros_for(self.initials[i][: self.op.taps[i][j]])
        if j != self._comes_in_at(i) or not _is_live(self.gs_states[i]):
            return zeros
        g = self.gs_states[i]
        return g[::-1] if self.ends[i] == self.op.taps[i][j] else set_subtensor(zeros[: g.shape[0]], g[::-1])

    def _untrimmed(self, g: Any, i: int, output: int) -> Any:
        """The cotangent of an output of which only the last entries were answered, for all its entries."""
        keep = self.op.keep[i]
        return g if keep is None else set_subtensor(zeros_like(self._everything(i, output))[-keep:], g)

    def _everything(self, i: int, output: int) -> Any:
        """All entries of an output of the loop; where some were not kept, of a loop that keeps them."""
        if self.op.keep[i] is None:
            return self.node.outputs[output]
        if self.full is None:
            self.full = self.op.changed(keep=None).make_node(*self.node.inputs)
        return self.full.outputs[output]

    def _item(self, trace: Any) -> Any:
        """An item, in the loop that goes backwards, of what has an entry for each step of the loop."""
        turned = trace[::-1]
        return self.loop.item(turned if self.op.truncate < 0 else turned[: self.back])

    def _in_terms_of_the_loop(self, found: Sequence[Any]) -> list[Any]:
        """The entries as expressions of what the loop was given, and of what it has computed already."""
        op, live = self.op, [e for e in found if _is_live(e)]
        made = {x: i for i, x in enumerate(op.graph.outputs) if x.owner is not None and self._has_trace(i)}
        stop = {*op.graph.inputs, *made}
        given = dict(self._shapes(_read_for_values(live, stop)))
        for x in leaves(live, stop):
            if x in made and x not in given:
                given[x] = self._item(self._trace(made[x]))
        given.update(self._inputs({x for x in leaves(live, stop) if x not in given}))
        expressions = iter(rebuild(live, given))
        return [next(expressions) if _is_live(e) else e for e in found]

    def _shapes(self, valued: Collection[Variable]) -> Iterator[tuple[Variable, Any]]:
        """What stands for values of states of which only the shape is read: it is that of the initial ones.

        So nothing needs to keep the sums of the first derivatives for the second.
        """
        for initial, reads, new in zip(self.initials, self.op.reads, self.op.news, strict=True):
            yield from [(x, initial[0]) for x in (*reads, new) if x not in valued]

    def _has_trace(self, output: int) -> bool:
        states, carried, outputs = len(self.op.taps), self.op.n_carried, len(self.op.graph.outputs)
        return output < states or states + carried <= output < outputs - self.op.until

    def _trace(self, output: int) -> Any:
        """What the loop has computed for an output of its graph, one entry a step."""
        if output < len(self.op.taps):
            return self._everything(output, output)[self.op.depths[output] :]
        return self._everything(output - self.op.n_carried, output)

    def _inputs(self, read: Collection[Variable]) -> Iterator[tuple[Variable, Any]]:
        """What stands for the inputs of the graph, as far as they are read."""
        op = self.op
        for x, sequence in zip(op.items, self.sequences, strict=True):
            if x in read:
                yield x, self._item(sequence[: self.steps] if op.until else sequence)
        for i, (reads, taps) in enumerate(zip(op.reads, op.taps, strict=True)):
            for x, k in zip(reads, taps, strict=True):
                if x in read:
                    first = op.depths[i] - k
                    yield x, self._item(self._everything(i, i)[first:-k])
        for x in op.carried:
            if x in read:
                raise GraphTypeError(
                    f"{op.name}: the gradient needs {x} ({x.type}) as it was in each step",
                    why="only its last value is kept",
                    help="record what is computed from it, or use consider_constant",
                )
        yield from zip(op.whole, self.whole, strict=True)

    # answers

    def _sum(self, x: Any, g: Any) -> State:
        """A state that sums up the cotangent of a whole value; only its last value is kept."""
        total = self.loop.state(zeros_like(x, g.dtype)[None], keep=1)
        total.new = add_cotangents(total.reads[0], g)
        return total

    def _placed(self, rows: Any, sequence: Any) -> Any:
        """The cotangent of a sequence from its rows, the last first: zero where no step went."""
        rows = rows[::-1]
        if not self.op.until and self.op.truncate < 0:
            return rows
        return set_subtensor(zeros_for(sequence)[self.steps - self.back : self.steps], rows)

    def _initial(self, i: int) -> Any:
        """The cotangent of a state's initial values: what arrives for them, and what is left at the end."""
        g = direct = self.gs_states[i]
        if _is_live(g):
            comes = self.op.keep[i] != 0 and self._comes_in_at(i) is None and _put(g, Slice(self.op.depths[i])) is None
            direct = self._untrimmed(g, i, i)[: self.op.depths[i]] if comes else 0
        keys = [key for key in self.keys if key[0] == i]
        return _together([direct, *[self._left(key) if key in self.states else self.pending[key] for key in keys]])

    def _left(self, key: tuple[int, int]) -> Any:
        """What is left at the end at one tap, which belongs to the last of the initial values."""
        i, j = key
        k, depth, left = self.op.taps[i][j], self.op.depths[i], self.states[key].buffer
        zeros = zeros_for(self.initials[i])
        if self.op.truncate < 0:
            rows = left[-k:][::-1]
        else:  # what it did not go back through leaves nothing
            rows = concatenate([zeros[: minimum(self.steps - self.back, k)], left[::-1]])[:k]
        return rows if k == depth else concatenate([zeros[: depth - k], rows])


class _Forward:
    """The loop of tangents while it is put together."""

    def __init__(self, op: Scan, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> None:
        self.op, self.node, self.pushforward = op, node, pushforward
        self.sequences, self.initials, self.carried, self.whole = op.parts(node.inputs[1:])
        items, starts, _, self.wholes = op.parts(tangents[1:])
        self.items = [_continuous(t, x) for t, x in zip(items, self.sequences, strict=True)]
        self.starts = [_continuous(t, x) for t, x in zip(starts, self.initials, strict=True)]
        outside = [*node.inputs, *[t for t in tangents if _is_live(t)]]
        self.loop = Loop(node.inputs[0], f"tangent of {op.name}", outside, op.mode, op.turns)

    def answers(self) -> list[Any]:
        op = self.op
        states: list[Any] = list(self.starts)
        items = [self.loop.item(t) if _is_live(t) else t for t in self.items]
        moved: dict[int, State] = {}
        while True:
            for i, t in enumerate(states):
                if _is_null(t) and i in moved:
                    self.loop.states.remove(moved.pop(i))
                if _is_live(t) and i not in moved:
                    begin = self.starts[i] if _is_live(self.starts[i]) else zeros_for(self.initials[i])
                    moved[i] = self.loop.state(begin, op.taps[i], keep=op.keep[i])
            reads = [t for i, s in enumerate(states) for t in (moved[i].reads if i in moved else [s] * len(op.taps[i]))]
            points = [*items, *reads, *[None] * op.n_carried, *self.wholes]
            found = self.pushforward(op.graph.outputs, op.graph.inputs, points)
            found = [_continuous(t, x) for t, x in zip(found, op.graph.outputs, strict=True)]
            joined = [max(pair, key=_kind) for pair in zip(states, found, strict=False)]
            if list(map(_kind, joined)) == list(map(_kind, states)):
                break
            states = joined
        return self._outputs(found, states, moved)

    def _outputs(self, found: Sequence[Any], states: Sequence[Any], moved: dict[int, State]) -> list[Any]:
        op, n_states = self.op, len(self.op.taps)
        start, stop = n_states + op.n_carried, len(found) - op.until
        live = [t for t in (*found[:n_states], *found[start:stop]) if _is_live(t)]
        if not live and not moved:
            return [*states, *[None] * op.n_carried, *found[start:stop], *[None] * op.until]
        expressions = iter(self._in_terms_of_the_loop(live))
        for i, state in sorted(moved.items()):  # they began to move in another order
            state.new = next(expressions) if _is_live(found[i]) else zeros_like(state.reads[0])
        for i, t in enumerate(found[start:stop]):
            if _is_live(t):
                self.loop.record(next(expressions), op.keep[n_states + i])
        recorded = iter(self.loop.recorded(self.loop.node(op.truncate)))
        return [
            *[moved[i].buffer if i in moved else t for i, t in enumerate(states)],
            *[None] * op.n_carried,
            *[next(recorded) if _is_live(t) else t for t in found[start:stop]],
            *[None] * op.until,
        ]

    def _in_terms_of_the_loop(self, expressions: Sequence[Any]) -> list[Any]:
        """Expressions of the graph's inputs in the loop of tangents, which has the states too, if it reads them."""
        op, loop = self.op, self.loop
        given: dict[Variable, Any] = dict(zip(op.whole, self.whole, strict=True))
        given.update([(x, loop.item(s)) for x, s in zip(op.items, self.sequences, strict=True)])
        given.update([(x, loop.carry(c)) for x, c in zip(op.carried, self.carried, strict=True)])
        states = [loop.state(x, taps, wanted=False) for x, taps in zip(self.initials, op.taps, strict=True)]
        for state, reads in zip(states, op.reads, strict=True):
            given.update(zip(reads, state.reads, strict=True))
        rebuilt = rebuild([*op.graph.outputs, *expressions], given)
        outputs = rebuilt[: len(op.graph.outputs)]
        for state, new in zip(states, outputs, strict=False):
            state.new = new
        loop.carried = outputs[len(states) : len(states) + op.n_carried]
        loop.until = outputs[-1] if op.until else None
        return rebuilt[len(outputs) :]
