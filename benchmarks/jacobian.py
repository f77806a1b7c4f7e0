"""Jacobians and Hessians in one pass beside one pullback a row, and beside PyTensor and JAX where they are installed.

    uv run benchmarks/jacobian.py [--json FILE] [--quick]
    uv run --isolated --with pytensor --with jax benchmarks/jacobian.py

Every number is the median of repetitions that take turns with what they are compared with. PyTensor compiles with its
default mode, JAX with jit, both in float64; compiling is not counted. Answers are compared before they are timed.
All run on one thread: several pools of threads in one process would wait for each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import refgraph
import refgraph.tensor
from refgraph.ops.scan import map_graph  # noqa: TID251  (the loop that jacobian itself falls back to)

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved  # type: ignore[import-not-found]

SIZES = (10, 100, 300)
ENOUGH = 0.3  # seconds for all repetitions of one way
ONE_THREAD = {
    **{f"{pool}_NUM_THREADS": "1" for pool in ("OMP", "OPENBLAS", "MKL")},
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def tanh_layer(T: Any, x: Any, w: Any) -> Any:
    """n outputs of n inputs, through two dense layers."""
    return T.tanh(T.dot(w, T.tanh(T.dot(w, x))))


def softmax(T: Any, x: Any, w: Any) -> Any:
    """n probabilities of n inputs."""
    scores = T.exp(T.tanh(T.dot(w, x)))
    return scores / scores.sum()


def energy(T: Any, x: Any, w: Any) -> Any:
    """A scalar, for its Hessian."""
    return (T.tanh(T.dot(w, x)) ** 2).sum() + (x**4).sum()


PROGRAMS: dict[str, tuple[Callable[..., Any], str]] = {
    "two dense layers": (tanh_layer, "jacobian"),
    "softmax": (softmax, "jacobian"),
    "energy": (energy, "hessian"),
}


def by_rows(T: Any, expression: Any, x: Any) -> Any:
    """One pullback for each row of the identity."""
    return map_graph(lambda seed: [T.Lop(expression, x, seed)], [T.eye(expression.shape[0])])[0]


def refgraphs(program: Callable[..., Any], kind: str) -> dict[str, Callable[..., Any]]:
    """Ours: in one pass, and row by row."""
    T = refgraph.tensor
    x, w = T.dvector("x"), T.dmatrix("w")
    out = program(T, x, w)
    rows = by_rows(T, out if kind == "jacobian" else T.grad(out, x), x)
    one = T.jacobian(out, x) if kind == "jacobian" else T.hessian(out, x)
    return {"one_pass": refgraph.function([x, w], one), "rows": refgraph.function([x, w], rows)}


def pytensors(program: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """PyTensor's own jacobian or hessian, which are scans."""
    import pytensor
    import pytensor.gradient
    import pytensor.tensor

    x, w = pytensor.tensor.dvector("x"), pytensor.tensor.dmatrix("w")
    out = program(pytensor.tensor, x, w)
    found = getattr(pytensor.gradient, kind)(out, x)
    compiled: Callable[..., Any] = pytensor.function([x, w], found)
    return compiled


def jaxes(program: Callable[..., Any], kind: str, forward: bool) -> Callable[..., Any]:
    """JAX's jacfwd or jacrev, of the gradient where a Hessian is wanted."""
    import jax
    import jax.numpy

    jax.config.update("jax_enable_x64", True)

    def f(x: Any, w: Any) -> Any:
        return program(jax.numpy, x, w)

    slope = f if kind == "jacobian" else jax.grad(f)
    compiled = jax.jit((jax.jacfwd if forward else jax.jacrev)(slope))
    return lambda x, w: np.asarray(compiled(x, w))


def row(name: str, n: int, quick: bool) -> dict[str, Any]:
    """The microseconds that each way takes for one program of one size."""
    program, kind = PROGRAMS[name]
    ways = refgraphs(program, kind)
    if importlib.util.find_spec("pytensor"):
        ways["pytensor"] = pytensors(program, kind)
    if importlib.util.find_spec("jax"):
        ways |= {"jacfwd": jaxes(program, kind, True), "jacrev": jaxes(program, kind, False)}
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=n), rng.normal(size=(n, n)) / n**0.5
    want = ways["rows"](x, w)
    longest = 0.0
    for way in ways.values():
        np.testing.assert_allclose(way(x, w), want, rtol=1e-9, atol=1e-12)
        start = time.perf_counter()
        way(x, w)
        longest = max(longest, time.perf_counter() - start)
    repeat = 3 if quick else int(min(max(ENOUGH / longest, 7), 201))
    seconds = interleaved(repeat, *[lambda way=way: way(x, w) for way in ways.values()])
    found: dict[str, Any] = {"program": name, "kind": kind, "n": n, "repeat": repeat}
    found |= {f"{way}_us": 1e6 * s for way, s in zip(ways, seconds, strict=True)}
    found["ratio"] = found["rows_us"] / found["one_pass_us"]
    return found


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    rows = [row(name, n, args.quick) for name in PROGRAMS for n in SIZES[: 1 if args.quick else None]]
    print(f"{'':<18} {'':<9} {'n':>4} {'one pass':>12} {'row by row':>12} {'ratio':>7}  others")
    for r in rows:
        others = ", ".join(f"{k[:-3]} {r[k]:.0f} us" for k in ("pytensor_us", "jacfwd_us", "jacrev_us") if k in r)
        print(
            f"{r['program']:<18} {r['kind']:<9} {r['n']:>4} {r['one_pass_us']:>9.0f} us {r['rows_us']:>9.0f} us"
            f" {r['ratio']:>6.1f}x  {others}"
        )
    if args.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.platform()}
        for name in ("pytensor", "jax"):
            if importlib.util.find_spec(name):
                versions[name] = __import__(name).__version__
        with open(args.json, "w") as file:
            json.dump({"versions": versions, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    if ONE_THREAD.items() - os.environ.items():  # libraries read these when they load
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    main()
