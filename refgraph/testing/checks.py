"""What an op's declaration promises, checked: values, types, memory, derivatives of first and second order."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refgraph.autodiff.forward import pushforward
from refgraph.autodiff.reverse import pullback
from refgraph.core.errors import RefgraphError
from refgraph.core.graph import Constant, Variable, toposort
from refgraph.core.op import BadSample, GraphOp, Sample
from refgraph.core.types import NullType
from refgraph.interp.evaluate import evaluate, program
from refgraph.ops.scan import Scan
from refgraph.ops.tensor import TensorType, TensorVariable
from refgraph.ops.vectorize import vectorize
from refgraph.testing.cases import symbols
from refgraph.testing.compare import assert_same

Array = np.ndarray[Any, Any]

_FACTORS = (1, 1.125, 0.75)  # between the items of a batch
_STEP = 1e-3  # of a fourth-order central difference: truncation and rounding both stay near 1e-12 relative


def check_value(sample: Sample, known: bool) -> None:
    """The value is what the sample expects, its type is what was inferred, and memory is treated as declared."""
    variables = symbols(sample.inputs, known)
    outputs = _list(sample.build(*variables))
    got = watched_evaluate(outputs, dict(zip(variables, sample.inputs, strict=True)))
    if sample.expect is not None:
        want = _list(sample.expect(*sample.inputs))
        assert len(got) == len(want), f"{len(got)} outputs, want {len(want)}"
        for g, w in zip(got, want, strict=True):
            assert_same(g, w, note=sample.id)


def variable(*shape: int | None, dtype: str = "float64", name: str | None = None) -> TensorVariable:
    """A variable of this static shape."""
    return TensorType(dtype, shape)(name)


def symbol(array: Any, known: bool = False) -> TensorVariable:
    """A variable that stands for this array; with `known`, lengths are part of its type."""
    return symbols([array], known)[0]


def value_of(build: Callable[..., Any], *arrays: Any, known: bool = False) -> Any:
    """What `build` makes of variables for these arrays, evaluated and watched; a list where it makes several."""
    variables = symbols(arrays, known)
    built = build(*variables)
    found = watched_evaluate(_list(built), dict(zip(variables, map(np.asarray, arrays), strict=True)))
    return found if isinstance(built, (list, tuple)) else found[0]


def value_at(out: Variable, given: Mapping[Variable, Any] | None = None) -> Any:
    """The value of one variable where others have the values given, evaluated and watched."""
    return watched_evaluate([out], given or {})[0]


def check_equal(out: Variable, given: Mapping[Variable, Any], want: Any) -> None:
    """The value of one variable, watched, is exactly the one wanted, in dtype and shape too."""
    np.testing.assert_array_equal(value_at(out, given), want, strict=True)


def op_names(*outputs: Variable) -> list[str]:
    """Names of the ops that lead to these variables, in the order in which they run."""
    return [node.op.name for node in toposort(outputs)]


def watched_evaluate(outputs: Sequence[Variable], given: Mapping[Variable, Any]) -> list[Any]:
    """`evaluate`, holding every op to the types it infers, to leaving its inputs alone, to declaring its views."""
    values: dict[Variable, Any] = dict(given)

    def value(x: Variable) -> Any:
        return x.value if isinstance(x, Constant) else values[x]

    with np.errstate(all="ignore"):
        for node in toposort(outputs, values.keys()):
            args = [value(x) for x in node.inputs]
            kept = [np.array(a, copy=True) if isinstance(a, np.ndarray) else a for a in args]
            results = node.op.bind(node, program)(*args)
            results = list(results) if len(node.outputs) > 1 else [results]
            for a, b in zip(args, kept, strict=True):
                if isinstance(a, np.ndarray):
                    np.testing.assert_array_equal(a, b, err_msg=f"{node.op} changed its input", strict=True)
            for out, result in zip(node.outputs, results, strict=True):
                check_type(out, result, f"{node.op}")
                for i, a in enumerate(args):
                    if isinstance(a, np.ndarray) and i not in node.op.views and np.may_share_memory(a, result):
                        assert not np.shares_memory(a, result), (
                            f"{node.op}: a view of input {i} that `views` does not declare"
                        )
                values[out] = result
    return [value(x) for x in outputs]


def check_type(out: Any, value: Any, note: str) -> None:
    """A value has the inferred dtype, rank, and every known length."""
    shape = np.shape(value)
    fits = len(shape) == out.type.ndim and all(d is None or d == n for d, n in zip(out.type.shape, shape, strict=True))
    assert fits, f"{note}: inferred {out.type}, got shape {shape}"
    assert value.dtype.name == out.type.dtype, f"{note}: inferred {out.type}, got dtype {value.dtype}"


class Derivable:
    """A sample as a function of its differentiable inputs, with directions to move and to weigh."""

    def __init__(self, sample: Sample, known: bool = False) -> None:
        rng = np.random.default_rng(zlib.crc32(sample.id.encode()))
        self.arrays = list(sample.inputs)
        self.variables = symbols(self.arrays, known)
        outputs = _list(sample.build(*self.variables))
        self.outputs = [o for o in outputs if o.type.is_continuous]
        wanted = range(len(self.arrays)) if sample.differentiable is None else sample.differentiable
        self.wrt = [self.variables[i] for i in wanted if self.variables[i].type.is_continuous]
        values = self.run(self.outputs)
        self.weights = [random_like(rng, v) for v in values]
        self.seeds = [_fresh(o, "g") for o in self.outputs]
        found = pullback(self.outputs, self.seeds, self.wrt)
        keep = [i for i, g in enumerate(found) if isinstance(g, Variable) and not isinstance(g.type, NullType)]
        self.wrt, self.cotangents = [self.wrt[i] for i in keep], [found[i] for i in keep]
        given = dict(zip(self.variables, self.arrays, strict=True))
        self.moves = [random_like(rng, np.asarray(given[x])) for x in self.wrt]
        self.tangent_variables = [_fresh(x, "t") for x in self.wrt]

    def run(self, outputs: Sequence[Any], step: float = 0.0) -> list[Any]:
        """Values, with every wrt moved by `step` along its direction."""
        given: dict[Variable, Any] = dict(zip(self.variables, self.arrays, strict=True))
        if step:
            given.update((x, given[x] + step * t) for x, t in zip(self.wrt, self.moves, strict=True))
        for variables, values in (("seeds", "weights"), ("tangent_variables", "moves")):
            given.update(zip(getattr(self, variables, ()), getattr(self, values, ()), strict=True))
        return [np.asarray(v) for v in evaluate(outputs, given)]

    def slope(self, outputs: Sequence[Any]) -> list[Array]:
        """The derivative of outputs along the directions, by differences alone."""
        near = zip(self.run(outputs, _STEP), self.run(outputs, -_STEP), strict=True)
        far = zip(self.run(outputs, 2 * _STEP), self.run(outputs, -2 * _STEP), strict=True)
        return [(8 * (a - b) - (c - d)) / (12 * _STEP) for (a, b), (c, d) in zip(near, far, strict=True)]


def check_cotangent_types(sample: Sample) -> None:
    """Cotangents have the dtype of their variables and their shapes."""
    case = Derivable(sample)
    for x, g, value in zip(case.wrt, case.cotangents, case.run(case.cotangents), strict=True):
        check_type(g, value, "cotangent")
        array = case.arrays[case.variables.index(x)]
        want = f"{array.dtype}{list(array.shape)}"
        assert f"{value.dtype}{list(value.shape)}" == want, f"cotangent {value.dtype}{list(value.shape)} of {want}"


def check_transposes(sample: Sample, known: bool = False) -> None:
    """<g, J t> = <J' g, t>: two derivations of one op agree, with no step size to tune."""
    case = Derivable(sample, known)
    tangents = pushforward(case.outputs, case.wrt, case.tangent_variables)
    forward = _inner(case, tangents, case.weights)
    backward = _inner(case, case.cotangents, case.moves)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-9, err_msg=sample.id)


def check_differences(sample: Sample) -> None:
    """The forward derivative is what differences of the value say."""
    case = Derivable(sample)
    tangents = pushforward(case.outputs, case.wrt, case.tangent_variables)
    _agree(case, tangents, case.outputs, sample.id)


def check_second_order(sample: Sample) -> None:
    """The derivative of the gradient, both ways, is what differences of the gradient say."""
    case = Derivable(sample)
    curves = pushforward(case.cotangents, case.wrt, case.tangent_variables)
    _agree(case, curves, case.cotangents, f"{sample.id}, second order")
    seeds = [_fresh(g, "u") for g in case.cotangents]
    twice = pullback(case.cotangents, seeds, case.wrt)
    rng = np.random.default_rng(0)
    weights = [random_like(rng, v) for v in case.run(case.cotangents)]
    case.seeds, case.weights = case.seeds + seeds, case.weights + weights
    forward, backward = _inner(case, curves, weights), _inner(case, twice, case.moves)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-9, err_msg=f"{sample.id}, second order transposes")


def check_batched(sample: Sample, known: bool = False) -> list[str]:
    """For many items at once there comes what comes of each, whichever inputs have items: some are chosen by chance, of
    those that are continuous where there are such. Answers the loops over items that this takes.
    """
    rng = np.random.default_rng(zlib.crc32(sample.id.encode()))
    arrays = [np.asarray(a) for a in sample.inputs]
    variables = symbols(arrays, known)
    outputs = _list(sample.build(*variables))
    wanted = [i for i, a in enumerate(arrays) if a.dtype.kind in "fc"] or range(len(arrays))
    chosen = [i for i in wanted if rng.integers(2)] or [int(i) for i in rng.permutation(wanted)[:1]]
    items = [[_item(a, k) if i in chosen else a for i, a in enumerate(arrays)] for k in range(len(_FACTORS))]
    many: dict[Variable, Any] = {variables[i]: _many(variables[i]) for i in chosen}
    found = vectorize(outputs, many)
    for out, z in zip(outputs, found, strict=True):
        lengths = z.type.shape[z.type.ndim - out.type.ndim :]
        assert z.type.dtype == out.type.dtype, f"{sample.id}: {z.type} for items of {out.type}"
        assert all(m is None or m == n for m, n in zip(out.type.shape, lengths, strict=True)), (
            f"{sample.id}: {z.type} does not know the lengths of {out.type}"
        )
    looped = _added_loops(found, outputs)
    wants = [evaluate(outputs, dict(zip(variables, item, strict=True))) for item in items]
    if any(np.shape(v) != np.shape(w) for values in wants[1:] for v, w in zip(values, wants[0], strict=True)):
        items, wants = items[:1] * len(items), wants[:1] * len(items)  # the numbers decide how many come out
    for count in (
        len(items),
        1,
        *([] if looped else [0]),
    ):  # an op that is looped over nothing may refuse the zeros it is tried on
        given: dict[Variable, Any] = dict(zip(variables, arrays, strict=True))
        for i in chosen:
            given[many[variables[i]]] = np.stack([item[i] for item in items])[:count]
        for out, z, got, *want in zip(outputs, found, watched_evaluate(found, given), *wants, strict=True):
            is_many = z.type.ndim > out.type.ndim
            assert_same(got, np.stack(want)[:count] if is_many else want[0], tolerance=16, note=f"{sample.id}, {count}")
    return looped


def check_batched_pullback(sample: Sample) -> list[str]:
    """Many cotangents at once, as for a Jacobian, are pulled back to what comes of each. Answers as there."""
    case = Derivable(sample)
    many = {seed: _many(seed) for seed in case.seeds}
    found = vectorize(case.cotangents, many)
    wants = []
    given: dict[Variable, Any] = dict(zip(case.variables, case.arrays, strict=True))
    given.update(
        (many[seed], np.stack([_item(w, k) for k in range(3)]))
        for seed, w in zip(case.seeds, case.weights, strict=True)
    )
    for k in range(len(_FACTORS)):
        given.update((seed, _item(w, k)) for seed, w in zip(case.seeds, case.weights, strict=True))
        wants.append(evaluate(case.cotangents, given))
    for x, z, got, *want in zip(case.wrt, found, watched_evaluate(found, given), *wants, strict=True):
        is_many = z.type.ndim > x.type.ndim
        assert_same(got, np.stack(want) if is_many else want[0], tolerance=16, note=f"{sample.id}, by {x}")
    return _added_loops(found, case.cotangents)


def loops(*outputs: Variable) -> list[str]:
    """Names of the loops that lead to these variables, and of those within what ops hold."""
    found = []
    for node in toposort(outputs):
        found += [node.op.name] if isinstance(node.op, Scan) else []
        for graph in node.op.graphs if isinstance(node.op, GraphOp) else ():
            found += loops(*graph.outputs)
    return found


def _added_loops(many: Sequence[Any], single: Sequence[Any]) -> list[str]:
    """The loops of a computation with many items that the same with a single one does not have."""
    return sorted((Counter(loops(*many)) - Counter(loops(*single))).elements())


def _many(x: TensorVariable) -> TensorVariable:
    """A variable for many of x."""
    return variable(None, *x.type.shape, dtype=x.type.dtype, name=f"many_{x.name}")


def _item(array: Array, k: int) -> Array:
    """The input of item number k: other numbers of the same signs, in the same order; the same ones where discrete."""
    with np.errstate(all="ignore"):
        return np.asarray(array * _FACTORS[k]).astype(array.dtype) if array.dtype.kind in "fc" else array


def check_refused(bad: BadSample, raises: Callable[..., Any]) -> None:
    """A bad use raises what it says, when the graph is built or else when it runs."""
    variables = symbols(bad.inputs)
    with raises(bad.error) as caught:
        evaluate(_list(bad.build(*variables)), dict(zip(variables, bad.inputs, strict=True)))
    error = caught.value  # its own words, without the source line that it quotes
    said = " ".join([error.message, error.why, error.help]) if isinstance(error, RefgraphError) else str(error)
    assert bad.says in said, f"{bad.says!r} is not said in: {said}"


def random_like(rng: np.random.Generator, value: Any) -> Array:
    """Normal numbers in the shape and dtype of `value`, complex where it is."""
    parts = rng.standard_normal(np.shape(value))
    if value.dtype.kind == "c":
        return np.asarray(parts + 1j * rng.standard_normal(np.shape(value))).astype(value.dtype)
    return np.asarray(parts).astype(value.dtype)


def _agree(case: Derivable, tangents: Sequence[Any], outputs: Sequence[Any], note: str) -> None:
    live = [isinstance(t, Variable) for t in tangents]
    got = iter(case.run([t for t, yes in zip(tangents, live, strict=True) if yes]))
    for out, yes, want in zip(outputs, live, case.slope(outputs), strict=True):
        found = next(got) if yes else np.zeros_like(want)
        scale = np.max(np.abs(want), initial=1.0)
        np.testing.assert_allclose(found, want, rtol=2e-6, atol=2e-7 * scale, err_msg=f"{note}: {out}")


def _inner(case: Derivable, variables: Sequence[Any], weights: Sequence[Array]) -> float:
    """Re <weights, values>, where an entry that is not a variable is zero."""
    pairs = [(v, w) for v, w in zip(variables, weights, strict=True) if isinstance(v, Variable)]
    values = case.run([v for v, _ in pairs])
    return float(sum(np.real(np.sum(np.conj(w) * v)) for v, (_, w) in zip(values, pairs, strict=True)))


def _fresh(x: Any, name: str) -> Any:
    return x.type.variable(name=f"{name}_{x.name or x.index}")


def _list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
