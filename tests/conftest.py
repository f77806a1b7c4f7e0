"""What tests on every floor use."""

import pytest

from refgraph.rewrite.rule import RULES
from refgraph.rewrite.select import load


@pytest.fixture
def own_rules():
    """The rules that there are; those that the test declares are forgotten after it."""
    load()
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)
