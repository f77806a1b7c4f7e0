"""ifelse: only the branch that is taken is computed, in derivatives too; types; errors that name the line."""

import copy
import pickle
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError, NullTypeGradError
from refgraph.core.graph import Graph, Variable
from refgraph.core.op import Op, is_zero
from refgraph.core.types import generic
from refgraph.ifelse import ifelse
from refgraph.interp.evaluate import evaluate
from refgraph.ops.branch import IfElse
from refgraph.ops.tensor import TensorType

x, y, c = T.dscalar("x"), T.dscalar("y"), T.bscalar("c")
v, w = T.dvector("v"), T.dvector("w")


class Noted(Op):
    """Its input, and a note of the name whenever it is computed; with a stroke for a derivative."""

    def __init__(self, name, notes):
        self.name, self.notes = name, notes

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        self.notes.append(self.name)
        return np.array(x)

    def vjp(self, node, cotangents):
        (g,) = cotangents
        return [Noted(self.name + "'", self.notes)(g) if isinstance(g, Variable) else g]

    jvp = vjp


@pytest.fixture
def notes():
    return []


@pytest.fixture
def noted(notes):
    return lambda name, x: Noted(name, notes)(x)


@pytest.fixture
def ran(notes):
    """What a call of a function computed of what is noted, and what it answered."""

    def call(f, *values):
        notes.clear()
        answer = f(*values)
        return sorted(notes), answer

    return call


def test_only_the_branch_that_is_taken_runs(noted, ran):
    f = rg.function([x], ifelse(x > 0, noted("then", x) * 2, noted("else", x) * 3))

    assert ran(f, 5.0) == (["then"], 10.0)
    assert ran(f, -5.0) == (["else"], -15.0)


@pytest.mark.parametrize("value", [True, 1, np.int8(3), 0.5, 2j, np.array(1)])
def test_a_number_may_be_the_condition(value, noted, ran):
    assert ran(rg.function([x], ifelse(value, noted("then", x), noted("else", x))), 1.0)[0] == ["then"]
    assert ran(rg.function([x], ifelse(value * 0, noted("then", x), noted("else", x))), 1.0)[0] == ["else"]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "complex128"])
def test_a_condition_has_any_dtype(dtype):
    condition = T.scalar("condition", dtype=dtype)
    f = rg.function([condition], ifelse(condition, 1, 2))

    assert (f(np.array(1, dtype)), f(np.array(0, dtype))) == (1, 2)


def test_lists_run_one_branch(noted, ran):
    f = rg.function([x], ifelse(x > 0, [noted("a", x), noted("b", x)], [noted("c", x), noted("d", x)]))

    assert ran(f, 1.0)[0] == ["a", "b"]
    assert ran(f, -1.0)[0] == ["c", "d"]


def test_an_output_that_nothing_reads_is_not_computed(noted, ran):
    first, _ = ifelse(x > 0, [noted("a", x), noted("b", x)], [noted("c", x), noted("d", x)])

    assert ran(rg.function([x], first), 1.0)[0] == ["a"]


def test_branches_within_branches(noted, ran):
    inner = ifelse(y > 0, noted("b", x), noted("c", x))
    f = rg.function([x, y], ifelse(x > 0, noted("a", x), inner + noted("d", x)))

    assert ran(f, 1.0, 1.0)[0] == ["a"]
    assert ran(f, -1.0, 1.0)[0] == ["b", "d"]
    assert ran(f, -1.0, -1.0)[0] == ["c", "d"]


def test_the_condition_of_an_inner_branch_is_computed_in_the_outer_one(noted, ran):
    f = rg.function([x], ifelse(x > 0, x, ifelse(noted("test", x) > -1, noted("b", x), noted("c", x))))

    assert ran(f, 1.0)[0] == []
    assert ran(f, -2.0)[0] == ["c", "test"]


def test_a_trunk_of_both_branches_runs_once(noted, ran):
    trunk = noted("trunk", x)
    f = rg.function([x], ifelse(x > 0, trunk * 2, T.exp(trunk)))

    assert ran(f, 1.0) == (["trunk"], 2.0)
    assert ran(f, 0.0) == (["trunk"], 1.0)


def test_what_other_expressions_read_too_runs_in_any_case(noted, ran):
    a, b = noted("a", x), noted("b", x)
    f = rg.function([x], [ifelse(x > 0, a * 2, b * 3), a + 1])

    assert ran(f, -1.0) == (["a", "b"], [-3.0, 0.0])
    assert ran(f, 1.0) == (["a"], [2.0, 2.0])


def test_what_is_an_output_itself_runs_in_any_case(noted, ran):
    a = noted("a", x)
    f = rg.function([x], [a, ifelse(x > 0, a, x)])

    assert ran(f, -1.0) == (["a"], [-1.0, -1.0])


def test_a_condition_may_read_what_a_branch_computes(noted, ran):
    a = noted("a", x)
    f = rg.function([x], ifelse(a > 0, a * 2, noted("b", x)))

    assert ran(f, 2.0) == (["a"], 4.0)
    assert ran(f, -2.0) == (["a", "b"], -2.0)


def test_one_variable_in_both_branches(noted, ran):
    a = noted("a", x)
    choice = ifelse(x > 0, a, a)

    assert ran(rg.function([x], choice), 2.0) == (["a"], 2.0)
    assert rg.grad(choice, x).eval({x: 2.0}) == 1.0


def test_inside_an_op_that_holds_a_graph(noted, ran):
    op = rg.OpFromGraph([x], [ifelse(x > 0, noted("a", x), noted("b", x))])
    f = rg.function([y], op(y))

    assert ran(f, 1.0)[0] == ["a"]
    assert ran(f, -1.0)[0] == ["b"]
    assert ran(rg.function([y], rg.grad(op(y), y), on_unused_input="ignore"), -1.0)[0] == ["b'"]


def test_inside_what_runs_for_every_item(noted, ran):
    from refgraph.ops.scan import map_graph

    (mapped,) = map_graph(lambda item: [ifelse(item > 0, noted("a", item), noted("b", item) * 10)], [v])
    names, answer = ran(rg.function([v], mapped), np.array([1.0, -1.0, -2.0]))

    assert names == ["a", "b", "b"]
    np.testing.assert_array_equal(answer, [1, -10, -20])


def test_inside_the_steps_of_a_loop(noted, ran):
    def step(item, state):
        return ifelse(item > 0, noted("a", state * item), noted("b", T.sqrt(state - 100) + state))

    last = rg.scan(step, sequences=[v], outputs_info=[x])[0][-1]
    slope, turned = rg.grad(last, x), rg.Rop(last, x, T.constant(1.0))

    assert ran(rg.function([v, x], last), [1.0, 2.0], 1.0) == (["a", "a"], 2.0)
    assert ran(rg.function([v, x], last), [1.0, -2.0], 400.0)[0] == ["a", "b"]
    for derivative in (slope, turned):
        names, answer = ran(rg.function([v, x], derivative), [1.0, 2.0], 1.0)
        assert (set(names), answer) == ({"a", "a'"}, 2.0)


def test_an_op_in_a_branch_is_not_entered(noted, ran):
    op = rg.OpFromGraph([x], [noted("a", x) * 2])

    assert ran(rg.function([x], ifelse(x > 0, op(x), x)), -1.0)[0] == []


def test_a_loop_in_a_branch_is_not_entered(noted, ran):
    last = rg.scan(lambda item, state: state * item + noted("a", x), sequences=[v], outputs_info=[T.constant(1.0)])[0][
        -1
    ]
    choice = ifelse(x > 0, last, x)
    f = rg.function([v, x], [choice, rg.grad(choice, x)])

    assert ran(f, [1.0, 2.0], -1.0) == ([], [-1.0, 1.0])
    assert ran(f, [1.0, 2.0], 1.0)[1] == [5.0, 3.0]


def test_branches_of_a_switch_are_both_computed(noted, ran):
    assert ran(rg.function([x], T.switch(x > 0, noted("a", x), noted("b", x))), 1.0)[0] == ["a", "b"]


# Derivatives


def test_a_gradient_runs_only_the_branch_that_is_taken(noted, ran):
    cost = ifelse(x > 0, noted("a", x) ** 2, noted("b", x) ** 3)
    f = rg.function([x], rg.grad(cost, x))

    assert ran(f, 3.0)[1] == 6.0
    assert ran(f, -3.0)[1] == 27.0
    assert set(ran(f, 3.0)[0]) == {"a", "a'"}
    assert set(ran(f, -3.0)[0]) == {"b", "b'"}


def test_a_training_function_stays_lazy(noted, ran):
    cost = ifelse(x > 0, noted("a", x) ** 2, noted("b", x) ** 3) * y
    f = rg.function([x, y], [cost, *rg.grad(cost, [x, y])])

    for value, (name, want) in {3.0: ("a", [18, 12, 9]), -3.0: ("b", [-54, 54, -27])}.items():
        names, answers = ran(f, value, 2.0)
        assert set(names) == {name, name + "'"}
        assert answers == want


def test_a_tangent_runs_only_the_branch_that_is_taken(noted, ran):
    f = rg.function([x, y], rg.Rop(ifelse(x > 0, noted("a", x) ** 2, noted("b", x) ** 3), x, y))

    names, answer = ran(f, 3.0, 2.0)
    assert (set(names), answer) == ({"a", "a'"}, 12.0)
    names, answer = ran(f, -3.0, 2.0)
    assert (set(names), answer) == ({"b", "b'"}, 54.0)


def test_a_value_and_its_tangent_together_stay_lazy(noted, ran):
    choice = ifelse(x > 0, noted("a", x) ** 2, noted("b", x) ** 3)
    f = rg.function([x, y], [choice, rg.Rop(choice, x, y)])

    names, answers = ran(f, -3.0, 2.0)
    assert (set(names), answers) == ({"b", "b'"}, [-27.0, 54.0])


def test_a_second_derivative_runs_only_the_branch_that_is_taken(noted, ran):
    slope = rg.grad(ifelse(x > 0, noted("a", x) ** 3, noted("b", x) ** 4), x)
    f = rg.function([x], rg.grad(slope, x))

    names, answer = ran(f, 2.0)
    assert ({n.rstrip("'") for n in names}, answer) == ({"a"}, 12.0)
    names, answer = ran(f, -2.0)
    assert ({n.rstrip("'") for n in names}, answer) == ({"b"}, 48.0)


def test_nested_gradients_run_one_branch(noted, ran):
    cost = ifelse(x > 0, noted("a", x), ifelse(x > -1, noted("b", x), noted("c", x)) * noted("d", x))
    f = rg.function([x], rg.grad(cost, x))

    assert set(ran(f, 1.0)[0]) == {"a'"}  # rewriting has found that the value of a is not needed
    assert set(ran(f, -0.5)[0]) == {"b", "b'", "d", "d'"}
    assert set(ran(f, -2.0)[0]) == {"c", "c'", "d", "d'"}
    assert ran(f, -2.0)[1] == -4.0


def test_by_an_intermediate_of_a_branch(noted, ran):
    hidden = noted("hidden", x) * 3
    cost = ifelse(x > 0, noted("a", hidden**2), noted("b", x))
    f = rg.function([x], rg.grad(cost, hidden))

    assert ran(f, 2.0)[1] == 12.0
    assert ran(f, -2.0)[1] == 0.0
    assert "hidden" not in ran(f, -2.0)[0]
    assert "a'" not in ran(f, -2.0)[0]


def test_by_the_trunk(noted, ran):
    trunk = x * y
    f = rg.function([x, y], rg.grad(ifelse(x > 0, trunk**2 * y, noted("b", trunk)), [trunk, y]))

    assert ran(f, 2.0, 3.0) == ([], [36.0, 2 * 6 * 2 * 3 + 36.0])
    assert ran(f, -2.0, 3.0)[1] == [1.0, -2.0]


def test_of_what_both_branches_and_others_read():
    shared = T.sin(x)
    cost = ifelse(x > 0, shared * x, shared**2) + shared
    f = rg.function([x], rg.grad(cost, x))

    np.testing.assert_allclose(f(1.0), np.cos(1) + np.sin(1) + np.cos(1))
    np.testing.assert_allclose(f(-1.0), 2 * np.sin(-1) * np.cos(-1) + np.cos(-1))


def test_nothing_flows_through_what_is_constant():
    a = x**2
    cost = ifelse(x > 0, a * x, a)

    assert rg.grad(cost, x, consider_constant=[a]).eval({x: 3.0}) == 9.0
    assert rg.grad(None, x, known_grads={a: T.constant(1.0), cost: T.constant(1.0)}).eval({x: 3.0}) == 15.0


def test_of_outputs_that_lie_in_a_branch():
    a = x**2
    choice = ifelse(x > 0, a * 3, x)
    f = rg.function([x], rg.Lop([choice, a], x, [T.constant(1.0), T.constant(10.0)]))

    assert (f(1.0), f(-1.0)) == (26.0, -19.0)


@pytest.mark.parametrize("derivative", [lambda f: rg.grad(f, x), lambda f: rg.Rop(f, x, T.constant(1.0))])
@pytest.mark.parametrize(
    ("build", "inside", "outside"),
    [
        (lambda x: ifelse(x > 0, T.sqrt(x), 0.0), (4.0, 0.25), (0.0, 0.0)),
        (lambda x: ifelse(x > 0, T.log(x), x), (2.0, 0.5), (-1.0, 1.0)),
        (lambda x: ifelse(T.eq(x, 0), 1.0, T.sin(x) / x), (np.pi, -1 / np.pi), (0.0, 0.0)),
        (lambda x: ifelse(x > 0, ifelse(x > 1, T.log(x), T.sqrt(x - 1)), 0), (2.0, 0.5), (-1.0, 0.0)),
        (lambda x: ifelse(x > 0, [T.sqrt(x), x], [x, T.arccos(x - 5)])[0], (4.0, 0.25), (-1.0, 1.0)),
    ],
)
def test_no_nan_comes_from_the_other_branch(derivative, build, inside, outside):
    f = rg.function([x], derivative(build(x)))

    for value, want in (inside, outside):
        np.testing.assert_allclose(f(value), want)


def test_no_nan_in_second_derivatives():
    second = rg.grad(rg.grad(ifelse(x > 0, T.sqrt(x), 0.0), x), x)

    assert second.eval({x: 4.0}) == -1 / 32
    assert second.eval({x: 0.0}) == 0.0


def test_no_nan_in_jacobians():
    choice = ifelse(v.sum() > 0, T.sqrt(v), v * 0)
    f = rg.function([v], [T.jacobian(choice, v), T.hessian(ifelse(v.sum() > 0, T.sqrt(v).sum(), 0.0), v)])

    for got, want in zip(f([1.0, 4.0]), ([0.5, 0.25], [-1 / 4, -1 / 32]), strict=True):
        np.testing.assert_allclose(got, np.diag(want))
    for got in f([0.0, -1.0]):
        np.testing.assert_array_equal(got, np.zeros((2, 2)))


def test_the_derivative_by_the_condition_is_zero_as_of_switch():
    assert rg.grad(ifelse(x, y, 2 * y), x).eval({x: 1.0}, on_unused_input="ignore") == 0.0
    assert rg.Rop(ifelse(x, y, 2 * y), x, T.constant(1.0)).eval({x: 1.0, y: 1.0}, on_unused_input="ignore") == 0.0


def test_what_no_branch_reads_is_not_connected():
    (by_y,) = rg.grad(ifelse(c, x, x**2), [y], disconnected_inputs="ignore", return_disconnected="none")

    assert by_y is None


def test_a_gradient_that_is_not_defined_is_reported():
    class Undefined(rg.Op):
        def make_node(self, x):
            return rg.Apply(self, [x], [x.type()])

        def grad(self, inputs, grads):
            return [rg.gradient.grad_not_implemented(self, 0, inputs[0], "on purpose")]

    with pytest.raises(NullTypeGradError, match="on purpose"):
        rg.grad(ifelse(c, Undefined()(x), x), x)


def test_gradients_of_integers_are_floats_of_their_shape():
    n = T.ivector("n")
    total = ifelse(c, (n * 2.0).sum(), n.astype("float64").sum())

    answer = rg.function([n, c], rg.grad(total, n))([1, 2], 1)
    assert answer.dtype == "float64"
    np.testing.assert_array_equal(answer, rg.function([n], rg.grad((n * 2.0).sum(), n))([1, 2]))


def test_the_cotangents_of_all_outputs_are_in_one_application():
    first, second = ifelse(x > 0, [T.exp(x), x * y], [y, x])
    by_x, by_y = rg.grad(first * second, [x, y])

    assert by_x.owner is by_y.owner
    assert isinstance(by_x.owner.op, IfElse)


def test_a_derivative_that_nothing_reads_is_not_computed(noted, ran):
    cost = ifelse(c, noted("a", x) * noted("b", y), x)

    assert "b'" not in ran(rg.function([x, y, c], rg.grad(cost, x)), 1.0, 1.0, 1)[0]


# Functions, modes, copies


def test_updates_are_lazy_and_applied(noted, ran):
    state = rg.shared(1.0)
    f = rg.function([c], updates=[(state, ifelse(c, noted("step", state * 2), state))])

    assert (ran(f, 1)[0], state.get_value()) == (["step"], 2.0)
    assert (ran(f, 0)[0], state.get_value()) == ([], 2.0)


def test_an_update_may_pass_on_another_shared_variable():
    a, b = rg.shared(np.zeros(2)), rg.shared(np.ones(2))
    f = rg.function([c], [a + 0], updates=[(a, ifelse(c, b, a)), (b, ifelse(c, a, b))])
    f(1)
    b.set_value(np.full(2, 7.0))

    np.testing.assert_array_equal(a.get_value(), [1, 1])


def test_givens_reach_into_branches(noted, ran):
    inside = noted("a", x) + y
    f = rg.function([y], ifelse(y > 0, inside, noted("b", y)), givens={x: y * 10})

    assert ran(f, 1.0) == (["a"], 11.0)
    assert ran(f, -1.0) == (["b"], -1.0)


def test_a_given_intermediate_stays_outside(noted, ran):
    inside = noted("a", x)
    f = rg.function([inside, y], ifelse(y > 0, inside * 2, y))

    assert ran(f, 3.0, 1.0) == ([], 6.0)


def test_checking_modes_accept_it():
    outputs = ifelse(x > 0, [T.log(x), v, v[::2], T.ones(3)], [x, v * 2, w, w])
    cost = outputs[0] + sum(out.sum() for out in outputs[1:])
    for mode in (rg.DebugMode(), rg.NanGuardMode(True, True, True), "FAST_COMPILE"):
        f = rg.function([x, v, w], [*outputs, *rg.grad(cost, [x, v, w])], mode=mode)
        assert f(-1.0, np.ones(3), np.ones(3))[4] == 1.0
        assert f(2.0, np.ones(3), np.ones(3))[4] == 0.5


def test_a_monitor_sees_what_runs():
    seen = []
    mode = rg.MonitorMode(post_func=lambda i, node, thunk: seen.append(str(node.op)))
    f = rg.function([x], ifelse(x > 0, T.exp(x), T.cos(x)), mode=mode)
    f(1.0)

    assert "exp" in seen
    assert "cos" not in seen


def test_a_profile_counts_what_ran():
    f = rg.function([x], ifelse(x > 0, T.exp(x), T.cos(x)), profile=True)
    for value in (1.0, 2.0, -1.0):
        f(value)
    counts = {name: cost.count for name, cost in f.profile.ops.items()}

    assert (counts["exp"], counts["cos"], counts["ifelse"]) == (2, 1, 3)


def test_copies_are_as_lazy(notes):
    choice = ifelse(x > 0, T.exp(x), T.log(x), name="choose")
    for again in (pickle.loads(pickle.dumps((x, choice))), copy.deepcopy((x, choice))):
        f = rg.function(*map(lambda given: [given], again[:1]), rg.grad(again[1], again[0]))
        assert (f(0.5), f(-0.5)) == (np.exp(0.5), -2.0)
    f = rg.function([x], choice)
    for g in (f.copy(), pickle.loads(pickle.dumps(f))):
        assert (g(0.0), g(1.0)) == (-np.inf, np.exp(1.0))


def test_a_clone_with_other_lengths():
    choice = ifelse(c, v * 2, v + w)
    short = TensorType("float64", (3,))
    a, b = short("a"), short("b")
    again = rg.clone(choice, {v: a, w: b}, strict=False)

    assert again.type == short
    np.testing.assert_array_equal(again.eval({a: np.ones(3), b: np.ones(3), c: 0}), [2, 2, 2])


def test_outputs_share_memory_as_declared():
    picked = ifelse(c, v, w).owner.op
    assert picked.views == (1, 2)
    constant = T.constant(np.ones(2))
    out = rg.function([c, v], rg.Out(ifelse(c, v, constant), borrow=True))(0, np.zeros(2))
    assert not np.shares_memory(out, constant.value)


def test_evaluate_is_its_meaning():
    choice, given = ifelse(x > 0, [x * 2, v], [y, w]), {x: 1.0, y: 5.0, v: np.zeros(2), w: np.ones(2)}

    assert evaluate(choice, given)[0] == 2.0
    assert evaluate(choice, {**given, x: -1.0})[0] == 5.0


# Types


@pytest.mark.parametrize(
    ("then", "orelse", "type"),
    [
        ("int8", "float32", "float32"),
        ("int64", "float32", "float64"),
        ("bool", "uint8", "uint8"),
        ("float32", "complex64", "complex64"),
    ],
)
def test_dtypes_promote_as_numpys(then, orelse, type):
    a, b = T.vector("a", dtype=then), T.vector("b", dtype=orelse)
    for branches in ((a, b), (b, a)):
        choice = ifelse(c, *branches)
        assert choice.dtype == type
        for value in (0, 1):
            assert choice.eval({c: value, a: np.ones(2, then), b: np.ones(2, orelse)}).dtype == type


def test_a_number_takes_the_other_branchs_dtype():
    a = T.fscalar("a")
    assert ifelse(c, a, 1.5).dtype == ifelse(c, 2, a).dtype == "float32"
    assert ifelse(c, T.bscalar(), 1.5).dtype == rg.config.floatX
    assert ifelse(c, 1, 2).dtype == "int64"


def test_lengths_that_differ_are_forgotten():
    a, b = TensorType("float64", (2, 3, 1))(), TensorType("float64", (2, 4, None))()

    assert ifelse(c, a, b).type.shape == (2, None, None)
    assert ifelse(c, np.zeros(2), np.zeros(3)).type.shape == (None,)


def test_lengths_that_differ_in_run_time_have_right_gradients():
    cost = (ifelse(c, v[:1], v) * w).sum()
    f = rg.function([v, w, c], rg.grad(cost, [v, w]))

    by_v, by_w = f([2.0, 3.0], [5.0, 7.0], 1)
    np.testing.assert_array_equal(by_v, [12, 0])
    np.testing.assert_array_equal(by_w, [2, 2])
    by_v, by_w = f([2.0, 3.0], [5.0, 7.0], 0)
    np.testing.assert_array_equal(by_v, [5, 7])
    np.testing.assert_array_equal(by_w, [2, 3])


def test_any_objects_may_be_chosen_from():
    a, b = generic("a"), generic("b")
    f = rg.function([c, a, b], ifelse(c, a, b))

    assert f(1, {"a": 1}, "b") == {"a": 1}
    assert f(0, {"a": 1}, "b") == "b"


def test_integers_are_chosen_from(noted, ran):
    n = T.iscalar("n")
    f = rg.function([n], ifelse(n, noted("a", n) * 2, noted("b", n) - 1))

    assert ran(f, 3) == (["a"], 6)
    assert ran(f, 0) == (["b"], -1)


def test_an_answer_has_the_form_of_the_branches():
    assert isinstance(ifelse(c, x, y), Variable)
    assert isinstance(ifelse(c, [x], [y]), list)
    assert isinstance(ifelse(c, (x, y), (y, x)), tuple)
    assert len(ifelse(c, [x, y], (y, x))) == 2
    assert ifelse(c, [], []) == []


# Text


def test_it_reads_well():
    choice = ifelse(x > 0, T.exp(x), y)
    pair = ifelse(x > 0, [T.exp(x), y], [y, x], name="pick")

    assert rg.pp(choice) == "ifelse((x > 0), exp(x), y)"
    assert rg.pp(pair[1]) == "pick((x > 0), [exp(x), y], [y, x]).1"
    assert rg.pp(rg.Lop(ifelse(c, T.exp(y), 2), y, x)) == "ifelse(c, (x * exp(y)), 0.0)"


def test_its_graphs_are_printed():
    text = rg.debugprint(rg.grad(ifelse(x > 0, T.exp(x), y), x), file="str")

    assert "Inner graphs:" in text
    assert " > |exp" in text


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ifelse(v > 0, v, w), "the condition must be a scalar.*T.switch"),
        (lambda: ifelse(generic("g"), v, w), "the condition must be a scalar"),
        (lambda: ifelse(c, x, v), "equal ranks.*T.full_like"),
        (lambda: ifelse(c, [x], [x, y]), "as many expressions, got 1 and 2"),
        (lambda: ifelse(c, generic("g"), x), "the same type, got g"),
        (lambda: ifelse(c, generic("g"), 1.0), "the same type, got g .* and 1.0"),
        (lambda: ifelse(c, x, y, name=3), "a name is a string"),
    ],
)
def test_misuse_names_the_line(build, says):
    with pytest.raises(GraphTypeError, match=f"(?s){says}") as caught:
        build()
    assert "test_branch.py" in str(caught.value)


def test_a_failure_in_a_branch_names_its_line():
    f = rg.function([v, w, c], ifelse(c, v + w, v))

    f([1.0], [1.0, 2.0, 3.0], 0)
    with pytest.raises(ValueError, match=r"f = rg.function\(\[v, w, c\], ifelse\(c, v \+ w, v\)\)"):
        f([1.0, 2.0], [1.0, 2.0, 3.0], 1)


def test_graphs_can_be_replaced_by_others_alike():
    node = ifelse(c, x, y).owner
    a, b = T.dscalars("a", "b")
    op = node.op.with_graphs([Graph([a, b], [a * b]), Graph([a, b], [a - b])])
    f = rg.function([c, x, y], op(*node.inputs))

    assert (f(1, 2.0, 3.0), f(0, 2.0, 3.0)) == (6.0, -1.0)
    with pytest.raises(GraphTypeError, match="inputs of the same types"):
        node.op.with_graphs([Graph([a, b], [a]), Graph([a], [a])])
    with pytest.raises(GraphTypeError, match="outputs of the same types"):
        node.op.with_graphs([Graph([a, b], [a]), Graph([a, b], [T.lt(a, b)])])


def test_an_application_takes_inputs_of_its_types():
    op = ifelse(c, x, y).owner.op

    with pytest.raises(GraphTypeError, match="takes a condition and 2 inputs, got 2"):
        op(c, x)
    with pytest.raises(GraphTypeError, match="input 1 must be float64"):
        op(c, x, v)


# Size


def chain(n):
    """Each branch reads the choice before it."""
    out = x
    for i in range(n):
        out = ifelse(out > i, T.sin(out), T.cos(out) + i)
    return out


def ladder(n):
    """Each else-branch holds all that was built before."""
    out = x
    for i in range(n):
        out = ifelse(x > i, T.sin(x) + i, T.cos(x) * out)
    return out


def calls(f):
    """How many Python functions ran."""
    count = 0

    def watch(frame, event, arg):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        f()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("build", [chain, ladder])
@pytest.mark.parametrize("of", [lambda out: out, lambda out: rg.grad(out, x), lambda out: rg.Rop(out, x, x)])
def test_work_is_linear_in_the_number_of_choices(build, of):
    small, large = [calls(lambda n=n: rg.function([x], of(build(n)))) for n in (150, 450)]

    assert large < 3.6 * small


@pytest.mark.parametrize("build", [chain, ladder])
def test_hundreds_of_choices(build):
    def plain(n, x):
        out, slope = x, 1.0
        for i in range(n):
            if build is chain:
                out, slope = (np.sin(out), np.cos(out) * slope) if out > i else (np.cos(out) + i, -np.sin(out) * slope)
            elif x > i:
                out, slope = np.sin(x) + i, np.cos(x)
            else:
                out, slope = np.cos(x) * out, np.cos(x) * slope - np.sin(x) * out
        return out, slope

    out = build(300)
    f = rg.function([x], [out, rg.grad(out, x), rg.Rop(out, x, T.constant(1.0))])
    for value in (-0.5, 270.0, 297.5):
        want, slope = plain(300, value)
        np.testing.assert_allclose(f(value), [want, slope, slope], rtol=1e-9)


def test_a_deep_branch():
    deep = x
    for _ in range(20_000):
        deep = T.sin(deep)
    f = rg.function([x], rg.grad(ifelse(x > 0, deep, x), x))

    assert f(-1.0) == 1.0
    assert 0 < f(1.0) < 1


# Random programs

UNARY = {"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "exp": lambda a: np.exp(-a * a)}
STEP = st.tuples(
    st.sampled_from([*UNARY, "add", "mul", "choose", "choose", "choose2"]),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 30),
)


def run(steps, x, y, choose, lib):
    """All that a program computes of two vectors; `choose(condition, thens, elses)` takes and answers lists."""
    pool = [x, y, x * y]
    for kind, i, j, k in steps:
        a, b, d = [pool[-1 - n % len(pool)] for n in (i, j, k)]
        if kind == "exp":
            pool.append(lib.exp(-a * a))
        elif kind in UNARY:
            pool.append(getattr(lib, kind)(a))
        elif kind == "add":
            pool.append(a + b)
        elif kind == "mul":
            pool.append(a * b * 0.5)
        elif kind == "choose":
            pool += choose(d.sum() > 0.3, [a], [b])
        else:
            pool += choose(d[0] > 0, [a, d], [b, a])
    return pool


@given(
    st.lists(STEP, min_size=1, max_size=14),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.integers(0, 30),
)
@settings(deadline=None, max_examples=60)
def test_random_programs_mean_what_plain_python_says(steps, numbers, which):
    a, b = np.array(numbers[:2]), np.array(numbers[2:])
    want = run(steps, a, b, lambda c, thens, elses: thens if c else elses, np)
    pool = run(steps, v, w, ifelse, T)
    switched = run(
        steps, v, w, lambda c, thens, elses: [T.switch(c, p, q) for p, q in zip(thens, elses, strict=True)], T
    )
    at = which % len(pool)
    wrt, wrt_switched = [v, w], [v, w]
    if pool[at].owner is not None and not isinstance(pool[at].owner.op, IfElse):
        wrt, wrt_switched = [*wrt, pool[at]], [*wrt, switched[at]]

    def derived(pool, wrt):
        cost = pool[-1].sum()
        slopes = rg.grad(cost, wrt, disconnected_inputs="ignore")
        turned = rg.Rop(pool[-1], [v, w], [w, v], disconnected_outputs="ignore")
        second = rg.grad((slopes[0] * w).sum() + (slopes[1] * v).sum(), [v, w], disconnected_inputs="ignore")
        return rg.function([v, w], [*pool, *slopes, turned, *second], on_unused_input="ignore")

    got, reference = derived(pool, wrt)(a, b), derived(switched, wrt_switched)(a, b)
    for one, other in zip(got, want, strict=False):  # values come first
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assume(all(np.isfinite(r).all() for r in reference))
    for one, other in zip(got, reference, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    (last,) = rg.function([v, w], pool[-1:], on_unused_input="ignore")(a, b)
    np.testing.assert_allclose(last, want[-1], rtol=1e-9, atol=1e-9)


def test_a_zero_stays_a_zero():
    """No application is made of what is zero in both branches."""
    node = ifelse(c, x, y).owner
    assert all(is_zero(g) for g in node.op.vjp_through(node, [0], None, [True] * 3))
    assert node.op.vjp_through(node, [None], None, [True] * 3) == [None] * 3
