"""Running sums and products, and differences: dtypes, special values, derivatives at zeros."""

import itertools
import math

import numpy as np
import pytest

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import AxisError, GraphTypeError
from refgraph.core.op import Sample
from refgraph.interp.evaluate import evaluate
from refgraph.ops import cumulative as C
from refgraph.ops.tensor import DTYPES, TensorType
from refgraph.testing import checks
from refgraph.testing.checks import symbol, value_of

INF, NAN = np.inf, np.nan


def gradient(build, array):
    """The gradient of the sum of `build(x)` at an array."""
    return value_of(lambda x: grad(build(x).sum(), x), array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_dtypes_and_values_are_numpys(name, dtype):
    x = np.array([0, 1, 3]).astype(dtype)

    np.testing.assert_array_equal(value_of(getattr(C, name), x), getattr(np, name)(x), strict=True)


def test_static_lengths_stay():
    x = TensorType("float64", (None, 3, None, 1))("x")

    assert C.cumsum(x, axis=0).type is x.type
    assert C.cumsum(x).type.shape == (None,)
    assert C.diff(x, axis=1).type.shape == (None, 2, None, 1)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "diff"])
def test_running_ops_check_their_axis(name):
    with pytest.raises(AxisError, match=f"{name}: no axis 2 in 2 dimensions"):
        getattr(C, name)(symbol(np.ones((2, 3))), axis=2)


def test_diff_refuses_negative_n():
    with pytest.raises(GraphTypeError, match="diff: n=-1 is negative"):
        C.diff(symbol(np.ones(3)), -1)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("special", [[1.0, NAN, 2.0], [1.0, INF, 2.0], [-INF, 1.0, INF], [0.0, INF, 1.0]])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinities_propagate_as_in_numpy(name, special):
    x = np.array(special)

    np.testing.assert_array_equal(value_of(getattr(C, name), x), getattr(np, name)(x))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_derivatives_of_cumprod_hold_at_zeros(zeros, order):
    """Those of its last element: the product of all others, 0 where an element is taken twice."""
    x = np.array([2.0, -3.0, 0.5, 7.0])
    x[:zeros] = 0
    n, v = len(x), symbol(x)
    want = np.zeros((n,) * order)
    for taken in itertools.permutations(range(n), order):
        want[taken] = math.prod(x[i] for i in range(n) if i not in taken)
    found = [C.cumprod(v)[-1]]
    for _ in range(order):
        found = [grad(cost, v)[i] for cost in found for i in range(n)]

    np.testing.assert_allclose(np.reshape(evaluate(found, {v: x}), want.shape), want, rtol=1e-12)


def test_derivative_of_cumprod_at_zeros():
    """d/dx of 1*x0 + 2*x0*x1 + 3*x0*x1*x2 + 4*x0*x1*x2*x3, by hand."""
    x = np.array([2.0, 0.0, 5.0, 0.0])
    got = gradient(lambda x: C.cumprod(x) * np.array([1.0, 2.0, 3.0, 4.0]), x)

    np.testing.assert_array_equal(got, [1.0, 34.0, 0.0, 0.0])


def recurrence(a, b):
    """y[i] = a[i] * y[i-1] + b[i] along the first axis, one after the other."""
    y = b.copy()
    for i in range(1, len(y)):
        y[i] += a[i] * y[i - 1]
    return y


@pytest.mark.parametrize("n", [255, 256, 300, 1000])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_long_recurrence_is_the_short_steps(n, reverse):
    rng = np.random.default_rng(n)
    for shape in ((n,), (n, 3)):
        a, b = rng.uniform(-1.2, 1.2, (2, *shape))
        a[n // 2] = 0
        step = -1 if reverse else 1
        got = value_of(C.LinearRecurrence(0, reverse), a, b)
        np.testing.assert_allclose(got, recurrence(a[::step], b[::step])[::step], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("factor", "start"), [(1e200, 0.0), (1e200, 1.0), (1e-200, 1.0), (INF, 0.0), (NAN, 1.0)])
def test_a_long_recurrence_out_of_range_is_the_short_steps(factor, start):
    a, b = np.full(400, factor), np.zeros(400)
    b[0] = start
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(value_of(C.LinearRecurrence(0), a, b), recurrence(a, b))


def test_a_long_recurrence_has_the_derivatives_of_short_steps():
    x = np.random.default_rng(1).uniform(0.9, 1.1, 400)
    z = np.cumprod(x)
    np.testing.assert_allclose(gradient(C.cumprod, x), np.cumsum(z[::-1])[::-1] / x, rtol=1e-12)


RNG = np.random.default_rng(3)
M = RNG.uniform(0.5, 2, (3, 4)) * RNG.choice([-1, 1], (3, 4))
Z = RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4))
USES = [
    Sample("diff", C.diff, (M,), np.diff),
    Sample("diff-2", lambda x: C.diff(x, 2, 0), (M,), lambda x: np.diff(x, 2, 0)),
    Sample("diff-0", lambda x: C.diff(x, 0), (M,), lambda x: x),
    Sample("diff-bool", C.diff, (M > 0,), np.diff),
    Sample("diff-uint8", C.diff, (np.array([3, 1, 7], "uint8"),), np.diff),
    Sample("cumsum-flat", C.cumsum, (M,), np.cumsum),
    Sample("cumprod-flat", C.cumprod, (M[::2, ::-1],), np.cumprod),
    Sample("cumsum-0-d", C.cumsum, (np.array(3.0),), np.cumsum),
    Sample("cumsum-negative-axis", lambda x: C.cumsum(x, -2), (Z,), lambda x: np.cumsum(x, -2)),
]


@pytest.mark.parametrize("sample", USES, ids=lambda s: s.id)
def test_functions_have_numpys_values(sample):
    checks.check_value(sample, known=False)
    checks.check_value(sample, known=True)


@pytest.mark.parametrize("sample", [s for s in USES if s.inputs[0].dtype.kind in "fc"], ids=lambda s: s.id)
def test_functions_have_right_derivatives(sample):
    checks.check_cotangent_types(sample)
    checks.check_transposes(sample)
    checks.check_transposes(sample, known=True)
    checks.check_differences(sample)
    checks.check_second_order(sample)
