"""Cases come from what is declared, by us and by plugins."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import BadSample, Elemwise, Op, Reals, Sample, declare
from refgraph.core.errors import DTypeError
from refgraph.rules import rule
from refgraph.testing.cases import bad_cases, cases
from refgraph.testing.checks import check_differences, check_transposes, check_value
from refgraph.testing.compare import kind_of
from refgraph.testing.rules import rule_cases

pytestmark = pytest.mark.usefixtures("own_ops", "own_rules")


def declared_row():
    return declare(
        Elemwise(
            "cube",
            lambda x: x * x * x,
            like=np.square,
            d=lambda z, x: 3 * x * x,
            c="{x} * {x} * {x}",
            on=Reals(-4, 4, edges=(0.0, -0.0), kinds="fc"),
        )
    )


def test_a_row_that_a_plugin_declares_has_cases_like_ours():
    cube = declared_row()
    found = [case for case in cases() if case.op is cube]

    assert {np.asarray(case.sample.inputs[0]).dtype.name for case in found} == {
        *("float16", "float32", "float64", "complex64", "complex128")
    }
    assert {case.sample.id for case in found} >= {"float64-[3,4]", "float64-[]", "float64-[0]", "float64-edges"}
    for case in found:
        check_value(case.sample, known=False)
    for case in (c for c in found if c.sample.id in ("float64-[3,4]", "complex128-[5]")):
        check_transposes(case.sample)
        check_differences(case.sample)
    assert kind_of(cube) == "elementwise"


def test_an_op_that_a_plugin_declares_brings_its_cases():
    @declare
    class Halves(Op):
        name = "halves"

        def infer(self, x):
            if x.type.dtype == "bool":
                raise DTypeError("halves: a bool has none")
            return x.type, x.type

        def impl(self, x):
            return x / 2, x / 2

        @classmethod
        def samples(cls):
            yield Sample("vector", cls(), (np.arange(4.0),), lambda x: [x / 2, x / 2])

        @classmethod
        def bad_samples(cls):
            yield BadSample("bool", cls(), (np.ones(3, bool),), DTypeError, "a bool has none")

    assert [case.id for case in cases() if case.op is Halves] == ["Halves-vector"]
    assert "Halves-bool" in [id for id, _ in bad_cases()]


def test_a_rule_that_a_plugin_declares_has_cases_and_is_applied():
    cube = declared_row()

    @rule("canonical", Reals(-4, 4, kinds="f"))
    def cube_of_product(x):
        """x times its square is its cube."""
        return x * x**2, cube(x)

    assert {case.rule.name for case in rule_cases()} >= {"cube_of_product"}
    x = T.dvector("x")
    f = rg.function([x], x * x**2)
    assert [node.op for node in f.graph.nodes] == [cube]
    np.testing.assert_array_equal(f([2.0, -3.0]), [8, -27])
