"""Expressions of other dtypes: Python numbers in them are weak again, as when they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refgraph.core.graph import Apply, Variable, rebuild
from refgraph.core.origin import made_for
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import ConstantOfNumber


def retyped(outputs: Sequence[Any], given: Mapping[Variable, Variable]) -> list[Any]:
    """`outputs` computed from other things, maybe of other dtypes: Python numbers beside them take those, too."""
    if all(getattr(old.type, "dtype", None) == getattr(new.type, "dtype", None) for old, new in given.items()):
        return rebuild(outputs, given)
    moved = set(given.values())

    def change(node: Apply) -> Sequence[Variable] | None:
        if moved.isdisjoint(node.inputs):
            return None
        made = node.outputs
        numbers = [number_of(x) for x in node.inputs]
        if isinstance(node.op, Elemwise) and any(n is not None for n in numbers):
            with made_for(node.origin):
                written = [x if n is None else n for x, n in zip(node.inputs, numbers, strict=True)]
                made = (node.op(*written, name=node.outputs[0].name),)
        moved.update(made)
        return made

    return rebuild(outputs, given, change)


def number_of(x: Variable) -> Any:
    """The Python number that x was made of, with or without the dtype of neighbours. None for anything else."""
    return x.number if isinstance(x, ConstantOfNumber) else None
