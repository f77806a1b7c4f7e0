"""Whole functions on the device: what is recorded, what is replayed, and what states hold meanwhile."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph import Out, shared
from refgraph_cupy import backend, program
from refgraph_cupy.host import HostArray
from refgraph_cupy.known import Known

START = np.arange(6.0).reshape(2, 3)


def function(*args: Any, **options: Any) -> Any:
    return refgraph.function(*args, backend=backend, **options)


def kept(value: Any, name: str = "w") -> Any:
    return shared(value, name, backend=backend)


def inside(w: Any) -> Any:
    return w.get_value(borrow=True, return_internal_type=True)


def remarks(f: Any) -> str:
    return "\n".join(f.report().remarks)


def same(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-12)


# recording and replaying


def test_the_second_call_replays(counted: Any) -> None:
    x, w = T.dmatrix("x"), kept(np.eye(3) * 2)
    f = function([x], T.tanh(T.dot(x, w)).sum(axis=0))
    first = f(START)
    launches = len(counted.launched)
    assert launches
    assert not counted.replayed
    counted.clear()
    same(f(START), first)
    assert (counted.replayed, len(counted.launched)) == (1, launches)
    assert (counted.uploads, counted.fills, counted.downloads) == (0, 1, 1), "only x goes there, only the result back"


def test_other_values_of_the_same_shapes_are_other_results(counted: Any) -> None:
    x, y = T.dmatrix("x"), T.dvector("y")
    f = function([x, y], [(x * y).sum(axis=1), x.T + 1])
    for n in range(4):
        a, b = START * n - 1, np.arange(3.0) + n
        p, q = f(a, b)
        same(p, (a * b).sum(axis=1))
        same(q, a.T + 1)
    assert counted.replayed == 3


def test_shapes_that_change_make_another_tape(counted: Any) -> None:
    x = T.dmatrix("x")
    f = function([x], (x * 2).sum(axis=0))
    for n, shape in enumerate([(2, 3), (4, 1), (2, 3), (0, 3), (4, 1), (0, 3)]):
        a = np.random.default_rng(n).normal(size=shape)
        same(f(a), (a * 2).sum(axis=0))
    assert counted.replayed == 3
    assert len(f.report().remarks) == 3


def test_so_many_sets_of_shapes_are_kept_and_no_more(counted: Any) -> None:
    x = T.dvector("x")
    f = function([x], x + 1)
    for n in [*range(1, program._TAPES + 2), program._TAPES + 1, 1]:
        same(f(np.ones(n)), np.full(n, 2.0))
    assert counted.replayed == 1, "only the shape that was last is replayed: the first was given up"
    assert len(f.report().remarks) == program._TAPES


def test_results_are_nobody_elses(counted: Any) -> None:
    x = T.dmatrix("x")
    f = function([x], [x * 2, x.T, x])
    for n in range(3):
        a = START + n
        results = f(a)
        for r in results:
            assert r.flags.writeable
            assert not np.shares_memory(r, a)
        later = f(a + 100)
        same(results[0], a * 2)
        same(results[1], a.T)
        same(results[2], a)
        assert not any([np.shares_memory(p, q) for p in results for q in later])


def test_constants_are_uploaded_once(counted: Any) -> None:
    x = T.dvector("x")
    y, _ = refgraph.scan(lambda h: T.dot(h, np.eye(3) * 0.5) + np.arange(3.0), outputs_info=[x], n_steps=5)
    f = function([x], y)
    f(np.ones(3))
    assert counted.uploads <= 4, "x, the two constants, and what says where entries lie"


# states


def step(w: Any, x: Any) -> dict[Any, Any]:
    return {w: w * 0.5 + T.dot(x, w)}


def test_an_update_costs_no_copy(counted: Any) -> None:
    w, x = kept(START), T.dmatrix("x")
    f = function([x], updates=step(w, x))
    a, want = np.array([[1.0, -1], [0.5, 2]]), START
    for _ in range(2):
        f(a)
        want = want * 0.5 + a @ want
    counted.clear()
    for _ in range(4):
        f(a)
        want = want * 0.5 + a @ want
    same(w.get_value(), want)
    assert (counted.replayed, counted.fills, counted.uploads) == (4, 4, 0), "x is filled, and nothing else"


def test_the_two_sides_of_a_state_are_swapped(counted: Any) -> None:
    w = kept(START)
    f = function([], updates={w: w + 1})
    seen = []
    for _ in range(5):
        f()
        seen.append(id(inside(w)))
    assert seen[0] == seen[2] == seen[4]
    assert seen[1] == seen[3] != seen[0]


def test_states_that_are_exchanged(counted: Any) -> None:
    w, v = kept(START), kept(START + 10, "v")
    f = function([], (w + v).sum(), updates={w: v, v: w})
    a, b = START, START + 10
    for _ in range(5):
        same(f(), (a + b).sum())
        a, b = b, a
        same(w.get_value(), a)
        same(v.get_value(), b)


def test_old_and_new_values_of_a_state_as_outputs(counted: Any) -> None:
    w, v = kept(np.eye(3)), kept(np.eye(3), "v")
    z = w * 2 + 1
    f = function([], [w, w.T, w[0], z, z.T, z[1:]], updates={w: z, v: z.T})
    old = np.eye(3)
    for _ in range(5):
        new = old * 2 + 1
        for got, want in zip(f(), [old, old.T, old[0], new, new.T, new[1:]], strict=True):
            same(got, want)
        same(w.get_value(), new)
        same(v.get_value(), new.T)
        old = new


def test_one_value_for_two_states(counted: Any) -> None:
    w, v = kept(START), kept(START, "v")
    z = w + v
    f = function([], updates={w: z, v: z})
    g = function([], updates={w: w + 1})
    a = b = START
    for _ in range(4):
        f()
        a = b = a + b
        g()
        a = a + 1
        same(w.get_value(), a)
        same(v.get_value(), b)


def test_two_functions_that_update_one_state(counted: Any) -> None:
    w = kept(START)
    f, g = function([], updates={w: w * 0.5}), function([], updates={w: w + 1})
    want = START
    for _ in range(3):
        f(), g()
        want = want * 0.5 + 1
    counted.clear()
    for _ in range(5):
        f(), g()
        want = want * 0.5 + 1
        same(w.get_value(), want)
    assert counted.replayed == 10, "each has its tape, which stays"
    f(), f(), g(), f()
    same(w.get_value(), (want * 0.25 + 1) * 0.5)


def test_a_state_that_another_function_reads(counted: Any) -> None:
    w = kept(START)
    f, g = function([], updates={w: w + 1}), function([], (w * w).sum())
    for n in range(6):
        same(g(), ((START + n) ** 2).sum())
        f()
    counted.clear()
    same(g(), ((START + 6) ** 2).sum())
    assert (counted.replayed, counted.fills) == (1, 0), "it is read where it lies"


def test_what_lies_elsewhere_in_each_call_is_copied(counted: Any) -> None:
    w = kept(START)
    f = function([], w * 2)
    lent = []
    for n in range(10):
        w.set_value(START + n)
        lent.append(inside(w))
        same(f(), (START + n) * 2)
    counted.clear()
    w.set_value(START)
    same(f(), START * 2)
    assert (counted.replayed, counted.fills) == (1, 1)


def test_an_array_that_somebody_holds_is_not_written_over(counted: Any) -> None:
    w = kept(START)
    f = function([], updates={w: w + 1})
    held = []
    for n in range(6):
        held.append((n, inside(w)))
        f()
    held_view = inside(w)[1]
    f(), f()
    for n, array in held:
        same(counted.download(array), START + n)
    same(counted.download(held_view), START[1] + 6)
    same(w.get_value(), START + 8)


def test_one_array_as_the_value_of_two_states(counted: Any) -> None:
    w, v = kept(START), kept(START, "v")
    f = function([], updates={w: w + v, v: v * 2})
    for _ in range(3):
        v.container.put(inside(w))
        a = w.get_value()
        f()
        same(w.get_value(), a + a)
        same(v.get_value(), a * 2)


def test_a_state_whose_shape_changes(counted: Any) -> None:
    w = kept(np.ones(2))
    f = function([], w.sum(), updates={w: T.concatenate([w, w[:1] + 1])})
    want = np.ones(2)
    for _ in range(4):
        same(f(), want.sum())
        want = np.concatenate([want, want[:1] + 1])
        same(w.get_value(), want)
    w.set_value(np.ones(2))
    same(f(), 2)
    same(w.get_value(), [1, 1, 2])


def test_an_empty_state(counted: Any) -> None:
    w, v = kept(np.ones((0, 3))), kept(np.ones(3), "v")
    f = function([], (w * 2).sum(axis=0), updates={w: w + 1, v: v + w.sum(axis=0)})
    for _ in range(4):
        same(f(), np.zeros(3))
        assert w.get_value().shape == (0, 3)
        same(v.get_value(), np.ones(3))


def test_a_value_that_is_set_between_calls(counted: Any) -> None:
    w, v = kept(START), kept(START, "v")
    f = function([], updates={w: w + v, v: v + 1})
    a = b = START
    for n in range(7):
        if n % 2:
            w.set_value(START * n)
            a = START * n
        f()
        a, b = a + b, b + 1
        same(w.get_value(), a)
        same(v.get_value(), b)


def test_a_state_that_numpy_keeps(counted: Any) -> None:
    w, v = shared(START, "w", backend="numpy"), kept(START, "v")
    f = function([], updates={w: w + v, v: v + w})
    a = b = START
    for _ in range(4):
        f()
        a, b = a + b, b + a
        same(w.get_value(), a)
        same(v.get_value(), b)
        assert isinstance(w.container.value, np.ndarray)
        assert isinstance(inside(v), HostArray)


def test_a_borrowed_output_is_an_array_of_the_device(counted: Any) -> None:
    w = kept(START)
    f = function([], [Out(w * 2, borrow=True), w + 1], updates={w: w + 1})
    results = [f() for _ in range(3)]
    for n, (lent, plain) in enumerate(results):
        assert isinstance(lent, HostArray)
        assert isinstance(plain, np.ndarray)
        same(counted.download(lent), (START + n) * 2)
        same(plain, START + n + 1)


# errors


def test_the_old_values_stand_if_a_call_raises(counted: Any) -> None:
    w, v, i = kept(START), kept(np.arange(3.0), "v"), T.lvector("i")
    f = function([i], w[:, i], updates={w: w + 1, v: v[i]})
    good, bad = np.array([2, 1, 0]), np.array([0, 7, 1])
    f(good)
    values = w.get_value(), v.get_value()
    for index in (bad, good, bad, bad, good):
        if index is bad:
            with pytest.raises(IndexError):
                f(bad)
        else:
            f(good)
            values = values[0] + 1, values[1][good]
        same(w.get_value(), values[0])
        same(v.get_value(), values[1])


def test_an_error_while_recording_leaves_nothing(counted: Any) -> None:
    w, i = kept(START), T.lvector("i")
    f = function([i], w[:, i], updates={w: w + 1})
    with pytest.raises(IndexError):
        f(np.array([5]))
    same(w.get_value(), START)
    assert not f.report().remarks
    same(f(np.array([2])), START[:, 2:])
    with pytest.raises(IndexError):
        f(np.array([5]))
    same(w.get_value(), START + 1)
    same(f(np.array([0])), START[:, :1] + 1)


# integers


def test_an_integer_is_read_on_the_device(counted: Any) -> None:
    x, n = T.dvector("x"), T.lscalar("n")
    f = function([x, n], [x * n, n + 1, (n * 2).astype("float32")])
    for k in range(6):
        a, b, c = f(np.ones(3), k)
        same(a, np.full(3, k))
        assert (b, c) == (k + 1, 2 * k)
        assert c.dtype == "float32"
    assert counted.replayed == 5


def test_a_counter_is_counted_on_the_device(counted: Any) -> None:
    t, w = kept(0, "t"), kept(START)
    f = function([], [t, w * 0.5**t], updates={t: t + 1, w: w / (t + 1)})
    want = START
    for n in range(20):
        a, b = f()
        assert a == n
        same(b, want * 0.5**n)
        want = want / (n + 1)
    assert t.get_value() == 20
    assert t.get_value().dtype == "int64"
    assert counted.replayed == 19
    assert counted.uploads < 10
    t.set_value(3)
    assert f()[0] == 3
    assert t.get_value() == 4


def test_integers_that_are_read_on_the_host_make_another_tape_each(counted: Any) -> None:
    x, n = T.dvector("x"), T.lscalar("n")
    f = function([x, n], x[:n] * 2)
    a = np.arange(4.0)
    for k in (1, 2, 3, 1, 2, 3):
        same(f(a, k), a[:k] * 2)
    assert counted.replayed == 3


def test_integers_that_differ_in_each_call_are_no_longer_recorded(counted: Any) -> None:
    x, n = T.dvector("x"), T.lscalar("n")
    f = function([x, n], x[:n] * 2)
    a = np.arange(99.0)
    for k in range(program._TAPES + 4):
        same(f(a, k), a[:k] * 2)
    assert "launched one by one: integers that decide" in remarks(f)
    assert not counted.replayed


def test_a_counter_that_is_read_on_the_host(counted: Any) -> None:
    i, x = kept(0, "i"), kept(np.arange(30.0), "x")
    f = function([], x[i : i + 2].sum(), updates={i: i + 1})
    for n in range(25):
        same(f(), 2 * n + 1)
        assert i.get_value() == n + 1


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_integers_wrap_alike_here_and_there(counted: Any, dtype: str) -> None:
    t = kept(np.array(np.iinfo(dtype).max - 1, dtype), "t")
    one = np.array(1, dtype)
    f = function([], t, updates={t: t + one})
    want = t.get_value()
    for _ in range(4):
        assert f() == want
        want = np.add(want, one)
        assert t.get_value() == want
        assert t.get_value().dtype == dtype


def test_a_single_integer_of_the_device_may_be_set_and_read(counted: Any) -> None:
    t, s = kept(3, "t"), kept(4, "s")
    f = function([], updates={t: t + 1})
    t.set_value(counted.upload(np.array(7)))
    assert t.get_value() == 7
    f()
    assert t.get_value() == 8
    s.set_value(t.get_value(return_internal_type=True))
    f()
    assert (s.get_value(), t.get_value()) == (8, 9)
    assert isinstance(inside(s), (Known, HostArray))


def test_a_length_that_becomes_a_state(counted: Any) -> None:
    n, x = kept(0, "n"), T.dvector("x")
    f = function([x], x * 2, updates={n: x.shape[0] + 1})
    for k in (3, 3, 5, 3):
        f(np.ones(k))
        assert n.get_value() == k + 1


# what stands in the way


def test_sizes_that_depend_on_values_say_so(counted: Any) -> None:
    x = T.dvector("x")
    f = function([x], T.nonzero(x)[0].sum())
    for a in ([1.0, 0, 2], [0.0, 0, 3], [0.0, 0, 0]):
        assert f(np.array(a)) == np.flatnonzero(a).sum()
    assert "launched one by one: a value is needed on the host" in remarks(f)
    assert not counted.replayed


def test_a_call_from_inside_a_call_is_right(counted: Any) -> None:
    x = T.dvector("x")
    f = function([x], x + 1)
    f(np.ones(2))
    found = []
    launch = counted.launch

    def interrupted(*args: Any) -> None:
        counted.launch = launch
        found.append(f(np.zeros(2)))
        launch(*args)

    counted.launch = interrupted
    same(f(np.full(2, 5.0)), [6, 6])
    same(found[0], [1, 1])


# memory


def test_what_is_kept_goes_with_the_function(counted: Any) -> None:
    w, x = kept(START), T.dmatrix("x")
    f = function([x], updates={w: w + x})
    f(START), f(START)
    made = f.maker.ran.program
    tape = weakref.ref(made._tapes[next(iter(made._tapes))][0])
    assert tape() is not None
    del f, made
    gc.collect()
    assert tape() is None


def test_free_gives_back_what_is_kept(counted: Any) -> None:
    w = kept(START)
    f = function([], (w * 2).sum(), updates={w: w + 1})
    for n in range(3):
        same(f(), (START + n).sum() * 2)
    f.free()
    assert not f.report().remarks
    for n in range(3, 6):
        same(f(), (START + n).sum() * 2)


def test_two_sets_of_shapes_share_the_sides_of_a_state(counted: Any) -> None:
    w, x = kept(START), T.dmatrix("x")
    f = function([x], updates={w: w + x.sum(axis=0)})
    long, short = np.ones((4, 3)), np.ones((2, 3))
    for a in (long, short, long, short):
        f(a)
    same(w.get_value(), START + 12)
    (first, second) = [tapes[0] for tapes in f.maker.ran.program._tapes.values()]
    assert first.sides[0 if 0 in first.sides else 1] is second.sides[0 if 0 in second.sides else 1]
    counted.clear()
    for a in (long, long, short, long):
        f(a)
    assert (counted.replayed, counted.fills) == (4, 4)


# threads


def together(count: int, work: Any) -> None:
    errors: list[BaseException] = []

    def run(n: int) -> None:
        try:
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_threads_call_one_function(counted: Any) -> None:
    x = T.dvector("x")
    f = function([x], [x * 2, x.sum()])

    def work(n: int) -> None:
        for k in range(30):
            a, b = f(np.full(5 + k % 3, float(n)))
            same(a, np.full(5 + k % 3, 2.0 * n))
            same(b, n * (5 + k % 3))

    together(3, work)


def test_threads_call_two_functions_of_one_state(counted: Any) -> None:
    w = kept(np.zeros(4))
    fs = [function([], w, updates={w: w + k}) for k in (1, 10)]

    def work(n: int) -> None:
        for _ in range(30):
            got = fs[n % 2]()
            assert (got == got[0]).all()

    together(4, work)
    same(w.get_value(), np.full(4, 2 * 30 * 11.0))
