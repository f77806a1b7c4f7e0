"""What cancels in products, and so in gradients: of the crossentropies of sigmoid and softmax, in each spelling."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.ops import elementwise as e
from refgraph.ops.tensor import TensorType

from .far import assert_close, dtypes, far, log_one_plus_exp, log_shares, logistic, rows, shares, values_and_gradient
from .forms import assert_form, rules_of
from .rooms import assert_values_stay, rules_in

x, y, z = T.dvectors("x", "y", "z")
m = T.dmatrix("m")
s = T.dscalar("s")
exp, log, sigmoid, softplus = T.exp, T.log, T.nnet.sigmoid, T.nnet.softplus
softmax, logsoftmax = T.nnet.softmax, T.nnet.logsoftmax

FORMS = {
    "xlogx": (x * log(x), e.xlogx(x)),
    "xlogx, the other way round": (log(x) * x, e.xlogx(x)),
    "xlogx among factors": (y * log(x) * x, y * e.xlogx(x)),
    "entropy": (-(x * log(x)).sum(), -e.xlogx(x).sum()),
    "sigmoid, scaled": (3 / (1 + exp(-x)), 3 * sigmoid(x)),
    "sigmoid, scaled by an array": (y / (1 + exp(-x)), y * sigmoid(x)),
    "sigmoid of minus x, scaled": (y * exp(-x) / (1 + exp(-x)), y * sigmoid(-x)),
    "exp times sigmoid": (exp(x) * sigmoid(-x), sigmoid(x)),
    "exp times sigmoid, the other sign": (exp(-x) * sigmoid(x), sigmoid(-x)),
    "exp times sigmoid among factors": (exp(-x) * y * sigmoid(x), y * sigmoid(-x)),
    "exp over sigmoid": (y * exp(x) / sigmoid(x), y / sigmoid(-x)),
    "tanh of exponentials of 2x": ((exp(2 * x) - 1) / (exp(2 * x) + 1), T.tanh(x)),
    "x / |x|": (x / abs(x), T.sgn(x)),
    "slope of log erfc": (exp(-(x**2)) / T.erfc(x), 1 / T.erfcx(x)),
    "exp times exp": (y * exp(x) * exp(-x), T.fill(x, y)),
    "a share": (y * exp(x) / (exp(x) + exp(z)), y * sigmoid(x - z)),
    "a share of three": (exp(x) / (exp(x) + exp(y) + exp(z)), sigmoid(x - e.logaddexp(y, z))),
    "softmax among factors": (y * exp(x) * (x / exp(x).sum()), y * x * softmax(x)),
    "a quotient by expm1": (y * exp(x) / (exp(x) - 1), -(y / T.expm1(-x))),
    "a slope of log erfc, scaled": (y * exp(-4 * x**2) / T.erfc(2 * x), y / T.erfcx(2 * x)),
    "a slope of log erfc, centered": (exp(-((x - y) ** 2)) / T.erfc(x - y), 1 / T.erfcx(x - y)),
    "no slope of log erfc": (exp(-3 * T.sqr(x)) / T.erfc(2 * x), exp(-3 * T.sqr(x)) / T.erfc(2 * x)),
    "erfcx, scaled": (exp(x**2 / 4) * T.erfc(x / 2), T.erfcx(0.5 * x)),
    "a slope of log ndtr": (exp(-0.5 * x**2) / e.ndtr(x), 2 / T.erfcx(-(0.5**0.5) * x)),
    "what cancels in a sum": (sigmoid(x) * (y / sigmoid(x) + z), y + sigmoid(x) * z),
    "what becomes finite in a sum": (exp(-x) * (y * sigmoid(x) - z), y * sigmoid(-x) - exp(-x) * z),
    "the rest of a sigmoid": (y - y * sigmoid(x), y * sigmoid(-x)),
    "the rest among other terms": (z + sigmoid(x) * y - x - y, z - y * sigmoid(-x) - x),
    "a mean by shares": ((exp(m) * m).sum(axis=1) / exp(m).sum(axis=1), (m * softmax(m)).sum(axis=1)),
    "a sum of shares": (
        exp(m) * (m**3 * (y / exp(m).sum(axis=1, keepdims=True))).sum(axis=1, keepdims=True),
        softmax(m) * (m**3 * y).sum(axis=1, keepdims=True),
    ),
    "picked elements": (
        sigmoid(x) * T.set_subtensor(T.zeros_like(x)[1], s / sigmoid(x)[1]),
        T.set_subtensor(T.zeros_like(x)[1], s),
    ),
}


@pytest.mark.parametrize("id", FORMS)
def test_form(id):
    before, after = FORMS[id]
    assert_form(before, after, "canonical", "stable")


def test_values_stay_and_every_rule_is_in_the_table():
    applied = set()
    for id, (before, _) in FORMS.items():
        applied |= assert_values_stay(before, rules_of("canonical", "stable"), id)
    assert {r.name for r in rules_in("quotients")} <= applied


TRUTH = [0, 1, 1, 0, 0.25, 1, 0.5, 0, 1]
PROBABILITIES = {
    "op": lambda v: sigmoid(v),
    "written out": lambda v: 1 / (1 + exp(-v)),
    "of exp(x)": lambda v: exp(v) / (1 + exp(v)),
    "as a power": lambda v: (1 + exp(-v)) ** -1,
}
LOSSES = {
    "slides": lambda p, t: -t * log(p) - (1 - t) * log(1 - p),
    "turned around": lambda p, t: -(t * log(p) + (1 - t) * log(1 - p)),
    "terms the other way round": lambda p, t: -(1 - t) * log(1 - p) - log(p) * t,
    "binary_crossentropy": T.nnet.binary_crossentropy,
}


@dtypes
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("p", sorted(PROBABILITIES))
def test_crossentropy_of_sigmoid_is_exact_far_out(p, loss, dtype):
    v, t = TensorType(dtype, (None,))("v"), TensorType(dtype, (None,))("t")
    x, truth = far(dtype), np.array(TRUTH, dtype)
    each = LOSSES[loss](PROBABILITIES[p](v), t)

    value, slope = values_and_gradient([each], each.sum(), v, {v: x, t: truth})

    assert_close(value, truth * log_one_plus_exp(-x) + (1 - truth) * log_one_plus_exp(x), dtype)
    assert_close(slope, (1 - truth) * logistic(x) - truth * logistic(-x), dtype)


@dtypes
@pytest.mark.parametrize("reduced", [T.mean, T.sum], ids=["mean", "sum"])
def test_logistic_regression_of_the_slides_is_exact_far_out(dtype, reduced):
    """The slides' case study 1: p = 1 / (1 + exp(-dot(x, w) - b)), with its regularization."""
    data, v, t = TensorType(dtype, (None, None))("x"), TensorType(dtype, (None,))("w"), TensorType(dtype, (None,))("y")
    bias = TensorType(dtype, ())("b")
    x, truth = np.stack([far(dtype), np.ones(9, dtype)], axis=1), np.array(TRUTH, dtype)
    weights = np.array([1.0, 0.5], dtype)
    p = 1 / (1 + exp(-T.dot(data, v) - bias))
    loss = -t * log(p) - (1 - t) * log(1 - p)
    cost = reduced(loss) + 0.01 * (v**2).sum()
    given = {data: x, v: weights, bias: np.array(0.25, dtype), t: truth}

    value, cost_value, slope = values_and_gradient([loss, cost], cost, v, given)

    at = (x @ weights + 0.25).astype("float64")
    losses = truth * log_one_plus_exp(-at) + (1 - truth) * log_one_plus_exp(at)
    n = 1 if reduced is T.sum else 9
    assert_close(value, losses, dtype)
    assert_close(cost_value, losses.sum() / n + 0.01 * (weights.astype("float64") ** 2).sum(), dtype)
    each = (1 - truth) * logistic(at) - truth * logistic(-at)
    assert_close(slope, x.astype("float64").T @ each / n + 0.02 * weights, dtype)


QUOTIENTS = {
    "op": lambda v: softmax(v),
    "keepdims": lambda v: exp(v) / exp(v).sum(axis=1, keepdims=True),
    "dimshuffle": lambda v: exp(v) / exp(v).sum(axis=1).dimshuffle(0, "x"),
    "None": lambda v: exp(v) / exp(v).sum(1)[:, None],
    "transposed": lambda v: (exp(v).T / exp(v).sum(axis=1)).T,
    "by a product": lambda v: exp(v) * (1 / exp(v).sum(axis=1, keepdims=True)),
    "centered": lambda v: (
        exp(v - v.max(axis=1, keepdims=True)) / exp(v - v.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    ),
}
LOGARITHMS = {
    **{name: lambda v, p=p: log(p(v)) for name, p in QUOTIENTS.items()},
    "difference": lambda v: v - log(exp(v).sum(axis=1, keepdims=True)),
    "difference by dimshuffle": lambda v: v - log(exp(v).sum(axis=1)).dimshuffle(0, "x"),
    "logsoftmax": lambda v: logsoftmax(v),
}
PICKED = {
    "picked": lambda lp, t, hot: -lp[T.arange(t.shape[0]), t],
    "by a distribution": lambda lp, t, hot: -(hot * lp).sum(axis=1),
}
CLASSES = np.array([2, 0, 1, 1])


@dtypes
@pytest.mark.parametrize("loss", sorted(PICKED))
@pytest.mark.parametrize("lp", sorted(LOGARITHMS))
def test_crossentropy_of_softmax_is_exact_far_out(lp, loss, dtype):
    v, t = TensorType(dtype, (None, None))("v"), TensorType("int64", (None,))("t")
    hot = TensorType(dtype, (None, None))("hot")
    x = rows(dtype)
    truth = np.eye(3, dtype=dtype)[CLASSES]
    each = PICKED[loss](LOGARITHMS[lp](v), t, hot)

    value, slope = values_and_gradient([each], each.mean(), v, {v: x, t: CLASSES, hot: truth})

    assert_close(value, -log_shares(x)[np.arange(4), CLASSES], dtype)
    assert_close(slope, (shares(x) - truth) / 4, dtype)


@dtypes
@pytest.mark.parametrize("p", sorted(QUOTIENTS))
def test_crossentropy_of_picked_probabilities_is_exact_far_out(p, dtype):
    v, t = TensorType(dtype, (None, None))("v"), TensorType("int64", (None,))("t")
    x = rows(dtype)
    each = T.nnet.categorical_crossentropy(QUOTIENTS[p](v), t)

    value, slope = values_and_gradient([each], each.mean(), v, {v: x, t: CLASSES})

    assert_close(value, -log_shares(x)[np.arange(4), CLASSES], dtype)
    assert_close(slope, (shares(x) - np.eye(3)[CLASSES]) / 4, dtype)


@dtypes
@pytest.mark.parametrize("p", sorted(QUOTIENTS))
def test_softmax_and_its_derivative_are_exact_far_out(p, dtype):
    v, g = TensorType(dtype, (None, None))("v"), TensorType(dtype, (None, None))("g")
    x, weights = rows(dtype), np.arange(12, dtype=dtype).reshape(4, 3)
    found = QUOTIENTS[p](v)

    value, slope = values_and_gradient([found], (g * found).sum(), v, {v: x, g: weights})

    z = shares(x)
    assert_close(value, z, dtype)
    np.testing.assert_allclose(slope, z * (weights - (weights * z).sum(1, keepdims=True)), rtol=1e-4, atol=1e-5)
