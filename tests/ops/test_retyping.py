"""Numbers in an expression stay weak when it gets other dtypes."""

import copy
import pickle

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph import function
from refgraph.ops.retyping import number_of, retyped

x, half, whole = T.dvector("x"), T.fvector("half"), T.lvector("whole")
step = np.float64(2)


@pytest.mark.parametrize(
    ("build", "dtype"),
    [
        (lambda x: x * 2.5, "float32"),
        (lambda x: T.tanh(x / 3) ** 2 - 1e6, "float32"),
        (lambda x: T.switch(x > 0.5, x, -np.inf), "float32"),
        (lambda x: (x * 2.5).sum(), "float32"),
        (lambda x: T.clip(x, 0, 1) + T.dot(x, x), "float32"),
        (lambda x: x * step, "float64"),
        (lambda x: x + T.dscalar("y"), "float64"),
    ],
)
def test_numbers_take_the_new_dtype(build, dtype):
    (found,) = retyped([build(x)], {x: half})
    assert found.dtype == dtype == build(half).dtype


def test_integers_become_floats_where_the_number_is_one():
    found = retyped([x * 2, x * 0.5, x / 2], {x: whole})
    assert [y.dtype for y in found] == ["int64", "float64", "float64"]
    assert [y.tolist() for y in function([whole], found)([3])] == [[6], [1.5], [1.5]]


def test_names_lines_and_what_does_not_change_stay():
    other = T.dvector("other") * 0.1
    y = x * 0.1
    y.name = "y"
    z, same = retyped([y, other], {x: half})
    assert (z.name, z.owner.origin) == ("y", y.owner.origin)
    assert same is other
    np.testing.assert_array_equal(function([half], z)([1]), np.float32(0.1))


@pytest.mark.parametrize("number", [0, -3, 0.5, -np.inf, 1e300, 1 + 2j])
def test_the_number_of_a_constant(number):
    z = T.zvector("z") if isinstance(number, complex) else x
    assert number_of((z * number).owner.inputs[1]) == number
    assert number_of(T.constant(number)) == number
    assert number_of(T.constant(np.array(number))) is None
    assert number_of(T.constant(np.array(number), name="rate")) is None
    assert number_of(T.constant(np.array(5), name=repr(number))) is None
    assert number_of(x) is None


@pytest.mark.parametrize(
    "through", [lambda y: pickle.loads(pickle.dumps(y)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
@pytest.mark.parametrize("number", [3, 0.1, True, 1 + 2j])
def test_copies_keep_the_number(number, through):
    y = through(T.zvector("z") * number)
    operand = y.owner.inputs[1]
    assert (number_of(operand), type(number_of(operand)), str(operand)) == (number, type(number), repr(number))
    assert number_of(copy.copy(operand)) == number_of(operand.clone()) == number
    assert not operand.value.flags.writeable
    alone = through(T.constant(number))
    assert (number_of(alone), str(alone)) == (number, str(T.constant(number)))


def test_a_number_whose_name_is_changed_is_weak_and_prints_as_any_constant():
    y = x * 2.5
    operand = y.owner.inputs[1]
    operand.name = "rate"
    assert str(operand) == "rate"
    operand.name = None
    assert str(operand) == "TensorConstant{2.5}"
    assert retyped([y], {x: half})[0].dtype == "float32"


def test_the_name_of_an_array_says_nothing_of_its_value():
    five = T.constant(np.float32(5), name="1")
    (y,) = retyped([x * five], {x: half})
    assert y.owner.inputs[1] is five
    assert y.eval({half: np.ones(2, "float32")}).tolist() == [5, 5]
