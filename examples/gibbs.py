"""A Gibbs sampler by scan: the Ising model, checked against all its states, and then put to use on a noisy picture.

A lattice of spins s, each -1 or 1, likes neighbours to agree: p(s) is proportional to
exp(coupling * sum of s_i s_j over neighbours + sum of field_i s_i). The sampler (Geman and Geman, 1984) draws each spin
anew, given its neighbours; on a chessboard no two squares of one colour are neighbours, so it draws all the black
squares at once, then all the white ones. `scan` repeats that, and every step draws fresh numbers from the stream.

1. On a torus of 4 x 4 spins all 65,536 states can be weighed: the means over many chains have to agree with the truth.
2. The same seed gives the same spins; the next call, and another seed, give others.
3. As Geman and Geman did, a picture is restored: where a field pulls each spin to the pixel that was seen, samples show
   what the picture may have been, and their mean's sign is the best guess for each pixel.

Run: uv run examples/gibbs.py [--seed N] [--out FILE]
"""

import argparse
import time

import matplotlib

matplotlib.use("Agg")  # draw into a file: no screen needed

import matplotlib.pyplot as plt
import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.random import Stream


def neighbours(s):
    """The sum of the four neighbours of each spin, on a torus: what leaves on one side comes back on the other."""
    return sum(T.roll(s, shift, axis) for shift in (1, -1) for axis in (-1, -2))


def chessboard(height, width):
    """True on the black squares. Both sides must be even, for the squares to alternate across the edges too."""
    return np.add.outer(np.arange(height), np.arange(width)) % 2 == 0


def sampler(s, coupling, field, black, sweeps, stream):
    """The spins after each of so many sweeps over lattices that begin as s, of shape (sweeps, *s.shape)."""

    def sweep(s):
        for colour in (black, ~black):
            p_up = T.sigmoid(2 * (coupling * neighbours(s) + field))  # given the neighbours
            drawn = 2 * stream.bernoulli(p_up, dtype=s.dtype) - 1
            s = T.switch(colour, drawn, s)
        return s

    return rg.scan(sweep, outputs_info=s, n_steps=sweeps, name="gibbs")


# 1. and 2. A lattice so small that the truth is known

MOMENTS = ("agreement of neighbours", "agreement of spins far apart", "absolute magnetization")


def moments(s):
    """The three MOMENTS of each lattice; s is an array or a variable, whose last two axes are the lattice."""
    library = np if isinstance(s, np.ndarray) else T
    near = (s * library.roll(s, 1, -1) + s * library.roll(s, 1, -2)).mean((-1, -2)) / 2
    far = (s * library.roll(library.roll(s, 2, -1), 2, -2)).mean((-1, -2))
    return [near, far, abs(s.mean((-1, -2)))]


def weighed(side, coupling):
    """The moments' true values: the mean over all states, each with its probability."""
    bits = np.arange(2 ** (side * side))[:, None] >> np.arange(side * side) & 1
    states = (2.0 * bits - 1).reshape(-1, side, side)
    found = moments(states)
    weight = np.exp(coupling * 2 * side * side * found[0])  # a torus has two pairs of neighbours for each spin
    return [np.average(m, weights=weight) for m in found]


def check_moments(seed, side=4, coupling=0.3, chains=400, sweeps=400, warm=50):
    """Whether the means of independent chains are within four standard errors of the truth; prints them."""
    first, black = T.tensor3("first"), chessboard(side, side)
    samples, updates = sampler(first, coupling, 0.0, black, sweeps, Stream(seed))
    of_chains = rg.function([first], [m[warm:].mean(axis=0) for m in moments(samples)], updates=updates)
    found = of_chains(np.ones((chains, side, side), rg.config.floatX))
    good = True
    for name, truth, means in zip(MOMENTS, weighed(side, coupling), found, strict=True):
        error = means.std(ddof=1) / np.sqrt(chains)
        good &= abs(means.mean() - truth) < 4 * error
        print(f"{name:30} {means.mean():.4f} ± {error:.4f}, in truth {truth:.4f}")
    return good


def check_seeds(seed):
    """Whether one seed gives the same spins again, and other calls and seeds do not."""
    first = np.ones((8, 8), rg.config.floatX)
    streams = [Stream(seed), Stream(seed), Stream(seed + 1)]
    runs = [sampler(first, 0.3, 0.0, chessboard(8, 8), 20, stream) for stream in streams]
    one, same, other = (rg.function([], samples, updates=updates) for samples, updates in runs)
    a, b = one(), one()
    streams[0].seed(seed)  # from the beginning
    again = np.array_equal(a, same()) and np.array_equal(b, same()) and np.array_equal(a, one())
    different = not np.array_equal(a, b) and not np.array_equal(a, other())
    print(f"same seed, same spins: {again}; next call or other seed, other spins: {different}")
    return again and different


# 3. A picture


def picture():
    """The library's name in black and white, as 1 and -1."""
    figure = plt.figure(figsize=(3, 0.9), dpi=100)
    figure.text(0.5, 0.5, "refgraph", ha="center", va="center", fontsize=42, fontweight="bold")
    figure.canvas.draw()
    ink = np.asarray(figure.canvas.buffer_rgba())[:, :, 0] < 128
    plt.close(figure)
    return np.where(ink, 1, -1).astype(rg.config.floatX)


def restore(truth, seed, file, flipped=0.2, coupling=0.6, sweeps=150, warm=50):
    """The shares of wrong pixels, as seen and as restored; draws both."""
    seen = np.where(np.random.default_rng(seed).random(truth.shape) < flipped, -truth, truth)
    first = T.matrix("seen")
    field = 0.5 * np.log((1 - flipped) / flipped) * first  # half the log odds of the pixel
    samples, updates = sampler(first, coupling, field, chessboard(*truth.shape), sweeps, Stream(seed))
    mean, last = rg.function([first], [samples[warm:].mean(axis=0), samples[-1]], updates=updates)(seen)
    guess = np.where(mean > 0, 1, -1)
    wrong_seen, wrong = np.mean(seen != truth), np.mean(guess != truth)

    panels = {
        "the picture": truth,
        f"as seen: {wrong_seen:.1%} of the pixels wrong": seen,
        "one sample": last,
        "mean of the samples": mean,
        f"restored: {wrong:.1%} wrong": guess,
    }
    figure, cells = plt.subplots(len(panels), figsize=(5, 8.5), layout="constrained")
    for cell, (name, values) in zip(cells, panels.items(), strict=True):
        cell.imshow(values, cmap="gray_r", vmin=-1, vmax=1)
        cell.set_title(name, fontsize=10)
        cell.axis("off")
    figure.savefig(file, dpi=120)
    plt.close(figure)
    print(f"of {truth.size:,} pixels {wrong_seen:.1%} were wrong, {wrong:.1%} are after restoration; picture in {file}")
    return wrong_seen, wrong


def main(seed, file):
    start = time.perf_counter()
    good = check_moments(seed)
    good &= check_seeds(seed)
    before, after = restore(picture(), seed, file)
    print(f"{time.perf_counter() - start:.1f} s")
    return good and after < before / 5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="gibbs.png")
    arguments = parser.parse_args()
    if not main(arguments.seed, arguments.out):
        raise SystemExit("the sampler does not sample what it should")
