"""T.extra_ops: Theano's place for functions that now are in T too. Names, no logic."""

from refgraph.ops.construct import bartlett as bartlett
from refgraph.ops.indexing import compress as compress
from refgraph.ops.indexing import fill_diagonal as fill_diagonal
from refgraph.ops.indexing import fill_diagonal_offset as fill_diagonal_offset
from refgraph.ops.indexing import ravel_multi_index as ravel_multi_index
from refgraph.ops.indexing import unravel_index as unravel_index
from refgraph.ops.nnet import to_one_hot as to_one_hot
from refgraph.ops.cumulative import cumprod as cumprod
from refgraph.ops.cumulative import cumsum as cumsum
from refgraph.ops.cumulative import diff as diff
from refgraph.ops.shape import broadcast_arrays as broadcast_arrays
from refgraph.ops.shape import broadcast_shape as broadcast_shape
from refgraph.ops.shape import broadcast_to as broadcast_to
from refgraph.ops.shape import squeeze as squeeze
from refgraph.ops.joining import repeat as repeat
from refgraph.ops.sorting import bincount as bincount
from refgraph.ops.sorting import searchsorted as searchsorted
from refgraph.ops.sorting import unique as unique
