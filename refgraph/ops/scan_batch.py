"""A loop for many items at once: one loop whose states hold all of them; see `Op.batched`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgraph.core.graph import Apply, Variable, rebuild
from refgraph.ops.batching import Batch, has_items, many_of
from refgraph.ops.scan import Loop, Scan, State
from refgraph.ops.shape import dimshuffle


def batched(op: Scan, node: Apply, batch: Batch) -> Sequence[Any] | None:
    """What a loop puts out for many items, by one loop in which items lie along the first axis of what a step computes.

    None where the items would take different numbers of steps, or differ in a value that is no array.
    """
    _, *marked = batch.marked
    sequences, initials, carried, whole = op.parts(marked)
    if batch.marked[0] or any(carried):
        return None
    many = list(initials)
    while True:  # which states hold many items is found by going around until no more do
        points = _points(op, sequences, many, whole)
        found = batch.vectorized(op.graph.outputs, points, batch.count)
        more = [m or has_items(new, old) for m, new, old in zip(many, found, op.news, strict=False)]
        if more == many:
            break
        many = more
    if op.until and has_items(found[-1], op.graph.outputs[-1]):
        return None
    return _Batched(op, batch, many, points).outputs(found)


def _points(op: Scan, sequences: Sequence[bool], states: Sequence[bool], whole: Sequence[bool]) -> dict[Variable, Any]:
    """For each input of the graph of a step that is many, a variable that holds them."""
    reads = [x for reads, m in zip(op.reads, states, strict=True) if m for x in reads]
    items = [x for x, m in zip(op.items, sequences, strict=True) if m]
    rest = [x for x, m in zip(op.whole, whole, strict=True) if m]
    return {x: many_of(x) for x in (*items, *reads, *rest)}


def _swapped(x: Any) -> Any:
    """x with its first two axes exchanged: those of items and of steps."""
    return dimshuffle(x, (1, 0, *range(2, x.type.ndim)))


class _Batched:
    """The loop for many items while it is put together."""

    def __init__(self, op: Scan, batch: Batch, many: Sequence[bool], points: dict[Variable, Any]) -> None:
        self.op, self.batch, self.many = op, batch, many
        n_steps, *given = batch.inputs
        self.loop = Loop(n_steps, op.name, batch.inputs, op.mode, op.turns)
        self.sequences, self.initials, self.carried, whole = op.parts(given)
        self.states: list[State] = []
        self.given: dict[Variable, Any] = {points.get(x, x): outer for x, outer in zip(op.whole, whole, strict=True)}
        marks = op.parts(batch.marked[1:])
        for x, sequence, m in zip(op.items, self.sequences, marks[0], strict=True):
            self.given[points.get(x, x)] = self.loop.item(_swapped(sequence) if m else sequence)
        for i, (initial, m) in enumerate(zip(self.initials, marks[1], strict=True)):
            if many[i]:
                initial = _swapped(initial if m else batch.repeated(initial))
            state = self.loop.state(initial, op.taps[i], [x.name for x in op.reads[i]], op.keep[i])
            self.given.update(zip([points.get(x, x) for x in op.reads[i]], state.reads, strict=True))
            self.states.append(state)
        for x, value in zip(op.carried, self.carried, strict=True):
            self.given[x] = self.loop.carry(value)

    def outputs(self, found: Sequence[Any]) -> list[Any]:
        """The outputs of the loop, of what a step makes of many items; items lie along their first axis."""
        op, loop = self.op, self.loop
        made = rebuild(found, self.given)
        n_states, stop = len(op.taps), len(found) - op.until
        for i, state in enumerate(self.states):
            spread = self.many[i] and not has_items(found[i], op.news[i])
            state.new = self.batch.repeated(made[i]) if spread else made[i]
        loop.carried = made[n_states : n_states + op.n_carried]
        for i, x in enumerate(made[n_states + op.n_carried : stop], n_states):
            loop.record(x, op.keep[i])
        loop.until = made[-1] if op.until else None
        node = loop.node(op.truncate)
        pairs = zip(found[n_states:stop], op.graph.outputs[n_states:], strict=False)
        swap = [*self.many, *[has_items(new, old) for new, old in pairs]]
        outputs = [_swapped(out) if s else out for out, s in zip(node.outputs, swap, strict=False)]
        return [*outputs, *node.outputs[len(outputs) :]]
