"""What every peer computes, and the arrays that it is given: the same in every process, from one seed."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple  # noqa: UP035 (Python 3.7 has no collections.abc.Callable[...])

import numpy as np

SEED = 0
RATE = 0.1  # of learning
POWER = 1000  # steps of the loop that raises to a power
TIME = 100  # steps of the Elman net
UNITS = 100  # of the Elman net, and the lengths of the Jacobian
LONG = 2**25  # elements of arrays that no cache holds

CALLS_BEFORE_CHECK = 3  # so that the check sees states that were updated more than once
TOLERANCES = {"float16": 1e-2, "float32": 1e-3, "float64": 1e-9}  # of the sum of an array's absolute values


class Workload(NamedTuple):
    """One thing to compute. Peers have one function for a family."""

    family: str
    dtype: str
    sizes: tuple = ()
    batch: int = 1


class Arrays(NamedTuple):
    """Parameters are states or constants of a function; data are the arguments of each call."""

    parameters: list
    data: list


class Made(NamedTuple):
    """A function that is ready to be called."""

    call: Callable[[], Any]  # computes once, and returns when all of it is computed, or can be waited for
    values: Callable[[Any], list]  # from what a call returned to NumPy's arrays: outputs, then states
    wait: Any = None  # waits until all is computed, where calls do not


TRAINING = ("classifier", "logistic regression", "Elman training")  # families that learn
UPDATING = ("copy", "axpy", "product", "small updates")  # families that answer new values for their first parameters
STATEFUL = (*TRAINING, *UPDATING)  # families whose parameters change
IN_A_ROW = ("small updates",)  # families of which a device is waited for after many calls, not after each


def _workloads() -> dict:
    found = {"x + y, 0-d": Workload("sum of scalars", "float64")}
    found["sum(x * y) + max(x), 10"] = Workload("small reduction", "float32", (10,))
    for widths in ((784, 10), (784, 500, 10), (784, 1000, 1000, 1000, 10)):
        title = "softmax" if len(widths) == 2 else "tanh"
        for batch in (1, 10, 60):
            name = f"{title} {'-'.join(map(str, widths))}, batch {batch}"
            found[name] = Workload("classifier", "float32", widths, batch)
    found["logistic regression 400 x 784"] = Workload("logistic regression", "float64", (400, 784))
    for family in ("elementwise", "elementwise gradient"):
        for dtype in ("float32", "float64"):
            found[f"{family} 1e6, {dtype}"] = Workload(family, dtype, (1000000,))
    for family in ("Elman forward", "Elman training"):
        for batch in (1, 10):
            found[f"{family}, batch {batch}"] = Workload(family, "float32", (TIME, UNITS), batch)
    found["scan: A ** 1000, 10"] = Workload("power", "float32", (10,))
    found["scan: Jacobian 100 x 100"] = Workload("Jacobian", "float32", (UNITS,))
    return found


def gpu_workloads(quick: bool = False) -> dict:
    """What is measured on GPUs. The quick ones are small: where there is no GPU, they run on the host."""
    found = {"x + y, 0-d": Workload("sum of scalars", "float64")}
    found["ten small updates"] = Workload("small updates", "float32", (10,))
    nets = [(784, 10), (784, 30, 10)] if quick else [(784, 10), (784, 500, 10), (784, 1000, 1000, 1000, 10)]
    for widths in nets:
        title = "softmax" if len(widths) == 2 else "tanh"
        for batch in (1, 16) if quick else (1, 16, 64, 256, 1024, 4096):
            name = f"{title} {'-'.join(map(str, widths))}, batch {batch}"
            found[name] = Workload("classifier", "float32", widths, batch)
    n = 40 if quick else 400
    found[f"logistic regression {n} x 784"] = Workload("logistic regression", "float64", (n, 784))
    size = 1000 if quick else 1000000
    for family in ("elementwise", "elementwise gradient"):
        found[f"{family} {size}"] = Workload(family, "float32", (size,))
    time, units = (5, 10) if quick else (TIME, UNITS)
    for family in ("Elman forward", "Elman training"):
        for batch in (1,) if quick else (1, 64, 1024):
            found[f"{family} {time} x {units}, batch {batch}"] = Workload(family, "float32", (time, units), batch)
    found[f"scan: A ** {POWER}"] = Workload("power", "float32", (10,))
    units = 10 if quick else UNITS
    found[f"scan: Jacobian {units} x {units}"] = Workload("Jacobian", "float32", (units,))
    size = 1000 if quick else LONG
    for family in ("copy", "axpy", "long sum"):
        found[f"{family} {size}"] = Workload(family, "float32", (size,))
    for n in (32,) if quick else (1024, 4096, 8192):
        for dtype in ("float32", "float64", "float16"):
            found[f"product {n}, {dtype}"] = Workload("product", dtype, (n,))
    return found


WORKLOADS = _workloads()
ALL = dict(WORKLOADS, **dict(gpu_workloads(quick=True), **gpu_workloads()))


def bytes_moved(workload: Workload) -> int:
    """That pass through memory at least, for families that do little else."""
    arrays = {"copy": 2, "axpy": 3, "long sum": 2}[workload.family]
    return arrays * workload.sizes[0] * np.dtype(workload.dtype).itemsize


def arrays(workload: Workload) -> Arrays:
    """The legacy generator, because NumPy promises that its streams are the same in all versions."""
    rng = np.random.RandomState(SEED)
    parameters, data = _DRAWN[workload.family](rng, workload)
    return Arrays([_typed(a, workload) for a in parameters], [_typed(a, workload) for a in data])


def _typed(a: Any, workload: Workload) -> Any:
    a = np.asarray(a)
    return a.astype(workload.dtype if a.dtype.kind == "f" else "int32", order="C")


def _weights(rng: Any, m: int, n: int) -> Any:
    return rng.standard_normal((m, n)) / np.sqrt(m)


def _sum_of_scalars(rng: Any, workload: Workload) -> tuple:
    return [], [rng.standard_normal(), rng.standard_normal()]


def _two_vectors(rng: Any, workload: Workload) -> tuple:
    return [], [rng.standard_normal(workload.sizes), rng.standard_normal(workload.sizes)]


def _classifier(rng: Any, workload: Workload) -> tuple:
    """Inputs like pixels. They are small enough that no probability ever gets near the least float32."""
    widths = workload.sizes
    parameters: list = []
    for i in range(len(widths) - 1):
        parameters += [_weights(rng, widths[i], widths[i + 1]), np.zeros(widths[i + 1])]
    x = 0.5 * rng.uniform(size=(workload.batch, widths[0]))
    return parameters, [x, rng.randint(widths[-1], size=workload.batch)]


def _logistic_regression(rng: Any, workload: Workload) -> tuple:
    """Small weights to begin with: only some peers can take the logarithms that the slides begin with."""
    samples, features = workload.sizes
    x, y = rng.standard_normal((samples, features)), rng.randint(2, size=samples).astype("float64")
    return [0.01 * rng.standard_normal(features), np.zeros(())], [x, y]


def _elman(rng: Any, workload: Workload) -> tuple:
    """Weights that neither blow gradients up over 100 steps nor let them vanish below the least float32."""
    steps, units = workload.sizes
    parameters = [0.1 * _weights(rng, units, units), 0.9 * _weights(rng, units, units), np.zeros(units)]
    x = rng.standard_normal((steps, workload.batch, units))
    target = 0.5 * rng.standard_normal((workload.batch, units))
    return parameters, [x, target] if workload.family == "Elman training" else [x]


def _power(rng: Any, workload: Workload) -> tuple:
    """Near 1, so that the power is finite."""
    return [], [1 + 0.005 * rng.uniform(-1, 1, workload.sizes), np.array(POWER)]


def _jacobian(rng: Any, workload: Workload) -> tuple:
    (n,) = workload.sizes
    return [_weights(rng, n, n)], [rng.standard_normal(n)]


def _long(rng: Any, workload: Workload) -> tuple:
    count = 3 if workload.family == "axpy" else 2
    return [rng.standard_normal(workload.sizes) for _ in range(count)], []


def _product(rng: Any, workload: Workload) -> tuple:
    (n,) = workload.sizes
    return [np.zeros((n, n)), _weights(rng, n, n), _weights(rng, n, n)], []


def _small_updates(rng: Any, workload: Workload) -> tuple:
    """Of different lengths, so that they are different launches of a kernel."""
    return [rng.standard_normal(workload.sizes[0] + i) for i in range(10)], []


_DRAWN = {
    "sum of scalars": _sum_of_scalars,
    "small reduction": _two_vectors,
    "classifier": _classifier,
    "logistic regression": _logistic_regression,
    "elementwise": _two_vectors,
    "elementwise gradient": _two_vectors,
    "Elman forward": _elman,
    "Elman training": _elman,
    "power": _power,
    "Jacobian": _jacobian,
    "copy": _long,
    "axpy": _long,
    "long sum": _long,
    "product": _product,
    "small updates": _small_updates,
}


def digest(a: Any) -> dict:
    """What is compared of an array: its sum, another in which every place has its own weight, and how large it is.

    Differences of two answers are to be seen against the last, which cannot cancel out.
    """
    a = np.asarray(a, "float64")
    flat = a.ravel()
    weights = np.cos(np.arange(1, flat.size + 1))
    sums = [float(flat.sum()), float(flat.dot(weights))]
    return {"shape": list(a.shape), "sums": sums, "size": float(np.abs(flat).sum())}
