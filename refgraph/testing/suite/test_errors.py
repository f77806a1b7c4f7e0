"""Errors on a backend: those of the interpreter, about the user's line, and nothing is changed by them."""

from __future__ import annotations

import linecache
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.errors import RefgraphError
from refgraph.interp.backends import Backend
from refgraph.interp.function import Function, function
from refgraph.interp.shared import shared
from refgraph.testing.suite import mistakes
from refgraph.testing.suite.programs import agree

pytestmark = [pytest.mark.refgraph_level(4), pytest.mark.refgraph_feature("errors")]

_FILE = "mistakes.py"
_MOST_LINES = 12


def _programs() -> dict[str, FunctionType]:
    """The functions of `mistakes`, compiled as a file of the user's, for errors tell of no line in the library."""
    lines = linecache.getlines(mistakes.__file__)
    assert lines, "the source of refgraph.testing.suite.mistakes is not there"
    linecache.cache[_FILE] = (sum(map(len, lines)), None, lines, _FILE)  # each time: others may clear it
    return _compiled("".join(lines))


@cache
def _compiled(source: str) -> dict[str, FunctionType]:
    made: dict[str, Any] = {"__name__": "mistakes"}
    exec(compile(source, _FILE, "exec", dont_inherit=True), made)
    return {name: made[name] for name in _NAMES}


_NAMES = [n for n, f in vars(mistakes).items() if isinstance(f, FunctionType) and f.__module__ == mistakes.__name__]

over_mistakes = pytest.mark.parametrize("mistake", _NAMES)
modes = pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])


def _marked(name: str) -> tuple[int, str]:
    """Number and text of the line of a program that is marked."""
    start = _programs()[name].__code__.co_firstlineno
    lines = linecache.getlines(_FILE)
    number = next(n for n in range(start, len(lines) + 1) if lines[n - 1].endswith("# !\n"))
    return number, lines[number - 1].rstrip()


def _error(f: Function, arrays: Any, what: str) -> RefgraphError:
    """The error of a call."""
    try:
        got = f(*arrays)
    except RefgraphError as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"{what} raised {type(error).__name__}, which is no error of refgraph's: {error}"
        ) from error
    raise AssertionError(f"{what} raised no error, it answered {got!r:.200}")


def _both(name: str, backend: Backend, mode: str) -> tuple[RefgraphError, RefgraphError, Function]:
    """The error of a mistake on the backend, that on the interpreter, and the function on the backend."""
    inputs, out, _, bad = _programs()[name]()
    made = [function(inputs, out, mode=mode, backend=b) for b in (backend, "numpy")]
    got, want = [_error(f, bad, f"the call on {b}") for f, b in zip(made, (backend.name, "numpy"), strict=True)]
    return got, want, made[0]


# what an error says


@modes
@over_mistakes
def test_a_mistake_raises_what_it_raises_on_the_interpreter(backend: Backend, mistake: str, mode: str) -> None:
    got, want, _ = _both(mistake, backend, mode)
    assert type(got) is type(want), f"got {type(got).__name__}, the interpreter raises {type(want).__name__}:\n{got}"
    first, wanted = str(got).splitlines()[0], str(want).splitlines()[0]
    assert first == wanted, f"got {first!r}, the interpreter says {wanted!r}"


@modes
@over_mistakes
def test_an_error_names_the_users_line_in_few_lines(backend: Backend, mistake: str, mode: str) -> None:
    got, _, _ = _both(mistake, backend, mode)
    text = str(got).splitlines()
    number, line = _marked(mistake)
    assert f"{_FILE}:{number}, in {mistake}" in text[1], f"want line {number} of {_FILE}, got\n{got}"
    assert f"{number} | {line}" in text, f"want the line {line!r}, got\n{got}"
    assert len(text) <= _MOST_LINES, f"{len(text)} lines, want {_MOST_LINES} at most:\n{got}"


@modes
@over_mistakes
def test_an_error_names_the_backend_where_that_ran_the_op(backend: Backend, mistake: str, mode: str) -> None:
    got, _, f = _both(mistake, backend, mode)
    report = f.report()
    where = {row.where for row in report.rows if not row.is_transfer}
    said = f"; backend {backend.name}" in str(got).splitlines()[-1]
    if backend.name == "numpy" or backend.name not in where:
        assert not said, f"the interpreter ran all of it, and the error names the backend:\n{got}\n{report}"
    elif where == {backend.name}:
        assert said, f"the backend ran all of it, and the error does not name it:\n{got}\n{report}"


# what is left behind


@modes
@over_mistakes
def test_a_function_works_again_after_an_error(backend: Backend, mistake: str, mode: str) -> None:
    inputs, out, good, bad = _programs()[mistake]()
    f = function(inputs, out, mode=mode, backend=backend, no_default_updates=True)
    before = np.array(f(*good))
    for _ in range(2):
        _error(f, bad, "the call")
        again = f(*good)
        assert np.array_equal(again, before), f"got {again!r} after an error, and {before!r} before it"


def test_arguments_are_as_they_were_after_an_error(backend: Backend) -> None:
    for name in _NAMES:
        inputs, out, _, bad = _programs()[name]()
        arrays = [np.array(a) for a in bad]
        _error(function(inputs, out, backend=backend), arrays, name)
        for n, (a, b) in enumerate(zip(arrays, bad, strict=True)):
            assert np.array_equal(a, b), f"{name}: argument {n} became {a!r}, it was {b!r}"


@pytest.mark.parametrize("home", ["numpy", "backend"])
def test_states_are_as_they_were_after_an_error(backend: Backend, home: str) -> None:
    x, keeper = T.dvector("x"), backend if home == "backend" else "numpy"
    w, k = shared(np.arange(3.0), "w", backend=keeper), shared(np.int64(0), "k", backend=keeper)
    f = function([x], T.exp(w) * x, updates=[(k, k + 1), (w, w * x + 1)], backend=backend)
    for n in range(3):
        _error(f, [np.ones(2)], "the call")
        assert k.get_value() == n, f"{k.get_value()} calls are counted, {n} succeeded"
        before = w.get_value()
        f(np.ones(3))
        assert np.array_equal(w.get_value(), before + 1), f"w is {w.get_value()!r}, it was {before!r} before adding 1"


def test_an_error_in_a_thread_is_that_threads_alone(backend: Backend) -> None:
    from concurrent.futures import ThreadPoolExecutor

    x, y = T.dvectors("x", "y")
    f = function([x, y], T.tanh(x + y) * 2, backend=backend)
    out, a = T.tanh(x + y) * 2, np.linspace(-1, 1, 3)

    def call(n: int) -> Any:
        return f(a, np.full(3, n / 10)) if n % 2 else _error(f, [a, np.ones(2)], "the call")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(call, range(40)))
    for n, got in enumerate(found):
        if n % 2:
            agree(backend, [got], [out], {x: a, y: np.full(3, n / 10)}, f"call {n}")
        else:
            assert "cannot broadcast" in str(got), f"call {n} raised\n{got}"


# arguments


_REFUSED: dict[str, Any] = {
    "dtype": np.ones(3),
    "rank": np.ones((2, 2), "float32"),
    "complex": np.ones(3, "complex64"),
    "text": "abc",
    "nothing": None,
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_arguments_are_refused_as_on_the_interpreter(backend: Backend, kind: str) -> None:
    x = T.fvector("x")
    fs = [function([x], x * 2, backend=b) for b in (backend, "numpy")]
    got, want = [_error(f, [_REFUSED[kind]], "the call") for f in fs]
    assert type(got) is type(want), f"got {type(got).__name__}, the interpreter raises {type(want).__name__}"
    assert got.message == want.message, f"got {got.message!r}, the interpreter says {want.message!r}"


def test_missing_and_unknown_arguments_are_refused(backend: Backend) -> None:
    x, y = T.fvectors("x", "y")
    fs = [function([x, y], x * y, backend=b) for b in (backend, "numpy")]
    a = np.ones(3, "float32")
    wrong: list[tuple[list[Any], dict[str, Any]]] = [([a], {}), ([a, a, a], {}), ([a], {"z": a}), ([a, a], {"x": a})]
    for args, names in wrong:
        messages = []
        for f in fs:
            with pytest.raises(RefgraphError) as caught:
                f(*args, **names)
            messages.append(caught.value.message)
        assert messages[0] == messages[1], f"got {messages[0]!r}, the interpreter says {messages[1]!r}"
