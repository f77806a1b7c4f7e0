"""Random numbers that are the same on every backend and machine. Names, no logic."""

from refgraph.interp.streams import Stream as Stream
from refgraph.ops.random import next_call as next_call
