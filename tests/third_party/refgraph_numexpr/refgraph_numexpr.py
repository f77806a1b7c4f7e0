"""A refgraph backend that runs elementwise ops, and what is fused of them, through numexpr: a whole plugin."""

import re

import numexpr
import numpy as np

from refgraph.backend import Backend, Capabilities, Constant, Elemwise, Fused, hookimpl

C_NAMES = {"fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"}
C_NAMES |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
SAME = set("abs ceil copysign cos cosh exp expm1 floor fmod hypot log log10 log1p log2 sin sinh sqrt tan tanh".split())

backend = Backend("numexpr", capabilities=Capabilities(dtypes=("bool", "float32", "float64")))


@backend.kernel(Elemwise, Fused)
def kernel(node):
    """One call of numexpr for an op or a fused group; declines what numexpr cannot say, reductions too."""
    graph = node.op.graph if isinstance(node.op, Fused) else None
    names = {x: f"x{i}" for i, x in enumerate(graph.inputs if graph else node.inputs)}
    given = list(names.values()) if graph else [f"x{i}" for i in range(len(node.inputs))]
    constants = {}
    for part in graph.nodes if graph else [node]:
        for x in part.inputs:
            if isinstance(x, Constant) and x not in names:
                names[x] = f"c{len(constants)}"
                constants[names[x]] = x.value
        source = re.sub(r"[a-z]\w+", lambda m: C_NAMES.get(m[0], m[0]), getattr(part.op, "c", ""))
        unsaid = not source or re.search("[?&|!~]", source) or not set(re.findall(r"[a-z]\w+", source)) <= SAME
        if unsaid or len(set(re.findall(r"{\w}", source))) < len(part.inputs):
            return f"numexpr has no {part.op}"
        if any(x.type.dtype == "bool" for x in part.inputs):
            return "numexpr does not compute with bool as NumPy does"
        operands = [names[x] for x in part.inputs] if graph else given
        names[part.outputs[0]] = "(" + source.format(**dict(zip("xyw", operands, strict=False))) + ")"
    if len(node.outputs) > 1 or len(given) + len(constants) > 30:
        return "numexpr answers one array, of at most 31"
    text, dtype = names[(graph or node).outputs[0]], node.outputs[0].type.dtype

    def run(*arrays):
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        if 0 in shape:  # numexpr 2.14 broadcasts (0, 1) and (0, 3) to (0, 1)
            return np.empty(shape, dtype)
        return np.asarray(numexpr.evaluate(text, dict(zip(given, arrays, strict=True)) | constants, {}), dtype)

    return run


@hookimpl
def refgraph_backend():
    return backend
