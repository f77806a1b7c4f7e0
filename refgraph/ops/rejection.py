"""Counts of a binomial and of a Poisson distribution, exactly, in a time that does not grow with their means.

Small means: the distribution function is summed up until it exceeds a uniform number. Others: transformed rejection,
W. Hoermann, "The generation of binomial random variates", Journal of Statistical Computation and Simulation 46, 1993
(algorithm BTRS), and "The transformed rejection method for generating Poisson random variables", Insurance:
Mathematics and Economics 12, 1993 (algorithm PTRS). Constants are from there.

Each attempt a for an element reads two 64-bit words, `words(numbers, a)`: the block of its number on sheet a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgraph.ops.philox import inside, unit

Array = np.ndarray[Any, Any]
Words = Callable[[Any, int], tuple[Any, Any]]
_SMALL = 10.0  # means below it are summed up


def binomial_counts(n: Array, p: Array, numbers: Any, words: Words) -> Array:
    """Numbers of successes in n trials of probability p, one for each element number; all are vectors."""
    flipped = p > 0.5
    q = np.where(flipped, 1 - p, p)
    out = np.zeros(len(n))
    few = n * q < _SMALL
    if few.any():
        out[few] = _few_successes(n[few], q[few], unit(words(numbers[few], 0)[0], 53))
    if not few.all():
        many = ~few
        out[many] = _many_successes(n[many], q[many], numbers[many], words)
    return np.where(flipped, n - out, out).astype(np.int64)


def poisson_counts(rate: Array, numbers: Any, words: Words) -> Array:
    """Numbers of events where `rate` are expected, one for each element number; both are vectors."""
    out = np.zeros(len(rate))
    few = rate < _SMALL
    if few.any():
        mean = rate[few]
        u = unit(words(numbers[few], 0)[0], 53)
        out[few] = _summed(u, np.exp(-mean), lambda x, at: mean[at] / (x + 1))
    if not few.all():
        many = ~few
        out[many] = _many_events(rate[many], numbers[many], words)
    return out.astype(np.int64)


def _few_successes(n: Array, p: Array, u: Array) -> Array:
    odds = p / (1 - p)
    return _summed(u, np.exp(n * np.log1p(-p)), lambda x, at: np.maximum(n[at] - x, 0) / (x + 1) * odds[at])


def _summed(u: Array, first: Array, ratio: Callable[[int, Any], Array]) -> Array:
    """The least count whose distribution function exceeds u; `first` is the probability of 0, and `ratio(x, at)` that
    of x + 1 over that of x for the elements `at`. The last is the one before probabilities fall to 2**-64 or below, or
    to 0, as beyond n: rounded, the function may stay below the greatest u there.
    """
    out = np.zeros(len(u))
    at = np.arange(len(u))
    chance, total = first.copy(), first.copy()
    x = 0
    while len(at):
        following = chance * ratio(x, at)
        going = (u[at] >= total) & (following > 2.0**-64)
        at, chance = at[going], following[going]
        total = total[going] + chance
        x += 1
        out[at] = x
    return out


def _many_successes(n: Array, p: Array, numbers: Any, words: Words) -> Array:
    """BTRS: n p >= 10, p <= 1/2."""
    spread = np.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    center, sure = n * p + 0.5, 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    mode = np.floor((n + 1) * p)

    def propose(at: Any, u: Array, v: Array) -> tuple[Array, Array]:
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a[at] / us + b[at]) * u + center[at])
        inner = (us >= 0.07) & (v <= sure[at])
        possible = (k >= 0) & (k <= n[at])
        height = np.log(v * alpha[at] / (a[at] / (us * us) + b[at]))
        held = np.where(possible, k, mode[at])
        return k, inner | (possible & (height <= _log_binomial_ratio(held, mode[at], n[at], p[at])))

    return _accepted(len(n), numbers, words, propose)


def _many_events(rate: Array, numbers: Any, words: Words) -> Array:
    """PTRS: rate >= 10."""
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    alpha, sure = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)

    def propose(at: Any, u: Array, v: Array) -> tuple[Array, Array]:
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a[at] / us + b[at]) * u + rate[at] + 0.43)
        inner = (us >= 0.07) & (v <= sure[at])
        possible = (k >= 0) & ((us >= 0.013) | (v <= us))
        height = np.log(v * alpha[at] / (a[at] / (us * us) + b[at]))
        return k, inner | (possible & (height <= _log_poisson(np.maximum(k, 0), rate[at])))

    return _accepted(len(rate), numbers, words, propose)


def _accepted(count: int, numbers: Any, words: Words, propose: Callable[..., tuple[Array, Array]]) -> Array:
    """For each element the first of its proposals that is accepted; `propose(at, u, v)` answers both for elements `at`.

    u is uniform on (-1/2, 1/2), v on (0, 1).
    """
    out = np.empty(count)
    at, attempt = np.arange(count), 0
    while len(at):
        first, second = words(numbers[at], attempt)
        k, accepted = propose(at, inside(first, 52) - 0.5, inside(second, 52))
        out[at[accepted]] = k[accepted]
        at, attempt = at[~accepted], attempt + 1
    return out


def _log_binomial_ratio(k: Array, m: Array, n: Array, p: Array) -> Any:
    """log(f(k) / f(m)) for the probabilities f of counts among n.

    By Stirling's formula for m!, (n - m)!, k! and (n - k)!, arranged so that nothing large cancels.
    """
    d = m - k
    K, L = k + 1, n - k + 1
    main = (m + 0.5) * np.log1p(d / K) + (n - m + 0.5) * np.log1p(-d / L) + d * np.log(K * (1 - p) / (L * p))
    return main + _stirling(m) + _stirling(n - m) - _stirling(k) - _stirling(n - k)


def _log_poisson(k: Array, rate: Array) -> Any:
    """log(rate**k exp(-rate) / k!), by Stirling's formula arranged likewise."""
    d = k + 1 - rate
    return d - k * np.log1p(d / rate) - 0.5 * np.log(2 * math.pi * (k + 1)) - _stirling(k)


def _stirling(k: Array) -> Array:
    """log(k!) - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2): NIST DLMF 5.11.1 at k + 1."""
    z = 1 / (k + 1)
    z2 = z * z
    series = z * (1 / 12 - z2 * (1 / 360 - z2 * (1 / 1260 - z2 * (1 / 1680 - z2 / 1188))))
    return np.where(k < len(_EXACT), _EXACT[np.minimum(k, len(_EXACT) - 1).astype(np.intp)], series)


_EXACT = np.array(
    [math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + k + 1 - 0.5 * math.log(2 * math.pi) for k in range(16)]
)
