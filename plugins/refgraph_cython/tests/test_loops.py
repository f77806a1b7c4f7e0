"""Loops: what they keep, where it lies, shapes that follow from values, and the calls that a program is."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import Graph, Scan
from refgraph.ifelse import ifelse
from refgraph.scan_module import until
from refgraph_cython import backend

X, V, N = T.dmatrix("x"), T.dvector("v"), T.lscalar("n")
RNG = np.random.default_rng(0)


def both(inputs, outputs, **options):
    """The function of compiled kernels, which all of it has, and the interpreter's."""
    f = rg.function(inputs, outputs, backend=backend, strict=True, **options)
    return f, rg.function(inputs, outputs, backend="numpy", **options)


def native(f):
    return f.maker.program.program


def assert_agrees(inputs, outputs, *calls):
    """Each call, and that one more of the same shapes takes no memory but for the outputs."""
    f, g = both(inputs, outputs)
    native(f).otherwise = None  # nothing else may compute a call
    for arguments in calls:
        f(*arguments)
        before = native(f).counters
        found = f(*arguments)
        assert native(f).counters == before
        for got, want in zip(found, g(*arguments), strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


# steps and what is kept of them


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 200])
def test_states_are_read_as_many_steps_back_as_taps_say(n):
    initial = RNG.uniform(0.1, 0.5, size=(3, 4))
    h, _ = rg.scan(
        lambda a, b, c: 0.5 * a + 0.3 * b * c,
        outputs_info=dict(initial=X, taps=[-3, -2, -1]),
        n_steps=N,
        return_list=True,
    )
    g, _ = rg.scan(lambda a: 0.9 * a + 1, outputs_info=dict(initial=X, taps=[-3]), n_steps=N, return_list=True)

    assert_agrees([X, N], [h[0], h[0][-1:], h[0][-2:], g[0], g[0][-1:]], (initial, n), (initial.T[::-1].T, n))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 100])
def test_of_a_state_only_the_last_entries_are_kept(n):
    h, _ = rg.scan(lambda h: T.tanh(h) * 1.1 + 0.1, outputs_info=V, n_steps=N)
    v = RNG.normal(size=10)
    start = [h[-1]] if n else [h]

    assert_agrees([V, N], [*start, h[-1:]], (v, n))
    assert_agrees([V, N], [h[-3:]], (v, n))


@pytest.mark.parametrize("n", [1, 2, 10])
def test_one_step_of_one_instruction_may_have_any_length(n):
    h, _ = rg.scan(lambda h, v: h * v, outputs_info=T.ones_like(V), non_sequences=V, n_steps=N)

    assert_agrees([V, N], [h[-1], h], *[(RNG.uniform(0.9, 1.1, size=k), n) for k in (0, 1, 2, 10, 17, 1000, 40000)])


def test_states_go_on_into_one_another():
    (a, b, c), _ = rg.scan(lambda a, b, c: (b, c + 0.5, a), outputs_info=[V, V + 1, V + 2], n_steps=N)

    assert_agrees([V, N], [a, b, c, a[-1:], b[-1:], c[-1:]], *[(RNG.normal(size=4), n) for n in (0, 1, 2, 3, 8)])


def test_two_states_may_be_the_same_value():
    (a, b), _ = rg.scan(lambda a, b: (a + b, a + b), outputs_info=[V, 2 * V], n_steps=N)

    assert_agrees([V, N], [a, b[-1:]], *[(RNG.normal(size=4), n) for n in (0, 1, 2, 5)])


def test_a_state_may_become_a_constant_or_a_length():
    (a, b), _ = rg.scan(
        lambda a, b: (T.zeros_like(a) + a.shape[0], T.constant([1.0, 2.0])), outputs_info=[V, V], n_steps=N
    )

    assert_agrees([V, N], [a, b], *[(RNG.normal(size=2), n) for n in (0, 1, 3)])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_sequences_may_lie_in_any_way(n):
    h, _ = rg.scan(lambda x, y, h: T.tanh(x - y + 0.5 * h), sequences=[X, X[::-1]], outputs_info=V)
    x, v = RNG.normal(size=(n, 4)), RNG.normal(size=4)
    lying = [x, x[::-1], np.asfortranarray(x), RNG.normal(size=(2 * n, 8))[::-2, ::-2], np.broadcast_to(v, (n, 4))]

    assert_agrees([X, V], [h, h[-1:]], *[(a, v) for a in lying], *[(a, np.broadcast_to(v[:1], 4)) for a in lying])


def test_records_are_views_sums_and_inputs():
    made, _ = rg.scan(lambda x: [x, x[::-1], x.sum(), T.exp(x)[1:], T.outer(x, x).T], sequences=X)

    assert_agrees([X], made, *[(RNG.normal(size=(n, 4)),) for n in (0, 1, 2, 9)])


def test_many_records_are_made_of_one_step():
    made, _ = rg.scan(lambda x, h: [h * x + 1, h - x, h / 2], sequences=X, outputs_info=[V, None, None])

    assert_agrees([X, V], [*made, made[1][-1:]], *[(RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in (0, 1, 4)])


def test_loops_run_within_loops():
    def inner(x, s):
        h, _ = rg.scan(lambda y, h: h * y + s, sequences=x, outputs_info=s)
        return h[-1] * 0.5, h

    (last, every), _ = rg.scan(inner, sequences=X, outputs_info=[T.constant(0.3), None])

    assert_agrees([X], [last, every], *[(RNG.normal(size=(n, m)),) for n in (0, 1, 4) for m in (1, 3)])


def test_a_loop_within_a_loop_takes_as_many_steps_as_the_outer_one_says():
    def inner(n, s):
        h, _ = rg.scan(lambda h: h * 1.5 + 1, outputs_info=s, n_steps=n)
        return h[-1]

    counts = T.lvector("counts")
    h, _ = rg.scan(inner, sequences=counts, outputs_info=V)

    assert_agrees([counts, V], [h], (np.array([1, 4, 2, 9]), RNG.normal(size=3)), (np.array([2]), RNG.normal(size=1)))


def test_gradients_go_back_through_loops():
    h, _ = rg.scan(lambda x, h, w: T.tanh(x + T.dot(h, w)), sequences=X, outputs_info=V, non_sequences=T.dot(X.T, X))
    cost = (h[-1:] ** 2).sum() + h.sum()

    assert_agrees(
        [X, V], [cost, *T.grad(cost, [X, V])], *[(0.3 * RNG.normal(size=(n, 3)), np.ones(3)) for n in (1, 40)]
    )


@pytest.mark.parametrize("n", [0, 1, 15, 16, 40])
def test_steps_multiply_by_what_lies_in_any_way(n):
    A = T.dmatrix("a")
    h, _ = rg.scan(lambda h, a: T.tanh(T.dot(h, a)) + a[0], outputs_info=V, non_sequences=A, n_steps=N)
    g, _ = rg.scan(lambda g, a: T.tanh(T.dot(g, a.T)), outputs_info=X, non_sequences=A, n_steps=N)
    a, v, x = RNG.normal(size=(5, 5)), RNG.normal(size=5), RNG.normal(size=(3, 5))
    lying = [a, a.T, np.asfortranarray(a[::-1]), RNG.normal(size=(10, 10))[::2, ::-2], np.broadcast_to(v, (5, 5))]

    assert_agrees([V, X, A, N], [h, g, h[-1:]], *[(v, x, way, n) for way in lying])


def test_states_of_other_dtypes():
    x, z = T.fmatrix("x"), T.zvector("z")
    (a, b, c), _ = rg.scan(
        lambda x, a, b, c: (a + x.sum(), b + 1, c * 1j),
        sequences=x,
        outputs_info=[T.constant(np.float32(0)), T.constant(np.int64(0)), z],
    )

    assert_agrees(
        [x, z],
        [a, b, c],
        (np.ones((4, 2), "float32"), np.ones(2, complex)),
        (np.ones((0, 2), "float32"), np.ones(1, complex)),
    )


# conditions


@pytest.mark.parametrize("limit", [0.0, 5.0, 1e30])
def test_a_loop_ends_with_the_step_in_which_its_condition_holds(limit):
    (h, g), _ = rg.scan(lambda h, g: ([h * 1.5, g + h], until((h * 1.5).sum() > limit)), outputs_info=[V, V], n_steps=N)
    calls = [(np.full(3, 0.5), n) for n in (0, 1, 3, 64, 65, 300)]

    assert_agrees([V, N], [h, g[-1:], g[-2:], h.shape[0]], *calls)


# shared variables that steps update


def updating(backend):
    count, total = rg.shared(0), rg.shared(np.zeros(3))

    def step(x, h):
        return h + x * total, {count: count + 1, total: total + x}

    h, updates = rg.scan(step, sequences=X, outputs_info=V)
    f = rg.function([X, V], h, updates=updates, backend=backend)
    x, v = np.arange(12.0).reshape(4, 3), np.ones(3)
    return [f(x, v), f(x[:1], v), f(x[:0], v), count.get_value(), total.get_value()]


def test_steps_update_shared_variables():
    for got, want in zip(updating("cython"), updating("numpy"), strict=True):
        np.testing.assert_allclose(got, want)


def carrying(step, n, sequences, carried, records, **more):
    """A loop whose steps make of items and carried values new carried values, then records."""
    items = [T.TensorType(x.type.dtype, x.type.shape[1:]).variable() for x in sequences]
    given = [x.type.variable() for x in carried]
    op = Scan(Graph([*items, *given], step(*items, *given)), len(sequences), (), len(carried), **more)
    return op.make_node(n, *sequences, *carried).outputs


def test_a_carried_value_may_grow_with_each_step():
    def step(x, c):
        return [T.concatenate([c, x]), T.exp(c).sum() + x.sum()]

    outputs = carrying(step, X.shape[0], [X], [V], 1)

    assert_agrees([X, V], outputs, *[(RNG.normal(size=(n, 2)), RNG.normal(size=3)) for n in (0, 1, 2, 7)])


def test_a_carried_value_may_shrink_and_then_stay():
    def step(c, d):
        return [c[:3] * 2, d + c.sum(), T.exp(c[:2]), c[::-1][:1]]

    outputs = carrying(step, N, [], [V, V], 2)

    assert_agrees([V, N], outputs, *[(RNG.normal(size=k), n) for k in (8, 3) for n in (0, 1, 2, 5)])


def test_a_carried_value_may_have_a_shape_that_values_say():
    def step(x, c):
        return [c[c < x.sum()], c.sum()]

    outputs = carrying(step, X.shape[0], [X], [V], 1)

    assert_agrees([X, V], outputs, *[(np.ones((n, 2)), RNG.normal(size=k) * 2) for n in (0, 1, 4) for k in (20, 0)])


def test_carried_values_that_change_end_where_a_condition_holds():
    def step(c, d):
        return [T.concatenate([c, c]), d + 1, c.sum(), c.sum() > 50]

    outputs = carrying(step, N, [], [V, V], 1, until=True)

    assert_agrees([V, N], outputs, *[(np.ones(2), n) for n in (0, 1, 3, 70)])


def test_carried_values_take_turns():
    def step(x, c, d):
        return [d, c + x, c * d]

    outputs = carrying(step, X.shape[0], [X], [V, V + 1], 1)

    assert_agrees([X, V], outputs, *[(RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in (0, 1, 2, 5)])


# shapes that depend on values


def test_steps_may_pick_what_is_above_a_limit():
    (h, sums), _ = rg.scan(
        lambda x, h: (h + x[x > 0].sum(), T.exp(x[x > 0.5]).sum()), sequences=X, outputs_info=[T.constant(0.0), None]
    )

    assert_agrees([X], [h, sums, h[-1:]], *[(RNG.normal(size=(n, 4)),) for n in (0, 1, 2, 30)])


def test_records_may_have_a_shape_that_values_say():
    k = T.lscalar("k")
    made, _ = rg.scan(lambda x, k: T.exp(x[:k]), sequences=X, non_sequences=k)
    picked, _ = rg.scan(lambda x: x[(x > 0).nonzero()[0]], sequences=X)
    x = np.abs(RNG.normal(size=(6, 4)))

    assert_agrees([X, k], [made], *[(x, k) for k in (2, 0, 4, 2)], (x[:1], 3), (x[:0], 2))
    assert_agrees([X], [picked], (x,), (x[:1, :2],))


def test_records_of_other_shapes_are_the_users_error():
    picked, _ = rg.scan(lambda x: x[(x > 0).nonzero()[0]], sequences=X)
    f, g = both([X], picked)
    x = np.array([[1.0, 2], [3, -4]])
    messages = []
    for function in (f, g):
        with pytest.raises(ValueError, match="same shape") as found:
            function(x)
        messages.append(str(found.value).splitlines()[0])

    assert messages[0] == messages[1]
    np.testing.assert_allclose(f(np.abs(x)), np.abs(x))


def test_a_branch_may_have_a_shape_that_values_say():
    c = T.bscalar("c")
    y = ifelse(c, V[V > 0], T.exp(V))

    assert_agrees([c, V], [y, y.sum()], *[(c, RNG.normal(size=n)) for n in (5, 0, 3) for c in (1, 0)])


def test_a_condition_may_end_steps_of_such_shapes():
    k = T.lscalar("k")
    (h, r), _ = rg.scan(
        lambda h, k: ([h + T.exp(h[:k]).sum() * 0 + 1, T.exp(h[:k])], until(h.sum() > 20)),
        outputs_info=[V, None],
        non_sequences=k,
        n_steps=N,
    )

    assert_agrees([V, k, N], [h, r, r[-1:]], *[(np.ones(3), k, n) for k in (1, 3) for n in (1, 3, 50)])


# a program as calls


def test_groups_over_short_lines_agree_for_all_ways_of_broadcasting():
    a, b = T.dscalar("a"), T.drow("b")
    outputs = [
        T.tanh(X * a) + T.exp(b) * X - a,
        (X - a) * (X + a),
        T.exp(a) * a + 1,
        X * T.exp(a) + T.log1p(X * X),
        T.switch(X > a, X, a * 2),
    ]
    for shape in ((3, 4), (1, 1), (1, 5), (40, 50), (0, 3)):
        x, row = RNG.normal(size=shape), RNG.normal(size=(1, shape[1]))
        assert_agrees([X, a, b], outputs, (x, np.array(0.3), row), (x.T.copy().T, np.array(-0.3), row))


def test_several_outputs_of_one_group_and_of_what_is_computed_on_the_way():
    y = T.exp(V)
    z = y * V + 1
    assert_agrees([V], [y, z, T.tanh(z) * y, z.sum()], *[(RNG.normal(size=n),) for n in (1, 7, 300, 5000)])


def test_a_state_is_overwritten_by_a_group_that_reads_it_first():
    for n in (1, 5, 500):
        value, found = RNG.normal(size=n), []
        for name in ("cython", "numpy"):
            w = rg.shared(value.copy())
            f = rg.function([V], w.sum(), updates=[(w, T.tanh(w) * V + w * w)], backend=name)
            found.append([f(np.full(n, 0.5)), f(np.full(n, 0.1)), w.get_value()])
        for got, want in zip(*found, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_shapes_may_change_between_calls_of_a_row():
    assert_agrees([V], [T.exp(V) * V, (V + 1).sum()], *[(RNG.normal(size=n),) for n in (3, 100, 3, 0, 5000, 1, 3)])


def test_a_step_that_fails_is_the_users_error_and_the_next_call_works():
    i = T.lvector("i")
    h, _ = rg.scan(lambda i, h: h + V[i], sequences=i, outputs_info=T.constant(0.0), non_sequences=[])
    f, g = both([i, V], h)
    v = RNG.normal(size=3)
    for _ in range(2):
        with pytest.raises(IndexError):
            f(np.array([0, 1, 3]), v)
        np.testing.assert_allclose(f(np.array([0, 2, 1]), v), g(np.array([0, 2, 1]), v))
