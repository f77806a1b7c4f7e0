"""What loops cost: microseconds and bytes a step from 10 to 100,000 steps, beside PyTensor and JAX where they are here.

    uv run benchmarks/scan.py [--json FILE] [--quick]
    uv run --isolated --with pytensor --with jax benchmarks/scan.py

Every time is the median of repetitions that take turns with what they are compared with; answers are compared before
they are timed. All in float64; JAX with jit; PyTensor with its default mode, which compiles, and as "PyTensor py" with
Python thunks only, an interpreter as ours is. What it takes to make a function and call it once is printed apart.
Bytes are the most that NumPy holds during a call above what it was given, as tracemalloc sees it; a trace is the array
of the states of all steps.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved, versions  # type: ignore[import-not-found]

ENOUGH = 1.0  # seconds for all repetitions of a row
LARGEST = 200e6  # bytes of a trace
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
    """Items, the initial state and the weights, small enough that states stay so."""
    rng = np.random.default_rng(n)
    weights = (shape[-1], shape[-1]) if shape else ()
    return [rng.normal(size=(n, *shape)), rng.normal(size=shape), 0.5 * rng.normal(size=weights) / (weights or (1,))[0]]


# the libraries


def symbolic(tensor: Any, ndim: int) -> list[Any]:
    """Items, the initial state and the weights as variables without known lengths."""
    ranks = [ndim + 1, ndim, ndim]
    return [tensor.TensorType("float64", (None,) * d)() for d in ranks]


def refgraphs(ndim: int, what: str) -> Made:
    T = refgraph.tensor
    x, h0, w = symbolic(T, ndim)
    scan = refgraph.scan_checkpoints if "checkpoints" in what else refgraph.scan
    h, _ = scan(lambda x, h: step(T, ndim)(x, h, w), x, h0)
    return refgraph.function([x, h0, w], answer(what, h, lambda cost: T.grad(cost, [w, h0])))


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
    found: dict[str, Callable[[int, str], Made]] = {"refgraph": refgraphs}
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
    """Microseconds a step of each library, and our bytes."""
    arrays = arguments(shape, n)
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
    works = [lambda f=f: f(*arrays) for f in functions.values()]  # type: ignore[misc]
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


def rows(functions: dict[tuple[int, str], dict[str, Made]], quick: bool) -> Iterator[dict[str, Any]]:
    for program, shape in SHAPES.items():
        for what in ANSWERS:
            for n in STEPS[: 3 if quick else None]:
                if 8 * n * np.prod(shape, dtype=int) <= LARGEST:
                    yield {"program": program, "answer": what} | measured(functions[len(shape), what], shape, n, quick)


def growth(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What a step costs in the longest loop of each kind, as a multiple of what it costs in one of 100 steps."""
    for program in SHAPES:
        for what in ANSWERS:
            same = {row["steps"]: row for row in found if (row["program"], row["answer"]) == (program, what)}
            a, b = same[100], same[max(same)]
            yield {
                "program": program,
                "answer": what,
                "steps": b["steps"],
                "time": b["us_a_step"]["refgraph"] / a["us_a_step"]["refgraph"],
                "bytes": b["bytes_a_step"] / a["bytes_a_step"],
            }


# printing


def show(report: dict[str, Any]) -> None:
    names = list(report["making"][0])[2:]
    print("seconds to make a function and call it once")
    print(f"{'':<11} {'':<26}" + "".join([f"{name:>13}" for name in names]))
    for row in report["making"]:
        cells = [f"{row[name]:>13.3f}" if name in row else " " * 13 for name in names]
        print(f"{row['program']:<11} {row['answer']:<26}" + "".join(cells))
    print("\nmicroseconds a step (and as a multiple of ours); bytes a step, and the most bytes in traces")
    heads = "".join([f"{name:>18}" for name in names])
    print(f"{'':<13} {'':<26} {'steps':>7}{heads} {'bytes':>9} {'traces':>8}")
    for row in report["loops"]:
        cells = [
            f"{us:>9.2f} {'(' + format(row['ratio'][name], '.2f') + 'x)' if name in row['ratio'] else '':>8}"
            if (us := row["us_a_step"].get(name)) is not None
            else " " * 18
            for name in names
        ]
        kind = f"{row['program']:<13} {row['answer']:<26} {row['steps']:>7}"
        print(f"{kind}{''.join(cells)} {row['bytes_a_step']:>9.1f} {row['traces']:>8.2f}")
    print("\na step of the longest loop as a multiple of one in a loop of 100 steps")
    print(f"{'':<13} {'':<26} {'steps':>7} {'time':>8} {'bytes':>8}")
    for row in report["growth"]:
        kind = f"{row['program']:<13} {row['answer']:<26} {row['steps']:>7}"
        print(f"{kind} {row['time']:>7.2f}x {row['bytes']:>7.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="short loops, few repetitions: to see that it runs")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="pytensor")
    report: dict[str, Any] = {"versions": versions(), "making": []}
    functions = made(report["making"])
    report["loops"] = list(rows(functions, args.quick))
    report["growth"] = list(growth(report["loops"]))
    show(report)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
