"""The pytest plugin of the conformance suite, on suites made up for it."""

import json
import shlex
import subprocess
import sys

import pytest

import refgraph.tensor as T
import refgraph.testing.report  # noqa: F401  (to stay imported when a session within this one ends)
from refgraph.interp import backends
from refgraph.interp.backends import Backend, Capabilities
from refgraph.interp.function import function
from refgraph.interp.report import Report, Row
from refgraph.ops.families import Elemwise
from refgraph.ops.fused import Fused
from refgraph.testing import plugin
from refgraph.testing.plugin import Record, matches

pytest_plugins = ["pytester"]

SUITE = """
    import pytest

    pytestmark = pytest.mark.refgraph_level(0)

    @pytest.mark.parametrize("case", ["exp-float32-[3,4]", "log-int8"])
    def test_value(case, backend):
        assert backend.name != "wrong" or not case.startswith("log")

    @pytest.mark.refgraph_feature("scan")
    def test_loop(backend):
        assert backend.name != "wrong"
"""
ALL = "test_suite::test_value[exp-float32-[3,4]]", "test_suite::test_value[log-int8]", "test_suite::test_loop"
PLUGIN = ("-p", "no:refgraph", "-p", "refgraph.testing.plugin", "-p", "no:cacheprovider", "--strict-markers")
"""However the plugin is installed, it is loaded once."""


@pytest.fixture(autouse=True)
def no_shipped_suite(monkeypatch):
    """The suites made up here are the whole of it."""
    monkeypatch.setattr(plugin, "suite_modules", set)


@pytest.fixture
def install(monkeypatch):
    """Makes a backend known, without a plugin."""

    def install(name, **more):
        monkeypatch.setitem(backends._loaded, name, Backend(name, **more))

    return install


@pytest.fixture
def run(pytester):
    """Runs pytest with this plugin on a suite."""

    def run(suite, *options):
        pytester.makepyfile(test_suite=suite)
        return pytester.runpytest_inprocess(*PLUGIN, *options)

    return run


@pytest.fixture
def findings(pytester, run):
    """What the report says of each backend after such a run."""

    def findings(suite, *options):
        run(suite, *options, "--report=found.json")
        return json.loads((pytester.path / "found.json").read_text())["backends"]

    return findings


def said(result):
    """What was printed after the title of the plugin's section."""
    return result.stdout.str().partition("= conformance =")[2]


# which backends


def test_without_an_option_the_interpreter_is_tested(run):
    run(SUITE, "-v").stdout.fnmatch_lines(["test_suite.py::test_value[[]numpy-exp-float32-[[]3,4]] PASSED*"])


@pytest.mark.parametrize("option", ["--backend", "--refgraph-backend"])
def test_backends_are_tested_in_turn(install, findings, option):
    install("fast")

    found = findings(SUITE, f"{option}=numpy", option, "fast", f"{option}=numpy")

    assert [(one["name"], one["levels"]["0"]["passed"]) for one in found] == [("numpy", 3), ("fast", 3)]


def test_a_backend_that_is_not_installed_is_a_usage_error(run):
    result = run(SUITE, "--backend=nump")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --backend=nump: no backend named 'nump'; installed: *numpy*"])


def test_a_backend_that_cannot_run_here_is_a_usage_error(install, run):
    install("fast", available=lambda: "no such card")

    result = run(SUITE, "--backend=fast")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --backend=fast: it cannot run here: no such card"])


def test_a_report_in_no_folder_is_a_usage_error(run):
    result = run(SUITE, "--report=none/found.json")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --report=none/found.json: want a file in a folder that exists"])


def test_a_level_that_does_not_exist_is_a_usage_error(run):
    result = run(SUITE.replace("refgraph_level(0)", "refgraph_level(5)"))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "they are 0 to 4" in result.stdout.str() + result.stderr.str()


# others in the same environment


def test_the_short_names_are_left_to_those_who_have_them(pytester, run):
    pytester.makeconftest("""
        def pytest_addoption(parser):
            parser.addoption("--backend")
            parser.addoption("--report")
    """)

    run(
        "def test_a(request): assert request.config.getoption('--backend') == 'theirs'",
        "--backend=theirs",
        "--report=x",
    )

    assert not (pytester.path / "x").exists()


def test_a_backend_fixture_of_others_is_left_alone(pytester, run):
    result = run("""
        import pytest

        @pytest.fixture(params=["a", "b"])
        def backend(request):
            return request.param

        def test_fixture(backend):
            assert backend in ("a", "b")

        @pytest.mark.parametrize("backend", ["c"])
        def test_parameter(backend):
            assert backend == "c"
    """)

    result.assert_outcomes(passed=3)
    assert not said(result)


def test_a_fuzz_marker_of_others_deselects_nothing(run):
    run("import pytest\n\n@pytest.mark.fuzz\ndef test_a(): pass").assert_outcomes(passed=1)


def test_tests_without_a_level_are_not_counted(findings):
    (one,) = findings(SUITE.replace("pytestmark", "other") + "\n    @other\n    def test_counted(backend): pass\n")

    assert one["levels"]["0"]["passed"] == 1


def test_loading_the_plugin_loads_nothing_else():
    program = (
        "import sys, refgraph; before = set(sys.modules); import refgraph.testing.plugin\n"
        "print(*[m for m in set(sys.modules) - before if m.startswith('refgraph.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) <= {"refgraph.testing", "refgraph.testing.plugin"}


# what is expected to fail


@pytest.mark.parametrize(
    ("pattern", "does"),
    [
        ("test_x[fast-exp-float32-[3,4]]", True),
        ("test_x[exp-float32-[3,4]]", True),
        ("test_x[fast-exp-*]", True),
        ("test_x[exp-*]", True),
        ("*-float32-[3,4]]", True),
        ("test_?[*]", True),
        ("test_x", False),
        ("exp-float32-[3,4]", False),
        ("*-float3[23]-*", False),
        ("*-EXP-*", False),
    ],
)
def test_a_pattern_is_of_a_whole_name_with_the_backend_or_without(pattern, does):
    assert matches("test_x[fast-exp-float32-[3,4]]", pattern, "fast") is does


def test_what_a_backend_expects_to_fail_is_expected(install, findings):
    install("wrong", xfails={"test_value[log-*]": "not yet", "test_loop": "later"})

    (one,) = findings(SUITE, "--backend=wrong")

    assert one["levels"]["0"] == {"passed": 1, "failed": 0, "xfailed": 2, "unsupported": 0, "skipped": 0}
    assert [e["reason"] for e in one["expected"]] == ["later", "not yet"]
    assert one["reaches"] == 0


def test_an_expected_failure_that_passes_is_a_failure(install, findings):
    install("fast", xfails={"test_value[log-*]": "not yet"})

    (one,) = findings(SUITE, "--backend=fast")

    assert [(f["id"], f["message"]) for f in one["failures"]] == [
        ("test_suite::test_value[fast-log-int8]", "[XPASS(strict)] not yet")
    ]


def test_a_feature_declared_unsupported_is_counted_apart(install, findings):
    install("wrong", capabilities=Capabilities(without={"scan": "no loops"}))

    (one,) = findings(SUITE, "--backend=wrong")

    assert one["levels"]["0"]["unsupported"] == 1
    assert one["unsupported"] == [
        {"id": "test_suite::test_loop[wrong]", "level": 0, "reason": "declared unsupported: no loops"}
    ]


def test_a_feature_declared_unsupported_whose_tests_all_pass_fails_the_run(install, run):
    install("fast", capabilities=Capabilities(without={"scan": "no loops"}))

    result = run(SUITE, "--backend=fast")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "fast: declarations that are stale: without['scan']: all 1 tests of it pass" in said(result)


def test_of_a_feature_declared_unsupported_some_tests_may_pass(install, findings):
    install("wrong", capabilities=Capabilities(without={"scan": "no loops"}))
    more = """
    @pytest.mark.refgraph_feature("scan")
    def test_easy_loop(backend):
        pass
"""

    (one,) = findings(SUITE + more, "--backend=wrong")

    assert one["levels"]["0"]["unsupported"] == 2
    assert one["stale"] == []


def test_a_pattern_that_matches_no_test_fails_the_run(install, run):
    install("fast", xfails={"*-gone-*": "fixed long ago"})

    result = run(SUITE, "--backend=fast")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "fast: declarations that are stale: xfails['*-gone-*'] matches no test" in said(result)


@pytest.mark.parametrize(
    "options", [("-k", "test_loop"), ("test_suite.py::test_loop",), ("--deselect=test_suite.py::test_loop",)]
)
def test_of_a_part_of_the_suite_no_pattern_is_stale(install, run, options):
    install("fast", xfails={"*-gone-*": "fixed long ago"})

    result = run(SUITE, "--backend=fast", *options)

    assert result.ret == pytest.ExitCode.OK
    assert "fast: no level, as not all of the suite ran" in said(result)


def test_a_module_that_was_not_collected_makes_a_part_of_the_suite(monkeypatch, findings):
    monkeypatch.setattr(plugin, "suite_modules", lambda: {"test_suite", "test_more"})

    assert not findings(SUITE)[0]["complete"]


def test_a_run_that_stops_early_is_a_part_of_the_suite(install, findings):
    install("wrong")

    assert not findings(SUITE, "--backend=wrong", "-x")[0]["complete"]


# fuzz

FUZZ = (
    SUITE
    + """
    @pytest.mark.fuzz
    def test_random(backend):
        assert backend.name != "wrong"
"""
)


def test_random_graphs_run_only_when_asked_for(run):
    run(FUZZ).assert_outcomes(passed=3, deselected=1)


def test_leaving_out_random_graphs_leaves_the_suite_whole(findings):
    assert findings(FUZZ)[0]["complete"]


def test_random_graphs_asked_for_are_outside_the_score(install, run):
    install("wrong")

    result = run(FUZZ, "-m", "fuzz", "--backend=wrong")

    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["python -m pytest 'test_suite.py::test_random[[]wrong]' --backend=wrong -m fuzz"])
    assert not said(result)


# failures


def test_a_failure_ends_with_a_line_that_reproduces_it(install, run):
    install("wrong")
    result = run(SUITE, "--backend=wrong", "-k", "log")
    line = next(text for text in result.outlines if text.startswith("python -m pytest "))

    assert line == "python -m pytest 'test_suite.py::test_value[wrong-log-int8]' --backend=wrong"
    run(SUITE, *shlex.split(line)[3:]).assert_outcomes(failed=1)


def test_a_test_from_elsewhere_is_reproduced_where_it_is_defined(pytester, install, run):
    install("wrong")
    pytester.syspathinsert()
    pytester.makepyfile(test_home=SUITE)
    result = run("from test_home import *", "--backend=wrong", "-k", "log", "test_suite.py")
    line = next(text for text in result.outlines if text.startswith("python -m pytest "))

    assert line == "python -m pytest --pyargs 'test_home::test_value[wrong-log-int8]' --backend=wrong"
    pytester.runpytest_inprocess(*PLUGIN, *shlex.split(line)[3:]).assert_outcomes(failed=1)


def test_the_line_uses_the_option_that_was_used(install, run):
    install("wrong")

    run(SUITE, "--refgraph-backend=wrong").stdout.fnmatch_lines(["python -m pytest * --refgraph-backend=wrong"])


def test_an_expected_failure_that_passes_has_the_line_too(install, run):
    install("fast", xfails={"test_loop": "not yet"})

    line = "python -m pytest 'test_suite.py::test_loop[[]fast]' --backend=fast"
    run(SUITE, "--backend=fast").stdout.fnmatch_lines([line])


def test_what_failures_are_about_is_known_from_their_names(install, findings):
    install("wrong")
    (one,) = findings(SUITE, "--backend=wrong")

    assert [(e["op"], e["dtype"]) for e in one["failures"]] == [("", ""), ("log", "int8")]


def test_what_a_failure_is_about_is_known_from_what_it_noted(findings):
    (one,) = findings(RECORDING + "        assert op == 'exp'\n")

    assert [(e["op"], e["dtype"]) for e in one["failures"]] == [("log", "float64")]


def test_failures_are_summed_up_at_the_end(install, run):
    install("wrong")
    lines = said(run(SUITE, "--backend=wrong")).splitlines()
    start = lines.index("wrong: most failures involve: log int8 (1 of 2)")

    assert lines[start + 1 : start + 6] == [
        "wrong: failures to begin with:",
        "  L0 AssertionError: assert 'wrong' != 'wrong'",
        "    python -m pytest 'test_suite.py::test_loop[wrong]' --backend=wrong",
        "  L0 AssertionError: assert ('wrong' != 'wrong' or not True)",
        "    python -m pytest 'test_suite.py::test_value[wrong-log-int8]' --backend=wrong",
    ]


@pytest.mark.parametrize("fixture", ["assert 0, 'early'\n        yield", "yield\n        assert 0, 'late'"])
def test_an_error_around_a_test_is_a_failure(findings, fixture):
    (one,) = findings(f"""
    import pytest

    pytestmark = pytest.mark.refgraph_level(2)

    @pytest.fixture
    def around():
        {fixture}

    def test_a(around, backend):
        pass
    """)

    assert one["levels"]["2"]["failed"] == 1
    assert one["failures"][0]["message"] in ("AssertionError: early", "AssertionError: late")


def test_a_skipped_test_keeps_a_level_from_being_reached(findings):
    (one,) = findings("import pytest\n\n@pytest.mark.refgraph_level(0)\ndef test_a(backend): pytest.skip('no card')")

    assert one["reaches"] is None
    assert one["failures"][0]["message"] == "Skipped: no card"


# what ran where


X = T.dvector("x")


def ran(op_name, *rows, backend="fast", asked="fast"):
    """What is noted of an op where these ran: an op, where, and why."""
    record = Record(backend)
    record.ran(Report(asked, [Row(op(X).owner, where, why, 0) for op, where, why in rows], False), op_name, "float64")
    return record.noted[0]


EXP, LOG = (T.exp, "fast", ""), (T.log, "numpy", "declined")


def test_an_op_that_the_interpreter_ran_is_noted_with_the_reason():
    assert ran("log", EXP, LOG) == ("log", "float64", True, "declined", True)


def test_another_op_that_the_interpreter_ran_makes_no_difference():
    assert ran("exp", EXP, LOG) == ("exp", "float64", False, "", True)


def test_an_op_that_became_other_ops_was_not_asked_for():
    assert ran("tanh", EXP, LOG) == ("tanh", "float64", False, "", False)


def test_an_op_is_known_by_its_class_and_by_its_row_too():
    rows = (T.sum, "numpy", "declined"), (T.cumsum, "fast", "")

    assert ran("sum", *rows).interpreted
    assert not ran("CumSum", *rows).interpreted


def test_an_op_of_which_rewriting_left_nothing_was_not_asked_for():
    assert not ran("exp").asked


def test_of_the_reasons_for_one_op_the_one_that_says_most_is_noted():
    rows = [(T.log, "numpy", why) for why in ("float16 is not among its dtypes", "not yet", "no kernel for Elemwise")]

    assert ran("log", *rows).why == "not yet"


def noted_of_fused(*kinds):
    """What is noted of a fused group on a backend that has kernels for ops of these kinds, or names."""
    backend = backends._loaded["fast"]
    if kinds:
        backend.kernel(*kinds)(lambda node: node.op.impl)
    record = Record("fast")
    record.ran(function([X], T.exp(T.sin(X)) + 1.0, backend=backend).report(), "Fused", "float64")
    return record.noted[0]


def test_a_fused_group_that_nobody_runs_has_no_kernel_of_its_own(install):
    install("fast")

    assert noted_of_fused() == ("Fused", "float64", True, "no kernel for Fused", True)


def test_a_fused_group_that_is_opened_was_not_asked_for(install):
    install("fast")

    assert noted_of_fused(Elemwise) == ("Fused", "float64", False, "", False)


def test_a_fused_group_that_its_maker_declines_has_the_makers_reason(install):
    install("fast")
    backends._loaded["fast"].kernel(Fused)(lambda node: "too long")

    assert noted_of_fused() == ("Fused", "float64", True, "too long", True)


def test_an_op_that_another_backend_ran_is_not_taken_for_one_with_a_kernel():
    assert ran("exp", (T.exp, "numpy", ""), asked="numpy").interpreted


def test_on_the_interpreter_nothing_is_a_fallback():
    assert not ran("exp", (T.exp, "numpy", ""), backend="numpy", asked="numpy").interpreted


RECORDING = """
    import pytest
    import refgraph.tensor as T
    from refgraph.interp.report import Report, Row

    pytestmark = pytest.mark.refgraph_level(1)

    @pytest.mark.parametrize("op", ["exp", "log"])
    def test_op(op, backend, record):
        where, why = (backend.name, "") if op == "exp" else ("numpy", "not for me")
        record.ran(Report(backend.name, [Row(getattr(T, op)(T.dvector()).owner, where, why, 0)], False), op, "float64")
        record.loosened(op, "float64", 8, 4)
"""


def test_ops_interpreted_are_said_at_the_end(install, run):
    install("fast")
    end = said(run(RECORDING, "--backend=fast"))

    assert "fast: 1 of 2 ops have kernels; interpreted: log\n" in end
    assert "fast: loosened tolerances: exp float64 8 ulp (not 4), log float64 8 ulp (not 4)\n" in end


def test_the_report_has_the_dtypes_that_are_declared(install, findings):
    install("fast", capabilities=Capabilities(dtypes=["float64", "float32"]))

    assert findings(RECORDING, "--backend=fast")[0]["dtypes"] == ["float32", "float64"]


def test_the_report_has_what_ran_where(install, findings):
    install("fast")
    (one,) = findings(RECORDING, "--backend=fast")

    assert (one["kernels"], one["interpreted"]) == (["exp"], {"log": {"float64": [1, 1]}})
    assert one["why"] == {"log": "not for me"}


# the report


def test_the_report_says_what_it_is_of(pytester, run):
    run(SUITE, "--report=found.json")
    text = (pytester.path / "found.json").read_text()
    report = json.loads(text)

    assert set(report["versions"]) == {"python", "refgraph", "numpy", "scipy"}
    assert str(pytester.path) not in text


def test_without_conformance_tests_no_report_is_written(pytester, run):
    result = run("def test_a(): pass", "--report=found.json")

    assert not (pytester.path / "found.json").exists()
    result.stdout.fnmatch_lines(["no conformance test ran: nothing is written to found.json"])


def test_workers_add_up(pytester, run):
    """A run that is shared out among processes finds what a single process does."""
    pytester.makeconftest("from refgraph.testing import plugin; plugin.suite_modules = set")  # in workers, too
    run(RECORDING, "--report=one.json")
    run(RECORDING, "--report=two.json", "-n2")

    one, two = [json.loads((pytester.path / name).read_text()) for name in ("one.json", "two.json")]
    assert one == two
    assert one["backends"][0]["complete"]
