"""Forward mode: walk the graph in order, asking each op for its Jacobian-vector product."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from refgraph.autodiff.reverse import in_branches, like, listed, pullback, standing_for, variables
from refgraph.core.errors import DisconnectedInputError, GraphTypeError, NullTypeGradError
from refgraph.core.graph import Variable, rebuild, toposort
from refgraph.core.op import GraphOp
from refgraph.core.origin import made_for
from refgraph.core.types import DisconnectedType, NullType
from refgraph.ops.linear import zeros_for


def pushforward(outputs: Sequence[Variable], wrt: Sequence[Variable], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of `outputs`, moving each of `wrt` along its tangent: the Jacobian-vector product of the whole graph.

    Entries are as for an op's jvp: a variable, 0 (connected, identically zero) or None (not connected).
    """
    given = set(wrt)
    moved: dict[Variable, Any] = dict(zip(wrt, tangents, strict=True))
    nodes = toposort(outputs, given)
    stand_ins = in_branches(nodes, outputs, given)
    for node in nodes:
        node, outs = stand_ins.get(node) or (node, node.outputs)
        ts = [moved.get(x) for x in node.inputs] if outs else ()
        if all(t is None for t in ts):
            continue
        null = next((t for t in ts if _is_null(t)), None)
        with made_for(node.origin):
            answers = [null] * len(outs) if null is not None else _jvp(node, ts)
        for out, t in zip(outs, answers, strict=True):
            if out not in given:  # one of several outputs may be in wrt
                moved[out] = t if t is None or getattr(out.type, "is_continuous", True) else 0
    return [moved.get(out) for out in outputs]


def _is_null(t: Any) -> bool:
    return isinstance(t, Variable) and isinstance(t.type, NullType)


def _jvp(node: Any, tangents: Sequence[Any]) -> Sequence[Any]:
    if isinstance(node.op, GraphOp):
        return node.op.jvp_through(node, tangents, pushforward)
    if node.op.jvp is not None:
        return node.op.jvp(node, tangents)  # type: ignore[no-any-return]
    return transposed_vjp(node, tangents)


def transposed_vjp(node: Any, tangents: Sequence[Any]) -> list[Any]:
    """The jvp of an op that says only its vjp, which is linear in the cotangents: its transpose is the pullback of it.

    (J. Townsend, "A new trick for calculating Jacobian vector products", 2017.)
    """
    dummies = [out.type.variable() if getattr(out.type, "is_continuous", True) else 0 for out in node.outputs]
    entries = [e() if callable(e) else e for e in node.op.vjp(node, dummies)]
    for e, t in zip(entries, tangents, strict=True):
        if isinstance(t, Variable) and isinstance(getattr(e, "type", None), NullType):
            return [e] * len(dummies)
    pairs = [
        (e, t) for e, t in zip(entries, tangents, strict=True) if isinstance(e, Variable) and isinstance(t, Variable)
    ]
    connected = any(e is not None and t is not None for e, t in zip(entries, tangents, strict=True))
    rest: Any = 0 if connected else None
    if not pairs:
        return [rest] * len(dummies)
    live = [u for u in dummies if isinstance(u, Variable)]
    pulled = pullback([e for e, _ in pairs], [t for _, t in pairs], live)
    shapes = {u: out for u, out in zip(dummies, node.outputs, strict=True) if isinstance(u, Variable)}
    known = iter(
        rebuild([g for g in pulled if isinstance(g, Variable)], shapes)
    )  # only shapes of dummies are read still
    found = dict(zip(live, [next(known) if isinstance(g, Variable) else g for g in pulled], strict=True))
    return [found[u] if isinstance(u, Variable) and found[u] is not None else rest for u in dummies]


def Rop(
    f: Any, wrt: Any, eval_points: Any, disconnected_outputs: str = "raise", return_disconnected: str = "zero"
) -> Any:
    """The R-operator: the Jacobian of `f` by `wrt` times `eval_points` (Jacobian-vector product), in the shapes of `f`.

    f: a variable, or a list or tuple of them; wrt: a variable or a list; eval_points: one tangent for each of wrt, of
    its shape and rank. disconnected_outputs: "raise" DisconnectedInputError, "warn" or "ignore" where an output does
    not depend on wrt. return_disconnected: "zero", "none" or "disconnected", what stands for such an output.
    """
    wanted, given = variables("wrt", wrt), listed(eval_points)
    if len(wanted) != len(given):
        raise GraphTypeError(
            f"Rop takes one eval_point for each of wrt: {len(wanted)} variables, {len(given)} eval_points"
        )
    points = [standing_for("Rop", x, t) for x, t in zip(wanted, given, strict=True)]
    outputs = variables("f", f)
    answers = []
    for out, t in zip(outputs, pushforward(outputs, wanted, points), strict=True):
        if _is_null(t):
            raise NullTypeGradError(f"the derivative of {out} is not defined", why=t.type.why)
        answers.append(t if isinstance(t, Variable) else _absent(out, t, disconnected_outputs, return_disconnected))
    return like(f, answers)


def _absent(out: Any, t: Any, disconnected: str, answer: str) -> Any:
    if t is None and disconnected != "ignore":
        message = f"{out} does not depend on any of wrt in a differentiable way"
        if disconnected == "raise":
            raise DisconnectedInputError(message, help='use disconnected_outputs="ignore" for a zero')
        warnings.warn(message, stacklevel=3)
    if t is None and answer != "zero":
        return None if answer == "none" else DisconnectedType()()
    return zeros_for(out)
