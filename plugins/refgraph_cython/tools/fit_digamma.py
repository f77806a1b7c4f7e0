"""Prints the coefficients of native/digamma.c: Bernoulli numbers and values of the zeta function, in two doubles."""

from __future__ import annotations

from mpmath import mp, mpf

mp.prec = 300


def pair(value: mpf) -> str:
    high = float(value)
    return f"{{{high.hex()}, {float(value - high).hex()}}}"


def table(comment: str, name: str, values: list[mpf]) -> None:
    print(f"/* {comment} */\nstatic const pair {name}[{len(values)}] = {{")
    for value in values:
        print(f"    {pair(value)},")
    print("};\n")


print(f"static const pair ln2 = {pair(mp.log(2))};")
print(f"static const pair pi_squared = {pair(mp.pi**2)};\n")
table("B(2k) / (2k), k = 1, 2, ...", "bernoulli", [mp.bernoulli(2 * k) / (2 * k) for k in range(1, 18)])
table("2 zeta(2k), k = 1, 2, ...", "zeta", [2 * mp.zeta(2 * k) for k in range(1, 27)])
