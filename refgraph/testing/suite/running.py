"""What the modules of the suite share: cases to choose from, and functions on the backend that is tested."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.function import Function, function
from refgraph.interp.modes import FAST_RUN, Mode
from refgraph.ops.families import Elemwise, SumTo
from refgraph.ops.fused import Fused
from refgraph.ops.random import Draw, RandomFork
from refgraph.ops.reductions import Reduction, Row
from refgraph.ops.scan import Scan
from refgraph.testing.cases import Case, cases, name_of, symbols
from refgraph.testing.compare import Tolerance, kind_of, tolerance_for

Array = np.ndarray[Any, Any]

AS_WRITTEN = Mode(None, "None", "AS_WRITTEN")
"""The mode that rewrites nothing, so that each op is asked for as it is."""

MAIN = frozenset({"bool", "int64", "float32", "float64", "complex128"})
"""The dtypes that backends take who take few: each stands for all tests that are about no dtype."""

_RANKS = "buifc"  # NumPy's kinds of dtypes, from the smallest


# which cases


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case there is, listed once."""
    return tuple(cases())


def over(wanted: Callable[[Case], bool], level: int | None = None) -> pytest.MarkDecorator:
    """Parametrize `case` over the cases that satisfy `wanted`; they count for a level, by default for their op's."""
    chosen = [
        pytest.param(c, id=c.id, marks=pytest.mark.refgraph_level(level_of(c.op) if level is None else level))
        for c in all_cases()
        if wanted(c)
    ]
    return pytest.mark.parametrize("case", chosen)


def level_of(op: Any) -> int:
    """The level that an op counts for: what most programs are made of, what is run in loops or draws, and the rest."""
    kind = op if isinstance(op, type) else type(op)
    if issubclass(kind, (Elemwise, Row, Reduction, Fused, SumTo)):
        return 1
    return 3 if issubclass(kind, (Scan, Draw, RandomFork)) else 2


def one_for_each(key: Callable[[Case], Hashable], wanted: Callable[[Case], bool]) -> Callable[[Case], bool]:
    """A choice among the cases that satisfy `wanted`: one for each key, with more than one element where there is such.

    A key that is None is nobody's.
    """
    found: dict[Hashable, Case] = {}
    for case in filter(wanted, all_cases()):
        k = key(case)
        if k is not None and (k not in found or (not _is_large(found[k]) and _is_large(case))):
            found[k] = case
    chosen = {case.id for case in found.values()}
    return lambda case: case.id in chosen


def representatives(wanted: Callable[[Case], bool], more: Callable[[Case], Hashable] = lambda case: None) -> Any:
    """A choice among the cases that satisfy `wanted`: one for each op, dtypes and what `more` tells apart.

    Dtypes are those in MAIN, so that a backend that takes few has its share whichever these are. Of a kind of dtypes in
    which an op has none of these, there is one case.
    """
    taken = {(name_of(case.op), kinds_of(case), more(case)) for case in filter(wanted, all_cases()) if _is_main(case)}

    def key(case: Case) -> Hashable:
        if _is_main(case):
            return name_of(case.op), dtypes_of(case), more(case)
        of_kind = (name_of(case.op), kinds_of(case), more(case))
        return None if of_kind in taken else of_kind

    return one_for_each(key, wanted)


def _is_main(case: Case) -> bool:
    return MAIN.issuperset(dtypes_of(case))


def kinds_of(case: Case) -> frozenset[str]:
    """The kinds of the dtypes of a case's inputs, as NumPy's letters."""
    return frozenset(np.dtype(d).kind for d in dtypes_of(case))


def _is_large(case: Case) -> bool:
    return any(np.ndim(a) > 0 and np.size(a) > 1 for a in case.sample.inputs)


def dtypes_of(case: Case) -> tuple[str, ...]:
    """The dtypes of a case's inputs."""
    return tuple(sorted({np.asarray(a).dtype.name for a in case.sample.inputs}))


def dtype_of(case: Case) -> str:
    """The dtype that a case is about: of its inputs' the one that holds most."""
    found = [np.dtype(name) for name in dtypes_of(case)] or [np.asarray(wanted(case)[0]).dtype]
    return max(found, key=lambda dtype: (_RANKS.index(dtype.kind), dtype.itemsize)).name


# what they are as graphs


class Posed(NamedTuple):
    """A case as a graph: variables for its arrays, and what is made of them."""

    inputs: list[Any]
    outputs: list[Any]


def posed(case: Case, known: bool = False) -> Posed:
    """The graph of a case; with `known`, lengths are part of the types of its inputs."""
    inputs = symbols(case.sample.inputs, known)
    return Posed(inputs, as_list(case.sample.build(*inputs)))


def as_list(outputs: Any) -> list[Any]:
    """One output, or several, as a list."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def arrays_of(case: Case) -> list[Any]:
    """The arrays of a case in memory of their own, laid out in the same way: a backend may be one that spoils them."""
    return [replica(np.asarray(a)) for a in case.sample.inputs]


def replica(a: Array) -> Array:
    """A copy of an array, with the same strides."""
    if a.flags.c_contiguous:
        return a.copy()
    low, high = np.lib.array_utils.byte_bounds(a)
    there = a.__array_interface__["data"][0] - low
    made: Array = np.ndarray(a.shape, a.dtype, bytearray(high - low), there, a.strides)
    made[...] = a
    return made


@cache
def wanted(case: Case) -> tuple[Any, ...]:
    """What the interpreter says that a case's outputs are."""
    graph = posed(case)
    return tuple(evaluate(graph.outputs, dict(zip(graph.inputs, case.sample.inputs, strict=True))))


# on the backend


def on(backend: Backend, inputs: Sequence[Any], outputs: Any, **options: Any) -> Function:
    """A function, on the backend, of a graph as it is written."""
    return function(inputs, outputs, **{"mode": AS_WRITTEN, "on_unused_input": "ignore", **options}, backend=backend)


def rewritten(backend: Backend, inputs: Sequence[Any], outputs: Any, **options: Any) -> Function:
    """A function, on the backend, of a graph that is rewritten by every rule."""
    return on(backend, inputs, outputs, mode=FAST_RUN, **options)


def share_memory(backend: Backend, a: Any, b: Any) -> bool:
    """Whether two arrays, of the backend or of NumPy, lie in the same memory, as far as one can see."""
    if a is b:
        return True
    places = [getattr(x, "__cuda_array_interface__", {"data": (0,)})["data"][0] for x in (a, b)]
    if places[0] and places[0] == places[1]:
        return True
    one, other = [x if isinstance(x, np.ndarray) else np.asarray(backend.to_numpy(x)) for x in (a, b)]
    return np.shares_memory(one, other)


# how results are judged


def tolerance(backend: Backend, op: Any, dtype: str, record: Any = None) -> Tolerance:
    """How far the backend's results of an op may be off in a dtype; the record is told where that is far."""
    name, kind = name_of(op), kind_of(op)
    found = tolerance_for(backend.tolerances, name, dtype, kind)
    if found.loosened and record is not None:
        record.loosened(name, dtype, found.ulp, tolerance_for({}, name, dtype, kind).ulp)
    return found


def judge(backend: Backend, case: Case, got: Sequence[Any], want: Sequence[Any], record: Any = None) -> None:
    """Results of a case are what is wanted, in number, dtype and shape, and within the tolerance of its op."""
    assert len(got) == len(want), f"{case.id}: got {len(got)} outputs, want {len(want)}"
    for n, (g, w) in enumerate(zip(got, want, strict=True)):
        note = f"{case.id}, output {n}" if len(want) > 1 else case.id
        g, w = np.asarray(g), np.asarray(w)
        if w.dtype.kind == "c" and g.dtype == w.dtype and g.shape == w.shape:
            g, w = _where_finite(g, w)
        tolerance(backend, case.op, w.dtype.name, record).assert_close(g, w, note)


def _where_finite(got: Array, want: Array) -> tuple[Array, Array]:
    """Complex numbers, those that are to be infinite or NaN and are so put aside: which of their parts is, is open."""
    lost = ~np.isfinite(got) & ~np.isfinite(want)
    return np.where(lost, 0, got).astype(got.dtype), np.where(lost, 0, want).astype(want.dtype)
