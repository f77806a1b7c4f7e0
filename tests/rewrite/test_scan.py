"""Loops keep and compute what is read, and nobody sees it: the same values and errors, from less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph import function, scan, shared
from refgraph.core.errors import DomainError
from refgraph.core.graph import Graph
from refgraph.core.op import Op
from refgraph.core.types import generic
from refgraph.interp.evaluate import evaluate
from refgraph.ops.scan import Loop, Scan
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.scan import (
    entries_from_the_end,
    last_entry,
    only_what_is_read,
    unread_outputs,
)
from refgraph.rewrite.shapes import length_of_source
from refgraph.scan_module import until

from .loops import checked, in_steps, loops, rewritten

n = T.iscalar("n")


def chain(**options):
    return scan(lambda h: h + 1, outputs_info=np.zeros(2), n_steps=n, **options)[0]


def kept(*outputs, rules=(only_what_is_read,)):
    """What each loop in the graph keeps of its states and records."""
    graph = rewrite(Graph([n], outputs), rules)
    return [node.op.keep for node in graph.nodes if isinstance(node.op, Scan)]


READS = {
    "h": (lambda h: h, None),
    "h[-1]": (lambda h: h[-1], 1),
    "h[-1, 0]": (lambda h: h[-1, 0], 1),
    "h[-3]": (lambda h: h[-3], 3),
    "h[-3:]": (lambda h: h[-3:], 3),
    "h[-5:-2]": (lambda h: h[-5:-2], 5),
    "h[-4::2]": (lambda h: h[-4::2], 4),
    "h[-1:-4:-1]": (lambda h: h[-1:-4:-1], 3),
    "h[:-4:-1]": (lambda h: h[:-4:-1], 3),
    "h[::-1]": (lambda h: h[::-1], None),
    "h[-2::-1]": (lambda h: h[-2::-1], None),
    "h[:-1]": (lambda h: h[:-1], None),
    "h[-3:5]": (lambda h: h[-3:5], None),
    "h[0]": (lambda h: h[0], None),
    "h[n - 1]": (lambda h: h[n - 1], None),
    "h[-n:]": (lambda h: h[-n:], None),
    "h[[-1]]": (lambda h: h[[-1]], None),
    "h[..., -1]": (lambda h: h[..., -1], None),
    "h[None]": (lambda h: h[None], None),
    "h[-1] + h[-2]": (lambda h: h[-1] + h[-2], 2),
    "h[1:][-1]": (lambda h: h[1:][-1], 2),
    "h[:-2][-1]": (lambda h: h[:-2][-1], 3),
    "h[2:-1][-2:]": (lambda h: h[2:-1][-2:], 5),
    "h[::-1][0]": (lambda h: h[::-1][0], 1),
    "h[::-1][1:3]": (lambda h: h[::-1][1:3], 3),
    "h[::-1][-1]": (lambda h: h[::-1][-1], None),
    "h[::-1][::2]": (lambda h: h[::-1][::2], None),
    "h[:1][-1]": (lambda h: h[:1][-1], None),
    "h[-1] + h.shape[1]": (lambda h: h[-1] + h.shape[1], 1),
    "h[-1] + h.sum(0)": (lambda h: h[-1] + h.sum(0), None),
    "h.shape[0]": (lambda h: h.shape[0], None),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("record", [False, True], ids=["state", "record"])
def test_what_is_kept(read, record):
    """Of a state, counted from the end, one entry more: the initial value stands before the steps."""
    build, entries = READS[read]
    if record:
        (_, h), _ = scan(lambda h: [h + 1, h * 2], None, [np.zeros(2), None], n_steps=n)
    else:
        h = chain()
    (keep,) = kept(build(h))
    want = None if entries is None else entries + (not record)
    assert keep[-1] == want


def test_what_is_not_read_is_not_kept():
    (h, g, r), _ = scan(lambda h, g: [h + g, g + h, h * 2], None, [np.zeros(2), np.zeros(2), None], n_steps=n)
    assert kept(h[-1]) == [(2, 0, 0)]
    assert kept(r[-1], g) == [(0, None, 1)]


def test_loops_in_loops_keep_less():
    inner = []

    def step(h):
        g, _ = scan(lambda g: g + 1, outputs_info=h, n_steps=3, name="inner")
        return g[-1]

    h, _ = scan(step, outputs_info=np.zeros(2), n_steps=n, name="outer")
    graph = rewrite(Graph([n], [h]), [only_what_is_read])
    for node in graph.nodes:
        if isinstance(node.op, Scan):
            inner += [m.op.keep for m in node.op.graph.nodes if isinstance(m.op, Scan)]
            assert node.op.keep == (None,)
    assert inner == [(2,)]


def test_updates_keep_one_value():
    k = shared(np.zeros(2))
    _, updates = scan(lambda: {k: k + 1}, n_steps=n)
    f = function([n], updates=updates, mode="FAST_COMPILE")
    assert [node.op.keep for node in f.graph.nodes if isinstance(node.op, Scan)] == [(1,)]


def test_a_graph_without_loops_stays():
    graph = Graph([n], [n + 1])
    assert rewrite(graph, [only_what_is_read]) is graph
    whole = Graph([n], [chain()])
    assert rewrite(whole, [only_what_is_read]) is whole


# Reads that rules turn into such


TELLING = (last_entry, entries_from_the_end, length_of_source, only_what_is_read)
LAST = {
    "h[n - 1]": (lambda h, n: h[n - 1], 1),
    "h[-1 + n]": (lambda h, n: h[-1 + n], 1),
    "h[n + 2 - 3]": (lambda h, n: h[n + 2 - 3], 1),
    "h[n - 1, 0]": (lambda h, n: h[n - 1, 0], 1),
    "h[n - 1] + h[-2]": (lambda h, n: h[n - 1] + h[-2], 2),
    "h[-1] + h.shape[0]": (lambda h, n: h[-1] + h.shape[0], 1),
    "h[n - 2]": (lambda h, n: h[n - 2], None),  # of one step: -1
    "h[n]": (lambda h, n: h[n], None),
    "h[2 * n - 1]": (lambda h, n: h[2 * n - 1], None),
}


@pytest.mark.parametrize("read", LAST)
@pytest.mark.parametrize("record", [False, True], ids=["state", "record"])
def test_the_last_entry_and_the_number_of_entries_need_no_trace(read, record):
    build, entries = LAST[read]
    outputs, _ = scan(lambda h: [h * 2, T.exp(h)], None, [np.ones(2), None], n_steps=n)
    steps = loop_of(outputs[0]).inputs[0]
    (keep,) = kept(build(outputs[record], steps), rules=TELLING)
    assert keep[record] == (None if entries is None else entries + (not record))


def loop_of(x):
    while not isinstance(x.owner.op, Scan):
        x = x.owner.inputs[0]
    return x.owner


def test_the_number_of_entries_alone_needs_no_loop():
    assert not loops(rewritten(chain().shape[0], [length_of_source]))
    ended, _ = scan(lambda h: (h + 1, until(h.sum() > 3)), outputs_info=np.zeros(2), n_steps=n)
    graph = rewrite(Graph([n], [ended.shape[0]]), TELLING)
    assert evaluate(graph.outputs, {n: np.int32(9)}) == [3]
    (node,) = loops(graph)
    assert node.op.until
    assert node.op.keep == (0,)


def test_where_a_condition_ends_the_loop_the_last_entry_is_another():
    h, _ = scan(lambda h: (h + 1, until(h.sum() > 3)), outputs_info=np.zeros(2), n_steps=n)
    (keep,) = kept(h[loop_of(h).inputs[0] - 1], rules=TELLING)
    assert keep == (None,)


KNOWN = {
    "h[7]": (lambda h: h[7], 1),
    "h[5]": (lambda h: h[5], 3),
    "h[-1]": (lambda h: h[-1], 1),
    "h[6:]": (lambda h: h[6:], 2),
    "h[7:5:-1]": (lambda h: h[7:5:-1], 2),
    "h[2]": (lambda h: h[2], None),
    "h[::-1]": (lambda h: h[::-1], None),
}


@pytest.mark.parametrize("read", KNOWN)
def test_of_a_known_number_of_steps_the_last_ones_are_known_by_number(read):
    build, entries = KNOWN[read]
    h, _ = scan(lambda h: h * 2, None, np.ones(2), n_steps=8)
    (keep,) = kept(build(h), rules=TELLING)
    assert keep == (None if entries is None else entries + 1,)
    checked(build(h), {})


# What nothing reads is not computed


def test_records_and_states_that_nothing_reads_are_dropped():
    x, y = T.dvectors("x", "y")

    def step(a, b, h, g, k):
        return [h + a, T.sin(g) + k, T.cos(k), T.exp(h) * b, T.tanh(h)]

    (h, *_, r), _ = scan(step, [x, y], [0.0, 0.0, 0.0, None, None])
    given = {x: np.arange(3.0), y: np.ones(3)}
    graph = rewrite(Graph([x, y], [h, r]), [unread_outputs])
    (node,) = loops(graph)
    assert (len(node.op.taps), len(node.op.records), node.op.n_sequences) == (1, 1, 1)
    assert in_steps(graph) == {"add": 1, "tanh": 1}
    for a, b in zip(evaluate([h, r], given), evaluate(graph.outputs, given), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_state_that_another_needs_stays():
    (_, g), _ = scan(lambda h, g: [h + 1, g + h], None, [np.zeros(2), np.zeros(2)], n_steps=n)
    (node,) = loops(rewrite(Graph([n], [g]), [unread_outputs]))
    assert len(node.op.taps) == 2


def test_what_a_dropped_output_needed_of_another_loop_is_dropped_too():
    chained = T.zeros((5, 2))
    for k in range(25):  # more loops in a row than there are rounds
        (chained, _), _ = scan(lambda x, h, k=k: [x + k, h + x], chained, [None, np.zeros(2)])
        (_, sums), _ = scan(lambda x, h: [h * x, h + 1], chained, [np.zeros(2), None], n_steps=n)
    graph = rewrite(Graph([n], [sums]), [unread_outputs, only_what_is_read])
    assert all(len(node.op.taps) + len(node.op.records) < 3 for node in loops(graph))


class Tally(Op):
    """A generic value, counted up."""

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return [*x, len(x)]


def test_values_of_other_types_that_nothing_reads_are_dropped():
    start = generic.variable(name="start")
    loop = Loop(3)
    loop.carried.append(Tally()(loop.carry(start)))
    count = loop.state(T.zeros((1, 2)))
    count.new = count.reads[0] + 1
    node = loop.node()
    (left,) = loops(rewrite(Graph([start], [count.buffer]), [unread_outputs]))
    assert left.op.n_carried == 0
    graph = rewrite(Graph([start], [node.outputs[1]]), [unread_outputs])
    (left,) = loops(graph)
    assert (left.op.n_carried, len(left.op.taps)) == (1, 0)
    assert evaluate(graph.outputs, {start: []}) == [[0, 1, 2]]


# One step, or none


def two_taps(**options):
    initial = dict(initial=np.array([1.0, 2.0]), taps=[-1, -2])
    return scan(lambda x, a, b: [a * x + b, T.exp(a)], np.array([3.0]), [initial, None], **options)[0]


@pytest.mark.parametrize("read", [lambda x: x, lambda x: x[-1], lambda x: x.shape[0]])
def test_a_loop_of_one_step_is_that_step(read):
    graph = checked([read(x) for x in two_taps()], {})
    assert not loops(graph)


def test_a_loop_of_one_step_that_ends_by_a_condition_is_that_step():
    (h, r), _ = scan(lambda h: ([h * 2, h + 1], until(h > 0)), None, [np.ones(()), None], n_steps=1)
    assert not loops(checked([h, r, h.shape[0]], {}))


def test_a_loop_of_no_step_is_what_it_begins_with():
    (h, r), _ = scan(lambda h: [h * 2, h + 1], None, [np.ones(3), None], n_steps=0)
    graph = checked([h, r], {})
    assert not loops(graph)
    v = T.dvector("v")
    (h, r), _ = scan(lambda h: [h * 2, h + 1], None, [v, None], n_steps=0)
    graph = checked([h, r], {v: np.ones(3)})
    assert evaluate(graph.outputs, {v: np.ones(3)})[1].shape == (0, 3)


def test_a_number_of_steps_that_is_no_constant_keeps_the_loop():
    assert len(loops(rewritten(chain()))) == 1
    with pytest.raises(DomainError):
        function([n], chain())(-1)


ENDS = st.none() | st.integers(-6, 6)
PLACES = st.integers(-6, 6) | st.builds(slice, ENDS, ENDS, st.sampled_from([None, 1, 2, -1, -2]))


@settings(max_examples=60, deadline=None)
@given(st.lists(PLACES, min_size=1, max_size=3), st.integers(0, 5), st.booleans())
def test_values_and_errors_stay(places, steps, ends):
    """Whatever is read, and however many steps there are: as from an array of all steps."""

    def step(a, b):
        new = 10 * a + b
        return ([new, new * 2], until(new > 2000)) if ends else [new, new * 2]

    outputs, _ = scan(step, None, [dict(initial=np.array([1, 2]), taps=[-1, -2]), None], n_steps=n)
    past = [1, 2]
    while len(past) < steps + 2 and not (ends and past[-1] > 2000):
        past.append(10 * past[-1] + past[-2])
    arrays = [np.array(past[2:], "int64"), 2 * np.array(past[2:], "int64")]
    for x, want in zip(outputs, arrays, strict=True):
        try:
            expected = [want[place] for place in places]
        except IndexError:
            with pytest.raises(IndexError):
                function([n], [x[place] for place in places])(steps)
        else:
            found = function([n], [x[place] for place in places])(steps)
            assert [a.tolist() for a in found] == [np.asarray(a).tolist() for a in expected]
