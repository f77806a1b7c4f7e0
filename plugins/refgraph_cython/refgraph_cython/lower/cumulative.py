"""Running sums and products, recurrences, products of all others, and how many elements are reduced."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, Count, CumProd, CumSum, LinearRecurrence, ProductOfOthers
from refgraph_cython.lower.program import Builder, bits, lowers

_SUM, _PRODUCT, _RECURRENCE = 0, 1, 2
_MOST_PARTS = 8  # further inputs that the kernel of products of others has places for


@lowers(CumSum, CumProd)
def cumulative(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    what = _SUM if isinstance(op, CumSum) else _PRODUCT
    build.thunk("scan_along", node.inputs, node.outputs, [what, op.axis, op.reverse])
    return None


@lowers(LinearRecurrence)
def linear_recurrence(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    a, b, y = _dtypes(node)
    if a != y or b != y or y == "bool":
        return f"a recurrence of {a} and {b}"
    build.thunk("scan_along", node.inputs, node.outputs, [_RECURRENCE, op.axis, op.reverse])
    return None


@lowers(ProductOfOthers)
def product_of_others(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    dtypes = set(_dtypes(node))
    if len(dtypes) > 1 or not dtypes.pop().startswith(("float", "complex")):
        return "inputs of several dtypes, or of integers"
    if len(node.inputs) > _MOST_PARTS + 1:
        return f"more than {_MOST_PARTS + 1} inputs"
    build.thunk("product_of_others", node.inputs, node.outputs, [bits(op.axis)])
    return None


@lowers(Count)
def count(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("count", node.inputs, node.outputs, [bits(op.axis)], measures=(0,))
    return None


def _dtypes(node: Apply) -> list[str]:
    variables: Any = (*node.inputs, *node.outputs)
    return [x.type.dtype for x in variables]
