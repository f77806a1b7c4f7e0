"""The door for those who write backends."""

import pytest

import refgraph.backend as door
from refgraph.testing.cases import OPS


def test_every_op_class_is_offered_by_its_name():
    for name, op in OPS.items():
        if isinstance(op, type):
            assert getattr(door, name) is op


def test_what_is_no_op_class_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'Dott', and there is no op class of that name"):
        door.Dott  # noqa: B018
    with pytest.raises(ImportError):
        from refgraph.backend import exp  # noqa: F401


def test_the_families_that_the_docs_teach_are_there():
    for name in "Backend Capabilities hookimpl Elemwise Reduction Fused Scan Constant Graph Report".split():
        assert isinstance(vars(door)[name], type) or name == "hookimpl"
