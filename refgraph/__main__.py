"""`python -m refgraph explain RG102`: what an error means; `python -m refgraph doctor`: what this machine has."""

from __future__ import annotations

import sys
from collections.abc import Iterator

USAGE = "usage: python -m refgraph explain CODE | explain all | doctor"


def main(arguments: list[str]) -> int:
    """Print what was asked for; answer the exit status."""
    if len(arguments) == 2 and arguments[0] == "explain":
        return _explain(arguments[1])
    if arguments == ["doctor"]:
        print("\n".join(f"{subject:<9} {finding}" for subject, finding in diagnosis()))
        return 0
    print(USAGE, file=sys.stderr)
    return 2


def _explain(code: str) -> int:
    from refgraph.core.errors import by_code, nearest, page

    known = by_code()
    if code == "all":
        print(page(known.values()), end="")
    elif code.upper() in known:
        print(page([known[code.upper()]]), end="")
    else:
        print(f"no error code {code!r}. {nearest(code.upper(), known) or ', '.join(known)}", file=sys.stderr)
        return 1
    return 0


def diagnosis() -> Iterator[tuple[str, str]]:
    """Subject and finding: versions, BLAS, threads, backends, flags, and a line for each thing to mend."""
    import os
    import platform
    from importlib import metadata

    import numpy as np

    from refgraph.core.config import FLAGS

    yield "python", f"{platform.python_version()} on {platform.platform()}"
    packages = ("refgraph", "numpy", "scipy", "pluggy", "refgraph-cython", "refgraph-cupy")
    installed = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"] in packages}
    yield "packages", ", ".join(f"{name} {installed[name]}" for name in packages if name in installed)
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    yield "blas", f"{blas.get('name')} {blas.get('version')}, of NumPy"
    limits = [f"{v}={os.environ[v]}" for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if v in os.environ]
    yield "threads", ", ".join([f"{os.cpu_count()} processors", *limits])
    backends = sorted(e.name for e in metadata.entry_points(group="refgraph"))
    yield "backends", ", ".join(["the interpreter", *backends])
    changed = [f"{name}={flag.value!r}" for name, flag in sorted(FLAGS.items()) if flag.value != flag.default]
    yield "flags", ", ".join(changed) or "all as they come"
    gpu = os.path.exists("/proc/driver/nvidia/version") or os.path.exists(r"C:\Windows\System32\nvcuda.dll")
    yield "gpu", "an NVIDIA driver is installed" if gpu else "no NVIDIA driver found"
    if "cython" not in backends:
        yield "advice", "for compiled kernels: pip install 'refgraph[cython]'"
    if gpu and "cupy" not in backends:
        yield "advice", "to run on the GPU: pip install 'refgraph[cuda]'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
