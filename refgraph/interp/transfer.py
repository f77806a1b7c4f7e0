"""Values that are moved between NumPy and a backend with arrays of its own, and how many."""

from __future__ import annotations

from _thread import allocate_lock  # threading.Lock, without loading all of threading
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Variable
from refgraph.core.op import Op
from refgraph.core.types import Type
from refgraph.interp.backends import Backend, Kernel


class Traffic:
    """How many arrays, and bytes, all calls of a function have moved to the backend's device and back."""

    def __init__(self) -> None:
        self.to_device = self.to_numpy = self.bytes_to_device = self.bytes_to_numpy = 0
        self._lock = allocate_lock()

    def saw(self, there: bool, size: int) -> None:
        """Count an array of so many bytes, on its way there or back."""
        with self._lock:
            if there:
                self.to_device += 1
                self.bytes_to_device += size
            else:
                self.to_numpy += 1
                self.bytes_to_numpy += size

    def __repr__(self) -> str:
        there = f"{self.to_device} arrays ({self.bytes_to_device:,} bytes) to the device"
        return f"{there}, {self.to_numpy} ({self.bytes_to_numpy:,} bytes) back"


class Transfer(Op):
    """A value of a backend as one of NumPy, or the reverse. It is part of plans, not of what one writes."""

    views = (0,)

    def __init__(self, backend: Backend, there: bool, traffic: Traffic) -> None:
        self.backend, self.there, self.traffic = backend, there, traffic
        self.name = f"to_{backend.name}" if there else f"from_{backend.name}"

    def infer(self, x: Variable) -> tuple[Type, ...]:
        return (x.type,)

    def impl(self, array: Any) -> Any:
        if self.there:
            array = np.asarray(array)
            self.traffic.saw(True, array.nbytes)
            return self.backend.to_device(array)
        array = np.asarray(self.backend.to_numpy(array))
        self.traffic.saw(False, array.nbytes)
        return array


class Alone:
    """A backend's kernel as one that takes and answers NumPy's arrays, and says whose it is."""

    def __init__(self, backend: Backend, kernel: Kernel) -> None:
        self.backend, self.kernel = backend, kernel

    def __call__(self, *arrays: Any) -> Any:
        return self.kernel(*arrays)


class Carried(Alone):
    """The same, of a backend with arrays of its own."""

    def __init__(self, backend: Backend, kernel: Kernel, node: Apply, traffic: Traffic) -> None:
        super().__init__(backend, kernel)
        self._in, self._out = (Transfer(backend, there, traffic).impl for there in (True, False))
        self._several = len(node.outputs) > 1

    def __call__(self, *arrays: Any) -> Any:
        results = self.kernel(*[self._in(a) for a in arrays])
        return tuple([self._out(a) for a in results]) if self._several else self._out(results)
