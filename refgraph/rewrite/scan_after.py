"""What comes after a loop: what nothing but records need, and sums of which only the total is read.

What is computed after a loop is computed of what the loop puts out, for all its steps at once (or for the last ones,
where no others are read). What it reads of a step are its roots. Items, and states that are kept of all steps, are
there; another root must be recorded: one, in the place of what is computed of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from refgraph.core.graph import Apply, Constant, Graph, Variable, leaves, rebuild, toposort
from refgraph.core.op import GraphOp
from refgraph.core.origin import made_for
from refgraph.ops import elementwise
from refgraph.ops.batching import many_of
from refgraph.ops.cumulative import Cumulative
from refgraph.ops.elementwise import minimum
from refgraph.ops.families import Elemwise, SumTo
from refgraph.ops.index_pattern import Part, Slice
from refgraph.ops.indexing import IndexUpdate
from refgraph.ops.joining import concatenate
from refgraph.ops.lengths import length, scalar_value
from refgraph.ops.linalg import Dot, tensor_dot
from refgraph.ops.nnet import Normalization
from refgraph.ops.shape import DimShuffle, Reshape, ShapeI, SpecifyShape, broadcast_to, specify_shape
from refgraph.ops.tensor import CONTINUOUS, TensorType
from refgraph.rewrite.rule import graph_rule
from refgraph.rewrite.scan import Clients, with_loops
from refgraph.rewrite.scan_moves import Outside, branches_apart, invariant, is_no_larger, no_larger, unturned

if TYPE_CHECKING:
    from refgraph.rewrite.engine import Facts

_FREE = (SumTo, DimShuffle, Reshape, SpecifyShape)
"""Ops that compute nothing, or little: what they make in a step may as well be made again after the loop."""

_NO_SMALLER = (Elemwise, Normalization, Cumulative)
"""Ops whose output is at least as large as each of their inputs."""

_ROWS = ((Part.INT,), (Part.INTS,))
"""Templates of indices that pick whole rows."""

Roots = frozenset[Hashable]
"""Variables of a step; states, by their numbers."""

Term = tuple[Any, str]
"""What a step adds to a sum ("+"), subtracts ("-"), or makes of it by adding to rows ("rows")."""


@graph_rule("scan")
def work_on_records(graph: Graph, facts: Facts) -> Graph:
    """What a step computes only to be recorded, or only to be added to a sum of which the total is read, is computed
    after the loop, for all steps at once: a product a step becomes one product.
    """

    def change(node: Apply, fresh: Apply) -> Sequence[Variable] | None:
        op: Any = node.op
        ends = [_is_total(x, k, graph.clients) for x, k in zip(node.outputs, op.keep[: len(op.taps)], strict=False)]
        return None if op.mode is not None else _recorded_work(branches_apart(fresh), ends, facts)

    return with_loops(graph, change)


def _is_total(x: Variable, keep: int | None, clients: Clients) -> bool:
    """Whether of a state that is read one step back only the last value is read."""
    if keep != 2:
        return keep == 1
    after = (Slice(1),)  # without the initial value, so that it is refused where no step was taken
    return all(isinstance(node, Apply) and getattr(node.op, "template", ()) == after for node, _ in clients[x])


def _recorded_work(node: Apply, totals: Sequence[bool], facts: Facts) -> Sequence[Variable] | None:
    """What stands for the outputs of a loop whose records and sums are computed after it, as far as that is no loss.

    totals: for each state whether only the last value is read.
    """
    op: Any = node.op
    sums = {i: terms for i, total in enumerate(totals) if total and (terms := _terms(op, i))}
    while True:
        after = _After(node, sums, facts)
        if after.totals.keys() == sums.keys():
            break
        sums = {i: sums[i] for i in after.totals}  # the others stay, with all that they need
    return after.outputs() if after.totals or after.records else None


def _terms(op: Any, i: int) -> list[Term]:
    """What each step adds to state i, where that is a sum of which no step reads more; else nothing."""
    read, new, clients = op.reads[i][0], op.news[i], op.graph.clients
    if op.taps[i] != (1,) or new.type.dtype == "bool" or new is read:
        return []
    terms: list[Term] = []
    look: list[Term] = [(new, "+")]
    found = False
    while look:
        x, sign = look.pop()
        inner: Any = x.owner.op if x.owner is not None and len(clients[x]) == 1 else None
        if x is read:
            if sign == "-" or len(clients[x]) != 1:
                return []
            found = True
        elif inner is elementwise.add and x.type.dtype == new.type.dtype:
            look += [(y, sign) for y in x.owner.inputs]
        elif inner is elementwise.sub and x.type.dtype == new.type.dtype:
            a, b = x.owner.inputs
            look += [(a, sign), (b, "+" if sign == "-" else "-")]
        elif (
            isinstance(inner, IndexUpdate) and not inner.set_instead_of_inc and inner.template in _ROWS and sign == "+"
        ):
            look.append((x.owner.inputs[0], sign))
            terms.append((x, "rows"))
        else:
            terms.append((x, sign))
    return terms if found else []


def _covers(kept: int | None, wanted: int | None) -> bool:
    """Whether so many of the last entries (all for None) are as many as are wanted, or more."""
    return kept is None or (wanted is not None and kept >= wanted)


# What can be computed after a loop


class _Half:
    """What can be computed after a loop, in expressions of stand-ins for what it reads of each step."""

    every = True
    """Whether of all steps; else of the last."""

    def __init__(self, after: _After) -> None:
        self.after = after
        self.outside = Outside(after.whole, (), after.count)
        self.roots: dict[Variable, Roots] = {}
        """For each variable, what must be recorded or kept."""
        self.leaves: dict[Variable, Any] = {}
        """Stand-ins."""

    def take(self, x: Variable) -> bool:
        """Whether there is an expression for x, maybe a stand-in; not for sums and what is no tensor."""
        if self.outside.has(x):
            return True
        if x in self.after.hidden or not isinstance(x.type, TensorType):
            return False
        self.leaves[x] = self.outside.of[x] = many_of(x)
        self.outside.many.add(x)
        if self.every and self.after.goes_backwards(x):
            self.outside.turned.add(x)
        self.roots[x] = self.after.roots_of(x, self.every)
        return True

    def compute(self, node: Apply) -> None:
        """Have expressions for the outputs of a node, if that is no loss."""
        if isinstance(node.op, GraphOp) or not all([self.take(x) for x in node.inputs]):
            return
        roots: Roots = frozenset().union(*[self.needed(x) for x in node.inputs])
        if self.allows(node, roots) and self.outside.add(node):
            self.roots.update(dict.fromkeys(node.outputs, roots))

    def allows(self, node: Apply, roots: Roots) -> bool:
        """Whether it is no loss to compute a node after the loop, for which it takes these roots."""
        raise NotImplementedError

    def needed(self, x: Variable) -> Roots:
        """The roots of x."""
        return self.roots.get(x, frozenset())

    def computes(self, x: Variable) -> bool:
        """Whether x is computed after the loop, of something else."""
        return self.outside.has(x) and x not in self.leaves

    def expression(self, x: Variable) -> Any:
        """An expression that holds x of many steps, also where it is the same in each."""
        value: Any = self.outside.value(x)
        if x in self.outside.many:
            return value
        return broadcast_to(value, [self.after.count, *[length(value, a) for a in range(value.type.ndim)]])


class _ForSums(_Half):
    """What is summed up over all steps: nothing of it may be larger than what the loop has of each step."""

    def allows(self, node: Apply, roots: Roots) -> bool:
        return self.after.is_small(node.outputs[0]) and len(roots) <= 1 and self.after.may_keep(roots)


class _ForRecords(_Half):
    """What is recorded of all steps: a root that takes its place must not take more memory."""

    def __init__(self, after: _After) -> None:
        super().__init__(after)
        self.widened: set[Variable] = set()
        """What is at least as large as its roots."""

    def take(self, x: Variable) -> bool:
        if not self.outside.has(x):
            self.widened.add(x)
        return super().take(x)

    def allows(self, node: Apply, roots: Roots) -> bool:
        out = node.outputs[0]
        if len(roots) > 1:
            return False
        if isinstance(node.op, _NO_SMALLER) and all(x in self.widened for x in node.inputs if self.needed(x)):
            self.widened.add(out)
        fits = self.after.is_small(out) and self.after.may_keep(roots)
        return (fits and self.after.ranks_fit(roots, out)) or out in self.widened

    def may_replace(self, x: Variable) -> bool:
        """Whether the roots of x may be recorded in its place."""
        roots = self.needed(x)
        return x in self.widened or (self.after.may_keep(roots) and self.after.ranks_fit(roots, x))


class _ForLast(_Half):
    """What is recorded of the last steps: all that it takes is little, unless there is something large in it."""

    every = False

    def __init__(self, after: _After) -> None:
        super().__init__(after)
        self.fitting: set[Variable] = set()
        """What is no larger than what it is computed of: several of it take little, too."""

    def take(self, x: Variable) -> bool:
        if not self.outside.has(x):
            self.fitting.add(x)
        return super().take(x)

    def allows(self, node: Apply, roots: Roots) -> bool:
        out: Any = node.outputs[0]
        if self.after.is_small(out) or is_no_larger(node, self.fitting, self.after.same, out.type.ndim):
            self.fitting.add(out)
        return True


class _After:
    """A loop, and what of its steps is computed after it."""

    def __init__(self, node: Apply, sums: dict[int, list[Term]], facts: Facts) -> None:
        op: Any = node.op
        self.node, self.op, self.sums, self.facts = node, op, sums, facts
        self.sequences, self.initials, self.carried, wholes = op.parts(node.inputs[1:])
        self.whole = dict(zip(op.whole, wholes, strict=True))
        self.same = invariant(op)
        self.small = no_larger(op, self.same)
        self.hidden = {x for i in sums for x in op.reads[i]}
        self.count = TensorType("int64", ())()
        """Stands for the number of steps of which something is computed."""
        self.kept = op.keep[len(op.taps) :]
        self.place = self._places()
        self.totals: dict[int, Any] = {}
        """For states that are sums, the total."""
        self.records: dict[int, tuple[_Half, Any]] = {}
        """For records that are computed after the loop, what computes them."""
        self.roots: dict[Hashable, int | None] = {}
        """What is to be recorded, or of states to be kept: of how many of the last steps, None for all."""
        self._find()

    def _places(self) -> dict[Variable, tuple[str, Any]]:
        """Where the values of all steps are, outside, for the variables of a step of which a loop has them."""
        op = self.op
        found: dict[Variable, tuple[str, Any]] = {}
        for x, keep in zip(op.records, self.kept, strict=True):
            if keep is None:
                found[x] = ("record", x)
        for i, (reads, new, taps) in enumerate(zip(op.reads, op.news, op.taps, strict=True)):
            if i not in self.sums:
                found[new] = ("state", (i, 0))
                found.update({x: ("state", (i, k)) for x, k in zip(reads, taps, strict=True)})
        found.update({x: ("item", j) for j, x in enumerate(op.items)})
        return found

    def goes_backwards(self, x: Variable) -> bool:
        """Whether x is an item of a sequence that the loop goes through backwards to its end."""
        kind, where = self.place.get(x, ("", None))
        return kind == "item" and not self.op.until and unturned(self.sequences[where]) is not None

    def roots_of(self, x: Variable, every: bool) -> Roots:
        """What it takes to have x of all steps, or of the last."""
        kind, where = self.place.get(x, ("value", None))
        if kind == "item" or (kind == "record" and every):
            return frozenset()
        if kind == "state":
            return frozenset() if every and self.op.keep[where[0]] is None else frozenset([where[0]])
        return frozenset([x])

    def is_small(self, x: Variable) -> bool:
        """Whether x is no larger than what the loop has of each step."""
        return x in self.small or x in self.same

    def may_keep(self, roots: Roots) -> bool:
        """Whether to keep these of all steps takes no more memory than the loop takes anyway."""
        return all(self.roots.get(r, 0) is None or self._value(r) in self.small for r in roots)

    def ranks_fit(self, roots: Roots, out: Any) -> bool:
        """Whether no root has more axes than what is computed of it."""
        return all(self._value(r).type.ndim <= out.type.ndim for r in roots)

    def _value(self, root: Any) -> Any:
        return self.op.news[root] if isinstance(root, int) else root

    # what is found

    def _find(self) -> None:
        op, n_states = self.op, len(self.op.taps)
        needed = [new for i, new in enumerate(op.news) if i not in self.sums]
        needed += [*op.graph.outputs[n_states : n_states + op.n_carried], *op.graph.outputs[-1:] * op.until]
        inside = set(toposort(needed))
        self.summed, every, last = _ForSums(self), _ForRecords(self), _ForLast(self)
        for node in op.graph.nodes:
            if node not in inside or isinstance(node.op, _FREE):
                for half in (self.summed, every, last):
                    half.compute(node)
        for i, terms in self.sums.items():
            total, roots = self._total(i, terms)
            if total is not None:
                self.totals[i] = total
                self.roots.update(dict.fromkeys(roots))
        if len(self.totals) < len(self.sums):
            return  # it is looked at again, without the others
        for j, (x, keep) in enumerate(zip(op.records, self.kept, strict=True)):
            found: _Half = every if keep is None else last
            if keep == 0 or not found.take(x) or not (found.computes(x) or self._is_there(j, x)):
                continue
            if every.may_replace(x) if keep is None else keep == 1 or x in last.fitting:
                self.records[j] = found, found.expression(x)
                for root in found.needed(x):
                    known = self.roots.get(root, 0)
                    self.roots[root] = None if known is None or keep is None else max(known, keep)
        self._keep_what_is_read()

    def _keep_what_is_read(self) -> None:
        """Leave records that are read as such, by what comes after the loop, as they are."""
        found = [*self.records.values(), *[(self.summed, total) for total in self.totals.values()]]
        read = {x for half, value in found for x in self._read(half, value)}
        for j, (half, _) in list(self.records.items()):
            x = self.op.records[j]
            if x in read and half.computes(x) and self.place.get(x, ("", 0))[0] == "record":
                del self.records[j]

    def _read(self, half: _Half, value: Any) -> list[Variable]:
        """The variables of a step that an expression reads, for which it has stand-ins."""
        stand_ins = {stand_in: x for x, stand_in in half.leaves.items()}
        return [stand_ins[y] for y in leaves([value], {*self.node.inputs, *stand_ins}) if y in stand_ins]

    def _is_there(self, j: int, x: Variable) -> bool:
        """Whether the values of x are outside already, in something else than record j."""
        earlier = [k for y, k in zip(self.op.records[:j], self.kept, strict=False) if y is x]
        return self.place.get(x, ("", 0))[0] in ("item", "state") or any(_covers(k, self.kept[j]) for k in earlier)

    # sums

    def _total(self, i: int, terms: Sequence[Term]) -> tuple[Any, Roots]:
        """What stands for the output of a state that is a sum, and its roots; None where a term must stay inside."""
        initial = self.initials[i]
        total: Any = initial[-1]
        roots: Roots = frozenset()
        for x, sign in terms:
            with made_for(self.node.origin if x.owner is None else x.owner.origin):
                if sign == "rows":
                    total, more = self._updated(total, x.owner)
                else:
                    term, more = self._summed(x, total.type.dtype)
                    total = None if term is None else total - term if sign == "-" else total + term
            roots |= more
            if total is None or not self.may_keep(roots):
                return None, roots
        if not self.facts.same_shape(total, initial[-1]):  # terms may be smaller; a state has one shape
            total = specify_shape(total, [length(initial, a) for a in range(1, initial.type.ndim)])
        if self.op.keep[i] == 1:
            return total[None], roots
        return concatenate([initial, total[None]])[: self.count + 1], roots

    def _summed(self, x: Any, dtype: str) -> tuple[Any, Roots]:
        """The sum of a term over all steps."""
        half, node = self.summed, x.owner
        if node is not None and isinstance(node.op, Dot) and x not in self.same and x.type.dtype == dtype:
            a, b = node.inputs
            if half.take(a) and half.take(b):
                return self._product(a, b), half.needed(a) | half.needed(b)
        if not half.take(x):
            return None, frozenset()
        value: Any = half.outside.of.get(x, x)
        if x not in half.outside.many:
            return value * self.count.astype(dtype), frozenset()
        return _sum(value, dtype), half.needed(x)

    def _product(self, a: Any, b: Any) -> Any:
        """The sum over all steps of dot(a, b): one product, in which steps are summed over with what it sums over."""
        outside = self.summed.outside
        many_a, many_b = a in outside.many, b in outside.many
        (x, y), _ = outside.values([a, b])
        if many_a and many_b:
            return tensor_dot(x, y, (0, a.type.ndim), (0, 1))
        x, y = (_sum(z, z.type.dtype) if many else z for z, many in ((x, many_a), (y, many_b)))
        return tensor_dot(x, y, (x.type.ndim - 1,), (0,))

    def _updated(self, total: Any, node: Apply) -> tuple[Any, Roots]:
        """A sum to which each step adds y at the rows that an index says: all of them added at once."""
        half = self.summed
        _, y, rows = node.inputs
        if not (half.take(y) and half.take(rows)):
            return None, frozenset()
        full = y.type.ndim == total.type.ndim - 1 + rows.type.ndim  # type: ignore[attr-defined]  # tensors
        if not full or not {y, rows} <= half.outside.many or y.type.dtype != total.type.dtype:  # type: ignore[attr-defined]
            return None, frozenset()
        values, _ = half.outside.values([y, rows])
        return IndexUpdate((Part.INTS,))(total, *values), half.needed(y) | half.needed(rows)

    # the loop without it

    def outputs(self) -> list[Any]:
        """What stands for the outputs of the loop."""
        op, n_states, stop = self.op, len(self.op.taps), len(self.op.graph.outputs) - self.op.until
        states = [i for i in range(n_states) if i not in self.totals]
        records = [(x, k) for j, (x, k) in enumerate(zip(op.records, self.kept, strict=True)) if j not in self.records]
        for x, k in self.roots.items():
            if isinstance(x, Variable) and not any(y is x and _covers(m, k) for y, m in records):
                records.append((x, k))
        ends = op.graph.outputs
        carried = ends[n_states : n_states + op.n_carried]
        graph = Graph(
            [x for x in op.graph.inputs if x not in self.hidden],
            [*[op.news[i] for i in states], *carried, *[x for x, _ in records], *ends[stop:]],
        )
        made: Sequence[Any] = ()
        if graph.outputs:
            keep = [*[self._kept(i) for i in states], *[k for _, k in records]]
            fresh = op.changed(graph=graph, taps=[op.taps[i] for i in states], keep=keep)
            given = [*self.sequences, *[self.initials[i] for i in states], *self.carried, *self.whole.values()]
            made = fresh.make_node(self.node.inputs[0], *given).outputs
        start = len(states) + op.n_carried
        self.steps: Any = made[-1] if op.until else self.node.inputs[0]
        self.buffers = dict(zip(states, made, strict=False))
        found = list(zip(records, made[start:], strict=False))
        self.recorded = {x: out for (x, k), out in sorted(found, key=lambda pair: pair[0][1] or 0)}
        self.recorded.update({x: out for (x, k), out in found if k is None})
        rest = iter(made[start:])
        return [
            *[self._state(i) for i in range(n_states)],
            *made[len(states) : start],
            *[
                self._of_the_loop(*self.records[j], k) if j in self.records else next(rest)
                for j, k in enumerate(self.kept)
            ],
            *made[len(made) - op.until :],
        ]

    def _kept(self, i: int) -> int | None:
        """How many entries of state i are to be kept."""
        keep, needed = self.op.keep[i], self.roots.get(i, 0)
        return None if keep is None or needed is None else max(keep, needed and needed + self.op.depths[i])

    def _state(self, i: int) -> Any:
        """What stands for the output of state i, of which more may be kept now."""
        keep = self.op.keep[i]
        if i in self.totals:
            return self._of_the_loop(self.summed, self.totals[i], None)
        return self.buffers[i] if keep == self._kept(i) else self.buffers[i][-keep:] if keep else self.buffers[i][:0]

    def _of_the_loop(self, half: _Half, value: Any, k: int | None) -> Any:
        """What was found, in terms of what the loop puts out, of all steps or of the last k."""
        stand_ins = {stand_in: x for x, stand_in in half.leaves.items()}
        outer = set(self.node.inputs)
        given: dict[Variable, Any] = {}
        for y in leaves([value], outer | stand_ins.keys()):
            if y in stand_ins:
                given[y] = self._trace(stand_ins[y], k, stand_ins[y] in half.outside.turned)
            elif y is self.count:
                given[y] = self.steps if k is None else minimum(self.steps, k)
            elif not isinstance(y, Constant):
                given[y] = y  # nobody looks behind what is outside
        return rebuild([value], given)[0]

    def _trace(self, x: Variable, k: int | None, turned: bool) -> Any:
        """The values of x in all steps, or in the last k; of an item maybe those of the last step first."""
        kind, where = self.place.get(x, ("value", None))
        if kind == "item":
            found = self._checked(unturned(self.sequences[where]) if turned else self.sequences[where])
            found = found[: self.steps] if self.op.until else found
        elif kind == "state":
            i, tap = where
            found = self.buffers[i][self.op.depths[i] - tap : -tap or None]
        else:
            found = self.recorded[x]
        return found if k is None else found[-k:]

    def _checked(self, sequence: Any) -> Any:
        """A sequence, refused unless it has an item for each step: the loop may see it no more."""
        n = self.node.inputs[0]
        steps: Any = scalar_value(n)
        if steps is not None:
            steps = int(steps)
        elif n.owner is not None and isinstance(n.owner.op, ShapeI):
            steps = self.facts.lengths(n.owner.inputs[0])[n.owner.op.i]
        if self.facts.lengths(sequence)[0] == steps:
            return sequence
        return specify_shape(sequence, [n, *[None] * (sequence.type.ndim - 1)])


def _sum(x: Any, dtype: str) -> Any:
    """The sum along the first axis, in the dtype of a state."""
    return x.sum(axis=0, dtype=dtype) if dtype in CONTINUOUS else x.sum(axis=0).astype(dtype)
