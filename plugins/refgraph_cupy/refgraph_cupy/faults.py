"""What kernels find wrong while they run, such as a position outside its axis.

A kernel that finds something wrong goes on with what is harmless, and writes 1 to a flag in memory of the device, which
is read after the launch. That waits for the device; so kernels whose positions the host can vouch for take none.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

Array = Any


class Faults:
    """A device's flags: one for each thread."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def flag(self) -> Array:
        """The flag of this thread: an int32, which is 0."""
        device: Any = self
        found = self._of_thread.__dict__.get("flag")
        if found is None:
            found = self._of_thread.flag = device.upload(np.zeros(1, np.int32))
        return found

    def check(self, error: Exception) -> None:
        """Raise the error if a kernel has set the flag of this thread since it was last looked at."""
        device: Any = self
        if device.download(self.flag())[0]:
            del self._of_thread.flag
            raise error
