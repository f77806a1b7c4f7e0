"""Compiles all C files of the plugin but the binding for other machines, with all warnings, and says which do not.

    python plugins/refgraph_cython/tools/compilers.py [--compiler COMMAND] [--fully] [TARGET ...]

Without a command this is Clang as the package `ziglang` brings it, with the headers of all targets; where that is not
installed, `cc`, for this machine. A target is what Clang calls so; nothing is run. Files are optimized little, which is
quick; `--fully` optimizes them as a build does. The status is 1 where a file does not compile, or with a warning.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1]
NATIVE = PLUGIN / "refgraph_cython/native"
sys.path.insert(0, str(PLUGIN))
from flags import flags, isas, several_here  # noqa: E402

NATIVE_TARGET = "x86_64-linux-gnu"
"""All instruction sets are made for it: flags.py says why for few others. It needs the headers of such a machine."""

TARGETS = (NATIVE_TARGET, "aarch64-linux-gnu", "aarch64-macos", "x86_64-macos", "x86_64-windows-gnu",
           "aarch64-windows-gnu")  # fmt: skip
WARNINGS = ["-Wall", "-Wextra", "-Wno-type-limits"]  # what is written for all types compares some in vain


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: " + ", ".join(TARGETS))
    parser.add_argument("--compiler", help="a command instead; targets are given to it with -target")
    parser.add_argument("--fully", action="store_true", help="optimize as a build does")
    given = parser.parse_args()
    has_zig = not given.compiler and find_spec("ziglang") is not None
    if not list(NATIVE.glob("instructions_*.c")):
        raise SystemExit("the instructions are not written yet: build the plugin first")
    targets = given.targets or (TARGETS if has_zig else [""])
    made = [report(t, ziglang(t) if has_zig else plainly(t, given.compiler or "cc"), given.fully) for t in targets]
    return 1 if sum(made) else 0


def plainly(target: str, compiler: str) -> list[str]:
    return [*compiler.split(), *(["-target", target] if target else [])]


def ziglang(target: str) -> list[str]:
    """Clang by itself where there are several instruction sets: Zig gives these names and meanings of its own."""
    zig = [sys.executable, "-m", "ziglang"]
    if target != NATIVE_TARGET:
        return [*zig, "cc", "-target", target]
    spec = find_spec("ziglang")
    assert spec
    assert spec.origin
    return [*zig, "clang", "-target", target, "-isystem", str(Path(spec.origin).parent / "lib/include")]


def report(target: str, compiler: Sequence[str], fully: bool) -> int:
    """Compile for one target, print what the compiler says, and answer how many files it says something of."""
    several = several_here() if not target else target == NATIVE_TARGET
    jobs = [(path, isa) for path in sorted(NATIVE.glob("*.c")) for isa in isas(path, several)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def compiled(job: tuple[Path, str]) -> tuple[int, str]:
            path, isa = job
            options = [*flags(path, isa, several), *["-O1"] * (not fully), *WARNINGS]
            output = ["-c", str(path), "-o", f"{folder}/{path.stem}_{isa}.o"]
            done = subprocess.run([*compiler, *options, *output], capture_output=True, text=True)
            return done.returncode, done.stderr

        found = list(pool.map(compiled, jobs))
    for (path, isa), (status, said) in zip(jobs, found, strict=True):
        if status or said:
            print(f"{path.name} for {isa}:\n{said}")
    failed, warned = sum(bool(status) for status, _ in found), sum(not status and bool(said) for status, said in found)
    print(f"{target or 'this machine':<22} {len(jobs)} objects, {failed} fail, {warned} warn", flush=True)
    return failed + warned


if __name__ == "__main__":
    sys.exit(main())
