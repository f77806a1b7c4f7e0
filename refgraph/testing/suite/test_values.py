"""L1, L2 and L3, by op: what each op gives on its cases, and how it treats the memory that it is given.

The judge is the interpreter, on the graph as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.inputs import Out
from refgraph.interp.shared import shared
from refgraph.ops.families import Elemwise
from refgraph.ops.reductions import Row
from refgraph.ops.tensor import constant
from refgraph.testing.cases import Case, name_of
from refgraph.testing.compare import assert_bits, assert_close, kind_of
from refgraph.testing.suite.running import (
    all_cases,
    arrays_of,
    as_list,
    dtype_of,
    dtypes_of,
    judge,
    kinds_of,
    on,
    one_for_each,
    over,
    posed,
    replica,
    representatives,
    rewritten,
    share_memory,
    wanted,
)
from refgraph.testing.suite.unchanged import left_as_they_are

Array = np.ndarray[Any, Any]


# which cases: each stresses one thing


def _arrays(case: Case) -> list[Array]:
    return [np.asarray(a) for a in case.sample.inputs]


def _stress(case: Case) -> str:
    """What a case is there for, apart from its op."""
    arrays = _arrays(case)
    if case.id.endswith("-edges"):
        return "edges"
    if any(a.size == 0 for a in arrays):
        return "empty"
    if all(a.ndim == 0 for a in arrays):
        return "0-d"
    if isinstance(case.op, Elemwise) and len({a.shape for a in arrays}) > 1:
        return "broadcast"
    return "ordinary" if {"float64"}.issuperset(dtypes_of(case)) else "dtype"


_STRESS = {case.id: _stress(case) for case in all_cases()}


def _is(*kinds: str) -> Callable[[Case], bool]:
    return lambda case: _STRESS[case.id] in kinds


def _is_row(case: Case) -> bool:
    """Whether its op is a row of one of the tables: what other numbers of the same domain are is known."""
    return isinstance(case.op, (Elemwise, Row))


_with_axes = _is("ordinary", "dtype")
_not_edges = _is("ordinary", "dtype", "broadcast", "0-d", "empty")
_per_dtype = one_for_each(
    lambda case: (name_of(case.op), dtypes_of(case)), _is("ordinary", "dtype", "broadcast", "0-d")
)
_chosen = representatives(_with_axes)
_per_stress = representatives(_not_edges, lambda case: _STRESS[case.id])


# values


def _check(backend: Backend, case: Case, record: Any = None, known: bool = False, make: Any = on) -> None:
    """The case, as a function on the backend, gives what the interpreter gives; the record is told who ran it."""
    graph = posed(case, known)
    f = make(backend, graph.inputs, graph.outputs)
    if record is not None:
        record.ran(f.report(), name_of(case.op), dtype_of(case))
    judge(backend, case, f(*arrays_of(case)), wanted(case), record)


@over(_is("ordinary"))
def test_ordinary_values_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


@over(_is("dtype"))
def test_values_of_each_dtype_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


@over(_is("broadcast"))
def test_broadcast_values_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


@over(_is("0-d"))
def test_values_without_axes_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


@over(_is("empty"))
def test_values_of_empty_inputs_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


@over(_is("edges"))
def test_edge_values_agree(case: Case, backend: Backend, record: Any) -> None:
    _check(backend, case, record)


def _has_nan(case: Case) -> bool:
    return any(a.dtype.kind in "fc" and bool(np.isnan(a).any()) for a in _arrays(case))


@over(_has_nan)
def test_nan_is_kept(case: Case, backend: Backend) -> None:
    graph = posed(case)
    got = on(backend, graph.inputs, graph.outputs)(*arrays_of(case))
    for g, w in zip(got, wanted(case), strict=True):
        lost = _is_nan(w) & ~_is_nan(g)
        if np.asarray(w).dtype.kind == "c":
            lost &= np.isfinite(g)  # which infinite numbers have a part that is NaN is open
        if lost.any():
            at = tuple([int(i) for i in np.unravel_index(np.argmax(lost), lost.shape)])
            raise AssertionError(
                f"{case.id}: {int(lost.sum())} of {lost.size} elements should be NaN, the first at {list(at)}: "
                f"got {g[at]!s}, want {w[at]!s}{_of_inputs(case, w, at)}"
            )


def _of_inputs(case: Case, result: Any, at: tuple[int, ...]) -> str:
    """What the inputs are where an elementwise result is this element."""
    if not isinstance(case.op, Elemwise):
        return ""
    return f", of {', '.join([str(np.broadcast_to(a, np.shape(result))[at]) for a in _arrays(case)])}"


def _is_nan(a: Any) -> Any:
    return np.isnan(a) if np.asarray(a).dtype.kind in "fc" else np.zeros(np.shape(a), bool)


def _has_zeros_of_both_signs(case: Case) -> bool:
    """Whether the standard of C says which zeros come out: of functions of one real number that are no special ones."""
    if not isinstance(case.op, Elemwise) or case.op.arity > 1 or kind_of(case.op) == "special":
        return False
    (x,) = _arrays(case)
    return x.dtype.kind == "f" and bool(np.any((x == 0) & np.signbit(x)))


@over(_has_zeros_of_both_signs)
def test_zeros_have_the_right_sign(case: Case, backend: Backend) -> None:
    graph = posed(case)
    got = on(backend, graph.inputs, graph.outputs)(*arrays_of(case))
    for g, w in zip(got, wanted(case), strict=True):
        at = np.asarray(w) == 0
        assert_close(np.asarray(g)[at], np.asarray(w)[at], ulp=0, signed_zeros=True, note=case.id)


@over(one_for_each(lambda case: (name_of(case.op), _STRESS[case.id], "float32" in dtypes_of(case)), _not_edges))
def test_dtypes_and_shapes_are_the_interpreters(case: Case, backend: Backend) -> None:
    graph = posed(case)
    got = on(backend, graph.inputs, graph.outputs)(*arrays_of(case))
    for g, w, out in zip(got, wanted(case), graph.outputs, strict=True):
        assert type(g) is np.ndarray, f"{case.id}: got a {type(g).__name__}, want an array of NumPy's"
        found, want = f"{g.dtype}{list(g.shape)}", f"{np.asarray(w).dtype}{list(np.shape(w))}"
        assert found == want, f"{case.id}: got {found}, want {want}; the graph says {out.type}"


# the same graph, known better


@over(_per_stress)
def test_known_lengths_change_nothing(case: Case, backend: Backend) -> None:
    _check(backend, case, known=True)


@over(lambda case: len(case.sample.inputs) > 1 and _per_dtype(case))
def test_inputs_that_are_constants_change_nothing(case: Case, backend: Backend) -> None:
    x = posed(case).inputs[0]
    f = on(backend, [x], as_list(case.sample.build(x, *[constant(a) for a in arrays_of(case)[1:]])))
    judge(backend, case, f(arrays_of(case)[0]), wanted(case))


@over(lambda case: _not_edges(case) and (_per_dtype(case) or not isinstance(case.op, Elemwise)))
def test_rewritten_graphs_agree(case: Case, backend: Backend) -> None:
    _check(backend, case, make=rewritten)


# the same numbers, laid out otherwise


def _check_with(backend: Backend, case: Case, arrays: Sequence[Array]) -> None:
    """For these arrays the case gives what the interpreter gives for them."""
    graph = posed(case)
    want = evaluate(graph.outputs, dict(zip(graph.inputs, [np.array(a) for a in arrays], strict=True)))
    judge(backend, case, on(backend, graph.inputs, graph.outputs)(*arrays), want)


def _with_steps(a: Array, step: int) -> Array:
    """The same array as a view of a larger one, in steps along each axis; backwards where they are negative."""
    wide = np.empty(tuple([n * abs(step) for n in a.shape]), a.dtype)
    wide.reshape(-1).view(np.uint8).fill(85)  # what lies between is to be left out
    view = wide[tuple([slice(None, None, step)] * a.ndim)] if a.ndim else wide
    view[...] = a
    return view


@over(_per_dtype)
def test_strided_inputs_agree(case: Case, backend: Backend) -> None:
    _check_with(backend, case, [_with_steps(a, 2) for a in _arrays(case)])


@over(_per_dtype)
def test_inputs_of_negative_strides_agree(case: Case, backend: Backend) -> None:
    _check_with(backend, case, [_with_steps(a, -1) for a in _arrays(case)])


@over(lambda case: _chosen(case) and any(a.ndim > 1 for a in _arrays(case)))
def test_inputs_in_fortran_order_agree(case: Case, backend: Backend) -> None:
    _check_with(backend, case, [np.array(a, order="F") for a in _arrays(case)])


@over(_chosen)
def test_read_only_inputs_agree(case: Case, backend: Backend) -> None:
    arrays = arrays_of(case)
    for a in arrays:
        a.setflags(write=False)
    _check_with(backend, case, arrays)


@over(lambda case: _chosen(case) and _is_row(case))
def test_inputs_of_stride_0_agree(case: Case, backend: Backend) -> None:
    _check_with(backend, case, [np.broadcast_to(a[:1], a.shape) if a.ndim else a for a in arrays_of(case)])


@over(lambda case: _chosen(case) and _is_row(case))
def test_inputs_of_many_elements_agree(case: Case, backend: Backend) -> None:
    _check_with(backend, case, [np.resize(a, _many(case, a)) for a in arrays_of(case)])


def _many(case: Case, a: Array) -> tuple[int, ...]:
    """A shape that is longer than the blocks in which one computes, and no multiple of these."""
    if isinstance(case.op, Row):
        return (67, *a.shape[1:])  # more would round off too much
    return (*[1] * (a.ndim - 1), 257 if kind_of(case.op) == "special" else 10007)


@over(lambda case: _chosen(case) and isinstance(case.op, Elemwise) and case.op.arity > 1 and kinds_of(case) <= {*"fc"})
def test_one_variable_as_every_input_agrees(case: Case, backend: Backend) -> None:
    x, a = posed(case).inputs[0], arrays_of(case)[0]
    outputs = [case.op(*[x] * case.op.arity)]
    judge(backend, case, on(backend, [x], outputs)(a), evaluate(outputs, {x: a.copy()}))


# memory


@over(_chosen)
def test_inputs_are_left_alone(case: Case, backend: Backend) -> None:
    graph, arrays, before = posed(case), arrays_of(case), arrays_of(case)
    on(backend, graph.inputs, graph.outputs)(*arrays)
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        assert_bits(a, b, f"{case.id}: input {i} was changed")


@over(_chosen)
def test_values_that_the_backend_keeps_are_left_alone(case: Case, backend: Backend) -> None:
    kept = [shared(a, f"x{i}", backend=backend) for i, a in enumerate(arrays_of(case))]
    got = on(backend, [], as_list(case.sample.build(*kept)))()
    for i, (x, b) in enumerate(zip(kept, arrays_of(case), strict=True)):
        assert_bits(x.get_value(), b, f"{case.id}: the shared variable that is input {i} was changed")
    judge(backend, case, got, wanted(case))
    for g in got:
        g[...] = ~g if g.dtype == bool else 85  # results are the caller's
    for i, (x, b) in enumerate(zip(kept, arrays_of(case), strict=True)):
        assert_bits(x.get_value(), b, f"{case.id}: a result lies in the memory of input {i}, a shared variable")


@over(_chosen)
def test_results_share_no_memory_with_inputs(case: Case, backend: Backend) -> None:
    graph, arrays = posed(case), arrays_of(case)
    got = on(backend, graph.inputs, graph.outputs)(*arrays)
    for n, g in enumerate(got):
        assert g.flags.writeable, f"{case.id}: output {n} is read-only"
        for i, a in enumerate(arrays):
            assert not np.shares_memory(g, a), f"{case.id}: output {n} shares memory with input {i}"


@over(_chosen)
def test_results_share_no_memory_with_one_another(case: Case, backend: Backend) -> None:
    graph = posed(case)
    f = on(backend, graph.inputs, graph.outputs)
    got = [*f(*arrays_of(case)), *f(*arrays_of(case))]
    for n, g in enumerate(got):
        for m, h in enumerate(got[:n]):
            assert not np.shares_memory(g, h), f"{case.id}: results {m} and {n} of two calls share memory"


# memory, where a result is equal to an input: there a kernel may answer the input itself, and be right


def _keeps_rank(case: Case) -> bool:
    """Whether it is a reduction that keeps its axes, beside which there is one that does not."""
    return isinstance(case.op, Row) and wanted(case)[0].ndim == _arrays(case)[0].ndim


_tried = representatives(_with_axes, _keeps_rank)


def _left(case: Case) -> tuple[tuple[Array, ...], ...]:
    """Inputs that the case's op leaves as they are."""
    if _tried(case):
        return left_as_they_are(case)
    return left_as_they_are(case, tried=False) if _not_edges(case) and not isinstance(case.op, Elemwise) else ()


_leaves_some = {case.id for case in all_cases() if _left(case)}
_over_left = over(lambda case: case.id in _leaves_some)


@_over_left
def test_results_that_are_equal_to_an_input_lie_elsewhere(case: Case, backend: Backend) -> None:
    graph = posed(case)
    f = on(backend, graph.inputs, graph.outputs)
    for given in _left(case):
        arrays = [replica(a) for a in given]
        for n, g in enumerate(f(*arrays)):
            assert g.flags.writeable, f"{case.id}: output {n} is read-only for {_said(given)}"
            for i, a in enumerate(arrays):
                assert not np.shares_memory(g, a), f"{case.id}: output {n} is input {i} itself for {_said(given)}"
        for i, (a, b) in enumerate(zip(arrays, given, strict=True)):
            assert_bits(a, b, f"{case.id}: input {i} was changed")


@_over_left
def test_results_that_are_equal_to_a_kept_value_lie_elsewhere(case: Case, backend: Backend) -> None:
    kept = [shared(a, f"x{i}", backend=backend) for i, a in enumerate(arrays_of(case))]
    f = on(backend, [], as_list(case.sample.build(*kept)))
    for given in _left(case):
        _set(kept, given)
        for g in f():
            g[...] = ~g if g.dtype == bool else 85  # results are the caller's
        for i, (x, b) in enumerate(zip(kept, given, strict=True)):
            assert_bits(x.get_value(), b, f"{case.id}: a result lies in the memory of input {i}, a shared variable")


@_over_left
def test_new_values_that_are_equal_to_a_kept_value_lie_elsewhere(case: Case, backend: Backend) -> None:
    kept = [shared(a, f"x{i}", backend=backend) for i, a in enumerate(arrays_of(case))]
    outputs = as_list(case.sample.build(*kept))
    states = [shared(np.array(w), f"y{n}", backend=backend) for n, w in enumerate(wanted(case))]
    f = on(backend, [], [], updates=list(zip(states, outputs, strict=True)))
    for given in _left(case):
        _set(kept, given)
        f()
        for n, y in enumerate(states):
            for i, x in enumerate(kept):
                a, b = [v.get_value(borrow=True, return_internal_type=True) for v in (x, y)]
                where = f"{case.id}: the new value of output {n} is that of input {i} itself for {_said(given)}"
                assert not share_memory(backend, a, b), f"{where}, both shared variables"


def _set(variables: Sequence[Any], values: Sequence[Array]) -> None:
    for x, a in zip(variables, values, strict=True):
        x.set_value(replica(a), borrow=True)


def _said(arrays: Sequence[Array]) -> str:
    return " and ".join([f"{a.dtype}{list(a.shape)} {np.array2string(a.ravel()[:3], threshold=3)}" for a in arrays])


# one call after another


def _others(case: Case) -> list[Any]:
    """Other arrays of the same shapes that the op takes: the same numbers in another order, where it takes those."""
    arrays = [np.flip(a).copy() if _is_row(case) or a.dtype.kind in "fc" else a.copy() for a in _arrays(case)]
    graph = posed(case)
    try:
        evaluate(graph.outputs, dict(zip(graph.inputs, arrays, strict=True)))
    except Exception:  # whatever it is, these are no inputs for the op
        return arrays_of(case)
    return arrays


@over(_chosen)
def test_the_same_call_again_gives_the_same(case: Case, backend: Backend) -> None:
    graph, arrays = posed(case), arrays_of(case)
    f = on(backend, graph.inputs, graph.outputs)
    f(*arrays)
    judge(backend, case, f(*arrays), wanted(case))


@over(_chosen)
def test_a_call_leaves_no_trace_in_the_next(case: Case, backend: Backend) -> None:
    graph = posed(case)
    f = on(backend, graph.inputs, graph.outputs)
    f(*_others(case))
    judge(backend, case, f(*arrays_of(case)), wanted(case))


@over(_chosen)
def test_results_are_left_alone_by_later_calls(case: Case, backend: Backend) -> None:
    graph = posed(case)
    f = on(backend, graph.inputs, graph.outputs)
    first = f(*arrays_of(case))
    before = [g.copy() for g in first]
    f(*_others(case))
    for g, b in zip(first, before, strict=True):
        assert_bits(g, b, f"{case.id}: a result was changed by a later call")


@over(lambda case: _chosen(case) and _is_row(case))
def test_two_applications_have_no_state_in_common(case: Case, backend: Backend) -> None:
    one, two, others = posed(case), posed(case), _others(case)
    outputs = [Out(x, borrow=True) for x in (*one.outputs, *two.outputs)]  # to stay where they are
    f = on(backend, [*one.inputs, *two.inputs], outputs)
    got = f(*arrays_of(case), *[replica(a) for a in others])
    z, w = [g if isinstance(g, np.ndarray) else backend.to_numpy(g) for g in got]
    judge(backend, case, [z], wanted(case))
    judge(backend, case, [w], evaluate(two.outputs, dict(zip(two.inputs, others, strict=True))))
