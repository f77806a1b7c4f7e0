"""What draws read, how they are distributed, what gradients flow, and what they refuse.

Every test has a fixed state, so it gives one answer for ever; p-values are asked to be above 1e-3 or so.
"""

import math

import numpy as np
import pytest
import scipy.stats

import refgraph
import refgraph.tensor as T
from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.ops import philox, random
from refgraph.ops.rejection import _log_binomial_ratio, _log_poisson, _summed, binomial_counts, poisson_counts
from refgraph.ops.tensor import FLOATS, INTEGERS
from refgraph.testing.checks import op_names, value_at, variable

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


def draw(how, *args, call=CALL, **kwargs):
    """The numbers of a draw of constant parameters."""
    return np.asarray(value_at(how(np.array([KEY, call], np.uint64), *args, **kwargs)))


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
        assert draw(random.uniform, size=7, dtype=dtype).tolist() == expected


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

    np.testing.assert_array_max_ulp(draw(random.normal, size=1000, dtype="float64"), double, 4)
    np.testing.assert_array_max_ulp(draw(random.normal, size=1000, dtype="float32"), single.astype("float32"), 1)
    np.testing.assert_array_max_ulp(draw(random.normal, size=1000, dtype="float16"), single.astype("float16"), 1)


def test_normal_agrees_with_more_digits():
    mp = pytest.importorskip("mpmath")
    got = draw(random.normal, size=200, dtype="float64")
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

    assert draw(random.integers, 3, 13, size=9).tolist() == [3 + (w * 10 >> 64) for w in v]
    wide = [-(2**62) + (((a << 64) + b) * 3 * 2**61 >> 128) for a, b in zip(v, more, strict=True)]
    assert draw(random.integers, -(2**62), 2**61, size=9).tolist() == wide
    assert draw(random.integers, 0, 2**64, size=9, dtype="uint64").tolist() == v


def test_integers_of_mixed_ranges_are_those_of_each():
    high = np.array([10, 2**40, 2**32, 2**32 + 1])
    mixed = draw(random.integers, 0, high)

    assert mixed.tolist() == [int(draw(random.integers, 0, int(n), size=4)[i]) for i, n in enumerate(high)]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_the_same_in_every_dtype(dtype):
    assert (
        draw(random.integers, 5, 100, size=20, dtype=dtype).tolist() == draw(random.integers, 5, 100, size=20).tolist()
    )


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_reach_the_ends_of_their_dtype(dtype):
    info = np.iinfo(dtype)
    found = draw(random.integers, info.min, int(info.max) + 1, size=5000, dtype=dtype)

    assert found.dtype == dtype
    assert found.astype(float).min() < info.min + 0.01 * 2.0**info.bits
    assert found.astype(float).max() > info.max - 0.01 * 2.0**info.bits


def test_bernoulli_compares_a_word():
    p = np.array([0.1, 0.5, 0.9] * 5)

    assert draw(random.bernoulli, p).tolist() == [int(w < q * 2**32) for w, q in zip(words32(15), p, strict=True)]


def test_bits_are_pinned():
    """Values that no later version may change: programs are reproduced by them."""
    assert draw(random.uniform, size=2, dtype="float64").tolist() == UNIFORM64
    assert draw(random.uniform, size=2, dtype="float32").tolist() == UNIFORM32
    assert draw(random.integers, 1000, size=5).tolist() == INTEGERS_1000
    assert draw(random.permutation, 8).tolist() == PERMUTED
    assert draw(random.binomial, [5, 1000], 0.25, size=(2, 2)).tolist() == BINOMIAL
    assert draw(random.poisson, [3.0, 300.0], size=(2, 2)).tolist() == POISSON
    np.testing.assert_array_max_ulp(draw(random.normal, size=2, dtype="float64"), np.array(NORMAL64), 4)


def test_an_element_does_not_depend_on_the_size():
    few, many = draw(random.normal, size=5), draw(random.normal, size=(3, 50))

    np.testing.assert_array_equal(few, many.reshape(-1)[:5])
    n = np.full(60, 400)
    np.testing.assert_array_equal(draw(random.binomial, n[:7]), draw(random.binomial, n)[:7])


# Distributions


@pytest.mark.parametrize(
    ("how", "args", "theirs"),
    [
        (random.uniform, (2, 5), scipy.stats.uniform(2, 3)),
        (random.normal, (1, 2), scipy.stats.norm(1, 2)),
        (random.lognormal, (0.5, 0.25), scipy.stats.lognorm(0.25, scale=math.exp(0.5))),
        (random.truncated_normal, (3, 0.5), scipy.stats.truncnorm(-2, 2, 3, 0.5)),
        (random.truncated_normal, (0, 1, 4, 5), scipy.stats.truncnorm(4, 5)),
        (random.truncated_normal, (0, 1, -np.inf, 0.5), scipy.stats.truncnorm(-np.inf, 0.5)),
        (random.exponential, (2,), scipy.stats.expon(scale=2)),
        (random.laplace, (1, 2), scipy.stats.laplace(1, 2)),
        (random.gumbel, (1, 2), scipy.stats.gumbel_r(1, 2)),
        (random.logistic, (1, 2), scipy.stats.logistic(1, 2)),
        (random.cauchy, (1, 2), scipy.stats.cauchy(1, 2)),
        (random.weibull, (0.8, 2), scipy.stats.weibull_min(0.8, scale=2)),
        (random.gamma, (0.7, 2), scipy.stats.gamma(0.7, scale=2)),
        (random.beta, (0.7, 2), scipy.stats.beta(0.7, 2)),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_draws_have_their_distribution(how, args, theirs, dtype):
    found = draw(how, *args, size=MANY, dtype=dtype)

    assert found.dtype == dtype
    assert scipy.stats.kstest(found.astype("float64"), theirs.cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", FLOATS)
def test_moments(dtype):
    u = draw(random.uniform, size=MANY, dtype=dtype).astype("float64")
    z = draw(random.normal, size=MANY, dtype=dtype).astype("float64")

    assert abs(u.mean() - 0.5) < 4 / math.sqrt(12 * MANY) + 2.0**-12
    assert abs(u.var() - 1 / 12) < 0.002
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < 4 * math.sqrt(spread / MANY)


def agrees(counts, chances):
    """Whether counts fit probabilities (chi-square), where those that expect few are put together."""
    counts, expected = np.asarray(counts, float), np.asarray(chances) * np.sum(counts)
    rare = expected < 8
    assert not counts[expected == 0].any()
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    scale = counts.sum() / expected.sum()
    return scipy.stats.chisquare(counts[keep], expected[keep] * scale).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["int8", "uint64"])
def test_integers_are_equally_likely(dtype):
    found = draw(random.integers, 3, 40, size=MANY, dtype=dtype)

    assert agrees(np.bincount(found)[3:], np.full(37, 1 / 37))


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.95])
def test_bernoulli_has_its_mean(p):
    assert agrees(np.bincount(draw(random.bernoulli, p, size=MANY), minlength=2), [1 - p, p])


@pytest.mark.parametrize(
    ("n", "p"),
    [(1, 0.3), (12, 0.5), (30, 0.25), (39, 0.9), (41, 0.25), (60, 0.5), (1000, 0.02), (1000, 0.7), (10**5, 0.5)],
)
def test_binomial_has_its_distribution(n, p):
    found = draw(random.binomial, n, p, size=MANY)

    assert agrees(np.bincount(found, minlength=n + 1), scipy.stats.binom(n, p).pmf(np.arange(n + 1)))


@pytest.mark.parametrize("n", [10**9, 10**15, 2**53])
def test_binomial_of_many_trials_is_near_a_normal(n):
    z = (draw(random.binomial, n, 0.3, size=MANY) - 0.3 * n) / math.sqrt(0.21 * n)

    assert scipy.stats.kstest(z, "norm").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 3.0, 9.99, 10.0, 35.5, 1000.0])
def test_poisson_has_its_distribution(rate):
    found = draw(random.poisson, rate, size=MANY)
    theirs = scipy.stats.poisson(rate)
    top = int(found.max()) + 1

    assert agrees(np.bincount(found, minlength=top + 1), np.append(theirs.pmf(np.arange(top)), theirs.sf(top - 1)))


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


def test_multinomial_counts_each_category():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    found = draw(random.multinomial, 50, p, size=20_000)

    assert (found.sum(axis=1) == 50).all()
    for j in (0, 2, 3):
        assert agrees(np.bincount(found[:, j], minlength=51), scipy.stats.binom(50, p[j]).pmf(np.arange(51)))
    assert not found[:, 1].any()
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1] + math.sqrt(0.1 * 0.6 / (0.9 * 0.4))) < 0.02


def test_multinomial_of_one_trial_is_one_hot():
    found = draw(random.multinomial, pvals=np.full((1000, 3), 1 / 3))

    assert sorted(set(map(tuple, found.tolist()))) == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert agrees(found.sum(axis=0), [1 / 3] * 3)


def test_categorical_and_choice_follow_their_weights():
    p = [0.1, 0.0, 0.6, 0.3]

    assert agrees(np.bincount(draw(random.categorical, p, size=MANY), minlength=4), p)
    rows = draw(random.categorical, np.array([p, p[::-1]]), size=(MANY, 2))
    assert agrees(np.bincount(rows[:, 0], minlength=4), p)
    assert agrees(np.bincount(rows[:, 1], minlength=4), p[::-1])
    picked = draw(random.choice, np.array([7.0, 8, 9, 10]), MANY, p=np.array(p))
    assert agrees([(picked == x).sum() for x in (7, 8, 9, 10)], p)
    assert agrees(np.bincount(draw(random.choice, 5, MANY)), [0.2] * 5)


def test_permutations_are_equally_likely():
    found = draw(random.permutation, 4, size=24_000)
    codes = found @ [64, 16, 4, 1]

    assert (np.sort(found, axis=1) == np.arange(4)).all()
    assert agrees(np.unique(codes, return_counts=True)[1], [1 / 24] * 24)


def test_choice_without_replacement_is_one_draw_after_the_other():
    """P(i then j) = p_i p_j / (1 - p_i), over many calls."""
    p = np.array([0.5, 0.3, 0.2])
    found = np.array([draw(random.choice, 3, 2, replace=False, p=p, call=c) for c in range(3000)])
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]

    counts = [((found[:, 0] == i) & (found[:, 1] == j)).sum() for i, j in pairs]
    assert agrees(counts, [p[i] * p[j] / (1 - p[i]) for i, j in pairs])


def test_shuffling_moves_whole_rows():
    x = np.arange(12).reshape(4, 3)
    rows, columns = draw(random.permutation, x), draw(random.permutation, x, axis=1)

    assert sorted(rows.tolist()) == x.tolist()
    assert rows.tolist() != x.tolist()
    assert sorted(columns.T.tolist()) == x.T.tolist()


@pytest.mark.parametrize("how", [random.uniform, random.normal], ids=["uniform", "normal"])
def test_calls_and_keys_are_independent(how):
    def numbers(key, call):
        return value_at(how(np.array([key, call], np.uint64), size=MANY, dtype="float64"))

    columns = [numbers(1, 0), numbers(1, 1), numbers(2, 0), numbers(2**32 + 1, 0), numbers(1, 2**32)]
    off = np.corrcoef(columns) - np.eye(5)
    assert np.abs(off).max() < 4.5 / math.sqrt(MANY)
    first = columns[0]
    for lag in (1, 2, 3, 4):
        assert abs(np.corrcoef(first[:-lag], first[lag:])[0, 1]) < 4.5 / math.sqrt(MANY)


# Sizes and dtypes


def test_known_lengths_are_in_the_type():
    n = T.lscalar()
    assert random.uniform(STATE, size=(2, n, 3)).type.shape == (2, None, 3)
    assert random.normal(STATE, variable(4, None), variable(None, 1)).type.shape == (4, None)
    assert random.integers(STATE, 5, size=T.lvector(), ndim=2).type.ndim == 2
    assert random.multinomial(STATE, 3, variable(None, 4), size=2).type.shape == (2, 4)
    assert random.permutation(STATE, variable(4, 2)).type.shape == (4, 2)
    assert random.choice(STATE, 9, (2, 3), replace=False).type.shape == (2, 3)


@pytest.mark.parametrize("floatX", FLOATS)
def test_real_numbers_are_floatX_unless_a_parameter_is_wider(floatX):
    with refgraph.config.change_flags(floatX=floatX):
        assert random.uniform(STATE).dtype == floatX
        assert random.normal(STATE, 1, 2.5, size=3).dtype == floatX
        assert random.uniform(STATE, T.lvector(), 2).dtype == floatX
        assert random.normal(STATE, T.dvector()).dtype == "float64"
        assert random.normal(STATE, T.dvector(), dtype="float32").dtype == "float32"
        assert random.gamma(STATE, 0.5).dtype == floatX
        assert random.beta(STATE, 0.5, 2).dtype == floatX


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "floatX"])
def test_counts_have_the_dtype_asked_for(dtype):
    with refgraph.config.change_flags(floatX="float32"):
        expected = "float32" if dtype == "floatX" else dtype
        assert draw(random.bernoulli, 0.5, size=3, dtype=dtype).dtype == expected
        assert draw(random.binomial, 1, 0.5, size=3, dtype=dtype).dtype == expected


def test_nothing_is_computed_that_changes_nothing():
    assert op_names(random.uniform(STATE, 0, 1, size=3)) == ["random_uniform"]
    assert op_names(random.normal(STATE, size=3)) == ["random_normal"]
    assert op_names(random.normal(STATE, std=2, size=3)) == ["random_normal", "mul"]
    assert op_names(random.bernoulli(STATE, 0.5, size=3, dtype="bool")) == ["random_bernoulli"]


def test_a_parameter_does_not_enlarge_the_size():
    a, n = T.dvector("a"), T.lscalar("n")
    f = refgraph.function([a, n], random.uniform(STATE, a, a + 1, size=n))

    assert f([1.0, 2.0], 2).shape == (2,)
    assert f([1.0], 3).shape == (3,)
    with pytest.raises(ShapeError):
        f([1.0, 2.0], 1)


# Derivatives


@pytest.mark.parametrize(
    ("how", "points"),
    [
        (random.uniform, [[0.5, 1.5], [2.0, 4.0]]),
        (random.normal, [[0.5, 1.5], [2.0, 4.0]]),
        (random.laplace, [[0.5, 1.5], [2.0, 4.0]]),
        (random.weibull, [[0.5, 1.5], [2.0, 4.0]]),
        (random.truncated_normal, [[0.5, 1.5], [2.0, 4.0]]),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
@pytest.mark.parametrize("size", [None, (3, 2)])
def test_gradients_flow_to_parameters(how, points, size):
    T.verify_grad(lambda a, b: how(STATE, a, b, size=size, dtype="float64"), [np.array(p) for p in points])


def test_the_gradient_of_a_normal_draw_is_known():
    avg, std = T.dvector("avg"), T.dscalar("std")
    x = random.normal(STATE, avg, std, dtype="float64")
    by_avg, by_std = refgraph.grad(x.sum(), [avg, std])
    values = refgraph.function([avg, std], [by_avg, by_std, x])
    a, s, z = values([1.0, 2.0, 3.0], 2.0)

    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_allclose(s, ((z - [1, 2, 3]) / 2).sum())


def test_whole_numbers_and_states_have_no_derivative():
    p = T.dvector("p")
    for x in (random.bernoulli(STATE, p, dtype="float64"), random.poisson(STATE, p, dtype="float64")):
        with pytest.raises(refgraph.gradient.DisconnectedInputError):
            refgraph.grad(x.sum(), p)
        with pytest.raises(refgraph.gradient.DisconnectedInputError):
            T.Rop(x, p, p)


# Refusals


def said(call, error):
    with pytest.raises(error) as caught:
        call()
    return f"{caught.value.message} {caught.value.why} {caught.value.help}"


def test_refusals_say_what_to_do():
    assert "endpoint=True" in said(lambda: random.integers(STATE, 3, 3), DomainError)
    assert "wider dtype" in said(lambda: random.integers(STATE, 300, dtype="int8"), DomainError)
    assert "divide them" in said(lambda: random.categorical(STATE, [1.0, 2.0]), DomainError)
    assert "with replacement" in said(lambda: random.choice(STATE, 3, 4, replace=False), DomainError)
    assert "size=(2, 3)" in said(lambda: random.normal(STATE, (2, 3)), GraphTypeError)
    for how in (random.normal, random.uniform, random.binomial, random.bernoulli):
        assert "size=x.shape" in said(lambda how=how: how(STATE, T.dmatrix().shape), GraphTypeError)
    assert "integers" in said(lambda: random.uniform(STATE, dtype="int64"), DTypeError)
    assert "uniform" in said(lambda: random.integers(STATE, 2.5), DTypeError)
    assert "astype('int64')" in said(lambda: random.binomial(STATE, 2.5), DTypeError)
    assert "Stream" in said(lambda: random.uniform(np.zeros(2)), DTypeError)
    assert "indices" in said(lambda: random.permutation(STATE, T.dmatrix(), size=2), GraphTypeError)
    assert "ndim=" in said(lambda: random.uniform(STATE, size=T.lvector()), GraphTypeError)


@pytest.mark.parametrize("replace", [True, False])
def test_choice_from_nothing(replace):
    assert draw(random.choice, 0, 0, replace=replace).shape == (0,)
    assert "at least one" in said(lambda: random.choice(STATE, 0, 1, replace=replace), DomainError)
    n = T.lscalar("n")
    with pytest.raises(DomainError):
        refgraph.function([n], random.choice(STATE, n, 1, replace=replace))(0)
