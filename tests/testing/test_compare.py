"""The measure of conformance is itself measured: distances, what is said of them, and how far they may be."""

import numpy as np
import pytest

from refgraph.core.errors import RefgraphError
from refgraph.core.op import OPS, Op, Sample
from refgraph.ops.families import Elemwise
from refgraph.testing.cases import name_of, symbols
from refgraph.testing.compare import (
    KINDS,
    assert_bits,
    assert_close,
    kind_of,
    largest,
    tolerance_for,
    ulp_distance,
    unit,
)

REALS = ("float16", "float32", "float64")
INF, NAN = np.inf, np.nan


# --- distances --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("x", [1.0, -1.5, 1000.0, 3e-5, 0.0])
def test_neighbours_are_one_ulp_apart(dtype, x):
    want = np.dtype(dtype).type(x)

    assert ulp_distance(np.nextafter(want, np.dtype(dtype).type(np.sign(x) * INF if x else INF)), want) == 1


def test_below_a_power_of_two_the_unit_is_that_of_the_wanted():
    assert ulp_distance(np.nextafter(1.0, 0.0), 1.0) == 0.5
    assert ulp_distance(1.0, np.nextafter(1.0, 0.0)) == 1


@pytest.mark.parametrize("dtype", REALS)
def test_denormals_are_counted_in_the_smallest_of_them(dtype):
    least = np.finfo(dtype).smallest_subnormal

    assert ulp_distance(3 * least, 5 * least) == 2
    assert ulp_distance(least, np.dtype(dtype).type(0)) == 1


@pytest.mark.parametrize(("dtype", "exponent"), [("float16", 5), ("float32", 104), ("float64", 971)])
def test_the_unit_beyond_the_largest_number_is_that_of_the_largest(dtype, exponent):
    greatest = float(np.finfo(dtype).max)

    np.testing.assert_array_equal(unit([greatest, -greatest, INF], dtype), 2.0**exponent)


@pytest.mark.parametrize(
    ("got", "want", "distance"),
    [
        (NAN, NAN, 0),
        (NAN, 1.0, INF),
        (1.0, NAN, INF),
        (INF, INF, 0),
        (-INF, INF, INF),
        (INF, 1e308, INF),
        (1e308, INF, INF),
        (NAN, INF, INF),
        (0.0, -0.0, 0),
        (1.7e308, -1.7e308, INF),
    ],
)
def test_values_that_are_no_numbers(got, want, distance):
    assert ulp_distance(got, want) == distance


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_taken_as_a_whole(dtype):
    eps = np.finfo(dtype).eps
    want = np.array([1 + 0j, 1e-30 + 1j], dtype)

    distance = ulp_distance(want + np.array([1j * eps, 2 * eps], dtype), want)

    np.testing.assert_allclose(distance, [1, 2])


@pytest.mark.parametrize(
    ("got", "want", "distance"),
    [
        (complex(NAN, 1), complex(NAN, 1), 0),
        (complex(INF, NAN), complex(INF, NAN), 0),
        (complex(INF, 1), complex(INF, 1 + 2**-52), 1),
        (complex(INF, 1), complex(INF, NAN), INF),
        (complex(INF, 0), complex(-INF, 0), INF),
    ],
)
def test_parts_that_are_no_numbers(got, want, distance):
    assert ulp_distance(got, want) == distance


@pytest.mark.parametrize(
    ("got", "want"),
    [(True, False), (3, 4), (np.uint64(2**63), np.uint64(2**63 + 1)), (np.int64(2**53), np.int64(2**53 + 1))],
)
def test_discrete_values_are_equal_or_infinitely_far(got, want):
    assert ulp_distance(got, want) == INF
    assert ulp_distance(want, want) == 0


def test_a_scale_sets_the_least_magnitude():
    assert ulp_distance(1e-20, 0.0, scale=1.0) == pytest.approx(1e-20 / 2**-52)
    assert ulp_distance(8 + 2**-49, 8.0, scale=1.0) == 1


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3)])
def test_distances_have_the_shape_of_the_arrays(shape):
    distance = ulp_distance(np.ones(shape, "float32"), np.ones(shape, "float32"))

    assert distance.shape == shape
    assert distance.dtype == "float64"


def test_strides_make_no_difference():
    x = np.arange(12.0).reshape(3, 4)

    assert not ulp_distance(x[::-1, ::2].T, x[::-1, ::2].copy().T).any()


def test_the_scale_of_an_array_is_its_largest_finite_magnitude_and_at_least_1():
    assert largest([0.5, -8.0, INF, NAN]) == 8
    assert largest([0.5]) == largest(np.zeros(0)) == largest(NAN) == 1
    assert largest(3 + 4j) == 5


# --- assert_close -----------------------------------------------------------------------------------------------------


def said(*args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        assert_close(*args, **kwargs)
    return str(caught.value)


def test_bits_are_equal_of_any_layout_and_the_first_that_differ_are_named():
    zeros = np.zeros((3, 4))
    assert_bits(np.asfortranarray(zeros), zeros)
    assert_bits(np.float32(NAN), np.float32(NAN))
    off = zeros.copy()
    off[1:, 2] = -0.0

    with pytest.raises(AssertionError, match=r"a: 2 of 12 elements have other bits, the first at \[1, 2\]: got -0.0"):
        assert_bits(off, zeros, "a")
    with pytest.raises(AssertionError, match=r"got float32\[3, 4\], want float64\[3, 4\]"):
        assert_bits(zeros.astype("f4"), zeros)


def test_many_bits_that_differ_are_told_of_at_once(monkeypatch):
    """pytest itself would look for their smallest difference, which takes it minutes, where it thinks it is in CI."""
    monkeypatch.setenv("CI", "true")
    rng = np.random.default_rng(0)

    with pytest.raises(AssertionError, match="100000 of 100000 elements have other bits"):
        assert_bits(rng.normal(size=100_000), rng.normal(size=100_000))


def test_what_is_within_the_bound_passes():
    assert_close(np.float32([1, 2]), np.float32([1, 2 + 2**-21]), ulp=2)
    assert_close([], [], ulp=0)
    assert_close(NAN, NAN, ulp=0)


def test_dtype_and_shape_have_to_be_equal():
    found = said(np.ones((3, 4), "float32"), np.ones((3, 4)), ulp=INF, note="exp")

    assert found == "exp: got float32[3, 4], want float64[3, 4]"
    assert said(np.ones(3), np.ones((1, 3)), ulp=INF) == "got float64[3], want float64[1, 3]"


def test_the_worst_element_is_named():
    want = np.float32([[1, 2], [4, 8]])
    got = want + np.float32([[0, 2**-20], [0, 2**-17]])

    assert said(got, want, ulp=2, note="exp") == (
        "exp: 2 of 4 elements are off, the worst at [1, 1]: got 8.000008, want 8.0, 8 ulp of float32 apart;"
        " the bound is 2 ulp"
    )


def test_a_scale_is_said():
    assert said(1.0, 2.0, ulp=2, scale=8.0).endswith("the bound is 2 ulp at magnitude 8 or above")


def test_a_lost_nan_is_off():
    assert "got 0.0, want nan, a number where NaN is wanted;" in said(np.zeros(2), np.array([0, NAN]), ulp=1e300)


@pytest.mark.parametrize(
    ("got", "want", "words"),
    [
        (NAN, 1.0, "NaN where a number is wanted"),
        (INF, 1.0, "infinity where a number is wanted"),
        (1.0, -INF, "a number where infinity is wanted"),
        (NAN, INF, "NaN where infinity is wanted"),
        (INF, NAN, "infinity where NaN is wanted"),
        (-INF, INF, "another infinity"),
        (complex(1, NAN), 1 + 0j, "NaN where a number is wanted"),
        (1 + 0j, complex(INF, 0), "a number where infinity is wanted"),
        (1e308, -1e308, "more ulp of float64 apart than can be counted"),
    ],
)
def test_what_no_number_of_ulp_says_is_said_in_words(got, want, words):
    message = said(np.array(got), np.array(want), ulp=0)
    assert f", {words};" in message
    assert "inf ulp" not in message


def test_a_wrong_integer_is_off():
    assert "at []: got 3, want 4, and int64 is exact;" in said(3, 4, ulp=1e300)


def test_signs_of_zeros_count_when_asked():
    got, want = np.array([0.0, 0.0, 1.0]), np.array([0.0, -0.0, 1.0])

    assert_close(got, want, ulp=0)
    assert said(got, want, ulp=0, signed_zeros=True) == (
        "1 of 3 elements are zeros of the other sign, the first at [1]: got 0.0, want -0.0"
    )
    assert "the first at []" in said(complex(0, 0.0), complex(0, -0.0), ulp=0, signed_zeros=True)


# --- kinds of ops -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(OPS))
def test_every_op_has_a_kind(name):
    kind = kind_of(OPS[name])

    assert kind in KINDS
    assert (kind == "compound") <= (not isinstance(OPS[name], Elemwise))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "exact") for name in ("maximum", "switch", "identity", "lt", "neg", "cast{float32}", "max", "argmax")),
        *((name, "exact") for name in ("Join", "Index", "Split", "Reshape", "Pad", "Sort", "Diagonal", "DimShuffle")),
        *((name, "elementwise") for name in ("add", "exp", "pow", "abs", "sigmoid", "arctan2", "sinc")),
        *((name, "special") for name in ("erf", "gamma", "polygamma", "jv", "xlogx", "gammal", "chi2sf")),
        *(
            (name, "compound")
            for name in ("sum", "norm", "MatMul", "CumSum", "Softmax", "IndexUpdate", "Scan", "Linspace")
        ),
    ],
)
def test_a_kind_follows_from_the_declaration(name, kind):
    assert kind_of(OPS[name]) == kind


def test_a_reduction_along_axes_is_of_the_kind_of_its_row():
    assert kind_of(OPS["max"](symbols([np.ones(3)])[0]).owner.op) == "exact"
    assert kind_of(OPS["sum"](symbols([np.ones(3)])[0]).owner.op) == "compound"


class _Halves(Op):
    """Moves most of its input: one sample tells."""

    name = "halves"

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return np.where(x > 2, x / 2, x)

    @classmethod
    def samples(cls):
        yield Sample("moved", cls(), (np.array([0.5, 1.5]),))
        yield Sample("computed", cls(), (np.array([0.5, 3.0]),))


class _Silent(_Halves):
    name = "silent"

    @classmethod
    def samples(cls):
        return iter(())


@pytest.mark.parametrize("op", [_Halves, _Silent], ids=name_of)
def test_what_does_not_show_that_it_only_moves_data_is_not_held_to_it(op):
    assert kind_of(op) == "compound"


# --- tolerances -------------------------------------------------------------------------------------------------------


def test_the_default_is_the_suites():
    assert tolerance_for({}, "exp", "float64", "elementwise") == (4, False, False)
    assert tolerance_for({"log": 8}, "exp", "float64", "elementwise") == (4, False, False)
    assert tolerance_for({}, "MatMul", "float32", "compound").normwise


def test_the_most_specific_key_counts():
    asked = {"*": 5, "*-float32": 6, "exp": 7, "exp-float32": 8}

    assert tolerance_for(asked, "exp", "float32", "elementwise").ulp == 8
    assert tolerance_for(asked, "exp", "float64", "elementwise").ulp == 7
    assert tolerance_for(asked, "log", "float32", "elementwise").ulp == 6
    assert tolerance_for(asked, "log", "float64", "elementwise").ulp == 5


def test_more_than_the_default_is_loosened_and_less_is_not():
    assert tolerance_for({"exp": 5}, "exp", "float64", "elementwise").loosened
    assert not tolerance_for({"exp": 1}, "exp", "float64", "elementwise").loosened
    assert tolerance_for({"exp": 1}, "exp", "float64", "elementwise").ulp == 1


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_discrete_dtypes_are_exact(dtype, kind):
    assert tolerance_for({"*": 4}, "op", dtype, kind) == (0, False, False)


def test_stars_do_not_loosen_what_moves_data():
    assert tolerance_for({"*": 4, "*-float32": 4}, "Index", "float32", "exact").ulp == 0


@pytest.mark.parametrize(
    ("key", "asked", "op", "dtype", "kind", "ceiling"),
    [
        ("exp", 65, "exp", "float64", "elementwise", "64"),
        ("*", 65, "exp", "float64", "elementwise", "64"),
        ("gamma-float64", 5000, "gamma", "float64", "special", "4096"),
        ("sum", 17, "sum", "float16", "compound", "16"),
        ("Index", 1, "Index", "float64", "exact", "0"),
        ("add-int64", 1, "add", "int64", "elementwise", "0"),
        ("exp", NAN, "exp", "float64", "elementwise", "64"),
        ("exp", -1, "exp", "float64", "elementwise", "64"),
    ],
)
def test_a_tolerance_that_is_not_accepted_is_refused(key, asked, op, dtype, kind, ceiling):
    with pytest.raises(RefgraphError) as caught:
        tolerance_for({key: asked}, op, dtype, kind)

    assert (
        caught.value.message
        == f"tolerances[{key!r}] = {asked}: for {op} in {dtype} the suite accepts 0 to {ceiling} ulp"
    )
    assert f"'{op}-{dtype}'" in caught.value.help


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("dtype", [*REALS, "complex64", "complex128"])
def test_no_default_is_above_the_ceiling(kind, dtype):
    default = tolerance_for({}, "op", dtype, kind).ulp

    assert tolerance_for({f"op-{dtype}": default}, "op", dtype, kind).ulp == default


def test_normwise_a_small_element_may_be_off_by_the_rounding_of_the_largest():
    want, normwise = np.array([1e10, 1e-3]), tolerance_for({}, "MatMul", "float64", "compound")

    normwise.assert_close(want + np.array([0, 1e-6]), want)
    with pytest.raises(AssertionError, match="at magnitude 1e"):
        normwise.assert_close(want + np.array([0, 1e-3]), want)
