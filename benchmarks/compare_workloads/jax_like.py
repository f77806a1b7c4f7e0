"""JAX: every workload is one jitted function; states are donated, so they are updated in their memory."""

from __future__ import annotations

import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from compare_workloads.workloads import RATE, TRAINING, UPDATING, Arrays, Made, Workload


def jaxes(option: str, threads: int, cache: str) -> SimpleNamespace:
    """On the CPU, or, with the option "cuda", on a GPU, where products of float32 are not cut to fewer digits."""
    os.environ["JAX_PLATFORMS"] = option or "cpu"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # others want memory too
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

    import jax
    import jaxlib

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__, "numpy": np.__version__}
    return SimpleNamespace(make=make, versions=versions)


def make(workload: Workload, arrays: Arrays) -> Made:
    import jax

    parameters, data = jax.block_until_ready(jax.device_put((arrays.parameters, arrays.data)))
    if workload.family in TRAINING:
        return training(FAMILIES[workload.family], parameters, data)
    if workload.family in UPDATING:
        return updating(FAMILIES[workload.family], parameters)
    f = jax.jit(FAMILIES[workload.family])
    wait = jax.block_until_ready
    return Made(lambda: wait(f(parameters, *data)), lambda outputs: [np.asarray(a) for a in jax.tree.leaves(outputs)])


def training(cost: Any, parameters: list, data: list) -> Made:
    """`cost` answers the cost and what else is to be seen."""
    import jax

    differentiated = jax.value_and_grad(cost, has_aux=True)

    @partial(jax.jit, donate_argnums=0)
    def train(parameters: list, *data: Any) -> tuple:
        (_, outputs), gradients = differentiated(parameters, *data)
        return outputs, [w - RATE * g for w, g in zip(parameters, gradients, strict=True)]

    wait = jax.block_until_ready

    def call() -> Any:
        nonlocal parameters
        outputs, parameters = wait(train(parameters, *data))
        return outputs

    return Made(call, lambda outputs: [np.asarray(a) for a in jax.tree.leaves((outputs, parameters))])


def updating(new_values: Any, parameters: list) -> Made:
    """`new_values` answers those of the first parameters."""
    import jax

    @partial(jax.jit, donate_argnums=0)
    def update(parameters: list) -> list:
        found = new_values(parameters)
        return [*found, *parameters[len(found) :]]

    def call() -> None:
        nonlocal parameters
        parameters = update(parameters)

    values = lambda _: [np.asarray(a) for a in parameters]  # noqa: E731
    return Made(call, values, lambda: jax.block_until_ready(parameters))


def sum_of_scalars(parameters: list, x: Any, y: Any) -> Any:
    return x + y


def small_reduction(parameters: list, x: Any, y: Any) -> Any:
    return (x * y).sum() + x.max()


def classifier(parameters: list, x: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    *layers, W, b = parameters
    h = x
    for i in range(0, len(layers), 2):
        h = jnp.tanh(h @ layers[i] + layers[i + 1])
    log_p = jax.nn.log_softmax(h @ W + b)
    cost = -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()
    return cost, cost


def logistic_regression(parameters: list, x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    w, b = parameters
    p_1 = 1 / (1 + jnp.exp(-(x @ w) - b))
    xent = -y * jnp.log(p_1) - (1 - y) * jnp.log(1 - p_1)
    return xent.mean() + 0.01 * (w**2).sum(), (p_1 > 0.5, xent)


def elementwise(parameters: list, x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    return jnp.tanh(2 * x + y) * jnp.exp(-(x**2)) + jnp.log1p(jnp.exp(y))


def elementwise_gradient(parameters: list, x: Any, y: Any) -> Any:
    import jax

    return jax.grad(lambda x, y: elementwise([], x, y).sum(), argnums=(0, 1))(x, y)


def hidden(parameters: list, x: Any) -> Any:
    """What does not depend on the state is computed for all steps at once."""
    import jax
    import jax.numpy as jnp

    W_x, W_h, b = parameters

    def step(h: Any, from_x: Any) -> Any:
        h = jnp.tanh(from_x + h @ W_h)
        return h, h

    return jax.lax.scan(step, jnp.zeros((x.shape[1], W_h.shape[0]), x.dtype), x @ W_x + b)[1]


def elman_forward(parameters: list, x: Any) -> Any:
    h = hidden(parameters, x)
    return h, h[-1]


def elman_training(parameters: list, x: Any, target: Any) -> Any:
    cost = ((hidden(parameters, x)[-1] - target) ** 2).mean()
    return cost, cost


def power(parameters: list, A: Any, k: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.lax.fori_loop(0, k, lambda _, result: result * A, jnp.ones_like(A))


def jacobian(parameters: list, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.jacrev(lambda x: jnp.tanh(x @ parameters[0]))(x)


def copy(parameters: list) -> Any:
    import jax.numpy as jnp

    return [jnp.copy(parameters[1])]


def axpy(parameters: list) -> Any:
    _, x, y = parameters
    return [2 * x + y]


def long_sum(parameters: list) -> Any:
    x, y = parameters
    return (x * y).sum()


def product(parameters: list) -> Any:
    _, A, B = parameters
    return [A @ B]


def small_updates(parameters: list) -> Any:
    return [0.5 * w + 1 for w in parameters]


FAMILIES: dict[str, Any] = {
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
    "copy": copy,
    "axpy": axpy,
    "long sum": long_sum,
    "product": product,
    "small updates": small_updates,
}
