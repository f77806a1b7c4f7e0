"""refgraph: write expressions over arrays; get derivatives, and functions that run them.

The words of `theano.*`: `import refgraph as theano` runs a Theano program. Names, no logic.
"""

import typing as _typing

from refgraph.core.config import change_flags as change_flags
from refgraph.core.config import config as config
from refgraph.core.errors import RefgraphError as RefgraphError
from refgraph.core.graph import Apply as Apply
from refgraph.core.graph import Constant as Constant
from refgraph.core.graph import Graph as Graph
from refgraph.core.graph import Variable as Variable
from refgraph.core.graph import clone as clone
from refgraph.core.types import Type as Type
from refgraph.core.types import generic as generic

from refgraph.ops.custom import Op as Op
from refgraph.ops.custom import as_op as as_op
from refgraph.ops import tensor as _types
from refgraph.ops.subgraph import OpFromGraph as OpFromGraph

from refgraph.interp.function import function as function
from refgraph.interp.inputs import In as In
from refgraph.interp.inputs import Out as Out
from refgraph.interp.modes import DebugMode as DebugMode
from refgraph.interp.modes import Mode as Mode
from refgraph.interp.modes import MonitorMode as MonitorMode
from refgraph.interp.modes import NanGuardMode as NanGuardMode
from refgraph.interp.shared import SharedVariable as SharedVariable
from refgraph.interp.shared import shared as shared
from refgraph.interp.updates import OrderedUpdates as OrderedUpdates

from refgraph import gradient as gradient
from refgraph import printing as printing
from refgraph import tensor as tensor
from refgraph.gradient import Lop as Lop
from refgraph.gradient import Rop as Rop
from refgraph.gradient import grad as grad
from refgraph.gradient import subgraph_grad as subgraph_grad
from refgraph.printing import debugprint as debugprint
from refgraph.printing import pp as pp
from refgraph.tensor import as_tensor as as_tensor
from refgraph.tensor import constant as constant
from refgraph.tensor import dot as dot

# Theano's names for the same
_asarray = _types.asarray
as_tensor_variable = as_tensor


if _typing.TYPE_CHECKING:  # what loads when it is wanted, for tools that do not run
    from refgraph import cuda as cuda
    from refgraph import ifelse as ifelse
    from refgraph import random as random
    from refgraph import scan_module as scan_module
    from refgraph.scan_module import foldl as foldl
    from refgraph.scan_module import foldr as foldr
    from refgraph.scan_module import map as map
    from refgraph.scan_module import reduce as reduce
    from refgraph.scan_module import scan as scan
    from refgraph.scan_module import scan_checkpoints as scan_checkpoints

    __version__: str
else:

    def __getattr__(name):
        from importlib import import_module

        if name in ("cuda", "ifelse", "random", "scan_module"):
            return import_module(f"refgraph.{name}")
        if name in ("scan", "map", "reduce", "foldl", "foldr", "scan_checkpoints"):
            return getattr(import_module("refgraph.scan_module"), name)
        if name == "__version__":  # importlib.metadata takes longer to load than all of refgraph's names
            return import_module("importlib.metadata").version("refgraph")
        raise AttributeError(f"module 'refgraph' has no attribute {name!r}")
