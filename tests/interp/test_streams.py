"""Streams in functions: fresh numbers in every call, the same ones from the same seed, wherever the functions go."""

import copy
import inspect
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph import function, grad, shared
from refgraph.core.errors import GraphTypeError
from refgraph.random import Stream, next_call

FIRST = [919, 433, 413, 4]
SECOND = [946, 612, 45, 301]
CHILD = [170, 506, 43, 109]

DRAWS = {
    "uniform": (),
    "normal": (),
    "lognormal": (),
    "truncated_normal": (),
    "exponential": (),
    "laplace": (),
    "gumbel": (),
    "logistic": (),
    "cauchy": (),
    "weibull": (2.0,),
    "gamma": (2.0,),
    "beta": (2.0, 3.0),
    "integers": (1000,),
    "bernoulli": (),
    "binomial": (1000,),
    "poisson": (1000.0,),
    "multinomial": (1000,),
    "categorical": (np.full(1000, 1e-3),),
    "choice": (1000,),
    "permutation": (1000,),
}


def rows(f, n=3):
    """What n calls answer."""
    return np.array([f() for _ in range(n)])


def draws_of(stream):
    """One draw of each kind."""
    return [getattr(stream, name)(*args, size=8) for name, args in DRAWS.items()]


def test_every_draw_is_renewed_and_reproduced():
    first, second = Stream(1), Stream(1)
    f, g = function([], draws_of(first)), function([], draws_of(second))
    one, two, other = f(), f(), g()

    for name, a, b, c in zip(DRAWS, one, two, other, strict=True):
        if name != "bernoulli":  # 8 bits may be equal
            assert (a != b).any(), name
        np.testing.assert_array_equal(a, c, err_msg=name)
    first.seed()
    for a, b in zip(f(), one, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sites_and_seeds_and_children_differ():
    stream = Stream(1)
    children = stream.spawn(2)
    streams = [stream, stream, Stream(2), Stream([1, 0]), Stream(2**64 + 1), *children, *children[0].spawn(1)]
    found = np.array([s.uniform(size=2000, dtype="float64").eval() for s in streams])

    assert np.abs(np.corrcoef(found) - np.eye(len(found))).max() < 0.1


def test_a_seed_gives_the_same_numbers_in_another_process():
    program = "import refgraph; print(refgraph.random.Stream([3, 4]).integers(10**9, size=4).eval().tolist())"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert out.stdout.strip() == str(Stream([3, 4]).integers(10**9, size=4).eval().tolist())


def test_pinned_numbers():
    """Keys are mixed in one way for ever."""
    stream = Stream(42)
    assert stream.integers(1000, size=4).eval().tolist() == FIRST
    assert stream.integers(1000, size=4).eval().tolist() == SECOND
    assert stream.spawn(1)[0].integers(1000, size=4).eval().tolist() == CHILD


def test_without_a_seed_the_entropy_tells_it():
    stream, other = Stream(), Stream()
    again = Stream(stream.entropy)

    assert stream.entropy != other.entropy
    np.testing.assert_array_equal(stream.normal(size=3).eval(), again.normal(size=3).eval())


SEEDS = [0, 1, 2**64, 2**64 + 1, 2**128, [0, 0], [0, 1], [1, 0], [1, 1], [0, 2**64], [2**64, 0], [0, 0, 1], [0, 1, 0]]


def test_different_seeds_never_mix_the_same_words(monkeypatch):
    mixed = []
    monkeypatch.setattr("refgraph.interp.streams.mixed_key", lambda words: mixed.append(tuple(words)) or 0)
    for seed in SEEDS:
        stream = Stream(seed)
        for source in (stream, *stream.spawn(2), *stream.spawn(1)[0].spawn(1)):
            source.uniform(), source.uniform()

    assert len(mixed) == len(set(mixed)) == 8 * len(SEEDS)
    assert all(0 <= word < 2**64 for words in mixed for word in words)


def test_an_int_is_the_seed_of_that_one_int():
    np.testing.assert_array_equal(Stream(5).uniform(size=3).eval(), Stream([5]).uniform(size=3).eval())


@pytest.mark.parametrize("seed", [-1, 1.5, "abc", [], [1, -2], [0.5]])
def test_what_is_no_seed(seed):
    with pytest.raises(GraphTypeError, match="a seed is an int"):
        Stream(seed)
    with pytest.raises(GraphTypeError, match="a seed is an int"):
        Stream(1).seed(seed)


def test_a_new_seed_reaches_functions_that_are_made():
    stream, other = Stream(1), Stream(5)
    x, y = stream.uniform(size=3), other.uniform(size=3)
    f, g = function([], x), function([], y)
    f(), g()
    stream.seed(5)
    other.seed(5)

    np.testing.assert_array_equal(rows(f), rows(g))
    assert stream.entropy == (5,)


def test_a_new_seed_reaches_children():
    stream = Stream(1)
    (child,) = stream.spawn(1)
    f = function([], child.uniform(size=3))
    first = rows(f)
    stream.seed(2)
    second = rows(f)
    stream.seed(1)

    np.testing.assert_array_equal(rows(f), first)
    assert (first != second).all()


def test_two_functions_share_a_stream():
    stream = Stream(1)
    x = stream.uniform(size=3)
    f, g = function([], x), function([], x * 2)
    a, b, c = f(), g(), f()
    stream.seed()

    np.testing.assert_array_equal(np.array([a, b / 2, c]), rows(f))


def test_a_draw_is_one_thing_in_a_call():
    x = Stream(1).normal(size=3)
    total, twice = function([], [x + x, 2 * x])()

    np.testing.assert_array_equal(total, twice)


@pytest.mark.parametrize("how", [True, "listed"])
def test_no_default_updates_are_honoured(how):
    stream = Stream(1)
    x = stream.uniform(size=3)
    skip = True if how is True else [x.update[0]]
    f = function([], x, no_default_updates=skip)

    np.testing.assert_array_equal(f(), f())


def test_updates_may_be_passed_by_hand():
    stream = Stream(1)
    x = stream.uniform(size=3)
    f = function([], x, updates=stream.updates(), no_default_updates=True)
    a, b = rows(f, 2)
    stream.seed()

    assert (a != b).all()
    np.testing.assert_array_equal(rows(function([], x), 2), [a, b])
    assert [s for s, _ in stream.state_updates] == [x.update[0]]


def test_a_state_can_be_given():
    """So two expressions may be compared at the same numbers, or a call be repeated."""
    x = Stream(1).uniform(size=3)
    state, new = x.update
    f = function([], [x, new], givens={state: T.constant(np.array([5, 9], np.uint64))})

    np.testing.assert_array_equal(f()[0], f()[0])
    assert f()[1].tolist() == [5, 10]
    assert next_call(np.array([5, 9], np.uint64)).eval().tolist() == [5, 10]


def test_a_function_that_raises_counts_no_call():
    p = T.dscalar("p")
    x = Stream(1).bernoulli(p, size=3)
    f = function([p], x)
    with pytest.raises(ValueError, match="probability"):
        f(2.0)

    assert x.update[0].get_value()[1] == 0


def test_a_refused_draw_counts_for_nothing():
    stream, other = Stream(1), Stream(1)
    with pytest.raises(ValueError, match="std"):
        stream.normal(std=-1.0)

    np.testing.assert_array_equal(stream.normal(size=3).eval(), other.normal(size=3).eval())


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN", "DebugMode", "NanGuardMode"])
def test_modes_agree(mode):
    stream = Stream(1)
    outputs = draws_of(stream)
    plain = function([], outputs)()
    stream.seed()

    for a, b in zip(function([], outputs, mode=mode)(), plain, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_branch_that_is_taken_draws():
    stream, c = Stream(1), T.bscalar("c")
    x = stream.uniform(size=3)
    f = function([c], refgraph.ifelse.ifelse(c, x, T.zeros_like(x)))

    assert (f(1) != f(1)).all()
    assert not f(0).any()


def test_copies_share_the_state():
    stream = Stream(1)
    f = function([], stream.uniform(size=3))
    g = f.copy()
    found = [f(), g(), f(), g()]
    stream.seed()

    np.testing.assert_array_equal(found, rows(f, 4))


@pytest.mark.parametrize(
    "through", [lambda f: pickle.loads(pickle.dumps(f)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_a_pickled_function_keeps_its_place(through):
    f = function([], Stream(1).normal(size=3))
    f()
    g = through(f)

    np.testing.assert_array_equal(rows(g), rows(f))


def test_a_stream_pickles_with_its_functions():
    stream = Stream(1)
    f = function([], stream.uniform(size=3))
    first = rows(f)
    again, g = pickle.loads(pickle.dumps((stream, f)))
    g()
    again.seed()

    np.testing.assert_array_equal(rows(g), first)
    np.testing.assert_array_equal(again.uniform(size=3).eval(), stream.uniform(size=3).eval())


def test_a_loop_draws_fresh_numbers_in_each_step():
    stream = Stream(1)
    states, updates = refgraph.scan(lambda x: x + stream.normal(), outputs_info=np.float64(0), n_steps=50)
    f = function([], states, updates=updates)
    steps = np.diff(np.concatenate([[0.0], f(), f()]), axis=0)[:50]
    stream.seed()

    assert len(set(steps.tolist())) == 50
    np.testing.assert_array_equal(np.diff(np.concatenate([[0.0], f()])), steps)


def test_a_gibbs_sampler_reaches_its_distribution():
    """Two normal variables of correlation 0.8, each drawn given the other."""
    stream, rho = Stream(3), 0.8

    def step(x, y):
        x = stream.normal(rho * y, np.sqrt(1 - rho**2), dtype="float64")
        return x, stream.normal(rho * x, np.sqrt(1 - rho**2), dtype="float64")

    (xs, ys), updates = refgraph.scan(step, outputs_info=[np.float64(5), np.float64(-5)], n_steps=3000)
    f = function([], [xs, ys], updates=updates)
    f_first = np.array(f())
    assert abs(np.corrcoef(f_first[:, 100:])[0, 1] - rho) < 0.05
    assert (np.array(f()) != f_first).all()
    stream.seed()
    np.testing.assert_array_equal(f(), f_first)


def dropout_training(seed):
    """Ten steps of a linear model behind dropout: the costs, and the weights at the end."""
    stream = Stream(seed)
    data = np.random.default_rng(0)
    inputs = data.normal(size=(20, 6)).astype(refgraph.config.floatX)
    x, y = T.matrix("x"), T.vector("y")
    w = shared(np.zeros(6, refgraph.config.floatX), "w")
    keep = stream.bernoulli(0.8, size=x.shape, dtype="floatX")
    cost = ((T.dot(x * keep / 0.8, w) - y) ** 2).mean()
    train = function([x, y], cost, updates=[(w, w - T.cast(0.1, "floatX") * grad(cost, w))])
    return [float(train(inputs, inputs.sum(axis=1))) for _ in range(10)], w.get_value()


def test_dropout_is_reproduced_by_its_seed():
    (costs, weights), (again, same), (others, _) = [dropout_training(seed) for seed in (1, 1, 2)]

    assert costs == again
    np.testing.assert_array_equal(weights, same)
    assert costs != others
    assert costs[-1] < 0.5 * costs[0]


def test_dropout_differs_from_call_to_call():
    stream = Stream(1)
    x = T.dmatrix("x")
    f = function([x], x * stream.bernoulli(0.5, size=x.shape))
    ones = np.ones((10, 10))
    a, b = f(ones), f(ones)

    assert (a != b).any()
    assert 25 < a.sum() < 75


def test_gradients_use_the_numbers_of_the_cost():
    avg, std = T.dscalar("avg"), T.dscalar("std")
    x = Stream(1).normal(avg, std, size=5, dtype="float64")
    cost = (x**2).sum()
    f = function([avg, std], [x, *grad(cost, [avg, std])])
    for _ in range(2):
        numbers, by_avg, by_std = f(1.0, 2.0)
        np.testing.assert_allclose(by_avg, (2 * numbers).sum())
        np.testing.assert_allclose(by_std, (2 * numbers * (numbers - 1) / 2).sum())


def test_states_are_named_after_their_draws():
    stream = Stream(1, name="dropout")
    x, y = stream.uniform(), Stream(1).normal()

    assert str(x.update[0]) == "dropout.uniform_0"
    assert str(y.update[0]) == "normal_0"
    assert repr(stream) == "<Stream of seed 1: 1 draws>"


def test_methods_have_the_arguments_of_the_draws():
    names = list(inspect.signature(Stream(1).normal).parameters)

    assert names == ["avg", "std", "size", "dtype", "ndim"]
    assert "standard deviation" in Stream.normal.__doc__


def test_it_loads_when_it_is_wanted():
    program = (
        "import sys, refgraph; assert 'refgraph.ops.random' not in sys.modules; refgraph.random.Stream(1);"
        "assert 'refgraph.ops.distributions' in sys.modules; assert 'refgraph.ops.random_samples' not in sys.modules;"
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
