"""From a graph to a program: slots, thunks, and which memory each value lies in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from refgraph.backend import OPS, Apply, Constant, Graph, GraphOp, Op, Plan, TensorType, Variable, settled
from refgraph_cython import _native

Lower = Callable[[Apply, "Builder"], "str | None"]
"""Adds the thunks that compute a node's outputs; answers None, or a text that says why there are none."""

Assume = Callable[[Graph], Any]
"""Answers a graph made simpler for calls in which nothing is broadcast, with what is to be equal for that; or None."""

Interpret = Callable[[Apply, str, tuple[Apply, ...]], Callable[..., Any]]
"""Makes of a node, why it has no kernel, and the applications whose ops hold it, what runs it on the interpreter."""

NDIM = 8
"""Axes that an array may have."""

NUMBERS = {name: number for number, name in enumerate(_native.DTYPES)}
"""The number of each dtype."""

_BUFFER, _OUTSIDE = 0, 1
_FIRST_FLOAT = NUMBERS["float16"]
_FEW = 16  # elements, beside an axis of any length, up to which values that follow from shapes are computed with these

_lowers: dict[type[Op] | Op, Lower] = {}


def lowers(*kinds: type[Op] | Op) -> Callable[[Lower], Lower]:
    """Declare how nodes are lowered whose op is one of these, or of one of these classes."""

    def declared(lower: Lower) -> Lower:
        for kind in kinds:
            assert kind not in _lowers, f"two ways to lower {kind}"
            _lowers[kind] = lower
        return lower

    return declared


def lowering(op: Op) -> Lower | None:
    """How nodes of an op are lowered: as is said of it, or of the nearest of its classes."""
    found = _lowers.get(op)
    for kind in type(op).__mro__ if found is None else ():
        if found is None:
            found = _lowers.get(kind)
    return found


class _Slot:
    """A value of the program. The type's dtype and rank; `settled`: whether its shape follows from the inputs' shapes,
    `early`: whether its value does."""

    __slots__ = ("buffer", "dtype", "early", "home", "last", "ndim", "of", "settled", "value")

    def __init__(self, dtype: int, ndim: int) -> None:
        self.dtype, self.ndim = dtype, ndim
        self.buffer, self.home, self.value = -1, _BUFFER, None
        self.early, self.settled = False, True
        self.of: list[_Slot] = []  # what it may be a view of
        self.last = -1  # the number of the last thunk that reads it, or a view of it


class _Thunk(NamedTuple):
    """A thunk as the binding takes it, and which outputs it can compute in the memory of which inputs."""

    kernel: Any
    ins: list[int]
    outs: list[int]
    params: list[int]
    node: int
    early: bool
    dynamic: bool
    overwrites: Sequence[tuple[int, int]] = ()
    keeps_shape: bool = False


class Builder:
    """A program that is being made: what a lowering is given."""

    def __init__(
        self,
        graph: Graph,
        interpret: Interpret | None = None,
        states: Mapping[int, int] | None = None,
        assumed: Assume | None = None,
    ) -> None:
        """graph: one in which branches compute what only they need, as `settled` has it.
        interpret: what runs a node on the interpreter; None where no node may.
        states: outputs, by number, that replace the values of inputs, by number.
        assumed: what makes inner graphs simpler for calls in which nothing is broadcast; None where none may be.
        """
        self.graph = graph
        self._interpret = interpret
        self._states = states or {}
        self._assumed = assumed
        self._slots: list[_Slot] = []
        self._number: dict[Variable, int] = {}
        self._thunks: list[_Thunk] = []
        self._node = 0
        self._inside: tuple[Apply, ...] = ()  # the applications that are being lowered in line, the outermost first
        self.alive: list[Any] = []
        """What the program needs, as long as it is there: inner programs, memory that params point to."""

    # what a lowering asks for

    def temporary(self, dtype: str, ndim: int) -> Variable:
        """A value between two thunks of one node."""
        return TensorType(dtype, (None,) * ndim).variable()

    def constant(self, array: Any) -> Variable:
        """A value that is known: an array of NumPy's."""
        return Constant(TensorType(str(array.dtype), array.shape), array)

    def thunk(
        self,
        kernel: str,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        params: Iterable[int] = (),
        *,
        measures: Sequence[int] = (),
        values: Sequence[int] = (),
        views: Sequence[int] = (),
        overwrites: Sequence[tuple[int, int]] = (),
        keeps_shape: bool = False,
        always: bool = False,
    ) -> None:
        """Let a kernel compute outputs from inputs.

        params: what the kernel wants to know, in its order, as 64-bit integers. measures: the numbers of inputs of
        which only the shape is read. values: of inputs whose values say what shape the outputs have. views: of inputs
        whose memory the outputs may lie in. overwrites: (k, i) where output k can be computed in the memory of input i,
        if both have one shape and are contiguous: the kernel finds the same `data` in both then. keeps_shape: whether
        they always have one shape. always: whether what `prepare` does is to be done in each call.
        """
        ins, outs = [self.slot(x) for x in inputs], [self.slot(x) for x in outputs]
        read = [i for i, _ in enumerate(ins) if i not in measures]
        dynamic = always or any([not self._slots[ins[i]].early for i in values])
        small = all([self._is_few(x) for x in outputs])
        early = small and not dynamic and all([self._slots[ins[i]].early for i in read])
        settled = not dynamic and all([self._slots[i].settled for i in ins])
        for out in outs:
            slot = self._slots[out]
            slot.early, slot.settled = early, settled
            slot.of = [self._slots[ins[i]] for i in views]
        self._thunks.append(
            _Thunk(kernel, ins, outs, list(params), self._node, early, dynamic, overwrites, keeps_shape)
        )

    def call(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        views: Sequence[int] = (),
        copies: bool = False,
    ) -> None:
        """Let Python compute outputs: `function` takes arrays, and answers one or a tuple.

        copies: whether it may keep what it is given, which then is copied.
        """
        ins, outs = [self.slot(x) for x in inputs], [self.slot(x) for x in outputs]
        for out in outs:
            slot = self._slots[out]
            slot.settled = False
            slot.of = [self._slots[ins[i]] for i in views]
        self._thunks.append(_Thunk((function, copies), ins, outs, [], self._node, False, True))

    def inline(self, graph: Graph, node: Apply, leaves: bool = False) -> str | None:
        """Let a graph's thunks compute a node's outputs from its inputs; why it cannot be, if an op has no kernel.

        leaves: whether nodes that have no kernel are left to the interpreter, where it may run any.
        """
        inputs = list(dict.fromkeys([x for x in node.inputs if not isinstance(x, Constant)]))
        opened = settled(Graph(inputs, graph(*node.inputs)))
        before, outside = len(self._thunks), self._inside
        self._inside = (*outside, node)
        for inner in opened.nodes:
            why = self.lower(inner)
            if why is not None and leaves and self._interpret is not None:
                self._leave(inner, why)
            elif why is not None:
                del self._thunks[before:]
                self._inside = outside
                return f"{inner.op}: {why}"
        self._inside = outside
        for out, value in zip(node.outputs, opened.outputs, strict=True):
            self._number[out] = self.slot(value)
        return None

    def inner(self, node: Apply, graph: Graph, states: Mapping[int, int] | None = None) -> Any:
        """A program of a graph that a node's op holds, for a kernel that runs it.

        Raises Declined where a node of that graph has no kernel, and the interpreter may run none.
        """
        built = program(settled(graph), self._interpreting(node), states, self._assumed)
        built.holder = node
        self.alive.append(built)
        return built

    def _interpreting(self, node: Apply) -> Interpret | None:
        """What runs nodes of a graph that a node's op holds."""
        interpret, outside = self._interpret, (*self._inside, node)
        if interpret is None:
            return None
        return lambda inner, why, inside: interpret(inner, why, (*outside, *inside))

    def slot(self, x: Variable) -> int:
        """The number of a variable's slot."""
        found = self._number.get(x)
        if found is None:
            found = self._number[x] = len(self._slots)
            slot = _Slot(NUMBERS[x.type.dtype], x.type.ndim) if isinstance(x.type, TensorType) else _Slot(-1, 0)
            if isinstance(x, Constant):
                slot.value, slot.home, slot.early = x.value, _OUTSIDE, True
            self._slots.append(slot)
        return found

    def is_made(self, x: Variable) -> bool:
        """Whether some thunk computes a value."""
        number = self._number.get(x)
        return any([number in t.outs for t in self._thunks])

    # making the program

    def build(self) -> Any:
        """The program: from the inputs' values to the list of outputs' values."""
        for x in self.graph.inputs:
            self._slots[self.slot(x)].home = _OUTSIDE
        for number, node in enumerate(self.graph.nodes):
            self._node = number
            why = self.lower(node)
            if why is not None:
                self._leave(node, why)
        self._gather()
        in_place = self._in_place()
        buffers = self._place()
        slots = [(s.dtype, s.ndim, s.buffer, s.home, s.value) for s in self._slots]
        inputs = [self.slot(x) for x in self.graph.inputs]
        outputs: list[tuple[int, bool]] = []
        for x in self.graph.outputs:
            number = self.slot(x)
            fresh = number not in [n for n, _ in outputs] and number not in inputs and not isinstance(x, Constant)
            outputs.append((number, fresh and self._slots[number].home == _OUTSIDE))
        thunks = [t[:7] for t in self._thunks]
        made = _native.Program(slots, thunks, buffers, inputs, outputs, in_place, self.graph.nodes, self.alive)
        made.settled = [self._slots[n].settled for n, _ in outputs]
        made.assumes = any([isinstance(p, _native.Program) and p.assumes for p in self.alive])
        return made

    def require(self, equal: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Let a call be computed otherwise in which axes of inputs are not equally long: groups of pairs of the number
        of an input, and an axis. That is found out before anything else is.
        """
        inputs = list(dict.fromkeys([i for group in equal for i, _ in group]))
        params = [n for group in equal for pair in (*[(inputs.index(i), a) for i, a in group], (-1, 0)) for n in pair]
        given = [self.graph.inputs[i] for i in inputs]
        out = self.temporary("bool", 0)
        self.thunk("same_lengths", given, [out], [len(params) // 2, *params], measures=range(len(given)))

    def _leave(self, node: Apply, why: str) -> None:
        """Leave a node to the interpreter."""
        if self._interpret is None:
            raise Declined(why)
        run = self._interpret(node, why, self._inside)
        self.call(run, node.inputs, node.outputs, views=node.op.views, copies=keeps(node.op))

    def lower(self, node: Apply) -> str | None:
        """Add the thunks of a node, or none; answers why none."""
        for x in (*node.inputs, *node.outputs):
            if isinstance(x.type, TensorType) and x.type.ndim > NDIM:
                return f"more than {NDIM} axes"
        if any(out in self.graph.inputs for out in node.outputs):
            return "some of its outputs are given"
        lower = lowering(node.op)
        if lower is None:
            return "no kernel for this op"
        before = len(self._thunks)
        why = lower(node, self)
        if why is not None:
            assert len(self._thunks) == before, f"{node.op} was declined when half of it was lowered"
        return why

    @staticmethod
    def _is_few(x: Variable) -> bool:
        """Whether a value is small, or a vector: those that follow from shapes are positions, counts and shares."""
        shape = x.type.shape if isinstance(x.type, TensorType) else (None, None)
        return math.prod([n for n in shape if n is not None]) <= _FEW and shape.count(None) < 2

    # in which order thunks run

    def _gather(self) -> None:
        """Let a product, a pass over it, and a product of the same matrix with what the pass makes, follow each other:
        they can be computed together then (native/once.h).
        """
        products: dict[int, list[_Thunk]] = {}
        for thunk in self._thunks:
            if thunk.kernel in ("dot", "gemm"):
                for i in thunk.ins:
                    if self._slots[i].ndim == 2:
                        products.setdefault(id(self._viewed(self._slots[i])), []).append(thunk)
        for first, second in [pair for of_one in products.values() for pair in pairwise(of_one)]:
            between = self._thunks[self._thunks.index(first) + 1 : self._thunks.index(second)]
            for t in between:
                if t.kernel == "blocks" and set(t.ins) & set(first.outs) and set(t.outs) & set(second.ins):
                    self._let_follow([first, t, second], [other for other in between if other is not t])
                    break

    def _hasten(self, update: _Thunk, old: _Slot) -> None:
        """Let a product that is added to a state in its memory follow the last product that reads the state, where
        nothing may fail later: they can be computed together then (native/once.h).
        """
        at = self._thunks.index(update)
        reader = at - 1
        while reader >= 0 and old not in [self._viewed(self._slots[i]) for i in self._thunks[reader].ins]:
            reader -= 1
        others = self._thunks[reader + 1 : at]
        if reader >= 0 and self._thunks[reader].kernel == "dot" and not any([self._may_fail(t) for t in others]):
            self._let_follow([self._thunks[reader], update], others)

    def _let_follow(self, thunks: Sequence[_Thunk], others: Sequence[_Thunk]) -> None:
        """Put what is between some thunks before them, where they read it, or behind them; or leave it all there."""
        read, before = {i for t in thunks for i in t.ins}, set[int]()
        made = {i for t in thunks for i in t.outs}
        for thunk in reversed(others):
            if read.intersection(thunk.outs):
                before.add(id(thunk))
                read.update(thunk.ins)
        earlier = [t for t in others if id(t) in before]
        if not any([made.intersection(t.ins) for t in earlier]):
            at = self._thunks.index(thunks[0])
            later = [t for t in others if id(t) not in before]
            self._thunks[at : at + len(others) + len(thunks)] = [*earlier, *thunks, *later]

    @staticmethod
    def _viewed(slot: _Slot) -> _Slot:
        """What a slot may be a view of, where that is one."""
        while len(slot.of) == 1:
            slot = slot.of[0]
        return slot

    # which memory values lie in

    def _in_place(self) -> list[tuple[int, int]]:
        """Move thunks that can write new values of states into the memory of the old ones to the end; answer for which
        output and input that holds: nothing reads the old value later, and nothing can fail once one is overwritten.
        """
        maker = {out: t for t in self._thunks for out in t.outs}
        found: list[tuple[int, int, int, _Thunk]] = []
        numbers = [self.slot(x) for x in self.graph.outputs]
        for output, given in self._states.items():
            slot, old = numbers[output], self.slot(self.graph.inputs[given])
            thunk = maker.get(slot)
            if thunk is None or numbers.count(slot) > 1 or not self._slots[slot].settled or thunk.early:
                continue
            over = any([thunk.outs[k] == slot and thunk.ins[i] == old for k, i in thunk.overwrites])
            if over and self._is_read_once(thunk, old):
                found.append((output, given, old, thunk))
        if not found:
            return []
        late = self._late([id(thunk) for *_, thunk in found])
        first = [t for t in self._thunks if id(t) not in late]
        last = sorted([t for t in self._thunks if id(t) in late], key=lambda t: not self._may_fail(t))
        last = last if self._is_ordered(last) else [t for t in self._thunks if id(t) in late]
        self._thunks = first + last
        for *_, old, thunk in found:
            if thunk.kernel == "gemm":
                self._hasten(thunk, self._slots[old])
        for t, thunk in enumerate(self._thunks):
            for i in thunk.ins:
                self._read(self._slots[i], t)
        for i in numbers:
            if i not in [self.slot(x) for x in self.graph.inputs]:
                self._read_views(self._slots[i], len(self._thunks))
        at = {id(thunk): t for t, thunk in enumerate(self._thunks)}
        safe = max([t for t, thunk in enumerate(self._thunks) if self._may_fail(thunk)], default=-1)
        kept = {self.slot(x) for x in self.graph.outputs}
        return [
            (output, given)
            for output, given, old, thunk in found
            if at[id(thunk)] >= safe and self._slots[old].last <= at[id(thunk)] and old not in kept
        ]

    def _late(self, ids: Sequence[int]) -> set[int]:
        """Thunks, by `id`, that can run after all others: those of `ids` whose outputs only such ones read."""
        readers: dict[int, list[int]] = {}
        for thunk in self._thunks:
            for i in thunk.ins:
                readers.setdefault(i, []).append(id(thunk))
        late: set[int] = set()
        for thunk in reversed(self._thunks):
            if id(thunk) in ids and all(r in late for out in thunk.outs for r in readers.get(out, ())):
                late.add(id(thunk))
        return late

    def _is_ordered(self, thunks: Sequence[_Thunk]) -> bool:
        """Whether each thunk comes after those of these that make what it reads."""
        made = {out for t in thunks for out in t.outs}
        for t in thunks:
            if made.intersection(t.ins):
                return False
            made.difference_update(t.outs)
        return True

    def _may_fail(self, thunk: _Thunk) -> bool:
        """Whether running a thunk may fail after it was prepared: Python may, and who reads indices."""
        if not isinstance(thunk.kernel, str) or thunk.dynamic:
            return True
        slots = [self._slots[i] for i in thunk.ins]
        return any([not s.settled or s.dtype < _FIRST_FLOAT for s in slots])

    def _place(self) -> int:
        """Give each value a buffer: one that nothing reads any more, where there is one. Answers how many there are."""
        for slot in self._slots:
            slot.last = -1
        for t, thunk in enumerate(self._thunks):
            for i in (*thunk.ins, *thunk.outs):
                self._read(self._slots[i], t)
        for x in self.graph.outputs:
            self._read(self._slots[self.slot(x)], len(self._thunks))
        made = {out for thunk in self._thunks for out in thunk.outs}
        for number in {self.slot(x) for x in self.graph.outputs} & made:
            slot = self._slots[number]
            if slot.dtype >= 0 and slot.settled and not slot.of and not slot.early:
                slot.home = _OUTSIDE
        free: list[int] = []
        held: dict[int, int] = {}
        count = 0
        for t, thunk in enumerate(self._thunks):
            for i in thunk.outs:
                slot = self._slots[i]
                if slot.home == _OUTSIDE or slot.dtype < 0:
                    continue
                over = self._overwritten(thunk, i, t)
                if over is not None:
                    slot.buffer = over.buffer
                elif free and not thunk.early and not slot.of:
                    slot.buffer = free.pop()
                else:
                    slot.buffer, count = count, count + 1
                if not thunk.early and not slot.of:
                    held[slot.buffer] = slot.last
            done = [b for b, last in held.items() if last <= t]
            for b in done:
                del held[b]
            free += done
        return count

    def _overwritten(self, thunk: _Thunk, out: int, t: int) -> _Slot | None:
        """The value that is read for the last time, in whose memory this one is computed."""
        if not thunk.keeps_shape or self._slots[out].of:
            return None
        for k, i in thunk.overwrites:
            slot = self._slots[thunk.ins[i]]
            is_ours = slot.home == _BUFFER and slot.dtype >= 0 and not slot.of and not slot.early and slot.buffer >= 0
            if thunk.outs[k] == out and is_ours and slot.last == t and self._is_read_once(thunk, thunk.ins[i]):
                return slot
        return None

    def _is_read_once(self, thunk: _Thunk, number: int) -> bool:
        """Whether a thunk reads a slot as one input only, and no other input may be a view of it."""
        wanted, count = self._slots[number], 0
        for i in thunk.ins:
            look, seen = [self._slots[i]], False
            while look:
                slot = look.pop()
                seen = seen or slot is wanted
                look += slot.of
            count += seen
        return count == 1

    def _read_views(self, slot: _Slot, t: int) -> None:
        """What a slot may be a view of is read at t."""
        for base in slot.of:
            self._read(base, t)

    def _read(self, slot: _Slot, t: int) -> None:
        """A slot is read by thunk t, and so is what it may be a view of."""
        look = [slot]
        while look:
            slot = look.pop()
            if slot.last < t:
                slot.last = t
                look += slot.of


def bits(axes: Iterable[int]) -> int:
    """Axes as the bits of a number."""
    return sum([1 << a for a in set(axes)])


class Declined(Exception):
    """A graph cannot be a program, as a node of it cannot be lowered."""


def keeps(op: Op) -> bool:
    """Whether an op may keep the arrays that it is given: as one of the user's own may, or one that holds a graph."""
    declared = OPS.get(op.name) is op or OPS.get(type(op).__name__) is type(op)
    return op.keeps or not declared or isinstance(op, GraphOp)


def program(
    graph: Graph,
    interpret: Interpret | None = None,
    states: Mapping[int, int] | None = None,
    assumed: Assume | None = None,
) -> Any:
    """A settled graph as a program. Raises Declined where a node has no kernel, unless the interpreter may run it."""
    made = None if assumed is None else _simpler(graph, states, assumed)
    if made is None:
        made = Builder(graph, interpret, states, assumed).build()
    made.otherwise = cache(lambda: program(graph, interpret)) if made.assumes else lambda: Plan(graph)
    return made


def _simpler(graph: Graph, states: Mapping[int, int] | None, assumed: Assume) -> Any:
    """A program for calls in which nothing is broadcast; None where it would be no simpler, or a node has no kernel:
    what is left to the interpreter is to be a node of the graph that was given.
    """
    simpler = assumed(graph)
    if simpler is None:
        return None
    build = Builder(settled(simpler.graph), None, states, assumed)
    build.require(simpler.equal)
    try:
        made = build.build()
    except Declined:
        return None
    made.assumes = True
    return made


def kernel(node: Apply) -> Callable[..., Any] | str:
    """One node as a callable from arrays to an array, or a tuple of them; or why there is none."""
    fresh = [x if isinstance(x, Constant) else x.type.variable() for x in node.inputs]
    alone = node.with_inputs(fresh)
    inputs = [x for x in dict.fromkeys(fresh) if not isinstance(x, Constant)]
    try:
        made = program(Graph(inputs, alone.outputs))
    except Declined as why:
        return str(why)
    given = [i for i, x in enumerate(fresh) if not isinstance(x, Constant)]
    if len(given) == len(fresh):
        return _One(made) if len(node.outputs) == 1 else _Tuple(made)
    return _Given(_One(made) if len(node.outputs) == 1 else _Tuple(made), given)


class _One:
    """A program of one output."""

    def __init__(self, program: Any) -> None:
        self._program = program

    def __call__(self, *arrays: Any) -> Any:
        return self._program(*arrays)[0]


class _Tuple(_One):
    """A program of several outputs."""

    def __call__(self, *arrays: Any) -> Any:
        return tuple(self._program(*arrays))


class _Given:
    """A program that leaves out inputs that are constants."""

    def __init__(self, program: Any, given: Sequence[int]) -> None:
        self._program, self._given = program, given

    def __call__(self, *arrays: Any) -> Any:
        return self._program(*[arrays[i] for i in self._given])
