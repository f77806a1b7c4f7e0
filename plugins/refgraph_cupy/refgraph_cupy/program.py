"""Whole functions on the device: kernels one after the other, recorded for each set of shapes and then replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from refgraph.backend import Backend, Constant, Fused, Graph, TensorType
from refgraph_cupy.device import Array, Device, current
from refgraph_cupy.known import Given, Known, given, known
from refgraph_cupy.recording import recording
from refgraph_cupy.tape import Sides, Tape, answered, is_whole

_TAPES = 16
"""Sets of shapes that a function keeps a tape for."""


class _Step(NamedTuple):
    """A node: its kernel, where its inputs and outputs are among the values, and which are read for the last time."""

    run: Callable[..., Any]
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    last: tuple[int, ...]


class Kernels:
    """A graph as kernels, between arrays of the device."""

    def __init__(self, graph: Graph, found: Sequence[Callable[..., Any]]) -> None:
        numbers: dict[Any, int] = {x: i for i, x in enumerate(graph.inputs)}
        self.constants: list[tuple[int, Any]] = []
        self._uploaded: list[tuple[int, Any]] | None = None
        last: dict[int, int] = {}
        places: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        for n, node in enumerate(graph.nodes):
            ins = tuple([self._number(x, numbers) for x in node.inputs])
            outs = tuple([numbers.setdefault(x, len(numbers)) for x in node.outputs])
            last.update(dict.fromkeys((*ins, *outs), n))
            places.append((ins, outs))
        self.outputs = [self._number(x, numbers) for x in graph.outputs]
        self.count = len(numbers)
        kept = {*self.outputs, *[i for i, _ in self.constants]}
        self.steps = [
            _Step(run, ins, outs, tuple([i for i in {*ins, *outs} if last[i] == n and i not in kept]))
            for n, (run, (ins, outs)) in enumerate(zip(found, places, strict=True))
        ]

    def _number(self, x: Any, numbers: dict[Any, int]) -> int:
        if x not in numbers:
            numbers[x] = len(numbers)
            self.constants.append((numbers[x], x.value))
        return numbers[x]

    def __call__(self, *arrays: Any) -> list[Any]:
        if self._uploaded is None:
            device = current()
            self._uploaded = [(i, _there(device, value)) for i, value in self.constants]
        values: list[Any] = [*arrays, *[None] * (self.count - len(arrays))]
        for i, array in self._uploaded:
            values[i] = array
        for step in self.steps:
            results = step.run(*[values[i] for i in step.ins])
            if len(step.outs) == 1:
                values[step.outs[0]] = results
            else:
                for i, value in zip(step.outs, results, strict=True):
                    values[i] = value
            for i in step.last:
                values[i] = None
        return [values[i] for i in self.outputs]


class Program:
    """A function that runs on the device as a whole. For each set of shapes it is recorded at the first call."""

    def __init__(self, kernels: Kernels, states: Mapping[int, int]) -> None:
        self._kernels, self._states = kernels, dict(states)
        self._tapes: dict[Any, list[Tape] | str] = {}
        self._sides: WeakValueDictionary[Any, Sides] = WeakValueDictionary()
        self._lock = RLock()
        self._is_busy = False

    @property
    def remarks(self) -> list[str]:
        """How calls of each set of shapes are put on the device, and why one by one, where they are."""
        found = []
        for key, tapes in list(self._tapes.items()):
            said = tapes if isinstance(tapes, str) else "; ".join(dict.fromkeys([t.remark for t in tapes]))
            found.append(f"{_said(key)}: {said}")
        return found

    def free(self) -> None:
        """Give back what is kept from call to call."""
        with self._lock:
            self._tapes.clear()

    def __call__(self, *values: Any) -> list[Any]:
        key = tuple([(v.shape, v.dtype.char) for v in values])
        with self._lock:  # as a device runs one call after the other
            tapes = self._tapes.get(key, ())
            if self._is_busy or isinstance(tapes, str):
                return self._once(values)
            self._is_busy = True
            try:
                for tape in tapes:
                    if tape.is_for(values):
                        return tape.play(values)
                return self._recorded(key, values)
            finally:
                self._is_busy = False

    def _once(self, values: Sequence[Any]) -> list[Any]:
        """A call that leaves no trace."""
        device = current()
        return self._kernels(*[_there(device, v) for v in values])

    def _recorded(self, key: Any, values: Sequence[Any]) -> list[Any]:
        device = current()
        slots = _slots(device, values)
        read: set[int] = set()
        with recording(device) as recorder:
            for slot in slots:
                recorder.watch(slot)
            inputs = [
                given(v, frozenset([i]), lambda slot=slot: slot, read) if _is_number(v) else slot  # type: ignore[misc]
                for i, (v, slot) in enumerate(zip(values, slots, strict=True))
            ]
            found = self._kernels(*inputs)
            outputs = [out.there() if isinstance(out, Given) and not out.is_fixed else out for out in found]
        if recorder.faults and device.download(recorder.flagged)[0]:
            raise recorder.faults[0]
        states = {n: i for n, i in self._states.items() if device.owns(values[i]) or isinstance(values[i], Known)}
        new: Mapping[int, int] = {}
        if recorder.stopped:
            self._tapes[key] = f"launched one by one: {recorder.stopped}"
        else:
            tape = Tape(recorder, device, slots, outputs, states, {i: int(values[i]) for i in read})
            self._keep(key, tape)
            new = tape.swapped
            for n, i in new.items():
                sides = Sides(device, [slots[i], outputs[n]])
                tape.sides[i] = self._sides.setdefault((i, slots[i].shape, slots[i].dtype), sides)
        return [out if n in new else answered(device, out, n in states) for n, out in enumerate(outputs)]

    def _keep(self, key: Any, tape: Tape) -> None:
        tapes = self._tapes.get(key, ())
        self._tapes[key] = [*tapes, tape]
        if len(tapes) >= _TAPES:
            self._tapes[key] = "launched one by one: integers that decide where or how much differ from call to call"
        while len(self._tapes) > _TAPES:
            self._tapes.pop(next(iter(self._tapes)))


def _is_number(value: Any) -> bool:
    """Whether a value is a single integer that the host knows."""
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iu"


def _there(device: Device, value: Any) -> Any:
    """A value as kernels take it."""
    if device.owns(value) or isinstance(value, Known):
        return value
    return known(value) if _is_number(value) else device.upload(value)


def _slots(device: Device, values: Sequence[Any]) -> list[Array]:
    """The values on the device, each in memory that it has for itself."""
    found: list[Array] = []
    taken: list[tuple[int, int]] = []
    for value in values:
        slot = value if device.owns(value) else device.upload(np.asarray(value))
        first = device.address(slot)
        if not is_whole(device, slot) or any([first < e and b < first + slot.nbytes for b, e in taken]):
            slot = device.empty(value.shape, value.dtype)
            device.fill(slot, value)
            first = device.address(slot)
        taken.append((first, first + slot.nbytes))
        found.append(slot)
    return found


def _said(key: Any) -> str:
    return ", ".join([f"{np.dtype(d)}{list(shape)}" for shape, d in key])


def program(graph: Graph, backend: Backend, states: Mapping[int, int]) -> Program | None:
    """A graph as one program; None where some of it has no kernel."""
    if not all([isinstance(x.type, TensorType) for node in graph.nodes for x in (*node.inputs, *node.outputs)]):
        return None
    if any([isinstance(x, Constant) for x in graph.outputs]) or not graph.nodes:
        return None
    made = kernels(graph, backend)
    return None if made is None else Program(made, states)


def kernels(graph: Graph, backend: Backend) -> Kernels | None:
    """A graph as kernels; None where some of it has none."""
    inside: dict[Graph, Kernels] = {}
    for inner in [g for node in graph.nodes if not isinstance(node.op, Fused) for g in getattr(node.op, "graphs", ())]:
        made = inside.get(inner) or kernels(inner, backend)
        if made is None:
            return None
        inside[inner] = made
    found = [backend.find(node, inside.__getitem__) for node in graph.nodes]
    return None if any([isinstance(kernel, str) for kernel in found]) else Kernels(graph, found)  # type: ignore[arg-type]
