"""Which rules a mode applies."""

import os
import subprocess
import sys

import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import ConfigError
from refgraph.rewrite import select
from refgraph.rewrite.rule import PHASES, RULES
from refgraph.rewrite.select import ROOMS, chosen, load

x = T.dvector("x")


def names(*args, **kwargs):
    return [r.name for r in chosen(*args, **kwargs)]


def test_fast_run_has_every_rule_and_none_has_none(own_rules):
    assert names("fast_run") == list(own_rules)
    assert names("None") == names("merge") == []


def test_fast_compile_keeps_loops_from_keeping_what_nothing_reads():
    assert names("fast_compile") == ["only_what_is_read"]


def test_every_phase_has_rules():
    assert {r.phase for r in chosen("fast_run")} == set(PHASES)


@pytest.mark.parametrize("name", ["stable", "stable_log1p"])
def test_phases_and_rules_are_left_out_by_name(name):
    left = names("fast_run", excluding=[name])
    assert "stable_log1p" not in left
    assert "stable_log1p" in names("fast_run")
    assert ("stable_softplus" in left) == (name == "stable_log1p")


def test_rules_are_added_by_name():
    assert names("None", including=["stable_log1p"]) == ["stable_log1p"]
    assert names("fast_run", including=["stable_log1p"], excluding=["stable"]).count("stable_log1p") == 1
    assert "stable_softplus" not in names("fast_run", including=["stable_log1p"], excluding=["stable"])
    assert names("None", requiring=["stable_log1p"]) == ["stable_log1p"]


def test_required_and_excluded_contradict():
    with pytest.raises(ConfigError, match="stable_log1p is both required and excluded"):
        chosen("fast_run", excluding=["stable_log1p"], requiring=["stable_log1p"])


@pytest.mark.parametrize(
    ("theanos", "ours"), [("fusion", "fuse"), ("canonicalize", "canonical"), ("stabilize", "stable")]
)
def test_theanos_names_of_phases_are_known(theanos, ours):
    assert names("fast_run", excluding=[theanos]) == names("fast_run", excluding=[ours])


@pytest.mark.parametrize("name", ["inplace", "local_log_softmax", "gpu"])
def test_theanos_other_names_change_nothing(name):
    assert names("fast_run", excluding=[name]) == names("fast_run")
    rg.function([x], x * 2, mode=rg.Mode().excluding(name))


def test_a_name_that_is_nobodys_is_refused_at_once():
    with pytest.raises(ConfigError, match="no rewriting is named 'fuze'") as caught:
        rg.Mode().excluding("fuze")
    assert "fuse" in caught.value.help


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ConfigError, match="no optimizer 'o5'"):
        rg.function([x], x * 2, mode=rg.Mode(optimizer="o5"))


def ops(f):
    return [node.op.name for node in f.graph.nodes]


def test_flags_change_every_mode():
    naive = T.log(1 + T.exp(x))
    assert ops(rg.function([x], naive)) == ["softplus"]
    with rg.config.change_flags(optimizer_excluding="fuse:stable"):
        assert ops(rg.function([x], naive)) == ["exp", "add", "log"]
    with rg.config.change_flags(optimizer="None"):
        assert ops(rg.function([x], naive)) == ["exp", "add", "log"]
        with rg.config.change_flags(optimizer_including="stable_log1p"):
            assert ops(rg.function([x], naive)) == ["exp", "log1p"]
    with rg.config.change_flags(optimizer="fast_compile"):
        assert ops(rg.function([x], naive, mode="FAST_RUN")) == ["softplus"]


def test_none_rewrites_nothing_but_merges():
    f = rg.function([x], [T.exp(x) * 1, T.exp(x) * 1], mode=rg.Mode(optimizer=None))
    assert ops(f) == ["exp", "mul"]


def test_each_change_is_printed_when_the_flag_says_so(capsys):
    with rg.config.change_flags(optimizer_verbose=True):
        rg.function([x], T.log(1 + x))
    assert "rewriting: stable     stable_log1p: log((1 + x)) -> log1p(x)" in capsys.readouterr().out


def test_every_room_declares_rules():
    modules = {r.source.split(".")[2] for r in RULES.values() if r.source.startswith("refgraph.rewrite.")}
    assert modules == {room for room in ROOMS if room != "stable_rows"}


def test_rewriting_does_not_load_what_only_scipys_functions_need():
    program = "import sys, refgraph as rg, refgraph.tensor as T; x = T.vector(); rg.function([x], T.exp(x).sum()); "
    program += "sys.exit('scipy.special' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "REFGRAPH_FLAGS": "backend=numpy"})
    assert done.returncode == 0


def test_files_of_loops_change_nothing_else():
    load()
    files = {f"refgraph.rewrite.{room}" for room in select._OF_LOOPS}
    of_files = [r for r in RULES.values() if r.source.rpartition(".")[0] in files]
    graph = rg.Graph([x], [T.exp(x).sum()])

    assert {r.name for r in of_files} >= {r.name for r in RULES.values() if r.phase == "scan" and r.is_ours}
    assert all(r.phase == "scan" or r(graph, None) is graph for r in of_files)


def test_without_loops_their_rules_are_not_loaded():
    program = """if True:
        import sys
        import refgraph as rg, refgraph.tensor as T
        x = T.dvector()
        f = rg.function([x], T.exp(x).sum(), backend="numpy")
        print("refgraph.rewrite.scan" in sys.modules)
        g = rg.function([x], rg.scan(lambda a: a + 1, x)[0], backend="numpy")
        print("refgraph.rewrite.scan" in sys.modules)
        print(len(f.maker.mode.rules) == len(g.maker.mode.rules))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True", "True"]
