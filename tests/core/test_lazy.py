"""What is moved into the branches of lazy ops."""

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import Graph
from refgraph.core.lazy import _DEEPEST, gather, gathered
from refgraph.ifelse import ifelse

x, y, c = T.dscalar("x"), T.dscalar("y"), T.bscalar("c")


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_what_one_branch_needs_is_moved_into_it():
    graph = gathered(Graph([c, x], [ifelse(c, T.exp(T.sin(x)), T.cos(x))]))
    then, orelse = graph.nodes[-1].op.graphs

    assert names(graph) == ["ifelse"]
    assert names(then) == ["sin", "exp"]
    assert names(orelse) == ["cos"]
    assert graph.nodes[-1].inputs == (c, x)


def test_what_others_need_stays():
    trunk, read = T.sin(x), T.exp(y)
    graph = gathered(Graph([c, x, y], [ifelse(c, trunk * 2, trunk + read), read]))

    assert sorted(names(graph)) == ["exp", "ifelse", "sin"]
    assert graph.outputs[1] is read


def test_users_of_a_choice_are_made_anew_and_keep_their_names():
    choice = ifelse(c, T.exp(x), x)
    choice.name = "choice"
    user = choice * 2
    user.name = "user"
    graph = gathered(Graph([c, x], [user]))

    assert names(graph) == ["ifelse", "mul"]
    assert [node.out.name for node in graph.nodes] == ["choice", "user"]
    assert [node.origin for node in graph.nodes] == [choice.owner.origin, user.owner.origin]


def test_what_is_given_stays_outside_and_nothing_behind_it_is_moved():
    middle = T.exp(x)
    graph = gathered(Graph([c, middle], [ifelse(c, T.sin(middle), middle)]))

    assert names(graph) == ["ifelse"]
    assert graph.nodes[0].inputs == (c, middle)


def test_a_branch_within_a_branch_is_moved_with_all_it_needs():
    inner = ifelse(x > 0, T.exp(x), x)
    graph = gathered(Graph([c, x], [ifelse(c, T.sin(inner), x)]))
    then, _ = graph.nodes[0].op.graphs

    assert names(graph) == ["ifelse"]
    assert names(then) == ["gt", "ifelse", "sin"]
    assert names(then.nodes[1].op.graphs[0]) == ["exp"]


def test_outputs_that_nothing_reads_are_dropped():
    first, second = ifelse(c, [T.exp(x), T.sin(x)], [T.cos(y), y])
    (node,) = gathered(Graph([c, x, y], [second])).nodes

    assert len(node.outputs) == 1
    assert names(node.op.graphs[0]) == ["sin"]
    assert first.owner is second.owner


def test_a_constant_branch_takes_no_input():
    (node,) = gathered(Graph([c, x], [ifelse(c, T.exp(x), 0.0)])).nodes

    assert node.inputs == (c, x)
    assert names(node.op.graphs[1]) == []


def test_what_is_gathered_stays():
    graph = gathered(Graph([c, x], [ifelse(c, ifelse(x > 0, T.exp(x), x), T.cos(x))]))

    assert names(gathered(graph)) == names(graph)
    assert [len(g.nodes) for g in gathered(graph).nodes[0].op.graphs] == [2, 1]


def test_stand_ins_say_what_they_compute():
    a = T.exp(x)
    first, second = ifelse(c, [a, T.sin(x)], [x, y])
    graph = Graph([c, x, y], [second])
    stand_ins = gather(graph.nodes, graph.outputs, ())

    assert stand_ins[a.owner] == (a.owner, ())
    assert list(stand_ins[first.owner][1]) == [second]
    assert stand_ins[first.owner][0] is not first.owner


def test_branches_nest_to_some_depth_and_are_right_beyond():
    out = x
    for i in range(_DEEPEST + 20):
        out = ifelse(x > i, x + i, T.sin(out))
    graph, depth = gathered(Graph([x], [out])), 0
    while len([node for node in graph.nodes if node.op.name == "ifelse"]) == 1:
        (graph,) = [node.op.graphs[1] for node in graph.nodes if node.op.name == "ifelse"]
        depth += 1

    assert depth == _DEEPEST
    assert not any(node.op.lazy for node in graph.nodes)
    want = 0.5
    for _ in range(_DEEPEST + 19):
        want = np.sin(want)
    np.testing.assert_allclose(rg.function([x], out)(0.5), want)
