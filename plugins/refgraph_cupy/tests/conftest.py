"""Kernels run on the host here. Without a C++ compiler, or CuPy's headers, tests that run them are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

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
