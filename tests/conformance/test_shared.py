"""Shared variables, on each backend that --backend names."""

from refgraph.testing.suite.test_shared import *  # noqa: F403
