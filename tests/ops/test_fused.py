"""Fused: what is run as one op is what its graph is, op by op, whatever the arrays are and however large."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import DomainError, GraphTypeError, ShapeError
from refgraph.core.graph import Graph
from refgraph.interp.plan import Plan
from refgraph.interp.postponed import LARGE, Postponed
from refgraph.ops import fused_kernel, reductions
from refgraph.ops.families import Elemwise, Reals
from refgraph.ops.fused import Fused, FusedGraph
from refgraph.ops.subgraph import OpFromGraph
from refgraph.ops.tensor import DTYPES
from refgraph.testing.cases import symbols

BLOCK = 1 << 12  # bytes of a block in these tests, and how large an array is that takes two
ELEMENTS = BLOCK // 8


@pytest.fixture(params=["straight", "blocks"], autouse=True)
def way(request, monkeypatch):
    """Both ways to run: in blocks of few elements, however small the arrays are, and all at once."""
    monkeypatch.setattr(fused_kernel, "_BLOCK", BLOCK)
    monkeypatch.setattr(fused_kernel, "_LARGE", 8 if request.param == "blocks" else 1 << 40)
    return request.param


def node_of(build, *arrays, known=False):
    """What `build` makes of variables for these arrays, as a Fused."""
    fresh = symbols(arrays, known)
    return Fused(Graph(fresh, build(*fresh))).make_node(*symbols(arrays, known))


def op_by_op(graph):
    """For kernels that need no plan of their graph."""
    raise AssertionError("a step failed: the graph would be run op by op")


def plans(build, *arrays, known=False):
    """What runs what `build` makes of variables for these arrays, op by op; and as a Fused, no step of which fails."""
    xs, node = symbols(arrays, known), node_of(build, *arrays, known=known)
    kernel, many = node.op.bind(node, op_by_op), len(node.outputs) > 1

    @np.errstate(all="ignore")
    def fused(*arrays):
        return list(kernel(*arrays)) if many else [kernel(*arrays)]

    return Plan(Graph(xs, build(*xs))), fused


def planned(build, *arrays):
    """A plan of what `build` makes of variables for these arrays, as a Fused."""
    node = node_of(build, *arrays)
    return Plan(Graph(node.inputs, node.outputs))


def check(build, *arrays, rtol=0.0, known=False):
    """Fused and not, it answers the same: bit for bit, unless `rtol` says how close."""
    before = [np.array(a) for a in arrays]
    plain, fused = plans(build, *arrays, known=known)
    for got, want in zip(fused(*arrays), plain(*arrays), strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=rtol)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


def drawn(dtype, *shape):
    """Numbers of a dtype, some of them equal, some negative where there are such."""
    values = np.random.default_rng(0).normal(size=shape) * 3
    if np.dtype(dtype).kind == "c":
        values = values + 1j * values[..., ::-1]
    return np.asarray(np.abs(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)


def long(x, y):
    return [T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y))]


def several(x, y):
    z = long(x, y)[0]
    return [z, T.maximum(z, x), z.sum(), z.mean(0), T.max(z * y, -1), T.argmin(z, 0), T.all(z > x)]


# values


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    x, y = drawn(dtype, 40, 50), drawn(dtype, 40, 50)
    check(lambda x, y: [x * y + x, T.switch(T.neq(x, y), x, y), T.exp(x) / (T.abs_(y) + 1), T.eq(x, y)], x, y)
    check(lambda x, y: [(x * y + x).sum(), T.prod(T.eq(x, y), 0), T.any(x + y, 1)], x, y, rtol=1e-3)


def test_dtypes_meet():
    arrays = [drawn(dtype, 30, 70) for dtype in ("int8", "float32", "uint16", "complex64", "bool")]

    def build(i, f, u, c, b):
        return [T.switch(b, i * f, u), i + u, (i * f).astype("float64") + 1.5, abs(c * f) + i, (f > u) & b]

    check(build, *arrays)


LAYOUTS = {
    "contiguous": lambda: drawn("float64", 40, 60),
    "fortran": lambda: np.asfortranarray(drawn("float64", 40, 60)),
    "transposed": lambda: drawn("float64", 60, 40).T,
    "backwards": lambda: drawn("float64", 40, 60)[::-1, ::-1],
    "strided": lambda: drawn("float64", 80, 180)[::2, ::3],
    "broadcast": lambda: np.broadcast_to(drawn("float64", 60), (40, 60)),
    "all-the-same": lambda: np.broadcast_to(drawn("float64"), (40, 60)),
    "row": lambda: drawn("float64", 60),
    "row-of-a-matrix": lambda: drawn("float64", 1, 60),
    "column": lambda: drawn("float64", 40, 1),
    "number": lambda: drawn("float64"),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", ["contiguous", "fortran", "backwards", "broadcast", "row", "column"])
def test_every_layout(first, second, known):
    x, y = LAYOUTS[first](), LAYOUTS[second]()
    # NumPy's loops round in their own ways where an array they write is not laid out as one they read
    rtol = 1e-14 if "backwards" in (first, second) and first != second else 0.0
    check(long, x, y, rtol=rtol, known=known)
    check(long, y, x, rtol=rtol, known=known)
    if np.ndim(x) == 2:
        check(several, x, y, rtol=1e-12, known=known)


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (1,),
        (0,),
        (0, 3),
        (3, 0),
        *[(n,) for n in (ELEMENTS - 1, ELEMENTS, ELEMENTS + 1, 2 * ELEMENTS, 3 * ELEMENTS + 7)],
        (1, ELEMENTS + 1),
        (ELEMENTS + 1, 1),
        (3, ELEMENTS),
        (ELEMENTS, 3),
        (5, 7, 11, 13),
        (2,) * 11,
        (1, 2 * ELEMENTS, 1, 3),
    ],
)
def test_every_shape(shape):
    x, y = drawn("float64", *shape), drawn("float64", *shape)
    check(long, x, y)
    if x.size and x.ndim:
        check(several, x, y, rtol=1e-12)
        check(several, x.T, y.T, rtol=1e-12)


REDUCED = ["sum", "mean", "max", "min", "all", "any", "argmax", "argmin", "count_nonzero", "logsumexp"]


@pytest.mark.parametrize("row", [*REDUCED, "_prod", "_norm2"])
@pytest.mark.parametrize("shape", [(9, 7 * ELEMENTS), (3 * ELEMENTS, 5), (20, 30, 40)])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_every_reduction_along_every_axis(row, shape, layout):
    x, row = np.asarray(drawn("float64", *shape), order=layout), getattr(reductions, row)
    axes = [None, *range(x.ndim), (0, 1), (0, x.ndim - 1), ()]
    check(lambda x: [row.over(T.tanh(x) + 1.0, a, k) for a in axes for k in (False, True)], x, rtol=1e-11)


def test_bits_are_reduced():
    rows = (reductions.bitwise_and_reduce, reductions.bitwise_or_reduce, reductions.bitwise_xor_reduce)
    check(lambda x: [row.over(x ^ 5, a) for row in rows for a in (None, 0, 1)], drawn("int64", 50, 60))


def test_sums_accumulate_in_the_dtype_that_their_rows_say(way):
    x = np.full((64, 4096), 0.1, "float32")
    plain, fused = plans(lambda x: [(x + 0.0).sum(), (x + 0.0).mean(), (x.astype("float16") + 0.0).sum(0)], x)
    np.testing.assert_array_equal(fused(x)[0], np.float32(x.astype("float64").sum()))
    np.testing.assert_array_equal(fused(x)[1], np.float32(x.astype("float64").mean()))
    np.testing.assert_array_equal(fused(x)[2], plain(x)[2])


def test_a_long_sum_loses_no_more_than_numpys():
    x = np.random.default_rng(0).uniform(size=400 * ELEMENTS)
    _, fused = plans(lambda x: [(x * 1.0).sum()], x)
    exact = float(np.sum(x.astype(np.longdouble)))
    assert abs(fused(x)[0] - exact) <= 8 * np.finfo(float).eps * exact


def test_nan_and_infinities_pass():
    x = drawn("float64", 40, 60)
    x[3], x[20, 30], x[39, 59] = np.nan, np.inf, -np.inf
    check(lambda x: [T.exp(x) - x, T.max(x * 1.0, 0), T.min(x * 1.0), (x * 0.0).sum(1)], x)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_shapes_that_broadcast(way, data):
    """Lengths that are not known may be 1; then some of what is computed is smaller than the rest."""
    rank = data.draw(st.integers(1, 3))
    full = data.draw(st.tuples(*[st.integers(1, 40)] * rank))
    arrays = []
    for _ in range(3):
        shape = [data.draw(st.sampled_from([1, n])) for n in full]
        arrays.append(drawn("float64", *shape[data.draw(st.integers(0, rank)) :]))

    def build(x, y, w):
        a = T.exp(x) * 2.0
        b = T.tanh(y) - 1.0
        return [a, a * b, T.maximum(a * b, w) + b, (a + w).sum()]

    check(build, *arrays, rtol=1e-12)


def test_much_that_broadcasts_to_nothing():
    x, y = drawn("float64", 1, 60), drawn("float64", 0, 1)
    got = planned(lambda x, y: [T.exp(x) * y + x, T.exp(x) + 1.0], x, y)(x, y)
    assert got[0].shape == (0, 60)
    np.testing.assert_array_equal(got[1], np.exp(x) + 1.0)


# how often, where, and by whom


def counted(sizes):
    """An elementwise op that notes how many elements it is given."""
    return Elemwise("counted", lambda x: (sizes.append(x.size), np.tanh(x))[1], like=np.tanh, on=Reals(-1, 1))


def test_what_is_smaller_than_the_whole_is_computed_once(way):
    sizes = []
    op = counted(sizes)
    x, row = drawn("float64", 40, 60), drawn("float64", 1, 60)
    _, fused = plans(lambda x, r: [op(r * 2.0) + x * op(x * 2.0)], x, row)
    fused(x, row)
    assert sum(sizes) == x.size + row.size
    assert sizes[0] == row.size
    assert (len(sizes) > 2) == (way == "blocks")


def test_nothing_large_is_made_on_the_way(monkeypatch, way):
    monkeypatch.setattr(fused_kernel, "_LARGE", BLOCK)
    sizes = []
    op = counted(sizes)
    x, y = drawn("float64", 400, 1), drawn("float64", 1, 300)
    _, fused = plans(lambda x, y: [op(x - y).sum(1)], x, y, known=True)
    fused(x, y)
    assert sum(sizes) == 400 * 300
    assert max(sizes) <= ELEMENTS


def test_two_threads_share_a_kernel():
    arrays = [(drawn("float64", n, 50) + n, drawn("float64", n, 50)) for n in (30, 41, 52, 63)]
    plain, fused = plans(several, *arrays[0])
    wanted = [plain(*pair) for pair in arrays]

    def run(k):
        return [fused(*arrays[(k + i) % 4]) for i in range(100)]

    with ThreadPoolExecutor(4) as pool:
        for k, found in enumerate(pool.map(run, range(4))):
            for i, got in enumerate(found):
                for a, b in zip(got, wanted[(k + i) % 4], strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_outputs_share_no_memory():
    x = drawn("float64", 40, 60)
    _, fused = plans(lambda x: [z := x * 1.0, z + 0.0, x + 1.0], x)
    outs = fused(x)
    for i, a in enumerate(outs):
        assert not any(np.shares_memory(a, b) for b in [x, *outs[:i]])


# in place


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_output_is_computed_in_memory_that_is_given(order):
    x, y = np.asarray(drawn("float64", 40, 60), order=order), drawn("float64", 40, 60)
    node = node_of(long, x, y)
    run = node.op.bind(node, lambda graph: Plan(graph).run)
    want = run(x, y)
    assert node.op.reuses(node) == (0, 1)
    assert node.op.is_safe(x, x, y)
    assert run(x, y, out=x) is x
    np.testing.assert_array_equal(x, want)


def test_memory_that_does_not_fit_is_left_alone():
    x, y = drawn("float64", 1, 60), drawn("float64", 40, 60)
    node = node_of(long, x, y)
    run = node.op.bind(node, lambda graph: Plan(graph).run)
    want, before = run(x, y), x.copy()
    assert not node.op.is_safe(x, x, y)
    np.testing.assert_array_equal(run(x, y, out=x), want)
    np.testing.assert_array_equal(x, before)


def test_a_constant_that_is_larger_is_not_computed_in_a_smaller_input():
    x, c = drawn("float64", 1), T.constant(drawn("float64", 60))
    node = node_of(lambda x: [T.exp(x) * c], x)
    assert not node.op.is_safe(x, x)
    run = node.op.bind(node, lambda graph: Plan(graph).run)
    np.testing.assert_array_equal(run(x.copy(), out=x), np.exp(drawn("float64", 1)) * c.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda x, y: [(x * y).sum()],
        lambda x, y: [x * y, x + y],
        lambda x, y: [T.switch(x > 0, x, y)],
        lambda x, y: [(x > y) | (y > 1)],
    ],
    ids=["reduction", "two-outputs", "no-ufunc", "other-dtype"],
)
def test_no_input_is_reused_where_the_output_does_not_go_there(build):
    node = node_of(build, drawn("float64", 3, 4), drawn("float64", 3, 4))
    assert node.op.reuses(node) == ()


def test_an_integer_power_that_may_fail_reuses_nothing():
    node = node_of(lambda i, j: [i**j + 1], drawn("int64", 3), drawn("int64", 3))
    assert node.op.reuses(node) == ()


def test_a_large_state_is_updated_in_its_own_memory():
    state, x = drawn("float64", LARGE // 8), drawn("float64", LARGE // 8)
    node = node_of(long, state, x)
    out = Plan(Graph(node.inputs, node.outputs), states={0: 0})(state, x)[0]
    assert isinstance(out, Postponed)
    want = out.fresh()
    assert out.written() is state
    np.testing.assert_array_equal(state, want)


# errors


def test_a_misfit_is_explained_by_the_op_inside():
    x, y = drawn("float64", 40, 60), drawn("float64", 40, 50)
    fused = planned(lambda x, y: [T.exp(x) * T.tanh(y) + 1.0], x, y)
    with pytest.raises(ShapeError) as caught:
        fused(x, y)
    assert caught.value.message.startswith("mul cannot broadcast shapes (40, 60) and (40, 50)")
    assert caught.value.node.op.name == "mul"
    assert "test_fused.py" in str(caught.value)
    assert "T.exp(x) * T.tanh(y) + 1.0" in str(caught.value)


def test_a_value_without_meaning_is_explained_by_the_op_inside():
    i, n = np.full(3 * ELEMENTS, 2), np.full(3 * ELEMENTS, 3)
    n[-1] = -1
    fused = planned(lambda i, n: [(i + 1) ** n + 1], i, n)
    with pytest.raises(DomainError, match="pow"):
        fused(i, n)


def test_a_reduction_of_nothing_is_explained():
    x = np.ones((0, 3))
    fused = planned(lambda x: [T.max(x * 2.0, 0)], x)
    with pytest.raises(ShapeError, match="max"):
        fused(x)


# the op


def test_it_is_read_as_its_formula():
    x, y = T.dmatrices("x", "y")
    op = Fused(Graph([x, y], [T.tanh(2 * x + y) * T.exp(-(x**2))]))
    assert str(op) == "fused{(tanh(((2 * x) + y)) * exp((-(x ** 2))))}"
    assert len(str(Fused(Graph([x, y], [T.exp(T.tanh(x + y) * 3.25) ** y / (x + y) - x * y])))) < 80
    assert " >mul" in rg.printing.debugprint(op(x, y), file="str")
    assert rg.pp(op(y, x)) == "fused{(tanh(((2 * x) + y)) * exp((-(x ** 2))))}(y, x)"


def test_it_is_made_anew_for_other_lengths():
    x = T.dmatrix("x")
    op = Fused(Graph([x], [x * 2.0 + 1.0]))
    out = op(T.TensorType("float64", (3, None))())
    assert out.type.shape == (3, None)
    assert isinstance(out.owner.op.graph, FusedGraph)
    assert op(T.TensorType("float64", (3, None))()).owner.op is out.owner.op


def test_it_takes_other_graphs_of_its_types():
    x = T.dmatrix("x")
    op = Fused(Graph([x], [x * 2.0 + 1.0]))
    assert isinstance(op.with_graphs([Graph([x], [x - 1.0])]), Fused)
    other = op.with_graphs([Graph([x], [x.T])])
    assert isinstance(other, OpFromGraph)
    assert other.inline
    with pytest.raises(GraphTypeError):
        op.with_graphs([Graph([x], [x.sum()])])


def test_it_is_pickled_and_copied():
    x = drawn("float64", 40, 60)
    fused = planned(several, x, x)
    fused(x, x)
    for again in (pickle.loads(pickle.dumps(fused.graph)), deepcopy(fused.graph)):
        assert isinstance(again.nodes[0].op, Fused)
        for got, want in zip(Plan(again)(x, x), fused(x, x), strict=True):
            np.testing.assert_array_equal(got, want)


def test_an_input_that_nothing_reads_is_let_be():
    x, y = T.dmatrix("x"), T.dvector("y")
    op = Fused(Graph([x, y], [T.exp(x) * 2.0, (x * 2.0).sum()]))
    a = drawn("float64", 40, 60)
    got = Plan(Graph([x, y], op(x, y)))(a, np.ones(7))
    np.testing.assert_array_equal(got[0], np.exp(a) * 2.0)


def test_a_reduction_of_an_input_stands_beside_what_is_computed():
    x, y = drawn("float64", 40, 60), drawn("float64", 7)
    check(lambda x, y: [T.exp(x) * 2.0, y.sum(), x.sum(0)], x, y)


def test_bodies_of_one_form_share_their_code():
    x, y = T.dmatrices("x", "y")
    one = Fused(Graph([x], [T.tanh(x) * 2.0])).body
    two = Fused(Graph([y], [T.exp(y) + 3.0])).body
    assert one._make is two._make
