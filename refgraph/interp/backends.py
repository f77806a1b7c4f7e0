"""Backends: what runs the nodes of a graph instead of the interpreter, which is the one named "numpy".

A backend is a plugin, found by its entry point and imported when somebody asks for it. See docs/write-a-backend.md.
"""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import BackendError, PickleError, RefgraphError, nearest
from refgraph.core.graph import Apply, Graph
from refgraph.core.op import Compile, Op
from refgraph.ops.tensor import DTYPES, TensorType

if TYPE_CHECKING:
    from pluggy import HookimplMarker, PluginManager

    from refgraph.core.types import Type
    from refgraph.interp.entry_points import EntryPoint

Kernel = Callable[..., Any]
"""What runs a node: from its inputs' arrays to its output's array, or the tuple of its outputs' arrays."""

Program = Callable[..., Sequence[Any]]
"""What runs a whole graph: from its inputs' arrays to the list of its outputs' arrays."""

AnyMaker = Callable[..., Any]
GROUP = "refgraph.backends"
"""The group of entry points in which backends are found."""

FEATURES = ("scan", "random", "shared", "updates", "threads", "pickle", "errors")
"""What a backend may say that it does without: tests of the suite that need it may then fail."""


class Capabilities:
    """What a backend can do at all, beyond the kernels that it has.

    dtypes: those that its kernels take. A node with any other runs on the interpreter.
    without: of FEATURES those that it lacks, each with the reason. The suite counts the tests of these apart, and
        refuses the declaration where all of them pass.
    Raises BackendError for a dtype or a feature that does not exist.
    """

    def __init__(self, dtypes: Iterable[str] = DTYPES, without: Mapping[str, str] | None = None) -> None:
        for what, given, kind in (("dtypes", dtypes, Iterable), ("without", without or {}, Mapping)):
            if isinstance(given, str) or not isinstance(given, kind):
                form = "a list of dtypes" if kind is Iterable else "a dict from features to reasons"
                raise BackendError(f"capabilities: {what} is {form}, got {given!r:.60} ({type(given).__name__})")
        self.dtypes, self.without = frozenset(dtypes), dict(without or {})
        for what, names, known in (("dtype", self.dtypes, DTYPES), ("feature", self.without, FEATURES)):
            for name in sorted(names):
                if name not in known:
                    raise BackendError(
                        f"capabilities: no {what} {name!r}", help=nearest(name, known) or f"use: {', '.join(known)}"
                    )


class Backend:
    """Kernels for ops, and the way in and out of this backend's arrays.

    name: that of its entry point.
    to_device: makes an array of this backend from a NumPy array; None: its arrays are NumPy's, and nothing is moved.
    to_numpy: the reverse. Both may answer memory that is shared with what they are given.
    copy: an array of this backend that shares no memory with the one given; None: by way of NumPy.
    device: where it computes, "cpu" or "cuda": the flag device chooses among backends by this.
    speed: about how many times as fast as the interpreter it runs common programs, by which the flag backend=auto
        chooses; 0: only for those who ask for it by name.
    available: answers why it cannot run on this machine, or "" when it can; it is asked when a function is made.
    memory: answers how many bytes of its device's memory are free, and how many there are.
    capabilities: see Capabilities.
    tolerances: how far results may lie from the interpreter's, in units in the last place (ulp), by "op-dtype", "op",
        "*-dtype" or "*"; the suite has a ceiling for each kind of op, and prints what is loosened.
    xfails: names of the suite's tests that are known to fail, as patterns with * and ?, each with the reason. They are
        strict: one that passes is a failure.

    A backend is right when it agrees with the interpreter, which the suite of `refgraph.testing` finds out.
    """

    def __init__(
        self,
        name: str,
        *,
        to_device: Callable[[Any], Any] | None = None,
        to_numpy: Callable[[Any], Any] | None = None,
        copy: Callable[[Any], Any] | None = None,
        device: str = "cpu",
        speed: float = 0.0,
        available: Callable[[], str] | None = None,
        memory: Callable[[], tuple[int, int]] | None = None,
        capabilities: Capabilities | None = None,
        tolerances: Mapping[str, float] | None = None,
        xfails: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name or (name == "numpy" and "NUMPY" in globals()):
            raise BackendError(
                f"a backend's name is that of its entry point, got {name!r:.60}",
                help="numpy is the interpreter" if name == "numpy" else "give it a text",
            )
        if (to_device is None) != (to_numpy is None):
            raise BackendError(
                f"backend {name!r}: to_device without to_numpy, or the reverse",
                help="give both, or neither where arrays are NumPy's",
            )
        if device not in ("cpu", "cuda"):
            raise BackendError(f"backend {name!r}: device={device!r} is not one of cpu, cuda")
        self.name, self.device, self.speed = name, device, speed
        self.is_host = to_device is None
        """Whether its arrays are NumPy's."""
        self.to_device: Callable[[Any], Any] = to_device or _itself
        self.to_numpy: Callable[[Any], Any] = to_numpy or _itself
        self.copy = copy or (lambda array: self.to_device(np.array(self.to_numpy(array))))
        self.capabilities = capabilities or Capabilities()
        self.tolerances, self.xfails = dict(tolerances or {}), dict(xfails or {})
        self._available, self.memory = available, memory
        self._makers: dict[Any, AnyMaker] = {}
        self._program: AnyMaker | None = None
        self._classes: frozenset[type] | None = None

    def kernel(self, *kinds: type[Op] | Op) -> Callable[[AnyMaker], AnyMaker]:
        """Register what makes kernels for ops of these classes, or for these very ops.

        The decorated function is given a node, or a node and `compile`, which makes a program of a graph that the
        node's op holds. It answers a kernel; or None, or a text that says why, to leave the node to the interpreter.
        A kernel takes the inputs' arrays and answers the output's array, or a tuple where there are several outputs.
        It leaves its inputs alone, and answers memory of its own but for the inputs that `op.views` names.

        Of a node's makers the one for its very op is asked, else that for the nearest of its classes. Raises
        BackendError for a second maker of one kind.
        """
        for kind in kinds:
            if not isinstance(kind, Op) and not (isinstance(kind, type) and issubclass(kind, Op)):
                raise BackendError(
                    f"backend {self.name!r}: kernels are made for op classes or ops, got {kind!r:.60}",
                    help=f"write @{self.name}.kernel(Elemwise)",
                )
            if kind in self._makers:
                raise BackendError(f"backend {self.name!r} has kernels for {_kind_name(kind)} already")
        if not kinds:
            raise BackendError(f"backend {self.name!r}: kernel() of what?", help="name op classes, or ops")

        def register(make: AnyMaker) -> AnyMaker:
            taking = _taking(make, "node", "compile")
            self._makers.update(dict.fromkeys(kinds, taking))
            return make

        return register

    def program(self, make: AnyMaker) -> AnyMaker:
        """Register what makes a program of a whole graph.

        The decorated function is given the graph, `interpret`, `states`, and `assumed`, or the first of these.
        `interpret(node, why)` makes a kernel over NumPy arrays of a node that is to run on the interpreter, and says
        so, and why, in `f.report()`; for a node in a graph that an op holds it is `interpret(node, why, inside)`, with
        the nodes of such ops, the outermost first. `states` says which outputs replace the values of which inputs, both
        by number.
        `assumed(graph)` answers the graph made simpler for calls in which nothing is broadcast, and which lengths must
        be equal for it to be right (refgraph.rewrite.assumed), or None where it would be no simpler. The function
        answers a program, or None where nodes are to be run one by one. A program is given each input as it lies: a
        NumPy array, or an array of this backend where a shared variable keeps one. It answers arrays of either kind.
        Threads may run it together. A program that makes whole calls itself, arguments and states and all, has
        `function_class`, which makes of `Function` the class of functions that do (docs/adr/0029). A program that can
        say what its nodes take has `time(add)`: it then calls `add(node, runs, seconds)` after each call; without it, a
        function that is profiled runs node by node. `remarks`, lines of text on how it runs, are shown in `f.report()`.
        `f.free()` calls its `free()`, if it keeps memory from call to call.
        Raises BackendError for a second one.
        """
        if self._program is not None:
            raise BackendError(f"backend {self.name!r} makes programs already")
        self._program = _taking(make, "graph", "interpret", "states", "assumed")
        return make

    def find(self, node: Apply, compile: Compile | None = None) -> Kernel | str:
        """A kernel for this node, or why there is none."""
        make = self._maker(node.op)
        if make is None:
            return f"no kernel for {_kind_name(type(node.op))}"
        for x in (*node.inputs, *node.outputs):
            if not self.holds(x.type):
                dtype = getattr(x.type, "dtype", None)
                return (
                    f"{dtype} is not among its dtypes" if dtype else f"takes or answers a {x.type}, which is no array"
                )
        try:
            found = make(node, compile or _no_compiler)
        except RefgraphError:
            raise
        except Exception as error:
            raise BackendError(
                f"backend {self.name!r} failed to make a kernel for {node.op}: {first_line(error)}",
                why=_place(error),
                help='a maker answers None for what it cannot do; backend="numpy" computes it meanwhile',
                node=node,
            ) from error
        if found is None:
            return f"its kernel for {_kind_name(type(node.op))} declined"
        if not callable(found) and not isinstance(found, str):
            raise BackendError(
                f"backend {self.name!r} made {found!r:.60} ({type(found).__name__}) for {node.op}",
                help="answer a callable, None, or a text that says why not",
                node=node,
            )
        return found  # type: ignore[no-any-return]  # a callable or a text

    def holds(self, type: Type) -> bool:
        """Whether values of this type may be arrays of this backend: others stay as they are."""
        return isinstance(type, TensorType) and type.dtype in self.capabilities.dtypes

    def _maker(self, op: Op) -> AnyMaker | None:
        if op in self._makers:
            return self._makers[op]
        return next((self._makers[kind] for kind in type(op).__mro__ if kind in self._makers), None)

    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this backend's, and not one of NumPy's: it is known by its class."""
        if self.is_host or isinstance(value, (np.ndarray, np.generic)):
            return False
        if self._classes is None:  # a backend may have a class for single numbers
            some = [np.zeros(shape, dtype) for shape in ((), (1,)) for dtype in self.capabilities.dtypes]
            self._classes = frozenset([type(self.to_device(array)) for array in some])
        return type(value) in self._classes

    def has_maker(self, op: Op) -> bool:
        """Whether it is asked for kernels for this op at all."""
        return self._maker(op) is not None

    def compile(
        self,
        graph: Graph,
        interpret: Callable[..., Kernel],
        states: Mapping[int, int],
        assumed: Callable[[Graph], Any],
    ) -> Program | None:
        """A program for the whole graph; None where it makes none."""
        return None if self._program is None else self._program(graph, interpret, states, assumed)

    def why_unavailable(self) -> str:
        """Why it cannot run on this machine; "" when it can."""
        if self._available is None:
            return ""
        try:
            return self._available()
        except Exception as error:
            return first_line(error)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: by name. Raises PickleError where it is not the one that is found under its name."""
        if self.name not in installed() or get_backend(self.name) is not self:
            raise PickleError(
                f"the backend {self.name!r} cannot be pickled: it is not what is installed under that name",
                help=f"give it an entry point in the group {GROUP}, and name it in function(backend=)",
            )
        return get_backend, (self.name,)

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, memo: Any) -> Backend:
        return self

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"


def _itself(array: Any) -> Any:
    return array


def _kind_name(kind: type[Op] | Op) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _taking(make: AnyMaker, *names: str) -> AnyMaker:
    """A function that is given things of these names as one that takes all, though it may take the first ones only."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # of a builtin: it knows what it takes
        return make
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in places if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or len(places) >= len(names) >= len(needed):
        return make
    if places and len(needed) <= len(names):
        count = len(places)
        return lambda *given: make(*given[:count])
    raise BackendError(
        f"{getattr(make, '__name__', make)} takes {len(needed)} arguments",
        why=f"it is given {' and '.join([f'a {name}' for name in names])}, or the first of these",
    )


def _no_compiler(graph: Graph) -> Any:
    raise RefgraphError("graphs that an op holds are compiled when a function is made")


def first_line(error: BaseException) -> str:
    """The class of an error, and the first line of what it says, cut where that is very long."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]:.160}" if said else type(error).__name__


def _place(error: BaseException) -> str:
    """The line that raised, where that is not in this library or in Python's own."""
    places, trace = [], error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_HERE, "<frozen")):
            places.append(f"at {file}:{trace.tb_lineno}")
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        places.append(f"at {error.filename}:{error.lineno}")
    return places[-1] if places else ""


_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep


# how they are found

NUMPY = Backend("numpy", speed=1.0)
"""The interpreter. It has no kernels: each op's own meaning is what runs."""


@functools.cache
def _markers() -> tuple[Any, HookimplMarker]:
    import pluggy

    return pluggy.HookspecMarker("refgraph"), pluggy.HookimplMarker("refgraph")


def hookimpl(function: Any) -> Any:
    """Marks a plugin's `refgraph_backend`, the function that answers its Backend."""
    return _markers()[1](function)


def refgraph_backend() -> Backend:
    """Return the backend that this plugin provides. The only hook there is."""
    raise NotImplementedError


def installed() -> list[str]:
    """The names that `function(backend=)` takes here, "numpy" among them. Imports no plugin."""
    return sorted({"numpy", *[point.name for point in _entry_points()]})


def _entry_points() -> Iterable[EntryPoint]:
    from refgraph.interp.entry_points import entry_points

    return entry_points(GROUP)


def get_backend(name: str | Backend) -> Backend:
    """The backend of that name: its plugin is imported, and no other.

    Raises BackendError where none of that name is installed, its import fails, or it answers no backend.
    """
    if isinstance(name, Backend):
        return name
    if not isinstance(name, str):
        raise BackendError(
            f"a backend is named, or given as a Backend, got {name!r:.60} ({type(name).__name__})",
            help=f"installed are: {', '.join(installed())}",
        )
    if name == "numpy":
        return NUMPY
    found = _loaded.get(name)
    if found is None:
        found = _loaded[name] = _load(name)
    return found


_loaded: dict[str, Backend] = {}


_GPU = "for NVIDIA GPUs: pip install 'refgraph[cuda]'"
_OURS = {"cython": "pip install 'refgraph[cython]'", "cupy": _GPU, "cuda": _GPU, "gpu": _GPU}
"""How to install what people ask for."""


def _load(name: str) -> Backend:
    import pluggy

    manager: PluginManager = pluggy.PluginManager("refgraph")
    manager.add_hookspecs(_hookspecs())
    points = [point for point in _entry_points() if point.name == name]
    if not points:
        names = installed()
        raise BackendError(
            f"no backend named {name!r:.60}; installed: {', '.join(names)}",
            help=_OURS.get(name) or nearest(name, names) or "install its plugin, or leave out backend",
        )
    try:
        manager.register(points[0].load(), name)
        answers = manager.hook.refgraph_backend()
    except RefgraphError as error:
        raise BackendError(
            f"the plugin of backend {name!r} cannot be loaded: {error.message}", why=error.why, help=error.help
        ) from error
    except pluggy.PluginValidationError as error:
        raise BackendError(
            f"the plugin of backend {name!r} cannot be loaded: its hook is not what it should be",
            why="; ".join(str(error).splitlines()[1:]) or str(error),
            help="write @hookimpl above def refgraph_backend(), without arguments",
        ) from error
    except Exception as error:
        raise BackendError(
            f"the plugin of backend {name!r} cannot be loaded: {first_line(error)}",
            why=_place(error),
            help='mend it, or use another: backend="numpy" is always there',
        ) from error
    if len(answers) != 1 or not isinstance(answers[0], Backend) or answers[0].name != name:
        got = ", ".join([repr(a)[:60] for a in answers]) or "nothing"
        raise BackendError(
            f"the plugin of backend {name!r} answers {got}",
            why=f"its refgraph_backend() must return the Backend named {name!r}, once",
            help=_mend(points[0], answers),
        )
    return answers[0]


def _mend(point: EntryPoint, answers: Sequence[Any]) -> str:
    """What the author of a plugin that answers no backend of its name has to do."""
    if point.attr:
        return f"the value of the entry point is the module alone, {point.module!r}, not {point.value!r}"
    if not answers:
        return "mark its function refgraph_backend with @hookimpl, of refgraph.backend"
    return "name the backend as the entry point"


def _hookspecs() -> Any:
    """What plugins are held to: refgraph_backend, marked as a hook."""
    _markers()[0](refgraph_backend)
    return SimpleNamespace(refgraph_backend=refgraph_backend)


# which one a function runs on


def chosen(asked: str | Backend | None = None) -> Backend:
    """The backend for a function: the one asked for, else what the flags backend and device say.

    Raises BackendError for one that is not installed or cannot run here.
    """
    name = config.backend if asked is None else asked
    if name not in ("auto", ""):
        backend = get_backend(name)
        if why := backend.why_unavailable():
            raise BackendError(
                f"the backend {backend.name!r} cannot run here: {why}",
                help='python -m refgraph doctor says more; backend="numpy" runs everywhere',
            )
        return backend
    return _fastest(config.device)


_automatic: dict[tuple[str, bool], Backend] = {}


def _fastest(device: str) -> Backend:
    """The fastest installed backend that can run here, on this device where it is one of Theano's."""
    key = device, config.force_device
    if key not in _automatic:
        _automatic[key] = _found_fastest(device)
    return _automatic[key]


def _found_fastest(device: str) -> Backend:
    wanted = "cuda" if device.startswith(("cuda", "gpu")) else device.rstrip("0123456789")
    found = [NUMPY] if wanted in ("auto", "cpu") else []
    reasons = []
    for name in installed():
        try:
            backend = get_backend(name)
            why = backend.why_unavailable()
        except BackendError as error:
            reasons.append(error.message)
            continue
        if wanted not in ("auto", backend.device) or not backend.speed:
            continue
        if why:
            reasons.append(f"{name}: {why}")
        else:
            found.append(backend)
    if found:
        return max(found, key=lambda backend: backend.speed)
    refused = BackendError(
        f"device={device}: there is no backend for it here",
        why="; ".join(reasons) or f"installed: {', '.join(installed())}",
        help="pip install 'refgraph[cuda]'; with device=auto or backend=numpy functions run without it",
    )
    if config.force_device:
        raise refused
    warnings.warn(f"{refused.message} ({refused.why}): functions run on the CPU", stacklevel=7)
    return _fastest("cpu")


class Memory(NamedTuple):
    """How much memory a device has, in bytes."""

    free: int
    total: int


def memory_info() -> Memory:
    """How many bytes of the GPU's memory are free, and how many it has. What is kept to be used again is not free.

    Raises BackendError where there is no backend for a GPU that can run here.
    """
    reasons = []
    for name in installed():
        try:
            backend = get_backend(name)
        except BackendError as error:
            reasons.append(error.message)
            continue
        if backend.device != "cuda" or backend.memory is None:
            continue
        why = backend.why_unavailable()
        if not why:
            return Memory(*backend.memory())
        reasons.append(f"{name}: {why}")
    raise BackendError(
        "there is no GPU whose memory could be told of",
        why="; ".join(reasons) or f"installed: {', '.join(installed())}",
        help=_GPU,
    )


def forget() -> None:
    """Look for plugins anew: for those who install one while the program runs."""
    _loaded.clear()
    _automatic.clear()
