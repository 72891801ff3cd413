"""What does the last layer of a network read? Its features, as a network of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workers.attack.victim import Network


def last_features(network: Network, model: nn.Module, x: Tensor) -> Network | None:
    """From inputs to what the last layer with weights reads, flattened to (rows, d); None where that is not to be had.

    network: calls `model` for rows of raw inputs. x: an example or two, (n, ...), to see in which order layers run.
    """
    layer = _last_read(network, model, x)
    if layer is None:
        return None

    def features(made: Tensor, index: Tensor) -> Tensor:
        read: list[Tensor] = []
        handle = layer.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0].clone()))
        try:
            network(made, index)
        finally:
            handle.remove()
        return torch.cat(read)[: len(made)].flatten(1)

    return features


def _last_read(network: Network, model: nn.Module, x: Tensor) -> nn.Module | None:
    """The layer with weights that runs last and reads one floating-point row for each example."""
    order: list[nn.Module] = []

    def seen(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        first = inputs[0] if inputs else None
        if isinstance(first, Tensor) and first.is_floating_point() and first.ndim > 1 and len(first) >= len(x):
            order.append(module)

    weighed = [each for each in model.modules() if any(p.ndim > 1 for p in each.parameters(recurse=False))]
    handles = [each.register_forward_pre_hook(seen) for each in weighed]
    try:
        with torch.no_grad():
            network(x, torch.arange(len(x), device=x.device))
    finally:
        for handle in handles:
            handle.remove()
    last = order[-1] if order else None
    return last if last is not None and order.count(last) == 1 else None
