"""Where kernels run: a CUDA device through CuPy, or the host, on which the same kernels are tested without a device.

Nothing here touches a device before something is to be computed on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from refgraph_cupy import blas

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
        lines = [f"#define {flag}" for flag, word in _FLAGS.items() if word in self.body]
        lines += ['#include "platform.h"', '#include "types.h"']
        lines += [f'#include "{name}"' for name in _HEADERS_OF if f"{name[:-2]}::" in self.body]
        return "\n".join([*lines, "namespace rg {", self.body, "}", f"RG_MADE({self.name})", ""])


_FLAGS = {"RG_COMPLEX": "complex", "RG_HALF": "float16", "RG_BARRIERS": BARRIER}
_HEADERS_OF = ("folds.h",)


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

    def argsort(self, array: Array) -> Array:
        """The positions of the elements of a vector, int64, in rising order; equal ones stay in theirs."""

    def gemm(self, a: Array, b: Array, c: Array, alpha: complex = 1, beta: complex = 0) -> None:
        """c = alpha * (a @ b) + beta * c, of stacks of matrices, three axes each, of one floating or complex dtype.

        Of each matrix of a and b, neighbours lie along the last axis or the one before (see `is_laid`); c lies as C lays
        it. Nothing is read of c where beta is 0. No length is 0.
        """


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

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return self._cupy.broadcast_to(array, tuple(shape))

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

    def argsort(self, array: Array) -> Array:
        return self._cupy.argsort(array, kind="stable")

    def gemm(self, a: Array, b: Array, c: Array, alpha: complex = 1, beta: complex = 0) -> None:
        lengths = (*c.shape, a.shape[2])
        stream, allocate = self._cupy.cuda.get_current_stream().ptr, self._cupy.cuda.alloc
        operands = [blas.Operand(self.address(x), *is_laid(x)) for x in (a, b, c)]
        blas.gemm(str(c.dtype), lengths, operands, alpha, beta, stream, allocate)


def is_laid(stack: Array) -> Any:
    """How a stack of matrices lies, for `gemm`: whether neighbours are along columns, and, in elements, how far apart rows
    (else columns) are, and matrices. None where it must be copied first."""
    itemsize = stack.dtype.itemsize
    steps = [int(s) // itemsize for s in stack.strides]
    if any([int(s) % itemsize for s in stack.strides]) or steps[0] < 0:
        return None
    (_, rows, columns), (step, down, across) = stack.shape, steps
    if (across == 1 or columns == 1) and (rows == 1 or down >= columns):
        return False, max(columns, 1) if rows == 1 else down, step
    if (down == 1 or rows == 1) and (columns == 1 or across >= rows):
        return True, max(rows, 1) if columns == 1 else across, step
    return None


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
