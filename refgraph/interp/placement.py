"""Where nodes run: on a backend that has a kernel for them, else on the interpreter, with values moved in between.

What is moved is written into the graph that is planned, as applications of `Transfer`; so it is planned, shown, timed
and freed like all else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refgraph.core.errors import BackendError, RefgraphError, explain, is_explained
from refgraph.core.graph import Apply, Constant, Graph, Variable, rebuild
from refgraph.core.op import Compile, GraphOp, Op
from refgraph.core.origin import made_for
from refgraph.interp.backends import NUMPY, Backend, Kernel, first_line
from refgraph.interp.plan import INTERPRETER, Kernels, Plan
from refgraph.interp.transfer import Alone, Carried, Traffic, Transfer
from refgraph.ops.fused import Fused
from refgraph.ops.tensor import TensorType

if TYPE_CHECKING:
    from refgraph.interp.profile import Profile
    from refgraph.rewrite.assumed import Assumed

Keepers = Mapping[Variable, Backend]
"""The inputs of a graph whose values are kept as arrays of a backend, not of NumPy, and that backend."""

Getters = Mapping[int, Backend]
"""The outputs of a graph, by number, that are wanted as arrays of a backend, and that backend."""


class Ends(NamedTuple):
    """Of a graph, who keeps the values of its inputs and who gets its outputs, where that is not NumPy."""

    graph: Graph
    keepers: Keepers
    getters: Getters

    @property
    def is_numpy(self) -> bool:
        return not self.keepers and not self.getters


class BackendKernels(Kernels):
    """A backend's kernels, and the interpreter for the nodes that it declines.

    ends: of the whole graph. alone: every node takes and answers NumPy's arrays, and moves them itself. inside: the
    graphs that are planned are those of an op that the backend runs; their ends are all its own, but for values that it
    does not hold.
    """

    def __init__(self, backend: Backend, ends: Ends, alone: bool = False, inside: bool = False) -> None:
        self.backend, self.ends = backend, ends
        self.plans: dict[Graph, Graph] = {}
        """What runs instead of each graph that was planned."""
        self.traffic = Traffic()
        self._found: dict[Apply, Kernel | str] = {}
        self._alone, self._inside = alone, inside
        self._programs: dict[Graph, Kernel] = {}
        self._within: BackendKernels | None = None

    # what a plan asks

    def prepared(self, graph: Graph) -> Graph:
        made = self._opened(super().prepared(graph))
        ends = self.ends if graph is self.ends.graph else Ends(graph, {}, {})
        if self._inside:
            own = dict.fromkeys(range(len(made.outputs)), self.backend)
            ends = Ends(graph, dict.fromkeys(made.inputs, self.backend), own)
        if not self.backend.is_host or not ends.is_numpy:
            made = _Placing(self, made, ends).placed()
        self.plans[graph] = made
        return made

    def bind(self, node: Apply, compile: Compile) -> Kernel:
        found = self.found(node)
        if isinstance(found, str):
            return self._on_interpreter(node, node.op.bind(node, compile))
        if not self._alone:
            return found
        return Alone(self.backend, found) if self.backend.is_host else Carried(self.backend, found, node, self.traffic)

    def _on_interpreter(self, node: Apply, kernel: Kernel) -> Kernel:
        """A kernel of the interpreter, which answers arrays where NumPy would answer scalars: kernels take arrays."""
        if isinstance(node.op, Transfer) or all(getattr(out.type, "ndim", 1) for out in node.outputs):
            return kernel
        return _answering_arrays(kernel, [isinstance(out.type, TensorType) for out in node.outputs])

    def reuses(self, node: Apply) -> tuple[int, ...]:
        plain = isinstance(self.found(node), str) and all(getattr(out.type, "ndim", 1) for out in node.outputs)
        return node.op.reuses(node) if plain else ()

    def explained(self, error: Exception, node: Apply, arrays: tuple[Any, ...]) -> Exception:
        if isinstance(error, MemoryError):
            return explain(error, node, arrays)
        if isinstance(node.op, Transfer):
            return _not_moved(error, node)
        if not self.runs(node):
            return explain(error, node, arrays)
        if isinstance(error, RefgraphError) and error.node is not None:
            inside = any([self.planned(node, graph) for graph in inner_graphs(node.op)])
            return error if inside else _of(self.backend, error)
        return _run_again(self.backend, error, node, arrays)

    # where a node runs

    def why(self, node: Apply) -> str:
        """Why a node does not run on the backend: of a fused op, why its ops do not."""
        found = self.found(node)
        if not isinstance(found, str):
            return ""
        if not isinstance(node.op, Fused) or self.backend.has_maker(node.op):
            return found
        parts = [(part.op, self.found(part)) for part in node.op.graph.nodes]
        return "; ".join(dict.fromkeys([f"{op}: {why}" for op, why in parts if isinstance(why, str)]))

    def runs(self, node: Apply) -> bool:
        """Whether the backend has a kernel for the node."""
        return not isinstance(self.found(node), str)

    def is_there(self, node: Apply) -> bool:
        """Whether the node takes and answers arrays of the backend that are not NumPy's."""
        return not self.backend.is_host and not self._alone and self.runs(node)

    def found(self, node: Apply) -> Kernel | str:
        """The backend's kernel for a node, or why there is none."""
        known = self._found.get(node)
        if known is None:
            known = "a transfer" if isinstance(node.op, Transfer) else self.backend.find(node, self._compile)
            self._found[node] = known
        return known

    def is_as(self, node: Apply, other: Apply) -> None:
        """Let a node run as another of the same op does."""
        self._found[node] = self.found(other)

    def _compile(self, graph: Graph) -> Kernel:
        """A program of a graph that an op of the backend's holds, between the backend's own arrays."""
        if graph not in self._programs:
            self._programs[graph] = Plan(graph, self._own()).run
        return self._programs[graph]

    def _own(self) -> BackendKernels:
        if self.backend.is_host:
            return self
        if self._within is None:
            self._within = BackendKernels(self.backend, Ends(self.ends.graph, {}, {}), inside=True)
            self._within.traffic = self.traffic
        return self._within

    def planned(self, node: Apply, graph: Graph) -> tuple[BackendKernels, Graph] | None:
        """What runs a graph that the node's op holds, and what runs instead of it; None where it is run otherwise."""
        kernels = self._own() if self.runs(node) else self
        return (kernels, kernels.plans[graph]) if graph in kernels.plans else None

    def _opened(self, graph: Graph) -> Graph:
        """The graph, where a fused op that the backend declines is its ops, when it has kernels for some of these."""

        def change(node: Apply) -> Sequence[Variable] | None:
            if not isinstance(node.op, Fused) or self.runs(node):
                return None
            inner = node.op.graph
            return inner(*node.inputs) if any([self.runs(part) for part in inner.nodes]) else None

        if not any([isinstance(node.op, Fused) for node in graph.nodes]):
            return graph
        return Graph(graph.inputs, rebuild(graph.outputs, {x: x for x in graph.inputs}, change))


class _Placing:
    """Writes into a graph what has to be moved, each value at most once in each direction."""

    def __init__(self, kernels: BackendKernels, graph: Graph, ends: Ends) -> None:
        self._kernels, self._graph, self._ends = kernels, graph, ends
        self._here: dict[Variable, Variable] = {}
        self._there: dict[Variable, Variable] = {}

    def placed(self) -> Graph:
        kernels, graph, ends = self._kernels, self._graph, self._ends
        for x in graph.inputs:
            keeper = ends.keepers.get(x)
            if keeper is None or not keeper.holds(x.type):
                self._here[x] = x
            elif keeper is kernels.backend:
                self._there[x] = x
            else:
                self._here[x] = self._moved(x, keeper, False)
        for node in graph.nodes:
            there = kernels.is_there(node)
            inputs = [self._value(x, there) for x in node.inputs]
            same = all([new is old for new, old in zip(inputs, node.inputs, strict=True)])
            fresh = node if same else node.with_inputs(inputs)
            kernels.is_as(fresh, node)
            values = self._there if there else self._here
            for old, new in zip(node.outputs, fresh.outputs, strict=True):
                if old not in self._here and old not in self._there:  # what is given stands
                    values[old] = new
        return Graph(graph.inputs, [self._output(n, out) for n, out in enumerate(graph.outputs)])

    def _output(self, n: int, out: Variable) -> Variable:
        getter = self._ends.getters.get(n)
        if getter is None or not getter.holds(out.type):
            return self._value(out, False)
        if getter is self._kernels.backend:
            return self._value(out, True)
        return self._moved(self._value(out, False), getter, True)

    def _value(self, x: Variable, there: bool) -> Variable:
        values, others = (self._there, self._here) if there else (self._here, self._there)
        found = values.get(x)
        if found is None:
            backend = self._kernels.backend
            if x not in others:  # a constant
                found = Constant(x.type, backend.to_device(x.value), x.name) if there else x  # type: ignore[attr-defined]
            else:
                found = self._moved(others[x], backend, there)
            values[x] = found
        return found

    def _moved(self, x: Variable, backend: Backend, there: bool) -> Variable:
        op, moved = Transfer(backend, there, self._kernels.traffic), x.type.variable(name=str(x))
        with made_for(x.owner.origin if x.owner is not None else ()):
            return Apply(op, [x], [moved]).outputs[0]


def _answering_arrays(kernel: Kernel, tensors: Sequence[bool]) -> Kernel:
    if len(tensors) == 1:
        return lambda *arrays: np.asarray(kernel(*arrays)) if tensors[0] else kernel(*arrays)
    return lambda *arrays: tuple([np.asarray(v) if t else v for v, t in zip(kernel(*arrays), tensors, strict=True)])


# what went wrong


def _not_moved(error: Exception, node: Apply) -> Exception:
    op: Any = node.op
    way = f"to the device of {op.backend.name}" if op.there else f"from the device of {op.backend.name}"
    x = node.inputs[0]
    moved = BackendError(f"cannot move {x} ({x.type}) {way}: {first_line(error)}", node=node)
    moved.__cause__ = error
    return moved


def _run_again(backend: Backend, error: Exception, node: Apply, arrays: Sequence[Any]) -> Exception:
    """What to raise when a kernel raised: what the interpreter says of the same values, op by op, if it raises too."""
    try:
        given = [_as_numpy(backend, a) for a in arrays]
    except Exception:
        return _is_wrong(backend, f"on {node.op}", error, "", node=node)
    try:
        node.op.bind(node, lambda graph: Plan(graph).run)(*given)
    except Exception as again:
        return _of(backend, explain(again, node, given))
    return _is_wrong(backend, f"on {node.op}", error, _COMPUTED, node=node, values=given)


def _as_numpy(backend: Backend, array: Any) -> Any:
    """An array, whether it is the backend's or NumPy's already, as NumPy's."""
    return array if isinstance(array, (np.ndarray, np.generic)) else np.asarray(backend.to_numpy(array))


def _of(backend: Backend, error: Exception) -> Exception:
    """An error of the interpreter's about what a backend ran."""
    if isinstance(error, RefgraphError):
        error.backend = backend.name
    return error


_COMPUTED = "the interpreter computes this from the same values"


def _is_wrong(backend: Backend, where: str, error: Exception, why: str, **about: Any) -> BackendError:
    """For an error that is the backend's alone, which is its cause."""
    wrong = BackendError(
        f"backend {backend.name!r} failed {where}: {first_line(error)}",
        why=why,
        help='the error above this one is its own; backend="numpy" computes it meanwhile',
        **about,
    )
    wrong.backend = backend.name
    wrong.__cause__ = error
    return wrong


# whole programs


class WholeProgram:
    """A backend's program for a whole graph, between values as they are kept and as they are wanted."""

    def __init__(
        self,
        backend: Backend,
        ends: Ends,
        program: Any,
        interpreted: Mapping[tuple[Apply, ...], str],
        profiled: bool = False,
    ) -> None:
        """interpreted: the nodes that the program leaves to the interpreter, each with the reason, or "", and after the
        nodes whose ops hold it, the outermost first.
        """
        self.profiled = profiled
        self.backend, self.ends, self.program, self.interpreted = backend, ends, program, interpreted
        self.traffic = Traffic()
        keepers = [(n, ends.keepers.get(x, backend)) for n, x in enumerate(ends.graph.inputs)]
        self._foreign = [(n, self._move(keeper, False)) for n, keeper in keepers if keeper is not backend]
        self._back = self._move(backend, False)
        self._there = {n: self._move(getter, True) for n, getter in ends.getters.items()}
        self._tensors = [isinstance(out.type, TensorType) for out in ends.graph.outputs]

    @property
    def function_class(self) -> Callable[[type], type] | None:
        """What makes the class of functions of which the program makes whole calls, if it does."""
        if self.profiled or not self.backend.is_host or not self.ends.is_numpy:
            return None
        found: Callable[[type], type] | None = getattr(self.program, "function_class", None)
        return found

    @property
    def free(self) -> Callable[[], None] | None:
        """What gives back memory that the program keeps from call to call, if it keeps any."""
        return getattr(self.program, "free", None)

    def _move(self, backend: Backend, there: bool) -> Callable[[Any], Any]:
        return Transfer(backend, there, self.traffic).impl

    @np.errstate(all="ignore")
    def __call__(self, *inputs: Any) -> list[Any]:
        values = list(inputs)
        for n, move in self._foreign:
            values[n] = move(values[n])
        try:
            results = self.program(*values)
            if len(results) != len(self._tensors):
                raise ValueError(f"a program of {len(self._tensors)} outputs answered {len(results)}")
        except Exception as error:
            found = self.explained(error, values)
            if found is error:
                raise
            raise found from error
        return [self._delivered(n, v) if t else v for n, (v, t) in enumerate(zip(results, self._tensors, strict=True))]

    def _delivered(self, n: int, value: Any) -> Any:
        """An output in the form in which it is wanted."""
        if not isinstance(value, (np.ndarray, np.generic)):
            if self.ends.getters.get(n) is self.backend:
                return value
            value = self._back(value)
        return self._there[n](value) if n in self._there else value

    def explained(self, error: Exception, values: Sequence[Any]) -> Exception:
        """What to raise when the program raised: what the interpreter says of the same values, if it raises too.

        What a node raised that the interpreter runs is said already: nothing is run again for that.
        """
        if is_explained(error):
            return error if self._is_interpreted(error) else _of(self.backend, error)
        if isinstance(error, MemoryError):
            return error
        graph, backend = self.ends.graph, self.backend
        tensors = [isinstance(x.type, TensorType) for x in graph.inputs]
        given = [_as_numpy(backend, v) if t else v for v, t in zip(values, tensors, strict=True)]
        try:
            Plan(graph)(*given)
        except Exception as again:
            return again if self._is_interpreted(again) else _of(backend, again)
        last = graph.nodes[-1] if graph.nodes else None
        return _is_wrong(backend, "on a whole function", error, _COMPUTED, origin=last.origin if last else None)

    def _is_interpreted(self, error: Exception) -> bool:
        """Whether an error is of a node that the program leaves to the interpreter."""
        node = getattr(error, "node", None)
        return node is not None and any(left is node for *_, left in self.interpreted)


def whole_program(
    backend: Backend,
    ends: Ends,
    states: Mapping[int, int],
    assumed: Callable[[Graph], Assumed | None],
    profile: Profile | None = None,
) -> WholeProgram | None:
    """The backend's program for a graph; None where it makes none, and nodes are to be run one by one.

    states: outputs, by number, that replace the values of inputs, by number. assumed: makes a graph simpler for calls
        in which nothing is broadcast. profile: where the program is to say what each node takes; one that cannot is
        none.
    """
    interpreted: dict[tuple[Apply, ...], str] = {}

    def interpret(node: Apply, why: str = "", inside: tuple[Apply, ...] = ()) -> Kernel:
        interpreted[(*inside, node)] = why
        return _explaining(node, node.op.bind(node, lambda graph: Plan(graph).run))

    graph = INTERPRETER.prepared(ends.graph)
    program: Any = backend.compile(graph, interpret, states, assumed)
    if program is None or (profile is not None and not hasattr(program, "time")):
        return None
    if profile is not None:
        program.time(profile.add)
    return WholeProgram(backend, ends._replace(graph=graph), program, interpreted, profile is not None)


def _explaining(node: Apply, kernel: Kernel) -> Kernel:
    """A kernel of the interpreter in a program, whose errors say what failed and where; they keep copies of values."""

    def run(*arrays: Any) -> Any:
        try:
            return kernel(*arrays)
        except Exception as error:
            given = tuple([a.copy() if isinstance(a, np.ndarray) else a for a in arrays])
            explained = explain(error, node, given)
            if explained is error:
                raise
            raise explained from explained.__cause__

    return run


def kernels_for(backend: Backend, ends: Ends, alone: bool = False) -> Kernels:
    """What runs the nodes of a graph one by one; `alone`, over NumPy's arrays."""
    return INTERPRETER if backend is NUMPY and ends.is_numpy else BackendKernels(backend, ends, alone)


def inner_graphs(op: Op) -> tuple[Graph, ...]:
    """The graphs that an op holds and that are run as graphs: those of a fused op are one step."""
    return op.graphs if isinstance(op, GraphOp) and not isinstance(op, Fused) else ()
