import pytest
import refgraph.tensor as T
from .forms import assert_form
def test_a():
    x=T.dvector()
    assert_form(x+1, 1+x)
    with pytest.raises(AssertionError):
        assert_form(x+1, 2+x)
