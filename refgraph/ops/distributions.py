"""Distributions: functions of random states, written with the draws of `random.py`.

Location, scale and the rest are expressions of draws, through which gradients flow (reparametrization).

In each function `size` is a length, a list of lengths, or an integer vector (with `ndim` where its length is unknown);
None is the shape of the parameters, broadcast together. Parameters broadcast to the size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.ops.elementwise import betaincinv, cast, clip, exp, gammaincinv, log, logit, ndtr, ndtri, switch, tan
from refgraph.ops.indexing import take
from refgraph.ops.lengths import Length, length, lengths, one_axis, one_length, product, split_lengths
from refgraph.ops.random import (
    RandomBernoulli,
    RandomBinomial,
    RandomCategorical,
    RandomDistinct,
    RandomIntegers,
    RandomMultinomial,
    RandomNormal,
    RandomPoisson,
    RandomUniform,
    accept_distribution,
    accept_real,
    refuse,
    refuse_negative,
)
from refgraph.ops.shape import Shape as ShapeOf
from refgraph.ops.shape import broadcast_shape, broadcast_shapes, broadcast_to, reshape, specify_shape
from refgraph.ops.tensor import (
    FLOATS,
    INTEGERS,
    NumberConstant,
    TensorConstant,
    TensorVariable,
    as_tensor,
    constant,
    dtype_name,
    weak_constant,
)

# Real numbers


def uniform(
    state: Any, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers spread evenly over [low, high): low + (high - low) * u. (Where that rounds, it may give high itself.)

    dtype: of the result; None is floatX, or wider where a parameter is. Differentiable by low and high.
    Raises DomainError for constants with low > high.
    """
    dtype, (low, high) = _floats("uniform", dtype, low, high)
    if isinstance(low, TensorConstant) and isinstance(high, TensorConstant):
        refuse("uniform", "low", low.value, low.value <= high.value, f"it is not above high, {high}")
    shape, (low, high) = _sized("uniform", size, ndim, low, high)
    u = _draw(RandomUniform, state, shape, dtype)
    return _moved(u, low, _difference(high, low))


def normal(
    state: Any, avg: Any = 0.0, std: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Normal numbers of this mean and standard deviation: avg + std * z. Differentiable by both.

    dtype: of the result; None is floatX, or wider where a parameter is. Raises DomainError for a constant std < 0.
    """
    dtype, (avg, std) = _floats("normal", dtype, avg, std)
    _refuse_negative_constant("normal", "std", std)
    shape, (avg, std) = _sized("normal", size, ndim, avg, std)
    return _moved(_draw(RandomNormal, state, shape, dtype), avg, std)


def lognormal(
    state: Any, avg: Any = 0.0, std: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers whose logarithm is normal, of this mean and standard deviation. Differentiable by both."""
    return exp(normal(state, avg, std, size, dtype, ndim))


def truncated_normal(
    state: Any,
    avg: Any = 0.0,
    std: Any = 1.0,
    low: Any = -2.0,
    high: Any = 2.0,
    size: Any = None,
    dtype: Any = None,
    ndim: int | None = None,
) -> TensorVariable:
    """Normal numbers that lie from avg + low * std to avg + high * std: the distribution function inverted.

    Differentiable by avg and std, and by low and high. Where both bounds are on one side, it is computed on the left,
    where the distribution function is precise.
    """
    dtype, (avg, std, low, high) = _floats("truncated_normal", dtype, avg, std, low, high)
    _refuse_negative_constant("truncated_normal", "std", std)
    if isinstance(low, TensorConstant) and isinstance(high, TensorConstant):
        refuse("truncated_normal", "low", low.value, low.value < high.value, f"it is below high, {high}")
    shape, (avg, std, low, high) = _sized("truncated_normal", size, ndim, avg, std, low, high)
    fixed = (
        isinstance(low, TensorConstant) and isinstance(high, TensorConstant) and low.type.ndim == high.type.ndim == 0
    )
    right: Any = bool(low.value + high.value > 0) if fixed else low + high > 0
    start = ndtr(_either(right, -high, low))
    u = _draw(RandomUniform, state, shape, dtype, open=True)
    z = ndtri(start + u * (ndtr(_either(right, -low, high)) - start))
    z = _either(right, -z, z)
    return _moved(clip(z, low, high), avg, std)


def exponential(
    state: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Waiting times of mean `scale`: -log(u) * scale. Differentiable by it."""
    dtype, (scale,) = _floats("exponential", dtype, scale)
    u, (scale,) = _open("exponential", state, size, dtype, ndim, scale)
    return _moved(-log(u), None, scale)


def laplace(
    state: Any, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of density exp(-|x - loc| / scale) / (2 scale). Differentiable by both."""
    dtype, (loc, scale) = _floats("laplace", dtype, loc, scale)
    u, (loc, scale) = _open("laplace", state, size, dtype, ndim, loc, scale)
    return _moved(switch(u < 0.5, log(2 * u), -log(2 - 2 * u)), loc, scale)


def gumbel(
    state: Any, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of distribution function exp(-exp(-(x - loc) / scale)). Differentiable by both."""
    dtype, (loc, scale) = _floats("gumbel", dtype, loc, scale)
    u, (loc, scale) = _open("gumbel", state, size, dtype, ndim, loc, scale)
    return _moved(-log(-log(u)), loc, scale)


def logistic(
    state: Any, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of distribution function sigmoid((x - loc) / scale). Differentiable by both."""
    dtype, (loc, scale) = _floats("logistic", dtype, loc, scale)
    u, (loc, scale) = _open("logistic", state, size, dtype, ndim, loc, scale)
    return _moved(logit(u), loc, scale)


def cauchy(
    state: Any, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of density 1 / (pi scale (1 + ((x - loc) / scale)^2)). Differentiable by both."""
    dtype, (loc, scale) = _floats("cauchy", dtype, loc, scale)
    u, (loc, scale) = _open("cauchy", state, size, dtype, ndim, loc, scale)
    return _moved(tan(math.pi * (u - 0.5)), loc, scale)


def weibull(
    state: Any, shape: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of distribution function 1 - exp(-(x / scale)**shape). Differentiable by both."""
    dtype, (shape, scale) = _floats("weibull", dtype, shape, scale)
    _refuse_negative_constant("weibull", "shape", shape, zero=True)
    u, (shape, scale) = _open("weibull", state, size, dtype, ndim, shape, scale)
    return _moved((-log(u)) ** (1 / shape), None, scale)


def gamma(
    state: Any, shape: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Numbers of density proportional to x**(shape - 1) exp(-x / scale): the distribution function inverted.

    Differentiable by the scale.
    """
    dtype, (shape, scale) = _floats("gamma", dtype, shape, scale)
    _refuse_negative_constant("gamma", "shape", shape, zero=True)
    u, (shape, scale) = _open("gamma", state, size, dtype, ndim, shape, scale)
    return _moved(cast(gammaincinv(shape, u), dtype), None, scale)


def beta(state: Any, a: Any, b: Any, size: Any = None, dtype: Any = None, ndim: int | None = None) -> TensorVariable:
    """Numbers of density proportional to x**(a - 1) (1 - x)**(b - 1): the distribution function inverted."""
    dtype, (a, b) = _floats("beta", dtype, a, b)
    _refuse_negative_constant("beta", "a", a, zero=True)
    _refuse_negative_constant("beta", "b", b, zero=True)
    u, (a, b) = _open("beta", state, size, dtype, ndim, a, b)
    return cast(betaincinv(a, b, u), dtype)


# Whole numbers


def integers(
    state: Any,
    low: Any,
    high: Any = None,
    size: Any = None,
    dtype: Any = "int64",
    endpoint: bool = False,
    ndim: int | None = None,
) -> TensorVariable:
    """Integers from low up to but without high, all equally likely; with `endpoint`, up to high itself.

    With low alone, from 0 up to but without it. dtype: any integer dtype, which must hold all of them.
    Raises DomainError where there is none, or one that does not fit: at once for constants, else in a call.
    """
    dtype = dtype_name(dtype)
    if dtype not in INTEGERS:
        raise DTypeError(f"integers: dtype is an integer dtype, got {dtype}", help="for real numbers use uniform")
    if high is None:
        low, high = 0, low
    if isinstance(high, int) and not endpoint and high == 2**64:
        high, endpoint = 2**64 - 1, True
    low, high = [_bound(x) for x in (low, high)]
    shape, (low, high) = _sized("integers", size, ndim, low, high)
    return _draw(RandomIntegers, state, shape, dtype, low, high, endpoint=endpoint)


def bernoulli(
    state: Any, p: Any = 0.5, size: Any = None, dtype: Any = "int64", ndim: int | None = None
) -> TensorVariable:
    """1 with probability p, else 0; dtype may be "bool". Raises DomainError for a p outside [0, 1]."""
    shape, (p,) = _sized("bernoulli", size, ndim, _number("bernoulli", p))
    return cast(_draw(RandomBernoulli, state, shape, "bool", p), dtype_name(dtype))


def binomial(
    state: Any, n: Any = 1, p: Any = 0.5, size: Any = None, dtype: Any = "int64", ndim: int | None = None
) -> TensorVariable:
    """How many of n trials succeed, each with probability p. Raises DomainError for p outside [0, 1], or n < 0."""
    n, p = _number("binomial", n), _number("binomial", p)
    shape, (n, p) = _sized("binomial", size, ndim, n, p)
    return cast(_draw(RandomBinomial, state, shape, "int64", n, p), dtype_name(dtype))


def poisson(
    state: Any, lam: Any = 1.0, size: Any = None, dtype: Any = "int64", ndim: int | None = None
) -> TensorVariable:
    """How many events there are where `lam` are expected. Raises DomainError for lam < 0."""
    shape, (lam,) = _sized("poisson", size, ndim, _number("poisson", lam))
    return cast(_draw(RandomPoisson, state, shape, "int64", lam), dtype_name(dtype))


def multinomial(
    state: Any, n: Any = 1, pvals: Any = None, size: Any = None, dtype: Any = "int64", ndim: int | None = None
) -> TensorVariable:
    """How n trials spread over the categories whose probabilities are the last axis of `pvals`; None: two equal ones.

    `size` is without the axis of categories, which comes last; None is the shape of n and of the other axes of pvals.
    Raises DomainError where probabilities are negative, or do not sum to 1.
    """
    n, p = _number("multinomial", n), _distribution("multinomial", [0.5, 0.5] if pvals is None else pvals)
    batch = _batch("multinomial", size, ndim, p, n)
    return cast(_draw(RandomMultinomial, state, [*batch, length(p, -1)], "int64", n, p), dtype_name(dtype))


def categorical(state: Any, p: Any, size: Any = None, dtype: Any = "int64", ndim: int | None = None) -> TensorVariable:
    """Numbers of categories, whose probabilities are the last axis of p; size None is the shape of its other axes.

    Raises DomainError where probabilities are negative, or do not sum to 1.
    """
    p = _distribution("categorical", p)
    return cast(_draw(RandomCategorical, state, _batch("categorical", size, ndim, p), "int64", p), dtype_name(dtype))


def choice(
    state: Any, a: Any, size: Any = None, replace: bool = True, p: Any = None, ndim: int | None = None
) -> TensorVariable:
    """Items of a along its first axis, or for an integer a, of arange(a); size None is one item.

    replace: whether an item may come again. p: a probability for each item, instead of equal ones.
    Raises DomainError where p is no distribution, or where there are fewer items than asked for without replacement.
    """
    a, n = _items("choice", a)
    shape = [] if size is None else lengths("choice", size, ndim)
    if n == 0 and 0 not in shape:
        raise DomainError("choice: there is nothing to choose from", help="give at least one item")
    population: Any = n
    if p is not None:
        population = _distribution("choice", p)
        if population.type.ndim != 1:
            raise GraphTypeError(f"choice: p is a vector, got {population.type}", inputs=[population])
        population = specify_shape(population, (n,))
    if not replace:
        found = _draw(RandomDistinct, state, [product(shape)], "int64", _population(population))
        found = found if len(shape) == 1 else reshape(found, shape)
    elif p is not None:
        found = _draw(RandomCategorical, state, shape, "int64", population)
    else:
        found = _draw(RandomIntegers, state, shape, "int64", constant(0, dtype="int64"), _population(n))
    return found if a is None else take(a, found, axis=0)


def permutation(state: Any, x: Any, axis: int = 0, size: Any = None, ndim: int | None = None) -> TensorVariable:
    """The items of x along an axis in random order, or for an integer x, those of arange(x).

    size: for an integer x, the shape of a batch of permutations; they lie along the last axis.
    """
    a, n = _items("permutation", x, axis)
    if a is not None and size is not None:
        raise GraphTypeError(
            "permutation: a batch is of permutations of an integer", help="use them as indices: x[permutations]"
        )
    batch = [] if size is None else lengths("permutation", size, ndim)
    order = _draw(RandomDistinct, state, [*batch, n], "int64", _population(n))
    return order if a is None else take(a, order, axis=one_axis("permutation", axis, a.type.ndim, a))


# Arguments


def _draw(
    op: type[Any], state: Any, shape: Sequence[Any], dtype: str, *parameters: Any, **props: Any
) -> TensorVariable:
    """An application of a draw, where lengths are ints or integer scalars."""
    known, symbolic = split_lengths(shape)
    made: TensorVariable = op(known, dtype, **props)(as_tensor(state), *parameters, *symbolic)
    return made


def _open(
    op: str, state: Any, size: Any, dtype: str, ndim: int | None, *parameters: Any
) -> tuple[TensorVariable, list[TensorVariable]]:
    """Uniform numbers of (0, 1), and the parameters fitted to them; the last is a scale where it is named so."""
    shape, fitted = _sized(op, size, ndim, *parameters)
    if op != "beta":
        _refuse_negative_constant(op, "scale", parameters[-1])
    return _draw(RandomUniform, state, shape, dtype, open=True), fitted


def _floats(op: str, dtype: Any, *parameters: Any) -> tuple[str, list[TensorVariable]]:
    """The dtype of a draw of real numbers, and its parameters in it.

    Where no dtype is asked for it is floatX, or what that and the floating point parameters promote to.
    """
    plain = [a.number if a.__class__ is NumberConstant else a for a in parameters]
    given = [a if type(a) in (bool, int, float) else _number(op, a) for a in plain]
    if dtype is None:
        known = [a.type.numpy_dtype for a in given if isinstance(a, TensorVariable) and a.type.is_continuous]
        dtype = np.result_type(np.dtype(config.floatX), *known)
    dtype = dtype_name(dtype)
    if dtype not in FLOATS:
        raise DTypeError(f"{op}: dtype is a float dtype, got {dtype}", help="for whole numbers use integers")
    return dtype, [cast(a, dtype) if isinstance(a, TensorVariable) else weak_constant(a, dtype) for a in given]


def _number(op: str, given: Any) -> TensorVariable:
    """A parameter as a real tensor. Raises DTypeError, and GraphTypeError for a size, which Theano has first."""
    maker = given.owner if isinstance(given, TensorVariable) else None
    if isinstance(given, tuple) or (maker is not None and isinstance(maker.op, ShapeOf)):
        what = "a shape" if maker is not None else f"the tuple {given!r:.60}"
        raise GraphTypeError(
            f"{op}: a parameter is a number or an array, got {what}",
            help="write size=x.shape" if maker is not None else f"write size={given!r:.40}, or np.array for an array",
        )
    return accept_real(op, constant(given, dtype="float64") if type(given) is float else as_tensor(given))


def _bound(given: Any) -> TensorVariable:
    """A bound of `integers` as an integer tensor. Raises DTypeError, and DomainError for one beyond 64 bits."""
    if isinstance(given, int) and not -(2**63) <= given < 2**64:
        raise DomainError(f"integers: the bound {given} has more than 64 bits")
    found = _number("integers", np.uint64(given) if isinstance(given, int) and given >= 2**63 else given)
    if found.type.dtype not in INTEGERS:
        raise DTypeError(
            f"integers: bounds are integers, got {found} ({found.type})",
            help="for real numbers use uniform; to convert, .astype('int64')",
            inputs=[found],
        )
    return found


def _distribution(op: str, given: Any) -> TensorVariable:
    """Probabilities as a tensor with an axis of categories. Raises GraphTypeError."""
    p = accept_real(op, as_tensor(np.asarray(given, np.float64) if isinstance(given, (list, tuple)) else given))
    accept_distribution(op, p)
    return p


def _items(op: str, given: Any, axis: int = 0) -> tuple[TensorVariable | None, Length]:
    """What to choose from, as an array or None for the numbers from 0, and how many there are along the axis."""
    a = as_tensor(given)
    if a.type.ndim:
        return a, length(a, one_axis(op, axis, a.type.ndim, a))
    if a.type.dtype not in INTEGERS:
        raise DTypeError(f"{op}: takes an array or an integer, got {a} ({a.type})", inputs=[a])
    n = one_length(op, a)
    if isinstance(n, int) and n < 0:
        raise ShapeError(f"{op}: {n} items", help="give at least 0")
    return None, n


def _population(n: Any) -> TensorVariable:
    return constant(n, dtype="int64") if isinstance(n, int) else as_tensor(n)


def _sized(op: str, size: Any, ndim: int | None, *parameters: TensorVariable) -> tuple[list[Any], list[TensorVariable]]:
    """The lengths of a draw, and its parameters, which are made to broadcast to just these lengths."""
    if size is None:
        return list(broadcast_shape(*parameters)), list(parameters)
    shape = lengths(op, size, ndim)
    refuse_negative(op, shape, parameters)
    return shape, [_fitted(op, x, shape) for x in parameters]


def _fitted(op: str, x: TensorVariable, shape: Sequence[Any]) -> TensorVariable:
    """A parameter that broadcasts to the shape and not beyond it: at run time where the graph does not tell."""
    known = [d if isinstance(d, int) else None for d in shape]
    extra = len(known) - x.type.ndim
    pairs = list(zip(x.type.shape, known[max(extra, 0) :], strict=False))
    if extra < 0 or any(n not in (1, d, None) and d is not None for n, d in pairs):
        raise ShapeError(
            f"{op}: a parameter of type {x.type} does not broadcast to size {tuple(shape)}",
            help="give the size that you want in full, or leave it out",
            inputs=[x],
        )
    sure = all(n == 1 or (n is not None and n == d) for n, d in pairs)
    return x if sure else broadcast_to(x, shape)


def _batch(op: str, size: Any, ndim: int | None, p: TensorVariable, *others: TensorVariable) -> list[Any]:
    """The lengths of a draw without the axis of categories, which p has last."""
    if size is None:
        rows = [length(p, a) for a in range(p.type.ndim - 1)]
        return list(broadcast_shapes(rows, *[[length(x, a) for a in range(x.type.ndim)] for x in others]))
    shape = lengths(op, size, ndim)
    refuse_negative(op, shape, [p, *others])
    return shape


def _refuse_negative_constant(op: str, what: str, x: Any, zero: bool = False) -> None:
    """Raise DomainError for a constant that is negative, or with `zero`, is not positive."""
    if isinstance(x, TensorConstant):
        good = x.value > 0 if zero else x.value >= 0
        refuse(op, what, x.value, good, "it is above 0" if zero else "it is at least 0")


# Results


def _moved(z: TensorVariable, loc: TensorVariable | None, scale: TensorVariable) -> TensorVariable:
    """loc + scale * z, without what changes nothing."""
    if not _is(scale, 1):
        z = scale * z
    return z if loc is None or _is(loc, 0) else loc + z


def _either(condition: Any, x: Any, y: Any) -> TensorVariable:
    """x where the condition holds, else y; chosen now where it is known."""
    return (x if condition else y) if isinstance(condition, bool) else switch(condition, x, y)


def _difference(high: TensorVariable, low: TensorVariable) -> TensorVariable:
    if isinstance(high, TensorConstant) and isinstance(low, TensorConstant):
        return constant(high.value - low.value)
    return high if _is(low, 0) else high - low


def _is(x: TensorVariable, number: int) -> bool:
    return isinstance(x, TensorConstant) and x.type.ndim == 0 and bool(x.value == number)
