"""The table as its users see it: conventions at ties and boundaries, dtypes, complex derivatives, errors."""

import math

import numpy as np
import pytest

import refgraph.ops.elementwise as E
from refgraph.autodiff.reverse import grad
from refgraph.core.errors import DTypeError, GraphTypeError, NullTypeGradError
from refgraph.core.op import OPS, Sample
from refgraph.core.show import pp
from refgraph.interp.evaluate import evaluate
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import DTYPES, TensorType, as_tensor
from refgraph.testing import checks

ROWS = {name: op for name, op in OPS.items() if isinstance(op, Elemwise)}
REAL = [d for d in DTYPES if not d.startswith("complex")]


def vector(dtype="float64", name=None):
    return TensorType(dtype, (None,))(name)


def value(out, given=()):
    return evaluate([out], dict(given))[0]


def gradient(build, *arrays, wrt=0):
    """The gradient of the sum of what `build` makes of vectors with these values."""
    xs = [vector(np.asarray(a).dtype.name) for a in arrays]
    g = grad(build(*xs).sum(), xs[wrt])
    return value(g, zip(xs, map(np.asarray, arrays), strict=True))


# --- derivatives at ties and boundaries: what Theano 1.0.5 answered, or a limit ---------------------------------------

INF, NAN = math.inf, math.nan
CONVENTIONS = [
    # build, points, the derivative there
    ("abs", abs, [0.0, 1.0, -1.0], [0.0, 1.0, -1.0]),
    ("sqrt", E.sqrt, [0.0, 1.0], [INF, 0.5]),
    ("power 2", lambda x: x**2, [0.0, 1.0, -3.0], [0.0, 2.0, -6.0]),
    ("power 1", lambda x: x**1, [0.0, -3.0], [1.0, 1.0]),
    ("power 0", lambda x: x**0, [0.0, -3.0], [0.0, 0.0]),
    ("power of a base below 0", lambda x: x**3.0, [-2.0], [12.0]),
    ("power of a variable exponent", lambda x: x ** (x * 0 + 0.0), [0.0, 2.0], [0.0, 0.0]),
    ("maximum", lambda x: E.maximum(x, 0.0), [1.0, 0.0, -1.0], [1.0, 1.0, 0.0]),
    ("minimum", lambda x: E.minimum(x, 0.0), [1.0, 0.0, -1.0], [0.0, 1.0, 1.0]),
    ("maximum of a number and x", lambda x: E.maximum(0.0, x), [1.0, 0.0, -1.0], [1.0, 0.0, 0.0]),
    ("clip", lambda x: E.clip(x, 0.0, 1.0), [0.0, 0.5, 1.0, 2.0, -1.0], [1.0, 1.0, 1.0, 0.0, 0.0]),
    ("round", E.round, [0.5, 1.2], [0.0, 0.0]),
    ("floor", E.floor, [1.0, 1.2], [0.0, 0.0]),
    ("sign", E.sign, [0.0, 1.2], [0.0, 0.0]),
    ("mod", lambda x: x % 2, [-0.5, 3.0], [1.0, 1.0]),
    ("switch", lambda x: E.switch(x > 0, x, 2 * x), [1.0, -1.0], [1.0, 2.0]),
    ("no infinity through what switch drops", lambda x: E.sqrt(E.switch(x > 0, x, 0)), [-1.0, 4.0], [0.0, 0.25]),
    ("no infinity through what maximum drops", lambda x: E.sqrt(E.maximum(x, 0.0)), [-1.0, 4.0], [0.0, 0.25]),
    ("through an integer", lambda x: E.cast(E.cast(x, "int64"), "float64"), [1.5], [0.0]),
    ("hypot at the origin", lambda x: E.hypot(x, 0.0), [0.0, -2.0], [0.0, -1.0]),
    ("sinc at 0", E.sinc, [0.0, 0.5], [0.0, -4 / math.pi]),
    ("hypot at infinity", lambda x: E.hypot(x, 3.0), [INF, -INF], [1.0, -1.0]),
    ("hypot beside infinity", lambda x: E.hypot(x, INF), [2.0, INF, -INF], [0.0, math.sqrt(0.5), -math.sqrt(0.5)]),
    ("logaddexp at infinity", lambda x: E.logaddexp(x, INF), [INF, -INF, 0.0], [0.5, 0.0, 0.0]),
    ("logaddexp at -infinity", lambda x: E.logaddexp(x, -INF), [INF, -INF, 0.0], [1.0, 0.5, 1.0]),
    ("logaddexp2 at infinity", lambda x: E.logaddexp2(INF, x), [INF, -INF, 0.0], [0.5, 0.0, 0.0]),
    ("xlogy of 0", lambda x: E.xlogy(0.0, x), [0.0, 2.0], [0.0, 0.0]),
    ("xlogy at 0", lambda x: E.xlogy(1.0, x), [0.0, 2.0], [INF, 0.5]),
    ("logaddexp far apart", lambda x: E.logaddexp(x, 0.0), [INF, -INF, 1000.0, 0.0], [1.0, 0.0, 1.0, 0.5]),
    ("softplus far out", E.softplus, [-800.0, 0.0, 800.0], [0.0, 0.5, 1.0]),
    ("xlogx", E.xlogx, [1.0, math.e], [1.0, 2.0]),
    ("fmax beside NaN", lambda x: E.fmax(x, NAN), [1.0], [1.0]),
]


@pytest.mark.parametrize(("build", "at", "want"), [c[1:] for c in CONVENTIONS], ids=[c[0] for c in CONVENTIONS])
def test_derivative_at_ties_and_boundaries(build, at, want):
    np.testing.assert_allclose(gradient(build, np.array(at)), want, rtol=1e-14, atol=0)


@pytest.mark.parametrize("op", [E.logaddexp, E.logaddexp2, E.hypot, E.xlogy], ids=lambda op: op.name)
def test_values_at_infinities_and_zeros_are_those_of_the_ufunc(op):
    x, y = (a.ravel() for a in np.meshgrid([INF, -INF, 0.0, 1.0, NAN], [INF, -INF, 0.0, 1.0, NAN]))
    a, b = vector(), vector()
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(value(op(a, b), {a: x, b: y}), op.impl(x, y))


@pytest.mark.parametrize("op", [E.logaddexp, E.logaddexp2, E.hypot], ids=lambda op: op.name)
def test_second_derivatives_are_zero_at_infinities(op):
    x, y = np.array([INF, INF, -INF, 1.0, INF]), np.array([INF, -INF, -INF, INF, 1.0])
    np.testing.assert_array_equal(gradient(lambda a, b: grad(op(a, b).sum(), a), x, y), 0)


def test_second_derivatives_of_logaddexp_are_right_at_ties():
    tie = np.array([0.0, 3.0])
    np.testing.assert_allclose(gradient(lambda a, b: grad(E.logaddexp(a, b).sum(), a), tie, tie), 0.25)


def test_at_ties_all_of_the_gradient_goes_to_the_first():
    tie = np.array([1.0])
    for op in (E.maximum, E.minimum, E.fmax, E.fmin):
        assert gradient(op, tie, tie, wrt=0) == 1
        assert gradient(op, tie, tie, wrt=1) == 0


def test_gradient_of_clip_by_its_bounds():
    x, low, high = np.array([-1.0, 0.5, 2.0, 0.5]), np.array([0.0, 0.0, 0.0, 3.0]), np.array([1.0, 1.0, 1.0, 2.0])
    by_each = [gradient(E.clip, x, low, high, wrt=i) for i in range(3)]
    np.testing.assert_array_equal(by_each, [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]])


def test_gradient_of_mod_by_the_modulus():
    np.testing.assert_array_equal(gradient(E.mod, np.array([7.0, -7.0]), np.array([3.0, 3.0]), wrt=1), [-2, 3])
    np.testing.assert_array_equal(gradient(E.fmod, np.array([7.0, -7.0]), np.array([3.0, 3.0]), wrt=1), [-2, 2])


def test_gradient_of_a_power_by_its_exponent():
    got = gradient(E.pow, np.array([2.0, 0.0, 0.0]), np.array([3.0, 2.0, 0.0]), wrt=1)
    np.testing.assert_allclose(got, [8 * math.log(2), 0, 0], rtol=1e-15)


def test_the_exponents_side_is_not_built_when_nobody_asks():
    assert np.isfinite(gradient(lambda x: x ** as_tensor(np.array([2.0])), np.array([-3.0]))).all()
    x = TensorType("float64", ())("x")
    assert "log" not in pp(grad(x**2.5, x))


def test_gradient_of_a_power_prints_as_in_theanos_tutorial():
    x = TensorType("float64", ())("x")
    assert pp(grad(x**2, x)) == "((fill((x ** 2), 1.0) * 2) * (x ** (2 - 1)))"


def test_sinc_is_smooth_at_0():
    x = TensorType("float64", ())("x")
    first = grad(E.sinc(x), x)
    second = grad(first, x)
    np.testing.assert_allclose(value(second, {x: np.array(0.0)}), -(math.pi**2) / 3, rtol=1e-14)
    np.testing.assert_allclose(value(grad(second, x), {x: np.array(0.0)}), 0, atol=1e-14)


# --- derivatives that the generated cases cannot reach: inputs of different dtypes ------------------------------------

_X = np.array([0.7, 1.3, 2.9, 5.2])
_N = np.array([0, 1, 2, 3])
MIXED = [
    Sample("polygamma", E.polygamma, (_N, _X)),
    Sample("spherical_jn", E.spherical_jn, (_N, _X)),
    Sample("ldexp", E.ldexp, (_X, _N)),
    Sample("jv of whole order", E.jv, (_N, _X)),
    Sample("pow int exponent", E.pow, (_X, _N)),
    Sample("mod", E.mod, (np.array([-0.5, 3.3, -7.2, 8.9]), np.array([3.0, -2.0, 2.5, -4.0]))),
    Sample("fmod", E.fmod, (np.array([-0.5, 3.3, -7.2, 8.9]), np.array([3.0, -2.0, 2.5, -4.0]))),
    Sample("pow below 0", lambda x: x**-2, (np.array([-1.5, 2.0]),)),
    Sample("complex times real", lambda x, y: abs(x * y) ** 2, (_X + 1j * _X[::-1], _X)),
    Sample("real power of complex", lambda x, y: E.real(x**y), (_X + 0.5j, _X)),
    Sample("switch", E.switch, (_N > 1, _X, _X[::-1].copy()), differentiable=(1, 2)),
    Sample("cast to complex", lambda x: abs(E.cast(x, "complex128") * (1 + 2j)), (_X,)),
    Sample("nan_to_num", E.nan_to_num, (_X,)),
    Sample("largest", lambda x, y: E.largest(x, y, 2.0), (_X, _X[::-1].copy())),
]


@pytest.mark.parametrize("sample", MIXED, ids=[s.id for s in MIXED])
def test_derivatives_of_mixed_dtypes(sample):
    checks.check_value(sample, known=False)
    checks.check_cotangent_types(sample)
    checks.check_transposes(sample)
    checks.check_differences(sample)
    checks.check_second_order(sample)


def test_only_these_derivatives_are_not_written():
    unwritten = {(name, i) for name, op in ROWS.items() for i, d in enumerate(op.d) if d is None}
    by_parameter = {"gammainc", "gammaincc", "gammal", "gammau", "gammaincinv", "gammainccinv", "betainc", "betaincinv"}
    by_order = {"polygamma", "jv", "yv", "iv", "kv", "ive", "kve", "spherical_jn"}
    assert unwritten == {(n, 0) for n in by_parameter | by_order} | {("betainc", 1), ("betaincinv", 1), ("chi2sf", 1)}


def test_an_unwritten_derivative_says_so():
    a = vector(name="a")
    with pytest.raises(NullTypeGradError, match="gammainc by its input 0"):
        grad(E.gammainc(a, 1.0).sum(), a)


# --- complex numbers: the gradient of z is dC/d(re z) + i dC/d(im z) --------------------------------------------------

Z, W = np.array([3 + 4j, -1 + 2j, 0.5 - 0.5j]), np.array([1 - 2j, 0.3 + 1j, -2 + 0j])
HOLDS = [
    ("|z|", lambda z, w: abs(z), Z / abs(Z)),
    ("|z|^2", lambda z, w: abs(z) ** 2, 2 * Z),
    ("Re z", lambda z, w: E.real(z), np.ones(3)),
    ("Im z", lambda z, w: E.imag(z), 1j * np.ones(3)),
    ("Re zw", lambda z, w: E.real(z * w), W.conj()),
    ("Re conj(z) w", lambda z, w: E.real(E.conj(z) * w), W),
    ("angle", lambda z, w: E.angle(z), 1j * Z / abs(Z) ** 2),
    ("Re z^2 / w", lambda z, w: E.real(z * z / w), (2 * Z / W).conj()),
]


@pytest.mark.parametrize(("build", "want"), [h[1:] for h in HOLDS], ids=[h[0] for h in HOLDS])
def test_complex_gradient(build, want):
    got = gradient(build, Z, W)
    assert got.dtype == "complex128"
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_gradient_of_a_real_variable_through_complex_numbers_is_real():
    got = gradient(lambda r, i: abs(E.complex(r, i)), Z.real.copy(), Z.imag.copy())
    assert got.dtype == "float64"
    np.testing.assert_allclose(got, Z.real / abs(Z), rtol=1e-15)


def test_gradient_of_abs_at_complex_zero_is_zero():
    assert gradient(abs, np.array([0j]))[0] == 0


def test_parts_of_real_variables():
    x = vector()
    assert E.real(x) is x
    assert E.conj(x) is x
    np.testing.assert_array_equal(value(E.imag(x), {x: np.array([1.0, 2.0])}), [0, 0])


# --- dtypes ----------------------------------------------------------------------------------------------------------

BINARY = [op for op in ROWS.values() if op.arity == 2 and isinstance(op.meaning, np.ufunc)]


@pytest.mark.parametrize("op", BINARY, ids=[op.name for op in BINARY])
def test_dtypes_of_all_pairs_are_numpys(op):
    """The inferred dtype is what the ufunc gives arrays of those dtypes; what it refuses, we refuse."""
    for a in DTYPES:
        for b in DTYPES:
            x, y = np.ones(1, a), np.ones(1, b)
            try:
                with np.errstate(all="ignore"):
                    want = op.meaning(x, y).dtype.name
            except TypeError:
                with pytest.raises(DTypeError, match=op.name):
                    op(vector(a), vector(b))
            else:
                assert op(vector(a), vector(b)).dtype == want, (a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [True, 2, 0.5, 1 + 2j], ids=["bool", "int", "float", "complex"])
def test_python_numbers_are_weak(dtype, number):
    """NEP 50: a Python number takes its neighbour's dtype, of the next kind when that holds no such numbers."""
    x, array = vector(dtype), np.ones(1, dtype)
    assert (x * number).dtype == (array * number).dtype.name
    assert (number * x).dtype == (number * array).dtype.name
    assert E.switch(vector("float64") > 0, x, number).dtype == np.result_type(array, number).name


def test_numpy_scalars_and_arrays_are_strong():
    x = vector("float32")
    assert (x * np.float64(2)).dtype == "float64"
    assert (x * np.float32(2)).dtype == "float32"
    assert (x * np.array(2.0)).dtype == "float64"
    assert (x * [1.0, 2.0]).dtype == "float64"


def test_the_condition_of_a_switch_has_no_say_in_dtypes():
    assert E.switch(vector("float64"), vector("float32"), 0).dtype == "float32"
    assert E.switch(vector("complex128"), vector("int8"), 1).dtype == "int8"
    assert E.switch(vector("bool"), 1.0, 0).dtype == "float64"


BEYOND = {
    "true_div": (lambda m, x: x / 256, "uint8 int8 uint64"),
    "true_div from the left": (lambda m, x: 2**70 / x, "bool uint8 int64"),
    "true_div by much": (lambda m, x: x / 2**63, "bool int8"),
    "arctan2": (lambda m, x: m.arctan2(x, 300), "uint8 int8"),
    "arctan2 of much": (lambda m, x: m.arctan2(x, 2**40), "int16 int32"),
    "logaddexp": (lambda m, x: m.logaddexp(300, x), "uint8 int8"),
    "hypot": (lambda m, x: m.hypot(x, 300), "uint8 int8"),
    "copysign": (lambda m, x: m.copysign(x, -300), "int8"),
    "float_power": (lambda m, x: m.float_power(x, 300), "uint8"),
    "ldexp": (lambda m, x: m.ldexp(x, 300), "int8"),
}


@pytest.mark.parametrize(
    ("build", "dtype"), [(build, d) for build, dtypes in BEYOND.values() for d in dtypes.split()], ids=str
)
def test_a_number_beyond_the_dtype_is_taken_where_the_ufunc_computes_in_another(build, dtype):
    array, x = np.ones(2, dtype), vector(dtype)
    with np.errstate(all="ignore"):
        want = build(np, array)
    assert build(E, x).dtype == want.dtype
    np.testing.assert_array_equal(value(build(E, x), {x: array}), want, strict=True)


@pytest.mark.parametrize(
    "build",
    [lambda x: x + 256, lambda x: x // 256, lambda x: x**256, lambda x: E.minimum(x, 256), lambda x: x / 10**400],
)
def test_a_number_beyond_the_dtype_is_refused_where_numpy_refuses_it(build):
    with pytest.raises(DTypeError, match="does not fit into"):
        build(vector("uint8"))


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(DTypeError, match="300 does not fit into int8"):
        vector("int8") + 300


@pytest.mark.parametrize("number", [-1, 300, 2**63, 2**64, -(2**70), 10**400, -(10**400)])
@pytest.mark.parametrize("op", [E.eq, E.neq, E.lt, E.le, E.gt, E.ge], ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "uint64"])
def test_comparison_with_a_number_beyond_the_dtype(dtype, op, number):
    x = vector(dtype)
    info = np.iinfo(dtype)
    array = np.array([info.min, 0, info.max], dtype)
    python = {"eq": "__eq__", "neq": "__ne__", "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}[op.name]
    assert value(op(x, number), {x: array}).tolist() == [getattr(int(a), python)(number) for a in array]


def test_a_dtype_without_meaning_says_what_is_accepted():
    with pytest.raises(DTypeError, match="bitwise_and has no meaning for float64 and int8") as caught:
        E.bitwise_and(vector("float64"), vector("int8"))
    assert "bool, int, uint" in caught.value.help


def test_wrong_number_of_inputs():
    with pytest.raises(GraphTypeError, match="exp takes 1 input, got 2"):
        E.exp(vector(), vector())
    with pytest.raises(GraphTypeError, match="sub takes 2 inputs, got 3"):
        E.sub(vector(), vector(), vector())


def test_add_and_mul_take_any_number_of_inputs():
    x = vector()
    given = {x: np.array([2.0, 3.0])}
    np.testing.assert_array_equal(value(E.add(x, x, 1.0, x), given), [7, 10])
    np.testing.assert_array_equal(value(E.mul(x, x, x), given), [8, 27])
    assert E.add(x) is x


# --- casts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_cast_to_its_own_dtype_is_the_variable_itself(dtype):
    x = vector(dtype)
    assert E.cast(x, dtype) is x
    assert E.cast(x, np.dtype(dtype)) is x


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_cast(source, target):
    x, array = vector(source), np.array([0, 1, 3]).astype(source)
    if source.startswith("complex") and not target.startswith("complex") and target != "bool":
        with pytest.raises(DTypeError, match="cannot become") as caught:
            E.cast(x, target)
        assert "T.real" in caught.value.help
    else:
        np.testing.assert_array_equal(value(E.cast(x, target), {x: array}), array.astype(target), strict=True)


def test_cast_by_other_names():
    assert E.cast(vector("int8"), "floatX").dtype == "float64"
    assert E.cast(vector("int8"), np.float32).dtype == "float32"
    with pytest.raises(DTypeError, match="no dtype"):
        E.cast(vector(), "float31")


def test_the_gradient_of_a_cast_is_cast_back():
    got = gradient(lambda x: E.cast(x, "float32") * 3, np.array([1.0, 2.0]))
    assert got.dtype == "float64"
    np.testing.assert_array_equal(got, [3, 3])


# --- combinations ----------------------------------------------------------------------------------------------------

SPECIAL = np.array([0.0, -0.0, 1.0, 1 + 1e-6, 1.1, -2.5, 0.5, 1e308, math.inf, -math.inf, math.nan])


@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose_is_numpys(equal_nan):
    a, b = [m.ravel() for m in np.meshgrid(SPECIAL, SPECIAL)]
    x, y = vector(), vector()
    given = {x: a, y: b}
    with np.errstate(all="ignore"):
        want = np.isclose(a, b, equal_nan=equal_nan)
        np.testing.assert_array_equal(value(E.isclose(x, y, equal_nan=equal_nan), given), want)
        np.testing.assert_array_equal(value(E.isclose(x, y, 0.5, 2.0), given), np.isclose(a, b, 0.5, 2.0))
        assert value(E.allclose(x, y), given) == np.allclose(a, b)
        assert value(E.allclose(x, x, equal_nan=True), given)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_isclose_of_integers(dtype):
    x = vector(dtype)
    array = np.array([0, 1, 1]).astype(dtype)
    np.testing.assert_array_equal(value(E.isclose(x, x + True), {x: array}), np.isclose(array, array + True))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int8"])
def test_nan_to_num_is_numpys(dtype):
    x = vector(dtype)
    with np.errstate(all="ignore"):
        array = np.nan_to_num(SPECIAL).clip(-9, 9).astype(dtype) if dtype == "int8" else SPECIAL.astype(dtype)
    np.testing.assert_array_equal(value(E.nan_to_num(x), {x: array}), np.nan_to_num(array), strict=True)
    got = value(E.nan_to_num(x, 1.0, 2.0, 3.0), {x: array})
    np.testing.assert_array_equal(got, np.nan_to_num(array, True, 1.0, 2.0, 3.0), strict=True)


@pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "complex128"])
def test_round_is_numpys(dtype, decimals):
    x, array = vector(dtype), (np.array([-1234.5678, -2.5, -0.5, 0.5, 1.5, 2.675, 15, 25, 1234.5678]) * 1).astype(dtype)
    got = value(E.round(x, decimals), {x: array})
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.round(array, decimals), rtol=1e-6 if dtype == "float32" else 1e-15)


def test_round_half_away_from_zero():
    x, array = vector(), np.array([-2.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994])
    np.testing.assert_array_equal(value(E.round(x, mode="half_away_from_zero"), {x: array}), [-3, -1, 1, 2, 3, 0])
    np.testing.assert_array_equal(value(E.round(x, mode="half_to_even"), {x: array}), [-2, 0, 0, 2, 2, 0])
    got = value(E.iround(x, "half_away_from_zero"), {x: array})
    np.testing.assert_array_equal(got, np.array([-3, -1, 1, 2, 3, 0]), strict=True)
    with pytest.raises(GraphTypeError, match="no mode 'up'"):
        E.round(x, mode="up")


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int8", "bool"])
def test_clip_is_the_minimum_of_a_maximum(dtype):
    special = [INF, -INF, NAN, 0.0, -1.0, 2.0] if dtype[0] in "fc" else [0, 1]
    arrays = [a.ravel().astype(dtype) for a in np.meshgrid(special, special, special)]
    xs = [vector(dtype) for _ in arrays]
    got = value(E.clip(*xs), zip(xs, arrays, strict=True))
    np.testing.assert_array_equal(got, np.minimum(np.maximum(arrays[0], arrays[1]), arrays[2]), strict=True)


def test_clip_with_one_bound_or_none():
    x, array = vector(), np.array([-2.0, 0.5, 2.0, math.nan])
    np.testing.assert_array_equal(value(E.clip(x, None, 1), {x: array}), [-2, 0.5, 1, math.nan])
    np.testing.assert_array_equal(value(E.clip(x, 0), {x: array}), [0, 0.5, 2, math.nan])
    assert E.clip(x) is x


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_clip_by_numbers_beyond_the_dtype(dtype):
    x = vector(dtype)
    array = np.arange(-100, 100).astype(dtype)
    got = value(E.clip(x, -1000, 1000), {x: array})
    np.testing.assert_array_equal(got, array, strict=True)
    np.testing.assert_array_equal(value(E.clip(x, -1000, 5), {x: array}), array.clip(None, 5), strict=True)


def test_pairs():
    x, array = vector(), np.array([-7.25, -0.5, 0.0, 3.0, 10.75])
    for ours, numpys in ((E.modf, np.modf), (E.frexp, np.frexp), (lambda x: E.divmod(x, 3), lambda a: np.divmod(a, 3))):
        got = evaluate(ours(x), {x: array})
        for g, w in zip(got, numpys(array), strict=True):
            np.testing.assert_array_equal(g, w, strict=True)


def test_ceil_intdiv():
    x, array = vector("int64"), np.arange(-7, 8)
    want = [math.ceil(a / 3) for a in array.tolist()]
    np.testing.assert_array_equal(value(E.ceil_intdiv(x, 3), {x: array}), want, strict=False)


def test_largest_and_smallest():
    x, y = vector(), vector()
    given = {x: np.array([1.0, 5.0, 3.0]), y: np.array([4.0, 2.0, 3.0])}
    np.testing.assert_array_equal(value(E.largest(x, y, 3.5), given), [4, 5, 3.5])
    np.testing.assert_array_equal(value(E.smallest(x, y, 3.5), given), [1, 2, 3])
    assert E.largest(x) is x


def test_name_and_dtype_of_a_result():
    x = vector(name="x")
    y = E.exp(x, name="y", dtype="float32")
    assert (y.name, y.dtype) == ("y", "float32")
    copy = x.copy(name="again")
    assert (x.name, copy.name) == ("x", "again")


# --- the rows themselves ---------------------------------------------------------------------------------------------

STABLE = [(op, i) for op in ROWS.values() for i in range(len(op.stable_for))]


@pytest.mark.parametrize(("op", "i"), STABLE, ids=[f"{op.name}-{i}" for op, i in STABLE])
def test_a_stable_form_is_what_it_replaces(op, i):
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(max(r.low, -6), min(r.high, 6), 50) for r in op.on]
    xs = [vector() for _ in arrays]
    got, naive = evaluate([op(*xs), op.stable_for[i](*xs)], dict(zip(xs, arrays, strict=True)))
    np.testing.assert_allclose(got, naive, rtol=1e-9)


@pytest.mark.parametrize("op", ROWS.values(), ids=list(ROWS))
def test_a_row_draws_only_kinds_that_it_accepts(op):
    for kind, dtype in zip("biufc", ("bool", "int64", "uint64", "float64", "complex128"), strict=True):
        if all(kind in r.kinds for r in op.on):
            assert op(*[vector(dtype) for _ in op.on]).type.ndim == 1


@pytest.mark.parametrize("op", [op for op in ROWS.values() if op.c], ids=[op.name for op in ROWS.values() if op.c])
def test_a_c_expression_names_each_input_it_reads(op):
    """Inputs are x, y, w; a constant's cotangent may ignore one, but no other name is there."""
    text = op.c.format(**dict(zip("xyw", ("<x>", "<y>", "<w>"), strict=True)))
    used = {name for name in "xyw" if f"<{name}>" in text}
    assert used <= set("xyw"[: op.arity])
    assert used == set("xyw"[: op.arity]) or op is E.fill


def test_the_tables_names_are_all_ops():
    public = {name: v for name, v in vars(E).items() if not name.startswith(("_", "@"))}
    strangers = {n for n, v in public.items() if not isinstance(v, Elemwise) and v.__module__ != E.__name__}
    assert strangers == set()


@pytest.mark.parametrize("dtype", REAL)
def test_a_variable_of_any_real_dtype_may_be_differentiated_by(dtype):
    """The gradient by an integer is a float, as in Theano."""
    got = gradient(lambda x: E.cast(x * 1.0, "float64") * 3, np.array([1]).astype(dtype))
    assert got.dtype.kind == "f"
    assert got[0] == 3
