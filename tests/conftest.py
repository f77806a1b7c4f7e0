"""What tests on every floor use."""

import pytest
from hypothesis import settings

from refgraph.core.op import OPS
from refgraph.rewrite.rule import RULES
from refgraph.rewrite.select import load

settings.register_profile("same", derandomize=True)  # every run draws the same: a failure is of the change
settings.load_profile("same")


@pytest.fixture
def own_rules():
    """The rules that there are; those that the test declares are forgotten after it."""
    load()
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)


@pytest.fixture
def own_ops():
    """The ops that there are; those that the test declares are forgotten after it."""
    before = dict(OPS)
    yield OPS
    OPS.clear()
    OPS.update(before)
