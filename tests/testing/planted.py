"""Runs tests of the suite on a backend that has a bug planted, in this process and over the few cases that matter."""

import contextlib
import itertools
from types import ModuleType, SimpleNamespace

import pytest

from refgraph.interp import backends


class NoRecord:
    """Stands for the fixture `record`."""

    def ran(self, report, op_name, dtype):
        assert op_name
        assert dtype

    def loosened(self, op_name, dtype, ulp, default):
        assert ulp > default


@contextlib.contextmanager
def installed(*found):
    """Let backends be found under their names, as if they were installed."""
    names = {b.name: b for b in found}
    before = backends._entry_points, backends._load
    backends._entry_points = lambda: [*before[0](), *[SimpleNamespace(name=name) for name in names]]
    backends._load = lambda name: names[name] if name in names else before[1](name)
    backends.forget()
    try:
        yield
    finally:
        backends._entry_points, backends._load = before
        backends.forget()


def failing(backend, module, only=lambda case: True, tests=None):
    """Names of the tests of a module of the suite that fail on the backend, over the cases that `only` chooses.

    tests: names of those to run; None for all. Each must have a case to run.
    """
    return set(failures(backend, module, only, tests))


def failures(backend, module, only=lambda case: True, tests=None):
    """As `failing`, with what the first failure of each test says."""
    found, ran = {}, set()
    with installed(backend):
        for name, test in _tests(module):
            if tests is not None and name not in tests:
                continue
            for arguments in _uses(test, only):
                ran.add(name)
                try:
                    with pytest.MonkeyPatch.context() as patch:
                        test(**_filled(test, arguments, backend=backend, record=NoRecord(), monkeypatch=patch))
                except (Exception, pytest.fail.Exception) as error:
                    found.setdefault(name, f"{type(error).__name__}: {error}")
    assert tests is None or ran >= set(tests), f"no case for {sorted(set(tests) - ran)}"
    assert ran, "no test ran"
    return found


def _tests(module: ModuleType):
    return [(name, value) for name, value in vars(module).items() if name.startswith("test_") and callable(value)]


def _uses(test, only):
    """The arguments that the test is parametrized with."""
    lists = []
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
            pairs = [
                dict(zip(map(str.strip, names), _values(given, len(names)), strict=True)) for given in mark.args[1]
            ]
            lists.append([p for p in pairs if "case" not in p or only(p["case"])])
    for parts in itertools.product(*lists):
        yield {k: v for part in parts for k, v in part.items()}


def _values(given, count):
    """The values of one set of arguments, in each of the forms that pytest takes."""
    if isinstance(given, type(pytest.param())):
        return given.values
    return given if count > 1 else (given,)


def _filled(test, arguments, **fixtures):
    """The arguments, and the fixtures among what the test takes."""
    names = test.__code__.co_varnames[: test.__code__.co_argcount]
    return {name: arguments[name] if name in arguments else fixtures[name] for name in names}
