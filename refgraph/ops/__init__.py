"""The vocabulary: what can be written. Tables of elementwise ops and reductions, and a class for what a row cannot say.

Importing any part imports all of it, for the methods of a variable reach every op.
"""

from refgraph.ops import elementwise as elementwise
from refgraph.ops import reductions as reductions
from refgraph.ops import shape as shape
from refgraph.ops import cumulative as cumulative
from refgraph.ops import joining as joining
from refgraph.ops import construct as construct
from refgraph.ops import indexing as indexing
from refgraph.ops import sorting as sorting
from refgraph.ops import linalg as linalg
from refgraph.ops import einsum as einsum
from refgraph.ops import nnet as nnet
from refgraph.ops import variables as variables
from refgraph.ops import gradient as gradient
from refgraph.ops import printing as printing
