"""L1, L2 and L3, by op: derivatives, computed on the backend, are what the interpreter computes of the same graphs.

That these graphs are the derivatives is for the tests of the ops. Here they are programs, and made of some ops that
hardly anything else uses: sums over what was broadcast, choices by masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.autodiff.forward import pushforward
from refgraph.autodiff.reverse import pullback
from refgraph.core.graph import Variable
from refgraph.interp.backends import Backend
from refgraph.ops.families import Elemwise
from refgraph.testing.cases import Case, name_of
from refgraph.testing.checks import Derivable, random_like
from refgraph.testing.suite.programs import agree
from refgraph.testing.suite.running import dtypes_of, on, one_for_each, over, replica, rewritten

_WIDE, _COARSE = {"float64", "complex128"}, {"float16"}


def _is_smooth(case: Case) -> bool:
    """Whether there is something to differentiate by, in a dtype that has digits for it."""
    kinds = {np.dtype(d).kind for d in dtypes_of(case)}
    return case.sample.differentiable != () and bool(kinds & {*"fc"}) and not _COARSE & {*dtypes_of(case)}


_per_dtype = one_for_each(lambda case: (name_of(case.op), dtypes_of(case)), _is_smooth)
_per_op = one_for_each(lambda case: (name_of(case.op), "complex128" in dtypes_of(case)), _is_smooth)


def _is_chosen(case: Case) -> bool:
    """Of the smooth cases those in the widest dtypes, and one for each op in the others."""
    return _is_smooth(case) and (bool(_WIDE & {*dtypes_of(case)}) or _per_dtype(case))


def _check(backend: Backend, of: Derivable, outputs: Sequence[Any], note: str, make: Any, **more: Any) -> None:
    """These derivatives, as a function on the backend, are what the interpreter says.

    more: further inputs beside those of the case, and their values, each a pair of lists.
    """
    found = [out for out in outputs if isinstance(out, Variable)]
    given: Mapping[Variable, Any] = {
        x: np.asarray(a)
        for variables, arrays in ((of.variables, of.arrays), *more.values())
        for x, a in zip(variables, arrays, strict=True)
    }
    f = make(backend, list(given), found)
    agree(backend, f(*[replica(a) for a in given.values()]), found, given, note)


def _gradient(backend: Backend, case: Case, make: Any) -> None:
    of = Derivable(case.sample)
    _check(backend, of, of.cotangents, case.id, make, seeds=(of.seeds, of.weights))


@over(_is_chosen)
def test_the_gradient_agrees(case: Case, backend: Backend) -> None:
    _gradient(backend, case, on)


@over(_per_dtype)
def test_the_rewritten_gradient_agrees(case: Case, backend: Backend) -> None:
    _gradient(backend, case, rewritten)


@over(lambda case: _is_chosen(case) and (_per_dtype(case) or not isinstance(case.op, Elemwise)))
def test_the_forward_derivative_agrees(case: Case, backend: Backend) -> None:
    of = Derivable(case.sample)
    tangents = pushforward(of.outputs, of.wrt, of.tangent_variables)
    _check(backend, of, tangents, case.id, on, tangents=(of.tangent_variables, of.moves))


@over(_per_op)
def test_the_gradient_of_the_gradient_agrees(case: Case, backend: Backend) -> None:
    of = Derivable(case.sample)
    seeds = [g.type.variable(name=f"u{i}") for i, g in enumerate(of.cotangents)]
    rng = np.random.default_rng(0)
    weights = [random_like(rng, v) for v in of.run(of.cotangents)]
    twice = pullback(of.cotangents, seeds, [*of.wrt, *of.seeds])
    _check(backend, of, twice, case.id, on, seeds=(of.seeds, of.weights), more=(seeds, weights))
