"""Memory: 10,000 calls leave nothing behind, a call allocates nothing but its outputs, a chain is gone over once."""

import gc
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.ifelse import ifelse
from refgraph.random import Stream
from refgraph.scan_module import until
from refgraph_cython import backend

CALLS = 10_000
WARM = 200
"""Calls after which all memory that is kept has been taken."""
RNG = np.random.default_rng(0)
STATM = Path("/proc/self/statm")


def function(inputs, outputs, **options):
    """A function of compiled kernels alone."""
    return rg.function(inputs, outputs, backend=backend, strict=True, **options)


def native(f):
    return f.maker.program.program


def chain():
    x, y = T.fvectors("x", "y")
    f = function([x, y], T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y)))
    return f, RNG.normal(size=(2, 100)).astype("float32")


def number():
    x, y = T.dscalars("x", "y")
    return function([x, y], x + y), [np.array(1.5), np.array(2.5)]


def converted():
    """Arguments that are no arrays, or of another dtype, or lie in memory in another way."""
    x, y, n = T.dmatrix("x"), T.dvector("y"), T.lscalar("n")
    f = function([x, y, n], [x + y, n * 2, x.T])
    return f, [RNG.normal(size=(20, 6)).astype("float32")[::2], [1, 2, 3.5, 4, 5, 6], 7]


def reduced():
    x = T.dmatrix()
    return function([x], [x.sum(), T.max(x, 0), T.argmax(x, 1), T.exp(x).mean(1)]), [RNG.normal(size=(10, 9))]


def net():
    x, y = T.fmatrix("x"), T.ivector("y")
    w1, b1 = rg.shared(RNG.normal(size=(9, 8)).astype("float32")), rg.shared(np.zeros(8, "float32"))
    w2 = rg.shared(RNG.normal(size=(8, 3)).astype("float32"))
    p = T.nnet.softmax(T.dot(T.tanh(T.dot(x, w1) + b1), w2))
    cost = T.nnet.categorical_crossentropy(p, y).mean()
    updates = [(w, w - np.float32(0.01) * T.grad(cost, w)) for w in (w1, b1, w2)]
    return function([x, y], cost, updates=updates), [
        RNG.normal(size=(10, 9)).astype("float32"),
        RNG.integers(0, 3, 10).astype("int32"),
    ]


def loop():
    x, h = T.dmatrix("x"), T.dvector("h")
    w = rg.shared(RNG.normal(size=4))
    states, _ = rg.scan(lambda x, h: T.tanh(x + h * w), sequences=x, outputs_info=h)
    cost = (states[-1] ** 2).sum()
    return function([x, h], [cost, T.grad(cost, w), states]), [RNG.normal(size=(5, 4)), np.zeros(4)]


def ended():
    h = T.dvector()
    states, _ = rg.scan(lambda h: (2 * h, until((2 * h).sum() > 100)), outputs_info=h, n_steps=50)
    return function([h], [states, states[-1]]), [np.ones(3)]


def branch():
    c, v = T.bscalar("c"), T.dvector("v")
    return function([c, v], ifelse(c, T.exp(v), T.log(v))), [np.array(1, "int8"), np.ones(20)]


def indexed():
    x, i, j = T.dmatrix("x"), T.lvector("i"), T.lscalar("j")
    outputs = [x[i], x[:j].sum(0), x[i, i], T.inc_subtensor(x[i], 1.0), x[x > 0], T.sort(x, 0), x.nonzero()[0]]
    return function([x, i, j], outputs), [RNG.normal(size=(9, 9)), np.array([0, 8, 3, 3]), np.array(4)]


def moved():
    x = T.dmatrix()
    outputs = [x.T, x.reshape((3, 30)), x[::2, 1:], T.concatenate([x, x[:4]]), x]
    return function([x], outputs), [RNG.normal(size=(9, 10))]


def drawn():
    stream = Stream(seed=1)
    return function([], [stream.normal(size=50), stream.uniform(size=3)]), []


def shaped_by_turns():
    """Called with one shape, then with another: by `calls`."""
    x = T.dvector()
    return function([x], [T.exp(x)[::2], x.sum(), T.concatenate([x, x])]), [RNG.normal(size=200)]


def interpreted():
    """A node that Python runs in the middle."""
    x = T.dvector()

    @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
    def twice(x):
        return 2 * x

    return rg.function([x], T.exp(twice(T.exp(x))), backend=backend), [RNG.normal(size=100)]


def interpreted_in_steps():
    """Nodes that Python runs in the steps of a loop, of the loop within it, and of its gradient."""
    x, h = T.dmatrix("x"), T.dvector("h")

    class Twice(rg.Op):
        def infer(self, x):
            return (x.type,)

        def impl(self, x):
            return 2 * x

        def vjp(self, node, cotangents):
            return [self(cotangents[0])]

    def step(x, h):
        inner, _ = rg.scan(lambda a: T.tanh(Twice()(a) + x), outputs_info=h, n_steps=2)
        return ifelse(x.sum() > 0, Twice()(inner[-1]), inner[-1])

    states, _ = rg.scan(step, sequences=x, outputs_info=h)
    outputs = [states, T.grad(states.sum(), h)]
    return rg.function([x, h], outputs, backend=backend), [RNG.normal(size=(2, 4)), np.zeros(4)]


PROGRAMS = [
    chain, number, converted, reduced, net, loop, ended, branch, indexed, moved, drawn, shaped_by_turns, interpreted,
    interpreted_in_steps,
]  # fmt: skip
NAMES = [made.__name__ for made in PROGRAMS]


def resident():
    """The bytes of this process that lie in memory; 0 where the system does not say."""
    return int(STATM.read_text().split()[1]) * 4096 if STATM.exists() else 0


def repeat(work, times):
    for _ in range(times):
        work()
    gc.collect()


def assert_leaves_nothing(work, calls):
    """`work` done so often leaves no more of Python's memory, and about none of the system's."""
    repeat(work, WARM)
    gc.freeze()  # what was there before need not be looked at again
    before = resident()
    repeat(work, calls // 2)
    grown = resident() - before
    tracemalloc.start()
    try:
        repeat(work, WARM)
        start = tracemalloc.get_traced_memory()[0]
        repeat(work, calls // 2)
        traced = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert traced < calls / 2, f"{traced} bytes of Python's"
    assert grown < 500_000 + 100 * calls, f"{grown} bytes of the system's"


@pytest.mark.parametrize("made", PROGRAMS, ids=NAMES)
def test_calls_leave_nothing_behind(made):
    f, arguments = made()
    counts = [sys.getrefcount(x) for x in arguments]
    f(*arguments)
    kept = native(f).counters

    def work():
        f(*arguments)
        if made is shaped_by_turns:
            f(arguments[0][:9])

    assert_leaves_nothing(work, CALLS)
    assert [sys.getrefcount(x) for x in arguments] == counts
    assert made is shaped_by_turns or native(f).counters == kept


@pytest.mark.parametrize("fails", ["prepared", "running", "refused", "interpreted", "step"])
def test_calls_that_raise_leave_nothing_behind(fails):
    x, i = T.dvector("x"), T.lvector("i")
    w = rg.shared(np.ones(4))
    f = function([x, i], [x + w, x[i]], updates=[(w, w * 1)])
    good = [np.ones(4), np.array([0, 3])]
    bad = {
        "prepared": [np.ones(3), good[1]],
        "running": [good[0], np.array([4])],
        "refused": [np.ones((2, 2)), good[1]],
    }
    if fails == "interpreted":
        y = T.lvector()
        f, good, bad[fails] = function([y], 2**y), [np.array([1, 2])], [np.array([-1])]
    if fails == "step":

        @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
        def lowered(h):
            if h.min() < 0:
                raise ValueError("below zero")
            return h - 1

        y = T.dvector()
        h, _ = rg.scan(lambda h: lowered(h), outputs_info=y, n_steps=3)
        f, good, bad[fails] = rg.function([y], h, backend=backend), [np.full(100, 2.0)], [np.full(100, 1.0)]
    counts = [sys.getrefcount(a) for a in (*good, *bad[fails])]
    f(*good)
    error = TypeError if fails == "refused" else IndexError if fails == "running" else ValueError

    def work():
        try:
            f(*bad[fails])
        except error:
            return
        raise AssertionError("nothing was raised")

    assert_leaves_nothing(work, CALLS // 10)
    f(*good)
    assert [sys.getrefcount(a) for a in (*good, *bad[fails])] == counts


def test_functions_leave_nothing_behind():
    def work():
        f, arguments = reduced()
        f(*arguments)

    repeat(work, 20)
    before = resident()
    repeat(work, 60)
    assert resident() - before < 60 * 30_000


def test_results_belong_to_the_caller_alone():
    f, arguments = reduced()
    first = f(*arguments)
    kept = [a.copy() for a in first]
    second = f(*arguments)

    assert [sys.getrefcount(a) for a in first] == [3] * len(first)  # of the list, of the comprehension, of the call
    assert all(a.flags.owndata and a.flags.writeable for a in first)
    for a, b, c in zip(first, second, kept, strict=True):
        assert not np.shares_memory(a, b)
        np.testing.assert_array_equal(a, c)


# what a call allocates


@pytest.mark.parametrize(
    "made", [m for m in PROGRAMS if m is not converted], ids=[n for n in NAMES if n != "converted"]
)
def test_after_the_first_calls_no_memory_is_taken_but_for_results(made):
    """The frame's own counters stand still; Python's memory grows by the results, which are kept."""
    f, arguments = made()
    results = [f(*arguments), f(*arguments)]
    before = native(f).counters
    sizes = [a.nbytes for a in (results[0] if isinstance(results[0], list) else [results[0]])]
    tracemalloc.start(1)
    try:
        start = tracemalloc.get_traced_memory()[0]
        results = [f(*arguments) for _ in range(100)]
        grown = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()

    assert native(f).counters == before
    assert len(results) == 100
    assert grown <= 100 * (sum(sizes) + 200 * len(sizes) + 100) + 2000, f"{grown / 100} bytes a call"


# what a pass goes over


def traffic(f, *arguments):
    """The bytes that passes over blocks read and write in a call."""
    f(*arguments)
    before = native(f).traffic
    f(*arguments)
    return native(f).traffic - before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 10, 1000, 1_000_000])
def test_a_chain_reads_its_inputs_and_writes_its_output_once(n, dtype):
    x, y = T.vector(dtype=dtype), T.vector(dtype=dtype)
    f = function([x, y], T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y)))
    values = RNG.normal(size=(2, n)).astype(dtype)

    two = values.itemsize  # the constant
    assert traffic(f, *values) == 3 * values[0].nbytes + two


def test_a_reduction_that_a_chain_feeds_is_gone_over_with_it():
    x, y = T.dmatrix("x"), T.dvector("y")
    z = T.tanh(x + y)
    values = RNG.normal(size=(300, 400)), RNG.normal(size=400)

    moved = traffic(function([x, y], [z.sum(), T.max(z, axis=1)]), *values)
    assert moved == values[0].nbytes + values[1].nbytes + 8 + 300 * 8


def test_what_is_broadcast_is_read_once():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    f = function([x, y], T.exp(x - y))
    moved = traffic(f, RNG.normal(size=(300, 400)), np.broadcast_to(RNG.normal(size=(300, 1)), (300, 400)))

    assert moved == 2 * 300 * 400 * 8 + 300 * 8


def test_a_state_is_read_and_written_once():
    w, g = rg.shared(np.zeros((200, 300))), T.dmatrix()
    f = function([g], [], updates=[(w, w - 0.5 * g)])

    half = 8  # the constant
    assert traffic(f, np.ones((200, 300))) == 3 * 200 * 300 * 8 + half
