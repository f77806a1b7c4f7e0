"""What `scan` and its kin accept, answer and refuse. That loops mean what they should is in tests/ops/test_scan*.py."""

import copy
import functools
import gc
import pickle
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph import function, scan, scan_checkpoints, shared
from refgraph.core.errors import (
    BoundsError,
    DomainError,
    DTypeError,
    GraphTypeError,
    NanGuardError,
    RefgraphError,
    ShapeError,
    UpdateError,
)
from refgraph.core.types import generic
from refgraph.interp.profile import Profile
from refgraph.random import Stream
from refgraph.scan_module import until

v = np.arange(5.0)
x, n = T.dvector("x"), T.iscalar("n")


@pytest.fixture(autouse=True)
def double():
    with refgraph.config.change_flags(floatX="float64"):
        yield


def run(*args, **options):
    """The values that a loop puts out, its updates made."""
    outputs, updates = scan(*args, **options)
    return function([], outputs, updates=updates)()


def same(found, want):
    np.testing.assert_allclose(found, want, rtol=1e-12)


# sequences


@pytest.mark.parametrize(
    ("taps", "want"),
    [
        ([0], [[0], [1], [2], [3], [4]]),
        (0, [[0], [1], [2], [3], [4]]),
        (-1, [[0], [1], [2], [3]]),
        (None, [[0], [1], [2], [3], [4]]),
        ([1, -1, 0], [[2, 0, 1], [3, 1, 2], [4, 2, 3]]),
        ([-2, -1], [[0, 1], [1, 2], [2, 3]]),
        ([2, 1], [[2, 1], [3, 2], [4, 3]]),
        ((-1, np.int64(1)), [[0, 2], [1, 3], [2, 4]]),
        ([4, -4], np.zeros((0, 2))),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_taps_of_sequences(taps, want, known):
    """Items are given in the order of the taps; steps begin where all taps, and 0, have items."""
    s = T.as_tensor(v) if known else x
    found, _ = scan(lambda *items: T.stack(items), dict(input=s, taps=taps))
    same(function([x], found, on_unused_input="ignore")(v), np.reshape(want, (-1, np.size(taps))))


def test_a_loop_over_taps_that_reach_too_far_takes_no_steps():
    found, _ = scan(lambda a, b: a + b, dict(input=x, taps=[-3, 2]))
    assert function([x], found)([1.0, 2.0, 3.0]).shape == (0,)


@pytest.mark.parametrize(
    ("sequences", "options", "want"),
    [
        (v, dict(go_backwards=True), [4, 3, 2, 1, 0]),
        (v, dict(go_backwards=True, n_steps=3), [4, 3, 2]),
        (v, dict(n_steps=3), [0, 1, 2]),
        ([v, 10 * v[:3]], {}, [0, 11, 22]),
        ([v, 10 * v[:3]], dict(go_backwards=True), [24, 13, 2]),
        (dict(input=v, taps=[-1, 1]), dict(go_backwards=True), [6, 4, 2]),
        ([dict(input=v, taps=[-1, 1]), v], {}, [2, 5, 8]),
        ((v, v), {}, [0, 2, 4, 6, 8]),
        ([[1, 2, 3]], {}, [1, 2, 3]),
        ([range(3)], {}, [0, 1, 2]),
        (shared(v), {}, v),
        ([T.arange(3), shared(v), x], {}, [0, 3, 6]),
    ],
)
def test_sequences(sequences, options, want):
    found, _ = scan(lambda *items: sum(items), sequences, **options)
    same(function([x], found, on_unused_input="ignore")(v), want)


def test_rows_of_a_matrix():
    same(run(lambda row: row.sum(), np.ones((3, 4))), [4, 4, 4])


# states


@pytest.mark.parametrize(
    ("info", "want"),
    [
        (0.0, [0, 1, 3, 6, 10]),
        (np.float64(0), [0, 1, 3, 6, 10]),
        (dict(initial=0.0), [0, 1, 3, 6, 10]),
        (dict(initial=0.0, taps=None), [0, 1, 3, 6, 10]),
        (dict(initial=0.0, taps=[-1]), [0, 1, 3, 6, 10]),
        (dict(initial=0.0, taps=-1), [0, 1, 3, 6, 10]),
        (dict(initial=np.zeros(1), taps=[-1]), [[0], [1], [3], [6], [10]]),
        (dict(initial=[10.0, 20.0], taps=[-2]), [10, 21, 12, 24, 16]),
        (dict(initial=[10.0, 20.0, 99.0], taps=[-2]), [10, 21, 12, 24, 16]),
        ([[0.0, 0.0]], [[0, 0], [1, 1], [3, 3], [6, 6], [10, 10]]),
    ],
)
def test_a_state(info, want):
    same(run(lambda s, h: s + h, v, info), want)


@pytest.mark.parametrize("taps", [[-3, -1], [-1, -3]])
def test_a_step_is_given_a_state_in_the_order_of_its_taps(taps):
    found = run(lambda a, b: 10 * a + b, outputs_info=dict(initial=np.array([1.0, 2.0, 3.0]), taps=taps), n_steps=3)
    past = [1.0, 2.0, 3.0]
    for _ in range(3):
        past.append(10 * past[taps[0]] + past[taps[1]])
    same(found, past[3:])


def test_outputs_that_no_step_reads_stand_among_states():
    square, total, double = run(lambda a, h: [a * a, h + a, 2 * a], v, [None, 0.0, dict(initial=None)])
    same(square, v**2)
    same(total, np.cumsum(v))
    same(double, 2 * v)


@pytest.mark.parametrize("none", [None, [], [None], [{}], dict(initial=None, taps=None)])
def test_no_state(none):
    same(run(lambda a: a * 2, v, none), 2 * v)


def test_arguments_come_in_order():
    """Items of sequences, then values of states, then what is not a sequence."""
    seen = []

    def step(*args):
        seen.extend(str(a) for a in args)
        return T.zeros(()), T.zeros(())

    h, g, k = T.dscalar("h"), T.dvector("g"), T.dscalar("k")
    scan(step, [dict(input=x, taps=[1, 0]), T.ivector("y")], [h, dict(initial=g, taps=[-2, -1])], [k])
    assert seen == ["x[t+1]", "x[t]", "y[t]", "h[t-1]", "g[t-2]", "g[t-1]", "k"]


@pytest.mark.parametrize("given", [3, [3], np.array(3), [np.int64(3)], shared(3)])
def test_non_sequences(given):
    same(run(lambda a, k: a * k, v, non_sequences=given), 3 * v)


def test_what_is_given_may_be_used_from_outside_too():
    found, _ = scan(lambda a, y: a * y.sum() + x.sum(), v, non_sequences=x)
    same(function([x], found)([1.0, 2.0]), 3 * v + 3)


def test_a_step_differentiates_what_is_outside():
    y = x**2
    slope = T.grad(y.sum(), x)
    jacobian, _ = scan(lambda i, y, x: T.grad(y[i], x), T.arange(y.shape[0]), non_sequences=[y, x])
    hessian, _ = scan(lambda i: T.grad(slope[i], x), T.arange(2))
    same(function([x], jacobian)([4.0, 5.0]), [[8, 0], [0, 10]])
    same(function([x], hessian)([4.0, 5.0]), [[2, 0], [0, 2]])


# what the step function is, and what it answers


class Layer:
    def __init__(self):
        self.W = shared(2.0, "W")

    def step(self, a, h):
        return a * self.W + h

    __call__ = step


@pytest.mark.parametrize(
    "fn",
    [
        Layer().step,
        Layer(),
        functools.partial(lambda k, a, h: a * k + h, 2.0),
        lambda a, h, k=2.0: a * k + h,
        lambda *args: args[0] * 2 + args[1],
        lambda a, h: (2 * a + h,),
        lambda a, h: [2 * a + h],
        lambda a, h: ([2 * a + h], {}),
        lambda a, h: (2 * a + h, None),
        lambda a, h: ({}, 2 * a + h),
        lambda a, h: [2 * a + h, until(h < 0)],
        lambda a, h: ([2 * a + h], [], until(False)),
    ],
)
def test_step_functions(fn):
    same(run(fn, v, 0.0), np.cumsum(2 * v))


def test_ops_are_step_functions():
    same(run(T.sqr, v), v**2)
    same(run(np.add, [v, v]), 2 * v)


def test_numbers_and_arrays_are_outputs():
    number, array = run(lambda a: [3, np.ones(2)], v)
    assert number.tolist() == [3] * 5
    assert array.shape == (5, 2)


def test_the_form_of_what_is_answered():
    assert isinstance(scan(lambda a: a, v)[0], T.TensorVariable)
    assert isinstance(scan(lambda a: [a], v)[0], T.TensorVariable)
    assert len(scan(lambda a: [a, a], v)[0]) == 2
    assert isinstance(scan(lambda a: a, v, return_list=True)[0], list)
    k = shared(0)
    assert scan(lambda: {k: k + 1}, n_steps=3)[0] is None
    assert scan(lambda: {k: k + 1}, n_steps=3, return_list=True)[0] == []
    assert scan(lambda a: None, v) == (None, {})


# numbers of steps


@pytest.mark.parametrize("count", [3, np.int32(3), np.array(3), shared(3), T.constant(3), T.constant(3) * 1])
def test_numbers_of_steps(count):
    assert run(lambda h: h * 2, outputs_info=1, n_steps=count).tolist() == [2, 4, 8]


def test_a_known_number_of_steps_is_a_known_length():
    assert scan(lambda h: h * 2, outputs_info=T.ones(4), n_steps=3)[0].type.shape == (3, 4)
    assert scan(lambda a: a * 2, T.as_tensor(v))[0].type.shape == (5,)
    assert scan(lambda a: (a * 2, until(a > 2)), T.as_tensor(v))[0].type.shape == (None,)


def loops_of_no_steps():
    k = shared(7)
    return {
        "map": (lambda: scan(lambda a: a * T.ones(3), x), (0, 3)),
        "state": (lambda: scan(lambda h: h * 2, outputs_info=np.ones(2), n_steps=n), (0, 2)),
        "taps": (lambda: scan(lambda a, b: a + b, outputs_info=dict(initial=v, taps=[-1, -4]), n_steps=n), (0,)),
        "until": (lambda: scan(lambda a: (a * T.ones(3), until(a > 2)), x), (0, 3)),
        "updates": (lambda: scan(lambda a: (a + k, {k: k + 1}), x), (0,)),
        "nested": (lambda: scan(lambda a: scan(lambda b: a * b, x)[0], x), (0, 0)),
        "n_steps": (lambda: scan(lambda a: a, v, n_steps=n), (0,)),
        "known": (lambda: scan(lambda h: h * 2, outputs_info=np.ones(2), n_steps=0), (0, 2)),
    }


@pytest.mark.parametrize("kind", loops_of_no_steps())
def test_no_steps(kind):
    build, shape = loops_of_no_steps()[kind]
    outputs, updates = build()
    f = function([x, n], [outputs, *updates.values()], on_unused_input="ignore")
    found, *news = f([], 0)
    assert found.shape == shape
    assert [new.tolist() for new in news] == [7] * len(updates)


def test_reducing_no_items_answers_the_initial_value():
    same(function([x], refgraph.reduce(lambda a, h: a + h, x, 5.0)[0])([]), 5)


def test_the_last_of_no_steps_is_an_error():
    for build in (
        lambda: scan(lambda h: h * 2, outputs_info=1.0, n_steps=n)[0],
        lambda: scan(T.sqr, v[:0], n_steps=n)[0],
    ):
        with pytest.raises(BoundsError, match="-1 is out of bounds for axis 0 with size 0"):
            function([n], build()[-1])(0)


# dtypes of states


DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [False, 0, 0.0, 1j])
def test_a_state_that_starts_from_a_number_takes_the_dtype_that_the_number_would(dtype, number):
    s = np.ones(3, dtype)
    assert run(lambda s, h: s + h, s, number).dtype == (s + number).dtype


@pytest.mark.parametrize(
    "step",
    [
        lambda s, h: s + h * 0.5,
        lambda s, h: 0.9 * h + 0.1 * s**2 + 1e6,
        lambda s, h: (1 - s) * h + s * T.tanh(h * 2),
        lambda s, h: T.switch(s > 0, h / 3, 1.0) + s,
        lambda s, h: T.maximum(h, 0) + T.clip(s, 0, 1),
        lambda s, h: s * T.nnet.sigmoid(h),
        lambda s, h: -h + s,
        lambda s, h: s - h * 1e6,
    ],
)
@pytest.mark.parametrize("start", [0, 0.0, 1])
def test_a_float32_loop_stays_float32(step, start):
    s = np.linspace(0.1, 1, 4, dtype="float32")
    found = run(step, s, start)
    state, want = np.float64(start), []
    for item in s.astype("float64"):
        state = np.asarray(step(T.constant(item), T.constant(np.float64(state))).eval())
        want.append(state)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_constants_that_are_named_as_numbers_keep_their_values_and_dtypes():
    s = T.fvector("s")
    five = T.constant(np.float32(5), name="1")
    found = scan(lambda s, h: h * five + s * 0, s, 1.0)[0].eval({s: np.ones(3, "float32")})
    assert (found.tolist(), found.dtype) == ([5, 25, 125], "float32")
    five = T.constant(np.float64(5.0), name="2")
    found = scan(lambda h: h * five, outputs_info=1, n_steps=2)[0].eval()
    assert (found.tolist(), found.dtype) == ([5, 25], "float64")


def test_a_number_takes_the_dtype_that_an_inner_loop_makes_of_it():
    s = np.ones(3, "float32")
    found = run(lambda s, h: scan(lambda g: g * 0.5 + s, outputs_info=h, n_steps=2)[0][-1], s, 0.0)
    assert found.dtype == "float32"
    assert found.tolist() == [1.5, 1.875, 1.96875]
    ends, _ = scan_checkpoints(lambda s, h: s + h * 0.5, s, 0.0)
    assert function([], ends)().tolist() == [1.5, 1.75]
    assert ends.dtype == "float32"


def test_numbers_that_a_step_makes_nothing_else_of_keep_their_dtype():
    assert run(lambda h: h * 2, outputs_info=1, n_steps=3).dtype == "int64"
    assert run(lambda h: h * 2, outputs_info=1.0, n_steps=3).dtype == "float64"
    assert run(lambda h: ~h, outputs_info=True, n_steps=3).tolist() == [False, True, False]
    assert run(lambda h: h / 2, outputs_info=1, n_steps=3).tolist() == [0.5, 0.25, 0.125]
    assert run(lambda h: -h, outputs_info=1, n_steps=2).tolist() == [-1, 1]
    assert run(lambda h: T.constant(np.float32(0.5)), outputs_info=0, n_steps=1).dtype == "float32"
    assert run(lambda h: h * np.float32(0.5), outputs_info=1, n_steps=1).dtype == "float32"
    with refgraph.config.change_flags(floatX="float32"):
        assert run(lambda h: h * 2, outputs_info=1.0, n_steps=3).dtype == "float32"


def test_states_that_start_from_numbers_agree():
    s = np.ones(3, "float32")
    total, count, both = run(lambda s, h, c, g: [s + h, c + 1, g + h * c], s, [0.0, 0, 0])
    assert (total.dtype, count.dtype, both.dtype) == ("float32", "int64", "float64")
    assert both.tolist() == [0, 1, 5]


def test_a_number_beyond_the_dtype_of_the_step_widens_it():
    least = run(lambda s, h: T.maximum(s, h), np.arange(3, dtype="uint8"), -1)
    assert least.tolist() == [0, 1, 2]
    assert least.dtype == "int16"
    assert run(lambda s, h: T.maximum(s, h), np.arange(3, dtype="int8"), 300).tolist() == [300] * 3


def test_a_value_that_fits_without_loss_is_cast():
    assert run(lambda s, h: T.cast(h, "float32") * s, np.ones(3, "float32"), np.float64(2)).dtype == "float64"
    assert run(lambda h: 5, outputs_info=np.float32(0), n_steps=2).dtype == "float32"


@pytest.mark.parametrize("dtype", DTYPES)
def test_states_of_every_dtype(dtype):
    h = np.ones(2, dtype)
    found = run(lambda h: h * h, outputs_info=h, n_steps=3)
    assert found.dtype == dtype
    assert (found == 1).all()


# updates


def test_updates_are_applied_step_by_step_and_call_by_call():
    k = shared(0.0)
    found, updates = scan(lambda a: (a + k, {k: k + 1}), v[:3])
    f = function([], [found, k], updates=updates)
    assert [f()[0].tolist() for _ in range(2)] == [[0, 2, 4], [3, 5, 7]]
    assert f()[1] == 6
    assert k.get_value() == 9


def pairs_of_updates():
    a, b = shared(1.0, "a"), shared(2.0, "b")
    return [
        (a, b, {a: b, b: a + b}),
        (a, b, [(a, b), (b, a + b)]),
        (a, b, ((a, b), (b, a + b))),
        (a, b, refgraph.OrderedUpdates({a: b, b: a + b})),
    ]


@pytest.mark.parametrize("form", range(4))
def test_updates_of_a_step_see_old_values(form):
    a, b, updates = pairs_of_updates()[form]
    assert [y.tolist() for y in run(lambda: ([a, b], updates), n_steps=4)] == [[1, 2, 3, 5], [2, 3, 5, 8]]
    assert (a.get_value(), b.get_value()) == (8, 13)
    only = pairs_of_updates()[form]
    assert run(lambda: only[2], n_steps=4) == []
    assert only[0].get_value() == 8


def test_a_condition_sees_old_values():
    k = shared(0)
    assert run(lambda: ({k: k + 1}, until(k >= 5)), n_steps=100) == []
    assert k.get_value() == 6


def test_an_update_to_a_number():
    k = shared(np.float32(1), "k")
    assert run(lambda a: (a + k, {k: 5}), v[:3]).tolist() == [1, 6, 7]
    assert k.get_value().dtype == "float32"


def test_inner_loops_update_through_outer_ones():
    k = shared(0)
    found, updates = scan(lambda i: scan(lambda j: (k + j, {k: k + 1}), np.arange(3)), np.arange(2))
    f = function([], found, updates=updates)
    assert f().tolist() == [[0, 2, 4], [3, 5, 7]]
    assert f().tolist() == [[6, 8, 10], [9, 11, 13]]


def test_objects_are_updated():
    table = shared({"a": 1}, "table")

    @refgraph.as_op(itypes=[generic], otypes=[T.lscalar])
    def size(d):
        return np.array(len(d))

    @refgraph.as_op(itypes=[generic, T.lscalar], otypes=[generic])
    def added(d, i):
        return {**d, int(i): 1}

    assert run(lambda i: (size(table), {table: added(table, i)}), np.arange(3)).tolist() == [1, 2, 3]
    assert table.get_value() == {"a": 1, 0: 1, 1: 1, 2: 1}


def test_a_default_update_is_made_in_each_step():
    k = shared(0.0, "k")
    k.default_update = k + 1
    found, updates = scan(lambda a: a + k, v[:3])
    f = function([], found, updates=updates)
    assert [f().tolist(), f().tolist()] == [[0, 2, 4], [3, 5, 7]]
    assert run(lambda: k, n_steps=2).tolist() == [6, 7]
    assert run(lambda a: (a + k, {k: k + 10}), v[:2]).tolist() == [8, 19]


def test_what_was_computed_before_is_one_value_for_all_steps():
    k = shared(0.0, "k")
    k.default_update = k + 1
    before = k * 2
    found, updates = scan(lambda a: a + before, v[:3])
    f = function([], found, updates=updates)
    assert [f().tolist(), f().tolist()] == [[0, 1, 2], [2, 3, 4]]


def draws(loop):
    rng = Stream(3)
    return loop(lambda h: h + rng.uniform(size=(2,)), outputs_info=np.zeros(2), n_steps=7)


def test_draws_are_fresh_in_each_step_and_call():
    found, updates = draws(scan)
    f, g = function([], found, updates=updates), function([], draws(scan)[0])
    first, second = f(), f()
    steps = np.diff(np.concatenate([np.zeros((1, 2)), first, second - second[0] + first[-1]]), axis=0)
    assert len(np.unique(steps.round(12))) >= 26
    same(g(), first)  # without updates: what a loop draws from is its own, so a state counts calls, not steps
    same(g(), second)
    h = function([], draws(scan_checkpoints)[0][-1])
    assert len(np.unique([h(), h(), first[-1], second[-1]])) == 8


def test_draws_of_inner_loops_are_fresh():
    rng = Stream(3)
    found, updates = scan(lambda i: scan(lambda j: j + rng.uniform(), np.zeros(3))[0], np.arange(2))
    f = function([], found, updates=updates)
    assert len(np.unique([f(), f()])) == 12


def opened(loop):
    """All numbers that two calls of a function of this loop give, its updates left out."""
    f = function([], loop[0])
    return np.concatenate([f().ravel(), f().ravel()])


def test_draws_whose_state_was_made_before_the_loop_are_fresh():
    rng, a = Stream(3), T.dscalar("a")
    noisy = refgraph.OpFromGraph([a], [a + rng.normal()])
    thrown = refgraph.clone(rng.poisson(a), {a: T.constant(1e15)})
    zeros = np.zeros(4)

    def inner(t):
        return scan(noisy, outputs_info=t, n_steps=2)[0][-1] - t

    for step in (lambda t: noisy(t) - t, inner, lambda t: t + thrown + noisy(t), lambda t: noisy(noisy(t))):
        assert len(np.unique(opened(scan(step, zeros)))) == 8
    f, n = function([], scan(lambda t: noisy(t) - t, zeros)[0]), T.lscalar("n")
    assert np.intersect1d(f(), f()).size == 0
    longer = function([n], scan(lambda t: noisy(t) - t, T.zeros(n))[0])
    assert np.intersect1d(longer(3), longer(9)).size == 0


def test_a_value_drawn_before_the_loop_is_one_value():
    before = Stream(3).normal()

    def inner(t):
        return scan(lambda h: h + before, outputs_info=t * 0 + before, n_steps=1)[0][0]

    assert len(np.unique(opened(scan(inner, np.zeros(4))))) == 2


def test_a_loop_with_draws_is_an_expression_like_others():
    rng, a, b = Stream(3), T.dvector("a"), T.dvector("b")
    found, _ = scan(lambda v: v + rng.normal(), a)
    wanted = function([a], found)(v)
    rng.seed()
    same(function([b], refgraph.clone(found, {a: b}))(v), wanted)
    rng.seed()
    same(function([b], refgraph.OpFromGraph([a], [found])(b))(v), wanted)
    rng.seed()
    function([], T.constant(1), updates=rng.updates())()  # that needs nothing of the loop
    assert np.intersect1d(function([a], found)(v) - v, wanted - v).size == 0


def test_a_stream_keeps_no_loop_alive():
    rng, weights = Stream(3), shared(np.zeros(3))
    watch = weakref.ref(weights)
    scan(lambda v, w: v * rng.normal() + w, np.zeros(3), non_sequences=weights)
    weights = None
    gc.collect()
    assert watch() is None
    assert len(rng.updates()) == 1


def test_strict_allows_draws():
    rng = Stream(3)
    assert len(np.unique(opened(scan(lambda v: v + rng.normal(), np.zeros(4), strict=True)))) == 8


def test_strict_allows_what_was_given():
    w = shared(np.ones(2), "w")
    for fn in (lambda a, w: a * w, lambda a, w: (a * w, {w: w + 0}), lambda a, w: a * np.ones(2)):
        same(run(fn, v, non_sequences=w, strict=True), np.outer(v, [1, 1]))
    y = (x * 2)[:2]
    found, _ = scan(lambda a, y: a * (y + 1).sum(), v, non_sequences=y, strict=True)
    same(function([x], found)(v), 4 * v)


def test_strict_refuses_anything_else():
    w = shared(np.ones(2), "w")
    with pytest.raises(GraphTypeError, match="may not use w") as caught:
        scan(lambda a: a * w, v, strict=True)
    assert "add w to non_sequences" in str(caught.value)
    with pytest.raises(GraphTypeError, match="may not use x"):
        scan(lambda a, y: a * x.sum(), v, non_sequences=x * 2, strict=True)


# until, map, reduce and folds


def test_until_ends_after_the_step_in_which_it_is_true():
    assert run(lambda a: (a * 2, until(a > 1)), v).tolist() == [0, 2, 4]
    assert run(lambda a: (a * 2, until(a > 9)), v).tolist() == [0, 2, 4, 6, 8]
    assert run(lambda h: (h * 2, until(h > 20)), outputs_info=1, n_steps=1000).tolist() == [2, 4, 8, 16, 32, 64]
    assert run(lambda a: (a, until(a)), v).tolist() == [0, 1]
    assert scan(lambda a: until(a > 1), v) == (None, {})


def test_reduce_and_folds():
    def step(a, h, k=1):
        return a * k - h

    back = 0.0
    for a in v[::-1]:
        back = a - back
    forth = 0.0
    for a in v:
        forth = 2 * a - forth
    same(function([], refgraph.foldr(step, v, 0.0)[0])(), back)
    same(function([], refgraph.foldl(step, v, 0.0, 2)[0])(), forth)
    same(function([], refgraph.reduce(step, v, 0.0, go_backwards=True)[0])(), back)
    total, last = function([], refgraph.reduce(lambda a, h: [h + a, a], v, [0.0, None])[0])()
    assert (total, last) == (10, 4)
    same(function([], refgraph.map(lambda a, k: a**k, v, 2, go_backwards=True)[0])(), v[::-1] ** 2)


def test_reduce_answers_updates():
    k = shared(0.0)
    total, updates = refgraph.reduce(lambda a, h: (a + h, {k: k + a}), v, 0.0)
    same(function([], total, updates=updates)(), 10)
    assert k.get_value() == 10


# errors while the loop is built


REFUSED = {
    "no steps": (lambda: scan(lambda: 1), GraphTypeError, "how many steps"),
    "a number": (lambda: scan(T.sqr, 3), GraphTypeError, "at least one axis"),
    "text": (lambda: scan(T.sqr, ["abc"]), DTypeError, "abc"),
    "None": (lambda: scan(T.sqr, [None]), GraphTypeError, "no input"),
    "inputs": (lambda: scan(T.sqr, dict(inputs=v)), GraphTypeError, "no entry 'inputs'"),
    "only taps": (lambda: scan(T.sqr, dict(taps=[0])), GraphTypeError, "no input"),
    "taps twice": (lambda: scan(T.add, dict(input=v, taps=[0, 0])), GraphTypeError, "different ints"),
    "half a tap": (lambda: scan(T.sqr, dict(input=v, taps=[0.5])), GraphTypeError, "different ints"),
    "init": (lambda: scan(T.sqr, outputs_info=dict(init=1), n_steps=1), GraphTypeError, "no entry 'init'"),
    "taps alone": (lambda: scan(T.sqr, outputs_info=dict(taps=[-1]), n_steps=1), GraphTypeError, "no initial value"),
    "tap 0": (lambda: scan(T.sqr, outputs_info=dict(initial=v, taps=[0]), n_steps=1), GraphTypeError, "negative"),
    "no taps": (lambda: scan(T.sqr, outputs_info=dict(initial=v, taps=[]), n_steps=1), GraphTypeError, "negative"),
    "short": (lambda: scan(T.sqr, outputs_info=dict(initial=v, taps=[-6]), n_steps=1), ShapeError, "6 steps back"),
    "a float": (lambda: scan(T.sqr, v, n_steps=3.0), DTypeError, "single integer"),
    "a list": (lambda: scan(T.sqr, v, n_steps=[3]), DTypeError, "single integer"),
    "negative": (lambda: scan(T.sqr, v, n_steps=-3), DomainError, "n_steps is -3"),
    "too many": (lambda: scan(T.sqr, v, n_steps=7), ShapeError, "5 items, for 7 steps"),
    "truncate": (lambda: scan(T.sqr, v, truncate_gradient=0), GraphTypeError, "truncate_gradient"),
    "no function": (lambda: scan(3, v), GraphTypeError, "must be callable, got 3"),
    "arguments": (lambda: scan(lambda a: a, [v, v]), GraphTypeError, "what it is given: item"),
    "of a method": (lambda: scan(Layer().step, v), GraphTypeError, "what it is given: item"),
    "of an object": (lambda: scan(Layer(), v), GraphTypeError, "what it is given: item"),
    "outputs": (lambda: scan(lambda a: [a, a], v, [None]), GraphTypeError, "2 outputs, outputs_info has 1 entry"),
    "no output": (lambda: scan(lambda a, h: None, v, 0.0), GraphTypeError, "0 outputs, outputs_info has 1 entry"),
    "an object": (lambda: scan(lambda a: object(), v), GraphTypeError, "as output 0"),
    "two ends": (lambda: scan(lambda a: (a, until(a), until(a)), v), GraphTypeError, "twice"),
    "many ends": (lambda: until(T.ones(3)), GraphTypeError, "single condition"),
    "key": (lambda: scan(lambda a: (a, {x: x}), v), UpdateError, "shared variables, got x"),
    "a mode": (lambda: scan(T.sqr, v, mode="FAST_RUM"), RefgraphError, "no mode 'FAST_RUM'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind):
    build, error, text = REFUSED[kind]
    with pytest.raises(error, match=text):
        build()


def test_an_error_of_the_step_function_is_its_own():
    with pytest.raises(TypeError, match="has no len") as caught:
        scan(lambda a: len(3), v)
    assert not isinstance(caught.value, RefgraphError)


# errors while the loop runs


def widened(h):
    grown = T.concatenate([h, h])
    return grown


def shortened(i):
    part = x[:i]
    return part


def line_of(error):
    """The user's line that an error shows."""
    return next(line for line in str(error).splitlines() if line.lstrip()[:1].isdigit()).partition("| ")[2].strip()


def test_a_shape_that_changes_names_the_line_in_the_step_function():
    f = function([x], scan(widened, outputs_info=x, n_steps=3)[0])
    with pytest.raises(ShapeError, match=r"has shape \(5,\), but the step makes it \(10,\)") as caught:
        f(v)
    assert line_of(caught.value) == "grown = T.concatenate([h, h])"
    assert "step 0 of 3 (the first is step 0) of scan" in str(caught.value)
    g = function([x], scan(shortened, T.arange(3))[0])
    with pytest.raises(ShapeError, match=r"has shape \(1,\), in the first step it had \(0,\)") as caught:
        g(v)
    assert line_of(caught.value) == "part = x[:i]"


@pytest.mark.parametrize("mode", [None, "DebugMode", "NanGuardMode"])
def test_an_error_in_a_nested_loop_names_both_steps(mode):
    m = T.dmatrix("m")

    def outer(row):
        start = [np.int64(0), np.float64(0)]
        return scan(lambda i, r: [7 * i + 1, r + row[i]], None, start, n_steps=3, name="inner")[0][1]

    f = function([m], scan(outer, m, name="outer")[0], mode=mode)
    with pytest.raises(BoundsError) as caught:
        f(np.ones((3, 3)))
    assert caught.value.loops == (
        "step 2 of 3 (the first is step 0) of inner",
        "step 0 of 3 (the first is step 0) of outer",
    )
    assert "r + row[i]" in line_of(caught.value)
    assert str(caught.value).index("of inner") < str(caught.value).index("of outer")


def test_an_error_of_others_has_the_steps_in_its_notes():
    @refgraph.as_op(itypes=[T.dscalar], otypes=[T.dscalar])
    def fussy(a):
        if a > 2:
            raise KeyError("no more")
        return a

    f = function([x], scan(lambda q: scan(lambda z: fussy(z + q), x, name="in")[0], x, name="out")[0])
    with pytest.raises(KeyError, match="no more") as caught:
        f(v)
    assert caught.value.__notes__[1:] == [
        "in step 3 of 5 (the first is step 0) of in",
        "in step 0 of 5 (the first is step 0) of out",
    ]


def test_an_error_on_the_way_back_names_both_steps():
    @refgraph.as_op(itypes=[T.dscalar], otypes=[T.dscalar])
    def wrong(a):
        if a == 1:
            raise KeyError("one")
        return a

    @refgraph.as_op(itypes=[T.dscalar], otypes=[T.dscalar], grad=lambda inputs, gradients: [wrong(inputs[0])])
    def fine(a):
        return a + 0

    f = function([x], refgraph.grad(scan(fine, x, name="rnn")[0].sum(), x))
    with pytest.raises(KeyError, match="one") as caught:
        f(v)
    step = "in step 3 of 5 (the first is step 0) of grad of rnn, which goes back through step 1 of rnn"
    assert caught.value.__notes__[1:] == [step]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_numbers_of_steps_of_any_integer_dtype(dtype):
    k = T.scalar("k", dtype=dtype)
    h, _ = scan(lambda h: h * 0.5, outputs_info=1.0, n_steps=k, truncate_gradient=200)
    most = min(np.iinfo(dtype).max, 300)
    assert len(function([k], h)(most)) == most
    w = T.dscalar("w")
    last = scan_checkpoints(lambda h: h * w, outputs_info=w, n_steps=k)[0][-1]
    assert function([w, k], refgraph.grad(last, w))(1.0, 7) == 8


def test_too_many_steps_are_refused_when_it_runs():
    total = T.zeros(())
    f = function([x, n], scan(lambda a, s: s * a + a, x, total, n_steps=n)[0])
    with pytest.raises(ShapeError, match=r"the sequence of x.* has 5 items, for 7 steps"):
        f(v, 7)
    with pytest.raises(DomainError, match="n_steps is -1"):
        f(v, -1)
    g = function([x, n], scan(lambda a, s: s * a + a, dict(input=x, taps=-1), total, n_steps=n)[0])
    with pytest.raises(ShapeError, match="has 4 items, for 5 steps"):
        g(v, 5)
    h = function([x], scan(T.sqr, outputs_info=dict(initial=x, taps=[-3]), n_steps=2)[0])
    with pytest.raises(ShapeError, match="3 steps back"):
        h([1.0, 2.0])
    assert h([1.0, 2.0, 3.0, 9.0]).tolist() == [1, 4]


# modes, profiles, copies


def test_steps_run_in_a_mode_of_their_own():
    f = function([x], scan(lambda a: T.log(a - 2), x, name="logs", mode="NanGuardMode")[0].sum())
    with pytest.raises(NanGuardError, match="log has NaN") as caught:
        f(v)
    assert caught.value.loops == ("step 0 of 5 (the first is step 0) of logs",)
    seen = []
    watch = refgraph.MonitorMode(post_func=lambda i, node, thunk: seen.append(str(node.op)))
    same(function([x], scan(lambda a: T.log(a + 2), x, mode=watch)[0])(v), np.log(v + 2))
    assert seen == ["add", "log"] * 5


def test_steps_are_timed():
    own = Profile("mine")
    f = function([x], scan(lambda a: T.log(a + 2), x, profile=own)[0], profile=True)
    f(v)
    f(v[:2])
    assert own.total.count == 7
    assert f.profile.total.count == 2
    total = T.zeros(())
    g = function(
        [x], scan(lambda a: scan(lambda b, s: a * s + b, x, total, name="in")[0], x, name="out")[0], profile=True
    )
    g(v)
    assert {str(node.op): count for node, count in g.profile.steps.items()} == {"in": 25, "out": 5}
    assert "5 steps" in str(g.profile)


W = shared(0.5, "W")


def trained(mode=None):
    h, _ = scan(lambda a, h: T.tanh(h * W + a), x, 0.1, mode=mode, profile=mode is not None)
    return function([x], [h, T.grad(h[-1], W)])


@pytest.mark.parametrize("mode", [None, "NanGuardMode"])
@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda f: pickle.loads(pickle.dumps(f))])
def test_functions_with_loops_are_copied(mode, again):
    f = trained(mode)
    for found, want in zip(again(f)(v), f(v), strict=True):
        same(found, want)


def counting():
    k = shared(0.0, "k")
    found, updates = scan(lambda a: (a + k, {k: k + 1}), x)
    return k, function([x], found, updates=updates)


def test_copies_swap_and_delete_updates():
    k, f = counting()
    other = shared(100.0)
    g, h = f.copy(swap={k: other}), f.copy(delete_updates=True)
    assert f([0.0, 0.0]).tolist() == [0, 1]
    assert f.copy()([0.0, 0.0]).tolist() == [2, 3]
    assert g([0.0, 0.0]).tolist() == [100, 101]
    assert [h([0.0, 0.0]).tolist() for _ in range(2)] == [[4, 5], [4, 5]]
    assert (k.get_value(), other.get_value()) == (4, 102)


def test_threads_lose_no_update():
    k, f = counting()
    threads = [threading.Thread(target=lambda: [f(v) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert k.get_value() == 4 * 20 * 5


def test_inputs_of_a_loop_are_replaced():
    y, half = T.TensorType("float64", (5,))("y"), T.fvector("half")
    h, _ = scan(lambda a, h: T.tanh(h + a), x, np.float64(0.1))
    want = function([x], h)(v)
    same(function([y], h, givens={x: y})(v), want)
    lossless = refgraph.clone(h, {x: half}, strict=False)
    assert lossless.dtype == "float64"
    same(function([half], lossless)(v.astype("float32")), want)
    start = T.dvector("start")
    h, _ = scan(lambda h: h * h, outputs_info=start, n_steps=3)
    assert refgraph.clone(h, {start: y}, strict=False).type.shape == (3, 5)
    assert refgraph.clone(h, {start: half}, strict=False).dtype == "float32"
    h, _ = scan(lambda h: h * 0.5 + 1, outputs_info=start, n_steps=3)
    assert refgraph.clone(h, {start: half}, strict=False).dtype == "float32"
    with pytest.raises(ShapeError, match="initial values"):
        refgraph.clone(h, {start: T.dmatrix()}, strict=False)


def test_formulas_and_trees_show_a_step():
    start, n = T.dscalar("h0"), T.lscalar("n")
    h, _ = scan(lambda h: T.tanh(h * 1.1), outputs_info=start, n_steps=n, name="rnn")
    assert refgraph.pp(h) == "rnn{tanh((h0[t-1] * 1.1))}(n, h0[None])[1:]"
    tree = refgraph.debugprint(function([start, n], h, mode=refgraph.Mode(optimizer=None)), file="str")
    assert "rnn" in tree.partition("Inner graphs:")[0]
    assert ["tanh", "mul", "h0[t-1]"] == [
        next(word for word in ("tanh", "mul", "h0[t-1]") if word in line)
        for line in tree.partition("Inner graphs:")[2].splitlines()
        if line.startswith(" >") and "1.1" not in line
    ]
    long = scan(lambda h: functools.reduce(lambda a, _: a + h, range(100), h), outputs_info=start, n_steps=n)[0]
    assert len(refgraph.pp(long)) < 300


# memory


def peak(f, *args):
    f(*args)
    tracemalloc.start()
    try:
        f(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SIZE = 1000
START = np.zeros(SIZE)


def chain(**options):
    return scan(lambda h: T.tanh(h + 1.0), outputs_info=START, n_steps=n, **options)[0]


def inner_chain(h):
    return scan(lambda g: T.tanh(g + 1.0), outputs_info=h, n_steps=n)[0][-1]


def updated():
    k = shared(START)
    return list(scan(lambda: {k: T.tanh(k + 1.0)}, n_steps=n)[1].values())


BOUNDED = {
    "the last state": (lambda: chain()[-1], 1),
    "the last three": (lambda: chain()[-3:], 3),
    "an element of the last": (lambda: chain()[-1, 2], 1),
    "the last two, one by one": (lambda: (lambda h: [h[-1], h[-2]])(chain()), 2),
    "taps": (
        lambda: scan(
            lambda a, b: T.tanh(a + b), outputs_info=dict(initial=np.zeros((3, SIZE)), taps=[-3, -1]), n_steps=n
        )[0][-1],
        3,
    ),
    "a record": (lambda: scan(lambda h: [T.tanh(h), h * 2], None, [START, None], n_steps=n)[0][1][-1], 1),
    "beside a record": (lambda: scan(lambda h: [T.tanh(h), h * 2], None, [START, None], n_steps=n)[0][0][-1], 1),
    "of two states": (lambda: scan(lambda h, g: [T.tanh(h), g + h], None, [START, START], n_steps=n)[0][0][-1], 1),
    "nested": (lambda: scan(inner_chain, outputs_info=START, n_steps=2)[0][-1], 1),
    "nested records": (lambda: scan(lambda i: inner_chain(START + i), np.arange(2.0))[0], 2),
    "until": (
        lambda: scan(lambda h: (T.tanh(h + 1), until(h.sum() > 1e9)), outputs_info=START, n_steps=n)[0][-1],
        1,
    ),
    "updates": (updated, 1),
    "reduce": (lambda: refgraph.reduce(lambda i, h: T.tanh(h + i), T.arange(n), START)[0], 1),
}


@pytest.mark.parametrize("kind", BOUNDED)
def test_memory_for_what_is_read_only(kind):
    """Bytes allocated for 400 steps are those for 20 and not for one state more; all of them would be 3 MB."""
    build, entries = BOUNDED[kind]
    f = function([n], build())
    few, many = peak(f, 20), peak(f, 400)
    assert many < few + 400 * 16 + 8 * SIZE
    assert many < 8 * SIZE * (2 * entries + 8)


def test_memory_for_what_is_read_whole():
    f = function([n], chain())
    assert peak(f, 400) > 400 * 8 * SIZE


# checkpoints


def both_ways(steps, **options):
    """The last outputs of a loop and of its checkpointed twin, with gradients of their sum."""
    given = shared(np.random.RandomState(0).randn(steps, 3))
    w = shared(0.5)
    found = []
    for loop in (scan, functools.partial(scan_checkpoints, **options)):
        k = shared(np.float64(0.25))
        (h, g, r), updates = loop(
            lambda a, h, g, w, k=k: ([T.tanh(h * w + a), g + h, (h * g).sum() * k], {k: k + 1}),
            given,
            [np.ones(3), np.zeros(3), None],
            w,
        )
        last = [h[-1], g[-1], r[-1]]
        slopes = T.grad(sum(y.sum() for y in last), [w, given])
        found.append([*function([], [*last, *slopes], updates=updates)(), k.get_value()])
    return found


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (10, {}),
        (10, dict(save_every_N=3)),
        (1, {}),
        (2, {}),
        (7, dict(save_every_N=10)),
        (7, dict(save_every_N=1)),
        (9, dict(save_every_N=3, padding=False)),
        (9, dict(save_every_N=T.constant(2))),
    ],
)
def test_checkpoints_change_no_result(steps, options):
    plain, kept = both_ways(steps, **options)
    for a, b in zip(plain, kept, strict=True):
        same(b, a)


def test_checkpoints_put_out_the_ends_of_stretches():
    found, _ = scan_checkpoints(lambda a, h: h + a, np.arange(7), np.int64(0), save_every_N=3)
    assert function([], found)().tolist() == [3, 15, 21]
    found, _ = scan_checkpoints(lambda a, h: h + a, np.arange(7.0, dtype="float32"), 0.0, n_steps=5, save_every_N=3)
    assert function([], found)().tolist() == [3, 10]
    assert found.dtype == "float32"
    empty, _ = scan_checkpoints(lambda a, h: h + a, x, np.float64(0))
    assert function([x], empty)([]).shape == (0,)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (dict(save_every_N=0), DomainError, "save_every_N is 0"),
        (dict(n_steps=8), ShapeError, "7 items, for 8 steps"),
        (dict(sequences=dict(input=np.arange(7.0), taps=[-1])), GraphTypeError, "without taps"),
        (dict(outputs_info=dict(initial=v, taps=[-2])), GraphTypeError, "one step back"),
        (dict(fn=lambda a, h: (a + h, until(h > 2))), GraphTypeError, "knows no until"),
    ],
)
def test_checkpoints_refuse(options, error, text):
    given = dict(fn=lambda a, h: a + h, sequences=np.arange(7.0), outputs_info=0.0)
    with pytest.raises(error, match=text):
        scan_checkpoints(**{**given, **options})


def test_checkpoints_refuse_missing_items_when_they_run():
    f = function([x, n], scan_checkpoints(lambda a, h: a + h, x, 0.0, n_steps=n)[0])
    assert f(v, 5)[-1] == 10
    with pytest.raises(ShapeError):
        f(v, 6)


def test_the_gradient_with_checkpoints_needs_memory_like_the_root():
    w = shared(0.5)
    start = T.as_tensor(START + 1)

    def memory(loop):
        h, _ = loop(lambda h: T.tanh(h * w), outputs_info=start, n_steps=n)
        f = function([n], T.grad(h[-1].sum(), w))
        return peak(f, 36), peak(f, 576)

    few, many = memory(scan)
    assert many > 12 * few
    few, many = memory(scan_checkpoints)
    assert many < 5 * few
    assert many < 4 * (2 * 24) * 8 * SIZE


def test_checkpoints_copy_no_sequence():
    w, rows = shared(0.5), T.dmatrix("rows")
    h, _ = scan_checkpoints(lambda q, h: T.tanh(h * w + q), rows, np.zeros(50))
    f = function([rows], T.grad(h[-1].sum(), w))
    some = np.ones((576, 50))
    assert peak(f, some) < 0.3 * some.nbytes
    assert peak(f, np.ones((577, 50))) < 0.3 * some.nbytes


def test_draws_with_checkpoints_go_on_in_the_last_stretch():
    h, _ = scan_checkpoints(lambda h: h + Stream(3).normal(), outputs_info=0.0, n_steps=7, save_every_N=3)
    f = function([], h)
    first, second = f(), f()
    assert len(np.unique([*first, *second])) == 6

    k = shared(0)
    _, updates = scan_checkpoints(lambda: {k: k + 1}, n_steps=n, save_every_N=3)
    count = function([n], [], updates=updates)
    for steps, total in ((7, 7), (6, 13), (2, 15), (0, 15)):
        count(steps)
        assert k.get_value() == total


def test_a_loop_within_may_begin_with_what_is_made_of_nothing():
    rng, blank = Stream(3), refgraph.OpFromGraph([], [T.constant(np.zeros(2))])

    def inner(t):
        return scan(lambda h: h + t * rng.normal(), outputs_info=blank(), n_steps=2)[0][-1]

    assert len(np.unique(opened(scan(inner, np.ones(3))))) == 6
