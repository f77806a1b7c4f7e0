"""Functions of neural networks: activations, softmax, and the losses that go with them.

softmax and logsoftmax are ops, since their stable forms and derivatives are more than their formulas say; the rest is
written in other ops. (Sigmoid and softplus are rows of `elementwise.py`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import AxisError, DTypeError, GraphTypeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import BadSample, Derivatives, Sample, declare
from refgraph.ops.families import Elemwise, Reals, broadcast_shapes, operands
from refgraph.ops.lengths import axes_of
from refgraph.ops.linear import TensorOp
from refgraph.ops.tensor import TensorType, TensorVariable, as_tensor, dtype_name

if TYPE_CHECKING:
    from refgraph.ops.batching import Batch

Axis = int | tuple[int, ...] | None


class Normalization(TensorOp):
    """What softmax and logsoftmax share: a real array in, one of the same shape out, which sums to 1 along `axis`."""

    __props__ = ("axis",)

    def __init__(self, axis: tuple[int, ...]) -> None:
        self.axis = axis

    def infer(self, x: TensorVariable) -> tuple[TensorType]:
        if x.type.dtype not in ("float16", "float32", "float64"):
            raise DTypeError(f"{self.name} needs a real floating point array, got {x.type}", inputs=[x])
        return (x.type,)

    def adjoint(self, z: Any, g: Any) -> Any:
        """The transposed Jacobian at the output z, times g."""
        raise NotImplementedError(f"{type(self).__name__} says no `adjoint`")

    def lengths(self, node: Apply, known: Any) -> Sequence[Any]:
        return [known.of(node.inputs[0])]

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        (g,) = cotangents
        return (partial(self.adjoint, node.outputs[0], g) if isinstance(g, Variable) else g,)

    def _sum(self, x: Any) -> Any:
        return x.sum(axis=self.axis, keepdims=True)

    def batched(self, node: Apply, batch: Batch) -> Sequence[Any] | None:
        return [type(self)(tuple([a + 1 for a in self.axis]))(*batch.inputs)]

    @classmethod
    def _cases(cls, public: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any], Any]]:
        """Ids, what to call and its input: every form of axis, every kind of array."""
        rng = np.random.default_rng(5)
        v, m, t = rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=(2, 3, 4))
        for id, x, axis in [
            ("vector", v, -1),
            ("rows", m, -1),
            ("columns", m, 0),
            ("middle", t, 1),
            ("all", m, None),
            ("pair", t, (0, -1)),
            ("0-d", m[0, 0].reshape(()), None),
            ("one-class", m[:, :1], 1),
            ("no-classes", m[:, :0], 1),
            ("no-rows", m[:0], 1),
            ("strided", t[::-1, :, ::2], -1),
            ("large", 1000 * m, -1),
            ("float32", m.astype("float32"), -1),
            ("float16", m.astype("float16"), 0),
            ("int", np.arange(6).reshape(2, 3), -1),
            ("bool", m > 0, -1),
        ]:
            yield id, partial(public, axis=axis), x

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        public = softmax if cls is Softmax else logsoftmax
        yield BadSample("axis", partial(public, axis=2), (np.ones((2, 3)),), AxisError, "axis 2")
        yield BadSample("twice", partial(public, axis=(1, -1)), (np.ones((2, 3)),), AxisError, "repeated")
        yield BadSample("scalar", public, (np.ones(()),), AxisError)
        yield BadSample("complex", public, (np.ones(2) * 1j,), DTypeError, "real")
        yield BadSample("op-int", cls((0,)), (np.arange(3),), DTypeError, "real")


@declare
class Softmax(Normalization):
    """exp(x) / sum(exp(x)) along `axis`, computed from x - max(x) so that nothing overflows.

    With z = softmax(x), dz/dx is diag(z) - z z', which is symmetric. Where every x is -inf, or one is inf or NaN, z is
    NaN: no distribution is the limit.
    """

    name = "softmax"

    def impl(self, x: Any) -> Any:
        e = np.exp(x - np.max(x, axis=self.axis, keepdims=True, initial=-np.inf))
        return e / np.sum(e, axis=self.axis, keepdims=True)

    def adjoint(self, z: Any, g: Any) -> Any:
        return z * (g - self._sum(z * g))

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (t,) = tangents
        return (self.adjoint(node.outputs[0], t) if isinstance(t, Variable) else t,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, call, x in cls._cases(softmax):
            yield Sample(id, call, (x,), partial(_softmax, call.keywords["axis"]))  # type: ignore[attr-defined]


@declare
class LogSoftmax(Normalization):
    """x - log(sum(exp(x))) along `axis`, computed from x - max(x) so that nothing overflows and no log meets 0.

    With z = logsoftmax(x), dz/dx is I - 1 exp(z)'. NaN where softmax is.
    """

    name = "logsoftmax"

    def impl(self, x: Any) -> Any:
        d = x - np.max(x, axis=self.axis, keepdims=True, initial=-np.inf)
        return d - np.log(np.sum(np.exp(d), axis=self.axis, keepdims=True))

    def adjoint(self, z: Any, g: Any) -> Any:
        return g - ops.elementwise.exp(z) * self._sum(g)

    def jvp(self, node: Apply, tangents: Derivatives) -> Derivatives:
        (t,) = tangents
        return (t - self._sum(ops.elementwise.exp(node.outputs[0]) * t) if isinstance(t, Variable) else t,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for id, call, x in cls._cases(logsoftmax):
            yield Sample(id, call, (x,), partial(_logsoftmax, call.keywords["axis"]))  # type: ignore[attr-defined]


def _softmax(axis: Any, x: Any) -> Any:
    from scipy.special import softmax

    x = np.asarray(x, None if np.asarray(x).dtype.kind == "f" else "float64")
    return softmax(x, axis=axis) if x.size else x


def _logsoftmax(axis: Any, x: Any) -> Any:
    from scipy.special import log_softmax

    x = np.asarray(x, None if np.asarray(x).dtype.kind == "f" else "float64")
    return log_softmax(x, axis=axis) if x.size else x


def _real(x: Any) -> TensorVariable:
    """x as a tensor, integers and booleans as float64."""
    z = as_tensor(x)
    return z if z.type.is_continuous else z.astype("float64")


def softmax(x: Any, axis: Axis = -1) -> TensorVariable:
    """exp(x) / sum(exp(x)) along an axis, several, or all (None): positive numbers that sum to 1.

    The shape and dtype are those of x (float64 where it holds integers). A vector gives a vector, a matrix is taken row
    by row. Raises AxisError, and DTypeError for complex x.
    """
    x = _real(x)
    return Softmax(axes_of("softmax", axis, x))(x)


def logsoftmax(x: Any, axis: Axis = -1) -> TensorVariable:
    """log(softmax(x)) along an axis, several, or all (None), exact also where the softmax is 0 in floating point.

    Shape, dtype and errors are those of `softmax`.
    """
    x = _real(x)
    return LogSoftmax(axes_of("logsoftmax", axis, x))(x)


def softmax_with_bias(x: Any, b: Any) -> TensorVariable:
    """softmax(x + b), by rows of the matrix x for a vector b."""
    return softmax(ops.elementwise.add(x, b))


# activations


_relu = declare(
    Elemwise(
        "relu",
        lambda x: np.maximum(x, x.dtype.type(0)),
        like=lambda x: [x],
        d=lambda z, x: ops.elementwise.heaviside(x, 0.5),
        c="{x} > 0 || {x} != {x} ? {x} : 0",
        on=Reals(-4, 4, edges=(0.0, -0.0, np.inf, -np.inf, np.nan), kinds="biuf"),
        doc="max(x, 0), with the derivative 1/2 at 0.",
    )
)


def relu(x: Any, alpha: Any = 0) -> TensorVariable:
    """max(x, 0), or where x is negative alpha * x; alpha is a number or broadcasts with x.

    The derivative at 0 is the mean of its sides, (1 + alpha) / 2, as Theano has it. With an alpha, integers become
    float64. Raises DTypeError for complex x.
    """
    z = as_tensor(x)
    if z.type.is_complex:
        raise DTypeError(f"relu: complex numbers have no order, got {z.type}", inputs=[z])
    if isinstance(alpha, (int, float)) and alpha == 0:
        return _relu(z)
    z = _real(z)
    return _relu(z) - ops.elementwise.mul(alpha, _relu(-z))


def elu(x: Any, alpha: Any = 1) -> TensorVariable:
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2015)."""
    x = as_tensor(x)
    e = ops.elementwise
    return e.switch(x > 0, x, alpha * e.expm1(e.minimum(x, 0)))  # minimum: no overflow where it is not read


def selu(x: Any) -> TensorVariable:
    """elu scaled so that activations keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def softsign(x: Any) -> TensorVariable:
    """x / (1 + |x|)."""
    z = as_tensor(x)
    return z / (1 + abs(z))


def hard_sigmoid(x: Any) -> TensorVariable:
    """The sigmoid as three straight lines: 0.2 x + 0.5, clipped to [0, 1]."""
    return ops.elementwise.clip(as_tensor(x) * 0.2 + 0.5, 0.0, 1.0)


def ultra_fast_sigmoid(x: Any) -> TensorVariable:
    """The sigmoid approximated as Theano's of this name does, within 0.03: (1 + t(x / 2)) / 2 for an odd t near tanh.

    For u >= 0, t(u) is 1.5 u / (1 + u) below 1.7, a straight line below 3, and constant from there.
    """
    e = ops.elementwise
    x = as_tensor(x)
    u = abs(x) * 0.5
    line = 0.935409070603099 + 0.0458812946797165 * (u - 1.7)
    t = e.switch(u < 1.7, 1.5 * u / (1 + u), e.switch(u < 3, line, 0.99505475368673))
    return 0.5 * (1 + e.switch(x < 0, -t, t))


# losses


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> TensorVariable:
    """-sum(true_dist * log(coding_dist)) along the last axis: how surprising the truth is for the coding distribution.

    true_dist: of the rank of coding_dist, a distribution for each row; or integers of one rank less, the number of the
    true class of each row. Raises GraphTypeError for other ranks.
    """
    p, truth = as_tensor(coding_dist), as_tensor(true_dist)
    if truth.type.ndim == p.type.ndim:
        return -(truth * ops.elementwise.log(p)).sum(axis=-1)
    if truth.type.ndim == p.type.ndim - 1 and truth.type.dtype.startswith(("int", "uint")):
        return crossentropy_categorical_1hot(p, truth)
    raise GraphTypeError(
        f"categorical_crossentropy: {truth.type} is no truth for {p.type}",
        help="give a distribution for each row, or an integer for each row",
        inputs=[p, truth],
    )


def crossentropy_categorical_1hot(coding_dist: Any, true_one_of_n: Any) -> TensorVariable:
    """-log(coding_dist[i, true_one_of_n[i]]) for each row i: the cross entropy where the truth is one class."""
    return -ops.elementwise.log(_pick(as_tensor(coding_dist), as_tensor(true_one_of_n)))


def _pick(x: TensorVariable, number: TensorVariable) -> TensorVariable:
    """x[i, number[i]] for each index i of all axes of x but the last."""
    n = x.type.ndim - 1
    if n < 0 or number.type.ndim != n:
        raise GraphTypeError(f"{number.type} does not choose one entry of each row of {x.type}", inputs=[x, number])
    if number.type.dtype[0] not in "iu":
        raise DTypeError(f"class numbers must be integers, got {number.type}", inputs=[number])
    broadcast_shapes("choosing one entry a row", [TensorType("bool", x.type.shape[:-1])(), number])
    rows = [ops.construct.arange(x.shape[k]).dimshuffle(*["x"] * k, 0, *["x"] * (n - 1 - k)) for k in range(n)]
    return x[(*rows, number)]


def binary_crossentropy(output: Any, target: Any) -> TensorVariable:
    """-(target * log(output) + (1 - target) * log(1 - output)), elementwise, for probabilities.

    For the sigmoid of something, `sigmoid_binary_crossentropy` of the thing itself is exact where this is not.
    """
    p, truth = operands("binary_crossentropy", (output, target))
    log = ops.elementwise.log
    return -(truth * log(p) + (1.0 - truth) * log(1.0 - p))


def sigmoid_binary_crossentropy(output: Any, target: Any) -> TensorVariable:
    """binary_crossentropy(sigmoid(output), target), elementwise, finite and exact for outputs of any size.

    It is target * softplus(-output) + (1 - target) * softplus(output), whose derivative is sigmoid(output) - target.
    """
    x, truth = operands("sigmoid_binary_crossentropy", (output, target))
    softplus = ops.elementwise.softplus
    return truth * softplus(-x) + (1.0 - truth) * softplus(x)


def crossentropy_softmax_1hot(x: Any, y_idx: Any) -> tuple[TensorVariable, TensorVariable]:
    """Of each row of x, -logsoftmax at the true class y_idx; and the softmax."""
    x = _real(x)
    return -_pick(logsoftmax(x), as_tensor(y_idx)), softmax(x)


def crossentropy_softmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> tuple[TensorVariable, TensorVariable]:
    """crossentropy_softmax_1hot of x + b."""
    return crossentropy_softmax_1hot(ops.elementwise.add(x, b), y_idx)


def crossentropy_softmax_argmax_1hot_with_bias(
    x: Any, b: Any, y_idx: Any
) -> tuple[TensorVariable, TensorVariable, TensorVariable]:
    """Of x + b: the cross entropies, the softmax, and the most probable class of each row."""
    loss, p = crossentropy_softmax_1hot_with_bias(x, b, y_idx)
    return loss, p, p.argmax(axis=-1)


def crossentropy_softmax_max_and_argmax_1hot_with_bias(
    x: Any, b: Any, y_idx: Any
) -> tuple[TensorVariable, TensorVariable, TensorVariable, TensorVariable]:
    """Of x + b: the cross entropies, the softmax, its maximum in each row, and where that is."""
    loss, p = crossentropy_softmax_1hot_with_bias(x, b, y_idx)
    return loss, p, p.max(axis=-1), p.argmax(axis=-1)


def crossentropy_softmax_max_and_argmax_1hot(
    x: Any, y_idx: Any
) -> tuple[TensorVariable, TensorVariable, TensorVariable, TensorVariable]:
    """The cross entropies, the softmax, its maximum in each row, and where that is."""
    loss, p = crossentropy_softmax_1hot(x, y_idx)
    return loss, p, p.max(axis=-1), p.argmax(axis=-1)


# classes


def to_one_hot(y: Any, nb_class: Any, dtype: Any = None) -> TensorVariable:
    """A row for each entry of the integer vector y, with a 1 at that column and zeros elsewhere; `floatX` by default.

    Raises IndexError, when it runs, for a class number that is not below nb_class.
    """
    y = as_tensor(y)
    if y.type.ndim != 1 or y.type.dtype[0] not in "iu":
        raise GraphTypeError(f"to_one_hot: class numbers are an integer vector, got {y.type}", inputs=[y])
    rows = ops.construct.zeros((y.shape[0], nb_class), dtype=dtype_name("floatX" if dtype is None else dtype))
    return ops.indexing.set_subtensor(rows[ops.construct.arange(y.shape[0]), y], 1)


def confusion_matrix(actual: Any, pred: Any) -> list[TensorVariable]:
    """How often each class (row) was taken for each class (column), for integer vectors; and the sorted class numbers.

    Classes are the numbers that occur in either vector. Counts are int64.
    """
    actual, pred = as_tensor(actual), as_tensor(pred)
    for x in (actual, pred):
        if x.type.ndim != 1:
            raise GraphTypeError(f"confusion_matrix: class numbers are a vector, got {x.type}", inputs=[x])
    order = ops.sorting.unique(ops.joining.concatenate([actual, pred]))
    eq = ops.elementwise.eq
    rows, columns = (eq(x.dimshuffle(0, "x"), order).astype("int64") for x in (actual, pred))
    return [ops.linalg.dot(rows.T, columns), order]
