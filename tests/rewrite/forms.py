"""What a graph looks like: whether rewriting made of one expression what another one is, as it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, toposort
from refgraph.core.op import GraphOp
from refgraph.core.show import debugprint
from refgraph.interp.evaluate import evaluate
from refgraph.ops.tensor import TensorConstant
from refgraph.rewrite import select
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.rule import RULES, Rule


def rules_of(*phases: str) -> list[Rule]:
    """Every rule of ours of these phases; of all phases where none is named."""
    select.load()
    return [r for r in RULES.values() if not phases or r.phase in phases]


def declared_in(*rooms: ModuleType) -> list[Rule]:
    """The rules declared in some files, in their order."""
    return [r for r in RULES.values() if any(vars(room).get(r.name) is r for room in rooms)]


def rewritten(outputs: Any, *phases: str, rules: Iterable[Rule] | None = None) -> Any:
    """A variable, or each of a list, as the rules of these phases, or these rules, make it."""
    many = isinstance(outputs, (list, tuple))
    wanted = list(outputs) if many else [outputs]
    given = [x for x in leaves(wanted) if not isinstance(x, Constant)]
    found = rewrite(Graph(given, wanted), rules_of(*phases) if rules is None else rules).outputs
    return list(found) if many else found[0]


def assert_form(before: Any, after: Any, *phases: str, rules: Iterable[Rule] | None = None) -> None:
    """`before`, a variable or a list, becomes what `after`, which is not rewritten, is; and that is where it stays.

    phases: by default ("canonical",). rules: instead of a phase's. Operands of ops that commute may stand in either
    order; constants are compared by dtype, shape and value; what is computed twice counts as computed once.
    """
    phases = phases or ("canonical",)
    rules = None if rules is None else list(rules)
    found = rewritten(before, *phases, rules=rules)
    wanted = [after] if isinstance(after, Variable) else list(after)
    got = [found] if isinstance(found, Variable) else found
    if not same_form(got, wanted):
        raise AssertionError(f"rewriting made\n{_text(got)}\n\nwanted\n{_text(wanted)}\n\nof\n{_text(before)}")
    again = rewritten(found, *phases, rules=rules)
    assert same_form([again] if isinstance(again, Variable) else again, got), f"it changes again, to\n{_text(again)}"


def same_form(xs: Sequence[Variable], ys: Sequence[Variable]) -> bool:
    """Whether these are the same expressions of the same variables."""
    forms = _Forms()
    types = [[(getattr(x.type, "dtype", x.type), getattr(x.type, "ndim", 0)) for x in side] for side in (xs, ys)]
    return types[0] == types[1] and forms.of(xs) == forms.of(ys)


def count(outputs: Any, name: str) -> int:
    """How many applications of an op with this name compute the outputs."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    return sum(node.op.name == name for node in toposort(wanted))


class _Forms:
    """A number for each different expression."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def _number(self, key: Any) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def of(self, outputs: Sequence[Variable], inputs: Sequence[Variable] = ()) -> list[int]:
        """The numbers of these, where `inputs` are whatever stands in their places."""
        found = {x: self._number(("input", i, x.type)) for i, x in enumerate(inputs)}
        for node in toposort(outputs, set(inputs)):
            key = self._node(
                node, [self._leaf(x) if x.owner is None and x not in found else found[x] for x in node.inputs]
            )
            for i, out in enumerate(node.outputs):
                found.setdefault(out, self._number((key, i)))
        return [found[x] if x in found else self._leaf(x) for x in outputs]

    def _leaf(self, x: Variable) -> int:
        if isinstance(x, TensorConstant):
            return self._number(("constant", x.type.dtype, x.value.shape, x.value.tobytes()))
        return self._number(x)

    def _node(self, node: Apply, inputs: list[int]) -> Any:
        op: Any = node.op
        if isinstance(op, GraphOp):
            op = (type(op), *[self._part(getattr(op, p)) for p in op.__props__])
        return op, tuple(sorted(inputs)) if node.op.commutative else tuple(inputs)

    def _part(self, value: Any) -> Any:
        if isinstance(value, Graph):
            return tuple(self.of(value.outputs, value.inputs))
        return tuple(map(self._part, value)) if isinstance(value, (list, tuple)) else value


def _text(outputs: Any) -> str:
    return str(debugprint(outputs, file="str", print_type=True))


def assert_same_values(
    outputs: Any, given: Mapping[Variable, Any], rules: Iterable[Rule], rtol: float = 0, atol: float = 0
) -> None:
    """Rewritten, outputs that have finite values have the same, of the same dtype and shape."""
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    made = rewritten(wanted, rules=rules)
    for x, y, old, new in zip(wanted, made, evaluate(wanted, given), evaluate(made, given), strict=True):
        a, b = np.asarray(old), np.asarray(new)
        assert (b.dtype, b.shape) == (a.dtype, a.shape), f"{b.dtype}{b.shape} for {a.dtype}{a.shape}: {_text([x, y])}"
        assert (y.type.dtype, y.type.ndim) == (x.type.dtype, x.type.ndim)
        right = ~np.isfinite(a) | (b == a)
        with np.errstate(all="ignore"):
            right |= np.abs(b - a) <= atol + rtol * np.abs(a) if a.dtype.kind in "fc" else False
        assert right.all(), f"{b[~right]} for {a[~right]}: {_text([x, y])}"


def calls(work: Callable[[], Any]) -> int:
    """How many functions of Python are called while `work` is done: time that does not depend on the machine."""
    found = 0

    def count_one(frame: Any, event: str, _: Any) -> None:
        nonlocal found
        found += event == "call"

    sys.setprofile(count_one)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found
