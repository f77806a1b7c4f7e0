"""Functions, on each backend that --backend names."""

from refgraph.testing.suite.test_functions import *  # noqa: F403
