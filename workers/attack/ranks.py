"""Which rows of an example come first?"""

from __future__ import annotations

import torch
from torch import Tensor


def among_least(index: Tensor, value: Tensor, most: int) -> Tensor:
    """Whether a row is among the `most` smallest of its example; the earlier row of two equal ones."""
    order = torch.argsort(value, stable=True)
    order = order[torch.argsort(index[order], stable=True)]
    grouped = index[order]
    begins = torch.cat([torch.ones(1, dtype=torch.bool, device=index.device), grouped[1:] != grouped[:-1]])
    place = torch.arange(len(index), device=index.device)
    rank = place - torch.cummax(torch.where(begins, place, 0), 0).values
    keep = torch.empty(len(index), dtype=torch.bool, device=index.device)
    keep[order] = rank < most
    return keep
