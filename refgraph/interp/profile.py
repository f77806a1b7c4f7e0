"""Where the time of a function goes, and its memory: calls, and every node's share."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import IO, Any

import numpy as np

from refgraph.core.config import config
from refgraph.core.graph import Apply
from refgraph.core.op import Compile
from refgraph.core.origin import places
from refgraph.interp.backends import Kernel
from refgraph.interp.plan import Around, Kernels
from refgraph.interp.postponed import Postponed


class Cost:
    """How often something ran, and for how many seconds in all."""

    __slots__ = ("count", "seconds")

    def __init__(self, count: int = 0, seconds: float = 0.0) -> None:
        self.count, self.seconds = count, seconds

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.count + other.count, self.seconds + other.seconds)

    def __repr__(self) -> str:
        return f"{self.seconds:.3e} s in {self.count}"


class Footprint:
    """The arrays that the applications of one call have made. A view, and what is computed in place, is none."""

    def __init__(self) -> None:
        self.held = self.peak = self.allocated = 0
        self._living: dict[int, weakref.ref[Any]] = {}

    def saw(self, given: Iterable[Any], answered: Iterable[Any]) -> None:
        """Count the arrays among the answers of an application, unless they lie in memory that it was given."""
        owners = {id(_owner(a)) for a in given}
        for value in answered:
            owner = _owner(value)
            if isinstance(owner, np.ndarray) and id(owner) not in owners and id(owner) not in self._living:
                self._living[id(owner)] = weakref.ref(owner, self._freeing(id(owner), owner.nbytes))
                self.held += owner.nbytes
                self.allocated += owner.nbytes
        self.peak = max(self.peak, self.held)

    def _freeing(self, key: int, size: int) -> Callable[[Any], None]:
        def freed(_: Any) -> None:
            del self._living[key]
            self.held -= size

        return freed


def _owner(value: Any) -> Any:
    """The array in whose memory one lies."""
    while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
        value = value.base
    return value


class Profile:
    """Times and memory of one function, or of several that were given the same Profile.

    `total` is the cost of whole calls, `nodes` of each application: those of inner graphs also count in the application
    that runs them. `steps` says how often an application has run its inner graphs: of a loop, how many steps it took.
    `peak` is the largest number of bytes that arrays made by applications of one call, results among them, took at one
    time; `allocated` the number of bytes of all that were made. With `memory` off, these are 0.
    """

    def __init__(self, name: str | None = None, memory: bool = True) -> None:
        self.name, self.memory = name, memory
        self.total = Cost()
        self.nodes: dict[Apply, Cost] = {}
        self.steps: dict[Apply, int] = {}
        self.peak = self.allocated = 0
        self._lock = threading.Lock()
        self._calls = threading.local()

    def watching(self, kernels: Kernels) -> Kernels:
        """Kernels that are timed here."""
        return _Timed(kernels, self)

    def watched(self, node: Apply, bind: Callable[[Apply, Compile], Kernel], compile: Compile) -> Kernel:
        """A kernel for a node that is timed here, with a count of how often it runs the graphs that its op holds."""
        kernel = bind(node, lambda graph: self._counted(compile(graph), node))
        timed = self.timed(kernel, self.nodes.setdefault(node, Cost()))
        return self._measured(timed, len(node.outputs)) if self.memory else timed

    def _measured(self, run: Kernel, n: int) -> Kernel:
        def measured(*arrays: Any, **out: Any) -> Any:
            results = run(*arrays, **out)
            memory = getattr(self._calls, "memory", None)
            if memory is not None:
                memory.saw(arrays, results if n > 1 else [results])
            return results

        return measured

    def _counted(self, run: Callable[..., Any], node: Apply) -> Callable[..., Any]:
        def counted(*arrays: Any) -> Any:
            with self._lock:
                self.steps[node] = self.steps.get(node, 0) + 1
            return run(*arrays)

        return counted

    def add(self, node: Apply, count: int, seconds: float) -> None:
        """An application was run so many times, in so many seconds in all."""
        with self._lock:
            cost = self.nodes.setdefault(node, Cost())
            cost.count += count
            cost.seconds += seconds

    def program(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """A program whose calls are timed here."""
        return _Profiled(self, run)

    def call(self, run: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        """What `run` answers, in a call of its own."""
        before, self._calls.memory = getattr(self._calls, "memory", None), Footprint()
        try:
            results = run(*arrays)
            self._note(self._calls.memory, results)
        finally:
            self._calls.memory = before
        return results

    def _note(self, memory: Footprint, results: Sequence[Any]) -> None:
        """Add what a call took; what it has postponed is still to be added."""
        with self._lock:
            self.peak = max(self.peak, memory.peak)
            self.allocated += memory.allocated
        for value in results:
            if isinstance(value, Postponed):
                value.kernel = self.timed(value.kernel, self.total, 0)

    def timed(self, run: Callable[..., Any], cost: Cost, count: int = 1) -> Callable[..., Any]:
        """A callable that adds what it costs to `cost`, as so many runs."""

        def timed(*arrays: Any, **out: Any) -> Any:
            start = perf_counter()
            results = run(*arrays, **out)
            seconds = perf_counter() - start
            with self._lock:
                cost.count += count
                cost.seconds += seconds
            return results

        return timed

    @property
    def ops(self) -> dict[str, Cost]:
        """The cost of each op, by how it prints, most expensive first."""
        found: dict[str, Cost] = {}
        for node, cost in self.nodes.items():
            found[str(node.op)] = found.get(str(node.op), Cost()) + cost
        return dict(sorted(found.items(), key=lambda pair: -pair[1].seconds))

    def __str__(self) -> str:
        total = self.total
        each = total.seconds / total.count if total.count else 0.0
        inside = sum(cost.seconds for cost in self.nodes.values())
        lines = [f"{self.name or 'function'}: {total.count} calls, {total.seconds:.3e} s, {each:.3e} s a call"]
        if self.memory and self.allocated:
            made = self.allocated // max(1, total.count)
            lines.append(f"memory: at most {self.peak:,} bytes at a time, {made:,} bytes made a call")
        ops = self.ops.items()
        lines += ["  share    seconds    runs  op", *_rows(ops, inside, config.profiling.n_ops)]
        nodes = [(_described(node, self.steps.get(node)), cost) for node, cost in self.nodes.items()]
        nodes.sort(key=lambda pair: -pair[1].seconds)
        lines += ["  share    seconds    runs  application", *_rows(nodes, inside, config.profiling.n_apply)]
        return "\n".join(lines)

    def summary(self, file: IO[str] | None = None, n_ops_to_print: Any = None, n_apply_to_print: Any = None) -> None:
        """Print the tables, to standard error or `file`, with at most so many rows (by default as the flags say)."""
        changes = {"profiling.n_ops": n_ops_to_print, "profiling.n_apply": n_apply_to_print}
        with config.change_flags({name: n for name, n in changes.items() if n is not None}):
            print(self, file=sys.stderr if file is None else file)


class _Profiled:
    """A program whose calls are timed."""

    def __init__(self, profile: Profile, program: Callable[..., Any]) -> None:
        self.profile, self.run = profile, profile.timed(program, profile.total)
        self.postpones = getattr(program, "postpones", ())

    def __call__(self, *arrays: Any) -> Any:
        return self.profile.call(self.run, arrays)


def _rows(costs: Iterable[tuple[str, Cost]], whole: float, most: int) -> list[str]:
    costs = list(costs)
    rows = [
        f"  {cost.seconds / whole if whole else 0.0:5.1%}  {cost.seconds:.3e}  {cost.count:6d}  {text}"
        for text, cost in costs[:most]
    ]
    return rows + ([f"  ... and {len(costs) - most} more"] if len(costs) > most else [])


class _Timed(Around):
    """Kernels that write to a profile."""

    def __init__(self, kernels: Kernels, profile: Profile) -> None:
        super().__init__(kernels)
        self._profile = profile

    def bind(self, node: Apply, compile: Compile) -> Kernel:
        return self._profile.watched(node, super().bind, compile)


def _described(node: Apply, steps: int | None) -> str:
    lines = [f"{p.file}:{p.line}" for p in places(node.origin[:1])]
    inside = "" if steps is None else f", {steps} step{'s' * (steps != 1)}"
    text = f"{node.op}({', '.join(str(x.type) for x in node.inputs)}){inside}"
    return text + (f"  --> {lines[0]}" if lines else "")


def get_profile(wanted: Any, name: str | None) -> Profile | None:
    """The Profile that `function(profile=)` asks for: None as the flag says, True a new one, a Profile itself.

    With the flag `profile` on, it is printed when the program ends; with its memory, where `profile_memory` is on too.
    """
    if isinstance(wanted, Profile):
        return wanted
    if wanted is None and config.profile:
        profile = Profile(name, config.profile_memory)
        atexit.register(profile.summary)
        return profile
    return Profile(wanted if isinstance(wanted, str) else name) if wanted else None
