"""STUB until the shape helper's file arrives."""
from typing import Any


class Lengths:
    def of(self, x: Any) -> tuple[Any, ...]:
        return tuple(d if d is not None else (x, i) for i, d in enumerate(x.type.shape))
    def expression(self, entry: Any) -> Any:
        return entry if isinstance(entry, int) else None
