"""How graphs become programs: one file for each family of ops. Each says of its ops which kernels compute them."""

from refgraph_cython.lower import control  # noqa: F401  (it declares lowerings)
from refgraph_cython.lower import construct, gradient, indexing, joining, shape  # noqa: F401  (they declare lowerings)
