"""Case study 1 of the original slides at its full size: 400 samples of 784 features, 10,000 training steps.

Run: uv run examples/logistic_regression.py [--steps N]
"""

import argparse
import time

import numpy as np

import refgraph as theano
import refgraph.tensor as T

SAMPLES, FEATURES = 400, 784


def build(rng):
    """The slide's model: functions that train on, and predict, a batch; and the weights."""
    x = T.matrix("x")
    y = T.vector("y")
    # The slide starts at rng.randn(784), where 1 - p_1 rounds to 0 for some samples and its log is infinite.
    w = theano.shared(0.01 * rng.standard_normal(FEATURES), name="w")
    b = theano.shared(0.0, name="b")

    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))  # probability that target = 1
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w**2).sum()
    gw, gb = T.grad(cost, [w, b])

    train = theano.function([x, y], [prediction, xent], updates={w: w - 0.1 * gw, b: b - 0.1 * gb})
    predict = theano.function([x], prediction)
    return train, predict, w, b


def main(steps):
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((SAMPLES, FEATURES)), rng.integers(0, 2, SAMPLES)
    train, predict, w, b = build(rng)
    print(f"initial model: |w| = {np.linalg.norm(w.get_value()):.3f}, b = {b.get_value():.3f}")
    start = time.perf_counter()
    for step in range(steps):
        prediction, _ = train(inputs, targets)
        if step % max(steps // 10, 1) == 0:
            print(f"step {step:6d}: {np.mean(prediction == targets):6.1%} of the targets predicted")
    print(f"final model:   |w| = {np.linalg.norm(w.get_value()):.3f}, b = {b.get_value():.3f}")
    accuracy = np.mean(predict(inputs) == targets)
    print(f"{steps} steps in {time.perf_counter() - start:.1f} s; {accuracy:.1%} of the targets predicted")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    if main(parser.parse_args().steps) < 0.95:
        raise SystemExit("the model did not learn")
