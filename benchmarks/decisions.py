"""The figures that docs/adr cites, measured side by side: each line is a choice and what it was chosen over.

uv run benchmarks/decisions.py
"""

import pickle
import threading
import traceback
from dataclasses import make_dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.interp.evaluate import evaluate  # noqa: TID251  (the definition itself is measured)

X = np.ones(4)


def seconds(call, repeat=15, number=1):
    """The median seconds of one call, over `repeat` rounds of `number` calls."""
    taken = []
    for _ in range(repeat):
        start = perf_counter()
        for _ in range(number):
            call()
        taken.append((perf_counter() - start) / number)
    return median(taken)


def line(adr, what, chosen, other):
    times = f"{chosen * 1e6:9.3f} us  against {other * 1e6:9.3f} us  {other / chosen:6.1f}x"
    print(f"{adr:<4} {what:<58} {times}")


def accumulators():
    x = T.fmatrix("x")
    array = np.ones((4000, 1000), "float32")
    for axis in (None, 0):
        wide, own = (rg.function([x], x.sum(axis=axis, acc_dtype=acc)) for acc in (None, "float32"))
        costs = [seconds(lambda f=f: f(array)) for f in (own, wide)]
        line("2", f"sum of float32, axis {axis}: in its dtype, in double", *costs)


def origins():
    x = T.dvector("x")
    node, stack = seconds(lambda: x * x, number=2000), seconds(traceback.extract_stack, number=200)
    line("7", "a node with its origin, a traceback alone", node, stack)


def classes():
    def plain():
        return type("Plain", (), {"__slots__": ("a", "b"), "__init__": lambda self, a, b: None})

    def named():
        return NamedTuple("Named", [("a", int), ("b", int)])

    made = seconds(plain, number=20)
    line("9", "making a class, a dataclass", made, seconds(lambda: make_dataclass("D", ["a", "b"]), number=20))
    line("9", "making a class, a NamedTuple", made, seconds(named, number=20))


def plans(ops=100):
    x = y = T.dvector("x")
    for _ in range(ops):
        y = y + x
    f = rg.function([x], y, trust_input=True)
    source = "def run(x):\n v = x\n" + " v = add(v, x)\n" * ops + " return v"
    names = {"add": np.add}
    exec(source, names)
    straight, plan = (seconds(lambda run=run: run(X), number=50) / ops for run in (names["run"], f))
    line("11", "an op in straight-line source, in a plan", straight, plan)
    x_of = {x: X}
    line("11", "an op in a plan, in evaluate", plan, seconds(lambda: evaluate([y], x_of), number=5) / ops)
    compiling = seconds(lambda: compile(source, "plan", "exec")) / ops
    line("11", "compiling a line of source, an op in a plan", compiling, plan)


def locks():
    lock = threading.RLock()

    def held():
        with lock:
            pass

    line("12", "a call, a call that takes a lock", seconds(int, number=2000), seconds(held, number=2000))


def pickles(nodes=20_000):
    x = y = T.dvector("x")
    for _ in range(nodes):
        y = y + x
    data = pickle.dumps(y)
    load, dump = seconds(lambda: pickle.loads(data), 3), seconds(lambda: pickle.dumps(y), 3)
    line("19", f"a node of {len(data) / nodes:.0f} bytes: to load, to pickle", load / nodes, dump / nodes)


if __name__ == "__main__":
    for measure in (accumulators, origins, classes, plans, locks, pickles):
        measure()
