"""What rewriting makes of loops: the loops that are left, what a step of them computes, and that values stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves
from refgraph.interp.evaluate import evaluate
from refgraph.ops.scan import Scan
from refgraph.rewrite import select
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.rule import RULES, Rule

ROOMS = ("scan", "scan_moves", "scan_after", "scan_merge")


@cache
def scan_rules() -> tuple[Rule, ...]:
    """The rules for loops, and no others."""
    names = [import_module(f"refgraph.rewrite.{room}").__name__ for room in ROOMS]
    return tuple([r for r in RULES.values() if getattr(r, "function", r).__module__ in names])


def every_rule() -> tuple[Rule, ...]:
    """All rules of ours."""
    select.load()
    return tuple(RULES.values())


def rewritten(outputs: Any, rules: Sequence[Rule] | None = None) -> Graph:
    """The graph of these outputs, as the rules for loops make it."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    given = [x for x in leaves(wanted) if not isinstance(x, Constant)]
    return rewrite(Graph(given, wanted), scan_rules() if rules is None else rules)


def checked(outputs: Any, given: Mapping[Variable, Any], rtol: float = 1e-12) -> Graph:
    """The same, which has the same values of the same types."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    graph = rewritten(wanted)
    for x, y, a, b in zip(wanted, graph.outputs, evaluate(wanted, given), evaluate(graph.outputs, given), strict=True):
        assert (y.type.dtype, y.type.ndim) == (x.type.dtype, x.type.ndim)
        assert (np.shape(b), np.asarray(b).dtype) == (np.shape(a), np.asarray(a).dtype)
        np.testing.assert_allclose(b, a, rtol, rtol)
    return graph


def loops(graph: Graph) -> list[Apply]:
    """The loops in a graph, not those within loops."""
    return [node for node in graph.nodes if isinstance(node.op, Scan)]


def in_steps(graph: Graph) -> Counter[str]:
    """How many ops of each name there are in the steps of all loops of a graph."""
    return Counter([inner.op.name for node in loops(graph) for inner in node.op.graph.nodes])


def outside(graph: Graph) -> Counter[str]:
    """How many ops of each name there are around the loops."""
    return Counter([node.op.name for node in graph.nodes if not isinstance(node.op, Scan)])


def executed(graph: Graph, given: Mapping[Variable, Any], names: Sequence[str]) -> int:
    """How many applications of ops of these names run, those in steps each time."""
    found = 0

    def counting(graph: Graph) -> Callable[..., list[Any]]:
        def run(*inputs: Any) -> list[Any]:
            nonlocal found
            values: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))
            for node in graph.nodes:
                found += node.op.name in names
                given = [x.value if isinstance(x, Constant) else values[x] for x in node.inputs]
                results = node.op.bind(node, counting)(*given)
                values.update(zip(node.outputs, results if len(node.outputs) > 1 else [results], strict=True))
            return [x.value if isinstance(x, Constant) else values[x] for x in graph.outputs]

        return run

    counting(graph)(*[given[x] for x in graph.inputs])
    return found
