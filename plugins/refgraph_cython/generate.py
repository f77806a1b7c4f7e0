"""Writes the instruction set in C, from the C texts of the rows of refgraph's table of elementwise ops.

An instruction is one row in one dtype. What C's functions in the text are called there is worked out here; the loop
around it is one of native/instruction_loops.h. A row that is added to the table is an instruction without another edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import DTYPES, OPS, Elemwise

NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64", "complex64", "complex128")  # fmt: skip
"""dtypes in the order of rg_dtype."""
_C_TYPES = {"bool": "uint8_t", "float16": "float16", "float32": "float", "float64": "double"}
SUFFIXES = {"float32": "f32", "float64": "f64"}
FILES = ("float32", "float64", "integers", "casts", "pairs")

LESS_EXACT = {"j0", "j1", "y0", "y1", "ndtr"}
"""Rows whose C text is right, but less exact than SciPy's own loop, which is run instead."""
ELSEWHERE = {"identity", "positive", "fill", "angle", "complex_from_polar"}
"""Rows that are no instruction: copies, and what is made of several instructions (instructions.py)."""
COMPLEX = {"add", "sub", "neg", "eq", "neq", "switch", "real", "imag", "conj"}
"""Rows whose text means the same of C's complex numbers as of NumPy's: C's products and quotients mend NaNs."""

# Texts for rows that have none, or one that holds in C but not here.
_TEXTS = {
    "psi": "digamma({x})",
    "frexp_mantissa": "rg_mantissa({x})",
    "frexp_exponent": "rg_exponent({x})",
    "ldexp": "ldexp({x}, RG_TO_INT({y}))",
}
_INTEGER_TEXTS = {
    "pow": "rg_power_of_u64((uint64_t){x}, (uint64_t){y})",  # asked for only where no power is negative
    "reciprocal": "",  # NumPy's loop says what 1 / 0 is
    "true_div": "",
}
_WRAPS = frozenset(
    "add sub mul neg square pow eq "
    "neq switch bitwise_and bitwise_or bitwise_xor invert logical_and logical_or logical_xor logical_not".split()
)
"""Rows that are the same for signed integers as for unsigned ones, which wrap around in C as in NumPy."""
_PAIRED = ("add", "sub", "mul", "neg")
"""Rows that take less time than it takes to read and to write: two of them after each other are one instruction."""

_CALL = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(")
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[-+]?\d+)?|\.\d+)(?![\w.])")
_NO_FUNCTIONS = {"sizeof", "size_t", "double", "uint64_t"}
_OF_INTEGERS = {"isnan": "RG_NEVER", "isinf": "RG_NEVER", "isfinite": "RG_ALWAYS", "signbit": "RG_IS_NEGATIVE",
                "floor": "", "ceil": "", "trunc": "", "rint": "", "round": ""}  # fmt: skip
_OF_REALS = {"creal": "", "cimag": "RG_NEVER", "conj": "", "fmax": "RG_FMAX", "fmin": "RG_FMIN"}
_OF_COMPLEX = {"creal": "RG_REAL", "cimag": "RG_IMAG", "conj": "RG_CONJ"}


class Instruction(NamedTuple):
    """A function in C, and its row in the table. Without code, the output is the input."""

    op: str
    ins: tuple[str, ...]
    out: str
    code: str = ""

    @property
    def function(self) -> str:
        return f"{re.sub('[{},]', '_', self.op).rstrip('_')}_{'_'.join(self.ins)}"

    @property
    def dtype(self) -> str:
        """What it is computed in: the first input of a choice is no number, the second one of ldexp no operand."""
        return self.ins[0] if len(self.ins) == 2 else self.ins[-1]

    @property
    def file(self) -> str:
        if "," in self.op:
            return "pairs"
        if self.op.startswith("cast") or self.dtype.startswith("complex"):
            return "casts"
        return self.dtype if self.dtype in SUFFIXES else "integers"

    @property
    def row(self) -> str:
        numbers = ", ".join([str(NAMES.index(d)) for d in self.ins])
        function = self.unsigned.function if self.is_unsigned else self.function if self.code else "NULL"
        return f'    {{"{self.op}", {len(self.ins)}, {{{numbers}}}, {NAMES.index(self.out)}, {function}}},'

    @property
    def is_unsigned(self) -> bool:
        """Whether it is the instruction of unsigned integers, which there is for each of signed ones."""
        return self.op in _WRAPS and self.dtype.startswith("int")

    @property
    def unsigned(self) -> Instruction:
        ins = tuple([f"u{d}" if d.startswith("int") else d for d in self.ins])
        return self._replace(ins=ins, out=f"u{self.out}" if self.out.startswith("int") else self.out)


def c_type(dtype: str) -> str:
    return _C_TYPES.get(dtype) or (dtype if dtype.startswith("complex") else f"{dtype}_t")


def vector_functions(folder: Path) -> set[str]:
    """The functions that the headers of vector mathematics define."""
    found: set[str] = set()
    for header in folder.glob("vector_*.h"):
        found.update(re.findall(r"\b(rg_\w+_f(?:32|64))\((?:float|double) [^)]*\*rare\)", header.read_text()))
    return found


def loops(row: Elemwise) -> Iterator[tuple[tuple[str, ...], str]]:
    """The dtypes of inputs, and of the output, for which a row is computed."""
    seen = set()
    for dtype in DTYPES:
        for second in (dtype, "int32"):  # the exponents of ldexp
            given = [np.dtype(d) for d in (dtype, second, dtype)[: row.arity]]
            try:
                found = tuple([d.name for d in row.loop(given)])
            except TypeError:
                continue
            if found not in seen:
                seen.add(found)
                yield found[:-1], found[-1]
            break


class Text:
    """The C text of a row in one dtype: `careful` by C's own functions, `fast` by those of vectors where there are any.

    `fast` is None where no text can be made. It is of vectors if `rare`. If there is a `begin`, that makes of x what is
    the y of `fast`.
    """

    def __init__(self, text: str, arity: int, op: str, dtype: str, known: set[str]) -> None:
        plain = text.format(x="x", y="y", w="w")
        if dtype == "float32":
            plain = _NUMBER.sub(r"\1f", plain)  # a number in double precision would make it all so
        own = f"rg_{op}_{SUFFIXES.get(dtype)}"
        self.careful = _named(plain, dtype, set())
        self.fast: str | None
        self.begin = ""
        begin, end = (f"rg_{op}_{part}_{SUFFIXES.get(dtype)}" for part in ("begin", "end"))
        if begin in known:
            self.begin, self.fast = f"{begin}(x, &rare)", f"{end}(x, y, &rare)"
        elif own in known:
            self.fast = f"{own}({', '.join('xyw'[:arity])}, &rare)"
        else:
            self.fast = _named(plain, dtype, known)
        self.rare = "&rare" in (self.fast or "")
        if self.careful is None:
            self.careful = (self.fast or "").replace("&rare", f"&(int{dtype[-2:]}_t){{0}}")


def _named(text: str, dtype: str, known: set[str]) -> str | None:
    """The text with each function called as it is in the dtype; None where one has no name there."""
    at = 0
    while found := _CALL.search(text, at):
        name, at = found[1], found.end()
        if name in _NO_FUNCTIONS or name.startswith("rg_power"):
            continue
        vector = f"rg_{name}_{SUFFIXES.get(dtype)}"
        if vector in known:
            end = _closing(text, at)
            text = f"{text[: found.start()]}{vector}({text[at:end]}, &rare){text[end + 1 :]}"
            at = found.start() + len(vector) + 1
            continue
        plain = _plain(name, dtype)
        if plain is None:
            return None
        text = f"{text[: found.start()]}{plain}({text[at:]}"
        at = found.start() + len(plain) + 1
    return text


def _closing(text: str, start: int) -> int:
    """Where the parenthesis is closed that was opened before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError(text)


def _plain(name: str, dtype: str) -> str | None:
    """What a function of C's is called for a dtype; None where there is none."""
    if dtype.startswith("complex"):
        return _OF_COMPLEX.get(name)
    if name in _OF_REALS:
        return _OF_REALS[name]
    if name.startswith("rg_"):
        return f"{name}_{SUFFIXES[dtype]}" if dtype in SUFFIXES else None
    if name == "digamma":  # which C lacks
        return _plain("rg_careful_digamma", dtype)
    if dtype in SUFFIXES:
        is_generic = name.startswith(("is", "signbit"))
        return name if is_generic or dtype == "float64" else name + "f"
    if name == "fabs":
        return "RG_ABS" if dtype.startswith("int") else ""
    return _OF_INTEGERS.get(name)


def code(function: str, ins: tuple[str, ...], out: str, text: Text) -> str:
    """One instruction: which of the loops it is, with which text."""
    if text.rare:
        assert {*ins, out} == {ins[0]}, f"{function}: vector mathematics is of one dtype"
        if text.begin:
            return f"RG_STAGES_{SUFFIXES[out]}({function}, {text.begin}, {text.fast}, {text.careful})"
        return f"RG_VECTORS_{len(ins)}_{SUFFIXES[out]}({function}, {text.fast}, {text.careful})"
    kind = {1: "RG_UNARY", 2: "RG_BINARY", 3: "RG_TERNARY"}[len(ins)]
    result = f"({text.fast}) != 0" if out == "bool" else text.fast
    return f"{kind}({function}, {', '.join([c_type(d) for d in (out, *ins)])}, {result})"


def made(bare: Instruction, text: str, known: set[str]) -> Instruction | None:
    """An instruction with its code; None where the text means nothing in its dtype."""
    op, dtype = bare.op, bare.dtype
    if "float16" in (*bare.ins, bare.out) or (dtype.startswith("complex") and op not in COMPLEX):
        return None
    if dtype == "bool" and op in ("invert", "left_shift", "right_shift"):
        return None
    if not dtype.startswith(("float", "complex")):
        text = _INTEGER_TEXTS.get(op, text)
    found = Text(text, len(bare.ins), op, dtype, known) if text else None
    if found is None or found.fast is None:
        return None
    if found.fast.strip("()") == "x" and bare.ins == (bare.out,):
        return bare
    return bare._replace(code=code(bare.function, bare.ins, bare.out, found))


def rows(known: set[str]) -> Iterator[Instruction]:
    """The instructions of the table of ops."""
    for op in OPS.values():
        if not isinstance(op, Elemwise) or op.name.startswith("cast{") or op.name in LESS_EXACT | ELSEWHERE:
            continue
        text = _TEXTS.get(op.name, op.c)
        if op.name == "complex":
            yield from complexes()
        elif text:
            for ins, out in loops(op):
                found = made(Instruction(op.name, ins, out), text, known)
                if found is not None:
                    yield found


def complexes() -> Iterator[Instruction]:
    """Complex numbers of their parts."""
    for part, out in (("float32", "complex64"), ("float64", "complex128")):
        bare = Instruction("complex", (part, part), out)
        ctype = c_type(part)
        text = f"rg_{out}_of(x, y)"
        yield bare._replace(code=f"RG_BINARY({bare.function}, {out}, {ctype}, {ctype}, {text})")


def pairs() -> Iterator[Instruction]:
    """Two rows as one instruction, "first,second,place": what the first makes is the second's input at that place.

    It is neither written nor read: such are superinstructions (M. A. Ertl and D. Gregg, "The structure and performance
    of efficient interpreters", 2003). Inputs of the first row stand first. Where the order of the second one's inputs
    means nothing there is place 0 alone. Each step is rounded as it is by itself: setup.py.
    """
    for first, second in product([OPS[name] for name in _PAIRED], repeat=2):
        x = f"({first.c.format(x='x', y='y')})"
        y = "xyw"[first.arity]
        for place in range(1 if second.commutative else second.arity):
            text = second.c.format(x=y, y=x) if place else second.c.format(x=x, y=y)
            for dtype in SUFFIXES:
                ins = (dtype,) * (first.arity + second.arity - 1)
                bare = Instruction(f"{first.name},{second.name},{place}", ins, dtype)
                yield bare._replace(code=code(bare.function, ins, dtype, Text(text, 3, "", dtype, set())))


def casts() -> Iterator[Instruction]:
    for a in NAMES:
        for b in NAMES:
            if a != b and (not a.startswith("c") or b.startswith("c") or b == "bool"):
                bare = Instruction(f"cast{{{b}}}", (a,), b)
                yield bare._replace(code=f"RG_UNARY({bare.function}, {c_type(b)}, {c_type(a)}, {_converted(a, b)})")


def _converted(a: str, b: str) -> str:
    """x of dtype a in dtype b. Floats beyond the integers of b are cut as NumPy's are."""
    if b == "bool":
        return "x != 0"
    x, a = ("(float)x", "float32") if a == "float16" else ("x", a)
    if b == "float16" and not a.startswith("float"):
        return "(float)x"
    if a in SUFFIXES and b in ("uint32", "uint64"):
        return f"rg_u{b[4:]}_of_{SUFFIXES[a]}({x})"
    if a in SUFFIXES and b in ("int8", "int16", "uint8", "uint16"):
        return f"(int32_t){x}"
    return x


def sources(folder: Path) -> Mapping[str, str]:
    """The files, by name: each has a table of its instructions."""
    every = [*rows(vector_functions(folder)), *casts(), *pairs()]
    found: dict[str, Any] = {}
    for name in FILES:
        here = [i for i in every if i.file == name]
        lines = ["/* Written by generate.py from the rows of refgraph's table of elementwise ops. */"]
        lines += ['#include "instruction_loops.h"', ""]
        lines += [i.code for i in here if i.code and not i.is_unsigned]
        lines += ["", f"const rg_instruction_row RG_VARIANT(rg_instructions_{name})[] = {{"]
        lines += [i.row for i in here]
        lines += ["    {0},", "};", ""]
        found[f"instructions_{name}.c"] = "\n".join(lines)
    return found


def write(folder: Path) -> None:
    """Write the files that changed, and take away those that are made no more."""
    texts = sources(folder)
    for old in folder.glob("instructions_*.c"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    write(Path(__file__).parent / "refgraph_cython/native")
