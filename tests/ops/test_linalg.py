"""Products against NumPy over all ranks, and what their graphs look like."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import DTypeError, GraphTypeError, ShapeError
from refgraph.core.graph import toposort
from refgraph.interp.evaluate import evaluate
from refgraph.ops.einsum import einsum
from refgraph.ops.linalg import (
    DOT,
    Dot,
    MatMul,
    TensorDot,
    batched_dot,
    cov,
    dot,
    inner,
    kron,
    matmul,
    matrix_dot,
    matrix_power,
    matvec,
    outer,
    tensordot,
    trace,
    vdot,
    vecdot,
    vecmat,
)
from refgraph.ops.tensor import TensorType
from refgraph.testing.checks import symbol, value_of

RANKS = list(product(range(4), range(4)))
LEFT = [(), (4,), (3, 4), (2, 3, 4)]
RIGHT = [(), (4,), (4, 5), (2, 4, 5)]


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-2, 2, shape)


def gradients(function, *arrays):
    """The gradients of the weighted sum of function's values by each array, and the same by differences."""
    xs = [symbol(a) for a in arrays]
    z = function(*xs)
    weights = draw(*np.shape(value_of(function, *arrays)), seed=9)
    got = evaluate(grad((z * weights).sum(), xs), dict(zip(xs, arrays, strict=True)))
    want = []
    for i, a in enumerate(arrays):
        slope = np.empty_like(a)
        for at in np.ndindex(*a.shape):
            step = np.zeros_like(a)
            step[at] = 0.5  # the functions are multilinear: a step of any size is exact
            up, down = (value_of(function, *arrays[:i], a + s, *arrays[i + 1 :]) for s in (step, -step))
            slope[at] = np.sum(weights * (up - down))
        want.append(slope)
    return got, want


def check_gradients(function, *arrays):
    for got, want, a in zip(*gradients(function, *arrays), arrays, strict=True):
        assert got.shape == a.shape
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def ops_of(*outputs):
    return [node.op for node in toposort(outputs)]


# dot, matmul


@pytest.mark.parametrize(("m", "n"), RANKS)
@pytest.mark.parametrize("known", [False, True])
def test_dot_is_numpys_in_every_rank(m, n, known):
    x, y = draw(*LEFT[m]), draw(*RIGHT[n], seed=1)
    np.testing.assert_allclose(value_of(dot, x, y, known=known), np.dot(x, y), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("m", "n"), RANKS)
def test_dot_has_gradients_in_every_rank(m, n):
    check_gradients(dot, draw(*LEFT[m]), draw(*RIGHT[n], seed=1))


@pytest.mark.parametrize(("m", "n"), [r for r in RANKS if 0 not in r])
@pytest.mark.parametrize("known", [False, True])
def test_matmul_is_numpys_in_every_rank(m, n, known):
    x, y = draw(*LEFT[m]), draw(*RIGHT[n], seed=1)
    np.testing.assert_allclose(value_of(matmul, x, y, known=known), x @ y, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("m", "n"), [r for r in RANKS if 0 not in r])
def test_matmul_has_gradients_in_every_rank(m, n):
    check_gradients(matmul, draw(*LEFT[m]), draw(*RIGHT[n], seed=1))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_stacks_of_matrices_broadcast_at_run_time_with_right_gradients(data):
    """Each axis of each stack is 1 or n, its length known or not; the gradient has each operand's own shape."""
    full = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
    operands = []
    for matrix in [(2, 3), (3, 1)]:
        rank = data.draw(st.integers(0, len(full)))
        stack = [1 if data.draw(st.booleans()) else n for n in full[len(full) - rank :]]
        shape = (*stack, *matrix)
        static = tuple(n if data.draw(st.booleans()) else None for n in shape)
        operands.append((draw(*shape), TensorType("float64", static)()))
    (a, x), (b, y) = operands
    z = matmul(x, y)
    g = draw(*(a @ b).shape, seed=3)
    value, ga, gb = evaluate([z, *grad((z * g).sum(), [x, y])], {x: a, y: b})
    np.testing.assert_allclose(value, a @ b, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(ga, summed_to(g @ np.swapaxes(b, -1, -2), a.shape), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gb, summed_to(np.swapaxes(a, -1, -2) @ g, b.shape), rtol=1e-12, atol=1e-14)


def summed_to(x, shape):
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    return x.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def test_operators_and_methods_are_these_functions():
    x, y = draw(2, 3), draw(3, 2)
    np.testing.assert_allclose(value_of(lambda a, b: a @ b, x, y), x @ y)
    np.testing.assert_allclose(value_of(lambda a: x @ a, y), x @ y)
    np.testing.assert_allclose(value_of(lambda a, b: a.dot(b), x, y), x @ y)


def test_a_python_number_is_weak():
    x = TensorType("float32", (3,))()
    assert dot(x, 2.5).type.dtype == dot(2, x).type.dtype == "float32"


@pytest.mark.parametrize(
    ("left", "right"), list(product(["bool", "int8", "uint8", "int64", "float16", "float32", "complex64"], repeat=2))
)
def test_the_dtype_is_numpys_promotion(left, right):
    x, y = np.ones((2, 2), left), np.ones((2, 2), right)
    for function in (
        dot,
        matmul,
        inner,
        outer,
        lambda a, b: einsum("ij,jk->ik", a, b),
        lambda a, b: tensordot(a, b, 1),
    ):
        assert value_of(function, x, y).dtype == np.dot(x, y).dtype


def test_known_lengths_that_do_not_fit_are_refused_with_the_transposition_that_fits():
    x, y = TensorType("float64", (2, 3))("x"), TensorType("float64", (5, 3))("y")
    with pytest.raises(ShapeError) as caught:
        dot(x, y)
    text = str(caught.value)
    assert "float64[2, 3] does not fit float64[5, 3]" in text
    assert "lengths 3 and 5" in text
    assert "dot(x, y.T) would fit" in text
    assert "test_linalg.py" in text


def test_matmul_by_a_scalar_is_refused():
    with pytest.raises(ShapeError, match=r"use \*"):
        TensorType("float64", (2, 2))() @ 3.0


def test_unneeded_products_are_not_built():
    """The gradient by the weights alone makes one product, not the one for the data."""
    x, w = TensorType("float64", (None, None))(), TensorType("float64", (None, None))()
    z = DOT(x, w)
    cost = z.sum()
    before = set(toposort([cost]))
    made = [node.op for node in toposort([grad(cost, w)]) if node not in before]
    assert sum(isinstance(op, Dot) for op in made) == 1


def test_one_large_product_is_preferred_to_a_stack_of_small_ones():
    x, w = TensorType("float64", (None,) * 3)(), TensorType("float64", (None, None))()
    z = x @ w
    assert [op for op in ops_of(z, *grad(z.sum(), [x, w])) if isinstance(op, MatMul)] == []


def test_complex_cotangents_are_conjugated():
    """The cotangent of a complex x is dC/d(re x) + i dC/d(im x)."""
    x, y = draw(2) + 1j * draw(2, seed=1), draw(2, seed=2) - 1j * draw(2, seed=3)
    a, b = symbol(x), symbol(y)
    cost = dot(a, b).real
    np.testing.assert_allclose(evaluate([grad(cost, a)], {a: x, b: y})[0], np.conj(y))
    real = symbol(x.real)
    (g,) = evaluate([grad(dot(real, b).imag, real)], {real: x.real, b: y})
    assert g.dtype == np.float64
    np.testing.assert_allclose(g, y.imag)


# tensordot and the batched products


@pytest.mark.parametrize(
    "axes", [1, 2, ((1, 2), (1, 0)), ((2, 1), (0, 1)), ((-1,), (0,)), (-1, -3), ([], []), 0, ((0, 2), (2, 0))], ids=str
)
def test_tensordot_takes_numpys_axes(axes):
    x = draw(2, 3, 4)
    y = draw(3, 4, 2) if axes == 2 else draw(4, 3, 2)
    np.testing.assert_allclose(value_of(lambda a, b: tensordot(a, b, axes), x, y), np.tensordot(x, y, axes), rtol=1e-13)
    check_gradients(lambda a, b: tensordot(a, b, axes), x, y)


def test_tensordot_of_matrices_is_a_plain_dot():
    x, y = symbol(draw(2, 3)), symbol(draw(4, 3))
    assert any(isinstance(op, Dot) for op in ops_of(tensordot(x, y, (1, 1))))
    assert not any(isinstance(op, TensorDot) for op in ops_of(tensordot(x, y, (1, 1))))


@pytest.mark.parametrize(("m", "n"), [(m, n) for m, n in product(range(1, 5), range(1, 5))])
def test_batched_dot_is_dot_of_each(m, n):
    """Theano's: of matrices a vector, of 3-d tensors a stack of products; a vector multiplies."""
    x = draw(2, *(5, 3, 4)[4 - m :])
    y = draw(2, *((), (4,), (4, 3), (2, 4, 3))[n - 1], seed=1)
    want = np.stack([np.dot(a, b) for a, b in zip(x, y, strict=True)])
    np.testing.assert_allclose(value_of(batched_dot, x, y), want, rtol=1e-13)
    check_gradients(batched_dot, x, y)


# written with these


def test_outer_flattens():
    x, y = draw(2, 2), draw(3)
    np.testing.assert_allclose(value_of(outer, x, y), np.outer(x, y))
    np.testing.assert_allclose(value_of(outer, draw(), y), np.outer(draw(), y))


@pytest.mark.parametrize(("m", "n"), [((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((2, 1, 3), (4, 3))])
def test_inner_sums_the_last_axes(m, n):
    x, y = draw(*m), draw(*n, seed=1)
    np.testing.assert_allclose(value_of(inner, x, y), np.inner(x, y), rtol=1e-13)
    check_gradients(inner, x, y)


def test_vdot_conjugates_the_first_and_flattens():
    x, y = draw(2, 2) + 1j * draw(2, 2, seed=1), draw(4) - 1j
    np.testing.assert_allclose(value_of(vdot, x, y), np.vdot(x, y))


@pytest.mark.parametrize(("m", "n"), [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3)), ((3,), (2, 3))])
def test_vecdot_broadcasts_and_conjugates(m, n):
    x, y = draw(*m) + 1j * draw(*m, seed=1), draw(*n, seed=2) - 1j
    np.testing.assert_allclose(value_of(vecdot, x, y), np.sum(np.conj(x) * y, axis=-1), rtol=1e-13)


@pytest.mark.parametrize(("m", "n"), [((2, 3), (3,)), ((4, 2, 3), (3,)), ((4, 2, 3), (4, 3)), ((2, 3), (4, 3))])
def test_matvec_broadcasts(m, n):
    x, y = draw(*m), draw(*n, seed=1)
    np.testing.assert_allclose(value_of(matvec, x, y), (x @ y[..., None])[..., 0], rtol=1e-13)
    check_gradients(matvec, x, y)


@pytest.mark.parametrize(("m", "n"), [((3,), (3, 2)), ((4, 3), (3, 2)), ((4, 3), (4, 3, 2)), ((3,), (4, 3, 2))])
def test_vecmat_broadcasts_and_conjugates(m, n):
    x, y = draw(*m) + 1j * draw(*m, seed=1), draw(*n, seed=2)
    want = (np.conj(x)[..., None, :] @ y)[..., 0, :]
    np.testing.assert_allclose(value_of(vecmat, x, y), want, rtol=1e-13)


@pytest.mark.parametrize("function", [matvec, vecmat])
def test_a_matrix_is_needed_where_one_is_named(function):
    with pytest.raises(ShapeError, match="at least 2 axes"):
        function(TensorType("float64", (3,))(), TensorType("float64", (3,))())


@pytest.mark.parametrize(("offset", "axis1", "axis2"), [(0, 0, 1), (1, 0, 1), (-1, 1, 2), (0, -1, 0)])
@pytest.mark.parametrize("dtype", ["float64", "int8"])
def test_trace_is_numpys(offset, axis1, axis2, dtype):
    x = (10 * draw(3, 4, 2)).astype(dtype)
    got = value_of(lambda a: trace(a, offset, axis1, axis2), x)
    want = np.trace(x, offset, axis1, axis2)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want)


@pytest.mark.parametrize(
    ("m", "n"), [((2, 3), (4, 5)), ((3,), (2,)), ((2, 3), (4,)), ((2,), (3, 2)), ((), (2, 2)), ((2, 1, 2), (2, 3))]
)
def test_kron_is_numpys(m, n):
    x, y = draw(*m), draw(*n, seed=1)
    for known in (False, True):
        np.testing.assert_allclose(value_of(kron, x, y, known=known), np.kron(x, y))
    check_gradients(kron, x, y)


@pytest.mark.parametrize("n", range(8))
@pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2)])
def test_matrix_power_is_numpys(n, shape):
    x = draw(*shape)
    np.testing.assert_allclose(value_of(lambda a: matrix_power(a, n), x), np.linalg.matrix_power(x, n), rtol=1e-12)


def test_matrix_power_multiplies_as_often_as_squaring_needs():
    products = [op for op in ops_of(matrix_power(symbol(draw(2, 2)), 16)) if isinstance(op, Dot)]
    assert len(products) == 4


def test_matrix_power_refuses_what_is_not_square_and_negative_exponents():
    with pytest.raises(ShapeError, match="not square"):
        matrix_power(TensorType("float64", (2, 3))(), 2)
    with pytest.raises(DTypeError, match="-1 is negative"):
        matrix_power(TensorType("float64", (2, 2))(), -1)


def test_matrix_dot_multiplies_from_left_to_right():
    x, y, z = draw(2, 3), draw(3, 4), draw(4, 2)
    np.testing.assert_allclose(value_of(matrix_dot, x, y, z), x @ y @ z)
    with pytest.raises(GraphTypeError, match="at least one"):
        matrix_dot()


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": True},
        {"ddof": 2},
        {"rowvar": False},
        {"fweights": [1, 2, 1, 3, 1]},
        {"aweights": [0.5, 1.0, 2.0, 0.1, 0.7]},
        {"aweights": [0.5, 1.0, 2.0, 0.1, 0.7], "ddof": 0},
        {"fweights": [1, 2, 1, 3, 1], "aweights": [0.5, 1.0, 2.0, 0.1, 0.7]},
    ],
    ids=str,
)
def test_cov_is_numpys(options, known):
    x = draw(3, 5) if options.get("rowvar", True) else draw(5, 3)
    np.testing.assert_allclose(value_of(lambda m: cov(m, **options), x, known=known), np.cov(x, **options))


def test_cov_of_a_vector_is_its_variance_and_y_adds_a_row():
    x, y, z = draw(5), draw(5, seed=1), draw(5) + 1j * draw(5, seed=2)
    np.testing.assert_allclose(value_of(cov, x), np.cov(x))
    np.testing.assert_allclose(value_of(cov, x, y), np.cov(x, y))
    np.testing.assert_allclose(value_of(cov, z), np.cov(z))
    np.testing.assert_allclose(value_of(cov, np.arange(5)), 2.5)


def test_cov_refuses_more_axes_than_two():
    with pytest.raises(GraphTypeError, match="vectors and matrices"):
        cov(TensorType("float64", (2, 2, 2))())
