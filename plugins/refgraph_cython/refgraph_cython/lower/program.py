"""From a graph to a program: slots, thunks, and which memory each value lies in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from refgraph.backend import Apply, Constant, Graph, Op, TensorType, Variable

from refgraph_cython import _native

Lower = Callable[[Apply, "Builder"], "str | None"]
"""Adds the thunks that compute a node's outputs; answers None, or a text that says why there are none."""

NDIM = 8
"""Axes that an array may have."""

NUMBERS = {name: number for number, name in enumerate(_native.DTYPES)}
"""The number of each dtype."""

_BUFFER, _OUTSIDE = 0, 1
_FEW = 16  # elements up to which values that follow from shapes are computed as soon as these are known

_lowers: dict[type[Op] | Op, Lower] = {}


def lowers(*kinds: type[Op] | Op) -> Callable[[Lower], Lower]:
    """Declare how nodes are lowered whose op is one of these, or of one of these classes."""

    def declared(lower: Lower) -> Lower:
        _lowers.update(dict.fromkeys(kinds, lower))
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


class Builder:
    """A program that is being made: what a lowering is given."""

    def __init__(self, graph: Graph, interpret: Callable[[Apply], Callable[..., Any]] | None) -> None:
        """interpret: what runs a node on the interpreter; None where no node may."""
        self.graph = graph
        self._interpret = interpret
        self._slots: list[_Slot] = []
        self._number: dict[Variable, int] = {}
        self._thunks: list[tuple[Any, list[int], list[int], Sequence[int], int, bool, bool]] = []
        self._node = 0
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
    ) -> None:
        """Let a kernel compute outputs from inputs.

        params: what the kernel wants to know, in its order, as 64-bit integers. measures: the numbers of inputs of
        which only the shape is read. values: of inputs whose values say what shape the outputs have. views: of inputs
        whose memory the outputs may lie in.
        """
        ins, outs = [self.slot(x) for x in inputs], [self.slot(x) for x in outputs]
        read = [i for i, _ in enumerate(ins) if i not in measures]
        dynamic = any([not self._slots[ins[i]].early for i in values])
        small = all([self._is_few(x) for x in outputs])
        early = small and not dynamic and all([self._slots[ins[i]].early for i in read])
        settled = not dynamic and all([self._slots[i].settled for i in ins])
        for out in outs:
            slot = self._slots[out]
            slot.early, slot.settled = early, settled
            slot.of = [self._slots[ins[i]] for i in views]
        self._thunks.append((kernel, ins, outs, list(params), self._node, early, dynamic))

    def call(self, function: Callable[..., Any], inputs: Sequence[Variable], outputs: Sequence[Variable], *,
             views: Sequence[int] = (), copies: bool = False) -> None:
        """Let Python compute outputs: `function` takes arrays, and answers one or a tuple.

        copies: whether it may keep what it is given, which then is copied.
        """
        ins, outs = [self.slot(x) for x in inputs], [self.slot(x) for x in outputs]
        for out in outs:
            slot = self._slots[out]
            slot.settled = False
            slot.of = [self._slots[ins[i]] for i in views]
        self._thunks.append(((function, copies), ins, outs, [], self._node, False, True))

    def slot(self, x: Variable) -> int:
        """The number of a variable's slot."""
        found = self._number.get(x)
        if found is None:
            found = self._number[x] = len(self._slots)
            tensor = isinstance(x.type, TensorType)
            slot = _Slot(NUMBERS[x.type.dtype], x.type.ndim) if tensor else _Slot(-1, 0)
            if isinstance(x, Constant):
                slot.value, slot.home, slot.early = x.value, _OUTSIDE, True
            self._slots.append(slot)
        return found

    def is_early(self, x: Variable) -> bool:
        """Whether a value is known as soon as the shapes of the inputs are."""
        return self._slots[self.slot(x)].early

    # making the program

    def build(self) -> Any:
        """The program: from the inputs' values to the list of outputs' values."""
        for x in self.graph.inputs:
            self._slots[self.slot(x)].home = _OUTSIDE
        for self._node, node in enumerate(self.graph.nodes):
            why = self.lower(node)
            if why is not None:
                if self._interpret is None:
                    raise Declined(why)
                kept = () if all(isinstance(x.type, TensorType) for x in node.inputs) else ()
                self.call(self._interpret(node), node.inputs, node.outputs, views=node.op.views or kept)
        buffers = self._place()
        slots = [(s.dtype, s.ndim, s.buffer, s.home, s.value) for s in self._slots]
        outputs: list[tuple[int, bool]] = []
        for x in self.graph.outputs:
            number = self.slot(x)
            first = number not in [n for n, _ in outputs] and x not in self.graph.inputs
            outputs.append((number, first and self._slots[number].home == _OUTSIDE and not isinstance(x, Constant)))
        program = _native.Program(slots, self._thunks, buffers, [self.slot(x) for x in self.graph.inputs], outputs)
        program.alive = self.alive
        return program

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
        shape = x.type.shape if isinstance(x.type, TensorType) else (None,)
        size = 1
        for n in shape:
            if n is None:
                return False
            size *= n
        return size <= _FEW

    def _place(self) -> int:
        """Give each value a buffer: one that nothing reads any more, where there is one. Answers how many there are."""
        end = len(self._thunks)
        for t, (_, ins, outs, *_) in enumerate(self._thunks):
            for i in (*ins, *outs):
                self._read(self._slots[i], t)
        for x in self.graph.outputs:
            self._read(self._slots[self.slot(x)], end)
        made = {out for _, _, outs, *_ in self._thunks for out in outs}
        for number in {self.slot(x) for x in self.graph.outputs} & made:
            slot = self._slots[number]
            if slot.dtype >= 0 and slot.settled and not slot.of and not slot.early:
                slot.home = _OUTSIDE
        free: list[int] = []
        held: dict[int, int] = {}
        count = 0
        for t, (_, _, outs, _, _, early, _) in enumerate(self._thunks):
            for i in outs:
                slot = self._slots[i]
                if slot.home == _OUTSIDE or slot.dtype < 0:
                    continue
                if free and not early and not slot.of:
                    slot.buffer = free.pop()
                else:
                    slot.buffer, count = count, count + 1
                if not early and not slot.of:
                    held[slot.buffer] = slot.last
            done = [b for b, last in held.items() if last <= t]
            for b in done:
                del held[b]
            free += done
        return count

    def _read(self, slot: _Slot, t: int) -> None:
        """A slot is read by thunk t, and so is what it may be a view of."""
        look = [slot]
        while look:
            slot = look.pop()
            if slot.last < t:
                slot.last = t
                look += slot.of


class Declined(Exception):
    """A graph cannot be a program, as a node of it cannot be lowered."""


def program(graph: Graph, interpret: Callable[[Apply], Callable[..., Any]] | None = None) -> Any:
    """A graph as a program. Raises Declined where a node has no kernel, unless the interpreter may run it."""
    return Builder(graph, interpret).build()


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
