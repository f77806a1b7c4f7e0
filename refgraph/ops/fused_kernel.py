"""How the interpreter runs what is fused: as straight-line Python where arrays are small, else block by block.

Where arrays are small, time goes into getting from one ufunc to the next. A function that calls them one after the
other, `t0 = f0(x0, x1); t0 = f1(t0, t0); ...`, is written and compiled here: it takes less than the steps of a plan do.
Where arrays are large, time goes into memory: the steps are run for one block of all arrays after the other, so that
what is computed on the way stays in the cache. Either way it lies in the memory of what is needed no longer.

Where a step fails the graph is run op by op, by the plan of whoever runs the rest: it says which one and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from refgraph.core.graph import Apply, Constant, Graph, Variable
from refgraph.core.op import Compile
from refgraph.ops import reductions
from refgraph.ops.families import Power
from refgraph.ops.reductions import Reduction
from refgraph.ops.tensor import DISCRETE

_BLOCK = 1 << 19  # bytes that a block of an array takes: a few blocks fit into the caches near to a core
_LARGE = 1 << 23  # bytes from which on an array is large: a few arrays do not fit into the caches of today's machines
_BY_KEYWORD = (np.maximum, np.minimum)  # NumPy 2.4 warns where their third argument has no name

Index = tuple[slice, ...]
Instruction = tuple[Callable[..., Any], Callable[[Any], Any], int | None]
"""What to call on which values, and the number of the value that it answers; None where it writes into the last."""


class Step:
    """An elementwise op of a body: what to call on the values in `reads`, to be value number `to`.

    direct: whether it is a ufunc that computes in the output's dtype, and so can be told where to write. place: what
    memory the value is in; all values of one place, at different times, have the same dtype and shape. again: whether
    a value was in that place before. leaves: on which inputs and constants it depends, as bits.
    """

    __slots__ = ("again", "call", "direct", "dtype", "leaves", "node", "place", "reads", "to")

    def __init__(self, node: Apply, reads: Sequence[int], to: int, leaves: int) -> None:
        self.node, self.reads, self.to, self.leaves = node, tuple(reads), to, leaves
        self.call: Callable[..., Any] = node.op.impl
        self.dtype: np.dtype[Any] = node.outputs[0].type.numpy_dtype  # type: ignore[attr-defined]  # a tensor
        given = tuple([x.type.numpy_dtype for x in node.inputs])  # type: ignore[attr-defined]  # tensors
        self.direct = _computes_in(self.call, given, self.dtype)
        self.place, self.again = -1, False


@lru_cache(maxsize=1024)
def _computes_in(call: Any, given: tuple[np.dtype[Any], ...], dtype: np.dtype[Any]) -> bool:
    """Whether it is a ufunc that answers this dtype for those given."""
    return isinstance(call, np.ufunc) and call.nout == 1 and call.resolve_dtypes((*given, None))[-1] == dtype


class Body:
    """The graph of a Fused as steps; values are numbered: inputs, constants, then what is computed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        read = dict.fromkeys([x for node in graph.nodes for x in node.inputs])
        self.constants: list[Constant] = [x for x in read if isinstance(x, Constant)]
        self.leaves: list[Any] = [*graph.inputs, *self.constants]
        self.number: dict[Variable, int] = {x: i for i, x in enumerate(self.leaves)}
        self.steps: list[Step] = []
        self.reductions: list[Apply] = []
        bits = [1 << i for i in range(len(self.leaves))]
        for node in graph.nodes:
            reads = [self.number[x] for x in node.inputs]
            to = self.number[node.outputs[0]] = len(self.number)
            bits.append(0)
            for i in reads:
                bits[to] |= bits[i]
            if isinstance(node.op, Reduction):
                self.reductions.append(node)
            else:
                self.steps.append(Step(node, reads, to, bits[to]))
        self.read = 0
        """Which inputs and constants elementwise ops read, as bits."""
        for step in self.steps:
            self.read |= step.leaves
        self.outputs = [self.number[x] for x in graph.outputs]
        self._instructions: dict[tuple[int, bool], Instruction] = {}
        self._place()

    @cached_property
    def rank(self) -> int:
        return max([step.node.outputs[0].type.ndim for step in self.steps], default=0)  # type: ignore[attr-defined]

    @cached_property
    def wide(self) -> list[int]:
        """The inputs that, as far as is known, have the shape of the whole: what is computed of others is broadcast."""
        shapes = [s.node.outputs[0].type.shape for s in self.steps]  # type: ignore[attr-defined]  # tensors
        shapes = [s for s in shapes if len(s) == self.rank]
        full = [any(s[a] != 1 for s in shapes) for a in range(self.rank)]
        return [
            i
            for i, x in enumerate(self.graph.inputs)
            if self.read >> i & 1
            and x.type.ndim == self.rank > 0  # type: ignore[attr-defined]  # a tensor
            and all(n != 1 or not f for n, f in zip(x.type.shape, full, strict=True))  # type: ignore[attr-defined]
        ]

    def _place(self) -> None:
        """Give each value its place: one whose value is needed no more, where there is such."""
        single = sum([1 << i for i, x in enumerate(self.leaves) if x.type.ndim == 0])
        last: dict[int, Any] = {i: step for step in self.steps for i in step.reads}
        last.update(dict.fromkeys([*self.outputs, *[self.number[node.inputs[0]] for node in self.reductions]]))
        free: dict[Any, list[int]] = {}
        kinds: list[Any] = []
        places: dict[int, int] = {}
        for step in self.steps:
            for i in set(step.reads):
                if i in places and last[i] is step:
                    free.setdefault(kinds[places[i]], []).append(places[i])
            kind = step.dtype, step.leaves & ~single  # what is broadcast from the same things has the same shape
            if free.get(kind) and kind[1]:
                step.place, step.again = free[kind].pop(), True
            else:
                step.place = len(kinds)
                kinds.append(kind)
            places[step.to] = step.place

    @cached_property
    def reuses(self) -> tuple[int, ...]:
        """The inputs in whose memory the only output may be computed, as `Op.reuses` has it."""
        if len(self.outputs) > 1 or self.reductions or not self.rank:
            return ()
        step = self.steps[-1]
        if not step.direct or any(map(_may_fail, self.steps)):
            return ()
        return tuple([i for i in self.wide if self.leaves[i].type.numpy_dtype == step.dtype])

    def is_safe(self, out: Any, arrays: Sequence[Any]) -> bool:
        """Whether the output surely is computed in `out`, as `Op.is_safe` has it."""
        arrays = [*arrays, *[x.value for x in self.constants]]
        return bool(self.reuses) and all([x.shape == out.shape or x.ndim == 0 for x in arrays])

    # kernels

    def kernel(self, compile: Compile) -> Callable[..., Any]:
        """What runs the body on arrays; `compile` makes what runs it op by op."""
        planned: list[Callable[..., Sequence[Any]]] = []

        def whole(*arrays: Any) -> Any:
            if not planned:
                planned.append(compile(self.graph))
            values = planned[0](*arrays)
            return values[0] if len(values) == 1 else tuple(values)

        def blocks(out: Any, *arrays: Any) -> Any:
            try:
                return _Blocks(self, arrays).run(out)
            except Exception:  # also where there is nothing to compute, and no block
                return whole(*arrays)

        return self._make(
            whole,
            blocks,
            *[x.value for x in self.constants],
            *[s.call for s in self.steps],
            *[n.op.impl for n in self.reductions],
        )

    @cached_property
    def _make(self) -> Callable[..., Callable[..., Any]]:
        return _compiled(self.source)

    @cached_property
    def source(self) -> str:
        """Python for small arrays: a function of the functions to call, that answers the kernel."""
        inputs = [f"x{i}" for i in range(len(self.graph.inputs))]
        constants = [f"c{i}" for i in range(len(self.constants))]
        names = dict(enumerate([*inputs, *constants]))
        lines, calls = [], [f"f{i}" for i in range(len(self.steps) + len(self.reductions))]
        for f, step in zip(calls, self.steps, strict=False):
            args = [names[i] for i in step.reads]
            names[step.to] = place = f"t{step.place}"
            target = place if step.again and step.direct else ""
            if self.reuses and step is self.steps[-1]:
                target = f"{target or None} if out is None else out"
            by_name = "out=" if step.call in _BY_KEYWORD else ""
            lines.append(f"{place} = {f}({', '.join([*args, *([by_name + target] if target else [])])})")
        for n, (f, node) in enumerate(zip(calls[len(self.steps) :], self.reductions, strict=True)):
            names[self.number[node.outputs[0]]] = f"r{n}"
            lines.append(f"r{n} = {f}({names[self.number[node.inputs[0]]]})")
        answer = ", ".join([names[i] for i in self.outputs])
        everything = ", ".join(inputs)
        checks = []
        if size := self._size():
            checks.append(f"if {size} >= {self.large}: return blocks({'out' if self.reuses else None}, {everything})")
        text = [
            f"def make({', '.join(['whole', 'blocks', *constants, *calls])}):",
            f"    def run({', '.join([*inputs, *(['out=None'] if self.reuses else [])])}):",
            *[f"        {check}" for check in checks],
            "        try:",
            *[f"            {line}" for line in lines],
            f"            return {answer}",
            "        except Exception:",
            f"            return whole({everything})",
            "    return run",
        ]
        return "\n".join(text)

    def _size(self) -> str:
        """Python for how many elements the whole has; empty where the inputs do not say."""
        if self.wide:
            return f"x{self.wide[0]}.size"
        lengths: dict[int, str] = {}
        for i, x in enumerate(self.graph.inputs):
            if self.read >> i & 1:
                shape = x.type.shape  # type: ignore[attr-defined]  # a tensor
                for a, n in enumerate(shape, self.rank - len(shape)):
                    if n != 1:
                        lengths.setdefault(a, f"x{i}.shape[{a - self.rank}]")
        return " * ".join(lengths.values())

    def instruction(self, step: Step, kept: bool) -> Instruction:
        """What runs a step on a block, where its value goes into an array that is `kept`, or not."""
        key = step.to, kept
        found = self._instructions.get(key)
        if found is None:
            found = self._instructions[key] = _instruction(step, kept)
        return found

    @cached_property
    def most(self) -> int:
        """How many elements a block has, at most."""
        return _BLOCK // self._itemsize

    @property
    def large(self) -> int:
        """From how many elements on it is run block by block."""
        return _LARGE // self._itemsize

    @cached_property
    def _itemsize(self) -> int:
        return max([step.dtype.itemsize for step in self.steps], default=8)


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Callable[..., Callable[..., Any]]:
    """The function `make` of a source; many bodies have the same, for it names no op."""
    names: dict[str, Any] = {}
    exec(compile(source, "<fused>", "exec"), names)
    make: Callable[..., Callable[..., Any]] = names["make"]
    return make


def _may_fail(step: Step) -> bool:
    """Whether it may meet values that it has no meaning for: a negative power of an integer."""
    return isinstance(step.node.op, Power) and step.dtype.name in DISCRETE


# --- block by block ---------------------------------------------------------------------------------------------------


_EVERYTHING = slice(None)


class _Blocks:
    """One run of a body, block by block. What is smaller than the whole is computed before, once."""

    def __init__(self, body: Body, arrays: Sequence[Any]) -> None:
        leaves = [*arrays, *[x.value for x in body.constants]]
        shapes = [x.shape if body.read >> i & 1 else () for i, x in enumerate(leaves)]
        self.body, self.shape = body, np.broadcast_shapes(*shapes)
        self.values: list[Any] = [*leaves, *[None] * (len(body.number) - len(leaves))]
        full = sum([1 << i for i, shape in enumerate(shapes) if shape == self.shape])
        self.steps: list[Step] = []
        for step in body.steps:
            if step.leaves & full or self.shape == np.broadcast_shapes(
                *[shape for i, shape in enumerate(shapes) if step.leaves >> i & 1]
            ):
                self.steps.append(step)
            else:
                self.values[step.to] = step.call(*[self.values[i] for i in step.reads])
        self.order = _memory_order([x for i, x in enumerate(leaves) if full >> i & 1], len(self.shape))
        self.pieces = _pieces(self.shape, self.order, body.most)
        self.back = sorted(range(len(self.order)), key=self.order.__getitem__)  # where each axis is in `order`

    def run(self, out: Any) -> Any:
        """The outputs; where there is but one, of the shape of `out`, it is computed there."""
        body = self.body
        out = out if out is not None and out.shape == self.shape else None
        computed = {step.to: step for step in self.steps}
        folds: list[_Fold] = []
        late: list[_Fold] = []
        for node in body.reductions:
            fold = _Fold(node, body.number[node.inputs[0]], self)
            (folds if fold.number in computed and fold.is_possible else late).append(fold)
        wanted = {*body.outputs, *[fold.number for fold in late]}
        kept = {i: self._empty(computed[i].dtype) if out is None else out for i in wanted if i in computed}
        self._loop(kept, folds, shared=out is None)
        values = self.values
        for i, array in kept.items():
            values[i] = array
        for fold in folds:
            values[body.number[fold.node.outputs[0]]] = fold.result()
        for fold in late:
            values[body.number[fold.node.outputs[0]]] = fold.node.op.impl(values[fold.number])
        found = [values[i] for i in body.outputs]
        return found[0] if len(found) == 1 else tuple(found)

    def _empty(self, dtype: np.dtype[Any]) -> Any:
        return np.empty([self.shape[a] for a in self.order], dtype).transpose(self.back)

    def _loop(self, kept: dict[int, Any], folds: Sequence[_Fold], shared: bool) -> None:
        """Run the steps on every block; `kept` are the arrays, by number, that are computed whole; `shared` says that
        what comes before in the same place may be written there, too.
        """
        values = list(self.values)
        given = {i: values[i] for step in self.steps for i in step.reads if values[i] is not None}
        cut = [(i, x, self._axes(x)) for i, x in [*given.items(), *kept.items()]]
        cut = [(i, x, axes) for i, x, axes in cut if axes is None or any(a is not None for a in axes)]
        program = [self.body.instruction(step, step.to in kept) for step in self.steps]
        scratch = [step for step in self.steps if step.direct and step.to not in kept]
        if shared:
            places = {step.place: kept[step.to] for step in self.steps if step.to in kept}
            cut += [(step.to, places[step.place], None) for step in scratch if step.place in places]
            scratch = [step for step in scratch if step.place not in places]
        memory = {step.place: np.empty(self.body.most, step.dtype) for step in scratch}
        lengths: Sequence[int] = ()
        for index in self._indices():
            for i, array, axes in cut:
                at = index if axes is None else tuple([_EVERYTHING if a is None else index[a] for a in axes])
                values[i] = array[at]
            if lengths != (lengths := [s.stop - s.start for s in index]):
                views = {place: self._view(block, lengths) for place, block in memory.items()}
                for step in scratch:
                    values[step.to] = views[step.place]
            for call, read, to in program:
                if to is None:
                    call(*read(values))
                else:
                    values[to] = call(*read(values))
            for fold in folds:
                fold.add(values[fold.number], index)

    def _axes(self, x: Any) -> list[int | None] | None:
        """By which axes of the whole each axis of x is cut, None for those that are not; None for all in order."""
        missing = len(self.shape) - x.ndim
        if x.shape == self.shape:
            return None
        return [a if n != 1 and self.is_cut(a) else None for a, n in enumerate(x.shape, missing)]

    def is_cut(self, axis: int) -> bool:
        """Whether blocks are shorter than the whole along this axis."""
        return bool(self.pieces[axis] < self.shape[axis])

    def _indices(self) -> Iterator[Index]:
        """Where the blocks are, those that are close in memory after each other."""
        spans = [
            [slice(i, min(i + self.pieces[a], self.shape[a])) for i in range(0, self.shape[a], self.pieces[a])]
            for a in self.order
        ]
        return (tuple([at[k] for k in self.back]) for at in product(*spans))

    def _view(self, memory: Any, lengths: Sequence[int]) -> Any:
        """Memory for a block as an array of these lengths, with axes in the order that they have in the whole."""
        return memory[: prod(lengths)].reshape([lengths[a] for a in self.order]).transpose(self.back)


def _memory_order(arrays: Sequence[Any], rank: int) -> list[int]:
    """Axes from that of the farthest steps in memory to that of the nearest, as the first array has them, if no other
    is in the order of C."""
    whole = [x for x in arrays if 0 not in x.strides]
    if not whole or any(x.flags.c_contiguous for x in whole):
        return list(range(rank))
    return sorted(range(rank), key=lambda a: -abs(whole[0].strides[a]))


def _pieces(shape: tuple[int, ...], order: Sequence[int], most: int) -> list[int]:
    """How long blocks of at most `most` elements are along each axis: as long as can be along the nearest in memory."""
    pieces, size = list(shape), 1
    for a in reversed(order):
        pieces[a] = min(shape[a], max(1, most // size))
        size *= pieces[a]
    return pieces


def _instruction(step: Step, kept: bool) -> Instruction:
    if step.direct or kept:
        call = step.call if step.direct and step.call not in _BY_KEYWORD else _into(step.call, step.direct)
        return call, itemgetter(*step.reads, step.to), None
    (first, *more) = step.reads
    return step.call, itemgetter(*step.reads) if more else itemgetter(slice(first, first + 1)), step.to


def _into(call: Callable[..., Any], direct: bool) -> Callable[..., Any]:
    """`call` with the array to write into as its last argument."""
    if direct:
        return lambda *arrays: call(*arrays[:-1], out=arrays[-1])
    return lambda *arrays: np.copyto(arrays[-1], call(*arrays[:-1]))


class _Fold:
    """A reduction, block by block: parts of the result, those of the same place joined in pairs of equal size, so that
    rounding errors of a sum grow with the logarithm of the number of blocks."""

    def __init__(self, node: Apply, number: int, blocks: _Blocks) -> None:
        op: Any = node.op
        self.node, self.op, self.number, self.blocks = node, op, number, blocks
        self.out, self.acc = op.dtypes_for(node.inputs[0].type.dtype)  # type: ignore[attr-defined]  # a tensor
        self.meaning, self.join = op.row.meaning, op.row.ufunc
        if op.row is reductions.mean:
            self.meaning, self.join = reductions.sum.meaning, np.add
        elif op.row is reductions.count_nonzero:
            self.join = np.add
        self.parts: dict[tuple[int, ...], tuple[Index, list[tuple[int, Any]]]] = {}

    @property
    def is_possible(self) -> bool:
        """Whether parts can be joined, or need not be."""
        return self.join is not None or not any(self.blocks.is_cut(a) for a in self.op.axis)

    def add(self, block: Any, index: Index) -> None:
        """Reduce one more block."""
        count, part = 1, self.meaning(block, self.op.axis, self.acc, True)
        at = tuple([slice(0, 1) if a in self.op.axis else s for a, s in enumerate(index)])
        _, parts = self.parts.setdefault(tuple([s.start for s in at]), (at, []))
        while parts and parts[-1][0] == count:
            part = self.join(parts.pop()[1], part)
            count *= 2
        parts.append((count, part))

    def result(self) -> Any:
        """The reduction of all blocks."""
        axis, shape = self.op.axis, self.blocks.shape
        z: Any = None
        for at, parts in self.parts.values():
            part = parts.pop()[1]
            while parts:
                part = self.join(parts.pop()[1], part)
            if z is None:
                z = np.empty([1 if a in axis else n for a, n in enumerate(shape)], part.dtype)
            z[at] = part
        if self.op.row is reductions.mean:
            z = z / prod([shape[a] for a in axis])
        z = z.astype(self.out, copy=False)
        return z if self.op.keepdims else z.reshape([n for a, n in enumerate(shape) if a not in axis])[()]
