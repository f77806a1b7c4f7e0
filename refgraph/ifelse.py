"""Lazy branches: the word of `theano.ifelse`. Names, no logic."""

from refgraph.ops.branch import ifelse as ifelse
