"""Train a multilayer perceptron on handwritten digits, and look at what it learned.

1,797 real images of 8 x 8 pixels (scikit-learn's bundled set), one in five held out. Two hidden layers, batches, Adam.
Prints the test accuracy and saves `digits.png`: the learning curve, and the digits that the network misread.

Run: uv run examples/digits.py [--epochs N] [--out FILE] [--backend NAME]
"""

import argparse
import time
from itertools import pairwise

import matplotlib

matplotlib.use("Agg")  # draw into a file: no screen needed

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import trange

import refgraph as rg
import refgraph.tensor as T

LAYERS = (64, 256, 128, 10)


def load(seed):
    """Pixels scaled to [0, 1], labels, split into train and test with every digit in its share."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(rg.config.floatX)
    return train_test_split(pixels, digits.target, test_size=0.2, stratify=digits.target, random_state=seed)


def shifted(images, rng):
    """Three images in ten moved by one pixel each way: the same digits, written a little elsewhere."""
    moved = np.zeros((len(images), 10, 10), images.dtype)
    moved[:, 1:-1, 1:-1] = images.reshape(-1, 8, 8)
    down, right = rng.choice(3, (2, len(images)), p=(0.15, 0.7, 0.15))
    rows, columns = down[:, None] + np.arange(8), right[:, None] + np.arange(8)
    return moved[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(-1, 64)


def network(rng):
    """The class probabilities of a batch, as an expression of it, and the parameters."""
    x = T.matrix("x")
    parameters, layer = [], x
    for i, (fan_in, fan_out) in enumerate(pairwise(LAYERS)):
        weights = rng.standard_normal((fan_in, fan_out)) * np.sqrt(2 / fan_in)
        w = rg.shared(weights.astype(rg.config.floatX), name=f"w{i}")
        b = rg.shared(np.zeros(fan_out, rg.config.floatX), name=f"b{i}")
        layer = T.dot(layer, w) + b
        if fan_out != LAYERS[-1]:
            layer = T.nnet.relu(layer)
        parameters += [w, b]
    return x, layer, parameters


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


def draw(history, images, truth, guess, file):
    """The learning curve, and up to twelve misread digits."""
    figure = plt.figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
    axes = left.subplots()
    axes.plot(history["train"], label="training error")
    axes.plot(history["test"], label="test error")
    axes.set(xlabel="epoch", ylabel="share of digits misread", yscale="log", title="Learning curve")
    axes.legend()
    wrong = np.flatnonzero(truth != guess)
    right.suptitle(f"{len(wrong)} of {len(truth)} test digits misread (read as, is)")
    for k, cell in enumerate(right.subplots(2, 6).flat):
        cell.axis("off")
        if k < len(wrong):
            i = wrong[k]
            cell.imshow(images[i].reshape(8, 8), cmap="gray_r")
            cell.set_title(f"{guess[i]}, {truth[i]}", fontsize=9)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(epochs, file, seed=0, batch=64):
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    train_x, test_x, train_y, test_y = load(seed)

    x, logits, parameters = network(rng)
    y = T.lvector("y")
    rate = T.scalar("rate")
    cost = -T.nnet.logsoftmax(logits)[T.arange(y.shape[0]), y].mean()
    misread = T.neq(T.argmax(logits, axis=1), y).mean()
    train = rg.function([x, y, rate], [cost, misread], updates=adam(cost, parameters, rate))
    read = rg.function([x], T.argmax(logits, axis=1))

    history = {"train": [], "test": []}
    for epoch in (bar := trange(epochs, unit="epoch", desc="training")):
        rate_now = np.asarray(2e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs)), rg.config.floatX)
        order, errors = rng.permutation(len(train_x)), []
        for k in range(0, len(order), batch):
            chosen = order[k : k + batch]
            _, error = train(shifted(train_x[chosen], rng), train_y[chosen], rate_now)
            errors.append(error)
        history["train"].append(float(np.mean(errors)))
        history["test"].append(float(np.mean(read(test_x) != test_y)))
        bar.set_postfix(test=f"{1 - history['test'][-1]:.2%}")

    guess = read(test_x)
    accuracy = np.mean(guess == test_y)
    draw(history, test_x, test_y, guess, file)
    print(f"test accuracy {accuracy:.2%} after {time.perf_counter() - start:.1f} s; picture in {file}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", default="digits.png")
    parser.add_argument("--backend", help="what runs it: numpy, cython, cupy; by default the fastest that is here")
    arguments = parser.parse_args()
    if arguments.backend:
        rg.config.backend = arguments.backend
    if main(arguments.epochs, arguments.out) < 0.97:
        raise SystemExit("the network read fewer than 97 % of the test digits")
