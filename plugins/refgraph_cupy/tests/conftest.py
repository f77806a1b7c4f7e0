"""Kernels run on the host here. Without a C++ compiler, or CuPy's headers, tests that run them are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("refgraph_cupy") else ["test_*.py"]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder in which compiled kernels are kept, from test to test."""
    return os.environ.get("REFGRAPH_CUPY_CACHE") or str(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(autouse=True)
def on_the_host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kept: str) -> Iterator[None]:
    """The host is the device of every test, but in modules that say `WITHOUT_KERNELS`."""
    from refgraph_cupy import device, host

    if not getattr(request.module, "WITHOUT_KERNELS", False):
        if why := host.why_missing() or ("" if host.includes() else "CuPy is missing, whose headers kernels include"):
            pytest.skip(why)
        monkeypatch.setenv("REFGRAPH_CUPY_DEVICE", "host")
        monkeypatch.setenv("REFGRAPH_CUPY_CACHE", kept)
    device._standard.cache_clear()
    yield
    device._standard.cache_clear()


def counting_host() -> Any:
    """The host as a device that counts."""
    from refgraph_cupy.host import Host

    class Counted(Host):
        """The host, which notes what it runs: kernels and products one by one, and runs of recorded work."""

        def __init__(self) -> None:
            super().__init__()
            self.clear()

        def clear(self) -> None:
            self.launched: list[str] = []
            self.replayed = self.uploads = self.downloads = self.fills = 0

        def launch(self, kernel: Any, *rest: Any) -> None:
            self.launched.append(kernel.name)
            super().launch(kernel, *rest)

        def multiply(self, product: Any) -> None:
            self.launched.append("product")
            super().multiply(product)

        def upload(self, array: Any) -> Any:
            self.uploads += 1
            return super().upload(array)

        def download(self, array: Any) -> Any:
            self.downloads += 1
            return super().download(array)

        def fill(self, to: Any, value: Any) -> None:
            self.fills += 1
            super().fill(to, value)

        def work(self, launches: Any) -> Any:
            work, run, counted = super().work(launches), super().work(launches).run, self

            class Noted:
                remark = work.remark

                def run(self) -> None:
                    counted.replayed += 1
                    run()

            return Noted()

    return Counted()


@pytest.fixture
def counted(on_the_host: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The device of a test that asks what is put on it."""
    from refgraph_cupy import device

    found = counting_host()
    with monkeypatch.context() as patched:
        patched.setattr(device, "_standard", lambda: found)
        yield found
