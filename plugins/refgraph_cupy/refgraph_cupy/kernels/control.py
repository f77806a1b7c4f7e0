"""Loops, branches, and functions inside functions: kernels of what they hold, one after the other.

A step of a loop is put on the device as any other work is: nothing waits for it but a loop that may end early. A call
that is recorded records its loops step by step, so that they are part of one piece of work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgraph.backend import Apply, IfElse, OpFromGraph, Scan
from refgraph_cupy.device import Array, current, on_host
from refgraph_cupy.making import makes

Run = Callable[..., Sequence[Array]]


@makes(OpFromGraph)
def subgraph(node: Apply, compile: Callable[[Any], Run]) -> Callable[..., Any]:
    """What the op holds."""
    op: Any = node.op
    return _plainly(compile(op.graph))


@makes(IfElse)
def branch(node: Apply, compile: Callable[[Any], Run]) -> Callable[..., Any]:
    """One of two graphs: the condition is looked at on the host."""
    op: Any = node.op
    then, orelse = [_plainly(compile(graph)) for graph in op.graphs]
    return lambda condition, *args: then(*args) if on_host(condition) else orelse(*args)


def _plainly(run: Run) -> Callable[..., Any]:
    """A graph as a kernel: its output, or the tuple of its outputs."""

    def kernel(*args: Array) -> Any:
        results = run(*args)
        return tuple(results) if len(results) > 1 else results[0]

    return kernel


@makes(Scan)
def loop(node: Apply, compile: Callable[[Any], Run]) -> Callable[..., Any] | str:
    """The steps, each with the states in memory that holds all of them."""
    op: Any = node.op
    if op.mode is not None:
        return "its steps have a mode of their own"
    run = _Loop(op, compile(op.graph))
    return run if len(node.outputs) > 1 else lambda *args: run(*args)[0]


class _Loop:
    """A loop, between arrays of the device."""

    def __init__(self, op: Any, step: Run) -> None:
        self._op, self._step = op, step

    def __call__(self, n: Array, *args: Array) -> tuple[Array, ...]:
        op, device = self._op, current()
        steps = int(on_host(n))
        sequences, initials, carried, whole = op.parts(list(args))
        raise NotImplementedError(steps, sequences, initials, carried, whole, device)
