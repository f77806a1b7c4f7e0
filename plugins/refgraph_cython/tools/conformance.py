"""Writes what the conformance suite finds of the compiled backend: a report, and a page made of it.

    python plugins/refgraph_cython/tools/conformance.py [--folder docs/conformance] [PYTEST ARGUMENTS]

The report is FOLDER/cython.json, the page FOLDER/cython.md. The status is that of the suite: 1 where a test fails. The
whole suite takes some minutes; with arguments that choose tests of it the report says that it is not complete.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BACKEND = "cython"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/conformance")
    given, told = parser.parse_known_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"{BACKEND}.json"
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance", *told]
    status = subprocess.run([*suite, f"--backend={BACKEND}", f"--report={report}"], cwd=ROOT).returncode
    if status > 1 or not report.exists():  # pytest did not run to its end
        return status
    shown = [sys.executable, "-m", "refgraph", "conformance", str(report)]
    page = subprocess.run(shown, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (folder / f"{BACKEND}.md").write_text(page)
    return status


if __name__ == "__main__":
    sys.exit(main())
