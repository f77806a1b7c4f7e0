"""grad, Lop and subgraph_grad: what is connected, what is not, and in which form the answer comes."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.autodiff.reverse import pullback
from refgraph.core.types import DisconnectedType, NullType
from refgraph.ops.tensor import TensorVariable

x, y = T.dvector("x"), T.dvector("y")
V = np.array([1.0, -2.0, 3.0])


def value(expression, **given):
    names = {"x": x, "y": y}
    return expression.eval({names[k]: v for k, v in given.items()})


def test_gradient_of_one_variable_is_one_variable():
    g = T.grad((x**2).sum(), x)
    assert isinstance(g, TensorVariable)
    np.testing.assert_allclose(value(g, x=V), 2 * V)


@pytest.mark.parametrize("form", [list, tuple])
def test_gradients_come_in_the_form_of_wrt(form):
    g = T.grad((x * y).sum(), form([x, y]))
    assert type(g) is form
    np.testing.assert_allclose(value(g[0], x=V, y=2 * V), 2 * V)


def test_gradient_adds_over_all_paths():
    z = T.exp(x)
    np.testing.assert_allclose(value(T.grad((z * z + z).sum(), x), x=V), 2 * np.exp(2 * V) + np.exp(V))


def test_gradient_by_an_intermediate_variable():
    z = x**2
    np.testing.assert_allclose(value(T.grad((3 * z).sum(), z), x=V), [3, 3, 3])


def test_gradient_by_variable_and_what_it_is_made_from():
    z = x**2
    gz, gx = T.grad((z * x).sum(), [z, x])
    np.testing.assert_allclose(value(gz, x=V), V)
    np.testing.assert_allclose(value(gx, x=V), 3 * V**2)


def test_gradient_of_gradient():
    g = T.grad((x**3).sum(), x)
    np.testing.assert_allclose(value(T.grad(g.sum(), x), x=V), 6 * V)
    third = T.grad(T.grad(g.sum(), x).sum(), x)
    np.testing.assert_allclose(value(third, x=V), [6, 6, 6])


def test_names():
    cost = (x**2).sum()
    cost.name = "cost"
    assert T.grad(cost, x).name == "(dcost/dx)"
    assert T.grad(cost, x, add_names=False).name is None


def test_gradient_by_an_integer_is_a_float():
    i = T.ivector("i")
    g = T.grad((i * 2.5).sum(), i)
    assert g.dtype == "float64"
    np.testing.assert_allclose(g.eval({i: [1, 2]}), [2.5, 2.5])


def test_nothing_flows_through_an_integer():
    np.testing.assert_array_equal(value(T.grad((T.cast(x, "int32") * 2.5).sum(), x), x=V), [0, 0, 0])


def test_gradient_of_float32_is_float32_among_doubles():
    f = T.fvector("f")
    g = T.grad((f * x).sum(), f)
    assert g.dtype == "float32"


def test_gradient_of_a_real_among_complex_is_real():
    z = T.zvector("z")
    g = T.grad(T.real(x * z).sum(), x)
    assert g.dtype == "float64"
    np.testing.assert_allclose(g.eval({x: V, z: V + 2j}), V)


class TestDisconnected:
    def test_raises(self):
        with pytest.raises(rg.gradient.DisconnectedInputError, match="does not depend on y"):
            T.grad(x.sum(), y)

    def test_warns(self):
        with pytest.warns(UserWarning, match="does not depend on y"):
            g = T.grad(x.sum(), y, disconnected_inputs="warn")
        np.testing.assert_array_equal(g.eval({y: V}), [0, 0, 0])

    def test_is_zero_when_ignored(self):
        g = T.grad(x.sum(), [x, y], disconnected_inputs="ignore")
        np.testing.assert_array_equal(g[1].eval({y: V}), [0, 0, 0])

    def test_is_none_when_asked(self):
        assert T.grad(x.sum(), y, disconnected_inputs="ignore", return_disconnected="none") is None

    def test_is_disconnected_when_asked(self):
        g = T.grad(x.sum(), y, disconnected_inputs="ignore", return_disconnected="disconnected")
        assert isinstance(g.type, DisconnectedType)

    def test_through_indices_and_shapes(self):
        with pytest.raises(rg.gradient.DisconnectedInputError):
            T.grad((y.shape[0] * x).sum(), y)

    def test_through_disconnected_grad(self):
        with pytest.raises(rg.gradient.DisconnectedInputError):
            T.grad(rg.gradient.disconnected_grad(x).sum(), x)

    @pytest.mark.parametrize("flag", ["disconnected_inputs", "return_disconnected", "null_gradients"])
    def test_unknown_choice(self, flag):
        with pytest.raises(TypeError, match=flag):
            T.grad(x.sum(), x, **{flag: "perhaps"})


class TestNull:
    def test_raises(self):
        with pytest.raises(rg.gradient.NullTypeGradError, match="not defined"):
            T.grad(rg.gradient.undefined_grad(x).sum(), x)

    def test_is_returned_when_asked(self):
        g = T.grad((rg.gradient.undefined_grad(x) + x).sum(), x, null_gradients="return")
        assert isinstance(g.type, NullType)

    def test_spoils_only_what_it_reaches(self):
        g = T.grad((rg.gradient.undefined_grad(x) * y).sum(), y)
        np.testing.assert_array_equal(value(g, x=V, y=V), V)


class TestKnownGrads:
    def test_in_place_of_a_cost(self):
        z = x**2
        g = T.grad(None, x, known_grads={z: T.constant([1.0, 10.0, 100.0])})
        np.testing.assert_allclose(value(g, x=V), 2 * V * [1, 10, 100])

    def test_rules_over_what_the_cost_says(self):
        z = x**2
        g = T.grad(z.sum(), x, known_grads={z: T.constant([1.0, 10.0, 100.0])})
        np.testing.assert_allclose(value(g, x=V), 2 * V * [1, 10, 100])

    def test_neither_is_an_error(self):
        with pytest.raises(TypeError, match="cost, or known_grads"):
            T.grad(None, x)


def test_consider_constant():
    z = x**2
    g = T.grad((z * x).sum(), x, consider_constant=[z])
    np.testing.assert_allclose(value(g, x=V), V**2)


@pytest.mark.parametrize("cost", [x, x.dimshuffle("x", 0)])
def test_cost_must_be_a_scalar(cost):
    with pytest.raises(TypeError, match="cost must be a scalar"):
        T.grad(cost, x)


@pytest.mark.parametrize("wrt", [1.0, np.ones(3), "x", None])
def test_wrt_must_be_variables(wrt):
    with pytest.raises(TypeError, match="wrt takes variables"):
        T.grad(x.sum(), wrt)


def test_lop():
    v = T.dvector("v")
    g = T.Lop(x**2, x, v)
    np.testing.assert_allclose(g.eval({x: V, v: [1.0, 10.0, 100.0]}), 2 * V * [1, 10, 100])
    many = T.Lop([x**2, x * y], [x, y], [v, v])
    np.testing.assert_allclose(many[0].eval({x: V, y: V, v: V}), 2 * V * V + V * V)


def test_lop_counts_its_points():
    with pytest.raises(TypeError, match="one eval_point for each output"):
        T.Lop([x, y], x, [x])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: T.Lop(x * 2, x, T.dmatrix("m")), TypeError, "must have its rank"),
        (lambda: T.Lop(x * 2, x, T.constant(5.0)), TypeError, "must have its rank"),
        (lambda: T.Rop(T.ones(3) * 2, T.ones(3), T.ones(4)), ValueError, "must have its shape"),
        (lambda: T.Lop(x * 2, x, T.zvector()), TypeError, "must be real"),
        (lambda: T.Lop([x * 2, "y"], x, [x, x]), TypeError, "f takes variables"),
        (lambda: T.grad(None, x, known_grads={x * 2: T.constant(5.0)}), TypeError, "known_grads: what stands for"),
        (lambda: T.grad(None, x, known_grads=3), TypeError, "known_grads takes a dict"),
        (lambda: T.grad(x.sum(), x, consider_constant=[3]), TypeError, "consider_constant takes variables"),
    ],
)
def test_what_stands_for_a_derivative_must_fit(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_what_stands_for_a_derivative_gets_the_dtype_of_its_variable():
    f = T.fvector("f")
    assert T.Lop(f * 2, f, x).dtype == "float32"
    assert T.Rop(f * 2, f, x).dtype == "float32"


def test_subgraph_grad_in_two_parts_is_the_whole():
    w1, w2 = T.dscalar("w1"), T.dscalar("w2")
    hidden = T.tanh(w1 * x)
    cost = (w2 * hidden).sum() ** 2
    by_w2, by_hidden = rg.gradient.subgraph_grad([w2], [hidden], cost=cost)
    by_w1, by_x = rg.gradient.subgraph_grad([w1], [x], start={hidden: by_hidden[0]})
    whole = T.grad(cost, [w2, w1, x])
    given = {x: V, w1: 0.3, w2: 0.7}
    f = rg.function([x, w1, w2], [*by_w2, *by_w1, *by_x, *whole])
    values = f(*given.values())
    for part, want in zip(values[:3], values[3:], strict=True):
        np.testing.assert_allclose(part, want)


def test_only_what_leads_to_wrt_is_differentiated():
    """A partial that nobody wants is not made: the graph of the gradient has no logarithm for a constant exponent."""
    g = T.grad((x**3).sum(), x)
    assert "log" not in rg.printing.debugprint(g, file="str")


def test_pullback_tells_zero_from_disconnected():
    assert pullback([T.floor(x)], [x], [x]) == [0]
    assert pullback([x], [x], [y]) == [None]


@pytest.mark.parametrize(
    ("wrap", "want"),
    [
        (lambda x: rg.gradient.grad_clip(x, -1, 2), [2, 2, -1]),
        (lambda x: rg.gradient.grad_scale(x, 0.5), [5, 2, -3]),
        (rg.gradient.zero_grad, [0, 0, 0]),
        (rg.gradient.consider_constant, [0, 0, 0]),
    ],
)
def test_altered_gradients(wrap, want):
    weights = T.constant([10.0, 4.0, -6.0])
    np.testing.assert_allclose(value(T.grad((wrap(x) * weights).sum(), x), x=V), want)
    np.testing.assert_array_equal(value(wrap(x), x=V), V)


def test_nothing_flows_behind_one_constant_output_of_a_node():
    v = T.dvector("v")
    a, b = T.split(v, [2, 2], 2)
    g = rg.grad((b + a * 5).sum(), v, consider_constant=[a])
    np.testing.assert_array_equal(g.eval({v: np.arange(4.0)}), [0, 0, 1, 1])
