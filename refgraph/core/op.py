"""What an op must say about itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import reduce
from importlib import import_module
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from refgraph.core.errors import GraphTypeError, PickleError, RefgraphError
from refgraph.core.graph import Apply, Graph
from refgraph.core.origin import defined

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


class Sample:  # no NamedTuple: making one costs eight plain classes at import
    """A use of an op for the suites: `build` of variables made from `inputs` must give `expect` of the arrays.

    `differentiable` says which inputs to differentiate by; None means every input of real or complex dtype.
    """

    __slots__ = ("build", "differentiable", "expect", "id", "inputs")

    def __init__(
        self,
        id: str,
        build: Callable[..., Any],
        inputs: tuple[Any, ...],
        expect: Callable[..., Any] | None = None,
        differentiable: tuple[int, ...] | None = None,
    ) -> None:
        self.id, self.build, self.inputs = id, build, inputs
        self.expect, self.differentiable = expect, differentiable


class BadSample:
    """A use that the op must refuse: `build` of variables made from `inputs` raises `error`, mentioning `says`."""

    __slots__ = ("build", "error", "id", "inputs", "says")

    def __init__(
        self,
        id: str,
        build: Callable[..., Any],
        inputs: tuple[Any, ...],
        error: type[Exception],
        says: str = "",
    ) -> None:
        self.id, self.build, self.inputs, self.error, self.says = id, build, inputs, error, says


class Op:
    """A pure function from arrays to arrays, with a type rule and a derivative.

    Two ops are equal when their class and the attributes named in `__props__` are.
    """

    __props__: ClassVar[tuple[str, ...]] = ()
    name: str = ""
    views: tuple[int, ...] = ()
    """Numbers of the inputs whose memory an output may share. All others must be left alone and not aliased."""
    measures: tuple[int, ...] = ()
    """Numbers of the inputs of which only the shape is read."""
    commutative: bool = False
    """Whether the order of the inputs, which are two, changes nothing."""
    lazy: bool = False
    """Whether it is a GraphOp that runs one of its graphs, as its first input says; each graph takes all of the other
    inputs. What only one of them needs is then moved into it, to run and to differentiate (`refgraph.core.lazy`)."""
    keeps: bool = False
    """Whether arrays that it is given, or answers, may be kept by somebody beyond the call, so that nothing is written
    into them afterwards. Of ops that are not declared this is assumed."""

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

    def lengths(self, node: Apply, known: Any) -> Sequence[Any] | None:
        """What the lengths of the outputs have to do with those of the inputs; None where nothing is known.

        For each output None, or for each of its axes a length: an int, or what `known` answers, which is a
        refgraph.rewrite.lengths.Lengths: `known.of(x)` has the lengths of an input, `known.number(n)` the one that a
        0-d integer input is, `known.broadcast(inputs)` those of inputs broadcast together, `known.joined(*shapes)` of
        lengths broadcast together, `known.sum(n, m)` a sum; `known.filled(shape, numbers)` has the lengths of a shape
        that the op holds, and `known.inside(graph, inputs)` what a graph makes of those of its inputs. None stands for
        one of which nothing is known, and what the types of the outputs say need not be said again.
        """
        return None

    def bind(self, node: Apply, compile: Compile) -> Callable[..., Any]:
        """`impl` for this very node. Ops that run inner graphs, or need their node, say it here."""
        return self.impl

    def reuses(self, node: Apply) -> tuple[int, ...]:
        """Numbers of the inputs in whose memory the output may be computed, for an op that has one output.

        To take part: (1) name those inputs here; (2) let the kernel, what `bind` answers, take `out=`, the very array
        given as one of them, and answer `out` itself where it has written into it, else an array of its own, as when
        `out` does not fit; (3) let all that it raises be raised before it writes. `out` has the output's dtype and rank
        and is needed by nobody else. No other input lies in its memory, unless it is the same variable.
        """
        return ()

    def is_safe(self, out: Any, *arrays: Any) -> bool:
        """Whether the kernel is sure to write into `out` when it is given that and these inputs, and to raise nothing.

        Asked before the value of a shared variable is overwritten: a call's updates must not fail halfway.
        """
        return False

    def batched(self, node: Apply, batch: Any) -> Sequence[Any] | None:
        """The outputs of `node` for many items at once, in our own ops; None where the op has no form for that, and is
        to be looped over the items.

        batch: the inputs (a `refgraph.ops.batching.Batch`). Some of them have one more axis, the first, along which
        the items lie; so has an output, unless it has the rank that it has in `node`: then it is the same for each.
        """
        return None

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

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: by name where it is declared, or the value of a global name; else by class and attributes.

        So a declared op, and one without parameters that is made once in a module, is itself again when it is loaded.
        Raises PickleError where the class, or a function among the attributes, has no global name.
        """
        if OPS.get(self.name) is self:
            return declared, (self.name,)
        where = self._global_name()
        if where is not None:
            return _named, where
        if not self._reduces_itself():
            _refuse_nameless(self)
        return super().__reduce_ex__(2)

    def _global_name(self) -> tuple[str, str] | None:
        """Module and name under which an op without parameters is kept."""
        if self.__props__ or vars(self):
            return None
        module = type(self).__module__
        found = [name for name, value in vars(sys.modules[module]).items() if value is self]
        return (module, found[0]) if found else None

    def _reduces_itself(self) -> bool:
        """Whether the class says itself what to pickle."""
        return type(self).__reduce__ is not object.__reduce__ or type(self).__getstate__ is not object.__getstate__

    def __copy__(self) -> Op:
        """Another op of the same class and attributes."""
        fresh = object.__new__(type(self))
        fresh.__dict__.update(self.__dict__)
        return fresh

    def __deepcopy__(self, memo: Any) -> Op:
        """Itself, as pickle has it, where it has a global name; else an op whose attributes are copies."""
        if OPS.get(self.name) is self or self._global_name() is not None:
            return self
        memo[id(self)] = fresh = object.__new__(type(self))
        fresh.__dict__.update(deepcopy(self.__dict__, memo))
        return fresh

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

    def with_graphs(self, graphs: Sequence[Graph]) -> GraphOp:
        """This op with other graphs inside, of the same types: what rewriting the inside makes. Raises GraphTypeError.

        Of a lazy op, the graphs may have other inputs and outputs, as long as all have the same.
        """
        raise NotImplementedError(f"{type(self).__name__} says no `with_graphs`: its graphs cannot be rewritten")

    def vjp_through(
        self, node: Apply, cotangents: Derivatives, pullback: Callable[..., list[Any]], wanted: Sequence[bool]
    ) -> Derivatives:
        """As `vjp`, with `pullback(outputs, cotangents, wrt)` to differentiate inner expressions in reverse mode.

        Only for the inputs that are `wanted` is the answer read; so only for these need anything be computed.
        """
        return (None,) * len(node.inputs)

    def jvp_through(self, node: Apply, tangents: Derivatives, pushforward: Callable[..., list[Any]]) -> Derivatives:
        """As `jvp`, with `pushforward(outputs, wrt, tangents)` to differentiate inner expressions in forward mode."""
        return (None,) * len(node.outputs)


def same_signature(op: GraphOp, graphs: Sequence[Graph]) -> Sequence[Graph]:
    """`graphs`, when in number and in the types of inputs and outputs they are those of `op`; else GraphTypeError."""
    now, then = [
        [[[x.type for x in xs] for xs in (graph.inputs, graph.outputs)] for graph in held]
        for held in (graphs, op.graphs)
    ]
    if now != then:
        raise GraphTypeError(f"{op}: its graphs can be replaced only by graphs of the same types")
    return graphs


OPS: dict[str, Any] = {}
"""Every op of the vocabulary by name: rows of the tables, and classes for what a row cannot say."""


def declared(name: str) -> Any:
    """The op, or op class, that was declared under this name: how pickle finds it again. Raises PickleError."""
    if name not in OPS:
        raise PickleError(f"there is no op {name!r} here", help="import the module that declares it, then unpickle")
    return OPS[name]


def is_declared(op: Op) -> bool:
    """Whether it, its class, or the row of the table that it applies is in OPS: what the suites know."""
    found = OPS.get(op.name)
    return OPS.get(type(op).__name__) is type(op) or found is op or (found is not None and found is vars(op).get("row"))


def _named(module: str, name: str) -> Any:
    """The op under a global name."""
    return reduce(getattr, name.split("."), import_module(module))


def _has_global_name(thing: Any) -> bool:
    """Whether a function or a class is found again by its module and name, as pickle has to find it."""
    found: Any = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


def _pickled_by_value() -> bool:
    """Whether one of the picklers is at work that keep functions and classes without a global name too."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not {"cloudpickle", "dill"}.isdisjoint(frame.f_globals.get("__name__", "").split(".")):
            return True
        frame = frame.f_back
    return False


def _refuse_nameless(op: Op) -> None:
    """Raise PickleError, with the line to change, where pickle would raise an error that says neither op nor line."""
    held = [x for value in vars(op).values() for x in (value if isinstance(value, (list, tuple)) else [value])]
    things: list[Any] = [type(op), *[x for x in held if isinstance(x, FunctionType)]]
    for thing in things:
        if not _has_global_name(thing) and not _pickled_by_value():
            what = "its class" if thing is type(op) else "its function"
            functions = [f for f in (thing, *vars(thing).values()) if isinstance(f, FunctionType)]
            raise PickleError(
                f"{op} cannot be pickled: {what} {thing.__qualname__} has no global name",
                why="pickle keeps functions and classes by their module and name",
                help="define it at the top level of a module, with def or class",
                origin=tuple([defined(f.__code__) for f in functions[:1]]),
            )


AnyOp = TypeVar("AnyOp")


def declare(op: AnyOp) -> AnyOp:
    """Make an op or an op class known to the suites and the docs."""
    name = op.__name__ if isinstance(op, type) else op.name  # type: ignore[attr-defined]
    if name in OPS:
        raise RefgraphError(f"op {name!r} is declared twice")
    OPS[name] = op
    return op
