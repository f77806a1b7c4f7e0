"""Cases, made from what ops declare. Nothing here names an op."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import refgraph.ops.blas
import refgraph.ops.branch
import refgraph.ops.fused
import refgraph.ops.random
import refgraph.ops.scan  # noqa: F401  (the vocabulary declares itself on import; these load late)
from refgraph.core.op import OPS, BadSample, Sample
from refgraph.ops.families import Elemwise, Reals
from refgraph.ops.tensor import TensorType, TensorVariable

Array = np.ndarray[Any, Any]

_DTYPES = {
    "b": ("bool",),
    "i": ("int8", "int16", "int32", "int64"),
    "u": ("uint8", "uint16", "uint32", "uint64"),
    "f": ("float16", "float32", "float64"),
    "c": ("complex64", "complex128"),
}
_SHAPES: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((3, 4),), ((),), ((0,),), ((5,),)],
    2: [((3, 4), (3, 4)), ((), ()), ((3, 1), (1, 4)), ((4,), (3, 4)), ((0,), (1,)), ((0, 1), (0, 3)), ((2, 3), ())],
    3: [
        ((3, 4), (3, 4), (3, 4)),
        ((), (), ()),
        ((3, 1), (1, 4), ()),
        ((4,), (2, 1, 1), (3, 4)),
        ((0,), (1,), ()),
        ((0, 1), (0, 3), (1,)),
    ],
}


class Case(NamedTuple):
    """One use of one op."""

    op: Any
    sample: Sample

    @property
    def id(self) -> str:
        return f"{name_of(self.op)}-{self.sample.id}"

    def variables(self, known: bool = False) -> list[TensorVariable]:
        """A variable for each input; with `known`, lengths are part of its type."""
        return symbols(self.sample.inputs, known)


def name_of(op: Any) -> str:
    return op.__name__ if isinstance(op, type) else str(op.name)


def symbols(arrays: Sequence[Any], known: bool = False) -> list[TensorVariable]:
    """Variables that stand for these arrays."""
    return [
        TensorType(a.dtype.name, a.shape if known else (None,) * a.ndim)(f"x{i}")
        for i, a in enumerate(map(np.asarray, arrays))
    ]


def cases() -> Iterator[Case]:
    """Every sample of every declared op."""
    for op in list(OPS.values()):
        for sample in row_samples(op) if isinstance(op, Elemwise) else op.samples():
            yield Case(op, sample)


def bad_cases() -> Iterator[tuple[str, BadSample]]:
    """Every use that must be refused."""
    for op in list(OPS.values()):
        if not isinstance(op, Elemwise):
            for bad in op.bad_samples():
                yield f"{name_of(op)}-{bad.id}", bad


def row_samples(op: Elemwise) -> Iterator[Sample]:
    """A row over all its dtypes, and over all ways to broadcast."""
    for kind, dtypes in _DTYPES.items():
        if not all(kind in r.kinds for r in op.on):
            continue
        for dtype in dtypes:
            shapes = _SHAPES[op.arity] if dtype in ("float32", dtypes[-1]) else _SHAPES[op.arity][:1]
            for shape in shapes:
                text = "x".join(str(list(s)).replace(" ", "") for s in shape)
                yield _row_sample(op, dtype, f"{dtype}-{text}", shape)
            if any(r.edges for r in op.on):
                yield _row_sample(op, dtype, f"{dtype}-edges")


def _row_sample(op: Elemwise, dtype: str, id: str, shapes: Sequence[tuple[int, ...]] = ()) -> Sample:
    """A use of a row: of arrays of these shapes that are drawn, or, without shapes, at its edges."""
    rng = np.random.default_rng(zlib.crc32(f"{op.name}-{id}".encode()))
    drawn = [draw(rng, r, s, dtype) for r, s in zip(op.on, shapes, strict=True)] if shapes else None
    arrays = _at_edges(rng, op.on, dtype) if drawn is None else drawn
    return Sample(id, op, tuple(arrays), _quiet(op.impl), () if drawn is None else None)


def _quiet(meaning: Callable[..., Any]) -> Callable[..., Any]:
    def quiet(*arrays: Array) -> Any:
        with np.errstate(all="ignore"):
            return meaning(*arrays)

    return quiet


def draw(rng: np.random.Generator, on: Reals, shape: tuple[int, ...], dtype: str) -> Array:
    """An array of inputs that a row declares itself for."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in "iu":
        info = np.iinfo(dtype)
        low, high = max(int(np.ceil(on.low)), int(info.min)), min(int(np.floor(on.high)), int(info.max))
        return rng.integers(low, high, shape, endpoint=True).astype(dtype)
    values = np.asarray(rng.uniform(on.low, on.high, shape))
    if kind == "c":
        values = values + 1j * rng.uniform(on.low, on.high, shape)
    return np.asarray(values).astype(dtype)


def _at_edges(rng: np.random.Generator, on: Sequence[Reals], dtype: str) -> list[Array]:
    """An array for each input of a row: every edge of one with every edge of the others, then some numbers drawn."""
    points = [_edges(r, dtype) or draw(rng, r, (2,), dtype).tolist() for r in on]
    columns = zip(*itertools.product(*points), strict=True)
    return [
        np.concatenate([np.array(column, dtype), draw(rng, r, (5,), dtype)])
        for r, column in zip(on, columns, strict=True)
    ]


def _edges(on: Reals, dtype: str) -> list[Any]:
    """The edges of an input in a dtype: of integers the ends of their range, where infinities are among the edges."""
    kind = np.dtype(dtype).kind
    if kind in "fc":
        return [_edge(point, dtype) for point in on.edges]
    if kind == "b" or not any(np.isinf(on.edges)):
        return []
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return [least, most, most // 2**8 * 2 + 1]  # the last takes more than the digits of a float


def _edge(point: float, dtype: str) -> float:
    """An edge as it is in a dtype: a denormal number of its own for one too small, its largest for one too large."""
    info = np.finfo(dtype)
    least, most, size = float(info.smallest_subnormal), float(info.max), abs(point)
    if 0 < size < least or most < size < np.inf:
        return float(np.copysign(float(info.tiny) / 8 if size < least else most, point))
    return point
