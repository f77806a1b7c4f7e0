"""The stored values are those of mathematics, are of all ops that need them, and catch a result that is off."""

import json
from decimal import Decimal, localcontext

import mpmath
import numpy as np
import pytest

from refgraph.core.errors import RefgraphError
from refgraph.core.op import OPS
from refgraph.testing import stored as room
from refgraph.testing.compare import kind_of
from refgraph.testing.stored import (
    FILE,
    INTERPRETER,
    NOT_STORED,
    assert_accurate,
    error_in_ulp,
    interpreter_error,
    line_of,
    points_of,
    stored,
    transcendental,
)

DTYPES = ("float64", "float32", "float16")
LINES = json.loads(FILE.read_text())
INF, NAN = np.inf, np.nan


# --- the file ---------------------------------------------------------------------------------------------------------


def test_every_transcendental_row_is_stored():
    assert list(LINES) == transcendental()


@pytest.mark.parametrize("name", list(NOT_STORED))
def test_what_is_not_stored_is_a_row_that_rounds(name):
    assert kind_of(OPS[name]) == "elementwise"


@pytest.mark.parametrize("name", list(LINES))
def test_the_points_are_those_of_the_program(name):
    assert [tuple(map(float.fromhex, point)) for *point, _ in LINES[name]] == points_of(OPS[name])


@pytest.mark.parametrize("name", list(LINES))
def test_values_are_computed_again(name):
    points = points_of(OPS[name])

    for i in range(len(name) % 5, len(points), 5):
        assert line_of(OPS[name], points[i]) == LINES[name][i]


def test_constants_of_mathematics_are_found_again():
    at = {name: {tuple(map(float.fromhex, p)): v for *p, v in lines} for name, lines in LINES.items()}

    assert at["arccos"][-1.0,] == "3.141592653589793238462643383279503"
    assert at["logaddexp"][0.0, 0.0] == "0.6931471805599453094172321214581766"
    assert at["gamma"][0.5,] == "1.772453850905516027298167483341145"  # the square root of pi
    assert at["polygamma"][1.0, 1.5] == "0.9348022005446793094172454999380756"  # pi^2 / 2 - 4


def test_the_file_stays_small():
    assert FILE.stat().st_size < 200_000


def test_writing_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpmath", None)

    with pytest.raises(RefgraphError, match="pip install mpmath"):
        room.main()


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(LINES))
def test_two_floats_hold_more_than_30_digits(name):
    hi, lo = stored(name, "float64")[1:]

    with localcontext(prec=100):
        for (*_, text), h, l in zip(LINES[name], hi, lo, strict=True):
            if np.isfinite(h) and abs(h) > 1e-270:
                assert abs(Decimal(h) + Decimal(l) - Decimal(text)) <= abs(Decimal(text)) * Decimal("1e-30")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(LINES))
def test_each_dtype_gets_the_points_that_it_holds(name, dtype):
    inputs, hi, lo = stored(name, dtype)
    texts = {tuple(map(float.fromhex, point)): float(text) for *point, text in LINES[name]}

    assert len(hi) == len(lo) >= 10
    for *point, h in zip(*inputs, hi, strict=True):
        assert texts[tuple(map(float, point))] == h
    assert all(x.dtype == (dtype if "f" in r.kinds else "int64") for x, r in zip(inputs, OPS[name].on, strict=True))


def test_of_other_ops_and_dtypes_nothing_is_stored():
    assert stored("add", "float64") is None
    assert stored("exp", "complex128") is None
    assert stored("polygamma", "int64") is None


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "hi", "lo", "error"),
    [
        (1.0, 1.0, 2.0**-54, 0.25),
        (np.nextafter(1.0, 2.0), 1.0, 2.0**-54, 0.75),
        (-1.0, -1.0, 2.0**-54, 0.25),
        (np.float32(1), 1 + 2.0**-25, 0.0, 0.25),
        (np.float16(1), 1 + 2.0**-12, 0.0, 0.25),
        # overflow
        (INF, INF, 0.0, 0),
        (-INF, INF, 0.0, INF),
        (1.7e308, INF, 0.0, INF),
        (INF, np.finfo("float64").max, 0.0, 1),
        (np.float32(INF), 1e39, 0.0, 0),
        (np.float32(INF), 2.0**128 - 2.0**103, 0.0, 0.5),
        (np.finfo("float32").max, 2.0**128 - 2.0**103, 0.0, 0.5),
        (np.float32(-INF), 2.0**127, 0.0, INF),
        (np.float32(INF), 2.0**127, 0.0, 2.0**23),
        (np.float16(INF), 65504.0, 0.0, 1),
        # underflow
        (0.0, 0.0, 0.0, 0),
        (-0.0, 5e-324, 0.0, 1),
        (np.float32(0), 2.0**-150, 0.0, 0.5),
        (np.float32(2.0**-149), 2.0**-147, 0.0, 3),
        (np.float16(2.0**-24), 2.0**-30, 0.0, 1 - 2.0**-6),
        # no numbers
        (NAN, 1.0, 0.0, INF),
        (NAN, NAN, 0.0, 0),
        (1.0, NAN, 0.0, INF),
        (NAN, INF, 0.0, INF),
    ],
)
def test_error_in_ulp(got, hi, lo, error):
    assert error_in_ulp(got, hi, lo) == error


@pytest.mark.parametrize("name", list(LINES))
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_interpreter_is_as_good_as_stated(name, dtype):
    bound = INTERPRETER.get(name, (4, 4, 4))[DTYPES.index(dtype)]

    assert interpreter_error(name, dtype).max() <= bound


def test_bounds_are_stated_of_stored_ops():
    assert set(INTERPRETER) <= set(LINES)


# --- judging ----------------------------------------------------------------------------------------------------------


def computed(name, dtype):
    with np.errstate(all="ignore"):
        return OPS[name].impl(*stored(name, dtype).inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", list(LINES))
def test_the_interpreter_passes_by_itself(name, dtype):
    assert_accurate(computed(name, dtype), name, dtype, ulp=0)


def refused(got, name, dtype="float64", ulp=4.0):
    with pytest.raises(AssertionError) as caught:
        assert_accurate(got, name, dtype, ulp, note="planted")
    return str(caught.value)


@pytest.mark.parametrize("name", ["exp", "log", "sin", "erf", "gamma", "pow", "jv"])
def test_a_result_of_too_few_digits_is_caught(name):
    with np.errstate(all="ignore"):
        got = computed(name, "float32").astype("float64")

    assert refused(np.resize(got, len(stored(name, "float64").hi)), name).startswith("planted: ")


def test_log_of_1_plus_x_is_not_log1p():
    (x,), *_ = stored("log1p", "float64")
    with np.errstate(all="ignore"):
        found = refused(np.log(1 + x), "log1p")

    assert "the worst log1p(" in found
    assert "the bound is 4 ulp and the " in found


def test_a_value_that_is_off_at_one_point_is_named():
    (x,), hi, _ = stored("exp", "float32")
    got = computed("exp", "float32")
    at = int(np.flatnonzero((hi > 1) & (hi < 2))[0])
    got[at] += np.float32(2.0**-20)

    found = refused(got, "exp", "float32")

    assert found.startswith(
        f"planted: 1 of {len(hi)} values are off, the worst exp({x[at]!s}) at [{at}]: got {got[at]!s}"
    )


def test_a_lost_overflow_is_caught():
    got = computed("exp", "float32")
    got[np.isinf(got)] = np.finfo("float32").max

    assert "got 3.4028235e+38" in refused(got, "exp", "float32")


def test_another_shape_is_refused():
    assert "want floats of shape" in refused(np.ones(3), "exp")
    assert "got int64" in refused(np.ones(len(stored("exp", "float64").hi), int), "exp")


def test_an_op_without_stored_values_is_refused():
    with pytest.raises(RefgraphError, match="no values of add in float64 are stored"):
        assert_accurate(np.ones(3), "add", "float64", ulp=4)


def test_exact_values_know_where_there_is_none():
    assert line_of(OPS["log"], (-1.0,)) is None
    assert mpmath.isnan(room.value_at(OPS["log"], (-1.0,)))
