"""Sorting, the greatest elements, distinct values, places in sorted arrays, counts of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgraph.backend import Apply, ArgSort, ArgTopK, BinCount, SearchSorted, Sort, Unique
from refgraph_cython import _native
from refgraph_cython.lower.program import NUMBERS, Builder, lowers


@lowers(Sort)
def sort(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    dtype = node.outputs[0].type.dtype  # type: ignore[attr-defined]
    loop = 0 if dtype.startswith("complex") else _native.sorting_loop(dtype)
    if not loop and not dtype.startswith("complex"):
        return f"NumPy has no loop that sorts {dtype}"
    build.thunk("sort", node.inputs, node.outputs, [op.axis, loop])
    return None


@lowers(ArgSort)
def argsort(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("argsort", node.inputs, node.outputs, [op.axis])
    return None


@lowers(ArgTopK)
def topk(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("topk", node.inputs, node.outputs, [op.axis, op.sorted], values=(1,))
    return None


@lowers(Unique)
def unique(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    axis = -1 if op.axis is None else op.axis
    build.thunk("unique", node.inputs, node.outputs, [op.return_inverse, op.return_counts, axis], values=(0,))
    return None


@lowers(SearchSorted)
def searchsorted(node: Apply, build: Builder) -> str | None:
    """Elements are compared in the dtype that holds both."""
    op: Any = node.op
    x, v, *_ = [i.type.numpy_dtype for i in node.inputs]  # type: ignore[attr-defined]
    compared = np.result_type(x, v).name
    build.thunk("searchsorted", node.inputs, node.outputs, [op.side == "right", NUMBERS[compared]])
    return None


@lowers(BinCount)
def bincount(node: Apply, build: Builder) -> str | None:
    build.thunk("bincount", node.inputs, node.outputs, values=(0, 1))
    return None
