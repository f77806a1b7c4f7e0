"""Products of arrays, summed over any axes: one contraction of two arrays after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import Any, NamedTuple

import refgraph.tensor as T
from refgraph.backend import Apply, Einsum, Fused, Graph, Op, TensorDot, TensorType
from refgraph_cython.lower.program import NDIM, Builder, lowers

_UNKNOWN = 64
"""What a length is taken to be, where nothing is known of it, to choose an order of products."""


class Contract(Op):
    """The product of two arrays with an index for each axis, summed over those that the output lacks.

    Axes of one index are equally long; or of length 1, unless `strict`. Both arrays are of one dtype, but not float16.
    """

    name = "contract"
    __props__ = ("left", "right", "out", "strict")

    def __init__(self, left: str, right: str, out: str, strict: bool = False) -> None:
        self.left, self.right, self.out, self.strict = left, right, out, strict

    def infer(self, *inputs: Any) -> tuple[TensorType]:
        return (TensorType(inputs[0].type.dtype, (None,) * len(self.out)),)


@lowers(Contract)
def contract(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    letters = list(dict.fromkeys(op.left + op.right))
    numbers = [letters.index(c) for c in op.left + op.right + op.out]
    copies = [build.temporary(_types(node.inputs)[0].dtype, 1) for _ in range(3)]
    build.thunk("contract", node.inputs, [*node.outputs, *copies], [op.strict, *numbers])
    return None


def inline_as(node: Apply, build: Builder, formula: Any) -> str | None:
    """Lower a node as what a formula makes of its inputs, in the dtype of its output; of float16 in float32.

    The formula is given the inputs in one dtype. NumPy sums products of float16 in float32, too.
    """
    dtype = _types(node.outputs)[0].dtype
    inputs = [x.type.variable() for x in node.inputs]
    made = formula(*[T.cast(x, "float32" if dtype == "float16" else dtype) for x in inputs])
    return build.inline(Graph(inputs, [T.cast(made, dtype)]), node)


def _types(variables: Sequence[Any]) -> list[TensorType]:
    return [x.type for x in variables]


@lowers(TensorDot)
def tensordot(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    x, y = _types(node.inputs)
    letters = iter("abcdefghijklmnop")
    pairs = list(zip((*range(op.batch), *op.axes_x), (*range(op.batch), *op.axes_y), strict=True))
    left, right = [next(letters) for _ in range(x.ndim)], [""] * y.ndim
    for i, j in pairs:
        right[j] = left[i]
    right = [c or next(letters) for c in right]
    out = [c for k, c in enumerate(left) if k not in op.axes_x]
    out += [c for k, c in enumerate(right) if k not in op.axes_y and k >= op.batch]
    terms = "".join(left), "".join(right)
    lengths = _lengths(terms, node.inputs)
    is_checked = all([None not in (x.shape[i], y.shape[j]) for i, j in pairs])

    def formula(*arrays: Any) -> Any:
        if is_checked:
            first, second = [_Operand(*pair) for pair in zip(arrays, terms, strict=True)]
            return _product(first, second, "".join(out), lengths).array
        return Contract(*terms, "".join(out), True)(*arrays)

    return inline_as(node, build, formula)


@lowers(Einsum)
def einsum(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    if len(op.terms) == 1 and len(op.out) == len(op.terms[0]):
        build.thunk("dimshuffle", node.inputs, node.outputs, [op.terms[0].index(c) for c in op.out], views=(0,))
        return None
    lengths = _lengths(op.terms, node.inputs)
    if len(lengths) > NDIM and not _fits(op.terms, op.out, lengths):
        return f"what is computed on the way has more than {NDIM} axes"

    def formula(*arrays: Any) -> Any:
        operands = [_Operand(*pair) for pair in zip(arrays, op.terms, strict=True)]
        return _contracted(operands, op.out, lengths)

    return inline_as(node, build, formula)


_Lengths = dict[str, "int | None"]


class _Operand(NamedTuple):
    """An array, with a letter for each axis."""

    array: Any
    term: str

    def along(self, letters: str) -> Any:
        """The array with these letters as axes, of length 1 where it has none."""
        return self.array.dimshuffle(*[self.term.index(c) if c in self.term else "x" for c in letters])


def _lengths(terms: Sequence[str], inputs: Sequence[Any]) -> _Lengths:
    """The length of each letter, None where it is not known."""
    lengths: _Lengths = {}
    for term, x in zip(terms, inputs, strict=True):
        for c, n in zip(term, x.type.shape, strict=True):
            known = lengths.setdefault(c, n)
            if known == 1 or (known is None and n != 1):
                lengths[c] = n
    return lengths


def _contracted(operands: list[_Operand], out: str, lengths: _Lengths) -> Any:
    """The product of operands, summed over all letters that the output lacks."""
    for k, operand in enumerate(operands):
        kept = _kept(operand.term, [o.term for o in operands[:k] + operands[k + 1 :]], out)
        if len(operands) == 1 or len(kept) < len(operand.term):
            operands[k] = _Operand(_sum(operand, kept), kept)
    while len(operands) > 1:
        i, j = _next_pair([o.term for o in operands], out, lengths)
        y, x = operands.pop(j), operands.pop(i)
        kept = _kept(x.term + y.term, [o.term for o in operands], out)
        operands.append(_product(x, y, kept, lengths))
    return operands[0].array


def _kept(letters: str, others: Sequence[str], out: str) -> str:
    """The letters that are not summed when these become one operand: in the output's order, when no others are left."""
    wanted = "".join([out, *others])
    kept = "".join(dict.fromkeys([c for c in letters if c in wanted]))
    return kept if others else out


def _next_pair(terms: Sequence[str], out: str, lengths: _Lengths) -> tuple[int, int]:
    """Which operands to multiply next: those whose product takes least more memory than they do, then least work.

    (D. G. A. Smith and J. Gray, "opt_einsum", Journal of Open Source Software 3, 2018: their greedy order.)
    """

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        kept = _kept(terms[i] + terms[j], [t for k, t in enumerate(terms) if k not in pair], out)
        more = _size(kept, lengths) - _size(terms[i], lengths) - _size(terms[j], lengths)
        return more, _size(terms[i] + terms[j], lengths)

    return min(combinations(range(len(terms)), 2), key=cost)


def _size(letters: str, lengths: _Lengths) -> int:
    found = [lengths[c] for c in dict.fromkeys(letters)]
    return prod([_UNKNOWN if n is None else n for n in found])


def _fits(terms: Sequence[str], out: str, lengths: _Lengths) -> bool:
    """Whether no product on the way has more axes than an array may have."""
    left = [_kept(t, list(terms[:k]) + list(terms[k + 1 :]), out) for k, t in enumerate(terms)]
    while len(left) > 1:
        i, j = _next_pair(left, out, lengths)
        y, x = left.pop(j), left.pop(i)
        left.append(_kept(x + y, left, out))
        if len(left[-1]) > NDIM:
            return False
    return True


def _product(x: _Operand, y: _Operand, out: str, lengths: _Lengths) -> _Operand:
    """The product of two operands, as products of matrices where it is one; else element by element."""
    both, every = set(x.term).intersection(y.term), "".join(dict.fromkeys(x.term + y.term))
    long = {c for c in every if lengths[c] != 1}
    terms, batch = long.difference(out), long.intersection(both, out)
    rows, columns = long.difference(y.term), long.difference(x.term)
    is_product = terms and ((rows and columns) or ((rows or columns) and not batch))
    if is_product or len(every) > NDIM:
        return _Operand(Contract(x.term, y.term, out)(x.array, y.array), out)
    order = out + "".join([c for c in every if c not in out])
    return _Operand(_multiply(x.along(order), y.along(order), range(len(out), len(order))), out)


def _multiply(x: Any, y: Any, axes: Sequence[int]) -> Any:
    """The products of elements, summed over axes, in one pass."""
    if not axes:
        return x * y
    inputs = [x.type.variable(), y.type.variable()]
    return Fused(Graph(inputs, [_sum_over(inputs[0] * inputs[1], axes)]))(x, y)


def _sum(x: _Operand, out: str) -> Any:
    """The sum over the letters that `out` lacks."""
    order = out + "".join([c for c in x.term if c not in out])
    return _sum_over(x.along(order), range(len(out), len(order)))


def _sum_over(x: Any, axes: Sequence[int]) -> Any:
    """A sum in the dtype of what is summed, as products have it: integers wrap, and of truth values it is `any`."""
    if x.type.dtype == "bool":
        return T.any(x, axis=tuple(axes))
    return T.sum(x, axis=tuple(axes), dtype=x.type.dtype)
