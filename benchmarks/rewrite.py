"""From expression to compiled function: seconds for nets, recurrent nets and a large graph, beside PyTensor and JAX.

    uv run benchmarks/rewrite.py [--json FILE] [--quick] [--programs NAME ...]
    uv run --isolated --with pytensor --with jax benchmarks/rewrite.py

The variables are there; what is timed is a training step: "build" is the cost, its gradient and the updates, "function"
what makes a function of them, "call" its first call. PyTensor compiles a part of its function in that call, and JAX
separates the three by tracing, compiling and running. Every function is called once with the same arguments, and must
give the same cost and parameters as ours.

cold: the first function of a fresh process that finds no cache. warm start: the same in the next process, which finds
what the first left on disk. warm: later functions of that process, each of expressions that are built anew; the median
of repetitions in which a library takes turns with ours. We keep no cache: our cold and warm start differ by noise.
A ratio is the other's warm time over our own (FAST_RUN) of the same process.

PyTensor by its default mode, which compiles by Numba, and by FAST_COMPILE, which rewrites less and runs in Python. What
does not compile within a limit when cold is not called when warm: then both libraries are compared without that.

Growth is what a node costs `function` in graphs of several sizes, each in processes of their own that take turns.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"))
os.environ.update(NUMBA_NUM_THREADS="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import nodes, versions  # type: ignore[import-not-found]

GOAL_RATIO, GOAL_GROWTH = 10.0, 1.3  # times PyTensor's warm time; a node of a large graph over one of a small graph
RATE = 0.1  # of learning
BATCH, TIME, DEPTH = 60, 20, 20
PATIENCE = 20.0  # seconds for the repetitions of a pair
LIMIT = 600.0  # seconds for a function and its first call in a fresh process
SIZES = (1_000, 10_000, 50_000)  # nodes
PEERS = ("PyTensor", "PyTensor FAST_COMPILE", "JAX")
OURS = ("FAST_RUN", "FAST_COMPILE")
STEPS = ("build", "function", "call")
Arrays = list[np.ndarray[Any, Any]]
Seconds = dict[str, float]


# the programs


class Program(NamedTuple):
    """A cost of parameters and data, written once for every library L, and arrays to call it with."""

    cost: Callable[[Any, Sequence[Any], Sequence[Any]], Any]
    parameters: Arrays
    data: Arrays


def cross_entropy(L: Any, scores: Any, y: Any) -> Any:
    p = L.softmax(scores)
    return -L.T.log(p[L.T.arange(y.shape[0]), y]).mean()


def perceptron(L: Any, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
    """Layers of tanh, and a softmax; without a hidden layer this is softmax regression."""
    h, y = data
    *hidden, w, b = parameters
    for i in range(0, len(hidden), 2):
        h = L.T.tanh(L.T.dot(h, hidden[i]) + hidden[i + 1])
    return cross_entropy(L, L.T.dot(h, w) + b, y)


def elman(L: Any, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
    """A simple recurrent net that reads a sequence, and then says what it was."""
    w, u, b, v, c = parameters
    x, y = data
    start = L.T.zeros((x.shape[1], u.shape[0]))
    (h,) = L.scan(lambda x, h: [L.T.tanh(L.T.dot(x, w) + L.T.dot(h, u) + b)], x, [start])
    return cross_entropy(L, L.T.dot(h[-1], v) + c, y)


def lstm(L: Any, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
    """The same with a long short-term memory."""
    w, u, b, v, c = parameters
    x, y = data
    n = u.shape[0]

    def step(x: Any, h: Any, memory: Any) -> list[Any]:
        gates = L.T.dot(x, w) + L.T.dot(h, u) + b
        i, f, o = (L.sigmoid(gates[:, k * n : (k + 1) * n]) for k in range(3))
        memory = f * memory + i * L.T.tanh(gates[:, 3 * n :])
        return [o * L.T.tanh(memory), memory]

    start = L.T.zeros((x.shape[1], n))
    h, _ = L.scan(step, x, [start, start])
    return cross_entropy(L, L.T.dot(h[-1], v) + c, y)


BLOCKS: list[Callable[[Any, Any, Any, Any, Any], Any]] = [
    lambda L, a, b, w, rows: L.T.tanh(a + b),
    lambda L, a, b, w, rows: a * L.sigmoid(b),
    lambda L, a, b, w, rows: a / L.T.sqrt(1 + b * b),
    lambda L, a, b, w, rows: L.T.exp(-(a**2)) - 0.5 * b,
    lambda L, a, b, w, rows: 0.5 * (a + b) - L.T.log(1 + L.T.exp(a)) / 2,
    lambda L, a, b, w, rows: L.T.where(a > b, a, 0.5 * b),
    lambda L, a, b, w, rows: L.T.tanh(L.T.dot(a, w) - b),
    lambda L, a, b, w, rows: L.T.dot(w, a) * b.mean(),
    lambda L, a, b, w, rows: a - b.mean(axis=0),
    lambda L, a, b, w, rows: L.T.tanh(a) * b.max(axis=1, keepdims=True),
    lambda L, a, b, w, rows: L.softmax(a + b),
    lambda L, a, b, w, rows: 0.5 * (a[rows] + b[:, ::-1]),
    lambda L, a, b, w, rows: L.T.tanh(L.T.concatenate([a, b], axis=1)[:, ::2]),
]


def mixed(count: int, L: Any, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
    """So many blocks of elementwise ops, products, reductions and indexing, each of two of the six before it.

    Every 20 blocks begin anew, with weights of their own, or PyTensor would not do it: in deeper graphs its shape
    arithmetic grows out of all proportion, and its FAST_COMPILE has no sums of more than 31 terms.
    """
    choose = random.Random(0)
    x, rows = data
    cost = x[rows].mean()
    for i in range(0, count, DEPTH):
        w, recent = parameters[i // DEPTH], [x, L.T.dot(x, parameters[i // DEPTH])]
        for _ in range(min(DEPTH, count - i)):
            a, b = choose.choice(recent), choose.choice(recent)
            recent = [*recent[-5:], choose.choice(BLOCKS)(L, a, b, w, rows)]
        cost = cost + (L.T.dot(sum(recent), w) ** 2).mean()
    return cost


def layers(*widths: int, batch: int = BATCH) -> Program:
    rng = np.random.default_rng(0)
    parameters: Arrays = []
    for m, n in pairwise(widths):
        parameters += [rng.normal(size=(m, n)) / np.sqrt(m), np.zeros(n)]
    return Program(perceptron, parameters, [rng.normal(size=(batch, widths[0])), rng.integers(widths[-1], size=batch)])


def recurrent(cost: Any, gates: int, m: int = 32, n: int = 100, classes: int = 10) -> Program:
    rng = np.random.default_rng(0)
    w, u, v = (rng.normal(size=(a, b)) / np.sqrt(a) for a, b in ((m, gates * n), (n, gates * n), (n, classes)))
    data = [rng.normal(size=(TIME, BATCH, m)), rng.integers(classes, size=BATCH)]
    return Program(cost, [w, u, np.zeros(gates * n), v, np.zeros(classes)], data)


def blocks(count: int) -> Program:
    rng = np.random.default_rng(0)
    parameters = [rng.normal(size=(8, 8)) / 8 for _ in range(0, count, DEPTH)]
    return Program(partial(mixed, count), parameters, [rng.normal(size=(8, 8)), rng.permutation(8)])


def of_nodes(count: int) -> Program:
    """Blocks whose training step has about so many nodes before rewriting."""
    few, many = (nodes(Symbolic("FAST_RUN").expressions(blocks(k))[2]) for k in (30, 90))
    return blocks(30 + round((count - few) * 60 / (many - few)))


PROGRAMS: dict[str, Callable[[], Program]] = {
    "softmax 784-10": lambda: layers(784, 10),
    "tanh 784-500-10": lambda: layers(784, 500, 10),
    "tanh 784-1000-1000-1000-10": lambda: layers(784, 1000, 1000, 1000, 10),
    "Elman net": lambda: recurrent(elman, 1),
    "LSTM": lambda: recurrent(lstm, 4),
    "5,000 nodes": lambda: of_nodes(5_000),
}


# the libraries


class Symbolic:
    """refgraph or PyTensor by one of its modes."""

    def __init__(self, mode: Any = None, pytensor: bool = False) -> None:
        self.mode, self.pytensor = mode, pytensor
        if pytensor:
            import pytensor as library
            import pytensor.tensor as T
            from pytensor.tensor.special import softmax

            options: dict[str, Any] = {"return_updates": False}
        else:
            import refgraph as library  # type: ignore[no-redef]
            import refgraph.tensor as T  # type: ignore[no-redef]

            softmax, options = T.nnet.softmax, {}
        self.library, self.options = library, options
        self.L = SimpleNamespace(T=T, sigmoid=T.sigmoid, softmax=partial(softmax, axis=-1), scan=self.scan)

    def scan(self, step: Callable[..., list[Any]], x: Any, start: list[Any]) -> list[Any]:
        found = self.library.scan(step, sequences=[x], outputs_info=start, **self.options)
        traces = found if self.pytensor else found[0]
        return traces if isinstance(traces, list) else [traces]

    def variables(self, program: Program) -> tuple[list[Any], list[Any]]:
        """Shared variables for the parameters, inputs for the data."""
        types = [self.L.T.TensorType(str(a.dtype), (None,) * a.ndim) for a in program.data]
        return [self.library.shared(a) for a in program.parameters], [t() for t in types]

    def expressions(self, program: Program) -> tuple[list[Any], list[Any], list[Any], float]:
        """Parameters, inputs, the cost and the new parameters, and the seconds that building these took."""
        parameters, inputs = self.variables(program)
        start = time.perf_counter()
        cost = program.cost(self.L, parameters, inputs)
        gradients = self.library.grad(cost, parameters)
        new = [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]
        return parameters, inputs, [cost, *new], time.perf_counter() - start

    def __call__(self, program: Program, call: bool = True) -> tuple[Seconds, Arrays]:
        """The seconds of each step, and the cost and the parameters after a call, if there is to be one."""
        parameters, inputs, (cost, *new), building = self.expressions(program)
        updates = list(zip(parameters, new, strict=True))
        start = time.perf_counter()
        f = self.library.function(inputs, cost, updates=updates, mode=self.mode)
        made = time.perf_counter()
        seconds = {"build": building, "function": made - start}
        if not call:
            return seconds, []
        value = f(*program.data)
        seconds["call"] = time.perf_counter() - made
        return seconds, [value, *[p.get_value() for p in parameters]]


def jax_(program: Program, call: bool = True) -> tuple[Seconds, Arrays]:
    import jax
    import jax.numpy as jnp

    def scan(step: Callable[..., list[Any]], x: Any, start: list[Any]) -> list[Any]:
        def both(states: Any, x: Any) -> Any:
            new = step(x, *states)
            return new, new

        return list(jax.lax.scan(both, start, x)[1])

    jax.config.update("jax_enable_x64", True)
    L = SimpleNamespace(T=jnp, sigmoid=jax.nn.sigmoid, softmax=jax.nn.softmax, scan=scan)

    def train(parameters: Any, data: Any) -> Any:
        cost, gradients = jax.value_and_grad(lambda parameters: program.cost(L, parameters, data))(parameters)
        return cost, [p - RATE * g for p, g in zip(parameters, gradients, strict=True)]

    given = jax.block_until_ready(jax.device_put((program.parameters, program.data)))
    times = [time.perf_counter()]
    traced = jax.jit(train).lower(*given)
    times.append(time.perf_counter())
    f = traced.compile()
    times.append(time.perf_counter())
    cost, new = jax.block_until_ready(f(*given))
    times.append(time.perf_counter())
    seconds = dict(zip(STEPS, np.diff(times).tolist(), strict=True))
    return seconds, [np.asarray(a) for a in (cost, *new)]


def library(name: str) -> Callable[[Program, bool], tuple[Seconds, Arrays]]:
    """What makes a function of a program, and times it."""
    if name == "JAX":
        return jax_
    modes = {"PyTensor": None, "PyTensor FAST_COMPILE": "FAST_COMPILE"}
    return Symbolic(modes[name], pytensor=True) if name in modes else Symbolic(name)


def peers() -> list[str]:
    """Those that are here."""
    return [name for name in PEERS if importlib.util.find_spec(name.split()[0].lower())]


# measuring, each in a process of its own


def once(what: str, name: str) -> Seconds:
    """The first function of this process."""
    program, make = PROGRAMS[what](), library(name)
    return make(program, True)[0]


def turns(what: str, names: list[str], call: bool, quick: bool) -> dict[str, dict[str, Seconds]]:
    """The first function of each library in this process, and the median of later ones, which take turns."""
    program, made = PROGRAMS[what](), [library(name) for name in names]
    first, results = zip(*[make(program, call) for make in made], strict=True)
    for a, b in zip(*results, strict=True) if len(names) > 1 else ():
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    start = time.perf_counter()
    rounds: list[list[Seconds]] = []
    while len(rounds) < 3 or (len(rounds) < 21 and not quick and time.perf_counter() - start < PATIENCE):
        rounds.append([])
        for make in made:
            gc.collect()
            rounds[-1].append(make(program, call)[0])
    later = [{step: median([r[i][step] for r in rounds]) for step in first[i]} for i in range(len(names))]
    return {
        name: {"warm start": a, "warm": b, "rounds": {"count": len(rounds)}}
        for name, a, b in zip(names, first, later, strict=True)
    }


def large(count: int, mode: str) -> dict[str, float]:
    """Seconds for a function of so many nodes, in a process that has made one before."""
    make = Symbolic(mode)
    make(of_nodes(300))
    program = of_nodes(count)
    taken = []
    for _ in range(max(1, 5_000 // count)):
        gc.collect()
        taken.append(make(program)[0])
    size = nodes(make.expressions(program)[2])
    return {"nodes": size, **{step: median([t[step] for t in taken]) for step in STEPS}}


def fresh(task: str, *arguments: Any, cache: str) -> Any:
    """What a fresh process answers, whose caches on disk are in `cache`; None where it takes longer than the limit."""
    flags = {
        "PYTENSOR_FLAGS": f"base_compiledir={cache}",
        "NUMBA_CACHE_DIR": f"{cache}/numba",
        "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, __file__, "--task", json.dumps([task, *arguments])]
    environment = {**os.environ, **flags}
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def making(programs: Sequence[str], quick: bool) -> Iterator[dict[str, Any]]:
    """A row for each program and library."""
    for what in programs:
        for name in (*peers(), *OURS):
            pair = [name, OURS[0]] if name != OURS[0] else [name]
            with tempfile.TemporaryDirectory() as cache:
                cold = fresh("once", what, name, cache=cache)
                found = fresh("turns", what, pair, cold is not None, quick, cache=cache)
            row = {"program": what, "library": name, "cold": cold, **found[name]}
            ours, theirs = found[OURS[0]]["warm"], row["warm"]
            row["ratio"] = {
                "function": theirs["function"] / ours["function"],
                "all": sum(theirs.values()) / sum(ours.values()),
            }
            yield row


def growth(quick: bool) -> list[dict[str, Any]]:
    """A row for each size: the median of processes that take turns with those of other sizes."""
    sizes = SIZES[: 2 if quick else None]
    rows: list[dict[str, Any]] = []
    for mode in OURS:
        with tempfile.TemporaryDirectory() as cache:
            taken = [[fresh("large", n, mode, cache=cache) for n in sizes] for _ in range(1 if quick else 5)]
        own = [{key: median([t[i][key] for t in taken]) for key in ("nodes", *STEPS)} for i in range(len(sizes))]
        for row in own:
            a_node = row["function"] / row["nodes"]
            rows.append({"mode": mode, **row, "us_a_node": 1e6 * a_node})
            rows[-1]["ratio"] = a_node / (own[0]["function"] / own[0]["nodes"])
    return rows


# printing


def show_making(row: dict[str, Any]) -> None:
    cells = [
        "".join([f"{1e3 * row[when][step]:>10.1f}" if step in row[when] else f"{'':>10}" for step in STEPS])
        if row[when]
        else f"{f'more than {LIMIT:.0f} s':>30}"
        for when in ("cold", "warm start", "warm")
    ]
    ratios = f"{row['ratio']['function']:>8.1f}x {row['ratio']['all']:>8.1f}x" if row["library"] != OURS[0] else ""
    print(f"{row['program']:<27} {row['library']:<22}{''.join(cells)} {ratios}".rstrip(), flush=True)


def show_growth(row: dict[str, Any]) -> None:
    cells = "".join([f"{1e3 * row[step]:>10.1f}" for step in STEPS])
    print(f"{row['mode']:<14} {row['nodes']:>7} {cells} {row['us_a_node']:>10.1f} {row['ratio']:>8.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="two programs, few repetitions: to see that it runs")
    parser.add_argument("--programs", nargs="*", choices=PROGRAMS, help="only these")
    parser.add_argument("--task", help=argparse.SUPPRESS)  # what a fresh process is to measure
    args = parser.parse_args()
    if args.task:
        warnings.filterwarnings("ignore", module="pytensor")
        task, *arguments = json.loads(args.task)
        print(json.dumps({"once": once, "turns": turns, "large": large}[task](*arguments)))
        return
    report: dict[str, Any] = {"versions": versions(), "making": [], "growth": []}
    print(f"milliseconds to make a training step; ratios to ours when warm (goal: PyTensor at least {GOAL_RATIO:.0f}x)")
    heads = "".join([f"{when:>30}" for when in ("cold", "warm start", "warm")])
    print(f"{'':<50}{heads}\n{'':<50}{''.join([f'{step:>10}' for step in STEPS * 3])} {'function':>9} {'all':>9}")
    programs = args.programs if args.programs is not None else list(PROGRAMS)[: 2 if args.quick else None]
    for row in making(programs, args.quick):
        report["making"].append(row)
        show_making(row)
    print(f"\nmilliseconds by size, and microseconds a node for function (goal: at most {GOAL_GROWTH} times)")
    print(f"{'':<14} {'nodes':>7} {''.join([f'{step:>10}' for step in STEPS])} {'us a node':>10} {'ratio':>9}")
    report["growth"] = growth(args.quick)
    for row in report["growth"]:
        show_growth(row)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
