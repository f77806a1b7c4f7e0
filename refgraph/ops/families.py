"""Elemwise: the op class that the rows of `elementwise.py` are made of, and what broadcasting means for derivatives."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core.errors import DTypeError, GraphTypeError, NullTypeGradError, ShapeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import Derivatives, Op, declare, is_zero
from refgraph.core.types import NullType
from refgraph.ops.linear import Linear, same_kind
from refgraph.ops.tensor import (
    DISCRETE,
    DTYPES,
    INTEGERS,
    Cache,
    NumberConstant,
    Shape,
    TensorConstant,
    TensorType,
    TensorVariable,
    TypedNumber,
    alone,
    as_tensor,
)

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

_RANK: dict[Any, int] = {bool: 0, int: 1, float: 2, complex: 3, "b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
"""Python's numbers and NumPy's kinds of dtypes: a number beside a dtype of at least its rank takes that dtype."""
OperandDType = Callable[[int, np.dtype[Any]], np.dtype[Any]]
_SCALARS = {np.dtype(dtype): TensorType(dtype, ()) for dtype in DTYPES}


class Reals:
    """Where tests draw an input of a row: a range, and the points that break naive code.

    `kinds` are NumPy's dtype kinds to draw, b(ool), i(nt), u(int), f(loat), c(omplex): those that the row accepts and
    that have values in the range.
    """

    __slots__ = ("edges", "high", "kinds", "low")

    def __init__(self, low: float, high: float, edges: tuple[float, ...] = (), kinds: str = "biufc") -> None:
        self.low, self.high, self.edges, self.kinds = low, high, edges, kinds


class Elemwise(Op):
    """One scalar function applied to every element, with NumPy's broadcasting and promotion of dtypes.

    `meaning` is a ufunc, the name of one as "module:name" (loaded on first use), or a function of arrays.
    `like` is whose dtypes are the row's, where the meaning is no ufunc or should accept less than it does: a ufunc, or
    a function from dtypes to a sequence that ends with the output's, raising TypeError. `out` is an output dtype that
    depends on nothing. `nary` ops chain when given more inputs, `symbol` is how it prints between operands.
    `d` has one entry an input: a function of (z, *inputs) giving the partial derivative dz/dx in our own ops, or a
    number, or None where none is written. A boolean partial says which elements the derivative flows through.
    `wirtinger` is for complex inputs of functions that are not holomorphic: for each input a function, or a number,
    giving the pair (dz/dx, dz/dconj(x)); where z is real, giving dz/d(re x) + i dz/d(im x) alone.
    `weak` are the inputs that take their dtype from one another, where not all do.
    `idle` tells for an input whether the op would change nothing, so that no node is made.
    `stands_for` is the ufunc of which the meaning is another way to compute the same.
    `measures` are the inputs of which only the shape is read; `commutative` ops may be given their two in any order.
    `c` is one C expression, `on` is where tests draw inputs, `stable_for` lists expressions this op should replace.
    """

    __props__ = ("name",)

    def __init__(
        self,
        name: str,
        meaning: Callable[..., Any] | str,
        *,
        d: Any = None,
        wirtinger: Any = None,
        c: str = "",
        on: Any,
        doc: str = "",
        stable_for: Sequence[Callable[..., Any]] = (),
        like: np.ufunc | str | Callable[..., Sequence[Any]] | None = None,
        out: str | None = None,
        nary: bool = False,
        symbol: str | None = None,
        views: tuple[int, ...] = (),
        weak: tuple[int, ...] | None = None,
        idle: Callable[[TensorVariable], bool] | None = None,
        measures: tuple[int, ...] = (),
        commutative: bool = False,
        stands_for: str | None = None,
    ) -> None:
        self.name = name
        self.on: tuple[Reals, ...] = (on,) if isinstance(on, Reals) else tuple(on)
        self.arity = len(self.on)
        self.d = _per_input(d, self.arity)
        self.wirtinger = None if wirtinger is None else _per_input(wirtinger, self.arity)
        self.c, self.stable_for, self.out = c, tuple(stable_for), out
        self.nary, self.symbol, self.views = nary, symbol, views
        self.__doc__ = doc or f"`{_source(name, meaning)}`, elementwise."
        self.weak, self.idle, self.measures, self.commutative = weak, idle, measures, commutative
        self.meaning, self._like, self.stands_for = meaning, like or stands_for, stands_for or meaning
        self._types: Cache[tuple[TensorType, ...], tuple[TensorType]] = Cache()

    @functools.cached_property
    def impl(self) -> Callable[..., Any]:
        """The meaning, in NumPy; scipy loads when something first needs it."""
        return _load(self.meaning)  # type: ignore[no-any-return]

    @functools.cached_property
    def _ufunc(self) -> Any:
        return _load(self._like or self.meaning)

    def __call__(self, *args: Any, name: str | None = None, dtype: str | None = None) -> TensorVariable:
        for a in args:
            if not isinstance(a, TensorVariable) or a.__class__ is NumberConstant:
                args = operands(self.name, args, self.out == "bool", self.weak, self._operand_dtype)
                break
        result: TensorVariable
        if len(args) != self.arity:
            result = self._fold(args)
        elif self.idle is not None and name is None and self.idle(args[0]):
            result = args[0]
        else:
            result = Apply(self, args, [t.variable() for t in self.infer(*args)]).outputs[0]  # type: ignore[assignment]
        if dtype is not None:
            result = result.astype(dtype)
        if name is not None:
            result.name = name
        return result

    def _fold(self, args: Sequence[Any]) -> Any:
        """More or fewer inputs than a node has, where the op is one that chains."""
        if not self.nary or not args:
            raise GraphTypeError(f"{self.name} takes {self.arity} input{'s' * (self.arity > 1)}, got {len(args)}")
        return functools.reduce(lambda x, y: self.make_node(x, y).outputs[0], args)

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        types = tuple([x.type for x in inputs])
        found = self._types.get(types)
        if found is None:
            shape = types[0].shape if len(types) == 1 else broadcast_shapes(self.name, inputs)
            found = self._types[types] = (TensorType(self.out_dtype(*inputs), shape),)
        return found

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.broadcast(node.inputs)]

    def out_dtype(self, *inputs: TensorVariable) -> str:
        """The output's dtype: NumPy's own answer for the ufunc."""
        try:
            resolved = self._resolve([x.type.numpy_dtype for x in inputs])
        except TypeError:
            raise DTypeError(
                f"{self.name} has no meaning for {' and '.join(x.type.dtype for x in inputs)}",
                help=f"convert with x.astype(...); it takes {', '.join(self._accepted())}",
                inputs=inputs,
            ) from None
        return self.out or np.dtype(resolved[-1]).name

    def _resolve(self, given: Sequence[np.dtype[Any]]) -> Sequence[np.dtype[Any]]:
        """The dtypes that the computation has, the output's last; TypeError where there is no meaning for `given`."""
        if isinstance(self._like or self.meaning, str) and len(set(given)) == 1:  # to say so, SciPy need not load
            if given[0].char in "fd":
                return (*given, given[0])  # it keeps both precisions
            if given[0].kind in "iu" and given[0].itemsize >= 4:
                return (np.dtype("float64"),) * (len(given) + 1)  # it has no loops for integers
        like = self._ufunc
        found = like.resolve_dtypes((*given, *[None] * like.nout)) if isinstance(like, np.ufunc) else like(*given)
        return found

    def loop(self, given: Sequence[np.dtype[Any]]) -> tuple[np.dtype[Any], ...]:
        """The dtypes that it computes in for inputs of these: to which inputs are converted, and the output's, last.

        Raises TypeError where it has no meaning for them.
        """
        found = self._resolve(given)
        out = np.dtype(self.out) if self.out else found[-1]
        if len(found) > self.arity:
            return (*found[: self.arity], out)
        if self.weak is None:
            return (*[out if self.arity > 1 else d for d in given], out)
        return (*[out if i in self.weak else np.dtype(bool) for i in range(self.arity)], out)

    def _operand_dtype(self, i: int, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype that a ufunc computes input i in, where the inputs have `dtype`."""
        try:
            found = self._resolve([dtype] * self.arity)
        except TypeError:
            return dtype
        return found[i] if len(found) > self.arity else dtype

    def _accepted(self) -> list[str]:
        """Kinds of dtypes that it has a meaning for, in words."""
        accepted = []
        for dtype in ("bool", "int64", "uint64", "float64", "complex128"):
            try:
                self._resolve([np.dtype(dtype)] * self.arity)
                accepted.append(dtype.rstrip("12468"))
            except TypeError:
                continue
        return accepted

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        if g is None or is_zero(g):
            return (g,) * self.arity
        flat = [is_zero(d) and not self._is_twofold(node, i) for i, d in enumerate(self.d)]
        return tuple([0 if zero else _Pullback(self, node, i, g) for i, zero in enumerate(flat)])

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        z: Any = node.outputs[0]
        if all(t is None for t in tangents):
            return (None,)
        if not z.type.is_continuous:
            return (0,)
        total: Any = 0
        still: list[Any] = []
        for i, (x, t) in enumerate(zip(node.inputs, tangents, strict=True)):
            term: Any = 0 if t is None or is_zero(t) else self._push(node, i, t)
            if not is_zero(term) and isinstance(term.type, NullType):
                raise NullTypeGradError(term.type.why, node=node)
            total = plus(total, term)
            if is_zero(term):
                still.append(x)
        if is_zero(total):
            return (0,)
        if not all(all(x.type.broadcastable) for x in still):
            total = full_shape(total, z)  # an input that does not move may have made z larger
        return (same_kind(total, z),)

    def _push(self, node: Apply, i: int, t: Any) -> Any:
        """What input i adds to the tangent of the output, moving along t."""
        if self._is_twofold(node, i):
            p, q = self._twofold(node, i)
            return times(t, conj(p), node).real if q is None else plus(times(t, p, node), times(conj(t), q, node))
        return times(t, self._partial(node, i), node)

    def _is_twofold(self, node: Apply, i: int) -> bool:
        """Whether the derivative by this input takes `wirtinger` to say."""
        return self.wirtinger is not None and node.inputs[i].type.is_complex  # type: ignore[attr-defined]

    def _twofold(self, node: Apply, i: int) -> tuple[Any, Any]:
        """(dz/dx, dz/dconj(x)); where z is real, (dz/d(re x) + i dz/d(im x), None)."""
        w = self.wirtinger[i]  # type: ignore[index]
        found = w(node.outputs[0], *node.inputs) if callable(w) else w
        return found if isinstance(found, tuple) else (found, None)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return self.make_node(*batch.aligned()).outputs

    def reuses(self, node: Apply) -> tuple[int, ...]:
        return tuple(range(self.arity)) if isinstance(self.impl, np.ufunc) else ()

    def is_safe(self, out: Any, *arrays: Any) -> bool:
        return all([a.shape == out.shape or a.ndim == 0 for a in arrays])

    def __repr__(self) -> str:
        return self.name

    def __hash__(self) -> int:  # the name is the only property; what merges graphs asks often
        return hash(self.name)

    def _partial(self, node: Apply, i: int) -> Any:
        d = self.d[i]
        if callable(d):
            return d(node.outputs[0], *node.inputs)
        if d is None:
            return NullType(f"the derivative of {self.name} by its input {i} is not written").variable()
        return d


class _Pullback:
    """The cotangent of one input, made only when somebody wants it."""

    __slots__ = ("g", "i", "node", "op")

    def __init__(self, op: Elemwise, node: Apply, i: int, g: Any) -> None:
        self.op, self.node, self.i, self.g = op, node, i, g

    def __call__(self) -> Any:
        op, node, i, g = self.op, self.node, self.i, self.g
        x: Any = node.inputs[i]
        if op._is_twofold(node, i):
            p, q = op._twofold(node, i)
            term = times(g, p, node) if q is None else plus(times(g, conj(p), node), times(conj(g), q, node))
        else:
            p = op._partial(node, i)
            if isinstance(p, Variable) and isinstance(p.type, NullType):
                return p  # reading it raises
            term = times(g, conj(p), node)
        return 0 if is_zero(term) else same_kind(sum_to(term, x, [y for j, y in enumerate(node.inputs) if j != i]), x)


class Power(Elemwise):
    """x ** y, which is refused when the graph is built where an integer would get a constant negative power."""

    def infer(self, *inputs: TensorVariable) -> tuple[TensorType]:
        x, y = inputs
        whole = y.type.dtype in INTEGERS and x.type.dtype in DISCRETE
        if whole and isinstance(y, TensorConstant) and (y.value < 0).any():
            raise DTypeError(
                f"{self.name}: {x.type} to a negative power, {y}, is not an integer",
                help="use 1 / x, x.astype('float64') ** y, or T.float_power(x, y)",
                inputs=inputs,
            )
        return super().infer(*inputs)

    def reuses(self, node: Apply) -> tuple[int, ...]:
        whole = node.outputs[0].type.dtype in DISCRETE  # type: ignore[attr-defined]  # a tensor
        return () if whole else super().reuses(node)  # a negative power is met halfway through an integer's loop


def _source(name: str, meaning: Callable[..., Any] | str) -> str:
    """The function that a row without a text is: numpy.sin, or its own name where neither NumPy nor SciPy has it."""
    if isinstance(meaning, str):
        return meaning.replace(":", ".")
    theirs = meaning.__name__ if isinstance(meaning, np.ufunc) else name
    return f"numpy.{theirs}" if hasattr(np, theirs) else name


def _per_input(entries: Any, arity: int) -> tuple[Any, ...]:
    if entries is None:
        return (None,) * arity
    return tuple(entries) if isinstance(entries, (tuple, list)) else (entries,)


def _load(source: Any) -> Any:
    if not isinstance(source, str):
        return source
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name)


def conj(x: Any) -> Any:
    """The complex conjugate; of a real variable, or a real number, itself."""
    if isinstance(x, TensorVariable):
        return x.conj() if x.type.is_complex else x
    return x.conjugate() if isinstance(x, complex) else x


def times(g: Any, p: Any, node: Apply) -> Any:
    """g * p for a partial p. A boolean p selects, so that no infinity leaks through what is masked; where p is a fresh
    product a * b, it is (g * a) * b, as one writes it.
    """
    if not isinstance(p, TensorVariable):
        if isinstance(p, Variable):
            return p  # a NullType
        return 0 if p == 0 else g if p == 1 else -g if p == -1 else g * p
    maker = p.owner
    if p.type.dtype == "bool":
        from refgraph.ops.elementwise import switch

        return switch(maker.inputs[0], 0, g) if maker is not None and maker.op.name == "invert" else switch(p, g, 0)
    if maker is not None and maker.op.name == "mul" and p not in node.inputs and p not in node.outputs:
        return (g * maker.inputs[0]) * maker.inputs[1]
    return g * p


def plus(a: Any, b: Any) -> Any:
    """a + b, where either may be the number 0."""
    return b if is_zero(a) else a if is_zero(b) else a + b


def operands(
    op: str,
    args: Sequence[Any],
    compares: bool = False,
    among: tuple[int, ...] | None = None,
    computed_in: OperandDType | None = None,
) -> tuple[TensorVariable, ...]:
    """`args` as tensors, where a Python number, or a constant made of one, takes its neighbours' dtype (NEP 50).

    A comparison accepts numbers beyond that dtype. `among` are the inputs that are each other's neighbours, if not all
    are. `computed_in(i, dtype)` is the dtype that input i is computed in among inputs of `dtype`: a number beyond
    `dtype` takes that, as the 256 of `uint8 / 256`. Raises DTypeError for a number that does not fit there either.
    """
    if len(args) == 2 and among is None:  # nearly all calls: the short way
        x, y = args
        if isinstance(x, TensorVariable):
            if type(y) in _RANK and x.__class__ is not NumberConstant:
                return x, _weak(op, y, (x.type.numpy_dtype,), compares, 1, computed_in)
        elif type(x) in _RANK and isinstance(y, TensorVariable) and y.__class__ is not NumberConstant:
            return _weak(op, x, (y.type.numpy_dtype,), compares, 0, computed_in), y
    if any(a.__class__ is NumberConstant for a in args):
        numbers = [a.number if a.__class__ is NumberConstant else a for a in args]
        weighed = operands(op, numbers, compares, among, computed_in)
        return tuple(
            [a if a.__class__ is NumberConstant and a.type is x.type else x for a, x in zip(args, weighed, strict=True)]
        )
    found = [a if isinstance(a, TensorVariable) else None if type(a) in _RANK else _operand(op, a) for a in args]
    if among is not None:
        found = [x if x is not None or i in among else as_tensor(args[i]) for i, x in enumerate(found)]
    dtypes = [x.type.numpy_dtype for i, x in enumerate(found) if x is not None and (among is None or i in among)]
    if not dtypes:
        strongest = max([a for a, x in zip(args, found, strict=True) if x is None], key=lambda a: _RANK[type(a)])
        dtypes = [np.dtype(alone(strongest))]
    return tuple(
        [_weak(op, args[i], dtypes, compares, i, computed_in) if x is None else x for i, x in enumerate(found)]
    )


def _operand(op: str, given: Any) -> TensorVariable:
    """What a user gave as an operand, as a tensor. Raises DTypeError, or what `as_tensor` raises about a variable."""
    try:
        return as_tensor(given)
    except DTypeError as error:
        got = f"{given!r:.60} ({type(given).__name__})"
        raise DTypeError(
            f"{op}: an operand must be a variable, a number or an array of numbers, got {got}",
            why=error.why,
            help="convert it to numbers first" if isinstance(given, str) else error.help,
        ) from None


def _weak(
    op: str, number: Any, dtypes: Sequence[np.dtype[Any]], compares: bool, i: int, computed_in: OperandDType | None
) -> TypedNumber:
    """A Python number beside arrays of `dtypes`, as a constant that keeps its spelling as its name."""
    dtype = dtypes[0] if len(dtypes) == 1 else np.result_type(*dtypes)
    try:
        if _RANK[type(number)] > _RANK[dtype.kind]:
            dtype = np.result_type(dtype, number)
        array = np.array(number, dtype)
    except OverflowError:
        if compares:
            inside = -(2**63) <= number < 2**64
            array = np.array(number if inside else math.inf if number > 0 else -math.inf)
        elif computed_in is not None and (wider := computed_in(i, dtype)) != dtype:
            return _weak(op, number, (wider,), compares, i, None)
        else:
            raise DTypeError(
                f"{op}: the Python number {number} does not fit into {dtype}",
                why="a Python number takes the dtype of the arrays beside it, and nothing is truncated silently",
                help=f"widen the array with .astype(...), or write np.{np.min_scalar_type(number)}({number})",
            ) from None
    array.setflags(write=False)
    made = TypedNumber(_SCALARS[array.dtype], array, repr(number))
    made.number = number
    return made


def broadcast_shapes(op: str, inputs: Sequence[TensorVariable]) -> Shape:
    """The static shape of a broadcast (NumPy's rule); an unknown length may turn out to be 1. Raises ShapeError."""
    shapes = [x.type.shape for x in inputs]
    ndim = max(map(len, shapes))
    out: list[int | None] = []
    for axis in range(-ndim, 0):
        length: int | None = 1
        for shape in shapes:
            if -axis <= len(shape):
                d = shape[axis]
                if d == 1 or d == length:
                    continue
                if length == 1 or length is None:
                    length = d if d is not None or length == 1 else length
                elif d is not None:
                    raise ShapeError(
                        f"{op} cannot broadcast {' with '.join(str(x.type) for x in inputs)}",
                        why=f"axis {axis + ndim} is {length} in one operand and {d} in another",
                        help="make the lengths equal, or make one of them 1",
                        inputs=inputs,
                    )
        out.append(length)
    return tuple(out)


@declare
class SumTo(Linear):
    """Sum away the axes that broadcasting added: the adjoint of broadcasting.

    Inputs: x, and one whose shape is wanted. A view of x when the shapes agree.
    """

    name = "sum_to"
    views = (0,)
    measures = (1,)

    def infer(self, x: TensorVariable, like: TensorVariable) -> tuple[TensorType]:
        return (TensorType(x.type.dtype, like.type.shape),)

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[1])]

    def impl(self, x: Any, like: Any) -> Any:
        if x.shape == like.shape:
            return x
        added = x.ndim - like.ndim
        axes = [added + i for i, n in enumerate(like.shape) if n == 1 and x.shape[added + i] != 1]
        return np.add.reduce(x, axis=(*range(added), *axes), keepdims=True, dtype=x.dtype).reshape(like.shape)

    def transpose(self, g: Any, x: Any, *rest: Any) -> Any:
        return full_shape(g, x)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        if not batch.marked[0]:
            return [self(batch.inputs[0], batch.blank_item(1))]
        x, added = batch.inputs[0], batch.rank(0) - batch.rank(1)
        if batch.marked[1]:
            target = batch.padded(1, batch.rank(0))
        else:
            target = batch.blank([batch.count, *[1] * added, *batch.lengths(1)])
        return [batch.without(self(x, target), range(1, added + 1))]


SUM_TO = SumTo()


def full_shape(g: Any, like: Any) -> Any:
    """g broadcast to the shape of `like`; g itself where that is known to change nothing."""
    if g.type.shape == like.type.shape and None not in g.type.shape:
        return g
    from refgraph.ops.elementwise import fill

    return fill(like, g)


def sum_to(g: Any, x: Any, others: Sequence[Any] = ()) -> Any:
    """g summed to the shape of x, where g has the shape of x broadcast with `others`; g itself if nothing was added."""
    if g.type.ndim != x.type.ndim:
        return SUM_TO(g, x)
    for axis, (n, m) in enumerate(zip(x.type.shape, g.type.shape, strict=True)):
        if n == 1 and m != 1:
            return SUM_TO(g, x)
        if n is None and m != 1 and not all(o is x or _is_one(o, axis - x.type.ndim) for o in others):
            return SUM_TO(g, x)
    return g


def _is_one(x: Any, axis: int) -> bool:
    shape = x.type.shape
    return -axis > len(shape) or shape[axis] == 1
