"""Numbers in an expression stay weak when it gets other dtypes."""

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
    assert number_of(x) is None
