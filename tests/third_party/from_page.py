"""Writes the plugin that docs/write-a-backend.md shows: `python from_page.py FOLDER`, for `pip install FOLDER`.

A heading that is the name of a file stands above it, in the first block that follows.
"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "write-a-backend.md"
FILE = re.compile(r"^## (\S+\.\w+)\n.*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files(text: str) -> dict[str, str]:
    """What the files are to hold, by name."""
    return dict(FILE.findall(text))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(PAGE.read_text()).items():
        (folder / name).write_text(content)
