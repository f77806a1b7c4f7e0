"""Rules: what may be declared, and what may not."""

import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import RewriteError
from refgraph.rules import PHASES, RULES, Reals, graph_rule, node_rule, rule

pytestmark = pytest.mark.usefixtures("own_rules")

x = T.dvector("x")
REAL = Reals(-4, 4)


def test_a_decorated_function_is_a_rule_that_functions_are_made_by():
    @node_rule("canonical", T.tan(x).owner.op)
    def tangent(node):
        """tan(x) is sin(x) / cos(x)."""
        return T.sin(node.inputs[0]) / T.cos(node.inputs[0])

    assert RULES["tangent"] is tangent
    names = {node.op.name for node in rg.function([x], T.tan(x), mode=rg.Mode().excluding("fuse")).graph.nodes}
    assert "tan" not in names
    left = rg.function([x], T.tan(x), mode=rg.Mode().excluding("tangent")).graph
    assert [node.op.name for node in left.nodes] == ["tan"]


def test_a_pair_is_read_from_its_function():
    @rule("stable", REAL, fails=[30, (40.0,)])
    def one(x):
        """The docstring."""
        return T.log(1 + x), T.log1p(x)

    assert (one.name, one.phase, one.__doc__) == ("one", "stable", "The docstring.")
    assert one.fails == ((30,), (40.0,))
    assert one.on == (REAL,)


def test_declaring_the_same_function_again_replaces_it():
    """As when a cell of a notebook runs again."""

    def declare():
        @graph_rule("fuse")
        def nothing(graph):
            """The graph itself."""
            return graph

        return nothing

    first, second = declare(), declare()
    assert RULES["nothing"] is second is not first


def test_another_rule_of_the_same_name_is_refused():
    @node_rule("stable")
    def twin(node):
        """Nothing."""

    first = twin

    class Other:
        @staticmethod
        def twin(node):
            """Nothing."""

    with pytest.raises(RewriteError, match="there is a rule of that name"):
        node_rule("stable")(Other.twin)
    assert RULES["twin"] is first


def test_the_name_of_a_phase_is_refused():
    def fuse(node):
        """Nothing."""

    with pytest.raises(RewriteError, match="there is a phase of that name"):
        node_rule("stable")(fuse)


def test_an_unknown_phase_is_refused_with_those_there_are():
    def nothing(node):
        """Nothing."""

    with pytest.raises(RewriteError, match="no phase 'turns'") as caught:
        node_rule("turns")(nothing)
    assert ", ".join(PHASES) in caught.value.help
    assert "nothing" not in RULES


def test_a_pair_whose_phase_is_left_out_is_refused_with_those_there_are():
    with pytest.raises(RewriteError, match="no phase <refgraph") as caught:
        rule(Reals(-4, 4))(lambda x: (x + 0, x))
    assert ", ".join(PHASES) in caught.value.help


def test_a_pair_needs_a_domain_for_each_hole():
    with pytest.raises(RewriteError, match="does not take 1 holes, one for each domain") as caught:
        rule("canonical", Reals(-4, 4))(lambda x, y: (x + y, y + x))
    assert caught.value.why == "missing a required argument: 'y'"


def test_a_rule_without_a_sentence_is_refused():
    def silent(node):
        return None

    with pytest.raises(RewriteError, match="silent has no docstring"):
        node_rule("stable")(silent)


def test_a_pair_whose_left_side_is_a_hole_is_refused():
    with pytest.raises(RewriteError, match="must be an application"):
        rule("stable", REAL, name="backwards")(lambda x: (x, T.log(T.exp(x))))
