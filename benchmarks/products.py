"""Matrix products of the compiled backend: SciPy's BLAS, each kernel of its own that can, and what it chooses by shape.

    uv run benchmarks/products.py [--json FILE] [--quick] [--threads N] [--aligned]

Ratios are of the times of BLAS over those of the kernel: above 1, the kernel is faster. `chosen` is the way that
native/matmul.c takes, and `lost` the time that it takes over that of the fastest way; thresholds are where they should
be if that is below 1.1. All ways take turns on the same arrays; times are the least of repetitions, as whoever else
uses the machine only adds to them. Products are those of layers: x W, x W^T (which gradients by x are), and w - x^T d
(which updates are), for x of m rows and W of k by n.

With --aligned: what it would gain to lay weights out once, with rows that begin at vectors, beside rows as they lie.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor as T
from refgraph_cython import _native, backend

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import versions  # type: ignore[import-not-found]

WAYS = {"BLAS": 0, "tiles": 1, "turned tiles": 2, "dots": 3, "turning": 4, "outer": 5}  # the enum of native/matmul.c
ROWS = (1, 2, 3, 4, 8, 10, 16, 20, 24, 32, 48, 60, 100, 256, 512, 513, 1000)
WEIGHTS = ((3, 4), (10, 10), (31, 50), (32, 32), (33, 50), (64, 64), (128, 128), (200, 10), (500, 10), (784, 100),
           (784, 500), (512, 512), (520, 520), (1000, 1000))  # fmt: skip
KINDS = ("x W", "x W^T", "w - x^T d")
TOO_SLOW = 1.1
LONG = 20e-6  # seconds that a measurement takes at least
MOST = 4e8  # products of numbers: above that, matrices are large however they are multiplied
Work = Callable[[], Any]


def ways(kind: str, dtype: str, m: int, n: int) -> list[str]:
    """The ways that can compute a product, for contiguous arrays: what native/matmul.c asks of them."""
    if kind == "x W":
        return ["BLAS", "tiles"]
    if kind == "x W^T":
        return ["BLAS", "dots", "turning"]
    found = ["BLAS", "tiles", "turned tiles"]
    return [*found, "outer"] if m == 1 and n * np.dtype(dtype).itemsize >= 128 else found


def made(kind: str, dtype: str, m: int, k: int, n: int) -> Work:
    """A call that computes one product."""
    rng = np.random.default_rng(0)
    x, d, w = (rng.normal(size=shape).astype(dtype) for shape in ((m, k), (m, n), (k, n)))
    a, b = T.matrix("a", dtype=dtype), T.matrix("b", dtype=dtype)
    if kind == "w - x^T d":
        state = refgraph.shared(w)
        f = refgraph.function([a, b], [], updates=[(state, state - T.dot(a.T, b))], backend=backend, trust_input=True)
        return lambda: f(x, d)
    product = T.dot(a, b) if kind == "x W" else T.dot(a, b.T)
    f = refgraph.function([a, b], product, backend=backend, trust_input=True)
    return (lambda: f(x, w)) if kind == "x W" else lambda: f(d, w)


def least(work: Work, found: list[str], repeat: int) -> dict[str, float]:
    """The least microseconds of a call for every way, which take turns; and of what is chosen."""
    numbers = {name: WAYS[name] for name in found} | {"chosen": -1}
    times = dict.fromkeys(numbers, np.inf)
    start = time.perf_counter()
    work()
    work()
    loops = max(1, int(LONG / max(time.perf_counter() - start, 1e-7) * 2))
    for _ in range(repeat):
        for name, way in numbers.items():
            _native.compute_products(way)
            start = time.perf_counter()
            for _ in range(loops):
                work()
            times[name] = min(times[name], (time.perf_counter() - start) / loops)
    _native.compute_products(-1)
    return {name: 1e6 * s for name, s in times.items()}


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """A row for each kind, dtype and shape."""
    for kind in KINDS:
        for dtype in ("float32", "float64"):
            for k, n in WEIGHTS[2:7:2] if quick else WEIGHTS:
                for m in ROWS[::6] if quick else ROWS:
                    if m * k * n > MOST:
                        continue
                    found = ways(kind, dtype, m, n)
                    us = least(made(kind, dtype, m, k, n), found, 3 if quick else 15)
                    best = min(us[name] for name in found)
                    ratios = {name: us["BLAS"] / us[name] for name in [*found[1:], "chosen"]}
                    yield {"kind": kind, "dtype": dtype, "m": m, "k": k, "n": n, "us": us, "ratio": ratios,
                           "lost": us["chosen"] / best}  # fmt: skip


def aligned(a: Any) -> Any:
    """A copy of a matrix whose rows begin at multiples of 64 bytes."""
    rows, columns = a.shape
    width = -(-columns * a.itemsize // 64) * 64
    memory = np.empty(rows * width + 64, np.uint8)
    start = -memory.ctypes.data % 64
    made = memory[start : start + rows * width].view(a.dtype).reshape(rows, -1)[:, :columns]
    made[...] = a
    return made


def laid_out_once(quick: bool) -> None:
    """Print how much sooner products are done whose weights have aligned rows."""
    rng = np.random.default_rng(0)
    print(f"{'':<6} {'m':>5} {'k':>5} {'n':>5} {'as it lies':>12} {'aligned':>12}")
    for kind in KINDS[:2]:
        for k, n in ((784, 500), (1000, 1000)):
            for m in (1, 10, 60):
                a, b = T.matrix("a", dtype="float32"), T.matrix("b", dtype="float32")
                product = T.dot(a, b if kind == "x W" else b.T)
                f = refgraph.function([a, b], product, backend=backend, trust_input=True)
                w = rng.normal(size=(k, n)).astype("float32")
                x = rng.normal(size=(m, k if kind == "x W" else n)).astype("float32")
                matrices, times = (w, aligned(w)), [np.inf, np.inf]
                for _ in range(3 if quick else 60):
                    for i, matrix in enumerate(matrices):
                        start = time.perf_counter()
                        for _ in range(5):
                            f(x, matrix)
                        times[i] = min(times[i], (time.perf_counter() - start) / 5)
                us = [1e6 * t for t in times]
                print(f"{kind:<6} {m:>5} {k:>5} {n:>5} {us[0]:>10.1f}us {us[1]:>10.1f}us {us[0] / us[1]:>6.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few shapes and repetitions: to see that it runs")
    parser.add_argument("--threads", type=int, default=1, help="for kernels of our own; BLAS has OPENBLAS_NUM_THREADS")
    parser.add_argument("--aligned", action="store_true", help="weights that are laid out once, instead")
    args = parser.parse_args()
    refgraph.config.threads = args.threads
    if args.aligned:
        laid_out_once(args.quick)
        return
    columns = [*list(WAYS)[1:], "chosen"]
    heads = "".join([f"{c:>14}" for c in columns])
    print(f"{'':<10} {'':<8} {'m':>5} {'k':>5} {'n':>5} {'BLAS':>10}  {heads}{'lost':>8}")
    found = []
    for row in rows(args.quick):
        found.append(row)
        cells = "".join([f"{row['ratio'][c]:>13.2f}x" if c in row["ratio"] else " " * 14 for c in columns])
        head = f"{row['kind']:<10} {row['dtype']:<8} {row['m']:>5} {row['k']:>5} {row['n']:>5}"
        mark = " *" if row["lost"] > TOO_SLOW else ""
        print(f"{head} {row['us']['BLAS']:>8.2f}us  {cells}{row['lost']:>8.2f}{mark}", flush=True)
    slow = sum(row["lost"] > TOO_SLOW for row in found)
    gain = np.exp(np.mean([np.log(row["ratio"]["chosen"]) for row in found]))
    print(f"{slow} of {len(found)} products take more than {TOO_SLOW} times what they could (*)")
    print(f"what is chosen is {gain:.2f} times as fast as BLAS, in the geometric mean of these shapes")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"versions": versions(), "threads": args.threads, "products": found}, file, indent=1)


if __name__ == "__main__":
    main()
