"""What rewriting makes of expressions, under the names that Theano 1.0.5 gave to rewritings; and why some are left out.

An expression is a function of variables, which answers what is written and what is to become of it, in refgraph's
canonical spelling where that is not Theano's. A variable is of the kind that its name stands for: see `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.graph import Variable
from refgraph.gradient import disconnected_grad
from refgraph.ops.blas import gemm
from refgraph.ops.elementwise import fill, xlogx
from refgraph.ops.indexing import Index
from refgraph.ops.joining import Join, Split, Tile
from refgraph.ops.lengths import length
from refgraph.ops.nnet import Softmax
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


def written(build: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    """What is written and what is to become of it, of fresh variables."""
    made = [TensorType(KINDS[name][0] or dtype, KINDS[name][1])(name) for name in signature(build).parameters]
    before, after = build(*made)
    return before, after


def zeros(x: Any, *lengths: Any) -> Any:
    return T.alloc(np.zeros((), x.dtype), *lengths)


def onehot_gradient(cost: Any, x: Any) -> Any:
    return rg.grad(cost.mean(), x)


SIGMOID, SOFTPLUS, SOFTMAX, LOGSOFTMAX = T.sigmoid, T.softplus, T.nnet.softmax, T.nnet.logsoftmax

FORMS: dict[str, tuple[Callable[..., Any], ...]] = {
    # canonicalize
    "local_0_dot_x": (
        lambda x, y: (T.dot(x, 0 * y), zeros(x, x.shape[0], y.shape[1])),
        lambda x, v: (T.dot(T.zeros_like(x), v), zeros(x, x.shape[0])),
        lambda u, v: (T.dot(u, 0 * v), T.zeros((), u.dtype)),
    ),
    "local_IncSubtensor_serialize": (
        lambda x: (
            T.inc_subtensor(T.zeros_like(x)[0], 1) + T.inc_subtensor(T.zeros_like(x)[1], 2),
            T.inc_subtensor(T.inc_subtensor(T.zeros_like(x)[1], 2)[0], 1),
        ),
        lambda x, v: (rg.grad((v * x[0] + x[1]).sum(), x), T.zeros((), x.dtype)),
    ),
    "local_adv_sub1_adv_inc_sub1": (
        lambda x, y: (T.set_subtensor(x[[2, 0]], y)[[2, 0]], x),
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
    "local_div_switch_sink": (
        lambda c, x, a: (T.switch(c, 0, x) / a, T.switch(c, 0, x / a)),
    ),
    "local_erf_minus_one": (lambda x: (T.erf(x) - 1, -T.erfc(x)),),
    "local_erf_neg_minus_one": (lambda x: (-1 + (-T.erf(x)), -T.erfc(-x)),),
    "local_erf_neg_minus_one2": (lambda x: (-1 + (-1 * T.erf(x)), -T.erfc(-x)),),
    "local_fill_sink": (
        lambda x, y: (T.exp(fill(x, y)), fill(x, T.exp(y))),
        lambda x, a, b: (fill(x, a) * fill(x, b) + 1, fill(x, 1 + a * b)),
        lambda x, a: (fill(x, a) * x, a * x),
    ),
    "local_flatten_lift": (lambda x: (T.exp(x).flatten(), T.exp(x.flatten())),),
    "local_incsubtensor_of_zeros": (
        lambda x: (T.inc_subtensor(x[1:], T.zeros_like(x[1:])), x),
    ),
    "local_incsubtensor_of_zeros_to_setsubtensor": (
        lambda x, v: (T.inc_subtensor(T.zeros_like(x)[0], v), T.set_subtensor(T.zeros_like(x)[0], v)),
    ),
    "local_intdiv_by_one": (lambda j: (j // 1, j),),
    "local_inv_canon": (lambda x: (T.reciprocal(x), 1 / x), lambda x, y: (y * T.inv(x), y / x)),
    "local_join_make_vector": (
        lambda a, b: (T.concatenate([T.stack([a, b]), T.stack([b])]), T.stack([a, b, b])),
    ),
    "local_lift_transpose_through_dot": (
        lambda x, y: (T.dot(x, y).T, T.dot(y.T, x.T)),
        lambda x, y: (T.dot(x.T, y.T).T, T.dot(y, x)),
    ),
    "local_log_pow": (
        lambda x: (T.log(x**2), 2 * T.log(abs(x))),
        lambda x: (T.log(x**3), 3 * T.log(x)),
        lambda x: (T.log(x**0.5), 0.5 * T.log(x)),
        lambda x: (T.log(x**2.5), 2.5 * T.log(x)),
        lambda x: (T.log(x**-1), -T.log(x)),
    ),
    "local_merge_alloc": (
        lambda a: (T.alloc(T.alloc(a, 3), 2, 3), T.alloc(a, 2, 3)),
        lambda a, n, m: (T.alloc(T.alloc(a, m), n, m), T.alloc(a, n, m)),
    ),
    "local_merge_switch_same_cond": (
        lambda c, x, y: (T.switch(c, x, 0) + T.switch(c, y, 1), T.switch(c, x + y, 1)),
    ),
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
        lambda row, col: (T.concatenate([row, col.T]).prod(0), row.dimshuffle(1) * col.dimshuffle(0)),
    ),
    "local_reshape_chain": (lambda x, n, m: (x.reshape((n, m, 2)).reshape((3, 4)), x.reshape((3, 4))),),
    "local_reshape_lift": (lambda x: (T.exp(x).reshape((3, 4)), T.exp(x.reshape((3, 4)))),),
    "local_set_to_inc_subtensor": (
        lambda x, v: (T.set_subtensor(x[[2, 0]], x[[2, 0]] + v), T.inc_subtensor(x[[2, 0]], v)),
        lambda x, v: (T.set_subtensor(x[1], x[1] + v), T.inc_subtensor(x[1], v)),
    ),
    "local_setsubtensor_of_constants": (
        lambda x, n: (T.set_subtensor(T.alloc(2.0, 3, n)[1], 2.0), T.alloc(2.0, 3, n)),
    ),
    "local_shape_to_shape_i": (
        lambda x, y: (T.exp(x).shape, T.stack([length(x, 0), length(x, 1)])),
        lambda x, y: (T.dot(x, y).shape, T.stack([length(x, 0), length(y, 1)])),
    ),
    "local_subtensor_inc_subtensor": (
        lambda x, v: (T.set_subtensor(x[1], v)[1], T.specify_shape(v, (None,))),
        lambda block, a: (T.set_subtensor(block[1, 2], a)[1, 2, 0], a),
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
        lambda x: (x[2:6][1], x[2:6][1]),
        lambda v, n: (v[::-1][::-1], v),
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
    "local_sum_prod_div_dimshuffle": (
        lambda x, v: ((x / v.dimshuffle(0, "x")).sum(1), x.sum(1) / v),
    ),
    "local_track_shape_i": (
        lambda x: (T.exp(x).shape[0], length(x, 0)),
        lambda x, y: (T.dot(x, y).shape[1], length(y, 1)),
        lambda x, y: (T.concatenate([x, y], 1).shape[1], length(x, 1) + length(y, 1)),
    ),
    "local_useless_alloc": (lambda v: (T.alloc(v, v.shape[0]), v),),
    "local_useless_elemwise": (
        lambda j: (T.eq(j, j), fill(j, np.True_)),
        lambda j: (T.neq(j, j), fill(j, np.False_)),
        lambda x: (T.identity_like(x) if False else x.copy(), x),
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
        lambda x: (abs(-2 * x), 2 * abs(x)),
        lambda x, y: (abs(x * abs(y)), abs(x * y)),
    ),
    "local_add_canonizer": (
        lambda x, y: ((x + y) + (x + y), 2 * (x + y)),
        lambda x, y: (x + y - x, y),
        lambda x, y: (1 + x + 2 + y, 3 + (x + y)),
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
        lambda x: (T.cosh(T.arccosh(x)), x),
        lambda x: (T.arcsinh(T.sinh(x)), x),
        lambda x: (T.sinh(T.arcsinh(x)), x),
        lambda x: (T.arctanh(T.tanh(x)), x),
        lambda x: (T.tanh(T.arctanh(x)), x),
        lambda x: (-(-x), x),
        lambda x: (1 / (1 / x), x),
        lambda x: (T.conj(T.conj(x)), x),
    ),
    "local_greedy_distributor": (
        lambda x, a, b: ((a / x + b) * x, a + b * x),
    ),
    "local_join_1": (lambda x: (Join(0)(x), x),),
    "local_join_empty": (lambda x, empty: (T.concatenate([empty, x]), x),),
    "local_log_prod_sqr": (
        lambda x: (T.log((x**2).prod(1)), 2 * T.log(abs(x)).sum(1)),
        lambda x: (T.log(T.exp(x).prod()), x.sum()),
    ),
    "local_mul_canonizer": (
        lambda x, y: (x * y / y, x),
        lambda x: (x / x, fill(x, 1.0)),
        lambda x, y, z: ((x / y) * (y / z), x / z),
        lambda x, y: (2 * x * (3 * y), 6 * (x * y)),
        lambda x: (x * x * x, x * T.square(x)),
    ),
    "local_mul_zero": (lambda x: (0 * x, fill(x, 0.0)), lambda x, y: (x * 0 + y, y)),
    "local_reduce_broadcastable": (
        lambda row: (row.sum(0), row.dimshuffle(1)),
        lambda row: (row.sum(), row.dimshuffle(1).sum()),
    ),
    "local_reshape_to_dimshuffle": (
        lambda v: (v.reshape((1, -1)), v.dimshuffle("x", 0)),
        lambda x: (x.reshape((x.shape[0], 1, x.shape[1])), x.dimshuffle(0, "x", 1)),
    ),
    "local_subtensor_of_alloc": (
        lambda a, n, m: (T.alloc(a, n, m)[1:], T.alloc(a, n, m)[1:]),
        lambda v: (T.alloc(v, 3, v.shape[0])[1], v),
    ),
    "local_upcast_elemwise_constant_inputs": (
        lambda x: (x + constant(np.int8(2)), 2 + x),
        lambda j: (j * constant(np.int8(2)), 2 * j),
    ),
    "local_useless_dimshuffle_in_reshape": (
        lambda x: (x.dimshuffle(0, "x", 1).reshape((3, 4)), x.reshape((3, 4))),
    ),
    "local_useless_elemwise_comparison": (
        lambda j: (T.lt(j, j), fill(j, np.False_)),
        lambda j: (T.ge(j, j), fill(j, np.True_)),
        lambda x: (T.ge(x.shape[0], 0), constant(np.True_)),
        lambda x: (T.lt(x.shape[0], 0), constant(np.False_)),
        lambda x: (T.maximum(x.shape[0], 0), length(x, 0)),
        lambda x: (T.minimum(x.shape[0], 0), constant(np.int64(0))),
    ),
    "local_useless_inc_subtensor": (
        lambda x, y: (T.inc_subtensor(x[:, :], y), x + y),
        lambda x: (T.set_subtensor(x[:], x), x),
    ),
    "local_useless_inc_subtensor_alloc": (
        lambda x, a, m: (T.inc_subtensor(x[1], T.alloc(a, x.shape[1])), T.inc_subtensor(x[1], a)),
        lambda x, at, a, m: (T.inc_subtensor(x[at], T.alloc(a, at.shape[0], x.shape[1])), T.inc_subtensor(x[at], a)),
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
        lambda x, y: (T.switch(constant(np.True_), x, x), x),
        lambda c, x: (T.switch(c, x, x), T.switch(c, x, x)),
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
        lambda x: (T.exp(x) / (1 + T.exp(x)), SIGMOID(x)),
        lambda x, a: (a / (1 + T.exp(x)), a * SIGMOID(-x)),
        lambda x, y: (y * T.exp(x) / (1 + T.exp(x)), y * SIGMOID(x)),
    ),
    "local_inv_1_plus_exp": (
        lambda x: (1 / (1 + T.exp(x)), SIGMOID(-x)),
        lambda x: (1 / (1 + T.exp(-x)), SIGMOID(x)),
    ),
    "local_log1p": (lambda x: (T.log(1 + x), T.log1p(x)), lambda x: (T.log(1 - x), T.log1p(-x))),
    "local_log_add": (
        lambda x, y: (T.log(T.exp(x) + T.exp(y)), T.logaddexp(x, y)),
    ),
    "local_log_erfc": (
        lambda x: (
            T.log(T.erfc(x)),
            T.switch(T.gt(x, 1), T.log(T.erfcx(x)) - T.square(x), T.log1p(-T.erf(x))),
        ),
    ),
    "local_sigm_times_exp": (
        lambda x: (T.exp(x) * SIGMOID(-x), SIGMOID(x)),
        lambda x: (T.exp(-x) * SIGMOID(x), SIGMOID(-x)),
    ),
    "log1msigm_to_softplus": (lambda x: (T.log(1 - SIGMOID(x)), -SOFTPLUS(x)),),
    "log1p_neg_sigmoid": (lambda x: (T.log1p(-SIGMOID(x)), -SOFTPLUS(x)),),
    "log1pexp_to_softplus": (lambda x: (T.log1p(T.exp(x)), SOFTPLUS(x)),),
    "logsigm_to_softplus": (lambda x: (T.log(SIGMOID(x)), -SOFTPLUS(-x)),),
    "crossentropy_to_crossentropy_with_softmax_with_bias": (
        lambda x, v, at: (
            T.nnet.crossentropy_categorical_1hot(SOFTMAX(x + v), at),
            -LOGSOFTMAX(x + v)[T.arange(x.shape[0]), at],
        ),
    ),
    "local_fill_to_alloc": (
        lambda x: (fill(T.exp(x), 0.0), fill(x, 0.0)),
    ),
    "local_grad_log_erfc_neg": (
        lambda x: (rg.grad(T.log(T.erfc(x)).sum(), x), -2 / np.sqrt(np.pi) / T.erfcx(x)),
    ),
    # specialize
    "local_add_specialize": (
        lambda x: (x + 0, x),
        lambda x, y: (0 + x + y + 0, x + y),
    ),
    "local_advanced_indexing_crossentropy_onehot": (
        lambda x, at: (
            -T.log(SOFTMAX(x))[T.arange(at.shape[0]), at],
            -LOGSOFTMAX(x)[T.arange(at.shape[0]), at],
        ),
        lambda x, at: (
            -T.log(SOFTMAX(x)[T.arange(at.shape[0]), at]),
            -LOGSOFTMAX(x)[T.arange(at.shape[0]), at],
        ),
    ),
    "local_advanced_indexing_crossentropy_onehot_grad": (
        lambda x, at: (rg.grad(-T.log(SOFTMAX(x))[T.arange(at.shape[0]), at].sum(), x), x),
    ),
    "local_alloc_unary": (
        lambda a, n: (T.exp(T.alloc(a, n)), T.alloc(T.exp(a), n)),
        lambda v, n, m: (T.exp(T.alloc(v, n, m)), T.alloc(T.exp(v), n, m)),
    ),
    "local_argmax_pushdown": (
        lambda x: (T.argmax(SOFTMAX(x), 1), T.argmax(x, 1)),
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
    "local_neg_neg": (lambda x: (-(-x), x),),
    "local_pow_specialize": (
        lambda x: (x**2, T.square(x)),
        lambda x: (x**0.5, T.sqrt(x)),
        lambda x: (x**-1, 1 / x),
        lambda x: (x**-2, 1 / T.square(x)),
        lambda x: (x**-0.5, 1 / T.sqrt(x)),
        lambda x: (x**0, fill(x, 1.0)),
    ),
    "local_softmax_grad_to_crossentropy_with_softmax_grad": (
        lambda x, at: (rg.grad(T.nnet.crossentropy_categorical_1hot(SOFTMAX(x), at).sum(), x), x),
    ),
    "local_sum_prod_mul_by_scalar": (
        lambda x: ((2 * x).sum(), 2 * x.sum()),
        lambda x, a: ((a * x).sum(0), a * x.sum(0)),
        lambda x: ((-x).sum(1), -x.sum(1)),
        lambda x: ((x / 2).sum(), x.sum() / 2),
        lambda j: ((3 * j).prod(), j.prod()),
    ),
    "local_abs_merge": (
        lambda x, y: (abs(x) * abs(y), abs(x * y)),
        lambda x, y: (abs(x) / abs(y), abs(x / y)),
    ),
    "local_logsoftmax": (lambda x: (T.log(SOFTMAX(x)), LOGSOFTMAX(x)),),
    "local_logsoftmax_grad": (lambda x, w: (rg.grad((w * T.log(SOFTMAX(x))).sum(), x), x),),
    "local_mul_to_sqr": (lambda x: (x * x, T.square(x)),),
    "local_opt_alloc": (
        lambda a: (T.alloc(a, 3, 4).sum(), 12 * a),
        lambda a, n: (T.alloc(a, n).sum(), a * n.astype(a.dtype)),
        lambda a: (T.alloc(a, 3).prod(), a**3),
        lambda v, n: (T.alloc(v, 3, n).sum(0), 3 * T.alloc(v, n)),
    ),
    # uncanonicalize
    "local_reshape_dimshuffle": (
        lambda v: (v.dimshuffle("x", 0).reshape((3, 4)), v.reshape((3, 4))),
    ),
    "local_alloc_dimshuffle": (
        lambda v, n, m: (T.alloc(v.dimshuffle("x", 0), n, m), T.alloc(v, n, m)),
    ),
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
    "local_dot22_to_dot22scalar": (
        lambda x, v: (T.dot(2 * x, v), 2 * T.dot(x, v)),
    ),
    # device
    "local_pow_specialize_device": (
        lambda x: (x**3, x * T.square(x)),
        lambda x: (x**8, T.square(T.square(T.square(x)))),
        lambda x: (x**-3, 1 / (x * T.square(x))),
    ),
    # other
    "crossentropy_to_crossentropy_with_softmax": (
        lambda x, at: (
            T.nnet.crossentropy_categorical_1hot(SOFTMAX(x), at),
            -LOGSOFTMAX(x)[T.arange(x.shape[0]), at],
        ),
    ),
    "local_elemwise_alloc": (
        lambda x, a: (T.alloc(a, x.shape[0], x.shape[1]) + x, a + x),
        lambda x, v: (T.alloc(v, x.shape[0], x.shape[1]) * x, x * v),
    ),
    "local_log_sum_exp": (
        lambda x: (T.log(T.exp(x).sum(1)), T.logsumexp(x, 1)),
        lambda x: (T.log(T.sum(T.exp(x))), T.logsumexp(x)),
    ),
    "ShapeOpt": (
        lambda x, y, v: (T.tanh(T.dot(x, y) + v).shape[0], length(x, 0)),
        lambda x: (x.reshape((3, -1)).shape[0], constant(np.int64(3))),
    ),
    "pre_local_IncSubtensor_serialize": (),
    "inline_ofg_expansion": (
        lambda x, y: (rg.OpFromGraph([x, y], [T.exp(x) + y], inline=True)(x, y), T.exp(x) + y),
    ),
}
