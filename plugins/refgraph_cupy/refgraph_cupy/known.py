"""Small arrays whose values the host knows: lengths and positions, and what is computed of them.

A kernel answers arrays in memory of the device. But many ops want numbers on the host: the lengths that an array is
reshaped to, the bounds of a slice. To fetch them from the device is to wait for all that it has to do. So what is only
a length never goes there: the kernels of Shape and its like answer a `Known`, an integer that a function is given comes
as one, and a node all of whose inputs are such is run by the interpreter, there and then. What another kernel reads of
it is uploaded when it is first read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgraph.backend import Apply, Fused, GraphOp, Plan, TensorType
from refgraph_cupy.device import Array, current
from refgraph_cupy.layout import size

MOST = 64
"""Elements that such an array has at most."""


class Known(np.ndarray[Any, Any]):
    """An array on the host that goes where arrays of the device go."""

    _there: Array | None = None

    def there(self) -> Array:
        """The same on the device."""
        if self._there is None:
            self._there = current().upload(np.asarray(self))
        return self._there

    def look(self) -> np.ndarray[Any, Any]:
        """The numbers, as an array of NumPy's."""
        return np.array(self, subok=False)


class Given(Known):
    """Numbers that are another's in another call: an integer that a recorded call was given, or what is made of such.

    They are read on the device, as all else; or on the host, and then what was recorded is true of the very integers
    that they come from, `sources`, only.
    """

    sources: frozenset[int]
    make: Callable[[], Array]
    read: set[int]

    def there(self) -> Array:
        if self._there is None:
            self._there = self.make()
        return self._there

    def look(self) -> np.ndarray[Any, Any]:
        self.read |= self.sources
        return super().look()

    @property
    def is_fixed(self) -> bool:
        """Whether they are the same in all calls that what was recorded is true of."""
        return self.sources <= self.read


def known(value: Any, dtype: Any = None) -> Known:
    """A copy of a few numbers, which nobody writes into."""
    array = np.array(value, dtype, order="C").view(Known)
    array.flags.writeable = False
    return array


def given(value: Any, sources: frozenset[int], make: Callable[[], Array], read: set[int]) -> Given:
    """The same of what is given. make: puts it on the device. read: the sources that the host has looked at."""
    array = known(value).view(Given)
    array.sources, array.make, array.read = sources, make, read
    return array


def values(array: Array) -> np.ndarray[Any, Any]:
    """The elements as an array of NumPy's; where the host does not know them, it waits for the device."""
    return array.look() if isinstance(array, Known) else current().download(array)


def is_small(node: Apply) -> bool:
    """Whether the interpreter may run a node whose inputs are all known: what comes out is a few numbers."""
    if not node.inputs or (isinstance(node.op, GraphOp) and not isinstance(node.op, Fused)):
        return False
    return all([isinstance(out.type, TensorType) and _is_few(out.type.shape) for out in node.outputs])


def _is_few(shape: Sequence[int | None]) -> bool:
    lengths = [n for n in shape if n is not None]
    return len(lengths) == len(shape) and size(lengths) <= MOST


class Placed:
    """A kernel that is given each input where it wants it: those numbered in `read` on the host."""

    def __init__(self, node: Apply, kernel: Any, read: Sequence[int]) -> None:
        self._node, self._kernel, self._read = node, kernel, frozenset(read)
        self._is_small = is_small(node)
        self._impl: Any = None

    def __call__(self, *arrays: Array) -> Any:
        if not self._is_small or not all([isinstance(a, Known) for a in arrays]):
            return self._there(arrays)
        found = self._interpreted(arrays)
        if changing := [a for a in arrays if isinstance(a, Given)]:
            found = self._given(found, arrays, changing)
        return found[0] if len(found) == 1 else tuple(found)

    def _there(self, arrays: Sequence[Array]) -> Any:
        """By the kernel, on the device."""
        found = []
        for i, a in enumerate(arrays):
            if i in self._read:
                a = values(a)
            elif isinstance(a, Known):
                a = a.there()
            found.append(a)
        return self._kernel(*found)

    def _interpreted(self, arrays: Sequence[Known]) -> list[Known]:
        """By the interpreter, here."""
        node = self._node
        if self._impl is None:
            self._impl = node.op.bind(node, lambda graph: Plan(graph).run)
        with np.errstate(all="ignore"):
            found = self._impl(*[np.array(a, subok=False) for a in arrays])
        dtypes = [out.type.dtype for out in node.outputs]  # type: ignore[attr-defined]  # tensors
        return [known(v, d) for v, d in zip([found] if len(dtypes) == 1 else found, dtypes, strict=True)]

    def _given(self, found: Sequence[Known], arrays: Sequence[Known], changing: Sequence[Given]) -> list[Known]:
        """What is here, and is made there by the kernel when another first reads it, in other calls anew."""
        made: list[Array] = []

        def make(n: int) -> Array:
            if not made:
                results = self._there(arrays)
                made.extend([results] if len(found) == 1 else results)
            return made[n].there() if isinstance(made[n], Known) else made[n]

        sources = frozenset().union(*[a.sources for a in changing])
        return [given(v, sources, lambda n=n: make(n), changing[0].read) for n, v in enumerate(found)]  # type: ignore[misc]
