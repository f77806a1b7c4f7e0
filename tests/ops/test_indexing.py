"""Indexing against NumPy's, over random indices; Theano's conventions; what errors say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgraph.autodiff.forward import pushforward
from refgraph.autodiff.reverse import pullback
from refgraph.core.errors import BoundsError, DTypeError, GraphTypeError, ShapeError, SymbolicValueError
from refgraph.core.graph import rebuild, toposort
from refgraph.interp.evaluate import evaluate
from refgraph.ops import indexing
from refgraph.ops.indexing import (
    Index,
    IndexUpdate,
    LastWrite,
    inc_subtensor,
    set_subtensor,
)
from refgraph.ops.tensor import INTEGERS, TensorConstant, TensorType, as_tensor
from refgraph.testing.checks import value_at
from refgraph.testing.compare import assert_same


def tensor(dtype, shape, name="x"):
    return TensorType(dtype, shape)(name)


def matrix(name="x"):
    return tensor("float64", (None, None), name)


def vector(name="x", dtype="float64"):
    return tensor(dtype, (None,), name)


# Random indices, each of them as constants and as variables


@st.composite
def arrays_and_indices(draw):
    """An array of rank 0 to 4, and an index as a tuple: mostly one that fits, sometimes one that does not."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    together = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    items, axis, left_out = [], 0, False
    while axis < len(shape):
        kind = draw(st.sampled_from(["int", "slice", "slice", "array", "mask", "none", "ellipsis", "bool", "stop"]))
        n = shape[axis]
        if kind == "stop":
            break
        if kind == "none":
            items.append(None)
        elif kind == "bool" and draw(st.integers(0, 3)) == 0:
            items.append(draw(st.booleans()))
        elif kind == "ellipsis" and not left_out:
            items.append(...)
            left_out = True
            axis += draw(st.integers(0, len(shape) - axis))
        elif kind == "int":
            items.append(draw(positions(n)))
            axis += 1
        elif kind == "slice":
            bound = st.none() | st.integers(-6, 6)
            items.append(slice(draw(bound), draw(bound), draw(st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3]))))
            axis += 1
        elif kind == "array":
            items.append(draw(index_arrays(n, together)))
            axis += 1
        elif kind == "mask":
            rank = draw(st.integers(1, min(2, len(shape) - axis)))
            size = int(np.prod(shape[axis : axis + rank]))
            bits = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            items.append(np.array(bits, bool).reshape(shape[axis : axis + rank]))
            axis += rank
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(float), tuple(items)


def positions(n):
    return st.integers(-n, n - 1) if n else st.just(0)


@st.composite
def index_arrays(draw, n, together):
    shape = tuple(1 if draw(st.integers(0, 3)) == 0 else m for m in together[draw(st.integers(0, len(together))) :])
    count = int(np.prod(shape))
    found = draw(st.lists(positions(n), min_size=count, max_size=count))
    dtype = draw(st.sampled_from(INTEGERS if all(i >= 0 for i in found) else INTEGERS[:4]))
    array = np.array(found, dtype).reshape(shape)
    return array if shape or draw(st.booleans()) else array.tolist()


def made_symbolic(at, draw):
    """The index with some of its integers, bounds, arrays and masks made variables, and their values."""
    given = {}

    def variable(value):
        value = np.asarray(value)
        if value.ndim == 0 and value.dtype != bool:
            value = value.astype(draw(st.sampled_from(["int8", "int32", "int64"])))
        lengths = tuple(draw(st.sampled_from([None, n])) for n in value.shape)
        x = tensor(value.dtype.name, lengths, f"part{len(given)}")
        given[x] = value
        return x

    def maybe(item):
        if item is None or item is ... or draw(st.integers(0, 3)) == 0:
            return item
        if isinstance(item, slice):
            return slice(maybe(item.start), maybe(item.stop), maybe(item.step))
        return variable(item)

    return tuple(maybe(item) for item in at), given


def numpy_says(read):
    try:
        return read()
    except (IndexError, ValueError):
        return None


@settings(max_examples=400, deadline=None)
@given(arrays_and_indices(), st.data())
def test_any_index_picks_what_numpy_picks(case, data):
    array, at = case
    symbolic, values = made_symbolic(at, data.draw)
    want = numpy_says(lambda: array[at])
    for lengths in (array.shape, (None,) * array.ndim):
        x = tensor("float64", lengths)
        for index, parts in ((at, {}), (symbolic, values)):
            if want is None:
                with pytest.raises((IndexError, ValueError)):
                    value_at(x[index], {x: array, **parts})
            else:
                assert_same(value_at(x[index], {x: array, **parts}), want)


@settings(max_examples=300, deadline=None)
@given(arrays_and_indices(), st.data())
def test_any_index_sets_and_adds_as_numpy_does(case, data):
    array, at = case
    places = numpy_says(lambda: np.asarray(np.arange(array.size).reshape(array.shape)[at]))
    if places is None:
        return
    symbolic, values = made_symbolic(at, data.draw)
    shape = np.shape(places)[data.draw(st.integers(0, np.ndim(places))) :]
    shape = tuple(1 if data.draw(st.integers(0, 3)) == 0 else n for n in shape)
    y_value = np.random.default_rng(0).integers(1, 100, shape).astype(float)
    was_set, was_added = array.copy(), array.copy()
    was_set[at] = y_value
    for place, number in zip(places.flat, np.broadcast_to(y_value, places.shape).flat, strict=True):
        was_added.flat[place] += number
    for lengths, y_lengths in ((array.shape, shape), ((None,) * array.ndim, (None,) * len(shape))):
        x, y = tensor("float64", lengths), tensor("float64", y_lengths, "y")
        given = {x: array, y: y_value, **values}
        assert_same(value_at(set_subtensor(x[symbolic], y), given), was_set)
        assert_same(value_at(inc_subtensor(x[symbolic], y), given), was_added)
        assert_same(value_at(inc_subtensor(x[at], y), given), was_added)


@settings(max_examples=200, deadline=None)
@given(arrays_and_indices(), st.data())
def test_cotangents_of_any_index_are_the_explicit_formulas(case, data):
    """Of x[at]: g added at the places. Of setting: g elsewhere to x; to y, g where y's value is what stayed."""
    array, at = case
    places = numpy_says(lambda: np.asarray(np.arange(array.size).reshape(array.shape)[at]))
    if places is None:
        return
    rng = np.random.default_rng(0)
    symbolic, values = made_symbolic(at, data.draw)
    shape = tuple(1 if data.draw(st.integers(0, 3)) == 0 else n for n in places.shape)
    x, y = tensor("float64", (None,) * array.ndim), tensor("float64", (None,) * len(shape), "y")
    picked, changed = x[symbolic], set_subtensor(x[symbolic], y)
    g, h = picked.type.variable(name="g"), x.type.variable(name="h")
    (of_index,) = pullback([picked], [g], [x])
    of_x, of_y = pullback([changed], [h], [x, y])
    g_value, h_value = rng.standard_normal(places.shape), rng.standard_normal(array.shape)
    given = {x: array, y: rng.standard_normal(shape), g: g_value, h: h_value, **values}
    want = np.zeros(array.size)
    np.add.at(want, places, g_value)
    assert_same(value_at(of_index, given), want.reshape(array.shape))
    kept, writer = h_value.copy(), {}
    kept.reshape(-1)[places] = 0
    assert_same(value_at(of_x, given), kept)
    for k in np.ndindex(places.shape):
        writer[places[k]] = k
    want_y = np.zeros(shape)
    for place, k in writer.items():
        want_y[tuple(0 if n == 1 else i for i, n in zip(k, shape, strict=True))] += h_value.reshape(-1)[place]
    assert_same(value_at(of_y, given), want_y)


# Theano's conventions


def test_theano_increments_a_repeated_index_repeatedly():
    x = vector()
    assert value_at(inc_subtensor(x[[0, 0, 1]], 1.0), {x: np.zeros(3)}).tolist() == [2, 1, 0]


def test_theano_keeps_the_last_value_set_at_a_repeated_index():
    x = vector()
    assert value_at(set_subtensor(x[[0, 0, 1]], np.array([1.0, 2, 3])), {x: np.zeros(3)}).tolist() == [2, 3, 0]


def test_theano_indexes_with_a_comparison():
    x = vector()
    assert value_at(x[x > 0], {x: np.array([1.0, -1, 2])}).tolist() == [1, 2]


def test_theano_takes_a_negative_step_and_clips_a_slice():
    x = vector()
    assert value_at(x[::-1], {x: np.array([1.0, 2])}).tolist() == [2, 1]
    assert value_at(x[5:], {x: np.array([1.0, 2])}).tolist() == []


def test_an_index_outside_is_numpys_error_when_the_length_was_unknown():
    x, i = vector(), tensor("int64", (), "i")
    for out in (x[5], x[i]):
        with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 2"):
            evaluate([out], {x: np.zeros(2), i: np.int64(5)})


def test_a_new_axis_alone_is_allowed():
    x = matrix()
    assert x[None].type == TensorType("float64", (1, None, None))


def test_all_of_an_array_can_be_set():
    """So x[:] stays an indexing."""
    x = matrix()
    for place in (x[:], x[...], x[()]):
        assert value_at(set_subtensor(place, 3), {x: np.zeros((2, 2))}).tolist() == [[3, 3], [3, 3]]


def test_setting_through_a_view_changes_what_was_indexed():
    x, a = matrix(), np.arange(6.0).reshape(2, 3)
    out = set_subtensor(x[:, 1:].T, np.array([[1.0, 2], [3, 4]]))
    assert value_at(out, {x: a}).tolist() == [[0, 1, 3], [3, 2, 4]]


def test_theanos_double_transpose_changes_the_variable_itself():
    x, a = matrix(), np.zeros((2, 3))
    out = inc_subtensor(x.T[[0, 2]].T, 1.0)
    assert value_at(out, {x: a}).tolist() == [[1, 0, 1], [1, 0, 1]]


def test_memory_options_of_theano_change_nothing():
    x = vector()
    out = set_subtensor(x[0], 1.0, inplace=True, tolerate_inplace_aliasing=True)
    assert out.owner.op == set_subtensor(x[0], 1.0).owner.op


def test_ignoring_duplicates_adds_once_where_an_index_is_repeated():
    x = vector()
    out = inc_subtensor(x[[0, 1]], 1.0, ignore_duplicates=True)
    assert value_at(out, {x: np.zeros(3)}).tolist() == [1, 1, 0]
    assert LastWrite not in ops_in(pullback([out], [vector("g")], [x]))


def ops_in(outputs):
    return [type(node.op) for node in toposort(outputs)]


# What graphs are made


def test_equal_indices_make_equal_ops():
    x = tensor("float64", (None, None, None))
    same = [x[0], x[0, :], x[0, ...], x[..., 0, :, :], x[0, ::1, :], x[np.int8(0)], x[as_tensor(0)], x[0, 0:]]
    assert len({y.owner.op for y in same}) == 1
    assert x[0].owner.op != x[1].owner.op
    assert x[0].owner.op != x[0:1].owner.op


def test_an_ellipsis_of_no_axis_still_parts_arrays_as_in_numpy():
    x, i = tensor("float64", (3, 4, 5)), [0, 1]
    assert x[:, i, ..., i].type.shape == (2, 3)
    assert x[:, i, i].type.shape == (3, 2)


def test_basic_indices_are_views_and_others_are_not():
    x = matrix()
    assert x[1:, 0].owner.op.views == (0,)
    assert x[[0]].owner.op.views == ()
    assert x[x > 0].owner.op.views == ()


def test_ops_print_as_one_writes_them():
    x, i = matrix(), tensor("int64", (), "i")
    assert str(x[1:, None, i].owner.op) == "index[1:, None, i]"
    assert str(x[i::-1, [0]].owner.op) == "index[i::-1, i[]]"
    assert str(set_subtensor(x[x > 0], 0).owner.op) == "set_subtensor[mask]"
    assert str(inc_subtensor(x[..., 0], 0).owner.op) == "inc_subtensor[:, 0]"


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (np.s_[1:], (2, 4, None)),
        (np.s_[::2, -3:], (2, 3, None)),
        (np.s_[..., 0], (3, 4)),
        (np.s_[:, :, ::-1], (3, 4, None)),
        (np.s_[:, :, :2], (3, 4, None)),
        (np.s_[[0, 1], None], (2, 1, 4, None)),
        (np.s_[[[0], [1]], [0, 1, 2]], (2, 3, None)),
        (np.s_[[True, False, True]], (None, 4, None)),
        (np.s_[True], (None, 3, 4, None)),
    ],
)
def test_lengths_are_known_as_far_as_they_can_be(index, shape):
    assert tensor("float64", (3, 4, None))[index].type.shape == shape


def test_index_arrays_of_unknown_length_may_turn_out_to_be_1():
    x, i = matrix(), vector("i", "int64")
    picked = x[i, [0, 1, 0]]
    assert picked.type.shape == (3,)
    assert value_at(picked, {x: np.eye(2), i: np.array([1])}).tolist() == [0, 1, 0]


def test_numbers_that_the_graph_fixes_become_part_of_the_op():
    x = tensor("float64", (6, None))
    assert x[: x.shape[0] // 2].type.shape == (3, None)
    assert len(x[as_tensor(2)].owner.inputs) == 1


def test_what_is_known_of_a_shape_does_not_depend_on_the_values_of_a_constant():
    """So a constant may be replaced by whatever has its type."""
    x, m = tensor("float64", (3,)), tensor("bool", (3,), "m")
    picked = x[np.array([True, True, False])]
    (other,) = rebuild([picked], {picked.owner.inputs[1]: m})
    assert value_at(other, {x: np.arange(3.0), m: np.array([False, True, False])}).tolist() == [1]


def test_a_length_is_read_directly():
    x = tensor("float64", (None, 3))
    assert x.shape[0].owner.op.name == "shape_i"
    assert x.shape[0].owner.inputs == (x,)
    last = x.shape[-1]
    assert isinstance(last, TensorConstant)
    assert last.value == 3


def test_the_gradient_of_a_basic_index_writes_to_a_slice_once():
    x = matrix()
    y = x[1:, 0]
    (g,) = pullback([y], [vector("g")], [x])
    assert isinstance(g.owner.op, IndexUpdate)
    assert g.owner.op.template == y.owner.op.template


def test_gradients_of_many_readings_add_into_one_array():
    x = matrix()
    array = np.random.default_rng(0).normal(size=(4, 3))
    cost = (x[0] ** 3).sum() + (x[1:3] ** 2).sum() + x[[0, 0, 3], 1].sum() + (x**2).sum() + x[0, 1]
    (g,) = pullback([cost], [as_tensor(1.0)], [x])
    (second,) = pullback([(g * g).sum()], [as_tensor(1.0)], [x])
    want = 2 * array
    want[0] += 3 * array[0] ** 2
    want[1:3] += 2 * array[1:3]
    want[[0, 3], 1] += [3, 1]
    slope = np.full((4, 3), 2.0)
    slope[0] += 6 * array[0]
    slope[1:3] += 2
    np.testing.assert_allclose(value_at(g, {x: array}), want)
    np.testing.assert_allclose(value_at(second, {x: array}), 2 * want * slope)
    assert [node.op.name for node in toposort([g])].count("fill") <= 4  # and no zeros but those


def test_cotangents_of_two_readings_make_no_second_zeros():
    x, g = matrix(), vector()
    total = indexing.add_cotangents(*pullback([x[0], x[1]], [g, None], [x]), *pullback([x[1]], [g], [x]))
    assert [node.op.name for node in toposort([total])].count("fill") == 1
    dense = indexing.add_cotangents(*pullback([x[0]], [g], [x]), x * 2)
    assert [node.op.name for node in toposort([dense])] == ["mul", "inc_subtensor"]
    overwritten = set_subtensor(indexing.fill(x, 0.0)[0], g)
    assert indexing.add_cotangents(x, overwritten).owner.op.name == "add"


def test_an_index_is_not_differentiated():
    x, i = vector(), vector("i", "int64")
    assert pullback([x[i]], [vector("g")], [i]) == [None]


def test_a_broadcast_value_gets_the_sum_of_what_its_copies_get():
    """Also along an axis whose length 1 shows only at run time."""
    x, y, g = matrix("x"), matrix("y"), matrix("g")
    for change in (set_subtensor, inc_subtensor):
        (of_y,) = pullback([change(x[1:], y)], [g], [y])
        g_value = np.arange(12.0).reshape(3, 4)
        given = {x: np.zeros((3, 4)), y: np.zeros((1, 4)), g: g_value}
        assert_same(value_at(of_y, given), g_value[1:].sum(0, keepdims=True))


def test_an_overwritten_value_gets_no_gradient():
    """Exactly, where Theano gave it the gradient of what overwrote it; an infinite one elsewhere does not spoil it."""
    x, y, g = vector("x"), vector("y"), vector("g")
    (of_y,) = pullback([set_subtensor(x[[0, 1, 0]], y)], [g], [y])
    got = value_at(of_y, {x: np.zeros(3), y: np.zeros(3), g: np.array([np.inf, 2, 3])})
    assert got.tolist() == [0, 2, np.inf]


def test_tangents_of_one_side_alone():
    x, y, t = vector("x"), tensor("float64", (), "y"), tensor("float64", (), "t")
    given = {x: np.array([5.0, 6, 7]), y: np.float64(1), t: np.float64(10)}
    for change, of_x in ((set_subtensor, [5, 6, 0]), (inc_subtensor, [5, 6, 7])):
        out = change(x[2], y)
        (tangent,) = pushforward([out], [y], [t])
        assert value_at(tangent, given).tolist() == [0, 0, 10]
        (tangent,) = pushforward([out], [x], [x])
        assert value_at(tangent, given).tolist() == of_x


def test_curvature_through_an_index_and_an_update():
    """f(x) = sum(inc(x[[0, 0]], x[1:3]**2)**2): the second derivative along x, by hand."""
    x, a = vector(), np.array([1.0, 2.0, 3.0])
    out = inc_subtensor(x[[0, 0]], x[1:3] ** 2) ** 2
    (g,) = pullback([out], [out * 0 + 1], [x])
    (h,) = pushforward([g], [x], [as_tensor(np.array([0.0, 1.0, 0.0]))])
    s = a[0] + a[1] ** 2 + a[2] ** 2
    np.testing.assert_allclose(value_at(g, {x: a}), [2 * s, 4 * a[1] * s + 2 * a[1], 4 * a[2] * s + 2 * a[2]])
    np.testing.assert_allclose(value_at(h, {x: a}), [4 * a[1], 8 * a[1] ** 2 + 4 * s + 2, 8 * a[1] * a[2]])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_every_integer_dtype_indexes(dtype):
    x, i, s = vector(), vector("i", dtype), tensor(dtype, (), "s")
    given = {x: np.arange(5.0), i: np.array([3, 1], dtype), s: np.dtype(dtype).type(2)}
    assert value_at(x[i], given).tolist() == [3, 1]
    assert value_at(x[s], given).tolist() == 2
    assert value_at(x[s:], given).tolist() == [2, 3, 4]
    assert value_at(indexing.take(x, i, mode="wrap"), given).tolist() == [3, 1]


# Iteration, assignment


def test_iteration_over_a_known_length():
    x = tensor("float64", (3, None))
    rows = list(x)
    assert [y.type.shape for y in rows] == [(None,)] * 3
    assert value_at(rows[2], {x: np.eye(3)}).tolist() == [0, 0, 1]


def test_iteration_over_a_shape():
    x = matrix()
    rows, columns = x.shape
    assert [value_at(rows, {x: np.zeros((2, 5))}), value_at(columns, {x: np.zeros((2, 5))})] == [2, 5]


@pytest.mark.parametrize("shape", [(None, 3), ()])
def test_iteration_over_an_unknown_length_is_refused_at_once(shape):
    x = tensor("float64", shape)
    with pytest.raises(SymbolicValueError, match="iteration over x"):
        iter(x)


def test_assignment_says_what_to_write():
    x = vector()
    with pytest.raises(SymbolicValueError, match="set_subtensor"):
        x[0] = 1.0


# What errors say


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda x: x[5], BoundsError, "index: 5 is out of bounds for axis 0 of float64[3, 4], which has length 3"),
        (lambda x: x[5], BoundsError, "use an index from -3 to 2"),
        (lambda x: x[:, [0, -5]], BoundsError, "-5 is out of bounds for axis 1"),
        (lambda x: x[3:][0], BoundsError, "the axis is empty"),
        (lambda x: x[0, 0, 0], BoundsError, "too many indices for float64[3, 4]: it has 2 axes, the index uses 3"),
        (lambda x: x[0, 0, 0], BoundsError, "drop an index, or add axes"),
        (lambda x: x[1.0], DTypeError, "cannot index with 1.0 (float)"),
        (lambda x: x[1.0], DTypeError, "divide with //"),
        (lambda x: x[x], DTypeError, "convert the index with .astype('int64'), or make a mask"),
        (lambda x: x["a"], GraphTypeError, "an index is made of integers, slices, ..., None"),
        (lambda x: x[np.ones((3, 3), bool)], ShapeError, "axis 1 has length 4, axis 1 of the mask 3"),
        (lambda x: x[[0, 1], [0, 1, 2]], ShapeError, "index arrays of shapes (2,) and (3,) cannot be broadcast"),
        (lambda x: x[[0, 1], [0, 1, 2]], ShapeError, "use x[rows][:, columns]"),
        (lambda x: set_subtensor(x, 1.0), GraphTypeError, "write set_subtensor(x[index], y); for all of x use x[...]"),
        (lambda x: set_subtensor(x[0], np.zeros(3)), ShapeError, "float64[3] does not fit a place of shape (4,)"),
        (lambda x: inc_subtensor(x[:1, 0], np.zeros(3)), ShapeError, "never the place to the value"),
        (lambda x: set_subtensor(x[0], 1j), DTypeError, "the number 1j does not fit into float64 without loss"),
        (lambda x: set_subtensor(x.astype("float32")[0], x[0]), DTypeError, "float64[4] does not fit into float32"),
        (lambda x: set_subtensor(x.astype("int32")[0], x[0]), DTypeError, "convert the value with .astype('int32')"),
    ],
)
def test_errors_say_what_was_received_and_what_to_do(make, error, says):
    with pytest.raises(error) as caught:
        make(tensor("float64", (3, 4)))
    assert says in str(caught.value)


def test_nothing_is_outside_when_nothing_is_picked():
    """As in NumPy."""
    x = tensor("float64", (3, 4))
    assert value_at(x[[9], []], {x: np.zeros((3, 4))}).shape == (0,)


def test_a_python_number_takes_the_dtype_of_the_array():
    for dtype, number in (("float32", 0.5), ("int8", 3), ("float64", True), ("complex64", 1j)):
        x = vector(dtype=dtype)
        assert value_at(set_subtensor(x[0], number), {x: np.zeros(2, dtype)}).dtype == dtype


# Functions beside the brackets


def test_unravelled_positions_ravel_to_the_numbers():
    n = vector("n", "int64")
    at = indexing.unravel_index(n, (3, 4, 5), order="F")
    numbers = np.arange(60)
    assert value_at(indexing.ravel_multi_index(at, (3, 4, 5), order="F"), {n: numbers}).tolist() == numbers.tolist()


def test_an_inverse_permutation_undoes():
    x, p = matrix(), tensor("int32", (None, None), "p")
    order = np.array([[2, 0, 1], [0, 2, 1]], np.int32)
    given = {x: np.arange(6.0).reshape(2, 3), p: order}
    there = indexing.permute_row_elements(x, p)
    back = indexing.permute_row_elements(there, p, inverse=True)
    assert_same(value_at(back, given), given[x])
    assert_same(value_at(indexing.inverse_permutation(p), given), np.array([[1, 2, 0], [0, 2, 1]]))


def test_put_along_axis_of_the_flattened_array():
    x = matrix()
    out = indexing.put_along_axis(x, [5, 0], np.array([7.0, 8.0]), None)
    assert value_at(out, {x: np.zeros((2, 3))}).tolist() == [[8, 0, 0], [0, 0, 7]]


def test_sparse_grad_is_the_variable():
    x = vector()
    assert indexing.sparse_grad(x[0]).owner.op == x[0].owner.op


def test_choose_takes_more_arrays_than_numpy_does():
    a = vector("a", "int64")
    choices = np.arange(100.0)
    assert value_at(indexing.choose(a, choices), {a: np.array([99, 0])}).tolist() == [99, 0]


def test_adding_at_rows_agrees_with_adding_one_by_one():
    """The flat route of the op, on rows, columns, apart, masked and with an Ellipsis."""
    rng = np.random.default_rng(1)
    i, j, mask = rng.integers(-3, 3, (2, 5)), rng.integers(0, 4, 5), np.array([True, False, True])
    for at in (
        np.s_[i],
        np.s_[:, i],
        np.s_[i, :, j],
        np.s_[..., i, 0],
        np.s_[None, i, j],
        np.s_[mask, :, [1, 1]],
        np.s_[True, i],
    ):
        x, array = tensor("float64", (3, 4, 4)), np.zeros((3, 4, 4))
        places = np.arange(array.size).reshape(array.shape)[at]
        y = rng.standard_normal(places.shape)
        want = np.bincount(places.ravel(), y.ravel(), array.size).reshape(array.shape)
        np.testing.assert_allclose(value_at(inc_subtensor(x[at], y), {x: array}), want, atol=1e-12)


def test_a_value_is_broadcast_to_an_index_of_two_dimensions():
    """np.add.at itself reads beyond the value here (NumPy 2.4.6)."""
    x = vector()
    out = inc_subtensor(x[[[0, 1], [2, 0]]], np.array([1.0, 10.0]))
    assert value_at(out, {x: np.zeros(3)}).tolist() == [11, 10, 1]


def test_ops_are_equal_by_what_they_do():
    template = matrix()[0].owner.op.template
    assert Index(template) == Index(template)
    assert IndexUpdate(template, True) != IndexUpdate(template, False)
    assert hash(IndexUpdate(template, True)) == hash(IndexUpdate(template, True))
