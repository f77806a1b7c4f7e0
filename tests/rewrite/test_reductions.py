"""Reductions: which forms they get, and that values and dtypes stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.ops import reductions as r
from refgraph.ops.elementwise import fill, logical_or
from refgraph.ops.tensor import TensorType
from refgraph.rewrite.engine import rewrite

from .forms import assert_form
from .rooms import assert_same_meaning, assert_values_stay, rules_in

RULES = rules_in("axes", "indexing", "reductions")
x, y = T.dmatrices("x", "y")
v, w = T.dvectors("v", "w")
t = T.dtensor3("t")
a, b = T.dscalars("a", "b")
row, col = T.drow("row"), T.dcol("col")
n, m = T.lscalars("n", "m")
f32, f16, c128 = T.fmatrix("f32"), T.matrix("f16", dtype="float16"), T.zmatrix("c128")
i8, i64, u64, truth = (T.matrix(d, dtype=d) for d in ("int8", "int64", "uint64", "bool"))
number8, number64, half = T.bscalar("number8"), T.lscalar("number64"), T.scalar("half", dtype="float16")
single = T.fscalar("single")


def sized(*shape, dtype="float64"):
    return T.tensor(dtype, shape, "s")


SIX, ODD, BYTE = sized(6), sized(3), sized(1, 3, dtype="int8")
SUM, PRODUCT, STACK = x.sum(axis=0), 2 * x, T.stack([v, w])
ABSOLUTE, ROW = abs(x).prod(), row.dimshuffle(1)


def same(*outputs):
    """For what is to stay as it is."""
    return (outputs[0],) * 2 if len(outputs) == 1 else (list(outputs),) * 2


def times(value, n):
    return value * T.cast(n, value.dtype)


TABLE = {
    # over one element, over none
    "over no axes": (x.sum(axis=()), x),
    "over no axes, of integers": (i8.sum(axis=()), i8.astype("int64")),
    "over no axes, any": (x.any(axis=()), T.neq(x, 0)),
    "over one element": (row.sum(axis=0), row.dimshuffle(1)),
    "over one element, kept": (row.max(axis=0, keepdims=True), row),
    "over one element, of integers": (BYTE.prod(axis=0), BYTE.dimshuffle(1).astype("int64")),
    "mean over one element": (BYTE.mean(axis=0), BYTE.dimshuffle(1).astype("float64")),
    "over one element and others": (row.sum(), row.sum(axis=1).dimshuffle()),
    "over one element and others, kept": (row.sum(keepdims=True), row.sum(axis=1, keepdims=True)),
    "the place of one element": (T.argmax(row, axis=0), fill(row.dimshuffle(1), np.int64(0))),
    "the place among others": (T.argmax(row), T.argmax(row, axis=1).dimshuffle()),
    "norm of one element": (r.norm(row, axis=0), abs(row.dimshuffle(1))),
    "logsumexp of one element": (r.logsumexp(row, axis=0), row.dimshuffle(1)),
    "nonzero ones of one element": (r.count_nonzero(row, axis=0), T.neq(row.dimshuffle(1), 0).astype("int64")),
    "of a number": (a.sum(), a),
    # reductions of reductions
    "sum of sum": (t.sum(axis=2).sum(axis=0), t.sum(axis=(0, 2))),
    "sum of all": (t.sum(axis=1).sum(), t.sum()),
    "product of product": (x.prod(axis=0).prod(), x.prod()),
    "max of max": (x.max(axis=1).max(), x.max()),
    "any of any": (x.any(axis=0).any(), x.any()),
    "mean of mean": (x.mean(axis=0).mean(), x.mean()),
    "norm of norm": (r.norm(r.norm(c128, axis=0)), r.norm(c128)),
    "logsumexp of logsumexp": (r.logsumexp(r.logsumexp(x, axis=0)), r.logsumexp(x)),
    "sum of a count": (r.count_nonzero(x, axis=0).sum(), r.count_nonzero(x)),
    "sum of sum of integers": (i8.sum(axis=0).sum(), i8.sum()),
    "sum of sum, first kept": (
        t.sum(axis=1, keepdims=True).sum(axis=0),
        t.sum(axis=(0, 1)).dimshuffle("x", 0),
    ),
    "sum of sum, second kept": (
        t.sum(axis=1).sum(axis=1, keepdims=True),
        t.sum(axis=(1, 2)).dimshuffle(0, "x"),
    ),
    "sum of max": same(x.max(axis=0).sum()),
    "argmax of argmax": same(T.argmax(T.argmax(x, axis=0), axis=0)),
    "sum in another dtype": same(f32.sum(axis=0).sum(dtype="float64")),
    "sum of a sum that is needed": same(SUM.sum(), SUM),
    # other axes
    "of a transpose": (x.T.sum(axis=0), x.sum(axis=1)),
    "of all of a transpose": (x.T.max(), x.max()),
    "of added axes": (v.dimshuffle("x", 0, "x").sum(), v.sum()),
    "of an added axis": (v.dimshuffle("x", 0).sum(axis=0), v),
    "of a dropped axis": (row.dimshuffle(1).prod(), row.prod(axis=1).dimshuffle()),
    "of a transpose, kept": (x.T.sum(axis=0, keepdims=True), x.sum(axis=1).dimshuffle("x", 0)),
    "of other axes": (t.dimshuffle(2, 0, 1).sum(axis=1), t.sum(axis=0).dimshuffle(1, 0)),
    "place in a transpose": (T.argmax(x.T, axis=0), T.argmax(x, axis=1)),
    "place in all of a transpose": same(T.argmax(x.T)),
    "of all of a reshape": (x.reshape((n, m)).sum(), x.sum()),
    "of all of a reshape, kept": (x.reshape((n, m)).max(keepdims=True), x.max().dimshuffle("x", "x")),
    "place in all of a reshape": (T.argmax(x.reshape((-1,))), T.argmax(x)),
    "of some of a reshape": same(x.reshape((n, m)).sum(axis=0)),
    # what is broadcast
    "sum of fill": (fill(v, a).sum(), times(a, v.shape[0])),
    "sum of alloc": (T.alloc(a, n, 3).sum(), times(a, n * 3)),
    "sum of an alloc of known length": (T.alloc(a, 2, 3).sum(), 6 * a),
    "sum of alloc along one axis": (T.alloc(a, n, m).sum(axis=0), T.alloc(times(a, n), m)),
    "sum of alloc, kept": (T.alloc(a, n, 3).sum(axis=1, keepdims=True), T.alloc(a * 3, n, 1)),
    "sum of an alloc of a vector": (T.alloc(v, 3, v.shape[0]).sum(axis=0), 3 * v),
    "sum of all of an alloc of a vector": same(T.alloc(v, 3, n).sum()),
    "sum of all of an alloc of a known vector": (T.alloc(SIX, 3, 6).sum(), SIX.sum() * 3),
    "sum of booleans": (T.alloc(T.gt(a, 0), n).sum(), T.gt(a, 0).astype("int64") * n),
    "sum of halves": (
        T.alloc(half, n).sum(),
        (half.astype("float32") * n.astype("float32")).astype("float16"),
    ),
    "product of fill": (fill(v, a).prod(), a ** v.shape[0].astype("float64")),
    "mean of alloc": (T.alloc(a, n).mean(), a),
    "greatest of alloc": (T.alloc(a, 3).max(), a),
    "greatest of what may be nothing": same(T.alloc(a, n).max()),
    "any of alloc": (T.alloc(a, 3).any(), T.neq(a, 0)),
    # what all have in common
    "sum scaled": ((2 * x).sum(), 2 * x.sum()),
    "sum scaled by a number": ((x * a).sum(axis=0), x.sum(axis=0) * a),
    "sum scaled by a row": ((x * row).sum(axis=0), x.sum(axis=0) * row.dimshuffle(1)),
    "sum scaled by a column": ((x * col).sum(axis=1), x.sum(axis=1) * col.dimshuffle(0)),
    "sum scaled by a row, kept": ((x * row).sum(axis=0, keepdims=True), x.sum(axis=0, keepdims=True) * row),
    "sum scaled along the axis": same((x * row).sum(axis=1)),
    "sum of an outer product": ((v * w.dimshuffle(0, "x")).sum(axis=1), v.sum() * w),
    "sum divided": ((x / a).sum(), x.sum() / a),
    "sum divided by a column": ((x / col).sum(axis=1), x.sum(axis=1) / col.dimshuffle(0)),
    "sum of quotients": same((a / x).sum()),
    "mean scaled": ((2 * x).mean(), 2 * x.mean()),
    "sum negated": ((-x).sum(axis=0), -(x.sum(axis=0))),
    "mean negated": ((-x).mean(), -(x.mean())),
    "sum scaled and negated": ((a * -x).sum(), a * -(x.sum())),
    "sum of scaled integers": ((number64 * i64).sum(), number64 * i64.sum()),
    "sum of scaled bytes, which wrap": same((number8 * i8).sum()),
    "sum of bytes scaled to 64 bits": ((number64 * i8).sum(), number64 * i8.sum()),
    "sum of negative bytes, which wrap": same((-i8).sum()),
    "sum of scaled halves, which overflow": same((half * f16).sum()),
    "sum scaled by something wider": ((a * f32).sum(), a * r.sum.over(f32, None, False, "float64")),
    "sum of floats in a given dtype": same((single * f32).sum(dtype="float64")),
    "mean of scaled integers": same((number64 * i64).mean()),
    "product of negatives": ((-SIX).prod(), SIX.prod()),
    "product of an odd number of negatives": ((-ODD).prod(), -(ODD.prod())),
    "product of some negatives": ((-v).prod(), T.cast(1 - 2 * (v.shape[0] % 2), "float64") * v.prod()),
    "product of scaled integers": ((number64 * i64).prod(axis=0), number64 ** i64.shape[0] * i64.prod(axis=0)),
    "product of scaled floats, which may overflow": same((a * x).prod()),
    "greatest of negatives": ((-x).max(axis=0), -(x.min(axis=0))),
    "least of negatives": ((-x).min(), -(x.max())),
    "greatest of negative bytes, which wrap": same((-i8).max()),
    "greatest of exp": same(T.exp(x).max()),
    "place of the greatest of softmax": (T.argmax(T.nnet.softmax(x), axis=1), T.argmax(x, axis=1)),
    "place of the greatest of logsoftmax": (T.argmax(T.nnet.logsoftmax(x), axis=1), T.argmax(x, axis=1)),
    "place of the greatest of softmax along another axis": same(T.argmax(T.nnet.softmax(x), axis=0)),
    "place of the least of sigmoid": (T.argmin(T.nnet.sigmoid(x)), T.argmin(x)),
    # what is put together
    "sum of a stack": (T.stack([x, y]).sum(axis=0), x + y),
    "greatest of a stack": (T.stack([v, w], 1).max(axis=1), T.maximum(v, w)),
    "product of a stack of three": (T.stack([a, b, a]).prod(), a * b * a),
    "any of a stack": (T.stack([a, b]).any(), logical_or(T.neq(a, 0), T.neq(b, 0))),
    "sum of all of a stack": (T.stack([x, y]).sum(), x.sum() + y.sum()),
    "sum of a join": (T.concatenate([v, w]).sum(), v.sum() + w.sum()),
    "sum of a join along another axis": same(T.concatenate([x, y]).sum(axis=1)),
    "greatest of a join": (T.concatenate([SIX, ODD]).max(), T.maximum(SIX.max(), ODD.max())),
    "greatest of a join of what may be nothing": same(T.concatenate([v, w]).max()),
    "least of a join, of columns": (T.concatenate([row, row + 1]).min(axis=0), T.minimum(ROW, ROW + 1)),
    "sum of a stack of bytes": (T.stack([i8, i8]).sum(axis=0), i8.astype("int64") + i8.astype("int64")),
    "sum of a stack of three, as precise": (
        T.stack([f32, f32, f32]).sum(axis=0),
        (f32.astype("float64") + f32.astype("float64") + f32.astype("float64")).astype("float32"),
    ),
    "sum of a join, as precise": (
        T.concatenate([f32, f32]).sum(),
        (f32.sum(dtype="float64") + f32.sum(dtype="float64")).astype("float32"),
    ),
    "sum of a stack that is needed": same(STACK.sum(axis=0), STACK),
    "sum of a long stack": same(T.stack([v] * 9).sum(axis=0)),
    # logarithms
    "log of a product": (T.log(abs(x).prod(axis=1)), T.log(abs(x)).sum(axis=1)),
    "log of a product, kept": (T.log(T.exp(x).prod(keepdims=True)), T.log(T.exp(x)).sum(keepdims=True)),
    "log of a product of what may be negative": same(T.log(x.prod())),
    "log of a product of integers": same(T.log(truth.prod())),
    "log of a product that is needed": same(T.log(ABSOLUTE), ABSOLUTE),
}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, rules=RULES)


def test_values_stay_and_every_rule_is_in_the_table():
    applied = set()
    for id, (before, _) in TABLE.items():
        applied |= assert_values_stay(before, RULES, id, 2e-3 if "halves" in id else 1e-6 if "wider" in id else 1e-12)
    assert {r.name for r in rules_in("reductions")} - applied == set()


def test_the_derivative_of_a_greatest_still_finds_it():
    """It compares with the greatest, which must be the same to the last digit."""
    for z in ((-x).max(axis=0), T.exp(x).max(axis=0), (3 * x).min(axis=0)):
        g = T.grad(z.sum(), x)
        value = np.random.default_rng(3).normal(size=(7, 5))
        assert_same_meaning([g], {x: value}, RULES)


def test_floats_that_nearly_cancel_stay_as_precise():
    s = T.fvector("s")
    big = np.array([1e8, 1, -1e8], "float32")
    for z in (T.concatenate([s, s]).sum(), T.stack([s[0], s[1], s[2]]).sum(), (3 * s).sum()):
        (made,) = rewrite(Graph([s], [z]), RULES).outputs
        assert evaluate([made], {s: big}) == evaluate([z], {s: big})


ROWS = {"sum": T.sum, "prod": T.prod, "max": T.max, "min": T.min, "mean": T.mean, "any": T.any, "all": T.all}
ROWS |= {"argmax": T.argmax, "norm": r.norm, "count": r.count_nonzero}
DTYPES = {"float64": 1e-9, "float32": 1e-4, "float16": 3e-2, "int64": 0, "int8": 0, "uint8": 0, "bool": 0}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_chains_of_reductions(data):
    """Whatever is scaled, moved, broadcast, put together and reduced: the same values and dtypes."""
    dtype = data.draw(st.sampled_from(sorted(DTYPES)), "dtype")
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=3), "shape"))
    known = data.draw(st.tuples(*[st.booleans()] * len(shape)), "known")
    c = TensorType(dtype, [d if k else None for d, k in zip(shape, known, strict=True)])("c")
    s = TensorType(dtype, ())("s")
    rng = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    low, high = (-1, 3) if dtype[0] == "f" else (0, 2) if dtype == "bool" else (0, 100)
    values = {x: rng.integers(low, high, shape if x.type.ndim else ()).astype(dtype) for x in (c, s)}
    made = [c]
    for _ in range(data.draw(st.integers(1, 6), "changes")):
        try:
            made.append(_changed(data, data.draw(st.sampled_from(made), "of"), made, s))
        except (RefgraphError, ValueError):
            continue
    if any(not np.all(np.isfinite(value)) for value in evaluate_or_none(made, values)):
        return
    assert_same_meaning([made[-1], data.draw(st.sampled_from(made), "too")], values, RULES, DTYPES[dtype])


def evaluate_or_none(outputs, values):
    try:
        return evaluate(outputs, values)
    except ValueError:
        return []


KINDS = [
    "reduce",
    "reduce",
    "reduce",
    "scale",
    "divide",
    "negate",
    "order",
    "reshape",
    "fill",
    "alloc",
    "join",
    "stack",
]


def _changed(data, x, made, s):
    kind, other = data.draw(st.sampled_from(KINDS)), data.draw(st.sampled_from([*made, s]))
    if kind == "reduce":
        axes = data.draw(st.none() | st.lists(st.integers(0, max(x.ndim - 1, 0)), unique=True, max_size=2))
        return ROWS[data.draw(st.sampled_from(sorted(ROWS)))](x, axis=axes, keepdims=data.draw(st.booleans()))
    if kind == "order":
        return x.dimshuffle(*data.draw(st.permutations([*range(x.ndim), "x"][: max(x.ndim, 3)])))
    if kind == "reshape":
        return x.reshape(data.draw(st.sampled_from([(-1,), (-1, 1), (1, -1), (x.size, 1)])))
    if kind in ("join", "stack"):
        return (T.concatenate if kind == "join" else T.stack)([x, other, x][: data.draw(st.integers(2, 3))])
    if kind == "alloc":
        return T.alloc(x, 2, *[x.shape[a] for a in range(x.ndim)])
    makes = {"scale": lambda: x * other, "divide": lambda: x / other, "negate": lambda: -x, "fill": lambda: fill(x, s)}
    return makes[kind]()
