"""What rewriting is worth to the interpreter: training steps of the slides' case studies and of larger nets.

    uv run benchmarks/case_studies.py [--json FILE] [--quick]

Microseconds a call by FAST_RUN and by FAST_COMPILE, which runs expressions much as they are written: medians of calls
that take turns, in float64 and on one thread. Both begin with the same parameters, and must give the same answers. The
case studies are those of examples/slides.py, but with small weights to begin with: FAST_COMPILE takes the logarithm of
0 where the slides begin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1"))

import numpy as np

import refgraph
import refgraph.tensor as T

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import interleaved, nodes, versions  # type: ignore[import-not-found]
from rewrite import Program, Symbolic, elman, layers, lstm, recurrent  # type: ignore[import-not-found]

MODES = ("FAST_RUN", "FAST_COMPILE")
ENOUGH = 4.0  # seconds for all repetitions of a row
Made = tuple[Any, list[Any]]  # a function and its arguments


def data() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(400, 784)), rng.integers(size=400, low=0, high=2).astype("float64")]


def logistic_regression(mode: str) -> Made:
    """Case study 1."""
    x, y = T.dmatrix("x"), T.dvector("y")
    w = refgraph.shared(0.01 * np.random.default_rng(1).normal(size=784), name="w")
    b = refgraph.shared(0.0, name="b")
    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w**2).sum()
    gw, gb = T.grad(cost, [w, b])
    updates = {w: w - 0.1 * gw, b: b - 0.1 * gb}
    return refgraph.function([x, y], [prediction, xent], updates=updates, mode=mode), data()


def multilayer_perceptron(mode: str) -> Made:
    """Case study 2."""
    x, y = T.dmatrix("x"), T.dvector("y")
    rng = np.random.default_rng(1)
    w_1 = refgraph.shared(0.05 * rng.normal(size=(784, 300)), name="w1")
    b_1 = refgraph.shared(np.zeros(300), name="b1")
    w_2 = refgraph.shared(0.1 * rng.normal(size=300), name="w2")
    b_2 = refgraph.shared(0.0, name="b2")
    p_1 = T.sigmoid(-T.dot(T.sigmoid(-T.dot(x, w_1) - b_1), w_2) - b_2)
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w_2**2).sum()
    parameters = [w_1, b_1, w_2, b_2]
    updates = [(w, w - 0.1 * g) for w, g in zip(parameters, T.grad(cost, parameters), strict=True)]
    return refgraph.function([x, y], [prediction, xent], updates=updates, mode=mode), data()


def recurrent_network(mode: str) -> Made:
    """Case study 3: the slide's exercise, as examples/slides.py does it."""
    x, y = T.dtensor3("x"), T.dmatrix("y")  # (bits, samples, 2), (bits, samples)
    rng = np.random.default_rng(1)
    w_x = refgraph.shared(rng.normal(size=(2, 16)), name="w_x")
    w_h = refgraph.shared(rng.normal(size=(16, 16)) / 4, name="w_h")
    b_h = refgraph.shared(np.zeros(16), name="b_h")
    w_y = refgraph.shared(rng.normal(size=16) / 4, name="w_y")
    b_y = refgraph.shared(0.0, name="b_y")

    def step(x_t: Any, h: Any) -> Any:
        return T.tanh(T.dot(x_t, w_x) + T.dot(h, w_h) + b_h)

    hidden, _ = refgraph.scan(step, sequences=x, outputs_info=T.zeros((x.shape[1], 16)))
    cost = T.nnet.binary_crossentropy(T.sigmoid(T.dot(hidden, w_y) + b_y), y).mean()
    parameters = [w_x, w_h, b_h, w_y, b_y]
    updates = [(w, w - g) for w, g in zip(parameters, T.grad(cost, parameters), strict=True)]
    bits = rng.integers(size=(8, 400, 3), low=0, high=2).astype("float64")
    return refgraph.function([x, y], cost, updates=updates, mode=mode), [bits[..., :2], bits[..., 2]]


def net(program: Program) -> Callable[[str], Made]:
    """A training step of a net of benchmarks/rewrite.py."""

    def make(mode: str) -> Made:
        parameters, inputs, (cost, *new), _ = Symbolic(mode).expressions(program)
        updates = list(zip(parameters, new, strict=True))
        return refgraph.function(inputs, cost, updates=updates, mode=mode), program.data

    return make


CASES: dict[str, Callable[[str], Made]] = {
    "1: logistic regression, 400 x 784": logistic_regression,
    "2: multilayer perceptron, 400 x 784-300-1": multilayer_perceptron,
    "3: recurrent net, 8 x 400 x 2-16-1": recurrent_network,
    **{f"softmax 784-10, batch {n}": net(layers(784, 10, batch=n)) for n in (1, 10, 60)},
    **{f"tanh 784-500-10, batch {n}": net(layers(784, 500, 10, batch=n)) for n in (1, 10, 60)},
    "tanh 784-1000-1000-1000-10, batch 60": net(layers(784, 1000, 1000, 1000, 10)),
    "Elman net, 20 x 60 x 32-100-10": net(recurrent(elman, 1)),
    "LSTM, 20 x 60 x 32-100-10": net(recurrent(lstm, 4)),
}


def measured(what: str, quick: bool) -> dict[str, Any]:
    """A row: how long a call takes by each mode, and how many applications it runs."""
    made = [CASES[what](mode) for mode in MODES]
    for _ in range(3):
        answers = [f(*arguments) for f, arguments in made]
        for a, b in zip(*[answer if isinstance(answer, list) else [answer] for answer in answers], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    works = [lambda f=f, arguments=arguments: f(*arguments) for f, arguments in made]
    start = time.perf_counter()
    interleaved(1, *works)
    repeat = 5 if quick else int(np.clip(ENOUGH / (time.perf_counter() - start), 21, 1001))
    seconds = interleaved(repeat, *works)
    row: dict[str, Any] = {"case": what, "repeat": repeat, "ratio": seconds[1] / seconds[0]}
    for mode, (f, _), s in zip(MODES, made, seconds, strict=True):
        row[mode] = {"us": 1e6 * s, "nodes": nodes(f.maker.fgraph.outputs)}
    return row


def main() -> None:
    refgraph.config.backend = "numpy"  # the interpreter is what is measured here
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    report: dict[str, Any] = {"versions": versions(), "cases": []}
    print(f"microseconds a call, and nodes\n{'':<42}{''.join([f'{mode:>21}' for mode in MODES])} {'ratio':>7}")
    for what in CASES:
        row = measured(what, args.quick)
        report["cases"].append(row)
        cells = [f"{row[mode]['us']:>14.1f} {row[mode]['nodes']:>6}" for mode in MODES]
        print(f"{what:<42}{''.join(cells)} {row['ratio']:>6.2f}x", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
