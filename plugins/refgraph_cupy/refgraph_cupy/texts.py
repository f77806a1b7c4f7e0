"""What kernels compute, in C++: expressions of ops, made of the C texts of refgraph's rows.

A row that is added to refgraph's table is here without another edit. dtypes are called in C++ as they are in NumPy
(cuda/types.h), and C's functions have overloads for all of them, so that a text means the same of every dtype.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from refgraph.backend import Elemwise
from refgraph_cupy import special

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
    "ndtr": "ndtr({x})",
    "isnan": "isnan({x})",
    "isinf": "isinf({x})",
    "isfinite": "isfinite({x})",
    "complex": "{T}({x}, {y})",
    "complex_from_polar": "{T}({x} * cos({y}), {x} * sin({y}))",
}
_TEXTS_OF = {
    "float16": {"relu": "{x} >= 0 || {x} != {x} ? {x} : 0"},  # -0 of -0
    "b": {"invert": "!{x}"},
    "i": {"pow": "power({x}, {y})", "reciprocal": "reciprocal({x})"},
    "c": {
        "reciprocal": "reciprocal({x})",
        "sign": "sign({x})",
        "logical_and": "as<bool>({x}) && as<bool>({y})",
        "logical_or": "as<bool>({x}) || as<bool>({y})",
        "logical_xor": "as<bool>({x}) != as<bool>({y})",
        "logical_not": "!as<bool>({x})",
    },
}
"""The same for dtypes or kinds of them; unsigned integers are as signed ones."""
_NOT_COMPLEX = frozenset("signbit isposinf isneginf sinc xlogx sigmoid softplus relu pow float_power".split())
"""Rows whose text means something else, or nothing, of complex numbers, or is other than NumPy's by many roundings."""
_NARROW = ("nextafter", "spacing")
"""Rows that mean something else when float16 is computed in float32."""
_WIDER = {"float16": "float32"}
_WIDEST = {"float16": "float64", "float32": "float64", "complex64": "complex128"}


class Unsaid(Exception):
    """There is no expression for something."""


@cache
def expression(op: Elemwise, given: tuple[str, ...], is_natural: bool = False) -> tuple[str, str]:
    """An op of inputs of these dtypes as an expression in {x}, {y} and {w}, and the dtype of that.

    `is_natural`: the exponent of a power is known not to be negative. Raises Unsaid where there is no expression.
    """
    if op.name.startswith("cast{"):
        return f"as<{op.name[5:-1]}>({{x}})", op.name[5:-1]
    loop = _loop(op, given)
    text, wider = _text(op, loop, is_natural)
    computed = [wider.get(d, d) for d in loop]
    of = computed[0] if op.name == "ldexp" else computed[op.arity - 1]
    if not text.startswith("special::"):
        text = _NUMBER.sub(lambda number: _number(number[0], of), text)
    converted = [_as("{" + v + "}", a, b) for v, a, b in zip("xyw", given, computed, strict=False)]
    said = text.format(**dict(zip("xyw", converted, strict=False)), T=loop[-1])
    return _as(said, computed[-1], loop[-1]), loop[-1]


def _loop(op: Elemwise, given: tuple[str, ...]) -> list[str]:
    """The dtypes that inputs are converted to, and the output's."""
    try:
        loop = [d.name for d in op.loop([np.dtype(d) for d in given])]
    except TypeError:
        raise Unsaid(f"{op.name} means nothing of {', '.join(given)}") from None
    if op.name.startswith("complex"):  # of its parts
        return [*["float32" if loop[-1] == "complex64" else "float64"] * 2, loop[-1]]
    if op.name == "angle" and given[0].startswith("complex"):
        return [given[0], loop[-1]]
    return loop


def _text(op: Elemwise, loop: list[str], is_natural: bool) -> tuple[str, dict[str, str]]:
    """The text of an op of these dtypes, and which of them it is computed in others for."""
    name, dtype = op.name, loop[op.arity - 1]
    kind = np.dtype(dtype).kind
    if name in (special.COMPLEX if kind == "c" else special.REAL) and not (name in _TEXTS and dtype == "float32"):
        return special.text(name, kind == "c"), _WIDEST
    own = _TEXTS_OF.get(dtype) or _TEXTS_OF.get("i" if kind == "u" else kind) or {}
    text = own.get(name) or _TEXTS.get(name, op.c)
    if not text or (kind == "c" and name in _NOT_COMPLEX):
        raise Unsaid(f"no kernel for {name}" + f" of {dtype}" * bool(text))
    if name == "pow" and kind == "i" and not is_natural:
        raise Unsaid("integers to powers that may be negative")
    if name == "sinc" and dtype == "float16":
        raise Unsaid("no kernel for sinc of float16, which NumPy rounds at every step")
    return text, {} if name in _NARROW else _WIDER


def _number(text: str, dtype: str) -> str:
    """A number of a text, as one of a dtype."""
    if dtype not in ("float32", "float64"):
        return f"{dtype}({text})"
    whole = text if any([c in text for c in ".e"]) else f"{text}.0"
    return f"{whole}f" if dtype == "float32" else whole


def _as(text: str, given: str, wanted: str) -> str:
    return text if given == wanted else f"as<{wanted}>({text})"


def literal(value: np.ndarray[Any, Any]) -> str | None:
    """A constant without axes as a literal of its dtype; None where it has none."""
    dtype, number = value.dtype.name, value.item()
    if dtype.startswith("complex"):
        part = "float32" if dtype == "complex64" else "float64"
        return f"{dtype}({literal(np.asarray(number.real, part))}, {literal(np.asarray(number.imag, part))})"
    if dtype.startswith("float"):
        short = "" if dtype == "float64" else "f"
        if np.isfinite(number):
            return f"{dtype}({float(number).hex()}{short})"
        return f"{dtype}({'NAN' if number != number else 'INFINITY' if number > 0 else '-INFINITY'})"
    if dtype == "bool":
        return "true" if number else "false"
    if dtype[0] in "iu" and dtype[-1].isdigit():
        return (
            f"{dtype}({number}{'ull' if number > 2**63 - 1 else 'll'})" if number != -(2**63) else "int64(1ull << 63)"
        )
    return None
