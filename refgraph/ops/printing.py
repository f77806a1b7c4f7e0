"""Print: see a value while a function runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refgraph.core.op import Sample, declare
from refgraph.ops.gradient import PassThrough
from refgraph.ops.tensor import TensorVariable, as_tensor


def _print_attributes(op: Print, value: Any) -> None:
    """A line for each attribute: the message, the attribute, and what it is, or answers when it is a method."""
    for name in op.attrs:
        found = getattr(value, name)
        print(op.message, name, "=", found() if callable(found) else found)


@declare
class Print(PassThrough):
    """The input itself, which it prints when it is computed: `Print("x is")(x)`, `Print(attrs=["shape", "min"])(x)`.

    message: what to print first. attrs: attributes and methods of the array to print. global_fn(op, value): what to do
    instead of printing. Nothing is printed where the result of the call is not used: it is an op as any other.
    """

    name = "print"
    keeps = True  # `global_fn` may
    __props__ = ("message", "attrs", "global_fn")

    def __init__(
        self,
        message: str = "",
        attrs: Sequence[str] = ("__str__",),
        global_fn: Callable[[Any, Any], None] = _print_attributes,
    ) -> None:
        self.message, self.attrs, self.global_fn = message, tuple(attrs), global_fn

    def __call__(self, x: Any) -> TensorVariable:
        out: TensorVariable = super().__call__(as_tensor(x))
        return out

    def impl(self, x: Any) -> Any:
        self.global_fn(self, np.asarray(x))
        return x

    def back(self, g: Any) -> Any:
        return g

    def parameters(self) -> Iterator[str]:
        yield repr(self.message)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        quiet = cls("x", global_fn=_silent)
        for x in (np.array([-2.0, 0.5]), np.float32(1.5), np.array([[True, False]])):
            yield Sample(f"{np.asarray(x).dtype}", quiet, (np.asarray(x),), lambda x: x)


def _silent(op: Print, value: Any) -> None:
    """Print nothing."""
