"""refgraph's backend for CUDA devices: kernels generated from refgraph's rows, compiled and run by CuPy."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, Backend, Op, hookimpl


def _missing() -> str:
    from refgraph_cupy.device import why_missing

    return why_missing()


def _to_device(array: Any) -> Any:
    from refgraph_cupy.device import current

    return current().upload(array)


def _to_numpy(array: Any) -> Any:
    from refgraph_cupy.device import current

    return current().download(array)


backend = Backend(
    "cupy",
    device="cuda",
    to_device=_to_device,
    to_numpy=_to_numpy,
    speed=20.0,
    available=_missing,
    xfails={"test_edge_values_agree*-j1-float64-edges*": "SciPy loses digits of x / 2 where x is below 1e-307"},
)


@backend.kernel(Op)
def kernel(node: Apply) -> Any:
    """What runs one node on the device."""
    from refgraph_cupy.making import find

    return find(node)


@hookimpl
def refgraph_backend() -> Backend:
    """The backend that this plugin provides."""
    return backend
