"""TensorType and its variables: arrays with a dtype and a shape of which some lengths may be known."""

from __future__ import annotations

import builtins
from _thread import RLock  # what threading.RLock is, without loading all of threading
from collections.abc import Iterable
from numbers import Real
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import DTypeError, GraphTypeError, InputError
from refgraph.core.graph import Apply, Constant, Variable
from refgraph.core.types import Type, label
from refgraph.ops.methods import TensorMethods

FLOATS = ("float16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
DISCRETE = ("bool", *INTEGERS)
DTYPES = (*DISCRETE, *FLOATS, *COMPLEXES)
CONTINUOUS = frozenset(FLOATS + COMPLEXES)

Shape = tuple[int | None, ...]


def dtype_name(dtype: Any) -> str:
    """The canonical name of a dtype given in any way NumPy takes, or "floatX"."""
    if isinstance(dtype, str):
        if dtype in DTYPES:
            return dtype
        if dtype == "floatX":
            return config.floatX
    try:
        name: str = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in DTYPES:
        raise DTypeError(f"no dtype {dtype!r}", help=f"use one of: {', '.join(DTYPES)}, floatX")
    return name


_making = RLock()


def _lengths(given: Any) -> Shape:
    """A shape from what TensorType takes for one. Raises GraphTypeError."""
    try:
        shape = tuple(given)
    except TypeError:
        shape = ("not a sequence",)
    for d in shape:
        if d is not None and (d.__class__ is not int or d < 0):
            return tuple([_length(d, given) for d in shape])
    return shape


def _length(d: Any, given: Any) -> int | None:
    if d is None:
        return None
    if isinstance(d, (bool, np.bool)):
        return 1 if d else None
    if isinstance(d, (int, np.integer)) and d >= 0:
        return int(d)
    raise GraphTypeError(
        f"TensorType: {given!r:.60} ({type(given).__name__}) is not a shape",
        why="a shape is a tuple with, for each axis, its length, or None where it is not known; "
        "in Theano's way True for length 1 and False",
        help=f"write ({given},)" if isinstance(given, int) and given >= 0 else "for example (None, 3)",
    )


Key = TypeVar("Key")
Value = TypeVar("Value")


class Cache(dict[Key, Value]):
    """What can be computed again: when it has grown to `most` entries, it begins anew, so that it stays bounded."""

    most = 1024

    def __setitem__(self, key: Key, value: Value) -> None:
        if len(self) >= self.most:
            self.clear()
        super().__setitem__(key, value)


def asarray(a: Any, dtype: Any = None, order: Any = None) -> np.ndarray[Any, Any]:
    """A value as an array, as `numpy.asarray`, for which "floatX" is a dtype too. Raises DTypeError."""
    return np.asarray(a, None if dtype is None else dtype_name(dtype), order)


class TensorType(Type):
    """A dtype and a shape; a length is an int, or None when known only at run time.

    Theano's spelling is `TensorType(dtype, broadcastable)`: True is a length of 1, False an unknown length.
    Equal types are one object, so a type is compared and hashed by identity.
    """

    __slots__ = ("broadcastable", "dtype", "ndim", "numpy_dtype", "shape")
    _made: ClassVar[WeakValueDictionary[tuple[str, Shape], TensorType]] = WeakValueDictionary()
    """The types that are in use."""
    _recent: ClassVar[Cache[tuple[str, Shape], TensorType]] = Cache()
    """Types to keep for a while, in use or not: most are wanted again, and this is the shorter way to them."""

    dtype: str
    shape: Shape
    broadcastable: tuple[bool, ...]
    ndim: int
    numpy_dtype: np.dtype[Any]

    def __new__(
        cls,
        dtype: Any = "floatX",
        shape: Iterable[int | bool | None] | None = None,
        name: str | None = None,
        *,
        broadcastable: Iterable[bool] | None = None,
    ) -> TensorType:
        given = broadcastable if shape is None else shape
        if given is None:
            raise GraphTypeError("TensorType needs a shape", help="for example TensorType('float64', (None, 3))")
        key = (dtype_name(dtype), _lengths(given))
        found = cls._recent.get(key)
        return found if found is not None else cls._make(*key)

    @classmethod
    def _make(cls, dtype: str, shape: Shape) -> TensorType:
        with _making:  # two threads must not make one type twice
            found = cls._made.get((dtype, shape))
            if found is None:
                found = cls._made[dtype, shape] = cls._fresh(dtype, shape)
            cls._recent[dtype, shape] = found
            return found

    @classmethod
    def _fresh(cls, dtype: str, shape: Shape) -> TensorType:
        self = object.__new__(cls)
        self.dtype, self.shape, self.ndim = dtype, shape, len(shape)
        self.broadcastable = tuple([d == 1 for d in shape])
        self.numpy_dtype = np.dtype(dtype)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorType, (self.dtype, self.shape)

    def __copy__(self) -> TensorType:
        return self

    def __deepcopy__(self, memo: Any) -> TensorType:
        return self

    def variable(self, owner: Apply | None = None, index: int | None = None, name: str | None = None) -> TensorVariable:
        return TensorVariable(self, owner, index, name)

    def constant(self, value: Any, name: str | None = None) -> TensorConstant:
        return TensorConstant(self, value, name)

    def __call__(self, name: str | None = None) -> TensorVariable:
        return TensorVariable(self, None, None, name if name is None else label(name))

    def clone(self, dtype: Any = None, shape: Iterable[Any] | None = None, broadcastable: Any = None) -> TensorType:
        """The same type but for what is given."""
        new_shape = shape if shape is not None else broadcastable if broadcastable is not None else self.shape
        return TensorType(self.dtype if dtype is None else dtype, new_shape)

    @property
    def is_continuous(self) -> bool:
        """Whether values have derivatives: real or complex floating point."""
        return self.dtype in CONTINUOUS

    @property
    def is_complex(self) -> bool:
        return self.dtype in COMPLEXES

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> np.ndarray[Any, Any]:
        """`value` as an array of this dtype, rank and known lengths.

        Without `strict`, a value converts when its dtype promotes to this one, or when (for what is not an array yet,
        also `2**70` or a `longdouble`) nothing changes by it; a Python float also fits when this dtype is `floatX`.
        With `allow_downcast=True` anything converts. Raises InputError (a TypeError).
        """
        if value.__class__ is np.ndarray and value.dtype == self.numpy_dtype:
            array = value
        else:
            array = self._convert(value, strict, allow_downcast)
        if array.ndim != self.ndim:
            raise InputError(f"expected {self.ndim} dimensions ({self}), got {array.ndim} (shape {array.shape})")
        for axis, (n, d) in enumerate(zip(array.shape, self.shape, strict=True)):
            if d is not None and d != n:
                raise InputError(f"axis {axis} has length {n}, but the type says {d} ({self})")
        return array

    def _convert(self, value: Any, strict: bool, allow_downcast: bool | None) -> np.ndarray[Any, Any]:
        if isinstance(value, Variable):
            raise InputError(
                f"expected an array, got the variable {value}",
                help="call functions with numbers, or use clone(replace=)",
            )
        if strict:
            kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
            raise InputError(f"expected a {self.dtype} array and no conversion (strict), got {kind}")
        try:
            array = np.asarray(value)
            if array.dtype == self.numpy_dtype:
                return array
            known = array.dtype.name in DTYPES
            if not known and (isinstance(value, np.ndarray) or not all(isinstance(v, Real) for v in array.flat)):
                raise TypeError(f"it has dtype {array.dtype}")
            if allow_downcast:
                return array.astype(self.numpy_dtype)
            if (
                np.can_cast(array.dtype, self.numpy_dtype)
                or np.result_type(array.dtype, self.numpy_dtype) == self.numpy_dtype
            ):
                return array.astype(self.numpy_dtype)
            if allow_downcast is None and type(value) is float and self.dtype == config.floatX:
                return array.astype(self.numpy_dtype)
            if not known or not isinstance(value, (np.ndarray, np.generic)):
                with np.errstate(all="ignore"):
                    exact = (
                        np.asarray(array, dtype=self.numpy_dtype)
                        if array.dtype.kind != "c"
                        else array.real.astype(self.numpy_dtype)
                    )
                if np.array_equal(array, exact, equal_nan=array.dtype.kind in "fc"):
                    return exact
        except (TypeError, ValueError, OverflowError) as e:
            raise InputError(f"cannot make a {self} of {_brief(value)}", why=str(e)) from None
        kind = array.dtype.name if known else type(value).__name__
        raise InputError(
            f"{kind} does not fit into {self.dtype} without loss: got {_brief(value)}",
            help=f"convert it with .astype('{self.dtype}'), or use allow_input_downcast=True",
        )

    def filter_variable(self, other: Any) -> TensorVariable:
        """`other` as a variable of this type: known lengths may be forgotten or asserted, dtype and rank must agree."""
        from refgraph.ops.shape import retype

        return retype(as_tensor(other), self)

    def values_eq(self, a: Any, b: Any) -> bool:
        """Whether two values are the same in every element (NaN equals NaN)."""
        return bool(a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))

    def values_eq_approx(self, a: Any, b: Any, rtol: float | None = None, atol: float | None = None) -> bool:
        """Whether two values agree within rounding."""
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        eps = float(np.finfo(a.dtype).eps) if a.dtype.kind in "fc" else 0.0
        rtol, atol = 64 * eps if rtol is None else rtol, 64 * eps if atol is None else atol
        return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)) if eps else self.values_eq(a, b)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"

    def __repr__(self) -> str:
        return f"TensorType({self})"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    text = repr(value)
    return text if len(text) < 40 else f"{text[:36]}... ({type(value).__name__})"


class TensorVariable(TensorMethods, Variable):
    """An array-to-be, with NumPy's and Theano's operators and methods."""

    __slots__ = ()
    type: TensorType

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return self.type.ndim

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """For each axis, whether its length is known to be 1."""
        return self.type.broadcastable


class TensorConstant(TensorVariable, Constant):
    """An array that is known now."""

    __slots__ = ()
    type: TensorType
    value: np.ndarray[Any, Any]

    def __setstate__(self, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
        own, slots = state
        self.__dict__.update(own or ())
        for name, value in slots.items():
            setattr(self, name, value)
        self.value.setflags(write=False)  # pickle does not keep it


class ConstantOfNumber(TensorConstant):
    """A 0-d array made of a Python number, which it keeps."""

    __slots__ = ("number",)
    number: Number

    def __str__(self) -> str:
        return str(TensorConstant(self.type, self.value, self.name))


class NumberConstant(ConstantOfNumber):
    """A Python number made a constant: beside arrays it takes their dtype, as the number itself would."""

    __slots__ = ()


class TypedNumber(ConstantOfNumber):
    """A Python number that has taken its neighbours' dtype: an array like any other, for whom does not ask."""

    __slots__ = ()


Number = builtins.bool | int | float | complex
"""A Python number: weak, it takes its neighbours' dtype."""


def constant(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> TensorConstant:
    """A constant array.

    A Python float standing alone has dtype `floatX` (a complex the matching complex dtype), an int int64; beside arrays
    they take these arrays' dtype, unless `dtype` was given. Arrays and NumPy scalars keep their dtype. `ndim` adds axes
    of length 1 on the left.
    """
    if isinstance(value, TensorConstant) and dtype is None and ndim is None:
        return value
    weak = dtype is None and not ndim and type(value) in (builtins.bool, int, float, complex)
    if dtype is None:
        dtype = alone(value) if isinstance(value, (float, complex)) and not isinstance(value, np.generic) else None
    else:
        dtype = dtype_name(dtype)
    try:
        array = np.array(value, dtype=dtype)
    except (OverflowError, TypeError, ValueError) as e:
        raise DTypeError(f"cannot make a constant of {_brief(value)}", why=str(e)) from None
    if array.dtype.name not in DTYPES:
        raise DTypeError(f"cannot make a constant of {_brief(value)}", why=f"NumPy makes it dtype {array.dtype}")
    if ndim is not None and array.ndim < ndim:
        array = array.reshape((1,) * (ndim - array.ndim) + array.shape)
    if ndim is not None and array.ndim != ndim:
        raise GraphTypeError(f"expected {ndim} dimensions, got {array.ndim} (shape {array.shape})")
    array.setflags(write=False)
    made = (NumberConstant if weak else TensorConstant)(TensorType(array.dtype.name, array.shape), array, label(name))
    if weak:
        made.number = value  # type: ignore[attr-defined]  # it is a NumberConstant
    return made


def alone(value: Number) -> str:
    """The dtype of a Python number that has no neighbours."""
    if isinstance(value, builtins.bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return config.floatX
    return "complex64" if config.floatX in ("float16", "float32") else "complex128"


def as_tensor(x: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> TensorVariable:
    """`x` as a tensor variable: itself, a constant, or (a list with variables in it) a stack.

    `ndim` adds axes of length 1 on the left, or drops such axes there. Raises GraphTypeError.
    """
    if isinstance(x, TensorVariable):
        if dtype is not None and dtype_name(dtype) != x.type.dtype:
            raise DTypeError(f"expected dtype {dtype}, got {x.type}", inputs=[x], help=f"use x.astype('{dtype}')")
        return x if ndim is None or ndim == x.type.ndim else _with_rank(x, ndim)
    if isinstance(x, Apply):
        return as_tensor(x.out, name, ndim, dtype)
    if isinstance(x, Variable):
        raise GraphTypeError(f"expected a tensor, got {x} ({x.type})", inputs=[x])
    if isinstance(x, (list, tuple)) and has_variables(x):
        from refgraph.ops.joining import stack_nested

        return as_tensor(stack_nested(x), name, ndim, dtype)
    return constant(x, name, ndim, dtype)


def has_variables(x: Any) -> bool:
    """Whether a nest of lists and tuples has a variable in it."""
    return any(has_variables(y) if isinstance(y, (list, tuple)) else isinstance(y, Variable) for y in x)


def _with_rank(x: TensorVariable, ndim: int) -> TensorVariable:
    if ndim > x.ndim:
        return x.dimshuffle(*["x"] * (ndim - x.ndim), *range(x.ndim))
    extra = x.ndim - ndim
    if not all(x.broadcastable[:extra]):
        raise GraphTypeError(f"expected {ndim} dimensions, got {x.type}", inputs=[x])
    return x.dimshuffle(*range(extra, x.ndim))


def weak_constant(value: Number, dtype: str, name: str | None = None) -> TypedNumber:
    """A Python number as a 0-d constant of its neighbours' dtype; it keeps its spelling as its name."""
    array = np.array(value, dtype)
    array.setflags(write=False)
    made = TypedNumber(TensorType(dtype, ()), array, repr(value) if name is None else name)
    made.number = value
    return made
