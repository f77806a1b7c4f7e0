"""Shared variables: what they hold, and what they refuse."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError, InputError
from refgraph.core.types import Generic
from refgraph.interp.shared import SharedVariable, TensorSharedVariable, shared


@pytest.mark.parametrize(
    ("value", "dtype", "ndim"),
    [
        (1, "int64", 0),
        (1.5, "float64", 0),
        (True, "bool", 0),
        (1 + 2j, "complex128", 0),
        (np.float32(2), "float32", 0),
        (np.zeros((2, 3), "int8"), "int8", 2),
        ([[1, 2], [3, 4]], "int64", 2),
        ((1.0, 2.0), "float64", 1),
    ],
)
def test_type_follows_the_value(value, dtype, ndim):
    x = shared(value, "x")
    assert isinstance(x, TensorSharedVariable)
    assert (x.dtype, x.ndim, x.name) == (dtype, ndim, "x")
    np.testing.assert_array_equal(x.get_value(), value)
    assert x.get_value().dtype == dtype


def test_no_length_is_part_of_the_type_unless_said():
    assert shared(np.ones((1, 3))).type.shape == (None, None)
    assert shared(np.ones((1, 3)), broadcastable=(True, False)).type.shape == (1, None)
    assert shared(np.ones((1, 3)), shape=(1, 3)).type.shape == (1, 3)


def test_a_declared_length_is_held_to():
    x = shared(np.ones((1, 3)), broadcastable=(True, False))
    with pytest.raises(InputError, match="axis 0 has length 2"):
        x.set_value(np.ones((2, 3)))


def test_values_are_copied_unless_borrowed():
    mine = np.zeros(3)
    x, y = shared(mine), shared(mine, borrow=True)
    mine[0] = 7
    assert x.get_value()[0] == 0
    assert y.get_value()[0] == 7
    x.get_value()[1] = 9
    assert x.get_value()[1] == 0
    x.get_value(borrow=True)[1] = 9
    assert x.get_value()[1] == 9
    x.set_value(mine)
    y.set_value(mine, borrow=True)
    mine[2] = 5
    assert x.get_value()[2] == 0
    assert y.get_value(borrow=True) is mine


def test_set_value_converts_what_fits_and_refuses_the_rest():
    x = shared(np.zeros(2, "float32"), "weights")
    x.set_value([1, 2])
    assert x.get_value().dtype == "float32"
    with pytest.raises(TypeError, match="weights") as caught:
        x.set_value(np.zeros(2))
    assert "float64 does not fit into float32" in str(caught.value)
    with pytest.raises(TypeError, match="expected 1 dimensions"):
        x.set_value(np.zeros((2, 2), "float32"))
    assert x.get_value().tolist() == [1, 2]


def test_strict_and_downcast_are_remembered():
    strict = shared(np.zeros(2, "float32"), strict=True)
    with pytest.raises(InputError, match="no conversion"):
        strict.set_value([1.0, 2.0])
    loose = shared(np.zeros(2, "float32"), allow_downcast=True)
    loose.set_value(np.array([0.1, 0.2]))
    assert loose.get_value().dtype == "float32"


def test_a_variable_is_no_value():
    with pytest.raises(GraphTypeError, match="needs a value"):
        shared(T.dscalar("x"))


def test_ragged_and_textual_values_are_refused():
    with pytest.raises(InputError, match="cannot make an array"):
        shared([[1, 2], [3]])
    with pytest.raises(InputError, match="has no type here"):
        shared(["a", "b"])


def test_other_objects_are_generic():
    x = shared({"a": 1})
    assert isinstance(x, SharedVariable)
    assert isinstance(x.type, Generic)
    assert x.get_value() == {"a": 1}
    assert x.get_value() is not x.get_value()


def test_zero():
    x = shared(np.ones((2, 2)))
    before = x.get_value(borrow=True)
    x.zero()
    assert before[0, 0] == 1
    assert x.get_value().tolist() == [[0, 0], [0, 0]]
    x.set_value(before, borrow=True)
    x.zero(borrow=True)
    assert before[0, 0] == 0


def test_a_clone_has_the_same_value_now_and_later():
    x = shared(1.0, "x")
    y = x.clone()
    assert (y is x, y.name, type(y)) == (False, "x", TensorSharedVariable)
    x.set_value(2.0)
    assert y.get_value() == 2.0


def test_container():
    x = shared(1.0)
    assert x.container.data is x.container.value is x.container.storage[0]
    x.container.value = 3
    assert x.get_value() == 3.0
    with pytest.raises(TypeError):
        x.container.data = "three"


def test_it_is_an_input_by_itself():
    x, w = T.dscalar("x"), shared(3.0, "w")
    f = rg.function([x], x * w)
    assert f(2) == 6
    w.set_value(5.0)
    assert f(2) == 10
    assert f.get_shared() == [w]
