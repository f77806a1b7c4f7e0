"""Joining, splitting and repeating: what is known before running, Theano's conventions, errors, and round trips."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import GraphTypeError, NotScalarConstantError, ShapeError
from refgraph.ops import joining as J
from refgraph.ops.tensor import TensorType, as_tensor, constant
from refgraph.testing.checks import check_equal, op_names, value_at, variable


def index():
    return variable(dtype="int64", name="n")


FACTS = {
    "join": (lambda: J.join(1, variable(None, 2), variable(3, 5)), (3, 7)),
    "join-unknown": (lambda: J.join(0, variable(None, 2), variable(3, 2)), (None, 2)),
    "stack": (lambda: J.stack([variable(None, 2), variable(3, None)], axis=1), (3, 2, 2)),
    "split-last-from-rest": (lambda: J.split(variable(5), [2, index()])[1], (3,)),
    "tile": (lambda: J.tile(variable(2, None), (3, 1, 2)), (3, 2, None)),
    "repeat": (lambda: J.repeat(variable(2, 3), 2, axis=1), (2, 6)),
    "repeat-each": (lambda: J.repeat(variable(None, 3), [1, 0, 4], axis=1), (None, 5)),
    "repeat-flat": (lambda: J.repeat(variable(2, 3), 2), (12,)),
    "roll": (lambda: J.roll(variable(2, None), 1, 0), (2, None)),
    "pad": (lambda: J.pad(variable(2, None), ((1, 2), (0, 1))), (5, None)),
    "pad-edge": (lambda: J.pad(variable(2), (1, 3), mode="edge"), (6,)),
}


@pytest.mark.parametrize(("build", "want"), FACTS.values(), ids=FACTS)
def test_lengths_known_before_running(build, want):
    assert build().type.shape == want


REFUSED = {
    "join": (lambda: J.join(0, variable(2, 3), variable(2, 4)), ShapeError, "axis 1 has lengths 3 and 4"),
    "stack": (lambda: J.stack([variable(3), variable(4)]), ShapeError, "axis 0 has lengths 3 and 4"),
    "split": (lambda: J.split(variable(5), [2, 2]), ShapeError, "(2, 2) do not add up to the length 5"),
    "split-too-much": (lambda: J.split(variable(5), [6, index()]), ShapeError, "do not add up"),
    "repeat": (lambda: J.repeat(variable(2), [1, 2, 3], axis=0), ShapeError, "3 entries"),
    "horizontal-stack": (lambda: J.horizontal_stack(variable(2)), GraphTypeError, "takes matrices"),
    "symbolic-axis": (lambda: J.join(index(), variable(2)), NotScalarConstantError, "axis must be known"),
}


@pytest.mark.parametrize(("build", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_known_lengths_are_refused_before_running(build, error, says):
    with pytest.raises(error) as caught:
        build()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: J.tile(x, (1, 1)),
        lambda x: J.pad(x, 0),
        lambda x: J.join(0, x),
    ],
)
def test_no_node_where_nothing_is_to_do(build):
    x = variable(2, 3)

    assert build(x) is x


def test_stack_takes_a_list_or_theanos_old_arguments():
    a, b = variable(2, name="a"), variable(2, name="b")
    given = {a: np.array([1.0, 2.0]), b: np.array([3.0, 4.0])}

    for made in (J.stack([a, b]), J.stack((a, b), 0), J.stack(a, b), J.stack(tensors=[a, b], axis=0)):
        np.testing.assert_array_equal(value_at(made, given), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(value_at(J.stack([a, b], 1), given), [[1, 3], [2, 4]])


def test_stack_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="axes"):
        J.stack([variable(2)], axes=1)
    with pytest.raises(TypeError, match="twice"):
        J.stack([variable(2)], 0, axis=0)


@pytest.mark.parametrize(
    ("nest", "dtype"),
    [
        (lambda f, i: [f, 1], "float32"),
        (lambda f, i: [f, 1.5], "float32"),
        (lambda f, i: [i, 1], "int8"),
        (lambda f, i: [i, 1.5], "float64"),
        (lambda f, i: [[f, i], [1, 2]], "float32"),
        (lambda f, i: (f, np.float64(1)), "float64"),
    ],
)
def test_numbers_in_a_list_with_variables_are_weak(nest, dtype):
    f, i = variable(dtype="float32"), variable(dtype="int8")

    assert J.stack_nested(nest(f, i)).dtype == dtype


def test_numbers_in_a_stack_are_weak():
    assert J.stack([variable(dtype="float32"), 1]).dtype == "float32"


def test_as_tensor_of_a_list_with_variables_stacks():
    x = variable(name="x")

    np.testing.assert_array_equal(value_at(as_tensor([[x, 1], [2, x]]), {x: np.array(5.0)}), [[5, 1], [2, 5]])


def test_join_promotes_as_numpy_and_takes_a_constant_axis():
    joined = J.join(constant(0), variable(2, dtype="int8"), variable(3, dtype="float32"))

    assert joined.type == TensorType("float32", (5,))
    assert J.horizontal_stack(variable(2, 1), variable(2, 3)).type.shape == (2, 4)
    assert J.vertical_stack(variable(1, 3), variable(2, 3)).type.shape == (3, 3)


def test_gradient_of_a_join_is_one_split():
    x, y = variable(2, name="x"), variable(None, name="y")

    made = grad(J.join(0, x, y, x).sum(), [x, y])

    assert op_names(*made).count("split") == 1


@given(st.data())
def test_splitting_and_joining_changes_nothing(arrays, data):
    array, x = data.draw(arrays)
    assume(array.ndim > 0)
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1))
    cut = data.draw(st.integers(0, array.shape[axis]))
    n = index()

    parts = J.split(x, [n, array.shape[axis] - n], axis=axis)

    given = {x: array, n: np.array(cut)}
    check_equal(parts[0], given, np.split(array, [cut], axis)[0])
    check_equal(J.join(axis, *parts), given, array)


@given(st.integers(-5, 5), st.data())
def test_rolling_there_and_back_changes_nothing(arrays, shift, data):
    array, x = data.draw(arrays)
    axis = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1)) if array.ndim else None

    check_equal(J.roll(x, shift, axis), {x: array}, np.roll(array, shift, axis))
    check_equal(J.roll(J.roll(x, shift, axis), -shift, axis), {x: array}, array)


@given(st.lists(st.integers(0, 3), max_size=5), st.data())
def test_tile_is_numpys(arrays, reps, data):
    array, x = data.draw(arrays)

    check_equal(J.tile(x, reps), {x: array}, np.tile(array, reps))


@given(
    st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]),
    st.integers(0, 5),
    st.integers(0, 5),
    st.data(),
)
def test_pad_is_numpys(arrays, mode, before, after, data):
    array, x = data.draw(arrays)
    assume(mode == "constant" or array.size)

    check_equal(
        J.pad(x, (before, after), mode), {x: array}, np.pad(array, (before, after), mode) if array.ndim else array
    )


@given(st.data())
def test_flip_is_numpys(arrays, data):
    array, x = data.draw(arrays)
    assume(array.ndim > 0)
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1))

    check_equal(J.flip(x, axis), {x: array}, np.flip(array, axis))
