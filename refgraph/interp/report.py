"""What ran where: `f.report()`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from refgraph.core.errors import FallbackError
from refgraph.core.graph import Apply, Graph
from refgraph.core.origin import places
from refgraph.interp.backends import NUMPY, Backend
from refgraph.interp.placement import BackendKernels, WholeProgram, inner_graphs
from refgraph.interp.transfer import Traffic, Transfer


class Row(NamedTuple):
    """An application: where it runs, and why, where that is not the backend that was asked for.

    where: the name of a backend; "numpy" is the interpreter, and "transfer" no place: the application moves a value.
    depth: 0, or more for an application in a graph that an op holds.
    """

    node: Apply
    where: str
    why: str
    depth: int

    @property
    def is_transfer(self) -> bool:
        """Whether it only moves a value."""
        return isinstance(self.node.op, Transfer)


class Report:
    """Where the applications of a function run, as a list of `rows` in the order in which they run.

    backend: the name of the one that was asked for, or chosen. whole: it runs all in one program of its own, but for
    what is `interpreted`. traffic: what all calls so far have moved. remarks: what the program says of how it runs.
    """

    def __init__(
        self,
        backend: str,
        rows: Sequence[Row],
        whole: bool,
        traffic: Traffic | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.backend, self.rows, self.whole = backend, tuple(rows), whole
        self.traffic, self.remarks = traffic or Traffic(), tuple(remarks)

    @property
    def interpreted(self) -> tuple[Row, ...]:
        """The applications that fell back to the interpreter."""
        fallen = NUMPY.name if self.backend != NUMPY.name else ""
        return tuple([row for row in self.rows if row.where == fallen])

    @property
    def transfers(self) -> tuple[Row, ...]:
        """What is moved between NumPy and the backend in every call, and in every step of a loop."""
        return tuple([row for row in self.rows if row.is_transfer])

    def __str__(self) -> str:
        ops = [row for row in self.rows if not row.is_transfer]
        lines = [
            f"{self.backend}{' (one program)' if self.whole else ''}: {len(ops) - len(self.interpreted)} of {len(ops)} "
            f"applications, {len(self.interpreted)} on the interpreter, {len(self.transfers)} transfers a call"
        ]
        if self.traffic.to_device or self.traffic.to_numpy:
            lines.append(f"moved so far: {self.traffic}")
        lines += self.remarks
        width = max([len(row.where) for row in self.rows], default=0)
        lines += [_line(row, width) for row in self.rows]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def _line(row: Row, width: int) -> str:
    found = places(row.node.origin[:1])
    where = f"  --> {found[0].file}:{found[0].line}" if found else ""
    why = f"  ({row.why})" if row.why and not row.is_transfer else ""
    types = ", ".join([str(x.type) for x in row.node.inputs])
    return f"  {row.where:<{width}}  {'  ' * row.depth}{row.node.op}({types}){why}{where}"


def report(backend: Backend, graph: Graph, ran: Any) -> Report:
    """The report on a graph that `ran` runs: kernels of a backend, a whole program of one, or the interpreter."""
    if isinstance(ran, BackendKernels):
        return Report(backend.name, list(_by_node(ran, ran.plans[graph], 0)), False, ran.traffic)
    if isinstance(ran, WholeProgram):
        remarks = getattr(ran.program, "remarks", ())
        return Report(backend.name, list(_in_program(ran)), True, ran.traffic, remarks)
    return Report(NUMPY.name, list(_interpreted(graph, 0)), False)


def _by_node(kernels: BackendKernels, graph: Graph, depth: int) -> Iterator[Row]:
    for node in graph.nodes:
        found = kernels.found(node)
        if isinstance(node.op, Transfer):
            yield Row(node, "transfer", "", depth)
        elif isinstance(found, str):
            yield Row(node, NUMPY.name, kernels.why(node) if kernels.backend is not NUMPY else "", depth)
        else:
            yield Row(node, kernels.backend.name, "", depth)
        for inner in inner_graphs(node.op):
            planned = kernels.planned(node, inner)
            if planned is not None:
                yield from _by_node(*planned, depth + 1)
            elif isinstance(found, str):
                yield from _in_mode_of_its_own(inner, depth + 1)


def _in_program(ran: WholeProgram) -> Iterator[Row]:
    """The applications of the whole graph, and after each those inside that are left to the interpreter."""
    left: dict[Apply, list[Row]] = {}
    for (*inside, node), why in ran.interpreted.items():
        row = Row(node, NUMPY.name, why or "its program leaves it to the interpreter", len(inside))
        left.setdefault(inside[0] if inside else node, []).append(row)
    for node in ran.ends.graph.nodes:
        rows = left.get(node, [])
        if not any(row.node is node for row in rows):
            yield Row(node, ran.backend.name, "", 0)
        yield from rows


def _in_mode_of_its_own(graph: Graph, depth: int) -> Iterator[Row]:
    for row in _interpreted(graph, depth):
        yield row._replace(why="the steps have a mode of their own")


def _interpreted(graph: Graph, depth: int) -> Iterator[Row]:
    for node in graph.nodes:
        yield Row(node, NUMPY.name, "", depth)
        for inner in inner_graphs(node.op):
            yield from _interpreted(inner, depth + 1)


def on_fallbacks(found: Report, action: str) -> None:
    """Raise FallbackError, or warn, when something runs on the interpreter though another backend was asked for."""
    if not (rows := found.interpreted):
        return
    count = sum(not row.is_transfer for row in found.rows)
    reasons = dict.fromkeys([f"{row.node.op}: {row.why}" for row in rows])
    more = f"; and {len(reasons) - 4} more" if len(reasons) > 4 else ""
    error = FallbackError(
        f"backend {found.backend!r} leaves {len(rows)} of {count} applications to the interpreter",
        why="; ".join(list(reasons)[:4]) + more,
        help="without strict=True, and with the flag assert_no_cpu_op=ignore, f.report() lists what runs where",
        node=rows[0].node,
    )
    if action != "warn":
        raise error
    warnings.warn(f"{error.message}: {error.why}", stacklevel=6)
