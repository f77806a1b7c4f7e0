"""Inputs so far out that the naive forms are infinite or NaN, and what logistic functions and softmax are there."""

import numpy as np
import pytest

from refgraph.autodiff.reverse import grad
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.rewrite.engine import rewrite

from .forms import rules_of

FAR = {"float64": [800, -800, 1e4, -1e4, 40, -40, 1, -0.5, 0], "float32": [100, -100, 90, -90, 20, -20, 1, -0.5, 0]}
RTOL = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-3}
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def far(dtype):
    return np.array(FAR[dtype], dtype)


def rows(dtype):
    far_out = FAR[dtype]
    return np.array([[far_out[0], 0, far_out[1]], [far_out[3], far_out[2], 0], [1, 2, 3], [far_out[4], -1, 2]], dtype)


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


def values_and_gradient(outputs, cost, wrt, given):
    """Rewritten by all rules, with floating point errors ignored as the interpreter does."""
    wanted = [*outputs, grad(cost, wrt)]
    inputs = list(given)
    return evaluate(rewrite(Graph(inputs, wanted), rules_of()).outputs, given)


def assert_close(found, wanted, dtype):
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=RTOL[dtype], atol=RTOL[dtype] * np.finfo(dtype).tiny ** 0.5)
