"""Derivatives: the words of `theano.gradient`. Names, no logic."""

from refgraph.autodiff.forward import Rop as Rop
from refgraph.autodiff.jacobian import hessian as hessian
from refgraph.autodiff.jacobian import hessian_vector_product as hessian_vector_product
from refgraph.autodiff.jacobian import jacobian as jacobian
from refgraph.autodiff.reverse import Lop as Lop
from refgraph.autodiff.reverse import grad as grad
from refgraph.autodiff.reverse import subgraph_grad as subgraph_grad
from refgraph.core.errors import DisconnectedInputError as DisconnectedInputError
from refgraph.core.errors import NonScalarCostError as NonScalarCostError
from refgraph.core.errors import NullTypeGradError as NullTypeGradError
from refgraph.core.types import DisconnectedType as DisconnectedType
from refgraph.core.types import NullType as NullType
from refgraph.ops.custom import grad_not_implemented as grad_not_implemented
from refgraph.ops.custom import grad_undefined as grad_undefined
from refgraph.ops.gradient import consider_constant as consider_constant
from refgraph.ops.gradient import disconnected_grad as disconnected_grad
from refgraph.ops.gradient import grad_clip as grad_clip
from refgraph.ops.gradient import grad_scale as grad_scale
from refgraph.ops.gradient import undefined_grad as undefined_grad
from refgraph.ops.gradient import zero_grad as zero_grad
from refgraph.testing.verify_grad import GradientError as GradientError
from refgraph.testing.verify_grad import numeric_gradient as numeric_gradient
from refgraph.testing.verify_grad import verify_grad as verify_grad
