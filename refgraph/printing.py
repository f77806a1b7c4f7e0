"""Graphs as text, and values while a function runs: the words of `theano.printing`."""

import typing as _typing

from refgraph.core.show import debugprint as debugprint
from refgraph.core.show import min_informative_str as min_informative_str
from refgraph.core.show import pp as pp
from refgraph.core.show import pprint as pprint
from refgraph.ops.printing import Print as Print

if _typing.TYPE_CHECKING:  # loads when it is wanted
    from refgraph.interp.history import rewrite_history as rewrite_history
else:

    def __getattr__(name):
        if name == "rewrite_history":
            from refgraph.interp.history import rewrite_history

            return rewrite_history
        raise AttributeError(f"module 'refgraph.printing' has no attribute {name!r}")
