"""Pairs of cheap steps as one: what is between them is neither written nor read.

A step takes about as long for what it reads and writes as for what it computes, where that is an addition or the like.
Instructions of two steps are those of generate.py's `pairs`; each step is rounded as it is alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from refgraph.backend import OPS
from refgraph_cython.instructions import INSTRUCTIONS, Step

Placed = tuple[Step, list[int]]
"""A step, and the numbers of its inputs."""

_NAMES = {address: (name, dtypes) for (name, dtypes), (address, _) in INSTRUCTIONS.items()}


def joined(
    steps: Sequence[Placed], axes: Sequence[frozenset[int]], kept: Collection[int]
) -> tuple[list[Placed], dict[int, int]]:
    """The steps with pairs joined, and for each value that is still computed its number now.

    Values are numbered, leaves first. `axes` are those along which a leaf has more than one element: a step that makes
    fewer elements than its reader stays alone, so that it is run once for all of them. `kept` values are read by others
    than steps.
    """
    nleaves, axes = len(axes), list(axes)
    uses = Counter([x for _, given in steps for x in set(given)])
    found: dict[int, Placed] = {}
    for number, (step, given) in enumerate(steps, nleaves):
        axes.append(frozenset().union(*[axes[x] for x in given]))
        found[number] = step, given
        for x in given:
            if x in found and uses[x] == 1 and x not in kept and axes[x] == axes[number]:
                pair = _pair(found[x], (step, given), x)
                if pair is not None:
                    found[number] = pair
                    del found[x]
                    break
    numbers = {x: i for i, x in enumerate([*range(nleaves), *found])}
    return [(step, [numbers[x] for x in given]) for step, given in found.values()], numbers


def _pair(first: Placed, second: Placed, x: int) -> Placed | None:
    """Two steps as one, where there is an instruction for them. The first makes x, and the second alone reads it."""
    one, other = _plain(first), _plain(second)
    if one is None or other is None:
        return None
    (name, given, dtype), (then, more, _) = one, other
    if more.count(x) > 1:
        return None
    place = more.index(x)
    given = [*given, *more[:place], *more[place + 1 :]]
    pair = f"{name},{then},{0 if OPS[then].commutative else place}"
    address, out = INSTRUCTIONS.get((pair, (dtype,) * len(given)), (0, ""))
    return (Step(address, None, (), out), given) if address else None


def _plain(step: Placed) -> tuple[str, list[int], str] | None:
    """The op's name of a step of one dtype, its inputs, and the dtype. A square is a product."""
    name, dtypes = _NAMES.get(step[0].address, ("", ()))
    if name not in OPS or len(set(dtypes)) != 1:
        return None
    return ("mul", step[1] * 2, dtypes[0]) if name == "square" else (name, step[1], dtypes[0])
