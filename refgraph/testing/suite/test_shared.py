"""Shared variables whose values a backend keeps: what comes out, what goes in, and whose memory it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.errors import InputError
from refgraph.interp.backends import Backend, installed
from refgraph.interp.function import function
from refgraph.interp.inputs import Out
from refgraph.interp.shared import SharedVariable, shared
from refgraph.ops.tensor import DTYPES
from refgraph.testing.compare import assert_bits
from refgraph.testing.suite.programs import agree, meaning

Array = np.ndarray[Any, Any]

pytestmark = [pytest.mark.refgraph_level(3), pytest.mark.refgraph_feature("shared")]

dtypes = pytest.mark.parametrize("dtype", sorted(DTYPES))
"""All there are: values of those that the backend does not declare stay with NumPy, and all else is the same."""


def _values(dtype: str, *shape: int) -> Array:
    """Numbers that a dtype holds, not all alike."""
    n = np.arange(1, 1 + int(np.prod(shape)))
    return np.asarray((n % 2 if dtype == "bool" else n).astype(dtype)).reshape(shape)


def _same(got: Any, want: Any, what: str) -> None:
    """Fail where an array is not this one, to the bit."""
    assert isinstance(got, np.ndarray), f"{what}: got a {type(got).__name__}, want a NumPy array"
    assert_bits(got, want, what)


# what is kept


@dtypes
def test_a_value_comes_back_as_it_was_given(backend: Backend, dtype: str) -> None:
    for shape in ((), (3,), (2, 3), (0, 4), (1, 1, 2)):
        value = _values(dtype, *shape)
        _same(shared(value, "w", backend=backend).get_value(), value, f"a value of shape {shape}")


def test_special_values_are_kept_to_the_bit(backend: Backend) -> None:
    for dtype in ("float16", "float32", "float64"):
        info = np.finfo(dtype)
        value = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal], dtype)
        _same(shared(value, "w", backend=backend).get_value(), value, dtype)


def test_values_are_kept_however_they_lie_in_memory(backend: Backend) -> None:
    base = np.arange(24.0).reshape(4, 6)
    for value in (base[::2, 1::2], base[::-1, ::-1], base.T, np.asfortranarray(base), np.broadcast_to(1.5, (2, 3))):
        _same(shared(value, "w", backend=backend).get_value(), value.copy(), f"strides {value.strides}")


@dtypes
def test_a_shared_value_is_no_alias_of_the_callers_array(backend: Backend, dtype: str) -> None:
    value, new = _values(dtype, 4), _values(dtype, 2)
    kept, other = value.copy(), new.copy()
    w = shared(value, "w", backend=backend)
    value[...] = 0
    _same(w.get_value(), kept, "the value, after the array that it was made of was overwritten")
    w.set_value(new)
    new[...] = 0
    _same(w.get_value(), other, "the value, after the array that it was set to was overwritten")


@dtypes
def test_what_get_value_answers_is_a_copy(backend: Backend, dtype: str) -> None:
    w = shared(_values(dtype, 4), "w", backend=backend)
    got = w.get_value()
    assert got.flags.writeable, "the copy is read-only"
    got[...] = 0
    _same(w.get_value(), _values(dtype, 4), "the value, after a copy of it was overwritten")


def test_what_get_value_answered_stays_when_the_value_changes(backend: Backend) -> None:
    w = shared(_values("float64", 4), "w", backend=backend)
    f = function([], updates={w: T.inc_subtensor(w[:2], 1.0)}, backend=backend)
    held = [w.get_value(), w.get_value(borrow=True)]
    f()
    w.set_value(np.zeros(4))
    for n, got in enumerate(held):
        _same(np.asarray(got), _values("float64", 4), f"array {n} that was held")


def test_internal_values_are_the_backends_own(backend: Backend) -> None:
    value = _values("float64", 4)
    w = shared(value, "w", backend=backend)
    for borrow in (False, True):
        inside = w.get_value(borrow=borrow, return_internal_type=True)
        _same(w.container.as_numpy(inside), value, f"the internal value, borrow={borrow}")


def test_internal_values_are_copies_unless_they_are_borrowed(backend: Backend) -> None:
    w = shared(_values("float64", 4), "w", backend=backend)
    lent = w.get_value(borrow=True, return_internal_type=True)
    assert w.get_value(return_internal_type=True) is not lent, "the internal value itself came instead of a copy"
    assert w.get_value(borrow=True, return_internal_type=True) is lent, "a copy came though it was to be borrowed"


def test_an_internal_value_may_be_set(backend: Backend) -> None:
    v, w = [shared(_values("float64", n), "w", backend=backend) for n in (4, 2)]
    w.set_value(v.get_value(return_internal_type=True))
    _same(w.get_value(), _values("float64", 4), "the value that was set")
    function([], updates={w: w * 0}, backend=backend)()
    _same(v.get_value(), _values("float64", 4), "the value that it was set from, after an update")


# setting


@dtypes
def test_a_value_may_be_set_to_one_of_another_shape(backend: Backend, dtype: str) -> None:
    w = shared(_values(dtype, 4), "w", backend=backend)
    f = function([], w[::-1], backend=backend)
    for n in (2, 0, 7):
        w.set_value(_values(dtype, n), borrow=n == 7)
        _same(w.get_value(), _values(dtype, n), f"a value of length {n}")
        _same(f(), _values(dtype, n)[::-1].copy(), f"the value backwards, of length {n}")


def test_values_of_another_type_are_refused_and_change_nothing(backend: Backend) -> None:
    w = shared(_values("float32", 4), "w", backend=backend)
    for wrong in (np.ones(4), np.ones((2, 2), "float32"), np.ones(4, "complex64"), "abc", None):
        with pytest.raises(InputError, match="set_value of w"):
            w.set_value(wrong)
        _same(w.get_value(), _values("float32", 4), f"the value, after {wrong!r} was refused")


def test_zero_sets_every_element(backend: Backend) -> None:
    for borrow in (False, True):
        w = shared(_values("float32", 4), "w", backend=backend)
        w.zero(borrow=borrow)
        _same(w.get_value(), np.zeros(4, "float32"), f"zero, borrow={borrow}")


# in functions


@dtypes
def test_functions_read_and_replace_values_of_every_dtype(backend: Backend, dtype: str) -> None:
    value = _values(dtype, 2, 3)
    w = shared(value, "w", backend=backend)
    f = function([], [w, w.T, w[0]], updates={w: w[::-1, ::-1]}, backend=backend)
    for n in range(3):
        want = w.get_value()
        whole, turned, first = f()
        _same(whole, want, f"w, in call {n}")
        _same(turned, want.T.copy(), f"w transposed, in call {n}")
        _same(first, want[0], f"the first row, in call {n}")
        _same(w.get_value(), want[::-1, ::-1].copy(), f"w after call {n}")


def test_functions_of_the_backend_and_of_the_interpreter_take_turns(backend: Backend) -> None:
    w, v = shared(np.zeros(3), "w", backend=backend), shared(np.zeros(3), "v", backend="numpy")
    x = T.dvector("x")
    fs = [function([x], w + v, updates={w: w * 2 + x, v: v + w}, backend=b) for b in (backend, "numpy")]
    a, p, q = np.array([1.0, -2.0, 3.0]), np.zeros(3), np.zeros(3)
    for n in range(6):
        _same(fs[n % 2](a), p + q, f"call {n}")
        p, q = p * 2 + a, q + p
        _same(w.get_value(), p, f"w after call {n}")
        _same(v.get_value(), q, f"v after call {n}")


def test_a_value_of_the_backend_in_place_of_one_of_the_interpreter(backend: Backend) -> None:
    w, v = shared(np.ones(3), "w", backend="numpy"), shared(np.full(3, 5.0), "v", backend=backend)
    x = T.dvector("x")
    f = function([x], (w * x).sum(), givens={w: v}, backend=backend)
    _same(f(np.ones(3)), np.array(15.0), "with v for w")


_STEPS: dict[str, Callable[[Any, Any], dict[Any, Any]]] = {
    "twice": lambda w, v: {w: w + w},
    "sum": lambda w, v: {w: w + v},
    "exchange": lambda w, v: {w: v, v: w},
    "chain": lambda w, v: {w: w * v - v, v: v + w * w},
    "product": lambda w, v: {w: T.dot(w, v)},
    "total": lambda w, v: {w: w + v.sum()},
}


@pytest.mark.refgraph_feature("updates")
@pytest.mark.parametrize("step", _STEPS)
def test_an_update_keeps_the_value_where_it_is(backend: Backend, step: str) -> None:
    """Nothing is moved in a function whose every op the backend runs, and whose values it keeps."""
    w, v = [shared(np.arange(4.0).reshape(2, 2) + k, "w", backend=backend) for k in (0, 1)]
    news = _STEPS[step](w, v)
    f = function([], updates=news, backend=backend)
    for n in range(3):
        given = meaning(list(news.values()), {})
        f()
        agree(backend, [x.get_value() for x in news], list(news.values()), given, f"call {n}")
    report = f.report()
    where = {row.where for row in report.rows if not row.is_transfer}
    if where <= {backend.name} and all(x.container.backend is backend for x in (w, v)):
        moved = report.traffic.to_device + report.traffic.to_numpy
        assert not report.transfers, f"every op runs on the backend, and values are moved:\n{report}"
        assert moved == 0, f"every op runs on the backend, and {moved} values were moved:\n{report}"


def test_a_borrowed_output_stays_where_it_is(backend: Backend) -> None:
    w = shared(np.arange(4.0), "w", backend=backend)
    f = function([], Out(w + w, borrow=True), backend=backend)
    got = f()
    _same(got if isinstance(got, np.ndarray) else backend.to_numpy(got), np.arange(4.0) * 2, "w + w")


# copies


def test_a_copy_of_a_variable_has_a_value_of_its_own(backend: Backend) -> None:
    w = shared(_values("float64", 4), "w", backend=backend)
    twin: SharedVariable = copy.deepcopy(w)
    assert twin.container.backend is w.container.backend, "the copy is kept elsewhere"
    twin.set_value(np.zeros(2))
    _same(w.get_value(), _values("float64", 4), "the first, after its copy was set")
    function([], updates={w: w * 2}, backend=backend)()
    _same(twin.get_value(), np.zeros(2), "the copy, after the first was updated")


def test_a_clone_shares_the_value(backend: Backend) -> None:
    w = shared(_values("float64", 4), "w", backend=backend)
    other = w.clone()
    function([], updates={w: w * 2}, backend=backend)()
    _same(other.get_value(), _values("float64", 4) * 2, "the clone")


@pytest.mark.refgraph_feature("pickle")
@dtypes
def test_a_pickled_variable_keeps_its_value(backend: Backend, dtype: str) -> None:
    w = shared(_values(dtype, 2, 3), "w", backend=backend)
    again = pickle.loads(pickle.dumps(w))
    _same(again.get_value(), _values(dtype, 2, 3), "the value")
    if backend.name in installed():
        assert again.container.backend is w.container.backend, f"it is kept by {again.container.backend}"
    again.set_value(_values(dtype, 1, 1))
    _same(w.get_value(), _values(dtype, 2, 3), "the first, after the second was set")
