"""Products of matrices."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, Dot, Gemm, MatMul
from refgraph_cython import blas
from refgraph_cython.lower.program import Builder, lowers


def _tensors(node: Apply) -> tuple[Any, ...]:
    return node.inputs


@lowers(Dot)
def dot(node: Apply, build: Builder) -> str | None:
    x, y = _tensors(node)
    if not 1 <= x.type.ndim <= 2 or not 1 <= y.type.ndim <= 2 or len({x.type.dtype, y.type.dtype}) > 1:
        return "other ranks or dtypes"
    blas.load()
    build.thunk("dot", node.inputs, node.outputs)
    return None


@lowers(MatMul)
def matmul(node: Apply, build: Builder) -> str | None:
    x, y = _tensors(node)
    if min(x.type.ndim, y.type.ndim) < 1 or len({x.type.dtype, y.type.dtype}) > 1:
        return "other ranks or dtypes"
    blas.load()
    build.thunk("matmul", node.inputs, node.outputs)
    return None


@lowers(Gemm)
def gemm(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    c, _, x, y, _ = _tensors(node)
    if c.type.dtype == "float16" or min(x.type.ndim, y.type.ndim) < 1:
        return "other dtypes"
    blas.load()
    build.thunk("gemm", node.inputs, node.outputs, [op.stacked], overwrites=[(0, 0)])
    return None
