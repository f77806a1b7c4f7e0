"""For expressions made by chance, with their gradients: rewritten and unrewritten they compute the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.autodiff.reverse import grad
from refgraph.core.errors import DTypeError
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.ops.tensor import TensorType
from refgraph.rewrite import select
from refgraph.rewrite.engine import pattern_of, rewrite
from refgraph.rewrite.rule import RULES, rule
from refgraph.rules import Reals

TOLERANCE = {
    "float16": 0.1,
    "float32": 2e-3,
    "float64": 2e-8,
}  # relative to the largest entry: what is added may cancel
MOST = 1e3  # beyond that a value is squashed, so that conditions stay fair
KINK = 1e-2  # nearer to a place without derivative nothing is asked there

UNARY = {
    "neg": lambda x: -x,
    "exp": lambda x: T.exp(T.tanh(x)),
    "log": lambda x: T.log(1 + T.square(x)),
    "log_of_positive": lambda x: T.log(0.5 + T.abs_(x)),
    "sqrt": lambda x: T.sqrt(1 + x * x),
    "square": T.sqr,
    "cube": lambda x: x**3,
    "reciprocal": lambda x: 1 / (1 + T.square(x)),
    "sigmoid": T.nnet.sigmoid,
    "written_sigmoid": lambda x: 1 / (1 + T.exp(-x)),
    "softplus": lambda x: T.log(1 + T.exp(x)),
    "log_of_sigmoid": lambda x: T.log(T.nnet.sigmoid(x)),
    "one_minus_sigmoid": lambda x: 1 - T.nnet.sigmoid(x),
    "tanh": T.tanh,
    "sin": T.sin,
    "expm1": lambda x: T.exp(T.sin(x)) - 1,
    "erfc": lambda x: 1 - T.erf(x),
    "exp_of_log": lambda x: T.exp(T.log(1 + T.square(x))),
    "relu": T.nnet.relu,
    "abs": T.abs_,
    "clip": lambda x: T.clip(x, -1.5, 1.5),
    "twice": lambda x: x + x,
    "nothing": lambda x: x - x,
    "one": lambda x: (1 + T.square(x)) / (1 + T.square(x)),
    "zero": lambda x: 0 * x,
    "plus_one": lambda x: x + 1,
    "minus": lambda x: 2 - x,
    "times": lambda x: 3 * x,
    "half": lambda x: x / 2,
    "there_and_back": lambda x: (x + 1) - 1,
    "switch": lambda x: T.switch(x > 0, x * 2, T.sin(x)),
    "fill": lambda x: T.fill(x, 2.0) * x,
    "zeros": T.zeros_like,
    "wider": lambda x: x.astype("float64").astype(x.dtype),
    "whole": lambda x: ((100 * x).astype("int64") // 2 * 2).astype(x.dtype),
    "sigmoid_of_exp": lambda x: T.exp(x) / (1 + T.exp(x)),
    "exp_times_sigmoid": lambda x: T.exp(-x) * T.nnet.sigmoid(x),
    "log_of_exp": lambda x: T.log(T.exp(x)),
    "log_of_square": lambda x: T.log(T.square(1 + T.square(x))),
    "log_of_root": lambda x: T.log(T.sqrt(2 + T.cos(x))),
    "log_of_reciprocal": lambda x: T.log(1 / (2 + T.cos(x))),
    "log1mexp": lambda x: T.log(1 - T.exp(-1 - T.square(x))),
    "logit": lambda x: T.log(T.nnet.sigmoid(x) / (1 - T.nnet.sigmoid(x))),
    "xlogx": lambda x: (2 + T.cos(x)) * T.log(2 + T.cos(x)),
    "tanh_of_exps": lambda x: (T.exp(x) - T.exp(-x)) / (T.exp(x) + T.exp(-x)),
    "tanh_of_sigmoid": lambda x: 2 * T.nnet.sigmoid(x) - 1,
    "one_plus_erf": lambda x: 1 + T.erf(x),
    "log_of_erfc": lambda x: T.log(T.erfc(x)),
    "root_of_square": lambda x: T.sqrt(T.square(x)),
    "powers": lambda x: (x**2) ** 2 / 10,
    "copies": lambda x: +T.stack([x, x])[1],
    "stack": lambda x: T.stack([x, T.cos(x)])[::-1].sum(axis=0),
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (1 + T.square(y)),
    "div_of_product": lambda x, y: (x * (1 + T.square(y))) / (1 + T.square(y)),
    "common": lambda x, y: x * y + x,
    "there_and_back": lambda x, y: (x + y) - y,
    "maximum": T.maximum,
    "where": lambda x, y: T.switch(x > y, x, y * 0.5),
    "logaddexp": lambda x, y: T.log(T.exp(x) + T.exp(y)),
    "hypot": lambda x, y: T.sqrt(1 + x * x + y * y),
    "crossentropy": lambda x, y: -T.nnet.sigmoid(y) * T.log(T.nnet.sigmoid(x)),
    "fill": lambda x, y: T.fill(x, y),
    "share": lambda x, y: x * T.exp(y) / (T.exp(x) + T.exp(y)),
    "half_logistic": lambda x, y: T.log(1 + T.exp(x) + T.exp(y)),
    "rest": lambda x, y: x - x * T.nnet.sigmoid(y),
    "clipped": lambda x, y: T.switch(T.eq(y, y), x, y),
    "minimum_of_same": lambda x, y: T.minimum(x, x) * y,
}
KINKS = {"maximum": lambda x, y: x - y, "where": lambda x, y: x - y, "switch": lambda x: x, "relu": lambda x: x}
KINKS |= {
    "abs": lambda x: x,
    "clip": lambda x: abs(x) - 1.5,
    "log_of_positive": lambda x: x,
    "root_of_square": lambda x: x,
}
KINKS |= {"whole": lambda x: T.abs_(100 * x - T.rint(100 * x))}
REDUCED = {
    "sum": T.sum,
    "mean": T.mean,
    "max": T.max,
    "min_of_negative": lambda x, axis, keepdims: T.min(-x, axis=axis, keepdims=keepdims),
    "mean_of_quotient": lambda x, axis, keepdims: (x / x.shape[0]).mean(axis=axis, keepdims=keepdims),
    "product": lambda x, axis, keepdims: T.prod(T.tanh(-x), axis=axis, keepdims=keepdims),
    "argmax": lambda x, axis, keepdims: T.argmax(T.nnet.sigmoid(x), axis[0], keepdims).astype(x.dtype),
    "weighed": lambda x, axis, keepdims: (
        (T.exp(x) * x).sum(axis, keepdims=keepdims) / T.exp(x).sum(axis, keepdims=keepdims)
    ),
    "logsumexp": lambda x, axis, keepdims: T.log(T.exp(x).sum(axis=axis, keepdims=keepdims)),
    "sum_of_product": lambda x, axis, keepdims: (3 * x).sum(axis=axis, keepdims=keepdims),
    "norm": lambda x, axis, keepdims: T.sqrt(1 + T.sqr(x).sum(axis=axis, keepdims=keepdims)),
}
NORMED = {
    "softmax": lambda x, axis: T.exp(x) / T.exp(x).sum(axis=axis, keepdims=True),
    "softmax_op": lambda x, axis: T.nnet.softmax(x, axis=axis),
    "logsoftmax": lambda x, axis: T.log(T.nnet.softmax(x, axis=axis)),
    "shifted": lambda x, axis: T.exp(x - x.max(axis=axis, keepdims=True)),
    "centered": lambda x, axis: x - x.mean(axis=axis, keepdims=True),
    "difference": lambda x, axis: x - T.log(T.exp(x).sum(axis=axis, keepdims=True)),
    "softmax_of_centered": lambda x, axis: T.nnet.softmax(x - x.max(axis=axis, keepdims=True), axis=axis),
    "cumulative": lambda x, axis: T.cumsum(x, axis=axis),
    "repeated": lambda x, axis: T.repeat(x, 1, axis=axis),
}


NAIVE = {"written_sigmoid", "sigmoid_of_exp", "softplus", "log_of_sigmoid", "one_minus_sigmoid", "exp_times_sigmoid"}
NAIVE |= {"log_of_exp", "log1mexp", "logit", "tanh_of_exps", "tanh_of_sigmoid", "erfc", "one_plus_erf", "log_of_erfc"}
NAIVE |= {"logaddexp", "crossentropy", "share", "half_logistic", "rest", "logsumexp", "weighed"}
NAIVE |= {"softmax", "softmax_op", "logsoftmax", "shifted", "difference", "softmax_of_centered"}
MODERATE = 2.0  # up to which these, as they are written, keep digits
CHOOSE = {"max", "min_of_negative", "argmax", "shifted", "softmax_of_centered"}
INTEGERS = ["int64", "uint8", "bool"]
SHAPES = [(3,), (2, 3), (3, 3), (1, 3), (2, 1), (3, 2), (1,), (2, 3, 2), (1, 3, 1), ()]


class Maker:
    """Makes a graph by chance, looking at what its variables hold."""

    def __init__(self, data, dtype):
        self.data, self.dtype = data, dtype
        self.values = {}
        self.inputs = []
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**16), label="numbers"))

    def input(self, shape):
        dtype = self.choose([self.dtype] * 5 + INTEGERS, "dtype") if self.inputs else self.dtype
        low = 0 if dtype.startswith("u") else -2
        values = np.asarray(self.rng.uniform(low, 2, shape))
        array = values.astype(dtype) if dtype == self.dtype else np.rint(values).astype(dtype)
        known = [n if self.data.draw(st.booleans(), label="known") else None for n in shape]
        x = TensorType(dtype, known)(f"x{len(self.inputs)}")
        self.inputs.append(x)
        self.values[x] = array
        return x

    def shape(self):
        return self.choose(SHAPES, "shape")

    def choose(self, among, label):
        return self.data.draw(st.sampled_from(among), label=label)

    def value(self, x):
        if x not in self.values:
            (self.values[x],) = evaluate([x], self.values)
        return np.asarray(self.values[x])

    def keep(self, x):
        """x, or what is left of it where it is too large."""
        return x if self.is_within(MOST, x) else T.tanh(x / MOST)

    def is_within(self, bound, *xs):
        return all(np.max(np.abs(self.value(x)), initial=0) < bound for x in xs)

    def is_fair(self, name, *xs):
        """Whether a function, as it is written, has a derivative, and keeps digits, at these values."""
        if name in NAIVE and not self.is_within(MODERATE, *xs):
            return False
        gaps = self.value(KINKS[name](*xs)) if name in KINKS else np.ones(1)
        return gaps.size == 0 or np.min(np.abs(gaps)) > KINK

    def axes(self, x):
        axes = self.data.draw(st.lists(st.sampled_from(range(x.ndim)), min_size=1, unique=True), label="axes")
        return tuple(sorted(axes))

    def unary(self, x):
        name = self.choose(sorted(UNARY), "unary")
        return UNARY[name](x) if self.is_fair(name, x) else x

    def binary(self, x):
        name = self.choose(sorted(BINARY), "binary")
        ys = [y for y in self.made if broadcasts(self.value(y).shape, self.value(x).shape)]
        y = self.choose(ys, "second")
        return BINARY[name](x, y) if self.is_fair(name, x, y) else x

    def has_one_greatest(self, x, axes):
        """Whether no two elements vie to be the greatest along axes: who wins, rounding would decide."""
        value = self.value(x)
        kept = [a for a in range(x.ndim) if a not in axes]
        lines = value.transpose(*kept, *axes).reshape(*[value.shape[a] for a in kept], -1)
        return lines.shape[-1] == 1 or np.min(np.diff(np.sort(lines, axis=-1)[..., -2:])) > KINK

    def reduce(self, x):
        if x.ndim == 0:
            return x
        name, axes = self.choose(sorted(REDUCED), "reduction"), self.axes(x)
        if not self.is_fair(name, x):
            return x
        if name in CHOOSE and not self.has_one_greatest(x, axes[:1] if name == "argmax" else axes):
            return x
        return REDUCED[name](x, axis=axes, keepdims=self.data.draw(st.booleans(), label="keepdims"))

    def norm(self, x):
        if x.ndim == 0:
            return x
        name, axes = self.choose(sorted(NORMED), "normed"), self.axes(x)[:1]
        if not self.is_fair(name, x) or (name in CHOOSE and not self.has_one_greatest(x, axes)):
            return x
        return NORMED[name](x, axes[0])

    def move(self, x):
        order = list(self.data.draw(st.permutations(range(x.ndim)), label="order"))
        if x.ndim < 3 and self.data.draw(st.booleans(), label="new axis"):
            order.insert(self.data.draw(st.integers(0, x.ndim), label="place"), "x")
        return x.dimshuffle(*order)

    def pick(self, x):
        if x.ndim == 0:
            return x
        n = self.value(x).shape[0]
        i = self.data.draw(st.integers(0, n - 1), label="index")
        several = np.array(self.data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4), label="indices"))
        forms = [x[i], x[i - n], x[: i + 1], x[i:], x[::-1], x[several], x[..., -1], *([x[None]] if x.ndim < 3 else [])]
        return forms[self.choose(range(len(forms)), "form")]

    def write(self, x):
        if x.ndim == 0:
            return x
        i = self.data.draw(st.integers(0, self.value(x).shape[0] - 1), label="index")
        form = T.set_subtensor if self.data.draw(st.booleans(), label="set") else T.inc_subtensor
        return form(x[i], T.sin(x[0]))

    def product(self, x):
        ys = [y for y in self.made if x.ndim in (1, 2) and y.ndim in (1, 2) and fits(self.value(x), self.value(y))]
        return T.dot(x, self.choose(ys, "right")) if ys else x

    def reshape(self, x):
        return x.flatten() if x.ndim else x.reshape((1, 1))

    def join(self, x):
        return x if x.ndim == 0 else T.concatenate([x, T.sin(x)], axis=0)

    def graph(self):
        """Graph, arrays: of some expressions, and of the gradient of the sum of all."""
        self.made = [self.input(self.shape()) for _ in range(self.data.draw(st.integers(1, 3), label="inputs"))]
        steps = [self.unary, self.unary, self.binary, self.binary, self.reduce, self.norm, self.move, self.pick]
        steps += [self.write, self.product, self.reshape, self.join]
        for _ in range(self.data.draw(st.integers(3, 12), label="steps")):
            x = self.choose(self.made[-3:], "first")
            try:
                self.made.append(self.keep(self.choose(steps, "step")(x)))
            except DTypeError:  # of integers, or of bools, not everything has a meaning
                continue
        last = self.made[-2:]
        cost = sum((T.sum(T.sin(x) * T.cos(x)) for x in last[1:]), T.sum(T.sin(last[0])))
        gradients = grad(cost, [x for x in self.inputs if x.type.is_continuous], disconnected_inputs="ignore")
        return Graph(self.inputs, [*last, cost, *gradients]), [self.values[x] for x in self.inputs]


def broadcasts(*shapes):
    try:
        return len(np.broadcast_shapes(*shapes)) <= 3
    except ValueError:
        return False


def fits(x, y):
    return x.shape[-1] == y.shape[max(y.ndim - 2, 0)]


def check(graph, arrays, rules):
    """Values agree wherever the unrewritten one is finite; types always do."""
    found = rewrite(graph, rules)
    given = dict(zip(graph.inputs, arrays, strict=True))
    tolerance = max(TOLERANCE.get(x.type.dtype, 0) for x in graph.variables)
    for old, new, want, got in zip(
        graph.outputs, found.outputs, evaluate(graph.outputs, given), evaluate(found.outputs, given), strict=True
    ):
        want, got = np.asarray(want), np.asarray(got)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        want, got = want.astype("float64"), got.astype("float64")
        assert new.type.dtype == old.type.dtype
        assert len(new.type.shape) == len(old.type.shape)
        finite = np.isfinite(want)
        scale = max(1.0, np.max(np.abs(want), initial=0, where=finite))
        wrong = finite & ~(np.abs(got - want) <= tolerance * scale)
        assert not wrong.any(), f"rewritten {got[wrong]}, unrewritten {want[wrong]}"


def everything():
    return select.chosen("fast_run")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), phases=set(Phase) - {Phase.explain})
@given(data=st.data())
def test_rewritten_and_unrewritten_agree(dtype, data):
    graph, arrays = Maker(data, dtype).graph()
    check(graph, arrays, everything())


def test_a_wrong_rule_is_found():
    known = dict(RULES)
    pattern_of.cache_clear()
    try:

        @rule("stable", Reals(-4, 4, kinds="f"))
        def wrong(x):
            """sin(x) is x, which is true only near 0."""
            return T.sin(x), x

        @seed(1)
        @settings(
            max_examples=150,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(data=st.data())
        def run(data):
            graph, arrays = Maker(data, "float64").graph()
            check(graph, arrays, [*everything(), wrong])

        with pytest.raises(AssertionError, match="unrewritten"):
            run()
    finally:
        RULES.clear()
        RULES.update(known)
        pattern_of.cache_clear()
