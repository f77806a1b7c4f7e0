"""Is a gradient right? Compare it with differences of the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgraph.autodiff.reverse import grad
from refgraph.core.errors import GraphTypeError, RefgraphError
from refgraph.interp.function import function
from refgraph.ops.tensor import TensorType, as_tensor

Array = np.ndarray[Any, Any]

_EPS = {"float16": 1e-1, "float32": 3e-4, "float64": 1e-7}
_TOLERANCE = {"float16": 1e-1, "float32": 1e-2, "float64": 1e-4}


class GradientError(RefgraphError, AssertionError):
    """A gradient disagrees with differences of its function: `argument`, `index`, `analytic`, `numeric` say where, how.

    ```python fails
    import numpy as np, refgraph.tensor as T
    T.verify_grad(lambda x: T.grad_scale(x, 2.0), [np.ones(3)])   # its gradient is not its derivative
    ```
    ```python works
    import numpy as np, refgraph.tensor as T
    T.verify_grad(lambda x: T.tanh(x), [np.ones(3)])
    ```
    """

    code = "RG304"
    argument: int
    index: tuple[int, ...]
    analytic: float
    numeric: float


def numeric_gradient(f: Callable[..., Any], points: Sequence[Array], eps: float) -> list[Array]:
    """The gradient of a scalar `f(*points)` by central differences of width 2 * eps, one array for each point."""
    gradients = []
    for i, point in enumerate(points):
        gradient = np.zeros(point.shape, point.dtype)
        for index in np.ndindex(point.shape):
            above, below = ([np.array(p) for p in points] for _ in range(2))
            above[i][index] += eps
            below[i][index] -= eps
            width = above[i][index] - below[i][index]
            gradient[index] = (f(*above) - f(*below)) / width
        gradients.append(gradient)
    return gradients


def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: str | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    cast_to_output_type: bool = False,
    no_debug_ref: bool = True,
) -> None:
    """Raise GradientError unless the gradient of `fun` at `pt` agrees with central differences.

    fun: takes one variable for each array of `pt` (real floats) and answers one float variable of any shape; it is
    weighed with random numbers to make a scalar, `n_tests` times, so every element of the Jacobian takes part.
    rng: a NumPy Generator or RandomState, for the weights; seeded with 0 when not given.
    eps: half the width of the differences; abs_tol, rel_tol: a disagreement is an error when it exceeds both.
    Defaults follow the coarsest dtype among `pt` and the output (or `out_type`). `mode` compiles the gradient; the
    function itself runs in the default mode when `no_debug_ref` is true.
    """
    points = [np.array(p) for p in pt]
    for i, p in enumerate(points):
        if p.dtype.name not in _EPS:
            raise GraphTypeError(f"verify_grad takes arrays of real floats, got {p.dtype} for argument {i}")
    rng = np.random.default_rng(0) if rng is None else rng
    inputs = [TensorType(p.dtype.name, p.shape)(f"input {i}") for i, p in enumerate(points)]
    output = as_tensor(fun(*inputs))
    if output.dtype not in _EPS:
        raise GraphTypeError(
            f"verify_grad takes a function with a real float output, got {output.type}", inputs=[output]
        )
    names = [*(p.dtype.name for p in points), output.dtype, *([out_type] if out_type else [])]
    coarsest = min(names, key=lambda name: np.finfo(name).bits)
    eps = _EPS[coarsest] if eps is None else eps
    abs_tol = _TOLERANCE[coarsest] if abs_tol is None else abs_tol
    rel_tol = _TOLERANCE[coarsest] if rel_tol is None else rel_tol

    weights = TensorType(output.dtype, (None,) * output.ndim)("weights")
    cost = (weights * output).sum()
    value = function(inputs, output, mode=None if no_debug_ref else mode, on_unused_input="ignore")
    slope = function(
        [*inputs, weights], grad(cost, inputs, disconnected_inputs="ignore"), mode=mode, on_unused_input="ignore"
    )
    shape = value(*points).shape
    for _ in range(n_tests):
        w = np.asarray(rng.uniform(size=shape) + 0.5).astype(output.dtype)

        def weighed(*arrays: Any, w: Array = w) -> Any:
            return np.sum(w.astype("float64") * value(*arrays))

        wanted = numeric_gradient(weighed, points, eps)
        _compare(slope(*points, w), wanted, abs_tol, rel_tol)


def _compare(found: Sequence[Array], wanted: Sequence[Array], abs_tol: float, rel_tol: float) -> None:
    for i, (g, n) in enumerate(zip(found, wanted, strict=True)):
        if g.shape != n.shape:
            raise GradientError(f"the gradient by argument {i} has shape {g.shape}, its argument {n.shape}")
        if not g.size:
            continue
        absolute = np.abs(g - n)
        relative = absolute / np.maximum(np.abs(g) + np.abs(n), 1e-8)
        excess = np.where(np.isnan(absolute), np.inf, np.minimum(absolute / abs_tol, relative / rel_tol))
        at = np.unravel_index(int(np.argmax(excess)), g.shape)
        if excess[at] > 1:
            where = tuple(int(k) for k in at)
            error = GradientError(
                f"the gradient by argument {i} at {list(where)} is {g[at]:.6g}, by differences {n[at]:.6g}",
                why=f"absolute difference {absolute[at]:.3g} (allowed {abs_tol:.3g}), "
                f"relative {relative[at]:.3g} ({rel_tol:.3g})",
                help="look at the vjp (or grad) of the ops in the function, or at a kink of the function near here",
            )
            error.argument, error.index, error.analytic, error.numeric = i, where, float(g[at]), float(n[at])
            raise error
