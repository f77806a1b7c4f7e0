"""Read handwritten digits row by row: a gated recurrent net that has to remember what it saw.

The 1,797 images of 8 x 8 pixels and the split of digits.py, but the net sees eight pixels at a time, from the top row
to the bottom one, and says after the last row which digit it was. It is a gated recurrent unit (Cho, van Merriënboer,
Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, 2014), looped over the rows by `scan`. In training, dropout
(Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014) silences one in five of the final states, drawn
anew in every call and the same in every run with the same seed.

Prints the test accuracy, and saves `rnn_digits.png`: the learning curve, and what the net believes after each row.

Run: uv run examples/rnn_digits.py [--epochs N] [--hidden N] [--seed N] [--out FILE]
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are small: two threads would mostly wait

import matplotlib

matplotlib.use("Agg")  # draw into a file: no screen needed

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import trange

import refgraph as rg
import refgraph.tensor as T
from refgraph.random import Stream

ROWS, PIXELS, CLASSES = 8, 8, 10
KEPT = 0.8  # share of the final states that dropout leaves
TARGET = 0.95


def load(seed):
    """Images scaled to [0, 1], labels, split into train and test with every digit in its share."""
    digits = load_digits()
    images = (digits.images / 16).astype(rg.config.floatX)
    return train_test_split(images, digits.target, test_size=0.2, stratify=digits.target, random_state=seed)


class GRU:
    """The parameters, and the expressions made of them. Gates: r lets the past into the new state, z keeps it there."""

    def __init__(self, hidden, rng):
        self.hidden = hidden
        self.parameters = []
        self.W = self.parameter("W", rng.standard_normal((PIXELS, 3 * hidden)) / np.sqrt(PIXELS))
        self.U = self.parameter("U", rng.standard_normal((hidden, 2 * hidden)) / np.sqrt(hidden))
        self.U_h = self.parameter("U_h", rng.standard_normal((hidden, hidden)) / np.sqrt(hidden))
        self.b = self.parameter("b", np.zeros(3 * hidden))
        self.V = self.parameter("V", np.zeros((hidden, CLASSES)))
        self.d = self.parameter("d", np.zeros(CLASSES))

    def parameter(self, name, value):
        self.parameters.append(rg.shared(value.astype(rg.config.floatX), name=name))
        return self.parameters[-1]

    def step(self, drive, h):
        """The state after one more row."""
        n = self.hidden
        gates = T.sigmoid(drive[:, : 2 * n] + T.dot(h, self.U))
        r, z = gates[:, :n], gates[:, n:]
        candidate = T.tanh(drive[:, 2 * n :] + T.dot(r * h, self.U_h))
        return z * h + (1 - z) * candidate

    def read(self, images):
        """The states after each row, of shape (rows, images, hidden)."""
        rows = images.dimshuffle(1, 0, 2)
        start = T.zeros((images.shape[0], self.hidden), rg.config.floatX)
        hs, _ = rg.scan(self.step, sequences=T.dot(rows, self.W) + self.b, outputs_info=start, name="read")
        return hs

    def scores(self, h):
        """Unnormalized log probabilities of the digits."""
        return T.dot(h, self.V) + self.d


def dropout(h, stream):
    """h with some of it set to 0, and the rest scaled up so that the mean stays."""
    return h * stream.bernoulli(KEPT, size=h.shape, dtype=rg.config.floatX) / KEPT


def adam(cost, parameters, rate, b1=0.9, b2=0.999, eps=1e-8):
    """One step of Adam (Kingma and Ba, 2015) as updates."""
    t = rg.shared(np.asarray(0, rg.config.floatX), name="t")
    now = t + 1
    updates = {t: now}
    for p, g in zip(parameters, T.grad(cost, parameters), strict=True):
        m, v = (rg.shared(np.zeros_like(p.get_value()), name=f"{k}_{p.name}") for k in "mv")
        m_now, v_now = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = rate * (m_now / (1 - b1**now)) / (T.sqrt(v_now / (1 - b2**now)) + eps)
        updates |= {m: m_now, v: v_now, p: p - step}
    return updates


def draw(history, images, beliefs, file):
    """The learning curve, and for some images the probabilities of the digits after each row."""
    figure = plt.figure(figsize=(12, 3.8), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.5))
    axes = left.subplots()
    axes.plot(history["train"], label="training error, with dropout")
    axes.plot(history["test"], label="test error")
    axes.set(xlabel="epoch", ylabel="share of digits misread", title="Learning curve")
    axes.set_yscale("symlog", linthresh=1e-3)  # like log, down to 0
    axes.legend()
    right.suptitle("What it believes after each row: the darker, the more probable")
    cells = right.subplots(2, len(images), sharey=True)
    for image, belief, (above, below) in zip(images, np.moveaxis(beliefs, 1, 0), cells.T, strict=True):
        above.imshow(image, cmap="gray_r")
        above.set(xticks=[], yticks=[])
        below.imshow(belief, cmap="Blues", vmin=0, vmax=1)
        below.set(xticks=range(0, CLASSES, 3), yticks=[], xlabel="digit")
    cells[0, 0].set_ylabel("row")
    cells[1, 0].set_ylabel("after row")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(epochs, hidden, seed, file, batch=32):
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    train_x, test_x, train_y, test_y = load(seed)

    x, y, rate = T.tensor3("x"), T.lvector("y"), T.scalar("rate")
    net = GRU(hidden, rng)
    hs = net.read(x)
    scores = net.scores(dropout(hs[-1], Stream(seed)))
    cost = -T.nnet.logsoftmax(scores)[T.arange(y.shape[0]), y].mean()
    misread = T.neq(T.argmax(scores, axis=1), y).mean()
    train = rg.function([x, y, rate], [cost, misread], updates=adam(cost, net.parameters, rate))
    read = rg.function([x], T.argmax(net.scores(hs[-1]), axis=1))
    believe = rg.function([x], T.nnet.softmax(net.scores(hs), axis=-1))

    history = {"train": [], "test": []}
    for epoch in (bar := trange(epochs, unit="epoch", desc="training")):
        rate_now = np.asarray(1e-2 * 0.5 * (1 + np.cos(np.pi * epoch / epochs)), rg.config.floatX)
        order, errors = rng.permutation(len(train_x)), []
        for k in range(0, len(order), batch):
            chosen = order[k : k + batch]
            _, error = train(train_x[chosen], train_y[chosen], rate_now)
            errors.append(error)
        history["train"].append(float(np.mean(errors)))
        history["test"].append(float(np.mean(read(test_x) != test_y)))
        bar.set_postfix(test=f"{1 - history['test'][-1]:.2%}")

    accuracy = np.mean(read(test_x) == test_y)
    shown = [np.flatnonzero(test_y == digit)[0] for digit in (0, 3, 5, 6, 8, 9)]
    draw(history, test_x[shown], believe(test_x[shown]), file)
    print(f"test accuracy {accuracy:.2%} after {time.perf_counter() - start:.1f} s; picture in {file}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="rnn_digits.png")
    arguments = parser.parse_args()
    if main(arguments.epochs, arguments.hidden, arguments.seed, arguments.out) < TARGET:
        raise SystemExit(f"the net read fewer than {TARGET:.0%} of the test digits")
