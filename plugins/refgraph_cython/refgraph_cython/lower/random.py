"""Random numbers: draws from a state, a size and parameters."""

from __future__ import annotations

from typing import Any

from refgraph.backend import (
    Apply,
    Draw,
    RandomBernoulli,
    RandomBinomial,
    RandomCategorical,
    RandomDistinct,
    RandomFork,
    RandomIntegers,
    RandomMultinomial,
    RandomNormal,
    RandomPoisson,
    RandomUniform,
)
from refgraph_cython.lower.program import Builder, lowers
from refgraph_cython.lower.shape import numbers


@lowers(RandomFork)
def fork(node: Apply, build: Builder) -> str | None:
    build.thunk("random_fork", node.inputs, node.outputs)
    return None


@lowers(RandomUniform)
def uniform(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    return _draw(node, build, op.open)


@lowers(RandomIntegers)
def integers(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    return _draw(node, build, op.endpoint)


@lowers(
    RandomNormal,
    RandomBernoulli,
    RandomBinomial,
    RandomPoisson,
    RandomMultinomial,
    RandomCategorical,
    RandomDistinct,
)
def draw(node: Apply, build: Builder) -> str | None:
    return _draw(node, build)


def _draw(node: Apply, build: Builder, *more: int) -> str | None:
    op: Any = node.op
    assert isinstance(op, Draw)
    lengths = range(1 + op.arity, len(node.inputs))
    build.thunk(op.name, node.inputs, node.outputs, [*numbers(op.shape), *more], values=lengths)
    return None
