"""Errors, on each backend that --backend names."""

from refgraph.testing.suite.test_errors import *  # noqa: F403
