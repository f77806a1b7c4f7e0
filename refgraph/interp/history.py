"""What rewriting did to the graph of a function, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Apply, Graph, Variable
from refgraph.core.origin import places
from refgraph.core.show import formula

if TYPE_CHECKING:
    from refgraph.interp.function import Function
    from refgraph.rewrite.rule import Rule

_WIDTH = 100


class Step(NamedTuple):
    """One change: the rule, its phase, what was and what stands for it, as formulas, and the user's file and line."""

    rule: str
    phase: str
    before: str
    after: str
    line: str

    @classmethod
    def of(cls, rule: Rule, old: Apply | Graph, new: Sequence[Variable] | Graph) -> Step:
        """The step that a rule makes of an application, or of a whole graph."""
        line = ""
        if isinstance(old, Apply) and old.origin:
            (place,) = places(old.origin[:1])
            line = f"{place.file}:{place.line}"
        return cls(rule.name, rule.phase, _text(old), _text(new), line)

    def __str__(self) -> str:
        return f"{self.phase:10} {self.rule}: {self.before} -> {self.after}{f'  ({self.line})' if self.line else ''}"


class History(list[Step]):
    """The steps in order; prints as a numbered list."""

    def __str__(self) -> str:
        return "\n".join(f"{i:4} {step}" for i, step in enumerate(self)) or "nothing was rewritten"


def _text(what: Any) -> str:
    if isinstance(what, Graph):
        return f"{len(what.nodes)} applications"
    outputs = what.outputs if isinstance(what, Apply) else what
    text = ", ".join(formula(x, 12) for x in outputs)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def rewrite_history(f: Function) -> History:
    """Which rule changed what in making this function, in order; graphs within loops and branches included.

    The function is rewritten once more for it, by the rules that its mode has now: nothing is kept while functions are
    made. Raises GraphTypeError for a function that was unpickled, which has no longer what was written.
    """
    written = f.maker.written
    if written is None:
        raise GraphTypeError(
            f"rewrite_history of {f.name or 'function'}: what was rewritten is not kept in a pickle",
            help="ask the function that was pickled, or make it anew",
        )
    found = History()
    f.maker.mode.rewrite(written, lambda rule, old, new: found.append(Step.of(rule, old, new)))
    return found
