"""What a function is told about its inputs and outputs beyond the variables: In and Out."""

from __future__ import annotations

from typing import Any

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Variable
from refgraph.interp.shared import Container, SharedVariable, copied
from refgraph.ops.tensor import as_tensor


class In:
    """An input of a function.

    variable: what is given.
    name: how keyword arguments call it; by default the variable's name.
    value: its default, or a Container or shared variable that holds one.
    update: an expression for the value that it has in the next call.
    borrow: outputs may share memory with the argument.
    strict: no conversion of arguments.
    allow_downcast: conversion with loss; None: only of a Python float to floatX.
    implicit: not an argument at all, only a state; by default when `value` is a Container or a shared variable.
    mutable, autoname: accepted as Theano's; arguments are never written to.
    """

    def __init__(
        self,
        variable: Variable,
        name: str | None = None,
        value: Any = None,
        update: Any = None,
        mutable: bool | None = None,
        borrow: bool | None = None,
        strict: bool = False,
        allow_downcast: bool | None = None,
        autoname: bool = True,
        implicit: bool | None = None,
        shared: bool = False,
    ) -> None:
        if not isinstance(variable, Variable):
            raise GraphTypeError(f"an input must be a variable, got {variable!r} ({type(variable).__name__})")
        held = value.container if isinstance(value, SharedVariable) else value
        self.variable = variable
        self.name = name if name is not None or not autoname else variable.name
        self.update = update
        self.mutable = bool(mutable)
        self.borrow = self.mutable if borrow is None else borrow
        self.strict, self.allow_downcast, self.autoname = strict, allow_downcast, autoname
        self.implicit = isinstance(held, Container) if implicit is None else implicit
        self.shared = shared
        self.container: Container | None = held if isinstance(held, Container) else None
        self.private = self.container is None  # a default that is given by value belongs to one function
        if value is not None and self.container is None:
            held = variable.type.filter(value, strict=strict, allow_downcast=allow_downcast)
            held = copied(held) if held is value and not self.borrow else held
            self.container = Container(variable.type, held, self.name, strict=strict, allow_downcast=allow_downcast)
        self.value = value

    @classmethod
    def of(cls, given: Any) -> In:
        """An In from itself, a variable, (variable, default), (variable, update) or ((variable, update), default)."""
        if isinstance(given, In):
            return given
        if isinstance(given, (list, tuple)):
            if len(given) == 2 and isinstance(given[0], (list, tuple)) and len(given[0]) == 2:
                (variable, update), value = given
                return cls(variable, value=value, update=update)
            if len(given) == 2 and isinstance(given[1], Variable):
                return cls(given[0], update=given[1])
            if len(given) == 2:
                return cls(given[0], value=given[1])
            raise GraphTypeError(f"an input may be (variable, default), got {given!r}", help="use In(variable, ...)")
        return cls(given)

    def __repr__(self) -> str:
        return f"In({self.variable})"


class Out:
    """An output of a function; with `borrow` it may share memory with what the function or its caller keeps."""

    def __init__(self, variable: Any, borrow: bool = False) -> None:
        self.variable: Variable = variable if isinstance(variable, Variable) else _as_output(variable)
        self.borrow = borrow

    @classmethod
    def of(cls, given: Any) -> Out:
        return given if isinstance(given, Out) else cls(given)

    def __repr__(self) -> str:
        return f"Out({self.variable})"


def _as_output(given: Any) -> Variable:
    try:
        return as_tensor(given)
    except TypeError as error:
        raise GraphTypeError(
            f"an output must be a variable, a number or an array, got {given!r:.60} ({type(given).__name__})",
            why=getattr(error, "message", str(error)),
        ) from None
