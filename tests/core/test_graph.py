"""Variables, applications, walks, rebuilding, and closed graphs."""

import pytest

from refgraph.core.errors import MissingInputError
from refgraph.core.graph import Constant, Graph, ancestors, leaves, rebuild, toposort
from refgraph.core.op import Op
from refgraph.core.types import Generic, Type, generic


class Join(Op):
    name = "join"

    def infer(self, *inputs):
        return (inputs[0].type,)


class Halves(Op):
    name = "halves"

    def infer(self, x):
        return x.type, x.type


join, halves = Join(), Halves()


@pytest.fixture
def diamond():
    x, y = generic("x"), generic("y")
    a = join(x, y)
    b, c = join(a), join(a, x)
    d = join(b, c)
    return x, y, a, b, c, d


# variables


def test_names():
    x = generic("x")
    a, b = halves(x)

    assert (str(x), str(a), str(b)) == ("x", "halves.0", "halves.1")
    assert str(generic()) == "<Generic>"
    b.name = "b"
    assert repr(b) == "b"
    assert repr(b.owner) == "halves(x)"


def test_a_constant_shows_its_name_or_its_value():
    assert str(Constant(generic, 3)) == "Constant{3}"
    assert str(Constant(generic, 3, "three")) == "three"
    assert str(Constant(generic, "long " * 50)).endswith("...}")
    assert Constant(generic, 3).data == 3


def test_a_clone_is_fresh_but_for_constants():
    x, three = generic("x"), Constant(generic, 3)
    y = join(x).clone("y")

    assert x.clone() is not x
    assert (x.clone().name, x.clone().type) == ("x", generic)
    assert (y.name, y.owner) == ("y", None)
    assert three.clone() is three


def test_variables_are_compared_by_identity():
    x = generic("x")

    assert x == x
    assert x != generic("x")
    assert len({x, x.clone(), x}) == 2


def test_tags_are_made_when_asked_for_and_can_be_replaced():
    x = generic("x")
    x.tag.test_value = 3
    y = join(x)
    y.tag = x.tag
    y.owner.tag.note = "n"

    assert y.tag.test_value == 3
    assert y.owner.tag.note == "n"
    assert not hasattr(generic().tag, "test_value")


def test_parents_and_counts():
    x = generic("x")
    a, _ = halves(x)

    assert x.get_parents() == []
    assert a.get_parents() == [a.owner]
    assert (a.owner.nin, a.owner.nout) == (1, 2)
    assert join(x).owner.out.owner.op is join


# walks


def test_toposort_has_each_application_once_inputs_first(diamond):
    x, y, a, b, c, d = diamond

    assert toposort([d]) == [a.owner, b.owner, c.owner, d.owner]
    assert toposort([c, d, a]) == [a.owner, c.owner, b.owner, d.owner]
    assert toposort([x, y]) == []


def test_toposort_does_not_look_behind_stops(diamond):
    _x, _y, a, b, c, d = diamond

    assert toposort([d], [a]) == [b.owner, c.owner, d.owner]
    assert toposort([d], {b, c}) == [d.owner]
    assert toposort([d], [d]) == []


def test_an_application_of_two_outputs_comes_once():
    a, b = halves(generic())

    assert toposort([b, a]) == [a.owner]


def test_ancestors_and_leaves(diamond):
    x, y, a, b, c, d = diamond

    assert ancestors([d]) == [x, y, a, b, c, d]
    assert leaves([d]) == [x, y]
    assert leaves([d], [a]) == [a, x]
    assert ancestors([x]) == [x]


# rebuilding


def test_rebuild_shares_what_depends_on_no_replacement(diamond):
    x, y, a, b, c, d = diamond
    z = generic("z")
    (new,) = rebuild([d], {c: z})

    assert new.owner.inputs == (b, z)
    assert rebuild([d], {generic(): z}) == [d]
    (other,) = rebuild([d], {y: z})
    assert leaves([other]) == [x, z]
    assert leaves([d]) == [x, y]
    assert a.owner.inputs == (x, y)


def test_rebuild_keeps_names_and_origins(diamond):
    x, _y, a, _b, _c, _d = diamond
    a.name = "a"
    (new,) = rebuild([a], {x: generic("z")})

    assert new is not a
    assert new.name == "a"
    assert new.owner.origin == a.owner.origin


def test_rebuild_changes_nodes_after_their_inputs(diamond):
    x, y, a, _b, _c, d = diamond
    seen = []

    def change(node):
        seen.append(node)
        return [x] if len(node.inputs) == 1 else None

    (new,) = rebuild([d], change=change)

    assert new.owner.inputs[0] is x
    assert len(seen) == 4
    assert a.owner.inputs == (x, y)


def test_other_types_are_inferred_anew():
    class Other(Type):
        pass

    x, z = generic("x"), Other()("z")
    (new,) = rebuild([join(x)], {x: z})

    assert new.type is z.type


# closed graphs


def test_a_graph_refuses_what_is_missing_and_says_what_there_is(diamond):
    x, _y, _a, _b, _c, d = diamond

    with pytest.raises(MissingInputError) as error:
        Graph([x], [d])

    assert error.value.message == "no value for y (Generic), used by join"
    assert error.value.why == "the inputs are: x"
    with pytest.raises(MissingInputError, match="no value for z"):
        Graph([], [generic("z")])


def test_a_graph_may_begin_in_the_middle_and_hold_constants(diamond):
    x, _y, a, _b, _c, d = diamond

    assert len(Graph([a, x], [d]).nodes) == 3
    assert Graph([], [join(Constant(generic, 3))]).inputs == ()


def test_clients_are_readers_by_number(diamond):
    x, y, a, b, c, d = diamond
    graph = Graph([x, y], [d, a])

    assert graph.clients[a] == [(b.owner, 0), (c.owner, 0), ("output", 1)]
    assert graph.clients[x] == [(a.owner, 0), (c.owner, 1)]
    assert graph.clients[d] == [("output", 0)]
    assert graph.variables == (x, y, a, b, c, d)


def test_theanos_names(diamond):
    x, y, _a, _b, _c, d = diamond
    graph = Graph([x, y], [d])

    assert graph.toposort() == list(graph.nodes)
    assert graph.apply_nodes == set(graph.nodes)


def test_a_graph_is_a_function_of_variables(diamond):
    x, y, _a, _b, _c, d = diamond
    graph = Graph([x, y], [d])
    p = generic("p")
    (out,) = graph(p, p)
    copy = graph.clone()

    assert leaves([out]) == [p]
    assert len(copy.nodes) == 4
    assert not set(copy.variables) & set(graph.variables)
    assert [v.name for v in copy.inputs] == ["x", "y"]
    with pytest.raises(ValueError, match="zip"):
        graph(p)


def test_generic_types_are_equal_and_others_are_themselves():
    assert Generic() == generic
    assert hash(Generic()) == hash(generic)
    assert Type() != Type()


def test_an_output_that_is_given_is_met_only_where_it_is_read():
    x = generic("x")
    a, b = halves(x)

    assert leaves([b], [x, a]) == [x]
    assert ancestors([b], [x, a]) == [x, b]
    assert leaves([a, b], [x, a]) == [x, a]
    graph = Graph([x, a], [b, a])
    assert graph.variables == (x, a, b)
    assert graph.clients == {x: [(b.owner, 0)], a: [("output", 1)], b: [("output", 0)]}
