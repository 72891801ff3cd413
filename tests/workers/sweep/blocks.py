"""Attributions handed to a reducer as a sweep does: tap after tap, block after block."""

import torch

from workers.sweep.reducers import Block

SPLITS = ([20], [1] * 20, [7, 13], [5, 5, 9, 1])
"""Ways to cut twenty examples into blocks."""


def fed(reducer, attributions, sizes):
    """The reducer, once it has taken the attributions (examples, ...) of each key in blocks of these sizes."""
    at = 0
    for size in sizes:
        for key, values in attributions.items():
            some = values[at : at + size]
            flat = some.reshape(size, -1).to(torch.float64)
            reducer.take(Block(key, at, at + size, some, flat.sum(1), flat.abs().sum(1)))
        at += size
    return reducer
