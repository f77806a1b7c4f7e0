"""Constructors of variables and the types that have names: `matrix("x")`, `dmatrix("x")`, `dvectors("x", "y")`.

A letter names a dtype: b, w, i, l are int8 to int64; f, d float32 and float64; c, z complex64 and complex128. `dmatrix`
is a type, and calling a type makes a variable of it. Without a letter the dtype is `config.floatX` when called.
Helpers have underscore names, so `from ... import *` means the constructors.
"""

from __future__ import annotations as _annotations

from collections.abc import Callable as _Callable
from collections.abc import Iterable as _Iterable
from typing import Any as _Any

from refgraph.core.errors import GraphTypeError as _GraphTypeError
from refgraph.ops.tensor import DTYPES as _DTYPES
from refgraph.ops.tensor import TensorType as _TensorType
from refgraph.ops.tensor import TensorVariable as _TensorVariable

_SHAPES: dict[str, tuple[int | None, ...]] = {
    "scalar": (),
    "vector": (None,),
    "row": (1, None),
    "col": (None, 1),
    "matrix": (None, None),
    "tensor3": (None,) * 3,
    "tensor4": (None,) * 4,
    "tensor5": (None,) * 5,
    "tensor6": (None,) * 6,
    "tensor7": (None,) * 7,
}

_Types = tuple[
    _TensorType, _TensorType, _TensorType, _TensorType, _TensorType,
    _TensorType, _TensorType, _TensorType, _TensorType, _TensorType,
]  # fmt: skip


def _types(dtype: str) -> _Types:
    """The types of a dtype, in the order of `_SHAPES`."""
    return tuple([_TensorType(dtype, shape) for shape in _SHAPES.values()])  # type: ignore[return-value]  # ten shapes


# One line a dtype.
# fmt: off
bscalar, bvector, brow, bcol, bmatrix, btensor3, btensor4, btensor5, btensor6, btensor7 = _types("int8")
wscalar, wvector, wrow, wcol, wmatrix, wtensor3, wtensor4, wtensor5, wtensor6, wtensor7 = _types("int16")
iscalar, ivector, irow, icol, imatrix, itensor3, itensor4, itensor5, itensor6, itensor7 = _types("int32")
lscalar, lvector, lrow, lcol, lmatrix, ltensor3, ltensor4, ltensor5, ltensor6, ltensor7 = _types("int64")
fscalar, fvector, frow, fcol, fmatrix, ftensor3, ftensor4, ftensor5, ftensor6, ftensor7 = _types("float32")
dscalar, dvector, drow, dcol, dmatrix, dtensor3, dtensor4, dtensor5, dtensor6, dtensor7 = _types("float64")
cscalar, cvector, crow, ccol, cmatrix, ctensor3, ctensor4, ctensor5, ctensor6, ctensor7 = _types("complex64")
zscalar, zvector, zrow, zcol, zmatrix, ztensor3, ztensor4, ztensor5, ztensor6, ztensor7 = _types("complex128")
# fmt: on


def _constructor(kind: str) -> _Callable[..., _TensorVariable]:
    shape = _SHAPES[kind]

    def make(name: str | None = None, dtype: _Any = None) -> _TensorVariable:
        return _TensorType("floatX" if dtype is None else dtype, shape)(name)

    make.__name__ = make.__qualname__ = kind
    make.__doc__ = f"A {kind} variable; its dtype is `config.floatX` unless given."
    return make


scalar, vector, row, col, matrix, tensor3, tensor4, tensor5, tensor6, tensor7 = map(_constructor, _SHAPES)


def tensor(
    *args: _Any, name: str | None = None, dtype: _Any = None, shape: _Any = None, broadcastable: _Any = None
) -> _TensorVariable:
    """A variable of any shape: `tensor("x", dtype="float32", shape=(None, 3))`, or in Theano's order
    `tensor("float32", (False, True), "x")`, where the second may be a shape or say which axes have length 1.

    dtype is `config.floatX` unless given; a length is an int, or None where it is not known. Raises GraphTypeError.
    """
    order: tuple[str, ...] = ("name", "dtype", "shape", "broadcastable")
    if args and dtype is None and _is_dtype(args[0]) and (len(args) == 1 or not isinstance(args[1], str)):
        order = ("dtype", "shape", "name")
    if len(args) > len(order):
        raise _GraphTypeError(f"tensor takes {', '.join(order)}; got {len(args)} arguments")
    given = {"name": name, "dtype": dtype, "shape": shape, "broadcastable": broadcastable}
    for word, value in zip(order, args, strict=False):
        if given[word] is not None:
            raise _GraphTypeError(f"tensor was given {word} twice: {value!r} and {given[word]!r}")
        given[word] = value
    dtype = "floatX" if given["dtype"] is None else given["dtype"]
    return _TensorType(dtype, given["shape"], broadcastable=given["broadcastable"])(given["name"])


def _is_dtype(x: _Any) -> bool:
    return x in (*_DTYPES, "floatX") if isinstance(x, str) else x is not None


_Several = _Callable[..., list[_TensorVariable]]


def _plural(make: _Callable[..., _TensorVariable]) -> _Several:
    """Several variables at once: `dvectors("x", "y")`, `dvectors("x y")`, `dvectors("xy")`; nameless: `dvectors(2)`."""

    def several(*names: _Any, dtype: _Any = None) -> list[_TensorVariable]:
        options = {} if dtype is None else {"dtype": dtype}
        return [make(name, **options) for name in _names(names)]

    several.__doc__ = _plural.__doc__
    return several


def _names(given: tuple[_Any, ...]) -> _Iterable[str | None]:
    if len(given) != 1:
        return given
    (only,) = given
    if isinstance(only, int):
        return [None] * only
    if isinstance(only, (list, tuple)):
        return only
    if not isinstance(only, str):
        raise _GraphTypeError(
            f"names are strings, or one number of nameless variables, got {only!r:.60} ({type(only).__name__})",
            help='as in T.vectors("x", "y") or T.vectors(2)',
        )
    return only.split() if " " in only else only


_Plurals = tuple[
    _Several, _Several, _Several, _Several, _Several, _Several, _Several, _Several, _Several, _Several
]  # fmt: skip


def _plurals(dtype: str) -> _Plurals:
    """The plural constructors of a dtype, in the order of `_SHAPES`."""
    return tuple([_plural(t) for t in _types(dtype)])  # type: ignore[return-value]  # ten shapes


scalars, vectors, rows, cols, matrices, tensor3s, tensor4s, tensor5s, tensor6s, tensor7s = map(
    _plural, (scalar, vector, row, col, matrix, tensor3, tensor4, tensor5, tensor6, tensor7)
)
# One line a dtype.
# fmt: off
bscalars, bvectors, brows, bcols, bmatrices, btensor3s, btensor4s, btensor5s, btensor6s, btensor7s = _plurals("int8")
wscalars, wvectors, wrows, wcols, wmatrices, wtensor3s, wtensor4s, wtensor5s, wtensor6s, wtensor7s = _plurals("int16")
iscalars, ivectors, irows, icols, imatrices, itensor3s, itensor4s, itensor5s, itensor6s, itensor7s = _plurals("int32")
lscalars, lvectors, lrows, lcols, lmatrices, ltensor3s, ltensor4s, ltensor5s, ltensor6s, ltensor7s = _plurals("int64")
fscalars, fvectors, frows, fcols, fmatrices, ftensor3s, ftensor4s, ftensor5s, ftensor6s, ftensor7s = _plurals("float32")
dscalars, dvectors, drows, dcols, dmatrices, dtensor3s, dtensor4s, dtensor5s, dtensor6s, dtensor7s = _plurals("float64")
cscalars, cvectors, crows, ccols, cmatrices, ctensor3s, ctensor4s, ctensor5s, ctensor6s, ctensor7s = _plurals(
    "complex64"
)
zscalars, zvectors, zrows, zcols, zmatrices, ztensor3s, ztensor4s, ztensor5s, ztensor6s, ztensor7s = _plurals(
    "complex128"
)
# fmt: on
