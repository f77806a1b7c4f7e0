"""Pickles and copies of functions: they compute the same, and share what they shared."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph import In, Out, function, shared
from refgraph.interp.modes import FAST_COMPILE, FAST_RUN, DebugMode, MonitorMode, get_mode


def again(thing):
    return pickle.loads(pickle.dumps(thing))


BOTH = pytest.mark.parametrize("through", [again, copy.deepcopy], ids=["pickle", "deepcopy"])


def training():
    """A step, a prediction, and their weights."""
    x, y = T.dmatrix("x"), T.dvector("y")
    w = shared(np.zeros(2), name="w")
    prediction = T.dot(x, w)
    cost = ((prediction - y) ** 2).mean()
    train = function([x, y], cost, updates=[(w, w - 0.1 * refgraph.grad(cost, w))], name="train")
    return train, function([x], prediction), w


DATA = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, 2.0])


@BOTH
def test_functions_share_their_weights(through):
    first = training()
    train, predict, w = through(first)

    assert train(*DATA) == first[0](*DATA)
    assert train.name == "train"
    np.testing.assert_array_equal(w.get_value(), first[2].get_value())
    np.testing.assert_array_equal(predict(DATA[0]), DATA[0] @ w.get_value())
    before = first[2].get_value()
    train(*DATA)
    np.testing.assert_array_equal(predict(DATA[0]), DATA[0] @ w.get_value())
    assert first[2].get_value().tolist() == before.tolist() != w.get_value().tolist()
    assert train.get_shared() == [w]


@BOTH
def test_kinds_of_outputs_survive(through):
    x = T.dscalar("x")
    assert through(function([x], x + 1))(1) == 2
    assert through(function([x], [x + 1, x]))(1) == [2, 1]
    assert through(function([x], {"a": x + 1, "b": x}))(1) == {"a": 2, "b": 1}
    assert through(function([x], on_unused_input="ignore"))(1) == []
    assert through(function([x], Out(x + 1, borrow=True))).maker.outputs[0].borrow


@BOTH
def test_defaults_and_states_survive(through):
    x, step = T.dscalar("x"), T.dscalar("step")
    f = function([x, In(step, value=3.0, update=step * 2)], x + step)
    f(0)
    g = through(f)

    assert g(1) == 7
    assert g["step"] == 12
    assert f["step"] == 6
    assert g(1, step=0.5) == 1.5
    assert g(x=1) == 2


@BOTH
def test_what_is_accepted_survives(through):
    x = T.fvector("x")
    wide = np.array([0.1])

    assert through(function([x], x, allow_input_downcast=True))(wide).dtype == "float32"
    with pytest.raises(refgraph.RefgraphError):
        through(function([x], x))(wide)
    f = function([x], x, trust_input=True)
    assert through(f).trust_input


def test_modes_survive():
    x = T.dvector("x")
    for mode in (FAST_RUN, FAST_COMPILE):
        assert again(mode) is mode
        assert again(function([x], x + 1, mode=mode)).maker.mode is mode
    debug = again(function([x], x + 1, mode=DebugMode(check_isfinite=False)))
    assert isinstance(debug.maker.mode, DebugMode)
    assert debug.maker.mode.check_isfinite is False
    assert debug([1.0]).tolist() == [2]
    assert again(get_mode("FAST_RUN").excluding("fusion")).excluded == ("fusion",)
    assert copy.copy(FAST_RUN) is not FAST_RUN
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(function([x], x, mode=MonitorMode(post_func=lambda i, node, thunk: None)))


def test_profiles_are_left_behind():
    x = T.dvector("x")
    f = function([x], x + 1, profile=refgraph.interp.profile.Profile("mine"))

    assert again(f).profile is None
    assert f.profile is not None


@refgraph.as_op(T.dvector, T.dvector)
def doubled(x):
    return 2 * x


@BOTH
def test_graphs_inside(through):
    x = T.dvector("x")
    jacobian = refgraph.gradient.jacobian(T.tanh(x) * x.sum(), x)
    y = T.dvector("y")
    call = refgraph.OpFromGraph([y], [y * T.exp(y)])(x)
    f = function([x], [jacobian, call, refgraph.grad(call.sum(), x), doubled(x)])

    for a, b in zip(through(f)([0.5, 1.0]), f([0.5, 1.0]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_lambda_is_named_with_its_line():
    x = T.dvector("x")
    f = function([x], refgraph.as_op(T.dvector, T.dvector)(lambda a: a + 1)(x))
    with pytest.raises(pickle.PicklingError, match="<lambda> cannot be pickled") as error:
        pickle.dumps(f)

    assert "lambda a: a + 1" in str(error.value)
    assert copy.deepcopy(f)([1.0]).tolist() == [2]


def test_errors_of_unpickled_functions_name_the_line():
    x, y = T.dvector("x"), T.dvector("y")
    f = again(function([x, y], x + y))  # this line
    with pytest.raises(refgraph.RefgraphError) as error:
        f([1.0, 2.0], [1.0, 2.0, 3.0])

    assert "this line" in str(error.value)


def test_a_copy_shares_shared_variables():
    train, _, w = training()
    copy.copy(train)(*DATA)

    assert w.get_value().any()


def test_eval_leaves_nothing_to_pickle():
    x = T.dvector("x")
    y = x + 1
    size = len(pickle.dumps(y))
    y.eval({x: [1.0]})

    assert len(pickle.dumps(y)) < size + 200
    a, b = again([x, y])
    assert b.eval({a: [5.0]}).tolist() == [6]


def test_flags():
    f = function([x := T.dvector("x")], x + 1)
    data = pickle.dumps([f, 1])

    with refgraph.config.change_flags(unpickle_function=False):
        assert pickle.loads(data) == [None, 1]
        assert copy.deepcopy(f)([1.0]).tolist() == [2]
    with refgraph.config.change_flags(reoptimize_unpickled_function=True):
        assert pickle.loads(data)[0]([1.0]).tolist() == [2]


def test_deep_functions():
    x = y = T.dscalar("x")
    for _ in range(100_000):
        y = y + 0.0

    assert again(function([x], y))(2.0) == 2


def test_another_process_computes_the_same(tmp_path):
    train, predict, _ = training()
    train(*DATA)
    path = tmp_path / "f.pkl"
    path.write_bytes(pickle.dumps((predict, DATA[0])))
    program = f"import pickle; f, x = pickle.load(open({str(path)!r}, 'rb')); print(f(x).tolist())"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == str(predict(DATA[0]).tolist())
