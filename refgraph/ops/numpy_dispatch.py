"""NumPy's functions on variables: `np.exp(x)`, `array + x` and `np.sum(x)` build graphs of refgraph's own ops.

Nothing is listed twice: a ufunc goes to the row that it is the meaning of, a function to refgraph's own of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

import refgraph.ops as ops
from refgraph.core.errors import GraphTypeError
from refgraph.core.op import OPS
from refgraph.ops.families import Elemwise
from refgraph.ops.tensor import as_tensor

_REDUCE = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
_ACCUMULATE = {"add": "cumsum", "multiply": "cumprod"}
_MODULES = (
    *("elementwise", "reductions", "shape", "cumulative", "joining"),
    *("construct", "indexing", "sorting", "linalg", "einsum"),
)


def ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The graph of a NumPy or SciPy ufunc, or one of its methods, applied to variables.

    Calls, `reduce`, `accumulate` and `outer` have graphs. Raises GraphTypeError for others, for ufuncs that no row
    means, and for keyword arguments that a graph cannot honour.
    """
    given = {k: v for k, v in kwargs.items() if v is not None or k == "axis"}
    if "out" in given:
        raise GraphTypeError(
            f"np.{ufunc.__name__}(..., out=...): an array cannot hold a variable",
            why="an in-place operation on an array, like `a += x`, is this too",
            help="write it as an expression with a new name: b = a + x",
        )
    if method == "reduce":
        return _reduce(ufunc, *inputs, **given)
    if method == "accumulate":
        return _method(ufunc, method, ops.cumulative, _ACCUMULATE)(*inputs, **{"axis": 0} | given)
    row = _row_of(ufunc)
    if given or method not in ("__call__", "outer"):
        what = ", ".join(f"{k}=" for k in given) if method == "__call__" else f"the method {method}"
        raise GraphTypeError(
            f"np.{ufunc.__name__}: {what} has no graph",
            help=_INSTEAD.get(next(iter(given), method), f"use T.{getattr(row, 'name', ufunc.__name__)} without it"),
        )
    if method == "outer":
        x, y = map(as_tensor, inputs)
        return row(x.dimshuffle(*range(x.ndim), *["x"] * y.ndim), y)
    return row(*inputs)


_INSTEAD = {
    "where": "choose afterwards: T.switch(where, result, otherwise)",
    "dtype": "convert the inputs before, x.astype(dtype), or the result after",
    "casting": "convert the inputs before: x.astype(dtype)",
    "at": "use T.inc_subtensor(x[indices], values) or T.set_subtensor",
    "reduceat": "reduce the parts: T.stack([x[a:b].sum() for a, b in parts])",
}


def _reduce(ufunc: np.ufunc, x: Any, axis: Any = 0, keepdims: bool = False, dtype: Any = None, **rest: Any) -> Any:
    function = _method(ufunc, "reduce", ops.reductions, _REDUCE)
    if rest:
        extra = ", ".join(f"{k}=" for k in rest)
        raise GraphTypeError(
            f"np.{ufunc.__name__}.reduce: {extra} has no graph", help=f"use T.{_REDUCE[ufunc.__name__]}"
        )
    result = function(x if dtype is None else as_tensor(x).astype(dtype), axis=axis, keepdims=keepdims)
    return result if dtype is None else result.astype(dtype)


def _method(ufunc: np.ufunc, method: str, module: ModuleType, names: Mapping[str, str]) -> Callable[..., Any]:
    if ufunc.__name__ not in names:
        known = ", ".join(f"np.{u}" for u in names)
        raise GraphTypeError(f"np.{ufunc.__name__}.{method} has no graph", help=f"only {known} have {method}")
    return getattr(module, names[ufunc.__name__])  # type: ignore[no-any-return]


def _row_of(ufunc: np.ufunc) -> Callable[..., Any]:
    """The row whose meaning is `ufunc`; for ufuncs of several outputs and those of linear algebra, our function."""
    name = ufunc.__name__
    row = _rows().get(ufunc)
    if row is None and (row := _rows().get(f"scipy.special:{name}")) is not None:
        from scipy import special

        row = row if getattr(special, name) is ufunc else None
    if row is not None:
        return row
    of_numpy = getattr(np, name, None) is ufunc
    function = _named(name) if of_numpy else None
    if function is None:
        raise _unknown(f"{'np' if of_numpy else 'scipy.special'}.{name}", name)
    return function


@cache
def _rows() -> dict[Any, Elemwise]:
    """Rows by what they say is their meaning."""
    return {op.stands_for: op for op in OPS.values() if isinstance(op, Elemwise)}


def function(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The graph of a NumPy function applied to variables: refgraph's own of the same name, called the same way.

    Raises GraphTypeError, naming the nearest of our functions, where there is none, or none with these arguments.
    """
    name = function.__name__
    target = _SPELLED.get(name) or _named(_ALSO.get(name, name)) if function.__module__ == "numpy" else None
    if target is None:
        raise _unknown(f"{function.__module__.replace('numpy', 'np', 1)}.{name}", name)
    given = {k: v for k, v in kwargs.items() if not (k == "out" and v is None)}
    accepted = _arguments(target)
    if accepted is not None and not accepted.issuperset(given):
        extra = ", ".join(f"{k}=" for k in given if k not in accepted)
        raise GraphTypeError(f"np.{name}: {extra} has no graph", help=f"T.{name} takes {', '.join(sorted(accepted))}")
    return target(*args, **given)


def _arguments(target: Any) -> set[str] | None:
    """Names of the arguments of one of our functions or rows; None for one that takes any."""
    code = (target if hasattr(target, "__code__") else type(target).__call__).__code__
    if code.co_flags & 0x08:  # **kwargs
        return None
    return set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) - {"self"}


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """np.where: a choice, or with the condition alone the indices where it holds."""
    if x is None and y is None:
        return ops.indexing.nonzero(as_tensor(condition))
    return ops.elementwise.switch(condition, x, y)


_SPELLED: dict[str, Callable[..., Any]] = {
    "where": _where,
    "ndim": lambda a: as_tensor(a).ndim,
    "size": lambda a: as_tensor(a).size,
    "copy": lambda a: as_tensor(a).copy(),
    "ravel": lambda a: as_tensor(a).ravel(),
}
"""NumPy's functions whose arguments are not ours."""
_ALSO = {"amax": "max", "amin": "min", "around": "round"}
"""Other names of NumPy's for functions of ours."""


def _named(name: str) -> Callable[..., Any] | None:
    """The vocabulary's public function or row of that name."""
    for module in _MODULES:
        found = getattr(getattr(ops, module), name, None)
        ours = getattr(found, "__module__", "").startswith("refgraph.ops") and not isinstance(found, type)
        if ours or isinstance(found, Elemwise):
            return found
    return None


def _unknown(spelled: str, name: str) -> GraphTypeError:
    import difflib

    words = [w for m in _MODULES for w in vars(getattr(ops, m)) if not w.startswith("_") and _named(w) is not None]
    near = difflib.get_close_matches(name, words, 1, 0.5)
    return GraphTypeError(
        f"{spelled} does not work on variables",
        help=(f"the nearest is T.{near[0]}" if near else "write it with the functions of refgraph.tensor")
        + "; or compute it on the array that a function returns",
    )
