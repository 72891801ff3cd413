"""What one number is a layer's output read as?

direction: g · (h(z) - h(x)), g being the target's gradient with respect to the layer at the example x: what the target
would change by if it were linear from the layer on; at the output it is the target's own change. In units of the
target, so that layers can be compared. The way towards the mean of a class was considered instead: it needs many
examples, and is in units of the layer.
norm: |h(z)| / |h(x)|, of which the target is no part: what makes the layer as active as it is.
unit, concept: w · h(z), of a unit, of a channel's mean over places, or of a vector given.

All but the norm are sums with fixed weights, so that one product reads everything a layer is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.lime.layers.parameters import Concept
from workers.sweep.probe import Tap

NOT_RUN = "at some samples it does not run, or runs on other rows: what runs depends on the values of the input"
NOT_FINITE = "at some samples it is not finite, though the target is"
MOVING = (
    "it has a number for each position, and where words are taken out the others move to other positions; ask for unit"
    ' "token" with a mask of one token, as [MASK], or for the norm'
)
DIRECTION, NORM, CONCEPT = "direction", "norm", "concept"
_ROUNDING = 64
"""Epsilons: by less of its parts' magnitude a sum does not change, but is rounded."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a layer by its index, or by one number a channel, which is read as its mean over places."""

    layer: str
    index: tuple[int, ...]

    @classmethod
    def of(cls, reading: str) -> Unit:
        """From "unit:LAYER:INDEX"; a layer may have colons of its own."""
        layer, _, index = reading.removeprefix("unit:").rpartition(":")
        return cls(layer, tuple(map(int, index.split(","))))


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One reading of one tap at one example. name: direction, norm, "unit INDEX" or "concept NAME".

    weights: (units,), None for the norm. base: what it is at the example; 0 of a direction. scale: Σ|w·h(x)|, or |h(x)|
    for the norm. rounding: by no more than this a reading does not change, of a norm as a share.
    """

    tap: Tap
    name: str
    weights: Tensor | None
    at_example: float
    base: float
    scale: float
    rounding: float


def by_row(tap: Tap, tensor: Tensor, rows: int) -> Tensor | None:
    """(rows, units) of what a tap gives; None where it gave something for other rows than these."""
    layout = tap.layout
    if layout is None:
        return None
    if layout.axis is not None and (tensor.ndim <= layout.axis or tensor.shape[layout.axis] != rows * layout.factor):
        return None
    flat = layout.split(tensor, rows).flatten(1)
    return flat if flat.shape[1] == prod(tap.shape) else None


class Impossible(ValueError):
    """A layer has no such number; the text says why."""


def channel_axis(tap: Tap) -> int | None:
    """Which axis of its units the channels are along: the first of a picture, the one beside the sequence's, the only
    one; None where that is not known."""
    count = len(tap.shape)
    if count == 2:
        return None if tap.sequence is None else 1 - tap.sequence
    return {1: 0, 3: 0, 4: 0}.get(count)


def unit_weights(tap: Tap, index: Sequence[int], like: Tensor) -> Tensor:
    """(units,). Raises Impossible."""
    shape = tap.shape
    if len(index) == len(shape):
        if any(at >= size for at, size in zip(index, shape, strict=True)):
            raise Impossible(f"its units are {shape}, counted from 0, and none of them is {_text(index)}")
        weights = torch.zeros(shape, dtype=like.dtype, device=like.device)
        weights[tuple(index)] = 1
        return _flat(weights)
    if len(index) == 1:
        return _by_channel(tap, {index[0]: 1.0}, like)
    raise Impossible(
        f"its units are {shape}; name one by {len(shape)} numbers, or a channel by one, not {_text(index)}"
    )


def concept_weights(tap: Tap, vector: Sequence[float], like: Tensor) -> Tensor:
    """(units,), of length 1 over channels or units. Raises Impossible."""
    given = torch.tensor(vector, dtype=torch.float64)
    unit: Tensor = (given / given.norm()).to(like)
    if len(vector) == prod(tap.shape):
        return unit
    axis = channel_axis(tap)
    if axis is None or len(vector) != tap.shape[axis]:
        channels = "" if axis is None else f" or {tap.shape[axis]}, one for each channel"
        raise Impossible(f"the vector has {len(vector)} numbers; give {prod(tap.shape)}, one for each unit{channels}")
    return _by_channel(tap, dict(enumerate(unit.tolist())), like)


def _by_channel(tap: Tap, weights: Mapping[int, float], like: Tensor) -> Tensor:
    """Each channel's weight, evenly over its places."""
    axis = channel_axis(tap)
    if axis is None:
        raise Impossible(f"which axis of its units {tap.shape} is that of channels is not known; name a unit in full")
    count = tap.shape[axis]
    if any(at >= count for at in weights):
        raise Impossible(f"it has {count} channels, counted from 0, and no channel {max(weights)}")
    made = torch.zeros(count, dtype=like.dtype, device=like.device)
    for at, weight in weights.items():
        made[at] = weight * count / prod(tap.shape)
    along = [1] * len(tap.shape)
    along[axis] = count
    return _flat(made.reshape(along).expand(tap.shape))


def _flat(weights: Tensor) -> Tensor:
    flat: Tensor = weights.flatten()
    return flat


def readings(
    taps: Iterable[Tap],
    values: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    asked: Sequence[str],
    concepts: Sequence[Concept],
    *,
    moving: bool = False,
) -> tuple[list[Read], list[NotApplicable]]:
    """Everything that is asked of each tap, in order of running, then of asking; and what has no number, and why.

    values, gradients: by the tap's key, at the example, (units,); there is none of a tap that gave none. moving: in the
    samples tokens stand at other positions than in the example, so that fixed weights by position read other tokens.
    """
    made, missing = list[Read](), list[NotApplicable]()
    for tap in taps:
        if tap.key not in values:
            missing.append(NotApplicable(subject=tap.key, because=NOT_RUN))
            continue
        for name, weights in _asked(tap, values[tap.key], gradients.get(tap.key), asked, concepts):
            try:
                given = weights()
                if moving and given is not None and _by_position(tap, given):
                    raise Impossible(MOVING)
                made.append(_read(tap, name, given, values[tap.key]))
            except Impossible as why:
                missing.append(NotApplicable(subject=f"{name} of {tap.key}"[:600], because=str(why)))
    return made, missing


def _by_position(tap: Tap, weights: Tensor) -> bool:
    """Whether numbers of different positions have different weights, or may have."""
    if tap.sequence is None:
        return len(tap.shape) > 1
    shaped = weights.reshape(tap.shape)
    return not torch.equal(shaped, shaped.narrow(tap.sequence, 0, 1).expand_as(shaped))


def _asked(
    tap: Tap, value: Tensor, gradient: Tensor | None, asked: Sequence[str], concepts: Sequence[Concept]
) -> Iterator[tuple[str, Callable[[], Tensor | None]]]:
    """Name of each reading, and what gives its weights."""
    names = {tap.key, tap.layer, tap.module}
    for name in asked:
        if name == DIRECTION:
            yield name, partial(_direction, gradient)
        elif name == NORM:
            yield name, lambda: None
        elif name == CONCEPT:
            for each in concepts:
                if each.layer in names:
                    yield f"{CONCEPT} {each.name}", partial(concept_weights, tap, each.vector, value)
        elif (unit := Unit.of(name)).layer in names:
            yield f"unit {_text(unit.index)}", partial(unit_weights, tap, unit.index, value)


def _direction(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise Impossible("the target does not depend on it")
    if not bool(torch.isfinite(gradient).all()):
        raise Impossible("the target's gradient is not finite there")
    if not bool(gradient.any()):
        raise Impossible("the target's gradient is zero there: at the example it has no direction")
    return gradient.flatten()


def _read(tap: Tap, name: str, weights: Tensor | None, value: Tensor) -> Read:
    flat, epsilons = value.flatten().double(), _ROUNDING * torch.finfo(value.dtype).eps
    if not bool(torch.isfinite(flat).all()):
        raise Impossible("it is not finite at the example")
    if weights is None:
        norm = float(flat.norm())
        if norm == 0:
            raise Impossible("it is zero at the example, and nothing is relative to zero")
        return Read(tap, name, None, norm, 1.0, norm, epsilons)
    parts = weights.double() * flat
    whole, scale = float(parts.sum()), float(parts.abs().sum())
    return Read(tap, name, weights, whole, 0.0 if name == DIRECTION else whole, scale, epsilons * scale)


def _text(index: Sequence[int]) -> str:
    return ",".join(map(str, index))
