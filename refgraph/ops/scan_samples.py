"""Loops for the suites to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refgraph.core.errors import DomainError, DTypeError, GraphTypeError, ShapeError
from refgraph.core.op import BadSample, Sample
from refgraph.ops.elementwise import tanh
from refgraph.ops.linalg import dot
from refgraph.ops.scan import Loop, as_state, map_graph

Step = Callable[..., Any]


def looped(
    step: Step,
    n: Any,
    sequences: Sequence[Any] = (),
    initials: Sequence[tuple[Any, tuple[int, ...]]] = (),
    keep: Sequence[int | None] | None = None,
    truncate: int = -1,
) -> list[Any]:
    """What a loop puts out: `step` of items and of each state's values makes (new values, records[, the condition])."""
    loop = Loop(n)
    kept = list(keep or [])
    items = [loop.item(s) for s in sequences]
    states = [loop.state(x, taps, keep=kept[i] if kept else None) for i, (x, taps) in enumerate(initials)]
    news, records, *until = step(*items, *[x for s in states for x in s.reads])
    for state, new in zip(states, news, strict=True):
        state.new = as_state(new, state.reads[0])
    for i, x in enumerate(records, len(states)):
        loop.record(x, kept[i] if kept else None)
    loop.until = until[0] if until else None
    return list(loop.node(truncate).outputs)


def ran(step: Step, n: int, sequences: Sequence[Any] = (), initials: Sequence[Any] = ()) -> list[Any]:
    """The same in NumPy."""
    buffers = [list(x) for x, _ in initials]
    recorded: list[list[Any]] = []
    for t in range(n):
        reads = [b[-k] for b, (_, taps) in zip(buffers, initials, strict=True) for k in taps]
        news, records, *until = step(*[s[t] for s in sequences], *reads)
        for b, new in zip(buffers, news, strict=True):
            b.append(new)
        recorded = recorded or [[] for _ in records]
        for column, x in zip(recorded, records, strict=True):
            column.append(x)
        if until and until[0]:
            break
    return [*map(np.array, buffers), *map(np.array, recorded)]


def samples() -> Iterator[Sample]:
    yield from _recurrent()
    yield from _ended()
    yield from _mapped()


def _recurrent() -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    w, xs, h = 0.5 * rng.normal(size=(3, 3)), rng.normal(size=(4, 3)), rng.normal(size=(1, 3))

    def net(tanh: Any, dot: Any, w: Any) -> Step:
        def step(x: Any, h: Any) -> Any:
            new = tanh(dot(h, w) + x)
            return [new], [new.sum()]

        return step

    def build(x: Any, h: Any, w: Any, keep: Sequence[int | None] | None = None) -> list[Any]:
        return looped(net(tanh, dot, w), x.shape[0], [x], [(h, (1,))], keep)

    def expect(x: Any, h: Any, w: Any) -> list[Any]:
        return ran(net(np.tanh, np.dot, w), len(x), [x], [(h, (1,))])

    for n in (4, 1):
        yield Sample(f"net-{n}", build, (xs[:n], h, w), expect)
    yield Sample("no-step", build, (xs[:0], h, w), lambda x, h, w: [h, np.zeros(0)])
    for keep in ([1, 2], [3, 0], [2, None]):
        yield Sample(
            f"last-{'-'.join(map(str, keep))}",
            lambda x, h, w, keep=keep: build(x, h, w, keep),
            (xs, h, w),
            lambda x, h, w, keep=keep: [
                trace if k is None else trace[len(trace) - k :] for trace, k in zip(expect(x, h, w), keep, strict=True)
            ],
        )

    def far(h3: Any, h1: Any, g2: Any) -> Any:
        return [h1 * h3 + g2, h1 - 0.5 * g2], [h3 * g2]

    for n in (5, 2, 1, 0):
        initials = (rng.normal(size=(3, 2)), rng.normal(size=(2, 2)))
        yield Sample(
            f"taps-{n}",
            lambda h, g, n=n: looped(far, n, [], [(h, (3, 1)), (g, (2,))]),
            initials,
            lambda h, g, n=n: [*ran(far, n, [], [(h, (3, 1)), (g, (2,))]), np.zeros((0, 2))][:3],
        )
    for n in (4, 0):
        yield Sample(
            f"state-alone-{n}",
            lambda h, n=n: looped(lambda h1, h2: ([h1 * h2 + h2], []), n, [], [(h, (1, 2))]),
            (np.array([0.5, 0.7]),),
            lambda h, n=n: ran(lambda h1, h2: ([h1 * h2 + h2], []), n, [], [(h, (1, 2))]),
        )
    yield Sample(
        "taps-trimmed",
        lambda h, g: looped(far, 5, [], [(h, (3, 1)), (g, (2,))], keep=[2, 2, 1]),
        (rng.normal(size=(3, 2)), rng.normal(size=(2, 2))),
        lambda h, g: [x[-k:] for x, k in zip(ran(far, 5, [], [(h, (3, 1)), (g, (2,))]), (2, 2, 1), strict=True)],
    )

    def counted(i: Any, x: Any) -> Any:
        return [i + 1, x * (i + 1.0)], []

    yield Sample(
        "integer-state",
        lambda i, x: looped(counted, 3, [], [(i, (1,)), (x, (1,))]),
        (np.array([1, 1]).reshape(2)[:1], np.array([0.5])),
        lambda i, x: ran(counted, 3, [], [(i, (1,)), (x, (1,))]),
    )
    yield Sample(
        "nested",
        lambda x, a: looped(
            lambda x, s: ([s * looped(lambda r: ([r * a + x], []), 3, [], [(s[None], (1,))])[0][-1]], []),
            x.shape[0], [x], [(a[None], (1,))],
        )[0],
        (rng.normal(size=3), np.array(0.7)),
        lambda x, a: ran(
            lambda x, s: ([s * ran(lambda r: ([r * a + x], []), 3, [], [([s], (1,))])[0][-1]], []),
            len(x), [x], [([a], (1,))],
        )[0],
    )  # fmt: skip
    yield Sample(
        "complex",
        lambda z, w: looped(lambda z: ([z * w + z * z], []), 3, [], [(z, (1,))]),
        (np.array([0.3 + 0.2j]), np.array(0.5 - 0.4j)),
        lambda z, w: ran(lambda z: ([z * w + z * z], []), 3, [], [(z, (1,))]),
    )


def _ended() -> Iterator[Sample]:
    def doubled(x: Any, w: Any) -> Any:
        new = x * 2 * w
        return [new, w], [x * w], new.sum() > 5.0

    for n in (10, 2, 0):
        yield Sample(
            f"until-{n}",
            lambda x, w, n=n: looped(doubled, n, [], [(x, (1,)), (w, (1,))]),
            (np.array([[0.4, 0.3]]), np.array([1.1])),
            lambda x, w, n=n: _with_steps(doubled, n, x, w),
        )
    xs = np.arange(1.0, 6.0)
    yield Sample(
        "until-with-sequence",
        lambda x, a: looped(lambda x, s: ([s * x], [], s * x > 5), x.shape[0], [x], [(a, (1,))]),
        (xs, np.array([1.0])),
        lambda x, a: [np.array([1.0, 1.0, 2.0, 6.0]), np.array(3)],
    )


def _with_steps(step: Step, n: int, x: Any, w: Any) -> list[Any]:
    found = ran(step, n, [], [(x, (1,)), (w, (1,))])
    return [*found, *[np.zeros((0, 2))] * (not n), np.array(len(found[0]) - 1)]


def _mapped() -> Iterator[Sample]:
    rng = np.random.default_rng(0)

    def build(xs: Any, w: Any) -> list[Any]:
        return map_graph(lambda x: [(x * w).sum() * x, x * 2 + w], [xs])

    def expect(xs: Any, w: Any) -> list[Any]:
        return [(xs * w).sum(axis=1, keepdims=True) * xs, xs * 2 + w]

    for n in (4, 1, 0):
        yield Sample(f"rows-{n}", build, (rng.normal(size=(n, 3)), rng.normal(size=3)), expect)
    yield Sample(
        "two-sequences",
        lambda a, b: map_graph(lambda x, y: [x**2 * y], [a, b]),
        (rng.normal(size=(3, 2)), rng.normal(size=3)),
        lambda a, b: a**2 * b[:, None],
    )


def bad_samples() -> Iterator[BadSample]:
    def build(a: Any, b: Any) -> Any:
        return map_graph(lambda x, y: [x * y], [a, b])

    def kept(new: Step) -> Step:
        return lambda x: looped(lambda s: ([new(s)], []), 2, [], [(x, (1,))])

    yield BadSample("lengths", build, (np.zeros(3), np.zeros(4)), ShapeError, "4 items, for 3 steps")
    yield BadSample("scalar", build, (np.zeros(3), np.zeros(())), GraphTypeError, "at least one axis")
    yield BadSample("negative", lambda x: looped(lambda s: ([s], []), -1, [], [(x, (1,))]), (np.zeros(1),), DomainError)
    yield BadSample("float", lambda x: looped(lambda s: ([s], []), 2.5, [], [(x, (1,))]), (np.zeros(1),), DTypeError)
    yield BadSample("dtype", kept(lambda s: s * 0.5), (np.zeros(1, "int64"),), DTypeError, "keeps its dtype")
    yield BadSample("rank", kept(lambda s: s + np.zeros(3)), (np.zeros(1),), ShapeError, "keeps its shape")
    yield BadSample("shape", kept(lambda s: s + np.zeros(3)), (np.zeros((1, 1)),), ShapeError, "not broadcast")
    yield BadSample(
        "initial",
        lambda x: looped(lambda s, r: ([s + r], []), 2, [], [(x, (1, 2))]),
        (np.zeros((1, 1)),),
        ShapeError,
        "2 steps back",
    )
