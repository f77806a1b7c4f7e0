"""Arrays put together, cut apart, repeated, moved along their axes, and given a border."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgraph.backend import Apply, Join, Pad, Repeat, Roll, Shift, Split, Stack, Tile
from refgraph_cython.lower.program import Builder, lowers
from refgraph_cython.lower.shape import numbers


@lowers(Join, Stack)
def join(node: Apply, build: Builder) -> str | None:
    """Along an axis that there is, or along a new one."""
    op: Any = node.op
    build.thunk(op.name, node.inputs, node.outputs, [op.axis % node.outputs[0].type.ndim])  # type: ignore[attr-defined]
    return None


@lowers(Split)
def split(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    sizes = range(1, len(node.inputs))
    build.thunk("split", node.inputs, node.outputs, [op.axis, *numbers(op.sizes)], values=sizes, views=(0,))
    return None


@lowers(Tile)
def tile(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("tile", node.inputs, node.outputs, numbers(op.reps), values=range(1, len(node.inputs)))
    return None


@lowers(Repeat)
def repeat(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("repeat", node.inputs, node.outputs, [op.axis], values=(1,))
    return None


@lowers(Roll)
def roll(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("roll", node.inputs, node.outputs, op.axes)
    return None


@lowers(Pad)
def pad(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("pad", node.inputs, node.outputs, numbers(op.widths), values=range(2, len(node.inputs)))
    return None


@lowers(Shift)
def shift(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    x: Any = node.inputs[0]
    value = build.constant(np.array(op.fill, x.type.numpy_dtype))
    build.thunk("shift", [x, value], node.outputs, [op.axis, op.backwards])
    return None
