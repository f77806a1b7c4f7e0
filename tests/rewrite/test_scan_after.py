"""What comes after a loop: what nothing but records need, and sums of which only the total is read."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph import function, grad, scan, scan_checkpoints
from refgraph.core.errors import ShapeError
from refgraph.core.graph import Graph, leaves
from refgraph.interp.evaluate import evaluate
from refgraph.ops.printing import Print
from refgraph.rewrite.engine import rewrite
from refgraph.scan_module import until

from .loops import checked, every_rule, executed, in_steps, loops, outside, rewritten, scan_rules

RNG = np.random.default_rng(0)
x, z, h0, m0 = T.dmatrix("x"), T.dtensor3("z"), T.dvector("h0"), T.dmatrix("m0")
u, w, v = T.dmatrix("u"), T.dmatrix("w"), T.dmatrix("v")
b, c = T.dvector("b"), T.dvector("c")
GIVEN = {
    x: RNG.normal(size=(5, 3)),
    z: RNG.normal(size=(5, 2, 3)),
    h0: RNG.normal(size=3),
    m0: RNG.normal(size=(2, 3)),
    u: RNG.normal(size=(3, 3)),
    w: RNG.normal(size=(3, 3)),
    v: RNG.normal(size=(3, 4)),
    b: RNG.normal(size=3),
    c: RNG.normal(size=4),
}


def given(*outputs):
    found = leaves(outputs)
    return {k: a for k, a in GIVEN.items() if k in found}


def after(*outputs, rtol=1e-10):
    """The graph, with the same values."""
    return checked(outputs, given(*outputs), rtol)


def net(batch, read=lambda h, y: y, **options):
    """The states and the outputs of a recurrent net."""

    def step(x, h):
        h = T.tanh(T.dot(x, u) + T.dot(h, w) + b)
        return h, T.nnet.softmax(T.dot(h, v) + c)

    return scan(step, z if batch else x, [m0 if batch else h0, None], **options)[0]


def test_derivatives_of_derivatives_keep_no_matrix_of_each_step():
    """The cotangent of the weights' gradient is the same in each step, and sums of products are formed at once."""
    h, _ = scan(lambda a, h: T.tanh(T.dot(h, w) + a), x, h0)
    along = T.constant(RNG.normal(size=(3, 3)))
    slope = grad((h[-1] ** 2).sum(), w)
    for _ in range(2):
        slope = grad((slope * along).sum(), w)
    graph = rewrite(Graph([x, h0, w], [slope]), every_rule())
    assert len(loops(graph)) >= 3
    for node in loops(graph):
        assert not any(reads[0].ndim == 2 for reads in node.op.reads)
        assert all(record.ndim < 2 for record in node.op.records)
    (want,) = evaluate([slope], given(slope))
    (got,) = evaluate(graph.outputs, given(slope))
    np.testing.assert_allclose(got, want, 1e-9)


# Records


@pytest.mark.parametrize("batch", [False, True])
def test_outputs_of_a_net_are_computed_at_once(batch):
    h, y = net(batch)
    graph = after(h, y)
    assert in_steps(graph) == {"dot": 1, "add": 1, "tanh": 1}
    assert outside(graph)["softmax"] == 1


def test_a_value_that_is_kept_anyway_is_recorded_in_place_of_what_is_computed_of_it():
    """The state is kept for no other reader: its trace takes the place of the record."""
    _, y = net(False)
    graph = after(y)
    (node,) = loops(graph)
    assert in_steps(graph) == {"dot": 1, "add": 1, "tanh": 1}
    assert node.op.keep == (None,)


def test_of_what_only_the_last_is_read_only_the_last_is_computed():
    h, y = net(False)
    graph = after(y[-1], h[-1])
    (node,) = loops(graph)
    assert in_steps(graph) == {"dot": 1, "add": 1, "tanh": 1}
    assert all(keep is not None and keep <= 2 for keep in node.op.keep)
    several = after(y[-2:])
    (node,) = loops(several)
    assert None not in node.op.keep


def test_of_the_last_several_values_may_be_recorded():
    def step(a, h, g):
        p, q = T.tanh(h * a), T.sin(g + a)
        return [p + q, q, T.dot(p * q, u)]

    (*_, y), _ = scan(step, x, [h0, h0, None])
    graph = after(y[-1])
    assert in_steps(graph)["dot"] == 0


def test_records_that_are_there_already_are_not_recorded():
    (h, same, item, before, whole), _ = scan(lambda a, h: [T.tanh(h + a), T.tanh(h + a), a, h, b], x, [h0, *[None] * 4])
    graph = after(h, same, item, before, whole)
    (node,) = loops(graph)
    assert len(node.op.records) == 0
    assert len(node.op.taps) == 1


def test_where_a_condition_ends_the_loop_records_have_as_many_steps():
    def step(a, h):
        new = h + a**2
        return [new, T.exp(new) + T.sin(a), a], until(new.sum() > 8)

    (h, y, items), _ = scan(step, x, [h0, None, None])
    graph = after(h, y, items, y[-1])
    assert in_steps(graph)["exp"] == 0
    assert in_steps(graph)["sin"] == 0


def test_taps_of_a_record_come_from_the_trace():
    def step(a, b):
        return [a * 0.5 + b, T.exp(a) * b]

    start = dict(initial=T.stack([h0, h0, h0]), taps=[-1, -3])
    (h, y), _ = scan(step, None, [start, None], n_steps=4)
    for read in (y, y[-1], y[-3:]):
        assert in_steps(after(read))["exp"] == 0
    assert in_steps(after(h[-1], y[-2]))["exp"] == 0


def test_of_no_step_nothing_is_recorded():
    n = T.lscalar("n")
    (h, y), _ = scan(lambda h: [h * 2, T.exp(h).sum(axis=0)], None, [m0, None], n_steps=n)
    for steps in (0, 1, 3):
        graph = checked([y, y[-1:], h], {n: np.array(steps), m0: GIVEN[m0]})
        assert in_steps(graph)["exp"] == 0


# Sums


def test_gradients_of_weights_are_one_product_after_the_loop():
    for batch in (False, True):
        h, y = net(batch)
        slopes = grad(T.log(y).sum() + h.sum(), [u, w, v, b, c])
        graph = after(*slopes)
        back = loops(graph)[-1]
        assert back.op.name.startswith("grad")
        assert [n.op.name for n in back.op.graph.nodes].count("dot") == 1
        assert len(back.op.taps) == 1
        assert len(back.op.records) == 1


def test_a_net_and_its_gradient_execute_one_product_a_step_and_direction():
    h, y = net(True)
    outputs = [h, *grad(T.log(y).sum(), [u, w, v, b, c])]
    plain = Graph(list(given(*outputs)), outputs)
    graph = rewrite(plain, scan_rules())
    arrays = given(*outputs)
    names = ["dot", "tensordot"]
    n = len(arrays[z])
    assert executed(plain, arrays, names) == (3 + 8) * n
    inside = sum([node.op.name in names for loop in loops(graph) for node in loop.op.graph.nodes])
    assert inside == 2
    assert executed(graph, arrays, names) <= 2 * n + 9


def test_rows_that_each_step_adds_to_are_added_to_at_once():
    words, table = T.lmatrix("words"), T.dmatrix("table")
    h, _ = scan(lambda word, h: T.tanh(table[word] + T.dot(h, w)), words, m0)
    arrays = {
        words: np.array([[0, 3], [3, 3], [1, 5], [0, 0]]),
        table: RNG.normal(size=(6, 3)),
        m0: GIVEN[m0],
        w: GIVEN[w],
    }
    graph = checked(grad((h**2).sum(), table), arrays, 1e-10)
    assert in_steps(graph)["inc_subtensor"] == 0
    assert outside(graph)["inc_subtensor"] == 1
    one, _ = scan(lambda word, h: T.tanh(table[word] + T.dot(h, w)), words[:, 0], h0)
    graph = checked(grad((one**2).sum(), table), {**arrays, h0: GIVEN[h0]}, 1e-10)
    assert in_steps(graph)["inc_subtensor"] == 0


SUMS = {
    "item": (lambda total, a, h: total + a, h0),
    "subtracted": (lambda total, a, h: total - T.exp(a), h0),
    "subtracted from": (lambda total, a, h: total - (T.exp(a) - a), h0),
    "many terms": (lambda total, a, h: (a + total) + (h - T.sin(a)), h0),
    "the same in each step": (lambda total, a, h: total + b, h0),
    "a constant": (lambda total, a, h: total + 2, h0),
    "outer": (lambda total, a, h: total + T.outer(a, h), u),
    "matrix and vector": (lambda total, a, h: total + T.dot(w, h * a), h0),
    "vector and matrix": (lambda total, a, h: total + T.dot(a, w), h0),
    "scalar product": (lambda total, a, h: total + T.dot(a, h), T.constant(np.float64(2))),
    "smaller than the sum": (lambda total, a, h: total + a.sum(), m0),
    "broadcast": (lambda total, a, h: total + a[None, :], m0),
}


@pytest.mark.parametrize("form", SUMS)
def test_sums_are_formed_after_the_loop(form):
    build, start = SUMS[form]
    (h, total), _ = scan(lambda a, h, total: [T.tanh(h + a), build(total, a, h)], x, [h0, start])
    graph = after(total[-1], h)
    (node,) = loops(graph)
    assert len(node.op.taps) == 1
    assert in_steps(graph) == {"add": 1, "tanh": 1}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32", "complex64"])
def test_sums_keep_their_dtype(dtype):
    items = T.matrix("items", dtype=dtype)
    total, _ = scan(lambda a, t: t + a * a, items, T.zeros((3,), dtype))
    array = np.arange(60).reshape(20, 3).astype(dtype)
    assert not loops(checked(total[-1], {items: array}, 1e-6))


def test_sums_in_a_wider_dtype_are_formed_in_it():
    items = T.fmatrix("items")
    total, _ = scan(lambda a, t: t + a, items, T.zeros((3,), "float64"))
    array = np.full((1000, 3), 0.1, "float32")
    assert not loops(checked(total[-1], {items: array}, 1e-12))


def test_sums_of_booleans_stay():
    items = T.bmatrix("items").astype("bool")
    total, _ = scan(lambda a, t: t + a, items, T.zeros((3,), "bool"))
    assert len(loops(rewritten(total[-1]))) == 1


# What stays


@pytest.mark.parametrize(
    "build",
    [
        lambda total, a: total + T.exp(total),
        lambda total, a: a - total,
        lambda total, a: total * a,
        lambda total, a: total + total + a,
        lambda total, a: T.maximum(total, a),
    ],
    ids=["grows by itself", "alternates", "product", "doubles", "maximum"],
)
def test_what_is_no_sum_stays(build):
    total, _ = scan(lambda a, total: build(total, a), x, h0)
    (node,) = loops(after(total[-1]))
    assert len(node.op.taps) == 1


def test_a_sum_that_is_read_in_each_step_stays():
    total, _ = scan(lambda a, total: total + a, x, h0)
    assert len(loops(after(total))) == 1
    (total, other), _ = scan(lambda a, total, other: [total + a, other * total], x, [h0, h0])
    assert len(loops(after(total[-1], other[-1]))[0].op.taps) == 2


def test_what_takes_much_more_memory_stays():
    """Terms, and values that would be recorded, that are larger than what the loop has."""
    (h, total), _ = scan(lambda a, h, total: [T.tanh(h + a), total + w * h.sum()], x, [h0, u])
    assert len(loops(after(h, total[-1]))[0].op.taps) == 2
    (h, y), _ = scan(lambda a, h: [T.tanh(h + a), T.outer(h, h).sum(axis=0)], x, [h0, None])
    assert in_steps(after(h, y))["dot"] == 1
    (f, y), _ = scan(lambda a, f: [f * 0.5 + T.outer(a, a), f.sum(axis=0)], x, [u, None])
    (node,) = loops(after(f[-1], y))
    assert node.op.keep[1:] == (None,)
    assert node.op.keep[0] is not None


def test_a_record_of_two_values_stays():
    """Two values would be recorded in the place of one."""

    def step(a, h, g):
        p, q = T.tanh(h * a), T.sin(g + a)
        return [p + q, p * q, T.exp(p * T.cos(q))]

    (*_, y), _ = scan(step, x, [h0, h0, None])
    graph = after(y)
    assert in_steps(graph)["cos"] == 1
    assert in_steps(graph)["exp"] == 0  # but what is computed of one value leaves


def test_what_states_need_stays():
    (h, y), _ = scan(lambda a, h: [T.exp(T.tanh(h + a)), T.tanh(h + a)], x, [h0, None])
    assert in_steps(after(h, y)) == {"add": 1, "tanh": 1, "exp": 1}


def test_what_prints_prints_in_each_step(capsys):
    (h, y), _ = scan(lambda a, h: [T.tanh(h + a), Print("record")(h)], x, [h0, None])
    function([x, h0], [h, y])(GIVEN[x], GIVEN[h0])
    assert capsys.readouterr().out.count("record") == 5


def test_stretches_are_not_undone():
    h, _ = scan_checkpoints(lambda a, h: T.tanh(T.dot(a, u) + h), [z], [m0], save_every_N=2)
    graph = after(grad(h[-1].sum(), u), rtol=1e-9)
    outer = loops(graph)[-1]
    assert len(outer.op.taps) == 2  # the sum of the weights' gradient is formed stretch by stretch


# Errors


def test_what_fails_after_the_loop_names_the_line_of_the_step():
    def step(a, h):
        h = T.tanh(h + a)
        return h, T.dot(h, v)  # this line

    (h, y), _ = scan(step, x, [h0, None])
    f = function([x, h0, v], [h, y])
    with pytest.raises(ShapeError) as caught:
        f(np.ones((4, 3)), np.ones(3), np.ones((2, 2)))
    assert "# this line" in str(caught.value)
