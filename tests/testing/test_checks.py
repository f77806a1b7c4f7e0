"""The checks are checked: each fault that an op could have is planted, and must be caught."""

import numpy as np
import pytest

import refgraph.tensor as T
from refgraph.core.op import BadSample, Op, Sample
from refgraph.gradient import disconnected_grad
from refgraph.ops.tensor import TensorType
from refgraph.testing import checks
from refgraph.testing.cases import Case, bad_cases, cases, draw
from refgraph.testing.compare import assert_same

X = np.array([0.5, -1.0, 2.0])


class Sine(Op):
    """sin(x), all right; faulty ops change one thing each."""

    name = "sine"

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return np.sin(x)

    def vjp(self, node, cotangents):
        return [g * T.cos(node.inputs[0]) for g in cotangents]

    def jvp(self, node, tangents):
        return [t * T.cos(node.inputs[0]) for t in tangents]


class Shifted(Sine):
    def impl(self, x):
        return np.sin(x) + 1e-6


class OtherDtype(Sine):
    def infer(self, x):
        return (TensorType("float32", x.type.shape),)


class OtherLength(Sine):
    def infer(self, x):
        return (TensorType(x.type.dtype, (5,)),)


class Writes(Sine):
    def impl(self, x):
        return np.sin(x, out=x)


class UndeclaredView(Sine):
    def impl(self, x):
        return x[::-1][::-1]


class WrongBackward(Sine):
    def vjp(self, node, cotangents):
        return [g * T.cos(node.inputs[0]) * 1.0001 for g in cotangents]


class WrongBoth(WrongBackward):
    def jvp(self, node, tangents):
        return self.vjp(node, tangents)


class WrongSlopeOfSlope(Sine):
    """The first derivative is right in value, and constant in form."""

    def vjp(self, node, cotangents):
        return [g * disconnected_grad(T.cos(node.inputs[0])) for g in cotangents]

    def jvp(self, node, tangents):
        return self.vjp(node, tangents)


class DoubleCotangent(Sine):
    def vjp(self, node, cotangents):
        return [(g * T.cos(node.inputs[0])).astype("float64") for g in cotangents]


class WrongForMany(Sine):
    def batched(self, node, batch):
        return [T.sin(batch.inputs[0][::-1])]


class ForgetsLengths(Sine):
    def batched(self, node, batch):
        return [T.sin(batch.inputs[0])[:, 0 * batch.count :]]


def sample(op, x=X, expect=np.sin):
    return Sample("planted", op(), (np.array(x),), expect)


def every_check(planted):
    checks.check_value(planted, known=False)
    checks.check_value(planted, known=True)
    checks.check_cotangent_types(planted)
    checks.check_transposes(planted)
    checks.check_differences(planted)
    checks.check_second_order(planted)
    checks.check_batched(planted)
    checks.check_batched_pullback(planted)


def test_nothing_is_found_where_nothing_is_wrong():
    every_check(sample(Sine))


@pytest.mark.parametrize(
    ("op", "check", "says"),
    [
        (Shifted, lambda s: checks.check_value(s, known=False), "planted"),
        (OtherDtype, lambda s: checks.check_value(s, known=False), "inferred float32"),
        (OtherLength, lambda s: checks.check_value(s, known=True), r"inferred float64\[5\]"),
        (Writes, lambda s: checks.check_value(s, known=False), "changed its input"),
        (UndeclaredView, lambda s: checks.check_value(s, known=False), "a view of input 0"),
        (WrongBackward, checks.check_transposes, "planted"),
        (WrongBoth, checks.check_differences, "planted"),
        (WrongSlopeOfSlope, checks.check_second_order, "second order"),
        (WrongForMany, checks.check_batched, "planted, 3"),
        (ForgetsLengths, lambda s: checks.check_batched(s, known=True), "does not know the lengths"),
    ],
)
def test_a_planted_fault_is_caught(op, check, says):
    with pytest.raises(AssertionError, match=says):
        check(sample(op))


def test_a_cotangent_of_another_dtype_is_caught():
    with pytest.raises(AssertionError, match="cotangent"):
        checks.check_cotangent_types(sample(DoubleCotangent, X.astype("float32")))


def test_a_use_that_should_be_refused_and_is_not_is_caught():
    bad = BadSample("planted", Sine(), (X,), ValueError, "no")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        checks.check_refused(bad, pytest.raises)


def test_a_refusal_that_does_not_say_why_is_caught():
    bad = BadSample("planted", lambda x: x.dimshuffle(0, 0), (X,), ValueError, "the moon")
    with pytest.raises(AssertionError, match="'the moon' is not said"):
        checks.check_refused(bad, pytest.raises)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.float32(1), np.float64(1)),
        (np.zeros((1, 2)), np.zeros(2)),
        (np.float64(1), np.float64(1 + 1e-9)),
        (np.float64(np.nan), np.float64(1)),
        (np.int64(1), np.int64(2)),
    ],
)
def test_values_that_differ(got, want):
    with pytest.raises(AssertionError):
        assert_same(got, want)


def test_values_that_agree():
    assert_same(np.float64(1), np.float64(1 + 1e-14))
    assert_same(np.array([np.nan, np.inf]), np.array([np.nan, np.inf]))


def test_every_op_has_cases_and_ids_are_unique():
    found = list(cases())
    names = [case.id for case in found] + [f"bad-{name}" for name, _ in bad_cases()]
    assert len(set(names)) == len(names)
    assert all(isinstance(case, Case) for case in found)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "complex128"])
def test_draws_stay_in_their_range(dtype):
    on = T.exp.on[0]
    drawn = draw(np.random.default_rng(0), on, (200,), dtype)
    assert drawn.dtype == dtype
    parts = [drawn.real, drawn.imag] if drawn.dtype.kind == "c" else [drawn.astype("float64")]
    assert all((on.low <= part).all() and (part <= on.high).all() for part in parts)


def test_values_of_expressions():
    assert checks.value_of(lambda x, y: x * y, X, 2.0).tolist() == (X * 2).tolist()
    with pytest.raises(AssertionError):
        checks.value_of(lambda x: OtherDtype()(x), X)
