"""Which instructions compute an elementwise op: of our own, loops of NumPy's and SciPy's ufuncs, or several of them.

`recipe(op, dtypes)` is what lowerings ask. Instructions of our own are generated from the ops' rows (generate.py). A
row without one runs the loop of the ufunc that it means, which needs no lock of Python's. A row that is no ufunc either
is composed here, of the same steps as its meaning in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import OPS, Elemwise
from refgraph_cython import _native

INSTRUCTIONS: dict[tuple[str, tuple[str, ...]], tuple[int, str]] = _native.instructions()
"""For each name and dtypes of inputs the address of the instruction, 0 where it copies, and the output's dtype."""

_COPIES = ("identity", "positive", "fill")
_NOT_WIDENED = ("nextafter", "spacing")
"""Ops of float16 that mean, or say, something else when they are computed in float32."""


class Unfit(Exception):
    """There is no instruction for something."""


class Step(NamedTuple):
    """One instruction, which makes a value from values: these are numbered, those that are given first."""

    address: int
    loop: Any
    given: tuple[int, ...]
    out: str

    @property
    def more(self) -> int:
        """The address of what the instruction needs to know beside its inputs, or 0."""
        return 0 if self.loop is None else int(self.loop.address)


class Recipe(NamedTuple):
    """How to compute an op: steps, and the number of the value that is the result."""

    steps: tuple[Step, ...]
    result: int


@cache
def recipe(op: Elemwise, dtypes: tuple[str, ...], is_natural: bool = False) -> Recipe:
    """The steps from inputs of these dtypes to the op's output. Raises Unfit where there are none.

    `is_natural` promises of a power of integers that no exponent is negative.
    """
    making = Steps(dtypes, is_natural)
    result = making.op(op, *range(len(dtypes)))
    return Recipe(tuple(making.steps), result)


class Steps:
    """Steps that are being put together. Methods answer the number of the value that they make."""

    def __init__(self, dtypes: Sequence[str], is_natural: bool) -> None:
        self.dtypes, self.is_natural = list(dtypes), is_natural
        self.steps: list[Step] = []

    def step(self, *step: Any) -> int:
        made = Step(*step)
        self.steps.append(made)
        self.dtypes.append(made.out)
        return len(self.dtypes) - 1

    def call(self, name: str, *given: int) -> int:
        """An instruction of our own, for just the dtypes that are given."""
        dtypes = tuple([self.dtypes[i] for i in given])
        found = INSTRUCTIONS.get((name, dtypes))
        if found is None:
            raise Unfit(f"no instruction {name} of {', '.join(dtypes)}")
        address, out = found
        return self.step(address, None, given, out) if address else given[0]

    def cast(self, value: int, dtype: str) -> int:
        return value if self.dtypes[value] == dtype else self.call(f"cast{{{dtype}}}", value)

    def loop(self, ufunc: Any, dtypes: Sequence[str], *given: int, fixed: Mapping[int, float] | None = None) -> int:
        """A loop of a ufunc, for the dtypes of its inputs and its output. Some inputs may be `fixed` numbers."""
        fixed = fixed or {}
        found = _loop(ufunc, tuple(dtypes), tuple(fixed.items()))
        if found is None:
            raise Unfit(f"no loop of {ufunc} for {', '.join(dtypes)}")
        wanted = [d for i, d in enumerate(dtypes[:-1]) if i not in fixed]
        values = [self.cast(i, d) for i, d in zip(given, wanted, strict=True)]
        return self.step(_native.CALL_LOOP, found, tuple(values), dtypes[-1])

    def named(self, name: str, *given: int) -> int:
        """Another row of the table."""
        return self.op(OPS[name], *given)

    def op(self, op: Any, *given: int) -> int:
        """A row of the table."""
        if op.name.startswith("cast{"):
            return self.cast(given[0], op.name[5:-1])
        if op.name in _COPIES:
            return given[-1]
        loop = self.dtypes_of(op, given)
        composed = _COMPOSED.get(op.name) or _COMPOSED.get((op.name, loop[-1]))
        made = self._simple(op, loop, given) if composed is None else composed(self, loop[-1], *given)
        return self.cast(made, loop[-1])

    def dtypes_of(self, op: Any, given: Sequence[int]) -> list[str]:
        """The dtypes that a row is computed in, the output's last."""
        try:
            return [d.name for d in op.loop([np.dtype(self.dtypes[i]) for i in given])]
        except TypeError:
            raise Unfit(f"{op.name} means nothing of {', '.join([self.dtypes[i] for i in given])}") from None

    def _simple(self, op: Any, loop: Sequence[str], given: Sequence[int]) -> int:
        """A row that one instruction computes, or one loop."""
        if op.name == "pow" and loop[-1][0] in "iu" and not (self.is_natural or self.dtypes[given[1]][0] in "bu"):
            raise Unfit("integers to powers that may be negative")
        wide = [{"float16": "float32"}.get(d, d) for d in loop]
        kept = wide != list(loop) and op.name in _NOT_WIDENED
        if (op.name, tuple(wide[:-1])) in INSTRUCTIONS and not kept:
            return self.call(op.name, *[self.cast(i, d) for i, d in zip(given, wide, strict=False)])
        ufunc = _ufunc(op)
        if ufunc is None:
            raise Unfit(f"no kernel for {op.name} of {', '.join(loop[:-1])}")
        if kept or _loop(ufunc, tuple(loop), ()) is not None:
            return self.loop(ufunc, loop, *given)
        return self.loop(ufunc, wide, *given)


def _ufunc(op: Any) -> np.ufunc | None:
    """The ufunc that a row means, or None."""
    meaning = _load(op.meaning) if isinstance(op.meaning, str) else op.meaning
    return meaning if isinstance(meaning, np.ufunc) else None


def _load(name: str) -> Any:
    """What "module:name" names; None where there is none."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute, None)


@cache
def _loop(ufunc: Any, dtypes: tuple[str, ...], fixed: tuple[tuple[int, float], ...]) -> Any:
    """The loop that a ufunc has for just these dtypes, or None. A ufunc may be named, as "module:name"."""
    found = _load(ufunc) if isinstance(ufunc, str) else ufunc
    try:
        return None if found is None else _native.Loop(found, dtypes, fixed)
    except LookupError:
        return None


# Rows that are several steps, or others: functions of the steps, the output's dtype, and the inputs.

_F64 = "float64"


def _part(dtype: str) -> str:
    """The dtype of a complex number's parts."""
    return "float32" if dtype == "complex64" else _F64


def _angle(steps: Steps, out: str, x: int) -> int:
    return steps.named("arctan2", steps.named("imag", x), steps.named("real", x))


def _complex(steps: Steps, out: str, x: int, y: int) -> int:
    return steps.call("complex", steps.cast(x, _part(out)), steps.cast(y, _part(out)))


def _complex_from_polar(steps: Steps, out: str, r: int, theta: int) -> int:
    r, theta = steps.cast(r, _part(out)), steps.cast(theta, _part(out))
    return steps.call(
        "complex", steps.call("mul", r, steps.call("cos", theta)), steps.call("mul", r, steps.call("sin", theta))
    )


def _clip_complex(steps: Steps, out: str, x: int, low: int, high: int) -> int:
    return steps.loop(np.minimum, (out,) * 3, steps.loop(np.maximum, (out,) * 3, x, low), high)


def _gammal(steps: Steps, out: str, x: int, y: int) -> int:
    return steps.named("mul", steps.named("gammainc", x, y), steps.named("gamma", x))


def _gammau(steps: Steps, out: str, x: int, y: int) -> int:
    return steps.named("mul", steps.named("gammaincc", x, y), steps.named("gamma", x))


def _chi2sf(steps: Steps, out: str, x: int, y: int) -> int:
    return steps.loop("scipy.special:chdtrc", (out,) * 3, y, x)


_ZETA = "scipy.special._ufuncs:_zeta"
"""Hurwitz's: SciPy's `zeta` is a function of Python's around it."""


def _tri_gamma(steps: Steps, out: str, x: int) -> int:
    """DLMF 5.15.1: zeta(2, x)."""
    return steps.loop(_ZETA, (_F64,) * 3, x, fixed={0: 2.0})


def _polygamma(steps: Steps, out: str, n: int, x: int) -> int:
    """(-1)^(n + 1) n! zeta(n + 1, x), and psi(x) where n is 0, as SciPy has it."""
    n, x = steps.cast(n, _F64), steps.cast(x, _F64)
    next_n = steps.loop(np.add, (_F64,) * 3, n, fixed={1: 1.0})
    sign = steps.loop(np.power, (_F64,) * 3, next_n, fixed={0: -1.0})
    factorial = steps.loop("scipy.special:gamma", (_F64,) * 2, next_n)
    zeta = steps.loop(_ZETA, (_F64,) * 3, next_n, x)
    derivative = steps.call("mul", steps.call("mul", sign, factorial), zeta)
    is_psi = steps.loop(np.equal, (_F64, _F64, "bool"), n, fixed={1: 0.0})
    return steps.call("switch", is_psi, steps.loop("scipy.special:psi", (_F64,) * 2, x), derivative)


def _spherical_jn(steps: Steps, out: str, n: int, x: int) -> int:
    """Of negative x by reflection, DLMF 10.47.14, as SciPy has it."""
    n, x = steps.cast(n, "int64"), steps.cast(x, _F64)
    value = steps.loop("scipy.special._ufuncs:_spherical_jn", ("int64", _F64, _F64), n, steps.call("abs", x))
    is_odd = steps.cast(steps.loop(np.bitwise_and, ("int64",) * 3, n, fixed={1: 1}), "bool")
    is_left = steps.loop(np.less, (_F64, _F64, "bool"), x, fixed={1: 0.0})
    return steps.call("switch", steps.call("logical_and", is_odd, is_left), steps.call("neg", value), value)


def _relu_float16(steps: Steps, out: str, x: int) -> int:
    """NumPy's maximum of -0.0 and 0 is another zero in float16 than in wider ones."""
    return steps.loop(np.maximum, (out,) * 3, x, fixed={1: 0})


def _sinc_float16(steps: Steps, out: str, x: int) -> int:
    """Each of NumPy's steps is rounded: pi x, its sine, the quotient; 0 gives way to the spacing of numbers at 1."""
    at = steps.cast(steps.cast(steps.loop(np.multiply, (_F64,) * 3, x, fixed={1: float(np.float16(np.pi))}), out), _F64)
    is_zero = steps.cast(steps.loop(np.equal, (_F64, _F64, "bool"), at, fixed={1: 0.0}), _F64)
    at = steps.call("add", at, steps.loop(np.multiply, (_F64,) * 3, is_zero, fixed={1: float(np.finfo(out).eps)}))
    at = steps.cast(at, "float32")
    sine = steps.cast(steps.cast(steps.call("sin", at), out), "float32")
    return steps.call("true_div", sine, at)


_COMPOSED: Mapping[str | tuple[str, str], Callable[..., int]] = {
    "angle": _angle,
    "complex": _complex,
    "complex_from_polar": _complex_from_polar,
    ("clip", "complex64"): _clip_complex,
    ("clip", "complex128"): _clip_complex,
    ("relu", "float16"): _relu_float16,
    ("sinc", "float16"): _sinc_float16,
    "gammal": _gammal,
    "gammau": _gammau,
    "chi2sf": _chi2sf,
    "tri_gamma": _tri_gamma,
    "polygamma": _polygamma,
    "spherical_jn": _spherical_jn,
}
