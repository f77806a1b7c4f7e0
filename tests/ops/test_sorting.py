"""What samples cannot say: ties, NaN, Theano's conventions for the greatest k, where derivatives go, error texts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import AxisError, DisconnectedInputError, DTypeError, GraphTypeError, ShapeError
from refgraph.interp.evaluate import evaluate
from refgraph.ops import sorting as S
from refgraph.ops.reductions import sum as total
from refgraph.ops.tensor import DTYPES, TensorType, constant
from refgraph.testing.checks import symbol, value_of

NAN = np.nan


def gradient(build, array):
    """The gradient of the sum of `build(x)` at an array."""
    return value_of(lambda x: grad(total(build(x)), x), array)


# sort and argsort


@pytest.mark.parametrize("dtype", DTYPES)
def test_sorting_is_numpys_and_stable(dtype):
    x = np.array([[3, 0, 1, 1, 0, 2]] * 2).astype(dtype)
    if dtype.startswith("complex"):
        x = x + np.array([0, 1j, 2j, 1j, 0, 0]).astype(dtype)
    assert S.sort(symbol(x)).type.dtype == dtype
    assert S.argsort(symbol(x)).type.dtype == "int64"
    np.testing.assert_array_equal(value_of(S.sort, x), np.sort(x), strict=True)
    np.testing.assert_array_equal(value_of(S.argsort, x), np.argsort(x, kind="stable"), strict=True)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_every_axis_is_numpys(ndim):
    array = np.random.default_rng(ndim).integers(0, 5, (3, 4, 5)[:ndim])
    x = symbol(array, known=True)
    for axis in (None, *range(-ndim, ndim), constant(0), np.int8(-1)):
        plain = axis if axis is None else int(getattr(axis, "value", axis))
        ordered, places = S.sort(x, axis), S.argsort(x, axis)
        got = evaluate([ordered, places], {x: array})
        assert ordered.type.shape == places.type.shape == got[0].shape
        np.testing.assert_array_equal(got[0], np.sort(array, plain))
        np.testing.assert_array_equal(got[1], np.argsort(array, plain, kind="stable"))


@pytest.mark.parametrize("kind", ["quicksort", "mergesort", "heapsort", "stable", None])
def test_every_kind_gives_the_same(kind):
    x = symbol(np.ones(3))
    assert S.argsort(x, kind=kind).owner.op == S.argsort(x).owner.op


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"kind": "bogo"}, GraphTypeError, "sort: no kind 'bogo'"),
        ({"order": ["a"]}, GraphTypeError, "sort: order=.* is for arrays with fields"),
        ({"axis": 1}, AxisError, "sort: no axis 1 in 1 dimension"),
        ({"axis": 0.5}, DTypeError, "sort: an axis is an int"),
    ],
)
def test_bad_options_are_refused(options, error, says):
    for function in (S.sort, S.argsort):
        with pytest.raises(error, match=says):
            function(symbol(np.ones(3)), **options)


@pytest.mark.parametrize("special", [[], [NAN, NAN], [0.5, 0.5], [0.0, -0.0]], ids=str)
def test_a_long_argsort_is_stable(special):
    x = np.random.default_rng(0).normal(size=(2, 1500))
    x[1, 700 : 700 + len(special)] = special
    np.testing.assert_array_equal(value_of(S.argsort, x), np.argsort(x, kind="stable"), strict=True)


def test_the_derivative_of_sort_goes_where_the_elements_go():
    np.testing.assert_array_equal(
        gradient(lambda x: S.sort(x) * np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0, 2.0])), [3, 1, 2]
    )


def test_the_derivative_of_equal_elements_goes_in_their_order():
    weights = np.array([1.0, 2.0, 4.0, 8.0])
    np.testing.assert_array_equal(gradient(lambda x: S.sort(x) * weights, np.array([1.0, 0.0, 1.0, 0.0])), [4, 1, 8, 2])


def test_the_gradient_of_a_sort_of_everything_has_the_shape_of_its_input():
    x = np.array([[3.0, 1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(gradient(lambda x: S.sort(x, None) * np.arange(4.0), x), [[3, 1], [2, 0]])


def test_nothing_flows_through_argsort():
    x = symbol(np.ones(3))
    with pytest.raises(DisconnectedInputError):
        grad(total(S.argsort(x) * 1.0), x)


# topk


def best(elements, k):
    """Places of the k best, the first of equal ones first, NaN being the greatest."""
    high = [(math.isnan(e), 0.0 if math.isnan(e) else e) for e in elements]
    if k > 0:
        return sorted(range(len(high)), key=lambda i: (-high[i][0], -high[i][1], i))[:k]
    return sorted(range(len(high)), key=lambda i: (*high[i], i))[:-k]


elements = st.lists(st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 2.0, math.inf, NAN]), min_size=1, max_size=7)


@given(elements, st.data())
def test_topk_is_the_best_by_definition(elements, data):
    k = data.draw(st.integers(1, len(elements))) * data.draw(st.sampled_from([1, -1]))
    want = best(elements, k)
    x = np.array(elements)
    values, places = value_of(lambda x: S.topk_and_argtopk(x, k), x)

    np.testing.assert_array_equal(places, want)
    np.testing.assert_array_equal(values, x[want])
    np.testing.assert_array_equal(value_of(lambda x: S.argtopk(x, k, sorted=False), x), sorted(want))
    np.testing.assert_array_equal(value_of(lambda x: S.topk(x, k, sorted=False), x), x[sorted(want)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_topk_takes_every_dtype(dtype):
    x = np.array([1, 0, 3, 1]).astype(dtype)
    np.testing.assert_array_equal(value_of(lambda x: S.topk(x, 2), x), np.sort(x)[:1:-1], strict=True)
    np.testing.assert_array_equal(value_of(lambda x: S.topk(x, -2), x), np.sort(x)[:2], strict=True)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("k", [1, 2, -2, 3])
def test_topk_along_an_axis_is_the_end_of_a_sort(axis, k):
    array = np.random.default_rng(abs(k)).standard_normal((3, 4))
    ordered = np.sort(array, axis)
    along = -1 if axis is None else axis
    want = np.take(ordered, range(-1, -k - 1, -1) if k > 0 else range(-k), along)
    x = symbol(array, known=True)
    out = S.topk(x, k, axis)

    assert out.type.shape == want.shape
    np.testing.assert_array_equal(evaluate([out], {x: array})[0], want)


@pytest.mark.parametrize("k", [1, 7, -1, -7])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool", "complex128", "nan"])
def test_topk_of_many_is_the_end_of_a_stable_sort(dtype, k):
    x = np.random.default_rng(k % 5).integers(-300, 300, (2, 1500))
    x = np.where(abs(x) < 298, x, NAN) if dtype == "nan" else (x % 100).astype(dtype)
    order = np.argsort(x, kind="stable") if k < 0 else 1499 - np.argsort(x[:, ::-1], kind="stable")[:, ::-1]
    np.testing.assert_array_equal(value_of(lambda x: S.argtopk(x, k), x), order[:, : abs(k)])
    np.testing.assert_array_equal(value_of(lambda x: S.argtopk(x, k, axis=0), x.T), order[:, : abs(k)].T)


def test_topk_of_many_that_are_nan_takes_the_first():
    x = np.full(1500, NAN)
    np.testing.assert_array_equal(value_of(lambda x: S.argtopk(x, 3), x), [0, 1, 2])
    np.testing.assert_array_equal(value_of(lambda x: S.argtopk(x, -3), x), [0, 1, 2])


def test_kth_may_be_known_only_in_a_call():
    x, k = symbol(np.ones(3)), TensorType("int32", ())("k")
    out = S.topk(x, k)
    array = np.array([1.0, 3.0, 2.0])

    assert out.type.shape == (None,)
    assert [list(evaluate([out], {x: array, k: np.array(n)})[0]) for n in (1, 2, -1)] == [[3.0], [3.0, 2.0], [1.0]]
    with pytest.raises(ValueError, match="topk: k is 4, but axis 0 has length 3"):
        evaluate([out], {x: array, k: np.array(4)})


def test_places_have_the_dtype_asked_for():
    places = S.argtopk(symbol(np.ones(3)), 1, idx_dtype="uint8")
    assert places.type.dtype == "uint8"
    with pytest.raises(DTypeError, match="topk: idx_dtype=float64 is not an integer dtype"):
        S.argtopk(symbol(np.ones(3)), 1, idx_dtype="float64")


@pytest.mark.parametrize(
    ("kth", "error", "says"),
    [
        (0, ShapeError, "topk: k is 0"),
        (4, ShapeError, "topk: k is 4, but axis 1 has length 3"),
        (-4, ShapeError, "topk: k is -4, but axis 1 has length 3"),
        (1.0, DTypeError, "topk: kth is an integer scalar"),
        ([1], DTypeError, "topk: kth is an integer scalar"),
    ],
)
def test_a_bad_kth_is_refused_when_the_graph_is_built(kth, error, says):
    with pytest.raises(error, match=says):
        S.topk(symbol(np.ones((2, 3)), known=True), kth)


def test_the_derivative_of_topk_is_one_at_the_places():
    x = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    np.testing.assert_array_equal(gradient(lambda x: S.topk(x, 2), x), [[0, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(gradient(lambda x: S.topk(x, -1) * 3.0, x), [[3, 0, 0], [3, 0, 0]])


# unique


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64"])
def test_unique_is_numpys(dtype, axis):
    x = np.array([[1, 0, 1], [1, 0, 1], [2, 0, 2]]).astype(dtype)
    got = value_of(lambda x: S.unique(x, True, True, True, axis), x)
    want = list(np.unique(x, True, True, True, axis))
    want[2] = want[2].reshape(x.shape if axis is None else -1)

    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w, strict=True)


def test_each_part_of_unique_comes_alone():
    x = np.array([3.0, 1.0, 3.0])
    assert not isinstance(S.unique(symbol(x)), list)
    for option in ("return_index", "return_inverse", "return_counts"):
        got = value_of(lambda x, o=option: S.unique(x, **{o: True}), x)
        want = np.unique(x, **{option: True})
        assert len(got) == 2
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])


def test_known_lengths_of_unique_stay():
    x = TensorType("float64", (3, 4))("x")
    values, inverse = S.unique(x, return_inverse=True, axis=0)

    assert values.type.shape == (None, 4)
    assert inverse.type.shape == (3,)
    assert S.unique(x, return_inverse=True)[1].type.shape == (3, 4)


def test_the_derivative_of_unique_goes_to_the_first():
    x = np.array([[3.0, 1.0], [3.0, 2.0]])
    np.testing.assert_array_equal(gradient(lambda x: S.unique(x) * np.array([1.0, 2.0, 4.0]), x), [[4, 1], [0, 2]])


# searchsorted


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtypes", [("float64", "float32"), ("int8", "int64"), ("int64", "float64"), ("uint8", "bool")])
def test_searchsorted_is_numpys(dtypes, side):
    x, v = np.array([0, 1, 1, 4]).astype(dtypes[0]), np.array([[1, 0], [5, 4]]).astype(dtypes[1])
    out = S.searchsorted(symbol(x), symbol(v, known=True), side)

    assert (out.type.dtype, out.type.shape) == ("int64", (2, 2))
    np.testing.assert_array_equal(value_of(lambda x, v: S.searchsorted(x, v, side), x, v), np.searchsorted(x, v, side))


def test_searchsorted_takes_an_unsorted_vector_with_its_argsort():
    x = np.array([5.0, 1.0, 3.0])
    got = value_of(lambda x: x.searchsorted([2.0, 4.0], sorter=S.argsort(x)), x)
    np.testing.assert_array_equal(got, [1, 2])


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ((np.ones((2, 2)), 1.0), ShapeError, r"searchsorted: x is float64\[2, 2\], but must be a vector"),
        ((np.ones(2), 1.0, "middle"), GraphTypeError, "searchsorted: side='middle'"),
        ((np.ones(2), 1.0, "left", np.ones(2)), DTypeError, "searchsorted: sorter is a vector of integers"),
    ],
)
def test_searchsorted_says_what_is_wrong(args, error, says):
    with pytest.raises(error, match=says):
        S.searchsorted(*args)


# bincount


def test_bincount_is_numpys():
    x = np.array([1, 4, 1], "uint8")
    np.testing.assert_array_equal(value_of(S.bincount, x), np.bincount(x), strict=True)
    np.testing.assert_array_equal(
        value_of(lambda x: S.bincount(x, minlength=7), x), np.bincount(x, minlength=7), strict=True
    )
    np.testing.assert_array_equal(
        value_of(lambda x: S.bincount(x, minlength=2), x), np.bincount(x, minlength=2), strict=True
    )


def test_bincount_has_a_gradient_by_its_weights():
    x, w = np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0], "float32")
    v = symbol(w)
    out = S.bincount(x, v)
    g = grad(total(out**2), v)
    value, slope = evaluate([out, g], {v: w})

    np.testing.assert_array_equal(value, np.array([2.0, 0.0, 4.0]), strict=True)
    np.testing.assert_array_equal(slope, np.array([8.0, 4.0, 8.0], "float32"), strict=True)


def test_bincount_has_no_gradient_by_what_it_counts():
    x, w = symbol([1, 2]), symbol([1.0, 2.0])
    with pytest.raises(DisconnectedInputError):
        grad(total(S.bincount(x, w)), x)


@pytest.mark.parametrize("assert_nonneg", [False, True])
def test_bincount_refuses_negatives_in_any_case(assert_nonneg):
    with pytest.raises(ValueError, match="negative"):
        value_of(lambda x: S.bincount(x, assert_nonneg=assert_nonneg), np.array([1, -1]))


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ((np.ones(2),), DTypeError, r"bincount: x is a vector of integers, got float64\[2\]"),
        ((np.ones((2, 2), int),), DTypeError, "bincount: x is a vector of integers"),
        ((np.ones(2, int), np.ones(3)), ShapeError, "bincount: x has length 2, weights 3"),
        ((np.ones(2, int), np.ones(2) * 1j), DTypeError, "bincount: weights are a vector of real numbers"),
        ((np.ones(2, int), None, 1.5), DTypeError, "bincount: minlength is an integer"),
    ],
)
def test_bincount_says_what_is_wrong(args, error, says):
    with pytest.raises(error, match=says):
        S.bincount(*args)
