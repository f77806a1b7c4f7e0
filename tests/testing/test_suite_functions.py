"""The suite's tests of functions, states, loops, random numbers, errors, threads and rewriting are tested: each bug
that a backend may have is planted, and caught by the test that is named for it; the same backend without it passes.
"""

import numpy as np
import pytest

from refgraph.backend import Backend, Draw, Elemwise, Fused, IndexUpdate, Op, Scan
from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Constant, Graph
from refgraph.interp.evaluate import program
from refgraph.ops.tensor import TensorType, constant
from refgraph.testing.cases import name_of
from refgraph.testing.suite import (
    test_errors,
    test_functions,
    test_fuzz,
    test_pickle,
    test_random,
    test_rewriting,
    test_scan,
    test_shared,
    test_threads,
)
from tests.testing.planted import failing, failures, installed


def assert_caught(make, bug, module, *names):
    """A backend that is made with the bug fails these tests of a module, and one that is made without passes them."""
    assert failing(make(None), module, tests=names) == set(), "the backend fails without the bug"
    assert failing(make(bug), module, tests=names) == set(names), "the bug is not caught"


# backends with kernels: `bug` is given a node and its kernel, and answers what runs instead


def kernels_for(*kinds):
    def make(bug):
        made = Backend("planted")

        @made.kernel(*kinds)
        def kernel(node, compile):
            run = arrays_of(node, node.op.bind(node, compile))
            return run if bug is None else bug(node, run)

        return made

    return make


def arrays_of(node, run):
    """A kernel that answers arrays, where the interpreter's may answer scalars."""
    if len(node.outputs) > 1:
        return lambda *arrays: tuple([np.asarray(v) if x.type.__class__ is TensorType else v
                                      for x, v in zip(node.outputs, run(*arrays), strict=True)])  # fmt: skip
    return lambda *arrays: np.asarray(run(*arrays))


# backends with whole programs: `bug` is given the graph, and what runs it, and answers what runs instead


def whole(bug):
    made = Backend("planted")

    @made.program
    def make(graph):
        def run(*arrays):
            return results_of(graph, arrays)

        return run if bug is None else bug(graph, run)

    return made


def results_of(graph, arrays, compute=None):
    """Outputs in memory of their own; `compute` is given each node, with its values, in order."""
    values = dict(zip(graph.inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            given = [x.value if isinstance(x, Constant) else values[x] for x in node.inputs]
            found = (compute or computed)(node, given)
            values.update(zip(node.outputs, found if len(node.outputs) > 1 else [found], strict=True))
    found = [x.value if isinstance(x, Constant) else values[x] for x in graph.outputs]
    return [np.array(v) if isinstance(x.type, TensorType) else v for x, v in zip(graph.outputs, found, strict=True)]


def computed(node, given):
    try:
        return node.op.bind(node, program)(*given)
    except RefgraphError as error:
        raise ValueError(error.message) from None


# functions


def written_at_once(graph, run):
    """It writes increments of what it is given into the very array."""

    def compute(node, given):
        found = computed(node, given)
        if isinstance(node.op, IndexUpdate) and node.inputs[0] in graph.inputs:
            given[0][...] = found
        return found

    return lambda *arrays: results_of(graph, arrays, compute)


def test_an_update_applied_although_the_call_raised_is_caught():
    assert_caught(whole, written_at_once, test_functions, "test_a_call_that_raises_makes_no_update")


def overwritten(graph, run):
    """It puts its last result into the memory of what it was given, when that has room for it."""

    def over(*arrays):
        found = run(*arrays)
        for a in arrays:
            if graph.outputs[-1] not in graph.inputs and (a.shape, a.dtype) == (found[-1].shape, found[-1].dtype):
                a[...] = found[-1]
        return found

    return over


def test_a_state_overwritten_while_others_hold_it_is_caught():
    names = ["test_a_large_state_is_updated_and_arrays_that_others_hold_are_left_alone"]
    assert_caught(whole, overwritten, test_functions, *names)


def seen_early(graph, run):
    """Outputs are computed from the new value of a state."""

    def early(*arrays):
        *_, new = run(*arrays)
        given = [new if (a.shape, a.dtype) == (new.shape, new.dtype) else a for a in arrays]
        return [*run(*given)[:-1], new]

    return early


def test_an_update_that_outputs_see_is_caught():
    assert_caught(whole, seen_early, test_functions, "test_outputs_see_the_values_before_updates")


def remembered(graph, run):
    """What a state was in the first call counts for ever."""
    first = {}
    return lambda *arrays: run(*[first.setdefault(n, a) if a.ndim == 0 else a for n, a in enumerate(arrays)])


def test_a_lost_update_is_caught():
    assert_caught(whole, remembered, test_functions, "test_no_update_is_lost")
    assert_caught(whole, remembered, test_threads, "test_no_update_is_lost")


def same_again(node, run):
    """It answers its input itself where the result is equal to it."""

    def same(*arrays):
        found = run(*arrays)
        equal = [a for a in arrays if a.dtype == found.dtype and np.array_equal(a, found)]
        return equal[0] if equal else found

    return same


def test_a_value_that_aliases_the_callers_array_is_caught():
    names = ["test_a_value_made_from_an_argument_is_not_the_argument"]
    assert_caught(kernels_for(Elemwise), same_again, test_functions, *names)


def one_for_all(graph, run):
    """Equal outputs are one array."""

    def one(*arrays):
        found = {}
        return [found.setdefault((v.shape, v.tobytes()), v) for v in run(*arrays)]

    return one


def test_outputs_that_are_one_array_are_caught():
    assert_caught(whole, one_for_all, test_functions, "test_equal_outputs_are_two_arrays")


# states that a backend keeps


class OnDevice:
    """An array of a backend that has arrays of its own."""

    def __init__(self, array):
        self.array = np.array(array)


def device(bug):
    """A backend whose way to copy its arrays is the bug."""
    return Backend("planted", to_device=OnDevice, to_numpy=lambda d: d.array, copy=bug)


def test_a_shared_value_that_is_an_alias_is_caught():
    names = ["test_internal_values_are_copies_unless_they_are_borrowed"]
    assert_caught(device, lambda array: array, test_shared, *names)


def flat(bug):
    """A backend that is given arrays as they lie in memory, which is the bug."""

    class Flat(OnDevice):
        def __init__(self, array):
            order = "K" if bug else "C"
            self.array = np.array(np.ravel(array, order)).reshape(array.shape)

    return Backend("planted", to_device=Flat, to_numpy=lambda d: d.array)


def test_values_moved_as_they_lie_are_caught():
    assert_caught(flat, "K", test_shared, "test_values_are_kept_however_they_lie_in_memory")


def narrow(bug):
    """A backend that keeps float64 as float32, which is the bug, and says otherwise."""

    class Narrow(OnDevice):
        def __init__(self, array):
            super().__init__(array)
            if bug and self.array.dtype == "float64":
                self.array = self.array.astype("float32").astype("float64")

    return Backend("planted", to_device=Narrow, to_numpy=lambda d: d.array)


def test_a_value_that_is_rounded_on_its_way_is_caught():
    with np.errstate(over="ignore"):
        assert_caught(narrow, "float32", test_shared, "test_special_values_are_kept_to_the_bit")


# loops


def endless(graph, run):
    """`until` is not looked at."""

    def compute(node, given):
        op = node.op
        if isinstance(op, Scan) and op.until:
            outputs = [*op.graph.outputs[:-1], constant(np.bool_(False))]
            node = op.changed(graph=Graph(op.graph.inputs, outputs))(*node.inputs)[0].owner
        return computed(node, given)

    return lambda *arrays: results_of(graph, arrays, compute)


def test_a_loop_that_ignores_until_is_caught():
    names = ["test_until_ends_after_the_step_in_which_it_is_true", "test_until_with_sequences_records_and_updates"]
    assert_caught(whole, endless, test_scan, *names)


def one_less(node, run):
    """The last step is left out, of more than one."""
    return lambda n, *rest: run(np.maximum(n - 1, np.minimum(n, 1)), *rest)


def test_a_loop_that_is_off_by_one_is_caught():
    names = ["test_a_loop_answers_what_its_graph_means", "test_one_function_takes_any_number_of_steps"]
    assert_caught(kernels_for(Scan), one_less, test_scan, *names)


def at_least_one(node, run):
    """A loop of no steps takes one all the same, where it has what to take it on."""
    if node.op.n_sequences:
        return run
    return lambda n, *rest: run(np.maximum(n, 1), *rest)


def test_a_loop_of_no_steps_that_takes_one_is_caught():
    names = ["test_a_loop_of_no_steps_answers_nothing_of_the_right_shape"]
    assert_caught(kernels_for(Scan), at_least_one, test_scan, *names)


def wrong_in_gradients(node, run):
    """Loops of more than one carried or read value forget a little."""
    if len(node.inputs) < 5:
        return run
    return lambda *arrays: tuple([v * v.dtype.type(0.999) if v.dtype.kind == "f" else v for v in run(*arrays)])


def test_a_wrong_gradient_of_a_loop_is_caught():
    assert_caught(kernels_for(Scan), wrong_in_gradients, test_scan, "test_the_gradient_of_a_loop_agrees")


# random numbers


def first_call(node, run):
    """Every call draws what the first one drew."""
    return lambda state, *rest: run(state * np.array([1, 0], np.uint64), *rest)


def test_a_draw_that_repeats_is_caught():
    names = ["test_every_call_draws_fresh_numbers", "test_uniform_and_whole_numbers_are_the_interpreters_to_the_bit"]
    assert_caught(kernels_for(Draw), first_call, test_random, *names)
    assert_caught(kernels_for(Draw), first_call, test_random, "test_every_step_of_a_loop_draws_fresh_numbers")


def its_own(node, run):
    """Numbers are good ones, of another generator."""

    def drawn(state, *rest):
        like = run(state, *rest)
        generator = np.random.default_rng([int(n) for n in state])
        return np.asarray(generator.random(like.shape)).astype(like.dtype) if like.dtype.kind == "f" else like

    return drawn


def test_numbers_of_another_generator_are_caught():
    names = ["test_uniform_and_whole_numbers_are_the_interpreters_to_the_bit"]
    names += ["test_other_numbers_are_the_interpreters_but_for_rounding"]
    assert_caught(kernels_for(Draw), its_own, test_random, *names)


# errors


def stretched(node, run):
    """Shapes that do not fit are made to, in silence."""

    def made(*arrays):
        try:
            return run(*arrays)
        except ValueError:
            shape = np.shape(arrays[0])
            return run(*[np.resize(a, shape) for a in arrays])

    return made


def test_an_error_that_is_not_raised_is_caught():
    names = ["test_a_mistake_raises_what_it_raises_on_the_interpreter"]
    assert_caught(kernels_for(Elemwise), stretched, test_errors, *names)


def fails_on_rows(node, run):
    """It fails where shapes broadcast, as the interpreter does not."""

    def made(*arrays):
        if len({a.shape for a in arrays if a.ndim}) > 1:
            raise RuntimeError("no such shapes")
        return run(*arrays)

    return made


def test_an_error_that_the_interpreter_does_not_raise_is_caught_and_names_the_op():
    names = ["test_a_function_works_again_after_an_error"]
    assert_caught(kernels_for(Elemwise), fails_on_rows, test_errors, *names)
    (said,) = failures(kernels_for(Elemwise)(fails_on_rows), test_errors, tests=names).values()
    assert said.startswith("BackendError: [RG")
    assert "backend 'planted' failed on add: RuntimeError: no such shapes" in said
    assert "mistakes.py:" in said


def in_its_own_words(graph, run):
    """Errors are of refgraph's kind, and of an application, but speak of nothing."""

    def made(*arrays):
        try:
            return run(*arrays)
        except Exception:
            raise RefgraphError("it failed", node=graph.nodes[-1]) from None

    return made


def test_an_error_that_does_not_name_the_op_is_caught():
    names = ["test_a_mistake_raises_what_it_raises_on_the_interpreter"]
    assert_caught(whole, in_its_own_words, test_errors, *names)


def of_no_line(graph, run):
    """Errors lose the user's line."""

    def made(*arrays):
        try:
            return run(*arrays)
        except Exception as error:
            raise RefgraphError(str(error), node=graph.nodes[-1], origin=()) from None

    return made


def test_an_error_without_the_users_line_is_caught():
    assert_caught(whole, of_no_line, test_errors, "test_an_error_names_the_users_line_in_few_lines")


def spoiled(node, run):
    """After an error a kernel answers nonsense."""
    failed = []

    def made(*arrays):
        try:
            return run(*arrays) * (0 if failed else 1)
        except ValueError:
            failed.append(True)
            raise

    return made if node.outputs[0].type.dtype == "float64" and len(node.inputs) > 1 else run


def test_a_kernel_that_an_error_spoils_is_caught():
    assert_caught(kernels_for(Elemwise), spoiled, test_errors, "test_a_function_works_again_after_an_error")
    assert_caught(kernels_for(Elemwise), spoiled, test_errors, "test_an_error_in_a_thread_is_that_threads_alone")


def test_a_state_that_an_error_changes_is_caught():
    def at_once(graph, run):
        def made(*arrays):
            for x, a in zip(graph.inputs, arrays, strict=True):
                if x.name == "k":
                    a[...] += 1
            return run(*arrays)

        return made

    assert_caught(whole, at_once, test_errors, "test_states_are_as_they_were_after_an_error")


# threads


def one_buffer(node, run):
    """Results are put together in memory that all calls share."""
    buffers = {}

    def made(*arrays):
        found = run(*arrays)
        buffer = buffers.setdefault((found.shape, found.dtype), np.empty_like(found))
        np.copyto(buffer, found)
        return np.array(buffer)

    return made


def test_a_kernel_with_a_static_buffer_is_caught():
    assert_caught(kernels_for(Elemwise), one_buffer, test_threads, "test_every_thread_gets_its_own_answer")


IN_ONE_OP = ["exp", "cos", "maximum", "switch", "sum", "argmax", "all", "CumSum", "Dot", "Softmax", "Sort"]


@pytest.mark.parametrize("name", IN_ONE_OP)
def test_a_static_buffer_of_one_op_is_caught(name):
    def bug(node, run):
        named = name in (node.op.name, type(node.op).__name__)
        return one_buffer(node, run) if named and len(node.outputs) == 1 else run

    names, only = ["test_an_op_gives_every_thread_its_own_answer"], lambda case: name_of(case.op) == name
    assert failing(kernels_for(Op)(None), test_threads, only, names) == set()
    assert failing(kernels_for(Op)(bug), test_threads, only, names) == set(names)


def in_attributes(node, run):
    """Operands lie in attributes of the kernel between two steps."""

    class Kernel:
        def __call__(self, *arrays):
            self.operands = arrays
            self.shape = np.broadcast_shapes(*[a.shape for a in arrays])
            return run(*self.operands)

    return Kernel()


def test_a_kernel_that_keeps_its_operands_between_two_steps_is_caught():
    assert_caught(kernels_for(Elemwise), in_attributes, test_threads, "test_every_thread_gets_its_own_answer")


def lent(node, run):
    """A result lies in memory that a later call overwrites."""
    buffers = {}

    def made(*arrays):
        found = run(*arrays)
        buffer = buffers.setdefault((found.shape, found.dtype), np.empty_like(found))
        np.copyto(buffer, found)
        return buffer

    return made


def test_a_result_that_later_calls_overwrite_is_caught():
    assert_caught(kernels_for(Elemwise), lent, test_threads, "test_a_result_stays_when_other_threads_call")


# rewriting


def off_when_fused(node, run):
    return lambda *arrays: _off(run(*arrays))


def _off(found):
    if isinstance(found, tuple):
        return tuple(map(_off, found))
    return found * found.dtype.type(1.0001) if found.dtype.kind == "f" else found


def test_a_fused_group_that_is_off_is_caught():
    names = ["test_a_program_means_the_same_at_every_stage_of_rewriting"]
    assert_caught(kernels_for(Fused), off_when_fused, test_rewriting, *names)


def naive(node, run):
    """The op that stands for log(1 + exp(x)) is computed as that is written."""
    return (lambda x: np.log(1 + np.exp(x))) if node.op.name == "softplus" else run


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_stable_op_computed_as_what_it_stands_for_is_caught():
    names = ["test_stable_forms_are_right_at_extreme_values"]
    names += ["test_a_stable_form_is_right_where_what_one_writes_fails"]
    assert_caught(kernels_for(Elemwise), naive, test_rewriting, *names)


def negated(node, run):
    """One op that rules bring in is wrong."""
    return (lambda x: -run(x)) if node.op.name == "expm1" else run


def test_a_wrong_op_that_only_rules_bring_is_caught():
    names = ["test_what_a_rule_rewrites_is_what_it_makes_of_it", "test_both_sides_of_a_rule_are_what_they_mean"]
    assert_caught(kernels_for(Elemwise), negated, test_rewriting, *names)


# pickles, and programs made by chance


def test_backends_with_kernels_and_with_programs_pickle():
    for made in (kernels_for(Op)(None), whole(None), device(None)):
        assert failures(made, test_pickle) == {}


def test_a_backend_that_is_not_found_under_its_name_is_caught():
    made = whole(None)
    with installed(whole(None)), pytest.raises(RefgraphError, match="cannot be pickled"):
        test_pickle.test_the_backend_is_pickled_by_its_name(made)


def rounded_up(node, run):
    """One op is wrong, which few programs have."""
    return (lambda *arrays: run(*arrays) + 1) if node.op.name == "rint" else run


def test_a_rare_bug_is_found_by_chance():
    names = ["test_a_program_made_by_chance_answers_what_it_means"]
    assert failing(kernels_for(Elemwise)(rounded_up), test_fuzz, tests=names) == set(names)
