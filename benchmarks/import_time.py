"""What `import refgraph` costs beside `import numpy`, each in fresh processes that take turns.

    uv run benchmarks/import_time.py [--json FILE] [--quick]

Seconds are medians of whole processes, with compiled files in place; "alone" is less what a Python that imports nothing
takes. The goal is for whole processes; the ratio without Python's own start is the stricter one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from statistics import median

GOAL = 1.3  # times numpy
PROGRAMS = {"python": "pass", "numpy": "import numpy", "refgraph": "import refgraph"}
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # or nothing stays compiled


def run(program: str) -> float:
    """The seconds that a fresh process takes to run it."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def interleaved(repeat: int) -> dict[str, float]:
    """The median seconds of each program, taking turns, after one round that leaves compiled files behind."""
    rounds = [{name: run(program) for name, program in PROGRAMS.items()} for _ in range(repeat + 1)][1:]
    return {name: median([taken[name] for taken in rounds]) for name in PROGRAMS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs")
    args = parser.parse_args()
    seconds = interleaved(3 if args.quick else 101)
    alone = {name: taken - seconds["python"] for name, taken in seconds.items()}
    ratios = {"whole": seconds["refgraph"] / seconds["numpy"], "alone": alone["refgraph"] / alone["numpy"]}

    print(f"import (goal: at most {GOAL} times NumPy)")
    print(f"{'':<12} {'process':>11} {'alone':>11}")
    for name, taken in seconds.items():
        print(f"{name:<12} {1e3 * taken:>8.1f} ms {1e3 * alone[name]:>8.1f} ms")
    print(f"{'ratio':<12} {ratios['whole']:>10.2f}x {ratios['alone']:>10.2f}x")
    if args.json:
        versions = {"python": platform.python_version(), "numpy": version("numpy"), "machine": platform.platform()}
        with open(args.json, "w") as file:
            json.dump({"versions": versions, "seconds": seconds, "ratios": ratios}, file, indent=1)


if __name__ == "__main__":
    main()
