"""Dhamdhere, Sundararajan, Yan: How important is a neuron?, arXiv:1805.12233, equation 2, term by term.

    Cond_j(x) = Σ_i ∫ (x_i - x'_i) · ∂F(x' + α(x - x'))/∂h_j · ∂h_j/∂x_i dα

One example and one point of the path at a time. ∂h_j/∂α, which is Σ_i (x_i - x'_i) ∂h_j/∂x_i, is the exact derivative
by a double backward pass; no differences of h, no batches, no carrying over: nothing here is shared with the engine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

Read = Callable[[object], Tensor]


def conductance(
    network: nn.Module,
    layer: nn.Module,
    x: Tensor,
    baseline: Tensor,
    score: Read,
    points: int = 400,
    read: Read = lambda output: output,
    call: int = 0,
) -> Tensor:
    """The conductance of each unit of `layer` for the single example `x` (1, ...), by midpoints of equal intervals.

    score: from the network's output to the target, a tensor of one number. read: from the layer's output to the tensor.
    call: which of the layer's calls is meant.
    """
    total: Tensor | None = None
    for alpha in (np.arange(points) + 0.5) / points:
        term = _integrand(network, layer, x, baseline, float(alpha), score, read, call) / points
        total = term if total is None else total + term
    assert total is not None
    return total


def left_differences(
    network: nn.Module, layer: nn.Module, x: Tensor, baseline: Tensor, score: Read, steps: int,
    read: Read = lambda output: output, call: int = 0,
) -> Tensor:  # fmt: skip
    """captum's estimator, one point at a time: gradients at the left ends, differences of h, steps + 1 Gauss nodes."""
    roots, _ = np.polynomial.legendre.leggauss(steps + 1)
    looks = [_look(network, layer, baseline + float(a) * (x - baseline), score, read, call) for a in 0.5 * (1 + roots)]
    return sum(
        ((looks[i + 1][0] - looks[i][0]) * looks[i][1] for i in range(steps)), start=torch.zeros_like(looks[0][0])
    )


def _look(
    network: nn.Module, layer: nn.Module, point: Tensor, score: Read, read: Read, call: int
) -> tuple[Tensor, Tensor]:
    """The layer's value at `point`, and the target's gradient there."""
    held: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, given, output: _hold(held, output, read))
    try:
        target = score(network(point.clone().requires_grad_()))
    finally:
        handle.remove()
    (slope,) = torch.autograd.grad(target.sum(), held[call], allow_unused=True)
    value = held[call].detach()
    return value, torch.zeros_like(value) if slope is None else slope


def _hold(held: list[Tensor], output: object, read: Read) -> None:
    held.append(read(output))


def _integrand(
    network: nn.Module, layer: nn.Module, x: Tensor, baseline: Tensor, alpha: float, score: Read, read: Read, call: int
) -> Tensor:
    """∂F/∂h_j · dh_j/dα at one point, for every unit j."""
    place = torch.tensor(alpha, dtype=x.dtype, requires_grad=True)
    held: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, given, output: _hold(held, output, read))
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
            target = score(network(baseline + place * (x - baseline)))
    finally:
        handle.remove()
    h = held[call]
    (slope,) = torch.autograd.grad(target.sum(), h, retain_graph=True)
    weights = torch.zeros_like(h, requires_grad=True)
    (mixed,) = torch.autograd.grad(h, place, weights, create_graph=True)
    (speed,) = torch.autograd.grad(mixed, weights)
    return slope.detach() * speed.detach()
