"""The suite's tests of interface, values, derivatives and accuracy are tested: each bug that a backend may have is
planted, and caught by the test that is named for it; the same backend without the bug passes.
"""

import contextlib
import math

import numpy as np
import pytest

from refgraph.backend import Backend, Capabilities, Elemwise, Reduction
from refgraph.core.errors import BackendError
from refgraph.interp import backends
from refgraph.interp.evaluate import evaluate
from refgraph.ops.families import SumTo
from refgraph.testing.cases import name_of
from refgraph.testing.suite import test_accuracy, test_chains, test_gradients, test_interface, test_values
from tests.testing.planted import failing, failures, installed

FUNCTIONS = {
    "add": np.add,
    "exp": np.exp,
    "log1p": np.log1p,
    "abs": np.absolute,
    "neg": np.negative,
    "maximum": np.maximum,
}
REDUCERS = {"sum": np.add.reduce, "mean": np.add.reduce, "max": np.maximum.reduce, "min": np.minimum.reduce}
"""What the backends here compute by themselves."""


class OnDevice:
    """An array of a backend that has arrays of its own."""

    def __init__(self, array):
        assert type(array) is np.ndarray
        self.array = array


def total(node):
    """A sum, a mean, or a greatest or least element, by itself."""
    op, (out, wide) = node.op, node.op.dtypes_for(node.inputs[0].type.dtype)

    def run(x):
        z = REDUCERS[op.name](x, op.axis, wide, None, op.keepdims)
        if op.name == "mean":
            with np.errstate(all="ignore"):
                z = z / math.prod([x.shape[a] for a in op.axis])
        return np.asarray(z).astype(out)

    return run


def summed_to(x, like):
    """The sum over the axes that broadcasting added."""
    added = x.ndim - like.ndim
    short = tuple(added + i for i, n in enumerate(like.shape) if n == 1)
    return np.sum(x, (*range(added), *short), x.dtype).reshape(like.shape)


def make(plant=None, device=False, sum_to=summed_to, **options):
    """A backend that is right, but for what `plant` makes of a kernel over NumPy's arrays and its node."""
    if device:
        options = {"to_device": lambda a: OnDevice(np.array(a)), "to_numpy": lambda d: d.array.copy(), **options}
    made = Backend("planted", **options)

    def kernel(node, found):
        run = found if plant is None else plant(found, node)
        return _on_device(run) if device else run

    @made.kernel(Elemwise)
    def elementwise(node):
        found = FUNCTIONS.get(node.op.name)
        return found and kernel(node, lambda *arrays: np.asarray(found(*arrays)))

    @made.kernel(Reduction)
    def reduction(node):
        return kernel(node, total(node)) if node.op.name in REDUCERS else f"no {node.op.name}"

    @made.kernel(SumTo)
    def sum_(node):
        return _on_device(sum_to) if device else sum_to

    return made


def _on_device(run):
    return lambda *given: OnDevice(np.asarray(run(*[d.array for d in given])))


def about(*names, ids=""):
    """The cases of these ops whose ids have this part."""
    return lambda case: name_of(case.op) in names and ids in case.id


HOST_AND_DEVICE = pytest.mark.parametrize("device", [False, True], ids=["host", "device"])


# without a bug


@HOST_AND_DEVICE
@pytest.mark.parametrize("module", [test_interface, test_values, test_gradients], ids=lambda module: module.__name__)
def test_a_backend_without_a_bug_passes(module, device):
    assert failures(make(device=device), module, about("add", "exp", "abs", "sum")) == {}


@HOST_AND_DEVICE
def test_a_backend_without_a_bug_passes_on_chains(device):
    assert failures(make(device=device), test_chains) == {}


@HOST_AND_DEVICE
def test_a_backend_without_a_bug_is_accurate(device):
    assert failures(make(device=device), test_accuracy) == {}


def whole(wrong=lambda graph, results, given: results):
    """A backend that runs whole graphs, but what has no array."""
    made = Backend("planted")

    @made.program
    def program(graph):
        def run(*arrays):
            results = evaluate(graph.outputs, dict(zip(graph.inputs, arrays, strict=True)))
            return wrong(graph, [np.asarray(z) for z in results], arrays)

        return run

    return made


def test_a_backend_of_whole_programs_without_a_bug_passes():
    assert failures(whole(), test_values, about("add", "exp", "sum")) == {}
    assert failures(whole(), test_gradients, about("add", "exp", "sum")) == {}
    disguised = {"test_no_kernel_is_the_interpreter_in_disguise"}
    assert failing(whole(), test_interface, about("add", "exp", "sum")) == disguised


# wrong values


def changed(change):
    """A bug that changes results: `change(result, *inputs)`."""
    return lambda f, node: lambda *arrays: np.asarray(change(f(*arrays), *arrays))


@HOST_AND_DEVICE
def test_a_wrong_value_at_an_edge_is_caught(device):
    bad = make(changed(lambda z, x: np.where(np.isinf(x), np.array(7, z.dtype), z)), device)
    found = failing(bad, test_values, about("exp"))
    assert "test_edge_values_agree" in found
    assert not found & {"test_ordinary_values_agree", "test_values_of_each_dtype_agree"}


@HOST_AND_DEVICE
def test_denormals_that_become_zero_are_caught(device):
    def flush(z, x):
        return np.where(np.abs(z) < np.finfo(z.dtype).tiny, np.array(0, z.dtype), z) if z.dtype.kind == "f" else z

    for dtype in ("float32", "float64"):
        found = failures(make(changed(flush), device), test_values, about("abs", ids=f"{dtype}-edges"))
        assert "the worst at" in found["test_edge_values_agree"]


@HOST_AND_DEVICE
def test_integers_that_are_computed_as_floats_are_caught(device):
    def as_floats(z, x, y):
        return (x.astype("float64") + y.astype("float64")).astype(z.dtype) if z.dtype.kind in "iu" else z

    with np.errstate(invalid="ignore"):
        assert failing(make(changed(as_floats), device), test_values, about("add")) == {"test_edge_values_agree"}


@HOST_AND_DEVICE
def test_one_edge_that_meets_another_in_the_wrong_way_is_caught(device):
    def ignoring(z, x, y):
        return np.where(np.isinf(x) & np.isnan(y), x, z) if z.dtype.kind == "f" else z

    assert "test_nan_is_kept" in failing(make(changed(ignoring), device), test_values, about("add"))


@HOST_AND_DEVICE
def test_a_nan_that_is_lost_is_caught(device):
    bad = make(changed(lambda z, x: np.where(np.isnan(z), np.array(0, z.dtype), z)), device)
    found = failures(bad, test_values, about("exp"))
    said = found["test_nan_is_kept"]
    assert "1 of 12 elements should be NaN, the first at [" in said
    assert "]: got 0.0, want nan, of nan" in said


@HOST_AND_DEVICE
def test_a_zero_of_the_wrong_sign_is_caught(device):
    bad = make(changed(lambda z, x: z + np.array(0, z.dtype)), device)
    assert failing(bad, test_values, about("log1p")) == {"test_zeros_have_the_right_sign"}


@HOST_AND_DEVICE
def test_a_wrong_dtype_is_caught(device):
    def wide(z, x):
        return z.astype("float64") if z.dtype == "float32" else z

    found = failures(make(changed(wide), device), test_values, about("exp"))
    said = found["test_values_of_each_dtype_agree"]
    assert "float64" in said
    assert "float32" in said
    assert "test_ordinary_values_agree" not in found


def test_an_answer_that_is_no_array_is_caught():
    bad = make(lambda f, node: lambda x: f(x).tolist())
    assert "test_values_of_each_dtype_agree" in failing(bad, test_values, about("exp"))


@HOST_AND_DEVICE
def test_a_wrong_shape_for_a_broadcast_is_caught(device):
    bad = make(changed(lambda z, x, y: np.resize(z, x.shape)), device)
    found = failures(bad, test_values, about("add"))
    assert "got " in found["test_broadcast_values_agree"]
    assert "test_dtypes_and_shapes_are_the_interpreters" in found
    assert "test_ordinary_values_agree" not in found


@HOST_AND_DEVICE
def test_a_0_d_result_of_another_rank_is_caught(device):
    bad = make(changed(lambda z, x: z.reshape(z.shape or (1,))), device)
    assert "test_values_without_axes_agree" in failing(bad, test_values, about("exp"))


def refusing(f, node):
    def run(*arrays):
        if any(a.size == 0 for a in arrays):
            raise IndexError("nothing there")
        return f(*arrays)

    return run


@HOST_AND_DEVICE
@pytest.mark.parametrize(
    "plant", [refusing, changed(lambda z, *inputs: z if z.size else np.zeros(1, z.dtype))], ids=["raises", "one"]
)
def test_wrong_on_empty_is_caught(plant, device):
    found = failing(make(plant, device), test_values, about("exp", "sum"))
    assert "test_values_of_empty_inputs_agree" in found
    assert "test_ordinary_values_agree" not in found


@HOST_AND_DEVICE
def test_a_block_that_is_left_out_is_caught(device):
    def short(z, x):
        if z.size > 8192:
            z[..., 8192:] = 0
        return z

    assert failing(make(changed(short), device), test_values, about("exp")) == {"test_inputs_of_many_elements_agree"}


@HOST_AND_DEVICE
def test_a_kernel_that_errs_where_lengths_are_known_is_caught(device):
    def plant(f, node):
        return (lambda x: f(x) + 1) if None not in node.inputs[0].type.shape and node.inputs[0].type.ndim else f

    assert "test_known_lengths_change_nothing" in failing(make(plant, device), test_values, about("exp"))


@HOST_AND_DEVICE
def test_a_kernel_that_errs_on_constants_is_caught(device):
    def plant(f, node):
        return f if all(x.owner is None and not hasattr(x, "value") for x in node.inputs) else lambda x, y: f(x, x)

    found = failing(make(plant, device), test_values, about("add"))
    assert found == {"test_inputs_that_are_constants_change_nothing"}


@HOST_AND_DEVICE
def test_a_kernel_that_errs_where_its_inputs_are_one_is_caught(device):
    def plant(f, node):
        return f if node.inputs[0] is not node.inputs[1] else lambda x, y: f(x, 0 * y)

    found = failing(make(plant, device), test_values, about("add"))
    assert found == {"test_one_variable_as_every_input_agrees"}


# wrong layouts


def _memory(x):
    base = x
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


def only(where, wrong):
    """A bug in arrays that satisfy `where`."""
    return lambda f, node: lambda *arrays: f(*[wrong(a) if a.size > 1 and where(a) else a for a in arrays])


LAYOUTS = {
    "test_strided_inputs_agree": lambda a: a.strides[-1] > a.itemsize and a.shape[-1] > 1,
    "test_inputs_of_negative_strides_agree": lambda a: min(a.strides) < 0,
    "test_inputs_in_fortran_order_agree": lambda a: a.ndim > 1 and a.flags.f_contiguous and not a.flags.c_contiguous,
    "test_inputs_of_stride_0_agree": lambda a: 0 in a.strides,
}


@pytest.mark.parametrize("test", LAYOUTS)
def test_wrong_on_a_layout_is_caught(test):
    bad = make(only(LAYOUTS[test], lambda a: np.roll(a, 1, 0) + a))
    found = failing(bad, test_values, about("exp"))
    assert test in found
    assert "test_ordinary_values_agree" not in found


def test_wrong_on_negative_strides_is_caught():
    bad = make(only(LAYOUTS["test_inputs_of_negative_strides_agree"], lambda a: a[::-1]))
    assert failing(bad, test_values, about("exp")) == {"test_inputs_of_negative_strides_agree"}


def test_a_kernel_that_takes_no_read_only_inputs_is_caught():
    def plant(f, node):
        def run(x):
            if not x.flags.writeable:
                raise BufferError("this array is read-only")
            return f(x)

        return run

    found = failing(make(plant), test_values, about("exp"))
    assert found == {"test_read_only_inputs_agree", "test_inputs_of_stride_0_agree"}


# memory


def writing(f, node):
    def run(*arrays):
        z = f(*arrays)
        arrays[0].fill(0)
        return z

    return run


def test_an_input_that_is_changed_in_place_is_caught():
    found = failing(make(writing), test_values, about("exp"))
    assert {"test_inputs_are_left_alone", "test_values_that_the_backend_keeps_are_left_alone"} <= found
    assert "test_ordinary_values_agree" not in found


def test_a_value_on_the_device_that_is_changed_in_place_is_caught():
    found = failures(make(writing, device=True), test_values, about("exp"))
    assert "was changed" in found["test_values_that_the_backend_keeps_are_left_alone"]


def test_an_output_that_aliases_an_input_is_caught():
    bad = make(lambda f, node: lambda x: x if (x >= 0).all() else f(x))
    found = failing(bad, test_values, about("abs", ids="-uint"))
    assert {"test_results_share_no_memory_with_inputs"} <= found
    assert "test_values_of_each_dtype_agree" not in found


def test_an_output_that_aliases_a_value_on_the_device_is_caught():
    bad = make(lambda f, node: lambda x: x if (x >= 0).all() else f(x), device=True, to_numpy=lambda d: d.array)
    found = failures(bad, test_values, about("abs", ids="-uint"))
    assert "lies in the memory of input 0" in found["test_values_that_the_backend_keeps_are_left_alone"]


# values for which an answer is an input


def answering(where):
    """A bug that answers an input itself, or it in another shape, where `where(op, *inputs)` is true."""

    def plant(f, node):
        def run(*arrays):
            z = f(*arrays)
            return arrays[0].reshape(z.shape) if where(node.op, *arrays) and z.dtype == arrays[0].dtype else z

        return run

    return plant


IDENTITIES = {
    "abs": lambda op, x: x.size and x.dtype.kind == "f" and (x > 0).all(),
    "neg": lambda op, x: x.size and x.dtype.kind == "f" and not x.any(),
    "maximum": lambda op, x, y: x.size and x.dtype.kind == "f" and x.shape == y.shape and (x > y).all(),
    "add": lambda op, x, y: x.shape == y.shape and x.size and not y.any(),
    "sum": lambda op, x: op.keepdims and all(x.shape[a] == 1 for a in op.axis),
    "mean": lambda op, x: not op.keepdims and x.size and all(x.shape[a] == 1 for a in op.axis),
    "max": lambda op, x: op.keepdims and all(x.shape[a] == 1 for a in op.axis),
}
DTYPES = pytest.mark.parametrize("dtypes", [["float32"], ["float32", "float64"], ["float64"]], ids=",".join)


ELSEWHERE = {
    "test_results_that_are_equal_to_a_kept_value_lie_elsewhere",
    "test_new_values_that_are_equal_to_a_kept_value_lie_elsewhere",
}


def assert_equal_answers_are_caught(name, tests, **options):
    found = failing(make(answering(IDENTITIES[name]), **options), test_values, about(name))
    assert found >= tests
    assert "test_ordinary_values_agree" not in found
    assert failing(make(**options), test_values, about(name)) == set()


@DTYPES
@pytest.mark.parametrize("name", IDENTITIES)
def test_an_answer_that_is_an_equal_input_is_caught(name, dtypes):
    tests = {"test_results_that_are_equal_to_an_input_lie_elsewhere", *ELSEWHERE}
    assert_equal_answers_are_caught(name, tests, capabilities=Capabilities(dtypes))


@DTYPES
@pytest.mark.parametrize("name", IDENTITIES)
def test_an_answer_that_is_an_equal_array_on_the_device_is_caught(name, dtypes):
    options = {"capabilities": Capabilities(dtypes), "device": True, "to_numpy": lambda d: d.array}
    assert_equal_answers_are_caught(name, ELSEWHERE, **options)


# backends that take few dtypes


@DTYPES
@pytest.mark.parametrize("name", ["exp", "abs", "sum", "max"])
def test_an_input_that_is_changed_in_place_is_caught_in_each_dtype(name, dtypes):
    found = failing(make(writing, capabilities=Capabilities(dtypes)), test_values, about(name))
    assert {"test_inputs_are_left_alone", "test_values_that_the_backend_keeps_are_left_alone"} <= found
    assert "test_ordinary_values_agree" not in found


@DTYPES
@pytest.mark.parametrize("name", ["exp", "abs", "sum", "max"])
def test_a_value_on_the_device_that_is_changed_in_place_is_caught_in_each_dtype(name, dtypes):
    bad = make(writing, device=True, capabilities=Capabilities(dtypes))
    assert "test_values_that_the_backend_keeps_are_left_alone" in failing(bad, test_values, about(name))


@HOST_AND_DEVICE
@DTYPES
def test_state_and_disguises_are_caught_in_each_dtype(dtypes, device):
    options = {"capabilities": Capabilities(dtypes), "device": device}
    assert failing(make(remembering, **options), test_values, about("exp")) == {
        "test_a_call_leaves_no_trace_in_the_next"
    }
    found = failing(make(lambda f, node: node.op.impl, **options), test_interface, about("exp", "sum"))
    assert "test_no_kernel_is_the_interpreter_in_disguise" in found


@HOST_AND_DEVICE
def test_a_backend_of_float32_alone_is_held_to_shapes(device):
    options = {"capabilities": Capabilities(["float32"]), "device": device}
    bad = make(changed(lambda z, x, y: np.resize(z, x.shape)), **options)
    assert "test_broadcast_values_agree" in failing(bad, test_values, about("add"))
    bad = make(changed(lambda z, x: z.reshape(z.shape or (1,))), **options)
    assert "test_values_without_axes_agree" in failing(bad, test_values, about("exp"))
    assert "test_values_of_empty_inputs_agree" in failing(make(refusing, **options), test_values, about("exp"))


@HOST_AND_DEVICE
@pytest.mark.parametrize("dtypes", [["float32"], ["float64"]], ids=",".join)
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_wrong_beside_an_empty_axis_is_caught(name, dtypes, device):
    def plant(f, node):
        def run(x):
            z = f(x)
            return z if z.size else z.reshape(-1)

        return run

    options = {"capabilities": Capabilities(dtypes), "device": device}
    assert "test_values_of_empty_inputs_agree" in failing(make(plant, **options), test_values, about(name))
    assert "test_values_of_empty_inputs_agree" in failing(make(refusing, **options), test_values, about(name))


# state


def with_buffer(f, node):
    buffers = {}

    def run(*arrays):
        z = f(*arrays)
        buffer = buffers.setdefault(z.shape, np.empty_like(z))
        buffer[...] = z
        return buffer

    return run


def test_a_result_that_a_later_call_overwrites_is_caught():
    found = failing(make(with_buffer), test_values, about("exp"))
    assert {
        "test_results_are_left_alone_by_later_calls",
        "test_results_share_no_memory_with_one_another",
    } <= found
    assert "test_ordinary_values_agree" not in found


def remembering(f, node):
    known = {}
    return lambda *arrays: known.setdefault(tuple(a.shape for a in arrays), f(*arrays)).copy()


@HOST_AND_DEVICE
def test_state_that_leaks_into_the_next_call_is_caught(device):
    assert failing(make(remembering, device), test_values, about("exp")) == {"test_a_call_leaves_no_trace_in_the_next"}


@HOST_AND_DEVICE
def test_a_sum_that_goes_on_where_it_ended_is_caught(device):
    def plant(f, node):
        seen = []

        def run(x):
            seen.append(x)
            return f(x) * len(seen)

        return run

    found = failing(make(plant, device), test_values, about("sum"))
    assert {"test_the_same_call_again_gives_the_same", "test_a_call_leaves_no_trace_in_the_next"} <= found
    assert "test_ordinary_values_agree" not in found


@HOST_AND_DEVICE
def test_a_buffer_that_two_applications_share_is_caught(device):
    shared = {}

    def plant(f, node):
        def run(*arrays):
            z = f(*arrays)
            buffer = shared.setdefault((node.op, z.shape, z.dtype), np.empty_like(z))
            buffer[...] = z
            return buffer

        return run

    assert "test_two_applications_have_no_state_in_common" in failing(make(plant, device), test_values, about("exp"))


# whole programs


def test_a_program_that_changes_its_inputs_is_caught():
    def wrong(graph, results, given):
        given[0].fill(0)
        return results

    assert "test_inputs_are_left_alone" in failing(whole(wrong), test_values, about("exp"))


def test_a_program_that_answers_too_little_is_caught():
    bad = whole(lambda graph, results, given: [z[..., :3] if z.ndim else z for z in results])
    assert "test_ordinary_values_agree" in failing(bad, test_values, about("exp"))


def test_a_program_that_errs_in_a_chain_is_caught():
    def wrong(graph, results, given):
        return [z + (len(graph.nodes) > 3) * z.dtype.type(1) for z in results]

    bad = whole(wrong)
    assert "test_ordinary_values_agree" not in failing(bad, test_values, about("exp"))
    assert "test_chains_agree" in failing(bad, test_chains)


# derivatives


@HOST_AND_DEVICE
def test_a_wrong_gradient_is_caught(device):
    def first_only(x, like):
        z = x[(0,) * (x.ndim - like.ndim)]
        return z[tuple(slice(n) for n in like.shape)].copy()

    bad = make(device=device, sum_to=first_only)
    found = failing(bad, test_gradients, about("add", ids="float64"))
    assert "test_the_gradient_agrees" in found
    assert "test_the_forward_derivative_agrees" not in found
    assert not failing(bad, test_values, about("add", ids="float64"))


@HOST_AND_DEVICE
def test_a_wrong_forward_derivative_is_caught(device):
    def plant(f, node):
        return f if all(x.owner is None for x in node.inputs) else lambda *arrays: -f(*arrays)

    bad = make(plant, device)
    assert "test_the_forward_derivative_agrees" in failing(bad, test_gradients, about("mul", ids="float64"))


@HOST_AND_DEVICE
def test_a_wrong_gradient_of_the_gradient_is_caught(device):
    def plant(f, node):
        deep = sum(x.owner is not None for x in node.inputs) > 1
        return (lambda *arrays: -f(*arrays)) if deep else f

    bad = make(plant, device)
    assert "test_the_gradient_of_the_gradient_agrees" in failing(bad, test_gradients, about("tanh", "mul"))


# accuracy


@HOST_AND_DEVICE
def test_cancellation_is_caught(device):
    def careless(z, x):
        with np.errstate(all="ignore"):
            return np.log(x.dtype.type(1) + x)

    found = failures(
        make(lambda f, node: changed(careless)(f, node) if node.op.name == "log1p" else f, device), test_accuracy
    )
    assert "log1p" in found["test_stored_values_are_met"]


# interface


@pytest.mark.parametrize("name", ["impl", "bind", "later"])
@HOST_AND_DEVICE
def test_a_silent_fall_back_under_strict_is_caught(name, device):
    def plant(f, node):
        if name == "later":
            return lambda *arrays: node.op.impl(*arrays)
        return node.op.impl if name == "impl" else node.op.bind(node, None)

    found = failures(make(plant, device), test_interface, about("exp", "sum"))
    assert list(found) == ["test_no_kernel_is_the_interpreter_in_disguise"]
    assert "which calls" in found["test_no_kernel_is_the_interpreter_in_disguise"]


@HOST_AND_DEVICE
def test_a_maker_may_look_at_meanings(device):
    table = {np.exp: lambda x: np.exp(x), np.add: lambda x, y: np.add(x, y)}

    def plant(f, node):
        assert isinstance(node.op.impl, np.ufunc)
        assert node.op.impl.nin == len(node.inputs)
        return table[node.op.impl]

    assert failures(make(plant, device), test_interface, about("exp", "add")) == {}


def test_a_maker_that_a_spy_would_confuse_passes():
    def plant(f, node):
        assert type(node.op.impl) is np.ufunc
        return f

    assert failures(make(plant), test_interface, about("exp", "add")) == {}


def test_a_strict_that_refuses_nothing_is_caught(monkeypatch):
    monkeypatch.setattr("refgraph.interp.report.on_fallbacks", lambda found, action: None)
    found = failing(make(), test_interface, about("sin"))
    assert found == {"test_strict_refuses_what_would_fall_back_and_nothing_else"}


@HOST_AND_DEVICE
def test_limits_that_are_not_there_are_caught(device):
    narrow = make(device=device, capabilities=Capabilities(["float64"]))
    assert (
        "is not among the dtypes of planted" in failures(narrow, test_interface)["test_a_dtype_that_works_is_declared"]
    )


@HOST_AND_DEVICE
def test_limits_that_makers_rely_on_pass(device):
    codes = {"float64": "d"}
    narrow = make(lambda f, node: codes[node.inputs[0].type.dtype] and f, device, capabilities=Capabilities(codes))
    assert failures(narrow, test_interface, about("add", "sum")) == {}


@HOST_AND_DEVICE
def test_limits_that_are_there_pass(device):
    def plant(f, node):
        return f if node.inputs[0].type.dtype == "float64" else lambda *arrays: np.asarray(f(*arrays) + 1)

    narrow = make(plant, device, capabilities=Capabilities(["float64"]))
    assert failures(narrow, test_interface, about("add", "sum")) == {}


LOSSES = {
    "float32": lambda a: a.astype("float32") if a.dtype == "float64" else a,
    "1-d": lambda a: np.atleast_1d(a),
    "minus-zero": lambda a: a + a.dtype.type(0) if a.dtype.kind == "f" else a,
    "nan": lambda a: np.where(np.isnan(a), np.array(np.nan, a.dtype), a) if a.dtype.kind == "f" else a,
    "as-it-lies": lambda a: a if a.flags.c_contiguous else np.ndarray(a.shape, a.dtype, _memory(a)),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_on_the_way_to_the_device_is_caught(loss):
    bad = make(device=True, to_device=lambda a: OnDevice(np.array(LOSSES[loss](np.asarray(a)))))
    found = failing(bad, test_interface, about("exp"), tests=["test_arrays_come_back_from_the_device_bit_for_bit"])
    assert found == {"test_arrays_come_back_from_the_device_bit_for_bit"}


@HOST_AND_DEVICE
def test_a_copy_that_is_none_is_caught(device):
    bad = make(device=device, copy=lambda a: a)
    assert "test_a_copy_shares_no_memory_with_what_it_is_of" in failing(bad, test_interface, about("exp"))


def test_a_copy_that_is_a_view_is_caught():
    bad = make(device=True, copy=lambda d: OnDevice(d.array[...]), to_numpy=lambda d: d.array)
    assert "test_a_copy_shares_no_memory_with_what_it_is_of" in failing(bad, test_interface, about("exp"))


def test_a_copy_with_other_bits_is_caught():
    bad = make(copy=lambda a: np.zeros_like(a))
    assert "test_a_copy_has_the_same_bits" in failing(bad, test_interface, about("exp"))


@pytest.mark.parametrize("key", ["expp", "exp-float31", "exp-"])
def test_a_tolerance_for_nothing_is_caught(key):
    found = failing(make(tolerances={key: 4.0}), test_interface, about("exp"))
    assert found == {"test_tolerances_name_ops_and_dtypes_that_exist"}


@pytest.mark.parametrize("tolerances", [{"exp": 1e6}, {"sum-float32": 1e5}, {"*": 1e4}, {"neg": 1.0}], ids=str)
def test_a_tolerance_above_the_ceiling_is_caught(tolerances):
    found = failing(make(tolerances=tolerances), test_interface, about("exp"))
    assert "test_tolerances_are_within_the_ceilings_of_the_suite" in found


def test_a_failure_that_is_expected_without_a_reason_is_caught():
    found = failing(make(xfails={"*exp*": " "}), test_interface, about("exp"))
    assert found == {"test_expected_failures_have_reasons"}


def test_a_lack_without_a_reason_is_caught():
    found = failing(make(capabilities=Capabilities(without={"scan": ""})), test_interface, about("exp"))
    assert found == {"test_what_it_lacks_has_reasons"}


def test_a_plugin_that_makes_a_backend_at_each_call_is_caught(monkeypatch):
    first = make()
    answers = iter([first])
    with installed(first), monkeypatch.context() as patch:
        patch.setattr(backends, "_load", lambda name: next(answers, None) or make())
        test_interface.test_it_is_found_by_its_name(first)
        with pytest.raises(AssertionError, match="makes a backend at each call"):
            test_interface.test_its_plugin_answers_the_same_backend_each_time(first)


def test_a_backend_that_is_found_under_no_name_is_caught():
    with pytest.raises(AssertionError, match="planted is not among"):
        test_interface.test_it_is_found_by_its_name(make())
    with pytest.raises(BackendError):
        test_interface.test_its_plugin_answers_the_same_backend_each_time(make())


def test_a_backend_that_cannot_run_here_is_caught():
    found = failures(make(available=lambda: "no such card"), test_interface, about("exp"))
    assert "no such card" in found["test_it_says_that_it_can_run_here"]


@contextlib.contextmanager
def reporting(change, monkeypatch):
    """Let reports be other than they should."""
    from refgraph.interp.function import Function

    before = Function.report
    monkeypatch.setattr(Function, "report", lambda self: change(before(self)))
    yield


@HOST_AND_DEVICE
def test_an_application_that_the_report_leaves_out_is_caught(device, monkeypatch):
    from refgraph.interp.report import Report

    def short(found):
        rows = [row for row in found.rows if row.is_transfer]
        return Report(found.backend, rows, found.whole, found.traffic)

    with reporting(short, monkeypatch):
        found = failing(make(device=device), test_interface, about("exp"))
    assert found == {"test_the_report_names_each_application_once"}


def test_transfers_that_the_report_leaves_out_are_caught(monkeypatch):
    from refgraph.interp.report import Report

    def short(found):
        rows = [row for row in found.rows if not row.is_transfer]
        return Report(found.backend, rows, found.whole, found.traffic)

    with reporting(short, monkeypatch):
        found = failing(make(device=True), test_interface, about("exp"))
    assert found == {"test_as_much_is_moved_as_the_report_says"}
