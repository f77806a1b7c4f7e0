"""A device that counts: the host, with what is put on it noted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from refgraph_cupy import device, host

_WHY = host.why_missing()


class Counted(host.Host):
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


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    """What tests run on, with a compiler."""
    if _WHY:
        pytest.skip(_WHY)
    monkeypatch.setenv("REFGRAPH_CUPY_DEVICE", "host")
    found = Counted()
    monkeypatch.setattr(device, "_standard", lambda: found)
    yield found
