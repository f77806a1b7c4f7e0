"""Values of transcendental ops to 34 digits, stored beside this file: a judge that is no library of mathematics.

`python -m refgraph.testing.stored` writes them anew, with mpmath, which only that needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refgraph.core.errors import RefgraphError
from refgraph.core.op import OPS
from refgraph.ops.families import Elemwise
from refgraph.testing.cases import symbols
from refgraph.testing.compare import kind_of, unit
from refgraph.testing.exact import exact

Array = np.ndarray[Any, Any]
Point = tuple[float, ...]

FILE = Path(__file__).with_name("stored_values.json")
_FLOATS: tuple[Any, ...] = (np.float16, np.float32, np.float64)
_DIGITS = 34  # two float64, one for the rest of the other, hold 32


# --- reading ----------------------------------------------------------------------------------------------------------


class Stored(NamedTuple):
    """Points at which the value of an op is known: `hi` is the float64 nearest to it, `lo` what it is more than that.

    `inputs` are arrays, one an input of the op; an input that takes no floats is int64. Where `hi` is infinite or less
    than 1e-290, `lo` is 0 or has few digits.
    """

    inputs: tuple[Array, ...]
    hi: Array
    lo: Array


def stored(op_name: str, dtype: str) -> Stored | None:
    """The stored values of an op at points that are exact in this dtype; None where there are none."""
    rows = _rows().get(op_name)
    if rows is None or dtype not in ("float16", "float32", "float64"):
        return None
    on = OPS[op_name].on
    rows = [row for row in rows if all(_fits(x, r, dtype) for x, r in zip(row[0], on, strict=True))]
    hi, lo = np.array([row[1:] for row in rows]).T
    points = zip(*[row[0] for row in rows], strict=True)
    inputs = [np.array(xs, dtype if "f" in r.kinds else "int64") for xs, r in zip(points, on, strict=True)]
    return Stored(tuple(inputs), hi, lo)


def _fits(x: float, on: Any, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return "f" not in on.kinds or float(np.dtype(dtype).type(x)) == x


@cache
def _rows() -> dict[str, list[tuple[Point, float, float]]]:
    """For each op its points, with the value as a sum of two numbers."""
    import json

    found = {}
    for name, lines in json.loads(FILE.read_text()).items():
        found[name] = [(tuple(map(float.fromhex, points)), *_two(value)) for *points, value in lines]
    return found


def _two(value: str) -> tuple[float, float]:
    """The nearest float64, and what is left."""
    hi = float(value)
    if not np.isfinite(hi):
        return hi, 0.0
    return hi, float(Context(prec=_DIGITS).subtract(Decimal(value), Decimal(hi)))


# --- judging ----------------------------------------------------------------------------------------------------------


def error_in_ulp(got: Any, hi: Any, lo: Any) -> Array:
    """How far a result is from the value hi + lo, in units in the last place of the result's dtype at that value.

    Beyond the largest number an infinity stands for the next power of 2, so that it is right where that is nearest.
    Below the normal numbers the unit is the smallest denormal. NaN is right for NaN, and infinitely wrong for all else.
    """
    got, hi, lo = np.asarray(got), np.asarray(hi), np.asarray(lo)
    g, units = got.astype(np.float64), unit(hi, got.dtype)
    with np.errstate(all="ignore"):
        finite = np.abs((g - hi) - lo) / units
        border = np.ldexp(1.0, np.finfo(got.dtype).maxexp - 1) / units * 2
        short = border - np.abs(hi) / units - np.copysign(1, hi) * lo / units  # of overflow
        infinite = np.where(np.signbit(g) == np.signbit(hi), np.maximum(short, 0), np.inf)
        error = np.where(np.isinf(g), infinite, np.where(np.isinf(hi), np.inf, finite))
    return np.where(np.isnan(g) | np.isnan(hi), np.where(np.isnan(g) & np.isnan(hi), 0, np.inf), error)


def assert_accurate(got: Any, op_name: str, dtype: str, ulp: float, note: str = "") -> None:
    """What an op gave for `stored(op_name, dtype).inputs` is within `ulp` of the values.

    Where the interpreter is off itself, a result may be off by that much more: nobody has to be better than SciPy.
    """
    got, known = np.asarray(got), stored(op_name, dtype)
    if known is None:
        raise RefgraphError(f"no values of {op_name} in {dtype} are stored", help=f"stored are {', '.join(_rows())}")
    prefix = f"{note}: " if note else ""
    if got.shape != known.hi.shape or got.dtype.kind != "f":
        raise AssertionError(f"{prefix}got {got.dtype}{list(got.shape)}, want floats of shape {list(known.hi.shape)}")
    error, own = error_in_ulp(got, known.hi, known.lo), interpreter_error(op_name, dtype)
    excess = np.where(error <= ulp + own, -1.0, error)
    if count := int(np.count_nonzero(excess >= 0)):
        at = int(np.argmax(excess))
        point = ", ".join(str(x[at]) for x in known.inputs)
        raise AssertionError(
            f"{prefix}{count} of {got.size} values are off, the worst {op_name}({point}) at [{at}]: got {got[at]!s},"
            f" want {known.hi[at]!s}, {error[at]:.4g} ulp of {got.dtype} apart; the bound is {ulp:g} ulp"
            f" and the {own[at]:.2g} by which the interpreter is off there"
        )


@cache
def interpreter_error(op_name: str, dtype: str) -> Array:
    """How far the interpreter itself is from the stored values, in ulp of what it answers."""
    known = stored(op_name, dtype)
    if known is None:
        return np.zeros(0)
    with np.errstate(all="ignore"):
        error = error_in_ulp(OPS[op_name].impl(*known.inputs), known.hi, known.lo)
    error.setflags(write=False)
    return error


# --- how good the interpreter is --------------------------------------------------------------------------------------

_LOST = float("inf")
INTERPRETER: dict[str, tuple[float, float, float]] = {
    # at zeros of the result that are no exact numbers: right to an ulp or so of 1, not of the result
    "gammaln": (_LOST, 4, 12e3),  # also near 1 and 2; and of denormals it is infinite
    "j0": (8e15, 4, 2e3),
    "j1": (6e15, 4, 2e3),
    "y0": (15e15, 4, 15e3),
    "y1": (5e16, 4, 1e3),
    "logaddexp": (16e15, 6e3, 4),
    "sinc": (6e15, 2e7, 2e3),
    "betaln": (4e3, 4, 4e3),  # also beside 1000, by cancellation
    # at the ends of the range
    "sigmoid": (1e11, 8e3, 1e11),  # 0 where exp(-x) is infinite and the result a denormal
    "erfc": (3e5, 4, 3e5),  # denormals are 0
    "ndtr": (1e4, 4, 1e4),  # denormals are 0, and the tail loses digits
    "log_ndtr": (2e3, 4, 2e3),  # the upper tail
    "gamma": (1e3, 4, 4),  # infinite a little too early
    "erfcinv": (3e12, 4, 4),  # of denormals right to 3 digits
    "k0": (4e12, 4, 12),  # of denormals right to 3 digits
    # float32 inside, though the result is float64
    "tri_gamma": (5, 4, 1e9),
    # series, continued fractions and recurrences
    "betainc": (12, 150, 150),
    "betaincinv": (18, 200, 200),
    "chi2sf": (110, 4, 4),
    "gammainc": (130, 4, 130),
    "gammaincc": (60, 4, 60),
    "gammainccinv": (32, 4, 32),
    "gammaincinv": (50, 4, 50),
    "gammal": (110, 4, 110),
    "gammau": (45, 4, 45),
    "iv": (12, 4, 4),
    "ive": (130, 4, 4),
    "jv": (130, 4, 4),
    "kv": (28, 4, 4),
    "kve": (32, 4, 4),
    "owens_t": (36, 4, 4),
    "spherical_jn": (50, 50, 50),
    "yv": (32, 4, 4),
}
"""How far the interpreter may be off at the stored points, in ulp of its result, for inputs of float64, float32 and
float16. Not listed: 4. About twice what was measured with NumPy 2.4.6 and SciPy 1.17.1 on x86-64; of float16 most of
SciPy's functions make float64."""


# --- which ops --------------------------------------------------------------------------------------------------------

NOT_STORED = {
    **dict.fromkeys(("add", "sub", "mul", "true_div", "reciprocal", "square", "sqrt"), "one rounding, by IEEE 754"),
    **dict.fromkeys(("floor_div", "mod", "fmod"), "arithmetic"),
    **dict.fromkeys(("abs", "sign"), "of real numbers exact"),
    **dict.fromkeys(("floor", "ceil", "trunc", "rint", "round_half_away_from_zero"), "a whole number"),
    **dict.fromkeys(
        ("modf_fraction", "modf_integral", "frexp_mantissa", "ldexp"), "exact but at the ends of the range"
    ),
    **dict.fromkeys(("nextafter", "spacing"), "about the dtype, not about numbers"),
    "angle": "of real numbers 0 or pi; it is arctan2 of the parts",
    "complex_from_polar": "complex; its parts are products with cos and sin",
}
"""Elementwise ops whose results are rounded, and of which no values are stored, with the reason."""


def transcendental() -> list[str]:
    """The rows whose values are stored: all that take floats and do not only move them, but for NOT_STORED."""
    rows = [op for op in OPS.values() if isinstance(op, Elemwise) and kind_of(op) != "exact"]
    return sorted(op.name for op in rows if op.name not in NOT_STORED)


# --- points -----------------------------------------------------------------------------------------------------------


def _near(*centres: float) -> Iterator[float]:
    """The numbers of each precision around a place where relative accuracy is hard."""
    for c in centres:
        for t in _FLOATS:
            middle: Any = t(c)
            yield from map(float, (np.nextafter(middle, t(-np.inf)), middle, np.nextafter(middle, t(np.inf))))


def _ends(*triples: tuple[float, float, float]) -> Iterator[float]:
    """The two numbers of each precision around the argument at which a result leaves the range of that precision."""
    for triple in triples:
        for t, c in zip(_FLOATS, triple, strict=True):
            below: Any = t(c) if float(t(c)) <= c else np.nextafter(t(c), t(-np.inf))
            yield from map(float, (below, np.nextafter(below, t(np.inf))))


def _both(*xs: float) -> tuple[float, ...]:
    return (*xs, *[-x for x in xs])


_TINY = (
    2.0**-24,
    3 * 2.0**-20,
    3 * 2.0**-149,
    2.0**-130,
    5 * 2.0**-1074,
    1e-310,
    1e-300,
)  # most are denormal in a dtype
_HUGE = (1000.0, 65504.0, 2.0**100, float(np.finfo("float32").max), 2.0**1000, float(np.finfo("float64").max))
_BELOW_1 = (1 - 2.0**-11, 1 - 2.0**-24, 1 - 2.0**-53)
_ABOVE_1 = (1 + 2.0**-10, 1 + 2.0**-23, 1 + 2.0**-52)
_LN2, _PI = 0.6931471805599453, 3.141592653589793
_EXP_OVER = (11.089866488461016, 88.72283905206835, 709.782712893384)
_EXP_NORMAL = (-9.704060527839234, -87.33654475055310, -708.3964185322641)
_EXP_UNDER = (-16.635532333438682, -103.27892990343185, -744.4400719213812)
_SINH_OVER = (11.78301366902096, 89.41598623262829, 710.4758600739439)
_LARGE_ANGLES = (100.0, 11000.0, 65504.0, 2.0**20, 1e7, 1e22, 2.0**120)


def _unary() -> dict[str, tuple[float, ...]]:
    """The hard points of ops of one input; some easy ones are drawn from where the row is at home."""
    exp = (*_ends(_EXP_OVER, _EXP_NORMAL, _EXP_UNDER), *_both(*_TINY[:4]))
    log = (*_near(1.0), *_TINY, *_HUGE)
    odd = (*_both(*_TINY), *_HUGE)
    sigmoid = (*_ends(_EXP_NORMAL), -16.5, -103.0, 17.0, 37.0, 100.0, -30.0, *_both(*_TINY[:2]), -700.0, -720.0, -95.0)
    one_sided = (*_TINY, *_BELOW_1)
    order_0 = (50.0, 1000.0, 0.01, *_TINY[:4])
    return {
        "exp": exp,
        "exp2": (*_near(16.0, 128.0), 1023.75, -14.5, -24.0, -126.5, -149.0, -1022.5, -1074.0, *_both(*_TINY[:3])),
        "expm1": (*_both(*_TINY), *_ends(_EXP_OVER), -17.0, -40.0, -800.0),
        "log": log,
        "log2": (*log, 8.0),
        "log10": (*log, 10.0),
        "log1p": (*_both(*_TINY), *(-x for x in _BELOW_1), *_HUGE),
        "log1mexp": (*(-x for x in _TINY), *_near(-_LN2), -17.0, -40.0, -700.0, -744.0, -100.0),
        "sigmoid": sigmoid,
        "softplus": (*sigmoid, 1000.0),
        "logit": (*_near(0.5), *one_sided),
        "xlogx": (*_near(1.0), *_TINY, *_HUGE[:5]),
        "sin": (*_near(_PI), *_both(*_TINY), *_LARGE_ANGLES),
        "cos": (*_near(_PI / 2), *_TINY[:4], *_LARGE_ANGLES),
        "tan": (*_near(_PI / 2, _PI), *_TINY, *_LARGE_ANGLES),
        "arcsin": (*_both(*_TINY, *_BELOW_1), 1.0),
        "arccos": (*_both(*_TINY[:2], *_BELOW_1), 1.0, -1.0),
        "arctan": (*odd, *_near(1.0)),
        "sinh": (*_both(*_TINY), *_ends(_SINH_OVER), -10.0, 20.0, 50.0),
        "cosh": (*_TINY[:4], *_ends(_SINH_OVER), -10.0, 20.0, 50.0),
        "tanh": (*_both(*_TINY), 3.0, -5.0, 9.0, 18.0, 20.0, 1000.0),
        "arcsinh": (*odd, 1.0, 4.0),
        "arccosh": (1.0, *_ABOVE_1, 1.0625, 1.5, *_HUGE),
        "arctanh": _both(*_TINY, *_BELOW_1),
        "deg2rad": (*_both(*_TINY), *_HUGE, 180.0, 90.0),
        "rad2deg": (*_both(*_TINY), *_HUGE[:2], 1e30, 1e300),
        "sinc": (*_BELOW_1, *_ABOVE_1, *_TINY, 1.5, 20.25, 1000.5),
        "cbrt": (*odd, -8.0, 27.0),
        "erf": (*_both(*_TINY), 0.84375, 1.25, 2.5, 3.0, 4.0, 6.0),
        "erfc": (*_TINY[:3], 3.0, 3.8, 9.0, 10.0, 26.0, 26.5, 27.0, -3.0, -6.0),
        "erfcx": (*_TINY[:3], 10.0, 50.0, 1e4, 1e10, 1e30, -3.0, -9.0, -26.0),
        "erfinv": _both(*_TINY, *_BELOW_1),
        "erfcinv": (*_near(1.0), *_TINY, 1.9375, 2 - 2.0**-10, 2 - 2.0**-23),
        "ndtr": (*_both(*_TINY[:3]), -3.5, -5.25, -10.0, -13.0, -37.5, -38.25, 5.0, 8.0),
        "log_ndtr": (*_both(*_TINY[:3]), -10.0, -14.5, -100.0, -1000.0, -1e5, 5.0, 8.0, 10.0, 37.0),
        "ndtri": (*_near(0.5), *one_sided),
        "gamma": (
            *_ends((9.1, 35.0400981, 171.62437695630272)),
            *_both(2.0**-14, 2.0**-100, 1e-300, 0.5, 1.5, 2.25, 10.5, 20.5),
            *(-1.9990234375, -2.001953125, 6.0, 100.0, 150.25, -170.5),
        ),
        "gammaln": (*_near(1.0, 2.0, -2.457024738220797), *_TINY, -1.5, -0.25, -10.5, 1000.0, 1e5, 1e30, 1e300),
        "psi": (*_near(1.4616321449683623, -0.504083008264455), *_TINY[:5], 1000.0, 1e5, 1e30, 1e300, -1.5, -10.25),
        "tri_gamma": (2.0**-6, 2.0**-20, 1e-100, 20.0, 100.0, 1000.0, 1e5, 1e30, 1e200),
        "j0": (*_near(2.404825557695773, 5.520078110286311), *order_0),
        "j1": (*_near(3.8317059702075125), *order_0),
        "y0": (*_near(0.8935769662791675, 3.957678419314858), *order_0),
        "y1": (*_near(2.197141326031017), *order_0),
        "i0": (*_TINY[:3], 8.0, 12.0, 50.0, 91.0, 700.0, -20.0),
        "i1": (*_both(*_TINY[:4]), 8.0, 12.0, 50.0, 91.0, 700.0, -20.0),
        "k0": (*_TINY, 2.0, 12.0, 50.0, 85.0, 100.0, 700.0),
        "k1": (2.0**-14, 2.0**-100, 1e-300, 2.0, 12.0, 50.0, 85.0, 100.0, 700.0),
    }


def _several() -> dict[str, Iterable[Point]]:
    """The hard points of ops of more inputs."""
    tiny, huge = 3 * 2.0**-20, 2.0**1000
    powers = (
        *((1 + 2.0**-10, 5000.0), (1 - 2.0**-11, 9000.0), (1 + 2.0**-23, 2.0**29), (1 - 2.0**-53, 2.0**60)),
        *((2.0, 1023.5), (10.0, -300.0), (10.0, -310.0), (2.0, 15.75), (2.0, 127.5), (2.0, -140.5), (tiny, 0.125)),
        *((-2.0, 3.0), (-1.5, 7.0), (-3.0, -3.0), (7.0, 0.0), (huge, 0.5), (1e-310, 0.5), (9.0, 0.5), (3.0, 20.0)),
    )
    sums = (
        *((0.0, 0.0), (1.0, 1.0), (-0.5, -0.9326171875), (-_LN2, -_LN2), (10.0, -10.0), (0.0, -17.0), (0.0, -40.0)),
        *((800.0, 800.5), (-800.0, -800.5), (tiny, 0.5), (1000.0, -1000.0), (3.0, 2.9990234375), (-1.0, -1.0)),
    )
    ends = [float(np.finfo(t).max) / 2 for t in _FLOATS] + [float(np.finfo(t).tiny) for t in _FLOATS]
    shapes = tuple(product((0.3125, 1.0, 2.5, 20.0), (0.125, 1.0, 3.5, 8.0, 30.0)))
    quantiles = tuple(product((0.3125, 1.0, 2.5, 20.0), (2.0**-14, 0.125, 0.5, 0.875, 1 - 2.0**-11)))
    orders = tuple(product((0.0, 0.5, 1.0, 2.5, 7.0), (0.0625, 1.5, 5.5, 30.0)))
    whole = tuple(product((0.0, 1.0, 2.0, 4.0, 9.0), (0.0625, 1.5, 5.5, 30.0)))
    betas = tuple(product((0.3125, 1.0, 4.0), (0.5, 2.5, 20.0), (0.0625, 0.5, 0.9375)))
    return {
        "pow": powers,
        "float_power": powers,
        "hypot": (
            *((x, x) for x in ends),
            (3.0, 4.0),
            (5.0, -12.0),
            (1.0, tiny),
            (tiny, tiny),
            (huge, 1.0),
            (huge, huge),
        ),
        "logaddexp": sums,
        "logaddexp2": sums,
        "xlogy": (
            *((2.5, y) for y in _near(1.0)),
            (0.0, 3.0),
            (0.0, tiny),
            *((-1.5, y) for y in (*_TINY[:4], *_HUGE[:3])),
        ),
        "arctan2": (
            *product((1.0, -1.0), (2.0, -2.0, tiny, -tiny)),
            *((tiny, 1.0), (tiny, -1.0), (huge, huge), (1e-300, 1e300), (1e-310, 3.0), (-3.0, 0.0), (0.0, 2.0)),
        ),
        "owens_t": (
            *product((0.0, 0.5, 2.0, 6.0), (0.25, 1.0, 3.0)),
            (0.5, tiny),
            (tiny, 0.5),
            (-1.0, 0.5),
            (1.0, -0.5),
        ),
        "polygamma": whole,
        "betaln": (
            *product((0.5, 1.0, 3.0, 40.0), (0.25, 1.0, 2.0, 1000.0)),
            (1.5, 0.71875),
            (tiny, tiny),
            (1e10, 1.5),
        ),
        "gammainc": shapes,
        "gammaincc": shapes,
        "gammal": shapes,
        "gammau": shapes,
        "gammaincinv": quantiles,
        "gammainccinv": quantiles,
        "chi2sf": tuple((x, a) for a, x in shapes),
        "betainc": betas,
        "betaincinv": betas,
        **dict.fromkeys(("jv", "yv", "iv", "kv", "ive", "kve"), orders),
        "spherical_jn": whole,
    }


def points_of(op: Elemwise) -> list[Point]:
    """Where the values of a row are stored: eight points of its home and its hard points, in order."""
    homes = [[r.low + (r.high - r.low) * (i + 0.5) / 8 for i in range(8)] for r in op.on]
    kinds = [np.float16 if "f" in r.kinds else np.int64 for r in op.on]
    columns = [
        [float(t(xs[(i * 3**k + k) % 8])) for i in range(8)] for k, (t, xs) in enumerate(zip(kinds, homes, strict=True))
    ]
    hard = [(x,) for x in _unary()[op.name]] if op.arity == 1 else [tuple(point) for point in _several()[op.name]]
    return sorted({*zip(*columns, strict=True), *hard})


# --- values -----------------------------------------------------------------------------------------------------------


def value_at(op: Elemwise, point: Point) -> Any:
    """The value of a row at a point, a number of mpmath of more than 34 digits; NaN where there is none."""
    function = _meanings().get(op.name)
    if function is not None:
        return _settled(function, point)
    holes = symbols([np.float64(x) for x in point])
    return exact(op(*holes), dict(zip(holes, point, strict=True)))


def _settled(function: Callable[..., Any], point: Point) -> Any:
    """What a function of mpmath gives once more digits do not change it."""
    import mpmath as m

    found = m.nan
    for digits in (50, 100, 400):
        with m.workdps(digits):
            last, found = found, function(*map(m.mpf, point))
            if abs(found - last) <= abs(found) * m.mpf(10) ** -38:
                return found
    raise RefgraphError(f"{function} at {point} does not settle: {last} becomes {found}")


@cache
def _meanings() -> dict[str, Callable[..., Any]]:
    """What `refgraph.testing.exact` does not know, or not so far out."""
    import mpmath as m

    def solved(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The last argument at which `function` is the last one given, by Newton's method from where the op says."""

        def solve(*args: Any) -> Any:
            *fixed, y = args
            start = m.mpf(float(OPS[name].impl(*[np.float64(a) for a in args])))
            return m.findroot(lambda x: function(*fixed, x) / y - 1, (start, start * (1 + m.mpf(10) ** -8)))

        return solve

    def owens_t(h: Any, a: Any) -> Any:
        pieces = [a * k / 8 for k in range(9)]
        return m.quad(lambda t: m.exp(-h * h * (1 + t * t) / 2) / (1 + t * t), pieces) / (2 * m.pi)

    def lower(a: Any, x: Any) -> Any:
        return m.gammainc(a, 0, x)

    def regularized_lower(a: Any, x: Any) -> Any:
        return m.gammainc(a, 0, x, regularized=True)

    def regularized_upper(a: Any, x: Any) -> Any:
        return m.gammainc(a, x, m.inf, regularized=True)

    def betainc(a: Any, b: Any, x: Any) -> Any:
        return m.betainc(a, b, 0, x, regularized=True)

    def spherical_jn(n: Any, x: Any) -> Any:
        size = m.sqrt(m.pi / (2 * abs(x))) * m.besselj(n + m.mpf(1) / 2, abs(x))
        return size if x > 0 or n % 2 == 0 else -size

    erfcinv = solved("erfcinv", m.erfc)
    return {
        "sin": m.sin,
        "cos": m.cos,
        "tan": m.tan,
        "pow": lambda x, y: x**y,
        "float_power": lambda x, y: x**y,
        "deg2rad": lambda x: x * m.pi / 180,
        "rad2deg": lambda x: x * 180 / m.pi,
        "sinc": lambda x: m.sinpi(x) / (m.pi * x),
        "erfcx": lambda x: m.exp(x * x) * m.erfc(x),
        "erfcinv": lambda y: erfcinv(y) if y != 1 else m.mpf(0),
        "ndtri": solved("ndtri", m.ncdf),
        "owens_t": owens_t,
        "gammaln": lambda x: m.re(m.loggamma(x)),
        "psi": m.digamma,
        "tri_gamma": lambda x: m.psi(1, x),
        "polygamma": lambda n, x: m.psi(int(n), x),
        "betaln": lambda x, y: m.loggamma(x) + m.loggamma(y) - m.loggamma(x + y),
        "gammainc": regularized_lower,
        "gammaincc": regularized_upper,
        "gammal": lower,
        "gammau": lambda a, x: m.gammainc(a, x),
        "gammaincinv": solved("gammaincinv", regularized_lower),
        "gammainccinv": solved("gammainccinv", regularized_upper),
        "chi2sf": lambda x, n: regularized_upper(n / 2, x / 2),
        "betainc": betainc,
        "betaincinv": solved("betaincinv", betainc),
        **{f"j{n}": lambda x, n=n: m.besselj(n, x) for n in (0, 1)},
        **{f"y{n}": lambda x, n=n: m.bessely(n, x) for n in (0, 1)},
        **{f"i{n}": lambda x, n=n: m.besseli(n, x) for n in (0, 1)},
        **{f"k{n}": lambda x, n=n: m.besselk(n, x) for n in (0, 1)},
        "jv": m.besselj,
        "yv": m.bessely,
        "iv": m.besseli,
        "kv": m.besselk,
        "ive": lambda n, x: m.besseli(n, x) * m.exp(-abs(x)),
        "kve": lambda n, x: m.besselk(n, x) * m.exp(x),
        "spherical_jn": spherical_jn,
    }


# --- writing ----------------------------------------------------------------------------------------------------------


def line_of(op: Elemwise, point: Point) -> list[str] | None:
    """A point, in hexadecimal, and the value there, in decimal; None where there is none."""
    import mpmath

    value = value_at(op, point)
    if mpmath.isnan(value):
        return None
    return [*map(_hex, point), mpmath.nstr(value, _DIGITS)]


def _hex(x: float) -> str:
    """As float.hex, without the zeros at the end of the digits."""
    digits, _, exponent = x.hex().partition("p")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}p{exponent}"


def write() -> str:
    """The text of the file: an op, then a line a point."""
    import json

    blocks = []
    for name in transcendental():
        lines = [line_of(OPS[name], point) for point in points_of(OPS[name])]
        rows = ",\n".join(json.dumps(line) for line in lines if line)
        blocks.append(f"{json.dumps(name)}: [\n{rows}\n]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Write the file anew."""
    try:
        import mpmath  # noqa: F401
    except ImportError as error:
        raise RefgraphError("writing stored values needs mpmath", help="pip install mpmath") from error
    FILE.write_text(write())


if __name__ == "__main__":
    main()
