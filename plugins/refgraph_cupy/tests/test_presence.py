"""What is said of a machine on which no device can be used, and that nothing is loaded to say it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from refgraph.backend import installed
from refgraph_cupy import presence

WITHOUT_KERNELS = True


def _run(source: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REFGRAPH")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout


def test_what_is_imported_loads_no_cupy() -> None:
    source = """
import sys
import refgraph, refgraph.tensor, refgraph_cupy, refgraph_cupy.device, refgraph_cupy.kernels
print([name for name in sys.modules if name.startswith(("cupy", "cuda", "nvidia"))])
"""
    assert _run(source).strip() == "[]"


@pytest.mark.skipif("cupy" not in installed(), reason="refgraph-cupy is imported from a folder, and not installed")
def test_the_doctor_says_what_is_missing_and_loads_no_cupy() -> None:
    source = """
import sys
from refgraph_cupy import presence
presence._DRIVER = "libno_such_driver.so"
from refgraph.__main__ import diagnosis
print(*[text for subject, text in diagnosis() if text.startswith("cupy: ")], "cupy" in sys.modules)
"""
    said = _run(source).strip()
    assert "on cuda, cannot run here: there is no NVIDIA driver (libno_such_driver.so)" in said
    assert said.endswith(" False")


class _Driver:
    """NVIDIA's driver of a machine, as far as it is asked."""

    def __init__(self, starts: int = 0, devices: int = 1, version: int = 13000) -> None:
        self._starts, self._devices, self._version = starts, devices, version

    def cuInit(self, flags: int) -> int:
        return self._starts

    def cuDeviceGetCount(self, found: Any) -> int:
        found._obj.value = self._devices
        return 0

    def cuDriverGetVersion(self, found: Any) -> int:
        found._obj.value = self._version
        return 0


@pytest.fixture(autouse=True)
def for_cuda_13(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(presence, "_cuda_of_cupy", lambda: 13)
    presence.why_missing.cache_clear()
    yield
    presence.why_missing.cache_clear()


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (_Driver(), []),
        (_Driver(version=13020), []),
        (_Driver(starts=100), ["the NVIDIA driver finds no device"]),
        (_Driver(devices=0), ["the NVIDIA driver finds no device"]),
        (_Driver(starts=999), ["the NVIDIA driver does not start (CUDA error 999)"]),
        (
            _Driver(version=12080),
            ["the NVIDIA driver is for CUDA 12.8, CuPy for 13: pip install 'refgraph[cuda12]'"],
        ),
    ],
)
def test_what_is_said_of_a_driver(driver: _Driver, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence.ctypes, "CDLL", lambda name: driver)
    assert list(presence._lacks_driver()) == said


def test_all_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_DRIVER", "libno_such_driver.so")
    monkeypatch.setattr(presence, "find_spec", lambda name: None)
    assert presence.why_missing() == (
        "there is no NVIDIA driver (libno_such_driver.so); CuPy is missing: pip install 'refgraph[cuda]'"
    )
