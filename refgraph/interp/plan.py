"""The same answers as `evaluate`, faster: all that does not depend on the values is done once.

Every value has a slot in a list; nodes are bound to callables; a step of the program is "call this on those slots, put
the result there". A slot is used again as soon as nothing reads its value any more, which also frees the value. Where
the last reader of a value can compute in the value's own memory (`Op.reuses`), it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from refgraph.core.errors import explain
from refgraph.core.graph import Apply, Constant, Graph, Variable
from refgraph.core.op import Compile, GraphOp, Op, is_declared
from refgraph.interp.backends import Kernel
from refgraph.interp.postponed import postponing
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import TensorType

Getter = Callable[[Any], tuple[Any, ...]]

Reuses = Callable[[Apply], tuple[int, ...]]

Step = tuple[Apply, Kernel, int | None, int | None, int | None, Getter | None, int]
"""A node, its kernel, the slots of up to three arguments (or a getter of all of them), and the slot of the output.

The arguments are the inputs; where a ufunc computes in the memory of one of them, that one once more."""


class Kernels:
    """What runs the nodes of a program. This is the interpreter: each op's own meaning, in NumPy."""

    in_place = True
    """Whether a value may be overwritten after its last reader: not where somebody else looks at values."""

    def prepared(self, graph: Graph) -> Graph:
        """The graph to run instead of one that is to be planned: of the program, or held by an op."""
        return settled(graph)

    def bind(self, node: Apply, compile: Compile) -> Kernel:
        """What runs a node; given a compiler for the graphs that the node's op may hold."""
        return node.op.bind(node, compile)

    def reuses(self, node: Apply) -> tuple[int, ...]:
        """Numbers of the inputs in whose memory the node's kernel can compute, as `Op.reuses` has it."""
        return node.op.reuses(node)

    def explained(self, error: Exception, node: Apply, arrays: tuple[Any, ...]) -> Exception:
        """What to raise when the kernel of a node raised."""
        return explain(error, node, arrays)


class Around(Kernels):
    """Other kernels, with something around each: the base of those who look at values, or take times."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.in_place = kernels.in_place

    def prepared(self, graph: Graph) -> Graph:
        return self.kernels.prepared(graph)

    def bind(self, node: Apply, compile: Compile) -> Kernel:
        return self.kernels.bind(node, compile)

    def reuses(self, node: Apply) -> tuple[int, ...]:
        return self.kernels.reuses(node)

    def explained(self, error: Exception, node: Apply, arrays: tuple[Any, ...]) -> Exception:
        return self.kernels.explained(error, node, arrays)


INTERPRETER = Kernels()


class Plan:
    """A graph as a callable from its inputs' arrays to the list of its outputs' arrays.

    Inputs must be valid values of their types. Outputs may share memory with inputs, constants and each other, as far
    as the ops declare it. Holds no state of a call: threads may share it. What a node raises comes out explained, with
    the node's line and the values at hand.
    """

    __slots__ = ("_fresh", "_kernels", "_outputs", "_rest", "_steps", "graph", "postpones")

    def __init__(
        self,
        graph: Graph,
        kernels: Kernels = INTERPRETER,
        inner: dict[Graph, Kernel] | None = None,
        states: Mapping[int, int] | None = None,
    ) -> None:
        """`inner` are the graphs inside that are planned already: derivatives hold the graphs of their op once more.

        states: outputs, by number, that replace the values of inputs, by number. Those among them that `postpones` has
            may be answered as `Postponed`.
        """
        self.graph = graph = kernels.prepared(graph)
        self._kernels = kernels
        slots = _Slots(graph, kernels, states or {})
        self._rest = slots.rest
        steps: list[Step] = []
        planned: dict[Graph, Kernel] = {} if inner is None else inner

        def compile(graph: Graph) -> Kernel:
            if graph not in planned:
                planned[graph] = Plan(graph, kernels, planned).run
            return planned[graph]

        for node in graph.nodes:
            kernel = kernels.bind(node, compile)
            steps += slots.steps(node, kernel)
        self._rest += [None] * (slots.size - len(graph.inputs) - len(self._rest))
        self._steps = tuple(steps)
        self._fresh = slots.fresh
        self._outputs = tuple([slots.of[out] for out in graph.outputs])
        self.postpones = frozenset([n for n, out in enumerate(graph.outputs) if out.owner in slots.postponed])

    def run(self, *inputs: Any) -> list[Any]:
        """As calling it, when NumPy's warnings are off already."""
        values = [*inputs, *self._rest]
        steps = iter(self._steps)
        while True:
            try:
                for node, kernel, a, b, c, more, out in steps:  # noqa: B007  (the handler reads node)
                    if b is not None:
                        if c is None:
                            values[out] = kernel(values[a], values[b])  # type: ignore[index]  # never b without a
                        else:
                            values[out] = kernel(values[a], values[b], values[c])  # type: ignore[index]  # likewise
                    elif a is not None:
                        values[out] = kernel(values[a])
                    else:
                        values[out] = kernel(*more(values))  # type: ignore[misc]  # given when a is not
                return [values[i] for i in self._outputs]
            except Exception as error:
                given = more(values) if more is not None else [values[i] for i in (a, b, c) if i is not None]
                arrays = tuple(given[: len(node.inputs)])
                fresh = kernel if len(given) > len(arrays) else self._fresh.get(id(kernel))
                failed = error if fresh is None else _afresh(fresh, arrays, error, values, out)
                del given
                if failed is None:
                    del arrays  # to be freed when nothing reads them
                    continue
                explained = self._kernels.explained(failed, node, arrays)
                if explained is error:
                    raise
                raise explained from explained.__cause__

    __call__ = np.errstate(all="ignore")(run)  # as a decorator, entered faster than by `with`


_BY_KEYWORD = (np.maximum, np.minimum)  # NumPy 2.4 warns where their third argument has no name


def _into(kernel: Kernel, number: int, count: int) -> Kernel:
    """A kernel of `count` inputs that computes in the memory of that number."""
    if count == 1:
        return lambda a: kernel(a, out=a)
    if count == 2:
        return (lambda a, b: kernel(a, b, out=b)) if number else (lambda a, b: kernel(a, b, out=a))
    return lambda *arrays: kernel(*arrays, out=arrays[number])


def _afresh(kernel: Kernel, arrays: tuple[Any, ...], error: Exception, values: list[Any], out: int) -> Exception | None:
    """Compute what could not be computed in the memory of an input, where that was too small or not writeable.

    The answer is what is to be raised: None, what the kernel raises again, or `error`, which was no such thing.
    """
    if not isinstance(error, ValueError):
        return error
    try:
        values[out] = kernel(*arrays)
    except Exception as again:
        return again
    return None


def settled(graph: Graph) -> Graph:
    """The graph to run: what only one branch of a lazy op needs is computed in that branch."""
    if not any(node.op.lazy for node in graph.nodes):
        return graph
    from refgraph.core.lazy import gathered

    return gathered(graph)


class _Slots:
    """Hands out slots to variables: inputs first, then constants, then what is computed, where slots are used again."""

    def __init__(self, graph: Graph, kernels: Kernels, states: Mapping[int, int]) -> None:
        self.of: dict[Variable, int] = {x: i for i, x in enumerate(graph.inputs)}
        self.rest: list[Any] = []
        self._free: list[int] = []
        self._readers: dict[Variable, int] = {}
        for node in graph.nodes:
            for x in node.inputs:
                self._see(x)
        for out in graph.outputs:
            self._see(out)
        self.size = len(graph.inputs) + len(self.rest)
        self._outside = self.size
        self._lives = _Lives(graph, self.of, self._readers, kernels.reuses) if kernels.in_place else None
        self._states = _overwritten(graph, states, kernels.reuses) if kernels.in_place else {}
        self.postponed: set[Apply | None] = set()
        self.fresh: dict[int, Kernel] = {}
        """For each kernel that computes in the memory of an input, by `id`, the one that does not."""

    def _see(self, x: Variable) -> None:
        self._readers[x] = self._readers.get(x, 0) + 1
        if isinstance(x, Constant) and x not in self.of:
            self.of[x] = len(self.of)
            self.rest.append(x.value)

    def steps(self, node: Apply, kernel: Kernel) -> list[Step]:
        """The steps that run a node, split its outputs, and drop what nothing reads after it."""
        places = [self.of[x] for x in node.inputs]
        reused = None if self._lives is None else self._lives.reused(node)
        dead = [slot for x in node.inputs if (slot := self._released(x)) is not None]
        if reused is not None:
            out = self.of[node.outputs[0]] = places[reused]
            dead.remove(out)
            self._free += dead
            if isinstance(node.op, Elemwise) and node.op.impl not in _BY_KEYWORD:
                places.append(out)  # a ufunc: the next argument is where to write
            else:
                own = _into(kernel, reused, len(places))
                self.fresh[id(own)], kernel = kernel, own
            return [(node, kernel, *_addresses(places), out), *_dropped(node, dead)]
        if node in self._states:
            kernel = self._postponing(node, kernel)
        self._free += dead
        made = [x for x in node.outputs if x not in self.of]  # the others are inputs: what is given stands
        if len(node.outputs) == 1:
            out = self.of[node.outputs[0]] = self._take()
            steps: list[Step] = [(node, kernel, *_addresses(places), out)]
        else:
            every = self._take()
            steps = [(node, _counted(kernel, len(node.outputs)), *_addresses(places), every)]
            for x in made:
                self.of[x] = self._take()
                steps.append((node, itemgetter(x.index), every, None, None, None, self.of[x]))
            dead.append(every)
            self._free.append(every)
        unread = [self.of[x] for x in made if x not in self._readers]
        self._free += unread
        kept = {self.of[x] for x in made if x in self._readers}
        return [*steps, *_dropped(node, [i for i in (*dead, *unread) if i not in kept])]

    def _postponing(self, node: Apply, kernel: Kernel) -> Kernel:
        """A kernel that leaves the node, whose output replaces the value of an input, for the end of the call."""
        assert self._lives is not None  # it is where states are
        number = self._states[node]
        mine = [i for i, x in enumerate(node.inputs) if not self._lives.is_kept(x)]
        for x in node.inputs:
            self._lives.keep(x)
        self.postponed.add(node)
        return postponing(node.op, kernel, number, mine)

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        self.size += 1
        return self.size - 1

    def _released(self, x: Variable) -> int | None:
        self._readers[x] -= 1
        slot = self.of[x]
        return slot if self._readers[x] == 0 and slot >= self._outside else None


def _overwritten(graph: Graph, states: Mapping[int, int], reuses: Reuses) -> dict[Apply, int]:
    """The nodes that may write the new value of a state into the memory of the old one, and which input that one is.

    states: by the number of the output that is the new value, the number of the input that is the old one.
    """
    read = {x for node in graph.nodes for x in node.inputs} if states else set()
    found: dict[Apply, int] = {}
    for number, given in states.items():
        out, old = graph.outputs[number], graph.inputs[given]
        node = out.owner
        if node is None or out in graph.inputs or out in read or graph.outputs.count(out) > 1:
            continue
        if is_declared(node.op) and _fits(old, out) and old in node.inputs:
            at = node.inputs.index(old)
            if at in reuses(node):
                found[node] = at
    return found


class _Lives:
    """How long the memory of each value is needed: as long as anything reads it, or a value that may be a view of it.

    Memory that somebody else holds is kept for good: that of `outside`, inputs and constants, of outputs, and what is
    given to ops, or answered by them, that may keep it. `readers` says how often each value is read.
    """

    def __init__(
        self, graph: Graph, outside: Iterable[Variable], readers: Mapping[Variable, int], reuses: Reuses
    ) -> None:
        self._reuses = reuses
        given, keeping, joined = set(graph.inputs), _Keeping(), _Joined()
        kept = list(outside)
        for node in graph.nodes:
            for i in node.op.views:
                for out in node.outputs:
                    if out not in given:
                        joined.join(out, node.inputs[i])
            if keeping.keeps(node.op):
                kept += [*node.inputs, *node.outputs]
        self._memory = joined.found()
        """For each value that may lie in one memory with others, one of them that stands for all."""
        self._readers = dict(readers)
        for x, memory in self._memory.items():
            if memory is not x:
                self._readers[memory] = self._readers.get(memory, 0) + self._readers.get(x, 0)
        self._kept = {self._memory.get(x, x) for x in kept}

    def keep(self, x: Variable) -> None:
        """Let nothing be written into the memory of `x` from now on."""
        self._kept.add(self._memory.get(x, x))

    def is_kept(self, x: Variable) -> bool:
        """Whether somebody holds the memory of `x` for good."""
        return self._memory.get(x, x) in self._kept

    def reused(self, node: Apply) -> int | None:
        """The number of the input in whose memory the node, which is the next to run, may compute; None for none."""
        memory, readers, kept = self._memory, self._readers, self._kept
        read = [memory.get(x, x) for x in node.inputs]
        for x in read:
            readers[x] -= 1
        free = [i for i, x in enumerate(read) if not readers[x] and x not in kept]
        if not free or len(node.outputs) > 1:
            return None
        out, found = node.outputs[0], None
        for i in set(self._reuses(node)).intersection(free):
            x = node.inputs[i]
            alone = all([y is x for y, m in zip(node.inputs, read, strict=True) if m is read[i]])
            if alone and _is_own(x) and _fits(x, out):
                if x.type is out.type:
                    return i
                found = i
        return found


class _Joined:
    """Values that may lie in one memory, and who stands for all of them."""

    def __init__(self) -> None:
        self._above: dict[Variable, Variable] = {}

    def join(self, x: Variable, y: Variable) -> None:
        """Let x and y lie in one memory."""
        x, y = self._top(x), self._top(y)
        self._above[x] = self._above[y] = y

    def _top(self, x: Variable) -> Variable:
        above = self._above
        while (y := above.get(x, x)) is not x:
            above[x] = x = above[y]  # the way is half as long the next time
        return x

    def found(self) -> dict[Variable, Variable]:
        """Who stands for it, by each value that is joined with any."""
        return {x: self._top(x) for x in list(self._above)}


def _is_own(x: Variable) -> bool:
    """Whether the value is no view: the rest of what it may be a view of is to be freed, not kept for it."""
    return x.owner is not None and not x.owner.op.views


def _fits(x: Variable, out: Variable) -> bool:
    """Whether an array of the type of `x` may be one of the type of `out`. One that is broadcast is not."""
    a, b = x.type, out.type
    if a is b and isinstance(a, TensorType):
        return a.ndim > 0  # without axes, values may be NumPy's scalars
    return (
        isinstance(a, TensorType)
        and isinstance(b, TensorType)
        and a.dtype == b.dtype
        and a.ndim == b.ndim
        and all([m == n or m is None or (n is None and m != 1) for m, n in zip(a.shape, b.shape, strict=True)])
    )


class _Keeping:
    """Knows of each op whether it, or one in a graph that it holds, may keep arrays."""

    def __init__(self) -> None:
        self._ops: dict[int, bool] = {}
        self._graphs: dict[Graph, bool] = {}

    def keeps(self, op: Op) -> bool:
        found = self._ops.get(id(op))
        if found is None:
            inner = op.graphs if isinstance(op, GraphOp) else ()
            found = op.keeps or not is_declared(op) or any([self._inside(graph) for graph in inner])
            self._ops[id(op)] = found
        return found

    def _inside(self, graph: Graph) -> bool:
        if graph not in self._graphs:
            self._graphs[graph] = any([self.keeps(node.op) for node in graph.nodes])
        return self._graphs[graph]


def _addresses(slots: list[int]) -> tuple[int | None, int | None, int | None, Getter | None]:
    if not slots:
        return None, None, None, _no_inputs
    if len(slots) <= 3:
        a, b, c, *_ = [*slots, None, None]
        return a, b, c, None
    return None, None, None, itemgetter(*slots)


def _dropped(node: Apply, slots: list[int]) -> list[Step]:
    """Steps that forget the values in these slots."""
    return [(node, _nothing, None, None, None, _no_inputs, i) for i in slots]


def _no_inputs(values: Any) -> tuple[Any, ...]:
    return ()


def _nothing() -> None:
    return None


def _counted(kernel: Kernel, n: int) -> Kernel:
    """A kernel of several outputs, held to their number."""

    def run(*arrays: Any) -> Any:
        results = kernel(*arrays)
        if len(results) != n:
            raise ValueError(f"an op of {n} outputs answered {len(results)}")
        return results

    return run
