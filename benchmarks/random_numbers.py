"""What random numbers cost in the interpreter, beside NumPy's Generator on its own Philox (4x64, in C).

    uv run benchmarks/random_numbers.py [--json FILE] [--quick]

Medians over rounds in which both take turns; a ratio above 1 says how many times longer refgraph takes.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np

import refgraph
from refgraph.ops import philox  # noqa: TID251  (the generator itself is measured)

SIZES = 1, 100, 10_000, 1_000_000


def draws(size: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """For each draw, ours and NumPy's."""
    ours, theirs = refgraph.random.Stream(1), np.random.Generator(np.random.Philox(1))

    def made(x: Any) -> Callable[[], Any]:
        return refgraph.function([], x)

    return {
        "uniform float64": (made(ours.uniform(size=size, dtype="float64")), lambda: theirs.random(size)),
        "uniform float32": (made(ours.uniform(size=size, dtype="float32")), lambda: theirs.random(size, "float32")),
        "normal float64": (
            made(ours.normal(size=size, dtype="float64")),
            lambda: theirs.standard_normal(size),
        ),
        "normal float32": (
            made(ours.normal(size=size, dtype="float32")),
            lambda: theirs.standard_normal(size, "float32"),
        ),
        "integers below 1000": (made(ours.integers(1000, size=size)), lambda: theirs.integers(0, 1000, size)),
        "bernoulli": (made(ours.bernoulli(0.3, size=size, dtype="bool")), lambda: theirs.random(size) < 0.3),
        "binomial of 10": (made(ours.binomial(10, 0.3, size=size)), lambda: theirs.binomial(10, 0.3, size)),
        "binomial of 1000": (made(ours.binomial(1000, 0.3, size=size)), lambda: theirs.binomial(1000, 0.3, size)),
        "poisson of 100": (made(ours.poisson(100.0, size=size)), lambda: theirs.poisson(100.0, size)),
        "permutation": (made(ours.permutation(size)), lambda: theirs.permutation(size)),
    }


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def chunks(quick: bool) -> dict[int, float]:
    """Millions of 32-bit words a second, by the number of blocks that are made at a time."""
    found = {}
    for blocks in [2**k for k in range(10, 18)]:
        rounds = [seconds(lambda b=blocks: philox.words32(1, 2, 0, b)) for _ in range(5 if quick else 101)]
        found[blocks] = 4e-6 * blocks / median(rounds)
    return found


def measured(quick: bool) -> list[dict[str, Any]]:
    rows = []
    for size in SIZES[:3] if quick else SIZES:
        rounds = 3 if quick else 11 if size > 100_000 else 51
        for name, (ours, theirs) in draws(size).items():
            taken = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]
            a, b = (median(column) for column in zip(*taken, strict=True))
            rows.append({"draw": name, "size": size, "refgraph": a, "numpy": b, "ratio": a / b})
    return rows


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    rows = measured(args.quick)
    print(f"{'draw':<22}{'size':>9}{'refgraph':>14}{'numpy':>14}{'ratio':>8}{'a number':>12}")
    for r in rows:
        each = f"{1e9 * r['refgraph'] / r['size']:.1f} ns"
        times = f"{1e6 * r['refgraph']:>11.1f} us{1e6 * r['numpy']:>11.1f} us"
        print(f"{r['draw']:<22}{r['size']:>9}{times}{r['ratio']:>7.1f}x{each:>12}")
    speeds = chunks(args.quick)
    print("blocks at a time, and millions of 32-bit words a second:")
    print("  ".join(f"{blocks}: {speed:.0f}" for blocks, speed in speeds.items()))
    if args.json:
        versions = {"python": platform.python_version(), "numpy": version("numpy"), "machine": platform.platform()}
        with open(args.json, "w") as file:
            json.dump({"versions": versions, "rows": rows, "chunks": speeds}, file, indent=1)


if __name__ == "__main__":
    main()
