"""The pass over blocks: layouts, reductions along any axes, results in the memory of inputs, and its choices."""

import itertools

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import DTYPES, Graph, Plan, TensorType
from refgraph.testing.compare import assert_same
from refgraph_cython import backend
from refgraph_cython.lower.program import program

SHAPES = [(), (1,), (7,), (3000,), (60, 500), (600, 10), (7, 300, 11), (3, 1, 5), (2, 3, 4, 5), (5, 40000)]
"""Less than a block, and several; narrow rows and long ones; enough for several chunks along either axis."""
REDUCTIONS = {
    "sum": T.sum,
    "mean": T.mean,
    "max": T.max,
    "min": T.min,
    "argmax": T.argmax,
    "argmin": T.argmin,
    "all": T.all,
    "any": T.any,
    "logsumexp": T.logsumexp,
    "norm": lambda x, axis: T.norm(x, None, axis),
}
ORDERED = {"max", "min", "argmax", "argmin", "logsumexp"}
"""Those that complex numbers do not have."""


def drawn(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) * 20
    return np.asarray(values + 1j * rng.normal(size=shape) if dtype.startswith("complex") else values).astype(dtype)


def layouts(x):
    """x as it lies, the other way round, backwards, with gaps, and repeated."""
    yield x
    if x.ndim:
        yield x.T
        yield x[..., ::-1]
        yield np.repeat(x, 2, axis=-1)[..., ::2]
        yield np.broadcast_to(x[:1], x.shape)


def assert_agrees(formula, *values, tolerance=20):
    inputs = [TensorType(str(v.dtype), (None,) * v.ndim).variable() for v in values]
    made = formula(*inputs)
    graph = Graph(inputs, list(made) if isinstance(made, (list, tuple)) else [made])
    with np.errstate(all="ignore"):
        want = Plan(graph)(*values)
    for got, wanted in zip(program(graph)(*values), want, strict=True):
        assert_same(got, wanted, tolerance=tolerance)


def function(inputs, outputs, **options):
    return rg.function(inputs, outputs, backend=backend, strict=True, **options)


# steps


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "complex128"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_arrays_may_lie_in_any_way(shape, dtype):
    x = drawn(shape, dtype)
    for a in layouts(x):
        assert_agrees(lambda a, b: a * b + a, a, drawn(a.shape, dtype, 1))


def test_arrays_of_all_shapes_that_broadcast_meet():
    shapes = [(), (1,), (5,), (4, 1), (1, 5), (4, 5), (3, 1, 1), (3, 4, 1), (3, 1, 5)]
    for s, t in itertools.product(shapes, shapes):
        assert_agrees(lambda a, b: a * 2 - b, drawn(s, "float64"), drawn(t, "float64", 1))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_of_no_elements_there_is_nothing(shape):
    assert_agrees(lambda a: [a + 1, T.exp(a) * a], drawn(shape, "float64"))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1023, 1024, 1025, 5000])
def test_a_row_and_a_column_meet_at_any_length(n):
    x, y = drawn((n, 1), "float32"), drawn((1, 70), "float32", 1)
    assert_agrees(lambda x, y: T.tanh(x) * y + x, x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "complex128"])
@pytest.mark.parametrize("m", [9, 64, 65, 127, 129, 300, 700])
def test_rows_that_lie_apart_meet_a_factor_of_each_row_and_an_array_that_lies_across(m, dtype):
    def formula(x, column, row, across):
        total = x * column + across
        more = total * row - column
        return [total, more, T.sum(total, 0), T.sum(more, 1), T.max(abs(total)), T.sum(x), x + 1, total]

    for n in (1, 9, 50):
        x, across = drawn((n, m + 5), dtype)[:, 2:-3], drawn((m, n), dtype, 1).T
        assert_agrees(formula, x, drawn((n, 1), dtype, 2), drawn((1, m), dtype, 3), across)


def test_a_group_of_single_numbers_is_computed_at_once():
    x, y = T.dscalars("xy")
    f = function([x, y], [x * y + 1, T.exp(x) - y, x])

    for got, want in zip(f(0.5, 2.0), [2.0, np.exp(0.5) - 2, 0.5], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)
        assert got.shape == ()


def test_many_values_of_several_sizes_share_registers():
    def formula(x, y):
        total = x
        for i in range(1, 25):
            total = T.switch(T.gt(total, i), total - y * i, T.cast(T.cast(total, "float32") * i, "float64") / 7)
        return total

    x = drawn(3000, "float64")
    inputs = [T.dvector("x"), T.dvector("y")]
    f = function(inputs, formula(*inputs))
    g = rg.function(inputs, formula(*inputs), backend="numpy")
    np.testing.assert_allclose(f(x, x[::-1]), g(x, x[::-1]), rtol=1e-5)


# reductions


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_reduction_may_be_along_any_axes_of_any_layout(shape, name):
    for dtype in ("float32", "float64", "int8"):
        for x in layouts(drawn(shape, dtype)):
            for n in range(len(shape) + 1):
                for axes in itertools.combinations(range(len(shape)), n):
                    assert_agrees(lambda x, axes=axes: REDUCTIONS[name](x, axis=axes), x, tolerance=40)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (dtype, name)
        for dtype in DTYPES
        for name in REDUCTIONS
        if dtype != "float16" and not (dtype.startswith("complex") and name in ORDERED)
    ],
)
def test_a_reduction_may_be_of_any_dtype(dtype, name):
    for shape in [(), (9,), (2000,), (40, 300), (300, 40)]:
        for axes in [None, -1, 0] if shape else [None]:
            assert_agrees(lambda x, axes=axes: REDUCTIONS[name](x, axis=axes), drawn(shape, dtype), tolerance=40)


@pytest.mark.parametrize("extreme", [T.argmax, T.argmin])
def test_the_first_of_equal_elements_is_found_and_the_first_nan_before_all(extreme):
    rng = np.random.default_rng(0)
    for shape in [(50,), (5000,), (300, 700), (700, 300), (20, 30, 40)]:
        x = rng.integers(0, 3, shape).astype("float64")
        with_nans = np.where(rng.random(shape) < 3 / x.size, np.nan, x)
        for y, axis in itertools.product([x, with_nans, x.T, with_nans.T], [None, 0, -1]):
            assert_agrees(lambda y, axis=axis: extreme(y, axis=axis), y)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_reductions_of_infinities_and_nans_are_the_interpreters(value):
    for n, at in itertools.product([3, 100, 3000], [0, -1, 2]):
        x = drawn(n, "float64")
        x[at] = value
        for name in ("sum", "mean", "max", "min", "argmax", "argmin", "logsumexp", "norm"):
            assert_agrees(lambda x, name=name: REDUCTIONS[name](x, axis=0), x)
            assert_agrees(lambda x, name=name: REDUCTIONS[name](x, axis=0), np.full((n, 3), value))
            assert_agrees(lambda x, name=name: REDUCTIONS[name](x, axis=1), np.full((3, n), value))


def test_logsumexp_neither_overflows_nor_underflows():
    for x in (np.full(2000, 1000.0), np.full(2000, -1000.0), np.linspace(-800, 800, 2001), np.array([-np.inf, 3.0])):
        assert_agrees(T.logsumexp, x)
        assert_agrees(lambda y: T.logsumexp(y, axis=0), np.stack([x, x[::-1], x], axis=1))


def test_a_sum_of_doubles_is_as_exact_as_one_by_halves():
    x = np.random.default_rng(0).random(3_000_000) + 1e6
    exact = np.sum(x.astype(np.longdouble))
    inputs = [T.dvector("x")]

    got = function(inputs, T.sum(inputs[0]))(x)
    assert abs(got - exact) <= 4 * np.spacing(float(exact))


def test_integers_wrap_in_sums_and_products():
    x = np.full((3, 4000), 2**61 + 1)
    assert_agrees(lambda x: [T.sum(x), T.sum(x, axis=0), T.prod(x, axis=1)], x)


def test_integers_have_no_negative_powers():
    x, y = T.lvectors("xy")
    f = function([x, y], x**y)

    np.testing.assert_array_equal(f([2, -3, 0, 7], [10, 3, 0, 1]), [1024, -27, 1, 7])
    with pytest.raises(ValueError, match="negative"):
        f([2, 3], [1, -1])


# groups


def grouped():
    x, b = T.dmatrix("x"), T.dvector("b")
    y = T.tanh(x + b)
    return [x, b], [y, y.sum(0), (y * y).sum(1), y.max(), y.argmax(1), T.logsumexp(y, axis=0), y.mean()]


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (60, 500), (500, 7), (1000, 1000), (0, 3)], ids=str)
def test_a_group_computes_what_it_stores_and_what_it_reduces(shape):
    inputs, outputs = grouped()
    outputs = outputs if shape[0] else outputs[:3]
    x, b = drawn(shape, "float64") / 20, drawn(shape[1], "float64", 1)
    f, g = function(inputs, outputs), rg.function(inputs, outputs, backend="numpy")

    for got, want in zip(f(x, b), g(x, b), strict=True):
        assert_same(got, want, tolerance=20)


def test_results_do_not_depend_on_the_number_of_threads():
    inputs, outputs = grouped()
    x, b = drawn((1000, 700), "float64"), drawn(700, "float64", 1)
    with rg.config.change_flags(threads=1):
        alone = function(inputs, outputs)(x, b)
    with rg.config.change_flags(threads=2):
        together = function(inputs, outputs)(x, b)

    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


# updates in place


@pytest.mark.parametrize("n", [1, 10, 100_000])
def test_an_update_may_be_written_over_what_the_group_reads(n):
    w = rg.shared(drawn(n, "float64"))
    v = T.dvector("v")
    before, step = w.get_value(), drawn(n, "float64", 1)
    new = w - 0.1 * v
    f = function([v], [(w * w).sum(), w.max(), new * 2], updates=[(w, new)])
    total, greatest, twice = f(step)

    want = before - 0.1 * step
    np.testing.assert_allclose(w.get_value(), want, rtol=1e-14)
    np.testing.assert_allclose([total, greatest], [(before * before).sum(), before.max()], rtol=1e-12)
    np.testing.assert_allclose(twice, 2 * want, rtol=1e-14)


def test_two_updates_of_one_group_may_read_both_old_values():
    a, b = rg.shared(drawn(5000, "float64")), rg.shared(drawn(5000, "float64", 1))
    x, y = a.get_value(), b.get_value()
    function([], [], updates=[(a, T.tanh(a) + b), (b, T.tanh(b) - a)])()

    np.testing.assert_allclose(a.get_value(), np.tanh(x) + y, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(b.get_value(), np.tanh(y) - x, rtol=1e-13, atol=1e-13)
