"""What a call puts on the device, noted: launches, and what memory they read and write.

While a call is recorded its kernels run as ever, through a device that notes what is launched with which arguments.
Memory is used again by whoever comes next, so an address alone does not tell whose it is. The recorder gives each array
that is allocated addresses of its own, `virtual` ones, and notes these; a tape (tape.py) then says where each array is
to lie.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from refgraph_cupy.blas import Product
from refgraph_cupy.device import Array, Device, Kernel, Shape, Work, using

Move = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
"""From addresses, among other numbers, to where what lies there is to lie instead; other numbers stay as they are."""

VIRTUAL = 1 << 62
"""Where virtual addresses begin: no device has memory there, and no array so many elements."""
ALIGNED = 256
_MOST = 1 << 16
"""Launches that are kept: more are not worth the memory that they take."""


class Launch(NamedTuple):
    """A kernel, how many blocks of how many threads, and its arguments: int64, addresses among them."""

    kernel: Kernel
    grid: Shape
    block: Shape
    arguments: np.ndarray[Any, Any]

    def put(self, device: Device) -> None:
        """Put it on the device once more."""
        device.launch(self.kernel, self.grid, self.block, self.arguments)

    def moved(self, move: Move) -> Launch:
        """The same with other memory."""
        return self._replace(arguments=move(self.arguments))


class Span:
    """The memory of an array: where it lay, and its virtual address; and the launches, by number, from the first to
    the last that use it."""

    __slots__ = ("first", "since", "size", "until", "virtual")

    def __init__(self, first: int, size: int, virtual: int) -> None:
        self.first, self.size, self.virtual = first, size, virtual
        self.since, self.until = -1, -1


class Recorder:
    """A device that notes what is put on it. `stopped` says why a recording is of no use, or is ""."""

    def __init__(self, device: Device) -> None:
        self.name, self._device = device.name, device
        self.launches: list[Launch | Product] = []
        self.spans: list[Span] = []
        self.kept: list[Any] = []
        self.flagged: Array = None
        self.faults: list[Exception] = []
        self.stopped = ""
        self._starts: list[int] = []
        self._by_start: dict[int, Span] = {}
        self._end = 0
        self._virtual = VIRTUAL

    # memory

    def watch(self, array: Array) -> Span:
        """Tell the memory of an array, which has it for itself, from all other."""
        first, size = self._device.address(array), int(array.nbytes)
        self._forget(first, size)
        span = Span(first, size, self._virtual)
        self._virtual += (size // ALIGNED + 2) * ALIGNED  # also the address of the end is not another's
        self.spans.append(span)
        if size:
            self._starts.insert(bisect_left(self._starts, first), first)
            self._by_start[first] = span
            self._end = max(self._end, first + size)
        return span

    def _forget(self, first: int, size: int) -> None:
        """What lay there does so no more."""
        if not size:
            return
        low, high = [bisect_left(self._starts, at) for at in (first, first + size)]
        if low and first < self._starts[low - 1] + self._by_start[self._starts[low - 1]].size:
            low -= 1
        for start in self._starts[low:high]:
            del self._by_start[start]
        del self._starts[low:high]

    def span_at(self, address: int) -> Span | None:
        """The memory that is watched there."""
        n = bisect_right(self._starts, address)
        span = self._by_start[self._starts[n - 1]] if n else None
        return span if span is not None and address < span.first + span.size else None

    def _noted(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Virtual addresses instead of those of watched memory, which the launch to come uses."""
        found = np.array(numbers, np.int64)
        if self._starts:
            for k in np.flatnonzero((found >= self._starts[0]) & (found < self._end)):
                span = self.span_at(int(found[k]))
                if span is not None:
                    found[k] += span.virtual - span.first
                    span.until = len(self.launches)
                    span.since = span.until if span.since < 0 else span.since
        return found

    # what a device does

    def empty(self, shape: Shape, dtype: Any) -> Array:
        array = self._device.empty(shape, dtype)
        self.watch(array)
        return array

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        """A constant, or what follows from shapes: it is the same in every call that the tape is for."""
        uploaded = self._device.upload(array)
        self._forget(self._device.address(uploaded), uploaded.nbytes)
        self.kept.append(uploaded)
        return uploaded

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        self.stop("a value is needed on the host")
        return self._device.download(array)

    def stop(self, why: str) -> None:
        """Say that the recording is of no use."""
        self.stopped = self.stopped or why

    def owns(self, value: Any) -> bool:
        return self._device.owns(value)

    def fill(self, to: Array, value: Any) -> None:
        self.stop("an array is filled by the host")
        self._device.fill(to, value)

    def address(self, array: Array) -> int:
        return self._device.address(array)

    def within(self, owner: Array, offset: int, like: Any) -> Array:
        return self._device.within(owner, offset, like)

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        self._device.launch(kernel, grid, block, arguments)
        self._note(Launch(kernel, tuple(grid), tuple(block), arguments))

    def multiply(self, product: Product) -> None:
        self._device.multiply(product)
        self._note(product)

    def _note(self, launch: Launch | Product) -> None:
        if len(self.launches) == _MOST:
            self.stop(f"it has more than {_MOST} launches")
        if not self.stopped:
            self.launches.append(launch.moved(self._noted))

    def work(self, launches: Sequence[Any]) -> Work:
        return self._device.work(launches)

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return self._device.broadcast(array, shape)

    def flag(self) -> Array:
        """A flag of the tape's own."""
        if self.flagged is None:
            self.flagged = self.upload(np.zeros(1, np.int32))
        return self.flagged

    def memory(self) -> tuple[int, int]:
        return self._device.memory()

    def check(self, error: Exception) -> None:
        """Look at the flag when all is done."""
        self.faults.append(error)


@contextmanager
def recording(device: Device) -> Iterator[Recorder]:
    """What this thread puts on the current device is noted meanwhile."""
    recorder = Recorder(device)
    with using(recorder):
        yield recorder
