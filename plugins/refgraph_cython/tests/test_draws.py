"""Random numbers: those of the interpreter, in any size, on any instruction set, from any number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.backend import (
    Graph,
    Plan,
    RandomBernoulli,
    RandomBinomial,
    RandomCategorical,
    RandomDistinct,
    RandomIntegers,
    RandomMultinomial,
    RandomNormal,
    RandomPoisson,
    RandomUniform,
    TensorType,
)
from refgraph_cython import _native
from refgraph_cython.lower.program import program

_STATE = np.array([0x0123456789ABCDEF, 2**40 + 7], np.uint64)
_SIZES = (1, 2, 3, 31, 512, 1023, 1025, 16_384, 40_001)
_EXACT = {
    "uniform32": lambda s, n: RandomUniform((n,), "float32")(s),
    "uniform64": lambda s, n: RandomUniform((n,), "float64")(s),
    "uniform16": lambda s, n: RandomUniform((n,), "float16")(s),
    "open32": lambda s, n: RandomUniform((n,), "float32", True)(s),
    "open64": lambda s, n: RandomUniform((n,), "float64", True)(s),
    "open16": lambda s, n: RandomUniform((n,), "float16", True)(s),
    "integers": lambda s, n: RandomIntegers((n,), "int16")(s, T.constant(-3), T.constant(1000)),
    "wide-integers": lambda s, n: RandomIntegers((n,), "int64")(s, T.constant(-(2**62)), T.constant(2**62)),
    "all-integers": lambda s, n: RandomIntegers((n,), "uint64", True)(
        s, T.constant(0), T.constant(np.uint64(2**64 - 1))
    ),
    "2**32-integers": lambda s, n: RandomIntegers((n,), "int64")(s, T.constant(0), T.constant(2**32)),
    "bernoulli": lambda s, n: RandomBernoulli((n,), "bool")(s, T.constant(0.3)),
    "certain": lambda s, n: RandomBernoulli((n,), "bool")(s, T.constant(1)),
    "permutation": lambda s, n: RandomDistinct((n,), "int64")(s, T.constant(n)),
    "categorical": lambda s, n: RandomCategorical((n,), "int64")(s, T.constant(np.array([0.25, 0, 0.5, 0.25]))),
    "binomial": lambda s, n: RandomBinomial((n,), "int64")(s, T.constant(40), T.constant(0.2)),
    "large-binomial": lambda s, n: RandomBinomial((n,), "int64")(s, T.constant(10**6), T.constant(0.7)),
    "poisson": lambda s, n: RandomPoisson((n,), "int64")(s, T.constant(3.5)),
    "large-poisson": lambda s, n: RandomPoisson((n,), "int64")(s, T.constant(1e4)),
    "multinomial": lambda s, n: RandomMultinomial((n, 3), "int64")(
        s, T.constant(30), T.constant(np.array([0.25, 0.25, 0.5]))
    ),
}


def _both(formula, *values):
    """What the program and the interpreter compute."""
    inputs = [TensorType(str(v.dtype), (None,) * v.ndim).variable() for v in values]
    graph = Graph(inputs, [formula(*inputs)])
    return program(graph)(*values)[0], Plan(graph)(*values)[0]


def _assert_same(formula, *values):
    got, want = _both(formula, *values)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", _SIZES)
@pytest.mark.parametrize("name", _EXACT)
def test_numbers_are_those_of_the_interpreter(name, n):
    _assert_same(lambda s: _EXACT[name](s, n), _STATE)


@pytest.mark.parametrize("n", _SIZES)
@pytest.mark.parametrize(("dtype", "ulp"), [("float16", 1), ("float32", 1), ("float64", 6)])
def test_normal_numbers_are_those_of_the_interpreter_but_for_rounding(dtype, ulp, n):
    got, want = _both(lambda s: RandomNormal((n,), dtype)(s), _STATE)
    np.testing.assert_array_max_ulp(got, want, ulp)


def test_parameters_are_broadcast_to_the_size():
    p, n = np.array([[0.1], [0.9]], "float32"), np.array([3, 1000, 5], "int32")
    _assert_same(lambda s, p: RandomBernoulli((4, 2, 3), "bool")(s, p), _STATE, p)
    _assert_same(lambda s, n, p: RandomBinomial((4, 2, 3), "int64")(s, n, p), _STATE, n, p)
    _assert_same(lambda s, p: RandomPoisson((4, 2, 3), "int64")(s, p), _STATE, 30 * p)
    bounds = -n.astype("int8"), n.astype("uint64") << 40
    _assert_same(lambda s, low, high: RandomIntegers((2, 3), "int64")(s, low, high), _STATE, *bounds)


def test_rows_of_probabilities_are_broadcast_to_the_size():
    p = np.random.default_rng(0).dirichlet(np.ones(50), (3, 1))
    _assert_same(lambda s, p: RandomCategorical((5, 3, 4), "int64")(s, p), _STATE, p)
    _assert_same(lambda s, p: RandomMultinomial((5, 3, 4, 50), "int64")(s, T.constant(1000), p), _STATE, p)


@pytest.mark.parametrize("k", [1, 3, 60])
def test_some_of_many_are_those_of_the_interpreter(k):
    _assert_same(lambda s: RandomDistinct((7, k), "int64")(s, T.constant(601)), _STATE)
    p = np.random.default_rng(1).dirichlet(np.ones(77))
    _assert_same(lambda s, p: RandomDistinct((5, k), "int64")(s, p), _STATE, p)


@pytest.mark.parametrize("name", ["uniform64", "poisson", "integers"])
def test_numbers_do_not_depend_on_threads(name):
    inputs = [TensorType("uint64", (2,)).variable()]
    made = program(Graph(inputs, [_EXACT[name](inputs[0], 100_000)]))
    before = _native.threads()
    try:
        results = []
        for count in (1, 4):
            _native.threads(count)
            results.append(made(_STATE)[0])
    finally:
        _native.threads(before)
    np.testing.assert_array_equal(*results)


_SCRIPT = """
import sys
import numpy as np
from refgraph_cython.lower.program import program
import refgraph.backend as B
import refgraph.tensor as T
s, x = B.TensorType("uint64", (2,)).variable(), B.TensorType("float32", (None, None)).variable()
outputs = [B.RandomUniform((1001,), "float32")(s), B.RandomNormal((1001,), "float64")(s),
           B.RandomDistinct((99,), "int64")(s, T.constant(99)),
           B.RandomIntegers((1001,), "int8")(s, T.constant(0), T.constant(9)),
           B.RandomBernoulli((1001,), "bool")(s, T.constant(0.4)),
           T.nnet.softmax(x), T.nnet.logsoftmax(x, 0)]
values = [np.array([5, 6], np.uint64), np.sin(np.arange(2100.0, dtype="float32")).reshape(50, 42)]
np.savez(sys.argv[1], *program(B.Graph([s, x], outputs))(*values))
"""


@pytest.mark.parametrize("isa", ["base", "v3", "v4"])
def test_every_instruction_set_gives_the_same_numbers(isa, tmp_path):
    """Where the processor lacks one, its best is taken, and the test says nothing."""
    found = []
    for chosen in (isa, "base"):
        path = tmp_path / f"{chosen}.npz"
        environment = {**os.environ, "REFGRAPH_CYTHON_ISA": chosen}
        subprocess.run([sys.executable, "-c", _SCRIPT, path], env=environment, check=True)
        found.append(np.load(path))
    for name in found[0].files:
        got, want = found[0][name], found[1][name]
        np.testing.assert_allclose(got, want, rtol=8 * np.finfo(got.dtype).eps if got.dtype.kind == "f" else 0)
