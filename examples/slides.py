"""Every program of the original slides, with refgraph in Theano's place.

Run: uv run examples/slides.py [--steps N]     (N training steps in each case study; the slides take 10,000,
the recurrent net takes at least 1,000, which are short)
"""

import argparse
from collections import OrderedDict

import numpy

import refgraph as theano
import refgraph.tensor as T
from refgraph import function, pp, shared

rng = numpy.random.default_rng(0)


def title(text):
    print(f"\n# {text}")


def building_expressions():
    title("Scalar math")
    x, y = T.scalar(), T.scalar()
    z = x + y
    w = z * x
    a = T.sqrt(w)
    b = T.exp(a)
    c = a**b
    d = T.log(c)
    print(function([x, y], d)(1.0, 2.0))

    title("Vector math")
    x, y = T.vector(), T.vector()
    a = x * y  # scalar math applied elementwise
    b = T.dot(x, y)  # vector dot product
    print(function([x, y], [a, b])([1, 2, 3], [4, 5, 6]))

    title("Matrix math")
    x, y, a = T.matrix(), T.matrix(), T.vector()
    b = T.dot(x, y)  # matrix-matrix product
    c = T.dot(x, a)  # matrix-vector product
    print(function([x, y, a], [b, c])(numpy.eye(2), [[1, 2], [3, 4]], [5, 6]))

    title("Tensors and reductions")
    tensor3 = T.TensorType(broadcastable=(False, False, False), dtype="float32")
    x = tensor3()
    total = x.sum()
    marginals = x.sum(axis=(0, 2))
    mx = x.max(axis=1)
    print(function([x], [total, marginals, mx])(numpy.arange(8, dtype="float32").reshape(2, 2, 2)))

    title("Dimshuffle")
    y = x.dimshuffle((2, 1, 0))
    a = T.matrix()
    b = a.T
    c = a.dimshuffle((1, 0))  # same as b
    d = a.dimshuffle((0, 1, "x"))  # adding to larger tensor
    e = a + d
    print([v.ndim for v in (y, b, c, d, e)])

    title("zeros_like and ones_like")
    print(function([a], [T.zeros_like(a), T.ones_like(a)])([[1, 2]]))


def running_expressions():
    title("theano.function")
    x = T.scalar()
    y = T.scalar()
    # first arg is list of SYMBOLIC inputs, second arg is SYMBOLIC output
    f = function([x, y], x + y)
    # call it with NUMERICAL values, get a NUMERICAL output
    print(repr(f(1.0, 2.0)))

    title("Shared variables")
    x = shared(0.0)
    updates = OrderedDict()
    updates[x] = x + 1
    f = T.function([], updates=updates)
    f()
    print(x.get_value())
    x.set_value(100.0)
    f()
    print(x.get_value())

    title("Compilation modes")
    x = T.scalar()
    for mode in ("FAST_RUN", "FAST_COMPILE", "DEBUG_MODE"):
        print(mode, repr(function([x], x**2, mode=mode)(3.0)))

    title("Optimizations")
    # optimizations may discard an error: x / x becomes 1, where x is 0, too
    x = T.scalar()
    print(repr(function([x], x / x)(0.0)))


def manipulating_expressions():
    title("Theano graphs")
    x = T.dmatrix("x")
    y = T.dmatrix("y")
    z = x + y
    print(z.owner.op, z.owner.inputs, z.type)

    title("Automatic differentiation")
    x = T.dscalar("x")
    y = x**2
    gy = T.grad(y, x)
    print(pp(gy))  # the gradient prior to optimization
    f = function([x], gy)
    print(repr(f(4)))
    print(repr(f(94.2)))


def loops():
    title("Loop: scan, example 1: a loop of updates")
    # define shared variables
    k = theano.shared(0)
    n_sym = T.iscalar("n_sym")
    results, updates = theano.scan(lambda: {k: (k + 1)}, n_steps=n_sym)
    accumulator = theano.function([n_sym], [], updates=updates, allow_input_downcast=True)
    print(k.get_value())
    accumulator(5)
    print(k.get_value())

    title("Loop: scan, example 2: elementwise")
    # defining the tensor variables
    X = T.matrix("X")
    W = T.matrix("W")
    b_sym = T.vector("b_sym")
    results, updates = theano.scan(lambda v: T.tanh(T.dot(v, W) + b_sym), sequences=X)
    compute_elementwise = theano.function(inputs=[X, W, b_sym], outputs=[results])
    # test values
    x = numpy.eye(2, dtype=theano.config.floatX)
    w = numpy.ones((2, 2), dtype=theano.config.floatX)
    b = numpy.ones((2), dtype=theano.config.floatX)
    b[1] = 2
    print(compute_elementwise(x, w, b)[0])
    # comparison with numpy
    print(numpy.tanh(x.dot(w) + b))

    title("Loop: scan, example 3: the Jacobian matrix")
    x = T.dvector("x")
    y = x**2
    J, updates = theano.scan(lambda i, y, x: T.grad(y[i], x), sequences=T.arange(y.shape[0]), non_sequences=[y, x])
    f = function([x], J, updates=updates)
    print(repr(f([4, 4])))

    title("Loop: scan, example 4: the Hessian matrix")
    x = T.dvector("x")
    y = x**2
    cost = y.sum()
    gy = T.grad(cost, x)
    H, updates = theano.scan(lambda i, gy, x: T.grad(gy[i], x), sequences=T.arange(gy.shape[0]), non_sequences=[gy, x])
    f = function([x], H, updates=updates)
    print(repr(f([4, 4])))


def data(n=400, feats=784):
    """Case studies 1 and 2 learn random labels of random points."""
    return rng.standard_normal((n, feats)), rng.integers(size=n, low=0, high=2)


def logistic_regression(training_steps):
    title("Case study 1: logistic regression")
    D = data()
    # declare symbolic variables
    x = T.matrix("x")
    y = T.vector("y")
    w = theano.shared(rng.standard_normal(784), name="w")
    b = theano.shared(0.0, name="b")
    print("Initial model:", w.get_value()[:3], b.get_value())

    # construct the expression graph
    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))  # probability that target = 1
    prediction = p_1 > 0.5  # the prediction threshold
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)  # cross-entropy loss
    cost = xent.mean() + 0.01 * (w**2).sum()  # the cost to minimize
    gw, gb = T.grad(cost, [w, b])

    # compile
    train = theano.function(inputs=[x, y], outputs=[prediction, xent], updates={w: w - 0.1 * gw, b: b - 0.1 * gb})
    predict = theano.function(inputs=[x], outputs=prediction)

    # train; in the beginning 1 - p_1 rounds to 0 for some samples, whose error is finite all the same
    for _ in range(training_steps):
        _pred, err = train(D[0], D[1])
        assert numpy.isfinite(err).all()
    print("Final model:", w.get_value()[:3], b.get_value())
    print("target values for D:", D[1][:20])
    print("predictions on D:   ", predict(D[0])[:20].astype(int))


def multilayer_perceptron(training_steps):
    title("Case study 2: multilayer perceptron")
    D = data()
    x = T.matrix("x")
    y = T.vector("y")
    w_1 = theano.shared(rng.standard_normal((784, 300)), name="w1")
    b_1 = theano.shared(numpy.zeros((300,)), name="b1")
    w_2 = theano.shared(rng.standard_normal(300), name="w2")
    b_2 = theano.shared(0.0, name="b2")
    print("Initial model:", w_1.get_value()[0, :3], b_1.get_value()[:3], w_2.get_value()[:3], b_2.get_value())

    p_1 = T.sigmoid(-T.dot(T.sigmoid(-T.dot(x, w_1) - b_1), w_2) - b_2)
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w_2**2).sum()
    gw_1, gb_1, gw_2, gb_2 = T.grad(cost, [w_1, b_1, w_2, b_2])

    train = theano.function(
        inputs=[x, y],
        outputs=[prediction, xent],
        updates={w_1: w_1 - 0.1 * gw_1, b_1: b_1 - 0.1 * gb_1, w_2: w_2 - 0.1 * gw_2, b_2: b_2 - 0.1 * gb_2},
    )
    predict = theano.function(inputs=[x], outputs=prediction)
    for _ in range(training_steps):
        _pred, err = train(D[0], D[1])
    print("Final model:", w_1.get_value()[0, :3], b_1.get_value()[:3], w_2.get_value()[:3], b_2.get_value())
    print("mean cross-entropy:", err.mean())
    print("target values for D:", D[1][:20])
    print("predictions on D:   ", predict(D[0])[:20].astype(int))


def sums(n, bits):
    """Pairs of random numbers as bits, the low ones first, of shape (bits, n, 2); and the bits of their sums."""
    pairs = rng.integers(size=(bits, n, 2), low=0, high=2)
    pairs[-1] = 0  # so that the sum has no more bits
    total, carry = [], 0
    for a, b in pairs.transpose(0, 2, 1):
        total.append((a + b + carry) % 2)
        carry = (a + b + carry) // 2
    return pairs, numpy.array(total)


def recurrent_network(training_steps):
    """The slide leaves this as an exercise: "use scan to implement the loop operation".

    A simple recurrent net (Elman, 1990) learns to add two numbers that it is given bit by bit, as one does on paper.
    Nobody tells it that there is a carry. It learns on numbers of 8 bits, and is then asked for sums of 64 bits.
    """
    title("Case study 3: recurrent neural network")
    D = sums(400, bits=8)
    x = T.tensor3("x")  # (bits, samples, 2)
    y = T.matrix("y")  # (bits, samples)
    w_x = theano.shared(rng.standard_normal((2, 16)), name="w_x")
    w_h = theano.shared(rng.standard_normal((16, 16)) / 4, name="w_h")
    b_h = theano.shared(numpy.zeros(16), name="b_h")
    w_y = theano.shared(rng.standard_normal(16) / 4, name="w_y")
    b_y = theano.shared(0.0, name="b_y")
    parameters = [w_x, w_h, b_h, w_y, b_y]

    def step(x_t, h):
        return T.tanh(T.dot(x_t, w_x) + T.dot(h, w_h) + b_h)

    hidden, _ = theano.scan(step, sequences=x, outputs_info=T.zeros((x.shape[1], 16)))
    p_1 = T.sigmoid(T.dot(hidden, w_y) + b_y)  # probability that this bit of the sum is 1
    prediction = p_1 > 0.5
    cost = T.nnet.binary_crossentropy(p_1, y).mean()
    gradients = T.grad(cost, parameters)

    train = theano.function([x, y], cost, updates=[(w, w - g) for w, g in zip(parameters, gradients, strict=True)])
    predict = theano.function([x], prediction)
    for i in range(training_steps):
        err = train(D[0], D[1])
        if i % (training_steps // 5) == 0:
            print(f"step {i}: mean cross-entropy {err:.4f}")
    pairs, total = sums(1000, bits=64)
    right = (predict(pairs) == total).all(axis=0).mean()
    print(f"final: {err:.4f}; {right:.1%} of the sums of 64 bits are right in every bit")
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="training steps of each case study (the slides: 10000)")
    steps = parser.parse_args().steps
    building_expressions()
    running_expressions()
    manipulating_expressions()
    loops()
    logistic_regression(steps)
    multilayer_perceptron(steps)
    if recurrent_network(max(steps, 1000)) < 0.95:
        raise SystemExit("the recurrent network did not learn to add")
