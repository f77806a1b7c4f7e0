"""Elementwise ops and reductions: groups that run in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refgraph.backend import Apply, Constant, Elemwise, Fused, Reduction, Variable
from refgraph_cython.instructions import INSTRUCTIONS, Step, Unfit, recipe
from refgraph_cython.lower import pairs
from refgraph_cython.lower.program import NUMBERS, Builder, bits, lowers

_KINDS = {
    "sum": 0,
    "mean": 0,
    "norm": 0,
    "count_nonzero": 0,
    "prod": 1,
    "prod_no_zeros": 1,
    "max": 2,
    "min": 3,
    "all": 4,
    "any": 5,
    "bitwise_and_reduce": 6,
    "bitwise_or_reduce": 7,
    "bitwise_xor_reduce": 8,
    "argmax": 9,
    "argmin": 10,
    "logsumexp": 11,
}
"""For each reduction what its fold is called in native/folds.h."""
_FINISH = {"mean": 1, "norm": 2, "argmax": 3, "argmin": 3, "logsumexp": 4}
_ACCUMULATORS = {"float16": "float64", "float32": "float64", "complex64": "complex128"}
_LEAVES, _ARRAYS, _VALUES = 60, 64, 180  # that the pass takes at most
_CHEAP, _DEAR, _DEAREST = 15, 150, 800  # about what a step takes for an element, in hundredths of nanoseconds


class _Group:
    """A group that is being put together: values are numbered, leaves first, then steps in order."""

    def __init__(self, inputs: list[Any], build: Builder) -> None:
        self.leaves, self.build = inputs, build
        self.dtypes = [x.type.dtype for x in inputs]
        self.steps: list[tuple[Step, list[int]]] = []
        self.cost = 20
        self.exponents: list[tuple[int, int]] = []
        """Pairs of leaves, a base and an exponent, of integers: no exponent may be negative."""
        self._made: dict[tuple[int, int, tuple[int, ...]], int] = {}

    def step(self, step: Step, given: list[int]) -> int:
        """A step from these values; the one that is there already, where there is."""
        key = step.address, step.more, tuple(given)
        found = self._made.get(key)
        if found is not None:
            return found
        if step.loop is not None:
            self.build.alive.append(step.loop)
        number = self._made[key] = len(self.dtypes)
        self.steps.append((step, given))
        self.dtypes.append(step.out)
        return number

    def call(self, name: str, *given: int) -> int:
        """An instruction of our own."""
        dtypes = tuple([self.dtypes[i] for i in given])
        if (name, dtypes) not in INSTRUCTIONS:
            raise Unfit(f"no instruction {name} of {', '.join(dtypes)}")
        address, out = INSTRUCTIONS[name, dtypes]
        self.cost += _CHEAP
        return self.step(Step(address, None, (), out), list(given)) if address else given[0]

    def cast(self, value: int, dtype: str) -> int:
        return value if self.dtypes[value] == dtype else self.call(f"cast{{{dtype}}}", value)

    def apply(self, node: Apply, given: list[int]) -> int:
        """What an op of the table computes."""
        op: Any = node.op
        how = recipe(op, tuple([self.dtypes[i] for i in given]), op.name == "pow" and self._is_natural(node, given))
        values = list(given)
        for step in how.steps:
            values.append(self.step(step, [values[i] for i in step.given]))
            self.cost += _DEAREST if step.loop else _DEAR if "(" in op.c and step.out != "bool" else _CHEAP
        return values[how.result]

    def _is_natural(self, node: Apply, given: list[int]) -> bool:
        """Whether exponents are known not to be negative, or can be looked at before anything is computed."""
        exponent = node.inputs[1]
        if isinstance(exponent, Constant):
            return bool(np.all(exponent.value >= 0))
        kinds = [np.dtype(self.dtypes[i]).kind for i in given]
        if kinds[1] == "i" and kinds[0] in "biu" and max(given) < len(self.leaves):
            self.exponents.append((given[0], given[1]))
            return True
        return False

    def join(self, kept: list[int]) -> dict[int, int]:
        """Make one of each pair of steps that can be one, and say which number each value has then: all `kept` ones."""
        axes = [frozenset([a - x.type.ndim for a, n in enumerate(x.type.shape) if n != 1]) for x in self.leaves]
        self.steps, numbers = pairs.joined(self.steps, axes, kept)
        self.dtypes = [d for i, d in enumerate(self.dtypes) if i in numbers]
        return numbers


@lowers(Elemwise, Reduction)
def single(node: Apply, build: Builder) -> str | None:
    return _lowered([node], list(node.inputs), list(node.outputs), node, build)


@lowers(Fused)
def fused(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    why = _lowered(op.graph.nodes, list(op.graph.inputs), list(op.graph.outputs), node, build)
    return None if why is None else build.inline(op.graph, node)


class _Reduced(NamedTuple):
    """A reduction of a group: of which value, in which dtype it accumulates, and the cast at its end."""

    node: Apply
    value: int
    accumulator: str
    cast: int


def _lowered(
    nodes: Sequence[Apply], inputs: list[Variable], outputs: list[Variable], outer: Apply, build: Builder
) -> str | None:
    """Let the pass compute the outputs of a node that is a graph with these inputs and outputs."""
    leaves: dict[Variable, Variable] = {}
    for x, y in zip(inputs, outer.inputs, strict=True):
        leaves.setdefault(x, y)
    for inner in nodes:
        for x in inner.inputs:
            if isinstance(x, Constant):
                leaves.setdefault(x, x)
    group = _Group(list(leaves.values()), build)
    number = {x: i for i, x in enumerate(leaves)}
    shapes = {x: 1 << i for i, x in enumerate(leaves)}  # for each variable the leaves that it is computed from
    reduced: list[_Reduced] = []
    try:
        for inner in nodes:
            if isinstance(inner.op, Reduction):
                reduced.append(_reduced(group, inner, number[inner.inputs[0]]))
                continue
            number[inner.outputs[0]] = group.apply(inner, [number[x] for x in inner.inputs])
            shapes[inner.outputs[0]] = 0
            for x in inner.inputs:
                shapes[inner.outputs[0]] |= shapes[x]
    except Unfit as why:
        return str(why)
    now = group.join([number[x] for x in outputs if x in number] + [r.value for r in reduced])
    number = {x: now[i] for x, i in number.items() if i in now}
    reduced = [r._replace(value=now[r.value]) for r in reduced]
    stores = sorted([x for x in outputs if x in number], key=lambda x: number[x] >= len(leaves))
    """Inputs first, before anything is written over them."""
    if len(leaves) > _LEAVES or len(leaves) + len(stores) + 2 * len(reduced) > _ARRAYS or len(group.dtypes) > _VALUES:
        return "too many values"
    for base, exponent in group.exponents:
        build.thunk("not_negative", [group.leaves[base], group.leaves[exponent]], [build.temporary("bool", 0)])
    made = dict(zip(outputs, outer.outputs, strict=True))
    build.thunk(
        "blocks",
        group.leaves,
        [made[x] for x in stores] + [made[r.node.outputs[0]] for r in reduced],
        _params(group, [(number[x], shapes[x]) for x in stores], [(r, shapes[r.node.inputs[0]]) for r in reduced]),
        overwrites=[
            (k, i)
            for k, x in enumerate(stores)
            for i in range(len(leaves))
            if group.dtypes[i] == group.dtypes[number[x]]
        ],
    )
    return None


def _params(group: _Group, stores: list[tuple[int, int]], reduced: list[tuple[_Reduced, int]]) -> list[int]:
    """The group as the pass reads it: see native/groups.h."""
    last = {x: s for s, (_, given) in enumerate(group.steps) for x in given}
    last.update(dict.fromkeys([x for x, _ in stores] + [r.value for r, _ in reduced], len(group.steps)))
    registers, count = _registers(group, last)
    size = max([np.dtype(d).itemsize for d in group.dtypes])
    params = [len(group.leaves), len(group.steps), len(stores), len(reduced), count, size, group.cost]
    params += [last.get(i, -1) for i in range(len(group.leaves))]
    for (step, given), register in zip(group.steps, registers, strict=True):
        padded = [*given, *[0] * (4 - len(given))]
        params += [step.address, step.more, len(given), *padded, NUMBERS[step.out], register]
    for x, leaves in stores:
        params += [x, leaves]
    for r, leaves in reduced:
        op: Any = r.node.op
        params += [_KINDS[op.name], r.value, leaves, bits(op.axis), int(op.keepdims), NUMBERS[r.accumulator]]
        params += [_FINISH.get(op.name, 0), r.cast]
    return params


def _registers(group: _Group, last: dict[int, int]) -> tuple[list[int], int]:
    """For each step the register that it writes, and how many there are. It may be that of an input that nothing reads
    later, where elements have one size."""
    sizes = [np.dtype(d).itemsize for d in group.dtypes]
    free: list[int] = []
    held: dict[int, int] = {}
    count = 0
    for s, (_, given) in enumerate(group.steps):
        out = len(group.leaves) + s
        ended = [x for x in dict.fromkeys(given) if x in held and last[x] == s]
        same = [x for x in ended if sizes[x] == sizes[out]]
        if same:
            ended.remove(same[0])
            held[out] = held[same[0]]
        elif free:
            held[out] = free.pop()
        else:
            held[out] = count
            count += 1
        free += [held[x] for x in ended]
    return [held[len(group.leaves) + s] for s in range(len(group.steps))], count


def _reduced(group: _Group, node: Apply, value: int) -> _Reduced:
    """A reduction of a value, which is converted to what its fold takes."""
    op: Any = node.op
    z: Any = node.outputs[0]
    name, out = op.name, z.type.dtype
    if name not in _KINDS:
        raise Unfit(f"no kernel for {name}")
    if name in ("max", "min", "argmax", "argmin") or name.startswith("bitwise"):
        if group.dtypes[value] == "float16":
            value = group.cast(value, "float32")
        acc = group.dtypes[value]
    elif name in ("all", "any"):
        value, acc = group.cast(value, "bool"), "bool"
    elif name == "count_nonzero":
        value, acc = group.cast(value, "bool"), "int64"
    elif name == "logsumexp":
        value, acc = group.cast(value, "float64"), "float64"
    elif name == "norm":
        value, acc = _square(group, value), "float64"
    else:
        acc = op.dtypes_for(group.dtypes[value])[1] or out
        acc = _ACCUMULATORS.get(acc, acc)
        if group.dtypes[value] == "float16":
            value = group.cast(value, "float32")
        if not _is_widened(group.dtypes[value], acc):
            value = group.cast(value, acc)
    if acc != group.dtypes[value] and acc not in ("float64", "int64", "uint64"):
        raise Unfit(f"no accumulator of {acc}")
    result = "int64" if name in ("argmax", "argmin") else acc
    return _Reduced(node, value, acc, 0 if result == out else INSTRUCTIONS[f"cast{{{out}}}", (result,)][0])


def _is_widened(dtype: str, acc: str) -> bool:
    """Whether a fold converts elements of a dtype to the accumulator's itself."""
    if acc == "float64":
        return dtype in ("float32", "float64")
    return acc in ("int64", "uint64") and np.dtype(dtype).kind in "biu"


def _square(group: _Group, x: int) -> int:
    """The square of the absolute value, in float64."""
    if not group.dtypes[x].startswith("complex"):
        x = group.cast(x, "float64")
        return group.call("mul", x, x)
    x = group.cast(x, "complex128")
    re, im = group.call("real", x), group.call("imag", x)
    return group.call("add", group.call("mul", re, re), group.call("mul", im, im))
