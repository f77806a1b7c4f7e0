"""Loops, branches, and functions inside functions: kernels of what they hold, one after the other.

A step of a loop is put on the device as any other work is: nothing waits for it but a loop that may end early. A call
that is recorded records its loops step by step, so that they are part of one piece of work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgraph.backend import Apply, IfElse, OpFromGraph, Scan
from refgraph_cupy.device import Array, current
from refgraph_cupy.known import Known, known, values
from refgraph_cupy.making import Compile, runs
from refgraph_cupy.moving import copy

Step = Callable[..., Sequence[Any]]


@runs(OpFromGraph)
def subgraph(node: Apply, compile: Compile) -> Callable[..., Any]:
    """What the op holds."""
    op: Any = node.op
    return _plainly(compile(op.graph))


@runs(IfElse)
def branch(node: Apply, compile: Compile) -> Callable[..., Any]:
    """One of two graphs: the condition is looked at on the host."""
    op: Any = node.op
    then, orelse = [_plainly(compile(graph)) for graph in op.graphs]
    return lambda condition, *args: then(*args) if values(condition) else orelse(*args)


def _plainly(run: Step) -> Callable[..., Any]:
    """A graph as a kernel: its output, or the tuple of its outputs."""

    def kernel(*args: Any) -> Any:
        results = run(*args)
        return tuple(results) if len(results) > 1 else results[0]

    return kernel


@runs(Scan)
def loop(node: Apply, compile: Compile) -> Callable[..., Any] | str:
    """The steps, one after the other."""
    op: Any = node.op
    if op.mode is not None:
        return "its steps have a mode of their own"
    run = _Loop(op, compile(op.graph))
    return run if len(node.outputs) > 1 else lambda *args: run(*args)[0]


def there(value: Any) -> Array:
    """A value on the device."""
    return value.there() if isinstance(value, Known) else value


class _Loop:
    """A loop. It holds nothing of a call."""

    def __init__(self, op: Any, step: Step) -> None:
        self._op, self._step = op, step

    def __call__(self, n_steps: Any, *args: Any) -> tuple[Any, ...]:
        op, n = self._op, int(values(n_steps))
        sequences, initials, carried, whole = op.parts([*args])
        sequences, initials = [there(x) for x in sequences], [there(x) for x in initials]
        if n < 0 or any([len(x) != n for x in sequences]):
            raise ValueError("a loop takes 0 steps or more, and its sequences have as many items")
        if any([len(x) != depth for x, depth in zip(initials, op.depths, strict=True)]):
            raise ValueError("a state has as many initial values as its taps reach back")
        states = len(initials)
        room = None if op.until else n
        kept = [_Kept(keep, room, x) for keep, x in zip(op.keep, initials, strict=False)]
        kept += [_Kept(keep, room) for keep in op.keep[states:]]
        past = [deque([x[i] for i in range(depth)], depth) for x, depth in zip(initials, op.depths, strict=True)]
        taken = 0
        for t in range(n):
            reads = [p[-k] for p, taps in zip(past, op.taps, strict=True) for k in taps]
            results = self._step(*[x[t] for x in sequences], *reads, *carried, *whole)
            carried = results[states : states + op.n_carried]
            recorded = [*results[:states], *results[states + op.n_carried :]]
            entries = [k.added(there(value)) for k, value in zip(kept, recorded, strict=False)]
            for p, entry in zip(past, entries, strict=False):
                p.append(entry)
            taken = t + 1
            if op.until and values(results[-1]):
                break
        if not n:
            blanks = self._blanks(sequences, past, carried, whole)
            for k, shape, x in zip(kept[states:], blanks, op.records, strict=True):
                k.begin(shape, x.type.dtype)
        found: list[Any] = [k.stacked() for k in kept]
        found[states:states] = carried
        return (*found, *([known(taken, "int64")] if op.until else []))

    def _blanks(self, sequences: Any, past: Any, carried: Any, whole: Any) -> list[tuple[int, ...]]:
        """The shapes of records of no step: a step on zeros tells those that are not known, or they are 0."""
        op = self._op
        shapes = [x.type.shape for x in op.records]
        if any([None in shape for shape in shapes]):
            zeros = [current().upload(np.zeros(x.shape[1:], x.dtype)) for x in sequences]
            reads = [p[-k] for p, taps in zip(past, op.taps, strict=True) for k in taps]
            try:
                results = self._step(*zeros, *reads, *carried, *whole)
            except Exception:
                return [tuple([d or 0 for d in shape]) for shape in shapes]
            start = len(past) + op.n_carried
            shapes = [v.shape for v in results[start : start + len(shapes)]]
        return shapes


class _Kept:
    """What a loop keeps of an output: all entries, in an array that is made with room for them, or the last `keep`.

    Where it is not known how many steps there will be, all entries are kept apart until the end.
    """

    def __init__(self, keep: int | None, steps: int | None, initial: Array = None) -> None:
        """steps: how many there will be. initial: a state's entries before the first."""
        self._keep, self._steps = keep, steps
        self._shape: tuple[int, ...] | None = None
        self._whole: Array = None
        self._count = 0
        self._last: deque[Array] = deque(maxlen=keep)
        if initial is not None:
            self.begin(initial.shape[1:], initial.dtype, len(initial))
            for i in range(len(initial)):
                self.added(initial[i])

    def begin(self, shape: Any, dtype: Any, more: int = 0) -> None:
        """Entries are of this shape and dtype, and `more` than there are steps."""
        self._shape, self._dtype = tuple(shape), dtype
        if self._keep is None and self._steps is not None:
            self._whole = current().empty((more + self._steps, *self._shape), dtype)

    def added(self, entry: Array) -> Array:
        """The entry, where it is kept. Raises ValueError where it has another shape than those before."""
        if self._shape is None:
            self.begin(entry.shape, entry.dtype)
        if entry.shape != self._shape:
            raise ValueError("what a loop puts out has one shape in all steps")
        if self._whole is None:
            self._last.append(entry)
            return entry
        place = self._whole[self._count]
        copy(current(), entry, place)
        self._count += 1
        return place

    def stacked(self) -> Array:
        """The entries along a new first axis."""
        if self._whole is None:
            self._whole = current().empty((len(self._last), *(self._shape or ())), self._dtype)
            for i, entry in enumerate(self._last):
                copy(current(), entry, self._whole[i])
        return self._whole
