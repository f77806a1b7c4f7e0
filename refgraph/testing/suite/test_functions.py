"""Functions on a backend: what comes back, what is kept, when updates are made, and whose memory results are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.errors import RefgraphError
from refgraph.interp.backends import Backend
from refgraph.interp.evaluate import evaluate
from refgraph.interp.function import Function, function
from refgraph.interp.inputs import In, Out
from refgraph.interp.postponed import LARGE
from refgraph.interp.shared import shared
from refgraph.ops.tensor import TensorType
from refgraph.testing.suite.programs import agree, check, meaning

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.refgraph_level(3)

updates = pytest.mark.refgraph_feature("updates")
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
homes = pytest.mark.parametrize("home", ["numpy", "backend"])
"""Who keeps the values of shared variables: whole numbers in them are computed exactly, whoever does it."""


def _vector(dtype: str, name: str) -> Any:
    return TensorType(dtype, (None,))(name)


def _array(dtype: str, *values: float) -> Array:
    return np.array(values or (1, 2, 3), dtype)


def _kept(home: str, backend: Backend, value: Any, name: str | None = None, **options: Any) -> Any:
    """A shared variable that the backend, or NumPy, keeps."""
    return shared(np.asarray(value), name, backend=backend if home == "backend" else "numpy", **options)


def _is(got: Any, want: Any, what: str) -> None:
    """Fail where a value is not this one, of whole numbers, exactly."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{what}: got dtype {got.dtype}, want {want.dtype}"
    assert got.shape == want.shape, f"{what}: got shape {got.shape}, want {want.shape}"
    assert np.array_equal(got, want), f"{what}: got {got!r}, want {want!r}"


def _refused(f: Function, *arrays: Any) -> RefgraphError:
    """The error that a call raises."""
    try:
        f(*arrays)
    except RefgraphError as error:
        return error
    raise AssertionError("the call raised no error, and shapes do not fit")


# what comes back


@dtypes
def test_outputs_come_in_the_form_that_was_asked_for(backend: Backend, dtype: str) -> None:
    x, a = _vector(dtype, "x"), _array(dtype)
    assert function([x], None, on_unused_input="ignore", backend=backend)(a) == [], "no output"
    one = function([x], x + x, backend=backend)(a)
    assert isinstance(one, np.ndarray), f"one output is a {type(one).__name__}"
    _is(one, a + a, "one output")
    many = function([x], [x + x, x * x], backend=backend)(a)
    assert isinstance(many, list), f"a list of outputs is a {type(many).__name__}"
    _is(many[1], a * a, "the second of a list")
    named = function([x], {"b": x + x, "a": x * x}, backend=backend)(a)
    assert list(named) == ["b", "a"], f"a dict of outputs has keys {list(named)}"
    _is(named["a"], a * a, "an output of a dict")


@dtypes
def test_an_output_without_axes_is_an_array(backend: Backend, dtype: str) -> None:
    x = _vector(dtype, "x")
    total = function([x], x.sum(), backend=backend)(_array(dtype))
    assert isinstance(total, np.ndarray), f"a sum is a {type(total).__name__}"
    _is(total, _array(dtype, 6)[0], "a sum")


def test_an_output_may_be_written_into(backend: Backend) -> None:
    x = T.dvector("x")
    outputs = [x, x + 1, x[1:], x[::-1], T.alloc(x.sum(), 2, 2), T.constant(np.ones(3)), T.eye(2), x.dimshuffle("x", 0)]
    for n, out in enumerate(function([x], outputs, backend=backend)(_array("float64"))):
        assert out.flags.writeable, f"output {n} is read-only"
        out[...] = 0


def test_output_subset_answers_those_asked_for(backend: Backend) -> None:
    x, a = T.dvector("x"), _array("float64")
    f = function([x], [x + 1, x * 2, x * x], backend=backend)
    third, first = f(a, output_subset=[2, 0])
    _is(third, a * a, "output 2")
    _is(first, a + 1, "output 0")
    named = function([x], {"a": x + 1, "b": x * 2}, backend=backend)(a, output_subset=["b"])
    assert list(named) == ["b"], f"got outputs {list(named)}"
    _is(named["b"], a * 2, "output b")


def test_arguments_go_by_name(backend: Backend) -> None:
    x, y = T.dvectors("x", "y")
    f = function([x, y], x - 2 * y, backend=backend)
    a, b = _array("float64"), _array("float64", 5, 7, 9)
    _is(f(y=b, x=a), a - 2 * b, "x - 2y")
    _is(f(a, y=b), a - 2 * b, "x - 2y")


def test_arguments_are_converted(backend: Backend) -> None:
    x = T.dvector("x")
    f = function([x], x * 2, backend=backend)
    for given in ([1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], "int32"), np.array([1, 2, 3], "float32")):
        _is(f(given), _array("float64", 2, 4, 6), f"twice {given!r}")


def test_several_outputs_of_one_op(backend: Backend) -> None:
    x = T.dmatrix("x")
    a = np.arange(12.0).reshape(3, 4)[::-1] % 7
    check(backend, [x], [*T.max_and_argmax(x, axis=1), *T.split(x, [1, 3], 2, axis=1), T.argmax(x, axis=0)], [a])


def test_the_same_variable_twice_is_two_arrays(backend: Backend) -> None:
    x = T.dvector("x")
    y = T.exp(x)
    for outputs in ([y, y], [x, x], [y, y[:2]], [y, y.dimshuffle("x", 0)], [x, x[::-1]]):
        first, second = function([x], outputs, backend=backend)(_array("float64"))
        assert not np.shares_memory(first, second), f"outputs {outputs} share memory"


@dtypes
def test_equal_outputs_are_two_arrays(backend: Backend, dtype: str) -> None:
    x = _vector(dtype, "x")
    outputs = [T.abs_(x), T.maximum(x, -x), T.sort(x), T.clip(x, 0, 9)]
    got = function([x], outputs, backend=backend)(_array(dtype))
    for n, a in enumerate(got):
        _is(a, _array(dtype), f"output {n}")
        for k, b in enumerate(got[:n]):
            assert not np.shares_memory(a, b), f"outputs {k} and {n} share memory"


@dtypes
def test_an_input_as_output_is_a_copy(backend: Backend, dtype: str) -> None:
    x, a = _vector(dtype, "x"), _array(dtype)
    for out in (x, x[1:], x.dimshuffle("x", 0)):
        got = function([x], out, backend=backend)(a)
        assert not np.shares_memory(got, a), f"the output {out} shares memory with the argument"
        _is(function([x], x, backend=backend)(a), a, "an input as output")


@dtypes
def test_a_constant_as_output_is_a_copy(backend: Backend, dtype: str) -> None:
    c = T.constant(_array(dtype))
    f = function([], [c, c[::-1]], backend=backend)
    f()[0][...] = 0
    f()[1][...] = 0
    _is(f()[0], _array(dtype), "a constant, after the last result was overwritten")


@homes
def test_a_shared_variable_as_output_is_a_copy(backend: Backend, home: str) -> None:
    w = _kept(home, backend, _array("float64"), "w")
    f = function([], [w, w[1:]], backend=backend)
    for out in f():
        out[...] = 0
    _is(w.get_value(), _array("float64"), "the shared value, after results were overwritten")
    _is(f()[0], _array("float64"), "the output, after the last one was overwritten")


def test_outputs_that_nothing_computes(backend: Backend) -> None:
    x = T.dvector("x")
    got = function([x], [3, np.ones(2), x], backend=backend)(_array("float64"))
    _is(got[0], np.int8(3), "a number") if got[0].dtype == "int8" else _is(got[0], np.int64(3), "a number")
    _is(got[1], np.ones(2), "an array")
    _is(got[2], _array("float64"), "an input")


def test_borrowed_outputs_have_the_same_values(backend: Backend) -> None:
    x, a = T.dvector("x"), _array("float64")
    w = shared(_array("float64", 4, 5, 6), "w", backend=backend)
    variables = [x + w, w, T.exp(x) * w]
    f = function([In(x, borrow=True)], [Out(v, borrow=True) for v in variables], backend=backend)
    for _ in range(2):
        got = [v if isinstance(v, np.ndarray) else backend.to_numpy(v) for v in f(a)]
        agree(backend, got, variables, meaning(variables, {x: a}))


# givens and defaults


@homes
def test_givens_stand_for_what_they_replace(backend: Backend, home: str) -> None:
    x, y = T.dvectors("x", "y")
    z = x * 2
    w = _kept(home, backend, 1.0, "w")
    a, b = _array("float64"), _array("float64", 5, 7, 9)
    _is(function([x], z + w, givens={z: x + 5, w: 10.0}, backend=backend)(a), a + 15, "z + w")
    _is(function([x, y], x - 2 * y, givens={x: y, y: x}, backend=backend)(a, b), b - 2 * a, "x - 2y, exchanged")
    held = _kept(home, backend, b, "held")
    _is(function([x], x - 2 * y, givens={y: held}, backend=backend)(a), a - 2 * b, "x - 2y, y shared")


@updates
@homes
def test_givens_reach_updates(backend: Backend, home: str) -> None:
    x, w = T.dvector("x"), _kept(home, backend, 0.0, "w")
    function([], updates={w: x.sum()}, givens={x: _array("float64")}, backend=backend)()
    _is(w.get_value(), np.float64(6), "w")


def test_a_default_is_used_where_nothing_is_given(backend: Backend) -> None:
    x, rate = T.dvector("x"), T.dscalar("rate")
    f = function([x, In(rate, value=3.0)], x * rate, backend=backend)
    a = _array("float64")
    _is(f(a), a * 3, "with the default")
    _is(f(a, 5.0), a * 5, "with an argument")
    _is(f(a), a * 3, "with the default again")
    f["rate"] = 7.0
    _is(f(a), a * 7, "with a new default")


@updates
def test_a_default_with_an_update_goes_on(backend: Backend) -> None:
    x, s = T.dvector("x"), T.dvector("s")
    f = function([x, In(s, value=np.zeros(3), update=s + x)], s * 2, backend=backend)
    a = _array("float64")
    _is(f(a), 0 * a, "the first call")
    _is(f(a), 2 * a, "the second call")
    _is(f(a, 10 * a), 20 * a, "a call with a value given")
    _is(f["s"], 11 * a, "the state")


# updates


@updates
@homes
@dtypes
def test_updates_are_made_together_from_old_values(backend: Backend, home: str, dtype: str) -> None:
    a, b = _kept(home, backend, _array(dtype), "a"), _kept(home, backend, _array(dtype, 5, 7, 9), "b")
    f = function([], [a, b], updates={a: b, b: a + b}, backend=backend)
    first, second = _array(dtype), _array(dtype, 5, 7, 9)
    for n in range(4):
        old = f()
        _is(old[0], first, f"a as output of call {n}")
        _is(old[1], second, f"b as output of call {n}")
        first, second = second, first + second
    _is(a.get_value(), first, "a")
    _is(b.get_value(), second, "b")


@updates
@homes
def test_outputs_see_the_values_before_updates(backend: Backend, home: str) -> None:
    w = _kept(home, backend, _array("float64"), "w")
    f = function([], [w * 2, w.sum(), w[::-1]], updates={w: w * 2 + 1}, backend=backend)
    for _ in range(3):
        old = w.get_value()
        twice, total, back = f()
        _is(twice, old * 2, "2w")
        _is(total, old.sum(), "the sum of w")
        _is(back, old[::-1], "w backwards")
        _is(w.get_value(), old * 2 + 1, "w after the call")


@updates
@homes
@pytest.mark.parametrize("count", [3, 12])
def test_a_chain_of_updates_moves_by_one(backend: Backend, home: str, count: int) -> None:
    ws = [_kept(home, backend, np.full(2, float(n)), f"w{n}") for n in range(count)]
    f = function([], updates=[(w, v) for w, v in zip(ws, [*ws[1:], ws[0]], strict=True)], backend=backend)
    for _ in range(count + 1):
        f()
    for n, w in enumerate(ws):
        _is(w.get_value(), np.full(2, float((n + 1) % count)), f"w{n}")


@updates
@homes
def test_no_update_is_lost(backend: Backend, home: str) -> None:
    k = _kept(home, backend, np.int64(0), "k")
    f = function([], k, updates={k: k + 1}, backend=backend)
    for n in range(20):
        _is(f(), np.int64(n), f"the count before call {n}")
    _is(k.get_value(), np.int64(20), "the count")


@updates
@homes
def test_a_value_that_was_set_is_what_an_update_starts_from(backend: Backend, home: str) -> None:
    w = _kept(home, backend, _array("float64"), "w")
    f = function([], w.sum(), updates={w: w + 1}, backend=backend)
    f()
    w.set_value(np.full(5, 10.0))
    _is(f(), np.float64(50), "the sum of the value that was set")
    _is(w.get_value(), np.full(5, 11.0), "w")


@updates
@homes
def test_two_updates_from_one_value_are_two_arrays(backend: Backend, home: str) -> None:
    x = T.dvector("x")
    a, b = _kept(home, backend, np.zeros(3), "a"), _kept(home, backend, np.zeros(3), "b")
    y = x * 2
    f = function([x], y, updates={a: y, b: y}, backend=backend)
    f(_array("float64"))[...] = 0
    _is(a.get_value(), _array("float64", 2, 4, 6), "a, after the output was overwritten")
    function([], updates={a: T.inc_subtensor(a[0], 1.0)}, backend=backend)()
    _is(b.get_value(), _array("float64", 2, 4, 6), "b, after a was changed")


_EQUAL: dict[str, Callable[[Any], Any]] = {
    "abs": T.abs_,
    "clip": lambda x: T.clip(x, 0.0, 100.0),
    "maximum": lambda x: T.maximum(x, 0.5),
    "rint": T.rint,
    "set": lambda x: T.set_subtensor(x[:0], 1.0),
    "sort": T.sort,
    "input": lambda x: x,
    "view": lambda x: x.dimshuffle("x", 0)[0],
}
"""What answers values that are equal to those it is given, for which a kernel might answer these themselves."""


@updates
@homes
@pytest.mark.parametrize("op", _EQUAL)
def test_a_value_made_from_an_argument_is_not_the_argument(backend: Backend, home: str, op: str) -> None:
    x, a = T.dvector("x"), _array("float64")
    w = _kept(home, backend, np.zeros(3), "w")
    out = function([x], _EQUAL[op](x), updates={w: _EQUAL[op](x)}, backend=backend, mode="FAST_COMPILE")(a)
    a[...] = -1
    _is(out, _array("float64"), "the output, after the argument was overwritten")
    _is(w.get_value(), _array("float64"), "the shared value, after the argument was overwritten")
    out[...] = -2
    _is(w.get_value(), _array("float64"), "the shared value, after the output was overwritten")


@updates
@homes
@pytest.mark.parametrize("where", ["output", "update", "first", "last"])
@pytest.mark.parametrize("size", [3, LARGE // 8 + 1], ids=["small", "large"])
def test_a_call_that_raises_makes_no_update(backend: Backend, home: str, where: str, size: int) -> None:
    """What raises is in an output, or in another update before or after; states large enough to be overwritten, too."""
    x = T.dvector("x")
    start = np.arange(float(size))
    a, b = _kept(home, backend, start, "a"), _kept(home, backend, -start, "b")
    count = _kept(home, backend, np.int64(0), "count")
    misfit = (a + x) * 2
    good = [(count, count + 1), (a, T.inc_subtensor(a[:2], 1.0))]
    bad = [(b, T.inc_subtensor(b[1:], 1.0) + x)]
    pairs = {"output": good, "update": [*good, *bad], "first": [*bad, *good], "last": [good[1], good[0], *bad]}[where]
    f = function([x], misfit if where == "output" else a[0], updates=pairs, backend=backend)
    for _ in range(2):
        _refused(f, np.ones(2))
        _is(a.get_value(), start, "a, after a call that raised")
        _is(b.get_value(), -start, "b, after a call that raised")
        _is(count.get_value(), np.int64(0), "the count, after a call that raised")
    f(np.ones(size))
    _is(count.get_value(), np.int64(1), "the count, after a call that succeeded")
    _is(a.get_value()[:3], start[:3] + np.array([1, 1, 0]), "a, after a call that succeeded")


# large states, which the interpreter writes into


_WRITES: dict[str, Callable[[Any], Any]] = {
    "slice": lambda w: T.inc_subtensor(w[1:3], 2.0),
    "set": lambda w: T.set_subtensor(w[::-1][:2], 5.0),
    "rows": lambda w: T.inc_subtensor(w[np.array([0, 0, 2])], 1.0),
    "all": lambda w: w + 1,
    "reversed": lambda w: w[::-1],
    "two": lambda w: T.inc_subtensor(T.set_subtensor(w[0], 7.0)[1], 1.0),
}


@updates
@homes
@pytest.mark.parametrize("write", _WRITES)
def test_a_large_state_is_updated_and_arrays_that_others_hold_are_left_alone(
    backend: Backend, home: str, write: str
) -> None:
    start = np.arange(LARGE // 8 + 1.0) % 100
    w = _kept(home, backend, start, "w")
    f = function([], w[:3], updates={w: _WRITES[write](w)}, backend=backend)
    want, shown = start.copy(), function([], _WRITES[write](w), backend="numpy", mode="FAST_COMPILE")
    for n in range(3):
        held, kept = w.get_value(borrow=True), want
        want = shown()
        _is(f(), kept[:3], f"the output of call {n}")
        _is(w.get_value(), want, f"w after call {n}")
        _is(held, kept, f"the array that was held before call {n}")
        del held


@updates
@homes
def test_large_states_that_read_each_other(backend: Backend, home: str) -> None:
    start = np.arange(LARGE // 8 + 1.0) % 100
    a, b = _kept(home, backend, start, "a"), _kept(home, backend, -start, "b")
    f = function(
        [],
        [a[:2], b[:2]],
        updates={a: T.inc_subtensor(a[:2], b[:2]), b: T.inc_subtensor(b[:2], a[:2] + 1)},
        backend=backend,
    )
    x, y = start.copy(), -start
    for n in range(3):
        f()
        x, y = x.copy(), y.copy()
        x[:2], y[:2] = x[:2] + y[:2], y[:2] + x[:2] + 1
        _is(a.get_value(), x, f"a after call {n}")
        _is(b.get_value(), y, f"b after call {n}")


_AT_ONCE: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda w: w + w.T,
    "backwards": lambda w: w * 2 + w[::-1],
    "one-element": lambda w: w * 2 + w[0, 1],
    "sum": lambda w: w - w.sum(),
    "product": lambda w: w * 3 + T.dot(w, w),
    "row-twice": lambda w: w[:1] * w + w[1:2],
}
"""New values of a state of which each element is made of several of the old one."""


@updates
@homes
@pytest.mark.parametrize("kind", _AT_ONCE)
def test_an_update_that_reads_a_state_in_two_ways(backend: Backend, home: str, kind: str) -> None:
    start = np.array([[1.0, 2, 3], [-2, 0, 1], [4, -1, 2]])
    w, plain = _kept(home, backend, start, "w"), T.dmatrix("plain")
    f = function([], [], updates={w: _AT_ONCE[kind](w)}, backend=backend)
    for n in range(3):
        (want,) = evaluate([_AT_ONCE[kind](plain)], {plain: w.get_value()})
        f()
        _is(w.get_value(), want, f"w after call {n}")


@pytest.mark.parametrize("lengths", [(4, 4), (1, 4), (4, 1), (1, 1), (0, 1), (0, 0)], ids=str)
def test_a_gradient_is_that_of_what_is_broadcast_in_a_call(backend: Backend, lengths: tuple[int, int]) -> None:
    """One function: lengths that were equal in one call need not be in the next."""
    x, y = T.dvector("x"), T.dvector("y")
    outputs = T.grad((T.tanh(2 * x + y) * T.exp(-(x**2)) + x / (2 + T.sin(y))).sum(), [x, y])
    f = function([x, y], outputs, backend=backend)
    for m, n in ((4, 4), lengths, (3, 3), lengths):
        a, b = np.linspace(-1, 1, m), np.linspace(2, 1, n)
        agree(backend, f(a, b), outputs, {x: a, y: b}, f"lengths {m} and {n}")


# modes, profiles, copies


def _step(backend: Backend, **options: Any) -> tuple[Function, Any, list[Any], Any]:
    """A step of gradient descent: what it answers, its inputs, and what it changes."""
    x, y = T.dmatrix("x"), T.dvector("y")
    w = shared(np.array([0.5, -0.25]), "w", backend=backend)
    off = T.tanh(T.dot(x, w)) - y
    cost = (off * off).mean()
    f = function([x, y], [cost, off], updates={w: w - 0.5 * T.grad(cost, w)}, backend=backend, **options)
    return f, (x, y), [cost, off], w


@updates
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "DebugMode", "NanGuardMode"])
def test_modes_run_on_the_backend_and_agree(backend: Backend, mode: str) -> None:
    f, inputs, outputs, w = _step(backend, mode=mode)
    _check_steps(backend, f, inputs, outputs, w)
    assert f.report().backend == backend.name, f"mode {mode} runs on {f.report().backend}"


@updates
def test_a_profile_changes_no_result(backend: Backend) -> None:
    f, inputs, outputs, w = _step(backend, profile=True)
    _check_steps(backend, f, inputs, outputs, w)
    count = f.profile.total.count if f.profile is not None else 0
    assert count == 2, f"the profile has {count} calls, of 2"


def _check_steps(backend: Backend, f: Function, inputs: Any, outputs: list[Any], w: Any) -> None:
    arrays = np.array([[1.0, 2.0], [-0.5, 0.25], [0.0, 1.0]]), np.array([0.5, -0.5, 0.25])
    new = w - 0.5 * T.grad(outputs[0], w)
    for n in range(2):
        given = meaning([*outputs, new], dict(zip(inputs, arrays, strict=True)))
        agree(backend, [*f(*arrays), w.get_value()], [*outputs, new], given, f"call {n}")


@updates
@homes
def test_a_copy_shares_what_is_shared_and_may_swap_it(backend: Backend, home: str) -> None:
    x, v = T.dvector("x"), _kept(home, backend, np.zeros(3), "v")
    w = _kept(home, backend, np.zeros(3), "w")
    f = function([x], w * 2, updates={w: w + x}, backend=backend)
    twin, other, still = f.copy(), f.copy(swap={w: v}), f.copy(delete_updates=True)
    a = _array("float64")
    f(a)
    _is(twin(a), 2 * a, "the copy, after a call of the first")
    _is(still(a), 4 * a, "the copy without updates")
    _is(w.get_value(), 2 * a, "the shared value")
    _is(other(a), 0 * a, "the copy of another value")
    _is(v.get_value(), a, "the value that was swapped in")
