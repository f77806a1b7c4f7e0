"""The figures that docs/adr cites, measured side by side: each line is a choice and what it was chosen over.

uv run benchmarks/decisions.py

Needs refgraph-cython, which is measured on one thread, and a C compiler.
"""

import ctypes
import pickle
import threading
import traceback
from dataclasses import make_dataclass
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.interp.evaluate import evaluate  # noqa: TID251  (the definition itself is measured)

X = np.ones(4)


def seconds(call, repeat=15, number=1):
    """The least seconds of one call, over `repeat` rounds of `number` calls: what else runs only adds some."""
    taken = []
    for _ in range(repeat):
        start = perf_counter()
        for _ in range(number):
            call()
        taken.append((perf_counter() - start) / number)
    return min(taken)


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
    f = rg.function([x], y, trust_input=True, mode="FAST_COMPILE")  # which leaves the additions as they are
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


def calls():
    x, y = T.dscalars("x", "y")
    w, a, b = rg.shared(np.zeros(3)), np.array(1.0), np.array(2.0)
    for what, made in {
        "x + y": lambda backend: rg.function([x, y], x + y, backend=backend),
        "w + x y, an update": lambda backend: rg.function([x, y], [], updates=[(w, w + x * y)], backend=backend),
    }.items():
        functions = [made(name) for name in ("cython", "numpy")]
        ours, usual = (seconds(lambda f=f: f(a, b), number=2000) for f in functions)
        line("29", f"{what}: a call that a program makes, Function's", ours, usual)


def chains():
    """Cheap ops, in blocks of a few hundred elements; and in the one loop that a C compiler makes of them."""
    x, y = T.fvectors("x", "y")
    f = rg.function([x, y], ((2 * x + y) * x - y * y + 1) * (x - y), backend="cython")
    with TemporaryDirectory() as folder:
        source, library = Path(folder, "chain.c"), Path(folder, "chain.so")
        text = "((2 * x[i] + y[i]) * x[i] - y[i] * y[i] + 1) * (x[i] - y[i])"
        arguments = "long n, const float *restrict x, const float *restrict y, float *restrict z"
        source.write_text(f"void chain({arguments}) {{ for (long i = 0; i < n; i++) z[i] = {text}; }}")
        flags = ["-O3", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC"]
        run(["cc", *flags, source, "-o", library], check=True)
        chain = ctypes.CDLL(str(library)).chain
    for size in (10_000, 100_000, 1_000_000):
        a, b, z = np.linspace(0, 1, size, dtype="float32"), np.ones(size, "float32"), np.empty(size, "float32")
        pointers = [ctypes.c_long(size), *[ctypes.c_void_p(v.ctypes.data) for v in (a, b, z)]]
        chain(*pointers)
        np.testing.assert_allclose(f(a, b), z, rtol=1e-5, atol=1e-6)
        loops = 1_000_000 // size
        of_c, ours = (lambda p=pointers: chain(*p)), (lambda a=a, b=b: f(a, b))
        costs = [seconds(call, number=loops) for call in (of_c, ours)]
        line("30", f"8 cheap ops on {size:,}: by C written for them, by blocks", *costs)


def results():
    """A result whose memory is used again, as nobody has the one before; and one that needs memory of its own."""
    x = T.dvector("x")
    f = rg.function([x], 2 * x + 1, backend="cython")
    for size in (10_000, 100_000, 1_000_000, 10_000_000):
        given, held = np.ones(size), []

        def keeping(given=given, held=held):
            held.append(f(given))
            del held[:-2]  # memory is given back as fast as it is taken

        loops = max(1, 1_000_000 // size)
        again, fresh = (seconds(call, number=loops) for call in (lambda given=given: f(given), keeping))
        line("30", f"a result of {8 * size // 1000:,} kB: where the last one was, afresh", again, fresh)


class Careful(rg.Mode):
    """Takes nothing for granted of shapes."""

    def assumed(self, graph):
        return None


def assumptions(size=1_000_000):
    x, y = T.dvectors("x", "y")
    given, few, one = np.linspace(0, 1, size), np.ones(4), np.ones(1)
    for what, cost in {"cheap ops": T.sqr(x * y + x) * y, "tanh, exp": T.tanh(x * y) + T.exp(-x * y)}.items():
        modes = (rg.Mode("vm", "fast_run"), Careful("vm", "fast_run"))
        assuming, careful = (rg.function([x, y], T.grad(cost.sum(), [x, y]), mode=m, backend="cython") for m in modes)
        costs = [seconds(lambda f=f: f(given, given)) for f in (assuming, careful)]
        line("31", f"gradient of a million, {what}: lengths equal, any", *costs)
    costs = [seconds(lambda f=f: f(few, one), number=500) for f in (careful, assuming)]
    line("31", "a call that broadcasts: lengths any, equal", *costs)


def ops(size=100_000):
    """What rewrite/specialize.py puts in the place of what."""
    x, n = np.linspace(1, 2, size), np.arange(1, size + 1)
    for what, chosen, other in (
        ("square, power", lambda: np.square(x), lambda: np.power(x, 2.0)),
        ("two products, power", lambda: np.multiply(np.multiply(x, x), x), lambda: np.power(x, 3.0)),
        ("sqrt, power", lambda: np.sqrt(x), lambda: np.power(x, 0.5)),
        ("exp2, power of 2", lambda: np.exp2(x), lambda: np.power(2.0, x)),
        ("clip, maximum and minimum", lambda: np.clip(x, 1.2, 1.8), lambda: np.minimum(np.maximum(x, 1.2), 1.8)),
        ("bitwise_and, remainder of integers", lambda: np.bitwise_and(n, 7), lambda: np.remainder(n, 8)),
        ("floor, remainder", lambda: np.floor(x), lambda: np.remainder(x, 1.0)),
    ):
        line("25", what, seconds(chosen), seconds(other))


if __name__ == "__main__":
    rg.config.backend, rg.config.threads = "numpy", 1
    of_interpreter = (accumulators, origins, classes, plans, locks, pickles, ops)
    for measure in (*of_interpreter, calls, chains, results, assumptions):
        measure()
