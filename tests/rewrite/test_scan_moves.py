"""What leaves a loop before it runs: what is the same in each step, and what only items of sequences say."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph import function, grad, scan, scan_checkpoints
from refgraph.core.errors import BoundsError, ShapeError
from refgraph.core.graph import Constant, Graph, leaves
from refgraph.core.op import Op
from refgraph.ifelse import ifelse
from refgraph.ops.branch import IfElse
from refgraph.ops.families import SUM_TO
from refgraph.ops.printing import Print
from refgraph.ops.scan import Loop, Scan
from refgraph.scan_module import until

from .loops import checked, in_steps, loops, outside, rewritten

RNG = np.random.default_rng(0)
x, y, z = T.dmatrix("x"), T.dmatrix("y"), T.dtensor3("z")
u, w, v = T.dmatrix("u"), T.dmatrix("w"), T.dvector("v")
GIVEN = {
    x: RNG.normal(size=(5, 3)),
    y: RNG.normal(size=(5, 3)),
    z: RNG.normal(size=(5, 2, 3)),
    u: RNG.normal(size=(3, 3)),
    w: RNG.normal(size=(3, 3)),
    v: RNG.normal(size=3),
}


def given(*outputs):
    found = leaves(outputs)
    return {k: a for k, a in GIVEN.items() if k in found}


def after(*outputs, rtol=1e-12):
    """The graph, with the same values."""
    return checked(outputs, given(*outputs), rtol)


def raw(step, *, sequences=(), states=(), whole=(), records=True):
    """A loop as one that is not put together by `Loop`: what it is given is what stands here."""
    items = [s.type.clone(shape=s.type.shape[1:])() for s in sequences]
    reads = [s.type.clone(shape=s.type.shape[1:])() for s in states]
    inner = [s.type() for s in whole]
    news, recorded = step(items, reads, inner)
    op = Scan(Graph([*items, *reads, *inner], [*news, *recorded]), len(items), [(1,)] * len(states))
    n = sequences[0].shape[0] if sequences else T.constant(4, dtype="int64")
    return op.make_node(n, *sequences, *states, *whole)


# The same in each step


def test_what_whole_values_alone_say_is_computed_once():
    def step(_, h, whole):
        return [T.tanh(h[0] + T.exp(T.dot(whole[0], whole[1])))], []

    node = raw(step, states=[v[None]], whole=[u, v])
    graph = after(*node.outputs)
    assert in_steps(graph) == {"add": 1, "tanh": 1}
    assert outside(graph)["dot"] == outside(graph)["exp"] == 1


def test_what_reads_only_shapes_of_the_loop_is_computed_once():
    def step(a, h):
        return h * 0.5 + T.zeros_like(h) + a + T.ones_like(a) + h.shape[0] + a.shape[0]

    h, _ = scan(step, x, v)
    (node,) = loops(after(h))
    assert {inner.op.name for inner in node.op.graph.nodes} <= {"mul", "add"}


def test_a_sum_of_the_shape_of_an_item_reads_no_item():
    node = raw(lambda a, h, _: ([SUM_TO(h[0] * 0.5, a[0])], []), sequences=[x], states=[v[None]])
    graph = after(*node.outputs)
    (loop,) = loops(graph)
    assert loop.op.n_sequences == 0


def test_what_is_known_of_lengths_outside_is_known_in_a_step():
    """A sum down to a shape that the initial value has, and filling one, are nothing."""

    def step(a, h, whole):
        return [SUM_TO(T.tanh(h[0]), whole[0]) + T.fill(a[1], a[0]), SUM_TO(h[1] * 2, a[1])], []

    node = raw(step, sequences=[x, x * 2], states=[v[None], T.zeros_like(v)[None]], whole=[T.exp(v)])
    graph = after(*node.outputs)
    assert in_steps(graph)["fill"] == 0
    assert (
        in_steps(graph)["sum_to"] == 1
    )  # the items may be of another length: x and v have nothing to do with one another
    (loop,) = loops(after(node.outputs[0]))
    assert "sum_to" not in [inner.op.name for inner in loop.op.graph.nodes]


def test_constants_are_in_the_step_and_nothing_is_given_twice_or_in_vain():
    def step(a, h, whole):
        return [h[0] * whole[0] + whole[1] * whole[2] + a[0] * T.sin(h[0]) * a[1]], []

    node = raw(step, sequences=[x, x, y], states=[v[None]], whole=[T.constant(np.float64(2)), v, v, u])
    assert len(node.inputs) == 1 + 3 + 1 + 4
    (loop,) = loops(after(*node.outputs))
    assert loop.op.n_sequences == 1
    assert len(loop.op.whole) == 1
    assert any(isinstance(i, Constant) for inner in loop.op.graph.nodes for i in inner.inputs)


def test_what_only_a_branch_needs_stays_in_the_branch():
    """Also where it does not depend on the loop: it may never be taken."""
    h, _ = scan(lambda h: ifelse(h.sum() > 1e9, T.dot(T.dot(u, w), h), h * 0.5), None, v, n_steps=4)
    graph = after(h)
    assert outside(graph)["dot"] == 0
    (loop,) = loops(graph)
    (branch,) = [inner.op for inner in loop.op.graph.nodes if isinstance(inner.op, IfElse)]
    assert sum(inner.op.name == "dot" for body in branch.graphs for inner in body.nodes) == 2
    f = function([u, w, v], h)
    f(np.ones((3, 4)), np.ones((5, 3)), np.ones(3))  # the branch would fail


def test_a_loop_with_a_mode_of_its_own_is_left_alone():
    h, _ = scan(lambda a, h: T.tanh(h + T.exp(a)), x, v, mode="FAST_COMPILE")
    (node,) = loops(after(h))
    assert in_steps(after(h))["exp"] == 1
    assert node.op.mode is not None


# What only items say


def test_elementwise_work_on_items_is_done_at_once():
    h, _ = scan(lambda a, b, h: T.tanh(h * 0.5 + T.exp(a) * b), [x, y], v)
    graph = after(h)
    assert in_steps(graph) == {"mul": 1, "add": 1, "tanh": 1}
    assert outside(graph)["exp"] == 1


@pytest.mark.parametrize("batch", [False, True], ids=["vectors", "matrices"])
def test_products_of_items_with_a_matrix_are_one_product(batch):
    start = T.zeros((2, 3)) if batch else v
    h, _ = scan(lambda a, h: T.tanh(T.dot(a, u) + T.dot(h, w)), z if batch else x, start)
    graph = after(h)
    assert in_steps(graph) == {"dot": 1, "add": 1, "tanh": 1}
    assert outside(graph)["dot"] + outside(graph)["tensordot"] == 1


def test_sums_are_grouped_by_what_is_there_before_the_loop():
    h, _ = scan(lambda a, b, h: ((T.dot(a, u) + T.dot(h, w)) + v) + b, [x, y], v)
    graph = after(h)
    assert in_steps(graph) == {"dot": 1, "add": 1}


def test_sums_of_different_dtypes_are_not_grouped():
    small = x.astype("float32")
    h, _ = scan(lambda a, b, h: (h + a) + b, [small, small[::-1]], v)
    assert in_steps(after(h))["add"] == 2


FORMS = {
    "sum": lambda a: a.sum(axis=0, keepdims=True),
    "softmax": lambda a: T.nnet.softmax(a),
    "index": lambda a: a[::-1],
    "transposed": lambda a: a.T + 1,
    "row": lambda a: a[0] + a[1],
    "reshaped": lambda a: a.reshape((3, 2)).T * a,
    "cumsum": lambda a: T.cumsum(a, axis=1),
    "joined": lambda a: T.concatenate([a[:1], a[1:]]),
    "set": lambda a: T.set_subtensor(a[0], 1.0),
    "norm": lambda a: a / a.norm(2),
    "argmax": lambda a: a.argmax(axis=0) * a,
    "cast": lambda a: a.astype("float32").astype("float64"),
    "shape": lambda a: a * a.shape[0],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_op_with_a_form_for_many_items_is_done_at_once(form):
    zs = T.specify_shape(z, (None, 2, 3))
    h, _ = scan(lambda a, h: T.tanh(h + FORMS[form](a).sum()), zs, T.specify_shape(v, (3,)))
    assert in_steps(after(h)) == {"add": 1, "tanh": 1}


def test_rows_that_items_pick_are_picked_at_once_where_the_states_are_kept_too():
    words = T.lvector("words")
    table = T.dmatrix("table")
    h, _ = scan(lambda word, h: T.tanh(T.dot(table[word], u) + h), words, v)
    arrays = {words: np.array([4, 0, 4]), table: RNG.normal(size=(6, 3)), u: GIVEN[u], v: GIVEN[v]}
    assert in_steps(checked(h, arrays)) == {"add": 1, "tanh": 1}
    last = checked(h[-1], arrays)
    assert in_steps(last)["index"] == 1  # the rows of all steps would take more than the loop has


def test_a_map_is_no_loop():
    out, _ = scan(lambda a, b: [T.exp(a) * b, T.dot(a, u)], [x, y], [None, None])
    assert not loops(after(*out))


def test_a_loop_that_goes_backwards_copies_nothing_to_turn_it():
    """What is computed for it is what is computed for a loop that goes forwards."""
    there, _ = scan(lambda a, h: T.tanh(T.dot(a, u) + h), x, v, name="there")
    back, _ = scan(lambda a, h: T.tanh(T.dot(a, u) * h), x, v, go_backwards=True, name="back")
    assert outside(after(there, back))["dot"] == 1


# What stays


def stays(h, *names):
    found = in_steps(after(h))
    return all(found[name] for name in names)


def test_what_takes_much_more_memory_stays():
    matrix = T.zeros((3, 3))
    outer, _ = scan(lambda a, h: h * 0.5 + a[:, None] * a[None, :], x, matrix)
    assert in_steps(after(outer[-1]))["mul"] == 2
    wide, _ = scan(lambda a, h: h * 0.5 + a.sum() * w, x, matrix)
    assert in_steps(after(wide[-1]))["mul"] == 2
    product, _ = scan(lambda a, h: T.tanh(h + T.dot(a.T, a)), z, matrix)
    assert in_steps(after(product[-1]))["dot"] == 1
    spread, _ = scan(lambda a, h: T.tanh(h + T.broadcast_to(a, (4, 3))), x, T.zeros((4, 3)))
    assert in_steps(after(spread[-1]))["broadcast_to"] == 1


def test_where_a_condition_ends_the_loop_nothing_is_computed_beyond():
    h, _ = scan(lambda a, h: (h + T.exp(a), until(h.sum() > 3)), x, v)
    assert in_steps(after(h))["exp"] == 1


def test_what_prints_prints_in_each_step(capsys):
    h, _ = scan(lambda a, h: h + Print("item")(a), x, v)
    f = function([x, v], h)
    f(GIVEN[x], GIVEN[v])
    assert capsys.readouterr().out.count("item") == 5


class Reversed(Op):
    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return x[::-1]


def test_what_has_no_form_for_many_items_stays():
    h, _ = scan(lambda a, h: h + Reversed()(T.exp(a)), x, v)
    assert in_steps(after(h)) == {"add": 1, "": 1}


def test_a_branch_that_items_choose_stays():
    h, _ = scan(lambda a, h: h + ifelse(a.sum() > 0, T.exp(a), a), x, v)
    graph = after(h)
    assert in_steps(graph)["ifelse"] == 1
    assert outside(graph)["exp"] == 0


def test_stretches_are_not_undone():
    """Who divides a loop into stretches wants to spare the memory that work on all steps at once would take."""
    h, _ = scan_checkpoints(lambda a, h: T.tanh(T.dot(a, u) + h), [x], [v], save_every_N=2)
    graph = after(grad(h[-1].sum(), u), rtol=1e-9)
    for node in loops(graph):
        for sequence in node.op.parts(node.inputs[1:])[0]:
            assert sequence.owner is None or sequence.owner.op.name not in ("dot", "tensordot")
    inner = [node for outer in loops(graph) for node in outer.op.graph.nodes if isinstance(node.op, Scan)]
    assert inner
    assert all("dot" not in [n.op.name for n in node.op.graph.nodes] for node in inner[:1])


# Errors


def test_what_fails_before_the_loop_names_the_line_of_the_step():
    def step(a, h):
        return h + T.dot(a, u)  # this line

    h, _ = scan(step, x, v)
    f = function([x, u, v], h)
    with pytest.raises(ShapeError) as caught:
        f(np.ones((4, 2)), np.ones((3, 3)), np.ones(3))
    assert "# this line" in str(caught.value)
    assert in_steps(rewritten(h)) == {"add": 1}


def test_what_fails_in_a_step_names_the_step():
    h, _ = scan(lambda a, k: k + 2 + (v[k] * T.exp(a).sum() * 1e-9).astype("int64"), x, np.int64(0), name="walk")
    f = function([x, v], h)
    with pytest.raises(BoundsError) as caught:
        f(np.ones((5, 3)), np.ones(3))
    assert caught.value.loops == ("step 2 of 5 (the first is step 0) of walk",)


def test_a_sequence_that_is_too_short_is_refused():
    n = T.lscalar("n")
    out, _ = scan(T.exp, x, n_steps=n)
    f = function([x, n], out)
    assert not loops(rewritten(out))
    with pytest.raises(ShapeError, match=r"5.*7"):
        f(np.ones((5, 3)), 7)


def test_items_that_are_computed_before_the_loop_have_names():
    h, _ = scan(lambda a, h: T.tanh(T.dot(a, u) + h), x, v)
    (node,) = loops(after(h))
    assert [item.name for item in node.op.items] == ["dot(x[t], u)"]


def test_loop_of_is_what_it_was_taken_apart_from():
    h, _ = scan(lambda a, h: [T.tanh(a * h + v), a + h], [x], [v, None])
    node = h[0].owner.inputs[0].owner
    loop = Loop.of(node)
    again = loop.node(node.op.truncate)
    assert [out.type for out in again.outputs] == [out.type for out in node.outputs]
    assert again.inputs == node.inputs
