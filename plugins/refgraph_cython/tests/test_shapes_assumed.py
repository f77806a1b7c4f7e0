"""Programs for calls in which nothing is broadcast, and what computes the others; results in memory given before."""

import gc
import weakref

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T

N = 20_000  # elements of arrays that are large enough to be used again


def gradient(backend="cython", **options):
    x, y = T.dvector("x"), T.dvector("y")
    cost = (T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y))).sum()
    return rg.function([x, y], rg.grad(cost, [x, y]), backend=backend, **options)


def test_calls_of_all_shapes_answer_what_the_interpreter_answers():
    f, g = gradient(), gradient("numpy")
    rng = np.random.default_rng(0)
    for n, m in ((7, 7), (1, 5), (5, 1), (1, 1), (0, 0), (0, 1), (7, 7), (300, 300)):
        x, y = rng.normal(size=n), rng.normal(size=m)
        for got, want in zip(f(x, y), g(x, y), strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_one_pass_computes_all_where_nothing_is_broadcast():
    f = gradient(profile=True)
    f(np.ones(3), np.ones(3))

    assert len(f.profile.nodes) == 1


def test_shapes_that_do_not_fit_raise_what_the_interpreter_raises():
    f = gradient()
    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones(3), np.ones(4))


def test_states_are_as_they_were_where_a_call_fails_and_change_where_shapes_are_broadcast():
    w = rg.shared(np.ones(4), "w")
    x = T.dvector("x")
    f = rg.function([x], [], updates=[(w, w - rg.grad(T.sqr(w * x - 1).sum(), w))], backend="cython")

    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones(3))
    np.testing.assert_array_equal(w.get_value(), np.ones(4))
    f(np.full(1, 2.0))
    np.testing.assert_array_equal(w.get_value(), np.full(4, -3.0))
    f(np.full(4, 2.0))
    np.testing.assert_array_equal(w.get_value(), np.full(4, 25.0))


def test_steps_of_loops_are_made_so_too():
    x, y, h = T.dmatrix("x"), T.dmatrix("y"), T.dvector("h")

    def cost(x, y, h):
        out, _ = rg.scan(lambda a, b, h: T.tanh(a * b + h), [x, y], [h])
        return out.sum()

    for backend in ("cython",):
        f = rg.function([x, y, h], rg.grad(cost(x, y, h), [x, y, h]), backend=backend)
        g = rg.function([x, y, h], rg.grad(cost(x, y, h), [x, y, h]), backend="numpy")
        rng = np.random.default_rng(0)
        for columns in ((5, 5, 5), (1, 5, 5), (5, 1, 5), (5, 5, 5)):
            given = [rng.normal(size=(3, n)) for n in columns[:2]] + [rng.normal(size=columns[2])]
            for got, want in zip(f(*given), g(*given), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


# memory that is used again


def doubled():
    x = T.dvector("x")
    f = rg.function([x], x * 2, backend="cython")
    return f, np.arange(float(N))


def test_a_result_that_nobody_has_any_more_is_the_memory_of_the_next():
    f, x = doubled()
    first = f(x).ctypes.data

    assert f(x).ctypes.data == first


@pytest.mark.parametrize(
    "keep",
    [lambda a: a, lambda a: a[3:], lambda a: memoryview(a), lambda a: [a], lambda a: a.T.reshape(2, -1)],
    ids=["itself", "view", "memoryview", "list", "reshaped"],
)
def test_a_result_that_somebody_has_is_not_touched(keep):
    f, x = doubled()
    f(x)
    kept = keep(f(x))
    before = np.array(kept, copy=True)
    f(-x)

    np.testing.assert_array_equal(np.array(kept), before)


def change_shape(a):
    a.shape = (2, N // 2)


def freeze(a):
    a.flags.writeable = False


def swap(a):
    a.dtype = a.dtype.newbyteorder()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("change", [change_shape, freeze, swap])
def test_a_result_that_was_changed_is_not_given_again(change):
    f, x = doubled()
    change(f(x))
    got = f(x)

    assert (got.shape, got.dtype, got.flags.writeable) == ((N,), np.dtype("float64"), True)
    np.testing.assert_array_equal(got, 2 * x)


def test_a_result_with_a_weak_reference_to_it_is_not_given_again():
    f, x = doubled()
    result = f(x)
    found = weakref.ref(result)
    where = result.ctypes.data
    del result
    again = f(x)

    assert found() is None or found() is not again
    assert again.ctypes.data != where or found() is None


def test_memory_is_given_back_when_asked_for():
    f, x = doubled()
    found = weakref.ref(f(x))
    f.free()
    gc.collect()

    assert found() is None


def test_other_lengths_in_turn():
    f, _ = doubled()
    for n in (N, 3 * N, 5, N, 0, 2 * N):
        x = np.arange(float(n))
        np.testing.assert_array_equal(f(x), 2 * x)
