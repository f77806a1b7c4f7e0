"""Profiles count what ran, and say where."""

import io
import subprocess
import sys

import numpy as np

import refgraph as rg
import refgraph.tensor as T
from refgraph.interp.profile import Profile

x = T.dvector("x")


def test_counts_calls_and_nodes():
    f = rg.function([x], T.tanh(x) + T.tanh(2 * x), profile=True)
    for _ in range(3):
        np.testing.assert_allclose(f([1.0]), np.tanh(1) + np.tanh(2))

    assert f.profile.total.count == 3
    assert {str(node.op): cost.count for node, cost in f.profile.nodes.items()} == {"tanh": 3, "mul": 3, "add": 3}
    assert f.profile.ops["tanh"].count == 6
    assert 0 < sum(cost.seconds for cost in f.profile.nodes.values()) < f.profile.total.seconds


def test_no_profile_unless_asked():
    assert rg.function([x], x + 1).profile is None


def test_nodes_of_inner_graphs_are_counted():
    h, _ = rg.scan(lambda v, h: T.tanh(v * h), x, 1.0)
    f = rg.function([x], h, profile=True)
    f([1.0, 2.0, 3.0])
    f([4.0])

    assert f.profile.ops["scan"].count == 2
    assert f.profile.ops["tanh"].count == 4
    (scan,) = f.profile.steps
    assert f.profile.steps == {scan: 4}
    assert f"{scan.op}(int64[], " in str(f.profile)
    assert ", 4 steps  --> " in str(f.profile)


def test_summary_names_ops_lines_and_shares():
    f = rg.function([x], T.tanh(x) + 1, profile="mine")
    f([1.0])
    text = io.StringIO()
    f.profile.summary(file=text)

    assert text.getvalue().startswith("mine: 1 calls")
    assert "tanh(float64[?])  --> " in text.getvalue()
    assert __file__ in text.getvalue()


def test_summary_is_bounded():
    f = rg.function([x], T.tanh(x) + T.exp(x) * T.sqrt(x), profile=True)
    text = io.StringIO()
    f.profile.summary(file=text, n_ops_to_print=2, n_apply_to_print=1)

    assert "... and 3 more" in text.getvalue()
    assert "... and 4 more" in text.getvalue()


def test_functions_can_share_a_profile():
    profile = Profile("both")
    for y in (x + 1, x * 2):
        rg.function([x], y, profile=profile)([1.0])

    assert profile.total.count == 2
    assert set(profile.ops) == {"add", "mul"}


def test_copy_can_have_a_profile_of_its_own():
    f = rg.function([x], x + 1)
    g = f.copy(profile=True)
    g([1.0])

    assert f.profile is None
    assert g.profile.total.count == 1


def test_the_flag_prints_at_exit():
    program = "import refgraph as rg, refgraph.tensor as T; x = T.dscalar(); rg.function([x], x + 1, name='f')(1.0)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"REFGRAPH_FLAGS": "profile=True"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "f: 1 calls" in done.stderr
