"""Construction: dtypes as NumPy's and Theano's, lengths known before running, constants seen through the graph."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.config import config
from refgraph.core.errors import DTypeError, GraphTypeError, NotScalarConstantError, ShapeError
from refgraph.core.graph import toposort
from refgraph.interp.evaluate import evaluate
from refgraph.ops import construct as C
from refgraph.ops import shape as S
from refgraph.ops.tensor import TensorType, as_tensor, constant
from refgraph.testing.checks import value_at, variable


def index():
    return variable(dtype="int64", name="n")


FACTS = {
    "alloc-row": (lambda: C.alloc(0.0, 1, index()), (1, None)),
    "alloc-column": (lambda: C.alloc(0.0, index(), 1), (None, 1)),
    "alloc-list": (lambda: C.alloc(0.0, [2, index()]), (2, None)),
    "alloc-like": (lambda: C.alloc(0.0, *variable(None, 3).shape), (None, 3)),
    "zeros-vector": (lambda: C.zeros(variable(2, None).shape), (2, None)),
    "zeros-length": (lambda: C.zeros(3), (3,)),
    "zeros-half": (lambda: C.zeros((variable(6).shape[0] // 2, 1)), (3, 1)),
    "ones-scalar": (lambda: C.ones(()), ()),
    "full": (lambda: C.full((2, 3), [1, 2, 3]), (2, 3)),
    "zeros-like": (lambda: C.zeros_like(variable(None, 3)), (None, 3)),
    "arange": (lambda: C.arange(2, 11, 3), (3,)),
    "arange-symbolic": (lambda: C.arange(index()), (None,)),
    "arange-known-length": (lambda: C.arange(variable(None, 4).shape[1]), (4,)),
    "linspace": (lambda: C.linspace(0, 1, 5), (5,)),
    "linspace-symbolic": (lambda: C.linspace(variable(3), 1, index()), (None, 3)),
    "eye": (lambda: C.eye(2, index()), (2, None)),
    "tri": (lambda: C.tri(3), (3, 3)),
    "diag-of-vector": (lambda: C.diag(variable(3), -1), (4, 4)),
    "diag-of-matrix": (lambda: C.diag(variable(3, 4), 2), (2,)),
    "diag-of-unknown": (lambda: C.diag(variable(None, 4)), (None,)),
    "diagonal": (lambda: C.diagonal(variable(2, 3, None, 4), 1, 0, -1), (3, None, 2)),
    "mgrid": (lambda: C.mgrid[0:2, 1:4], (2, 2, 3)),
    "meshgrid": (lambda: C.meshgrid(variable(2), variable(3))[0], (3, 2)),
    "indices": (lambda: C.indices((2, index())), (2, 2, None)),
}


@pytest.mark.parametrize(("build", "want"), FACTS.values(), ids=FACTS)
def test_lengths_known_before_running(build, want):
    assert build().type.shape == want


def test_alloc_is_broadcastable_where_a_length_is_1_as_in_theano():
    assert C.alloc(0.0, 1, index()).broadcastable == (True, False)
    assert C.alloc(0.0, index(), 1).broadcastable == (False, True)
    assert C.eye(2).broadcastable == (False, False)


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_float_tensors_are_of_floatx_unless_told(floatx):
    with config.change_flags(floatX=floatx):
        for made in (
            C.zeros(3),
            C.ones((2, 2)),
            C.empty(3),
            C.eye(2),
            C.tri(2),
            C.arange(5.0),
            C.linspace(0, 1),
            C.full(2, 0.5),
        ):
            assert made.dtype == floatx
        assert C.zeros_like(variable(2, dtype="int8"), dtype="floatX").dtype == floatx
        assert C.zeros(3, "int8").dtype == "int8"
        assert C.zeros_like(variable(2, dtype="complex64")).dtype == "complex64"


@pytest.mark.parametrize(
    "ends",
    [
        (5,),
        (2, 5),
        (True,),
        (0, 5, 2),
        (np.int8(5),),
        (np.uint8(1), 9),
        (np.float32(5),),
        (0.5, np.int8(3)),
        (0, np.float64(2), 0.5),
    ],
)
def test_arange_has_numpys_dtype_and_values(ends):
    np.testing.assert_array_equal(value_at(C.arange(*ends)), np.arange(*ends), strict=True)
    symbolic = [variable(dtype=e.dtype.name) if isinstance(e, np.generic) else e for e in ends]
    given = {x: np.asarray(e) for x, e in zip(symbolic, ends, strict=True) if isinstance(e, np.generic)}
    np.testing.assert_array_equal(value_at(C.arange(*symbolic), given), np.arange(*ends), strict=True)


@given(*[st.integers(-9, 9) | st.floats(-9, 9, width=16)] * 2, st.integers(-3, 3) | st.floats(-3, 3, width=16))
def test_length_of_a_constant_arange_is_known(start, stop, step):
    assume(abs(step) > 0.01)

    assert C.arange(start, stop, step).type.shape == np.arange(start, stop, step).shape


def test_length_of_a_constant_arange_is_known_without_making_it():
    assert C.arange(10**15).type.shape == (10**15,)


def test_arange_of_a_small_integer_counts_in_int64_as_in_theano():
    assert C.arange(variable(dtype="int8")).dtype == "int64"


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (np.float32(0), 1), (np.float32(0), np.float32(1)), (np.int8(0), 1), (1j, 2.0)]
)
def test_linspace_has_numpys_dtype(start, stop):
    np.testing.assert_array_equal(value_at(C.linspace(start, stop, 5)), np.linspace(start, stop, 5), strict=True)


def test_geomspace_goes_from_end_to_end():
    np.testing.assert_allclose(value_at(C.geomspace(-1, -1000, 4)), [-1, -10, -100, -1000], rtol=1e-12)
    assert C.geomspace(np.float32(1), 8, 4).dtype == "float32"


def test_gradient_of_linspace_reaches_both_ends():
    a, b = variable(name="a"), variable(name="b")
    made = grad(C.linspace(a, b, 5).sum(), [a, b])

    assert evaluate(made, {a: np.array(1.0), b: np.array(3.0)}) == [2.5, 2.5]


@pytest.mark.parametrize(
    "key",
    [np.s_[0:3], np.s_[:3], np.s_[0:3, 1:6:2], np.s_[0:1:5j], np.s_[0:1:3j, 2:4], np.s_[-1:2:0.5, 0:2, 1:3]],
    ids=str,
)
def test_grids_are_numpys(key):
    np.testing.assert_array_equal(value_at(C.mgrid[key]), np.mgrid[key], strict=True)
    want = np.ogrid[key]
    found = C.ogrid[key]
    for f, w in zip(found, want, strict=True) if isinstance(want, tuple) else [(found, want)]:
        np.testing.assert_array_equal(value_at(f), w, strict=True)


def test_grids_take_symbolic_ends_and_refuse_what_has_none():
    n = index()
    x, y = C.mgrid[0:n, 0:2]

    np.testing.assert_array_equal(value_at(x + y, {n: np.array(3)}), [[0, 1], [1, 2], [2, 3]])
    with pytest.raises(GraphTypeError, match="mgrid"):
        C.mgrid[3]
    with pytest.raises(GraphTypeError, match="ogrid"):
        C.ogrid[1:]


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_meshgrid_is_numpys(indexing, sparse, count):
    arrays = [np.arange(n) * 0.5 for n in (2, 3, 4)[:count]]
    xs = [variable(None) for _ in arrays]

    found = C.meshgrid(*xs, indexing=indexing, sparse=sparse)

    for f, w in zip(found, np.meshgrid(*arrays, indexing=indexing, sparse=sparse), strict=True):
        np.testing.assert_array_equal(value_at(f, dict(zip(xs, arrays, strict=True))), w, strict=True)


def test_indices_are_numpys():
    np.testing.assert_array_equal(value_at(C.indices((2, 3))), np.indices((2, 3)), strict=True)
    for f, w in zip(C.indices((2, 3), sparse=True), np.indices((2, 3), sparse=True), strict=True):
        np.testing.assert_array_equal(value_at(f), w, strict=True)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(-5, 5))
def test_triangles_and_diagonals_are_numpys(n, m, k):
    x, size, offset = variable(None, None), index(), index()
    array = np.arange(1.0, n * m + 1).reshape(n, m)
    given = {x: array, size: np.array(n), offset: np.array(k)}

    np.testing.assert_array_equal(value_at(C.eye(size, m, offset), given), np.eye(n, m, k))
    np.testing.assert_array_equal(value_at(C.tri(size, m, offset), given), np.tri(n, m, k))
    np.testing.assert_array_equal(value_at(C.tril(x, offset), given), np.tril(array, k))
    np.testing.assert_array_equal(value_at(C.triu(x, offset), given), np.triu(array, k))
    np.testing.assert_array_equal(value_at(C.tril(x, k) + C.triu(x, k + 1), given), array)
    np.testing.assert_array_equal(value_at(C.diag(x, k), given), np.diag(array, k))
    np.testing.assert_array_equal(value_at(C.diag(C.diag(x, k), k), given), np.diag(np.diag(array, k), k))


def test_triangle_indices_are_numpys():
    for made, want in (
        (C.tril_indices(3, 1, 4), np.tril_indices(3, 1, 4)),
        (C.triu_indices(3, -1), np.triu_indices(3, -1)),
    ):
        for f, w in zip(made, want, strict=True):
            np.testing.assert_array_equal(value_at(f), w)


def test_identity_like_has_the_dtype_and_shape_of_its_model():
    x = variable(None, 3, dtype="float32")

    made = C.identity_like(x)

    assert made.type == TensorType("float32", (None, 3))
    np.testing.assert_array_equal(value_at(made, {x: np.zeros((2, 3), "float32")}), np.eye(2, 3))
    with pytest.raises(GraphTypeError, match="takes a matrix"):
        C.identity_like(variable(3))


def test_zeros_like_is_one_node_of_its_models_dtype():
    x = variable(None, 3, dtype="int8")

    assert len(toposort([C.zeros_like(x)])) == 1
    assert value_at(C.zeros_like(x), {x: np.ones((2, 3), "int8")}).tolist() == [[0] * 3] * 2
    assert C.ones_like(x, dtype="float32").type == TensorType("float32", (None, 3))
    assert value_at(C.ones_like([1, 2])).tolist() == [1, 1]


def test_full_like_truncates_only_when_told():
    x = variable(2, dtype="int64")

    with pytest.raises(DTypeError, match=r"0\.5 does not fit into int64"):
        C.full_like(x, 0.5)
    assert C.full_like(x, 0.5, dtype="float64").dtype == "float64"


CONSTANTS = {
    "number": (lambda: 3, 3),
    "array": (lambda: np.array([2.5, 2.5]), 2.5),
    "constant": (lambda: constant(3), 3),
    "length": (lambda: variable(2, None).shape[0], 2),
    "size": (lambda: variable(2, 3).size, 6),
    "arithmetic": (lambda: (variable(5).shape[0] + 1) // 2 * constant(4), 12),
    "cast": (lambda: constant(2.7).astype("int8"), 2),
    "fill": (lambda: C.zeros_like(variable(None)), 0),
    "alloc": (lambda: C.alloc(7, index(), 2), 7),
    "dimshuffle": (lambda: constant(3).dimshuffle("x", "x"), 3),
    "reshape": (lambda: S.reshape(constant(3), (1, 1)), 3),
    "item-of-stack": (lambda: as_tensor([index(), constant(9)])[1], 9),
    "item-of-constant": (lambda: constant([4, 5])[1], 5),
    "item-of-shape": (lambda: S.shape(variable(None, 6))[-1], 6),
}


@pytest.mark.parametrize(("build", "want"), CONSTANTS.values(), ids=CONSTANTS)
def test_a_number_that_the_graph_fixes_is_found(build, want):
    assert C.get_scalar_constant_value(build()) == want


@pytest.mark.parametrize(
    "build",
    [
        index,
        lambda: constant([1, 2]),
        lambda: index() + 1,
        lambda: variable(None).shape[0],
        lambda: constant(np.zeros(0)),
    ],
)
def test_a_number_that_the_graph_does_not_fix_is_refused(build):
    with pytest.raises(NotScalarConstantError, match="not fixed"):
        C.get_scalar_constant_value(build())


def test_length_of_a_vector():
    assert C.get_vector_length(variable(3)) == 3
    assert C.get_vector_length(variable(None, 2).shape) == 2
    with pytest.raises(ShapeError, match="not known"):
        C.get_vector_length(variable(None))
    with pytest.raises(GraphTypeError, match="takes a vector"):
        C.get_vector_length(variable(2, 2))


def test_default_stands_in_for_none():
    x = variable(2)

    assert C.default(x, 0) is x
    assert C.default(None, x) is x


REFUSED = {
    "zeros-negative": (lambda: C.zeros((2, -1)), ShapeError, "negative in (2, -1)"),
    "zeros-float": (lambda: C.zeros(2.5), DTypeError, "a length is an integer, got 2.5"),
    "zeros-bool": (lambda: C.zeros(True), DTypeError, "got True"),
    "zeros-matrix": (lambda: C.zeros(variable(2, 2, dtype="int64")), GraphTypeError, "one number"),
    "zeros-unknown-rank": (lambda: C.zeros(variable(None, dtype="int64")), GraphTypeError, "must be known"),
    "alloc-value": (lambda: C.alloc(variable(3), 2), ShapeError, "alloc cannot broadcast (3,) to (2,)"),
    "arange-step": (lambda: C.arange(0, 5, 0), ShapeError, "step is 0"),
    "arange-list": (lambda: C.arange([1, 2]), GraphTypeError, "scalars"),
    "linspace": (lambda: C.linspace(0, 1, -2), ShapeError, "-2 numbers"),
    "eye": (lambda: C.eye(-1), ShapeError, "negative"),
    "meshgrid": (lambda: C.meshgrid([1], [2], indexing="yx"), GraphTypeError, "'yx'"),
    "dtype": (lambda: C.zeros(2, "float99"), DTypeError, "float99"),
}


@pytest.mark.parametrize(("build", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_use_is_refused_before_running(build, error, says):
    with pytest.raises(error) as caught:
        build()

    assert says in str(caught.value)


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 3, 8])
def test_bartlett_is_numpys(n):
    x = index()
    np.testing.assert_allclose(value_at(C.bartlett(x), {x: np.array(n)}), np.bartlett(n))


def test_bartlett_refuses_what_is_no_number_of_points():
    with pytest.raises(GraphTypeError, match="an integer"):
        C.bartlett(2.5)
