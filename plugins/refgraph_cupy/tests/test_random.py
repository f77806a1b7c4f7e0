"""Random numbers on the device: the interpreter's, anew in each call that is replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.random import Stream


def _drawn(draw: Callable[[Stream], Any], backend: str, calls: int = 3) -> list[np.ndarray[Any, Any]]:
    f = rg.function([], draw(Stream(seed=5)), backend=backend, strict=backend == "cupy")
    return [f() for _ in range(calls)]


EXACT: dict[str, Callable[[Stream], Any]] = {
    "uniform": lambda s: s.uniform(size=(3, 37)),
    "single": lambda s: s.uniform(size=37, dtype="float32"),
    "half": lambda s: s.uniform(size=37, dtype="float16"),
    "open": lambda s: T.switch(s.exponential(size=37, dtype="float64") > 1, 1, 0),
    "integers": lambda s: s.integers(-3, 12, size=37, dtype="int8"),
    "wide": lambda s: s.integers(np.array([[0], [5]]), 2**62 + 1, size=(2, 5)),
    "bits": lambda s: s.integers(0, 2**64, size=5, dtype="uint64"),
    "truths": lambda s: s.bernoulli(np.linspace(0, 1, 7), size=(9, 7)),
    "few": lambda s: s.binomial(np.arange(5)[:, None] * 3, np.linspace(0, 1, 7)),
    "many": lambda s: s.binomial(10**6, np.linspace(0.01, 0.99, 20)),
    "events": lambda s: s.poisson([0, 0.5, 9.9, 10, 700, 1e9], size=(5, 6)),
    "spread": lambda s: s.multinomial(np.array([0, 7, 10**5]), np.full(4, 0.25)),
    "categories": lambda s: s.categorical(np.full((3, 5), 0.2), size=(4, 3)),
    "of many": lambda s: s.categorical(np.full(5000, 1 / 5000), size=20),
    "permutation": lambda s: s.permutation(3000),
    "rows": lambda s: s.permutation(20, size=(2, 3)),
    "weighed": lambda s: s.choice(5, 3, replace=False, p=[0.1, 0, 0.5, 0.3, 0.1]),
}


@pytest.mark.parametrize("name", EXACT)
def test_whole_and_uniform_numbers_are_the_interpreters(name: str) -> None:
    found = _drawn(EXACT[name], "cupy")
    np.testing.assert_array_equal(found, _drawn(EXACT[name], "numpy"))
    assert (found[0] != found[1]).any()
    assert (found[1] != found[2]).any()


@pytest.mark.parametrize(("dtype", "ulp"), [("float64", 4), ("float32", 1), ("float16", 1)])
def test_normal_numbers_are_the_interpreters_but_for_rounding(dtype: str, ulp: int) -> None:
    def draw(stream: Stream) -> Any:
        return stream.normal(size=1001, dtype=dtype)

    np.testing.assert_array_max_ulp(_drawn(draw, "cupy")[2], _drawn(draw, "numpy")[2], ulp)


def test_a_call_that_draws_is_replayed() -> None:
    f = rg.function([], Stream(seed=1).normal(size=5), backend="cupy", strict=True)
    assert len({f()[0] for _ in range(4)}) == 4
    assert "one by one" not in str(f.report())


@pytest.mark.parametrize("size", [3, 0])
def test_parameters_out_of_range_are_refused_and_the_next_call_works(size: int) -> None:
    p = T.dscalar()
    f = rg.function([p], Stream(seed=1).bernoulli(p, size=size), backend="cupy", strict=True)
    for wrong in (1.5, np.nan):
        with pytest.raises(ValueError, match="a probability is"):
            f(wrong)
    assert f(1.0).tolist() == [1] * size
