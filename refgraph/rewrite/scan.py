"""Loops that do less of what is not read: of what a loop puts out, what nobody reads, and steps that are not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from refgraph.core.graph import Apply, Graph, Variable, leaves
from refgraph.core.origin import made_for
from refgraph.ops import elementwise
from refgraph.ops.construct import zeros
from refgraph.ops.index_pattern import Part, Slice
from refgraph.ops.indexing import Index
from refgraph.ops.joining import concatenate
from refgraph.ops.lengths import scalar_value
from refgraph.ops.scan import Scan
from refgraph.ops.shape import ShapeI
from refgraph.rewrite.rule import graph_rule, node_rule

Clients = dict[Variable, list[tuple[Apply | str, int]]]

Change = Callable[[Apply, Apply], Sequence[Variable] | None]
"""What may stand for the outputs of a loop; of its application, and of the same to what stands for its inputs."""


def with_loops(graph: Graph, change: Change, live: Iterable[Apply] | None = None) -> Graph:
    """The same function, where `change` says what stands for loops; nothing but `live` applications is looked at."""
    if not any(isinstance(node.op, Scan) for node in graph.nodes):
        return graph
    made: dict[Variable, Variable] = {}
    for node in graph.nodes if live is None else live:
        inputs = [made.get(x, x) for x in node.inputs]
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        fresh = node if same else node.with_inputs(inputs)
        outputs: Sequence[Variable] | None = None
        if isinstance(node.op, Scan):
            with made_for(node.origin):
                outputs = change(node, fresh)
        pairs = zip(node.outputs, fresh.outputs if outputs is None else outputs, strict=True)
        made.update([(old, new) for old, new in pairs if old is not new])
    return Graph(graph.inputs, [made.get(x, x) for x in graph.outputs]) if made else graph


# What is kept


@graph_rule("scan")
def only_what_is_read(graph: Graph) -> Graph:
    """Loops keep of each output no more entries than are read, counted from its end.

    So a loop of which only `h[-1]` is read needs memory for the values that its taps reach, however many steps there
    are.
    """

    def change(node: Apply, fresh: Apply) -> Sequence[Variable] | None:
        op: Any = node.op
        n_states = len(op.taps)
        kept = [*node.outputs[:n_states], *node.outputs[n_states + op.n_carried : len(node.outputs) - op.until]]
        keep = [_least(k, _read(x, graph.clients)) for k, x in zip(op.keep, kept, strict=True)]
        return None if keep == list(op.keep) else op.changed(keep=keep).make_node(*fresh.inputs).outputs

    return with_loops(graph, change)


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


_DEEPEST = 10  # slices of slices that are looked through


def _read(x: Variable, clients: Clients, depth: int = 0) -> int | None:
    """How many of the last entries of x are read; None for all."""
    most = 0
    for reader, place in clients[x]:
        if not isinstance(reader, Apply) or place != 0 or depth == _DEEPEST:
            return None
        count: int | None = None
        if isinstance(reader.op, ShapeI) and reader.op.i > 0:
            count = 0
        elif isinstance(reader.op, Index) and reader.op.template:
            item, out = reader.op.template[0], reader.outputs[0]
            count = _from_end(item)
            if count is None and len(reader.op.template) == 1:
                if (cut := _cut(item)) is not None:
                    later = _read(out, clients, depth + 1)
                elif (cut := _cut_backwards(item)) is not None:
                    later = _read_first(out, clients)
                else:
                    later = None
                count = None if later is None or cut is None else later + cut
        if count is None:
            return None
        most = max(most, count)
    return most


def _read_first(x: Variable, clients: Clients) -> int | None:
    """How many of the first entries of x are read; None for all."""
    most = 0
    for reader, place in clients[x]:
        if not isinstance(reader, Apply) or place != 0 or not isinstance(reader.op, Index) or not reader.op.template:
            return None
        item = reader.op.template[0]
        end = item + 1 if isinstance(item, int) else item.stop if isinstance(item, Slice) else None
        ahead = not isinstance(item, Slice) or (
            Part.INT not in item and (item.step or 1) > 0 and (item.start or 0) >= 0
        )
        if not ahead or not isinstance(end, int) or end < 0 or item == -1:
            return None
        most = max(most, end)
    return most


def _cut_backwards(item: Any) -> int | None:
    """How many entries a slice from the last to the first leaves out at the beginning, if it is one."""
    backwards = isinstance(item, Slice) and Part.INT not in item and item.start is None and item.step == -1
    stop = item.stop if backwards else -1
    return 0 if stop is None else stop + 1 if stop >= 0 else None


def _cut(item: Any) -> int | None:
    """How many entries a slice cuts off at both ends, if that is all it does."""
    if not isinstance(item, Slice) or Part.INT in item or item.step is not None:
        return None
    start, stop = item.start or 0, item.stop or 0
    return start - stop if start >= 0 and stop <= 0 and item.stop != 0 else None


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


@node_rule("scan", Index)
def last_entry(node: Apply) -> Variable | None:
    """x[n - 1], of what a loop of n steps puts out, is x[-1]: the loop need keep no more."""
    op: Any = node.op
    found = _put_out(node.inputs[0])
    if found is None or not op.template or op.template[0] is not Part.INT:
        return None
    loop, entries = found
    if loop.op.until or _difference(node.inputs[1], loop.inputs[0]) != entries - 1:  # type: ignore[attr-defined]  # a loop
        return None
    return Index((-1, *op.template[1:]))(node.inputs[0], *node.inputs[2:])


@node_rule("scan", Index)
def entries_from_the_end(node: Apply) -> Variable | None:
    """Of what a loop of a known number of steps puts out, what is in the last half is picked by its place from the end:
    so it stays where it is when the loop keeps less.
    """
    op: Any = node.op
    x: Any = node.inputs[0]
    if not op.template or _put_out(x) is None or x.type.shape[0] is None or _from_end(op.template[0]) is not None:
        return None
    item, n = op.template[0], x.type.shape[0]
    if isinstance(item, int):
        places, turned = range(item, item + 1), item - n
    elif isinstance(item, Slice) and Part.INT not in item:
        places = range(n)[slice(*item)]
        turned = Slice(places.start - n, places.stop - n if 0 <= places.stop < n else None, item.step)
    else:
        return None
    if not places or 2 * min(places) < n:
        return None
    return Index((turned, *op.template[1:]))(x, *node.inputs[1:])


def _put_out(x: Any) -> tuple[Apply, int] | None:
    """The loop that puts x out, maybe without some of the first entries, and how many entries it has beyond steps."""
    cut = 0
    if x.owner is not None and isinstance(x.owner.op, Index) and len(x.owner.op.template) == 1:
        item: Any = x.owner.op.template[0]
        if isinstance(item, Slice) and item.stop is None and (found := _cut(item)) is not None:
            x, cut = x.owner.inputs[0], found
    loop: Any = x.owner
    if loop is None or not isinstance(loop.op, Scan):
        return None
    entries = _entries_beyond_steps(loop.op, x.index)
    return None if entries is None or cut > entries else (loop, entries - cut)


def _entries_beyond_steps(op: Scan, output: int) -> int | None:
    """How many entries more than steps an output has, of which all are kept."""
    n_states, records = len(op.taps), output - op.n_carried
    if output < n_states:
        return op.depths[output] if op.keep[output] is None else None
    return 0 if records >= n_states and op.keep[records] is None else None


def _difference(i: Any, n: Variable) -> int | None:
    """i - n, where that is known: i is n, with numbers added and subtracted."""
    found = 0
    while i is not n:
        node = i.owner
        if node is None or node.op not in (elementwise.add, elementwise.sub):
            return None
        a, b = node.inputs
        if scalar_value(b) is not None:
            found += int(scalar_value(b)) if node.op is elementwise.add else -int(scalar_value(b))
            i = a
        elif node.op is elementwise.add and scalar_value(a) is not None:
            found += int(scalar_value(a))
            i = b
        else:
            return None
    return found


# What is computed


@graph_rule("scan")
def unread_outputs(graph: Graph) -> Graph:
    """What nobody reads of a loop, and no step needs, is not computed."""
    if not any(isinstance(node.op, Scan) for node in graph.nodes):
        return graph
    read = set(graph.outputs)
    live: list[Apply] = []
    needed: dict[Apply, _Needed] = {}
    for node in reversed(graph.nodes):
        if read.isdisjoint(node.outputs):
            continue
        live.append(node)
        inputs: Iterable[Variable] = node.inputs
        if isinstance(node.op, Scan):
            parts = _Needed(node, read)
            if parts.is_less:
                needed[node] = parts
                inputs = parts.inputs(node)
        read.update(inputs)
    if not needed:
        return graph

    def change(node: Apply, fresh: Apply) -> Sequence[Variable] | None:
        return needed[node].outputs(fresh) if node in needed else None

    return with_loops(graph, change, reversed(live))


class _Needed:
    """What of a loop is needed when only some of its outputs are read: which states, carried values and records; and
    which inputs of a step these need.
    """

    def __init__(self, node: Apply, read: set[Variable]) -> None:
        op: Any = node.op
        self.op = op
        self.n_states, self.start = len(op.taps), len(op.taps) + op.n_carried
        self.stop = len(op.graph.outputs) - op.until
        self.ends = [i for i, x in enumerate(node.outputs[: self.stop]) if x in read]  # numbers of outputs of a step
        sources: dict[Variable, int] = {x: i for i, reads in enumerate(op.reads) for x in reads}
        sources.update({x: self.n_states + i for i, x in enumerate(op.carried)})
        self.given: set[Variable] = set()
        look = [*self.ends, *([self.stop] if op.until else [])]
        found = set(self.ends)
        while look:
            read_inside = set(leaves([op.graph.outputs[i] for i in look], set(op.graph.inputs)))
            self.given |= read_inside
            look = sorted({sources[x] for x in read_inside if x in sources} - found)
            found.update(look)
        self.ends = sorted(found)

    @property
    def is_less(self) -> bool:
        """Whether something is not needed."""
        return len(self.ends) < int(self.stop)

    def inputs(self, node: Apply) -> list[Variable]:
        """The inputs of the loop that are needed."""
        sequences, initials, carried, whole = self.op.parts(node.inputs[1:])
        op, ends = self.op, set(self.ends)
        return [
            node.inputs[0],
            *[x for x, item in zip(sequences, op.items, strict=True) if item in self.given],
            *[x for i, x in enumerate(initials) if i in ends],
            *[x for i, x in enumerate(carried, self.n_states) if i in ends],
            *[x for x, inner in zip(whole, op.whole, strict=True) if inner in self.given],
        ]

    def outputs(self, node: Apply) -> list[Variable]:
        """What stands for the outputs of the loop; for those that nobody reads, they themselves."""
        op, ends = self.op, self.ends
        states = [i for i in ends if i < self.n_states]
        kept = [i if i < self.n_states else i - op.n_carried for i in ends if not self.n_states <= i < self.start]
        gone = {x for i, reads in enumerate(op.reads) if i not in states for x in reads}
        gone |= {x for i, x in enumerate(op.carried, self.n_states) if i not in ends}
        gone |= {x for x in (*op.items, *op.whole) if x not in self.given}
        outputs = op.graph.outputs
        fresh = op.changed(
            graph=Graph(
                [x for x in op.graph.inputs if x not in gone],
                [*[outputs[i] for i in ends], *outputs[self.stop :]],
            ),
            n_sequences=sum(x in self.given for x in op.items),
            taps=[op.taps[i] for i in states],
            n_carried=len(ends) - len(kept),
            keep=[op.keep[i] for i in kept],
        )
        found = list(node.outputs)
        made = fresh.make_node(*self.inputs(node)).outputs
        for i, out in zip([*ends, *range(self.stop, len(outputs))], made, strict=True):
            found[i] = out
        return found


# How many steps


@node_rule("scan", Scan)
def loop_of_one_step(node: Apply) -> Sequence[Variable] | None:
    """A loop of one step is that step."""
    op: Any = node.op
    if op.mode is not None or _steps(node) != 1:
        return None
    sequences, initials, carried, whole = op.parts(node.inputs[1:])
    reads = [x[-k] for x, taps in zip(initials, op.taps, strict=True) for k in taps]
    found: list[Any] = op.graph(*[x[0] for x in sequences], *reads, *carried, *whole)
    n_states, stop = len(initials), len(found) - op.until
    states = [concatenate([x, new[None]]) for x, new in zip(initials, found, strict=False)]
    start = n_states + op.n_carried
    kept = [*states, *[x[None] for x in found[start:stop]]]
    kept = [x if keep is None else x[-keep:] if keep else x[:0] for x, keep in zip(kept, op.keep, strict=True)]
    return [*kept[:n_states], *found[n_states:start], *kept[n_states:], *[node.inputs[0]] * op.until]


@node_rule("scan", Scan)
def loop_of_no_step(node: Apply) -> Sequence[Variable] | None:
    """A loop of no step puts out what it begins with; where the lengths of records are known, which are empty."""
    op: Any = node.op
    if op.mode is not None or _steps(node) != 0:
        return None
    types = [x.type for x in op.records]
    if any(None in t.shape for t in types):
        return None
    _, initials, carried, _ = op.parts(node.inputs[1:])
    states = [x if keep is None else x[-keep:] if keep else x[:0] for x, keep in zip(initials, op.keep, strict=False)]
    return [*states, *carried, *[zeros((0, *t.shape), t.dtype) for t in types], *[node.inputs[0]] * op.until]


def _steps(node: Apply) -> int | None:
    value = scalar_value(node.inputs[0])
    return None if value is None else int(value)
