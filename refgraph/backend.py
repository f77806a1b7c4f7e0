"""What the author of a backend imports: `Backend`, `hookimpl`, and the families of ops to make kernels for.

A plugin is a distribution with an entry point in the group `refgraph.backends`; see docs/write-a-backend.md.
"""

from refgraph.core.errors import BackendError as BackendError
from refgraph.core.errors import FallbackError as FallbackError
from refgraph.core.graph import Apply as Apply
from refgraph.core.graph import Constant as Constant
from refgraph.core.graph import Graph as Graph
from refgraph.core.graph import Variable as Variable
from refgraph.core.op import OPS as OPS
from refgraph.core.op import BadSample as BadSample
from refgraph.core.op import GraphOp as GraphOp
from refgraph.core.op import Op as Op
from refgraph.core.op import Sample as Sample
from refgraph.core.op import declare as declare
from refgraph.interp.backends import FEATURES as FEATURES
from refgraph.interp.backends import Backend as Backend
from refgraph.interp.backends import Capabilities as Capabilities
from refgraph.interp.backends import get_backend as get_backend
from refgraph.interp.backends import hookimpl as hookimpl
from refgraph.interp.backends import installed as installed
from refgraph.interp.plan import Plan as Plan
from refgraph.interp.plan import settled as settled
from refgraph.interp.report import Report as Report
from refgraph.interp.report import Row as Row
from refgraph.interp.shared import commit as commit
from refgraph.interp.shared import values_of as values_of
from refgraph.ops.tensor import DTYPES as DTYPES
from refgraph.ops.tensor import TensorType as TensorType

# the families that most kernels are made for
from refgraph.ops.blas import Gemm as Gemm
from refgraph.ops.branch import IfElse as IfElse
from refgraph.ops.families import Elemwise as Elemwise
from refgraph.ops.families import Reals as Reals
from refgraph.ops.fused import Fused as Fused
from refgraph.ops.linalg import Dot as Dot
from refgraph.ops.random import Draw as Draw
from refgraph.ops.reductions import Reduction as Reduction
from refgraph.ops.scan import Scan as Scan
from refgraph.ops.subgraph import OpFromGraph as OpFromGraph


def __getattr__(name: str) -> type[Op]:
    """Any other op class, by the name under which it is declared in OPS."""
    found = OPS.get(name)
    if isinstance(found, type):
        return found
    raise AttributeError(f"module 'refgraph.backend' has no attribute {name!r}, and there is no op class of that name")
