"""The conformance suite in pytest: `python -m pytest --pyargs refgraph.testing --backend=NAME`.

Tests of the suite take the fixture `backend` and say their level, `pytestmark = pytest.mark.refgraph_level(1)`; they
tell the fixture `record` what ran. The plugin asks them of each backend named, expects the failures that the backend
declares, and says at the end what level it reaches and which ops the interpreter ran for it.

pytest loads this in every session of an environment that has refgraph. So it imports nothing else of refgraph until it
is used, and leaves alone every test that does not take its fixture.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from refgraph.interp.backends import Backend
    from refgraph.interp.report import Report, Row
    from refgraph.testing.report import Found, Loosened, Ran, Result

_SUITE = "refgraph.testing.suite"
_MARKERS = (
    "refgraph_level(n): the level, 0 to 4, that this conformance test counts for",
    "refgraph_feature(name): what this conformance test needs; a backend may declare that it does without",
    "refgraph_backend(name): the backend that this conformance test runs with; set by the plugin",
    "fuzz: a conformance test of random graphs, outside the score; runs only where -m names fuzz",
)
_NAMES = ("--refgraph-backend", "--backend")
_FILES = ("--refgraph-report", "--report")

if _SUITE not in sys.modules:
    pytest.register_assert_rewrite(_SUITE)

Answer = TypeVar("Answer")


# options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("refgraph", "conformance of refgraph's backends")
    group.addoption(
        _NAMES[0],
        action="append",
        metavar="NAME",
        help="backend to test, several times for several; default: numpy (also as --backend, where that is free)",
    )
    group.addoption(
        _FILES[0],
        metavar="FILE.json",
        help="where to write what the conformance suite found (also as --report, where that is free)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> Generator[None, Answer, Answer]:
    """Add the short names where they are used and nobody else has them: options are everybody's.

    The conftest files come first, as one that is refused its option ends the session.
    """
    answer = yield
    for (name, alias), more in ((_NAMES, {"action": "append"}), (_FILES, {})):
        if any(arg == alias or arg.startswith(f"{alias}=") for arg in args):
            _add_alias(parser, name, alias, more)
    return answer


def _add_alias(parser: pytest.Parser, name: str, alias: str, more: Mapping[str, Any]) -> None:
    try:
        parser.getgroup("refgraph").addoption(alias, dest=_alias_dest(name), help=f"same as {name}", **more)
    except ValueError:
        return  # another plugin's, which has it to itself


def _alias_dest(name: str) -> str:
    return name.removeprefix("--").replace("-", "_") + "_alias"


def _asked(config: pytest.Config, name: str) -> Any:
    """What was given as an option or as its short name."""
    long, short = config.getoption(name), getattr(config.option, _alias_dest(name), None)
    return long + short if long and short and isinstance(long, list) else long or short


def _names(config: pytest.Config) -> list[str]:
    """The backends to test."""
    return list(dict.fromkeys(_asked(config, _NAMES[0]) or ["numpy"]))


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[_RUN] = _Run()
    for name in _asked(config, _NAMES[0]) or ():
        _check_usable(name)
    file = _file(config)
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise pytest.UsageError(f"--report={_asked(config, _FILES[0])}: want a file in a folder that exists")


def _file(config: pytest.Config) -> Path | None:
    asked = _asked(config, _FILES[0])
    return config.invocation_params.dir / asked if asked else None


def _check_usable(name: str) -> None:
    """Raise UsageError where no such backend can run here."""
    from refgraph.core.errors import RefgraphError
    from refgraph.interp.backends import get_backend

    try:
        why = get_backend(name).why_unavailable()
    except RefgraphError as error:
        said = [error.message, *[f"({text})" for text in (error.why, error.help) if text]]
        raise pytest.UsageError(f"--backend={name}: {' '.join(said)}") from error
    if why:
        raise pytest.UsageError(f"--backend={name}: it cannot run here: {why}")


def _backend(name: str) -> Backend:
    from refgraph.interp.backends import get_backend

    return get_backend(name)


# what tests take


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """The backend under test: each of those that --backend names, in turn."""
    return _backend(request.param)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Where a test of the suite says what ran, to be told at the end of the run."""
    notes: Record = request.node.stash.setdefault(_RECORD, Record(_tested(request.node) or "numpy"))
    return notes


class Record:
    """What one test, with the backend of that name, says of the ops that it used."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.noted: list[Ran] = []
        self.tolerances: list[Loosened] = []

    def ran(self, report: Report, op_name: str, dtype: str) -> None:
        """Note who ran an op, by the `f.report()` of a function that has it.

        Of the rows that are of this op, one that the backend under test did not run makes the use count as interpreted.
        Where there are none, as the op was rewritten or opened into others, nobody was asked for it.
        """
        from refgraph.testing.report import Ran, worth

        own = [row for row in report.rows if _is_of(row, op_name)]
        lacking = [row for row in own if row.where != self.backend]
        why = max([self._why(row, report) for row in lacking], key=worth, default="")
        self.noted.append(Ran(op_name, str(dtype), bool(lacking), why, bool(own)))

    def _why(self, row: Row, report: Report) -> str:
        """Why an application fell back: that of a fused op may be told by the ops in it, which are not this one."""
        from refgraph.ops.fused import Fused

        op = row.node.op
        if isinstance(op, Fused) and row.why and not report.whole and not _backend(self.backend).has_maker(op):
            return f"no kernel for {type(op).__name__}"
        return row.why

    def loosened(self, op_name: str, dtype: str, ulp: float, default: float) -> None:
        """Note that results of an op may be `ulp` away, more than the default of the suite."""
        from refgraph.testing.report import Loosened

        self.tolerances.append(Loosened(op_name, str(dtype), float(ulp), float(default)))


def _is_of(row: Row, op_name: str) -> bool:
    op = row.node.op
    return op_name in (op.name, type(op).__name__, getattr(vars(op).get("row"), "name", None))


@pytest.hookimpl(tryfirst=True)  # the backend comes first in the brackets of a test's name
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    fixtures = metafunc._arg2fixturedefs.get("backend")
    if fixtures and fixtures[-1].func.__module__ == __name__:  # others have fixtures of that name
        params = [pytest.param(n, id=n, marks=pytest.mark.refgraph_backend(n)) for n in _names(metafunc.config)]
        metafunc.parametrize("backend", params, indirect=True, scope="session")


# which tests run, and what is expected of them


class _Run:
    """What is known of a session, beyond pytest's own record."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.is_partial = False
        self.unmatched: dict[str, set[str]] = {}
        self.facts: dict[str, Any] | None = None
        self.results: dict[tuple[str, str], Result] = {}
        self.founds: list[Found] = []


_RUN = pytest.StashKey[_Run]()
_RECORD = pytest.StashKey[Record]()
_EXPECTED = pytest.StashKey[tuple[str, str]]()  # the feature that is lacking, "" for a known failure; and why


def _tested(item: pytest.Item) -> str | None:
    """The name of the backend that a test runs with; None for tests that are not ours."""
    marker = item.get_closest_marker("refgraph_backend")
    return None if marker is None else str(marker.args[0])


def _level(item: pytest.Item) -> int | None:
    """The level that a test counts for; None for those outside the score."""
    marker = item.get_closest_marker("refgraph_level")
    if marker is None or _tested(item) is None or item.get_closest_marker("fuzz"):
        return None
    if len(marker.args) != 1 or marker.args[0] not in range(5):
        raise pytest.UsageError(f"{item.nodeid}: refgraph_level{marker.args} is no level; they are 0 to 4")
    return int(marker.args[0])


@pytest.hookimpl(tryfirst=True)  # before anybody deselects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    run = config.stash[_RUN]
    ours = [item for item in items if _tested(item) is not None]
    run.modules = {_home(item) for item in ours}
    for item in ours:
        _expect(item, run.unmatched)
    if not re.search(r"\bfuzz\b", config.option.markexpr):
        fuzz = [item for item in ours if item.get_closest_marker("fuzz")]
        if fuzz:
            items[:] = [item for item in items if item not in set(fuzz)]
            config.hook.pytest_deselected(items=fuzz)


def _expect(item: pytest.Item, unmatched: dict[str, set[str]]) -> None:
    """Mark a test that the backend declares to fail.

    A known failure must fail. Of the tests of a feature that is lacking some may pass, as they hardly need it; where
    all of them do, the feature is there, and the declaration stale.
    """
    tested = _backend(_tested(item) or "")
    left = unmatched.setdefault(tested.name, set(tested.xfails))
    matching = [pattern for pattern in tested.xfails if matches(item.name, pattern, tested.name)]
    left.difference_update(matching)
    expected = [("", tested.xfails[pattern]) for pattern in matching]
    needed = [name for m in item.iter_markers("refgraph_feature") for name in m.args]
    without = tested.capabilities.without
    expected[:0] = [(name, f"declared unsupported: {without[name]}") for name in needed if name in without]
    if expected:
        item.stash[_EXPECTED] = feature, reason = expected[0]
        item.add_marker(pytest.mark.xfail(reason=reason, strict=not feature))


def matches(name: str, pattern: str, backend: str) -> bool:
    """Whether a pattern of expected failures is of a test's whole name, with the backend's part in it or without.

    `*` stands for anything and `?` for one character. Brackets are themselves, as the names of tests have them:
    `test_x[numexpr-exp-*]`, `test_x[exp-*]` and `*exp-float32-[3,4]]` are of `test_x[numexpr-exp-float32-[3,4]]`.
    """
    from refgraph.testing.report import without_backend

    literal = pattern.replace("[", "[[]")
    return any(fnmatchcase(n, literal) for n in (name, without_backend(name, backend)))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if _level(item) is not None:
            item.config.stash[_RUN].is_partial = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Gather what a process that ran no collection of its own, as under xdist, has to be told."""
    config, run = session.config, session.config.stash[_RUN]
    counted = Counter(_tested(item) for item in session.items if _level(item) is not None)
    if counted:
        whole = not run.is_partial and not any("::" in arg for arg in config.args) and suite_modules() <= run.modules
        unmatched = {name: sorted(patterns) for name, patterns in run.unmatched.items()}
        run.facts = {"counted": dict(counted), "whole": whole, "stale": unmatched if whole else {}}


def suite_modules() -> set[str]:
    """The modules of the suite that is shipped: all have to be there for the whole of it to have run.

    But for the one that is outside the score, and has no tests where Hypothesis is not installed.
    """
    from importlib.util import find_spec
    from pkgutil import iter_modules

    spec = find_spec(_SUITE)
    places = spec.submodule_search_locations if spec is not None else None
    names = [m.name for m in iter_modules(places)] if places else []
    return {f"{_SUITE}.{name}" for name in names if name.startswith("test_") and name != "test_fuzz"}


# what came of them


def _home(item: pytest.Item) -> str:
    """The module where a test is defined, wherever it was collected from."""
    return str(getattr(item, "function", item).__module__)


def _id(item: pytest.Item) -> str:
    return f"{_home(item)}::{item.nodeid.partition('::')[2]}"


def reproduce(item: pytest.Item) -> str:
    """A line to paste that runs this test alone."""
    home = _home(item)
    is_shipped = home.startswith(f"{_SUITE}.") or home != getattr(getattr(item, "module", None), "__name__", home)
    where = f"--pyargs {shlex.quote(_id(item))}" if is_shipped else shlex.quote(item.nodeid)
    option = _NAMES[0] if item.config.getoption(_NAMES[0]) else _NAMES[1]
    chosen = " -m fuzz" if item.get_closest_marker("fuzz") else ""
    return f"python -m pytest {where} {option}={_tested(item)}{chosen}"


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: what was expected to fail is settled inside
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    tested = _tested(item)
    if tested is None:
        return report
    level = _level(item)
    if level is not None and (report.when == "call" or report.outcome != "passed"):
        vars(report)["refgraph"] = _result(item, report, tested, level).to_plain()  # goes along between processes
    if report.outcome == "failed":
        add = getattr(report.longrepr, "addsection", None)
        if add is not None:
            add("reproduce", reproduce(item))
        else:
            report.sections.append(("reproduce", reproduce(item)))
    return report


def _result(item: pytest.Item, report: pytest.TestReport, tested: str, level: int) -> Result:
    from refgraph.testing.report import Result

    lacks, reason = item.stash.get(_EXPECTED, ("", ""))
    outcome = {"passed": "passed", "failed": "failed"}.get(report.outcome, "skipped")
    passed = outcome == "passed"
    if lacks and hasattr(report, "wasxfail"):
        outcome = "unsupported"
    elif outcome == "skipped" and hasattr(report, "wasxfail"):
        outcome, reason = "xfailed", reason or str(report.wasxfail)
    noted = item.stash.get(_RECORD, Record(tested))
    failed = outcome in ("failed", "skipped")
    op, dtype = _about(item, tested, noted) if failed else ("", "")
    return Result(
        tested,
        _id(item),
        level,
        outcome,
        message=_message(report) if failed else "",
        reason=reason,
        lacks=lacks if outcome == "unsupported" and not passed else "",
        needless=lacks if outcome == "unsupported" and passed else "",
        reproduce=reproduce(item),
        op=op,
        dtype=dtype,
        ran=noted.noted,
        loosened=noted.tolerances,
    )


def _about(item: pytest.Item, tested: str, noted: Record) -> tuple[str, str]:
    """The op and the dtype that a test is about, as far as it noted them, or its name has them."""
    from refgraph.core.op import OPS
    from refgraph.ops.tensor import DTYPES
    from refgraph.testing.report import without_backend

    if noted.noted:
        return noted.noted[0].op, noted.noted[0].dtype
    words = without_backend(item.name, tested).partition("[")[2].removesuffix("]").split("-")
    return words[0] if words[0] in OPS else "", next((word for word in words if word in DTYPES), "")


def _message(report: pytest.TestReport) -> str:
    from refgraph.testing.report import essence

    if isinstance(report.longrepr, tuple):  # of a skipped test: file, line, reason
        return essence(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return essence(crash.message if crash is not None else str(report.longrepr))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Under xdist: take what a worker collected."""
    facts = getattr(node, "workeroutput", {}).get("refgraph")
    if facts is not None:
        node.config.stash[_RUN].facts = facts


class _Listener:
    """Takes the results of tests as they come, from this process or from workers."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        plain = vars(report).get("refgraph")
        if plain is None:
            return
        from refgraph.testing.report import Result

        result = Result.from_plain(plain)
        key = result.backend, result.id
        if key not in self._run.results or result.outcome == "failed":
            self._run.results[key] = result


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Listener(session.config.stash[_RUN]), "refgraph-results")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config, run = session.config, session.config.stash[_RUN]
    if hasattr(config, "workeroutput"):
        config.workeroutput["refgraph"] = run.facts
        return
    if not run.results:
        return
    run.founds = _founds(run, _names(config))
    file = _file(config)
    if file is not None:
        _write(file, run.founds)
    if exitstatus == pytest.ExitCode.OK and any(one["stale"] for one in run.founds):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _founds(run: _Run, names: Iterable[str]) -> list[Found]:
    from refgraph.testing.report import distribution, found

    facts = run.facts or {"counted": {}, "whole": False, "stale": {}}
    ended = Counter(name for name, _ in run.results)
    return [
        found(
            name,
            run.results.values(),
            complete=facts["whole"] and ended[name] == facts["counted"].get(name),
            device=_backend(name).device,
            dtypes=_backend(name).capabilities.dtypes,
            distribution=distribution(name),
            stale=[f"xfails[{pattern!r}] matches no test" for pattern in facts["stale"].get(name, ())],
        )
        for name in names
        if ended[name]
    ]


def _write(file: Path, founds: Sequence[Found]) -> None:
    import platform
    from datetime import date
    from importlib.metadata import PackageNotFoundError, version

    from refgraph.testing.report import document, write

    versions = {"python": platform.python_version()}
    for package in ("refgraph", "numpy", "scipy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"  # on the path all the same
    where = f"{platform.system()} {platform.machine()}"
    write(file, document(founds, versions, where, date.today().isoformat()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run, asked = config.stash[_RUN], _asked(config, _FILES[0])
    if run.founds:
        from refgraph.testing.report import summary

        terminalreporter.write_sep("=", "conformance")
        width = config.get_terminal_writer().fullwidth
        for one in run.founds:
            for line in summary(one, width):
                terminalreporter.write_line(line)
            if one["stale"]:
                terminalreporter.write_line(
                    f"{one['name']}: take these out of what it declares; until then the run fails", red=True
                )
        if asked:
            terminalreporter.write_line(f"report: {os.fspath(asked)}")
    elif asked:
        terminalreporter.write_line(f"no conformance test ran: nothing is written to {os.fspath(asked)}", yellow=True)
