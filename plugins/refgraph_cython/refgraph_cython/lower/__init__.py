"""How graphs become programs: one file for each family of ops. Each says of its ops which kernels compute them."""

from refgraph_cython.lower import (  # noqa: F401  (they declare lowerings)
    construct,
    control,
    cumulative,
    gradient,
    indexing,
    joining,
    nnet,
    random,
    shape,
    sorting,
)
