"""Which flags choose the device, and what they make it do. Something in the place of CuPy notes what it is told."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.backend import get_backend
from refgraph_cupy.device import Cuda, Kernel

LAUNCH = ((1, 1, 1), (32, 1, 1), np.zeros(1, np.int64))


@pytest.mark.parametrize("device", ["cuda", "cuda0", "gpu"])
def test_theanos_flag_for_a_device_chooses_it(device: str) -> None:
    x = T.fvector("x")
    with refgraph.config.change_flags(backend="auto", device=device):
        f = refgraph.function([x], T.exp(x))
    assert f.report().backend == "cupy"
    np.testing.assert_allclose(f([0, 1]), [1, np.e], rtol=1e-6)


def test_states_live_on_the_device() -> None:
    with refgraph.config.change_flags(device="cuda", backend="auto"):
        w = refgraph.shared(np.zeros(3, "float32"))
        f = refgraph.function([], updates=[(w, w + 1)])
    f()
    assert type(w.get_value(return_internal_type=True)).__name__ == "HostArray"
    np.testing.assert_array_equal(w.get_value(), [1, 1, 1])


def test_memory_is_told_of() -> None:
    free, total = refgraph.cuda.memory_info()
    assert 0 < free < total


class _CuPy(SimpleNamespace):
    """What kernels need of CuPy, which notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        stream = SimpleNamespace(ptr=0, synchronize=lambda: self.said.append("synchronize"))
        driver = SimpleNamespace(launchKernel=lambda *_: self.said.append("launch"))
        runtime = SimpleNamespace(memGetInfo=lambda: (3, 8))
        self.cuda = SimpleNamespace(get_current_stream=lambda: stream, driver=driver, runtime=runtime)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> _CuPy:
    found = _CuPy()
    monkeypatch.setitem(sys.modules, "cupy", found)  # type: ignore[arg-type]
    return found


def _cuda(*kernels: Kernel) -> Any:
    device = Cuda()
    device._made.update(dict.fromkeys(kernels, 1))
    return device


@pytest.mark.parametrize(("flag", "said"), [(False, ["launch"]), (True, ["launch", "synchronize"])])
def test_each_launch_is_waited_for_where_debug_sync_says_so(flag: bool, said: list[str], cupy: _CuPy) -> None:
    kernel = Kernel("k", "")
    device = _cuda(kernel)
    with refgraph.config.change_flags(debug_sync=flag):
        device.launch(kernel, *LAUNCH)
    assert cupy.said == said


def test_nothing_is_captured_where_each_launch_is_waited_for(cupy: _CuPy) -> None:
    kernel = Kernel("k", "")
    device = _cuda(kernel)
    work = device.work([SimpleNamespace(put=lambda to: to.launch(kernel, *LAUNCH))])
    with refgraph.config.change_flags(debug_sync=True):
        for _ in range(3):
            work.run()
    assert cupy.said == 3 * ["launch", "synchronize"]
    assert "one by one" in work.remark


def test_the_devices_memory_is_what_cuda_says(cupy: _CuPy) -> None:
    assert _cuda().memory() == (3, 8)
    assert get_backend("cupy").memory is not None
