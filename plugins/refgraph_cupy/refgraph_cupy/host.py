"""The host as a device, to test kernels where there is no GPU: their very texts, compiled by a C++ compiler."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from refgraph_cupy.device import HEADERS, Array, Kernel, Shape

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


class Host:
    """Runs kernels on the host. What was compiled is kept in a folder, by content, and its text (KEY.cu) beside it."""

    name = "host"

    def __init__(self) -> None:
        self._folder = Path(os.environ.get("REFGRAPH_CUPY_CACHE") or tempfile.mkdtemp(prefix="refgraph_cupy_"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._made: dict[Kernel, Any] = {}

    def empty(self, shape: Shape, dtype: Any) -> Array:
        return np.empty(tuple(shape), dtype).view(HostArray)

    def upload(self, array: np.ndarray[Any, Any]) -> Array:
        return np.array(array, order="C", ndmin=0, copy=True).view(HostArray)

    def download(self, array: Array) -> np.ndarray[Any, Any]:
        return np.array(array).view(np.ndarray)

    def address(self, array: Array) -> int:
        return int(array.__array_interface__["data"][0])

    def launch(self, kernel: Kernel, grid: Shape, block: Shape, arguments: np.ndarray[Any, Any]) -> None:
        function = self._made.get(kernel)
        if function is None:
            function = self._made[kernel] = self._compiled(kernel)
        places = np.array([*grid, *block], np.uint32)
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

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        np.matmul(a.view(np.ndarray), b.view(np.ndarray), out=out.view(np.ndarray))
