"""Random numbers, on each backend that --backend names."""

from refgraph.testing.suite.test_random import *  # noqa: F403
