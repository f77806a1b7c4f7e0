"""What draws read, bit by bit, and that their numbers are independent.

Every test has a fixed state, so it gives one answer for ever.
"""

import math

import numpy as np
import pytest
import scipy.stats

import refgraph.tensor as T
from refgraph.ops import distributions, philox, random
from refgraph.ops.rejection import _log_binomial_ratio, _log_poisson, _summed, binomial_counts, poisson_counts
from refgraph.ops.tensor import INTEGERS
from refgraph.testing.checks import value_at

KEY, CALL = 0x0123456789ABCDEF, 7
STATE = np.array([KEY, CALL], np.uint64)
MANY = 40_000

UNIFORM64 = [0.5576818674350726, 0.6513698666801686]
UNIFORM32 = [0.20584452152252197, 0.5576818585395813]
NORMAL64 = [-0.5626851311707953, 0.9226693132548461]
INTEGERS_1000 = [557, 651, 120, 771, 435]
PERMUTED = [2, 5, 7, 4, 0, 1, 3, 6]
BINOMIAL = [[1, 231], [1, 267]]
POISSON = [[3, 276], [3, 321]]


def draw(how, *args, **kwargs):
    """The numbers of a draw of constant parameters."""
    return np.asarray(value_at(how(np.array([KEY, CALL], np.uint64), *args, **kwargs)))


def words32(n, sheet=0):
    return [int(w) for w in philox.words32(KEY, CALL, 0, -(-n // 4), sheet)[:n]]


def words64(n, sheet=0):
    return [int(w) for w in philox.words64(KEY, CALL, 0, -(-n // 2), sheet)[:n]]


# Recipes


def test_uniform_reads_the_top_bits():
    exact = {
        "float64": [(w >> 11) / 2**53 for w in words64(7)],
        "float32": [(w >> 8) / 2**24 for w in words32(7)],
        "float16": [(w >> 21) / 2**11 for w in words32(7)],
    }
    for dtype, expected in exact.items():
        assert draw(distributions.uniform, size=7, dtype=dtype).tolist() == expected


def test_open_uniform_reads_one_bit_less():
    exact = {
        "float64": [((w >> 12) + 0.5) / 2**52 for w in words64(7)],
        "float32": [((w >> 9) + 0.5) / 2**23 for w in words32(7)],
        "float16": [((w >> 22) + 0.5) / 2**10 for w in words32(7)],
    }
    for dtype, expected in exact.items():
        assert value_at(random.RandomUniform((7,), dtype, True)(T.constant(STATE))).tolist() == expected


def normals(pairs, n, bits):
    """Box and Muller, one pair of words after the other."""
    found = []
    for first, second in pairs:
        u = (first + 0.5) / 2**n if n == 32 else ((first >> 12) + 0.5) / 2**52
        t = ((second >> (32 if n == 32 else 64) - bits) + 0.5) / 2**bits
        r = math.sqrt(-2 * math.log(u))
        found.append(r * math.sin(math.pi / 2 * (1 - t)) * (-1 if second & 1 else 1))
        found.append(r * math.sin(math.pi / 2 * t) * (-1 if second & 2 else 1))
    return found


def test_normal_is_the_documented_formula():
    w, v = words32(1000), words64(1000)
    double = np.array(normals(zip(v[::2], v[1::2], strict=True), 64, 52))
    single = np.array(normals(zip(w[::2], w[1::2], strict=True), 32, 30))

    np.testing.assert_array_max_ulp(draw(distributions.normal, size=1000, dtype="float64"), double, 4)
    np.testing.assert_array_max_ulp(draw(distributions.normal, size=1000, dtype="float32"), single.astype("float32"), 1)
    np.testing.assert_array_max_ulp(draw(distributions.normal, size=1000, dtype="float16"), single.astype("float16"), 1)


def test_normal_agrees_with_more_digits():
    mp = pytest.importorskip("mpmath")
    got = draw(distributions.normal, size=200, dtype="float64")
    v = words64(200)
    with mp.workdps(40):
        for j in range(100):
            u, t = (((w >> 12) + mp.mpf(1) / 2) / 2**52 for w in v[2 * j : 2 * j + 2])
            r = mp.sqrt(-2 * mp.log(u))
            for z, part in ((got[2 * j], 1 - t), (got[2 * j + 1], t)):
                exact = r * mp.sin(mp.pi / 2 * part)
                assert abs(abs(z) - exact) <= 4 * np.spacing(abs(z))


@pytest.mark.parametrize("convert", [random._normals32, random._normals64], ids=["32", "64"])
def test_normal_has_no_edge(convert):
    ends = np.iinfo(np.uint32 if convert is random._normals32 else np.uint64)
    words = np.array([a for first in (0, ends.max) for second in (0, 3, ends.max) for a in (first, second)], ends.dtype)
    found = convert(words)

    assert np.isfinite(found).all()
    assert (found != 0).all()
    assert np.abs(found).max() < 8.6


def test_integers_multiply_high():
    v, more = words64(9), words64(9, sheet=1)

    assert draw(distributions.integers, 3, 13, size=9).tolist() == [3 + (w * 10 >> 64) for w in v]
    wide = [-(2**62) + (((a << 64) + b) * 3 * 2**61 >> 128) for a, b in zip(v, more, strict=True)]
    assert draw(distributions.integers, -(2**62), 2**61, size=9).tolist() == wide
    assert draw(distributions.integers, 0, 2**64, size=9, dtype="uint64").tolist() == v


def test_integers_of_mixed_ranges_are_those_of_each():
    high = np.array([10, 2**40, 2**32, 2**32 + 1])
    mixed = draw(distributions.integers, 0, high)

    assert mixed.tolist() == [int(draw(distributions.integers, 0, int(n), size=4)[i]) for i, n in enumerate(high)]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_the_same_in_every_dtype(dtype):
    assert (
        draw(distributions.integers, 5, 100, size=20, dtype=dtype).tolist()
        == draw(distributions.integers, 5, 100, size=20).tolist()
    )


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_reach_the_ends_of_their_dtype(dtype):
    info = np.iinfo(dtype)
    found = draw(distributions.integers, info.min, int(info.max) + 1, size=5000, dtype=dtype)

    assert found.dtype == dtype
    assert found.astype(float).min() < info.min + 0.01 * 2.0**info.bits
    assert found.astype(float).max() > info.max - 0.01 * 2.0**info.bits


def test_bernoulli_compares_a_word():
    p = np.array([0.1, 0.5, 0.9] * 5)

    assert draw(distributions.bernoulli, p).tolist() == [
        int(w < q * 2**32) for w, q in zip(words32(15), p, strict=True)
    ]


def test_bits_are_pinned():
    """Values that no later version may change: programs are reproduced by them."""
    assert draw(distributions.uniform, size=2, dtype="float64").tolist() == UNIFORM64
    assert draw(distributions.uniform, size=2, dtype="float32").tolist() == UNIFORM32
    assert draw(distributions.integers, 1000, size=5).tolist() == INTEGERS_1000
    assert draw(distributions.permutation, 8).tolist() == PERMUTED
    assert draw(distributions.binomial, [5, 1000], 0.25, size=(2, 2)).tolist() == BINOMIAL
    assert draw(distributions.poisson, [3.0, 300.0], size=(2, 2)).tolist() == POISSON
    np.testing.assert_array_max_ulp(draw(distributions.normal, size=2, dtype="float64"), np.array(NORMAL64), 4)


def test_an_element_does_not_depend_on_the_size():
    few, many = draw(distributions.normal, size=5), draw(distributions.normal, size=(3, 50))

    np.testing.assert_array_equal(few, many.reshape(-1)[:5])
    n = np.full(60, 400)
    np.testing.assert_array_equal(draw(distributions.binomial, n[:7]), draw(distributions.binomial, n)[:7])


@pytest.mark.parametrize("how", [distributions.uniform, distributions.normal], ids=["uniform", "normal"])
def test_calls_and_keys_are_independent(how):
    def numbers(key, call):
        return value_at(how(np.array([key, call], np.uint64), size=MANY, dtype="float64"))

    columns = [numbers(1, 0), numbers(1, 1), numbers(2, 0), numbers(2**32 + 1, 0), numbers(1, 2**32)]
    off = np.corrcoef(columns) - np.eye(5)
    assert np.abs(off).max() < 4.5 / math.sqrt(MANY)
    first = columns[0]
    for lag in (1, 2, 3, 4):
        assert abs(np.corrcoef(first[:-lag], first[lag:])[0, 1]) < 4.5 / math.sqrt(MANY)


# Rejection


def test_heights_of_the_rejection_are_the_probabilities():
    n, p = 500.0, 0.3
    k, mode = np.arange(501.0), 150.0
    theirs = scipy.stats.binom(n, p)
    np.testing.assert_allclose(
        _log_binomial_ratio(k, mode, n, p), theirs.logpmf(k) - theirs.logpmf(mode), rtol=1e-9, atol=1e-9
    )
    k = np.arange(300.0)
    np.testing.assert_allclose(_log_poisson(k, 80.5), scipy.stats.poisson(80.5).logpmf(k), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-25, 1e-10, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.999, 1 - 2**-53, 1.0])
@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_binomial_counts_are_of_its_trials_for_the_greatest_and_the_least_numbers(p, word):
    n = np.arange(20)
    n = n[n * min(p, 1 - p) < 10]
    found = binomial_counts(
        n, np.full(len(n), p), np.zeros(len(n)), lambda at, _: (np.full(len(at), word, np.uint64),) * 2
    )

    assert ((found >= 0) & (found <= n)).all()
    possible = scipy.stats.binom(n, p).pmf(found)
    assert (possible > 0).all()


def test_summing_up_ends_at_the_last_count_that_is_possible():
    """Also where rounding leaves the distribution function below u there, and where the next probability is tiny."""
    u, ended = 1 - 2.0**-53, {0: 0.5, 1: 0.25, 2: 0.0}

    def last(ratios):
        return _summed(np.array([u]), np.array([0.5]), lambda x, at: np.full(len(at), ratios[x])).tolist()

    assert last(ended) == [2]
    assert last({0: 0.5, 1: 2.0**-62, 2: 1.0}) == [1]
    assert last({0: 0.5, 1: 2.0**-61, 2: 0.5}) == [2]
    assert last({0: 2.0**-63}) == [0]
    odds = 0.001 / 0.999
    for n in (0, 1, 3):
        first = np.array([0.999**n])
        assert _summed(np.array([u]), first, lambda x, at, n=n: np.full(len(at), (n - x) / (x + 1) * odds))[0] == n
    assert poisson_counts(np.zeros(1), np.arange(1), lambda *_: (np.full(1, 2**64 - 1, np.uint64),) * 2) == [0]
