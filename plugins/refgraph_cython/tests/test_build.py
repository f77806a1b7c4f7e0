"""Building: without a C compiler the package installs all the same, and says what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refgraph_cython import _missing

PLUGIN = Path(__file__).resolve().parents[1]
PYTHON = [sys.executable, "-S"]
"""A Python that finds what its path says alone: an editable installation also finds parts of packages by itself."""


@pytest.fixture(scope="module")
def without_compiler(tmp_path_factory):
    """The environment of a Python that finds the plugin as it is built where there is no C compiler."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("built")
    left_out = shutil.ignore_patterns("build", "*.so", "*.o", "__pycache__", "*.egg-info")
    sources = shutil.copytree(PLUGIN, folder / "sources", ignore=left_out)
    installed = folder / "installed"
    installed.mkdir()
    command = [sys.executable, "setup.py", "egg_info", f"--egg-base={installed}"]
    command += ["build", f"--build-lib={installed}", f"--build-temp={folder / 'temp'}"]
    compilers = {name: "/nowhere/cc" for name in ("CC", "CXX", "LDSHARED")}
    path = os.pathsep.join([str(folder / "sources"), *sys.path])
    done = run(command, cwd=sources, env=os.environ | compilers | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(installed.rglob("_native*.so"))
    assert (installed / "refgraph_cython/lower/program.py").exists()
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)])}


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_without_a_compiler_the_doctor_says_what_is_missing(without_compiler, tmp_path):
    done = run([*PYTHON, "-m", "refgraph", "doctor"], env=without_compiler, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "cython:" in line]
    assert "cannot run here: its compiled part is missing" in line
    assert "install a C compiler, then refgraph-cython again" in line


def test_without_a_compiler_functions_run_on_the_interpreter(without_compiler, tmp_path):
    program = """if True:
        import refgraph, refgraph_cython
        import refgraph.tensor as T
        x = T.dscalar()
        print(refgraph.function([x], x + 1)(2.0), refgraph.function([x], x + 1).report())
        try:
            refgraph.function([x], x + 1, backend="cython")
        except refgraph.RefgraphError as error:
            print(error)
    """
    environment = {k: v for k, v in without_compiler.items() if k != "REFGRAPH_FLAGS"}
    done = run([*PYTHON, "-c", program], env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3.0 numpy")
    assert "its compiled part is missing" in done.stdout


def test_with_its_compiled_part_nothing_is_missing():
    assert _missing() == ""
