"""Arrays made of a few numbers, and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

import refgraph.tensor as T
from refgraph.backend import (
    AllocDiag,
    Apply,
    ARange,
    Diagonal,
    Diagonals,
    EmbedDiagonals,
    Eye,
    Graph,
    Linspace,
    Tri,
    Triangle,
)
from refgraph_cython.lower.program import Builder, lowers
from refgraph_cython.lower.shape import numbers


@lowers(ARange)
def arange(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    if op.dtype == "bool" or op.dtype.startswith("complex"):
        return f"a range of {op.dtype}"
    build.thunk("arange", node.inputs, node.outputs, values=(0, 1, 2))
    return None


@lowers(Linspace)
def linspace(node: Apply, build: Builder) -> str | None:
    """In the dtype in which NumPy computes; where another is wanted, rounded down if it is one of integers."""
    op: Any = node.op
    start, stop, *_ = [x.type.numpy_dtype for x in node.inputs]  # type: ignore[attr-defined]
    computed, wanted = np.result_type(start, stop, 0.0), np.dtype(op.dtype)
    if computed != wanted:
        if computed.kind == "c" != wanted.kind:
            return "complex numbers that become real ones"
        inputs = [x.type.variable() for x in node.inputs]
        made = type(op)(op.num, op.endpoint, computed.name)(*inputs)
        return build.inline(Graph(inputs, [T.cast(T.floor(made) if wanted.kind in "iu" else made, op.dtype)]), node)
    build.thunk(
        "linspace", node.inputs, node.outputs, [*numbers([op.num]), op.endpoint], values=range(2, len(node.inputs))
    )
    return None


@lowers(Eye, Tri)
def eye(node: Apply, build: Builder) -> str | None:
    """Ones on a diagonal, or on and below it."""
    op: Any = node.op
    inputs = [build.constant(np.array(1, op.dtype)), *node.inputs]
    build.thunk(op.name, inputs, node.outputs, numbers(op.shape), values=range(2, len(inputs)))
    return None


@lowers(Triangle)
def triangle(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("triangle", node.inputs, node.outputs, [op.lower])
    return None


@lowers(Diagonal)
def diagonal(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    x: Any = node.inputs[0]
    axes = [a % x.type.ndim for a in (op.axis1, op.axis2)]
    build.thunk("diagonal", node.inputs, node.outputs, [_near(op.offset), *axes], views=(0,))
    return None


@lowers(AllocDiag)
def alloc_diag(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    ndim = node.outputs[0].type.ndim  # type: ignore[attr-defined]
    params = [_near(op.offset), op.axis1 % ndim, op.axis2 % ndim, *numbers(op.shape)]
    build.thunk("alloc_diag", node.inputs, node.outputs, params, values=range(1, len(node.inputs)))
    return None


def _near(offset: int) -> int:
    """The number of a diagonal, in 64 bits: any that is so far away misses every matrix."""
    return max(-(2**62), min(offset, 2**62))


@lowers(Diagonals)
def diagonals(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("diagonals", node.inputs, node.outputs, _shared(op.term), views=(0,))
    return None


@lowers(EmbedDiagonals)
def embed_diagonals(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("embed_diagonals", node.inputs, node.outputs, _shared(op.term), measures=(1,))
    return None


def _shared(term: str) -> list[int]:
    """For each letter the number of the axis that all those of this letter become."""
    letters = list(dict.fromkeys(term))
    return [letters.index(letter) for letter in term]
