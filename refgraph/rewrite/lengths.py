"""Lengths without values: which axes are equally long, whatever the arrays, and where a length can be read.

Each axis of unknown length is in a class, and ops say how the classes of their outputs come from those of their inputs
(`Op.lengths`). Where two axes are in one class, they are equally long whenever the graph runs without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from refgraph.core.graph import Apply, Graph, Variable, toposort
from refgraph.ops.elementwise import cast
from refgraph.ops.shape import ShapeI
from refgraph.ops.tensor import INTEGERS, TensorConstant, TensorType

Length = Any
"""An int or a class: an Axis, a Broadcast, a Moved, or the 0-d integer variable that says the length."""


class Axis(NamedTuple):
    """The length of an axis of a variable, of which nothing else is known."""

    x: Variable
    axis: int


class Broadcast(NamedTuple):
    """The length that axes of these classes have together: the one that is not 1, if there is one."""

    members: frozenset[Length]


class Moved(NamedTuple):
    """A length that is `by` more than another, and not less than 0."""

    length: Length
    by: int


class Lengths:
    """The lengths of the axes of variables; what was found is kept, as graphs do not change."""

    def __init__(self) -> None:
        self._found: dict[Variable, tuple[Length, ...]] = {}
        self._places: dict[Length, Axis] = {}
        """For a class that is no variable's own, the first axis that was found to be in it."""
        self._lenders: dict[Variable, Variable] = {}

    def of(self, x: Variable) -> tuple[Length, ...]:
        """For each axis of x an int or a class."""
        found = self._found.get(x)
        if found is None:
            for node in toposort([x], self._found):
                self._add(node)
            found = self._found.get(x)
            if found is None:
                found = self._found[x] = _own(x)
        return found

    def _add(self, node: Apply) -> None:
        for x in node.inputs:
            if x not in self._found:
                self._found[x] = _own(x)
        said = node.op.lengths(node, self) or [None] * len(node.outputs)
        for out, lengths in zip(node.outputs, said, strict=True):
            own = _own(out)
            if lengths is not None:
                pairs = zip(own, lengths, strict=True)
                own = tuple([a if isinstance(a, int) or b is None else b for a, b in pairs])
            self._found.setdefault(out, own)
            for axis, n in enumerate(own):
                if isinstance(n, (Broadcast, Moved)):
                    self._places.setdefault(n, Axis(out, axis))

    # what ops ask

    def number(self, n: Any) -> Length:
        """The length that a 0-d integer variable says."""
        while True:
            node = n.owner
            if isinstance(n, TensorConstant):
                return int(n.value)
            if node is None:
                return n
            if isinstance(node.op, ShapeI):
                return self.of(node.inputs[0])[node.op.i]
            if node.op.name != "cast{int64}" or node.inputs[0].type.dtype not in INTEGERS:
                return n
            n = node.inputs[0]

    def filled(self, shape: Sequence[int | None], symbolic: Iterable[Any]) -> list[Length]:
        """The lengths that an op holds, and those of its inputs in the place of each None."""
        rest = iter(symbolic)
        return [self.number(next(rest)) if n is None else n for n in shape]

    def sure(self, n: Length) -> Length | None:
        """A length that is one whatever the values; None for a number that may be negative, too."""
        return None if isinstance(n, Variable) else n

    def broadcast(self, xs: Sequence[Variable]) -> tuple[Length, ...]:
        """The lengths of variables that are broadcast together."""
        return self.of(xs[0]) if len(xs) == 1 else self.joined(*map(self.of, xs))

    def joined(self, *shapes: Sequence[Length]) -> tuple[Length, ...]:
        """The lengths that shapes have together, broadcast."""
        first = shapes[0]
        if all(shape == first for shape in shapes):
            return tuple(first)
        ndim = max(map(len, shapes))
        return tuple([_together([s[a - ndim] for s in shapes if ndim - a <= len(s)]) for a in range(ndim)])

    def sum(self, n: Length, m: Length) -> Length | None:
        """The sum of two lengths; None where it is of no class."""
        if isinstance(n, int) and isinstance(m, int):
            return max(n + m, 0)
        if isinstance(n, int):
            n, m = m, n
        if not isinstance(m, int):
            return None
        if m == 0:
            return n
        if not isinstance(n, Moved):
            return Moved(n, m)
        if n.by < 0 < m:  # it may have come to 0 on the way
            return Moved(n, m)
        return n.length if n.by + m == 0 else Moved(n.length, n.by + m)

    def inside(self, graph: Graph, inputs: Sequence[Any]) -> list[list[Length | None]]:
        """The lengths of what a graph computes of these: variables, or the lengths of what is given in their place."""
        inner = Lengths()
        numbers: dict[Variable, Variable] = {}
        for x, given in zip(graph.inputs, inputs, strict=True):
            if isinstance(given, Variable):
                inner._found[x] = self.of(given)
                numbers[x] = given
            elif given is not None:
                inner._found[x] = tuple(given)
        return [[self._outside(n, numbers) for n in inner.of(out)] for out in graph.outputs]

    def _outside(self, n: Length, numbers: dict[Variable, Variable]) -> Length | None:
        """A class as it is called outside of a graph; None for one that is only known within."""
        if isinstance(n, Variable):
            return self.number(numbers[n]) if n in numbers else None
        if isinstance(n, Axis):
            return n if n.x in self._found else None
        if isinstance(n, Broadcast):
            members = [self._outside(m, numbers) for m in n.members]
            return None if None in members else _together(members)
        if isinstance(n, Moved):
            length = self._outside(n.length, numbers)
            return None if length is None else self.sum(length, n.by)
        return n

    def lender(self, x: Variable) -> Variable:
        """The simplest variable that has the shape of x: looking back from x as long as an input has it."""
        chain: list[Variable] = []
        while x not in self._lenders:
            chain.append(x)
            lengths = self.of(x)
            inputs = () if x.owner is None else x.owner.inputs
            same = [y for y in inputs if isinstance(y.type, TensorType) and self.of(y) == lengths]
            if not same:
                self._lenders[x] = x
                break
            x = next((y for y in same if y.owner is None), same[0])
        found = self._lenders[x]
        self._lenders.update(dict.fromkeys(chain, found))
        return found

    # where to read it

    def expression(self, n: Length) -> Any:
        """A length as an int, or as a 0-d int64 variable computed of as little as can be; None where none is known."""
        if isinstance(n, int):
            return n
        if isinstance(n, Variable):
            return n if n.type.dtype == "int64" else cast(n, "int64")  # type: ignore[attr-defined]  # a tensor
        if isinstance(n, Moved) and n.by > 0 and (length := self.expression(n.length)) is not None:
            return length + n.by
        place = n if isinstance(n, Axis) else self._places.get(n)
        return None if place is None else ShapeI(place.axis)(place.x)


def _own(x: Variable) -> tuple[Length, ...]:
    """The lengths of a variable, each one that its type does not know in a class of its own."""
    if not isinstance(x.type, TensorType):
        return ()
    return tuple([Axis(x, i) if n is None else n for i, n in enumerate(x.type.shape)])


def _together(lengths: Iterable[Length]) -> Length:
    members: set[Length] = set()
    for n in lengths:
        members |= n.members if isinstance(n, Broadcast) else {n}
    members.discard(1)
    for n in members:
        if isinstance(n, int):
            return n  # the others are equal to it, or 1
    return 1 if not members else members.pop() if len(members) == 1 else Broadcast(frozenset(members))
