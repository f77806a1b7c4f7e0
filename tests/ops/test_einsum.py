"""Einsum against NumPy: its notations, its gradients where axes broadcast, and what its graphs look like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import toposort
from refgraph.interp.evaluate import evaluate
from refgraph.ops.einsum import Einsum, einsum
from refgraph.ops.tensor import TensorType
from refgraph.testing.checks import symbol, value_of
from refgraph.testing.verify_grad import numeric_gradient


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-2, 2, shape)


def check_gradients(function, *arrays):
    """Those of the weighted sum of the elements; as that is multilinear, differences over any step are exact."""
    xs = [symbol(a) for a in arrays]
    weights = draw(*np.shape(value_of(function, *arrays)), seed=9)
    found = evaluate(grad((function(*xs) * weights).sum(), xs), dict(zip(xs, arrays, strict=True)))
    wanted = numeric_gradient(lambda *points: np.sum(weights * value_of(function, *points)), arrays, 0.5)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, strict=True)


def summed_to(x, shape):
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    return x.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ij->ji", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("ij->j", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iii->i", [(2, 2, 2)]),
        ("iij->j", [(2, 2, 3)]),
        ("iji->ij", [(2, 3, 2)]),
        ("ijij->ji", [(2, 3, 2, 3)]),
        ("ii,i->i", [(3, 3), (3,)]),
        ("ii,jj->ij", [(3, 3), (2, 2)]),
        ("i,i", [(3,), (3,)]),
        ("i,j->ij", [(3,), (4,)]),
        ("i,j->", [(3,), (4,)]),
        ("ij,k->i", [(2, 3), (4,)]),
        ("ij,ij,ij->i", [(2, 3)] * 3),
        ("i,ij,j->", [(2,), (2, 3), (3,)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
        ("...ij,...jk->...ik", [(2, 3, 4), (4, 2)]),
        ("...ij,...jk", [(2, 1, 2, 3), (3, 3, 2)]),
        ("i...,...i->...", [(3, 2), (2, 3)]),
        ("...,...->...", [(2, 3), (3,)]),
        ("...ii->...", [(2, 3, 3)]),
        ("i...->i...", [(2, 3)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("ij,ij->ij", [(2, 1), (1, 3)]),
        ("ij,ij->", [(2, 1), (1, 3)]),
        ("ij,j,j->i", [(2, 3), (1,), (3,)]),
        ("ii,i->i", [(1, 1), (3,)]),
        (",i->i", [(), (3,)]),
        ("->", [()]),
        ("Ba,aC->CB", [(2, 3), (3, 4)]),
        ("ba,cb", [(2, 3), (4, 2)]),
        ("abcd,efbg,cehk->adfghk", [(1, 2, 3, 1), (2, 1, 2, 2), (3, 2, 1, 2)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
    ],
)
def test_einsum_is_numpys_with_its_gradients(subscripts, shapes):
    arrays = [draw(*s, seed=i) for i, s in enumerate(shapes)]
    want = np.einsum(subscripts, *arrays)
    for known in (False, True):
        value = value_of(lambda *xs: einsum(subscripts, *xs), *arrays, known=known)
        np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-14)
    if subscripts != "ij,ij,ij->i":  # the differences are exact where each operand enters once
        check_gradients(lambda *xs: einsum(subscripts, *xs), *arrays)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_einsum_broadcasts_at_run_time_with_right_gradients(data):
    """Each axis is 1 or n, its length known or not; the gradient is that of operands broadcast first, then summed."""
    subscripts = data.draw(st.sampled_from(["ij,jk->ik", "ij,ij->i", "ij,j,i->", "ij,kj->ik", "i,ij->ji", "ij,k->k"]))
    terms, out = subscripts.split("->")
    terms, sizes = terms.split(","), {"i": 2, "j": 3, "k": 2}
    operands = []
    for k, term in enumerate(terms):
        a = draw(*[1 if data.draw(st.booleans()) else sizes[c] for c in term], seed=k)
        operands.append((a, TensorType("float64", tuple(n if data.draw(st.booleans()) else None for n in a.shape))()))
    arrays, xs = zip(*operands, strict=True)
    lengths = dict.fromkeys(sizes, 1)
    for term, a in zip(terms, arrays, strict=True):
        lengths.update({c: n for c, n in zip(term, a.shape, strict=True) if n != 1})
    full = [np.broadcast_to(a, [lengths[c] for c in t]) for t, a in zip(terms, arrays, strict=True)]
    z = einsum(subscripts, *xs)
    g = draw(*[lengths[c] for c in out], seed=7)
    value, *got = evaluate([z, *grad((z * g).sum(), list(xs))], dict(zip(xs, arrays, strict=True)))
    np.testing.assert_allclose(value, np.einsum(subscripts, *full), rtol=1e-12, atol=1e-14)
    for i, (term, a) in enumerate(zip(terms, arrays, strict=True)):
        ones = np.ones([lengths[c] for c in term])
        spelled = ",".join([out, term, *terms[:i], *terms[i + 1 :]]) + "->" + term
        want = np.einsum(spelled, g, ones, *full[:i], *full[i + 1 :])
        np.testing.assert_allclose(got[i], summed_to(want, a.shape), rtol=1e-12, atol=1e-14)


def test_einsum_of_one_variable_used_twice_adds_both_gradients():
    x = draw(3)
    a = symbol(x)
    (g,) = evaluate([grad(einsum("i,i->", a, a), a)], {a: x})
    np.testing.assert_allclose(g, 2 * x)


@pytest.mark.parametrize(
    "args",
    [
        ("x", [0, 1], "y", [1, 2], [0, 2]),
        ("x", [0, 1], "y", [1, 2]),
        ("x", [5, 1], "y", [1, 2]),
        ("y", [..., 1], "y", [1, ...], [...]),
        ("x", [0, 1], "y", [1, 2], []),
        ("y", [0, 0], [0]),
    ],
)
def test_einsum_takes_lists_of_numbers_between_the_operands(args):
    arrays = {"x": draw(2, 3), "y": draw(3, 3)}
    variables = {k: symbol(a) for k, a in arrays.items()}

    def among(values):
        return [values[a] if isinstance(a, str) else a for a in args]

    (value,) = evaluate([einsum(*among(variables))], {variables[k]: a for k, a in arrays.items()})
    np.testing.assert_allclose(value, np.einsum(*among(arrays)), rtol=1e-13)


def test_einsum_that_only_moves_axes_is_a_transposition():
    x = symbol(draw(2, 3, 4))
    assert einsum("ijk->ijk", x) is x
    assert not any(isinstance(node.op, Einsum) for node in toposort([einsum("ijk->kij", x)]))


def test_einsums_that_differ_in_letters_only_are_one_op():
    x, y = symbol(draw(2, 3)), symbol(draw(3, 4))
    assert (
        einsum("ij,jk->ik", x, y).owner.op == einsum("pq,qr", x, y).owner.op == einsum(x, [7, 9], y, [9, 20]).owner.op
    )


def test_einsum_promotes_once_for_all_operands():
    """int8 with uint8 is int16, but beside a float16 all three are float16, in whatever order they are multiplied."""
    arrays = [np.ones(2, "int8"), np.ones(2, "uint8"), np.ones(2, "float16")]
    assert value_of(lambda *xs: einsum("i,i,i->i", *xs), *arrays).dtype == np.result_type(*arrays)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "needs subscripts"),
        ((3, "x"), r"x0 \(TensorVariable\) is no list of indices"),
        (("x", 3), r"3 \(int\) is no list of indices"),
        (("x",), "is no list of indices"),
        (("x", [0, "a"]), "'a' is no index"),
        (("x", [..., ...]), "Ellipsis occurs twice"),
        (("x", [0, 52]), "52 is no index"),
    ],
)
def test_einsum_refuses_bad_lists(args, says):
    x = symbol(draw(2, 2))
    with pytest.raises(GraphTypeError, match=says):
        einsum(*[x if a == "x" else a for a in args])


def test_a_diagonal_of_unequal_axes_is_refused_when_it_runs():
    x = symbol(draw(2, 3))
    with pytest.raises(ValueError, match="don't match"):
        evaluate([einsum("ii->i", x)], {x: draw(2, 3)})
