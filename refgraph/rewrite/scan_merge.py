"""What is the same in loops: equal states, states that stand still, sequences of one value, loops side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from refgraph.core.graph import Apply, Graph, Variable, rebuild
from refgraph.core.origin import joined, made_for
from refgraph.ops import elementwise
from refgraph.ops.elementwise import minimum
from refgraph.ops.joining import concatenate
from refgraph.ops.lengths import length
from refgraph.ops.scan import Loop, Scan
from refgraph.ops.shape import BroadcastTo, broadcast_to, dimshuffle
from refgraph.rewrite.rule import graph_rule, node_rule
from refgraph.rewrite.scan_moves import answers, branches_apart

# Sequences and states


@node_rule("scan", Scan)
def sequence_of_one_value(node: Apply) -> Sequence[Variable] | None:
    """A sequence that repeats one item is a value that every step is given whole."""
    op: Any = node.op
    if op.mode is not None:
        return None
    sequences = op.parts(node.inputs[1:])[0]
    found = {
        x: item for x, sequence in zip(op.items, sequences, strict=True) if (item := _repeated(sequence)) is not None
    }
    if not found:
        return None
    loop = Loop.of(branches_apart(node), found)
    return answers(loop, loop.node(op.truncate))


def _repeated(sequence: Any) -> Any:
    """The one item of a sequence, where its items are known to be the same."""
    maker = sequence.owner
    if maker is None or not (maker.op is elementwise.fill or isinstance(maker.op, BroadcastTo)):
        return None
    value = maker.inputs[1] if maker.op is elementwise.fill else maker.inputs[0]
    if value.type.ndim == sequence.type.ndim:
        if value.type.shape[0] != 1:
            return None
        value = dimshuffle(value, range(1, value.type.ndim))
    return broadcast_to(value, [length(sequence, a) for a in range(1, sequence.type.ndim)])


@node_rule("scan", Scan)
def state_that_stands_still(node: Apply) -> Sequence[Variable] | None:
    """A state that each step leaves as it is is a value that every step is given whole."""
    op: Any = node.op
    still = [i for i, reads in enumerate(op.reads) if op.taps[i] == (1,) and op.news[i] is reads[0]]
    if not still or op.mode is not None:
        return None
    node = branches_apart(node)
    initials = op.parts(node.inputs[1:])[1]
    loop = Loop.of(node, {op.reads[i][0]: initials[i][-1] for i in still})
    states = loop.states
    loop.states = [s for i, s in enumerate(states) if i not in still]
    found = _put_together(loop, op.truncate)
    steps: Any = found[-1] if op.until else node.inputs[0]
    for i in still:
        entries = steps + 1 if op.keep[i] is None else minimum(steps + 1, op.keep[i])
        lengths = [length(initials[i], a) for a in range(1, initials[i].type.ndim)]
        found.insert(i, broadcast_to(initials[i][-1], [entries, *lengths]))
    return found


@node_rule("scan", Scan)
def state_that_no_step_reads(node: Apply) -> Sequence[Variable] | None:
    """A state that no step reads is a record, behind its initial values."""
    op: Any = node.op
    unread = [i for i, reads in enumerate(op.reads) if not any(op.graph.clients[x] for x in reads) and op.keep[i] != 0]
    if not unread or op.mode is not None:
        return None
    node = branches_apart(node)
    loop = Loop.of(node)
    states, before = loop.states, len(loop.records)
    loop.states = [s for i, s in enumerate(states) if i not in unread]
    loop.records += [(states[i].new, op.keep[i]) for i in unread]
    found = _put_together(loop, op.truncate)
    start = len(loop.states) + op.n_carried + before
    recorded = found[start : start + len(unread)]
    del found[start : start + len(unread)]
    for i, x in zip(unread, recorded, strict=True):
        found.insert(i, _last(concatenate([states[i].initial, x]), op.keep[i]))
    return found


def _put_together(loop: Loop, truncate: int) -> list[Any]:
    """What a loop puts out, also where nothing is left that it does."""
    if not (loop.states or loop.carries or loop.records or loop.until is not None):
        return []
    return answers(loop, loop.node(truncate))


def _last(x: Any, keep: int | None) -> Any:
    return x if keep is None else x[-keep:] if keep else x[:0]


@node_rule("scan", Scan)
def equal_states(node: Apply) -> Sequence[Variable] | None:
    """States that begin with the same and are made in the same way are one."""
    op: Any = node.op
    initials = op.parts(node.inputs[1:])[1]
    kinds: list[Hashable] = list(zip(initials, op.taps, strict=True))
    while len(set(kinds)) < len(kinds):
        finer = list(zip(kinds, _numbered(op, kinds), strict=True))
        if len(set(finer)) == len(set(kinds)):
            break
        kinds = [finer.index(k) for k in finer]
    first = [kinds.index(k) for k in kinds]
    if first == list(range(len(kinds))) or op.mode is not None:
        return None
    node = branches_apart(node)
    op = node.op
    given = {x: y for i, j in enumerate(first) if i != j for x, y in zip(op.reads[i], op.reads[j], strict=True)}
    loop = Loop.of(node, given)
    states = loop.states
    loop.states = [s for i, s in enumerate(states) if first[i] == i]
    for i, j in enumerate(first):
        states[j].keep = _most(states[j].keep, op.keep[i])
    found = iter(_put_together(loop, op.truncate))
    buffers: list[Any] = []
    for i, j in enumerate(first):
        buffers.append(next(found) if i == j else buffers[j])
    ends = [x if states[j].keep == k else _last(x, k) for x, j, k in zip(buffers, first, op.keep, strict=False)]
    return [*ends, *found]


def _most(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)


def _numbered(op: Any, kinds: Sequence[Hashable]) -> list[int]:
    """A number for what a step makes of each state: the same where it is the same, if states of the same kind are."""
    numbers: dict[Hashable, int] = {}
    of: dict[Variable, int] = {}

    def number(x: Variable) -> int:
        if x not in of:
            of[x] = numbers.setdefault(x, len(numbers))
        return of[x]

    for kind, reads in zip(kinds, op.reads, strict=True):
        for j, x in enumerate(reads):
            of[x] = numbers.setdefault((kind, j), len(numbers))
    for node in op.graph.nodes:
        given: Hashable = tuple([number(x) for x in node.inputs])
        for out in node.outputs:
            of[out] = numbers.setdefault((node.op, given, out.index), len(numbers))
    return [number(new) for new in op.news]


# Loops


@graph_rule("scan")
def loops_side_by_side(graph: Graph) -> Graph:
    """Loops of the same number of steps, none of which needs what another makes, are one loop."""
    while group := _side_by_side(graph):
        merged = _merged(group)
        given = {
            old: new
            for node, outputs in zip(group, merged, strict=True)
            for old, new in zip(node.outputs, outputs, strict=True)
        }
        graph = Graph(graph.inputs, rebuild(graph.outputs, given))
    return graph


def _side_by_side(graph: Graph) -> list[Apply]:
    """Two or more loops that can be one; none where there are no such."""
    loops: list[Apply] = [node for node in graph.nodes if isinstance(node.op, Scan)]
    kinds: dict[Hashable, list[Apply]] = {}
    for node in loops:
        op: Any = node.op
        if not op.until and op.mode is None:
            kinds.setdefault((node.inputs[0], op.truncate, bool(op.turns)), []).append(node)
    if all(len(group) < 2 for group in kinds.values()):
        return []
    behind = _loops_behind(graph, loops)
    for group in kinds.values():
        for i, first in enumerate(group):
            found = [first]
            for node in group[i + 1 :]:
                if behind[node].isdisjoint(found):
                    found.append(node)
            if len(found) > 1:
                return found
    return []


def _loops_behind(graph: Graph, loops: Sequence[Apply]) -> dict[Apply, set[Apply]]:
    """For each loop, the loops that it needs something of."""
    bit = {node: 1 << i for i, node in enumerate(loops)}
    masks: dict[Apply, int] = {}
    for node in graph.nodes:
        mask = 0
        for x in node.inputs:
            if x.owner in masks:
                mask |= masks[x.owner] | bit.get(x.owner, 0)
        masks[node] = mask
    return {node: {other for other in loops if masks[node] & bit[other]} for node in loops}


def _merged(nodes: Sequence[Apply]) -> list[list[Variable]]:
    """What stands for the outputs of each of the loops: outputs of one loop that does what all do."""
    ops: list[Any] = [node.op.changed(graph=node.op.graph.clone()) for node in nodes]  # type: ignore[attr-defined]  # loops
    given = [op.parts(node.inputs[1:]) for op, node in zip(ops, nodes, strict=True)]
    inner = [(op.items, [x for reads in op.reads for x in reads], op.carried, op.whole) for op in ops]
    ends = [(op.news, op.graph.outputs[len(op.taps) : len(op.taps) + op.n_carried], op.records) for op in ops]
    merged = ops[0].changed(
        graph=Graph(_concatenated(inner), _concatenated(ends)),
        n_sequences=sum(op.n_sequences for op in ops),
        taps=[taps for op in ops for taps in op.taps],
        n_carried=sum(op.n_carried for op in ops),
        keep=[*[k for op in ops for k in op.keep[: len(op.taps)]], *[k for op in ops for k in op.keep[len(op.taps) :]]],
        name=_named([op.name for op in ops]),
        turns=_named([op.turns for op in ops]),
    )
    with made_for(joined([node.origin for node in nodes])):
        outputs = iter(merged.make_node(nodes[0].inputs[0], *_concatenated(given)).outputs)
    parts = [[[next(outputs) for _ in part[i]] for part in ends] for i in range(3)]
    return [[x for i in range(3) for x in parts[i][n]] for n in range(len(nodes))]


def _concatenated(parts: Sequence[Sequence[Sequence[Any]]]) -> list[Any]:
    """The first part of each, then the second of each, and so on."""
    return [x for column in zip(*parts, strict=True) for part in column for x in part]


def _named(names: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(names))
