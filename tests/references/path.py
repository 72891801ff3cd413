"""Leino et al. (arXiv:1802.03788), Sundararajan et al. (arXiv:1703.01365), Selvaraju et al. (arXiv:1610.02391), Draelos
and Carin (arXiv:2011.08891), Jiang et al. (LayerCAM), Dhamdhere et al. (arXiv:1805.12233, equation 1), Smilkov et al.
(arXiv:1706.03825) and Erion et al. (arXiv:1906.10670), formula by formula.

One example, one point, one unit at a time; nothing here is shared with the engine.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Read = Callable[[object], Tensor]


def whole(output: object) -> Tensor:
    """A layer that gives one tensor."""
    assert isinstance(output, Tensor)
    return output


def look(
    network: nn.Module, layer: nn.Module | None, point: Tensor, score: Read, read: Read = whole, call: int = 0
) -> tuple[Tensor, Tensor]:
    """h and dF/dh at `point`, (1, ...) each; of the input where there is no layer."""
    held: list[Tensor] = []
    start = point.clone().requires_grad_()
    handles = [] if layer is None else [layer.register_forward_hook(lambda module, given, out: held.append(read(out)))]
    try:
        target = score(network(start))
    finally:
        for handle in handles:
            handle.remove()
    value = start if layer is None else held[call]
    (slope,) = torch.autograd.grad(target.sum(), value, allow_unused=True)
    return value.detach().clone(), torch.zeros_like(value) if slope is None else slope


def mean_slope(
    network: nn.Module, layer: nn.Module | None, x: Tensor, baseline: Tensor, score: Read, points: int,
    read: Read = whole, call: int = 0,
) -> Tensor:  # fmt: skip
    """∫ dF/dh dα by the midpoints of equal intervals."""
    total = torch.zeros(())
    for i in range(points):
        alpha = (i + 0.5) / points
        total = total + look(network, layer, baseline + alpha * (x - baseline), score, read, call)[1] / points
    return total


def cam(value: Tensor, slope: Tensor, mode: str) -> Tensor:
    """The map of one example; value, slope: (channels, places)."""
    channels, places = value.shape
    made = torch.zeros(places, dtype=value.dtype)
    for p in range(places):
        for c in range(channels):
            weight = slope[c, p]
            if mode == "gradcam":
                weight = sum((slope[c, q] for q in range(places)), start=torch.zeros((), dtype=value.dtype)) / places
            elif mode == "layercam" and weight < 0:
                continue
            made[p] += weight * value[c, p]
    return made


def neuron_conductance(
    network: nn.Module, layer: nn.Module, x: Tensor, baseline: Tensor, score: Read, unit: tuple[int, ...],
    nodes: tuple[float, ...], weights: tuple[float, ...], read: Read = whole,
) -> Tensor:  # fmt: skip
    """Σ_i w_i dF/dh_j dh_j/dx (x - x') for the single example x (1, ...)."""
    total = torch.zeros_like(x)
    for alpha, weight in zip(nodes, weights, strict=True):
        held: list[Tensor] = []
        point = (baseline + alpha * (x - baseline)).requires_grad_()
        handle = layer.register_forward_hook(lambda module, given, out, held=held: held.append(read(out)))
        try:
            target = score(network(point))
        finally:
            handle.remove()
        (outer,) = torch.autograd.grad(target.sum(), held[0], retain_graph=True)
        (inner,) = torch.autograd.grad(held[0][(0, *unit)], point)
        total += weight * outer[(0, *unit)] * inner
    return total * (x - baseline)


def gradient_shap(
    network: nn.Module, layer: nn.Module, score: Read, draws: list[tuple[Tensor, Tensor, float]]
) -> Tensor:
    """draws: the (noisy) input, the baseline and the coefficient of each."""
    total = torch.zeros(())
    for given, base, coefficient in draws:
        slope = look(network, layer, coefficient * given + (1 - coefficient) * base, score)[1]
        change = look(network, layer, given, score)[0] - look(network, layer, base, score)[0]
        total = total + slope * change / len(draws)
    return total
