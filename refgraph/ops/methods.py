"""Operators and methods of tensor variables: NumPy's and Theano's names, each one line to the op that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import SymbolicValueError

if TYPE_CHECKING:
    from refgraph.ops.tensor import TensorType, TensorVariable

Axis = int | Sequence[int] | None

# One line a method.
# fmt: off


class TensorMethods:
    """What TensorVariable can do; see NumPy's documentation of the same names."""

    __slots__ = ()
    type: TensorType
    __array_priority__ = 1000

    # arithmetic
    def __add__(self, other: Any) -> TensorVariable: return ops.elementwise.add(self, other)
    def __radd__(self, other: Any) -> TensorVariable: return ops.elementwise.add(other, self)
    def __sub__(self, other: Any) -> TensorVariable: return ops.elementwise.sub(self, other)
    def __rsub__(self, other: Any) -> TensorVariable: return ops.elementwise.sub(other, self)
    def __mul__(self, other: Any) -> TensorVariable: return ops.elementwise.mul(self, other)
    def __rmul__(self, other: Any) -> TensorVariable: return ops.elementwise.mul(other, self)
    def __truediv__(self, other: Any) -> TensorVariable: return ops.elementwise.true_div(self, other)
    def __rtruediv__(self, other: Any) -> TensorVariable: return ops.elementwise.true_div(other, self)
    def __floordiv__(self, other: Any) -> TensorVariable: return ops.elementwise.floor_div(self, other)
    def __rfloordiv__(self, other: Any) -> TensorVariable: return ops.elementwise.floor_div(other, self)
    def __mod__(self, other: Any) -> TensorVariable: return ops.elementwise.mod(self, other)
    def __rmod__(self, other: Any) -> TensorVariable: return ops.elementwise.mod(other, self)
    def __divmod__(self, other: Any) -> tuple[TensorVariable, TensorVariable]: return self // other, self % other
    def __rdivmod__(self, other: Any) -> tuple[TensorVariable, TensorVariable]: return other // self, other % self
    def __pow__(self, other: Any) -> TensorVariable: return ops.elementwise.pow(self, other)
    def __rpow__(self, other: Any) -> TensorVariable: return ops.elementwise.pow(other, self)
    def __neg__(self) -> TensorVariable: return ops.elementwise.neg(self)
    def __pos__(self) -> TensorVariable: return self  # type: ignore[return-value]  # the mixin of TensorVariable
    def __abs__(self) -> TensorVariable: return ops.elementwise.abs(self)
    def __matmul__(self, other: Any) -> TensorVariable: return ops.linalg.matmul(self, other)
    def __rmatmul__(self, other: Any) -> TensorVariable: return ops.linalg.matmul(other, self)

    # bits, logic, comparison; == and != are identity, as in Theano: T.eq and T.neq compare
    def __and__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_and(self, other)
    def __rand__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_and(other, self)
    def __or__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_or(self, other)
    def __ror__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_or(other, self)
    def __xor__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_xor(self, other)
    def __rxor__(self, other: Any) -> TensorVariable: return ops.elementwise.bitwise_xor(other, self)
    def __invert__(self) -> TensorVariable: return ops.elementwise.invert(self)
    def __lshift__(self, other: Any) -> TensorVariable: return ops.elementwise.left_shift(self, other)
    def __rlshift__(self, other: Any) -> TensorVariable: return ops.elementwise.left_shift(other, self)
    def __rshift__(self, other: Any) -> TensorVariable: return ops.elementwise.right_shift(self, other)
    def __rrshift__(self, other: Any) -> TensorVariable: return ops.elementwise.right_shift(other, self)
    def __lt__(self, other: Any) -> TensorVariable: return ops.elementwise.lt(self, other)
    def __le__(self, other: Any) -> TensorVariable: return ops.elementwise.le(self, other)
    def __gt__(self, other: Any) -> TensorVariable: return ops.elementwise.gt(self, other)
    def __ge__(self, other: Any) -> TensorVariable: return ops.elementwise.ge(self, other)

    # rounding
    def __round__(self, ndigits: int = 0) -> TensorVariable: return self.round(ndigits)
    def __floor__(self) -> TensorVariable: return ops.elementwise.floor(self)
    def __ceil__(self) -> TensorVariable: return ops.elementwise.ceil(self)
    def __trunc__(self) -> TensorVariable: return ops.elementwise.trunc(self)

    # elementwise methods
    def exp(self) -> TensorVariable: return ops.elementwise.exp(self)
    def exp2(self) -> TensorVariable: return ops.elementwise.exp2(self)
    def expm1(self) -> TensorVariable: return ops.elementwise.expm1(self)
    def log(self) -> TensorVariable: return ops.elementwise.log(self)
    def log2(self) -> TensorVariable: return ops.elementwise.log2(self)
    def log10(self) -> TensorVariable: return ops.elementwise.log10(self)
    def log1p(self) -> TensorVariable: return ops.elementwise.log1p(self)
    def sqrt(self) -> TensorVariable: return ops.elementwise.sqrt(self)
    def sin(self) -> TensorVariable: return ops.elementwise.sin(self)
    def cos(self) -> TensorVariable: return ops.elementwise.cos(self)
    def tan(self) -> TensorVariable: return ops.elementwise.tan(self)
    def arcsin(self) -> TensorVariable: return ops.elementwise.arcsin(self)
    def arccos(self) -> TensorVariable: return ops.elementwise.arccos(self)
    def arctan(self) -> TensorVariable: return ops.elementwise.arctan(self)
    def sinh(self) -> TensorVariable: return ops.elementwise.sinh(self)
    def cosh(self) -> TensorVariable: return ops.elementwise.cosh(self)
    def tanh(self) -> TensorVariable: return ops.elementwise.tanh(self)
    def arcsinh(self) -> TensorVariable: return ops.elementwise.arcsinh(self)
    def arccosh(self) -> TensorVariable: return ops.elementwise.arccosh(self)
    def arctanh(self) -> TensorVariable: return ops.elementwise.arctanh(self)
    def deg2rad(self) -> TensorVariable: return ops.elementwise.deg2rad(self)
    def rad2deg(self) -> TensorVariable: return ops.elementwise.rad2deg(self)
    def floor(self) -> TensorVariable: return ops.elementwise.floor(self)
    def ceil(self) -> TensorVariable: return ops.elementwise.ceil(self)
    def trunc(self) -> TensorVariable: return ops.elementwise.trunc(self)
    def conj(self) -> TensorVariable: return ops.elementwise.conj(self)
    def conjugate(self) -> TensorVariable: return ops.elementwise.conj(self)
    def clip(self, a_min: Any, a_max: Any) -> TensorVariable: return ops.elementwise.clip(self, a_min, a_max)
    def astype(self, dtype: Any) -> TensorVariable: return ops.elementwise.cast(self, dtype)
    def fill(self, value: Any) -> TensorVariable: return ops.elementwise.fill(self, value)
    def copy(self, name: str | None = None) -> TensorVariable: return ops.elementwise.identity(self, name=name)

    def round(self, decimals: int | str = 0, mode: str | None = None) -> TensorVariable:
        return ops.elementwise.round(self, decimals=decimals, mode=mode)

    @property
    def real(self) -> TensorVariable: return ops.elementwise.real(self)
    @property
    def imag(self) -> TensorVariable: return ops.elementwise.imag(self)

    # reductions
    def sum(self, axis: Axis = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> TensorVariable:
        return ops.reductions.sum(self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype)

    def prod(
        self, axis: Axis = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None, no_zeros_in_input: bool = False
    ) -> TensorVariable:
        return ops.reductions.prod(
            self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype, no_zeros_in_input=no_zeros_in_input
        )

    def mean(self, axis: Axis = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> TensorVariable:
        return ops.reductions.mean(self, axis=axis, dtype=dtype, keepdims=keepdims, acc_dtype=acc_dtype)

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> TensorVariable:
        return ops.reductions.var(self, axis=axis, ddof=ddof, keepdims=keepdims, corrected=corrected)

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> TensorVariable:
        return ops.reductions.std(self, axis=axis, ddof=ddof, keepdims=keepdims, corrected=corrected)

    def max(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.max(self, axis, keepdims)
    def min(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.min(self, axis, keepdims)
    def argmax(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.argmax(self, axis, keepdims)
    def argmin(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.argmin(self, axis, keepdims)
    def ptp(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.ptp(self, axis, keepdims)
    def all(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.all(self, axis, keepdims)
    def any(self, axis: Axis = None, keepdims: bool = False) -> TensorVariable: return ops.reductions.any(self, axis, keepdims)
    def cumsum(self, axis: int | None = None) -> TensorVariable: return ops.cumulative.cumsum(self, axis)
    def cumprod(self, axis: int | None = None) -> TensorVariable: return ops.cumulative.cumprod(self, axis)

    def norm(self, L: Any, axis: Axis = None, keepdims: bool = False) -> TensorVariable:
        return ops.reductions.norm(self, L, axis, keepdims)

    # shape
    @property
    def shape(self) -> TensorVariable:
        """The lengths, as an int64 vector; `x.shape[i]` is one of them."""
        return ops.shape.shape(self)

    @property
    def size(self) -> TensorVariable:
        """The number of elements, an int64 scalar."""
        return ops.shape.size(self)

    @property
    def T(self) -> TensorVariable: return ops.shape.transpose(self)
    @property
    def mT(self) -> TensorVariable: return ops.shape.swapaxes(self, -1, -2)

    def dimshuffle(self, *order: Any) -> TensorVariable:
        """Reorder axes; 'x' adds one of length 1; an axis left out must have length 1. `x.dimshuffle(1, 'x', 0)`."""
        return ops.shape.dimshuffle(self, order[0] if len(order) == 1 and isinstance(order[0], (list, tuple)) else order)

    def transpose(self, *axes: Any) -> TensorVariable:
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (list, tuple))) else axes
        return ops.shape.transpose(self, given or None)

    def reshape(self, *shape: Any, ndim: int | None = None) -> TensorVariable:
        return ops.shape.reshape(self, shape[0] if len(shape) == 1 else shape, ndim=ndim)

    def swapaxes(self, axis1: int, axis2: int) -> TensorVariable: return ops.shape.swapaxes(self, axis1, axis2)
    def flatten(self, ndim: int = 1) -> TensorVariable: return ops.shape.flatten(self, ndim)
    def ravel(self) -> TensorVariable: return ops.shape.flatten(self, 1)
    def squeeze(self, axis: Axis = None) -> TensorVariable: return ops.shape.squeeze(self, axis)
    def repeat(self, repeats: Any, axis: int | None = None) -> TensorVariable: return ops.joining.repeat(self, repeats, axis)
    def zeros_like(self, dtype: Any = None) -> TensorVariable: return ops.construct.zeros_like(self, dtype)
    def ones_like(self, dtype: Any = None) -> TensorVariable: return ops.construct.ones_like(self, dtype)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TensorVariable:
        return ops.construct.diagonal(self, offset, axis1, axis2)

    # linear algebra
    def dot(self, other: Any) -> TensorVariable: return ops.linalg.dot(self, other)
    def __dot__(self, other: Any) -> TensorVariable: return ops.linalg.dot(self, other)
    def __rdot__(self, other: Any) -> TensorVariable: return ops.linalg.dot(other, self)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TensorVariable:
        return ops.linalg.trace(self, offset, axis1, axis2)

    # indexing and sorting
    def __getitem__(self, index: Any) -> TensorVariable: return ops.indexing.index(self, index)
    def take(self, indices: Any, axis: int | None = None, mode: str = "raise") -> TensorVariable: return ops.indexing.take(self, indices, axis, mode)
    def choose(self, choices: Any, mode: str = "raise") -> TensorVariable: return ops.indexing.choose(self, choices, mode)
    def compress(self, condition: Any, axis: int | None = None) -> TensorVariable: return ops.indexing.compress(condition, self, axis)
    def nonzero(self, return_matrix: bool = False) -> Any: return ops.indexing.nonzero(self, return_matrix)
    def nonzero_values(self) -> TensorVariable: return ops.indexing.nonzero_values(self)
    def sort(self, axis: int | None = -1, kind: str = "quicksort", order: None = None) -> TensorVariable: return ops.sorting.sort(self, axis, kind, order)
    def argsort(self, axis: int | None = -1, kind: str = "quicksort", order: None = None) -> TensorVariable: return ops.sorting.argsort(self, axis, kind, order)
    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> TensorVariable: return ops.sorting.searchsorted(self, v, side, sorter)

    def __iter__(self) -> Iterator[TensorVariable]:
        """The items along the first axis, where its length is known."""
        return ops.indexing.iterate(self)

    # values, which only a call has
    if TYPE_CHECKING:  # installed by refgraph.interp.function, which is where running lives

        def eval(self, inputs_to_values: Mapping[Any, Any] | None = None, **options: Any) -> Any: ...

    def get_scalar_constant_value(self) -> Any:
        """The value, if it is a single number that the graph already fixes."""
        return ops.construct.get_scalar_constant_value(self)

    def __len__(self) -> NoReturn:
        raise SymbolicValueError(f"len({self}): the length is known only when a function runs", help="use x.shape[0]")

    def __bool__(self) -> NoReturn:
        raise SymbolicValueError(
            f"bool({self}): the value is known only when a function runs",
            help="for a choice inside the graph use T.switch(condition, a, b); to test whether a variable was given, `is not None`",
            inputs=[self],  # type: ignore[list-item]
        )

    def __float__(self) -> NoReturn: self._no_value("float")
    def __int__(self) -> NoReturn: self._no_value("int")
    def __complex__(self) -> NoReturn: self._no_value("complex")
    def __index__(self) -> NoReturn: self._no_value("operator.index")

    def _no_value(self, what: str) -> NoReturn:
        raise SymbolicValueError(
            f"{what}({self}): the value is known only when a function runs",
            help="compute it with x.eval({...}) or refgraph.function; to convert inside the graph use x.astype(dtype)",
            inputs=[self],  # type: ignore[list-item]
        )

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise SymbolicValueError(
            f"{self}[...] = value: variables do not change",
            help="write  x = T.set_subtensor(x[...], value)  and use the result (T.inc_subtensor adds)",
            inputs=[self],  # type: ignore[list-item]
        )

    def __contains__(self, item: Any) -> NoReturn:
        raise SymbolicValueError(f"`in` on {self}: the values are known only when a function runs", help="use T.any(T.eq(x, item))")

    # NumPy's functions on variables
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self._no_value("np.asarray")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from refgraph.ops.numpy_dispatch import ufunc as dispatch  # loads when NumPy first asks

        return dispatch(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        from refgraph.ops.numpy_dispatch import function as dispatch

        return dispatch(function, args, kwargs)
