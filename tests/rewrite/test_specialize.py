"""Special cases have cheaper ops."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.show import pp
from refgraph.ops.elementwise import _clip, exp2
from refgraph.ops.tensor import TensorType
from refgraph.rewrite import canonical, specialize, terms
from tests.rewrite.forms import assert_form, assert_same_values, declared_in, rewritten

HERE = declared_in(specialize)


def array(dtype, name, *shape):
    return TensorType(dtype, shape)(name)


x, y = (array("float64", name, 3) for name in "xy")
X, Y = (array("float64", name, 2, 3) for name in "XY")
s, t = (array("float64", name) for name in "st")
i, n, f, c = (
    array(dtype, name, 3) for dtype, name in zip(["int8", "uint8", "float32", "complex128"], "infc", strict=True)
)
k = array("int64", "k")

BECOMES = [
    # powers
    (x**3, x * T.square(x)),
    (x**4, T.square(T.square(x))),
    (x**5, x * T.square(T.square(x))),
    (x**6, T.square(x) * T.square(T.square(x))),
    (x**7, (x * T.square(x)) * T.square(T.square(x))),
    (x**8, T.square(T.square(T.square(x)))),
    (x**1.5, x * T.sqrt(x)),
    (x**2.5, T.square(x) * T.sqrt(x)),
    (i**3, i * T.square(i)),
    (f**3, f * T.square(f)),
    (c**3, c * T.square(c)),
    (f ** np.float64(3), T.cast(f, "float64") * T.square(T.cast(f, "float64"))),
    (2.0**x, exp2(x)),
    (2**f, exp2(f)),
    (np.e**x, T.exp(x)),
    # quotients and remainders
    (i % 8, i & 7),
    (n % 4, n & 3),
    (i % 6, i - 6 * (i // 6)),
    (i % -3, i - -3 * (i // -3)),
    (x % 1, x - T.floor(x)),
    (i // 8, i >> 3),
    (n // 2, n >> 1),
    (x // 0.5, T.floor(2.0 * x)),
    (x // 1, T.floor(x)),
    # small arrays first
    (2 * (x * X), (2 * x) * X),
    (2 * (X * x), (2 * x) * X),
    (s * (x * X), (s * x) * X),
    (x * (s * X), (x * s) * X),
    (2 * (x / X), (2 * x) / X),
    (2 * (X / x), X / (x / 2)),
    (-(x * X), -x * X),
    (-(X / x), X / -x),
    # absolute values and bounds
    (abs(x) * abs(y), abs(x * y)),
    (abs(x) / abs(y), abs(x / y)),
    (T.minimum(T.maximum(x, 0), 6), _clip(x, 0.0, 6.0)),
    (T.maximum(T.minimum(6, x), 0), _clip(x, 0.0, 6.0)),
]


@pytest.mark.parametrize(("before", "after"), BECOMES, ids=[pp(before) for before, _ in BECOMES])
def test_form(before, after):
    assert_form(before, after, "specialize", rules=HERE)


STAYS = [
    T.square(x),
    x**17,  # more roundings than anybody would like
    x**3.5,
    x**0.25,
    x**-1.5,
    x**y,
    3.0**x,
    x / 3,  # 49 * (1 / 49) is not 1
    k % 8,  # numbers cost what a call costs
    k // 8,
    x % 2,
    i % -1,
    i % 0,
    x // 3,
    2 * (x * y),
    s * (x * y),
    X * (x * Y),
    -(x * y),
    -(X * Y),
    abs(i) * abs(i + 1),  # the product may wrap
    T.minimum(T.maximum(x, 6), 0),  # the bounds cross
    T.minimum(T.maximum(x, s), 6),
    T.minimum(T.maximum(X, x), 6),
]


@pytest.mark.parametrize("expression", STAYS, ids=[pp(e) for e in STAYS])
def test_what_has_nothing_cheaper_stays(expression):
    assert_form(expression, expression, "specialize", rules=HERE)


def test_what_others_read_is_not_computed_again():
    for inner, outer in ((x * X, lambda p: 2 * p), (x * X, lambda p: -p), (T.maximum(x, 0), lambda p: T.minimum(p, 6))):
        both = [inner, outer(inner)]
        assert_form(both, both, "specialize", rules=HERE)


DTYPES = ["int8", "int16", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex64"]
EXPRESSIONS = {
    **{f"power {p}": (lambda v, p=p: v**p) for p in (3, 4, 5, 6, 7, 8, 11, 15, 16)},
    **{f"remainder by {q}": (lambda v, q=q: v % q) for q in (1, 2, 3, 5, 8, 64, 100)},
    **{f"quotient by {q}": (lambda v, q=q: v // q) for q in (1, 2, 3, 8, 64)},
    **{f"remainder by -{q}": (lambda v, q=q: v % -q) for q in (1, 2, 3, 8, 100)},
    **{f"quotient by -{q}": (lambda v, q=q: v // -q) for q in (1, 2, 8)},
    "bounded": lambda v: T.minimum(T.maximum(v, 2), 5),
    "roots": lambda v: v**1.5 + v**2.5,
    "power of two": lambda v: 2.0**v,
    "quotient by a half": lambda v: v // 0.5,
}


def numbers(dtype):
    """All that the narrow dtypes have, or some of each size."""
    kind = np.dtype(dtype).kind
    if kind in "iu":
        info = np.iinfo(dtype)
        if info.bits == 8:
            return np.arange(info.min, info.max + 1).astype(dtype)
        near = [*range(-70, 70), info.min, info.max, info.max - 1, info.max // 3]
        return np.array([m for m in near if info.min <= m <= info.max], dtype)
    values = np.concatenate([np.linspace(-5, 5, 41), [0.0, -0.0, 1e-3, -1e-3, 49.0, 1e3]])
    return (values + 0.5j * values[::-1] if kind == "c" else values).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_stay(dtype):
    """Of integers exactly, also where they wrap."""
    v = array(dtype, "v", None)
    given = {v: numbers(dtype)}
    rtol = {"float16": 2e-2, "float32": 1e-5, "complex64": 1e-5}.get(dtype, 1e-13)
    for build in EXPRESSIONS.values():
        try:
            before = build(v)
        except Exception:  # no meaning for that dtype, or no room for the number
            continue
        assert_same_values(before, given, HERE, rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_and_quotients_of_floats_are_exact(dtype):
    v = array(dtype, "v", None)
    values = np.concatenate([np.linspace(-3, 3, 601), [1e-20, -1e-20, 1e20, 0.0], np.arange(-5, 5) + 2.0**-20]).astype(
        dtype
    )
    for before in (v % 1, v // 1, v // 0.25, v // 4):
        assert_same_values(before, {v: values}, HERE)


def test_a_quotient_of_whole_numbers_is_whole():
    """With all the rules that could take it apart."""
    v = array("float64", "v", None)
    rules = declared_in(terms, canonical, specialize)
    values = np.arange(1.0, 200)
    for divisor in (3.0, 7.0, 49.0, 98.0, 103.0):
        assert_same_values(T.floor(v / divisor), {v: values * divisor}, rules)


def test_large_arrays_are_multiplied_once():
    """However the factors are grouped, and with constants outside."""
    rules = declared_in(terms, canonical, specialize)
    for before in (2 * x * X, X * 2 * x, -(x * X) * 2, s * x * X, (X * x) * s):
        made = rewritten(before, "canonical", "specialize", rules=rules)
        assert [y.type.ndim for y in made.owner.inputs] in ([1, 2], [2, 1])
