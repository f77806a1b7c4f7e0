"""What is installed under a group of entry points, without `importlib.metadata`.

To load that takes as long as to make a small function: it brings in what reads mail, archives and addresses. An
installed distribution is a folder on `sys.path` in which `entry_points.txt` is a few lines of text, so those are read
here. Where something else may know of distributions, an archive, an egg, or an importer of its own, that is asked.
Source: https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import reduce
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any, NamedTuple


class EntryPoint(NamedTuple):
    """A name, and what it stands for: `module`, or `module:attribute`."""

    name: str
    value: str

    @property
    def module(self) -> str:
        """The module that holds it."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def attr(self) -> str:
        """What it is in the module, dotted; "" for the module itself."""
        return self.value.partition("[")[0].partition(":")[2].strip()

    def load(self) -> Any:
        """Import the module, and answer what is meant in it."""
        return reduce(getattr, filter(None, self.attr.split(".")), import_module(self.module))


def entry_points(group: str) -> Sequence[EntryPoint]:
    """Those of a group in every distribution; of two distributions of one name the first on the path counts."""
    if any(map(_is_archive, sys.path)) or any(map(_knows_more, sys.meta_path)):
        from importlib import metadata

        return [EntryPoint(point.name, point.value) for point in metadata.entry_points(group=group)]
    return [point for folder in _distributions() for point in _in(group, os.path.join(folder, "entry_points.txt"))]


def _is_archive(path: str) -> bool:
    return path.endswith(".egg") or os.path.isfile(path)


def _knows_more(finder: Any) -> bool:
    """Whether an importer may know of distributions that are not folders on the path."""
    return finder is not PathFinder and hasattr(finder, "find_distributions")


def _distributions() -> Iterator[str]:
    """The folders that describe what is installed."""
    known = set()
    for folder in dict.fromkeys(sys.path):
        for entry in _listed(folder or "."):
            if entry.endswith((".dist-info", ".egg-info")):
                name = re.sub("[-_.]+", "-", os.path.splitext(entry)[0].partition("-")[0]).lower()
                if name not in known:
                    known.add(name)
                    yield os.path.join(folder, entry)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _in(group: str, file: str) -> Iterator[EntryPoint]:
    """What a file lists under a group."""
    try:
        with open(file, encoding="utf-8") as lines:
            text = lines.read()
    except OSError:
        return
    here = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            here = line == f"[{group}]"
        elif here and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip())
