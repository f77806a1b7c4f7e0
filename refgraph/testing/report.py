"""What a run of the conformance suite found, for each backend: counted, kept as JSON, shown as text, compared."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from refgraph.core.errors import RefgraphError
from refgraph.ops.tensor import DTYPES

SCHEMA = 1
"""Of the JSON file: a number that grows when a field changes its meaning or goes."""

LEVELS = (
    "interface",
    "elementwise ops and reductions",
    "linear algebra and indexing",
    "scan, random numbers, shared variables, updates",
    "errors, threads, pickling",
)
OUTCOMES = ("passed", "failed", "xfailed", "unsupported", "skipped")
_SHOWN = OUTCOMES[:-1]  # no test of the suite skips: that column is shown only where one did

Found = dict[str, Any]
"""What was found of one backend, as it stands in the file."""


class Ran(NamedTuple):
    """One use of an op: whether the interpreter ran it instead of the backend, and why.

    asked: whether it ran as itself; not where it was rewritten, or opened into other ops.
    """

    op: str
    dtype: str
    interpreted: bool
    why: str = ""
    asked: bool = True


class Loosened(NamedTuple):
    """A tolerance above the suite's default, in ulp."""

    op: str
    dtype: str
    ulp: float
    default: float


class Result(NamedTuple):
    """What came of one test with one backend.

    id: module, `::`, and the test's name with the backend's in it.
    op, dtype: what a failure is about, where that is known.
    outcome: one of OUTCOMES; `reason` is why a failure was expected, `message` what a failure said.
    lacks, needless: the feature that the backend does without, where the test failed, and where it passed all the same.
    """

    backend: str
    id: str
    level: int
    outcome: str
    message: str = ""
    reason: str = ""
    lacks: str = ""
    needless: str = ""
    reproduce: str = ""
    op: str = ""
    dtype: str = ""
    ran: Sequence[Ran] = ()
    loosened: Sequence[Loosened] = ()

    def to_plain(self) -> dict[str, Any]:
        """As lists and numbers, to be sent from process to process."""
        return {**self._asdict(), "ran": [list(r) for r in self.ran], "loosened": [list(r) for r in self.loosened]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Result:
        ran, loosened = [Ran(*r) for r in plain["ran"]], [Loosened(*r) for r in plain["loosened"]]
        return cls(**{**plain, "ran": ran, "loosened": loosened})


def without_backend(id: str, backend: str) -> str:
    """A test's id or name without the backend's part, which comes first in the brackets: alike for every backend."""
    start, bracket, rest = id.partition("[")
    if bracket and rest == f"{backend}]":
        return start
    return f"{start}[{rest.removeprefix(backend + '-')}" if bracket else id


def found(
    backend: str,
    results: Iterable[Result],
    *,
    complete: bool,
    device: str = "cpu",
    distribution: str = "",
    dtypes: Iterable[str] = DTYPES,
    stale: Sequence[str] = (),
) -> Found:
    """What the results say of one backend.

    complete: the whole suite ran, to its end; only then is a level reached.
    distribution: name and version of what its plugin was installed from.
    dtypes: those that it declares.
    stale: what it declares, and is not so; features that it is said to lack, and whose tests all pass, are added.
    """
    results = sorted(r for r in results if r.backend == backend)
    levels = {str(n): dict.fromkeys(OUTCOMES, 0) for n in range(len(LEVELS))}
    for result in results:
        levels[str(result.level)][result.outcome] += 1
    uses = [use for result in results for use in result.ran]
    cases = Counter((use.op, use.dtype) for use in uses if use.asked)
    interpreted = Counter((use.op, use.dtype) for use in uses if use.asked and use.interpreted)
    lacking = sorted({op for op, _ in interpreted})
    return {
        "name": backend,
        "distribution": distribution,
        "device": device,
        "dtypes": sorted(dtypes),
        "complete": complete,
        "reaches": _reached(levels) if complete else None,
        "suite": _digest(without_backend(r.id, backend) for r in results),
        "levels": levels,
        "kernels": sorted({op for op, _ in cases} - set(lacking)),
        "interpreted": {
            op: {dtype: [interpreted[op, dtype], n] for (o, dtype), n in sorted(cases.items()) if o == op}
            for op in lacking
        },
        "not_asked": sorted({use.op for use in uses} - {op for op, _ in cases}),
        "why": _whys(uses),
        "loosened": [x._asdict() for x in sorted({x for r in results for x in r.loosened})],
        "expected": [_entry(r, "reason") for r in results if r.outcome == "xfailed"],
        "unsupported": [_entry(r, "reason") for r in results if r.outcome == "unsupported"],
        "failures": [
            _entry(r, "op", "dtype", "message", "reproduce") for r in results if r.outcome in ("failed", "skipped")
        ],
        "stale": sorted([*stale, *(_needless(results) if complete else ())]),
    }


def _whys(uses: Iterable[Ran]) -> dict[str, str]:
    """For each op that was interpreted the reason: the first of those that say most."""
    best: dict[str, str] = {}
    for use in uses:
        if use.asked and use.interpreted and worth(use.why) > worth(best.get(use.op, "")):
            best[use.op] = use.why
    return dict(sorted(best.items()))


_BY_DTYPE = re.compile(r"\w+ is not among its dtypes")


def worth(why: str) -> int:
    """How much it says why an op has no kernel: the maker's own words most; what is declared by dtype little."""
    if not why:
        return 0
    if _BY_DTYPE.fullmatch(why) or why.startswith("takes or answers a "):
        return 1
    if why.startswith("no kernel for "):
        return 2
    return 3 if why.startswith("its kernel for ") and why.endswith(" declined") else 4


def _needless(results: Sequence[Result]) -> list[str]:
    """What is to be said of features that are declared to be lacking, where all tests of a feature pass."""
    passing = Counter(r.needless for r in results if r.needless)
    lacking = {r.lacks for r in results if r.lacks}
    return [f"without[{name!r}]: all {n} tests of it pass" for name, n in passing.items() if name not in lacking]


def _reached(levels: Mapping[str, Mapping[str, int]]) -> int | None:
    """The highest level up to which every level has tests, and all passed or failed as expected."""
    good = [any(n.values()) and not n["failed"] and not n["skipped"] for n in levels.values()]
    first_bad = (*good, False).index(False)
    return first_bad - 1 if first_bad else None


def _digest(ids: Iterable[str]) -> str:
    """The same for runs of the same tests."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


def _entry(result: Result, *fields: str) -> dict[str, Any]:
    return {"id": result.id, "level": result.level, **{field: getattr(result, field) for field in fields}}


def distribution(name: str) -> str:
    """Name and version of what the backend's plugin was installed from; empty where that cannot be told."""
    from importlib.metadata import entry_points

    from refgraph.interp.backends import GROUP

    points = entry_points(group=GROUP, name=name)
    return next((f"{p.dist.name} {p.dist.version}" for p in points if p.dist is not None), "")


# the file


def document(backends: Sequence[Found], versions: Mapping[str, str], platform: str, date: str) -> dict[str, Any]:
    """All that goes into the file."""
    return {
        "schema": SCHEMA,
        "date": date,
        "platform": platform,
        "versions": dict(versions),
        "backends": list(backends),
    }


def write(path: Path, report: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


_REPORT = {"schema": int, "date": str, "platform": str, "versions": dict, "backends": list}
_BACKEND = {
    "name": str,
    "distribution": str,
    "device": str,
    "dtypes": list,
    "complete": bool,
    "reaches": (int, type(None)),
    "suite": str,
    "levels": dict,
    "kernels": list,
    "interpreted": dict,
    "not_asked": list,
    "why": dict,
    "loosened": list,
    "expected": list,
    "unsupported": list,
    "failures": list,
    "stale": list,
}
_COUNTS = dict.fromkeys(OUTCOMES, int)
_LISTED: dict[str, dict[str, Any]] = {
    "loosened": {"op": str, "dtype": str, "ulp": (int, float), "default": (int, float)},
    "expected": {"id": str, "level": int, "reason": str},
    "unsupported": {"id": str, "level": int, "reason": str},
    "failures": {"id": str, "level": int, "op": str, "dtype": str, "message": str, "reproduce": str},
}


def read(path: Path) -> dict[str, Any]:
    """The report in a file. Raises RefgraphError, naming the file, where that holds none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _refused(path, f"is not JSON: {error}") from None
    if isinstance(report, dict) and isinstance(report.get("schema"), int) and report["schema"] != SCHEMA:
        raise _refused(path, f"has schema {report['schema']}, and this version of refgraph reads {SCHEMA}")
    wrong = _wrong(report)
    if wrong:
        raise _refused(path, f"is no conformance report: {wrong}")
    return report  # type: ignore[no-any-return]  # just looked at


def _refused(path: Path, why: str) -> RefgraphError:
    line = "python -m pytest --pyargs refgraph.testing --report=FILE.json"
    return RefgraphError(f"{path} {why}", help=f"write one with: {line}")


def _wrong(report: Any) -> str:
    """What a report has not as it should; empty where it has everything."""
    wrong = _misfit("the file", report, _REPORT) or ("" if report["backends"] else "it is of no backend")
    for i, one in enumerate([] if wrong else report["backends"]):
        where = f"backends[{i}]"
        wrong = wrong or _misfit(where, one, _BACKEND) or _misfit_inside(where, one)
    return wrong


def _misfit_inside(where: str, one: Found) -> str:
    levels = {str(n): dict for n in range(len(LEVELS))}
    wrong = _misfit(f"{where}.levels", one["levels"], levels)
    for n in [] if wrong else levels:
        wrong = wrong or _misfit(f"{where}.levels.{n}", one["levels"][n], _COUNTS)
    for field, fields in _LISTED.items():
        for i, entry in enumerate(one[field]):
            wrong = wrong or _misfit(f"{where}.{field}[{i}]", entry, fields)
    for op, dtypes in one["interpreted"].items():
        counts = list(dtypes.values()) if isinstance(dtypes, dict) else [None]
        if not all(isinstance(n, list) and [type(k) for k in n] == [int, int] for n in counts):
            wrong = wrong or f"{where}.interpreted.{op} is not two counts for each dtype"
    for field in ("dtypes", "kernels", "not_asked", "stale", "why"):
        texts = one[field].values() if field == "why" else one[field]
        if not all(isinstance(text, str) for text in texts):
            wrong = wrong or f"{where}.{field} holds what is no text"
    return wrong


def _misfit(where: str, value: Any, fields: Mapping[str, Any]) -> str:
    if not isinstance(value, dict):
        return f"{where} is of type {type(value).__name__}, want an object"
    for field, kind in fields.items():
        if field not in value:
            return f"{where} has no field {field!r}"
        if not isinstance(value[field], kind):
            return f"{where}.{field} is of type {type(value[field]).__name__}"
    return ""


# what is said of one backend


def kernels_said(one: Found) -> str:
    """How many ops have kernels, and which the interpreter ran."""
    lacking, whole = one["interpreted"], _without_kernels(one)
    tried = len(one["kernels"]) + len(lacking)
    if not tried:
        return "no test told which ops ran"
    if one["name"] == "numpy":
        return f"it is the interpreter, which ran all of {tried} ops"
    said = [f"{tried - len(whole)} of {tried} ops have kernels"]
    undeclared = [dtype for dtype in DTYPES if dtype not in one["dtypes"]]
    said += [f"dtypes that it does not declare ({', '.join(undeclared)}) are interpreted"] if undeclared else []
    said += [f"not asked for, or opened into other ops: {', '.join(one['not_asked'])}"] if one["not_asked"] else []
    partly: dict[str, list[str]] = {}
    for op in lacking.keys() - whole:
        partly.setdefault(_dtypes_said({d: n for d, n in lacking[op].items() if d in one["dtypes"]}), []).append(op)
    partly = {d if d.startswith("in part") else f"in {d}": ops for d, ops in partly.items() if d}
    lists = [f"{dtypes}: {', '.join(sorted(ops))}" for dtypes, ops in sorted(partly.items())]
    return "; ".join([*said, f"interpreted: {'; '.join([*filter(None, [', '.join(whole)]), *lists]) or 'none'}"])


def _without_kernels(one: Found) -> list[str]:
    """The ops that the interpreter ran in every case."""
    return [op for op, dtypes in one["interpreted"].items() if _is_without(dtypes)]


def _whys_said(one: Found) -> list[str]:
    """Why ops have no kernel: each reason with the ops that it is of, those first that the makers of kernels gave."""
    groups: dict[str, list[str]] = {}
    for op in _without_kernels(one):
        if op in one["why"]:
            groups.setdefault(_of_any(op, one["why"][op]), []).append(op)
    order = sorted(groups.items(), key=lambda group: (-worth(one["why"][group[1][0]]), -len(group[1]), group[0]))
    return [
        f"{one['why'][ops[0]] if len(ops) == 1 and '…' in reason else reason}: {', '.join([f'`{op}`' for op in ops])}"
        for reason, ops in order
    ]


def _of_any(op: str, why: str) -> str:
    """A reason without the name of the op, for all ops to which the same happened."""
    if why == f"no kernel for {op}":
        return "no kernel"
    if _BY_DTYPE.fullmatch(why):
        return "takes or answers a dtype that the backend does not declare"
    return re.sub(rf"(?<!\w){re.escape(op)}(?!\w)", "…", why)


def _is_without(dtypes: Mapping[str, Sequence[int]]) -> bool:
    """Whether the interpreter ran every case, of all dtypes."""
    return all(k == n for k, n in dtypes.values())


def _dtypes_said(dtypes: Mapping[str, Sequence[int]]) -> str:
    """The dtypes in which the interpreter ran an op that has a kernel for other cases."""
    parts = [", ".join([dtype for dtype, (k, n) in dtypes.items() if k == n])]
    partly = ", ".join([dtype for dtype, (k, n) in dtypes.items() if 0 < k < n])
    parts += [f"in part {partly}"] if partly else []
    return ", ".join(filter(None, parts))


def level_said(one: Found) -> str:
    """The level that it reaches, and how many failures were expected."""
    total = _totals(one)
    beside = [
        f"{n} {what}{'s' * (n > 1)}"
        for n, what in ((total["xfailed"], "expected failure"), (len(one["loosened"]), "loosened tolerance"))
        if n
    ]
    beside += [f"{total['unsupported']} unsupported"] if total["unsupported"] else []
    note = f" ({', '.join(beside)})" if beside else ""
    if not one["complete"]:
        return f"no level, as not all of the suite ran{note}"
    level = "no level" if one["reaches"] is None else f"L{one['reaches']}"
    return f"reaches {level}{note}"


def _loosened_said(one: Found) -> list[str]:
    return [f"{x['op']} {x['dtype']} {x['ulp']:g} ulp (not {x['default']:g})" for x in one["loosened"]]


def _totals(one: Found) -> dict[str, int]:
    return {outcome: sum(n[outcome] for n in one["levels"].values()) for outcome in OUTCOMES}


def _columns(one: Found) -> tuple[str, ...]:
    return OUTCOMES if _totals(one)["skipped"] else _SHOWN


def _level_rows(one: Found) -> list[list[str]]:
    """The table of levels, with its head."""
    columns = _columns(one)
    rows = [[f"L{n} {LEVELS[int(n)]}", *[str(counts[c]) for c in columns]] for n, counts in one["levels"].items()]
    return [["level", *columns], *rows]


def summary(one: Found, width: int = 80) -> list[str]:
    """What is said at the end of a run, in lines of this width."""
    name, (head, *rows) = one["name"], _level_rows(one)
    first = max(len(row[0]) for row in rows)
    lines = [
        " ".join([row[0].ljust(first), *[cell.rjust(len(h) + 1) for cell, h in zip(row[1:], head[1:], strict=True)]])
        for row in (head, *rows)
    ]
    said = [f"{name}: {level_said(one)}", f"{name}: {kernels_said(one)}"]
    said += [f"{name}: loosened tolerances: {', '.join(_loosened_said(one))}"] if one["loosened"] else []
    said += [f"{name}: declarations that are stale: {'; '.join(one['stale'])}"] if one["stale"] else []
    lines += [line for text in said for line in _wrapped(text, width)]
    return lines + _failures_said(one, width)


def _wrapped(text: str, width: int, start: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=start,
        subsequent_indent=f"{start}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# what is said of failures


def _failures_said(one: Found, width: int) -> list[str]:
    """What most failures are about, and those to begin with, each with the line that runs it alone, in one piece."""
    if not one["failures"]:
        return []
    lines = _wrapped(f"{one['name']}: most failures involve: {_involved(one['failures'])}", width)
    lines.append(f"{one['name']}: failures to begin with:")
    for e in _to_begin_with(one["failures"]):
        said = f"{e['message'][:300]}..." if len(e["message"]) > 300 else e["message"]
        lines += [*_wrapped(f"L{e['level']} {said}", width, "  "), f"    {e['reproduce']}"]
    return lines


def _about(failure: Found) -> str:
    """The op that a failure is of; else the test."""
    return failure["op"] or failure["id"].rpartition("::")[2].partition("[")[0]  # type: ignore[no-any-return]


def _involved(failures: Sequence[Found], shown: int = 5) -> str:
    """The ops, with their dtypes, that most failures are about; the tests where no op is known."""
    known = [e for e in failures if e["op"]] or failures
    times, dtypes = Counter(map(_about, known)), {(_about(e), e["dtype"]): None for e in known if e["dtype"]}
    names = sorted(times, key=lambda name: (-times[name], name))
    said = []
    for n, name in enumerate(names[:shown]):
        own = sorted([dtype for about, dtype in dtypes if about == name])
        own = [f"in {len(own)} dtypes"] if len(own) > 3 else own
        said.append(f"{' '.join([name, ', '.join(own)]).strip()} ({times[name]}{'' if n else f' of {len(failures)}'})")
    return "; ".join(said) + (f"; and {len(names) - shown} more" if len(names) > shown else "")


def _to_begin_with(failures: Sequence[Found], shown: int = 3) -> list[Found]:
    """The failures of single ops and of the interface, where there are any, that tell most: each of another op."""
    low = [e for e in failures if e["level"] <= 1] or failures
    times, seen = Counter(map(_about, low)), Counter[str]()
    order = []
    for n, e in enumerate(low):
        order.append((seen[_about(e)], e["level"], -times[_about(e)], n))
        seen[_about(e)] += 1
    return [low[n] for *_, n in sorted(order)[:shown]]


def essence(text: str) -> str:
    """The one line of an error that says most, without what differs from machine to machine.

    That is the first of our own errors; else the last one before pytest shows the parts of an assertion.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if "[RG" in lines[0]:
        line = lines[0]
    else:
        shown = next((i for i, line in enumerate(lines) if re.match(r"(\w+: )?assert ", line)), len(lines))
        line = lines[max(shown, 1) - 1]
    line = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", line)
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[\w.@+ -]+[/\\])+(?=[\w.@+-])", "", line)


# as Markdown


def render(report: Mapping[str, Any], one: Found) -> str:
    """A page about one backend of a report."""
    versions = ", ".join([f"{name} {version}" for name, version in report["versions"].items()])
    origin = f"{one['distribution']}; " if one["distribution"] else ""
    parts = [
        f"# Conformance of {one['name']}",
        f"{_capital(level_said(one))}.",
        f"{origin}device {one['device']}; {versions}; {report['platform']}; {report['date']}.",
        _table(_level_rows(one)),
        "## Kernels",
        "\n".join(_wrapped(f"{_capital(kernels_said(one))}.", 100)),
        *_listed("Why not", ["\n".join(_wrapped(line, 100)) for line in _whys_said(one)]),
        *_listed("Loosened tolerances", _loosened_said(one)),
        *_listed("Expected failures", [f"`{e['id']}`: {e['reason']}" for e in one["expected"]]),
        *_listed("Unsupported", [f"`{e['id']}`: {e['reason']}" for e in one["unsupported"]]),
        *_listed("Declarations that are stale", one["stale"]),
    ]
    if one["failures"]:
        parts += ["## Failures", f"Most involve: {_involved(one['failures'])}."]
    for e in one["failures"]:
        parts.append(f"`{e['id']}` (L{e['level']}): {e['message']}\n\n```\n{e['reproduce']}\n```")
    return "\n\n".join(parts) + "\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {line}" for line in lines)] if lines else []


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Cells under a head, in columns that line up: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = [i > 0 and all(row[i].isdigit() for row in rows[1:]) for i in range(len(widths))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numbers, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    rule = "|" + "|".join(["-" * (w + 1) + (":" if n else "-") for w, n in zip(widths, numbers, strict=True)]) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


# compared


def compare(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A page about the backends of some reports side by side; each report comes with a word that tells it from others.

    What was gained or lost is so since the first of them.
    """
    columns = _labelled(reports)
    names = [name for name, _ in columns]
    rows = [["level", *names]]
    for n, what in enumerate(LEVELS):
        rows.append([f"L{n} {what}", *[_counts_said(one["levels"][str(n)]) for _, one in columns]])
    rows.append(["all", *[level_said(one) for _, one in columns]])
    parts = [f"# Conformance of {', '.join(names)}", _table(rows), "## Tests that fail in one and not in another"]
    different = _different(columns)
    parts.append("\n".join(f"- {line}" for line in different) or "None.")
    parts.append("## Kernels gained and lost")
    changes = [line for name, one in columns[1:] for line in _kernel_changes(columns[0], name, one)]
    parts.append("\n".join(f"- {line}" for line in changes) or "None.")
    return "\n\n".join(parts) + "\n"


def _labelled(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Found]]:
    """Each backend with a name of its own: the backend's, and the report's where that is not enough."""
    pairs = [(word, one) for word, report in reports for one in report["backends"]]
    times = Counter(one["name"] for _, one in pairs)
    return [(one["name"] if times[one["name"]] == 1 else f"{one['name']} ({word})", one) for word, one in pairs]


def _counts_said(counts: Mapping[str, int]) -> str:
    return ", ".join([f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]) or "not run"


def _different(columns: Sequence[tuple[str, Found]]) -> list[str]:
    """A line for each test that fails with some of the backends, and not with all."""
    states = [(name, _states(one)) for name, one in columns]
    same = len({one["suite"] for _, one in columns}) == 1
    lines = []
    for id in sorted({id for _, state in states for id, what in state.items() if what == "fails"}):
        otherwise = "passes" if same else "passes, or was not run"
        said = [(name, state.get(id, otherwise)) for name, state in states]
        if any(what != "fails" for _, what in said):
            lines.append(f"`{id}`: " + ", ".join([f"{what} in {name}" for name, what in said]))
    return lines


def _states(one: Found) -> dict[str, str]:
    """What became of the tests that did not pass, by their ids without the backend."""
    said = {"failures": "fails", "expected": "fails as expected", "unsupported": "is unsupported"}
    return {without_backend(e["id"], one["name"]): word for field, word in said.items() for e in one[field]}


def _kernel_changes(first: tuple[str, Found], name: str, one: Found) -> list[str]:
    before, now = _with_kernels(first[1]), _with_kernels(one)
    changes = (("gained", now - before), ("lost", before - now))
    return [f"{name} {word}, against {first[0]}: {', '.join(sorted(ops))}" for word, ops in changes if ops]


def _with_kernels(one: Found) -> set[str]:
    """The ops that have a kernel for some dtype; the interpreter has none."""
    if one["name"] == "numpy":
        return set()
    partly = {op for op, dtypes in one["interpreted"].items() if not _is_without(dtypes)}
    return {*one["kernels"], *partly}
