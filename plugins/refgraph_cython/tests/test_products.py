"""Products of matrices beside NumPy's in float64: sizes around those of tiles and vectors, layouts, updates."""

import itertools
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph_cython import backend

SIZES = (0, 1, 2, 3, 5, 8, 10, 12, 13, 17, 33, 65, 131)
"""Below, at and above the rows of a tile, the lanes of a vector, and the terms from which on rows are multiplied."""
TOLERANCE = {"float32": 2e-5, "float64": 1e-13}
FEW = [(m, k, n) for m, k, n in itertools.product((1, 2, 10), (1, 2, 31, 33, 200), (1, 10, 16, 49, 500))]


def drawn(seed, *shape, dtype):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_near(got, want, terms, dtype):
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype] * max(1, terms) ** 0.5 * 4)


def laid(x, how):
    """An array of the same elements that lies in memory in another way."""
    if how == "transposed":
        return np.asfortranarray(x)
    if how == "strided":
        wide = np.zeros([2 * n + 1 for n in x.shape], x.dtype)
        wide[tuple([slice(1, 1 + 2 * n, 2) for n in x.shape])] = x
        return wide[tuple([slice(1, 1 + 2 * n, 2) for n in x.shape])]
    if how == "in wider rows":
        return np.concatenate([x, x[:, :3]], axis=1)[:, : x.shape[1]]
    if how == "backwards":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    return np.ascontiguousarray(x)


LAYOUTS = ("contiguous", "transposed", "in wider rows", "strided", "backwards")


def product(dtype):
    x, y = T.matrix("x", dtype=dtype), T.matrix("y", dtype=dtype)
    return rg.function([x, y], T.dot(x, y), backend=backend, strict=True)


def training(dtype, rate=0.1):
    """A state to which a product of transposes is added."""
    w = rg.shared(np.zeros((0, 0), dtype))
    x, d = T.matrix("x", dtype=dtype), T.matrix("d", dtype=dtype)
    updates = [(w, w - np.asarray(rate, dtype) * T.dot(x.T, d))]
    return w, rg.function([x, d], [], updates=updates, backend=backend, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_any_size(transposed, dtype):
    f = product(dtype)
    for m, k, n in itertools.product(SIZES, repeat=3):
        x, y = drawn(0, m, k, dtype=dtype), drawn(1, k, n, dtype=dtype)
        assert_near(f(x, laid(y, "transposed") if transposed else y), x.astype("float64") @ y, k, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layouts", list(itertools.product(LAYOUTS, repeat=2)))
def test_products_of_matrices_that_lie_in_any_way(layouts, dtype):
    f = product(dtype)
    for m, k, n in FEW:
        x, y = drawn(2, m, k, dtype=dtype), drawn(3, k, n, dtype=dtype)
        assert_near(f(laid(x, layouts[0]), laid(y, layouts[1])), x.astype("float64") @ y, k, dtype)
        assert_near(f(laid(y.T, layouts[1]), laid(x.T, layouts[0])), (x.astype("float64") @ y).T, k, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 10, 16, 60])
def test_updates_by_products_of_any_size(batch, dtype):
    w, f = training(dtype)
    for m, n in itertools.product((1, 2, 7, 9, 24, 131), (1, 3, 10, 16, 31, 32, 33, 48, 50, 64, 65, 127, 500)):
        begin, x, d = (drawn(i, *shape, dtype=dtype) for i, shape in enumerate([(m, n), (batch, m), (batch, n)]))
        w.set_value(begin)
        f(x, d)
        assert_near(w.get_value(), begin - 0.1 * (x.astype("float64").T @ d), batch, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layouts", list(itertools.product(LAYOUTS, repeat=2)))
def test_updates_by_products_that_lie_in_any_way(layouts, dtype):
    w, f = training(dtype)
    for batch in (1, 4):
        begin, x, d = (drawn(i, *shape, dtype=dtype) for i, shape in enumerate([(13, 70), (batch, 13), (batch, 70)]))
        w.set_value(begin)
        f(laid(x, layouts[0]), laid(d, layouts[1]))
        assert_near(w.get_value(), begin - 0.1 * (x.astype("float64").T @ d), batch, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [32, 33, 50, 63, 64, 500])
def test_an_update_by_two_vectors_does_not_depend_on_where_the_matrix_begins(n, dtype):
    x, d, begin = drawn(0, 1, 9, dtype=dtype), drawn(1, 1, n, dtype=dtype), drawn(2, 9, n, dtype=dtype)
    found, beside, where = [], [], set()
    w, f = training(dtype)
    for i in range(40):
        beside.append(np.empty(16 * i + 8, "uint8"))
        w.set_value(begin)
        f(x, d)
        where.add(w.get_value(borrow=True).ctypes.data % 64)
        found.append(w.get_value())
        beside.append(found[-1])

    assert len(where) > 1
    assert_near(found[0], begin - 0.1 * (x.astype("float64").T @ d), 1, dtype)
    assert all([np.array_equal(a, found[0]) for a in found])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_a_matrix_times_a_vector_beside_a_multiple_of_another_vector(beta, layout, dtype):
    x, v, c = T.matrix("x", dtype=dtype), T.vector("v", dtype=dtype), T.vector("c", dtype=dtype)
    f = rg.function([x, v, c], [T.dot(x, v), beta * c + T.dot(x, v), T.dot(v, x.T)], backend=backend, strict=True)
    for m, k in itertools.product((0, 1, 2, 5, 17, 400), (0, 1, 3, 16, 40, 785)):
        a, b, e = drawn(0, m, k, dtype=dtype), drawn(1, 2 * k, dtype=dtype)[::2], drawn(2, m, dtype=dtype)
        want = a.astype("float64") @ b
        for got, wanted in zip(f(laid(a, layout), b, e), [want, beta * e + want, want], strict=True):
            assert_near(got, wanted, k, dtype)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the other sets are those of x86-64")
@pytest.mark.parametrize("isa", ["base", "v3"])
def test_products_in_the_other_instruction_sets(isa):
    command = [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-k", "any_size or updates or begins or vector"]
    done = subprocess.run(command, env=os.environ | {"REFGRAPH_CYTHON_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(("sizes", "loads"), [((10, 784, 500), False), ((900, 700, 800), True)])
def test_blas_is_loaded_by_the_first_product_that_is_sooner_done_by_it(sizes, loads):
    program = f"""if True:
        import sys
        import numpy as np
        import refgraph as rg, refgraph.tensor as T
        m, k, n = {sizes}
        x, y = T.matrices("xy")
        f = rg.function([x, y], T.dot(x, y), backend="cython")
        a, b = [np.ones(shape, x.type.dtype) for shape in ((m, k), (k, n))]
        print("refgraph_cython.blas" in sys.modules, (f(a, b) == k).all(), "refgraph_cython.blas" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", str(loads)]


def test_where_blas_cannot_be_loaded_products_of_small_matrices_need_none():
    program = """if True:
        import sys
        import numpy as np
        import refgraph as rg, refgraph.tensor as T
        sys.modules["refgraph_cython.blas"] = None
        x, y = T.dmatrices("xy")
        f = rg.function([x, y], T.dot(x, y), backend="cython")
        print(f(np.ones((2, 3)), np.ones((3, 4))).sum())
        try:
            f(np.ones((900, 700)), np.ones((700, 800)))
        except rg.RefgraphError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("24.0\n"), done.stderr
    assert "BLAS cannot be loaded: import scipy.linalg.cython_blas says why" in done.stdout + done.stderr
