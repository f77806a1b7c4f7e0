"""The rules that stand in some files of `refgraph.rewrite`, and whether what they make of a graph means the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from refgraph.core.graph import Constant, Graph, Variable, leaves
from refgraph.interp.evaluate import evaluate
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.rule import RULES, NodeRule, Rule
from refgraph.rewrite.select import load

_DRAWS, _ENOUGH = 2000, 5


def rules_in(*rooms: str) -> list[Rule]:
    """The node rules declared in these files."""
    load()  # in the order in which they are tried, whichever is asked for first
    names = [import_module(f"refgraph.rewrite.{room}").__name__ for room in rooms]
    return [r for r in RULES.values() if isinstance(r, NodeRule) and r.function.__module__ in names]


def outcome(outputs: Sequence[Variable], given: Mapping[Variable, Any]) -> Any:
    """The values, or the error."""
    try:
        return [np.asarray(a) for a in evaluate(outputs, given)]
    except (IndexError, ValueError) as error:
        return error


def assert_same(want: Any, got: Any, rtol: float = 0) -> None:
    """Whether two outcomes are the same: an error may vanish, but none may come."""
    if not isinstance(want, list):
        return
    assert isinstance(got, list), repr(got)
    for a, b in zip(want, got, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(b, a, rtol, rtol)


def assert_same_meaning(
    outputs: Sequence[Variable], given: Mapping[Variable, Any], rules: Sequence[Rule], rtol: float = 0
) -> None:
    """Rewritten, the outputs have the same values."""
    graph = rewrite(Graph(list(given), outputs), rules)
    assert_same(outcome(outputs, given), outcome(graph.outputs, given), rtol)


def assert_values_stay(outputs: Any, rules: Sequence[Rule], seed: str, rtol: float = 1e-12) -> set[str]:
    """The same for arrays of many shapes, some of which must fit; answers which rules have changed something."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    xs = [x for x in leaves(wanted) if not isinstance(x, Constant)]
    applied: set[str] = set()
    graph = rewrite(Graph(xs, wanted), rules, lambda rule, *_: applied.add(rule.name))
    rng = np.random.default_rng(list(seed.encode()))
    fitting = 0
    for _ in range(_DRAWS):
        given = {x: _drawn(x, rng) for x in xs}
        want = outcome(wanted, given)
        assert_same(want, outcome(graph.outputs, given), rtol)
        fitting += isinstance(want, list)
        if fitting == _ENOUGH:
            return applied
    assert fitting, "no arrays fit"
    return applied


def _drawn(x: Any, rng: np.random.Generator) -> Any:
    shape = [rng.integers(0, 5) if d is None else d for d in x.type.shape]
    if x.type.numpy_dtype.kind == "f":
        return rng.uniform(0.5, 2, shape).astype(x.type.dtype)
    return rng.integers(0, 5, shape).astype(x.type.dtype)
