"""Shapes from shapes: which forms they get, and that the values stay, broadcast at run time or not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph.autodiff.reverse import grad
from refgraph.core.graph import Graph, leaves
from refgraph.interp.evaluate import evaluate
from refgraph.ops.einsum import EmbedDiagonals
from refgraph.ops.elementwise import fill
from refgraph.ops.families import SUM_TO
from refgraph.ops.indexing import LastWrite
from refgraph.ops.reductions import Count
from refgraph.ops.shape import Shape, ShapeI
from refgraph.ops.tensor import TensorType
from refgraph.rewrite import select
from refgraph.rewrite.engine import rewrite

from .forms import assert_form, count, rewritten
from .rooms import assert_values_stay, rules_in

RULES = rules_in("shapes")
x, y, g = T.dmatrices("x", "y", "g")
v, w = T.dvectors("v", "w")
row, col, c = T.drow("row"), T.dcol("col"), T.dscalar("c")
t = T.dtensor3("t")
i = T.lvector("i")
FEW = TensorType("float64", (2, 3))("few")


def same(output):
    """For what is to stay as it is."""
    return output, output


def length(x, axis=0):
    return ShapeI(axis)(x)


def added_up(x, axis, keepdims=False):
    """As sum_to adds up: in the dtype of x."""
    return T.sum(x, axis, dtype=x.dtype, acc_dtype=x.dtype, keepdims=keepdims)


PRODUCT = x * y
NEEDED = T.exp(PRODUCT)
WIDE = x * y * g  # as wide as what is broadcast to it
PLACES = LastWrite(T.set_subtensor(v[i], 0.0).owner.op.template)

LENGTHS = {
    "of an input": same(length(x)),
    "of a function": (length(T.exp(x), 1), length(x, 1)),
    "known": (length(T.exp(FEW)), T.constant(2, dtype="int64")),
    "known from the other": (length(x + np.ones((3, 4)), 1), T.constant(4, dtype="int64")),
    "of a product of matrices": (length(T.dot(T.exp(x), y), 1), length(y, 1)),
    "of a transpose": (length(T.exp(x).T), length(x, 1)),
    "of a sum along an axis": (length(T.exp(x).sum(0)), length(x, 1)),
    "of what a number says": (length(T.zeros((i[0], 2))), i[0]),
    "of a concatenation with known ones": (length(T.concatenate([T.exp(v), np.ones(2)])), length(v) + 2),
    "of a slice": same(length(v[1:])),
    "of a slice of a function": (length(T.exp(v[1:])), length(v[1:])),
    "of a broadcast, not computed for it": (length(x * y), length(fill(x, fill(y, 0.0)))),
    "of a broadcast that is computed": ([length(NEEDED), NEEDED], [length(PRODUCT), NEEDED]),
    "shape": (Shape()(T.exp(x)), T.stack([length(x), length(x, 1)])),
    "shape of an input": same(Shape()(x)),
    "shape, partly known": (
        Shape()(T.dot(FEW, x)),
        T.stack([T.constant(2, dtype="int64"), length(x, 1)]),
    ),
    "count": (Count((1,))(T.exp(x)), length(x, 1)),
    "count of many": (Count((0, 1))(T.exp(x)), length(x) * length(x, 1)),
    "count of an input": same(Count((0, 1))(x)),
}
MEASURED = {
    "fill": (fill(T.exp(x), c), fill(x, c)),
    "fill, of an input": same(fill(x, c)),
    "fill, of a chain": (fill(T.exp(T.exp(x)) + 1, c), fill(x, c)),
    "fill, of what is broadcast": (fill(x * y, c), fill(x, fill(y, c))),
    "fill, of what is broadcast and computed": ([fill(NEEDED, c), NEEDED], [fill(PRODUCT, c), NEEDED]),
    "fill, with numbers": (fill(x * c, 0.0), fill(x, 0.0)),
    "fill, of a product of matrices": (fill(T.dot(x, y), c), T.broadcast_to(c, (length(x), length(y, 1)))),
    "sum_to": (SUM_TO(g, T.exp(x)), SUM_TO(g, x)),
    "last write": (PLACES(T.exp(v), i), PLACES(v, i)),
    "diagonals": (EmbedDiagonals("aa")(v, T.exp(x)), EmbedDiagonals("aa")(v, x)),
}
SUMMED = {
    "own shape": (SUM_TO(T.exp(x), x), T.exp(x)),
    "own shape, of a product": (SUM_TO(x * T.exp(x), T.sin(x)), x * T.exp(x)),
    "maybe own shape": same(SUM_TO(T.exp(WIDE), x)),
    "to a row": (SUM_TO(T.exp(row + x), row), SUM_TO(added_up(T.exp(row + x), 0).dimshuffle("x", 0), row)),
    "to a row as wide": (SUM_TO(x, x.sum(0, keepdims=True)), added_up(x, 0).dimshuffle("x", 0)),
    "to a column as long": (SUM_TO(x, x.sum(1, keepdims=True)), added_up(x, 1).dimshuffle(0, "x")),
    "to a number": (SUM_TO(x, c), added_up(x, (0, 1))),
    "to a vector": (SUM_TO(T.exp(x + v), v), SUM_TO(added_up(T.exp(x + v), 0), v)),
    "to a vector of its columns": (SUM_TO(x, x.sum(0)), added_up(x, 0)),
    "of an axis added and one of length 1": (SUM_TO(t, t.sum((0, 1))[None]), added_up(t, (0, 1)).dimshuffle("x", 0)),
    "twice": (SUM_TO(SUM_TO(T.exp(WIDE), T.sin(PRODUCT)), x), SUM_TO(T.exp(WIDE), x)),
    "negative": (SUM_TO(-T.exp(WIDE), x), -SUM_TO(T.exp(WIDE), x)),
    "times a number": (SUM_TO(c * T.exp(WIDE), x), c * SUM_TO(T.exp(WIDE), x)),
    "over a number": (SUM_TO(T.exp(WIDE) / c, x), SUM_TO(T.exp(WIDE), x) / c),
    "of a number over it": same(SUM_TO(c / T.exp(WIDE), x)),
    "times what has its shape": (SUM_TO(T.exp(WIDE) * T.sin(x), x), SUM_TO(T.exp(WIDE), x) * T.sin(x)),
    "times what has another": same(SUM_TO(T.exp(WIDE) * T.sin(y), x)),
    "times what is one along the sum": (
        SUM_TO(T.exp(x) * T.sin(x.sum(0)), x.sum(0, keepdims=True)),
        T.sin(x.sum(0)) * added_up(T.exp(x), 0).dimshuffle("x", 0),
    ),
    "times what is not as wide": same(SUM_TO(T.exp(x) * y, x)),
    "of integers, which a sum widens": same(SUM_TO(T.imatrix("k"), T.iscalar("j"))),
}
TABLE = {**LENGTHS, **MEASURED, **SUMMED}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, rules=RULES)


@pytest.mark.parametrize("id", TABLE)
def test_values_stay(id):
    assert_values_stay(TABLE[id][0], RULES, id)


def test_what_is_summed_for_others_too_is_summed_once():
    wide = T.exp(WIDE)
    middle = SUM_TO(wide, T.sin(PRODUCT))
    found = rewritten([SUM_TO(middle, x), SUM_TO(middle, y)], rules=RULES)
    assert count(found, "sum_to") == 3


def test_what_a_product_is_needed_for_elsewhere_is_not_computed_twice():
    product = c * T.exp(WIDE)
    found = rewritten([SUM_TO(product, x), product], rules=RULES)
    assert found[0].owner.inputs[0].owner.op.name == "mul"


def test_nothing_is_computed_only_to_be_measured():
    """Of a layer without a nonlinearity the gradient needs the shape alone."""
    b = T.dvector("b")
    cost = (T.dot(x, y) + b).sum()
    found = rewritten(grad(cost, [b]), rules=select.chosen("fast_run"))
    assert count(found, "dot") == 0


def test_an_axis_of_length_1_at_run_time_is_summed_where_lengths_are_unknown():
    cost = (T.exp(x * y) * v).sum()
    inputs = [x, y, v]
    gradients = grad(cost, inputs)
    graph = rewrite(Graph(inputs, gradients), select.chosen("fast_run"))
    rng = np.random.default_rng(0)
    for shapes in [((3, 4), (3, 4), (4,)), ((1, 4), (3, 1), (4,)), ((3, 1), (1, 1), (4,)), ((0, 4), (1, 4), (1,))]:
        given = {a: rng.normal(size=shape) for a, shape in zip(inputs, shapes, strict=True)}
        for want, got in zip(evaluate(gradients, given), evaluate(graph.outputs, given), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, strict=True)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_stay_however_unknown_lengths_broadcast(data):
    """Expressions made by chance of arrays whose axes are as long as others, or 1; and their gradients."""
    lengths = data.draw(st.tuples(st.integers(0, 3), st.integers(1, 3)), "lengths")
    rng = np.random.default_rng(data.draw(st.integers(0, 99), "numbers"))
    values = {}
    for k in range(3):
        rank = data.draw(st.integers(0, 2), "rank")
        shape = [data.draw(st.sampled_from([n, n, 1]), "length") for n in lengths[2 - rank :]]
        known = [n if data.draw(st.integers(0, 3), "unknown") == 0 else None for n in shape]
        values[TensorType("float64", known)(f"x{k}")] = np.asarray(rng.uniform(0.5, 2, shape))
    made = list(values)
    for _ in range(data.draw(st.integers(1, 6), "steps")):
        a, b = (data.draw(st.sampled_from(made), "operand") for _ in "ab")
        made.append(data.draw(st.sampled_from(MAKERS), "maker")(a, b))
    inputs = [a for a in values if a in leaves(made[-3:])]
    outputs = [*made[-3:], *grad(sum(T.sum(T.tanh(out)) for out in made[-3:]), inputs, disconnected_inputs="ignore")]
    graph = rewrite(Graph(list(values), outputs), RULES)
    for want, got in zip(evaluate(outputs, values), evaluate(graph.outputs, values), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, strict=True)


MAKERS = [
    lambda a, b: a * b,
    lambda a, b: a / (1 + b * b),
    lambda a, b: -a + b,
    lambda a, b: SUM_TO(T.tanh(a * b), a),
    lambda a, b: SUM_TO(SUM_TO(T.tanh(a * b), a * b), b),
    lambda a, b: T.fill(a, b),
    lambda a, b: T.zeros_like(a * b) + a,
    lambda a, b: a.sum(axis=-1, keepdims=True) if a.ndim else a,
    lambda a, b: a.mean() + b,
    lambda a, b: a[::-1] * b if a.ndim else b,
    lambda a, b: (a * b).shape[0] * 1.0 + a if (a * b).ndim else a,
    lambda a, b: T.ones((a * b).shape) * 2,
]
