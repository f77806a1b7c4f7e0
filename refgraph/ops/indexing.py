"""Picking elements out of arrays, and arrays with picked elements replaced or added to: all of NumPy's indexing.

`x[index]` is an `Index` of the index's template (see index_pattern.py), applied to x and the variables in the index.
Assignment makes a new array: `set_subtensor(x[index], y)` is what x would be after `x[index] = y`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import DTypeError, GraphTypeError, ShapeError, SymbolicValueError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Op, Sample, declare
from refgraph.ops.elementwise import fill
from refgraph.ops.families import broadcast_shapes, full_shape, operands, sum_to
from refgraph.ops.index_pattern import (
    FULL,
    Item,
    Part,
    Slice,
    Template,
    array_axes,
    canonical,
    describe,
    fill_template,
    has_integer_arrays,
    indexed_shape,
    is_basic,
    parse,
    walk,
)
from refgraph.ops.joining import stack
from refgraph.ops.lengths import length, one_axis, show
from refgraph.ops.linear import Linear
from refgraph.ops.shape import (
    DimShuffle,
    Reshape,
    Shape,
    SpecifyShape,
    broadcast_arrays,
    dimshuffle,
    flat_or_along,
    flatten,
    shape_i,
    specify_shape,
)
from refgraph.ops.tensor import INTEGERS, Cache, TensorConstant, TensorType, TensorVariable, as_tensor, weak_constant

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

_NUMBERS = (bool, int, float, complex)
_PLACE = r"\bi\b(\[\])?|\bmask\b"  # in what `describe` answers
_MODES = ("raise", "wrap", "clip")
_BYTE = bytes(1)


# x[index]


@declare
class Index(Linear):
    """x[index], with every form of index that NumPy has. Inputs: x, then the variables in the index, in order.

    Raises BoundsError, ShapeError or GraphTypeError when the graph is built, where known lengths tell that the index
    does not fit; NumPy's IndexError when it runs.
    """

    __props__ = ("template",)
    name = "index"

    def __init__(self, template: Template) -> None:
        self.template = template
        self.views = (0,) if is_basic(template) else ()
        self._fixed = None if _has_places(template) else fill_template(template, ())
        self._arrays_only = all(item is Part.INTS or item is Part.MASK for item in template)
        self._types: Cache[tuple[TensorType, ...], tuple[TensorType]] = Cache()

    def infer(self, x: TensorVariable, *parts: TensorVariable) -> tuple[TensorType]:
        types = (x.type, *[p.type for p in parts])
        found = self._types.get(types)
        if found is None or any(isinstance(p, TensorConstant) for p in parts):  # their values may be outside
            found = self._types[types] = (TensorType(x.type.dtype, indexed_shape(self.template, x, parts)),)
        return found

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [_lengths_of(self.template, node, known)]

    def impl(self, x: Any, *arrays: Any) -> Any:
        if self._fixed is not None:
            return x[self._fixed]
        return x[arrays if self._arrays_only else fill_template(self.template, arrays)]

    def transpose(self, g: Any, x: Any, *parts: Any) -> Any:
        return _update_op(self.template)(fill(x, _zero(g)), g, *parts)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.only(0):
            return _picked_each(self.template, batch)
        x, *parts = batch.inputs
        ranks = tuple([p.type.ndim for p in parts])
        found = _index_op(canonical((FULL, *self.template), x.type, ranks))(x, *parts)
        _, count, in_front = array_axes(self.template, ranks, x.type.ndim - 1)
        return [batch.to_front(found, count if in_front else 0)]

    def __repr__(self) -> str:
        return f"index[{describe(self.template)}]"

    def written(self, x: str, *parts: str) -> str:
        """For formulas: x[i:j], the template with its places filled."""
        names = iter(parts)
        return f"{x}[{re.sub(_PLACE, lambda _: next(names), describe(self.template))}]"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import picked

        return picked()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused

        return refused()


_index_op = lru_cache(maxsize=4096)(Index)


def _lengths_of(template: Template, node: Apply, known: Any) -> Sequence[Any] | None:
    """What is known of the lengths of x[index], for `Op.lengths`: of axes that are taken whole, or but for so many at
    the ends, and of index arrays that stand side by side.
    """
    x: Any = node.inputs[0]
    parts: Any = node.inputs[1:]
    lengths = list(known.of(x))
    before, count, in_front = array_axes(template, [p.type.ndim for p in parts], x.type.ndim)
    if Part.MASK in template or Ellipsis in template or in_front:
        return None
    found: list[Any] = []
    arrays: list[Any] = []
    for item, part in walk(template, parts):
        n = 1 if item is None else lengths.pop(0)
        if item is None:
            found.append(1)
        elif isinstance(item, Slice):
            found.append(_sliced(item, n, known))
        elif part is not None and part.type.ndim:
            arrays.append(known.of(part))
    found += lengths
    return [*found[:before], *known.joined(*arrays), *found[before:]] if count else found


def _sliced(item: Slice, n: Any, known: Any) -> Any:
    """The length of what a slice takes, where it only leaves out so many at both ends, maybe from the last on."""
    if Part.INT in item or item.step not in (None, -1):
        return None
    turned = item.step == -1
    first, last = (item.stop, item.start) if turned else (item.start, item.stop)
    if (first is not None and first < 0) or (last is not None and last >= 0):
        return None
    before = (-1 if turned else 0) if first is None else first
    behind = -((-1 if turned else 0) if last is None else last)
    return n if before + behind == 0 else known.sum(n, -(before + behind))


def _has_places(template: Template) -> bool:
    return any(isinstance(p, Part) for item in template for p in (item if isinstance(item, tuple) else (item,)))


def index(x: Any, index: Any) -> TensorVariable:
    """x[index]: ints, slices, None, Ellipsis, integer arrays and masks, and variables of these kinds.

    Raises GraphTypeError for what cannot index, BoundsError for too many items or one outside a known length,
    ShapeError for arrays that do not fit.
    """
    x = as_tensor(x)
    template, parts = parse(index, x)
    if x.owner is not None and isinstance(x.owner.op, Shape) and len(template) == 1 and isinstance(template[0], int):
        indexed_shape(template, x, parts)  # refuses an axis that there is not
        measured: Any = x.owner.inputs[0]
        return shape_i(measured, template[0] % measured.type.ndim)
    picked: TensorVariable = _index_op(template)(x, *parts)
    return picked


def iterate(x: Any) -> Iterator[TensorVariable]:
    """The items x[0], x[1], ... where the length of x is known. Raises SymbolicValueError where it is not."""
    if x.type.ndim == 0:
        raise SymbolicValueError(f"iteration over {x}: it is 0-d ({x.type}) and has no items", inputs=[x])
    n = x.type.shape[0]
    if n is None:
        raise SymbolicValueError(
            f"iteration over {x} ({x.type}): its length is known only when a function runs",
            help="loop inside the graph with scan, or say the length: T.specify_shape(x, (3, ...))",
            inputs=[x],
        )
    return (index(x, i) for i in range(n))


def _each_item(template: Template, batch: Batch, start: int) -> tuple[Template, list[TensorVariable], int, int] | None:
    """The index that picks from each item what `template` says, where items have indices of their own.

    The template and its variables, which index an array that is the same for all items; and, of what is picked from one
    item, how many axes there are before those of the index arrays, and how many those are. The variables of `template`
    are the batch's inputs from `start`. None for slices and masks of each item.
    """
    numbers = iter(range(start, len(batch.inputs)))
    items: list[Item] = []
    arrays: list[int] = []
    for item in template:
        refused = [next(numbers) for bound in (item if isinstance(item, tuple) else ()) if bound is Part.INT]
        if isinstance(item, Part):
            arrays.append(next(numbers))
            refused += arrays[-1:] if item is Part.MASK else []
            item = Part.INTS if batch.marked[arrays[-1]] else item
        items.append(item)
        if any(batch.marked[i] for i in refused):
            return None
    numbered = range(start, len(batch.inputs))
    before, count, _ = array_axes(tuple(items), [batch.rank(i) for i in numbered], batch.rank(0))
    parts = [batch.padded(i, count) if i in arrays else batch.inputs[i] for i in numbered]
    return tuple(items), parts, before, count


def _of_its_own(template: Template, parts: Sequence[Any], batch: Batch, count: int) -> tuple[Template, list[Any]]:
    """The same index for an array that has an axis for the items: each picks from its own."""
    rows = dimshuffle(_count(batch.count), [0, *["x"] * count])
    return (Part.INTS, *template), [rows, *parts]


def _picked_each(template: Template, batch: Batch) -> list[Any] | None:
    """x[index], where items have indices of their own, for an Index's `batched`."""
    each = _each_item(template, batch, 1)
    if each is None:
        return None
    template, parts, before, count = each
    x = batch.inputs[0]
    if not batch.marked[0]:
        return [batch.to_front(_index_op(template)(x, *parts), before)]
    template, parts = _of_its_own(template, parts, batch, count)
    found = _index_op(template)(x, *parts)
    arrays, earlier = range(1, count + 1), range(count + 1, count + 1 + before)
    return [dimshuffle(found, [0, *earlier, *arrays, *range(count + 1 + before, found.type.ndim)])]


def _laid(batch: Batch, i: int, order: Sequence[int], rank: int) -> TensorVariable:
    """Input i, which broadcasts to items of this rank, with its axes in another order; -1 is that of the items."""
    missing, marked = rank - batch.rank(i), batch.marked[i]
    axes: list[Any] = []
    for a in order:
        if a == -1:
            axes.append(0 if marked else "x")
        else:
            axes.append("x" if a < missing else a - missing + marked)
    while axes and axes[0] == "x":
        del axes[0]
    return dimshuffle(batch.inputs[i], axes)


# x[index] = y and x[index] += y


@declare
class IndexUpdate(Op):
    """x with x[index] set to y, or y added to it. Inputs: x, y, then the variables in the index, in order.

    y has x's dtype and is broadcast to the shape of x[index]. An element that is picked repeatedly gets the sum of all
    that is added to it, or the last (in C order) of what it is set to. `ignore_duplicates` promises that none is.
    """

    __props__ = ("ignore_duplicates", "set_instead_of_inc", "template")

    def __init__(self, template: Template, set_instead_of_inc: bool = False, ignore_duplicates: bool = False) -> None:
        self.template, self.set_instead_of_inc = template, set_instead_of_inc
        self.ignore_duplicates = ignore_duplicates or not has_integer_arrays(template)
        self.name = "set_subtensor" if set_instead_of_inc else "inc_subtensor"
        self._basic = is_basic(template)
        self._accepted: set[tuple[TensorType, ...]] = set()

    def infer(self, x: TensorVariable, y: TensorVariable, *parts: TensorVariable) -> tuple[TensorType]:
        types = (x.type, y.type, *[p.type for p in parts])
        if types not in self._accepted or any(isinstance(p, TensorConstant) for p in parts):
            self._check(x, y, parts)
            self._accepted.add(types)
        return (x.type,)

    def _check(self, x: TensorVariable, y: TensorVariable, parts: Sequence[TensorVariable]) -> None:
        if x.type.dtype != y.type.dtype:
            raise _does_not_fit(self.name, f"{y.type}", x, [x, y])
        _refuse_shape(self.name, y, indexed_shape(self.template, x, parts), x)

    def reuses(self, node: Apply) -> tuple[int, ...]:
        return () if node.inputs[0] in node.inputs[1:] else (0,)

    def is_safe(self, out: Any, x: Any, y: Any, *arrays: Any) -> bool:
        blank: Any = np.ndarray(out.shape, bool, _BYTE, strides=(0,) * out.ndim)  # as large, in one byte
        try:
            place = blank[fill_template(self.template, arrays)].shape
        except (IndexError, ValueError):
            return False
        fits = y.ndim <= len(place) and all([m in (1, n) for m, n in zip(y.shape[::-1], place[::-1], strict=False)])
        return fits and bool(out.flags.c_contiguous)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, x: Any, y: Any, *arrays: Any, out: Any = None) -> Any:  # type: ignore[override]  # see `reuses`
        if out is None or not out.flags.c_contiguous:
            out = np.array(x, order="C")
        at = fill_template(self.template, arrays)
        if self.set_instead_of_inc:
            out[at] = y
        elif self._basic:
            view = out[(*at, ...)]
            np.add(view, y, out=view)
        elif self.ignore_duplicates:
            out[at] += y
        else:
            _add_at(out, at, y)
        return out

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        g: Any = cotangents[0]
        x, y, *parts = node.inputs
        rest = (None,) * len(parts)
        if not isinstance(g, Variable):
            return g, g, *rest
        if not self.set_instead_of_inc:
            return g, lambda: self._cotangent_of_y(g, x, y, parts), *rest
        return (
            lambda: self(g, _zero(g), *parts),
            lambda: self._cotangent_of_y(g, x, y, parts),
            *rest,
        )

    def adds_to_zeros(self, node: Apply) -> bool:
        """Whether it is y in its place among zeros: the cotangent of a reading."""
        zeros = node.inputs[0].owner
        if self.set_instead_of_inc or zeros is None or zeros.op is not fill:
            return False
        value = zeros.inputs[1]
        return isinstance(value, TensorConstant) and value.type.ndim == 0 and not value.value.any()

    def _cotangent_of_y(self, g: Any, x: Any, y: Any, parts: Sequence[Any]) -> Any:
        picked = _index_op(self.template)(g, *parts)
        if self.set_instead_of_inc and not self.ignore_duplicates:
            stays = LastWrite(self.template)(x, *parts)
            picked = ops.elementwise.switch(stays, picked, _zero(g))
        return sum_to(picked, y, [picked])

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        tx, ty = tangents[:2]
        x, y, *parts = node.inputs
        if not isinstance(tx, Variable) and not isinstance(ty, Variable):
            return (0 if tx is not None or ty is not None else None,)
        if not isinstance(ty, Variable):
            if not self.set_instead_of_inc:
                return (tx,)
            ty = _zero(y)
        if not isinstance(tx, Variable):
            tx = fill(x, _zero(x))
        return (self(tx, ty, *parts),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        parts = list(batch.inputs[2:])
        ranks = tuple([p.type.ndim for p in node.inputs[2:]])  # type: ignore[attr-defined]  # tensors
        place = len(indexed_shape(self.template, node.inputs[0], node.inputs[2:]))  # type: ignore[arg-type]
        if batch.only(0, 1):
            template: Template = (FULL, *self.template)
            _, count, in_front = array_axes(self.template, ranks, batch.rank(0))
            order = [*range(count), -1, *range(count, place)] if in_front else [-1, *range(place)]
        else:
            each = _each_item(self.template, batch, 2)
            if each is None:
                return None
            template, parts, before, count = each
            template, parts = _of_its_own(template, parts, batch, count)
            order = [-1, *range(before, before + count), *range(before), *range(before + count, place)]
        x, y = batch.spread(0), _laid(batch, 1, order, place)
        template = canonical(template, x.type, tuple([p.type.ndim for p in parts]))
        return [_update_op(template, self.set_instead_of_inc, self.ignore_duplicates)(x, y, *parts)]

    def __repr__(self) -> str:
        return f"{self.name}[{describe(self.template)}]"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import updated

        return updated()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused_updates

        return refused_updates()


_update_op = lru_cache(maxsize=4096)(IndexUpdate)


def add_cotangents(total: Any, term: Any) -> Any:
    """total + term, two cotangents of one variable; of what was read from it piece by piece, each is added in place."""
    for x, y in ((total, term), (term, total)):
        maker = y.owner
        if maker is not None and isinstance(maker.op, IndexUpdate) and maker.op.adds_to_zeros(maker):
            return maker.op(x, *maker.inputs[1:])
    return total + term


@declare
class LastWrite(Op):
    """Where, in the shape of x[index], an assignment to x[index] writes what stays: True unless the same element is
    written again later. Inputs: x, of which only the shape is read, then the variables in the index."""

    __props__ = ("template",)
    name = "last_write"
    measures = (0,)

    def __init__(self, template: Template) -> None:
        self.template = template

    def infer(self, x: TensorVariable, *parts: TensorVariable) -> tuple[TensorType]:
        return (TensorType("bool", indexed_shape(self.template, x, parts)),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [_lengths_of(self.template, node, known)]

    def impl(self, x: Any, *arrays: Any) -> Any:
        at = fill_template(self.template, arrays)
        writer = np.empty(x.shape, np.int64)
        shape = writer[at].shape
        turn = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
        writer[at] = turn
        return writer[at] == turn

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [self(batch.blank_item(0), *batch.inputs[1:])] if batch.only(0) else None

    def __repr__(self) -> str:
        return f"last_write[{describe(self.template)}]"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import last_writes

        return last_writes()


def _add_at(out: Any, at: tuple[Any, ...], y: Any) -> None:
    """Add y to out[at], repeatedly where an element is picked repeatedly; out is C-contiguous.

    That is np.add.at, on the flat array, which NumPy has a fast loop for, and with y written out, for where y is
    broadcast to an index of several dimensions it reads beyond y's end (NumPy 2.4.6).
    """
    if out.ndim == 1 and len(at) == 1:
        flat, shape = at[0], at[0].shape
    else:
        axes = out.ndim if any(a is Ellipsis for a in at) else sum(map(_axes_of, at))
        lengths, rest = out.shape[:axes], out.shape[axes:]
        blocks = np.arange(math.prod(lengths)).reshape(lengths)[at]
        size = math.prod(rest)
        flat, shape = blocks.reshape(-1, 1) * size + np.arange(size), blocks.shape + rest
    np.add.at(out.reshape(-1), flat.reshape(-1), np.broadcast_to(y, shape).reshape(-1))


def _axes_of(item: Any) -> int:
    if isinstance(item, np.ndarray) and item.dtype == bool:
        return item.ndim
    return 0 if item is None or isinstance(item, np.bool) else 1


def _zero(x: Any) -> TensorVariable:
    """The number 0 in the dtype of x."""
    return weak_constant(0, x.type.dtype)


def _refuse_shape(op: str, y: TensorVariable, shape: Sequence[int | None], x: TensorVariable) -> None:
    """Raise ShapeError if y cannot be broadcast to `shape`."""
    mine = y.type.shape
    wanted = shape[len(shape) - len(mine) :]
    if len(mine) > len(shape) or any(m not in (1, None, n) for m, n in zip(mine, wanted, strict=True) if n is not None):
        raise ShapeError(
            f"{op}: a value of type {y.type} does not fit a place of shape {show(shape)}",
            why="the value is broadcast to the indexed place, never the place to the value",
            help="reshape the value, or index another place",
            inputs=[x, y],
        )


def _does_not_fit(op: str, value: str, x: Any, inputs: Sequence[Any]) -> DTypeError:
    return DTypeError(
        f"{op}: {value} does not fit into {x.type.dtype} without loss",
        why="the result has the dtype of the array that was indexed",
        help=f"convert the value with .astype('{x.type.dtype}'), or the array to a wider dtype",
        inputs=inputs,
    )


def _value(op: str, y: Any, x: TensorVariable) -> TensorVariable:
    """y as a tensor of x's dtype, a Python number weakly. Raises DTypeError if that loses something."""
    dtype = x.type.numpy_dtype
    if type(y) in _NUMBERS:
        try:
            number = weak_constant(y, x.type.dtype) if np.result_type(dtype, y) == dtype else None
        except OverflowError:  # an int beyond the dtype
            number = None
        if number is None:
            raise _does_not_fit(op, f"the number {y}", x, [x])
        return number
    value = as_tensor(y)
    if value.type.numpy_dtype == dtype:
        return value
    if np.promote_types(value.type.numpy_dtype, dtype) != dtype:
        raise _does_not_fit(op, f"{value.type}", x, [x, value])
    widened: TensorVariable = value.astype(x.type.dtype)
    return widened


def set_subtensor(x: Any, y: Any, inplace: bool = False, tolerate_inplace_aliasing: bool = False) -> TensorVariable:
    """The array that `x` was indexed from, with the indexed place set to y: for x = a[index], a after `a[index] = y`.

    Where an element is picked repeatedly, the last value stays. Otherwise as inc_subtensor.
    """
    return inc_subtensor(x, y, inplace, tolerate_inplace_aliasing, set_instead_of_inc=True)


def inc_subtensor(
    x: Any,
    y: Any,
    inplace: bool = False,
    tolerate_inplace_aliasing: bool = False,
    set_instead_of_inc: bool = False,
    ignore_duplicates: bool = False,
) -> TensorVariable:
    """The array that `x` was indexed from, with y added there: for x = a[index], what a is after `a[index] += y`.

    x: an indexing, or a reshape, transpose, dimshuffle or flatten of one (then y has the shape of x all the same).
    y: broadcast to the shape of x; its dtype must fit into x's without loss.
    inplace, tolerate_inplace_aliasing: accepted for Theano's sake; memory is reused by whoever runs the graph.
    set_instead_of_inc: set instead of adding.
    ignore_duplicates: a promise that no element is picked repeatedly, which saves time. Without it an element that is
        picked repeatedly gets the sum (as with np.add.at).
    Raises GraphTypeError when x is no indexing, DTypeError or ShapeError when y does not fit.
    """
    op = "set_subtensor" if set_instead_of_inc else "inc_subtensor"
    given = x = as_tensor(x)
    y = _value(op, y, x)
    _refuse_shape(op, y, x.type.shape, x)
    orders = []
    while x.owner is not None and isinstance(x.owner.op, (DimShuffle, Reshape, SpecifyShape)):
        view: Any = x.owner
        if y.type.ndim:
            y = as_tensor(y, ndim=x.type.ndim) if isinstance(view.op, DimShuffle) else full_shape(y, x)
            y = view.op.transpose(y, *view.inputs)
        orders.append(view.op)
        x = view.inputs[0]
    if x.owner is None or not isinstance(x.owner.op, Index):
        raise GraphTypeError(
            f"{op}: the first argument must be an indexing, got {given} ({given.type})",
            why="it says which array is changed and where",
            help=f"write {op}(x[index], y); for all of x use x[...]",
            inputs=[given],
        )
    array, *parts = x.owner.inputs
    out = _update_op(x.owner.op.template, set_instead_of_inc, ignore_duplicates)(array, y, *parts)
    if len(orders) == 1 and _undoes(orders[0], array):
        return dimshuffle(out, orders[0].order)
    return out  # type: ignore[no-any-return]


def _undoes(op: Op, array: Variable) -> bool:
    """Whether `op` restores the order of axes that `array` changed, as in a.T[index].T, where a is meant to change."""
    maker = array.owner
    if maker is None or not isinstance(op, DimShuffle) or not isinstance(maker.op, DimShuffle):
        return False
    first, then = maker.op.order, op.order
    return len(first) == len(then) and [first[o] for o in then if o != "x"] == list(range(len(first)))  # type: ignore[index]


def sparse_grad(x: Any) -> TensorVariable:
    """x itself. (In Theano, a hint that the gradient of an indexing is mostly zeros.)"""
    return as_tensor(x)


# Picking in other words


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> TensorVariable:
    """The items of a along an axis (None: of a flattened) at integer `indices` of any shape, which replaces the axis.

    mode: what is done with an index outside: "raise" IndexError, "wrap" around, or "clip" to the nearest end (then
    negative ones become 0).
    """
    _one_of("take", mode)
    (a, along), indices = flat_or_along("take", a, axis), _integers("take", indices)
    return index(a, (*[slice(None)] * along, _inside(indices, length(a, along), mode)))


def _inside(indices: TensorVariable, n: Any, mode: str) -> TensorVariable:
    """`indices` brought into 0 ... n - 1 as `mode` says; with "raise", themselves."""
    if mode == "raise":
        return indices
    indices = ops.elementwise.cast(indices, "int64")
    return indices % n if mode == "wrap" else ops.elementwise.clip(indices, 0, n - 1)


def _one_of(op: str, mode: str) -> None:
    if mode not in _MODES:
        raise GraphTypeError(f"{op}: mode={mode!r} is not one of {', '.join(_MODES)}")


def _integers(op: str, given: Any) -> TensorVariable:
    """`given` as an integer tensor, where [] is one too and truth values are 0 and 1. Raises DTypeError."""
    none = isinstance(given, (list, tuple)) and not given
    x = as_tensor(np.zeros(0, np.int64) if none else given)
    if x.type.dtype == "bool":
        x = x.astype("int64")
    if x.type.dtype not in INTEGERS:
        raise DTypeError(
            f"{op}: expected integers, got {x} ({x.type})", help="convert with .astype('int64')", inputs=[x]
        )
    return x


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> TensorVariable:
    """For each line along an axis, the items at the line of `indices` that stands there: undoes an argsort.

    The two have the same rank, and are broadcast along the other axes. axis=None works on both flattened.
    """
    return index(*_along(arr, indices, axis, "take_along_axis"))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> TensorVariable:
    """arr with `values` at the places that take_along_axis(arr, indices, axis) reads; values are broadcast to them."""
    shape = None if axis is not None else as_tensor(arr).shape
    out = set_subtensor(index(*_along(arr, indices, axis, "put_along_axis")), values)
    return out if shape is None else out.reshape(shape, ndim=as_tensor(arr).type.ndim)


def _along(arr: Any, indices: Any, axis: int | None, op: str) -> tuple[TensorVariable, tuple[Any, ...]]:
    arr, indices = as_tensor(arr), _integers(op, indices)
    if axis is None:
        arr, indices, axis = flatten(arr), flatten(indices), 0
    if arr.type.ndim != indices.type.ndim:
        raise ShapeError(
            f"{op}: {arr.type} and indices {indices.type} must have the same rank",
            help="add axes of length 1, which are broadcast, or give axis=None",
            inputs=[arr, indices],
        )
    axis = one_axis(op, axis, arr.type.ndim, arr)
    grid: list[Any] = _open_grid([length(arr, k) for k in range(arr.type.ndim)])
    grid[axis] = indices
    return arr, tuple(grid)


def _open_grid(lengths: Sequence[Any]) -> list[TensorVariable]:
    """For each axis of these lengths the numbers of its items, as an array that has length 1 along the other axes."""
    ndim = len(lengths)
    return [dimshuffle(_count(n), ["x"] * k + [0] + ["x"] * (ndim - 1 - k)) for k, n in enumerate(lengths)]


@declare
class Choose(Op):
    """choices[a[i], i] for every i: which of the arrays in `choices` each element comes from. Inputs: a, choices.

    `mode` is as in take. At run time, raises ValueError for a number of no choice.
    """

    __props__ = ("mode",)
    name = "choose"

    def __init__(self, mode: str = "raise") -> None:
        self.mode = mode

    def infer(self, a: TensorVariable, choices: TensorVariable) -> tuple[TensorType]:
        one = TensorType("bool", choices.type.shape[1:]).variable()
        return (TensorType(choices.type.dtype, broadcast_shapes("choose", [a, one])),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        a, choices = map(known.of, node.inputs)
        return [known.joined(a, choices[1:])]

    def impl(self, a: Any, choices: Any) -> Any:
        n = len(choices)
        a = np.asarray(a, np.int64)
        if self.mode == "raise" and a.size and not (a.min() >= 0 and a.max() < n):
            raise ValueError(f"choose: a number outside 0 ... {n - 1}, which are the choices")
        a = a % n if self.mode == "wrap" else np.clip(a, 0, n - 1)
        return choices[(a, *np.indices(choices.shape[1:], sparse=True))]

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        a, choices = node.inputs
        return None, (lambda: self._spread(g, a, choices)) if isinstance(g, Variable) else g

    def _spread(self, g: Any, a: Any, choices: Any) -> Any:
        a = _inside(a, length(choices, 0), self.mode)
        grid = _open_grid([length(choices, k) for k in range(1, choices.type.ndim)])
        picked: Any = index(choices, (a, *grid)).owner
        return picked.op.transpose(g, *picked.inputs)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        t = tangents[1]
        return (self(node.inputs[0], t) if isinstance(t, Variable) else t,)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        rank = max(batch.rank(0), batch.rank(1) - 1)
        a, choices = batch.padded(0, rank), batch.inputs[1]
        if batch.marked[1]:
            ones = ["x"] * (rank - batch.rank(1) + 1)
            choices = dimshuffle(choices, [1, 0, *ones, *range(2, choices.type.ndim)])
        return [self(a, choices)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import chosen

        return chosen()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused_choices

        return refused_choices()


def choose(a: Any, choices: Any, mode: str = "raise") -> TensorVariable:
    """For each element of the integers a, the one that stands there in choices[a]; all are broadcast together.

    choices: a list of arrays, or an array whose first axis numbers them. mode as in take, but "raise" refuses negative
    numbers too (ValueError).
    """
    _one_of("choose", mode)
    a = _integers("choose", a)
    if isinstance(choices, (list, tuple)):
        if not choices:
            raise GraphTypeError("choose: there must be at least one choice")
        choices = stack(broadcast_arrays(*operands("choose", choices)))
    choices = as_tensor(choices)
    if choices.type.ndim == 0:
        raise GraphTypeError(
            f"choose: choices must be a list or have an axis that numbers them, got {choices.type}", inputs=[choices]
        )
    return Choose(mode)(a, choices)  # type: ignore[no-any-return]


def compress(condition: Any, x: Any, axis: int | None = None) -> TensorVariable:
    """The items of x along an axis (None: of x flattened) where the vector `condition` is true; it may be shorter."""
    condition = as_tensor(condition)
    if condition.type.ndim != 1:
        raise ShapeError(
            f"compress: the condition must be a vector, got {condition.type}", help="use x[mask]", inputs=[condition]
        )
    return take(x, flatnonzero(condition), axis)


# Where something is true


@declare
class Nonzero(Op):
    """For each axis of x, the positions of the elements that are not zero, in C order."""

    name = "nonzero"
    __props__ = ("name",)

    def infer(self, x: TensorVariable) -> tuple[TensorType, ...]:
        if x.type.ndim == 0:
            raise ShapeError(
                "nonzero: a 0-d array has no positions", help="use T.neq(x, 0), or x.dimshuffle('x')", inputs=[x]
            )
        return (TensorType("int64", (None,)),) * x.type.ndim

    def impl(self, x: Any) -> Any:
        found = x.nonzero()
        return found if len(found) > 1 else found[0]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import nonzeros

        return nonzeros()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused_nonzeros

        return refused_nonzeros()


_NONZERO = Nonzero()


def nonzero(a: Any, return_matrix: bool = False) -> Any:
    """The positions of the elements that are not zero: a tuple with an int64 vector for each axis, for use as an index.

    return_matrix: the vectors as the rows of a matrix. Raises ShapeError for a 0-d array, as NumPy does.
    """
    found = _NONZERO.make_node(as_tensor(a)).outputs
    return stack(found) if return_matrix else found


def flatnonzero(a: Any) -> TensorVariable:
    """The positions, in a flattened, of the elements that are not zero."""
    return _NONZERO(flatten(as_tensor(a)))  # type: ignore[no-any-return]


def nonzero_values(a: Any) -> TensorVariable:
    """The elements that are not zero, as a vector."""
    a = flatten(as_tensor(a))
    return index(a, _NONZERO(a))


# Positions as single numbers


@declare
class RavelMultiIndex(Op):
    """The number of an element in the flattened array. Inputs: the lengths, then a position for each axis."""

    __props__ = ("mode", "order")
    name = "ravel_multi_index"

    def __init__(self, mode: str = "raise", order: str = "C") -> None:
        self.mode, self.order = mode, order

    def infer(self, dims: TensorVariable, *positions: TensorVariable) -> tuple[TensorType]:
        n = dims.type.shape[0]
        if n is not None and n != len(positions):
            raise ShapeError(
                f"ravel_multi_index: {len(positions)} positions for {n} axes",
                help="give one array of positions for each axis",
            )
        return (TensorType("int64", broadcast_shapes("ravel_multi_index", positions)),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.broadcast(node.inputs[1:])]

    def impl(self, dims: Any, *positions: Any) -> Any:
        at = tuple([np.asarray(p, np.int64) for p in positions])
        return np.ravel_multi_index(at, tuple(dims), mode=self.mode, order=self.order)  # type: ignore[call-overload]

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if batch.marked[0]:
            return None
        return [self(batch.inputs[0], *batch.aligned(*range(1, len(batch.inputs))))]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import raveled

        return raveled()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused_raveled

        return refused_raveled()


@declare
class UnravelIndex(Op):
    """The position, for each axis, of elements given by their numbers in the flattened array.

    Inputs: the numbers, then the lengths.
    """

    __props__ = ("order",)
    name = "unravel_index"

    def __init__(self, order: str = "C") -> None:
        self.order = order

    def infer(self, numbers: TensorVariable, dims: TensorVariable) -> tuple[TensorType, ...]:
        n = dims.type.shape[0]
        if not n:
            raise ShapeError(
                f"unravel_index: the number of axes must be known and not 0, got lengths of type {dims.type}",
                help="give the lengths as a list, or use T.specify_shape",
                inputs=[dims],
            )
        return (TensorType("int64", numbers.type.shape),) * n

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])] * len(node.outputs)

    def impl(self, numbers: Any, dims: Any) -> Any:
        found = np.unravel_index(np.asarray(numbers, np.int64), tuple(dims), self.order)  # type: ignore[call-overload]
        return found if len(found) > 1 else found[0]

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return self.make_node(*batch.inputs).outputs if batch.only(0) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.index_samples import unraveled

        return unraveled()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.index_samples import refused_unraveled

        return refused_unraveled()


def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> TensorVariable:
    """The numbers, in an array of lengths `dims` flattened, of the elements at the positions `multi_index`.

    multi_index: a tuple of integer arrays, one for each axis, or an array whose first axis numbers them.
    mode: as in take. order: "C" or "F". At run time, raises ValueError for a position outside.
    """
    _one_of("ravel_multi_index", mode)
    _order("ravel_multi_index", order)
    dims = _lengths("ravel_multi_index", dims)
    if not isinstance(multi_index, (tuple, list)):
        positions = as_tensor(multi_index)
        if positions.type.ndim == 0:
            raise ShapeError(
                "ravel_multi_index: multi_index must have one item for each axis, got 0-d", inputs=[positions]
            )
        count = positions.type.shape[0] if positions.type.shape[0] is not None else dims.type.shape[0]
        if count is None:
            raise ShapeError(
                "ravel_multi_index: the number of axes must be known",
                help="give dims or multi_index as a list",
                inputs=[dims],
            )
        multi_index = [positions[i] for i in range(count)]
    if not multi_index:
        raise ShapeError("ravel_multi_index: there must be at least one axis")
    return RavelMultiIndex(mode, order)(dims, *[_integers("ravel_multi_index", p) for p in multi_index])  # type: ignore[no-any-return]


def unravel_index(indices: Any, dims: Any, order: str = "C") -> tuple[TensorVariable, ...]:
    """The positions of the elements that have the numbers `indices` in an array of lengths `dims` flattened: a tuple
    with an integer array for each axis. At run time, raises ValueError for a number outside."""
    _order("unravel_index", order)
    node = UnravelIndex(order).make_node(_integers("unravel_index", indices), _lengths("unravel_index", dims))
    return node.outputs  # type: ignore[return-value]  # the outputs of our own type


def _lengths(op: str, dims: Any) -> TensorVariable:
    dims = _integers(op, dims)
    if dims.type.ndim > 1:
        raise ShapeError(f"{op}: dims must be lengths in a list or vector, got {dims.type}", inputs=[dims])
    return dims if dims.type.ndim else dimshuffle(dims, ["x"])


def _order(op: str, order: str) -> None:
    if order not in ("C", "F"):
        raise GraphTypeError(f"{op}: order={order!r} is not one of C, F")


# Diagonals and permutations


def fill_diagonal(a: Any, val: Any) -> TensorVariable:
    """a with the number `val` all along its main diagonal; of an array of higher rank, where all positions are equal.

    Raises ShapeError for a vector or a number.
    """
    a = as_tensor(a)
    if a.type.ndim < 2:
        raise ShapeError(f"fill_diagonal: expected at least 2 dimensions, got {a.type}", inputs=[a])
    if a.type.ndim == 2:
        return fill_diagonal_offset(a, val, 0)
    known = [n for n in a.type.shape if n is not None]
    n = known[0] if known else length(a, 0)
    a = specify_shape(a, [n] * a.type.ndim)
    return _set_diagonal(a, [_count(n)] * a.type.ndim, val, "fill_diagonal")


def fill_diagonal_offset(a: Any, val: Any, offset: Any) -> TensorVariable:
    """The matrix a with the number `val` along the diagonal that lies `offset` to the right of the main one."""
    a, offset = as_tensor(a), _integers("fill_diagonal_offset", offset)
    if a.type.ndim != 2:
        raise ShapeError(f"fill_diagonal_offset: expected a matrix, got {a.type}", inputs=[a])
    if offset.type.ndim != 0:
        raise ShapeError(
            f"fill_diagonal_offset: the offset must be a single number, got {offset.type}", inputs=[offset]
        )
    e = ops.elementwise
    offset = e.cast(offset, "int64")
    down, right = e.maximum(-offset, 0), e.maximum(offset, 0)
    n = e.maximum(e.minimum(length(a, 0) - down, length(a, 1) - right), 0)
    along = ops.construct.arange(n)
    return _set_diagonal(a, [along + down, along + right], val, "fill_diagonal_offset")


def _set_diagonal(a: TensorVariable, at: Sequence[TensorVariable], val: Any, op: str) -> TensorVariable:
    if not isinstance(val, _NUMBERS):
        val = as_tensor(val)
        if val.type.ndim != 0:
            raise ShapeError(
                f"{op}: the value must be a single number, got {val.type}", help="use set_subtensor", inputs=[val]
            )
    return inc_subtensor(index(a, tuple(at)), val, set_instead_of_inc=True, ignore_duplicates=True)


def _count(n: Any) -> TensorVariable:
    return as_tensor(np.arange(n)) if isinstance(n, int) else ops.construct.arange(n)


def inverse_permutation(perm: Any) -> TensorVariable:
    """The permutation that undoes `perm`; of a matrix, of each row. (Rows hold 0 ... n - 1, each once.)"""
    return ops.sorting.argsort(_integers("inverse_permutation", perm), -1)


def permute_row_elements(x: Any, y: Any, inverse: Any = 0) -> TensorVariable:
    """out[i, j] = x[i, y[i, j]], for the last axis of any rank; the other axes are broadcast.

    With `inverse`, out[i, y[i, j]] = x[i, j]: the rows of y are permutations, and are undone.
    """
    x, y = as_tensor(x), _integers("permute_row_elements", y)
    if not x.type.ndim or not y.type.ndim:
        raise ShapeError(f"permute_row_elements: expected rows, got {x.type} and {y.type}", inputs=[x, y])
    ndim = max(x.type.ndim, y.type.ndim)
    return take_along_axis(as_tensor(x, ndim=ndim), as_tensor(inverse_permutation(y) if inverse else y, ndim=ndim), -1)
