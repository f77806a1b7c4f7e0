"""Builds the extension: the instruction set is written from the ops' table, then each C file compiled for itself."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import CompileError

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[1]
sys.path.insert(0, str(HERE))
from flags import flags, isas, several_here  # noqa: E402

NATIVE = Path("refgraph_cython/native")
MORE_FLAGS = os.environ.get("REFGRAPH_CYTHON_FLAGS", "").split()
"""Flags for the compiler and the linker, after all others: tools/sanitize.py gives some."""

SEVERAL = several_here()


def generate() -> None:
    """Write the instructions from the rows of the library that this lies beside, or else of one that is installed.

    An archive of the sources holds those that were written when it was made.
    """
    beside = (WORKSPACE / "refgraph/backend.py").exists()
    if not beside and list(NATIVE.glob("instructions_*.c")):
        return
    sys.path[:0] = [str(WORKSPACE)] * beside
    import generate

    generate.write(NATIVE)


@cache
def written(path: Path) -> float:
    """When a file, or one that it includes, was last written."""
    names = re.findall(r'^#(?:include|define RG_SOURCE) "(.+)"', path.read_text(), re.MULTILINE)
    return max([path.stat().st_mtime, *[written(NATIVE / n) for n in names if (NATIVE / n).exists()]])


class Sdist(sdist):
    """Writes the instructions first, so that they are in the archive."""

    def run(self) -> None:
        generate()
        super().run()


class BuildNative(build_ext):
    """Compiles what is older than its source or any header, two files at a time, then links."""

    def build_extension(self, ext: Extension) -> None:
        if self.compiler.compiler_type == "msvc":
            raise CompileError("MSVC has no vectors and no complex numbers of C11: needs GCC or Clang")
        generate()
        todo, objects = [], []
        for source in sorted(NATIVE.glob("*.c"), key=lambda p: -p.stat().st_size):  # what takes longest goes first
            for isa in isas(source, SEVERAL):
                folder = Path(self.build_temp) / isa
                made = folder / source.with_suffix(".o")
                objects.append(str(made))
                if not made.exists() or made.stat().st_mtime < written(source):
                    todo.append((source, folder, isa))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for _ in pool.map(self.compiled, todo):
                pass
        ext.extra_objects = objects
        ext.depends = [*ext.depends, *objects]
        super().build_extension(ext)

    def compiled(self, file: tuple[Path, Path, str]) -> None:
        source, folder, isa = file
        told = [*flags(source, isa, SEVERAL), *MORE_FLAGS]
        self.compiler.compile([str(source)], str(folder), [], [str(NATIVE)], extra_postargs=told)


setup(
    ext_modules=[
        Extension(
            "refgraph_cython._native",
            ["refgraph_cython/_native.pyx"],
            include_dirs=[np.get_include(), str(NATIVE)],
            depends=[str(p) for p in NATIVE.glob("*.h")],
            extra_compile_args=["-O2", *MORE_FLAGS],
            extra_link_args=MORE_FLAGS,
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
            optional=True,  # without a compiler the package installs, and says what is missing
        )
    ],
    cmdclass={"build_ext": BuildNative, "sdist": Sdist},
)
