"""Loops on a backend: whole programs with loops in them answer what their graphs mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.autodiff.forward import Rop
from refgraph.interp import loops
from refgraph.interp.backends import Backend
from refgraph.interp.function import function
from refgraph.interp.loops import scan, scan_checkpoints, until
from refgraph.interp.shared import shared
from refgraph.ops.branch import ifelse
from refgraph.ops.tensor import TensorType
from refgraph.testing.suite.programs import check

Array = np.ndarray[Any, Any]

pytestmark = [pytest.mark.refgraph_level(3), pytest.mark.refgraph_feature("scan")]

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
modes = pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])


class _Given:
    """What loops are made of, in one dtype: a matrix x of some rows, a vector y, a square matrix w, a number n."""

    def __init__(self, dtype: str, rows: int = 5) -> None:
        rng = np.random.default_rng(rows)
        self.dtype = dtype
        self.x, self.w = [TensorType(dtype, (None, None))(name) for name in "xw"]
        self.y, self.n = TensorType(dtype, (None,))("y"), TensorType("int64", ())("n")
        self.arrays: dict[Any, Any] = {
            self.x: rng.uniform(-1, 1, (rows, 3)).astype(dtype),
            self.y: rng.uniform(-1, 1, rows + 2).astype(dtype),
            self.w: rng.uniform(-0.5, 0.5, (3, 3)).astype(dtype),
            self.n: np.array(rows),
        }

    def state(self, *shape: int) -> Any:
        """Where a state begins."""
        return T.constant(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).astype(self.dtype))

    def check(self, backend: Backend, outputs: Any, updates: Mapping[Any, Any] | None = None, **options: Any) -> None:
        """Compute outputs, and updates, as the program of a function."""
        many = list(outputs) if isinstance(outputs, (list, tuple)) else [] if outputs is None else [outputs]
        inputs = list(self.arrays)
        check(backend, inputs, many, list(self.arrays.values()), updates, on_unused_input="ignore", **options)


Loop = Callable[[_Given], Any]

_SMOOTH: dict[str, Loop] = {
    "map": lambda g: loops.map(lambda a: T.tanh(a) * a.sum(), g.x)[0],
    "net": lambda g: scan(lambda a, h: T.tanh(a + T.dot(h, g.w)), g.x, g.state(3))[0],
    "two-states": lambda g: scan(lambda a, h, k: [T.tanh(a + k), h * 0.5 + a.sum()], g.x, [g.state(3), g.state(3)])[0],
    "state-and-record": lambda g: scan(lambda a, h: [h * 0.5 + a, (h * a).sum()], g.x, [g.state(3), None])[0],
    "taps": lambda g: scan(
        lambda before, now, after, h1, h3: T.tanh(before * now + after - h1 * h3),
        dict(input=g.y, taps=[-1, 0, 1]),
        dict(initial=g.state(3), taps=[-1, -3]),
    )[0],
    "backwards": lambda g: scan(lambda a, h: h * 0.5 + a, g.x, g.state(3), go_backwards=True)[0],
    "two-sequences": lambda g: scan(lambda a, b, h: h * b + a, [g.x, g.y], g.state(3))[0],
    "last": lambda g: scan(lambda a, h: T.tanh(a + T.dot(h, g.w)), g.x, g.state(3))[0][-1],
    "last-two": lambda g: scan(lambda a, h: h * 0.5 + a, g.x, g.state(3))[0][-2:],
    "not-a-sequence": lambda g: scan(lambda a, b: a * b.sum(), g.x, non_sequences=g.y)[0],
    "computed-once": lambda g: scan(lambda a: a * T.exp(g.y).sum(), g.x)[0],
    "reduce": lambda g: loops.reduce(lambda a, h: T.tanh(h + a), g.x, g.state(3))[0],
    "foldr": lambda g: loops.foldr(lambda a, h: h * 0.5 + a, g.x, g.state(3))[0],
    "nested": lambda g: scan(lambda a, h: scan(lambda b, k: k * 0.5 + b * a.sum(), g.y, h)[0][-1], g.x, g.state(3))[0],
    "nested-records": lambda g: scan(lambda a: scan(lambda b: a * b, g.y)[0], g.x)[0],
    "two-loops": lambda g: scan(lambda a: a * 2, scan(lambda a, h: h * 0.5 + a, g.x, g.state(3))[0])[0],
    "indexed": lambda g: scan(lambda i, h: h * 0.5 + g.x[i, ::-1], T.arange(g.x.shape[0]), g.state(3))[0],
    "written": lambda g: scan(lambda a, h: T.set_subtensor(h[1:], a[:2] * h[0]), g.x, g.state(3))[0],
    "products": lambda g: scan(lambda h: T.dot(h, g.w), outputs_info=g.x, n_steps=3)[0],
    "powers": lambda g: scan(lambda h, a: h * a, None, T.ones_like(g.y), g.y, n_steps=4)[0],
}
"""Loops that have a derivative everywhere."""

_DISCRETE: dict[str, Loop] = {
    "known-steps": lambda g: scan(lambda h: h * 0.5 + 1, outputs_info=g.state(3), n_steps=4)[0],
    "steps-as-given": lambda g: scan(lambda h: h * 0.5 + 1, outputs_info=g.state(3), n_steps=g.n)[0],
    "fewer-steps": lambda g: scan(lambda a, h: h * 0.5 + a, g.x, g.state(3), n_steps=T.maximum(g.n - 2, 0))[0],
    "one-step": lambda g: scan(lambda a, h: h * 0.5 + a, g.x, g.state(3), n_steps=T.minimum(g.n, 1))[0],
    "counter": lambda g: scan(lambda a, k: [k + 1, a * k], g.x, [np.int64(3), None])[0],
    "bool": lambda g: scan(lambda a, b: [T.gt(a.sum(), 0) ^ b, a * b], g.x, [np.bool_(True), None])[0],
    "branch": lambda g: scan(lambda a, h: ifelse(T.gt(a.sum(), 0), h * 0.5, h + a), g.x, g.state(3))[0],
    "argmax": lambda g: scan(lambda a: [T.argmax(a), T.max(a)], g.x)[0],
    "sorted": lambda g: scan(lambda a, h: T.sort(h + a), g.x, g.state(3))[0],
    "first-step": lambda g: scan(lambda a, h: h * 0.5 + a, g.x, g.state(3), n_steps=T.minimum(g.n, 2))[0][:1],
}
"""Loops whose number of steps, or choices, are what one looks at."""

_LOOPS = {**_SMOOTH, **_DISCRETE}


@modes
@dtypes
@pytest.mark.parametrize("loop", _LOOPS)
def test_a_loop_answers_what_its_graph_means(backend: Backend, loop: str, dtype: str, mode: str) -> None:
    given = _Given(dtype)
    given.check(backend, _LOOPS[loop](given), mode=mode)


_EMPTY = [name for name in _LOOPS if "last" not in name and name not in ("nested", "foldr")]


@modes
@pytest.mark.parametrize("loop", _EMPTY)
def test_a_loop_of_no_steps_answers_nothing_of_the_right_shape(backend: Backend, loop: str, mode: str) -> None:
    given = _Given("float64", 0)
    given.check(backend, _LOOPS[loop](given), mode=mode)


@pytest.mark.parametrize("rows", [1, 2, 17])
def test_the_number_of_steps_is_that_of_the_shortest_sequence(backend: Backend, rows: int) -> None:
    given = _Given("float64", rows)
    for sequences in ([given.x, given.y], [given.y, given.x], [given.y[:-1], given.y]):
        given.check(backend, scan(lambda a, b, h: h + a.sum() * b.sum(), sequences, np.float64(0))[0])


def test_one_function_takes_any_number_of_steps(backend: Backend) -> None:
    x, n = T.dvector("x"), T.lscalar("n")
    f = function([x, n], scan(lambda h: h * 2 + 1, outputs_info=x, n_steps=n)[0], backend=backend)
    for steps in (3, 0, 1, 7, 2):
        got = f([1.0, 2.0], steps)
        want = np.array([[2.0**k * (v + 1) - 1 for v in (1, 2)] for k in range(1, steps + 1)]).reshape(steps, 2)
        assert np.array_equal(got, want), f"{steps} steps: got {got!r}, want {want!r}"


def test_a_state_computed_in_place_leaves_the_initial_value_alone(backend: Backend) -> None:
    x, a = T.dvector("x"), np.array([1.0, 2.0])
    h, _ = scan(lambda h: T.inc_subtensor(h[0], 1.0), outputs_info=x, n_steps=3)
    f = function([x], [h, h[-1]], backend=backend)
    first = f(a)
    kept = [v.copy() for v in first]
    f(a * 10)
    assert np.array_equal(a, [1.0, 2.0]), f"the argument became {a!r}"
    for n, (got, want) in enumerate(zip(first, kept, strict=True)):
        assert np.array_equal(got, want), f"output {n} became {got!r} in the next call, it was {want!r}"
    assert np.array_equal(first[0], [[2.0, 2.0], [3.0, 2.0], [4.0, 2.0]]), f"got {first[0]!r}"


# until


@modes
@pytest.mark.parametrize("limit", [-1.0, 1.0, 3.5, 16.0, 1e9])
def test_until_ends_after_the_step_in_which_it_is_true(backend: Backend, limit: float, mode: str) -> None:
    """A limit that the first step reaches, ones for some step, one for the last step, and one that is never reached."""
    n, end = T.lscalar("n"), T.dscalar("end")
    h, _ = scan(lambda h: (h * 2, until(h >= end)), outputs_info=np.float64(1), n_steps=n)
    f = function([n, end], [h, h[-1], h.shape[0]], backend=backend, mode=mode)
    steps = next((k for k in range(1, 6) if 2.0 ** (k - 1) >= limit), 5)
    got = f(5, limit)
    want = 2.0 ** np.arange(1, steps + 1)
    assert np.array_equal(got[0], want), f"until h >= {limit}: got {got[0]!r}, want {want!r}"
    assert got[1] == want[-1], f"the last is {got[1]!r}, want {want[-1]!r}"
    assert got[2] == steps, f"{got[2]} steps, want {steps}"


@modes
@dtypes
def test_until_with_sequences_records_and_updates(backend: Backend, dtype: str, mode: str) -> None:
    given, k = _Given(dtype), shared(np.int64(0), "k", backend=backend)
    outputs, updates = scan(
        lambda a, h: ([h + abs(a).sum(), a * h], {k: k + 1}, until(T.ge(h, 2))), given.x, [given.state(1)[0], None]
    )
    given.check(backend, outputs, updates, mode=mode)
    assert k.get_value() > 0, "no step was counted"


# updates


@pytest.mark.refgraph_feature("updates")
@modes
@pytest.mark.parametrize("rows", [5, 0])
@pytest.mark.parametrize("home", ["numpy", "backend"])
def test_updates_in_steps_go_on_from_step_to_step_and_from_call_to_call(
    backend: Backend, home: str, rows: int, mode: str
) -> None:
    given, keeper = _Given("float64", rows), backend if home == "backend" else "numpy"
    k, total = shared(np.int64(0), "k", backend=keeper), shared(np.zeros(3), "total", backend=keeper)
    outputs, updates = scan(lambda a: (a * k, {k: k + 1, total: total + a * k}), given.x)
    given.check(backend, outputs, updates, mode=mode)
    assert k.get_value() == 2 * rows, f"{k.get_value()} steps were counted in two calls of {rows}"


@pytest.mark.refgraph_feature("updates")
@modes
def test_default_updates_are_made_in_every_step(backend: Backend, mode: str) -> None:
    given, k = _Given("float64"), shared(np.float64(1), "k", backend=backend)
    k.default_update = k * 0.5
    outputs, updates = scan(lambda a: a * k, given.x)
    given.check(backend, outputs, updates, mode=mode)
    assert k.get_value() == 0.5**10, f"k is {k.get_value()!r} after ten steps"


@pytest.mark.refgraph_feature("updates")
def test_an_update_by_the_last_state_of_a_loop(backend: Backend) -> None:
    given, h = _Given("float64"), shared(np.zeros(3), "h", backend=backend)
    outputs, _ = scan(lambda a, h: T.tanh(h + a), given.x, h)
    given.check(backend, outputs, {h: outputs[-1]})


# derivatives


def _cost(outputs: Any) -> Any:
    many: Sequence[Any] = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return sum([(out * out).sum() for out in many[1:]], T.sin(many[0]).sum())


def _wrt(given: _Given, cost: Any) -> list[Any]:
    grads = T.grad(cost, [given.x, given.y, given.w], disconnected_inputs="ignore", return_disconnected="none")
    return [g for g in grads if g is not None]


@modes
@dtypes
@pytest.mark.parametrize("loop", _SMOOTH)
def test_the_gradient_of_a_loop_agrees(backend: Backend, loop: str, dtype: str, mode: str) -> None:
    given = _Given(dtype)
    given.check(backend, _wrt(given, _cost(_SMOOTH[loop](given))), mode=mode)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_gradient_of_a_loop_of_few_steps_agrees(backend: Backend, steps: int) -> None:
    given = _Given("float64", steps)
    cost = _cost(scan(lambda a, h: T.tanh(a + T.dot(h, given.w)), given.x, given.state(3))[0])
    given.check(backend, _wrt(given, cost))


@pytest.mark.parametrize("steps", [1, 2, 4, 9])
def test_a_truncated_gradient_goes_back_so_many_steps(backend: Backend, steps: int) -> None:
    given = _Given("float64")
    h, _ = scan(lambda a, h: T.tanh(a + T.dot(h, given.w)), given.x, given.state(3), truncate_gradient=steps)
    given.check(backend, _wrt(given, _cost(h[-1])))


@pytest.mark.parametrize("loop", ["net", "taps", "nested", "state-and-record"])
def test_the_forward_derivative_of_a_loop_agrees(backend: Backend, loop: str) -> None:
    given = _Given("float64")
    given.check(
        backend, Rop(_cost(_SMOOTH[loop](given)), given.y if loop == "taps" else given.x, _direction(given, loop))
    )


def _direction(given: _Given, loop: str) -> Any:
    x = given.y if loop == "taps" else given.x
    return T.constant(np.cos(np.arange(given.arrays[x].size)).reshape(given.arrays[x].shape))


@pytest.mark.parametrize("loop", ["net", "taps", "two-states"])
def test_the_gradient_of_the_gradient_of_a_loop_agrees(backend: Backend, loop: str) -> None:
    given = _Given("float64", 3)
    first = _wrt(given, _cost(_SMOOTH[loop](given)))
    given.check(backend, _wrt(given, sum([(g * g).sum() for g in first], T.constant(0.0))))


@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_checkpoints_change_no_gradient(backend: Backend, every: int) -> None:
    given = _Given("float64", 7)
    h, _ = scan_checkpoints(lambda a, h: T.tanh(a + T.dot(h, given.w)), given.x, given.state(3), save_every_N=every)
    given.check(backend, [h, *_wrt(given, _cost(h[-1]))])


# modes


@pytest.mark.parametrize("inner", ["FAST_RUN", "FAST_COMPILE", "DebugMode"])
@pytest.mark.parametrize("loop", ["net", "taps", "nested"])
def test_steps_in_a_mode_of_their_own_agree(backend: Backend, loop: str, inner: str) -> None:
    given = _Given("float64")
    build: dict[str, Callable[[], Any]] = {
        "net": lambda: scan(lambda a, h: T.tanh(a + T.dot(h, given.w)), given.x, given.state(3), mode=inner)[0],
        "taps": lambda: scan(
            lambda a, b, h: h * 0.5 + a * b, dict(input=given.y, taps=[0, 1]), given.state(3), mode=inner
        )[0],
        "nested": lambda: scan(
            lambda a, h: scan(lambda b, k: k * 0.5 + b, given.y, h + a, mode=inner)[0][-1], given.x, given.state(3)
        )[0],
    }
    given.check(backend, build[loop]())


@pytest.mark.parametrize("mode", ["DebugMode", "NanGuardMode"])
@pytest.mark.parametrize("loop", ["net", "taps", "branch", "nested"])
def test_modes_that_watch_agree(backend: Backend, loop: str, mode: str) -> None:
    given = _Given("float64")
    given.check(backend, _LOOPS[loop](given), mode=mode)
