"""Random numbers on a backend: they are the interpreter's, in every call, and go on from call to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.function import function
from refgraph.interp.loops import scan
from refgraph.interp.shared import shared
from refgraph.interp.streams import Stream
from refgraph.ops import distributions
from refgraph.ops.random import fork, next_call
from refgraph.ops.tensor import FLOATS, INTEGERS
from refgraph.testing.compare import assert_bits
from refgraph.testing.suite.programs import agree, meaning

pytestmark = [pytest.mark.refgraph_level(3), pytest.mark.refgraph_feature("random")]

CALLS = 3
Draw = Callable[[Any], Any]
"""From a stream, or from a module that draws from a state, to a draw."""


def _draw(name: str, *args: Any, **options: Any) -> Draw:
    return lambda source: getattr(source, name)(*args, **options)


_EXACT: dict[str, Draw] = {
    **{f"uniform-{d}": _draw("uniform", size=(7, 5), dtype=d) for d in FLOATS},
    **{f"integers-{d}": _draw("integers", 2, 120, size=(7, 5), dtype=d) for d in INTEGERS},
    **{f"uniform-of-{n}": _draw("uniform", size=n) for n in (0, 1, 2, 3, 5, 1000, 65_537)},
    **{f"uniform-float32-of-{n}": _draw("uniform", size=n, dtype="float32") for n in (0, 1, 3, 5, 65_537)},
    "uniform-0-d": _draw("uniform"),
    "integers-wide": _draw("integers", -(2**62), 2**62, size=9),
    "integers-of-65537": _draw("integers", 10**9, size=65_537),
    "integers-by-bounds": _draw("integers", np.array([0, -5]), np.array([[1], [2], [2**62]])),
    "bernoulli": _draw("bernoulli", 0.3, size=(7, 9)),
    "bernoulli-by-p": _draw("bernoulli", np.linspace(0, 1, 9), size=(7, 9)),
    "permutation": _draw("permutation", 20),
    "choice": _draw("choice", 20, size=6, replace=False),
}
"""Draws of which every bit is settled."""

_CLOSE: dict[str, Draw] = {
    **{f"normal-{d}": _draw("normal", size=(7, 5), dtype=d) for d in FLOATS},
    **{f"normal-of-{n}": _draw("normal", size=n) for n in (0, 1, 2, 3, 5, 65_537)},
    "normal-float32-of-65537": _draw("normal", size=65_537, dtype="float32"),
    "normal-moved": _draw("normal", np.array([1.0, -2.0]), np.array([[0.5], [3.0]])),
    "uniform-between": _draw("uniform", -2.0, 5.0, size=9),
    "lognormal": _draw("lognormal", size=9),
    "truncated_normal": _draw("truncated_normal", size=9),
    "exponential": _draw("exponential", 2.0, size=9),
    "laplace": _draw("laplace", size=9),
    "gumbel": _draw("gumbel", size=9),
    "logistic": _draw("logistic", size=9),
    "cauchy": _draw("cauchy", size=9),
    "weibull": _draw("weibull", 2.0, size=9),
    "gamma": _draw("gamma", 2.0, size=9),
    "beta": _draw("beta", 2.0, 3.0, size=9),
    "binomial": _draw("binomial", 1000, 0.3, size=9),
    "poisson": _draw("poisson", 50.0, size=9),
    "multinomial": _draw("multinomial", 100, np.array([0.2, 0.3, 0.5]), size=4),
    "categorical": _draw("categorical", np.array([0.2, 0.3, 0.5]), size=9),
}
"""Draws that computing rounds, or that are chosen by what it rounds."""


class _From:
    """Draws from one state, a shared variable that somebody keeps, written as those of a stream are."""

    def __init__(self, backend: Backend | str) -> None:
        self.state = shared(np.array([0x0123456789ABCDEF, 0], np.uint64), "state", shape=(2,), backend=backend)
        self.state.default_update, self.state.fork = next_call(self.state), fork

    def __getattr__(self, name: str) -> Callable[..., Any]:
        draw = getattr(distributions, name)
        return lambda *args, **options: draw(self.state, *args, **options)


def _differ(rows: list[Any], what: str) -> None:
    for i, a in enumerate(rows):
        for b in rows[:i]:
            assert not np.array_equal(a, b), f"{what}: the same numbers came again"


# the numbers


@pytest.mark.parametrize("draw", _EXACT)
def test_uniform_and_whole_numbers_are_the_interpreters_to_the_bit(backend: Backend, draw: str) -> None:
    x = _EXACT[draw](Stream(7))
    f = function([], x, backend=backend)
    for n in range(CALLS):
        (want,) = evaluate([x], meaning([x], {}))
        assert_bits(f(), want, f"call {n}")


@pytest.mark.parametrize("draw", _CLOSE)
def test_other_numbers_are_the_interpreters_but_for_rounding(backend: Backend, draw: str) -> None:
    x = _CLOSE[draw](Stream(7))
    f = function([], x, backend=backend)
    for n in range(CALLS):
        given = meaning([x], {})
        agree(backend, [f()], [x], given, f"call {n}")


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "DebugMode"])
def test_numbers_are_the_same_in_every_mode(backend: Backend, mode: str) -> None:
    stream = Stream(7)
    outputs = [stream.uniform(size=5), stream.integers(100, size=5), stream.normal(size=5) * 2]
    f = function([], outputs, backend=backend, mode=mode)
    for n in range(CALLS):
        given = meaning(outputs, {})
        agree(backend, f(), outputs, given, f"call {n}")


def test_the_size_may_be_computed(backend: Backend) -> None:
    n, stream = T.lscalar("n"), Stream(7)
    outputs = [stream.uniform(size=(n, 2)), stream.integers(100, size=(2, n + 1)), stream.normal(size=n * 2)]
    f = function([n], outputs, backend=backend)
    for count in (3, 0, 5):
        given = meaning(outputs, {n: count})
        agree(backend, f(count), outputs, given, f"n={count}")


# calls


@pytest.mark.parametrize("home", ["numpy", "backend"])
@pytest.mark.parametrize(
    "draw", [name for name in _EXACT if name.startswith("uniform-of-1000")] + ["bernoulli", "permutation"]
)
def test_every_call_draws_fresh_numbers(backend: Backend, home: str, draw: str) -> None:
    source = _From(backend if home == "backend" else "numpy")
    f = function([], _EXACT[draw](source), backend=backend)
    _differ([f() for _ in range(4)], draw)
    state = source.state.get_value().tolist()
    assert state[1] == 4, f"the state is {state} after four calls"


def test_a_call_without_updates_draws_the_same_numbers_again(backend: Backend) -> None:
    f = function([], Stream(7).uniform(size=9), no_default_updates=True, backend=backend)
    assert_bits(f(), f(), "the second call")


def test_two_draws_are_independent_and_one_used_twice_is_the_same(backend: Backend) -> None:
    stream = Stream(7)
    x, y = stream.uniform(size=9), stream.uniform(size=9)
    a, b, twice, zero = function([], [x, y, x + x, x - x], backend=backend)()
    _differ([a, b], "two draws")
    assert_bits(twice, a + a, "x + x")
    assert_bits(zero, np.zeros(9, a.dtype), "x - x")


def test_a_seed_begins_anew(backend: Backend) -> None:
    stream = Stream(7)
    f = function([], stream.uniform(size=9), backend=backend)
    first = [f() for _ in range(CALLS)]
    stream.seed(8)
    second = [f() for _ in range(CALLS)]
    stream.seed(7)
    for n, want in enumerate(first):
        assert_bits(f(), want, f"call {n} after the first seed was set again")
    _differ(first + second, "another seed")


@pytest.mark.parametrize("home", ["numpy", "backend"])
def test_functions_of_the_backend_and_of_the_interpreter_share_one_stream(backend: Backend, home: str) -> None:
    source, alone = _From(backend if home == "backend" else "numpy"), _From("numpy")
    x = source.uniform(size=9)
    fs = [function([], x, backend=b) for b in (backend, "numpy")]
    g = function([], alone.uniform(size=9), backend="numpy")
    for n in range(6):
        assert_bits(fs[n % 2](), g(), f"call {n}, of {'the backend' if n % 2 == 0 else 'the interpreter'}")


# loops


@pytest.mark.refgraph_feature("scan")
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("draw", ["uniform", "normal", "integers"])
def test_every_step_of_a_loop_draws_fresh_numbers(backend: Backend, draw: str, mode: str) -> None:
    stream = Stream(7)
    drawn = {
        "uniform": lambda: stream.uniform(size=9),
        "normal": lambda: stream.normal(size=9),
        "integers": lambda: stream.integers(1000, size=9),
    }[draw]
    x, updates = scan(drawn, n_steps=4)
    f = function([], x, updates=updates, backend=backend, mode=mode)
    rows: list[Any] = []
    for n in range(CALLS):
        given = meaning([x], {})
        got = f()
        agree(backend, [got], [x], given, f"call {n}")
        rows += list(got)
    _differ(rows, "steps")


@pytest.mark.refgraph_feature("scan")
def test_a_walk_through_a_loop_goes_on_in_the_next_call(backend: Backend) -> None:
    at = shared(np.zeros(3), "at", backend=backend)
    stream = Stream(7)
    path, updates = scan(lambda h: h + stream.normal(size=3, dtype="float64"), outputs_info=at, n_steps=5)
    f = function([], path, updates=[*updates.items(), (at, path[-1])], backend=backend)
    for n in range(CALLS):
        given = meaning([path], {})
        agree(backend, [f()], [path], given, f"call {n}")


def test_the_gradient_goes_through_a_draw(backend: Backend) -> None:
    x, stream = T.dvector("x"), Stream(7)
    cost = T.sqr(stream.normal(x, T.exp(x))).sum()
    outputs = [cost, T.grad(cost, x)]
    f, a = function([x], outputs, backend=backend), np.array([0.5, -1.0, 2.0])
    for n in range(CALLS):
        given = meaning(outputs, {x: a})
        agree(backend, f(a), outputs, given, f"call {n}")
