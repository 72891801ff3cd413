"""One replaced value at a time: layer integrated gradients, ablation, occlusion and Shapley values, as defined.

Sundararajan et al., arXiv:1703.01365, equation 1, with a layer in the input's place; Zeiler and Fergus,
arXiv:1311.2901; Shapley 1953, the average over coalitions. One example, one point or one group, one pass each; hooks of
their own and no batches: nothing here is shared with the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial

import torch
from torch import Tensor, nn

Read = Callable[[object], Tensor]
Put = Callable[[object, Tensor], object]


def _itself(output: object) -> Tensor:
    assert isinstance(output, Tensor)
    return output


def _instead(_output: object, new: Tensor) -> object:
    return new


def value(network: nn.Module, layer: nn.Module, given: Tensor, read: Read = _itself, call: int = 0) -> Tensor:
    """What `layer` gives at its call number `call`."""
    held: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: held.append(read(output).detach().clone()))
    try:
        with torch.no_grad():
            network(given.clone())
    finally:
        handle.remove()
    return held[call]


def replaced(
    network: nn.Module, layer: nn.Module, given: Tensor, new: Tensor, put: Put = _instead, call: int = 0
) -> Tensor:
    """The network's output when `layer` gives `new` at its call number `call`."""
    calls = iter(range(1 << 20))
    handle = layer.register_forward_hook(
        lambda module, inputs, output: put(output, new.clone()) if next(calls) == call else None
    )
    try:
        return network(given.clone())
    finally:
        handle.remove()


def layer_integrated_gradients(
    network: nn.Module, layer: nn.Module, x: Tensor, baseline: Tensor, score: Read,
    nodes: Sequence[float], weights: Sequence[float], read: Read = _itself, put: Put = _instead, call: int = 0,
) -> Tensor:  # fmt: skip
    """Of one example `x` (1, ...); score: from the network's output to the target."""
    start, end = value(network, layer, baseline, read, call), value(network, layer, x, read, call)
    total = torch.zeros_like(end)
    for alpha, weight in zip(nodes, weights, strict=True):
        point = (start + alpha * (end - start)).requires_grad_()
        target = score(replaced(network, layer, x, point, put, call))
        (slope,) = torch.autograd.grad(target.sum(), point)
        total += weight * slope
    return total * (end - start)


def ablation(
    network: nn.Module, layer: nn.Module, x: Tensor, score: Read, groups: Sequence[Tensor], fill: Tensor,
    read: Read = _itself, put: Put = _instead, call: int = 0,
) -> list[float]:  # fmt: skip
    """The target less what it is with each of `groups`, Booleans over the layer's output, replaced by `fill`."""
    intact = value(network, layer, x, read, call)
    with torch.no_grad():
        whole = float(score(network(x.clone())))
        return [
            whole - float(score(replaced(network, layer, x, torch.where(group, fill, intact), put, call)))
            for group in groups
        ]


def occlusion(
    score: Callable[[Tensor], float], x: Tensor, baseline: Tensor, size: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """The mean drop over the windows that each element of `x` (one example, no batch axis) lies in."""
    drops, covered = torch.zeros_like(x), torch.zeros_like(x)
    corners: list[tuple[int, ...]] = [()]
    for length, wide, step in zip(x.shape, size, stride, strict=True):
        starts = [0]
        while starts[-1] + wide < length:
            starts.append(starts[-1] + step)
        corners = [(*corner, at) for corner in corners for at in starts]
    for corner in corners:
        box = tuple(slice(at, at + wide) for at, wide in zip(corner, size, strict=True))
        hidden = x.clone()
        hidden[box] = baseline[box]
        drops[box] += score(x) - score(hidden)
        covered[box] += 1
    return drops / covered


def shapley_values(worth: Callable[[frozenset[int]], float], players: int) -> list[float]:
    """Over all coalitions S without i: |S|! (M - |S| - 1)! / M! (v(S and i) - v(S))."""
    values = []
    for i in range(players):
        others = [j for j in range(players) if j != i]
        total = 0.0
        for size in range(players):
            share = factorial(size) * factorial(players - size - 1) / factorial(players)
            for chosen in combinations(others, size):
                total += share * (worth(frozenset(chosen) | {i}) - worth(frozenset(chosen)))
        values.append(total)
    return values
