"""Sums of exponentials, and quotients by them, in each spelling."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.graph import Graph
from refgraph.interp.evaluate import evaluate
from refgraph.ops import elementwise as e
from refgraph.ops.reductions import count
from refgraph.ops.tensor import TensorType
from refgraph.rewrite.engine import rewrite

from .far import assert_close, dtypes, rows, values_and_gradient
from .forms import assert_form, rules_of
from .rooms import assert_values_stay, rules_in

x, y, z, w = T.dvectors("x", "y", "z", "w")
m, targets = T.dmatrices("m", "targets")
t3 = T.dtensor3("t3")
s = T.dscalar("s")
labels = T.lvector("labels")
exp, log, logsumexp, softmax, logsoftmax = T.exp, T.log, T.logsumexp, T.nnet.softmax, T.nnet.logsoftmax
softplus, rows_of = T.nnet.softplus, T.arange(labels.shape[0])

FORMS = {
    "logaddexp of three": (log(exp(x) + exp(y) + exp(z)), e.logaddexp(e.logaddexp(x, y), z)),
    "logaddexp with 1": (log(1 + exp(x) + exp(y)), e.logaddexp(softplus(x), y)),
    # sums of exponentials
    "logsumexp": (log(exp(m).sum()), logsumexp(m)),
    "logsumexp by rows": (log(exp(m).sum(axis=1)), logsumexp(m, axis=1)),
    "logsumexp by columns, kept": (log(exp(m).sum(axis=0, keepdims=True)), logsumexp(m, axis=0, keepdims=True)),
    "logsumexp of two axes": (log(exp(t3).sum(axis=(0, 2))), logsumexp(t3, axis=(0, 2))),
    "logsumexp of a mean": (log(exp(x).mean()), logsumexp(x) - log(count(x, (0,)).astype("float64"))),
    "logsumexp, scaled": (log(2 * exp(x).sum()), logsumexp(x) + np.log(2)),
    "logsumexp, divided": (log(exp(x).sum() / 4), logsumexp(x) - np.log(4)),
    "logsumexp beside exp": (log(exp(s) + exp(x).sum()), e.logaddexp(s, logsumexp(x))),
    "logsumexp, centered": (x.max() + log(exp(x - x.max()).sum()), logsumexp(x)),
    "logsumexp by rows, centered": (
        m.max(axis=1) + log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1)),
        logsumexp(m, axis=1),
    ),
    "logsumexp by rows, centered and kept": (
        m.max(axis=1, keepdims=True) + log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)),
        logsumexp(m, axis=1, keepdims=True),
    ),
    "logsumexp by rows, centered by dimshuffle": (
        m.max(axis=1) + log(exp(m - m.max(axis=1).dimshuffle(0, "x")).sum(axis=1)),
        logsumexp(m, axis=1),
    ),
    # softmax
    "softmax of a vector": (exp(x) / exp(x).sum(), softmax(x)),
    "softmax by rows": (exp(m) / exp(m).sum(axis=1, keepdims=True), softmax(m)),
    "softmax by rows, by dimshuffle": (exp(m) / exp(m).sum(1).dimshuffle(0, "x"), softmax(m)),
    "softmax by rows, by None": (exp(m) / exp(m).sum(1)[:, None], softmax(m)),
    "softmax by rows, by reshape": (exp(m) / exp(m).sum(1).reshape((m.shape[0], 1)), softmax(m)),
    "softmax by columns": (exp(m) / exp(m).sum(axis=0), softmax(m, axis=0)),
    "softmax by columns, kept": (exp(m) / exp(m).sum(axis=0, keepdims=True), softmax(m, axis=0)),
    "softmax, transposed": ((exp(m).T / exp(m).sum(axis=1)).T, softmax(m)),
    "softmax of the transpose": (exp(m.T) / exp(m.T).sum(axis=0), softmax(m).T),
    "softmax of all": (exp(m) / exp(m).sum(), softmax(m, axis=None)),
    "softmax of a middle axis": (exp(t3) / exp(t3).sum(axis=1, keepdims=True), softmax(t3, axis=1)),
    "softmax of two axes": (exp(t3) / exp(t3).sum(axis=(0, 2), keepdims=True), softmax(t3, axis=(0, 2))),
    "softmax, scaled": (3 * exp(x) / exp(x).sum(), 3 * softmax(x)),
    "softmax by a reciprocal": (exp(x) * (1 / exp(x).sum()), softmax(x)),
    "softmax, centered": (
        exp(m - m.max(axis=1, keepdims=True)) / exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True),
        softmax(m),
    ),
    "softmax of what is shifted": (softmax(m + m.mean(axis=1, keepdims=True)), softmax(m)),
    "softmax of a number more": (softmax(x + s), softmax(x)),
    "softmax of x less a number": (logsoftmax(x - s), logsoftmax(x)),
    "softmax of a number less x": (softmax(s - x), softmax(-x)),
    "softmax with a bias": (softmax(m + w), softmax(m + w)),
    "no softmax: rows divided by sums of columns": (exp(m) / exp(m).sum(axis=1), exp(m) / exp(m).sum(axis=1)),
    "no softmax: of something else": (exp(x) / exp(y).sum(), exp(x) / exp(y).sum()),
    # log of softmax
    "logsoftmax": (log(softmax(m)), logsoftmax(m)),
    "logsoftmax, written out": (log(exp(m) / exp(m).sum(axis=1, keepdims=True)), logsoftmax(m)),
    "logsoftmax as a difference": (m - log(exp(m).sum(axis=1, keepdims=True)), logsoftmax(m)),
    "logsoftmax as a difference, by dimshuffle": (m - log(exp(m).sum(axis=1)).dimshuffle(0, "x"), logsoftmax(m)),
    "logsoftmax as a difference, by None": (m - log(exp(m).sum(axis=1))[:, None], logsoftmax(m)),
    "logsoftmax of a vector as a difference": (x - log(exp(x).sum()), logsoftmax(x)),
    "logsoftmax, centered": (
        (m - m.max(axis=1, keepdims=True)) - log(exp(m - m.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)),
        logsoftmax(m),
    ),
    "crossentropy": (-log(softmax(m))[rows_of, labels], -logsoftmax(m)[rows_of, labels]),
    "crossentropy, picked before": (-log(softmax(m)[rows_of, labels]), -logsoftmax(m)[rows_of, labels]),
    "crossentropy of a row": (log(softmax(m)[0, 1]), logsoftmax(m)[0, 1]),
    "crossentropy of a distribution": (
        T.nnet.categorical_crossentropy(softmax(m), targets),
        -(targets * logsoftmax(m)).sum(axis=-1),
    ),
}


@pytest.mark.parametrize("id", FORMS)
def test_form(id):
    before, after = FORMS[id]
    assert_form(before, after, "canonical", "stable")


def test_values_stay_and_every_rule_is_in_the_table():
    """For arrays of many shapes, also those with which the sums do not fit what they divide."""
    applied = set()
    for id, (before, _) in FORMS.items():
        applied |= assert_values_stay(before, rules_of("canonical", "stable"), id)
    assert {r.name for r in rules_in("softmax")} <= applied


SUMS = {
    "vector": (lambda v: log(exp(v).sum()), (None,)),
    "by rows": (lambda v: log(exp(v).sum(axis=1)), (None, None)),
    "by rows, kept": (lambda v: log(exp(v).sum(axis=1, keepdims=True)), (None, None)),
    "by columns": (lambda v: log(exp(v).sum(axis=0)), (None, None)),
    "all": (lambda v: log(exp(v).sum()), (None, None)),
    "centered": (lambda v: v.max(axis=1) + log(exp(v - v.max(axis=1, keepdims=True)).sum(axis=1)), (None, None)),
}


@dtypes
@pytest.mark.parametrize("name", sorted(SUMS))
def test_logsumexp_and_its_derivative_are_exact_far_out(name, dtype):
    build, shape = SUMS[name]
    v = TensorType(dtype, shape)("v")
    x = rows(dtype)[0] if len(shape) == 1 else rows(dtype)
    axis = {"by columns": 0, "all": (0, 1), "vector": 0}.get(name, 1)
    found = build(v)

    value, slope = values_and_gradient([found], found.sum(), v, {v: x})

    top = x.max(axis=axis, keepdims=True)
    total = top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    assert_close(value, total if "kept" in name else total.squeeze(axis), dtype)
    assert_close(slope, np.exp(x - total), dtype)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint64"])
def test_log_of_sum_of_exp_of_integers_keeps_its_dtype(dtype):
    x = T.tensor(dtype, (None,), name="x")
    z = T.log(T.exp(x).sum())
    found = rewrite(Graph([x], [z]), rules_of("canonical", "stable")).outputs[0]
    assert found.type.dtype == z.type.dtype
    assert_close(*evaluate([found, z], {x: np.array([0, 1, 1], dtype)}), z.type.dtype)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32"])
@pytest.mark.parametrize("shifted", [lambda y, c: y + c, lambda y, c: c - y])
def test_softmax_of_shifted_keeps_its_dtype(shifted, dtype):
    y, c = T.tensor(dtype, (None, None), name="y"), T.dcol("c")
    z = T.nnet.softmax(shifted(y, c))
    found = rewrite(Graph([y, c], [z]), rules_of("canonical", "stable")).outputs[0]
    given = {y: np.array([[0, 1, 1], [1, 0, 1]], dtype), c: np.array([[3.0], [4.0]])}
    assert found.type.dtype == "float64"
    assert_close(*evaluate([found, z], given), "float64")


@pytest.mark.parametrize("one", [1, np.ones(3)])
def test_log_of_exponentials_of_several_dtypes_is_computed_in_the_widest(one):
    v = T.fvector("v")
    given = {v: np.array([1, -2, 3], "float32"), y: np.array([0.5, 3, -1])}
    outputs = [log(one + exp(v) + exp(y)), log(T.constant(1.0) + exp(v)), exp(v) / (exp(y) + exp(v))]
    found = rewrite(Graph(list(given), outputs), rules_of("canonical", "stable")).outputs
    for got, want in zip(evaluate(found, given), evaluate(outputs, given), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-6)
