"""What is the same in loops: equal states, states that stand still, sequences of one value, loops side by side."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph import function, grad, scan
from refgraph.core.errors import BoundsError, DomainError
from refgraph.core.graph import leaves
from refgraph.gradient import Rop
from refgraph.scan_module import until

from .loops import checked, in_steps, loops, rewritten

RNG = np.random.default_rng(0)
x, y, h0, w, n = T.dmatrix("x"), T.dmatrix("y"), T.dvector("h0"), T.dmatrix("w"), T.lscalar("n")
GIVEN = {
    x: RNG.normal(size=(5, 3)),
    y: RNG.normal(size=(5, 3)),
    h0: RNG.normal(size=3),
    w: RNG.normal(size=(3, 3)) / 2,
    n: np.array(4),
}


def after(*outputs, steps=4, rtol=1e-12):
    """The graph, with the same values."""
    found = leaves(outputs)
    given = {k: a for k, a in GIVEN.items() if k in found}
    return checked(outputs, {**given, n: np.array(steps)} if n in found else given, rtol)


# Sequences and states


REPEATED = {
    "zeros like": T.zeros_like(x),
    "ones": T.ones((5, 3)),
    "filled": T.fill(x, h0),
    "alloc": T.alloc(h0, n, 3),
    "broadcast": T.broadcast_to(h0[None], (n, 3)),
}


@pytest.mark.parametrize("sequence", REPEATED)
def test_a_sequence_of_one_value_is_given_whole(sequence):
    h, _ = scan(lambda a, h: T.tanh(h * 0.5 + a), REPEATED[sequence], h0)
    (node,) = loops(after(h))
    assert node.op.n_sequences == 0


def test_a_sequence_of_several_values_stays():
    rows, _ = scan(lambda a, h: T.tanh(h * 0.5 + a), T.fill(y, x), h0)
    assert loops(after(rows))[0].op.n_sequences == 1
    column, _ = scan(lambda a, h: T.tanh(h * 0.5 + a), T.broadcast_to(h0[:, None], (3, 3)), h0)
    assert loops(after(column))[0].op.n_sequences == 1


@pytest.mark.parametrize("read", [lambda k: k, lambda k: k[-1], lambda k: k[-2:]], ids=["all", "last", "two"])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_state_that_stands_still_is_given_whole(read, steps):
    (h, k), _ = scan(lambda h, k: [T.tanh(h * k), k], None, [h0, h0 * 2], n_steps=n)
    if steps == 0 and read(k).ndim == 1:
        f = function([h0, n], read(k))
        with pytest.raises(BoundsError):
            f(GIVEN[h0], 0)
        return
    graph = after(h, read(k), steps=steps)
    (node,) = loops(graph)
    assert len(node.op.taps) == 1


def test_a_state_that_stands_still_ends_where_a_condition_ends_the_loop():
    def step(h, k):
        return [h * 2, k], until(h[0] > 3)

    (h, k), _ = scan(step, None, [T.ones(3), h0], n_steps=9)
    (node,) = loops(after(h, k))
    assert len(node.op.taps) == 1


def test_a_loop_in_which_all_stands_still_is_none():
    k, _ = scan(lambda k: k, None, [h0], n_steps=n)
    assert not loops(after(k))


def test_a_state_that_is_read_farther_back_does_not_stand_still():
    k, _ = scan(lambda a, b: b, None, [dict(initial=T.stack([h0, h0 * 2]), taps=[-1, -2])], n_steps=n)
    assert len(loops(after(k))) == 1
    k, _ = scan(lambda a, b: a, None, [dict(initial=T.stack([h0, h0 * 2]), taps=[-1, -2])], n_steps=n)
    assert len(loops(after(k))) == 1


@pytest.mark.parametrize("read", [lambda k: k, lambda k: k[-1], lambda k: k[-3:]], ids=["all", "last", "three"])
def test_a_state_that_no_step_reads_is_a_record(read):
    (h, k), _ = scan(lambda a, h, k: [T.tanh(h + a), T.exp(a)], x, [h0, h0])
    (node,) = loops(after(h, read(k)))
    assert len(node.op.taps) == 1
    assert in_steps(after(h, read(k)))["exp"] == 0
    deep, _ = scan(lambda a, h, k: [T.tanh(h + a), h * a], x, [h0, dict(initial=T.stack([h0, h0]), taps=[-2])])
    after(*[read(k) for k in deep])


def test_equal_states_are_one():
    def step(a, h, g, f):
        return [T.tanh(h + a), T.tanh(g + a), T.tanh(f * g + a)]

    (h, g, f), _ = scan(step, x, [h0, h0, h0])
    graph = after(h[-1], g, f[-1])
    (node,) = loops(graph)
    assert len(node.op.taps) == 2
    assert in_steps(graph)["tanh"] == 2


def test_states_that_exchange_what_is_equal_are_one():
    (h, g), _ = scan(lambda a, h, g: [T.tanh(g + a), T.tanh(h + a)], x, [h0, h0])
    (node,) = loops(after(h, g))
    assert len(node.op.taps) == 1


def test_states_that_begin_with_others_or_go_other_ways_stay():
    (h, g), _ = scan(lambda a, h, g: [T.tanh(h + a), T.tanh(g + a)], x, [h0, h0 * 2])
    assert len(loops(after(h, g))[0].op.taps) == 2
    (h, g), _ = scan(lambda a, h, g: [T.tanh(h + a), T.tanh(g * a)], x, [h0, h0])
    assert len(loops(after(h, g))[0].op.taps) == 2
    (h, g, k), _ = scan(lambda h, g, k: [T.tanh(g), T.tanh(k), T.sin(h)], None, [h0, h0, h0], n_steps=n)
    assert len(loops(after(h, g, k))[0].op.taps) == 3


# Loops


def there_and_back():
    there, _ = scan(lambda a, h: T.tanh(h + a), x, h0, n_steps=n, name="there")
    back, _ = scan(lambda a, g: [T.sin(g * a), g + 1], y, [h0 * 2, None], n_steps=n, name="back", go_backwards=True)
    return there, back


def test_loops_of_equally_many_steps_are_one():
    there, back = there_and_back()
    graph = after(there, *back)
    (node,) = loops(graph)
    assert node.op.name == "there and back"
    assert len(node.op.taps) == 2
    assert node.op.n_sequences == 2


def test_the_same_loop_twice_is_once():
    def loss():
        h, _ = scan(lambda a, h: T.tanh(T.dot(h, w) + a), x, h0)
        return (h**2).sum()

    slope, same = grad(loss(), w), grad(loss(), w)
    graph = after(slope, same, rtol=1e-10)
    assert len(loops(graph)) == 2
    assert [len(node.op.taps) for node in loops(graph)] == [1, 1]


def test_a_loop_and_its_tangent_are_one_loop():
    h, _ = scan(lambda a, h: T.tanh(T.dot(h, w) + a), x, h0)
    moved = Rop(h, h0, T.ones_like(h0))
    (node,) = loops(after(h, moved, rtol=1e-10))
    assert len(node.op.taps) == 2


def test_loops_that_need_one_another_stay_apart():
    first, _ = scan(lambda a, h: T.tanh(h + a), x, h0)
    second, _ = scan(lambda a, h: T.tanh(h * a), first, h0)
    assert len(loops(after(second))) == 2
    between = T.exp(first.sum(axis=0))
    third, _ = scan(lambda a, h: T.tanh(h * a), x, between)
    assert len(loops(after(third))) == 2


def test_merging_makes_no_circle():
    """a is before c, and d before b: the pairs (a, b) and (c, d) cannot both be one loop."""

    def loop(start, scale):
        return scan(lambda h: T.tanh(h * scale), None, start, n_steps=n)[0][-1]

    a, d = loop(h0, 0.1), loop(h0, 0.2)
    c, b = loop(a + 1, 0.3), loop(d + 1, 0.4)
    assert len(loops(after(a, b, c, d))) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (dict(n_steps=n), dict(n_steps=n + 1)),
        (dict(n_steps=4), dict(n_steps=3)),
        (dict(n_steps=n), dict(n_steps=n, mode="FAST_COMPILE")),
    ],
    ids=["other variables", "other numbers", "other modes"],
)
def test_loops_of_other_kinds_stay_apart(one, other):
    h, _ = scan(lambda h: T.tanh(h), None, h0, **one)
    g, _ = scan(lambda g: T.sin(g), None, h0, **other)
    assert len(loops(after(h, g))) == 2


def test_loops_that_end_by_a_condition_stay_apart():
    h, _ = scan(lambda h: (h * 2, until(h[0] > 9)), None, T.ones(3), n_steps=n)
    g, _ = scan(lambda g: T.sin(g), None, h0, n_steps=n)
    assert len(loops(after(h, g, steps=9))) == 2


def test_errors_in_a_merged_loop_name_the_step():
    h, _ = scan(lambda k: k + 1 + h0[k].astype("int64"), None, np.int64(1), n_steps=n)
    g, _ = scan(lambda k: k + 2 + h0[k].astype("int64"), None, np.int64(2), n_steps=n)
    f = function([h0, n], [h, g])
    assert len(loops(rewritten([h, g]))) == 1
    with pytest.raises(BoundsError) as caught:
        f(np.zeros(4), 5)
    assert caught.value.loops == ("step 1 of 5 (the first is step 0) of scan",)
    with pytest.raises(DomainError):
        f(np.zeros(4), -1)
