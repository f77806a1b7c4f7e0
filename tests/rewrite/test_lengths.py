"""What ops say of lengths is so: each sample of each op is run, and its lengths compared with what was said."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.graph import Variable, toposort
from refgraph.interp.evaluate import evaluate
from refgraph.interp.loops import scan, until
from refgraph.interp.streams import Stream
from refgraph.ops.branch import ifelse
from refgraph.ops.elementwise import exp
from refgraph.ops.shape import ShapeI
from refgraph.ops.subgraph import OpFromGraph
from refgraph.ops.tensor import TensorType
from refgraph.rewrite.lengths import Axis, Broadcast, Lengths, Moved
from refgraph.testing.cases import cases

CASES = [case for case in cases() if all(isinstance(np.asarray(a), np.ndarray) for a in case.sample.inputs)]


def wrong_lengths(outputs, given, lengths):
    """What is said of the lengths of anything on the way to `outputs` that is not so; given values of the inputs."""
    variables = [x for node in toposort(outputs) for x in node.outputs if isinstance(x.type, TensorType)]
    arrays = dict(zip(variables, evaluate(variables, given), strict=True))
    arrays.update(given)
    seen, wrong = {}, []
    for x in variables:
        said = lengths.of(x)
        for axis, (n, got) in enumerate(zip(said, np.shape(arrays[x]), strict=True)):
            if isinstance(n, int):
                want = n
            else:
                want = seen.setdefault(n, got)
                counted = lengths.length(x, axis)
                if isinstance(counted, Variable):
                    (value,) = evaluate([counted], arrays)
                    if value != got:
                        wrong.append((x.owner.op, axis, n, got, value))
            if want != got:
                wrong.append((x.owner.op, axis, n, got, want))
    return wrong


@pytest.mark.parametrize("case", CASES, ids=[c.id for c in CASES])
def test_what_an_op_says_of_lengths_is_so(case):
    variables = case.variables()
    built = case.sample.build(*variables)
    outputs = [x for x in (built if isinstance(built, (list, tuple)) else [built]) if isinstance(x, Variable)]
    given = dict(zip(variables, map(np.asarray, case.sample.inputs), strict=True))
    lengths = Lengths()
    for x, array in given.items():  # so that classes of inputs are held to their arrays, too
        for axis, n in enumerate(lengths.of(x)):
            assert n == np.shape(array)[axis] or n == Axis(x, axis)
    assert wrong_lengths(outputs, given, lengths) == []


def test_a_wrong_word_of_an_op_is_found(monkeypatch):
    m = T.dmatrix("m")
    monkeypatch.setattr(exp, "lengths", lambda node, known: [known.of(node.inputs[0])[::-1]], raising=False)
    assert wrong_lengths([T.exp(m)], {m: np.ones((2, 3))}, Lengths())
    assert not wrong_lengths([T.exp(m)], {m: np.ones((3, 3))}, Lengths())


x, y, m, c = T.dvector("x"), T.dvector("y"), T.dmatrix("m"), T.dcol("c")
n, i = T.lscalar("n"), T.lvector("i")
X, Y, R, C = Axis(x, 0), Axis(y, 0), Axis(m, 0), Axis(m, 1)


def steps_of(build, *sequences, **options):
    """What a loop puts out."""
    return scan(build, sequences=sequences, **options)[0]


SAID = {
    "elementwise": (T.exp(m), (R, C)),
    "with a number": (m + 1, (R, C)),
    "with itself": (m * T.exp(m), (R, C)),
    "with one that may be broadcast": (x + y, (Broadcast(frozenset({X, Y})),)),
    "broadcast twice": (x + (y + x), (Broadcast(frozenset({X, Y})),)),
    "with a column": (m + c, (Broadcast(frozenset({R, Axis(c, 0)})), C)),
    "with a known length": (x + np.ones(3), (3,)),
    "summed": (m.sum(0), (C,)),
    "summed, kept": (m.sum(1, keepdims=True), (R, 1)),
    "transposed": (m.T, (C, R)),
    "product": (T.dot(m, m.T), (R, R)),
    "whole axis": (m[:, 0], (R,)),
    "turned around": (x[::-1], (X,)),
    "from the second on": (x[1:], (Moved(X, -1),)),
    "from the second on, and again": (x[1:][2:], (Moved(X, -3),)),
    "up to the last": (x[:-1], (Moved(X, -1),)),
    "all but the ends": (x[2:-1], (Moved(X, -3),)),
    "turned around, but for the first": (x[:0:-1], (Moved(X, -1),)),
    "turned around, but for the ends": (x[-3:1:-1], (Moved(X, -4),)),
    "the last two": (x[-2:], (None,)),
    "the first two": (x[:2], (None,)),
    "picked": (m[T.arange(x.shape[0]), i], (Broadcast(frozenset({X, Axis(i, 0)})),)),
    "picked beside a slice": (m[i, None], (Axis(i, 0), 1, C)),
    "picked apart": (T.tensor3()[i, :, i], (None, None)),
    "rows picked": (m[T.arange(x.shape[0])], (X, C)),
    "alloc": (T.alloc(0.0, n, x.shape[0]), (n, X)),
    "arange of a length": (T.arange(x.shape[0]), (X,)),
    "arange of a number, which may be negative": (T.arange(n), (None,)),
    "stacked": (T.stack([x, x]), (2, X)),
    "joined": (T.concatenate([x, np.ones(2)]), (Moved(X, 2),)),
    "joined, and the rest of it": (T.concatenate([np.ones(2), x])[2:], (X,)),
    "joined, of too many unknown lengths to tell": (T.concatenate([x, y, np.ones(2)]), (None,)),
    "padded": (T.pad(m, ((1, 2), (0, 0))), (Moved(R, 3), C)),
    "diagonal of a square": (T.dot(m, m.T).diagonal(1), (Moved(R, -1),)),
    "diagonal": (m.diagonal(), (None,)),
    "on the diagonal": (T.diag(x), (X, X)),
    "eye": (T.eye(x.shape[0], n), (X, n)),
    "linspace": (T.linspace(x, 1.0, n), (n, X)),
    "einsum": (T.einsum("ij,kj->ki", m, m), (R, R)),
    "einsum, broadcast": (T.einsum("i,i->i", x, y), (Broadcast(frozenset({X, Y})),)),
    "einsum, diagonal": (T.einsum("iji->ji", T.ones((n, 2, n))), (2, n)),
    "sorted": (T.sort(m, 0), (R, C)),
    "searched": (T.searchsorted(x, m), (R, C)),
    "greatest": (T.argtopk(m, n, axis=0), (None, C)),
    "drawn": (Stream(1).normal(size=(n, x.shape[0])), (n, X)),
    "either": (ifelse(n, T.exp(m), m + 1), (R, C)),
    "either, of different lengths": (ifelse(n, m, m.T), (None, None)),
    "a function": (OpFromGraph([x, y], [T.exp(x)[1:] * y[0]])(y, x), (Moved(Y, -1),)),
    "loop over a matrix": (steps_of(lambda row: 2 * row, m), (R, C)),
    "loop of so many steps": (steps_of(lambda y: x * y.sum(), n_steps=n, non_sequences=[y]), (n, X)),
    "states": (steps_of(lambda a, h: a * h, x, outputs_info=[m[0]]).owner.inputs[0], (Moved(X, 1), C)),
    "states after the first": (steps_of(lambda a, h: a * h, x, outputs_info=[m[0]]), (X, C)),
    "what a step alone knows": (steps_of(lambda a: T.arange(T.cast(a.sum(), "int64")), m), (R, None)),
    "reshaped": (x.reshape((x.shape[0], 1)), (X, 1)),
    "what is left": (m.reshape((m.shape[0], -1, 1)), (R, C, 1)),
    "softmax": (T.nnet.softmax(m), (R, C)),
    "set": (T.set_subtensor(m[0], x), (R, C)),
}


@pytest.mark.parametrize("id", SAID)
def test_lengths(id):
    out, want = SAID[id]
    own = tuple([Axis(out, i) for i in range(out.ndim)])
    assert Lengths().of(out) == tuple([a if b is None else b for a, b in zip(own, want, strict=True)])


def test_a_loop_that_ends_itself_is_as_long_as_the_steps_that_it_took():
    out = steps_of(lambda a: (a, until(a > 1)), x)
    assert Lengths().of(out) == (out.owner.outputs[-1],)


def test_broadcasting_with_a_length_of_1_at_run_time_is_minded():
    """x + y may be as long as y alone: the class of both is neither's."""
    assert not wrong_lengths([x + y], {x: np.ones(1), y: np.ones(4)}, Lengths())
    assert not wrong_lengths([x + y], {x: np.ones(4), y: np.ones(1)}, Lengths())


def test_a_length_is_read_where_it_takes_least():
    lengths = Lengths()
    assert lengths.length(T.exp(x)[1:], 0).owner.op == ShapeI(0)
    assert lengths.length(T.tanh(T.exp(x)), 0).owner.inputs[0] is x
    assert lengths.length(T.tanh(x + y), 0).owner.inputs[0].owner.op.name == "add"
    assert lengths.length(x + np.ones(3), 0) == 3


def test_a_length_is_read_from_what_is_computed_anyway():
    """x + y and y * x have one class; that of the second is read from the second."""
    lengths = Lengths()
    first, second = x + y, y * x
    assert lengths.of(first) == lengths.of(second)
    assert lengths.length(second, 0).owner.inputs[0] is second


def test_classes_of_deep_graphs_are_compared_without_recursion():
    def shorter_and_shorter(out):
        for _ in range(3_000):
            out = T.tanh(out[1:] + y)
        return out

    lengths = Lengths()
    assert lengths.of(shorter_and_shorter(x)) == lengths.of(shorter_and_shorter(x))
    assert lengths.of(shorter_and_shorter(x)) != lengths.of(shorter_and_shorter(T.exp(y)))


def test_classes_within_deep_graphs_are_said_outside_without_recursion():
    out = x
    for _ in range(3_000):
        out = T.tanh(out[1:] + y)
    assert Lengths().of(OpFromGraph([x, y], [out])(x, y)) == Lengths().of(out)


def test_a_long_sum_of_unknown_lengths_does_not_take_quadratic_time():
    out = x
    for _ in range(5_000):
        out = out + T.dvector()
    (n,) = Lengths().of(out)
    assert len(n.members) <= 16


def test_deep_graphs_are_walked_without_recursion():
    out = x
    for _ in range(20_000):
        out = T.tanh(out)
    assert Lengths().of(out) == (X,)


@pytest.mark.parametrize("value", [np.ones(2), np.float64("nan"), np.float64("inf"), 1j])
def test_a_constant_given_to_an_op_that_holds_graphs_need_be_no_length(value):
    x = T.vector()
    y = OpFromGraph([x, c := T.constant(value).type("c")], [x * c, x])(x, T.constant(value))[1]
    assert Lengths().of(y) == (Axis(x, 0),)
