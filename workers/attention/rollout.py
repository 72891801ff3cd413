"""From which tokens does what a layer reads come, through all attentions before it?

Abnar and Zuidema, arXiv:2005.00928, section 3: attention rollout, the product of the layers' attentions with the
residual connections in them. Chefer, Gur and Wolf, arXiv:2103.15679, section 3: the same question for one target,
each attention weighted by the target's gradient and averaged over heads where it is positive; for self-attention, and
for a decoder that reads an encoder. Everything here is algebra in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Heads = Literal["mean", "max", "min"]


def joined(weights: Tensor, heads: Heads) -> Tensor:
    """(n, heads, queries, keys) to (n, queries, keys)."""
    if heads == "mean":
        return weights.mean(1)
    return weights.amax(1) if heads == "max" else weights.amin(1)


def with_residual(attention: Tensor) -> Tensor:
    """(n, T, T): A/2 + I/2, its rows brought back to a sum of one (section 3 of Abnar and Zuidema)."""
    added = (attention + torch.eye(attention.shape[-1], dtype=attention.dtype, device=attention.device)) / 2
    return added / added.sum(-1, keepdim=True)


def rollouts(attentions: Sequence[Tensor]) -> Iterator[Tensor]:
    """After each layer, (n, T, T): the share of each token of the input (column) in each token there (row).

    attentions: (n, T, T) of each layer, from the input on. Ã(l) = A(l) Ã(l-1); rows sum to one.
    """
    made = None
    for attention in attentions:
        layer = with_residual(attention)
        made = layer if made is None else layer @ made
        yield made


def weighted(weights: Tensor, gradient: Tensor) -> Tensor:
    """(n, heads, queries, keys) to (n, queries, keys): the mean over heads of (gradient · weights) where positive."""
    return (weights * gradient).clamp(min=0).mean(1)


def relevances(attentions: Sequence[Tensor]) -> Iterator[Tensor]:
    """After each layer, (n, T, T): R = R + Ā R, begun with R = I. attentions: `weighted` ones."""
    made = _identity(attentions[0])
    for attention in attentions:
        made = made + attention @ made
        yield made


def beyond_identity(relevance: Tensor) -> Tensor:
    """R - I: what attention brought, without what each token is to itself before any."""
    return relevance - _identity(relevance)


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Relevance in a decoder, (n, T, S) to the tokens of the encoder and (n, T, T) to its own."""

    source: Tensor
    own: Tensor


def crossed_relevances(
    encoder: Sequence[Tensor], decoder: Sequence[tuple[Literal["self", "cross"], Tensor]], tokens: int
) -> Iterator[Crossed]:
    """After each cross-attention. encoder, decoder: `weighted` attentions in order; tokens: the encoder's length.

    Self-attention: R^tt += Ā R^tt, R^ts += Ā R^ts. Cross-attention: R^ts += N(R^tt)ᵀ Ā N(R^ss), where N(R) brings the
    rows of R - I to a sum of one, as far as they have any, and adds I again.
    """
    like = decoder[0][1]
    source = torch.eye(tokens, dtype=like.dtype, device=like.device).expand(len(like), -1, -1)
    for attention in encoder:
        source = source + attention @ source
    own = torch.eye(like.shape[-2], dtype=like.dtype, device=like.device).expand(len(like), -1, -1)
    across = like.new_zeros(len(like), like.shape[-2], tokens)
    for reads, attention in decoder:
        if reads == "self":
            own, across = own + attention @ own, across + attention @ across
        else:
            across = across + _normalised(own).mT @ attention @ _normalised(source)
            yield Crossed(across, own)


def _normalised(relevance: Tensor) -> Tensor:
    identity, rest = _identity(relevance), beyond_identity(relevance)
    sums = rest.sum(-1, keepdim=True)
    return torch.where(sums > 0, rest / sums.where(sums > 0, torch.ones_like(sums)), torch.zeros_like(rest)) + identity


def _identity(like: Tensor) -> Tensor:
    """As many as `like` has examples, each of the size of its last axis."""
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).expand(len(like), -1, -1)
