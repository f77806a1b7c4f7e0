"""Where kernels run: a CUDA device through CuPy, or the host, on which the same kernels are tested without a device.

Nothing here touches a device before something is to be computed on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from refgraph_cupy import special

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
_HEADERS_OF = {"complex.h": _COMPLEX, "folds.h": {"folds"}}
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

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        """Run a kernel: `grid` blocks of `block` threads, three lengths each. `arguments` are int64."""

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """out = a @ b, of arrays of one dtype and at least two axes."""


class Cuda:
    """The current device of CuPy's. Work is put on CuPy's current stream."""

    name = "cuda"

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self._made: dict[Kernel, Any] = {}

    def empty(self, shape: Shape, dtype: Any) -> Array:
        return self._cupy.empty(tuple(shape), dtype)

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        return self._cupy.asarray(array, order="C")

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        return self._cupy.asnumpy(array)  # type: ignore[no-any-return]

    def address(self, array: Array) -> int:
        return int(array.data.ptr)

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        function = self._made.get(kernel)
        if function is None:
            function = self._made[kernel] = self._compiled(kernel)
        pointers = np.array([arguments.ctypes.data], np.uintp)
        stream = self._cupy.cuda.get_current_stream().ptr
        self._cupy.cuda.driver.launchKernel(function, *grid, *block, 0, stream, pointers.ctypes.data, 0)

    def _compiled(self, kernel: Kernel) -> int:
        """The address of the kernel's function. CuPy keeps what it compiled, on disk, by content."""
        module = self._cupy.RawModule(code=kernel.source, options=(f"-I{HEADERS / 'device'}", f"-I{HEADERS}", *OPTIONS))
        self._made[kernel] = function = module.get_function(kernel.name)
        return int(function.kernel.ptr)

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        self._cupy.matmul(a, b, out=out)


OPTIONS = ("-std=c++17", "--fmad=true")


@cache
def current() -> Device:
    """The device that programs run on. The environment variable REFGRAPH_CUPY_DEVICE=host takes the host, for tests."""
    if os.environ.get("REFGRAPH_CUPY_DEVICE") == "host":
        from refgraph_cupy.host import Host

        return Host()
    return Cuda()


def why_missing() -> str:
    """Why no device can be used here; "" where one can."""
    if os.environ.get("REFGRAPH_CUPY_DEVICE") == "host":
        from refgraph_cupy.host import why_missing

        return why_missing()
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is missing ({error}): pip install 'refgraph[cuda]'"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no device: {error}"
    return "" if count else "CuPy finds no device"
