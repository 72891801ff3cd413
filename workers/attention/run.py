"""How much of each token is in what the output reads, example by example, and how wide does each layer attend?

One forward pass of a batch gives the weights of every attention, and one backward pass their gradients where they are
asked for. The rows read are those tokens of the last layer on which the target depends, unless others are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workers.attention.capture import Caught, captured
from workers.attention.find import Attention
from workers.attention.operators import Change
from workers.attention.refusals import AttentionRefused
from workers.attention.rollout import Heads, beyond_identity, crossed_relevances, joined, relevances, rollouts, weighted
from workers.attention.spread import distance, entropy
from workers.attention.structure import EncoderDecoder, Stack
from workers.numerics.determinism import require_finite
from workers.sweep.ready import Prepared
from workers.sweep.refusals import ChangingGraph
from workers.sweep.watch import differentiable_recurrence, frozen

Rule = Literal["rollout", "gradient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """rule: rollout (Abnar and Zuidema) or gradient (Chefer, Gur and Wolf). heads: how rollout joins them.

    read: which tokens of the last layer: target (those the target depends on), first, last, mean or position:K.
    """

    rule: Rule
    heads: Heads
    read: str


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What examples start:stop gave, float64 on the CPU.

    rows: (n, layers, tokens), of each token of the input in the tokens read, after each of `keys(structure)`;
    of the encoder's tokens where there is an encoder, then `own` has those to the decoder's tokens.
    entropy, distance: (n, attentions); distance is 0 for cross-attention. read: (n, queries), weights of the rows read.
    reached: (n, tokens), those that lead to the target through attention; padding does not.
    """

    start: int
    rows: Tensor
    own: Tensor | None
    entropy: Tensor
    distance: Tensor
    read: Tensor
    reached: Tensor


def keys(structure: Stack | EncoderDecoder) -> tuple[str, ...]:
    """After which attentions there are rows."""
    layers = structure.layers if isinstance(structure, Stack) else structure.crossed
    return tuple(each.key for each in layers)


def attentions(structure: Stack | EncoderDecoder) -> tuple[Attention, ...]:
    """All that are followed, in the order in which they happen."""
    if isinstance(structure, Stack):
        return structure.layers
    return tuple(sorted((*structure.encoder.layers, *structure.decoder), key=lambda each: each.bit))


def check(structure: Stack | EncoderDecoder, question: Question) -> None:
    """Raises AttentionRefused where `question` cannot be asked of this network."""
    if isinstance(structure, EncoderDecoder) and question.rule == "rollout":
        raise AttentionRefused(
            f"the decoder attends to another sequence too ({structure.crossed[0].key}), for which rollout has no rule;"
            ' ask for the rule "gradient"'
        )
    name, _, place = question.read.partition(":")
    tokens = structure.tokens
    if name == "position" and int(place) >= tokens:
        raise AttentionRefused(f"there is no position {place}: the sequence has {tokens} tokens, counted from 0")


def follow(
    ready: Prepared,
    structure: Stack | EncoderDecoder,
    question: Question,
    batch: int,
    places: Tensor | None = None,
    change: Change | None = None,
) -> Iterator[Block]:
    """Blocks of at most `batch` examples, in order.

    places: (tokens, axes) of where tokens lie, NaN for those that lie nowhere; along a line where None.
    change: what becomes of all weights (..., queries, keys) before they are used; for controls.
    Raises AttentionRefused, NotFinite, ChangingGraph.
    """
    check(structure, question)
    wanted = attentions(structure)
    with frozen(ready.model), differentiable_recurrence(ready.model):
        for start in range(0, len(ready), batch):
            some = ready.examples(start, min(start + batch, len(ready)))
            yield _block(start, structure, question, wanted, *_passed(some, wanted, question, change), places)


def _passed(
    some: Prepared, wanted: Sequence[Attention], question: Question, change: Change | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    """The weights of each attention, and the target's gradients of them, both (n, heads, queries, keys), float64."""
    last = wanted[-1].bit
    caught: dict[int, Tensor] = {}

    def on_attention(each: Caught) -> Tensor:
        used = each.weights if change is None else change(each.weights)
        asked = question.rule == "gradient" or each.bit == last
        if asked and not used.requires_grad:
            used = used.detach().requires_grad_()
        caught[each.bit] = used
        return used

    rows = max(some.probe.rows or 1, len(some))
    with torch.enable_grad():
        output = captured(some.model, _padded(some.x, rows), on_attention)
        missing = next((each.key for each in wanted if each.bit not in caught), None)
        if missing is not None:
            raise ChangingGraph(f"the attention in '{missing}' did not happen: what runs depends on the input")
        used = [caught[each.bit] for each in wanted]
        asked = [each for each in used if each.requires_grad]
        found: dict[int, Tensor | None] = {}
        if asked:
            score = some.target.select(output, len(some)).sum()
            given = torch.autograd.grad(score, asked, allow_unused=True) if score.requires_grad else [None] * len(asked)
            found = {id(each): gradient for each, gradient in zip(asked, given, strict=True)}

    def numbers(attention: Attention, tensor: Tensor) -> Tensor:
        return attention.split(tensor.detach(), rows)[: len(some)].to("cpu", torch.float64)

    weights = [numbers(attention, each) for attention, each in zip(wanted, used, strict=True)]
    gradients = [
        None if (gradient := found.get(id(each))) is None else numbers(attention, gradient)
        for attention, each in zip(wanted, used, strict=True)
    ]
    for attention, gradient in zip(wanted, gradients, strict=True):
        if gradient is not None:
            require_finite(gradient, attention.key)
    return weights, gradients


def _padded(x: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """The examples, and the last one again as often as it takes to have `rows`."""
    return tuple(torch.cat([each, each[-1:].expand(rows - len(each), *each.shape[1:])]) for each in x)


def _block(
    start: int,
    structure: Stack | EncoderDecoder,
    question: Question,
    wanted: Sequence[Attention],
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    places: Tensor | None,
) -> Block:
    by_bit = dict(zip((each.bit for each in wanted), zip(weights, gradients, strict=True), strict=True))
    dependent = _dependent(*by_bit[wanted[-1].bit])
    reached, within = _reached(structure, wanted, weights, dependent)
    read = _read(question, dependent, within, wanted[-1].key)
    rows, inner = _rows(structure, question, by_bit, read)
    later = structure.layers if isinstance(structure, Stack) else structure.decoder
    asking = [within if each in later else reached for each in wanted]
    far = [
        distance(each, by, places) if of.reads == "self" else each.new_zeros(len(each))
        for of, each, by in zip(wanted, weights, asking, strict=True)
    ]
    wide = [entropy(each, by) for each, by in zip(weights, asking, strict=True)]
    return Block(start, rows, inner, torch.stack(wide, 1), torch.stack(far, 1), read, reached)


def _dependent(weights: Tensor, gradient: Tensor | None) -> Tensor:
    """(n, queries): whose row of the last attention the target depends on."""
    if gradient is None:
        return torch.zeros(len(weights), weights.shape[2], dtype=torch.bool)
    return gradient.abs().amax((1, 3)) > 0


def _reached(
    structure: Stack | EncoderDecoder, wanted: Sequence[Attention], weights: Sequence[Tensor], dependent: Tensor
) -> tuple[Tensor, Tensor]:
    """Which tokens lead through attention to the rows that the target depends on: of the input, and of the last layer's
    own sequence, which are the same where there is no decoder. (n, tokens) each."""
    decoder = structure.layers if isinstance(structure, Stack) else structure.decoder
    tokens = structure.tokens if isinstance(structure, Stack) else structure.encoder.tokens
    inner, outer = dependent, torch.zeros(len(dependent), tokens, dtype=torch.bool)
    for attention, each in zip(reversed(wanted), reversed(weights), strict=True):
        seen = each.amax(1) > 0
        if attention not in decoder:
            outer = outer | (seen & outer.unsqueeze(2)).any(1)
        elif attention.reads == "cross":
            outer = outer | (seen & inner.unsqueeze(2)).any(1)
        else:
            inner = inner | (seen & inner.unsqueeze(2)).any(1)
    return (inner, inner) if isinstance(structure, Stack) else (outer, inner)


def _read(question: Question, dependent: Tensor, reached: Tensor, key: str) -> Tensor:
    """(n, queries), each row summing to one."""
    if not bool(dependent.any(1).all()):
        raise AttentionRefused(f"the target does not depend on what the last attention, '{key}', gives")
    name, _, place = question.read.partition(":")
    at = torch.arange(dependent.shape[1])
    if name in ("target", "mean"):
        chosen = dependent if name == "target" else reached
    elif name == "last":
        chosen = at == (reached * at).amax(1, keepdim=True)
    else:
        chosen = (at == int(place or 0)).expand(len(dependent), -1)
    shares = chosen.to(torch.float64)
    return shares / shares.sum(1, keepdim=True)


def _rows(
    structure: Stack | EncoderDecoder,
    question: Question,
    by_bit: dict[int, tuple[Tensor, Tensor | None]],
    read: Tensor,
) -> tuple[Tensor, Tensor | None]:
    """(n, layers, tokens) after each layer; and to the decoder's own tokens where there is a decoder."""
    reading = read.unsqueeze(1)

    def positive(each: Attention) -> Tensor:
        weights, gradient = by_bit[each.bit]
        return weights.new_zeros(weights[:, 0].shape) if gradient is None else weighted(weights, gradient)

    if isinstance(structure, Stack):
        if question.rule == "rollout":
            made = rollouts([joined(by_bit[each.bit][0], question.heads) for each in structure.layers])
            return torch.cat([reading @ each for each in made], 1), None
        made = relevances([positive(each) for each in structure.layers])
        return torch.cat([reading @ beyond_identity(each) for each in made], 1), None
    crossed = list(
        crossed_relevances(
            [positive(each) for each in structure.encoder.layers],
            [(each.reads, positive(each)) for each in structure.decoder],
            structure.encoder.tokens,
        )
    )
    source = torch.cat([reading @ each.source for each in crossed], 1)
    return source, torch.cat([reading @ beyond_identity(each.own) for each in crossed], 1)
