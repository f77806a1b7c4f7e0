"""Where the user wrote it: every Apply remembers a few of the user's frames.

A frame is kept as `(code, lasti)`, the code object and the offset of its last instruction. That costs less than a
microsecond, where formatting a traceback costs twenty; line and columns are looked up only when an error is shown.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from collections.abc import Iterable
from contextvars import ContextVar, Token
from itertools import islice
from types import CodeType, FrameType
from typing import Any


class Place(namedtuple("Place", ("file", "line", "function", "columns", "text"))):
    """A user's line, for showing: `columns` are where in the line the expression begins and ends, in characters, or
    None; `text` is the line, as the file has it now, empty where there is no source.
    """

    __slots__ = ()


Origin = tuple[tuple[CodeType, int] | Place, ...]
"""Nearest frame first. Places stand for frames in what has been pickled."""

_DEPTH = 3  # frames kept: the line, and two callers
_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_is_ours: dict[str, bool] = {"<__array_function__ internals>": True}
_made_for: ContextVar[Origin | None] = ContextVar("refgraph origin", default=None)


def here() -> Origin:
    """The innermost user frames, nearest first: those not of refgraph itself. Empty when there is none."""
    origin = _made_for.get()
    if origin is not None:
        return origin
    frame: FrameType | None = sys._getframe(1)
    found: list[tuple[CodeType, int]] = []
    while frame is not None:
        code = frame.f_code
        ours = _is_ours.get(code.co_filename)
        if ours is None:
            ours = _is_ours[code.co_filename] = code.co_filename.startswith((_LIBRARY, "<frozen "))
        if not ours:
            found.append((code, frame.f_lasti))
            if len(found) == _DEPTH:
                break
        frame = frame.f_back
    return tuple(found)


class made_for:
    """Nodes made inside belong to `origin`: a gradient or a rewrite belongs to the line of what it came from."""

    __slots__ = ("_origin", "_token")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def __enter__(self) -> None:
        self._token: Token[Origin | None] = _made_for.set(self._origin or _made_for.get())

    def __exit__(self, *error: object) -> None:
        _made_for.reset(self._token)


class JoinedOrigin(tuple[Any, ...]):
    """The origin of what stands for several things: the frames of the first, and the origins of the `others`."""

    others: tuple[Origin, ...] = ()


_MOST_OTHERS = 4


def joined(origins: Iterable[Origin]) -> Origin:
    """One origin for what stands for things of several: each line once, the first first."""
    every = [o for origin in origins for o in (origin, *others_of(origin)) if o]
    distinct = list({o[0]: o for o in reversed(every)}.values())[::-1]
    if len(distinct) < 2:
        return distinct[0] if distinct else ()
    found = JoinedOrigin(distinct[0])
    found.others = tuple([tuple(o) for o in distinct[1 : 1 + _MOST_OTHERS]])
    return found


def others_of(origin: Origin) -> tuple[Origin, ...]:
    """The origins that an origin has been joined with."""
    return origin.others if isinstance(origin, JoinedOrigin) else ()


def places(origin: Origin) -> tuple[Place, ...]:
    """The frames of an origin as files, lines, functions and columns; these pickle, code objects do not."""
    found: Any = tuple(frame if isinstance(frame, Place) else _place(*frame) for frame in origin)
    if others := others_of(origin):
        found = JoinedOrigin(found)
        found.others = tuple([places(other) for other in others])
    return found  # type: ignore[no-any-return]  # a tuple of places, or one that has others


def defined(code: CodeType) -> Place:
    """The line on which a function begins."""
    import linecache

    line = code.co_firstlineno
    return Place(code.co_filename, line, _function(code), None, linecache.getline(code.co_filename, line).rstrip())


def _place(code: CodeType, lasti: int) -> Place:
    import linecache

    line, last, start, stop = next(islice(code.co_positions(), max(lasti, 0) // 2, None), (None,) * 4)
    line = line or code.co_firstlineno
    text = linecache.getline(code.co_filename, line).rstrip()
    columns = None
    if start is not None and stop is not None:
        there = text.encode()  # positions count bytes
        first = len(there[:start].decode(errors="replace"))
        columns = first, len(there[:stop].decode(errors="replace")) if last == line else len(text)
    return Place(code.co_filename, line, _function(code), columns, text)


def _function(code: CodeType) -> str:
    """The function that a reader would look for: that around a lambda or a comprehension."""
    names = code.co_qualname.replace(".<locals>", "").split(".")
    while len(names) > 1 and names[-1].startswith("<"):
        names.pop()
    return "<module>" if names[-1].startswith("<") else ".".join(names)
