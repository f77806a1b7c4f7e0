"""What the samples of the rows cannot say: conventions at ties and infinities, every axis form, dtypes, error texts."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import AxisError, DisconnectedInputError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import toposort
from refgraph.core.op import Sample
from refgraph.interp.evaluate import evaluate
from refgraph.ops import reductions as R
from refgraph.ops.tensor import DTYPES, TensorType, constant
from refgraph.testing import checks
from refgraph.testing.checks import op_names, symbol, value_of

INF, NAN = np.inf, np.nan
REAL = [d for d in DTYPES if not d.startswith("complex")]


def gradient(build, array):
    """The gradient of the sum of `build(x)` at an array."""
    return value_of(lambda x: grad(R.sum(build(x)), x), array)


# dtypes


NUMPY = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "max": np.max, "min": np.min, "all": np.all, "any": np.any,
    "argmax": np.argmax, "argmin": np.argmin, "var": np.var, "std": np.std, "ptp": np.ptp,
    "count_nonzero": lambda x: np.count_nonzero(x, axis=(0,)),
}  # fmt: skip
REFUSED = {(name, d) for name in ("max", "min", "argmax", "argmin", "ptp") for d in ("complex64", "complex128")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NUMPY)
def test_dtypes_and_values_are_numpys(name, dtype):
    x = np.array([1, 0, 3, 1]).astype(dtype)
    reduce = getattr(R, name)
    if (name, dtype) in REFUSED or (name, dtype) == ("ptp", "bool"):
        with pytest.raises(DTypeError):
            reduce(symbol(x))
        return
    want = NUMPY[name](x)

    assert reduce(symbol(x)).type.dtype == want.dtype.name
    np.testing.assert_allclose(value_of(reduce, x), want, rtol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("dtype", REAL)
def test_logsumexp_and_norm_of_integers_are_float64(dtype):
    want = dtype if dtype.startswith("float") else "float64"

    assert R.logsumexp(symbol(np.ones(3, dtype))).type.dtype == want
    assert R.norm(symbol(np.ones(3, dtype))).type.dtype == want


def test_dtype_is_of_the_output():
    assert R.sum(symbol(np.ones(3, "int8")), dtype="float32").type.dtype == "float32"
    assert R.mean(symbol(np.ones(3, "int8")), dtype="float32").type.dtype == "float32"
    assert R.prod(symbol(np.ones(3, "float32")), dtype="complex64").type.dtype == "complex64"
    assert R.sum(symbol(np.ones(3)), dtype="float32").type.dtype == "float32"


def test_integers_wrap_in_the_dtype_asked_for_as_in_numpy():
    x = np.array([100, 100, 100], "int8")
    for dtype in ("int8", "uint8", "int16", "uint64"):
        np.testing.assert_array_equal(
            value_of(lambda x, d=dtype: R.sum(x, dtype=d), x), np.sum(x, dtype=dtype), strict=True
        )


def test_float32_accumulates_in_float64():
    """Small numbers vanish beside a great one in float32; with `acc_dtype="float32"` they do."""
    x = np.ones((1001, 2), "float32")  # along a leading axis NumPy adds one after another
    x[0] = 2**24

    np.testing.assert_array_equal(value_of(lambda x: R.sum(x, axis=0), x), [2**24 + 1000] * 2)
    np.testing.assert_array_equal(value_of(lambda x: R.sum(x, axis=0, acc_dtype="float32"), x), [2**24] * 2)
    assert R.sum(symbol(x), acc_dtype="float32").type.dtype == "float32"


def test_mean_of_float16_does_not_overflow():
    x = np.full(1000, 1000, "float16")

    np.testing.assert_array_equal(value_of(R.mean, x), np.float16(1000), strict=True)
    assert value_of(R.sum, x) == INF


def test_integers_may_accumulate_in_floats():
    got = value_of(lambda x: R.prod(x, acc_dtype="float64"), np.array([100, 100], "int8"))
    np.testing.assert_array_equal(got, np.int64(10000), strict=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dtype": "int64"}, "sum: dtype=int64 cannot hold the sum of float64"),
        ({"dtype": "bool"}, "sum: dtype=bool cannot hold the sum of float64"),
        ({"acc_dtype": "float32"}, "sum: acc_dtype=float32 cannot accumulate float64 into float64"),
        ({"acc_dtype": "int64"}, "sum: acc_dtype=int64 cannot accumulate float64 into float64"),
        ({"acc_dtype": "complex128"}, "sum: acc_dtype=complex128 cannot accumulate float64 into float64"),
        ({"dtype": "float8"}, "no dtype 'float8'"),
    ],
)
def test_a_dtype_that_loses_is_refused(options, says):
    with pytest.raises(DTypeError, match=says):
        R.sum(symbol(np.ones(3)), **options)


def test_a_mean_of_integers_is_no_integer():
    with pytest.raises(DTypeError, match="mean: dtype=int64 cannot hold the mean of int64"):
        R.mean(symbol([1, 2]), dtype="int64")


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "logsumexp"])
def test_complex_numbers_have_no_order(name):
    with pytest.raises(DTypeError, match=f"{name} has no meaning for complex128"):
        getattr(R, name)(symbol(np.ones(3) * 1j))


# axes


def axis_forms(ndim):
    """Every way to name every set of axes of a rank."""
    yield None, tuple(range(ndim))
    for n in range(ndim + 1):
        for axes in itertools.permutations(range(ndim), n):
            yield axes, axes
            yield list(axes), axes
            yield tuple(a - ndim for a in axes), axes
            yield tuple(np.int32(a) for a in axes), axes
            if n > 0:
                yield np.array(axes), axes
                yield constant(np.array(axes)), axes
    for a in range(ndim):
        for form in (a, a - ndim, np.int8(a), np.array(a), constant(a), (constant(a),)):
            yield form, (a,)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ndim", range(4))
@pytest.mark.parametrize("name", ["sum", "mean", "max", "any", "prod", "var", "std", "ptp"])
def test_every_axis_form_is_numpys(name, ndim, keepdims):
    array = np.random.default_rng(ndim).standard_normal((2, 3, 4)[:ndim])
    x = symbol(array, known=True)
    forms = list(axis_forms(ndim))
    outputs = [getattr(R, name)(x, axis=form, keepdims=keepdims) for form, _ in forms]
    for out, got, (form, axes) in zip(outputs, evaluate(outputs, {x: array}), forms, strict=True):
        want = NUMPY[name](array, axis=axes, keepdims=keepdims)
        assert out.type.shape == want.shape, form
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=f"{form}", strict=True)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ndim", range(4))
def test_argmax_counts_over_its_axes_in_c_order(ndim, keepdims):
    array = np.random.default_rng(ndim).integers(0, 4, (2, 3, 4)[:ndim])
    x = symbol(array, known=True)
    for form, axes in axis_forms(ndim):
        out = R.argmax(x, axis=form, keepdims=keepdims)
        axes = tuple(sorted(axes))
        kept = [a for a in range(ndim) if a not in axes]
        rows = array.transpose(*kept, *axes).reshape([array.shape[a] for a in kept] + [-1])
        want = np.argmax(rows, axis=-1).reshape(np.sum(array, axis=axes, keepdims=keepdims).shape)
        assert out.type.shape == want.shape
        np.testing.assert_array_equal(evaluate([out], {x: array})[0], want)


def test_static_lengths_of_kept_axes_stay():
    x = TensorType("float64", (None, 3, None, 1))("x")

    assert R.sum(x, axis=2).type.shape == (None, 3, 1)
    assert R.sum(x, axis=(0, 1), keepdims=True).type.shape == (1, 1, None, 1)
    assert R.argmax(x, axis=3).type.shape == (None, 3, None)


@pytest.mark.parametrize(
    ("axis", "error", "says"),
    [
        (2, AxisError, "sum: no axis 2 in 2 dimensions"),
        ((0, -3), AxisError, "sum: no axis -3 in 2 dimensions"),
        ((0, -2), AxisError, r"sum: an axis is repeated in \("),
        ([1, 1], AxisError, r"sum: an axis is repeated in \("),
        (0.5, DTypeError, "sum: an axis is an int, got 0.5"),
        ("x", DTypeError, "sum: an axis is an int, got 'x'"),
        (TensorType("int64", ())("a"), TypeError, "sum: the axis must be known when the graph is built"),
    ],
)
def test_a_bad_axis_is_refused_when_the_graph_is_built(axis, error, says):
    with pytest.raises(error, match=says):
        R.sum(symbol(np.ones((2, 3))), axis=axis)


# nothing to reduce


def test_nothing_has_a_sum_and_a_product():
    x = np.zeros((0, 3))

    np.testing.assert_array_equal(value_of(lambda x: R.sum(x, axis=0), x), np.zeros(3), strict=True)
    np.testing.assert_array_equal(value_of(lambda x: R.prod(x, axis=0), x), np.ones(3), strict=True)
    assert math.isnan(value_of(R.mean, x))
    assert value_of(R.logsumexp, x) == -INF
    assert value_of(R.all, x)
    assert not value_of(R.any, x)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "ptp"])
def test_nothing_has_no_maximum(name):
    x = TensorType("float64", (None, 0))("x")
    with pytest.raises(ShapeError, match=r"axis 1 of float64\[\?, 0\] is empty"):
        getattr(R, name)(x, axis=1)
    assert getattr(R, name)(x, axis=0).type.shape == (0,)
    with pytest.raises(ValueError, match=r"zero-size|empty sequence"):
        value_of(getattr(R, name), np.zeros(0))


# ties, infinities, NaN


def test_derivative_of_max_is_one_at_every_tie():
    np.testing.assert_array_equal(gradient(R.max, np.array([1.0, 3.0, 3.0])), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(gradient(R.min, np.array([3.0, 1.0, 1.0])), [0.0, 1.0, 1.0])


def test_argmax_is_the_first_of_ties():
    assert value_of(R.argmax, np.array([1.0, 3.0, 3.0])) == 1
    assert value_of(R.argmin, np.array([1, 0, 0])) == 1
    assert value_of(R.argmax, np.array([False, True, True])) == 1
    assert value_of(R.argmax, np.array([1.0, NAN, 3.0, NAN])) == 1


def test_nothing_flows_through_argmax():
    x = symbol(np.ones(3))
    with pytest.raises(DisconnectedInputError):
        grad(R.sum(R.argmax(x) * 1.0), x)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "var", "std", "ptp"])
@pytest.mark.parametrize("special", [[1.0, NAN, 2.0], [1.0, INF, 2.0], [-INF, 1.0, INF], [0.0, INF, 1.0]])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinities_propagate_as_in_numpy(name, special):
    x = np.array(special)

    np.testing.assert_array_equal(value_of(getattr(R, name), x), NUMPY[name](x))


def test_derivative_of_max_at_infinity_and_nan():
    np.testing.assert_array_equal(gradient(R.max, np.array([INF, 1.0, INF])), [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(gradient(R.max, np.array([-INF, -INF])), [1.0, 1.0])
    np.testing.assert_array_equal(gradient(R.max, np.array([NAN, 1.0])), [0.0, 0.0])


def test_an_infinite_cotangent_reaches_only_the_greatest():
    x = np.array([0.0, 1.0])
    np.testing.assert_array_equal(gradient(lambda x: R.max(x) * INF, x), [0.0, INF])


@pytest.mark.parametrize(
    ("x", "value", "derivative"),
    [
        ([1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
        ([-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
        ([-INF, 0.0, 0.0], math.log(2), [0.0, 0.5, 0.5]),
        ([INF, 0.0], INF, [1.0, 0.0]),
        ([INF, INF, -INF], INF, [0.5, 0.5, 0.0]),
        ([-INF, -INF], -INF, [0.5, 0.5]),
        ([-INF, -INF, -INF], -INF, [1 / 3, 1 / 3, 1 / 3]),
        ([NAN, 0.0], NAN, [NAN, NAN]),
    ],
)
def test_logsumexp_holds_for_great_numbers_and_infinities(x, value, derivative):
    np.testing.assert_allclose(value_of(R.logsumexp, np.array(x)), value, rtol=1e-15)
    np.testing.assert_allclose(gradient(R.logsumexp, np.array(x)), derivative, rtol=1e-12)


# products and zeros


def test_shares_of_an_infinite_logsumexp_do_not_move():
    for x in ([INF, INF, 1.0], [-INF, -INF, -INF]):
        moved = value_of(lambda x: grad((grad(R.logsumexp(x), x) * np.arange(3.0)).sum(), x), np.array(x))
        np.testing.assert_array_equal(moved, 0)
    rows = np.array([[INF, INF], [0.0, 0.0]], "float32")
    got = gradient(lambda x: R.logsumexp(x, 1), rows)
    np.testing.assert_array_equal(got, np.full((2, 2), 0.5, "float32"), strict=True)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "complex64", "int8", "bool"])
@pytest.mark.parametrize("layout", [lambda x: x, lambda x: x.T, lambda x: x[::-2, ::3], lambda x: x[:0]])
def test_the_norm_of_everything_in_any_layout(dtype, layout):
    x = layout((np.arange(30).reshape(5, 6) % 7).astype(dtype))
    x = x * x.dtype.type(1 + 1j) if dtype == "complex64" else x
    for keepdims in (False, True):
        want = np.sqrt(np.sum(np.abs(x.astype("complex128")) ** 2, keepdims=keepdims))
        np.testing.assert_allclose(value_of(lambda x, k=keepdims: R.norm(x, keepdims=k), x), want, rtol=1e-3)


def products_without(x, order):
    """Every derivative of prod(x) of an order: the product of all others, 0 where an element is taken twice."""
    n = len(x)
    out = np.zeros((n,) * order)
    for taken in itertools.permutations(range(n), order):
        out[taken] = math.prod(x[i] for i in range(n) if i not in taken)
    return out


def derivatives(f, x, order):
    """All derivatives of a scalar function of a vector, by repeated gradients."""
    v = symbol(x)
    found = [f(v)]
    for _ in range(order):
        found = [grad(cost, v)[i] for cost in found for i in range(len(x))]
    return np.reshape(evaluate(found, {v: x}), (len(x),) * order)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_derivatives_of_prod_hold_at_zeros(zeros, order):
    x = np.array([2.0, -3.0, 0.5, 7.0])
    x[:zeros] = 0

    np.testing.assert_allclose(derivatives(R.prod, x, order), products_without(x, order), rtol=1e-12)


def test_derivative_of_prod_at_a_zero_is_theanos():
    np.testing.assert_array_equal(gradient(R.prod, np.array([0.0, 2.0, 3.0])), [6.0, 0.0, 0.0])


@pytest.mark.parametrize(
    "x", [[1e200, 1e200, 1e-300], [1e-200, 1e-200, 1e300], [INF, 2.0, 3.0], [1e-310, 2.0, 1.0], [2.0, 3.0, NAN]]
)
def test_derivative_of_prod_where_the_product_is_out_of_range(x):
    a, b, c = x
    with np.errstate(all="ignore"):
        want = [np.float64(b) * c, np.float64(a) * c, np.float64(a) * b]
    np.testing.assert_allclose(gradient(R.prod, np.array(x)), want, rtol=1e-15)


def test_derivative_of_prod_over_some_axes():
    x = np.array([[[0.0, 2.0], [3.0, 4.0]], [[5.0, 0.0], [0.0, 6.0]]])
    got = gradient(lambda x: R.prod(x, axis=(0, 2)), x)

    np.testing.assert_array_equal(got, [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [72.0, 0.0]]])


def test_a_promise_of_no_zeros_divides():
    x = symbol(np.ones(3))
    assert not any(
        "product_of_others" in node.op.name for node in toposort([grad(R.prod(x, no_zeros_in_input=True), x)])
    )
    got = gradient(lambda x: R.prod(x, no_zeros_in_input=True), np.array([2.0, 3.0, 5.0]))
    np.testing.assert_allclose(got, [15.0, 10.0, 6.0])


def test_prod_of_integers_has_a_gradient():
    x = symbol(np.array([0, 2, 3], "int8"))
    g = grad(R.prod(x, dtype="float64"), x)
    np.testing.assert_array_equal(evaluate([g], {x: np.array([0, 100, 100], "int8")})[0], [10000.0, 0.0, 0.0])


# built of rows


RNG = np.random.default_rng(3)
M = RNG.uniform(0.5, 2, (3, 4)) * RNG.choice([-1, 1], (3, 4))
Z = RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4))
BUILT = [
    Sample("var", R.var, (M,), np.var),
    Sample("var-axis", lambda x: R.var(x, 1, keepdims=True), (M,), lambda x: np.var(x, 1, keepdims=True)),
    Sample("var-ddof", lambda x: R.var(x, 0, ddof=1), (M,), lambda x: np.var(x, 0, ddof=1)),
    Sample("var-ddof-half", lambda x: R.var(x, 0, ddof=0.5), (M,), lambda x: np.var(x, 0, ddof=0.5)),
    Sample("var-corrected", lambda x: R.var(x, 0, ddof=1, corrected=True), (M,), lambda x: np.var(x, 0, ddof=1)),
    Sample("var-complex", lambda x: R.var(x, 0), (Z,), lambda x: np.var(x, 0)),
    Sample("var-float16", lambda x: R.var(x, 0), (M.astype("float16"),), lambda x: np.var(x, 0)),
    Sample("var-float32", lambda x: R.var(x, 0, ddof=1), (M.astype("float32"),), lambda x: np.var(x, 0, ddof=1)),
    Sample("std", R.std, (M,), np.std),
    Sample("std-axis-ddof", lambda x: R.std(x, -1, ddof=1), (M,), lambda x: np.std(x, -1, ddof=1)),
    Sample("std-corrected", lambda x: R.std(x, 0, corrected=True), (M,), lambda x: np.std(x, 0)),
    Sample("std-complex", lambda x: R.std(x, 0), (Z,), lambda x: np.std(x, 0)),
    Sample("std-float16", lambda x: R.std(x, 0), (M.astype("float16"),), lambda x: np.std(x, 0)),
    Sample("std-float32", lambda x: R.std(x, 0, ddof=1), (M.astype("float32"),), lambda x: np.std(x, 0, ddof=1)),
    Sample("ptp", lambda x: R.ptp(x, 1), (M,), lambda x: np.ptp(x, 1)),
    Sample("prod-no-zeros", lambda x: R.prod(x, 0, no_zeros_in_input=True), (M,), lambda x: np.prod(x, 0)),
    *[
        Sample(f"norm-{p}", lambda x, p=p: R.norm(x, p, 0), (M,), lambda x, p=p: np.linalg.norm(x, p, 0))
        for p in (None, 1, 2, 3, 1.5, -1, INF, -INF)
    ],
    Sample("norm-0", lambda x: R.norm(x, 0, 0), (M * (M > 0),), lambda x: np.linalg.norm(x, 0, 0), ()),
    Sample("norm-fro", lambda x: R.norm(x, "fro"), (Z,), np.linalg.norm),
    Sample("norm-2-whole", lambda x: R.norm(x, 2), (M,), np.linalg.norm),
    Sample("norm-1-complex", lambda x: R.norm(x, 1, 1, True), (Z,), lambda x: np.linalg.norm(x, 1, 1, True)),
    Sample("norm-3-integers", lambda x: R.norm(x, 3), (np.array([100, -100], "int8"),), lambda x: 2e6 ** (1 / 3)),
]


@pytest.mark.parametrize("sample", BUILT, ids=lambda s: s.id)
def test_what_is_built_of_rows_has_numpys_values(sample):
    checks.check_value(sample, known=False)
    checks.check_value(sample, known=True)


@pytest.mark.parametrize(
    "sample",
    [s for s in BUILT if s.differentiable is None and s.inputs[0].dtype in ("float64", "complex128")],
    ids=lambda s: s.id,
)
def test_what_is_built_of_rows_has_right_derivatives(sample):
    checks.check_cotangent_types(sample)
    checks.check_transposes(sample)
    checks.check_transposes(sample, known=True)
    checks.check_differences(sample)
    checks.check_second_order(sample)


@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
@pytest.mark.filterwarnings("ignore:Degrees of freedom", "ignore:invalid value", "ignore:divide by zero")
def test_no_degrees_of_freedom_are_as_in_numpy(ddof):
    x = np.array([1.0, 3.0])
    for known in (False, True):
        v = symbol(x, known)
        got = evaluate([R.var(v, ddof=ddof), R.std(v, ddof=ddof)], {v: x})
        np.testing.assert_array_equal(got, [np.var(x, ddof=ddof), np.std(x, ddof=ddof)])


def test_corrected_variance_takes_out_what_rounding_left():
    """In float32 the mean of these is 1e8 + 8, for there is nothing between 1e8 and that."""
    x = np.array([1e8, 1e8 + 8, 1e8 + 8], "float32")

    for corrected, want in ((False, 64 / 3), (True, 128 / 9)):
        v, s = (
            value_of(lambda x, c=corrected: R.var(x, corrected=c), x),
            value_of(lambda x, c=corrected: R.std(x, corrected=c), x),
        )
        np.testing.assert_allclose([v, s**2], [want, want], rtol=1e-6)


def test_norm_and_std_take_the_least_subgradient_at_zero():
    np.testing.assert_array_equal(gradient(R.norm, np.zeros(3)), np.zeros(3))
    np.testing.assert_array_equal(gradient(R.std, np.full(3, 2.0)), np.zeros(3))


def test_norm_refuses_norms_of_matrices():
    with pytest.raises(GraphTypeError, match="norm: ord='nuc' is not a number"):
        R.norm(symbol(np.ones((2, 2))), "nuc")


def test_max_and_argmax_are_both():
    x = np.array([[1.0, 5.0], [7.0, 7.0]])
    v = symbol(x)
    top, place = evaluate(R.max_and_argmax(v, axis=1), {v: x})

    np.testing.assert_array_equal(top, [5.0, 7.0])
    np.testing.assert_array_equal(place, [1, 0])


def test_methods_are_the_functions():
    x = np.array([[1.0, 5.0], [0.0, 7.0]])
    v = symbol(x)
    pairs = [
        (v.sum(axis=0, dtype="float32"), x.sum(axis=0, dtype="float32")),
        (v.prod(), x.prod()), (v.mean(1, keepdims=True), x.mean(1, keepdims=True)), (v.var(0), x.var(0)),
        (v.std(ddof=1), x.std(ddof=1)), (v.max(1), x.max(1)), (v.min(0, True), x.min(0, keepdims=True)),
        (v.argmax(), x.argmax()), (v.argmin(0), x.argmin(0)), (v.ptp(), np.ptp(x)), (v.all(0), x.all(0)),
        (v.any(), x.any()), (v.cumsum(), x.cumsum()), (v.cumprod(1), x.cumprod(1)), (v.norm(1), np.abs(x).sum()),
    ]  # fmt: skip
    for got, (_, want) in zip(evaluate([g for g, _ in pairs], {v: x}), pairs, strict=True):
        np.testing.assert_allclose(got, want, strict=True)


def test_what_is_no_variable_is_taken_too():
    assert evaluate([R.sum([1, 2, 3])], {}) == [6]
    assert R.sum(3.0).type.shape == ()


# the graph


def test_mean_is_one_node():
    assert op_names(R.mean(TensorType("float64", (None, None))())) == ["mean"]


def test_equal_applications_have_equal_ops():
    x, y = (TensorType("float64", (None, 3))() for _ in range(2))

    assert R.sum(x, axis=-1).owner.op is R.sum(y, axis=1).owner.op
    assert R.sum(x).owner.op == R.sum(y, axis=(1, 0)).owner.op
    assert R.sum(x).owner.op != R.sum(x, keepdims=True).owner.op
    assert R.sum(x).owner.op != R.max(x).owner.op


def test_leading_axes_come_back_by_broadcasting():
    x = TensorType("float64", (None, None))("x")

    assert "dimshuffle" not in op_names(grad(R.sum(R.max(x, axis=0)), x))
    assert R.sum(x, axis=0).owner.op.axis == (0,)


def test_the_gradient_of_a_sum_is_one_fill():
    x = TensorType("float64", (None,))("x")

    assert op_names(grad(R.sum(x), x)).count("fill") <= 2


def test_a_reduction_of_a_changed_graph_follows_its_dtype():
    """The rule, not its answer, is part of the op."""
    x = symbol(np.ones(3, "float32"))
    node = R.sum(x).owner
    assert node.with_inputs([symbol(np.ones(3))]).out.type.dtype == "float64"


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=8), st.floats(-500, 500))
def test_logsumexp_moves_with_its_elements(elements, by):
    x = np.array(elements)
    np.testing.assert_allclose(value_of(R.logsumexp, x + by), value_of(R.logsumexp, x) + by, rtol=1e-12, atol=1e-12)


@given(st.sampled_from(["sum", "prod", "max", "min", "all", "any"]), st.permutations(range(3)), st.integers(0, 3))
def test_reducing_axes_one_after_another_is_reducing_them_at_once(name, order, count):
    """Keeping dimensions, so that axes keep their numbers."""
    x = np.random.default_rng(count).integers(-2, 3, (2, 3, 2)).astype(float)
    reduce = getattr(R, name)

    def stepwise(x):
        for axis in order[:count]:
            x = reduce(x, axis=axis, keepdims=True)
        return x

    if count:
        np.testing.assert_array_equal(
            value_of(stepwise, x), value_of(lambda x: reduce(x, tuple(order[:count]), keepdims=True), x)
        )
