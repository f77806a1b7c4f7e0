"""What users get wrong: each mistake raises the right error, whose text is short and names the line marked with `# !`.

The decorator says the class, the builtin that it can be caught as, and the first line of the text.
"""

import inspect

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.core.errors import (
    AxisError,
    BoundsError,
    ConfigError,
    DisconnectedInputError,
    DomainError,
    DTypeError,
    GraphTypeError,
    InputError,
    MissingInputError,
    NonScalarCostError,
    NullTypeGradError,
    ShapeError,
    SymbolicValueError,
    UnusedInputError,
    UpdateError,
)

MISTAKES = []


def mistake(kind, builtin, message):
    def note(program):
        MISTAKES.append(pytest.param(program, kind, builtin, message, id=program.__name__))
        return program

    return note


@pytest.fixture(autouse=True)
def double():
    """The texts below name float64."""
    with refgraph.config.change_flags(floatX="float64"):
        yield


@mistake(ShapeError, ValueError, "add cannot broadcast float64[3] with float64[4]")
def shapes_that_do_not_broadcast():
    x, y = T.TensorType("float64", (3,))("x"), T.TensorType("float64", (4,))("y")
    return x + y  # !


@mistake(ShapeError, ValueError, "add cannot broadcast shapes (2, 3) and (4, 3)")
def shapes_that_do_not_broadcast_at_run_time():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    z = T.exp(x + y) * 2  # !
    refgraph.function([x, y], z)(np.ones((2, 3)), np.ones((4, 3)))


@mistake(ShapeError, ValueError, "fill cannot broadcast shapes (2,) and (3,)")
def shapes_in_a_gradient_name_the_forward_line():
    x, y = T.dvector("x"), T.dvector("y")
    cost = (x * y).sum()  # !
    refgraph.function([x, y], refgraph.grad(cost, x))(np.ones(2), np.ones(3))


@mistake(
    InputError,
    TypeError,
    "function(x): bad argument 0, x (float32[?]): "
    "float64 does not fit into float32 without loss: got a float64 array of shape (3,)",
)
def argument_of_another_dtype():
    x = T.fvector("x")
    f = refgraph.function([x], x * 2)
    return f(np.ones(3))  # !


@mistake(
    InputError,
    TypeError,
    "function(x): bad argument 0, x (float64[?]): expected 1 dimensions (float64[?]), got 2 (shape (2, 2))",
)
def argument_of_another_rank():
    x = T.dvector("x")
    f = refgraph.function([x], x * 2)
    return f(np.ones((2, 2)))  # !


@mistake(
    InputError,
    TypeError,
    "function(x): bad argument 0, x (float64[3]): axis 0 has length 4, but the type says 3 (float64[3])",
)
def argument_of_another_length():
    x = T.TensorType("float64", (3,))("x")
    f = refgraph.function([x], x * 2)
    return f(np.ones(4))  # !


@mistake(InputError, TypeError, "function(x): bad argument 0, x (float64[?]): expected an array, got the variable x")
def argument_that_is_a_variable():
    x = T.dvector("x")
    f = refgraph.function([x], x * 2)
    return f(x)  # !


@mistake(InputError, TypeError, "function(x): bad argument 0, x (float64[?]): cannot make a float64[?] of 'abc'")
def argument_that_is_text():
    x = T.dvector("x")
    f = refgraph.function([x], x * 2)
    return f("abc")  # !


@mistake(InputError, TypeError, "function(x) takes 1 argument, got 2")
def too_many_arguments():
    x = T.dscalar("x")
    f = refgraph.function([x], x * 2)
    return f(1, 2)  # !


@mistake(InputError, TypeError, "function(x, y): no value for y")
def too_few_arguments():
    x, y = T.dscalars("x", "y")
    f = refgraph.function([x, y], x * y)
    return f(1)  # !


@mistake(InputError, TypeError, "function(x, rate): no input is named 'rat'")
def misspelt_argument():
    x, rate = T.dscalars("x", "rate")
    f = refgraph.function([x, rate], x * rate)
    return f(1, rat=2)  # !


@mistake(InputError, TypeError, "function(x): two values for x")
def argument_given_twice():
    x = T.dscalar("x")
    f = refgraph.function([x], x * 2)
    return f(1, x=2)  # !


@mistake(MissingInputError, ValueError, "no value for y (float64[]), used by mul")
def missing_input():
    x, y = T.dscalars("x", "y")
    z = x * y  # !
    refgraph.function([x], z)


@mistake(UnusedInputError, ValueError, "function: input 1, y (float64[]), is not used by any output or update")
def unused_input():
    x, y = T.dscalars("x", "y")
    return refgraph.function([x, y], x * 2)  # !


@mistake(UnusedInputError, ValueError, "x is twice among the inputs, at 0 and 1")
def duplicate_input():
    x = T.dscalar("x")
    return refgraph.function([x, x], x * 2)  # !


@mistake(GraphTypeError, TypeError, "an input must be a variable, got 3 (int)")
def input_that_is_no_variable():
    x = T.dscalar("x")
    return refgraph.function([x, 3], x * 2)  # !


@mistake(GraphTypeError, TypeError, "input 0, w, is a shared variable, which is an input already")
def input_that_is_shared():
    w = refgraph.shared(1.0, name="w")
    return refgraph.function([w], w * 2)  # !


@mistake(GraphTypeError, TypeError, "an output must be a variable, a number or an array, got 'y' (str)")
def output_that_is_no_variable():
    x = T.dscalar("x")
    return refgraph.function([x], [x, "y"])  # !


@mistake(UpdateError, TypeError, "updates are of shared variables, got the variable x")
def update_of_what_is_not_shared():
    x = T.dscalar("x")
    return refgraph.function([x], x, updates=[(x, x + 1)])  # !


@mistake(UpdateError, TypeError, "the update of n is float64[], but n is int64[]")
def update_of_another_dtype():
    n = refgraph.shared(0, name="n")
    return refgraph.function([], updates=[(n, n + 0.5)])  # !


@mistake(UpdateError, TypeError, "the update of w is float64[], but w is float64[?]")
def update_of_another_rank():
    w = refgraph.shared(np.ones(3), name="w")
    return refgraph.function([], updates=[(w, w.sum())])  # !


@mistake(UpdateError, TypeError, "two updates of w")
def update_given_twice():
    w = refgraph.shared(1.0, name="w")
    return refgraph.function([], updates=[(w, w + 1), (w, w + 2)])  # !


@mistake(GraphTypeError, TypeError, "givens: array([1., 1., 1.]) cannot stand for x (float64[])")
def givens_of_another_rank():
    x = T.dscalar("x")
    return refgraph.function([], x * 2, givens={x: np.ones(3)})  # !


@mistake(GraphTypeError, TypeError, "givens: y (float64[]) cannot stand for x (int64[])")
def givens_of_another_dtype():
    x, y = T.lscalar("x"), T.dscalar("y")
    return refgraph.function([y], x * 2, givens={x: y})  # !


@mistake(ConfigError, ValueError, "no mode 'FAST_RUM'")
def unknown_mode():
    x = T.dscalar("x")
    return refgraph.function([x], x * 2, mode="FAST_RUM")  # !


@mistake(NonScalarCostError, TypeError, "cost must be a scalar, got pow.0 (float64[?])")
def gradient_of_a_vector():
    x = T.dvector("x")
    return refgraph.grad(x**2, x)  # !


@mistake(DisconnectedInputError, ValueError, "the cost pow.0 does not depend on y (float64[]) in a differentiable way")
def gradient_that_is_not_connected():
    x, y = T.dscalars("x", "y")
    return refgraph.grad(x**2, y)  # !


@mistake(GraphTypeError, TypeError, "wrt takes variables, got 'x' (str)")
def gradient_by_a_name():
    x = T.dscalar("x")
    return refgraph.grad(x**2, "x")  # !


@mistake(GraphTypeError, TypeError, "cost must be a tensor variable, got 3.0 (float)")
def gradient_of_a_number():
    x = T.dscalar("x")
    return refgraph.grad(3.0, x)  # !


@mistake(NullTypeGradError, TypeError, "the gradient with respect to x is not defined")
def gradient_that_does_not_exist():
    x = T.dscalar("x")
    y = refgraph.gradient.undefined_grad(x)
    return refgraph.grad(y * 2, x)  # !


@mistake(GraphTypeError, TypeError, "disconnected_inputs='ignored' is not one of raise, warn, ignore")
def gradient_with_a_misspelt_choice():
    x = T.dscalar("x")
    return refgraph.grad(x**2, x, disconnected_inputs="ignored")  # !


@mistake(AxisError, IndexError, "sum: no axis 2 in 2 dimensions")
def axis_that_does_not_exist():
    x = T.dmatrix("x")
    return x.sum(axis=2)  # !


@mistake(AxisError, IndexError, "sum: an axis is repeated in (0, -2)")
def axis_given_twice():
    x = T.dmatrix("x")
    return x.sum(axis=(0, -2))  # !


@mistake(DTypeError, TypeError, "mean: an axis is an int, got 0.5 (float)")
def axis_that_is_a_number():
    x = T.dmatrix("x")
    return x.mean(axis=0.5)  # !


@mistake(AxisError, IndexError, "dimshuffle: no axis 1 in 1 dimension")
def dimshuffle_of_an_axis_that_is_not_there():
    x = T.dvector("x")
    return x.dimshuffle(1, 0)  # !


@mistake(AxisError, IndexError, "transpose: 3 axes for float64[?, ?]")
def transpose_of_too_many_axes():
    x = T.dmatrix("x")
    return x.transpose(0, 1, 2)  # !


@mistake(ShapeError, ValueError, "cannot reshape (2, 3) to (4, 2)")
def reshape_of_another_size():
    x = T.TensorType("float64", (2, 3))("x")
    return x.reshape((4, 2))  # !


@mistake(ShapeError, ValueError, "cannot reshape (2, 3) to (4, 2)")
def reshape_of_another_size_at_run_time():
    x = T.dmatrix("x")
    y = x.reshape((4, 2))  # !
    refgraph.function([x], y)(np.ones((2, 3)))


@mistake(ShapeError, ValueError, "reshape to (-1, -1): more than one length is -1")
def reshape_with_two_unknowns():
    x = T.dmatrix("x")
    return x.reshape((-1, -1))  # !


@mistake(ShapeError, ValueError, "join cannot put together float64[2, 3], float64[2, 4]")
def join_of_unequal_shapes():
    x, y = T.TensorType("float64", (2, 3))("x"), T.TensorType("float64", (2, 4))("y")
    return T.concatenate([x, y], axis=0)  # !


@mistake(ShapeError, ValueError, "join cannot put together shapes (2, 3), (2, 4)")
def join_of_unequal_shapes_at_run_time():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    z = T.concatenate([x, y], axis=0)  # !
    refgraph.function([x, y], z)(np.ones((2, 3)), np.ones((2, 4)))


@mistake(GraphTypeError, TypeError, "join: float64[?, ?] and float64[?] differ in rank")
def join_of_other_ranks():
    return T.concatenate([T.dmatrix("x"), T.dvector("y")])  # !


@mistake(ShapeError, ValueError, "dot: float64[2, 3] does not fit float64[4, 5]")
def dot_that_does_not_fit():
    x, y = T.TensorType("float64", (2, 3))("x"), T.TensorType("float64", (4, 5))("y")
    return T.dot(x, y)  # !


@mistake(ShapeError, ValueError, "dot does not accept shapes (2, 3) and (4, 5)")
def dot_that_does_not_fit_at_run_time():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    z = T.dot(x, y)  # !
    refgraph.function([x, y], z)(np.ones((2, 3)), np.ones((4, 5)))


@mistake(ShapeError, ValueError, "matmul: float64[?, ?] @ float64[] has an operand without axes")
def matmul_of_a_scalar():
    x, y = T.dmatrix("x"), T.dscalar("y")
    return x @ y  # !


@mistake(BoundsError, IndexError, "index: 3 is out of bounds for axis 0 of float64[3], which has length 3")
def index_out_of_bounds():
    x = T.TensorType("float64", (3,))("x")
    return x[3]  # !


@mistake(BoundsError, IndexError, "index: index 3 is out of bounds for axis 0 with size 3")
def index_out_of_bounds_at_run_time():
    x, i = T.dvector("x"), T.lscalar("i")
    y = x[i] * 2  # !
    refgraph.function([x, i], y)([1.0, 2.0, 3.0], 3)


@mistake(BoundsError, IndexError, "index: too many indices for float64[?]: it has 1 axes, the index uses 2")
def too_many_indices():
    x = T.dvector("x")
    return x[0, 0]  # !


@mistake(DTypeError, TypeError, "index: cannot index with 0.5 (float)")
def index_that_is_a_float():
    x = T.dvector("x")
    return x[0.5]  # !


@mistake(GraphTypeError, TypeError, "index: cannot index with 'a'")
def index_by_a_name():
    x = T.dvector("x")
    return x["a"]  # !


@mistake(SymbolicValueError, TypeError, "x[...] = value: variables do not change")
def assignment_to_an_item():
    x = T.dvector("x")
    x[0] = 1.0  # !


@mistake(GraphTypeError, TypeError, "set_subtensor: the first argument must be an indexing, got x (float64[?])")
def set_subtensor_of_what_is_no_item():
    x = T.dvector("x")
    return T.set_subtensor(x, 1.0)  # !


@mistake(SymbolicValueError, TypeError, "bool(lt.0): the value is known only when a function runs")
def truth_of_a_variable():
    x = T.dscalar("x")
    return -x if x < 0 else x  # !


@mistake(SymbolicValueError, TypeError, "float(x): the value is known only when a function runs")
def float_of_a_variable():
    x = T.dscalar("x")
    return float(x)  # !


@mistake(SymbolicValueError, TypeError, "len(x): the length is known only when a function runs")
def length_of_a_variable():
    x = T.dvector("x")
    return len(x)  # !


@mistake(SymbolicValueError, TypeError, "operator.index(n): the value is known only when a function runs")
def range_of_a_variable():
    n = T.lscalar("n")
    return range(n)  # !


@mistake(SymbolicValueError, TypeError, "iteration over x (float64[?]): its length is known only when a function runs")
def iteration_over_unknown_length():
    x = T.dvector("x")
    for _ in x:  # !
        pass


@mistake(SymbolicValueError, TypeError, "iteration over x: it is 0-d (float64[]) and has no items")
def iteration_over_a_scalar():
    x = T.dscalar("x")
    return list(x)  # !


@mistake(SymbolicValueError, TypeError, "`in` on x: the values are known only when a function runs")
def membership():
    x = T.dvector("x")
    return 1.0 in x  # !


@mistake(SymbolicValueError, TypeError, "np.asarray(x): the value is known only when a function runs")
def array_of_a_variable():
    x = T.dvector("x")
    return np.asarray(x)  # !


@mistake(DTypeError, TypeError, "add: the Python number 1000 does not fit into int8")
def number_too_large_for_the_dtype():
    x = T.bvector("x")
    return x + 1000  # !


@mistake(DTypeError, TypeError, "set_subtensor: the number 0.5 does not fit into int64 without loss")
def fraction_into_an_integer_dtype():
    x = T.lvector("x")
    return T.set_subtensor(x[0], 0.5)  # !


@mistake(DTypeError, TypeError, "cast: complex128[?] cannot become float64")
def complex_to_real():
    z = T.zvector("z")
    return z.astype("float64")  # !


@mistake(DTypeError, TypeError, "no dtype 'float46'")
def unknown_dtype():
    x = T.dvector("x")
    return x.astype("float46")  # !


@mistake(DTypeError, TypeError, "bitwise_and has no meaning for float64 and float64")
def bits_of_a_float():
    x, y = T.dvectors("x", "y")
    return x & y  # !


@mistake(DTypeError, TypeError, "add: an operand must be a variable, a number or an array of numbers, got '1' (str)")
def text_in_an_expression():
    x = T.dvector("x")
    return x + "1"  # !


@mistake(GraphTypeError, TypeError, "shared needs a value, got the variable x")
def shared_of_a_variable():
    x = T.dscalar("x")
    return refgraph.shared(x)  # !


@mistake(InputError, TypeError, "set_value of w: expected 1 dimensions (float64[?]), got 2 (shape (2, 2))")
def value_of_another_rank():
    w = refgraph.shared(np.ones(3), name="w")
    return w.set_value(np.ones((2, 2)))  # !


@mistake(InputError, TypeError, "set_value of n: float64 does not fit into int64 without loss: got 0.5")
def value_of_another_dtype():
    n = refgraph.shared(0, name="n")
    return n.set_value(0.5)  # !


@mistake(MissingInputError, ValueError, "no value for x (float64[]), used by mul")
def eval_without_a_value():
    x = T.dscalar("x")
    y = x * 2  # !
    y.eval()


@mistake(ConfigError, ValueError, "no flag 'floatx'")
def unknown_flag():
    refgraph.config.floatx = "float32"  # !


@mistake(ConfigError, ValueError, "floatX='float46' (str) is not accepted")
def wrong_value_of_a_flag():
    refgraph.config.floatX = "float46"  # !


@mistake(UpdateError, TypeError, "updates must be a dict or a list of pairs (shared variable, new value), got 3 (int)")
def updates_that_are_a_number():
    x = T.dscalar("x")
    return refgraph.function([x], x, updates=3)  # !


@mistake(
    GraphTypeError, TypeError, "givens must be a dict or a list of pairs (variable, what stands for it), got 3 (int)"
)
def givens_that_are_a_number():
    x = T.dscalar("x")
    return refgraph.function([x], x, givens=3)  # !


@mistake(
    GraphTypeError,
    TypeError,
    "givens must be a dict or a list of pairs (variable, what stands for it), got (x,) (tuple) among them",
)
def givens_without_a_value():
    x = T.dscalar("x")
    return refgraph.function([], x, givens=[(x,)])  # !


@mistake(GraphTypeError, TypeError, "x.eval takes a dict from inputs to values, got 3 (int)")
def eval_of_a_number():
    x = T.dscalar("x")
    return x.eval(3)  # !


@mistake(GraphTypeError, TypeError, "TensorType: 3 (int) is not a shape")
def shape_that_is_a_number():
    return T.tensor("x", shape=3)  # !


@mistake(GraphTypeError, TypeError, "TensorType: 3 (int) is not a shape")
def type_of_a_number():
    return T.TensorType("float64", 3)  # !


@mistake(GraphTypeError, TypeError, "TensorType: 'ab' (str) is not a shape")
def shape_that_is_text():
    return T.tensor("x", shape="ab")  # !


@mistake(GraphTypeError, TypeError, "TensorType: ('a',) (tuple) is not a shape")
def length_that_is_text():
    return T.TensorType("float64", ("a",))  # !


@mistake(GraphTypeError, TypeError, "TensorType: (-1,) (tuple) is not a shape")
def length_below_zero():
    return T.TensorType("float64", (-1,))  # !


@mistake(GraphTypeError, TypeError, "TensorType: (2.7,) (tuple) is not a shape")
def length_that_is_a_fraction():
    return T.TensorType("float64", (2.7,))  # !


@mistake(GraphTypeError, TypeError, "a name is a string or None, got 3 (int)")
def name_that_is_a_number():
    return T.vector(3)  # !


@mistake(GraphTypeError, TypeError, "a name is a string or None, got 3 (int)")
def name_among_names_that_is_a_number():
    return T.vectors("x", 3)  # !


@mistake(GraphTypeError, TypeError, "a name is a string or None, got 3 (int)")
def name_of_a_shared_variable_that_is_a_number():
    return refgraph.shared(1.0, name=3)  # !


@mistake(GraphTypeError, TypeError, "names are strings, or one number of nameless variables, got 2.5 (float)")
def names_that_are_a_fraction():
    return T.vectors(2.5)  # !


@mistake(GraphTypeError, TypeError, "clone takes a variable or a list of variables, got 'a' (str)")
def clone_of_text():
    return refgraph.clone("a")  # !


@mistake(
    DTypeError, TypeError, "mul: an operand must be a variable, a number or an array of numbers, got None (NoneType)"
)
def nothing_in_an_expression():
    x = T.dvector("x")
    return x * None  # !


@mistake(DTypeError, TypeError, "pow: int64[?] to a negative power, -1, is not an integer")
def integers_to_a_negative_power():
    x = T.lvector("x")
    return x**-1  # !


@mistake(DomainError, ValueError, "pow: Integers to negative integer powers are not allowed.")
def integers_to_a_negative_power_at_run_time():
    x, n = T.lvectors("x", "n")
    y = x**n  # !
    refgraph.function([x, n], y)([2], [-1])


@mistake(ShapeError, ValueError, "argmax does not accept shape (0,)")
def argmax_of_nothing():
    x = T.dvector("x")
    y = T.argmax(x)  # !
    refgraph.function([x], y)([])


@mistake(DTypeError, TypeError, "zeros: a length is an integer, got 'a' (str)")
def zeros_of_no_length():
    return T.zeros("a")  # !


@mistake(DTypeError, TypeError, "ones: a length is an integer, got 2.5 (float)")
def ones_of_no_whole_length():
    return T.ones((2, 2.5))  # !


@mistake(GraphTypeError, TypeError, "einsum: m (TensorVariable) is no list of indices")
def einsum_without_subscripts():
    m = T.dmatrix("m")
    return T.einsum(3, m)  # !


@mistake(DTypeError, TypeError, "scan: state 0 starts as int64[], but the step makes it float64[]")
def state_that_a_step_widens():
    def step(item, total):
        return total + item * 0.5  # !

    return refgraph.scan(step, T.lvector("x"), np.int64(0))


@mistake(ShapeError, ValueError, "scan: the state h starts as float64[], but the step makes it float64[?]")
def state_that_gets_an_axis():
    h, w = T.dscalar("h"), T.dvector("w")

    def step(h):
        return h * w  # !

    return refgraph.scan(step, outputs_info=h, n_steps=3)


@mistake(ShapeError, ValueError, "scan: state 0 starts as float64[1, 4], but the step makes it float64[3, 4]")
def state_that_is_broadcast():
    def step(h):
        return h + np.ones((3, 4))  # !

    return refgraph.scan(step, outputs_info=T.zeros((1, 4)), n_steps=3)


@mistake(ShapeError, ValueError, "scan: the state h has shape (2,), but the step makes it (4,)")
def state_that_grows_at_run_time():
    h = T.dvector("h")

    def step(h):
        return T.concatenate([h, h])  # !

    refgraph.function([h], refgraph.scan(step, outputs_info=h, n_steps=3)[0])([1.0, 2.0])


@mistake(ShapeError, ValueError, "scan: an output has shape (1,), in the first step it had (0,)")
def output_that_grows_at_run_time():
    x = T.dvector("x")

    def step(i):
        return x[:i]  # !

    refgraph.function([x], refgraph.scan(step, T.arange(3))[0])([1.0, 2.0])


@mistake(ShapeError, ValueError, "dot does not accept shapes (3, 3) and (2,)")
def shapes_in_a_step_at_run_time():
    x, h = T.dtensor3("x"), T.dvector("h")

    def step(w, h):
        return T.dot(w, h)  # !

    refgraph.function([x, h], refgraph.scan(step, x, h)[0])(np.ones((4, 3, 3)), np.ones(2))


@mistake(BoundsError, IndexError, "index: index 7 is out of bounds for axis 1 with size 3")
def index_in_a_loop_in_a_loop():
    def step(row):
        def at(i):
            return row[i]  # !

        return refgraph.scan(at, [[0, 1, 7]])[0]

    m = T.dmatrix("m")
    refgraph.function([m], refgraph.scan(step, m)[0])(np.ones((3, 3)))


@mistake(GraphTypeError, TypeError, "scan: the step function does not take what it is given: x[t], h[t-1]")
def step_without_its_state():
    def step(item):  # !
        return item

    return refgraph.scan(step, T.dvector("x"), T.dscalar("h"))


@mistake(GraphTypeError, TypeError, "scan: the step function answers 1 output, outputs_info has 2 entries")
def step_without_one_output():
    def step(item, h):  # !
        return h + item

    return refgraph.scan(step, T.dvector("x"), [T.dscalar("h"), None])


@mistake(GraphTypeError, TypeError, "scan: the step function answers 'h' (str) as output 0")
def step_that_answers_a_name():
    def step(item):  # !
        return "h"

    return refgraph.scan(step, T.dvector("x"))


@mistake(
    GraphTypeError,
    TypeError,
    "scan: with strict=True the step function may not use w (float64[]), which it was not given",
)
def step_that_is_strict():
    w = T.dscalar("w")

    def step(item):
        return item * w  # !

    return refgraph.scan(step, T.dvector("x"), strict=True)


@mistake(SymbolicValueError, TypeError, "bool(gt.0): the value is known only when a function runs")
def branch_in_a_step():
    def step(item):
        return item if item > 0 else -item  # !

    return refgraph.scan(step, T.dvector("x"))


@mistake(UpdateError, TypeError, "the update of k is float64[], but k is int64[]")
def update_in_a_step_of_another_dtype():
    k = refgraph.shared(0, "k")

    def step(item):
        return {k: k + item}  # !

    return refgraph.scan(step, T.dvector("x"))


@mistake(GraphTypeError, TypeError, "scan: how many steps?")
def loop_without_an_end():
    return refgraph.scan(lambda h: h * 2, outputs_info=1.0)  # !


@mistake(GraphTypeError, TypeError, "scan takes sequences with at least one axis, got x (float64[])")
def loop_over_a_scalar():
    x = T.dscalar("x")
    return refgraph.scan(T.sqr, x)  # !


@mistake(ShapeError, ValueError, "scan: the sequence of x[t] has 3 items, for 5 steps")
def loop_beyond_its_sequence():
    x = T.TensorType("float64", (3,))("x")
    return refgraph.scan(T.sqr, x, n_steps=5)  # !


@mistake(ShapeError, ValueError, "specify_shape: axis 0 has length 3, but 5 was specified")
def loop_beyond_its_sequence_at_run_time():
    x, n = T.dvector("x"), T.lscalar("n")
    y, _ = refgraph.scan(T.sqr, x, n_steps=n)  # !
    refgraph.function([x, n], y)([1.0, 2.0, 3.0], 5)


@mistake(DomainError, ValueError, "scan: n_steps is -1")
def steps_below_zero():
    return refgraph.scan(T.sqr, outputs_info=1.0, n_steps=-1)  # !


@mistake(DTypeError, TypeError, "scan: n_steps must be a single integer, got TensorConstant{2.5} (float64[])")
def steps_that_are_no_whole_number():
    return refgraph.scan(T.sqr, outputs_info=1.0, n_steps=2.5)  # !


@mistake(ShapeError, ValueError, "scan: the initial values of h are float64[2], its taps reach 3 steps back")
def too_few_initial_values():
    h = T.TensorType("float64", (2,))("h")
    return refgraph.scan(T.sqr, outputs_info=dict(initial=h, taps=[-3]), n_steps=2)  # !


@mistake(GraphTypeError, TypeError, "scan: a sequence has no entry 'tap'")
def misspelt_taps():
    return refgraph.scan(T.sqr, dict(input=T.dvector("x"), tap=[-1]))  # !


@mistake(GraphTypeError, TypeError, "until takes a single condition, got gt.0 (bool[?])")
def condition_of_many():
    x = T.dvector("x")
    return refgraph.scan_module.until(x > 0)  # !


def test_there_are_many():
    assert len(MISTAKES) >= 80


@pytest.mark.parametrize(("program", "kind", "builtin", "message"), MISTAKES)
def test_mistake(program, kind, builtin, message):
    lines, start = inspect.getsourcelines(program)
    ((number, line),) = [(n, line.rstrip()) for n, line in enumerate(lines, start) if line.endswith("# !\n")]

    with pytest.raises(builtin) as caught:
        program()
    error, text = caught.value, str(caught.value).splitlines()

    assert type(error) is kind
    assert text[0] == f"[{kind.code}] {message}"
    assert f"test_mistakes.py:{number}, in {program.__name__}." in text[1] + "."  # or in a step function in it
    assert f"{number} | {line}" in text
    assert "^" in text[text.index(f"{number} | {line}") + 1] or line.lstrip().startswith("def ")
    assert len(text) <= 12
    assert "refgraph explain " + kind.code in text[-1]
