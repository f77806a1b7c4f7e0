"""Graphs as text: a formula (`pp`), a tree (`debugprint`), and what a notebook shows. Nothing here runs anything.

Every walk is iterative, and text is bounded: graphs get 100,000 nodes deep, where a tree would be mostly indentation,
and a formula that writes shared parts out in full may be exponentially long.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refgraph.core.graph import Apply, Constant, Graph, Variable
from refgraph.core.op import GraphOp


def brief(value: Any, width: int = 60) -> str:
    """A value in one short line: its digits, or for a large array its dtype and shape."""
    if getattr(value, "size", 0) > 10:
        return f"{value.dtype}{tuple(value.shape)}"
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 3] + "..."


# formulas


class _Part:
    """An occurrence of a variable in a formula."""

    __slots__ = ("inputs", "text", "x")

    def __init__(self, x: Variable) -> None:
        self.x = x
        self.inputs: list[_Part] = []
        self.text = ""


def pp(x: Variable, most: int = 1000) -> str:
    """The formula of `x`: `((tanh(z) * 2) + square(z))`.

    At most `most` applications are written out, those nearest to `x` first; `...` stands for the others. An op reads
    as its `written(*texts)` says, else as its `symbol` between its inputs, else as a function call.
    """
    return formula(x, most)


def formula(x: Variable, most: int, given: Mapping[Variable, str] | None = None) -> str:
    """The formula of `x` computed from `given`, which read as the texts there; what is behind them is left out."""
    given = given or {}
    parts = [_Part(x)]
    for part in parts:  # breadth first: the list grows while we walk it
        node = None if part.x in given else part.x.owner
        if node is not None and most > 0:
            most -= 1
            part.inputs = [_Part(i) for i in node.inputs]
            parts.extend(part.inputs)
        else:
            part.text = (given.get(part.x) or _leaf(part.x)) if node is None else part.x.name or "..."
    for part in reversed(parts):
        if not part.text:
            part.text = _applied(part.x, [i.text for i in part.inputs])
    return parts[0].text


pprint = pp


def _leaf(x: Variable) -> str:
    if isinstance(x, Constant) and x.name is None:
        return brief(x.value) if getattr(x.value, "ndim", 1) == 0 else str(x)
    return str(x)


def _applied(x: Variable, inputs: list[str]) -> str:
    node: Any = x.owner
    op = node.op
    written, symbol = getattr(op, "written", None), getattr(op, "symbol", None)
    if written is not None:
        text: str = written(*inputs)
    elif symbol is not None and len(inputs) > 1:
        text = f"({f' {symbol} '.join(inputs)})"
    elif symbol is not None:
        text = f"({symbol}{inputs[0]})"
    else:
        inside = f"{{{_inner(x)}}}" if isinstance(op, GraphOp) and op.graphs else ""
        text = f"{op.name or type(op).__name__}{inside}({', '.join([*inputs, *op.parameters()])})"
    return text if len(node.outputs) == 1 else f"{text}.{x.index}"


def _inner(x: Variable, most: int = 30, width: int = 200) -> str:
    """What an op that holds a graph makes x of, in terms of the graph's inputs; cut where it is long."""
    node: Any = x.owner
    graph, i = node.op.graphs[0], node.outputs.index(x)
    if i >= len(graph.outputs):
        return "..."
    text = formula(graph.outputs[i], most, {given: str(given) for given in graph.inputs})
    return text if len(text) <= width else text[: width - 3] + "..."


# trees

_DEEPEST_GUIDE = 40  # levels drawn with bars; below them the number of the level stands there


class _Line:
    """A variable to print: in front of it `guide`, in front of its inputs `below`."""

    __slots__ = ("below", "depth", "guide", "x")

    def __init__(self, x: Variable, guide: str, below: str, depth: int) -> None:
        self.x, self.guide, self.below, self.depth = x, guide, below, depth


class _Tree:
    """The options of a debugprint, and what it has printed so far."""

    def __init__(self, ids: str, print_type: bool, stop_on_name: bool, storage: bool, done: Any, used_ids: Any) -> None:
        self.ids, self.print_type, self.stop_on_name, self.storage = ids, print_type, stop_on_name, storage
        self.done: dict[Apply, str] = {} if done is None else done
        self.used: dict[Any, str] = {} if used_ids is None else used_ids
        self.clients: dict[Variable, list[tuple[Apply | str, int]]] | None = None
        self.lines: list[str] = []
        self.inner: list[Apply] = []

    def add(self, x: Variable, depth: int, graph: Graph | None, order: dict[Apply, int], mark: str = "") -> None:
        """The tree of `x`, `depth` levels of it, down to the inputs of `graph`; `order` numbers a function's nodes;
        `mark` goes before each line.
        """
        given = set() if graph is None else set(graph.inputs)
        stack = [_Line(x, mark, mark, 0)]
        while stack:
            line = stack.pop()
            node = None if line.x in given else line.x.owner
            self.lines.append(line.guide + self._describe(line.x, node, order))
            if node is None or node in self.done or (self.stop_on_name and line.x.name is not None):
                continue
            self.done[node] = ""
            if isinstance(node.op, GraphOp):
                self.inner.append(node)
            if line.depth + 1 == depth:
                continue
            stack.extend(reversed(list(_children(node, line, mark))))

    def _describe(self, x: Variable, node: Apply | None, order: dict[Apply, int]) -> str:
        if node is None:
            text = str(x)
        else:
            text = str(node.op) if len(node.outputs) == 1 else f"{node.op}.{x.index}"
        text += self._id(x if node is None else node)
        if self.print_type:
            text += f" <{x.type!r}>"
        if node is not None:
            text += f" '{x.name or ''}'"
            if node in order:
                text += f" {order[node]}"
        if self.clients is not None and node is not None:
            readers = [reader if isinstance(reader, str) else str(reader.op) for reader, _ in self.clients.get(x, ())]
            text += f" clients:{readers}"
        if self.storage and node is None and _stored(x) is not None:
            text += f" [{brief(_stored(x))}]"
        return text

    def _id(self, what: Any) -> str:
        if not self.ids:
            return ""
        if what not in self.used:
            n = len(self.used)
            self.used[what] = _letters(n) if self.ids == "CHAR" else str(n if self.ids == "int" else id(what))
        return f" [id {self.used[what]}]"


def _children(node: Apply, line: _Line, mark: str) -> Iterator[_Line]:
    depth, last = line.depth + 1, len(node.inputs) - 1
    for i, x in enumerate(node.inputs):
        if depth > _DEEPEST_GUIDE:
            guide = f"{mark} {depth}|"
            yield _Line(x, guide, guide, depth)
        else:
            yield _Line(x, line.below + " |", line.below + (" |" if i < last else "  "), depth)


def _stored(x: Variable) -> Any:
    """What a constant or a shared variable holds."""
    if isinstance(x, Constant):
        return x.value
    container = getattr(x, "get_value", None)
    return None if container is None else container(borrow=True)


def _letters(n: int) -> str:
    """A, B, ... Z, BA, BB, ...: n in base 26."""
    text = ""
    while n or not text:
        n, digit = divmod(n, 26)
        text = chr(ord("A") + digit) + text
    return text


def debugprint(
    obj: Any,
    depth: int = -1,
    print_type: bool = False,
    file: Any = None,
    ids: str = "CHAR",
    stop_on_name: bool = False,
    done: dict[Apply, str] | None = None,
    print_storage: bool = False,
    print_clients: bool = False,
    used_ids: dict[Any, str] | None = None,
) -> Any:
    """Print the tree of a variable, a list of them, an application, a Graph or a compiled function.

    A line is an op with its parameters, `[id A]`, and the variable's name in quotes; of a function also the node's
    place in the order of running. What was printed before is not taken apart again: a line for each reader. Ops
    that hold graphs (loops) come last, taken apart. Below level 40, the level's number stands for the bars.

    depth: levels to print, -1 for all. print_type: types too. ids: "CHAR", "int", "id" or "". file: a file, None for
    stdout, or "str" to get the text back. stop_on_name: do not look behind named variables. print_storage: the values
    of constants and shared variables. print_clients: for each op, its readers (of a graph or function).
    done, used_ids: dicts to pass on from call to call, so that ids stay the same.
    """
    if ids not in ("CHAR", "int", "id", ""):
        from refgraph.core.errors import GraphTypeError

        raise GraphTypeError(f"debugprint: ids={ids!r} is not one of CHAR, int, id, ''")
    tree = _Tree(ids, print_type, stop_on_name, print_storage, done, used_ids)
    for item in obj if isinstance(obj, (list, tuple, set, frozenset)) else [obj]:
        graph = _graph_of(item)
        order = {} if graph is None else {node: i for i, node in enumerate(graph.nodes)}
        if print_clients and graph is not None:
            tree.clients = graph.clients
        for x in _variables(item) if graph is None else graph.outputs:
            tree.add(x, depth, graph, order)
    if tree.inner:
        _inner_graphs(tree, depth)
    text = "\n".join(tree.lines) + "\n"
    if file == "str":
        return text
    (sys.stdout if file is None else file).write(text)
    return file


def _inner_graphs(tree: _Tree, depth: int) -> None:
    tree.lines += ["", "Inner graphs:"]
    for node in tree.inner:  # grows when there are graphs in the graphs
        tree.lines += ["", f"{node.op}{tree._id(node)}"]
        assert isinstance(node.op, GraphOp)
        for graph in node.op.graphs:
            for x in graph.outputs:
                tree.add(x, depth, graph, {}, mark=" >")


def _graph_of(obj: Any) -> Graph | None:
    """The graph of a Graph or of a compiled function."""
    if isinstance(obj, Graph):
        return obj
    graph = getattr(obj, "graph", None)
    if graph is None:
        graph = getattr(getattr(obj, "maker", None), "fgraph", None)
    return graph if isinstance(graph, Graph) else None


def _variables(obj: Any) -> Sequence[Variable]:
    if isinstance(obj, Variable):
        return [obj]
    if isinstance(obj, Apply):
        return obj.outputs
    from refgraph.core.errors import GraphTypeError

    raise GraphTypeError(
        f"debugprint shows variables, applications, graphs and functions, got {obj!r} ({type(obj).__name__})"
    )


def min_informative_str(x: Variable) -> str:
    """The tree of `x`, down to named variables, with a letter for each; <A> is the variable that came before as A."""
    lines: list[str] = []
    letters: dict[Variable, str] = {}
    stack = [(x, 0)]
    while stack:
        v, depth = stack.pop()
        indent = " " * min(depth, _DEEPEST_GUIDE)
        if v in letters:
            lines.append(f"{indent}<{letters[v]}>")
            continue
        letters[v] = _letters(len(letters))
        if v.owner is None or (v.name is not None and depth):
            lines.append(f"{indent}{letters[v]}. {v}")
        else:
            lines.append(f"{indent}{letters[v]}. {v.owner.op}")
            stack.extend((i, depth + 1) for i in reversed(v.owner.inputs))
    return "\n".join(lines)


# notebooks


def html(obj: Any) -> str:
    """A variable or a function for a notebook: its formula, its type, and on a click its tree."""
    from html import escape

    graph = _graph_of(obj)
    outputs = [obj] if graph is None else graph.outputs
    given = {} if graph is None else {x: str(x) for x in graph.inputs}
    formulas = [(escape(formula(x, 100, given)), escape(str(x.type))) for x in outputs[:10]]
    rows = "".join(f"<div><code>{text}</code> <small>{type}</small></div>" for text, type in formulas)
    if graph is not None:
        inputs = escape(", ".join(map(str, graph.inputs[:20])))
        rows = f"<div>function of ({inputs}), {len(graph.nodes)} applications</div>{rows}"
    tree = debugprint(obj, depth=20, print_type=True, file="str")
    if len(tree) > 20_000:
        tree = tree[:20_000] + "..."
    return f"<div>{rows}<details><summary>graph</summary><pre>{escape(tree)}</pre></details></div>"


class ShownAsHtml:
    """What a notebook shows of a variable or a function."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html(self)
