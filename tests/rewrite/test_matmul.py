"""Products of matrices: which forms they get, and that the values stay."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.interp.evaluate import evaluate
from refgraph.ops.blas import gemm

from .forms import assert_form, calls, count, rewritten

x, g, w, c = T.dmatrices("x", "g", "w", "c")
u, v, b = T.dvectors("u", "v", "b")
lr = T.dscalar("lr")
p, q, r = T.dtensor3("p"), T.dtensor3("q"), T.dtensor3("r")
col, row = T.dcol("col"), T.drow("row")
LATE = ("canonical", "specialize", "matmul")


def sized(*shape):
    return T.tensor("float64", shape)


TABLE = {
    # orders
    "transpose of a product": (T.dot(x, w).T, T.dot(w.T, x.T)),
    "transposes cancel": (T.dot(x.T, w.T).T, T.dot(w, x)),
    "vector last": (T.dot(T.dot(x, w), v), T.dot(x, T.dot(w, v))),
    "vector first": (T.dot(u, T.dot(x, w)), T.dot(T.dot(u, x), w)),
    "vector last of three": (T.dot(T.dot(T.dot(x, w), g), v), T.dot(x, T.dot(w, T.dot(g, v)))),
    # sums with products
    "gradient step": (w - lr * T.dot(x.T, g), gemm(w, -lr, x.T, g)),
    "gradient step with a number": (w - 0.5 * T.dot(x.T, g), gemm(w, -0.5, x.T, g)),
    "gradient step, divided": (w - T.dot(x.T, g) / 4.0, gemm(w, -0.25, x.T, g)),
    "gradient step, scaled inside": (w - T.dot(x.T, 0.5 * g), gemm(w, -0.5, x.T, g)),
    "weight decay": (0.9 * w - 0.5 * T.dot(x.T, g), gemm(w, -0.5, x.T, g, 0.9)),
    "difference the other way": (T.dot(x, w) - c, gemm(c, 1, x, w, -1)),
    "sum of products": (T.dot(x, w) + T.dot(g, c), gemm(T.dot(x, w), 1, g, c)),
    "negative of both": (-T.dot(x, w) - c, gemm(c, -1, x, w, -1)),
    "matrix and vector": (u + T.dot(x, v), gemm(u, 1, x, v)),
    "vector and matrix": (u + 2 * T.dot(v, x), gemm(u, 2, v, x)),
    "column times row": (w - lr * T.dot(col, row), gemm(w, -lr, col, row)),
    "stacks": (r - 2 * T.matmul(p, q), gemm(r, -2, p, q)),
    # left alone
    "a row is added elementwise": (T.dot(x, w) + b, T.dot(x, w) + b),
    "a number is added elementwise": (T.dot(x, w) + lr, lr + T.dot(x, w)),
    "a scaled product alone": (lr * T.dot(x, w), lr * T.dot(x, w)),
    # scalars
    "scalar out, where the product is smaller": (T.dot(2 * x, v), 2 * T.dot(x, v)),
    "scalar stays, where sizes are unknown": (T.dot(2 * x, w), T.dot(2 * x, w)),
}


@pytest.mark.parametrize("id", TABLE)
def test_form(id):
    before, after = TABLE[id]
    assert_form(before, after, *LATE)


def values_agree(*outputs, phases=LATE, lengths=5, **given):
    rng = np.random.default_rng(1)
    inputs = [x, g, w, c, u, v, b, lr, p, q, r]
    arrays = {k: rng.normal(size=(lengths,) * k.ndim) for k in inputs}
    arrays |= {col: rng.normal(size=(lengths, 1)), row: rng.normal(size=(1, lengths))}
    want = evaluate(outputs, arrays)
    for got, wanted in zip(evaluate(rewritten(list(outputs), *phases), arrays), want, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape


@pytest.mark.parametrize("lengths", [1, 5, 80])
@pytest.mark.parametrize("id", TABLE)
def test_value(id, lengths):
    values_agree(TABLE[id][0], lengths=lengths)


def test_products_with_zeros_are_zeros():
    before = T.dot(x, T.zeros_like(w))
    assert count(rewritten(before), "dot") == 0
    values_agree(before, T.dot(T.zeros((5, 5)), w), T.dot(u, T.zeros_like(w)), T.dot(u, 0 * v), phases=("canonical",))


def test_products_with_one_number_are_sums():
    ones = T.dot(T.ones_like(x), w)
    assert count(rewritten(ones), "dot") == 0
    values_agree(
        ones,
        T.dot(x, T.fill(w, lr)),
        T.dot(T.ones_like(u), w),
        T.dot(w, T.ones_like(u)),
        T.dot(T.ones_like(u), v),
        T.dot(T.fill(x, 2.0), v),
        phases=("canonical",),
    )


CHAINS = {
    "left": ([(2, 50), (50, 100), (100, 3)], "((0 1) 2)"),
    "right": ([(50, 2), (2, 100), (100, 3)], "(0 (1 2))"),
    "four": ([(10, 2), (2, 30), (30, 2), (2, 40)], "((0 (1 2)) 3)"),
}


def shape_of_chain(out, names):
    if out in names:
        return str(names[out])
    return f"({' '.join(shape_of_chain(i, names) for i in out.owner.inputs)})"


@pytest.mark.parametrize("id", CHAINS)
@pytest.mark.parametrize("first", ["left", "right"])
def test_chains_of_known_sizes_are_in_the_cheapest_order(id, first):
    shapes, order = CHAINS[id]
    factors = [sized(*shape) for shape in shapes]
    out = factors[0]
    if first == "left":
        for f in factors[1:]:
            out = T.dot(out, f)
    else:
        out = factors[-1]
        for f in factors[-2::-1]:
            out = T.dot(f, out)
    (found,) = rewritten([out], *LATE)
    assert shape_of_chain(found, {f: i for i, f in enumerate(factors)}) == order


def test_a_product_that_is_read_elsewhere_stays_in_the_chain():
    a, m, z = sized(50, 2), sized(2, 100), sized(100, 3)
    product = T.dot(a, m)
    kept, out = rewritten([product, T.dot(product, z)], *LATE)
    assert out.owner.inputs[0] is kept


def test_a_product_that_is_read_elsewhere_is_not_computed_twice():
    product = T.dot(x.T, g)
    found = rewritten([w - lr * product, product], *LATE)
    assert count(found, "dot") == 1
    assert count(found, "gemm") == 0


def test_products_of_integers_are_no_gemm():
    i, j = T.lmatrices("i", "j")
    assert count(rewritten(i + T.dot(i, j), *LATE), "gemm") == 0


def test_gemm_broadcasts_when_it_runs():
    f = rg.function([w, x, g], w - 0.5 * T.dot(x, g))
    a, m, z = np.ones((1, 4)), np.ones((3, 2)), np.ones((2, 4))
    np.testing.assert_array_equal(f(a, m, z), np.zeros((3, 4)))
    np.testing.assert_array_equal(f(np.ones((3, 4)), np.ones((1, 2)), z), np.zeros((3, 4)))


def test_float32_stays_float32():
    a, m, z = T.fmatrices("a", "m", "z")
    out = rewritten(a - 0.1 * T.dot(m, z), *LATE)
    assert (out.owner.op.name, out.dtype) == ("gemm", "float32")


def test_an_outer_product_alone_fuses_with_its_neighbours():
    f = rg.function([col, row], T.exp(T.dot(col, row)))
    assert all(node.op.name != "dot" for node in f.graph.nodes)
    np.testing.assert_allclose(f(np.ones((2, 1)), np.ones((1, 3))), np.full((2, 3), np.e))


def test_the_update_of_weights_is_one_call_of_blas():
    weights = rg.shared(np.zeros((784, 10)), "weights")
    data, target = T.dmatrices("data", "target")
    cost = T.sqr(T.dot(data, weights) - target).sum()
    f = rg.function([data, target], cost, updates=[(weights, weights - 0.1 * rg.grad(cost, weights))])
    (update,) = [out for out in f.graph.outputs if out not in f.outputs]
    assert update.owner.op.name == "gemm"
    assert update.owner.inputs[0] is weights


def test_a_long_chain_of_products_is_linear():
    """Counted: products behind products are looked at a bounded number of times."""
    work = []
    for length in (500, 2_000):
        out = x
        for _ in range(length):
            out = T.dot(out, w)
        work.append(calls(lambda out=out: rewritten(T.dot(out, v), *LATE)))
    assert work[1] < 4.5 * work[0]


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_a_product_with_a_broadcast_number_is_summed_in_its_dtype(dtype):
    y = T.tensor(dtype, (None, None), name="y")
    array = np.full((3, 2), 2**62 if dtype == "int64" else 1 / 3, dtype)
    (found,) = evaluate([rewritten(T.dot(y.T, T.ones((y.shape[0], 4))), *LATE)], {y: array})
    np.testing.assert_allclose(found, np.dot(array.T.astype("float64"), np.ones((3, 4))), rtol=1e-15, strict=True)
