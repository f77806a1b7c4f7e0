"""BLAS as SciPy has it, for C, without the rest of `scipy.linalg`, which takes longer to load than most graphs take.

It is loaded by the first product that kernels of our own would not compute sooner.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Any

from refgraph_cython import _native

_NAME = "scipy.linalg.cython_blas"


@cache
def load() -> None:
    """Let products be those of BLAS where they are faster so."""
    module = sys.modules.get(_NAME) or _alone() or import_module(_NAME)
    _native.use_blas(module.__pyx_capi__)


def _alone() -> Any:
    """The module without its package; None where it is not a file that can be found, or loads only with that."""
    if sys.platform == "win32":
        import_module("scipy")  # says where its libraries are
    scipy = find_spec("scipy")
    for folder in (scipy.submodule_search_locations if scipy else None) or ():
        for suffix in EXTENSION_SUFFIXES:
            file = os.path.join(folder, "linalg", "cython_blas" + suffix)
            spec = spec_from_file_location(_NAME, file) if os.path.exists(file) else None
            if spec is None or spec.loader is None:
                continue
            try:
                module = module_from_spec(spec)
                spec.loader.exec_module(module)
            except ImportError:
                return None
            return module
    return None
