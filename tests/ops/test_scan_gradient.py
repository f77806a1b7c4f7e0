"""Derivatives of loops, against graphs in which the same steps stand one after the other."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import refgraph as rg
import refgraph.tensor as T
from refgraph.gradient import Lop, Rop, consider_constant, grad, hessian, jacobian
from refgraph.interp.evaluate import evaluate
from refgraph.interp.loops import scan, until
from refgraph.ops.scan_samples import looped
from refgraph.ops.tensor import TensorType

D = 2  # the length of every axis of what a step handles
READS = {
    "all": lambda h: h,
    "last": lambda h: h[-1],
    "last two": lambda h: h[-2:],
    "turned": lambda h: h[::-1],
    "last two turned": lambda h: h[-1:-3:-1],
}


# Programs: what to draw, and its two forms


class Program:
    """A loop that was drawn, and arrays for all that it is given."""

    def __init__(self, draw, n):
        self.draw = draw
        self.dtype = draw(st.sampled_from(["float64", "float64", "float32"]))
        self.known = draw(st.booleans())
        self.n = draw(n)
        self.backwards = draw(st.booleans())
        self.sequences = [self._sequence() for _ in range(draw(st.integers(0, 2)))]
        self.states = [self._state() for _ in range(draw(st.integers(0, 3)))]
        self.counts = draw(st.booleans())
        self.n_records = draw(st.integers(0 if self.states else 1, 2))
        self.how_many = draw(st.sampled_from(["constant", "symbolic", "sequences"]))
        self.ends = draw(st.sampled_from([None, None, -0.3, 0.1, 99.0]))
        self.truncate = draw(st.sampled_from([-1, -1, 1, 2, 3]))
        self.recipe = [
            (draw(st.sampled_from(list(MAKE))), draw(st.integers(0, 99)), draw(st.integers(0, 99)))
            for _ in range(draw(st.integers(1, 5)))
        ]
        n_outputs = len(self.states) + self.counts + self.n_records
        self.answers = draw(st.lists(st.integers(0, 99), min_size=n_outputs + 1, max_size=n_outputs + 1))
        self.reads = draw(st.lists(st.sampled_from([*READS, None]), min_size=n_outputs, max_size=n_outputs))
        self._make_variables(np.random.default_rng(draw(st.integers(0, 999))))

    def _sequence(self):
        taps = self.draw(st.sampled_from([[0], [0], [-1, 0], [0, 2], [-2, 1]]))
        return {"rank": self.draw(st.integers(0, 1)), "taps": taps, "more": self.draw(st.integers(0, 2))}

    def _state(self):
        taps = self.draw(st.sampled_from([(1,), (2,), (1, 3), (2, 5)]))
        return {"rank": self.draw(st.integers(0, 2)), "taps": taps, "deep": taps != (1,)}

    def __repr__(self):
        shown = ("dtype", "known", "n", "steps", "backwards", "how_many", "counts", "n_records", "ends", "truncate")
        lines = [f"{name}={getattr(self, name)}" for name in shown]
        return ", ".join([*lines, f"{self.sequences} {self.states} {self.recipe} {self.answers} {self.reads}"])

    def _make_variables(self, rng):
        self.given = {}

        def variable(name, shape):
            x = TensorType(self.dtype, shape if self.known else (None,) * len(shape))(name)
            self.given[x] = rng.normal(size=shape).astype(self.dtype)
            return x

        for i, s in enumerate(self.sequences):
            s["low"], s["high"] = min(0, *s["taps"]), max(0, *s["taps"])
            more = s["more"] if self.how_many != "sequences" or i else 0  # the first is the shortest
            s["length"] = self.n + more + s["high"] - s["low"]
            s["x"] = variable(f"x{i}", (s["length"], *[D] * s["rank"]))
        for i, s in enumerate(self.states):
            s["h"] = variable(f"h{i}", (*[max(s["taps"])] * s["deep"], *[D] * s["rank"]))
        self.w = variable("w", (D, D))
        self.c = variable("c", (D,))
        self.closed = variable("closed", (D,))
        self.whole = T.lscalar("whole")  # the derivative by an integer is that of the formula, as everywhere
        self.given[self.whole] = np.array(2)
        self.number = T.lscalar("n")
        self.given[self.number] = np.array(self.n)
        self.wrt = [x for x in self.given if x is not self.number]
        self.steps = self.n

    # the step, in both forms

    def step(self, items, reads, count, w, c):
        """New values of states, of the counter, and records; the condition."""
        pool = [*items, *[x for xs in reads for x in xs], w, c, self.closed * 0.5 + c]
        if self.dtype == "float64":
            pool.insert(0, self.whole)
        if count is not None:
            pool.append(count.astype(self.dtype) * 0.25)
        pool = pool[-1:] + pool[:-1]
        for name, i, j in self.recipe:
            pool.append(MAKE[name](pool[i % len(pool)], pool[j % len(pool)], w))
        answers = iter(self.answers)
        news = []
        for xs, s in zip(reads, self.states, strict=True):
            which = next(answers)
            x = xs[0] if which % 7 == 0 else pool[-1 - which % len(pool)]
            news.append(x if x is xs[0] else of_rank(x, s["rank"], xs[0]))
        counts = []
        if count is not None:
            next(answers)
            counts = [count + 1]
        records = [pool[-1 - next(answers) % len(pool)] for _ in range(self.n_records)]
        last = of_rank(pool[-1 - next(answers) % len(pool)], 0, None)
        return news, counts, records, None if self.ends is None else last > self.ends

    def looped(self):
        """Outputs of the loop."""
        n_seqs = sum(len(s["taps"]) for s in self.sequences)

        def fn(*args):
            args = list(args)
            items = [args.pop(0) for _ in range(n_seqs)]
            reads = [[args.pop(0) for _ in s["taps"]] for s in self.states]
            count = args.pop(0) if self.counts else None
            w, c = args
            news, counts, records, condition = self.step(items, reads, count, w, c)
            outputs = [*news, *counts, *records]
            return outputs if condition is None else (outputs, until(condition))

        how = self.how_many if self.sequences else "constant"
        outputs, updates = scan(
            fn,
            sequences=[dict(input=s["x"], taps=s["taps"]) for s in self.sequences],
            outputs_info=[
                *[dict(initial=s["h"], taps=[-k for k in s["taps"]]) if s["deep"] else s["h"] for s in self.states],
                *[T.constant(0, dtype="int64")] * self.counts,
                *[None] * self.n_records,
            ],
            non_sequences=[self.w, self.c],
            n_steps={"constant": self.n, "symbolic": self.number, "sequences": None}[how],
            go_backwards=self.backwards,
            truncate_gradient=self.truncate,
            return_list=True,
        )
        assert not updates
        return outputs

    def unrolled(self, truncated=False):
        """The same outputs, without a loop; of as many steps as the loop takes."""
        buffers = [[s["h"][i] for i in range(max(s["taps"]))] if s["deep"] else [s["h"]] for s in self.states]
        counter, outputs, conditions = T.constant(0, dtype="int64"), [], []
        for t in range(self.steps):
            items = [self._item(s, t, k) for s in self.sequences for k in s["taps"]]
            reads = [[b[-k] for k in s["taps"]] for b, s in zip(buffers, self.states, strict=True)]
            news, counts, records, condition = self.step(items, reads, counter if self.counts else None, self.w, self.c)
            if truncated and self.truncate >= 0 and t < self.steps - self.truncate:
                news, records = [[consider_constant(x) for x in xs] for xs in (news, records)]
            for b, new in zip(buffers, news, strict=True):
                b.append(new)
            counter = counts[0] if counts else counter
            outputs.append([*news, *counts, *records])
            conditions.append(condition)
        self.conditions = conditions
        return [T.stack(list(column)) for column in zip(*outputs, strict=True)]

    def _item(self, s, t, k):
        length = s["length"] - s["high"] + s["low"]
        return s["x"][(length - 1 - t if self.backwards else t) + k - s["low"]]

    def find_steps(self):
        """How many steps the condition lets the loop take."""
        self.unrolled()
        if self.ends is not None and self.conditions:
            found = evaluate(self.conditions, self.given)
            self.steps = next((t + 1 for t, ends in enumerate(found) if ends), self.n)


def of_rank(x, rank, like):
    """x, bounded, in the rank of a state."""
    while x.ndim > rank:
        x = x.sum(axis=0)
    x = T.tanh(x)
    return x if x.ndim == rank else T.zeros_like(like) + x


def inner(a, b, w):
    """A loop in a loop, over the first axis of b if it has one."""
    start = a.sum() * 0.1
    if b.ndim:
        out, _ = scan(lambda x, h: T.tanh(h * x.sum() + a.sum()), [b], [start])
    else:
        out, _ = scan(lambda h: T.tanh(h * b + w.sum()), None, [start], n_steps=2)
    return out[-1]


MAKE = {
    "product": lambda a, b, w: a * b,
    "tanh": lambda a, b, w: T.tanh(a + b),
    "dot": lambda a, b, w: T.dot(a, w) if a.ndim else a * w,
    "sum": lambda a, b, w: a.sum() + b,
    "index": lambda a, b, w: a[-1] + b if a.ndim else a + b,
    "switch": lambda a, b, w: T.switch(T.gt(a, b), T.sin(a), b * b),
    "rows": lambda a, b, w: w[0] * a + b,
    "loop": inner,
}


@st.composite
def programs(draw, least=1, most=4):
    return Program(draw, st.integers(least, most))


def weight(rng, x):
    return rng.normal(size=x.shape).astype(x.dtype)


def derivatives(program, outputs, rng, forward=True):
    """All kinds of derivatives of a cost, by all that the loop was given, with fixed random weights."""
    parts = []
    for read, out in zip(program.reads, outputs, strict=True):
        if read is not None:
            x = READS[read](out)
            parts.append(x)
    smooth = [x for x in parts if x.type.dtype == program.dtype]
    assume(smooth)
    found = [("value", x) for x in parts]
    cost = sum([(x * (0.3 + i) + T.sin(x + i)).sum() for i, x in enumerate(smooth)])
    wrt = program.wrt
    slopes = grad(cost, wrt, disconnected_inputs="ignore")
    found += [(f"by {x}", g) for x, g in zip(wrt, slopes, strict=True)]
    directions = [weight(rng, program.given[x]) for x in wrt]
    along = sum([(g * v).sum() for g, v in zip(slopes, directions, strict=True)])
    second = grad(along, wrt, disconnected_inputs="ignore")
    found += [(f"by {x}, twice", g) for x, g in zip(wrt, second, strict=True)]
    if forward:
        moved = Rop(smooth, wrt, directions, disconnected_outputs="ignore")
        found += [(f"along, output {i}", t) for i, t in enumerate(moved)]
        found += [(f"by {x}, along", g) for x, g in zip(wrt, Rop(slopes, wrt, directions, "ignore"), strict=True)]
        total = sum([(T.cos(t + i)).sum() for i, t in enumerate(moved)])
        found += [
            (f"along, by {x}", g) for x, g in zip(wrt, grad(total, wrt, disconnected_inputs="ignore"), strict=True)
        ]
        points = [T.cos(x) for x in smooth]
        pulled = Lop(smooth, wrt, points, disconnected_inputs="ignore")
        found += [(f"pulled, {x}", g) for x, g in zip(wrt, pulled, strict=True)]
    return found


def agree(program, found, want):
    names = [name for name, _ in found]
    assert names == [name for name, _ in want]
    rtol = 1e-9 if program.dtype == "float64" else 2e-3
    f = rg.function(list(program.given), [x for _, x in found], on_unused_input="ignore")
    values = evaluate([x for _, x in want], program.given)
    for (name, x), (_, y), a, b in zip(found, want, f(*program.given.values()), values, strict=True):
        assert x.dtype == y.dtype, name
        np.testing.assert_allclose(a, b, rtol, atol=rtol, err_msg=name)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_derivatives_are_those_of_the_steps_in_a_row(program):
    program.find_steps()
    program.truncate = -1
    seed = np.random.default_rng
    agree(program, derivatives(program, program.looped(), seed(0)), derivatives(program, program.unrolled(), seed(0)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs())
def test_a_truncated_gradient_holds_all_that_earlier_steps_made_constant(program):
    program.find_steps()
    assume(program.truncate > 0)
    seed = np.random.default_rng
    agree(
        program,
        derivatives(program, program.looped(), seed(0), forward=False),
        derivatives(program, program.unrolled(True), seed(0), forward=False),
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(programs())
def test_jacobians_and_hessians_are_those_of_the_steps_in_a_row(program):
    program.find_steps()
    program.truncate = -1

    def matrices(outputs):
        x = next((o for o in outputs if o.type.dtype == program.dtype), None)
        assume(x is not None)
        wrt = [program.c, *[s["h"] for s in program.states][:1]]
        cost = (x * x * 0.5 + x).sum()
        found = zip(wrt, jacobian(x, wrt, disconnected_inputs="ignore"), strict=True)
        blocks = zip(wrt, hessian(cost, wrt, disconnected_inputs="ignore"), strict=True)
        return [*[(f"jacobian by {x}", j) for x, j in found], *[(f"hessian by {x}", h) for x, h in blocks]]

    agree(program, matrices(program.looped()), matrices(program.unrolled()))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(programs())
def test_without_rewriting_it_is_the_same(program):
    program.truncate = -1
    found = [x for _, x in derivatives(program, program.looped(), np.random.default_rng(0))]
    f = rg.function(list(program.given), found, on_unused_input="ignore", mode="FAST_COMPILE")
    for a, b in zip(f(*program.given.values()), evaluate(found, program.given), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(programs(0, 0))
def test_of_no_step_everything_is_zero(program):
    program.reads = ["all" if read == "last" else read for read in program.reads]
    found = derivatives(program, program.looped(), np.random.default_rng(0))
    f = rg.function(list(program.given), [x for _, x in found], on_unused_input="ignore")
    by_name = {f"by {x}": a for x, a in program.given.items()}
    for (name, _), value in zip(found, f(*program.given.values()), strict=True):
        assert not value.any(), name
        assert name not in by_name or value.shape == by_name[name].shape, name


# Loops whose outputs are not kept whole, as a rewriting may make them before somebody differentiates them


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_of_outputs_that_are_not_kept_whole(data):
    n, truncate = data.draw(st.integers(0, 4)), data.draw(st.sampled_from([-1, -1, 1, 2]))
    keep = data.draw(st.lists(st.sampled_from([None, 0, 1, 2, 3, 9]), min_size=3, max_size=3))
    h, g, x = T.dmatrix("h"), T.dmatrix("g"), T.dmatrix("x")
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    given = {h: rng.normal(size=(3, 2)), g: rng.normal(size=(2, 2)), x: rng.normal(size=(n, 2))}

    def step(x, h3, h1, g2):
        return [T.tanh(h1 * h3 + g2), h1 * x - 0.5 * g2], [h3 * g2 + x]

    def kept(keep):
        return looped(step, x.shape[0], [x], [(h, (3, 1)), (g, (2,))], keep, truncate)

    def slopes(outputs):
        cost = sum([(o * o * (i + 1) + T.sin(o)).sum() for i, o in enumerate(outputs)])
        first = grad(cost, list(given), disconnected_inputs="ignore")
        second = grad(sum([T.sin(s).sum() for s in first]), list(given), disconnected_inputs="ignore")
        return evaluate([*first, *second, *Rop(first, list(given), list(given), "ignore")], given)

    whole = kept([None, None, None])
    lengths = [n + 3, n + 2, n]
    parts = [o[m - min(k, m) :] for o, k, m in zip(whole, [99 if k is None else k for k in keep], lengths, strict=True)]
    for a, b in zip(slopes(kept(keep)), slopes(parts), strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-9)


@pytest.mark.parametrize("keep", [1, 2, None])
def test_what_arrives_for_a_state_that_no_step_reads(keep):
    x, h = T.dvector("x"), T.dvector("h")
    (out,) = looped(lambda x, h2: ([T.sin(x)], []), x.shape[0], [x], [(h, (2,))], [keep])
    given = {x: np.array([0.1, 0.2, 0.3]), h: np.zeros(2)}

    slope, start = evaluate(grad((out**2)[-2:].sum(), [x, h], disconnected_inputs="ignore"), given)
    wanted = np.sin(2 * given[x]) * [0, keep != 1, 1]
    np.testing.assert_allclose(slope, wanted)
    assert not start.any()
