"""How the C files are compiled: what setup.py and tools/compilers.py share."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from pathlib import Path

FLAGS = ["-O3", "-g0", "-std=gnu11", "-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
         "-fvisibility=hidden", "-Werror=implicit-function-declaration", "-Wno-pass-failed"]  # fmt: skip
"""The last is for Clang: a loop that may be vectorized need not be. GCC passes over it."""

FLAGS_OF = {"instructions_pairs": ["-ffp-contract=off"]}
"""Two steps in one instruction are rounded twice, as they are one by one."""

ISAS = {"base": [], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
WIDE = "-mprefer-vector-width=512"
"""For AVX-512, and for files that hold loops for it beside others (native/each_isa.h); else it says nothing."""

FOR_EACH_ISA = re.compile(r"instructions_.*|blocks")
"""Files that are compiled once for each instruction set: native/variants.h."""


def several_here() -> bool:
    """Whether this machine's compiler makes all instruction sets of x86-64.

    On Windows GCC does not align vectors of 32 bytes and more on the stack; and code for two architectures at once, as
    macOS has it, is compiled by one command.
    """
    is_x86 = platform.machine().lower() in ("x86_64", "amd64") and os.name == "posix"
    told = os.environ.get("ARCHFLAGS") or sysconfig.get_config_var("CFLAGS") or ""
    return is_x86 and "-arch arm64" not in told


def isas(source: Path, several: bool) -> list[str]:
    """The instruction sets that a file is compiled for."""
    return list(ISAS) if several and FOR_EACH_ISA.fullmatch(source.stem) else ["base"]


def flags(source: Path, isa: str, several: bool) -> list[str]:
    """What GCC and Clang are told."""
    macros = [f"-DRG_ISA={isa}"] if FOR_EACH_ISA.fullmatch(source.stem) else []
    return [*FLAGS, *FLAGS_OF.get(source.stem, []), *ISAS[isa], *[WIDE, "-DRG_SEVERAL=1"] * several, *macros]
