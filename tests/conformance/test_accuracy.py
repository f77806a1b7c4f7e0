"""Accuracy, on each backend that --backend names."""

from refgraph.testing.suite.test_accuracy import *  # noqa: F403
