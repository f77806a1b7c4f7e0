"""Small arrays whose values the host knows: lengths and positions, and what is computed of them.

A kernel answers arrays in memory of the device. But many ops want numbers on the host: the lengths that an array is
reshaped to, the bounds of a slice. To fetch them from the device is to wait for all that it has to do. So what is only
a length never goes there: the kernels of Shape and its like answer a `Known`, an integer that a function is given comes
as one, and a node all of whose inputs are such is run by the interpreter, there and then. What another kernel reads of
it is uploaded when it is first read.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def known(value: Any, dtype: Any = None) -> Known:
    """A copy of a few numbers, which nobody writes into."""
    array = np.array(value, dtype, order="C").view(Known)
    array.flags.writeable = False
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
        self._kernel, self._read = kernel, frozenset(read)
        self._impl = node.op.bind(node, lambda graph: Plan(graph).run) if is_small(node) else None
        self._dtypes: list[Any] = [out.type.dtype for out in node.outputs] if self._impl else []  # type: ignore[attr-defined]

    def __call__(self, *arrays: Array) -> Any:
        if self._impl is not None and all([isinstance(a, Known) for a in arrays]):
            return self._interpreted(arrays)
        given = []
        for i, a in enumerate(arrays):
            if i in self._read:
                a = values(a)
            elif isinstance(a, Known):
                a = a.there()
            given.append(a)
        return self._kernel(*given)

    def _interpreted(self, arrays: Sequence[Known]) -> Any:
        assert self._impl is not None
        with np.errstate(all="ignore"):
            found = self._impl(*[a.look() for a in arrays])
        if len(self._dtypes) == 1:
            return known(found, self._dtypes[0])
        return tuple([known(v, d) for v, d in zip(found, self._dtypes, strict=True)])
