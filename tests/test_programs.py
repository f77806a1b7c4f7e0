"""Programs as people wrote them for Theano: its tutorials, and the shapes of libraries that were built on it."""

import pickle
from collections import OrderedDict

import numpy
import numpy as np
import pytest

import refgraph as theano
import refgraph.tensor as T
from refgraph import In, function, shared
from refgraph.random import Stream


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


# Loops: Theano's tutorial


def ones(*shape):
    return np.ones(shape, theano.config.floatX)


def test_a_to_the_k(floatX):
    k, A = T.iscalar("k"), T.vector("A")
    result, updates = theano.scan(
        fn=lambda prior_result, A: prior_result * A, outputs_info=T.ones_like(A), non_sequences=A, n_steps=k
    )
    power = theano.function(inputs=[A, k], outputs=result[-1], updates=updates)
    assert power(range(10), 2).tolist() == [i**2 for i in range(10)]
    assert power(range(10), 4).tolist() == [i**4 for i in range(10)]
    assert power([1], 1).dtype == floatX


def test_a_polynomial(floatX):
    coefficients, x = T.vector("coefficients"), T.scalar("x")
    components, updates = theano.scan(
        fn=lambda coefficient, power, free_variable: coefficient * (free_variable**power),
        outputs_info=None,
        sequences=[coefficients, theano.tensor.arange(10000)],
        non_sequences=x,
    )
    assert not updates
    calculate = theano.function(inputs=[coefficients, x], outputs=components.sum())
    assert calculate(np.asarray([1, 0, 2], dtype=np.float32), 3) == 19


def test_a_lower_triangle_of_ones():
    up_to = T.iscalar("up_to")

    def accumulate_by_adding(arange_val, sum_to_date):
        return sum_to_date + arange_val

    seq = T.arange(up_to)
    outputs_info = T.as_tensor_variable(np.asarray(0, seq.dtype))
    result, _ = theano.scan(fn=accumulate_by_adding, outputs_info=outputs_info, sequences=seq)
    assert theano.function([up_to], result)(15).tolist() == np.arange(15).cumsum().tolist()

    location, values, output_model = T.imatrix("location"), T.vector("values"), T.matrix("output_model")

    def set_value_at_position(a_location, a_value, output_model):
        zeros = T.zeros_like(output_model)
        zeros_subtensor = zeros[a_location[0], a_location[1]]
        return T.set_subtensor(zeros_subtensor, a_value)

    placed, _ = theano.scan(
        fn=set_value_at_position, outputs_info=None, sequences=[location, values], non_sequences=output_model
    )
    assign = theano.function([location, values, output_model], placed)
    found = assign(
        np.asarray([[1, 1], [2, 3]], dtype=np.int32), np.asarray([42, 50], "float32"), np.zeros((5, 5), "float32")
    )
    assert found[0][1, 1] == 42
    assert found[1][2, 3] == 50
    assert found.sum() == 92


def test_elementwise_by_scan(floatX):
    X, W, b_sym = T.matrix("X"), T.matrix("W"), T.vector("b_sym")
    results, _ = theano.scan(lambda v: T.tanh(T.dot(v, W) + b_sym), sequences=X)
    compute_elementwise = theano.function(inputs=[X, W, b_sym], outputs=results)
    x, w, b = np.eye(2, dtype=floatX), ones(2, 2), ones(2)
    b[1] = 2
    close(compute_elementwise(x, w, b), np.tanh(x.dot(w) + b))


def test_a_sequence_with_two_ways_back(floatX):
    """x(t) = tanh(x(t - 1).dot(W) + y(t).dot(U) + p(T - t).dot(V))."""
    X, W, Y, U, P, V = T.vector("X"), T.matrix("W"), T.matrix("Y"), T.matrix("U"), T.matrix("P"), T.matrix("V")
    results, _ = theano.scan(
        lambda y, p, x_tm1: T.tanh(T.dot(x_tm1, W) + T.dot(y, U) + T.dot(p, V)),
        sequences=[Y, P[::-1]],
        outputs_info=[X],
    )
    compute_seq = theano.function(inputs=[X, W, Y, U, P, V], outputs=results)
    rng = numpy.random.RandomState(7)
    x, w, y, u, p, v = (rng.randn(*s).astype(floatX) for s in [(2,), (2, 2), (5, 2), (2, 2), (5, 2), (2, 2)])
    h = x
    want = [h := np.tanh(h.dot(w) + y[t].dot(u) + p[4 - t].dot(v)) for t in range(5)]
    close(compute_seq(x, w, y, u, p, v), want, 4)


def test_norms_trace_and_diagonals(floatX):
    X = T.matrix("X")
    rows, _ = theano.scan(lambda x_i: T.sqrt((x_i**2).sum()), sequences=[X])
    columns, _ = theano.scan(lambda x_i: T.sqrt((x_i**2).sum()), sequences=[X.T])
    trace, _ = theano.scan(
        lambda i, j, t_f: T.cast(X[i, j] + t_f, theano.config.floatX),
        sequences=[T.arange(X.shape[0]), T.arange(X.shape[1])],
        outputs_info=np.asarray(0.0, dtype=theano.config.floatX),
    )
    inverted, _ = theano.scan(
        lambda i, sum: T.switch(T.lt(i % 2, 1), sum + X[i, i], sum),
        T.arange(X.shape[0]),
        T.zeros((), theano.config.floatX),
    )
    f = theano.function([X], [rows, columns, trace[-1], inverted[-1]])
    x = np.diag(np.arange(1, 6, dtype=floatX), 1)
    x[0] = np.arange(6)
    found = f(x)
    close(found[0], np.sqrt((x**2).sum(1)))
    close(found[1], np.sqrt((x**2).sum(0)))
    close(found[2], np.trace(x))
    close(found[3], np.diag(x)[::2].sum())


def test_a_shared_counter():
    k, n_sym = theano.shared(0), T.iscalar("n_sym")
    _, updates = theano.scan(lambda: {k: (k + 1)}, n_steps=n_sym)
    accumulator = theano.function([n_sym], [], updates=updates, allow_input_downcast=True)
    accumulator(5)
    accumulator(3)
    assert k.get_value() == 8


def test_binomial_draws_in_a_loop(floatX):
    X, W, bvis, bhid = T.matrix("X"), T.matrix("W"), T.vector("bvis"), T.vector("bhid")
    trng = Stream(1234)

    def one_step(v_t, W):
        h_t = T.nnet.sigmoid(T.dot(v_t, W) + bhid)
        h_s = trng.binomial(1, h_t, dtype=theano.config.floatX)
        v_n = T.nnet.sigmoid(T.dot(h_s, W.T) + bvis)
        return trng.binomial(1, v_n, dtype=theano.config.floatX)

    values, updates = theano.scan(one_step, outputs_info=X, non_sequences=[W], n_steps=10, strict=False)
    gibbs10 = theano.function([X, W, bvis, bhid], values[-1], updates=updates)
    first, second = [gibbs10(ones(20, 6), ones(6, 3) - 1, ones(6) - 1, ones(3) - 1) for _ in range(2)]
    assert first.dtype == floatX
    assert set(np.unique(first)) == {0, 1}
    assert 30 < first.sum() < 90
    assert (first != second).any()


# Loops: the shapes of libraries


class RBM:
    """As in the Deep Learning Tutorials, with a chain that is kept from call to call."""

    def __init__(self, input, n_visible, n_hidden):
        rng = numpy.random.RandomState(1234)
        floatX = theano.config.floatX
        self.theano_rng = Stream(rng.randint(2**30))
        self.W = shared(numpy.asarray(rng.uniform(-0.5, 0.5, (n_visible, n_hidden)), dtype=floatX), name="W")
        self.hbias = shared(numpy.zeros(n_hidden, dtype=floatX), name="hbias")
        self.vbias = shared(numpy.zeros(n_visible, dtype=floatX), name="vbias")
        self.input = input
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        wx_b = T.dot(v_sample, self.W) + self.hbias
        vbias_term = T.dot(v_sample, self.vbias)
        hidden_term = T.sum(T.log(1 + T.exp(wx_b)), axis=1)
        return -hidden_term - vbias_term

    def propagate(self, sample, W, bias):
        pre_sigmoid = T.dot(sample, W) + bias
        mean = T.nnet.sigmoid(pre_sigmoid)
        return [pre_sigmoid, mean, self.theano_rng.binomial(1, mean, dtype=theano.config.floatX)]

    def gibbs_hvh(self, h0_sample):
        v1 = self.propagate(h0_sample, self.W.T, self.vbias)
        h1 = self.propagate(v1[-1], self.W, self.hbias)
        return v1 + h1

    def get_cost_updates(self, lr, persistent, k):
        ph_sample = self.propagate(self.input, self.W, self.hbias)[-1]
        chain_start = ph_sample if persistent is None else persistent
        [_, nv_means, nv_samples, _, _, nh_samples], updates = theano.scan(
            self.gibbs_hvh,
            outputs_info=[None, None, None, None, None, chain_start],
            n_steps=k,
            name="gibbs_hvh",
        )
        chain_end = nv_samples[-1]
        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(chain_end))
        gparams = T.grad(cost, self.params, consider_constant=[chain_end])
        for gparam, param in zip(gparams, self.params, strict=True):
            updates[param] = param - gparam * T.cast(lr, dtype=theano.config.floatX)
        if persistent is not None:
            updates[persistent] = nh_samples[-1]
        return T.mean(T.sum(T.nnet.binary_crossentropy(nv_means[-1], self.input), axis=1)), updates


@pytest.mark.parametrize("persistent", [False, True])
def test_a_restricted_boltzmann_machine(persistent, floatX):
    x, batch = T.matrix("x"), 20
    rbm = RBM(x, 6, 4)
    chain = theano.shared(numpy.zeros((batch, 4), dtype=floatX), borrow=True) if persistent else None
    cost, updates = rbm.get_cost_updates(lr=0.2, persistent=chain, k=5)
    train_rbm = theano.function([x], cost, updates=updates, name="train_rbm")
    data = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], batch // 2, axis=0).astype(floatX)
    hidden = T.nnet.sigmoid(T.dot(x, rbm.W) + rbm.hbias)
    energies = function([x], [rbm.free_energy(x), T.nnet.sigmoid(T.dot(hidden, rbm.W.T) + rbm.vbias)])
    for _ in range(200):
        assert np.isfinite(train_rbm(data))
    (_, seen), (other, _) = energies(data), energies(np.tile([[1, 0, 1, 0, 1, 0]], (batch, 1)).astype(floatX))
    assert abs(seen - data).max() < 0.3
    assert (energies(data)[0] < other - 1).all()
    assert rbm.W.get_value().dtype == floatX
    if persistent:
        assert set(np.unique(chain.get_value())) == {0, 1}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def orthogonal(rng, *shape):
    return (0.4 * rng.randn(*shape)).astype(theano.config.floatX)


def lstm_layer(tparams, state_below, mask):
    """That of the Deep Learning Tutorials: time first, a mask that carries the state over what is padding."""
    nsteps, n_samples, dim = state_below.shape[0], state_below.shape[1], tparams["U"].shape[0]

    def _slice(_x, n, dim):
        return _x[:, n * dim : (n + 1) * dim]

    def _step(m_, x_, h_, c_):
        preact = T.dot(h_, tparams["U"])
        preact += x_
        i = T.nnet.sigmoid(_slice(preact, 0, dim))
        f = T.nnet.sigmoid(_slice(preact, 1, dim))
        o = T.nnet.sigmoid(_slice(preact, 2, dim))
        c = T.tanh(_slice(preact, 3, dim))
        c = f * c_ + i * c
        c = m_[:, None] * c + (1.0 - m_)[:, None] * c_
        h = o * T.tanh(c)
        h = m_[:, None] * h + (1.0 - m_)[:, None] * h_
        return h, c

    state_below = T.dot(state_below, tparams["W"]) + tparams["b"]
    zero = np.asarray(0.0, dtype=theano.config.floatX)
    rval, _ = theano.scan(
        _step,
        sequences=[mask, state_below],
        outputs_info=[T.alloc(zero, n_samples, dim), T.alloc(zero, n_samples, dim)],
        name="lstm_layers",
        n_steps=nsteps,
    )
    return rval[0]


def test_an_lstm_with_masks_reads_sequences_of_several_lengths(floatX):
    rng = numpy.random.RandomState(5)
    dim, classes = 4, 2
    tparams = OrderedDict((k, shared(v, name=k)) for k, v in [
        ("Wemb", orthogonal(rng, 6, 3)), ("W", orthogonal(rng, 3, 4 * dim)), ("U", orthogonal(rng, dim, 4 * dim)),
        ("b", orthogonal(rng, 4 * dim)), ("V", orthogonal(rng, dim, classes)), ("a", orthogonal(rng, classes)),
    ])  # fmt: skip
    x, mask, y = T.matrix("x", dtype="int64"), T.matrix("mask"), T.vector("y", dtype="int64")
    emb = tparams["Wemb"][x.flatten()].reshape([x.shape[0], x.shape[1], 3])
    proj = lstm_layer(tparams, emb, mask)
    pooled = (proj * mask[:, :, None]).sum(axis=0) / mask.sum(axis=0)[:, None]
    pred = T.nnet.softmax(T.dot(pooled, tparams["V"]) + tparams["a"])
    cost = -T.log(pred[T.arange(x.shape[1]), y] + 1e-8).mean()
    updates = adam(cost, list(tparams.values()), learning_rate=0.05)
    f_hidden, f_train = function([x, mask], proj), function([x, mask, y], cost, updates=updates)

    words = rng.randint(0, 6, (7, 12))
    lengths = rng.randint(2, 8, 12)
    seen = (np.arange(7)[:, None] < lengths).astype(floatX)
    labels = (words[0] > 2).astype("int64")

    W, U, b, E = (tparams[k].get_value() for k in ("W", "U", "b", "Wemb"))
    hidden = f_hidden(words, seen)
    for j in (0, 5):
        h, c = np.zeros(dim), np.zeros(dim)
        for t in range(lengths[j]):
            i, f, o, g = np.split(E[words[t, j]] @ W + b + h @ U, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        close(hidden[-1, j], h, 4)

    costs = [f_train(words, seen, labels) for _ in range(60)]
    assert costs[-1] < 0.1 * costs[0]
    assert tparams["U"].get_value().dtype == floatX


def test_a_bidirectional_gru(floatX):
    """A net from each end, put side by side: by go_backwards and [::-1], as Lasagne and Blocks write it."""
    rng = numpy.random.RandomState(6)
    X = T.tensor3("X")
    params = [[shared(orthogonal(rng, 3, 6)), shared(orthogonal(rng, 2, 6)), shared(ones(1, 2))] for _ in range(2)]

    def gru(input, W_in, W_hid, hid_init, backwards):
        num_batch = input.shape[1]
        hid_init = T.dot(T.ones((num_batch, 1), theano.config.floatX), hid_init)

        def step(input_n, hid_previous, *args):
            hid_input = T.dot(hid_previous, W_hid)
            resetgate = T.nnet.sigmoid(hid_input[:, :2] + input_n[:, :2])
            updategate = T.nnet.sigmoid(hid_input[:, 2:4] + input_n[:, 2:4])
            hidden_update = T.tanh(input_n[:, 4:] + resetgate * hid_input[:, 4:])
            return (1 - updategate) * hid_previous + updategate * hidden_update

        out, _ = theano.scan(
            fn=step,
            sequences=[T.dot(input, W_in)],
            outputs_info=[hid_init],
            go_backwards=backwards,
            truncate_gradient=-1,
            non_sequences=[W_in, W_hid],
            strict=False,
        )
        return out[::-1] if backwards else out

    both = T.concatenate([gru(X, *params[0], False), gru(X, *params[1], True)], axis=2)
    x = rng.randn(5, 2, 3).astype(floatX)
    found = function([X], both)(x)
    assert found.dtype == floatX
    for place, order in enumerate([range(5), reversed(range(5))]):
        W, U, h = [p.get_value() for p in params[place]]
        h = np.repeat(h, 2, axis=0)
        for t in order:
            a, u = x[t] @ W, h @ U
            r, z = sigmoid(a[:, :2] + u[:, :2]), sigmoid(a[:, 2:4] + u[:, 2:4])
            h = (1 - z) * h + z * np.tanh(a[:, 4:] + r * u[:, 4:])
            close(found[t, :, 2 * place : 2 * place + 2], h, 4)
    slopes = T.grad(both.sum(), [p for ps in params for p in ps])
    assert all(np.isfinite(g).all() for g in function([X], slopes)(x))


def test_attention_over_a_masked_sequence(floatX):
    """A decoder that looks at annotations: context sequences go in as non_sequences, strict, with profile and name."""
    rng = numpy.random.RandomState(7)
    context, mask, y0 = T.tensor3("context"), T.matrix("mask"), T.matrix("y0")
    W, U = shared(orthogonal(rng, 3, 4), "W"), shared(orthogonal(rng, 4), "U")
    Wc, Wh = shared(orthogonal(rng, 3, 4), "Wc"), shared(orthogonal(rng, 4, 4), "Wh")

    def _step_slice(h_, alpha_, cc_, pctx_, U, Wc, Wh):
        pctx__ = T.tanh(pctx_ + T.dot(h_, Wh)[None, :, :])
        alpha = T.dot(pctx__, U)
        alpha = T.exp(alpha - alpha.max(0, keepdims=True)) * mask
        alpha = alpha / alpha.sum(0, keepdims=True)
        ctx_ = (cc_ * alpha[:, :, None]).sum(0)
        return T.tanh(T.dot(ctx_, Wc) + h_), alpha.T

    (h, alphas), updates = theano.scan(
        _step_slice,
        sequences=[],
        outputs_info=[y0, T.alloc(0.0, y0.shape[0], context.shape[0]).astype(theano.config.floatX)],
        non_sequences=[context, T.dot(context, W), U, Wc, Wh],
        name="decoder",
        n_steps=4,
        profile=False,
    )
    assert not updates
    seen = np.array([[1, 1], [1, 1], [1, 0], [0, 0]], floatX)
    c, start = rng.randn(4, 2, 3).astype(floatX), rng.randn(2, 4).astype(floatX)
    f = function([context, mask, y0], [h, alphas, *T.grad(h[-1].sum(), [W, U, context])])
    found, weights, gW, _, gc = f(c, seen, start)
    close(weights.sum(axis=2), np.ones((4, 2)))
    assert (weights[:, seen.T == 0] == 0).all()
    assert abs(gc[seen == 0]).max() < 1e-6 * abs(gc).max()
    assert np.abs(gW).min() > 0
    w, u, wc, wh = (p.get_value() for p in (W, U, Wc, Wh))
    state = start
    for t in range(4):
        score = np.exp(np.tanh(c @ w + (state @ wh)[None]) @ u) * seen
        score /= score.sum(0)
        state = np.tanh((c * score[:, :, None]).sum(0) @ wc + state)
        close(found[t], state, 4)


def test_connectionist_temporal_classification(floatX):
    """The forward recursion over a label with blanks, in the log domain, against a sum over all alignments."""
    rng = numpy.random.RandomState(8)
    label = [0, 1, 1]
    blank, steps = 2, 5
    extended = [blank]
    for c in label:
        extended += [c, blank]

    y, p = T.ivector("y"), T.matrix("p")

    def log_add(a, b):
        maximum = T.maximum(a, b)
        return T.switch(maximum < -1e20, maximum, maximum + T.log1p(T.exp(-abs(a - b))))

    sec_diag = T.concatenate([T.zeros(2, "int8"), T.neq(y[2:], y[:-2]).astype("int8") * T.eq(y[1:-1] - blank, 0)])
    low = np.asarray(-1e30, dtype=theano.config.floatX)
    shift = lambda a, k: T.concatenate([T.alloc(low, k), a[:-k]])  # noqa: E731

    def step(p_curr, p_prev):
        stay_or_next = log_add(p_prev, shift(p_prev, 1))
        skip = T.switch(sec_diag > 0, shift(p_prev, 2), low)
        return T.cast(T.log(p_curr[y]) + log_add(stay_or_next, skip), theano.config.floatX)

    start = T.set_subtensor(T.alloc(low, y.shape[0])[0], 0)
    alphas, _ = theano.scan(step, sequences=[p], outputs_info=[start])
    # before the first step the place is the first blank, from which the first label is reached in one
    cost = -log_add(alphas[-1, -1], alphas[-1, -2])
    f = function([y, p], [cost, T.grad(cost, p)])

    odds = rng.dirichlet(np.ones(3), steps).astype(floatX)
    total = 0.0
    for path in np.ndindex(*(3,) * steps):
        folded = [c for t, c in enumerate(path) if (t == 0 or c != path[t - 1]) and c != blank]
        total += np.prod(odds[range(steps), path]) * (folded == label)
    found, slope = f(extended, odds)
    close(found, -np.log(total), 4)
    assert slope.dtype == floatX
    close((slope * odds).sum(), -steps, 3)


def test_power_iteration_until_it_settles():
    A, v0 = T.dmatrix("A"), T.dvector("v0")

    def step(v, value):
        w = T.dot(A, v)
        norm = T.sqrt(T.sum(w**2))
        return [w / norm, norm], theano.scan_module.until(abs(norm - value) < 1e-12)

    (vectors, values), updates = theano.scan(step, outputs_info=[v0, np.float64(0)], n_steps=1000)
    f = function([A, v0], [vectors[-1], values[-1], values.shape[0]], updates=updates)
    a = np.diag([3.0, 1.0, 0.5]) + 0.1
    vector, value, steps = f(a, np.ones(3))
    close(value, np.linalg.eigvalsh(a)[-1], 9)
    close(a @ vector, value * vector, 5)
    assert 5 < steps < 100


def test_a_jacobian_by_scan_and_a_sum_with_a_condition(floatX):
    v, A = T.vector("v"), T.matrix("A")
    y = T.tanh(T.dot(v, A))
    results, _ = theano.scan(lambda i: T.grad(y[i], v), sequences=[T.arange(y.shape[0])])
    compute_jac_t = theano.function([A, v], results, allow_input_downcast=True)
    x, w = np.eye(5)[0], np.eye(5, 3)
    w[2] = np.ones(3)
    close(compute_jac_t(w, x), ((1 - np.tanh(x.dot(w)) ** 2) * w).T)
