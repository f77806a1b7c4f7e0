"""Every rule that is a pair is held to its word: cases come from the rules, and no test here names one."""

import pytest

from refgraph.core.graph import Graph
from refgraph.rewrite import select
from refgraph.rewrite.engine import pattern_of, rewrite
from refgraph.rewrite.rule import RULES
from refgraph.testing import rules

select.load()
CASES = list(rules.rule_cases())
PAIRS = rules.pairs()


def over(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


@over(CASES)
def test_what_stands_after_has_every_finite_value_of_what_stands_before(case):
    rules.check_values(case)


@over(CASES)
def test_derivatives_of_both_sides_agree(case):
    rules.check_gradients(case)


@over(CASES)
def test_the_rule_is_applied_among_all_others(case):
    rules.check_applies(case)


@over(CASES)
def test_shapes_that_broadcast_stay(case):
    rules.check_broadcasts(case)


@pytest.mark.parametrize("rule", [r for r in PAIRS if r.fails], ids=lambda rule: rule.name)
def test_at_its_points_what_stands_before_fails_and_what_stands_after_is_right(rule):
    rules.check_fails(rule)


@pytest.mark.parametrize("rule", [r for r in PAIRS if r.phase == "stable"], ids=lambda rule: rule.name)
def test_a_stable_rule_has_a_reason(rule):
    assert rules.fails_somewhere(rule), f"{rule.name}: what stands before is right at every point that is tried"


def test_every_pair_has_cases():
    assert {case.rule.name for case in CASES} == {rule.name for rule in PAIRS}


@pytest.mark.parametrize("rule", PAIRS, ids=lambda rule: rule.name)
def test_ours_are_written_in_the_canonical_spelling(rule):
    canonical = [r for r in RULES.values() if r.phase == "canonical" and r is not rule]
    spelled = rewrite(Graph(rule.holes, [rule.before]), canonical).outputs[0]

    assert pattern_of(rule).match(spelled.owner) == list(rule.holes)
