"""How draws are distributed, what gradients flow, and what they refuse.

Every test has a fixed state, so it gives one answer for ever; p-values are asked to be above 1e-3 or so.
"""

import math

import numpy as np
import pytest
import scipy.stats

import refgraph
import refgraph.tensor as T
from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.ops import distributions
from refgraph.ops.tensor import FLOATS
from refgraph.testing.checks import op_names, value_at, variable

KEY, CALL = 0x0123456789ABCDEF, 7
STATE = np.array([KEY, CALL], np.uint64)
MANY = 40_000


def draw(how, *args, call=CALL, **kwargs):
    """The numbers of a draw of constant parameters."""
    return np.asarray(value_at(how(np.array([KEY, call], np.uint64), *args, **kwargs)))


# Distributions


@pytest.mark.parametrize(
    ("how", "args", "theirs"),
    [
        (distributions.uniform, (2, 5), scipy.stats.uniform(2, 3)),
        (distributions.normal, (1, 2), scipy.stats.norm(1, 2)),
        (distributions.lognormal, (0.5, 0.25), scipy.stats.lognorm(0.25, scale=math.exp(0.5))),
        (distributions.truncated_normal, (3, 0.5), scipy.stats.truncnorm(-2, 2, 3, 0.5)),
        (distributions.truncated_normal, (0, 1, 4, 5), scipy.stats.truncnorm(4, 5)),
        (distributions.truncated_normal, (0, 1, -np.inf, 0.5), scipy.stats.truncnorm(-np.inf, 0.5)),
        (distributions.exponential, (2,), scipy.stats.expon(scale=2)),
        (distributions.laplace, (1, 2), scipy.stats.laplace(1, 2)),
        (distributions.gumbel, (1, 2), scipy.stats.gumbel_r(1, 2)),
        (distributions.logistic, (1, 2), scipy.stats.logistic(1, 2)),
        (distributions.cauchy, (1, 2), scipy.stats.cauchy(1, 2)),
        (distributions.weibull, (0.8, 2), scipy.stats.weibull_min(0.8, scale=2)),
        (distributions.gamma, (0.7, 2), scipy.stats.gamma(0.7, scale=2)),
        (distributions.beta, (0.7, 2), scipy.stats.beta(0.7, 2)),
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
    u = draw(distributions.uniform, size=MANY, dtype=dtype).astype("float64")
    z = draw(distributions.normal, size=MANY, dtype=dtype).astype("float64")

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
    found = draw(distributions.integers, 3, 40, size=MANY, dtype=dtype)

    assert agrees(np.bincount(found)[3:], np.full(37, 1 / 37))


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.95])
def test_bernoulli_has_its_mean(p):
    assert agrees(np.bincount(draw(distributions.bernoulli, p, size=MANY), minlength=2), [1 - p, p])


@pytest.mark.parametrize(
    ("n", "p"),
    [(1, 0.3), (12, 0.5), (30, 0.25), (39, 0.9), (41, 0.25), (60, 0.5), (1000, 0.02), (1000, 0.7), (10**5, 0.5)],
)
def test_binomial_has_its_distribution(n, p):
    found = draw(distributions.binomial, n, p, size=MANY)

    assert agrees(np.bincount(found, minlength=n + 1), scipy.stats.binom(n, p).pmf(np.arange(n + 1)))


@pytest.mark.parametrize("n", [10**9, 10**15, 2**53])
def test_binomial_of_many_trials_is_near_a_normal(n):
    z = (draw(distributions.binomial, n, 0.3, size=MANY) - 0.3 * n) / math.sqrt(0.21 * n)

    assert scipy.stats.kstest(z, "norm").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 3.0, 9.99, 10.0, 35.5, 1000.0])
def test_poisson_has_its_distribution(rate):
    found = draw(distributions.poisson, rate, size=MANY)
    theirs = scipy.stats.poisson(rate)
    top = int(found.max()) + 1

    assert agrees(np.bincount(found, minlength=top + 1), np.append(theirs.pmf(np.arange(top)), theirs.sf(top - 1)))


def test_multinomial_counts_each_category():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    found = draw(distributions.multinomial, 50, p, size=20_000)

    assert (found.sum(axis=1) == 50).all()
    for j in (0, 2, 3):
        assert agrees(np.bincount(found[:, j], minlength=51), scipy.stats.binom(50, p[j]).pmf(np.arange(51)))
    assert not found[:, 1].any()
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1] + math.sqrt(0.1 * 0.6 / (0.9 * 0.4))) < 0.02


def test_multinomial_of_one_trial_is_one_hot():
    found = draw(distributions.multinomial, pvals=np.full((1000, 3), 1 / 3))

    assert sorted(set(map(tuple, found.tolist()))) == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert agrees(found.sum(axis=0), [1 / 3] * 3)


def test_categorical_and_choice_follow_their_weights():
    p = [0.1, 0.0, 0.6, 0.3]

    assert agrees(np.bincount(draw(distributions.categorical, p, size=MANY), minlength=4), p)
    rows = draw(distributions.categorical, np.array([p, p[::-1]]), size=(MANY, 2))
    assert agrees(np.bincount(rows[:, 0], minlength=4), p)
    assert agrees(np.bincount(rows[:, 1], minlength=4), p[::-1])
    picked = draw(distributions.choice, np.array([7.0, 8, 9, 10]), MANY, p=np.array(p))
    assert agrees([(picked == x).sum() for x in (7, 8, 9, 10)], p)
    assert agrees(np.bincount(draw(distributions.choice, 5, MANY)), [0.2] * 5)


def test_permutations_are_equally_likely():
    found = draw(distributions.permutation, 4, size=24_000)
    codes = found @ [64, 16, 4, 1]

    assert (np.sort(found, axis=1) == np.arange(4)).all()
    assert agrees(np.unique(codes, return_counts=True)[1], [1 / 24] * 24)


def test_choice_without_replacement_is_one_draw_after_the_other():
    """P(i then j) = p_i p_j / (1 - p_i), over many calls."""
    p = np.array([0.5, 0.3, 0.2])
    found = np.array([draw(distributions.choice, 3, 2, replace=False, p=p, call=c) for c in range(3000)])
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]

    counts = [((found[:, 0] == i) & (found[:, 1] == j)).sum() for i, j in pairs]
    assert agrees(counts, [p[i] * p[j] / (1 - p[i]) for i, j in pairs])


def test_shuffling_moves_whole_rows():
    x = np.arange(12).reshape(4, 3)
    rows, columns = draw(distributions.permutation, x), draw(distributions.permutation, x, axis=1)

    assert sorted(rows.tolist()) == x.tolist()
    assert rows.tolist() != x.tolist()
    assert sorted(columns.T.tolist()) == x.T.tolist()


# Sizes and dtypes


def test_known_lengths_are_in_the_type():
    n = T.lscalar()
    assert distributions.uniform(STATE, size=(2, n, 3)).type.shape == (2, None, 3)
    assert distributions.normal(STATE, variable(4, None), variable(None, 1)).type.shape == (4, None)
    assert distributions.integers(STATE, 5, size=T.lvector(), ndim=2).type.ndim == 2
    assert distributions.multinomial(STATE, 3, variable(None, 4), size=2).type.shape == (2, 4)
    assert distributions.permutation(STATE, variable(4, 2)).type.shape == (4, 2)
    assert distributions.choice(STATE, 9, (2, 3), replace=False).type.shape == (2, 3)


@pytest.mark.parametrize("floatX", FLOATS)
def test_real_numbers_are_floatX_unless_a_parameter_is_wider(floatX):
    with refgraph.config.change_flags(floatX=floatX):
        assert distributions.uniform(STATE).dtype == floatX
        assert distributions.normal(STATE, 1, 2.5, size=3).dtype == floatX
        assert distributions.uniform(STATE, T.lvector(), 2).dtype == floatX
        assert distributions.normal(STATE, T.dvector()).dtype == "float64"
        assert distributions.normal(STATE, T.dvector(), dtype="float32").dtype == "float32"
        assert distributions.gamma(STATE, 0.5).dtype == floatX
        assert distributions.beta(STATE, 0.5, 2).dtype == floatX


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "floatX"])
def test_counts_have_the_dtype_asked_for(dtype):
    with refgraph.config.change_flags(floatX="float32"):
        expected = "float32" if dtype == "floatX" else dtype
        assert draw(distributions.bernoulli, 0.5, size=3, dtype=dtype).dtype == expected
        assert draw(distributions.binomial, 1, 0.5, size=3, dtype=dtype).dtype == expected


def test_nothing_is_computed_that_changes_nothing():
    assert op_names(distributions.uniform(STATE, 0, 1, size=3)) == ["random_uniform"]
    assert op_names(distributions.normal(STATE, size=3)) == ["random_normal"]
    assert op_names(distributions.normal(STATE, std=2, size=3)) == ["random_normal", "mul"]
    assert op_names(distributions.bernoulli(STATE, 0.5, size=3, dtype="bool")) == ["random_bernoulli"]


def test_a_parameter_does_not_enlarge_the_size():
    a, n = T.dvector("a"), T.lscalar("n")
    f = refgraph.function([a, n], distributions.uniform(STATE, a, a + 1, size=n))

    assert f([1.0, 2.0], 2).shape == (2,)
    assert f([1.0], 3).shape == (3,)
    with pytest.raises(ShapeError):
        f([1.0, 2.0], 1)


# Derivatives


@pytest.mark.parametrize(
    ("how", "points"),
    [
        (distributions.uniform, [[0.5, 1.5], [2.0, 4.0]]),
        (distributions.normal, [[0.5, 1.5], [2.0, 4.0]]),
        (distributions.laplace, [[0.5, 1.5], [2.0, 4.0]]),
        (distributions.weibull, [[0.5, 1.5], [2.0, 4.0]]),
        (distributions.truncated_normal, [[0.5, 1.5], [2.0, 4.0]]),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
@pytest.mark.parametrize("size", [None, (3, 2)])
def test_gradients_flow_to_parameters(how, points, size):
    T.verify_grad(lambda a, b: how(STATE, a, b, size=size, dtype="float64"), [np.array(p) for p in points])


def test_the_gradient_of_a_normal_draw_is_known():
    avg, std = T.dvector("avg"), T.dscalar("std")
    x = distributions.normal(STATE, avg, std, dtype="float64")
    by_avg, by_std = refgraph.grad(x.sum(), [avg, std])
    values = refgraph.function([avg, std], [by_avg, by_std, x])
    a, s, z = values([1.0, 2.0, 3.0], 2.0)

    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_allclose(s, ((z - [1, 2, 3]) / 2).sum())


def test_whole_numbers_and_states_have_no_derivative():
    p = T.dvector("p")
    for x in (distributions.bernoulli(STATE, p, dtype="float64"), distributions.poisson(STATE, p, dtype="float64")):
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
    assert "endpoint=True" in said(lambda: distributions.integers(STATE, 3, 3), DomainError)
    assert "wider dtype" in said(lambda: distributions.integers(STATE, 300, dtype="int8"), DomainError)
    assert "divide them" in said(lambda: distributions.categorical(STATE, [1.0, 2.0]), DomainError)
    assert "with replacement" in said(lambda: distributions.choice(STATE, 3, 4, replace=False), DomainError)
    assert "size=(2, 3)" in said(lambda: distributions.normal(STATE, (2, 3)), GraphTypeError)
    for how in (distributions.normal, distributions.uniform, distributions.binomial, distributions.bernoulli):
        assert "size=x.shape" in said(lambda how=how: how(STATE, T.dmatrix().shape), GraphTypeError)
    assert "integers" in said(lambda: distributions.uniform(STATE, dtype="int64"), DTypeError)
    assert "uniform" in said(lambda: distributions.integers(STATE, 2.5), DTypeError)
    assert "astype('int64')" in said(lambda: distributions.binomial(STATE, 2.5), DTypeError)
    assert "Stream" in said(lambda: distributions.uniform(np.zeros(2)), DTypeError)
    assert "indices" in said(lambda: distributions.permutation(STATE, T.dmatrix(), size=2), GraphTypeError)
    assert "ndim=" in said(lambda: distributions.uniform(STATE, size=T.lvector()), GraphTypeError)


@pytest.mark.parametrize("replace", [True, False])
def test_choice_from_nothing(replace):
    assert draw(distributions.choice, 0, 0, replace=replace).shape == (0,)
    assert "at least one" in said(lambda: distributions.choice(STATE, 0, 1, replace=replace), DomainError)
    n = T.lscalar("n")
    with pytest.raises(DomainError):
        refgraph.function([n], distributions.choice(STATE, n, 1, replace=replace))(0)
