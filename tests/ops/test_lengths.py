"""Axes and lengths: the forms that callers give them in, what the graph fixes, and what errors say."""

import numpy as np
import pytest

from refgraph.core.errors import AxisError, DTypeError, GraphTypeError, NotScalarConstantError
from refgraph.ops import lengths as L
from refgraph.ops.joining import join
from refgraph.ops.shape import broadcast_to, reshape
from refgraph.ops.tensor import as_tensor, constant
from refgraph.testing.checks import op_names, variable


def index():
    return variable(dtype="int64", name="n")


@pytest.mark.parametrize("axes", [(0, 2), [0, -1], np.array([0, 2]), constant([0, -1]), (np.int8(0), constant(2))])
def test_many_axes_come_in_many_forms(axes):
    assert L.many_axes("sum", axes, 3) == (0, 2)


def test_axes_keep_the_order_given_but_for_reductions():
    assert L.many_axes("moveaxis", (-1, 0), 3) == (2, 0)
    assert L.axes_of("sum", (-1, 0), variable(2, 3, 4)) == (0, 2)
    assert L.axes_of("sum", None, variable(2, 3, 4)) == (0, 1, 2)
    assert L.axes_of("sum", (), variable(2, 3, 4)) == ()
    assert L.axes_of("sum", 1, variable(2, 3, 4)) == L.axes_of("sum", -2, variable(2, 3, 4)) == (1,)


@pytest.mark.parametrize(
    ("axes", "error", "says"),
    [
        (2, AxisError, "op: no axis 2 in 2 dimensions"),
        ((0, -3), AxisError, "op: no axis -3 in 2 dimensions"),
        ((0, -2), AxisError, "op: an axis is repeated in (0, -2)"),
        (constant([1, 1]), AxisError, "op: an axis is repeated in (1, 1)"),
        (0.5, DTypeError, "op: an axis is an int, got 0.5 (float)"),
        (np.array([0.5]), DTypeError, "op: an axis is an int, got 0.5 (float)"),
        ("x", DTypeError, "op: an axis is an int, got 'x' (str)"),
        (index(), NotScalarConstantError, "op: the axis must be known when the graph is built"),
    ],
)
@pytest.mark.parametrize("normalize", [L.axes_of, lambda op, axes, x: L.many_axes(op, axes, x.type.ndim, x)])
def test_bad_axes_are_refused_in_the_same_words(normalize, axes, error, says):
    with pytest.raises(error) as caught:
        normalize("op", axes, variable(2, 3))
    assert says in str(caught.value)


def test_lengths_come_in_many_forms():
    n = index()

    assert L.lengths("op", 3) == [3]
    assert L.lengths("op", (np.int8(2), n, constant(4))) == [2, n, 4]
    assert L.lengths("op", np.array([2, 3])) == [2, 3]
    assert L.lengths("op", variable(None, 3).shape)[1] == 3
    assert L.lengths("op", (None, 2), unknown=True) == [None, 2]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (2.0, DTypeError, "a length is an integer, got 2.0 (float)"),
        (True, DTypeError, "a length is an integer, got True"),
        (None, DTypeError, "a length is an integer, got None"),
        ([variable(name="x")], DTypeError, "a length is an integer, got x (float64[])"),
        ([variable(2, dtype="int64", name="v")], GraphTypeError, "a length is one number, got v (int64[2])"),
        (variable(2, name="v"), DTypeError, "lengths are integers, got v (float64[2])"),
        (variable(None, dtype="int64", name="v"), GraphTypeError, "how many lengths v (int64[?]) holds must be known"),
    ],
)
def test_what_is_no_length_is_refused(given, error, says):
    with pytest.raises(error) as caught:
        L.lengths("op", given)
    assert says in str(caught.value)


def test_known_factors_are_multiplied_now():
    n = index()

    assert L.product([2, 3]) == 6
    assert L.product([n]) is n
    assert L.product([0, n]) == 0
    assert op_names(L.product([2, n, 3])) == ["mul"]


def test_a_shape_gives_its_lengths_without_reading_the_vector():
    x, y = variable(None, 3), variable(None, None)

    assert sorted(op_names(reshape(y, x.shape))) == ["reshape", "shape_i"]
    assert reshape(y, x.shape).type.shape == (None, 3)


def test_elements_of_a_joined_and_sliced_shape_are_known():
    x = variable(None, 2, 3)

    assert broadcast_to(variable(), join(0, x.shape[1:], [4])).type.shape == (2, 3, 4)
    assert broadcast_to(variable(), x.shape[::-1]).type.shape == (3, 2, None)


def test_element_of_a_stack_is_seen_through():
    assert L.scalar_value(as_tensor([index(), constant(7)])[1]) == 7
    assert L.scalar_value(as_tensor([index(), constant(7)])[0]) is None


def test_the_search_for_a_constant_ends():
    x = constant(1.0)
    for _ in range(10_000):
        x = x + 1

    assert L.scalar_value(x) is None
