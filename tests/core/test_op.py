"""Ops: identity, names, applications, and the register."""

import pytest

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply
from refgraph.core.op import OPS, GraphOp, Op, declare
from refgraph.core.types import generic


class Scale(Op):
    __props__ = ("by", "mode")
    name = "scale"

    def __init__(self, by, mode=None):
        self.by, self.mode = by, mode

    def infer(self, x):
        return (x.type,)


class Other(Scale):
    pass


class Bare(Op):
    def infer(self, x):
        return x.type, x.type


def test_ops_are_equal_when_class_and_parameters_are():
    assert Scale(2) == Scale(2)
    assert hash(Scale(2)) == hash(Scale(2))
    assert Scale(2) != Scale(3)
    assert Scale(2) != Other(2)


def test_ops_without_parameters_are_equal_only_to_themselves():
    op = Bare()

    assert op == op
    assert op != Bare()
    assert len({op, Bare(), op}) == 2


def test_the_name_shows_parameters_that_are_not_off():
    assert str(Scale(2)) == "scale{by=2}"
    assert str(Scale(2, "up")) == "scale{by=2, mode='up'}"
    assert str(Bare()) == "Bare"


def test_calling_an_op_answers_its_output_or_a_list_of_them():
    x = generic("x")
    out = Scale(2)(x)

    assert (out.owner.op, out.owner.inputs, out.owner.outputs, out.index) == (Scale(2), (x,), (out,), 0)
    assert [y.index for y in Bare()(x)] == [0, 1]


def test_an_op_says_what_it_does_not_say():
    with pytest.raises(NotImplementedError, match="Op says neither `infer` nor `make_node`"):
        Op()(generic())
    with pytest.raises(NotImplementedError, match="Scale says no `impl`"):
        Scale(2).impl(1)


def test_an_op_without_a_vjp_is_not_connected():
    node = Scale(2)(generic()).owner

    assert tuple(Scale(2).vjp(node, [generic()])) == (None,)
    assert GraphOp.graphs.__get__(GraphOp()) == ()
    assert tuple(GraphOp().vjp_through(node, [0], None, [True])) == (None,)
    assert tuple(GraphOp().jvp_through(node, [0], None)) == (None,)


def test_what_runs_a_node_is_the_meaning_unless_the_op_binds_it():
    op = Bare()

    assert op.bind(None, None) == op.impl


def test_an_op_is_declared_once():
    class Once(Op):
        pass

    try:
        assert declare(Once) is Once
        assert OPS["Once"] is Once
        with pytest.raises(RefgraphError, match="'Once' is declared twice"):
            declare(Once)
    finally:
        del OPS["Once"]


def test_outputs_belong_to_one_application():
    x = generic("x")
    y = Scale(2)(x)

    with pytest.raises(ValueError, match="output 0 already belongs to an application of scale"):
        Apply(Scale(3), [x], [y])
