"""T: the vocabulary, by NumPy's names and by Theano's. `import refgraph.tensor as T`. Names, no logic."""

from refgraph.core import errors as _errors
from refgraph.core.errors import NotScalarConstantError as NotScalarConstantError
from refgraph.core.errors import ShapeError as ShapeError
from refgraph.core.graph import Apply as Apply
from refgraph.core.graph import Constant as Constant
from refgraph.core.graph import Variable as Variable
from refgraph.core.types import generic as generic
from refgraph.ops import tensor as _types
from refgraph.ops.custom import Op as Op
from refgraph.ops.families import Elemwise as Elemwise
from refgraph.ops.tensor import TensorConstant as TensorConstant
from refgraph.ops.tensor import TensorType as TensorType
from refgraph.ops.tensor import TensorVariable as TensorVariable
from refgraph.ops.tensor import as_tensor as as_tensor
from refgraph.ops.tensor import constant as constant


from refgraph.interp.function import function as function
from refgraph.interp.shared import TensorSharedVariable as TensorSharedVariable
from refgraph.interp.shared import shared as shared
from refgraph.printing import pp as pp

# constructors of variables: scalar, dmatrix, ftensor4s, ...
from refgraph.ops.variables import *

# elementwise, one name a row
from refgraph.ops.elementwise import *

from refgraph.ops.reductions import all as all
from refgraph.ops.reductions import any as any
from refgraph.ops.reductions import argmax as argmax
from refgraph.ops.reductions import argmin as argmin
from refgraph.ops.reductions import bitwise_and_reduce as bitwise_and_reduce
from refgraph.ops.reductions import bitwise_or_reduce as bitwise_or_reduce
from refgraph.ops.reductions import bitwise_xor_reduce as bitwise_xor_reduce
from refgraph.ops.reductions import count_nonzero as count_nonzero
from refgraph.ops.reductions import logsumexp as logsumexp
from refgraph.ops.reductions import max as max
from refgraph.ops.reductions import max_and_argmax as max_and_argmax
from refgraph.ops.reductions import mean as mean
from refgraph.ops.reductions import min as min
from refgraph.ops.reductions import norm as norm
from refgraph.ops.reductions import prod as prod
from refgraph.ops.reductions import ptp as ptp
from refgraph.ops.reductions import std as std
from refgraph.ops.reductions import sum as sum
from refgraph.ops.reductions import var as var

from refgraph.ops.cumulative import cumprod as cumprod
from refgraph.ops.cumulative import cumsum as cumsum
from refgraph.ops.cumulative import diff as diff

from refgraph.ops.shape import addbroadcast as addbroadcast
from refgraph.ops.shape import atleast_1d as atleast_1d
from refgraph.ops.shape import atleast_2d as atleast_2d
from refgraph.ops.shape import atleast_3d as atleast_3d
from refgraph.ops.shape import broadcast_arrays as broadcast_arrays
from refgraph.ops.shape import broadcast_shape as broadcast_shape
from refgraph.ops.shape import broadcast_shapes as broadcast_shapes
from refgraph.ops.shape import broadcast_to as broadcast_to
from refgraph.ops.shape import dimshuffle as dimshuffle
from refgraph.ops.shape import expand_dims as expand_dims
from refgraph.ops.shape import flatten as flatten
from refgraph.ops.shape import moveaxis as moveaxis
from refgraph.ops.shape import patternbroadcast as patternbroadcast
from refgraph.ops.shape import ravel as ravel
from refgraph.ops.shape import reshape as reshape
from refgraph.ops.shape import shape as shape
from refgraph.ops.shape import shape_i as shape_i
from refgraph.ops.shape import shape_padaxis as shape_padaxis
from refgraph.ops.shape import shape_padleft as shape_padleft
from refgraph.ops.shape import shape_padright as shape_padright
from refgraph.ops.shape import size as size
from refgraph.ops.shape import specify_shape as specify_shape
from refgraph.ops.shape import squeeze as squeeze
from refgraph.ops.shape import swapaxes as swapaxes
from refgraph.ops.shape import transpose as transpose
from refgraph.ops.shape import unbroadcast as unbroadcast

from refgraph.ops.joining import concatenate as concatenate
from refgraph.ops.joining import flip as flip
from refgraph.ops.joining import horizontal_stack as horizontal_stack
from refgraph.ops.joining import join as join
from refgraph.ops.joining import pad as pad
from refgraph.ops.joining import repeat as repeat
from refgraph.ops.joining import roll as roll
from refgraph.ops.joining import split as split
from refgraph.ops.joining import stack as stack
from refgraph.ops.joining import stacklists as stacklists
from refgraph.ops.joining import tile as tile
from refgraph.ops.joining import vertical_stack as vertical_stack

from refgraph.ops.construct import alloc as alloc
from refgraph.ops.construct import alloc_diag as alloc_diag
from refgraph.ops.construct import arange as arange
from refgraph.ops.construct import bartlett as bartlett
from refgraph.ops.construct import default as default
from refgraph.ops.construct import diag as diag
from refgraph.ops.construct import diagonal as diagonal
from refgraph.ops.construct import empty as empty
from refgraph.ops.construct import empty_like as empty_like
from refgraph.ops.construct import eye as eye
from refgraph.ops.construct import full as full
from refgraph.ops.construct import full_like as full_like
from refgraph.ops.construct import geomspace as geomspace
from refgraph.ops.construct import get_scalar_constant_value as get_scalar_constant_value
from refgraph.ops.construct import get_vector_length as get_vector_length
from refgraph.ops.construct import identity_like as identity_like
from refgraph.ops.construct import indices as indices
from refgraph.ops.construct import linspace as linspace
from refgraph.ops.construct import logspace as logspace
from refgraph.ops.construct import meshgrid as meshgrid
from refgraph.ops.construct import mgrid as mgrid
from refgraph.ops.construct import ogrid as ogrid
from refgraph.ops.construct import ones as ones
from refgraph.ops.construct import ones_like as ones_like
from refgraph.ops.construct import tri as tri
from refgraph.ops.construct import tril as tril
from refgraph.ops.construct import tril_indices as tril_indices
from refgraph.ops.construct import triu as triu
from refgraph.ops.construct import triu_indices as triu_indices
from refgraph.ops.construct import zeros as zeros
from refgraph.ops.construct import zeros_like as zeros_like

from refgraph.ops.indexing import choose as choose
from refgraph.ops.indexing import compress as compress
from refgraph.ops.indexing import fill_diagonal as fill_diagonal
from refgraph.ops.indexing import fill_diagonal_offset as fill_diagonal_offset
from refgraph.ops.indexing import flatnonzero as flatnonzero
from refgraph.ops.indexing import inc_subtensor as inc_subtensor
from refgraph.ops.indexing import inverse_permutation as inverse_permutation
from refgraph.ops.indexing import nonzero as nonzero
from refgraph.ops.indexing import nonzero_values as nonzero_values
from refgraph.ops.indexing import permute_row_elements as permute_row_elements
from refgraph.ops.indexing import put_along_axis as put_along_axis
from refgraph.ops.indexing import ravel_multi_index as ravel_multi_index
from refgraph.ops.indexing import set_subtensor as set_subtensor
from refgraph.ops.indexing import sparse_grad as sparse_grad
from refgraph.ops.indexing import take as take
from refgraph.ops.indexing import take_along_axis as take_along_axis
from refgraph.ops.indexing import unravel_index as unravel_index

from refgraph.ops.sorting import argsort as argsort
from refgraph.ops.sorting import argtopk as argtopk
from refgraph.ops.sorting import bincount as bincount
from refgraph.ops.sorting import searchsorted as searchsorted
from refgraph.ops.sorting import sort as sort
from refgraph.ops.sorting import topk as topk
from refgraph.ops.sorting import topk_and_argtopk as topk_and_argtopk
from refgraph.ops.sorting import unique as unique

from refgraph.ops.einsum import einsum as einsum
from refgraph.ops.linalg import batched_dot as batched_dot
from refgraph.ops.linalg import batched_tensordot as batched_tensordot
from refgraph.ops.linalg import cov as cov
from refgraph.ops.linalg import dot as dot
from refgraph.ops.linalg import inner as inner
from refgraph.ops.linalg import kron as kron
from refgraph.ops.linalg import matmul as matmul
from refgraph.ops.linalg import matrix_dot as matrix_dot
from refgraph.ops.linalg import matrix_power as matrix_power
from refgraph.ops.linalg import matvec as matvec
from refgraph.ops.linalg import outer as outer
from refgraph.ops.linalg import tensordot as tensordot
from refgraph.ops.linalg import trace as trace
from refgraph.ops.linalg import vdot as vdot
from refgraph.ops.linalg import vecdot as vecdot
from refgraph.ops.linalg import vecmat as vecmat

from refgraph.ops.nnet import logsoftmax as logsoftmax
from refgraph.ops.nnet import softmax as softmax
from refgraph.ops.nnet import to_one_hot as to_one_hot

from refgraph.gradient import Lop as Lop
from refgraph.gradient import Rop as Rop
from refgraph.gradient import consider_constant as consider_constant
from refgraph.gradient import grad as grad
from refgraph.gradient import grad_clip as grad_clip
from refgraph.gradient import grad_not_implemented as grad_not_implemented
from refgraph.gradient import grad_scale as grad_scale
from refgraph.gradient import grad_undefined as grad_undefined
from refgraph.gradient import hessian as hessian
from refgraph.gradient import jacobian as jacobian
from refgraph.gradient import subgraph_grad as subgraph_grad
from refgraph.gradient import verify_grad as verify_grad

from refgraph.tensor import extra_ops as extra_ops
from refgraph.tensor import nlinalg as nlinalg
from refgraph.tensor import nnet as nnet
from refgraph.tensor import sharedvar as sharedvar
from refgraph import printing as printing

# other names, NumPy's or Theano's, for the same things
AsTensorError = _errors.GraphTypeError
Tensor = TensorType
as_tensor_variable = as_tensor
_shared = shared
abs_ = abs
acos = arccos
acosh = arccosh
asin = arcsin
asinh = arcsinh
atan = arctan
atan2 = arctan2
atanh = arctanh
and_ = bitwise_and
or_ = bitwise_or
xor = bitwise_xor
astype = cast
conjugate = conj
radians = deg2rad
second = fill
floor_divide = floor_div
int_div = floor_div
greater_equal = ge
greater = gt
tensor_copy = identity
bitwise_not = invert
jn = jv
less_equal = le
less = lt
remainder = mod
multiply = mul
negative = neg
equal = eq
not_equal = neq
power = pow
digamma = psi
degrees = rad2deg
expit = sigmoid
sgn = sign
log1pexp = softplus
sqr = square
subtract = sub
where = switch
divide = true_div
true_divide = true_div
extract_diag = diagonal
log_softmax = logsoftmax

# names of dtypes
complex_dtypes = _types.COMPLEXES
continuous_dtypes = _types.CONTINUOUS
discrete_dtypes = _types.DISCRETE
all_dtypes = _types.DTYPES
float_dtypes = _types.FLOATS
integer_dtypes = _types.INTEGERS
int_dtypes = _types.SIGNED
uint_dtypes = _types.UNSIGNED
