"""Loops and their derivatives where single cases say it best: connection, ends, memory, and how much is computed."""

import tracemalloc

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import DisconnectedInputError, GraphTypeError, NullTypeGradError
from refgraph.core.graph import toposort
from refgraph.core.op import Op, is_zero
from refgraph.core.types import generic
from refgraph.gradient import Rop, consider_constant, disconnected_grad, grad, undefined_grad, verify_grad, zero_grad
from refgraph.ifelse import ifelse
from refgraph.interp.loops import map as map_
from refgraph.interp.loops import scan, until
from refgraph.ops.scan import Loop, Scan
from refgraph.ops.subgraph import OpFromGraph
from refgraph.random import Stream

a, b, k = T.dscalar("a"), T.dscalar("b"), T.lscalar("k")
v, w, m = T.dvector("v"), T.dvector("w"), T.dmatrix("m")


def value(x, given):
    return rg.function(list(given), x, on_unused_input="ignore")(*given.values())


def power(x, n=3, **options):
    """x, n times multiplied by b."""
    return scan(lambda h: h * b, None, [x], n_steps=n, **options)[0]


# What is connected


IN_STEPS = {
    "read": lambda h: h * b,
    "not read": lambda h: h * 2,
    "its length only": lambda h: h * 2 + T.zeros_like(b),
    "compared": lambda h: T.switch(b > 0, h, 2 * h),
    "disconnected": lambda h: h * disconnected_grad(b),
    "constant": lambda h: h * consider_constant(b),
    "zero": lambda h: h * zero_grad(b),
    "rounded": lambda h: h * T.floor(b),
    "cast": lambda h: h * b.astype("int64"),
}


@pytest.mark.parametrize("step", IN_STEPS.values(), ids=list(IN_STEPS))
def test_what_is_connected_is_what_is_connected_without_a_loop(step):
    def answer(out):
        found = grad(out, [a, b], disconnected_inputs="ignore", return_disconnected="none")
        return [None if g is None else float(value(g, {a: 2.0, b: 1.5})) for g in found]

    looped, _ = scan(step, None, [a], n_steps=2)
    assert answer(looped[-1]) == pytest.approx(answer(step(step(a))))


def test_what_is_not_connected_raises():
    outs, _ = scan(lambda x, h: [h * x, 2 * x], [v], [a, None])

    with pytest.raises(DisconnectedInputError, match="does not depend on a"):
        grad(outs[1].sum(), a)
    with pytest.raises(DisconnectedInputError, match="does not depend on k"):
        grad(power(a, k).sum(), k)
    assert value(grad(outs[0].sum(), a), {a: 1.0, v: np.array([2.0, 3.0])}) == 8.0


def test_constants_and_known_gradients():
    h = power(a)
    first = w[0]
    inside, _ = scan(lambda h: h * first, None, [a], n_steps=2)
    given = {a: 2.0, b: 3.0, w: np.array([5.0])}

    assert value(grad(h.sum(), b, consider_constant=[a]), given) == 2 * (1 + 2 * 3 + 3 * 9)
    assert value(grad((h * b).sum(), b, consider_constant=[h]), given) == 2 * (3 + 9 + 27)
    assert value(grad(None, [a, b], known_grads={h: T.as_tensor([0.0, 1.0, 0.0])})[1], given) == 2 * 2 * 3
    assert value(grad(inside.sum(), w, known_grads={first: T.constant(7.0)}), given) == [7.0]
    assert value(grad(None, a, known_grads={inside: T.as_tensor([1.0, 1.0])}), given) == 5 + 25


def test_gradients_that_are_not_defined_reach_out():
    other, _ = scan(lambda h, g: [h * b, undefined_grad(g)], None, [a, 2 * a], n_steps=3)
    joined, _ = scan(lambda h, g: [h * 2 + g, undefined_grad(h)], None, [a, 2 * a], n_steps=3)
    whole, _ = scan(lambda x: x * undefined_grad(b), [v])
    given = {a: 1.0, b: 2.0}

    assert value(grad(other[0].sum(), a), given) == 2 + 4 + 8
    assert value(Rop(other[0][-1], a, T.constant(1.0)), given) == 8.0
    for cost, wrt in ((other[1], a), (joined[0], a), (joined[1], a), (whole, b)):
        with pytest.raises(NullTypeGradError):
            grad(cost.sum(), wrt)
        with pytest.raises(NullTypeGradError):
            Rop(cost, wrt, T.constant(1.0))
    assert value(grad(whole.sum(), v), {v: np.ones(2), b: 3.0}).tolist() == [3.0, 3.0]


def test_integers():
    i, x = T.lvector("i"), np.array([3, 5])
    items, _ = scan(lambda i, h: h * i, [i], [a])
    ways, _ = scan(lambda h: h * k, None, [a], n_steps=2)
    counted, _ = scan(lambda n, h: [n + 1, h * n], None, [k, a], n_steps=3)

    assert value(grad(items[-1], a), {i: x, a: 2.0}) == 15
    assert value(grad(items[-1], i), {i: x, a: 2.0}).tolist() == [0, 0]
    assert value(grad(ways[-1], k), {k: 3, a: 2.0}) == value(grad(a * k * k, k), {k: 3, a: 2.0}) == 12
    assert value(Rop(ways[-1], k, T.constant(1.0)), {k: 3, a: 2.0}) == 12
    assert value(grad(counted[1][-1], a), {k: 2, a: 1.0}) == 2 * 3 * 4
    assert grad(counted[0][-1], a, disconnected_inputs="ignore", return_disconnected="none") is None
    assert grad(ways[-1], k).dtype == "float64"


# When a loop ends


@pytest.mark.parametrize(("limit", "steps"), [(1e9, 6), (0.0, 1), (30.0, 4)])
def test_until(limit, steps):
    out, _ = scan(lambda x, h: (h * x * b, until(h * x * b > limit)), [v], [a])
    row = a
    for t in range(steps):
        row = row * v[t] * b
    given = {v: np.array([1.0, 2.0, 1.5, 4.0, 1.25, 2.5]), a: 1.5, b: 1.75}

    for wrt in (v, a, b):
        np.testing.assert_allclose(value(grad(out[-1], wrt), given), value(grad(row, wrt), given))
        np.testing.assert_allclose(
            value(grad((grad(out[-1], wrt) ** 2).sum(), b), given), value(grad((grad(row, wrt) ** 2).sum(), b), given)
        )
    np.testing.assert_allclose(value(Rop(out[-1], [v, a], [v, a]), given), value(Rop(row, [v, a], [v, a]), given))


def test_the_trace_and_the_last_value_together():
    h = power(a, 4)
    rows = [a * b ** (t + 1) for t in range(4)]
    cost = (h**2).sum() * h[-1] + T.sin(h[-2:]).prod()
    want = sum([x**2 for x in rows]) * rows[-1] + T.sin(rows[2]) * T.sin(rows[3])
    given = {a: 0.7, b: 1.1}

    np.testing.assert_allclose(value(grad(cost, [a, b]), given), value(grad(want, [a, b]), given))


# What a step may hold


def test_complex_states():
    z, c = T.zscalar("z"), T.zscalar("c")
    out, _ = scan(lambda z: z * z + c, None, [z], n_steps=3)
    row = z
    for _ in range(3):
        row = row * row + c
    given = {z: 0.3 + 0.2j, c: -0.4 + 0.1j}

    for x in (z, c):
        np.testing.assert_allclose(value(grad(abs(out[-1]), x), given), value(grad(abs(row), x), given))
        np.testing.assert_allclose(value(Rop(out[-1], x, x), given), value(Rop(row, x, x), given))


def test_graphs_in_steps():
    x, y = T.dscalar("x"), T.dscalar("y")
    cube = OpFromGraph([x, y], [x**3 * y])
    out, _ = scan(lambda h: cube(h, b) + 0.1, None, [a], n_steps=3)
    row = a
    for _ in range(3):
        row = row**3 * b + 0.1
    given = {a: 0.9, b: 0.8}

    for wrt in (a, b):
        np.testing.assert_allclose(value(grad(out[-1], wrt), given), value(grad(row, wrt), given))
        np.testing.assert_allclose(value(grad(grad(out[-1], wrt), wrt), given), value(grad(grad(row, wrt), wrt), given))


def test_a_branch_that_is_not_taken_makes_no_nan():
    out, _ = scan(lambda x: ifelse(x > 0, T.sqrt(x) * b, x * 0), [v])
    given = {v: np.array([4.0, 0.0, -1.0]), b: 1.5}

    assert value(grad(out.sum(), v), given).tolist() == [0.375, 0.0, 0.0]
    assert value(grad(out.sum(), b), given) == 2.0
    assert value(Rop(out, b, T.constant(1.0)), given).tolist() == [2.0, 0.0, 0.0]


def test_what_only_a_branch_of_a_step_needs_is_not_computed_before_the_loop():
    """Though it does not depend on the loop: it may have no value, no derivative, or take long."""
    xs = T.arange(3.0)
    root, _ = scan(lambda t: ifelse(b > 0, T.sqrt(b) * t, t), xs)
    assert value(grad(root.sum(), b), {b: -1.0}) == 0
    assert value(grad(root.sum(), b), {b: 4.0}) == 0.75

    roots, _ = scan(lambda s: scan(lambda t: ifelse(s > 0, T.sqrt(s) * t, t), xs)[0].sum(), v)
    assert value(grad(roots.sum(), v), {v: [-1.0, 4.0]}).tolist() == [0, 0.75]

    picked, _ = scan(lambda t: ifelse(k < 3, v[k] * t, t), xs)
    assert value(picked, {v: [1.0, 2, 3], k: 7}).tolist() == [0, 1, 2]
    assert value(picked, {v: [1.0, 2, 3], k: 2}).tolist() == [0, 3, 6]

    long, _ = scan(lambda h: h * 1.01, None, [b], n_steps=100)
    f = rg.function([b], scan(lambda t: ifelse(t > 5, long[-1], t), xs)[0], profile=True)
    f(1.0)
    assert {node.op.name: n for node, n in f.profile.steps.items()} == {"scan": 3, "ifelse": 3}


def test_a_loop_over_what_another_puts_out():
    first, _ = scan(lambda x, h: T.tanh(h * x + b), [v], [a])
    second, _ = scan(lambda y, x, h: h * y + x, [first, v], [b])
    third, _ = map_(lambda y: y * second.sum(), [second])
    verify_grad(lambda v, a, b: _chain(v, a, b).sum(), [np.array([0.3, -0.5, 0.7]), np.array(0.2), np.array(0.4)])
    np.testing.assert_allclose(
        value(third.sum(), {v: np.array([0.3, -0.5]), a: 0.2, b: 0.4}),
        value(second.sum() ** 2, {v: np.array([0.3, -0.5]), a: 0.2, b: 0.4}),
    )


def _chain(v, a, b):
    first, _ = scan(lambda x, h: T.tanh(h * x + b), [v], [a])
    second, _ = scan(lambda y, x, h: h * y + x, [first, v], [b])
    return map_(lambda y: y * second.sum(), [second])[0]


def nested(x, depth):
    """A loop of two steps, within one, within one ..."""
    if not depth:
        return T.sin(x * b)
    return scan(lambda h: nested(h, depth - 1) + 0.1 * a, None, [x], n_steps=2)[0][-1]


def unrolled(x, depth):
    if not depth:
        return T.sin(x * b)
    for _ in range(2):
        x = unrolled(x, depth - 1) + 0.1 * a
    return x


def test_loops_within_loops():
    loop, rows = nested(a, 4), unrolled(a, 4)
    given = {a: 0.7, b: 1.2}

    np.testing.assert_allclose(value(grad(loop, [a, b]), given), value(grad(rows, [a, b]), given))
    np.testing.assert_allclose(value(Rop(loop, [a, b], [a, b]), given), value(Rop(rows, [a, b], [a, b]), given))
    inner, flat = nested(a, 2), unrolled(a, 2)
    np.testing.assert_allclose(value(grad(grad(inner, a), b), given), value(grad(grad(flat, a), b), given))


@pytest.mark.parametrize("inside", [True, False])
def test_derivatives_see_the_numbers_that_the_steps_drew(inside):
    stream = Stream(3)
    drawn = stream.uniform(size=())
    out, updates = scan(lambda h: h * (stream.uniform(size=()) if inside else drawn), None, [a], n_steps=3)
    slope = grad(out[-1], a)
    found = [out[-1] / a, slope, Rop(out[-1], a, T.constant(1.0)), grad((slope * a) ** 2, a) / (2 * a * slope)]
    f = rg.function([a], found, updates=updates)

    first, second = f(2.0), f(2.0)
    np.testing.assert_allclose(first, [first[0]] * 4)
    np.testing.assert_allclose(second, [second[0]] * 4)
    assert first[0] != second[0]


class Tally(Op):
    """A generic value, counted up."""

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return [*x, len(x)]


class Weight(Op):
    """The length of a generic value."""

    def infer(self, x):
        return (T.dscalar().type,)

    def impl(self, x):
        return np.array(float(len(x)))


def test_carried_values():
    """They pass through derivatives of both kinds, where what is computed of them is recorded."""
    start = generic.variable(name="start")
    loop = Loop(3)
    c = loop.carry(start)
    h = loop.state(a[None])
    weight = Weight()(c)
    h.new = h.reads[0] * 2 + weight
    loop.record(h.reads[0] * weight)
    loop.carried.append(Tally()(c))
    node = loop.node()
    trace, last = h.buffer, node.outputs[1]
    given = {start: [], a: 1.0}

    assert value(trace, given).tolist() == [1, 2, 5, 12]
    assert value(last, given) == [0, 1, 2]
    assert value(grad(trace[-1], a), given) == 8.0
    assert value(Rop(trace, a, T.constant(1.0)), given).tolist() == [1, 2, 4, 8]
    assert value(Rop(node.outputs[2], a, T.constant(1.0)), given).tolist() == [0, 2, 8]
    with pytest.raises(GraphTypeError, match="as it was in each step"):
        grad(node.outputs[2].sum(), a)


def test_five_thousand_steps():
    out, _ = scan(lambda h: T.sin(h) + b, None, [a], n_steps=5000)
    given = {a: 0.5, b: 0.01}
    h, d = 0.5, 0.0
    for _ in range(5000):
        h, d = np.sin(h) + 0.01, np.cos(h) * d + 1

    found, slope = value([out[-1], grad(out[-1], b)], given)
    np.testing.assert_allclose([found, slope], [h, d])
    assert np.isfinite(value(grad(grad(out[-1], b), b), given))


def test_against_finite_differences():
    rng = np.random.default_rng(4)

    def net(x, h0, w):
        h, _ = scan(lambda x, h3, h1: T.tanh(T.dot(h1, w) + x * h3), [x], [dict(initial=h0, taps=[-3, -1])])
        return h

    points = [rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), rng.normal(size=(2, 2))]
    verify_grad(net, points)
    verify_grad(lambda *args: grad(net(*args).sum(), list(args))[2], points)


# An index that is itself what a loop puts out


def test_a_trace_that_indexes_is_read_whole():
    where, _ = scan(lambda i: i + 1, None, [k], n_steps=3)
    f = rg.function([m, k], m[-1, where])

    assert f(np.arange(12.0).reshape(2, 6), 0).tolist() == [7, 8, 9]


# How much is computed, and kept


class Counted(Op):
    """tanh, counted; its derivatives are formulas of its output."""

    def __init__(self, counts, name):
        self.counts, self.name = counts, name

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        self.counts[self.name] = self.counts.get(self.name, 0) + 1
        return np.tanh(x)

    def vjp(self, node, cotangents):
        (g,) = cotangents
        return [g if g is None or is_zero(g) else g * (1 - node.outputs[0] ** 2)]

    jvp = vjp


@pytest.mark.parametrize("n", [3, 10])
def test_what_a_loop_has_put_out_is_not_computed_again(n):
    counts = {}
    state, record = Counted(counts, "state"), Counted(counts, "record")

    def step(h):
        new = state(h * b)
        return new, record(new + 0.5 * b)

    (h, r), _ = scan(step, None, [a, None], n_steps=n)
    cost = (h * r).sum()
    value([cost, *grad(cost, [a, b])], {a: 0.5, b: 1.5})
    assert counts == {"state": n, "record": n}


def test_the_second_derivative_takes_each_loop_once():
    cost = power(a, 5).sum()
    slopes = grad(cost, [a, b])
    second = grad(sum(slopes), [a, b])
    loops = [node.op.name for node in toposort([cost, *slopes, *second]) if isinstance(node.op, Scan)]
    assert sorted(loops) == ["grad of grad of scan", "grad of scan", "grad of scan", "scan"]


def nodes(*outputs):
    """The number of applications, also within loops."""
    found = toposort(outputs)
    inner = [nodes(*graph.outputs) for node in found if isinstance(node.op, Scan) for graph in node.op.graphs]
    return len(found) + sum(inner)


def test_the_graph_does_not_grow_with_the_steps():
    def size(n):
        slopes = grad(power(a, n)[-1], [a, b])
        return nodes(*slopes, *grad(sum(slopes), [a, b]), *Rop(slopes, [a, b], [a, b]))

    assert size(2) == size(3) == size(1000)


def test_a_chain_of_loops_grows_by_the_same_for_each():
    def size(count):
        x = a
        for _ in range(count):
            x = power(x)[-1]
        return nodes(*grad(x, [a, b]))

    assert size(30) - size(20) == size(20) - size(10)


def peak(f, *arguments):
    """Bytes that a call holds at most."""
    f(*arguments)
    tracemalloc.start()
    f(*arguments)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


SIDE = 64
LARGE = np.random.default_rng(0).normal(size=(SIDE, SIDE)) / SIDE
DERIVATIVES = {
    "first": lambda g, h: g,
    "second": lambda g, h: grad((g**2).sum(), m),
    "both": lambda g, h: [g, grad((g**2).sum(), m)],
    "forward over reverse": lambda g, h: Rop(g, m, m),
    "reverse over forward": lambda g, h: grad(Rop(h[-1], m, m).sum(), m),
}


@pytest.mark.parametrize("derive", DERIVATIVES.values(), ids=list(DERIVATIVES))
def test_memory_does_not_grow_by_a_whole_value_for_each_step(derive):
    def needed(n):
        h, _ = scan(lambda h: T.tanh(T.dot(m, h)), None, [v], n_steps=n)
        return peak(rg.function([m, v], derive(grad(h[-1].sum(), m), h)), LARGE, np.ones(SIDE))

    more = needed(60) - needed(10)
    assert more < 50 * LARGE.nbytes / 4


def test_of_a_trace_only_what_is_read_is_kept():
    def needed(n, read):
        h, _ = scan(lambda h: h * 0.5, None, [v], n_steps=n)
        return peak(rg.function([v], read(h)), np.ones(10_000))

    row = 80_000
    for read in (lambda h: h[-1], lambda h: h[-2:], lambda h: h[-1:-3:-1], lambda h: h[-1] + h[-3]):
        assert needed(200, read) < 20 * row
    assert needed(50, lambda h: h[::-1]) > 50 * row


def test_only_what_is_wanted_is_differentiated():
    """The gradient by one of several matrices computes no product for the others, and no state that it needs not."""
    ms = [T.dmatrix(name) for name in "abcd"]

    def step(x, h, count, *ms):
        return T.tanh(x + sum(T.dot(h, one) for one in ms)), count + 1.0

    (h, _), _ = scan(step, m, [v, 0.0], ms)

    def work(wrt):
        (loop,) = [node.op for node in toposort([grad(h.sum(), wrt)]) if str(node.op) == "grad of scan"]
        return loop.n_sequences, len(loop.taps), sum(node.op.name == "dot" for node in loop.graph.nodes)

    back = work(v)
    assert work(m)[1:] == back[1:]
    assert back[1] == 1  # what is pending for h; none for the count
    for wrt in ms:
        assert work(wrt) == (back[0], back[1] + 1, back[2] + 1)


@pytest.mark.parametrize(
    ("cost", "traces"),
    [(lambda h: h[-1].sum(), 1), (lambda h: h.sum(), 1), (lambda h: h[-2].sum(), 3)],
    ids=["last", "all", "one of the last"],
)
def test_the_gradient_keeps_little_more_than_the_trace(cost, traces):
    """What arrives for the last state, or alike for all, makes no array of zeros as long as the loop."""
    h, _ = scan(lambda h: T.tanh(h * 1.1), None, [v], n_steps=1000)
    f = rg.function([v], grad(cost(h), v), mode="FAST_COMPILE")  # else work on the trace is done at once, for speed

    trace = 1001 * 100 * 8
    assert peak(f, np.ones(100)) < (traces + 0.3) * trace
