"""What Elemwise makes of a row: broadcasting and its adjoint, shapes, operands, both derivative modes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.ops.elementwise as E
from refgraph.autodiff.forward import pushforward
from refgraph.autodiff.reverse import grad, pullback
from refgraph.core.errors import DTypeError, NullTypeGradError, ShapeError
from refgraph.core.types import NullType
from refgraph.interp.evaluate import evaluate
from refgraph.ops.families import SUM_TO, Elemwise, full_shape, operands, same_kind, times
from refgraph.ops.tensor import TensorConstant, TensorType, constant
from refgraph.testing.checks import op_names

N = 3
AXIS = [(1, True), (1, False), (N, True), (N, False)]  # its length, and whether the type says it


def tensor(axes, name=None):
    """A variable and an array for axes given as pairs (length, known)."""
    shape = tuple(n for n, _ in axes)
    rng = np.random.default_rng(len(axes))
    return TensorType("float64", [n if known else None for n, known in axes])(name), rng.normal(size=shape) + 2


def summed(g, shape):
    """The explicit sum: of a full-size cotangent, over what broadcasting repeated."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True) if shape else g


PAIRS = [
    *itertools.product(itertools.product(AXIS, repeat=2), itertools.product(AXIS, repeat=2)),
    *itertools.product(itertools.product(AXIS, repeat=2), itertools.product(AXIS, repeat=1)),
    *itertools.product([()], itertools.product(AXIS, repeat=2)),
]


def test_derivatives_of_every_way_to_broadcast():
    """Each axis of each operand 1 or n, its length known or not: gradients are explicit sums, modes are transposes."""
    rng = np.random.default_rng(0)
    for axes_x, axes_y in PAIRS:
        (x, a), (y, b) = tensor(axes_x, "x"), tensor(axes_y, "y")
        z = x * y + x
        weights = rng.normal(size=(a * b).shape)
        seed = z.type("w")
        tx, ty = x.type("tx"), y.type("ty")
        moves = {tx: rng.normal(size=a.shape), ty: rng.normal(size=b.shape)}
        values = {x: a, y: b, seed: weights, **moves}
        gx, gy = evaluate(pullback([z], [seed], [x, y]), values)
        case = f"{x.type} with {y.type}, at run time {a.shape} with {b.shape}"
        np.testing.assert_allclose(gx, summed(weights * (b + 1), a.shape), err_msg=case, strict=True)
        np.testing.assert_allclose(gy, summed(weights * a, b.shape), err_msg=case, strict=True)
        (t,) = evaluate(pushforward([z], [x, y], [tx, ty]), values)
        np.testing.assert_allclose(t, moves[tx] * (b + 1) + a * moves[ty], err_msg=case, strict=True)
        (only_x,) = evaluate(pushforward([z], [x], [tx]), values)
        np.testing.assert_allclose(only_x, moves[tx] * (b + 1), err_msg=case, strict=True)


def test_types_of_every_way_to_broadcast():
    """The inferred shape holds, and knows what can be known."""
    for axes_x, axes_y in PAIRS:
        (x, a), (y, b) = tensor(axes_x), tensor(axes_y)
        static, actual = (x * y).type.shape, (a * b).shape
        assert len(static) == len(actual)
        for d, n in zip(static, actual, strict=True):
            assert d in (None, n)
        for i, n in enumerate(reversed(actual), 1):
            ends = [axes[-i] for axes in (axes_x, axes_y) if i <= len(axes)]
            if (N, True) in ends or all(end == (1, True) for end in ends):
                assert static[-i] == n


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_three_operands_of_any_rank(data):
    axis = st.sampled_from(AXIS)
    picks = [tensor(data.draw(st.lists(axis, max_size=3)), name) for name in "cxy"]
    (c, cv), (x, xv), (y, yv) = picks
    cv = cv - 2
    z = E.switch(c > 0, x * x, y)
    shape = np.broadcast_shapes(cv.shape, xv.shape, yv.shape)
    weights = np.random.default_rng(1).normal(size=shape)
    seed = z.type("w")
    gx, gy = evaluate(pullback([z], [seed], [x, y]), {c: cv, x: xv, y: yv, seed: weights})
    np.testing.assert_allclose(gx, summed(np.where(cv > 0, weights * 2 * xv, 0), xv.shape), strict=True)
    np.testing.assert_allclose(gy, summed(np.where(cv > 0, 0, weights), yv.shape), strict=True)


def test_lengths_that_disagree_are_refused_when_the_graph_is_built():
    x, y = TensorType("float64", (2, 3))("x"), TensorType("float64", (4,))("y")
    with pytest.raises(ShapeError, match=r"add cannot broadcast float64\[2, 3\] with float64\[4\]") as caught:
        x + y
    assert caught.value.why == "axis 1 is 3 in one operand and 4 in another"


def test_no_node_where_broadcasting_is_known_to_add_nothing():
    x, y = TensorType("float64", (2, 3))("x"), TensorType("float64", (2, 3))("y")
    seed = x.type("w")
    assert op_names(*pullback([x * y], [seed], [x, y])) == ["mul", "mul"]
    u = TensorType("float64", (None,))("u")
    seed = u.type("w")
    assert op_names(*pullback([u * 2.0], [seed], [u])) == ["mul"]
    assert op_names(*pullback([u + u], [seed], [u])) == ["add"]
    assert op_names(*pushforward([u * 2.0], [u], [seed])) == ["mul"]


def test_sum_to_is_a_view_where_shapes_agree():
    x = np.ones((2, 3))
    assert SUM_TO.impl(x, x) is x
    assert SUM_TO.impl(x, np.zeros((1, 3))).shape == (1, 3)
    assert SUM_TO.impl(x, np.float64(0)).shape == ()


def test_sum_to_keeps_the_dtype():
    x = np.ones((70000,), "float16")
    assert SUM_TO.impl(x[:7], np.zeros(1)).dtype == "float16"
    assert SUM_TO.impl(np.ones(300, "int8"), np.zeros(())).dtype == "int8"


def test_sum_to_and_full_shape_are_each_others_derivative():
    x, like = TensorType("float64", (None, None))("x"), TensorType("float64", (None,))("like")
    a, b, w = np.arange(6.0).reshape(2, 3), np.zeros(1), np.array([5.0])
    s = SUM_TO(x, like)
    seed, move = s.type("w"), x.type("t")
    (g,) = evaluate(pullback([s], [seed], [x]), {x: a, like: b, seed: w})
    np.testing.assert_array_equal(g, np.full((2, 3), 5.0))
    (t,) = evaluate(pushforward([s], [x], [move]), {x: a, like: b, move: a * a})
    np.testing.assert_array_equal(t, [np.sum(a * a)])


def test_full_shape_of_the_same_known_shape_is_the_variable_itself():
    x = TensorType("float64", (2, 3))("x")
    assert full_shape(x, x.type("y")) is x
    y = TensorType("float64", (None,))("y")
    assert full_shape(y, y.type("z")) is not y


def test_same_kind():
    real, whole, z = (TensorType(d, ())(d) for d in ("float32", "int8", "complex128"))
    assert same_kind(z, real).dtype == "float32"
    assert same_kind(z, whole).dtype == "float64"
    assert same_kind(real, whole) is real
    assert same_kind(real, z).dtype == "complex128"


def test_times_writes_products_as_one_does():
    x, g = TensorType("float64", ())("x"), TensorType("float64", ())("g")
    node = (x**2).owner
    p = 2 * x
    product = times(g, p, node)
    assert product.owner.inputs[0].owner.inputs == (g, p.owner.inputs[0])
    assert times(g, 1, node) is g
    assert times(g, 0, node) == 0
    assert times(g, x > 0, node).owner.op is E.switch


# --- operands --------------------------------------------------------------------------------------------------------


def test_numbers_alone_take_the_dtype_of_the_strongest():
    assert E.add(1, 2).dtype == "int64"
    assert E.add(1, 2.5).dtype == "float64"
    assert E.add(True, 2).dtype == "int64"
    assert E.mul(2, 1j).dtype == "complex128"


def test_lists_arrays_and_scalars_are_operands():
    x = TensorType("float32", (None,))("x")
    given = {x: np.array([1, 2], "float32")}
    for other in ([3, 4], (3, 4), np.array([3, 4]), np.array([3.0, 4.0], "float32")):
        (got,) = evaluate([x + other], given)
        np.testing.assert_array_equal(got, [4, 6])
    (stacked,) = evaluate([E.add(x, [x[0], 1.0])], given)
    np.testing.assert_array_equal(stacked, [2, 3])


def test_a_number_keeps_its_spelling_and_is_constant():
    x = TensorType("float32", ())("x")
    (_, number) = operands("add", (x, 2))
    assert isinstance(number, TensorConstant)
    assert (str(number), number.dtype) == ("2", "float32")
    with pytest.raises(ValueError, match="read-only"):
        number.value[...] = 3


def test_equal_types_share_their_inference():
    x, y = TensorType("float64", (None,))("x"), TensorType("float64", (None,))("y")
    assert E.exp.infer(x) is E.exp.infer(y)


# --- derivatives -----------------------------------------------------------------------------------------------------


def test_nothing_flows_through_discrete_results():
    x = TensorType("float64", (None,))("x")
    t = x.type("t")
    assert pushforward([x > 0], [x], [t]) == [0]
    assert pushforward([E.floor(x)], [x], [t]) == [0]
    assert pullback([E.floor(x)], [t], [x]) == [0]
    assert pushforward([E.exp(x.type("other"))], [x], [t]) == [None]


def test_a_tangent_of_a_real_result_is_real():
    z = TensorType("complex128", (None,))("z")
    t = z.type("t")
    for op in (abs, E.real, E.imag, E.angle):
        (moved,) = pushforward([op(z)], [z], [t])
        assert moved.dtype == "float64"


def test_forward_mode_refuses_a_derivative_that_is_not_written():
    a, t = TensorType("float64", ())("a"), TensorType("float64", ())("t")
    with pytest.raises(NullTypeGradError, match="gammainc by its input 0 is not written"):
        pushforward([E.gammainc(a, 1.0)], [a], [t])


def test_reverse_mode_answers_a_null_type_where_asked_to():
    a = TensorType("float64", ())("a")
    answer = grad(E.gammainc(a, 1.0), a, null_gradients="return")
    assert isinstance(answer.type, NullType)


def test_a_row_may_be_made_by_anybody():
    """An Elemwise is public: a function, a derivative, where to test it."""
    cube = Elemwise("cube", lambda x: x**3, like=np.square, d=lambda z, x: 3 * x * x, on=E.square.on)
    x = TensorType("float64", (None,))("x")
    at = np.array([1.0, -2.0])
    got, slope = evaluate([cube(x), grad(cube(x).sum(), x)], {x: at})
    np.testing.assert_array_equal(got, at**3)
    np.testing.assert_array_equal(slope, 3 * at**2)


@pytest.mark.parametrize(
    ("build", "dtype"),
    [
        (lambda f32, i8: constant(1) * f32, "float32"),
        (lambda f32, i8: f32 * constant(1.5), "float32"),
        (lambda f32, i8: (constant(1) - 0.9) * i8, "float64"),
        (lambda f32, i8: 1 - constant(0.5), "float64"),
        (lambda f32, i8: constant(1) + constant(2), "int64"),
        (lambda f32, i8: i8 + constant(1), "int8"),
        (lambda f32, i8: i8 * constant(0.5), "float64"),
        (lambda f32, i8: E.switch(i8, constant(1.0), f32), "float32"),
        (lambda f32, i8: f32 * constant(1.5, dtype="float64"), "float64"),
        (lambda f32, i8: f32 * constant(np.float64(1.5)), "float64"),
    ],
)
def test_a_constant_made_of_a_number_promotes_as_the_number(build, dtype):
    assert build(TensorType("float32", (None,))("f32"), TensorType("int8", (None,))("i8")).type.dtype == dtype


def test_a_constant_made_of_a_number_stays_itself_where_its_dtype_is_right():
    x, one = TensorType("float64", (None,))("x"), constant(1.0)
    assert (x + one).owner.inputs[1] is one
    assert (one + x).owner.inputs[0] is one
    assert (one + one).owner.inputs == (one, one)
    assert str(one) == "TensorConstant{1.0}"


def test_a_number_that_does_not_fit_is_refused_as_a_constant_too():
    with pytest.raises(DTypeError, match="1000 does not fit into int8"):
        TensorType("int8", (None,))("x") * constant(1000)
