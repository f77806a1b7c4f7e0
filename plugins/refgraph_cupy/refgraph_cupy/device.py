"""Where kernels run: a CUDA device through CuPy, or the host, on which the same kernels are tested without a device.

Nothing here touches a device before something is to be computed on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import local
from typing import Any, NamedTuple, Protocol

import numpy as np

from refgraph import config
from refgraph_cupy import blas, special
from refgraph_cupy.faults import Faults

HEADERS = Path(__file__).parent / "cuda"
BARRIER = "__syncthreads"

Shape = Sequence[int]
Array = Any
"""An array of the device: CuPy's, or on the host one of NumPy's of a class of its own."""


class Kernel(NamedTuple):
    """A function in CUDA's language, by its name, and the text that defines it.

    It takes one struct, `Arguments`, of 8-byte integers and pointers.
    """

    name: str
    body: str

    @property
    def source(self) -> str:
        """The whole text: what the body is written in, and the body in its namespace."""
        words = set(_WORD.findall(self.body))
        lines = [f"#define {flag}" for flag, named in _FLAGS.items() if named & words]
        lines += ['#include "platform.h"', '#include "types.h"']
        lines += [f'#include "{header}"' for header, named in _HEADERS_OF.items() if named & words]
        if "special" in words:
            lines.append(special.defined(self.body))
        return "\n".join([*lines, "namespace rg {", self.body, "}", f"RG_MADE({self.name})", ""])

    @property
    def headers(self) -> list[Path]:
        """The headers of ours that it is made of, apart from the platform's."""
        return [HEADERS / name for name in ("types.h", *_HEADERS_OF, "special.h") if f'"{name}"' in self.source]


_WORD = re.compile(r"\w+")
_COMPLEX = {"complex64", "complex128", "special"}
_FLAGS = {"RG_COMPLEX": _COMPLEX, "RG_HALF": {"float16"}, "RG_BARRIERS": {BARRIER}}
_COUNTS = {"successes", "events"}
_HEADERS_OF = {
    "complex.h": _COMPLEX,
    "folds.h": {"folds"},
    "order.h": {"precedes"},
    "philox.h": {"philox", *_COUNTS},
    "counts.h": _COUNTS,
}
"""Which words of a body tell what it needs."""


class Device(Protocol):
    """What programs need of a device."""

    name: str

    def empty(self, shape: Shape, dtype: Any) -> Array:
        """A new array, as C lays it, of whatever is there."""

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        """An array of the device with these elements."""

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        """An array of NumPy's with these elements."""

    def address(self, array: Array) -> int:
        """Where the first element lies."""

    def broadcast(self, array: Array, shape: Shape) -> Array:
        """The same elements, repeated without a copy. Raises ValueError where the shape does not fit."""

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        """Run a kernel: `grid` blocks of `block` threads, three lengths each. `arguments` are int64."""

    def multiply(self, product: blas.Product) -> None:
        """Compute a product of matrices in memory."""

    def flag(self) -> Array:
        """What kernels set where they find something wrong: see faults.py."""

    def check(self, error: Exception) -> None:
        """Raise an error if one has."""

    def memory(self) -> tuple[int, int]:
        """How many bytes of its memory are free, and how many there are."""

    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this device."""

    def fill(self, to: Array, value: Any) -> None:
        """Copy an array of NumPy's, or of the device, into one of the same shape and dtype."""

    def within(self, owner: Array, offset: int, like: Any) -> Array:
        """An array in the memory of another, from so many bytes on: `like` has its shape, dtype and strides."""

    def work(self, launches: Sequence[Any]) -> Work:
        """Launches to be put on the device again and again, in this order."""


class Work(Protocol):
    """Launches as one piece of work. `remark` says how they are put on the device."""

    remark: str

    def run(self) -> None:
        """Put all of them on the device."""


class Cuda(Faults):
    """The current device of CuPy's. Work is put on CuPy's current stream."""

    name = "cuda"

    def __init__(self) -> None:
        import cupy

        super().__init__()
        self._cupy = cupy
        self._made: dict[Kernel, int] = {}
        self._modules: list[Any] = []
        self._capturing = local()

    def empty(self, shape: Shape, dtype: Any) -> Array:
        return self._cupy.empty(tuple(shape), dtype)

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        return self._cupy.asarray(array, order="C")

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        return self._cupy.asnumpy(array)  # type: ignore[no-any-return]

    def address(self, array: Array) -> int:
        return int(array.data.ptr)

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return self._cupy.broadcast_to(array, tuple(shape))

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        function = self._made.get(kernel)
        if function is None:
            function = self._made[kernel] = self._compiled(kernel)
        pointers = np.array([arguments.ctypes.data], np.uintp)
        stream = self._cupy.cuda.get_current_stream().ptr
        self._cupy.cuda.driver.launchKernel(function, *grid, *block, 0, stream, pointers.ctypes.data, 0)
        self._wait()

    def _wait(self) -> None:
        """Where the flag debug_sync is set, an error of what was launched is raised here."""
        if config.debug_sync:
            self._cupy.cuda.get_current_stream().synchronize()

    def _compiled(self, kernel: Kernel) -> int:
        """The address of the kernel's function, which is there as long as the module is. CuPy keeps what it compiled,
        on disk, by content."""
        module = self._cupy.RawModule(code=kernel.source, options=(f"-I{HEADERS / 'device'}", f"-I{HEADERS}", *OPTIONS))
        self._modules.append(module)
        return int(module.get_function(kernel.name).kernel.ptr)

    def multiply(self, product: blas.Product) -> None:
        stream, allocate = self._cupy.cuda.get_current_stream().ptr, self._cupy.cuda.alloc
        blas.gemm(*product, stream, allocate)
        self._wait()

    def memory(self) -> tuple[int, int]:
        return self._cupy.cuda.runtime.memGetInfo()  # type: ignore[no-any-return]

    def owns(self, value: Any) -> bool:
        return isinstance(value, self._cupy.ndarray)

    def fill(self, to: Array, value: Any) -> None:
        if isinstance(value, np.ndarray):
            to.set(np.asarray(value))
        else:
            to[...] = value

    def within(self, owner: Array, offset: int, like: Any) -> Array:
        return self._cupy.ndarray(like.shape, like.dtype, owner.data + offset, like.strides)

    def work(self, launches: Sequence[Any]) -> Work:
        return _Captured(self, launches)

    def capture(self, launches: Sequence[Any]) -> Any:
        """Launches as a CUDA graph. A thread captures on one stream, for which it has one workspace (blas.py)."""
        stream = self._capturing.__dict__.get("stream")
        if stream is None:
            stream = self._capturing.stream = self._cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                for launch in launches:
                    launch.put(self)
            finally:
                graph = stream.end_capture()
        return graph


class _Captured:
    """Launches that are put on the device one by one the first time, and as a CUDA graph from then on.

    What cannot be captured goes on being launched one by one.
    """

    def __init__(self, device: Cuda, launches: Sequence[Any]) -> None:
        self._device, self._launches = device, launches
        self._graph: Any = None
        self._runs = 0
        self.remark = "launched one by one, as it ran once"

    def run(self) -> None:
        if self._launches and not config.debug_sync:  # which waits for each launch
            self._runs += 1
            if self._runs == 2:
                self._capture()
            if self._graph is not None:
                self._graph.launch()
                return
        for launch in self._launches:
            launch.put(self._device)

    def _capture(self) -> None:
        try:
            self._graph = self._device.capture(self._launches)
            self.remark = f"one CUDA graph of {len(self._launches)} launches"
        except Exception as error:
            self.remark = f"launched one by one: {type(error).__name__}: {error}"


OPTIONS = ("-std=c++17", "--fmad=true")


def current() -> Device:
    """The device that this thread computes on."""
    return getattr(_local, "device", None) or _standard()


@contextmanager
def using(device: Device) -> Iterator[None]:
    """Let this thread compute on another device meanwhile."""
    before = getattr(_local, "device", None)
    _local.device = device
    try:
        yield
    finally:
        _local.device = before


_local = local()


@cache
def _standard() -> Device:
    """The device that there is. The environment variable REFGRAPH_CUPY_DEVICE=host takes the host, for tests."""
    if os.environ.get("REFGRAPH_CUPY_DEVICE") == "host":
        from refgraph_cupy.host import Host

        return Host()
    return Cuda()


def why_missing() -> str:
    """Why no device can be used here; "" where one can."""
    if os.environ.get("REFGRAPH_CUPY_DEVICE") == "host":
        from refgraph_cupy.host import why_missing

        return why_missing()
    from refgraph_cupy import presence

    return presence.why_missing()
