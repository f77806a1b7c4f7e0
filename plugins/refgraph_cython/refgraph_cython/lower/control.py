"""Loops, branches and subgraphs: programs within programs."""

from __future__ import annotations

from typing import Any

from refgraph.backend import Apply, Dot, Gemm, IfElse, MatMul, OpFromGraph, Scan, TensorType, Variable
from refgraph_cython.lower.program import NDIM, Builder, Declined, lowers


@lowers(OpFromGraph)
def subgraph(node: Apply, build: Builder) -> str | None:
    """What it holds, in line."""
    op: Any = node.op
    return build.inline(op.graph, node, leaves=True)


@lowers(IfElse)
def ifelse(node: Apply, build: Builder) -> str | None:
    """Two programs, of which one runs."""
    op: Any = node.op
    if not _are_tensors((*node.inputs, *node.outputs)):
        return "it chooses between values that are no arrays"
    try:
        branches = [build.inner(node, graph) for graph in op.graphs]
    except Declined as why:
        return f"in a branch: {why}"
    params = [*[b.address for b in branches], *[all(b.settled) for b in branches]]
    every = range(len(node.inputs))
    calls = any(b.calls for b in branches)
    build.thunk("ifelse", node.inputs, node.outputs, params, values=list(every), always=calls)
    return None


@lowers(Scan)
def scan(node: Apply, build: Builder) -> str | None:
    """The program of one step, and what it reads and keeps."""
    op: Any = node.op
    if op.mode is not None:
        return "the steps have a mode of their own"
    if not _are_tensors((*node.inputs, *node.outputs)):
        return "it carries values that are no arrays"
    if any(x.type.ndim + 1 > NDIM for x in op.records):
        return f"more than {NDIM} axes"
    states = {i: at for i, at in _places(op)}
    try:
        step = build.inner(node, op.graph, states)
    except Declined as why:
        return f"in a step: {why}"
    in_place = {output for output, _ in step.in_place.items()}
    settled = all(step.settled[: -1 if op.until else None])
    params = [step.address, settled, op.n_sequences, len(op.taps), op.n_carried, len(op.records), int(op.until)]
    for i, taps in enumerate(op.taps):
        params += [op.depths[i], _all(op.keep[i]), int(i in in_place), len(taps), *taps]
    params += [int(len(op.taps) + i in in_place) for i in range(op.n_carried)]
    for keep, x in zip(op.keep[len(op.taps) :], op.records, strict=True):
        params += [_all(keep), x.type.ndim, *[-1 if n is None else n for n in x.type.shape]]
    factors = _factors(op)
    params += [int(x in factors) for x in op.whole]
    if op.until or not settled:
        every = range(len(node.inputs))
        build.thunk("scan_dynamic", node.inputs, node.outputs, params, values=list(every), always=True)
    else:
        build.thunk("scan", node.inputs, node.outputs, params, values=[0])
    return None


def _factors(op: Any) -> set[Variable]:
    """What a step multiplies by, from the right."""
    right = {Dot: 1, MatMul: 1, Gemm: 3}
    return {node.inputs[right[type(node.op)]] for node in op.graph.nodes if type(node.op) in right}


def _places(op: Any) -> list[tuple[int, int]]:
    """For each new value that may be computed in the memory of the one before: its output, and its input."""
    found, at = [], op.n_sequences
    for i, taps in enumerate(op.taps):
        if taps == (1,) and op.keep[i] is not None:
            found.append((i, at))
        at += len(taps)
    return [*found, *[(len(op.taps) + i, at + i) for i in range(op.n_carried)]]


def _all(keep: int | None) -> int:
    return -1 if keep is None else keep


def _are_tensors(variables: tuple[Variable, ...]) -> bool:
    return all(isinstance(x.type, TensorType) for x in variables)
