"""Products of matrices: transposes and scalars out of the way, chains in the cheapest order, sums with products in one.

A transpose costs nothing, as BLAS and NumPy take it for an order of reading; a pass over a matrix costs its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from refgraph.core.graph import Apply, Variable
from refgraph.ops.blas import Gemm, gemm
from refgraph.ops.construct import alloc
from refgraph.ops.elementwise import add, mul, neg, sub, true_div
from refgraph.ops.lengths import scalar_value
from refgraph.ops.linalg import Dot, MatMul, TensorDot, dot
from refgraph.ops.shape import DimShuffle, broadcast_to
from refgraph.ops.tensor import CONTINUOUS, TensorConstant, weak_constant
from refgraph.rewrite.engine import Facts
from refgraph.rewrite.rule import node_rule

_LONGEST = 12  # factors of a chain that is put in order


def _made_by(x: Variable, op: Any, facts: Facts) -> Apply | None:
    """The application of an op, or of a class of ops, that makes x, where nothing else reads x."""
    node = x.owner
    if node is None or facts.readers(x) > 1:
        return None
    return node if node.op is op or (isinstance(op, type) and isinstance(node.op, op)) else None


def _ranks(node: Apply) -> list[int]:
    return [x.type.ndim for x in node.inputs]  # type: ignore[attr-defined]  # tensors


def _wholly(value: Any, node: Apply, facts: Facts) -> Any:
    """`value` broadcast to the shape of what a product makes; None where its lengths are not known without it."""
    out: Any = node.outputs[0]
    lengths = [facts.length(out, axis) for axis in range(out.type.ndim)]
    return None if None in lengths else broadcast_to(value, lengths) if lengths else value


# canonical


@node_rule("canonical", DimShuffle)
def transpose_of_dot(node: Apply, facts: Facts) -> Any:
    """dot(x, y).T is dot(y.T, x.T): transposes go inwards, where they meet others."""
    product = _made_by(node.inputs[0], Dot, facts)
    if product is None or node.op.order != (1, 0) or _ranks(product) != [2, 2]:  # type: ignore[attr-defined]
        return None
    x, y = product.inputs
    return dot(y.T, x.T)  # type: ignore[attr-defined]  # tensors


@node_rule("canonical", Dot, MatMul, TensorDot)
def product_with_zero(node: Apply, facts: Facts) -> Any:
    """A product with zeros is zeros."""
    out: Any = node.outputs[0]
    for x in node.inputs:
        value = scalar_value(x, 3)
        if value is not None and value == 0:
            lengths = [facts.length(out, axis) for axis in range(out.type.ndim)]
            return None if None in lengths else alloc(weak_constant(0, out.type.dtype), lengths)
    return None


@node_rule("canonical", Dot)
def dot_with_broadcast(node: Apply, facts: Facts) -> Any:
    """dot(x, y), where all elements of x are one number c, is c * sum(y) in each row; the same for y and columns."""
    out: Any = node.outputs[0]
    if out.type.dtype not in CONTINUOUS:
        return None
    for i, other in ((0, 1), (1, 0)):
        c, y = _broadcast_number(node.inputs[i]), node.inputs[other]
        if c is not None:
            axis = 0 if i == 0 else y.type.ndim - 1  # type: ignore[attr-defined]  # tensors
            sums = c * y.astype(out.type.dtype).sum(axis)  # type: ignore[attr-defined]  # the product is computed in that
            if sums.type.dtype != out.type.dtype:
                return None
            if i == 1 and sums.type.ndim and out.type.ndim > sums.type.ndim:
                sums = sums.dimshuffle(0, "x")
            return _wholly(sums, node, facts)
    return None


def _broadcast_number(x: Variable) -> Any:
    """The 0-d variable whose value each element of x has, where x is made by broadcasting one."""
    node = x.owner
    if node is None or node.op.name not in ("fill", "alloc", "broadcast_to"):
        return None
    value: Any = node.inputs[1 if node.op.name == "fill" else 0]
    return value if value.type.ndim == 0 else None


# matmul: order


@node_rule("matmul", Dot)
def product_of_product_and_vector(node: Apply, facts: Facts) -> Any:
    """dot(dot(x, y), v) is dot(x, dot(y, v)) for a vector v, and the mirror image: no two matrices multiply."""
    x, y = node.inputs
    if _ranks(node) == [2, 1] and (product := _made_by(x, Dot, facts)) is not None and _ranks(product) == [2, 2]:
        return dot(product.inputs[0], dot(product.inputs[1], y))
    if _ranks(node) == [1, 2] and (product := _made_by(y, Dot, facts)) is not None and _ranks(product) == [2, 2]:
        return dot(dot(x, product.inputs[0]), product.inputs[1])
    return None


@node_rule("matmul", Dot)
def chain_of_products(node: Apply, facts: Facts) -> Any:
    """dot(dot(x, y), z) is dot(x, dot(y, z)): the order with the fewest multiplications, where all lengths are known.

    (S. S. Godbole, "On efficient computation of matrix chain products", 1973.)
    """
    factors = _factors(node, facts)
    lengths = [x.type.shape for x in factors]
    if not 3 <= len(factors) <= _LONGEST or any(None in shape for shape in lengths):
        return None
    sizes = [lengths[0][0], *[shape[1] for shape in lengths]]
    cost, split = _cheapest(sizes)
    if cost >= _cost(node, set(factors)):
        return None
    return _multiplied(factors, split, 0, len(factors) - 1)


def _factors(node: Apply, facts: Facts) -> list[Any]:
    """The matrices whose product, in their order, is what the node makes; fewer than three where there is no chain."""
    found: list[Any] = []
    stack: list[Variable] = [node.outputs[0]]
    while stack and len(found) + len(stack) <= _LONGEST:
        x = stack.pop()
        product = node if x is node.outputs[0] else _made_by(x, Dot, facts)
        if product is not None and _ranks(product) == [2, 2]:
            stack += reversed(product.inputs)
        else:
            found.append(x)
    return found if not stack and all(x.type.ndim == 2 for x in found) else []


def _cost(node: Apply, factors: set[Any]) -> int:
    """How many multiplications it takes to compute the chain of these factors as it is written."""
    total, stack = 0, [node]
    while stack:
        product = stack.pop()
        x, y = product.inputs
        total += prod((*x.type.shape, y.type.shape[1]))  # type: ignore[attr-defined]  # tensors
        stack += [v.owner for v in product.inputs if v not in factors and v.owner is not None]
    return total


def _cheapest(sizes: Sequence[int]) -> tuple[int, dict[tuple[int, int], int]]:
    """The least number of multiplications for matrices of these sizes, and after which factor to split each range."""
    n = len(sizes) - 1
    least = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for span in range(1, n):
        for i in range(n - span):
            j = i + span
            costs = [least[i, k] + least[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            least[i, j] = min(costs)
            split[i, j] = i + costs.index(least[i, j])
    return least[0, n - 1], split


def _multiplied(factors: Sequence[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return factors[i]
    k = split[i, j]
    return dot(_multiplied(factors, split, i, k), _multiplied(factors, split, k + 1, j))


# matmul: sums with products


class _Scaled:
    """number * factor * x, found by taking scalars away from what was x; the factor is 0-d, or None for 1."""

    def __init__(self, x: Any, facts: Facts) -> None:
        self.number: Any = 1
        self.factor: Any = None
        self.x, self._facts, self._dtype = x, facts, x.type.dtype
        while (node := self.x.owner) is not None and facts.readers(self.x) <= 1 and self._take(node):
            pass

    @property
    def alpha(self) -> Any:
        """What x is multiplied by: a number, or a 0-d variable of the dtype of x."""
        return self.number if self.factor is None else _times(self.factor, self.number)

    def _take(self, node: Apply) -> bool:
        """Take away what negates the whole, multiplies it, or divides it; False where that is no scalar."""
        if node.op is neg:
            self.number, self.x = -self.number, node.inputs[0]
            return True
        if node.op is not mul and node.op is not true_div:
            return False
        for scalar, rest in (node.inputs[::-1], node.inputs) if node.op is mul else (node.inputs[::-1],):
            if scalar.type.ndim == 0 and rest.type.ndim > 0 and rest.type.dtype == self._dtype:  # type: ignore[attr-defined]
                self._scale(scalar, divide=node.op is true_div)
                self.x = rest
                return True
        return False

    def _scale(self, scalar: Any, divide: bool = False) -> None:
        if isinstance(scalar, TensorConstant) and (not divide or scalar.value):
            value = scalar.value.item()
            self.number = self.number / value if divide else self.number * value
            return
        factor = scalar if scalar.type.dtype == self._dtype else scalar.astype(self._dtype)
        if divide:
            self.factor = 1 / factor if self.factor is None else self.factor / factor
        else:
            self.factor = factor if self.factor is None else self.factor * factor

    def out_of(self, node: Apply) -> list[Any]:
        """The inputs of a product without their scalars, by which x is scaled instead."""
        parts = [_Scaled(x, self._facts) for x in node.inputs]
        for part in parts:
            self.number = self.number * part.number
            if part.factor is not None:
                self._scale(part.factor)
        return [part.x for part in parts]


def _times(x: Any, number: Any) -> Any:
    return x if number == 1 else -x if number == -1 else number * x


@node_rule("matmul", add, sub)
def sum_with_product(node: Apply, facts: Facts) -> Any:
    """b*c + a*dot(x, y) is gemm(c, a, x, y, b), for scalars a and b; c - a*dot(x, y) and the mirror images, too."""
    out: Any = node.outputs[0]
    if out.type.dtype not in CONTINUOUS or out.type.ndim == 0:
        return None
    for i in (1, 0):
        term, rest = node.inputs[i], node.inputs[1 - i]
        if term.type != out.type or rest.type.dtype != out.type.dtype:  # type: ignore[attr-defined]  # tensors
            continue
        scaled = _Scaled(term, facts)
        product = _made_by(scaled.x, Dot, facts) or _made_by(scaled.x, MatMul, facts)
        if product is None or not _fills(rest, scaled.x):
            continue
        if any(x.type.dtype != out.type.dtype for x in product.inputs):  # type: ignore[attr-defined]
            continue
        x, y = scaled.out_of(product)
        other = _Scaled(rest, facts)
        if node.op is sub:
            taken = scaled if i == 1 else other
            taken.number = -taken.number
        return gemm(other.x, scaled.alpha, x, y, other.alpha)
    return None


def _fills(c: Any, product: Any) -> bool:
    """Whether c is no mere row or column: what is broadcast is better added elementwise, and fused."""
    if c.type.ndim != product.type.ndim:
        return False
    return not any(a and not b for a, b in zip(c.type.broadcastable, product.type.broadcastable, strict=True))


@node_rule("matmul", neg)
def negative_of_gemm(node: Apply, facts: Facts) -> Any:
    """-gemm(c, a, x, y, b) is gemm(c, -a, x, y, -b), for numbers a and b."""
    inner = _made_by(node.inputs[0], Gemm, facts)
    if inner is None:
        return None
    c, alpha, x, y, beta = inner.inputs
    if not isinstance(alpha, TensorConstant) or not isinstance(beta, TensorConstant):
        return None
    return gemm(c, -alpha.value.item(), x, y, -beta.value.item())


@node_rule("matmul", Dot, MatMul)
def scalars_out_of_product(node: Apply, facts: Facts) -> Any:
    """dot(c*x, y) is c*dot(x, y), where the product is known to be smaller than what was scaled."""
    scaled = _Scaled(node.outputs[0], facts)
    inputs = scaled.out_of(node)
    out: Any = node.outputs[0]
    if out.type.dtype not in CONTINUOUS or all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return None
    taken = [x for x, rest in zip(node.inputs, inputs, strict=True) if rest is not x]
    if any(rest.type.dtype != out.type.dtype for rest in inputs) or not all(_is_smaller(out, x) for x in taken):
        return None
    return _times(node.op(*inputs), scaled.number) if scaled.factor is None else scaled.alpha * node.op(*inputs)


def _is_smaller(out: Any, x: Any) -> bool:
    if None not in out.type.shape and None not in x.type.shape:
        return bool(prod(out.type.shape) < prod(x.type.shape))
    return int(out.type.ndim) < int(x.type.ndim)


@node_rule("fuse", Dot)
def outer_product(node: Apply) -> Any:
    """dot(x, y) of a column and a row is x * y, which fuses with its neighbours."""
    x, y = node.inputs
    if _ranks(node) != [2, 2] or x.type.shape[1] != 1 or y.type.shape[0] != 1:  # type: ignore[attr-defined]
        return None
    return x * y if x.type.dtype != "bool" or y.type.dtype != "bool" else None  # type: ignore[attr-defined, operator]
