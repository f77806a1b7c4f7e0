"""Which dtype a loop's state takes that starts from a Python number: as the number itself would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Variable, toposort
from refgraph.ops.retyping import number_of, retyped
from refgraph.ops.scan import State
from refgraph.ops.tensor import TensorType, alone

_KINDS: dict[str, type] = {"b": bool, "i": int, "f": float, "c": complex}  # weakest first


def dtypes_to_start(weak: Mapping[State, Any], news: Mapping[State, Any]) -> dict[State, str]:
    """Dtypes for states, each with the number that it starts from and what a step makes of it: the least that last.

    Where a step makes nothing else of the weakest dtype of the number's kind, nothing else has a say, and the number's
    own dtype stays.
    """
    floats = _floating(weak, news)
    for integer in ("bool", "int8"):  # all integers absorb bool, for which some ops have no meaning
        try:
            return _least(weak, news, floats, integer)
        except RefgraphError:
            continue
    return {s: s.reads[0].type.dtype for s in weak}


def _least(
    weak: Mapping[State, Any], news: Mapping[State, Any], floats: Mapping[State, set[str]], integer: str
) -> dict[State, str]:
    kinds = {s: _kind(alone(number)) for s, number in weak.items()}
    while True:
        start = {s: _weakest(kinds[s], floats[s], integer) for s in weak}
        found = _stable(news, start)
        rising = {s: _kind(found[s]) for s in weak if _kind(found[s]) > kinds[s]}
        if not rising:
            break
        kinds.update(rising)
    for s, number in weak.items():
        if found[s] != start[s]:
            found[s] = _holding(number, found[s])
        elif not any(np.promote_types(other, start[s]) == start[s] for other in floats[s]):
            found[s] = alone(list(_KINDS.values())[kinds[s]](number))
    return _stable(news, found)


def _kind(dtype: str) -> int:
    """The number of a dtype's kind in _KINDS."""
    kind = np.dtype(dtype).kind
    return list(_KINDS).index("i" if kind == "u" else kind)


def _weakest(kind: int, floats: set[str], integer: str) -> str:
    """The dtype of a kind that changes the dtypes of others least."""
    return ("bool", integer, "float16" if floats == {"float16"} else "float32", "complex64")[kind]


def _floating(weak: Mapping[State, Any], news: Mapping[State, Any]) -> dict[State, set[str]]:
    """For each state the dtypes of floating arrays, not numbers, that it meets, also by way of other states."""
    reads: dict[Variable, State] = {s.reads[0]: s for s in weak}
    dtypes: dict[State, set[str]] = {}
    states: dict[State, set[State]] = {}
    for s, new in news.items():
        within: set[Variable] = set(reads)
        met = [new]
        for node in toposort([new], reads):
            if not within.isdisjoint(node.inputs):
                within.update(node.outputs)
                met += node.inputs
        others = [x.type for x in met if x not in within and number_of(x) is None]
        dtypes[s] = {t.dtype for t in others if isinstance(t, TensorType) and t.numpy_dtype.kind in "fc"}
        states[s] = {reads[x] for x in met if x in reads}
    for _ in weak:
        for s in weak:
            dtypes[s].update(*[dtypes[other] for other in states[s]])
    return dtypes


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
