"""Lengths without values: which axes are equally long, whatever the arrays, and where a length can be read.

Each axis of unknown length is in a class, and ops say how the classes of their outputs come from those of their inputs
(`Op.lengths`). Where two axes are in one class, they are equally long whenever the graph runs without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from refgraph.core.graph import Apply, Graph, Variable, toposort
from refgraph.ops.elementwise import cast
from refgraph.ops.shape import ShapeI
from refgraph.ops.tensor import INTEGERS, TensorConstant, TensorType

Length = Any
"""An int or a class: an Axis, a Broadcast, a Moved, or the 0-d integer variable that says the length."""


_MOST = 16  # classes in a Broadcast: so that a long sum of arrays that nothing is known of takes no quadratic time


class _Class:
    """Axes that are equally long. Equal classes are one object, so that those of deep graphs are compared at once."""

    __slots__ = ("__weakref__",)
    _made: ClassVar[WeakValueDictionary[tuple[Any, ...], _Class]] = WeakValueDictionary()

    def __new__(cls, *parts: Any) -> Any:
        key = (cls, *parts)
        found = cls._made.get(key)
        if found is None:
            fresh = object.__new__(cls)
            for name, part in zip(cls.__slots__, parts, strict=True):
                setattr(fresh, name, part)
            found = cls._made.setdefault(key, fresh)
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(getattr(self, name)) for name in self.__slots__])})"


class Axis(_Class):
    """The length of an axis of a variable, of which nothing else is known."""

    __slots__ = ("axis", "x")
    axis: int
    x: Variable

    def __new__(cls, x: Variable, axis: int) -> Axis:
        return super().__new__(cls, axis, x)  # type: ignore[no-any-return]  # an Axis


class Broadcast(_Class):
    """The length that axes of these classes have together: the one that is not 1, if there is one."""

    __slots__ = ("members",)
    members: frozenset[Length]


class Moved(_Class):
    """A length that is `by` more than another, and not less than 0."""

    __slots__ = ("by", "length")
    by: int
    length: Length

    def __new__(cls, length: Length, by: int) -> Moved:
        return super().__new__(cls, by, length)  # type: ignore[no-any-return]  # a Moved


_NUMBERS = frozenset([TensorType(dtype, ()) for dtype in INTEGERS])


class Lengths:
    """The lengths of the axes of variables; what was found is kept, as graphs do not change."""

    def __init__(self) -> None:
        self._found: dict[Variable, tuple[Length, ...]] = {}
        self._places: dict[tuple[Variable, int], tuple[Variable, int]] = {}
        self._lenders: dict[Variable, Variable] = {}

    def of(self, x: Variable) -> tuple[Length, ...]:
        """For each axis of x an int or a class."""
        found = self._found.get(x)
        if found is None:
            for node in toposort([x], self._found):
                self._add(node)
            found = self._found.get(x)
            if found is None:
                found = self._found[x] = self.own(x)
        return found

    def _add(self, node: Apply) -> None:
        for x in node.inputs:
            if x not in self._found:
                self._found[x] = self.own(x)
        said: Sequence[Any] | None = None
        if any(None in out.type.shape for out in node.outputs if isinstance(out.type, TensorType)):
            said = node.op.lengths(node, self)
        for i, out in enumerate(node.outputs):
            if out not in self._found:
                self._found[out] = self.own(out, None if said is None else said[i])

    def own(self, x: Variable, said: Sequence[Length | None] | None = None) -> tuple[Length, ...]:
        """The lengths of a variable: those that its type knows, those that are said, or each in a class of its own."""
        if not isinstance(x.type, TensorType):
            return ()
        shape = x.type.shape
        if None not in shape:
            return shape
        pairs = zip(shape, said or (None,) * len(shape), strict=True)
        return tuple([d if d is not None else n if n is not None else Axis(x, i) for i, (d, n) in enumerate(pairs)])

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

    def broadcast(self, xs: Sequence[Variable]) -> tuple[Length | None, ...]:
        """The lengths of variables that are broadcast together."""
        return self.of(xs[0]) if len(xs) == 1 else self.joined(*map(self.of, xs))

    def joined(self, *shapes: Sequence[Length]) -> tuple[Length | None, ...]:
        """The lengths that shapes have together, broadcast."""
        first = shapes[0]
        if all(shape == first for shape in shapes):
            return tuple(first)
        ndim = max(map(len, shapes))
        return tuple([_together([s[a - ndim] for s in shapes if ndim - a <= len(s)]) for a in range(ndim)])

    def sum(self, n: Length | None, m: Length | None) -> Length | None:
        """The sum of two lengths; None where it is of no class."""
        return _sum(n, m)

    def inside(self, graph: Graph, inputs: Sequence[Any]) -> list[list[Length | None]]:
        """The lengths of what a graph computes of these: variables, or the lengths of what is given in their place.

        None stands for an input of which nothing is known.
        """
        outside: dict[Length, Length] = {}
        for x, given in zip(graph.inputs, inputs, strict=True):
            self._found.setdefault(x, self.own(x))
            if isinstance(given, Variable):
                if given.type in _NUMBERS:
                    outside[x] = self.number(given)
                given = self.of(given)
            outside.update([(Axis(x, i), n) for i, n in enumerate(given or ())])
        return [[_outside(n, outside) for n in self.of(out)] for out in graph.outputs]

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

    def length(self, x: Variable, axis: int) -> Any:
        """The length of an axis of x as an int, or as a 0-d int64 variable computed of as little as can be."""
        found = _expression(self.of(x)[axis])
        if found is None:
            y, axis = self._place(x, axis)
            found = ShapeI(axis)(y)
        return found

    def _place(self, x: Variable, axis: int) -> tuple[Variable, int]:
        """The simplest variable that has an axis of this class, and which: looking back as long as an input has one.

        So it is one that x is computed from, whatever else there is.
        """
        chain: list[tuple[Variable, int]] = []
        while (x, axis) not in self._places:
            chain.append((x, axis))
            n = self.of(x)[axis]
            inputs = () if x.owner is None else x.owner.inputs
            back = next(((y, a) for y in inputs for a, m in enumerate(self.of(y)) if m == n), None)
            if back is None:
                self._places[x, axis] = x, axis
            else:
                x, axis = back
        found = self._places[x, axis]
        self._places.update(dict.fromkeys(chain, found))
        return found


def _expression(n: Length) -> Any:
    """A class as an int, or as a 0-d int64 variable; None for one that must be read where it is."""
    if isinstance(n, Variable):
        return n if n.type.dtype == "int64" else cast(n, "int64")  # type: ignore[attr-defined]  # a tensor
    if isinstance(n, Axis):
        return ShapeI(n.axis)(n.x)
    if isinstance(n, Moved) and n.by > 0:
        length = _expression(n.length)
        return None if length is None else length + n.by
    return n if isinstance(n, int) else None


def _outside(n: Length, found: dict[Length, Length | None]) -> Length | None:
    """A class as it is called outside of a graph, None for one that is only known within; `found` has those of inputs.

    What is found is added to that, parts before the whole, for there may be many.
    """
    stack = [n]
    while stack:
        n = stack[-1]
        parts = n.members if isinstance(n, Broadcast) else (n.length,) if isinstance(n, Moved) else ()
        new = [m for m in parts if m not in found]
        stack += new
        if not new:
            stack.pop()
            if n not in found:
                found[n] = _with_parts(n, [found[m] for m in parts])
    return found[n]


def _with_parts(n: Length, parts: Sequence[Length | None]) -> Length | None:
    """A class of other classes than those that it is made of; an int is itself."""
    if isinstance(n, int):
        return n
    if not parts or None in parts:
        return None
    return _sum(parts[0], n.by) if isinstance(n, Moved) else _together(parts)


def _sum(n: Length | None, m: Length | None) -> Length | None:
    if n is None or m is None:
        return None
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


def _together(lengths: Iterable[Length | None]) -> Length | None:
    """The length that axes of these have, broadcast; None where that is of too many to say."""
    members: set[Length] = set()
    for n in lengths:
        members |= n.members if isinstance(n, Broadcast) else {n}
    members.discard(1)
    for n in members:
        if isinstance(n, int):
            return n  # the others are equal to it, or 1
    if len(members) > 1:
        return Broadcast(frozenset(members)) if len(members) <= _MOST else None
    return members.pop() if members else 1
