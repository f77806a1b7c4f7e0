"""Calls of Python in the middle of loops, branches and subgraphs: what is shown and raised, and who is told."""

import gc
import threading
import weakref

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import FallbackError, Scan
from refgraph.ifelse import ifelse
from refgraph.printing import Print
from refgraph.scan_module import until
from refgraph_cython import backend

X, V, N, C = T.dmatrix("x"), T.dvector("v"), T.lscalar("n"), T.bscalar("c")
RNG = np.random.default_rng(0)


def shown(seen, x, message="x"):
    """`x`, whose values are added to a list when they are computed."""
    return Print(message, global_fn=lambda op, value: seen.append((op.message, value.copy())))(x)


@rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
def doubled(x):
    return 2 * x


@rg.as_op(itypes=[T.dvector, T.lscalar], otypes=[T.dvector])
def extended(x, n):
    return np.concatenate([x, np.full(n, 0.5)])


class Squared(rg.Op):
    """An op with a meaning and a derivative, and no kernel."""

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return x * x

    def vjp(self, node, cotangents):
        return [2 * node.inputs[0] * cotangents[0]]


def loops_in(f):
    """The rows of loops in a report; each must run natively."""
    rows = [row for row in f.report().rows if isinstance(row.node.op, Scan)]
    assert rows
    assert all(row.where == "cython" for row in rows)
    return rows


def assert_agrees(inputs, outputs, *calls, seen=None):
    """Values, and what is shown, are the interpreter's; two calls of a shape after another take no memory."""
    f, g = [rg.function(inputs, outputs, backend=name) for name in (backend, "numpy")]
    assert f.report().interpreted
    native = f.maker.program.program
    native.otherwise = None  # nothing else may compute a call
    seen = [] if seen is None else seen
    for arguments in calls:
        f(*arguments)
        before = native.counters
        seen.clear()
        found, said = f(*arguments), list(seen)
        assert native.counters == before or not native.keeps
        seen.clear()
        wanted = g(*arguments)
        for got, want in zip(found, wanted, strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
        assert [message for message, _ in said] == [message for message, _ in seen]
        for (_, got), (_, want) in zip(said, seen, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    return f


# what is computed, and shown


@pytest.mark.parametrize("taps", [[-1], [-2, -1]])
def test_what_a_step_prints_is_printed_once_a_step_and_in_order(taps):
    seen = []
    initial = V if taps == [-1] else T.stack([V, V + 1])
    h, _ = rg.scan(
        lambda x, *h: T.tanh(shown(seen, x + sum(h), "a")) + shown(seen, h[0], "b")[::-1],
        sequences=X,
        outputs_info=dict(initial=initial, taps=taps),
    )
    calls = [(RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in (4, 0, 1, 9)]

    f = assert_agrees([X, V], [h, h[-1:], T.exp(h).sum(0)], *calls, seen=seen)
    loops_in(f)


def test_what_is_shown_of_a_number_and_of_an_integer():
    seen = []
    (a, b), _ = rg.scan(
        lambda x, a, b: (a + shown(seen, x.sum(), "a"), shown(seen, b, "b") + 1),
        sequences=X,
        outputs_info=[T.constant(0.0), T.constant(3)],
    )

    assert_agrees([X], [a, b], *[(RNG.normal(size=(n, 3)),) for n in (3, 0, 1)], seen=seen)


def test_gradients_go_back_through_what_python_computes():
    seen = []
    h, _ = rg.scan(
        lambda x, h, w: T.tanh(Squared()(x) + shown(seen, h) * w), sequences=X, outputs_info=V, non_sequences=V * 2
    )
    cost = (h**2).sum()
    calls = [(0.3 * RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in (1, 5)]

    f = assert_agrees([X, V], [cost, *T.grad(cost, [X, V])], *calls, seen=seen)
    assert {row.node.op.name for row in loops_in(f)} == {"scan", "grad of scan"}


def test_a_gradient_shows_what_it_computes_again():
    class Noted(Squared):
        def vjp(self, node, cotangents):
            return [shown(seen, cotangents[0], "back") * node.inputs[0]]

    seen = []
    h, _ = rg.scan(lambda h: Noted()(h) * 0.5, outputs_info=V, n_steps=N)

    f = assert_agrees([V, N], [T.grad(h.sum(), V)], *[(np.full(3, 0.9), n) for n in (1, 4)], seen=seen)
    assert len(loops_in(f)) == 2


def test_loops_within_loops_call_python_in_each_step():
    seen = []

    def inner(x, s):
        h, _ = rg.scan(lambda y, h: h * shown(seen, y, "inner") + s, sequences=x, outputs_info=s)
        return shown(seen, h[-1] * 0.5, "outer"), doubled(h)

    (last, every), _ = rg.scan(inner, sequences=X, outputs_info=[T.constant(0.3), None])

    f = assert_agrees([X], [last, every], *[(RNG.normal(size=(n, m)),) for n in (0, 1, 4) for m in (1, 3)], seen=seen)
    loops_in(f)
    assert {(row.node.op.name, row.depth) for row in f.report().interpreted} == {
        ("print", 1), ("print", 2), ("doubled", 1),
    }  # fmt: skip


def test_a_condition_to_end_may_be_pythons():
    seen = []
    h, _ = rg.scan(lambda h: (h * 1.5, until(shown(seen, (h * 1.5).sum()) > 10)), outputs_info=V, n_steps=N)

    f = assert_agrees([V, N], [h, h[-1:], h.shape[0]], *[(np.ones(3), n) for n in (1, 3, 70)], seen=seen)
    loops_in(f)


def test_records_may_have_a_shape_that_python_says():
    made, _ = rg.scan(lambda x, n: [extended(x, n), extended(x, n).sum()], sequences=X, non_sequences=N)

    assert_agrees([X, N], made, *[(RNG.normal(size=(n, 2)), k) for n in (1, 3) for k in (0, 2)], (np.ones((0, 2)), 1))


def test_what_python_computes_may_have_another_shape_in_each_step():
    sums, _ = rg.scan(lambda n, v: T.exp(extended(v, n)[1:]).sum(), sequences=T.arange(N), non_sequences=V)

    assert_agrees([V, N], [sums], *[(np.ones(3), n) for n in (0, 1, 5)])


def test_a_state_that_python_makes_another_shape_of_is_the_users_error():
    h, _ = rg.scan(lambda n, h: extended(h, n), sequences=T.arange(N), outputs_info=V)
    said = []
    for name in ("cython", "numpy"):
        f = rg.function([V, N], h, backend=name)
        with pytest.raises(ValueError, match="keeps its shape") as found:
            f(np.ones(2), 4)
        said.append(str(found.value).splitlines()[:4])
        np.testing.assert_allclose(f(np.ones(2), 1), np.ones((1, 2)))

    assert said[0] == said[1]


def test_what_python_answers_may_lie_in_any_way():
    @rg.as_op(itypes=[T.dmatrix], otypes=[T.dmatrix])
    def turned(x):
        return np.asfortranarray(x)[::-1]

    h, _ = rg.scan(lambda h: [turned(h) * 0.5, turned(h)[0]], outputs_info=[X, None], n_steps=N)

    assert_agrees([X, N], h, *[(RNG.normal(size=(3, 2)), n) for n in (1, 4)])


def updating(name):
    count, total = rg.shared(0), rg.shared(np.zeros(3))

    def step(x, h):
        return h + x * total, {count: count + 1, total: doubled(total) + x}

    h, updates = rg.scan(step, sequences=X, outputs_info=V)
    f = rg.function([X, V], h, updates=updates, backend=name)
    x, v = np.arange(12.0).reshape(4, 3), np.ones(3)
    return f, [f(x, v), f(x[:1], v), f(x[:0], v), count.get_value(), total.get_value()]


def test_steps_update_shared_variables_with_what_python_computes():
    f, found = updating("cython")
    loops_in(f)
    for got, want in zip(found, updating("numpy")[1], strict=True):
        np.testing.assert_allclose(got, want)


def test_only_the_branch_that_is_taken_calls_python_and_does_so_in_each_call():
    seen = []
    y = ifelse(C, T.exp(shown(seen, V * 2, "then")), T.log(shown(seen, V + 3, "else")))

    f = assert_agrees([C, V], [y, y.sum()], *[(c, np.ones(n)) for n in (3, 0) for c in (1, 0)], seen=seen)
    assert [row.depth for row in f.report().interpreted] == [1, 1]


def test_a_branch_calls_python_in_each_call_though_all_of_it_follows_from_lengths():
    seen = []
    n = V.shape[0]
    y = ifelse(n > 2, shown(seen, n, "long"), shown(seen, n + 1, "short"))

    assert_agrees([V], [y * 2, V * y], (np.ones(3),), (np.ones(1),), seen=seen)


def test_branches_within_steps_call_python():
    seen = []
    h, _ = rg.scan(
        lambda x, h: ifelse(x.sum() > 0, h + shown(seen, x, "up"), h - shown(seen, x, "down")),
        sequences=X,
        outputs_info=V,
    )

    f = assert_agrees([X, V], [h], *[(RNG.normal(size=(n, 2)), np.ones(2)) for n in (6, 0)], seen=seen)
    loops_in(f)


def test_of_a_subgraph_python_runs_what_has_no_kernel():
    seen = []
    a, b = T.dvectors("a", "b")
    inner = rg.OpFromGraph([a], [ifelse(a.sum() > 0, shown(seen, a * 2), a)])
    outer = rg.OpFromGraph([a, b], [inner(a) * b, doubled(b)])

    f = assert_agrees([V, C], outer(V, V + C), (np.ones(3), 1), (-np.ones(2), 0), seen=seen)
    assert [row.node.op.name for row in f.report().interpreted] == ["print", "doubled"]


def test_values_that_are_no_arrays_go_from_one_node_to_another_within_a_step():
    text = rg.generic

    @rg.as_op(itypes=[T.dvector], otypes=[text])
    def written(x):
        return ",".join(map(str, x))

    @rg.as_op(itypes=[text], otypes=[T.dvector])
    def read(x):
        return np.array([float(part) for part in x.split(",")])

    h, _ = rg.scan(lambda h: read(written(h * 0.5)), outputs_info=V, n_steps=N)

    assert_agrees([V, N], [h], (np.ones(3), 4), (np.ones(1), 1))


def test_calls_in_which_something_is_broadcast_call_python_too():
    seen = []
    h, _ = rg.scan(lambda x, h: T.tanh(x * h) + h, sequences=X, outputs_info=V)
    g, _ = rg.scan(lambda x, h: T.tanh(shown(seen, x) * h) + h, sequences=X, outputs_info=V)
    cost = shown(seen, h.sum()) + g.sum()
    calls = [(RNG.normal(size=(3, m)), RNG.normal(size=2)) for m in (2, 1)]
    f = rg.function([X, V], T.grad(cost, [X, V]), backend=backend)
    wanted = rg.function([X, V], T.grad(cost, [X, V]), backend="numpy")

    for arguments in calls:
        for got, want in zip(f(*arguments), wanted(*arguments), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_loops_that_give_their_memory_back_call_python_too():
    seen = []
    h, _ = rg.scan(lambda x, h: T.tanh(shown(seen, x + h)), sequences=X, outputs_info=V)
    with rg.config.change_flags(allow_gc=True):
        f = assert_agrees([X, V], [h[-1:], h], *[(RNG.normal(size=(n, 3)), np.ones(3)) for n in (4, 2)], seen=seen)

    assert f.maker.program.program.counters["bytes"] == 0


# who is told


def test_the_report_names_what_python_runs_within_a_step():
    h, _ = rg.scan(lambda h: T.tanh(doubled(shown([], h))), outputs_info=V, n_steps=3)
    f = rg.function([V], h, backend=backend)

    assert [(row.node.op.name, row.why, row.depth) for row in f.report().interpreted] == [
        ("print", "it calls a Python function, to show the value", 1),
        ("doubled", "no kernel for this op", 1),
    ]
    assert "2 on the interpreter" in str(f.report())
    with pytest.raises(FallbackError, match="doubled: no kernel for this op"):
        rg.function([V], h, backend=backend, strict=True)


def test_a_profile_counts_the_calls_of_a_step():
    h, _ = rg.scan(lambda x, h: T.tanh(doubled(x) + h), sequences=X, outputs_info=V)
    f = rg.function([X, V], h, backend=backend, profile=True)
    for _ in range(2):
        f(np.ones((5, 4)), np.ones(4))

    runs = {str(node.op): cost for node, cost in f.profile.nodes.items()}
    assert (runs["scan"].count, runs["doubled"].count) == (2, 10)
    assert all(cost.seconds > 0 for cost in runs.values())


class Failing:
    """What an op calls: it fails when it has been called so often."""

    def __init__(self, error, after):
        self.error, self.after, self.calls = error, after, 0

    def __call__(self, x):
        self.calls += 1
        if self.calls > self.after:
            raise self.error
        return x + 1


def failing(function):
    return rg.as_op(itypes=[T.dvector], otypes=[T.dvector])(lambda x: function(x))


def said_by(error):
    """All that a user reads of an error, but for what ran it."""
    return [str(error), *getattr(error, "__notes__", ())]


@pytest.mark.parametrize("error", [KeyError("no"), ValueError("shapes (2,) and (3,) do not fit"), IndexError("far")])
def test_an_error_in_a_step_says_what_the_interpreter_says(error):
    said = []
    for name in ("cython", "numpy"):
        function = Failing(type(error)(*error.args), 3)
        op = failing(function)
        h, _ = rg.scan(lambda h, op=op: T.tanh(op(h * 0.5)), outputs_info=V, n_steps=5)
        f = rg.function([V], h, backend=name)
        with pytest.raises(type(error)) as found:
            f(np.zeros(2))
        said.append(said_by(found.value))
        assert function.calls == 4  # not once more to find out what is to be said
        function.after = 1000
        np.testing.assert_allclose(f(np.zeros(2))[-1], f(np.zeros(2))[4])

    assert said[0] == said[1]
    assert any("step 3 of 5" in line for line in "\n".join(said[0]).splitlines())


def test_an_error_in_a_loop_within_a_branch_within_a_loop_says_all_steps():
    said = []
    for name in ("cython", "numpy"):
        op = failing(Failing(ZeroDivisionError("none"), 5))

        def step(x, s, op=op):
            h, _ = rg.scan(lambda h: op(h), outputs_info=s, n_steps=4)
            return ifelse(x.sum() > 0, h[-1] * 0.5, s)

        h, _ = rg.scan(step, sequences=X, outputs_info=V)
        f = rg.function([X, V], h, backend=name)
        with pytest.raises(ZeroDivisionError) as found:
            f(np.array([[1.0], [-1], [2]]), np.ones(2))
        said.append(said_by(found.value))

    assert said[0] == said[1]
    assert [line for line in said[0] if line.startswith("in ")] == [
        f"in step {k} of {n} (the first is step 0) of scan" for k, n in ((1, 4), (2, 3))
    ]


def test_an_error_keeps_values_of_its_own():
    h, _ = rg.scan(lambda h: failing(Failing(IndexError("far"), 1))(h), outputs_info=V, n_steps=3)
    f = rg.function([V], h, backend=backend)
    with pytest.raises(IndexError) as found:
        f(np.ones(2))
    f.free()

    np.testing.assert_array_equal(found.value.values[0], [2, 2])
    assert found.value.values[0].flags.owndata


def test_an_update_is_not_made_where_a_step_raises():
    function = Failing(KeyError("no"), 2)
    op, total = failing(function), rg.shared(np.zeros(2))
    h, updates = rg.scan(lambda h: (h, {total: op(total)}), outputs_info=V, n_steps=4)
    f = rg.function([V], h, updates=updates, backend=backend)
    with pytest.raises(KeyError):
        f(np.ones(2))

    np.testing.assert_array_equal(total.get_value(), 0)
    function.after = 1000
    f(np.ones(2))
    np.testing.assert_array_equal(total.get_value(), 4)


# calls at one time, and what they leave


def test_threads_share_a_function_whose_steps_call_python():
    h, _ = rg.scan(lambda x, h: T.tanh(doubled(x) + h), sequences=X, outputs_info=V)
    f, g = [rg.function([X, V], h, backend=name) for name in ("cython", "numpy")]
    calls = [(RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in range(1, 7)]
    wanted = [g(*arguments) for arguments in calls]
    wrong = []

    def work():
        for _ in range(50):
            for arguments, want in zip(calls, wanted, strict=True):
                if not np.allclose(f(*arguments), want):
                    wrong.append(arguments)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert not wrong


def test_a_step_may_call_its_own_function():
    @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
    def again(x):
        return f(x - 2)[-1] if x[0] > 0 else x

    h, _ = rg.scan(lambda h: again(h) + 1, outputs_info=V, n_steps=2)
    f = rg.function([V], h, backend=backend)
    found = f(np.full(2, 3.0))
    f = rg.function([V], h, backend="numpy")

    np.testing.assert_array_equal(found, f(np.full(2, 3.0)))


def test_a_function_that_its_own_steps_call_is_freed():
    class Held:
        """What can be referred to weakly."""

    def made():
        held = Held()

        @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
        def noted(x):
            return x + (held is not None and f is not None)

        h, _ = rg.scan(lambda h: noted(h), outputs_info=V, n_steps=2)
        f = rg.function([V], noted(h[-1]), backend=backend)
        np.testing.assert_array_equal(f(np.ones(2)), 4)
        return weakref.ref(held)

    ref = made()
    gc.collect()

    assert ref() is None


def test_where_no_step_is_taken_what_a_step_on_zeros_raises_is_not_told():
    @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
    def picked(x):
        if not x.any():
            raise KeyError("no")
        return x[x > 0]

    made, _ = rg.scan(lambda x: picked(x), sequences=X)
    f = rg.function([X, V], [made, X[0] + V], backend=backend)

    with pytest.raises(IndexError):
        f(np.ones((0, 3)), np.ones(3))
    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones((2, 3)), np.ones(2))
    assert f(np.ones((2, 3)), np.ones(3))[0].shape == (2, 3)
    assert rg.function([X], made, backend=backend)(np.ones((0, 3))).shape == (0, 0)


def test_nothing_of_a_call_is_kept_that_python_made():
    made = []

    class Kept(np.ndarray):
        """An array that can be referred to weakly."""

    @rg.as_op(itypes=[T.dvector], otypes=[T.dvector])
    def noted(x):
        result = (2 * x).view(Kept)
        made.append(weakref.ref(result))
        return result

    h, _ = rg.scan(lambda h: noted(h), outputs_info=V, n_steps=3)
    rg.function([V], h, backend=backend)(np.ones(2))

    assert len(made) == 3
    assert all(ref() is None for ref in made)
