"""The host as a device, to test kernels where there is no GPU: their very texts, compiled by a C++ compiler."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refgraph_cupy.blas import Operand, Product
from refgraph_cupy.device import HEADERS, Array, Kernel, Shape
from refgraph_cupy.faults import Faults

_COMPILERS = ("g++", "clang++", "c++")
_FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-fwrapv", "-ffp-contract=off", "-fno-strict-aliasing", "-w")


class HostArray:
    """An array on the host that stands for one of CuPy's: it has the same views, indexed it never answers a scalar, and
    NumPy cannot read it.

    base: the array whose memory it is a view of; None where it has memory of its own.
    """

    __slots__ = ("_array", "base")

    def __init__(self, array: np.ndarray[Any, Any], base: HostArray | None = None) -> None:
        self._array, self.base = array, base

    shape: Any = property(lambda self: self._array.shape)
    strides: Any = property(lambda self: self._array.strides)
    dtype: Any = property(lambda self: self._array.dtype)
    ndim: Any = property(lambda self: self._array.ndim)
    size: Any = property(lambda self: self._array.size)
    itemsize: Any = property(lambda self: self._array.itemsize)
    nbytes: Any = property(lambda self: self._array.nbytes)
    flags: Any = property(lambda self: self._array.flags)
    T: Any = property(lambda self: self.transpose())

    def _view(self, array: np.ndarray[Any, Any]) -> HostArray:
        return HostArray(array, self if self.base is None else self.base)

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> HostArray:
        index = index if isinstance(index, tuple) else (index,)
        found = self._array[index if Ellipsis in index else (*index, Ellipsis)]
        assert np.may_share_memory(found, self._array) or not found.size, "elements are picked by kernels"
        return self._view(found)

    def reshape(self, *shape: Any) -> HostArray:
        return self._view(self._array.reshape(*shape, copy=False))

    def transpose(self, *axes: Any) -> HostArray:
        return self._view(self._array.transpose(*axes))

    def swapaxes(self, first: int, second: int) -> HostArray:
        return self._view(self._array.swapaxes(first, second))

    def squeeze(self, axis: Any = None) -> HostArray:
        return self._view(self._array.squeeze(axis))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> HostArray:
        return self._view(self._array.diagonal(offset, axis1, axis2))

    def view(self, dtype: Any) -> HostArray:
        return self._view(self._array.view(dtype))

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError("an array of the device is not converted to one of NumPy's unless it is downloaded")

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """Views that are asked of NumPy."""
        return self._view(function(*[a._array if a is self else a for a in args], **options))


def why_missing() -> str:
    """Why kernels cannot be compiled here."""
    return "" if _compiler() else "there is no C++ compiler"


def _compiler() -> str | None:
    return next((found for name in _COMPILERS if (found := shutil.which(name))), None)


def includes() -> list[Path]:
    """The folders of CuPy's headers, which hold complex numbers, where CuPy is installed."""
    found = importlib.util.find_spec("cupy")
    if found is None or found.origin is None:
        return []
    root = Path(found.origin).parent / "_core/include"
    return [root, *[root / "cupy/_cccl" / part for part in ("libcudacxx", "thrust", "cub")]]


class Host(Faults):
    """Runs kernels on the host. What was compiled is kept in a folder, by content, and its text (KEY.cu) beside it."""

    name = "host"

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(os.environ.get("REFGRAPH_CUPY_CACHE") or tempfile.mkdtemp(prefix="refgraph_cupy_"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._made: dict[Kernel, Any] = {}
        self._lock = threading.Lock()

    def empty(self, shape: Shape, dtype: Any) -> Array:
        return HostArray(np.empty(tuple(shape), dtype))

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        return HostArray(np.array(array, order="C", subok=False))

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        return np.array(array._array)

    def address(self, array: Array) -> int:
        assert isinstance(array, HostArray), "what a kernel is given is an array of the device"
        return int(array._array.__array_interface__["data"][0])

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return array._view(np.broadcast_to(array._array, tuple(shape)))

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        function = self._made.get(kernel)
        if function is None:
            function = self._made[kernel] = self._compiled(kernel)
        places = np.array([*grid, *block], np.uint32)
        with self._lock:  # what stands for threadIdx and its like is there once
            function(arguments.ctypes.data, places.ctypes.data, places.ctypes.data + 12)

    def _compiled(self, kernel: Kernel) -> Any:
        headers = "".join([p.read_text() for p in (HEADERS / "host/platform.h", *kernel.headers)])
        key = hashlib.sha256((headers + kernel.source).encode()).hexdigest()[:32]
        library, text = self._folder / f"{key}.so", self._folder / f"{key}.cu"
        if not text.exists():
            text.write_text(kernel.source)
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                source, made = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
                source.write_text(kernel.source)
                paths = [f"-I{p}" for p in (HEADERS / "host", HEADERS, *includes())]
                command = [_compiler() or "c++", *_FLAGS, *paths, str(source), "-o", str(made)]
                ran = subprocess.run(command, capture_output=True, text=True)
                if ran.returncode:
                    raise RuntimeError(f"{kernel.name} does not compile for the host:\n{ran.stderr}\n{kernel.source}")
                made.replace(library)
        function = getattr(ctypes.CDLL(str(library)), f"{kernel.name}_on_host")
        function.argtypes, function.restype = [ctypes.c_void_p] * 3, None
        return function

    def multiply(self, product: Product) -> None:
        count, m, n, k = product.lengths
        wide = np.dtype("float32" if product.dtype == "float16" else product.dtype)
        a, b, c = [
            _matrices(product.dtype, (count, *lengths), x)
            for x, lengths in zip(product.operands, ((m, k), (k, n), (m, n)), strict=True)
        ]
        z = np.matmul(a.astype(wide), b.astype(wide)) * wide.type(product.alpha)
        c[...] = z if product.beta == 0 else c * wide.type(product.beta) + z

    def memory(self) -> tuple[int, int]:
        page = os.sysconf("SC_PAGE_SIZE")
        return page * os.sysconf("SC_AVPHYS_PAGES"), page * os.sysconf("SC_PHYS_PAGES")

    def owns(self, value: Any) -> bool:
        return isinstance(value, HostArray)

    def fill(self, to: Array, value: Any) -> None:
        to._array[...] = value._array if isinstance(value, HostArray) else value

    def within(self, owner: Array, offset: int, like: Any) -> Array:
        memory = owner._array.reshape(-1).view(np.uint8)
        return owner._view(np.ndarray(like.shape, like.dtype, memory, offset, like.strides))

    def work(self, launches: Sequence[Any]) -> _Repeated:
        return _Repeated(self, launches)


def _matrices(dtype: str, shape: Shape, operand: Operand) -> np.ndarray[Any, Any]:
    """A stack of matrices in memory, as an array on it."""
    size = np.dtype(dtype).itemsize
    near, far = size, operand.leading * size
    strides = (operand.step * size, *((near, far) if operand.is_transposed else (far, near)))
    reach = sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)]) + size
    memory: Any = (ctypes.c_char * reach).from_address(operand.address)
    return np.ndarray(tuple(shape), dtype, memory, strides=strides)


class _Repeated:
    """Launches, one after the other."""

    def __init__(self, device: Host, launches: Sequence[Any]) -> None:
        self._device, self._launches = device, launches
        self.remark = f"{len(launches)} launches"

    def run(self) -> None:
        for launch in self._launches:
            launch.put(self._device)
