"""Programs of several ops, on each backend that --backend names."""

from refgraph.testing.suite.test_chains import *  # noqa: F403
