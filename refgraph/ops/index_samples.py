"""Uses of the indexing ops for the suites to try: every form of index, for reading, setting and adding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from refgraph.core.errors import BoundsError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.op import BadSample, Sample
from refgraph.ops import indexing
from refgraph.ops.sample_arrays import numbers


class Form(NamedTuple):
    """A way to index: `at` makes the index of the arrays, or variables, in `parts`."""

    id: str
    shape: tuple[int, ...]
    at: Callable[..., Any]
    parts: tuple[Any, ...] = ()


_s = np.s_
_I = np.array([2, 0, 2])
_J = np.array([[1], [-1]])
_B = np.array([True, False, True])
_BB = np.array([[True, False, True, False], [False, True, False, False], [False, False, True, True]])

# fmt: off
FORMS = (
    # basic, constant
    Form("int", (4,), lambda: 1),
    Form("negative", (3, 4), lambda: -1),
    Form("numpy-int", (3, 4), lambda: np.uint8(2)),
    Form("ints", (3, 4), lambda: (1, -2)),
    Form("nothing-0d", (), lambda: ()),
    Form("nothing", (3,), lambda: ()),
    Form("ellipsis-0d", (), lambda: ...),
    Form("newaxis-0d", (), lambda: (None, None)),
    Form("slice", (5,), lambda: _s[1:4]),
    Form("slice-from-end", (5, 2), lambda: _s[-3:-1]),
    Form("slice-beyond", (3,), lambda: _s[1:10]),
    Form("slice-empty", (3, 2), lambda: _s[2:1]),
    Form("slice-of-empty", (0, 2), lambda: _s[1:]),
    Form("slice-of-one", (1, 3), lambda: _s[:1]),
    Form("slice-step", (7,), lambda: _s[1:6:2]),
    Form("slice-back", (5, 2), lambda: _s[::-1]),
    Form("slice-back-step", (6,), lambda: _s[4::-3]),
    Form("newaxis", (3, 2), lambda: None),
    Form("ellipsis-int", (2, 3, 4), lambda: _s[..., 1]),
    Form("int-ellipsis-slice", (2, 3, 4), lambda: _s[1, ..., 1:3]),
    Form("ellipsis-of-no-axis", (2, 3), lambda: _s[0, ..., 1]),
    Form("mixed-basic", (2, 3, 4), lambda: _s[:, None, 1, ::-2]),
    # basic, variables
    Form("int-variable", (4, 2), lambda i: i, (np.int64(2),)),
    Form("int-variable-uint8", (4,), lambda i: i, (np.uint8(3),)),
    Form("int-variable-uint64", (4, 2), lambda i: _s[:, i], (np.uint64(1),)),
    Form("slice-variable", (6,), lambda a, b: _s[a:b], (np.int64(1), np.int64(4))),
    Form("slice-variables-int8", (6, 2), lambda a, b, c: _s[a:b:c], (np.int8(-1), np.int8(0), np.int8(-2))),
    Form("slice-part-variable", (6,), lambda c: _s[:4:c], (np.int32(3),)),
    Form("mixed-variables", (2, 4, 3), lambda i, a: _s[i, None, a:, ..., 1], (np.int64(-1), np.int64(1))),
    # one integer array
    Form("list", (4,), lambda: [0, 2, 2]),
    Form("list-empty", (3, 2), lambda: []),
    Form("list-rows", (4, 2), lambda: [3, -1, 3, 0]),
    Form("tuple-in-tuple", (4, 2), lambda: ((0, 1, 1),)),
    Form("array-2d", (4,), lambda: np.array([[0, 1], [1, 3]])),
    Form("array-length-1", (4, 2), lambda: np.array([1])),
    Form("array-variable", (4, 2), lambda i: i, (_I,)),
    Form("array-variable-uint64", (3,), lambda i: i, (np.array([2, 2, 0], np.uint64),)),
    Form("array-variable-int8-2d", (3, 2), lambda i: i, (np.array([[-1, 0], [0, 1]], np.int8),)),
    Form("array-variable-uint16-empty", (3, 2), lambda i: i, (np.zeros((0,), np.uint16),)),
    Form("array-column", (2, 4), lambda i: _s[:, i], (_I,)),
    Form("array-last", (2, 3, 4), lambda i: _s[..., i], (_J,)),
    Form("list-with-variable", (4, 2), lambda i: [0, i, 0], (np.int64(3),)),
    # several
    Form("arrays", (3, 4), lambda i, j: (i, j), (_I, np.array([1, 3, 1]))),
    Form("arrays-broadcast", (3, 4), lambda i, j: (i, j), (_I, _J)),
    Form("arrays-length-1", (3, 4), lambda i, j: (i, j), (_I, np.array([1]))),
    Form("arrays-adjacent", (2, 3, 4), lambda i, j: _s[:, i, j], (_I, np.array([1, 3, 1]))),
    Form("arrays-apart", (3, 2, 4), lambda i, j: _s[i, :, j], (_I, np.array([1, 3, 1]))),
    Form("arrays-newaxis-between", (3, 4), lambda i, j: _s[i, None, j], (_I, np.array([1, 3, 1]))),
    Form("arrays-ellipsis-of-no-axis", (2, 3, 4), lambda i, j: _s[:, i, ..., j], (_I, np.array([1, 3, 1]))),
    Form("array-int-adjacent", (2, 3, 4), lambda i: _s[:, 1, i], (_I,)),
    Form("array-int-apart", (3, 2, 4), lambda i: _s[i, :, 1], (_I,)),
    Form("array-int-variable", (3, 2, 4), lambda i, k: _s[i, ::-1, k], (_I, np.int64(1))),
    Form("array-slice-variable", (3, 5), lambda i, a: _s[i, a::2], (_I, np.int64(1))),
    Form("array-newaxis", (3, 2), lambda i: _s[None, i, None], (_I,)),
    # masks
    Form("mask", (3,), lambda: _B),
    Form("mask-list", (3, 2), lambda: [True, False, True]),
    Form("mask-none-true", (3, 2), lambda: np.zeros(3, bool)),
    Form("mask-variable", (3, 2), lambda m: m, (_B,)),
    Form("mask-2d", (3, 4), lambda m: m, (_BB,)),
    Form("mask-2d-partial", (3, 4, 2), lambda m: m, (_BB,)),
    Form("mask-2d-later", (2, 3, 4), lambda m: _s[1:, m], (_BB,)),
    Form("mask-column", (2, 3), lambda m: _s[:, m], (_B,)),
    Form("mask-and-array", (3, 4), lambda m, i: (m, i), (_B, np.array([1, 1]))),
    Form("mask-array-apart", (3, 2, 4), lambda m, i: _s[m, :, i], (_B, np.array([3, 1]))),
    Form("mask-and-int", (3, 4), lambda m: _s[m, -1], (_B,)),
    Form("true", (2, 3), lambda: True),
    Form("false", (2, 3), lambda: False),
    Form("true-0d", (), lambda: True),
    Form("bool-variable", (2, 3), lambda b: b, (np.bool(True),)),
    Form("bool-variable-later", (2, 3), lambda b: _s[:, b], (np.bool(False),)),
    Form("true-and-array", (2, 4), lambda i: _s[:, True, i], (_I,)),
)
# fmt: on

_DTYPES = ("int32", "bool", "float32", "complex128")


def picked() -> Iterator[Sample]:
    """Reading."""

    def sample(id: str, form: Form, x: Any) -> Sample:
        def read(x: Any, *parts: Any) -> Any:
            return x[form.at(*parts)]

        return Sample(id, read, (x, *form.parts), read)

    for form in FORMS:
        yield sample(form.id, form, numbers(*form.shape))
    for dtype in _DTYPES:
        for form in FORMS:
            if form.id in ("mixed-basic", "arrays-broadcast", "mask"):
                yield sample(f"{form.id}-{dtype}", form, numbers(*form.shape, dtype=dtype))
    strided = numbers(8, 6)[::-2, 1:]
    yield sample("strided", Form("", (), lambda i: _s[1:, i], (_I,)), strided)
    yield sample("strided-slice", Form("", (), lambda: _s[::2, ::-1]), strided)
    x = numbers(3, 4)
    yield Sample("mask-of-itself", lambda x: x[x > 0], (x,), lambda x: x[x > 0])
    yield Sample("nonzero-of-itself", lambda x: x[(x > 0).nonzero()], (x,), lambda x: x[(x > 0).nonzero()])
    i, j = _I.reshape(3, 1), np.array([[1, 3]])
    yield Sample("take-axis", lambda x: indexing.take(x, _J, 1), (x,), lambda x: np.take(x, _J, 1))
    yield Sample("take-flat", lambda x, i: indexing.take(x, i), (x, _I), lambda x, i: np.take(x, i))
    far = np.array([[-7, 5], [3, 100]])
    for mode in ("wrap", "clip"):
        yield Sample(
            f"take-{mode}",
            lambda x, i, m=mode: indexing.take(x, i, -1, m),
            (x, far),
            lambda x, i, m=mode: np.take(x, i, -1, mode=m),
        )
    yield Sample("take-truth", lambda x, b: indexing.take(x, b, 0), (x, _B), lambda x, b: np.take(x, b.astype(int), 0))
    yield Sample("compress", lambda x, c: indexing.compress(c, x, 1), (x, _B), lambda x, c: np.compress(c, x, 1))
    yield Sample("compress-flat", lambda x, c: indexing.compress(c, x), (x, _B), lambda x, c: np.compress(c, x))
    along = np.take_along_axis
    for id, axis, at in (
        ("rows", 1, j.repeat(3, 0)),
        ("columns", 0, i.repeat(4, 1)),
        ("broadcast", 1, j),
        ("flat", None, _I),
    ):
        yield Sample(
            f"take-along-{id}",
            lambda x, i, axis=axis: indexing.take_along_axis(x, i, axis),
            (x, at),
            lambda x, i, axis=axis: along(x, i, axis),
        )
    order = np.array([[1, 0, 3, 2], [3, 1, 2, 0], [0, 1, 2, 3]])
    permute = indexing.permute_row_elements
    yield Sample("permute-rows", permute, (x, order), lambda x, y: along(x, y, 1))
    yield Sample("permute-rows-alike", permute, (x, order[1]), lambda x, y: x[:, y])
    yield Sample("permute-one-row", permute, (x[0], order), lambda x, y: x[y])
    yield Sample("permute-back", lambda x, y: permute(x, y, True), (x, order), lambda x, y: along(x, np.argsort(y), 1))
    yield Sample("nonzero-values", indexing.nonzero_values, (np.round(x),), lambda x: x[x != 0], ())


def refused() -> Iterator[BadSample]:
    """Reading what is not there, or with what cannot index."""
    x, cube = numbers(3), numbers(2, 3, 4)
    yield BadSample("too-many", lambda x: x[0, 0], (x,), BoundsError, "too many indices")
    yield BadSample("too-many-mask", lambda x, m: x[m], (x, _BB), BoundsError, "too many indices")
    yield BadSample("float", lambda x: x[1.0], (x,), DTypeError, "cannot index with 1.0")
    yield BadSample("float-list", lambda x: x[[1.0]], (x,), DTypeError, "float64")
    yield BadSample("float-variable", lambda x, y: x[y], (x, x), DTypeError, "astype('int64')")
    yield BadSample("float-bound", lambda x: x[:1.5], (x,), DTypeError, "1.5")
    yield BadSample("vector-bound", lambda x, i: x[:i], (x, _I), DTypeError, "single integer")
    yield BadSample("bool-bound", lambda x, b: x[:b], (x, np.bool(True)), DTypeError, "single integer")
    yield BadSample("string", lambda x: x["a"], (x,), GraphTypeError, "'a'")
    yield BadSample("object", lambda x: x[object()], (x,), GraphTypeError, "cannot index")
    yield BadSample("ragged", lambda x: x[[[0], [1, 2]]], (x,), GraphTypeError, "cannot index")
    yield BadSample("two-ellipses", lambda x: x[..., 0, ...], (cube,), GraphTypeError, "more than one ...")
    yield BadSample("step-0", lambda x: x[::0], (x,), ShapeError, "step")
    yield BadSample("huge", lambda x: x[2**70], (x,), BoundsError, "64 bits")
    yield BadSample("outside", lambda x: x[3], (x,), IndexError, "out of bounds for axis 0")
    yield BadSample("outside-variable", lambda x, i: x[i], (x, np.int64(-4)), IndexError, "out of bounds for axis 0")
    yield BadSample("outside-array", lambda x: x[:, [0, 3]], (cube,), IndexError, "out of bounds for axis 1")
    yield BadSample("mask-length", lambda x, m: x[m], (x, _B[:2]), IndexError, "boolean index did not match")
    yield BadSample("arrays-apart", lambda x, i, j: x[i, j], (cube, _I, _I[:2]), IndexError, "broadcast")


def _copied(x: Any, at: Any, y: Any, adding: bool) -> Any:
    """x after x[at] = y or x[at] += y, one element after another."""
    out = np.array(x)
    places = np.arange(out.size).reshape(out.shape)[at]
    flat = out.reshape(-1)
    for place, value in zip(np.ravel(places), np.broadcast_to(y, places.shape).ravel(), strict=True):
        flat[place] = flat[place] + value if adding else value
    return out


def _update(
    id: str, form: Form, x: Any, y: Any, adding: bool, changed: Callable[[Any], Any] = lambda picked: picked
) -> Sample:
    change = indexing.inc_subtensor if adding else indexing.set_subtensor

    def build(x: Any, y: Any, *parts: Any) -> Any:
        return change(changed(x[form.at(*parts)]), y)

    def expect(x: Any, y: Any, *parts: Any) -> Any:
        places = changed(np.arange(x.size).reshape(x.shape)[form.at(*parts)])
        return _copied(x.reshape(-1), places, y, adding).reshape(x.shape)

    return Sample(f"{'inc' if adding else 'set'}-{id}", build, (x, y, *form.parts), expect)


def updated() -> Iterator[Sample]:
    """Setting and adding."""
    for form in FORMS:
        x = numbers(*form.shape)
        shape = x[form.at(*form.parts)].shape
        for adding in (False, True):
            yield _update(form.id, form, x, numbers(*shape, seed=1), adding)
            if shape:
                yield _update(f"{form.id}-number", form, x, numbers(seed=1), adding)
            if len(shape) > 1:
                yield _update(f"{form.id}-broadcast", form, x, numbers(1, *shape[2:], seed=1), adding)
    rows = Form("", (), lambda i: i, (_I,))
    for dtype in _DTYPES:
        for adding in (False, True):
            yield _update(
                f"dtype-{dtype}", rows, numbers(3, 4, dtype=dtype), numbers(3, 4, dtype=dtype, seed=1), adding
            )
            yield _update(
                f"slice-{dtype}",
                Form("", (), lambda: _s[1:]),
                numbers(4, dtype=dtype),
                numbers(3, dtype=dtype, seed=1),
                adding,
            )
    x = numbers(4, 3)
    for adding in (False, True):
        yield _update("narrower-value", rows, x, numbers(3, 3, dtype="float32", seed=1), adding)
        yield _update("strided", rows, numbers(8, 6)[::-2, ::2], numbers(6, 3, seed=1)[::-2], adding)
        some = Form("", (), lambda: _s[1:3])
        yield _update("transposed", some, x, numbers(3, 2, seed=1), adding, lambda p: p.T)
        yield _update("transposed-broadcast", some, x, numbers(2, seed=1), adding, lambda p: p.T)
        yield _update("reshaped", some, x, numbers(3, 2, seed=1), adding, lambda p: p.reshape((3, 2)))
        yield _update("reshaped-broadcast", some, x, numbers(1, 2, seed=1), adding, lambda p: p.reshape((3, 2)))
        yield _update("flattened", rows, x, numbers(9, seed=1), adding, lambda p: p.flatten())
        yield _update("reshaped-transposed", rows, x, numbers(9, 1, seed=1), adding, lambda p: p.T.reshape((9, 1)))
        yield Sample(
            f"{'inc' if adding else 'set'}-transposed-there-and-back",
            lambda x, y, a=adding: indexing.inc_subtensor(x.T[1:].T, y, set_instead_of_inc=not a),
            (x, numbers(4, 2, seed=1)),
            lambda x, y, a=adding: np.concatenate([x[:, :1], x[:, 1:] + y if a else y], 1),
        )
    order = np.array([[1, 0], [2, 1], [0, 2], [1, 2]])

    def put(x: Any, i: Any, y: Any) -> Any:
        out = np.array(x)
        np.put_along_axis(out, i, y, 1)
        return out

    yield Sample(
        "put-along", lambda x, i, y: indexing.put_along_axis(x, i, y, 1), (x, order, numbers(4, 2, seed=1)), put
    )
    yield from _diagonals()


def _diagonals() -> Iterator[Sample]:
    def diagonal(x: Any, value: Any, offset: int = 0) -> Any:
        out = np.array(x)
        rows, columns = np.indices(x.shape[:2])
        if x.ndim == 2:
            out[columns - rows == offset] = value
        else:
            np.fill_diagonal(out, value)
        return out

    value = np.array(7.5)
    for shape in ((3, 3), (2, 4), (4, 2), (3, 3, 3), (0, 2)):
        text = "x".join(map(str, shape))
        yield Sample(f"fill-diagonal-{text}", indexing.fill_diagonal, (numbers(*shape), value), diagonal)
    for k in (-5, -1, 0, 2, 4):
        for shape in ((3, 4), (4, 2)):
            inputs = numbers(*shape), value, np.int64(k)
            yield Sample(f"fill-diagonal-{k}-of-{shape[0]}x{shape[1]}", indexing.fill_diagonal_offset, inputs, diagonal)


def refused_updates() -> Iterator[BadSample]:
    """Values that do not fit, and places that are none."""
    x, n = numbers(3, 4), np.arange(3, dtype=np.int32)
    put, add = indexing.set_subtensor, indexing.inc_subtensor
    yield BadSample("no-indexing", lambda x: put(x, 1.0), (x,), GraphTypeError, "write set_subtensor(x[index], y)")
    yield BadSample("not-even-a-view", lambda x: add((x + 1).T, 1.0), (x,), GraphTypeError, "inc_subtensor")
    yield BadSample("rank", lambda x, y: put(x[0], y), (x, x), ShapeError, "does not fit a place of shape")
    yield BadSample("length", lambda x, y: put(x[:2, 0], y), (x, n.astype(float)), ValueError, "")
    yield BadSample("float-into-int", lambda n, x: put(n[0], x[0, 0]), (n, x), DTypeError, "astype('int32')")
    yield BadSample("number-into-int", lambda n: put(n[0], 0.5), (n,), DTypeError, "0.5 does not fit into int32")
    yield BadSample("wide-into-narrow", lambda x, y: add(x[0], y[0]), (x.astype("float32"), x), DTypeError, "float32")
    yield BadSample("int-into-float32", lambda x, n: add(x[:, 0], n), (x.astype("float32"), n), DTypeError, "float32")
    yield BadSample("too-big", lambda n: put(n[0], 2**40), (n,), DTypeError, "int32")
    yield BadSample("complex-into-real", lambda x: put(x[0], 1j), (x,), DTypeError, "float64")
    yield BadSample("outside", lambda x: put(x[7], 0.0), (x,), IndexError, "out of bounds")
    fill = indexing.fill_diagonal
    yield BadSample("diagonal-of-vector", lambda x: fill(x[0], 1.0), (x,), ShapeError, "at least 2 dimensions")
    yield BadSample("diagonal-of-box", lambda x: fill(x[None], 1.0), (x,), ShapeError, "")
    yield BadSample("diagonal-of-values", lambda x: fill(x, x[0]), (x,), ShapeError, "single number")


def last_writes() -> Iterator[Sample]:
    """Where the last of several writes is."""

    def build(x: Any, i: Any) -> Any:
        node = x[i].owner
        return indexing.LastWrite(node.op.template)(*node.inputs)

    def expect(x: Any, i: Any) -> Any:
        flat = list(i.ravel())
        last = np.array([k not in flat[n + 1 :] for n, k in enumerate(flat)], bool).reshape(i.shape)
        return np.broadcast_to(last.reshape(i.shape + (1,) * (x.ndim - 1)), i.shape + x.shape[1:])

    for id, shape, at in (("vector", (4,), _I), ("rows", (3, 2), np.array([[0, 1], [1, 2]])), ("empty", (3,), _I[:0])):
        yield Sample(id, build, (numbers(*shape), at), expect, ())


def chosen() -> Iterator[Sample]:
    """Choosing between arrays."""
    choices = numbers(3, 2, 4)
    a = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])

    def choose(a: Any, c: Any) -> Any:
        return np.choose(a, c)

    for id, which in (
        ("array", a),
        ("broadcast-a", a[:, :1]),
        ("number", np.int64(1)),
        ("larger-a", np.array([a, a + 0])),
    ):
        yield Sample(id, indexing.choose, (which, choices), choose)
    yield Sample("broadcast-choices", indexing.choose, (a, choices[:, :1]), choose)
    yield Sample("empty", indexing.choose, (a[:0], choices[:, :0]), choose)
    yield Sample("numbers", indexing.choose, (a, choices[:, 0, 0]), choose)
    yield Sample("int8-complex", indexing.choose, (a.astype("int8"), choices + 1j), choose)
    yield Sample("truth", indexing.choose, (a > 0, choices), lambda a, c: np.choose(a.astype(int), c))
    for mode in ("wrap", "clip"):
        yield Sample(
            mode,
            lambda a, c, m=mode: indexing.choose(a, c, m),
            (a * 5 - 4, choices),
            lambda a, c, m=mode: np.choose(a, c, mode=m),
        )
    listed = (a, choices[0], choices[1, 0], choices[2, :, :1])
    yield Sample("list", lambda a, *c: indexing.choose(a, c), listed, lambda a, *c: np.choose(a, c))
    yield Sample(
        "list-number", lambda a, c: indexing.choose(a, [c, 0, 1]), listed[:2], lambda a, c: np.choose(a, [c, 0, 1])
    )


def refused_choices() -> Iterator[BadSample]:
    """What cannot choose or be chosen."""
    c = numbers(2, 3)
    yield BadSample("float", indexing.choose, (c[0], c), DTypeError, "expected integers")
    yield BadSample("none", lambda a: indexing.choose(a, []), (_I,), GraphTypeError, "at least one choice")
    yield BadSample("0d", indexing.choose, (_I, c[0, 0]), GraphTypeError, "choices must be")
    yield BadSample("mode", lambda a, c: indexing.choose(a, c, "wrong"), (_I, c), GraphTypeError, "raise, wrap, clip")
    yield BadSample("outside", indexing.choose, (_I, c), ValueError, "outside 0 ... 1")


def nonzeros() -> Iterator[Sample]:
    """Where something is true."""
    for id, x in (
        ("vector", np.round(numbers(6))),
        ("mask", _BB),
        ("int", np.arange(-3, 3).reshape(2, 3) % 2),
    ):
        yield Sample(id, indexing.nonzero, (x,), lambda x: x.nonzero(), ())
        yield Sample(f"{id}-matrix", lambda x: indexing.nonzero(x, True), (x,), lambda x: np.stack(x.nonzero()), ())
        yield Sample(f"{id}-flat", indexing.flatnonzero, (x,), lambda x: np.flatnonzero(x), ())
    yield Sample("flat-0d", indexing.flatnonzero, (np.float64(2.0),), np.flatnonzero, ())
    yield Sample("empty", indexing.nonzero, (np.zeros((0, 2)),), lambda x: x.nonzero(), ())


def refused_nonzeros() -> Iterator[BadSample]:
    """Where there is no where."""
    yield BadSample("0d", indexing.nonzero, (np.float64(1.0),), ShapeError, "0-d")


def raveled() -> Iterator[Sample]:
    """Positions to numbers."""
    i, j = np.array([[2], [0]]), np.array([1, 3, 0], np.uint8)
    for order in ("C", "F"):
        yield Sample(
            f"tuple-{order}",
            lambda i, j, o=order: indexing.ravel_multi_index((i, j), (3, 4), order=o),
            (i, j),
            lambda i, j, o=order: np.ravel_multi_index((i, j), (3, 4), order=o),
        )
    for mode in ("wrap", "clip"):
        yield Sample(
            mode,
            lambda i, j, m=mode: indexing.ravel_multi_index([i, j], (3, 4), m),
            (i + 7, j),
            lambda i, j, m=mode: np.ravel_multi_index((i, j), (3, 4), m),
        )
    rows = np.array([[1, 2, 0], [3, 0, 1]])
    yield Sample(
        "matrix-and-lengths",
        lambda at, n: indexing.ravel_multi_index(at, [3, n]),
        (rows, np.int64(4)),
        lambda at, n: np.ravel_multi_index(tuple(at), (3, n)),
    )
    yield Sample(
        "number", lambda i: indexing.ravel_multi_index((i, 1), (3, 4)), (np.int64(2),), lambda i: np.int64(4 * i + 1)
    )


def refused_raveled() -> Iterator[BadSample]:
    """Positions that have no number."""
    ravel = indexing.ravel_multi_index
    yield BadSample("count", lambda i: ravel((i, i), (3, 4, 5)), (_I,), ShapeError, "2 positions for 3 axes")
    yield BadSample("float", lambda x: ravel((x, x), (3, 4)), (numbers(3),), DTypeError, "expected integers")
    yield BadSample("none", lambda i: ravel((), i), (_I,), ShapeError, "at least one axis")
    yield BadSample("order", lambda i: ravel((i, i), (3, 4), order="K"), (_I,), GraphTypeError, "C, F")
    yield BadSample("outside", lambda i: ravel((i, i), (3, 2)), (_I,), ValueError, "")


def unraveled() -> Iterator[Sample]:
    """Numbers to positions."""
    places = np.array([[0, 11], [5, 3]], np.int32)
    for order in ("C", "F"):
        yield Sample(
            f"matrix-{order}",
            lambda n, o=order: indexing.unravel_index(n, (3, 4), o),
            (places,),
            lambda n, o=order: np.unravel_index(n, (3, 4), o),
        )
    yield Sample("one-axis", lambda n: indexing.unravel_index(n, 12), (places,), lambda n: np.unravel_index(n, 12))
    yield Sample(
        "length-variable",
        lambda n, k: indexing.unravel_index(n, [3, k]),
        (places, np.int64(4)),
        lambda n, k: np.unravel_index(n, (3, k)),
    )
    yield Sample(
        "number",
        lambda n: indexing.unravel_index(n, (2, 2, 3)),
        (np.int64(7),),
        lambda n: np.unravel_index(n, (2, 2, 3)),
    )


def refused_unraveled() -> Iterator[BadSample]:
    """Numbers that have no position."""
    yield BadSample("axes-unknown", indexing.unravel_index, (_I, _I), ShapeError, "must be known")
    yield BadSample("float", lambda x: indexing.unravel_index(x, (3,)), (numbers(3),), DTypeError, "expected integers")
    yield BadSample("outside", lambda i: indexing.unravel_index(i, (2,)), (_I,), ValueError, "")
