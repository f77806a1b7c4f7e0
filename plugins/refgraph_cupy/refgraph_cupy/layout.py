"""How arrays lie: what a kernel is told of the shapes and strides of what it goes through together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgraph_cupy.device import Shape

Strides = tuple[int, ...]


def broadcast(*shapes: Shape) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together. Raises ValueError where they have none."""
    ndim = max([len(s) for s in shapes], default=0)
    found = [1] * ndim
    for shape in shapes:
        for a, n in enumerate(shape, ndim - len(shape)):
            if n != 1:
                if found[a] not in (1, n):
                    raise ValueError(f"shapes {' and '.join([str(tuple(s)) for s in shapes])} do not broadcast")
                found[a] = n
    return tuple(found)


def over(array: Any, shape: Shape) -> Strides:
    """The strides, in bytes, with which an array is gone through as one of that shape: 0 where it is repeated."""
    more = len(shape) - int(array.ndim)
    own = zip(array.shape, array.strides, strict=True)
    return (0,) * more + tuple([0 if n == 1 else int(s) for n, s in own])


def collapsed(shape: Shape, every: Sequence[Strides]) -> tuple[tuple[int, ...], list[Strides]]:
    """The same with as few axes as can be: those of one element are dropped, and neighbours joined that lie as one."""
    axes = [a for a, n in enumerate(shape) if n != 1]
    kept: list[int] = []
    lengths: list[int] = []
    for a in axes:
        if kept and all([s[kept[-1]] == s[a] * shape[a] for s in every]):
            kept[-1] = a
            lengths[-1] *= shape[a]
        else:
            kept.append(a)
            lengths.append(shape[a])
    return tuple(lengths), [tuple([s[a] for a in kept]) for s in every]


def size(shape: Shape) -> int:
    """How many elements."""
    n = 1
    for length in shape:
        n *= length
    return n
