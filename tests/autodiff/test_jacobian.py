"""jacobian, hessian, hessian_vector_product."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import toposort
from refgraph.core.op import Op
from refgraph.ops.scan import map_graph
from refgraph.testing.checks import loops, op_names, symbols

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


# one pass for all rows: the same as one row after the other, without a loop

RNG = np.random.default_rng(11)


def numbers(*shape):
    return RNG.normal(size=shape)


def mlp(x, w, b, v):
    return (T.tanh(T.dot(T.tanh(T.dot(x, w) + b), v)) ** 2).mean(axis=1)


def softmax_regression(x, w, b):
    return -T.log(T.nnet.softmax(T.dot(x, w) + b))[T.arange(x.shape[0]), [0, 2, 1, 1]]


PROGRAMS = {
    "mlp": (mlp, [numbers(4, 3), numbers(3, 5), numbers(5), numbers(5, 2)]),
    "softmax regression": (softmax_regression, [numbers(4, 3), numbers(3, 3), numbers(3)]),
    "logistic": (lambda x, w, b: T.nnet.sigmoid(x @ w + b), [numbers(4, 3), numbers(3), numbers()]),
    "log-softmax": (lambda x: T.nnet.logsoftmax(x, axis=0), [numbers(4, 3)]),
    "powers of a matrix": (lambda a: T.dot(T.dot(a, a), a.T), [numbers(3, 3)]),
    "batches": (lambda a, b: T.batched_dot(a, b), [numbers(2, 3, 4), numbers(2, 4)]),
    "stacks that broadcast": (lambda a, b: T.matmul(a, b), [numbers(2, 1, 3, 2), numbers(4, 2, 3)]),
    "einsum": (lambda a, b: T.einsum("iij,jk->ki", a, b), [numbers(2, 2, 3), numbers(3, 2)]),
    "tensordot": (lambda a, b: T.tensordot(a, b, ((0, 2), (1, 0))), [numbers(2, 3, 4), numbers(4, 2)]),
    "indexing": (lambda x: T.concatenate([x[1:, ::-1].flatten(), x[[2, 0, 2], [1, 1, 1]], x[0]]), [numbers(3, 2)]),
    "assignment": (lambda x, y: T.set_subtensor(x[1:, [0, 2]], y) ** 2, [numbers(3, 4), numbers(2, 2)]),
    "running": (lambda x: T.cumsum(x, axis=1) * T.cumprod(x, axis=0), [numbers(2, 3)]),
    "normalized": (lambda x: (x - x.mean(axis=0)) / x.std(axis=0), [numbers(4, 2)]),
    "order": (lambda x: T.sort(x, axis=0) * x.max(axis=1, keepdims=True), [numbers(3, 4)]),
    "products": (lambda x: x.prod(axis=(0, 2)) + T.max_and_argmax(x, axis=1)[0].sum(), [numbers(2, 3, 4)]),
    "shapes": (lambda x: T.tile(x.reshape((3, -1)).T, (2, 1))[:, 1:] * x.shape[0], [numbers(2, 6)]),
    "diagonals": (lambda x: T.diag(T.diag(x) * x[0]) + T.tril(x).sum(axis=0), [numbers(3, 3)]),
    "padding": (lambda x: T.roll(T.pad(x, 1), 2, axis=1).repeat(2, axis=0), [numbers(2, 2)]),
    "joined": (lambda x, y: T.stack([x, T.join(0, y, y)[1:3]], axis=1), [numbers(2, 3), numbers(2, 3)]),
    "masked": (lambda x: T.switch(x > 0, x, T.expm1(x))[[True, False, True]], [numbers(3, 2)]),
    "scalar": (lambda x: T.sum(T.exp(x) * x[0]), [numbers(2, 3)]),
    "broadcast at run time": (lambda x, y: T.log1p((x * y) ** 2), [numbers(2, 3), numbers(2, 1)]),
    "gradient through a gradient": (lambda x: T.grad((T.tanh(x) ** 3).sum(), x), [numbers(4)]),
}


def by_rows(expression, wrt):
    """The definition: one pullback after the other."""
    flat = expression.flatten()

    def row(seed):
        return T.Lop(flat, wrt, seed)

    found = map_graph(row, [T.eye(flat.shape[0], dtype=expression.dtype)])
    return [
        j.reshape([*expression.shape, *x.shape], ndim=expression.ndim + x.ndim) for j, x in zip(found, wrt, strict=True)
    ]


def differences(program, arrays, i, step=1e-5):
    """The Jacobian of a NumPy program by argument i, by central differences."""
    found = []
    for at in np.ndindex(arrays[i].shape):
        ends = []
        for h in (step, -step):
            moved = [a.copy() for a in arrays]
            moved[i][at] += h
            ends.append(program(*moved))
        found.append((ends[0] - ends[1]) / (2 * step))
    return np.stack(found, -1).reshape((*found[0].shape, *arrays[i].shape))


@pytest.mark.parametrize("known", [False, True], ids=["lengths unknown", "lengths known"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_of_a_program(name, known):
    program, arrays = PROGRAMS[name]
    variables = symbols(arrays, known)
    expression = program(*variables)
    found = T.jacobian(expression, variables)
    assert not loops(*found)
    f = rg.function(variables, expression)
    both = [*found, *by_rows(expression, variables)]
    got = rg.function(variables, both, on_unused_input="ignore")(*arrays)
    for i, (x, j) in enumerate(zip(variables, found, strict=True)):
        assert (j.dtype, j.ndim) == (expression.dtype, expression.ndim + x.ndim)
        np.testing.assert_allclose(got[i], got[i + len(variables)], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got[i], differences(f, arrays, i), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PROGRAMS)
def test_hessian_of_a_program(name):
    program, arrays = PROGRAMS[name]
    variables = symbols(arrays)
    cost = (program(*variables) ** 2).sum()
    found = T.hessian(cost, variables)
    assert not loops(*found)
    slopes = rg.function(variables, T.grad(cost, variables))
    got = rg.function(variables, found)(*arrays)
    for i, h in enumerate(got):
        want = differences(lambda *moved, i=i: slopes(*moved)[i], arrays, i)
        np.testing.assert_allclose(h, want, rtol=1e-5, atol=1e-6 * np.abs(want).max(initial=1))


class Reversed(Op):
    """x backwards, which has no form for many items."""

    name = "reversed"

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return x[::-1].copy()

    def vjp(self, node, cotangents):
        return [self(g) for g in cotangents]


def test_an_op_without_a_form_is_looped_alone():
    j = T.jacobian(T.tanh(Reversed()(T.exp(x))), x)
    assert len(loops(j)) == 1
    slope = np.exp(X)[::-1] * (1 - np.tanh(np.exp(X)[::-1]) ** 2)
    np.testing.assert_allclose(j.eval({x: X}), slope[:, None] * np.eye(3)[::-1])


def test_the_work_does_not_depend_on_the_number_of_rows():
    def size(n):
        y = T.TensorType("float64", (n,))("y")
        return len(toposort([T.jacobian(T.tanh(T.dot(W, y)) * y.sum(), y), T.hessian(T.sum(T.exp(y) * y[::-1]), y)]))

    assert size(2) == size(3) == size(1000)


def test_what_is_no_part_of_the_pullback_is_computed_once():
    names = op_names(T.jacobian(T.exp(T.dot(W, x)), x))
    assert names.count("exp") == 1
    assert names.count("dot") == 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "complex128"])
def test_keeps_the_dtype(dtype):
    y = T.vector("y", dtype=dtype)
    j = T.jacobian(y**2 * y.sum(), y)
    value = np.array([1, 2, 3], dtype)
    assert j.dtype == dtype
    want = np.diag(2 * value * 6) + (value**2)[:, None]
    np.testing.assert_allclose(j.eval({y: value}), want)


def test_of_a_complex_function_is_that_of_the_rows():
    z = T.zvector("z")
    expression = T.exp(z) * z.conj() + abs(z)
    (want,) = by_rows(expression, [z])
    value = numbers(3) + 1j * numbers(3)
    np.testing.assert_allclose(T.jacobian(expression, z).eval({z: value}), want.eval({z: value}), rtol=1e-14)


def test_by_integers_is_zero_in_floats():
    i = T.lvector("i")
    j = T.jacobian(x[:2] * i.sum(), i)
    assert j.dtype == "float64"
    assert j.eval({x: X, i: [1, 2, 3]}).shape == (2, 3)


def test_by_a_number_and_of_a_number():
    a = T.dscalar("a")
    assert T.jacobian(a * x, a).eval({x: X, a: 2.0}).tolist() == X.tolist()
    assert T.jacobian(a**2, a).eval({a: 3.0}) == 6
    assert T.hessian(a**3, a).eval({a: 3.0}) == 18


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_of_an_empty_matrix(shape):
    j = T.jacobian(T.tanh(W) * W.sum(axis=0), W)
    assert j.eval({W: np.zeros(shape)}).shape == (*shape, *shape)


def test_behind_what_counts_as_constant():
    y = x**2
    assert T.jacobian(y * x, x, consider_constant=[y]).eval({x: X}).tolist() == np.diag(X**2).tolist()


def test_forms_of_the_answer():
    assert isinstance(T.jacobian(x**2, (x,)), tuple)
    assert isinstance(T.jacobian(x**2, [x]), list)


def test_where_no_derivative_is_defined():
    with pytest.raises(rg.gradient.NullTypeGradError):
        T.jacobian(rg.gradient.undefined_grad(x), x)


def test_where_only_some_of_wrt_are_connected():
    y = T.dmatrix("y")
    with pytest.warns(UserWarning, match="does not depend on y"):
        jx, jy = T.jacobian(x**2, [x, y], disconnected_inputs="warn")
    assert jx.eval({x: X}).tolist() == np.diag(2 * X).tolist()
    assert jy.eval({x: X, y: M}).shape == (3, 2, 3)
