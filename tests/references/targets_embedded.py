"""Networks that read ids, from their embedded ids on: what is left of each, written out once more by hand.

The embedded ids of one example are one tensor: those of a decoder stand behind those of its encoder, along axis 1.
Nothing here is shared with the engine: no hooks, no copies of the network, no inputs that are layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Rest = Callable[[Tensor], Tensor]
"""From embedded ids (1, T, width) to the output of one example."""


def bert(network: Any, mask: Tensor) -> Rest:
    """The zoo's Bert."""

    def rest(x: Tensor) -> Tensor:
        x = network.norm(x + network.positions(torch.arange(x.shape[1])))
        bias = (1 - mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in network.layers:
            x = layer(x, bias)
        return network.head(network.pooler(x[:, 0]))

    return rest


def gpt(network: Any) -> Rest:
    """The zoo's Gpt."""

    def rest(x: Tensor) -> Tensor:
        length = x.shape[1]
        x = x + network.positions(torch.arange(length))
        for layer in network.layers:
            x = layer(x, network.ahead[:length, :length])
        return network.head(network.norm(x))

    return rest


def t5(network: Any, length: int) -> Rest:
    """The zoo's Summariser; `length` tokens of text."""

    def distances(count: int) -> Tensor:
        at = torch.arange(count)
        return network.distance(at[:, None] - at[None, :] + length).permute(2, 0, 1).unsqueeze(0)

    def rest(x: Tensor) -> Tensor:
        text, summary = x[:, :length], x[:, length:]
        read = network.encoder(text, distances(length))
        count = summary.shape[1]
        ahead = torch.full((count, count), -1e4, dtype=x.dtype).triu(1)
        made = network.decoder(summary, distances(count) + ahead, read, torch.zeros(1, dtype=x.dtype))
        return network.head(network.norm(made))

    return rest


def stock_classifier(stock: nn.Module, mask: Tensor) -> Rest:
    """A classifier of transformers."""
    return lambda x: stock(inputs_embeds=x, attention_mask=mask).logits


def stock_next(stock: nn.Module, mask: Tensor) -> Rest:
    """A causal model of transformers: the logits after the last token that the mask keeps."""
    return lambda x: stock(inputs_embeds=x, attention_mask=mask, use_cache=False).logits[:, int(mask.sum()) - 1]


def stock_seq2seq(stock: nn.Module, mask: Tensor, length: int) -> Rest:
    """An encoder and decoder of transformers; `length` tokens of text."""

    def rest(x: Tensor) -> Tensor:
        given = {"inputs_embeds": x[:, :length], "decoder_inputs_embeds": x[:, length:]}
        return stock(**given, attention_mask=mask, use_cache=False).logits[:, -1]

    return rest
