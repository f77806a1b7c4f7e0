"""A refgraph backend that runs elementwise ops through numexpr: a whole plugin."""

import re

import numexpr
import numpy as np

from refgraph.backend import Backend, Capabilities, Elemwise, hookimpl

NAMES = "abs ceil copysign cos cosh exp expm1 floor fmod hypot log log10 log1p log2 sin sinh sqrt tan tanh"
FROM_C = {"fabs": "abs", **{f"a{f}": f"arc{f}" for f in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")}}
KNOWN = {*NAMES.split(), *FROM_C.values()}

backend = Backend("numexpr", capabilities=Capabilities(dtypes=("bool", "float32", "float64")))


@backend.kernel(Elemwise)
def elementwise(node):
    """One call of numexpr, of the op's text in C; declines what numexpr has no function for, and all but floats."""
    text = re.sub(r"[a-z]\w+", lambda word: FROM_C.get(word[0], word[0]), node.op.c)
    whole = len(set(re.findall(r"{\w}", text))) == len(node.inputs)  # where each operand occurs, shapes come out right
    if not whole or re.search("[?&|!~]", text) or set(re.findall(r"[a-z]\w+", text)) - KNOWN:
        return f"numexpr has no {node.op}"
    if any(x.type.dtype not in ("float32", "float64") for x in node.inputs):
        return "numexpr has dtypes of its own for other numbers"
    source, dtype = text.format(x="x", y="y", w="w"), node.outputs[0].type.dtype

    def run(*arrays):
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        if 0 in shape:  # numexpr 2.14 broadcasts (0, 1) and (0, 3) to (0, 1)
            return np.empty(shape, dtype)
        return np.asarray(numexpr.evaluate(source, dict(zip("xyw", arrays, strict=False)), {}), dtype)

    return run


@hookimpl
def refgraph_backend():
    return backend
