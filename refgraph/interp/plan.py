"""The same answers as `evaluate`, faster: all that does not depend on the values is done once.

Every value has a slot in a list; nodes are bound to callables; a step of the program is "call this on those slots, put
the result there". A slot is used again as soon as nothing reads its value any more, which also frees the value.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from refgraph.core.errors import explain
from refgraph.core.graph import Apply, Constant, Graph, Variable
from refgraph.core.op import Compile

Kernel = Callable[..., Any]
"""What runs a node: from its inputs' arrays to its output's array, or the tuple of its outputs' arrays."""

Bind = Callable[[Apply, Compile], Kernel]
"""Chooses a node's kernel; given a compiler for the graphs that the node's op may hold."""

Step = tuple[Apply, Kernel, int | None, int | None, Callable[[Any], tuple[Any, ...]] | None, int]
"""A node, its kernel, the slots of one or two inputs (or a getter of all of them), and the slot of the output."""


def meaning(node: Apply, compile: Compile) -> Kernel:
    """The op's own meaning, in NumPy."""
    return node.op.bind(node, compile)


class Plan:
    """A graph as a callable from its inputs' arrays to the list of its outputs' arrays.

    Inputs must be valid values of their types. Outputs may share memory with inputs, constants and each other, as far
    as the ops declare it. Holds no state of a call: threads may share it. What a node raises comes out explained, with
    the node's line and the values at hand.
    """

    __slots__ = ("_outputs", "_rest", "_steps", "graph")

    def __init__(self, graph: Graph, bind: Bind = meaning, inner: dict[Graph, Kernel] | None = None) -> None:
        """`inner` are the graphs inside that are planned already: derivatives hold the graphs of their op once more."""
        self.graph = graph = _settled(graph)
        slots = _Slots(graph)
        self._rest = slots.rest
        steps: list[Step] = []
        planned: dict[Graph, Kernel] = {} if inner is None else inner

        def compile(graph: Graph) -> Kernel:
            if graph not in planned:
                planned[graph] = Plan(graph, bind, planned).run
            return planned[graph]

        for node in graph.nodes:
            kernel = bind(node, compile)
            steps += slots.steps(node, kernel)
        self._rest += [None] * (slots.size - len(graph.inputs) - len(self._rest))
        self._steps = tuple(steps)
        self._outputs = tuple([slots.of[out] for out in graph.outputs])

    def run(self, *inputs: Any) -> list[Any]:
        """As calling it, when NumPy's warnings are off already."""
        values = [*inputs, *self._rest]
        try:
            for node, kernel, a, b, more, out in self._steps:  # noqa: B007  (the handler reads node)
                if b is not None:
                    values[out] = kernel(values[a], values[b])  # type: ignore[index]  # b is never given without a
                elif a is not None:
                    values[out] = kernel(values[a])
                else:
                    values[out] = kernel(*more(values))  # type: ignore[misc]  # given when a is not
        except Exception as error:
            inputs = more(values) if more is not None else tuple([values[i] for i in (a, b) if i is not None])
            explained = explain(error, node, inputs)
            if explained is error:
                raise
            raise explained from None
        return [values[i] for i in self._outputs]

    __call__ = np.errstate(all="ignore")(run)  # as a decorator, entered faster than by `with`


def _settled(graph: Graph) -> Graph:
    """The graph to run: what only one branch of a lazy op needs is computed in that branch."""
    if not any(node.op.lazy for node in graph.nodes):
        return graph
    from refgraph.core.lazy import gathered

    return gathered(graph)


class _Slots:
    """Hands out slots to variables: inputs first, then constants, then what is computed, where slots are used again."""

    def __init__(self, graph: Graph) -> None:
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

    def _see(self, x: Variable) -> None:
        self._readers[x] = self._readers.get(x, 0) + 1
        if isinstance(x, Constant) and x not in self.of:
            self.of[x] = len(self.of)
            self.rest.append(x.value)

    def steps(self, node: Apply, kernel: Kernel) -> list[Step]:
        """The steps that run a node, split its outputs, and drop what nothing reads after it."""
        a, b, more = _addresses([self.of[x] for x in node.inputs])
        dead = [slot for x in node.inputs if (slot := self._released(x)) is not None]
        self._free += dead
        made = [x for x in node.outputs if x not in self.of]  # the others are inputs: what is given stands
        if len(node.outputs) == 1:
            out = self.of[node.outputs[0]] = self._take()
            steps: list[Step] = [(node, kernel, a, b, more, out)]
        else:
            every = self._take()
            steps = [(node, _counted(kernel, len(node.outputs)), a, b, more, every)]
            for x in made:
                self.of[x] = self._take()
                steps.append((node, itemgetter(x.index), every, None, None, self.of[x]))
            dead.append(every)
            self._free.append(every)
        unread = [self.of[x] for x in made if x not in self._readers]
        self._free += unread
        kept = {self.of[x] for x in made if x in self._readers}
        steps += [(node, _nothing, None, None, _no_inputs, i) for i in (*dead, *unread) if i not in kept]
        return steps

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        self.size += 1
        return self.size - 1

    def _released(self, x: Variable) -> int | None:
        self._readers[x] -= 1
        slot = self.of[x]
        return slot if self._readers[x] == 0 and slot >= self._outside else None


def _addresses(slots: list[int]) -> tuple[int | None, int | None, Callable[[Any], tuple[Any, ...]] | None]:
    if not slots:
        return None, None, _no_inputs
    if len(slots) == 1:
        return slots[0], None, None
    if len(slots) == 2:
        return slots[0], slots[1], None
    return None, None, itemgetter(*slots)


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
