"""OpFromGraph: an expression as an op, its types, its shared variables, its overridden derivatives."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import DisconnectedInputError, GraphTypeError, MissingInputError, NullTypeGradError
from refgraph.core.graph import Graph
from refgraph.core.types import DisconnectedType, NullType

x, y, z = T.dmatrices("x", "y", "z")
A, B, C = np.full((2, 2), 2.0), np.full((2, 2), 3.0), np.full((2, 2), 5.0)


def value(expression):
    return expression.eval({x: A, y: B, z: C}, on_unused_input="ignore")


def test_an_expression_of_inputs():
    op = rg.OpFromGraph([x, y, z], [x + y * z])
    np.testing.assert_array_equal(value(op(x, y, z) - op(y, z, x)), (A + B * C) - (B + C * A))


def test_several_outputs_and_composition():
    op = rg.OpFromGraph([x, y], [x + y, x * y, x.T, y * 0 + 1, x.T], name="both")
    add, mul, turned, one, again = op(x, y)
    assert add.owner is mul.owner
    assert str(add.owner.op) == "both"
    outs = rg.function([x, y], [add, mul, turned, one, again])(A, B)
    for got, want in zip(outs, [A + B, A * B, A.T, np.ones((2, 2)), A.T], strict=True):
        np.testing.assert_array_equal(got, want)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(outs) for b in [A, *outs[:i]])


def test_a_constant_inside_is_not_handed_out():
    c = T.constant(A)
    op = rg.OpFromGraph([x], [c, x * 2])
    out = rg.function([x], op(x)[0])(A)
    assert not np.shares_memory(out, c.value)


def test_memory_is_declared():
    assert rg.OpFromGraph([x, y], [x * y]).views == ()
    assert rg.OpFromGraph([x, y], [x * 2, y.T]).views == (1,)


def test_gradient_is_the_expressions():
    op = rg.OpFromGraph([x, y, z], [x + y * z])
    gx, gy, gz = rg.grad(T.sum(op(x, y, z) ** 2), [x, y, z])
    s = A + B * C
    np.testing.assert_array_equal(value(gx), 2 * s)
    np.testing.assert_array_equal(value(gy), 2 * s * C)
    np.testing.assert_array_equal(value(gz), 2 * s * B)


def test_gradient_of_gradient():
    op = rg.OpFromGraph([x, y], [x**2 * y])
    g = rg.grad(op(x, y).sum(), x)
    np.testing.assert_array_equal(value(rg.grad(g.sum(), x)), 2 * B)
    np.testing.assert_array_equal(value(rg.grad(g.sum(), y)), 2 * A)


def test_forward_mode():
    op = rg.OpFromGraph([x, y], [x * y, x + 1])
    a, b = op(x, y)
    np.testing.assert_array_equal(value(rg.Rop(a + b, [x, y], [y, x])), B * B + A * A + B)


def test_a_disconnected_output_and_input():
    op = rg.OpFromGraph([x, y], [x * 2, y * 3])
    first, _ = op(x, y)
    np.testing.assert_array_equal(value(rg.grad(first.sum(), x)), 2 + 0 * A)
    with pytest.raises(DisconnectedInputError):
        rg.grad(first.sum(), y)
    assert op.connection_pattern(first.owner) == [[True, False], [False, True]]


# shared variables


def test_shared_variables_are_found():
    s = rg.shared(B, "s")
    op = rg.OpFromGraph([x, y], [x + y * s])
    e = op(x, y)
    assert e.owner.inputs[-1] is s
    f = rg.function([x, y], e)
    np.testing.assert_array_equal(f(A, C), A + C * B)
    s.set_value(C)
    np.testing.assert_array_equal(f(A, C), A + C * C)
    np.testing.assert_array_equal(value(rg.grad(e.sum(), s)), B)
    g = rg.function([x, y], e, givens={s: A})
    np.testing.assert_array_equal(g(A, C), A + C * A)


def test_other_variables_are_missing():
    with pytest.raises(MissingInputError, match="no value for y"):
        rg.OpFromGraph([x], [x + y])


# types


def test_other_known_lengths_make_the_expressions_anew():
    op = rg.OpFromGraph([x, y], [x + y])
    row = T.drow("row")
    assert op(row, row).type.shape == (1, None)
    assert op(row, row).owner.op is op(row, row).owner.op is not op
    one = np.ones((1, 2))
    np.testing.assert_array_equal(op(row, row).eval({row: one}), 2 * one)
    assert rg.grad(op(row, x).sum(), row).type.shape == (1, None)


def test_another_dtype_or_rank_is_refused():
    op = rg.OpFromGraph([x], [x * 2], name="twice")
    with pytest.raises(GraphTypeError, match=r"twice: input 0 must be float64\[\?, \?\], got v"):
        op(T.dvector("v"))
    with pytest.raises(GraphTypeError, match=r"twice: input 0 must be float64\[\?, \?\], got f"):
        op(T.fmatrix("f"))
    with pytest.raises(GraphTypeError, match="twice takes 1 inputs, got 2"):
        op(x, x)
    with pytest.raises(GraphTypeError, match="a list of inputs and a list of outputs"):
        rg.OpFromGraph(x, [x])


def test_numbers_are_inputs_too():
    s = T.dscalar("s")
    assert rg.OpFromGraph([s], [s * 2])(4.0).eval() == 8


# overrides


def test_grad_overrides_by_a_function():
    op = rg.OpFromGraph([x, y], [x * y], grad_overrides=lambda inputs, gs: [gs[0] * 100 + inputs[1], gs[0] * 0])
    gx, gy = rg.grad(op(x, y).sum(), [x, y])
    np.testing.assert_array_equal(value(gx), 100 + B)
    np.testing.assert_array_equal(value(gy), 0 * B)


def test_lop_overrides_get_the_outputs_too():
    op = rg.OpFromGraph([x], [T.exp(x)], lop_overrides=lambda inputs, outputs, gs: [gs[0] * outputs[0] * 10])
    np.testing.assert_allclose(value(rg.grad(op(x).sum(), x)), 10 * np.exp(A))


@pytest.mark.parametrize("rest", [None, "default"])
def test_overrides_for_each_input(rest):
    op = rg.OpFromGraph([x, y], [x * y], grad_overrides=[rest, lambda inputs, gs: gs[0] * 7])
    gx, gy = rg.grad(op(x, y).sum(), [x, y])
    np.testing.assert_array_equal(value(gx), B)
    np.testing.assert_array_equal(value(gy), 7 + 0 * B)


def test_overrides_by_a_subgraph():
    g = T.dmatrix("g")
    backward = rg.OpFromGraph([x, y, g], [y * g * 2, x * g * 3])
    op = rg.OpFromGraph([x, y], [x * y], grad_overrides=backward)
    gx, gy = rg.grad(op(x, y).sum(), [x, y])
    np.testing.assert_array_equal(value(gx), 2 * B)
    np.testing.assert_array_equal(value(gy), 3 * A)


def test_overrides_that_disconnect_or_forbid():
    op = rg.OpFromGraph([x, y], [x * y], grad_overrides=[DisconnectedType()(), NullType("because").variable()])
    out = op(x, y).sum()
    with pytest.raises(DisconnectedInputError):
        rg.grad(out, x)
    with pytest.raises(NullTypeGradError, match="not defined") as caught:
        rg.grad(out, y)
    assert "because" in str(caught.value)


def test_overrides_leave_shared_variables_to_the_expression():
    s = rg.shared(B, "s")
    op = rg.OpFromGraph([x], [x * s], grad_overrides=lambda inputs, gs: [gs[0] * 9])
    gx, gs = rg.grad(op(x).sum(), [x, s])
    np.testing.assert_array_equal(value(gx), 9 + 0 * A)
    np.testing.assert_array_equal(value(gs), A)


def test_rop_overrides():
    op = rg.OpFromGraph([x, y], [x * y, x], rop_overrides=[lambda inputs, points: points[0] * 50, None])
    a, b = op(x, y)
    np.testing.assert_array_equal(value(rg.Rop(a, x, z)), 50 * C)
    np.testing.assert_array_equal(value(rg.Rop(b, x, z)), C)
    whole = rg.OpFromGraph([x], [x * x], rop_overrides=lambda inputs, points: [points[0] * 4])
    np.testing.assert_array_equal(value(rg.Rop(whole(x), x, z)), 4 * C)


def test_connection_pattern_disconnects():
    op = rg.OpFromGraph([x, y], [x * y], connection_pattern=[[True], [False]])
    with pytest.raises(DisconnectedInputError):
        rg.grad(op(x, y).sum(), y)
    np.testing.assert_array_equal(value(rg.grad(op(x, y).sum(), x)), B)


def test_wrong_overrides_are_refused():
    with pytest.raises(GraphTypeError, match="grad_overrides has 1 entries, 2 are needed"):
        rg.OpFromGraph([x, y], [x * y], grad_overrides=[None])
    with pytest.raises(GraphTypeError, match="not both"):
        rg.OpFromGraph([x], [x], grad_overrides=lambda i, g: g, lop_overrides=lambda i, o, g: g)
    op = rg.OpFromGraph([x, y], [x * y], grad_overrides=lambda inputs, gs: gs)
    with pytest.raises(GraphTypeError, match="answered 1 gradients for 2 inputs"):
        rg.grad(op(x, y).sum(), x)


def test_inputs_are_independent_though_one_is_computed_from_another():
    doubled = x * 2
    op = rg.OpFromGraph([x, doubled], [T.exp(doubled) * x])
    by_x, by_y = rg.grad(op(x, y).sum(), [x, y])
    np.testing.assert_allclose(value(by_x), np.exp(B))
    np.testing.assert_allclose(value(by_y), np.exp(B) * A)
    np.testing.assert_allclose(value(rg.Rop(op(x, y), x, z)), np.exp(B) * C)


def test_variants_for_other_types_stay_bounded():
    v = T.dvector("v")
    op = rg.OpFromGraph([v], [v * 2])
    most = op._variants.most = 8
    for n in range(3 * most):
        assert op(T.tensor(dtype="float64", shape=(n,))).type.shape == (n,)
    assert len(op._variants) <= most


def test_its_graph_can_be_replaced():
    op = rg.OpFromGraph([x, y], [x * y, x], name="pair")
    a, b = T.dmatrices("a", "b")
    other = op.with_graphs([Graph([a, b], [a - b, b.T])])

    assert (other.name, other.views, op.views) == ("pair", (1,), (0,))
    np.testing.assert_array_equal(value(other(x, y)[0]), A - B)
    np.testing.assert_array_equal(value(op(x, y)[0]), A * B)
    with pytest.raises(GraphTypeError, match="graphs of the same types"):
        op.with_graphs([Graph([a, b], [a - b])])
