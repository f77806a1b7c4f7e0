"""What kernels find wrong while they run, such as a position outside its axis.

A kernel that finds something wrong goes on with what is harmless, and writes 1 to a flag in memory of the device, which
is read after the launch. That waits for the device; so kernels whose positions the host can vouch for take none.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from refgraph_cupy.device import Array, Device

_of_thread = threading.local()


def flag(device: Device) -> Array:
    """The flag of this thread: an int32, which is 0."""
    flags: dict[Any, Array] = _of_thread.__dict__.setdefault("flags", {})
    found = flags.get(device)
    if found is None:
        found = flags[device] = device.upload(np.zeros(1, np.int32))
    return found


def check(device: Device, error: Exception) -> None:
    """Raise the error if a kernel has set the flag of this thread since it was last looked at."""
    if device.download(flag(device))[0]:
        del _of_thread.flags[device]
        raise error
