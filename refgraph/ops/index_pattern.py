"""What of an index is known when the graph is built: a template, with places for the parts that are variables.

A template is a tuple with one item for each item of the index in brackets: an int, a `Slice`, None (a new axis),
Ellipsis, or a `Part`, which stands for a variable; the variables are kept beside it, in the order of their places.
Templates are hashable and canonical: two indices that pick the same in the same way tend to have equal templates.
"""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from types import EllipsisType
from typing import Any, TypeVar

import numpy as np

from refgraph.core.errors import BoundsError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Variable
from refgraph.ops.lengths import scalar_value, show
from refgraph.ops.tensor import Shape, TensorConstant, TensorType, TensorVariable, as_tensor, constant, has_variables


class Part(Enum):
    """The place of a variable in a template, by how it indexes."""

    INT = "i"
    """A 0-d integer: picks one item, as a Python int does. Also a bound or the step of a slice."""
    INTS = "i[]"
    """An integer array of any rank but 0: picks many items of one axis."""
    MASK = "mask"
    """A boolean array: picks where it is true, using as many axes as it has; a 0-d one keeps or drops everything."""


class Slice(namedtuple("Slice", ("start", "stop", "step"), defaults=(None, None, None))):
    """A slice that can be hashed, in which each part may be a variable's place."""

    __slots__ = ()

    def __str__(self) -> str:
        start, stop, step = ("" if p is None else _word(p) for p in self)
        return f"{start}:{stop}" + (f":{step}" if step else "")


FULL = Slice()

Item = int | Slice | Part | EllipsisType | None
Template = tuple[Item, ...]

P = TypeVar("P")

_ACCEPTED = "an index is made of integers, slices, ..., None, and integer or boolean arrays"


def parse(index: Any, x: TensorVariable) -> tuple[Template, list[TensorVariable]]:
    """The template of an index of x, as written in brackets, and the variables for its places.

    Raises GraphTypeError or DTypeError for what cannot index, BoundsError when there are more items than axes.
    """
    parts: list[TensorVariable] = []
    items = [_parse_item(item, x, parts) for item in (index if isinstance(index, tuple) else (index,))]
    return canonical(tuple(items), x.type, tuple([p.type.ndim for p in parts])), parts


def _parse_item(item: Any, x: TensorVariable, parts: list[TensorVariable]) -> Item:
    if item is None or item is Ellipsis:
        return item
    if item.__class__ is int:
        return _fits(item, x)
    if isinstance(item, slice):
        return _parse_slice(item, x, parts)
    if isinstance(item, np.integer) or (
        not isinstance(item, (bool, np.generic, np.ndarray, Variable, list, tuple, str))
    ):
        return _fits(_as_int(item, x), x)
    return _parse_array(_as_array(item, x), x, parts)


def _parse_slice(item: slice, x: TensorVariable, parts: list[TensorVariable]) -> Slice:
    start, stop, step = (_parse_bound(part, x, parts) for part in (item.start, item.stop, item.step))
    if step == 0:
        raise ShapeError(
            "index: the step of a slice cannot be 0", help="use a step of 1 or more, or -1 or less", inputs=[x]
        )
    if step == 1:
        step = None
    if start == 0 and (step is None or (isinstance(step, int) and step > 0)):
        start = None
    return Slice(start, stop, step)


def _parse_bound(bound: Any, x: TensorVariable, parts: list[TensorVariable]) -> int | Part | None:
    if bound is None or bound.__class__ is int:
        return bound
    if isinstance(bound, np.ndarray) and bound.ndim == 0:
        bound = bound[()]
    if not isinstance(bound, Variable):
        return _as_int(bound, x)
    if not isinstance(bound, TensorVariable) or bound.type.ndim != 0 or bound.type.numpy_dtype.kind not in "iu":
        raise DTypeError(
            f"index: a bound of a slice must be a single integer, got {bound} ({bound.type})",
            help="use an int, a 0-d integer variable, or None; convert with .astype('int64')",
            inputs=[x, bound],
        )
    value = scalar_value(bound)
    if value is not None:
        return int(value)
    parts.append(bound)
    return Part.INT


def _parse_array(array: TensorVariable, x: TensorVariable, parts: list[TensorVariable]) -> Item:
    kind = array.type.numpy_dtype.kind
    if kind not in "biu":
        raise DTypeError(
            f"index: cannot index with {array.type}",
            why=_ACCEPTED,
            help="convert the index with .astype('int64'), or make a mask of it by comparing",
            inputs=[x, array],
        )
    value = scalar_value(array) if kind != "b" and array.type.ndim == 0 else None
    if value is not None:
        return _fits(int(value), x)
    parts.append(array)
    return Part.MASK if kind == "b" else Part.INTS if array.type.ndim else Part.INT


def _as_array(item: Any, x: TensorVariable) -> TensorVariable:
    if isinstance(item, TensorVariable):
        return item
    if isinstance(item, (list, tuple)) and not has_variables(item):
        try:
            array = np.asarray(item)
        except ValueError as e:  # a ragged nest
            raise GraphTypeError(f"index: cannot index with {item!r}", why=str(e), help=_ACCEPTED, inputs=[x]) from None
        item = array if array.size else array.astype(np.int64)  # [] means no item, not a float
    if isinstance(item, str) or (isinstance(item, np.ndarray) and item.dtype.kind not in "biufc"):
        raise GraphTypeError(f"index: cannot index with {item!r}", help=_ACCEPTED, inputs=[x])
    return constant(item) if isinstance(item, np.ndarray) else as_tensor(item)


def _as_int(item: Any, x: TensorVariable) -> int:
    try:
        return int(operator.index(item))
    except TypeError:
        floating = isinstance(item, (float, np.floating))
        raise (DTypeError if floating else GraphTypeError)(
            f"index: cannot index with {item!r} ({type(item).__name__})",
            why=_ACCEPTED,
            help="convert it with int(...) or .astype('int64'), or divide with //" if floating else "",
            inputs=[x],
        ) from None


def _fits(i: int, x: TensorVariable) -> int:
    if not -(2**63) <= i < 2**63:
        raise BoundsError(f"index: {i} does not fit into 64 bits, so no axis is that long", inputs=[x])
    return i


@lru_cache(maxsize=4096)
def canonical(template: Template, type: TensorType, ranks: tuple[int, ...]) -> Template:
    """The template without what changes nothing, once it is known to fit arrays of this type: an Ellipsis in a basic
    index becomes slices, and slices that take all are dropped from the end. `ranks` are those of the variables.

    (Between advanced indices an Ellipsis matters, even one that stands for no axis: NumPy takes it for a separation.)
    """
    used = axes_used(template, ranks)
    where = [k for k, item in enumerate(template) if item is Ellipsis]
    if len(where) > 1:
        raise GraphTypeError("index: more than one ... in an index", help="write the other ones as slices (:)")
    if used > type.ndim:
        raise BoundsError(
            f"index: too many indices for {type}: it has {type.ndim} axes, the index uses {used}",
            help="drop an index, or add axes to the array (x[None], x.dimshuffle)",
        )
    if where and (is_basic(template) or where[0] == len(template) - 1):
        k = where[0]
        template = (*template[:k], *[FULL] * (type.ndim - used), *template[k + 1 :])
        where = []
    end = len(template)
    while not where and end and template[end - 1] == FULL:
        end -= 1
    return template[:end]


def axes_used(template: Template, ranks: Iterable[int]) -> int:
    """How many axes of the array the items speak of; `ranks` are those of the variables."""
    return sum(_axes(item, rank) for item, rank in walk(template, ranks))


def _axes(item: Item, rank: int | None) -> int:
    if item is None or item is Ellipsis:
        return 0
    return rank if item is Part.MASK and rank is not None else 1


def is_basic(template: Template) -> bool:
    """Whether there is no array in the index, so that NumPy answers with a view."""
    return Part.INTS not in template and Part.MASK not in template


def has_integer_arrays(template: Template) -> bool:
    """Whether an item may be picked twice: by anything else it is picked once at most."""
    return Part.INTS in template


def walk(template: Template, parts: Iterable[P]) -> Iterator[tuple[Item, P | None]]:
    """Each item, with its own of the `parts` if it stands for an array or a single integer."""
    rest = iter(parts)
    for item in template:
        if isinstance(item, Slice):
            for bound in item:
                if bound is Part.INT:
                    next(rest)
        yield item, next(rest) if isinstance(item, Part) else None


def fill_template(template: Template, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index that NumPy takes, with `arrays` in the places of the variables."""
    rest = iter(arrays)
    return tuple([_filled(item, rest) for item in template])


def _filled(item: Item, rest: Iterator[Any]) -> Any:
    if isinstance(item, Slice):
        return slice(*[int(next(rest)) if p is Part.INT else p for p in item])
    if isinstance(item, Part):
        return int(next(rest)) if item is Part.INT else next(rest)  # of a 0-d array, NumPy would make a copy
    return item


def indexed_shape(template: Template, x: TensorVariable, parts: Sequence[TensorVariable]) -> Shape:
    """What is known of the shape of x[index].

    Raises BoundsError for an index outside a known length, ShapeError for a mask that has not the array's known
    lengths, and for index arrays that cannot be broadcast together.
    """
    out: list[int | None] = []
    arrays: list[Shape] = []
    checks: list[tuple[int, TensorConstant]] = []
    place: int | None = None
    apart = False  # whether the advanced indices are, by a slice, None or ... between them
    last: int | None = None
    advanced = not is_basic(template)
    missing = x.type.ndim - axes_used(template, [p.type.ndim for p in parts])
    axis = 0
    for k, (item, part) in enumerate(walk(template, parts)):
        count = _axes(item, None if part is None else part.type.ndim)
        lengths = x.type.shape[axis : axis + count]
        if item is None:
            out.append(1)
        elif item is Ellipsis:
            out += x.type.shape[axis : axis + missing]
            count = missing
        elif isinstance(item, Slice):
            out.append(_sliced_length(item, lengths[0]))
        else:
            if advanced:
                place = len(out) if place is None else place
                apart = apart or (last is not None and last != k - 1)
                last = k
            if isinstance(item, int):
                _check_int(item, axis, x)
            elif item is Part.MASK and part is not None:
                _check_mask(part, axis, x)
                arrays.append((None,))  # as many as are true
            elif part is not None:
                arrays.append(part.type.shape)
                if isinstance(part, TensorConstant):
                    checks.append((axis, part))
        axis += count
    out += x.type.shape[axis:]
    if not advanced:
        return tuple(out)
    together = _join(arrays, x, parts)
    if all(together):  # NumPy does not look into index arrays when they come to nothing
        for at, array in checks:
            _check_array(array, at, x)
    place = 0 if apart or place is None else place
    return (*out[:place], *together, *out[place:])


def _sliced_length(item: Slice, n: int | None) -> int | None:
    if item == FULL or item == (None, None, -1):
        return n
    if n is None or Part.INT in item:
        return None
    return len(range(*slice(*item).indices(n)))


def _check_int(i: int, axis: int, x: TensorVariable) -> None:
    n = x.type.shape[axis]
    if n is not None and not -n <= i < n:
        raise BoundsError(
            f"index: {i} is out of bounds for axis {axis} of {x.type}, which has length {n}",
            help=f"use an index from {-n} to {n - 1}" if n else "the axis is empty: nothing can be picked from it",
            inputs=[x],
        )


def _check_array(array: TensorConstant, axis: int, x: TensorVariable) -> None:
    if x.type.shape[axis] is not None and array.value.size:
        for i in (array.value.min(), array.value.max()):
            _check_int(int(i), axis, x)


def _check_mask(mask: TensorVariable, axis: int, x: TensorVariable) -> None:
    for i, m in enumerate(mask.type.shape):
        n = x.type.shape[axis + i]
        if m and n is not None and m != n:  # NumPy lets a mask of length 0 pass everywhere
            raise ShapeError(
                f"index: a mask of shape {show(mask.type.shape)} does not fit {x.type}: "
                f"axis {axis + i} has length {n}, axis {i} of the mask {m}",
                help="a mask must have the lengths of the axes that it picks from",
                inputs=[x, mask],
            )


def _join(shapes: Sequence[Shape], x: TensorVariable, parts: Sequence[TensorVariable]) -> Shape:
    """What is known of the shape of index arrays broadcast together."""
    ndim = max(map(len, shapes))
    out: list[int | None] = [1] * ndim
    for shape in shapes:
        for axis, n in enumerate(shape, ndim - len(shape)):
            m = out[axis]
            if m == 1 or (m is None and n not in (None, 1)):
                out[axis] = n
            elif n not in (None, 1, m):
                raise ShapeError(
                    f"index: index arrays of shapes {' and '.join(map(show, shapes))} cannot be broadcast together",
                    help="index arrays pick item by item; for every pair of rows and columns use x[rows][:, columns]",
                    inputs=[x, *parts],
                )
    return tuple(out)


def array_axes(template: Template, ranks: Sequence[int], ndim: int) -> tuple[int, int, bool]:
    """Of x[index], how many axes stand before those that come of the index arrays, how many these are, and whether they
    come first because something stands between the arrays; (0, 0, False) where there is no array.

    ranks: of the variables; ndim: of x.
    """
    if is_basic(template):
        return 0, 0, False
    at = [k for k, item in enumerate(template) if isinstance(item, (int, Part))]
    count = max(1 if item is Part.MASK else rank for item, rank in walk(template, ranks) if rank is not None)
    if at[-1] - at[0] >= len(at):
        return 0, count, True
    missing = ndim - axes_used(template, ranks)
    return sum(missing if item is Ellipsis else 1 for item in template[: at[0]]), count, False


def describe(template: Template) -> str:
    """The template as one writes it in brackets; `i` is an integer variable, `i[]` an array of them."""
    return ", ".join(map(_word, template))


def _word(item: Item) -> str:
    return "..." if item is Ellipsis else item.value if isinstance(item, Part) else str(item)
