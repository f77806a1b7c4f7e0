"""New values of states that are written into the memory of the old ones, after all else in a call is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgraph.core.op import Op
from refgraph.interp.shared import Container, commit

LARGE = 1 << 19
"""Bytes below which an array is replaced: overwriting a shared value takes care, and copying less takes no longer."""


class Postponed:
    """A new value of a state, not computed yet: what to call on which inputs. Input `number` is the old value."""

    __slots__ = ("arrays", "kernel", "number")

    def __init__(self, kernel: Callable[..., Any], arrays: tuple[Any, ...], number: int) -> None:
        self.kernel, self.arrays, self.number = kernel, arrays, number

    def fresh(self) -> Any:
        """The new value in memory of its own."""
        return self.kernel(*self.arrays)

    def written(self) -> Any:
        """The new value in the memory of the old one."""
        return self.kernel(*self.arrays, out=self.arrays[self.number])


def postponing(op: Op, kernel: Callable[..., Any], number: int, mine: Sequence[int]) -> Callable[..., Any]:
    """A kernel that answers `Postponed` where the old value, input `number`, is large and surely can be overwritten.

    mine: numbers of inputs that are freed after this node, unless it is postponed: they must not take more memory than
    a copy of the old value would.
    """

    def run(*arrays: Any) -> Any:
        old = arrays[number]
        if old.nbytes < LARGE or not _is_whole(old) or sum([arrays[i].nbytes for i in mine]) > old.nbytes:
            return kernel(*arrays)
        return Postponed(kernel, arrays, number) if op.is_safe(old, *arrays) else kernel(*arrays)

    return run


def _is_whole(array: Any) -> bool:
    """Whether it is an array that owns its memory and fills it."""
    flags = array.flags
    return array.__class__ is np.ndarray and bool(flags.owndata and flags.writeable and flags.forc)


def make_updates(containers: Sequence[Container], news: Sequence[Any]) -> None:
    """Make `news` the values of the containers, all at one moment; for those who hold the locks of the containers.

    What is postponed is written into the array that the container holds, when it is the one that was read and nobody
    else holds it; else it is computed in an array of its own. What raises, raises before anything is overwritten.
    """
    late = [(c, new) for c, new in zip(containers, news, strict=True) if new.__class__ is Postponed]
    locks = [c.writing for c in sorted({c for c, _ in late}, key=lambda c: c.serial)]
    held = 0
    try:
        for lock in locks:
            lock.acquire()
            held += 1
        with commit:
            taken = {id(new) for c, new in late if c.take(new.arrays, new.number)}
        values = [new.fresh() if new.__class__ is Postponed and id(new) not in taken else new for new in news]
        values = [new.written() if new.__class__ is Postponed else new for new in values]
        with commit:
            for c, value in zip(containers, values, strict=True):
                c.put(value)
    finally:
        if held == len(locks):
            with commit:
                for c, _ in late:
                    c.give_back()
        for lock in locks[:held]:
            lock.release()
