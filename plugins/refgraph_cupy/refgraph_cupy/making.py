"""What makes kernels for ops: functions of nodes, declared for op classes or single ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgraph.backend import Apply, Op
from refgraph_cupy.known import Placed

Kernel = Callable[..., Any]
"""From the arrays of the inputs to the array of the output, or the tuple of the outputs' arrays."""

Compile = Callable[[Any], Callable[..., Sequence[Any]]]
"""Turns a graph that an op holds into a program."""

Make = Callable[..., "Kernel | str | None"]

Read = Callable[[Apply], Sequence[int]]

_makers: dict[Any, tuple[Make, Read]] = {}
_holders: dict[Any, Make] = {}


def runs(*kinds: type[Op]) -> Callable[[Make], Make]:
    """Declare what makes kernels for ops that hold graphs, of a node and of what turns a graph into a program. These
    take and answer values as they are, known or on the device."""

    def declared(make: Make) -> Make:
        for kind in kinds:
            assert kind not in _holders, f"{kind} has a maker"
            _holders[kind] = make
        return make

    return declared


def makes(*kinds: type[Op] | Op, read: Read | None = None) -> Callable[[Make], Make]:
    """Declare what makes kernels for ops of these classes, or for these very ops. It answers a kernel, or a text that
    says why there is none.

    `read` says which inputs, by number, the kernel is given as arrays of NumPy's: few numbers, which say what to do.
    """

    def declared(make: Make) -> Make:
        for kind in kinds:
            assert kind not in _makers, f"{kind} has a maker"
            _makers[kind] = make, read or _nothing
        return make

    return declared


def _nothing(node: Apply) -> Sequence[int]:
    return ()


def after(first: int) -> Read:
    """Reads all inputs from this one on."""
    return lambda node: range(first, len(node.inputs))


def find(node: Apply, compile: Compile) -> Kernel | str | None:
    """A kernel for a node, or why there is none."""
    import refgraph_cupy.kernels  # noqa: F401  (its modules declare their makers)

    op = node.op
    if type(op) in _holders:
        return _holders[type(op)](node, compile)
    found = _makers.get(op) or next((_makers[kind] for kind in type(op).__mro__ if kind in _makers), None)
    if found is None:
        return f"no kernel for {type(op).__name__}"
    make, read = found
    made = make(node)
    return made if made is None or isinstance(made, str) else Placed(node, made, read(node))
