"""Which ops are fused, that nothing is computed twice or in a circle, and that the answers stay what they were."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import ShapeError
from refgraph.core.graph import Graph
from refgraph.core.origin import others_of, places
from refgraph.ifelse import ifelse
from refgraph.interp.plan import Plan
from refgraph.ops.families import Elemwise
from refgraph.ops.fused import Fused
from refgraph.ops.reductions import Reduction
from refgraph.rewrite import select
from refgraph.rewrite.engine import Facts, rewrite
from refgraph.rewrite.fuse import _MOST, fuse_elementwise, fused_in_line, subgraph_in_line
from refgraph.rewrite.lengths import Lengths

x, y, w = T.dmatrices("x", "y", "w")
v, u = T.dvectors("v", "u")
FUSE = rg.Mode("vm", None).including("fuse")


def graph_of(*outputs):
    return Graph([x, y, w, v, u], outputs)


def fused(*outputs):
    return rewrite(graph_of(*outputs), [fuse_elementwise])


def groups(graph):
    """The names of the ops of each Fused of a graph, in the order in which they run, and those of other ops."""
    return [[n.op.name for n in node.op.graph.nodes] if is_fused(node) else node.op.name for node in graph.nodes]


def is_fused(node):
    return isinstance(node.op, Fused)


def ops(graph):
    """Names of all ops of a graph, within what is fused, too, sorted."""
    names = [[name] if isinstance(name, str) else name for name in groups(graph)]
    return sorted(name for some in names for name in some)


# what is a group


def test_elementwise_neighbours_are_one():
    assert groups(fused(T.tanh(x + y) * T.exp(x))) == [["add", "tanh", "exp", "mul"]]


def test_lengths_that_are_not_known_may_be_the_same():
    assert groups(fused(T.exp(v) * u + v)) == [["exp", "mul", "add"]]


def test_numbers_without_axes_are_fused_too():
    assert groups(fused((T.exp(x.sum()) + 1) * 2)) == ["sum", ["exp", "add", "mul"]]


def test_a_reduction_of_what_is_computed_is_the_end_of_a_group():
    assert groups(fused(T.exp(x * y).sum(0))) == [["mul", "exp", "sum"]]
    assert groups(fused((x * y).sum() + T.argmax(x * y))) == [["mul", "sum", "argmax"], "add"]


def test_what_reads_a_reduction_is_in_another_group():
    e = T.exp(x - T.max(x, 1, keepdims=True))
    assert groups(fused(e / e.sum(1, keepdims=True))) == ["max", ["sub", "exp", "sum"], "true_div"]


def test_a_reduction_of_an_input_stays_alone():
    assert groups(fused(x.sum(0), T.exp(x))) == ["sum", "exp"]


def test_a_graph_without_neighbours_stays_as_it_is():
    for graph in (graph_of(T.exp(x)), graph_of(x.sum()), graph_of(x), graph_of(T.exp(T.dot(x, T.exp(y))))):
        assert fuse_elementwise(graph, Facts(graph, Lengths())) is graph


def test_what_is_read_inside_and_outside_is_computed_once():
    z = T.exp(x * y)
    graph = fused(T.dot(z, w), z + 1, z.T)
    assert groups(graph) == [["mul", "exp", "add"], "dot", "dimshuffle"]
    assert len(graph.nodes[0].outputs) == 2
    assert graph.nodes[0].op.graph.outputs[0].owner.op.name == "exp"


def test_names_of_outputs_are_kept():
    z, s = T.exp(x * y), T.exp(x * y).sum()
    z.name, s.name = "z", "s"
    assert [out.name for out in fused(z + 1, z, s).outputs] == [None, "z", "s"]


def test_inputs_inside_have_the_names_of_those_outside():
    (node,) = [n for n in fused(T.tanh(T.dot(x, y) + v)).nodes if is_fused(n)]
    assert str(node.op) == "fused{tanh((dot.0 + v))}"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: T.exp((x * y).T), ["mul", "dimshuffle", "exp"]),
        (lambda: T.exp(T.fill(x * y, 2.0)), ["mul", "fill", "exp"]),
        (lambda: T.exp((x * 1j).imag), ["mul", "imag", "exp"]),
        (lambda: T.exp((x * y)[0]), ["mul", "index", "exp"]),
    ],
    ids=["dimshuffle", "fill", "imag", "index"],
)
def test_views_stay_outside(build, expected):
    assert groups(fused(build())) == expected


def test_what_is_smaller_stays_outside():
    """It would be computed for every row."""
    assert groups(fused(T.exp(T.tanh(v)) + T.exp(x))) == [["tanh", "exp"], ["exp", "add"]]
    column = T.TensorType("float64", (None, 1))("column")
    assert groups(rewrite(Graph([x, column], [T.exp(column) * x + 1]), [fuse_elementwise])) == ["exp", ["mul", "add"]]
    assert groups(fused(T.exp(T.exp(x.sum()) * x))) == ["sum", "exp", ["mul", "exp"]]


def test_small_constants_go_inside():
    row, table = np.arange(40.0), np.ones((40, 40))
    graph = fused(T.exp(x * 2.0 + row) * table)
    (node,) = graph.nodes
    assert [type(i).__name__ for i in node.inputs] == ["TensorVariable", "TensorConstant"]
    assert node.inputs[1].value.shape == (40, 40)
    a = np.random.default_rng(0).normal(size=(40, 1))
    np.testing.assert_array_equal(Plan(graph)(a, a, a, a[0], a[0])[0], np.exp(a * 2.0 + row))


# no circles


def test_a_group_does_not_depend_on_itself():
    """exp and mul are neighbours, but the product of matrices lies between them."""
    e = T.exp(x + 1)
    assert groups(fused(e * T.dot(e, y) - 1)) == [["add", "exp"], "dot", ["mul", "sub"]]
    s = e.sum()
    assert groups(fused(e / s * 2)) == [["add", "exp", "sum"], ["true_div", "mul"]]


def test_what_is_read_late_is_computed_late():
    """Where it is computed anyway; so it does not wait in memory."""
    h = T.tanh(T.dot(x, y))
    g = T.dot(T.exp(h), w)
    assert groups(fused((1 - h * h) * g)) == ["dot", ["tanh", "exp"], "dot", ["mul", "sub", "mul"]]
    assert groups(fused(T.exp(x) * T.dot(y, w))) == ["dot", ["exp", "mul"]]


def test_neighbours_are_joined_whoever_else_reads_them():
    e = T.exp(x)
    assert groups(fused(e * 2, T.dot(e, y))) == [["exp", "mul"], "dot"]


def test_two_groups_that_need_one_another_are_not_joined():
    """a reads what comes of b by a product, and b what comes of a."""
    a, b = T.exp(x) * 2, T.exp(y) * 3
    p, q = T.dot(a, w), T.dot(b, w)
    graph = fused((a + q) * 2, (b + p) * 2)
    assert_same(graph_of((a + q) * 2, (b + p) * 2), arrays_for(3))
    assert ops(graph) == ["add", "add", "dot", "dot", "exp", "exp", "mul", "mul", "mul", "mul"]


def test_what_only_one_branch_needs_is_computed_in_that_branch():
    """The powers cannot be computed where the exponent is negative; nor need they be."""
    i, n = T.lvectors("i", "n")
    f = rg.function([i, n], ifelse(n.min() < 0, i * 2 + 1, (i + 1) ** n * 2 + 1), mode=FUSE)
    np.testing.assert_array_equal(f([1, 2], [-1, 0]), [3, 5])
    np.testing.assert_array_equal(f([1, 2], [2, 1]), [9, 7])
    (branches,) = [node.op for node in f.maker.fgraph.nodes if node.op.lazy]
    assert all(any(is_fused(node) for node in graph.nodes) for graph in branches.graphs)


# within other graphs, and again


def test_steps_of_loops_are_fused():
    hs, _ = rg.scan(lambda h, v: T.tanh(h * v + 1), outputs_info=[u], non_sequences=[v], n_steps=3)
    f = rg.function([u, v], hs, mode=FUSE)
    (loop,) = [node.op for node in f.maker.fgraph.nodes if node.op.name == "scan"]
    assert groups(loop.graph) == [["mul", "add", "tanh"]]
    want = np.ones(2)
    for got in f(np.ones(2), np.array([1.0, 2.0])):
        want = np.tanh(want * [1.0, 2.0] + 1)
        np.testing.assert_array_equal(got, want)


def test_what_is_fused_is_not_fused_again():
    graph = fused(T.exp(x * y) + T.dot(x, y), x - y)
    assert rewrite(graph, [fuse_elementwise]) is graph


def test_what_was_fused_is_opened_to_be_rewritten():
    graph = fused(T.exp(x * y) + T.exp(x * y))
    opened = rewrite(graph, [fused_in_line])
    assert groups(opened) == ["mul", "exp", "add"]
    again = rewrite(graph, [fused_in_line, fuse_elementwise])
    assert groups(again) == groups(graph)


def test_an_inline_subgraph_is_opened_and_another_is_not():
    for inline in (True, False):
        op = rg.OpFromGraph([x, y], [T.exp(x) + y, x * y], inline=inline)
        graph = rewrite(graph_of(*op(y, w)), [subgraph_in_line])
        assert ops(graph) == (["add", "exp", "mul"] if inline else ["subgraph"])


def test_an_inline_subgraph_is_fused_with_its_neighbours():
    z = T.tanh(rg.OpFromGraph([x, y], [T.exp(x) + y], inline=True)(x, w))
    assert groups(rewrite(graph_of(z), select.chosen("fast_run"))) == [["exp", "add", "tanh"]]


def test_lengths_are_not_read_from_what_was_there_before():
    """Another rule may look at them again when all is fused."""
    z = T.exp(x * y) + 1
    graph = graph_of(z, z.shape[0] * 2, T.dot(z, w))
    rules = select.chosen("fast_run")
    unfused = rewrite(graph, [r for r in rules if r.phase != "fuse"])
    assert "shape_i" in ops(unfused)
    assert ops(rewrite(graph, rules)) == ops(unfused)


# time


class Counting(Facts):
    """Facts that count what they are asked."""

    asked = 0

    def lengths(self, x):
        self.asked += 1
        return super().lengths(x)


def test_a_long_chain_is_fused_in_time_linear_in_its_length():
    z = x
    for i in range(10_000):
        z = T.tanh(z * y) if i % 5 else T.dot(z, y)
    graph = graph_of(z)
    facts = Counting(graph, Lengths())
    found = fuse_elementwise(graph, facts)
    assert len(graph.nodes) == 18_000
    assert facts.asked <= len(graph.nodes)
    assert len(found.nodes) == 4_000


def test_a_long_group_is_cut():
    z = x
    for _ in range(10_000):
        z = T.tanh(z * y)
    found = fused(z)
    assert max(len(node.op.graph.nodes) for node in found.nodes) == _MOST
    assert len(found.nodes) == -(-20_000 // _MOST)
    a = np.random.default_rng(0).normal(size=(2, 3))
    inputs = [a, a + 1, a, a[0], a[0]]
    np.testing.assert_array_equal(Plan(found)(*inputs)[0], Plan(graph_of(z))(*inputs)[0])


# lines


def test_an_application_is_of_the_lines_of_all_that_it_holds():
    e = T.exp(x)
    z = e * y
    (node,) = fused(z).nodes
    lines = [places(o)[0].text.strip() for o in (node.origin, *others_of(node.origin))]
    assert lines == ["z = e * y", "e = T.exp(x)"]
    assert [places(n.origin)[0].text.strip() for n in node.op.graph.nodes] == lines[::-1]


def test_an_error_names_the_line_of_the_op_inside():
    e = T.exp(x) * y
    f = rg.function([x, y], T.tanh(e) + 1, mode=FUSE)
    with pytest.raises(ShapeError) as caught:
        f(np.ones((2, 3)), np.ones((2, 4)))
    assert "mul cannot broadcast shapes (2, 3) and (2, 4)" in str(caught.value)
    assert "e = T.exp(x) * y" in str(caught.value)


# by chance


def arrays_for(n):
    rng = np.random.default_rng(n)
    return [*[rng.normal(size=(n, n)) for _ in range(3)], *[rng.normal(size=n) for _ in range(2)]]


def assert_same(graph, arrays):
    """Fused and not, it answers the same, and every op is there as often as before; but for a single one, in groups."""
    found = rewrite(graph, [fuse_elementwise])
    merged = rewrite(graph, [])
    assert ops(found) == sorted(node.op.name for node in merged.nodes)
    for node in found.nodes:
        if is_fused(node):
            assert 1 < len(node.op.graph.nodes) <= _MOST
            assert all(isinstance(n.op, (Elemwise, Reduction)) for n in node.op.graph.nodes)
    for got, want in zip(Plan(found)(*arrays), Plan(graph)(*arrays), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, equal_nan=True, strict=True)


UNARY = [T.tanh, T.neg, T.sin, lambda z: z * 0.5, lambda z: T.switch(z > 0, z, -0.1 * z), lambda z: z.astype("float32")]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, T.maximum, lambda a, b: T.switch(T.gt(a, b), a, b)]
REDUCING = [T.sum, T.max, lambda z: T.mean(z, axis=-1), lambda z: T.sum(z, axis=0), lambda z: T.argmin(z, axis=0)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_graphs(data):
    """Elementwise ops, reductions, and in between products of matrices and views, that read one another as it comes."""
    pool = [x, y, w, v, u]
    for _ in range(data.draw(st.integers(1, 25))):
        a = data.draw(st.sampled_from(pool))
        kind = data.draw(st.sampled_from(["unary", "unary", "binary", "binary", "reduce", "other"]))
        if kind == "unary":
            made = data.draw(st.sampled_from(UNARY))(a)
        elif kind == "binary":
            made = data.draw(st.sampled_from(BINARY))(a, data.draw(st.sampled_from(pool)))
        elif kind == "reduce" and a.type.ndim:
            made = data.draw(st.sampled_from(REDUCING))(a)
        elif a.type.ndim == 2:
            made = data.draw(st.sampled_from([lambda z: T.dot(z, y), lambda z: z.T, lambda z: z[0], lambda z: z / 2]))(
                a
            )
        else:
            made = T.exp(-abs(a))
        pool.append(made)
    outputs = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=5))
    assert_same(graph_of(*outputs), arrays_for(data.draw(st.sampled_from([1, 2, 3]))))
