"""Elementwise ops and reductions: groups that run in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import Apply, Constant, Count, Elemwise, Fused, Reduction, Variable
from refgraph_cython.instructions import INSTRUCTIONS, Unfit
from refgraph_cython.lower.groups import Group, Value
from refgraph_cython.lower.program import NUMBERS, Builder, lowers

_KINDS = {"sum": 0, "mean": 0, "norm": 0, "count_nonzero": 0, "prod": 1, "prod_no_zeros": 1, "max": 2, "min": 3, "all": 4,
          "any": 5, "bitwise_and_reduce": 6, "bitwise_or_reduce": 7, "bitwise_xor_reduce": 8, "argmax": 9, "argmin": 10,
          "logsumexp": 11}  # fmt: skip
_FINISH = {"mean": 1, "norm": 2, "argmax": 3, "argmin": 3, "logsumexp": 4}
_ACCUMULATORS = {"float16": "float64", "float32": "float64", "complex64": "complex128"}
_LEAVES, _ARRAYS, _VALUES = 60, 64, 180  # that the pass takes


class _Reduced(NamedTuple):
    """A reduction of a group: of which value, in which dtype it accumulates, and the cast at its end."""

    node: Apply
    value: Value
    accumulator: str
    cast: int


@lowers(Elemwise, Reduction)
def single(node: Apply, build: Builder) -> str | None:
    return _lowered([node], list(node.inputs), list(node.outputs), node, build)


@lowers(Fused)
def fused(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    why = _lowered(op.graph.nodes, list(op.graph.inputs), list(op.graph.outputs), node, build)
    return None if why is None else build.inline(op.graph, node)


@lowers(Count)
def count(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("count", node.inputs, node.outputs, [sum([1 << a for a in op.axis])], measures=(0,))
    return None


def _lowered(
    nodes: Sequence[Apply], inputs: list[Variable], outputs: list[Variable], outer: Apply, build: Builder
) -> str | None:
    """Let the pass compute the outputs of a node that has a graph, or is one, with these inputs and outputs."""
    leaves: dict[Variable, Variable] = {}
    for x, y in zip(inputs, outer.inputs, strict=True):
        leaves.setdefault(x, y)
    for inner in nodes:
        for x in inner.inputs:
            if isinstance(x, Constant):
                leaves.setdefault(x, x)
    group = Group(list(leaves.values()), build)
    values = dict(zip(leaves, group.leaves, strict=True))
    shapes = {x: 1 << i for i, x in enumerate(leaves)}  # the leaves that say what shape a variable has
    reduced: list[_Reduced] = []
    try:
        for inner in nodes:
            out = inner.outputs[0]
            if isinstance(inner.op, Reduction):
                reduced.append(_reduced(group, inner, values[inner.inputs[0]]))
                continue
            values[out] = group.apply(inner.op, [values[x] for x in inner.inputs])
            shapes[out] = 0
            for x in inner.inputs:
                shapes[out] |= shapes[x]
    except Unfit as why:
        return str(why)
    stores = [x for x in outputs if x in values]
    stores.sort(key=lambda x: values[x].step is not None)  # inputs first, before anything is written over them
    if len(group.leaves) > _LEAVES or len(group.leaves) + len(stores) + 2 * len(reduced) > _ARRAYS:
        return "too many inputs and outputs"
    if len(group.leaves) + len(group.steps) > _VALUES:
        return "too many steps"
    for pair in group.exponents:
        at = [group.inputs[group.leaves.index(x)] for x in pair]
        build.thunk("not_negative", at, [build.temporary("bool", 0)])
    made = dict(zip(outputs, outer.outputs, strict=True))
    results = [made[x] for x in stores] + [made[r.node.outputs[0]] for r in reduced]
    params = _params(group, [(values[x], shapes[x]) for x in stores], [(r, shapes[r.node.inputs[0]]) for r in reduced])
    over = [
        (k, i)
        for k, x in enumerate(stores)
        for i, leaf in enumerate(group.leaves)
        if leaf.dtype == values[x].dtype and isinstance(outer.op, (Elemwise, Fused))
    ]
    build.thunk("blocks", group.inputs, results, params, overwrites=over)
    return None


def _params(group: Group, stores: list[tuple[Value, int]], reduced: list[tuple[_Reduced, int]]) -> list[int]:
    """The group as the pass reads it: see blocks.c."""
    number = {x: i for i, x in enumerate([*group.leaves, *[s.out for s in group.steps]])}
    last = {x: s for s, step in enumerate(group.steps) for x in step.given}
    for x in [*[x for x, _ in stores], *[r.value for r, _ in reduced]]:
        last[x] = len(group.steps)
    registers, count = _registers(group, last)
    size = max([np.dtype(x.dtype).itemsize for x in number])
    params = [len(group.leaves), len(group.steps), len(stores), len(reduced), count, size, group.cost]
    params += [last.get(x, -1) for x in group.leaves]
    for step, register in zip(group.steps, registers, strict=True):
        given = [number[x] for x in step.given]
        params += [step.call, step.more, len(given), *given, *[0] * (4 - len(given)), NUMBERS[step.out.dtype], register]
    for x, leaves in stores:
        params += [number[x], leaves]
    for r, leaves in reduced:
        op: Any = r.node.op
        axes = sum([1 << a for a in op.axis])
        params += [_KINDS[op.name], number[r.value], leaves, axes, int(op.keepdims), NUMBERS[r.accumulator]]
        params += [_FINISH.get(op.name, 0), r.cast]
    return params


def _registers(group: Group, last: dict[Value, int]) -> tuple[list[int], int]:
    """For each step the register that it writes, and how many there are. A step may write over an input that nothing
    reads later, where elements have one size."""
    free: list[int] = []
    held: dict[Value, int] = {}
    count = 0
    for s, step in enumerate(group.steps):
        size = np.dtype(step.out.dtype).itemsize
        ended = [x for x in dict.fromkeys(step.given) if x in held and last[x] == s]
        same = [x for x in ended if np.dtype(x.dtype).itemsize == size]
        if same:
            ended.remove(same[0])
            held[step.out] = held[same[0]]
        else:
            if not free:
                free.append(count)
                count += 1
            held[step.out] = free.pop()
        free += [held[x] for x in ended]
    return [held[step.out] for step in group.steps], count


def _reduced(group: Group, node: Apply, x: Value) -> _Reduced:
    """A reduction of a value, converted to what its folds take."""
    op: Any = node.op
    name, out = op.name, node.outputs[0].type.dtype  # type: ignore[attr-defined]
    if name not in _KINDS:
        raise Unfit(f"no kernel for {name}")
    if name in ("max", "min", "argmax", "argmin") or name.startswith("bitwise"):
        x = group.cast(x, "float32") if x.dtype == "float16" else x
        acc = x.dtype
    elif name in ("all", "any"):
        x, acc = group.cast(x, "bool"), "bool"
    elif name == "count_nonzero":
        x, acc = group.cast(x, "bool"), "int64"
    elif name == "logsumexp":
        x, acc = group.cast(x, "float64"), "float64"
    elif name == "norm":
        x, acc = _square(group, x), "float64"
    else:
        acc = op.dtypes_for(x.dtype)[1] or out
        acc = _ACCUMULATORS.get(acc, acc)
        x = group.cast(x, "float32") if x.dtype == "float16" else x
        if not _is_widened(x.dtype, acc):
            x = group.cast(x, acc)
    result = "int64" if name in ("argmax", "argmin") else acc
    cast = 0 if result == out else INSTRUCTIONS[f"cast{{{out}}}", (result,)][0]
    if acc not in ("complex128", "float64", "int64", "uint64") and acc != x.dtype:
        raise Unfit(f"no accumulator of {acc}")
    return _Reduced(node, x, acc, cast)


def _is_widened(dtype: str, acc: str) -> bool:
    """Whether a fold converts elements of a dtype to the accumulator's itself."""
    if acc == "float64":
        return dtype in ("float32", "float64")
    kind, wide = np.dtype(dtype).kind, np.dtype(acc)
    return wide.kind in "iu" and wide.itemsize == 8 and (kind in "bu" or kind == "i")


def _square(group: Group, x: Value) -> Value:
    """The square of the absolute value, in float64."""
    if not x.dtype.startswith("complex"):
        x = group.cast(x, "float64")
        return group.call("mul", x, x)
    x = group.cast(x, "complex128")
    re, im = group.call("real", x), group.call("imag", x)
    return group.call("add", group.call("mul", re, re), group.call("mul", im, im))
