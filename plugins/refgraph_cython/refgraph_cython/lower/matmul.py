"""Products of matrices."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, Dot, Gemm, MatMul
from refgraph_cython.lower.contraction import inline_as
from refgraph_cython.lower.program import Builder, lowers


def _tensors(node: Apply) -> tuple[Any, ...]:
    return node.inputs


@lowers(Dot)
def dot(node: Apply, build: Builder) -> str | None:
    return _product("dot", node, build)


@lowers(MatMul)
def matmul(node: Apply, build: Builder) -> str | None:
    return _product("matmul", node, build)


def _product(kernel: str, node: Apply, build: Builder) -> str | None:
    x, y = _tensors(node)
    if x.type.dtype != y.type.dtype or x.type.dtype == "float16":
        op: Any = node.op
        return inline_as(node, build, op)
    build.thunk(kernel, node.inputs, node.outputs)
    return None


@lowers(Gemm)
def gemm(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    if _tensors(node)[0].type.dtype == "float16":
        return inline_as(node, build, op)
    build.thunk("gemm", node.inputs, node.outputs, [op.stacked], overwrites=[(0, 0)])
    return None
