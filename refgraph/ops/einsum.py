"""Einsum: the general product of arrays, said with a letter for each axis; a letter that repeats takes diagonals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import GraphTypeError, ShapeError
from refgraph.core.graph import Apply
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.families import SUM_TO, conj, full_shape
from refgraph.ops.linalg import differ, known_length, result_dtype, tensors
from refgraph.ops.linear import Linear, Multilinear
from refgraph.ops.sample_arrays import numbers
from refgraph.ops.tensor import Shape, TensorType, TensorVariable, as_tensor

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@declare
class Einsum(Multilinear):
    """Products of all operands, summed over every letter that the output lacks, as `numpy.einsum`.

    `subscripts` has a letter an axis, each at most once in an operand. Axes of one letter broadcast: each has the
    letter's length, or length 1. (C1) the known lengths of a letter agree so.
    """

    name = "einsum"
    __props__ = ("subscripts",)

    def __init__(self, subscripts: str) -> None:
        self.subscripts = subscripts
        left, self.out = subscripts.split("->")
        self.terms = left.split(",")
        if len(self.terms) == 1 and len(self.out) == len(left):
            self.views = (0,)

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        lengths: dict[str, int | None] = {}
        for term, x in zip(self.terms, inputs, strict=True):
            for letter, n in zip(term, x.type.shape, strict=True):
                m = lengths.setdefault(letter, n)
                if differ(m, n) and m != 1 and n != 1:  # einsum_c1
                    raise ShapeError(
                        f"einsum: the operands {', '.join(str(x.type) for x in inputs)} do not fit {self.subscripts!r}",
                        why=f"index {letter!r} has lengths {m} and {n}",
                        inputs=inputs,
                    )
                if m == 1 or (m is None and n != 1):
                    lengths[letter] = n
        return (TensorType(result_dtype(*inputs), [lengths[c] for c in self.out]),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        found: dict[str, list[tuple[Any]]] = {}
        for term, x in zip(self.terms, node.inputs, strict=True):
            for letter, n in zip(term, known.of(x), strict=True):
                found.setdefault(letter, []).append((n,))
        return [[known.joined(*found[letter])[0] for letter in self.out]]

    def impl(self, *arrays: Any) -> Any:
        if len(arrays) == 1:
            return np.einsum(self.subscripts, arrays[0])
        dtype = np.result_type(*[a.dtype for a in arrays])
        return np.einsum(self.subscripts, *[a.astype(dtype, copy=False) for a in arrays], optimize=True)

    def pull(self, i: int, g: Any, inputs: Sequence[Any]) -> Any:
        x, mine = inputs[i], self.terms[i]
        rest = [j for j in range(len(inputs)) if j != i]
        terms = [self.out, *[self.terms[j] for j in rest]]
        kept = "".join(c for c in mine if any(c in t for t in terms))
        found = _einsum(terms, kept, [g, *[conj(inputs[j]) for j in rest]])
        if len(kept) < len(mine):  # summed alone: the same for each index
            found = found.dimshuffle(*[kept.index(c) if c in kept else "x" for c in mine])
        return self._fit(found, x, mine, [(self.terms[j], inputs[j].type.shape) for j in rest])

    def _fit(self, g: Any, x: Any, term: str, rest: Sequence[tuple[str, Shape]]) -> Any:
        """g in the shape of x: repeated along axes that only x has, summed along axes where only x has length 1."""
        grow = shrink = False
        for letter, m, n in zip(term, x.type.shape, g.type.shape, strict=True):
            others = [shape[t.index(letter)] for t, shape in rest if letter in t]
            grow |= m != 1 and (n is None or n == 1) and letter not in self.out
            shrink |= (m is None or m == 1) and n != 1 and any(d != 1 for d in others)
        if grow:
            g = full_shape(g, x)
        return SUM_TO(g, x) if shrink else g

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        letter = next((c for c in _LETTERS if c not in self.subscripts), None)
        if letter is None:
            return None
        terms = [letter + term if marked else term for term, marked in zip(self.terms, batch.marked, strict=True)]
        return [_einsum(terms, letter + self.out, batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, subscripts, *inputs in _einsum_cases():
            yield Sample(id, partial(einsum, subscripts), tuple(inputs), partial(np.einsum, subscripts))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        m, n = numbers(2, 3), numbers(4, 5)
        for id, subscripts, inputs, error, says in [
            ("lengths", "ij,jk->ik", (m, n), ShapeError, "'j' has lengths 3 and 4"),
            ("ellipsis-lengths", "...,...->...", (m, n), ShapeError, "axis -2 of '...' has lengths 2 and 4"),
            ("diagonal", "ii->i", (m,), ShapeError, "'i' has lengths 2 and 3"),
            ("diagonal-of-1", "ii->i", (m[:1],), ShapeError, "diagonal"),
            ("rank", "ijk->i", (m,), ShapeError, "3 indices"),
            ("rank-ellipsis", "...ijk->i", (m,), ShapeError, "3 indices"),
            ("count", "ij->i", (m, n), GraphTypeError, "1 operand"),
            ("unknown-output", "ij->k", (m,), GraphTypeError, "'k'"),
            ("repeated-output", "ij->ii", (m,), GraphTypeError, "twice"),
            ("dot", "i.j->i", (m,), GraphTypeError, "'i.j'"),
            ("character", "i1->i", (m,), GraphTypeError, "'1'"),
            ("two-arrows", "ij->j->i", (m,), GraphTypeError, "->"),
            ("lost-ellipsis", "i...->i", (m,), GraphTypeError, "..."),
        ]:
            yield BadSample(id, partial(einsum, subscripts, *inputs), (), error, says)
        yield BadSample(
            "op-lengths", partial(cls("ab,bc->ac"), as_tensor(m), as_tensor(n)), (), ShapeError, "index 'b'"
        )


@declare
class Diagonals(Linear):
    """x with one axis for each letter of `term`: where a letter repeats, the diagonal. A view.

    `Diagonals("aab")(x)[a, b]` is `x[a, a, b]`. (C1) the axes of one letter are equally long.
    """

    name = "diagonals"
    __props__ = ("term",)
    views = (0,)

    def __init__(self, term: str) -> None:
        self.term = term
        self.subscripts = f"{term}->{_once(term)}"

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        lengths: dict[str, int | None] = {}
        for letter, n in zip(self.term, x.type.shape, strict=True):
            m = lengths.setdefault(letter, n)
            if differ(m, n):  # diagonals_c1
                raise ShapeError(
                    f"einsum: {x.type} has no diagonal over the axes {_places(self.term, letter)}",
                    why=f"they share an index, but have lengths {m} and {n}",
                    inputs=[x],
                )
            lengths[letter] = known_length(m, n)
        return (TensorType(x.type.dtype, tuple(lengths.values())),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        return [[x[self.term.index(letter)] for letter in _once(self.term)]]

    def impl(self, x: Any) -> Any:
        return np.einsum(self.subscripts, x)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return EmbedDiagonals(self.term)(g, x)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        letter = next(c for c in _LETTERS if c not in self.term)
        return [Diagonals(_renamed(letter + self.term))(*batch.inputs)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for term, x in _diagonal_cases():
            op = cls(term)
            yield Sample(f"{term}-{x.dtype}", op, (x,), partial(np.einsum, op.subscripts))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("lengths", partial(cls("aab"), as_tensor(numbers(2, 3, 4))), (), ShapeError, "lengths 2 and 3")


@declare
class EmbedDiagonals(Linear):
    """Zeros in the shape of the second input, with the first along their diagonals: the adjoint of Diagonals."""

    name = "embed_diagonals"
    __props__ = ("term",)
    measures = (1,)

    def __init__(self, term: str) -> None:
        self.term = term

    def infer(self, x: TensorVariable, like: TensorVariable) -> tuple[TensorType]:
        return (TensorType(x.type.dtype, like.type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[1])]

    def impl(self, x: Any, like: Any) -> Any:
        out = np.zeros(like.shape, x.dtype)
        np.einsum(f"{self.term}->{_once(self.term)}", out)[...] = x
        return out

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return Diagonals(self.term)(g)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        x = batch.inputs[0]
        if not batch.marked[0]:
            return [self(x, batch.blank_item(1))]
        like = batch.inputs[1] if batch.marked[1] else batch.blank([batch.count, *batch.lengths(1)])
        letter = next(c for c in _LETTERS if c not in self.term)
        return [EmbedDiagonals(_renamed(letter + self.term))(x, like)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for term, like in _diagonal_cases():
            x = np.einsum(f"{term}->{_once(term)}", like) * np.ones((), like.dtype)
            yield Sample(f"{term}-{x.dtype}", cls(term), (x, like), partial(_embedded, term), differentiable=(0,))


def _once(term: str) -> str:
    return "".join(dict.fromkeys(term))


def _places(term: str, letter: str) -> str:
    return " and ".join(str(k) for k, c in enumerate(term) if c == letter)


def einsum(*args: Any, optimize: Any = None) -> TensorVariable:
    """Products of all operands, summed over every index that the output lacks, as `numpy.einsum`.

    `einsum("ij,jk->ik", a, b)`, or `einsum(a, [0, 1], b, [1, 2], [0, 2])`. Without an output, its indices are those
    that occur once, sorted. An index repeated in one operand takes the diagonal; `...` stands for the other axes, which
    broadcast; so do axes of length 1. `optimize` is accepted and ignored: the order of products is chosen anyway.
    Raises GraphTypeError for subscripts without meaning, ShapeError when shapes are known and do not fit them.
    """
    if args and isinstance(args[0], str):
        terms, output, given = *_parse(args[0]), list(args[1:])
    else:
        terms, output, given = _parse_interleaved(args)
    if len(terms) != len(given):
        raise GraphTypeError(
            f"einsum: subscripts for {len(terms)} operand{'s' * (len(terms) != 1)}, but {len(given)} given",
            help="write one group of indices an operand, separated by commas",
        )
    inputs = tensors("einsum", *given)
    letters, out = _canonical(terms, output, inputs)
    for k, (term, x) in enumerate(zip(letters, inputs, strict=True)):
        if len(_once(term)) < len(term):
            letters[k] = _once(term)
            inputs = (*inputs[:k], Diagonals(_renamed(term))(x), *inputs[k + 1 :])
    return _einsum(letters, out, inputs)


def _einsum(terms: Sequence[str], out: str, inputs: Sequence[TensorVariable]) -> TensorVariable:
    """An einsum of terms without repeated letters; only axes moved, where that is all."""
    if len(terms) == 1 and len(out) == len(terms[0]):
        return inputs[0] if out == terms[0] else inputs[0].dimshuffle(*[terms[0].index(c) for c in out])
    return Einsum(_renamed(",".join(terms) + "->" + out))(*inputs)


def _renamed(subscripts: str) -> str:
    """The same with letters in the order a, b, c, ..., so that equal ops look equal."""
    names: dict[str, str] = {}
    return "".join(c if c in ",->" else names.setdefault(c, _LETTERS[len(names)]) for c in subscripts)


def _parse(subscripts: str) -> tuple[list[list[Any]], list[Any] | None]:
    """Groups of indices, where Ellipsis may stand among letters, for each operand and for the output if it is given."""
    left, *right = subscripts.replace(" ", "").split("->")
    if len(right) > 1:
        raise GraphTypeError(f"einsum: {subscripts!r} has more than one '->'")
    return [_indices(part) for part in left.split(",")], _indices(right[0]) if right else None


def _indices(group: str) -> list[Any]:
    head, dots, tail = group.partition("...")
    found = [*head, Ellipsis, *tail] if dots else list(head)
    for c in found:
        if c is not Ellipsis and c not in _LETTERS:
            raise GraphTypeError(
                f"einsum: {c!r} in {group!r} is no index", help="use letters, and '...' at most once an operand"
            )
    return found


def _parse_interleaved(args: tuple[Any, ...]) -> tuple[list[list[Any]], list[Any] | None, list[Any]]:
    for group in (*args[1::2], *args[len(args) - len(args) % 2 :]):
        if not isinstance(group, (list, tuple, range)):
            raise GraphTypeError(
                f"einsum: {group!s:.60} ({type(group).__name__}) is no list of indices",
                help='write einsum("ij,jk->ik", a, b), or lists of numbers: einsum(a, [0, 1], b, [1, 2], [0, 2])',
            )
    groups, given = [list(g) for g in args[1::2]], list(args[0 : len(args) - len(args) % 2 : 2])
    output = list(args[-1]) if len(args) % 2 else None
    for group in [*groups, *([output] if output is not None else [])]:
        for c in group:
            if c is not Ellipsis and not (isinstance(c, (int, np.integer)) and 0 <= c < len(_LETTERS)):
                raise GraphTypeError(
                    f"einsum: {c!r} is no index",
                    help=f"use ints from 0 to {len(_LETTERS) - 1}, and Ellipsis at most once",
                )
        if group.count(Ellipsis) > 1:
            raise GraphTypeError("einsum: Ellipsis occurs twice for one operand")
    if not groups:
        raise GraphTypeError("einsum needs subscripts", help='for example einsum("ij,jk->ik", a, b)')
    return groups, output, given


def _canonical(
    terms: Sequence[list[Any]], output: list[Any] | None, inputs: Sequence[TensorVariable]
) -> tuple[list[str], str]:
    """The groups with the ellipses spelled out, one letter an index."""
    hidden = [_hidden(term, x) for term, x in zip(terms, inputs, strict=True)]
    most = max(hidden)
    full = [_spelled(term, n) for term, n in zip(terms, hidden, strict=True)]
    _refuse_unequal(full, inputs)
    every = [c for term in full for c in term]
    if output is None:
        once = sorted(c for c in set(every) if not isinstance(c, _Hidden) and every.count(c) == 1)
        output = [Ellipsis, *once]
    elif most and Ellipsis not in output:
        raise GraphTypeError(
            "einsum: the output has no '...'",
            why=f"in the operands '...' stands for {most} ax{'i' if most == 1 else 'e'}s",
        )
    out = _spelled(output, most)
    for c in out:
        if c not in every:
            raise GraphTypeError(f"einsum: the output index {c!r} occurs in no operand")
        if out.count(c) > 1:
            raise GraphTypeError(f"einsum: the index {c!r} occurs twice in the output")
    names = dict(zip(dict.fromkeys(every), _LETTERS, strict=False))
    if len(names) < len(set(every)):
        raise GraphTypeError(f"einsum: more than {len(_LETTERS)} indices")
    return ["".join(names[c] for c in term) for term in full], "".join(names[c] for c in out)


class _Hidden(int):
    """An axis that `...` stands for, counted from the right: -1 is the last."""

    def __repr__(self) -> str:
        return f"axis {int(self)} of '...'"


def _refuse_unequal(terms: Sequence[list[Any]], inputs: Sequence[TensorVariable]) -> None:
    """Raise ShapeError for lengths known to differ, in the caller's own letters."""
    known: dict[Any, int] = {}
    for term, x in zip(terms, inputs, strict=True):
        for c, n in zip(term, x.type.shape, strict=True):
            if n is not None and n != 1 and known.setdefault(c, n) != n:
                raise ShapeError(
                    f"einsum: index {c!r} has lengths {known[c]} and {n}",
                    why="axes that share an index are equally long, or have length 1",
                    help="the operands are " + ", ".join(str(y.type) for y in inputs),
                    inputs=inputs,
                )


def _hidden(term: list[Any], x: TensorVariable) -> int:
    """How many axes of x the ellipsis stands for."""
    named = sum(c is not Ellipsis for c in term)
    n = x.type.ndim - named
    if n < 0 or (n > 0 and Ellipsis not in term):
        raise ShapeError(
            f"einsum: {named} indices {'or more ' * (Ellipsis in term)}for {x.type}, which has {x.type.ndim} axes",
            help="write one index an axis; '...' stands for the axes that are not named",
            inputs=[x],
        )
    return n


def _spelled(term: list[Any], hidden: int) -> list[Any]:
    return [d for c in term for d in ([_Hidden(k) for k in range(-hidden, 0)] if c is Ellipsis else [c])]


# ---------------------------------------------------------------------------------------------------------------------
# what the samples are made of


def _diagonal_cases() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield "aa", numbers(3, 3)
    yield "aab", numbers(2, 2, 3)
    yield "aba", numbers(2, 3, 2).astype("float32")
    yield "aaa", numbers(2, 2, 2) + 1j
    yield "abab", numbers(2, 3, 2, 3)[::-1]
    yield "aa", np.arange(4).reshape(2, 2)
    yield "aa", numbers(0, 0).astype("float32")
    yield "aab", numbers(1, 1, 2) > 0


def _embedded(term: str, x: Any, like: Any) -> Any:
    out = np.zeros_like(like)
    for index in np.ndindex(*x.shape):
        at = dict(zip(_once(term), index, strict=True))
        out[tuple(at[c] for c in term)] = x[index]
    return out


def _einsum_cases() -> Iterator[tuple[Any, ...]]:
    """Subscripts with operands that fit: every feature, and what people write most."""
    v, w, m, n, s, t = numbers(3), numbers(4), numbers(2, 3), numbers(3, 4), numbers(3, 3), numbers(2, 3, 4)
    yield "identity", "ij->ij", m
    yield "transpose", "ij->ji", m
    yield "permute", "ijk->kij", t
    yield "sum", "ij->", m
    yield "sum-rows", "ij->j", m
    yield "sum-and-transpose", "ijk->ki", t
    yield "dot", "i,i", v, v[::-1]
    yield "matrix-vector", "ij,j->i", m, v
    yield "matrix-matrix", "ij,jk->ik", m, n
    yield "implicit", "ij,jk", m, n
    yield "implicit-sorted", "ba", m
    yield "transposed-product", "ij,kj->ik", m, s
    yield "outer", "i,j->ij", v, w
    yield "hadamard", "ij,ij->ij", m, m + 1
    yield "frobenius", "ij,ij->", m, m + 1
    yield "bilinear", "i,ij,j->", v, n, w
    yield "batched", "bij,bjk->bik", t, numbers(2, 4, 2)
    yield "batched-vector", "bij,bj->bi", t, numbers(2, 4)
    yield "chain", "ij,jk,kl->il", m, n, numbers(4, 2)
    yield "trace", "ii->", s
    yield "diagonal", "ii->i", s
    yield "diagonal-implicit", "ii", s
    yield "diagonal-of-stack", "iij->j", numbers(2, 2, 3)
    yield "diagonal-thrice", "iii->i", numbers(2, 2, 2)
    yield "diagonal-times", "ii,i->i", s, v
    yield "two-diagonals", "ijij->ij", numbers(2, 3, 2, 3)
    yield "sum-alone", "ij,k->i", m, w
    yield "ellipsis", "...ij,...jk->...ik", t, numbers(2, 4, 2)
    yield "ellipsis-broadcast", "...i,...i->...", t, w
    yield "ellipsis-implicit", "...i,...i", t, w
    yield "ellipsis-end", "i...->...", t
    yield "ellipsis-middle", "i...j->j...i", t
    yield "ellipsis-diagonal", "...ii->...i", numbers(2, 3, 3)
    yield "ellipsis-empty", "...i->...", v
    yield "length-1", "ij,jk->ik", numbers(2, 1), n
    yield "length-1-kept", "ij,ij->ij", numbers(2, 1), m
    yield "length-1-both", "ij,ij->", numbers(1, 3), numbers(2, 1)
    yield "length-1-three", "ij,j,j->i", m, numbers(1), v
    yield "length-1-diagonal", "ii,i->i", numbers(1, 1), v
    yield "length-1-summed", "ij,kj->ik", m, numbers(2, 1)
    yield "scalar", ",ij->ij", numbers(), m
    yield "only-scalars", ",->", numbers(), numbers(seed=1)
    yield "attention", "bqhd,bkhd->bhqk", numbers(1, 2, 2, 3), numbers(1, 3, 2, 3)
    yield "tensor-contraction", "ijk,jil->kl", t, numbers(3, 2, 2)
    yield "no-terms", "ij,jk->ik", numbers(2, 0), numbers(0, 3)
    yield "capital", "Ij,jK->KI", m, n
    yield "spaces", "i j, j k -> i k", m, n
    yield "int", "ij,j->i", np.arange(6).reshape(2, 3), np.arange(3)
    yield "int8-sum", "ij->i", np.full((2, 3), 100, "int8")
    yield "bool", "ij,jk->ik", m > 0, n > 0
    yield "float32", "ij,jk->ik", m.astype("float32"), n.astype("float32")
    yield "mixed", "ij,jk->ik", m.astype("float32"), np.arange(12, dtype="int8").reshape(3, 4)
    yield "complex", "ij,jk->ik", m + 1j * m[::-1], n - 1j
    yield "complex-diagonal", "ii,i->", s + 1j * s.T, v
    yield "strided", "ij,jk->ki", m[::-1, ::2], n[::2, ::-1]
