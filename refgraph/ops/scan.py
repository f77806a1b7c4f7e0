"""Loops: `Scan` holds the graph of one step and runs it step by step; `Loop` puts one together.

Derivatives of loops are loops; they are in scan_gradient.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np

from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, RefgraphError, ShapeError
from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, rebuild, toposort
from refgraph.core.op import BadSample, Compile, Derivatives, GraphOp, Sample, declare, same_signature
from refgraph.ops.elementwise import fill
from refgraph.ops.indexing import IndexUpdate
from refgraph.ops.lengths import scalar_value, show
from refgraph.ops.retyping import retyped
from refgraph.ops.tensor import INTEGERS, TensorType, TensorVariable, as_tensor

Taps = tuple[int, ...]
"""How many steps back a step reads a state, in the order in which it is given the values: (1, 3) is h[t-1], h[t-3]."""


@declare
class Scan(GraphOp):
    """A loop: one graph, run step after step.

    Its inputs are the number of steps; sequences, which have one item for each step along their first axis; for each
    state its initial values along the first axis, the latest last, as many as its farthest tap reaches back; carried
    values, of any type; and values that every step is given whole.

    The graph computes from an item of each sequence, the values of each state at its taps, the carried values and the
    whole ones: a new value for each state, one for each carried value, what is to be recorded, and with `until`
    whether this step is the last.

    Outputs: of each state the initial values followed by one value a step; the carried values after the last step;
    what was recorded, stacked; with `until` the number of steps that were taken, as int64.

    taps: for each state how many steps back it is read. keep: for each state and record how many of its last entries
    to answer, None for all. truncate: how many steps a gradient goes back, -1 for all.
    mode: what compiles the steps, whatever compiles the rest. turns: the name of the loop whose steps this one goes
    through from the last to the first, for errors.
    """

    def __init__(
        self,
        graph: Graph,
        n_sequences: int = 0,
        taps: Sequence[Taps] = (),
        n_carried: int = 0,
        until: bool = False,
        keep: Sequence[int | None] | None = None,
        truncate: int = -1,
        name: str = "scan",
        mode: Any = None,
        turns: str = "",
    ) -> None:
        self.graph, self.n_sequences, self.taps, self.n_carried = graph, n_sequences, tuple(taps), n_carried
        self.until, self.truncate, self.name, self.mode, self.turns = until, truncate, name, mode, turns
        n_kept = len(graph.outputs) - n_carried - until
        self.keep = (None,) * n_kept if keep is None else tuple(keep)
        for reads, new in zip(self.reads, self.news, strict=True):
            _refuse_new(reads[0], new)

    # what belongs to what

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return (self.graph,)

    def with_graphs(self, graphs: Sequence[Graph]) -> Scan:
        (graph,) = same_signature(self, graphs)
        return self.changed(graph=graph)

    def changed(self, **changes: Any) -> Scan:
        """This loop with other attributes, by the names that the constructor has for them."""
        names = ("graph", "n_sequences", "taps", "n_carried", "until", "keep", "truncate", "name", "mode", "turns")
        return Scan(**{**{name: getattr(self, name) for name in names}, **changes})

    @property
    def items(self) -> Sequence[Variable]:
        """The graph's inputs that are items of sequences."""
        return self.graph.inputs[: self.n_sequences]

    @cached_property
    def reads(self) -> list[tuple[Variable, ...]]:
        """For each state, the graph's inputs that are its values at its taps."""
        return self._reads_among(self.graph.inputs)

    def _reads_among(self, inputs: Sequence[Variable]) -> list[tuple[Variable, ...]]:
        found, start = [], self.n_sequences
        for taps in self.taps:
            found.append(tuple(inputs[start : start + len(taps)]))
            start += len(taps)
        return found

    @property
    def carried(self) -> Sequence[Variable]:
        """The graph's inputs that are carried values."""
        start = self.n_sequences + sum(map(len, self.taps))
        return self.graph.inputs[start : start + self.n_carried]

    @property
    def whole(self) -> Sequence[Variable]:
        """The graph's inputs that every step is given whole."""
        return self.graph.inputs[self.n_sequences + sum(map(len, self.taps)) + self.n_carried :]

    @property
    def news(self) -> Sequence[Variable]:
        """The graph's outputs that are new values of states."""
        return self.graph.outputs[: len(self.taps)]

    @property
    def records(self) -> Sequence[Variable]:
        """The graph's outputs that are recorded."""
        outputs = self.graph.outputs
        return outputs[len(self.taps) + self.n_carried : len(outputs) - self.until]

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """For each state, how many initial values it needs."""
        return tuple([max(taps) for taps in self.taps])

    def parts(self, inputs: Sequence[Any]) -> tuple[Sequence[Any], ...]:
        """Sequences, initial values, carried and whole values among what a node is given after the number of steps."""
        a = self.n_sequences
        b = a + len(self.taps)
        c = b + self.n_carried
        return inputs[:a], inputs[a:b], inputs[b:c], inputs[c:]

    # types

    def make_node(self, *inputs: Any) -> Apply:
        n_steps = number_of_steps(inputs[0])
        given = [x if isinstance(x, Variable) else as_tensor(x) for x in inputs[1:]]
        sequences, initials, carried, whole = self.parts(given)
        n = scalar_value(n_steps)
        for x, item in zip(sequences, self.items, strict=True):
            _refuse_sequence(x, item, n)
        for x, reads, depth in zip(initials, self.reads, self.depths, strict=True):
            _refuse_initial(x, reads[0], depth)
        types = [
            *[_item_type(x) for x in sequences],
            *[_item_type(x) for x, taps in zip(initials, self.taps, strict=True) for _ in taps],
            *[x.type for x in (*carried, *whole)],
        ]
        op = self._fitted(types)
        return Apply(op, (n_steps, *given), [t.variable() for t in op._output_types(n, initials)])

    def _fitted(self, types: Sequence[Any]) -> Scan:
        """This loop with a graph for inputs of these types; it may know less of them than there is to know."""
        expected = self.graph.inputs
        if all(_covers(x.type, t) for x, t in zip(expected, types, strict=True)):
            return self
        for n, (x, t) in enumerate(zip(expected, types, strict=True)):
            if not isinstance(t, TensorType) and t != x.type:
                raise GraphTypeError(f"{self.name}: input {n} of a step must be {x.type}, got {t}")
        fresh = [t.variable(name=x.name) for x, t in zip(expected, types, strict=True)]
        outputs = retyped(self.graph.outputs, dict(zip(expected, fresh, strict=True)))
        for i, reads in enumerate(self._reads_among(fresh)):
            outputs[i] = as_state(outputs[i], reads[0])
        return self.changed(graph=Graph(fresh, outputs))

    def _output_types(self, n: Any, initials: Sequence[Any]) -> Iterator[Any]:
        steps = None if n is None or self.until else int(n)
        for i, x in enumerate(initials):
            yield TensorType(x.type.dtype, (_kept(self.keep[i], steps, self.depths[i]), *x.type.shape[1:]))
        yield from [x.type for x in self.carried]
        for keep, x in zip(self.keep[len(self.taps) :], self.records, strict=True):
            yield TensorType(x.type.dtype, (_kept(keep, steps, 0), *x.type.shape))  # type: ignore[attr-defined]
        if self.until:
            yield TensorType("int64", ())

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        """Steps have as many items as there are steps; a state keeps its lengths, and records have those of a step."""
        sequences, initials, _, whole = self.parts(node.inputs[1:])
        steps = known.number(node.outputs[-1] if self.until else node.inputs[0])
        entries = [steps if k is None else None for k in self.keep]
        starts = [known.of(x)[1:] for x in initials]
        records: Sequence[Any] = [x.type.shape for x in self.records]  # type: ignore[attr-defined]  # tensors
        if any(None in shape for shape in records):
            reads = [lengths for lengths, taps in zip(starts, self.taps, strict=True) for _ in taps]
            given = [*[known.of(x)[1:] for x in sequences], *reads, *[None] * self.n_carried, *whole]
            start = len(self.taps) + self.n_carried
            records = known.inside(self.graph, given)[start : start + len(self.records)]
        return [
            *[
                (None if n is None else known.sum(n, depth), *lengths)
                for n, depth, lengths in zip(entries, self.depths, starts, strict=False)
            ],
            *[None] * self.n_carried,
            *[(n, *lengths) for n, lengths in zip(entries[len(self.taps) :], records, strict=True)],
            *[()] * self.until,
        ]

    # running

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        return _Runner(self, self.mode.compile(self.graph) if self.mode is not None else compile(self.graph)).run

    def note_step(self, error: Exception, t: int, n: int) -> None:
        """Let an error say also that it happened in step t of n."""
        turned = f", which goes back through step {n - 1 - t} of {self.turns}" if self.turns else ""
        where = f"step {t} of {'at most ' * self.until}{n} (the first is step 0) of {self}{turned}"
        if isinstance(error, RefgraphError):
            error.loops = (*error.loops, where)
        else:
            error.add_note(f"in {where}")

    # derivatives

    def batched(self, node: Apply, batch: Any) -> Sequence[Any] | None:
        from refgraph.ops.scan_batch import batched

        return batched(self, node, batch)

    def vjp_through(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> Derivatives:
        from refgraph.ops.scan_gradient import reverse

        return reverse(self, node, cotangents, pullback, wanted)

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        from refgraph.ops.scan_gradient import forward

        return forward(self, node, tangents, pushforward)

    def __repr__(self) -> str:
        """The name, and how many steps back states are read if it is more than one."""
        far = [f"taps={[-k for k in taps]}" for taps in self.taps if taps != (1,)]
        return f"{self.name}{{{', '.join(far)}}}" if far else self.name

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.scan_samples import samples

        return samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.scan_samples import bad_samples

        return bad_samples()


def number_of_steps(n: Any) -> TensorVariable:
    """A number of steps as a 0-d int64 variable. Raises DTypeError or DomainError for what counts no steps."""
    n = as_tensor(n)
    if n.type.ndim != 0 or n.type.dtype not in INTEGERS:
        raise DTypeError(
            f"scan: n_steps must be a single integer, got {n} ({n.type})",
            help="use an int or a 0-d integer variable; convert with .astype('int64')",
            inputs=[n],
        )
    value = scalar_value(n)
    if value is not None and value < 0:
        raise DomainError(
            f"scan: n_steps is {value}",
            why="a loop takes 0 steps or more",
            help="to go backwards use go_backwards=True",
        )
    return n if n.type.dtype == "int64" else n.astype("int64")  # type: ignore[no-any-return]  # a tensor


def _item_type(x: Any) -> Any:
    return TensorType(x.type.dtype, x.type.shape[1:])


def _covers(general: Any, special: Any) -> bool:
    """Whether every value of one type is one of the other."""
    if general == special or not isinstance(general, TensorType) or not isinstance(special, TensorType):
        return bool(general == special)
    return (
        general.dtype == special.dtype
        and general.ndim == special.ndim
        and all(d is None or d == n for d, n in zip(general.shape, special.shape, strict=True))
    )


def _kept(keep: int | None, steps: int | None, depth: int) -> int | None:
    """The length of an output along its first axis, as far as it is known."""
    if keep == 0 or steps is None:
        return keep if keep == 0 else None
    return steps + depth if keep is None else min(keep, steps + depth)


def _refuse_sequence(x: Any, item: Variable, n: Any) -> None:
    if not isinstance(x, TensorVariable) or x.type.ndim == 0:
        raise GraphTypeError(f"scan takes sequences with at least one axis, got {x} ({x.type})", inputs=[x])
    if n is not None and x.type.shape[0] not in (None, n):
        raise _other_length(item, x.type.shape[0], int(n), inputs=[x])


def _refuse_initial(x: Any, read: Any, depth: int) -> None:
    if not isinstance(x, TensorVariable) or x.type.ndim != read.type.ndim + 1 or x.type.shape[0] not in (None, depth):
        raise ShapeError(
            f"scan: the initial values of {read} must be {depth} along the first axis, each {read.type}; got {x.type}",
            help=f"give {depth} initial value{'s' * (depth != 1)} along the first axis",
            inputs=[x],
        )


def _other_length(item: Variable, length: Any, n: int, inputs: Sequence[Variable] = ()) -> ShapeError:
    return ShapeError(
        f"scan: the sequence of {item} has {length} items, for {n} steps",
        help="give n_steps no more than the shortest sequence has (taps need items before and after, too)",
        inputs=inputs,
    )


def as_state(new: Any, read: Any) -> TensorVariable:
    """What a step makes as the new value of the state that it reads as `read`: cast to its dtype where nothing is lost.

    Raises DTypeError, ShapeError or GraphTypeError, with the line that made it, for what cannot be one.
    """
    if new.type.dtype != read.type.dtype and np.can_cast(new.type.dtype, read.type.dtype):
        new = new.astype(read.type.dtype)
    _refuse_new(read, new)
    return new  # type: ignore[no-any-return]  # a tensor


def _refuse_new(read: Any, new: Any) -> None:
    """Raise unless values of `new` may be values of the state that is read as `read`."""
    old, got = read.type, new.type
    origin = new.owner.origin if new.owner is not None else None
    said = f"scan: {_state(read)} starts as {old}, but the step makes it {got}"
    if getattr(got, "dtype", None) != old.dtype:
        raise DTypeError(
            said,
            why="a state keeps its dtype from step to step",
            help=f"start from {got.dtype}, with .astype('{got.dtype}') on the initial value, "
            f"or cast what the step makes with .astype('{old.dtype}')",
            inputs=[read, new],
            origin=origin,
        )
    if got.ndim != old.ndim:
        raise ShapeError(
            said,
            why="a state keeps its shape from step to step",
            help=f"give an initial value with {got.ndim} dimensions",
            inputs=[read, new],
            origin=origin,
        )
    if any(m != n for m, n in zip(old.shape, got.shape, strict=True) if m is not None and n is not None):
        raise ShapeError(
            said,
            why="a state keeps its shape from step to step: it is not broadcast",
            help=f"start from the whole shape, with T.broadcast_to(initial, {show(got.shape)}) or T.zeros",
            inputs=[read, new],
            origin=origin,
        )


def _state(read: Variable) -> str:
    """What to call a state, from the name of a value of it."""
    name = (read.name or "").partition("[")[0]
    return name if name.startswith("state ") else f"the state {name}" if name else "a state"


# Running


class _Kept:
    """What a run keeps of an output: all its entries in an array, or the last ones in a list that they go around in.

    Entry number e, counted from the initial values, is at place e % size, in an array or list of that size.
    """

    def __init__(self, output: int, keep: int | None, initial: Any, n: int) -> None:
        self.output, self.keep, self.first = output, keep, len(initial)
        self.shape, self.dtype = initial.shape[1:], initial.dtype
        self.entries: Any = np.array(initial)
        if keep is not None:
            self.entries = [None] * max(1, min(keep, self.first + n))
            for e, value in enumerate(initial):
                self.entries[e % len(self.entries)] = value

    def with_room(self, n: int) -> tuple[int, tuple[int, ...], Any, int, int]:
        """Which output, its shape, its entries with room for those of `n` steps, the first step's entry, the size."""
        if self.keep is None:
            entries = np.empty((self.first + n, *self.shape), self.dtype)
            entries[: len(self.entries)] = self.entries
            self.entries = entries
        return self.output, self.shape, self.entries, self.first, len(self.entries)

    def stacked(self, taken: int) -> Any:
        """The entries that are to be answered, after so many steps."""
        entries, count = self.entries, self.first + taken
        if self.keep is None:
            return entries if count == len(entries) else entries[:count]
        found = np.empty((min(self.keep, count), *self.shape), self.dtype)
        for i in range(len(found)):
            found[i] = entries[(count - len(found) + i) % len(entries)]
        return found


_ROOM = 64
"""Steps to make room for at first, where a condition ends the loop."""


class _Runner:
    """Runs a loop; holds no state of a call.

    What steps read of the steps before them is in a list, the flow: the values of states at their taps and the carried
    values, in the order in which a step is given them; then values that are on their way to a tap farther back. With
    the flow of the next step each moves one place on: `move` picks it from a step's results and the flow so far. Where
    all states are read one step back, it is just the first of the results, and `move` is None.
    """

    def __init__(self, op: Scan, step: Callable[..., Sequence[Any]]) -> None:
        self.op, self.step = op, step
        self.reads = [(i, k) for i, taps in enumerate(op.taps) for k in taps]
        self.waiting = [(i, k) for i, taps in enumerate(op.taps) for k in range(1, op.depths[i]) if k not in taps]
        self.given = len(self.reads) + op.n_carried
        carried = [(len(op.taps) + i, 1) for i in range(op.n_carried)]
        flow = [*self.reads, *carried, *self.waiting]
        start = {place: at for at, place in enumerate(flow, len(op.graph.outputs))}
        moves = [i if k == 1 else start[i, k - 1] for i, k in flow]
        self.move = None if all(taps == (1,) for taps in op.taps) else itemgetter(*moves)

    def run(self, n_steps: Any, *arrays: Any) -> Any:
        op, step, move, given = self.op, self.step, self.move, self.given
        n, until = int(n_steps), op.until
        if n < 0:
            raise DomainError(f"scan: n_steps is {n}", why="a loop takes 0 steps or more")
        sequences, initials, carried, whole = op.parts(arrays)
        self._check(n, sequences, initials)
        reads, waiting = ([initials[i][-k] for i, k in places] for places in (self.reads, self.waiting))
        flow: Sequence[Any] = [*reads, *carried, *waiting]
        kept: list[_Kept] = []
        t, room = 0, 0
        try:
            for t, items in enumerate(zip(*sequences, strict=True) if sequences else repeat((), n)):
                results = step(*items, *flow[:given], *whole)
                if t == room:
                    room = min(n, max(_ROOM, 2 * t)) if until else n
                    kept = kept or self._kept(initials, results[len(op.taps) + op.n_carried :], n)
                    places = [k.with_room(room) for k in kept]
                for output, shape, entries, first, size in places:
                    value = results[output]
                    if value.shape != shape:
                        raise self._other_shape(output, shape, value)
                    entries[(first + t) % size] = value
                flow = results[:given] if move is None else move((*results, *flow))
                if until and results[-1]:
                    break
        except Exception as error:
            op.note_step(error, t, n)
            raise
        if not n:
            kept = self._kept(initials, self._blank(sequences, flow[:given], whole), n)
        taken = t + 1 if n else 0
        found = [k.stacked(taken) for k in kept]
        found[len(op.taps) : len(op.taps)] = flow[len(self.reads) : given]
        if until:
            found.append(np.array(taken))
        return found[0] if len(found) == 1 else tuple(found)

    def _check(self, n: int, sequences: Sequence[Any], initials: Sequence[Any]) -> None:
        for x, item in zip(sequences, self.op.items, strict=True):
            if len(x) != n:
                raise _other_length(item, len(x), n)
        for x, reads, depth in zip(initials, self.op.reads, self.op.depths, strict=True):
            if len(x) != depth:
                raise ShapeError(
                    f"scan: the initial values of {_state(reads[0])} are {len(x)}, its taps reach {depth} steps back",
                    help=f"give {depth} initial values along the first axis",
                )

    def _kept(self, initials: Sequence[Any], records: Sequence[Any], n: int) -> list[_Kept]:
        """What to keep of the states and of the records; these are the records of a step."""
        op, a = self.op, len(self.op.taps)
        found = [_Kept(i, op.keep[i], x, n) for i, x in enumerate(initials)]
        for i, x in enumerate(records[: len(op.records)], a):
            found.append(_Kept(op.n_carried + i, op.keep[i], np.empty((0, *x.shape), x.dtype), n))
        return found

    def _blank(self, sequences: Any, flow: Any, whole: Any) -> list[Any]:
        """Records of no step: a step on zeros tells lengths that are not known; where it fails they are 0."""
        types: list[Any] = [x.type for x in self.op.records]
        shapes = [t.shape for t in types]
        if any(None in shape for shape in shapes):
            try:
                results = self.step(*[np.zeros(x.shape[1:], x.dtype) for x in sequences], *flow, *whole)
            except Exception:
                shapes = [tuple([d or 0 for d in shape]) for shape in shapes]
            else:
                start = len(self.op.taps) + self.op.n_carried
                shapes = [value.shape for value in results[start : start + len(types)]]
        return [np.zeros(shape, t.dtype) for shape, t in zip(shapes, types, strict=True)]

    def _other_shape(self, output: int, shape: tuple[int, ...], value: Any) -> ShapeError:
        op, node = self.op, self.op.graph.outputs[output].owner  # the node has the line of the step function
        if output >= len(op.taps):
            return ShapeError(
                f"scan: an output has shape {value.shape}, in the first step it had {shape}",
                why="what a loop puts out is stacked, so every step must make the same shape",
                node=node,
            )
        return ShapeError(
            f"scan: {_state(op.reads[output][0])} has shape {shape}, but the step makes it {value.shape}",
            why="a state keeps its shape from step to step: it is not broadcast",
            help="start from the whole shape, with T.broadcast_to or T.zeros",
            node=node,
        )


# Putting together


class State:
    """A state of a loop that is being put together: set `new` to what a step makes of its `reads`."""

    new: Any

    def __init__(self, initial: Any, taps: Taps, reads: Sequence[Any], keep: int | None, wanted: bool) -> None:
        self.initial, self.taps, self.reads, self.keep, self.wanted = initial, taps, tuple(reads), keep, wanted
        self.buffer: Any = None
        """After `Loop.node`: the initial values followed by one value a step."""


class Loop:
    """A loop that is being put together from the expressions of one step.

    They are written in terms of what `item`, `state` and `carry` answer, and of any variables from outside: what does
    not depend on the loop is computed once, before it.
    """

    def __init__(
        self,
        n_steps: Any,
        name: str = "scan",
        outside: Iterable[Variable] = (),
        mode: Any = None,
        turns: str = "",
    ) -> None:
        self.n_steps, self.name, self.mode, self.turns, self.outside = n_steps, name, mode, turns, set(outside)
        self.sequences: list[tuple[Variable, Any]] = []
        self.states: list[State] = []
        self.carries: list[tuple[Variable, Variable]] = []
        self.carried: list[Any] = []
        self.records: list[tuple[Any, int | None]] = []
        self.until: Any = None

    @classmethod
    def of(
        cls,
        node: Apply,
        given: Mapping[Variable, Any] | None = None,
        change: Callable[[Apply], Sequence[Variable] | None] | None = None,
    ) -> Loop:
        """A loop that there is, taken apart to be put together otherwise.

        In its expressions stand the variables from outside where a step is given them whole, and what `given` and
        `change` say as to `rebuild`.
        """
        op: Any = node.op
        sequences, initials, carried, whole = op.parts(node.inputs[1:])
        loop = cls(node.inputs[0], op.name, node.inputs, op.mode, op.turns)
        outputs = rebuild(op.graph.outputs, {**dict(zip(op.whole, whole, strict=True)), **(given or {})}, change)
        loop.sequences = list(zip(sequences, op.items, strict=True))
        for i, initial in enumerate(initials):
            state = State(initial, op.taps[i], op.reads[i], op.keep[i], True)
            state.new = outputs[i]
            loop.states.append(state)
        start, stop = len(op.taps) + op.n_carried, len(outputs) - op.until
        loop.carries = list(zip(carried, op.carried, strict=True))
        loop.carried = outputs[len(op.taps) : start]
        loop.records = list(zip(outputs[start:stop], op.keep[len(op.taps) :], strict=True))
        loop.until = outputs[-1] if op.until else None
        return loop

    def item(self, sequence: Any, name: str | None = None) -> Any:
        """An item of `sequence`, along its first axis."""
        x = _item_type(sequence).variable(name=name)
        self.sequences.append((sequence, x))
        return x

    def state(
        self,
        initial: Any,
        taps: Taps = (1,),
        names: Sequence[str | None] | None = None,
        keep: int | None = None,
        wanted: bool = True,
    ) -> State:
        """A state with these initial values along the first axis; one that is not `wanted` is there when it is read."""
        kind = _item_type(initial)
        state = State(initial, taps, [kind.variable(name=name) for name in names or [None] * len(taps)], keep, wanted)
        self.states.append(state)
        return state

    def carry(self, initial: Variable) -> Variable:
        """A value of any type that each step gives to the next; add what a step makes of it to `carried`."""
        x = initial.type.variable(name=initial.name)
        self.carries.append((initial, x))
        return x

    def record(self, x: Any, keep: int | None = None) -> None:
        """Record what each step makes of x."""
        self.records.append((x, keep))

    def node(self, truncate: int = -1) -> Apply:
        """The application; it sets the `buffer` of the states. States and sequences that nothing needs are left out."""
        states = self._needed()
        roots = [*[s.new for s in states], *self.carried, *[x for x, _ in self.records]]
        roots += [self.until] if self.until is not None else []
        inside = [*[x for s in states for x in s.reads], *[x for _, x in self.carries]]
        items = [x for _, x in self.sequences]
        closed, outside = closed_over(roots, [*items, *inside], self.outside)
        used = set(leaves(closed, {*items, *inside}))
        sequences = [(outer, x) for outer, x in self.sequences if x in used]
        graph = Graph([*[x for _, x in sequences], *inside, *outside.values()], closed)
        keep = [*[s.keep for s in states], *[k for _, k in self.records]]
        taps = [s.taps for s in states]
        until = self.until is not None
        count = len(self.carries)
        op = Scan(graph, len(sequences), taps, count, until, keep, truncate, self.name, self.mode, self.turns)
        node = op.make_node(
            self.n_steps,
            *[outer for outer, _ in sequences],
            *[s.initial for s in states],
            *[outer for outer, _ in self.carries],
            *outside,
        )
        for state, buffer in zip(states, node.outputs, strict=False):
            state.buffer = buffer
        return node

    def recorded(self, node: Apply) -> Sequence[Any]:
        """The outputs of `node` that are its records."""
        op: Any = node.op
        start = len(op.taps) + op.n_carried
        return node.outputs[start : start + len(self.records)]

    def _needed(self) -> list[State]:
        """The states that are wanted, and those that what is wanted reads."""
        inner = {x for _, x in self.sequences} | {x for s in self.states for x in s.reads}
        stop = inner | {x for _, x in self.carries} | self.outside
        look = [*self.carried, *[x for x, _ in self.records], *([] if self.until is None else [self.until])]
        look += [s.new for s in self.states if s.wanted]
        found = {s for s in self.states if s.wanted}
        while look:
            read = set(leaves(look, stop))
            more = [s for s in self.states if s not in found and not read.isdisjoint(s.reads)]
            found.update(more)
            look = [s.new for s in more]
        return [s for s in self.states if s in found]


def closed_over(
    outputs: Sequence[Any], inside: Iterable[Variable], stop: Iterable[Variable] = ()
) -> tuple[list[Variable], dict[Variable, Variable]]:
    """`outputs` as expressions of `inside` and of fresh variables; and those, by what they stand for outside.

    What does not depend on `inside` stays outside, unless only a branch within needs it, that may not be taken, or it
    is zeros, or another number, for a place to be set in: rules that know the number may leave it out. Nothing is
    looked for behind the variables in `stop`.
    """
    inner = set(inside)
    stop = inner | set(stop)
    nodes = toposort(outputs, stop)
    within = _depending(nodes, inner)
    if any(node.op.lazy for node in nodes if node.outputs[0] in within):
        from refgraph.core.lazy import settled

        outputs = settled(outputs, nodes, stop, [node for node in nodes if node.outputs[0] in within])
        nodes = toposort(outputs, stop)
        within = _depending(nodes, inner)
    bases = [n.inputs[0] for n in nodes if n.outputs[0] in within and isinstance(n.op, IndexUpdate)]
    within.update([x for x in bases if _is_number(x, stop)])
    read = [x for node in nodes if node.outputs[0] in within for x in node.inputs]
    outside = {
        x: x.type.variable(name=x.name)
        for x in dict.fromkeys([*read, *outputs])
        if x not in within and not isinstance(x, Constant)
    }
    return rebuild(outputs, outside), outside


def _is_number(x: Variable, stop: Set[Variable]) -> bool:
    """Whether x is a constant number, broadcast to the shape of something."""
    return x not in stop and x.owner is not None and x.owner.op is fill and isinstance(x.owner.inputs[1], Constant)


def _depending(nodes: Iterable[Apply], inside: set[Variable]) -> set[Variable]:
    """`inside`, and what `nodes` compute that depends on it."""
    within = set(inside)
    for node in nodes:
        if not within.isdisjoint(node.inputs):
            within.update(node.outputs)
    return within


def map_graph(fn: Callable[..., Sequence[Any]], sequences: Sequence[Any], name: str = "map") -> list[Any]:
    """`fn` of each item of the sequences (along their first axes), each of its outputs stacked.

    What `fn` uses from outside is found by itself, and whatever does not depend on an item is computed once.
    """
    sequences = [as_tensor(s) for s in sequences]
    for s in sequences:
        if s.ndim == 0:
            raise GraphTypeError(f"{name} takes sequences with at least one axis, got {s} ({s.type})", inputs=[s])
    loop = Loop(sequences[0].shape[0], name)
    for x in fn(*[loop.item(s) for s in sequences]):
        loop.record(as_tensor(x))
    return list(loop.node().outputs)
