"""Programs: memory, shapes that depend on values, states in place, loops and branches, threads."""

import threading

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.ifelse import ifelse
from refgraph.scan_module import until
from refgraph_cython import backend

X, V = T.dmatrix("x"), T.dvector("v")
RNG = np.random.default_rng(0)


def both(inputs, outputs, **options):
    """The function of compiled kernels, which all of it has, and the interpreter's."""
    f = rg.function(inputs, outputs, backend=backend, strict=True, **options)
    return f, rg.function(inputs, outputs, backend="numpy", **options)


def assert_agrees(inputs, outputs, *calls):
    f, g = both(inputs, outputs)
    for arguments in calls:
        for got, want in zip(f(*arguments), g(*arguments), strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def native(f):
    return f.maker.program.program


# memory


def test_after_the_first_call_of_a_shape_only_outputs_take_memory():
    f, _ = both([X, V], [T.tanh(T.dot(X, X.T)).sum(0), T.exp(V)[::2]])
    x, v = RNG.normal(size=(5, 7)), RNG.normal(size=9)
    f(x, v)
    before = native(f).counters
    for _ in range(10):
        f(x, v)

    assert native(f).counters == before


def test_memory_is_kept_for_the_largest_shape_that_was_met():
    f, _ = both([V], T.exp(V)[::2])
    f(RNG.normal(size=1000))
    before = native(f).counters
    for n in (3, 1000, 10):
        f(RNG.normal(size=n))

    assert native(f).counters == before


def test_memory_is_given_back_after_each_call_where_the_flag_says_so():
    with rg.config.change_flags(allow_gc=True):
        f, g = both([V], T.exp(V)[::2])
    v = RNG.normal(size=1000)

    np.testing.assert_allclose(f(v), g(v))
    assert native(f).counters["bytes"] == 0


def test_memory_of_loops_and_branches_is_given_back_too():
    c = T.bscalar("c")
    long, _ = rg.scan(
        lambda x, h, w: T.dot(T.tanh(x + h[::-1]), w), sequences=X, outputs_info=V, non_sequences=T.dot(X.T, X).T
    )
    ended, _ = rg.scan(lambda h: (T.tanh(h[::-1]) * 2, until((h > 100).any())), outputs_info=V, n_steps=20)
    outputs = [long[-2:], ended[-1], ifelse(c, T.exp(V)[::-1].sum(), T.log(V)[::-1].sum())]
    calls = [(RNG.normal(size=(n, 30)), np.ones(30), k) for n in (20, 3) for k in (0, 1)]
    with rg.config.change_flags(allow_gc=True):
        f, g = both([X, V, c], outputs)
    kept, _ = both([X, V, c], outputs)

    for arguments in calls:
        for got, want in zip(f(*arguments), g(*arguments), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)
        assert native(f).counters["bytes"] == 0
    kept(*calls[0])
    assert native(kept).counters["bytes"] > 0


def test_values_that_are_needed_no_longer_make_room_for_others():
    y = V
    for _ in range(20):
        y = T.dot(T.outer(y, y), y)
    f, _ = both([V], y)
    f(np.ones(1))

    f(np.full(100, 0.01))
    assert native(f).counters["bytes"] < 4 * 100 * 100 * 8


def test_outputs_share_memory_with_nothing():
    f, _ = both([X], [X.T, X[0], X, X.T, T.exp(X)])
    x = RNG.normal(size=(3, 4))
    outputs = f(x)

    for i, a in enumerate(outputs):
        assert not np.shares_memory(a, x)
        assert not any(np.shares_memory(a, b) for b in outputs[:i])


# shapes


def test_shapes_may_change_from_call_to_call():
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    assert_agrees([X, V], [T.exp(X) * V, X.sum(0) + V, X.shape[0] * V], *[(x[:n], y) for n in (4, 2, 0, 1, 4)])


def test_a_slice_between_values_may_have_any_length():
    i, j = T.lscalar("i"), T.lscalar("j")
    calls = [(RNG.normal(size=9), a, b) for a, b in [(0, 9), (3, 5), (3, 5), (-4, 8), (5, 2), (0, 9)]]

    assert_agrees([V, i, j], [T.exp(V[i:j]), V[i:j].sum(), T.dot(V[i:j], V[i:j])], *calls)


def test_lengths_that_are_computed_from_lengths_are_known_before_anything_runs():
    f, g = both([X], T.exp(X).reshape((X.shape[1], X.shape[0] * 1)).T + T.arange(X.shape[0])[:, None])
    x = RNG.normal(size=(3, 4))

    np.testing.assert_allclose(f(x), g(x))
    assert not any([r.where != "cython" for r in f.report().rows])


def test_arrays_may_lie_in_memory_in_any_way():
    x = RNG.normal(size=(6, 8))
    calls = [(x,), (x.T,), (x[::-1, ::2],), (np.asfortranarray(x),), (np.broadcast_to(x[:1], (3, 8)),)]

    assert_agrees([X], [T.exp(X).sum(1), T.dot(X, X.T), X.T + 1, X[:, 1:]], *calls)


def test_a_wrong_shape_is_the_users_error_and_the_next_call_works():
    f, g = both([X, V], T.exp(X) + V)
    x, v = RNG.normal(size=(2, 3)), RNG.normal(size=3)
    f(x, v)
    with pytest.raises(ValueError, match="broadcast"):
        f(x, v[:2])

    np.testing.assert_allclose(f(x, v), g(x, v))


# states


def address(shared):
    return shared.get_value(borrow=True).__array_interface__["data"][0]


def test_a_state_is_updated_in_its_own_memory():
    w = rg.shared(np.ones((3, 4)))
    f = rg.function([X], [], updates=[(w, w - 0.5 * X)], backend=backend, strict=True)
    before = address(w)
    f(np.ones((3, 4)))
    f(np.ones((3, 4)))

    assert address(w) == before
    assert w.get_value().tolist() == np.zeros((3, 4)).tolist()


def test_a_product_is_added_to_a_state_in_its_own_memory():
    w = rg.shared(np.ones((3, 4)))
    x, y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4))
    Y = T.dmatrix("y")
    f = rg.function([X, Y], [], updates=[(w, w - 0.5 * T.dot(X.T, Y))], backend=backend, strict=True)
    before = address(w)
    f(x, y)

    assert address(w) == before
    np.testing.assert_allclose(w.get_value(), 1 - 0.5 * x.T @ y)


def test_what_others_hold_is_not_overwritten():
    w = rg.shared(np.ones(3))
    f = rg.function([], [], updates=[(w, w + 1)], backend=backend)
    held = w.get_value(borrow=True)
    f()

    assert held.tolist() == [1, 1, 1]
    assert w.get_value().tolist() == [2, 2, 2]


def test_an_old_value_that_is_read_later_is_not_overwritten():
    v, w = rg.shared(np.ones(3)), rg.shared(np.full(3, 2.0))
    f = rg.function([], [v[:2], w], updates=[(v, v + w), (w, w * v)], backend=backend, strict=True)
    first, second = f(), f()

    assert [a.tolist() for a in first] == [[1, 1], [2, 2, 2]]
    assert [a.tolist() for a in second] == [[3, 3], [2, 2, 2]]
    assert v.get_value().tolist() == [5, 5, 5]
    assert w.get_value().tolist() == [6, 6, 6]


def test_momentum_is_updated_in_place_with_what_reads_it():
    v, w = rg.shared(np.zeros(3)), rg.shared(np.ones(3))
    step = 0.5 * v - V
    f = rg.function([V], [], updates=[(v, step), (w, w + step)], backend=backend, strict=True)
    before = address(v), address(w)
    f(np.ones(3))
    f(np.ones(3))

    assert (address(v), address(w)) == before
    assert v.get_value().tolist() == [-1.5] * 3
    assert w.get_value().tolist() == [-1.5] * 3


@pytest.mark.parametrize(
    "new",
    [
        lambda w: w + w.T,
        lambda w: w * 2 + w[::-1],
        lambda w: w * 2 + w[0],
        lambda w: w * 0.5 + T.dot(w, w),
        lambda w: w + T.dot(w.T, w),
    ],
    ids=["transposed", "reversed", "row", "product", "product-transposed"],
)
def test_a_state_that_its_update_reads_in_another_order_too_is_not_overwritten(new):
    value = RNG.normal(size=(50, 50))  # of several blocks
    found = []
    for name in ("cython", "numpy"):
        w = rg.shared(value.copy())
        rg.function([], [], updates=[(w, new(w))], backend=name)()
        found.append(w.get_value())

    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-12)


def test_nothing_is_overwritten_by_a_call_that_raises():
    v, w = rg.shared(np.ones(3)), rg.shared(np.ones((4, 2)))
    i = T.lvector("i")
    updates = [(v, v + 1), (w, T.inc_subtensor(w[i], 1.0))]
    f = rg.function([i], [], updates=updates, backend=backend, strict=True)
    with pytest.raises(IndexError):
        f([0, 7])
    f([0, 0])

    assert v.get_value().tolist() == [2, 2, 2]
    assert w.get_value().tolist() == [[3, 3], [1, 1], [1, 1], [1, 1]]


# loops and branches


def test_loops_run_without_the_interpreter():
    h, _ = rg.scan(lambda x, h: T.tanh(x + 0.5 * h), sequences=X, outputs_info=V)
    v = RNG.normal(size=4)

    calls = [(RNG.normal(size=(n, 4)), v) for n in (5, 5, 0, 2)]
    assert_agrees([X, V], [h, h[-1:], T.grad(h.sum(), V), T.grad((h[-1:] ** 2).sum(), X)], *calls)


def test_a_loop_ends_where_its_condition_holds():
    n = T.lscalar("n")
    h, _ = rg.scan(lambda h: (2 * h, until((2 * h).sum() > 100)), outputs_info=V, n_steps=n)

    assert_agrees([V, n], [h, h[-1], h.shape[0]], *[(np.full(3, a), k) for a, k in [(1.0, 50), (1.0, 3), (1e-30, 200)]])


def test_only_the_branch_that_is_taken_runs():
    c = T.bscalar("c")
    y = ifelse(c, T.exp(V), T.log(V))

    assert_agrees([c, V], [y], (1, np.ones(3)), (0, np.full(3, 2.0)), (1, np.ones(5)))


def test_a_loop_adds_up_in_place():
    n = T.lscalar("n")
    total, _ = rg.scan(lambda h: h + T.outer(V, V), outputs_info=T.zeros((3, 3)), n_steps=n)

    assert_agrees([V, n], [total[-1]], (np.arange(3.0), 4), (np.arange(3.0), 1))


# threads


def test_threads_share_a_function():
    f, g = both([X], T.tanh(T.dot(X, X.T)).sum(0))
    arrays = [RNG.normal(size=(n, 5)) for n in range(1, 9)]
    wanted = [g(a) for a in arrays]
    wrong = []

    def work(i):
        for _ in range(200):
            for a, want in list(zip(arrays, wanted, strict=True))[i:]:
                if not np.allclose(f(a), want):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert not wrong


# profiles


def test_a_profile_says_what_each_application_took_within_loops_too():
    h, _ = rg.scan(lambda x, h: T.tanh(x + h), sequences=X, outputs_info=V)
    f = rg.function([X, V], h, backend=backend, strict=True, profile=True)
    f(RNG.normal(size=(5, 4)), RNG.normal(size=4))

    runs = {str(node.op): cost.count for node, cost in f.profile.nodes.items()}
    assert runs["scan"] == 1
    assert max(runs.values()) == 5
    assert all(cost.seconds > 0 for cost in f.profile.nodes.values())


def test_print_is_a_call_in_a_program_that_is_compiled_otherwise():
    seen = []
    x = T.dvector("x")
    shown = rg.printing.Print("x", global_fn=lambda op, value: seen.append(value.copy()))(T.exp(x))
    f = rg.function([x], T.dot(shown, shown) + 1, backend=backend)
    np.testing.assert_allclose(f([0.0, 1.0]), 2 + np.exp(2))
    np.testing.assert_allclose(seen, [[1, np.e]])
    (row,) = f.report().interpreted
    assert row.node.op.name == "print"
    assert row.why == "it calls a Python function, to show the value"
