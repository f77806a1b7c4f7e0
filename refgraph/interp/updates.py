"""OrderedUpdates: updates of shared variables, which say at once what cannot be one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from refgraph.core.errors import UpdateError
from refgraph.interp.shared import SharedVariable


class OrderedUpdates(OrderedDict[SharedVariable, Any]):
    """New values by shared variable, in order; what `function` takes as `updates`.

    Raises UpdateError for a key that is no shared variable, and where two mappings that are joined, by `update` or
    `+`, have different new values for one variable.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, SharedVariable):
            raise UpdateError(f"updates are of shared variables, got {key!r:.60} ({type(key).__name__})")
        super().__setitem__(key, value)

    def update(self, other: Any = (), /, **named: Any) -> None:
        """Take over the updates of another mapping, or pairs; `named` is empty, as variables are no keywords."""
        for key, value in [*(other.items() if isinstance(other, Mapping) else other), *named.items()]:
            if key in self and self[key] is not value:
                raise UpdateError(f"two updates of {key}", why=f"to {self[key]} and to {value}", inputs=[key])
            self[key] = value

    def __add__(self, other: Mapping[SharedVariable, Any]) -> OrderedUpdates:
        """Both together."""
        both = OrderedUpdates(self)
        both.update(other)
        return both

    def __radd__(self, other: Mapping[SharedVariable, Any]) -> OrderedUpdates:
        """Both together, the other's first."""
        both = OrderedUpdates(other)
        both.update(self)
        return both
