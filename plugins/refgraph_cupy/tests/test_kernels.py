"""Kernels of every dtype and of every kind of text: they compile for devices, and on the host they are right."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.backend import Elemwise, Graph
from refgraph_cupy import backend, device, host, special
from refgraph_cupy.kernels.group import Group
from refgraph_cupy.texts import Unsaid, expression

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import nvrtc

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
_NO_NVRTC, _NO_COMPILER = nvrtc.why_missing(), host.why_missing()
pytestmark = pytest.mark.skipif(bool(_NO_COMPILER), reason=_NO_COMPILER or "there is a compiler")
compiles = pytest.mark.skipif(bool(_NO_NVRTC), reason=_NO_NVRTC or "there is NVRTC")

Function = Callable[..., list[np.ndarray[Any, Any]]]


@pytest.fixture(autouse=True)
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[device.Kernel]]:
    """The kernels that a test runs on the host."""
    kernels: list[device.Kernel] = []
    launch = host.Host.launch

    def kept(self: host.Host, kernel: device.Kernel, *rest: Any) -> None:
        kernels.append(kernel)
        launch(self, kernel, *rest)

    monkeypatch.setenv("REFGRAPH_CUPY_DEVICE", "host")
    monkeypatch.setattr(host.Host, "launch", kept)
    device._standard.cache_clear()
    yield kernels
    device._standard.cache_clear()


def _values(dtype: str, shape: tuple[int, ...], low: int = 0) -> np.ndarray[Any, Any]:
    numbers = np.random.default_rng(len(dtype)).integers(low, 4, shape)
    return (numbers + 1j * numbers[::-1] if dtype.startswith("complex") else numbers).astype(dtype)


def _check(outputs: Callable[..., Any], meaning: Callable[..., Any], *arrays: np.ndarray[Any, Any]) -> None:
    symbols = [T.TensorType(a.dtype.name, (None,) * a.ndim).variable() for a in arrays]
    run = refgraph.function(symbols, outputs(*symbols), backend=backend)
    assert "0 on the interpreter" in str(run.report())
    for got, want in zip(run(*arrays), meaning(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-2 if got.dtype == np.float16 else 1e-6)


def _flat(dtype: str) -> None:
    """Arrays that lie as one row, with an end that is no whole vector."""
    _check(lambda x, y: [x * y + x], lambda x, y: [x * y + x], _values(dtype, (37,)), _values(dtype, (37,)))


def _any(dtype: str) -> None:
    """Rows, one that is repeated, one element of each, and a transposed array."""
    shapes: list[tuple[int, ...]] = [(6, 16), (16,), (6, 1)]
    arrays = [*[_values(dtype, s) for s in shapes], _values(dtype, (16, 6)).T]
    _check(lambda x, y, z, w: [x * y + z * w], lambda x, y, z, w: [x * y + z * w], *arrays)


def _reduce(dtype: str) -> None:
    """Reductions along rows and columns, with what is stored beside them."""

    def outputs(x: Any, y: Any) -> list[Any]:
        z = x * y
        return [z.sum(axis=1), T.any(z, axis=1), T.prod(x, axis=0), z]

    def meaning(x: Any, y: Any) -> list[Any]:
        z = x * y
        return [z.sum(axis=1), z.any(axis=1), x.prod(axis=0), z]

    _check(outputs, meaning, _values(dtype, (5, 600)), _values(dtype, (600,)))


def _join(dtype: str) -> None:
    """Reductions of so many elements that blocks share them."""
    x = _values(dtype, (100_000,), low=-3 if dtype[0] in "ifc" else 0)
    _check(
        lambda x: [T.mean(x), T.count_nonzero(x)],
        lambda x: [x.astype("D").mean() if x.dtype.kind == "c" else x.mean(dtype="d"), np.count_nonzero(x)],
        x,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_of_each_kind_are_right(dtype: str, launched: list[device.Kernel]) -> None:
    for check in (_flat, _any, _reduce, _join):
        launched.clear()
        check(dtype)
        assert launched, check.__doc__


@compiles
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_of_each_kind_compile_for_devices(
    dtype: str, launched: list[device.Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    for check in (_flat, _any, _reduce, _join):
        check(dtype)
    for n, kernel in enumerate(dict.fromkeys(launched)):
        log, made = nvrtc.compiled(kernel.source, kernel.name, nvrtc.ARCHITECTURES[n % 2])
        assert made, log


def _rows_of_float32() -> list[Elemwise]:
    """Rows that compute in float32 of float32."""
    found = []
    for row in {id(v): v for v in vars(T).values() if isinstance(v, Elemwise)}.values():
        try:
            loop = {d.name for d in row.loop([np.dtype("float32")] * row.arity)}
        except TypeError:
            continue
        if loop <= {"float32", "bool"}:
            found.append(row)
    return sorted(found, key=lambda row: row.name)


_IN_DOUBLE = {*special.REAL, "sin", "cos", "tan", "sinc", "ldexp", "logit"}
"""Rows that are computed in float64 wholly, or by CUDA's own functions where an argument is huge."""


@compiles
def test_rows_of_float32_are_computed_in_float32() -> None:
    """No number, function or dtype in between makes a kernel compute in float64."""
    xs = [T.fvector() for _ in range(3)]
    outs = [row(*xs[: row.arity]) for row in _rows_of_float32() if row.name not in _IN_DOUBLE and _has_text(row)]
    group = Group(Graph(xs, [out for out in outs if out not in xs]))
    lines = group.part(group.names).lines
    stores = "".join([f"    {line}\n    *({line.split()[1]} *)(z += 8) = v{i};\n" for i, line in enumerate(lines)])
    body = f'extern "C" __global__ void k(float32 x0, float32 x1, float32 x2, char *z) {{\n{stores}}}'
    log, made = nvrtc.compiled(device.Kernel("k", body).source, "rows", "compute_80")
    assert made, log
    assert len(lines) > 50
    assert b".f64" not in made


def _has_text(row: Elemwise) -> bool:
    try:
        return bool(expression(row, ("float32",) * row.arity))
    except Unsaid:
        return False
