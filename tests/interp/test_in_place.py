"""Values are computed in memory that nobody needs any more, and in no other."""

import pickle
import sys
import threading
from copy import deepcopy

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import ShapeError
from refgraph.core.graph import Graph, toposort
from refgraph.core.op import is_declared
from refgraph.ifelse import ifelse
from refgraph.interp.evaluate import evaluate, program
from refgraph.interp.modes import FAST_COMPILE, Mode
from refgraph.interp.plan import Plan
from refgraph.interp.postponed import LARGE, Postponed, make_updates
from refgraph.interp.shared import values_of
from refgraph.testing.cases import cases, symbols

N = LARGE // 8  # elements of a float64 array that is worth overwriting
BYTES = 8 * N
x, y, i = T.dvector("x"), T.dvector("y"), T.lvector("i")


def made(outputs, *arrays, inputs=(x,), mode="FAST_COMPILE"):
    """The outputs of a function, and how many bytes it makes."""
    f = rg.function(inputs, outputs, mode=mode, profile=True, on_unused_input="ignore")
    got = f(*arrays)
    return got, f.profile.allocated


def array(n=N, start=1.0):
    return np.linspace(start, start + 1, n)


# which memory is used again


@pytest.mark.parametrize("n", [3, N])
def test_a_chain_of_elementwise_ops_makes_one_array(n):
    a, b = array(n), array(n, 2.0)
    got, size = made(T.maximum(T.tanh(T.exp(x * y) + y) - 2.0, 0.5), a, b, inputs=[x, y])
    np.testing.assert_array_equal(got, np.maximum(np.tanh(np.exp(a * b) + b) - 2.0, 0.5))
    assert size == 8 * n


def test_either_operand_is_used_again():
    a = array()
    for z in (T.exp(x) - x, x - T.exp(x), T.exp(x) - T.exp(x * 2)):
        got, size = made(z, a)
        np.testing.assert_array_equal(got, z.eval({x: a}, mode="DebugMode"))
        assert size == (2 if "mul" in str(z.owner.inputs[1].owner) else 1) * BYTES


def test_an_operand_that_is_read_twice_by_one_node_is_used_again():
    got, size = made((lambda t: t * t)(T.exp(x)), array())
    np.testing.assert_array_equal(got, np.exp(array()) * np.exp(array()))
    assert size == BYTES


def test_increments_in_a_row_copy_once():
    z = x * 2.0
    for n in range(10):
        z = T.inc_subtensor(z[n : n + 3], 1.0)
        z = T.set_subtensor(z[[n, n]], 5.0)
        z = T.inc_subtensor(z[i], x[:2])
    a, at = array(), np.array([7, 7])
    got, size = made(z, a, at, inputs=[x, i])
    np.testing.assert_array_equal(got, evaluate([z], {x: a, i: at})[0])
    assert size < 1.01 * BYTES


def test_the_first_increment_of_an_input_copies():
    a = array()
    got, size = made(T.inc_subtensor(x[0], 1.0), a)
    assert (a[0], got[0], size) == (1.0, 2.0, BYTES)


def test_a_value_is_not_added_to_itself_in_place():
    z = x * 2.0
    got, size = made(T.inc_subtensor(z[:], z), array())
    np.testing.assert_array_equal(got, array() * 4)
    assert size == 2 * BYTES


def test_a_value_is_not_increased_in_place_by_a_view_of_it():
    z = x * 2.0
    got, size = made(T.inc_subtensor(z[: N // 2], z[::-1][: N // 2]), array())
    np.testing.assert_array_equal(got[: N // 2], array()[: N // 2] * 2 + (array() * 2)[::-1][: N // 2])
    assert size == 2 * BYTES


def test_a_value_of_another_dtype_or_size_is_not_used():
    m = T.dmatrix("m")
    _, size = made(T.exp(x).astype("float32") * np.float32(2), array())
    assert size == 1.5 * BYTES
    _, size = made(T.exp(m).dimshuffle(1, 0) + T.exp(x), np.ones((4, 1)), array(4), inputs=[m, x])
    assert size == 3 * 8 * 4


def test_memory_is_used_again_only_when_no_view_is_read_later():
    for order in (lambda a, b: a - b, lambda a, b: b - a):
        t = T.exp(x)
        got, size = made(order(t + 1.0, t[::-1]), array())
        np.testing.assert_array_equal(got, order(np.exp(array()) + 1, np.exp(array())[::-1]))
        assert size == 2 * BYTES
    t = T.exp(x)
    got, size = made(t[::-1].sum() + (t + 1.0), array())
    np.testing.assert_array_equal(got, np.exp(array())[::-1].sum() + (np.exp(array()) + 1))
    assert size == BYTES  # the view is read before


def test_a_small_view_does_not_keep_what_it_is_a_view_of():
    f = rg.function([x], T.tanh(T.exp(x)[:3]), mode="FAST_COMPILE")
    assert f(array()).base is None


def test_what_is_broadcast_when_it_runs_is_computed_afresh():
    z = T.exp(x) + y
    f = rg.function([x, y], z * 2.0, mode="FAST_COMPILE")
    for n, m in ((1, 5), (5, 1), (5, 5), (1, 1)):
        np.testing.assert_array_equal(f(array(n), array(m)), (np.exp(array(n)) + array(m)) * 2)


def test_what_is_known_to_be_broadcast_is_not_tried(monkeypatch):
    monkeypatch.setattr("refgraph.interp.plan._afresh", None)
    row, m = T.drow("row"), T.dmatrix("m")
    f = rg.function([row, m], T.exp(row) + m, mode="FAST_COMPILE")
    np.testing.assert_array_equal(f(np.zeros((1, 3)), np.ones((2, 3))), np.full((2, 3), 2.0))


def test_what_does_not_fit_is_an_error_as_ever():
    z = T.exp(x) + y  # the line that fails
    f = rg.function([x, y], z * 2.0, mode="FAST_COMPILE")
    with pytest.raises(ShapeError, match="the line that fails") as caught:
        f(array(2), array(3))
    assert caught.value.shapes == ((2,), (3,))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_an_integer_power_that_fails_halfway_has_written_nothing():
    a, b = T.lvector("a"), T.lvector("b")
    with pytest.raises(ValueError, match="negative") as caught:
        Plan(Graph([a, b], [(a + 1) ** (b * 1)]))(np.array([1, 2, 3]), np.array([1, 2, -1]))
    np.testing.assert_array_equal(caught.value.values[0], [2, 3, 4])


@st.composite
def graphs(draw):
    """A random graph over two vectors of one length with views, increments and several outputs."""
    unary = [
        T.tanh,
        lambda a: a + 1.0,
        lambda a: a[::-1],
        lambda a: a.reshape((-1, 2)).T.reshape((-1,)),
        lambda a: T.set_subtensor(a[1:3], 0.5),
        lambda a: T.inc_subtensor(a[[0, 0]], a[:2]),
        lambda a: T.alloc(a[0], 4),
        lambda a: T.fill(a, a.sum()),
        lambda a: T.sort(a),
    ]
    binary = [
        lambda a, b: a + b,
        lambda a, b: T.maximum(a, b),
        lambda a, b: T.switch(a > b, a, b),
        lambda a, b: T.inc_subtensor(a[:2], b[2:]),
        lambda a, b: a * b.sum(),
        lambda a, b: T.concatenate([a[:2], b[2:]]),
        lambda a, b: ifelse(a.sum() > b.sum(), a, b),
    ]
    values = [x, y]
    for _ in range(draw(st.integers(1, 14))):
        a, b = (values[draw(st.integers(0, len(values) - 1))] for _ in range(2))
        values.append(draw(st.sampled_from(unary))(a) if draw(st.booleans()) else draw(st.sampled_from(binary))(a, b))
    return draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_agrees_with_evaluate_to_the_bit_and_writes_to_nothing_else(outputs):
    arrays = [np.array([0.5, -1.0, 2.0, 0.25]), np.array([-0.25, 3.0, 1.0, 0.5])]
    given = [a.copy() for a in arrays]
    want = [np.array(w) for w in evaluate(outputs, {x: arrays[0], y: arrays[1]})]
    for _ in range(2):
        got = Plan(Graph([x, y], outputs))(*given)
        for w, g in zip(want, got, strict=True):
            np.testing.assert_array_equal(g, w)
        for a, b in zip(given, arrays, strict=True):
            np.testing.assert_array_equal(a, b)


def test_constants_are_left_alone():
    c = T.constant(array())
    f = rg.function([x], T.exp(c[::-1] + 0.0 * x[0]) + c, mode="FAST_COMPILE")
    np.testing.assert_array_equal(f(array()), f(array()))
    np.testing.assert_array_equal(c.value, array())


# what steps of loops, and graphs within graphs, are given


def test_loops_leave_what_a_step_is_given_alone():
    a = array(6)
    (h, r), _ = rg.scan(lambda v, h: [T.tanh(h * v) + 1.0, T.exp(h * 2.0) * v], x, [y, None])
    want = evaluate([h, r], {x: a, y: array(3)})
    got = rg.function([x, y], [h, r], mode="FAST_COMPILE")(a, array(3))
    for w, g in zip(want, got, strict=True):
        np.testing.assert_array_equal(g, w)


def test_graphs_within_may_answer_what_they_are_given():
    v = T.dvector("v")
    op = rg.OpFromGraph([v], [v, T.exp(v) * 2.0, v[::-1]])
    t = x + 1.0
    a, b, c = op(t)
    outputs = [a * 3.0 + b, c * 2.0, b * 2.0]
    want = evaluate(outputs, {x: array(5)})
    for w, g in zip(want, Plan(Graph([x], outputs))(array(5)), strict=True):
        np.testing.assert_array_equal(g, w)


# arrays that somebody keeps


def test_what_an_op_of_a_user_keeps_is_not_written_into():
    kept = []

    @rg.as_op([T.dvector], [T.dvector])
    def spy(a):
        kept.append(a)
        kept.append(a * 2)
        return kept[-1]

    (h, _), _ = rg.scan(lambda n, h: [T.exp(spy(h * 0.5)) - 1.0, spy(T.exp(h) * 0.5) + 1.0], T.arange(3), [x, None])
    op = rg.OpFromGraph([x], [spy(x + 1.0)])
    printed = rg.printing.Print("t", global_fn=lambda op, a: kept.append(a))
    z = T.exp(spy(x * 2.0) + 1.0) + T.exp(op(x * 3.0) * 2.0) + T.exp(printed(x * 4.0) + 1.0)
    f = rg.function([x], [z, h], mode="FAST_COMPILE")
    f(array(4))
    a = array(4)
    first = [k for k in kept if k.shape == (4,)]
    copies = [k.copy() for k in first]
    f(a)
    for k, c in zip(first, copies, strict=True):
        np.testing.assert_array_equal(k, c)
    assert any(np.array_equal(k, a * 2.0) for k in kept)
    assert any(np.array_equal(k, (a * 3.0 + 1.0) * 2) for k in kept)
    assert any(np.array_equal(k, a * 4.0) for k in kept)
    assert any(np.array_equal(k, a * 0.5) for k in kept)


def test_a_mode_that_watches_sees_values_as_they_were():
    seen = []

    class Spy(Mode):
        def watch(self, node, kernel):
            def watched(*arrays):
                seen.append(kernel(*arrays))
                return seen[-1]

            return watched

    assert not FAST_COMPILE.watches
    assert Spy().watches
    rg.function([x], T.exp(x * 2.0) + 1.0, mode=Spy(optimizer="fast_compile"))(array(3))
    assert len({id(a) for a in seen}) == len(seen) >= 3


# kernels


def nodes_of_cases():
    """The applications that samples are made of, with a name and values for what they depend on."""
    for case in cases():
        variables = case.variables()
        try:
            outputs = case.sample.build(*variables)
        except TypeError:  # a sample that takes arrays
            continue
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        values = dict(zip(variables, map(np.asarray, case.sample.inputs), strict=True))
        for node in toposort([out for out in outputs if hasattr(out, "owner")], values):
            yield case.id, node, values


def test_kernels_answer_the_same_in_the_memory_of_an_input():
    tried = set()
    for id, node, values in nodes_of_cases():
        if len(node.outputs) > 1 or not node.op.reuses(node):
            continue
        with np.errstate(all="ignore"):
            arrays = [np.asarray(a) for a in evaluate(node.inputs, values)]
            kernel = node.op.bind(node, program)
            want = kernel(*arrays)
            for number in node.op.reuses(node):
                if arrays[number].ndim and (arrays[number].dtype, arrays[number].shape) == (want.dtype, want.shape):
                    copies = {v: a.copy() for v, a in zip(node.inputs, arrays, strict=True)}
                    fresh = [copies[v] for v in node.inputs]
                    before = [a.copy() for a in fresh]
                    got = kernel(*fresh, out=fresh[number])
                    np.testing.assert_array_equal(got, want, err_msg=id)
                    assert got is fresh[number] or not np.shares_memory(got, fresh[number]), id
                    for v, a, b in zip(node.inputs, fresh, before, strict=True):
                        if v is not node.inputs[number]:
                            np.testing.assert_array_equal(a, b, err_msg=id)
                    tried.add(str(node.op.name))
    assert {"add", "tanh", "maximum", "erf", "set_subtensor", "inc_subtensor"} <= tried


def test_no_op_answers_memory_that_it_keeps():
    tried = set()
    for id, node, values in nodes_of_cases():
        if node.op not in tried and not node.op.views:
            tried.add(node.op)
            arrays = evaluate(node.inputs, values)
            kernel = node.op.bind(node, program)
            with np.errstate(all="ignore"):
                once, again = ([out] if len(node.outputs) == 1 else out for out in (kernel(*arrays), kernel(*arrays)))
            for a in filter(lambda a: isinstance(a, np.ndarray), once):
                assert not any(np.may_share_memory(a, b) for b in (*arrays, *again)), id
    assert len(tried) > 500


@pytest.mark.parametrize("at", [[0, 9], [9, 0], [0, -5]])
@pytest.mark.parametrize("shape", [(4,), (4, 3)])
@pytest.mark.parametrize("options", [{}, {"ignore_duplicates": True}, {"set_instead_of_inc": True}], ids=str)
def test_an_increment_outside_raises_before_it_writes(at, shape, options):
    a = np.ones(shape)
    (m,) = symbols([a])
    node = T.inc_subtensor(m[i], 1.0, **options).owner
    kernel = node.op.bind(node, program)
    with pytest.raises(IndexError):
        kernel(a, np.array(1.0), np.array(at), out=a)
    assert (a == 1).all()
    assert not node.op.is_safe(a, a, np.array(1.0), np.array(at))
    assert node.op.is_safe(a, a, np.array(1.0), np.array([0, 3]))
    assert not node.op.is_safe(a, a, np.ones(7), np.array([0, 3]))
    assert not node.op.is_safe(np.asfortranarray(np.ones((4, 3))), a, np.array(1.0), np.array([0])) or len(shape) == 1


def test_an_array_in_another_order_is_copied():
    (m,) = symbols([np.ones((4, 3))])
    node = T.inc_subtensor(m[i], 1.0).owner
    f_order, at = np.asfortranarray(np.arange(12.0).reshape(4, 3)), np.array([1, 1])
    got = node.op.bind(node, program)(f_order, np.array(1.0), at, out=f_order)
    np.testing.assert_array_equal(got[1], [5.0, 6.0, 7.0])
    np.testing.assert_array_equal(f_order[1], [3.0, 4.0, 5.0])


def test_what_is_not_declared_is_not_trusted():
    class Mine(rg.Op):
        pass

    assert not is_declared(Mine())
    assert all(is_declared(node.op) for _, node, _ in nodes_of_cases())


# shared variables


def address(s):
    """Where the value lies; nobody holds it."""
    return s.get_value(borrow=True).ctypes.data


def large(value=1.0, name=None):
    return rg.shared(np.full(N, value), name)


@pytest.mark.parametrize(
    "new",
    [
        lambda w: w * 0.5,
        lambda w: w + T.fill(w, 2.0),
        lambda w: T.inc_subtensor(w[i], 2.0),
        lambda w: T.set_subtensor(w[1:5], 2.0),
        lambda w: T.inc_subtensor(w[::2], w.max()),
    ],
    ids=["decay", "broadcast", "rows", "slice", "every other"],
)
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_large_value_is_updated_where_it_is(new, mode):
    w = large()
    want = np.full(N, 1.0)
    f = rg.function([i], updates={w: new(w)}, on_unused_input="ignore", mode=mode)
    before = address(w)
    for _ in range(3):
        (want,) = evaluate([new(w)], {w: want, i: np.array([1, 1, 3])})
        f(np.array([1, 1, 3]))
        np.testing.assert_array_equal(w.get_value(), want)
        assert address(w) == before


def test_an_update_takes_the_memory_of_what_it_is_computed_from_where_that_is_free():
    w, g = large(), T.dvector("g")
    f = rg.function([g], updates={w: w - 0.1 * g}, mode="FAST_COMPILE", profile=True)
    f(array())
    np.testing.assert_array_equal(w.get_value(), 1.0 - 0.1 * array())
    assert f.profile.allocated == BYTES


def test_small_values_are_replaced():
    w = rg.shared(np.ones(3))
    f = rg.function([], updates={w: T.inc_subtensor(w[0], 1.0)}, profile=True)
    f()
    assert w.get_value().tolist() == [2.0, 1.0, 1.0]
    assert f.profile.allocated == 24


def test_an_array_that_somebody_holds_is_not_written_into():
    mine = np.ones(N)
    for w, held in (
        (large(), lambda w: w.get_value(borrow=True)),
        (large(), lambda w: w.get_value(borrow=True)[::2]),
        (large(), lambda w: w.get_value(borrow=True).reshape(2, -1).T),
        (large(), lambda w: rg.function([], rg.Out(w, borrow=True))()),
        (rg.shared(mine, borrow=True), lambda w: mine),
        (rg.shared(np.ones(2 * N)[::2], borrow=True), lambda w: w.get_value(borrow=True).base),
        (large(), lambda w: memoryview(w.get_value(borrow=True))),
    ):
        f = rg.function([], updates={w: w + 1.0})
        array = held(w)
        f()
        f()
        assert (np.asarray(array) == 1.0).all()
        assert (w.get_value() == 3.0).all()
        before = address(w)
        f()
        assert address(w) == before  # the array that the first call has made is nobody else's


def test_the_memory_of_a_larger_array_is_not_written_into():
    whole = np.zeros(2 * N)
    w = rg.shared(whole[:N], borrow=True)
    rg.function([], updates={w: w + 1.0})()
    assert not whole.any()


def test_outputs_and_updates_are_of_the_old_value():
    a, b = large(1.0), large(2.0)
    f = rg.function(
        [],
        [a, a[::2], a.sum(), rg.Out(b[1:], borrow=True)],
        updates=[
            (a, T.inc_subtensor(a[:5], b[:5])),
            (b, T.inc_subtensor(b[:5], a[:5])),
        ],
    )
    whole, half, total, lent = f()
    assert (whole == 1).all()
    assert (half == 1).all()
    assert total == N
    assert (lent == 2).all()
    assert a.get_value()[:6].tolist() == [3.0] * 5 + [1.0]
    assert b.get_value()[:6].tolist() == [3.0] * 5 + [2.0]


def test_updates_in_a_circle():
    a, b, c = large(1.0), large(2.0), large(3.0)
    f = rg.function([], updates=[(a, a + b), (b, b + c), (c, T.set_subtensor(c[:1], a[:1]))])
    f()
    assert (a.get_value()[1], b.get_value()[1], c.get_value()[:2].tolist()) == (3.0, 5.0, [1.0, 3.0])
    f()
    assert (a.get_value()[1], b.get_value()[1], c.get_value()[:2].tolist()) == (8.0, 8.0, [3.0, 3.0])


def test_two_variables_of_one_array():
    value = np.ones(N)
    a, b = rg.shared(value, borrow=True), rg.shared(value, borrow=True)
    del value
    rg.function([], updates=[(a, a + 1.0), (b, b + 2.0)])()
    assert (a.get_value() == 2).all()
    assert (b.get_value() == 3).all()


def test_two_inputs_of_one_container():
    w = large()
    v = T.dvector("v")
    f = rg.function([rg.In(v, value=w)], [v.sum()], updates={w: w + v})
    assert f() == [N]
    assert (w.get_value() == 2).all()


def test_the_state_of_an_input_is_updated_where_it_is():
    state = T.dvector("state")
    f = rg.function([rg.In(state, value=np.ones(N), update=T.inc_subtensor(state[0], 1.0))], state.sum())
    before = f.container[state].value.ctypes.data
    assert [float(f()), float(f())] == [N, N + 1.0]
    assert f.container[state].value.ctypes.data == before
    given = np.zeros(N)
    assert f(state=given) == 0
    assert not given.any()
    assert f[state].sum() == 1


def test_what_is_given_instead_of_a_state_is_not_overwritten():
    held = rg.shared(np.ones(N)).container
    state, v = T.dvector("state"), T.dvector("v")
    f = rg.function([rg.In(state, value=held, update=state + v, implicit=False), rg.In(v, value=held)])
    given = np.zeros(N)
    f(state=given)
    assert not given.any()
    assert (held.value == 1).all()
    f()
    assert (held.value == 2).all()


def test_a_call_that_raises_has_overwritten_nothing():
    a, b = large(), rg.shared(np.ones((N, 1)))
    j = T.lvector("j")
    f = rg.function([i, j], updates=[(a, T.inc_subtensor(a[i], 1.0)), (b, T.inc_subtensor(b[j], 1.0))])
    for wrong in ([[0], [N]], [[N], [0]]):
        with pytest.raises(IndexError):
            f(*map(np.array, wrong))
        assert (a.get_value() == 1).all()
        assert (b.get_value() == 1).all()
    f(np.array([0]), np.array([0]))
    assert (a.get_value()[0], b.get_value()[0, 0]) == (2, 2)


def test_what_cannot_be_overwritten_is_computed_before_others_are():
    def fails(a, out=None):
        raise MemoryError

    a, b = large(), large()
    held = b.get_value(borrow=True)
    late = [
        Postponed(lambda a, out: np.add(a, 1.0, out=out), (a.container.storage[0],), 0),
        Postponed(fails, (held,), 0),
    ]
    with pytest.raises(MemoryError):
        make_updates([a.container, b.container], late)
    (value,) = a.container.storage
    assert (value == 1).all()
    assert a.container.taken is None


def test_what_would_keep_more_memory_than_it_saves_is_not_postponed():
    w = x.type("w")
    for count, postponed in ((5, True), (2 * N, False)):
        rows = T.inc_subtensor(w[i], T.exp(T.fill(i, 0.0)))
        plan = Plan(Graph([w, i], [rows]), states={0: 0})
        assert plan.postpones == {0}
        assert isinstance(plan(np.ones(N), np.zeros(count, int))[0], Postponed) == postponed


def test_what_a_postponed_update_reads_is_not_overwritten_before():
    w, v = large(), large()
    t = T.exp(x)
    f = rg.function([x], updates=[(w, w + t), (v, t * 2.0)], mode="FAST_COMPILE")
    f(array())
    np.testing.assert_array_equal(v.get_value(), np.exp(array()) * 2)
    np.testing.assert_array_equal(w.get_value(), 1 + np.exp(array()))


def test_a_new_value_that_is_read_is_not_postponed():
    w = large()
    new = w + 1.0
    total = rg.function([], new.sum(), updates={w: new}, mode="FAST_COMPILE")
    whole = rg.function([], new, updates={w: new}, mode="FAST_COMPILE")
    for n in (2.0, 4.0):
        assert total() == n * N
        got = whole()
        assert (got == n + 1).all()
        assert (w.get_value() == n + 1).all()
        assert not np.shares_memory(got, w.get_value(borrow=True))


def test_an_inner_call_that_updates_the_same_variable():
    k = large(0.0)
    inner = rg.function([], k.sum(), updates={k: k + 1.0})

    @rg.as_op([T.dvector], [T.dscalar])
    def calls(v):
        return np.asarray(inner() + v.sum())

    outer = rg.function([], calls(k), updates={k: k + 10.0})
    assert outer() == 0
    assert (k.get_value() == 10).all()


def test_checking_modes_replace():
    for mode in ("DebugMode", "NanGuardMode"):
        w = large()
        f = rg.function([], updates={w: w + 1.0}, mode=mode)
        before = address(w)
        f()
        assert address(w) != before
        assert (w.get_value() == 2).all()


def test_copies_and_pickles_hold_arrays_of_their_own():
    w = large()
    f = rg.function([], updates={w: w + 1.0})
    g, h = deepcopy(f), pickle.loads(pickle.dumps(f))
    f()
    assert (w.get_value() == 2).all()
    for other in (g, h):
        (v,) = other.get_shared()
        assert (v.get_value() == 1).all()
        other()
        assert (v.get_value() == 2).all()
    assert (w.get_value() == 2).all()


# threads


@pytest.fixture
def switching():
    """Threads switch as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(*works):
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[work], daemon=True) for work in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert not failures, failures


@pytest.mark.usefixtures("switching")
def test_readers_see_all_of_an_update_or_nothing():
    a, b, c = large(0.0), large(0.0), rg.shared(0.0)
    step = rg.function([], updates={a: a + 1.0, b: b + 1.0, c: c + 1.0})
    one, both = rg.function([], [a.min(), a.max()]), rg.function([], [a.min(), a.max(), b.min(), b.max(), c])
    steps, start = 300, address(a)

    def write():
        for _ in range(steps):
            step()

    def read(f):
        def run():
            last = 0.0
            while last < 2 * steps:
                seen = {float(v) for v in f()}
                assert len(seen) == 1, seen
                assert last <= min(seen)
                last = min(seen)

        return run

    def get():
        last = 0.0
        while last < 2 * steps:
            value = a.get_value()
            assert value.min() == value.max() >= last
            last = value[0]

    in_threads(write, write, read(one), read(both), get)
    assert start


def test_readers_wait_while_a_value_is_overwritten():
    a, b = large(1.0), large(2.0)
    reads = [
        lambda: a.get_value()[0],
        lambda: a.get_value(borrow=True)[0],
        lambda: a.container.value[0],
        lambda: a.container.copy().value[0],
        lambda: deepcopy(a.container).value[0],
        lambda: repr(a.container)[8],
        lambda: rg.function([], a[0])(),
        lambda: rg.function([], a[0] + b[0] * 0.0)(),
        lambda: rg.function([rg.In(x, value=a)], x[0])(),
        lambda: rg.function([rg.In(x, value=a), rg.In(y, value=b)], x[0] + 0.0 * y[0])(),
    ]
    started, go = threading.Event(), threading.Event()

    def slowly(value, out):
        started.set()
        go.wait(60)
        out[:] = 5.0
        return out

    def write():
        with a.container.lock:
            make_updates([a.container], [Postponed(slowly, (a.container.storage[0],), 0)])

    writer = threading.Thread(target=write)
    writer.start()
    started.wait(60)
    seen = []
    readers = [threading.Thread(target=lambda r=r: seen.append(float(r()))) for r in reads]
    for t in readers:
        t.start()
    for t in readers:
        t.join(0.02)
        assert t.is_alive()
    assert b.get_value()[0] == 2
    go.set()
    for t in [writer, *readers]:
        t.join(60)
    assert seen == [5.0] * len(reads)


def test_who_overwrites_a_value_may_read_it():
    w = large(1.0)
    c = w.container
    with c.lock, c.writing:
        assert c.take((c.storage[0],), 0)
        assert w.get_value()[0] == 1
        assert rg.function([], w[0] + w[1])() == 2
        assert values_of([c, c])[1][0] == 1
        c.give_back()
    assert w.get_value()[0] == 1


def test_a_value_that_is_held_is_not_taken():
    w = large(1.0)
    c = w.container
    held = c.storage[0]
    assert not c.take((held,), 0)
    del held
    assert not c.take((np.ones(N),), 0)
    assert c.storage[0][0] == 1
