"""What tools/accuracy.py measures of vector_trig.h and vector_gamma.h."""

from __future__ import annotations

import math
from typing import Any

from accuracy import Function

TRIG, GAMMA = "vector_trig.h", "vector_gamma.h"


def digamma(x: float) -> Any:
    """psi(x) as mpmath knows it, with SciPy's values at the ends and poles."""
    from mpmath import mp

    if x == 0:
        return mp.mpf(-math.copysign(math.inf, x))
    if math.isnan(x) or (x < 0 and (math.isinf(x) or x == math.floor(x))):
        return mp.nan
    return mp.digamma(mp.mpf(x))


FUNCTIONS = [
    Function("sin", "sinl(x)", ((-100, 100),), header=TRIG),
    Function("cos", "cosl(x)", ((-100, 100),), header=TRIG),
    Function("tan", "tanl(x)", ((-100, 100),), header=TRIG),
    Function("asin", "asinl(x)", ((-1, 1),), header=TRIG),
    Function("acos", "acosl(x)", ((-1, 1),), header=TRIG),
    Function("atan", "atanl(x)", ((-8, 8),), header=TRIG),
    Function("atan2", "atan2l(x, y)", ((-8, 8), (-8, 8)), header=TRIG),
    Function("lgamma", "lgammal(x)", ((0, 10),), 4.0, header=GAMMA),
    Function("tgamma", "tgammal(x)", ((0, 172),), 4.0, header=GAMMA),
    Function("digamma", digamma, ((0, 10),), 4.0, header=GAMMA),
]
