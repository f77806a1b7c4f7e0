"""The house has floors: a module imports only from its own floor and from those that its line below names."""

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
FLOORS = {
    "core": {"core"},
    "ops": {"core", "ops"},
    "autodiff": {"core", "ops", "autodiff"},
    "rewrite": {"core", "ops", "rewrite"},
    "interp": {"core", "ops", "rewrite", "interp"},
}
ROOMS = {p.stem for p in (TOP / "refgraph").iterdir() if p.is_dir() or p.suffix == ".py"} | set(FLOORS)
OPEN_TO_PLUGINS = {"tensor", "backend"}
ARRAY_LIBRARIES = {"numpy", "scipy", "cupy"}


def imported(source, package):
    """Dotted names of all that `source`, a module in `package`, imports, at its top or within a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            start = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def trespasses(path, source):
    """What the file at `path` imports from where it may not; None for files that may import anything."""
    root, *rest = path.parts
    names = [name.split(".") for name in imported(source, path.parts[:-1])]
    ours = {(name[1:] or ["__init__"])[0] for name in names if name[0] == "refgraph"}
    if root == "plugins" or path.parts[:2] == ("tests", "third_party"):
        return ours & (ROOMS - OPEN_TO_PLUGINS - {"__init__"})
    if root != "refgraph" or rest[0] not in FLOORS:
        return None
    foreign = {name[0] for name in names} & ARRAY_LIBRARIES if rest[0] == "core" else set()
    return ours - FLOORS[rest[0]] | foreign


def bound_files():
    folders = ("refgraph", "plugins", "tests/third_party")
    paths = [p.relative_to(TOP) for folder in folders for p in sorted((TOP / folder).rglob("*.py"))]
    return [p for p in paths if "tests" not in p.parts[2:] and trespasses(p, (TOP / p).read_text()) is not None]


@pytest.mark.parametrize("path", bound_files(), ids=str)
def test_imports_go_down(path):
    found = trespasses(path, (TOP / path).read_text())

    assert not found, f"{path} may not import {sorted(found)}"


def test_the_floors_are_looked_at():
    assert {path.parts[1] for path in bound_files()} >= {"core", "ops", "autodiff", "interp"}


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("refgraph/core/graph.py", "import numpy as np", {"numpy"}),
        ("refgraph/core/graph.py", "import refgraph.ops.elementwise", {"ops"}),
        ("refgraph/ops/shape.py", "from ..autodiff import grad", {"autodiff"}),
        ("refgraph/ops/shape.py", "from .. import interp", {"interp"}),
        ("refgraph/ops/shape.py", "from .elementwise import add", set()),
        ("refgraph/autodiff/reverse.py", "def f():\n    from refgraph.rewrite import rule", {"rewrite"}),
        ("refgraph/rewrite/rule.py", "from refgraph.autodiff.reverse import grad", {"autodiff"}),
        ("refgraph/interp/plan.py", "import refgraph", {"__init__"}),
        ("refgraph/interp/plan.py", "import numpy\nfrom refgraph.rewrite import rule", set()),
        ("refgraph/tensor/__init__.py", "from refgraph.core import graph", None),
        ("plugins/refgraph_cupy/kernels.py", "from refgraph.core.graph import Apply", {"core"}),
        ("plugins/refgraph_cupy/kernels.py", "from refgraph import ops", {"ops"}),
        ("plugins/refgraph_cupy/kernels.py", "import refgraph.tensor as T\nfrom refgraph import grad", set()),
        ("tests/third_party/refgraph_x/refgraph_x.py", "from refgraph.backend import Backend", set()),
        ("tests/third_party/refgraph_x/refgraph_x.py", "from refgraph.interp.plan import Plan", {"interp"}),
    ],
)
def test_a_bad_import_is_caught(path, source, found):
    assert trespasses(Path(path), source) == found
