"""Builds the extension: each C file for itself, and only those that changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
NATIVE = Path("refgraph_cython/native")
FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden"]


class BuildNative(build_ext):
    """Compiles what is older than its source or any header, then links."""

    def build_extension(self, ext: Extension) -> None:
        os.makedirs(self.build_temp, exist_ok=True)
        headers = max(p.stat().st_mtime for p in NATIVE.glob("*.h"))
        objects = []
        for source in sorted(NATIVE.glob("*.c")):
            made = Path(self.build_temp) / f"{source.stem}.o"
            if not made.exists() or made.stat().st_mtime < max(headers, source.stat().st_mtime):
                compiler = self.compiler
                (found,) = compiler.compile([str(source)], output_dir=self.build_temp, include_dirs=[str(NATIVE)], extra_postargs=FLAGS)
                os.replace(found, made)
            objects.append(str(made))
        ext.extra_objects = objects
        ext.depends = [*ext.depends, *objects]
        super().build_extension(ext)


setup(
    ext_modules=[
        Extension(
            "refgraph_cython._native",
            ["refgraph_cython/_native.pyx"],
            include_dirs=[np.get_include(), str(NATIVE)],
            depends=[str(p) for p in (HERE / NATIVE).glob("*.h")],
            extra_compile_args=["-O2"],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        )
    ],
    cmdclass={"build_ext": BuildNative},
)
