"""Comparisons, logic, bounds and `switch`, as far as the graph decides them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.core.show import pp
from refgraph.ops.elementwise import isnan
from refgraph.ops.tensor import TensorType
from refgraph.rewrite import canonical, choices
from tests.rewrite.forms import assert_form, assert_same_values, declared_in

HERE = declared_in(canonical, choices)
TRUE, FALSE = np.bool_(True), np.bool_(False)


def array(dtype, name, *shape):
    return TensorType(dtype, shape)(name)


x, y, z, w = (array("float64", name, 3) for name in "xyzw")
X = array("float64", "X", 2, 3)
s = array("float64", "s")
u = array("float64", "u", None)
i, j = (array("int8", name, 3) for name in "ij")
n = array("uint8", "n", 3)
b, d, e = (array("bool", name, 3) for name in "bde")
length = u.shape[0]

BECOMES = [
    # comparisons
    (x < x, T.fill(x, FALSE)),
    (x > x, T.fill(x, FALSE)),
    (T.eq(i, i), T.fill(i, TRUE)),
    (T.neq(i, i), T.fill(i, FALSE)),
    (i <= i, T.fill(i, TRUE)),
    (i >= i, T.fill(i, TRUE)),
    (length >= 0, T.constant(TRUE)),
    (length < 0, T.constant(FALSE)),
    (0 <= length, T.constant(TRUE)),
    (T.eq(length, -1), T.constant(FALSE)),
    (T.neq(length, -1), T.constant(TRUE)),
    (length > -1, T.constant(TRUE)),
    (length + 1 > 0, T.constant(TRUE)),
    (T.maximum(length, 2) >= 2, T.constant(TRUE)),
    (T.eq(length, T.exp(u).shape[0]), T.constant(TRUE)),
    (length <= T.exp(u).shape[0], T.constant(TRUE)),
    (length < T.exp(u).shape[0], T.constant(FALSE)),
    (T.eq(b, True), b),
    (T.eq(b, False), ~b),
    (T.neq(b, 0), b),
    (T.neq(b, 1), ~b),
    (b > 0, b),
    (T.neq(T.cast(b, "float64"), 0), b),
    (T.eq(T.cast(b, "int8"), 1), b),
    (~T.eq(x, y), T.neq(x, y)),
    (~T.neq(x, y), T.eq(x, y)),
    (~(i < j), i >= j),
    (~(i <= j), i > j),
    # logic and bits
    (T.logical_and(b, d), b & d),
    (T.logical_or(b, d), b | d),
    (T.logical_xor(b, d), b ^ d),
    (T.logical_not(b), ~b),
    (T.logical_not(x), T.eq(x, 0)),
    (T.logical_and(x, x), T.neq(x, 0)),
    (T.logical_and(x, True), T.neq(x, 0)),
    (T.logical_and(x, False), T.fill(x, FALSE)),
    (T.logical_or(x, 2.5), T.fill(x, TRUE)),
    (T.logical_or(x, 0), T.neq(x, 0)),
    (T.logical_xor(x, 1), T.eq(x, 0)),
    (~~i, i),
    (b & True, b),
    (b & False, T.fill(b, FALSE)),
    (b | True, T.fill(b, TRUE)),
    (b | False, b),
    (b ^ True, ~b),
    (i & i, i),
    (i | i, i),
    (i ^ i, T.fill(i, np.int8(0))),
    (i & 0, T.fill(i, np.int8(0))),
    (i & -1, i),
    (i | 0, i),
    (i | -1, T.fill(i, np.int8(-1))),
    (i ^ 0, i),
    (i ^ -1, ~i),
    (n & 255, n),
    (n ^ 255, ~n),
    (i & (i | j), i),
    (i | (j & i), i),
    (i & ~i, T.fill(i, np.int8(0))),
    (b | ~b, T.fill(b, TRUE)),
    # bounds
    (T.maximum(x, x), x),
    (T.maximum(x, T.maximum(x, y)), T.maximum(x, y)),
    (T.minimum(T.minimum(x, y), y), T.minimum(x, y)),
    (T.maximum(x, -np.inf), x),
    (T.minimum(x, np.inf), x),
    (T.maximum(i, -128), i),
    (T.minimum(n, 255), n),
    (T.maximum(n, 0), n),
    (T.maximum(T.exp(x), 0), T.exp(x)),
    (T.maximum(abs(x), -1), abs(x)),
    (T.maximum(length, 0), length),
    (T.minimum(length, 0), T.constant(0)),
    (T.maximum(length + 1, 1), length + 1),
    (T.maximum(T.maximum(x, 1), 2), T.maximum(x, 2)),
    (T.minimum(T.minimum(x, 1), 2), T.minimum(x, 1)),
    (T.clip(x, -np.inf, np.inf), x),
    (T.clip(x, -np.inf, s), T.minimum(x, s)),
    (T.clip(x, s, np.inf), T.maximum(x, s)),
    (T.clip(i, -128, 5), T.minimum(i, 5)),
    # switch
    (T.switch(True, x, y), x),
    (T.switch(0, x, y), y),
    (T.switch(1, x, X), T.fill(X, x)),
    (T.switch(b, x, x), x),
    (T.switch(b, True, False), b),
    (T.switch(b, False, True), ~b),
    (T.switch(~b, x, y), T.switch(b, y, x)),
    (T.switch(T.eq(x, 0), y, z), T.switch(x, z, y)),
    (T.switch(T.neq(x, 0), y, z), T.switch(x, y, z)),
    (T.switch(b, T.switch(b, x, y), z), T.switch(b, x, z)),
    (T.switch(b, x, T.switch(b, y, z)), T.switch(b, x, z)),
    (T.switch(b, 1.0, 0.0) * 2, T.switch(b, 2.0, 0.0)),
    (T.exp(T.switch(b, 0.0, 1.0)), T.switch(b, 1.0, np.exp(1.0))),
    (T.switch(b, x, 0.0) + T.switch(b, y, 0.0), T.switch(b, x + y, 0.0)),
    (T.switch(b, 1.0, x) * T.switch(b, 2.0, y), T.switch(b, 2.0, x * y)),
    (T.switch(b, 0, x) * y, T.switch(b, 0, x * y)),
    (y * T.switch(b, x, 0), T.switch(b, y * x, 0)),
    (T.switch(b, 0, x) / y, T.switch(b, 0, x / y)),
]


@pytest.mark.parametrize(("before", "after"), BECOMES, ids=[pp(before) for before, _ in BECOMES])
def test_form(before, after):
    assert_form(before, after, rules=HERE)


STAYS = [
    T.eq(x, x),  # false for NaN
    T.neq(x, x),
    x <= x,
    length > 0,
    T.eq(length, 0),
    length - 1 >= 0,
    ~(x < y),  # true for NaN
    T.logical_and(x, y),
    x[0] >= 0,
    i & 3,
    n & 127,
    T.maximum(x, y),
    T.maximum(x, 0),
    T.maximum(T.exp(x), 1),
    T.maximum(T.minimum(x, 1), 0),
    T.fmax(x, -np.inf),  # which is not NaN
    T.clip(x, 0, 1),
    T.switch(b, x, y),
    T.switch(b, T.switch(d, x, y), z),
    T.switch(b, x, y) + T.switch(b, z, w),  # as much work either way
    T.switch(b, x, 0) + T.switch(d, y, 0),
    T.switch(b, x, 0.0) + y,
    T.switch(b, 1, x) * y,
    x / T.switch(b, 0.0, y),
    T.switch(b, s, 0.0) * X,  # of the larger array all would be chosen
]


@pytest.mark.parametrize("expression", STAYS, ids=[pp(e) for e in STAYS])
def test_what_is_not_decided_stays(expression):
    assert_form(expression, expression, rules=HERE)


def test_what_others_read_is_not_computed_again():
    chosen = T.switch(b, 0, x)
    assert_form([chosen, chosen * y], [chosen, chosen * y], rules=HERE)
    bounded = T.maximum(x, 1)
    assert_form([bounded, T.maximum(bounded, 2)], [bounded, T.maximum(bounded, 2)], rules=HERE)


# Expressions made by chance

LOGIC = [
    "and",
    "or",
    "xor",
    "logical_and",
    "logical_or",
    "logical_xor",
    "max",
    "min",
    "eq",
    "neq",
    "lt",
    "le",
    "gt",
    "ge",
]
UNARY = ["invert", "not", "bool", "abs"]
OPS = {
    "and": T.bitwise_and,
    "or": T.bitwise_or,
    "xor": T.bitwise_xor,
    "max": T.maximum,
    "min": T.minimum,
    "invert": T.invert,
    "not": T.logical_not,
    "bool": lambda p: T.neq(p, 0),
    "abs": T.abs_,
    "switch": T.switch,
    "clip": T.clip,
    "mul": T.mul,
    **{name: getattr(T, name) for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: getattr(T, name) for name in ("eq", "neq", "lt", "le", "gt", "ge")},
}
NUMBERS = st.sampled_from([0, 1, -1, 2, True, False])


def extended(inner):
    operand = inner | inner | NUMBERS
    return (
        st.tuples(st.sampled_from(LOGIC), inner, operand)
        | st.tuples(st.sampled_from(UNARY), inner)
        | st.tuples(st.just("switch"), inner, operand, operand)
        | st.tuples(st.just("clip"), inner, operand, operand)
        | st.tuples(st.just("mul"), inner, inner)
    )


def built(tree, variables):
    if isinstance(tree, tuple):
        return OPS[tree[0]](*[built(part, variables) for part in tree[1:]])
    return variables[tree] if isinstance(tree, str) else tree


@settings(max_examples=400, deadline=None)
@given(
    st.recursive(st.sampled_from("xyz"), extended, max_leaves=10),
    st.lists(st.sampled_from(["bool", "int8", "uint8", "float64"]), min_size=3, max_size=3),
    st.lists(st.sampled_from([(6,), (6,), (), (1,), (2, 6)]), min_size=3, max_size=3),
)
def test_values_stay(tree, dtypes, shapes):
    """Of any dtypes and shapes, NaN and infinities among the numbers."""
    variables, arrays = {}, {}
    for name, dtype, shape in zip("xyz", dtypes, shapes, strict=True):
        variables[name] = v = array(dtype, name, *[None] * len(shape))
        special = [0, 1, 2, 255 if dtype == "uint8" else -1, *([np.nan, np.inf] if dtype == "float64" else [127, 3])]
        arrays[v] = np.asarray(np.random.default_rng(len(arrays)).choice(special, shape)).astype(dtype)
    try:
        before = built(tree, variables)
    except Exception:  # no meaning for floats, or no room for a number
        assume(False)
    assume(hasattr(before, "owner"))
    assert_same_values(before, arrays, HERE)
    if before.type.is_continuous:
        assert_same_values(isnan(before), arrays, [r for r in HERE if r.name != "product_of_switch"])


def test_switch_in_switch_keeps_the_shape_that_what_is_not_chosen_gives():
    c, p, q = TensorType("int8", (None, 1))("c"), T.dmatrix("p"), T.dmatrix("q")
    given = {c: np.array([[1], [0]], "int8"), p: np.ones((2, 1)), q: np.ones((1, 3))}
    assert_same_values([T.switch(c, p, T.switch(c, q, 2)), T.switch(c, T.switch(c, p, q), 2)], given, HERE)
