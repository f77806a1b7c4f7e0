"""Exact arithmetic: what an expression of real numbers is, to as many digits as it takes. It shares no code with ops.

Needs mpmath, which only suites do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Constant, Variable, toposort

_DIGITS = (40, 80, 400, 2500)
"""How many digits to compute with: until twice the same comes out. exp(-800) beside 1 takes 350."""
_ENOUGH = 400  # for 0, an infinity and NaN, which fewer digits may give by cancellation
_SAME = 1e-25  # relative
_FAR = 1e7  # exp of more has too many digits in its exponent for anybody


def exact(out: Variable, given: Mapping[Variable, Any]) -> Any:
    """The value of a real expression of elementwise ops where its variables have these values, as a number of mpmath.

    NaN where it has none: at poles, beyond domains, and where it takes more digits than anybody would wait for.
    Raises NotImplementedError for ops that are not known here.
    """
    import mpmath

    found = None
    for digits in _DIGITS:
        last, found = found, _computed(out, given, digits)
        if not found or not mpmath.isfinite(found):
            if digits >= _ENOUGH:
                return found
        elif last is not None and abs(found - last) <= _SAME * abs(found):
            return found
    return found


def _computed(out: Variable, given: Mapping[Variable, Any], digits: int) -> Any:
    import mpmath

    with mpmath.workdps(digits):
        values: dict[Variable, Any] = {x: mpmath.mpf(float(v)) for x, v in given.items()}
        for node in toposort([out], values):
            meaning = _meaning(node.op.name)
            args = [_constant(x) if isinstance(x, Constant) else values[x] for x in node.inputs]
            values[node.outputs[0]] = _real(meaning, args)
        return _constant(out) if isinstance(out, Constant) else values[out]


def _constant(x: Constant) -> Any:
    import mpmath

    return mpmath.mpf(float(x.value))


def _real(meaning: Callable[..., Any], args: Sequence[Any]) -> Any:
    """The value; NaN where it is not a real number."""
    import mpmath

    try:
        z = meaning(*args)
    except (ZeroDivisionError, ValueError, OverflowError):  # NoConvergence is a ValueError
        return mpmath.mpf("nan")
    return mpmath.mpf("nan") if isinstance(z, mpmath.mpc) else mpmath.mpf(z)


def _meaning(name: str) -> Callable[..., Any]:
    found = _meanings().get(name.partition("{")[0])
    if found is None:
        raise NotImplementedError(f"{name} is not known in exact arithmetic")
    return found


@cache
def _meanings() -> dict[str, Callable[..., Any]]:
    """What each op means, by name."""
    try:
        import mpmath as m
    except ImportError as error:
        raise RefgraphError("exact arithmetic needs mpmath", help="pip install mpmath") from error
    inf, nan = m.mpf("inf"), m.mpf("nan")

    def near(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: nan if any(m.isfinite(x) and abs(x) > _FAR for x in args) else function(*args)

    def div(x: Any, y: Any) -> Any:
        return x / y if y else nan if not x or m.isnan(x) else inf * x

    def log(x: Any) -> Any:
        return m.log(x) if x > 0 else -inf if x == 0 else nan

    def xlogy(x: Any, y: Any) -> Any:
        return m.mpf(0) if x == 0 and not m.isnan(y) else x * log(y)

    def incomplete(a: Any, low: Any, high: Any) -> Any:
        """Only where it takes little time."""
        return (
            m.gammainc(a, low, high, regularized=True)
            if 0 < a < 50 and all(0 <= x < 50 or x == inf for x in (low, high))
            else nan
        )

    exp, erfc, ncdf = near(m.exp), near(m.erfc), near(m.ncdf)
    power = near(lambda x, y: x**y if x > 0 or y == int(y) else nan)
    return {
        # arithmetic
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "true_div": div,
        "neg": lambda x: -x,
        "positive": lambda x: x,
        "reciprocal": lambda x: div(m.mpf(1), x),
        "square": lambda x: x * x,
        "sqrt": m.sqrt,
        "cbrt": lambda x: m.sign(x) * m.cbrt(abs(x)),
        "pow": power,
        "float_power": power,
        "floor_div": lambda x, y: m.floor(x / y),
        "mod": lambda x, y: x - y * m.floor(x / y),
        "hypot": lambda x, y: m.sqrt(x * x + y * y),
        "abs": abs,
        "fabs": abs,
        "sign": m.sign,
        "maximum": lambda x, y: nan if m.isnan(x) or m.isnan(y) else max(x, y),
        "minimum": lambda x, y: nan if m.isnan(x) or m.isnan(y) else min(x, y),
        "clip": lambda x, y, w: min(max(x, y), w),
        "floor": m.floor,
        "ceil": m.ceil,
        "trunc": lambda x: m.sign(x) * m.floor(abs(x)),
        # exponentials and logarithms
        "exp": exp,
        "exp2": near(lambda x: m.mpf(2) ** x),
        "expm1": near(m.expm1),
        "log": log,
        "log2": lambda x: log(x) / m.log(2),
        "log10": lambda x: log(x) / m.log(10),
        "log1p": lambda x: log(1 + x),
        "logaddexp": lambda x, y: log(exp(x) + exp(y)),
        "logaddexp2": lambda x, y: log(near(m.power)(2, x) + near(m.power)(2, y)) / m.log(2),
        "log1mexp": lambda x: log(-near(m.expm1)(x)),
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "softplus": lambda x: log(1 + exp(x)),
        "logit": lambda x: log(div(x, 1 - x)),
        "xlogx": lambda x: xlogy(x, x),
        "xlogy": xlogy,
        # trigonometry
        **{name: near(getattr(m, name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        "arcsin": m.asin,
        "arccos": m.acos,
        "arctan": m.atan,
        "arctan2": m.atan2,
        "arcsinh": m.asinh,
        "arccosh": m.acosh,
        "arctanh": m.atanh,
        # special functions
        "erf": near(m.erf),
        "erfc": erfc,
        "erfcx": lambda x: exp(x * x) * erfc(x),
        "erfinv": m.erfinv,
        "ndtr": ncdf,
        "log_ndtr": lambda x: log(ncdf(x)),
        "gamma": near(m.gamma),
        "gammaln": near(lambda x: m.log(abs(m.gamma(x)))),
        "psi": near(m.digamma),
        "tri_gamma": near(lambda x: m.psi(1, x)),
        "gammainc": lambda a, x: incomplete(a, 0, x),
        "gammaincc": lambda a, x: incomplete(a, x, inf),
        "relu": lambda x: max(x, 0),
        # choice
        "heaviside": lambda x, y: y if x == 0 else m.mpf(x > 0),
        "switch": lambda c, x, y: x if c else y,
        "eq": lambda x, y: x == y,
        "neq": lambda x, y: x != y,
        "lt": lambda x, y: x < y,
        "le": lambda x, y: x <= y,
        "gt": lambda x, y: x > y,
        "ge": lambda x, y: x >= y,
        "isnan": m.isnan,
        "isinf": m.isinf,
        "isfinite": m.isfinite,
        "invert": lambda x: not x,  # only of what is compared
        "bitwise_and": lambda x, y: bool(x) and bool(y),
        "bitwise_or": lambda x, y: bool(x) or bool(y),
        "logical_not": lambda x: not x,
        "logical_and": lambda x, y: bool(x) and bool(y),
        "logical_or": lambda x, y: bool(x) or bool(y),
        # copies
        "identity": lambda x: x,
        "fill": lambda x, y: y,
        "cast": lambda x: x,  # of what fits
    }
