"""Measures how far the functions of refgraph_cython/native/vector_*.h are from the truth, in units in the last place.

    python tools/accuracy.py [NAME ...] [--points N] [--isa ISA ...] [--markdown FILE] [--time]

Each function is compiled in loops as kernels have them, once for each instruction set that this processor has, and is
asked for numbers from all over its domain: bit patterns of even distance (so all exponents, denormal numbers and NaNs),
numbers of even distance where the function is neither 0 nor infinite, and the edges. The truth is long double of libm,
which has 11 bits more than double, or mpmath where libm has no such function. What a function leaves to libm (`rare`)
is counted and not measured. The exit status is 1 where a limit does not hold.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import math
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Interval = tuple[float, float]

NATIVE = Path(__file__).parent.parent / "refgraph_cython" / "native"
FLAGS = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden"]
ISAS = {
    "baseline": [],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
NEEDED = {"baseline": set[str](), "v3": {"avx2", "fma", "bmi2"}, "v4": {"avx512f", "avx512dq", "avx512bw", "avx512vl"}}
DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
C_TYPES = {"f32": ("float", "int32_t"), "f64": ("double", "int64_t")}
POINTS = {"f32": 1 << 21, "f64": 1 << 18}
MPMATH_POINTS = 4000
CHUNK = 64  # elements that are computed again together


@dataclass(frozen=True)
class Function:
    """A function of the headers, and what to hold it to."""

    name: str
    truth: str | Callable[..., Any]
    """A C expression of long double x and y, or a function of floats that answers a number of mpmath."""
    near: tuple[Interval, ...]
    """For each argument between which numbers most happens, in either precision."""
    limit: float = 2.5
    pairs: Callable[[np.random.Generator, int, np.dtype[Any]], tuple[Array, Array]] | None = None
    """Pairs of arguments at which more happens than at those drawn one by one."""
    header: str = "vector_exp.h"
    size: Callable[[Array], Array] | None = None
    """Of the argument: what errors are in relation to where the value is smaller, of functions that are differences."""

    @property
    def arity(self) -> int:
        return len(self.near)


def power_pairs(rng: np.random.Generator, count: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Bases of all sizes, half of them near 1, and exponents for which the power is a number."""
    largest = np.finfo(dtype).maxexp * 1.1
    logs = rng.uniform(-largest, largest, count)
    logs[::2] *= 2.0 ** rng.uniform(-20, 0, len(logs[::2]))
    with np.errstate(all="ignore"):
        x = np.exp2(np.clip(logs, -largest, largest)).astype(dtype)
        return x, (rng.uniform(-largest, largest, count) / np.log2(x.astype(np.float64))).astype(dtype)


FUNCTIONS = [
    Function("exp", "expl(x)", ((-110, 90),)),
    Function("exp2", "exp2l(x)", ((-155, 130),)),
    Function("expm1", "expm1l(x)", ((-40, 90),)),
    Function("log", "logl(x)", ((0, 4),)),
    Function("log2", "log2l(x)", ((0, 4),)),
    Function("log10", "log10l(x)", ((0, 4),)),
    Function("log1p", "log1pl(x)", ((-1, 3),)),
    Function("tanh", "tanhl(x)", ((-20, 20),)),
    Function("sinh", "sinhl(x)", ((-20, 20),)),
    Function("cosh", "coshl(x)", ((-20, 20),)),
    Function("asinh", "asinhl(x)", ((-5, 5),)),
    Function("acosh", "acoshl(x)", ((1, 5),)),
    Function("atanh", "atanhl(x)", ((-1, 1),)),
    Function("sigmoid", "x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x))", ((-110, 40),)),
    Function("softplus", "fmaxl(x, 0) + log1pl(expl(-fabsl(x)))", ((-110, 40),)),
    Function("erf", "erfl(x)", ((-6, 6),)),
    Function("erfc", "erfcl(x)", ((-6, 28),)),
    Function("cbrt", "cbrtl(x)", ((-8, 8),)),
    Function("pow", "powl(x, y)", ((0, 4), (-8, 8)), 4.0, power_pairs),
    Function("hypot", "hypotl(x, y)", ((-8, 8), (-8, 8))),
]


def functions() -> list[Function]:
    """Those of all headers: of this file, and of the files beside it that go with a header each."""
    found = list(FUNCTIONS)
    for beside in sorted(Path(__file__).parent.glob("accuracy_*.py")):
        found += importlib.import_module(beside.stem).FUNCTIONS
    return found


# What is compiled


def loops(chosen: Sequence[Function]) -> str:
    """The C text that applies each function to arrays, as often as it is told, and says which chunks go to libm."""
    text = [f'#include "{header}"' for header in sorted({f.header for f in chosen})]
    for name, arity in sorted({(f.name, f.arity) for f in chosen}):
        for dtype, (c, rare) in C_TYPES.items():
            call = f"rg_{name}_{dtype}({'x[i]' if arity == 1 else 'x[i], y[i]'}, &rare)"
            text.append(f"""
static __attribute__((noinline)) long chunk_{name}_{dtype}(
    long n, const {c} *restrict x, const {c} *restrict y, {c} *restrict z)
{{
    (void)y;
    {rare} rare = 0;
    for (long i = 0; i < n; i++)
        z[i] = {call};
    return rare != 0;
}}

__attribute__((visibility("default"))) void apply_{name}_{dtype}(
    long n, const {c} *x, const {c} *y, {c} *z, char *left)
{{
    for (long i = 0; i < n; i += {CHUNK})
        left[i / {CHUNK}] = chunk_{name}_{dtype}(n - i < {CHUNK} ? n - i : {CHUNK}, x + i, y + i, z + i);
}}

__attribute__((visibility("default"))) void repeat_{name}_{dtype}(
    long n, const {c} *x, const {c} *y, {c} *z, long times)
{{
    while (times--)
        chunk_{name}_{dtype}(n, x, y, z);
}}""")
    return "\n".join(text)


def truths(chosen: Sequence[Function]) -> str:
    """The C text of what libm says."""
    text = ["#define _GNU_SOURCE", "#include <math.h>"]
    for name, truth in sorted({(f.name, f.truth) for f in chosen if isinstance(f.truth, str)}):
        text.append(f"""
void truth_{name}(long n, const long double *xs, const long double *ys, long double *z)
{{
    for (long i = 0; i < n; i++) {{
        long double x = xs[i], y = ys[i];
        (void)y;
        z[i] = {truth};
    }}
}}""")
    return "\n".join(text)


def compiled(text: str, flags: Sequence[str], folder: Path, name: str) -> ctypes.CDLL:
    """The library of a C text."""
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    subprocess.run(
        ["cc", *flags, "-shared", "-fPIC", f"-I{NATIVE}", str(source), "-o", str(library), "-lm"], check=True
    )
    return ctypes.CDLL(str(library))


def call(function: Any, *arguments: int | Array) -> None:
    """Call a C function with numbers and with the memory of arrays."""
    function(*[ctypes.c_long(a) if isinstance(a, int) else ctypes.c_void_p(a.ctypes.data) for a in arguments])


def available() -> list[str]:
    """The instruction sets that this processor has."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ["baseline"]
    information = Path("/proc/cpuinfo")
    flags = set(information.read_text().split()) if information.exists() else set()
    return [isa for isa, needed in NEEDED.items() if needed <= flags]


# Where functions are asked


def edges(dtype: np.dtype[Any]) -> Array:
    """Numbers at which something ends."""
    info = np.finfo(dtype)
    sizes = [
        0.0,
        info.smallest_subnormal,
        info.tiny,
        info.eps,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        10.0,
        info.max,
        math.inf,
        math.nan,
    ]
    found = np.array(sizes, dtype)
    with np.errstate(all="ignore"):
        beside = [np.nextafter(found, dtype.type(0)), found, np.nextafter(found, dtype.type(math.inf))]
    return np.concatenate([sign * a for sign in (1, -1) for a in beside])


def patterns(rng: np.random.Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """Bit patterns of about even distance, over all there are."""
    bits = 8 * dtype.itemsize
    step = (1 << bits) // count
    first = np.arange(count, dtype=np.uint64) * np.uint64(step)
    found: Array = (first + rng.integers(0, step, count, np.uint64)).astype(f"u{dtype.itemsize}")
    return found.view(dtype)


def arguments(function: Function, rng: np.random.Generator, count: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """What a function is asked for; the second array is of no meaning where it has one argument."""
    drawn = [[patterns(rng, count, dtype), rng.uniform(*near, count).astype(dtype)] for near in function.near]
    ends = edges(dtype)
    if function.arity == 1:
        x = np.concatenate([*drawn[0], np.repeat(ends, CHUNK)])  # each for itself, as some are left to libm
        return x, x
    xs, ys = drawn
    for y in ys:
        rng.shuffle(y)
    ends_x, ends_y = (a.ravel() for a in np.meshgrid(ends, ends))
    more = function.pairs(rng, count, dtype) if function.pairs else (ends, ends)
    return np.concatenate([*xs, ends_x, more[0]]), np.concatenate([*ys, ends_y, more[1]])


# What comes back


def errors(got: Array, want: Array, size: Array) -> Array:
    """The distance in units in the last place of `size`; infinite where NaN or the sign of 0 is wrong."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        largest = np.ldexp(np.longdouble(1), info.maxexp)
        exponents = np.maximum(np.frexp(np.clip(size, -largest, largest))[1], info.minexp + 1)
        unit = np.ldexp(np.longdouble(1), np.minimum(exponents, info.maxexp) - info.nmant - 1)
        rounded = want.astype(got.dtype)
        far = np.where(np.isinf(rounded), np.copysign(largest, want), want)
        near = np.where(np.isinf(got), np.copysign(largest, got), got)
        distance = (np.abs(near - far) / unit).astype(np.float64)
    distance[np.isnan(want) & np.isnan(got)] = 0
    distance[np.isnan(want) != np.isnan(got)] = math.inf
    distance[(want == 0) & (got == 0) & (np.signbit(want) != np.signbit(got))] = math.inf
    answer: Array = distance
    return answer


@dataclass(frozen=True)
class Measured:
    """What was found of a function in a precision with an instruction set."""

    function: Function
    dtype: str
    isa: str
    worst: float
    mean: float
    at: tuple[float, ...]
    left: float  # the share that it left to libm
    ns: float | None


def asked_of_mpmath(truth: Callable[..., Any], xs: Array, ys: Array, arity: int) -> Array:
    """What mpmath says, as long double."""
    from mpmath import mp

    def value(*numbers: Any) -> Any:
        answer = truth(*[float(a) for a in numbers])
        high = float(answer)
        return np.longdouble(high) + (np.longdouble(float(answer - high)) if math.isfinite(high) else 0)

    with mp.workdps(50):
        return np.array([value(*pair[:arity]) for pair in zip(xs, ys, strict=True)], np.longdouble)


def wanted(function: Function, truth: ctypes.CDLL, x: Array, y: Array) -> Array:
    """What is true, as long double."""
    if not isinstance(function.truth, str):
        return asked_of_mpmath(function.truth, x, y, function.arity)
    with np.errstate(invalid="ignore"):  # signalling NaNs are among the patterns
        wide, other = x.astype(np.longdouble), y.astype(np.longdouble)
    want = np.empty_like(wide)
    call(truth[f"truth_{function.name}"], len(x), wide, other, want)
    return want


def timed(library: ctypes.CDLL, function: Function, dtype: str) -> float:
    """Nanoseconds an element in a loop over 4,096 of usual size, in the cache; the least of several runs."""
    rng, n, times = np.random.default_rng(0), 4096, 50
    drawn = [rng.uniform(max(low, -8), min(high, 8), n).astype(DTYPES[dtype]) for low, high in function.near]
    x, y, z = drawn[0], drawn[-1], np.empty_like(drawn[0])
    best = math.inf
    for _ in range(30):
        start = time.perf_counter()
        call(library[f"repeat_{function.name}_{dtype}"], n, x, y, z, times)
        best = min(best, time.perf_counter() - start)
    return best / (n * times) * 1e9


def measured(
    function: Function, dtype: str, libraries: dict[str, ctypes.CDLL], truth: ctypes.CDLL, points: int, clock: bool
) -> Iterator[Measured]:
    """A function in a precision, with each instruction set."""
    rng = np.random.default_rng(sum(map(ord, function.name)))
    count = points if isinstance(function.truth, str) else min(points, MPMATH_POINTS)
    x, y = arguments(function, rng, count, DTYPES[dtype])
    want = wanted(function, truth, x, y)
    size = np.fmax(np.abs(want), function.size(x)) if function.size else want
    for isa, library in libraries.items():
        got, left = np.empty_like(x), np.zeros(len(x) // CHUNK + 1, np.int8)
        call(library[f"apply_{function.name}_{dtype}"], len(x), x, y, got, left)
        kept = np.repeat(left == 0, CHUNK)[: len(x)]
        distance = np.where(kept, errors(got, want, size), 0)
        place = int(distance.argmax())
        at = (float(x[place]), float(y[place]))[: function.arity]
        mean = float(distance[np.isfinite(distance)].sum() / max(kept.sum(), 1))
        ns = timed(library, function, dtype) if clock else None
        yield Measured(function, dtype, isa, float(distance[place]), mean, at, 1 - float(kept.mean()), ns)


def table(rows: Sequence[Measured]) -> str:
    """The Markdown table: a line for each function, precision and instruction set."""
    clock = any(row.ns is not None for row in rows)
    head = ["function", "type", "instructions", "worst", "mean", "at", "left to libm", *(["ns"] if clock else [])]
    lines = [head, ["---", "---", "---", "--:", "--:", "---", "--:", *(["--:"] if clock else [])]]
    for row in rows:
        at = ", ".join(f"{a:.9g}" if row.dtype == "f32" else repr(a) for a in row.at)
        left = f"{row.left:.1%}" if row.left else ""
        line = [row.function.name, row.dtype, row.isa, f"{row.worst:.2f}", f"{row.mean:.2f}", at, left]
        lines.append([*line, *([f"{row.ns:.2f}"] if row.ns is not None else [])])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def page(text: str, new: str, order: Sequence[str]) -> str:
    """A page whose table has new lines, in place of those of the same functions: what is said before it stays."""
    head, _, table = text.partition("| function ")
    lines = [line for line in f"| function {table}".splitlines() if line.startswith("| ")]
    measured = {line.split()[1] for line in new.splitlines()}
    lines = [line for line in lines if line.split()[1] not in measured] + new.splitlines()[2:]
    lines.sort(key=lambda line: order.index(line.split()[1]) if line.split()[1] in order else len(order))
    return head + "\n".join([*new.splitlines()[:2], *lines]) + "\n"


def main() -> int:
    """Measure what is asked for, say it, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="functions; all where none is given")
    parser.add_argument("--points", type=int, help="arguments of each kind, a power of 2")
    parser.add_argument("--isa", nargs="*", choices=list(ISAS), help="instruction sets; all that this processor has")
    parser.add_argument("--markdown", type=Path, help="put what is measured into the table there")
    parser.add_argument("--time", action="store_true", help="measure nanoseconds, too")
    given = parser.parse_args()
    if np.finfo(np.longdouble).nmant < 63:
        parser.error("long double of this machine is no more than double, so there is nothing to measure with")
    chosen = [f for f in functions() if not given.names or f.name in given.names]
    with tempfile.TemporaryDirectory() as folder:
        isas = [isa for isa in available() if not given.isa or isa in given.isa]
        libraries = {isa: compiled(loops(chosen), [*FLAGS, *ISAS[isa]], Path(folder), isa) for isa in isas}
        truth = compiled(truths(chosen), ["-O1"], Path(folder), "truth")
        rows: list[Measured] = []
        for function in chosen:
            for dtype in DTYPES:
                found = list(measured(function, dtype, libraries, truth, given.points or POINTS[dtype], given.time))
                print(table(found).split("\n", 2)[2] if rows else table(found), end="", flush=True)
                rows += found
    if given.markdown:
        before = given.markdown.read_text() if given.markdown.exists() else ""
        given.markdown.write_text(page(before, table(rows), [f.name for f in functions()]))
    missed = [row for row in rows if not row.worst <= row.function.limit]
    for row in missed:
        print(
            f"{row.function.name} {row.dtype} {row.isa}: {row.worst:.2f} is above {row.function.limit}", file=sys.stderr
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
