"""NumPy's functions on variables: the graph computes what NumPy does, or the error says what to write."""

import numpy as np
import pytest
import scipy.special

import refgraph.ops.elementwise as E
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Variable
from refgraph.core.op import OPS
from refgraph.interp.evaluate import evaluate
from refgraph.ops import numpy_dispatch
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import TensorType

A = np.array([[-2.0, 0.5, 1.0], [0.25, 3.0, -1.5]])
V = np.array([1.0, 2.0, 3.0])
x = TensorType("float64", (None, None))("x")

SAME = {
    "array + variable": lambda x: V + x,
    "array > variable": lambda x: V > x,
    "array @ variable": lambda x: A.T @ x,
    "numpy scalar * variable": lambda x: np.float64(2) * x,
    "exp": lambda x: np.exp(x),
    "maximum": lambda x: np.maximum(x, 0),
    "remainder": lambda x: np.remainder(x, 2),
    "absolute": np.absolute,
    "rint": np.rint,
    "modf": np.modf,
    "frexp": np.frexp,
    "divmod": lambda x: np.divmod(x, 2.0),
    "matmul": lambda x: np.matmul(A.T, x),
    "scipy.special.erf": scipy.special.erf,
    "scipy.special.expit": scipy.special.expit,
    "scipy.special.gammaln": lambda x: scipy.special.gammaln(x + 3),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.reduce to a dtype": lambda x: np.add.reduce(x, axis=1, dtype="float32"),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=1, keepdims=True),
    "multiply.reduce of all": lambda x: np.multiply.reduce(x, axis=None),
    "logical_or.reduce": lambda x: np.logical_or.reduce(x > 2, axis=0),
    "add.accumulate": lambda x: np.add.accumulate(x),
    "multiply.outer": lambda x: np.multiply.outer(x, V),
    "sum": lambda x: np.sum(x, axis=0),
    "mean": np.mean,
    "max": lambda x: np.max(x, axis=1, keepdims=True),
    "amin": lambda x: np.amin(x, axis=0),
    "prod": lambda x: np.prod(x, axis=(0, 1)),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "std": np.std,
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": np.argmin,
    "any": lambda x: np.any(x > 2, axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "where": lambda x: np.where(x > 0, x, V),
    "where of an array": lambda x: np.where(A > 0, x, 0),
    "where alone": lambda x: np.where(x > 0),
    "clip": lambda x: np.clip(x, 0, 1),
    "clip from above": lambda x: np.clip(x, None, 1),
    "round": np.round,
    "around": lambda x: np.around(x, 1),
    "isclose": lambda x: np.isclose(x, 1),
    "nan_to_num": np.nan_to_num,
    "real": np.real,
    "angle": np.angle,
    "sinc": np.sinc,
    "dot": lambda x: np.dot(A.T, x),
    "outer": lambda x: np.outer(x[0], x[1]),
    "tensordot": lambda x: np.tensordot(x, A, axes=[[1], [1]]),
    "concatenate": lambda x: np.concatenate([x, A]),
    "stack": lambda x: np.stack([x, A], axis=1),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": np.transpose,
    "squeeze": lambda x: np.squeeze(x[None], axis=0),
    "ravel": np.ravel,
    "size": np.size,
    "zeros_like": np.zeros_like,
    "ones_like": lambda x: np.ones_like(x, dtype="int8"),
    "copy": np.copy,
}


@pytest.mark.parametrize("build", SAME.values(), ids=SAME)
def test_the_graph_computes_what_numpy_does(build):
    built, want = build(x), build(A)
    many = isinstance(want, tuple)
    assert all(isinstance(v, Variable) for v in (built if many else [built]))
    got = evaluate(built if many else [built], {x: A})
    for g, w in zip(got, want if many else [want], strict=True):
        assert np.asarray(g).dtype == np.asarray(w).dtype
        np.testing.assert_allclose(g, w, rtol=1e-14)


def test_the_rank_is_an_int():
    assert np.ndim(x) == 2


def test_every_ufunc_that_a_row_means_makes_that_row():
    for op in [op for op in OPS.values() if isinstance(op, Elemwise) and isinstance(op.impl, np.ufunc)]:
        inputs = [TensorType(next(d for k, d in KINDS.items() if k in r.kinds), (None,))() for r in op.on]
        if all(k in r.kinds for r in op.on for k in "iu"):
            inputs = [TensorType("int64", (None,))() for _ in op.on]
        made = numpy_dispatch.ufunc(op.impl, "__call__", inputs, {})
        assert made in inputs or made.owner.op is op, op.name


KINDS = {"f": "float64", "i": "int64"}

REFUSED = {
    "out": (lambda: np.add(x, 1, out=A), "an array cannot hold a variable", "b = a + x"),
    "in place": (lambda: A.__iadd__(x), "an array cannot hold a variable", "b = a + x"),
    "where": (lambda: np.add(x, 1, where=A > 0), "where= has no graph", "T.switch"),
    "dtype": (lambda: np.add(x, 1, dtype="float32"), "dtype= has no graph", "x.astype(dtype)"),
    "at": (lambda: np.add.at(x, 0, 1), "the method at has no graph", "T.inc_subtensor"),
    "reduceat": (lambda: np.add.reduceat(x, [0, 1]), "the method reduceat has no graph", "T.stack"),
    "reduce": (lambda: np.hypot.reduce(x), "np.hypot.reduce has no graph", "np.add"),
    "reduce where": (lambda: np.add.reduce(x, where=A > 0), "where= has no graph", "T.sum"),
    "no such ufunc": (lambda: scipy.special.exprel(x), "scipy.special.exprel does not work", "the nearest is T.exp"),
    "no such function": (lambda: np.cumulative_sum(x), "np.cumulative_sum does not work", "the nearest is T.cumsum"),
    "other module": (lambda: np.linalg.norm(x), "np.linalg.norm does not work", "the nearest is T.norm"),
    "argument": (lambda: np.sum(x, where=A > 0), "np.sum: where= has no graph", "axis"),
    "several arguments": (lambda: np.mean(x, out=A), "np.mean: out= has no graph", "keepdims"),
}


@pytest.mark.parametrize(("use", "says", "helps"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_graph_is_refused_with_what_to_write(use, says, helps):
    with pytest.raises(GraphTypeError) as caught:
        use()
    assert says in caught.value.message
    assert helps in caught.value.help


def test_a_gradient_flows_through_numpys_functions():
    from refgraph.autodiff.reverse import grad

    g = grad(np.sum(np.where(x > 0, np.exp(x), 0)), x)
    np.testing.assert_allclose(evaluate([g], {x: A})[0], np.where(A > 0, np.exp(A), 0))


def test_a_row_is_called_the_same_by_both_names():
    assert np.exp(x).owner.op is E.exp
    assert scipy.special.expit(x).owner.op is E.sigmoid
