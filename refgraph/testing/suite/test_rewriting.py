"""Rewritten programs on a backend: rules bring ops, and forms, that nobody wrote, and these are to be right, too."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.ops.elementwise import fill
from refgraph.ops.tensor import TensorType, as_tensor
from refgraph.rewrite.rule import RULES, PairRule
from refgraph.rewrite.select import load
from refgraph.testing.cases import draw, symbols
from refgraph.testing.compare import largest, unit
from refgraph.testing.rules import RuleCase, rule_cases
from refgraph.testing.suite.programs import agree, check
from refgraph.testing.suite.running import AS_WRITTEN, on, rewritten

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.refgraph_level(2)


@cache
def _cases() -> tuple[RuleCase, ...]:
    """Every pair that is known, in each of its dtypes, listed once."""
    load()
    return tuple(rule_cases())


over_rules = pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in _cases()])


def _points(case: RuleCase) -> list[Array]:
    """Numbers of the domain for each hole."""
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    return [draw(rng, domain, (12,), dtype) for domain, dtype in zip(case.rule.on, case.dtypes, strict=True)]


@over_rules
def test_both_sides_of_a_rule_are_what_they_mean(backend: Backend, case: RuleCase) -> None:
    arrays = _points(case)
    holes = symbols(arrays)
    sides = [case.rule.written(holes), as_tensor(case.rule.made(holes))]
    got = on(backend, holes, sides)(*arrays)
    agree(backend, got, sides, dict(zip(holes, arrays, strict=True)), case.id)


@over_rules
def test_what_a_rule_rewrites_is_what_it_makes_of_it(backend: Backend, case: RuleCase) -> None:
    arrays = _points(case)
    holes = symbols(arrays)
    after = fill(holes[0], as_tensor(case.rule.made(holes)))
    got = rewritten(backend, holes, [case.rule.written(holes)])(*arrays)
    agree(backend, got, [after], dict(zip(holes, arrays, strict=True)), case.id)


def _stable() -> Iterator[Any]:
    load()
    for rule in RULES.values():
        if isinstance(rule, PairRule) and rule.fails:
            for dtype in ("float32", "float64"):
                points = [p for p in rule.fails if _is_in(dtype, p)]
                if points:
                    yield pytest.param(rule, dtype, points, id=f"{rule.name}-{dtype}")


def _is_in(dtype: str, point: tuple[float, ...]) -> bool:
    """Whether all its numbers are normal numbers of the dtype, or 0."""
    info = np.finfo(dtype)
    return all(x == 0 or float(info.tiny) <= abs(x) <= float(info.max) for x in point)


@pytest.mark.parametrize(("rule", "dtype", "points"), list(_stable()))
def test_a_stable_form_is_right_where_what_one_writes_fails(
    backend: Backend, rule: PairRule, dtype: str, points: list[tuple[float, ...]]
) -> None:
    arrays = [np.array(column, dtype) for column in zip(*points, strict=True)]
    holes = symbols(arrays)
    got = rewritten(backend, holes, [rule.written(holes)])(*arrays)
    agree(backend, got, [as_tensor(rule.made(holes))], dict(zip(holes, arrays, strict=True)), rule.name)


# forms that are found in a graph, not by a pair


_FAR = np.array([[1000.0, 0.0, -1000.0], [90.0, 89.0, -90.0], [-800.0, -801.0, -802.0], [0.0, 1e-20, -1e-20]])
_ROW = np.arange(4), np.array([0, 1, 2, 1])

Form = Callable[[Any], Any]

_FORMS: dict[str, tuple[Form, Form]] = {
    "softplus": (lambda x: T.log1p(T.exp(x)), T.nnet.softplus),
    "written-softplus": (lambda x: T.log(1 + T.exp(x)), T.nnet.softplus),
    "log-sigmoid": (lambda x: T.log(T.nnet.sigmoid(x)), lambda x: -T.nnet.softplus(-x)),
    "written-sigmoid": (lambda x: 1 / (1 + T.exp(-x)), T.nnet.sigmoid),
    "softmax": (lambda x: T.exp(x) / T.exp(x).sum(axis=1, keepdims=True), lambda x: T.nnet.softmax(x, axis=1)),
    "log-softmax": (lambda x: T.log(T.nnet.softmax(x, axis=1)), lambda x: T.nnet.logsoftmax(x, axis=1)),
    "logsumexp": (
        lambda x: T.log(T.exp(x).sum(axis=1)),
        lambda x: x.max(axis=1) - T.nnet.logsoftmax(x, axis=1).max(axis=1),
    ),
    "crossentropy": (
        lambda x: -T.log(T.nnet.softmax(x, axis=1))[_ROW].sum(),
        lambda x: -T.nnet.logsoftmax(x, axis=1)[_ROW].sum(),
    ),
    "crossentropy-1hot": (
        lambda x: T.nnet.categorical_crossentropy(T.nnet.softmax(x, axis=1), _ROW[1]),
        lambda x: -T.nnet.logsoftmax(x, axis=1)[_ROW],
    ),
    "crossentropy-gradient": (
        lambda x: T.grad(T.nnet.categorical_crossentropy(T.nnet.softmax(x, axis=1), _ROW[1]).sum(), x),
        lambda x: T.inc_subtensor(T.nnet.softmax(x, axis=1)[_ROW], np.float32(-1)),
    ),
    "logaddexp": (lambda x: T.log(T.exp(x) + T.exp(-x)), lambda x: T.abs_(x) + T.log1p(T.exp(-2 * T.abs_(x)))),
}
"""Forms as one writes them, which overflow or lose everything, and forms that do not."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", _FORMS)
def test_stable_forms_are_right_at_extreme_values(backend: Backend, form: str, dtype: str) -> None:
    x, a = TensorType(dtype, (None, None))("x"), _FAR.astype(dtype)
    written, right = _FORMS[form]
    (want,) = evaluate([right(x)], {x: a})
    got = rewritten(backend, [x], written(x))(a)
    assert (got.dtype, got.shape) == (want.dtype, want.shape), f"{form}: got {got.dtype}{got.shape}"
    off = np.abs(got.astype("float64") - want) / unit(largest(want), want.dtype)
    assert off.max() <= 64, f"{form}: got {got!r}, want {want!r}, {off.max():.3g} ulp of the largest apart"


# whole programs


Program = Callable[[str], tuple[list[Any], list[Any], list[Array]]]


def _array(dtype: str, *shape: int) -> Array:
    return np.random.default_rng(len(shape)).uniform(-1.5, 1.5, shape).astype(dtype)


def _of_matrix(build: Callable[[Any], Any], *shape: int) -> Program:
    """A program of a matrix."""

    def program(dtype: str) -> tuple[list[Any], list[Any], list[Array]]:
        x = TensorType(dtype, (None, None))("x")
        built = build(x)
        return [x], list(built) if isinstance(built, (list, tuple)) else [built], [_array(dtype, *(shape or (4, 3)))]

    return program


def _net(dtype: str) -> tuple[list[Any], list[Any], list[Array]]:
    x, w, v, b = [TensorType(dtype, (None,) * n)(name) for n, name in ((2, "x"), (2, "w"), (2, "v"), (1, "b"))]
    y = T.nnet.softmax(T.dot(T.tanh(T.dot(x, w) + b), v), axis=1)
    cost = T.nnet.categorical_crossentropy(y, np.array([0, 1, 1, 0])).mean()
    arrays = [_array(dtype, *shape) for shape in ((4, 3), (3, 5), (5, 2), (5,))]
    return [x, w, v, b], [y, cost, *T.grad(cost, [w, v, b])], arrays


_PROGRAMS: dict[str, Program] = {
    "fused": _of_matrix(lambda x: T.tanh(x * 2 + 1) * T.exp(-x * x) - T.maximum(x, 0.25)),
    "fused-broadcast": _of_matrix(lambda x: (x - x.mean(axis=0)) * x[0] + x[:, :1] * 0.5),
    "fused-sum": _of_matrix(lambda x: [T.exp(x * x).sum(axis=1), (x * 3 - 1).max(axis=0), T.sqr(x).mean()]),
    "fused-discrete": _of_matrix(lambda x: [T.switch((x > 0) & (x < 1), x, -x), (x * 100).astype("int32") // 7]),
    "normalised": _of_matrix(lambda x: (x - x.mean(axis=0)) / T.sqrt(x.var(axis=0) + 0.1)),
    "shares": _of_matrix(lambda x: T.exp(x) / T.exp(x).sum()),
    "gradient": _of_matrix(lambda x: T.grad(T.log(1 + T.sqr(T.dot(x, x.T))).sum(), x)),
    "common": _of_matrix(lambda x: [T.exp(x) + 1, T.exp(x) * 2, (T.exp(x) + 1) ** 2]),
    "gemm": _of_matrix(lambda x: 0.5 * T.dot(x, x.T[:, :3]) + 2 * T.dot(x[:, ::-1], x[:3]) - 1),
    "views": _of_matrix(
        lambda x: [x.T[::-1].reshape((-1,))[2:], x.dimshuffle(1, "x", 0).sum(axis=2), x.flatten()[::2]]
    ),
    "written": _of_matrix(lambda x: T.inc_subtensor(T.set_subtensor(x[1:, 0], 2.0)[[0, 0], 1], x[:2, 2])),
    "constants": _of_matrix(lambda x: x * np.float32(2) * 3 + (1 - 1) * x + x**2 / x**1 - T.zeros_like(x)),
    "empty": _of_matrix(lambda x: [x.sum(axis=0), T.exp(x) * 2 + x, T.dot(x.T, x)], 0, 3),
    "one": _of_matrix(lambda x: [x / x.sum(), T.tanh(x) * x.T, x.max()], 1, 1),
    "large": _of_matrix(lambda x: [T.tanh(x * 0.5) + x, T.exp(x).sum(axis=0), T.sqr(x).sum()], 300, 41),
    "net": _net,
}

_STAGES = {"FAST_RUN": "FAST_RUN", "FAST_COMPILE": "FAST_COMPILE", "as-written": AS_WRITTEN}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stage", _STAGES)
@pytest.mark.parametrize("program", _PROGRAMS)
def test_a_program_means_the_same_at_every_stage_of_rewriting(
    backend: Backend, program: str, stage: str, dtype: str
) -> None:
    inputs, outputs, arrays = _PROGRAMS[program](dtype)
    check(backend, inputs, outputs, arrays, mode=_STAGES[stage])
