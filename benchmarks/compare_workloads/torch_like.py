"""PyTorch: eager; or each workload as one compiled function, or as one CUDA graph.

Parameters are updated in place, without recording. Eager loops over time are those of torch.nn.RNN, which are in C++.
"""

from __future__ import annotations

import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from compare_workloads.workloads import RATE, STATEFUL, TRAINING, Arrays, Made, Workload


def torches(option: str, threads: int, cache: str) -> SimpleNamespace:
    """The option says "compile", or "graph" for a CUDA graph, and "cuda" where a GPU is to be used: with + between."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(cache, "inductor")

    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)  # only where gradients are asked for is anything recorded
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    words = option.split("+")
    device = "cuda" if "cuda" in words else "cpu"
    make = compiled if "compile" in words else captured if "graph" in words else eager
    if device == "cuda":
        versions["gpu"] = torch.cuda.get_device_name()
    return SimpleNamespace(make=partial(make, device), versions=versions)


def tensors(device: str, arrays: list) -> list:
    """torch takes 64 bits for classes, and a Python number for how often to loop."""
    import torch

    found = [torch.from_numpy(a.astype("int64") if a.dtype.kind == "i" else a.copy()) for a in arrays]
    return [int(t) if t.ndim == 0 and not t.is_floating_point() else t.to(device) for t in found]


def leaves(outputs: Any) -> list:
    if outputs is None:
        return []
    if isinstance(outputs, (list, tuple)):
        return [a for output in outputs for a in leaves(output)]
    return [outputs.detach().cpu().numpy()]


def waiting(device: str) -> Any:
    """What waits for the device, where it is not the CPU."""
    import torch

    return torch.cuda.synchronize if device == "cuda" else None


# the families; those that train answer the cost and what else is to be seen


def sum_of_scalars(parameters: list, x: Any, y: Any) -> Any:
    return x + y


def small_reduction(parameters: list, x: Any, y: Any) -> Any:
    return (x * y).sum() + x.max()


def classifier(parameters: list, x: Any, y: Any) -> Any:
    import torch

    *layers, W, b = parameters
    h = x
    for i in range(0, len(layers), 2):
        h = torch.tanh(torch.addmm(layers[i + 1], h, layers[i]))
    cost = torch.nn.functional.cross_entropy(torch.addmm(b, h, W), y)
    return cost, cost


def logistic_regression(parameters: list, x: Any, y: Any) -> Any:
    import torch

    w, b = parameters
    p_1 = 1 / (1 + torch.exp(-(x @ w) - b))
    xent = -y * torch.log(p_1) - (1 - y) * torch.log(1 - p_1)
    return xent.mean() + 0.01 * (w**2).sum(), (p_1 > 0.5, xent)


def elementwise(parameters: list, x: Any, y: Any) -> Any:
    import torch

    return torch.tanh(2 * x + y) * torch.exp(-(x**2)) + torch.log1p(torch.exp(y))


def elementwise_gradient(parameters: list, x: Any, y: Any) -> Any:
    import torch

    return torch.func.grad(lambda x, y: elementwise([], x, y).sum(), argnums=(0, 1))(x, y)


def elementwise_gradient_eager(parameters: list, x: Any, y: Any) -> Any:
    import torch

    with torch.enable_grad():
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        return torch.autograd.grad(elementwise([], x, y).sum(), (x, y))


def hidden(parameters: list, x: Any) -> Any:
    """A Python loop, which torch.compile unrolls. What does not depend on the state is computed at once."""
    import torch

    W_x, W_h, b = parameters
    h, found = torch.zeros(x.shape[1], W_h.shape[0], device=x.device), []
    for from_x in (x @ W_x + b).unbind():
        h = torch.tanh(from_x + h @ W_h)
        found.append(h)
    return torch.stack(found)


def hidden_eager(parameters: list, x: Any) -> Any:
    """What torch.nn.RNN calls; its weights are transposed, and it has one more bias."""
    import torch

    W_x, W_h, b = parameters
    start = torch.zeros(1, x.shape[1], W_h.shape[0], device=x.device)
    weights = [W_x.T, W_h.T, b, torch.zeros_like(b)]
    return torch._VF.rnn_tanh(x, start, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)[0]


def elman_forward(parameters: list, x: Any) -> Any:
    h = hidden(parameters, x)
    return h, h[-1]


def elman_forward_eager(parameters: list, x: Any) -> Any:
    h = hidden_eager(parameters, x)
    return h, h[-1]


def elman_training(parameters: list, x: Any, target: Any) -> Any:
    import torch

    cost = torch.nn.functional.mse_loss(hidden(parameters, x)[-1], target)
    return cost, cost


def elman_training_eager(parameters: list, x: Any, target: Any) -> Any:
    import torch

    cost = torch.nn.functional.mse_loss(hidden_eager(parameters, x)[-1], target)
    return cost, cost


def power(parameters: list, A: Any, k: int) -> Any:
    import torch

    result = torch.ones_like(A)
    for _ in range(k):
        result.mul_(A)
    return result


def jacobian(parameters: list, x: Any) -> Any:
    import torch

    return torch.func.jacrev(lambda x: torch.tanh(x @ parameters[0]))(x)


def copy(parameters: list) -> None:
    z, x = parameters
    z.copy_(x)


def axpy(parameters: list) -> None:
    import torch

    z, x, y = parameters
    torch.add(y, x, alpha=2, out=z)


def long_sum(parameters: list) -> Any:
    x, y = parameters
    return (x * y).sum()


def product(parameters: list) -> None:
    import torch

    C, A, B = parameters
    torch.matmul(A, B, out=C)


def small_updates(parameters: list) -> None:
    for w in parameters:
        w.mul_(0.5).add_(1)


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
EAGER: dict[str, Any] = {
    **FAMILIES,
    "elementwise gradient": elementwise_gradient_eager,
    "Elman forward": elman_forward_eager,
    "Elman training": elman_training_eager,
}


# making functions of them


def stepping(workload: Workload, parameters: list, data: list) -> Any:
    """The eager program."""
    import torch

    f = EAGER[workload.family]
    if workload.family not in TRAINING:
        return lambda: f(parameters, *data)
    for w in parameters:
        w.requires_grad_()

    def train() -> Any:
        with torch.enable_grad():
            cost, outputs = f(parameters, *data)
        for w, g in zip(parameters, torch.autograd.grad(cost, parameters), strict=True):
            w.sub_(g, alpha=RATE)
        return outputs

    return train


def eager(device: str, workload: Workload, arrays: Arrays) -> Made:
    parameters, data = tensors(device, arrays.parameters), tensors(device, arrays.data)
    states = parameters if workload.family in STATEFUL else []
    call = stepping(workload, parameters, data)
    return Made(call, lambda outputs: leaves([outputs, states]), waiting(device))


def captured(device: str, workload: Workload, arrays: Arrays) -> Made:
    """The eager program as one CUDA graph: captured after a few runs on a stream beside, as its manual says."""
    import torch

    parameters, data = tensors(device, arrays.parameters), tensors(device, arrays.data)
    states = parameters if workload.family in STATEFUL else []
    call, begin = stepping(workload, parameters, data), [w.detach().clone() for w in parameters]
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()
    for w, value in zip(parameters, begin, strict=True):
        w.copy_(value)

    def replay() -> Any:
        graph.replay()
        return outputs

    return Made(replay, lambda outputs: leaves([outputs, states]), waiting(device))


def compiled(device: str, workload: Workload, arrays: Arrays) -> Made:
    import torch

    f, parameters, data = FAMILIES[workload.family], tensors(device, arrays.parameters), tensors(device, arrays.data)
    states = parameters if workload.family in STATEFUL else []
    # torch 2.13 loses updates of 0-d tensors in compiled functions
    parameters = [w.reshape(1) if w.ndim == 0 else w for w in parameters]

    def train(parameters: list, *data: Any) -> Any:
        gradients, (_, outputs) = torch.func.grad_and_value(f, has_aux=True)(parameters, *data)
        for w, g in zip(parameters, gradients, strict=True):
            w.sub_(g, alpha=RATE)
        return outputs

    step = torch.compile(train if workload.family in TRAINING else f, fullgraph=True, dynamic=False)
    return Made(lambda: step(parameters, *data), lambda outputs: leaves([outputs, states]), waiting(device))
