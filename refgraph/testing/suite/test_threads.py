"""Threads: many may call one function, and each gets its own answer."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.function import function
from refgraph.interp.loops import scan
from refgraph.interp.shared import shared
from refgraph.interp.streams import Stream
from refgraph.ops.families import Elemwise
from refgraph.ops.reductions import Row
from refgraph.testing.cases import Case, name_of
from refgraph.testing.suite.programs import agree, meaning
from refgraph.testing.suite.running import MAIN, all_cases, dtype_of, dtypes_of, judge, on, over, posed

Array = np.ndarray[Any, Any]

pytestmark = [pytest.mark.refgraph_level(4), pytest.mark.refgraph_feature("threads")]

_THREADS = 4
_FEW, _TURNS, _OFTEN, _CALLS, _ELEMENTS = 3, 2, 5, 6, 257
"""How many threads call a function of one op; how many calls each makes while all take turns after every step, which
catches kernels in Python, until the same step is taken so often; how many it makes as fast as it can, as others need;
and of how many elements."""
_SIZES = {"small": (3, 400), "large": (20_000, 25)}
"""How many elements, and how many calls each thread makes. NumPy lets other threads run while it computes many."""


@contextmanager
def _eager() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _together(work: Callable[[int], Any], count: int = _THREADS) -> list[Any]:
    """What `work` answers for 0, 1, ..., each in a thread of its own, all begun at one moment."""
    barrier = threading.Barrier(count)

    def run(n: int) -> Any:
        barrier.wait()
        return work(n)

    with _eager(), ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def _by_turns() -> Iterator[None]:
    """This thread lets others run after each step that kernels take in Python, but for those that they take often."""
    before, taken = sys.gettrace(), Counter[tuple[Any, int]]()

    def step(frame: Any, event: str, arg: Any) -> Any:
        if event == "call" and not _is_of_kernel(frame):
            return None
        frame.f_trace_opcodes = True
        place = frame.f_code, frame.f_lasti
        taken[place] += 1
        if taken[place] <= _OFTEN:
            time.sleep(0)
        return step

    sys.settrace(step)
    try:
        yield
    finally:
        sys.settrace(before)


def _is_of_kernel(frame: Any) -> bool:
    """Whether a frame is a kernel's, which refgraph calls, or of what that calls in its own package."""
    there, caller = [f.f_globals.get("__name__", "") if f else "" for f in (frame, frame.f_back)]
    if there.startswith(_NO_KERNELS):
        return False
    is_own = there.split(".")[0] == caller.split(".")[0] and frame.f_back.f_trace is not None
    return is_own or caller.startswith(_NO_KERNELS)


_NO_KERNELS = ("refgraph.core.", "refgraph.interp.", "refgraph.ops.", "numpy")
"""Modules whose code is that of no kernel."""


# programs

Build = Callable[[Any], Any]

_BUILDS: dict[str, Build] = {
    "add": lambda x: x + x,
    "chain": lambda x: T.tanh(x * 0.5 + 1) * x - T.exp(-x),
    "fused-sum": lambda x: (x * x + 1).sum(),
    "views": lambda x: x[::-1] * 2 + x,
    "written": lambda x: T.inc_subtensor(T.sqr(x)[:2], x[1]),
    "product": lambda x: T.dot(x, x) * x[:3],
    "matrix": lambda x: T.dot(T.outer(x[:30], x[:30]), x[:30]),
    "sorted": lambda x: T.cumsum(T.sort(x)),
    "several": lambda x: T.concatenate([T.max(x)[None], T.mean(x)[None], T.sqrt(x[:1] + 10)]),
    "loop": lambda x: scan(lambda h: h * 0.5 + x[:3], outputs_info=x[:3], n_steps=3)[0],
    "gradient": lambda x: T.grad(T.log(1 + T.exp(x)).sum(), x),
}


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("build", _BUILDS)
def test_every_thread_gets_its_own_answer(backend: Backend, build: str, mode: str, size: str) -> None:
    x = T.dvector("x")
    out = _BUILDS[build](x)
    f = function([x], out, backend=backend, mode=mode)
    length, calls = _SIZES[size]
    arrays = [np.full(length, n + 1.0) + np.arange(length) % 3 for n in range(_THREADS)]
    wanted = [f(a) for a in arrays]
    for a, want in zip(arrays, wanted, strict=True):
        agree(backend, [want], [out], {x: a}, "alone")

    def work(n: int) -> list[Any]:
        return [f(arrays[n]) for _ in range(calls)]

    for n, results in enumerate(_together(work)):
        for k, got in enumerate(results):
            if not np.array_equal(got, wanted[n]):  # which costs little
                agree(backend, [got], [out], {x: arrays[n]}, f"thread {n}, call {k}")


# each op


@cache
def _in_threads(case: Case) -> list[list[Array]]:
    """Inputs for each thread, for which the case answers other things; none, where there are no such."""
    arrays = [np.array(a) for a in case.sample.inputs]
    if not any(a.size > 1 for a in arrays) or not any(z.owner for z in posed(case).outputs):
        return []
    if isinstance(case.op, Elemwise):
        arrays = [np.resize(a, (*[1] * (a.ndim - 1), _ELEMENTS)) for a in arrays]
    moved = "buifc" if isinstance(case.op, (Elemwise, Row)) else "fc"  # other integers may count, or be places
    for other in (_rolled, _scaled, _begun):
        with np.errstate(all="ignore"):
            found = [[other(a, n) if a.dtype.kind in moved else a for a in arrays] for n in range(_FEW)]
        if len({_bits_of(case, given) for given in found} - {None}) == _FEW:
            return found
    return []


def _rolled(a: Array, n: int) -> Array:
    return np.roll(a, n)


def _scaled(a: Array, n: int) -> Array:
    return (a * (1 + n / 8)).astype(a.dtype)


def _begun(a: Array, n: int) -> Array:
    """The first of its elements, and zeros."""
    return np.where(np.arange(a.size).reshape(a.shape) < n * a.size // _FEW, a, np.zeros_like(a))


def _bits_of(case: Case, given: Sequence[Array]) -> bytes | None:
    """What the interpreter answers, as bytes; None where these are no inputs for the op."""
    try:
        with np.errstate(all="ignore"):
            return b"".join([np.asarray(z).tobytes() for z in _means(case, given)])
    except Exception:  # whatever it is
        return None


def _means(case: Case, given: Sequence[Array]) -> Sequence[Any]:
    graph = posed(case)
    return evaluate(graph.outputs, dict(zip(graph.inputs, given, strict=True)))


_NARROW, _WIDE = "float32", "float64"


def _found() -> dict[str, list[Case]]:
    """For each op a case in float64 and one in float32, where there are such; else one in another dtype."""
    found: dict[str, dict[str, Case]] = {}
    for case in sorted(all_cases(), key=_is_last_choice):
        there = found.setdefault(name_of(case.op), {})
        dtype = dtype_of(case) if case.sample.inputs else ""
        is_new = dtype not in there and (dtype in (_NARROW, _WIDE) or not there)
        if is_new and (not there or not _is_last_choice(case)) and _in_threads(case):
            there[dtype] = case
    return {name: _floats(there) or list(there.values()) for name, there in found.items() if there}


def _is_last_choice(case: Case) -> bool:
    return case.id.endswith("-edges") or not MAIN.issuperset(dtypes_of(case))


def _floats(cases: Mapping[str, Case]) -> list[Case]:
    return [cases[dtype] for dtype in (_WIDE, _NARROW) if dtype in cases]


_OF_OP = _found()
_FIRST = {cases[0].id for cases in _OF_OP.values()}


@over(lambda case: case.id in _FIRST, level=4)
def test_an_op_gives_every_thread_its_own_answer(case: Case, backend: Backend) -> None:
    cases = _OF_OP[name_of(case.op)]
    graphs, given = [posed(c) for c in cases], [_in_threads(c) for c in cases]
    f = on(backend, [x for g in graphs for x in g.inputs], [z for g in graphs for z in g.outputs])
    arguments = [[a for arrays in given for a in arrays[n]] for n in range(_FEW)]

    def work(n: int) -> list[Any]:
        with _by_turns():
            found = [f(*arguments[n]) for _ in range(_TURNS)]
        return found + [f(*arguments[n]) for _ in range(_CALLS)]

    results = _together(work, _FEW)
    for n, found in enumerate(results):
        want = [_means(c, arrays[n]) for c, arrays in zip(cases, given, strict=True)]
        seen = set[bytes]()
        for got in found:
            bits = b"".join([z.tobytes() for z in got])
            if bits not in seen:  # most are like the first
                seen.add(bits)
                rest = iter(got)
                for c, w in zip(cases, want, strict=True):
                    judge(backend, c, [next(rest) for _ in w], w)


# more


def test_threads_with_arguments_of_other_shapes(backend: Backend) -> None:
    x, y = T.dmatrices("x", "y")
    out = T.exp(x + y).sum(axis=0) * 2
    f = function([x, y], out, backend=backend)
    arrays = [(np.full((n + 1, 3), float(n)), np.full((1, 3), 0.5)) for n in range(_THREADS)]
    results = _together(lambda n: [f(*arrays[n]) for _ in range(100)])
    for n, found in enumerate(results):
        for k in (0, 50, 99):
            agree(backend, [found[k]], [out], dict(zip((x, y), arrays[n], strict=True)), f"thread {n}, call {k}")
        for k, got in enumerate(found):
            assert np.array_equal(got, found[0]), f"thread {n}: call {k} answers {got!r}, the first {found[0]!r}"


def test_a_result_stays_when_other_threads_call(backend: Backend) -> None:
    x = T.dvector("x")
    f = function([x], [T.exp(x), x * 2], backend=backend)

    def work(n: int) -> list[Any]:
        held = f(np.full(50, float(n)))
        kept = [v.copy() for v in held]
        for _ in range(100):
            f(np.full(50, n + 10.0))
        return [np.array_equal(a, b) for a, b in zip(held, kept, strict=True)]

    for n, same in enumerate(_together(work)):
        assert all(same), f"results that thread {n} held were overwritten by later calls: {same}"


# states


@pytest.mark.refgraph_feature("updates")
@pytest.mark.parametrize("home", ["numpy", "backend"])
@pytest.mark.parametrize("length", [1, 100_000])
def test_no_update_is_lost(backend: Backend, home: str, length: int) -> None:
    keeper = backend if home == "backend" else "numpy"
    w, k = shared(np.zeros(length), "w", backend=keeper), shared(np.int64(0), "k", backend=keeper)
    f = function([], k, updates={w: T.inc_subtensor(w[:1], 1.0), k: k + 1}, backend=backend)
    calls = 50
    seen = sorted(int(n) for found in _together(lambda n: [f() for _ in range(calls)]) for n in found)
    assert seen == list(range(_THREADS * calls)), "two calls saw one count, or a count was left out"
    assert k.get_value() == _THREADS * calls, f"{k.get_value()} of {_THREADS * calls} calls were counted"
    assert w.get_value()[0] == _THREADS * calls, f"{w.get_value()[0]} of {_THREADS * calls} increments were made"


@pytest.mark.refgraph_feature("updates")
@pytest.mark.parametrize("home", ["numpy", "backend"])
def test_a_call_sees_all_of_another_calls_updates_or_none(backend: Backend, home: str) -> None:
    keeper = backend if home == "backend" else "numpy"
    a, b = [shared(np.zeros(5), name, backend=keeper) for name in "ab"]
    step = function([], updates={a: a + 1, b: b + 1}, backend=backend)
    look = function([], [a, b], backend=backend)

    def work(n: int) -> list[Any]:
        return [step() if n % 2 else look() for _ in range(60)]

    for n, found in enumerate(_together(work)):
        for got in found if n % 2 == 0 else []:
            assert np.array_equal(got[0], got[1]), f"a call saw {got[0]!r} beside {got[1]!r}"


@pytest.mark.refgraph_feature("random")
def test_threads_draw_numbers_of_one_stream_and_none_twice(backend: Backend) -> None:
    f = function([], Stream(7).uniform(size=4, dtype="float64"), backend=backend)
    g = function([], Stream(7).uniform(size=4, dtype="float64"), backend="numpy")
    calls = 30
    drawn = sorted(got.tobytes() for found in _together(lambda n: [f() for _ in range(calls)]) for got in found)
    wanted = sorted(g().tobytes() for _ in range(_THREADS * calls))
    assert drawn == wanted, "the numbers that threads drew are not those of so many calls in turn"


# making functions


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_functions_may_be_made_in_many_threads(backend: Backend, mode: str) -> None:
    x = T.dvector("x")
    a = np.linspace(-1, 1, 5)

    def work(n: int) -> tuple[Any, Any]:
        out = T.tanh(x * (n + 1)) + T.exp(-x).sum()
        return [function([x], out, backend=backend, mode=mode)(a) for _ in range(3)], out

    for n, (found, out) in enumerate(_together(work)):
        for k, got in enumerate(found):
            agree(backend, [got], [out], meaning([out], {x: a}), f"thread {n}, function {k}")


def test_one_graph_may_be_made_a_function_in_many_threads(backend: Backend) -> None:
    x = T.dvector("x")
    out, a = T.tanh(x * 2) + T.exp(-x).sum(), np.linspace(-1, 1, 5)
    for n, got in enumerate(_together(lambda n: function([x], out, backend=backend)(a))):
        agree(backend, [got], [out], {x: a}, f"thread {n}")
