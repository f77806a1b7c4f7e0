"""Chains of 100,000 applications: all works under Python's usual recursion limit, with work linear in the nodes."""

import sys

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.core.graph import Graph, ancestors, leaves, rebuild, toposort
from refgraph.core.show import debugprint, html, min_informative_str, pp
from refgraph.interp.evaluate import evaluate

DEEP, SMALL, LARGE = 100_000, 300, 3_000


def chain(n):
    """x and n additions on top of it, every one of them 0."""
    x = y = T.dscalar("x")
    for _ in range(n):
        y = y + 0.0
    return x, y


@pytest.fixture(scope="module")
def deep():
    return chain(DEEP)


USES = {
    "toposort": lambda x, y: toposort([y]),
    "ancestors": lambda x, y: ancestors([y]),
    "leaves": lambda x, y: leaves([y]),
    "rebuild": lambda x, y: rebuild([y], {x: T.dscalar("z")}),
    "Graph": lambda x, y: Graph([x], [y]),
    "clients": lambda x, y: Graph([x], [y]).clients,
    "clone": lambda x, y: Graph([x], [y]).clone(),
    "grad": lambda x, y: refgraph.grad(y, x),
    "debugprint": lambda x, y: debugprint(y, file="str"),
    "min_informative_str": lambda x, y: min_informative_str(y),
    "evaluate": lambda x, y: evaluate([y], {x: np.float64(3.0)}),
    "function": lambda x, y: refgraph.function([x], y)(3.0),
    "gradient function": lambda x, y: refgraph.function([x], refgraph.grad(y, x))(3.0),
}


def test_building_is_done(deep):
    assert len(toposort([deep[1]])) == DEEP


def test_clones_are_as_long(deep):
    x, y = deep

    assert len(Graph([x], [y]).clone().nodes) == DEEP


def test_formulas_are_cut(deep):
    _, y = deep

    assert len(pp(y)) < 20_000
    assert len(html(y)) < 60_000
    assert str(y) == "add.0"
    assert len(repr(y.owner)) < 100


def test_trees_have_a_line_for_each_reader_and_short_lines(deep):
    _, y = deep
    lines = debugprint(y, file="str").splitlines()

    assert len(lines) == 2 * DEEP + 1
    assert max(map(len, lines)) < 120
    assert max(map(len, min_informative_str(y).splitlines())) < 120


def test_values_and_gradients(deep):
    x, y = deep

    assert evaluate([y], {x: np.float64(3.0)}) == [3.0]
    assert refgraph.function([x], [y, refgraph.grad(y, x)])(3.0) == [3.0, 1.0]


def test_errors_at_the_end_of_a_chain(deep):
    _, y = deep

    with pytest.raises(refgraph.RefgraphError) as error:
        Graph([], [y])
    assert len(str(error.value).splitlines()) <= 12


def calls(use, n):
    """How many functions are called, Python's and C's, when a chain of n is used."""
    x, y = chain(n)
    count = 0

    def see(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        use(x, y)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_work_is_linear(use):
    calls(use, SMALL)  # what happens once, happens here
    few, many = calls(use, SMALL), calls(use, LARGE)

    assert many <= few * (LARGE / SMALL) * 1.3  # ids have more letters; a square would be 10 times that


@pytest.mark.parametrize("text", [lambda y: debugprint(y, file="str"), min_informative_str, pp])
def test_text_is_linear(text):
    few, many = (len(text(chain(n)[1])) for n in (SMALL, LARGE))

    assert many <= few * (LARGE / SMALL) * 1.3
