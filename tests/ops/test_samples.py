"""Every op is held to its declaration, on the cases made from it."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("bad", [pytest.param(bad, id=id) for id, bad in bad_cases()])
def test_bad_use_is_refused(bad):
    checks.check_refused(bad, pytest.raises)
