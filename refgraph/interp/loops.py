"""Loops as one writes them: `scan` and its kin make a loop of a step function. The op is in ops/scan.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.core.errors import DomainError, GraphTypeError, RefgraphError, ShapeError, nearest
from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, rebuild, toposort
from refgraph.core.origin import Origin, defined
from refgraph.interp.function import as_update
from refgraph.interp.modes import Mode, get_mode
from refgraph.interp.number_states import dtypes_to_start
from refgraph.interp.shared import SharedVariable, next_serial
from refgraph.interp.updates import OrderedUpdates
from refgraph.ops.branch import ifelse
from refgraph.ops.elementwise import ceil, maximum, minimum, sqrt
from refgraph.ops.families import operands
from refgraph.ops.indexing import Index
from refgraph.ops.joining import concatenate
from refgraph.ops.lengths import scalar_value
from refgraph.ops.retyping import retyped
from refgraph.ops.scan import Loop, Scan, State, as_state, number_of_steps
from refgraph.ops.tensor import NumberConstant, TensorType, TensorVariable, as_tensor

Step = Callable[..., Any]
Result = tuple[Any, OrderedUpdates]


class until:
    """What a step function returns besides its outputs to end the loop: after the step in which `condition` is true.

    condition: a 0-d variable, true where it is not 0. Raises GraphTypeError.
    """

    def __init__(self, condition: Any) -> None:
        self.condition = as_tensor(condition)
        if self.condition.ndim != 0:
            raise GraphTypeError(
                f"until takes a single condition, got {self.condition} ({self.condition.type})",
                help="use T.all(...) or T.any(...)",
                inputs=[self.condition],
            )


def scan(
    fn: Step,
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Mode | str | None = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: bool | None = None,
    strict: bool = False,
    return_list: bool = False,
) -> Result:
    """Call `fn` once with the variables of a step, and run what it answers step after step.

    fn: is given, in this order, an item of each sequence (at each of its taps), the values of each state at its taps,
        and the non_sequences. It answers a variable or a list of them, one for each entry of outputs_info; updates of
        shared variables, as a dict or a list of pairs; `until(condition)`; or several of these in a tuple.
    sequences: variables or arrays, taken apart along their first axis, or `dict(input=x, taps=[-1, 0, 2])`: taps say
        how many items before (negative) or after the current one. The shortest sequence decides how many steps.
    outputs_info: for each output None, when no step reads it; the initial value of a state, that the next step reads;
        or `dict(initial=h, taps=[-1, -3])`, where h holds as many initial values along its first axis as the farthest
        tap reaches back, the latest last.
    non_sequences: what else fn is given. It may also use variables from outside as they are, unless `strict`. What does
        not depend on the loop is computed once.
    n_steps: how many steps, an int or a 0-d integer variable; 0 is fine. No sequence may be shorter.
    truncate_gradient: how many steps a gradient goes back from the last one; -1: all.
    go_backwards: take the sequences from their ends.
    mode: run the steps in this mode, whatever the function's is. profile: True, a name or a Profile: time the steps.
    name: for prints and errors. allow_gc: accepted as Theano's; a step keeps nothing that no step reads.
    return_list: answer a list, if of one output.

    Answers (outputs, updates): outputs, stacked along a new first axis, as one variable, as a list, or None where there
    are none; updates, for `function`, of the shared variables that the steps update. A shared variable with a
    `default_update` that a step reads is updated in each step. Draws of random numbers are fresh in each step and call.

    A state keeps its dtype and its shape: a step's value that fits without loss is cast, any other raises DTypeError
    or ShapeError. One that starts from a Python number takes the dtype that the step's arithmetic makes of the number;
    for another, or where a step does more with it than arithmetic, start from an array, np.float32(0) say.
    Raises GraphTypeError for what it cannot make a loop of.
    """
    made = _Scan(fn, sequences, outputs_info, non_sequences, n_steps, go_backwards, name, strict)
    made.build(truncate_gradient, _inner_mode(mode, profile, name))
    return _formed(made.outputs(), return_list), made.updates


def map(
    fn: Step,
    sequences: Any,
    non_sequences: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Mode | str | None = None,
    name: str | None = None,
) -> Result:
    """`fn` of each item of the sequences, stacked; see `scan`."""
    return scan(fn, sequences, None, non_sequences, None, truncate_gradient, go_backwards, mode, name)


def reduce(
    fn: Step,
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    go_backwards: bool = False,
    mode: Mode | str | None = None,
    name: str | None = None,
) -> Result:
    """What `fn` makes of the states in the last step, or their initial values where there is no step; see `scan`."""
    made = _Scan(fn, sequences, outputs_info, non_sequences, None, go_backwards, name, False)
    made.build(-1, _inner_mode(mode, None, name))
    return _formed(made.last_outputs(), False), made.updates


def foldl(
    fn: Step,
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Mode | str | None = None,
    name: str | None = None,
) -> Result:
    """`reduce` from the first item to the last."""
    return reduce(fn, sequences, outputs_info, non_sequences, False, mode, name)


def foldr(
    fn: Step,
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Mode | str | None = None,
    name: str | None = None,
) -> Result:
    """`reduce` from the last item to the first."""
    return reduce(fn, sequences, outputs_info, non_sequences, True, mode, name)


def scan_checkpoints(
    fn: Step,
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    name: str | None = "checkpointscan_fn",
    n_steps: Any = None,
    save_every_N: Any = None,
    padding: bool = True,
) -> Result:
    """A loop whose gradient keeps only the states after every so many steps, and takes the steps between them again.

    So it needs memory for about 2 sqrt(n) states, and one more forward pass. (T. Chen, B. Xu, C. Zhang and C. Guestrin,
    "Training deep nets with sublinear memory cost", 2016.)

    sequences: without taps. outputs_info: None or an initial value for each output, no other taps.
    save_every_N: how many steps lie between two states that are kept; None: sqrt(n), rounded up.
    padding: False says that save_every_N divides the number of steps, so that no stretch is shorter than the others.

    Answers (outputs, updates) as `scan` does, but the outputs hold only the steps that end such a stretch; the last
    step is the last of them.
    """
    given = [_Sequence(x) for x in _listed(sequences)]
    for x in given:
        if x.taps != [0]:
            raise GraphTypeError("scan_checkpoints takes sequences without taps", help="shift the sequence itself")
    infos = [_Output(x) for x in _listed(outputs_info)]
    if any(x.taps not in ((), (1,)) for x in infos):
        raise GraphTypeError(
            "scan_checkpoints takes states that are read one step back", help="use scan for other taps"
        )
    n = _shortest([x.input for x in given], n_steps)
    root = maximum(1, ceil(sqrt(n.astype("float64"))).astype("int64"))
    every = root if save_every_N is None else as_tensor(save_every_N)
    _refuse_stretches(given, n, scalar_value(every))
    full, rest, n_blocks = n // every, n % every, len(given)
    length = maximum(every, 1)

    def stretch(*given: Any) -> Any:
        blocks, states = given[:n_blocks], iter(given[n_blocks:])
        inner = [next(states) if x.taps else None for x in infos]
        made = _Scan(fn, blocks, inner, list(states), length, False, name, False)
        made.build(-1, None)
        if made.loop.until is not None:
            raise GraphTypeError("scan_checkpoints knows no until: it must know which steps to keep", help="use scan")
        return made.last_outputs(), made.updates

    blocks = [_blocks(x.input[: full * every if padding else n], full, length) for x in given]
    label = name and f"{name} by stretches"
    made = _Scan(stretch, blocks, [x.given for x in infos], non_sequences, full, False, label, False)
    node = made.build(-1, None)
    if not padding:
        return _formed(made.outputs(), False), made.updates
    shorter, last = maximum(rest, 1), minimum(rest, 1)
    tails = [_blocks(x.input[full * every : n], last, shorter) for x in given]
    return _continued(made, node, last, tails, {length: shorter})


def _continued(
    made: _Scan, node: Apply, n: Any, sequences: Sequence[Any], whole: Mapping[Variable, Variable]
) -> Result:
    """What a loop puts out when it goes on for n more steps, of other sequences and whole values.

    Its states are read one step back.
    """
    op: Any = node.op
    before, initials, carried, wholes = op.parts(node.inputs[1:])
    given = dict(zip([x for x, _ in made.loop.sequences], sequences, strict=True))
    outputs: Sequence[Any] = node.outputs
    states = [out[-1:] for out in outputs[: len(initials)]]
    carried = outputs[len(initials) : len(initials) + len(carried)]
    after = op.make_node(n, *[given[x] for x in before], *states, *carried, *[whole.get(x, x) for x in wholes])
    ends = made.outputs()
    found = rebuild([*ends, *made.updates.values()], dict(zip(outputs, after.outputs, strict=True)))
    joined = [ifelse(n, concatenate([a, b]), a) for a, b in zip(ends, found, strict=False)]
    return _formed(joined, False), OrderedUpdates(zip(made.updates, found[len(ends) :], strict=True))


def _refuse_stretches(given: Sequence[_Sequence], n: Any, every: Any) -> None:
    """Raise for numbers of steps that are known to make no sense."""
    if every is not None and every < 1:
        raise DomainError(f"scan_checkpoints: save_every_N is {every}", help="it is a number of steps: 1 or more")
    steps = scalar_value(n)
    for x in given:
        length = x.input.type.shape[0]
        if steps is not None and length is not None and length < steps:
            raise ShapeError(
                f"scan_checkpoints: the sequence {x.input} has {length} items, for {steps} steps", inputs=[x.input]
            )


def _blocks(x: Any, count: Any, every: Any) -> Any:
    """A sequence as a sequence of stretches."""
    return x.reshape([count, every, *[x.shape[i] for i in range(1, x.ndim)]], ndim=x.ndim + 1)


# What the user gave


def _listed(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _formed(outputs: list[Any], return_list: bool) -> Any:
    if return_list or len(outputs) > 1:
        return outputs
    return outputs[0] if outputs else None


def _entries(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise GraphTypeError(
                f"scan: {what} has no entry {key!r}", help=nearest(str(key), known) or f"use {' and '.join(known)}"
            )


def _taps(what: str, taps: Any) -> list[int]:
    found = [taps] if isinstance(taps, (int, np.integer)) else list(taps)
    if not all(isinstance(k, (int, np.integer)) for k in found) or len(set(found)) != len(found):
        raise GraphTypeError(f"scan: the taps of {what} must be different ints, got {taps!r}")
    return [int(k) for k in found]


class _Sequence:
    """An entry of sequences."""

    def __init__(self, given: Any) -> None:
        entry = given if isinstance(given, Mapping) else {"input": given}
        _entries("a sequence", entry, ("input", "taps"))
        if entry.get("input") is None:
            raise GraphTypeError(
                f"scan: a sequence has no input: {given!r:.60}", help="write dict(input=x, taps=[...])"
            )
        self.input = as_tensor(entry["input"])
        if self.input.ndim == 0:
            raise GraphTypeError(
                f"scan takes sequences with at least one axis, got {self.input} ({self.input.type})",
                help="a loop without sequences takes n_steps; what each step needs whole goes into non_sequences",
                inputs=[self.input],
            )
        taps = entry.get("taps")
        self.taps = [0] if taps is None else _taps(f"the sequence {self.input}", taps)

    def slices(self, backwards: bool) -> Iterator[tuple[Any, str]]:
        """For each tap what has the item for step t as its item t, and the name of that item."""
        low, high = min([0, *self.taps]), max([0, *self.taps])
        for k in self.taps:
            x = self.input if low == high else self.input[k - low : None if k == high else k - high]
            yield x[::-1] if backwards else x, f"{self.input.name or 'item'}[t{f'{k:+d}' if k else ''}]"


class _Output:
    """An entry of outputs_info: `initial` values along the first axis, and taps as numbers of steps back."""

    def __init__(self, given: Any) -> None:
        self.given = given
        entry = given if isinstance(given, Mapping) else {} if given is None else {"initial": given}
        _entries("an entry of outputs_info", entry, ("initial", "taps", "inplace", "return_steps"))
        initial, taps = entry.get("initial"), entry.get("taps")
        self.initial: Any = None
        self.taps: tuple[int, ...] = ()
        self.name = ""
        if initial is None:
            if taps not in (None, [], ()):
                raise GraphTypeError(
                    f"scan: an entry of outputs_info has taps {taps} and no initial value",
                    help="write dict(initial=h, taps=[...])",
                )
            return
        self.value = as_tensor(initial)
        self.name = self.value.name if self.value.name and not isinstance(self.value, Constant) else ""
        self.taps = (1,) if taps is None else self._back(_taps(f"the state {self.value}", taps))
        self.initial = self._first()

    def _back(self, taps: Sequence[int]) -> tuple[int, ...]:
        if not taps or any(k >= 0 for k in taps):
            raise GraphTypeError(
                f"scan: the taps of the state {self.value} must be negative, got {list(taps)}",
                why="a step reads the values of steps before it",
                help="-1 is the step before",
            )
        return tuple([-k for k in taps])

    def _first(self) -> Any:
        """As many initial values as the farthest tap reaches back, along the first axis."""
        depth = max(self.taps)
        if self.taps == (1,):
            return self.value[None]
        if self.value.ndim == 0 or (self.value.type.shape[0] is not None and self.value.type.shape[0] < depth):
            raise ShapeError(
                f"scan: the initial values of {self.value} are {self.value.type}, its taps reach {depth} steps back",
                help=f"give {depth} initial values along the first axis",
                inputs=[self.value],
            )
        return self.value if self.value.type.shape[0] == depth else self.value[:depth]

    def names(self, i: int) -> list[str]:
        """What to call the values that a step reads of state number i."""
        return [f"{self.name or f'state {i}'}[t-{k}]" for k in self.taps]


def _shortest(sequences: Sequence[Any], n_steps: Any) -> TensorVariable:
    """The number of steps: as given, or the length of the shortest sequence."""
    if n_steps is not None:
        return number_of_steps(n_steps)
    if not sequences:
        raise GraphTypeError("scan: how many steps?", help="give n_steps, or a sequence")
    known = [x.type.shape[0] for x in sequences if x.type.shape[0] is not None]
    lengths: list[Any] = [x.shape[0] for x in sequences if x.type.shape[0] is None]
    lengths = [*dict.fromkeys(lengths), *([as_tensor(min(known))] if known else [])]
    n = lengths[0]
    for other in lengths[1:]:
        n = minimum(n, other)
    return n  # type: ignore[no-any-return]  # a tensor


def _cut(x: Any, n: TensorVariable, alone: bool) -> Any:
    """A sequence of n items, unless it is known to have them."""
    value = scalar_value(n)
    return x if alone or (value is not None and x.type.shape[0] == value) else x[:n]


# What the step function answers


class _Answer:
    """What a step function answered: outputs, updates of shared variables, and whether the step is the last one."""

    def __init__(self, fn: Step, answer: Any) -> None:
        self.fn = fn
        self.outputs: list[Any] = []
        self.updates = OrderedUpdates()
        self.forked: list[Any] = []
        """Shared variables that the loop updates for itself."""
        self.until: Any = None
        parts = [answer]
        if isinstance(answer, (tuple, list)) and not _is_updates(answer):
            apart = any(isinstance(x, (until, Mapping, list, tuple)) or x is None for x in answer)
            parts = list(answer) if apart else [answer]
        for part in parts:
            self._take(part)
        self.outputs = [self._output(i, x) for i, x in enumerate(self.outputs)]

    @property
    def variables(self) -> list[Any]:
        """All variables that a step computes."""
        return [*self.outputs, *self.updates.values(), *([] if self.until is None else [self.until])]

    def replaced(self, given: Mapping[Variable, Variable]) -> None:
        """Compute it all from other things, which may be of other dtypes."""
        found = iter(retyped(self.variables, given))
        self.outputs = [next(found) for _ in self.outputs]
        self.updates = OrderedUpdates([(x, next(found)) for x in self.updates])
        self.until = next(found, None)

    def _take(self, part: Any) -> None:
        if isinstance(part, until):
            if self.until is not None:
                raise GraphTypeError(
                    "scan: the step function answers until(...) twice",
                    help="put the conditions together: until(a | b)",
                    origin=_definition(self.fn),
                )
            self.until = part.condition
        elif isinstance(part, Mapping) or _is_updates(part):
            self.updates.update(part)
        elif part is not None:
            self.outputs += part if isinstance(part, (list, tuple)) else [part]

    def _output(self, i: int, x: Any) -> TensorVariable:
        try:
            return as_tensor(x)
        except TypeError as error:
            raise GraphTypeError(
                f"scan: the step function answers {x!r:.60} ({type(x).__name__}) as output {i}",
                why=getattr(error, "message", str(error)),
                help="answer variables, a dict of updates, and until(condition)",
                origin=_definition(self.fn),
            ) from None


def _is_updates(x: Any) -> bool:
    """Whether x is a list of pairs of shared variables and their new values."""
    pairs = isinstance(x, (list, tuple)) and len(x) > 0 and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in x)
    return pairs and all(isinstance(p[0], SharedVariable) for p in x)


def _definition(fn: Step) -> Origin | None:
    code = getattr(fn, "__code__", None)
    return None if code is None else (defined(code),)


def _called(fn: Step, arguments: Sequence[Variable]) -> Any:
    """What fn answers. Raises GraphTypeError when it does not take these arguments."""
    if not callable(fn):
        raise GraphTypeError(f"scan: the step function must be callable, got {fn!r:.60} ({type(fn).__name__})")
    try:
        return fn(*arguments)
    except TypeError as error:
        trace = error.__traceback__
        if isinstance(error, RefgraphError) or trace is None or trace.tb_next is not None:
            raise  # of what it does, not of how it was called
        given = ", ".join([str(x) for x in arguments]) or "nothing"
        raise GraphTypeError(
            f"scan: the step function does not take what it is given: {given}",
            why=str(error),
            help="it is given items of sequences, then values of states (entries of outputs_info), then non_sequences",
            origin=_definition(fn),
        ) from None


class _Inner:
    """Runs steps in a mode of their own, timed where there is a profile to write to."""

    def __init__(self, mode: Mode, profile: Any) -> None:
        self.mode, self.profile = mode, profile

    def compile(self, graph: Graph) -> Callable[..., list[Any]]:
        """A program for the graph of a step."""
        return self.mode.compile(self.mode.rewrite(graph), self.profile)

    def __getstate__(self) -> dict[str, Any]:
        """What to pickle: not the times, which are of this process."""
        return {"mode": self.mode, "profile": None}


def _inner_mode(mode: Mode | str | None, profile: Any, name: str | None) -> _Inner | None:
    if mode is None and not profile:
        return None
    from refgraph.interp.profile import get_profile

    return _Inner(get_mode(mode), get_profile(profile, name or "scan") if profile else None)


# The loop


class _Scan:
    """A loop that is made of a step function."""

    def __init__(
        self,
        fn: Step,
        sequences: Any,
        outputs_info: Any,
        non_sequences: Any,
        n_steps: Any,
        go_backwards: bool,
        name: str | None,
        strict: bool,
    ) -> None:
        self.fn, self.strict = fn, strict
        slices = [pair for x in _listed(sequences) for pair in _Sequence(x).slices(go_backwards)]
        self.infos = [_Output(x) for x in _listed(outputs_info)]
        self.others = [x if isinstance(x, Variable) else as_tensor(x) for x in _listed(non_sequences)]
        n = _shortest([x for x, _ in slices], n_steps)
        self.loop = Loop(n, name or "scan")
        alone = n_steps is None and len(slices) == 1
        self.items = [self.loop.item(_cut(x, n, alone), label) for x, label in slices]
        self.states = [
            self.loop.state(x.initial, x.taps, x.names(i)) if x.taps else None for i, x in enumerate(self.infos)
        ]
        self.updates = OrderedUpdates()
        self._places: list[tuple[State | None, Any]] = []

    def build(self, truncate: int, mode: _Inner | None) -> Apply:
        """Call the step function and make the loop of what it answers."""
        if not isinstance(truncate, (int, np.integer)) or truncate == 0 or truncate < -1:
            raise GraphTypeError(f"scan: truncate_gradient is a number of steps, or -1 for all, got {truncate!r}")
        mark = next_serial()
        answer = _Answer(self.fn, _called(self.fn, [*self.items, *self._reads(), *self.others]))
        self._refuse_other_number(len(answer.outputs))
        self._settle(answer)
        self._complete(answer, mark)
        if self.strict:
            self._refuse_closed_over(answer)
        finals = self._assemble(answer)
        self.loop.mode = mode
        node = self.loop.node(int(truncate))
        recorded = iter(self.loop.recorded(node))
        self._places = [(s, None if s is not None else next(recorded)) for s in self.states]
        carried = iter(node.outputs[len(self.loop.states) :])
        for x, state in finals.items():
            self.updates[x] = state.buffer[-1] if state is not None else next(carried)
        self.updates.update([(x, x.default_update) for x in answer.forked])
        return node

    def outputs(self) -> list[Any]:
        """What the loop puts out, stacked."""
        return [x if s is None else s.buffer[max(s.taps) :] for s, x in self._places]

    def last_outputs(self) -> list[Any]:
        """What the loop puts out in its last step, or the last initial value of a state where there is no step."""
        return [x[-1] if s is None else s.buffer[-1] for s, x in self._places]

    def _reads(self) -> list[Any]:
        return [x for s in self.states if s is not None for x in s.reads]

    def _refuse_other_number(self, n: int) -> None:
        """Hold the number of outputs to that of the entries of outputs_info, if there are any."""
        if not self.infos:
            self.infos = [_Output(None)] * n
            self.states = [None] * n
        if n != len(self.infos):
            raise GraphTypeError(
                f"scan: the step function answers {n} output{'s' * (n != 1)}, outputs_info has {len(self.infos)} "
                f"entr{'y' if len(self.infos) == 1 else 'ies'}",
                help="give one entry for each output: an initial value, or None for an output that no step reads",
                origin=_definition(self.fn),
            )

    def _settle(self, answer: _Answer) -> None:
        """Bring what the step makes of each state to the state's dtype."""
        pairs = zip(self.states, self.infos, strict=True)
        weak = {s: x.value.number for s, x in pairs if s is not None and isinstance(x.value, NumberConstant)}
        if weak:
            self._weaken(weak, answer)
        for i, state in enumerate(self.states):
            if state is not None:
                _, new = operands("scan", (state.reads[0], answer.outputs[i]))
                answer.outputs[i] = as_state(new, state.reads[0])

    def _weaken(self, weak: Mapping[State, Any], answer: _Answer) -> None:
        """Give states that start from a Python number the dtype that the step makes of it, as the number would take."""
        made = zip(self.states, answer.outputs, strict=True)
        news = {s: out for s, out in made if s is not None and s in weak}
        given: dict[Variable, Variable] = {}
        for state, dtype in dtypes_to_start(weak, news).items():
            (read,) = state.reads
            if dtype != read.type.dtype:
                state.initial = state.initial.astype(dtype)
                state.reads = (TensorType(dtype, read.type.shape)(read.name),)
                given[read] = state.reads[0]
        answer.replaced(given)

    def _complete(self, answer: _Answer, mark: int) -> None:
        """Add the default updates of shared variables that a step reads; what is updated keeps its type.

        A step reads what something that depends on the loop reads, what is put out as it is, and what `fn` has made:
        containers after `mark`.
        """
        given = answer.updates
        answer.updates = OrderedUpdates([(x, as_update(x, n)) for x, n in given.items() if not _is_forked(x, n)])
        answer.forked = [x for x, new in given.items() if _is_forked(x, new)]
        inner = {*self.items, *self._reads()}
        more: list[Any] = [None]
        while more:
            found = [x for x in leaves(answer.variables, inner) if isinstance(x, SharedVariable)]
            updated = {*answer.updates, *answer.forked}
            seen = [x for x in found if x.default_update is not None and x not in updated]
            read = _read_inside(answer.variables, inner | updated) if seen else set()
            more = [x for x in seen if x.container.serial > mark or x in read]
            answer.forked += [x for x in more if x.fork is not None]
            answer.updates.update([(x, as_update(x, x.default_update)) for x in more if x.fork is None])

    def _assemble(self, answer: _Answer) -> dict[Any, State | None]:
        """Give the loop what a step makes; for each shared variable its state, None for one that is carried."""
        loop = self.loop
        finals: dict[Any, State | None] = {}
        given: dict[Variable, Variable] = {}
        for x in answer.forked:
            state = loop.state(x.fork(x)[None], names=[x.name])
            given[x] = state.reads[0]
            (state.new,) = rebuild([x.default_update], {x: state.reads[0]})
        for x in answer.updates:
            if isinstance(x.type, TensorType):
                finals[x] = state = loop.state(x[None], names=[x.name])  # type: ignore[index]  # a tensor
                given[x] = state.reads[0]
            else:
                finals[x] = None
                given[x] = loop.carry(x)
        news = iter(rebuild(answer.variables, given))
        for output in self.states:
            if output is None:
                loop.record(next(news))
            else:
                output.new = next(news)
        for final in finals.values():
            if final is None:
                loop.carried.append(next(news))
            else:
                final.new = as_state(next(news), final.reads[0])
        loop.until = next(news, None)
        return finals

    def _refuse_closed_over(self, answer: _Answer) -> None:
        given = {*self.items, *self._reads(), *self.others, *answer.updates, *answer.forked}
        for x in leaves(answer.variables, given):
            if x not in given and not isinstance(x, Constant):
                node = next((n for n in toposort(answer.variables, given) if x in n.inputs), None)
                raise GraphTypeError(
                    f"scan: with strict=True the step function may not use {x} ({x.type}), which it was not given",
                    help=f"add {x} to non_sequences, or leave strict out",
                    inputs=[x],
                    origin=_definition(self.fn) if node is None else node.origin,
                )


def _is_forked(x: SharedVariable, new: Any) -> bool:
    """Whether an update of x is what a loop makes of a value of its own."""
    return x.fork is not None and new is x.default_update


def _read_inside(roots: Sequence[Variable], inner: set[Variable]) -> set[Variable]:
    """The variables that are read by what depends on the loop, or put out themselves.

    Also those that a loop within begins with, when that depends on this one.
    """
    within, read = set(inner), set(roots)
    for node in toposort(roots, inner):
        if any(x in within for x in node.inputs):
            within.update(node.outputs)
            read.update(node.inputs)
            read.update([_source(x) for x in node.op.parts(node.inputs[1:])[1]] if isinstance(node.op, Scan) else ())
    return read


def _source(initial: Variable) -> Variable:
    """The shared variable that a state of a loop begins with, by itself or forked; or what it begins with."""
    x = initial
    if x.owner is not None and isinstance(x.owner.op, Index) and x.owner.op.template == (None,):
        x = x.owner.inputs[0]
    forked = [] if x.owner is None else [y for y in x.owner.inputs if getattr(y, "fork", None) is x.owner.op]
    return forked[0] if forked else x
