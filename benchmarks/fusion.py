"""What fusing elementwise ops, and the sums that they feed, is worth on the interpreter.

    uv run benchmarks/fusion.py [--json FILE] [--quick]

Programs run as they are and fused, in turns, in one process; every number is a median. Both are plans of a graph, with
values computed in place of those that are needed no more.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor as T
from refgraph.core.graph import Graph  # noqa: TID251  (what runs is compared below the level of functions)
from refgraph.interp.plan import Plan  # noqa: TID251
from refgraph.rewrite.engine import rewrite  # noqa: TID251
from refgraph.rewrite.fuse import fuse_elementwise  # noqa: TID251

SIZES = (10, 1_000, 30_000, 300_000, 1_000_000, 4_000_000)
MOST_LOST = 1.05  # the time that small arrays may take, fused, of what they take as they are


def long(x: Any, y: Any) -> Any:
    """Ten ops, five of them transcendental."""
    return T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y))


PROGRAMS: dict[str, Callable[[Any, Any], list[Any]]] = {
    "two ops": lambda x, y: [T.tanh(x + y)],
    "ten ops": lambda x, y: [long(x, y)],
    "ten ops and sum": lambda x, y: [long(x, y).sum()],
    "ten ops, also summed": lambda x, y: [z := long(x, y), z.sum()],
    "cheap ops": lambda x, y: [(2 * x + y) * x - y * y + 1],
    "squared error": lambda x, y: [((x - y) ** 2).mean()],
}


def interleaved(repeat: int, loops: int, *works: Callable[[], Any]) -> list[float]:
    """The median seconds of each, taking turns, so many loops at a time."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repeat):
        for work, taken in zip(works, seconds, strict=True):
            start = time.perf_counter()
            for _ in range(loops):
                work()
            taken.append((time.perf_counter() - start) / loops)
    return [median(taken) for taken in seconds]


def measured(what: str, dtype: str, size: int, repeat: int) -> dict[str, Any]:
    """Microseconds a call, as it is and fused."""
    x, y = T.vector("x", dtype=dtype), T.vector("y", dtype=dtype)
    graph = Graph([x, y], PROGRAMS[what](x, y))
    fused = rewrite(graph, [fuse_elementwise])
    assert len(fused.nodes) == 1
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype)
    before, after = Plan(graph).run, Plan(fused).run
    for got, want in zip(after(a, b), before(a, b), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)
    loops = max(1, 2_000 // size)
    repeat = repeat if size < 1_000_000 else max(3, repeat // 3)
    with np.errstate(all="ignore"):
        unfused_s, fused_s = interleaved(repeat, loops, lambda: before(a, b), lambda: after(a, b))
    return {
        "program": what,
        "dtype": dtype,
        "size": size,
        "unfused_us": 1e6 * unfused_s,
        "fused_us": 1e6 * fused_s,
        "ratio": fused_s / unfused_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    repeat = 3 if args.quick else 31
    print(f"microseconds a call as it is, fused, and their ratio (goal: at most {MOST_LOST} where arrays are small)")
    rows = []
    for what in PROGRAMS:
        print(what)
        for dtype in ("float32", "float64"):
            for size in SIZES:
                row = measured(what, dtype, size, repeat)
                rows.append(row)
                print(
                    f"  {dtype} {size:>9,} {row['unfused_us']:>10.2f} {row['fused_us']:>10.2f} {row['ratio']:>6.2f}",
                    flush=True,
                )
    if args.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.platform()}
        report = {"versions": {**versions, "refgraph": refgraph.__version__}, "fusion": rows}
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
