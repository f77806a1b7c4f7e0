"""Sums and products have one spelling, and no more terms than they need."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.core.graph import Graph, toposort
from refgraph.core.show import pp
from refgraph.interp.evaluate import evaluate
from refgraph.ops.tensor import TensorType
from refgraph.rewrite import canonical, choices, terms
from refgraph.rewrite.engine import rewrite
from refgraph.testing.exact import exact
from tests.rewrite.forms import assert_form, assert_same_values, calls, count, declared_in, rewritten

HERE = declared_in(terms)


def array(dtype, name, *shape):
    return TensorType(dtype, shape)(name)


x, y, z, w = (array("float64", name, 3) for name in "xyzw")
X, Y = (array("float64", name, 2, 3) for name in "XY")
s, t = (array("float64", name) for name in "st")
u, v = (array("float64", name, None) for name in "uv")
i, j = (array("int8", name, 3) for name in "ij")
n, m = (array("uint8", name, 3) for name in "nm")
f = array("float32", "f", 3)
c, d = (array("complex128", name, 3) for name in "cd")
b = array("bool", "b", 3)

BECOMES = [
    # like terms
    (x + x, 2 * x),
    ((x + y) + (x + y), 2 * (x + y)),
    (2 * x + 3 * x, 5 * x),
    (x + y + x, 2 * x + y),
    (2 * x + y + 3 * x, 5 * x + y),
    (x + 2 * x, 3 * x),
    (3 * x - x, 2 * x),
    (x / 3 + x, (1 + 1 / 3) * x),
    (x - x, T.fill(x, 0.0)),
    ((x + y) - x, y),
    (x - (y + x), -y),
    ((x + y) - (y + x), T.fill(x + y, 0.0)),
    (2 * (x + y) + z - (x + y), (x + y) + z),
    ((x + y) + z - 2 * (x + y), z - (x + y)),
    (x * y + 2 * (y * x), 3 * (x * y)),
    (2 * (x + y) - (x + y), x + y),
    (s * x + s * x, 2 * (s * x)),
    (f + f, 2 * f),
    (i + i, 2 * i),
    (i + j - i, j),
    (c + d - c, d),
    ((u + v) - u, T.fill(u, v)),
    ((X + x) - x, X),
    ((x + X) - X, T.fill(X, x)),
    (x + X + x, 2 * x + X),
    # constants
    ((x + 1) + 2, 3 + x),
    ((1 + x) + y + 2, 3 + x + y),
    ((x - 1) + 1, x),
    (1 - (1 - x), x),
    ((x - 3) + 1, x - 2),
    ((1 - x) - 3, -2 - x),
    (x + np.array([1, 2, 3.0]) + np.array([1, 1, 2.0]), np.array([2, 3, 5.0]) + x),
    ((n - 1) + 2, 1 + n),
    ((f + 1) + 2, 3 + f),
    # signs
    (T.neg(-x), x),
    (x + -y, x - y),
    (-x + y, y - x),
    (x - -y, x + y),
    (-(x - y), y - x),
    (x + (-3), x - 3),
    (x - (-3), 3 + x),
    (x + -2 * y, x - 2 * y),
    (-2 * x + y, y - 2 * x),
    (x - -2 * y, x + 2 * y),
    (x + y / -3, x - y / 3),
    (-x - y, -(x + y)),
    (-x + -y, -(x + y)),
    (z - (-x - y), (x + y) + z),
    (-x - 3, -3 - x),
    (z - x * -y, z + x * y),
    (z + -x / y, z - x / y),
    (T.neg(x * -y), x * y),
    (-(1 + x), -1 - x),
    (-(x - 1), 1 - x),
    (0 - x, -x),
    (x + 0, x),
    (x - 0, x),
    (i + 0.0, T.cast(i, "float64")),
    (x + s * 0, x),
    (-(i - j), j - i),
    (n + -m, n - m),
    # like factors
    (x * x, T.square(x)),
    (x * x * x, x**3),
    (x**2 * x, x**3),
    (x * y * x * x, x**3 * y),
    (x / x, T.fill(x, 1.0)),
    (x * y / y, x),
    ((x / y) * y, x),
    ((x * y) / (x * z), y / z),
    (x / (x * y), 1 / y),
    ((x / y) / (x / z), z / y),
    (T.square(x) / x, x),
    (x**3 / x, T.square(x)),
    (1 / (1 / x), x),
    ((x + y) * (x + y) / (x + y), x + y),
    (T.square(x * y) / y, T.square(x) * y),
    (X * s / s, X),
    (i * i, T.square(i)),
    (i * i * i, i**3),
    (i / i, T.fill(i, 1.0)),
    (c * d / d, c),
    (c / c, T.fill(c, 1 + 0j)),
    (s * s * x, T.square(s) * x),
    # constants in products
    (2 * x * 3, 6 * x),
    ((2 * x) * y, 2 * (x * y)),
    (x * (2 * y), 2 * (x * y)),
    ((2 * x) * (3 * y), 6 * (x * y)),
    ((2 * x) / y, 2 * (x / y)),
    ((x / 3) / 5, x / 15),
    ((2 * x) / 3, (2 / 3) * x),
    (3 * (x / 3), x),
    ((x / 3) * y, (x * y) / 3),
    (1 / (2 * x), 0.5 / x),
    ((2 * x) / (3 * y), (2 / 3) * (x / y)),
    ((x / 3) / (5 * y), x / (15 * y)),
    (1 / (x / 3), 3 / x),
    (x / 2, 0.5 * x),
    (x / -4, -0.25 * x),
    ((3 * c) / 3, c),
    (2 * (i * 3), 6 * i),
    (i * 2.0 * 3.0, 6.0 * i),
    (x * 1, x),
    (x / 1, x),
    (x * -1, -x),
    (x / -1, -x),
    (i / 1, T.cast(i, "float64")),
    (x * 0, T.fill(x, 0.0)),
    (0 / x, T.fill(x, 0.0)),
    (s * 0, T.constant(0.0)),
    # signs of products
    (-x * y, -(x * y)),
    (-x * -y, x * y),
    (-x / y, -(x / y)),
    (x / -y, -(x / y)),
    (-x / -y, x / y),
    (-(2 * x), -2 * x),
    (-(x / 3), x / -3),
    (-(3 / x), -3 / x),
    (-x * 2, -2 * x),
    (T.square(-x), T.square(x)),
    ((-x) ** 4, x**4),
    # quotients
    (x * (1 / y), x / y),
    (x / (1 / y), x * y),
    (x * (3 / y), 3 * (x / y)),
    ((1 / x) * (1 / y), 1 / (x * y)),
    (T.reciprocal(x), 1 / x),
    # powers
    (x**0, T.fill(x, 1.0)),
    (x**1, x),
    (x**2, T.square(x)),
    (x**0.5, T.sqrt(x)),
    (x**-1, 1 / x),
    (x**-2, 1 / T.square(x)),
    (x**-0.5, 1 / T.sqrt(x)),
    (x**-3.0, 1 / x**3),
    (1**x, T.fill(x, 1.0)),
    (i**2, T.square(i)),
    (i**1, i),
    (c**2, T.square(c)),
    (f**-1, 1 / f),
    (T.square(x**3), x**6),
    (T.square(T.square(x)), x**4),
    (T.float_power(x, 3), x**3),
    (T.float_power(f, 2), T.square(T.cast(f, "float64"))),
]


@pytest.mark.parametrize(("before", "after"), BECOMES, ids=[pp(before) for before, _ in BECOMES])
def test_form(before, after):
    assert_form(before, after, rules=HERE)


STAYS = [
    1 + x,
    x + y - z,
    (x + y) + (z + w),
    1 + x + y,
    (x - 1) + y,
    x - y - z,
    -(x + y),
    -x - X,  # of the small array it is less to change the sign
    2 * (x + y),
    s * x + s * y,
    2 * x + 2 * y,
    x - 2 * y,
    -2 * x - y,
    1 - x,
    x - 1,
    x + X + y,
    (x + y) + X,
    x * y * x,  # two multiplications either way
    (x * y) * (z * w),
    x / y / y,  # square(y) may overflow where this does not
    x / (y / z),
    (x / y) * z,
    x / 3,
    3 / x,
    x / (3 * y),
    2 * (x / y),
    -(x * y),
    x**3,
    x**2.5,
    x**s,
    T.sqrt(x) * T.sqrt(y),
    T.square(T.sqrt(x)),  # NaN where x is negative
    T.exp(x) * T.exp(y),
    T.reciprocal(i),  # of integers it is the integer part
    (i * j) / j,  # the product may wrap
    T.cast(i + j, "float64") - i,  # so may the sum
    (i + i.astype("float64")) - j,
    b + b,  # of bools that is "or"
    b * b,
    b.astype("int8") * b,
    x * np.inf,
    x - np.inf,
    x * 1e200 * y,  # 1e200 * (x * y) may be out of range where this is not
    (x * 1e-200) * y,
    (f * 1e30) * 1e30,  # the product of both is infinite
    (f * 1e-30) * 1e-30,
    x + y * np.array([0.0, 1, 2]),
]


@pytest.mark.parametrize("expression", STAYS, ids=[pp(e) for e in STAYS])
def test_what_is_as_short_as_it_gets_stays(expression):
    assert_form(expression, expression, rules=HERE)


def test_what_others_read_is_not_computed_again():
    sum_, product = x + y, x * y
    for before in ([sum_, sum_ + z + x], [product, product * z * x], [-sum_, sum_], [2 * x, (2 * x) * y]):
        assert_form(before, before, rules=HERE)
    shared = x - y
    assert_form([shared, -shared], [shared, -shared], rules=HERE)


def test_what_others_read_is_looked_through_where_that_saves_work():
    shared = x + y
    assert_form([shared, shared - x], [shared, y], rules=HERE)
    assert_form([shared, shared + z + shared], [shared, 2 * shared + z], rules=HERE)
    scaled = 2 * x
    assert_form([scaled, 3 * scaled], [scaled, 6 * x], rules=HERE)
    minus = [-x, -y]
    assert_form([*minus, minus[0] * minus[1]], [*minus, x * y], rules=HERE)
    quotient = x / y
    assert_form([quotient, quotient * y], [quotient, x], rules=HERE)


def test_constants_with_more_elements_than_each_are_not_made():
    before = X + np.arange(1, 3.0).reshape(2, 1) + np.arange(1, 4.0)
    assert rewritten(before, rules=HERE) is before


def test_powers_of_powers_end_somewhere():
    """Forty squares are seven powers, the largest of 64: 2**(2**40) is not computed."""
    out = reduce(lambda h, _: T.square(h), range(40), 2 * x)
    assert count(rewritten(out * (3 * x), rules=HERE), "pow") == 7


def test_small_terms_are_not_spread_over_large_ones():
    a, bias = array("float64", "a", 3), array("float64", "bias", 3)
    before = (a + X) + bias + a
    assert_form(before, (2 * a + bias) + X, rules=HERE)


DTYPES = ["int8", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
SHAPES = [((3,), (3,)), ((), ()), ((3, 1), (4,)), ((0,), (1,)), ((1,), (3,)), ((2, 3), ())]
EXPRESSIONS = {
    "like terms": lambda x, y: 2 * x + y - 5 * x + y,
    "cancelled": lambda x, y: (x + y) - x,
    "nothing": lambda x, y: (x - y) - (x - y),
    "constants": lambda x, y: (x + 3) - (y + 1) + 2,
    "signs": lambda x, y: -(x - y) + (-x) * (-y) - (-y),
    "like factors": lambda x, y: x * y * x * x,
    "squares": lambda x, y: (x * y) * (x * y) + x**2 * y**3,
    "constant factors": lambda x, y: (2 * x) * (3 * y) * 2,
    "by zero": lambda x, y: x * 0 + y,
    "by one": lambda x, y: (x * 1) * (y * -1 if y.dtype[0] != "u" else y),
    "powers": lambda x, y: x**0 + y**1 + x**2,
    "mixed": lambda x, y: 2.5 * x + y - x * 0.5 - y,
    "of other dtypes": lambda x, y: (x + y.astype("complex128")) - x + 2 * y,
}
FLOATS = {
    "quotients": lambda x, y: (x * y) / y + x / x - 2 * x / (3 * y),
    "reciprocals": lambda x, y: x * (1 / y) + 1 / (2 * x) + (x / 3) / (y / 5),
    "negative powers": lambda x, y: x**-1 + y**-2 * x + x / (x * y),
}


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_dtypes_and_shapes_stay(dtype, shapes):
    """Also of lengths that are not known, and may turn out to be 1."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype).kind
    for known in (False, True):
        xs = [TensorType(dtype, shape if known else (None,) * len(shape))() for shape in shapes]
        arrays = [np.asarray(rng.integers(1, 100, shape)).astype(dtype) for shape in shapes]
        for build in {**EXPRESSIONS, **(FLOATS if kind in "fc" else {})}.values():
            rtol = {"float16": 2e-2, "float32": 1e-4, "complex64": 1e-4}.get(dtype, 1e-12)
            assert_same_values(build(*xs), dict(zip(xs, arrays, strict=True)), HERE, rtol, rtol * 100)


# Expressions made by chance

SMALL = st.sampled_from([1, 2, 3, -1, -2, 0, 4, 5])


def arithmetic(leaves, quotients):
    """Expressions of these leaves; exponents are numbers."""
    binary = ["add", "sub", "mul", *(["div", "div"] if quotients else [])]

    def extend(inner):
        pair = st.tuples(st.sampled_from(binary), inner, inner)
        scaled = st.tuples(st.sampled_from(binary), SMALL, inner) | st.tuples(st.sampled_from(binary), inner, SMALL)
        power = st.tuples(st.just("pow"), inner, st.sampled_from([0, 1, 2, 3, *([-1, -2] if quotients else [])]))
        return pair | pair | scaled | power | st.tuples(st.just("neg"), inner)

    return st.recursive(st.sampled_from(leaves), extend, max_leaves=12)


OPS = {"add": T.add, "sub": T.sub, "mul": T.mul, "div": T.true_div, "pow": T.pow, "neg": T.neg}


def built(tree, variables):
    if isinstance(tree, tuple):
        return OPS[tree[0]](*[built(part, variables) for part in tree[1:]])
    return variables[tree] if isinstance(tree, str) else tree


def is_number(tree):
    return isinstance(tree, int) or (isinstance(tree, tuple) and all(map(is_number, tree[1:])))


@settings(max_examples=300, deadline=None)
@given(arithmetic(["x", "y", "z"], quotients=True), st.lists(st.sampled_from([0.5, -1.5, 2.0, -0.75, 3.0]), min_size=3))
def test_in_exact_arithmetic_nothing_changes(tree, numbers):
    """Constants are rounded, when they are computed; nothing else may be different."""
    variables = {name: array("float64", name) for name in "xyz"}
    before = built(tree, variables)
    assume(not isinstance(before, (int, str)))
    values = {variable: number for variable, number in zip(variables.values(), numbers, strict=False)}
    want = exact(before, values)
    assume(abs(want) < 1e12)  # not NaN, as where something is divided by 0
    got = exact(rewritten(before, rules=HERE), values)
    assert abs(got - want) <= 1e-11 * max(1, abs(want)), pp(rewritten(before, rules=HERE))


@settings(max_examples=200, deadline=None)
@given(arithmetic(["x", "y", "z"], quotients=False), st.sampled_from(["int8", "uint8", "int64"]), st.integers(0, 99))
def test_integers_wrap_as_they_did(tree, dtype, seed):
    variables = {name: array(dtype, name, None) for name in "xyz"}
    try:
        before = built(tree, variables)
    except Exception:  # a negative number beside unsigned ones
        assume(False)
    assume(hasattr(before, "owner"))
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    arrays = {v: rng.integers(info.min, info.max, 4, dtype, endpoint=True) for v in variables.values()}
    assert_same_values(before, arrays, HERE)


@settings(max_examples=200, deadline=None)
@given(
    arithmetic(["x", "y", "z"], quotients=True),
    st.lists(st.sampled_from(["bool", "int8", "int64", "float32", "float64", "complex64"]), min_size=3, max_size=3),
    st.lists(st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)]), min_size=3, max_size=3),
)
def test_dtypes_and_shapes_mix(tree, dtypes, shapes):
    variables = {
        name: array(dtype, name, *[None] * len(shape)) for name, dtype, shape in zip("xyz", dtypes, shapes, strict=True)
    }
    try:
        before = built(tree, variables)
    except Exception:  # no meaning for bools, or an integer to a negative power
        assume(False)
    assume(hasattr(before, "owner"))
    arrays = {}
    for v, shape in zip(variables.values(), shapes, strict=True):
        arrays[v] = np.asarray(np.random.default_rng(len(arrays)).integers(1, 4, shape)).astype(v.dtype)
    made = rewritten(before, rules=HERE)
    values = evaluate([node.outputs[0] for node in toposort([before])], arrays)
    intermediate = [1, *[np.max(np.abs(a), initial=1) for a in values]]
    assume(max(intermediate) < 1e6)  # so that cancellation stays small
    exactly = not before.type.is_continuous
    assert_same_values(before, arrays, HERE, 0 if exactly else 1e-3, 0 if exactly else 1e-5 * max(intermediate))
    assert made.type.dtype == before.type.dtype


# Growth

xs = [array("float64", f"x{k}", 3) for k in range(40)]
CHAINS = {
    "sum": lambda h, k: h + xs[k % 40],
    "sum of few": lambda h, k: h + xs[k % 5],
    "differences": lambda h, k: h - 2 * xs[k % 40],
    "product": lambda h, k: h * xs[k % 40],
    "product of few": lambda h, k: h * xs[k % 5] / xs[k % 3],
    "both": lambda h, k: h * xs[k % 7] + xs[k % 40],
    "constants": lambda h, k: h + (k + 1),
    "shared": lambda h, k: h + T.tanh(h) - xs[k % 3],
    "twice": lambda h, k: (h + xs[k % 40]) - h * xs[0],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_work_grows_in_proportion(chain):
    def work(length):
        out = reduce(CHAINS[chain], range(length), xs[0])
        graph = Graph(xs, [out])
        graph.nodes  # noqa: B018  (computed before counting)
        return calls(lambda: rewrite(graph, declared_in(canonical, terms, choices)))

    work(10)  # caches
    assert work(1000) <= 4.4 * work(250)


def test_long_sums_collect_what_is_near():
    out = reduce(lambda h, k: h + xs[k % 5], range(200), xs[0])
    (found,) = rewrite(Graph(xs, [out]), HERE).outputs
    assert count(found, "add") == 4
