"""Ops that users write, as in Theano's documentation and as in ours."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError, NullTypeGradError
from refgraph.core.types import DisconnectedType
from refgraph.ops.custom import grad_not_implemented, grad_undefined

V = np.array([1.0, -2.0, 3.0])
x = T.dvector("x")


class DoubleOp(rg.Op):
    """Twice x, in Theano's words."""

    __props__ = ()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return rg.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0] * 2

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [output_grads[0] * 2]

    def R_op(self, inputs, eval_points):
        return [None] if eval_points[0] is None else self.grad(inputs, eval_points)


class DoubleByTypes(rg.Op):
    """Twice x, by itypes and otypes."""

    itypes = [T.dmatrix]  # noqa: RUF012
    otypes = [T.dmatrix]  # noqa: RUF012

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0] * 2


class DoubleOfTypes(DoubleOp):
    """Twice x, by itypes and otypes, with the derivatives of DoubleOp."""

    itypes = (T.dmatrix,)
    otypes = (T.dmatrix,)
    make_node = rg.Op.make_node

    def __init__(self):
        super().__init__()  # which reaches the one of all ops


class SumDiff(rg.Op):
    """x + y and x - y."""

    __props__ = ()

    def make_node(self, x, y):
        x, y = T.as_tensor_variable(x), T.as_tensor_variable(y)
        return rg.Apply(self, [x, y], [x.type(), y.type()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        output_storage[0][0], output_storage[1][0] = x + y, x - y

    def grad(self, inputs, output_grads):
        og1, og2 = output_grads
        return [og1 + og2, og1 - og2]


class AxPB(rg.Op):
    """a * x + b with parameters in __props__."""

    __props__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return rg.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.a * inputs[0] + self.b

    def grad(self, inputs, output_grads):
        return [self.a * output_grads[0]]


class CountAbove(rg.Op):
    """The number of elements of x above y, an integer; and x - y."""

    def make_node(self, x, y):
        x, y = T.as_tensor_variable(x), T.as_tensor_variable(y)
        return rg.Apply(self, [x, y], [T.lscalar(), x.type()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        output_storage[0][0] = np.int64((x > y).sum())
        output_storage[1][0] = x - y

    def L_op(self, inputs, outputs, output_grads):
        assert output_grads[0].dtype == "float64"  # zeros: nothing flows through integers
        g = output_grads[1]
        return [g, -g.sum()]

    def connection_pattern(self, node):
        return [[True, True], [True, True]]


def gradient(cost, wrt, **given):
    return rg.grad(cost, wrt).eval(given)


def test_double_op():
    f = rg.function([x], DoubleOp()(x))
    np.testing.assert_array_equal(f(V), 2 * V)
    np.testing.assert_array_equal(gradient((DoubleOp()(x) ** 2).sum(), x, x=V), 8 * V)
    np.testing.assert_array_equal(rg.Rop(DoubleOp()(x) * x, x, x).eval({x: V}), 4 * V**2)
    T.verify_grad(DoubleOp(), [V], rng=np.random.default_rng(0))
    assert DoubleOp() == DoubleOp()
    assert DoubleByTypes() != DoubleByTypes()  # it says no __props__
    assert isinstance(DoubleOp()([1.0, 2.0]).owner.op, DoubleOp)


@pytest.mark.parametrize("floatX", ["float64", "float32"])
@pytest.mark.parametrize("op", [DoubleOp(), DoubleOfTypes(), AxPB(2, 0)], ids=str)
def test_ops_in_programs(op, floatX):
    m = T.dmatrix("m")
    a = np.random.RandomState(4).rand(5, 4)

    with rg.config.change_flags(floatX=floatX):
        assert (rg.function([m], op(m))(a) == 2 * a).all()
        assert (rg.function([m], T.grad(op(m).sum(), m))(a) == 2).all()
        assert (T.Rop(op(m), m, 3 * m).eval({m: a}) == 6 * a).all()
        T.verify_grad(op, [a], rng=np.random.RandomState(5))
        f = rg.function([m], op(m))
        assert [node.op for node in f.maker.fgraph.toposort()] == [op]


def test_forward_mode_without_R_op_comes_from_grad():
    np.testing.assert_array_equal(rg.Rop(AxPB(3.0, 1.0)(x) * x, x, x).eval({x: V}), 6 * V**2 + V)


def test_equality_by_props():
    assert AxPB(1, 2) == AxPB(1, 2) != AxPB(1, 3)
    assert hash(AxPB(1, 2)) == hash(AxPB(1, 2))
    assert str(AxPB(1, 2)) == "AxPB{a=1, b=2}"


def test_types_convert_or_refuse_inputs():
    m = T.dmatrix("m")
    op = DoubleByTypes()
    np.testing.assert_array_equal(op(m).eval({m: [[1, 2]]}), [[2, 4]])
    np.testing.assert_array_equal(op(T.row("r", dtype="float64")).type.shape, (None, None))
    with pytest.raises(GraphTypeError, match="input 0 must be"):
        op(x)
    with pytest.raises(GraphTypeError, match="takes 1 input"):
        op(m, m)


def test_two_outputs():
    y = T.dvector("y")
    a, b = SumDiff()(x, y)
    got = rg.function([x, y], [a, b])(V, 2 * V)
    np.testing.assert_array_equal(got, [3 * V, -V])
    gx, gy = rg.grad((a * 2 + b * 3).sum(), [x, y])
    np.testing.assert_array_equal(gx.eval({x: V, y: V}), 5 + 0 * V)
    np.testing.assert_array_equal(gy.eval({x: V, y: V}), -1 + 0 * V)


def test_an_output_that_nothing_depends_on_has_a_gradient_of_zeros():
    a, _ = SumDiff()(x, x * 2)
    np.testing.assert_array_equal(gradient(a.sum(), x, x=V), 3 + 0 * V)


def test_integer_output():
    y = T.dscalar("y")
    n, d = CountAbove()(x, y)
    assert rg.function([x, y], n)(V, 0).dtype == "int64"
    cost = (d * n).sum()
    assert rg.grad(cost, y).eval({x: V, y: 0.0}) == -6
    np.testing.assert_array_equal(rg.grad(n.astype("float64"), x).eval({x: V}), 0 * V)


def test_an_op_without_a_gradient_says_so():
    y = DoubleByTypes()(T.outer(x, x))
    with pytest.raises(NullTypeGradError, match="not defined") as caught:
        rg.grad(y.sum(), x)
    assert "DoubleByTypes has no grad" in str(caught.value)
    with pytest.raises(NullTypeGradError, match="not defined"):
        rg.Rop(y, x, x)


def test_disconnected_and_undefined_gradients():
    class Pick(rg.Op):
        def make_node(self, x, i, s):
            return rg.Apply(self, [x, T.as_tensor_variable(i), s], [T.dscalar()])

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0][inputs[1]] + np.floor(inputs[2])

        def grad(self, inputs, output_grads):
            x, i, s = inputs
            (g,) = output_grads
            return [T.set_subtensor(x.zeros_like()[i], g), DisconnectedType()(), grad_undefined(self, 2, s, "steps")]

    s, i = T.dscalar("s"), T.lscalar("i")
    z = Pick()(x, i, s)
    np.testing.assert_array_equal(rg.grad(z, x).eval({x: V, i: 1, s: 0.5}), [0, 1, 0])
    with pytest.raises(rg.RefgraphError, match="does not depend on i"):
        rg.grad(z, i)
    with pytest.raises(NullTypeGradError, match="steps"):
        rg.grad(z, s)
    assert "is not written: why" in grad_not_implemented(Pick(), 0, x, "why").type.why


def test_connection_pattern_disconnects():
    class First(SumDiff):
        def connection_pattern(self, node):
            return [[True, True], [False, False]]

    y = T.dvector("y")
    with pytest.raises(rg.RefgraphError, match="does not depend on y"):
        rg.grad(First()(x, y)[0].sum(), y)


def test_wrong_gradients_are_refused():
    class TooMany(DoubleOp):
        def grad(self, inputs, output_grads):
            return [output_grads[0], output_grads[0]]

    class OtherRank(DoubleOp):
        def grad(self, inputs, output_grads):
            return [output_grads[0].sum()]

    with pytest.raises(GraphTypeError, match="answered 2 gradients for 1 inputs"):
        rg.grad(TooMany()(x).sum(), x)
    with pytest.raises(GraphTypeError, match=r"gradient 0 is float64\[\], but its input x is float64\[\?\]"):
        rg.grad(OtherRank()(x).sum(), x)


def test_a_gradient_has_its_inputs_dtype():
    f = T.fvector("f")
    g = rg.grad(AxPB(np.float64(2), 0)(f).sum(), f)
    assert g.dtype == "float32"


def test_perform_gets_arrays_also_of_rank_0():
    kinds = []

    class Look(DoubleOp):
        def perform(self, node, inputs, output_storage):
            kinds.append(type(inputs[0]))
            output_storage[0][0] = inputs[0]

    s = T.dscalar("s")
    Look()(T.exp(s)).eval({s: 0.0})
    assert kinds == [np.ndarray]


def test_outputs_are_held_to_their_types():
    class Wrong(DoubleOp):
        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0][None]

    class Empty(DoubleOp):
        def perform(self, node, inputs, output_storage):
            pass

    with pytest.raises(TypeError, match="expected 1 dimensions"):
        Wrong()(x).eval({x: V})
    with pytest.raises(ValueError, match=r"left output 0 empty: it must set output_storage\[0\]\[0\]"):
        Empty()(x).eval({x: V})


def test_an_op_in_place_gets_a_copy():
    class InPlace(DoubleOp):
        destroy_map = {0: [0]}  # noqa: RUF012

        def perform(self, node, inputs, output_storage):
            inputs[0] *= 2
            output_storage[0][0] = inputs[0]

    mine = V.copy()
    np.testing.assert_array_equal(rg.function([x], [InPlace()(x), x])(mine), [2 * V, V])
    np.testing.assert_array_equal(mine, V)


def test_views_declared_or_not_never_reach_the_user():
    class View(DoubleOp):
        view_map = {0: [0]}  # noqa: RUF012

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0][::-1]

    class Undeclared(DoubleOp):
        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0]

    class Twins(SumDiff):
        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = output_storage[1][0] = inputs[0] + 1

    assert not np.shares_memory(*rg.function([x], Twins()(x, x))(V))
    assert View().views == (0,)
    for op in (View(), Undeclared()):
        assert not np.shares_memory(rg.function([x], op(x))(V), V)


def test_default_output_return_list_and_name():
    class Second(SumDiff):
        default_output = 1

    z = Second()(x, x * 3)
    np.testing.assert_array_equal(z.eval({x: V}), -2 * V)
    (out,) = DoubleOp()(x, return_list=True, name="out")
    assert out.name == "out"


def test_params():
    class Scaled(DoubleOp):
        params_type = "scale"

        def get_params(self, node):
            return 7.0

        def perform(self, node, inputs, output_storage, params):
            output_storage[0][0] = inputs[0] * params

    np.testing.assert_array_equal(Scaled()(x).eval({x: V}), 7 * V)


def test_our_own_words():
    class Cube(rg.Op):
        """x ** 3"""

        __props__ = ()

        def infer(self, x):
            return (x.type,)

        def impl(self, x):
            return x**3

        def vjp(self, node, cotangents):
            (g,) = cotangents
            return (g if g is None or isinstance(g, int) else g * 3 * node.inputs[0] ** 2,)

    np.testing.assert_array_equal(Cube()(x).eval({x: V}), V**3)
    np.testing.assert_array_equal(Cube()([1.0, 2.0]).eval(), [1, 8])
    T.verify_grad(Cube(), [V], rng=np.random.default_rng(0))


def test_a_subclass_may_override_the_gradient():
    class Silent(AxPB):
        def grad(self, inputs, output_grads):
            return [inputs[0].zeros_like()]

    np.testing.assert_array_equal(gradient(Silent(2, 0)(x).sum(), x, x=V), 0 * V)


# as_op


def test_as_op():
    @rg.as_op(itypes=[T.dmatrix, T.dmatrix], otypes=[T.dmatrix])
    def numpy_dot(a, b):
        """The matrix product."""
        return a.dot(b)

    a, b = T.dmatrices("a", "b")
    m = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(rg.function([a, b], numpy_dot(a, b))(m, m), m @ m)
    assert (str(numpy_dot), numpy_dot.__doc__) == ("numpy_dot", "The matrix product.")
    with pytest.raises(NullTypeGradError, match="not defined") as caught:
        rg.grad(numpy_dot(a, b).sum(), a)
    assert "as_op was given no grad=" in str(caught.value)
    with pytest.raises(GraphTypeError, match="numpy_dot: input 0 must be"):
        numpy_dot(x, b)


def test_as_op_with_gradient_and_two_outputs():
    @rg.as_op(T.dvector, [T.dvector, T.lscalar], grad=lambda inputs, gs: [gs[0] * 2 * inputs[0]])
    def square_and_length(v):
        return v * v, np.int64(len(v))

    square, n = square_and_length(x)
    assert n.eval({x: V}) == 3
    np.testing.assert_array_equal(gradient((square * n).sum(), x, x=V), 6 * V)


def test_as_op_that_answers_its_argument_or_too_little():
    @rg.as_op(T.dvector, T.dvector)
    def same(v):
        return v

    @rg.as_op(T.dvector, [T.dvector, T.dvector])
    def one_of_two(v):
        return v

    assert not np.shares_memory(same(x).eval({x: V}), V)
    with pytest.raises(ValueError, match="one_of_two must answer a tuple of 2 arrays"):
        one_of_two(x)[0].eval({x: V})


def test_as_op_takes_types():
    with pytest.raises(GraphTypeError, match="as_op takes types"):
        rg.as_op([x], [T.dvector])


def test_as_op_s_that_differ_in_types_or_gradient_are_not_equal():
    def f(v):
        return v

    def g(inputs, gs):
        return gs

    make = rg.as_op
    one = make(T.dvector, T.dvector)(f)
    assert one == make([T.dvector], [T.dvector])(f)
    assert hash(one) == hash(make([T.dvector], [T.dvector])(f))
    for other in (make(T.dmatrix, T.dvector)(f), make(T.dvector, T.dmatrix)(f), make(T.dvector, T.dvector, grad=g)(f)):
        assert one != other
    assert str(one) == "f"
    assert rg.pp(one(x)) == "f(x)"


def test_no_gradient_may_be_said_as_none():
    class Plain(DoubleOp):
        grad = None
        R_op = None

    class First(rg.Op):
        itypes, otypes, grad = [T.dvector], [T.dvector], None

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0] + 1

    for op in (Plain(), First()):
        with pytest.raises(NullTypeGradError, match="has no grad"):
            rg.grad(op(x).sum(), x)
        with pytest.raises(NullTypeGradError, match="has no grad"):
            T.Rop(op(x), x, x)


class Doubled(rg.Op):
    """2 x, whose rules would fail on anything but variables."""

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return 2 * x

    def vjp(self, node, cotangents):
        return [g.copy() * 2 for g in cotangents]

    def jvp(self, node, tangents):
        return [t.copy() * 2 for t in tangents]


def test_rules_of_users_are_asked_only_about_variables():
    x = T.dvector("x")
    y = Doubled()(x)

    assert T.grad(y.sum(), x).eval({x: [1.0, 2.0]}).tolist() == [2, 2]
    assert T.grad(T.floor(y).sum(), x).eval({x: [1.0, 2.0]}).tolist() == [0, 0]
    assert T.Rop(Doubled()(T.floor(x)), x, x).eval({x: [1.5, 2.5]}).tolist() == [0, 0]
