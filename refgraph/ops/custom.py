"""Ops that users write: in this library's words (`infer`, `impl`, `vjp`), in Theano's, or as a plain function.

`Op` takes both. In Theano's words an op says `make_node(*inputs)`, or `itypes` and `otypes`; `perform(node, inputs,
output_storage)`; and as much as it likes of `grad` or `L_op`, `R_op`, `connection_pattern`, `view_map`, `destroy_map`,
`default_output`, `__props__`. What serves Theano's compiler alone (`infer_shape`, `c_code`) may be there, and is not
called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Variable
from refgraph.core.op import Compile, Derivatives
from refgraph.core.op import Op as CoreOp
from refgraph.core.types import DisconnectedType, NullType, Type
from refgraph.ops.linear import same_kind, zeros_for
from refgraph.ops.tensor import TensorVariable, as_tensor


class Op(CoreOp):
    """Base of ops that users define; see the module for the two ways, and `as_op` for a shorter one."""

    itypes: Sequence[Type] | None = None
    """Types of the inputs, for ops that say no `make_node`."""
    otypes: Sequence[Type] | None = None
    """Types of the outputs, likewise."""
    view_map: Mapping[int, Sequence[int]] = {}
    """For each output that may share memory with inputs, their numbers."""
    destroy_map: Mapping[int, Sequence[int]] = {}
    """For each output computed in the memory of inputs, their numbers: `perform` gets copies of these."""
    default_output: int | None = None
    """Number of the output that calling the op answers; None for all."""
    params_type: Any = None
    """When set, `perform` gets `self.get_params(node)` as a fourth argument."""

    _by_props = False
    perform: Any = None
    grad: Any = None
    L_op: Any = None
    R_op: Any = None
    connection_pattern: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        said = vars(cls)
        if "__props__" in said:
            cls._by_props = True
        if "jvp" not in said and "R_op" in said:  # `R_op = None` takes back what a base class says
            if cls.R_op is not None:
                cls.jvp = _jvp_of_R_op  # type: ignore[assignment]  # the same, in other words
            elif cls.jvp is _jvp_of_R_op:  # type: ignore[comparison-overlap]
                cls.jvp = None
        if "vjp" not in said and ("grad" in said or "L_op" in said):
            if cls.grad is not None or cls.L_op is not None:
                cls.vjp = _vjp_of_grad  # type: ignore[assignment, method-assign]
            elif cls.vjp is _vjp_of_grad:
                cls.vjp = Op.vjp  # type: ignore[method-assign]
        for mode in ("vjp", "jvp"):
            if callable(rule := said.get(mode)) and rule not in (_vjp_of_grad, _jvp_of_R_op, Op.vjp):
                setattr(cls, mode, _asked_when_something_flows(rule, "inputs" if mode == "vjp" else "outputs"))

    @property
    def views(self) -> tuple[int, ...]:
        """Numbers of the inputs whose memory an output may share; by default those that `view_map` names."""
        own: tuple[int, ...] | None = self.__dict__.get("views")
        return own if own is not None else tuple(sorted({i for inputs in self.view_map.values() for i in inputs}))

    @views.setter
    def views(self, views: tuple[int, ...]) -> None:
        self.__dict__["views"] = views

    def __eq__(self, other: object) -> bool:
        """Equal by `__props__`, where the class says them, be they empty; else only to itself."""
        return self is other or (self._by_props and type(self) is type(other) and self._identity() == other._identity())

    def __hash__(self) -> int:
        return hash(self._identity()) if self._by_props else id(self)

    def make_node(self, *inputs: Any) -> Apply:
        """An application of this op; by `infer`, or by `itypes` and `otypes`."""
        if self.itypes is None or self.otypes is None:
            return super().make_node(*[as_tensor(x) if not isinstance(x, Variable) else x for x in inputs])
        if len(inputs) != len(self.itypes):
            raise GraphTypeError(f"{self} takes {len(self.itypes)} inputs, got {len(inputs)}")
        given = [x if isinstance(x, Variable) else as_tensor(x) for x in inputs]
        for n, (x, itype) in enumerate(zip(given, self.itypes, strict=True)):
            if x.type != itype:
                given[n] = self._converted(n, x, itype)
        return Apply(self, given, [t.variable() for t in self.otypes])

    def _converted(self, n: int, x: Variable, itype: Type) -> Variable:
        try:
            return itype.filter_variable(x)
        except TypeError as error:
            raise GraphTypeError(
                f"{self}: input {n} must be {itype}, got {x} ({x.type})",
                why=getattr(error, "message", str(error)),
                inputs=[x],
            ) from None

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        return self.impl if self.perform is None else _Performed(self, node)

    def get_params(self, node: Apply) -> Any:
        """The fourth argument of `perform`, where `params_type` asks for one."""
        return self

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        """Not written: an error for whoever asks."""
        return _null_where_connected(node, cotangents, f"{self} has no grad")

    def __call__(self, *inputs: Any, return_list: bool = False, name: str | None = None, **kwargs: Any) -> Any:
        """The output of an application, or the list of its outputs; keyword arguments go to `make_node`."""
        outputs = self.make_node(*inputs, **kwargs).outputs
        chosen = outputs if self.default_output is None else [outputs[self.default_output]]
        if name is not None:
            chosen[0].name = name
        return chosen[0] if len(chosen) == 1 and not return_list else list(chosen)


class _Performed:
    """`perform` of a node as a callable of arrays: it gets copies of what it destroys, and storage to fill."""

    def __init__(self, op: Op, node: Apply) -> None:
        self.op, self.node = op, node
        self.destroyed = {i for inputs in op.destroy_map.values() for i in inputs}
        self.more = () if op.params_type is None else (op.get_params(node),)

    def __call__(self, *arrays: Any) -> Any:
        op, node = self.op, self.node
        given = [np.asarray(a) if isinstance(a, np.generic) else a for a in arrays]
        for i in self.destroyed:
            given[i] = given[i].copy()
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        op.perform(node, list(given), storage, *self.more)
        results: list[Any] = []
        for out, (value,) in zip(node.outputs, storage, strict=True):
            if value is None:
                raise ValueError(
                    f"{op}.perform left output {out.index} empty: it must set output_storage[{out.index}][0]"
                )
            allowed = {*op.views, *self.destroyed}
            others = [a for i, a in enumerate(given) if i not in allowed] + results
            results.append(_own(out.type.filter(value), others))
        return results[0] if len(results) == 1 else tuple(results)


def _own(value: Any, others: Sequence[Any]) -> Any:
    """`value`, copied when it may lie in the memory of one of the others."""
    if isinstance(value, np.ndarray) and any(
        isinstance(a, np.ndarray) and np.may_share_memory(value, a) for a in others
    ):
        return value.copy()
    return value


def _asked_when_something_flows(rule: Callable[..., Derivatives], answers: str) -> Callable[..., Derivatives]:
    """A user's vjp or jvp, which answers for a node's `answers`, spared the calls in which no entry is a variable."""

    @wraps(rule)
    def asked(self: Op, node: Apply, entries: Derivatives) -> Derivatives:
        if any(isinstance(e, Variable) for e in entries):
            return rule(self, node, entries)
        return [None if all(e is None for e in entries) else 0] * len(getattr(node, answers))

    return asked


def _vjp_of_grad(op: Any, node: Apply, cotangents: Derivatives) -> Derivatives:
    """`vjp` for an op that says `L_op` or `grad`: outputs without a cotangent count as having a cotangent of zeros."""
    flowing = [isinstance(g, Variable) for g in cotangents]
    if not any(flowing):
        return [None if all(g is None for g in cotangents) else 0] * len(node.inputs)
    gs = [g if isinstance(g, Variable) else zeros_for(out) for g, out in zip(cotangents, node.outputs, strict=True)]
    if op.L_op is not None:
        found = op.L_op(list(node.inputs), list(node.outputs), gs)
    else:
        found = op.grad(list(node.inputs), gs)
    connected = _connected(op, node, [g is not None for g in cotangents])
    return cotangents_of(f"{op}.{'grad' if op.L_op is None else 'L_op'}", node.inputs, found, connected)


def _connected(op: Any, node: Apply, live: Sequence[bool]) -> list[bool]:
    """For each input whether one of the live outputs depends on it."""
    if op.connection_pattern is None:
        return [True] * len(node.inputs)
    return [any(c and on for c, on in zip(row, live, strict=True)) for row in op.connection_pattern(node)]


def cotangents_of(who: str, inputs: Sequence[Any], found: Any, connected: Sequence[bool] | None = None) -> list[Any]:
    """What a user's gradient answered, as entries of a vjp: DisconnectedType is None, NullType stays, others are cast.

    Raises GraphTypeError when their number is wrong, or one has another rank than its input.
    """
    found = [found] if isinstance(found, Variable) else list(found)
    if len(found) != len(inputs):
        raise GraphTypeError(
            f"{who} answered {len(found)} gradients for {len(inputs)} inputs", help="one for each, in order"
        )
    entries: list[Any] = []
    for n, (x, g) in enumerate(zip(inputs, found, strict=True)):
        if (
            (connected is not None and not connected[n])
            or g is None
            or isinstance(getattr(g, "type", None), DisconnectedType)
        ):
            entries.append(None)
        elif (
            (g.__class__ is int and g == 0)
            or isinstance(getattr(g, "type", None), NullType)
            or not isinstance(x, TensorVariable)
        ):
            entries.append(g)
        else:
            g = as_tensor(g)
            if g.type.ndim != x.type.ndim:
                raise GraphTypeError(f"{who}: gradient {n} is {g.type}, but its input {x} is {x.type}", inputs=[x, g])
            entries.append(same_kind(g, x))
    return entries


def _jvp_of_R_op(op: Any, node: Apply, tangents: Derivatives) -> Derivatives:
    """`jvp` for an op that says `R_op`, where None stands for a tangent of zero."""
    points = [t if isinstance(t, Variable) else None for t in tangents]
    rest = None if all(t is None for t in tangents) else 0
    if all(t is None for t in points):
        return [rest] * len(node.outputs)
    found = op.R_op(list(node.inputs), points)
    found = [found] if isinstance(found, Variable) else list(found)
    if len(found) != len(node.outputs):
        raise GraphTypeError(f"{op}.R_op answered {len(found)} tangents for {len(node.outputs)} outputs")
    return [rest if t is None or isinstance(t.type, DisconnectedType) else t for t in found]


def _null_where_connected(node: Apply, cotangents: Derivatives, why: str) -> list[Any]:
    if not any(isinstance(g, Variable) for g in cotangents):
        return [None if all(g is None for g in cotangents) else 0] * len(node.inputs)
    return [NullType(why).variable() for _ in node.inputs]


def grad_undefined(op: CoreOp, x_pos: int, x: Variable, comment: str = "") -> Variable:
    """To answer in `grad` where no derivative exists: an error for whoever asks for it."""
    return NullType(
        f"the gradient of {op} by its input {x_pos}, {x}, is not defined{comment and f': {comment}'}"
    ).variable()


def grad_not_implemented(op: CoreOp, x_pos: int, x: Variable, comment: str = "") -> Variable:
    """To answer in `grad` where the derivative is not written: an error for whoever asks for it."""
    return NullType(
        f"the gradient of {op} by its input {x_pos}, {x}, is not written{comment and f': {comment}'}"
    ).variable()


class FromFunctionOp(Op):
    """An op whose meaning is a Python function; see `as_op`."""

    __props__ = ("function", "itypes", "otypes", "gradient")

    def __init__(
        self,
        function: Callable[..., Any],
        itypes: Sequence[Type],
        otypes: Sequence[Type],
        infer_shape: Callable[..., Any] | None = None,
        grad: Callable[..., Any] | None = None,
    ) -> None:
        self.function, self.itypes, self.otypes = function, tuple(itypes), tuple(otypes)
        self.name = getattr(function, "__name__", "function")
        self.infer_shape = infer_shape
        self.gradient = grad
        self.__doc__ = function.__doc__

    def _global_name(self) -> tuple[str, str] | None:
        """That of the function, where `as_op` decorates it: then the name is this op."""
        module, name = getattr(self.function, "__module__", None), getattr(self.function, "__qualname__", "")
        return (module, name) if module in sys.modules and vars(sys.modules[module]).get(name) is self else None

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        results = self.function(*inputs)
        if len(node.outputs) == 1:
            results = (results,)
        elif not isinstance(results, (tuple, list)) or len(results) != len(node.outputs):
            raise ValueError(f"{self.name} must answer a tuple of {len(node.outputs)} arrays, got {results!r:.60}")
        for cell, value in zip(output_storage, results, strict=True):
            cell[0] = value

    def grad(self, inputs: list[Variable], output_grads: list[Variable]) -> Any:
        if self.gradient is None:
            return [grad_not_implemented(self, n, x, "as_op was given no grad=") for n, x in enumerate(inputs)]
        return self.gradient(inputs, output_grads)

    def parameters(self) -> Iterator[str]:
        """None: its name says it."""
        return iter(())


def as_op(
    itypes: Type | Sequence[Type],
    otypes: Type | Sequence[Type],
    infer_shape: Callable[..., Any] | None = None,
    grad: Callable[[list[Any], list[Any]], Any] | None = None,
) -> Callable[[Callable[..., Any]], FromFunctionOp]:
    """Decorator: a function of arrays as an op of variables.

    itypes, otypes: types of the inputs and outputs, as `T.dmatrix`; a single one need not be in a list. The function
    gets arrays, which it must not write to, and answers an array, or a tuple of them when there are several outputs.
    grad(inputs, output_grads): the gradients of the inputs as expressions; without it, asking for one raises
    NullTypeGradError. infer_shape is accepted as Theano's and not called.
    """
    ins = [itypes] if isinstance(itypes, Type) else list(itypes)
    outs = [otypes] if isinstance(otypes, Type) else list(otypes)
    for t in (*ins, *outs):
        if not isinstance(t, Type):
            raise GraphTypeError(
                f"as_op takes types, got {t!r:.60} ({type(t).__name__})",
                help="for example T.dmatrix, or TensorType(...)",
            )
    return lambda function: FromFunctionOp(function, ins, outs, infer_shape, grad)
