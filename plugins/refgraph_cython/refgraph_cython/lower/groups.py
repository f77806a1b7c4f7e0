"""Groups of elementwise steps, as they are put together for the pass over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgraph.backend import Constant, Variable
from refgraph_cython import _native
from refgraph_cython.instructions import INSTRUCTIONS, Unfit, recipe
from refgraph_cython.lower.program import Builder

_CHEAP, _DEAR, _DEAREST = 15, 150, 800  # hundredths of nanoseconds that an element takes


class Value:
    """An input of the group, or what a step computes."""

    __slots__ = ("dtype", "step")

    def __init__(self, dtype: str, step: Step | None = None) -> None:
        self.dtype, self.step = dtype, step


class Step:
    """An instruction, the address of what it calls or 0, its inputs, and what it computes."""

    __slots__ = ("call", "given", "more", "out")

    def __init__(self, call: int, more: int, given: Sequence[Value], dtype: str) -> None:
        self.call, self.more, self.given = call, more, given
        self.out = Value(dtype, self)


class Group:
    """A group that is being put together: its leaves, and the steps in order.

    Values are what `call`, `cast`, and `apply` answer; one that is asked for twice is computed once.
    """

    def __init__(self, inputs: Sequence[Variable], build: Builder) -> None:
        self.inputs, self.build = list(inputs), build
        self.leaves = [Value(x.type.dtype) for x in inputs]  # type: ignore[attr-defined]  # tensors
        self.steps: list[Step] = []
        self.cost = 20
        self.exponents: list[tuple[Value, Value]] = []
        """Pairs of a base and an exponent, of integers, that must not be negative."""
        self._made: dict[tuple[Any, ...], Value] = {}

    def apply(self, op: Any, given: Sequence[Value]) -> Value:
        """What an elementwise op answers. Raises Unfit where it has no instruction."""
        if op.name == "pow" and given[0].dtype[0] in "biu" and given[1].dtype[0] == "i":
            self._check_exponents(given)
        how = recipe(op, tuple([x.dtype for x in given]), True)
        values = list(given)
        for step in how.steps:
            if step.loop is not None:
                self.build.alive.append(step.loop)
            self.cost += _CHEAP if step.loop is None else _DEAREST
            values.append(self._step(step.address, step.more, [values[i] for i in step.given], step.out))
        made = values[how.result]
        if "(" in op.c and made.dtype != "bool":
            self.cost += _DEAR
        return made

    def _check_exponents(self, given: Sequence[Value]) -> None:
        if any([x not in self.leaves for x in given]):
            raise Unfit("exponents that may be negative, of integers, are computed on the way")
        exponent = self.inputs[self.leaves.index(given[1])]
        if not isinstance(exponent, Constant) or np.any(exponent.value < 0):
            self.exponents.append((given[0], given[1]))

    def call(self, name: str, *given: Value) -> Value:
        """The instruction of a name for the dtypes of its inputs."""
        address, out = INSTRUCTIONS[name, tuple([x.dtype for x in given])]
        self.cost += _CHEAP
        return self._step(address, 0, given, out) if address else given[0]

    def cast(self, x: Value, dtype: str) -> Value:
        return x if x.dtype == dtype else self.call(f"cast{{{dtype}}}", x)

    def _step(self, call: int, more: int, given: Sequence[Value], dtype: str) -> Value:
        key = (call, more, *given)
        if key not in self._made:
            self.steps.append(Step(call, more, given, dtype))
            self._made[key] = self.steps[-1].out
        return self._made[key]
