"""What kind of value a variable stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refgraph.core.errors import GraphTypeError

if TYPE_CHECKING:
    from refgraph.core.graph import Apply, Constant, Variable


def label(name: Any) -> str | None:
    """`name` as a user gave it for a variable: a string, or None. Raises GraphTypeError."""
    if name is None or isinstance(name, str):
        return name
    raise GraphTypeError(
        f"a name is a string or None, got {name!r:.60} ({type(name).__name__})",
        help='as in T.vector("x"); a length goes into the type: T.tensor("x", shape=(3,))',
    )


class Type:
    """A set of values, and how to make a variable that stands for one of them.

    A new kind of value subclasses this and says `filter`; `variable` when its variables have methods of their own.
    """

    def variable(self, owner: Apply | None = None, index: int | None = None, name: str | None = None) -> Variable:
        """A fresh variable of this type."""
        from refgraph.core.graph import Variable

        return Variable(self, owner, index, name)

    def constant(self, value: Any, name: str | None = None) -> Constant:
        """A constant of this type; `value` must be valid already."""
        from refgraph.core.graph import Constant

        return Constant(self, value, name)

    def __call__(self, name: str | None = None) -> Any:
        return self.variable(name=label(name))

    def make_variable(self, name: str | None = None) -> Any:
        """Theano's name for calling the type."""
        return self(name)

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """`value` as a value of this type, or TypeError. `strict` forbids any conversion."""
        return value

    def is_valid_value(self, value: Any) -> bool:
        """Whether `value` needs no conversion."""
        try:
            self.filter(value, strict=True)
        except (TypeError, ValueError):
            return False
        return True

    def filter_variable(self, other: Any) -> Variable:
        """`other` as a variable of this type, or TypeError."""
        if other.type == self:
            return other  # type: ignore[no-any-return]  # any variable, or it has no type and raises
        raise TypeError(f"cannot use a {other.type} where a {self} is needed")

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return type(self).__name__


class Generic(Type):
    """Any Python object at all."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class DisconnectedType(Generic):
    """The type of the gradient with respect to something the cost does not depend on."""


class NullType(Type):
    """The type of a gradient that does not exist or is not written; asking for its value raises, saying why."""

    def __init__(self, why: str = "") -> None:
        self.why = why

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        raise TypeError(f"there is no value here: {self.why}")


generic = Generic()
