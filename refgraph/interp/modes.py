"""Modes: how a function's graph is rewritten, and what runs and watches each node."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from refgraph.core.config import config
from refgraph.core.errors import (
    BadDestroyMap,
    BadThunkOutput,
    BadViewMap,
    ConfigError,
    InvalidValueError,
    NanGuardError,
)
from refgraph.core.graph import Apply, Graph
from refgraph.core.op import Compile, GraphOp
from refgraph.interp.backends import Kernel
from refgraph.interp.evaluate import program
from refgraph.interp.plan import INTERPRETER, Around, Kernels, Plan
from refgraph.interp.transfer import Alone, Transfer

if TYPE_CHECKING:
    from refgraph.interp.profile import Profile
    from refgraph.rewrite.assumed import Assumed
    from refgraph.rewrite.engine import Note
    from refgraph.rewrite.rule import Rule

Tags = tuple[str, ...]

Watch = Callable[[Apply, Kernel], Kernel]
"""From a node and its kernel to what runs instead."""


class Mode:
    """Rewrites a graph and makes a program of it.

    optimizer: how much to rewrite, by one of the names that the flag optimizer takes; "default" is what the flag says.
    linker: Theano's, without effect. `including`, `excluding` and `requiring` give a mode that differs in rules: names
    are those of rules and of phases (refgraph.rules.PHASES); Theano's for these are known, too. The flags
    optimizer_including, -_excluding and -_requiring change every mode in the same way. Raises ConfigError for a name
    that is nobody's.
    """

    leaves_out: ClassVar[Tags] = ()
    """What modes of this kind do without: those that watch applications want each op by itself."""

    def __init__(self, linker: Any = None, optimizer: Any = "default", name: str | None = None) -> None:
        self.linker, self.optimizer, self.name = linker, optimizer, name
        self.included: Tags = ()
        self.excluded: Tags = self.leaves_out
        self.required: Tags = ()

    def including(self, *tags: str) -> Mode:
        """This mode with more rules."""
        return self._with(included=(*self.included, *_known(tags)))

    def excluding(self, *tags: str) -> Mode:
        """This mode without some rules."""
        return self._with(excluded=(*self.excluded, *_known(tags)))

    def requiring(self, *tags: str) -> Mode:
        """This mode with rules that must be there."""
        return self._with(required=(*self.required, *_known(tags)))

    def _with(self, **changes: Tags) -> Mode:
        fresh = object.__new__(type(self))
        fresh.__dict__.update(self.__dict__, **changes)
        return fresh

    def clone(self, **changes: Any) -> Mode:
        """This mode with other attributes."""
        return self._with(**changes)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules by which it rewrites, in the order in which they are tried."""
        return self._rules()

    def _rules(self, loops: bool = True) -> tuple[Rule, ...]:
        """Those for any graph, or for one without loops."""
        from refgraph.rewrite.select import chosen  # loads when something is to be rewritten

        optimizer = config.optimizer if self.optimizer == "default" else str(self.optimizer)
        more, less, must = (
            (*tags, *[tag for tag in flag.split(":") if tag])
            for tags, flag in (
                (self.included, config.optimizer_including),
                (self.excluded, config.optimizer_excluding),
                (self.required, config.optimizer_requiring),
            )
        )
        return chosen(optimizer, more, less, must, loops)

    def rewrite(self, graph: Graph, note: Note | None = None) -> Graph:
        """The graph to run instead of `graph`; `note` is told of each change (see refgraph.rewrite.engine.rewrite)."""
        from refgraph.rewrite.engine import rewrite

        rules = self._rules(_holds_graphs(graph))
        return rewrite(graph, rules, _printed(note) if config.optimizer_verbose else note)

    def assumed(self, graph: Graph) -> Assumed | None:
        """A graph that was rewritten, made simpler for calls in which nothing is broadcast; see rewrite.assumed."""
        from refgraph.rewrite.assumed import assumed

        return assumed(graph, self._rules(_holds_graphs(graph)))

    def watch(self, node: Apply, kernel: Kernel) -> Kernel:
        """What runs a node instead of its kernel. Here that kernel; a mode that looks at values calls it in its own."""
        return kernel

    def watcher(self) -> Watch:
        """`watch` for the nodes of one program."""
        return self.watch

    @property
    def watches(self) -> bool:
        """Whether it looks at values: each node then runs by itself on NumPy's arrays, and none is overwritten."""
        kind = type(self)
        return kind.watch is not Mode.watch or kind.watcher is not Mode.watcher

    def compile(
        self,
        graph: Graph,
        profile: Profile | None = None,
        states: Mapping[int, int] | None = None,
        kernels: Kernels = INTERPRETER,
    ) -> Callable[..., list[Any]]:
        """A program for a graph that has been rewritten; timed, when there is a profile to write to.

        states: outputs, by number, that replace the values of inputs: the program may postpone them (see `Plan`).
        kernels: what runs its nodes; where the mode `watches`, over NumPy's arrays.
        """
        if self.watches:
            kernels = _Watched(kernels, self.watcher())
        if profile is None:
            return Plan(graph, kernels, None, states)
        return profile.program(Plan(graph, profile.watching(kernels), None, states))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle: DEFAULT, FAST_RUN and FAST_COMPILE by name."""
        return self.name if self.name and globals().get(self.name) is self else super().__reduce_ex__(2)

    def __copy__(self) -> Mode:
        return self._with()

    def __repr__(self) -> str:
        return self.name or f"{type(self).__name__}(linker={self.linker!r}, optimizer={self.optimizer!r})"


def _holds_graphs(graph: Graph) -> bool:
    """Whether some op may be a loop, or hold one."""
    from refgraph.ops.fused import Fused  # loads when something is to be rewritten

    return any(isinstance(node.op, GraphOp) and not isinstance(node.op, Fused) for node in graph.nodes)


class _Watched(Around):
    """Kernels that somebody looks at."""

    def __init__(self, kernels: Kernels, watch: Watch) -> None:
        super().__init__(kernels)
        self.in_place, self._watch = False, watch

    def bind(self, node: Apply, compile: Compile) -> Kernel:
        kernel = super().bind(node, compile)
        return kernel if isinstance(node.op, Transfer) else self._watch(node, kernel)


def _known(tags: Tags) -> Tags:
    """The tags, when they are names of rules, of phases, or Theano's for these. Raises ConfigError."""
    from refgraph.rewrite.select import known

    for tag in tags:
        known(tag)
    return tags


def _printed(note: Note | None) -> Note:
    """A `note` that also prints, for the flag optimizer_verbose."""

    def printed(rule: Rule, old: Any, new: Any) -> None:
        from refgraph.interp.history import Step

        print(f"rewriting: {Step.of(rule, old, new)}")
        if note is not None:
            note(rule, old, new)

    return printed


class DebugMode(Mode):
    """Checks every node in every call: types, finiteness, inputs left alone, aliasing as declared, same answer twice;
    of a backend, the same answer as the interpreter's (unless the flag DebugMode.check_c is off).

    check_isfinite: refuse NaN and infinity; by default as the flag DebugMode.check_finite says.
    """

    leaves_out = ("fuse",)

    def __init__(
        self,
        optimizer: Any = "fast_run",
        check_isfinite: bool | None = None,
        linker: Any = None,
        name: str | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__(linker, optimizer, name or "DebugMode")
        unknown = set(ignored) - {
            "stability_patience",
            "check_c_code",
            "check_py_code",
            "check_preallocated_output",
            "require_matching_strides",
        }
        if unknown:
            raise ConfigError(f"DebugMode takes no {', '.join(sorted(unknown))}")
        self.check_isfinite = check_isfinite

    def watch(self, node: Apply, kernel: Kernel) -> Kernel:
        finite = config.DebugMode.check_finite if self.check_isfinite is None else self.check_isfinite
        foreign = kernel if isinstance(kernel, Alone) and config.DebugMode.check_c else None
        meaning = None if foreign is None else node.op.bind(node, program)

        def checked(*arrays: Any) -> Any:
            before = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
            results = kernel(*arrays)
            _check_unchanged(node, arrays, before)
            values = list(results) if len(node.outputs) > 1 else [results]
            _check_types(node, values, finite)
            _check_aliases(node, arrays, values)
            again = kernel(*arrays)
            _check_same(node, values, list(again) if len(node.outputs) > 1 else [again])
            if foreign is not None and meaning is not None:
                means = meaning(*arrays)
                _check_agrees(node, foreign.backend.name, values, list(means) if len(node.outputs) > 1 else [means])
            return results

        return checked


def _check_unchanged(node: Apply, arrays: Any, before: Any) -> None:
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if isinstance(a, np.ndarray) and not _same(a, b):
            raise BadDestroyMap(
                f"{node.op} wrote into its input {i}, {node.inputs[i]}",
                help="compute in a new array: arrays given to an op belong to others",
                node=node,
            )


def _check_types(node: Apply, values: list[Any], finite: bool) -> None:
    for out, value in zip(node.outputs, values, strict=True):
        which = f"output {out.index} of {node.op}"
        try:
            checked = out.type.filter(np.asarray(value) if isinstance(value, np.generic) else value, strict=True)
        except TypeError as error:
            got = f"{value.dtype} of shape {value.shape}" if hasattr(value, "dtype") else type(value).__name__
            raise InvalidValueError(
                f"{which} is {got}, but its type says {out.type}", why=getattr(error, "message", str(error)), node=node
            ) from None
        if finite and isinstance(checked, np.ndarray) and checked.dtype.kind in "fc" and not np.isfinite(checked).all():
            raise InvalidValueError(
                f"{which} has {_census(checked)}",
                help="DebugMode(check_isfinite=False), or the flag DebugMode.check_finite=False, allows this",
                node=node,
            )


def _check_aliases(node: Apply, arrays: Any, values: list[Any]) -> None:
    viewed = [arrays[i] for i in node.op.views if i < len(arrays) and isinstance(arrays[i], np.ndarray)]
    for out, value in zip(node.outputs, values, strict=True):
        for i, a in enumerate(arrays):
            if (
                i not in node.op.views
                and isinstance(a, np.ndarray)
                and isinstance(value, np.ndarray)
                and np.shares_memory(a, value)
                and not any(np.shares_memory(a, v) for v in viewed)  # inputs may lie in each other's memory
            ):
                raise BadViewMap(
                    f"output {out.index} of {node.op} shares memory with its input {i}, {node.inputs[i]}",
                    help=f"declare it, views = ({i},), or copy",
                    node=node,
                )
        for before in values[: out.index]:
            if not node.op.views and isinstance(value, np.ndarray) and np.shares_memory(before, value):
                raise BadViewMap(
                    f"output {out.index} of {node.op} shares memory with an output before it", help="copy", node=node
                )


def _check_same(node: Apply, values: list[Any], again: list[Any]) -> None:
    for out, a, b in zip(node.outputs, values, again, strict=True):
        if hasattr(a, "dtype") and not _same(a, b):
            raise BadThunkOutput(
                f"output {out.index} of {node.op} differs when it runs again on the same inputs", node=node
            )


def _check_agrees(node: Apply, backend: str, values: list[Any], means: list[Any]) -> None:
    for out, value, want in zip(node.outputs, values, means, strict=True):
        type: Any = out.type
        if hasattr(type, "values_eq_approx") and not type.values_eq_approx(np.asarray(value), np.asarray(want)):
            raise BadThunkOutput(
                f"output {out.index} of {node.op} on backend {backend!r} differs from the interpreter's",
                why=f"got {_brief(value)}, the interpreter says {_brief(want)}",
                help="tell the author of the backend; the flag DebugMode.check_c=False leaves this out",
                node=node,
            )


def _brief(value: Any) -> str:
    return " ".join(np.array2string(np.asarray(value), threshold=4, edgeitems=2).split())


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))


def _census(a: np.ndarray[Any, Any]) -> str:
    nans, infinite = int(np.isnan(a).sum()), int(np.isinf(a).sum())
    words = [f"{n} {what}" for n, what in ((nans, "NaN"), (infinite, "infinite")) if n]
    return f"{' and '.join(words)} of {a.size} element{'s' * (a.size != 1)}"


class NanGuardMode(Mode):
    """Raises NanGuardError at the first node that receives from outside, or makes, a value that is forbidden.

    The three are by default as the flags NanGuardMode.* say; "big" is beyond 1e10 in magnitude. With the flag
    NanGuardMode.action="warn" it warns and goes on.
    """

    leaves_out = ("fuse",)

    def __init__(
        self,
        nan_is_error: bool | None = None,
        inf_is_error: bool | None = None,
        big_is_error: bool | None = None,
        optimizer: Any = "default",
        linker: Any = None,
    ) -> None:
        super().__init__(linker, optimizer, "NanGuardMode")
        flags = config.NanGuardMode
        self.nan = flags.nan_is_error if nan_is_error is None else nan_is_error
        self.inf = flags.inf_is_error if inf_is_error is None else inf_is_error
        self.big = flags.big_is_error if big_is_error is None else big_is_error

    def watch(self, node: Apply, kernel: Kernel) -> Kernel:
        given = [(i, x) for i, x in enumerate(node.inputs) if x.owner is None]

        def guarded(*arrays: Any) -> Any:
            for i, x in given:
                self._refuse(node, arrays, arrays[i], f"input {i} of {node.op}, {x},")
            results = kernel(*arrays)
            for out, value in zip(node.outputs, results if len(node.outputs) > 1 else [results], strict=True):
                self._refuse(node, arrays, value, f"output {out.index} of {node.op}")
            return results

        return guarded

    def _refuse(self, node: Apply, arrays: Any, value: Any, which: str) -> None:
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "fc" or not value.size:
            return
        found = [
            word
            for forbidden, word, test in (
                (self.nan, "NaN", np.isnan),
                (self.inf, "infinity", np.isinf),
                (self.big, "big numbers", _big),
            )
            if forbidden and test(value).any()
        ]
        if found:
            finite = np.abs(value[np.isfinite(value)]) if isinstance(value, np.ndarray) else np.array([])
            reach = f"; the finite magnitudes go from {finite.min():.3g} to {finite.max():.3g}" if finite.size else ""
            ranges = [f"{x} {_range(a)}" for x, a in zip(node.inputs, arrays, strict=True) if hasattr(a, "dtype")]
            error = NanGuardError(
                f"{which} has {' and '.join(found)}",
                why=f"{_census(np.asarray(value)) if found != ['big numbers'] else 'beyond 1e10'}{reach}",
                help="its inputs: " + "; ".join(ranges),
                node=node,
                values=arrays,
            )
            if config.NanGuardMode.action != "warn":
                raise error
            warnings.warn(str(error), stacklevel=2)


def _big(value: Any) -> Any:
    return np.isfinite(value) & (np.abs(value) > 1e10)


def _range(a: Any) -> str:
    kept = a[np.isfinite(a)] if isinstance(a, np.ndarray) and a.dtype.kind != "c" else np.asarray(a)
    return f"{a.dtype}{list(np.shape(a))}" + (
        f" in [{kept.min():.3g}, {kept.max():.3g}]" if kept.size and kept.dtype.kind != "c" else ""
    )


class Thunk:
    """A node being run, as MonitorMode's functions see it: each input and output is a list that holds the value."""

    __slots__ = ("inputs", "outputs")

    def __init__(self, inputs: list[list[Any]], outputs: list[list[Any]]) -> None:
        self.inputs, self.outputs = inputs, outputs


class MonitorMode(Mode):
    """Calls `pre_func(i, node, thunk)` before and `post_func(i, node, thunk)` after each node of every call.

    i is the node's number in the order of running; `thunk.inputs[k][0]` and `thunk.outputs[k][0]` are values.
    """

    leaves_out = ("fuse",)

    def __init__(
        self,
        pre_func: Callable[[int, Apply, Thunk], None] | None = None,
        post_func: Callable[[int, Apply, Thunk], None] | None = None,
        linker: Any = None,
        optimizer: Any = "default",
    ) -> None:
        super().__init__(linker, optimizer, "MonitorMode")
        self.pre_func, self.post_func = pre_func, post_func

    def watcher(self) -> Watch:
        numbers = count()
        return lambda node, kernel: self._watched(next(numbers), node, kernel)

    def _watched(self, i: int, node: Apply, kernel: Kernel) -> Kernel:

        def watched(*arrays: Any) -> Any:
            thunk = Thunk([[a] for a in arrays], [[None] for _ in node.outputs])
            if self.pre_func is not None:
                self.pre_func(i, node, thunk)
            results = kernel(*arrays)
            for cell, value in zip(thunk.outputs, results if len(node.outputs) > 1 else [results], strict=True):
                cell[0] = value
            if self.post_func is not None:
                self.post_func(i, node, thunk)
            return results

        return watched


def detect_nan(i: int, node: Apply, fn: Thunk) -> None:
    """A `post_func` for MonitorMode: prints the first node, and its inputs, whose output has a NaN, and stops there."""
    for (value,) in fn.outputs:
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fc" and np.isnan(value).any():
            print(f"*** NaN detected *** node {i}: {node}")
            print(f"Inputs : {[cell[0] for cell in fn.inputs]}")
            print(f"Outputs: {[cell[0] for cell in fn.outputs]}")
            break


DEFAULT = Mode("vm", "default", "DEFAULT")
FAST_RUN = Mode("vm", "fast_run", "FAST_RUN")
FAST_COMPILE = Mode("vm", "fast_compile", "FAST_COMPILE")
_NAMED: dict[str, Callable[[], Mode]] = {
    "FAST_RUN": lambda: FAST_RUN,
    "FAST_COMPILE": lambda: FAST_COMPILE,
    "Mode": lambda: DEFAULT,
    "DebugMode": DebugMode,
    "DEBUG_MODE": DebugMode,
    "NanGuardMode": NanGuardMode,
}


def register_mode(name: str, mode: Mode) -> None:
    """Let a mode be asked for by name."""
    if name in _NAMED:
        raise ConfigError(f"there is a mode {name!r} already")
    _NAMED[name] = lambda: mode


def get_mode(mode: Mode | str | None = None) -> Mode:
    """The mode of that name; None means the flag `mode`."""
    if isinstance(mode, Mode):
        return mode
    name = config.mode if mode is None else mode
    if not isinstance(name, str) or name not in _NAMED:
        raise ConfigError(f"no mode {name!r}", help=f"use one of: {', '.join(_NAMED)}, or a Mode")
    return _NAMED[name]()


def get_default_mode() -> Mode:
    """The mode of functions that name none."""
    return get_mode(None)
