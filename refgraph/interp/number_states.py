"""Which dtype a loop's state takes that starts from a Python number: as the number itself would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply, Constant, Variable, rebuild, toposort
from refgraph.core.origin import made_for
from refgraph.ops.families import Elemwise
from refgraph.ops.scan import State
from refgraph.ops.tensor import TensorType

_WEAKEST = (
    {"b": "bool", "i": "bool", "f": "float16", "c": "complex64"},
    {"b": "bool", "i": "int8", "f": "float32", "c": "complex64"},
)
"""By kind of number, dtypes that change nothing beside others; the second where the first has no meaning for an op."""


def dtypes_to_start(weak: Mapping[State, Any], news: Mapping[State, Any]) -> dict[State, str]:
    """Dtypes for states, each with the number that it starts from and what a step makes of it: the least that last.

    Where the steps make nothing else of the weakest dtype of the number's kind, nothing else has a say, and the
    number's own dtype stays.
    """
    own: dict[State, str] = {s: s.reads[0].type.dtype for s in weak}
    reads = {s.reads[0] for s in weak}
    for weakest in _WEAKEST:
        start = {s: weakest[np.dtype(dtype).kind] for s, dtype in own.items()}
        try:
            with np.errstate(over="ignore"):  # numbers beyond float16
                found = _stable(news, start)
                silent = [s for s in weak if found[s] == start[s] and not _has_equal(news[s], reads, start[s])]
                found = {s: own[s] if s in silent else _holding(number, found[s]) for s, number in weak.items()}
                return _stable(news, found)
        except RefgraphError:  # an op that has no meaning for so weak a dtype
            continue
    return own


def _holding(number: Any, dtype: str) -> str:
    """This dtype, or if the number is an integer beyond it, one that holds both."""
    if np.dtype(dtype).kind not in "iu" or np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        return dtype
    return str(np.promote_types(dtype, np.min_scalar_type(number)))


def _stable(news: Mapping[State, Any], dtypes: dict[State, str]) -> dict[State, str]:
    """The least dtypes, from these on, that the steps keep."""
    while True:
        given = {s.reads[0]: TensorType(dtypes[s], s.reads[0].type.shape)() for s in news}
        made = retyped(list(news.values()), given)
        more = {s: str(np.promote_types(dtypes[s], x.type.dtype)) for s, x in zip(news, made, strict=True)}
        if more == dtypes:
            return dtypes
        dtypes = more


def _has_equal(new: Any, reads: set[Variable], dtype: str) -> bool:
    """Whether on the way from `reads` to `new` there are floating arrays, not constants, that this dtype holds."""
    within = set(reads)
    met = [new]
    for node in toposort([new], reads):
        if not within.isdisjoint(node.inputs):
            within.update(node.outputs)
            met += node.inputs
    others = [x.type.dtype for x in met if x not in within and not isinstance(x, Constant)]
    return any(np.dtype(other).kind in "fc" and np.promote_types(other, dtype) == dtype for other in others)


def retyped(outputs: Sequence[Any], given: Mapping[Variable, Variable]) -> list[Any]:
    """`outputs` computed from other things, maybe of other dtypes: Python numbers beside them take those, too."""
    if not given:
        return list(outputs)
    moved = set(given.values())

    def change(node: Apply) -> Sequence[Variable] | None:
        if moved.isdisjoint(node.inputs):
            return None
        made = node.outputs
        numbers = [_number(x) for x in node.inputs]
        if isinstance(node.op, Elemwise) and any(n is not None for n in numbers):
            with made_for(node.origin):
                written = [x if n is None else n for x, n in zip(node.inputs, numbers, strict=True)]
                made = (node.op(*written, name=node.outputs[0].name),)
        moved.update(made)
        return made

    return rebuild(outputs, given, change)


def _number(x: Variable) -> Any:
    """The Python number that x was made of as an operand, which is its name then; None for anything else."""
    if not isinstance(x, Constant) or x.name is None:
        return None
    for kind in (int, float, complex):
        try:
            number = kind(x.name)
        except ValueError:
            continue
        return number if repr(number) == x.name else None
    return None
