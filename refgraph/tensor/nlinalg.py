"""T.nlinalg: linear algebra on matrices. Names, no logic."""

# products
from refgraph.ops.linalg import kron as kron
from refgraph.ops.linalg import matrix_dot as matrix_dot
from refgraph.ops.linalg import matrix_power as matrix_power

# diagonals
from refgraph.ops.construct import alloc_diag as alloc_diag
from refgraph.ops.construct import diag as diag
from refgraph.ops.construct import diagonal as diagonal
from refgraph.ops.linalg import trace as trace

extract_diag = diagonal
