"""Reductions, one row each, and what is built of them. A row is the whole truth about its reduction.

In every row z is the output, with the reduced axes kept at length 1, and x the input; `d` gives dz/dx, an array of x's
shape; `c` says how one loop would do it; `on` is where tests draw x. Helpers have underscore names, so
`from ... import *` means the ops. Names here shadow Python's own sum, max, ...: those are `_builtins.sum`.
"""

from __future__ import annotations

import builtins as _builtins
import math as _math
import warnings as _warnings
import zlib as _zlib
from collections.abc import Callable as _Callable
from collections.abc import Iterator as _Iterator
from collections.abc import Sequence as _Sequence
from typing import Any as _Any
from typing import NamedTuple as _NamedTuple

import numpy as _np

from refgraph.core.errors import AxisError as _AxisError
from refgraph.core.errors import DTypeError as _DTypeError
from refgraph.core.errors import GraphTypeError as _GraphTypeError
from refgraph.core.errors import ShapeError as _ShapeError
from refgraph.core.graph import Apply as _Apply
from refgraph.core.graph import Constant as _Constant
from refgraph.core.op import BadSample as _BadSample
from refgraph.core.op import Derivatives as _Derivatives
from refgraph.core.op import Op as _Op
from refgraph.core.op import Sample as _Sample
from refgraph.core.op import declare as _declare
from refgraph.core.op import is_zero as _is_zero
from refgraph.ops import elementwise as _e
from refgraph.ops.families import Reals as _Reals
from refgraph.ops.families import conj as _conj
from refgraph.ops.families import full_shape as _full_shape
from refgraph.ops.families import same_kind as _same_kind
from refgraph.ops.families import times as _times
from refgraph.ops.tensor import CONTINUOUS as _CONTINUOUS
from refgraph.ops.tensor import TensorType as _TensorType
from refgraph.ops.tensor import TensorVariable as _TensorVariable
from refgraph.ops.tensor import as_tensor as _as_tensor
from refgraph.ops.tensor import dtype_name as _dtype_name

_Axes = tuple[int, ...]
_AxisLike = _Any  # None, an integer, a sequence of integers, or a constant variable holding either


# --- axes ---------------------------------------------------------------------------------------------------------------


def axes_of(op: str, axis: _AxisLike, x: _TensorVariable) -> _Axes:
    """The axes of x that `axis` means, as sorted numbers from 0: all for None, one for an integer, each of a sequence.

    Takes NumPy integers, integer arrays and constant variables too. Raises AxisError for an axis that x does not have or
    that is named twice, DTypeError (a TypeError) for what is no integer.
    """
    ndim = x.type.ndim
    if axis is None:
        return tuple(range(ndim))
    if axis.__class__ is int and 0 <= axis < ndim:
        return (axis,)
    from refgraph.ops.shape import one_axis

    value = axis.value if isinstance(axis, _Constant) else axis
    given = value.tolist() if isinstance(value, _np.ndarray) else value
    found = sorted([one_axis(op, a, ndim, x) for a in (given if isinstance(given, (list, tuple)) else [given])])
    if len(set(found)) < len(found):
        raise _AxisError(f"{op}: an axis of {ndim} is named twice in axis={axis!r}", help="name it once", inputs=[x])
    return tuple(found)


# --- dtypes: rules from the input's dtype to the output's and the accumulator's (None: NumPy's own) ---------------------


_WIDER = {"float16": "float32", "float32": "float64", "complex64": "complex128"}
_DTypes = tuple[str, str | None]


def _own(dtype: str) -> _DTypes:
    """The input's dtype."""
    return dtype, None


def _widened(dtype: str) -> _DTypes:
    """Integers widen to 64 bits; floats keep their dtype and accumulate in the next wider one."""
    kind = _np.dtype(dtype).kind
    out = "int64" if kind in "bi" else "uint64" if kind == "u" else dtype
    return out, _WIDER.get(out, out)


def _averaged(dtype: str) -> _DTypes:
    """Integers become float64; floats keep their dtype and accumulate in the next wider one."""
    out = dtype if dtype in _CONTINUOUS else "float64"
    return out, _WIDER.get(out, out)


def _length(dtype: str) -> _DTypes:
    """As averages, and real."""
    return _averaged({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))


def _always(out: str) -> _Callable[[str], _DTypes]:
    return lambda dtype: (out, None)


# --- the family ---------------------------------------------------------------------------------------------------------


_USES: tuple[tuple[str, tuple[int, ...], dict[str, _Any]], ...] = (
    ("all", (3, 4), {}),
    ("axis1", (3, 4), {"axis": 1}),
    ("axis0-keepdims", (3, 4), {"axis": 0, "keepdims": True}),
    ("axis0", (3, 4), {"axis": 0}),
    ("axis-negative", (2, 3, 4), {"axis": -2}),
    ("axes-outer", (2, 3, 4), {"axis": (0, 2)}),
    ("axes-list-keepdims", (2, 3, 4), {"axis": [-1, 1], "keepdims": True}),
    ("axes-none-named", (3, 4), {"axis": ()}),
    ("axis-numpy-integer", (3, 4), {"axis": _np.int8(1)}),
    ("all-keepdims", (3, 4), {"keepdims": True}),
    ("0-d", (), {}),
    ("0-d-axes-none-named", (), {"axis": (), "keepdims": True}),
    ("length-1", (3, 1), {"axis": 1}),
    ("row", (1, 3), {"axis": 1}),
    ("empty", (0, 3), {"axis": 0}),
    ("empty-kept", (0, 3), {"axis": 1}),
)
_DTYPE_NAMES = ("bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "complex64", "complex128")


def _quiet(judge: _Callable[..., _Any], *args: _Any, **options: _Any) -> _Any:
    """NumPy's answer, without its warnings."""
    with _warnings.catch_warnings(), _np.errstate(all="ignore"):
        _warnings.simplefilter("ignore")
        return judge(*args, **options)


class Fold(_NamedTuple):
    """A reduction as a loop in C: accumulator {a} begins at `start` (None: at the first element), `step` gives its next
    value for an element {x}, and `finish` the result, {n} being the number of elements."""

    start: str | None
    step: str
    finish: str = "{a}"


class Row:
    """A reduction before it is told its axes.

    `numpy(x, axis, acc, keepdims)` is the meaning: a ufunc that reduces, or a function of an array, a tuple of axes, a
    dtype to accumulate in (None: NumPy's choice) and a bool. `judge(x, axis=, keepdims=)` is NumPy's or SciPy's own
    function for the same, for tests. `dtypes` is the rule for output and accumulator, `kinds` are the dtype kinds that x
    may have. `d(z, x, axis)` is the partial derivative of z by each element of x: an array of x's shape or a scalar; a
    bool array selects; a number; or None where the output has no derivative. `linear` says that the derivative of the
    reduction is the reduction itself. `empty` says whether nothing can be reduced. `c` is a Fold, where one loop can do it.
    """

    def __init__(
        self,
        name: str,
        numpy: _Callable[..., _Any],
        judge: _Callable[..., _Any],
        *,
        dtypes: _Callable[[str], _DTypes],
        d: _Any,
        on: _Reals,
        c: Fold | None = None,
        linear: bool = False,
        empty: bool = True,
        doc: str = "",
    ) -> None:
        self.name, self.judge, self.dtypes, self.d, self.on, self.c = name, judge, dtypes, d, on, c
        self.linear, self.empty = linear, empty
        self.meaning = _reducer(numpy) if isinstance(numpy, _np.ufunc) else numpy
        self.__doc__ = doc
        self._made: dict[_Any, Reduction] = {}
        _declare(self)

    def over(
        self, x: _Any, axis: _AxisLike = None, keepdims: bool = False, dtype: _Any = None, acc_dtype: _Any = None
    ) -> _TensorVariable:
        """x reduced along `axis`."""
        x = _as_tensor(x)
        key = (axes_of(self.name, axis, x), bool(keepdims), dtype, acc_dtype)
        op = self._made.get(key)
        if op is None:
            op = self._made.setdefault(key, Reduction(self, *key))
        return op.make_node(x).outputs[0]  # type: ignore[return-value]  # infer gives tensor types

    def samples(self) -> _Iterator[_Sample]:
        """Every axis form in float64, and a few in every dtype that the row accepts."""
        for id, shape, options in _USES:
            if self.empty or 0 not in shape:
                yield self._sample(id, self._drawn(id, shape, "float64" if "f" in self.on.kinds else "int64"), options)
        for dtype in _DTYPE_NAMES:
            if _np.dtype(dtype).kind in self.on.kinds:
                for id, shape, options in _USES[:3]:
                    yield self._sample(f"{dtype}-{id}", self._drawn(dtype + id, shape, dtype), options)
        x = self._drawn("strided", (4, 6), "float64" if "f" in self.on.kinds else "int64")
        yield self._sample("strided", x[::-1, ::2], {"axis": 1})
        yield self._sample("transposed", x.T, {"axis": 0})

    def _sample(self, id: str, x: _Any, options: dict[str, _Any]) -> _Sample:
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}  # NumPy takes no list
        has_value = x.size > 0 or _np.all(_np.isfinite(_quiet(self.judge, x, **given)))  # not so the mean of nothing
        return _Sample(
            id,
            lambda x: self.over(x, **options),
            (x,),
            lambda x: _quiet(self.judge, x, **given),
            None if has_value else (),
        )

    def _drawn(self, id: str, shape: tuple[int, ...], dtype: str) -> _Any:
        rng, kind = _np.random.default_rng(_zlib.crc32(f"{self.name}-{id}".encode())), _np.dtype(dtype).kind
        low, high = self.on.low, self.on.high
        if kind == "b":
            return rng.integers(0, 2, shape).astype(bool)
        if kind in "iu":
            return rng.integers(0 if kind == "u" else int(_np.ceil(low)), int(high), shape, endpoint=True).astype(dtype)
        values = rng.uniform(low, high, shape) + (1j * rng.uniform(low, high, shape) if kind == "c" else 0)
        return _np.asarray(values).astype(dtype)

    def bad_samples(self) -> _Iterator[_BadSample]:
        """Axes that are not there, dtypes without meaning, and nothing where something is needed."""
        x = self._drawn("bad", (2, 3), "int64")
        yield _BadSample("axis-out-of-range", lambda x: self.over(x, 2), (x,), _AxisError, self.name)
        yield _BadSample("axis-negative-out-of-range", lambda x: self.over(x, (0, -3)), (x,), _AxisError, "-3")
        yield _BadSample("axis-twice", lambda x: self.over(x, (1, -1)), (x,), _AxisError, "twice")
        yield _BadSample("axis-of-scalar", lambda x: self.over(x, 0), (x[0, 0],), _AxisError, self.name)
        yield _BadSample("axis-not-integer", lambda x: self.over(x, 0.5), (x,), _DTypeError, self.name)
        if "c" not in self.on.kinds:
            yield _BadSample("complex", self.over, (x + 0j,), _DTypeError, "complex128")
        if not self.empty:
            yield _BadSample("empty", lambda x: self.over(x, 0), (x[:0],), ValueError)


class PlainRow(Row):
    """A reduction whose dtype is its own."""

    def __call__(self, x: _Any, axis: _AxisLike = None, keepdims: bool = False) -> _TensorVariable:
        return self.over(x, axis, keepdims)


class AccumulatingRow(Row):
    """A reduction that can be told its output's dtype and the dtype to accumulate in."""

    def __call__(
        self, x: _Any, axis: _AxisLike = None, dtype: _Any = None, keepdims: bool = False, acc_dtype: _Any = None
    ) -> _TensorVariable:
        return self.over(x, axis, keepdims, dtype, acc_dtype)


def _reducer(ufunc: _np.ufunc) -> _Callable[..., _Any]:
    reduce: _Any = ufunc.reduce
    return lambda x, axis, acc, keepdims: reduce(x, axis, acc, None, keepdims)


class Reduction(_Op):
    """A row of the table along given axes: the family that backends write kernels for.

    `axis` is a sorted tuple of numbers from 0; `keepdims` keeps the reduced axes with length 1. `dtype` is the output's
    and `acc_dtype` the accumulator's, None for the row's rule: `dtypes_for(dtype)` answers both. `row` holds the rest.
    """

    __props__ = ("name", "axis", "keepdims", "dtype", "acc_dtype")

    def __init__(
        self, row: Row, axis: _Axes, keepdims: bool = False, dtype: _Any = None, acc_dtype: _Any = None
    ) -> None:
        self.row, self.name, self.axis, self.keepdims = row, row.name, axis, keepdims
        self.dtype = None if dtype is None else _dtype_name(dtype)
        self.acc_dtype = None if acc_dtype is None else _dtype_name(acc_dtype)
        self._types: dict[_TensorType, tuple[_TensorType]] = {}
        self._dtypes: dict[_Any, _Any] = {}

    def infer(self, x: _TensorVariable) -> tuple[_TensorType]:
        found = self._types.get(x.type)
        if found is None:
            found = self._types[x.type] = (_TensorType(self._checked_dtypes(x)[0], self._shape(x)),)
        return found

    def _shape(self, x: _TensorVariable) -> tuple[int | None, ...]:
        lengths = x.type.shape
        if not self.row.empty:
            for a in self.axis:
                if lengths[a] == 0:
                    raise _ShapeError(
                        f"{self.name}: axis {a} of {x.type} is empty",
                        why=f"{self.name} of no elements has no value",
                        inputs=[x],
                    )
        if self.keepdims:
            return tuple([1 if a in self.axis else n for a, n in enumerate(lengths)])
        return tuple([n for a, n in enumerate(lengths) if a not in self.axis])

    def _checked_dtypes(self, x: _TensorVariable) -> _DTypes:
        given = x.type.dtype
        if x.type.numpy_dtype.kind not in self.row.on.kinds:
            raise _DTypeError(f"{self.name} has no meaning for {given}", inputs=[x], help="convert with x.astype(...)")
        if self.axis and self.axis[-1] >= x.type.ndim:
            axes_of(self.name, self.axis, x)
        out = self.row.dtypes(given)[0]
        if self.dtype is not None and not _may_become(out, self.dtype):
            raise _DTypeError(
                f"{self.name}: dtype={self.dtype} cannot hold the {self.name} of {given}",
                help="convert the input or the result with .astype(...) to lose information on purpose",
                inputs=[x],
            )
        if self.acc_dtype is not None and not _may_accumulate(given, self.acc_dtype, self.dtype or out):
            raise _DTypeError(
                f"{self.name}: acc_dtype={self.acc_dtype} cannot accumulate {given} into {self.dtype or out}",
                help="leave acc_dtype out, or convert the input with x.astype(...)",
                inputs=[x],
            )
        return self.dtypes_for(given)

    def dtypes_for(self, dtype: str) -> _DTypes:
        """The output's and the accumulator's dtype for an input's; None: NumPy's choice."""
        out, acc = self.row.dtypes(dtype)
        if self.dtype is not None:
            wide = self.row.dtypes(self.dtype)[1]
            both_integers = self.dtype not in _CONTINUOUS and out not in _CONTINUOUS
            acc = wide if both_integers else _np.promote_types(acc or out, wide or self.dtype).name
            out = self.dtype
        return out, self.acc_dtype or acc

    def impl(self, x: _Any) -> _Any:
        found = self._dtypes.get(x.dtype)
        if found is None:
            names = self.dtypes_for(x.dtype.name)
            found = self._dtypes[x.dtype] = [None if name is None else _np.dtype(name) for name in names]
        out, acc = found
        z = self.row.meaning(x, self.axis, acc, self.keepdims)
        return z if z.dtype == out else z.astype(out)

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        x: _Any
        (g,), (x,) = cotangents, node.inputs
        if g is None or self.row.d is None:
            return (None,)
        if _is_zero(g) or _is_zero(self.row.d):
            return (0,)
        p = self._partial(node)
        term = _times(self._kept(g), _conj(p), node)
        is_full = isinstance(p, _TensorVariable) and p.type.ndim == x.type.ndim
        return (_same_kind(term if is_full else _full_shape(term, x), x),)

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        (t,), z = tangents, node.outputs[0]
        if t is None or self.row.d is None:
            return (None,)
        if _is_zero(t) or _is_zero(self.row.d):
            return (0,)
        if self.row.linear:
            return (_same_kind(self.make_node(t).outputs[0], z),)
        term = _times(t, self._partial(node), node)
        return (_same_kind(sum.over(term, self.axis, self.keepdims), z),)

    def _partial(self, node: _Apply) -> _Any:
        d = self.row.d
        return d(self._kept(node.outputs[0]), node.inputs[0], self.axis) if callable(d) else d

    def _kept(self, z: _Any) -> _Any:
        """z so that it broadcasts against x: the reduced axes back at length 1, unless leading, where broadcasting does it."""
        axis = self.axis
        if self.keepdims or axis == tuple(range(len(axis))):
            return z
        kept = iter(range(z.type.ndim))
        return z.dimshuffle(*["x" if a in axis else next(kept) for a in range(z.type.ndim + len(axis))])


def _may_become(out: str, dtype: str) -> bool:
    """Whether `dtype=` may ask for this dtype where the rule says `out`: integers wrap as NumPy's, nothing else is lost."""
    kinds = _np.dtype(out).kind + _np.dtype(dtype).kind
    return _np.can_cast(out, dtype, "same_kind") or _builtins.all(k in "iu" for k in kinds)


def _may_accumulate(dtype: str, acc: str, out: str) -> bool:
    """Whether an accumulator loses nothing, as Theano has it: floats may stand for integers, not the other way round."""
    if acc.startswith("complex") and not out.startswith("complex"):
        return False
    return (acc in _CONTINUOUS and dtype not in _CONTINUOUS) or _np.promote_types(dtype, acc).name == acc


# --- meanings that are no ufunc -----------------------------------------------------------------------------------------

_add: _Any = _np.add.reduce  # not as NumPy types them: they take positional arguments, and the result is an array
_greatest: _Any = _np.maximum.reduce


def _mean(x: _Any, axis: _Axes, acc: _Any, keepdims: bool) -> _Any:
    return _add(x, axis, acc, None, keepdims) / _length_of(x.shape, axis)


def _norm(x: _Any, axis: _Axes, acc: _Any, keepdims: bool) -> _Any:
    lengths = _np.abs(x, dtype=acc) if x.dtype.kind == "c" else x.astype(acc)
    return _np.sqrt(_add(lengths * lengths, axis, acc, None, keepdims))


def _logsumexp(x: _Any, axis: _Axes, acc: _Any, keepdims: bool) -> _Any:
    x = x.astype(acc)
    top = _greatest(x, axis, None, None, True, initial=-_np.inf)
    top = _np.where(_np.isfinite(top), top, 0).astype(acc)
    z = _np.log(_add(_np.exp(x - top), axis, None, None, True)) + top
    return z if keepdims else z.reshape([n for a, n in enumerate(x.shape) if a not in axis])


def _count_nonzero(x: _Any, axis: _Axes, acc: _Any, keepdims: bool) -> _Any:
    return _add(_np.not_equal(x, 0), axis, "int64", None, keepdims)


def _position(find: _Callable[..., _Any]) -> _Callable[..., _Any]:
    """Where `find` finds along the axes, flattened in C order."""

    def meaning(x: _Any, axis: _Axes, acc: _Any, keepdims: bool) -> _Any:
        kept = [a for a in range(x.ndim) if a not in axis]
        lengths = [x.shape[a] for a in kept]
        found = find(x.transpose((*kept, *axis)).reshape((*lengths, _length_of(x.shape, axis))), axis=-1)
        return found.reshape([1 if a in axis else n for a, n in enumerate(x.shape)]) if keepdims else found

    return meaning


def _length_of(shape: _Sequence[int], axis: _Axes) -> int:
    return _math.prod([shape[a] for a in axis])


# --- judges, where NumPy has no function of these dtypes and axes -------------------------------------------------------


def _floating(x: _Any) -> _Any:
    return x if x.dtype.kind in "fc" else x.astype("float64")


def _reduced(ufunc: _np.ufunc) -> _Callable[..., _Any]:
    return lambda x, axis=None, keepdims=False: ufunc.reduce(x, axis=axis, keepdims=keepdims)


def _first_position(extreme: _Callable[..., _Any]) -> _Callable[..., _Any]:
    """The least position, counted over the axes in C order, at which x is extreme."""

    def judge(x: _Any, axis: _AxisLike = None, keepdims: bool = False) -> _Any:
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
        axes = tuple(sorted(a % x.ndim for a in axes))
        n = _length_of(x.shape, axes)
        number = _np.arange(n).reshape([x.shape[a] if a in axes else 1 for a in range(x.ndim)])
        at = _np.where(x == extreme(x, axis=axes, keepdims=True), number, n)
        return at.min(axis=axes, keepdims=keepdims, initial=n)

    return judge


# --- the table ----------------------------------------------------------------------------------------------------------
# fmt: off

_ANY  = _Reals(-4, 4, edges=(0.0, -0.0))
_REAL = _Reals(-4, 4, edges=(0.0, -0.0), kinds="biuf")
_BITS = _Reals(-100, 100, kinds="biu")

sum = AccumulatingRow("sum", _np.add, _np.sum, dtypes=_widened, d=1, linear=True, on=_ANY, c=Fold("0", "{a} + {x}"),
    doc="The sum of the elements; 0 of none.")
mean = AccumulatingRow("mean", _mean, _np.mean, dtypes=_averaged, d=lambda z, x, axis: _reciprocal(count(x, axis), z), linear=True, on=_ANY, c=Fold("0", "{a} + {x}", "{a} / {n}"),
    doc="The arithmetic mean; NaN of none.")
_prod = AccumulatingRow("prod", _np.multiply, _np.prod, dtypes=_widened, d=lambda z, x, axis: _product_of_others(z, x, axis), on=_ANY, c=Fold("1", "{a} * {x}"),
    doc="The product of the elements; 1 of none. Derivatives of every order hold at any number of zeros.")
_prod_no_zeros = AccumulatingRow("prod_no_zeros", _np.multiply, _np.prod, dtypes=_widened, d=lambda z, x, axis: z / x, on=_Reals(0.5, 2), c=Fold("1", "{a} * {x}"),
    doc="The product of elements none of which is 0: the derivative divides by them.")
max = PlainRow("max", _np.maximum, _np.max, dtypes=_own, d=lambda z, x, axis: _e.eq(x, z), empty=False, on=_REAL, c=Fold(None, "{x} > {a} || {x} != {x} ? {x} : {a}"),
    doc="The greatest element, NaN where there is one. Where several are greatest the derivative by each is 1; where it is NaN, 0.")
min = PlainRow("min", _np.minimum, _np.min, dtypes=_own, d=lambda z, x, axis: _e.eq(x, z), empty=False, on=_REAL, c=Fold(None, "{x} < {a} || {x} != {x} ? {x} : {a}"),
    doc="The least element, NaN where there is one. Where several are least the derivative by each is 1; where it is NaN, 0.")
argmax = PlainRow("argmax", _position(_np.argmax), _first_position(_np.max), dtypes=_always("int64"), d=None, empty=False, on=_REAL,
    doc="Where the greatest element is: the first where several are, in C order over the axes; the first NaN where there is one.")
argmin = PlainRow("argmin", _position(_np.argmin), _first_position(_np.min), dtypes=_always("int64"), d=None, empty=False, on=_REAL,
    doc="Where the least element is: the first where several are, in C order over the axes; the first NaN where there is one.")
all = PlainRow("all", _np.logical_and, _np.all, dtypes=_always("bool"), d=0, on=_ANY, c=Fold("1", "{a} && {x}"),
    doc="Whether no element is 0; true of none.")
any = PlainRow("any", _np.logical_or, _np.any, dtypes=_always("bool"), d=0, on=_ANY, c=Fold("0", "{a} || {x}"),
    doc="Whether some element is not 0; false of none.")
count_nonzero = PlainRow("count_nonzero", _count_nonzero, _np.count_nonzero, dtypes=_always("int64"), d=0, on=_ANY, c=Fold("0", "{a} + ({x} != 0)"),
    doc="How many elements are not 0.")
logsumexp = PlainRow("logsumexp", _logsumexp, lambda x, axis=None, keepdims=False: _np.log(_np.sum(_np.exp(_floating(x)), axis=axis, keepdims=keepdims)),
    dtypes=_averaged, d=lambda z, x, axis: _e.exp(_e.switch(_e.isinf(z) & _e.eq(x, z), 0, x - z)), on=_REAL,
    doc="log(sum(exp(x))) without overflow; -inf of none. At infinities it is the maximum, and so is its derivative: 1 by each that is greatest.")
_norm2 = PlainRow("norm", _norm, lambda x, axis=None, keepdims=False: _np.sqrt(_np.sum(_np.abs(_floating(x)) ** 2, axis=axis, keepdims=keepdims)),
    dtypes=_length, d=lambda z, x, axis: _e.switch(_e.eq(z, 0), 0, _conj(x) / z), on=_ANY, c=Fold("0", "{a} + {x} * {x}", "sqrt({a})"),
    doc="The Euclidean length, real also of complex elements. At 0, where it has no derivative, 0 is taken, the least subgradient.")
bitwise_and_reduce = PlainRow("bitwise_and_reduce", _np.bitwise_and, _reduced(_np.bitwise_and), dtypes=_own, d=0, on=_BITS, c=Fold("-1", "{a} & {x}"),
    doc="The bits that are set in every element; all bits of none.")
bitwise_or_reduce = PlainRow("bitwise_or_reduce", _np.bitwise_or, _reduced(_np.bitwise_or), dtypes=_own, d=0, on=_BITS, c=Fold("0", "{a} | {x}"),
    doc="The bits that are set in some element.")
bitwise_xor_reduce = PlainRow("bitwise_xor_reduce", _np.bitwise_xor, _reduced(_np.bitwise_xor), dtypes=_own, d=0, on=_BITS, c=Fold("0", "{a} ^ {x}"),
    doc="The bits that are set in an odd number of elements.")

# fmt: on
# --- built of rows ------------------------------------------------------------------------------------------------------


def prod(
    x: _Any,
    axis: _AxisLike = None,
    dtype: _Any = None,
    keepdims: bool = False,
    acc_dtype: _Any = None,
    no_zeros_in_input: bool = False,
) -> _TensorVariable:
    """The product of the elements; 1 of none. `no_zeros_in_input` promises that there are none: a cheaper derivative."""
    row = _prod_no_zeros if no_zeros_in_input else _prod
    return row(x, axis, dtype, keepdims, acc_dtype)


def max_and_argmax(a: _Any, axis: _AxisLike = None, keepdims: bool = False) -> list[_TensorVariable]:
    """The greatest element and where it is: `[max(a, axis), argmax(a, axis)]`."""
    return [max(a, axis, keepdims), argmax(a, axis, keepdims)]


def ptp(a: _Any, axis: _AxisLike = None, keepdims: bool = False) -> _TensorVariable:
    """Peak to peak: the greatest element less the least."""
    return max(a, axis, keepdims) - min(a, axis, keepdims)


def var(
    x: _Any, axis: _AxisLike = None, ddof: float = 0, keepdims: bool = False, corrected: bool = False
) -> _TensorVariable:
    """The mean of the squared distances from the mean, real also of complex elements: sum(|x - mean|**2) / (n - ddof).

    `corrected` takes the mean of the distances away once more, for what rounding left in it (Chan, Golub and LeVeque,
    "Algorithms for computing the sample variance", 1983). Integers give float64; float16 computes in float32.
    """
    x, axes = _as_tensor(x), axes_of("var", axis, _as_tensor(x))
    c = _centered(x, axes, corrected)
    squares = c.real * c.real + c.imag * c.imag if c.type.is_complex else c * c
    if ddof == 0:
        v = mean(squares, axes, keepdims=keepdims)
    else:
        v = sum(squares, axes, keepdims=keepdims)
        v = v * _reciprocal(_freedom(x, axes, ddof), v)
    return v.astype("float16") if x.type.dtype == "float16" else v


def std(
    x: _Any, axis: _AxisLike = None, ddof: float = 0, keepdims: bool = False, corrected: bool = False
) -> _TensorVariable:
    """The square root of `var`. Where it is 0 it has no derivative; as for `norm`, 0 is taken."""
    x, axes = _as_tensor(x), axes_of("std", axis, _as_tensor(x))
    length = _norm2(_centered(x, axes, corrected), axes, keepdims)
    n = _freedom(x, axes, ddof)
    root = _e.sqrt(n) if isinstance(n, _TensorVariable) else n**0.5
    s: _TensorVariable = length * _reciprocal(root, length)
    return s.astype("float16") if x.type.dtype == "float16" else s


def _centered(x: _TensorVariable, axes: _Axes, corrected: bool) -> _TensorVariable:
    x = x.astype("float32") if x.type.dtype == "float16" else x
    c = x - mean(x, axes, keepdims=True)
    return c - mean(c, axes, keepdims=True) if corrected else c


def _freedom(x: _TensorVariable, axes: _Axes, ddof: float) -> _Any:
    """Degrees of freedom, at least 0: the number of elements less ddof."""
    n = count(x, axes)
    if isinstance(n, _TensorVariable):
        return _e.maximum(n - ddof, 0) if ddof else n
    return _builtins.max(n - ddof, 0)


def norm(x: _Any, ord: _Any = None, axis: _AxisLike = None, keepdims: bool = False) -> _TensorVariable:
    """The norm of the elements along `axis`, taken as one vector whatever the number of axes.

    ord: None, 2 or "fro" for the Euclidean length; 1, inf, -inf; 0 counts the elements that are not 0; any other number p
    is sum(|x|**p)**(1/p), which has no derivative at the zero vector (nor, for p < 1, where an element is 0): NaN there.
    """
    x = _as_tensor(x)
    if ord is None or ord == 2 or ord == "fro":
        return _norm2(x, axis, keepdims)
    if isinstance(ord, str):
        raise _GraphTypeError(
            f'norm: ord={ord!r} is not a number, None or "fro"', help="norms of matrices are in T.nlinalg"
        )
    if ord == 0:
        n = count_nonzero(x, axis, keepdims)
        return n.astype(_length(x.type.dtype)[0])
    lengths = _e.abs(x if x.type.is_continuous else x.astype("float64"))
    if ord == _np.inf:
        return max(lengths, axis, keepdims)
    if ord == -_np.inf:
        return min(lengths, axis, keepdims)
    if ord == 1:
        return sum(lengths, axis, keepdims=keepdims)
    power: _TensorVariable = sum(lengths**ord, axis, keepdims=keepdims) ** (1 / ord)
    return power


def diff(x: _Any, n: int = 1, axis: int = -1) -> _TensorVariable:
    """Differences of neighbours along an axis, taken n times; of bools, whether they differ."""
    y = _as_tensor(x)
    if n < 0:
        raise _GraphTypeError(f"diff: n={n} is negative")
    before = (slice(None),) * _one_axis("diff", axis, y)
    for _ in range(n):
        above, below = y[(*before, slice(1, None))], y[(*before, slice(None, -1))]
        y = above ^ below if y.type.dtype == "bool" else above - below
    return y


def cumsum(x: _Any, axis: int | None = None) -> _TensorVariable:
    """Running sums along an axis, or of the flattened elements. Integers widen to 64 bits."""
    x, axis = _flat_or_along("cumsum", x, axis)
    return CumSum(axis)(x)  # type: ignore[no-any-return]


def cumprod(x: _Any, axis: int | None = None) -> _TensorVariable:
    """Running products along an axis, or of the flattened elements. Integers widen to 64 bits.

    Derivatives of every order hold at any number of zeros.
    """
    x, axis = _flat_or_along("cumprod", x, axis)
    return CumProd(axis)(x)  # type: ignore[no-any-return]


def _flat_or_along(op: str, x: _Any, axis: int | None) -> tuple[_TensorVariable, int]:
    x = _as_tensor(x)
    if axis is not None:
        return x, _one_axis(op, axis, x)
    return (x if x.type.ndim == 1 else x.flatten()), 0


def _one_axis(op: str, axis: _AxisLike, x: _TensorVariable) -> int:
    from refgraph.ops.shape import one_axis

    return one_axis(op, axis, x.type.ndim, x)


# --- counting -----------------------------------------------------------------------------------------------------------


@_declare
class Count(_Op):
    """How many elements of x are reduced into one along `axis`: a 0-d int64."""

    __props__ = ("axis",)
    name = "count"

    def __init__(self, axis: _Axes) -> None:
        self.axis = axis

    def infer(self, x: _TensorVariable) -> tuple[_TensorType]:
        return (_TensorType("int64", ()),)

    def impl(self, x: _Any) -> _Any:
        return _np.int64(_length_of(x.shape, self.axis))

    @classmethod
    def samples(cls) -> _Iterator[_Sample]:
        for axis in ((), (0,), (0, 2)):
            yield _Sample(
                f"{list(axis)}",
                cls(axis),
                (_np.zeros((2, 3, 4)),),
                lambda x, axis=axis: _np.int64(_length_of(x.shape, axis)),
            )


def count(x: _TensorVariable, axis: _Axes) -> _Any:
    """The number of elements along `axis`: an int where known, else a 0-d int64 variable."""
    lengths = [x.type.shape[a] for a in axis]
    return Count(axis)(x) if None in lengths else _math.prod(lengths)


def _reciprocal(n: _Any, z: _Any) -> _Any:
    """1 / n, as a Python number where n is one (inf for 0), else in the real dtype of z."""
    if not isinstance(n, _TensorVariable):
        return 1 / n if n else float("inf")
    dtype = _length(z.type.dtype)[0]
    p = _e.true_div(1.0, n)
    return p if p.type.dtype == dtype else p.astype(dtype)


# --- products without division: what the derivatives of prod and cumprod are --------------------------------------------


def _product_of_others(z: _Any, x: _Any, axis: _Axes) -> _Any:
    return ProductOfOthers(axis)(x if x.type.is_continuous else x.astype(z.type.dtype))


@_declare
class ProductOfOthers(_Op):
    """For each element the product of all others along `axis`: the derivative of the product, whatever is 0.

    With further inputs g1, ..., gm of x's shape: the coefficient of e1*...*em in the product of all other x + g1*e1 + ... +
    gm*em, where every e*e is 0. That makes the family closed: <h, op(x, gs)> is the coefficient of e1*...*em*e in the
    product of all x + g1*e1 + ... + gm*em + h*e, so its derivative by x is op(x, gs, h), and by gi the same without gi.
    """

    __props__ = ("axis",)
    name = "product_of_others"

    def __init__(self, axis: _Axes) -> None:
        self.axis = axis

    def infer(self, *inputs: _TensorVariable) -> tuple[_TensorType]:
        dtype = _np.result_type(*[x.type.numpy_dtype for x in inputs]).name
        return (_TensorType(dtype, inputs[0].type.shape),)

    def impl(self, *inputs: _Any) -> _Any:
        shape, ndim = inputs[0].shape, inputs[0].ndim
        kept = [a for a in range(ndim) if a not in self.axis]
        order = (*self.axis, *kept)
        rows = [x.transpose(order).reshape((_length_of(shape, self.axis), *[shape[a] for a in kept])) for x in inputs]
        out = _others(rows[0]) if len(rows) == 1 else _others_nilpotent(rows)
        return out.reshape([shape[a] for a in order]).transpose(_np.argsort(order))

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        (h,) = cotangents
        if h is None or _is_zero(h):
            return (h,) * len(node.inputs)
        x, *gs = [_conj(v) for v in node.inputs]
        by_g = [lambda i=i: self(x, *gs[:i], *gs[i + 1 :], h) for i in range(len(gs))]
        return lambda: self(x, *gs, h), *by_g

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        x, *gs = node.inputs
        terms = []
        for i, t in enumerate(tangents):
            if t is not None and not _is_zero(t):
                terms.append(self(x, *gs, t) if i == 0 else self(x, *gs[: i - 1], t, *gs[i:]))
        if not terms:
            return (None if _builtins.all(t is None for t in tangents) else 0,)
        return (_builtins.sum(terms[1:], terms[0]),)

    @classmethod
    def samples(cls) -> _Iterator[_Sample]:
        x = _np.array([[1.5, 0.0, -2.0], [0.5, 0.0, 1.0]])
        g, h = _np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.7]]), _np.array([[1.0, 2.0, -0.5], [0.2, 0.4, 1.1]])
        yield _Sample("axis0", cls((0,)), (x,), lambda x: x[::-1])
        yield _Sample("axis1", cls((1,)), (x,), lambda x: _np.array([[0, -3.0, 0], [0, 0.5, 0]]))
        yield _Sample("axes", cls((0, 1)), (x,), lambda x: _np.zeros((2, 3)))
        yield _Sample("no-axes", cls(()), (x,), _np.ones_like)
        yield _Sample("0-d", cls(()), (_np.array(3.0),), _np.ones_like)
        yield _Sample("empty", cls((0,)), (x[:0],), _np.ones_like)
        yield _Sample("complex", cls((0,)), (x + 1j * h,), lambda x: x[::-1])
        yield _Sample("one-g", cls((0,)), (x, g), lambda x, g: g[::-1])
        yield _Sample("two-g", cls((0, 1)), (x, g, h))


def _others(x: _Any) -> _Any:
    """Products of all other rows: those before times those after."""
    out = _np.ones_like(x)
    out[1:] = _np.multiply.accumulate(x[:-1], axis=0)
    out[:-1] *= _np.multiply.accumulate(x[:0:-1], axis=0)[::-1]
    return out


def _others_nilpotent(rows: _Sequence[_Any]) -> _Any:
    """As `_others`, of x + g1*e1 + ... + gm*em; numbers are arrays of coefficients, that of e1*e3 at place 0b101."""
    x, *gs = rows
    size = 1 << len(gs)
    numbers = _np.zeros((len(x), size, *x.shape[1:]), _np.result_type(*rows))
    numbers[:, 0] = x
    for i, g in enumerate(gs):
        numbers[:, 1 << i] = g
    one = _np.zeros_like(numbers, shape=numbers.shape[1:])
    one[0] = 1
    before = [one]
    for number in numbers[:-1]:
        before.append(_multiplied(before[-1], number))
    after, out = one, _np.zeros(x.shape, numbers.dtype)
    for i in range(len(x) - 1, -1, -1):
        out[i] = _multiplied(before[i], after)[-1]
        after = _multiplied(after, numbers[i])
    return out


def _multiplied(a: _Any, b: _Any) -> _Any:
    """The product of two numbers a0 + a1*e1 + a2*e2 + a3*e1*e2 + ..., where every e*e is 0."""
    out = _np.zeros_like(a)
    for place in range(len(a)):
        part = place
        while True:  # all subsets of the bits of place
            out[place] += a[part] * b[place ^ part]
            if part == 0:
                break
            part = (part - 1) & place
    return out


# --- running sums and products ------------------------------------------------------------------------------------------


class Cumulative(_Op):
    """A ufunc accumulated along one axis, from the far end where `reverse`. Integers widen to 64 bits."""

    __props__ = ("axis", "reverse")
    ufunc: _np.ufunc

    def __init__(self, axis: int, reverse: bool = False) -> None:
        self.axis, self.reverse = axis, reverse

    def infer(self, x: _TensorVariable) -> tuple[_TensorType]:
        return (_TensorType(_widened(x.type.dtype)[0], x.type.shape),)

    def impl(self, x: _Any) -> _Any:
        dtype = _widened(x.dtype.name)[0]
        if self.reverse:
            return _np.flip(self.ufunc.accumulate(_np.flip(x, self.axis), self.axis, dtype), self.axis)
        return self.ufunc.accumulate(x, self.axis, dtype)

    @classmethod
    def samples(cls) -> _Iterator[_Sample]:
        x = _np.random.default_rng(7).uniform(-2, 2, (3, 4))
        x[1, 2] = x[2, 2] = 0
        judge: _Any = {"cumsum": _np.cumsum, "cumprod": _np.cumprod}[cls.name]
        for dtype in ("float64", "float32", "float16", "complex128", "int8", "uint8", "bool"):
            yield _Sample(f"{dtype}-axis0", cls(0), (x.astype(dtype),), lambda x: judge(x, axis=0))
        yield _Sample("axis1", cls(1), (x,), lambda x: judge(x, axis=1))
        yield _Sample("reverse", cls(1, True), (x,), lambda x: judge(x[:, ::-1], axis=1)[:, ::-1])
        yield _Sample("complex-reverse", cls(0, True), (x * (1 + 0.5j),), lambda x: judge(x[::-1], axis=0)[::-1])
        yield _Sample("empty", cls(0), (x[:0],), lambda x: judge(x, axis=0))
        yield _Sample("length-1", cls(0), (x[:1],), lambda x: judge(x, axis=0))
        yield _Sample("strided", cls(1), (x[::2, ::-1],), lambda x: judge(x, axis=1))


@_declare
class CumSum(Cumulative):
    """Running sums."""

    name = "cumsum"
    ufunc = _np.add

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        (g,) = cotangents
        return (g if g is None or _is_zero(g) else CumSum(self.axis, not self.reverse)(g),)

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        (t,) = tangents
        return (t if t is None or _is_zero(t) else self(t),)


@_declare
class CumProd(Cumulative):
    """Running products z. Their derivatives along t satisfy t'[i] = x[i] * t'[i-1] + z[i-1] * t[i], which divides by nothing."""

    name = "cumprod"
    ufunc = _np.multiply

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        (g,), (x,), (z,) = cotangents, node.inputs, node.outputs
        if g is None or _is_zero(g):
            return (g,)
        return (_recurrence_back(self, x, g) * _conj(_neighbour(self, z, 1)),)

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        (t,), (x,), (z,) = tangents, node.inputs, node.outputs
        if t is None or _is_zero(t):
            return (t,)
        return (LinearRecurrence(self.axis, self.reverse)(x, t * _neighbour(self, z, 1)),)


@_declare
class LinearRecurrence(_Op):
    """y[i] = a[i] * y[i-1] + b[i] along `axis`, y being 0 before its beginning; from the far end where `reverse`.

    Its adjoint is the recurrence from the other end.
    """

    __props__ = ("axis", "reverse")
    name = "linear_recurrence"

    def __init__(self, axis: int, reverse: bool = False) -> None:
        self.axis, self.reverse = axis, reverse

    def infer(self, a: _TensorVariable, b: _TensorVariable) -> tuple[_TensorType]:
        dtype = _np.result_type(a.type.numpy_dtype, b.type.numpy_dtype).name
        return (_TensorType(dtype, b.type.shape),)

    def impl(self, a: _Any, b: _Any) -> _Any:
        y = b.astype(_np.result_type(a, b))
        rows, factors = _np.moveaxis(y, self.axis, 0), _np.moveaxis(a, self.axis, 0)
        if self.reverse:
            rows, factors = rows[::-1], factors[::-1]
        for i in range(1, len(rows)):
            rows[i] += factors[i] * rows[i - 1]
        return y

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        (g,), (a, _), (y,) = cotangents, node.inputs, node.outputs
        if g is None or _is_zero(g):
            return g, g
        back = _recurrence_back(self, a, g)
        return (lambda: back * _conj(_neighbour(self, y, 0))), back

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        (ta, tb), (a, _), (y,) = tangents, node.inputs, node.outputs
        terms = [] if ta is None or _is_zero(ta) else [ta * _neighbour(self, y, 0)]
        terms += [] if tb is None or _is_zero(tb) else [tb]
        if not terms:
            return (None if ta is None and tb is None else 0,)
        return (self(a, _builtins.sum(terms[1:], terms[0])),)

    @classmethod
    def samples(cls) -> _Iterator[_Sample]:
        a = _np.array([[9.0, 2.0, 0.0, -1.0], [7.0, 0.5, 3.0, 2.0]])
        b = _np.array([[1.0, 0.5, -1.0, 2.0], [0.0, 1.0, 4.0, -2.0]])
        want = _np.array([[1.0, 2.5, -1.0, 3.0], [0.0, 1.0, 7.0, 12.0]])
        yield _Sample("axis1", cls(1), (a, b), lambda a, b: want)
        yield _Sample("reverse", cls(1, True), (a[:, ::-1], b[:, ::-1]), lambda a, b: want[:, ::-1])
        yield _Sample("axis0", cls(0), (a.T, b.T), lambda a, b: want.T)
        yield _Sample("complex", cls(0), (a.T + 1j, b.T - 2j))
        yield _Sample("empty", cls(1), (a[:, :0], b[:, :0]), lambda a, b: b)


@_declare
class Shift(_Op):
    """x moved one place along `axis`, forwards or backwards; `fill` takes the place that becomes free."""

    __props__ = ("axis", "backwards", "fill")
    name = "shift"

    def __init__(self, axis: int, backwards: bool = False, fill: int = 0) -> None:
        self.axis, self.backwards, self.fill = axis, backwards, fill

    def infer(self, x: _TensorVariable) -> tuple[_TensorType]:
        return (x.type,)

    def impl(self, x: _Any) -> _Any:
        out = _np.full_like(x, self.fill)
        to, of = _np.moveaxis(out, self.axis, 0), _np.moveaxis(x, self.axis, 0)
        if self.backwards:
            to[:-1] = of[1:]
        else:
            to[1:] = of[:-1]
        return out

    def vjp(self, node: _Apply, cotangents: _Derivatives) -> _Derivatives:
        (g,) = cotangents
        return (g if g is None or _is_zero(g) else Shift(self.axis, not self.backwards)(g),)

    def jvp(self, node: _Apply, tangents: _Derivatives) -> _Derivatives:
        (t,) = tangents
        return (t if t is None or _is_zero(t) else Shift(self.axis, self.backwards)(t),)

    @classmethod
    def samples(cls) -> _Iterator[_Sample]:
        x = _np.arange(6.0).reshape(2, 3)
        yield _Sample("forwards", cls(1), (x,), lambda x: _np.array([[0.0, 0, 1], [0, 3, 4]]))
        yield _Sample("backwards", cls(1, True), (x,), lambda x: _np.array([[1.0, 2, 0], [4, 5, 0]]))
        yield _Sample("fill", cls(0, False, 1), (x,), lambda x: _np.array([[1.0, 1, 1], [0, 1, 2]]))
        yield _Sample("empty", cls(0), (x[:0],), lambda x: x)


def _neighbour(op: _Any, z: _Any, fill: int) -> _Any:
    """z[i-1], where op runs from 0 up; z[i+1] where it runs down; `fill` where there is none."""
    return Shift(op.axis, op.reverse, fill)(z)


def _recurrence_back(op: _Any, a: _Any, g: _Any) -> _Any:
    """The adjoint of op's recurrence, with coefficients a, applied to g: w[i] = conj(a[i+1]) * w[i+1] + g[i]."""
    return LinearRecurrence(op.axis, not op.reverse)(_conj(Shift(op.axis, not op.reverse)(a)), g)
