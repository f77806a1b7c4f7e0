"""What tests on every floor use."""

import os

import pytest
from hypothesis import settings

from refgraph.core.config import config
from refgraph.core.op import OPS
from refgraph.interp import backends
from refgraph.rewrite.rule import RULES
from refgraph.rewrite.select import load

settings.register_profile("same", derandomize=True)  # every run draws the same: a failure is of the change
settings.load_profile("same")

OWN_PLUGINS = {"cython", "cupy"}

# These are tests of the interpreter, whatever else is installed: other backends are asked for by name.
config.backend = "numpy"
os.environ["REFGRAPH_FLAGS"] = ",".join([*filter(None, [os.environ.get("REFGRAPH_FLAGS")]), "backend=numpy"])


@pytest.fixture
def automatic(monkeypatch):
    """The flags choose where functions run, among what the test installs: not our own plugins."""
    found = backends._entry_points
    monkeypatch.setattr(backends, "_entry_points", lambda: [e for e in found() if e.name not in OWN_PLUGINS])
    backends.forget()
    with config.change_flags(backend="auto", device="auto", force_device=False):
        yield
    monkeypatch.undo()
    backends.forget()


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
