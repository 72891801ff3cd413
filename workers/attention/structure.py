"""In which order do a network's attentions hand tokens on, and does rollout have a rule for that order?

One sequence that attends to itself, layer after layer, is a stack. An encoder and a decoder are two stacks, and
cross-attentions through which the second reads the end of the first. Everything else is refused in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.attention.find import Attention
from workers.attention.refusals import AttentionRefused, NoAttention


@dataclass(frozen=True, slots=True)
class Stack:
    """Self-attentions of one sequence of `tokens`, each reading what the one before gave.

    aside: attentions that read the tokens after the last layer, as in pooling by attention.
    """

    tokens: int
    layers: tuple[Attention, ...]
    aside: tuple[Attention, ...] = ()


@dataclass(frozen=True, slots=True)
class EncoderDecoder:
    """An encoder, and the self- and cross-attentions of a decoder of `tokens`, in the order in which they happen."""

    encoder: Stack
    tokens: int
    decoder: tuple[Attention, ...]

    @property
    def crossed(self) -> tuple[Attention, ...]:
        """The cross-attentions."""
        return tuple(each for each in self.decoder if each.reads == "cross")


def structure(found: Sequence[Attention]) -> Stack | EncoderDecoder:
    """How `found` fit together. Raises AttentionRefused where no rule of rollout covers it."""
    own = [each for each in found if each.reads == "self"]
    crossed = [each for each in found if each.reads == "cross"]
    if not found:
        raise NoAttention
    if not own:
        raise AttentionRefused(
            f"there is only cross-attention ({_names(crossed)}), whose queries are not the tokens it reads: rollout"
            " follows a sequence that attends to itself"
        )
    upstream = {after.made_from.queries | after.made_from.keys for after in own}
    if any(each.bit & made for each in crossed for made in upstream):
        return _encoder_decoder(own, crossed)
    if crossed and not all(each.bit & cross.made_from.keys for each in own for cross in crossed):
        return _encoder_decoder(own, crossed)
    return Stack(own[0].keys, _led_on(own), tuple(crossed))


def _led_on(layers: Sequence[Attention]) -> tuple[Attention, ...]:
    """The layers, if each has as many queries as the one before and reads what that gives."""
    for before, after in pairwise(layers):
        if before.queries != after.queries:
            raise AttentionRefused(
                f"the sequence has {before.queries} tokens in '{before.key}' and {after.queries} in '{after.key}':"
                " where tokens are merged between layers, rollout has no matrix to multiply with"
            )
        if not after.made_from.queries & before.bit:
            raise AttentionRefused(
                f"'{after.key}' does not read what '{before.key}' gives: two sequences attend side by side, and"
                " rollout follows one"
            )
    return tuple(layers)


def _encoder_decoder(own: Sequence[Attention], crossed: Sequence[Attention]) -> EncoderDecoder:
    ends = {(each.made_from.keys, each.keys) for each in crossed}
    if len(ends) > 1:
        raise AttentionRefused(
            f"the cross-attentions ({_names(crossed)}) do not all read the same sequence: the rule of rollout is for a"
            " decoder that reads the end of one encoder"
        )
    ((end, tokens),) = ends
    encoder = _led_on([each for each in own if each.bit & end])
    if any(each.bit & end for each in crossed) or any(each.queries != tokens for each in encoder):
        raise AttentionRefused(
            f"two sequences attend to each other ({_names(crossed)}): the rule of rollout is for a decoder that reads"
            " an encoder which does not read it"
        )
    decoder = _led_on(sorted((each for each in (*own, *crossed) if not each.bit & end), key=lambda each: each.bit))
    return EncoderDecoder(Stack(tokens, encoder), decoder[0].queries, decoder)


def _names(attentions: Sequence[Attention]) -> str:
    shown = ", ".join(f"'{each.key}'" for each in attentions[:3])
    return shown + (f" and {len(attentions) - 3} more" if len(attentions) > 3 else "")
