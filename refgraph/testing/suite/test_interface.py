"""L0: the backend is found, its arrays come and go unharmed, and what it says of itself is so."""

from __future__ import annotations

import contextlib
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from refgraph.core.errors import FallbackError
from refgraph.core.graph import Apply, toposort
from refgraph.core.op import OPS, GraphOp, Op
from refgraph.interp import backends
from refgraph.interp.backends import NUMPY, Backend, Capabilities, get_backend
from refgraph.interp.function import Function
from refgraph.ops.tensor import CONTINUOUS, DTYPES
from refgraph.testing.cases import Case, name_of
from refgraph.testing.compare import assert_bits, kind_of, tolerance_for
from refgraph.testing.suite.running import (
    all_cases,
    arrays_of,
    dtypes_of,
    judge,
    on,
    one_for_each,
    over,
    posed,
    representatives,
    share_memory,
    wanted,
)

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.refgraph_level(0)


# its name


def test_it_is_found_by_its_name(backend: Backend) -> None:
    assert backend.name in backends.installed(), f"{backend.name} is not among {backends.installed()}"
    assert get_backend(backend.name) is backend, f"get_backend({backend.name!r}) answers another backend"


def test_its_plugin_answers_the_same_backend_each_time(backend: Backend) -> None:
    backends.forget()
    found = get_backend(backend.name)
    assert found is backend, f"refgraph_backend() of {backend.name} makes a backend at each call: make it in the module"


def test_it_pickles_by_name(backend: Backend) -> None:
    assert pickle.loads(pickle.dumps(backend)) is backend, f"{backend.name} is another after pickling"


def test_it_says_that_it_can_run_here(backend: Backend) -> None:
    assert backend.why_unavailable() == "", f"{backend.name} cannot run here: {backend.why_unavailable()}"


# its arrays


def _values(dtype: str) -> Array:
    """Values of a dtype that are lost first where something is converted, in a matrix."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        points: Any = [True, False, False]
    elif kind in "iu":
        info = np.iinfo(dtype)
        points = [0, 1, info.min, info.max, info.max - 1]
    else:
        real: Any = np.finfo(dtype)
        size = [0.0, 1.0, np.inf, np.nan, real.max, real.tiny, real.smallest_subnormal, real.eps]
        points = [*size, *[-x for x in size]]
    found = np.resize(np.array(points, dtype), (3, 6))
    if kind == "c":
        found.imag = found.real[::-1, ::-1]
    return found


def _strided(a: Array, step: slice) -> Array:
    wide = np.zeros((3 * len(a), *a.shape[1:]), a.dtype)
    view = wide[step]
    view[...] = a
    return view


def _read_only(a: Array) -> Array:
    a.setflags(write=False)
    return a


def _unaligned(a: Array) -> Array:
    """The same array one byte beside where its items are aligned."""
    made: Array = np.ndarray(a.shape, a.dtype, bytearray(a.nbytes + 1), 1)
    made[...] = a
    return made


_LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda a: a,
    "0-d": lambda a: np.array(a[1, 1]),
    "empty": lambda a: a[:0],
    "length-1": lambda a: a[:1, :1].copy(),
    "5-d": lambda a: a.reshape(1, 3, 1, 3, 2).copy(),
    "fortran": lambda a: np.array(a, order="F"),
    "strided": lambda a: _strided(a, slice(None, None, 3)),
    "negative-strides": lambda a: _strided(a, slice(None, None, -3)),
    "swapped-axes": lambda a: a.reshape(3, 3, 2).transpose(1, 2, 0),
    "broadcast": lambda a: np.broadcast_to(a[1], (4, 6)),
    "unaligned": _unaligned,
    "read-only": lambda a: _read_only(a.copy()),
}


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_arrays_come_back_from_the_device_bit_for_bit(layout: str, backend: Backend) -> None:
    for dtype in sorted(backend.capabilities.dtypes):
        a = _LAYOUTS[layout](_values(dtype))
        _assert_same_bits(backend.to_numpy(backend.to_device(a)), a, f"{dtype}, {layout}")


def _assert_same_bits(got: Any, want: Array, note: str) -> None:
    assert isinstance(got, (np.ndarray, np.generic)), f"{note}: to_numpy answers a {type(got).__name__}"
    assert_bits(got, want, note)


def test_a_copy_has_the_same_bits(backend: Backend) -> None:
    for dtype in sorted(backend.capabilities.dtypes):
        a = _values(dtype)
        _assert_same_bits(backend.to_numpy(backend.copy(backend.to_device(a))), a, f"copy of {dtype}")


def test_a_copy_shares_no_memory_with_what_it_is_of(backend: Backend) -> None:
    for dtype in sorted(backend.capabilities.dtypes):
        kept = backend.to_device(_values(dtype))
        copied = backend.copy(kept)
        assert copied is not kept, f"{dtype}: copy answers what it is given"
        assert not share_memory(backend, kept, copied), f"{dtype}: a copy lies on the device where the original does"


# what it says


def _ops_named(name: str) -> list[Any]:
    return list(OPS.values()) if name == "*" else [OPS[name]] if name in OPS else []


def _parted(key: str) -> tuple[str, tuple[str, ...]]:
    """The op and the dtypes that a key of the tolerances is about."""
    name, _, dtype = key.rpartition("-")
    return (name, (dtype,)) if dtype in DTYPES else (key, DTYPES)


def test_tolerances_name_ops_and_dtypes_that_exist(backend: Backend) -> None:
    for key in backend.tolerances:
        name, _ = _parted(key)
        assert _ops_named(name), f"tolerances[{key!r}]: there is no op {name!r}, or no dtype at its end"


def test_tolerances_are_within_the_ceilings_of_the_suite(backend: Backend) -> None:
    for key, ulp in backend.tolerances.items():
        name, dtypes = _parted(key)
        for op in _ops_named(name):
            for dtype in {*dtypes} & CONTINUOUS & backend.capabilities.dtypes:
                tolerance_for({key: ulp}, name_of(op), dtype, kind_of(op))


def test_expected_failures_have_reasons(backend: Backend) -> None:
    for pattern, reason in backend.xfails.items():
        assert reason.strip(), f"xfails[{pattern!r}] says no reason"


def test_what_it_lacks_has_reasons(backend: Backend) -> None:
    for feature, reason in backend.capabilities.without.items():
        assert reason.strip(), f"capabilities.without[{feature!r}] says no reason"


@cache
def _cases_in(dtype: str) -> tuple[Case, ...]:
    """The cases that are of one dtype alone."""
    return tuple([case for case in all_cases() if dtypes_of(case) == (dtype,)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_that_works_is_declared(dtype: str, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = backend.capabilities
    more = Capabilities({*declared.dtypes, dtype}, declared.without)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "capabilities", more)
        tried = [_works(backend, case) for case in (() if dtype in declared.dtypes else _cases_in(dtype))]
    works = [ok for ok in tried if ok is not None]
    assert not works or not all(works), (
        f"{dtype} is not among the dtypes of {backend.name}, and its kernels are right in all {len(works)} cases that "
        "they take: declare it in Capabilities(dtypes=)"
    )


def _works(backend: Backend, case: Case) -> bool | None:
    """Whether the backend is right on a case; None where it leaves that to the interpreter."""
    graph = posed(case)
    try:
        f = on(backend, graph.inputs, graph.outputs)
        report = f.report()
        if report.whole or report.interpreted or not report.rows:
            return None
        judge(backend, case, f(*arrays_of(case)), wanted(case))
    except Exception:  # whatever it is, this is no kernel for the dtype; makers may rely on not being asked for one
        return False
    return True


# what it reports


def _applications(outputs: Iterable[Any]) -> Iterator[Apply]:
    """All applications, those in graphs that ops hold among them."""
    for node in toposort(outputs):
        yield node
        for graph in node.op.graphs if isinstance(node.op, GraphOp) else ():
            yield from _applications(graph.outputs)


def _is_flat(case: Case) -> bool:
    """Whether each application runs once a call, as it is written: no loops, no branches, nothing that is opened."""
    return not any(isinstance(node.op, GraphOp) for node in toposort(posed(case).outputs))


def _function(backend: Backend, case: Case, **options: Any) -> Function:
    graph = posed(case)
    return on(backend, graph.inputs, graph.outputs, **options)


def _is_plain(case: Case) -> bool:
    return not case.id.endswith("-edges")


_per_op = one_for_each(lambda case: name_of(case.op), _is_plain)
_chosen = representatives(_is_plain)


@over(lambda case: _per_op(case) and _is_flat(case), level=0)
def test_the_report_names_each_application_once(case: Case, backend: Backend) -> None:
    f = _function(backend, case)
    named = Counter([str(row.node.op) for row in f.report().rows if not row.is_transfer])
    there = Counter([str(node.op) for node in f.graph.nodes])
    assert named == there, f"{case.id}: the report names {dict(named)}, the graph has {dict(there)}"


@over(_per_op, level=0)
def test_the_report_says_where_and_why(case: Case, backend: Backend) -> None:
    for row in _function(backend, case).report().rows:
        places = ("transfer",) if row.is_transfer else (backend.name, NUMPY.name)
        assert row.where in places, f"{case.id}: {row.node.op} runs on {row.where!r}, which is not one of {places}"
        explained = row.where != NUMPY.name or backend is NUMPY or row.why
        assert explained, f"{case.id}: nothing says why {row.node.op} runs on the interpreter"


@over(lambda case: _per_op(case) and _is_flat(case), level=0)
def test_as_much_is_moved_as_the_report_says(case: Case, backend: Backend) -> None:
    f = _function(backend, case)
    report, arrays = f.report(), arrays_of(case)
    moved = report.traffic
    for n in (1, 2):
        f(*arrays)
        there, back = moved.to_device, moved.to_numpy
        if report.whole:  # its program moves the inputs, and may leave results on the device
            assert back <= n * len(f.outputs), f"{case.id}: {back} arrays came back in {n} calls"
        else:
            assert there + back == n * len(report.transfers), (
                f"{case.id}: {there} arrays were moved to the device and {back} back, in {n} calls; "
                f"the report says {len(report.transfers)} a call"
            )


# nothing falls back in silence


@over(_chosen, level=0)
def test_strict_refuses_what_would_fall_back_and_nothing_else(case: Case, backend: Backend) -> None:
    lacking = _function(backend, case).report().interpreted
    try:
        _function(backend, case, strict=True)
        refused = False
    except FallbackError:
        refused = True
    names = [str(row.node.op) for row in lacking]
    assert refused is bool(lacking), f"{case.id}: strict=True {'raises' * refused or 'is silent'}, interpreted: {names}"


@over(_chosen, level=0)
def test_no_kernel_is_the_interpreter_in_disguise(case: Case, backend: Backend) -> None:
    lacking = _function(backend, case).report().interpreted
    if backend is NUMPY or lacking:
        return  # what is said to be interpreted is no disguise
    graph, seen = posed(case), list[str]()
    ops = [node.op for node in _applications(graph.outputs)]
    with contextlib.ExitStack() as spying:
        f = _made_among_spies(backend, graph, ops, seen, spying)
        f(*arrays_of(case))
    assert not seen, f"{case.id}: the report says that all runs on {backend.name}, which calls {', '.join(set(seen))}"


def _made_among_spies(backend: Backend, graph: Any, ops: list[Op], seen: list[str], spying: Any) -> Function:
    """The function, made while meanings are spied on: makers may look at these, and take what they are for a key. Where
    they cannot do so with a spy, it is made before.
    """
    try:
        with contextlib.ExitStack() as first:
            for op in ops:
                first.enter_context(_spied(op, seen))
            f = on(backend, graph.inputs, graph.outputs, strict=True)
    except Exception:  # whatever a maker makes of a spy
        seen.clear()
        f = on(backend, graph.inputs, graph.outputs, strict=True)
    for op in ops:
        spying.enter_context(_spied(op, seen))
    return f


class _Spy:
    """A meaning that says when it is called; to all who only look at it, it is the meaning."""

    def __init__(self, meaning: Any, name: str, seen: list[str]) -> None:
        self._meaning, self._name, self._seen = meaning, name, seen

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._seen.append(self._name)
        return self._meaning(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meaning, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._meaning == other)

    def __hash__(self) -> int:
        return hash(self._meaning)

    @property  # type: ignore[misc]  # isinstance asks this
    def __class__(self) -> Any:
        return type(self._meaning)


@contextlib.contextmanager
def _spied(op: Op, seen: list[str]) -> Iterator[None]:
    """Note in `seen` who calls the meaning of an op."""
    own, names = vars(op), ["impl", "bind"]
    before = {name: own[name] for name in names if name in own}
    spies = {name: _Spy(getattr(op, name), f"{op}.{name}", seen) for name in names}
    own.update(spies)
    try:
        yield
    finally:
        for name in spies:
            own.pop(name)
        own.update(before)
