"""A refgraph backend that runs elementwise ops, and what is fused of them, through numexpr: a whole plugin."""

import re

import numexpr
import numpy as np

from refgraph.backend import Backend, Capabilities, Constant, Elemwise, Fused, Graph, hookimpl

NAMES = "abs ceil copysign cos cosh exp expm1 floor fmod hypot log log10 log1p log2 sin sinh sqrt tan tanh"
FROM_C = {"fabs": "abs", **{f"a{f}": f"arc{f}" for f in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")}}
KNOWN = {*NAMES.split(), *FROM_C.values()}

backend = Backend("numexpr", capabilities=Capabilities(dtypes=("bool", "float32", "float64")))


def written(op, operands):
    """An elementwise op as numexpr writes it; None where it cannot."""
    source = re.sub(r"[a-z]\w+", lambda word: FROM_C.get(word[0], word[0]), op.c)
    places = set(re.findall(r"{\w}", source))
    if len(places) < len(operands) or re.search("[?&|!~]", source) or set(re.findall(r"[a-z]\w+", source)) - KNOWN:
        return None
    return "(" + source.format(**dict(zip("xyw", operands, strict=False))) + ")"


@backend.kernel(Elemwise, Fused)
def kernel(node):
    """One call of numexpr for an op or for a fused group of them, without reductions."""
    graph = node.op.graph if isinstance(node.op, Fused) else Graph(node.inputs, node.outputs)
    names, constants = {x: f"x{i}" for i, x in enumerate(graph.inputs)}, {}
    for part in graph.nodes:
        for x in part.inputs:
            if isinstance(x, Constant) and x not in names:
                names[x] = f"c{len(constants)}"
                constants[names[x]] = x.value
        floats = all(x.type.dtype in ("float32", "float64") for x in part.inputs)
        text = written(part.op, [names[x] for x in part.inputs]) if isinstance(part.op, Elemwise) and floats else None
        if text is None:
            return f"numexpr has no {part.op} of {', '.join(x.type.dtype for x in part.inputs)}"
        names[part.outputs[0]] = text
    if len(graph.outputs) > 1 or len(names) > 30:
        return "numexpr answers one array, of some thirty"
    given, dtype = [names[x] for x in graph.inputs], node.outputs[0].type.dtype

    def run(*arrays):
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        if 0 in shape:  # numexpr 2.14 broadcasts (0, 1) and (0, 3) to (0, 1)
            return np.empty(shape, dtype)
        return np.asarray(numexpr.evaluate(text, dict(zip(given, arrays, strict=True)) | constants, {}), dtype)

    return run


@hookimpl
def refgraph_backend():
    return backend
