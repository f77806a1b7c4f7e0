"""Rewritten programs, on each backend that --backend names."""

from refgraph.testing.suite.test_rewriting import *  # noqa: F403
