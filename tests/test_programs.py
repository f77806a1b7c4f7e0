"""Programs as people wrote them for Theano: its tutorials, and the shapes of libraries that were built on it."""

import pickle
from collections import OrderedDict

import numpy
import numpy as np
import pytest

import refgraph as theano
import refgraph.tensor as T
from refgraph import In, function, shared


@pytest.fixture(autouse=True, params=["float64", "float32"])
def floatX(request):
    with theano.config.change_flags(floatX=request.param):
        yield request.param


def close(found, want, digits=5):
    np.testing.assert_allclose(np.asarray(found, "float64"), want, rtol=10.0**-digits, atol=10.0**-digits)


# Deep Learning Tutorials


class LogisticRegression:
    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(value=numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name="W", borrow=True)
        self.b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True)
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]
        self.input = input

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        assert y.ndim == self.y_pred.ndim
        assert y.dtype.startswith("int")
        return T.mean(T.neq(self.y_pred, y))


def shared_dataset(data_xy, borrow=True):
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return shared_x, T.cast(shared_y, "int32")


def descent(X, Y, W, b, rate):
    """What one step of gradient descent on the mean cross-entropy gives, by hand."""
    p = np.exp(X @ W + b)
    p /= p.sum(axis=1, keepdims=True)
    cost = -np.log(p[np.arange(len(Y)), Y]).mean()
    delta = (p - np.eye(W.shape[1])[Y]) / len(Y)
    return cost, W - rate * X.T @ delta, b - rate * delta.sum(axis=0)


def test_logistic_regression_in_mini_batches(floatX):
    rng = numpy.random.RandomState(0)
    X = rng.randn(60, 4)
    Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    train_set_x, train_set_y = shared_dataset((X, Y))
    batch_size, index = 20, T.lscalar()
    x, y = T.matrix("x"), T.ivector("y")
    classifier = LogisticRegression(input=x, n_in=4, n_out=3)
    cost = classifier.negative_log_likelihood(y)
    batch = {
        x: train_set_x[index * batch_size : (index + 1) * batch_size],
        y: train_set_y[index * batch_size : (index + 1) * batch_size],
    }
    g_W = T.grad(cost=cost, wrt=classifier.W)
    g_b = T.grad(cost=cost, wrt=classifier.b)
    updates = [(classifier.W, classifier.W - 0.5 * g_W), (classifier.b, classifier.b - 0.5 * g_b)]
    train_model = theano.function(inputs=[index], outputs=cost, updates=updates, givens=batch)
    errors = theano.function(inputs=[index], outputs=classifier.errors(y), givens=batch)

    W, b = np.zeros((4, 3)), np.zeros(3)
    for step in range(30):
        rows = slice(step % 3 * 20, step % 3 * 20 + 20)
        want, W, b = descent(X[rows], Y[rows], W, b, 0.5)
        close(train_model(step % 3), want)

    close(classifier.W.get_value(borrow=True), W, 4)
    assert classifier.W.dtype == floatX
    predict = theano.function([classifier.input], classifier.y_pred)
    guess = (X @ W + b).argmax(axis=1)
    assert predict(X.astype(floatX)).tolist() == guess.tolist()
    close(np.mean([errors(i) for i in range(3)]), np.mean(guess != Y))


class HiddenLayer:
    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh):
        if W is None:
            bound = numpy.sqrt(6.0 / (n_in + n_out))
            W_values = numpy.asarray(
                rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), dtype=theano.config.floatX
            )
            if activation == theano.tensor.nnet.sigmoid:
                W_values *= 4
            W = theano.shared(value=W_values, name="W", borrow=True)
        if b is None:
            b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True)
        self.W, self.b = W, b
        lin_output = T.dot(input, self.W) + self.b
        self.output = lin_output if activation is None else activation(lin_output)
        self.params = [self.W, self.b]


@pytest.mark.parametrize("activation", [T.tanh, T.nnet.sigmoid, T.nnet.relu])
def test_a_multilayer_perceptron_learns_xor(activation):
    rng = numpy.random.RandomState(1)
    x, y = T.matrix("x"), T.ivector("y")
    hidden = HiddenLayer(rng, x, 2, 8, activation=activation)
    out = HiddenLayer(rng, hidden.output, 8, 2, activation=None)
    p_y = T.nnet.softmax(out.output)
    L1 = abs(hidden.W).sum() + abs(out.W).sum()
    L2_sqr = (hidden.W**2).sum() + (out.W**2).sum()
    cost = -T.mean(T.log(p_y)[T.arange(y.shape[0]), y]) + 0.0001 * L1 + 0.0001 * L2_sqr
    params = hidden.params + out.params
    gparams = [T.grad(cost, param) for param in params]
    updates = [(param, param - 0.5 * gparam) for param, gparam in zip(params, gparams, strict=True)]
    train = theano.function(inputs=[x, y], outputs=cost, updates=updates)
    X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([0, 1, 1, 0], "int32")

    costs = [train(X, Y) for _ in range(1000)]

    assert costs[-1] < 0.1 * costs[0]
    assert theano.function([x], T.argmax(p_y, axis=1))(X).tolist() == [0, 1, 1, 0]


def test_a_denoising_autoencoder_has_two_ways_to_its_cost(floatX):
    rng = numpy.random.RandomState(2)
    x = T.matrix("x")
    W = shared(numpy.asarray(rng.uniform(-0.1, 0.1, (6, 3)), dtype=floatX), name="W", borrow=True)
    bhid = shared(numpy.zeros(3, dtype=floatX), name="b", borrow=True)
    bvis = shared(numpy.zeros(6, dtype=floatX), borrow=True)
    h = T.nnet.sigmoid(T.dot(x, W) + bhid)
    z = T.nnet.sigmoid(T.dot(h, W.T) + bvis)
    cost = T.mean(-T.sum(x * T.log(z) + (1 - x) * T.log(1 - z), axis=1))
    other = T.nnet.binary_crossentropy(z, x).sum(axis=1).mean()
    params = [W, bhid, bvis]
    updates = [(p, p - 0.5 * g) for p, g in zip(params, T.grad(cost, params), strict=True)]
    train = function([x], [cost, other], updates=updates)
    X = (rng.rand(20, 6) > 0.5).astype(floatX)

    costs = [train(X) for _ in range(200)]

    close([a for a, _ in costs], [b for _, b in costs])
    assert costs[-1][0] < 0.6 * costs[0][0]


# Theano's tutorial


def test_state_is_accumulated_and_functions_copied():
    state = shared(0)
    inc = T.iscalar("inc")
    accumulator = function([inc], state, updates=[(state, state + inc)])
    assert [accumulator(1), accumulator(300), state.get_value()] == [0, 1, 301]
    state.set_value(-1)
    assert [accumulator(3), state.get_value()] == [-1, 2]
    function([inc], state, updates=[(state, state - inc)])(2)
    assert state.get_value() == 0

    foo = T.scalar(dtype=state.dtype)
    skip_shared = function([inc, foo], state * 2 + inc, givens=[(state, foo)])
    assert [skip_shared(1, 3), state.get_value()] == [7, 0]

    new_state = shared(0)
    accumulator.copy(swap={state: new_state})(100)
    assert [state.get_value(), new_state.get_value()] == [0, 100]
    accumulator.copy(delete_updates=True)(9000)
    assert state.get_value() == 0


def test_default_updates_are_made_unless_forbidden():
    counter = shared(1)
    counter.default_update = counter * 2
    assert [f() for f in [function([], counter)] * 3] == [1, 2, 4]
    assert [f() for f in [function([], counter, no_default_updates=True)] * 2] == [8, 8]


def test_inputs_have_defaults_and_names():
    x, y, w = T.scalars("x", "y", "w")
    f = function([x, In(y, value=1), In(w, value=2, name="w_by_name")], (x + y) * w)
    assert [f(33), f(33, 2), f(33, 0, 1), f(33, w_by_name=1), f(33, w_by_name=1, y=0)] == [68, 70, 33, 34, 33]
    f = theano.function([theano.In(x), theano.In(y, value=1, name="by")], x * y)
    assert [f(2), f(2, by=4)] == [2, 8]


def test_a_real_example_of_logistic_regression(floatX):
    rng = numpy.random.RandomState(3)
    D = rng.randn(40, 8).astype(floatX), rng.randint(size=40, low=0, high=2).astype(floatX)
    x, y = T.matrix("x"), T.vector("y")
    w = theano.shared(rng.randn(8).astype(floatX), name="w")
    b = theano.shared(numpy.asarray(0.0, dtype=floatX), name="b")
    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w**2).sum()
    gw, gb = T.grad(cost, [w, b])
    train = theano.function(inputs=[x, y], outputs=[prediction, xent], updates=((w, w - 0.1 * gw), (b, b - 0.1 * gb)))
    slopes = theano.function([x, y], [gw, gb])

    for _ in range(2000):
        pred, _ = train(*D)

    assert pred.dtype == bool
    for slope in slopes(*D):
        close(slope, 0, 4)


def test_derivatives_of_the_tutorial():
    x, v = T.vector("x"), T.vector("v")
    W, V = T.matrix("W"), T.matrix("V")
    y = T.sum(x**2)
    gy = T.grad(y, x)
    assert function([x], theano.gradient.jacobian(x**2, x))([4, 4]).tolist() == [[8, 0], [0, 8]]
    assert function([x], theano.gradient.hessian(y, x))([4, 4]).tolist() == [[2, 0], [0, 2]]
    assert function([x, v], T.grad(T.sum(gy * v), x))([4, 4], [2, 2]).tolist() == [4, 4]
    assert function([x, v], T.Rop(gy, x, v))([4, 4], [2, 2]).tolist() == [4, 4]
    JV = T.Rop(T.dot(x, W), W, V)
    assert function([V, x], JV)([[2, 2], [2, 2]], [0, 1]).tolist() == [2, 2]
    VJ = T.Lop(T.dot(x, W), W, v)
    assert function([v, x], VJ)([2, 2], [0, 1]).tolist() == [[0, 0], [2, 2]]


def test_clones_compute_from_other_things():
    x, y, z = T.vectors("x", "y", "z")
    product = x * y
    for other in (
        theano.clone(product, replace={x: z}),
        theano.clone(product, replace=OrderedDict([(x, z)]), strict=True, share_inputs=True),
    ):
        assert function([z, y], other)([1, 2], [3, 4]).tolist() == [3, 8]
    one, two = theano.clone([product, product + 1], {x: z + 1})
    assert function([z, y], one + two)([1, 2], [3, 4]).tolist() == [13, 25]


def test_a_function_as_an_op():
    def infer_shape_numpy_dot(node, input_shapes):
        ashp, bshp = input_shapes
        return [ashp[:-1] + bshp[-1:]]

    @theano.as_op(itypes=[T.fmatrix, T.fmatrix], otypes=[theano.tensor.fmatrix], infer_shape=infer_shape_numpy_dot)
    def numpy_dot(a, b):
        return numpy.dot(a, b)

    a, b = numpy.ones((5, 4), "float32"), numpy.full((4, 3), 2, "float32")
    x, y = T.fmatrices("x", "y")
    assert (function([x, y], numpy_dot(x, y))(a, b) == 8).all()


# As libraries wrote it


def zeros_for(param):
    value = param.get_value(borrow=True)
    return theano.shared(np.zeros(value.shape, dtype=value.dtype), broadcastable=param.broadcastable)


def sgd(loss, params, learning_rate=0.1):
    grads = theano.grad(loss, params)
    return OrderedDict((p, p - learning_rate * g) for p, g in zip(params, grads, strict=True))


def momentum(loss, params, learning_rate=0.1, momentum=0.9):
    updates = sgd(loss, params, learning_rate)
    for param in params:
        velocity = zeros_for(param)
        x = momentum * velocity + updates[param]
        updates[velocity] = x - param
        updates[param] = x
    return updates


def nesterov_momentum(loss, params, learning_rate=0.1, momentum=0.9):
    updates = sgd(loss, params, learning_rate)
    for param in params:
        velocity = zeros_for(param)
        x = momentum * velocity + updates[param] - param
        updates[velocity] = x
        updates[param] = momentum * x + updates[param]
    return updates


def adagrad(loss, params, learning_rate=0.1, epsilon=1e-6):
    updates = OrderedDict()
    for param, grad in zip(params, theano.grad(loss, params), strict=True):
        accu = zeros_for(param)
        accu_new = accu + grad**2
        updates[accu] = accu_new
        updates[param] = param - (learning_rate * grad / T.sqrt(accu_new + epsilon))
    return updates


def rmsprop(loss, params, learning_rate=0.1, rho=0.9, epsilon=1e-6):
    updates = OrderedDict()
    one = T.constant(1)
    for param, grad in zip(params, theano.grad(loss, params), strict=True):
        accu = zeros_for(param)
        accu_new = rho * accu + (one - rho) * grad**2
        updates[accu] = accu_new
        updates[param] = param - (learning_rate * grad / T.sqrt(accu_new + epsilon))
    return updates


def adam(loss, params, learning_rate=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8):
    updates = OrderedDict()
    t_prev = theano.shared(np.asarray(0.0, dtype=theano.config.floatX))
    one = T.constant(1)
    t = t_prev + 1
    a_t = learning_rate * T.sqrt(one - beta2**t) / (one - beta1**t)
    for param, g_t in zip(params, theano.grad(loss, params), strict=True):
        m_prev, v_prev = zeros_for(param), zeros_for(param)
        m_t = beta1 * m_prev + (one - beta1) * g_t
        v_t = beta2 * v_prev + (one - beta2) * g_t**2
        updates[m_prev] = m_t
        updates[v_prev] = v_t
        updates[param] = param - a_t * m_t / (T.sqrt(v_t) + epsilon)
    updates[t_prev] = t
    return updates


once = 1 - 0.1 / np.sqrt(0.1)  # rmsprop's first step

# Two steps on w**2 / 2 from w = 1, so that the gradient is w; by hand.
TWO_STEPS = [
    (sgd, [0.9, 0.81]),
    (momentum, [0.9, 0.9 - 0.09 - 0.09]),
    (nesterov_momentum, [1 - 0.1 - 0.09, 0.81 - 0.081 + 0.9 * (-0.09 - 0.081)]),
    (adagrad, [0.9, 0.9 - 0.09 / np.sqrt(1 + 0.81)]),
    (rmsprop, [once, once - 0.1 * once / np.sqrt(0.09 + 0.1 * once**2)]),
    (adam, [0.9, 0.9 - 0.1 * (0.18 / 0.19) / np.sqrt(0.001809 / 0.001999)]),
]


@pytest.mark.parametrize(("rule", "want"), TWO_STEPS, ids=[rule.__name__ for rule, _ in TWO_STEPS])
def test_rules_of_descent(rule, want, floatX):
    w = theano.shared(np.asarray([1.0, -1.0], dtype=floatX), name="w")
    step = function([], [], updates=rule((w**2).sum() / 2, [w]))
    for value in want:
        step()
        close(w.get_value(), [value, -value], 4)
    assert w.get_value().dtype == floatX


def test_norms_are_constrained(floatX):
    W = T.matrix("W")
    dtype = np.dtype(theano.config.floatX).type
    norms = T.sqrt(T.sum(T.sqr(W), axis=(0,), keepdims=True))
    constrained = W * (T.clip(norms, 0, dtype(1.0)) / (dtype(1e-7) + norms))
    assert constrained.dtype == floatX
    close(function([W], constrained)(np.array([[3, 0.3], [4, 0.4]], floatX)), [[0.6, 0.3], [0.8, 0.4]])


def test_pooling_by_reshape():
    x = T.tensor4("x")
    b, c, h, w = x.shape
    pooled = T.max(x.reshape((b, c, h // 2, 2, w // 2, 2)), axis=(3, 5))
    f = function([x], [pooled, T.grad(pooled.sum(), x)])
    found, slope = f(np.arange(16.0, dtype="float32").reshape(1, 1, 4, 4))
    assert found.tolist() == [[[[5, 7], [13, 15]]]]
    assert slope.ravel().nonzero()[0].tolist() == [5, 7, 13, 15]


def test_matrix_factorization_updates_only_what_a_batch_touches(floatX):
    rng = numpy.random.RandomState(6)
    R = rng.rand(6, 2).dot(rng.rand(2, 5)).astype(floatX)
    U, V = (shared(rng.rand(n, 3).astype(floatX), name) for n, name in [(6, "U"), (5, "V")])
    i, j, r, rate = T.ivector("i"), T.ivector("j"), T.vector("r"), T.scalar("rate")
    Ui, Vj = U[i], V[j]
    cost = T.sum((r - (Ui * Vj).sum(axis=1)) ** 2)
    gU, gV = T.grad(cost, [Ui, Vj])
    train = function(
        [i, j, r, rate],
        cost,
        updates=[(U, T.inc_subtensor(Ui, -rate * gU)), (V, T.inc_subtensor(Vj, -rate * gV))],
        allow_input_downcast=True,
    )
    before = U.get_value()
    train([0, 0], [1, 2], R[0, 1:3], 0.05)
    assert (U.get_value() != before).any(axis=1).tolist() == [True] + [False] * 5

    rows, columns = np.indices(R.shape).reshape(2, -1)
    costs = [train(rows, columns, R.ravel(), 0.05) for _ in range(500)]
    assert costs[-1] < 1e-4 * costs[0]


def test_graphs_are_looked_at():
    x = T.matrix("x")
    y = x + 1
    assert y.owner.op == T.add
    assert y.owner.inputs[0] is x
    assert y.owner.outputs == (y,)
    assert x.type() is not x
    assert x.type().type == x.type
    f = theano.function([x], y, mode=theano.Mode(linker="py", optimizer="fast_compile"), name="f")
    assert f.maker.fgraph.outputs[0].owner.op == T.add
    assert theano.printing.debugprint(f, file="str").startswith("add")
    assert x.clone() is not x
    x.tag.test_value = np.zeros((2, 2))
    x._keras_shape = (None, 2)
    assert x._keras_shape == (None, 2)


def test_expressions_pickle_with_the_lines_that_made_them():
    x, w = T.vector("x"), shared(np.asarray([1.0, 2.0], theano.config.floatX), name="w")
    again, state = pickle.loads(pickle.dumps([x[::-1] + w, w]))
    assert state.name == "w"
    reversed_x = again.owner.inputs[0]
    f = function([reversed_x.owner.inputs[0]], again)
    state.set_value([10, 20])
    assert f([1, 2]).tolist() == [12, 21]
    assert again.owner.origin[0].file == __file__
