"""Order: sorting, the greatest k, distinct values, positions in sorted arrays, counts of integers.

Ties keep their order everywhere (sorts are stable), NaN counts as greater than any number, and complex numbers go by
their real part, then by their imaginary part, as in NumPy. What has a derivative is a choice of elements: it is taken
through the chosen places, which do not move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Op, Sample, declare
from refgraph.ops.indexing import inc_subtensor, take_along_axis
from refgraph.ops.lengths import one_axis
from refgraph.ops.linear import TensorOp, same_kind
from refgraph.ops.shape import flat_or_along, flatten
from refgraph.ops.tensor import INTEGERS, TensorConstant, TensorType, TensorVariable, as_tensor, dtype_name

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

_KINDS = ("quicksort", "mergesort", "heapsort", "stable", None)
_WHOLE = frozenset(("bool", *INTEGERS))


# Sorting


class _Along(TensorOp):
    """An op of one array along one axis."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [type(self)(self.axis + 1)(*batch.inputs)]


@declare
class Sort(_Along):
    """x sorted along an axis. Its derivative is moved as the elements are."""

    name = "sort"

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (x.type,)

    def impl(self, x: Any) -> Any:
        return np.sort(x, self.axis)

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,), (x,) = cotangents, node.inputs
        return ((lambda: self._unsorted(g, x)) if isinstance(g, Variable) else g,)

    def _unsorted(self, g: Any, x: Any) -> Any:
        """The elements of g where those of x came from."""
        free = take_along_axis(ops.construct.zeros_like(g), ArgSort(self.axis)(x), self.axis)
        return inc_subtensor(free, g, set_instead_of_inc=True, ignore_duplicates=True)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (t,), (x,) = tangents, node.inputs
        return (take_along_axis(t, ArgSort(self.axis)(x), self.axis) if isinstance(t, Variable) else t,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, x, axis in _ARRAYS:
            yield Sample(id, lambda x, axis=axis: sort(x, axis), (x,), lambda x, axis=axis: np.sort(x, axis))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = np.zeros((2, 3))
        yield BadSample("no-axis", lambda x: sort(x, 2), (x,), ValueError, "sort")
        yield BadSample("scalar", sort, (x[0, 0],), ValueError, "sort")
        yield BadSample("fields", lambda x: sort(x, order="a"), (x,), GraphTypeError, "order")
        yield BadSample("kind", lambda x: sort(x, kind="bogo"), (x,), GraphTypeError, "bogo")


@declare
class ArgSort(_Along):
    """The places in x of the elements of sort(x), in int64; of equal elements the first comes first."""

    name = "argsort"

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (TensorType("int64", x.type.shape),)

    def impl(self, x: Any) -> Any:
        return _stable_order(x, self.axis).astype("int64", copy=False)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, x, axis in _ARRAYS:
            yield Sample(
                id, lambda x, axis=axis: argsort(x, axis), (x,), lambda x, axis=axis: np.argsort(x, axis, kind="stable")
            )


def _stable_order(x: Any, axis: int) -> Any:
    """`argsort(kind="stable")`. Of floats without ties NumPy's unstable sort has the same answer in half the time."""
    if x.dtype.kind == "f" and x.size > 1000:
        order = np.argsort(x, axis)
        found = np.moveaxis(np.take_along_axis(x, order, axis), axis, -1)
        if np.all(found[..., :-1] < found[..., 1:]):
            return order
    return np.argsort(x, axis, kind="stable")


def sort(x: Any, axis: Any = -1, kind: str | None = "quicksort", order: Any = None) -> TensorVariable:
    """x sorted along an axis, or flattened and sorted for axis=None.

    kind is accepted as in NumPy and changes nothing: ties keep their order. order is for arrays with fields, which do
    not exist here. The derivative goes where the elements go. Raises AxisError, GraphTypeError.
    """
    x, axis = _to_sort("sort", x, axis, kind, order)
    return Sort(axis)(x)


def argsort(x: Any, axis: Any = -1, kind: str | None = "quicksort", order: Any = None) -> TensorVariable:
    """The places in x (flattened for axis=None) of the elements of `sort(x, axis)`, in int64; see there."""
    x, axis = _to_sort("argsort", x, axis, kind, order)
    return ArgSort(axis)(x)


def _to_sort(op: str, x: Any, axis: Any, kind: str | None, order: Any) -> tuple[TensorVariable, int]:
    if kind not in _KINDS:
        raise GraphTypeError(f"{op}: no kind {kind!r}", help=f"use one of: {', '.join(map(str, _KINDS))}")
    if order is not None:
        raise GraphTypeError(f"{op}: order={order!r} is for arrays with fields, which refgraph does not have")
    return flat_or_along(op, x, axis)


_ARRAYS: tuple[tuple[str, Any, int | None], ...] = (
    ("vector", np.array([3.0, -1.0, 2.0, 0.5]), -1),
    ("ties", np.array([2, 1, 2, 0, 1, 2], "int8"), 0),
    ("axis0", np.array([[3.0, 1.0, 2.0], [0.0, 5.0, -4.0], [1.0, 2.0, 9.0]]), 0),
    ("axis-2", np.array([[[3.0, 1.0], [0.0, 5.0]], [[7.0, 8.0], [1.0, 9.0]]]), -2),
    ("flattened", np.array([[3.0, 1.0, 2.0], [0.0, 5.0, -4.0]]), None),
    ("0-d-flattened", np.array(3.0), None),
    ("float32", np.array([3.0, -1.0, 2.0], "float32"), -1),
    ("complex", np.array([3.0 + 1j, 1.0 - 2j, 2.0 - 3j]), -1),
    ("bool", np.array([True, False, True]), -1),
    ("nan", np.array([np.nan, 1.0, np.inf, -np.inf], "float32"), -1),
    ("empty", np.zeros((2, 0)), -1),
    ("length-1", np.ones((2, 1)), 1),
    ("strided", np.array([[3.0, 1.0, 2.0, 7.0], [0.0, 5.0, -4.0, 8.0]])[:, ::-2], 1),
)


# The greatest k


@declare
class ArgTopK(TensorOp):
    """The places along `axis` of the k greatest elements of x, of the -k least for a negative k; inputs x and k.

    Best first where `sorted`, else in the order of x. Raises ValueError for k = 0 and where there are fewer elements.
    """

    __props__ = ("axis", "sorted", "idx_dtype")
    name = "argtopk"

    def __init__(self, axis: int, sorted: bool = True, idx_dtype: str = "int64") -> None:
        self.axis, self.sorted, self.idx_dtype = axis, sorted, idx_dtype

    def infer(self, x: TensorVariable, k: TensorVariable) -> tuple[TensorType]:
        length: int | None = None
        if isinstance(k, TensorConstant):
            n, length = x.type.shape[self.axis], abs(int(k.value))
            if length == 0 or (n is not None and length > n):
                raise ShapeError(
                    self._refusal(int(k.value), n), help="k is from 1 to the length of the axis", inputs=[x]
                )
        shape = x.type.shape
        return (TensorType(self.idx_dtype, (*shape[: self.axis], length, *shape[self.axis + 1 :])),)

    def _refusal(self, k: int, n: int | None) -> str:
        return "topk: k is 0" if k == 0 else f"topk: k is {k}, but axis {self.axis} has length {n}"

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [[None if a == self.axis else n for a, n in enumerate(known.of(node.inputs[0]))]]

    def impl(self, x: Any, k: Any) -> Any:
        k, n = int(k), x.shape[self.axis]
        if not 0 < abs(k) <= n:
            raise ValueError(self._refusal(k, n))
        last = np.moveaxis(x, self.axis, -1)
        if x.size and n > 1000 and n > 4 * abs(k):
            places = np.apply_along_axis(_best_of_many, -1, last, k)
        else:
            places = _best(last, k)
        if not self.sorted:
            places = np.sort(places, -1)
        return np.ascontiguousarray(np.moveaxis(places, -1, self.axis), self.idx_dtype)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [ArgTopK(self.axis + 1, self.sorted, self.idx_dtype)(*batch.inputs)] if batch.only(0) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        v = np.array([3, 1, 3, 0, 2, 1])
        m = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, -4.0], [7.0, 6.0, 8.0]])
        yield Sample("ties", lambda x: argtopk(x, 3), (v,), lambda x: np.array([0, 2, 4]))
        yield Sample("least", lambda x: argtopk(x, -3), (v,), lambda x: np.array([3, 1, 5]))
        yield Sample(
            "unsorted",
            lambda x: argtopk(x, 4, sorted=False, idx_dtype="int32"),
            (v,),
            lambda x: np.array([0, 1, 2, 4], "int32"),
        )
        yield Sample("uint8", lambda x: argtopk(x, 2), (v.astype("uint8"),), lambda x: np.array([0, 2]))
        yield Sample("axis0", lambda x: topk(x, 2, axis=0), (m,), lambda x: np.sort(x, 0)[:0:-1])
        yield Sample("least-axis1", lambda x: topk(x, -2, axis=1), (m,), lambda x: np.sort(x, 1)[:, :2])
        yield Sample("flattened", lambda x: topk(x, 4, axis=None), (m,), lambda x: np.sort(x, None)[:-5:-1])
        yield Sample("k-variable", topk, (m, np.array(2)), lambda x, k: np.sort(x, 1)[:, :0:-1])
        yield Sample("all", lambda x: topk(x, 3), (m,), lambda x: np.sort(x, 1)[:, ::-1])
        yield Sample("float32", lambda x: topk(x, 1), (m.astype("float32"),), lambda x: np.max(x, 1, keepdims=True))
        yield Sample(
            "both",
            lambda x: topk_and_argtopk(x, 2),
            (m[::-1, ::-1],),
            lambda x: (np.sort(x, 1)[:, :0:-1], np.array([[0, 2], [1, 2], [2, 0]])),
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = np.zeros((2, 3))
        yield BadSample("zero", lambda x: topk(x, 0), (x,), ValueError, "k is 0")
        yield BadSample("too-many", lambda x: topk(x, 4), (x,), ValueError, "axis 1 has length 3")
        yield BadSample("too-many-variable", topk, (x, np.array(-4)), ValueError, "k is -4")
        yield BadSample("no-axis", lambda x: topk(x, 1, axis=2), (x,), ValueError, "topk")
        yield BadSample("k-float", lambda x: topk(x, 1.5), (x,), DTypeError, "topk")
        yield BadSample("k-vector", lambda x: topk(x, [1, 2]), (x,), DTypeError, "topk")
        yield BadSample("index-dtype", lambda x: topk(x, 1, idx_dtype="float32"), (x,), DTypeError, "idx_dtype")


def _best(x: Any, k: int) -> Any:
    """The places along the last axis of the k greatest, or -k least, best first; of equal elements the first."""
    if k < 0:
        return np.argsort(x, -1, kind="stable")[..., :-k]
    n = x.shape[-1]  # backwards twice, so that of equal elements the first comes first
    return (n - 1 - np.argsort(x[..., ::-1], -1, kind="stable"))[..., : -k - 1 : -1]


def _best_of_many(x: Any, k: int) -> Any:
    """`_best` of a vector, sorting only what is not worse than the kth (nor is NaN, which compares with nothing)."""
    kth = -k - 1 if k < 0 else len(x) - k
    bound = np.partition(x, kth)[kth]
    near = np.flatnonzero(~(x > bound if k < 0 else x < bound))
    return near[_best(x[near], k)]


def topk(x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: Any = "int64") -> TensorVariable:
    """The kth greatest elements along an axis (of all elements for axis=None), best first; the -kth least for kth < 0.

    kth: an integer, or an integer scalar variable, not 0. sorted=False leaves the elements in the order of x. Of equal
    elements the first are taken. Raises ShapeError or, when known only in a call, ValueError, where there are fewer.
    """
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[0]


def argtopk(x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: Any = "int64") -> TensorVariable:
    """The places of the elements of `topk`, in idx_dtype; see there."""
    return _argtopk(*flat_or_along("topk", x, axis), kth, sorted, idx_dtype)


def topk_and_argtopk(
    x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: Any = "int64"
) -> list[TensorVariable]:
    """`[topk, argtopk]`, for the cost of one; see there."""
    x, axis = flat_or_along("topk", x, axis)
    places = _argtopk(x, axis, kth, sorted, idx_dtype)
    return [take_along_axis(x, places, axis), places]


def _argtopk(x: TensorVariable, axis: int, kth: Any, sorted: bool, idx_dtype: Any) -> TensorVariable:
    k, dtype = as_tensor(kth), dtype_name(idx_dtype)
    if k.type.ndim != 0 or k.type.dtype not in INTEGERS:
        raise DTypeError(f"topk: kth is an integer scalar, got {k} ({k.type})", inputs=[k])
    if dtype not in INTEGERS:
        raise DTypeError(f"topk: idx_dtype={dtype} is not an integer dtype", help="use int64")
    return ArgTopK(axis, bool(sorted), dtype)(x, k)


# Distinct values


@declare
class Unique(Op):
    """Where each distinct value of x stands first, in the order of the values: elements, or slices along `axis`.

    Further outputs, where asked for: for each element (slice) the number of its value, and how often each value is
    there. All are int64. NaNs are one value.
    """

    __props__ = ("return_inverse", "return_counts", "axis")
    name = "unique"

    def __init__(self, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None) -> None:
        self.return_inverse, self.return_counts, self.axis = return_inverse, return_counts, axis

    def infer(self, x: TensorVariable) -> tuple[TensorType, ...]:
        some = TensorType("int64", (None,))
        of_each = x.type.shape if self.axis is None else (x.type.shape[self.axis],)
        inverse = [TensorType("int64", of_each)] if self.return_inverse else []
        return (some, *inverse, *[some] * self.return_counts)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        x = known.of(node.inputs[0])
        of_each = x if self.axis is None else (x[self.axis],)
        return [None, *[of_each] * self.return_inverse, *[None] * self.return_counts]

    def impl(self, x: Any) -> Any:
        x = np.asarray(x)
        answers: Any = np.unique(x, True, self.return_inverse, self.return_counts, self.axis)  # type: ignore[call-overload]
        found = list(answers[1:])
        if self.return_inverse:  # its shape differs between versions of NumPy
            found[1] = found[1].reshape(x.shape if self.axis is None else -1)
        found = [np.asarray(part, "int64") for part in found]
        return found if len(found) > 1 else found[0]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        v, m = np.array([3.0, 1.0, 3.0, 2.0, 1.0]), np.array([[1, 2], [0, 5], [1, 2]])
        yield Sample("vector", unique, (v,), np.unique, ())
        yield Sample("distinct", unique, (v[1:4],), np.unique)
        yield Sample("matrix", unique, (m,), np.unique)
        yield Sample("axis0", lambda x: unique(x, axis=0), (m,), lambda x: np.unique(x, axis=0))
        yield Sample("axis-1", lambda x: unique(x, axis=-1), (m,), lambda x: np.unique(x, axis=1))
        yield Sample("slices", lambda x: unique(x, axis=0), (m[:2] + 0.5,), lambda x: np.unique(x, axis=0))
        yield Sample("0-d", unique, (np.array(2.0),), np.unique)
        yield Sample("empty", unique, (v[:0],), np.unique)
        yield Sample("bool", unique, (v > 2,), np.unique)
        yield Sample("nan", unique, (np.array([np.nan, 1.0, np.nan]),), np.unique, ())
        yield Sample(
            "index", lambda x: unique(x, return_index=True), (v,), lambda x: np.unique(x, return_index=True), ()
        )
        yield Sample(
            "all",
            lambda x: unique(x, True, True, True),
            (m,),
            lambda x: (*np.unique(x, True), np.array([[1, 2], [0, 3], [1, 2]]), np.array([1, 2, 2, 1])),
        )
        yield Sample(
            "inverse-axis0",
            lambda x: unique(x, return_inverse=True, axis=0),
            (m,),
            lambda x: (np.array([[0, 5], [1, 2]]), np.array([1, 0, 1])),
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("no-axis", lambda x: unique(x, axis=1), (np.zeros(2),), ValueError, "unique")


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None
) -> Any:
    """The distinct elements in order, or the distinct slices along an axis; NaNs are one value.

    Answers a variable, or a list where more is asked for: where each value stands first (in the flattened array, or
    along the axis); for each element (in the shape of `ar`) or slice the number of its value; how often each is there.
    The derivative goes to the element that stands first.
    """
    x = as_tensor(ar)
    axis = None if axis is None else one_axis("unique", axis, x.type.ndim, x)
    outputs = Unique(bool(return_inverse), bool(return_counts), axis).make_node(x).outputs
    index: Any = outputs[0]
    values = flatten(x)[index] if axis is None else x[(*(slice(None),) * axis, index)]
    found = [values, *([index] if return_index else []), *outputs[1:]]
    return found if len(found) > 1 else values


# Places in a sorted array


@declare
class SearchSorted(TensorOp):
    """Where the elements of v go into the sorted vector x, in int64; inputs x, v and, for another x, its argsort."""

    __props__ = ("side",)
    name = "searchsorted"

    def __init__(self, side: str = "left") -> None:
        self.side = side

    def infer(self, x: TensorVariable, v: TensorVariable, *sorter: TensorVariable) -> tuple[TensorType]:
        return (TensorType("int64", v.type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[1])]

    def impl(self, x: Any, v: Any, sorter: Any = None) -> Any:
        return np.searchsorted(x, v, self.side, sorter).astype("int64", copy=False)  # type: ignore[call-overload]

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [self(*batch.inputs)] if batch.only(1) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, v = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[2.0, 0.0, 9.0], [5.0, 1.5, 2.5]])
        yield Sample("left", searchsorted, (x, v), np.searchsorted)
        yield Sample(
            "right", lambda x, v: searchsorted(x, v, "right"), (x, v), lambda x, v: np.searchsorted(x, v, "right")
        )
        yield Sample("0-d", searchsorted, (x, v[0, 0]), np.searchsorted)
        yield Sample("integers", searchsorted, (np.array([1, 4, 9], "int8"), np.array([4, 5])), np.searchsorted)
        yield Sample("empty", searchsorted, (x[:0], v[0]), np.searchsorted)
        yield Sample(
            "sorter",
            lambda x, v, order: searchsorted(x, v, sorter=order),
            (x[::-1], v[0], np.array([3, 2, 1, 0])),
            lambda x, v, order: np.searchsorted(x, v, sorter=order),
        )

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = np.zeros((2, 3))
        yield BadSample("matrix", searchsorted, (x, x), ShapeError, "searchsorted")
        yield BadSample("side", lambda x: searchsorted(x, 1.0, "top"), (x[0],), GraphTypeError, "top")
        yield BadSample("sorter", lambda x: searchsorted(x, 1.0, sorter=x), (x[0],), DTypeError, "sorter")


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> TensorVariable:
    """Where each element of v goes into the sorted vector x to keep it sorted, in int64.

    side: "left" of equal elements, or "right". sorter: the argsort of x, where x is not sorted itself.
    Raises ShapeError unless x is a vector.
    """
    x, v = as_tensor(x), as_tensor(v)
    if x.type.ndim != 1:
        raise ShapeError(f"searchsorted: x is {x.type}, but must be a vector", help="use x.flatten()", inputs=[x])
    if side not in ("left", "right"):
        raise GraphTypeError(f'searchsorted: side={side!r} is neither "left" nor "right"')
    if sorter is None:
        return SearchSorted(side)(x, v)
    sorter = as_tensor(sorter)
    if sorter.type.ndim != 1 or sorter.type.dtype not in INTEGERS:
        raise DTypeError(f"searchsorted: sorter is a vector of integers, got {sorter.type}", inputs=[sorter])
    return SearchSorted(side)(x, v, sorter)


# Counting integers


@declare
class BinCount(TensorOp):
    """How often each of 0, 1, ..., max(x) is in the vector x; inputs x, the least length of the answer, and weights.

    With weights, the sum of the weights of each number, in float64, linear in them. Raises ValueError for negatives.
    """

    __props__ = ()
    name = "bincount"

    def infer(self, x: TensorVariable, minlength: TensorVariable, *weights: TensorVariable) -> tuple[TensorType]:
        return (TensorType("float64" if weights else "int64", (None,)),)

    def impl(self, x: Any, minlength: Any, weights: Any = None) -> Any:
        counts = np.bincount(x.astype("int64"), weights, int(minlength))
        return counts if weights is None else counts.astype("float64", copy=False)  # of nothing NumPy gives integers

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        x: Any
        (g,), (x, _, *weights) = cotangents, node.inputs
        if not weights:
            return None, None
        if not isinstance(g, Variable):
            return None, None, g
        return None, None, lambda: same_kind(g[x.astype("int64")], weights[0])  # type: ignore[index]  # a tensor

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        t = tangents[2] if len(tangents) > 2 else None
        return (self(*node.inputs[:2], t) if isinstance(t, Variable) else t,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, w = np.array([1, 4, 1, 0, 4]), np.array([0.5, 1.0, -2.0, 3.0, 0.25])
        yield Sample("counts", bincount, (x,), np.bincount)
        yield Sample("bool", bincount, (x > 1,), lambda x: np.bincount(x.astype(int)))
        yield Sample("uint64", bincount, (x.astype("uint64"),), lambda x: np.bincount(x.astype(int)))
        yield Sample("weights", bincount, (x, w), np.bincount)
        yield Sample("weights-float32", bincount, (x.astype("uint8"), w.astype("float32")), np.bincount)
        yield Sample("weights-integers", bincount, (x, x), np.bincount)
        yield Sample("minlength", lambda x, w: bincount(x, w, 7), (x[::-2], w[::-2]), lambda x, w: np.bincount(x, w, 7))
        yield Sample(
            "minlength-variable",
            lambda x, n: bincount(x, minlength=n),
            (x, np.array(9)),
            lambda x, n: np.bincount(x, minlength=n),
        )
        yield Sample("empty", bincount, (x[:0],), np.bincount)
        yield Sample("empty-weights", bincount, (x[:0], w[:0]), lambda x, w: np.zeros(0))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        x = np.array([1, 2])
        yield BadSample("negative", lambda x: bincount(x, assert_nonneg=True), (-x,), ValueError)
        yield BadSample("floats", bincount, (x * 1.0,), DTypeError, "bincount")
        yield BadSample("matrix", bincount, (x[None],), DTypeError, "bincount")
        yield BadSample("lengths", bincount, (x, np.ones(3)), ValueError)
        yield BadSample("complex-weights", bincount, (x, np.ones(2) * 1j), DTypeError, "weights")
        yield BadSample("minlength", lambda x: bincount(x, minlength=1.5), (x,), DTypeError, "minlength")


_BIN_COUNT = BinCount()


def bincount(x: Any, weights: Any = None, minlength: Any = None, assert_nonneg: bool = False) -> TensorVariable:
    """How often each of 0, 1, ..., max(x) is in the vector of integers x, in int64.

    weights: a vector as long as x, gives the sum of the weights of each number, in float64, with a derivative by them.
    minlength: the least length of the answer, may be a variable. assert_nonneg is Theano's; negatives always raise
    ValueError. Raises DTypeError or ShapeError where x or weights are something else.
    """
    x, n = as_tensor(x), as_tensor(0 if minlength is None else minlength)
    if x.type.ndim != 1 or x.type.dtype not in _WHOLE:
        raise DTypeError(f"bincount: x is a vector of integers, got {x.type}", inputs=[x])
    if n.type.ndim != 0 or n.type.dtype not in INTEGERS:
        raise DTypeError(f"bincount: minlength is an integer, got {n} ({n.type})", inputs=[n])
    if weights is None:
        return _BIN_COUNT(x, n)
    w = as_tensor(weights)
    if w.type.ndim != 1 or w.type.is_complex:
        raise DTypeError(f"bincount: weights are a vector of real numbers, got {w.type}", inputs=[w])
    _refuse_other_length(x, w)
    return _BIN_COUNT(x, n, w)


def _refuse_other_length(x: TensorVariable, w: TensorVariable) -> None:
    lengths: Sequence[int | None] = (*x.type.shape, *w.type.shape)
    if None not in lengths and lengths[0] != lengths[1]:
        raise ShapeError(f"bincount: x has length {lengths[0]}, weights {lengths[1]}", inputs=[x, w])
