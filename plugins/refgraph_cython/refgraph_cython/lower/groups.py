"""Groups of elementwise steps, as they are put together for the pass over blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from refgraph.backend import OPS, Elemwise, Variable

from refgraph_cython import _native
from refgraph_cython.lower.program import NUMBERS, Builder

INSTRUCTIONS = _native.instructions()
_NARROW = {"nextafter", "spacing"}
"""Ops that mean something else in a wider dtype."""
_PARTS = {"complex64": "float32", "complex128": "float64"}
_WIDE = {"float16": "float32"}
_WHOLE = "biu"
_CHEAP, _DEAR, _DEAREST = 15, 150, 800  # hundredths of nanoseconds that an element takes


class Unfit(Exception):
    """There is no instruction for something."""


class Value:
    """An input of the group, or what a step computes. `leaves`: those that it is computed from, as bits."""

    __slots__ = ("dtype", "leaves", "step")

    def __init__(self, dtype: str, leaves: int, step: Step | None = None) -> None:
        self.dtype, self.leaves, self.step = dtype, leaves, step


class Step:
    """An instruction, what it calls, and its inputs."""

    __slots__ = ("call", "given", "more", "out")

    def __init__(self, call: int, more: int, given: Sequence[Value], dtype: str) -> None:
        self.call, self.more, self.given = call, more, given
        leaves = 0
        for x in given:
            leaves |= x.leaves
        self.out = Value(dtype, leaves, self)


class Group:
    """A group that is being put together: its leaves, and the steps in order.

    Values are what `step`, `cast`, and `apply` answer; one that is asked for twice is computed once.
    """

    def __init__(self, inputs: Sequence[Variable], build: Builder) -> None:
        self.inputs, self.build = list(inputs), build
        self.leaves = [Value(x.type.dtype, 1 << i) for i, x in enumerate(inputs)]  # type: ignore[attr-defined]
        self.steps: list[Step] = []
        self.cost = 20
        self.exponents: list[tuple[Value, Value]] = []
        """Pairs of a base and an exponent, of integers, that must not be negative."""
        self._found: dict[Any, Value] = {}

    def constant(self, number: Any, dtype: str) -> Value:
        """A number as a leaf."""
        key = (repr(number), dtype)
        if key not in self._found:
            self.inputs.append(self.build.constant(np.asarray(number, dtype)))
            self.leaves.append(Value(dtype, 0))
            self._found[key] = self.leaves[-1]
        return self._found[key]

    def step(self, name: str, *given: Value) -> Value:
        """The instruction of a name for the dtypes of its inputs."""
        dtypes = tuple([x.dtype for x in given])
        found = INSTRUCTIONS.get((name, dtypes))
        if found is None:
            raise Unfit(f"no instruction {name} of {', '.join(dtypes)}")
        op = OPS.get(name)
        self.cost += _DEAR if isinstance(op, Elemwise) and "(" in op.c and found[1] != "bool" else _CHEAP
        return self._step((name, *given), found[0], 0, given, found[1])

    def call(self, loop: Any, dtypes: Sequence[str], given: Sequence[Value]) -> Value:
        """A loop of NumPy's or SciPy's, which takes and answers these dtypes."""
        values = [self.cast(x, d) for x, d in zip(given, dtypes, strict=False)]
        self.build.alive.append(loop)
        self.cost += _DEAREST
        return self._step((loop, *values), _native.CALL_LOOP, loop.address, values, dtypes[-1])

    def _step(self, key: Any, call: int, more: int, given: Sequence[Value], dtype: str) -> Value:
        if key not in self._found:
            self.steps.append(Step(call, more, given, dtype))
            self._found[key] = self.steps[-1].out
        return self._found[key]

    def cast(self, x: Value, dtype: str) -> Value:
        return x if x.dtype == dtype else self.step(f"cast{{{dtype}}}", x)

    def ufunc(self, ufunc: np.ufunc, dtypes: str, *given: Value) -> Value:
        """A ufunc's loop, named as NumPy does: "dd->d"."""
        names = tuple([np.dtype(c).name for c in dtypes.replace("->", "")])
        found = loop_of(ufunc, names)
        if found is None:
            raise Unfit(f"{ufunc.__name__} has no loop {dtypes}")
        return self.call(found, names, given)

    def op(self, name: str, *given: Value) -> Value:
        """An op of the table, in the dtype that it has for such inputs."""
        op: Any = OPS[name]
        out = op.loop([np.dtype(x.dtype) for x in given])[-1].name
        return self.apply(op, given, out)

    def apply(self, op: Any, given: Sequence[Value], wanted: str) -> Value:
        """What an op of the table answers, in the dtype that is wanted."""
        if op.name.startswith("cast{"):
            return self.cast(given[0], wanted)
        if op.name in ("identity", "positive", "fill"):
            return given[-1]
        composed = _COMPOSED.get(op.name)
        if composed is not None:
            made = composed(self, wanted, *given)
            if made is not None:
                return self.cast(made, wanted)
        try:
            loop = tuple([d.name for d in op.loop([np.dtype(x.dtype) for x in given])])
        except TypeError:
            raise Unfit("no loop") from None
        wide = tuple([_WIDE.get(d, d) for d in loop])
        if (op.name, wide[:-1]) in INSTRUCTIONS and op.name not in _NARROW:
            values = [self.cast(x, d) for x, d in zip(given, wide, strict=False)]
            return self.cast(self.step(op.name, *values), wanted)
        meaning = _UFUNCS.get(op.name, op.impl)
        if not isinstance(meaning, np.ufunc):
            raise Unfit(f"no kernel for {op.name} of {', '.join(loop[:-1])}")
        if op.name == "pow" and np.dtype(loop[-1]).kind in _WHOLE and np.dtype(given[1].dtype).kind == "i":
            if any(x.step is not None for x in given):
                raise Unfit("exponents that may be negative are computed on the way")
            self.exponents.append((given[0], given[1]))
        dtypes = loop if loop_of(meaning, loop) else wide
        found = loop_of(meaning, dtypes)
        if found is None:
            raise Unfit(f"no loop of {op.name} for {', '.join(loop)}")
        return self.cast(self.call(found, dtypes, given), wanted)


@lru_cache(maxsize=None)
def loop_of(ufunc: np.ufunc, dtypes: tuple[str, ...]) -> Any:
    """The ufunc's own loop for these dtypes; None where it has none."""
    try:
        return _native.Loop(ufunc, dtypes)
    except LookupError:
        return None


# ops that are composed of others

_Composed = Callable[..., "Value | None"]
_COMPOSED: dict[str, _Composed] = {}
_UFUNCS: dict[str, Any] = {"clip": np._core.umath.clip}  # type: ignore[attr-defined]
"""Ops whose meaning calls a ufunc."""


def _composed(compose: _Composed) -> _Composed:
    """Declare how an op is composed; None where it has an instruction."""
    _COMPOSED[compose.__name__[1:]] = compose
    return compose


def _special(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special._ufuncs, name)


@_composed
def _round_half_away_from_zero(group: Group, wanted: str, x: Value) -> Value | None:
    return x if np.dtype(wanted).kind in _WHOLE + "b" else None


@_composed
def _sinc(group: Group, wanted: str, x: Value) -> Value | None:
    """In float16 each of NumPy's steps is rounded, and 0 gives way to the least difference from 1."""
    if wanted != "float16":
        return None
    at = group.op("mul", x, group.constant(np.pi, wanted))
    at = group.op("switch", group.op("neq", at, group.constant(0, wanted)), at, group.constant(np.finfo("f2").eps, wanted))
    return group.op("true_div", group.op("sin", at), at)


@_composed
def _relu(group: Group, wanted: str, x: Value) -> Value | None:
    """In float16 NumPy's maximum of -0 and 0 is -0."""
    return group.op("maximum", x, group.constant(0, wanted)) if wanted == "float16" else None


@_composed
def _real(group: Group, wanted: str, x: Value) -> Value | None:
    return x if x.dtype not in _PARTS else None


@_composed
def _imag(group: Group, wanted: str, x: Value) -> Value | None:
    if x.dtype in _PARTS:
        return None
    zero = group.constant(0, x.dtype)
    return group.op("switch", group.op("eq", x, x), zero, zero)


@_composed
def _angle(group: Group, wanted: str, x: Value) -> Value:
    return group.op("arctan2", group.op("imag", x), group.op("real", x))


@_composed
def _complex(group: Group, wanted: str, x: Value, y: Value) -> Value:
    part = _PARTS[wanted]
    return group.step("complex", group.cast(x, part), group.cast(y, part))


@_composed
def _complex_from_polar(group: Group, wanted: str, x: Value, y: Value) -> Value:
    x, y = [group.cast(v, _PARTS[wanted]) for v in (x, y)]
    return group.step("complex", group.op("mul", x, group.op("cos", y)), group.op("mul", x, group.op("sin", y)))


@_composed
def _gammal(group: Group, wanted: str, x: Value, y: Value) -> Value:
    return group.op("mul", group.op("gammainc", x, y), group.op("gamma", x))


@_composed
def _gammau(group: Group, wanted: str, x: Value, y: Value) -> Value:
    return group.op("mul", group.op("gammaincc", x, y), group.op("gamma", x))


@_composed
def _chi2sf(group: Group, wanted: str, x: Value, y: Value) -> Value:
    return group.ufunc(_special("chdtrc"), "ff->f" if wanted == "float32" else "dd->d", y, x)


@_composed
def _polygamma(group: Group, wanted: str, n: Value, x: Value) -> Value:
    """(-1)^(n + 1) n! zeta(n + 1, x), and psi(x) where n is 0: DLMF 25.11.12."""
    one = group.constant(1, "float64")
    n, x = group.cast(n, "float64"), group.cast(group.cast(x, wanted), "float64")
    m = group.step("add", n, one)
    sign = group.step("pow", group.constant(-1, "float64"), m)
    factor = group.step("mul", sign, group.ufunc(_special("gamma"), "d->d", m))
    others = group.step("mul", factor, group.ufunc(_special("_zeta"), "dd->d", m, x))
    is_first = group.step("eq", n, group.constant(0, "float64"))
    return group.op("switch", is_first, group.ufunc(_special("psi"), "d->d", x), others)


@_composed
def _tri_gamma(group: Group, wanted: str, x: Value) -> Value:
    """zeta(2, x): DLMF 25.11.12."""
    x = group.cast(group.cast(x, wanted), "float64")
    return group.ufunc(_special("_zeta"), "dd->d", group.constant(2, "float64"), x)


@_composed
def _spherical_jn(group: Group, wanted: str, n: Value, x: Value) -> Value:
    """Of the absolute value; odd orders are odd: DLMF 10.47.14."""
    n, x = group.cast(n, "int64"), group.cast(x, "float64")
    of_positive = group.ufunc(_special("_spherical_jn"), "ld->d", n, group.op("abs", x))
    is_odd = group.op("neq", group.op("bitwise_and", n, group.constant(1, "int64")), group.constant(0, "int64"))
    is_turned = group.op("logical_and", is_odd, group.op("lt", x, group.constant(0, "float64")))
    return group.op("switch", is_turned, group.op("neg", of_positive), of_positive)
