"""function: what is given, what comes back, what is kept, and what is refused."""

import threading
from collections import OrderedDict

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.errors import (
    GraphTypeError,
    InputError,
    MissingInputError,
    ShapeError,
    UnusedInputError,
    UpdateError,
)
from refgraph.core.graph import Graph
from refgraph.interp.shared import commit

V = np.array([1.0, 2.0, 3.0])


@pytest.fixture
def x():
    return T.dvector("x")


# what comes back


def test_forms_of_outputs(x):
    assert rg.function([x], None, on_unused_input="ignore")(V) == []
    one = rg.function([x], x * 2)(V)
    assert isinstance(one, np.ndarray)
    (first,) = rg.function([x], [x * 2])(V)
    np.testing.assert_array_equal(first, one)
    many = rg.function([x], (x, x + 1))(V)
    assert isinstance(many, list)
    both = rg.function([x], OrderedDict([("b", x + 1), ("a", x.sum())]))(V)
    assert list(both) == ["b", "a"]
    assert both["a"] == 6


def test_outputs_of_rank_0_are_arrays(x):
    total = rg.function([x], x.sum())(V)
    assert isinstance(total, np.ndarray)
    assert total.shape == ()


def test_numbers_and_arrays_as_outputs():
    a, b = rg.function([], [3, V])()
    assert a == 3
    np.testing.assert_array_equal(b, V)


def test_output_subset(x):
    assert rg.function([x], [x[0], x[1], x[2]])(V, output_subset=[2, 0]) == [3, 1]
    assert rg.function([x], {"a": x[0], "b": x[1]})(V, output_subset=["b"]) == {"b": 2}
    with pytest.raises(InputError, match="no output 'c'"):
        rg.function([x], {"a": x[0]})(V, output_subset=["c"])


# memory


def shares(a, b):
    return np.shares_memory(a, b)


def test_no_output_shares_memory_with_anything(x):
    w, c = rg.shared(V, "w"), T.constant(V)
    f = rg.function([x], [x, x[1:], w, w[::-1], c, c[:1], x + 1, x + 1, T.exp(x), T.exp(x)[1:]])
    outs = f(V)
    kept = [V, w.get_value(borrow=True), c.value]
    for i, a in enumerate(outs):
        assert a.flags.writeable
        assert not any(shares(a, b) for b in [*kept, *outs[:i], *f(V)])


def test_the_same_variable_twice_is_two_arrays(x):
    y = T.exp(x)
    a, b = rg.function([x], [y, y])(V)
    assert not shares(a, b)


def test_a_broadcast_output_can_be_written(x):
    y = rg.function([x], T.alloc(x.sum(), 2, 2))(V)
    y[0, 0] = 1
    assert y.tolist() == [[1, 6], [6, 6]]


def test_borrow_lends(x):
    w = rg.shared(V, "w")
    (out,) = rg.function([], [rg.Out(w, borrow=True)])()
    assert out is w.get_value(borrow=True)
    lent = rg.function([rg.In(x, borrow=True)], x[1:])(V)
    assert shares(lent, V)


def test_updates_do_not_share_memory(x):
    a, b = rg.shared(V, "a"), rg.shared(-V, "b")
    f = rg.function([x], a, updates={a: b, b: x[::-1]})
    out = f(V)
    values = [s.get_value(borrow=True) for s in (a, b)]
    np.testing.assert_array_equal(values, [-V, V[::-1]])
    assert not shares(*values)
    assert not any(shares(out, v) or shares(v, V) for v in values)


# givens


@pytest.mark.parametrize("form", [dict, list, OrderedDict])
def test_givens_replace_anything(x, form):
    y = x * 2
    z = y + 1
    w = rg.shared(1.0, "w")
    pairs = {y: T.exp(x), w: T.constant(10.0)}
    f = rg.function([x], z + w, givens=form(pairs) if form is not list else list(pairs.items()))
    np.testing.assert_array_equal(f(V), np.exp(V) + 11)


def test_givens_are_values_too(x):
    data = V.copy()
    f = rg.function([], x.sum(), givens={x: data})
    data[0] = 100
    assert f() == 6


def test_givens_happen_at_once():
    a, b = T.dscalars("a", "b")
    assert rg.function([a, b], a - b, givens={a: b, b: a})(5.0, 3.0) == -2


def test_givens_reach_updates(x):
    w = rg.shared(0.0, "w")
    rg.function([], updates={w: x.sum()}, givens={x: V})()
    assert w.get_value() == 6


def test_givens_of_another_type_are_refused_unless_told(x):
    y = T.fvector("y")
    with pytest.raises(GraphTypeError, match=r"givens: y \(float32\[\?\]\) cannot stand for x"):
        rg.function([y], x * 2, givens={x: y})
    with pytest.raises(GraphTypeError, match="cannot stand for x"):
        rg.function([], x * 2, givens={x: T.zeros((2, 2))})
    out = rg.function([y], x + x, givens={x: y}, rebuild_strict=False)(V.astype("float32"))
    assert out.dtype == "float32"
    with pytest.raises(GraphTypeError, match="only variables can be replaced"):
        rg.function([x], x, givens={"x": x})
    with pytest.raises(GraphTypeError, match="givens: 'a' cannot stand for x"):
        rg.function([], x, givens={x: "a"})
    with pytest.raises(GraphTypeError, match="x is replaced twice"):
        rg.function([], x, givens=[(x, V), (x, V)])


# updates


@pytest.mark.parametrize("form", [dict, list, OrderedDict])
def test_updates_are_made_together_from_old_values(form):
    a, b = rg.shared(1.0, "a"), rg.shared(3.0, "b")
    pairs = {a: b, b: a + 1}
    f = rg.function([], [a, b], updates=form(pairs) if form is not list else list(pairs.items()))
    assert f() == [1, 3]
    assert (a.get_value(), b.get_value()) == (3, 2)


def test_update_by_a_number_takes_the_dtype():
    k = rg.shared(np.int32(5), "k")
    rg.function([], updates={k: 0})()
    assert k.get_value() == 0
    assert k.get_value().dtype == "int32"


def test_update_of_another_dtype_is_refused():
    k = rg.shared(np.int32(5), "k")
    with pytest.raises(UpdateError) as caught:
        rg.function([], updates=[(k, k + 1.5)])
    text = str(caught.value)
    assert "the update of k is float64[], but k is int32[]" in text
    assert ".astype('int32')" in text
    assert "k + 1.5" in text


def test_update_of_another_rank_is_refused(x):
    w = rg.shared(1.0, "w")
    with pytest.raises(UpdateError, match=r"w is float64\[\?\], but w is float64\[\]"):
        rg.function([x], updates={w: w * x})


def test_a_known_length_of_an_update_is_asserted_when_it_runs():
    w = rg.shared(np.ones((1, 3)), "w", broadcastable=(True, False))
    m = T.dmatrix("m")
    f = rg.function([m], updates={w: m})
    f(np.zeros((1, 2)))
    assert w.get_value().shape == (1, 2)
    with pytest.raises(ShapeError):
        f(np.zeros((2, 2)))
    assert w.get_value().shape == (1, 2)


def test_bad_updates_are_refused(x):
    w = rg.shared(1.0, "w")
    with pytest.raises(UpdateError, match="two updates of w"):
        rg.function([], updates=[(w, w + 1), (w, w + 2)])
    with pytest.raises(UpdateError, match="updates are of shared variables, got the variable x"):
        rg.function([x], x, updates={x: x + 1})
    with pytest.raises(UpdateError, match=r"the update of w \(float64\[\]\) is None"):
        rg.function([], updates={w: None})
    with pytest.raises(UpdateError, match="must be a dict or a list of pairs"):
        rg.function([], updates=[w])


def test_a_call_that_raises_changes_nothing(x):
    a, b = rg.shared(1.0, "a"), rg.shared(V, "b")
    f = rg.function([x], (x * b).sum(), updates=[(a, a + 1), (b, b + x)])
    with pytest.raises(ShapeError):
        f(np.ones(2))
    assert a.get_value() == 1
    np.testing.assert_array_equal(b.get_value(), V)
    f(V)
    assert a.get_value() == 2


def test_default_updates():
    a, b = rg.shared(0, "a"), rg.shared(0, "b")
    a.default_update = a + 1
    b.default_update = a * 10  # reads a, which then is updated too
    rg.function([], b)()
    assert (a.get_value(), b.get_value()) == (1, 0)
    rg.function([], b)()
    assert (a.get_value(), b.get_value()) == (2, 10)
    rg.function([], b, no_default_updates=True)()
    rg.function([], b, no_default_updates=[a, b])()
    assert (a.get_value(), b.get_value()) == (2, 10)
    rg.function([], a, updates={a: a + 5})()
    assert a.get_value() == 7
    rg.function([], b, no_default_updates=[a])()
    assert (a.get_value(), b.get_value()) == (7, 70)


# arguments


def test_arguments_convert_when_nothing_is_lost(x):
    f = rg.function([x], x * 2)
    for given in ([1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], "int32"), np.array([1, 2, 3], "float32")):
        out = f(given)
        assert out.dtype == "float64"
        np.testing.assert_array_equal(out, V * 2)


def test_arguments_that_lose_are_refused_unless_told():
    y = T.fvector("y")
    with pytest.raises(InputError) as caught:
        rg.function([y], y * 2, name="twice")(V)
    text = str(caught.value)
    assert "twice(y): bad argument 0, y (float32[?])" in text
    assert "float64 does not fit into float32" in text
    assert 'name="twice")(V)' in text
    out = rg.function([y], y * 2, allow_input_downcast=True)(V)
    assert out.dtype == "float32"
    out = rg.function([rg.In(y, allow_downcast=True)], y * 2)(V)
    assert out.dtype == "float32"
    with rg.config.change_flags(allow_input_downcast=True):
        f = rg.function([y], y * 2)
    assert f(V).dtype == "float32"


def test_strict_inputs(x):
    with pytest.raises(InputError, match="no conversion"):
        rg.function([rg.In(x, strict=True)], x)([1.0])


def test_wrong_rank_and_length(x):
    with pytest.raises(InputError, match=r"bad argument 0, x .*expected 1 dimensions"):
        rg.function([x], x)(np.ones((2, 2)))
    r = T.row("r")
    with pytest.raises(InputError, match="axis 0 has length 2, but the type says 1"):
        rg.function([r], r)(np.ones((2, 2)))


def test_too_many_too_few(x):
    y = T.dvector("y")
    f = rg.function([x, rg.In(y, value=V)], x + y, name="f")
    with pytest.raises(InputError, match=r"f\(x, y=...\) takes 2 arguments, got 3"):
        f(V, V, V)
    with pytest.raises(InputError, match=r"f\(x, y=...\): no value for x"):
        f()


def test_a_variable_is_no_argument(x):
    with pytest.raises(InputError, match="expected an array, got the variable x"):
        rg.function([x], x)(x)


def test_keyword_arguments(x):
    y = T.dvector("y")
    f = rg.function([x, rg.In(y, name="offset")], x - y)
    np.testing.assert_array_equal(f(offset=V, x=2 * V), V)
    np.testing.assert_array_equal(f(V, offset=V), 0 * V)
    with pytest.raises(InputError, match="two values for x"):
        f(V, x=V)
    with pytest.raises(InputError, match="no input is named 'ofset'") as caught:
        f(V, ofset=V)
    assert "did you mean offset?" in str(caught.value)
    z = T.dvector("x")
    with pytest.raises(InputError, match="several inputs are named 'x'"):
        rg.function([x, z], x + z)(x=V)


def test_trust_input_skips_the_checks(x):
    f = rg.function([x], x + x, trust_input=True, mode=rg.Mode(optimizer=None))
    assert f(np.ones(2, "float32")).dtype == "float32"  # what one gets for wrong trust
    f.trust_input = False
    assert f(np.ones(2, "float32")).dtype == "float64"


# states of inputs


def test_defaults(x):
    y = T.dscalar("y")
    f = rg.function([x, (y, 10.0)], x * y)
    np.testing.assert_array_equal(f(V), V * 10)
    np.testing.assert_array_equal(f(V, 2), V * 2)
    np.testing.assert_array_equal(f(V), V * 10)
    assert f[y] == f["y"] == f.value["y"] == f.defaults[y] == f.container["y"].data == 10
    f["y"] = 3
    np.testing.assert_array_equal(f(V), V * 3)


def test_a_default_is_not_the_users_array(x):
    mine = V.copy()
    f = rg.function([rg.In(x, value=mine)], x)
    mine[0] = 100
    np.testing.assert_array_equal(f(), V)


def test_an_input_with_an_update_is_a_state():
    inc, state = T.dscalar("inc"), T.dscalar("state")
    f = rg.function([rg.In(inc, value=1), rg.In(state, value=0, update=state + inc)], state)
    assert [f(), f(10), f()] == [0, 1, 11]
    assert f[state] == 12
    assert f(1, state=100) == 100
    assert f["state"] == 101
    with pytest.raises(UpdateError, match="no value"):
        rg.function([rg.In(state, update=state + 1)], state)


def test_an_implicit_input_is_no_argument(x):
    y, w = T.dscalar("y"), rg.shared(2.0, "w")
    f = rg.function([rg.In(y, value=w), x], x * y)
    np.testing.assert_array_equal(f(V), V * 2)
    w.set_value(3.0)
    np.testing.assert_array_equal(f(V), V * 3)
    with pytest.raises(InputError, match="takes 1 argument"):
        f(V, V)


def test_values_by_key(x):
    w = rg.shared(2.0, "w")
    f = rg.function([x], x * w)
    assert f[w] == f["w"] == 2
    five = np.array(5.0)
    f[w] = five
    five[...] = f[w][...] = 6
    assert w.get_value() == 5
    assert (w in f, "w" in f, x in f, "v" in f) == (True, True, False, False)
    with pytest.raises(KeyError, match="no value of its own"):
        f[x]
    with pytest.raises(KeyError, match="no input or shared variable v"):
        f["v"]


# what is refused when it is made


def test_missing_input(x):
    y = T.dvector("y")
    with pytest.raises(MissingInputError, match="no value for y"):
        rg.function([x], x + y)


def test_unused_input(x):
    weights, weight = T.dvector("weights"), T.dvector("weight")
    with pytest.raises(UnusedInputError) as caught:
        rg.function([x, weight], x + weights.sum(), name="f")
    text = str(caught.value)
    assert "f: input 1, weight (float64[?]), is not used" in text
    assert "they depend on: weights, x" in text
    assert "did you mean weights?" in text
    with pytest.warns(UserWarning, match="is not used"):
        rg.function([x, weight], x, on_unused_input="warn")
    assert rg.function([x, weight], x.sum(), on_unused_input="ignore")(V, V) == 6
    with rg.config.change_flags(on_unused_input="ignore"):
        assert rg.function([x, weight], x.sum())(V, V) == 6
    with pytest.raises(GraphTypeError, match="on_unused_input='never' is not one of"):
        rg.function([x], x, on_unused_input="never")


def test_unused_twin_of_the_same_name(x):
    twin = T.dvector("x")
    with pytest.raises(UnusedInputError, match="another variable of that name"):
        rg.function([x, twin], twin)


def test_the_same_input_twice(x):
    with pytest.raises(UnusedInputError, match="x is twice among the inputs, at 0 and 1"):
        rg.function([x, x], x)


def test_inputs_must_be_a_list_of_variables(x):
    with pytest.raises(GraphTypeError, match="inputs must be a list"):
        rg.function(x, x)
    with pytest.raises(GraphTypeError, match="an input must be a variable, got 3"):
        rg.function([3], x)
    with pytest.raises(GraphTypeError, match="is a constant"):
        rg.function([T.constant(3)], x)
    with pytest.raises(GraphTypeError, match="shared variable, which is an input already"):
        rg.function([rg.shared(1.0, "w")], x)


# the function as an object


def test_an_input_may_be_in_the_middle_of_an_expression(x):
    y = T.exp(x)
    np.testing.assert_array_equal(rg.function([y], y * 2)(V), V * 2)


def test_what_theano_reads(x):
    w = rg.shared(1.0, "w")
    f = rg.function([x], [x * w], updates={w: w + 1}, name="f")
    assert isinstance(f.maker.fgraph, Graph)
    assert [str(n.op) for n in f.maker.fgraph.toposort()] == ["mul", "add"]
    assert list(f.maker.fgraph.inputs) == [x, w]
    assert len(f.maker.fgraph.outputs) == 2
    assert (f.inputs, len(f.outputs), f.name, f.graph is f.maker.fgraph) == ([x], 1, "f", True)
    assert f.input_storage[1].data == 1
    f.free()
    f(V)
    assert repr(f) == "<f(x): Graph(2 inputs, 2 nodes, 2 outputs)>"


def test_copy_shares_shared_variables_and_separates_states(x):
    state, w = T.dscalar("state"), rg.shared(1.0, "w")
    f = rg.function([rg.In(state, value=0, update=state + 1)], state * w, updates={w: w + 1}, name="f")
    g = f.copy()
    f()
    assert (f["state"], g["state"], g[w]) == (1, 0, 2)


def test_copy_with_swapped_shared_variables():
    a, b = rg.shared(1.0, "a"), rg.shared(100.0, "b")
    f = rg.function([], a, updates={a: a + 1})
    g = f.copy(swap={a: b}, name="g")
    assert (f(), g(), g.name) == (1, 100, "g")
    assert (a.get_value(), b.get_value()) == (2, 101)
    assert g.get_shared() == [b]
    with pytest.raises(GraphTypeError, match=r"cannot swap a \(float64\[\]\) for v \(float64\[\?\]\)"):
        f.copy(swap={a: rg.shared(V, "v")})
    with pytest.raises(GraphTypeError, match="cannot swap b for a"):
        f.copy(swap={b: a})


def test_a_swap_of_another_type_says_what_to_make():
    state = rg.shared(np.zeros(2, np.uint64), "state", shape=(2,))
    f = rg.function([], state + np.uint64(1), name="f")
    other = rg.shared(np.array([5, 0], np.uint64), "other")
    said = r"f\(\): cannot swap state \(uint64\[2\]\) for other \(uint64\[\?\]\)"
    with pytest.raises(GraphTypeError, match=said) as caught:
        f.copy(swap={state: other})
    assert "shared(np.asarray(value, 'uint64'), shape=(2,))" in str(caught.value)
    fitting = rg.shared(np.asarray(other.get_value(), "uint64"), shape=(2,))
    assert f.copy(swap={state: fitting})().tolist() == [6, 1]
    with pytest.raises(GraphTypeError, match=r"cannot swap what \(Generic\) for state"):
        rg.function([], [what := rg.shared({}, "what")]).copy(swap={what: state})


def test_copy_without_updates(x):
    state, a = T.dscalar("state"), rg.shared(1.0, "a")
    f = rg.function([rg.In(state, value=5, update=state + 1)], [state, a], updates={a: a + 1})
    g = f.copy(delete_updates=True)
    assert [g(), g()] == [[5, 1], [5, 1]]
    assert f() == [5, 1]
    assert g() == [5, 2]


# eval


def test_eval(x):
    assert (x.sum() * 2).eval({x: V}) == 12
    assert (x.sum() * 2).eval({"x": [1, 2]}) == 6
    assert T.constant(3).eval() == 3
    w = rg.shared(2.0, "w")
    assert (w * 2).eval() == 4
    y = T.dvector("y")
    z = x - y
    np.testing.assert_array_equal(z.eval({y: V, x: 2 * V}), V)
    np.testing.assert_array_equal(z.eval({x: V, y: 2 * V}), -V)
    np.testing.assert_array_equal(z.eval({x: [1], y: [2]}, allow_input_downcast=True), [-1])


def test_eval_makes_its_function_once(x, monkeypatch):
    import refgraph.interp.function as module

    made = []
    original = module.function
    monkeypatch.setattr(module, "function", lambda *a, **k: made.append(a) or original(*a, **k))
    y = x * 2
    for _ in range(3):
        y.eval({x: V})
    assert len(made) == 1


def test_eval_of_an_unknown_name(x):
    with pytest.raises(InputError, match="no input is named 'xs'") as caught:
        (x * 2).eval({"xs": V})
    assert "did you mean x?" in str(caught.value)
    with pytest.raises(MissingInputError):
        (x * 2).eval()


# threads


def in_threads(n, work):
    failures = []

    def guarded():
        try:
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert not failures


@pytest.fixture
def switching():
    """Threads switch as often as they can."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
def test_no_update_is_lost():
    k = rg.shared(0, "k")
    f = rg.function([], updates={k: k + 1})
    g = rg.function([], k, updates={k: k + 1})
    in_threads(4, lambda: [h() for h in (f, g) * 250])
    assert k.get_value() == 2000


@pytest.mark.usefixtures("switching")
def test_functions_that_update_the_same_variables_in_another_order_do_not_wait_for_each_other_forever():
    a, b = rg.shared(0, "a"), rg.shared(0, "b")
    f = rg.function([], updates=[(a, b + 1), (b, a + 1)])
    g = rg.function([], updates=[(b, a + 1), (a, b + 1)])
    in_threads(4, lambda: [h() for h in (f, g) * 100])
    assert a.get_value() == b.get_value() == 800


@pytest.mark.usefixtures("switching")
def test_nobody_sees_half_an_update():
    counters = [rg.shared(0, f"k{i}") for i in range(100)]  # so many that a thread is interrupted among them
    step = rg.function([], updates={k: k + 1 for k in counters})
    read = rg.function([], counters)
    seen = []

    def work():
        for _ in range(500):
            step()
            seen.append({int(k) for k in read()})

    in_threads(4, work)
    assert all(len(values) == 1 for values in seen)
    assert {int(k.get_value()) for k in counters} == {2000}


def test_reading_several_values_and_writing_updates_wait_for_each_other():
    a, b = rg.shared(0, "a"), rg.shared(0, "b")
    for f in (rg.function([], a + b), rg.function([], updates={a: 1})):
        thread = threading.Thread(target=f)
        with commit:
            thread.start()
            thread.join(0.05)
            assert thread.is_alive()
            assert a.get_value() == 0
        thread.join(60)
        assert not thread.is_alive()
    assert a.get_value() == 1


@pytest.mark.usefixtures("switching")
def test_calls_do_not_mix_their_values(x):
    f = rg.function([x], T.exp(T.log(x * 2) + 1).sum())
    want = {n: f(np.full(5, n)) for n in (1.0, 2.0, 3.0, 4.0)}
    numbers = iter(want)

    def work():
        n = next(numbers)
        for _ in range(300):
            assert f(np.full(5, n)) == want[n]

    in_threads(4, work)


def test_a_function_may_be_called_within_a_call_that_updates_the_same_variable():
    k = rg.shared(0.0, "k")
    inner = rg.function([], k, updates={k: k + 1})

    @rg.as_op([T.dscalar], [T.dscalar])
    def calls(v):
        return inner() + v

    outer = rg.function([], calls(k), updates={k: k + 10})
    done = []
    in_threads(1, lambda: done.append(outer()))
    assert done == [0]
    assert k.get_value() == 10


def test_finding_what_shares_memory_takes_linear_work(monkeypatch):
    import refgraph.interp.function as module

    class Counting(dict):
        looks = 0

        def get(self, *args):
            Counting.looks += 1
            return super().get(*args)

    class Memory(module.Memory):
        def __init__(self, graph):
            super().__init__(graph)
            self._viewed = Counting(self._viewed)

    monkeypatch.setattr(module, "Memory", Memory)
    v, bs = T.dvector("v"), [T.dvector() for _ in range(200)]
    y = v
    for b in bs:
        y = y + b
    f = rg.function([v, *bs], rg.grad(y.sum(), [v, *bs]))
    assert 200 < Counting.looks <= len(f.graph.variables)
    assert all(g == 1 for g in f(*[np.zeros(1)] * 201))


def test_a_value_given_for_one_output_of_a_node_stands():
    x = T.dvector("x")
    a, b = T.split(x, [2, 2], 2)
    values = np.arange(4.0), np.array([10.0, 20.0])
    for mode in (None, "DebugMode"):
        np.testing.assert_array_equal(rg.function([x, a], a + b, mode=mode)(*values), [12.0, 23.0])
    np.testing.assert_array_equal(rg.OpFromGraph([x, a], [a + b])(x, a).eval({x: values[0], a: values[1]}), [12, 23])
    with pytest.raises(UnusedInputError, match="input 1, "):
        rg.function([x, a], b)


def test_a_copy_of_a_variable_begins_without_evals_functions():
    from copy import deepcopy

    w = rg.shared(2.0, "w")
    assert w.eval() == 2.0
    assert not vars(w.tag)
    assert not vars(w.clone())
    x = T.dvector("x")
    assert list(T.exp(x).eval({x: [0.0]})) == [1.0]
    y = T.exp(x)
    assert y.eval({x: [0.0]}) == [1.0]
    assert not deepcopy(y).__dict__["_evaluators"]
    assert y.__dict__["_evaluators"]
