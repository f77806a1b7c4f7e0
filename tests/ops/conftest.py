"""What tests of several families of ops draw from."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refgraph.testing.checks import variable

LENGTHS = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@st.composite
def _array_and_variable(draw):
    shape = draw(LENGTHS)
    known = [n if draw(st.booleans()) else None for n in shape]
    array = np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape)
    return array, variable(*known)


@pytest.fixture(scope="session")
def arrays():
    """To draw from: an array of different numbers, and a variable for it of which each length is known or not."""
    return _array_and_variable()
