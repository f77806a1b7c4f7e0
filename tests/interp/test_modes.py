"""Modes: names, and what the checking ones catch."""

import itertools

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import (
    BadDestroyMap,
    BadThunkOutput,
    BadViewMap,
    ConfigError,
    InvalidValueError,
    NanGuardError,
)
from refgraph.interp.modes import (
    DebugMode,
    MonitorMode,
    NanGuardMode,
    detect_nan,
    get_default_mode,
    get_mode,
    register_mode,
)

x = T.dvector("x")
V = np.array([1.0, 2.0, 3.0])
COUNTER = itertools.count()


class Faulty(rg.Op):
    """An op of one vector whose meaning is handed in."""

    name = "faulty"

    def __init__(self, meaning, views=()):
        self.meaning, self.views = meaning, views

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return self.meaning(x)


@pytest.mark.parametrize(
    "mode", [None, "Mode", "FAST_RUN", "FAST_COMPILE", "DebugMode", "DEBUG_MODE", "NanGuardMode", rg.Mode()]
)
def test_every_mode_runs(mode):
    w = rg.shared(1.0, "w")
    f = rg.function([x], [x * w, x[::-1]], updates={w: w + 1}, mode=mode)
    a, b = f(V)
    np.testing.assert_array_equal(a, V)
    np.testing.assert_array_equal(b, V[::-1])
    assert w.get_value() == 2


def test_the_flag_chooses_the_default():
    with rg.config.change_flags(mode="DebugMode"):
        assert isinstance(get_default_mode(), DebugMode)
        assert isinstance(rg.function([x], x * 2).maker.mode, DebugMode)
    assert type(get_default_mode()) is rg.Mode


def test_unknown_modes_are_refused():
    with pytest.raises(ConfigError, match="no mode 'FASTER'"):
        rg.function([x], x, mode="FASTER")
    with pytest.raises(ConfigError, match="takes no cheap"):
        DebugMode(cheap=True)


def test_registered_modes_have_names():
    mine = rg.Mode(name="mine")
    register_mode("test_modes.mine", mine)
    assert get_mode("test_modes.mine") is mine
    with pytest.raises(ConfigError, match="already"):
        register_mode("FAST_RUN", mine)


def test_including_and_excluding_make_other_modes():
    mode = rg.Mode("py", "fast_run")
    other = mode.including("stable", "scan").excluding("fuse").requiring("matmul")
    assert (other.included, other.excluded, other.required) == (("stable", "scan"), ("fuse",), ("matmul",))
    assert mode.included == ()
    assert other.optimizer == "fast_run"


@pytest.mark.parametrize(
    ("meaning", "error", "says"),
    [
        (lambda a: a.astype("float32"), InvalidValueError, "float32 of shape .* its type says float64"),
        (lambda a: a[None], InvalidValueError, "expected 1 dimensions"),
        (lambda a: a * np.nan, InvalidValueError, "3 NaN of 3 elements"),
        (lambda a: a / 0, InvalidValueError, "3 infinite"),
        (lambda a: a.__iadd__(1) * 2, BadDestroyMap, "wrote into its input 0"),
        (lambda a: a[::-1], BadViewMap, "shares memory with its input 0"),
        (lambda a: a + next(COUNTER), BadThunkOutput, "differs when it runs again"),
    ],
    ids=["dtype", "rank", "nan", "inf", "destroys", "views", "unstable"],
)
def test_debug_mode_catches(meaning, error, says):
    y = Faulty(meaning)(x + 1)  # this line
    f = rg.function([x], y * 2, mode="DebugMode")
    with np.errstate(all="ignore"), pytest.raises(error, match=says) as caught:
        f(V)
    assert caught.value.node is y.owner
    assert "this line" in str(caught.value)


def test_debug_mode_catches_outputs_in_one_memory():
    class Twins(rg.Op):
        def infer(self, x):
            return x.type, x.type

        def impl(self, x):
            y = x + 1
            return y, y

    with pytest.raises(BadViewMap, match="an output before it"):
        rg.function([x], Twins()(x), mode="DebugMode")(V)


def test_debug_mode_accepts_declared_views():
    f = rg.function([x], Faulty(lambda a: a[::-1], views=(0,))(x), mode="DebugMode")
    np.testing.assert_array_equal(f(V), V[::-1])


def test_debug_mode_accepts_inputs_that_share_memory():
    y = x.type("y")
    op = rg.OpFromGraph([x, y], [x, y * 2])
    f = rg.function([x], op(x, Faulty(lambda a: a[:], views=(0,))(x)), mode="DebugMode")
    np.testing.assert_array_equal(f(V)[0], V)


def test_debug_mode_lets_infinity_pass_when_told():
    y = T.log(x)
    assert np.isneginf(rg.function([x], y, mode=DebugMode(check_isfinite=False))(np.zeros(1))[0])
    with rg.config.change_flags(**{"DebugMode.check_finite": False}):
        f = rg.function([x], y, mode="DebugMode")
    assert np.isneginf(f(np.zeros(1))[0])


def test_debug_mode_reaches_inner_graphs():
    op = rg.OpFromGraph([x], [Faulty(lambda a: a[::-1])(x)])
    with pytest.raises(BadViewMap):
        rg.function([x], op(x), mode="DebugMode")(V)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.array([1.0, np.nan]), "input 0 of mul, x, has NaN"),
        (np.array([np.inf, 1.0]), "input 0 of mul, x, has infinity"),
        (np.array([1.0, 1e11]), "input 0 of mul, x, has big numbers"),
        (np.array([1.0, -1.0]), "output 0 of log has NaN"),
        (np.array([1.0, 0.0]), "output 0 of log has infinity"),
    ],
)
def test_nan_guard(given, says):
    mode = NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=True, optimizer=None)
    f = rg.function([x], T.exp(T.log(x * 1.0)), mode=mode)
    with pytest.raises(NanGuardError, match=says) as caught:
        f(given)
    assert "T.log" in str(caught.value)


def test_nan_guard_allows_what_it_is_told_to():
    f = rg.function([x], x * 2.0, mode=NanGuardMode(nan_is_error=False, inf_is_error=False, big_is_error=False))
    f(np.array([np.nan, np.inf, 1e30]))
    g = rg.function([x], x > 2.0, mode=NanGuardMode())
    assert g(V).tolist() == [False, False, True]


def test_nan_guard_may_warn_only():
    f = rg.function([x], x * 2.0, mode=NanGuardMode())
    with rg.config.change_flags(**{"NanGuardMode.action": "warn"}), pytest.warns(UserWarning, match="has NaN"):
        f(np.array([np.nan]))


def test_monitor_mode_sees_every_node():
    seen = []

    def before(i, node, fn):
        seen.append((i, str(node.op), [cell[0].tolist() for cell in fn.inputs], fn.outputs[0][0]))

    def after(i, node, fn):
        seen.append((i, fn.outputs[0][0].tolist()))

    f = rg.function([x], (x + x) * x, mode=MonitorMode(before, after, optimizer=None))
    f(np.array([3.0]))
    assert seen == [(0, "add", [[3], [3]], None), (0, [6]), (1, "mul", [[6], [3]], None), (1, [18])]


@pytest.mark.parametrize("kind", [DebugMode, NanGuardMode, MonitorMode])
def test_modes_that_watch_applications_see_each_op_by_itself(kind):
    f = rg.function([x], T.exp(T.tanh(x) + 1), mode=kind())
    assert [node.op.name for node in f.graph.nodes] == ["tanh", "add", "exp"]
    fused = rg.function([x], T.exp(T.tanh(x) + 1), mode=kind().including("fuse"))
    assert len(fused.graph.nodes) == 3  # what is left out stays out


def test_detect_nan_prints_the_first_node(capsys):
    f = rg.function([x], T.log(x) + 1, mode=MonitorMode(post_func=detect_nan))
    f(np.array([-1.0]))
    out = capsys.readouterr().out
    assert "NaN detected" in out
    assert "node 0: log(x)" in out
    f(np.array([1.0]))
    assert capsys.readouterr().out == ""
