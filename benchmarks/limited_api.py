"""What Python's limited API costs for a whole call of a small compiled function (docs/adr/0032-wheels.md).

    uv run benchmarks/limited_api.py [--json FILE] [--quick] [--folder FOLDER]

Builds refgraph-cython twice, in a temporary folder or in one that is kept; only the file that knows Python is compiled
twice. Each extension is loaded by a process of its own, on one core, and the two take turns; times are the least of
them. Needs what the plugin is built with: Cython, setuptools, a C compiler; building takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from interpreter import versions  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parents[1]
APIS = {"usual": "", "limited": "-DPy_LIMITED_API=0x030b0000"}
FUNCTIONS = ("x + y, single numbers", "v + w, 10 numbers, w is shared", "tanh(v + u) and sum(v * u), 10 numbers",
             "updates of two shared variables")  # fmt: skip

# Read by each process: it makes the functions, then measures one whenever it is told its number.
PROGRAM = """
import sys, time
import numpy as np
import refgraph
import refgraph.tensor as T
from refgraph_cython import backend

x, y = T.dscalars("x", "y")
u, v = T.dvectors("u", "v")
ten = np.linspace(0, 1, 10)
w, p, q = refgraph.shared(ten), refgraph.shared(np.zeros(10)), refgraph.shared(np.zeros(3))
numbers = np.array(1.5), np.array(2.5)
made = [
    (refgraph.function([x, y], x + y, backend=backend, strict=True), numbers),
    (refgraph.function([v], v + w, backend=backend, strict=True), (ten,)),
    (refgraph.function([u, v], [T.tanh(v + u), (v * u).sum()], backend=backend, strict=True), (ten, ten)),
    (refgraph.function([v], [], updates=[(p, p + v), (q, q * 0.5)], backend=backend, strict=True), (ten,)),
]
for line in sys.stdin:
    number, loops = map(int, line.split())
    f, arguments = made[number]
    start = time.perf_counter()
    for _ in range(loops):
        f(*arguments)
    print(time.perf_counter() - start, flush=True)
"""


def built(folder: Path, api: str) -> Path:
    """The library folder of the plugin, as it is for an API."""
    lib = folder / api
    command = [sys.executable, "setup.py", "-q", "build", f"--build-lib={lib}", f"--build-temp={folder}/temp"]
    environment = os.environ | {"REFGRAPH_CYTHON_FLAGS": APIS[api], "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT / "plugins/refgraph_cython", env=environment, check=True)
    if not list(lib.rglob("_native*.so")):
        raise SystemExit("it was not compiled: see above")
    return lib


def started(lib: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{lib}:{ROOT}", "OMP_NUM_THREADS": "1"}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, **pipes)


def microseconds(process: subprocess.Popen[str], number: int, loops: int) -> float:
    """What a call of a function takes there."""
    assert process.stdin
    assert process.stdout
    print(number, loops, file=process.stdin, flush=True)
    return 1e6 * float(process.stdout.readline()) / loops


def measured(libs: dict[str, Path], repeat: int, loops: int) -> list[dict[str, Any]]:
    """A row for each function: the least time by each API, and the ratio."""
    processes = {api: started(lib) for api, lib in libs.items()}
    rows = []
    for number, what in enumerate(FUNCTIONS):
        us = dict.fromkeys(processes, np.inf)
        for _ in range(repeat):
            for api, process in processes.items():
                us[api] = min(us[api], microseconds(process, number, loops))
        rows.append({"function": what, "us": us, "ratio": us["limited"] / us["usual"]})
    for process in processes.values():
        process.communicate()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    parser.add_argument("--folder", type=Path, help="where to build, to be used again; else a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        libs = {api: built(folder, api) for api in APIS}
        rows = measured(libs, 3 if args.quick else 60, 500 if args.quick else 5_000)
    print("microseconds a call by the usual API, by the limited one, and their ratio")
    for row in rows:
        usual, limited = row["us"].values()
        print(f"{row['function']:<42} {usual:>8.3f} {limited:>8.3f} {row['ratio']:>6.2f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"versions": versions(), "calls": rows}, file, indent=1)


if __name__ == "__main__":
    main()
