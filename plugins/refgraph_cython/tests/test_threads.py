"""Threads of the pool: results are the same bits however many there are, after a fork too; small work stays on one."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import OPS, Graph, TensorType
from refgraph.random import Stream
from refgraph.testing.compare import assert_bits
from refgraph_cython import _native, backend
from refgraph_cython.lower.program import program

COUNTS = (1, 2, 3)
ROWS = [op for op in OPS.values() if hasattr(op, "over")]
SHAPES = {
    "matrix": ((600, 500), (None, 0, 1)),
    "wide": ((3, 100_001), (None, 0, 1)),
    "tall": ((100_001, 3), (None, 0, 1)),
    "cube": ((40, 90, 85), (None, 0, 1, 2, (0, 2))),
}
"""Shapes of which the work is shared, and axes: inner ones, outer ones, those between."""


@contextmanager
def threads(count):
    """So many threads may be used."""
    before = _native.threads()
    _native.threads(count)
    try:
        yield
    finally:
        _native.threads(before)


def drawn(shape, dtype):
    rng = np.random.default_rng(len(shape))
    if np.dtype(dtype).kind in "iub":
        return rng.integers(0 if np.dtype(dtype).kind in "ub" else -9, 2 if dtype == "bool" else 9, shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def variables(*values):
    return [TensorType(str(v.dtype), (None,) * v.ndim).variable() for v in values]


def assert_same_bits(formula, *values):
    """One thread and several compute the same bits, and several were asked to."""
    inputs = variables(*values)
    made = program(Graph(inputs, formula(*inputs)))
    with threads(1):
        before = _native.jobs()
        wanted = made(*values)
        assert _native.jobs() == before, "one thread is enough for one"
    for count in COUNTS[1:]:
        with threads(count):
            for _ in range(2):
                for k, (got, want) in enumerate(zip(made(*values), wanted, strict=True)):
                    assert_bits(got, want, f"result {k} of {count} threads")
    return _native.jobs() - before


# results


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_all_reductions_are_the_same_bits(dtype, shape):
    lengths, axes = SHAPES[shape]
    x = drawn(lengths, dtype)
    for axis in axes:
        for values in (x, x[::-1, ..., ::-1]):
            rows = [row for row in ROWS if values.dtype.kind in row.on.kinds]
            jobs = assert_same_bits(lambda v, axis=axis, rows=rows: [row.over(v, axis) for row in rows], values)
            assert jobs > 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_chains_and_what_is_reduced_of_them_are_the_same_bits(dtype, shape):
    lengths, _ = SHAPES[shape]
    x, y, row = drawn(lengths, dtype), drawn(lengths, dtype)[::-1], drawn(lengths[-1:], dtype)

    def chains(x, y, row):
        z = T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y)) * row
        return [z, x + y, z.sum(), (z * row).sum(0), z.mean(-1), T.argmax(z, 0), T.max(x - y, -1)]

    assert assert_same_bits(chains, x, y, row) > 0


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
def test_what_is_moved_is_the_same_bits(dtype):
    x = drawn((700, 900), dtype) if dtype != "complex128" else drawn((700, 900), "float64") * (1 + 2j)
    rows = np.random.default_rng(0).integers(0, 700, 2000)

    def moved(x, i):
        return [
            T.concatenate([x.T, x.T], axis=1),
            x.T[:, ::-1].flatten(),
            x.reshape((30, 210, 100)).dimshuffle(2, 0, 1).reshape((900, 700)),
            x[i],
            T.set_subtensor(x[i], 1),
            T.tile(x, (2, 1)),
            T.repeat(x, 2, axis=0),
        ]

    assert assert_same_bits(moved, x, rows) > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_goes_along_lines_is_the_same_bits(dtype):
    x = drawn((900, 400), dtype)

    def along(x):
        return [T.nnet.softmax(x), T.nnet.logsoftmax(x), T.cumsum(x, 0), T.cumprod(x, 1), T.sort(x, 1), T.argsort(x, 0)]

    assert assert_same_bits(along, x) > 0


@pytest.mark.parametrize(
    "shape", [(64, 784, 500), (1000, 3, 700), (500, 900, 1), (1, 900, 500), (301, 303, 307)], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_are_the_same_bits(dtype, shape):
    m, k, n = shape
    x, y = drawn((m, k), dtype), drawn((k, n), dtype)
    jobs = assert_same_bits(lambda x, y: [T.dot(x, y), T.dot(y.T, x.T), T.dot(x, y).sum(0), T.dot(x, x.T)], x, y)
    assert jobs > 0 or min(shape) == 1


@pytest.mark.parametrize(
    ("rows", "shape", "shared"), [(1, (700, 900), 0), (1, (2100, 2000), 1), (5, (700, 900), 0), (60, (700, 900), 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_by_products_are_the_same_bits(dtype, rows, shape, shared):
    """In the memory of the state; those of many rows, or of a large matrix, are shared among threads."""
    x, d, start = drawn((rows, shape[0]), dtype), drawn((rows, shape[1]), dtype), drawn(shape, dtype)
    w = rg.shared(start)
    u, v = T.matrix(dtype=dtype), T.matrix(dtype=dtype)
    updates = [(w, w - 0.125 * T.dot(u.T, v))]
    f = rg.function([u, v], T.dot(v, w.T), updates=updates, backend="cython", strict=True)
    found = []
    for count in COUNTS:
        w.set_value(start)
        with threads(count):
            before = _native.jobs()
            found.append([*[f(x, d) for _ in range(3)], w.get_value()])
            assert (_native.jobs() > before) == (count > 1 and bool(shared))
    for other in found[1:]:
        for k, (got, want) in enumerate(zip(other, found[0], strict=True)):
            assert_bits(got, want, f"result {k}")


def test_draws_are_the_same_bits():
    found = []
    for count in COUNTS:
        stream = Stream(seed=3)
        outputs = [stream.normal(size=(300, 400)), stream.uniform(size=200_000), stream.binomial(9, 0.3, size=100_000)]
        f = rg.function([], outputs, backend=backend, strict=True)
        with threads(count):
            before = _native.jobs()
            found.append([*f(), *f()])
            assert (_native.jobs() > before) == (count > 1)
    for others in found[1:]:
        for got, want in zip(others, found[0], strict=True):
            assert_bits(got, want)


def test_a_step_of_learning_is_the_same_bits():
    x, y, start = drawn((256, 784), "float32"), drawn((256, 300), "float32"), drawn((784, 300), "float32") / 28
    found = []
    for count in COUNTS:
        w, b = rg.shared(start.copy()), rg.shared(np.zeros(300, "float32"))
        X, Y = variables(x, y)
        cost = ((T.tanh(T.dot(X, w) + b) - Y) ** 2).mean()
        step = [(p, p - np.float32(0.1) * T.grad(cost, p)) for p in (w, b)]
        f = rg.function([X, Y], cost, updates=step, backend=backend, strict=True)
        with threads(count):
            found.append([f(x, y), f(x, y), w.get_value(), b.get_value()])
    for others in found[1:]:
        for got, want in zip(others, found[0], strict=True):
            assert_bits(got, want)


# how many


def chain(x):
    return T.tanh(2 * x) * T.exp(-(x**2))


def shared_work(f, *values):
    """How often a call shared its work among threads."""
    before = _native.jobs()
    f(*values)
    return _native.jobs() - before


def test_small_work_stays_on_one_thread():
    x, y = T.dmatrices("x", "y")
    f = rg.function([x, y], [chain(x + y).sum(0), T.dot(x, y), x.T + 1, x[::-1]], backend=backend, strict=True)
    with threads(3):
        assert shared_work(f, *drawn((2, 30, 30), "float64")) == 0
        assert shared_work(f, *drawn((2, 600, 600), "float64")) > 0


def test_the_flag_says_how_many_there_may_be():
    before, x = _native.threads(), T.dvector()
    try:
        for count in (1, 2, 3):
            with rg.config.change_flags(threads=count):
                f = rg.function([x], chain(x), backend=backend)
            assert _native.threads() == count
            assert (shared_work(f, drawn((300_000,), "float64")) > 0) == (count > 1)
    finally:
        _native.threads(before)


def said_by(program, **environment):
    """What another Python prints."""
    given = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | environment
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_the_environment_says_how_many_there_may_be_where_the_flag_does_not():
    program = """if True:
        import refgraph as rg
        import refgraph.tensor as T
        from refgraph_cython import _native
        x = T.dvector()
        rg.function([x], T.exp(x), backend="cython")
        print(_native.threads())
        with rg.config.change_flags(threads=4):
            rg.function([x], T.exp(x), backend="cython")
        print(_native.threads())
    """
    for said, count in (("1", 1), ("3", 3), ("2,1", 2)):
        assert said_by(program, OMP_NUM_THREADS=said) == [str(count), "4"]
    for said in ("", "none"):
        assert said_by(program, OMP_NUM_THREADS=said) == [str(available()), "4"]


def available():
    """The cores that this process may use."""
    return min(64, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1


# several at once


def test_many_threads_of_python_each_get_their_own_bits():
    x = T.dmatrix()
    f = rg.function([x], [chain(x), chain(x).sum(1), T.dot(x, x.T)], backend=backend, strict=True)
    arrays = [drawn((n, 300), "float64") for n in (400, 700, 401, 1)]
    wanted, wrong, start = [f(a) for a in arrays], [], threading.Barrier(4)

    def work(i):
        start.wait()
        for turn in range(20):
            k = (i + turn) % len(arrays)
            for got, want in zip(f(arrays[k]), wanted[k], strict=True):
                if got.tobytes() != want.tobytes():
                    wrong.append((i, turn))

    with threads(2):
        callers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for t in callers:
            t.start()
        for t in callers:
            t.join()

    assert not wrong


FORKS = """if True:
    import faulthandler, os, signal, threading
    import numpy as np
    import refgraph as rg
    import refgraph.tensor as T
    from refgraph_cython import _native

    faulthandler.dump_traceback_later(100, exit=True)
    x, w = T.dmatrix(), rg.shared(np.ones(300))
    z = T.tanh(2 * x) * T.exp(-(x**2))
    with rg.config.change_flags(threads=3):
        f = rg.function([x], [z, z.sum(0), T.dot(x, x.T), T.nnet.softmax(x)], backend="cython", strict=True)
        step = rg.function([x], [], updates=[(w, w + z.sum(0))], backend="cython", strict=True)
    value = np.random.default_rng(0).normal(size=(500, 300))
    wanted = [a.tobytes() for a in f(value)]

    def is_right():
        before = _native.jobs()
        return [a.tobytes() for a in f(value)] == wanted and _native.jobs() > before

    def status(work):
        # What a child answers that does this: 0 where it is done.
        child = os.fork()
        if child == 0:
            found = 3
            try:
                signal.alarm(60)
                found = 0 if work() else 1
            finally:
                os._exit(found)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
"""A program that can fork."""


def test_a_function_works_in_a_child_and_in_its_child():
    program = f"""{FORKS}
    def steps():
        step(value)
        return w.get_value().tobytes() == (1 + f(value)[1]).tobytes()

    for turn in range(5):
        print(status(lambda: is_right() and steps() and status(is_right) == 0))
    print(is_right() and steps())
    """
    assert said_by(program) == ["0"] * 5 + ["True"]


def test_a_function_works_in_a_child_that_is_forked_while_threads_work():
    """But for products by several threads of SciPy's BLAS: a child of a process in the midst of one waits for ever."""
    program = f"""{FORKS}
    stop = threading.Event()

    def work():
        while not stop.is_set():
            f(value)

    callers = [threading.Thread(target=work) for _ in range(2)]
    for t in callers:
        t.start()
    for turn in range(20):
        print(status(lambda: is_right() and is_right()))
    stop.set()
    for t in callers:
        t.join()
    print(is_right())
    """
    assert said_by(program, OPENBLAS_NUM_THREADS="1") == ["0"] * 20 + ["True"]
