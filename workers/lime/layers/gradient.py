"""In which direction of each layer does the target rise, at one example?"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from workers.lime.layers.reading import by_row
from workers.sweep.block import padded
from workers.sweep.looks import Place
from workers.sweep.ready import Prepared
from workers.sweep.watch import Watch, differentiable_recurrence, frozen, leaf_copy


def gradients(ready: Prepared, index: int, keys: Collection[str]) -> dict[str, Tensor]:
    """The target's gradient with respect to each of these taps, (units,); one forward and backward pass.

    A tap that the target does not depend on, or that gave nothing for the example, is left out.
    """
    some, rows = ready.examples(index, index + 1), ready.probe.rows or ready.probe.least_rows
    taps = {tap.place: tap for tap in ready.probe.taps if tap.key in keys}
    held: dict[Place, Tensor] = {}

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        tap = taps.get((layer, call, position))
        if tap is None:
            return tensor
        new = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        held[tap.place] = new
        return new.clone() if tap.clone else new

    model = ready.model
    with torch.enable_grad(), frozen(model), differentiable_recurrence(model), Watch(model, see) as watch:
        x = tuple(leaf_copy(each) for each in padded(some.x, rows))
        output = watch.run(tuple(each.clone() for each in x) if ready.probe.clones_input else x)
        score = some.target.select(output, 1).sum()
    if not held or not score.requires_grad:
        return {}
    found = torch.autograd.grad(score, list(held.values()), allow_unused=True)
    made = {}
    for place, gradient in zip(held, found, strict=True):
        tap = taps[place]
        flat = None if gradient is None else by_row(tap, gradient, rows)
        if flat is not None:
            made[tap.key] = flat[0].detach()
    return made
