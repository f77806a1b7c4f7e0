"""`python -m refgraph`: the doctor on backends, and reports of the conformance suite."""

import sys

import pytest

from refgraph.__main__ import USAGE, diagnosis, main
from refgraph.core.config import config
from refgraph.interp import backends
from refgraph.testing.report import Result, document, found, write

PLUGIN = """
from refgraph.interp.backends import Backend, hookimpl

backend = Backend("{name}", {arguments})


@hookimpl
def refgraph_backend():
    return backend
"""


@pytest.fixture
def install(tmp_path, monkeypatch, automatic):
    """Installs a plugin for a backend, for as long as the test runs."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set()

    def install(name, arguments="", source=PLUGIN):
        modules.add(f"made_up_{name}")
        (tmp_path / f"made_up_{name}.py").write_text(source.format(name=name, arguments=arguments))
        info = tmp_path / f"refgraph_{name}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: refgraph-{name}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[{backends.GROUP}]\n{name} = made_up_{name}\n")
        backends.forget()

    yield install
    monkeypatch.undo()
    backends.forget()
    for module in modules:
        sys.modules.pop(module, None)


def states():
    """What the doctor says of each backend but the interpreter."""
    return dict(finding.split(": ", 1) for subject, finding in diagnosis() if subject == "backend")


# the doctor


def test_the_doctor_says_where_a_backend_comes_from_and_computes(install):
    install("quick", 'device="cuda", to_device=None')

    assert states()["quick"] == "refgraph-quick 0.3, on cuda, available"


def test_the_doctor_says_why_a_backend_cannot_run(install):
    install("quick", 'available=lambda: "no such card"')

    assert states()["quick"] == "refgraph-quick 0.3, on cpu, cannot run here: no such card"


def test_a_plugin_that_cannot_be_imported_hides_no_other(install):
    install("broken", source="import no_such_module")
    install("quick")
    found = states()

    assert found["broken"].startswith("refgraph-broken 0.3, the plugin of backend 'broken' cannot be loaded: ")
    assert found["broken"].endswith("No module named 'no_such_module'")
    assert found["quick"] == "refgraph-quick 0.3, on cpu, available"


def test_the_doctor_says_which_backend_the_flags_choose(install):
    install("quick", "speed=1e9")

    assert dict(diagnosis())["functions"] == "run on quick (backend=auto, device=auto)"
    with config.change_flags(backend="numpy"):
        assert dict(diagnosis())["functions"] == "run on numpy (backend=numpy, device=auto)"


def test_the_doctor_says_that_the_flags_choose_what_is_not_there():
    with config.change_flags(backend="nump"):
        said = dict(diagnosis())["functions"]

    assert said.startswith("do not run (backend=nump, device=auto): no backend named 'nump'")


def test_the_doctor_says_what_choosing_warns_of(install):
    install("quick")
    with config.change_flags(device="cuda7"):
        said = dict(diagnosis())["functions"]

    assert said.startswith("run on numpy (backend=auto, device=cuda7); device=cuda7: there is no backend for it here")


# reports


@pytest.fixture
def reports(tmp_path):
    """Two files: of one backend, and of two."""
    levels = {
        "quick": [("passed", "a"), ("passed", "b")],
        "slow": [("passed", "a"), ("failed", "b")],
        "other": [("passed", "a"), ("passed", "b")],
    }
    founds = {
        name: found(
            name,
            [Result(name, f"m::test_x[{name}-{test}]", 0, outcome) for outcome, test in tests],
            complete=True,
        )
        for name, tests in levels.items()
    }
    paths = []
    for names in (["quick"], ["slow", "other"]):
        paths.append(tmp_path / f"{names[0]}.json")
        write(paths[-1], document([founds[name] for name in names], {"python": "3.12.1"}, "Linux", "2026-01-31"))
    return [str(path) for path in paths]


def test_a_report_is_shown(reports, capsys):
    assert main(["conformance", reports[0]]) == 0
    assert capsys.readouterr().out.startswith("# Conformance of quick\n\nReaches L0.")


def test_a_report_of_two_backends_is_shown_and_compared(reports, capsys):
    assert main(["conformance", reports[1]]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("# ")]

    assert titles == ["# Conformance of slow", "# Conformance of other", "# Conformance of slow, other"]


def test_reports_are_compared(reports, capsys):
    assert main(["conformance", *reports]) == 0
    out = capsys.readouterr().out

    assert out.startswith("# Conformance of quick, slow, other\n")
    assert "- `m::test_x[b]`: passes in quick, fails in slow, passes in other\n" in out


def test_a_file_that_is_no_report_is_named(reports, tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{}")

    assert main(["conformance", reports[0], str(tmp_path / "bad.json")]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(f"{tmp_path / 'bad.json'} is no conformance report: the file has no field 'schema'")


def test_conformance_of_nothing_gets_the_usage(capsys):
    assert main(["conformance"]) == 2
    assert capsys.readouterr().err == USAGE + "\n"


def test_help_says_what_each_command_is_for(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out

    assert out.startswith(USAGE)
    assert {"explain", "doctor", "conformance"} <= {line.split(" ")[0] for line in out.splitlines()}
