"""What it brings to compute in memory that nobody needs any more: plans that do, and plans that do not, take turns.

    uv run benchmarks/planning.py [--json FILE] [--quick]

Both run the same graph, as it is written (FAST_COMPILE), so that it is the plan that is measured and not what rewriting
fuses. Times are medians of calls; bytes are those of a profile: the most that a call holds at a time, and all that it
makes. Answers are compared before they are timed. A shared variable is updated in its own memory where its new value is
computed by an op that can, and in the memory of the gradient where that is free.

What was tried and left out is measured in NumPy alone: a list of buffers that are free, and two arrays of a variable
that take turns. So is what a plan takes to make.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor as T

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved, versions  # type: ignore[import-not-found]

ENOUGH = 2.0  # seconds for all repetitions of a row


Mode = refgraph.Mode


class Afresh(Mode):
    """Every value in memory of its own."""

    in_place = False


MODES = {"in place": Mode("vm", "fast_compile"), "afresh": Afresh("vm", "fast_compile")}
Made = tuple[Callable[..., Any], list[Any], Callable[[], Any]]
"""A function, its arguments, and what to compare after a call."""


def made(mode: Mode, inputs: Any, outputs: Any, arrays: list[Any], states: Any = (), updates: Any = None) -> Made:
    """A function in a mode, and what of it is to be the same in all."""
    f = refgraph.function(inputs, outputs, updates=updates, mode=mode)
    return f, arrays, lambda: [f(*arrays), *[s.get_value() for s in states]]


def chain(n: int) -> Callable[[Mode], Made]:
    """Ten elementwise ops on a vector, cheap ones and not."""

    def make(mode: Mode) -> Made:
        x, y = T.dvectors("x", "y")
        z = x * y
        for _ in range(3):
            z = T.sqrt(z + y) * 0.5 - x
        return made(mode, [x, y], z, [np.linspace(1, 2, n), np.linspace(2, 3, n)])

    return make


def increments(n: int) -> Callable[[Mode], Made]:
    """Twenty increments of three elements, one after the other."""

    def make(mode: Mode) -> Made:
        x = T.dvector("x")
        z = x * 2.0
        for i in range(20):
            z = T.inc_subtensor(z[i : i + 3], 1.0)
        return made(mode, [x], z, [np.linspace(1, 2, n)])

    return make


def steps(rule: str, shape: tuple[int, ...]) -> Callable[[Mode], Made]:
    """A step of training: from a gradient that is given to new weights."""

    def make(mode: Mode) -> Made:
        rng = np.random.default_rng(0)
        w, m, v = (refgraph.shared(rng.normal(size=shape), name) for name in "wmv")
        v.set_value(np.square(v.get_value()))
        g, i = T.TensorType("float64", [None] * len(shape))("g"), T.lvector("i")
        states, inputs, arrays = [w], [g], [rng.normal(size=shape)]
        if rule == "gradient":
            updates = [(w, w - 0.1 * g)]
        elif rule == "decay":
            inputs, arrays, updates = [], [], [(w, w * 0.999)]
        elif rule == "momentum":
            states, updates = [w, m], [(m, 0.9 * m - 0.1 * g), (w, w + 0.9 * m - 0.1 * g)]
        elif rule == "adam":
            states, first, second = [w, m, v], 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            updates = [(m, first), (v, second), (w, w - 0.001 * first / (T.sqrt(second) + 1e-8))]
        else:
            inputs, arrays = [g, i], [rng.normal(size=(32, *shape[1:])), rng.integers(0, shape[0], 32)]
            updates = [(w, T.inc_subtensor(w[i], -0.1 * g))]
        return made(mode, inputs, None, arrays, states, updates)

    return make


def rows(quick: bool) -> Iterator[tuple[str, int, Callable[[Mode], Made]]]:
    """What is measured: its name, the elements of an array, and how to make it."""
    for n in (1_000, 100_000) if quick else (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        yield "10 elementwise ops", n, chain(n)
    for n in (1_000, 100_000) if quick else (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        yield "20 increments", n, increments(n)
    shapes: list[tuple[int, int]] = [(784, 10), (784, 500)] + ([] if quick else [(2_000, 5_000)])
    for rule in ("gradient", "decay", "momentum", "adam"):
        for shape in shapes:
            yield f"step: {rule}", shape[0] * shape[1], steps(rule, shape)
    for n in (1_000,) if quick else (1_000, 10_000, 100_000):
        yield "step: 32 rows of a table", 64 * n, steps("rows", (n, 64))


def measured(make: Callable[[Mode], Made], quick: bool) -> dict[str, Any]:
    """Microseconds a call and bytes, in both ways, and how many times as much it takes afresh."""
    both = {name: make(mode) for name, mode in MODES.items()}
    for wanted, got in zip(*[answer() for _, _, answer in both.values()], strict=True):
        np.testing.assert_array_equal(got, wanted)
    works = [lambda f=f, arrays=arrays: f(*arrays) for f, arrays, _ in both.values()]
    row: dict[str, Any] = {}
    for (name, (f, arrays, _)), us in zip(both.items(), timed(works, quick), strict=True):
        watched = f.copy(profile=True)
        watched(*arrays)
        row[name] = {"us": us, "peak": watched.profile.peak, "made": watched.profile.allocated}
    row["ratio"] = row["afresh"]["us"] / row["in place"]["us"]
    return row


def timed(works: Iterable[Callable[[], Any]], quick: bool) -> list[float]:
    """The median microseconds of each, taking turns."""
    works = list(works)
    once = sum(interleaved(3, *works))
    loops = max(1, int(2e-4 / once))
    repeat = 5 if quick else int(min(201, max(7, ENOUGH / (once * loops))))

    def many(work: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(loops):
                work()

        return run

    gc.collect()
    return [1e6 * s / loops for s in interleaved(repeat, *map(many, works))]


def free_buffers(n: int, quick: bool) -> dict[str, Any]:
    """A sum of two arrays that both live on: in the buffer of something dead, and in a fresh one."""
    x, y = np.linspace(1, 2, n), np.linspace(2, 3, n)

    def reused() -> None:
        dead = np.multiply(x, y)
        np.add(x, y, dead)

    def fresh() -> None:
        dead = np.multiply(x, y)
        del dead
        np.add(x, y)

    return {"elements": n, **dict(zip(("reused", "fresh"), timed([reused, fresh], quick), strict=True))}


def turns(n: int, quick: bool) -> dict[str, Any]:
    """w * 0.9 as the new value of w: in its own array, in that of the value before, and in a fresh one."""
    places = [[np.ones(n)] for _ in range(3)]
    spare = [np.ones(n)]

    def own() -> None:
        np.multiply(places[0][0], 0.9, places[0][0])

    def in_turn() -> None:
        new = np.multiply(places[1][0], 0.9, spare[0])
        spare[0], places[1][0] = places[1][0], new

    def fresh() -> None:
        places[2][0] = np.multiply(places[2][0], 0.9)

    return {"elements": n, **dict(zip(("own", "in turn", "fresh"), timed([own, in_turn, fresh], quick), strict=True))}


def planning(quick: bool) -> dict[str, float]:
    """Microseconds to plan an application of a large graph, in both ways."""
    x, *parameters = [T.matrix("x"), *[T.matrix(f"w{i}") for i in range(10 if quick else 400)]]
    h = x
    for w in parameters:
        h = T.tanh(T.dot(h, w) + 0.5 * h)
    cost = (h**2).mean()
    f = refgraph.function([x, *parameters], [cost, *refgraph.grad(cost, parameters)], mode="FAST_COMPILE")
    works = [lambda mode=mode: mode.compile(f.graph) for mode in MODES.values()]
    return {name: us / len(f.graph.nodes) for name, us in zip(MODES, timed(works, quick), strict=True)}


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="small arrays, few repetitions: to see that it runs")
    args = parser.parse_args()
    report: dict[str, Any] = {"versions": versions(), "rows": []}
    print("microseconds a call; MB held at most, and made, in a call")
    print(f"{'':<26} {'elements':>10} {'in place':>11} {'afresh':>11} {'ratio':>7} {'held':>16} {'made':>18}")
    for what, elements, make in rows(args.quick):
        row = measured(make, args.quick)
        report["rows"].append({"what": what, "elements": elements, **row})
        a, b = row["in place"], row["afresh"]
        held, all_made = (f"{a[k] / 1e6:>8.3f} /{b[k] / 1e6:>8.3f}" for k in ("peak", "made"))
        print(f"{what:<26} {elements:>10,} {a['us']:>11.1f} {b['us']:>11.1f} {row['ratio']:>6.2f}x {held} {all_made}")
    sizes = (1_000, 100_000) if args.quick else (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    for what, measure in {"a list of free buffers": free_buffers, "two arrays in turn": turns}.items():
        print(f"\n{what}, in NumPy alone: microseconds")
        report[what] = [measure(n, args.quick) for n in sizes]
        for row in report[what]:
            cells = "".join([f"{name:>12} {us:>10.1f}" for name, us in row.items() if name != "elements"])
            print(f"{row['elements']:>10,}{cells}")
    report["planning"] = planning(args.quick)
    print(
        "\nmicroseconds to plan an application: " + ", ".join([f"{us:.2f} {n}" for n, us in report["planning"].items()])
    )
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
