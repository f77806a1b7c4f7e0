"""Every rewriting of Theano 1.0.5 by its name: what it makes of an expression here, or why it is left out."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import refgraph as rg
from refgraph.core.graph import Constant, Graph, Variable, leaves
from refgraph.ops.fused import Fused
from refgraph.rewrite.engine import rewrite

from .catalogue import FORMS, FUSED, IN_PLACE, LEFT_OUT, LOOPS, variables, written
from .forms import assert_form, rules_of
from .loops import loops, outside
from .rooms import outcome

ALL_BUT_FUSED = ("canonical", "stable", "scan", "specialize", "matmul")
DTYPES = {"float64": (1e-9, 1e-9), "float32": (1e-4, 1e-4)}
DRAWS, ENOUGH = 3000, 4
NAMES = [
    line.split()[1]
    for line in Path(__file__).with_name("theano_rewrites.txt").read_text().splitlines()
    if not line.startswith("#")
]
BUILDS = {
    **{f"{name}-{i}": (lambda *xs, b=build: b(*xs)[0], build) for name in FORMS for i, build in enumerate(FORMS[name])},
    **{name: (loop.written, loop.written) for name, loop in LOOPS.items()},
    **{f"{name}-{i}": (build, build) for name in FUSED for i, (build, _) in enumerate(FUSED[name])},
    **{name: (build, build) for name, build in IN_PLACE.items()},
}
"""For each id a function of variables that answers what is written, and one that has their names."""


def listed(outputs):
    return [outputs] if isinstance(outputs, Variable) else list(outputs)


def graph_of(outputs):
    wanted = listed(outputs)
    return Graph([x for x in leaves(wanted) if not isinstance(x, Constant)], wanted)


def test_every_name_is_shown_or_left_out_and_none_is_both():
    shown = [*FORMS, *LOOPS, *FUSED, *IN_PLACE]
    assert len(NAMES) == len(set(NAMES)) == 207
    assert Counter([*shown, *LEFT_OUT]) == Counter(NAMES)


@pytest.mark.parametrize("reason", sorted(set(LEFT_OUT.values())))
def test_a_reason_is_a_sentence(reason):
    assert reason.endswith(".")
    assert reason[0].isupper()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "i"), [(name, i) for name in FORMS for i in range(len(FORMS[name]))])
def test_form(name, i, dtype):
    before, after = written(FORMS[name][i], dtype)
    assert_form(before, after, *ALL_BUT_FUSED)


@pytest.mark.parametrize("name", LOOPS)
def test_loop(name):
    wanted = LOOPS[name]
    graph = rewrite(graph_of(wanted.written(*variables(wanted.written, "float64"))), rules_of(*ALL_BUT_FUSED))
    (loop,) = loops(graph)
    assert Counter([node.op.name for node in loop.op.graph.nodes]) == wanted.steps
    assert {op: outside(graph)[op] for op in wanted.beside} == wanted.beside
    assert loop.op.keep == wanted.keep
    assert loop.op.n_sequences == 1
    assert not loop.op.whole


@pytest.mark.parametrize(("name", "i"), [(name, i) for name in FUSED for i in range(len(FUSED[name]))])
def test_fused(name, i):
    build, ops = FUSED[name][i]
    graph = rewrite(graph_of(build(*variables(build, "float64"))), rules_of())
    (node,) = graph.nodes
    assert isinstance(node.op, Fused)
    assert Counter([inner.op.name for inner in node.op.graph.nodes]) == Counter(ops)


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    xs = variables(IN_PLACE[name], "float64")
    result = IN_PLACE[name](*xs)
    shapes = {"x": (400, 30), "y": (30, 400), "w": (400, 400), "u": (160_000,), "a": ()}
    arrays = [np.array([3, 5]) if x.name == "at" else np.ones(shapes[x.name]) for x in xs]
    f = rg.function(xs, result, profile=True)
    assert f(*arrays).nbytes <= f.profile.allocated < 1.05 * f(*arrays).nbytes


def drawn(x, length, rng):
    """An array for x, each axis of unknown length as long as `length` says, or of any length where it is None."""
    shape = [(rng.integers(0, 5) if length is None else length) if n is None else n for n in x.type.shape]
    if x.type.numpy_dtype.kind == "f":
        return rng.uniform(*[(0.5, 2), (-2, 2)][rng.integers(2)], shape).astype(x.type.dtype)
    if x.type.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if x.name in ("n", "m"):
        return np.array(rng.integers(0, 5) if length is None else length)
    return rng.integers(0, max(length or 3, 1), shape).astype(x.type.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("id", BUILDS)
def test_values_stay(id, dtype):
    build, named = BUILDS[id]
    before = graph_of(build(*variables(named, dtype)))
    after = rewrite(before, rules_of())
    rng = np.random.default_rng(list(id.encode()))
    fitting = 0
    for _ in range(DRAWS):
        length = [1, 2, 3, 4, None][rng.integers(4 if id in LOOPS else 5)]  # what fits no step may fit a loop of none
        given = {x: drawn(x, length, rng) for x in before.inputs}
        want = outcome(before.outputs, given)
        if not isinstance(want, list):
            continue
        got = outcome(after.outputs, {y: given[x] for x, y in zip(before.inputs, after.inputs, strict=True)})
        assert isinstance(got, list), repr(got)
        for a, b in zip(want, got, strict=True):
            assert (b.shape, b.dtype) == (a.shape, a.dtype)
            finite = np.isfinite(a)
            np.testing.assert_allclose(b[finite], a[finite], *DTYPES[dtype])
        fitting += 1
        if fitting == ENOUGH:
            return
    assert fitting, "no arrays fit"
