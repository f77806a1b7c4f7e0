"""Print: what stays Python's."""

from __future__ import annotations

from refgraph.backend import Apply, Print
from refgraph_cython.lower.program import Builder, lowers


@lowers(Print)
def printed(node: Apply, build: Builder) -> str | None:
    """It is a call of a Python function, which the program makes where its turn is."""
    return "it calls a Python function, to show the value"
