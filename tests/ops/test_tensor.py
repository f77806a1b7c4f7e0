"""TensorType: one object for equal types, of which only those in use are kept."""

import gc
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError, InputError
from refgraph.ops.tensor import Cache, TensorType


def test_a_cache_begins_anew_when_it_is_full():
    cache = Cache()
    for n in range(cache.most):
        cache[n] = n
    assert len(cache) == cache.most
    cache["one more"] = 1
    assert cache == {"one more": 1}


def test_types_and_what_ops_remember_of_them_stay_bounded():
    x, used = T.dvector("x"), TensorType("float64", (7, 7, 7))
    most, before = TensorType._recent.most, len(TensorType._made)
    for n in range(1, 6 * most):
        y = TensorType("float64", (n, 3, 1, 4))()
        item, total = y[0], y + x
        assert (item.type.shape, total.type.shape) == ((3, 1, 4), (n, 3, 1, 4))
    gc.collect()
    assert len(TensorType._made) < before + 5 * most
    for cache in (TensorType._recent, total.owner.op._types, item.owner.op._types):
        assert 0 < len(cache) <= most
    assert TensorType("float64", (7, 7, 7)) is used


def test_threads_that_make_a_type_at_once_get_the_same():
    def make(n):
        return [TensorType("int8", (n, k)) for k in range(50)]

    with ThreadPoolExecutor(8) as pool:
        for n in range(1000, 1010):
            TensorType._recent.clear()
            first, *others = pool.map(make, [n] * 8)
            assert all(a is b for other in others for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("given", "shape"),
    [((np.int64(3), None), (3, None)), ((True, False), (1, None)), ([np.True_, 0], (1, 0)), (iter([2]), (2,))],
    ids=str,
)
def test_lengths_are_integers_none_or_theanos_booleans(given, shape):
    made = TensorType("float64", given).shape
    assert made == shape
    assert all(type(n) in (int, type(None)) for n in made)


@pytest.mark.parametrize("given", [3, "ab", ("a",), (-1,), (2.7,), (np.int64(-2),), (T.lscalar("n"),), 2.5], ids=str)
def test_what_is_no_shape_is_refused(given):
    with pytest.raises(GraphTypeError, match="is not a shape"):
        TensorType("float64", given)


@pytest.mark.parametrize(
    ("dtype", "given", "want"),
    [
        ("float64", 2**70, 2.0**70),
        ("float32", -(2**70), -(2.0**70)),
        ("complex128", 2**70, 2.0**70),
        ("float64", np.longdouble(3), 3.0),
        ("int64", np.longdouble(3), 3),
        ("float64", [2**70, 0.5], [2.0**70, 0.5]),
        ("float64", Fraction(1, 2), 0.5),
    ],
    ids=str,
)
def test_a_number_that_converts_exactly_is_a_value(dtype, given, want):
    got = TensorType(dtype, (None,) * np.ndim(want)).filter(given)
    np.testing.assert_array_equal(got, np.array(want, dtype), strict=True)


@pytest.mark.parametrize(
    ("dtype", "given", "says"),
    [
        ("float64", 2**70 + 1, "int does not fit into float64 without loss"),
        ("float64", 10**400, "too large"),
        ("int64", 2**70, "too large"),
        ("float64", Fraction(1, 3), "Fraction does not fit into float64"),
        ("int64", np.longdouble(3.5), "longdouble does not fit into int64"),
        ("float64", None, "dtype object"),
        ("float64", "1", "dtype <U1"),
        ("float64", np.array(2**70, object), "dtype object"),
    ],
    ids=str,
)
def test_a_number_that_does_not_convert_exactly_is_no_value(dtype, given, says):
    with pytest.raises(InputError, match=says):
        TensorType(dtype, ()).filter(given)
