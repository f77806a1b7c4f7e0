"""The reference interpreter: for each application in order, look up inputs, call its meaning, store outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.core.graph import Constant, Graph, Variable, toposort


def evaluate(outputs: Sequence[Variable], given: Mapping[Variable, Any]) -> list[Any]:
    """Values of `outputs`, given values for the variables they depend on. This is what a graph means."""
    values: dict[Variable, Any] = dict(given)

    def value(x: Variable) -> Any:
        return x.value if isinstance(x, Constant) else values[x]

    with np.errstate(all="ignore"):
        for node in toposort(outputs, values.keys()):
            meaning = node.op.bind(node, program)
            results = meaning(*[value(x) for x in node.inputs])
            for out, result in zip(node.outputs, results if len(node.outputs) > 1 else [results], strict=True):
                values.setdefault(out, result)  # what is given stands, whatever its node answers
    return [value(x) for x in outputs]


def program(graph: Graph) -> Callable[..., list[Any]]:
    """A closed graph as a callable: how ops that hold graphs run them."""
    return lambda *inputs: evaluate(graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))
