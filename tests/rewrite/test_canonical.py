"""What changes nothing goes; constants are folded; what is repeated is computed once."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.core.graph import Constant
from refgraph.core.show import pp
from refgraph.gradient import disconnected_grad, grad_clip
from refgraph.ops.elementwise import _CASTS, fill, identity, isfinite
from refgraph.ops.printing import Print
from refgraph.ops.tensor import DTYPES, TensorType
from refgraph.random import Stream
from refgraph.rewrite import canonical
from tests.rewrite.forms import assert_form, assert_same_values, calls, declared_in, rewritten

HERE = declared_in(canonical)


def array(dtype, name, *shape):
    return TensorType(dtype, shape)(name)


x, y, z = (array("float64", name, 3) for name in "xyz")
X = array("float64", "X", 2, 3)
s = array("float64", "s")
u, v = (array("float64", name, None) for name in "uv")
i, j = (array("int8", name, 3) for name in "ij")
k = array("int64", "k", 3)
n = array("uint8", "n", 3)
f = array("float32", "f", 3)
c = array("complex128", "c", 3)
b = array("bool", "b", 3)

BECOMES = [
    # constants
    (T.constant(2.0) * T.constant(np.arange(3.0)), T.constant(np.array([0.0, 2, 4]))),
    (T.sqrt(T.constant(np.float32(4))) * f, T.constant(np.float32(2)) * f),
    (T.constant(np.arange(6.0)).reshape((2, 3)) + X, T.constant(np.arange(6.0).reshape(2, 3)) + X),
    (T.arange(3).sum() + i, T.constant(np.int64(3)) + i),
    (x * np.full(3, 2.0), 2 * x),
    (X * np.full((1, 1), 2.0), 2 * X),
    (X * np.full(3, 2.0), 2 * X),
    (u * np.full(3, 2.0), fill(np.full(3, 2.0), 2 * u)),
    (x + T.constant(np.array([1, 2, 3])), x + np.array([1.0, 2, 3])),
    (i * np.float32(2.5), i * T.constant(np.float32(2.5))),
    (x ** np.int64(3), x**3),
    # copies
    (identity(x) + y, x + y),
    (+x, x),
    (disconnected_grad(x) * y, x * y),
    (grad_clip(x, -1, 1) * y, x * y),
    # repetition
    (T.fill(x, y), y),
    (T.fill(x, X), X),
    (T.exp(T.fill(x, s)) * y, T.exp(s) * y),
    (T.fill(x, s) * s, T.fill(x, s * s)),
    (T.exp(T.fill(x, s)), T.fill(x, T.exp(s))),
    (T.fill(x, s) + T.fill(x, 1.0), T.fill(x, s + 1)),
    (T.fill(u, s) + v, T.fill(u, s + v)),
    (T.fill(x, T.fill(x, s)), T.fill(x, s)),
    (T.zeros_like(x) + y, 0 + y),
    (T.exp(T.alloc(s, 2, 3)), T.alloc(T.exp(s), 2, 3)),
    (T.alloc(s, 2, 3) * X, s * X),
    (T.alloc(x, 2, 3) + s, T.alloc(x + s, 2, 3)),
    (T.exp(T.alloc(s, k[0], 3)), T.alloc(T.exp(s), k[0], 3)),
    # casts
    (T.cast(T.cast(f, "float64"), "float32"), f),
    (T.cast(T.cast(i, "int64"), "float32"), T.cast(i, "float32")),
    (T.cast(T.cast(k, "int32"), "int8"), T.cast(k, "int8")),
    (T.cast(T.cast(k, "int8"), "uint8"), T.cast(k, "uint8")),
    (T.cast(T.cast(i, "float16"), "float64"), T.cast(i, "float64")),
    (T.cast(T.cast(b, "float32"), "bool"), b),
    (T.cast(T.cast(i, "complex64"), "bool"), T.cast(i, "bool")),
    # whole, positive and real numbers
    (T.floor(T.ceil(x)), T.ceil(x)),
    (T.rint(T.trunc(x)), T.trunc(x)),
    (T.floor(i), T.cast(i, T.floor(i).dtype)),
    (abs(abs(x)), abs(x)),
    (abs(-x), abs(x)),
    (abs(T.square(x)), T.square(x)),
    (abs(T.exp(x)), T.exp(x)),
    (abs(n), n),
    (T.square(abs(x)), T.square(x)),
    (T.sgn(T.sgn(x)), T.sgn(x)),
    (T.isnan(i), T.fill(i, np.bool_(False))),
    (T.isinf(b), T.fill(b, np.bool_(False))),
    (isfinite(i), T.fill(i, np.bool_(True))),
    (T.imag(x), T.fill(x, 0.0)),
    (i // 1, i),
    (i % 1, T.fill(i, np.int8(0))),
    (i << 0, i),
    (i >> 0, i),
    # inverses
    (T.arcsinh(T.sinh(x)), x),
    (T.arctanh(T.tanh(x)), x),
    (T.deg2rad(T.rad2deg(x)), x),
    (T.log1p(T.expm1(x)), x),
    (1 / T.exp(x), T.exp(-x)),
    (T.exp(x) ** y, T.exp(x * y)),
    (T.exp(x) ** 3, T.exp(x * 3)),
    (T.cos(-x), T.cos(x)),
    # complex numbers
    (T.real(T.complex(x, y)), x),
    (T.imag(T.complex(x, s)), T.fill(x, s)),
    (T.real(T.complex(i, y)), T.cast(i, "float64")),
    (T.complex(T.real(c), T.imag(c)), c),
    (T.conj(T.conj(c)), c),
    (T.real(T.conj(c)), T.real(c)),
    (T.imag(T.conj(c)), -T.imag(c)),
    (abs(T.conj(c)), abs(c)),
]


@pytest.mark.parametrize(("before", "after"), BECOMES, ids=[pp(before) for before, _ in BECOMES])
def test_form(before, after):
    assert_form(before, after, rules=HERE)


STAYS = [
    x + y * np.array([1.0, 2, 3]),
    T.exp(T.log(x)),  # NaN where x is negative
    T.sinh(T.arccosh(x)),
    T.tanh(T.arctanh(x)),  # NaN where |x| is more than 1
    T.cosh(T.arccosh(x)),
    T.cast(T.cast(x, "float32"), "float64"),
    T.cast(T.cast(k, "float64"), "int64"),  # 2**53 + 1 is no float64
    T.cast(T.cast(k, "int8"), "int64"),
    T.cast(T.cast(x, "int8"), "int64"),
    T.cast(T.cast(x, "bool"), "float64"),
    abs(i),
    abs(T.square(i)),  # which may wrap
    T.square(abs(c)),
    abs(T.exp(c)),
    T.fill(u, s),
    T.fill(u, v),
    T.alloc(u, 2, 3),
    T.complex(T.real(c), T.imag(T.conj(c) * 2)),
    T.floor(x),
    x // 1,
    n // 2,
]


@pytest.mark.parametrize("expression", STAYS, ids=[pp(e) for e in STAYS])
def test_what_says_something_stays(expression):
    assert_form(expression, expression, rules=HERE)


def test_printing_stays():
    assert rewritten(Print("x")(x), rules=HERE).owner.op.name == "print"


def folded(out):
    return isinstance(rewritten(out, rules=HERE), Constant)


def test_large_constants_are_not_made_of_small_ones():
    assert folded(T.zeros((100, 80)) + 1)
    assert not folded(T.zeros((1000, 1000)))
    assert not folded(T.constant(np.arange(1000.0)).reshape((1000, 1)) * np.arange(1000.0))


def test_what_large_constants_are_made_into_may_be_as_large():
    assert folded(T.constant(np.arange(100_000.0)) * np.arange(100_000.0))


def test_a_constant_that_cannot_be_computed_raises_when_it_runs():
    assert not folded(T.constant(np.arange(3))[T.constant(np.arange(9)).sum()])


def test_random_numbers_are_not_folded():
    assert not folded(Stream(1).uniform(size=(3,)))


def test_folding_warns_of_nothing():
    assert folded(T.log(T.constant(-1.0)) + T.constant(0.0) / T.constant(0.0))
    assert folded(T.cast(T.constant(np.nan), "int8"))


@pytest.mark.parametrize("last", DTYPES)
def test_casts_of_casts_keep_values(last):
    """Every value of the narrow dtypes, and edges of the wide ones, on every way to another dtype."""
    for first in DTYPES:
        for middle in DTYPES:
            if any(np.dtype(d).kind == "c" for d in (first, middle)) and np.dtype(last).kind not in "cb":
                continue
            if np.dtype(first).kind == "c" and np.dtype(middle).kind not in "cb":
                continue
            given_ = array(first, "given", None)
            with np.errstate(all="ignore"):
                values = edges(first)
                middle_values = values.astype(middle).real if np.dtype(last).kind != "c" else values.astype(middle)
                if np.dtype(last).kind in "iu" and np.dtype(middle).kind in "fc":  # beyond integers nothing is promised
                    info = np.iinfo(last)
                    middle_values = middle_values.real.astype("float64")
                    values = values[(middle_values >= info.min) & (middle_values < info.max)]
            assert_same_values(T.cast(T.cast(given_, middle), last), {given_: values}, HERE)


def edges(dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.array([False, True])
    if kind in "iu":
        info = np.iinfo(dtype)
        near = [info.min, info.min + 1, -1, 0, 1, 2, 100, 2049, 2**24 + 1, 2**53 + 1, info.max - 1, info.max]
        return np.array([e for e in near if info.min <= e <= info.max], dtype)
    return np.array([0, 1, -1, 0.1, 100, 1e4, -2.5]).astype(dtype)


SHAPES = st.sampled_from([(), (1,), (3,), (2, 1), (2, 3), (0,), (1, 1)])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_repetition_keeps_shapes_that_broadcast(data):
    """Of any lengths, known or not, and whatever stands in the place of lengths."""
    variables, arrays = [], {}
    for name in "xyz":
        shape = data.draw(SHAPES)
        known = data.draw(st.booleans())
        variable = array("float64", name, *(shape if known else [None] * len(shape)))
        variables.append(variable)
        arrays[variable] = np.random.default_rng(len(arrays)).uniform(1, 2, shape)
    makers = [
        lambda p, q: T.fill(p, q),
        lambda p, q: T.fill(p, 1.5) * q,
        lambda p, q: p + q,
        lambda p, q: T.exp(T.fill(p, q)),
        lambda p, q: p * np.full((1, 1), 2.0),
        lambda p, q: p + T.zeros_like(q),
        lambda p, q: T.alloc(p, 2, 3) if p.ndim < 2 and arrays.get(p, np.ones(2)).shape in ((), (1,), (3,)) else p,
    ]
    made = list(variables)
    try:
        for _ in range(data.draw(st.integers(1, 5))):
            made.append(
                data.draw(st.sampled_from(makers))(data.draw(st.sampled_from(made)), data.draw(st.sampled_from(made)))
            )
        assert_same_values(made[-1], arrays, HERE, 1e-12)
    except ValueError:  # they do not broadcast
        assume(False)


def test_every_cast_has_a_rule():
    assert set(canonical.cast_of_cast.at) >= set(_CASTS.values())


def test_fills_of_many_unknown_shapes_take_linear_time():
    vectors = [TensorType("float64", (None,))(f"v{i}") for i in range(30)]
    work = []
    for length in (100, 400):
        out = vectors[0]
        for i in range(length):
            out = T.fill(out, vectors[i % 30]) + out
        work.append(calls(lambda out=out: rewritten(out, "canonical")))
    assert work[1] < 5 * work[0]
