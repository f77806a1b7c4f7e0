"""What CUDA's own library does, as CuPy calls it: the copy and the products that others are measured by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from compare_workloads.workloads import Arrays, Made, Workload


def cupys(option: str, threads: int, cache: str) -> SimpleNamespace:
    import cupy

    return SimpleNamespace(make=make, versions={"cupy": cupy.__version__, "numpy": np.__version__})


def make(workload: Workload, arrays: Arrays) -> Made:
    import cupy

    parameters = [cupy.asarray(a) for a in arrays.parameters]
    call = FAMILIES[workload.family](parameters)
    return Made(call, lambda _: [a.get() for a in parameters], cupy.cuda.Device().synchronize)


def copy(parameters: list) -> Any:
    import cupy

    z, x = parameters
    runtime, stream = cupy.cuda.runtime, cupy.cuda.get_current_stream().ptr
    kind = runtime.memcpyDeviceToDevice
    return lambda: runtime.memcpyAsync(z.data.ptr, x.data.ptr, x.nbytes, kind, stream)


def product(parameters: list) -> Any:
    """By cuBLAS."""
    import cupy

    C, A, B = parameters
    return lambda: cupy.matmul(A, B, out=C)


FAMILIES = {"copy": copy, "product": product}
