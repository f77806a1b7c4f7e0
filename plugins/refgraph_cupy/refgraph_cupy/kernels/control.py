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
        past = [deque([x[i] for i in range(depth)], depth) for x, depth in zip(initials, op.depths, strict=True)]
        kept = [deque(list(p), None if keep is None else keep) for p, keep in zip(past, op.keep, strict=False)]
        records: list[deque[Array]] = [deque(maxlen=keep) for keep in op.keep[len(past) :]]
        taken = 0
        for t in range(n):
            reads = [p[-k] for p, taps in zip(past, op.taps, strict=True) for k in taps]
            results = self._step(*[x[t] for x in sequences], *reads, *carried, *whole)
            states, rest = results[: len(past)], results[len(past) + op.n_carried :]
            carried = results[len(past) : len(past) + op.n_carried]
            for p, k, value in zip(past, kept, states, strict=True):
                p.append(there(value))
                k.append(p[-1])
            for r, value in zip(records, rest, strict=False):
                r.append(there(value))
            taken = t + 1
            if op.until and values(results[-1]):
                break
        types = [x.type for x in op.records]
        blanks = [None] * len(records) if n else self._blanks(sequences, past, carried, whole)
        found = [_stacked(k, x[0].shape, x.dtype) for k, x in zip(kept, initials, strict=True)]
        found += carried
        found += [_stacked(r, b, t.dtype) for r, b, t in zip(records, blanks, types, strict=True)]
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


def _stacked(entries: Sequence[Array], shape: Any, dtype: Any) -> Array:
    """Arrays of one shape along a new first axis. Raises ValueError where one has another shape."""
    device = current()
    first = tuple(entries[0].shape if entries else shape)
    out = device.empty((len(entries), *first), dtype)
    for i, entry in enumerate(entries):
        if entry.shape != first:
            raise ValueError("what a loop puts out has one shape in all steps")
        copy(device, entry, out[i : i + 1].reshape(first))
    return out
