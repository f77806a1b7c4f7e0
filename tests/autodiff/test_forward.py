"""Rop, and jvp derived from vjp."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.autodiff.forward import pushforward, transposed_vjp
from refgraph.core.op import Op
from refgraph.interp.evaluate import evaluate

x, v, W = T.dvector("x"), T.dvector("v"), T.dmatrix("W")
X, D = np.array([1.0, -2.0, 3.0]), np.array([1.0, 10.0, 100.0])
M = np.arange(6.0).reshape(2, 3)


def test_rop_is_jacobian_times_vector():
    t = T.Rop(T.dot(W, x) ** 2, x, v)
    np.testing.assert_allclose(t.eval({x: X, v: D, W: M}), 2 * (M @ X) * (M @ D))


def test_rop_of_several():
    outs = T.Rop([x * 2, T.dot(W, x)], [x, W], [v, T.ones_like(W)])
    np.testing.assert_allclose(outs[0].eval({v: D}), 2 * D)
    np.testing.assert_allclose(outs[1].eval({x: X, v: D, W: M}), M @ D + X.sum())


def test_rop_and_lop_are_transposes():
    f = T.tanh(T.dot(W, x)) * T.dot(W, x).sum()
    u = T.dvector("u")
    forward, backward = (u * T.Rop(f, x, v)).sum(), (v * T.Lop(f, x, u)).sum()
    given = {x: X / 5, v: D, W: M, u: np.array([2.0, -1.0])}
    a, b = evaluate([forward, backward], given)
    np.testing.assert_allclose(a, b)


def test_disconnected_output():
    with pytest.raises(rg.gradient.DisconnectedInputError, match="does not depend"):
        T.Rop(v, x, x)
    np.testing.assert_array_equal(T.Rop(v, x, x, disconnected_outputs="ignore").eval({v: D}), [0, 0, 0])
    assert T.Rop(v, x, x, disconnected_outputs="ignore", return_disconnected="none") is None
    with pytest.warns(UserWarning, match="does not depend"):
        T.Rop(v, x, x, disconnected_outputs="warn")


def test_zero_but_connected_output():
    np.testing.assert_array_equal(T.Rop(T.floor(x), x, v).eval({x: X}), [0, 0, 0])


def test_undefined_derivative():
    with pytest.raises(rg.gradient.NullTypeGradError):
        T.Rop(rg.gradient.undefined_grad(x), x, v)


def test_points_must_match():
    with pytest.raises(TypeError, match="one eval_point for each of wrt"):
        T.Rop(x, [x], [v, v])
    with pytest.raises(TypeError, match="must have its rank"):
        T.Rop(x, x, W)


class OnlyBackward(Op):
    """sin(x) * y, which says its vjp alone."""

    name = "only_backward"

    def infer(self, x, y):
        return (x.type,)

    def impl(self, x, y):
        return np.sin(x) * y

    def vjp(self, node, cotangents):
        (g,), (x, y) = cotangents, node.inputs
        return g * T.cos(x) * y, lambda: g * T.sin(x)


def test_forward_mode_falls_back_to_vjp_of_vjp():
    z = OnlyBackward()(x, v)
    tx, tv = T.dvector("tx"), T.dvector("tv")
    (t,) = transposed_vjp(z.owner, [tx, tv])
    (got,) = evaluate([t], {x: X, v: D, tx: D, tv: X})
    np.testing.assert_allclose(got, np.cos(X) * D * D + np.sin(X) * X)


def test_fallback_keeps_zero_and_disconnected_apart():
    z = OnlyBackward()(x, v)
    assert pushforward([z], [x], [0]) == [0]
    assert pushforward([z], [x], [None]) == [None]


def test_a_tangent_given_for_one_output_of_a_node_stands():
    a, b = T.split(x, [2, 2], 2)
    t = T.Rop(a + b, [a, x], [T.ones_like(a), T.fill(x, 100.0)])
    np.testing.assert_array_equal(t.eval({x: np.arange(4.0)}), [101.0, 101.0])
