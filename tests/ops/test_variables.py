"""Constructors of variables: dtypes by letter, shapes by word, names in every form that Theano takes."""

from itertools import product

import pytest

from refgraph.core.config import config
from refgraph.core.errors import DTypeError, GraphTypeError
from refgraph.ops import variables as V
from refgraph.ops.tensor import TensorType

DTYPES = dict(b="int8", w="int16", i="int32", l="int64", f="float32", d="float64", c="complex64", z="complex128")
SHAPES = {
    "scalar": (),
    "vector": (None,),
    "row": (1, None),
    "col": (None, 1),
    "matrix": (None, None),
    **{f"tensor{n}": (None,) * n for n in range(3, 8)},
}


def plural(word):
    return "matrices" if word == "matrix" else word + "s"


@pytest.fixture
def single():
    with config.change_flags(floatX="float32"):
        yield


@pytest.mark.parametrize(("letter", "word"), list(product(DTYPES, SHAPES)))
def test_a_prefixed_name_is_a_type_that_makes_variables(letter, word):
    type = getattr(V, letter + word)
    assert type is TensorType(DTYPES[letter], SHAPES[word])
    x = type("x")
    assert (x.type, x.name, type().name) == (type, "x", None)


@pytest.mark.parametrize(("letter", "word"), list(product(DTYPES, SHAPES)))
def test_the_plural_makes_several(letter, word):
    type = getattr(V, letter + word)
    x, y = getattr(V, letter + plural(word))("x", "y")
    assert (x.type, x.name, y.type, y.name) == (type, "x", type, "y")


@pytest.mark.parametrize("word", SHAPES)
def test_without_a_letter_the_dtype_is_floatx_at_the_call(word, single):
    assert getattr(V, word)("x").type is TensorType("float32", SHAPES[word])
    assert [x.type.dtype for x in getattr(V, plural(word))(2)] == ["float32", "float32"]


@pytest.mark.parametrize("word", SHAPES)
def test_a_dtype_may_be_given(word):
    x = getattr(V, word)("x", dtype="int8")
    assert (x.name, x.type) == ("x", TensorType("int8", SHAPES[word]))
    assert [y.dtype for y in getattr(V, plural(word))("y", "z", dtype="int8")] == ["int8", "int8"]


def test_the_plurals_take_names_in_every_form():
    for given in (("a", "b"), ("a b",), ("ab",), (["a", "b"],)):
        assert [x.name for x in V.dvectors(*given)] == ["a", "b"]
    assert [x.name for x in V.dvectors(2)] == [None, None]
    assert [x.name for x in V.dvectors("x")] == ["x"]


def test_a_row_and_a_column_broadcast():
    assert (V.row().broadcastable, V.col().broadcastable) == ((True, False), (False, True))


@pytest.mark.parametrize(
    "x",
    [
        V.tensor("x", dtype="float32", shape=(None, 1)),
        V.tensor("x", "float32", (None, 1)),
        V.tensor("float32", (False, True), "x"),
        V.tensor("float32", (False, True), name="x"),
        V.tensor("float32", shape=(None, 1), name="x"),
        V.tensor(name="x", dtype="float32", broadcastable=(False, True)),
        V.tensor("x", broadcastable=(False, True), dtype="float32"),
    ],
)
def test_tensor_takes_both_orders(x):
    assert (x.name, x.type) == ("x", TensorType("float32", (None, 1)))


def test_tensor_without_a_dtype_is_floatx(single):
    assert V.tensor("x", shape=(2,)).type is TensorType("float32", (2,))


def test_tensor_refuses_what_makes_no_type():
    with pytest.raises(GraphTypeError, match="needs a shape"):
        V.tensor("x")
    with pytest.raises(DTypeError, match="no dtype"):
        V.tensor("x", "float99", (2,))
    with pytest.raises(GraphTypeError, match="name twice"):
        V.tensor("x", name="y", shape=(2,))
    with pytest.raises(GraphTypeError, match="5 arguments"):
        V.tensor("x", "int8", (2,), (True,), None)


def test_only_constructors_have_public_names():
    words = {*SHAPES, *map(plural, SHAPES)}
    public = {name for name in vars(V) if not name.startswith(("_", "@"))} - {"annotations"}  # @: pytest's
    assert public == {"tensor"} | words | {letter + word for letter in DTYPES for word in words}
