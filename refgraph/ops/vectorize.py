"""Many items at once: a graph of one item turned into a graph of all, with a new first axis in the place of a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refgraph.core.graph import Apply, Variable, toposort
from refgraph.core.origin import made_for
from refgraph.ops.batching import Batch, has_items
from refgraph.ops.lengths import Length, length
from refgraph.ops.shape import specify_shape


def vectorize(outputs: Sequence[Variable], given: Mapping[Variable, Any], count: Length | None = None) -> list[Any]:
    """`outputs` for many items at once, with a new first axis along which items lie; each node says how (`Op.batched`).

    given: for a variable what holds many of it, along its first axis. count: their number, where the caller knows it
    better than by the length of that axis.

    A node without a form for many items is looped over them, for itself alone. What does not depend on what is given is
    shared with the old graph, and an output that does not has no new axis: its rank tells. Time is linear in the nodes.
    """
    if count is None and given:
        count = length(next(iter(given.values())), 0)
    new: dict[Variable, Any] = dict(given)
    marked = set(given)
    for node in toposort(outputs, new.keys()):
        if not any(x in new for x in node.inputs):
            continue
        inputs = [new.get(x, x) for x in node.inputs]
        marks = [x in marked for x in node.inputs]
        found = _applied(node, inputs, marks, count) if any(marks) else node.with_inputs(inputs).outputs
        for old, out in zip(node.outputs, found, strict=True):
            if old not in given:  # one of several outputs may be
                new[old] = out
                if has_items(out, old):
                    marked.add(old)
    return [new.get(out, out) for out in outputs]


def _applied(node: Apply, inputs: Sequence[Any], marks: Sequence[bool], count: Any) -> Sequence[Any]:
    """The outputs of a node some of whose inputs hold many items."""
    found = of_many(node, inputs, marks, count)
    if found is None:
        with made_for(node.origin):
            return _looped(node, inputs, marks)
    return found


def of_many(node: Apply, inputs: Sequence[Any], marks: Sequence[bool], count: Any) -> Sequence[Any] | None:
    """The outputs of a node for `count` items, which those of the inputs hold that are marked, as its op says.

    None where it says no form for that.
    """
    with made_for(node.origin):
        return node.op.batched(node, Batch(inputs, marks, count, vectorize))


def _looped(node: Apply, inputs: Sequence[Any], marks: Sequence[bool]) -> list[Any]:
    """The outputs of a node for many items, computed one after the other."""
    from refgraph.ops.scan import map_graph  # loads when there is something to loop over

    def once(*items: Any) -> Sequence[Any]:
        rest = iter(items)
        given = [_known_as(old, next(rest)) if m else x for old, x, m in zip(node.inputs, inputs, marks, strict=True)]
        return node.op.make_node(*given).outputs

    found = map_graph(once, [x for x, m in zip(inputs, marks, strict=True) if m])
    return [_known_as(old, out) for old, out in zip(node.outputs, found, strict=True)]


def _known_as(old: Any, x: Any) -> Any:
    """x, one item or many, with the lengths that were known of what it stands for: ops may build upon them."""
    shape = x.type.shape
    known = (*shape[: len(shape) - old.type.ndim], *old.type.shape)
    return specify_shape(x, [n if n is not None else m for m, n in zip(known, shape, strict=True)])
