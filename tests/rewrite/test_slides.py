"""The slides' training steps, with their expressions and initial values as they are written."""

import numpy as np
import pytest

import refgraph as theano
import refgraph.tensor as T

STEPS = 200


def data(rng):
    """Random labels of random points."""
    return rng.standard_normal((400, 784)), rng.integers(size=400, low=0, high=2)


def logistic_regression(rng):
    """Case study 1."""
    x, y = T.matrix("x"), T.vector("y")
    w, b = theano.shared(rng.standard_normal(784), name="w"), theano.shared(0.0, name="b")
    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w**2).sum()
    return x, y, p_1, xent, cost, [w, b]


def multilayer_perceptron(rng):
    """Case study 2."""
    x, y = T.matrix("x"), T.vector("y")
    w_1 = theano.shared(rng.standard_normal((784, 300)), name="w1")
    b_1 = theano.shared(np.zeros((300,)), name="b1")
    w_2 = theano.shared(rng.standard_normal(300), name="w2")
    b_2 = theano.shared(0.0, name="b2")
    p_1 = T.sigmoid(-T.dot(T.sigmoid(-T.dot(x, w_1) - b_1), w_2) - b_2)
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w_2**2).sum()
    return x, y, p_1, xent, cost, [w_1, b_1, w_2, b_2]


def train(study, mode, steps, scale=1.0):
    """The errors of each step, and how the parameters end; of samples `scale` times as large."""
    rng = np.random.default_rng(0)
    samples, labels = data(rng)
    x, y, p_1, xent, cost, parameters = study(rng)
    gradients = T.grad(cost, parameters)
    updates = {w: w - 0.1 * g for w, g in zip(parameters, gradients, strict=True)}
    step = theano.function(inputs=[x, y], outputs=[p_1 > 0.5, xent], updates=updates, mode=mode)
    errors = [step(scale * samples, labels)[1] for _ in range(steps)]
    return np.array(errors), [w.get_value() for w in parameters]


def test_logistic_regression_has_finite_errors_at_every_step():
    errors, parameters = train(logistic_regression, "FAST_RUN", STEPS)
    assert np.isfinite(errors).all()
    assert all(np.isfinite(w).all() for w in parameters)
    assert errors[-1].mean() < errors[0].mean() / 10


def test_logistic_regression_without_rewriting_meets_the_logarithm_of_0():
    """So the test above is one of rewriting."""
    errors, _ = train(logistic_regression, "FAST_COMPILE", 1)
    assert not np.isfinite(errors).all()


def test_errors_of_the_first_step_are_exact():
    """-log(p) is log(1 + exp(-z)), and -log(1 - p) is log(1 + exp(z)), however large z is."""
    errors, _ = train(logistic_regression, "FAST_RUN", 1)
    rng = np.random.default_rng(0)
    samples, labels = data(rng)
    z = np.dot(samples, rng.standard_normal(784))
    assert np.abs(z).max() > 37  # where 1 - p rounds to 0
    np.testing.assert_allclose(errors[0], np.where(labels, np.logaddexp(0, -z), np.logaddexp(0, z)), rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_multilayer_perceptron_has_finite_errors_at_every_step(scale):
    errors, parameters = train(multilayer_perceptron, "FAST_RUN", 20, scale)
    assert np.isfinite(errors).all()
    assert all(np.isfinite(w).all() for w in parameters)


def test_x_over_x_at_0_is_1():
    x = T.scalar()
    assert theano.function([x], x / x)(0.0) == 1.0
