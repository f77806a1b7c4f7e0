"""What overflows, cancels or meets 0/0 as it is written becomes what does not: each form in each spelling."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.autodiff.reverse import grad
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.ops import elementwise as e
from refgraph.ops.reductions import count
from refgraph.ops.tensor import TensorType
from refgraph.rewrite.engine import rewrite

from .forms import assert_form, rules_of

PHASES = ("canonical", "stable")

x, y, z = T.dvectors("x", "y", "z")
m, targets = T.dmatrices("m", "targets")
t3 = T.dtensor3("t3")
s, b = T.dscalars("s", "b")
w = T.dvector("w")
labels = T.lvector("labels")
sigmoid, softplus, softmax, logsoftmax = T.nnet.sigmoid, T.nnet.softplus, T.nnet.softmax, T.nnet.logsoftmax
exp, log = T.exp, T.log
logsumexp = T.logsumexp

FORMS = [
    # logarithms and exponentials
    ("log1p", log(1 + x), T.log1p(x)),
    ("log1p, the other way round", log(x + 1), T.log1p(x)),
    ("log1p, as a difference", log(1 - x), T.log1p(-x)),
    ("log1p of a negative", log(1 + -x), T.log1p(-x)),
    ("expm1", exp(x) - 1, T.expm1(x)),
    ("expm1, as a sum", exp(x) + -1, T.expm1(x)),
    ("expm1, as a sum, the other way round", -1 + exp(x), T.expm1(x)),
    ("expm1, turned around", 1 - exp(x), -T.expm1(x)),
    ("log1mexp", log(1 - exp(x)), e.log1mexp(x)),
    ("log1mexp of log1p", T.log1p(-exp(x)), e.log1mexp(x)),
    ("log of exp", log(exp(x)), x),
    ("log of a square", log(x**2), 2 * log(abs(x))),
    ("log of a square, as a product", log(x * x), 2 * log(abs(x))),
    ("log of a root", log(T.sqrt(x)), 0.5 * log(x)),
    ("log of a root, as a power", log(x**0.5), 0.5 * log(x)),
    ("log of a reciprocal", log(1 / x), -log(x)),
    ("log of a reciprocal, as a power", log(x**-1), -log(x)),
    ("xlogx", x * log(x), e.xlogx(x)),
    ("xlogx, the other way round", log(x) * x, e.xlogx(x)),
    ("xlogx among factors", y * log(x) * x, y * e.xlogx(x)),
    ("entropy", -(x * log(x)).sum(), -e.xlogx(x).sum()),
    ("logit", log(x / (1 - x)), e.logit(x)),
    ("logaddexp", log(exp(x) + exp(y)), e.logaddexp(x, y)),
    ("logaddexp of three", log(exp(x) + exp(y) + exp(z)), e.logaddexp(e.logaddexp(x, y), z)),
    ("logaddexp with 1", log(1 + exp(x) + exp(y)), e.logaddexp(softplus(x), y)),
    ("logaddexp2", T.log2(T.exp2(x) + T.exp2(y)), e.logaddexp2(x, y)),
    ("log of gamma", log(T.gamma(x)), T.gammaln(x)),
    # the logistic function
    ("sigmoid", 1 / (1 + exp(-x)), sigmoid(x)),
    ("sigmoid, the other way round", 1 / (exp(-x) + 1), sigmoid(x)),
    ("sigmoid as a power", (1 + exp(-x)) ** -1, sigmoid(x)),
    ("sigmoid by inv", T.inv(1 + exp(-x)), sigmoid(x)),
    ("sigmoid of reciprocal", 1 / (1 + 1 / exp(x)), sigmoid(x)),
    ("sigmoid by ones_like", T.ones_like(x) / (1 + exp(-x)), sigmoid(x)),
    ("sigmoid of exp(x)", exp(x) / (1 + exp(x)), sigmoid(x)),
    ("sigmoid of exp(x), the other way round", exp(x) / (exp(x) + 1), sigmoid(x)),
    ("sigmoid of minus x", 1 / (1 + exp(x)), sigmoid(-x)),
    ("sigmoid of a difference", 1 / (1 + exp(-x - y)), sigmoid(x + y)),
    ("sigmoid of a difference turned around", 1 / (1 + exp(y - x)), sigmoid(x - y)),
    ("sigmoid of the slides", 1 / (1 + exp(-T.dot(m, w) - b)), sigmoid(T.dot(m, w) + b)),
    ("sigmoid, scaled", 3 / (1 + exp(-x)), 3 * sigmoid(x)),
    ("sigmoid, scaled by an array", y / (1 + exp(-x)), y * sigmoid(x)),
    ("sigmoid of minus x, scaled", y * exp(-x) / (1 + exp(-x)), y * sigmoid(-x)),
    ("1 - sigmoid", 1 - sigmoid(x), sigmoid(-x)),
    ("1 - sigmoid, as written out", 1 - 1 / (1 + exp(-x)), sigmoid(-x)),
    ("sigmoid - 1", sigmoid(x) - 1, -sigmoid(-x)),
    ("exp times sigmoid", exp(x) * sigmoid(-x), sigmoid(x)),
    ("exp times sigmoid, the other sign", exp(-x) * sigmoid(x), sigmoid(-x)),
    ("exp times sigmoid among factors", exp(-x) * y * sigmoid(x), y * sigmoid(-x)),
    ("exp over sigmoid", y * exp(x) / sigmoid(x), y / sigmoid(-x)),
    ("log of sigmoid", log(sigmoid(x)), -softplus(-x)),
    ("log of sigmoid, written out", log(1 / (1 + exp(-x))), -softplus(-x)),
    ("log of 1 - sigmoid", log(1 - sigmoid(x)), -softplus(x)),
    ("log of 1 - sigmoid, written out", log(1 - 1 / (1 + exp(-x))), -softplus(x)),
    ("log1p of minus sigmoid", T.log1p(-sigmoid(x)), -softplus(x)),
    ("softplus", log(1 + exp(x)), softplus(x)),
    ("softplus, the other way round", log(exp(x) + 1), softplus(x)),
    ("softplus of log1p", T.log1p(exp(x)), softplus(x)),
    ("tanh of exponentials", (exp(x) - exp(-x)) / (exp(x) + exp(-x)), T.tanh(x)),
    ("tanh of exponentials of 2x", (exp(2 * x) - 1) / (exp(2 * x) + 1), T.tanh(x)),
    ("tanh of sigmoid", 2 * sigmoid(2 * x) - 1, T.tanh(x)),
    ("tanh of sigmoid, turned around", 1 - 2 * sigmoid(2 * x), -T.tanh(x)),
    # squares
    ("abs", T.sqrt(x**2), abs(x)),
    ("abs of a product", T.sqrt(x * x), abs(x)),
    ("abs of powers", (x**2) ** 0.5, abs(x)),
    ("hypot", T.sqrt(x**2 + y**2), e.hypot(x, y)),
    ("hypot of products", T.sqrt(x * x + y * y), e.hypot(x, y)),
    ("x / |x|", x / abs(x), T.sgn(x)),
    # the error function: all of Theano's forms
    ("1 - erf", 1 - T.erf(x), T.erfc(x)),
    ("1 + -erf", 1 + -T.erf(x), T.erfc(x)),
    ("1 + -1 * erf", 1 + -1 * T.erf(x), T.erfc(x)),
    ("1 + erf", 1 + T.erf(x), T.erfc(-x)),
    ("erf - 1", T.erf(x) - 1, -T.erfc(x)),
    ("-1 + erf", -1 + T.erf(x), -T.erfc(x)),
    ("-1 - erf", -1 - T.erf(x), -T.erfc(-x)),
    ("-1 + -erf", -1 + -T.erf(x), -T.erfc(-x)),
    ("-1 + -1 * erf", -1 + -1 * T.erf(x), -T.erfc(-x)),
    ("1 - erfc", 1 - T.erfc(x), T.erf(x)),
    ("1 + -erfc", 1 + -T.erfc(x), T.erf(x)),
    ("1 + -1 * erfc", 1 + -1 * T.erfc(x), T.erf(x)),
    ("erfc - 1", T.erfc(x) - 1, -T.erf(x)),
    ("erfcx", exp(x**2) * T.erfc(x), T.erfcx(x)),
    ("log of ndtr", log(e.ndtr(x)), e.log_ndtr(x)),
    ("slope of log erfc", exp(-(x**2)) / T.erfc(x), 1 / T.erfcx(x)),
    ("1 - gammainc", 1 - T.gammainc(2.0, x), T.gammaincc(2.0, x)),
    # sums of exponentials
    ("logsumexp", log(exp(m).sum()), logsumexp(m)),
    ("logsumexp by rows", log(exp(m).sum(axis=1)), logsumexp(m, axis=1)),
    ("logsumexp by columns, kept", log(exp(m).sum(axis=0, keepdims=True)), logsumexp(m, axis=0, keepdims=True)),
    ("logsumexp of two axes", log(exp(t3).sum(axis=(0, 2))), logsumexp(t3, axis=(0, 2))),
    ("logsumexp of a mean", log(exp(x).mean()), logsumexp(x) - log(count(x, (0,)).astype("float64"))),
    ("logsumexp, scaled", log(2 * exp(x).sum()), logsumexp(x) + np.log(2)),
    ("logsumexp, divided", log(exp(x).sum() / 4), logsumexp(x) - np.log(4)),
    ("logsumexp beside exp", log(exp(s) + exp(x).sum()), e.logaddexp(s, logsumexp(x))),
    ("logsumexp, centered", x.max() + log(exp(x - x.max()).sum()), logsumexp(x)),
    (
        "logsumexp by rows, centered",
        m.max(axis=1) + log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1)),
        logsumexp(m, axis=1),
    ),
    (
        "logsumexp by rows, centered and kept",
        m.max(axis=1, keepdims=True) + log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)),
        logsumexp(m, axis=1, keepdims=True),
    ),
    (
        "logsumexp by rows, centered by dimshuffle",
        m.max(axis=1) + log(exp(m - m.max(axis=1).dimshuffle(0, "x")).sum(axis=1)),
        logsumexp(m, axis=1),
    ),
    # softmax
    ("softmax of a vector", exp(x) / exp(x).sum(), softmax(x)),
    ("softmax by rows", exp(m) / exp(m).sum(axis=1, keepdims=True), softmax(m)),
    ("softmax by rows, by dimshuffle", exp(m) / exp(m).sum(1).dimshuffle(0, "x"), softmax(m)),
    ("softmax by rows, by None", exp(m) / exp(m).sum(1)[:, None], softmax(m)),
    ("softmax by rows, by reshape", exp(m) / exp(m).sum(1).reshape((m.shape[0], 1)), softmax(m)),
    ("softmax by columns", exp(m) / exp(m).sum(axis=0), softmax(m, axis=0)),
    ("softmax by columns, kept", exp(m) / exp(m).sum(axis=0, keepdims=True), softmax(m, axis=0)),
    ("softmax, transposed", (exp(m).T / exp(m).sum(axis=1)).T, softmax(m)),
    ("softmax of the transpose", exp(m.T) / exp(m.T).sum(axis=0), softmax(m).T),
    ("softmax of all", exp(m) / exp(m).sum(), softmax(m, axis=None)),
    ("softmax of a middle axis", exp(t3) / exp(t3).sum(axis=1, keepdims=True), softmax(t3, axis=1)),
    ("softmax of two axes", exp(t3) / exp(t3).sum(axis=(0, 2), keepdims=True), softmax(t3, axis=(0, 2))),
    ("softmax, scaled", 3 * exp(x) / exp(x).sum(), 3 * softmax(x)),
    ("softmax by a reciprocal", exp(x) * (1 / exp(x).sum()), softmax(x)),
    (
        "softmax, centered",
        exp(m - m.max(axis=1, keepdims=True)) / exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True),
        softmax(m),
    ),
    ("softmax of what is shifted", softmax(m + m.mean(axis=1, keepdims=True)), softmax(m)),
    ("softmax of a number more", softmax(x + s), softmax(x)),
    ("softmax of x less a number", logsoftmax(x - s), logsoftmax(x)),
    ("softmax of a number less x", softmax(s - x), softmax(-x)),
    ("softmax with a bias", softmax(m + w), softmax(m + w)),
    ("no softmax: rows divided by sums of columns", exp(m) / exp(m).sum(axis=1), exp(m) / exp(m).sum(axis=1)),
    ("no softmax: of something else", exp(x) / exp(y).sum(), exp(x) / exp(y).sum()),
    # log of softmax
    ("logsoftmax", log(softmax(m)), logsoftmax(m)),
    ("logsoftmax, written out", log(exp(m) / exp(m).sum(axis=1, keepdims=True)), logsoftmax(m)),
    ("logsoftmax as a difference", m - log(exp(m).sum(axis=1, keepdims=True)), logsoftmax(m)),
    ("logsoftmax as a difference, by dimshuffle", m - log(exp(m).sum(axis=1)).dimshuffle(0, "x"), logsoftmax(m)),
    ("logsoftmax as a difference, by None", m - log(exp(m).sum(axis=1))[:, None], logsoftmax(m)),
    ("logsoftmax of a vector as a difference", x - log(exp(x).sum()), logsoftmax(x)),
    (
        "logsoftmax, centered",
        (m - m.max(axis=1, keepdims=True))
        - log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)),
        logsoftmax(m),
    ),
    ("crossentropy", -log(softmax(m))[T.arange(labels.shape[0]), labels], -logsoftmax(m)[T.arange(labels.shape[0]), labels]),
    ("crossentropy, picked before", -log(softmax(m)[T.arange(labels.shape[0]), labels]), -logsoftmax(m)[T.arange(labels.shape[0]), labels]),
    ("crossentropy of a row", log(softmax(m)[0, 1]), logsoftmax(m)[0, 1]),
    ("crossentropy of a distribution", T.nnet.categorical_crossentropy(softmax(m), targets), -(targets * logsoftmax(m)).sum(axis=-1)),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_form(before, after):
    assert_form(before, after, *PHASES)


# Values at inputs at which the expression as it is written is infinite or NaN, and its derivative too


def logistic(x):
    return np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def log_one_plus_exp(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def shares(x, axis=-1):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def log_shares(x, axis=-1):
    below = x - x.max(axis=axis, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=axis, keepdims=True))


FAR = {"float64": [800, -800, 1e4, -1e4, 40, -40, 1, -0.5, 0], "float32": [100, -100, 90, -90, 20, -20, 1, -0.5, 0]}
TRUTH = [0, 1, 1, 0, 0.25, 1, 0.5, 0, 1]
RTOL = {"float64": 1e-12, "float32": 2e-5}
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def far(dtype):
    return np.array(FAR[dtype], dtype)


def values_and_gradient(outputs, cost, wrt, given):
    """Rewritten by all rules, with floating point errors ignored as the interpreter does."""
    wanted = [*outputs, grad(cost, wrt)]
    inputs = list(given)
    return evaluate(rewrite(Graph(inputs, wanted), rules_of()).outputs, given)


def assert_close(found, wanted, dtype):
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=RTOL[dtype], atol=RTOL[dtype] * np.finfo(dtype).tiny ** 0.5)


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
    "switch": lambda p, t: -log(T.switch(T.eq(t, 1), p, 1 - p)),
}


@dtypes
@pytest.mark.parametrize("loss", sorted(LOSSES.keys() - {"switch"}))
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


def rows(dtype):
    far_out = FAR[dtype]
    return np.array([[far_out[0], 0, far_out[1]], [far_out[3], far_out[2], 0], [1, 2, 3], [far_out[4], -1, 2]], dtype)


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


SUMS = {
    "vector": (lambda v: log(exp(v).sum()), (None,)),
    "by rows": (lambda v: log(exp(v).sum(axis=1)), (None, None)),
    "by rows, kept": (lambda v: log(exp(v).sum(axis=1, keepdims=True)), (None, None)),
    "by columns": (lambda v: log(exp(v).sum(axis=0)), (None, None)),
    "all": (lambda v: log(exp(v).sum()), (None, None)),
    "centered": (lambda v: v.max(axis=1) + log(exp(v - v.max(axis=1, keepdims=True)).sum(axis=1)), (None, None)),
}


@dtypes
@pytest.mark.parametrize("name", sorted(SUMS))
def test_logsumexp_and_its_derivative_are_exact_far_out(name, dtype):
    build, shape = SUMS[name]
    v = TensorType(dtype, shape)("v")
    x = rows(dtype)[0] if len(shape) == 1 else rows(dtype)
    axis = {"by columns": 0, "all": (0, 1), "vector": 0}.get(name, 1)
    found = build(v)

    value, slope = values_and_gradient([found], found.sum(), v, {v: x})

    top = x.max(axis=axis, keepdims=True)
    total = top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    assert_close(value, total if "kept" in name else total.squeeze(axis), dtype)
    assert_close(slope, np.exp(x - total), dtype)


ELEMENTWISE = {
    "softplus": (lambda v: log(1 + exp(v)), log_one_plus_exp, logistic),
    "log of sigmoid": (lambda v: log(1 / (1 + exp(-v))), lambda x: -log_one_plus_exp(-x), lambda x: logistic(-x)),
    "log of 1 - sigmoid": (lambda v: log(1 - sigmoid(v)), lambda x: -log_one_plus_exp(x), lambda x: -logistic(x)),
    "sigmoid": (lambda v: 1 / (1 + exp(-v)), logistic, lambda x: logistic(x) * logistic(-x)),
    "sigmoid of exp(x)": (lambda v: exp(v) / (1 + exp(v)), logistic, lambda x: logistic(x) * logistic(-x)),
    "logaddexp": (lambda v: log(exp(v) + exp(2 * v)), lambda x: x + log_one_plus_exp(x), lambda x: 1 + logistic(x)),
    "margin": (lambda v: log(1 + exp(-3 * v)), lambda x: log_one_plus_exp(-3 * x), lambda x: -3 * logistic(-3 * x)),
    "abs": (lambda v: T.sqrt(T.sqr(1e3 * v)), lambda x: 1e3 * np.abs(x), lambda x: 1e3 * np.sign(x)),
    "log of exp": (lambda v: log(exp(v)), lambda x: x, np.ones_like),
}


@dtypes
@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_value_and_derivative_are_exact_far_out(name, dtype):
    build, value_of, slope_of = ELEMENTWISE[name]
    v = TensorType(dtype, (None,))("v")
    found = build(v)

    value, slope = values_and_gradient([found], found.sum(), v, {v: far(dtype)})

    x = far(dtype).astype("float64")
    assert_close(value, value_of(x), dtype)
    assert_close(slope, slope_of(x), dtype)


@dtypes
def test_tail_of_erfc(dtype):
    """log(erfc(x)) and its derivative, where erfc(x) is 0; the asymptotic series (DLMF 7.12.1) is the judge."""
    v = TensorType(dtype, (None,))("v")
    x = np.array([30.0, 100.0, 300.0], dtype)
    found = log(T.erfc(v))

    value, slope = values_and_gradient([found], found.sum(), v, {v: x})

    x = x.astype("float64")
    series = 1 - 1 / (2 * x**2) + 3 / (4 * x**4) - 15 / (8 * x**6) + 105 / (16 * x**8)
    assert_close(value, -(x**2) - np.log(x * np.sqrt(np.pi)) + np.log(series), dtype)
    np.testing.assert_allclose(slope, -2 * x / series, rtol=1e-7 if dtype == "float64" else 1e-5)
