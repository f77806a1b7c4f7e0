"""Many items at once. Every op's own samples are tried in tests/ops/test_samples.py; here is what these do not say."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.graph import toposort
from refgraph.core.op import Op
from refgraph.interp.evaluate import evaluate
from refgraph.ops.subgraph import OpFromGraph
from refgraph.ops.vectorize import vectorize
from refgraph.testing.checks import loops, op_names, symbols, value_of, watched_evaluate

RNG = np.random.default_rng(3)


def check_items(build, arrays, many, looped=False):
    """`build` of the arrays, for several of those numbered in `many`, is what it is of each; and takes no loop."""
    for known in (False, True):
        single = [a[0] if i in many else a for i, a in enumerate(arrays)]
        variables = symbols(single, known)
        out = build(*variables)
        stacks = {i: symbols([arrays[i]], known)[0] for i in many}
        (found,) = vectorize([out], {variables[i]: s for i, s in stacks.items()})
        assert bool(loops(found)) is looped, op_names(found)
        given = dict(zip(variables, single, strict=True)) | {s: arrays[i] for i, s in stacks.items()}
        (got,) = watched_evaluate([found], given)
        for k in range(len(arrays[many[0]])):
            items = [a[k] if i in many else a for i, a in enumerate(arrays)]
            (want,) = evaluate([out], dict(zip(variables, items, strict=True)))
            np.testing.assert_allclose(got[k] if found.ndim > out.ndim else got, want, rtol=1e-12, err_msg=f"item {k}")


X = RNG.normal(size=(5, 4, 6, 3))
MANY_X = RNG.normal(size=(2, 5, 4, 6, 3))
I = np.array([[0, 3, 1], [2, 2, 0]])  # a row for each of two items
J = np.array([[1, 1, 3], [0, 3, 3]])
K = np.array([2, 1])

INDICES = {
    "rows": lambda x, i, j, k: x[i],
    "second axis": lambda x, i, j, k: x[:, i],
    "pairs": lambda x, i, j, k: x[i, j],
    "pairs, later": lambda x, i, j, k: x[:, i, j],
    "apart": lambda x, i, j, k: x[i, :, j],
    "apart, later": lambda x, i, j, k: x[:, i, :, k],
    "number": lambda x, i, j, k: x[k],
    "number, later": lambda x, i, j, k: x[:, k],
    "numbers apart": lambda x, i, j, k: x[k, :, k],
    "number and slice": lambda x, i, j, k: x[1:, k, ::-1],
    "new axis": lambda x, i, j, k: x[None, :, i],
    "new axis between": lambda x, i, j, k: x[i, None, j],
    "dots": lambda x, i, j, k: x[..., k],
    "dots before": lambda x, i, j, k: x[..., i, k],
    "ranks": lambda x, i, j, k: x[:, i[:, None] % 3, j],
    "fixed and own": lambda x, i, j, k: x[1, i],
    "fixed array and own": lambda x, i, j, k: x[:, np.array([[0], [2]]), i],
    "mask and own": lambda x, i, j, k: x[np.array([True, False, True, False, True]), i],
}


@pytest.mark.parametrize("many", [(0,), (1, 2, 3), (0, 1, 2, 3), (0, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("pick", INDICES.values(), ids=list(INDICES))
def test_indices_of_each_item(pick, many):
    arrays = [MANY_X if 0 in many else X, *[a if n in many else a[0] for n, a in enumerate((I, J, K), 1)]]
    check_items(pick, arrays, many)
    for change in (T.inc_subtensor, T.set_subtensor):
        check_items(lambda *args, change=change: change(pick(*args), 1.5), arrays, many)


@pytest.mark.parametrize("many", [(1,), (0, 1, 4), (1, 2, 3, 4), (2, 3, 4), (0, 2)], ids=str)
@pytest.mark.parametrize("pick", INDICES.values(), ids=list(INDICES))
@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_updates_of_each_item(pick, many, dropped):
    """With y of the place's rank, or lower, which is broadcast to it."""
    place = value_of(pick, X, I[0], J[0], K[0])
    y = RNG.normal(size=(2, *place.shape[dropped:]))
    arrays = [MANY_X if 0 in many else X, y if 1 in many else y[0]]
    arrays += [a if n in many else a[0] for n, a in enumerate((I, J, K), 2)]
    for change in (T.inc_subtensor, T.set_subtensor):
        check_items(lambda x, y, *index, change=change: change(pick(x, *index), y), arrays, many)


def test_slices_and_masks_of_each_item_are_looped():
    x = RNG.normal(size=6)
    check_items(lambda x, n: x[n : n + 2], [x, np.array([1, 3])], (1,), looped=True)
    masks = np.array([[True, False] * 3, [False, True] * 3])
    check_items(lambda x, m: x[m] * 2, [x, masks], (1,), looped=True)


def test_only_the_node_without_a_form_is_looped():
    class Reversed(Op):
        """x backwards, without a form for many items."""

        name = "reversed"

        def infer(self, x):
            return (x.type,)

        def impl(self, x):
            return x[::-1].copy()

    x = T.dmatrix("x")
    many = T.dtensor3("many")
    (found,) = vectorize([T.exp(Reversed()(T.tanh(x)) + 1)], {x: many})
    (name,) = loops(found)
    assert [n for n in op_names(found) if n in (name, "tanh", "add", "exp")] == ["tanh", name, "add", "exp"]
    arrays = RNG.normal(size=(3, 2, 4))
    np.testing.assert_allclose(found.eval({many: arrays}), np.exp(np.tanh(arrays)[:, ::-1] + 1))


def test_what_does_not_depend_on_the_items_is_shared():
    x, y = T.dvector("x"), T.dvector("y")
    shared = T.exp(y)
    many = T.dmatrix("many")
    found, same = vectorize([x * shared, shared], {x: many})
    assert same is shared
    assert shared.owner in toposort([found])


def test_what_takes_only_the_shape_of_an_item_has_no_axis_for_items():
    x = T.dmatrix("x")
    many = T.dtensor3("many")
    rows, shape, count, like = vectorize(
        [x.shape[0], x.shape, x.mean() * 0 + x.shape[1], T.zeros((x.shape[1],))], {x: many}
    )
    assert [rows.ndim, shape.ndim, count.ndim, like.ndim] == [0, 1, 1, 1]
    value = np.zeros((3, 2, 5))
    assert rows.eval({many: value}) == 2
    assert shape.eval({many: value}).tolist() == [2, 5]
    assert count.eval({many: value}).tolist() == [5, 5, 5]


def test_broadcasting_that_is_decided_at_run_time():
    """sum_to inside a Jacobian: y has one row or as many as x."""
    x, y = T.dmatrix("x"), T.dmatrix("y")
    j = T.jacobian((x * y).sum(axis=1), y)
    assert not loops(j)
    a = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(j.eval({x: a, y: np.ones((1, 3))}), a[:, None, :])
    want = np.einsum("ij,ik->ikj", a, np.eye(2))
    np.testing.assert_allclose(j.eval({x: a, y: np.ones((2, 3))}), want)
    np.testing.assert_allclose(j.eval({x: a, y: np.ones((2, 1))}), np.einsum("ij,ik->ik", a, np.eye(2))[..., None])


def test_a_single_item_and_none():
    """As many items as axes have length 1, where broadcasting could mistake one for the other."""
    for n in (1, 0):
        check = RNG.normal(size=(n, 1, 3))
        x, y, many = T.dmatrix("x"), T.dmatrix("y"), T.dtensor3("many")
        (found,) = vectorize([T.dot(y, x * y[:1, :1] + x.sum()).sum(axis=0)], {x: many})
        got = found.eval({many: check, y: np.full((4, 1), 2.0)})
        np.testing.assert_allclose(got, 8 * (check * 2 + check.sum(axis=(1, 2), keepdims=True))[:, 0])


def test_a_graph_as_an_op_stays_one():
    x, y = T.dvector("x"), T.dscalar("y")
    op = OpFromGraph([x, y], [T.tanh(x) * y, y + 1], name="layer")
    a, b, many = T.dvector("a"), T.dscalar("b"), T.dmatrix("many")
    first, second = vectorize(op(a, b), {a: many})
    assert [node.op.name for node in toposort([first])] == ["layer"]
    assert second.ndim == 0
    value = RNG.normal(size=(3, 2))
    np.testing.assert_allclose(first.eval({many: value, b: 2.0}), np.tanh(value) * 2)


def test_overridden_derivatives_stay_with_the_items():
    x = T.dscalar("x")
    op = OpFromGraph([x], [x * x], lop_overrides=lambda inputs, outputs, grads: [grads[0] * 100])
    many = T.dvector("many")
    (found,) = vectorize([op(x)], {x: many})
    assert T.grad(found.sum(), many).eval({many: [1.0, 2.0]}).tolist() == [100, 100]


def test_a_deep_graph():
    x, many = T.dvector("x"), T.dmatrix("many")
    y = x
    for _ in range(100_000):
        y = -y
    (found,) = vectorize([y], {x: many})
    assert len(toposort([found])) == 100_000


def test_nothing_given_changes_nothing():
    x = T.dvector("x")
    y = T.exp(x)
    assert vectorize([y], {}) == [y]


def test_origins_are_kept():
    x, many = T.dvector("x"), T.dmatrix("many")
    y = T.exp(x)
    (found,) = vectorize([y], {x: many})
    assert found.owner.origin == y.owner.origin


def test_the_result_can_be_differentiated():
    """Through the ops that only come of many items: broadcasts, moved axes, indices of each item."""
    x, i, many = T.dmatrix("x"), T.lvector("i"), T.lmatrix("many")
    (found,) = vectorize([(x[i] ** 2).sum(axis=1)], {i: many})
    rows = np.array([[0, 1], [2, 2]])
    weights = np.arange(4.0).reshape(2, 2)
    value = RNG.normal(size=(3, 2))
    got = T.grad((found * weights).sum(), x).eval({x: value, many: rows})
    want = np.zeros((3, 2))
    np.add.at(want, rows, 2 * value[rows] * weights[..., None])
    np.testing.assert_allclose(got, want)
