"""Cases made from the rewrite rules that are pairs, and checks that hold each to its word. Nothing here names a rule.

What a pair promises: wherever what stands before has a finite value, what stands after has it, too, of the same dtype;
and so have the derivatives. The judge is exact arithmetic (`refgraph.testing.exact`), where that knows the ops; else
what stands before, as the interpreter computes it.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from refgraph.autodiff.reverse import pullback
from refgraph.core.errors import DTypeError
from refgraph.core.graph import Graph, Variable
from refgraph.core.types import NullType
from refgraph.interp.evaluate import evaluate
from refgraph.ops.elementwise import fill
from refgraph.ops.families import Reals
from refgraph.ops.tensor import TensorType, TensorVariable, as_tensor
from refgraph.rewrite.engine import rewrite
from refgraph.rewrite.rule import RULES, PairRule, Rule
from refgraph.testing.cases import draw
from refgraph.testing.exact import exact

Array = np.ndarray[Any, Any]

_DTYPES = ("float16", "float32", "float64", "complex128", "int64", "int8", "uint8", "bool")
_FALLBACK = {"f": "float64", "i": "int64", "u": "uint8", "b": "bool", "c": "complex128"}
_EVERYWHERE = (0.0, -0.0, 1e-20, -1e-20, 1e-4, 0.3, -0.3, 1.0, -1.0, 2.5, -2.5, 19.0, -19.0, 90.0, -90.0, 800.0, -800.0)
"""Besides its domain a rule is tried here: no finite right answer may become a wrong one."""
_DRAWN = 8  # points of the domain for each hole
_POINTS = 48  # combinations, where there are several holes
_ULPS = 128  # roundings that either side may have
_COARSEST = 0.01  # relative, where so many roundings are more
_WRONG = 1e-3  # relative: what stands before is wrong there


class RuleCase(NamedTuple):
    """A pair, with a dtype for each hole."""

    rule: PairRule
    dtypes: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.rule.name}-{'-'.join(dict.fromkeys(self.dtypes))}"


def pairs(rules: Iterable[Rule] | None = None) -> list[PairRule]:
    """The rules that are pairs: of these, or of all that are known."""
    return [r for r in (RULES.values() if rules is None else rules) if isinstance(r, PairRule)]


def rule_cases(rules: Iterable[Rule] | None = None) -> Iterator[RuleCase]:
    """Every pair, in every dtype that its holes and its ops accept, where both sides have one dtype.

    rules: by default all that are known; `refgraph.rewrite.select.load()` makes ours known.
    """
    for rule in pairs(rules):
        for case in dict.fromkeys([_case_in(dtype, rule) for dtype in _DTYPES if _fits(dtype, rule.on)]):
            if _applies(case):
                yield case


def _fits(dtype: str, on: Sequence[Reals]) -> bool:
    return any(np.dtype(dtype).kind in domain.kinds for domain in on)


def _case_in(dtype: str, rule: PairRule) -> RuleCase:
    """A pair in a dtype, where its holes may have it, and in what they may have where not."""
    return RuleCase(rule, tuple([_beside(dtype, on) for on in rule.on]))


def _beside(dtype: str, on: Reals) -> str:
    return dtype if np.dtype(dtype).kind in on.kinds else _FALLBACK[on.kinds[-1]]


def _applies(case: RuleCase) -> bool:
    """Whether both sides have one dtype; where `before` itself has no meaning there is nothing to rewrite."""
    holes = _vectors(case)
    try:
        before = case.rule.written(holes)
    except DTypeError:
        return False
    try:
        after = case.rule.made(holes)
    except DTypeError:
        return True  # the checks say so
    return not isinstance(after, Variable) or after.type.dtype == before.type.dtype  # type: ignore[attr-defined]  # tensors


def _vectors(case: RuleCase, length: int | None = None) -> list[TensorVariable]:
    return [TensorType(dtype, (length,))(f"x{i}") for i, dtype in enumerate(case.dtypes)]


class _Run:
    """Both sides of a pair at many points."""

    def __init__(self, case: RuleCase, wide: bool = False, at: Sequence[float] | None = None) -> None:
        self.case, self.rule = case, case.rule
        with np.errstate(over="ignore"):
            given = None if at is None else [np.array([p], dtype) for p, dtype in zip(at, case.dtypes, strict=True)]
        self.arrays = _points(case, wide) if given is None else given
        self.holes = _vectors(case, len(self.arrays[0]))  # of known length: no derivative is summed
        self.before: TensorVariable = case.rule.written(self.holes)
        self.after: TensorVariable = as_tensor(case.rule.made(self.holes))
        self.is_real = all(np.dtype(d).kind != "c" for d in case.dtypes)

    def values(self, *outputs: Any) -> list[Array]:
        found = evaluate(outputs, dict(zip(self.holes, self.arrays, strict=True)))
        shape = self.arrays[0].shape
        return [np.broadcast_to(np.asarray(v), shape) for v in found]

    @cached_property
    def points(self) -> list[tuple[Any, ...]]:
        return list(zip(*self.arrays, strict=True))


def _points(case: RuleCase, wide: bool) -> list[Array]:
    """One array for each hole: numbers of its domain, and with `wide` numbers from everywhere; in all combinations, or
    in many of them."""
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    columns = []
    for domain, dtype in zip(case.rule.on, case.dtypes, strict=True):
        inside = [e for e in domain.edges if domain.low <= e <= domain.high]
        drawn = draw(rng, domain, (_DRAWN,), dtype)
        extra = [*inside, *(_EVERYWHERE if wide else ())]
        columns.append(np.concatenate([drawn, _as(np.array(extra), dtype)]))
    if len(columns) == 1:
        return columns
    chosen = [rng.integers(0, len(c), _POINTS) for c in columns]
    spread = [c[i] for c, i in zip(columns, chosen, strict=True)]
    if wide:  # equal numbers, and each of everywhere beside one of the domain
        same = columns[0][: len(_EVERYWHERE)].astype(case.dtypes[0])
        spread = [np.concatenate([s, _as(same, d)]) for s, d in zip(spread, case.dtypes, strict=True)]
    return spread


def _as(values: Array, dtype: str) -> Array:
    """Numbers in a dtype; those that it does not have are left out by taking 0 in their place."""
    if np.dtype(dtype).kind in "biu":
        info = np.iinfo("int8" if dtype == "bool" else dtype)
        real = np.real(values)
        fits = np.isfinite(real) & (real >= info.min) & (real <= info.max)
        return np.where(fits, real, 0).astype(dtype)
    return values.astype(dtype)


def check_values(case: RuleCase) -> None:
    """Where what stands before has a finite value, what stands after has it."""
    run = _Run(case, wide=True)
    before, after = run.values(run.before, run.after)
    loose = case.rule.phase != "stable" or before.dtype.kind not in "fc"  # of these no better is asked than what was
    for point, old, new in zip(run.points, before, after, strict=True):
        want = _exact(run, run.before, point)
        if want is not None and _is_number(want, before.dtype):
            if _close(new, want, _allowed(run, run.before, point, want)):
                continue
            if loose and _equal(new, old):
                continue
            raise AssertionError(_told(case, point, old, new, want))
        if want is None:
            least = 0.0 if loose else 1.0  # where what stands before may have lost the digits of less
            assert not np.isfinite(old) or _equal(new, old, least), _told(case, point, old, new, want)


def check_gradients(case: RuleCase) -> None:
    """Where the derivatives of what stands before have finite values, what stands after has the same derivatives."""
    run = _Run(case)
    if not run.before.type.is_continuous or not run.is_real or "float16" in case.dtypes:  # which could tell little
        return
    wrt = [x for x in run.holes if x.type.is_continuous]
    sides = [pullback([side], [fill(side, 1.0)], wrt) for side in (run.before, run.after)]
    for i, (old_g, new_g) in enumerate(zip(*sides, strict=True)):
        if not isinstance(old_g, Variable) or isinstance(old_g.type, NullType):
            continue
        g = new_g if isinstance(new_g, Variable) else 0 * run.holes[0]
        before, after = run.values(old_g, g)
        rounding = (
            64 * float(np.finfo(before.dtype).eps) * float(np.max(np.abs(after), initial=0, where=np.isfinite(after)))
        )
        for point, old, new in zip(run.points, before, after, strict=True):
            want = _exact(run, old_g, point)
            want = float(old) if want is None else want
            if _is_number(want, before.dtype):
                allowed = rounding + 64 * _allowed(run, old_g, point, want)
                assert _close(new, want, allowed), f"the derivative by hole {i}: {_told(case, point, old, new, want)}"


def check_fails(rule: PairRule) -> None:
    """At its points what stands before fails, in float32 or float64, and what stands after is right, in both."""
    for point in rule.fails:
        failed = []
        for dtype in ("float32", "float64"):
            case = _case_in(dtype, rule)
            run = _Run(case, at=point)
            (old,), (new,) = run.values(run.before, run.after)
            want = _limit(run, run.points[0])
            if want is None or not _is_number(want, np.dtype(dtype)):
                continue
            assert _close(new, want, _allowed(run, run.before, run.points[0], want)), _told(case, point, old, new, want)
            failed.append(not np.isfinite(old) or abs(float(old) - want) > _WRONG * abs(want))
        assert any(failed), f"{rule.name} at {point}: what stands before is right there"


def fails_somewhere(rule: PairRule) -> bool:
    """Whether there is a point at which what stands before fails: the reason of a stable rule."""
    if rule.fails:
        return True  # as check_fails finds
    for dtype in ("float32", "float64"):
        run = _Run(_case_in(dtype, rule), wide=True)
        for point, old in zip(run.points, run.values(run.before)[0], strict=True):
            want = _exact(run, run.before, point)
            if want is not None and _is_number(want, np.dtype(dtype)):
                if not np.isfinite(old) or abs(float(old) - want) > _WRONG * abs(want):
                    return True
    return False


def check_applies(case: RuleCase, rules: Iterable[Rule] | None = None) -> None:
    """Among these rules, or all that are known, the engine finds what the rule looks for: no other one comes before it.

    It does so for shapes that are known, that are not, and that have no axes; what comes out has the type of what was.
    """
    rules = list(RULES.values()) if rules is None else list(rules)
    for shape in ((3,), (None, None), ()):
        holes = [TensorType(dtype, shape)(f"x{i}") for i, dtype in enumerate(case.dtypes)]
        before = case.rule.written(holes)
        noted: list[Rule] = []
        (after,) = rewrite(Graph(holes, [before]), rules, lambda rule, *_, noted=noted: noted.append(rule)).outputs
        others = ", ".join(r.name for r in noted)
        assert case.rule in noted, f"{case.id}, {shape}: the rule is not applied; others are: {others or 'none'}"
        assert after.type.dtype == before.type.dtype, f"{case.id}: {after.type} for {before.type}"  # type: ignore[attr-defined]  # tensors
        arrays = [np.ones(tuple([2 if n is None else n for n in shape]), dtype) for dtype in case.dtypes]
        old, new = [np.asarray(evaluate([out], dict(zip(holes, arrays, strict=True)))[0]) for out in (before, after)]
        assert (new.dtype, new.shape) == (old.dtype, old.shape), (
            f"{case.id}: {new.dtype}{new.shape} for {old.dtype}{old.shape}"
        )


def check_broadcasts(case: RuleCase, rules: Iterable[Rule] | None = None) -> None:
    """Where holes have shapes that broadcast, known or not, the shape stays."""
    rules = list(RULES.values()) if rules is None else list(rules)
    shapes = list(itertools.islice(itertools.cycle(((3, 1), (1, 4), (4,))), len(case.dtypes)))
    rng = np.random.default_rng(0)
    arrays = [draw(rng, on, s, d) for on, s, d in zip(case.rule.on, shapes, case.dtypes, strict=True)]
    for known in (False, True):
        holes = [
            TensorType(dtype, s if known else (None,) * len(s))(f"x{i}")
            for i, (dtype, s) in enumerate(zip(case.dtypes, shapes, strict=True))
        ]
        before = case.rule.written(holes)
        (after,) = rewrite(Graph(holes, [before]), rules).outputs
        old, new = [np.asarray(evaluate([out], dict(zip(holes, arrays, strict=True)))[0]) for out in (before, after)]
        assert (new.dtype, new.shape) == (old.dtype, old.shape), f"{case.id}: {new.shape} for {old.shape}"


def _limit(run: _Run, point: Sequence[Any]) -> Any:
    """The exact value of what stands before; where it has none, 0 times an infinity, of what stands after."""
    want = _exact(run, run.before, point)
    return _exact(run, run.after, point) if want is not None and np.isnan(float(want)) else want


def _exact(run: _Run, out: Variable, point: Sequence[Any]) -> Any:
    """The exact value; None where it cannot be computed."""
    if not run.is_real:
        return None
    try:
        return exact(out, dict(zip(run.holes, point, strict=True)))
    except NotImplementedError:
        return None


def _allowed(run: _Run, out: Any, point: Sequence[Any], want: Any) -> Any:
    """What rounding may do: some units in the last place, and as much as the value moves when the point is rounded."""
    dtype = np.dtype(out.type.dtype) if out.type.is_continuous else np.dtype("float64")
    info = np.finfo(dtype)
    eps = float(info.eps)
    allowed = min(_ULPS * eps, _COARSEST) * abs(want) + float(info.tiny)
    for i, x in enumerate(point):
        if np.asarray(x).dtype.kind != "f" or not x:
            continue
        for sign in (1, -1):
            near = [float(p) * (1 + sign * eps) if i == j else p for j, p in enumerate(point)]
            moved = _exact(run, out, near)
            if moved is not None and np.isfinite(float(moved)):
                allowed += 4 * abs(moved - want)
    return allowed


def _is_number(want: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the value is finite, also in this dtype."""
    largest = np.finfo(dtype).max if dtype.kind == "f" else np.inf
    return bool(np.isfinite(float(want))) and abs(want) < largest / 4


def _close(value: Any, want: Any, allowed: Any) -> bool:
    return bool(np.isfinite(value)) and abs(_number(value) - want) <= allowed


def _number(value: Any) -> Any:
    import mpmath

    return mpmath.mpf(float(value))


def _equal(new: Any, old: Any, least: float = 0.0) -> bool:
    """Whether two computed values are the same but for rounding, of them or of `least`."""
    if new == old or (np.isnan(new) and np.isnan(old)):
        return True
    if np.asarray(old).dtype.kind not in "fc":
        return False
    info = np.finfo(np.asarray(old).dtype)
    return bool(abs(new - old) <= _ULPS * float(info.eps) * max(abs(old), least) + float(info.tiny))


def _told(case: RuleCase, point: Sequence[Any], old: Any, new: Any, want: Any) -> str:
    at = ", ".join(repr(p) for p in point)
    exactly = "" if want is None else f", exactly {float(want)!r}"
    return f"{case.id} at ({at}): {old!r} before, {new!r} after{exactly}"
