"""Errors say: what went wrong, what was received, what is accepted, what to do, and on which of the user's lines.

Each class has a stable code, derives also from the builtin that a NumPy or Theano user would catch, and is explained by
its docstring: `python -m refgraph explain RG102`. An error is cheap to make; its text is made when somebody reads it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, ClassVar

from refgraph.core.origin import Origin, Place, here, others_of, places

if TYPE_CHECKING:
    from refgraph.core.graph import Apply, Variable

_OPERANDS, _WIDTH = 4, 110  # how many are shown, and how wide a line of the user's may be


class RefgraphError(Exception):
    """Base of every error that refgraph raises on purpose.

    `message` is one line; `why` and `help` are optional lines; `inputs` are the variables received and `values` the
    arrays that stood for them in a call; `node` is the application that failed; `origin` defaults to the node's, else
    to the line being run. All are attributes of the error. Pickled, it keeps its text and shapes, not the graph.
    """

    code: ClassVar[str] = "RG000"
    loops: tuple[str, ...] = ()
    """In which step of which loop it happened; the innermost loop first."""
    backend: str = ""
    """The name of the backend that ran the application that failed; empty for the interpreter."""

    def __init__(
        self,
        message: str,
        *,
        why: str = "",
        help: str = "",
        node: Apply | None = None,
        inputs: Sequence[Variable] = (),
        values: Sequence[Any] | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.why, self.help = message, why, help
        self.node, self.inputs, self.values = node, tuple(inputs) or (node.inputs if node else ()), values
        self.origin = origin if origin is not None else node.origin if node is not None else here()

    _saved: tuple[Any, ...] | None = None  # shapes, operands and made_by of an error that was unpickled

    @property
    def shapes(self) -> tuple[Any, ...]:
        """The shape of each input in the call that failed, or as far as it is known without a call."""
        if self._saved is not None:
            return self._saved[0]  # type: ignore[no-any-return]
        return tuple(getattr(v, "shape", None) for v in self.values or [x.type for x in self.inputs])

    @property
    def operands(self) -> tuple[str, ...]:
        """A line for each input: name, type, and the shape it had in this call."""
        if self._saved is not None:
            return self._saved[1]  # type: ignore[no-any-return]
        return _operands(self.inputs, self.values)

    @property
    def made_by(self) -> str:
        """The op of the application that failed, with its parameters; empty when it failed before there was one."""
        if self._saved is not None:
            return self._saved[2]  # type: ignore[no-any-return]
        return "" if self.node is None else str(self.node.op)

    def __str__(self) -> str:
        return self.render(color=_uncaught_on_a_terminal())

    def render(self, color: bool = False) -> str:
        """The whole text, at most a dozen lines (more when the flag exception_verbosity is high)."""
        lines = [f"[{self.code}] {self.message}", *_excerpt(self.origin, self.operands)]
        lines += [f"   = in  : {loop}" for loop in self.loops]
        if self.why:
            lines.append(f"   = why : {self.why}")
        if self.help:
            lines.append(f"   = help: {self.help}")
        more = f"python -m refgraph explain {self.code}"
        where = f"; backend {self.backend}" if self.backend else ""
        made = f"{_short(self.made_by, 60)}{where}"
        lines.append(f"   = node: {made}. More: {more}" if self.made_by else f"   = more: {more}")
        lines += _details(self.node, self.values)
        return "\n".join(_colored(lines) if color else lines)

    def __reduce__(self) -> tuple[Any, ...]:
        saved = self.shapes, self.operands, self.made_by
        state = {
            **self.__dict__,
            "node": None,
            "inputs": (),
            "values": None,
            "origin": places(self.origin),
            "_saved": saved,
        }
        return _bare, (type(self), self.message), state


def _bare(cls: type[RefgraphError], message: str) -> RefgraphError:
    """For pickle: an error to be filled with what was stored."""
    return cls.__new__(cls, message)


def nearest(name: str, names: Iterable[str], most: int = 3) -> str:
    """A question that offers the names most like `name`, at most so many; empty when none is like it."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), n=most)
    return f"did you mean {' or '.join(found)}?" if found else ""


# what a reader sees


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def _operands(inputs: Sequence[Variable], values: Sequence[Any] | None) -> tuple[str, ...]:
    given = [None] * len(inputs) if values is None else values
    return tuple(_operand(x, v) for x, v in zip(inputs, given, strict=True))


def _operand(x: Variable, value: Any) -> str:
    text = f"{_short(str(x), 40)}: {x.type}" if x.name or x.owner else str(x.type)
    if value is None or None not in getattr(x.type, "shape", (None,)):
        return text
    return f"{text}, this call {getattr(value, 'shape', type(value).__name__)}"


def _excerpt(origin: Origin, operands: Sequence[str]) -> list[str]:
    """The user's line, the expression underlined, and beside it what it was applied to."""
    rows = list(operands[:_OPERANDS])
    if len(operands) > _OPERANDS:
        rows[-1] = f"... and {len(operands) - _OPERANDS + 1} more"
    found = places(origin)
    if not found:
        return [f"   | {row}" for row in rows]
    place = found[0]
    lines = [f"  --> {_where(place)}"]
    caller = next((p for p in found[1:] if _is_users(p) and p[:3] != place[:3]), None)
    if caller is not None:
        lines.append(f"      called from {_where(caller)}")
    others = [p[0] for p in others_of(found) if isinstance(p[0], Place) and p[0][:2] != place[:2]]
    lines += [f"      together with {where}" for where in dict.fromkeys(map(_where, others[:2]))]
    gutter = " " * len(str(place.line)) + " | "
    if not place.text:
        return lines + [gutter + row for row in rows]
    text, start, stop = _window(place)
    lines.append(f"{place.line} | {text}")
    if place.columns is None:
        return lines + [gutter + row for row in rows]
    under = " " * start + "^" * (stop - start)
    if stop > _WIDTH // 2 or not rows:
        return [*lines, gutter + under, *[f"{gutter}    {row}" for row in rows]]
    return [*lines, f"{gutter}{under}   {rows[0]}", *[f"{gutter}{' ' * stop}   {row}" for row in rows[1:]]]


def _window(place: Place) -> tuple[str, int, int]:
    """The line, shortened where it is very long, and the columns of the expression in it."""
    text, (start, stop) = place.text, place.columns or (0, 0)
    start, stop = len(text[:start].expandtabs(4)), len(text[:stop].expandtabs(4))
    text = text.expandtabs(4)
    if len(text) > _WIDTH:
        skip = max(0, min(start - 20, len(text) - _WIDTH))
        text, start, stop = text[skip : skip + _WIDTH], start - skip, min(stop - skip, _WIDTH)
    return text, start, max(stop, start + 1)


def _where(place: Place) -> str:
    here = os.getcwd() + os.sep
    return f"{place.file.removeprefix(here)}:{place.line}, in {place.function}"


def _is_users(place: Place) -> bool:
    """Whether a caller is worth showing: not Python's or an installed package's machinery that calls the program."""
    library = os.path.dirname(os.__file__) + os.sep
    return not place.file.startswith((library, "<")) and "site-packages" not in place.file


def _details(node: Apply | None, values: Sequence[Any] | None) -> list[str]:
    """With exception_verbosity=high: the graph that led to the node, and the values it was applied to."""
    from refgraph.core.config import config

    if node is None or config.exception_verbosity != "high":
        return []
    from refgraph.core.show import debugprint

    lines = [
        "   = graph:",
        *("     " + line for line in debugprint(node.outputs, depth=6, print_type=True, file="str").splitlines()),
    ]
    for x, value in zip(node.inputs, values or (), strict=bool(values)):
        lines.append(f"   = value of {_short(str(x), 40)}: {_short(repr(value), 200)}")
    return lines


def _uncaught_on_a_terminal() -> bool:
    """Whether the interpreter itself is printing an error that nobody caught, on a terminal that shows colours."""
    if "NO_COLOR" in os.environ or not getattr(sys.stderr, "isatty", bool)():
        return False
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_globals.get("__name__") == "traceback":
        frame = frame.f_back
    return frame is None


def _colored(lines: list[str]) -> list[str]:
    bold, red, blue, plain = "\033[1m", "\033[31m", "\033[34m", "\033[0m"
    return [bold + lines[0] + plain] + [
        line.replace("^" * line.count("^"), red + "^" * line.count("^") + plain) if " ^" in line
        else f"{blue}{line[:10]}{plain}{line[10:]}" if line.startswith("   = ")
        else line
        for line in lines[1:]
    ]  # fmt: skip


# errors of others, at run time


def explain(error: Exception, node: Apply, values: Sequence[Any] | None = None) -> Exception:
    """What to raise when running `node` on `values` raised `error`.

    An error about shapes becomes ShapeError, about an axis AxisError, about an index BoundsError, and about other
    values that an op of this library has no meaning for DomainError. Any other keeps its type, with a note of the op,
    the user's line and the inputs. What an inner graph has explained stays as it is.
    Use: `raise explain(error, node, values) from None`.
    """
    if isinstance(error, RefgraphError):
        if not is_explained(error):
            error.node, error.origin, error.inputs, error.values = node, node.origin, node.inputs, values
        return error
    kind = _kind(error, node)
    if kind is not None:
        return _translated(kind, error, node, values)
    if not is_explained(error):
        lines = [
            f"{_NOTE} {_short(str(node.op), 60)}",
            *_excerpt(node.origin, _operands(node.inputs, values)),
            *_details(node, values),
        ]
        error.add_note("\n".join(lines))
    return error


def is_explained(error: BaseException) -> bool:
    """Whether an error says which application failed."""
    if isinstance(error, RefgraphError):
        return error.node is not None or error._saved is not None
    return any(note.startswith(_NOTE) for note in getattr(error, "__notes__", ()))


_NOTE = "while running"
_ABOUT_SHAPES = ("broadcast", "shape", "dimension", "not aligned", "reshape", "same length", "size")


def _kind(error: Exception, node: Apply) -> type[RefgraphError] | None:
    """The class for an error of NumPy's; None for those that say enough by themselves."""
    if type(error).__name__ == "AxisError":
        return AxisError
    if type(error) is IndexError:
        return BoundsError
    if type(error) is not ValueError:
        return None
    text, ours = str(error).lower(), _is_ours(error, node)
    if any(word in text for word in _ABOUT_SHAPES) or (ours and "empty" in text):
        return ShapeError
    return DomainError if ours else None


def _is_ours(error: Exception, node: Apply) -> bool:
    """Whether an op of this library failed, not code of the user's that it called, which says what it means to say."""
    if not type(node.op).__module__.startswith("refgraph.") or getattr(node.op, "perform", None) is not None:
        return False
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in ("refgraph", "numpy", "scipy"):
            return False
        trace = trace.tb_next
    return True


def _translated(
    kind: type[RefgraphError], error: Exception, node: Apply, values: Sequence[Any] | None
) -> RefgraphError:
    name, text = node.op.name or str(node.op), _short(str(error), 160)
    shapes = [tuple(v.shape) for v in values or () if hasattr(v, "shape")]
    if kind is not ShapeError or not shapes:
        length = re.search(r"out of bounds for axis \d+ with size ([1-9]\d*)", text)
        help = f"use an index from -{length[1]} to {int(length[1]) - 1}" if length else ""
        return kind(f"{name}: {text}", help=help, node=node, values=values)
    together = f"{', '.join(map(str, shapes[:-1]))} and {shapes[-1]}" if len(shapes) > 1 else str(shapes[0])
    if not text.startswith(("operands could not be broadcast", "shape mismatch: objects cannot be broadcast")):
        return kind(
            f"{name} does not accept shapes {together}"
            if len(shapes) > 1
            else f"{name} does not accept shape {together}",
            why=text,
            node=node,
            values=values,
        )
    return kind(
        f"{name} cannot broadcast shapes {together}",
        why=_misfit(shapes),
        help="make the lengths equal, or make one of them 1",
        node=node,
        values=values,
    )


def _misfit(shapes: Sequence[tuple[int, ...]]) -> str:
    """The first axis, counted from the last as broadcasting does, whose lengths differ and are not 1."""
    for axis in range(-1, -1 - max(map(len, shapes)), -1):
        lengths = list(dict.fromkeys(s[axis] for s in shapes if len(s) >= -axis and s[axis] != 1))
        if len(lengths) > 1:
            return f"axis {axis + max(map(len, shapes))} is {lengths[0]} in one operand and {lengths[1]} in another"
    return "the shapes differ"


def by_code() -> dict[str, type[RefgraphError]]:
    """Every class of this module by its code, in order."""
    found = [c for c in globals().values() if isinstance(c, type) and issubclass(c, RefgraphError)]
    return {c.code: c for c in sorted(found, key=lambda c: c.code)}


def page(classes: Iterable[type[RefgraphError]]) -> str:
    """The docs of error classes, in Markdown: code, name, the builtins it is caught as, and its docstring."""
    text = ""
    for c in classes:
        caught = ", ".join(
            b.__name__ for base in c.__mro__ for b in base.__bases__ if _is_builtin(b) and not _is_builtin(base)
        )
        title = f"{c.code} {c.__name__}" + (f" (caught also as {caught})" if caught else "")
        text += f"## {title}\n\n{_dedented(c.__doc__ or '')}\n\n"
    return text.rstrip() + "\n"


def _is_builtin(c: type) -> bool:
    return c.__module__ == "builtins" and c.__name__.endswith("Error")


def _dedented(doc: str) -> str:
    """A docstring without the indentation of its class, which Python 3.13 takes off by itself."""
    from textwrap import dedent

    first, _, rest = doc.partition("\n")
    return f"{first}\n{dedent(rest).rstrip()}"


# the kinds


class GraphTypeError(RefgraphError, TypeError):
    """An op or a function of refgraph was given something that it cannot accept.

    Not a variable where one is needed, or a variable of the wrong rank, or a word that is not among the choices.

    Fails:

        x = T.dvector("x")
        refgraph.grad((x**2).sum(), "x")

    Works:

        x = T.dvector("x")
        refgraph.grad((x**2).sum(), x)
    """

    code = "RG101"


class ShapeError(RefgraphError, ValueError):
    """Shapes do not fit together.

    It is raised where the graph is built when the lengths are known there, otherwise when a function is called.
    Broadcasting is NumPy's: shapes are compared from their last axis on, and two lengths fit when they are equal or one
    of them is 1.

    Fails:

        x, y = T.dmatrix("x"), T.dmatrix("y")
        f = refgraph.function([x, y], x + y)
        f(np.ones((2, 3)), np.ones((4, 3)))

    Works:

        x, y = T.dmatrix("x"), T.dmatrix("y")
        f = refgraph.function([x, y], x + y)
        f(np.ones((2, 3)), np.ones((1, 3)))
    """

    code = "RG102"


class AxisError(RefgraphError, ValueError, IndexError):
    """An axis that the array does not have, or the same axis twice.

    Axes count from 0; negative ones count from the end, so a matrix has the axes 0, 1, -2 and -1.

    Fails:

        T.dmatrix("x").sum(axis=2)

    Works:

        T.dmatrix("x").sum(axis=1)
    """

    code = "RG103"


class DTypeError(GraphTypeError):
    """A dtype that does not exist, that the op has no meaning for, or that a number does not fit.

    Nothing is truncated silently: a conversion that loses something has to be written, as `x.astype(dtype)`.

    Fails:

        T.dvector("x") & T.dvector("y")

    Works:

        T.lvector("x") & T.lvector("y")
    """

    code = "RG104"


class BoundsError(RefgraphError, IndexError):
    """An index outside the array.

    It is raised where the graph is built when index and length are known there, otherwise when a function is called.

    Fails:

        x, i = T.dvector("x"), T.lscalar("i")
        f = refgraph.function([x, i], x[i])
        f([1.0, 2.0, 3.0], 3)

    Works:

        x, i = T.dvector("x"), T.lscalar("i")
        f = refgraph.function([x, i], x[i])
        f([1.0, 2.0, 3.0], -1)
    """

    code = "RG105"


class SymbolicValueError(RefgraphError, TypeError):
    """Python asked a variable for a value, which it has only when a function runs.

    `if`, `while`, `and`, `float()`, `len()`, `for` over an axis of unknown length and NumPy functions that refgraph
    does not know need values now. A choice inside the graph is `T.switch`, a length is `x.shape[0]`, an assignment is
    `T.set_subtensor`.

    Fails:

        x = T.dscalar("x")
        y = x if x > 0 else -x

    Works:

        x = T.dscalar("x")
        y = T.switch(x > 0, x, -x)
    """

    code = "RG106"


class NotScalarConstantError(SymbolicValueError):
    """A single number is needed while the graph is built, and the graph does not fix it.

    An axis, for one, decides the rank of the result: it has to be an int, or a variable whose value follows from
    constants.

    Fails:

        x, axis = T.dmatrix("x"), T.lscalar("axis")
        x.sum(axis=axis)

    Works:

        x, axis = T.dmatrix("x"), T.constant(1)
        x.sum(axis=axis)
    """

    code = "RG107"


class DomainError(RefgraphError, ValueError):
    """A value that an op has no meaning for, met when a function runs, or known already when the graph is built.

    An integer to the power of a negative integer, for one, is not an integer.

    Fails:

        i, n = T.lvectors("i", "n")
        refgraph.function([i, n], i**n)([2, 3], [2, -1])

    Works:

        i, n = T.lvectors("i", "n")
        refgraph.function([i, n], T.float_power(i, n))([2, 3], [2, -1])
    """

    code = "RG108"


class MissingInputError(RefgraphError, ValueError):
    """A graph needs a variable that is not among its inputs.

    Fails:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.function([x], x * y)

    Works:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.function([x, y], x * y)
        refgraph.function([x], x * y, givens={y: 2.0})
    """

    code = "RG201"

    @classmethod
    def of(cls, x: Variable, reader: Apply | None, inputs: Sequence[Variable]) -> MissingInputError:
        """The error for the variable `x` that `reader` needs (None: the caller), where `inputs` are given."""
        used = f"used by {reader.op}" if reader is not None else "an output"
        have = ", ".join(map(str, inputs)) or "none"
        twin = x.name is not None and any(i.name == x.name for i in inputs)
        return cls(
            f"no value for {x} ({x.type}), {used}",
            why=f"the inputs are: {_short(have, 80)}"
            + (f"; the {x} among them is another variable of that name" if twin else ""),
            help=f"add {x} to the inputs, give it a value with givens=, or make it a shared variable",
            node=reader,
        )


class UnusedInputError(RefgraphError, ValueError):
    """A function was given an input that no output needs, or the same input twice.

    The first is most often a mistake in the expression. `on_unused_input="ignore"` accepts it.

    Fails:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.function([x, y], x * 2)

    Works:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.function([x, y], x * 2, on_unused_input="ignore")
    """

    code = "RG202"


class InputError(RefgraphError, TypeError):
    """A call gave an argument that its input does not accept, too many arguments, or too few.

    An argument may be anything that becomes an array of the input's dtype without loss. To convert with loss, convert
    it before or make the function with `allow_input_downcast=True`.

    Fails:

        x = T.fvector("x")
        refgraph.function([x], x * 2)(np.ones(3))

    Works:

        x = T.fvector("x")
        refgraph.function([x], x * 2)(np.ones(3, "float32"))
        refgraph.function([x], x * 2, allow_input_downcast=True)(np.ones(3))
    """

    code = "RG203"


class UpdateError(RefgraphError, TypeError):
    """An update cannot become the value of its shared variable.

    The new value has the dtype and the rank of the old one: an update never changes the type of what it updates.

    Fails:

        count = refgraph.shared(0)
        refgraph.function([], updates=[(count, count + 0.5)])

    Works:

        count = refgraph.shared(0.0)
        refgraph.function([], updates=[(count, count + 0.5)])
    """

    code = "RG204"


class PickleError(RefgraphError, PicklingError, TypeError):
    """An op cannot be pickled, or a pickle holds an op that is not there.

    Pickle keeps functions and classes by their module and name, so an op that is made of a lambda, or in the body of
    a function, cannot be found again.

    Fails:

        import pickle
        double = refgraph.as_op(T.dvector, T.dvector)(lambda x: 2 * x)
        pickle.dumps(double)

    Works:

        import pickle
        x = T.dvector("x")
        double = refgraph.OpFromGraph([x], [2 * x])
        pickle.dumps(double)
    """

    code = "RG205"


class DisconnectedInputError(RefgraphError, ValueError):
    """A gradient was asked with respect to something that the cost does not depend on.

    Integers that only choose, as indices and shapes do, do not connect either.

    Fails:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.grad(x**2, y)

    Works:

        x, y = T.dscalar("x"), T.dscalar("y")
        refgraph.grad(x**2, x)
        refgraph.grad(x**2, y, disconnected_inputs="ignore")
    """

    code = "RG301"


class NonScalarCostError(RefgraphError, TypeError):
    """A gradient was asked of something that is not one number.

    Fails:

        x = T.dvector("x")
        refgraph.grad(x**2, x)

    Works:

        x = T.dvector("x")
        refgraph.grad((x**2).sum(), x)
        refgraph.gradient.jacobian(x**2, x)
    """

    code = "RG302"


class NullTypeGradError(RefgraphError, TypeError):
    """A gradient is needed that does not exist or is not written.

    Fails:

        x = T.dscalar("x")
        refgraph.grad(refgraph.gradient.undefined_grad(x) * 2, x)

    Works:

        x = T.dscalar("x")
        refgraph.grad(refgraph.gradient.undefined_grad(x) * 2, x, null_gradients="return")
        refgraph.grad(x * 2, x)
    """

    code = "RG303"


class ConfigError(RefgraphError, ValueError, AttributeError):
    """A flag that does not exist, or a value that it does not take.

    `print(refgraph.config)` shows every flag, its value, what it takes and what it is for.

    Fails:

        refgraph.config.floatx = "float32"

    Works:

        refgraph.config.floatX = "float32"
    """

    code = "RG401"


class RewriteError(RefgraphError, ValueError):
    """A rule for rewriting graphs is wrong: it raised, or answered what cannot stand for what was, or never settles.

    By default (the flag on_opt_error) this is a warning, and the function is made without that change. The rule can be
    left out by name: `mode.excluding("name")`, or the flag optimizer_excluding.

    Fails:

        from refgraph.rules import node_rule

        @node_rule("sometimes")
        def nothing(node):
            "Nothing becomes of anything."

    Works:

        from refgraph.rules import PHASES
        print(PHASES)
    """

    code = "RG402"


class BackendError(RefgraphError, RuntimeError, ValueError):
    """A backend is not installed, cannot be loaded, cannot run here, or failed where the interpreter does not.

    The backend named "numpy" is the interpreter, which is always there. `python -m refgraph doctor` lists the others,
    with what they lack.

    Fails:

        x = T.dvector("x")
        refgraph.function([x], x * 2, backend="nump")

    Works:

        x = T.dvector("x")
        refgraph.function([x], x * 2, backend="numpy")
    """

    code = "RG601"


class FallbackError(BackendError):
    """A function was asked to run wholly on one backend (`strict=True`), which has no kernel for some of its ops.

    `f.report()`, of the function made without `strict`, lists what runs where and why.

    Fails:

        from refgraph.backend import Backend

        x = T.dvector("x")
        refgraph.function([x], x * 2, backend=Backend("empty"), strict=True)

    Works:

        from refgraph.backend import Backend

        x = T.dvector("x")
        print(refgraph.function([x], x * 2, backend=Backend("empty")).report())
    """

    code = "RG602"


class InvalidValueError(RefgraphError, ValueError):
    """DebugMode: a value is not of its variable's type, or not finite.

    NaN and infinity are accepted with `DebugMode(check_isfinite=False)`, or the flag `DebugMode.check_finite=False`.

    Fails:

        x = T.dvector("x")
        refgraph.function([x], T.log(x), mode="DebugMode")(np.zeros(3))

    Works:

        x = T.dvector("x")
        refgraph.function([x], T.log(x), mode="DebugMode")(np.ones(3))
    """

    code = "RG501"


class BadDestroyMap(RefgraphError, ValueError):
    """DebugMode: an op wrote into one of its inputs.

    Arrays that an op is given belong to others: it computes in arrays of its own.

    Fails:

        class Increment(refgraph.Op):
            def infer(self, x):
                return (x.type,)

            def impl(self, x):
                x += 1
                return x.copy()

        x = T.dvector("x")
        refgraph.function([x], Increment()(x), mode="DebugMode")(np.zeros(3))

    Works:

        class Increment(refgraph.Op):
            def infer(self, x):
                return (x.type,)

            def impl(self, x):
                return x + 1

        x = T.dvector("x")
        refgraph.function([x], Increment()(x), mode="DebugMode")(np.zeros(3))
    """

    code = "RG502"


class BadViewMap(RefgraphError, ValueError):
    """DebugMode: an output of an op shares memory with an input that `views` does not name, or with another output.

    Fails:

        class Backwards(refgraph.Op):
            def infer(self, x):
                return (x.type,)

            def impl(self, x):
                return x[::-1]

        x = T.dvector("x")
        refgraph.function([x], Backwards()(x), mode="DebugMode")(np.zeros(3))

    Works:

        class Backwards(refgraph.Op):
            views = (0,)

            def infer(self, x):
                return (x.type,)

            def impl(self, x):
                return x[::-1]

        x = T.dvector("x")
        refgraph.function([x], Backwards()(x), mode="DebugMode")(np.zeros(3))
    """

    code = "RG503"


class BadThunkOutput(RefgraphError, ValueError):
    """DebugMode: an op answered differently when it ran again on the same inputs.

    What an op depends on must be among its inputs, randomness and counters too.

    Fails:

        class Noisy(refgraph.Op):
            def infer(self, x):
                return (x.type,)

            def impl(self, x):
                return x + np.random.default_rng().normal(size=x.shape)

        x = T.dvector("x")
        refgraph.function([x], Noisy()(x), mode="DebugMode")(np.zeros(3))

    Works:

        x, noise = T.dvectors("x", "noise")
        f = refgraph.function([x, noise], x + noise, mode="DebugMode")
        f(np.zeros(3), np.random.default_rng().normal(size=3))
    """

    code = "RG504"


class NanGuardError(RefgraphError, AssertionError, ValueError):
    """NanGuardMode: a value is NaN, infinite, or beyond 1e10.

    The error names the first node that received such a value from outside, or made one. What is forbidden can be
    chosen: `NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=False)`.

    Fails:

        x = T.dvector("x")
        refgraph.function([x], T.log(x), mode="NanGuardMode")(np.zeros(3))

    Works:

        x = T.dvector("x")
        refgraph.function([x], T.log(x), mode="NanGuardMode")(np.ones(3))
    """

    code = "RG505"
