"""Graphs in pickles and deep copies: applications in one flat list, however deep the graph is.

A variable that an application makes is pickled as "output i of application k of this record", and the record holds that
application and all that it needs. A pickler meets the same record again for every variable in it, and keeps it alive;
so for as long as one is at work, a variable finds the record that its application is already in, and a new record
holds only what is in none. That is how what expressions share stays shared, in whatever order one call of `dumps` (or
`deepcopy`) meets them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from refgraph.core.graph import Apply, Variable, toposort
from refgraph.core.origin import Place, places

_State = tuple[
    list[Variable],  # what no application of the record makes: input ~i of an application is number i of these
    list[Any],  # ops
    list[tuple[type[Variable], Any]],  # classes and types of variables
    list[tuple[Place, ...]],  # origins
    list[int],  # how many; for each: op, number of inputs, inputs, number of outputs, their classes and types, origin
    dict[int, tuple[Any, dict[str, Any]]],  # by number of the output, what else it has: name, tag, attributes
    dict[int, SimpleNamespace],  # tags by number of the application
]

_PLAIN = {"type", "owner", "index", "name"}
"""The slots of a variable that has nothing else, as its tag is made when it is asked for."""


class _Live(threading.local):
    """What this thread's picklers have met: for each output the record it is in, and origins looked up."""

    def __init__(self) -> None:
        self.records: dict[Variable, weakref.ref[Record]] = {}
        self.places: dict[Any, tuple[Any, Place]] = {}


_live = _Live()


class Record:
    """Applications, inputs before users: an object for picklers to remember.

    `numbers` says for each its place. While the record is being loaded, `output` and `node` answer objects that are
    still to be filled: what an application depends on may itself refer to its outputs, in a tag or a default update.
    """

    def __init__(self, nodes: Sequence[Apply] = ()) -> None:
        self.nodes = list(nodes)
        self.numbers = {node: n for n, node in enumerate(self.nodes)}
        self._met = _live.records
        self._places = _live.places
        self._early: dict[tuple[int, int], Variable] = {}
        self._early_nodes: dict[int, Apply] = {}
        self._me = weakref.ref(self)
        self._met.update([(out, self._me) for node in self.nodes for out in node.outputs])

    def __del__(self) -> None:
        for node in self.numbers:
            for out in node.outputs:
                if self._met.get(out) is self._me:
                    del self._met[out]
        if not self._met:
            self._places.clear()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Record, (), self._state()

    def _state(self) -> _State:
        leaves, ops, kinds, origins = _Table(), _Table(), _Table(), _Table()
        code = [len(self.nodes)]
        labels: dict[int, tuple[Any, dict[str, Any]]] = {}
        made: dict[Variable, int] = {}
        for node in self.nodes:
            code += (ops.number(id(node.op), node.op), len(node.inputs))
            code += [n if (n := made.get(x)) is not None else ~leaves.number(x, x) for x in node.inputs]
            code.append(len(node.outputs))
            for out in node.outputs:
                code.append(kinds.number((out.__class__, id(out.type)), (out.__class__, out.type)))
                own, slots = out.__getstate__()
                if own or out.name is not None or slots.keys() != _PLAIN:
                    labels[len(made)] = own, {s: v for s, v in slots.items() if s not in ("type", "owner", "index")}
                made[out] = len(made)
            origin = tuple([f if isinstance(f, Place) else (id(f[0]), f[1]) for f in node.origin])
            code.append(origins.number(origin, node.origin))
        tags = {n: node._tag for n, node in enumerate(self.nodes) if hasattr(node, "_tag")}
        kept = [tuple(map(self._place, origin)) for origin in origins.items]
        return leaves.items, ops.items, kinds.items, kept, code, labels, tags

    def _place(self, frame: Any) -> Place:
        if isinstance(frame, Place):
            return frame
        key = id(frame[0]), frame[1]
        if key not in self._places:
            self._places[key] = frame, places((frame,))[0]  # the frame stays, so nothing else gets its id
        return self._places[key][1]

    def __setstate__(self, state: _State) -> None:
        leaves, ops, kinds, origins, code, labels, tags = state
        read = iter(code).__next__
        made: list[Variable] = []
        for n in range(read()):
            node = self._early_nodes.pop(n, None) or Apply.__new__(Apply)
            node.op = ops[read()]
            node.inputs = tuple([made[i] if (i := read()) >= 0 else leaves[~i] for _ in range(read())])
            node.outputs = tuple([self._made(node, n, i, *kinds[read()]) for i in range(read())])
            node.origin = origins[read()]
            made += node.outputs
            self.nodes.append(node)
        for i, (own, slots) in labels.items():
            made[i].__dict__.update(own or ())
            for name, value in slots.items():
                setattr(made[i], name, value)
        for n, tag in tags.items():
            self.nodes[n]._tag = tag

    def _made(self, node: Apply, n: int, i: int, cls: type[Variable], type: Any) -> Variable:
        out = self._early.pop((n, i), None)
        if out is None:
            out = cls.__new__(cls)
        out.type, out.owner, out.index, out.name = type, node, i, None
        return out

    def output(self, n: int, i: int, cls: type[Variable]) -> Variable:
        """Output i of application n."""
        if n < len(self.nodes):
            return self.nodes[n].outputs[i]
        if (n, i) not in self._early:
            self._early[n, i] = early = cls.__new__(cls)
            early.owner = None
        return self._early[n, i]

    def node(self, n: int) -> Apply:
        """Application n."""
        if n < len(self.nodes):
            return self.nodes[n]
        return self._early_nodes.setdefault(n, Apply.__new__(Apply))


class _Table:
    """Things, each once, and their numbers."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, key: Any, item: Any) -> int:
        """The number of the item of that key, which joins the others when it is the first."""
        found = self._numbers.setdefault(key, len(self.items))
        if found == len(self.items):
            self.items.append(item)
        return found


def record_of(node: Apply) -> tuple[Record, int]:
    """The record that holds an application, and its number there: one that a pickler knows already, or a new one."""
    met = _live.records
    ref = next((met[out] for out in node.outputs if out in met), None)
    record = None if ref is None else ref()
    if record is None:
        record = Record(_needed(node, met))
    return record, record.numbers[node]


def _needed(node: Apply, met: dict[Variable, Any]) -> list[Apply]:
    """An application and all before it that is in no record; and the same for default updates of what they read."""
    order = dict.fromkeys(toposort(node.inputs, met))
    order[node] = None
    look = list(order)
    while look:
        updates = [d for n in look for x in n.inputs if (d := getattr(x, "default_update", None)) is not None]
        fresh = toposort([d for d in updates if isinstance(d, Variable) and d not in met], met)
        look = [n for n in fresh if n not in order]
        order.update(dict.fromkeys(look))
    return list(order)


def reduce_variable(x: Variable, node: Apply) -> tuple[Any, ...]:
    """How an output of `node` is pickled."""
    record, n = record_of(node)
    return Record.output, (record, n, x.index, x.__class__)


def reduce_node(node: Apply) -> tuple[Any, ...]:
    """How an application is pickled."""
    return Record.node, record_of(node)
