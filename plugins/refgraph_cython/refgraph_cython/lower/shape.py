"""Axes and shapes: views, and lengths as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgraph.backend import (
    Alloc,
    Apply,
    BroadcastTo,
    DimShuffle,
    Reshape,
    Shape,
    ShapeI,
    SpecifyShape,
    SumTo,
)
from refgraph_cython.lower.program import Builder, lowers

OPEN = -(2**63)
"""Among numbers that kernels are given, one that is an input."""


def numbers(given: Sequence[int | None]) -> list[int]:
    """Numbers for a kernel, of which those that are None are inputs."""
    return [OPEN if n is None else n for n in given]


@lowers(DimShuffle)
def dimshuffle(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("dimshuffle", node.inputs, node.outputs, [-1 if o == "x" else o for o in op.order], views=(0,))
    return None


@lowers(Shape)
def shape(node: Apply, build: Builder) -> str | None:
    build.thunk("shape", node.inputs, node.outputs, measures=(0,))
    return None


@lowers(ShapeI)
def shape_i(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("shape_i", node.inputs, node.outputs, [op.i], measures=(0,))
    return None


@lowers(Reshape)
def reshape(node: Apply, build: Builder) -> str | None:
    return _of_lengths("reshape", node, build, views=(0,))


@lowers(BroadcastTo)
def broadcast_to(node: Apply, build: Builder) -> str | None:
    return _of_lengths("broadcast_to", node, build, views=(0,))


@lowers(Alloc)
def alloc(node: Apply, build: Builder) -> str | None:
    return _of_lengths("alloc", node, build)


def _of_lengths(kernel: str, node: Apply, build: Builder, views: Sequence[int] = ()) -> str | None:
    """An array made from the first input, in the shape that the op and the other inputs say."""
    op: Any = node.op
    lengths = range(1, len(node.inputs))
    build.thunk(kernel, node.inputs, node.outputs, numbers(op.shape), values=lengths, views=views)
    return None


@lowers(SpecifyShape)
def specify_shape(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("specify_shape", node.inputs, node.outputs, [*numbers(op.shape), *op.checked], views=(0,))
    return None


@lowers(SumTo)
def sum_to(node: Apply, build: Builder) -> str | None:
    build.thunk("sum_to", node.inputs, node.outputs, measures=(1,), views=(0,))
    return None
