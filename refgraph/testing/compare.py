"""One way to compare arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

_RTOL = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12, "complex64": 4e-6, "complex128": 4e-12}


def assert_same(got: Any, want: Any, *, tolerance: float = 1.0, note: str = "") -> None:
    """Equal dtype, shape and values: exact where discrete, within a few roundings (times `tolerance`) where not."""
    got, want = np.asarray(got), np.asarray(want)
    found, wanted = f"{got.dtype}{list(got.shape)}", f"{want.dtype}{list(want.shape)}"
    if found != wanted:
        raise AssertionError(f"{note}: got {found}, want {wanted}")
    rtol = _RTOL.get(want.dtype.name, 0.0) * tolerance
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol, equal_nan=True, err_msg=note)
