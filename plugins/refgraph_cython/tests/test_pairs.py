"""Pairs of cheap steps in one instruction: which are made, and that they change no bit."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import TensorType
from refgraph_cython import backend
from refgraph_cython.lower import pairs

RNG = np.random.default_rng(0)


class Joining:
    """Stands in for `pairs.joined`: counts the steps before and after, and may leave them as they are."""

    def __init__(self):
        self.really, self.is_on, self.counts = pairs.joined, True, []

    def __call__(self, steps, axes, kept):
        made = self.really(steps, axes, kept)
        self.counts.append((len(steps), len(made[0])))
        return made if self.is_on else (list(steps), {i: i for i in range(len(axes) + len(steps))})


@pytest.fixture
def joining(monkeypatch):
    stand_in = Joining()
    monkeypatch.setattr(pairs, "joined", stand_in)
    return stand_in


def types(*values, dtype="float32"):
    return [TensorType(dtype, tuple([n if n == 1 else None for n in v.shape])).variable() for v in values]


def count(joining, formula, *values, dtype="float32"):
    """How many steps a formula is, before and after. The bits of its values are the same."""
    made, values = [], [np.asarray(v, dtype) for v in values]
    for joining.is_on in (False, True):
        joining.counts = []
        inputs = types(*values, dtype=dtype)
        outputs = formula(*inputs)
        f = rg.function(inputs, outputs if isinstance(outputs, list) else [outputs], backend=backend, strict=True)
        made.append(f(*values))
    for x, y in zip(*made, strict=True):
        np.testing.assert_array_equal(x, y)
    return tuple([sum(n) for n in zip(*joining.counts, strict=True)])


def drawn(*shape):
    return RNG.normal(size=shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3000,), (30, 70)], ids=str)
def test_pairs_change_no_bit(joining, shape, dtype):
    def formula(x, y, w):
        t = T.tanh(2 * x + y)
        return [t * T.exp(-(x**2)), (1 - t**2) * w - x, x * y * w * t, -(x - y), (w - x * y).max()]

    before, after = count(joining, formula, drawn(*shape), drawn(*shape), drawn(*shape), dtype=dtype)
    assert after < before


def test_of_a_chain_each_second_step_is_left(joining):
    assert count(joining, lambda x, y: x * y - T.exp(x * y + x) * y, drawn(9), drawn(9)) == (5, 4)
    assert count(joining, lambda x, y: T.exp(x) * y * x * y * x, drawn(9), drawn(9)) == (5, 3)


def test_what_is_stored_reduced_or_read_twice_stays(joining):
    x, y = drawn(40), drawn(40)
    assert count(joining, lambda x, y: [x * y, x * y - x], x, y) == (2, 2)
    assert count(joining, lambda x, y: [(x * y).max(), x * y - x], x, y) == (2, 2)
    assert count(joining, lambda x, y: T.exp(T.exp(x) + y) * (T.exp(x) + y), x, y) == (4, 4)


def test_what_is_one_number_for_many_is_computed_once(joining):
    x, row, column, number = drawn(40, 30), drawn(1, 30), drawn(40, 1), drawn()
    for few in (row, column, number):
        assert count(joining, lambda x, few: x - few * few, x, few) == (2, 2)
        assert count(joining, lambda x, few: (x + few) * few, x, few) == (2, 1)


def test_integers_wrap_in_steps_of_their_own(joining):
    assert count(joining, lambda x, y: x * y - x, np.arange(9), np.arange(9), dtype="int32") == (2, 2)
