"""What overflows, cancels or meets 0/0 as it is written becomes what does not: each form in each spelling."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.ops import elementwise as e
from refgraph.ops.tensor import TensorType

from .far import assert_close, dtypes, far, log_one_plus_exp, logistic, values_and_gradient
from .forms import assert_form, assert_same_values, rules_of

x, y, z = T.dvectors("x", "y", "z")
m = T.dmatrix("m")
w = T.dvector("w")
b = T.dscalar("b")
exp, log, sigmoid, softplus = T.exp, T.log, T.nnet.sigmoid, T.nnet.softplus

FORMS = {
    # logarithms and exponentials
    "log1p": (log(1 + x), T.log1p(x)),
    "log1p, the other way round": (log(x + 1), T.log1p(x)),
    "log1p, as a difference": (log(1 - x), T.log1p(-x)),
    "log1p of a negative": (log(1 + -x), T.log1p(-x)),
    "expm1": (exp(x) - 1, T.expm1(x)),
    "expm1, as a sum": (exp(x) + -1, T.expm1(x)),
    "expm1, as a sum, the other way round": (-1 + exp(x), T.expm1(x)),
    "expm1, turned around": (1 - exp(x), -T.expm1(x)),
    "log1mexp": (log(1 - exp(x)), e.log1mexp(x)),
    "log1mexp of log1p": (T.log1p(-exp(x)), e.log1mexp(x)),
    "log of exp": (log(exp(x)), x),
    "log of a square": (log(x**2), 2 * log(abs(x))),
    "log of a square, as a product": (log(x * x), 2 * log(abs(x))),
    "log of a root": (log(T.sqrt(x)), 0.5 * log(x)),
    "log of a root, as a power": (log(x**0.5), 0.5 * log(x)),
    "log of a reciprocal": (log(1 / x), -log(x)),
    "log of a reciprocal, as a power": (log(x**-1), -log(x)),
    "logit": (log(x / (1 - x)), e.logit(x)),
    "logaddexp": (log(exp(x) + exp(y)), e.logaddexp(x, y)),
    "logaddexp of three": (log(exp(x) + exp(y) + exp(z)), e.logaddexp(e.logaddexp(x, y), z)),
    "logaddexp with 1": (log(1 + exp(x) + exp(y)), e.logaddexp(softplus(x), y)),
    "logaddexp2": (T.log2(T.exp2(x) + T.exp2(y)), e.logaddexp2(x, y)),
    "log of gamma": (log(T.gamma(x)), T.gammaln(x)),
    # the logistic function
    "sigmoid": (1 / (1 + exp(-x)), sigmoid(x)),
    "sigmoid, the other way round": (1 / (exp(-x) + 1), sigmoid(x)),
    "sigmoid as a power": ((1 + exp(-x)) ** -1, sigmoid(x)),
    "sigmoid by inv": (T.inv(1 + exp(-x)), sigmoid(x)),
    "sigmoid of reciprocal": (1 / (1 + 1 / exp(x)), sigmoid(x)),
    "sigmoid by ones_like": (T.ones_like(x) / (1 + exp(-x)), sigmoid(x)),
    "sigmoid of exp(x)": (exp(x) / (1 + exp(x)), sigmoid(x)),
    "sigmoid of exp(x), the other way round": (exp(x) / (exp(x) + 1), sigmoid(x)),
    "sigmoid of minus x": (1 / (1 + exp(x)), sigmoid(-x)),
    "sigmoid of a difference": (1 / (1 + exp(-x - y)), sigmoid(x + y)),
    "sigmoid of a difference turned around": (1 / (1 + exp(y - x)), sigmoid(x - y)),
    "sigmoid of the slides": (1 / (1 + exp(-T.dot(m, w) - b)), sigmoid(T.dot(m, w) + b)),
    "1 - sigmoid": (1 - sigmoid(x), sigmoid(-x)),
    "1 - sigmoid, as written out": (1 - 1 / (1 + exp(-x)), sigmoid(-x)),
    "sigmoid - 1": (sigmoid(x) - 1, -sigmoid(-x)),
    "log of sigmoid": (log(sigmoid(x)), -softplus(-x)),
    "log of sigmoid, written out": (log(1 / (1 + exp(-x))), -softplus(-x)),
    "log of 1 - sigmoid": (log(1 - sigmoid(x)), -softplus(x)),
    "log of 1 - sigmoid, written out": (log(1 - 1 / (1 + exp(-x))), -softplus(x)),
    "log1p of minus sigmoid": (T.log1p(-sigmoid(x)), -softplus(x)),
    "softplus": (log(1 + exp(x)), softplus(x)),
    "softplus, the other way round": (log(exp(x) + 1), softplus(x)),
    "softplus of log1p": (T.log1p(exp(x)), softplus(x)),
    "tanh of exponentials": ((exp(x) - exp(-x)) / (exp(x) + exp(-x)), T.tanh(x)),
    "tanh of sigmoid": (2 * sigmoid(2 * x) - 1, T.tanh(x)),
    "tanh of sigmoid, turned around": (1 - 2 * sigmoid(2 * x), -T.tanh(x)),
    # squares
    "abs": (T.sqrt(x**2), abs(x)),
    "abs of a product": (T.sqrt(x * x), abs(x)),
    "abs of powers": ((x**2) ** 0.5, abs(x)),
    "hypot": (T.sqrt(x**2 + y**2), e.hypot(x, y)),
    "hypot of products": (T.sqrt(x * x + y * y), e.hypot(x, y)),
    # the error function: all of Theano's forms
    "1 - erf": (1 - T.erf(x), T.erfc(x)),
    "1 + -erf": (1 + -T.erf(x), T.erfc(x)),
    "1 + -1 * erf": (1 + -1 * T.erf(x), T.erfc(x)),
    "1 + erf": (1 + T.erf(x), T.erfc(-x)),
    "erf - 1": (T.erf(x) - 1, -T.erfc(x)),
    "-1 + erf": (-1 + T.erf(x), -T.erfc(x)),
    "-1 - erf": (-1 - T.erf(x), -T.erfc(-x)),
    "-1 + -erf": (-1 + -T.erf(x), -T.erfc(-x)),
    "-1 + -1 * erf": (-1 + -1 * T.erf(x), -T.erfc(-x)),
    "1 - erfc": (1 - T.erfc(x), T.erf(x)),
    "1 + -erfc": (1 + -T.erfc(x), T.erf(x)),
    "1 + -1 * erfc": (1 + -1 * T.erfc(x), T.erf(x)),
    "erfc - 1": (T.erfc(x) - 1, -T.erf(x)),
    "erfcx": (exp(x**2) * T.erfc(x), T.erfcx(x)),
    "log of ndtr": (log(e.ndtr(x)), e.log_ndtr(x)),
    "1 - gammainc": (1 - T.gammainc(2.0, x), T.gammaincc(2.0, x)),
}


@pytest.mark.parametrize("id", FORMS)
def test_form(id):
    before, after = FORMS[id]
    assert_form(before, after, "canonical", "stable")


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


def test_log_of_erfc_near_0_keeps_its_digits():
    v = T.dvector("v")
    x = np.array([1e-20, -1e-18, 0.0])

    value, _ = values_and_gradient([log(T.erfc(v))], log(T.erfc(v)).sum(), v, {v: x})

    assert_close(value, -2 / np.sqrt(np.pi) * x, "float64")


def test_sigmoid_of_unsigned_integers_written_out_stays_that_of_what_wraps():
    v = TensorType("uint64", (None,))("v")
    assert_same_values(1 / (1 + exp(-v)), {v: np.array([0, 1, 3], "uint64")}, rules_of("canonical", "stable"))
