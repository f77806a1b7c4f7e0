"""The graph: variables, the applications that make them, and walks over both.

Immutable: a rewrite makes a new graph, so nobody ever holds a graph that changes under them. (A variable's `name` and
`tag` are labels for people; nothing computes with them.) Every walk is iterative: graphs get 100,000 nodes deep.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refgraph.core.config import config
from refgraph.core.errors import GraphTypeError, MissingInputError, RefgraphError
from refgraph.core.origin import Origin, here, made_for

if TYPE_CHECKING:
    from refgraph.core.op import Op
    from refgraph.core.types import Type


class Variable:
    """A value-to-be: of some type, made by `owner` as its output number `index`, or given from outside (no `owner`)."""

    __slots__ = ("__dict__", "__weakref__", "_tag", "index", "name", "owner", "type")
    _tag: SimpleNamespace

    def __init__(
        self, type: Type, owner: Apply | None = None, index: int | None = None, name: str | None = None
    ) -> None:
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name

    @property
    def tag(self) -> SimpleNamespace:
        """A place for anybody's own attributes."""
        try:
            return self._tag
        except AttributeError:
            self._tag = SimpleNamespace()
            return self._tag

    @tag.setter
    def tag(self, tag: SimpleNamespace) -> None:
        self._tag = tag

    def clone(self, name: str | None = None) -> Variable:
        """A fresh variable of the same type and name, given from outside."""
        return self.type.variable(name=name or self.name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle and deepcopy: a computed variable as its place in a flat record of all that it depends on.

        So depth does not matter; and variables that are pickled or copied in one call share what they shared before.
        """
        if self.owner is None:
            return super().__reduce_ex__(2)
        from refgraph.core.pickling import reduce_variable

        return reduce_variable(self, self.owner)

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Attributes and slots to pickle; whether with test values says the flag pickle_test_value."""
        state: Any = super().__getstate__()  # a pair, as there are slots with values
        own, slots = state
        if "_tag" in slots and not config.pickle_test_value:
            slots["_tag"] = SimpleNamespace(**{k: v for k, v in vars(self._tag).items() if k != "test_value"})
        return own, slots

    def __copy__(self) -> Variable:
        """Another variable: an input of the same type, or the output of another application of the same op."""
        if self.owner is None:
            fresh = self.clone()
        else:
            fresh = self.owner.with_inputs(self.owner.inputs).outputs[self.index]  # type: ignore[index]  # it has one
        fresh.__dict__.update(self.__dict__)
        if fresh is not self and hasattr(self, "_tag"):
            fresh._tag = SimpleNamespace(**vars(self._tag))
        return fresh

    def get_parents(self) -> list[Apply]:
        """The application that makes this variable, in a list; empty for an input."""
        return [] if self.owner is None else [self.owner]

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if self.owner is None:
            return f"<{self.type}>"
        return f"{self.owner.op}.{self.index}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """For notebooks; it runs nothing."""
        from refgraph.core.show import html

        return html(self)


class Constant(Variable):
    """A variable whose value is known now."""

    __slots__ = ("value",)

    def __init__(self, type: Type, value: Any, name: str | None = None) -> None:
        super().__init__(type, None, None, name)
        self.value = value

    @property
    def data(self) -> Any:
        """Theano's name for the value."""
        return self.value

    def clone(self, name: str | None = None) -> Variable:
        """Itself: a constant has nothing to give from outside."""
        return self

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        from refgraph.core.show import brief

        return f"{type(self).__name__}{{{brief(self.value)}}}"


class Apply:
    """One op applied to inputs, giving outputs; `origin` is the user's line that made it."""

    __slots__ = ("__weakref__", "_tag", "inputs", "op", "origin", "outputs")

    def __init__(self, op: Op, inputs: Iterable[Variable], outputs: Iterable[Variable]) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.outputs = outputs = tuple(outputs)
        for i, out in enumerate(outputs):
            if out.owner is not None:
                raise ValueError(f"{op}: output {i} already belongs to an application of {out.owner.op}; make it fresh")
            out.owner = self
            out.index = i
        self.origin: Origin = here()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle and deepcopy, as for the outputs. The origin is kept as places: code objects do not pickle."""
        from refgraph.core.pickling import reduce_node

        return reduce_node(self)

    def __copy__(self) -> Apply:
        """Another application of the same op to the same inputs."""
        return self.with_inputs(self.inputs)

    @property
    def tag(self) -> SimpleNamespace:
        """A place for anybody's own attributes."""
        try:
            return self._tag
        except AttributeError:
            self._tag: SimpleNamespace = SimpleNamespace()
            return self._tag

    @property
    def out(self) -> Variable:
        """The only output."""
        (out,) = self.outputs
        return out

    @property
    def nin(self) -> int:
        return len(self.inputs)

    @property
    def nout(self) -> int:
        return len(self.outputs)

    def with_inputs(self, inputs: Sequence[Variable], infer: bool = False) -> Apply:
        """The same op on other inputs; types are inferred anew where an input has another, or always with `infer`."""
        with made_for(self.origin):
            if not infer and all(new.type == old.type for new, old in zip(inputs, self.inputs, strict=True)):
                fresh = Apply(self.op, inputs, [out.type.variable() for out in self.outputs])
            else:
                fresh = self.op.make_node(*inputs)
        for new, old in zip(fresh.outputs, self.outputs, strict=True):
            new.name = old.name
        return fresh

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.inputs))})"


def toposort(outputs: Iterable[Variable], stop: Collection[Variable] = ()) -> list[Apply]:
    """Every application needed for `outputs`, inputs before users, not looking behind the variables in `stop`."""
    stop = stop if isinstance(stop, (set, frozenset, dict)) else set(stop)
    order: list[Apply] = []
    done: set[Apply] = set()
    for out in outputs:
        if out.owner is None or out.owner in done or out in stop:
            continue
        done.add(out.owner)
        stack: list[tuple[Apply, Iterator[Variable]]] = [(out.owner, iter(out.owner.inputs))]
        while stack:
            node, rest = stack[-1]
            for x in rest:
                maker = x.owner
                if maker is not None and maker not in done and x not in stop:
                    done.add(maker)
                    stack.append((maker, iter(maker.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def ancestors(outputs: Iterable[Variable], stop: Collection[Variable] = ()) -> list[Variable]:
    """Every variable that `outputs` depend on and the outputs themselves, each once, causes first."""
    outputs = list(outputs)
    stop = stop if isinstance(stop, (set, frozenset, dict)) else set(stop)
    seen: dict[Variable, None] = {}
    for node in toposort(outputs, stop):
        for x in node.inputs:
            seen.setdefault(x)
        for out in node.outputs:
            if out not in stop:  # one of several outputs may be: then only who reads it depends on it
                seen.setdefault(out)
    for out in outputs:
        seen.setdefault(out)
    return list(seen)


def leaves(outputs: Iterable[Variable], stop: Collection[Variable] = ()) -> list[Variable]:
    """The variables that `outputs` depend on and that no application makes: inputs, shared variables, constants."""
    stop = set(stop)
    return [v for v in ancestors(outputs, stop) if v.owner is None or v in stop]


def rebuild(
    outputs: Sequence[Variable],
    given: Mapping[Variable, Variable] | None = None,
    change: Callable[[Apply], Sequence[Variable] | None] | None = None,
) -> list[Variable]:
    """`outputs` computed from other things: each key of `given` replaced by its value, whatever made it.

    `change(node)` sees every node after its inputs are replaced, and may answer with variables to use for its outputs.
    What depends on no replacement is shared with the old graph, not copied.
    """
    new: dict[Variable, Variable] = dict(given or {})
    if not new and change is None:
        return list(outputs)
    # types may hold what was known of a value (a constant length, say): not true of what replaces that value
    infer = any(old.owner is not None or isinstance(old, Constant) for old in new)
    for node in toposort(outputs, new.keys()):
        inputs = [new.get(x, x) for x in node.inputs]
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        fresh = node if same else node.with_inputs(inputs, infer)
        better = change(fresh) if change is not None else None
        for old, out in zip(node.outputs, fresh.outputs if better is None else better, strict=True):
            if out is not old:
                new.setdefault(old, out)
    return [new.get(v, v) for v in outputs]


def listed_pairs(
    what: str, given: Any, means: str, error: type[RefgraphError] = GraphTypeError
) -> list[tuple[Any, Any]]:
    """What a user gave as a mapping or as pairs; `what` is its name and `means` what a pair is, for the error."""
    if given is None:
        return []
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    if isinstance(given, Variable) or not isinstance(given, Iterable):
        got = f"{given!r:.60} ({type(given).__name__})"
    else:
        pairs = list(pairs)
        wrong = [pair for pair in pairs if not isinstance(pair, (tuple, list)) or len(pair) != 2]
        if not wrong:
            return pairs
        got = f"{wrong[0]!r:.60} ({type(wrong[0]).__name__}) among them"
    raise error(f"{what} must be a dict or a list of pairs ({means}), got {got}", help=f"write {what}=[({means})]")


def replacements(
    pairs: Mapping[Variable, Any] | Iterable[tuple[Variable, Any]] | None, strict: bool = True, what: str = "replace"
) -> dict[Variable, Variable]:
    """What to give `rebuild`, from a mapping or pairs of variables and what stands for them: variables or values.

    With `strict` each must be of the type of what it replaces, as its `filter_variable` says; `what` is the caller's
    name for the pairs, for errors. Raises GraphTypeError.
    """
    found: dict[Variable, Variable] = {}
    for old, new in listed_pairs(what, pairs, "variable, what stands for it"):
        if not isinstance(old, Variable):
            raise GraphTypeError(f"{what}: only variables can be replaced, got {old!r:.60} ({type(old).__name__})")
        if old in found:
            raise GraphTypeError(f"{what}: {old} is replaced twice")
        if not isinstance(new, Variable):
            try:
                value = old.type.filter(new)
            except TypeError as error:
                raise GraphTypeError(
                    f"{what}: {new!r:.60} cannot stand for {old} ({old.type})",
                    why=getattr(error, "message", str(error)),
                    inputs=[old],
                ) from None
            if value is new:
                from copy import deepcopy

                value = deepcopy(value)
            new = old.type.constant(value)
        elif new.type != old.type and strict:
            try:
                new = old.type.filter_variable(new)
            except TypeError as error:
                differs = getattr(old.type, "dtype", None) != getattr(new.type, "dtype", None)
                raise GraphTypeError(
                    f"{what}: {new} ({new.type}) cannot stand for {old} ({old.type})",
                    why=getattr(error, "message", str(error)),
                    help="convert it with .astype(...)" if differs else "give it the same number of dimensions",
                    inputs=[old, new],
                ) from None
        found[old] = new
    return found


def clone(
    output: Any,
    replace: Mapping[Variable, Any] | Iterable[tuple[Variable, Any]] | None = None,
    strict: bool = True,
    share_inputs: bool = True,
) -> Any:
    """`output`, a variable or a list of them, computed from other things: each key of `replace` replaced by its value.

    With `strict` a replacement must have the type of what it replaces. Without `share_inputs` the inputs are fresh
    variables; shared variables keep their values in common. Graphs do not change, so what depends on no replacement is
    not copied.
    """
    many = isinstance(output, (list, tuple))
    outputs = list(output) if many else [output]
    for x in outputs:
        if not isinstance(x, Variable):
            raise GraphTypeError(
                f"clone takes a variable or a list of variables, got {x!r:.60} ({type(x).__name__})",
                help="give the variable itself",
            )
    given = replacements(replace, strict)
    if not share_inputs:
        for x in leaves([*outputs, *given.values()]):
            given.setdefault(x, x.clone())
    found = rebuild(outputs, given)
    return found if many else found[0]


class Graph:
    """A closed function: these inputs, these outputs, and nothing else but constants in between.

    Raises MissingInputError when an output depends on a variable that is neither an input nor a constant.
    """

    def __init__(self, inputs: Iterable[Variable], outputs: Iterable[Variable]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._refuse_open()

    @cached_property
    def nodes(self) -> tuple[Apply, ...]:
        """The applications that compute the outputs, inputs before users."""
        return tuple(toposort(self.outputs, set(self.inputs)))

    def __getstate__(self) -> dict[str, Any]:
        """What to pickle: not what follows from the rest."""
        return {k: v for k, v in self.__dict__.items() if k not in ("nodes", "clients", "variables")}

    def _refuse_open(self) -> None:
        known = set(self.inputs)
        for node in self.nodes:
            known.update(node.outputs)
            for x in node.inputs:
                if x not in known and not isinstance(x, Constant):
                    raise MissingInputError.of(x, node, self.inputs)
        for out in self.outputs:
            if out not in known and not isinstance(out, Constant):
                raise MissingInputError.of(out, None, self.inputs)

    @cached_property
    def clients(self) -> dict[Variable, list[tuple[Apply | str, int]]]:
        """Who reads each variable: pairs of an application and the input's number, or `("output", i)`."""
        readers: dict[Variable, list[tuple[Apply | str, int]]] = {v: [] for v in self.variables}
        for node in self.nodes:
            for i, x in enumerate(node.inputs):
                readers[x].append((node, i))
        for i, out in enumerate(self.outputs):
            readers[out].append(("output", i))
        return readers

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Inputs, constants, and all that is computed, each once, causes first."""
        return tuple(dict.fromkeys([*self.inputs, *ancestors(self.outputs, set(self.inputs))]))

    def toposort(self) -> list[Apply]:
        """Theano's name for the nodes in order."""
        return list(self.nodes)

    @property
    def apply_nodes(self) -> set[Apply]:
        """Theano's name for the nodes without order."""
        return set(self.nodes)

    def clone(self) -> Graph:
        """The same function of fresh inputs."""
        fresh = [x.clone() for x in self.inputs]
        return Graph(fresh, self(*fresh))

    def __call__(self, *inputs: Variable) -> list[Variable]:
        """The outputs as expressions of other inputs."""
        return rebuild(self.outputs, dict(zip(self.inputs, inputs, strict=True)))

    def __repr__(self) -> str:
        return f"Graph({len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs)"
