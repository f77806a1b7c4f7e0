"""L2: programs of several ops, as people write them, and their gradients."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.autodiff.reverse import grad
from refgraph.interp.backends import Backend
from refgraph.testing.cases import symbols
from refgraph.testing.suite.programs import agree
from refgraph.testing.suite.running import as_list, on, rewritten

pytestmark = pytest.mark.refgraph_level(2)


def softmax_regression(x: Any, w: Any, b: Any, labels: Any) -> Any:
    p = T.nnet.softmax(T.dot(x, w) + b)
    return [-T.mean(T.log(p)[T.arange(labels.shape[0]), labels]), T.argmax(p, axis=1)]


def two_layers(x: Any, w: Any, v: Any, c: Any, y: Any) -> Any:
    hidden = T.nnet.sigmoid(T.dot(x, w))
    return ((T.tanh(T.dot(hidden, v) + c) - y) ** 2).mean()


def normalised(x: Any) -> Any:
    return x / x.sum(axis=1, keepdims=True)


def standardised(x: Any) -> Any:
    centred = x - x.mean(axis=0)
    return centred / T.sqrt((centred**2).mean(axis=0) + 1e-3)


def log_sum_exp(x: Any) -> Any:
    top = x.max(axis=-1, keepdims=True)
    return T.log(T.exp(x - top).sum(axis=-1, keepdims=True)) + top


def attention(q: Any, k: Any, v: Any) -> Any:
    return T.dot(T.nnet.softmax(T.dot(q, k.T) / T.sqrt(T.cast(k.shape[1], q.dtype))), v)


def distances(x: Any, y: Any) -> Any:
    return T.sqrt(((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2) + 1)


def horner(x: Any, coefficients: Any) -> Any:
    total = T.zeros_like(x)
    for i in range(4):
        total = total * x + coefficients[i]
    return total


def moving_average(x: Any) -> Any:
    return (x[:-2] + x[1:-1] + x[2:]) / 3


def masked_mean(x: Any, y: Any) -> Any:
    mask = T.gt(x, y)
    return T.switch(mask, x, 0).sum() / T.maximum(mask.sum(), 1)


def scattered(x: Any, places: Any) -> Any:
    total = T.inc_subtensor(T.zeros_like(x)[places], x[: places.shape[0]])
    return T.set_subtensor(total[0], x[-1])


def ranked(x: Any) -> Any:
    order = T.argsort(x, axis=1)
    return [T.sort(x, axis=1).cumsum(axis=1), T.cast(order, "int8") + 1]


def joined(x: Any, y: Any) -> Any:
    both = T.concatenate([x, y.T], axis=1)
    return T.stack([both.sum(axis=1), both.max(axis=1)]).reshape((-1,))


def mixed_dtypes(x: Any, counts: Any, flags: Any) -> Any:
    return [T.switch(flags, x * counts, -x), (counts * 2 + flags) % 3, T.exp(x) > counts]


def residual(x: Any, w: Any) -> Any:
    for _ in range(4):
        x = x + T.nnet.relu(T.dot(x, w)) * 0.5
    return x


_CHAINS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "softmax-regression": (softmax_regression, ((5, 3), (3, 4), (4,), np.array([0, 3, 1, 1, 2]))),
    "two-layers": (two_layers, ((5, 3), (3, 4), (4, 2), (2,), (5, 2))),
    "normalised": (normalised, ((4, 3),)),
    "standardised": (standardised, ((6, 3),)),
    "log-sum-exp": (log_sum_exp, ((2, 3, 4),)),
    "attention": (attention, ((4, 3), (5, 3), (5, 2))),
    "distances": (distances, ((4, 3), (5, 3))),
    "horner": (horner, ((3, 4), (4,))),
    "moving-average": (moving_average, ((7, 2),)),
    "masked-mean": (masked_mean, ((4, 3), (4, 3))),
    "scattered": (scattered, ((5, 2), np.array([3, 1, 3]))),
    "ranked": (ranked, ((3, 5),)),
    "joined": (joined, ((3, 4), (2, 3))),
    "mixed-dtypes": (mixed_dtypes, ((3, 4), np.arange(4, dtype="int16"), np.array([[True], [False], [True]]))),
    "residual": (residual, ((3, 4), (4, 4))),
}


class _Chain:
    """One of these programs, with variables and arrays for its inputs."""

    def __init__(self, id: str, dtype: str) -> None:
        build, parts = _CHAINS[id]
        rng = np.random.default_rng(zlib.crc32(id.encode()))
        self.arrays = [rng.uniform(0.1, 1.9, p).astype(dtype) if isinstance(p, tuple) else p for p in parts]
        self.inputs = symbols(self.arrays)
        self.outputs = as_list(build(*self.inputs))
        self.wrt = [x for x in self.inputs if x.type.dtype == dtype]

    def gradients(self) -> list[Any]:
        """The gradient of the sum of its outputs' squares."""
        smooth = [out for out in self.outputs if out.type.is_continuous]
        return as_list(grad(sum([(out**2).sum() for out in smooth]), self.wrt))

    def check(self, backend: Backend, outputs: list[Any], make: Any) -> None:
        f = make(backend, self.inputs, outputs)
        given: dict[Any, Any] = dict(zip(self.inputs, self.arrays, strict=True))
        agree(backend, f(*[a.copy() for a in self.arrays]), outputs, given)


_each = pytest.mark.parametrize("dtype", ["float32", "float64"])
_every = pytest.mark.parametrize("chain", _CHAINS)


@_each
@_every
def test_chains_agree(chain: str, dtype: str, backend: Backend) -> None:
    it = _Chain(chain, dtype)
    it.check(backend, it.outputs, on)


@_each
@_every
def test_rewritten_chains_agree(chain: str, dtype: str, backend: Backend) -> None:
    it = _Chain(chain, dtype)
    it.check(backend, it.outputs, rewritten)


@_each
@_every
def test_gradients_of_chains_agree(chain: str, dtype: str, backend: Backend) -> None:
    it = _Chain(chain, dtype)
    it.check(backend, it.gradients(), on)


@_each
@_every
def test_rewritten_gradients_of_chains_agree(chain: str, dtype: str, backend: Backend) -> None:
    it = _Chain(chain, dtype)
    it.check(backend, [*it.outputs, *it.gradients()], rewritten)
