"""Programs of several ops on a backend, held against what their graphs mean.

In a program the rounding of one op may grow in the next: log(1 - exp(x)) has few good digits near 0, whoever computes
it. So a result may be as far from its meaning as the meaning itself moves when each op of it is off by what the suite
allows that op.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.core.graph import Constant, Graph, Variable, leaves, toposort
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.function import Function, function
from refgraph.interp.shared import SharedVariable
from refgraph.ops.families import Elemwise
from refgraph.ops.reductions import Reduction
from refgraph.testing.cases import name_of
from refgraph.testing.compare import kind_of, largest, tolerance_for, unit

Array = np.ndarray[Any, Any]

_TRIES = 3  # how often the meaning is moved
_LEEWAY = 8.0  # how much further than the farthest of these a result may be


def check(
    backend: Backend,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    arrays: Sequence[Any],
    updates: Mapping[Any, Any] | None = None,
    **options: Any,
) -> Function:
    """Make a function on the backend and call it, twice: each time outputs and updates are what the graph means.

    options: further ones of `function`. Answers that function.
    """
    made = dict(updates or {})
    everything = [*outputs, *made.values()]
    f = function(inputs, list(outputs), updates=made, backend=backend, **options)
    given = dict(zip(inputs, arrays, strict=True))
    for n in range(2):
        want = meaning(everything, given)  # as states are before the call
        got = f(*arrays)
        agree(backend, [*got, *[state.get_value() for state in made]], everything, want, f"call {n}")
    return f


def meaning(outputs: Sequence[Variable], given: Mapping[Variable, Any]) -> dict[Variable, Any]:
    """Values for all that the outputs depend on: those given, and those that shared variables have now, copied."""
    found: dict[Variable, Any] = {x: np.asarray(a) for x, a in given.items()}
    for x in leaves(outputs):
        if isinstance(x, SharedVariable) and x not in found:
            found[x] = x.get_value()
    return found


def agree(
    backend: Backend, got: Sequence[Any], outputs: Sequence[Variable], given: Mapping[Variable, Any], note: str = ""
) -> None:
    """Fail where a result is not what its graph means for these values, in dtype, shape and number."""
    wanted = evaluate(outputs, given)
    assert len(got) == len(wanted), f"{note or 'program'}: got {len(got)} outputs, want {len(wanted)}"
    moved = [_moved(backend, outputs, given, seed) for seed in range(_TRIES)]
    for n, (g, w) in enumerate(zip(got, wanted, strict=True)):
        where = f"{note}: output {n}" if note else f"output {n}"
        _assert_within(backend, np.asarray(g), np.asarray(w), [np.asarray(m[n]) for m in moved], where)


def _assert_within(backend: Backend, got: Array, want: Array, moved: Sequence[Array], note: str) -> None:
    found, wanted = f"{got.dtype}{list(got.shape)}", f"{want.dtype}{list(want.shape)}"
    assert found == wanted, f"{note}: got {found}, want {wanted}"
    near = [m for m in moved if m.shape == want.shape]
    if want.dtype.kind not in "fc":
        settled = np.logical_and.reduce([m == want for m in near]) if near else np.ones(want.shape, bool)
        _refuse(settled & (got != want), got, want, note)
        return
    with np.errstate(all="ignore"):
        finite = np.isfinite(want)
        spread = np.zeros(want.shape)
        for m in near:
            same = (m == want) | (np.isnan(m) & np.isnan(want))
            spread = np.maximum(
                spread, np.where(same, 0.0, np.where(finite & np.isfinite(m), np.abs(m - want), np.inf))
            )
        bound = tolerance_for(backend.tolerances, "program", want.dtype.name, "compound")
        allowed = _LEEWAY * spread + bound.ulp * unit(largest(want), _part(want.dtype))
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        close = np.where(finite & np.isfinite(got), np.abs(got - want) <= allowed, same | np.isinf(spread))
        _refuse(~(same | close), got, want, note)


def _part(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.empty(0, dtype).real.dtype


def _refuse(wrong: Any, got: Array, want: Array, note: str) -> None:
    if count := int(np.count_nonzero(wrong)):
        at = np.unravel_index(int(np.argmax(wrong)), want.shape)
        place = [int(i) for i in at]
        raise AssertionError(
            f"{note}: {count} of {want.size} elements of {want.dtype} are off, the first at {place}: "
            f"got {got[at]!s}, the interpreter says {want[at]!s}"
        )


def _moved(backend: Backend, outputs: Sequence[Variable], given: Mapping[Variable, Any], seed: int) -> list[Any]:
    """What `evaluate` answers when the results of each op are off by as much as the backend's may be."""
    rng = np.random.default_rng(zlib.crc32(b"moved") + seed)

    def run(outputs: Sequence[Variable], given: Mapping[Variable, Any]) -> list[Any]:
        values: dict[Variable, Any] = dict(given)

        def value(x: Variable) -> Any:
            return x.value if isinstance(x, Constant) else values[x]

        for node in toposort(outputs, values.keys()):
            results = node.op.bind(node, program)(*[value(x) for x in node.inputs])
            for out, result in zip(node.outputs, results if len(node.outputs) > 1 else [results], strict=True):
                values.setdefault(out, _off(backend, node.op, result, rng))
        return [value(x) for x in outputs]

    def program(graph: Graph) -> Callable[..., list[Any]]:
        return lambda *inputs: run(graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))

    with np.errstate(all="ignore"):
        try:
            return run(outputs, given)
        except (ValueError, IndexError, ArithmeticError):  # a length or an index that moved too far
            return list(evaluate(outputs, given))


def _off(backend: Backend, op: Any, result: Any, rng: np.random.Generator) -> Any:
    """A result of an op, each element off to one side or the other."""
    if not isinstance(result, (np.ndarray, np.generic)) or result.dtype.kind not in "fc":
        return result
    kind_holder = op if isinstance(op, (Elemwise, Reduction)) else type(op)
    kind = kind_of(kind_holder)
    if kind == "exact":
        return result
    array = np.asarray(result)
    tolerance = tolerance_for(backend.tolerances, name_of(kind_holder), array.dtype.name, kind)
    size = np.abs(array) if not tolerance.normwise else np.max(np.abs(array), initial=0, where=np.isfinite(array))
    signs = rng.integers(0, 2, array.shape) * 2 - 1
    eps = float(np.finfo(array.dtype).eps)
    return np.asarray(array + (signs * (tolerance.ulp * eps) * size)).astype(array.dtype)
