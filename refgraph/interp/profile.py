"""Where the time of a function goes: calls, and every node's share."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import IO, Any

from refgraph.core.config import config
from refgraph.core.graph import Apply
from refgraph.core.op import Compile
from refgraph.core.origin import places
from refgraph.interp.plan import Bind, Kernel


class Cost:
    """How often something ran, and for how many seconds in all."""

    __slots__ = ("count", "seconds")

    def __init__(self, count: int = 0, seconds: float = 0.0) -> None:
        self.count, self.seconds = count, seconds

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.count + other.count, self.seconds + other.seconds)

    def __repr__(self) -> str:
        return f"{self.seconds:.3e} s in {self.count}"


class Profile:
    """Times of one function, or of several that were given the same Profile.

    `total` is the cost of whole calls, `nodes` of each application: those of inner graphs also count in the application
    that runs them. `steps` says how often an application has run its inner graphs: of a loop, how many steps it took.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.total = Cost()
        self.nodes: dict[Apply, Cost] = {}
        self.steps: dict[Apply, int] = {}
        self._lock = threading.Lock()

    def watching(self, bind: Bind) -> Bind:
        """A `bind` whose kernels are timed here."""

        def bound(node: Apply, compile: Compile) -> Kernel:
            kernel = bind(node, lambda graph: self._counted(compile(graph), node))
            return self._timed(kernel, self.nodes.setdefault(node, Cost()))

        return bound

    def _counted(self, run: Callable[..., Any], node: Apply) -> Callable[..., Any]:
        def counted(*arrays: Any) -> Any:
            with self._lock:
                self.steps[node] = self.steps.get(node, 0) + 1
            return run(*arrays)

        return counted

    def program(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """A program whose calls are timed here."""
        return self._timed(run, self.total)

    def _timed(self, run: Callable[..., Any], cost: Cost) -> Callable[..., Any]:
        def timed(*arrays: Any) -> Any:
            start = perf_counter()
            results = run(*arrays)
            seconds = perf_counter() - start
            with self._lock:
                cost.count += 1
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


def _rows(costs: Iterable[tuple[str, Cost]], whole: float, most: int) -> list[str]:
    costs = list(costs)
    rows = [
        f"  {cost.seconds / whole if whole else 0.0:5.1%}  {cost.seconds:.3e}  {cost.count:6d}  {text}"
        for text, cost in costs[:most]
    ]
    return rows + ([f"  ... and {len(costs) - most} more"] if len(costs) > most else [])


def _described(node: Apply, steps: int | None) -> str:
    lines = [f"{p.file}:{p.line}" for p in places(node.origin[:1])]
    inside = "" if steps is None else f", {steps} step{'s' * (steps != 1)}"
    text = f"{node.op}({', '.join(str(x.type) for x in node.inputs)}){inside}"
    return text + (f"  --> {lines[0]}" if lines else "")


def get_profile(wanted: Any, name: str | None) -> Profile | None:
    """The Profile that `function(profile=)` asks for: None as the flag says, True a new one, a Profile itself.

    With the flag `profile` on, it is printed when the program ends.
    """
    if isinstance(wanted, Profile):
        return wanted
    if wanted is None and config.profile:
        profile = Profile(name)
        atexit.register(profile.summary)
        return profile
    return Profile(wanted if isinstance(wanted, str) else name) if wanted else None
