"""How far arrays are apart, in units in the last place (ulp), and how far they may be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import toposort
from refgraph.core.op import Sample
from refgraph.interp.evaluate import evaluate
from refgraph.ops.families import Elemwise
from refgraph.ops.reductions import Reduction
from refgraph.ops.tensor import TensorConstant
from refgraph.testing.cases import row_samples, symbols

Array = np.ndarray[Any, Any]

_RTOL = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12, "complex64": 4e-6, "complex128": 4e-12}


def assert_same(got: Any, want: Any, *, tolerance: float = 1.0, note: str = "") -> None:
    """Equal dtype, shape and values: exact where discrete, within a few roundings (times `tolerance`) where not."""
    got, want = np.asarray(got), np.asarray(want)
    _assert_same_type(got, want, note)
    rtol = _RTOL.get(want.dtype.name, 0.0) * tolerance
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol, equal_nan=True, err_msg=note)


def assert_bits(got: Any, want: Any, note: str = "") -> None:
    """Equal dtype, shape and bits.

    The message tells what differs in one line: two long strings of bytes that an `assert` compares make pytest look for
    their smallest difference, where its `CI` switch is set, for as long as that takes.
    """
    got, want = np.asarray(got), np.asarray(want)
    _assert_same_type(got, want, note)
    if got.tobytes() != want.tobytes():
        off = [g != w for g, w in zip(_elements(got), _elements(want), strict=True)]
        at = np.unravel_index(off.index(True), want.shape)
        raise AssertionError(
            f"{_intro(note)}{sum(off)} of {got.size} elements have other bits, the first at {_place(at)}:"
            f" got {got[at]!s}, want {want[at]!s}"
        )


def _elements(a: Array) -> list[bytes]:
    """The bytes of each element."""
    bits, size = a.tobytes(), a.itemsize
    return [bits[i : i + size] for i in range(0, len(bits), size)]


def assert_close(
    got: Any, want: Any, *, ulp: float, scale: Any = None, signed_zeros: bool = False, note: str = ""
) -> None:
    """Equal dtype and shape, and no element further away than `ulp`; with `signed_zeros`, zeros have equal signs."""
    got, want = np.asarray(got), np.asarray(want)
    _assert_same_type(got, want, note)
    distance = ulp_distance(got, want, scale)
    if count := int(np.count_nonzero(distance > ulp)):
        at = np.unravel_index(np.argmax(distance), distance.shape)
        raise AssertionError(
            f"{_intro(note)}{count} of {got.size} elements are off, the worst at {_place(at)}:"
            f" got {got[at]!s}, want {want[at]!s}, {_how_far(got[at], want[at], float(distance[at]))};"
            f" the bound is {ulp:g} ulp{'' if scale is None else f' at magnitude {_wide(scale).max():g} or above'}"
        )
    if signed_zeros:
        _assert_same_zeros(got, want, note)


def _how_far(got: Any, want: Any, distance: float) -> str:
    """How far apart two elements are, in words where no number says it."""
    if distance < np.inf:
        return f"{distance:.4g} ulp of {want.dtype} apart"
    if want.dtype.kind not in "fc":
        return f"and {want.dtype} is exact"
    found, wanted = _class(got), _class(want)
    if found == wanted:
        return "another infinity" if found == "infinity" else f"more ulp of {want.dtype} apart than can be counted"
    return f"{found} where {wanted} is wanted"


def _class(element: Any) -> str:
    return "NaN" if np.isnan(element) else "infinity" if np.isinf(element) else "a number"


def _assert_same_type(got: Array, want: Array, note: str) -> None:
    found, wanted = f"{got.dtype}{list(got.shape)}", f"{want.dtype}{list(want.shape)}"
    if found != wanted:
        raise AssertionError(f"{_intro(note)}got {found}, want {wanted}")


def _assert_same_zeros(got: Array, want: Array, note: str) -> None:
    off = np.zeros(want.shape, bool)
    for g, w in _parts(got, want):
        off |= (g == 0) & (w == 0) & (np.signbit(g) != np.signbit(w))
    if count := int(np.count_nonzero(off)):
        at = np.unravel_index(np.argmax(off), off.shape)
        raise AssertionError(
            f"{_intro(note)}{count} of {got.size} elements are zeros of the other sign, the first at {_place(at)}:"
            f" got {got[at]!s}, want {want[at]!s}"
        )


def _parts(*arrays: Array) -> list[tuple[Array, ...]]:
    """The arrays, or all real and then all imaginary parts, in float64: nothing is lost."""
    if any(a.dtype.kind == "c" for a in arrays):
        return [tuple([_wide(a.real) for a in arrays]), tuple([_wide(a.imag) for a in arrays])]
    return [tuple([_wide(a) for a in arrays])]


def _wide(x: Any) -> Array:
    return np.asarray(x).astype(np.float64)


def _intro(note: str) -> str:
    return f"{note}: " if note else ""


def _place(at: tuple[Any, ...]) -> str:
    return str([int(i) for i in at])


# --- distances --------------------------------------------------------------------------------------------------------


def unit(magnitude: Any, dtype: Any) -> Array:
    """The unit in the last place of a dtype at this magnitude, in float64.

    Below the normal numbers it is the smallest denormal; beyond the largest number it is that of the largest.
    """
    info = np.finfo(dtype)
    inside = np.clip(np.abs(_wide(magnitude)), float(info.tiny), float(info.max))
    return np.asarray(np.ldexp(1.0, np.frexp(inside)[1] - 1 - info.nmant))


def ulp_distance(got: Any, want: Any, scale: Any = None) -> Array:
    """|got - want|, in units in the last place of want's dtype at magnitude max(|want|, scale).

    NaN is at distance 0 from NaN, an infinity from the same infinity, and both are infinitely far from all else. So are
    different values of a discrete dtype. Zeros of either sign are equal. A complex number is taken as a whole, as the
    bounds of BLAS are: |got - want| is the length of the difference, |want| the absolute value.
    """
    got, want = np.asarray(got), np.asarray(want)
    if want.dtype.kind not in "fc":
        return np.where(got == want, 0.0, np.inf)
    distance = magnitude = np.asarray(0.0)
    with np.errstate(all="ignore"):
        for g, w in _parts(got, want):
            same = (g == w) | (np.isnan(g) & np.isnan(w))
            lost = ~same & ~(np.isfinite(g) & np.isfinite(w))
            distance = np.hypot(distance, np.where(same, 0.0, np.where(lost, np.inf, g - w)))
            magnitude = np.hypot(magnitude, np.where(np.isfinite(w), w, 0.0))
        if scale is not None:
            magnitude = np.maximum(magnitude, np.abs(scale))
        return np.asarray(distance / unit(magnitude, want.dtype))


def largest(want: Any) -> float:
    """The largest finite magnitude in an array, at least 1: the scale of normwise comparison."""
    sizes = np.abs(np.asarray(want).astype(np.complex128)).ravel()
    return float(np.max(sizes, initial=1.0, where=np.isfinite(sizes)))


# --- tolerances -------------------------------------------------------------------------------------------------------


class Tolerance(NamedTuple):
    """How far elements of a result may be off: `ulp`, each at its own magnitude or, normwise, at that of the largest.

    `loosened` says that it is more than the suite's default.
    """

    ulp: float
    normwise: bool
    loosened: bool

    def assert_close(self, got: Any, want: Any, note: str = "") -> None:
        """Equal dtype and shape, and no element too far away."""
        assert_close(got, want, ulp=self.ulp, scale=largest(want) if self.normwise else None, note=note)


class _Kind(NamedTuple):
    """What is asked of a kind of op: the suite's default, and the most that a backend may ask for, in ulp."""

    default: float
    ceiling: float
    normwise: bool = False


KINDS = {
    "exact": _Kind(0, 0),  # what moves data rounds nothing
    "elementwise": _Kind(4, 64),  # NumPy is within 2 of the stored values, and so may another library be
    "special": _Kind(32, 4096),  # SciPy is within 100, but near zeros and far out; 4096 leave 12 digits of float64
    # Sums of n products round n times in one order or another, each time by up to half an ulp of the largest partial
    # sum; the suite sums some 30 numbers of magnitude 4, so 32 is generous where it is not hopeless.
    "compound": _Kind(32, 1024, normwise=True),
}
"""Kinds of ops. "compound" is all that is not elementwise and does not only move data; it is judged normwise: each
element against the largest finite magnitude among those wanted, or 1 where that is less, since cancellation leaves no
relative accuracy in a small element of a product or a sum."""

_CEILINGS = {"float16": 16.0, "float32": 1024.0, "complex64": 1024.0}
"""Where the ulp of a dtype are too few for the ceiling of the kind: 16 of float16 are one part in 64."""


def tolerance_for(tolerances: Mapping[str, float], op: str, dtype: str, kind: str) -> Tolerance:
    """The tolerance for an op of some kind in an output dtype, where a backend asks for `tolerances`.

    Of its keys "op-dtype", "op", "*-dtype" and "*" the first that is there counts, else the suite's default does. Stars
    are for ops that round. Discrete dtypes are exact. Raises RefgraphError for a tolerance above the ceiling.
    """
    default, ceiling, normwise = KINDS[kind] if np.dtype(dtype).kind in "fc" else KINDS["exact"]
    ceiling = min(ceiling, _CEILINGS.get(dtype, ceiling))
    default = min(default, ceiling)
    keys = [f"{op}-{dtype}"]
    keys += [op] if ceiling or kind == "exact" else []  # in other dtypes the op may round
    keys += [f"*-{dtype}", "*"] if ceiling else []
    for key in keys:
        if key in tolerances:
            asked = float(tolerances[key])
            if not 0 <= asked <= ceiling:
                raise _too_loose(key, asked, op, dtype, ceiling)
            return Tolerance(asked, normwise, asked > default)
    return Tolerance(default, normwise, False)


def _too_loose(key: str, asked: float, op: str, dtype: str, ceiling: float) -> RefgraphError:
    return RefgraphError(
        f"tolerances[{key!r}] = {asked:g}: for {op} in {dtype} the suite accepts 0 to {ceiling:g} ulp",
        why="a backend that is further off computes something else",
        help=f"ask for {ceiling:g} or less under {f'{op}-{dtype}'!r}, or list what fails in xfails, with a reason",
    )


def kind_of(op: Any) -> str:
    """The kind in KINDS of an op of the vocabulary, from what it declares: a row, a class of ops, or an op."""
    if _moves(op.row if isinstance(op, Reduction) else op):
        return "exact"
    if not isinstance(op, Elemwise):
        return "compound"
    sources = [op.meaning] if op.stands_for != op.meaning else [op.meaning, op._like]
    return "special" if any(isinstance(s, str) and s.startswith("scipy") for s in sources) else "elementwise"


@cache
def _moves(op: Any) -> bool:
    """Whether it only moves data: in each of its samples every element is one of an input, but for its sign, or 0 or 1.

    Parts of complex numbers count as elements. Outputs of discrete dtypes are exact anyway.
    """
    samples = list(row_samples(op)) if isinstance(op, Elemwise) else list(op.samples())
    return bool(samples) and all(_is_moved(s) for s in samples)


def _is_moved(sample: Sample) -> bool:
    variables = symbols(sample.inputs)
    built = sample.build(*variables)
    outputs = list(built) if isinstance(built, (list, tuple)) else [built]
    with np.errstate(all="ignore"):
        found = evaluate(outputs, dict(zip(variables, sample.inputs, strict=True)))
    constants = [x.value for node in toposort(outputs) for x in node.inputs if isinstance(x, TensorConstant)]
    rounded = [z for z in found if np.asarray(z).dtype.kind in "fc"]
    return _sizes(rounded) <= _sizes([*sample.inputs, *constants]) | {0.0, 1.0}


def _sizes(arrays: Any) -> set[float]:
    parts = [part for a in map(np.asarray, arrays) for (part,) in _parts(a)]
    return {abs(v) for part in parts for v in part.ravel().tolist() if v == v}
