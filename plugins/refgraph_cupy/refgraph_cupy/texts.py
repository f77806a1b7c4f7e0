"""What kernels compute, in C++: expressions of ops, made of the C texts of refgraph's rows.

A row that is added to refgraph's table is here without another edit. dtypes are called in C++ as they are in NumPy
(cuda/types.h), and C's functions have overloads for all of them, so that a text means the same of every dtype.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Elemwise

_NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)(?![\w.])")

# Rows that have no text in C, or one that means something else in C++.
_TEXTS = {
    "mod": "mod({x}, {y})",
    "floor_div": "floor_div({x}, {y})",
    "gcd": "gcd({x}, {y})",
    "lcm": "lcm({x}, {y})",
    "bitwise_count": "bitwise_count({x})",
    "spacing": "spacing({x})",
    "frexp_mantissa": "mantissa({x})",
    "frexp_exponent": "exponent({x})",
    "ldexp": "scaled({x}, {y})",
    "complex": "{T}({x}, {y})",
    "complex_from_polar": "{T}({x} * cos({y}), {x} * sin({y}))",
    "relu": "{x} > {T}(0) || {x} != {x} ? {x} : {T}(0)",
}
_INTEGER_TEXTS = {
    "pow": "power({x}, {y})",
    "reciprocal": "reciprocal({x})",
}
_NOT_WIDENED = ("nextafter", "spacing")
"""Ops of float16 that mean something else when they are computed in float32."""
_ONLY_REAL = frozenset(
    "sign maximum minimum clip relu lt le gt ge logical_and logical_or logical_xor logical_not isposinf isneginf signbit "
    "sinc log2 exp2 log1p expm1 log10 rint trunc floor ceil xlogx xlogy sigmoid softplus reciprocal sqrt".split()
)
"""Rows whose text means something else, or nothing, of complex numbers."""


class Unsaid(Exception):
    """There is no expression for something."""


@cache
def expression(op: Elemwise, given: tuple[str, ...]) -> tuple[str, str]:
    """An op of inputs of these dtypes as an expression in {x}, {y} and {w}, and the dtype of that.

    Raises Unsaid where there is none.
    """
    if op.name.startswith("cast{"):
        return f"as<{op.name[5:-1]}>({{x}})", op.name[5:-1]
    try:
        loop = [d.name for d in op.loop([np.dtype(d) for d in given])]
    except TypeError:
        raise Unsaid(f"{op.name} means nothing of {', '.join(given)}") from None
    out = loop[-1]
    wide = [{"float16": "float32"}.get(d, d) for d in loop]
    if wide != loop and op.name in _NOT_WIDENED:
        raise Unsaid(f"no kernel for {op.name} of float16")
    computed = wide[op.arity - 1] if op.name not in ("ldexp", "complex", "complex_from_polar") else wide[0]
    text = _text(op, computed, out)
    names = dict(zip("xyw", [_as("{%s}" % v, a, b) for v, a, b in zip("xyw", given, wide, strict=False)], strict=False))
    said = _NUMBER.sub(rf"{computed}(\1)", text) if op.name not in ("complex",) else text
    return _as(said.format(**names, T=out if "complex" in op.name else computed), _result(op, wide), out), out


def _result(op: Elemwise, wide: Sequence[str]) -> str:
    """The dtype that a text has before it becomes the output's."""
    return wide[-1]


def _text(op: Elemwise, dtype: str, out: str) -> str:
    kind = np.dtype(dtype).kind
    text = _TEXTS.get(op.name, op.c)
    if kind in "biu":
        text = _INTEGER_TEXTS.get(op.name, text)
    if not text:
        raise Unsaid(f"no kernel for {op.name}")
    if kind == "c" and op.name in _ONLY_REAL:
        raise Unsaid(f"no kernel for {op.name} of {dtype}")
    if kind == "b" and op.name in ("invert", "left_shift", "right_shift", "neg"):
        raise Unsaid(f"no kernel for {op.name} of bool")
    if op.name == "pow" and kind == "i":
        raise Unsaid("integers to powers that may be negative")
    return text


def _as(text: str, given: str, wanted: str) -> str:
    return text if given == wanted else f"as<{wanted}>({text})"


def literal(value: np.ndarray[Any, Any]) -> str | None:
    """A constant without axes as a literal of its dtype; None where it has none."""
    dtype, number = value.dtype.name, value.item()
    if dtype == "float16":
        return f"float16({float(number)!r}f)" if np.isfinite(number) else None
    if dtype.startswith("float"):
        if not np.isfinite(number):
            return None
        return f"{dtype}({float(number).hex()})"
    if dtype.startswith("complex"):
        parts = [literal(np.asarray(p, f"float{dtype[7:8] == '6' and 32 or 64}")) for p in (number.real, number.imag)]
        return None if None in parts else f"{dtype}({parts[0]}, {parts[1]})"
    if dtype == "bool":
        return "true" if number else "false"
    return f"{dtype}({number}{'ull' if number > 2**63 - 1 else 'll'})" if number != -(2**63) else "int64(1ull << 63)"
