"""What Theano 1.0.5 answered to small questions, and what refgraph answers.

One row a question. A row with a reason answers otherwise, as refgraph means it; the reason is a row or heading of
docs/from-theano.md. (Random numbers, convolution and the effects of rewriting are not asked here.)
"""

from pathlib import Path

import numpy as np
import pytest

import refgraph as theano
import refgraph.tensor as T
from refgraph.gradient import DisconnectedInputError

GUIDE = Path(__file__).parents[1] / "docs" / "from-theano.md"


def vector(dtype):
    return T.TensorType(dtype, (None,))("z")


def dtype_and_pattern(x):
    return f"{x.dtype} {''.join('1' if b else '?' for b in x.broadcastable)}".strip()


bool_, i8, i32, i64, u8, u64 = map(vector, ["bool", "int8", "int32", "int64", "uint8", "uint64"])
f16, f32, f64, c64 = map(vector, ["float16", "float32", "float64", "complex64"])
matrix, number, count = T.dmatrix("m"), T.dscalar("s"), T.iscalar("n")

# Types: the question, its expression, Theano's answer ("1" an axis that broadcasts), ours and the reason.
TYPES = [
    ("int8 + int8", lambda: i8 + i8, "int8 ?"),
    ("int8 * 2", lambda: i8 * 2, "int8 ?"),
    ("int8 * 1000", lambda: i8 * 1000, "int16 ?", TypeError, "`int8 * 1000`"),
    ("int8 / int8", lambda: i8 / i8, "float64 ?"),
    ("int32 / 2", lambda: i32 / 2, "float64 ?"),
    ("int32 // 2", lambda: i32 // 2, "int32 ?"),
    ("int32 * 1.5", lambda: i32 * 1.5, "float64 ?"),
    ("int64 * f32", lambda: i64 * f32, "float64 ?"),
    ("int32 * f32", lambda: i32 * f32, "float64 ?"),
    ("int8 * f32", lambda: i8 * f32, "float32 ?"),
    ("f32 * 2.0", lambda: f32 * 2.0, "float32 ?"),
    ("f32 * np.float64(2)", lambda: f32 * np.float64(2), "float64 ?"),
    ("f32 * 0.1", lambda: f32 * 0.1, "float64 ?", "float32 ?", "`float32 * 0.1`"),
    ("f32 + 1", lambda: f32 + 1, "float32 ?"),
    ("f32 + 10**9", lambda: f32 + 10**9, "float64 ?", "float32 ?", "`float32 * 0.1`"),
    ("f32**2", lambda: f32**2, "float32 ?"),
    ("i8**2", lambda: i8**2, "int8 ?"),
    ("i32**2.0", lambda: i32**2.0, "float64 ?"),
    ("sqrt(int8)", lambda: T.sqrt(i8), "float32 ?", "float16 ?", "`sqrt(int8)`"),
    ("sqrt(int32)", lambda: T.sqrt(i32), "float64 ?"),
    ("sqrt(int64)", lambda: T.sqrt(i64), "float64 ?"),
    ("exp(int8)", lambda: T.exp(i8), "float32 ?", "float16 ?", "`sqrt(int8)`"),
    ("sum(int8)", lambda: i8.sum(), "int64"),
    ("sum(f32)", lambda: f32.sum(), "float32"),
    ("mean(int8)", lambda: i8.mean(), "float64"),
    ("mean(f32)", lambda: f32.mean(), "float32"),
    ("prod(int32)", lambda: i32.prod(), "int64"),
    ("cumsum(int8)", lambda: i8.cumsum(), "int8 ?", "int64 ?", "`cumsum(int8)`"),
    ("max(int8)", lambda: i8.max(), "int8"),
    ("argmax", lambda: f32.argmax(), "int64"),
    ("eq", lambda: T.eq(f32, f32), "bool ?"),
    ("gt", lambda: f32 > f32, "bool ?"),
    ("bool * f32", lambda: bool_ * f32, "float32 ?"),
    ("bool + bool", lambda: bool_ + bool_, "bool ?"),
    ("~bool", lambda: ~bool_, "bool ?"),
    ("sum(bool)", lambda: bool_.sum(), "int64"),
    ("mean(bool)", lambda: bool_.mean(), "float64"),
    ("shape", lambda: matrix.shape, "int64 ?"),
    ("shape[0]", lambda: matrix.shape[0], "int64"),
    ("arange(5)", lambda: T.arange(5), "int64 ?"),
    ("arange(iscalar)", lambda: T.arange(count), "int64 ?"),
    ("arange(5.)", lambda: T.arange(5.0), "float32 ?", "float64 ?", "`constant(1.5)`"),
    ("arange(0, 1, .1)", lambda: T.arange(0, 1, 0.1), "float64 ?"),
    ("constant(1)", lambda: T.constant(1), "int8", "int64", "`constant(1)`"),
    ("constant(300)", lambda: T.constant(300), "int16", "int64", "`constant(1)`"),
    ("constant(1.5)", lambda: T.constant(1.5), "float32", "float64", "`constant(1.5)`"),
    ("as_tensor([1, 2])", lambda: T.as_tensor_variable([1, 2]), "int64 ?"),
    ("as_tensor(array)", lambda: T.as_tensor_variable(np.array(1.5)), "float64"),
    ("zeros(3)", lambda: T.zeros(3), "float64 ?"),
    ("ones_like(int32)", lambda: T.ones_like(i32), "int32 ?"),
    ("eye(2)", lambda: T.eye(2), "float64 ??"),
    ("scalar()", lambda: T.scalar(), "float64"),
    ("vector()", lambda: T.vector(), "float64 ?"),
    ("shared(1)", lambda: theano.shared(1), "int64"),
    ("shared(1.)", lambda: theano.shared(1.0), "float64"),
    ("shared(ones((1, 3)))", lambda: theano.shared(np.ones((1, 3))), "float64 ??"),
    ("row()", lambda: T.row(), "float64 1?"),
    ("col()", lambda: T.col(), "float64 ?1"),
    ("dimshuffle('x', 0)", lambda: f32.dimshuffle("x", 0), "float32 1?"),
    ("m.sum(0, keepdims)", lambda: matrix.sum(0, keepdims=True), "float64 1?"),
    ("m[0:1]", lambda: matrix[0:1], "float64 ??"),
    ("m[None]", lambda: matrix[None], ValueError, "float64 1??", "`m[None]`"),
    ("dot(i32, f32)", lambda: T.dot(i32, f32), "float64"),
    ("switch(bool, i8, f32)", lambda: T.switch(bool_, i8, f32), "float32 ?"),
    ("softmax(vector)", lambda: T.nnet.softmax(f64), "float64 1?", "float64 ?", "`softmax(vector)`"),
    ("abs(int8)", lambda: abs(i8), "int8 ?"),
    ("sgn(f32)", lambda: T.sgn(f32), "float32 ?"),
    ("int8 % int8", lambda: i8 % i8, "int8 ?"),
    ("ceil(int8)", lambda: T.ceil(i8), "float32 ?", "int8 ?", "`ceil(int8)`"),
    ("round(f32)", lambda: T.round(f32), "float32 ?"),
    ("clip(f32, 0, 1)", lambda: T.clip(f32, 0, 1), "float32 ?"),
    ("clip(int8, 0, 300)", lambda: T.clip(i8, 0, 300), "int16 ?", "int8 ?", "`clip(int8, 0, 300)`"),
    ("concatenate(i8, f32)", lambda: T.concatenate([i8, f32]), "float32 ?"),
    ("stack(0-d)", lambda: T.stack([number, number]), "float64 ?"),
    ("mean(axis=(0, 1))", lambda: matrix.mean(axis=(0, 1)), "float64"),
    ("var(f32)", lambda: f32.var(), "float32"),
    ("std(int8)", lambda: i8.std(), "float64"),
    ("uint8 - uint8", lambda: u8 - u8, "uint8 ?"),
    ("uint8 + int8", lambda: u8 + i8, "int16 ?"),
    ("uint64 + int64", lambda: u64 + i64, "float64 ?"),
    ("f16 * f32", lambda: f16 * f32, "float32 ?"),
    ("c64 * f64", lambda: c64 * f64, "complex128 ?"),
    ("abs(c64)", lambda: abs(c64), "float32 ?"),
    ("repeat", lambda: T.repeat(f32, 2), "float32 ?"),
    ("tile", lambda: T.tile(f32, (2,)), "float32 ?"),
    ("outer", lambda: T.outer(f32, f32), "float32 ??"),
    ("nonzero", lambda: f32.nonzero()[0], "int64 ?"),
    ("m.norm", lambda: matrix.norm(2), "float64"),
    ("argsort", lambda: T.argsort(f32), "int64 ?"),
    ("isnan", lambda: T.isnan(f32), "bool ?"),
    ("identity_like", lambda: T.identity_like(matrix), "float64 ??"),
    ("cast", lambda: T.cast(f32, "int8"), "int8 ?"),
    ("alloc(v, 1, n)", lambda: T.alloc(np.float32(0), 1, count), "float32 1?"),
    ("alloc(v, n, 1)", lambda: T.alloc(np.float32(0), count, 1), "float32 ?1"),
    ("reshape((-1, 1))", lambda: f32.reshape((-1, 1)), "float32 ?1"),
    ("flatten(2)", lambda: T.dtensor3().flatten(2), "float64 ??"),
    ("join(0, row, row)", lambda: T.join(0, T.row(), T.row()), "float64 ??"),
]


def of(array, build, dtype=None):
    """The value of `build(x)` for a vector x."""
    array = np.asarray(array, dtype)
    x = T.TensorType(array.dtype, (None,) * array.ndim)("x")
    return theano.function([x], build(x), on_unused_input="ignore")(array)


def slope(at, build):
    """The gradient of the sum of `build(x)` at a vector."""
    return of(at, lambda x: T.grad(T.as_tensor_variable(build(x)).sum(), x), "float64")


def given(kind, value, **options):
    """What a function makes of an argument for a variable of this type."""
    x = kind("x")
    return theano.function([x], x * 1, **options)(value)


def wrote(updates):
    """Outputs of a function over a = 1, b = 2 before its updates, and the values after."""
    a, b = theano.shared(1.0), theano.shared(2.0)
    found = theano.function([], [a, b], updates=updates(a, b))()
    return [*found, a.get_value(), b.get_value()]


def counted():
    state = theano.shared(0.0)
    f = theano.function([], state, updates={state: state + 1})
    return [f(), f()]


x, y, z = T.dvector("x"), T.dvector("y"), T.dvector("z")
f32_array = np.arange(3, dtype="float32")
two, three = [1.0, 2.0], [1.0, 2.0, 3.0]
half = [0.5, 0.5]
ln2 = np.log(2)


def added(a, b):
    return theano.function([x, y], x + y)(a, b)


def loop(*args, of=theano.scan, **options):
    outputs, updates = of(*args, **options)
    return theano.function([], outputs, updates=updates)()


def less(a, b):
    return b - a


# Values and errors, likewise.
VALUES = [
    ("x // y < 0", lambda: of([-3, 3], lambda x: x // 2), [-2, 1]),
    ("x % y of ints", lambda: of([-7, 7], lambda x: x % 3), [2, 1]),
    ("x % y of floats", lambda: of([-7.0, 7.0], lambda x: x % 3), [2.0, 1.0]),
    ("int / 0", lambda: of([0, 1], lambda x: 1 / x), [np.inf, 1.0]),
    ("int // 0", lambda: of([0], lambda x: 1 // x), [0]),
    ("round .5", lambda: of([0.5, 1.5, 2.5, -0.5], T.round), [0.0, 2.0, 2.0, -0.0]),
    ("0**0", lambda: of([0.0, 1.0], lambda x: x**0), [1.0, 1.0]),
    ("sqrt(-1)**2", lambda: of([-1.0], lambda x: T.sqrt(x) ** 2), [np.nan]),
    ("exp(log(-1))", lambda: of([-1.0], lambda x: T.exp(T.log(x))), [np.nan]),
    ("log(exp(1000))", lambda: of([1000.0], lambda x: T.log(T.exp(x))), [np.inf], [1000.0], "`log(exp(x))`"),
    ("argmax of ties", lambda: of([1.0, 3.0, 3.0], T.argmax), 1),
    ("hard_sigmoid", lambda: of([-3.0, 0.0, 1.0], T.nnet.hard_sigmoid), [0.0, 0.5, 0.7]),
    ("softmax of a vector", lambda: of([0.0, 0.0], T.nnet.softmax), [half], half, "`softmax(vector)`"),
    (
        "crossentropy of integers",
        lambda: of([half, half], lambda p: T.nnet.categorical_crossentropy(p, T.constant([0, 1]))),
        [ln2, ln2],
    ),
    # gradients at ties and boundaries
    ("d max, ties", lambda: slope([1, 3, 3], T.max), [0.0, 1.0, 1.0]),
    ("d maximum, ties", lambda: slope([1, 0, -1], lambda x: T.maximum(x, 0)), [1.0, 1.0, 0.0]),
    ("d abs, 0", lambda: slope([0, 1, -1], abs), [0.0, 1.0, -1.0]),
    ("d relu, 0", lambda: slope([0, 1, -1], T.nnet.relu), [0.5, 1.0, 0.0]),
    ("d sqrt, 0", lambda: slope([0, 1], T.sqrt), [np.inf, 0.5]),
    ("d x**2, 0", lambda: slope([0, 1], lambda x: x**2), [0.0, 2.0]),
    ("d prod, a zero", lambda: slope([0, 2, 3], T.prod), [6.0, 0.0, 0.0]),
    ("d sort", lambda: slope([3, 1, 2], lambda x: T.sort(x) * [1.0, 2.0, 3.0]), [3.0, 1.0, 2.0]),
    ("d clip, bounds", lambda: slope([0, 0.5, 1, 2], lambda x: T.clip(x, 0, 1)), [1.0, 1.0, 1.0, 0.0]),
    ("d round", lambda: slope([1.5], T.round), [0.0]),
    ("d floor", lambda: slope([1.5], T.floor), [0.0]),
    ("d mod", lambda: slope([1.5], lambda x: x % 3), [1.0]),
    ("d argmax", lambda: slope([1, 2], lambda x: x + T.argmax(x)), [1.0, 1.0]),
    ("d cast to int", lambda: slope([1.5], lambda x: T.cast(x, "int32") * 2.0), [0.0]),
    ("d switch", lambda: slope([-1, 1], lambda x: T.switch(x > 0, 2 * x, x)), [1.0, 2.0]),
    ("d of an int", lambda: T.grad((i32 * 2.0).sum(), i32).dtype, "float64"),
    ("d of a vector", lambda: T.grad(x, x), TypeError),
    ("d, disconnected", lambda: T.grad(x.sum(), y), DisconnectedInputError),
    ("the same, ignored", lambda: T.grad(x.sum(), y, disconnected_inputs="ignore").eval({y: two}), [0.0, 0.0]),
    # indexing
    ("inc, duplicates", lambda: of([0.0] * 3, lambda x: T.inc_subtensor(x[[0, 0, 1]], 1)), [2.0, 1.0, 0.0]),
    ("set, duplicates", lambda: of([0.0] * 3, lambda x: T.set_subtensor(x[[0, 0, 1]], three)), [2.0, 3.0, 0.0]),
    ("mask", lambda: of([-1.0, 1.0, 2.0], lambda x: x[x > 0]), two),
    ("negative step", lambda: of(two, lambda x: x[::-1]), [2.0, 1.0]),
    ("index out of bounds", lambda: of(two, lambda x: x[5]), IndexError),
    ("slice out of bounds", lambda: of(two, lambda x: x[5:]), []),
    # shapes and arguments at run time
    ("other lengths", lambda: added(two, three), ValueError),
    ("length 1, undeclared", lambda: added([1.0], three), ValueError, [2.0, 3.0, 4.0], "an axis of length 1"),
    ("two rows into a row", lambda: given(T.drow, [two, two]), TypeError),
    ("float64 into fvector", lambda: given(T.fvector, np.array(two)), TypeError),
    ("0.1 into fscalar", lambda: given(T.fscalar, 0.1), TypeError),
    ("the same, downcast", lambda: given(T.fscalar, 0.1, allow_input_downcast=True), np.float32(0.1)),
    ("a list into dvector", lambda: given(T.dvector, two), two),
    ("ints into dvector", lambda: given(T.dvector, np.array([1, 2])), two),
    ("int64 into ivector", lambda: given(T.ivector, np.array([1, 2])), TypeError),
    ("300 into bscalar", lambda: given(T.bscalar, 300), TypeError),
    ("another rank", lambda: given(T.dvector, [two]), TypeError),
    ("an unused input", lambda: theano.function([x, y], x), ValueError),
    ("a missing input", lambda: theano.function([x], x + z), ValueError),
    ("an input twice", lambda: theano.function([x, x], x), ValueError),
    ("too many arguments", lambda: theano.function([x], x)(two, two), TypeError),
    ("no outputs", lambda: theano.function([], None)(), []),
    ("a list of outputs", lambda: type(theano.function([x], [x])(two)).__name__, "list"),
    ("a 0-d output", lambda: type(theano.function([x], x.sum())(two)).__name__, "ndarray"),
    ("outputs before updates", counted, [0.0, 1.0]),
    ("updates see old values", lambda: wrote(lambda a, b: [(a, b), (b, a)]), [1.0, 2.0, 2.0, 1.0]),
    ("another dtype's update", lambda: wrote(lambda a, b: {a: T.constant([1j])}), TypeError),
    # loops
    ("scan cumsum", lambda: loop(lambda a, h: a + h, T.arange(4), T.constant(0, dtype="int64")), [0, 1, 3, 6]),
    (
        "scan fib",
        lambda: loop(lambda a, b: a + b, outputs_info=dict(initial=np.array([0, 1]), taps=[-2, -1]), n_steps=6),
        [1, 2, 3, 5, 8, 13],
    ),
    (
        "scan until",
        lambda: loop(
            lambda p: (p * 2, theano.scan_module.until(p * 2 > 50)), outputs_info=T.constant(1.0), n_steps=1024
        ),
        [2, 4, 8, 16, 32, 64],
    ),
    ("go_backwards", lambda: loop(lambda a: a * 2, T.arange(3), go_backwards=True), [4, 2, 0]),
    ("the shortest sequence", lambda: loop(lambda a, b: a + b, [T.arange(6), T.arange(4)]), [0, 2, 4, 6]),
    ("sequence taps", lambda: loop(lambda a, b: a - b, dict(input=T.arange(6), taps=[-1, 1])), [-2, -2, -2, -2]),
    ("n_steps > len", lambda: loop(lambda a: a * 2, T.arange(3), n_steps=5), ValueError),
    ("n_steps 0", lambda: loop(T.sqr, T.arange(3), n_steps=0), NotImplementedError, [], "`scan(..., n_steps=0)`"),
    ("n_steps < 0", lambda: loop(T.sqr, T.arange(3), n_steps=-1), ValueError),
    ("foldl", lambda: loop(lambda a, h: a * h, T.arange(1, 5), np.int64(1), of=theano.foldl), 24),
    ("foldr", lambda: loop(less, T.arange(5), np.int64(0), of=theano.foldr), -10),
    ("reduce", lambda: loop(lambda a, h: a + h, T.arange(5), np.int64(0), of=theano.reduce), 10),
    ("map", lambda: loop(T.sqr, T.arange(4), of=theano.map), [0, 1, 4, 9]),
    (
        "a state from 0. among float32",
        lambda: loop(lambda a, h: a + h, f32_array, 0.0).dtype.name,
        TypeError,
        "float32",
        "a state that starts as `0.0`",
    ),
    # variables as Python objects
    ("bool(x)", lambda: bool(x), True, TypeError, "`bool(x)`"),
    ("bool(x > 0)", lambda: bool(x > 0), TypeError),
    ("len(x)", lambda: len(x), TypeError),
    ("iter(x)", lambda: iter(x), ValueError, TypeError, "`iter(x)`"),
    ("iter(shape)", lambda: len(list(matrix.shape)), 2),
    ("x == x", lambda: x == x and x != y and x in [y, x], True),
    ("hash(x)", lambda: {x: 1}[x], 1),
    ("str(x + 1)", lambda: str(x + 1), "Elemwise{add,no_inplace}.0", "add.0", "`str(x + 1)`"),
    ("str(z)", lambda: str(z), "z"),
    ("repr(shared)", lambda: repr(theano.shared(1.0, name="s")), "s"),
    (
        "pp",
        lambda: theano.pp(T.tanh(z) * 2 + T.sqr(z)),
        "((tanh(z) * TensorConstant{2}) + sqr(z))",
        "((tanh(z) * 2) + square(z))",
        "`pp(x * 2)`",
    ),
    ("str(constant)", lambda: str(T.constant(2.0)), "TensorConstant{2.0}"),
]


def expected(row):
    """Our answer: Theano's, or our own for a reason that the guide gives."""
    question, _, theanos, *ours = row
    if not ours:
        return theanos
    answer, reason = ours
    assert reason in GUIDE.read_text(), f"{question}: docs/from-theano.md does not speak of {reason}"
    assert answer != theanos
    return answer


def check(build, want, show=lambda found: found):
    if isinstance(want, type):
        with pytest.raises(want):
            build()
    elif isinstance(want, str):
        assert show(build()) == want
    else:
        np.testing.assert_array_max_ulp(np.asarray(show(build()), "float64"), np.asarray(want, "float64"), 1)


@pytest.mark.parametrize("row", TYPES, ids=[row[0] for row in TYPES])
def test_types(row):
    check(row[1], expected(row), dtype_and_pattern)


@pytest.mark.parametrize("row", VALUES, ids=[row[0] for row in VALUES])
def test_values(row):
    check(row[1], expected(row))
