"""Kernels, a file for each family of ops. Importing this declares all that make them."""

from refgraph_cupy.kernels import construct as construct
from refgraph_cupy.kernels import control as control
from refgraph_cupy.kernels import cumulative as cumulative
from refgraph_cupy.kernels import groups as groups
from refgraph_cupy.kernels import indexing as indexing
from refgraph_cupy.kernels import joining as joining
from refgraph_cupy.kernels import nnet as nnet
from refgraph_cupy.kernels import products as products
from refgraph_cupy.kernels import random as random
from refgraph_cupy.kernels import shape as shape
from refgraph_cupy.kernels import sorting as sorting
