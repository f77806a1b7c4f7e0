"""Every op is held to its declaration, on the cases made from it."""

import numpy as np
import pytest

from refgraph.core.op import OPS, Op
from refgraph.ops.reductions import Reduction
from refgraph.testing import checks
from refgraph.testing.cases import bad_cases, cases

CASES = list(cases())
SINGLE, DOUBLE = {"float16", "float32", "complex64"}, {"float64", "complex128"}


def over(wanted):
    """Parametrize over the cases that satisfy `wanted`: choose, never skip."""
    chosen = [c for c in CASES if wanted(c)]
    return pytest.mark.parametrize("case", chosen, ids=[c.id for c in chosen])


def has(dtypes):
    def wanted(case):
        found = {np.asarray(a).dtype.name for a in case.sample.inputs}
        return case.sample.differentiable != () and bool(found & dtypes) and not (found - dtypes) & (SINGLE | DOUBLE)

    return wanted


@over(lambda c: True)
def test_value_with_unknown_lengths(case):
    checks.check_value(case.sample, known=False)


@over(lambda c: True)
def test_value_with_known_lengths(case):
    checks.check_value(case.sample, known=True)


@over(has(SINGLE))
def test_cotangents_have_the_dtype_and_shape_of_their_variables(case):
    checks.check_cotangent_types(case.sample)


@over(has(DOUBLE))
def test_forward_and_reverse_are_transposes(case):
    checks.check_cotangent_types(case.sample)
    checks.check_transposes(case.sample)
    checks.check_transposes(case.sample, known=True)


@over(has(DOUBLE))
def test_derivative_agrees_with_differences(case):
    checks.check_differences(case.sample)


@over(has(DOUBLE))
def test_second_derivative(case):
    checks.check_second_order(case.sample)


LOOPED = {
    *("Alloc-ones", "Alloc-zeros", "RavelMultiIndex-matrix-and-lengths", "UnravelIndex-length-variable"),  # own lengths
    *("Index-mask-of-itself", "Index-nonzero-of-itself", "Index-nonzero-values"),  # places found by value
    *("SearchSorted-integers", "SearchSorted-left"),  # sorted arrays of their own
    *("Scan-until-10", "Scan-until-2", "Scan-until-0", "Scan-until-with-sequence"),  # an end of its own for each
}
"""Uses of ops with a form for many items at once that take a loop over the items nevertheless."""


def has_form(op):
    """Whether an op has a form for many items at once."""
    kind = op if isinstance(op, type) else type(op) if isinstance(op, Op) else Reduction
    return kind.batched is not Op.batched


@over(lambda c: True)
def test_many_items_at_once(case):
    for known in (False, True):
        loops = checks.check_batched(case.sample, known)
        assert bool(loops) is (case.id in LOOPED) or not has_form(case.op)


@over(has(DOUBLE))
def test_many_cotangents_at_once(case):
    loops = checks.check_batched_pullback(case.sample)
    assert not loops or not has_form(case.op)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=id) for id, bad in bad_cases()])
def test_bad_use_is_refused(bad):
    checks.check_refused(bad, pytest.raises)


WITHOUT_FORM = {
    *("ARange", "BinCount", "Eye", "Nonzero", "Tri", "Unique"),  # as long as their inputs' values say
    *("RandomBernoulli", "RandomBinomial", "RandomCategorical", "RandomDistinct", "RandomIntegers"),  # each item draws
    "Gemm",  # rewriting makes it, after all that works on many items
    *("RandomFork", "RandomMultinomial", "RandomNormal", "RandomPoisson", "RandomUniform"),  # what it would draw alone
}


def test_ops_without_a_form_for_many_items_are_known():
    """A Jacobian loops over them. Give a new op a `batched`, or say here why it has none."""
    assert {name for name, op in OPS.items() if not has_form(op)} <= WITHOUT_FORM
