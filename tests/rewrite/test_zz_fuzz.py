import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refgraph.rewrite import canonical, choices, specialize, terms
from tests.rewrite.forms import declared_in
from tests.rewrite.test_random_graphs import Maker, check
R = declared_in(canonical, terms, choices, specialize)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mine(dtype, data):
    graph, arrays = Maker(data, dtype).graph()
    check(graph, arrays, R)
