"""In and Out: the ways to say an input and an output."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError, InputError

x = T.dscalar("x")


def test_in_takes_its_name_from_the_variable():
    assert rg.In(x).name == "x"
    assert rg.In(x, name="y").name == "y"
    assert rg.In(x, autoname=False).name is None


def test_ways_to_say_an_input():
    for given in (x, rg.In(x)):
        assert rg.In.of(given).variable is x
    assert rg.In.of((x, 2)).container.data == 2
    assert rg.In.of((x, x + 1)).update is not None
    both = rg.In.of(((x, x + 1), 2))
    assert (both.container.data, both.update is None) == (2, False)
    with pytest.raises(GraphTypeError, match="an input may be"):
        rg.In.of((x, 1, 2))


def test_a_default_must_be_of_the_type():
    with pytest.raises(InputError):
        rg.In(x, value=[1.0, 2.0])


def test_a_shared_default_is_implicit():
    w = rg.shared(1.0)
    assert rg.In(x, value=w).implicit
    assert rg.In(x, value=w.container).container is w.container
    assert not rg.In(x, value=1.0).implicit
    assert not rg.In(x, value=w, implicit=False).implicit


def test_out():
    out = rg.Out.of(np.ones(2))
    assert (out.variable.ndim, out.borrow) == (1, False)
    assert rg.Out.of(out) is out
    assert repr(rg.Out(x)) == "Out(x)"
    with pytest.raises(GraphTypeError, match="an output must be a variable, a number or an array, got None"):
        rg.function([], [None])
    assert repr(rg.In(x)) == "In(x)"
