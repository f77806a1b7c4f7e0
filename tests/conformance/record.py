"""Writes what the conformance suite finds of a backend: a report, and a page made of it.

    python tests/conformance/record.py BACKEND [--folder docs/conformance] [PYTEST ARGUMENTS]

The report is FOLDER/BACKEND.json, the page FOLDER/BACKEND.md. The status is that of the suite: 1 where a test fails.
The whole suite takes some minutes; with arguments that choose tests of it the report says that it is not complete.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/conformance"


def record(backend: str, page: Path, told: Sequence[str] = ()) -> int:
    """Run the suite, with these arguments for pytest, and write a page and its report: files of one name."""
    page.parent.mkdir(parents=True, exist_ok=True)
    report = page.with_suffix(".json")
    report.unlink(missing_ok=True)
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance", *told]
    status = subprocess.run([*suite, f"--backend={backend}", f"--report={report}"], cwd=ROOT).returncode
    if status > 1 or not report.exists():  # pytest did not run to its end
        return status or 1
    shown = [sys.executable, "-m", "refgraph", "conformance", str(report)]
    page.write_text(subprocess.run(shown, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given, told = parser.parse_known_args()
    return record(given.backend, given.folder.resolve() / f"{given.backend}.md", told)


if __name__ == "__main__":
    sys.exit(main())
