"""What a machine has of CUDA, and what is missing: found out without CuPy, and without touching a device."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

_INSTALL = "pip install 'refgraph[cuda]'"
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE, of the driver's `CUresult`."""


@cache
def why_missing() -> str:
    """What is missing to run kernels on a device; "" where nothing is. Where there is no driver this is quick: it is
    asked whenever a backend is chosen."""
    return "; ".join([*_lacks_driver(), *_lacks_cupy()]) or "; ".join(_lacks_toolkit()) or _import()


def _lacks_driver() -> Iterator[str]:
    """What NVIDIA's driver lacks (CUDA Driver API: its version and the number of devices ask for no context)."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        yield f"there is no NVIDIA driver ({_DRIVER})"
        return
    status, found = driver.cuInit(0), ctypes.c_int()
    if status not in (0, _NO_DEVICE):
        yield f"the NVIDIA driver does not start (CUDA error {status})"
        return
    if status == _NO_DEVICE or driver.cuDeviceGetCount(ctypes.byref(found)) or not found.value:
        yield "the NVIDIA driver finds no device"
    wanted = _cuda_of_cupy()
    if wanted and not driver.cuDriverGetVersion(ctypes.byref(found)) and found.value < 1000 * wanted:
        major, rest = divmod(found.value, 1000)
        advice = f": pip install 'refgraph[cuda{major}]'" if major >= 12 else ""
        yield f"the NVIDIA driver is for CUDA {major}.{rest // 10}, CuPy for {wanted}{advice}"


def _lacks_cupy() -> Iterator[str]:
    if find_spec("cupy") is None:
        yield f"CuPy is missing: {_INSTALL}"


def _lacks_toolkit() -> Iterator[str]:
    """Of CUDA's toolkit what CuPy looks for when a kernel is compiled or matrices are multiplied."""
    if find_spec("cuda") is None or find_spec("cuda.pathfinder") is None:
        return
    from cuda import pathfinder

    missing = []
    for name, library in {"NVRTC": "nvrtc", "cuBLAS": "cublas"}.items():
        try:
            pathfinder.load_nvidia_dynamic_lib(library)
        except Exception:  # of the loader, or of pathfinder's
            missing.append(name)
    if not pathfinder.find_nvidia_header_directory("cudart"):
        missing.append("the headers")
    if missing:
        yield f"of CUDA's toolkit {', '.join(missing)} cannot be found: {_INSTALL}"


def _cuda_of_cupy() -> int:
    """The version of CUDA that the installed distribution of CuPy is for; 0 where no name says."""
    from importlib import metadata

    for version in (12, 13):
        try:
            metadata.version(f"cupy-cuda{version}x")
        except metadata.PackageNotFoundError:
            continue
        return version
    return 0


def _import() -> str:
    try:
        import cupy  # noqa: F401
    except Exception as error:
        return f"CuPy cannot be imported: {error}"
    return ""
