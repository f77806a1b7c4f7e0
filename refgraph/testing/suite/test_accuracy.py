"""L1: transcendental ops against values of higher precision, where it counts: near zeros, in tails, at the borders.

So no library of mathematics, the interpreter's included, is the judge. Where the interpreter is off, a backend may be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refgraph.core.op import OPS
from refgraph.interp.backends import Backend
from refgraph.ops.tensor import FLOATS
from refgraph.testing.cases import symbols
from refgraph.testing.stored import assert_accurate, stored, transcendental
from refgraph.testing.suite.running import on, tolerance

pytestmark = pytest.mark.refgraph_level(1)

_USES = [(name, dtype) for name in transcendental() for dtype in FLOATS if stored(name, dtype) is not None]


@pytest.mark.parametrize(("name", "dtype"), _USES)
def test_stored_values_are_met(name: str, dtype: str, backend: Backend, record: Any) -> None:
    known = stored(name, dtype)
    assert known is not None, f"nothing is stored of {name} in {dtype}"
    op, inputs = OPS[name], symbols(known.inputs)
    f = on(backend, inputs, [op(*inputs)])
    record.ran(f.report(), name, dtype)
    (got,) = f(*[np.array(a) for a in known.inputs])
    assert_accurate(got, name, dtype, tolerance(backend, op, got.dtype.name, record).ulp, f"{name} in {dtype}")
