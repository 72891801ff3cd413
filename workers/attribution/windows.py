"""Which box hides one part of each input, where the asker gives one number or none?"""

from __future__ import annotations

from math import ceil

from workers.occlusion.windows import Box
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared

_PARTS = {1: 64, 2: 7, 3: 4}
"""Parts along each axis of places, by how many such axes there are, where the asker gives no size."""


def boxes(ready: Prepared, subject: Subject, size: int) -> tuple[Box, ...]:
    """For each input, in the order of `ready.inputs`: all channels of `size` columns, steps, tokens, or pixels a side;
    of as many as make 64 parts, or 7 by 7, where `size` is 0. A box is never larger than its input."""
    layouts = [
        (facts.layout[1:], facts.channel_axis)
        for facts, raw in zip(subject.declared, _raw(subject), strict=False)
        if raw
    ]
    embedded = len(ready.inputs) - len(layouts)
    made = []
    for at, position in enumerate(ready.probe.inputs.values()):
        shape = tuple(ready.x[position].shape[1:])
        channel = 1 if at < embedded else layouts[at - embedded][1]
        made.append(_box(shape, channel, size))
    return tuple(made)


def _raw(subject: Subject) -> list[bool]:
    """Whether each input of the data is of floating point."""
    data = subject.examples["evaluation"]
    return [each.is_floating_point() for each in (data.inputs, *data.further)]


def _box(shape: tuple[int, ...], channel: int, size: int) -> Box:
    places = [axis for axis in range(len(shape)) if axis != channel or len(shape) == 1]
    parts = _PARTS.get(len(places), 2)
    return tuple(
        0 if axis not in places else min(length, size or max(1, ceil(length / parts)))
        for axis, length in enumerate(shape)
    )
