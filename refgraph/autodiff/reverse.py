"""Reverse mode: walk the graph backwards, asking each op for its vector-Jacobian product."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from refgraph.core.errors import (
    DisconnectedInputError,
    DTypeError,
    GraphTypeError,
    NonScalarCostError,
    NullTypeGradError,
    ShapeError,
)
from refgraph.core.graph import Apply, Variable, toposort
from refgraph.core.op import GraphOp, is_zero
from refgraph.core.origin import made_for
from refgraph.core.types import DisconnectedType, NullType
from refgraph.ops.elementwise import fill
from refgraph.ops.indexing import add_cotangents
from refgraph.ops.linear import same_kind, zeros_for
from refgraph.ops.tensor import TensorVariable, as_tensor


def pullback(
    outputs: Sequence[Variable],
    cotangents: Sequence[Any],
    wrt: Sequence[Variable],
    constant: Collection[Variable] = (),
    known: Mapping[Variable, Any] | None = None,
) -> list[Any]:
    """Cotangents of `wrt`, given those of `outputs`: the vector-Jacobian product of the whole graph.

    Entries, given and answered, are as for an op's vjp: a variable, 0 (connected, identically zero) or None (not
    connected). Nothing flows behind the variables in `constant`; those in `known` have the cotangents given there,
    whatever else flows to them.
    """
    constant, known = set(constant), known or {}
    nodes = toposort([*outputs, *known], constant)
    active = set(wrt)
    for node in nodes:
        if any(x in active for x in node.inputs):
            active.update(node.outputs)
    total: dict[Variable, Any] = dict(known)

    def add(x: Variable, g: Any) -> None:
        before = total.get(x)
        if x in known:
            return
        if is_zero(before) or before is None or isinstance(getattr(g, "type", None), NullType):
            total[x] = g
        elif not is_zero(g) and not isinstance(before.type, NullType):
            total[x] = add_cotangents(before, g)

    for out, g in zip(outputs, cotangents, strict=True):
        if g is not None:
            add(out, g)
    stand_ins = in_branches(nodes, outputs, {*wrt, *constant, *known})
    for node in reversed(nodes):
        node, outs = stand_ins.get(node) or (node, node.outputs)
        if not any(out in active and total.get(out) is not None for out in outs):
            continue
        gs = [None if out in constant else _flowing(total.get(out), out) for out in outs]
        null = next((g for g in gs if g is not None and not is_zero(g) and isinstance(g.type, NullType)), None)
        with made_for(node.origin):
            for x, g in zip(
                node.inputs, [null] * len(node.inputs) if null is not None else _vjp(node, gs, active), strict=True
            ):
                if x in active and g is not None:
                    g = g() if callable(g) else g
                    if g is not None:
                        add(x, g)
    return [total.get(x) for x in wrt]


def in_branches(nodes: Sequence[Apply], outputs: Sequence[Variable], given: Collection[Variable]) -> dict[Apply, Any]:
    """What to differentiate in place of some nodes, where an op runs one of its graphs: see `refgraph.core.lazy`.

    The derivative of what only one branch needs is then computed in a branch, too: only when that is taken, so that no
    infinite derivative of the other meets a zero.
    """
    if not any(node.op.lazy for node in nodes):
        return {}
    from refgraph.core.lazy import gather

    return gather(nodes, outputs, given)


def _vjp(node: Any, gs: Sequence[Any], active: Collection[Variable]) -> Sequence[Any]:
    if isinstance(node.op, GraphOp):
        return node.op.vjp_through(node, gs, pullback, [x in active for x in node.inputs])
    return node.op.vjp(node, gs)  # type: ignore[no-any-return]


def _flowing(g: Any, out: Any) -> Any:
    """What flows back through a node's output: nothing, through a discrete one."""
    return g if g is None or getattr(out.type, "is_continuous", True) else 0


def grad(
    cost: Any,
    wrt: Any,
    consider_constant: Collection[Variable] | None = None,
    disconnected_inputs: str = "raise",
    add_names: bool = True,
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: str = "zero",
    null_gradients: str = "raise",
) -> Any:
    """The gradient of a scalar `cost` by a variable or a list or tuple of them, as graphs of the same kind.

    cost: a 0-d continuous variable, or None when `known_grads` gives the gradient of something later in the graph.
    consider_constant: variables not to differentiate through.
    disconnected_inputs: "raise" DisconnectedInputError, "warn" or "ignore" where cost does not depend on wrt.
    known_grads: mapping from variables to their gradients, where one is already known.
    return_disconnected: "zero", "none" or "disconnected", what stands for a gradient that is not connected.
    null_gradients: "raise" NullTypeGradError or "return" where a gradient is not defined.

    The gradient of a float variable has its dtype and shape, of an integer variable a float dtype.
    Raises NonScalarCostError (a TypeError) when cost is not 0-d.
    """
    _one_of("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore"))
    _one_of("return_disconnected", return_disconnected, ("zero", "none", "disconnected"))
    _one_of("null_gradients", null_gradients, ("raise", "return"))
    wanted = variables("wrt", wrt)
    outputs: list[Any] = []
    seeds: list[Any] = []
    if cost is not None:
        if not isinstance(cost, TensorVariable):
            raise GraphTypeError(f"cost must be a tensor variable, got {cost!r} ({type(cost).__name__})")
        if cost.type.ndim != 0:
            raise NonScalarCostError(
                f"cost must be a scalar, got {cost} ({cost.type})",
                help="take cost.sum() or cost.mean(); for a vector of costs use jacobian",
                inputs=[cost],
            )
        outputs.append(cost)
        seeds.append(fill(cost, 1.0) if cost.type.is_continuous else 0)
    elif not known_grads:
        raise GraphTypeError("grad needs a cost, or known_grads")
    if not isinstance(known_grads or {}, Mapping):
        raise GraphTypeError(f"known_grads takes a dict from variables to gradients, got {known_grads!r:.60}")
    known = {
        x: None if isinstance(getattr(g, "type", None), DisconnectedType) else standing_for("known_grads", x, g)
        for x, g in (known_grads or {}).items()
    }
    constant = variables("consider_constant", list(consider_constant or ()))
    found = pullback(outputs, seeds, wanted, constant=constant, known=known)
    answers = [
        _answer(x, g, cost, disconnected_inputs, return_disconnected, null_gradients)
        for x, g in zip(wanted, found, strict=True)
    ]
    for x, g in zip(wanted, answers, strict=True):
        if add_names and g is not None and g.name is None and cost is not None and cost.name and x.name:
            g.name = f"(d{cost.name}/d{x.name})"
    return like(wrt, answers)


def Lop(
    f: Any,
    wrt: Any,
    eval_points: Any,
    consider_constant: Collection[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:
    """The L-operator: `eval_points` times the Jacobian of `f` by `wrt` (vector-Jacobian product), in `wrt`'s shapes.

    f: a variable or a list of them; eval_points: one cotangent for each, of its shape; wrt: as for grad.
    """
    outputs, points = listed(f), listed(eval_points)
    if len(outputs) != len(points):
        raise GraphTypeError(
            f"Lop takes one eval_point for each output: {len(outputs)} outputs, {len(points)} eval_points"
        )
    wanted = variables("wrt", wrt)
    seeds = [standing_for("Lop", out, p) for out, p in zip(variables("f", outputs), points, strict=True)]
    constant = variables("consider_constant", list(consider_constant or ()))
    found = pullback(outputs, seeds, wanted, constant=constant)
    answers = [_answer(x, g, None, disconnected_inputs, "zero", "raise") for x, g in zip(wanted, found, strict=True)]
    return like(wrt, answers)


def subgraph_grad(
    wrt: Sequence[Variable],
    end: Sequence[Variable],
    start: Mapping[Variable, Any] | None = None,
    cost: Any = None,
    details: bool = False,
) -> Any:
    """Gradients by `wrt` and by `end`, going back from `cost` and from `start` and no further than `end`.

    start: gradients already known of variables nearer to the inputs than the cost, as another call's `end` gave them.
    Returns the lists (by wrt, by end); with `details` also (from start, from cost), each None when not given.
    """
    if cost is None and start is None:
        raise GraphTypeError("subgraph_grad needs a cost, a start, or both")
    wanted = [*wrt, *end]
    from_start = None
    from_cost = None
    if start is not None:
        from_start = grad(None, wanted, consider_constant=end, known_grads=start, disconnected_inputs="ignore")
    if cost is not None:
        from_cost = grad(cost, wanted, consider_constant=end, disconnected_inputs="ignore")
    parts = [part for part in (from_start, from_cost) if part is not None]
    total = parts[0] if len(parts) == 1 else [a + b for a, b in zip(*parts, strict=True)]
    answer = (total[: len(wrt)], total[len(wrt) :])
    return (*answer, from_start, from_cost) if details else answer


def variables(what: str, given: Any) -> list[Any]:
    """A variable, list or tuple as a list of variables; `what` is the caller's name for it. Raises GraphTypeError."""
    found = listed(given)
    for x in found:
        if not isinstance(x, Variable):
            raise GraphTypeError(
                f"{what} takes variables, got {x!r:.60} ({type(x).__name__})",
                help="give the variable itself, or a list of variables",
            )
    return found


def standing_for(who: str, x: Any, g: Any) -> TensorVariable:
    """A cotangent or tangent g that a user gave for x, in x's dtype. Raises unless rank and known lengths are x's."""
    g = as_tensor(g)
    if not isinstance(x, TensorVariable):
        raise GraphTypeError(f"{who}: only tensors have derivatives, got {x!r:.60}")
    if x.type.ndim != g.type.ndim:
        raise GraphTypeError(f"{who}: what stands for {x} ({x.type}) must have its rank, got {g.type}", inputs=[x, g])
    if any(m != n for m, n in zip(x.type.shape, g.type.shape, strict=True) if m is not None and n is not None):
        raise ShapeError(f"{who}: what stands for {x} ({x.type}) must have its shape, got {g.type}", inputs=[x, g])
    if g.type.is_complex and not x.type.is_complex:
        raise DTypeError(
            f"{who}: what stands for {x} ({x.type}) must be real, got {g.type}", inputs=[x, g], help="use T.real(...)"
        )
    return same_kind(g, x)  # type: ignore[no-any-return]  # a tensor, as both are


def listed(x: Any) -> list[Any]:
    """A variable, list or tuple as a list."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def like(given: Any, answers: Sequence[Any]) -> Any:
    """Answers in the form that the question had: one, a list, or a tuple."""
    return type(given)(answers) if isinstance(given, (list, tuple)) else answers[0]


def _answer(x: Any, g: Any, cost: Any, disconnected: str, absent: str, null: str) -> Any:
    if g is None:
        message = f"the cost {'' if cost is None else cost} does not depend on {x} ({x.type}) in a differentiable way"
        if disconnected == "raise":
            raise DisconnectedInputError(
                message,
                help='differentiate by something that the cost is computed from, or use disconnected_inputs="ignore"',
            )
        if disconnected == "warn":
            warnings.warn(message, stacklevel=3)
        if absent == "none":
            return None
        if absent == "disconnected":
            return DisconnectedType()()
        return zeros_for(x)
    if is_zero(g):
        return zeros_for(x)
    if isinstance(g.type, NullType) and null == "raise":
        raise NullTypeGradError(f"the gradient with respect to {x} is not defined", why=g.type.why)
    return g


def _one_of(name: str, value: str, accepted: Sequence[str]) -> None:
    if value not in accepted:
        raise GraphTypeError(f"{name}={value!r} is not one of {', '.join(accepted)}")
