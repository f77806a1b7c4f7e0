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
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from refgraph_cupy.blas import Operand, Product
from refgraph_cupy.device import HEADERS, Array, Kernel, Shape
from refgraph_cupy.faults import Faults

_COMPILERS = ("g++", "clang++", "c++")
_FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-fwrapv", "-ffp-contract=off", "-fno-strict-aliasing", "-w")


class HostArray(np.ndarray[Any, Any]):
    """An array on the host that stands for one on a device."""


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
        return np.empty(tuple(shape), dtype).view(HostArray)

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        return np.array(array, order="C", ndmin=0, copy=True).view(HostArray)

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        return np.array(array).view(np.ndarray)

    def address(self, array: Array) -> int:
        assert isinstance(array, HostArray), "what a kernel is given is an array of the device"
        return int(array.__array_interface__["data"][0])

    def broadcast(self, array: Array, shape: Shape) -> Array:
        return np.broadcast_to(array, tuple(shape), subok=True)

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

    def argsort(self, array: Array) -> Array:
        return np.argsort(array, kind="stable").view(HostArray)

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
        to[...] = value

    def arena(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def work(self, launches: Sequence[Any]) -> _Repeated:
        return _Repeated(self, launches)


def _matrices(dtype: str, shape: Shape, operand: Operand) -> np.ndarray[Any, Any]:
    """A stack of matrices in memory, as an array on it."""
    size = np.dtype(dtype).itemsize
    near, far = size, operand.leading * size
    strides = (operand.step * size, *((near, far) if operand.is_transposed else (far, near)))
    reach = sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)]) + size
    memory = (ctypes.c_char * reach).from_address(operand.address)
    return np.ndarray(tuple(shape), dtype, memory, strides=strides)


class _Repeated:
    """Launches, one after the other."""

    def __init__(self, device: Host, launches: Sequence[Any]) -> None:
        self._device, self._launches = device, launches
        self.remark = f"{len(launches)} launches"

    def run(self) -> None:
        for launch in self._launches:
            launch.put(self._device)
