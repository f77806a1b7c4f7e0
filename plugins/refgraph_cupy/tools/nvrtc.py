"""Compiles kernels for devices, without one: every text in a folder, by NVRTC, for each architecture.

    REFGRAPH_CUPY_DEVICE=host REFGRAPH_CUPY_CACHE=kernels pytest tests/conformance --backend=cupy
    python plugins/refgraph_cupy/tools/nvrtc.py kernels

The host (refgraph_cupy/host.py) keeps the text of each kernel that it ran there as KEY.cu.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from refgraph_cupy.device import HEADERS, OPTIONS
from refgraph_cupy.host import includes

ARCHITECTURES = ("sm_80", "sm_90")


def why_missing() -> str:
    """Why nothing can be compiled here; "" where it can."""
    if importlib.util.find_spec("cupy_backends") is None:
        return "CuPy is missing"
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except Exception as error:  # of the loader, or of CuPy's
        return f"NVRTC is missing: {error}"
    return "" if any(_toolkit()) else "CUDA's headers are missing (nvidia-cuda-runtime)"


def _toolkit() -> Iterator[Path]:
    """Folders of CUDA's own headers: those of NVIDIA's distributions, or of an installed toolkit."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    folders = [
        p for root in roots for p in (root / "cuda_runtime/include", root / "cu13/include", root / "cu12/include")
    ]
    folders += [Path(os.environ[name]) / "include" for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    yield from [p for p in (*folders, Path("/usr/local/cuda/include")) if (p / "cuda_fp16.h").exists()]


def compiled(text: str, name: str, arch: str) -> tuple[str, bytes]:
    """The log of compiling a kernel, "" where that succeeded, and what came out: for compute_90 PTX, else a cubin."""
    from cupy_backends.cuda.libs import nvrtc

    paths = [HEADERS / "device", HEADERS, *includes(), *list(_toolkit())[:1]]
    program = nvrtc.createProgram(text, f"{name}.cu", (), ())
    try:
        nvrtc.compileProgram(program, [*OPTIONS, f"-arch={arch}", *[f"-I{p}" for p in paths]])
        read = nvrtc.getCUBIN if arch.startswith("sm") else nvrtc.getPTX
        return "", bytes(read(program))
    except nvrtc.NVRTCError:
        return nvrtc.getProgramLog(program) or "no log", b""
    finally:
        nvrtc.destroyProgram(program)


def _job(job: tuple[Path, str]) -> tuple[Path, str, str]:
    path, arch = job
    return path, arch, compiled(path.read_text(), path.stem, arch)[0]


def compile_all(
    texts: Sequence[Path], architectures: Sequence[str] = ARCHITECTURES, processes: int | None = None
) -> list[Path]:
    """Compile each text for each architecture, and print the logs of those that do not compile. Answers these."""
    jobs = [(path, arch) for path in texts for arch in architectures]
    failed = {}
    with multiprocessing.Pool(processes) as pool:
        for path, arch, log in pool.imap_unordered(_job, jobs, chunksize=4):
            if log:
                failed[path] = arch
                print(f"--- {path.name} for {arch}\n{log}\n", flush=True)
    return list(failed)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch", action="append", help=f"repeatable; by default {' and '.join(ARCHITECTURES)}")
    parser.add_argument("--jobs", type=int, help="processes; by default one a core")
    given = parser.parse_args(arguments)
    if why := why_missing():
        print(why, file=sys.stderr)
        return 2
    architectures, texts = given.arch or ARCHITECTURES, sorted(given.folder.glob("*.cu"))
    failed = compile_all(texts, architectures, given.jobs)
    print(f"{len(texts) - len(failed)} of {len(texts)} kernels compile for {', '.join(architectures)}")
    return 1 if failed or not texts else 0


if __name__ == "__main__":
    sys.exit(main())
