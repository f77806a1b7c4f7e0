"""What makes kernels for ops: functions of nodes, declared for op classes or single ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgraph.backend import Apply, Op

Kernel = Callable[..., Any]
"""From the arrays of the inputs to the array of the output, or the tuple of the outputs' arrays."""

Make = Callable[[Apply], "Kernel | str | None"]

_makers: dict[Any, Make] = {}


def makes(*kinds: type[Op] | Op) -> Callable[[Make], Make]:
    """Declare what makes kernels for ops of these classes, or for these very ops. It answers a kernel, or a text that
    says why there is none."""

    def declared(make: Make) -> Make:
        for kind in kinds:
            assert kind not in _makers, f"{kind} has a maker"
            _makers[kind] = make
        return make

    return declared


def find(node: Apply) -> Kernel | str | None:
    """A kernel for a node, or why there is none."""
    import refgraph_cupy.kernels  # noqa: F401  (its modules declare their makers)

    op = node.op
    make = _makers.get(op) or next((_makers[kind] for kind in type(op).__mro__ if kind in _makers), None)
    return f"no kernel for {type(op).__name__}" if make is None else make(node)
