"""Passes over blocks beside the interpreter: layouts, lengths around those of blocks, results in the memory of inputs,
reductions along any axes, of any dtype and of special numbers."""

import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import DTYPES, OPS, Graph, Plan, Reduction, TensorType
from refgraph.testing.compare import assert_same
from refgraph_cython import _native, backend
from refgraph_cython.lower.program import kernel, program

RNG = np.random.default_rng(0)
LENGTHS = (0, 1, 2, 15, 17, 63, 64, 65, 255, 256, 257, 511, 513, 1023, 1025, 4099)
"""Below, at and above the lengths of vectors and blocks."""
ORDERED = ("max", "min", "argmax", "argmin")
FOLDS = ("sum", "mean", "prod", "all", "any", "count_nonzero", "norm", "logsumexp", *ORDERED)


def fused(inputs, outputs):
    """A function of compiled kernels alone, and the interpreter's, op by op."""
    return (
        rg.function(inputs, outputs, backend=backend, strict=True),
        rg.function(inputs, outputs, backend="numpy", mode="FAST_COMPILE"),
    )


def variables(*values):
    return [TensorType(str(v.dtype), (None,) * v.ndim).variable(name=f"x{i}") for i, v in enumerate(values)]


def assert_agrees(formula, *values, tolerance=4.0):
    """What is computed of these values is what the interpreter computes, and leaves them as they are."""
    inputs, kept = variables(*values), [v.copy() for v in values]
    outputs = formula(*inputs)
    f, g = fused(inputs, outputs if isinstance(outputs, list) else [outputs])
    wanted = g(*values)
    for got, want in zip(f(*values), wanted, strict=True):
        assert_same(got, want, tolerance=tolerance)
    for value, copy in zip(values, kept, strict=True):
        np.testing.assert_array_equal(value, copy)


def chain(x, y):
    return T.tanh(2 * x + y) * T.exp(-(x**2)) + y


def several(x, y):
    """A group with several results: two that are stored, and reductions of what is stored and of what is not."""
    z = chain(x, y)
    return [z, x * y, z.sum(), (z * x).max(axis=-1), T.mean(x - y, axis=0)]


# lengths and layouts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_a_chain_of_any_length_is_computed_to_its_end(n, dtype):
    assert_agrees(chain, *RNG.normal(size=(2, n)).astype(dtype))


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 10, 31, 33, 100, 300, 700])
@pytest.mark.parametrize("rows", [1, 2, 5, 60, 301])
def test_rows_of_any_length_meet_a_row_and_a_column(rows, columns):
    x, row, column = RNG.normal(size=(rows, columns)), RNG.normal(size=columns), RNG.normal(size=(rows, 1))
    assert_agrees(lambda x, r, c: [chain(x, r) * c, (x + r).sum(1), (x * c).max(0), (r - c).sum()], x, row, column)


def layouts(shape):
    """Arrays of one shape that lie in memory in different ways."""
    more = tuple([2 * n + 1 for n in shape])
    wide = RNG.normal(size=more)
    yield RNG.normal(size=shape)
    yield wide[tuple([slice(1, None, 2)] * len(shape))]
    yield wide[tuple([slice(None, 0, -2)] * len(shape))]
    yield RNG.normal(size=shape[::-1]).T
    yield np.broadcast_to(RNG.normal(size=shape[-1:]), shape)
    yield np.broadcast_to(RNG.normal(size=(*shape[:-1], 1)), shape)
    yield np.broadcast_to(np.array(1.5), shape)


@pytest.mark.parametrize("shape", [(700,), (9, 11), (41, 67), (3, 300), (300, 3), (5, 6, 7), (4, 33, 65)], ids=str)
def test_all_pairs_of_layouts_agree(shape):
    inputs = variables(*[np.empty(shape)] * 2)
    f, g = fused(inputs, several(*inputs))
    for x, y in itertools.product(layouts(shape), repeat=2):
        for got, want in zip(f(x, y), g(x, y), strict=True):
            assert_same(got, want, tolerance=4.0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_axes_in_any_order_are_walked(order):
    x, y = RNG.normal(size=(3, 5, 7, 11)).transpose(order), RNG.normal(size=(3, 1, 7, 1)).transpose(order)
    assert_agrees(lambda x, y: [chain(x, y), (x + y).sum((1, 3)), (x - y).argmax(2)], x, y)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 5)], ids=str)
def test_what_is_empty_is_computed_as_such(shape):
    x, y = np.empty((2, *shape))
    assert_agrees(lambda x, y: [chain(x, y), (x + y).sum(), (x * y).sum(axis=0), T.exp(x - y).all(axis=-1)], x, y)


def test_single_numbers_are_computed_with_and_apart():
    x, s, t = RNG.normal(size=1000), np.array(0.5), np.array(-2.0)
    assert_agrees(lambda x, s, t: [T.exp(s) * x + T.tanh(s * t), T.exp(s) - t, (s + t).sum()], x, s, t)


def test_what_is_smaller_than_the_whole_is_stored_in_its_own_shape():
    x, row, column = RNG.normal(size=(60, 70)), RNG.normal(size=70), RNG.normal(size=(60, 1))
    assert_agrees(lambda x, r, c: [r * 2 + 1, c - 3, x * (r * 2 + 1) + (c - 3)], x, row, column)


def test_shapes_may_change_from_call_to_call():
    inputs = variables(np.empty((1, 1)), np.empty((1, 1)))
    f, g = fused(inputs, several(*inputs))
    for a, b in [((3, 4), (3, 4)), ((3, 4), (1, 4)), ((300, 500), (300, 1)), ((1, 1), (7, 5)), ((3, 4), (3, 4))]:
        x, y = RNG.normal(size=a), RNG.normal(size=b)
        for got, want in zip(f(x, y), g(x, y), strict=True):
            assert_same(got, want, tolerance=4.0)


def test_what_does_not_broadcast_is_refused_and_the_next_call_runs():
    inputs = variables(np.empty((1, 1)), np.empty((1, 1)))
    f, _ = fused(inputs, several(*inputs))
    x = RNG.normal(size=(3, 4))
    with pytest.raises(ValueError, match="broadcast"):
        f(x, x[:, :3])
    assert f(x, x)[0].shape == (3, 4)


def test_many_more_values_than_fit_into_registers_are_computed():
    x, y = RNG.normal(size=(2, 777))

    def wide(x, y):
        terms = [T.sin(x * (k + 1)) + y for k in range(40)]
        total = terms[0]
        for term in terms[1:]:
            total = total * 0.5 + term
        for term in terms:
            total = T.maximum(total, term - 1)
        return total

    assert_agrees(wide, x, y)


@pytest.mark.parametrize(
    "dtypes", list(itertools.product(("bool", "int8", "uint64", "float16", "float32", "complex64"), repeat=2))
)
def test_dtypes_may_be_mixed(dtypes):
    x, y = [
        (RNG.normal(size=(30, 40)) * 3).astype(d) if d != "uint64" else RNG.integers(0, 9, (30, 40)).astype(d)
        for d in dtypes
    ]
    assert_agrees(lambda x, y: [x * y + x, T.eq(x, y), (x + y).sum(0), T.switch(T.neq(x, 0), y, x)], x, y)


# in the memory of inputs


@pytest.mark.parametrize("n", [1, 10, 300, 5000])
def test_a_new_value_may_be_computed_over_the_old_one_that_others_still_read(n):
    w = rg.shared(RNG.normal(size=(n, 3)))
    start, g = w.get_value(), variables(np.empty((1, 3)))[0]
    f = rg.function([g], [w.sum(), (w * g).max(axis=0), w - g], updates=[(w, w * 0.5 - g)], backend=backend)
    given = RNG.normal(size=(n, 3))
    total, most, less = f(given)

    np.testing.assert_allclose(total, start.sum())
    np.testing.assert_array_equal(most, (start * given).max(0))
    np.testing.assert_array_equal(less, start - given)
    np.testing.assert_allclose(w.get_value(), start * 0.5 - given)


def test_states_that_read_one_another_all_read_old_values():
    a, b = rg.shared(RNG.normal(size=4000)), rg.shared(RNG.normal(size=4000))
    old_a, old_b = a.get_value(), b.get_value()
    f = rg.function([], [], updates=[(a, a + b), (b, a * b - b)], backend=backend)
    f()

    np.testing.assert_allclose(a.get_value(), old_a + old_b)
    np.testing.assert_allclose(b.get_value(), old_a * old_b - old_b)


def formulas():
    """New values of a matrix that read the old one in another order than they are written in."""
    yield "transposed", lambda w: w * 2 + w.T
    yield "reversed", lambda w: w * 2 + w[::-1]
    yield "row", lambda w: w * 2 + w[0]
    yield "product", lambda w: w * 0.5 + T.dot(w, w)
    yield "product-of-views", lambda w: w + T.dot(w.T, w)
    yield "shifted", lambda w: T.inc_subtensor(w[1:], w[:-1])


@pytest.mark.parametrize("formula", [f for _, f in formulas()], ids=[name for name, _ in formulas()])
def test_a_state_that_is_read_in_another_order_is_read_as_it_was(formula):
    start = RNG.normal(size=(80, 80))
    w, x = rg.shared(start.copy()), T.dmatrix()
    rg.function([], [], updates=[(w, formula(w))], backend=backend)()

    np.testing.assert_allclose(w.get_value(), rg.function([x], formula(x), backend="numpy")(start))


def test_a_loop_reads_its_old_state_in_another_order():
    h = T.dmatrix()
    states, _ = rg.scan(lambda h: T.tanh(h * 0.5 + h.T + T.dot(h, h)), outputs_info=h, n_steps=4)
    f, g = fused([h], [states[-1]])
    x = RNG.normal(size=(20, 20))

    np.testing.assert_allclose(f(x)[0], g(x)[0])


# reductions


def axes_of(ndim):
    return [None, *[a for n in range(1, ndim) for a in itertools.combinations(range(ndim), n)]]


@pytest.mark.parametrize("keepdims", [False, True], ids=["", "kept"])
@pytest.mark.parametrize("axis", axes_of(3), ids=str)
@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 700, 3), (70, 3, 40), (3, 2, 900), (1, 50, 1)], ids=str)
def test_all_reductions_go_along_any_axes(shape, axis, keepdims):
    x = RNG.normal(size=shape)
    x[RNG.random(shape) < 0.01] = 0

    def each(x):
        given = T.tanh(x)
        return [getattr(T, name, None)(given, axis=axis, keepdims=keepdims) for name in FOLDS if hasattr(T, name)]

    assert_agrees(each, x, tolerance=20.0)
    assert_agrees(each, x.transpose(2, 0, 1), tolerance=20.0)


def one(row, x, axis=None):
    """A reduction alone, as its kernel and as the interpreter have it."""
    (v,) = variables(x)
    out = row.over(v, axis)
    run = kernel(out.owner)
    assert not isinstance(run, str), f"{row.name} of {x.dtype} has no kernel: {run}"
    return run(x), Plan(Graph([v], [out]))(x)[0]


ROWS = [op for op in OPS.values() if hasattr(op, "over")]


@pytest.mark.parametrize("shape", [(7,), (1000,), (40, 50), (3, 900), (900, 3)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_reduction_has_a_kernel_in_every_dtype_that_it_means_something_of(row, dtype, shape):
    if np.dtype(dtype).kind not in row.on.kinds:
        return
    x = row._drawn("blocks", shape, dtype)
    for axis in [None, *range(len(shape))]:
        if row.name.startswith("prod") and np.dtype(dtype).kind in "fc":
            x = np.sign(x.real).astype(dtype) * (1 + x / 1000).astype(dtype)
        with np.errstate(all="ignore"):
            got, want = one(row, x, axis)
        assert_same(got, want, tolerance=20.0)


SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", [*ORDERED, "all", "any", "count_nonzero", "logsumexp", "sum"])
def test_special_numbers_are_reduced_as_by_the_interpreter(name, dtype):
    row = next(r for r in ROWS if r.name == name)
    for n, special in itertools.product((1, 3, 40, 700), SPECIAL):
        x = RNG.normal(size=(n, 5)).astype(dtype)
        x[RNG.integers(n), 1] = special
        x[:, 2] = special
        x[-1, 3], x[n // 2, 4] = special, -special
        for axis in (None, 0, 1):
            with np.errstate(all="ignore"):
                got, want = one(row, x, axis)
                assert_same(got, want, tolerance=20.0)
                assert_same(*one(row, np.ascontiguousarray(x.T).T, axis), tolerance=20.0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32", "float64"])
def test_the_first_of_equal_elements_is_found_along_any_axes(dtype):
    x = RNG.integers(0, 2, (13, 70, 9)).astype(dtype)
    for row, axis in itertools.product([r for r in ROWS if r.name.startswith("arg")], [*axes_of(3)]):
        for array in (x, x.transpose(2, 0, 1), x[::-1, :, ::-1]):
            got, want = one(row, array, axis)
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_sums_of_many_are_as_exact_as_pairwise_ones(axis, dtype):
    x = (RNG.random((2000, 1500)) + 0.1).astype(dtype)
    got, _ = one(next(r for r in ROWS if r.name == "sum"), x, axis)
    exact = x.astype(np.longdouble).sum(axis)

    worst = np.max(np.abs(got - exact) / exact)
    assert worst <= max(1e-15, 1.01 * np.finfo(dtype).eps / 2 if dtype == "float32" else 4 * np.finfo(dtype).eps)


def test_sums_of_integers_wrap():
    x = np.full(3000, np.iinfo("int64").max // 7)
    np.testing.assert_array_equal(*one(next(r for r in ROWS if r.name == "sum"), x))


@pytest.mark.parametrize("name", ORDERED)
def test_nothing_has_no_extreme(name):
    row = next(r for r in ROWS if r.name == name)
    (v,) = variables(np.empty((1, 1)))
    f = rg.function([v], row.over(v, 0), backend=backend, strict=True)
    with pytest.raises(ValueError, match=r"."):
        f(np.empty((0, 3)))
    assert f(np.empty((3, 2))).shape == (2,)


# one pass, and threads


def native(f):
    return f.maker.program.program


def test_a_group_with_reductions_needs_no_memory_but_that_of_its_results():
    n = 1_000_000
    x, y = variables(*np.empty((2, 1)))
    z = chain(x, y)
    for _ in range(10):
        z = T.sin(z) * x + y
    f, _ = fused([x, y], [z.sum(), T.mean(z * x), T.max(z - y)])
    f(*RNG.normal(size=(2, n)))

    assert native(f).counters["bytes"] < n


def test_after_the_first_call_no_memory_is_taken():
    inputs = variables(*np.empty((2, 1, 1)))
    f, _ = fused(inputs, several(*inputs))
    x, y = RNG.normal(size=(2, 30, 500))
    f(x, y)
    before = native(f).counters
    for _ in range(5):
        f(x, y)

    assert native(f).counters == before


def test_results_do_not_depend_on_the_number_of_threads():
    inputs = variables(*np.empty((2, 1, 1)))
    made = program(Graph(inputs, several(*inputs)))
    before, found = _native.threads(), {}
    shapes = [(1000, 1000), (3, 400_000), (400_000, 3), (1, 1_000_001)]
    try:
        for threads in (1, 2, 3):
            _native.threads(threads)
            for shape in shapes:
                x, y = np.random.default_rng(1).normal(size=(2, *shape))
                for k, got in enumerate(made(x, y)):
                    np.testing.assert_array_equal(got, found.setdefault((shape, k), got))
    finally:
        _native.threads(before)


@pytest.mark.parametrize("isa", ["base", "v3"])
def test_lesser_instruction_sets_reduce_the_same(isa):
    if platform.machine() != "x86_64":
        return
    chosen = "special or first or exact or any_length"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__, "-k", chosen]
    done = subprocess.run(command, env=os.environ | {"REFGRAPH_CYTHON_ISA": isa}, capture_output=True, text=True)
    unsupported = f"REFGRAPH_CYTHON_ISA={isa}: there are" in done.stdout + done.stderr
    assert done.returncode == 0 or unsupported, done.stdout[-3000:]


def test_all_reductions_have_kernels():
    assert {row.name for row in ROWS} >= set(FOLDS)
    assert all(isinstance(row.over(T.dvector()).owner.op, Reduction) for row in ROWS if "f" in row.on.kinds)
