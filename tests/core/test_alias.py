"""Who may share memory with whom."""

import refgraph as rg
import refgraph.tensor as T
from refgraph.core.alias import origins_of_memory
from refgraph.core.graph import Graph
from refgraph.ops.tensor import TensorType

matrix = TensorType("float64", (None, None))


class Views(rg.Op):
    """Two outputs that may lie in the memory of the first of two inputs."""

    views = (0,)

    def infer(self, x, y):
        return x.type, x.type


def memory(inputs, outputs):
    found = origins_of_memory(Graph(inputs, outputs))
    return [found[out] for out in outputs]


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
