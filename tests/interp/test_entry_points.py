"""Entry points are those that importlib.metadata finds."""

import subprocess
import sys
import zipfile
from importlib import metadata
from importlib.abc import MetaPathFinder

import pytest

from refgraph.interp.entry_points import EntryPoint, entry_points

GROUP = "refgraph.made_up"
NAMED = "Metadata-Version: 2.1\nName: one\nVersion: 1.0\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes what describes a distribution, with this text, into a folder of this name, on the path."""

    def write(info, text, folder="site"):
        place = tmp_path / folder / info
        place.mkdir(parents=True)
        (place / "entry_points.txt").write_text(text)
        if str(place.parent) not in sys.path:
            monkeypatch.setattr(sys, "path", [*sys.path, str(place.parent)])
        return place

    return write


def found():
    """What is found, which importlib.metadata agrees with."""
    points = entry_points(GROUP)
    assert sorted(points) == sorted([(p.name, p.value) for p in metadata.entry_points(group=GROUP)])
    return points


@pytest.mark.parametrize("group", ["pytest11", "console_scripts", "refgraph.backends"])
def test_what_is_installed_here(group):
    points = entry_points(group)

    assert points
    assert sorted(points) == sorted({(p.name, p.value) for p in metadata.entry_points(group=group)})


def test_only_lines_of_the_group_count(install):
    install("one-1.0.dist-info", f"[other]\nx = y\n[{GROUP}]\n# no\n\na = b.c\n  d=e : f.g [h]\n[{GROUP}.not]\ni = j\n")

    assert found() == [("a", "b.c"), ("d", "e : f.g [h]")]


@pytest.mark.parametrize("info", ["one-1.0.dist-info", "one.egg-info", "One_two-2.egg-info"])
def test_distributions_of_either_kind(install, info):
    install(info, f"[{GROUP}]\na = b\n")

    assert found() == [("a", "b")]


def test_of_two_distributions_of_one_name_the_first_on_the_path_counts(install):
    install("the.one-2.0.dist-info", f"[{GROUP}]\na = new\n", "first")
    install("The_one-1.0.dist-info", f"[{GROUP}]\na = old\nb = old\n", "second")

    assert found() == [("a", "new")]


def test_a_distribution_without_entry_points(install):
    (install("one-1.0.dist-info", "") / "entry_points.txt").unlink()

    assert found() == []


def test_folders_on_the_path_that_are_not_there(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/no/such/folder", *sys.path])

    assert found() == []


def test_distributions_in_an_archive(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("one-1.0.dist-info/METADATA", NAMED)
        archive.writestr("one-1.0.dist-info/entry_points.txt", f"[{GROUP}]\na = b\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "one.zip")])

    assert found() == [("a", "b")]


def test_distributions_in_an_egg(install):
    place = install("EGG-INFO", f"[{GROUP}]\na = b\n", "one-1.0-py3.egg")
    (place / "PKG-INFO").write_text(NAMED)

    assert found() == [("a", "b")]


def test_distributions_that_an_importer_knows(install, monkeypatch):
    place = install("one-1.0.dist-info", f"[{GROUP}]\na = b\n")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(place.parent)])

    class Importer(MetaPathFinder):
        def find_spec(self, *_):
            return None

        def find_distributions(self, context=None):
            return [metadata.PathDistribution(place)]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Importer()])

    assert found() == [("a", "b")]


@pytest.mark.parametrize(
    ("value", "meant"),
    [("os.path", "os.path"), ("os:path.join", "os.path.join"), ("os.path : join [more]", "os.path.join")],
)
def test_what_is_meant_is_loaded(value, meant):
    import os

    loaded = EntryPoint("a", value).load()

    assert loaded is {"os.path": os.path, "os.path.join": os.path.join}[meant]


def test_importlib_metadata_is_left_alone():
    program = "import sys; from refgraph.interp.backends import installed; installed(); print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "refgraph.interp.entry_points" in loaded
    assert "importlib.metadata" not in loaded
