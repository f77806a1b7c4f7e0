"""Graphs as text, and values while a function runs: the words of `theano.printing`."""

from refgraph.core.show import debugprint as debugprint
from refgraph.core.show import min_informative_str as min_informative_str
from refgraph.core.show import pp as pp
from refgraph.core.show import pprint as pprint
from refgraph.ops.printing import Print as Print
