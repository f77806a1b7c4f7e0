"""Builds the extension: the instruction set is written from the ops' table, then each C file compiled for itself."""

from __future__ import annotations

import os
import platform
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[1]
NATIVE = Path("refgraph_cython/native")
FLAGS = ["-O3", "-g0", "-std=gnu11", "-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
         "-fvisibility=hidden"]  # fmt: skip
FLAGS_OF = {"instructions_pairs": ["-ffp-contract=off"]}
"""Two steps in one instruction are rounded twice, as they are one by one."""
ISAS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]}
FOR_EACH_ISA = re.compile(r"instructions_.*|blocks")
"""Files that are compiled once for each instruction set: native/variants.h."""

MORE_FLAGS = os.environ.get("REFGRAPH_CYTHON_FLAGS", "").split()
"""Flags for the compiler and the linker, after all others: tools/sanitize.py gives some."""

HAS_ISAS = platform.machine().lower() in ("x86_64", "amd64") and os.name == "posix"


def generate() -> None:
    """Write the instructions from the rows of the library that this lies beside, or else of one that is installed.

    An archive of the sources holds those that were written when it was made.
    """
    beside = (WORKSPACE / "refgraph/backend.py").exists()
    if not beside and list(NATIVE.glob("instructions_*.c")):
        return
    sys.path[:0] = [str(HERE), *[str(WORKSPACE)] * beside]
    import generate

    generate.write(NATIVE)


@cache
def written(path: Path) -> float:
    """When a file, or one that it includes, was last written."""
    names = re.findall(r'^#(?:include|define RG_SOURCE) "(.+)"', path.read_text(), re.MULTILINE)
    return max([path.stat().st_mtime, *[written(NATIVE / n) for n in names if (NATIVE / n).exists()]])


def variants(source: Path) -> list[str]:
    """The instruction sets that a file is compiled for."""
    return list(ISAS) if HAS_ISAS and FOR_EACH_ISA.fullmatch(source.stem) else ["base"]


class Sdist(sdist):
    """Writes the instructions first, so that they are in the archive."""

    def run(self) -> None:
        generate()
        super().run()


class BuildNative(build_ext):
    """Compiles what is older than its source or any header, two files at a time, then links."""

    def build_extension(self, ext: Extension) -> None:
        generate()
        todo, objects = [], []
        for source in sorted(NATIVE.glob("*.c"), key=lambda p: -p.stat().st_size):  # what takes longest goes first
            for isa in variants(source):
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
        macros = [("RG_ISA", isa)] if FOR_EACH_ISA.fullmatch(source.stem) else []
        flags = [*FLAGS, *FLAGS_OF.get(source.stem, []), *ISAS[isa], *MORE_FLAGS]
        self.compiler.compile([str(source)], str(folder), macros, [str(NATIVE)], extra_postargs=flags)


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
