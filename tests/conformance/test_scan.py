"""Loops, on each backend that --backend names."""

from refgraph.testing.suite.test_scan import *  # noqa: F403
