"""Stable forms: what overflows, cancels or meets 0/0 as it is written, in a form that does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgraph.core.graph import Apply, Variable, toposort
from refgraph.core.op import OPS
from refgraph.ops.elementwise import (
    abs,
    cast,
    erf,
    erfc,
    erfcx,
    exp,
    expm1,
    gammainc,
    gammaincc,
    hypot,
    log,
    log1p,
    sigmoid,
    softplus,
    sqrt,
    square,
    switch,
    tanh,
)
from refgraph.ops.families import Elemwise, Reals
from refgraph.ops.tensor import DISCRETE, TensorType
from refgraph.rewrite.rule import PairRule, node_rule, rule

_REAL = Reals(-4, 4, edges=(0.0, -0.0, 1e-20), kinds="f")
_POSITIVE = Reals(0.1, 8, kinds="f")


# What rows say that they are stable for. Larger patterns first, as part of what they look for may be what another does.


def _rows() -> list[tuple[Elemwise, str, Callable[..., Any], Sequence[Apply]]]:
    """Each row with each expression that it should replace, a name, and what that applies to integers."""
    found = []
    for row in OPS.values():
        if isinstance(row, Elemwise):
            for i, naive in enumerate(row.stable_for):
                nodes = toposort([naive(*[TensorType("int64", ())() for _ in row.on])])
                found.append((row, f"stable_{row.name}{f'_{i + 1}' if i else ''}", naive, nodes))
    return sorted(found, key=lambda entry: -len(entry[3]))


def _starts_with_floats(nodes: Sequence[Apply]) -> bool:
    """Whether an expression of integers computes nothing but floats."""
    return all(out.type.dtype not in DISCRETE for node in nodes for out in node.outputs)  # type: ignore[attr-defined]


def _pair_of(row: Elemwise, name: str, naive: Callable[..., Any], nodes: Sequence[Apply]) -> PairRule:
    def build(*holes: Variable) -> tuple[Any, Any]:
        return naive(*holes), row(*holes)

    unlike = "b" if _starts_with_floats(nodes) else "biu"  # integers wrap, bools have arithmetic of their own
    on = [Reals(r.low, r.high, r.edges, "".join([k for k in r.kinds if k not in unlike])) for r in row.on]
    return PairRule(name, "stable", row.__doc__, build, on)


for _entry in _rows():
    _pair_of(*_entry)


# Logarithms


@rule("stable", Reals(-8, 0.8, kinds="f"), fails=[1e-20, -1e-18])
def log_of_one_minus(x: Any) -> Any:
    """log(1 - x) is log1p(-x), which keeps its digits near 0."""
    return log(1 - x), log1p(-x)


@rule("stable", _REAL, fails=[800, -800])
def log_of_exp(x: Any) -> Any:
    """log(exp(x)) is x."""
    return log(exp(x)), x


@rule("stable", _REAL, fails=[1e200, 1e-200])
def log_of_square(x: Any) -> Any:
    """log(x^2) is 2 log|x|, where the square overflows, too."""
    return log(square(x)), 2 * log(abs(x))


@rule("stable", _POSITIVE, fails=[1 + 2e-16])
def log_of_sqrt(x: Any) -> Any:
    """log(sqrt(x)) is log(x) / 2, which keeps its digits near 1."""
    return log(sqrt(x)), 0.5 * log(x)


@rule("stable", _POSITIVE, fails=[1e-310])
def log_of_reciprocal(x: Any) -> Any:
    """log(1 / x) is -log(x)."""
    return log(1 / x), -log(x)


# The logistic function

_WIDE = Reals(-40, 40, edges=(0.0, -0.0), kinds="f")


@rule("stable", _WIDE, fails=[-800])
def log_of_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) is -softplus(-x), which is x far left, where sigmoid(x) is 0."""
    return log(sigmoid(x)), -softplus(-x)


@rule("stable", _WIDE, fails=[800, 40])
def one_minus_sigmoid(x: Any) -> Any:
    """1 - sigmoid(x) is sigmoid(-x), which keeps its digits far right."""
    return 1 - sigmoid(x), sigmoid(-x)


@rule("stable", _WIDE, fails=[800, 40])
def sigmoid_minus_one(x: Any) -> Any:
    """sigmoid(x) - 1 is -sigmoid(-x)."""
    return sigmoid(x) - 1, -sigmoid(-x)


@rule("stable", _WIDE, fails=[800, 40])
def log1p_of_minus_sigmoid(x: Any) -> Any:
    """log1p(-sigmoid(x)), which is log(1 - sigmoid(x)), is -softplus(x)."""
    return log1p(-sigmoid(x)), -softplus(x)


@rule("stable", _WIDE, fails=[1e-20])
def tanh_of_sigmoid(x: Any) -> Any:
    """2 sigmoid(x) - 1 is tanh(x / 2), which keeps its digits near 0."""
    return 2 * sigmoid(x) - 1, tanh(0.5 * x)


@rule("stable", _WIDE, fails=[1e-20])
def minus_tanh_of_sigmoid(x: Any) -> Any:
    """1 - 2 sigmoid(x) is -tanh(x / 2)."""
    return 1 - 2 * sigmoid(x), -tanh(0.5 * x)


@rule("stable", _REAL, _REAL, fails=[(800, -800), (-800, 800), (1e-20, -1e-20)])
def tanh_of_exps(x: Any, y: Any) -> Any:
    """(exp(x) - exp(y)) / (exp(x) + exp(y)) is tanh((x - y) / 2): for y = -x, tanh(x)."""
    return (exp(x) - exp(y)) / (exp(x) + exp(y)), tanh(0.5 * (x - y))


# exp near 0


@rule("stable", _REAL, fails=[1e-20])
def one_minus_exp(x: Any) -> Any:
    """1 - exp(x) is -expm1(x), which keeps its digits near 0."""
    return 1 - exp(x), -expm1(x)


# Squares


@rule("stable", _REAL, fails=[1e200, 1e-200])
def sqrt_of_square(x: Any) -> Any:
    """sqrt(x^2) is |x|, also where the square overflows."""
    return sqrt(square(x)), abs(x)


@rule("stable", _REAL, _REAL, fails=[(1e200, 1.0), (1e-200, 1e-200)])
def sqrt_of_squares(x: Any, y: Any) -> Any:
    """sqrt(x^2 + y^2) is hypot(x, y), also where the squares overflow."""
    return sqrt(square(x) + square(y)), hypot(x, y)


# The error function and its tails


@rule("stable", _REAL, fails=[-10])
def one_plus_erf(x: Any) -> Any:
    """1 + erf(x) is erfc(-x), which keeps its digits far left."""
    return 1 + erf(x), erfc(-x)


@rule("stable", _REAL, fails=[10])
def erf_minus_one(x: Any) -> Any:
    """erf(x) - 1 is -erfc(x)."""
    return erf(x) - 1, -erfc(x)


@rule("stable", _REAL, fails=[-10])
def minus_one_minus_erf(x: Any) -> Any:
    """-1 - erf(x) is -erfc(-x)."""
    return -1 - erf(x), -erfc(-x)


@rule("stable", _REAL, fails=[1e-20])
def one_minus_erfc(x: Any) -> Any:
    """1 - erfc(x) is erf(x), which keeps its digits near 0."""
    return 1 - erfc(x), erf(x)


@rule("stable", _REAL, fails=[1e-20])
def erfc_minus_one(x: Any) -> Any:
    """erfc(x) - 1 is -erf(x)."""
    return erfc(x) - 1, -erf(x)


@node_rule("stable", log)
def log_of_erfc(node: Apply) -> Any:
    """log(erfc(x)) is log(erfcx(x)) - x^2 far right, where erfc(x) is 0, and log1p(-erf(x)) elsewhere."""
    out: Any = node.outputs[0]
    tail = node.inputs[0].owner
    if tail is None or tail.op is not erfc or out.type.is_complex:
        return None
    x = cast(tail.inputs[0], out.type.dtype)  # as the square is to have the digits of the rest
    return switch(x > 1, log(erfcx(x)) - square(x), log1p(-erf(x)))


@rule("stable", Reals(0.3, 5, kinds="f"), Reals(0.1, 8, kinds="f"), fails=[(5.0, 1e-4)])
def one_minus_gammaincc(a: Any, x: Any) -> Any:
    """1 - gammaincc(a, x) is gammainc(a, x)."""
    return 1 - gammaincc(a, x), gammainc(a, x)
