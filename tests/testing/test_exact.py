"""The judge of rules is judged: by the ops' meanings in their domains, and by values that take many digits."""

import zlib

import mpmath
import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.op import OPS
from refgraph.interp.evaluate import evaluate
from refgraph.ops.tensor import TensorType
from refgraph.testing.cases import draw
from refgraph.testing.exact import _meanings, exact

x, y = T.dscalars("x", "y")
ROWS = sorted(_meanings().keys() - {"cast"})


@pytest.mark.parametrize("name", ROWS)
def test_a_meaning_is_that_of_the_op_in_its_domain(name):
    op = OPS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    dtypes = ["float64" if "f" in r.kinds else "bool" for r in op.on]
    if name == "invert":
        dtypes = ["bool"]
    if name.startswith("bitwise"):
        dtypes = ["bool", "bool"]
    arrays = [draw(rng, r, (12,), dtype) for r, dtype in zip(op.on, dtypes, strict=True)]
    holes = [TensorType(dtype, (None,))(f"x{i}") for i, dtype in enumerate(dtypes)]
    out = op(*holes)
    (values,) = evaluate([out], dict(zip(holes, arrays, strict=True)))

    for value, *point in zip(values, *arrays, strict=True):
        found = float(exact(out, dict(zip(holes, point, strict=True))))
        assert found == pytest.approx(float(value), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(
    ("build", "at", "value"),
    [
        (lambda x: T.log(1 + T.exp(x)), -800.0, "exp(-800)"),
        (lambda x: T.log(1 - T.erf(x)), 25.0, "log(erfc(25))"),
        (lambda x: (1 + x) - 1, 1e-300, "mpf(1e-300)"),
        (lambda x: T.exp(x) / (1 + T.exp(x)), 1e4, "1 / (1 + exp(-10000))"),
        (lambda x: x - x, 3.0, "mpf(0)"),
    ],
    ids=["softplus", "tail", "tiny", "huge", "zero"],
)
def test_what_takes_many_digits(build, at, value):
    with mpmath.workdps(60):
        wanted = eval(value, vars(mpmath).copy())
        assert abs(exact(build(x), {x: at}) - wanted) <= abs(wanted) * mpmath.mpf(10) ** -24


@pytest.mark.parametrize(
    ("build", "at"),
    [(T.log, -1.0), (T.sqrt, -1.0), (T.arcsin, 2.0), (lambda x: x / x, 0.0), (lambda x: 0 * (1 / x), 0.0)],
    ids=["log", "sqrt", "arcsin", "0/0", "0 * inf"],
)
def test_where_there_is_no_value_it_is_nan(build, at):
    assert mpmath.isnan(exact(build(x), {x: at}))


def test_a_pole_is_infinite():
    assert exact(1 / x, {x: 0.0}) == mpmath.inf
    assert exact(T.log(x), {x: 0.0}) == -mpmath.inf


def test_only_the_side_that_is_taken_counts():
    assert exact(T.switch(x > 0, T.log(x), 0.5), {x: -1.0}) == 0.5


def test_constants_are_taken_as_they_are():
    assert exact(x * 0.1, {x: 1.0}) == mpmath.mpf(0.1)


def test_an_op_that_is_not_known_says_so():
    with pytest.raises(NotImplementedError, match="spacing"):
        exact(OPS["spacing"](x), {x: 1.0})
