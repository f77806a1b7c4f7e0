"""function: a graph as something to call, with arguments checked, states kept, and updates made together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from refgraph.core import collecting
from refgraph.core.alias import Memory
from refgraph.core.config import config
from refgraph.core.errors import BackendError, GraphTypeError, InputError, UnusedInputError, UpdateError, nearest
from refgraph.core.graph import Constant, Graph, Variable, ancestors, leaves, listed_pairs, rebuild, replacements
from refgraph.core.show import ShownAsHtml
from refgraph.interp.backends import NUMPY, Backend, chosen, get_backend
from refgraph.interp.inputs import In, Out
from refgraph.interp.modes import Mode, get_mode
from refgraph.interp.postponed import Postponed, make_updates
from refgraph.interp.shared import Container, SharedVariable, commit, copied, values_of
from refgraph.ops.tensor import TensorType, TensorVariable, as_tensor, constant

if TYPE_CHECKING:
    from refgraph.core.types import Type
    from refgraph.interp.profile import Profile
    from refgraph.interp.report import Report

Pairs = Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None


def function(
    inputs: Sequence[Any],
    outputs: Any = None,
    mode: Mode | str | None = None,
    updates: Pairs = None,
    givens: Pairs = None,
    no_default_updates: bool | Sequence[Variable] = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: str | None = None,
    trust_input: bool = False,
    backend: str | Backend | None = None,
    strict: bool = False,
) -> Function:
    """A callable from values of `inputs` to values of `outputs`.

    inputs: variables, `In(variable, ...)`, or pairs (variable, default).
    outputs: None; a variable, number or `Out`, for one array; a list, for a list of arrays; a dict, for a dict.
    updates: new values of shared variables, as a dict or as pairs. They are computed from the old values and become
        visible together, after all outputs are computed; a call that raises changes nothing.
    givens: what to compute other things from, as a dict or as pairs: each key is replaced by its value, all at once.
    no_default_updates: True, or a list of shared variables, whose `default_update` is not made.
    rebuild_strict: givens must have the types of what they replace.
    allow_input_downcast: convert arguments with loss; None: only a Python float to floatX.
    on_unused_input: "raise" UnusedInputError, "warn" or "ignore" an input that nothing needs; None: as the flag says.
    trust_input: take arguments as they are: arrays of the right dtype and rank.
    profile: True, a name, or a Profile to write to: time every call and every node, for `f.profile.summary()`; None: as
        the flag says.
    backend: what runs it: the name of an installed backend, or a Backend; None: as the flags backend and device say.
        What it has no kernel for runs on the interpreter, which is the backend "numpy"; `f.report()` says what and why.
    strict: raise FallbackError where anything would run on the interpreter instead of the backend.
    accept_inplace: accepted as Theano's; no op here works in place.

    Outputs are NumPy's arrays that share no memory with anything else, unless `borrow` says that they may; of a backend
    with arrays of its own, outputs that are borrowed are such arrays. Raises MissingInputError when the outputs depend
    on a variable that is not among the inputs, UpdateError when an update is not of its variable's type, BackendError
    for a backend that is not there.
    """
    ins = [In.of(x) for x in _sequence("inputs", inputs)]
    _refuse_duplicates(ins)
    given = {i.variable for i in ins}
    kind, keys, outs = _outputs(outputs)
    replace = replacements(givens, rebuild_strict, "givens")
    updated = _update_pairs(updates, ins)
    found = rebuild([*[out.variable for out in outs], *updated.values()], replace)
    met = dict.fromkeys(ancestors(found, given))
    if no_default_updates is not True:
        skip = {*updated, *(no_default_updates or ())}
        for x, new in _default_updates(met, replace, given, skip).items():
            updated[x] = new
            found.append(new)
    found[len(outs) :] = [as_update(x, new) for x, new in zip(updated, found[len(outs) :], strict=True)]
    _check_used(ins, met, updated, on_unused_input or config.on_unused_input, name)
    states: list[Any] = [s for s in dict.fromkeys([*met, *updated]) if isinstance(s, SharedVariable) and s not in given]
    graph = Graph([*[i.variable for i in ins], *states], found)
    downcast = config.allow_input_downcast if allow_input_downcast is None else allow_input_downcast
    watch = _profile(profile, name)
    where = get_backend(backend) if backend is not None else None
    maker = Maker(graph, ins, outs, kind, keys, list(updated), get_mode(mode), downcast, name, watch, where, strict)
    return Function(maker, [*[i.container for i in ins], *[s.container for s in states]], trust_input)


def _outputs(outputs: Any) -> tuple[str, tuple[Any, ...] | None, list[Out]]:
    """How outputs were asked for ("none", "one", "many" or "dict"), their keys, and each of them."""
    if outputs is None:
        return "none", None, []
    if isinstance(outputs, Mapping):
        return "dict", tuple(outputs), [Out.of(x) for x in outputs.values()]
    if isinstance(outputs, (list, tuple)):
        return "many", None, [Out.of(x) for x in outputs]
    return "one", None, [Out.of(outputs)]


def _sequence(what: str, given: Any) -> list[Any]:
    if isinstance(given, Variable) or not isinstance(given, Iterable):
        raise GraphTypeError(
            f"function: {what} must be a list, got {given!r:.60} ({type(given).__name__})",
            help=f"write {what}=[{given!r:.20}]",
        )
    return list(given)


def _update_pairs(updates: Pairs, ins: Sequence[In]) -> dict[Variable, Any]:
    """New values by the variable that gets them: shared variables, and inputs that have an update."""
    found: dict[Variable, Any] = {}
    for x, new in listed_pairs("updates", updates, "shared variable, new value", UpdateError):
        if not isinstance(x, SharedVariable):
            kind = f"the variable {x}" if isinstance(x, Variable) else f"{x!r:.60} ({type(x).__name__})"
            raise UpdateError(f"updates are of shared variables, got {kind}", help="make it with shared(value)")
        if x in found:
            raise UpdateError(f"two updates of {x}", why=f"to {found[x]} and to {new}", inputs=[x])
        found[x] = new
    for i in ins:
        if i.update is not None:
            if i.container is None:
                raise UpdateError(
                    f"the input {i.variable} has an update but no value", help="use In(x, value=..., update=...)"
                )
            found[i.variable] = i.update
    return {x: as_update(x, new) for x, new in found.items()}


def as_update(x: Variable, new: Any) -> Variable:
    """A new value of x as a variable of its type; a number takes it, a shape may be asserted. Raises UpdateError."""
    given = new if isinstance(new, Variable) else _value_for(x, new)
    if given.type == x.type:
        return given
    try:
        return x.type.filter_variable(given)
    except TypeError:
        cast = f".astype('{x.type.dtype}')" if isinstance(x.type, TensorType) else ""
        rank = getattr(x.type, "dtype", None) == getattr(given.type, "dtype", None)
        raise UpdateError(
            f"the update of {x} is {given.type}, but {x} is {x.type}",
            why=f"the new value is {given}",
            help=f"compute a {x.type} with lengths that fit"
            if rank or not cast
            else f"cast the new value with {cast}, or make {x} a {given.type}",
            inputs=[x, given],
            origin=given.owner.origin if given.owner is not None else None,
        ) from None


def _value_for(x: Variable, value: Any) -> Variable:
    """A value as a constant that may become the value of x: a number takes its dtype."""
    if not isinstance(x.type, TensorType):
        return x.type.constant(x.type.filter(value))
    try:
        return constant(x.type.filter(value))
    except TypeError as error:
        refused = error
    try:
        return as_tensor(value)
    except TypeError:
        why = getattr(refused, "message", str(refused))
        raise UpdateError(f"the update of {x} ({x.type}) is {value!r:.60}", why=why, inputs=[x]) from None


def _default_updates(
    met: dict[Variable, None],
    replace: Mapping[Variable, Variable],
    given: Collection[Variable],
    skip: Collection[Variable],
) -> dict[Variable, Variable]:
    """The default updates of all shared variables in `met`, and of those that these updates read, which join `met`."""
    found: dict[Variable, Variable] = {}
    look: list[Variable] = list(met)
    while look:
        wanting = [s for s in look if isinstance(s, SharedVariable) and s.default_update is not None and s not in skip]
        fresh = rebuild([as_update(s, s.default_update) for s in wanting], replace)
        found.update(zip(wanting, fresh, strict=True))
        look = [x for x in ancestors(fresh, given) if x not in met]
        met.update(dict.fromkeys(look))
    return found


def _refuse_duplicates(ins: Sequence[In]) -> None:
    seen: dict[Variable, int] = {}
    for n, i in enumerate(ins):
        if not isinstance(i.variable, Variable) or isinstance(i.variable, Constant):
            raise GraphTypeError(
                f"input {n}, {i.variable}, is a constant", help="use a variable, and givens to replace a constant"
            )
        if isinstance(i.variable, SharedVariable) and i.container is None:
            raise GraphTypeError(
                f"input {n}, {i.variable}, is a shared variable, which is an input already",
                help="leave it out; to compute with another value use givens, to change it set_value or updates",
                inputs=[i.variable],
            )
        if i.variable in seen:
            raise UnusedInputError(
                f"{i.variable} is twice among the inputs, at {seen[i.variable]} and {n}",
                why="one of the two values would not be used",
                inputs=[i.variable],
            )
        seen[i.variable] = n


def _check_used(
    ins: Sequence[In], met: Mapping[Variable, None], updates: Mapping[Variable, Any], action: str, name: str | None
) -> None:
    if action not in ("raise", "warn", "ignore"):
        raise GraphTypeError(f"on_unused_input={action!r} is not one of raise, warn, ignore")
    if action == "ignore":
        return
    for n, i in enumerate(ins):
        x = i.variable
        if x not in met and x not in updates:
            needed = [str(v) for v in met if v.owner is None and not isinstance(v, Constant)]
            alike = nearest(x.name, [v for v in needed if v != x.name]) if x.name else ""
            twin = f"the {x} that they need is another variable of that name" if x.name in needed else ""
            error = UnusedInputError(
                f"{name or 'function'}: input {n}, {x} ({x.type}), is not used by any output or update",
                why=f"they depend on: {', '.join(needed)[:120] or 'nothing'}" + (f"; {twin}" if twin else ""),
                help=alike or 'leave it out, or use on_unused_input="ignore"',
                inputs=[x],
            )
            if action == "raise":
                raise error
            warnings.warn(str(error), stacklevel=3)


def _profile(wanted: Any, name: str | None) -> Profile | None:
    """What `get_profile` answers, which loads when something is to be timed."""
    if not (config.profile if wanted is None else wanted):
        return None
    from refgraph.interp.profile import get_profile

    return get_profile(wanted, name)


class Maker:
    """What a function was made from. `fgraph` is the graph that runs: its outputs are the outputs, then the updates.
    `written` is the graph before rewriting, as long as the function was not unpickled.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[In],
        outputs: Sequence[Out],
        kind: str,
        keys: tuple[Any, ...] | None,
        updated: Sequence[Variable],
        mode: Mode,
        allow_downcast: bool | None,
        name: str | None,
        profile: Profile | None,
        asked: Backend | None = None,
        strict: bool = False,
    ) -> None:
        """`asked` is the backend that was asked for; None where the flags choose it."""
        self.inputs, self.outputs, self.updated = tuple(inputs), tuple(outputs), tuple(updated)
        self.kind, self.keys, self.mode, self.name = kind, keys, mode, name
        self.allow_downcast, self.profile = allow_downcast, profile
        self.asked, self.strict = asked, strict
        self.written: Graph | None = graph
        with collecting.put_off():
            self.fgraph = mode.rewrite(graph)
            self._plan()

    def _plan(self) -> None:
        position = {x: i for i, x in enumerate(self.fgraph.inputs)}
        states = {len(self.outputs) + k: position[x] for k, x in enumerate(self.updated)}
        self.backend = backend = chosen(self.asked)
        self.getters: dict[int, Backend] = {}
        if backend is NUMPY and not any(c.backend for c in self._containers()):
            self.ran: Any = None
            self.program = self.mode.compile(self.fgraph, self.profile, states)
        else:
            self._plan_on(backend, states)
        self.postpones: Collection[int] = getattr(self.program, "postpones", ())
        self.finish = self._finishers()

    def _containers(self) -> list[Container]:
        """The containers of all states: of shared variables, and of inputs that keep a value."""
        shared = [x.container for x in self.fgraph.inputs if isinstance(x, SharedVariable)]
        return [*shared, *[i.container for i in self.inputs if i.container is not None]]

    def _plan_on(self, backend: Backend, states: Mapping[int, int]) -> None:
        """Plan for a backend, or for states that one keeps."""
        from refgraph.interp.placement import Ends, kernels_for, whole_program

        homes: dict[Variable, Backend | None] = {i.variable: i.container.backend for i in self.inputs if i.container}
        homes.update([(x, x.container.backend) for x in self.fgraph.inputs if isinstance(x, SharedVariable)])
        first, count = len(self.inputs), len(self.outputs)
        keepers = {x: b for x in self.fgraph.inputs[first:] if (b := homes[x]) is not None}
        self.getters = {count + k: b for k, x in enumerate(self.updated) if (b := homes[x]) is not None}
        if not backend.is_host:
            borrowed = [n for n, out in enumerate(self.outputs) if out.borrow and backend.holds(out.variable.type)]
            self.getters.update(dict.fromkeys(borrowed, backend))
        ends = Ends(self.fgraph, keepers, self.getters)
        self.ran = None if self.mode.watches else whole_program(backend, ends, states, self.mode.assumed, self.profile)
        if self.ran is not None:
            self.program = self.ran if self.profile is None else self.profile.program(self.ran)
        else:
            self.ran = kernels_for(backend, ends, alone=self.mode.watches)
            self.program = self.mode.compile(self.fgraph, self.profile, states, self.ran)
        action = "raise" if self.strict else "ignore" if backend.is_host else config.assert_no_cpu_op
        if action != "ignore":
            from refgraph.interp.report import on_fallbacks

            on_fallbacks(self.report(), action)

    def function_class(self, function: type[Function]) -> type[Function]:
        """The class of functions of this: where the program makes whole calls itself, one that is made for it."""
        made = getattr(self.ran, "function_class", None)
        return function if made is None else made(function)

    def report(self) -> Report:
        """Where the nodes run."""
        from refgraph.interp.report import report

        return report(self.backend, self.fgraph, self.ran)

    def __getstate__(self) -> dict[str, Any]:
        """What to pickle: all but the program, which is made anew, the profile, whose times are of this process, and
        the graph as it was written.
        """
        made = ("program", "finish", "profile", "written", "backend", "ran", "getters")
        return {**self.__dict__, **dict.fromkeys(made)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with collecting.put_off():
            if config.reoptimize_unpickled_function:
                self.fgraph = self.mode.rewrite(self.fgraph)
            self._plan()

    def remade(self, graph: Graph, updated: Sequence[Variable], profile: Profile | None) -> Maker:
        """The same function of another graph, whose last outputs are the new values of `updated`."""
        made = (graph, self.inputs, self.outputs, self.kind, self.keys, updated)
        return Maker(*made, self.mode, self.allow_downcast, self.name, profile, self.asked, self.strict)

    def _finishers(self) -> list[Callable[[Any], Any]]:
        """For each output and update, how it becomes an array that is nobody else's: mostly it is one already."""
        memory = Memory(self.fgraph)
        foreign = set(memory.outside)
        lent = {i.variable for i in self.inputs if i.borrow}
        found: list[Callable[[Any], Any]] = []
        for n, out in enumerate(self.fgraph.outputs):
            met, is_output = memory.claim(out, foreign), n < len(self.outputs)
            getter = self.getters.get(n)
            if not isinstance(out.type, TensorType):
                found.append(_itself)
            elif getter is not None:
                found.append(getter.copy if met and not (is_output and self.outputs[n].borrow) else _itself)
            elif is_output and self.outputs[n].borrow:
                found.append(np.asarray)
            elif met - (lent if is_output else set()):
                found.append(np.array)
            elif memory.may_be_view(out) or self.backend is not NUMPY:
                found.append(_writeable if n not in self.postpones else _writeable_unless_postponed)
            else:
                found.append(_unless_postponed if n in self.postpones else np.asarray)
            if self.backend is not NUMPY and isinstance(out.type, TensorType) and getter is None:
                found[-1] = _checked(found[-1], out, self.backend)
        return found


def _itself(value: Any) -> Any:
    return value


def _unless_postponed(value: Any) -> Any:
    return value if value.__class__ is Postponed else np.asarray(value)


def _checked(finish: Callable[[Any], Any], out: Variable, backend: Backend) -> Callable[[Any], Any]:
    """`finish`, with an error for what is no array of the output's type: a backend may answer anything."""
    type: Any = out.type

    def finished(value: Any) -> Any:
        array = finish(value)
        if array.__class__ is not Postponed and (array.dtype != type.numpy_dtype or array.ndim != type.ndim):
            raise BackendError(
                f"backend {backend.name!r} answers {_kind(value)} as {out}, which is {type}",
                help=f"its kernel must answer {type}; mode='DebugMode' finds the first that does not",
                node=out.owner,
            )
        return array

    return finished


def _kind(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of {value.dtype} and shape {value.shape}"
    return f"{value!r:.40} ({type(value).__name__})"


def _writeable_unless_postponed(value: Any) -> Any:
    return value if value.__class__ is Postponed else _writeable(value)


def _writeable(value: Any) -> Any:
    """An array that may be a view of an intermediate result: its own memory, unless it cannot be written."""
    array = np.asarray(value)
    return array if array.flags.writeable else array.copy()


class Function(ShownAsHtml):
    """A compiled function; see `function`. Holds no state of a call, so several threads may call it.

    A call that makes updates waits for other calls that update the same variables, so no update is lost. A call sees
    all of another call's updates or none.

    `f[x]`, `f["name"]`, `f[shared]` are copies of the values kept for an input with a default or for a shared variable;
    they can be set. `f.profile` has the times, when they were asked for. `name` and `trust_input` are plain attributes.
    """

    def __new__(cls, maker: Maker, containers: Sequence[Container | None], trust_input: bool = False) -> Function:
        own = maker.function_class(cls)
        return object.__new__(cls) if own is cls else own.__new__(own)  # type: ignore[call-arg]  # of its other base

    def __init__(self, maker: Maker, containers: Sequence[Container | None], trust_input: bool = False) -> None:
        self.maker = maker
        self.name = maker.name
        self.trust_input = trust_input
        self.profile = maker.profile
        ins = maker.inputs
        self._containers = tuple(containers)
        self._storages = tuple([c.storage for c in self._containers[len(ins) :] if c is not None])
        self._filters = tuple([_filter(i, maker.allow_downcast) for i in ins])
        self._arity = len(ins) if all(c is None for c in self._containers[: len(ins)]) else -1
        position = {x: n for n, x in enumerate(maker.fgraph.inputs)}
        targets = [self._containers[position[x]] for x in maker.updated]
        self._targets = tuple([c for c in targets if c is not None])
        self._locks = tuple([c.lock for c in sorted(set(self._targets), key=lambda c: c.serial)])
        self._single = maker.kind == "one"

    def report(self) -> Report:
        """What runs where, and why, where that is not the backend that was asked for; what is moved in between."""
        return self.maker.report()

    # calling

    def __call__(self, *args: Any, output_subset: Sequence[Any] | None = None, **kwargs: Any) -> Any:
        """The outputs for these arguments; with `output_subset`, numbers or keys, only those outputs."""
        kept: Sequence[int] = ()
        if kwargs or len(args) != self._arity:
            values, kept = self._bound(args, kwargs)
        else:
            values = self._accepted(args)
        results = self._updating(values, kept) if self._locks else self._run(values, kept)
        if self._single and output_subset is None:
            return results[0]
        return self._shaped(results, output_subset)

    def _accepted(self, args: Sequence[Any]) -> list[Any]:
        if self.trust_input:
            return list(args)
        try:
            return [accept(arg) for accept, arg in zip(self._filters, args, strict=True)]
        except TypeError:
            for n, arg in enumerate(args):
                self._accept(n, arg)
            raise

    def _accept(self, n: int, arg: Any) -> Any:
        try:
            return self._filters[n](arg)
        except TypeError as error:
            i = self.maker.inputs[n]
            what = getattr(error, "message", str(error))
            raise InputError(
                f"{self._signature()}: bad argument {n}, {i.variable} ({i.variable.type}): {what}",
                why=getattr(error, "why", ""),
                help=getattr(error, "help", ""),
                inputs=[i.variable],
            ) from None

    def _run(self, values: list[Any], kept: Sequence[int]) -> list[Any]:
        """The outputs, then the new values for updates, each an array of its own."""
        storages, maker = self._storages, self.maker
        try:
            if len(storages) + len(kept) > 1:
                with commit:
                    self._read(values, kept)
            elif storages or kept:
                self._read(values, kept)
        except IndexError:  # a call is overwriting one of them
            self._read_later(values, kept)
        results = maker.program(*values)
        if len(results) == 1:
            return [maker.finish[0](results[0])]
        return [finish(value) for finish, value in zip(maker.finish, results, strict=True)]

    def _read(self, values: list[Any], kept: Sequence[int]) -> None:
        """Add the values that are kept: of shared variables, and of inputs that were not given."""
        for n in kept:
            container = self._containers[n]
            values[n] = container.as_numpy(container.storage[0])  # type: ignore[union-attr]  # `kept` says it is there
        values += [storage[0] for storage in self._storages]

    def _read_later(self, values: list[Any], kept: Sequence[int]) -> None:
        """As `_read`, when nobody is overwriting any of them."""
        count = len(self.maker.inputs)
        found = values_of([c for n, c in enumerate(self._containers) if c is not None and (n >= count or n in kept)])
        for n, value in zip(sorted(kept), found, strict=False):
            values[n] = self._containers[n].as_numpy(value)  # type: ignore[union-attr]  # likewise
        values += found[len(kept) :]

    def _updating(self, values: list[Any], kept: Sequence[int]) -> list[Any]:
        """As `_run`, while nobody else changes what is updated; the new values appear together at the end."""
        held = 0
        try:
            for lock in self._locks:
                lock.acquire()
                held += 1
            results = self._run(values, kept)
            news = results[len(results) - len(self._targets) :]
            if self.maker.postpones and Postponed in map(type, news):
                values.clear()  # what nobody holds may be overwritten
                make_updates(self._targets, news)
                return results
            with commit:
                for container, new in zip(self._targets, news, strict=True):
                    container.storage[0] = new
            return results
        finally:
            for lock in self._locks[:held]:
                lock.release()

    def _shaped(self, results: list[Any], subset: Sequence[Any] | None) -> Any:
        """The outputs in the form in which they were asked for."""
        keys, outputs = self.maker.keys, results[: len(self.maker.outputs)]
        if subset is not None:
            if unknown := [k for k in subset if k not in (keys if keys is not None else range(len(outputs)))]:
                raise InputError(f"{self._signature()}: no output {unknown[0]!r}", why="asked for by output_subset")
            if keys is None:
                return [outputs[k] for k in subset]
            return {k: v for k, v in zip(keys, outputs, strict=True) if k in subset}
        return outputs if keys is None else dict(zip(keys, outputs, strict=True))

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], list[int]]:
        """A value for each input, and the numbers of those that keep theirs, whose places are empty."""
        ins = self.maker.inputs
        free = [n for n, i in enumerate(ins) if not i.implicit]
        if len(args) > len(free):
            raise InputError(f"{self._signature()} takes {_arguments(len(free))}, got {len(args)}")
        given = dict(zip(free, args, strict=False))
        for name, arg in kwargs.items():
            n = self._named(name, free)
            if n in given:
                raise InputError(f"{self._signature()}: two values for {name}", why="one by position and one by name")
            given[n] = arg
        missing = [n for n in free if n not in given and self._containers[n] is None]
        if missing:
            names = ", ".join(str(ins[n].variable) for n in missing)
            raise InputError(
                f"{self._signature()}: no value for {names}",
                why=f"got {_arguments(len(args) + len(kwargs))}",
                inputs=[ins[n].variable for n in missing],
            )
        values = [
            None if n not in given else given[n] if self.trust_input else self._accept(n, given[n])
            for n in range(len(ins))
        ]
        return values, [n for n in range(len(ins)) if n not in given]

    def _named(self, name: str, among: Sequence[int]) -> int:
        ins = self.maker.inputs
        found = [n for n in among if ins[n].name == name]
        if len(found) == 1:
            return found[0]
        names = [i.name for n in among if (i := ins[n]).name]
        raise InputError(
            f"{self._signature()}: {'several inputs are' if found else 'no input is'} named {name!r}",
            help="give the value by position" if found else nearest(name, [n for n in names if n is not None]),
        )

    def _signature(self) -> str:
        parts = []
        for i in self.maker.inputs:
            if not i.implicit:
                label = i.name or str(i.variable)
                parts.append(label if i.container is None else f"{label}=...")
        return f"{self.name or 'function'}({', '.join(parts)})"

    # states

    def _place(self, key: Any) -> Container:
        """The container of an input or shared variable, by variable, name or In. Raises KeyError."""
        variable = key.variable if isinstance(key, In) else key
        for n, x in enumerate(self.maker.fgraph.inputs):
            name = self.maker.inputs[n].name if n < len(self.maker.inputs) else x.name
            if x is variable or (isinstance(key, str) and name == key):
                container = self._containers[n]
                if container is None:
                    raise KeyError(
                        f"{x} has no value of its own: give it in the call, or a default with In({x}, value=...)"
                    )
                return container
        raise KeyError(f"{self._signature()} has no input or shared variable {key}")

    def __getitem__(self, key: Any) -> Any:
        place = self._place(key)
        return copied(place.as_numpy(place.value))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._place(key).value = copied(value)

    def __contains__(self, key: Any) -> bool:
        try:
            self._place(key)
        except KeyError:
            return False
        return True

    @property
    def value(self) -> Function:
        """Theano's spelling: `f.value[x]` is `f[x]`."""
        return self

    @property
    def defaults(self) -> dict[Variable, Any]:
        """The defaults of inputs that have one."""
        pairs = zip(self.maker.inputs, self._containers, strict=False)
        return {i.variable: c.as_numpy(c.value) for i, c in pairs if c is not None}

    @property
    def container(self) -> _Containers:
        """`f.container[x]` holds the value of x: an input with a default or a shared variable."""
        return _Containers(self)

    @property
    def input_storage(self) -> list[Container | None]:
        """The containers of all inputs of the graph, shared variables last; None for an input without a default."""
        return list(self._containers)

    def get_shared(self) -> list[SharedVariable]:
        """The shared variables that it reads or updates."""
        return [x for x in self.maker.fgraph.inputs if isinstance(x, SharedVariable)]

    # the graph

    @property
    def graph(self) -> Graph:
        """The graph that runs. Shared variables are its last inputs, updates its last outputs."""
        return self.maker.fgraph

    @property
    def inputs(self) -> list[Variable]:
        """The variables that stand for the arguments."""
        return [i.variable for i in self.maker.inputs]

    @property
    def outputs(self) -> list[Variable]:
        """The variables that stand for the results."""
        return list(self.maker.fgraph.outputs[: len(self.maker.outputs)])

    def copy(
        self,
        share_memory: bool = False,
        swap: Mapping[Any, Any] | None = None,
        delete_updates: bool = False,
        name: str | None = None,
        profile: Any = None,
    ) -> Function:
        """Another function of the same graph, with copies of the values kept for inputs; shared variables stay shared.

        swap: shared variables to use instead of others, of the same types.
        delete_updates: make no updates.
        profile: as for `function`.
        share_memory: accepted as Theano's; no memory is kept between calls.
        """
        watch = _profile(profile, name or self.name)
        maker, change = self.maker, replacements(swap, strict=False, what="swap")
        count = len(maker.inputs)
        for old, new in change.items():
            mine = isinstance(old, SharedVariable) and old in maker.fgraph.inputs[count:]
            if not mine or not isinstance(new, SharedVariable):
                raise GraphTypeError(
                    f"{self._signature()}: cannot swap {old} for {new}",
                    help="swap shared variables of the function for others",
                )
            if new.type != old.type:
                raise GraphTypeError(
                    f"{self._signature()}: cannot swap {old} ({old.type}) for {new} ({new.type})",
                    why="the function was made for values of exactly that type",
                    help=_how_to_share(old.type),
                    inputs=[old, new],
                )
        containers = [
            c.copy() if c is not None and i.private else c for i, c in zip(maker.inputs, self._containers, strict=False)
        ]
        if change or delete_updates or watch is not None:
            keep = len(maker.outputs) if delete_updates else len(maker.fgraph.outputs)
            outputs = rebuild((maker.written or maker.fgraph).outputs[:keep], change)
            updated = () if delete_updates else tuple([change.get(x, x) for x in maker.updated])
            states = dict.fromkeys([change.get(x, x) for x in maker.fgraph.inputs[count:]])
            graph = Graph([*maker.fgraph.inputs[:count], *states], outputs)
            maker = maker.remade(graph, updated, maker.profile if watch is None else watch)
        fixed = [x.container for x in maker.fgraph.inputs[count:] if isinstance(x, SharedVariable)]
        copy = Function(maker, [*containers, *fixed], self.trust_input)
        copy.name = self.name if name is None else name
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: what it was made from, and the values kept; what shares variables in one pickle still does."""
        return _unpickled, (self.maker, self._containers, self.trust_input, self.name)

    def __copy__(self) -> Function:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Function:
        """Another function of copies of everything, shared variables too; `copy` keeps these shared."""
        from copy import deepcopy

        fresh = Function(deepcopy(self.maker, memo), deepcopy(self._containers, memo), self.trust_input)
        fresh.name = self.name
        return fresh

    def free(self) -> None:
        """Give back memory that is kept from call to call; on the interpreter there is none."""
        free = getattr(self.maker.ran, "free", None)
        if free is not None:
            free()

    def __repr__(self) -> str:
        return f"<{self._signature()}: {self.maker.fgraph}>"


def _how_to_share(type: Type) -> str:
    """How to make a shared variable of this type, for errors."""
    if not isinstance(type, TensorType):
        return f"give a shared variable of type {type}"
    return f"make the other one so: shared(np.asarray(value, '{type.dtype}'), shape={type.shape})"


def _unpickled(
    maker: Maker, containers: Sequence[Container | None], trust_input: bool, name: str | None
) -> Function | None:
    """A function from its pickle; None when the flag unpickle_function is off."""
    if not config.unpickle_function:
        return None
    fresh = Function(maker, containers, trust_input)
    fresh.name = name
    return fresh


class _Containers:
    def __init__(self, function: Function) -> None:
        self._function = function

    def __getitem__(self, key: Any) -> Container:
        return self._function._place(key)


def _arguments(n: int) -> str:
    return f"{n} argument{'s' * (n != 1)}"


def _filter(i: In, allow_downcast: bool | None) -> Callable[[Any], Any]:
    """What makes a valid value of an argument, or raises InputError."""
    type, strict = i.variable.type, i.strict
    downcast = allow_downcast if i.allow_downcast is None else i.allow_downcast

    def accept(value: Any) -> Any:
        return type.filter(value, strict, downcast)

    if not isinstance(type, TensorType) or any(d is not None for d in type.shape):
        return accept
    array, dtype, ndim = np.ndarray, type.numpy_dtype, type.ndim

    def accept_array(value: Any) -> Any:
        if value.__class__ is array and value.dtype is dtype and value.ndim == ndim:
            return value
        return type.filter(value, strict, downcast)

    return accept_array


class _Evaluators(dict[Any, Function]):
    """The functions that `eval` made for a variable. Pickled, or copied deep with it, there are none."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _Evaluators, ()


def _eval(self: Variable, inputs_to_values: Mapping[Any, Any] | None = None, **options: Any) -> Any:
    """The value of this variable, given values for the inputs it depends on.

    Keys are variables or their names; shared variables need no value. The function is made once for each set of inputs.
    `options` are those of `function`.
    """
    given = {} if inputs_to_values is None else inputs_to_values
    if not isinstance(given, Mapping):
        raise GraphTypeError(
            f"{self}.eval takes a dict from inputs to values, got {given!r:.60} ({type(given).__name__})",
            help=f"write {{x: {given!r:.20}}}, where x is the input",
        )
    keys = tuple([_input_named(self, k) if isinstance(k, str) else k for k in given])
    functions: _Evaluators = self.__dict__.setdefault("_evaluators", _Evaluators())
    kind = (frozenset(keys), config.mode)
    f = functions.get(kind) if not options else None
    if f is None or set(f.inputs) != set(keys):
        f = function(list(keys), self, **options)
        if not options:
            functions[kind] = f
    values = dict(zip(keys, given.values(), strict=True))
    return f(*[values[x] for x in f.inputs])


def _input_named(x: Variable, name: str) -> Variable:
    found = [v for v in leaves([x]) if v.name == name and not isinstance(v, Constant)]
    if len(found) != 1:
        names = sorted({v.name for v in leaves([x]) if v.name and not isinstance(v, Constant)})
        raise InputError(
            f"{x}.eval: {'several inputs are' if found else 'no input is'} named {name!r}",
            help="use the variable itself as key"
            if found
            else nearest(name, names) or f"its inputs are: {', '.join(names)}",
        )
    return found[0]


TensorVariable.eval = _eval  # type: ignore[method-assign, assignment]  # running lives on this floor, its users below
