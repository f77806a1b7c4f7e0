"""refgraph's CPU backend: whole functions as compiled programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from refgraph import config
from refgraph.backend import Apply, Backend, Graph, Op, hookimpl


def _missing() -> str:
    try:
        import refgraph_cython._native  # noqa: F401
    except ImportError as error:
        return f"its compiled part is missing ({error}): install a C compiler, then refgraph-cython again"
    return ""


backend = Backend("cython", speed=10.0, available=_missing)


@backend.program
def compile(
    graph: Graph,
    interpret: Callable[[Apply, str, tuple[Apply, ...]], Callable[..., Any]],
    states: Mapping[int, int],
    assumed: Callable[[Graph], Any],
) -> Any:
    """A whole graph as one program."""
    from refgraph_cython import _native
    from refgraph_cython.lower.program import program

    _native.threads(config.threads)
    made = program(graph, interpret, states, assumed)
    made.keeps = not config.allow_gc
    return made


@backend.kernel(Op)
def kernel(node: Apply) -> Any:
    """One node as a program, for those who look at each value."""
    from refgraph_cython.lower.program import kernel

    return kernel(node)


@hookimpl
def refgraph_backend() -> Backend:
    """The backend that this plugin provides."""
    return backend
