"""The interface of a backend, on each backend that --backend names."""

from refgraph.testing.suite.test_interface import *  # noqa: F403
