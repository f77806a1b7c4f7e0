"""The checks of rules are checked: each fault that a pair could have is planted, and must be caught."""

import pytest

import refgraph.tensor as T
from refgraph.core.errors import DTypeError
from refgraph.gradient import disconnected_grad
from refgraph.rewrite.engine import pattern_of
from refgraph.rewrite.rule import RULES, rule
from refgraph.rules import Reals
from refgraph.testing import rules

ON = Reals(-4, 4, edges=(0.0,), kinds="f")
POSITIVE = Reals(0.5, 4, kinds="f")


@pytest.fixture
def plant():
    """Rules that are known as long as the test takes."""
    known = dict(RULES)
    pattern_of.cache_clear()

    def planted(build, *on, phase="stable", **options):
        build.__doc__ = "What stands before becomes what stands after."
        return rule(phase, *(on or (ON,)), **options)(build)

    yield planted
    RULES.clear()
    RULES.update(known)
    pattern_of.cache_clear()


def cases(planted):
    return list(rules.rule_cases([planted]))


def check(planted, others=()):
    for case in cases(planted):
        rules.check_values(case)
        rules.check_gradients(case)
        rules.check_applies(case, [*others, planted])
        rules.check_broadcasts(case, [*others, planted])
    rules.check_fails(planted)


def sine_of_sum(x, y):
    return T.sin(x + y), T.sin(x) * T.cos(y) + T.cos(x) * T.sin(y)


def test_a_right_rule_passes(plant):
    check(plant(sine_of_sum, ON, ON, phase="canonical"))


def test_a_right_stable_rule_passes(plant):
    planted = plant(lambda x: (T.log(1 + x), T.log1p(x)), Reals(-0.5, 8, kinds="fi"), fails=[1e-20])

    check(planted)
    assert rules.fails_somewhere(planted)
    assert [case.id for case in cases(planted)] == [
        f"{planted.name}-{dtype}" for dtype in ("float16", "float32", "float64", "int64", "int8")
    ]


def test_a_wrong_value_is_caught(plant):
    planted = plant(lambda x: (T.log1p(T.exp(x)), T.nnet.softplus(x) * (1 + 1e-4)))

    with pytest.raises(AssertionError, match="exactly"):
        check(planted)


def test_a_value_that_is_wrong_in_part_of_the_domain_is_caught(plant):
    planted = plant(lambda x: (T.square(T.sqrt(T.abs_(x))), T.switch(x < -3, -x - 1e-3, T.abs_(x))))

    with pytest.raises(AssertionError, match="exactly"):
        check(planted)


def test_a_value_that_is_wrong_at_an_edge_is_caught(plant):
    planted = plant(lambda x: (2 * T.sinh(x), T.switch(T.eq(x, 0), 1, 2 * T.sinh(x))))

    with pytest.raises(AssertionError, match="exactly 0"):
        check(planted)


def test_a_domain_that_is_too_small_is_no_excuse(plant):
    """The engine does not know what values there will be: a rule for positive numbers is applied to all."""
    planted = plant(lambda x: (T.sqrt(T.square(x)), x), POSITIVE)

    with pytest.raises(AssertionError, match=r"-.* after, exactly"):
        check(planted)


def test_digits_that_are_lost_are_caught(plant):
    planted = plant(lambda x: (T.tanh(x), 2 * T.nnet.sigmoid(2 * x) - 1))

    with pytest.raises(AssertionError, match="exactly"):
        check(planted)


def test_what_is_worse_than_before_is_caught_in_other_phases(plant):
    planted = plant(lambda x: (T.log1p(x), T.log(1 + x)), Reals(-0.5, 4, kinds="f"), phase="canonical")

    with pytest.raises(AssertionError, match="exactly"):
        check(planted)


def test_a_complex_value_that_is_wrong_is_caught(plant):
    planted = plant(lambda x: (T.log(T.exp(x)), x), Reals(-4, 4, kinds="fc"))  # the angle may be beyond pi

    with pytest.raises(AssertionError, match="complex128"):
        check(planted)


def test_an_integer_value_that_is_wrong_is_caught(plant):
    planted = plant(lambda x: (2 * (x // 2), x), Reals(-4, 4, kinds="fi"), phase="canonical")

    with pytest.raises(AssertionError, match="exactly"):
        check(planted)


def test_a_wrong_derivative_is_caught(plant):
    planted = plant(lambda x: (T.exp(x) - 1, disconnected_grad(T.expm1(x))))

    with pytest.raises(AssertionError, match="derivative by hole 0"):
        check(planted)


def test_another_dtype_makes_no_case(plant):
    assert not cases(plant(lambda x: (T.gt(x, 0), T.heaviside(x, 0))))


def test_a_dtype_that_only_one_side_has_a_meaning_for_is_caught(plant):
    planted = plant(lambda x: (T.logical_not(x), T.gt(-x, -1)), Reals(0, 1, kinds="b"))

    with pytest.raises(DTypeError):
        check(planted)


def test_a_rule_behind_another_is_caught(plant):
    first = plant(lambda x: (T.exp(x) - 1, T.expm1(x)))
    second = plant(lambda x: (T.log(T.exp(x) - 1), x + T.log(-T.expm1(-x))), POSITIVE)

    with pytest.raises(AssertionError, match=f"not applied; others are: {first.name}"):
        check(second, [first])


def test_a_rule_whose_operands_never_look_so_is_caught(plant):
    """A pattern is spelled as the canonical rules spell it, but not as stable ones do."""
    spelled = plant(lambda x: (T.sinh(x), 0.5 * (T.exp(x) - T.exp(-x))))
    planted = plant(lambda x: (T.arcsinh(T.sinh(x)), x))

    with pytest.raises(AssertionError, match="not applied"):
        check(planted, [spelled])


def test_a_shape_that_changes_is_caught(plant, monkeypatch):
    """The engine broadcasts what a rule answers; one that did not would be caught."""
    from refgraph.rewrite.engine import Facts

    planted = plant(lambda x, y: (T.arctan2(T.sin(x), T.sin(x) * T.cosh(y)), 0.25 * x), ON, ON)
    pattern_of(planted)
    monkeypatch.setattr(Facts, "like", lambda facts, value, x: value)

    with pytest.raises(AssertionError, match=r"\(3, 1\) for \(3, 4\)"):
        rules.check_broadcasts(cases(planted)[0], [planted])


def test_a_point_where_nothing_fails_is_caught(plant):
    planted = plant(lambda x: (T.log(1 + x), T.log1p(x)), Reals(-0.5, 8, kinds="f"), fails=[0.5])

    with pytest.raises(AssertionError, match="right there"):
        check(planted)


def test_a_stable_rule_without_reason_is_caught(plant):
    assert not rules.fails_somewhere(plant(lambda x: (T.sin(-x), -T.sin(x))))
