"""What `python -m refgraph` answers: what an error means, what this machine has, how well a backend does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

USAGE = """\
usage: python -m refgraph explain CODE | explain all
       python -m refgraph doctor
       python -m refgraph conformance REPORT.json [OTHER.json ...]"""

HELP = f"""{USAGE}

explain      what an error of this code means (RG102, say), with a program that fails and one that works
doctor       versions, backends and flags of this machine, and what to mend
conformance  a report of the conformance suite as Markdown; of several, what differs between them.
             python -m pytest --pyargs refgraph.testing --backend=NAME --report=FILE.json writes one"""


def main(arguments: list[str]) -> int:
    """Print what was asked for; answer the exit status."""
    command, rest = arguments[:1], arguments[1:]
    if command == ["explain"] and len(rest) == 1:
        return _explain(rest[0])
    if arguments == ["doctor"]:
        print("\n".join(f"{subject:<9} {finding}" for subject, finding in diagnosis()))
        return 0
    if command == ["conformance"] and rest and not any(name.startswith("-") for name in rest):
        return _conformance(rest)
    if arguments in (["--help"], ["-h"], ["help"]):
        print(HELP)
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


def _conformance(names: Sequence[str]) -> int:
    """Show the reports in these files: each backend of a single one, else what differs."""
    from refgraph.core.errors import RefgraphError
    from refgraph.testing.report import compare, read, render

    try:
        reports = [(name.removesuffix(".json"), read(Path(name))) for name in names]
    except RefgraphError as error:
        print(f"{error.message} ({error.help})", file=sys.stderr)
        return 1
    alone = [] if len(reports) > 1 else [render(report, one) for _, report in reports for one in report["backends"]]
    pages = alone if len(alone) == 1 else [*alone, compare(reports)]
    print("\n".join(pages), end="")
    return 0


def diagnosis() -> Iterator[tuple[str, str]]:
    """Subject and finding: versions, BLAS, threads, backends, flags, and a line for each thing to mend.

    Every plugin is imported; one that cannot be is told of like the others.
    """
    import os
    import platform
    from importlib import metadata

    import numpy as np

    from refgraph.core.config import FLAGS
    from refgraph.interp.backends import installed

    yield "python", f"{platform.python_version()} on {platform.platform()}"
    packages = ("refgraph", "numpy", "scipy", "pluggy", "refgraph-cython", "refgraph-cupy")
    versions = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"] in packages}
    yield "packages", ", ".join(f"{name} {versions[name]}" for name in packages if name in versions)
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    yield "blas", f"{blas.get('name')} {blas.get('version')}, of NumPy"
    limits = [f"{v}={os.environ[v]}" for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if v in os.environ]
    yield "threads", ", ".join([f"{os.cpu_count()} processors", *limits])
    backends = installed()
    yield "backends", ", ".join(["numpy (the interpreter)", *[name for name in backends if name != "numpy"]])
    yield from [("backend", f"{name}: {_state(name)}") for name in backends if name != "numpy"]
    yield "functions", _choice()
    changed = [f"{name}={flag.value!r}" for name, flag in sorted(FLAGS.items()) if flag.value != flag.default]
    yield "flags", ", ".join(changed) or "all as they come"
    gpu = os.path.exists("/proc/driver/nvidia/version") or os.path.exists(r"C:\Windows\System32\nvcuda.dll")
    yield "gpu", "an NVIDIA driver is installed" if gpu else "no NVIDIA driver found"
    if "cython" not in backends:
        yield "advice", "for compiled kernels: pip install 'refgraph[cython]'"
    if gpu and "cupy" not in backends:
        yield "advice", "to run on the GPU: pip install 'refgraph[cuda]'"


def _state(name: str) -> str:
    """Where a backend comes from, what it computes on, and whether it can run here."""
    from refgraph.core.errors import RefgraphError
    from refgraph.interp.backends import get_backend
    from refgraph.testing.report import distribution

    source = distribution(name) or "of no distribution"
    try:
        backend = get_backend(name)
    except RefgraphError as error:
        return f"{source}, {error.message}"
    why = backend.why_unavailable()
    return f"{source}, on {backend.device}, {f'cannot run here: {why}' if why else 'available'}"


def _choice() -> str:
    """Which backend the flags choose."""
    import warnings

    from refgraph.core.config import config
    from refgraph.core.errors import RefgraphError
    from refgraph.interp.backends import chosen

    flags = f"backend={config.backend}, device={config.device}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = f"run on {chosen(None).name} ({flags})"
        except RefgraphError as error:
            return f"do not run ({flags}): {'; '.join(filter(None, (error.message, error.why, error.help)))}"
    return "; ".join([found, *[str(warning.message) for warning in said]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
