"""softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, LogSoftmax, Softmax
from refgraph_cython.lower.program import Builder, bits, lowers

_SOFTMAX, _LOGSOFTMAX, _BOTH = range(3)


@lowers(Softmax, LogSoftmax)
def softmax(node: Apply, build: Builder) -> str | None:
    """Where both are wanted of one value, as for a cross-entropy and its gradient, one thunk computes both."""
    op: Any = node.op
    if build.is_made(node.outputs[0]):
        return None
    results = {isinstance(node.op, LogSoftmax): node.outputs[0]}
    for other in build.graph.nodes:
        of: Any = other.op
        is_one = isinstance(other.op, (Softmax, LogSoftmax)) and other.inputs == node.inputs
        if is_one and set(of.axis) == set(op.axis):
            results.setdefault(isinstance(other.op, LogSoftmax), other.outputs[0])
    both = len(results) == 2 and not any([build.is_made(x) for x in results.values()])
    outputs = [results[False], results[True]] if both else node.outputs
    kind = _BOTH if both else _LOGSOFTMAX if isinstance(node.op, LogSoftmax) else _SOFTMAX
    build.thunk("softmax", node.inputs, outputs, [kind, bits(op.axis)])
    return None
