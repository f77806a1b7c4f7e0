"""The workloads in Theano's language: one source for Theano, PyTensor and refgraph.

What differs between the three is at the end: how they are set up, and the few names that PyTensor changed.
"""

from __future__ import annotations

import importlib.util
import os
from functools import partial
from typing import Any, Callable  # noqa: UP035 (Python 3.7 has no collections.abc.Callable[...])

import numpy as np

from compare_workloads.workloads import RATE, STATEFUL, Arrays, Made, Workload


class Symbolic:
    """A peer whose programs are Theano's: `theano` and `T` are its modules, whatever their names."""

    def __init__(self, theano: Any, T: Any, softmax: Any, scan: Any, versions: dict) -> None:
        self.theano, self.T, self.softmax, self.scan, self.versions = theano, T, softmax, scan, versions
        self.function = theano.function

    def make(self, workload: Workload, arrays: Arrays) -> Made:
        self.theano.config.floatX = workload.dtype
        parameters = [self.theano.shared(a) for a in arrays.parameters]
        f = FAMILIES[workload.family](self, parameters, workload)
        f.trust_input = True  # arguments are arrays of the right types: the fastest way to call any of the three
        states = parameters if workload.family in STATEFUL else []

        def values(outputs: Any) -> list:
            outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
            return [self.fetched(a) for a in [*outputs, *[s.get_value() for s in states]]]

        return Made(partial(f, *[self.placed(a) for a in arrays.data]), values, self.wait)

    placed = staticmethod(np.asarray)  # an argument, as a function takes it
    fetched = staticmethod(np.asarray)  # an output, as an array of NumPy's
    wait: Any = None  # where calls do not

    def training(self, inputs: list, outputs: Any, cost: Any, parameters: list) -> Any:
        gradients = self.theano.grad(cost, parameters)
        updates = [(w, w - RATE * g) for w, g in zip(parameters, gradients)]  # noqa: B905 (Python 3.7)
        return self.function(inputs, outputs, updates=updates)


def sum_of_scalars(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, y = L.T.scalar("x"), L.T.scalar("y")
    return L.function([x, y], x + y)


def small_reduction(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, y = L.T.vector("x"), L.T.vector("y")
    return L.function([x, y], L.T.sum(x * y) + L.T.max(x))


def classifier(L: Symbolic, parameters: list, workload: Workload) -> Any:
    """As in the tutorial on softmax regression and perceptrons."""
    T = L.T
    x, y = T.matrix("x"), T.ivector("y")
    h = x
    for i in range(0, len(parameters) - 2, 2):
        h = T.tanh(T.dot(h, parameters[i]) + parameters[i + 1])
    p_y_given_x = L.softmax(T.dot(h, parameters[-2]) + parameters[-1])
    cost = -T.mean(T.log(p_y_given_x)[T.arange(y.shape[0]), y])
    return L.training([x, y], cost, cost, parameters)


def logistic_regression(L: Symbolic, parameters: list, workload: Workload) -> Any:
    """Case study 1 of the slides."""
    T = L.T
    x, y = T.matrix("x"), T.vector("y")
    w, b = parameters
    p_1 = 1 / (1 + T.exp(-T.dot(x, w) - b))
    prediction = p_1 > 0.5
    xent = -y * T.log(p_1) - (1 - y) * T.log(1 - p_1)
    cost = xent.mean() + 0.01 * (w**2).sum()
    return L.training([x, y], [prediction, xent], cost, [w, b])


def expression(T: Any, x: Any, y: Any) -> Any:
    return T.tanh(2 * x + y) * T.exp(-(x**2)) + T.log1p(T.exp(y))


def elementwise(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, y = L.T.vector("x"), L.T.vector("y")
    return L.function([x, y], expression(L.T, x, y))


def elementwise_gradient(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, y = L.T.vector("x"), L.T.vector("y")
    return L.function([x, y], L.theano.grad(expression(L.T, x, y).sum(), [x, y]))


def hidden(L: Symbolic, x: Any, parameters: list, workload: Workload) -> Any:
    """All states of the net. What does not depend on the state is computed for all steps at once, as in every peer."""
    T = L.T
    W_x, W_h, b = parameters

    def step(from_x: Any, h: Any, W_h: Any) -> Any:
        return T.tanh(from_x + T.dot(h, W_h))

    start = T.zeros((x.shape[1], workload.sizes[1]))
    return L.scan(step, sequences=[T.dot(x, W_x) + b], outputs_info=[start], non_sequences=[W_h])


def elman_forward(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x = L.T.tensor3("x")
    h = hidden(L, x, parameters, workload)
    return L.function([x], [h, h[-1]])


def elman_training(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, target = L.T.tensor3("x"), L.T.matrix("target")
    cost = L.T.mean((hidden(L, x, parameters, workload)[-1] - target) ** 2)
    return L.training([x, target], cost, cost, parameters)


def power(L: Symbolic, parameters: list, workload: Workload) -> Any:
    """As in the tutorial on loops."""
    A, k = L.T.vector("A"), L.T.iscalar("k")
    result = L.scan(
        fn=lambda prior_result, A: prior_result * A,
        outputs_info=L.T.ones_like(A),
        non_sequences=A,
        n_steps=k,
    )
    return L.function([A, k], result[-1])


def jacobian(L: Symbolic, parameters: list, workload: Workload) -> Any:
    """As in the tutorial on derivatives."""
    T, grad = L.T, L.theano.grad
    x = T.vector("x")
    y = T.tanh(T.dot(x, parameters[0]))
    J = L.scan(lambda i, y, x: grad(y[i], x), sequences=T.arange(y.shape[0]), non_sequences=[y, x])
    return L.function([x], J)


def axpy(L: Symbolic, parameters: list, workload: Workload) -> Any:
    z, x, y = parameters
    return L.function([], [], updates=[(z, 2 * x + y)])


def long_sum(L: Symbolic, parameters: list, workload: Workload) -> Any:
    x, y = parameters
    return L.function([], L.T.sum(x * y))


def product(L: Symbolic, parameters: list, workload: Workload) -> Any:
    C, A, B = parameters
    return L.function([], [], updates=[(C, L.T.dot(A, B))])


def small_updates(L: Symbolic, parameters: list, workload: Workload) -> Any:
    return L.function([], [], updates=[(w, 0.5 * w + 1) for w in parameters])


FAMILIES: dict[str, Callable[[Symbolic, list, Workload], Any]] = {
    "sum of scalars": sum_of_scalars,
    "small reduction": small_reduction,
    "classifier": classifier,
    "logistic regression": logistic_regression,
    "elementwise": elementwise,
    "elementwise gradient": elementwise_gradient,
    "Elman forward": elman_forward,
    "Elman training": elman_training,
    "power": power,
    "Jacobian": jacobian,
    "axpy": axpy,
    "long sum": long_sum,
    "product": product,
    "small updates": small_updates,
}


def without_updates(scan: Any) -> Any:
    """No workload's loop has updates."""
    return lambda *args, **kwargs: scan(*args, **kwargs)[0]


def openblas(threads: int) -> dict:
    """Flags by which Theano and PyTensor link the newest OpenBLAS: that of the package scipy-openblas32.

    Its names begin with `scipy_`, so those in the generated C are renamed. The package is found, not imported: Python
    3.7 cannot read its source.
    """
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("scipy-openblas32 is not installed")
    (package,) = spec.submodule_search_locations
    (version,) = [f for f in os.listdir(os.path.dirname(package)) if f.startswith("scipy_openblas32-")]
    lib = os.path.join(package, "lib")
    routines = "gemm gemv ger dot axpy scal nrm2 asum swap copy rot symm syrk syr symv trmm trmv trsm trsv".split()
    names = [kind + r for kind in "sd" for r in routines]
    names += [kind + r for kind in "cz" for r in ("gemm", "gemv", "axpy", "scal")]
    return {
        "blas": f"-L{lib} -lscipy_openblas -Wl\\,-rpath\\,{lib}",
        "cxxflags": " ".join(["-O3", *[f"-D{n}_=scipy_{n}_" for n in names]]),
        "openmp": str(threads > 1),
        "version": version.split("-")[1].replace(".dist", ""),
    }


def refgraphs(option: str, threads: int, cache: str) -> Symbolic:
    """The option is the backend."""
    import scipy

    import refgraph as theano
    import refgraph.tensor as T

    theano.config.backend = option
    versions = {m.__name__: m.__version__ for m in (np, scipy)}
    return Symbolic(theano, T, T.nnet.softmax, without_updates(theano.scan), versions)


class OnDevice(Symbolic):
    """refgraph on a GPU: arguments are arrays of the device, outputs as far as it leaves them there."""

    def __init__(self, *given: Any) -> None:
        from refgraph.backend import get_backend

        super().__init__(*given)
        backend, self.function = get_backend("cupy"), self.leaving
        self.placed, self.kind = backend.to_device, type(backend.to_device(np.zeros(1)))
        self.to_numpy = backend.to_numpy
        if os.environ.get("REFGRAPH_CUPY_DEVICE") != "host":
            import cupy

            self.wait = cupy.cuda.Device().synchronize

    def leaving(self, inputs: list, outputs: Any, updates: Any = ()) -> Any:
        Out = self.theano.Out
        lent = [Out(x, borrow=True) for x in outputs] if isinstance(outputs, list) else Out(outputs, borrow=True)
        return self.theano.function(inputs, lent, updates=updates)

    def fetched(self, a: Any) -> Any:
        return self.to_numpy(a) if isinstance(a, self.kind) else np.asarray(a)


def refgraphs_on_device(option: str, threads: int, cache: str) -> Symbolic:
    """On the device that refgraph_cupy finds: a GPU, or the host."""
    on_host = refgraphs("cupy", threads, cache)
    L = OnDevice(on_host.theano, on_host.T, on_host.softmax, on_host.scan, on_host.versions)
    if L.wait is not None:
        import cupy

        L.versions["cupy"] = cupy.__version__
    return L


def theanos(option: str, threads: int, cache: str) -> Symbolic:
    """Theano 1.0.5, the last release, with the newest OpenBLAS."""
    found = openblas(threads)
    flags = ["base_compiledir=" + cache, "openmp=" + found["openmp"]]
    flags += ["blas.ldflags=" + found["blas"], "gcc.cxxflags=" + found["cxxflags"]]
    os.environ["THEANO_FLAGS"] = ",".join(flags)

    import theano
    import theano.tensor as T

    versions = {"theano": theano.__version__, "numpy": np.__version__}
    versions["OpenBLAS"] = found["version"]
    return Symbolic(theano, T, T.nnet.softmax, without_updates(theano.scan), versions)


def pytensors(option: str, threads: int, cache: str) -> Symbolic:
    """By its default mode (Numba), or, with the option "c", by C as Theano."""
    flags = ["base_compiledir=" + cache]
    found = openblas(threads)
    if option == "c":
        flags += ["linker=cvm", "openmp=" + found["openmp"]]
    flags += ["blas__ldflags=" + found["blas"], "gcc__cxxflags=" + found["cxxflags"]]
    os.environ["PYTENSOR_FLAGS"] = ",".join(flags)
    os.environ["NUMBA_CACHE_DIR"] = os.path.join(cache, "numba")

    import numba
    import pytensor
    import pytensor.tensor as T
    import scipy
    from pytensor.tensor.special import softmax

    versions = {m.__name__: m.__version__ for m in (pytensor, np, scipy, numba)}
    versions["OpenBLAS"] = found["version"]
    return Symbolic(pytensor, T, partial(softmax, axis=-1), partial(pytensor.scan, return_updates=False), versions)
