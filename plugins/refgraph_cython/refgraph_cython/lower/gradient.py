"""Ops whose value is their input."""

from __future__ import annotations

from refgraph.backend import Apply, DisconnectedGrad, GradClip, GradScale, UndefinedGrad, ZeroGrad
from refgraph_cython.lower.program import Builder, lowers


@lowers(GradClip, GradScale, ZeroGrad, DisconnectedGrad, UndefinedGrad)
def same(node: Apply, build: Builder) -> str | None:
    """A view of the input."""
    build.thunk("same", node.inputs, node.outputs, views=(0,))
    return None
