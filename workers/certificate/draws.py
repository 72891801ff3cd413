"""Where do the random numbers of a check come from? From its seed, its purpose and the example, never from a batch."""

from __future__ import annotations

import torch

from workers.numerics.determinism import seed_for


def stream(seed: int, purpose: str, example: int) -> torch.Generator:
    """A generator on the CPU of its own for one example and purpose."""
    return torch.Generator().manual_seed(seed_for(f"{seed}:{purpose}", example))
