"""Why can attention not be followed through this network? Each text says what stands in the way."""

from __future__ import annotations

from workers.sweep.refusals import SweepRefused


class AttentionRefused(SweepRefused):
    """Attention cannot be followed through this network from its tokens to its output."""


class NoAttention(AttentionRefused):
    """Nothing in a forward pass is an attention."""

    def __init__(self) -> None:
        super().__init__(
            "no attention was found: nowhere in a forward pass is a softmax over the products of queries and keys"
            " multiplied with values"
        )
