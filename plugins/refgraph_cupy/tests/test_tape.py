"""Tapes: whose memory an address is, where arrays lie, and how launches are put on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgraph_cupy.blas import Operand, Product
from refgraph_cupy.device import Kernel, _Captured
from refgraph_cupy.host import HostArray
from refgraph_cupy.recording import ALIGNED, VIRTUAL, Launch, Recorder, Span, recording
from refgraph_cupy.tape import Like, Sides, planned

KERNEL, ONE = Kernel("nothing", ""), (1, 1, 1)


class Memory:
    """A device of addresses: what is allocated lies where the test says."""

    name = "memory"

    def __init__(self) -> None:
        self.next = 0
        self.put: list[Any] = []

    def empty(self, shape: Any, dtype: Any) -> Any:
        return self.next, int(np.prod(shape)) * np.dtype(dtype).itemsize

    def address(self, array: Any) -> int:
        return int(array.first)

    def launch(self, *launch: Any) -> None:
        self.put.append(launch)

    def multiply(self, product: Any) -> None:
        self.put.append(product)


class Block:
    """An array of so many bytes at an address."""

    def __init__(self, first: int, nbytes: int) -> None:
        self.first, self.nbytes = first, nbytes


def launch(recorder: Recorder, *numbers: int) -> list[int]:
    """What is noted of a launch with these arguments."""
    recorder.launch(KERNEL, ONE, ONE, np.array(numbers, np.int64))
    noted: Any = recorder.launches[-1]
    return [int(n) for n in noted.arguments]


# whose memory an address is


def test_addresses_are_noted_by_whose_they_are() -> None:
    recorder = Recorder(Memory())  # type: ignore[arg-type]
    a, b = recorder.watch(Block(1000, 100)), recorder.watch(Block(2000, 100))
    assert launch(recorder, 1000, 5, 2099, 1099, 1100, 999, -1) == [
        a.virtual, 5, b.virtual + 99, a.virtual + 99, 1100, 999, -1,
    ]  # fmt: skip
    assert (a.since, a.until, b.until) == (0, 0, 0)
    launch(recorder, 1001)
    assert (a.since, a.until, b.until) == (0, 1, 0)


def test_memory_that_is_used_again_is_another() -> None:
    recorder = Recorder(Memory())  # type: ignore[arg-type]
    old = recorder.watch(Block(1000, 512))
    assert launch(recorder, 1000) == [old.virtual]
    new = recorder.watch(Block(1256, 64))
    assert launch(recorder, 1256, 1000) == [new.virtual, 1000], "nothing is left of what was there"
    assert old.until == 0
    assert new.since == 1
    assert all([span.virtual >= VIRTUAL for span in recorder.spans])


def test_what_is_uploaded_where_something_was_is_not_that() -> None:
    memory: Any = Memory()
    memory.upload = lambda array: Block(1016, 16)
    recorder = Recorder(memory)
    recorder.watch(Block(1000, 512))
    recorder.upload(np.zeros(2))
    assert launch(recorder, 1016) == [1016]


def test_the_device_is_given_the_addresses_that_are_true() -> None:
    memory: Any = Memory()
    recorder = Recorder(memory)
    recorder.watch(Block(1000, 100))
    numbers = np.array([1000, 7], np.int64)
    recorder.launch(KERNEL, ONE, ONE, numbers)
    assert memory.put[0][3] is numbers
    assert numbers.tolist() == [1000, 7]


def test_products_are_noted_likewise() -> None:
    recorder = Recorder(Memory())  # type: ignore[arg-type]
    a = recorder.watch(Block(1000, 100))
    operands = tuple([Operand(address, False, 2, 4) for address in (1000, 1032, 5000)])
    recorder.multiply(Product("float64", (1, 2, 2, 2), operands, 1, 0))  # type: ignore[arg-type]
    noted: Any = recorder.launches[0]
    assert [x.address for x in noted.operands] == [a.virtual, a.virtual + 32, 5000]
    assert a.until == 0


def test_a_recording_of_too_many_launches_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refgraph_cupy.recording._MOST", 3)
    recorder = Recorder(Memory())  # type: ignore[arg-type]
    for _ in range(5):
        launch(recorder, 1)
    assert recorder.stopped == "it has more than 3 launches"
    assert len(recorder.launches) == 3


# where arrays lie


def span(size: int, since: int, until: int) -> Span:
    made = Span(0, size, 0)
    made.since, made.until = since, until
    return made


def overlapping(spans: Any, places: Any, lasting: Any = ()) -> list[tuple[int, int]]:
    """Pairs of arrays that are used at one time and share memory."""
    ends = {n: len(spans) if n in lasting else spans[n].until for n in places}
    return [
        (m, n)
        for m in places
        for n in places
        if m < n
        and spans[m].since <= ends[n]
        and spans[n].since <= ends[m]
        and places[m] < places[n] + spans[n].size
        and places[n] < places[m] + spans[m].size
    ]


def test_memory_is_used_again_when_it_is_free() -> None:
    spans = [span(1000, 0, 1), span(1000, 1, 2), span(1000, 2, 3), span(1000, 3, 4)]
    places, total = planned(spans, 0, {})
    assert total == 2 * 1024
    assert not overlapping(spans, places)


def test_what_lasts_is_not_used_again() -> None:
    spans = [span(1000, 0, 0), span(1000, 1, 1), span(1000, 2, 2)]
    places, total = planned(spans, 0, {0: False})
    assert total == 2 * 1024
    assert not overlapping(spans, places, [0])


def test_what_lies_elsewhere_takes_no_memory() -> None:
    spans = [span(1000, 0, 5), span(1000, 0, 0), span(1000, 1, 1), span(8, -1, -1)]
    places, total = planned(spans, 1, {1: True})
    assert set(places) == {2}, "inputs, new states and what is never used are not in the block"
    assert total == 1024


def test_gaps_beside_each_other_become_one() -> None:
    spans = [span(1024, 0, 0), span(1024, 0, 0), span(1024, 0, 2), span(2048, 1, 1)]
    places, total = planned(spans, 0, {})
    assert total == 3 * 1024
    assert not overlapping(spans, places)


@pytest.mark.parametrize("seed", range(5))
def test_no_two_arrays_of_one_time_share_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.integers(0, 200, 300))
    spans = [span(int(rng.integers(0, 5000)), int(s), int(s + rng.integers(0, 20))) for s in starts]
    lasting = {int(n): bool(n % 2) for n in rng.integers(0, 300, 10)}
    places, total = planned(spans, 3, lasting)
    assert not overlapping(spans, places, lasting)
    assert all([at % ALIGNED == 0 and at + spans[n].size <= total for n, at in places.items()])
    assert total < sum([s.size for s in spans]) / 3


# sides


def test_a_side_that_somebody_holds_is_replaced(counted: Any) -> None:
    sides = Sides(counted, [counted.upload(np.zeros(2)), counted.upload(np.ones(2))])
    first = sides.arrays[0]
    assert sides.side_of(first) == 0
    assert sides.side_of(sides.arrays[1]) == 1
    assert sides.side_of(None) is None
    assert sides.to_write(0) is not first
    again = sides.to_write(1)
    del again
    kept = id(sides.arrays[1])
    assert id(sides.to_write(1)) == kept


def test_a_view_holds_what_it_is_of(counted: Any) -> None:
    sides = Sides(counted, [counted.upload(np.zeros(4)), counted.upload(np.ones(4))])
    view = sides.arrays[0][1:].reshape(3, 1)
    before = id(sides.arrays[0])
    assert id(sides.to_write(0)) != before
    assert view.shape == (3, 1)


# arrays within others


@pytest.mark.parametrize("view", ["whole", "transposed", "backwards", "column", "element", "empty"])
def test_an_array_within_the_memory_of_another(counted: Any, view: str) -> None:
    owner = counted.upload(np.arange(12.0).reshape(3, 4))
    of = {
        "whole": lambda a: a, "transposed": lambda a: a.T, "backwards": lambda a: a[::-1, ::-2],
        "column": lambda a: a[:, 1], "element": lambda a: a[1, 2], "empty": lambda a: a[1:1],
    }[view]  # fmt: skip
    want = of(owner)
    offset = counted.address(want) - counted.address(owner)
    got = counted.within(owner, offset, Like(want.shape, want.dtype, want.strides))
    assert isinstance(got, HostArray)
    assert got.base is owner
    np.testing.assert_array_equal(counted.download(got), counted.download(want))


def test_the_hosts_arrays_are_not_numpys(counted: Any) -> None:
    array = counted.upload(np.arange(3.0))
    with pytest.raises(TypeError, match="downloaded"):
        np.asarray(array)
    with pytest.raises(TypeError):
        array + 1
    with pytest.raises(TypeError):
        float(array[0])
    assert array[0].shape == ()
    assert isinstance(array[0], HostArray)
    with pytest.raises(AssertionError, match="picked by kernels"):
        array[[0, 1]]


# recording is undone


def test_an_error_ends_the_recording(counted: Any) -> None:
    from refgraph_cupy.device import current

    with recording(counted) as recorder:
        assert current() is recorder
    with pytest.raises(ZeroDivisionError), recording(counted):
        raise ZeroDivisionError
    assert current() is counted


# how launches are put on a device


class Cuda:
    """A device that captures, or does not."""

    def __init__(self, refuses: str = "") -> None:
        self.put: list[Any] = []
        self.captured = self.launched = 0
        self._refuses = refuses

    def launch(self, *launch: Any) -> None:
        self.put.append(launch)

    def capture(self, launches: Any) -> Any:
        self.captured += 1
        if self._refuses:
            raise RuntimeError(self._refuses)
        cuda = self

        class Graph:
            def launch(self) -> None:
                cuda.launched += 1

        return Graph()


def work(cuda: Any, count: int = 3) -> _Captured:
    return _Captured(cuda, [Launch(KERNEL, ONE, ONE, np.array([n])) for n in range(count)])


def test_the_second_run_is_captured() -> None:
    cuda = Cuda()
    made = work(cuda)
    made.run()
    assert (len(cuda.put), cuda.captured, made.remark) == (3, 0, "launched one by one, as it ran once")
    for n in range(3):
        made.run()
        assert (len(cuda.put), cuda.captured, cuda.launched) == (3, 1, n + 1)
    assert made.remark == "one CUDA graph of 3 launches"


def test_what_cannot_be_captured_is_launched_one_by_one_and_says_why() -> None:
    cuda = Cuda("operation not permitted when stream is capturing")
    made = work(cuda)
    for n in range(4):
        made.run()
        assert len(cuda.put) == 3 * (n + 1)
    assert (cuda.captured, cuda.launched) == (1, 0), "it is tried once"
    assert made.remark == "launched one by one: RuntimeError: operation not permitted when stream is capturing"


def test_work_of_no_launches_is_not_captured() -> None:
    cuda = Cuda()
    made = work(cuda, 0)
    for _ in range(3):
        made.run()
    assert (cuda.captured, cuda.launched) == (0, 0)
