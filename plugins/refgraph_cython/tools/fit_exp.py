"""Fits the coefficients of refgraph_cython/native/vector_exp.h, and prints them as C arrays.

    python tools/fit_exp.py [--write]

Each row is a polynomial that is the best one in the sense of Chebyshev: the largest error, times a weight, is as small
as it can be. The weight makes it the error of the function's result in relation to that result. Remez' exchange finds
it (J.-M. Muller, "Elementary Functions", 3rd edition, 2016), on a fine grid of Chebyshev nodes and with 60
digits. The comment beside each array says how large the error is before the coefficients are rounded to the array's
type. `--write` puts the arrays into the header, between its two marks.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpmath import mp, mpf

mp.dps = 60
HEADER = Path(__file__).parent.parent / "refgraph_cython" / "native" / "vector_exp.h"
BEGIN, END = "/* Coefficients, printed by tools/fit_exp.py. */\n", "/* End of the coefficients. */\n"
Real = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Fit:
    """A polynomial in x of this degree that is near `target` on an interval; errors count `weight` times."""

    name: str
    target: Real
    weight: Real
    low: mpf
    high: mpf
    degree: int
    meaning: str
    wide: bool = False  # whether float is computed in double


def nodes(low: mpf, high: mpf, count: int) -> list[mpf]:
    """Chebyshev nodes of an interval, in rising order."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def solve(fit: Fit, points: list[mpf], target: dict[mpf, mpf], weight: dict[mpf, mpf]) -> list[mpf]:
    """The polynomial whose weighted errors at these points are equal with alternating signs."""
    n = fit.degree + 2
    matrix, right = mp.matrix(n, n), mp.matrix(n, 1)
    for i, x in enumerate(points):
        for j in range(n - 1):
            matrix[i, j] = x**j
        matrix[i, n - 1] = (-1) ** i / weight[x]
        right[i] = target[x]
    return list(mp.lu_solve(matrix, right))[: n - 1]


def extrema(grid: list[mpf], errors: list[mpf], count: int) -> list[mpf]:
    """Where the error is largest between its changes of sign; `count` of those places side by side."""
    best: list[int] = []
    for i, error in enumerate(errors):
        if best and (error > 0) == (errors[best[-1]] > 0):
            if abs(error) > abs(errors[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    while len(best) > count:
        best.pop(0 if abs(errors[best[0]]) < abs(errors[best[-1]]) else -1)
    return [grid[i] for i in best]


def remez(fit: Fit) -> tuple[list[mpf], mpf]:
    """The coefficients, lowest first, and the largest weighted error."""
    count = fit.degree + 2
    grid = nodes(fit.low, fit.high, 40 * count)
    target, weight = {x: fit.target(x) for x in grid}, {x: fit.weight(x) for x in grid}
    points = [grid[40 * k + 20] for k in range(count)]
    while True:
        coefficients = solve(fit, points, target, weight)
        errors = [weight[x] * (mp.polyval(coefficients[::-1], x) - target[x]) for x in grid]
        chosen = extrema(grid, errors, count)
        if len(chosen) < count:
            raise ArithmeticError(f"{fit.name}: the error changes its sign {len(chosen) - 1} times, not {count - 1}")
        if chosen == points:
            return coefficients, max(map(abs, errors))
        points = chosen


def written(value: mpf, f32: bool) -> str:
    """A number as C reads it back: the nearest of its type."""
    if not f32:
        return repr(float(value))
    (rounded,) = struct.unpack("f", struct.pack("f", float(value)))
    return f"{rounded:.9g}f" if "." in f"{rounded:.9g}" or "e" in f"{rounded:.9g}" else f"{rounded:.9g}.0f"


def array(fit: Fit) -> str:
    """The C text of a fit."""
    coefficients, error = remez(fit)
    f32 = "_f32_" in fit.name and not fit.wide
    numbers = [written(c, f32) for c in coefficients]
    rows = [", ".join(numbers[i : i + 4]) for i in range(0, len(numbers), 4)]
    body = ",\n    ".join(rows)
    bits = mp.nstr(-mp.log(error, 2), 3)
    return (
        f"/* {fit.meaning} Error 2^-{bits}. */\n"
        f"static const {'float' if f32 else 'double'} {fit.name}[{len(numbers)}] = {{\n    {body}}};\n"
    )


HALF_LN2 = mp.log(2) / 2 * mpf("1.0005")  # k is rounded from a product that is itself rounded
ROOT = mp.sqrt(mpf(2))
ERFC_MIDDLE = mpf(101) / 512


def rest(f: Real, terms: list[mpf], x: mpf) -> mpf:
    """(f(x) - terms[0] - terms[1] x - ...) / x^len(terms), with digits enough for x near 0."""
    with mp.workdps(160):
        return +((f(x) - mp.polyval(terms[::-1], x)) / x ** len(terms))


def exp_rest(x: mpf) -> mpf:
    """(exp(x) - 1 - x) / x^2."""
    return rest(mp.exp, [mpf(1), mpf(1)], x)


def log_rest(x: mpf) -> mpf:
    """(log(1 + x) - x + x^2 / 2) / x^3."""
    return rest(lambda f: mp.log(1 + f), [mpf(0), mpf(1), mpf(-0.5)], x)


def atanh_rest(z: mpf) -> mpf:
    """(2 atanh(s) - 2 s) / s^3, where z = s^2."""
    with mp.workdps(160):
        s = mp.sqrt(z)
        return +((2 * mp.atanh(s) - 2 * s) / s**3)


def exp2_rest(x: mpf) -> mpf:
    """(2^x - 1) / x."""
    return rest(lambda r: mpf(2) ** r, [mpf(1)], x)


def erf_rest(z: mpf) -> mpf:
    """erf(x) / x - 1, where z = x^2."""
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def scaled_erfc(t: mpf) -> mpf:
    """exp(x^2) erfc(x) / q, where q = 1 / (1.5 + x) = t + 101 / 512."""
    q = t + ERFC_MIDDLE
    x = 1 / q - mpf(1.5)
    return mp.exp(x * x) * mp.erfc(x) / q


def cbrt_rest(h: mpf) -> mpf:
    """((1 - h)^(-1/3) - 1) / h."""
    return rest(lambda t: (1 - t) ** (-mpf(1) / 3), [mpf(1)], h)


def fits() -> list[Fit]:
    """All polynomials of the header, in its order."""
    rows: list[Fit] = []
    for name, degree in (("f32", 4), ("f64", 9)):
        rows += [
            Fit(f"rg_exp_{name}_q", exp_rest, lambda x: x**2 / mp.exp(x), -HALF_LN2, HALF_LN2, degree,
                "(exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r)."),
            Fit(f"rg_expm1_{name}_q", exp_rest, lambda x: x**2 / abs(mp.expm1(x)), -HALF_LN2, HALF_LN2, degree + 1,
                "(exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, as part of exp(r) - 1."),
        ]  # fmt: skip
    rows.append(
        Fit("rg_log_f32_q", log_rest, lambda x: x**3 / mp.log1p(x), 1 / ROOT - 1, ROOT - 1, 7,
            "(log(1 + f) - f + f^2 / 2) / f^3 for 1 / sqrt(2) <= 1 + f <= sqrt(2).")
    )  # fmt: skip
    rows.append(
        Fit("rg_log_f64_q", atanh_rest, lambda z: z / 2, mpf(0), ((ROOT - 1) / (ROOT + 1)) ** 2, 6,
            "(log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).")
    )  # fmt: skip
    for name, degree in (("f32", 5), ("wide", 5), ("f64", 10)):
        rows.append(
            Fit(f"rg_exp2_{name}_q", exp2_rest, lambda x: abs(x) / 2**x, -mp.mpf(0.5), mp.mpf(0.5), degree,
                "(2^r - 1) / r for |r| <= 1 / 2.")
        )  # fmt: skip
    for name, erf_degree, log_degree, end in (("f32", 6, 6, 4), ("f64", 11, 18, 6)):
        rows += [
            Fit(f"rg_erf_{name}_q", erf_rest, lambda z: 1 / (1 + erf_rest(z)), mpf(0), mpf(1), erf_degree,
                "erf(x) / x - 1 in x^2, for |x| <= 1."),
            Fit(f"rg_log_erfc_{name}_q", lambda x: mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), mpf(1),
                mpf(end), log_degree, "log(erfc(x)) for x >= 1, as part of erf(x)."),
        ]  # fmt: skip
    for name, wide, degree, right in (("f32", True, 9, "10.2"), ("f64", False, 23, "27.4")):
        rows.append(
            Fit(f"rg_erfc_{name}_q", scaled_erfc, lambda t: 1 / scaled_erfc(t),
                1 / (mpf(1.5) + mpf(right)) - ERFC_MIDDLE, 1 / mpf(2.25) - ERFC_MIDDLE, degree,
                "exp(x^2) erfc(x) / q in q - 101 / 512 with q = 1 / (1.5 + x), for x >= 3 / 4.", wide)
        )  # fmt: skip
    for name, degree in (("f32", 2), ("f64", 5)):
        rows.append(
            Fit(f"rg_cbrt_{name}_q", cbrt_rest, abs, -mpf("0.1022"), mpf("0.1022"), degree,
                "((1 - h)^(-1/3) - 1) / h for |h| <= 0.1022.")
        )  # fmt: skip
    rows += [
        Fit("rg_log_wide_q", log_rest, lambda x: x**3 / mp.log1p(x), 1 / ROOT - 1, ROOT - 1, 9,
            "(log(1 + f) - f + f^2 / 2) / f^3 for 1 / sqrt(2) <= 1 + f <= sqrt(2), for float."),
        Fit("rg_pow_f64_q", lambda z: (atanh_rest(z) - mpf(2) / 3) / z, lambda z: z**2 / 2, mpf(0),
            ((ROOT - 1) / (ROOT + 1)) ** 2, 6,
            "((log((1 + s) / (1 - s)) - 2 s) / s^3 - 2 / 3) / s^2 in s^2, for |s| as in log."),
    ]  # fmt: skip
    return rows


def main() -> None:
    """Print the arrays, or write them into the header."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put them into the header")
    given = parser.parse_args()
    text = "\n".join(array(fit) for fit in fits())
    if not given.write:
        print(text)
        return
    before, _, behind = HEADER.read_text().partition(BEGIN)
    _, _, after = behind.partition(END)
    HEADER.write_text(f"{before}{BEGIN}{text}{END}{after}")


if __name__ == "__main__":
    main()
