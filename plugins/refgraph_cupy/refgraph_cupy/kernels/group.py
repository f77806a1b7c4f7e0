"""A graph of elementwise ops as C++, of which kernels take what they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import Apply, Constant, Elemwise, Graph, Variable
from refgraph_cupy.texts import expression, literal


class Part(NamedTuple):
    """What some values of a group are computed of: leaves by their numbers, and lines of text."""

    leaves: list[int]
    lines: list[str]


class Group:
    """A graph of elementwise ops as C++: leaves are x0, x1, ...; what is computed of them v0, v1, ..."""

    def __init__(self, graph: Graph) -> None:
        self.leaves: list[Variable] = list(graph.inputs)
        self.dtypes = [dtype_of(x) for x in self.leaves]
        self.names = {x: f"x{i}" for i, x in enumerate(self.leaves)}
        self._lines: list[str] = []
        self._leaves_of = {x: {i} for i, x in enumerate(self.leaves)}
        self._lines_of: dict[Variable, set[int]] = {}
        for node in graph.nodes:
            if isinstance(node.op, Elemwise):
                self._add(node)

    def _add(self, node: Apply) -> None:
        op: Any = node.op
        given = [self._name(x) for x in node.inputs]
        text, dtype = expression(op, tuple([dtype_of(x) for x in node.inputs]), _is_natural(node))
        out, number = node.outputs[0], len(self._lines)
        self._lines.append(f"const {dtype} v{number} = {text.format(**dict(zip('xyw', given, strict=False)))};")
        self.names[out] = f"v{number}"
        self._leaves_of[out] = set().union(*[self._leaves_of.get(x, set()) for x in node.inputs])
        self._lines_of[out] = {number}.union(*[self._lines_of.get(x, set()) for x in node.inputs])

    def _name(self, x: Variable) -> str:
        if x not in self.names:
            assert isinstance(x, Constant)
            text = literal(x.value) if x.value.ndim == 0 else None
            if text is None:
                self._leaves_of[x] = {len(self.leaves)}
                self.leaves.append(x)
                self.dtypes.append(dtype_of(x))
            self.names[x] = text or f"x{len(self.leaves) - 1}"
        return self.names[x]

    def leaves_of(self, x: Variable) -> list[int]:
        """The leaves that a value is computed of, which give it its shape."""
        return sorted(self._leaves_of.get(x, ()))

    def part(self, values: Iterable[Variable]) -> Part:
        """What these values are computed of."""
        values = list(values)
        leaves = sorted(set().union(*[self._leaves_of.get(x, set()) for x in values]))
        lines = sorted(set().union(*[self._lines_of.get(x, set()) for x in values]))
        return Part(leaves, [self._lines[i] for i in lines])


def dtype_of(x: Variable) -> str:
    t: Any = x.type
    return str(t.dtype)


def _is_natural(node: Apply) -> bool:
    """Whether a power of integers has an exponent that is known not to be negative."""
    op: Any = node.op
    if op.name != "pow":
        return False
    exponent = node.inputs[1]
    return dtype_of(exponent)[0] in "bu" or (isinstance(exponent, Constant) and bool(np.all(exponent.value >= 0)))


def joined(lines: Sequence[str], indent: int) -> str:
    """Lines of a text, so far to the right."""
    return "\n".join([" " * indent + line for line in lines])
