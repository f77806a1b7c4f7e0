"""The engine: merging, order, fixpoints, budgets, names and lines, errors of rules."""

import linecache
import warnings

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import RewriteError
from refgraph.core.graph import Constant, Graph, toposort
from refgraph.core.origin import others_of, places
from refgraph.interp.evaluate import evaluate
from refgraph.ops import elementwise as e
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.rule import RULES, GraphRule, NodeRule, PairRule
from refgraph.rules import Reals

x, y = T.dvector("x"), T.dvector("y")
REAL = Reals(-4, 4)


pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture(autouse=True)
def _strict():
    with rg.config.change_flags(on_opt_error="raise"):
        yield


def pair(build, phase="stable", on=(REAL,), name="a_pair"):
    return PairRule(name, phase, "A rule of a test.", build, on)


def node_rule(function, *at, phase="canonical", always=False):
    function.__doc__ = "A rule of a test."
    return NodeRule(function, phase, at, always)


def rewritten(outputs, *rules, inputs=(x, y), note=None):
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return rewrite(Graph(inputs, outputs), rules, note)


def ops(graph):
    return [node.op.name for node in graph.nodes]


# merging


def test_equal_expressions_become_one():
    graph = rewritten([T.exp(x + y), T.exp(x + y)])
    assert graph.outputs[0] is graph.outputs[1]
    assert ops(graph) == ["add", "exp"]


def test_order_does_not_matter_where_an_op_commutes():
    graph = rewritten([x + y, y + x, x - y, y - x])
    assert graph.outputs[0] is graph.outputs[1]
    assert ops(graph) == ["add", "sub", "sub"]


def test_equal_constants_become_one():
    graph = rewritten([x * 2.5, x * np.float64(2.5), x * 2.0])
    assert graph.outputs[0] is graph.outputs[1]
    assert len({v for node in graph.nodes for v in node.inputs if isinstance(v, Constant)}) == 2


def test_constants_that_differ_in_sign_of_zero_or_dtype_stay_two():
    graph = rewritten([x * 0.0, x * -0.0])
    assert graph.outputs[0] is not graph.outputs[1]


def test_a_constant_keeps_its_dtype_beside_other_neighbours():
    """A number that takes its neighbours' dtype has taken it when the graph was built."""
    v = T.fvector("v")
    double = T.alloc(T.constant(2.0), 3)

    def without_alloc(node):
        made = node.inputs[0].owner
        return None if made is None else T.alloc(made.inputs[0] * node.inputs[1], 3)

    graph = rewritten(double * v, node_rule(without_alloc, e.mul), inputs=[v])
    assert graph.outputs[0].dtype == "float64"


def test_what_is_merged_is_merged_in_what_depends_on_it():
    a, b = T.exp(x), T.exp(x)
    graph = rewritten([T.tanh(a) + T.tanh(b)])
    assert ops(graph) == ["exp", "tanh", "add"]


def test_graphs_within_ops_are_merged_too():
    f = rg.OpFromGraph([x], [T.exp(x) * T.exp(x)], inline=False)
    graph = rewritten(f(y))
    (node,) = graph.nodes
    assert ops(node.op.graphs[0]) == ["exp", "mul"]


def test_a_graph_in_which_nothing_changes_is_itself():
    graph = Graph([x, y], [T.exp(x) + y])
    assert rewrite(graph, []) is graph


def test_the_old_graph_stays_as_it_was():
    out = T.log(1 + x)
    nodes = toposort([out])
    rewritten(out, pair(lambda x: (T.log(1 + x), T.log1p(x))))
    assert toposort([out]) == nodes


def test_a_graph_may_start_in_the_middle_of_an_expression():
    middle = T.exp(x)
    graph = rewrite(Graph([middle], [T.log(1 + middle)]), [pair(lambda x: (T.log(1 + x), T.log1p(x)))])
    assert ops(graph) == ["log1p"]
    assert graph.outputs[0].owner.inputs[0] is middle


# rules


def test_a_rule_sees_inputs_in_their_final_form():
    rules = [
        pair(lambda x: (T.log(1 + x), T.log1p(x)), name="one"),
        pair(lambda x: (T.log1p(T.exp(x)), T.softplus(x)), name="two"),
    ]
    assert ops(rewritten(T.log(1 + T.exp(x)), *rules)) == ["softplus"]
    assert ops(rewritten(T.log(1 + T.exp(x)), *rules[::-1])) == ["softplus"]


def test_what_a_rule_answers_is_rewritten_too():
    rules = [
        pair(lambda x: (T.tan(x), T.sin(x) / T.cos(x)), name="one"),
        pair(lambda x: (T.sin(x), T.cosh(x)), name="two"),
    ]
    assert sorted(ops(rewritten(T.tan(x), *rules))) == ["cos", "cosh", "true_div"]


def test_a_pattern_finds_operands_that_commute_in_either_order():
    r = pair(lambda x, y: (T.log(T.exp(x) * T.square(y)), x + 2 * T.log(abs(y))), on=(REAL, REAL))
    for out in (T.log(T.exp(x) * T.square(y)), T.log(T.square(y) * T.exp(x))):
        assert ops(rewritten(out, r)) == ["abs", "log", "mul", "add"]


def test_a_hole_that_comes_twice_must_be_the_same():
    r = pair(lambda x: (T.exp(x) * T.sin(x), T.cosh(x)))
    assert ops(rewritten(T.exp(x) * T.sin(x), r)) == ["cosh"]
    assert "cosh" not in ops(rewritten(T.exp(x) * T.sin(y), r))


def test_both_orders_of_nested_operands_are_tried():
    r = pair(lambda x, y: (T.exp(x * y) + T.sin(x), T.cosh(x) * y), on=(REAL, REAL))
    assert "cosh" in ops(rewritten(T.exp(y * x) + T.sin(y), r))


def test_a_domain_chooses_dtypes():
    r = pair(lambda x: (abs(abs(x)), abs(x)), on=(Reals(-4, 4, kinds="f"),))
    n = T.lvector("n")
    assert ops(rewritten(abs(abs(x)), r)) == ["abs"]
    assert ops(rewritten(abs(abs(n)), r, inputs=[n])) == ["abs", "abs"]


def test_numbers_take_the_dtype_of_what_is_beside_them():
    r = pair(lambda x: (T.tan(x), 0.5 * T.sin(2 * x)))
    v = T.fvector("v")
    assert rewritten(T.tan(v), r, inputs=[v]).outputs[0].dtype == "float32"


def test_a_pair_does_not_apply_where_the_dtype_would_change():
    r = pair(lambda x: (T.sqrt(x * x), abs(x)))
    n = T.ivector("n")
    assert ops(rewritten(T.sqrt(n * n), r, inputs=[n])) == ["mul", "sqrt"]


def test_a_side_without_a_hole_keeps_the_shape():
    r = pair(lambda x: (x * 0, 0))
    m = T.dmatrix("m")
    graph = rewritten((m + x) * 0, r, inputs=[m, x])
    (found,) = evaluate(graph.outputs, {m: np.ones((3, 1)), x: np.ones(4)})
    np.testing.assert_array_equal(found, np.zeros((3, 4)), strict=True)


def test_phases_run_in_order():
    seen = []

    def note(rule, old, new):
        seen.append(rule.name)

    rules = [
        pair(lambda x: (T.sinh(x), T.cosh(x)), "specialize", name="late"),
        pair(lambda x: (T.tan(x), T.sinh(x)), "canonical", name="early"),
    ]
    rewritten(T.tan(x), *rules, note=note)
    assert seen == ["early", "late"]


def test_an_early_rule_is_not_tried_late_unless_it_says_so():
    def early(node):
        return T.cosh(node.inputs[0])

    late = pair(lambda x: (T.tan(x), T.sinh(x)), "specialize", name="late")
    assert ops(rewritten(T.tan(x), node_rule(early, e.sinh), late)) == ["sinh"]
    del RULES["early"]
    assert ops(rewritten(T.tan(x), node_rule(early, e.sinh, always=True), late)) == ["cosh"]


def test_rules_look_into_graphs_within_ops():
    f = rg.OpFromGraph([x], [T.log(1 + x)], inline=False)
    graph = rewritten(f(y), pair(lambda x: (T.log(1 + x), T.log1p(x))))
    (node,) = graph.nodes
    assert ops(node.op.graphs[0]) == ["log1p"]


def test_a_rule_for_graphs_takes_turns_with_the_others():
    def first_output_twice(graph):
        "A rule of a test."
        out = graph.outputs[0]
        return graph if out.owner.op is e.tan else Graph(graph.inputs, [T.tan(out)])

    rules = [GraphRule(first_output_twice, "fuse"), pair(lambda x: (T.tan(T.exp(x)), T.tan(x)), "fuse")]
    assert ops(rewritten(T.exp(x), *rules)) == ["tan"]


def test_facts_tell_readers_and_shapes():
    asked = {}
    a = T.exp(x)

    def ask(node, facts):
        asked["readers"] = facts.readers(node.inputs[0])
        asked["same"] = facts.same_shape(node.inputs[0], x), facts.same_shape(node.inputs[0], y)
        asked["lengths"] = facts.lengths(node.inputs[0]) == facts.lengths(x)

    rewritten([T.tanh(a), T.sin(a), a], node_rule(ask, e.tanh))
    assert asked == {"readers": 3, "same": (True, False), "lengths": True}


def test_readers_of_what_stands_for_something_are_those_of_that():
    asked = []
    a = T.tan(x)

    def ask(node, facts):
        asked.append(facts.readers(node.inputs[0]))

    rewritten([T.tanh(a), T.sin(a)], pair(lambda x: (T.tan(x), T.cosh(x)), "canonical"), node_rule(ask, e.tanh))
    assert set(asked) == {2}


# names and lines


def test_names_stay():
    out = T.log(1 + x)
    out.name = "loss"
    assert rewritten(out, pair(lambda x: (T.log(1 + x), T.log1p(x)))).outputs[0].name == "loss"


def test_an_input_that_stands_for_an_output_is_not_renamed():
    out = T.log(T.exp(x))
    out.name = "loss"
    rewritten(out, pair(lambda x: (T.log(T.exp(x)), x)))
    assert x.name == "x"


def test_the_lines_of_all_that_was_replaced_are_kept():
    inner = 1 + x  # inner line
    out = T.log(inner)  # outer line
    node = rewritten(out, pair(lambda x: (T.log(1 + x), T.log1p(x)))).outputs[0].owner
    lines = [places(o)[0].text for o in (node.origin, *others_of(node.origin))]
    assert [line.partition("# ")[2] for line in lines] == ["outer line", "inner line"]
    assert "together with" in str(RewriteError("wrong", node=node))
    linecache.clearcache()


# growth


def test_time_is_linear_and_depth_does_not_matter():
    """Counted: how often a rule is asked, for graphs of which one is twice as deep as the other."""
    counts = []
    for depth in (5_000, 10_000):
        out, count = x, [0]
        for _ in range(depth):
            out = T.tanh(out) + y

        def ask(node, count=count):
            count[0] += 1

        rewritten(out, node_rule(ask))
        del RULES["ask"]
        counts.append(count[0])
    assert counts == [10_000, 20_000]


def test_a_chain_of_answers_as_long_as_the_graph_is_deep_does_not_recurse():
    out = x
    for _ in range(5_000):
        out = T.tanh(out)

    def inwards(node):
        inner = node.inputs[0].owner
        return None if inner is None else T.tanh(T.sinh(inner.inputs[0]))

    graph = rewritten(T.sinh(out), node_rule(inwards, e.sinh))
    assert ops(graph) == ["sinh", *["tanh"] * 5_000]


def test_rules_that_turn_in_circles_are_named():
    def there(node):
        return T.sub(*node.inputs[::-1])

    with pytest.raises(RewriteError, match=r"does not settle: .* the rule there applies again") as caught:
        rewritten(T.exp(x) - y, node_rule(there, e.sub))
    assert "there" in caught.value.why


def test_a_rule_for_graphs_that_never_ends_is_named():
    def again(graph):
        "A rule of a test."
        return Graph(graph.inputs, [T.tanh(graph.outputs[0])])

    with pytest.raises(RewriteError, match="does not settle after 20 rounds of again"):
        rewritten(T.exp(x), GraphRule(again, "fuse"))


# errors of rules


def bad(node):
    raise ZeroDivisionError("of all things")


def test_a_rule_that_raises_is_named_with_the_line():
    with pytest.raises(RewriteError, match="the rule bad raised ZeroDivisionError on exp") as caught:
        rewritten(T.exp(x), node_rule(bad))  # this line
    assert "of all things" in str(caught.value)
    assert "# this line" in str(caught.value)


def test_by_default_a_bad_rule_is_a_warning_and_the_rest_goes_on():
    rules = [node_rule(bad, e.log), pair(lambda x: (T.log(1 + x), T.log1p(x)))]
    with rg.config.change_flags(on_opt_error="warn"), pytest.warns(UserWarning, match="the rule bad raised"):
        assert ops(rewritten(T.log(1 + x), *rules)) == ["log1p"]


def test_a_bad_rule_may_be_ignored():
    with rg.config.change_flags(on_opt_error="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ops(rewritten(T.exp(x), node_rule(bad, e.log))) == ["exp"]


@pytest.mark.parametrize(
    "answer",
    [lambda x: x.astype("float32"), lambda x: x[None], lambda x: T.specify_shape(x, (3,))[:2], lambda x: [x, x]],
    ids=["dtype", "rank", "length", "count"],
)
def test_answers_of_another_type_are_refused(answer):
    v = T.specify_shape(x, (3,))

    def wrong(node):
        return answer(node.inputs[0])

    with pytest.raises(RewriteError, match="cannot stand for float64"):
        rewritten(T.exp(v), node_rule(wrong, e.exp))


def test_what_does_not_settle_leaves_the_graph_as_it_was():
    def there(node):
        return T.sub(*node.inputs[::-1])

    graph = Graph([x, y], [T.exp(x) - y])
    with rg.config.change_flags(on_opt_error="ignore"):
        assert rewrite(graph, [node_rule(there, e.sub)]) is graph
