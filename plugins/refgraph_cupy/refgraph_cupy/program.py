"""Whole functions on the device: kernels one after the other, recorded for each set of shapes and then replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import Backend, Constant, Graph, TensorType
from refgraph_cupy.device import Array, Device, current
from refgraph_cupy.known import Known, known
from refgraph_cupy.tape import Given, Tape, answered, given, recording

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
        device = current()
        values: list[Any] = [*arrays, *[None] * (self.count - len(arrays))]
        for i, value in self.constants:
            values[i] = _there(device, value)
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
        self._lock = Lock()

    @property
    def remarks(self) -> list[str]:
        """How calls of each set of shapes are put on the device, and why one by one, where they are."""
        found = []
        for key, tapes in self._tapes.items():
            said = tapes if isinstance(tapes, str) else "; ".join(dict.fromkeys([t.remark for t in tapes]))
            found.append(f"{_said(key)}: {said}")
        return found

    def __call__(self, *values: Any) -> list[Any]:
        key = tuple([(v.shape, v.dtype.char) for v in values])
        tapes = self._tapes.setdefault(key, [])
        if isinstance(tapes, str) or not self._lock.acquire(blocking=False):
            return self._once(values)
        try:
            for tape in tapes:
                if tape.is_for(values):
                    results = tape.play(values)
                    if results is not None:
                        return results
                    tapes.remove(tape)
                    break
            return self._recorded(key, values)
        finally:
            self._lock.release()

    def _once(self, values: Sequence[Any]) -> list[Any]:
        """A call that leaves no trace."""
        device = current()
        return self._kernels(*[_there(device, v) for v in values])

    def _recorded(self, key: Any, values: Sequence[Any]) -> list[Any]:
        device = current()
        states = {n: i for n, i in self._states.items() if device.owns(values[i])}
        with recording(device) as recorder:
            slots = [v if i in states.values() else _own(device, v) for i, v in enumerate(values)]
            inputs = [given(v, s) if _is_number(v) else s for v, s in zip(values, slots, strict=True)]
            outputs = self._kernels(*inputs)
        if recorder.faults and device.download(recorder.flagged)[0]:
            raise recorder.faults[0]
        if recorder.stopped:
            self._tapes[key] = f"launched one by one: {recorder.stopped}"
            return outputs
        fixed = {i: int(v) for i, v in enumerate(inputs) if isinstance(v, Given) and v.is_read}
        self._keep(key, Tape(recorder, device, slots, outputs, states, fixed))
        return [out if n in states and device.owns(out) else answered(device, out) for n, out in enumerate(outputs)]

    def _keep(self, key: Any, tape: Tape) -> None:
        tapes = self._tapes[key]
        assert isinstance(tapes, list)
        tapes.append(tape)
        if len(tapes) > _TAPES:
            self._tapes[key] = "launched one by one: integers that decide where or how much differ from call to call"
        while len(self._tapes) > _TAPES:
            self._tapes.pop(next(iter(self._tapes)))


def _is_number(value: Any) -> bool:
    return value.ndim == 0 and value.dtype.kind in "iu"


def _there(device: Device, value: Any) -> Any:
    """A value as kernels take it."""
    if device.owns(value) or isinstance(value, Known):
        return value
    return known(value) if _is_number(value) else device.upload(value)


def _own(device: Device, value: Any) -> Array:
    """A copy on the device."""
    slot = device.empty(value.shape, value.dtype)
    device.fill(slot, np.asarray(value) if isinstance(value, Known) else value)
    return slot


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

    def compile(inner: Graph) -> Any:
        if inner not in inside:
            found = kernels(inner, backend)
            if found is None:
                raise Declined
            inside[inner] = found
        return inside[inner]

    found: list[Any] = []
    for node in graph.nodes:
        try:
            kernel = backend.find(node, compile)
        except Declined:
            return None
        if isinstance(kernel, str):
            return None
        found.append(kernel)
    return Kernels(graph, found)


class Declined(Exception):
    """A graph that an op holds has an op without a kernel."""
