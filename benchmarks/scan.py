"""What loops cost: microseconds and bytes a step, compiled and on the interpreter, from 10 to 100,000 steps.

    uv run benchmarks/scan.py [--json FILE] [--quick]
    uv run --isolated --with pytensor --with jax benchmarks/scan.py

Beside PyTensor and JAX where they are here, whose whole programs `compare.py` measures; here it is what a step adds.
"refgraph" is the interpreter, of which ratios are multiples, and "compiled" refgraph-cython, where it is installed.
Every time is the median of repetitions that take turns with what they are compared with; answers are compared before
they are timed. All in float64 and on one thread; JAX with jit; PyTensor with its default mode, which compiles, and as
"PyTensor py" with Python thunks only, an interpreter as ours is. What it takes to make a function and to call it once
is printed apart, where nothing is found compiled from an earlier run.
Bytes are the most that NumPy holds during a call above what it was given, as tracemalloc sees it; a trace is the array
of the states of all steps.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"))
os.environ.update(NUMBA_NUM_THREADS="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")

import numpy as np

import refgraph
import refgraph.tensor

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved, versions  # type: ignore[import-not-found]

ENOUGH = 0.5  # seconds for all repetitions of a row
LARGEST = 50e6  # bytes of a trace
PATIENCE = 10_000  # steps of Python thunks that are waited for
STEPS = (10, 100, 1_000, 10_000, 100_000)
SHAPES: dict[str, tuple[int, ...]] = {"recurrence": (), "rnn 1 x 32": (1, 32), "rnn 16 x 128": (16, 128)}
ANSWERS = ("last", "sum", "grad of sum", "grad of last", "grad of last, checkpoints")
Made = Callable[..., Any]


def step(T: Any, ndim: int) -> Callable[[Any, Any, Any], Any]:
    """One step: a linear recurrence of numbers, or a recurrent layer."""
    if ndim == 0:
        return lambda x, h, w: w * h + x
    return lambda x, h, w: T.tanh(T.dot(h, w) + x)


def answer(what: str, h: Any, grad: Callable[[Any], Any]) -> Any:
    """What is asked of a loop with the trace h; `grad` is of a scalar, by the weights and the initial state."""
    if what == "last":
        return h[-1]
    if what == "sum":
        return h.sum()
    return grad((h**2).sum() if what == "grad of sum" else h[-1].sum())


def arguments(shape: tuple[int, ...], n: int) -> list[Any]:
    """Items, the initial state, and weights with which a state forgets fast: what is left of it soon is 0 exactly.

    Slower, it would be denormal for many steps, and these take much longer to compute with.
    """
    rng = np.random.default_rng(n)
    weights = rng.normal(size=(shape[-1], shape[-1])) / shape[-1] if shape else np.array(1.0)
    return [rng.normal(size=(n, *shape)), rng.normal(size=shape), 0.5 * weights]


# the libraries


def symbolic(tensor: Any, ndim: int) -> list[Any]:
    """Items, the initial state and the weights as variables without known lengths."""
    ranks = [ndim + 1, ndim, ndim]
    return [tensor.TensorType("float64", (None,) * d)() for d in ranks]


def refgraphs(ndim: int, what: str, backend: str) -> Made:
    T = refgraph.tensor
    x, h0, w = symbolic(T, ndim)
    scan = refgraph.scan_checkpoints if "checkpoints" in what else refgraph.scan
    h, _ = scan(lambda x, h: step(T, ndim)(x, h, w), x, h0)
    return refgraph.function([x, h0, w], answer(what, h, lambda cost: T.grad(cost, [w, h0])), backend=backend)


def pytensors(ndim: int, what: str, compiled: bool) -> Made:
    import pytensor
    import pytensor.tensor as T
    from pytensor.link.vm import VMLinker

    mode = None
    if not compiled:  # without fusion: in Python, fused ops are slower, and refuse numbers of steps beyond int8
        mode = pytensor.compile.mode.Mode(VMLinker(c_thunks=False), "fast_run").excluding("fusion")
    x, h0, w = symbolic(T, ndim)
    h = pytensor.scan(lambda x, h: step(T, ndim)(x, h, w), [x], [h0], return_updates=False, mode=mode)
    return pytensor.function([x, h0, w], answer(what, h, lambda cost: T.grad(cost, [w, h0])), mode=mode)


def jaxes(ndim: int, what: str) -> Made:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def asked(x: Any, h0: Any, w: Any) -> Any:
        def both(h: Any, x: Any) -> Any:
            new = step(jnp, ndim)(x, h, w)
            return new, new

        return answer(what, jax.lax.scan(both, h0, x)[1], lambda cost: cost)

    f = jax.jit(jax.grad(asked, (2, 1)) if what.startswith("grad") else asked)
    return lambda *arrays: jax.block_until_ready(f(*arrays))


def libraries(what: str) -> dict[str, Callable[[int, str], Made]]:
    """Those that are here and have what is asked."""
    found: dict[str, Callable[[int, str], Made]] = {"refgraph": lambda ndim, what: refgraphs(ndim, what, "numpy")}
    if importlib.util.find_spec("refgraph_cython"):
        found["compiled"] = lambda ndim, what: refgraphs(ndim, what, "cython")
    if "checkpoints" not in what:
        if importlib.util.find_spec("pytensor"):
            found["PyTensor"] = lambda ndim, what: pytensors(ndim, what, compiled=True)
            found["PyTensor py"] = lambda ndim, what: pytensors(ndim, what, compiled=False)
        if importlib.util.find_spec("jax"):
            found["JAX"] = jaxes
    return found


# measuring


def made(rows: list[dict[str, Any]]) -> dict[tuple[int, str], dict[str, Made]]:
    """A function of each library for every number of dimensions and every answer; how long each took goes to `rows`."""
    found: dict[tuple[int, str], dict[str, Made]] = {}
    for shape in (SHAPES["recurrence"], SHAPES["rnn 1 x 32"]):
        for what in ANSWERS:
            row: dict[str, Any] = {"program": "rnn" if shape else "recurrence", "answer": what}
            functions: dict[str, Made] = {}
            for name, make in libraries(what).items():
                start = time.perf_counter()
                functions[name] = make(len(shape), what)
                functions[name](*arguments(shape, 10))
                row[name] = time.perf_counter() - start
            found[len(shape), what] = functions
            rows.append(row)
    return found


def most_bytes(f: Made, arrays: list[Any]) -> int:
    """The most bytes that are held during a call, above those before it."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    f(*arrays)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


def measured(functions: dict[str, Made], shape: tuple[int, ...], n: int, quick: bool) -> dict[str, Any]:
    """Microseconds a step of each library, and the bytes of the interpreter."""
    arrays = arguments(shape, n)
    functions = {name: f for name, f in functions.items() if n <= PATIENCE or not name.endswith(" py")}
    seconds, first = [], None
    for f in functions.values():
        found = f(*arrays)  # JAX compiles for every length
        first = found if first is None else first
        for a, b in zip(first, found, strict=True) if isinstance(first, list) else [(first, found)]:
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)
        start = time.perf_counter()
        f(*arrays)
        seconds.append(time.perf_counter() - start)
    repeat = 3 if quick else int(np.clip(ENOUGH / sum(seconds), 3, 101))
    works = [lambda f=f: f(*arrays) for f in functions.values()]
    times = {name: 1e6 * s / n for name, s in zip(functions, interleaved(repeat, *works), strict=True)}
    most = most_bytes(functions["refgraph"], arrays)
    return {
        "steps": n,
        "repeat": repeat,
        "us_a_step": times,
        "ratio": {name: us / times["refgraph"] for name, us in times.items() if name != "refgraph"},
        "bytes": most,
        "bytes_a_step": most / n,
        "traces": most / arrays[0].nbytes,
    }


def loops(quick: bool) -> Iterator[tuple[str, tuple[int, ...], str, list[int]]]:
    """Every program and what is asked of it, and for how many steps."""
    for program, shape in SHAPES.items():
        for what in ANSWERS:
            yield program, shape, what, [n for n in STEPS[: 3 if quick else None] if 8 * n * np.prod(shape) <= LARGEST]


def growth(f: Made, shape: tuple[int, ...], steps: list[int], repeat: int) -> dict[str, Any]:
    """What a step of the longest loop costs, as a multiple of what it costs in shorter ones, which take turns."""
    given = {n: arguments(shape, n) for n in steps}
    often = {n: max(1, 10_000 // n) for n in steps}

    def many(n: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(often[n]):
                f(*given[n])

        return run

    seconds = interleaved(repeat, *[many(n) for n in steps])
    us = {n: 1e6 * s / (n * often[n]) for n, s in zip(steps, seconds, strict=True)}
    bytes_a_step = {n: most_bytes(f, given[n]) / n for n in steps}
    last = steps[-1]
    return {
        "steps": last,
        "time": {n: us[last] / us[n] for n in steps[:-1]},
        "bytes": {n: bytes_a_step[last] / bytes_a_step[n] for n in steps[:-1]},
    }


# printing


def show(report: dict[str, Any]) -> None:
    names = list(report["making"][0])[2:]
    print("seconds to make a function and call it once")
    print(f"{'':<11} {'':<26}" + "".join([f"{name:>13}" for name in names]))
    for row in report["making"]:
        cells = [f"{row[name]:>13.3f}" if name in row else " " * 13 for name in names]
        print(f"{row['program']:<11} {row['answer']:<26}{''.join(cells)}".rstrip())
    print("\nmicroseconds a step (and as a multiple of the interpreter's); bytes a step, and the most bytes in traces")
    heads = "".join([f"{name:>18}" for name in names])
    print(f"{'':<13} {'':<26} {'steps':>7}{heads} {'bytes':>9} {'traces':>8}")
    for row in report["loops"]:
        cells = [
            f"{us:>8.2f} {'(' + format(row['ratio'][name], '.3f') + 'x)' if name in row['ratio'] else '':>9}"
            if (us := row["us_a_step"].get(name)) is not None
            else " " * 18
            for name in names
        ]
        kind = f"{row['program']:<13} {row['answer']:<26} {row['steps']:>7}"
        print(f"{kind}{''.join(cells)} {row['bytes_a_step']:>9.1f} {row['traces']:>8.2f}")
    print("\na step of the longest loop as a multiple of one in a shorter loop: its time, and its bytes")
    heads = "".join([f"{format(n, ',') + ' steps':>14}" for n in STEPS[1:4]])
    print(f"{'':<13} {'':<26} {'steps':>7} {heads} {heads}")
    for row in report["growth"]:
        cells = [
            "".join([f"{row[cost][n]:>13.2f}x" if n in row[cost] else " " * 14 for n in STEPS[1:4]])
            for cost in ("time", "bytes")
        ]
        print(f"{row['program']:<13} {row['answer']:<26} {row['steps']:>7} {cells[0]} {cells[1]}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="short loops, few repetitions: to see that it runs")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="pytensor")
    report: dict[str, Any] = {"making": []}
    with tempfile.TemporaryDirectory() as compiled:
        os.environ.update(PYTENSOR_FLAGS=f"base_compiledir={compiled}", NUMBA_CACHE_DIR=compiled)
        functions = made(report["making"])
    report["versions"] = versions()
    if "jax" in sys.modules:
        report["versions"]["jax"] = sys.modules["jax"].__version__
    report["loops"], report["growth"] = [], []
    for program, shape, what, steps in loops(args.quick):
        kind, those = {"program": program, "answer": what}, functions[len(shape), what]
        report["loops"] += [kind | measured(those, shape, n, args.quick) for n in steps]
        report["growth"].append(kind | growth(those["refgraph"], shape, steps[1:], 3 if args.quick else 5))
    show(report)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
