"""Pickles and copies of functions on a backend: they run there, answer the same, and share what they shared."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.interp.backends import Backend
from refgraph.interp.function import Function, function
from refgraph.interp.inputs import In
from refgraph.interp.loops import scan
from refgraph.interp.shared import shared
from refgraph.interp.streams import Stream
from refgraph.testing.compare import assert_bits
from refgraph.testing.suite.programs import agree, meaning

pytestmark = [pytest.mark.refgraph_level(4), pytest.mark.refgraph_feature("pickle")]


def _again(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


_WAYS: dict[str, Callable[[Any], Any]] = {"pickle": _again, "deepcopy": copy.deepcopy}

ways = pytest.mark.parametrize("way", _WAYS)
homes = pytest.mark.parametrize("home", ["numpy", "backend"])


def _where(f: Function) -> list[tuple[str, str]]:
    """What runs where."""
    return [(str(row.node.op), row.where) for row in f.report().rows]


_BUILDS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: T.tanh(x * 2 + 1) * x,
    "reduction": lambda x: (x * x).sum(axis=0),
    "product": lambda x: T.dot(x, x.T),
    "views": lambda x: x.T[::-1] + 1,
    "written": lambda x: T.set_subtensor(x[0], 1.0),
    "loop": lambda x: scan(lambda row, h: T.tanh(row + h), x, x[0])[0],
    "gradient": lambda x: T.grad(T.log(1 + T.exp(x)).sum(), x),
    "constant": lambda x: x + T.constant(np.arange(3.0)),
    "draw": lambda x: x + Stream(7).uniform(size=3, dtype="float64"),
}


@ways
@pytest.mark.parametrize("build", _BUILDS)
def test_a_function_runs_on_the_backend_again(backend: Backend, build: str, way: str) -> None:
    x, a = T.dmatrix("x"), np.random.default_rng(7).uniform(-1, 1, (4, 3))
    out = _BUILDS[build](x)
    f = function([x], out, backend=backend)
    g = _WAYS[way](f)
    assert g.report().backend == backend.name, f"the {way} runs on {g.report().backend}, not on {backend.name}"
    assert _where(g) == _where(f), f"the {way} runs\n{g.report()}\nand the first\n{f.report()}"
    given = meaning([out], {x: a})
    for h in (f, g):
        agree(backend, [h(a)], [out], given, "the first" if h is f else f"the {way}")


@ways
def test_outputs_keep_their_form(backend: Backend, way: str) -> None:
    x, a = T.dvector("x"), np.arange(3.0)
    through = _WAYS[way]
    assert np.array_equal(through(function([x], x + 1, backend=backend))(a), a + 1), "one output"
    first, second = through(function([x], [x + 1, x], backend=backend))(a)
    assert np.array_equal(first, a + 1), f"the first of two outputs is {first!r}"
    assert np.array_equal(second, a), f"the second of two outputs is {second!r}"
    named = through(function([x], {"a": x + 1, "b": x * 2}, backend=backend))(a)
    assert sorted(named) == ["a", "b"], f"a dict of outputs has keys {sorted(named)}"
    assert np.array_equal(named["b"], a * 2), f"the output b is {named['b']!r}"


@pytest.mark.refgraph_feature("updates")
@ways
@homes
def test_functions_share_their_states_in_one_pickle(backend: Backend, home: str, way: str) -> None:
    x, keeper = T.dvector("x"), backend if home == "backend" else "numpy"
    w = shared(np.zeros(3), "w", backend=keeper)
    train = function([x], w.sum(), updates={w: w * 2 + x}, backend=backend)
    read = function([], w * 1, backend=backend)
    a = np.array([1.0, 2.0, 3.0])
    train(a)
    again, look, v = _WAYS[way]((train, read, w))
    assert v.container.backend is w.container.backend, f"the state is kept by {v.container.backend}"
    assert again(a) == 6, "the state is not as it was when the function was pickled"
    for got, want, whose in (
        (look(), a * 3, "the function"),
        (v.get_value(), a * 3, "the variable"),
        (read(), a, "the first"),
    ):
        assert np.array_equal(got, want), f"the state of {whose} is {got!r}, want {want!r}"


@pytest.mark.refgraph_feature("updates")
@ways
def test_defaults_go_on_where_they_were(backend: Backend, way: str) -> None:
    x, s = T.dscalar("x"), T.dscalar("s")
    f = function([x, In(s, value=3.0, update=s * 2)], x + s, backend=backend)
    f(0)
    g = _WAYS[way](f)
    assert g(1) == 7, "the default is not as it was"
    assert (g["s"], f["s"]) == (12, 6), f"the defaults are {g['s']} and {f['s']}"


@pytest.mark.refgraph_feature("random")
@ways
def test_streams_go_on_where_they_were(backend: Backend, way: str) -> None:
    f = function([], Stream(7).uniform(size=5), backend=backend)
    f()
    g = _WAYS[way](f)
    for n in range(3):
        assert_bits(g(), f(), f"call {n}")


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "DebugMode"])
def test_modes_survive(backend: Backend, mode: str) -> None:
    x, a = T.dvector("x"), np.arange(3.0)
    out = T.exp(x) * 2 + 1
    g = _again(function([x], out, mode=mode, backend=backend))
    assert g.report().backend == backend.name, f"it runs on {g.report().backend}"
    agree(backend, [g(a)], [out], {x: a})


def test_strict_survives(backend: Backend) -> None:
    x = T.dvector("x")
    f = function([x], x, backend=backend, strict=True)  # which every backend can: nothing runs
    g = _again(f)
    assert g.maker.strict, "the pickle is not strict any more"
    assert np.array_equal(g(np.arange(3.0)), np.arange(3.0)), "the pickle answers something else"


def test_a_pickle_of_a_pickle(backend: Backend) -> None:
    x, a = T.dvector("x"), np.arange(3.0)
    w = shared(np.ones(3), "w", backend=backend)
    out = T.exp(x) + w
    f = _again(_again(function([x], out, backend=backend)))
    agree(backend, [f(a)], [out], meaning([out], {x: a}))
    assert f.report().backend == backend.name, f"it runs on {f.report().backend}"


def test_the_backend_is_pickled_by_its_name(backend: Backend) -> None:
    assert _again(backend) is backend, "another backend came out of the pickle"
    assert copy.deepcopy(backend) is backend, "a backend was copied"
