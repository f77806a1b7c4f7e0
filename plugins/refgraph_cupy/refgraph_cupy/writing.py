"""Texts of kernels: their names, and how many threads run them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from refgraph_cupy.device import Device, Kernel

NDIM = 16
"""Axes that kernels go through at most: an array may have an axis more for each of its own."""
THREADS = 256


def named(words: Iterable[str], text: str) -> str:
    """A name for a kernel: what it does, and a number that is its text's."""
    said = "_".join(dict.fromkeys(["".join([c if c.isalnum() else "_" for c in w]).strip("_") for w in words]))
    return f"{said[:60]}_{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@cache
def written(word: str, body: str) -> Kernel:
    """The kernel of this text, in which its name is KERNEL."""
    name = named([word], body)
    return Kernel(name, body.replace("KERNEL", name))


def run(device: Device, kernel: Kernel, n: int, arguments: Sequence[int]) -> None:
    """Launch a kernel that has a thread for each of n elements."""
    if n:
        device.launch(kernel, (-(-n // THREADS), 1, 1), (THREADS, 1, 1), np.array(arguments, np.int64))


def index(n: int) -> str:
    """The dtype in which a kernel counts n elements."""
    return "uint32" if n < 2**31 else "int64"


def padded(numbers: Sequence[int]) -> list[int]:
    """Numbers for a kernel's struct, which has a place for each axis."""
    if len(numbers) > NDIM:
        raise ValueError(f"more than {NDIM} axes")
    return [*numbers, *[0] * (NDIM - len(numbers))]
