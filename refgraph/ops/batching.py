"""Many items at once: what an op is given, and builds with, to compute its outputs for all of them without a loop.

An item is what a node computes with once. Where there are many, they lie along a new first axis of some of its inputs;
the other inputs are the same for every item. See `Op.batched`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from refgraph.ops.lengths import Length, length, split_lengths
from refgraph.ops.shape import BroadcastTo, dimshuffle
from refgraph.ops.tensor import TensorVariable, weak_constant


class Batch:
    """The inputs of a node for many items: those that `marked` marks have one more axis, the first, for the items.

    `count` is the number of items. `vectorized(outputs, given)` is `refgraph.ops.vectorize.vectorize`, for ops
    that hold graphs: expressions for many items, from a mapping of variables to what holds many of each.
    """

    __slots__ = ("count", "inputs", "marked", "vectorized")

    def __init__(
        self,
        inputs: Sequence[Any],
        marked: Sequence[bool],
        count: Length,
        vectorized: Callable[..., list[Any]],
    ) -> None:
        self.inputs, self.marked, self.count, self.vectorized = tuple(inputs), tuple(marked), count, vectorized

    def only(self, *numbers: int) -> bool:
        """Whether no input but those of these numbers has items."""
        return not any(marked for i, marked in enumerate(self.marked) if i not in numbers)

    def rank(self, i: int) -> int:
        """The rank that input i has in one item."""
        return self.inputs[i].type.ndim - self.marked[i]  # type: ignore[no-any-return]

    def lengths(self, i: int) -> list[Length]:
        """The lengths that input i has in one item."""
        x = self.inputs[i]
        return [length(x, axis) for axis in range(self.marked[i], x.type.ndim)]

    def padded(self, i: int, rank: int) -> TensorVariable:
        """Input i with axes of length 1 after the first, so that items have this rank; as it is where it has no items,
        for then broadcasting does it."""
        x: TensorVariable = self.inputs[i]
        missing = rank - self.rank(i)
        if missing <= 0 or not self.marked[i]:
            return x
        return dimshuffle(x, (0, *["x"] * missing, *range(1, x.type.ndim)))

    def aligned(self, *numbers: int) -> list[TensorVariable]:
        """The inputs of these numbers, or all, so that they broadcast together as they do in each item."""
        chosen = numbers or range(len(self.inputs))
        rank = max(map(self.rank, chosen))
        return [self.padded(i, rank) for i in chosen]

    def spread(self, i: int) -> TensorVariable:
        """Input i with an axis for the items; where it has none it is repeated, without copying."""
        return self.inputs[i] if self.marked[i] else self.repeated(self.inputs[i])

    def repeated(self, x: Any) -> TensorVariable:
        """x, which is the same for every item, with an axis for the items; a view."""
        return self._broadcast(x, [self.count, *[length(x, axis) for axis in range(x.type.ndim)]])

    def blank(self, shape: Sequence[Length]) -> TensorVariable:
        """Something of this shape, for an op that reads no more than that; it takes no memory."""
        return self._broadcast(weak_constant(False, "bool"), shape)

    def blank_item(self, i: int) -> TensorVariable:
        """Something of the shape that input i has in one item."""
        return self.blank(self.lengths(i)) if self.marked[i] else self.inputs[i]

    def sized(self, shape: Sequence[Any], symbolic: Sequence[Any]) -> tuple[tuple[int | None, ...], list[Any]]:
        """What an op holds of a shape, and its inputs for the rest, with the number of items as its first length."""
        known, more = split_lengths([self.count])
        return (*known, *shape), [*more, *symbolic]

    @staticmethod
    def _broadcast(x: TensorVariable, shape: Sequence[Length]) -> TensorVariable:
        known, symbolic = split_lengths(shape)
        return BroadcastTo(known)(x, *symbolic)

    @staticmethod
    def to_front(x: TensorVariable, axis: int) -> TensorVariable:
        """x with one of its axes moved to be the first."""
        return x if axis == 0 else dimshuffle(x, [axis, *[a for a in range(x.type.ndim) if a != axis]])

    @staticmethod
    def without(x: TensorVariable, axes: Collection[int]) -> TensorVariable:
        """x without these axes, which have length 1."""
        return dimshuffle(x, [a for a in range(x.type.ndim) if a not in axes]) if axes else x


def many_of(x: Any) -> TensorVariable:
    """A variable for many of x, however many: along a new first axis."""
    return x.type.clone(shape=(None, *x.type.shape))(x.name)  # type: ignore[no-any-return]  # a tensor, as x is


def has_items(x: Any, item: Any) -> bool:
    """Whether x, made of `item`, holds many of it."""
    return getattr(x.type, "ndim", 0) != getattr(item.type, "ndim", 0)
