"""Uses of the draws for the suites to try: through the distributions, and by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.op import BadSample, Sample
from refgraph.ops.distributions import (
    bernoulli,
    beta,
    binomial,
    categorical,
    cauchy,
    choice,
    exponential,
    gamma,
    gumbel,
    integers,
    laplace,
    logistic,
    lognormal,
    multinomial,
    normal,
    permutation,
    poisson,
    truncated_normal,
    uniform,
    weibull,
)
from refgraph.ops.philox import mixed_key
from refgraph.ops.random import RandomNormal, RandomUniform, fork, next_call
from refgraph.ops.tensor import FLOATS, INTEGERS

_STATE = np.array([0x0123456789ABCDEF, 7], np.uint64)


def fork_samples() -> Iterator[Sample]:
    key = mixed_key([*map(int, _STATE), 0x6C6F6F70])
    yield Sample("state", fork, (_STATE,), lambda s: np.array([key, 0], np.uint64))
    yield Sample("next", lambda s: uniform(fork(next_call(s)), size=3), (_STATE,))


def bad_fork_samples() -> Iterator[BadSample]:
    yield BadSample("state", fork, (np.array([1, 2]),), DTypeError, "uint64")


def uniform_samples() -> Iterator[Sample]:
    for dtype in FLOATS:
        for shape in ((3, 5), (), (0, 2), (1,)):
            text = "x".join(map(str, shape))
            yield Sample(f"{dtype}-{text}", partial(_sampled, uniform, size=shape, dtype=dtype), (_STATE,))
    yield Sample("open", lambda s: RandomUniform((5,), "float64", True)(s), (_STATE,))
    yield Sample("length", lambda s, n: uniform(s, size=(n, 2)), (_STATE, np.array(3)))
    yield Sample("vector", lambda s, n: uniform(s, size=n, ndim=2), (_STATE, np.array([3, 2])))
    between = _STATE, np.array([0.5, -1]), np.array([[1.0], [2.5], [7]])
    yield Sample("between", lambda s, a, b: uniform(s, a, b), between)
    yield Sample("between-sized", lambda s, a, b: uniform(s, a, b, size=(2, 3, 2)), between)
    yield Sample("float32-between", uniform, (_STATE, *[np.float32(a) for a in between[1:]]))
    scaled = _STATE, np.array([0.5, 2.0])
    for draws in (exponential, laplace, gumbel, logistic):
        yield Sample(draws.__name__, partial(_scaled, draws), scaled)
    yield Sample("cauchy", lambda s, a, b: cauchy(s, a, b), (_STATE, np.array(1.0), np.array([0.5, 2.0])))
    yield Sample("truncated", lambda s, a, b: truncated_normal(s, a, b), between)
    yield Sample("weibull", lambda s, k, b: weibull(s, k, b), (_STATE, np.array([0.7, 2]), np.array(1.5)))
    yield Sample("gamma", lambda s, k, b: gamma(s, k, b), (_STATE, np.array([0.7, 2]), np.array(1.5)), None, (2,))
    yield Sample("beta", lambda s, a, b: beta(s, a, b), (_STATE, np.array([0.7, 2]), np.array(1.5)), None, ())


def bad_uniform_samples() -> Iterator[BadSample]:
    yield BadSample("size", lambda s: uniform(s, size=-1), (_STATE,), ShapeError, "negative")
    yield BadSample("length", lambda s, n: uniform(s, size=n), (_STATE, np.array(-1)), ShapeError, "negative")
    yield BadSample("float-size", lambda s: uniform(s, size=2.5), (_STATE,), DTypeError, "integer")
    yield BadSample("tuple", lambda s: uniform(s, (2, 3)), (_STATE,), GraphTypeError, "size=")
    yield BadSample("int", lambda s: uniform(s, size=2, dtype="int8"), (_STATE,), DTypeError, "float")
    yield BadSample("order", lambda s: uniform(s, 2, 1), (_STATE,), DomainError, "low")
    yield BadSample("complex", lambda s: uniform(s, 1j), (_STATE,), DTypeError, "complex")
    yield BadSample("state", uniform, (np.array([1, 2]),), DTypeError, "uint64")
    yield BadSample("long-state", uniform, (np.zeros(3, np.uint64),), ShapeError, "2 elements")
    yield BadSample("rank", lambda s, a: uniform(s, a, size=3), (_STATE, np.ones((2, 3))), ShapeError, "size")
    wide = _STATE, np.ones(3), np.array(1)
    yield BadSample("wide", lambda s, a, n: uniform(s, a, 2, size=n), wide, ShapeError)
    yield BadSample("scale", lambda s: exponential(s, -1.0), (_STATE,), DomainError, "scale")
    yield BadSample("bounds", lambda s: truncated_normal(s, low=2, high=1), (_STATE,), DomainError, "low")


def normal_samples() -> Iterator[Sample]:
    for dtype in FLOATS:
        for shape in ((3, 5), (), (0, 2), (1,)):
            text = "x".join(map(str, shape))
            yield Sample(f"{dtype}-{text}", partial(_sampled, normal, size=shape, dtype=dtype), (_STATE,))
    yield Sample("length", lambda s, n: normal(s, size=(n, 2)), (_STATE, np.array(3)))
    moved = _STATE, np.array([0.5, -1]), np.array([[1.0], [2.5], [7]])
    yield Sample("moved", lambda s, a, b: normal(s, a, b), moved)
    yield Sample("moved-sized", lambda s, a, b: normal(s, a, b, size=(2, 3, 2)), moved)
    yield Sample("float32-moved", normal, (_STATE, *[np.float32(a) for a in moved[1:]]))
    yield Sample("lognormal", lambda s, a, b: lognormal(s, a / 4, b / 4), moved)


def bad_normal_samples() -> Iterator[BadSample]:
    yield BadSample("std", lambda s: normal(s, std=-1.0), (_STATE,), DomainError, "std")
    yield BadSample("dtype", lambda s: normal(s, dtype="int32"), (_STATE,), DTypeError, "float")
    yield BadSample("op-dtype", lambda s: RandomNormal((2,), "float32")(s, s), (_STATE,), GraphTypeError, "lengths")


def integers_samples() -> Iterator[Sample]:
    for dtype in INTEGERS:
        yield Sample(dtype, partial(_sampled, integers, 2, 9, size=(2, 3), dtype=dtype), (_STATE,))
    for shape in ((), (0,), (1,)):
        yield Sample("x".join(map(str, shape)) or "0-d", partial(_sampled, integers, 6, size=shape), (_STATE,))
    bounds = _STATE, np.array([0, -5]), np.array([[1], [2], [2**62]])
    yield Sample("bounds", lambda s, a, b: integers(s, a, b), bounds)
    yield Sample("sized", lambda s, a, b: integers(s, a, b, size=(2, 3, 2)), bounds)
    yield Sample("small-bounds", integers, (_STATE, np.array(3, "int8"), np.array([7, 9], "uint8")))
    yield Sample("all", lambda s: integers(s, 0, 2**64, size=3, dtype="uint64"), (_STATE,))
    yield Sample("endpoint", lambda s, n: integers(s, 0, n, endpoint=True), (_STATE, np.array([0, 1])))


def bad_integers_samples() -> Iterator[BadSample]:
    yield BadSample("empty", lambda s: integers(s, 3, 3), (_STATE,), DomainError, "no integer from 3")
    yield BadSample("empty-at-run", integers, (_STATE, np.array([1, 5]), np.array([4, 4])), DomainError, "from 5")
    yield BadSample("float", integers, (_STATE, np.array(0.5), np.array(4)), DTypeError, "integers")
    yield BadSample("fit", lambda s: integers(s, 0, 300, dtype="uint8"), (_STATE,), DomainError, "uint8")
    yield BadSample("sign", lambda s, n: integers(s, n, 3, dtype="uint8"), (_STATE, np.array(-1)), DomainError)
    yield BadSample("huge", lambda s: integers(s, 0, 2**64 + 1, dtype="uint64"), (_STATE,), DomainError, "64")
    yield BadSample("dtype", lambda s: integers(s, 3, dtype="float32"), (_STATE,), DTypeError, "float32")
    yield BadSample("number", lambda s: integers(s, 0.5), (_STATE,), DTypeError, "0.5")


def bernoulli_samples() -> Iterator[Sample]:
    p = np.array([0.0, 0.3, 0.85])
    yield Sample("default", bernoulli, (_STATE,))
    yield Sample("broadcast", bernoulli, (_STATE, p))
    yield Sample("sized", lambda s, p: bernoulli(s, p, size=(2, 3), dtype="bool"), (_STATE, p))
    yield Sample("float32", lambda s, p: bernoulli(s, p, dtype="float32"), (_STATE, p.astype("float32")))
    yield Sample("edges", lambda s: bernoulli(s, [0, 1], size=(9, 2)), (_STATE,), lambda s: np.tile([0, 1], (9, 1)))
    yield Sample("empty", lambda s, n: bernoulli(s, 0.5, size=n), (_STATE, np.array(0)))


def bad_bernoulli_samples() -> Iterator[BadSample]:
    yield BadSample("constant", lambda s: bernoulli(s, 1.5), (_STATE,), DomainError, "1.5")
    yield BadSample("at-run", bernoulli, (_STATE, np.array([0.5, -0.1])), DomainError, "-0.1")
    yield BadSample("nan", bernoulli, (_STATE, np.array(np.nan)), DomainError, "nan")
    yield BadSample("complex", bernoulli, (_STATE, np.array(1j)), DTypeError, "complex")
    yield BadSample("size", lambda s, p: bernoulli(s, p, size=2), (_STATE, np.ones(3)), ShapeError)


def binomial_samples() -> Iterator[Sample]:
    n, p = np.array([[0], [7], [400], [10**6]]), np.array([0.0, 0.2, 0.4, 0.85])
    yield Sample("default", binomial, (_STATE,))
    yield Sample("broadcast", binomial, (_STATE, n, p))
    yield Sample("sized", lambda s, n: binomial(s, n, 0.5, size=(2, 4, 1), dtype="float32"), (_STATE, n))
    yield Sample("small-int", binomial, (_STATE, n[:2].astype("uint8"), p.astype("float32")))
    yield Sample("certain", lambda s, n: binomial(s, n, 1), (_STATE, n), lambda s, n: n)
    yield Sample("empty", lambda s, n: binomial(s, 3, 0.5, size=(n, 2)), (_STATE, np.array(0)))


def bad_binomial_samples() -> Iterator[BadSample]:
    yield BadSample("p", lambda s: binomial(s, 3, -0.5), (_STATE,), DomainError, "-0.5")
    yield BadSample("n", lambda s: binomial(s, -3, 0.5), (_STATE,), DomainError, "-3")
    yield BadSample("n-at-run", binomial, (_STATE, np.array([1, -2])), DomainError, "-2")
    yield BadSample("p-at-run", binomial, (_STATE, np.array(1), np.array([2.0])), DomainError, "2.0")
    yield BadSample("float-n", binomial, (_STATE, np.array(1.5)), DTypeError, "integer")


def poisson_samples() -> Iterator[Sample]:
    rate = np.array([0.0, 0.5, 9.9, 10.0, 1e6])
    yield Sample("default", poisson, (_STATE,))
    yield Sample("broadcast", poisson, (_STATE, rate))
    yield Sample("sized", lambda s, r: poisson(s, r, size=(2, 5), dtype="int32"), (_STATE, rate))
    yield Sample("int", poisson, (_STATE, np.array([3, 40])))
    yield Sample("nothing", lambda s: poisson(s, 0, size=3), (_STATE,), lambda s: np.zeros(3, "int64"))


def bad_poisson_samples() -> Iterator[BadSample]:
    yield BadSample("rate", lambda s: poisson(s, -0.5), (_STATE,), DomainError, "-0.5")
    yield BadSample("at-run", poisson, (_STATE, np.array([np.nan])), DomainError, "nan")


def multinomial_samples() -> Iterator[Sample]:
    n, x = np.array([0, 5, 10**6]), np.array([1, 0.0, 6, 3])
    yield Sample("one", lambda s, x: multinomial(s, 1, _shares(x)), (_STATE, x))
    yield Sample("rows", lambda s, n, x: multinomial(s, n, _shares(x)), (_STATE, n, np.array([x, x[::-1], x])))
    yield Sample("sized", lambda s, n, x: multinomial(s, n, _shares(x), size=(2, 3)), (_STATE, n, x))
    single = _STATE, n, x.astype("float32")
    yield Sample("float32", lambda s, n, x: multinomial(s, n, _shares(x), dtype="float32"), single)
    yield Sample("certain", lambda s, n: multinomial(s, n, [0.0, 1.0]), (_STATE, n), lambda s, n: np.outer(n, [0, 1]))
    yield Sample("single", lambda s, n: multinomial(s, n, [1.0]), (_STATE, n), lambda s, n: n[:, None])


def bad_multinomial_samples() -> Iterator[BadSample]:
    yield BadSample("sum", lambda s: multinomial(s, 1, [0.5, 0.6]), (_STATE,), DomainError, "1.1")
    yield BadSample("sum-at-run", multinomial, (_STATE, np.array(1), np.array([0.5, 0.25])), DomainError, "0.75")
    yield BadSample("negative", multinomial, (_STATE, np.array(1), np.array([1.5, -0.5])), DomainError, "-0.5")
    yield BadSample("scalar", multinomial, (_STATE, np.array(1), np.array(1.0)), GraphTypeError, "axis")
    yield BadSample("n", multinomial, (_STATE, np.array(-1), np.array([1.0])), DomainError, "-1")
    yield BadSample("none", multinomial, (_STATE, np.array(1), np.zeros((2, 0))), DomainError, "no categories")


def categorical_samples() -> Iterator[Sample]:
    x = np.array([1, 0.0, 6, 3])
    yield Sample("one", lambda s, x: categorical(s, _shares(x)), (_STATE, x))
    yield Sample("sized", lambda s, x: categorical(s, _shares(x), size=(2, 3)), (_STATE, x))
    rows = _STATE, np.array([x, x[::-1]])
    yield Sample("rows", lambda s, x: categorical(s, _shares(x)), rows)
    yield Sample("rows-sized", lambda s, x: categorical(s, _shares(x), size=(3, 2)), rows)
    single = _STATE, x.astype("float32")
    yield Sample("float32", lambda s, x: categorical(s, _shares(x), size=4, dtype="int8"), single)
    yield Sample("last", lambda s: categorical(s, [0, 0, 1.0], size=3), (_STATE,), lambda s: np.full(3, 2))
    a = np.array([[1.5, 2], [3, 4], [5, 6], [7, 8]])
    yield Sample("choice", lambda s, a: choice(s, a, size=3), (_STATE, a))
    weighed = _STATE, a, x
    yield Sample("choice-weighed", lambda s, a, x: choice(s, a, size=(2, 3), p=_shares(x)), weighed, None, (1,))
    yield Sample("choice-of-number", lambda s, n: choice(s, n, size=5), (_STATE, np.array(3)))


def bad_categorical_samples() -> Iterator[BadSample]:
    yield BadSample("sum", categorical, (_STATE, np.array([0.5, 0.6])), DomainError, "1.1")
    yield BadSample("none", categorical, (_STATE, np.zeros(0)), DomainError, "no categories")
    yield BadSample("rows", lambda s, p: categorical(s, p, size=3), (_STATE, np.full((2, 2), 0.5)), ShapeError)
    yield BadSample("choice-p", lambda s: choice(s, 3, p=[0.5, 0.5]), (_STATE,), ShapeError, "3")
    yield BadSample("choice-float", lambda s: choice(s, 2.5), (_STATE,), DTypeError, "integer")
    unequal = _STATE, np.arange(3), np.array([0.5, 0.5])
    yield BadSample("choice-p-at-run", lambda s, a, p: choice(s, a, p=p), unequal, ShapeError)


def distinct_samples() -> Iterator[Sample]:
    yield Sample("number", permutation, (_STATE, np.array(5)))
    yield Sample("none", permutation, (_STATE, np.array(0)))
    yield Sample("batch", lambda s, n: permutation(s, n, size=(2, 3)), (_STATE, np.array(4)))
    x = np.array([[1.5, 2], [3, 4], [5, 6]])
    yield Sample("rows", permutation, (_STATE, x))
    yield Sample("columns", lambda s, x: permutation(s, x, axis=1), (_STATE, x))
    yield Sample("some", lambda s, x: choice(s, x, size=2, replace=False), (_STATE, x))
    yield Sample("some-of-number", lambda s, n: choice(s, n, size=(2, 2), replace=False), (_STATE, np.array(9)))
    weights = np.array([1, 0.0, 6, 3])
    yield Sample("weighed", lambda s, x: choice(s, 4, 3, replace=False, p=_shares(x)), (_STATE, weights))
    yield Sample("one", lambda s, x: choice(s, x, replace=False), (_STATE, x))


def bad_distinct_samples() -> Iterator[BadSample]:
    def take_some(s: Any, k: Any, p: Any = None) -> Any:
        return choice(s, 3, size=k, replace=False, p=p)

    yield BadSample("too-many", lambda s: take_some(s, 4), (_STATE,), DomainError, "4 different ones of 3")
    yield BadSample("too-many-at-run", take_some, (_STATE, np.array(4)), DomainError, "4 different ones of 3")
    few = _STATE, np.array(3), np.array([0.5, 0.5, 0])
    yield BadSample("zeros", take_some, few, DomainError, "2 have")
    yield BadSample("axis", lambda s, x: permutation(s, x, axis=1), (_STATE, np.ones(3)), ValueError, "axis 1")
    yield BadSample("float", permutation, (_STATE, np.array(2.5)), DTypeError, "integer")
    yield BadSample("negative", permutation, (_STATE, np.array(-2)), ShapeError, "-2")


# Arguments


def _sampled(draw: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`draw` with the state, which comes last, moved to the front."""
    *rest, state = args
    return draw(state, *rest, **kwargs)


def _scaled(draw: Callable[..., Any], state: Any, scale: Any) -> Any:
    return draw(state, scale=scale)


def _shares(x: Any) -> Any:
    """Rows of numbers, divided by their sums."""
    return x / x.sum(axis=-1, keepdims=True)
