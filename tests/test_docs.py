"""What the documentation shows, runs: every Python block of every page, and every example in a docstring.

A block marked `python` is executed, one marked `pycon` is a session whose answers are compared.
The blocks of a page share their names.
"""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import refgraph

TOP = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def pages():
    paths = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]
    return [path.relative_to(TOP) for path in paths if BLOCK.search(path.read_text())]


def modules_with_examples():
    paths = [path for path in sorted((TOP / "refgraph").rglob("*.py")) if ">>> " in path.read_text()]
    return [".".join(p.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__") for p in paths]


def run_page(path):
    text, names = path.read_text(), {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        kind, source = block.groups()
        line = text.count("\n", 0, block.start(2))
        if kind == "python":  # the empty lines make errors and origins name the line of the page
            exec(compile("\n" * line + source, str(path), "exec"), names)
        else:
            session = doctest.DocTestParser().get_doctest(source, {}, path.name, str(path), line)
            session.globs = names
            doctest.DebugRunner(optionflags=OPTIONS).run(session, clear_globs=False)


@pytest.mark.parametrize("floatX", ["float64", "float32"])
@pytest.mark.parametrize("page", pages(), ids=str)
@pytest.mark.usefixtures("own_rules", "own_ops")
def test_page_runs(page, floatX, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refgraph.config.change_flags(floatX=floatX):
        run_page(TOP / page)


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstring_examples_run(name):
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)

    assert tried
    assert not failed


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```\n", AssertionError),
        ("```python\nx = 1\n```\ntext\n```pycon\n>>> x\n2\n```\n", doctest.DocTestFailure),
    ],
)
def test_a_wrong_page_is_caught(block, error, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(block)

    with pytest.raises(error):
        run_page(page)
