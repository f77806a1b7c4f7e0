"""Elements picked by an index, set, or added to; and positions as values."""

from __future__ import annotations

from typing import Any, NamedTuple

from refgraph.backend import Apply, Choose, Index, IndexUpdate, LastWrite, Nonzero, RavelMultiIndex, UnravelIndex
from refgraph_cython.lower.program import Builder, lowers

_INTEGER, _NEW, _REST, _SLICE, _ONE, _INTEGERS, _MASK = range(7)  # what an item is, as in picks.h
_NONE, _VALUE, _INPUT = range(3)  # what a bound of a slice is
_PARTS = {"INT": _ONE, "INTS": _INTEGERS, "MASK": _MASK}
_ITEMS = 16
_MODES = {"raise": 0, "wrap": 1, "clip": 2}


class _Pattern(NamedTuple):
    """An index for kernels: its words, which inputs say what shape is picked, whether there is an array in it."""

    words: list[int]
    shaping: list[int]
    has_arrays: bool


def _pattern(template: tuple[Any, ...], first: int) -> _Pattern | None:
    """A template in words; its inputs begin with number `first`. None where there are too many items."""
    if len(template) > _ITEMS:
        return None
    words, shaping, input, has_arrays = [len(template)], [], first, False
    for item in template:
        if item is None:
            words.append(_NEW)
        elif item is Ellipsis:
            words.append(_REST)
        elif isinstance(item, int):
            words += [_INTEGER, item]
        elif isinstance(item, tuple):
            words.append(_SLICE)
            for bound in item:
                if bound is None or isinstance(bound, int):
                    words += [_NONE, 0] if bound is None else [_VALUE, _in_64_bits(bound)]
                else:
                    words += [_INPUT, 0]
                    shaping.append(input)
                    input += 1
        else:
            words.append(_PARTS[item.name])
            if words[-1] == _MASK:
                shaping.append(input)
            has_arrays |= words[-1] != _ONE
            input += 1
    return _Pattern(words, shaping, has_arrays)


def _in_64_bits(bound: int) -> int:
    """A bound of a slice, which is cut to the length of the axis anyway."""
    return max(-(2**63), min(bound, 2**63 - 1))


@lowers(Index)
def index(node: Apply, build: Builder) -> str | None:
    """A view where no array is in the index."""
    op: Any = node.op
    found = _pattern(op.template, 1)
    if found is None:
        return f"an index of more than {_ITEMS} items"
    kernel, views = ("index", ()) if found.has_arrays else ("index_view", (0,))
    build.thunk(kernel, node.inputs, node.outputs, found.words, values=found.shaping, views=views)
    return None


@lowers(IndexUpdate)
def index_update(node: Apply, build: Builder) -> str | None:
    """In the memory of x where that is allowed: nothing is written before all indices are known to be inside."""
    op: Any = node.op
    found = _pattern(op.template, 2)
    if found is None:
        return f"an index of more than {_ITEMS} items"
    build.thunk(
        "index_update",
        node.inputs,
        node.outputs,
        [op.set_instead_of_inc, *found.words],
        overwrites=[(0, 0)],
        keeps_shape=True,
    )
    return None


@lowers(LastWrite)
def last_write(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    found = _pattern(op.template, 1)
    if found is None:
        return f"an index of more than {_ITEMS} items"
    build.thunk("last_write", node.inputs, node.outputs, found.words, measures=(0,), values=found.shaping)
    return None


@lowers(Choose)
def choose(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("choose", node.inputs, node.outputs, [_MODES[op.mode]])
    return None


@lowers(Nonzero)
def nonzero(node: Apply, build: Builder) -> str | None:
    build.thunk("nonzero", node.inputs, node.outputs, values=(0,))
    return None


@lowers(RavelMultiIndex)
def ravel_multi_index(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("ravel_multi_index", node.inputs, node.outputs, [_MODES[op.mode], op.order == "F"])
    return None


@lowers(UnravelIndex)
def unravel_index(node: Apply, build: Builder) -> str | None:
    op: Any = node.op
    build.thunk("unravel_index", node.inputs, node.outputs, [op.order == "F"])
    return None
