"""What the interpreter costs: calls beside the same NumPy calls by hand; graph building and grad beside PyTensor.

    uv run benchmarks/interpreter.py [--json FILE] [--quick]
    uv run --isolated --with pytensor benchmarks/interpreter.py

Every number is the median of repetitions that take turns with what they are compared with: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor

GOAL_CALL, GOAL_OP, GOAL_RATIO = 3.0, 0.5, 3.0  # us a call, us an op, times PyTensor's nodes a second


def interleaved(repeat: int, *works: Callable[[], Any]) -> list[float]:
    """The median seconds of each, taking turns."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repeat):
        for work, taken in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


# calls


def chain(n: int, T: Any, x: Any, y: Any) -> Any:
    """n ops, one after the other, of one and two inputs."""
    z = x
    for i in range(n):
        z = z + y if i % 2 == 0 else T.tanh(z)
    return z


def by_hand(n: int) -> Callable[..., Any]:
    """The NumPy calls of `chain`, written out as a person would for speed."""
    lines = ["z = add(z, y)" if i % 2 == 0 else "z = tanh(z)" for i in range(n)]
    names: dict[str, Any] = {"add": np.add, "tanh": np.tanh}
    exec("def f(z, y):\n    " + "\n    ".join(lines) + "\n    return z", names)
    f: Callable[..., Any] = names["f"]
    return f


def calls(n: int, repeat: int) -> dict[str, float]:
    """Microseconds for a call of a function of n ops on arrays of 4 elements, and by hand."""
    T = refgraph.tensor
    x, y = T.dvector("x"), T.dvector("y")
    f, g = refgraph.function([x, y], chain(n, T, x, y)), by_hand(n)
    a, b = np.linspace(0, 1, 4), np.ones(4)
    np.testing.assert_array_equal(f(a, b), g(a, b))
    loops = range(max(20, 2000 // n))

    def many(h: Callable[..., Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in loops:
                h(a, b)

        return run

    ours, numpys = (1e6 * s / len(loops) for s in interleaved(repeat, many(f), many(g)))
    return {"ops": n, "function_us": ours, "numpy_us": numpys, "ratio": ours / numpys, "overhead_us": ours - numpys}


# graphs


def perceptron(T: Any, layers: int) -> tuple[Any, list[Any]]:
    """The cost of a perceptron with so many layers, and its parameters."""
    x, target = T.matrix("x"), T.matrix("target")
    parameters, h = [], x
    for i in range(layers):
        w, b = T.matrix(f"w{i}"), T.vector(f"b{i}")
        parameters += [w, b]
        h = T.tanh(T.dot(h, w) + b)
    return ((h - target) ** 2).mean(), parameters


def elementwise(T: Any, n: int) -> tuple[Any, list[Any]]:
    """A sum over a long chain of elementwise ops, and what it starts from."""
    x, y = T.vector("x"), T.vector("y")
    z = x
    for _ in range(n // 5):
        z = T.exp(-z * y) / (1.5 + z)
    return z.sum(), [x, y]


PROGRAMS = {
    "perceptron of 50 layers": lambda T: perceptron(T, 50),
    "250 elementwise ops": lambda T: elementwise(T, 250),
}


def nodes(outputs: list[Any]) -> int:
    """How many applications `outputs` need."""
    seen, stack = set(), [out.owner for out in outputs]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [x.owner for x in node.inputs]
    return len(seen)


def graphs(repeat: int) -> list[dict[str, Any]]:
    """Nodes a second while building each program and its gradient, for each library that is here."""
    libraries: dict[str, tuple[Any, Callable[..., Any]]] = {"refgraph": (refgraph.tensor, refgraph.grad)}
    if importlib.util.find_spec("pytensor"):
        import pytensor
        import pytensor.tensor

        libraries["pytensor"] = (pytensor.tensor, pytensor.grad)
    return [row for what, program in PROGRAMS.items() for row in rows_of(what, program, libraries, repeat)]


def rows_of(what: str, program: Callable[[Any], Any], libraries: dict[str, Any], repeat: int) -> list[dict[str, Any]]:
    """A row for building a program and one for its gradient."""
    made = {name: program(T) for name, (T, _) in libraries.items()}
    built = {name: nodes([cost]) for name, (cost, _) in made.items()}
    grown = {name: nodes([made[name][0], *grad(*made[name])]) - built[name] for name, (_, grad) in libraries.items()}
    build = [partial(program, T) for T, _ in libraries.values()]
    differentiate = [partial(grad, *made[name]) for name, (_, grad) in libraries.items()]
    gc.collect()
    rows = []
    for step, works, count in (("build", build, built), ("grad", differentiate, grown)):
        row: dict[str, Any] = {"program": what, "step": step}
        for name, seconds in zip(libraries, interleaved(repeat, *works), strict=True):
            row[name] = {"nodes": count[name], "seconds": seconds, "nodes_per_second": count[name] / seconds}
        if "pytensor" in row:
            row["nodes_ratio"] = row["refgraph"]["nodes_per_second"] / row["pytensor"]["nodes_per_second"]
            row["time_ratio"] = row["pytensor"]["seconds"] / row["refgraph"]["seconds"]
        rows.append(row)
    return rows


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.platform()}
    if importlib.util.find_spec("pytensor"):
        import pytensor

        found["pytensor"] = pytensor.__version__
    return found


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    repeat = 3 if args.quick else 41
    report: dict[str, Any] = {"versions": versions(), "calls": [calls(n, repeat) for n in (1, 10, 100)]}
    report["graphs"] = graphs(repeat)

    print(f"a call, arrays of 4 elements (goal: at most {GOAL_CALL} us + {GOAL_OP} us an op above NumPy)")
    print(f"{'ops':>5} {'function':>12} {'NumPy':>12} {'ratio':>7} {'above':>10} {'goal':>10}")
    for c in report["calls"]:
        goal = GOAL_CALL + GOAL_OP * c["ops"]
        print(
            f"{c['ops']:>5} {c['function_us']:>9.2f} us {c['numpy_us']:>9.2f} us {c['ratio']:>7.2f}"
            f" {c['overhead_us']:>7.2f} us {goal:>7.1f} us"
        )
    print(f"\ngraphs (goal: {GOAL_RATIO:.0f} times PyTensor's nodes a second)")
    print(f"{'':<24} {'':<6} {'refgraph':>24} {'PyTensor':>24} {'nodes/s':>8} {'time':>6}")
    for row in report["graphs"]:
        cells = [
            f"{row[name]['nodes']:>6} in {1e3 * row[name]['seconds']:>8.2f} ms" if name in row else "not here"
            for name in ("refgraph", "pytensor")
        ]
        ratios = f"{row['nodes_ratio']:>7.1f}x {row['time_ratio']:>5.1f}x" if "nodes_ratio" in row else ""
        print(f"{row['program']:<24} {row['step']:<6} {cells[0]:>24} {cells[1]:>24} {ratios}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
