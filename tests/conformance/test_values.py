"""What each op gives, on each backend that --backend names."""

from refgraph.testing.suite.test_values import *  # noqa: F403
