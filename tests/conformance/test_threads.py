"""Threads, on each backend that --backend names."""

from refgraph.testing.suite.test_threads import *  # noqa: F403
