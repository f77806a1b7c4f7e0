"""Functions of neural networks: what Theano answers, and that nothing overflows."""

import numpy as np
import pytest

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import DTypeError, GraphTypeError, ShapeError
from refgraph.interp.evaluate import evaluate
from refgraph.ops import elementwise, nnet
from refgraph.ops.tensor import TensorType, as_tensor
from refgraph.testing.checks import symbol, value_of


def slope(function, x):
    """The derivative of an elementwise function."""
    x = np.asarray(x)
    a = symbol(x)
    return evaluate([grad(function(a).sum(), a)], {a: x})[0]


def grid(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# softmax


def test_softmax_of_a_vector_is_a_vector():
    assert value_of(nnet.softmax, [0.0, 0.0]).tolist() == [0.5, 0.5]


def test_softmax_takes_a_matrix_by_rows():
    x = grid(3, 4)
    want = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(value_of(nnet.softmax, x), want, rtol=1e-14)
    np.testing.assert_allclose(value_of(nnet.softmax_with_bias, x - 1, np.ones(4)), want, rtol=1e-14)


def test_softmax_of_thousands_is_finite():
    assert value_of(nnet.softmax, [1000.0, 1000.0, -1000.0]).tolist() == [0.5, 0.5, 0.0]
    assert value_of(nnet.logsoftmax, [0.0, 1000.0]).tolist() == [-1000.0, 0.0]


def test_gradients_of_softmax_at_thousands_are_finite():
    x = np.array([1000.0, 0.0, -1000.0])
    assert slope(lambda a: nnet.softmax(a)[0], x).tolist() == [0.0, 0.0, 0.0]
    assert slope(lambda a: nnet.logsoftmax(a)[2], x).tolist() == [-1.0, 0.0, 1.0]


def test_minus_infinity_has_no_share():
    assert value_of(nnet.softmax, [0.0, -np.inf, 0.0]).tolist() == [0.5, 0.0, 0.5]
    assert value_of(nnet.logsoftmax, [0.0, -np.inf])[1] == -np.inf


@pytest.mark.parametrize("x", [[-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]])
def test_softmax_without_a_limit_is_nan(x):
    assert np.isnan(value_of(nnet.softmax, x)).any()
    assert np.isnan(value_of(nnet.logsoftmax, x)).any()


@pytest.mark.parametrize("function", [nnet.softmax, nnet.logsoftmax])
@pytest.mark.parametrize(
    ("given", "wanted"),
    [("float16", "float16"), ("float32", "float32"), ("float64", "float64"), ("int8", "float64"), ("bool", "float64")],
)
def test_softmax_keeps_float_dtypes_and_makes_integers_float64(function, given, wanted):
    assert value_of(function, np.ones((2, 2), given)).dtype == wanted


# activations


def test_relu_has_the_gradient_one_half_at_zero():
    assert slope(nnet.relu, [0.0, 1.0, -1.0]).tolist() == [0.5, 1.0, 0.0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float32"])
def test_relu_keeps_the_dtype(dtype):
    x = np.array([0, 1, 100], dtype)
    assert value_of(nnet.relu, x).dtype == dtype
    assert value_of(nnet.relu, x).tolist() == [0, 1, 100]


def test_relu_is_exact_for_the_largest_and_infinite():
    big = np.finfo("float64").max
    assert value_of(nnet.relu, [-np.inf, -big, big, np.inf]).tolist() == [0.0, 0.0, big, np.inf]


def test_leaky_relu_has_a_slope_on_the_left_and_the_mean_of_both_at_zero():
    x = np.array([-2.0, 0.0, 3.0])
    assert value_of(lambda a: nnet.relu(a, 0.25), x).tolist() == [-0.5, 0.0, 3.0]
    assert slope(lambda a: nnet.relu(a, 0.25), x).tolist() == [0.25, 0.625, 1.0]
    assert value_of(lambda a: nnet.relu(a, np.array([0.0, 1.0, 2.0])), -x).tolist() == [2.0, 0.0, -6.0]
    assert value_of(lambda a: nnet.relu(a, 0.5), np.array([0, 4], "uint8")).tolist() == [0.0, 4.0]


def test_relu_refuses_complex_numbers():
    with pytest.raises(DTypeError, match="no order"):
        nnet.relu(as_tensor(np.ones(2) * 1j))


def test_elu_is_smooth_at_zero_and_finite_far_out():
    assert slope(nnet.elu, [-1.0, 0.0, 1.0]).tolist() == [np.exp(-1.0), 1.0, 1.0]
    assert slope(nnet.elu, [-1000.0, 1000.0]).tolist() == [0.0, 1.0]
    np.testing.assert_allclose(value_of(lambda a: nnet.elu(a, 2.0), [-1.0, 3.0]), [2 * np.expm1(-1.0), 3.0])


def test_selu_keeps_mean_and_variance_of_normal_numbers():
    z = value_of(nnet.selu, grid(200_000))
    np.testing.assert_allclose([z.mean(), z.var()], [0, 1], atol=0.02)


def test_softsign():
    assert value_of(nnet.softsign, [-1.0, 0.0, 3.0]).tolist() == [-0.5, 0.0, 0.75]


def test_hard_sigmoid_is_theanos():
    np.testing.assert_allclose(value_of(nnet.hard_sigmoid, [-10.0, 0.0, 1.0, 10.0]), [0.0, 0.5, 0.7, 1.0])


def test_ultra_fast_sigmoid_is_theanos():
    np.testing.assert_allclose(value_of(nnet.ultra_fast_sigmoid, [0.0, 1.0]), [0.5, 0.75])
    np.testing.assert_allclose(
        value_of(nnet.ultra_fast_sigmoid, [-50.0, 50.0]), [0.00247262315663, 0.9975273768], rtol=1e-9
    )


def test_ultra_fast_sigmoid_is_near_the_sigmoid_and_point_symmetric():
    x = np.linspace(-8, 8, 801)
    z = value_of(nnet.ultra_fast_sigmoid, x)
    np.testing.assert_allclose(z, 1 / (1 + np.exp(-x)), atol=0.03)
    np.testing.assert_allclose(z + value_of(nnet.ultra_fast_sigmoid, -x), 1, rtol=1e-15)


@pytest.mark.parametrize(
    "function", [nnet.relu, nnet.elu, nnet.selu, nnet.softsign, nnet.hard_sigmoid, nnet.ultra_fast_sigmoid]
)
def test_activations_keep_float32(function):
    x = np.linspace(-4, 4, 9, dtype="float32")
    assert value_of(function, x).dtype == np.float32
    assert slope(function, x).dtype == np.float32


# losses


def test_categorical_crossentropy_of_integers_is_theanos():
    p = np.array([[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(value_of(nnet.categorical_crossentropy, p, np.array([0, 1])), [0.69314718, 0.69314718])


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)])
def test_integers_and_one_hot_rows_have_the_same_crossentropy(shape):
    p = np.abs(grid(*shape)) + 0.1
    y = np.arange(int(np.prod(shape[:-1]))).reshape(shape[:-1]) % 3
    want = value_of(nnet.categorical_crossentropy, p, np.eye(3)[y])
    np.testing.assert_allclose(value_of(nnet.categorical_crossentropy, p, y), want)
    np.testing.assert_allclose(value_of(nnet.crossentropy_categorical_1hot, p, y), want)


def test_categorical_crossentropy_refuses_other_truths():
    p = TensorType("float64", (None, 3))()
    for truth in (TensorType("int64", ())(), TensorType("float64", (None,))(), TensorType("int64", (None,) * 3)()):
        with pytest.raises(GraphTypeError, match="is no truth for"):
            nnet.categorical_crossentropy(p, truth)


def test_one_class_number_is_needed_for_each_row():
    p = TensorType("float64", (4, 3))()
    with pytest.raises(ShapeError, match="axis 0 is 4"):
        nnet.categorical_crossentropy(p, TensorType("int64", (5,))())
    with pytest.raises(DTypeError, match="must be integers"):
        nnet.crossentropy_categorical_1hot(p, TensorType("float64", (4,))())


def test_binary_crossentropy():
    p, t = np.array([0.25, 0.5]), np.array([1.0, 0.5])
    np.testing.assert_allclose(value_of(nnet.binary_crossentropy, p, t), [np.log(4), np.log(2)])


def test_sigmoid_binary_crossentropy_is_exact_at_any_size():
    x = np.array([1000.0, -1000.0, 1000.0, -1000.0, 0.0, 40.0])
    t = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    want = [1000.0, 1000.0, 0.0, 0.0, np.log(2), np.exp(-40.0)]
    np.testing.assert_allclose(value_of(nnet.sigmoid_binary_crossentropy, x, t), want, rtol=1e-13)


def test_gradient_of_sigmoid_binary_crossentropy_is_sigmoid_minus_target():
    x = np.array([1000.0, -1000.0, 1000.0, -1000.0, 0.0])
    t = np.array([0.0, 1.0, 1.0, 0.0, 0.25])
    got = slope(lambda a: nnet.sigmoid_binary_crossentropy(a, t), x)
    np.testing.assert_allclose(got, [1.0, -1.0, 0.0, 0.0, 0.25], atol=1e-300)


def test_sigmoid_binary_crossentropy_is_that_of_the_sigmoid():
    x, t = grid(5), np.linspace(0, 1, 5)
    want = value_of(lambda a, b: nnet.binary_crossentropy(elementwise.sigmoid(a), b), x, t)
    np.testing.assert_allclose(value_of(nnet.sigmoid_binary_crossentropy, x, t), want, rtol=1e-12)


def test_losses_keep_float32():
    p, t = np.full(3, 0.5, "float32"), np.ones(3, "float32")
    assert value_of(nnet.binary_crossentropy, p, t).dtype == np.float32
    assert value_of(nnet.sigmoid_binary_crossentropy, p, t).dtype == np.float32
    assert value_of(nnet.categorical_crossentropy, p, t).dtype == np.float32
    assert value_of(lambda a: nnet.binary_crossentropy(a, 1), p).dtype == np.float32


def test_softmax_crossentropies_agree_and_stay_finite():
    x, b, y = 1000 * grid(3, 4), grid(4), np.array([0, 3, 1])
    xs = [symbol(a) for a in (x, b, y)]
    given = dict(zip(xs, (x, b, y), strict=True))
    loss, p, largest, where = evaluate(nnet.crossentropy_softmax_max_and_argmax_1hot_with_bias(*xs), given)
    z = x + b - (x + b).max(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, np.log(np.exp(z).sum(axis=1)) - z[np.arange(3), y])
    np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(largest, p.max(axis=1))
    np.testing.assert_array_equal(where, p.argmax(axis=1))
    again = evaluate(nnet.crossentropy_softmax_argmax_1hot_with_bias(*xs), given)
    plain = evaluate(nnet.crossentropy_softmax_max_and_argmax_1hot(xs[0] + xs[1], xs[2]), given)
    for got, want in zip([*again, *plain], [loss, p, where, loss, p, largest, where], strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_gradient_of_softmax_crossentropy_is_softmax_minus_one_hot():
    x, y = grid(3, 4), np.array([0, 3, 1])
    a = symbol(x)
    loss, p = nnet.crossentropy_softmax_1hot(a, y)
    g, p = evaluate([grad(loss.sum(), a), p], {a: x})
    np.testing.assert_allclose(g, p - np.eye(4)[y], atol=1e-15)


# classes


def test_to_one_hot():
    y = np.array([0, 2, 1], "uint8")
    np.testing.assert_array_equal(value_of(lambda a: nnet.to_one_hot(a, 3), y), np.eye(3)[y])
    assert value_of(lambda a: nnet.to_one_hot(a, 3, dtype="int8"), y).dtype == np.int8


def test_to_one_hot_refuses_a_class_that_is_too_large():
    with pytest.raises(IndexError):
        value_of(lambda a: nnet.to_one_hot(a, 3), np.array([3]))


def test_to_one_hot_refuses_what_are_no_class_numbers():
    with pytest.raises(GraphTypeError, match="integer vector"):
        nnet.to_one_hot(TensorType("float64", (None,))(), 3)


def test_confusion_matrix_counts_rows_by_truth():
    actual, pred = np.array([2, 0, 2, 2, 0, 5]), np.array([0, 0, 2, 2, 0, 2])
    xs = symbol(actual), symbol(pred)
    counts, classes = evaluate(nnet.confusion_matrix(*xs), {xs[0]: actual, xs[1]: pred})
    assert classes.tolist() == [0, 2, 5]
    assert counts.tolist() == [[2, 0, 0], [1, 2, 0], [0, 1, 0]]
    assert counts.dtype == np.int64
