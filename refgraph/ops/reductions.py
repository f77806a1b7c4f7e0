"""Reductions, one row each, and what is built of them. A row is the whole truth about its reduction.

In every row z is the output, with the reduced axes kept at length 1, and x the input; `d` gives dz/dx, an array of x's
shape; `c` says how one loop would do it; `on` is where tests draw x. Names here shadow Python's own sum, max, ...: those
are `builtins.sum`.
"""

from __future__ import annotations

import builtins
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Apply
from refgraph.core.op import BadSample, Derivatives, Op, Sample, declare, declared, is_zero
from refgraph.ops import elementwise as e
from refgraph.ops.families import Reals, conj, full_shape, times
from refgraph.ops.lengths import axes_of
from refgraph.ops.linear import no_tangent, same_kind
from refgraph.ops.tensor import CONTINUOUS, Cache, TensorType, TensorVariable, as_tensor, dtype_name

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

Axes = tuple[int, ...]
AxisLike = Any  # None, an integer, a sequence of integers, or a constant variable holding either


# --- dtypes: rules from the input's dtype to the output's and the accumulator's (None: NumPy's own) ---------------------


_WIDER = {"float16": "float32", "float32": "float64", "complex64": "complex128"}
_DTypes = tuple[str, str | None]


def _own(dtype: str) -> _DTypes:
    """The input's dtype."""
    return dtype, None


def widened(dtype: str) -> _DTypes:
    """Integers widen to 64 bits; floats keep their dtype and accumulate in the next wider one."""
    kind = np.dtype(dtype).kind
    out = "int64" if kind in "bi" else "uint64" if kind == "u" else dtype
    return out, _WIDER.get(out, out)


def _averaged(dtype: str) -> _DTypes:
    """Integers become float64; floats keep their dtype and accumulate in the next wider one."""
    out = dtype if dtype in CONTINUOUS else "float64"
    return out, _WIDER.get(out, out)


def _length(dtype: str) -> _DTypes:
    """As averages, and real."""
    return _averaged({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))


def _always(out: str) -> Callable[[str], _DTypes]:
    return lambda dtype: (out, None)


# --- the family ---------------------------------------------------------------------------------------------------------


_USES: tuple[tuple[str, tuple[int, ...], dict[str, Any]], ...] = (
    ("all", (3, 4), {}),
    ("axis1", (3, 4), {"axis": 1}),
    ("axis0-keepdims", (3, 4), {"axis": 0, "keepdims": True}),
    ("axis0", (3, 4), {"axis": 0}),
    ("axis-negative", (2, 3, 4), {"axis": -2}),
    ("axes-outer", (2, 3, 4), {"axis": (0, 2)}),
    ("axes-list-keepdims", (2, 3, 4), {"axis": [-1, 1], "keepdims": True}),
    ("axes-none-named", (3, 4), {"axis": ()}),
    ("axis-numpy-integer", (3, 4), {"axis": np.int8(1)}),
    ("all-keepdims", (3, 4), {"keepdims": True}),
    ("0-d", (), {}),
    ("0-d-axes-none-named", (), {"axis": (), "keepdims": True}),
    ("length-1", (3, 1), {"axis": 1}),
    ("length-1-keepdims", (3, 1), {"axis": 1, "keepdims": True}),
    ("length-1-leading-keepdims", (1, 3), {"axis": 0, "keepdims": True}),
    ("row", (1, 3), {"axis": 1}),
    ("empty", (0, 3), {"axis": 0}),
    ("empty-keepdims", (0, 3), {"axis": 0, "keepdims": True}),
    ("empty-last", (3, 0), {"axis": 1}),
    ("empty-last-keepdims", (3, 0), {"axis": 1, "keepdims": True}),
    ("empty-all", (3, 0), {}),
    ("empty-kept", (0, 3), {"axis": 1}),
    ("empty-kept-keepdims", (0, 3), {"axis": 1, "keepdims": True}),
    ("empty-kept-last", (3, 0), {"axis": 0}),
    ("empty-kept-last-keepdims", (3, 0), {"axis": 0, "keepdims": True}),
    ("empty-kept-axes-outer", (2, 0, 3), {"axis": (0, 2)}),
)
_DTYPE_NAMES = ("bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "complex64", "complex128")


def _reduces_nothing(use: tuple[str, tuple[int, ...], dict[str, Any]]) -> bool:
    """Whether one of the reduced axes is empty."""
    _, shape, options = use
    return 0 in [shape[a] for a in np.ravel(options.get("axis", range(len(shape))))]


def _quiet(judge: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """NumPy's answer, without its warnings."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return judge(*args, **options)


class Fold:
    """A reduction as a loop in C: accumulator {a} begins at `start` (None: at the first element), `step` gives its next
    value for an element {x}, and `finish` the result, {n} being the number of elements."""

    __slots__ = ("finish", "start", "step")

    def __init__(self, start: str | None, step: str, finish: str = "{a}") -> None:
        self.start, self.step, self.finish = start, step, finish


class Row:
    """A reduction before it is told its axes.

    `numpy(x, axis, acc, keepdims)` is the meaning: a ufunc that reduces, or a function of an array, a tuple of axes, a
    dtype to accumulate in (None: NumPy's choice) and a bool. `judge(x, axis=, keepdims=)` is NumPy's or SciPy's own
    function for the same, for tests. `dtypes` is the rule for output and accumulator, `kinds` are the dtype kinds that x
    may have. `d(z, x, axis)` is the partial derivative of z by each element of x: an array of x's shape or a scalar; a
    bool array selects; a number; or None where the output has no derivative. `linear` says that the derivative of the
    reduction is the reduction itself. `empty` says whether nothing can be reduced. `c` is a Fold, where one loop can do it.
    `ufunc` is the ufunc that reduces, where one does.
    """

    def __init__(
        self,
        name: str,
        numpy: Callable[..., Any],
        judge: Callable[..., Any],
        *,
        dtypes: Callable[[str], _DTypes],
        d: Any,
        on: Reals,
        c: Fold | None = None,
        linear: bool = False,
        empty: bool = True,
        doc: str = "",
    ) -> None:
        self.name, self.judge, self.dtypes, self.d, self.on, self.c = name, judge, dtypes, d, on, c
        self.linear, self.empty = linear, empty
        self.ufunc = numpy if isinstance(numpy, np.ufunc) else None
        self.meaning = numpy if self.ufunc is None else _reducer(self.ufunc)
        self.__doc__ = doc
        self._made: dict[Any, Reduction] = {}
        declare(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return declared, (self.name,)

    def over(
        self, x: Any, axis: AxisLike = None, keepdims: bool = False, dtype: Any = None, acc_dtype: Any = None
    ) -> TensorVariable:
        """x reduced along `axis`."""
        x = as_tensor(x)
        key = (axes_of(self.name, axis, x), bool(keepdims), dtype, acc_dtype)
        op = self._made.get(key)
        if op is None:
            op = self._made.setdefault(key, Reduction(self, *key))
        return op.make_node(x).outputs[0]  # type: ignore[return-value]  # infer gives tensor types

    def samples(self) -> Iterator[Sample]:
        """Every axis form in float64 and float32, and a few in every dtype that the row accepts."""
        uses = [use for use in _USES if self.empty or not _reduces_nothing(use)]
        for id, shape, options in uses:
            yield self._sample(id, self._drawn(id, shape, "float64" if "f" in self.on.kinds else "int64"), options)
        for dtype in _DTYPE_NAMES:
            if np.dtype(dtype).kind in self.on.kinds:
                for id, shape, options in uses if dtype == "float32" else uses[:3]:
                    yield self._sample(f"{dtype}-{id}", self._drawn(dtype + id, shape, dtype), options)
        x = self._drawn("strided", (4, 6), "float64" if "f" in self.on.kinds else "int64")
        yield self._sample("strided", x[::-1, ::2], {"axis": 1})
        yield self._sample("transposed", x.T, {"axis": 0})

    def _sample(self, id: str, x: Any, options: dict[str, Any]) -> Sample:
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}  # NumPy takes no list
        has_value = x.size > 0 or np.all(np.isfinite(_quiet(self.judge, x, **given)))  # not so the mean of nothing
        return Sample(
            id,
            lambda x: self.over(x, **options),
            (x,),
            lambda x: _quiet(self.judge, x, **given),
            None if has_value else (),
        )

    def _drawn(self, id: str, shape: tuple[int, ...], dtype: str) -> Any:
        import zlib  # here, as drawing is for tests, and importing takes time

        rng, kind = np.random.default_rng(zlib.crc32(f"{self.name}-{id}".encode())), np.dtype(dtype).kind
        low, high = self.on.low, self.on.high
        if kind == "b":
            return rng.integers(0, 2, shape).astype(bool)
        if kind in "iu":
            return rng.integers(0 if kind == "u" else int(np.ceil(low)), int(high), shape, endpoint=True).astype(dtype)
        values = rng.uniform(low, high, shape) + (1j * rng.uniform(low, high, shape) if kind == "c" else 0)
        return np.asarray(values).astype(dtype)

    def bad_samples(self) -> Iterator[BadSample]:
        """Axes that are not there, dtypes without meaning, and nothing where something is needed."""
        x = self._drawn("bad", (2, 3), "int64")
        yield BadSample("axis-out-of-range", lambda x: self.over(x, 2), (x,), AxisError, self.name)
        yield BadSample("axis-negative-out-of-range", lambda x: self.over(x, (0, -3)), (x,), AxisError, "-3")
        yield BadSample("axis-twice", lambda x: self.over(x, (1, -1)), (x,), AxisError, "repeated")
        yield BadSample("axis-of-scalar", lambda x: self.over(x, 0), (x[0, 0],), AxisError, self.name)
        yield BadSample("axis-not-integer", lambda x: self.over(x, 0.5), (x,), DTypeError, self.name)
        if "c" not in self.on.kinds:
            yield BadSample("complex", self.over, (x + 0j,), DTypeError, "complex128")
        if not self.empty:
            yield BadSample("empty", lambda x: self.over(x, 0), (x[:0],), ValueError)


class PlainRow(Row):
    """A reduction whose dtype is its own."""

    def __call__(self, x: Any, axis: AxisLike = None, keepdims: bool = False) -> TensorVariable:
        return self.over(x, axis, keepdims)


class AccumulatingRow(Row):
    """A reduction that can be told its output's dtype and the dtype to accumulate in."""

    def __call__(
        self, x: Any, axis: AxisLike = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None
    ) -> TensorVariable:
        return self.over(x, axis, keepdims, dtype, acc_dtype)


def _reducer(ufunc: np.ufunc) -> Callable[..., Any]:
    reduce: Any = ufunc.reduce
    return lambda x, axis, acc, keepdims: reduce(x, axis, acc, None, keepdims)


class Reduction(Op):
    """A row of the table along given axes: the family that backends write kernels for.

    `axis` is a sorted tuple of numbers from 0; `keepdims` keeps the reduced axes with length 1. `dtype` is the output's
    and `acc_dtype` the accumulator's, None for the row's rule: `dtypes_for(dtype)` answers both. `row` holds the rest.
    """

    __props__ = ("name", "axis", "keepdims", "dtype", "acc_dtype")

    def __init__(self, row: Row, axis: Axes, keepdims: bool = False, dtype: Any = None, acc_dtype: Any = None) -> None:
        self.row, self.name, self.axis, self.keepdims = row, row.name, axis, keepdims
        self.dtype = None if dtype is None else dtype_name(dtype)
        self.acc_dtype = None if acc_dtype is None else dtype_name(acc_dtype)
        self._types: Cache[TensorType, tuple[TensorType]] = Cache()
        self._dtypes: dict[Any, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Reduction, (self.row, self.axis, self.keepdims, self.dtype, self.acc_dtype)

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        found = self._types.get(x.type)
        if found is None:
            found = self._types[x.type] = (TensorType(self._checked_dtypes(x)[0], self._shape(x)),)
        return found

    def _shape(self, x: TensorVariable) -> tuple[int | None, ...]:
        lengths = x.type.shape
        if not self.row.empty:
            for a in self.axis:
                if lengths[a] == 0:
                    raise ShapeError(
                        f"{self.name}: axis {a} of {x.type} is empty",
                        why=f"{self.name} of no elements has no value",
                        inputs=[x],
                    )
        if self.keepdims:
            return tuple([1 if a in self.axis else n for a, n in enumerate(lengths)])
        return tuple([n for a, n in enumerate(lengths) if a not in self.axis])

    def _checked_dtypes(self, x: TensorVariable) -> _DTypes:
        given = x.type.dtype
        if x.type.numpy_dtype.kind not in self.row.on.kinds:
            raise DTypeError(f"{self.name} has no meaning for {given}", inputs=[x], help="convert with x.astype(...)")
        if self.axis and self.axis[-1] >= x.type.ndim:
            axes_of(self.name, self.axis, x)
        out = self.row.dtypes(given)[0]
        if self.dtype is not None and not _may_become(out, self.dtype):
            raise DTypeError(
                f"{self.name}: dtype={self.dtype} cannot hold the {self.name} of {given}",
                help="convert the input or the result with .astype(...) to lose information on purpose",
                inputs=[x],
            )
        if self.acc_dtype is not None and not _may_accumulate(given, self.acc_dtype, self.dtype or out):
            raise DTypeError(
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
            both_integers = self.dtype not in CONTINUOUS and out not in CONTINUOUS
            acc = wide if both_integers else np.promote_types(acc or out, wide or self.dtype).name
            out = self.dtype
        return out, self.acc_dtype or acc

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        lengths = enumerate(known.of(node.inputs[0]))
        return [[1 if a in self.axis else n for a, n in lengths if self.keepdims or a not in self.axis]]

    def impl(self, x: Any) -> Any:
        found = self._dtypes.get(x.dtype)
        if found is None:
            names = self.dtypes_for(x.dtype.name)
            found = self._dtypes[x.dtype] = [None if name is None else np.dtype(name) for name in names]
        out, acc = found
        z = self.row.meaning(x, self.axis, acc, self.keepdims)
        return z if z.dtype == out else z.astype(out)

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        x: Any
        (g,), (x,) = cotangents, node.inputs
        if g is None or self.row.d is None:
            return (None,)
        if is_zero(g) or is_zero(self.row.d):
            return (0,)
        p = self._partial(node)
        term = times(self._kept(g), conj(p), node)
        is_full = isinstance(p, TensorVariable) and p.type.ndim == x.type.ndim
        return (same_kind(term if is_full else full_shape(term, x), x),)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (t,), z = tangents, node.outputs[0]
        if t is None or self.row.d is None:
            return (None,)
        if is_zero(t) or is_zero(self.row.d):
            return (0,)
        if self.row.linear:
            return (same_kind(self.make_node(t).outputs[0], z),)
        term = times(t, self._partial(node), node)
        return (same_kind(sum.over(term, self.axis, self.keepdims), z),)

    def _partial(self, node: Apply) -> Any:
        d = self.row.d
        return d(self._kept(node.outputs[0]), node.inputs[0], self.axis) if callable(d) else d

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        axis = tuple([a + 1 for a in self.axis])
        return [self.row.over(batch.inputs[0], axis, self.keepdims, self.dtype, self.acc_dtype)]

    def _kept(self, z: Any) -> Any:
        """z so that it broadcasts against x: the reduced axes back at length 1, unless leading, where broadcasting does it."""
        axis = self.axis
        if self.keepdims or axis == tuple(range(len(axis))):
            return z
        kept = iter(range(z.type.ndim))
        return z.dimshuffle(*["x" if a in axis else next(kept) for a in range(z.type.ndim + len(axis))])


def _may_become(out: str, dtype: str) -> bool:
    """Whether `dtype=` may ask for this dtype where the rule says `out`: integers wrap as NumPy's, nothing else is lost."""
    kinds = np.dtype(out).kind + np.dtype(dtype).kind
    return np.can_cast(out, dtype, "same_kind") or builtins.all(k in "iu" for k in kinds)


def _may_accumulate(dtype: str, acc: str, out: str) -> bool:
    """Whether an accumulator loses nothing, as Theano has it: floats may stand for integers, not the other way round."""
    if acc.startswith("complex") and not out.startswith("complex"):
        return False
    return (acc in CONTINUOUS and dtype not in CONTINUOUS) or np.promote_types(dtype, acc).name == acc


# --- meanings that are no ufunc -----------------------------------------------------------------------------------------

_add: Any = np.add.reduce  # not as NumPy types them: they take positional arguments, and the result is an array
_greatest: Any = np.maximum.reduce


def _mean(x: Any, axis: Axes, acc: Any, keepdims: bool) -> Any:
    return _add(x, axis, acc, None, keepdims) / _length_of(x.shape, axis)


def _norm(x: Any, axis: Axes, acc: Any, keepdims: bool) -> Any:
    if len(axis) == x.ndim:
        parts = np.ravel(x, "K")
        parts = parts.view(parts.real.dtype).astype(acc, copy=False)
        z = np.sqrt(np.dot(parts, parts))
        return z.reshape((1,) * x.ndim) if keepdims else z
    lengths = np.abs(x, dtype=acc) if x.dtype.kind == "c" else x.astype(acc, copy=False)
    return np.sqrt(_add(lengths * lengths, axis, acc, None, keepdims))


def _logsumexp(x: Any, axis: Axes, acc: Any, keepdims: bool) -> Any:
    x = x.astype(acc, copy=False)
    top = _greatest(x, axis, None, None, True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0).astype(acc)
    below = np.asarray(x - top)
    z = np.log(_add(np.exp(below, out=below), axis, None, None, True)) + top
    return z if keepdims else z.reshape([n for a, n in enumerate(x.shape) if a not in axis])


def _count_nonzero(x: Any, axis: Axes, acc: Any, keepdims: bool) -> Any:
    return _add(np.not_equal(x, 0), axis, "int64", None, keepdims)


def _position(find: Callable[..., Any]) -> Callable[..., Any]:
    """Where `find` finds along the axes, flattened in C order."""

    def meaning(x: Any, axis: Axes, acc: Any, keepdims: bool) -> Any:
        kept = [a for a in range(x.ndim) if a not in axis]
        lengths = [x.shape[a] for a in kept]
        found = find(x.transpose((*kept, *axis)).reshape((*lengths, _length_of(x.shape, axis))), axis=-1)
        return found.reshape([1 if a in axis else n for a, n in enumerate(x.shape)]) if keepdims else found

    return meaning


def _length_of(shape: Sequence[int], axis: Axes) -> int:
    return math.prod([shape[a] for a in axis])


# --- judges, where NumPy has no function of these dtypes and axes -------------------------------------------------------


def _floating(x: Any) -> Any:
    return x if x.dtype.kind in "fc" else x.astype("float64")


def _reduced(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda x, axis=None, keepdims=False: ufunc.reduce(x, axis=axis, keepdims=keepdims)


def _first_position(extreme: Callable[..., Any]) -> Callable[..., Any]:
    """The least position, counted over the axes in C order, at which x is extreme."""

    def judge(x: Any, axis: AxisLike = None, keepdims: bool = False) -> Any:
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
        axes = tuple(sorted(a % x.ndim for a in axes))
        n = _length_of(x.shape, axes)
        number = np.arange(n).reshape([x.shape[a] if a in axes else 1 for a in range(x.ndim)])
        at = np.where(x == extreme(x, axis=axes, keepdims=True), number, n)
        return at.min(axis=axes, keepdims=keepdims, initial=n)

    return judge


# --- the table ----------------------------------------------------------------------------------------------------------
# fmt: off

_ANY  = Reals(-4, 4, edges=(0.0, -0.0))
_REAL = Reals(-4, 4, edges=(0.0, -0.0), kinds="biuf")
_BITS = Reals(-100, 100, kinds="biu")

sum = AccumulatingRow("sum", np.add, np.sum, dtypes=widened, d=1, linear=True, on=_ANY, c=Fold("0", "{a} + {x}"),
    doc="The sum of the elements; 0 of none.")
mean = AccumulatingRow("mean", _mean, np.mean, dtypes=_averaged, d=lambda z, x, axis: _reciprocal(count(x, axis), z), linear=True, on=_ANY, c=Fold("0", "{a} + {x}", "{a} / {n}"),
    doc="The arithmetic mean; NaN of none.")
_prod = AccumulatingRow("prod", np.multiply, np.prod, dtypes=widened, d=lambda z, x, axis: _product_of_others(z, x, axis), on=_ANY, c=Fold("1", "{a} * {x}"),
    doc="The product of the elements; 1 of none. Derivatives of every order hold at any number of zeros.")
_prod_no_zeros = AccumulatingRow("prod_no_zeros", np.multiply, np.prod, dtypes=widened, d=lambda z, x, axis: z / x, on=Reals(0.5, 2), c=Fold("1", "{a} * {x}"),
    doc="The product of elements none of which is 0: the derivative divides by them.")
max = PlainRow("max", np.maximum, np.max, dtypes=_own, d=lambda z, x, axis: e.eq(x, z), empty=False, on=_REAL, c=Fold(None, "{x} > {a} || {x} != {x} ? {x} : {a}"),
    doc="The greatest element, NaN where there is one. Where several are greatest the derivative by each is 1; where it is NaN, 0.")
min = PlainRow("min", np.minimum, np.min, dtypes=_own, d=lambda z, x, axis: e.eq(x, z), empty=False, on=_REAL, c=Fold(None, "{x} < {a} || {x} != {x} ? {x} : {a}"),
    doc="The least element, NaN where there is one. Where several are least the derivative by each is 1; where it is NaN, 0.")
argmax = PlainRow("argmax", _position(np.argmax), _first_position(np.max), dtypes=_always("int64"), d=None, empty=False, on=_REAL,
    doc="Where the greatest element is: the first where several are, in C order over the axes; the first NaN where there is one.")
argmin = PlainRow("argmin", _position(np.argmin), _first_position(np.min), dtypes=_always("int64"), d=None, empty=False, on=_REAL,
    doc="Where the least element is: the first where several are, in C order over the axes; the first NaN where there is one.")
all = PlainRow("all", np.logical_and, np.all, dtypes=_always("bool"), d=0, on=_ANY, c=Fold("1", "{a} && {x}"),
    doc="Whether no element is 0; true of none.")
any = PlainRow("any", np.logical_or, np.any, dtypes=_always("bool"), d=0, on=_ANY, c=Fold("0", "{a} || {x}"),
    doc="Whether some element is not 0; false of none.")
count_nonzero = PlainRow("count_nonzero", _count_nonzero, np.count_nonzero, dtypes=_always("int64"), d=0, on=_ANY, c=Fold("0", "{a} + ({x} != 0)"),
    doc="How many elements are not 0.")
logsumexp = PlainRow("logsumexp", _logsumexp, lambda x, axis=None, keepdims=False: np.log(np.sum(np.exp(_floating(x)), axis=axis, keepdims=keepdims)),
    dtypes=_averaged, d=lambda z, x, axis: _share(z, x, axis), on=_REAL,
    doc="log(sum(exp(x))) without overflow; -inf of none. The derivatives sum to 1: where it is infinite, those that are equal to it have equal shares.")
_norm2 = PlainRow("norm", _norm, lambda x, axis=None, keepdims=False: np.sqrt(np.sum(np.abs(_floating(x)) ** 2, axis=axis, keepdims=keepdims)),
    dtypes=_length, d=lambda z, x, axis: e.switch(e.eq(z, 0), 0, conj(x) / z), on=_ANY, c=Fold("0", "{a} + {x} * {x}", "sqrt({a})"),
    doc="The Euclidean length, real also of complex elements. At 0, where it has no derivative, 0 is taken, the least subgradient.")
bitwise_and_reduce = PlainRow("bitwise_and_reduce", np.bitwise_and, _reduced(np.bitwise_and), dtypes=_own, d=0, on=_BITS, c=Fold("-1", "{a} & {x}"),
    doc="The bits that are set in every element; all bits of none.")
bitwise_or_reduce = PlainRow("bitwise_or_reduce", np.bitwise_or, _reduced(np.bitwise_or), dtypes=_own, d=0, on=_BITS, c=Fold("0", "{a} | {x}"),
    doc="The bits that are set in some element.")
bitwise_xor_reduce = PlainRow("bitwise_xor_reduce", np.bitwise_xor, _reduced(np.bitwise_xor), dtypes=_own, d=0, on=_BITS, c=Fold("0", "{a} ^ {x}"),
    doc="The bits that are set in an odd number of elements.")

# fmt: on
# --- built of rows ------------------------------------------------------------------------------------------------------


def prod(
    x: Any,
    axis: AxisLike = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    no_zeros_in_input: bool = False,
) -> TensorVariable:
    """The product of the elements; 1 of none. `no_zeros_in_input` promises that there are none: a cheaper derivative."""
    row = _prod_no_zeros if no_zeros_in_input else _prod
    return row(x, axis, dtype, keepdims, acc_dtype)


def max_and_argmax(a: Any, axis: AxisLike = None, keepdims: bool = False) -> list[TensorVariable]:
    """The greatest element and where it is: `[max(a, axis), argmax(a, axis)]`."""
    return [max(a, axis, keepdims), argmax(a, axis, keepdims)]


def ptp(a: Any, axis: AxisLike = None, keepdims: bool = False) -> TensorVariable:
    """Peak to peak: the greatest element less the least."""
    return max(a, axis, keepdims) - min(a, axis, keepdims)


def var(
    x: Any, axis: AxisLike = None, ddof: float = 0, keepdims: bool = False, corrected: bool = False
) -> TensorVariable:
    """The mean of the squared distances from the mean, real also of complex elements: sum(|x - mean|**2) / (n - ddof).

    `corrected` takes the mean of the distances away once more, for what rounding left in it (Chan, Golub and LeVeque,
    "Algorithms for computing the sample variance", 1983). Integers give float64; float16 computes in float32.
    """
    x, axes = as_tensor(x), axes_of("var", axis, as_tensor(x))
    c = _centered(x, axes, corrected)
    squares = c.real * c.real + c.imag * c.imag if c.type.is_complex else c * c
    if ddof == 0:
        v = mean(squares, axes, keepdims=keepdims)
    else:
        v = sum(squares, axes, keepdims=keepdims)
        v = v * _reciprocal(_freedom(x, axes, ddof), v)
    return v.astype("float16") if x.type.dtype == "float16" else v


def std(
    x: Any, axis: AxisLike = None, ddof: float = 0, keepdims: bool = False, corrected: bool = False
) -> TensorVariable:
    """The square root of `var`. Where it is 0 it has no derivative; as for `norm`, 0 is taken."""
    x, axes = as_tensor(x), axes_of("std", axis, as_tensor(x))
    length = _norm2(_centered(x, axes, corrected), axes, keepdims)
    n = _freedom(x, axes, ddof)
    root = e.sqrt(n) if isinstance(n, TensorVariable) else n**0.5
    s: TensorVariable = length * _reciprocal(root, length)
    return s.astype("float16") if x.type.dtype == "float16" else s


def _centered(x: TensorVariable, axes: Axes, corrected: bool) -> TensorVariable:
    x = x.astype("float32") if x.type.dtype == "float16" else x
    c = x - mean(x, axes, keepdims=True)
    return c - mean(c, axes, keepdims=True) if corrected else c


def _freedom(x: TensorVariable, axes: Axes, ddof: float) -> Any:
    """Degrees of freedom, at least 0: the number of elements less ddof."""
    n = count(x, axes)
    if isinstance(n, TensorVariable):
        return e.maximum(n - ddof, 0) if ddof else n
    return builtins.max(n - ddof, 0)


def norm(x: Any, ord: Any = None, axis: AxisLike = None, keepdims: bool = False) -> TensorVariable:
    """The norm of the elements along `axis`, taken as one vector whatever the number of axes.

    ord: None, 2 or "fro" for the Euclidean length; 1, inf, -inf; 0 counts the elements that are not 0; any other number p
    is sum(|x|**p)**(1/p), which has no derivative at the zero vector (nor, for p < 1, where an element is 0): NaN there.
    """
    x = as_tensor(x)
    if ord is None or ord == 2 or ord == "fro":
        return _norm2(x, axis, keepdims)
    if isinstance(ord, str):
        raise GraphTypeError(
            f'norm: ord={ord!r} is not a number, None or "fro"', help="norms of matrices are in T.nlinalg"
        )
    if ord == 0:
        n = count_nonzero(x, axis, keepdims)
        return n.astype(_length(x.type.dtype)[0])
    lengths = e.abs(x if x.type.is_continuous else x.astype("float64"))
    if ord == np.inf:
        return max(lengths, axis, keepdims)
    if ord == -np.inf:
        return min(lengths, axis, keepdims)
    if ord == 1:
        return sum(lengths, axis, keepdims=keepdims)
    power: TensorVariable = sum(lengths**ord, axis, keepdims=keepdims) ** (1 / ord)
    return power


# --- counting -----------------------------------------------------------------------------------------------------------


@declare
class Count(Op):
    """How many elements of x are reduced into one along `axis`: a 0-d int64."""

    __props__ = ("axis",)
    name = "count"
    measures = (0,)
    measures = (0,)

    def __init__(self, axis: Axes) -> None:
        self.axis = axis

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        return (TensorType("int64", ()),)

    def impl(self, x: Any) -> Any:
        return np.int64(_length_of(x.shape, self.axis))

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [Count(tuple([a + 1 for a in self.axis]))(batch.inputs[0])]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for axis in ((), (0,), (0, 2)):
            yield Sample(
                f"{list(axis)}",
                cls(axis),
                (np.zeros((2, 3, 4)),),
                lambda x, axis=axis: np.int64(_length_of(x.shape, axis)),
            )


def count(x: TensorVariable, axis: Axes) -> Any:
    """The number of elements along `axis`: an int where known, else a 0-d int64 variable."""
    lengths = [x.type.shape[a] for a in axis]
    return Count(axis)(x) if None in lengths else math.prod(lengths)


def _share(z: Any, x: Any, axis: Axes) -> Any:
    """exp(x - z), what each element has of the sum of exp(x); equal shares for those equal to an infinite z."""
    greatest = e.isinf(z) & e.eq(x, z)
    shares = -e.log(sum.over(greatest, axis, True).astype(z.type.dtype))
    return e.exp(e.switch(greatest, shares, x - z))


def _reciprocal(n: Any, z: Any) -> Any:
    """1 / n, as a Python number where n is one (inf for 0), else in the real dtype of z."""
    if not isinstance(n, TensorVariable):
        return 1 / n if n else float("inf")
    dtype = _length(z.type.dtype)[0]
    p = e.true_div(1.0, n)
    return p if p.type.dtype == dtype else p.astype(dtype)


# --- products without division: what the derivatives of prod and cumprod are --------------------------------------------


def _product_of_others(z: Any, x: Any, axis: Axes) -> Any:
    return ProductOfOthers(axis)(x if x.type.is_continuous else x.astype(z.type.dtype))


@declare
class ProductOfOthers(Op):
    """For each element the product of all others along `axis`: the derivative of the product, whatever is 0.

    With further inputs g1, ..., gm of x's shape: the coefficient of e1*...*em in the product of all other x + g1*e1 + ... +
    gm*em, where every e*e is 0. That makes the family closed: <h, op(x, gs)> is the coefficient of e1*...*em*e in the
    product of all x + g1*e1 + ... + gm*em + h*e, so its derivative by x is op(x, gs, h), and by gi the same without gi.
    """

    __props__ = ("axis",)
    name = "product_of_others"

    def __init__(self, axis: Axes) -> None:
        self.axis = axis

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        dtype = np.result_type(*[x.type.numpy_dtype for x in inputs]).name
        return (TensorType(dtype, inputs[0].type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def impl(self, *inputs: Any) -> Any:
        shape, ndim = inputs[0].shape, inputs[0].ndim
        kept = [a for a in range(ndim) if a not in self.axis]
        order = (*self.axis, *kept)
        rows = [x.transpose(order).reshape((_length_of(shape, self.axis), *[shape[a] for a in kept])) for x in inputs]
        out = _others(rows[0]) if len(rows) == 1 else _others_nilpotent(rows)
        return out.reshape([shape[a] for a in order]).transpose(np.argsort(order))

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (h,) = cotangents
        if h is None or is_zero(h):
            return (h,) * len(node.inputs)
        x, *gs = [conj(v) for v in node.inputs]
        by_g = [lambda i=i: self(x, *gs[:i], *gs[i + 1 :], h) for i in range(len(gs))]
        return lambda: self(x, *gs, h), *by_g

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        x, *gs = node.inputs
        terms = []
        for i, t in enumerate(tangents):
            if t is not None and not is_zero(t):
                terms.append(self(x, *gs, t) if i == 0 else self(x, *gs[: i - 1], t, *gs[i:]))
        if not terms:
            return (no_tangent(tangents),)
        return (builtins.sum(terms[1:], terms[0]),)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        axis = tuple([a + 1 for a in self.axis])
        return [ProductOfOthers(axis)(*[batch.spread(i) for i in range(len(batch.inputs))])]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x = np.array([[1.5, 0.0, -2.0], [0.5, 0.0, 1.0]])
        g, h = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, 0.7]]), np.array([[1.0, 2.0, -0.5], [0.2, 0.4, 1.1]])
        yield Sample("axis0", cls((0,)), (x,), lambda x: x[::-1])
        yield Sample("axis1", cls((1,)), (x,), lambda x: np.array([[0, -3.0, 0], [0, 0.5, 0]]))
        yield Sample("axes", cls((0, 1)), (x,), lambda x: np.zeros((2, 3)))
        yield Sample("no-axes", cls(()), (x,), np.ones_like)
        yield Sample("0-d", cls(()), (np.array(3.0),), np.ones_like)
        yield Sample("empty", cls((0,)), (x[:0],), np.ones_like)
        yield Sample("complex", cls((0,)), (x + 1j * h,), lambda x: x[::-1])
        yield Sample("one-g", cls((0,)), (x, g), lambda x, g: g[::-1])
        yield Sample("two-g", cls((0, 1)), (x, g, h))


def _others(x: Any) -> Any:
    """Products of all other rows: those before times those after; by division where no product is 0 or out of range."""
    z = np.multiply.reduce(x, axis=0)
    size = np.abs(z)
    if np.all((size >= np.finfo(size.dtype).tiny) & (size < np.inf)):
        return z / x
    out = np.ones_like(x)
    out[1:] = np.multiply.accumulate(x[:-1], axis=0)
    out[:-1] *= np.multiply.accumulate(x[:0:-1], axis=0)[::-1]
    return out


def _others_nilpotent(rows: Sequence[Any]) -> Any:
    """As `_others`, of x + g1*e1 + ... + gm*em; numbers are arrays of coefficients, that of e1*e3 at place 0b101."""
    x, *gs = rows
    size = 1 << len(gs)
    numbers = np.zeros((len(x), size, *x.shape[1:]), np.result_type(*rows))
    numbers[:, 0] = x
    for i, g in enumerate(gs):
        numbers[:, 1 << i] = g
    one = np.zeros_like(numbers, shape=numbers.shape[1:])
    one[0] = 1
    before = [one]
    for number in numbers[:-1]:
        before.append(_multiplied(before[-1], number))
    after, out = one, np.zeros(x.shape, numbers.dtype)
    for i in range(len(x) - 1, -1, -1):
        out[i] = _multiplied(before[i], after)[-1]
        after = _multiplied(after, numbers[i])
    return out


def _multiplied(a: Any, b: Any) -> Any:
    """The product of two numbers a0 + a1*e1 + a2*e2 + a3*e1*e2 + ..., where every e*e is 0."""
    out = np.zeros_like(a)
    for place in range(len(a)):
        part = place
        while True:  # all subsets of the bits of place
            out[place] += a[part] * b[place ^ part]
            if part == 0:
                break
            part = (part - 1) & place
    return out
