"""Elementwise ops and reductions: groups that run in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgraph.backend import Apply, Constant, Elemwise, Fused, Reduction, Variable
from refgraph_cython.instructions import INSTRUCTIONS, Step, Unfit, recipe
from refgraph_cython.lower.program import NUMBERS, Builder, lowers

_KINDS = {
    "sum": 0,
    "mean": 0,
    "count_nonzero": 0,
    "norm": 0,
    "prod": 1,
    "prod_no_zeros": 1,
    "max": 2,
    "min": 3,
    "all": 4,
    "any": 5,
    "bitwise_and_reduce": 6,
    "bitwise_or_reduce": 7,
    "bitwise_xor_reduce": 8,
}
"""For each reduction what its fold is called in native/blocks.c."""
_FINISH = {"mean": 1, "norm": 2}
_BYTES = 2048


class _Group:
    """A group that is being put together: values are numbered, leaves first."""

    def __init__(self, inputs: list[Any], build: Builder) -> None:
        self.leaves, self.build = inputs, build
        self.dtypes = [x.type.dtype for x in inputs]
        self.depends = [1 << i for i in range(len(inputs))]
        self.scalar = [x.type.ndim == 0 for x in inputs]
        self.steps: list[list[int]] = []
        self._made: dict[tuple[int, int, tuple[int, ...]], int] = {}

    def step(self, step: Step, given: list[int]) -> int:
        """A step from these values; the one that is there already, where there is."""
        key = step.address, step.more, tuple(given)
        found = self._made.get(key)
        if found is not None:
            return found
        if step.loop is not None:
            self.build.alive.append(step.loop)
        scalar = all([self.scalar[i] for i in given])
        padded = [*given, *[0] * (4 - len(given))]
        number = self._made[key] = len(self.dtypes)
        self.steps.append([step.address, step.more, len(given), *padded, NUMBERS[step.out], number, int(scalar)])
        self.dtypes.append(step.out)
        self.scalar.append(scalar)
        bits = 0
        for i in given:
            bits |= self.depends[i]
        self.depends.append(bits)
        return number

    def call(self, name: str, *given: int) -> int:
        """An instruction of our own."""
        dtypes = tuple([self.dtypes[i] for i in given])
        if (name, dtypes) not in INSTRUCTIONS:
            raise Unfit(f"no instruction {name} of {', '.join(dtypes)}")
        address, out = INSTRUCTIONS[name, dtypes]
        return self.step(Step(address, None, (), out), list(given)) if address else given[0]

    def cast(self, value: int, dtype: str) -> int:
        return value if self.dtypes[value] == dtype else self.call(f"cast{{{dtype}}}", value)

    def apply(self, node: Apply, given: list[int]) -> int:
        op: Any = node.op
        how = recipe(op, tuple([self.dtypes[i] for i in given]), op.name == "pow" and _is_natural(node.inputs[1]))
        values = list(given)
        for step in how.steps:
            values.append(self.step(step, [values[i] for i in step.given]))
        return values[how.result]


def _is_natural(x: Variable) -> bool:
    """Whether a value is known not to be negative."""
    return isinstance(x, Constant) and bool(np.all(x.value >= 0))


@lowers(Elemwise, Reduction)
def single(node: Apply, build: Builder) -> str | None:
    return _lowered(node, [node], list(node.inputs), list(node.outputs), list(node.inputs), build)


@lowers(Fused)
def fused(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    why = _lowered(node, op.graph.nodes, list(op.graph.inputs), list(op.graph.outputs), list(node.inputs), build)
    return None if why is None else build.inline(op.graph, node)


def _lowered(node: Apply, nodes: Any, inputs: Any, outputs: Any, given: Any, build: Builder) -> str | None:
    leaves: dict[Variable, Variable] = {}
    for x, y in zip(inputs, given, strict=True):
        leaves.setdefault(x, y)
    for inner in nodes:
        for x in inner.inputs:
            if isinstance(x, Constant):
                leaves.setdefault(x, x)
    if len(leaves) > 40:
        return "too many inputs"
    group = _Group(list(leaves.values()), build)
    number = {x: i for i, x in enumerate(leaves)}
    depends = {x: 1 << i for i, x in enumerate(leaves)}
    reductions = []
    try:
        for inner in nodes:
            if isinstance(inner.op, Reduction):
                reductions.append((inner, *_reduction(group, inner, number[inner.inputs[0]])))
            else:
                number[inner.outputs[0]] = group.apply(inner, [number[x] for x in inner.inputs])
                bits = 0
                for x in inner.inputs:
                    bits |= depends[x]
                depends[inner.outputs[0]] = bits
    except Unfit as why:
        return str(why)
    reduced = {inner.outputs[0] for inner, *_ in reductions}
    stores = [x for x in outputs if x not in reduced]
    if len(group.dtypes) > 180:
        return "too many steps"
    size = max([np.dtype(d).itemsize for d in group.dtypes])
    elements = max(64, _BYTES // size)
    params = [len(leaves), len(group.steps), len(stores), len(reductions), elements, size, len(group.dtypes)]
    params += list(range(len(leaves)))
    for step in group.steps:
        params += step
    for x in stores:
        params += [number[x], depends[x], 0]
    made = dict(zip(outputs, node.outputs, strict=True))
    results = [made[x] for x in stores]
    for inner, kind, value, acc, finish, cast in reductions:
        op: Any = inner.op
        results.append(made[inner.outputs[0]])
        bits = sum([1 << a for a in op.axis])
        params += [kind, value, depends[inner.inputs[0]], 0, bits, int(op.keepdims), NUMBERS[acc], finish, cast]
    build.thunk(
        "blocks",
        group.leaves,
        results,
        params,
        overwrites=[
            (k, i) for k in range(len(stores)) for i in range(len(leaves)) if group.dtypes[i] == stores[k].type.dtype
        ],
    )
    return None


def _reduction(group: _Group, node: Apply, value: int) -> tuple[int, int, str, int, int]:
    op: Any = node.op
    z: Any = node.outputs[0]
    name, out = op.name, z.type.dtype
    if name not in _KINDS:
        raise Unfit(f"no kernel for {name}")
    given = group.dtypes[value]
    if name in ("max", "min") or name.startswith("bitwise"):
        acc = given
        if given == "float16":
            value, acc = group.cast(value, "float32"), "float32"
        elif given.startswith("c"):
            raise Unfit("complex")
    elif name in ("all", "any"):
        value, acc = group.cast(value, "bool"), "bool"
    elif name == "count_nonzero":
        value, acc = group.cast(group.cast(value, "bool"), "int64"), "int64"
    else:
        acc = op.dtypes_for(given)[1] or out
        acc = {"float16": "float64", "float32": "float64", "complex64": "complex128"}.get(acc, acc)
        if name == "norm":
            if given.startswith("c"):
                raise Unfit("complex")
            value = group.cast(value, "float64")
            value = group.call("square", value)
        elif acc == "float64" and group.dtypes[value] in ("float32", "float64"):
            pass
        elif acc == "float64" and group.dtypes[value] == "float16":
            value = group.cast(value, "float32")
        else:
            value = group.cast(value, acc)
    cast = 0
    if acc != out:
        cast = INSTRUCTIONS[f"cast{{{out}}}", (acc,)][0]
    return _KINDS[name], value, acc, _FINISH.get(name, 0), cast
