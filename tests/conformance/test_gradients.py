"""Derivatives, on each backend that --backend names."""

from refgraph.testing.suite.test_gradients import *  # noqa: F403
