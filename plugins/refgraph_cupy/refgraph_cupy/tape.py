"""Tapes: the work that a call put on the device, to be put there again for other values of the same shapes.

A tape says where the arrays lie that a recorded call used. What it only computes with lies in one block, in which
memory is used again by what comes later. A state, an input that an output replaces, has two sides: a call reads one and
writes the other, and the next call does the reverse; so an update costs no copy, and the old values stand until all is
computed.

On CUDA the work is captured as one CUDA graph (CUDA C++ Programming Guide, "CUDA Graphs") the second time it is wanted,
and a call is one launch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any, NamedTuple

import numpy as np

from refgraph_cupy.device import Array, Device
from refgraph_cupy.known import Known, known
from refgraph_cupy.recording import ALIGNED, VIRTUAL, Recorder, Span

_WAYS = 4
"""Places where inputs are read as they lie; if they lie at ever more, they are copied to one."""


class Sides:
    """The two arrays of a state. Nobody writes into one that somebody else holds, too: it is replaced."""

    def __init__(self, device: Device, arrays: Sequence[Array]) -> None:
        self._device, self.arrays = device, list(arrays)

    def side_of(self, value: Any) -> int | None:
        """Which of them a value is."""
        return next((side for side, array in enumerate(self.arrays) if array is value), None)

    def to_write(self, side: int) -> Array:
        """The array of this side, which nobody else holds."""
        if getrefcount(self.arrays[side]) > _ALONE:
            old = self.arrays[side]
            self.arrays[side] = self._device.empty(old.shape, old.dtype)
        return self.arrays[side]


def _alone() -> int:
    """How many references are counted to what only a list holds."""
    arrays = [object()]
    return getrefcount(arrays[0])


_ALONE = _alone()


class Like(NamedTuple):
    """What an array is apart from where it lies."""

    shape: Any
    dtype: Any
    strides: Any


class Output(NamedTuple):
    """Where an output lies: so many bytes after the beginning of the memory of that number."""

    memory: int
    offset: int
    like: Like


class Tape:
    """One call, recorded."""

    def __init__(
        self,
        recorder: Recorder,
        device: Device,
        inputs: Sequence[Array],
        outputs: Sequence[Any],
        states: Mapping[int, int],
        fixed: Mapping[int, int],
    ) -> None:
        """inputs: the arrays that were read, watched by the recorder before all else, in this order. states: outputs,
        by number, that are wanted as arrays of the device, and the inputs that they replace. fixed: inputs, by number,
        and the integers that they must be."""
        self._device, self._kept, self._fixed, self._states = device, recorder.kept, dict(fixed), dict(states)
        self._flag, self._faults, self._launches = recorder.flagged, recorder.faults, recorder.launches
        self._count = len(inputs)
        self._inputs = [Like(a.shape, a.dtype, a.strides) for a in inputs]
        self._slots: list[Array] = [None] * len(inputs)
        self._in_place = True
        numbers = {span: n for n, span in enumerate(recorder.spans)}
        self._outputs = [_place(device, recorder, numbers, out) for out in outputs]
        self.swapped = {n: i for n, i in states.items() if self._can_swap(n, i, outputs[n])}
        self.sides: dict[int, Sides] = {}
        self._starts = np.array([span.virtual for span in recorder.spans], np.int64)
        self._planned, size = planned(recorder.spans, self._count, self._last_until())
        self._block = device.empty((size,), np.uint8)
        self._works: dict[tuple[int, ...], Any] = {}
        self._ways: set[tuple[int, ...]] = set()

    def _can_swap(self, n: int, i: int, out: Any) -> bool:
        """Whether an output has memory of its own, as large as that of the state, and is the first that lies there."""
        place = self._outputs[n]
        if not isinstance(place, Output) or place.memory < self._count or not is_whole(self._device, out):
            return False
        others = [self._outputs[k] for k in self._states if k < n]
        is_first = all([not isinstance(p, Output) or p.memory != place.memory for p in others])
        return is_first and (out.shape, out.dtype) == self._inputs[i][:2]

    def _last_until(self) -> Mapping[int, bool]:
        """The memory, by number, in which outputs lie when all is done; and whether it is that of a new state."""
        new = {self._outputs[n].memory for n in self.swapped}
        return {p.memory: p.memory in new for p in self._outputs if isinstance(p, Output)}

    @property
    def remark(self) -> str:
        """How the launches are put on the device."""
        remarks = dict.fromkeys([work.remark for work in self._works.values()])
        return "; ".join(remarks) or f"{len(self._launches)} launches, recorded"

    def is_for(self, values: Sequence[Any]) -> bool:
        """Whether what was recorded is true of these values, of the shapes that it was recorded for."""
        return all([_integer(self._device, values[i]) == n for i, n in self._fixed.items()])

    def play(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these values: arrays of the device for states, NumPy's for all else.

        The new values of the states that are swapped come to lie on the other side than the old ones; where these lie
        on none, they are copied.
        """
        device, sides, side = self._device, self.sides, self._side(values)
        new = {n: sides[i].to_write(1 - side) for n, i in self.swapped.items()}
        arrays = [self._state(sides[i], side, v) if i in sides else self._input(i, v) for i, v in enumerate(values)]
        self._work(arrays, new).run()
        if self._faults and device.download(self._flag)[0]:
            device.fill(self._flag, np.zeros(1, np.int32))
            raise self._faults[0]
        owners = {**dict(enumerate(arrays)), **{self._outputs[n].memory: array for n, array in new.items()}}
        found = []
        for n, place in enumerate(self._outputs):
            if isinstance(place, Output) and n not in new:
                offset = place.offset + (0 if place.memory in owners else self._planned[place.memory])
                place = device.within(owners.get(place.memory, self._block), offset, place.like)
            found.append(new[n] if n in new else answered(device, place, n in self._states))
        return found

    def _side(self, values: Sequence[Any]) -> int:
        """The side on which most old values lie."""
        at = [sides.side_of(values[i]) for i, sides in self.sides.items()]
        return int(at.count(1) > at.count(0))

    def _state(self, sides: Sides, side: int, value: Any) -> Array:
        """The old value of a state, on this side."""
        if sides.arrays[side] is not value:
            self._device.fill(sides.to_write(side), value)
        return sides.arrays[side]

    def _input(self, i: int, value: Any) -> Array:
        """An input where the device can read it: as it lies, or copied to where the last ones lay."""
        device = self._device
        if self._in_place and device.owns(value) and is_whole(device, value):
            return value
        if self._slots[i] is None:
            self._slots[i] = device.empty(*self._inputs[i][:2])
        device.fill(self._slots[i], value)
        return self._slots[i]

    def _work(self, arrays: Sequence[Array], new: Mapping[int, Array]) -> Any:
        """The launches, for inputs and new states that lie so."""
        address = self._device.address
        places, others = [address(a) for a in arrays], [address(a) for a in new.values()]
        key = (*places, *others)
        if key not in self._works:
            self._ways.add(tuple([place for i, place in enumerate(places) if i not in self.swapped.values()]))
            self._in_place = len(self._ways) < _WAYS
            while len(self._works) >= 2 * _WAYS:
                self._works.pop(next(iter(self._works)))
            self._works[key] = self._device.work(self._moved(arrays, new))
        return self._works[key]

    def _moved(self, arrays: Sequence[Array], new: Mapping[int, Array]) -> list[Any]:
        address = self._device.address
        by = address(self._block) - self._starts
        for n, offset in self._planned.items():
            by[n] += offset
        for n, array in enumerate(arrays):
            by[n] = address(array) - self._starts[n]
        for n, array in new.items():
            memory = self._outputs[n].memory
            by[memory] = address(array) - self._starts[memory]

        def move(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            found = numbers.copy()
            inside = numbers >= VIRTUAL
            found[inside] += by[np.searchsorted(self._starts, numbers[inside], "right") - 1]
            return found

        return [launch.moved(move) for launch in self._launches]


def _place(device: Device, recorder: Recorder, numbers: Mapping[Span, int], out: Any) -> Output | Any:
    """Where an output lies; or itself, where it is the same in all calls."""
    if isinstance(out, Known):
        return known(out)
    address = device.address(out)
    span = recorder.span_at(address) if out.size else None
    return out if span is None else Output(numbers[span], address - span.first, Like(out.shape, out.dtype, out.strides))


def _integer(device: Device, value: Any) -> int:
    return int(device.download(value) if device.owns(value) else value)


def answered(device: Device, out: Any, stays: bool) -> Any:
    """An output, in memory of nobody else's: an array of the device where it stays there, else one of NumPy's."""
    if isinstance(out, Known):
        return known(out) if stays else np.array(out, subok=False)
    if not stays:
        return device.download(out)
    copy = device.empty(out.shape, out.dtype)
    device.fill(copy, out)
    return copy


def is_whole(device: Device, array: Array) -> bool:
    """Whether an array has its memory for itself, as C lays it, and begins where any unit may."""
    return array.base is None and bool(array.flags.c_contiguous) and device.address(array) % 16 == 0


def planned(spans: Sequence[Span], first: int, lasting: Mapping[int, bool]) -> tuple[dict[int, int], int]:
    """Where in one block memory lies, by number from `first` on, and how large that is: what is used at a time does not
    overlap. Each takes the smallest gap that is large enough when it is first used.

    lasting: memory that is used to the end, and whether it lies elsewhere.
    """
    found: dict[int, int] = {}
    ends: list[tuple[int, int, int]] = []
    gaps: list[tuple[int, int]] = []
    total = 0
    used = [n for n in range(first, len(spans)) if spans[n].until >= 0 or n in lasting]
    for n in sorted(used, key=lambda n: spans[n].since):
        if lasting.get(n):
            continue
        size = -(-max(spans[n].size, 1) // ALIGNED) * ALIGNED
        while ends and ends[0][0] < spans[n].since:
            _, at, length = heappop(ends)
            _give_back(gaps, at, length)
        at, length = min([gap for gap in gaps if gap[1] >= size], key=lambda gap: gap[1], default=(total, 0))
        if length:
            gaps.remove((at, length))
            if length > size:
                gaps.append((at + size, length - size))
        else:
            total += size
        found[n] = at
        if n not in lasting:
            heappush(ends, (spans[n].until, at, size))
    return found, total


def _give_back(gaps: list[tuple[int, int]], at: int, size: int) -> None:
    """Add a gap, as one with those beside it."""
    for gap in [g for g in gaps if g[0] + g[1] == at or at + size == g[0]]:
        gaps.remove(gap)
        at, size = min(at, gap[0]), size + gap[1]
    gaps.append((at, size))
