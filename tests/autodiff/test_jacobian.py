"""jacobian, hessian, hessian_vector_product."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T

x, W = T.dvector("x"), T.dmatrix("W")
X = np.array([1.0, -2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)


def test_of_the_slides():
    assert T.jacobian(x**2, x).eval({x: [4, 4]}).tolist() == [[8, 0], [0, 8]]
    assert T.hessian((x**2).sum(), x).eval({x: [4, 4]}).tolist() == [[2, 0], [0, 2]]


def test_by_several():
    jx, jw = T.jacobian(T.tanh(T.dot(W, x)), [x, W])
    slope = 1 - np.tanh(M @ X / 5) ** 2
    np.testing.assert_allclose(jx.eval({x: X / 5, W: M}), slope[:, None] * M)
    want = np.einsum("i,ij,k->ijk", slope, np.eye(2), X / 5)
    np.testing.assert_allclose(jw.eval({x: X / 5, W: M}), want)


def test_of_a_matrix_and_of_a_scalar():
    j = T.jacobian(W**2, W).eval({W: M})
    np.testing.assert_allclose(j, np.einsum("ij,ik,jl->ijkl", 2 * M, np.eye(2), np.eye(3)))
    np.testing.assert_allclose(T.jacobian((x**2).sum(), x).eval({x: X}), 2 * X)


def test_of_nothing():
    assert T.jacobian(x**2, x).eval({x: np.zeros(0)}).shape == (0, 0)


def test_with_respect_to_what_it_does_not_depend_on():
    y = T.dvector("y")
    with pytest.raises(rg.gradient.DisconnectedInputError):
        T.jacobian(x**2, y)
    j = T.jacobian(x**2, y, disconnected_inputs="ignore")
    assert j.eval({x: X, y: [1.0, 2.0]}).tolist() == [[0, 0]] * 3


def test_refuses_integers():
    with pytest.raises(TypeError, match="float or complex"):
        T.jacobian(T.ivector("i"), x)


def test_hessian_of_a_coupled_cost():
    cost = (T.outer(x, x) ** 2).sum() / 4
    want = X @ X * np.eye(3) + 2 * np.outer(X, X)
    np.testing.assert_allclose(T.hessian(cost, x).eval({x: X}), want)
    (block,) = T.hessian(cost, [x])
    np.testing.assert_allclose(block.eval({x: X}), want)


def test_hessian_of_a_linear_cost_is_zero():
    np.testing.assert_array_equal(T.hessian(x.sum(), x).eval({x: X}), np.zeros((3, 3)))


def test_jacobian_is_differentiable():
    """The derivative of a Jacobian, both ways, against the formula."""
    j = T.jacobian(x**3, x)
    np.testing.assert_allclose(T.grad(j.sum(), x).eval({x: X}), 6 * X)
    v = T.dvector("v")
    np.testing.assert_allclose(T.Rop(j, x, v).eval({x: X, v: X}), np.diag(6 * X * X))


def test_hessian_vector_product():
    cost = (T.outer(x, x) ** 2).sum() / 4
    v = T.dvector("v")
    want = (X @ X * np.eye(3) + 2 * np.outer(X, X)) @ np.array([1.0, 2.0, 4.0])
    product = rg.gradient.hessian_vector_product(cost, x, v)
    np.testing.assert_allclose(product.eval({x: X, v: [1.0, 2.0, 4.0]}), want)


def test_hessian_vector_product_couples_the_variables():
    y, v, u = T.dvector("y"), T.dvector("v"), T.dvector("u")
    a, b = rg.gradient.hessian_vector_product((x * y).sum(), [x, y], [v, u])
    f = rg.function([x, y, v, u], [a, b], on_unused_input="ignore")
    got = f(X, X, [1, 2, 3], [4, 5, 6])
    np.testing.assert_array_equal(got[0], [4, 5, 6])
    np.testing.assert_array_equal(got[1], [1, 2, 3])


def test_hessian_vector_product_wants_a_scalar():
    with pytest.raises(TypeError, match="cost must be a scalar"):
        rg.gradient.hessian_vector_product(x, x, x)
