"""clone: an expression of other things."""

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import clone, leaves

x, y = T.dvectors("x", "y")
V = np.array([1.0, 2.0])


def test_one_or_many_and_forms_of_replacements():
    z = x * 2
    np.testing.assert_array_equal(clone(z, {x: y}).eval({y: V}), 2 * V)
    a, b = clone([z, z + 1], [(x, y)])
    np.testing.assert_array_equal(b.eval({y: V}), 2 * V + 1)
    assert b.owner.inputs[0] is a
    assert clone(z) is z


def test_anything_may_be_replaced_by_a_variable_or_value():
    z = T.exp(x)
    out = clone(z + 1, {z: y})
    assert leaves([out])[0] is y
    np.testing.assert_array_equal(clone(z, {x: V}).eval(), np.exp(V))


def test_another_type_needs_strict_off():
    f = T.fvector("f")
    with pytest.raises(GraphTypeError, match=r"replace: f .* cannot stand for x"):
        clone(x + x, {x: f})
    assert clone(x + x, {x: f}, strict=False).dtype == "float32"


def test_fresh_inputs_keep_shared_values():
    w = rg.shared(3.0, "w")
    out = clone(x * w, share_inputs=False)
    fresh = [v for v in leaves([out]) if v not in (x, w)]
    assert [v.name for v in fresh] == ["x", "w"]
    w.set_value(4.0)
    np.testing.assert_array_equal(out.eval({fresh[0]: V}), 4 * V)
