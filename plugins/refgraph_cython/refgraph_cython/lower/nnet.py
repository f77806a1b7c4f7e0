"""softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, LogSoftmax, Softmax
from refgraph_cython.lower.program import Builder, lowers


@lowers(Softmax, LogSoftmax)
def softmax(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    is_log = isinstance(op, LogSoftmax)
    build.thunk("softmax", node.inputs, node.outputs, [is_log, bits(op.axis)])
    return None


def bits(axes: tuple[int, ...]) -> int:
    """Axes as the bits of a number."""
    return sum([1 << a for a in set(axes)])
