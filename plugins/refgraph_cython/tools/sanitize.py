"""Runs tests of the compiled backend under AddressSanitizer and UBSan: what it reads and writes beyond its memory, and
what C leaves undefined.

The extension is built into a folder of its own, with the sanitizers, and the tests run with it: the plugin's own, the
fuzz part of the conformance suite, and the rest of it; the first two with the plain instruction set too, beside the
best of this machine. Pytest's arguments may be given, which are run instead. The status is 1 where a test fails, or
where a sanitizer says something, which is then shown.

    python plugins/refgraph_cython/tools/sanitize.py [--folder FOLDER] [PYTEST ARGUMENTS]

Needs GCC or Clang on Linux. Takes about eight minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1]
ROOT = PLUGIN.parents[1]
FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=address"
FUZZ = ["tests/conformance/test_fuzz.py", "-m", "fuzz"]
# The sanitizer keeps what was freed for a while, has memory begin where it likes, and slows threads: what is about
# these is for the usual build to tell.
LEFT_OUT = "not behind and not instruction_set and not no_memory and not where_the_matrix_begins"
PLUGIN_TESTS = ["plugins/refgraph_cython/tests", "-k", LEFT_OUT]
PARTS: Sequence[tuple[str, str, Sequence[str]]] = (
    # A name, the instruction set ("" for the best), and what pytest is told.
    ("fuzz", "", FUZZ),
    ("fuzz, plain instructions", "base", FUZZ),
    ("plugin", "", PLUGIN_TESTS),
    ("plugin, plain instructions", "base", PLUGIN_TESTS),
    ("suite", "", ["tests/conformance", "-k", "not test_threads"]),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to build, to be used again; else a temporary one")
    parser.add_argument("--isa", default="", help="instruction set of what pytest is told here: base, v3 or v4")
    given, told = parser.parse_known_args()
    parts = [("what was asked for", given.isa, told)] if told else PARTS
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        build(folder)
        bad = [name for name, isa, arguments in parts if not is_clean(name, isa, arguments, folder)]
    print(f"not clean: {', '.join(bad)}" if bad else "clean")
    return 1 if bad else 0


def build(folder: Path) -> None:
    """The plugin in folder/lib, with the sanitizers."""
    command = [sys.executable, "setup.py", "-q", "build", f"--build-lib={folder}/lib", f"--build-temp={folder}/temp"]
    environment = os.environ | {"REFGRAPH_CYTHON_FLAGS": FLAGS, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=PLUGIN, env=environment, check=True)
    if not list((folder / "lib").rglob("_native*.so")):
        raise SystemExit("it was not compiled: see above")


def is_clean(name: str, isa: str, arguments: Sequence[str], folder: Path) -> bool:
    """Whether tests pass, and no sanitizer says anything."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    for old in logs.iterdir():
        old.unlink()
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", *arguments]
    if any("conformance" in a for a in arguments) and "--backend=cython" not in arguments:
        command.append("--backend=cython")
    done = subprocess.run(command, cwd=ROOT, env=environment(isa, folder, logs))
    said = "".join([path.read_text(errors="replace") for path in sorted(logs.iterdir())])
    print(said)
    is_good = done.returncode == 0 and not said
    print(f"{name}: {'clean' if is_good else 'not clean'}, {time.monotonic() - start:.0f} s", flush=True)
    return is_good


def environment(isa: str, folder: Path, logs: Path) -> Mapping[str, str]:
    """With the sanitizers loaded before Python, which knows nothing of them, and memory from the system's allocator."""
    libraries = [library(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so.6")]
    found = os.environ | {
        "PYTHONPATH": f"{folder}/lib:{ROOT}",
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={logs}/address",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={logs}/undefined",
        "PYTHONMALLOC": "malloc",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }
    return found | ({"REFGRAPH_CYTHON_ISA": isa} if isa else {})


def library(name: str) -> str:
    """Where the compiler has a library of its own."""
    command = [os.environ.get("CC", "cc"), f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
