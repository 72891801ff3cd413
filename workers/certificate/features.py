"""Which parts of the inputs does a perturbation take away together, and what is each worth to the attribution?

A feature is one unit of an input, or a group of units named by the asker (the channels of a pixel, the embedding of a
token). Taking a feature away puts it back to its baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

import torch
from torch import Tensor

from workers.certificate.rows import origin
from workers.sweep.ready import Prepared

Groups = Mapping[str, Tensor]
"""For each input by its tap key: int64 of one example's shape, the number of the feature that a unit belongs to."""


class Features:
    """The features of all inputs that have attributions, counted through all inputs.

    attribution: (n, features), float64: the sum over the units of a feature.
    """

    def __init__(self, ready: Prepared, attributions: Mapping[str, Tensor], groups: Groups | None = None) -> None:
        """Raises ValueError, in words, where the attributions are not of the inputs (`obstacle` says so before)."""
        reason = obstacle(ready, attributions)
        if reason:
            raise ValueError(reason)
        self._ready, self._origin = ready, origin(ready)
        self._ids: dict[int, Tensor] = {}
        parts, offset = [], 0
        for key, position in attributed(ready, attributions).items():
            shape = ready.x[position].shape[1:]
            ids = torch.arange(offset, offset + prod(shape)) if groups is None else groups[key].flatten().cpu()
            offset += prod(shape)
            self._ids[position] = ids
            parts.append(attributions[key].detach().flatten(1).to("cpu", torch.float64))
        every = torch.cat(list(self._ids.values()))
        self.count = int(every.max()) + 1
        self.attribution = torch.zeros(len(ready), self.count, dtype=torch.float64)
        self.attribution.index_add_(1, every, torch.cat(parts, 1))

    def taken_away(self, which: Tensor) -> tuple[Tensor, ...]:
        """The network's inputs where each example lacks the features that are true in `which` (n, features)."""
        made = list(self._ready.x)
        for position, ids in self._ids.items():
            x = self._ready.x[position]
            away = which[:, ids].reshape(x.shape).to(x.device)
            made[position] = torch.where(away, self._origin[position], x)
        return tuple(made)


def attributed(ready: Prepared, attributions: Mapping[str, Tensor]) -> dict[str, int]:
    """The inputs that have attributions: their tap keys, with their positions among the network's inputs."""
    return {key: position for key, position in ready.probe.inputs.items() if key in attributions}


def obstacle(ready: Prepared, attributions: Mapping[str, Tensor]) -> str:
    """Why nothing about the inputs' features can be checked; empty where it can."""
    for key, position in attributed(ready, attributions).items():
        if attributions[key].shape != ready.x[position].shape:
            return _unlike(ready, attributions, key)
    return absent(ready, attributions)


def absent(ready: Prepared, attributions: Mapping[str, Tensor]) -> str:
    """Why the inputs have no attributions that can be checked; empty where they have.

    There may be several for each unit of an input, along axes between the examples and the units.
    """
    keys = attributed(ready, attributions)
    if not keys:
        return "the attribution is of layers, and this is asked of inputs"
    for key, position in keys.items():
        n, *shape = ready.x[position].shape
        given = attributions[key].shape
        if given[0] != n or [*given[1:]][len(given) - 1 - len(shape) :] != shape or len(given) <= len(shape):
            return _unlike(ready, attributions, key)
        if not bool(torch.isfinite(attributions[key]).all()):
            return f"the attribution of '{key}' holds NaN or infinity"
    if not any(bool(attributions[key].any()) for key in keys):
        return "the attribution is zero everywhere"
    return ""


def _unlike(ready: Prepared, attributions: Mapping[str, Tensor], key: str) -> str:
    wanted = tuple(ready.x[ready.probe.inputs[key]].shape)
    return f"the attribution of '{key}' has shape {tuple(attributions[key].shape)} and its input {wanted}"


def padding(ready: Prepared, embedded: Collection[str]) -> dict[int, Tensor]:
    """Where embedded inputs hold padding, by position among the network's inputs: bool, (n, places..., 1).

    embedded: the tap keys of inputs that are what an embedding gives. Padding there is what begins where it ends: its
    baseline is the whole vector that it is. In numbers that are no embedding a pixel may be black, and is no padding.
    """
    found = {}
    for key in embedded:
        position = ready.probe.inputs[key]
        stays = ready.x[position] == origin(ready)[position]
        stays = stays.all(-1, keepdim=True) if stays.ndim > 2 else stays
        if bool(stays.any()):
            found[position] = stays
    return found


def distance(ready: Prepared, position: int) -> float:
    """The root mean square of x - x' over the examples and units of one input, in the input's unit."""
    gap = ready.x[position] - origin(ready)[position]
    return float(gap.to(torch.float64).square().mean().sqrt())
