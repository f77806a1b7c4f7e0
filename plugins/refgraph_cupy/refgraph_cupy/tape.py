"""Tapes: the work that a call puts on the device, recorded, to be put there again for other values of the same shapes.

While a call is recorded its kernels run as ever, through a device that notes what is launched with which arguments.
What a call allocates is the tape's for as long as that lives, so that addresses stay true. On CUDA the tape is captured
as one CUDA graph (CUDA C++ Programming Guide, "CUDA Graphs") the second time it is wanted, and a call is one launch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from sys import getrefcount
from typing import Any, NamedTuple

import numpy as np

from refgraph_cupy.blas import Product
from refgraph_cupy.device import Array, Device, Kernel, Shape, using
from refgraph_cupy.known import Known


class Launch(NamedTuple):
    """A kernel, how many blocks of how many threads, and its arguments: int64, addresses among them."""

    kernel: Kernel
    grid: Shape
    block: Shape
    arguments: np.ndarray[Any, Any]

    def put(self, device: Device) -> None:
        """Put it on the device once more."""
        device.launch(self.kernel, self.grid, self.block, self.arguments)

    def moved(self, places: Mapping[tuple[int, int], int]) -> Launch:
        """The same with other memory: `places` says for ranges of addresses by how much they are moved."""
        arguments = self.arguments.copy()
        for (first, end), by in places.items():
            inside = (self.arguments >= first) & (self.arguments < end)
            arguments[inside] += by
        return self._replace(arguments=arguments)


class Recorder:
    """A device that notes what is put on it. `stopped` says why a recording is of no use, or is ""."""

    def __init__(self, device: Device) -> None:
        self.name, self._device = device.name, device
        self.launches: list[Launch | Product] = []
        self.kept: list[Any] = []
        self.flagged: Array = None
        self.faults: list[Exception] = []
        self.stopped = ""

    def empty(self, shape: Shape, dtype: Any) -> Array:
        array = self._device.empty(shape, dtype)
        if self._device.name == "host":  # which has no arena
            self.kept.append(array)
        return array

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        """A constant, or what follows from shapes: it is the same in every call that the tape is for."""
        uploaded = self._device.upload(array)
        self.kept.append(uploaded)
        return uploaded

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        self.stopped = self.stopped or "a value is needed on the host"
        return self._device.download(array)

    def owns(self, value: Any) -> bool:
        return self._device.owns(value)

    def fill(self, to: Array, value: Any) -> None:
        self._device.fill(to, value)

    def address(self, array: Array) -> int:
        return self._device.address(array)

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        self._device.launch(kernel, grid, block, arguments)
        self.launches.append(Launch(kernel, tuple(grid), tuple(block), arguments.astype(np.int64, copy=True)))

    def multiply(self, product: Product) -> None:
        self._device.multiply(product)
        self.launches.append(product)

    def argsort(self, array: Array) -> Array:
        self.stopped = self.stopped or "a sort is CuPy's own"
        return self._device.argsort(array)

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return self._device.broadcast(array, shape)

    def flag(self) -> Array:
        """A flag of the tape's own."""
        if self.flagged is None:
            self.flagged = self._device.upload(np.zeros(1, np.int32))
        return self.flagged

    def check(self, error: Exception) -> None:
        """Look at the flag when all is done."""
        self.faults.append(error)


@contextmanager
def recording(device: Device) -> Iterator[Recorder]:
    """What this thread puts on the current device is noted meanwhile. Its memory comes from an arena of its own."""
    recorder = Recorder(device)
    with device.arena() as arena, using(recorder):
        recorder.kept.append(arena)
        yield recorder


class Given(Known):
    """A single integer that a recorded call was given. It is read on the device, as all else; or on the host, and then
    what was recorded is true of that very number only."""

    slot: Array
    is_read: bool

    def there(self) -> Array:
        return self.slot

    def look(self) -> np.ndarray[Any, Any]:
        self.is_read = True
        return super().look()


def given(value: np.ndarray[Any, Any], slot: Array) -> Given:
    """The integer, and where it lies on the device."""
    made = np.array(value).view(Given)
    made.slot, made.is_read = slot, False
    return made


class Tape:
    """What one call put on the device: with where its inputs were read and its outputs came to lie.

    A state, an input that an output replaces, has two arrays. A call reads one side and writes the other, and the next
    call does the reverse: so an update costs no copy, and the old values stand until all is computed.
    """

    def __init__(
        self,
        recorder: Recorder,
        device: Device,
        slots: Sequence[Array],
        outputs: Sequence[Any],
        states: Mapping[int, int],
        fixed: Mapping[int, int],
    ) -> None:
        """slots: for each input the array that is read. states: outputs, by number, and the inputs that they replace.
        fixed: inputs, by number, and the integers that they must be."""
        self._device, self._kept, self._fixed = device, recorder.kept, dict(fixed)
        self._flag, self._faults = recorder.flagged, recorder.faults
        self.slots, self.outputs = list(slots), list(outputs)
        owned = [n for n in states if _is_own(outputs[n]) and sum([out is outputs[n] for out in outputs]) == 1]
        self.states = {n: states[n] for n in owned if not any([outputs[n] is slot for slot in slots])}
        self._works = [
            device.work(recorder.launches),
            device.work([x.moved(self._places()) for x in recorder.launches]),
        ]

    @property
    def remark(self) -> str:
        """How the launches are put on the device."""
        return self._works[0].remark

    def _places(self) -> dict[tuple[int, int], int]:
        """Where the memory of each state's two sides begins and ends, and how far the other side is from it."""
        found: dict[tuple[int, int], int] = {}
        for n, i in self.states.items():
            old, new = self.slots[i], self.outputs[n]
            a, b = self._device.address(old), self._device.address(new)
            found[a, a + old.nbytes] = b - a
            found[b, b + new.nbytes] = a - b
        return found

    def is_for(self, values: Sequence[Any]) -> bool:
        """Whether what was recorded is true of these values, of the shapes that it was recorded for."""
        return all([int(values[i]) == n for i, n in self._fixed.items()])

    def play(self, values: Sequence[Any]) -> list[Any] | None:
        """The outputs for these values: arrays of the device for states, NumPy's for all else. None where somebody
        holds an array that would be written over."""
        side = self._side(values)
        if side is None:
            return None
        device = self._device
        inputs = set(self.states.values())
        for i, (slot, value) in enumerate(zip(self.slots, values, strict=True)):
            if i not in inputs:
                device.fill(slot, value)
        self._works[side].run()
        if self._faults and device.download(self._flag)[0]:
            device.fill(self._flag, np.zeros(1, np.int32))
            raise self._faults[0]
        return [
            (self.slots[self.states[n]] if side else out) if n in self.states else answered(device, out)
            for n, out in enumerate(self.outputs)
        ]

    def _side(self, values: Sequence[Any]) -> int | None:
        """Which side holds the old values of the states; values that no side holds are copied there. None where the
        other side, or that, is somebody's."""
        if self.states and all([values[i] is self.outputs[n] for n, i in self.states.items()]):
            return 1 if all([_is_free(self.slots, i) for i in self.states.values()]) else None
        if not all([_is_free(self.outputs, n) for n in self.states]):
            return None
        for i in self.states.values():
            if values[i] is not self.slots[i]:
                if not _is_free(self.slots, i):
                    return None
                self._device.fill(self.slots[i], values[i])
        return 0


def answered(device: Device, out: Any) -> np.ndarray[Any, Any]:
    """An output, in memory of nobody else's."""
    return np.array(out, subok=False) if isinstance(out, Known) else device.download(out)


def _is_own(array: Array) -> bool:
    """Whether an array has its memory for itself."""
    return not isinstance(array, Known) and array.base is None and array.flags.c_contiguous


def _is_free(arrays: list[Array], n: int) -> bool:
    """Whether nothing but the list holds an array."""
    return getrefcount(arrays[n]) <= _ALONE


_ALONE = getrefcount([np.empty(0)][0]) + 1
