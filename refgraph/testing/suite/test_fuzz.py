"""Programs made by chance, on a backend: they answer what their graphs mean.

They are drawn by Hypothesis; where that is not installed, there are none. Outside the score: run with `-m fuzz`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.errors import DTypeError
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.loops import scan
from refgraph.ops.branch import ifelse
from refgraph.ops.tensor import TensorType
from refgraph.testing.suite.programs import check

Array = np.ndarray[Any, Any]

_MOST = 1e3  # beyond that a value is squashed, so that conditions stay fair
_SHAPES = [(3,), (2, 3), (3, 3), (1, 3), (2, 1), (1,), (2, 3, 2), (0, 3), ()]
_DTYPES = ["float32", "float64", "float64", "int32", "int64", "uint8", "bool"]

_UNARY: list[Callable[[Any], Any]] = [
    lambda x: -x,
    T.tanh,
    T.sin,
    T.abs_,
    lambda x: T.exp(T.tanh(x)),
    lambda x: T.log(1 + T.sqr(x)),
    lambda x: T.sqrt(1 + x * x),
    lambda x: 1 / (1 + T.sqr(x)),
    lambda x: T.clip(x, -1, 2),
    lambda x: T.switch(x > 0, x * 2, x - 1),
    lambda x: x + 1,
    lambda x: 3 * x,
    lambda x: x / 2,
    lambda x: x.astype("float32"),
    lambda x: T.nnet.sigmoid(x),
    lambda x: T.rint(x),
    lambda x: T.zeros_like(x),
    lambda x: T.fill(x, 2),
]
_BINARY: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (1 + T.sqr(y)),
    T.maximum,
    lambda x, y: T.switch(x > y, x, y),
    lambda x, y: T.eq(x, y),
    lambda x, y: ifelse(T.gt(x.sum(), y.sum()), x, x * 2),
    lambda x, y: T.set_subtensor(x[:1], T.zeros_like(x[:1])) + y if x.ndim else x * y,
]
_REDUCED: list[Callable[..., Any]] = [T.sum, T.mean, T.max, T.min, T.prod, T.any]
_WHOLE: list[Callable[[Any], Any]] = [
    lambda x: x.T,
    lambda x: x[::-1],
    lambda x: x[:1],
    lambda x: x[1:],
    lambda x: x[[0, 0]],
    lambda x: x[None] if x.ndim < 3 else x,
    lambda x: x.flatten(),
    lambda x: T.concatenate([x, x * 2]),
    lambda x: T.cumsum(x, axis=0),
    lambda x: T.sort(x, axis=0),
    lambda x: T.inc_subtensor(x[:1], x[-1:]),
    lambda x: scan(lambda row, h: T.tanh(h + row), x.astype("float64"), T.zeros_like(x[0].astype("float64")))[0],
]


class _Maker:
    """Makes a program by chance, looking at what its variables hold."""

    def __init__(self, choose: Callable[[list[Any]], Any]) -> None:
        self.choose = choose
        self.values: dict[Any, Array] = {}
        self.inputs: list[Any] = []
        self.rng = np.random.default_rng(self.choose(list(range(1000))))

    def input(self) -> Any:
        dtype, shape = self.choose(_DTYPES), self.choose(_SHAPES)
        drawn = np.asarray(self.rng.uniform(0 if dtype in ("uint8", "bool") else -2, 2, shape))
        array = (drawn if dtype.startswith("float") else np.rint(drawn)).astype(dtype)
        lengths = [n if self.choose([True, False]) else None for n in shape]
        x = TensorType(dtype, lengths)(f"x{len(self.inputs)}")
        self.inputs.append(x)
        self.values[x] = array
        return x

    def value(self, x: Any) -> Array:
        if x not in self.values:
            (found,) = evaluate([x], self.values)
            self.values[x] = np.asarray(found)
        return self.values[x]

    def step(self, made: list[Any]) -> Any:
        """Something made of what there is."""
        x = self.choose(made[-3:])
        kind = self.choose(["unary", "unary", "binary", "binary", "reduced", "whole", "product"])
        if kind == "unary":
            return self.choose(_UNARY)(x)
        if kind == "binary":
            fitting = [y for y in made if _broadcasts(self.value(x), self.value(y))]
            return self.choose(_BINARY)(x, self.choose(fitting))
        if x.ndim == 0 or 0 in self.value(x).shape:
            return x + 1
        if kind == "reduced":
            axis = self.choose([None, *range(x.ndim)])
            return self.choose(_REDUCED)(x, axis=axis, keepdims=self.choose([True, False]))
        if kind == "whole":
            return self.choose(_WHOLE)(x)
        return T.dot(x.T, x) if x.ndim == 2 else x * x

    def program(self) -> tuple[list[Any], list[Any], list[Array]]:
        """Inputs, outputs and arrays."""
        made = [self.input() for _ in range(self.choose([1, 2, 3]))]
        for _ in range(self.choose(list(range(2, 12)))):
            try:
                new = self.step(made)
            except DTypeError:  # not everything has a meaning for integers and bools
                continue
            size = np.abs(self.value(new).astype("float64"))
            made.append(new if np.max(size, initial=0) < _MOST else T.tanh(new / _MOST))
        outputs = made[-2:]
        smooth = [x for x in self.inputs if x.type.is_continuous]
        cost = sum([T.sin(x).sum() for x in outputs[1:]], T.sin(outputs[0]).sum())
        if smooth and cost.type.is_continuous:
            outputs += T.grad(cost, smooth, disconnected_inputs="ignore")
        return self.inputs, outputs, [self.values[x] for x in self.inputs]


def _broadcasts(x: Array, y: Array) -> bool:
    try:
        return len(np.broadcast_shapes(x.shape, y.shape)) <= 3
    except ValueError:
        return False


if find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    @pytest.mark.fuzz
    @pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
    @settings(
        max_examples=200,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(data=st.data())
    def test_a_program_made_by_chance_answers_what_it_means(backend: Backend, mode: str, data: Any) -> None:
        inputs, outputs, arrays = _Maker(lambda among: data.draw(st.sampled_from(among))).program()
        check(backend, inputs, outputs, arrays, mode=mode, on_unused_input="ignore")
