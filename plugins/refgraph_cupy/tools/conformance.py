"""Writes what the conformance suite finds of the backend for GPUs: a report, and a page made of it.

    python plugins/refgraph_cupy/tools/conformance.py [--host] [--folder FOLDER] [PYTEST ARGUMENTS]

On a machine with a GPU it writes docs/conformance/cupy.json and cupy.md. With --host it needs none: kernels are run on
the host (cupy_on_host.json and .md), and then each of their texts is compiled for devices by NVRTC. That takes hours
for the whole suite, as thousands of kernels are compiled; those of an earlier run are taken from --kernels.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "tests/conformance"))

import nvrtc
from record import FOLDER, ROOT, record


def on_device(folder: Path, told: Sequence[str]) -> int:
    """Run the suite on a GPU, and say on which."""
    from refgraph_cupy.presence import why_missing

    if why := why_missing():
        print(f"{why}; without a GPU: --host", file=sys.stderr)
        return 2
    page = folder / "cupy.md"
    os.environ.pop("REFGRAPH_CUPY_DEVICE", None)
    status = record("cupy", page, told)
    if status <= 1:  # pytest ran to its end
        _add(page, f"It ran on {_gpu()}.")
    return status


def _gpu() -> str:
    import cupy

    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(0)["name"].decode()
    cuda = [f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.driverGetVersion(), runtime.runtimeGetVersion())]
    return f"{name}; its driver is for CUDA {cuda[0]}; CUDA {cuda[1]}, CuPy {cupy.__version__}"


def on_host(folder: Path, kernels: Path, told: Sequence[str]) -> int:
    """Run the suite on the host, and compile what it ran for devices."""
    kernels.mkdir(parents=True, exist_ok=True)
    os.environ.update(REFGRAPH_CUPY_DEVICE="host", REFGRAPH_CUPY_CACHE=str(kernels))
    page = folder / "cupy_on_host.md"
    status = record("cupy", page, told)
    if status > 1:
        return status
    if why := nvrtc.why_missing():
        print(why, file=sys.stderr)
        return 2
    texts = sorted(kernels.glob("*.cu"))
    failed = nvrtc.compile_all(texts)
    made = f"{len(texts) - len(failed)} of {len(texts)} compile with NVRTC for {' and '.join(nvrtc.ARCHITECTURES)}"
    print(made)
    _add(page, f"There was no GPU: kernels were compiled for the host, and ran there. Of their texts {made}.")
    return status or bool(failed)


def _add(page: Path, sentence: str) -> None:
    """Say how it ran, at the end of a page."""
    page.write_text(f"{page.read_text()}\n## How it ran\n\n{sentence}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", action="store_true", help="run kernels on the host")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--kernels", type=Path, default=ROOT / "build/kernels", help="where --host keeps kernels")
    given, told = parser.parse_known_args()
    folder, kernels = given.folder.resolve(), given.kernels.resolve()
    return on_host(folder, kernels, told) if given.host else on_device(folder, told)


if __name__ == "__main__":
    sys.exit(main())
