"""Loops: the words of `theano.scan_module`. Names, no logic."""

from refgraph.interp.loops import foldl as foldl
from refgraph.interp.loops import foldr as foldr
from refgraph.interp.loops import map as map
from refgraph.interp.loops import reduce as reduce
from refgraph.interp.loops import scan as scan
from refgraph.interp.loops import scan_checkpoints as scan_checkpoints
from refgraph.interp.loops import until as until
