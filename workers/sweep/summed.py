"""What do the attributions of each example add up to, and their magnitudes?"""

from __future__ import annotations

import torch
from torch import Tensor

_TOGETHER = 1 << 17
"""Numbers that are added at once: on the CPU each is copied in double precision first, and copies of a whole layer
leave holes in the heap that nothing after them fits."""


def summed(attribution: Tensor) -> tuple[Tensor, Tensor]:
    """attribution: (examples, ...). The sums and the sums of magnitudes, each (examples,), float64."""
    flat = attribution.reshape(len(attribution), -1)
    parts = torch.split(flat, max(1, _TOGETHER // max(1, flat.shape[1])))
    signed = torch.cat([part.sum(1, dtype=torch.float64) for part in parts])
    return signed, torch.cat([torch.linalg.vector_norm(part, 1, 1, dtype=torch.float64) for part in parts])
