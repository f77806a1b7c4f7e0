"""What rewriting does for loops: recurrent nets on the interpreter, with and without the rules of the phase `scan`.

    uv run benchmarks/scan_rewriting.py [--json FILE] [--quick]

An Elman net (each step a state and a softmax of it) and an LSTM, of 100 units and as many inputs, for 100 steps; in
batches of 1 and 10; the outputs alone ("forward"), or the loss and its gradient by all weights ("training"). All in
float64 and on one thread. Without the rules, loops still keep only what is read, and all the other phases apply.

Every time is the median of repetitions that take turns: a busy machine slows both. Answers are compared first.
"products" are those of matrices that run in one call, "ops" all applications that do, those in steps each time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"))

import numpy as np

import refgraph
import refgraph.tensor as T
from refgraph.interp.plan import INTERPRETER, Around, Plan  # noqa: TID251  (what runs is counted below the level of functions)

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved, versions  # type: ignore[import-not-found]

STEPS, UNITS = 100, 100
ENOUGH = 4.0  # seconds for all repetitions of a row
MODES = (
    refgraph.Mode(optimizer="fast_run").excluding("scan").including("only_what_is_read"),
    refgraph.Mode(optimizer="fast_run"),
)
PRODUCTS = ("dot", "tensordot", "matmul", "gemm", "gemv", "ger")

Net = Callable[[int], tuple[list[Any], list[Any], Any, list[Any]]]
"""Of a batch: the inputs, the outputs, the loss, and the weights."""


def elman(batch: int) -> tuple[list[Any], list[Any], Any, list[Any]]:
    """A state and, of each, a distribution."""
    x, h0 = T.dtensor3("x"), T.dmatrix("h0")
    u, w, v, b, c = T.dmatrix("U"), T.dmatrix("W"), T.dmatrix("V"), T.dvector("b"), T.dvector("c")

    def step(x: Any, h: Any) -> Any:
        h = T.tanh(T.dot(x, u) + T.dot(h, w) + b)
        return h, T.nnet.softmax(T.dot(h, v) + c)

    (h, y), _ = refgraph.scan(step, x, [h0, None])
    weights = [u, w, v, b, c]
    return [x, h0, *weights], [h, y], -T.log(y[:, :, 0]).mean(), weights


def lstm(batch: int) -> tuple[list[Any], list[Any], Any, list[Any]]:
    """Three gates and a memory; the loss is of the last output."""
    x, h0, c0 = T.dtensor3("x"), T.dmatrix("h0"), T.dmatrix("c0")
    us, ws = ([T.dmatrix(f"{kind}{gate}") for gate in "ifog"] for kind in "UW")
    bs = [T.dvector(f"b{gate}") for gate in "ifog"]

    def step(x: Any, h: Any, c: Any) -> Any:
        i, f, o, g = (T.dot(x, u) + T.dot(h, w) + b for u, w, b in zip(us, ws, bs, strict=True))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return T.nnet.sigmoid(o) * T.tanh(c), c

    (h, c), _ = refgraph.scan(step, x, [h0, c0])
    weights = [*us, *ws, *bs]
    return [x, h0, c0, *weights], [h, c], (h[-1] ** 2).sum(), weights


NETS: dict[str, Net] = {"Elman": elman, "LSTM": lstm}


def arguments(inputs: list[Any], batch: int, steps: int) -> list[Any]:
    """Items, states that begin at 0, and small weights."""
    rng = np.random.default_rng(0)
    found = []
    for x in inputs:
        shape = {"x": (steps, batch, UNITS), "h0": (batch, UNITS), "c0": (batch, UNITS)}.get(x.name, (UNITS,) * x.ndim)
        found.append(rng.normal(size=shape) * (1.0 if x.name == "x" else 1 / UNITS**0.5 if x.ndim == 2 else 0.0))
    return found


def most_bytes(f: Any, arrays: list[Any]) -> int:
    """The most bytes that are held during a call, above those before it."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    f(*arrays)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


def runs(graph: Any, arrays: list[Any]) -> dict[str, int]:
    """How many applications run in one call, and how many of them are products."""
    found = {"ops": 0, "products": 0}

    class Counted(Around):
        def bind(self, node: Any, compile: Any) -> Callable[..., Any]:
            kernel = super().bind(node, compile)

            def run(*inputs: Any, **options: Any) -> Any:
                found["ops"] += 1
                found["products"] += node.op.name in PRODUCTS
                return kernel(*inputs, **options)

            return run

    Plan(graph, Counted(INTERPRETER))(*arrays)
    return found


def measured(net: str, batch: int, training: bool, steps: int, repeat: int | None) -> dict[str, Any]:
    """Milliseconds a call, without the rules and with them."""
    inputs, outputs, loss, weights = NETS[net](batch)
    wanted = [loss, *refgraph.grad(loss, weights)] if training else outputs
    functions, making = [], []
    for mode in MODES:
        start = time.perf_counter()
        functions.append(refgraph.function(inputs, wanted, mode=mode))
        making.append(time.perf_counter() - start)
    arrays = arguments(inputs, batch, steps)
    start = time.perf_counter()
    first, second = (f(*arrays) for f in functions)
    spent = time.perf_counter() - start
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-8, atol=1e-10)
    repeat = repeat or int(np.clip(ENOUGH / spent, 5, 201))
    before, after = (1e3 * s for s in interleaved(repeat, *[lambda f=f: f(*arrays) for f in functions]))
    counts = [runs(f.graph, arrays) for f in functions]
    return {
        "net": net,
        "batch": batch,
        "what": "training" if training else "forward",
        "repeat": repeat,
        "ms_without": before,
        "ms_with": after,
        "ratio": before / after,
        "products": [c["products"] for c in counts],
        "ops": [c["ops"] for c in counts],
        "megabytes": [most_bytes(f, arrays) / 1e6 for f in functions],
        "seconds_to_make": making,
    }


def rows() -> Iterator[tuple[str, int, bool]]:
    """Every net, batch, and whether it is trained."""
    for net in NETS:
        for batch in (1, 10):
            yield from [(net, batch, training) for training in (False, True)]


def show(report: dict[str, Any]) -> None:
    print(
        f"{report['steps']} steps of {report['units']} units; milliseconds a call without and with the rules for loops"
    )
    print(
        f"{'':<6} {'batch':>5} {'':<9} {'without':>9} {'with':>9} {'faster':>7} {'products':>15} {'ops':>15} "
        f"{'megabytes':>13} {'seconds to make':>16}"
    )
    for row in report["nets"]:
        pairs = [f"{row[key][0]:>{n}{kind}} > {row[key][1]:{kind}}" for key, n, kind in COLUMNS]
        times = f"{row['ms_without']:>9.2f} {row['ms_with']:>9.2f} {row['ratio']:>6.2f}x"
        head = f"{row['net']:<6} {row['batch']:>5} {row['what']:<9} {times}"
        print(head, " ".join([f"{pair:>{w}}" for pair, w in zip(pairs, (15, 15, 13, 16), strict=True)]))


COLUMNS = (("products", 0, "d"), ("ops", 0, "d"), ("megabytes", 0, ".1f"), ("seconds_to_make", 0, ".2f"))


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--quick", action="store_true", help="few repetitions of few steps")
    options = parser.parse_args()
    steps = 10 if options.quick else STEPS
    nets = [measured(*row, steps, 3 if options.quick else None) for row in rows()]
    report = {"versions": versions(), "steps": steps, "units": UNITS, "nets": nets}
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
