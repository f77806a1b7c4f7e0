"""verify_grad must pass what is right, and catch what is not."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T

X = np.array([[0.5, -1.0], [2.0, 0.3]])


@pytest.mark.parametrize("f", [T.tanh, lambda x: x.sum(axis=0), lambda x: T.dot(x, x.T), lambda x: x[0] * 2])
def test_passes_a_right_gradient(f):
    T.verify_grad(f, [X])


def test_takes_several_arguments_and_a_random_state():
    T.verify_grad(lambda x, y: T.dot(x, y), [X, X], rng=np.random.RandomState(1))


def test_single_precision():
    T.verify_grad(T.exp, [X.astype("float32")])


@pytest.mark.parametrize("wrong", [1.001, -1.0, 0.0])
def test_catches_a_wrong_gradient(wrong):
    with pytest.raises(rg.gradient.GradientError, match="argument 1"):
        T.verify_grad(lambda x, y: T.exp(x) + rg.gradient.grad_scale(y, wrong), [X, X])


def test_catches_one_wrong_element():
    def spoiled(x):
        return T.set_subtensor(x[0, 1], rg.gradient.grad_scale(x[0, 1], 2.0))

    with pytest.raises(rg.gradient.GradientError) as caught:
        T.verify_grad(spoiled, [X])
    assert caught.value.index == (0, 1)


def test_catches_nan():
    with pytest.raises(rg.gradient.GradientError):
        T.verify_grad(lambda x: rg.gradient.grad_scale(x, np.nan), [X])


def test_refuses_integers():
    with pytest.raises(TypeError, match="real floats"):
        T.verify_grad(T.sqr, [np.arange(3)])
