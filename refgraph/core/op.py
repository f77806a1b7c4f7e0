"""What an op must say about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Apply, Graph

if TYPE_CHECKING:
    from refgraph.core.types import Type

Compile = Callable[[Graph], Callable[..., Sequence[Any]]]
"""Turns a graph into a callable from its inputs' arrays to the list of its outputs' arrays."""

Derivatives = Sequence[Any]
"""One entry a variable: a Variable; `0`, connected and identically zero; `None`, not connected.

An entry that a `vjp` answers may also be a function of no arguments that makes one, called only when somebody wants it.
"""


def is_zero(derivative: Any) -> bool:
    """Whether an entry is the `0` that stands for connected and identically zero."""
    return derivative.__class__ is int and derivative == 0


class Sample(NamedTuple):
    """A use of an op for the suites: `build` of variables made from `inputs` must give `expect` of the arrays.

    `differentiable` says which inputs to differentiate by; None means every input of real or complex dtype.
    """

    id: str
    build: Callable[..., Any]
    inputs: tuple[Any, ...]
    expect: Callable[..., Any] | None = None
    differentiable: tuple[int, ...] | None = None


class BadSample(NamedTuple):
    """A use that the op must refuse: `build` of variables made from `inputs` raises `error`, mentioning `says`."""

    id: str
    build: Callable[..., Any]
    inputs: tuple[Any, ...]
    error: type[Exception]
    says: str = ""


class Op:
    """A pure function from arrays to arrays, with a type rule and a derivative.

    Two ops are equal when their class and the attributes named in `__props__` are.
    """

    __props__: ClassVar[tuple[str, ...]] = ()
    name: str = ""
    views: tuple[int, ...] = ()
    """Numbers of the inputs whose memory an output may share. All others must be left alone and not aliased."""

    def infer(self, *inputs: Any) -> tuple[Type, ...]:
        """Output types for input variables; raise GraphTypeError or ShapeError when the op does not accept them."""
        raise NotImplementedError(f"{type(self).__name__} says neither `infer` nor `make_node`")

    def impl(self, *arrays: Any) -> Any:
        """The meaning, in NumPy: an array, or a tuple of arrays when the op has several outputs.

        Inputs are arrays or, for 0-d, possibly NumPy scalars. Backends are right when they agree with this.
        """
        raise NotImplementedError(f"{type(self).__name__} says no `impl`")

    def vjp(self, node: Apply, cotangents: Derivatives) -> Derivatives:
        """Cotangents of the inputs as graphs, given those of the outputs (vector-Jacobian product)."""
        return (None,) * len(node.inputs)

    jvp: Callable[[Apply, Derivatives], Derivatives] | None = None
    """Tangents of the outputs, given those of the inputs; left None, it is derived from `vjp`."""

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        """`impl` for this very node. Ops that run inner graphs, or need their node, say it here."""
        return self.impl

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Uses for the suites to try: values, types, derivatives."""
        return iter(())

    @classmethod
    def bad_samples(cls) -> Iterator[BadSample]:
        """Uses that must be refused."""
        return iter(())

    def make_node(self, *inputs: Any) -> Apply:
        """An application of this op."""
        return Apply(self, inputs, [t.variable() for t in self.infer(*inputs)])

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output of an application, or the list of its outputs."""
        outputs = self.make_node(*inputs, **kwargs).outputs
        return outputs[0] if len(outputs) == 1 else list(outputs)

    def _identity(self) -> tuple[Any, ...]:
        return (type(self), *(getattr(self, p) for p in self.__props__))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and bool(self.__props__) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity()) if self.__props__ else id(self)

    def __repr__(self) -> str:
        """The name, and the parameters that are not off."""
        props = ", ".join(self.parameters())
        return f"{self.name or type(self).__name__}{{{props}}}" if props else self.name or type(self).__name__

    def parameters(self) -> Iterator[str]:
        """What tells this op from others of its class, as one writes keyword arguments; None and False are left out."""
        for p in self.__props__:
            value = getattr(self, p)
            if p != "name" and value is not None and value is not False:
                yield f"{p}={value!r}"


class GraphOp(Op):
    """An op that holds closed graphs. It is handed what it needs: a compiler by whoever runs it (`bind`), derivatives
    of graphs by whoever differentiates it. So loops and calls stay in the vocabulary, below the floors that serve them.
    """

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs inside, for printing and rewriting."""
        return ()

    def vjp_through(self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]]) -> Derivatives:
        """As `vjp`, with `pullback(outputs, cotangents, wrt)` to differentiate inner expressions in reverse mode."""
        return (None,) * len(node.inputs)

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        """As `jvp`, with `pushforward(outputs, wrt, tangents)` to differentiate inner expressions in forward mode."""
        return (None,) * len(node.outputs)


OPS: dict[str, Any] = {}
"""Every op of the vocabulary by name: rows of the tables, and classes for what a row cannot say."""

AnyOp = TypeVar("AnyOp")


def declare(op: AnyOp) -> AnyOp:
    """Make an op or an op class known to the suites and the docs."""
    name = op.__name__ if isinstance(op, type) else op.name  # type: ignore[attr-defined]
    if name in OPS:
        raise RefgraphError(f"op {name!r} is declared twice")
    OPS[name] = op
    return op
