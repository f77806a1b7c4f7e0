"""Programs that fail when they run, as users write them: `# !` marks the line that the error is to name.

Each function answers inputs, an output, arrays with which it runs, and arrays with which it fails. `test_errors` reads
this file as a program of somebody's, outside of the library: of lines in the library no error speaks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import refgraph
import refgraph.tensor as T
from refgraph.ifelse import ifelse

Mistake = tuple[list[Any], Any, tuple[Any, ...], tuple[Any, ...]]


def shapes_that_do_not_broadcast() -> Mistake:
    x, y = T.dmatrices("x", "y")
    z = x + y  # !
    return [x, y], z, (np.ones((2, 3)), np.ones((1, 3))), (np.ones((2, 3)), np.ones((4, 3)))


def shapes_in_the_middle_of_a_formula() -> Mistake:
    x, y = T.fmatrices("x", "y")
    a = T.exp(y)
    b = x * a  # !
    z = T.tanh(b) - 1
    ones = np.ones((2, 3), "float32")
    return [x, y], z, (ones, ones[:, :1]), (ones, ones[:, :2])


def shapes_that_a_sum_hides() -> Mistake:
    x, y = T.dvectors("x", "y")
    z = T.sqr(x - y).sum() * 2  # !
    return [x, y], z, (np.ones(3), np.ones(3)), (np.ones(3), np.ones(2))


def shapes_of_three() -> Mistake:
    c, x, y = T.dvectors("c", "x", "y")
    z = T.switch(c, x, y)  # !
    return [c, x, y], z, (np.ones(3), np.ones(3), np.ones(3)), (np.ones(3), np.ones(3), np.ones(4))


def shapes_in_the_gradient() -> Mistake:
    x, y = T.dvectors("x", "y")
    z = x * y  # !
    return [x, y], T.grad(z.sum(), x), (np.ones(2), np.ones(2)), (np.ones(2), np.ones(3))


def matrices_that_do_not_fit() -> Mistake:
    x, w = T.dmatrices("x", "w")
    z = T.dot(x, w)  # !
    return [x, w], T.tanh(z), (np.ones((2, 3)), np.ones((3, 2))), (np.ones((2, 3)), np.ones((4, 5)))


def a_vector_that_does_not_fit() -> Mistake:
    x, w = T.fmatrix("x"), T.fvector("w")
    z = T.dot(x, w)  # !
    return (
        [x, w],
        z,
        (np.ones((2, 3), "float32"), np.ones(3, "float32")),
        (np.ones((2, 3), "float32"), np.ones(2, "float32")),
    )


def an_index_out_of_bounds() -> Mistake:
    x, i = T.dvector("x"), T.lscalar("i")
    z = x[i] * 2  # !
    return [x, i], z, (np.ones(3), -3), (np.ones(3), 3)


def an_index_below_the_bounds() -> Mistake:
    x, i = T.dvector("x"), T.lscalar("i")
    z = x[i]  # !
    return [x, i], z, (np.ones(3), 2), (np.ones(3), -4)


def one_of_many_indices_out_of_bounds() -> Mistake:
    x, i = T.dmatrix("x"), T.lvector("i")
    z = x[:, i]  # !
    return [x, i], z, (np.ones((2, 3)), [0, 2]), (np.ones((2, 3)), [0, 3])


def a_place_to_write_that_is_out_of_bounds() -> Mistake:
    x, i = T.dvector("x"), T.lvector("i")
    z = T.inc_subtensor(x[i], 1.0)  # !
    return [x, i], z, (np.ones(3), [0, 0]), (np.ones(3), [0, 5])


def a_value_to_write_that_does_not_fit() -> Mistake:
    x, y = T.dvectors("x", "y")
    z = T.set_subtensor(x[1:], y)  # !
    return [x, y], z, (np.ones(3), np.ones(2)), (np.ones(3), np.ones(3))


def a_reshape_that_does_not_fit() -> Mistake:
    x = T.dmatrix("x")
    z = x.reshape((4, 2))  # !
    return [x], z + 1, (np.ones((2, 4)),), (np.ones((2, 3)),)


def a_reshape_to_lengths_that_are_given() -> Mistake:
    x, n = T.dvector("x"), T.lscalar("n")
    z = x.reshape((n, 2))  # !
    return [x, n], z, (np.ones(4), 2), (np.ones(4), 3)


def a_join_that_does_not_fit() -> Mistake:
    x, y = T.dmatrices("x", "y")
    z = T.concatenate([x, y], axis=0)  # !
    return [x, y], z, (np.ones((2, 3)), np.ones((1, 3))), (np.ones((2, 3)), np.ones((2, 4)))


def a_shape_that_was_specified() -> Mistake:
    x = T.dvector("x")
    z = T.specify_shape(x, (3,))  # !
    return [x], z * 2, (np.ones(3),), (np.ones(2),)


def an_axis_that_is_not_1() -> Mistake:
    x = T.dmatrix("x")
    z = x.dimshuffle(0)  # !
    return [x], z + 1, (np.ones((3, 1)),), (np.ones((3, 2)),)


def a_maximum_of_nothing() -> Mistake:
    x = T.dvector("x")
    z = T.max(x)  # !
    return [x], z, (np.ones(2),), (np.ones(0),)


def a_maximum_over_an_empty_axis() -> Mistake:
    x = T.fmatrix("x")
    z = T.argmax(x, axis=1)  # !
    return [x], z, (np.ones((2, 2), "float32"),), (np.ones((2, 0), "float32"),)


def a_negative_power_of_integers() -> Mistake:
    x, n = T.lvectors("x", "n")
    z = x**n  # !
    return [x, n], z, ([2, 3], [2, 0]), ([2, 3], [2, -1])


def a_negative_length() -> Mistake:
    n = T.lscalar("n")
    z = T.zeros((n, 2))  # !
    return [n], z, (3,), (-1,)


def a_loop_of_fewer_than_no_steps() -> Mistake:
    n, x = T.lscalar("n"), T.dvector("x")
    z, _ = refgraph.scan(lambda h: h * 2, outputs_info=x, n_steps=n)  # !
    return [n, x], z, (2, np.ones(2)), (-1, np.ones(2))


def shapes_in_a_step() -> Mistake:
    x, h = T.dtensor3("x"), T.dvector("h")

    def step(w: Any, h: Any) -> Any:
        return T.dot(w, h)  # !

    return [x, h], refgraph.scan(step, x, h)[0], (np.ones((4, 3, 3)), np.ones(3)), (np.ones((4, 3, 3)), np.ones(2))


def shapes_in_a_later_step() -> Mistake:
    x, n = T.dvector("x"), T.lvector("n")

    def step(n: Any, total: Any) -> Any:
        return total + (x[:n] * x).sum()  # !

    z, _ = refgraph.scan(step, n, np.float64(0))
    return [x, n], z, (np.ones(3), [3, 1, 3]), (np.ones(3), [3, 1, 2])


def an_index_in_a_loop_in_a_loop() -> Mistake:
    m, at = T.dmatrix("m"), T.lvector("at")

    def step(row: Any) -> Any:
        def pick(i: Any) -> Any:
            return row[i]  # !

        return refgraph.scan(pick, at)[0]

    return [m, at], refgraph.scan(step, m)[0], (np.ones((3, 3)), [0, 2]), (np.ones((3, 3)), [0, 7])


def shapes_in_the_gradient_of_a_loop() -> Mistake:
    x, w = T.dmatrix("x"), T.dvector("w")

    def step(row: Any, h: Any) -> Any:
        return T.tanh(h + (row * w).sum())  # !

    z, _ = refgraph.scan(step, x, np.float64(0))
    return [x, w], T.grad(z[-1], w), (np.ones((3, 2)), np.ones(2)), (np.ones((3, 2)), np.ones(3))


def shapes_in_a_branch() -> Mistake:
    x, y = T.dvectors("x", "y")
    z = x * y  # !
    return [x, y], ifelse(x[0] > 0, z, x), (-np.ones(2), np.ones(3)), (np.ones(2), np.ones(3))


def an_empty_range_to_draw_from() -> Mistake:
    n = T.lscalar("n")
    z = refgraph.random.Stream(7).integers(3, n, size=4)  # !
    return [n], z, (9,), (2,)
