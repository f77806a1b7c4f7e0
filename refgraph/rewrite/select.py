"""Which rules a mode applies: those of an optimizer's name, with some more and some fewer, by name or by phase."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from refgraph.core.errors import ConfigError, nearest
from refgraph.rewrite.rule import PHASES, RULES, Rule

ROOMS: tuple[str, ...] = (
    "canonical",
    "terms",
    "choices",
    "shapes",
    "axes",
    "indexing",
    "reductions",
    "stable",
    "softmax",
    "quotients",
    "scan",
    "scan_moves",
    "scan_after",
    "scan_merge",
    "scan_placed",
    "placed",
    "specialize",
    "matmul",
    "fuse",
)
"""The files in which rules are declared, in the order in which the rules of a phase are tried."""

_OF_LOOPS = ("scan", "scan_moves", "scan_after", "scan_merge", "scan_placed")
"""Those whose rules change nothing where there are no loops."""

_EVERYTHING = ("o4", "o3", "o2", "unsafe", "fast_run")
_NOTHING = ("None", "merge")
_LEAST = ("o1", "fast_compile")
_LEAST_RULES = ("only_what_is_read",)  # a loop that keeps all its states may not fit into memory
_THEANOS = {
    "canonicalize": "canonical",
    "stabilize": "stable",
    "fusion": "fuse",
    "elemwise_fusion": "fuse",
    "blas": "matmul",
    "gemm_optimizer": "matmul",
    "scan_eqopt1": "scan",
    "scan_eqopt2": "scan",
}
"""Theano's names for phases."""
_WITHOUT_MEANING = ("inplace", "gpu", "cxx_only", "merge")
"""Theano's names for what no rule decides: plans compute in place, equal expressions are always merged."""


@cache
def load(loops: bool = True) -> None:
    """Declare every rule of ours, or all but those of loops."""
    for room in ROOMS:
        if loops or room not in _OF_LOOPS:
            import_module(f"refgraph.rewrite.{room}")


def known(name: str) -> str:
    """A name of a rule or a phase, for either and for Theano's names; "" for one of Theano's that has no meaning here.

    Raises ConfigError for any other.
    """
    load()
    name = _THEANOS.get(name, name)
    if name in RULES or name in PHASES:
        return name
    if name in _WITHOUT_MEANING or name.startswith("local_"):
        return ""
    raise ConfigError(
        f"no rewriting is named {name!r}",
        help=nearest(name, [*RULES, *PHASES]) or f"use the name of a rule, or of a phase: {', '.join(PHASES)}",
    )


def chosen(
    optimizer: str,
    including: Iterable[str] = (),
    excluding: Iterable[str] = (),
    requiring: Iterable[str] = (),
    loops: bool = True,
) -> tuple[Rule, ...]:
    """The rules of an optimizer, one of Theano's names for how much to rewrite, with changes.

    loops: False where there are none: the rules for them, which take long to load, may then be missing. Raises
    ConfigError for names that are nobody's, and where `excluding` has what `requiring` has.
    """
    load(loops)
    more, less, must = ({known(name) for name in names} - {""} for names in (including, excluding, requiring))
    if not must.isdisjoint(less):
        raise ConfigError(f"rewriting: {', '.join(sorted(must & less))} is both required and excluded")
    more |= must
    if optimizer in _EVERYTHING:
        base = set(RULES)
    elif optimizer in _LEAST:
        base = set(_LEAST_RULES)
    elif optimizer in _NOTHING:
        base = set()
    else:
        names = (*_EVERYTHING, *_LEAST, *_NOTHING)
        raise ConfigError(f"no optimizer {optimizer!r}", help=f"use one of: {', '.join(names)}")
    return tuple(
        [
            rule
            for rule in RULES.values()
            if (rule.name in base or rule.name in more or rule.phase in more)
            and rule.name not in less
            and (rule.phase not in less or rule.name in more)
        ]
    )
