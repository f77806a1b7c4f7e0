"""Vector functions are as exact as docs/accuracy.md says: within 2.5 ulp, 4 for powers and the gamma family.

They are asked as programs run them, rare elements included; tools/accuracy.py asks for millions more, and measures.
"""

import math
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.special

from refgraph.backend import OPS
from refgraph_cython import _native
from refgraph_cython.instructions import INSTRUCTIONS

PLUGIN = Path(__file__).resolve().parents[1]
SETS = ("base", "v3", "v4")
DTYPES = ("float32", "float64")
POINTS, POINTS_OF_MPMATH = 1 << 16, 1 << 11
INSIDE = {"turn"}
"""Functions of vectors that are only a part of others."""
OP_OF = {"lgamma": "gammaln", "tgamma": "gamma", "digamma": "psi", "atan2": "arctan2"} | {
    f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
}
"""The ops whose names are others."""

# What long double of NumPy's, which is that of libm, knows.
_LONG = {
    "pow": np.power,
    "sigmoid": lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
}
# What it does not: SciPy's in double, for float32, and mpmath's.
_DOUBLE = {"erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "tgamma": "gamma"}
_MPMATH = {"erf": "erf", "erfc": "erfc", "lgamma": "loggamma", "tgamma": "gamma"}

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no longer than double here")


def tools():
    """The modules of tools/accuracy.py, with the functions of those beside it, and of generate.py."""
    before = list(sys.path)
    sys.path += [str(PLUGIN), str(PLUGIN / "tools")]
    try:
        accuracy = import_module("accuracy")
        return accuracy, accuracy.functions(), import_module("generate")
    finally:
        sys.path[:] = before


accuracy, functions, generate = tools()
FUNCTIONS = {f.name: f for f in functions if f.name not in INSIDE}


def computed(name, x, y):
    """What the instruction answers."""
    op, dtypes = OP_OF.get(name, name), (x.dtype.name,) * FUNCTIONS[name].arity
    out = np.empty_like(x)
    _native.run_instruction(INSTRUCTIONS[op, dtypes][0], out, [x, y][: len(dtypes)])
    return out


def true(name, x, y):
    """What is true, as long double; asks for what is not known there."""
    if name in _DOUBLE and x.dtype == np.float32:
        return getattr(scipy.special, _DOUBLE[name])(x.astype(np.float64)).astype(np.longdouble)
    if callable(FUNCTIONS[name].truth):
        return accuracy.asked_of_mpmath(FUNCTIONS[name].truth, x, y, 1)
    if name in _MPMATH:
        import mpmath

        return accuracy.asked_of_mpmath(getattr(mpmath, _MPMATH[name]), x, y, 1)
    function = _LONG.get(name) or getattr(np, OP_OF.get(name, name))
    given = [x.astype(np.longdouble), y.astype(np.longdouble)][: FUNCTIONS[name].arity]
    return function(*given)


def points(name, dtype):
    """Arguments from everywhere, where the function is a number that long double or mpmath tells in time."""
    function, rng = FUNCTIONS[name], np.random.default_rng(len(name))
    is_dear = callable(function.truth) or (name in _MPMATH and dtype == "float64")
    x, y = accuracy.arguments(function, rng, POINTS_OF_MPMATH if is_dear else POINTS, np.dtype(dtype))
    if is_dear or name in _MPMATH:
        x = np.unique(x[np.isfinite(x) & (x != 0) & (abs(x) < 1e30)])
        if name in ("lgamma", "tgamma"):  # left of 0 it is libm's
            x = x[x > 0]
        y = x
    return x, y


def assert_within(name, x, y, got, want):
    """As exact as is promised, also in the signs of zeros."""
    distance = accuracy.errors(got, want, want)
    worst = int(distance.argmax())
    at = ", ".join([repr(float(a[worst])) for a in (x, y)[: FUNCTIONS[name].arity]])
    assert distance[worst] <= FUNCTIONS[name].limit, (
        f"{name}({at}) in {x.dtype} is {got[worst]!r}, want {want[worst]!r}: {distance[worst]:.2f} ulp"
    )


def test_all_vector_functions_are_asked():
    defined = {name.split("_")[1] for name in generate.vector_functions(PLUGIN / "refgraph_cython/native")}
    assert defined - INSIDE == set(FUNCTIONS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_vector_function_is_within_its_bound(name, dtype):
    x, y = points(name, dtype)
    with np.errstate(all="ignore"):
        got, want = computed(name, x, y), true(name, x, y)
    assert_within(name, x, y, got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_are_those_of_the_interpreter(name, dtype):
    """At NaN, infinities, zeros of both signs, denormal numbers and the largest, alone and among others."""
    ends, arity = accuracy.edges(np.dtype(dtype)), FUNCTIONS[name].arity
    x, y = [a.ravel().copy() for a in np.meshgrid(ends, ends)] if arity == 2 else (ends, ends)
    with np.errstate(all="ignore"):
        want = OPS[OP_OF.get(name, name)].impl(*[x, y][:arity])
        among = computed(name, x, y)
        alone = np.array([computed(name, x[i : i + 1], y[i : i + 1])[0] for i in range(len(x))])
    is_special = ~np.isfinite(want) | (want == 0)
    for got in (among, alone):
        assert np.isfinite(got[~is_special]).all()
        np.testing.assert_array_equal(got[is_special], want[is_special])
        kept = is_special & ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[kept]), np.signbit(want[kept]))
    assert accuracy.errors(alone, among, among).max() <= FUNCTIONS[name].limit


def test_the_documentation_keeps_the_bounds_too():
    """The table that was measured last: all functions, both precisions, no error above what is promised."""
    rows = [line.split("|")[1:6] for line in (PLUGIN.parents[1] / "docs/accuracy.md").read_text().splitlines()]
    rows = [[cell.strip() for cell in row] for row in rows if len(row) == 5]
    measured = {(name, dtype): float(worst) for name, dtype, _, worst, _ in rows if dtype in ("f32", "f64")}

    wanted = {(name, dtype) for name in FUNCTIONS for dtype in ("f32", "f64")}
    assert set(measured) == wanted
    assert all(worst <= FUNCTIONS[name].limit for (name, _), worst in measured.items())
    assert not any(math.isnan(worst) for worst in measured.values())


@pytest.mark.parametrize("isa", SETS[: SETS.index(_native.isa())])
def test_lesser_instruction_sets_are_as_exact(isa):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__, "-k", "bound or special"]
    done = subprocess.run(command, env=os.environ | {"REFGRAPH_CYTHON_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
