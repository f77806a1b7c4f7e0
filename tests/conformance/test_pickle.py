"""Pickles, on each backend that --backend names."""

from refgraph.testing.suite.test_pickle import *  # noqa: F403
