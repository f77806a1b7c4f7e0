"""Programs made by chance, on each backend that --backend names."""

from refgraph.testing.suite.test_fuzz import *  # noqa: F403
