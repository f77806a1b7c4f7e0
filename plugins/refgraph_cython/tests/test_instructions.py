"""Instructions: what one of them computes of a block, in each instruction set that the machine has."""

import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from refgraph.backend import DTYPES, OPS, Elemwise
from refgraph.testing.compare import assert_close, assert_same
from refgraph_cython import _native
from refgraph_cython.instructions import INSTRUCTIONS, Unfit, recipe

SETS = ("base", "v3", "v4")
LENGTHS = (0, 1, 17, 203)
"""Below a vector, one and a bit, and more than the chunks in which rare elements are computed again."""
DECLINED = {("pow", f"int{bits}") for bits in (8, 16, 32, 64)}
INEXACT = {"psi", "polygamma", "tri_gamma", "ndtri"}
"""Ops whose inputs, drawn anywhere, meet zeros or poles, where it is a question of how near."""


def rows():
    return [op for op in OPS.values() if isinstance(op, Elemwise)]


def dtypes_of(op):
    """The dtypes that an op accepts, the same for all its inputs as far as it may be."""
    for dtype in DTYPES:
        given = tuple([fitting(reals, dtype) for reals in op.on])
        if None not in given:
            try:
                op.loop([np.dtype(d) for d in given])
            except TypeError:
                continue
            yield given


def fitting(reals, dtype):
    kind = np.dtype(dtype).kind
    return dtype if kind in reals.kinds else "int32" if "f" not in reals.kinds and kind in "fc" else None


def drawn(reals, dtype, n, seed):
    """Numbers of a dtype, the edges among them."""
    rng, target = np.random.default_rng(seed), np.dtype(dtype)
    values = rng.uniform(reals.low, reals.high, n)
    if target.kind in "iub":
        low = max(reals.low, 0) if target.kind in "ub" else reals.low
        return np.floor(rng.uniform(low, reals.high + 1, n)).clip(low, reals.high).astype(target)
    with np.errstate(all="ignore"):
        made = (values + 1j * rng.uniform(-1, 1, n) if target.kind == "c" else values).astype(target)
        edges = np.array(reals.edges[:n]).astype(target)
    if target.kind == "f":
        made[rng.permutation(n)[: len(edges)]] = edges
    return made


def run(how, arrays, n, single=0):
    """The result of a recipe's steps; inputs whose bit of `single` is set are their first element."""
    values, bits = list(arrays), [single >> k & 1 for k in range(len(arrays))]
    for step in how.steps:
        out = np.empty(n, step.out)
        mask = sum([bits[i] << k for k, i in enumerate(step.given)])
        _native.run_instruction(step.address, out, [values[i] for i in step.given], mask, step.loop)
        values.append(out)
        bits.append(0)
    return np.broadcast_to(values[how.result][:1], n) if bits[how.result] else values[how.result][:n]


def found(op, dtypes):
    try:
        return recipe(op, dtypes)
    except Unfit:
        return None


CASES = [(op, dtypes) for op in rows() for dtypes in dtypes_of(op) if found(op, dtypes)]
"""Each op in each dtype that there is a kernel for."""


def by_name(case):
    return f"{case[0].name}-{'-'.join(case[1])}"


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_recipe_agrees_with_what_the_op_means(case):
    op, dtypes = case
    how, out = recipe(op, dtypes), op.loop([np.dtype(d) for d in dtypes])[-1]
    for n in LENGTHS:
        given = [drawn(reals, d, n, seed) for seed, (reals, d) in enumerate(zip(op.on, dtypes, strict=True))]
        for single in range(1 << op.arity if n else 1):
            met = [np.broadcast_to(x[:1], n) if single >> k & 1 else x for k, x in enumerate(given)]
            with np.errstate(all="ignore"):
                want = np.asarray(op.impl(*met)).astype(out, copy=False)
            tolerance = 64 if op.name in INEXACT else 8
            assert_same(run(how, given, n, single), want, tolerance=tolerance, note=f"{n} elements, single: {single:b}")


def test_what_has_no_kernel_is_known():
    declined = {(op.name, dtypes[-1]) for op in rows() for dtypes in dtypes_of(op) if not found(op, dtypes)}

    assert declined == DECLINED


def test_digamma_keeps_its_digits_near_its_zeros():
    """psi at numbers as near to its zeros as there are, and at some that are less near, as mpmath has it."""
    near = [
        (-0.5040830082644554, 7.289763902976895e-17),
        (-0.5040835123474636, -4.506400756015387e-06),
        (-1.5734984731623904, 1.5649788481838454e-16),
        (-1.5735000466608635, -1.5642975813113473e-05),
        (-2.6107208684441447, -1.0720275936410002e-15),
        (-3.635293366436901, -6.354883894064686e-16),
        (-3.6352970017302675, -4.235480641555411e-05),
        (-19.74308167259022, -1.2274750570360581e-14),
        (-19.74310141567189, -0.0003725300237981919),
    ]
    in_float = [
        (-0.50408304, -2.602549550299359e-07),
        (-1.5734985, -1.4226449024506777e-07),
        (-2.6107209, -4.811107649295407e-08),
        (-3.6352935, -1.3666231440553986e-06),
        (-19.743082, -7.055016006219327e-06),
    ]
    for pairs, dtype in ((near, "float64"), (in_float, "float32")):
        given, want = np.array([*zip(*pairs, strict=True)], dtype)
        assert_close(run(recipe(OPS["psi"], (dtype,)), [given], len(given)), want, ulp=4)
        poles = np.array([-1, -2, -(2**60), -np.inf], dtype)
        assert np.isnan(run(recipe(OPS["psi"], (dtype,)), [poles], 4)).all()


def test_powers_of_integers_have_a_kernel_where_no_power_is_negative():
    op, x, y = OPS["pow"], np.arange(-4, 5), np.array([0, 1, 2, 3, 40, 5, 63, 64, 7])
    assert (run(recipe(op, ("int64", "int64"), True), [x, y], 9) == x**y).all()
    assert recipe(op, ("int64", "uint8"))


IN_PLACE = [(key, made) for key, made in INSTRUCTIONS.items() if made[0] and made[1] in key[1]]


@pytest.mark.parametrize("n", LENGTHS)
def test_the_output_may_be_an_input(n):
    for (name, dtypes), (address, out) in IN_PLACE:
        given = [np.linspace(0.1, 2.9, n).astype(d) for d in dtypes]
        want = np.empty(n, out)
        _native.run_instruction(address, want, given)
        for k, x in enumerate(given):
            if x.dtype == out:
                own = [y.copy() for y in given]
                _native.run_instruction(address, own[k], own)
                np.testing.assert_array_equal(own[k], want, err_msg=f"{name} of {dtypes}, into input {k}")


RARE = [("sin", 1e30), ("cos", -1e22), ("tan", 3e25), ("gammaln", -2.5), ("gamma", -2.5)]


@pytest.mark.parametrize(("name", "rare"), RARE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rare_elements_are_computed_again_and_their_neighbours_kept(name, rare, dtype):
    op, x = OPS[name], np.linspace(0.5, 3.0, 203).astype(dtype)
    x[[3, 64, 200]] = rare
    assert_same(run(recipe(op, (dtype,)), [x], 203), op.impl(x), tolerance=8)


PAIRS = [(key, address) for key, (address, _) in INSTRUCTIONS.items() if "," in key[0]]


@pytest.mark.parametrize("n", LENGTHS)
def test_two_steps_in_one_instruction_have_the_bits_of_two(n):
    assert len(PAIRS) == 2 * 20
    for (pair, dtypes), address in PAIRS:
        first, second, place = pair.split(",")
        given = [np.random.default_rng(k).uniform(-4, 4, n).astype(dtypes[0]) for k in range(len(dtypes))]
        inner, outer = recipe(OPS[first], (dtypes[0],) * OPS[first].arity), OPS[second]
        for single in range(1 << len(given) if n else 1):
            met = [np.repeat(x[:1], n) if single >> k & 1 else x for k, x in enumerate(given)]
            more = met[OPS[first].arity :]
            more.insert(int(place), run(inner, met[: OPS[first].arity], n))
            want = run(recipe(outer, (dtypes[0],) * outer.arity), more, n)
            out = np.empty(n, dtypes[0])
            _native.run_instruction(address, out, given, single)
            np.testing.assert_array_equal(out, want, err_msg=f"{pair} of {dtypes}, single: {single:b}")


_INTEGERS = [d for d in DTYPES if np.dtype(d).kind in "iu"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="C leaves it open, and processors differ")
@pytest.mark.parametrize("to", _INTEGERS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_beyond_integers_are_cut_as_numpy_has_it(dtype, to):
    whole = [-1.0, -2.5, -200.7, 300.5, 7e4, -7e4, 3e9, 2.0**31, 2.0**32, 2.0**63, 2.0**64, -(2.0**31), -(2.0**63)]
    with np.errstate(all="ignore"):
        x = np.array([*whole, np.nan, np.inf, -np.inf, 1e300, -1e300]).astype(dtype)
        x = x if np.dtype(to).kind == "i" or to == "uint64" else x[np.isfinite(x) & (abs(x) < 2.0**31)]
        want = x.astype(to)
    out = np.empty(len(x), to)
    _native.run_instruction(INSTRUCTIONS[f"cast{{{to}}}", (dtype,)][0], out, [x])
    assert out.tolist() == want.tolist()


def test_integers_wrap_around():
    for dtype in _INTEGERS:
        info = np.iinfo(dtype)
        x, y = np.array([info.max, info.min, info.max], dtype), np.array([1, info.max, info.max], dtype)
        for name in ("add", "sub", "mul", "neg", "square", "left_shift"):
            given = [x, y][: OPS[name].arity]
            assert (run(recipe(OPS[name], (dtype,) * len(given)), given, 3) == OPS[name].impl(*given)).all(), name


def test_all_casts_are_instructions():
    for a, b in itertools.product(DTYPES, DTYPES):
        to_real = np.dtype(a).kind == "c" and np.dtype(b).kind not in "cb"
        assert (f"cast{{{b}}}", (a,)) in INSTRUCTIONS or a == b or to_real


# instruction sets

_MINE = SETS.index(_native.isa())


def environment(isa):
    return {**os.environ, "REFGRAPH_CYTHON_ISA": isa}


@pytest.mark.parametrize("isa", SETS[:_MINE])
def test_lesser_instruction_sets_pass_all_of_this(isa):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        "not instruction_set",
    ]
    done = subprocess.run(command, env=environment(isa), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_an_instruction_set_that_there_is_not_is_refused():
    command = [sys.executable, "-c", "import refgraph_cython._native"]
    done = subprocess.run(command, env=environment("v9"), capture_output=True, text=True)
    assert done.returncode != 0
    assert "REFGRAPH_CYTHON_ISA=v9: there are base" in done.stderr
