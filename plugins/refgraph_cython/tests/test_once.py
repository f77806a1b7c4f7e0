"""Products of one matrix, and what is computed between them, in one pass over it: regression, nets of one example."""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import Gemm, Graph
from refgraph.testing.compare import assert_bits
from refgraph_cython import _native, backend
from refgraph_cython.lower.program import Builder

ROWS, COLUMNS = 700, 800
"""Of a matrix that is large enough in either dtype."""
TOLERANCE = {"float32": 2e-4, "float64": 1e-12}


@contextmanager
def threads(count):
    """So many threads may be used."""
    before = _native.threads()
    _native.threads(count)
    try:
        yield
    finally:
        _native.threads(before)


def drawn(seed, *shape, dtype):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def logistic(dtype, product=T.dot, column=False, transposed=False):
    """A step of logistic regression, and its parameters."""
    x = T.matrix("x", dtype=dtype)
    y = T.matrix("y", dtype=dtype) if column else T.vector("y", dtype=dtype)
    w, b = (rg.shared(np.zeros(shape, dtype)) for shape in ((COLUMNS, 1) if column else COLUMNS, ()))
    p = T.nnet.sigmoid(product(x.T if transposed else x, w) + b)
    xent = -y * T.log(p) - (1 - y) * T.log(1 - p)
    cost = xent.mean()
    rate = np.asarray(0.1, dtype)
    updates = [(v, v - rate * g) for v, g in zip((w, b), rg.grad(cost, [w, b]), strict=True)]
    return [x, y], [p > 0.5, xent, cost], updates, [w, b]


def function(inputs, outputs, updates=(), made_for=backend):
    return rg.function(inputs, outputs, updates=list(updates), backend=made_for, strict=made_for is backend)


def shares(f, *arguments):
    """Whether a call shares work among threads: products of these sizes do not by themselves, nor do passes."""
    with threads(2):
        before = _native.jobs()
        f(*arguments)
        return _native.jobs() > before


def laid(x, how):
    wide = np.zeros((x.shape[0] * 2, x.shape[1] + 3), x.dtype)
    if how == "in wider rows":
        wide[: x.shape[0], 1:-2] = x
        return wide[: x.shape[0], 1:-2]
    if how == "every other row":
        wide[::2, 3:] = x
        return wide[::2, 3:]
    if how == "rows backwards":
        return np.ascontiguousarray(x[::-1])[::-1]
    if how == "columns":
        return np.asfortranarray(x)
    if how == "strided columns":
        return np.repeat(x, 2, axis=1)[:, ::2]
    return x


def assert_steps_agree(makes, calls):
    """Steps of training on the backend and on the interpreter: outputs, and the parameters after all."""
    ours, theirs = makes(), makes()
    f, g = function(*ours[:3]), function(*theirs[:3], made_for="numpy")
    for arguments in calls:
        dtype = str(arguments[0].dtype)
        for got, want in zip(f(*arguments), g(*arguments), strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            if want.dtype != bool:
                np.testing.assert_allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    for a, b in zip(ours[3], theirs[3], strict=True):
        np.testing.assert_allclose(a.get_value(), b.get_value(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    return f


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("how", "is_once"),
    [
        ("rows", True),
        ("in wider rows", True),
        ("every other row", True),
        ("rows backwards", True),
        ("columns", False),
        ("strided columns", None),  # its copying is shared
    ],
)
def test_steps_of_a_regression_are_those_of_the_interpreter_however_the_matrix_lies(how, is_once, dtype):
    x, y = drawn(0, ROWS * (8 // np.dtype(dtype).itemsize), COLUMNS, dtype=dtype), drawn(1, ROWS * 2, dtype=dtype) > 0
    arguments = laid(x, how), y[: len(x)].astype(dtype)

    f = assert_steps_agree(lambda: logistic(dtype), [arguments] * 3)
    assert is_once is None or shares(f, *arguments) == is_once


@pytest.mark.parametrize(
    "form",
    [
        {"column": True},
        {"transposed": True},
        {"column": True, "transposed": True},
        {"product": lambda x, w: T.dot(w, x.T)},
        {"product": lambda x, w: x @ w, "column": True},
    ],
)
def test_it_does_not_matter_how_products_are_written(form):
    x, y = drawn(0, ROWS, COLUMNS, dtype="float64"), (drawn(1, ROWS, dtype="float64") > 0).astype("float64")
    if form.get("column"):
        y = y[:, None]
    arguments = np.ascontiguousarray(x).T if form.get("transposed") else x, y

    f = assert_steps_agree(lambda: logistic("float64", **form), [arguments] * 2)
    assert shares(f, *arguments)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 31, 64, 333, 701])
def test_any_number_of_rows_and_columns_can_follow_another(rows):
    x, w, y = T.dmatrix("x"), T.dvector("w"), T.dvector("y")
    d = T.tanh(T.dot(x, w) - y)
    outputs = [T.dot(d, x), d, (d * y).sum(), T.dot(x.T, d * y)]
    f, g = (function([x, w, y], outputs, made_for=m) for m in (backend, "numpy"))

    for columns in (400, 0, 1, 3, 900, 2 << 18, 401):
        if rows * columns < 1 << 21:
            shapes = (rows, columns), (columns,), (rows,)
            given = [drawn(seed, *shape, dtype="float64") for seed, shape in enumerate(shapes)]
            for got, want in zip(f(*given), g(*given), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_the_same_bits_for_any_number_of_threads(dtype):
    x, y = drawn(0, 3 * ROWS, COLUMNS, dtype=dtype), drawn(1, 3 * ROWS, dtype=dtype)
    wanted = None
    for count in (1, 2, 3):
        inputs, outputs, updates, parameters = logistic(dtype)
        f = function(inputs, outputs, updates)
        with threads(count):
            got = [*f(x, y), *f(x, y), *[p.get_value() for p in parameters]]
        wanted = wanted or got
        for a, b in zip(got, wanted, strict=True):
            assert_bits(a, b, f"{count} threads")


def test_a_sum_of_the_pass_may_multiply_the_second_product():
    x, w, c = T.dmatrix("x"), T.dvector("w"), T.dvector("c")
    d = T.dot(x, w) + 1
    outputs = [c * 3 + (d**2).sum() * T.dot(d, x), d]
    f, g = (function([x, w, c], outputs, made_for=m) for m in (backend, "numpy"))
    given = drawn(0, ROWS, COLUMNS, dtype="float64"), *(drawn(s, COLUMNS, dtype="float64") for s in (1, 2))

    for got, want in zip(f(*given), g(*given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)


def test_a_sum_that_is_a_vector_is_waited_for():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    d = T.sin(T.dot(x, w)).sum(1)
    f, g = (function([x, w], T.dot(d, x), made_for=m) for m in (backend, "numpy"))
    given = drawn(0, ROWS, COLUMNS, dtype="float64"), drawn(1, COLUMNS, 1, dtype="float64")

    np.testing.assert_allclose(f(*given), g(*given), rtol=1e-9)


@pytest.mark.parametrize("makes", [lambda w: w, lambda w: w * 2, lambda w: T.cumsum(w)])
def test_a_vector_is_read_before_it_is_written_over(makes):
    n = 600

    def step():
        x, w = T.dmatrix("x"), rg.shared(drawn(3, n, dtype="float64"))
        v = makes(w)
        d = T.tanh(T.dot(x, v)) + w
        return [x], [T.dot(d, x), T.dot(x.T, d).sum()], [(w, d * 0.5)], [w]

    assert_steps_agree(step, [(drawn(0, n, n, dtype="float64") / n,)] * 3)


def test_a_matrix_that_is_computed_is_read_before_it_is_written_over():
    x, y = T.dmatrix("x"), T.dvector("y")
    z = T.sin(x)
    d = T.dot(z, y) - 1
    f, g = (function([x, y], [T.dot(d, z), T.exp(d)], made_for=m) for m in (backend, "numpy"))
    given = drawn(0, ROWS, COLUMNS, dtype="float64"), drawn(1, COLUMNS, dtype="float64")

    for got, want in zip(f(*given), g(*given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "complex128", "float16"])
def test_other_dtypes_are_computed_apart(dtype):
    x, w = T.matrix("x", dtype=dtype), T.vector("w", dtype=dtype)
    d = T.dot(x, w) - 1
    f, g = (function([x, w], [T.dot(d, x), d], made_for=m) for m in (backend, "numpy"))
    given = [(3 * drawn(s, *shape, dtype="float64")).astype(dtype) for s, shape in enumerate(((ROWS, 400), (400,)))]

    for got, want in zip(f(*given), g(*given), strict=True):
        np.testing.assert_allclose(got, want, rtol=0.1 if dtype == "float16" else 1e-3, atol=1)


def test_what_is_between_is_put_before_or_behind():
    x, w = T.dmatrix("x"), T.dvector("w")
    d = T.cos(T.dot(x, w))
    build = Builder(Graph([x, w], [T.sort(d), T.dot(x.T, d)]))
    build.build()

    assert [t.kernel for t in build._thunks] == ["dimshuffle", "dot", "blocks", "dot", "sort"]


def test_a_profile_names_each_of_the_nodes():
    inputs, outputs, updates, _ = logistic("float64")
    f = rg.function(inputs, outputs, updates=updates, backend=backend, strict=True, profile=True)
    f(drawn(0, ROWS, COLUMNS, dtype="float64"), np.ones(ROWS))

    names = [str(node.op) for node in f.profile.nodes]
    assert {"dot", "gemm"} <= set(names)
    assert any(name.startswith("fused") for name in names)


# a product with a matrix, and its update


def net(dtype, widths, rate=0.1, decay=0.0):
    """A step of a net of tanh layers, and its parameters."""
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    weights = [rg.shared(drawn(n, m, n, dtype=dtype) / np.asarray(6, dtype)) for m, n in pairwise(widths)]
    h = x
    for w in weights:
        h = T.tanh(T.dot(h, w))
    cost = ((h - y) ** 2).sum() + decay * sum([(w**2).sum() for w in weights])
    rate = np.asarray(rate, dtype)
    updates = [(w, w - rate * g) for w, g in zip(weights, rg.grad(cost, weights), strict=True)]
    return [x, y], [cost], updates, weights


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(7, 33, 40, 3), (5, 32, 31), (3, 100, 131, 65), (64, 64, 64), (1, 200, 0)])
def test_steps_of_nets_are_those_of_the_interpreter_for_one_example_and_for_more(widths, dtype):
    with rg.config.change_flags(floatX=dtype):
        for decay in (0.0, 0.125):
            calls = [
                (drawn(s, rows, widths[0], dtype=dtype), drawn(s + 1, rows, widths[-1], dtype=dtype))
                for s, rows in enumerate((1, 1, 2, 1, 0, 1))
            ]
            assert_steps_agree(lambda decay=decay: net(dtype, widths, decay=decay), calls)


def test_a_value_that_somebody_holds_is_not_written_over():
    inputs, outputs, updates, weights = net("float64", (20, 50, 40))
    f = function(inputs, outputs, updates)
    held = [w.get_value(borrow=True) for w in weights]
    before = [v.copy() for v in held]
    f(drawn(0, 1, 20, dtype="float64"), drawn(1, 1, 40, dtype="float64"))

    for value, wanted, w in zip(held, before, weights, strict=True):
        np.testing.assert_array_equal(value, wanted)
        assert not np.array_equal(w.get_value(), wanted)


def test_an_update_follows_the_last_product_with_what_it_replaces():
    x, d, w = T.dmatrix("x"), T.dmatrix("d"), T.dmatrix("w")
    back = T.dot(d, w.T)
    new = Gemm()(w, T.constant(-0.1), x.T, d, T.constant(1.0))
    build = Builder(Graph([x, d, w], [T.tanh(back), new]), states={1: 2})
    build.build()

    assert [t.kernel for t in build._thunks] == ["dimshuffle", "dimshuffle", "dot", "gemm", "blocks"]
