"""Indexing and assignment: which forms they get, and that values and IndexErrors stay."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph import scan
from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply, Graph, toposort
from refgraph.ops.construct import ARange
from refgraph.ops.elementwise import fill
from refgraph.ops.indexing import Index, IndexUpdate
from refgraph.ops.scan import Scan
from refgraph.ops.shape import Shape
from refgraph.ops.tensor import TensorType, constant
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.indexing import item_of_slice, slice_of_slice

from .forms import assert_form, rewritten
from .rooms import assert_same_meaning, assert_values_stay, outcome, rules_in

RULES = rules_in("axes", "indexing")
x, y = T.dmatrices("x", "y")
v, w = T.dvectors("v", "w")
t = T.dtensor3("t")
a, b = T.dscalars("a", "b")
row, col = T.drow("row"), T.dcol("col")
i, j, n = T.lscalars("i", "j", "n")
idx, other = T.lvectors("idx", "other")
mask = T.vector("mask", dtype="bool")
ONE, TWO = constant(np.array(1)), constant(np.array(2))


def sized(*shape):
    return T.tensor("float64", shape, "s")


FOUR, PAIR, SIX = sized(4), sized(2), sized(6)
BLOCK, FLOOR, LINE, VALUE = sized(3, 4), sized(1, 4), sized(4), sized(2)
EXP, DOT, JOINED = T.exp(x), T.dot(x, y), T.concatenate([PAIR, v])
ZEROS, ZEROS3 = T.zeros_like(x), T.zeros_like(t)
PICKS = np.array([0, 2])
setting, adding = T.set_subtensor, T.inc_subtensor
SET, ADDED = setting(FOUR[1:3], VALUE), adding(FOUR[1:3], VALUE)


def same(*outputs):
    """For what is to stay as it is."""
    return (outputs[0],) * 2 if len(outputs) == 1 else (list(outputs),) * 2


TABLE = {
    # spelling
    "everything": (x[...], x),
    "whole slices": (x[:, 0 : x.shape[1]], x),
    "a whole slice beside an index": (x[0 : x.shape[0], i], x[:, i]),
    "an assignment to a new axis": (setting(v[1:, None], col), setting(v[1:], col.dimshuffle(0))),
    "an assignment to a new axis beside an index": (adding(x[i, None, 1:], row), adding(x[i, 1:], row.dimshuffle(1))),
    "a slice to a known length": (BLOCK[:, 0:4], BLOCK),
    "a slice beyond a known length": (BLOCK[i, 0:9], BLOCK[i]),
    "a slice from before the beginning": (BLOCK[-3:], BLOCK),
    "an index that became known": (Index(x[i].owner.op.template)(x, ONE), x[1]),
    "bounds that became known": (Index(x[i:j].owner.op.template)(x, ONE, TWO), x[1:2]),
    "a new axis": (x[:, None], x.dimshuffle(0, "x", 1)),
    "a new axis beside an index": (t[i, None, 1:], t[i, 1:].dimshuffle("x", 0, 1)),
    "new axes at both ends": (v[None, :, None], v.dimshuffle("x", 0, "x")),
    "the only row": (row[0], row.dimshuffle(1)),
    "the only row from the end": (row[-1, :], row.dimshuffle(1)),
    "the only column": (col[:, 0], col.dimshuffle(0)),
    "the only row and an element of it": same(row[0, 1]),
    "a row by number": same(row[i]),
    # an index of an index
    "beginning, then beginning": (v[1:][2:], v[3:]),
    "beginning, then element": (v[1:][2], v[3]),
    "beginning, then last": same(v[1:][-1]),
    "all but the last, then last": (v[:-1][-1], v[-2]),
    "end, then last": (v[-3:][-1], v[-1]),
    "end, then beginning": same(v[-3:][1]),
    "end, then end": (v[-3:][-2:], v[-2:]),
    "end, then all but the last": (v[-3:][:-1], v[-3:-1]),
    "beginning, then all but the last": (v[2:][:-1], v[2:-1]),
    "part, then part": (v[1:5][1:3], v[2:4]),
    "turned twice": (v[::-1][::-1], v),
    "turned, then element": (v[::-1][1], v[-2]),
    "turned, then element by number": (v[::-1][i], v[-1 - i]),
    "turned, then beginning": (v[::-1][:2], v[:-3:-1]),
    "beginning, then turned": (v[2:][::-1], v[:1:-1]),
    "every second, then every third": (v[::2][1::3], v[2::6]),
    "known length": (SIX[1:][-1], SIX[-1]),
    "known length, end then beginning": (SIX[-3:][1], SIX[4]),
    "two axes": (x[i][j], x[i, j]),
    "two axes, slices": (x[1:][:, j], x[1:, j]),
    "a slice of an axis, then of another": (t[:, 1:][2:, :, ::2], t[2:, 1:, ::2]),
    "bounds by number, another axis": (x[i:][:, j:], x[i:, j:]),
    "bounds by number, same axis": same(x[i:][j:]),
    "outside": same(v[1:3][5]),
    # what is put together
    "element of a stack": (T.stack([a, b])[1], b),
    "element of a stack along another axis": (T.stack([v, w], 1)[i, 0], v[i]),
    "row of a stack": (T.stack([x, y])[-1, 1:], y[1:]),
    "element of a stack of two dtypes": (T.stack([a, n])[1], n.astype("float64")),
    "some of a stack": (T.stack([a, b, a])[1:], T.stack([b, a])),
    "one of a stack": (T.stack([v, w])[1:], w.dimshuffle("x", 0)),
    "element of a stack by number": same(T.stack([a, b])[i]),
    "element of a join": (T.concatenate([PAIR, v])[1], PAIR[1]),
    "element of a join after a known piece": (T.concatenate([PAIR, FOUR])[3], FOUR[1]),
    "element of a join from the end": (T.concatenate([v, PAIR])[-1], PAIR[1]),
    "element of a join behind an unknown piece": same(T.concatenate([v, PAIR])[1]),
    "first piece": (T.concatenate([PAIR, v])[:2], PAIR),
    "part of a piece": (T.concatenate([PAIR, FOUR])[3:5], FOUR[1:3]),
    "last piece": (T.concatenate([v, PAIR])[-2:], PAIR),
    "parts of two pieces": (T.concatenate([PAIR, FOUR])[1:4], T.concatenate([PAIR[1:], FOUR[:2]])),
    "parts of two pieces that are needed": same(JOINED[1:4], JOINED),
    "every second of a piece": (T.concatenate([PAIR, FOUR])[2::2], FOUR[::2]),
    "turned piece": (T.concatenate([PAIR, FOUR])[:1:-1], FOUR[::-1]),
    "first piece by its length": (T.concatenate([v, w])[: v.shape[0]], v),
    "second piece by the length of the first": (T.concatenate([v, w])[v.shape[0] :], w),
    "column of joined columns": (T.concatenate([BLOCK, x], 1)[i, 2], BLOCK[i, 2]),
    "of a join of two dtypes": (T.concatenate([PAIR, idx])[0], PAIR[0]),
    "nothing of a join": (T.concatenate([PAIR, v])[2:2], PAIR[0:0]),
    # what is broadcast
    "row of an alloc": (T.alloc(a, 3, n)[1], T.alloc(a, n)),
    "row of an alloc of a vector": (T.alloc(v, 3, n)[1], T.alloc(v, n)),
    "slice of an alloc": (T.alloc(a, 5, n)[1:3], T.alloc(a, 2, n)),
    "slice of an alloc of unknown length": (T.alloc(a, n)[2:], T.alloc(a, T.maximum(n - 2, 0))),
    "beginning of an alloc of unknown length": (T.alloc(a, n)[:2], T.alloc(a, T.minimum(n, 2))),
    "end of an alloc of unknown length": (T.alloc(a, n)[-2:], T.alloc(a, T.minimum(n, 2))),
    "turned alloc": (T.alloc(a, n)[::-1], T.alloc(a, n)),
    "element of an alloc of unknown length": same(T.alloc(a, n)[0]),
    "element of an alloc by number": same(T.alloc(a, 3)[i]),
    "broadcast_to": (T.broadcast_to(v, (3, v.shape[0]))[0], v),
    "broadcast_to of a number": (T.broadcast_to(a, (3, n))[0], T.broadcast_to(a, (n,))),
    "fill": (fill(x, a)[i, 1:], fill(x[i, 1:], a)),
    "arrays in an index of an alloc": (T.alloc(a, 3)[PICKS], T.alloc(a, 2)),
    "arrays in an index of fill": (fill(BLOCK, a)[PICKS], T.alloc(a, 2, 4)),
    "arrays in an index of what may be too short": same(T.alloc(a, n)[PICKS]),
    "arrays by name": same(T.alloc(a, 3)[idx]),
    # what there is of a shape, of a range
    "length": (Index((1,))(Shape()(x)), x.shape[1]),
    "lengths": (Shape()(t)[1:], T.stack([t.shape[1], t.shape[2]])),
    "no lengths": (Shape()(t)[3:], constant(np.zeros(0, "int64"))),
    "beginning of a range": (T.arange(n)[2:], ARange("int64")(constant(np.array(0)) + 2, n, ONE)),
    "part of a range": (T.arange(i, j)[1:3], ARange("int64")(i + 1, T.minimum(j, i + 3), ONE)),
    "part of a range backwards": (
        T.arange(i, j, -1)[1:3],
        ARange("int64")(i + -1, T.maximum(j, i + -3), constant(np.array(-1))),
    ),
    "element of a range": same(T.arange(n)[2]),
    "end of a range": same(T.arange(n)[-2:]),
    # what picking goes through
    "row of a transpose": (x.T[i], x[:, i]),
    "part of a transpose": (x.T[1:, :2], x[:2, 1:].T),
    "element of an added axis": (v.dimshuffle("x", 0)[0], v),
    "element of an added axis and another": (v.dimshuffle(0, "x")[i, -1], v[i]),
    "element of an added axis by number": same(v.dimshuffle("x", 0)[i]),
    "added axis turned": (v.dimshuffle("x", 0)[::-1, 1:], v[1:].dimshuffle("x", 0)),
    "nothing of an added axis": same(v.dimshuffle("x", 0)[1:]),
    "behind a dropped axis": (row.dimshuffle(1)[i], row[:, i].dimshuffle()),
    "of exp": (T.exp(x)[i], T.exp(x[i])),
    "of what else is needed": same(EXP[i], EXP),
    "through a chain": (T.exp(-x)[i, 1:], T.exp(-x[i, 1:])),
    "of a sum with a number": ((a + x)[i], a + x[i]),
    "of a sum of one shape": ((BLOCK + 2 * BLOCK)[i], BLOCK[i] + 2 * BLOCK[i]),
    "of a sum with a row": ((BLOCK + FLOOR)[i, 1:], BLOCK[i, 1:] + FLOOR[0, 1:]),
    "of a sum with a vector": ((BLOCK + LINE)[1:, j], BLOCK[1:, j] + LINE[j]),
    "of a sum of what may be broadcast": same((x + y)[i]),
    "of exp by arrays": same(T.exp(x)[idx]),
    "row of a product": (T.dot(x, y)[i], T.dot(x[i], y)),
    "column of a product": (T.dot(x, y)[:, j], T.dot(x, y[:, j])),
    "element of a product": (T.dot(x, y)[i, j], T.dot(x[i], y[:, j])),
    "rows of a product": (T.dot(x, y)[1:], T.dot(x[1:], y)),
    "element of a product with a vector": (T.dot(x, v)[i], T.dot(x[i], v)),
    "element of a product of a vector": (T.dot(v, x)[i], T.dot(v, x[:, i])),
    "product turned": same(T.dot(x, y)[::-1]),
    "of a product that is needed": same(DOT[i], DOT),
    "of a sum along another axis": (x.sum(axis=1)[i], x[i].sum(axis=0)),
    "of a maximum along the middle": (t.max(axis=1)[:, j], t[:, :, j].max(axis=1)),
    "of a sum with its axis kept": (x.sum(axis=1, keepdims=True)[i], x[i].sum(axis=0, keepdims=True)),
    "of a kept axis": same(x.sum(axis=1, keepdims=True)[:, 0:0]),
    "of an argmax": (T.argmax(x, axis=0)[i], T.argmax(x[:, i], axis=0)),
    "of softmax along another axis": (T.nnet.softmax(x)[i], T.nnet.softmax(x[i])),
    "of softmax along its axis": same(T.nnet.softmax(x)[:, j]),
    # reading what was assigned
    "what was set": (setting(FOUR[1:3], VALUE)[1:3], VALUE),
    "what was set to a number": (setting(x[1:3], a)[1:3], fill(x[1:3], a)),
    "what was set by number": same(setting(v[i], a)[i]),
    "what was added": (adding(x[1:3], a)[1:3], x[1:3] + a),
    "what was added by number": (adding(v[i], a)[i], v[i] + a),
    "other than what was set, perhaps": same(setting(x[1:3], a)[2:4]),
    "what was set by arrays": (setting(FOUR[PICKS], VALUE)[PICKS], VALUE),
    "what was set by a mask": (setting(v[mask], a)[mask], fill(v[mask], a)),
    "beside what was set": (setting(FOUR[1], a)[2], FOUR[2]),
    "beside what was set, slices": (setting(BLOCK[:, 1:3], a)[i, 3:], BLOCK[i, 3:]),
    "what was set, and is needed": ([SET[1:3], SET], [VALUE, SET]),
    "what was added, and is needed": same(ADDED[1:3], ADDED),
    "beside all that was set": (setting(setting(FOUR[1], a)[2], b)[3], FOUR[3]),
    "beside what was set, perhaps": same(setting(FOUR[i], a)[2]),
    "beside what was set outside, perhaps": same(setting(v[1], a)[2]),
    # assignments
    "all set": (setting(x[:], 0.0), fill(x, 0.0)),
    "all set by known slices": (setting(BLOCK[0:3], BLOCK), BLOCK),
    "all added": (adding(x[:], a), x + a),
    "all set, perhaps": same(setting(x[:], y)),
    "a place that became known": (IndexUpdate(v[i].owner.op.template, True)(v, a, ONE), setting(v[1], a)),
    "a place with a whole slice": (setting(x[0 : x.shape[0], i], a), setting(x[:, i], a)),
    "the only row set": (setting(row[0], a), fill(row, a)),
    "to the only row added": (adding(row[0], a), row + fill(row, a)),
    "set to what is broadcast": (setting(x[i], fill(v, a)), setting(x[i], a)),
    "set to an alloc": (setting(x[idx], T.alloc(a, n, 3)), setting(x[idx], a)),
    "set twice": (setting(setting(x[i], a)[i], b), setting(x[i], b)),
    "set after it was added to": (setting(adding(x[i], a)[i], b), setting(x[i], b)),
    "added after it was set": same(adding(setting(v[idx], a)[idx], b)),
    "added twice": (adding(adding(x[i], a)[i], b), adding(x[i], a + b)),
    "set here and there": same(setting(setting(x[i], a)[j], b)),
    "nothing added": (adding(x[1:], 0.0), x),
    "nothing added by number": same(adding(x[i], 0.0)),
    "set to itself": (setting(x[1:], x[1:]), x),
    "set to itself by number": same(setting(x[i], x[i])),
    "zeros set to 0": (setting(T.zeros((3, 4))[1], 0.0), T.zeros((3, 4))),
    "set to a sum": (setting(x[i], x[i] + v), adding(x[i], v)),
    "set to a sum, by arrays": same(setting(v[idx], v[idx] + a)),
    "added to zeros": (adding(ZEROS[i], v), setting(ZEROS[i], v)),
    "added to zeros by arrays": same(adding(ZEROS[idx], v)),
    "added to zeros by a mask": (adding(T.zeros_like(v)[mask], a), setting(T.zeros_like(v)[mask], a)),
    "sum of a place among zeros": (adding(ZEROS[idx], a) + EXP, adding(EXP[idx], a)),
    "sum of two places among zeros": (
        adding(ZEROS[1], v) + adding(ZEROS[2:], y),
        adding(setting(ZEROS[1], v)[2:], y),
    ),
    "sum of a place among zeros of another shape": same(y + adding(ZEROS[idx], a)),
    "difference with a place among zeros": (EXP - adding(ZEROS[idx], a), adding(EXP[idx], -a)),
    "difference of a place among zeros": (adding(ZEROS[idx], a) - EXP, adding((-EXP)[idx], a)),
    "difference with a place that is set by arrays": same(EXP - setting(ZEROS[idx], a)),
    "difference with a place among zeros of another shape": same(y - adding(ZEROS[idx], a)),
    "sum over an axis of places among zeros": (
        adding(ZEROS[idx, other], a).sum(axis=1),
        adding(T.alloc(0.0, ZEROS.shape[0])[fill(other, idx)], a),
    ),
    "sum over an axis of equally many places among zeros": (
        adding(ZEROS[idx, -idx], v).sum(axis=0, keepdims=True),
        adding(T.alloc(0.0, ZEROS.shape[1])[-idx], v).dimshuffle("x", 0),
    ),
    "sum over an axis of places in rows of zeros": (
        adding(ZEROS3[idx, other], w).sum(axis=0),
        adding(T.alloc(0.0, ZEROS3.shape[1], ZEROS3.shape[2])[fill(idx, other)], w),
    ),
    "sum over an axis of rows": same(adding(ZEROS[idx], v).sum(axis=1)),
    "columns by all their numbers": (x[:, T.arange(x.shape[1])], x),
    "rows by all their numbers": (x[T.arange(x.shape[0])], x),
    "rows by numbers": same(x[T.arange(n)]),
    "sum over all of places among zeros": same(adding(ZEROS[idx, other], a).sum()),
    "sum over an axis of places that are set": same(setting(ZEROS[idx, other], a).sum(axis=1)),
}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, rules=RULES)


def test_values_stay_and_every_rule_is_in_the_table():
    applied = set()
    for id, (before, _) in TABLE.items():
        if "outside" not in id:
            applied |= assert_values_stay(before, RULES, id)
    assert {r.name for r in rules_in("indexing")} - applied == set()


ENDS = [None, -3, -2, -1, 0, 1, 2, 3]
SLICES = [slice(*s) for s in product(ENDS, ENDS, [None, -2, -1, 2])]
SIZES = range(14)  # beyond which nothing is new to such small bounds


def picked(n, *items):
    """What indices pick of n numbers, one after another; None for what is outside."""
    found = range(n)
    try:
        for item in items:
            found = found[item]
    except IndexError:
        return None
    return found if isinstance(found, int) else list(found)


def test_an_item_of_a_slice_is_the_item_wherever_one_is_answered():
    for first, k in product(SLICES, range(-4, 5)):
        wanted = [picked(n, first, k) for n in SIZES]
        known = [item_of_slice(first, k, n) for n in SIZES]
        assert [None if at is None else picked(n, at) for n, at in zip(SIZES, known, strict=True)] == wanted
        found = item_of_slice(first, k, None)
        assert found is None or [picked(n, found) for n in SIZES] == wanted, (first, k, found)


def test_a_slice_of_a_slice_is_the_slice_wherever_one_is_answered():
    for m, first in enumerate(SLICES):
        for then in SLICES[m % 7 :: 7]:
            wanted = [picked(n, first, then) for n in SIZES]
            assert [picked(n, slice_of_slice(first, then, n)) for n in SIZES] == wanted
            found = slice_of_slice(first, then, None)
            assert found is None or [picked(n, found) for n in SIZES] == wanted, (first, then, found)


AHEAD = [slice(*s) for s in [(None, None), (1, None), (None, 2), (None, -1), (None, None, -1)]]


def test_common_slices_are_one():
    """From the same end; and turned, whatever they are."""
    for first, then in product(AHEAD, AHEAD):
        both_ends = (first.stop or 0) > 0 and (then.stop or 0) < 0
        both_ends |= (first.stop or 0) < 0 and (then.stop or 0) > 0
        assert (slice_of_slice(first, then, None) is None) == both_ends, (first, then)


def test_what_is_known_to_be_outside_raises_when_it_runs():
    four = constant(np.array(4))
    read = Apply(Index(v[i].owner.op.template)(v, i).owner.op, [FOUR, four], [a.type()]).out
    written = Apply(setting(v[i], a).owner.op, [FOUR, a, four], [FOUR.type()]).out
    assert rewritten([read, written], rules=RULES) == [read, written]
    assert isinstance(outcome([read], {FOUR: np.zeros(4)}), IndexError)


def test_an_index_reaches_what_a_loop_puts_out():
    """Counted from the end also where the length is known, so that the loop need keep no more than what is read."""
    h, _ = scan(lambda h: h + 1, outputs_info=a, n_steps=5)
    (read,) = [node for node in toposort([rewritten((2 * h)[-1], rules=RULES)]) if isinstance(node.op, Index)]
    assert isinstance(read.inputs[0].owner.op, Scan)
    assert read.op.template == (-1,)


def test_moving_through_a_long_chain_takes_time_in_proportion():
    """An index at each place of a chain moves through what is near, so that twice the chain takes twice the changes."""

    def changes(length):
        made, z, u = [], x, FOUR
        for k in range(length):
            z = T.exp(z)[::-1].T
            u = setting(u[k % 3], u[3])
        rewrite(Graph([x, FOUR], [z, u]), RULES, lambda *_: made.append(0))
        return len(made)

    assert changes(400) < 2.5 * changes(200)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_chains_of_indexing(data):
    """Whatever is indexed, assigned, joined and moved: the values stay, and no error comes."""
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=3), "shape"))
    known = data.draw(st.tuples(*[st.booleans()] * len(shape)), "known")
    c = TensorType("float64", [d if k else None for d, k in zip(shape, known, strict=True)])("c")
    values = {c: np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape) - 3}
    values[i] = np.array(data.draw(st.integers(-3, 3), "i"))
    made = [c]
    for _ in range(data.draw(st.integers(1, 7), "changes")):
        try:
            made.append(_changed(data, data.draw(st.sampled_from(made), "of"), made))
        except (RefgraphError, ValueError):
            continue
    assert_same_meaning([made[-1], data.draw(st.sampled_from(made), "too")], values, RULES)


KINDS = ["index", "index", "arrays", "set", "inc", "order", "reshape", "join", "stack", "sum", "alloc", "zeros", "exp"]
BOUND = st.none() | st.integers(-3, 3) | st.just(i)
STEP = st.sampled_from([None, None, 1, 2, -1, -2])
ITEM = st.integers(-3, 3) | st.just(i) | st.builds(slice, BOUND, BOUND, STEP) | st.just(slice(None))
INDEX = st.lists(ITEM | st.none(), min_size=1, max_size=3).map(tuple)
PLACE = st.lists(ITEM, min_size=1, max_size=3).map(tuple)
ARRAYS = st.sampled_from([[0], [0, 0], [1, 0], [-1, 0], [0, 1]]).map(np.array)


def _changed(data, x, made):
    kind, other = data.draw(st.sampled_from(KINDS)), data.draw(st.sampled_from([*made, T.constant(2.0)]))
    if kind == "index":
        return x[data.draw(INDEX)]
    if kind == "arrays":
        return x[data.draw(ARRAYS)]
    if kind in ("set", "inc"):
        place = data.draw(st.sampled_from([x, T.zeros_like(x)]))[data.draw(PLACE | ARRAYS)]
        value = data.draw(st.sampled_from([other, place, place + other, T.zeros_like(place), 1.0]))
        return (setting if kind == "set" else adding)(place, value)
    if kind == "order":
        order = data.draw(st.permutations([*range(x.ndim), "x"][: max(x.ndim, 3)]))
        return x.dimshuffle(*order)
    if kind == "reshape":
        return x.reshape(data.draw(st.sampled_from([(-1,), (-1, 1), (1, -1), (x.size, 1)])))
    if kind in ("join", "stack"):
        return (T.concatenate if kind == "join" else T.stack)([x, other], axis=data.draw(st.integers(0, 2)))
    if kind == "alloc":
        return T.alloc(x, 2, *[x.shape[a] for a in range(x.ndim)])
    return {"sum": lambda: x + other, "zeros": lambda: fill(x, 0.0) + other, "exp": lambda: -x}[kind]()
