"""Who may share memory with whom."""

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.alias import Memory, overlapping, viewed
from refgraph.core.graph import Graph
from refgraph.ops.tensor import TensorType

matrix = TensorType("float64", (None, None))


class Views(rg.Op):
    """Two outputs that may lie in the memory of the first of two inputs."""

    views = (0,)

    def infer(self, x, y):
        return x.type, x.type


def memory(inputs, outputs):
    found = Memory(Graph(inputs, outputs))
    return [found.origins([out]) for out in outputs]


def test_inputs_constants_and_results_are_their_own():
    x, c = matrix("x"), T.constant(1.0)
    y = T.exp(x)
    assert memory([x], [x, c, y]) == [{x}, {c}, {y}]


def test_views_reach_back_through_views():
    x, y = matrix("x"), matrix("y")
    z = T.exp(x)
    a, b = Views()(z, y)
    c, _ = Views()(a, b)
    assert memory([x, y], [a, b, c]) == [{a, z}, {b, z}, {c, a, z}]


def test_an_input_in_the_middle_of_an_expression_is_an_input():
    x, y = matrix("x"), matrix("y")
    a, b = Views()(x, y)
    assert memory([a, x, y], [a, b]) == [{a}, {b, x}]


def test_claiming_tells_what_was_taken_before():
    x = matrix("x")
    z = T.exp(x)
    a, b = z[::-1], z.T
    found = Memory(Graph([x], [a, b]))
    taken = set(found.outside)
    assert found.claim(a, taken) == set()
    assert found.claim(b, taken) == {z}
    assert found.claim(b, taken) == {b}
    assert taken == {x, z, a, b}
    assert [found.may_be_view(v) for v in (x, z, a, b)] == [False, False, True, True]


def test_claiming_a_whole_chain_of_views_looks_at_each_step_once():
    class Counting(dict):
        looks = 0

        def get(self, *args):
            self.looks += 1
            return super().get(*args)

    chain = [matrix("x")]
    for _ in range(500):
        chain.append(chain[-1][::-1])
    found = Memory(Graph(chain[:1], chain))
    found._viewed = Counting(found._viewed)
    taken = set()
    for v in reversed(chain):
        found.claim(v, taken)
    assert taken == set(chain)
    assert found._viewed.looks == len(chain)


def test_inputs_that_outputs_view_are_numbered():
    x, y, z = matrix("x"), matrix("y"), matrix("z")
    assert viewed(Graph([x, y, z], [x * 2, z.T, x])) == (0, 2)


def test_outputs_that_overlap_beyond_the_inputs_are_found():
    x, c = matrix("x"), T.constant([[1.0]])
    y = T.exp(x)
    assert overlapping(Graph([x], [x, x.T, y, c, y.T])) == [False, False, False, True, True]
