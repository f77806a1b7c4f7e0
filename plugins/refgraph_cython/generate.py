"""Writes the instruction set in C, from the C texts of the rows of refgraph's table of elementwise ops."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from refgraph.backend import DTYPES, OPS, Elemwise

NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64", "complex64", "complex128")  # fmt: skip
CTYPES = dict(zip(NAMES, "uint8_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t _Float16 float double "
                  "complex64 complex128".split(), strict=True))  # fmt: skip
SUFFIX = {"float32": "f32", "float64": "f64"}
_CALL = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(")
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[-+]?\d+)?|\.\d+)(?![\w.])")
_KEPT = {"sizeof"}
_LEFT = {"j0", "j1", "y0", "y1", "ndtr", "log1mexp_"}
"""Rows whose C text is libm's function, which is less exact than SciPy's: they run SciPy's loop."""
_COPIES = {"identity", "positive", "fill"}
_TEXTS = {
    "frexp_mantissa": "frexp({x}, &(int){{0}})",
    "frexp_exponent": "rg_exponent({x})",
    "complex": "__builtin_complex({x}, {y})",
}
"""C texts of rows that have none, or one that is wrong for infinities."""
_OF_COMPLEX = ("add", "sub", "neg", "switch", "eq", "neq", "real", "imag", "conj")
_TESTS = {"isnan": "RG_NONE", "isinf": "RG_NONE", "isfinite": "RG_ALL", "signbit": "RG_IS_NEGATIVE"}


def vector_functions(folder: Path) -> set[str]:
    """Names of the functions that the headers of vector mathematics define."""
    found: set[str] = set()
    for header in folder.glob("vector_*.h"):
        found.update(re.findall(r"\b(rg_\w+_f(?:32|64))\((?:float|double) x[^)]*\*rare\)", header.read_text()))
    return found


def loops(row: Elemwise) -> Iterator[tuple[tuple[str, ...], str]]:
    """The dtypes of inputs, and of the output, for which the row's C text computes."""
    seen = set()
    if row.name == "complex":
        yield ("float32", "float32"), "complex64"
        yield ("float64", "float64"), "complex128"
        return
    for dtype in DTYPES:
        given = [np.dtype(dtype)] * row.arity
        if row.name == "ldexp":
            given[1] = np.dtype("int32")
        try:
            found = row.loop(given)
        except TypeError:
            continue
        key = tuple(d.name for d in found)
        if key not in seen:
            seen.add(key)
            yield key[:-1], key[-1]


class Text:
    """The C text of a row for one dtype: `fast` by vector functions, `careful` by libm's."""

    def __init__(self, row: Elemwise, dtype: str, known: set[str]) -> None:
        text = _TEXTS.get(row.name, row.c).format(x="x", y="y", w="w")
        self.ok, self.rare = True, False
        suffix = SUFFIX.get(dtype)
        if dtype == "float32":
            text = _NUMBER.sub(r"\1f", text)
        own = f"rg_{row.name}_{suffix}"
        self.careful = self._named(text, dtype, set())
        if suffix and own in known:
            self.fast, self.rare = f"{own}({', '.join('xyw'[: row.arity])}, &rare)", True
        else:
            self.fast = self._named(text, dtype, known)

    def _named(self, text: str, dtype: str, known: set[str]) -> str:
        """The text with each function's name for the dtype."""
        at = 0
        while found := _CALL.search(text, at):
            name, at = found[1], found.end()
            if name in _KEPT or name in ("double", "size_t", "int", "__builtin_complex"):
                continue
            vector = f"rg_{name}_{SUFFIX.get(dtype)}"
            if vector in known:
                end = _closing(text, found.end())
                text = text[: found.start()] + vector + "(" + text[found.end() : end] + ", &rare)" + text[end + 1 :]
                at = found.start() + len(vector) + 1
                self.rare = True
                continue
            new = _plain(name, dtype)
            if new is None:
                self.ok = False
                return text
            text = text[: found.start()] + new + "(" + text[found.end() :]
            at = found.start() + len(new) + 1
        return text


def _closing(text: str, start: int) -> int:
    depth = 1
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError(text)


def _plain(name: str, dtype: str) -> str | None:
    """What a function of C's is called for a dtype; None where there is none."""
    if name in ("fmax", "fmin"):
        return f"RG_{name.upper()}"
    if name in _TESTS:
        return name if dtype.startswith("float") else _TESTS[name]
    if dtype == "float64":
        return name
    if dtype in ("float32", "complex64"):
        return name + "f"
    if dtype == "complex128":
        return name
    if name == "fabs" and dtype.startswith("int"):
        return "RG_ABS"
    if name == "fabs":
        return "" if not dtype.startswith("c") else None
    return None


HEADER = """/* Written by generate.py from the rows of refgraph/ops/elementwise.py. */
#include "instructions.h"
#include "variants.h"
#include "vector_all.h"

#include <complex.h>
#include <math.h>
#include <string.h>

typedef float _Complex complex64;
typedef double _Complex complex128;

#define RG_FMAX(a, b) ((a) >= (b) || (b) != (b) ? (a) : (b))
#define RG_FMIN(a, b) ((a) <= (b) || (b) != (b) ? (a) : (b))
#define RG_NONE(a) ((void)(a), 0)
#define RG_ALL(a) ((void)(a), 1)
#define RG_IS_NEGATIVE(a) ((a) < 0)
#define RG_ABS(a) ((a) < 0 ? -(a) : (a))

static inline int rg_exponent(double x) {
    int e = 0;
    frexp(x, &e);
    return e;
}

static inline int rg_exponentf(float x) {
    return rg_exponent(x);
}
"""


def function(name: str, ins: tuple[str, ...], out: str, text: Text) -> str:
    """One instruction."""
    wide = {"float64": "int64_t"}.get(ins[0], "int32_t")
    args = "xyw"[: len(ins)]
    lines = [f"static void {name}(int64_t n, void *o, const void *const *in, unsigned single, const rg_loop_of *more) {{"]
    lines += ["    (void)more;", f"    {CTYPES[out]} *out = o;"]
    for k, (a, dtype) in enumerate(zip(args, ins, strict=True)):
        lines.append(f"    const {CTYPES[dtype]} *p{a} = in[{k}];")
    all_single = (1 << len(ins)) - 1
    cases = range(all_single) if len(ins) <= 2 else [0]
    lines += [f"    if (single == {all_single} && n > 1) {{", f"        {name}(1, o, in, 0, more);",
              "        for (int64_t i = 1; i < n; i++)", "            out[i] = out[0];", "        return;", "    }"]
    if len(ins) > 2:
        for k, a in enumerate(args):
            lines.append(f"    const int64_t s{a} = single >> {k} & 1 ? 0 : 1;")
    lines.append("    switch (single) {" if len(ins) <= 2 else "    {")
    for case in cases:
        if len(ins) <= 2:
            lines.append(f"    case {case}: {{" if case else "    default: {")
        loads = []
        for k, (a, dtype) in enumerate(zip(args, ins, strict=True)):
            if len(ins) <= 2 and case >> k & 1:
                lines.append(f"        const {CTYPES[dtype]} {a} = *p{a};")
            else:
                index = "i" if len(ins) <= 2 else f"i * s{a}"
                loads.append(f"const {CTYPES[dtype]} {a} = p{a}[{index}];")
        loads_text = " ".join(loads)
        if text.rare:
            lines += ["        for (int64_t start = 0; start < n; start += 64) {",
                      f"            int64_t end = start + 64 < n ? start + 64 : n; {wide} rare = 0;",
                      f"            {CTYPES[out]} chunk[64];",
                      "            for (int64_t i = start; i < end; i++) {",
                      f"                {loads_text} chunk[i - start] = ({CTYPES[out]})({text.fast});", "            }",
                      "            if (rare)",
                      "                for (int64_t i = start; i < end; i++) {",
                      f"                    {loads_text} chunk[i - start] = ({CTYPES[out]})({text.careful});",
                      "                }",
                      "            memcpy(out + start, chunk, (size_t)(end - start) * sizeof *out);", "        }"]  # fmt: skip
        else:
            lines += ["#pragma GCC ivdep", "        for (int64_t i = 0; i < n; i++) {",
                      f"            {loads_text} out[i] = ({CTYPES[out]})({text.fast});", "        }"]  # fmt: skip
        if len(ins) <= 2:
            lines += ["        break;", "    }"]
    lines += ["    }", "}", ""]
    return "\n".join(lines)


def source(folder: Path) -> str:
    """All instructions, and their table."""
    known = vector_functions(folder)
    parts, table = [HEADER], []
    for row in OPS.values():
        if not isinstance(row, Elemwise) or row.name.startswith("cast") or row.name in _LEFT | _COPIES:
            continue
        if not row.c and row.name not in _TEXTS:
            continue
        for ins, out in loops(row):
            kind = ins[-1]
            if "float16" in (*ins, out) or row.name in ("complex_from_polar", "angle"):
                continue
            if row.name not in _OF_COMPLEX if kind.startswith("c") else row.name in ("real", "imag", "conj"):
                continue
            if kind == "bool" and row.name in ("invert", "left_shift", "right_shift"):
                continue
            text = Text(row, kind, known)
            if not text.ok:
                continue
            name = f"{row.name}_{'_'.join(ins)}"
            parts.append(function(name, ins, out, text))
            numbers = ", ".join(str(NAMES.index(d)) for d in ins)
            table.append(f'    {{"{row.name}", {len(ins)}, {{{numbers}}}, {NAMES.index(out)}, {name}}},')
    for a in NAMES:
        for b in NAMES:
            if a == b or (a.startswith("c") and not b.startswith("c") and b != "bool"):
                continue
            name = f"cast_{a}_{b}"
            cast = "x != 0" if b == "bool" else f"({CTYPES[b]})x"
            text = Text.__new__(Text)
            text.fast = text.careful = cast
            text.rare = False
            parts.append(function(name, (a,), b, text))
            table.append(f'    {{"cast{{{b}}}", 1, {{{NAMES.index(a)}}}, {NAMES.index(b)}, {name}}},')
    parts.append("static const rg_instruction_row rows[] = {\n" + "\n".join(table) + "\n    {0},\n};\n")
    parts.append("const rg_instruction_row *RG_VARIANT(rg_instructions)(void) {\n    return rows;\n}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    here = Path(__file__).parent / "refgraph_cython/native"
    (here / "instructions_generated.c").write_text(source(here))
