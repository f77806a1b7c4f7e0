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
    f = rg.function([x], T.tanh(x) + T.tanh(2 * x), profile=True, mode="FAST_COMPILE")
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
    f = rg.function([x], h, profile=True, mode="FAST_COMPILE")
    f([1.0, 2.0, 3.0])
    f([4.0])

    assert f.profile.ops["scan"].count == 2
    assert f.profile.ops["tanh"].count == 4
    (scan,) = f.profile.steps
    assert f.profile.steps == {scan: 4}
    assert f"{scan.op}(int64[], " in str(f.profile)
    assert ", 4 steps  --> " in str(f.profile)


def test_summary_names_ops_lines_and_shares():
    f = rg.function([x], T.tanh(x) + 1, profile="mine", mode="FAST_COMPILE")
    f([1.0])
    text = io.StringIO()
    f.profile.summary(file=text)

    assert text.getvalue().startswith("mine: 1 calls")
    assert "tanh(float64[?])  --> " in text.getvalue()
    assert __file__ in text.getvalue()


def test_summary_is_bounded():
    f = rg.function([x], T.tanh(x) + T.exp(x) * T.sqrt(x), profile=True, mode="FAST_COMPILE")
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


# memory


def memory(outputs, *arrays, inputs=(x,), mode="FAST_COMPILE"):
    """The most bytes held at a time, and the bytes made, in one call of a function."""
    f = rg.function(inputs, outputs, mode=mode, profile=True)
    f(*arrays)
    return f.profile.peak, f.profile.allocated


A = np.linspace(1.0, 2.0, 100)


def test_what_is_computed_in_place_makes_nothing():
    assert memory(T.tanh(T.exp(x) + 1.0), A) == (800, 800)


def test_what_is_alive_at_a_time_counts_together():
    y = T.exp(x)
    assert memory((y + 1.0) * T.tanh(y - 1.0) + y, A) == (2400, 2400)
    assert memory([y, y + 1.0, y + 2.0], A) == (2400, 2400)


def test_what_is_freed_counts_no_more():
    y, z = T.exp(x).sum(), T.tanh(x).sum()
    assert memory(y + z, A) == (800, 1600)


def test_views_count_nothing_and_keep_what_they_are_views_of():
    m = T.dmatrix("m")
    assert memory(m.T[::-1, 1:] * 2.0, np.ones((4, 4)), inputs=[m]) == (96, 96)
    assert memory([T.exp(x)[:2], T.exp(x * 2.0).sum()], A) == (1600, 1600)


def test_what_a_graph_within_makes_counts_once():
    op = rg.OpFromGraph([x], [T.exp(x)])
    assert memory(op(x), A) == (800, 800)


def test_what_is_computed_again_because_it_is_broadcast_is_freed():
    m, row = T.dmatrices("m", "row")
    total = (T.exp(row) + m).sum() + T.exp(T.concatenate([m, m])).sum()
    assert memory(total, np.ones((2, 100)), np.ones((1, 100)), inputs=[m, row]) == (3200, 800 + 1600 + 3200)


def test_a_call_within_a_call_is_counted_apart():
    profile = Profile()
    inner = rg.function([x], T.exp(x).sum(), profile=profile, mode="FAST_COMPILE")

    @rg.as_op([T.dvector], [T.dscalar])
    def calls(v):
        return inner(v)

    outer = rg.function([x], calls(x) + T.exp(x[:50]), profile=profile, mode="FAST_COMPILE")
    outer(A)
    assert (profile.peak, profile.allocated) == (800, 800 + 400 + 8)


def test_the_most_of_all_calls_and_the_sum():
    f = rg.function([x], T.exp(x), profile=True)
    for n in (3, 5, 1):
        f(A[:n])
    assert (f.profile.peak, f.profile.allocated) == (40, 72)
    text = str(f.profile).splitlines()
    assert text[1] == "memory: at most 40 bytes at a time, 24 bytes made a call"


def test_results_that_somebody_keeps_belong_to_their_own_call():
    f = rg.function([x], T.exp(x), profile=True)
    kept = [f(A) for _ in range(3)]
    assert f.profile.peak == 800
    del kept
    f(A)
    assert f.profile.peak == 800


def test_steps_of_loops_are_counted():
    h, _ = rg.scan(lambda h: T.exp(h * 2.0), outputs_info=x, n_steps=10)
    peak, made = memory(h[-1], A)
    assert peak < 800 * 8
    assert 800 * 10 <= made


def test_memory_is_seen_in_several_threads():
    import threading

    f = rg.function([x], T.exp(x).sum(), profile=True, mode="FAST_COMPILE")
    threads = [threading.Thread(target=f, args=[A]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert (f.profile.peak, f.profile.allocated) == (800, 3200)


def test_an_update_in_place_makes_nothing_and_its_time_counts():
    w = rg.shared(np.ones(100_000))
    f = rg.function([], updates={w: w * 2.0}, profile=True)
    f()
    assert (f.profile.peak, f.profile.allocated) == (0, 0)
    (cost,) = f.profile.nodes.values()
    assert f.profile.total.count == cost.count == 1
    assert 0 < cost.seconds < f.profile.total.seconds


def test_the_flag_that_times_all_functions_measures_memory_when_told():
    for told in (False, True):
        program = (
            "import refgraph as rg, refgraph.tensor as T, numpy as np\n"
            "x = T.dvector(); rg.function([x], T.exp(x), name='f')(np.ones(2))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"REFGRAPH_FLAGS": f"backend=numpy,profile=True,profile_memory={told}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("memory: at most 16 bytes at a time" in done.stderr) == told
