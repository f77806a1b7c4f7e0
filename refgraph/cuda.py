"""What concerns GPUs alone. Names, no logic."""

from refgraph.interp.backends import memory_info as memory_info
