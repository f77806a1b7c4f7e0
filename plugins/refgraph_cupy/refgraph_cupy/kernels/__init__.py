"""Kernels, a file for each family of ops. Importing this declares all that make them."""

from refgraph_cupy.kernels import groups as groups
