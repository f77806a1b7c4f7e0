"""Functions on backends: what runs where, what is moved, and what is raised when a kernel fails."""

import copy
import pickle
import threading

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import Backend, Capabilities, Elemwise, Fused, IfElse, Reduction, Scan
from refgraph.core.errors import BackendError, BadThunkOutput, DomainError, FallbackError, NanGuardError, ShapeError
from refgraph.interp.evaluate import evaluate
from refgraph.interp.modes import Mode
from refgraph.interp.plan import Plan

x, y = T.dmatrices("x", "y")
A = np.arange(6.0).reshape(2, 3)
PLAIN = Mode(optimizer=None)


class Card:
    """An array of a device that NumPy knows nothing of."""

    def __init__(self, array):
        assert isinstance(array, np.ndarray), f"{type(array)} is moved to the device"
        self.held = array


def host(name="host", *families, **options):
    """A backend that computes with NumPy's arrays; it has kernels for these families, and none for tanh."""
    backend = Backend(name, **options)

    @backend.kernel(*families or [Elemwise])
    def kernel(node):
        if node.op.name == "tanh":
            return "no tanh here"
        return node.op.bind(node, lambda graph: Plan(graph).run)

    return backend


def device(name="card", *families, **options):
    """A backend with arrays of its own, else as `host`."""
    backend = Backend(name, to_device=lambda a: Card(np.array(a)), to_numpy=lambda c: c.held, **options)

    @backend.kernel(*families or [Elemwise])
    def kernel(node):
        if node.op.name == "tanh":
            return "no tanh here"
        run = node.op.bind(node, lambda graph: Plan(graph).run)

        def on_cards(*cards):
            assert all(type(c) is Card for c in cards), [type(c) for c in cards]
            results = run(*[c.held for c in cards])
            return tuple(map(card, results)) if len(node.outputs) > 1 else card(results)

        return on_cards

    return backend


def card(value):
    return Card(np.asarray(value))


both = pytest.mark.parametrize("make", [host, device])


def places(f):
    return [(str(row.node.op.name), row.where) for row in f.report().rows]


# what runs where


@both
def test_nodes_run_where_there_is_a_kernel_for_them(make):
    f = rg.function([x], T.tanh(x + 1.0).sum() * 2.0, backend=make(), mode=PLAIN)

    np.testing.assert_allclose(f(A), np.tanh(A + 1).sum() * 2)
    name = f.report().backend
    ran = [pair for pair in places(f) if pair[1] != "transfer"]
    assert ran == [("add", name), ("tanh", "numpy"), ("sum", "numpy"), ("mul", name)]


def test_the_report_says_why_a_node_does_not_run_on_the_backend():
    report = rg.function([x], T.tanh(x + 1.0).sum(), backend=host(), mode=PLAIN).report()

    assert [row.why for row in report.interpreted] == ["no tanh here", "no kernel for Reduction"]
    assert "host: 1 of 3 applications, 2 on the interpreter, 0 transfers a call" in str(report)
    assert "(no tanh here)" in str(report)
    assert "test_placement.py" in str(report)


def test_a_function_of_the_interpreter_reports_no_fallback():
    outs, _ = rg.scan(lambda h: h * 2.0, outputs_info=T.constant(1.0), n_steps=3)
    report = rg.function([], outs, mode=PLAIN).report()

    assert report.backend == "numpy"
    assert report.interpreted == ()
    assert [row.depth for row in report.rows if row.node.op.name == "mul"] == [1]


def test_of_a_fused_group_that_is_declined_each_op_may_have_a_kernel():
    f = rg.function([x], T.tanh(x * 2.0) + T.exp(x), backend=host())

    assert places(f) == [("mul", "host"), ("tanh", "numpy"), ("exp", "host"), ("add", "host")]


def test_a_fused_group_without_any_kernel_stays_whole():
    f = rg.function([x], T.tanh(x * 2.0) + T.exp(x), backend=host("sums", Reduction))

    assert places(f) == [("fused", "numpy")]


def test_why_a_fused_group_is_interpreted_says_why_its_ops_are():
    backend = Backend("picky")
    backend.kernel(Elemwise)(lambda node: f"{node.op.name} is not written yet")
    (row,) = rg.function([x], T.tanh(x * 2.0), backend=backend).report().rows

    assert row.why == "mul: mul is not written yet; tanh: tanh is not written yet"


@both
def test_a_fused_group_may_have_a_kernel(make):
    f = rg.function([x], T.exp(x * 2.0) + 1.0, backend=make("whole", Fused), strict=True)

    assert ("fused", "whole") in places(f)
    np.testing.assert_allclose(f(A), np.exp(A * 2) + 1)


@both
def test_a_step_of_a_loop_runs_on_the_backend(make):
    outs, _ = rg.scan(lambda a, h: T.tanh(h + a) * a, [x], T.zeros(3))
    f = rg.function([x], outs, backend=make(), mode=PLAIN)

    np.testing.assert_allclose(f(A), evaluate([outs], {x: A})[0])
    inside = [(row.node.op.name, row.where) for row in f.report().rows if row.depth == 1]
    assert [pair for pair in inside if pair[1] != "transfer"] == [
        ("add", f.report().backend),
        ("tanh", "numpy"),
        ("mul", f.report().backend),
    ]


@both
def test_the_branch_of_a_choice_runs_on_the_backend(make):
    c = T.iscalar("c")
    f = rg.function([c, x], rg.ifelse.ifelse(c, T.exp(x), x * 2.0), backend=make(), mode=PLAIN)

    np.testing.assert_array_equal(f(0, A), A * 2)
    np.testing.assert_array_equal(f(1, A), np.exp(A))
    assert {("exp", f.report().backend), ("mul", f.report().backend)} <= set(places(f))


def test_a_loop_with_a_mode_of_its_own_runs_its_steps_on_the_interpreter():
    outs, _ = rg.scan(lambda a, h: h + a, [x], T.zeros(3), mode="FAST_COMPILE")
    report = rg.function([x], outs, backend=host()).report()

    assert [row.why for row in report.rows if row.depth] == ["the steps have a mode of their own"]


def test_a_kernel_of_a_loop_is_given_programs_between_arrays_of_the_backend():
    backend = device()
    kinds = []

    @backend.kernel(Scan, IfElse)
    def loop(node, compile):
        run = node.op.bind(node, lambda graph: spied(compile(graph)))
        return lambda *cards: card(run(*[c.held for c in cards]))

    def spied(program):
        def run(*items):
            results = program(*[card(a) for a in items])
            kinds.extend(map(type, results))
            return [r.held for r in results]

        return run

    outs, _ = rg.scan(lambda a, h: T.tanh(h + a) * a, [x], T.zeros(3))
    f = rg.function([x], outs, backend=backend, mode=PLAIN)

    np.testing.assert_allclose(f(A), evaluate([outs], {x: A})[0])
    assert set(kinds) == {Card}
    assert ("add", "card") in places(f)


def test_kernels_are_given_arrays_where_the_interpreter_would_have_scalars():
    seen = []
    backend = Backend("kinds")
    backend.kernel(Elemwise)(lambda node: lambda *a: (seen.extend(map(type, a)), node.op.impl(*a))[1])
    s, z = T.dscalar("s"), T.zscalar("z")
    f = rg.function([s, z], [T.exp(x_of_sum(s)) + s, T.exp(z)], backend=backend, mode=PLAIN)

    f(2.0, 1j)
    assert seen[0] is np.ndarray


def x_of_sum(s):
    return T.stack([s, s]).sum()


def test_a_dtype_that_the_backend_does_not_declare_runs_on_the_interpreter():
    backend = host(capabilities=Capabilities(["float64"]))
    f = rg.function([x], [x.astype("float32") * 2, x * 2], backend=backend, mode=PLAIN)

    assert {(str(row.node.inputs[0].type.dtype), row.where) for row in f.report().rows} >= {("float64", "host")}
    assert any("float32 is not among its dtypes" in row.why for row in f.report().interpreted)


# strict


@both
def test_strict_refuses_what_would_run_on_the_interpreter(make):
    with pytest.raises(FallbackError) as error:
        rg.function([x], T.tanh(x + 1.0).sum(), backend=make(), strict=True, mode=PLAIN)

    assert "leaves 2 of 3 applications to the interpreter" in error.value.message
    assert "tanh: no tanh here" in error.value.why
    assert error.value.node.op.name == "tanh"


@both
def test_strict_allows_what_runs_wholly_on_the_backend(make):
    f = rg.function([x, y], [x + y, T.exp(x)], backend=make(), strict=True)

    np.testing.assert_array_equal(f(A, A)[0], A + A)


def test_strict_refuses_a_step_of_a_loop_too():
    backend = host()
    backend.kernel(Scan)(lambda node, compile: node.op.bind(node, compile))
    for family in (T.zeros(3).owner.op, x[1:].owner.op):
        backend.kernel(type(family))(lambda node: node.op.impl)
    outs, _ = rg.scan(lambda a, h: T.tanh(h + a), [x], T.zeros(3))

    with pytest.raises(FallbackError, match="to the interpreter") as error:
        rg.function([x], outs, backend=backend, strict=True, mode=PLAIN)
    assert "tanh: no tanh here" in error.value.why


def test_strict_says_nothing_of_the_interpreter_itself():
    rg.function([x], T.tanh(x), backend="numpy", strict=True)


@pytest.mark.parametrize("action", ["raise", "pdb"])
def test_theanos_flag_refuses_an_op_left_on_the_cpu(action):
    with rg.config.change_flags(assert_no_cpu_op=action), pytest.raises(FallbackError):
        rg.function([x], T.tanh(x), backend=device())


def test_theanos_flag_warns_of_an_op_left_on_the_cpu():
    with rg.config.change_flags(assert_no_cpu_op="warn"), pytest.warns(UserWarning, match="no tanh here"):
        rg.function([x], T.tanh(x), backend=device())
    with rg.config.change_flags(assert_no_cpu_op="raise"):
        rg.function([x], T.tanh(x), backend=host())


# what is moved


def test_a_value_is_moved_once_in_each_direction():
    f = rg.function([x], [T.exp(x) + x, T.tanh(T.exp(x)), T.exp(x) * 2.0], backend=device())

    assert [name for name, where in places(f) if where == "transfer"].count("to_card") == 1
    f(A)
    assert (f.report().traffic.to_device, f.report().traffic.to_numpy) == (1, 3)
    assert f.report().traffic.bytes_to_device == A.nbytes
    assert "moved so far: 1 arrays (48 bytes) to the device" in str(f.report())


def test_a_constant_is_moved_when_the_function_is_made():
    f = rg.function([], T.exp(T.constant(A)), backend=device(), mode=PLAIN)

    np.testing.assert_array_equal(f(), np.exp(A))
    assert f.report().traffic.to_device == 0


def test_a_host_backend_moves_nothing():
    assert rg.function([x], T.tanh(x + 1.0) * 2.0, backend=host()).report().transfers == ()


def test_a_loop_moves_what_its_steps_need_in_every_step():
    outs, _ = rg.scan(lambda a, h: h + a, [x], T.zeros(3))
    f = rg.function([x], outs, backend=device(), mode=PLAIN)

    f(A)
    assert f.report().traffic.to_device == 2 * len(A)


def test_outputs_belong_to_the_caller():
    one = np.ones((2, 3))
    one.setflags(write=False)
    backend = Backend("views", to_device=Card, to_numpy=lambda c: c.held)
    backend.kernel(Elemwise)(lambda node: lambda a: Card(one))
    f = rg.function([x], [T.exp(x), x], backend=backend)

    value, same = f(A)
    value[...] = same[...] = 7
    np.testing.assert_array_equal(one, 1)
    assert A[0, 1] == 1


def test_an_output_that_is_borrowed_is_an_array_of_the_backend():
    borrowed, plain = rg.function([x], [rg.Out(T.exp(x), borrow=True), x + 1.0], backend=device())(A)

    assert type(borrowed) is Card
    assert type(plain) is np.ndarray


def test_a_value_that_cannot_be_moved_is_named():
    def refuse(array):
        raise RuntimeError("the device is asleep")

    backend = Backend("sleepy", to_device=refuse, to_numpy=lambda a: a)
    backend.kernel(Elemwise)(lambda node: node.op.impl)
    with pytest.raises(BackendError, match=r"cannot move x .*to the device of sleepy: RuntimeError: the device is"):
        rg.function([x], T.exp(x), backend=backend)(A)


@both
def test_where_memory_runs_out_the_error_stays_what_it_is(make):
    def refuse(*arrays):
        raise MemoryError("no memory left")

    backend = make()
    backend.kernel(T.cosh)(lambda node: refuse)
    with pytest.raises(MemoryError, match="no memory left") as error:
        rg.function([x], T.cosh(x), backend=backend)(A)
    assert "while running cosh" in error.value.__notes__[0]


def test_what_the_backend_does_not_hold_is_not_moved_though_it_is_borrowed():
    backend = device(capabilities=Capabilities(["float64"]))
    whole, half = rg.function(
        [x], [rg.Out(T.exp(x), borrow=True), rg.Out(x.astype("float32"), borrow=True)], backend=backend
    )(A)

    assert type(whole) is Card
    assert type(half) is np.ndarray


def test_values_that_the_backend_does_not_hold_stay_numpys_inside_its_loops():
    backend = device("loops", capabilities=Capabilities(["float64", "int64"]))
    kinds = []

    @backend.kernel(Scan)
    def loop(node, compile):
        def compiled(graph):
            program = compile(graph)

            def run(*items):
                results = program(*map(card, items))
                kinds.append([type(r) for r in results])
                return [getattr(r, "held", r) for r in results]

            return run

        run = node.op.bind(node, compiled)
        return lambda *cards: tuple(map(card, run(*[c.held for c in cards])))

    step = lambda h: (h + 1.0, rg.scan_module.until(h > 3.0))  # noqa: E731
    outs, _ = rg.scan(step, outputs_info=T.constant(0.0), n_steps=9)
    np.testing.assert_array_equal(rg.function([], outs, backend=backend, mode=PLAIN)(), [1, 2, 3, 4, 5])
    assert kinds[0] == [Card, np.ndarray]  # the state, and whether it is the last step


# shared variables


def test_a_shared_value_is_kept_on_the_backend():
    w = rg.shared(A, "w", backend=device())

    assert type(w.container.value) is Card
    assert type(w.get_value(return_internal_type=True)) is Card
    np.testing.assert_array_equal(w.get_value(), A)
    w.get_value()[...] = 7
    np.testing.assert_array_equal(w.get_value(), A)
    w.set_value(A * 2)
    np.testing.assert_array_equal(w.get_value(), A * 2)
    w.zero()
    np.testing.assert_array_equal(w.get_value(), A * 0)


def test_a_value_of_the_backend_may_be_set():
    w = rg.shared(A, backend=device())
    w.set_value(card(A + 1))

    np.testing.assert_array_equal(w.get_value(), A + 1)
    with pytest.raises(TypeError, match="expected 2 dimensions"):
        w.set_value(card(A[0]))


def test_an_update_on_the_backend_moves_nothing():
    backend = device()
    w = rg.shared(A, "w", backend=backend)
    f = rg.function([], [], updates=[(w, T.exp(w) * 2.0)], backend=backend)

    f()
    np.testing.assert_allclose(w.get_value(), np.exp(A) * 2)
    assert f.report().transfers == ()
    assert type(w.container.value) is Card


def test_states_that_swap_do_not_share_an_array():
    backend = device()
    v, w = rg.shared(A, "v", backend=backend), rg.shared(A + 1, "w", backend=backend)
    rg.function([], [], updates=[(v, w), (w, v)], backend=backend)()

    np.testing.assert_array_equal(v.get_value(), A + 1)
    np.testing.assert_array_equal(w.get_value(), A)
    rg.function([], [], updates=[(v, w)], backend=backend)()
    assert v.container.value is not w.container.value


def test_functions_of_other_backends_use_it_all_the_same():
    one, other = device("one"), device("other")
    w = rg.shared(A, "w", backend=one)
    for backend in ("numpy", other, host()):
        w.set_value(A)
        f = rg.function([], T.exp(w), updates=[(w, w + 1.0)], backend=backend)
        np.testing.assert_array_equal(f(), np.exp(A))
        np.testing.assert_array_equal(w.get_value(), A + 1)
        assert type(w.container.value) is Card
    assert len(f.report().transfers) == 2


def test_an_input_that_starts_from_a_value_on_the_backend():
    w = rg.shared(A, "w", backend=device())
    f = rg.function([rg.In(x, value=w, update=x + 1.0)], x * 2.0, backend=device("other"))

    np.testing.assert_array_equal(f(), A * 2)
    np.testing.assert_array_equal(w.get_value(), A + 1)
    np.testing.assert_array_equal(f[x], A + 1)
    g = rg.function([rg.In(x, value=w, implicit=False)], x * 2.0)
    np.testing.assert_array_equal(g(), (A + 1) * 2)
    np.testing.assert_array_equal(g.defaults[x], A + 1)


def test_where_functions_run_by_default_shared_values_are_kept(monkeypatch):
    backend = device()
    monkeypatch.setattr("refgraph.interp.backends._automatic", {("auto", False): backend})
    with rg.config.change_flags(backend="auto", device="auto"):
        assert type(rg.shared(A).container.value) is Card
        assert type(rg.shared(A, target="cpu").container.value) is np.ndarray
        assert type(rg.shared(A, backend="numpy").container.value) is np.ndarray
        assert rg.function([x], T.exp(x)).report().backend == "card"


def test_a_dtype_that_the_backend_does_not_declare_is_kept_as_numpys():
    w = rg.shared(A, backend=device(capabilities=Capabilities(["float32"])))

    assert type(w.container.value) is np.ndarray


def test_a_value_on_the_backend_is_pickled_as_numpys_where_the_backend_cannot_run():
    w = rg.shared(A, "w", backend=device("nowhere"))
    again = pickle.loads(pickle.dumps(w))

    np.testing.assert_array_equal(again.get_value(), A)
    assert again.container.backend is None


def test_a_function_that_names_no_backend_is_pickled_though_one_keeps_its_states():
    w = rg.shared(A, "w", backend=device("nowhere"))
    f = pickle.loads(pickle.dumps(rg.function([], T.exp(w), updates=[(w, w + 1.0)], backend=None)))

    np.testing.assert_array_equal(f(), np.exp(A))
    np.testing.assert_array_equal(f(), np.exp(A + 1))


def test_a_copy_of_a_function_keeps_its_states_on_the_backend():
    backend = device()
    w, v = rg.shared(A, "w", backend=backend), rg.shared(A * 2, "v", backend=backend)
    f = rg.function([], T.exp(w), updates=[(w, w + 1.0)], backend=backend)
    swapped = f.copy(swap={w: v})

    np.testing.assert_array_equal(swapped(), np.exp(A * 2))
    assert swapped.report().backend == "card"
    np.testing.assert_array_equal(v.get_value(), A * 2 + 1)
    np.testing.assert_array_equal(w.get_value(), A)


# what goes wrong


@both
def test_where_a_kernel_fails_as_the_interpreter_does_the_error_is_the_interpreters(make):
    f = rg.function([x, y], T.exp(x + y) * 2.0, backend=make("raises", Elemwise, Fused))

    with pytest.raises(ShapeError) as error:
        f(A, A.T)
    assert error.value.message == "add cannot broadcast shapes (2, 3) and (3, 2)"
    assert "node: add; backend raises" in str(error.value)
    assert "T.exp(x + y) * 2.0" in str(error.value)


@both
def test_where_only_the_kernel_fails_the_backend_is_blamed(make):
    backend = make()
    backend.kernel(Reduction)(lambda node: lambda a: 1 / 0)
    f = rg.function([x], T.exp(x).sum(), backend=backend, mode=PLAIN)

    with pytest.raises(BackendError, match="ZeroDivisionError: division by zero") as error:
        f(A)
    assert error.value.message.startswith(f"backend '{backend.name}' failed on sum")
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    assert error.value.node.op.name == "sum"
    assert "the interpreter computes this from the same values" in error.value.why


def test_an_error_of_the_interpreter_is_not_blamed_on_the_backend():
    f = rg.function([x], T.tanh(x + 1.0).max(axis=0), backend=host(), mode=PLAIN)

    with pytest.raises(ShapeError) as error:
        f(np.zeros((0, 3)))
    assert error.value.backend == ""


@both
def test_an_error_in_a_step_of_a_loop_names_the_step_and_the_backend(make):
    outs, _ = rg.scan(lambda a, h: h + a[: T.cast(a[0], "int64")], [x], T.zeros(2))
    f = rg.function([x], outs, backend=make(), mode=PLAIN)

    with pytest.raises(ShapeError) as error:
        f(np.array([[2.0, 2, 2], [3, 3, 3]]))
    assert error.value.backend == f.report().backend
    assert any("step 1" in loop for loop in error.value.loops)


@both
def test_a_call_that_raises_changes_nothing(make):
    backend = make()
    w = rg.shared(A, "w", backend=backend)
    f = rg.function([y], w + y, updates=[(w, w * 2.0)], backend=backend)

    with pytest.raises(ShapeError):
        f(A.T)
    np.testing.assert_array_equal(w.get_value(), A)


# those who look at values


@both
@pytest.mark.parametrize("mode", ["DebugMode", "NanGuardMode", rg.MonitorMode()])
def test_modes_that_watch_run_each_node_on_the_backend_too(make, mode):
    w = rg.shared(A, "w", backend=make())
    f = rg.function([x], T.tanh(T.exp(x * -1.0)) + w, updates=[(w, w + 1.0)], backend=make(), mode=mode)

    np.testing.assert_allclose(f(A), np.tanh(np.exp(-A)) + A)
    np.testing.assert_array_equal(w.get_value(), A + 1)
    assert ("exp", f.report().backend) in places(f)


@both
def test_a_watching_mode_finds_what_a_kernel_answers(make):
    backend = make()
    backend.kernel(T.cosh)(lambda node: lambda a: card(a.held * np.nan) if make is device else a * np.nan)

    with pytest.raises(NanGuardError, match="output 0 of cosh has NaN"):
        rg.function([x], T.cosh(x), backend=backend, mode="NanGuardMode")(A)


def test_debug_mode_compares_with_the_interpreter():
    backend = host()
    backend.kernel(T.exp)(lambda node: lambda a: np.exp(a) + 1)
    f = rg.function([x], T.exp(x), backend=backend, mode="DebugMode")

    with pytest.raises(BadThunkOutput, match="exp on backend 'host' differs from the interpreter's"):
        f(A)
    with rg.config.change_flags(DebugMode__check_c=False):
        rg.function([x], T.exp(x), backend=backend, mode="DebugMode")(A)


@both
def test_an_error_of_a_kernel_that_is_watched_is_the_interpreters(make):
    f = rg.function([x, y], x + y, backend=make(), mode="NanGuardMode")

    with pytest.raises(ShapeError, match="add cannot broadcast") as error:
        f(A, A.T)
    assert error.value.backend == f.report().backend


@both
def test_a_profile_times_what_runs_and_what_is_moved(make):
    f = rg.function([x], T.exp(x), backend=make(), profile=True)
    f(A)

    ops = set(f.profile.ops)
    assert "exp" in ops
    assert ("to_card" in ops) is (make is device)


# whole programs


def whole(name="whole", **options):
    """A backend that runs whole graphs, tanh on the interpreter."""
    backend = Backend(name, **options)

    @backend.program
    def program(graph, interpret):
        if any(node.op.name == "cosh" for node in graph.nodes):
            return None
        for node in graph.nodes:
            if node.op.name == "tanh":
                interpret(node)
        run = Plan(graph).run

        def call(*values):
            held = [v.held if isinstance(v, Card) else v for v in values]
            results = run(*held)
            return results if backend.is_host else [card(v) for v in results]

        return call

    return backend


def whole_device():
    return whole("wholecard", to_device=lambda a: Card(np.array(a)), to_numpy=lambda c: c.held)


@pytest.mark.parametrize("make", [whole, whole_device])
def test_a_backend_may_run_the_whole_graph(make):
    backend = make()
    w = rg.shared(A, "w", backend=backend)
    outputs = [T.tanh(x + w), rg.Out(x * 2.0, borrow=True), w]
    f = rg.function([x], outputs, updates=[(w, w + x)], backend=backend, mode=PLAIN)
    tanh, twice, old = f(A)

    np.testing.assert_array_equal(tanh, np.tanh(A + A))
    np.testing.assert_array_equal(old, A)
    np.testing.assert_array_equal(w.get_value(), A + A)
    assert type(twice) is type(w.container.value)
    assert f.report().whole
    assert [row.node.op.name for row in f.report().interpreted] == ["tanh"]
    assert "(one program)" in str(f.report())


def test_a_graph_for_which_there_is_no_program_runs_node_by_node():
    backend = whole()
    backend.kernel(T.cosh)(lambda node: np.cosh)
    f = rg.function([x], T.cosh(x), backend=backend, strict=True)

    np.testing.assert_array_equal(f(A), np.cosh(A))
    assert not f.report().whole


def test_a_program_may_leave_nodes_within_loops_to_the_interpreter():
    backend, v = Backend("within"), T.dvector("v")
    h, _ = rg.scan(lambda h: T.tanh(T.exp(h)), outputs_info=v, n_steps=2)

    @backend.program
    def program(graph, interpret):
        for node in graph.nodes:
            for inner in node.op.graphs[0].nodes if isinstance(node.op, Scan) else ():
                if inner.op.name == "tanh":
                    interpret(inner, "no tanh here", (node,))
        return Plan(graph).run

    f = rg.function([v], h, backend=backend, mode=PLAIN)
    names = [(row.node.op.name, row.where, row.depth) for row in f.report().rows]

    (row,) = f.report().interpreted
    assert (row.node.op.name, row.why, row.depth) == ("tanh", "no tanh here", 1)
    assert names[names.index(("tanh", "numpy", 1)) - 1] == ("scan", "within", 0)
    with pytest.raises(FallbackError, match="no tanh here"):
        rg.function([v], h, backend=backend, mode=PLAIN, strict=True)


def test_what_a_node_raises_that_a_program_leaves_to_the_interpreter_is_told_at_once():
    calls = []

    @rg.as_op(itypes=[T.dmatrix], otypes=[T.dmatrix])
    def refused(a):
        calls.append(a)
        raise KeyError("no")

    backend = Backend("calling")

    @backend.program
    def program(graph, interpret):
        (node,) = graph.nodes
        kernel = interpret(node)
        return lambda a: [kernel(a)]

    f = rg.function([x], refused(x), backend=backend)
    with pytest.raises(KeyError) as error:
        f(A)

    assert len(calls) == 1
    assert any(note.startswith("while running refused") for note in error.value.__notes__)


def test_a_maker_of_programs_may_take_the_graph_alone():
    backend = Backend("alone")
    backend.program(lambda graph: Plan(graph).run)

    np.testing.assert_array_equal(rg.function([x], T.exp(x), backend=backend, strict=True)(A), np.exp(A))


def test_strict_refuses_what_a_program_leaves_to_the_interpreter():
    with pytest.raises(FallbackError, match="its program leaves it to the interpreter"):
        rg.function([x], T.tanh(x), backend=whole(), strict=True)


@pytest.mark.parametrize("make", [whole, whole_device])
def test_where_a_program_fails_the_guilty_op_is_found_on_the_interpreter(make):
    f = rg.function([x, y], T.exp(x + y) * 2.0, backend=make())

    with pytest.raises(ShapeError) as error:
        f(A, A.T)
    assert error.value.message == "add cannot broadcast shapes (2, 3) and (3, 2)"
    assert "T.exp(x + y) * 2.0" in str(error.value)


@pytest.mark.parametrize("answer", [lambda *a: 1 / 0, lambda *a: []])
def test_where_only_the_program_fails_the_backend_is_blamed(answer):
    backend = Backend("odd")
    backend.program(lambda graph: answer)

    with pytest.raises(BackendError, match="backend 'odd' failed on a whole function"):
        rg.function([x], T.exp(x), backend=backend)(A)


def test_a_program_is_not_run_where_somebody_looks_at_nodes():
    f = rg.function([x], T.exp(x), backend=whole(), mode="DebugMode")

    np.testing.assert_array_equal(f(A), np.exp(A))
    assert not f.report().whole


def test_a_state_of_another_backend_is_moved_for_a_program():
    w = rg.shared(A, "w", backend=device("elsewhere"))
    f = rg.function([], T.exp(w), updates=[(w, w * 2.0)], backend=whole())

    np.testing.assert_array_equal(f(), np.exp(A))
    assert (f.report().traffic.to_device, f.report().traffic.to_numpy) == (1, 1)
    np.testing.assert_array_equal(w.get_value(), A * 2)


# calls


@both
def test_threads_may_call_a_function(make):
    f = rg.function([x], T.tanh(T.exp(x) * 0.1), backend=make())
    wrong = []

    def call(k):
        for _ in range(50):
            if not np.array_equal(f(A * k), np.tanh(np.exp(A * k) * 0.1)):
                wrong.append(k)

    threads = [threading.Thread(target=call, args=(0.1 * k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_large_state_is_overwritten_where_the_interpreter_updates_it():
    large = np.zeros(1 << 17)
    w = rg.shared(large, "w", borrow=True, backend="numpy")
    del large
    f = rg.function([], [], updates=[(w, T.tanh(w) + 1.0)], backend=host("none", Reduction))
    f()

    np.testing.assert_array_equal(w.get_value(), 1)


def test_eval_takes_a_backend():
    np.testing.assert_array_equal(T.exp(x).eval({x: A}, backend=host(), strict=True), np.exp(A))


def test_a_function_is_copied_deep_with_its_backend():
    backend = host()
    f = rg.function([x], T.exp(x), backend=backend)

    assert copy.copy(f).report().backend == "host"
    assert f.copy().report().backend == "host"


def test_a_domain_error_of_the_interpreter_passes_through():
    i = T.lvector("i")
    f = rg.function([i], (i + 1) ** (i * -1), backend=host("none", Reduction), mode=PLAIN)

    with pytest.raises(DomainError):
        f(np.array([2, 3]))
