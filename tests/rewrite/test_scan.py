"""Loops keep what is read, and nobody sees it: the same values and errors, from less memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgraph.tensor as T
from refgraph import function, scan, shared
from refgraph.core.graph import Graph
from refgraph.ops.scan import Scan
from refgraph.rewrite.scan import only_what_is_read
from refgraph.scan_module import until

n = T.iscalar("n")


def chain(**options):
    return scan(lambda h: h + 1, outputs_info=np.zeros(2), n_steps=n, **options)[0]


def kept(*outputs):
    """What each loop in the graph keeps of its states and records."""
    graph = only_what_is_read(Graph([n], outputs))
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
    graph = only_what_is_read(Graph([n], [h]))
    for node in graph.nodes:
        if isinstance(node.op, Scan):
            inner += [m.op.keep for m in node.op.graph.nodes if isinstance(m.op, Scan)]
            assert node.op.keep == (None,)
    assert inner == [(2,)]


def test_updates_keep_one_value():
    k = shared(np.zeros(2))
    _, updates = scan(lambda: {k: k + 1}, n_steps=n)
    f = function([n], updates=updates)
    assert [node.op.keep for node in f.graph.nodes if isinstance(node.op, Scan)] == [(1,)]


def test_a_graph_without_loops_stays():
    graph = Graph([n], [n + 1])
    assert only_what_is_read(graph) is graph
    whole = Graph([n], [chain()])
    assert only_what_is_read(whole) is whole


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
