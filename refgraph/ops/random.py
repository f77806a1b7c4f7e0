"""Random numbers: draws, each a pure function of a state, of a size and of parameters.

A state is a uint64 vector (key, call number). Element i of a draw, counted in C order, is made from words of
Philox4x32-10 that key, call and i alone determine; `philox.py` says which words there are, and each op here which of
them it reads, and how. Other calls of the same key, and other keys, give independent numbers.

Ops draw what has no parameters, or discrete parameters; `distributions.py` has the functions that are written with
them. The state, the size, and whatever a draw of whole numbers depends on, are not connected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import Apply
from refgraph.core.op import BadSample, Sample, declare
from refgraph.ops.lengths import filled, static
from refgraph.ops.linear import TensorOp
from refgraph.ops.philox import fill32, fill64, high_product, inside, mixed_key, narrow_product, pairs, scaled, unit
from refgraph.ops.rejection import binomial_counts, poisson_counts
from refgraph.ops.tensor import (
    DISCRETE,
    INTEGERS,
    Shape,
    TensorConstant,
    TensorType,
    TensorVariable,
    as_tensor,
    constant,
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
        from refgraph.ops.random_samples import fork_samples

        return fork_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_fork_samples

        return bad_fork_samples()


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
        refuse_negative(self.name, shape, [state, *rest])
        self.accept(shape, *given)
        return (TensorType(self.dtype, shape),)

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        """Raise for parameters that the op has no meaning for, as far as the graph tells."""

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.filled(self.shape, node.inputs[1 + self.arity :])]

    def impl(self, state: Any, *rest: Any) -> Any:
        given, shape = rest[: self.arity], filled(self.shape, rest[self.arity :])
        refuse_negative(self.name, shape, [])
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
        from refgraph.ops.random_samples import uniform_samples

        return uniform_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_uniform_samples

        return bad_uniform_samples()


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
        from refgraph.ops.random_samples import normal_samples

        return normal_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_normal_samples

        return bad_normal_samples()


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
        from refgraph.ops.random_samples import integers_samples

        return integers_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_integers_samples

        return bad_integers_samples()


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
        from refgraph.ops.random_samples import bernoulli_samples

        return bernoulli_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_bernoulli_samples

        return bad_bernoulli_samples()


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
        from refgraph.ops.random_samples import binomial_samples

        return binomial_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_binomial_samples

        return bad_binomial_samples()


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
        accept_real(self.name, rate)
        if isinstance(rate, TensorConstant):
            self._check(rate.value)

    def _check(self, rate: Any) -> None:
        refuse(self.name, "the rate", rate, (rate >= 0) & (rate <= 2.0**53), "it is at least 0, and at most 2**53")

    def draw(self, key: int, call: int, shape: tuple[int, ...], *parameters: Any) -> Array:
        (rate,) = parameters
        self._check(rate)
        rates = self.flat(rate, shape, np.float64)
        numbers = np.arange(len(rates), dtype=np.uint64)
        return poisson_counts(rates, numbers, partial(pairs, key, call)).reshape(shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        from refgraph.ops.random_samples import poisson_samples

        return poisson_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_poisson_samples

        return bad_poisson_samples()


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
        accept_distribution(self.name, p)

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
        from refgraph.ops.random_samples import multinomial_samples

        return multinomial_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_multinomial_samples

        return bad_multinomial_samples()


@declare
class RandomCategorical(Draw):
    """Numbers of categories, drawn with the probabilities that the last axis of p has. int64.

    The first category whose distribution function, divided by its last value, exceeds the top 53 bits of 64-bit word i
    over 2**53. p is a vector, or has a row for each element, broadcast.
    """

    name = "random_categorical"
    arity = 1

    def accept(self, shape: Shape, *parameters: TensorVariable) -> None:
        accept_distribution(self.name, parameters[0])

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
        from refgraph.ops.random_samples import categorical_samples

        return categorical_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_categorical_samples

        return bad_categorical_samples()


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
            accept_distribution(self.name, population)
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
        from refgraph.ops.random_samples import distinct_samples

        return distinct_samples()

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        from refgraph.ops.random_samples import bad_distinct_samples

        return bad_distinct_samples()


def _same(words: Any) -> Any:
    return words


# Inputs


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


def accept_real(op: str, x: TensorVariable) -> TensorVariable:
    """The parameter itself. Raises DTypeError for a complex one."""
    if x.type.is_complex:
        raise DTypeError(f"{op}: a parameter is real, got {x} ({x.type}), which is complex", inputs=[x])
    return x


def refuse(op: str, what: str, value: Any, good: Any, rule: str) -> None:
    """Raise DomainError with the first value that is not good."""
    if np.all(good):
        return
    good = np.asarray(good)
    bad = np.broadcast_to(value, good.shape)[~good].flat[0]
    raise DomainError(f"{op}: {what} is {bad}", why=rule)


def refuse_negative(op: str, shape: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Raise ShapeError for a length that is known to be negative."""
    if any(isinstance(d, int) and d < 0 for d in shape):
        raise ShapeError(f"{op}: a length of size {tuple(shape)} is negative", inputs=inputs)


def _accept_probabilities(op: str, p: TensorVariable) -> None:
    if isinstance(accept_real(op, p), TensorConstant):
        _refuse_probabilities(op, p.value)  # type: ignore[attr-defined]  # a constant


def _refuse_probabilities(op: str, p: Any) -> None:
    refuse(op, "a probability", p, (p >= 0) & (p <= 1), "it is from 0 to 1")


def _accept_trials(op: str, n: TensorVariable) -> None:
    if n.type.dtype not in DISCRETE:
        raise DTypeError(f"{op}: n is an integer, got {n} ({n.type})", help="convert it: n.astype('int64')", inputs=[n])
    if isinstance(n, TensorConstant):
        _refuse_trials(op, n.value)


def _refuse_trials(op: str, n: Any) -> None:
    refuse(
        op,
        "the number of trials",
        n,
        (n >= 0) & (n <= 2**53 if n.dtype.itemsize == 8 else True),
        "it is from 0 to 2**53",
    )


def accept_distribution(op: str, p: TensorVariable) -> None:
    """Raise DTypeError, GraphTypeError or DomainError where the last axis of p has no probabilities, if it is known."""
    if accept_real(op, p).type.ndim == 0:
        raise GraphTypeError(f"{op}: probabilities need an axis of categories, got {p.type}", inputs=[p])
    if isinstance(p, TensorConstant):
        _refuse_distribution(op, p.value)


def _refuse_distribution(op: str, p: Any) -> None:
    """Raise DomainError where the last axis of p has no distribution: negative, empty, or not of sum 1.

    A sum may be off by the square root of the dtype's precision, as in numpy.random.
    """
    if p.shape[-1] == 0:
        raise DomainError(f"{op}: there are no categories to choose from")
    refuse(op, "a probability", p, p >= 0, "it is at least 0")
    total = p.sum(axis=-1, dtype=np.float64)
    slack = math.sqrt(np.finfo(p.dtype if p.dtype.kind == "f" else np.float64).eps)
    refuse(op, "the sum of the probabilities", total, np.abs(total - 1) <= slack, "it must be 1: divide them by it")
