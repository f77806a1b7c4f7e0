"""Loops that keep less: of what a loop puts out, only what is read."""

from __future__ import annotations

from typing import Any

from refgraph.core.graph import Apply, Graph, Variable
from refgraph.core.op import GraphOp
from refgraph.core.origin import made_for
from refgraph.ops.index_pattern import Part, Slice
from refgraph.ops.indexing import Index
from refgraph.ops.scan import Scan

Clients = dict[Variable, list[tuple[Apply | str, int]]]


def only_what_is_read(graph: Graph, done: dict[Graph, Graph] | None = None) -> Graph:
    """The same function, whose loops keep of each output no more entries than are read, counted from its end.

    So a loop of which only `h[-1]` is read needs memory for the values that its taps reach, however many steps it
    takes; loops within loops and within other graphs, too. `done` holds the graphs inside that were met already.
    """
    done = {} if done is None else done
    made: dict[Variable, Variable] = {}
    for node in graph.nodes:
        inputs = [made.get(x, x) for x in node.inputs]
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        fresh = node if same else node.with_inputs(inputs)
        op = _kept_less(node, graph.clients, done) if isinstance(node.op, GraphOp) else node.op
        if op is not node.op:
            with made_for(node.origin):
                fresh = op.make_node(*fresh.inputs)
        made.update([(old, new) for old, new in zip(node.outputs, fresh.outputs, strict=True) if old is not new])
    return Graph(graph.inputs, [made.get(x, x) for x in graph.outputs]) if made else graph


def _kept_less(node: Apply, clients: Clients, done: dict[Graph, Graph]) -> Any:
    """The op of a node, with less kept by it or by loops in its graphs."""
    op: Any = node.op
    for graph in op.graphs:
        if graph not in done:
            done[graph] = only_what_is_read(graph, done)
    graphs = [done[graph] for graph in op.graphs]
    if any(new is not old for new, old in zip(graphs, op.graphs, strict=True)):
        op = op.with_graphs(graphs)
    if not isinstance(op, Scan):
        return op
    n_states = len(op.taps)
    kept = [*node.outputs[:n_states], *node.outputs[n_states + op.n_carried : len(node.outputs) - op.until]]
    depths = [*op.depths, *[0] * (len(kept) - n_states)]
    keep = [_least(k, _read(x, clients, depth)) for k, x, depth in zip(op.keep, kept, depths, strict=True)]
    return op if keep == list(op.keep) else op.changed(keep=keep)


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _read(x: Variable, clients: Clients, depth: int = 0) -> int | None:
    """How many of the last entries of x are read; None for all. Those after the first `depth` are counted apart."""
    most = 0
    for reader, place in clients[x]:
        indexed = place == 0 and isinstance(reader, Apply) and isinstance(reader.op, Index)  # not: is itself an index
        template = reader.op.template if indexed else (Part.INT,)  # type: ignore[union-attr]
        if depth and template == (Slice(depth),) and isinstance(reader, Apply):
            count = _read(reader.outputs[0], clients)
            count = count if count is None else count + depth
        else:
            count = _from_end(template[0]) if template else None  # none: all of it
        if count is None:
            return None
        most = max(most, count)
    return most


def _from_end(item: Any) -> int | None:
    """How many entries, counted from the end, an item of an index may read; None where it counts from the beginning."""
    if isinstance(item, int):
        return -item if item < 0 else None
    if not isinstance(item, Slice) or Part.INT in item:
        return None
    start, stop, step = item
    if step is not None and step < 0:
        return -stop - 1 if stop is not None and stop < 0 and (start is None or start < 0) else None
    return -start if start is not None and start < 0 and (stop is None or stop < 0) else None
