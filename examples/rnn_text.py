"""Teach a recurrent net to spell, and let it write: a character-level LSTM on the text that Python's help() reads.

The text is pydoc_data.topics, which comes with CPython, for help("if") needs it: half a megabyte of the language
reference, as strings in a module, so that it can be imported wherever it lies, and python -OO does not strip it. A
paragraph that several topics share is kept once, so that the last tenth, which is held out, is new to the net.

The net is a long short-term memory (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and
Cummins, 2000). `scan` loops over the characters. It learns by truncated backpropagation through time (Williams and
Peng, 1990): the text is cut into parallel streams, which are read chunk after chunk. Shared variables carry the state
from a chunk to the next, the gradient stays within the chunk. To write, a second scan feeds each character that is
drawn back as the next input.

Prints the perplexity per character of the held-out text, and a sample; saves `rnn_text.png`, the learning curve.

Run: uv run examples/rnn_text.py [--epochs N] [--hidden N] [--seed N] [--out FILE]
"""

import argparse
import os
import time
from pydoc_data.topics import topics

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are small: two threads would mostly wait

import matplotlib

matplotlib.use("Agg")  # draw into a file: no screen needed

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import refgraph as rg
import refgraph.tensor as T
from refgraph.random import Stream

rg.config.floatX = "float32"

STREAMS, CHUNK = 16, 50  # parallel streams of text, characters of each in a step of training
EMBEDDING = 32
TARGET = 8.0  # perplexity; one that knows only how frequent characters are has 26, how frequent pairs are 12


def load():
    """The text as numbers, split into train and test, and the alphabet that they are numbers in."""
    paragraphs = "\n\n".join(topics[name] for name in sorted(topics)).split("\n\n")
    text = np.array(list("\n\n".join(dict.fromkeys(paragraphs))))
    alphabet, numbers = np.unique(text, return_inverse=True)
    cut = len(numbers) * 9 // 10
    return numbers[:cut], numbers[cut:], alphabet


def streams(numbers, count):
    """The text in columns of equal length, read downwards."""
    length = len(numbers) // count
    return numbers[: length * count].reshape(count, length).T


class LSTM:
    """The parameters, and the expressions made of them. States are the output h and the memory c of each cell."""

    def __init__(self, letters, hidden, rng):
        self.hidden = hidden
        self.parameters = []
        self.E = self.parameter("E", rng.standard_normal((letters, EMBEDDING)))
        self.W = self.parameter("W", rng.standard_normal((EMBEDDING, 4 * hidden)) / np.sqrt(EMBEDDING))
        self.U = self.parameter("U", rng.standard_normal((hidden, 4 * hidden)) / np.sqrt(hidden))
        self.b = self.parameter("b", np.repeat([0, 1, 0, 0], hidden))  # 1: to begin with, remember
        self.V = self.parameter("V", np.zeros((hidden, letters)))  # 0: to begin with, expect all letters alike
        self.d = self.parameter("d", np.zeros(letters))

    def parameter(self, name, value):
        self.parameters.append(rg.shared(value.astype(rg.config.floatX), name=name))
        return self.parameters[-1]

    def blank(self, count):
        """The states of one that has read nothing, for as many streams."""
        nothing = T.zeros((count, self.hidden), rg.config.floatX)
        return [nothing, nothing]

    def drive(self, x):
        """What the letters x contribute to the four gates: no matter of the loop, so done at once for all of them."""
        return T.dot(self.E[x], self.W) + self.b

    def step(self, drive, h, c):
        """The states after one more letter: input, forget and output gates open between 0 and 1, g is what is new."""
        gates = drive + T.dot(h, self.U)
        n = self.hidden
        i, f, o = (T.sigmoid(gates[:, k * n : (k + 1) * n]) for k in range(3))
        g = T.tanh(gates[:, 3 * n :])
        c = f * c + i * g
        return o * T.tanh(c), c

    def scores(self, h):
        """Unnormalized log probabilities of the letter that comes next."""
        return T.dot(h, self.V) + self.d

    def read(self, x, h, c):
        """The scores after each letter of x, of shape (time, streams, letters), and the last states."""
        (hs, cs), _ = rg.scan(self.step, sequences=self.drive(x), outputs_info=[h, c], name="read")
        return self.scores(hs), hs[-1], cs[-1]

    def write(self, x, temperature, length, stream):
        """`length` letters in each stream, drawn one after another; the first follows the letter x."""

        def step(x, h, c):
            h, c = self.step(self.drive(x), h, c)
            return stream.categorical(T.nnet.softmax(self.scores(h) / temperature)), h, c

        (xs, _, _), updates = rg.scan(step, outputs_info=[x, *self.blank(x.shape[0])], n_steps=length, name="write")
        return xs, updates


def cross_entropy(scores, y):
    """The mean of -log p(y): its exp is the perplexity, the number of letters among which the net cannot tell."""
    log_p = T.nnet.logsoftmax(scores.reshape((-1, scores.shape[-1])))
    return -log_p[T.arange(y.size), y.flatten()].mean()


def adam(parameters, gradients, rate, b1=0.9, b2=0.99, eps=1e-8):
    """One step of Adam (Kingma and Ba, 2015) as updates."""
    t = rg.shared(np.asarray(0, rg.config.floatX), name="t")
    now = t + 1
    updates = {t: now}
    for p, g in zip(parameters, gradients, strict=True):
        m, v = (rg.shared(np.zeros_like(p.get_value()), name=f"{k}_{p.name}") for k in "mv")
        m_now, v_now = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = rate * (m_now / (1 - b1**now)) / (T.sqrt(v_now / (1 - b2**now)) + eps)
        updates |= {m: m_now, v: v_now, p: p - step}
    return updates


def clipped(gradients, bound):
    """The gradients, scaled down together where their norm exceeds the bound (Pascanu, Mikolov and Bengio, 2013)."""
    norm = T.sqrt(sum((g**2).sum() for g in gradients))
    return [g * T.minimum(1, bound / norm) for g in gradients]


def compiled(net, stream):
    """Functions that train on a chunk, forget what was read, measure a text, and write."""
    x, y = T.lmatrix("x"), T.lmatrix("y")
    rate = T.scalar("rate")
    start = np.zeros((STREAMS, net.hidden), rg.config.floatX)
    h, c = rg.shared(start, name="h"), rg.shared(start, name="c")
    scores, h_last, c_last = net.read(x, h, c)
    cost = cross_entropy(scores, y)
    updates = adam(net.parameters, clipped(T.grad(cost, net.parameters), 1.0), rate)
    train = rg.function([x, y, rate], cost, updates=updates | {h: h_last, c: c_last})
    forget = rg.function([], updates={h: T.zeros_like(h), c: T.zeros_like(c)})
    measure = rg.function([x, y], cross_entropy(net.read(x, *net.blank(x.shape[1]))[0], y))

    first, temperature, length = T.lvector("first"), T.scalar("temperature"), T.lscalar("length")
    letters, updates = net.write(first, temperature, length, stream)
    write = rg.function([first, temperature, length], letters, updates=updates)
    return train, forget, measure, write


def draw(history, file):
    """Perplexity during training."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axes.plot(history["train step"], history["train"], color="C0", lw=0.6, alpha=0.6, label="each training chunk")
    axes.plot(history["test step"], history["test"], "o-", color="C1", ms=4, label="held-out text")
    axes.axhline(TARGET, color="gray", ls=":", label=f"{TARGET:g}: to be beaten")
    axes.set(xlabel="training step", ylabel="perplexity per character", yscale="log", title="Learning curve")
    ticks = [3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100]
    axes.set_yticks(ticks, [str(k) for k in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=110)
    axes.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(epochs, hidden, seed, file):
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    train_text, test_text, alphabet = load()
    text, held_out = streams(train_text, STREAMS), streams(test_text, 128)  # 128 to be quick
    net = LSTM(len(alphabet), hidden, rng)
    train, forget, measure, write = compiled(net, Stream(seed))
    print(f"{len(train_text):,} characters to learn from, {len(test_text):,} held out, {len(alphabet)} different ones")

    def perplexity():
        return float(np.exp(measure(held_out[:-1], held_out[1:])))

    chunks = (len(text) - 1) // CHUNK
    history = {"train step": [], "train": [], "test step": [0], "test": [perplexity()]}
    bar = tqdm(total=epochs * chunks, unit="step", desc="training")
    for epoch in range(epochs):
        forget()
        for k in range(chunks):
            share = (epoch * chunks + k) / (epochs * chunks)
            rate = np.asarray(4e-3 * 0.5 * (1 + np.cos(np.pi * share)), rg.config.floatX)
            a, b = k * CHUNK, (k + 1) * CHUNK
            cost = train(text[a:b], text[a + 1 : b + 1], rate)
            bar.update()
            history["train step"].append(bar.n)
            history["train"].append(float(np.exp(cost)))
            if (k + 1) % max(chunks // 4, 1) == 0:
                history["test step"].append(bar.n)
                history["test"].append(perplexity())
                bar.set_postfix(test=f"{history['test'][-1]:.2f}")
    bar.close()

    reached = perplexity()
    draw(history, file)
    newline = np.flatnonzero(alphabet == "\n")
    for line in "".join(alphabet[write(newline, 0.8, 600)[:, 0]]).splitlines():
        print(f"    | {line}")
    print(f"perplexity {reached:.2f} after {time.perf_counter() - start:.1f} s; picture in {file}")
    return reached


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="rnn_text.png")
    arguments = parser.parse_args()
    if main(arguments.epochs, arguments.hidden, arguments.seed, arguments.out) >= TARGET:
        raise SystemExit(f"the perplexity of the held-out text is not below {TARGET:g}")
