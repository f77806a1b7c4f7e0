"""Kernels that move elements: in any layout, by any index, in place; and which of them are views."""

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.backend import DTYPES, Graph, Plan, SumTo, TensorType
from refgraph_cython.lower.program import program

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _variable(value):
    return TensorType(str(value.dtype), (None,) * value.ndim).variable()


def _both(formula, *values):
    """What the program and the interpreter compute."""
    inputs = [_variable(v) for v in values]
    graph = Graph(inputs, [formula(*inputs)])
    return program(graph)(*values)[0], Plan(graph)(*values)[0]


def _assert_same(formula, *values):
    got, want = _both(formula, *values)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def _numbers(rng, shape, dtype):
    x = rng.integers(0, 2 if dtype == "bool" else 100, shape)
    return np.asarray(x + 2j * x if dtype.startswith("complex") else x, dtype)


# copies


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 5), (64, 64), (37, 129), (200, 33), (700, 701)])
def test_a_transposed_matrix_is_copied_right_at_the_edges_of_tiles(dtype, shape):
    x = _numbers(np.random.default_rng(0), shape, dtype)
    _assert_same(lambda x: T.stack([x.T]), x)


_LENGTHS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 130)


def _flipped(x):
    """Transposed matrices of which elements lie together, in either direction, along either axis or none."""
    return [x.T, x[::-1].T, x[:, ::-1].T, x[::-1, ::-1].T, x[:, ::2].T, x[::3].T]


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "float64", "complex128"])
def test_elements_of_every_size_are_turned_right_whatever_the_lengths_and_directions(dtype):
    rng, x, y = np.random.default_rng(0), *[TensorType(dtype, (None, None)).variable() for _ in range(2)]
    copied = program(Graph([x], [x]))
    joined = program(Graph([x], [T.concatenate([x, x[:1]])]))
    into = program(Graph([x, y], [T.set_subtensor(y[::-1, ::-1], x)]))
    added = program(Graph([x, y], [x + y]))
    for n in _LENGTHS:
        for m in _LENGTHS:
            for part in _flipped(_numbers(rng, (n, m), dtype)):
                other = _numbers(rng, part.shape, dtype)
                np.testing.assert_array_equal(copied(part)[0], part)
                np.testing.assert_array_equal(joined(part)[0], np.concatenate([part, part[:1]]))
                np.testing.assert_array_equal(into(part, other)[0], part[::-1, ::-1])
                np.testing.assert_array_equal(added(part, other)[0], part + other)


@pytest.mark.parametrize("seed", range(60))
def test_any_layout_is_copied_right(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, rng.integers(1, 6)))
    whole = _numbers(rng, tuple(2 * n for n in shape), rng.choice(DTYPES))
    part = whole[tuple([slice(None, None, 2) if rng.random() < 0.5 else slice(n, None) for n in shape])]
    part = part[tuple([slice(None, None, rng.choice([-1, 1])) for _ in shape])]
    order = rng.permutation(len(shape)).tolist()
    _assert_same(lambda x: T.stack([x.transpose(order), x.transpose(order)], 1), part)


def test_a_large_copy_is_the_same_on_any_number_of_threads():
    x = np.random.default_rng(0).standard_normal((3, 600, 700)).astype("float32")
    _assert_same(lambda x: T.concatenate([x.transpose((2, 0, 1)), x.transpose((2, 0, 1))], 1), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", DTYPES)
def test_a_join_widens_each_part_as_numpy_does(dtype, other):
    parts = [np.array([0, 1, 2, 100]).astype(dtype), np.array([1, 0, 3]).astype(other)]
    _assert_same(lambda x, y: T.concatenate([x, y]), *parts)


# views


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x[3:-4],
        lambda x: x[::-2, 5],
        lambda x: x.T,
        lambda x: x.reshape((x.shape[0], 10, -1)),
        lambda x: T.broadcast_to(x, (5, x.shape[0], x.shape[1])),
        lambda x: T.diagonal(x),
        lambda x: T.grad_clip(x, -1, 1),
    ],
)
def test_what_can_be_a_view_takes_no_memory(formula):
    """But for a few numbers: the view is measured, not returned."""
    x = T.matrix("x", dtype="float64")
    made = program(Graph([x], [T.shape(formula(x))]))
    made(np.zeros((300, 300)))
    assert made.counters["bytes"] < 20 * 500 * 8


def test_a_minibatch_with_bounds_that_are_inputs_is_a_view():
    x, i = T.matrix("x", dtype="float64"), T.lscalar("i")
    made = program(Graph([x, i], [T.shape(x[i * 20 : (i + 1) * 20])[:1]]), lambda node, why: node.op.impl)
    assert made(np.zeros((90, 500)), np.array(1))[0].tolist() == [20]
    assert made(np.zeros((90, 500)), np.array(4))[0].tolist() == [10]
    assert made.counters["bytes"] < 20 * 500 * 8


# indices


def _index(rng, shape):
    """A random index of an array, of every kind of item, and whether arrays are in it."""
    items, axis = [], 0
    arrays = rng.random() < 0.6
    lengths = [(3,), (2, 3), (1,), (0,), (600,)][rng.integers(5)]
    while axis < len(shape) and rng.random() < 0.9:
        n, kind = shape[axis], rng.integers(9)
        if kind == 0:
            items.append(None)
            continue
        if kind == 1 and Ellipsis not in [i for i in items if not isinstance(i, np.ndarray)]:
            items.append(Ellipsis)
            axis += rng.integers(len(shape) - axis + 1)
            continue
        if kind < 4:
            bounds = [None if rng.random() < 0.3 else int(b) for b in rng.integers(-7, 8, 2)]
            items.append(slice(*bounds, [None, 1, 2, -1, -3, 10**18][rng.integers(6)]))
        elif kind < 6 or not arrays:
            items.append(np.array(rng.integers(-n, n), rng.choice(_INTEGERS[:4])))
        elif kind < 8:
            dtype = rng.choice(_INTEGERS)
            low = 0 if dtype.startswith("u") else -n
            items.append(rng.integers(low, n, lengths[rng.integers(len(lengths)) :]).astype(dtype))
        else:
            items.append(rng.random(n) < 0.5)
        axis += 1
    return items


def _case(seed):
    """An array in some layout, an index of it, and what indexes a variable so, given the variables in the index."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, rng.integers(1, 5)))
    x = _numbers(rng, shape, rng.choice(DTYPES))
    x = x.T.copy().T if rng.random() < 0.3 else x[..., ::-1] if rng.random() < 0.3 else x
    items = _index(rng, shape)
    given = [i for i in items if isinstance(i, np.ndarray)]

    def of(variables):
        rest = iter(variables)
        return tuple([next(rest) if isinstance(i, np.ndarray) else i for i in items])

    return rng, x, tuple(items), given, of


_CASES = range(400)


def _place(x, items):
    """What NumPy picks, or None where the index does not fit."""
    try:
        return x[items]
    except IndexError:
        return None


def test_any_index_picks_what_the_interpreter_picks():
    for seed in _CASES:
        _, x, items, given, of = _case(seed)
        if _place(x, items) is not None:
            _assert_same(lambda x, *parts, of=of: x[of(parts)], x, *given)


@pytest.mark.parametrize("change", [T.set_subtensor, T.inc_subtensor])
def test_any_index_updates_what_the_interpreter_updates(change):
    for seed in _CASES:
        rng, x, items, given, of = _case(seed)
        place = _place(x, items)
        if place is None or not items:
            continue
        shape = [1 if rng.random() < 0.2 else n for n in place.shape[rng.integers(place.ndim + 1) :]]
        y = _numbers(rng, shape, str(x.dtype))
        _assert_same(lambda x, y, *parts, of=of: change(x[of(parts)], y), x, y, *given)


def test_an_index_out_of_bounds_is_refused_wherever_it_is():
    x, i = T.vector("x", dtype="float64"), T.lvector("i")
    picked = refgraph.function([x, i], x[i], backend="cython")
    for at in (0, 700, 1999):
        for outside in (-6, 5, 2**62, -(2**63)):
            where = np.zeros(2000, "int64")
            where[at] = outside
            with pytest.raises(IndexError):
                picked(np.zeros(5), where)


def test_no_index_is_looked_at_where_nothing_is_picked():
    _assert_same(lambda x, i, j: x[i, j], np.zeros((2, 3)), np.array([9]), np.zeros(0, "int64"))


def test_a_large_unsigned_index_counts_from_the_end_as_numpy_has_it():
    _assert_same(lambda x, i: x[i], np.arange(5.0), np.array([2**64 - 1], "uint64"))


# in place


def test_a_row_of_a_table_is_added_to_where_it_is():
    table, i = refgraph.shared(np.zeros((4, 3)), "table"), T.lvector("i")
    step = refgraph.function([i], [], updates={table: T.inc_subtensor(table[i], 1.0)}, backend="cython")
    step(np.array([1, 1, 3]))
    step(np.array([0]))
    np.testing.assert_array_equal(table.get_value()[:, 0], [1, 2, 0, 1])


def test_an_index_out_of_bounds_leaves_the_table_as_it_was():
    table, i = refgraph.shared(np.zeros((4, 3)), "table"), T.lvector("i")
    step = refgraph.function([i], [], updates={table: T.inc_subtensor(table[i], 1.0)}, backend="cython")
    for indices in ([0, 4], [0] * 2000 + [-5]):
        with pytest.raises(IndexError):
            step(np.array(indices))
        np.testing.assert_array_equal(table.get_value(), np.zeros((4, 3)))


@pytest.mark.parametrize(
    "new",
    [
        lambda s: T.set_subtensor(s[1:], s[:-1]),
        lambda s: T.set_subtensor(s[:-1], s[1:]),
        lambda s: T.inc_subtensor(s[::-1], s),
        lambda s: T.set_subtensor(s[[3, 2, 1, 0]], s[1:5]),
        lambda s: T.inc_subtensor(s[s.astype("int64") % 6], s),
    ],
)
def test_a_state_that_moves_within_itself_is_read_before_it_is_written(new):
    state = refgraph.shared(np.arange(6.0), "state")
    step = refgraph.function([], [], updates={state: new(state)}, backend="cython")
    x = T.vector("x", dtype="float64")
    want = refgraph.function([x], new(x))(np.arange(6.0))
    step()
    np.testing.assert_array_equal(state.get_value(), want)


# sums


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "target", [(1, 1, 1), (1, 5, 1), (7, 1, 1), (1, 1, 300), (7, 1, 300), (7, 5, 1), (5, 1), (5, 300), (300,), ()]
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_sums_to_any_shape_agree(dtype, target, order):
    x = _numbers(np.random.default_rng(0), (7, 5, 300), dtype)
    x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    x = x / np.float16(16) if dtype == "float16" else x
    got, want = _both(SumTo(), x, np.zeros(target, dtype))
    assert got.dtype == want.dtype
    if dtype == "float16":  # which the interpreter rounds more often
        want = _both(SumTo(), x.astype("float64"), np.zeros(target))[1].astype(dtype)
    np.testing.assert_allclose(got, want, rtol={"float16": 1e-3, "float32": 1e-5}.get(dtype, 1e-6))


def test_a_long_sum_in_single_precision_keeps_its_digits():
    x = np.full((1, 1_000_003), 0.1, "float32")
    got, _ = _both(SumTo(), x, np.zeros((1, 1), "float32"))
    np.testing.assert_allclose(got, x.sum(dtype="float64"), rtol=1e-6)
