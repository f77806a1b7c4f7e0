"""Products of matrices by cuBLAS, called by ctypes in the library that CuPy has loaded.

CuPy refuses cuBLAS where work of a stream is captured; the library does not, if it need not allocate a workspace. So
there is a handle of our own for each thread and stream, with a workspace that lasts as long as it does.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_WORKSPACE = 32 * 2**20
_TYPES = {"float16": 2, "float32": 0, "float64": 1, "complex64": 4, "complex128": 5}  # cudaDataType_t
_COMPUTED = {"float16": 68, "float32": 68, "float64": 70, "complex64": 68, "complex128": 70}  # cublasComputeType_t
_SCALARS = {"float16": "float32"}
"""The dtype of alpha and beta, where it is another than that of the matrices."""
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT

_of_thread = threading.local()


class Operand(NamedTuple):
    """Matrices in memory: where the first begins, whether neighbours are along its columns, and, in elements, how far
    apart its rows (else its columns) are, and the matrices."""

    address: int
    is_transposed: bool
    leading: int
    step: int


class Product(NamedTuple):
    """c = alpha * (a @ b) + beta * c, of `count` matrices of (m, k) and (k, n): lengths are count, m, n, k; operands
    are a, b, c."""

    dtype: str
    lengths: tuple[int, int, int, int]
    operands: tuple[Operand, Operand, Operand]
    alpha: complex
    beta: complex

    def put(self, device: Any) -> None:
        """Put it on the device."""
        device.multiply(self)

    def moved(self, move: Callable[[Any], Any]) -> Product:
        """The same with other memory: `move` takes and answers addresses."""
        places = move(np.array([x.address for x in self.operands], np.int64))
        a, b, c = [x._replace(address=int(p)) for x, p in zip(self.operands, places, strict=True)]
        return self._replace(operands=(a, b, c))


def product_of(device: Any, a: Any, b: Any, c: Any, alpha: complex = 1, beta: complex = 0) -> Product:
    """c = alpha * (a @ b) + beta * c, of stacks of matrices, three axes each, of one floating or complex dtype.

    Of each matrix of a and b, neighbours lie along the last axis or the one before (see `is_laid`); c lies as C lays
    it. Nothing is read of c where beta is 0. No length is 0.
    """
    left, right, out = [Operand(device.address(x), *is_laid(x)) for x in (a, b, c)]
    return Product(str(c.dtype), (*c.shape, a.shape[2]), (left, right, out), alpha, beta)


def is_laid(stack: Any) -> Any:
    """How a stack of matrices lies, for `product_of`: whether neighbours are along columns, and, in elements, how far
    apart rows (else columns) are, and matrices. None where it must be copied first."""
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


def gemm(
    dtype: str,
    lengths: tuple[int, int, int, int],
    operands: Sequence[Operand],
    alpha: complex,
    beta: complex,
    stream: int,
    allocate: Any,
) -> None:
    """c = alpha * (a @ b) + beta * c, of `count` matrices of (m, k) and (k, n): lengths are count, m, n, k.

    cuBLAS takes columns of neighbours: so it is let compute the transposed, b' a'. Raises RuntimeError where it fails.
    """
    count, m, n, k = lengths
    a, b, c = operands
    scalars = np.array([alpha, beta], _SCALARS.get(dtype, dtype))
    one, other = [ctypes.c_void_p(scalars[i:].ctypes.data) for i in (0, 1)]
    kind, long = _TYPES[dtype], ctypes.c_int64
    handle = _handle(stream, allocate)
    ways = [ctypes.c_int(int(x.is_transposed)) for x in (b, a)]

    def said(x: Operand) -> list[Any]:
        found = [ctypes.c_void_p(x.address), ctypes.c_int(kind), long(x.leading)]
        return found if count == 1 else [*found, long(x.step)]

    arguments = [handle, *ways, long(n), long(m), long(k), one, *said(b), *said(a), other, *said(c)]
    arguments += [] if count == 1 else [long(count)]
    call = _library().cublasGemmEx_64 if count == 1 else _library().cublasGemmStridedBatchedEx_64
    _succeeds(call(*arguments, ctypes.c_int(_COMPUTED[dtype]), ctypes.c_int(_DEFAULT)))


def _handle(stream: int, allocate: Any) -> Any:
    """The handle of this thread for a stream of the current device."""
    import cupy

    handles: dict[Any, Any] = _of_thread.__dict__.setdefault("handles", {})
    key = cupy.cuda.runtime.getDevice(), stream
    if key not in handles:
        handle, workspace = ctypes.c_void_p(), allocate(_WORKSPACE)
        _succeeds(_library().cublasCreate_v2(ctypes.byref(handle)))
        _succeeds(_library().cublasSetStream_v2(handle, ctypes.c_void_p(stream)))  # this forgets the workspace
        place, size = ctypes.c_void_p(int(workspace.ptr)), ctypes.c_size_t(_WORKSPACE)
        _succeeds(_library().cublasSetWorkspace_v2(handle, place, size))
        handles[key] = handle, workspace
    return handles[key][0]


def _succeeds(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLAS answers status {status}")


@cache
def _library() -> Any:
    """The cuBLAS of this process, which CuPy loads when it makes a handle."""
    from cupy_backends.cuda.libs import cublas

    made = cublas.create()
    version = cublas.getVersion(made)
    cublas.destroy(made)
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    paths = [line.split()[-1] for line in lines if "libcublas.so" in line]
    return ctypes.CDLL(paths[0] if paths else f"cublas64_{version // 10000}.dll")
