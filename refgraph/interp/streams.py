"""Random streams: draws that give fresh numbers in every call, and the same ones from the same seed."""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

import numpy as np

from refgraph.core.errors import GraphTypeError
from refgraph.core.types import label
from refgraph.interp.shared import SharedVariable, shared
from refgraph.ops import distributions
from refgraph.ops.philox import mixed_key
from refgraph.ops.random import fork, next_call
from refgraph.ops.tensor import TensorVariable

P = ParamSpec("P")


def _site(draw: Callable[Concatenate[Any, P], TensorVariable]) -> Callable[Concatenate[Stream, P], TensorVariable]:
    """A draw as a method, which gives it a state of its own."""

    def drawn(self: Stream, /, *args: P.args, **kwargs: P.kwargs) -> TensorVariable:
        return self._draw(draw.__name__, lambda state: draw(state, *args, **kwargs))

    functools.update_wrapper(drawn, draw)
    return drawn


class Stream:
    """A source of random numbers for graphs: each method adds a draw, whose numbers every call of a function renews.

    seed: an int >= 0, or a sequence of such; None takes 128 bits from the operating system, which `entropy` tells. A
        sequence of one int is the same seed as this int; all others differ.
    name: goes before the names of the states.

    Each draw that is written has a state of its own, a shared variable that holds its key and the number of the next
    call; its `default_update` counts calls, in functions and in loops. The key is mixed of the seed and of how many
    draws were written before in this stream. So a program gives the same numbers in every process and on every machine
    as long as it writes the same draws in the same order; and different draws, calls and seeds are independent.

    A draw `x` tells its state and the next one as `x.update`. Draws of one call are one thing: what is computed from a
    draw in several places sees the same numbers.
    """

    def __init__(self, seed: Any = None, name: str | None = None) -> None:
        self.name = label(name)
        self.entropy = _entropy(seed)
        self._path: tuple[int, ...] = ()
        self._states: list[SharedVariable] = []
        self._children: list[Stream] = []

    uniform = _site(distributions.uniform)
    normal = _site(distributions.normal)
    lognormal = _site(distributions.lognormal)
    truncated_normal = _site(distributions.truncated_normal)
    exponential = _site(distributions.exponential)
    laplace = _site(distributions.laplace)
    gumbel = _site(distributions.gumbel)
    logistic = _site(distributions.logistic)
    cauchy = _site(distributions.cauchy)
    weibull = _site(distributions.weibull)
    gamma = _site(distributions.gamma)
    beta = _site(distributions.beta)

    integers = _site(distributions.integers)
    bernoulli = _site(distributions.bernoulli)
    binomial = _site(distributions.binomial)
    poisson = _site(distributions.poisson)
    multinomial = _site(distributions.multinomial)
    categorical = _site(distributions.categorical)
    choice = _site(distributions.choice)
    permutation = _site(distributions.permutation)

    def seed(self, seed: Any = None) -> None:
        """Begin anew from a seed, or from the one that the stream has: every draw, and every stream spawned from here.

        Functions that are made already draw from the new seed too, for they read the states.
        """
        if seed is not None:
            self.entropy = _entropy(seed)
        for serial, state in enumerate(self._states):
            state.set_value(self._value(serial), borrow=True)
        for child in self._children:
            child.seed(self.entropy)

    def spawn(self, n: int) -> list[Stream]:
        """n further streams, independent of this one, of each other, and of those spawned before."""
        fresh = []
        for _ in range(operator.index(n)):
            child = Stream(self.entropy, self.name)
            child._path = (*self._path, len(self._children))
            self._children.append(child)
            fresh.append(child)
        return fresh

    def updates(self) -> list[tuple[SharedVariable, Any]]:
        """The state of each draw, and what becomes of it: what `function` does by itself."""
        return [(state, state.default_update) for state in self._states]

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Any]]:
        """Theano's name for `updates()`."""
        return self.updates()

    def _draw(self, what: str, draw: Callable[[Any], TensorVariable]) -> TensorVariable:
        """A draw from a new state."""
        serial = len(self._states)
        prefix = f"{self.name}." if self.name else ""
        state: SharedVariable = shared(self._value(serial), f"{prefix}{what}_{serial}", borrow=True, shape=(2,))
        new = next_call(state)
        state.default_update, state.fork = new, fork
        sample = draw(state)  # may raise: then nothing is counted
        self._states.append(state)
        sample.update = (state, new)  # type: ignore[attr-defined]  # Theano's place for it
        return sample

    def _value(self, serial: int) -> np.ndarray[Any, Any]:
        """The first state of draw number `serial`."""
        seed = [word for n in self.entropy for word in _words(n)]
        key = mixed_key([len(self.entropy), *seed, len(self._path), *self._path, serial])
        return np.array([key, 0], np.uint64)

    def __repr__(self) -> str:
        seed = self.entropy[0] if len(self.entropy) == 1 else list(self.entropy)
        return f"<Stream of seed {seed}{''.join(f', child {i}' for i in self._path)}: {len(self._states)} draws>"


def _entropy(seed: Any) -> tuple[int, ...]:
    """A seed as ints. Raises GraphTypeError."""
    if seed is None:
        return (int.from_bytes(os.urandom(16), "little"),)
    given = seed if isinstance(seed, (Sequence, np.ndarray)) and not isinstance(seed, str) else [seed]
    try:
        found = tuple([operator.index(n) for n in given])
    except TypeError:
        found = ()
    if not found or min(found) < 0:
        raise GraphTypeError(
            f"a seed is an int from 0 on, or a sequence of such, got {seed!r:.60} ({type(seed).__name__})",
            help="Stream() takes a fresh seed; its `entropy` is what to give to have the same numbers again",
        )
    return found


def _words(n: int) -> list[int]:
    """The 64-bit words of an int, low ones first, after how many they are: so no ints have the words of others."""
    words = [n >> shift & 0xFFFFFFFFFFFFFFFF for shift in range(0, max(n.bit_length(), 1), 64)]
    return [len(words), *words]
