"""Which attentions does a forward pass hold, and which of them lead from one to the next?

Found by running, never by the name of a type: which axis of the weights follows the examples, how many heads there are,
whether queries and keys are the same tokens, whether a token sees later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from workers.attention.capture import Caught, captured
from workers.attention.refusals import AttentionRefused, NoAttention
from workers.attention.sources import Operands
from workers.sweep.layout import Layout, alike, candidates

Reads = Literal["self", "cross"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One attention of a forward pass.

    key: the layer it runs in, `@call` where there are more. heads: 1 where the weights have no axis of them.
    reads: "self" where queries and keys are made from the same inputs and earlier attentions, else "cross".
    causal: no query has weight on a later key. made_from, bit: see `Caught`.
    """

    key: str
    layer: str
    layout: Layout
    heads: int
    queries: int
    keys: int
    reads: Reads
    causal: bool
    made_from: Operands
    bit: int

    def split(self, weights: Tensor, rows: int) -> Tensor:
        """(rows, heads, queries, keys) of the weights of a pass over `rows` examples."""
        each = self.layout.split(weights, rows)
        return each if each.ndim == 4 else each.unsqueeze(1)


def find(model: nn.Module, inputs: tuple[Tensor, ...], rows: int | None) -> tuple[Attention, ...]:
    """The attentions of `model`, in the order in which they happen.

    inputs: one tensor per argument, examples along axis 0. rows: the one batch size the model takes, None if any.
    Raises AttentionRefused.
    """
    pair = tuple(_two(tensor) for tensor in inputs)
    size = rows or 2
    first = _catch(model, pair, ([0, 1] + [0] * size)[:size])
    if not first:
        raise NoAttention
    swapped = _catch(model, pair, ([1, 0] + [0] * size)[:size]) if size > 1 else first
    other = _catch(model, pair, [0, 1, 0]) if rows is None else None
    for further in (swapped, other or first):
        if [(each.layer, each.call) for each in further] != [(each.layer, each.call) for each in first]:
            raise AttentionRefused("which attentions run depends on the values of the input")
    calls = {each.layer: 1 + max(c.call for c in first if c.layer == each.layer) for each in first}
    return tuple(
        _described(each, swapped[at], other[at] if other else None, size, calls[each.layer])
        for at, each in enumerate(first)
    )


def _two(tensor: Tensor) -> Tensor:
    """Two rows that differ: the first two examples, or the only one and itself turned by a place."""
    if len(tensor) > 1 and not torch.equal(tensor[0], tensor[1]):
        return tensor[:2]
    if tensor.is_floating_point():
        return torch.cat([tensor[:1], tensor[:1] + 1])
    return torch.cat([tensor[:1], tensor[:1].roll(1, -1) if tensor.ndim > 1 else tensor[:1]])


def _catch(model: nn.Module, pair: tuple[Tensor, ...], order: list[int]) -> list[Caught]:
    caught: list[Caught] = []

    def keep(each: Caught) -> Tensor:
        caught.append(each)
        return each.weights

    with torch.no_grad():
        captured(model, tuple(tensor[torch.tensor(order, device=tensor.device)] for tensor in pair), keep)
    return caught


def _described(each: Caught, swapped: Caught, other: Caught | None, rows: int, calls: int) -> Attention:
    key = f"{each.layer}@{each.call}" if calls > 1 else each.layer
    shape = each.weights.shape
    possible = candidates(shape, rows, None if other is None else other.weights.shape, 3)
    layout = next((layout for layout in possible if _holds(layout, rows, each.weights, swapped.weights)), None)
    if layout is None:
        raise AttentionRefused(
            f"the examples cannot be told apart in the attention weights of '{key}', of shape {tuple(shape)}: it"
            " attends across the examples of a batch"
        )
    axes = tuple(layout.split(each.weights, rows).shape[1:])
    if len(axes) not in (2, 3):
        raise AttentionRefused(
            f"the attention in '{key}' has axes {axes} for one example, not (heads, queries, keys): it attends within"
            " windows or groups, between which rollout cannot lead on"
        )
    made_from = each.made_from
    same = made_from.queries == made_from.keys and axes[-1] == axes[-2]
    return Attention(
        key=key, layer=each.layer, layout=layout, heads=axes[0] if len(axes) == 3 else 1, queries=axes[-2],
        keys=axes[-1], reads="self" if same else "cross", made_from=made_from, bit=each.bit,
        causal=axes[-2] == axes[-1] > 1 and not bool(each.weights.triu(1).any()),
    )  # fmt: skip


def _holds(layout: Layout, rows: int, first: Tensor, swapped: Tensor) -> bool:
    if rows == 1:
        return True
    first, swapped = (layout.split(tensor, rows) for tensor in (first, swapped))
    return alike(first[0], swapped[1]) and alike(first[1], swapped[0])
