"""Builds the extension: the instruction set is written from the ops' table, then each C file compiled for itself."""

from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
NATIVE = Path("refgraph_cython/native")
GENERATED = NATIVE / "instructions_generated.c"
FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden"]
ISAS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"]}
FOR_EACH_ISA = {"instructions_generated", "blocks"}
"""Files that are compiled once for each instruction set."""

HAS_ISAS = platform.machine().lower() in ("x86_64", "amd64") and os.name == "posix"


def generate() -> None:
    """Write the instructions. From an archive of the sources, without the library at hand, those in it are used."""
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    try:
        import generate
    except ImportError:
        if GENERATED.exists():
            return
        raise
    text = generate.source(NATIVE)
    if not GENERATED.exists() or GENERATED.read_text() != text:
        GENERATED.write_text(text)


class BuildNative(build_ext):
    """Compiles what is older than its source or any header, two files at a time, then links."""

    def build_extension(self, ext: Extension) -> None:
        generate()
        headers = max(p.stat().st_mtime for p in NATIVE.glob("*.h"))
        todo, objects = [], []
        for source in sorted(NATIVE.glob("*.c")):
            for isa in ISAS if HAS_ISAS and source.stem in FOR_EACH_ISA else ["base"]:
                folder = Path(self.build_temp) / isa
                made = folder / source.with_suffix(".o")
                objects.append(str(made))
                if not made.exists() or made.stat().st_mtime < max(headers, source.stat().st_mtime):
                    todo.append((source, folder, isa))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for _ in pool.map(self.compiled, todo):
                pass
        ext.extra_objects = objects
        ext.depends = [*ext.depends, *objects]
        super().build_extension(ext)

    def compiled(self, file: tuple[Path, Path, str]) -> None:
        source, folder, isa = file
        macros = [("RG_ISA", isa)] if source.stem in FOR_EACH_ISA else []
        flags = [*FLAGS, *ISAS[isa]]
        self.compiler.compile([str(source)], str(folder), macros, [str(NATIVE)], extra_postargs=flags)


setup(
    ext_modules=[
        Extension(
            "refgraph_cython._native",
            ["refgraph_cython/_native.pyx"],
            include_dirs=[np.get_include(), str(NATIVE)],
            depends=[str(p) for p in NATIVE.glob("*.h")],
            extra_compile_args=["-O2"],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
            optional=True,  # without a compiler the package installs, and says what is missing
        )
    ],
    cmdclass={"build_ext": BuildNative},
)
