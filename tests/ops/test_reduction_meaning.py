"""The outside judge of the reductions: every row against exact arithmetic, in Python's numbers or long double.

Sums and products are held to fractions, which round nothing; what has a logarithm or a root to long double.
"""

import math
from fractions import Fraction
from functools import reduce
from operator import and_, or_, xor

import numpy as np
import pytest

import refgraph.ops  # noqa: F401  (the vocabulary declares itself on import)
from refgraph.core.op import OPS
from refgraph.ops.reductions import Row
from refgraph.ops.tensor import TensorType

ROWS = {name: op for name, op in OPS.items() if isinstance(op, Row)}
INF, NAN = math.inf, math.nan

FINITE = [
    [1.0],
    [0.1] * 10,
    [1e-3, 1e3, -1e3, 7.0],
    [-0.0, 0.0, 0.0],
    [3.0, -3.0, 1e-30],
    [0.5, 2.0, 0.25, 8.0, 1.5],
    [1e-40, 1e-40, 2e-40],  # denormal in single precision
    list(np.linspace(-4, 4, 101)),
    list(np.geomspace(1e-6, 1e6, 64)),
]
SPECIAL = [[INF, 1.0], [-INF, 1.0], [INF, -INF], [NAN, 1.0], [1.0, NAN, INF], [-INF, -INF], [INF, INF]]


def first(values, best):
    """The place of the first extreme, NaN being more extreme than anything."""
    strange = [i for i, v in enumerate(values) if v != v]
    return strange[0] if strange else values.index(best(values))


def extreme(values, best):
    return NAN if any(v != v for v in values) else best(values)


def logsumexp(values):
    top = max(values)
    terms = np.exp(np.array(values, np.longdouble) - np.longdouble(top))
    return np.longdouble(top) + np.log(terms.sum())


def euclidean(values):
    return np.sqrt(sum(np.longdouble(v) ** 2 for v in values))


def fractions(values):
    return [Fraction(v) for v in values]


# what each row is of finite numbers, and how many units in the last place of the sum of magnitudes it may be off
FLOATS = {
    "sum": (lambda v: sum(fractions(v)), lambda v: sum(map(abs, v)), 4),
    "mean": (lambda v: sum(fractions(v)) / len(v), lambda v: sum(map(abs, v)) / len(v), 4),
    "prod": (lambda v: math.prod(fractions(v)), None, 64),
    "prod_no_zeros": (lambda v: math.prod(fractions(v)), None, 64),
    "max": (lambda v: extreme(v, max), None, 0),
    "min": (lambda v: extreme(v, min), None, 0),
    "argmax": (lambda v: first(v, max), None, 0),
    "argmin": (lambda v: first(v, min), None, 0),
    "all": (lambda v: all(map(bool, v)), None, 0),
    "any": (lambda v: any(map(bool, v)), None, 0),
    "count_nonzero": (lambda v: sum(map(bool, v)), None, 0),
    "logsumexp": (logsumexp, lambda v: 1 + max(map(abs, v)), 4),
    "norm": (euclidean, None, 8),
}
BITS = {"bitwise_and_reduce": and_, "bitwise_or_reduce": or_, "bitwise_xor_reduce": xor}


def answer(name, array, axis=0):
    with np.errstate(all="ignore"):
        return ROWS[name](TensorType(array.dtype.name, (None,) * array.ndim)(), axis=axis).owner.op.impl(array)


def test_every_row_is_judged():
    assert set(ROWS) == FLOATS.keys() | BITS.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FLOATS)
def test_of_finite_numbers(name, dtype):
    exact, scale, units = FLOATS[name]
    info = np.finfo(dtype)
    for row in FINITE:
        values = [float(v) for v in np.array(row, dtype)]
        want, got = exact(values), answer(name, np.array(values, dtype))
        size = scale(values) if scale else abs(want)
        if size > float(info.max):
            continue
        allowed = units * max(float(info.eps) * float(size), float(info.smallest_subnormal))
        assert abs(Fraction(float(got)) - Fraction(float(want))) <= Fraction(allowed), (row[:5], got, want)


def test_some_finite_numbers_are_always_judged():
    assert all(sum(map(abs, map(float, np.array(row, "float32")))) < 1e38 for row in FINITE)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("sum", [INF, -INF, NAN, NAN, NAN, -INF, INF]),
        ("mean", [INF, -INF, NAN, NAN, NAN, -INF, INF]),
        ("prod", [INF, -INF, -INF, NAN, NAN, INF, INF]),
        ("prod_no_zeros", [INF, -INF, -INF, NAN, NAN, INF, INF]),
        ("max", [INF, 1.0, INF, NAN, NAN, -INF, INF]),
        ("min", [1.0, -INF, -INF, NAN, NAN, -INF, INF]),
        ("argmax", [0, 1, 0, 0, 1, 0, 0]),
        ("argmin", [1, 0, 1, 0, 1, 0, 0]),
        ("all", [True] * 7),
        ("any", [True] * 7),
        ("count_nonzero", [2, 2, 2, 2, 3, 2, 2]),
        ("logsumexp", [INF, 1.0, INF, NAN, NAN, -INF, INF]),
        ("norm", [INF, INF, INF, NAN, NAN, INF, INF]),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_of_infinities_and_nan(name, want, dtype):
    got = [answer(name, np.array(row, dtype)) for row in SPECIAL]
    np.testing.assert_array_equal(np.array(got, "float64"), np.array(want, "float64"))


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("sum", 0.0),
        ("prod", 1.0),
        ("prod_no_zeros", 1.0),
        ("mean", NAN),
        ("all", 1.0),
        ("any", 0.0),
        ("count_nonzero", 0.0),
        ("norm", 0.0),
        ("logsumexp", -INF),
    ],
)
def test_of_nothing(name, want):
    np.testing.assert_array_equal(float(answer(name, np.zeros((0,)))), want)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
@pytest.mark.parametrize(
    "name", ["sum", "prod", "max", "min", "argmax", "argmin", "all", "any", "count_nonzero", *BITS]
)
def test_of_integers(name, dtype):
    info = np.iinfo(dtype)
    for row in ([int(info.max)] * 2, [int(info.min), 1, 2], [3, 0, 5, 3], [7]):
        want = reduce(BITS[name], row) if name in BITS else math.prod(row) if name == "prod" else FLOATS[name][0](row)
        got = answer(name, np.array(row, dtype))
        wide = np.iinfo(got.dtype) if got.dtype.kind in "iu" else None
        assert int(got) == (int(want) if wide is None else (int(want) - int(wide.min)) % 2**wide.bits + int(wide.min))


def test_a_float32_sum_is_accumulated_in_double():
    array = np.full(100_000, 0.1, "float32")
    assert answer("sum", array) == np.float32(math.fsum(map(float, array)))
