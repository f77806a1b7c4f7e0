"""Random numbers: draws, each a pure function of a state, of a size and of parameters.

A state is a uint64 vector (key, call number). Element i of a draw, counted in C order, is made from words of
Philox4x32-10 that key, call and i alone determine; `philox.py` says which words there are, and each op here which of
them it reads, and how. Other calls of the same key, and other keys, give independent numbers.

Ops draw what has no parameters, or discrete parameters; location, scale and the rest are expressions of these draws,
through which gradients flow (reparametrization). The state, the size, and whatever a draw of whole numbers depends on,
are not connected.

In each function `size` is a length, a list of lengths, or an integer vector (with `ndim` where its length is unknown);
None is the shape of the parameters, broadcast together. Parameters broadcast to the size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.elementwise import betaincinv, cast, clip, exp, gammaincinv, log, logit, ndtr, ndtri, switch, tan
from refgraph.ops.indexing import take
from refgraph.ops.lengths import Length, filled, length, lengths, one_axis, one_length, product, split_lengths, static
from refgraph.ops.linear import TensorOp
from refgraph.ops.philox import fill32, fill64, high_product, inside, mixed_key, narrow_product, pairs, scaled, unit
from refgraph.ops.rejection import binomial_counts, poisson_counts
from refgraph.ops.shape import Shape as ShapeOf
from refgraph.ops.shape import broadcast_shape, broadcast_shapes, broadcast_to, reshape, specify_shape
from refgraph.ops.tensor import (
    DISCRETE,
    FLOATS,
    INTEGERS,
    NumberConstant,
    Shape,
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor,
    constant,
    dtype_name,
    weak_constant,
)

Array = np.ndarray[Any, Any]


def next_call(state: Any) -> TensorVariable:
    """The state of the next call: the same key, and the call number plus 1."""
    return _state("next_call", state) + constant(np.array([0, 1], np.uint64), name="one call")


@declare
class RandomFork(TensorOp):
    """The state that a loop draws from, made of one outside: its calls are the loop's steps, counted from 0.

    Its key is mixed of the key and the call number outside, and of the number that spells "loop" in ASCII. So loops in
    different calls, and loops within different steps, have independent numbers.
    """

    name = "random_fork"

    def infer(self, state: TensorVariable) -> tuple[TensorType]:
        _state(self.name, state)
        return (TensorType("uint64", (2,)),)

    def impl(self, state: Any) -> Any:
        return np.array([mixed_key([int(state[0]), int(state[1]), 0x6C6F6F70]), 0], np.uint64)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        key = mixed_key([*map(int, _STATE), 0x6C6F6F70])
        yield Sample("state", fork, (_STATE,), lambda s: np.array([key, 0], np.uint64))
        yield Sample("next", lambda s: uniform(fork(next_call(s)), size=3), (_STATE,))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("state", fork, (np.array([1, 2]),), DTypeError, "uint64")


fork = RandomFork()


# What all draws share


class Draw(TensorOp):
    """An array of random numbers: inputs are a state, `arity` parameters, and the lengths that `shape` leaves open."""

    __props__: ClassVar[tuple[str, ...]] = ("shape", "dtype")
    arity = 0

    def __init__(self, shape: Shape, dtype: str) -> None:
        self.shape, self.dtype = shape, dtype

    def infer(self, state: TensorVariable, *rest: TensorVariable) -> tuple[TensorType]:
        _state(self.name, state)
        given, symbolic = rest[: self.arity], rest[self.arity :]
        shape = tuple(static(self.name, self.shape, symbolic))
        _refuse_negative(self.name, shape, [state, *rest])
        self.accept(shape, *given)
        return (TensorType(self.dtype, shape),)

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        """Raise for parameters that the op has no meaning for, as far as the graph tells."""

    def impl(self, state: Any, *rest: Any) -> Any:
        given, shape = rest[: self.arity], filled(self.shape, rest[self.arity :])
        _refuse_negative(self.name, shape, [])
        if state.shape != (2,):
            raise ShapeError(f"{self.name}: a random state has 2 elements, key and call number, got {state.shape[0]}")
        return self.draw(int(state[0]), int(state[1]), shape, *given)

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        """The numbers of this call, for parameters that are not yet checked against each other."""
        raise NotImplementedError(f"{type(self).__name__} says no `draw`")

    def flat(self, given: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """A parameter for each element, in one axis. Raises ShapeError where it does not broadcast to the shape."""
        try:
            return np.broadcast_to(np.asarray(given, dtype), shape).reshape(-1)
        except ValueError:
            raise ShapeError(
                f"{self.name}: a parameter of shape {np.shape(given)} does not broadcast to size {shape}",
                help="give the size that you want in full",
            ) from None


@declare
class RandomUniform(Draw):
    """Uniform numbers of [0, 1); with `open`, of (0, 1), so that 1 - u, log(u) and log(1 - u) are finite.

    float64: k / 2**53, where k is the top 53 bits of 64-bit word i. float32: k / 2**24, where k is the top 24 bits of
    32-bit word i. float16: k / 2**11, where k is the top 11 bits of 32-bit word i. `open`: (k + 1/2) / 2**(bits - 1),
    where k has one bit fewer. All are exact, so every backend has the same.
    """

    __props__ = ("shape", "dtype", "open")
    name = "random_uniform"

    def __init__(self, shape: Shape, dtype: str, open: bool = False) -> None:
        super().__init__(shape, dtype)
        self.open = open

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        bits = np.finfo(self.dtype).nmant + (not self.open)
        out = np.empty(shape, self.dtype)
        fill, convert = (fill64, self._double) if self.dtype == "float64" else (fill32, self._single)
        fill(out.reshape(-1), key, call, partial(convert, bits))
        return out

    def _double(self, bits: int, words: Any) -> Any:
        return inside(words, bits) if self.open else unit(words, bits)

    def _single(self, bits: int, words: Any) -> Any:
        top = (words >> np.uint32(32 - bits)).astype(np.float32)
        return (top + np.float32(0.5 if self.open else 0)) * np.float32(2.0**-bits)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
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

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
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


@declare
class RandomNormal(Draw):
    """Standard normal numbers, by the method of Box and Muller: elements 2j and 2j + 1 are one point of the plane.

    They come from the words 2j and 2j + 1 (32-bit words for float32 and float16, 64-bit words for float64), by doubles:

        u = (k + 1/2) / 2**n          k: word 2j; of a 64-bit word the top 52 bits, so that n is 32 or 52
        t = (k + 1/2) / 2**m          k: the top bits of word 2j + 1, m = 30 or 52 of them
        r = sqrt(-2 log(u))
        element 2j     = r sin(pi/2 (1 - t)),  negative where bit 0 of word 2j + 1 is set
        element 2j + 1 = r sin(pi/2 t),        negative where bit 1 of word 2j + 1 is set

    u, t and 1 - t are exact, and each further step is well conditioned. So the result is within 4 ulp of these formulas
    for float64, and within 1 ulp for float32 and float16, which are rounded once at the end; a backend that computes in
    doubles can promise the same. It is never 0, infinite or NaN, and at most 6.8 in size, or 8.6 for float64.
    (G. E. P. Box, M. E. Muller, Annals of Mathematical Statistics 29, 1958; here the angle is one of the first
    quadrant, with two signs.)
    """

    name = "random_normal"

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        out = np.empty(shape, self.dtype)
        fill, convert = (fill64, _normals64) if self.dtype == "float64" else (fill32, _normals32)
        fill(out.reshape(-1), key, call, convert)
        return out

    @classmethod
    def samples(cls) -> Iterator[Sample]:
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

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("std", lambda s: normal(s, std=-1.0), (_STATE,), DomainError, "std")
        yield BadSample("dtype", lambda s: normal(s, dtype="int32"), (_STATE,), DTypeError, "float")
        yield BadSample("op-dtype", lambda s: RandomNormal((2,), "float32")(s, s), (_STATE,), GraphTypeError, "lengths")


def _normals64(words: Any) -> Array:
    first, second = words[0::2], words[1::2]
    u, t = inside(first, 52), inside(second, 52)
    return _points(u, t, second)


def _normals32(words: Any) -> Array:
    first, second = words[0::2], words[1::2]
    return _points((first + 0.5) * 2.0**-32, ((second >> np.uint32(2)) + 0.5) * 2.0**-30, second)


def _points(u: Array, t: Array, signs: Any) -> Array:
    """Pairs of normal numbers from a radius, an angle and two signs."""
    r = np.sqrt(-2 * np.log(u))
    out = np.empty((len(r), 2))
    for j, part in enumerate((1 - t, t)):
        sign = 1.0 - 2.0 * ((signs >> signs.dtype.type(j)) & signs.dtype.type(1))
        np.multiply(np.sin(part * (math.pi / 2)), r * sign, out=out[:, j])
    return out.reshape(-1)


@declare
class RandomIntegers(Draw):
    """Whole numbers from `low` up to but without `high`; with `endpoint`, up to `high` itself.

    low + floor(v r / 2**64), where v is 64-bit word i and r the number of choices. Where r > 2**32, v is continued by
    64-bit word i of sheet 1: low + floor((2**64 v + v') r / 2**128). So the probability of each choice is within a
    factor 1 +- 2**-32 of 1 / r, in either case. The result does not depend on the dtype.
    """

    __props__ = ("shape", "dtype", "endpoint")
    name = "random_integers"
    arity = 2

    def __init__(self, shape: Shape, dtype: str, endpoint: bool = False) -> None:
        super().__init__(shape, dtype)
        self.endpoint = endpoint

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        for x in parameters:
            if x.type.dtype not in INTEGERS:
                raise DTypeError(f"{self.name}: bounds are integers, got {x} ({x.type})", inputs=parameters)
        low, high = parameters
        if isinstance(low, TensorConstant) and isinstance(high, TensorConstant) and 0 not in shape:
            self._check(low.value, high.value)

    def _check(self, low: Any, high: Any) -> None:
        """Raise DomainError where there is nothing to choose from, or something that the dtype does not hold."""
        empty: Any = np.asarray(low > high if self.endpoint else low >= high)
        if empty.any():
            a, b = (np.broadcast_to(x, empty.shape)[empty].flat[0] for x in (low, high))
            raise DomainError(
                f"{self.name}: no integer from {a} up to {b}" + ("" if self.endpoint else f", without {b} itself"),
                help="make low smaller than high" + ("" if self.endpoint else ", or give endpoint=True"),
            )
        info = np.iinfo(self.dtype)
        if empty.size and (int(low.min()) < info.min or int(high.max()) - (not self.endpoint) > info.max):
            raise DomainError(
                f"{self.name}: {low.min()} to {high.max()} does not fit into {self.dtype}",
                help="give a wider dtype=",
            )

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        low, high = parameters
        if 0 not in shape:  # from nothing one may choose nothing
            self._check(low, high)
        start = np.asarray(low).astype(np.uint64)
        choices: Any = np.asarray(high).astype(np.uint64) - start + np.uint64(self.endpoint)  # 0 stands for 2**64
        wide: Any = (choices > np.uint64(2**32)) | (choices == 0)
        if choices.ndim == 0 and not wide:
            out = np.empty(shape, self.dtype)
            fill64(out.reshape(-1), key, call, lambda v: (start + narrow_product(v, choices)).astype(self.dtype))
            return out
        start, choices, wide = [self.flat(x, shape, None) for x in (start, choices, wide)]
        v = fill64(np.empty(len(start), np.uint64), key, call, _same)
        if wide.any():
            more = fill64(np.empty(len(start), np.uint64), key, call, _same, sheet=1)
            picked = np.where(wide, np.where(choices == 0, v, scaled(v, choices, more)), high_product(v, choices))
        else:
            picked = narrow_product(v, choices)
        return np.asarray((start + picked).astype(self.dtype)).reshape(shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
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

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("empty", lambda s: integers(s, 3, 3), (_STATE,), DomainError, "no integer from 3")
        yield BadSample("empty-at-run", integers, (_STATE, np.array([1, 5]), np.array([4, 4])), DomainError, "from 5")
        yield BadSample("float", integers, (_STATE, np.array(0.5), np.array(4)), DTypeError, "integers")
        yield BadSample("fit", lambda s: integers(s, 0, 300, dtype="uint8"), (_STATE,), DomainError, "uint8")
        yield BadSample("sign", lambda s, n: integers(s, n, 3, dtype="uint8"), (_STATE, np.array(-1)), DomainError)
        yield BadSample("huge", lambda s: integers(s, 0, 2**64 + 1, dtype="uint64"), (_STATE,), DomainError, "64")
        yield BadSample("dtype", lambda s: integers(s, 3, dtype="float32"), (_STATE,), DTypeError, "float32")
        yield BadSample("number", lambda s: integers(s, 0.5), (_STATE,), DTypeError, "0.5")


@declare
class RandomBernoulli(Draw):
    """True with probability p: where 32-bit word i is less than 2**32 p, compared as doubles."""

    name = "random_bernoulli"
    arity = 1

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        _accept_probabilities(self.name, parameters[0])

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        (p,) = parameters
        _refuse_probabilities(self.name, p)
        words = fill32(np.empty(math.prod(shape), np.uint32), key, call, _same).reshape(shape)
        if np.ndim(p):
            p = self.flat(p, shape, np.float64).reshape(shape)
        return np.asarray(words < np.asarray(p, np.float64) * 2.0**32)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        p = np.array([0.0, 0.3, 0.85])
        yield Sample("default", bernoulli, (_STATE,))
        yield Sample("broadcast", bernoulli, (_STATE, p))
        yield Sample("sized", lambda s, p: bernoulli(s, p, size=(2, 3), dtype="bool"), (_STATE, p))
        yield Sample("float32", lambda s, p: bernoulli(s, p, dtype="float32"), (_STATE, p.astype("float32")))
        yield Sample("edges", lambda s: bernoulli(s, [0, 1], size=(9, 2)), (_STATE,), lambda s: np.tile([0, 1], (9, 1)))
        yield Sample("empty", lambda s, n: bernoulli(s, 0.5, size=n), (_STATE, np.array(0)))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("constant", lambda s: bernoulli(s, 1.5), (_STATE,), DomainError, "1.5")
        yield BadSample("at-run", bernoulli, (_STATE, np.array([0.5, -0.1])), DomainError, "-0.1")
        yield BadSample("nan", bernoulli, (_STATE, np.array(np.nan)), DomainError, "nan")
        yield BadSample("complex", bernoulli, (_STATE, np.array(1j)), DTypeError, "complex")
        yield BadSample("size", lambda s, p: bernoulli(s, p, size=2), (_STATE, np.ones(3)), ShapeError)


@declare
class RandomBinomial(Draw):
    """How many of n trials succeed, each with probability p. int64; n is at most 2**53.

    Let q = min(p, 1 - p), and where p > 1/2 count failures instead. Where n q < 10, the distribution function is
    inverted at one uniform number; else a proposal is drawn until one is accepted (`rejection.py` has the formulas).
    Attempt a for element i reads the two 64-bit words of block i of sheet a. Backends agree except where rounding
    decides, once in some 10**13 numbers.
    """

    name = "random_binomial"
    arity = 2

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        n, p = parameters
        _accept_trials(self.name, n)
        _accept_probabilities(self.name, p)

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        n, p = parameters
        _refuse_trials(self.name, n)
        _refuse_probabilities(self.name, p)
        trials, chances = self.flat(n, shape, np.float64), self.flat(p, shape, np.float64)
        numbers = np.arange(len(trials), dtype=np.uint64)
        return binomial_counts(trials, chances, numbers, partial(pairs, key, call)).reshape(shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        n, p = np.array([[0], [7], [400], [10**6]]), np.array([0.0, 0.2, 0.4, 0.85])
        yield Sample("default", binomial, (_STATE,))
        yield Sample("broadcast", binomial, (_STATE, n, p))
        yield Sample("sized", lambda s, n: binomial(s, n, 0.5, size=(2, 4, 1), dtype="float32"), (_STATE, n))
        yield Sample("small-int", binomial, (_STATE, n[:2].astype("uint8"), p.astype("float32")))
        yield Sample("certain", lambda s, n: binomial(s, n, 1), (_STATE, n), lambda s, n: n)
        yield Sample("empty", lambda s, n: binomial(s, 3, 0.5, size=(n, 2)), (_STATE, np.array(0)))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("p", lambda s: binomial(s, 3, -0.5), (_STATE,), DomainError, "-0.5")
        yield BadSample("n", lambda s: binomial(s, -3, 0.5), (_STATE,), DomainError, "-3")
        yield BadSample("n-at-run", binomial, (_STATE, np.array([1, -2])), DomainError, "-2")
        yield BadSample("p-at-run", binomial, (_STATE, np.array(1), np.array([2.0])), DomainError, "2.0")
        yield BadSample("float-n", binomial, (_STATE, np.array(1.5)), DTypeError, "integer")


@declare
class RandomPoisson(Draw):
    """How many events there are where `rate` are expected. int64; the rate is at most 2**53.

    Where the rate is below 10 the distribution function is inverted at one uniform number, else a proposal is drawn
    until one is accepted. Words are read as RandomBinomial does.
    """

    name = "random_poisson"
    arity = 1

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        (rate,) = parameters
        _real(self.name, rate)
        if isinstance(rate, TensorConstant):
            self._check(rate.value)

    def _check(self, rate: Any) -> None:
        _refuse(self.name, "the rate", rate, (rate >= 0) & (rate <= 2.0**53), "it is at least 0, and at most 2**53")

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        (rate,) = parameters
        self._check(rate)
        rates = self.flat(rate, shape, np.float64)
        numbers = np.arange(len(rates), dtype=np.uint64)
        return poisson_counts(rates, numbers, partial(pairs, key, call)).reshape(shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rate = np.array([0.0, 0.5, 9.9, 10.0, 1e6])
        yield Sample("default", poisson, (_STATE,))
        yield Sample("broadcast", poisson, (_STATE, rate))
        yield Sample("sized", lambda s, r: poisson(s, r, size=(2, 5), dtype="int32"), (_STATE, rate))
        yield Sample("int", poisson, (_STATE, np.array([3, 40])))
        yield Sample("nothing", lambda s: poisson(s, 0, size=3), (_STATE,), lambda s: np.zeros(3, "int64"))

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("rate", lambda s: poisson(s, -0.5), (_STATE,), DomainError, "-0.5")
        yield BadSample("at-run", poisson, (_STATE, np.array([np.nan])), DomainError, "nan")


@declare
class RandomMultinomial(Draw):
    """How n trials spread over categories, whose probabilities are the last axis of p. int64.

    For each row r of K categories, in order, the count of category j is binomial among the trials still open, with its
    share of the probability still open; the last category has the rest. Its element number, for RandomBinomial's
    recipe, is r K + j.
    """

    name = "random_multinomial"
    arity = 2

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        n, p = parameters
        _accept_trials(self.name, n)
        _accept_distribution(self.name, p)

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        n, p = parameters
        _refuse_trials(self.name, n)
        _refuse_distribution(self.name, p)
        if p.shape[-1] != shape[-1]:
            raise ShapeError(f"{self.name}: {p.shape[-1]} probabilities for {shape[-1]} categories")
        out = np.zeros(shape, np.int64).reshape(-1, shape[-1])
        p = self.flat(p, shape, np.float64).reshape(out.shape)
        still, open = self.flat(n, shape[:-1], np.float64), np.cumsum(p[:, ::-1], axis=1)[:, ::-1]
        rows = np.arange(len(out), dtype=np.uint64) * np.uint64(shape[-1])
        for j in range(shape[-1] - 1):
            share = np.divide(p[:, j], open[:, j], out=np.zeros(len(out)), where=open[:, j] > 0)
            out[:, j] = binomial_counts(still, np.minimum(share, 1), rows + np.uint64(j), partial(pairs, key, call))
            still = still - out[:, j]
        out[:, -1] = still
        return out.reshape(shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        n, x = np.array([0, 5, 10**6]), np.array([1, 0.0, 6, 3])
        yield Sample("one", lambda s, x: multinomial(s, 1, _shares(x)), (_STATE, x))
        yield Sample("rows", lambda s, n, x: multinomial(s, n, _shares(x)), (_STATE, n, np.array([x, x[::-1], x])))
        yield Sample("sized", lambda s, n, x: multinomial(s, n, _shares(x), size=(2, 3)), (_STATE, n, x))
        single = _STATE, n, x.astype("float32")
        yield Sample("float32", lambda s, n, x: multinomial(s, n, _shares(x), dtype="float32"), single)
        yield Sample(
            "certain", lambda s, n: multinomial(s, n, [0.0, 1.0]), (_STATE, n), lambda s, n: np.outer(n, [0, 1])
        )
        yield Sample("single", lambda s, n: multinomial(s, n, [1.0]), (_STATE, n), lambda s, n: n[:, None])

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("sum", lambda s: multinomial(s, 1, [0.5, 0.6]), (_STATE,), DomainError, "1.1")
        yield BadSample("sum-at-run", multinomial, (_STATE, np.array(1), np.array([0.5, 0.25])), DomainError, "0.75")
        yield BadSample("negative", multinomial, (_STATE, np.array(1), np.array([1.5, -0.5])), DomainError, "-0.5")
        yield BadSample("scalar", multinomial, (_STATE, np.array(1), np.array(1.0)), GraphTypeError, "axis")
        yield BadSample("n", multinomial, (_STATE, np.array(-1), np.array([1.0])), DomainError, "-1")
        yield BadSample("none", multinomial, (_STATE, np.array(1), np.zeros((2, 0))), DomainError, "no categories")


@declare
class RandomCategorical(Draw):
    """Numbers of categories, drawn with the probabilities that the last axis of p has. int64.

    The first category whose distribution function, divided by its last value, exceeds the top 53 bits of 64-bit word i
    over 2**53. p is a vector, or has a row for each element, broadcast.
    """

    name = "random_categorical"
    arity = 1

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        _accept_distribution(self.name, parameters[0])

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        (p,) = parameters
        _refuse_distribution(self.name, p)
        cdf = np.cumsum(p, axis=-1, dtype=np.float64)
        cdf /= cdf[..., -1:]
        u = fill64(np.empty(math.prod(shape)), key, call, partial(unit, bits=53)).reshape(shape)
        if cdf.ndim == 1:
            return np.asarray(np.searchsorted(cdf, u, side="right"))
        cdf = self.flat(cdf, (*shape, p.shape[-1]), None).reshape(*shape, p.shape[-1])
        return np.asarray((u[..., None] >= cdf).sum(axis=-1))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
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

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        yield BadSample("sum", categorical, (_STATE, np.array([0.5, 0.6])), DomainError, "1.1")
        yield BadSample("none", categorical, (_STATE, np.zeros(0)), DomainError, "no categories")
        yield BadSample("rows", lambda s, p: categorical(s, p, size=3), (_STATE, np.full((2, 2), 0.5)), ShapeError)
        yield BadSample("choice-p", lambda s: choice(s, 3, p=[0.5, 0.5]), (_STATE,), ShapeError, "3")
        yield BadSample("choice-float", lambda s: choice(s, 2.5), (_STATE,), DTypeError, "integer")
        unequal = _STATE, np.arange(3), np.array([0.5, 0.5])
        yield BadSample("choice-p-at-run", lambda s, a, p: choice(s, a, p=p), unequal, ShapeError)


@declare
class RandomDistinct(Draw):
    """Different numbers below n along the last axis, in random order: all orders are equally likely. int64.

    Row r takes the numbers j in the order of the 64-bit words r n + j, and of j where these are equal. Where the
    population is not a number n but a vector of n probabilities p, the order is that of -log(u_j) / p_j, with u_j =
    (k + 1/2) / 2**52 of the top 52 bits k of that word: as if drawn one after the other, each with probability
    proportional to p among those left (P. S. Efraimidis, P. G. Spirakis, Information Processing Letters 97, 2006).
    """

    name = "random_distinct"
    arity = 1

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        (population,) = parameters
        if population.type.ndim == 1:
            _accept_distribution(self.name, population)
            n = population.type.shape[0]
        elif population.type.dtype in INTEGERS and population.type.ndim == 0:
            n = int(population.value) if isinstance(population, TensorConstant) else None
        else:
            raise GraphTypeError(
                f"{self.name}: a population is an integer or a vector of probabilities, got {population.type}",
                inputs=parameters,
            )
        if not shape:
            raise GraphTypeError(f"{self.name}: different numbers need an axis to lie along", help="give size=")
        if n is not None and shape[-1] is not None:
            self._check(n, shape[-1])

    def _check(self, n: int, k: int) -> None:
        if n < 0 or k > n:
            raise DomainError(
                f"{self.name}: cannot take {k} different ones of {n}"
                if n >= 0
                else f"{self.name}: a population of {n}",
                help="ask for fewer, or draw with replacement" if n >= 0 else "a population is at least 0",
            )

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        (population,) = parameters
        weighed = np.ndim(population) == 1
        n, k = len(population) if weighed else int(population), shape[-1]
        self._check(n, k)
        rows = math.prod(shape[:-1])
        if not weighed:
            order: Any = fill64(np.empty(rows * n, np.uint64), key, call, _same)
        else:
            self._check_weights(population, k)
            order = -np.log(fill64(np.empty(rows * n), key, call, partial(inside, bits=52))).reshape(rows, n)
            order /= np.asarray(population, np.float64)
        return np.argsort(order.reshape(rows, n), axis=1, kind="stable")[:, :k].reshape(shape)

    def _check_weights(self, p: Any, k: int) -> None:
        _refuse_distribution(self.name, p)
        if k > np.count_nonzero(p):
            raise DomainError(
                f"{self.name}: cannot take {k} different ones, for {np.count_nonzero(p)} have a probability above 0",
                help="ask for fewer, or draw with replacement",
            )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
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

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        def take_some(s: Any, k: Any, p: Any = None) -> Any:
            return choice(s, 3, size=k, replace=False, p=p)

        yield BadSample("too-many", lambda s: take_some(s, 4), (_STATE,), DomainError, "4 different ones of 3")
        yield BadSample("too-many-at-run", take_some, (_STATE, np.array(4)), DomainError, "4 different ones of 3")
        few = _STATE, np.array(3), np.array([0.5, 0.5, 0])
        yield BadSample("zeros", take_some, few, DomainError, "2 have")
        yield BadSample("axis", lambda s, x: permutation(s, x, axis=1), (_STATE, np.ones(3)), ValueError, "axis 1")
        yield BadSample("float", permutation, (_STATE, np.array(2.5)), DTypeError, "integer")
        yield BadSample("negative", permutation, (_STATE, np.array(-2)), ShapeError, "-2")


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
        _refuse("uniform", "low", low.value, low.value <= high.value, f"it is not above high, {high}")
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
        _refuse("truncated_normal", "low", low.value, low.value < high.value, f"it is below high, {high}")
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


def _state(op: str, state: Any) -> TensorVariable:
    """A state, as a tensor. Raises DTypeError or ShapeError for what is none."""
    found = as_tensor(state)
    if found.type.dtype != "uint64" or found.type.ndim != 1:
        raise DTypeError(
            f"{op}: a random state is a uint64 vector of key and call number, got {found.type}",
            help="a refgraph.random.Stream makes and keeps states",
            inputs=[found],
        )
    if found.type.shape[0] not in (None, 2):
        raise ShapeError(f"{op}: a random state has 2 elements, key and call number, got {found.type}", inputs=[found])
    return found


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
    return _real(op, constant(given, dtype="float64") if type(given) is float else as_tensor(given))


def _real(op: str, x: TensorVariable) -> TensorVariable:
    if x.type.is_complex:
        raise DTypeError(f"{op}: a parameter is real, got {x} ({x.type}), which is complex", inputs=[x])
    return x


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
    p = _real(op, as_tensor(np.asarray(given, np.float64) if isinstance(given, (list, tuple)) else given))
    _accept_distribution(op, p)
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
    _refuse_negative(op, shape, parameters)
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
    _refuse_negative(op, shape, [p, *others])
    return shape


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


# Refusals


def _refuse(op: str, what: str, value: Any, good: Any, rule: str) -> None:
    """Raise DomainError with the first value that is not good."""
    if np.all(good):
        return
    good = np.asarray(good)
    bad = np.broadcast_to(value, good.shape)[~good].flat[0]
    raise DomainError(f"{op}: {what} is {bad}", why=rule)


def _refuse_negative(op: str, shape: Sequence[Any], inputs: Sequence[Any]) -> None:
    if any(isinstance(d, int) and d < 0 for d in shape):
        raise ShapeError(f"{op}: a length of size {tuple(shape)} is negative", inputs=inputs)


def _refuse_negative_constant(op: str, what: str, x: Any, zero: bool = False) -> None:
    """Raise DomainError for a constant that is negative, or with `zero`, is not positive."""
    if isinstance(x, TensorConstant):
        good = x.value > 0 if zero else x.value >= 0
        _refuse(op, what, x.value, good, "it is above 0" if zero else "it is at least 0")


def _accept_probabilities(op: str, p: TensorVariable) -> None:
    if isinstance(_real(op, p), TensorConstant):
        _refuse_probabilities(op, p.value)  # type: ignore[attr-defined]  # a constant


def _refuse_probabilities(op: str, p: Any) -> None:
    _refuse(op, "a probability", p, (p >= 0) & (p <= 1), "it is from 0 to 1")


def _accept_trials(op: str, n: TensorVariable) -> None:
    if n.type.dtype not in DISCRETE:
        raise DTypeError(f"{op}: n is an integer, got {n} ({n.type})", help="convert it: n.astype('int64')", inputs=[n])
    if isinstance(n, TensorConstant):
        _refuse_trials(op, n.value)


def _refuse_trials(op: str, n: Any) -> None:
    _refuse(
        op,
        "the number of trials",
        n,
        (n >= 0) & (n <= 2**53 if n.dtype.itemsize == 8 else True),
        "it is from 0 to 2**53",
    )


def _accept_distribution(op: str, p: TensorVariable) -> None:
    if _real(op, p).type.ndim == 0:
        raise GraphTypeError(f"{op}: probabilities need an axis of categories, got {p.type}", inputs=[p])
    if isinstance(p, TensorConstant):
        _refuse_distribution(op, p.value)


def _refuse_distribution(op: str, p: Any) -> None:
    """Raise DomainError where the last axis of p has no distribution: negative, empty, or not of sum 1.

    A sum may be off by the square root of the dtype's precision, as in numpy.random.
    """
    if p.shape[-1] == 0:
        raise DomainError(f"{op}: there are no categories to choose from")
    _refuse(op, "a probability", p, p >= 0, "it is at least 0")
    total = p.sum(axis=-1, dtype=np.float64)
    slack = math.sqrt(np.finfo(p.dtype if p.dtype.kind == "f" else np.float64).eps)
    _refuse(op, "the sum of the probabilities", total, np.abs(total - 1) <= slack, "it must be 1: divide them by it")


def _same(words: Any) -> Any:
    return words


# For samples

_STATE = np.array([0x0123456789ABCDEF, 7], np.uint64)


def _sampled(draw: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`draw` with the state, which comes last, moved to the front."""
    *rest, state = args
    return draw(state, *rest, **kwargs)


def _scaled(draw: Callable[..., Any], state: Any, scale: Any) -> Any:
    return draw(state, scale=scale)


def _shares(x: Any) -> Any:
    """Rows of numbers, divided by their sums."""
    return x / x.sum(axis=-1, keepdims=True)
