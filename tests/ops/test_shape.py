"""Shapes: what is known before running, Theano's conventions, what errors say, and round trips."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import AxisError, GraphTypeError, ShapeError
from refgraph.ops import shape as S
from refgraph.ops.tensor import TensorConstant, TensorType, constant
from refgraph.testing.checks import check_equal, op_names, value_at, variable


def index():
    return variable(dtype="int64", name="n")


FACTS = {
    "reshape-known": (lambda: S.reshape(variable(2, 6), (3, 4)), (3, 4)),
    "reshape-rest": (lambda: S.reshape(variable(2, 6), (3, -1)), (3, 4)),
    "reshape-rest-unknown": (lambda: S.reshape(variable(None, 6), (3, -1)), (3, None)),
    "reshape-symbolic-alone": (lambda: S.reshape(variable(2, 6), (index(), 3)), (4, 3)),
    "reshape-symbolic-and-rest": (lambda: S.reshape(variable(2, 6), (index(), -1)), (None, None)),
    "reshape-constant-length": (lambda: S.reshape(variable(2, 6), (constant(3), -1)), (3, 4)),
    "reshape-constant-vector": (lambda: S.reshape(variable(2, 6), constant([3, 4])), (3, 4)),
    "reshape-arithmetic": (lambda: S.reshape(variable(2, 6), (S.shape_i(variable(3), 0) + 1, -1)), (4, 3)),
    "reshape-empty": (lambda: S.reshape(variable(0, None), (-1, 2)), (0, 2)),
    "reshape-vector-ndim": (lambda: S.reshape(variable(2, 6), variable(None, dtype="int64"), ndim=2), (None, None)),
    "flatten": (lambda: S.flatten(variable(None, 3, 4), 2), (None, 12)),
    "flatten-all": (lambda: S.flatten(variable(2, 3, 4)), (24,)),
    "flatten-scalar": (lambda: S.flatten(variable()), (1,)),
    "ravel": (lambda: S.ravel(variable(None, 3)), (None,)),
    "dimshuffle": (lambda: S.dimshuffle(variable(2, None), (1, "x", 0)), (None, 1, 2)),
    "squeeze": (lambda: S.squeeze(variable(1, None, 1, 3)), (None, 3)),
    "squeeze-axis": (lambda: S.squeeze(variable(None, 3), 0), (3,)),
    "expand-dims": (lambda: S.expand_dims(variable(2, 3), (0, -1)), (1, 2, 3, 1)),
    "moveaxis": (lambda: S.moveaxis(variable(2, 3, 4), 0, -1), (3, 4, 2)),
    "broadcast-to": (lambda: S.broadcast_to(variable(3, 1), (index(), 3, index())), (None, 3, None)),
    "broadcast-to-symbolic-kept": (lambda: S.broadcast_to(variable(3), (index(),)), (3,)),
    "broadcast-arrays": (lambda: S.broadcast_arrays(variable(3, 1), variable(None, 4))[1], (3, 4)),
    "atleast-3d": (lambda: S.atleast_3d(variable(5)), (1, 5, 1)),
}


@pytest.mark.parametrize(("build", "want"), FACTS.values(), ids=FACTS)
def test_lengths_known_before_running(build, want):
    assert build().type.shape == want


def test_reshape_to_column_is_a_column_type_as_in_theano():
    assert S.reshape(variable(None, None), (-1, 1)).broadcastable == (False, True)


def test_flatten_keeps_the_leading_axes_and_takes_theanos_keyword():
    x = variable(2, None, None)

    assert S.flatten(x, outdim=2).type.shape == (2, None)
    assert value_at(S.flatten(x, outdim=2), {x: np.zeros((2, 3, 4))}).shape == (2, 12)


def test_shape_is_a_constant_where_known_and_an_op_where_not():
    assert isinstance(S.shape(variable(2, 3)), TensorConstant)
    assert S.shape(variable(2, 3)).value.tolist() == [2, 3]
    assert S.shape(variable(2, 3)).dtype == "int64"
    assert op_names(S.shape(variable(2, None))) == ["shape"]


def test_one_length_is_a_constant_where_known_and_an_op_where_not():
    x = variable(2, None)

    assert S.shape_i(x, 0).value == 2
    assert op_names(x.shape[1]) == ["shape_i"]
    assert value_at(x.shape[-1], {x: np.zeros((2, 7))}) == 7
    assert S.size(variable(2, 3)).value == 6
    assert value_at(S.size(x), {x: np.zeros((2, 7))}) == 14


@pytest.mark.parametrize(
    "build",
    [
        lambda x: S.dimshuffle(x, (0, 1)),
        lambda x: S.reshape(x, (2, 3)),
        lambda x: S.reshape(x, x.shape),
        lambda x: S.flatten(x, 2),
        lambda x: S.broadcast_to(x, (2, 3)),
        lambda x: S.specify_shape(x, (2, None)),
        lambda x: S.squeeze(x),
        lambda x: S.atleast_2d(x),
        lambda x: S.retype(x, x.type),
    ],
)
def test_no_node_where_nothing_is_to_do(build):
    x = variable(2, 3)

    assert build(x) is x


def test_reshape_to_its_own_unknown_shape_is_nothing():
    x = variable(None, None)

    assert S.reshape(x, x.shape) is x
    assert S.reshape(x, (x.shape[1], x.shape[0])) is not x


def test_rest_of_a_reshape_is_a_number_when_the_unknown_lengths_cancel():
    x = variable(None, 3, 4)
    y = S.reshape(x, (-1, x.shape[0]))

    assert y.type.shape == (12, None)
    assert value_at(y, {x: np.zeros((0, 3, 4))}).shape == (12, 0)


@pytest.mark.parametrize(
    ("source", "target", "want"),
    [((0, 3, 4), (0, -1), (0, 12)), ((3, 4, 0), (-1, 0), (12, 0)), ((0, 2), (-1, 2), (0, 2))],
)
def test_rest_of_a_reshape_without_elements(source, target, want):
    x = variable(*[None] * len(source))

    assert value_at(S.reshape(x, target), {x: np.zeros(source)}).shape == want


def test_reshape_of_contiguous_memory_is_a_view():
    x = variable(None, None)
    array = np.zeros((2, 3))

    assert np.shares_memory(value_at(S.reshape(x, (3, -1)), {x: array}), array)


def _cancelled(x):
    return S.reshape(x, (-1, 2, x.shape[0]))


REFUSED = {
    "reshape": (lambda: S.reshape(variable(2, 3), (4, 2)), ShapeError, "cannot reshape (2, 3) to (4, 2)"),
    "reshape-rest": (
        lambda: S.reshape(variable(2, 3), (4, -1)),
        ShapeError,
        "6 elements do not go into a multiple of 4",
    ),
    "reshape-cancelled": (lambda: _cancelled(variable(None, 3)), ShapeError, "(?, 3) to (-1, 2, ?)"),
    "dimshuffle": (lambda: S.dimshuffle(variable(2, 3), (1,)), ShapeError, "cannot drop axis 0, which has length 2"),
    "squeeze": (lambda: S.squeeze(variable(1, 3), 1), ShapeError, "cannot drop axis 1"),
    "specify": (lambda: S.specify_shape(variable(2), (3,)), ShapeError, "axis 0 has length 2, but 3 was specified"),
    "addbroadcast": (lambda: S.addbroadcast(variable(2), 0), ShapeError, "axis 0 has length 2, but 1"),
    "broadcast": (lambda: S.broadcast_to(variable(2), (3,)), ShapeError, "cannot broadcast (2,) to (3,)"),
    "broadcast-shapes": (lambda: S.broadcast_arrays(variable(2), variable(3)), ShapeError, "lengths 2 and 3"),
    "patternbroadcast": (lambda: S.patternbroadcast(variable(2), (True, False)), GraphTypeError, "2 flags"),
    "moveaxis": (lambda: S.moveaxis(variable(2, 3), (0, 1), 0), AxisError, "2 axes to 1 places"),
    "expand-dims": (lambda: S.expand_dims(variable(2, 3), 3), AxisError, "no axis 3"),
}


@pytest.mark.parametrize(("build", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_known_lengths_are_refused_before_running(build, error, says):
    with pytest.raises(error) as caught:
        build()

    assert says in str(caught.value)


def test_an_impossible_reshape_names_both_shapes_and_the_line():
    x = variable(2, 3, name="x")

    with pytest.raises(ShapeError) as caught:
        S.reshape(x, (4, 2))

    text = str(caught.value)
    assert "cannot reshape (2, 3) to (4, 2)" in text
    assert "test_shape.py" in text
    assert "6 elements do not go into 8" in text
    assert "one of them may be -1" in text


def test_a_specified_length_is_checked_when_it_runs():
    x, n = variable(None, None), index()
    y = S.specify_shape(x, (n, 3))

    assert y.type.shape == (None, 3)
    assert value_at(y, {x: np.zeros((2, 3)), n: np.array(2)}).shape == (2, 3)
    with pytest.raises(ShapeError, match="axis 0 has length 2, but 5"):
        value_at(y, {x: np.zeros((2, 3)), n: np.array(5)})


def test_retype_forgets_asserts_and_refuses():
    x = variable(2, None)

    assert S.retype(x, TensorType("float64", (None, 3))).type.shape == (None, 3)
    with pytest.raises(ShapeError, match="axis 1 has length 4"):
        value_at(S.retype(x, TensorType("float64", (None, 3))), {x: np.zeros((2, 4))})
    for other in (TensorType("float32", (2, None)), TensorType("float64", (2,)), TensorType("float64", (3, None))):
        with pytest.raises(GraphTypeError, match="where a"):
            S.retype(x, other)


def test_retype_of_a_constant_is_a_constant():
    made = S.retype(constant(np.zeros((1, 2))), TensorType("float64", (None, 2)))

    assert isinstance(made, TensorConstant)
    assert made.type.shape == (None, 2)


def test_broadcastable_flags_are_added_and_removed():
    x = variable(1, None)

    assert S.unbroadcast(x, 0).broadcastable == (False, False)
    assert S.addbroadcast(x, 1).broadcastable == (True, True)
    assert S.patternbroadcast(x, (False, True)).broadcastable == (False, True)
    assert S.patternbroadcast(x, (True, False)) is x


def test_squeeze_without_axis_keeps_axes_of_unknown_length():
    x = variable(1, None)

    assert value_at(S.squeeze(x), {x: np.zeros((1, 1))}).shape == (1,)


def test_pad_left_right_and_axis():
    x = variable(2, 3)

    assert S.shape_padleft(x, 2).type.shape == (1, 1, 2, 3)
    assert S.shape_padright(x).type.shape == (2, 3, 1)
    assert S.shape_padaxis(x, 1).type.shape == (2, 1, 3)


def test_broadcast_length_of_unknown_lengths_is_decided_when_it_runs():
    x, y = variable(None, 2), variable(None, 1)
    n, m = S.broadcast_shape(x, y)

    assert m == 2
    assert value_at(n, {x: np.zeros((1, 2)), y: np.zeros((4, 1))}) == 4
    assert value_at(n, {x: np.zeros((4, 2)), y: np.zeros((1, 1))}) == 4
    assert S.broadcast_shapes((3, 1), (4,), 1) == (3, 4)


@given(st.data())
def test_permuting_axes_and_back_changes_nothing(arrays, data):
    array, x = data.draw(arrays)
    order = data.draw(st.permutations(range(array.ndim)))
    back = [order.index(a) for a in range(array.ndim)]

    check_equal(S.transpose(x, order), {x: array}, array.transpose(order))
    check_equal(S.transpose(S.transpose(x, order), back), {x: array}, array)


@given(st.data())
def test_reshape_with_a_rest_agrees_with_numpy_and_comes_back(arrays, data):
    array, x = data.draw(arrays)
    divisors = [d for d in range(1, array.size + 1) if array.size and array.size % d == 0] or [1]
    n = data.draw(st.sampled_from(divisors))
    symbolic = index()
    given = {x: array, symbolic: np.array(n)}

    for length in (n, symbolic):
        y = S.reshape(x, (length, -1))
        check_equal(y, given, array.reshape(n, -1))
        check_equal(S.reshape(y, S.shape(x)), given, array)


@given(st.data())
def test_moveaxis_and_swapaxes_are_numpys(arrays, data):
    array, x = data.draw(arrays)
    assume(array.ndim > 0)
    a, b = (data.draw(st.integers(-array.ndim, array.ndim - 1)) for _ in range(2))

    check_equal(S.moveaxis(x, a, b), {x: array}, np.moveaxis(array, a, b))
    check_equal(S.swapaxes(x, a, b), {x: array}, np.swapaxes(array, a, b))


@given(st.data())
def test_squeeze_and_expand_are_numpys(arrays, data):
    array, x = data.draw(arrays)
    ones = tuple(a for a, n in enumerate(array.shape) if n == 1)

    check_equal(S.squeeze(x, ones), {x: array}, np.squeeze(array, ones))
    for made, want in ((S.atleast_1d, np.atleast_1d), (S.atleast_2d, np.atleast_2d), (S.atleast_3d, np.atleast_3d)):
        check_equal(made(x), {x: array}, want(array))
    check_equal(S.expand_dims(x, -1), {x: array}, np.expand_dims(array, -1))


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.data())
def test_the_gradient_of_a_broadcast_sums_what_it_repeated(shapes, data):
    """Whichever lengths were known: an axis of unknown length that turns out to be 1 was repeated too."""
    source, target = shapes.input_shapes[0], shapes.result_shape
    x = variable(*[n if data.draw(st.booleans()) else None for n in source])
    lengths = [n if data.draw(st.booleans()) else index() for n in target]
    given = {x: np.zeros(source)}
    given.update((d, np.array(n)) for d, n in zip(lengths, target, strict=True) if not isinstance(d, int))
    times = np.prod(target, dtype=int) / max(np.prod(source, dtype=int), 1)

    for out in (S.broadcast_to(x, lengths), S.broadcast_arrays(x, np.zeros(target))[0]):
        np.testing.assert_array_equal(value_at(grad(out.sum(), x), given), np.full(source, times), strict=True)
