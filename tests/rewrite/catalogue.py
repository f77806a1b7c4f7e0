"""What rewriting makes of expressions, under the names of the rewritings of Theano 1.0.5; and why some are left out.

A form is a function of variables that answers what is written and what is to become of it, in refgraph's canonical
spelling where that is not Theano's. What a variable is follows from its name: see `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import Graph
from refgraph.gradient import disconnected_grad
from refgraph.ifelse import ifelse
from refgraph.ops.blas import gemm
from refgraph.ops.elementwise import fill
from refgraph.ops.fused import Fused
from refgraph.ops.joining import Join, Split, Tile
from refgraph.ops.lengths import length
from refgraph.ops.shape import Reshape
from refgraph.ops.tensor import TensorType, constant

KINDS: dict[str, tuple[str | None, tuple[int | None, ...]]] = {
    **dict.fromkeys(("x", "y", "z", "w"), (None, (None, None))),
    **dict.fromkeys(("u", "v"), (None, (None,))),
    **dict.fromkeys(("a", "b"), (None, ())),
    "t": (None, (None, None, None)),
    "row": (None, (1, None)),
    "col": (None, (None, 1)),
    "three": (None, (3,)),
    "block": (None, (2, 3, 4)),
    "empty": (None, (0, None)),
    "c": ("bool", (None, None)),
    **dict.fromkeys(("j", "k"), ("int64", (None, None))),
    "narrow": ("int8", (None, None)),
    **dict.fromkeys(("n", "m", "i"), ("int64", ())),
    "at": ("int64", (None,)),
}
"""What a name stands for: a dtype, None for the floating one in question, and a shape."""


def variables(build: Callable[..., Any], dtype: str) -> list[Any]:
    """Fresh variables of the kinds that the names of a function's parameters stand for."""
    return [TensorType(KINDS[name][0] or dtype, KINDS[name][1])(name) for name in signature(build).parameters]


def written(build: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    """What is written and what is to become of it, of fresh variables."""
    before, after = build(*variables(build, dtype))
    return before, after


def number(value: float, x: Any) -> Any:
    """A constant of the dtype of x."""
    return constant(np.array(value, x.dtype))


def zeros(x: Any, *lengths: Any) -> Any:
    """Zeros of the dtype of x."""
    return T.alloc(number(0, x), *lengths)


def gradient_of_picked(x: Any, rows: Any, at: Any, broadcast_rows: Any) -> Any:
    """softmax(x) less 1 at the true classes, in those rows that have one."""
    have_one = add_to(zeros(x, x.shape[0])[broadcast_rows], -1)
    return add_to((softmax(x) * -have_one.dimshuffle(0, "x"))[rows, at], -1)


sigmoid, softplus, softmax, logsoftmax = T.sigmoid, T.softplus, T.nnet.softmax, T.nnet.logsoftmax
add_to, set_to, one_hot_loss = T.inc_subtensor, T.set_subtensor, T.nnet.crossentropy_categorical_1hot

# Forms

FORMS: dict[str, tuple[Callable[..., Any], ...]] = {
    # canonicalize
    "local_0_dot_x": (
        lambda x, y: (T.dot(x, 0 * y), zeros(x, x.shape[0], y.shape[1])),
        lambda x, v: (T.dot(T.zeros_like(x), v), zeros(x, x.shape[0])),
        lambda u, v: (T.dot(u, 0 * v), number(0, u)),
    ),
    "local_IncSubtensor_serialize": (
        lambda x: (
            add_to(T.zeros_like(x)[0], 1) + add_to(T.zeros_like(x)[1], 2),
            add_to(set_to(T.zeros_like(x)[0], 1)[1], 2),
        ),
        lambda x: (
            rg.grad(T.exp(x[0]).sum() + T.sin(x[1]).sum(), x),
            add_to(set_to(T.zeros_like(x)[1], T.cos(x[1]))[0], T.exp(x[0])),
        ),
    ),
    "local_adv_sub1_adv_inc_sub1": (
        lambda block, a: (set_to(block[[1, 0]], a)[[1, 0]], fill(block, a)),
        lambda block: (set_to(block[[1, 0]], -block[[1, 0]])[[1, 0]], -block[[1, 0]]),
    ),
    "local_canonicalize_alloc": (
        lambda x: (T.alloc(x, x.shape[0], x.shape[1]), x),
        lambda block: (T.alloc(block, 2, 3, 4), block),
    ),
    "local_cast_cast": (
        lambda narrow: (narrow.astype("int32").astype("float64"), narrow.astype("float64")),
        lambda narrow: (narrow.astype("int64").astype("int8"), narrow),
        lambda j: (j.astype("int8").astype("int64"), j.astype("int8").astype("int64")),
    ),
    "local_div_switch_sink": (lambda c, x, a: (T.switch(c, 0, x) / a, T.switch(c, 0, x / a)),),
    "local_erf_minus_one": (lambda x: (T.erf(x) - 1, -T.erfc(x)),),
    "local_erf_neg_minus_one": (lambda x: (-1 + (-T.erf(x)), -T.erfc(-x)),),
    "local_erf_neg_minus_one2": (lambda x: (-1 + (-1 * T.erf(x)), -T.erfc(-x)),),
    "local_fill_sink": (
        lambda x, y: (T.exp(fill(x, y)), fill(x, T.exp(y))),
        lambda x, a, b: (fill(x, a) * fill(x, b) + 1, fill(x, 1 + a * b)),
        lambda x, a: (fill(x, a) * x, a * x),
    ),
    "local_flatten_lift": (lambda x: (T.exp(x).flatten(), T.exp(x.flatten())),),
    "local_incsubtensor_of_zeros": (lambda x: (add_to(x[1:], T.zeros_like(x[1:])), x),),
    "local_incsubtensor_of_zeros_to_setsubtensor": (
        lambda x, v: (add_to(T.zeros_like(x)[0], v), set_to(T.zeros_like(x)[0], v)),
    ),
    "local_intdiv_by_one": (lambda j: (j // 1, j),),
    "local_inv_canon": (lambda x: (T.reciprocal(x), 1 / x), lambda x, y: (y * T.inv(x), y / x)),
    "local_join_make_vector": (lambda a, b: (T.concatenate([T.stack([a, b]), T.stack([b])]), T.stack([a, b, b])),),
    "local_lift_transpose_through_dot": (
        lambda x, y: (T.dot(x, y).T, T.dot(y.T, x.T)),
        lambda x, y: (T.dot(x.T, y.T).T, T.dot(y, x)),
    ),
    "local_log_pow": (
        lambda x: (T.log(x**2), 2 * T.log(abs(x))),
        lambda x: (T.log(x**0.5), 0.5 * T.log(x)),
        lambda x: (T.log(x**-1), -T.log(x)),
    ),
    "local_merge_alloc": (
        lambda a: (T.alloc(T.alloc(a, 3), 2, 3), T.alloc(a, 2, 3)),
        lambda a, n, m: (T.alloc(T.alloc(a, m), n, m), T.alloc(a, n, m)),
    ),
    "local_merge_switch_same_cond": (lambda c, x, y: (T.switch(c, x, 0) + T.switch(c, y, 1), T.switch(c, x + y, 1)),),
    "local_mul_switch_sink": (
        lambda c, x, a: (a * T.switch(c, 0, x), T.switch(c, 0, a * x)),
        lambda c, x, a: (a * T.switch(c, x, 0), T.switch(c, a * x, 0)),
    ),
    "local_neg_to_mul": (lambda x: (-1 * x, -x), lambda x, y: (x * -y, -(x * y))),
    "local_one_add_neg_erfc": (lambda x: (1 + (-T.erfc(x)), T.erf(x)),),
    "local_one_minus_erf": (lambda x: (1 - T.erf(x), T.erfc(x)),),
    "local_one_minus_erf2": (lambda x: (1 + (-1 * T.erf(x)), T.erfc(x)),),
    "local_one_minus_erfc": (lambda x: (1 - T.erfc(x), T.erf(x)),),
    "local_one_minus_erfc2": (lambda x: (1 + (-T.erfc(x)), T.erf(x)),),
    "local_one_minus_erfc3": (lambda x: (1 + (-1 * T.erfc(x)), T.erf(x)),),
    "local_one_plus_erf": (lambda x: (1 + T.erf(x), T.erfc(-x)),),
    "local_one_plus_neg_erf": (lambda x: (1 + (-T.erf(x)), T.erfc(x)),),
    "local_op_of_op": (
        lambda t: (t.sum(2).sum(0), t.sum((0, 2))),
        lambda t: (t.prod(2).prod(0), t.prod((0, 2))),
        lambda x: (x.sum(0).sum(0), x.sum()),
    ),
    "local_pow_canonicalize": (
        lambda x: (x**0, fill(x, 1.0)),
        lambda x: (x**1, x),
        lambda x: (x**2, T.square(x)),
    ),
    "local_reduce_join": (
        lambda u, v: (T.stack([u, v]).sum(0), u + v),
        lambda u, v: (T.stack([u, v]).max(0), T.maximum(u, v)),
        lambda row, col: (T.concatenate([row, col.T]).min(0), T.minimum(row.dimshuffle(1), col.dimshuffle(0))),
    ),
    "local_reshape_chain": (lambda x, n, m: (x.reshape((n, m, 2)).reshape((3, 4)), x.reshape((3, 4))),),
    "local_reshape_lift": (lambda x: (T.exp(x).reshape((3, 4)), T.exp(x.reshape((3, 4)))),),
    "local_set_to_inc_subtensor": (
        lambda x, v: (set_to(x[[2, 0]], x[[2, 0]] + v), add_to(x[[2, 0]], v)),
        lambda x, v: (set_to(x[1], x[1] + v), add_to(x[1], v)),
    ),
    "local_setsubtensor_of_constants": (lambda x, n: (set_to(T.alloc(2.0, 3, n)[1], 2.0), T.alloc(2.0, 3, n)),),
    "local_shape_to_shape_i": (
        lambda x, y: (T.exp(x).shape, T.stack([length(x, 0), length(x, 1)])),
        lambda x, y: (T.dot(x, y).shape, T.stack([length(x, 0), length(y, 1)])),
    ),
    "local_subtensor_inc_subtensor": (
        lambda block, a: (set_to(block[1, 2, 0], a)[1, 2, 0], a),
        lambda block: (set_to(block[1], T.exp(block[0]))[1], T.exp(block[0])),
        lambda x, n, a: (add_to(x[n], a)[n], a + x[n]),
    ),
    "local_subtensor_lift": (
        lambda x: (T.exp(x)[0], T.exp(x[0])),
        lambda x, a: ((a * x)[:, 1:], a * x[:, 1:]),
    ),
    "local_subtensor_make_vector": (
        lambda a, b: (T.stack([a, b])[0], a),
        lambda a, b: (T.stack([a, b, a])[1:], T.stack([b, a])),
    ),
    "local_subtensor_merge": (
        lambda x: (x[2:][3:], x[5:]),
        lambda x: (x[2:6][1], x[3]),
        lambda v: (v[::-1][::-1], v),
        lambda v, n: (v[n:][2:], v[n:][2:]),
    ),
    "local_subtensor_of_dot": (
        lambda x, y: (T.dot(x, y)[1], T.dot(x[1], y)),
        lambda x, y: (T.dot(x, y)[:, 2:], T.dot(x, y[:, 2:])),
        lambda x, y: (T.dot(x, y)[0, 1], T.dot(x[0], y[:, 1])),
    ),
    "local_subtensor_remove_broadcastable_index": (
        lambda row: (row[0], row.dimshuffle(1)),
        lambda col: (col[:, -1], col.dimshuffle(0)),
    ),
    "local_sum_prod_all_to_none": (
        lambda x: (x.sum((0, 1)), x.sum()),
        lambda x: (x.prod((1, 0)), x.prod()),
    ),
    "local_sum_prod_div_dimshuffle": (lambda x, v: ((x / v.dimshuffle(0, "x")).sum(1), x.sum(1) / v),),
    "local_track_shape_i": (
        lambda x: (T.exp(x).shape[0], length(x, 0)),
        lambda x, y: (T.dot(x, y).shape[1], length(y, 1)),
        lambda x, y: (T.concatenate([x, y], 1).shape[1], length(x, 1) + length(y, 1)),
    ),
    "local_useless_alloc": (lambda v: (T.alloc(v, v.shape[0]), v),),
    "local_useless_elemwise": (
        lambda j: (T.eq(j, j), fill(j, np.True_)),
        lambda j: (T.neq(j, j), fill(j, np.False_)),
        lambda x: (T.identity(x), x),
        lambda c: (c & True, c),
        lambda c: (c | False, c),
        lambda c: (c & False, fill(c, np.False_)),
        lambda j: (j ^ 0, j),
    ),
    "local_useless_fill": (
        lambda x: (fill(T.exp(x), x), x),
        lambda x, y: (fill(x, x + y), x + y),
    ),
    "local_useless_reduce": (lambda x: (x.sum(axis=[]), x),),
    "local_useless_slice": (lambda x: (x[0, :], x[0]), lambda t, n: (t[n, :, :], t[n])),
    "local_useless_split": (lambda x: (Split(0, (None,))(x, x.shape[0]), x),),
    "local_view_op": (lambda x: (disconnected_grad(x) + 1, 1 + x),),
    "local_zero_div": (lambda x: (0 / x, fill(x, 0.0)),),
    "local_abs_lift": (
        lambda x, y: ((x * y) / abs(x * y), T.sgn(x * y)),
        lambda x, y: (y * x / abs(x), y * T.sgn(x)),
    ),
    "local_add_canonizer": (
        lambda x, y: ((x + y) + (x + y), 2 * (x + y)),
        lambda x, y: (x + y - x, fill(x, y)),
        lambda x, a: (a + x - a, x),
        lambda x, y: (1 + x + 2 + y, (3 + x) + y),
    ),
    "local_dimshuffle_lift": (
        lambda x: (x.T.T, x),
        lambda x: (T.exp(x).T, T.exp(x.T)),
        lambda x, v: ((x + v).T, x.T + v.dimshuffle(0, "x")),
    ),
    "local_expm1": (lambda x: (T.exp(x) - 1, T.expm1(x)),),
    "local_func_inv": (
        lambda x: (T.deg2rad(T.rad2deg(x)), x),
        lambda x: (T.rad2deg(T.deg2rad(x)), x),
        lambda x: (T.arcsinh(T.sinh(x)), x),
        lambda x: (T.sinh(T.arcsinh(x)), x),
        lambda x: (T.arctanh(T.tanh(x)), x),
        lambda x: (T.neg(T.neg(x)), x),
        lambda x: (1 / (1 / x), x),
        lambda x: (T.conj(T.conj(x)), x),
    ),
    "local_greedy_distributor": (lambda x, a, b: ((a / x + b) * x, a + b * x),),
    "local_join_1": (lambda x: (Join(0)(x), x),),
    "local_join_empty": (lambda x, empty: (T.concatenate([empty, x]), x),),
    "local_log_prod_sqr": (
        lambda x: (T.log((x**2).prod(1)), 2 * T.log(abs(x)).sum(1)),
        lambda x: (T.log(T.exp(x).prod()), x.sum()),
    ),
    "local_mul_canonizer": (
        lambda x, y: (x * y / y, fill(y, x)),
        lambda x, a: (x * a / a, x),
        lambda x: (x / x, fill(x, 1.0)),
        lambda x, y, z: ((x / y) * (y / z), fill(y, x / z)),
        lambda x, y: (2 * x * (3 * y), 6 * (x * y)),
        lambda x: (x * x * x, x * T.square(x)),
    ),
    "local_mul_zero": (lambda x: (0 * x, fill(x, 0.0)), lambda x, y: (x * 0 + y, fill(x, y))),
    "local_reduce_broadcastable": (
        lambda row: (row.sum(0), row.dimshuffle(1)),
        lambda row: (row.sum(), row.sum(1).dimshuffle()),
    ),
    "local_reshape_to_dimshuffle": (
        lambda v: (v.reshape((1, -1)), v.dimshuffle("x", 0)),
        lambda x: (x.reshape((x.shape[0], 1, x.shape[1])), x.dimshuffle(0, "x", 1)),
    ),
    "local_subtensor_of_alloc": (
        lambda a, n, m: (T.alloc(a, n, m)[1:], T.alloc(a, T.maximum(n - 1, 0), m)),
        lambda v: (T.alloc(v, 3, v.shape[0])[1], v),
    ),
    "local_upcast_elemwise_constant_inputs": (
        lambda x: (x + constant(np.int8(2)), 2 + x),
        lambda j: (j * constant(np.int8(2)), 2 * j),
    ),
    "local_useless_dimshuffle_in_reshape": (lambda x: (x.dimshuffle(0, "x", 1).reshape((3, 4)), x.reshape((3, 4))),),
    "local_useless_elemwise_comparison": (
        lambda j: (T.lt(j, j), fill(j, np.False_)),
        lambda j: (T.ge(j, j), fill(j, np.True_)),
        lambda x: (T.ge(x.shape[0], 0), constant(np.True_)),
        lambda x: (T.lt(x.shape[0], 0), constant(np.False_)),
        lambda x: (T.maximum(x.shape[0], 0), length(x, 0)),
        lambda x: (T.minimum(x.shape[0], 0), constant(np.int64(0))),
        lambda x: (T.eq(x.shape[0], -1), constant(np.False_)),
    ),
    "local_useless_inc_subtensor": (
        lambda x: (add_to(x[:, :], T.exp(x)), x + T.exp(x)),
        lambda x: (set_to(x[:], x), x),
    ),
    "local_useless_inc_subtensor_alloc": (
        lambda x, a, m: (add_to(x[1], T.alloc(a, x.shape[1])), add_to(x[1], a)),
        lambda x, at, a, m: (add_to(x[at], T.alloc(a, at.shape[0], x.shape[1])), add_to(x[at], a)),
    ),
    "local_useless_rebroadcast": (lambda block: (T.specify_shape(block, (2, 3, 4)), block),),
    "local_useless_reshape": (
        lambda block: (Reshape((2, 3, 4))(block), block),
        lambda x: (x.reshape((x.shape[0], x.shape[1])), x),
        lambda x: (x.reshape(x.shape), x),
    ),
    "local_useless_subtensor": (
        lambda x: (x[0 : x.shape[0]], x),
        lambda block: (block[:2, 0:3], block),
        lambda x: (T.exp(x)[: x.shape[0]], T.exp(x)),
    ),
    "local_useless_switch": (
        lambda x, a: (T.switch(constant(np.True_), x, a), x),
        lambda x, y: (T.switch(constant(np.False_), x, y), fill(x, y)),
        lambda c, x: (T.switch(c, x, x), fill(c, x)),
        lambda x: (T.switch(T.ge(x.shape[0], 0), x, -x), x),
    ),
    "local_useless_tile": (lambda x: (Tile((1, 1))(x), x),),
    "remove_tensor_copy": (lambda x: (T.exp(x.copy()), T.exp(x)),),
    "topo_constant_folding": (
        lambda x: (x + T.exp(T.constant(np.zeros((), x.dtype))), 1 + x),
        lambda x: (T.dot(T.ones((2, 3)), T.ones((3, 2))).sum(), constant(np.float64(12))),
    ),
    # stabilize
    "local_exp_over_1_plus_exp": (
        lambda x: (T.exp(x) / (1 + T.exp(x)), sigmoid(x)),
        lambda x, a: (a / (1 + T.exp(x)), a * sigmoid(-x)),
        lambda x, y: (y * T.exp(x) / (1 + T.exp(x)), y * sigmoid(x)),
    ),
    "local_inv_1_plus_exp": (
        lambda x: (1 / (1 + T.exp(x)), sigmoid(-x)),
        lambda x: (1 / (1 + T.exp(-x)), sigmoid(x)),
    ),
    "local_log1p": (lambda x: (T.log(1 + x), T.log1p(x)), lambda x: (T.log(1 - x), T.log1p(-x))),
    "local_log_add": (lambda x, y: (T.log(T.exp(x) + T.exp(y)), T.logaddexp(x, y)),),
    "local_log_erfc": (
        lambda x: (
            T.log(T.erfc(x)),
            T.switch(T.gt(x, 1), T.log(T.erfcx(x)) - T.square(x), T.log1p(-T.erf(x))),
        ),
    ),
    "local_sigm_times_exp": (
        lambda x: (T.exp(x) * sigmoid(-x), sigmoid(x)),
        lambda x: (T.exp(-x) * sigmoid(x), sigmoid(-x)),
    ),
    "log1msigm_to_softplus": (lambda x: (T.log(1 - sigmoid(x)), -softplus(x)),),
    "log1p_neg_sigmoid": (lambda x: (T.log1p(-sigmoid(x)), -softplus(x)),),
    "log1pexp_to_softplus": (lambda x: (T.log1p(T.exp(x)), softplus(x)),),
    "logsigm_to_softplus": (lambda x: (T.log(sigmoid(x)), -softplus(-x)),),
    "crossentropy_to_crossentropy_with_softmax_with_bias": (
        lambda x, v, at: (
            one_hot_loss(softmax(x + v), at),
            -logsoftmax(x + v)[T.arange(x.shape[0]), at],
        ),
    ),
    "local_fill_to_alloc": (lambda x: (fill(T.exp(x), 0.0), fill(x, 0.0)),),
    "local_grad_log_erfc_neg": (
        lambda x: (rg.grad(T.log(T.erfc(x)).sum(), x), number(-2 / np.sqrt(np.pi), x) / T.erfcx(x)),
    ),
    # specialize
    "local_add_specialize": (
        lambda x: (x + 0, x),
        lambda x, y: (0 + x + y + 0, x + y),
    ),
    "local_advanced_indexing_crossentropy_onehot": (
        lambda x, at: (
            -T.log(softmax(x))[T.arange(at.shape[0]), at],
            -logsoftmax(x)[T.arange(at.shape[0]), at],
        ),
        lambda x, at: (
            -T.log(softmax(x)[T.arange(at.shape[0]), at]),
            -logsoftmax(x)[T.arange(at.shape[0]), at],
        ),
    ),
    "local_advanced_indexing_crossentropy_onehot_grad": (
        lambda x, at: (
            rg.grad(-T.log(softmax(x))[T.arange(at.shape[0]), at].sum(), x),
            gradient_of_picked(x, T.arange(at.shape[0]), at, T.arange(at.shape[0])),
        ),
    ),
    "local_alloc_unary": (
        lambda a, n: (T.exp(T.alloc(a, n)), T.alloc(T.exp(a), n)),
        lambda v, n, m: (T.exp(T.alloc(v, n, m)), T.alloc(T.exp(v), n, m)),
    ),
    "local_argmax_pushdown": (
        lambda x: (T.argmax(softmax(x), 1), T.argmax(x, 1)),
        lambda x, v: (T.argmax(T.nnet.softmax_with_bias(x, v), 1), T.argmax(x + v, 1)),
    ),
    "local_div_to_inv": (lambda x: (T.true_div(1, x), 1 / x),),
    "local_elemwise_sub_zeros": (lambda x: (x - x, fill(x, 0.0)),),
    "local_mul_specialize": (
        lambda x: (-1 * x, -x),
        lambda x, y: (1 * x * y, x * y),
        lambda x: (0 * x, fill(x, 0.0)),
    ),
    "local_neg_div_neg": (
        lambda x, y: (-(-x / y), x / y),
        lambda x: (-(2 / x), -2 / x),
    ),
    "local_neg_neg": (lambda x: (T.neg(T.neg(x)), x),),
    "local_pow_specialize": (
        lambda x: (x**2, T.square(x)),
        lambda x: (x**0.5, T.sqrt(x)),
        lambda x: (x**-1, 1 / x),
        lambda x: (x**-2, 1 / T.square(x)),
        lambda x: (x**-0.5, 1 / T.sqrt(x)),
        lambda x: (x**0, fill(x, 1.0)),
    ),
    "local_softmax_grad_to_crossentropy_with_softmax_grad": (
        lambda x, at: (
            rg.grad(one_hot_loss(softmax(x), at).sum(), x),
            gradient_of_picked(x, T.arange(x.shape[0]), at, fill(at, T.arange(x.shape[0]))),
        ),
    ),
    "local_sum_prod_mul_by_scalar": (
        lambda x: ((2 * x).sum(), 2 * x.sum()),
        lambda x, a: ((a * x).sum(0), a * x.sum(0)),
        lambda x: ((-x).sum(1), -x.sum(1)),
        lambda x: ((x / 3).sum(), x.sum() / 3),
        lambda j: ((3 * j).prod(), 3 ** (j.shape[0] * j.shape[1]) * j.prod()),
    ),
    "local_abs_merge": (
        lambda x, y: (abs(x) * abs(y), abs(x * y)),
        lambda x, y: (abs(x) / abs(y), abs(x / y)),
    ),
    "local_logsoftmax": (lambda x: (T.log(softmax(x)), logsoftmax(x)),),
    "local_logsoftmax_grad": (
        lambda x: (
            rg.grad(T.tanh(T.log(softmax(x))).sum(), x),
            (1 - T.square(T.tanh(logsoftmax(x))))
            - softmax(x) * (1 - T.square(T.tanh(logsoftmax(x)))).sum(1, keepdims=True),
        ),
    ),
    "local_mul_to_sqr": (lambda x: (x * x, T.square(x)),),
    "local_opt_alloc": (
        lambda a: (T.alloc(a, 3, 4).sum(), 12 * a),
        lambda a, n: (T.alloc(a, n).sum(), a * n.astype(a.dtype)),
        lambda a: (T.alloc(a, 3).prod(), a * T.square(a)),
        lambda v, n: (T.alloc(v, 3, n).sum(0), T.alloc(3 * v, n)),
    ),
    # uncanonicalize
    "local_reshape_dimshuffle": (lambda v: (v.dimshuffle("x", 0).reshape((-1, 2)), v.reshape((-1, 2))),),
    "local_alloc_dimshuffle": (lambda v, n, m: (T.alloc(v.dimshuffle("x", 0), n, m), T.alloc(v, n, m)),),
    "local_dimshuffle_alloc": (
        lambda a, n: (T.alloc(a, n).dimshuffle("x", 0), T.alloc(a, 1, n)),
        lambda a, n, m: (T.alloc(a, n, m).T, T.alloc(a, m, n)),
    ),
    "local_max_and_argmax": (
        lambda x: (T.max_and_argmax(x, 1)[0], x.max(1)),
        lambda x: (T.max_and_argmax(x, 1)[1], x.argmax(1)),
    ),
    "local_max_to_min": (
        lambda x: (-T.max(-x, 0), T.min(x, 0)),
        lambda x: (-T.min(-x), T.max(x)),
    ),
    # blas
    "gemm_optimizer": (
        lambda x, y, w, a: (w - a * T.dot(x, y), gemm(w, -a, x, y)),
        lambda x, y, w: (0.5 * w + 2 * T.dot(x, y), gemm(w, 2, x, y, 0.5)),
        lambda x, y, w, z: (T.dot(x, y) + T.dot(w, z), gemm(T.dot(x, y), 1, w, z)),
    ),
    "local_gemm_to_gemv": (
        lambda x, u, v: (u + 2 * T.dot(x, v), gemm(u, 2, x, v)),
        lambda x, u, v, a: (u - a * T.dot(v, x), gemm(u, -a, v, x)),
    ),
    "local_dot22_to_dot22scalar": (lambda x, v: (T.dot(2 * x, v), 2 * T.dot(x, v)),),
    # device
    "local_pow_specialize_device": (
        lambda x: (x**3, x * T.square(x)),
        lambda x: (x**8, T.square(T.square(T.square(x)))),
        lambda x: (x**-3, 1 / (x * T.square(x))),
    ),
    # other
    "crossentropy_to_crossentropy_with_softmax": (
        lambda x, at: (
            one_hot_loss(softmax(x), at),
            -logsoftmax(x)[T.arange(x.shape[0]), at],
        ),
    ),
    "local_elemwise_alloc": (
        lambda x, a: (T.alloc(a, x.shape[0], x.shape[1]) + x, a + x),
        lambda x, v: (T.alloc(v, x.shape[0], x.shape[1]) * x, T.alloc(x * v, x.shape[0], x.shape[1])),
    ),
    "local_log_sum_exp": (
        lambda x: (T.log(T.exp(x).sum(1)), T.logsumexp(x, 1)),
        lambda x: (T.log(T.sum(T.exp(x))), T.logsumexp(x)),
    ),
    "ShapeOpt": (
        lambda x, y, v: (T.tanh(T.dot(x, y) + v).shape[0], length(x, 0)),
        lambda x: (x.reshape((3, -1)).shape[0], constant(np.int64(3))),
    ),
    "inline_ofg_expansion": (lambda x, y: (rg.OpFromGraph([x, y], [T.exp(x) + y], inline=True)(x, y), T.exp(x) + y),),
}

FORMS["pre_local_IncSubtensor_serialize"] = FORMS["local_IncSubtensor_serialize"]

# Loops


class Loops(NamedTuple):
    """What is left of an expression with loops."""

    written: Callable[..., Any]
    steps: dict[str, int]
    """The ops in a step of the one loop there is, and how many of each."""
    beside: dict[str, int]
    """Of some ops, how many there are beside the loop."""
    keep: tuple[int | None, ...] = (None,)
    """How many entries the loop keeps of each state, None for all."""


_TANH = {"add": 1, "tanh": 1}

LOOPS: dict[str, Loops] = {
    "constant_folding_for_scan2": Loops(
        lambda x, u: rg.scan(lambda a, h: T.tanh(h + a * T.exp(number(0, u))), x, u)[0], _TANH, {"exp": 0}
    ),
    "scanOp_merge": Loops(
        lambda x, u: [rg.scan(step, x, u)[0] for step in (lambda a, h: T.tanh(h + a), lambda a, h: T.sin(h * a))],
        {**_TANH, "mul": 1, "sin": 1},
        {},
        (None, None),
    ),
    "scanOp_merge_inouts": Loops(
        lambda x, u: rg.scan(lambda a, b, h, g: [T.tanh(h + a), T.tanh(g + b)], [x, x], [u, u])[0], _TANH, {}
    ),
    "scanOp_pushout_nonseqs_ops": Loops(
        lambda x, w, u, v: rg.scan(lambda a, h: T.tanh(h + a + T.dot(w, v)), x, u)[0], _TANH, {"dot": 1, "add": 1}
    ),
    "scanOp_pushout_seqs_ops": Loops(
        lambda x, w, u: rg.scan(lambda a, h: T.tanh(h + T.exp(T.dot(a, w))), x, u)[0], _TANH, {"dot": 1, "exp": 1}
    ),
    "scanOp_pushout_output": Loops(
        lambda x, w, u: rg.scan(lambda a, h: [T.tanh(h + a), T.dot(h, w)], x, [u, None])[0], _TANH, {"dot": 1}
    ),
    "scan_pushout_dot1": Loops(
        lambda x, w, u: [
            out[-1] if out.ndim > 2 else out
            for out in rg.scan(lambda a, h, sum: [T.tanh(h + a), sum + T.outer(a, h)], x, [u, w])[0]
        ],
        _TANH,
        {"tensordot": 1},
    ),
    **dict.fromkeys(
        [
            "scanOp_remove_constants_and_unused_inputs0",
            "scanOp_remove_constants_and_unused_inputs1",
            "scanop_remove_constants_and_unused_inputs2",
            "scanOp_remove_constants_and_unused_inputs3",
        ],
        Loops(
            lambda x, u: rg.scan(lambda a, b, h, k, _: T.tanh(h * k + a), [x, x], u, [number(2, u), x])[0],
            {**_TANH, "mul": 1},
            {},
        ),
    ),
    "scanOp_save_mem": Loops(lambda x, u: rg.scan(lambda a, h: T.tanh(h + a), x, u)[0][-1], _TANH, {}, (2,)),
}

# Fused


def _fused_half(x: Any, y: Any) -> Any:
    """One of two outputs of what was fused before."""
    p, q = x.type("p"), y.type("q")
    return Fused(Graph([p, q], [T.exp(p) + q, T.sin(p * q)]))(x, y)[0]


FUSED: dict[str, tuple[tuple[Callable[..., Any], list[str]], ...]] = {
    "composite_elemwise_fusion": (
        (lambda x, y: T.tanh(x + y) * T.exp(x), ["add", "tanh", "exp", "mul"]),
        (lambda x, a: T.exp(a * x).sum(), ["mul", "exp", "sum"]),
        (lambda x, y: [x + y, T.exp(x + y)], ["add", "exp"]),
    ),
    "local_add_mul_fusion": (
        (lambda x, y, z, w: x + y + (z + w), ["add", "add", "add"]),
        (lambda x, y, z: x * (y * z), ["mul", "mul"]),
    ),
    "local_useless_composite": ((_fused_half, ["exp", "add"]),),
}
"""Expressions that become one op, and the ops that are in it."""

# In place

IN_PLACE: dict[str, Callable[..., Any]] = {
    "inplace_elemwise_opt": lambda u: T.tanh(T.sort(u)) * 2 - u,
    "local_inplace_incsubtensor1": lambda u, at: add_to((u * 2)[at], 1),
    "local_inplace_setsubtensor": lambda u: set_to((u * 2)[1:], 0),
    "cond_make_inplace": lambda a, u: ifelse(T.gt(a, 0), T.exp(u), T.sin(u)),
}
"""Expressions for which memory for one array as large as the result is all that is needed."""

# Left out

_REASONS: dict[str, tuple[str, ...]] = {
    "There are no sparse types yet.": (
        "local_addsd_ccode",
        "local_csm_properties_csm",
        "local_dense_from_sparse_sparse_from_dense",
        "local_inplace_addsd_ccode",
        "local_inplace_remove0",
        "local_mul_s_d",
        "local_mul_s_v",
        "local_sampling_dot_csr",
        "local_structured_add_s_v",
        "local_usmm",
        "local_usmm_csc_dense_inplace",
        "local_usmm_csx",
    ),
    "There are no products of sparse blocks.": (
        "local_inplace_sparse_block_gemv",
        "local_inplace_sparse_block_outer",
    ),
    "There are no convolutions yet: which algorithm computes one comes with the op.": (
        "AbstractConvCheck",
        "local_abstractconv3d_gemm",
        "local_abstractconv3d_gradinputs_gemm",
        "local_abstractconv3d_gradweight_gemm",
        "local_abstractconv_gemm",
        "local_abstractconv_gradinputs_gemm",
        "local_abstractconv_gradweight_gemm",
        "local_conv2d_cpu",
        "local_conv2d_gradinputs_cpu",
        "local_conv2d_gradweight_cpu",
    ),
    "There is no batch normalization yet; it can be written as an expression, which needs no lowering.": (
        "local_abstract_batch_norm_inference",
        "local_abstract_batch_norm_train",
        "local_abstract_batch_norm_train_grad",
    ),
    "There is no CTC loss.": ("local_ctc_no_grad",),
    "There are no inverses, determinants, decompositions and solvers yet: it comes with these ops.": (
        "inv_as_solve",
        "local_det_chol",
        "psd_solve_with_chol",
        "tag_solve_triangular",
        "transinv_to_invtrans",
    ),
    "Nobody can hint that a matrix is symmetric, triangular or positive.": (
        "HintsOpt",
        "no_transpose_symmetric",
        "remove_hint_nodes",
    ),
    "A scalar is a tensor without axes, not another type to be converted to.": (
        "local_scalar_tensor_scalar",
        "local_tensor_scalar_tensor",
    ),
    "There are no assertions to remove; what checks a shape is in the table, under local_useless_rebroadcast.": (
        "local_remove_all_assert",
        "local_remove_useless_assert",
    ),
    "A check of a shape stays where it was written, as it is there that it is to fail.": ("local_rebroadcast_lift",),
    "It is about one expression, the squared norms of the gradients of single examples, and there is no rule yet that "
    "makes a product of matrices of a sum of products of what is broadcast.": ("local_sumsqr2dot",),
    "A slice and a dropped axis are views, which cost nothing whichever comes first.": ("local_dimshuffle_subtensor",),
    "It changes the answers: who wants hard_sigmoid or ultra_fast_sigmoid writes it.": (
        "local_hard_sigmoid",
        "local_ultra_fast_sigmoid",
    ),
    "There is no op that adds a bias: softmax_with_bias(x, b) is softmax(x + b).": ("local_softmax_with_bias",),
    "There is no op that computes softmax and cross entropy: who needs both reads softmax(x) and logsoftmax(x).": (
        "graph_merge_softmax_with_crossentropy_softmax",
    ),
    "The gradient of a cross entropy is no op of its own but a few of which each is rewritten.": (
        "local_useless_crossentropy_softmax_1hot_with_bias_dx_alloc",
    ),
    "The meaning of dot is NumPy's, which calls BLAS: there is no other op for that.": (
        "local_dot_to_dot22",
        "scipy_blas",
        "use_c_blas",
    ),
    "NumPy has no product that adds to what is there; a backend that calls BLAS may, and needs no other op for it.": (
        "InplaceBlasOpt",
        "c_blas_destructive",
        "make_scipy_blas_destructive",
    ),
    "A graph does not change, and no edge of it says what is destroyed: computing in place is the plan's business.": (
        "add_destroy_handler",
    ),
    "A random number is a function of key and position: there is no state to be updated in place.": (
        "random_make_inplace",
        "random_make_inplace_mrg",
    ),
    "A loop keeps its states in memory of its own, into which the few initial values are copied.": (
        "scanOp_make_inplace",
    ),
    "Theano has it switched off: it is to find what reads memory that nobody has written.": (
        "local_alloc_empty_to_zeros",
    ),
    "It rewrites nothing: the engine joins the origins of what is replaced by itself.": ("CheckStackTrace",),
    "It rewrites nothing: what is known of lengths is no part of the graph, so there is nothing to take away.": (
        "UnShapeOpt",
    ),
}

LEFT_OUT: dict[str, str] = {name: reason for reason, names in _REASONS.items() for name in names}
"""Why there is no such rewriting, of those of which there is none."""
