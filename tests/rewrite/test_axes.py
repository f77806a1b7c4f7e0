"""Changes of axes and shape: which forms they get, and that the values stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply
from refgraph.ops.construct import Alloc
from refgraph.ops.elementwise import fill
from refgraph.ops.joining import Join, Pad, Roll, Split, Tile
from refgraph.ops.shape import DimShuffle, Reshape, SpecifyShape
from refgraph.ops.tensor import TensorType, constant

from .forms import assert_form, count, rewritten
from .rooms import assert_same_meaning, assert_values_stay, rules_in

RULES = rules_in("axes")
x, y = T.dmatrices("x", "y")
v, w = T.dvectors("v", "w")
t = T.dtensor3("t")
c, row, col = T.dscalar("c"), T.drow("row"), T.dcol("col")
n, m = T.lscalars("n", "m")
NUMBER = constant(np.array(3))


def sized(*shape):
    return T.tensor("float64", shape, "s")


def same(output):
    """For what is to stay as it is."""
    return output, output


NEEDED, BOTH = T.exp(x), T.concatenate([x, y])
NOTHING, SINGLE, ONE, FEW = sized(0, 3), sized(1, 1), sized(None, 1), sized(2, 3, 4)
ROWS, BYTES = sized(1, 5), T.tensor("int8", (1, 3), "b")

TABLE = {
    # orders of axes
    "transpose of transpose": (x.T.T, x),
    "chain": (x.dimshuffle(1, "x", 0).dimshuffle(2, 1, "x", 0), x.dimshuffle(0, "x", "x", 1)),
    "added and dropped": (v.dimshuffle("x", 0, "x").dimshuffle(1), v),
    "dropped and added": (row.dimshuffle(1).dimshuffle("x", 0), row),
    "dropped, once": (row.dimshuffle(1).dimshuffle(0, "x"), row.dimshuffle(1, "x")),
    "identity": (DimShuffle((0, 1))(x), x),
    "swapped twice": (t.swapaxes(0, 2).swapaxes(0, 2), t),
    # into what computes
    "into exp": (T.exp(x).T, T.exp(x.T)),
    "through a chain": (T.exp(-x.T).T, T.exp(-x)),
    "into a sum": ((x.T + y).T, x + y.T),
    "into a sum with a number": ((2 * x).T, 2 * x.T),
    "into a sum with a vector": ((x + v).T, x.T + v.dimshuffle(0, "x")),
    "axis added on the left": ((x + v).dimshuffle("x", 0, 1), x.dimshuffle("x", 0, 1) + v),
    "axis dropped": ((row * c).dimshuffle(1), row.dimshuffle(1) * c),
    "not into numbers": (T.exp(c).dimshuffle("x"), T.exp(c).dimshuffle("x")),
    "into fill": (fill(x, 0.0).T, fill(x.T, 0.0)),
    "not what is needed as it is": ([NEEDED.T, NEEDED], [NEEDED.T, NEEDED]),
    # what is broadcast
    "alloc of a number": (T.alloc(c, n, m).T, T.alloc(c, m, n)),
    "alloc of a vector": (T.alloc(v, n, m).T, T.alloc(v.dimshuffle(0, "x"), m, n)),
    "alloc, axes added": (T.alloc(c, n).dimshuffle("x", 0), T.alloc(c, 1, n)),
    "alloc, axis dropped": (T.alloc(c, 1, n).dimshuffle(1), T.alloc(c, n)),
    "alloc, unknown axis stays": (T.alloc(c, n, m).dimshuffle(1), T.alloc(c, n, m).dimshuffle(1)),
    "broadcast_to": (T.broadcast_to(v, (n, m)).T, T.broadcast_to(v.dimshuffle(0, "x"), (m, n))),
    "alloc of alloc": (T.alloc(T.alloc(c, 3), 2, 3), T.alloc(c, 2, 3)),
    "alloc of broadcast_to": (T.alloc(T.broadcast_to(v, (2, 3)), 4, 2, 3), T.alloc(v, 4, 2, 3)),
    "alloc of fill": (T.alloc(fill(sized(3), c), 2, 3), T.alloc(c, 2, 3)),
    "alloc of alloc of unknown length": (T.alloc(T.alloc(c, n), 2, m), T.alloc(T.alloc(c, n), 2, m)),
    "alloc of a row": (T.alloc(v.dimshuffle("x", 0), n, m), T.alloc(v, n, m)),
    "broadcast_to of a row and a column": (
        T.broadcast_to(x.dimshuffle("x", 0, "x", 1), (2, 3, n, m)),
        T.broadcast_to(x.dimshuffle(0, "x", 1), (2, 3, n, m)),
    ),
    "alloc to its own shape": (T.alloc(FEW, 2, 3, 4), FEW),
    "broadcast_to longer stays": (T.broadcast_to(v, (2, 3)), T.broadcast_to(v, (2, 3))),
    # shapes
    "reshape of reshape": (x.reshape((n, m, 2)).reshape((3, 4)), x.reshape((3, 4))),
    "reshape of reshape, rest": (x.reshape((n, m)).reshape((-1, 4)), x.reshape((-1, 4))),
    "reshape of reshape, ambiguous rest": (
        x.reshape((n, 2, 3)).reshape((m, -1)),
        x.reshape((n, 2, 3)).reshape((m, -1)),
    ),
    "flatten there and back": (FEW.flatten().reshape((2, 3, 4)), FEW),
    "flatten twice": (x.reshape((n, m, 2)).flatten(), x.flatten()),
    "same shape": (x.reshape((x.shape[0], x.shape[1])), x),
    "same shape, found out": (Reshape((2, 3, 4))(FEW), FEW),
    "axis added": (v.reshape((1, -1)), v.dimshuffle("x", 0)),
    "axis added to a matrix": (x.reshape((x.shape[0], 1, x.shape[1])), x.dimshuffle(0, "x", 1)),
    "axis dropped by reshape": (row.reshape((row.shape[1],)), row.dimshuffle(1)),
    "axes of length 1 to a number": (SINGLE.reshape(()), SINGLE.dimshuffle()),
    "axes dropped and added": (ONE.reshape((1, -1)), ONE.dimshuffle("x", 0)),
    "joined axes stay": (x.reshape((-1,)), x.reshape((-1,))),
    "reshape of a dimshuffle": (x.dimshuffle(0, "x", 1).reshape((3, 4)), x.reshape((3, 4))),
    "reshape of a transpose stays": (x.T.reshape((3, 4)), x.T.reshape((3, 4))),
    "reshape of alloc": (T.alloc(c, 4, 6).reshape((8, 3)), T.alloc(c, 8, 3)),
    "reshape of alloc to its lengths": (T.alloc(v, n, m).reshape((n, m)), T.alloc(v, n, m)),
    "reshape of alloc to other lengths": same(T.alloc(v, n, m).reshape((m, n))),
    "reshape of fill": (fill(FEW, c).reshape((6, 4)), T.alloc(c, 6, 4)),
    "into exp, reshaped": (T.exp(x).reshape((3, 4)), T.exp(x.reshape((3, 4)))),
    "into a product with a number": ((c * x).reshape((3, 4)), c * x.reshape((3, 4))),
    "not into a sum of two": ((x + v).reshape((3, 4)), (x + v).reshape((3, 4))),
    "shapes meet": (T.exp(x.reshape((n, m, 2))).reshape((3, 4)), T.exp(x.reshape((3, 4)))),
    "lengths that became known": (Reshape((None, 4))(x, NUMBER), x.reshape((3, 4))),
    "alloc of lengths that became known": (Alloc((None, None))(c, NUMBER, n), T.alloc(c, 3, n)),
    "repetitions that became known": (Tile((None, 1))(x, constant(np.array(1))), x),
    # checks
    "check of what is known": (SpecifyShape((2, 3, 4))(FEW), FEW),
    "check of its own length": (T.specify_shape(x, (x.shape[0], None)), x),
    "check of another length": (T.specify_shape(x, (n, None)), T.specify_shape(x, (n, None))),
    "check of a check": (
        T.specify_shape(T.specify_shape(x, (n, None)), (None, m)),
        SpecifyShape((None, None), (0, 1))(x, n, m),
    ),
    "check twice": (SpecifyShape((3, None))(T.specify_shape(x, (3, None))), T.specify_shape(x, (3, None))),
    "what is forgotten stays": (
        SpecifyShape((None, None))(T.specify_shape(x, (3, None))),
        SpecifyShape((None, None))(T.specify_shape(x, (3, None))),
    ),
    # joining and splitting
    "join of one": (Join(0)(x), x),
    "join with nothing": (T.concatenate([NOTHING, x]), x),
    "join of nothing": (T.concatenate([NOTHING, NOTHING]), NOTHING),
    "join of join": (T.concatenate([T.concatenate([x, y]), x]), T.concatenate([x, y, x])),
    "join of join along another axis": (
        T.concatenate([T.concatenate([x, y], 1), x]),
        T.concatenate([T.concatenate([x, y], 1), x]),
    ),
    "join of a join that is needed": ([T.concatenate([BOTH, x]), BOTH], [T.concatenate([BOTH, x]), BOTH]),
    "join of stacks": (T.concatenate([T.stack([c, 2 * c]), T.stack([c])]), T.stack([c, 2 * c, c])),
    "join of a stack of two dtypes": (T.concatenate([T.stack([c, n]), v]), T.concatenate([T.stack([c, n]), v])),
    "join of numbers made vectors": (T.concatenate([c.dimshuffle("x"), c.dimshuffle("x")]), T.stack([c, c])),
    "join of rows": (T.concatenate([v.dimshuffle("x", 0), w.dimshuffle("x", 0)]), T.stack([v, w])),
    "join of columns": (T.concatenate([v.dimshuffle(0, "x"), w.dimshuffle(0, "x")], 1), T.stack([v, w], 1)),
    "join of parts": (T.concatenate(T.split(x, [n, m])), x),
    "join of some parts": (T.concatenate(T.split(x, [n, m])[::-1]), T.concatenate(T.split(x, [n, m])[::-1])),
    "length of a join": (T.concatenate([x, y]).shape[0], x.shape[0] + y.shape[0]),
    "length of a join along another axis": (T.concatenate([x, y]).shape[1], x.shape[1]),
    "length of what is laid twice": (T.tile(x, (2, n)).shape[0], 2 * x.shape[0]),
    "length of what is laid n times": same(T.tile(x, (2, n)).shape[1]),
    "stack of one": (T.stack([x], 1), x.dimshuffle(0, "x", 1)),
    "split into one": (Split(1, (5,))(ROWS), ROWS),
    "split into one of its length": (Split(0, (None,))(x, x.shape[0]), x),
    "split into one, checked": (Split(0, (None,))(x, n), T.specify_shape(x, (n, None))),
    # nothing to do
    "tile once": (Tile((1, 1))(x), x),
    "repeat once": (T.repeat(x, 1, axis=0), x),
    "repeat twice": (T.repeat(x, 2, axis=0), T.repeat(x, 2, axis=0)),
    "roll by 0": (T.roll(x, 0, axis=1), x),
    "roll along one element": (T.roll(ROWS, n, axis=0), ROWS),
    "roll by 0 along one of two axes": (T.roll(x, (n, 0), (0, 1)), Roll((0,))(x, n)),
    "pad by 0": (Pad((0, None))(v, c, constant(np.array(0))), v),
    "cumsum along one element": (T.cumsum(ROWS, axis=0), ROWS),
    "cumprod of integers along one element": (T.cumprod(BYTES, axis=0), BYTES.astype("int64")),
    "sort along one element": (T.sort(ROWS, axis=0), ROWS),
    "sort of sort": (T.sort(T.sort(x, axis=0), axis=0), T.sort(x, axis=0)),
    "sort along another axis": (T.sort(T.sort(x, axis=0), axis=1), T.sort(T.sort(x, axis=0), axis=1)),
    "argsort along one element": (T.argsort(ROWS, axis=0), fill(ROWS, np.int64(0))),
    "softmax of one class": (T.nnet.softmax(col), fill(col, 1.0)),
    "logsoftmax of one class": (T.nnet.logsoftmax(col), fill(col, 0.0)),
}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, rules=RULES)


def test_values_stay_and_every_rule_is_in_the_table():
    applied = set()
    for id, (before, _) in TABLE.items():
        applied |= assert_values_stay(before, RULES, id)
    assert {r.name for r in RULES} - applied == set()


def test_a_long_chain_of_concatenations_is_taken_up_in_parts():
    total = v
    for _ in range(300):
        total = T.concatenate([total, v])
    made = rewritten(total, rules=RULES)
    assert 300 // 63 <= count(made, "join") <= 2 + 300 // 60


def test_what_is_known_not_to_fit_raises_when_it_runs():
    made = Reshape((None, 4))(FEW, n).owner
    unfit = Apply(made.op, [FEW, NUMBER], [made.out.type()]).out  # as a number takes the place of n
    assert rewritten(unfit, rules=RULES) is unfit


AXES = st.integers(0, 3)
KINDS = ["order", "shape", "wide", "fill", "check", "exp", "sum", "join", "stack", "tile"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_chains_of_axes(data):
    """Axes in other orders, added and dropped, other shapes, broadcasting, checks: what is left is exactly the same."""
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3), "shape"))
    known = data.draw(st.tuples(*[st.booleans()] * len(shape)), "known")
    a = TensorType("float64", [d if k else None for d, k in zip(shape, known, strict=True)])("a")
    value = np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape)
    made = [a]
    for _ in range(data.draw(st.integers(1, 6), "changes")):
        b = data.draw(st.sampled_from(made), "of")
        try:
            made.append(_changed(data, b, made))
        except (RefgraphError, ValueError):
            continue
    outputs = [made[-1], data.draw(st.sampled_from(made), "too")]
    assert_same_meaning(outputs, {a: value}, RULES)


def _changed(data, b, made):
    kind = data.draw(
        st.sampled_from(["order", "shape", "wide", "fill", "check", "exp", "sum", "join", "stack", "tile"])
    )
    if kind == "order":
        order = data.draw(st.permutations(range(b.ndim)))
        order = [o for o in order if b.type.shape[o] not in (1, None) or data.draw(st.integers(0, 3))]
        if len(order) < 4:
            order.insert(data.draw(st.integers(0, len(order))), "x")
        return b.dimshuffle(*order)
    if kind == "shape":
        lengths = [
            data.draw(st.sampled_from([1, 2, 3, -1, *[b.shape[i] for i in range(b.ndim)], b.size])) for _ in "ab"
        ]
        return b.reshape(tuple(lengths))
    if kind == "wide":
        op = data.draw(st.sampled_from([T.alloc, lambda x, *lengths: T.broadcast_to(x, lengths)]))
        return op(b, data.draw(st.integers(0, 2)), *[b.shape[i] for i in range(b.ndim)])
    other = data.draw(st.sampled_from([*made, T.constant(2.0)]))
    if kind == "check":
        return T.specify_shape(b, [data.draw(st.sampled_from([None, 2, b.shape[i]])) for i in range(b.ndim)])
    if kind == "join":
        return T.concatenate([b, other], axis=data.draw(AXES))
    if kind == "tile":
        return T.tile(b, [data.draw(st.sampled_from([1, 1, 2])) for _ in range(b.ndim)])
    ops = {"fill": fill, "exp": lambda x, y: -x, "sum": lambda x, y: x + y, "stack": lambda x, y: T.stack([x, y])}
    return ops[kind](b, other)
