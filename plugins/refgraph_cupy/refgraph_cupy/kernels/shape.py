"""Axes and shapes: views, which are the arrays' own, and lengths, which the host knows (refgraph_cupy.known)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import refgraph.tensor as T
from refgraph.backend import (
    Apply,
    BroadcastTo,
    Count,
    Diagonal,
    Diagonals,
    DimShuffle,
    DisconnectedGrad,
    GradClip,
    GradScale,
    Reshape,
    Shape,
    ShapeI,
    SpecifyShape,
    Split,
    SumTo,
    TensorType,
    UndefinedGrad,
    ZeroGrad,
)
from refgraph_cupy.device import Array, current
from refgraph_cupy.kernels.groups import group
from refgraph_cupy.known import known
from refgraph_cupy.making import Kernel, after, makes
from refgraph_cupy.moving import contiguous


@makes(DimShuffle, SpecifyShape, Split, Diagonal, read=after(1))
def view(node: Apply) -> Kernel:
    """What the op does to an array of NumPy's it does to one of the device: it only calls methods of it."""
    return node.op.impl


@makes(DisconnectedGrad, GradClip, GradScale, UndefinedGrad, ZeroGrad)
def same(node: Apply) -> Kernel:
    return lambda x: x


@makes(Shape)
def shape(node: Apply) -> Kernel:
    return lambda x: known(x.shape, "int64")


@makes(ShapeI, Count)
def length(node: Apply) -> Kernel:
    """The length of an axis, or how many elements some axes have. Both read no more of an array than its shape."""
    return lambda x: known(node.op.impl(x), "int64")


@makes(Reshape, read=after(1))
def reshape(node: Apply) -> Kernel:
    """A view where the array lies as C lays it, else of a copy that does."""

    def run(x: Array, *lengths: Any) -> Array:
        return node.op.impl(contiguous(current(), x), *lengths)

    return run


@makes(BroadcastTo, read=after(1))
def broadcast_to(node: Apply) -> Kernel:
    op: Any = node.op

    def run(x: Array, *lengths: Any) -> Array:
        rest = iter(lengths)
        target = [int(next(rest)) if n is None else n for n in op.shape]
        if any([n < 0 for n in target]):
            raise ValueError(f"a length is negative in {target}")
        return current().broadcast(x, target)

    return run


@makes(Diagonals)
def diagonals(node: Apply) -> Kernel:
    op: Any = node.op
    return lambda x: on_diagonals(x, op.term)


def on_diagonals(x: Array, term: str) -> Array:
    """The elements for which axes of the same letter have the same position, with an axis for each letter: a view."""
    once = "".join(dict.fromkeys(term))
    for letter in once:
        while term.count(letter) > 1:
            first, second = [a for a, c in enumerate(term) if c == letter][:2]
            if x.shape[first] != x.shape[second]:
                raise ValueError(f"axes {first} and {second} have lengths {x.shape[first]} and {x.shape[second]}")
            x = x.diagonal(0, first, second)
            term = "".join([c for a, c in enumerate(term) if a not in (first, second)]) + letter
    return x.transpose([term.index(letter) for letter in once])


@makes(SumTo)
def sum_to(node: Apply) -> Kernel:
    """A reduction over the axes that are longer than they should be, by the kernel of `sum`."""
    x: Any = node.inputs[0]
    summing: dict[tuple[int, ...], Callable[..., Any]] = {}

    def run(x: Array, like: Array) -> Array:
        if x.shape == like.shape:
            return x
        added = x.ndim - like.ndim
        axes = [added + i for i, n in enumerate(like.shape) if n == 1 and x.shape[added + i] != 1]
        return summed(x, tuple([*range(added), *axes])).reshape(like.shape)

    def summed(array: Array, axes: tuple[int, ...]) -> Array:
        if axes not in summing:
            summing[axes] = sum_over(x.type, axes)
        return summing[axes](array)

    return run


def sum_over(type: TensorType, axes: tuple[int, ...]) -> Callable[..., Any]:
    """The kernel of sums in the dtype of what is summed: integers wrap, and of truth values it is `any`."""
    x = TensorType(type.dtype, (None,) * type.ndim).variable()
    out: Any = T.any(x, axis=axes) if type.dtype == "bool" else T.sum(x, axis=axes, dtype=type.dtype)
    made = group(out.owner)
    assert callable(made), made
    return made
