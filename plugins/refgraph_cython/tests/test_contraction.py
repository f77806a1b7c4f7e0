"""Products of arrays summed over any axes: of any dtype, in any layout, in any order, of any lengths."""

import itertools

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import DTYPES, Dot, Gemm, Graph, Linspace, MatMul, Plan, TensorDot, TensorType
from refgraph.testing.compare import assert_close, assert_same, largest
from refgraph_cython import backend
from refgraph_cython.lower.program import program

MATRICES = [(1, 1, 1), (3, 5, 2), (1, 7, 4), (6, 1, 3), (4, 9, 1), (0, 3, 2), (3, 0, 2), (3, 2, 0), (40, 300, 33)]
"""Rows, terms and columns."""
REFUSED = "shape|axis|mismatch|operands"
MIXED = ["int8", "bool", "float16", "float32", "complex64"]
SUBSCRIPTS = [
    "ij,jk->ik",
    "ij,kj->ki",
    "ji,jk->ik",
    "ij,j->i",
    "i,ij->j",
    "i,i->",
    "i,j->ji",
    "ij,ij->ij",
    "ij,ij->j",
    "ij,ji->",
    "bij,bjk->bik",
    "bij,jk->ibk",
    "bij,bkj->kbi",
    "bij,bi->bj",
    "ijk,kjl->il",
    "ijk,ljk->li",
    "ijkl,ljm->mik",
    "bihd,bjhd->bhij",
    "ij,k->jk",
    "ij,k->j",
    ",ij->ji",
    "ij,jk,kl->il",
    "i,ij,j->",
    "ij,ij,ij->i",
    "ai,bi,ci->abc",
    "ij,jk,kl,lm,mi->",
    "ii,ij->j",
    "iij,jj->i",
    "...ij,...jk->...ik",
    "i...,i...->...",
    "ab,cd,ef,gh->abcdefgh",
    "abcd,cdef,efgh->abgh",
    "abcdef,fedghi->abcghi",
    "abcde,edcfg,ga->bf",
]
LENGTHS = dict(zip("abcdefghijklmxy", itertools.cycle([2, 3, 4, 5]), strict=False))


def drawn(shape, dtype, seed=0):
    rng = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind not in "fc":
        return np.asarray(rng.integers(0, 2 if dtype == "bool" else 120, shape)).astype(dtype)
    values = rng.normal(size=shape)
    return np.asarray(values + 1j * rng.normal(size=shape) if dtype.startswith("complex") else values).astype(dtype)


def layouts(x):
    """x as it lies, the other way round, backwards, with gaps, and repeated."""
    yield x
    yield np.asfortranarray(x)
    yield x[tuple([slice(None, None, -1)] * x.ndim)]
    yield np.repeat(x, 2, axis=-1)[..., ::2]
    yield np.broadcast_to(x[..., :1], x.shape)


def both(formula, *values, known=False):
    """What the program and the interpreter compute; known: whether lengths are."""
    inputs = [TensorType(str(v.dtype), v.shape if known else (None,) * v.ndim).variable() for v in values]
    graph = Graph(inputs, [formula(*inputs)])
    return program(graph)(*values)[0], Plan(graph)(*values)[0]


def assert_agrees(formula, *values, want=None, known=False):
    """As the interpreter, up to roundings in proportion to the largest element; `want` where NumPy says it, too."""
    got, found = both(formula, *values, known=known)
    for wanted in [found] if want is None else [found, want]:
        assert_close(got, np.asarray(wanted), ulp=64, scale=largest(wanted))


def shapes_of(subscripts, lengths):
    """Shapes of operands; `...` stands for two axes."""
    terms = subscripts.split("->")[0].replace("...", "xy").split(",")
    return [tuple([lengths[c] for c in term]) for term in terms]


def operands(subscripts, dtype):
    return [drawn(shape, dtype, seed) for seed, shape in enumerate(shapes_of(subscripts, LENGTHS))]


# products of matrices


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_dot_is_that_of_numpy_in_any_dtype_and_layout(shape, dtype):
    m, k, n = shape
    for x, y in itertools.product(layouts(drawn((m, k), dtype)), layouts(drawn((k, n), dtype, 1))):
        assert_agrees(T.dot, x, y)
    x, y = drawn((m, k), dtype), drawn((k, n), dtype, 1)
    assert_agrees(T.dot, x, y, want=np.dot(x, y))
    assert_agrees(T.dot, x, drawn((k,), dtype))
    assert_agrees(T.dot, drawn((k,), dtype)[::-1], y)
    assert_agrees(T.dot, drawn((k,), dtype), drawn((k,), dtype)[::-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul_is_that_of_numpy_in_any_dtype(dtype):
    for a, b in [((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((1, 3, 4), (6, 4, 2)), ((5, 1, 2, 3), (4, 3, 1))]:
        for x, y in itertools.product(layouts(drawn(a, dtype)), layouts(drawn(b, dtype, 1))):
            assert_agrees(T.matmul, x, y, want=np.matmul(x, y))


@pytest.mark.parametrize("left", MIXED)
@pytest.mark.parametrize("right", MIXED)
def test_products_of_two_dtypes_are_those_of_numpy(left, right):
    x, y = drawn((3, 4), left), drawn((4, 5), right)
    assert_agrees(T.dot, x, y, want=np.dot(x, y))
    assert_agrees(T.matmul, x[None], y[None], want=np.matmul(x[None], y[None]))
    assert_agrees(lambda x, y: T.einsum("ij,jk->ki", x, y), x, y)
    assert_agrees(lambda x, y: T.tensordot(x, y[:, None], 1), x, y)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_a_product_is_added_in_any_floating_dtype(dtype, stacked):
    x, y = drawn((3, 4), dtype), drawn((4, 5), dtype)
    if stacked:
        x, y = drawn((2, 3, 4), dtype), drawn((1, 4, 5), dtype)
    for c in (drawn((2, 3, 5) if stacked else (3, 5), dtype), drawn((5,), dtype), drawn((3, 1), dtype)):
        for a, b in [(1, 1), (0.5, -2), (0, 1), (2, 0)]:
            assert_agrees(Gemm(stacked), c, np.array(a, dtype), x, y, np.array(b, dtype))


def test_fields_of_records_are_multiplied_as_other_arrays():
    records = np.zeros((4, 3), [("z", "complex128"), ("weight", "float64")])
    records["z"] = drawn((4, 3), "complex128")
    x, z = T.zmatrix("x"), records["z"]
    c = T.constant(np.ones((3, 3), "complex128"))
    one = T.constant(np.array(1 + 0j))
    for formula, want in [
        (T.dot(x.T, x), z.T @ z),
        (T.matmul(x.T, x[None]), (z.T @ z)[None]),
        (Gemm()(c, one, x.T, x, one), 1 + z.T @ z),
        (T.einsum("ij,ik->jk", x, x), z.T @ z),
    ]:
        f = rg.function([x], formula, backend=backend, strict=True)
        np.testing.assert_allclose(f(z), want)


# sums over any axes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_einsum_is_that_of_numpy_in_any_dtype(subscripts, dtype):
    arrays = operands(subscripts, dtype)
    if len(arrays) > 2 and dtype in ("float16", "complex64"):
        arrays = [np.asarray(a / 2).astype(dtype) for a in arrays]
    want = np.einsum(subscripts, *arrays) if dtype != "float16" else None
    for known in (False, True):
        assert_agrees(lambda *xs: T.einsum(subscripts, *xs), *arrays, want=want, known=known)


@pytest.mark.parametrize("dtype", ["int16", "float32", "complex128"])
@pytest.mark.parametrize("subscripts", [s for s in SUBSCRIPTS if s.count(",") == 1 and "ii" not in s and "jj" not in s])
def test_einsum_takes_any_layout(subscripts, dtype):
    x, y = operands(subscripts, dtype)
    for a, b in itertools.product(layouts(x) if x.ndim else [x], layouts(y)):
        assert_agrees(lambda *xs: T.einsum(subscripts, *xs), a, b)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("subscripts", [s for s in SUBSCRIPTS if "ii" not in s and "jj" not in s and s.count(",") < 4])
def test_axes_of_length_1_are_repeated_and_those_of_length_0_have_no_terms(subscripts, known):
    arrays = operands(subscripts, "float64")
    for k, array in enumerate(arrays):
        for axis in range(array.ndim):
            short = array[(slice(None),) * axis + (slice(1),)]
            given = [*arrays[:k], short, *arrays[k + 1 :]]
            assert_agrees(lambda *xs: T.einsum(subscripts, *xs), *given, known=known)
    for letter in dict.fromkeys(c for c in subscripts.split("->")[0] if c.isalpha()):
        given = [np.ones(shape) for shape in shapes_of(subscripts, {**LENGTHS, letter: 0})]
        assert_agrees(lambda *xs: T.einsum(subscripts, *xs), *given, known=known)


@pytest.mark.parametrize("seed", range(60))
def test_any_contraction_of_two_arrays_is_that_of_numpy(seed):
    rng = np.random.default_rng(seed)
    lengths = dict(zip("abcdefg", rng.integers(1, 5, 7).tolist(), strict=True))
    terms = ["".join(rng.permutation(list("abcdefg"))[: rng.integers(0, 6)]) for _ in range(2)]
    letters = sorted(set(terms[0] + terms[1]))
    out = "".join(rng.permutation(letters)[: rng.integers(0, len(letters) + 1)]) if letters else ""
    subscripts = f"{terms[0]},{terms[1]}->{out}"
    arrays = [drawn([1 if rng.random() < 0.15 else lengths[c] for c in t], "float32", k) for k, t in enumerate(terms)]
    for order in ("C", "F"):
        given = [np.asarray(a, order=order) for a in arrays]
        for known in (False, True):
            assert_agrees(lambda *xs: T.einsum(subscripts, *xs), *given, known=known)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensordot_is_that_of_numpy_in_any_dtype(dtype):
    for a, b, axes in [
        ((2, 3, 4), (3, 4, 2), 2),
        ((3,), (2, 4), 0),
        ((2, 3, 4), (4, 3, 2), ((0, 2), (2, 0))),
        ((2, 3, 4), (4, 3, 2), (1, 1)),
        ((2, 0, 4), (4, 0, 3), ((1, 2), (1, 0))),
        ((0, 3), (3, 2, 2), 1),
        ((30, 20, 5), (5, 20, 40), ((1, 2), (1, 0))),
    ]:
        for x, y in itertools.product(layouts(drawn(a, dtype)), layouts(drawn(b, dtype, 1))):
            assert_agrees(lambda x, y, axes=axes: T.tensordot(x, y, axes), x, y)
        x, y = drawn(a, dtype), drawn(b, dtype, 1)
        want = np.tensordot(x, y, axes)
        assert_agrees(lambda x, y, axes=axes: T.tensordot(x, y, axes), x, y, want=want, known=True)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_a_tensordot_of_each_item_is_one(known):
    for axes, batch, a, b in [
        (((1,), (1,)), 1, (5, 3), (5, 3)),
        (((2,), (1,)), 1, (5, 2, 3), (5, 3, 4)),
        (((), ()), 1, (5, 2), (5, 3)),
        (((2, 3), (3, 2)), 2, (2, 3, 4, 2), (2, 3, 2, 4)),
        (((1, 2), (2, 1)), 1, (4, 2, 3), (4, 3, 2)),
    ]:
        op = TensorDot(*axes, batch)
        for x, y in itertools.product(layouts(drawn(a, "float64")), layouts(drawn(b, "float64", 1))):
            assert_agrees(op, x, y, known=known)


def test_lengths_that_do_not_fit_are_refused_in_each_call():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    for made in (T.einsum("ij,jk->ik", x, y), T.tensordot(x, y, ((0,), (0,))), TensorDot((1,), (1,), 1)(x, y), x @ y):
        f = rg.function([x, y], made, backend=backend)
        assert f(np.ones((3, 3)), np.ones((3, 3))).dtype == "float64"
        with pytest.raises(ValueError, match=REFUSED):
            f(np.ones((3, 4)), np.ones((2, 5)))


def test_a_length_of_1_goes_with_no_other_one_in_tensordot():
    x, y = T.dtensor3("x"), T.dtensor3("y")
    for op in (TensorDot((2,), (1,), 1), TensorDot((1, 2), (2, 1))):
        f = rg.function([x, y], op(x, y), backend=backend)
        with pytest.raises(ValueError, match=REFUSED):
            f(np.ones((2, 3, 4)), np.ones((1, 4, 3)) if op.batch else np.ones((2, 1, 3)))


def test_products_of_three_are_taken_in_the_order_that_takes_least():
    n = 300
    x, y, v = np.ones((n, n)), np.ones((n, n)), np.ones(n)
    inputs = [T.dmatrix("x"), T.dmatrix("y"), T.dvector("v")]
    f = rg.function(inputs, T.einsum("ij,jk,k->i", *inputs), backend=backend, strict=True)
    np.testing.assert_array_equal(f(x, y, v), np.full(n, float(n * n)))


def test_integers_wrap_and_truth_values_do_not():
    x = np.full((2, 300), 100, "int8")
    assert_agrees(T.dot, x, x.T, want=np.dot(x, x.T))
    assert_agrees(lambda x: T.einsum("ij,kj->ik", x, x), x)
    assert_agrees(lambda x: T.einsum("ij->i", x), x, want=np.einsum("ij->i", x))
    big = np.full((3, 3), 2**62 + 1)
    assert_agrees(T.dot, big, big, want=np.dot(big, big))
    true = np.ones((3, 300), "bool")
    assert_agrees(T.dot, true, true.T, want=np.ones((3, 3), "bool"))


# other ops that compute in another dtype than that of their result


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float16", "float32", "complex64"])
def test_linspace_answers_any_dtype(dtype):
    first = 0 if dtype == "uint16" else -7
    for start, stop in [(np.array(first), np.array(9)), (np.array([first, 0.5, 3.25]), np.array(40.0))]:
        for num, endpoint in itertools.product([0, 1, 2, 7], [True, False]):
            got, want = both(Linspace(num, endpoint, dtype), start, stop)
            assert_same(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_product_is_left_to_the_interpreter(dtype):
    x, y = T.tensor3("x", dtype=dtype), T.tensor3("y", dtype="int8")
    for made in (Dot()(x[0], y[0]), MatMul()(x, y), T.einsum("bij,bjk->bik", x, y), T.tensordot(x, y, 2)):
        rg.function([x, y], made, backend=backend, strict=True)
