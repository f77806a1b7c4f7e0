"""What cuBLAS is told, held against a function that takes the same arguments and computes on the host."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from refgraph_cupy import blas
from refgraph_cupy.blas import is_laid

_DTYPES = {number: name for name, number in blas._TYPES.items()}


def _columns(matrix: list[Any], rows: int, columns: int, count: int) -> Any:
    """Matrices of so many rows and columns, as cuBLAS is told of them: their columns are neighbours."""
    address, kind, leading, step = [x.value for x in matrix]
    dtype = np.dtype(_DTYPES[kind])
    assert leading >= max(rows, 1)
    steps = [s * dtype.itemsize for s in (step, 1, leading)]
    reach = 1 + ((count - 1) * step + (columns - 1) * leading + rows - 1)
    memory = np.frombuffer((ctypes.c_char * (reach * dtype.itemsize)).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(memory, (count, rows, columns), steps, writeable=True)


class _Library:
    """cuBLAS, as its manual says it."""

    def cublasGemmEx_64(self, handle: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, alpha: Any, *rest: Any) -> int:
        (a, at, lda, b, bt, ldb, beta, c, ct, ldc), one, zero = rest[:10], ctypes.c_int64(1), ctypes.c_int64(0)
        each = (a, at, lda, zero, b, bt, ldb, zero, beta, c, ct, ldc, zero, one)
        return self.cublasGemmStridedBatchedEx_64(handle, ta, tb, m, n, k, alpha, *each, *rest[10:])

    def cublasGemmStridedBatchedEx_64(
        self, handle: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, alpha: Any, *rest: Any
    ) -> int:
        m, n, k, count = m.value, n.value, k.value, rest[13].value
        a = _columns(list(rest[:4]), *((k, m) if ta.value else (m, k)), count)
        b = _columns(list(rest[4:8]), *((n, k) if tb.value else (k, n)), count)
        c = _columns(list(rest[9:13]), m, n, count)
        scalar = np.dtype(blas._SCALARS.get(str(c.dtype), str(c.dtype)))
        one, other = [
            np.frombuffer((ctypes.c_char * scalar.itemsize).from_address(x.value), scalar)[0] for x in (alpha, rest[8])
        ]
        z = one * np.matmul(a.swapaxes(1, 2) if ta.value else a, b.swapaxes(1, 2) if tb.value else b)
        c[...] = z if other == 0 else z + other * c
        return 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("left", ["plain", "transposed", "part", "same"])
@pytest.mark.parametrize("right", ["plain", "transposed", "part", "same"])
@pytest.mark.parametrize("lengths", [(4, 5, 3), (1, 5, 1), (4, 1, 3), (1, 1, 1)])
def test_matrices_are_told_as_they_lie(
    monkeypatch: pytest.MonkeyPatch, dtype: str, count: int, left: str, right: str, lengths: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(blas, "_library", _Library)
    monkeypatch.setattr(blas, "_handle", lambda stream, allocate: ctypes.c_void_p(0))
    rng, (m, n, k) = np.random.default_rng(1), lengths

    def laid(kind: str, rows: int, columns: int) -> Any:
        if kind == "transposed":
            return rng.integers(-3, 4, (count, columns, rows)).astype(dtype).swapaxes(1, 2)
        if kind == "part":
            return rng.integers(-3, 4, (count, rows + 2, columns + 3)).astype(dtype)[:, 1 : rows + 1, 2 : columns + 2]
        one = rng.integers(-3, 4, (1 if kind == "same" else count, rows, columns)).astype(dtype)
        return np.broadcast_to(one, (count, rows, columns))

    a, b, c = laid(left, m, k), laid(right, k, n), rng.integers(-3, 4, (count, m, n)).astype(dtype)
    want = 2 * np.matmul(a, b) - 1 * c
    operands = [blas.Operand(x.__array_interface__["data"][0], *is_laid(x)) for x in (a, b, c)]
    blas.gemm(dtype, (count, m, n, k), operands, 2, -1, 0, None)
    np.testing.assert_array_equal(c, want)
