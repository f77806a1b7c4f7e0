"""refgraph's backend for CUDA devices: kernels generated from refgraph's rows, compiled and run by CuPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refgraph.backend import Apply, Backend, Graph, Op, hookimpl


def _missing() -> str:
    from refgraph_cupy.device import why_missing

    return why_missing()


def _to_device(array: Any) -> Any:
    """An array of the device; a single integer stays on the host, where positions and lengths are wanted."""
    from refgraph_cupy.device import current
    from refgraph_cupy.known import known

    if array.ndim == 0 and array.dtype.kind in "iu":
        return known(array)
    return current().upload(array)


def _to_numpy(array: Any) -> Any:
    from refgraph_cupy.known import values

    return values(array)


def _copy(array: Any) -> Any:
    """A copy, where the array is."""
    from refgraph_cupy.device import current
    from refgraph_cupy.known import Known, known
    from refgraph_cupy.moving import copied

    return known(array) if isinstance(array, Known) else copied(current(), array)


def _memory() -> tuple[int, int]:
    from refgraph_cupy.device import current

    return current().memory()


backend = Backend(
    "cupy",
    device="cuda",
    to_device=_to_device,
    to_numpy=_to_numpy,
    copy=_copy,
    speed=20.0,
    available=_missing,
    memory=_memory,
    xfails={"test_edge_values_agree*-j1-float64-edges*": "SciPy loses digits of x / 2 where x is below 1e-307"},
)


@backend.kernel(Op)
def kernel(node: Apply, compile: Any) -> Any:
    """What runs one node on the device."""
    from refgraph_cupy.making import find

    return find(node, compile)


@backend.program
def compile(graph: Graph, interpret: Any, states: Mapping[int, int]) -> Any:
    """A whole graph as one program, where all of it has kernels."""
    from refgraph_cupy.program import program

    return program(graph, backend, states)


@hookimpl
def refgraph_backend() -> Backend:
    """The backend that this plugin provides."""
    return backend
