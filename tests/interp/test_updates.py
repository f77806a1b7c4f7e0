"""OrderedUpdates: gathered in order, refused at once."""

import pytest

from refgraph.core.errors import UpdateError
from refgraph.interp.function import function
from refgraph.interp.shared import shared
from refgraph.interp.updates import OrderedUpdates
from refgraph.ops.variables import dvector


def test_updates_are_joined_in_order():
    a, b = shared(1.0), shared(2.0)
    first = OrderedUpdates({a: a + 1})
    both = first + OrderedUpdates([(b, b * 2)])

    assert list(first) == [a]
    assert list(both) == [a, b]
    assert list({b: 2.0} + first) == [b, a]
    assert type(both) is type(both.copy()) is OrderedUpdates


def test_functions_make_them():
    a, b = shared(1.0), shared(2.0)
    function([], [], updates=OrderedUpdates([(a, b), (b, a)]))()

    assert [a.get_value(), b.get_value()] == [2, 1]


def test_a_variable_has_one_update():
    a = shared(1.0)
    updates = OrderedUpdates({a: a + 1})
    updates.update(updates.copy())
    updates[a] = again = a + 2

    assert updates[a] is again
    with pytest.raises(UpdateError, match="two updates of"):
        updates.update({a: a + 3})
    with pytest.raises(UpdateError, match="two updates of"):
        updates + {a: a + 3}


@pytest.mark.parametrize("key", [dvector("v"), "a", None])
def test_only_shared_variables_are_updated(key):
    with pytest.raises(UpdateError, match="shared variables"):
        OrderedUpdates()[key] = 1.0
    with pytest.raises(UpdateError, match="shared variables"):
        OrderedUpdates([(key, 1.0)])
