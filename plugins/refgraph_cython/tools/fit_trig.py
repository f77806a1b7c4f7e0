"""Fits the coefficients of refgraph_cython/native/vector_trig.h and vector_gamma.h, and prints them as C arrays.

    python tools/fit_trig.py [--write]

Polynomials are found as in fit_exp.py. Quotients of two polynomials meet their function at Chebyshev nodes, which is
near the best there is (L. N. Trefethen, "Approximation Theory and Approximation Practice", 2013); all their
coefficients are positive, so that nothing cancels where they are evaluated. Constants that a double is too short for
are cut into pieces. `--write` puts all into the headers, between their two marks.
"""

from __future__ import annotations

import argparse
import struct
from dataclasses import dataclass
from pathlib import Path

from fit_exp import Fit, Real, array, nodes, written
from mpmath import mp, mpf

NATIVE = Path(__file__).parent.parent / "refgraph_cython" / "native"
BEGIN, END = "/* Coefficients, printed by tools/fit_trig.py. */\n", "/* End of the coefficients. */\n"
SLACK = mpf("1.0005")  # k is rounded from a product that is itself rounded
TINY = mpf(10) ** -12  # in place of 1 / infinity
MORE = 120  # digits for what cancels
MIDDLE = mpf("1.5")  # quotients are of polynomials in x less this


@dataclass(frozen=True)
class Quotient:
    """Polynomials p and q in x - 3/2, of degrees m and n, of which p / q is near `target` on an interval of x."""

    name: str
    target: Real
    low: mpf
    high: mpf
    m: int
    n: int
    meaning: str


def divided(fit: Quotient) -> tuple[list[mpf], list[mpf], mpf]:
    """p and q, lowest coefficients first, and the largest error in relation to the target. q's highest is 1."""
    points = nodes(fit.low, fit.high, fit.m + fit.n + 1)
    matrix, right = mp.matrix(len(points), len(points)), mp.matrix(len(points), 1)
    for i, x in enumerate(points):
        value = fit.target(x)
        for j in range(fit.m + 1):
            matrix[i, j] = (x - MIDDLE) ** j
        for j in range(fit.n):
            matrix[i, fit.m + 1 + j] = -value * (x - MIDDLE) ** j
        right[i] = value * (x - MIDDLE) ** fit.n
    solved = list(mp.lu_solve(matrix, right))
    p, q = solved[: fit.m + 1], [*solved[fit.m + 1 :], mpf(1)]
    if min(p + q) <= 0:
        raise ArithmeticError(f"{fit.name}: a coefficient is negative")

    def error(x: mpf) -> mpf:
        return abs(mp.polyval(p[::-1], x - MIDDLE) / mp.polyval(q[::-1], x - MIDDLE) / fit.target(x) - 1)

    return p, q, max(map(error, nodes(fit.low, fit.high, 500)))


def arrays(fit: Quotient) -> str:
    """The C text of a quotient."""
    p, q, error = divided(fit)
    f32 = fit.name.endswith("f32")
    text = f"/* {fit.meaning} Error 2^-{mp.nstr(-mp.log(error, 2), 3)}. */\n"
    for end, coefficients in (("p", p), ("q", q)):
        numbers = [written(c, f32) for c in coefficients]
        body = ",\n    ".join(", ".join(numbers[i : i + 4]) for i in range(0, len(numbers), 4))
        kind = "float" if f32 else "double"
        text += f"static const {kind} {fit.name}_{end}[{len(numbers)}] = {{\n    {body}}};\n"
    return text


def pieces(meaning: str, value: mpf, names: list[str], bits: list[int], f32: bool = False) -> str:
    """The C text of a number as a sum: pieces of so many bits, and the nearest number to the rest."""
    text = f"/* {meaning} */\n"
    with mp.workdps(MORE):
        rest = +value
        for name, size in zip(names, [*bits, None], strict=True):
            piece = float(rest)
            if size is not None:
                unit = mpf(2) ** (int(mp.floor(mp.log(abs(rest), 2))) + 1 - size)
                piece = float(mp.nint(rest / unit) * unit)
            elif f32:
                (piece,) = struct.unpack("f", struct.pack("f", piece))
            text += f"#define {name} {piece.hex()}{'f' if f32 else ''}\n"
            rest -= mpf(piece)
    return text


def odd_rest(f: Real) -> Real:
    """(f(x) / x - 1) / x^2 in x^2, for an odd function like x."""

    def rest(z: mpf) -> mpf:
        with mp.workdps(MORE):
            x = mp.sqrt(z)
            return +((f(x) / x - 1) / z)

    return rest


def odd(name: str, f: Real, of: str, until: mpf, degree: int, where: str) -> Fit:
    """The fit of an odd function like x, on 0 <= x <= until."""

    def weight(z: mpf) -> mpf:
        x = mp.sqrt(z)
        return z * x / f(x)

    return Fit(name, odd_rest(f), weight, mpf(0), until**2, degree, f"({of}(x) / x - 1) / x^2 in x^2, for {where}.")


def cos_rest(z: mpf) -> mpf:
    """(cos(x) - 1 + x^2 / 2) / x^4, where z = x^2."""
    with mp.workdps(MORE):
        return +((mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2)


def cot_rest(z: mpf) -> mpf:
    """(1 / r - pi cot(pi r)) / r, where z = r^2."""
    with mp.workdps(MORE):
        r = mp.sqrt(z)
        return +((1 / r - mp.pi * mp.cot(mp.pi * r)) / r)


def log_gamma(x: mpf) -> mpf:
    """log(gamma(x)) / ((x - 1) (x - 2))."""
    with mp.workdps(MORE):
        return +(mp.loggamma(x) / ((x - 1) * (x - 2)))


def log_gamma_series(w: mpf) -> mpf:
    """x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2), where w = 1 / x^2."""
    with mp.workdps(MORE):
        x = 1 / mp.sqrt(w)
        return +((mp.loggamma(x) - (x - mpf(0.5)) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x)


def digamma_zero() -> mpf:
    """Where digamma is 0 between 1 and 2."""
    with mp.workdps(MORE):
        return mp.findroot(mp.digamma, mpf("1.4616321449683623"))


DIGAMMA_ZERO = digamma_zero()


def digamma(x: mpf) -> mpf:
    """psi(x) / (x - its zero)."""
    with mp.workdps(MORE):
        return +(mp.digamma(x) / (x - DIGAMMA_ZERO))


def digamma_series(w: mpf) -> mpf:
    """x^2 (log(x) - 1 / (2 x) - psi(x)), where w = 1 / x^2."""
    with mp.workdps(MORE):
        x = 1 / mp.sqrt(w)
        return +((mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / w)


def trigonometric() -> list[Fit]:
    """The polynomials of vector_trig.h, in its order."""
    quarter = mp.pi / 4 * SLACK
    rows = []
    for name, sin, cos, asin_until, asin, atan in (
        ("f32", 2, 2, mp.sqrt(mpf(0.5)), 7, 8),
        ("f64", 5, 5, mpf(0.5), 12, 19),
    ):
        rows += [
            odd(f"rg_sin_{name}_q", mp.sin, "sin", quarter, sin, "|x| <= pi / 4"),
            Fit(f"rg_cos_{name}_q", cos_rest, lambda z: z**2 / mp.cos(mp.sqrt(z)), mpf(0), quarter**2, cos,
                "(cos(x) - 1 + x^2 / 2) / x^4 in x^2, for |x| <= pi / 4."),
            odd(f"rg_asin_{name}_q", mp.asin, "asin", asin_until * SLACK, asin, f"|x| <= {mp.nstr(asin_until, 4)}"),
            odd(f"rg_atan_{name}_q", mp.atan, "atan", mpf(1), atan, "|x| <= 1"),
        ]  # fmt: skip
    return [*rows, odd("rg_tan_f32_q", mp.tan, "tan", quarter, 6, "|x| <= pi / 4")]


def gamma_family() -> list[Fit | Quotient]:
    """The polynomials and quotients of vector_gamma.h, in its order."""
    rows: list[Fit | Quotient] = []
    for name, m, n, degree, digamma_m, digamma_n, digamma_degree, cot_degree in (
        ("f32", 4, 5, 3, 4, 5, 3, 7),
        ("f64", 8, 9, 13, 7, 8, 10, 14),
    ):
        rows += [
            Quotient(f"rg_lgamma_{name}", log_gamma, mpf("0.7"), mpf("2.5"), m, n,
                     "log(gamma(x)) / ((x - 1) (x - 2)) = p / q in x - 3/2, for 0.7 <= x <= 2.5."),
            Fit(f"rg_stirling_{name}_q", log_gamma_series, mp.sqrt, TINY, mpf(1) / 4, degree,
                "x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1 / x^2, for x >= 2."),
            Quotient(f"rg_digamma_{name}", digamma, mpf(0.5), mpf(3), digamma_m, digamma_n,
                     "psi(x) / (x - its zero) = p / q in x - 3/2, for 0.5 <= x <= 3."),
            Fit(f"rg_digamma_{name}_s", digamma_series, lambda w: w, TINY, mpf(1) / 9, digamma_degree,
                "x^2 (log(x) - 1 / (2 x) - psi(x)) in 1 / x^2, for x >= 3."),
            Fit(f"rg_cot_{name}_q", cot_rest, lambda z: mpf(1) / 4, TINY, mpf(0.25), cot_degree,
                "(1 / r - pi cot(pi r)) / r in r^2, for |r| <= 1 / 2."),
        ]  # fmt: skip
    return rows


def trigonometric_constants() -> list[str]:
    """The constants of vector_trig.h."""
    return [
        pieces("pi. The first pieces times a number of 21 bits are exact.", mp.pi,
               ["RG_PI_F64", "RG_PI_MIDDLE_F64", "RG_PI_LOW_F64"], [32, 32]),
        pieces("pi. The first piece times a number of 24 bits is exact.", mp.pi, ["RG_PI_WIDE", "RG_PI_LOW_WIDE"],
               [29]),
        pieces("pi / 2 as the nearest number, and what that lacks.", mp.pi / 2,
               ["RG_HALF_PI_F64", "RG_HALF_PI_LOW_F64"], [53]),
        pieces("The same in float.", mp.pi / 2, ["RG_HALF_PI_F32", "RG_HALF_PI_LOW_F32"], [24], True),
        pieces("1 / pi.", 1 / mp.pi, ["RG_INVERSE_PI"], []),
    ]  # fmt: skip


def gamma_constants() -> list[str]:
    """The constants of vector_gamma.h."""
    stirling = (mp.log(2 * mp.pi) - 1) / 2
    return [
        pieces("(log(2 pi) - 1) / 2.", stirling, ["RG_STIRLING_F64", "RG_STIRLING_LOW_F64"], [53]),
        pieces("Where digamma is 0.", DIGAMMA_ZERO, ["RG_DIGAMMA_ZERO_F64", "RG_DIGAMMA_ZERO_LOW_F64"], [53]),
        pieces("The same in float.", DIGAMMA_ZERO, ["RG_DIGAMMA_ZERO_F32", "RG_DIGAMMA_ZERO_LOW_F32"], [24], True),
    ]


def main() -> None:
    """Print the arrays, or write them into the headers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put them into the headers")
    given = parser.parse_args()
    for header, constants, rows in (
        ("vector_trig.h", trigonometric_constants(), trigonometric()),
        ("vector_gamma.h", gamma_constants(), gamma_family()),
    ):
        text = "\n".join([*constants, *[array(row) if isinstance(row, Fit) else arrays(row) for row in rows]])
        if not given.write:
            print(text)
            continue
        before, _, behind = (NATIVE / header).read_text().partition(BEGIN)
        _, _, after = behind.partition(END)
        (NATIVE / header).write_text(f"{before}{BEGIN}{text}{END}{after}")


if __name__ == "__main__":
    main()
