"""Networks that attend, each in its own way of writing it; and what they need to be followed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.networks import ready
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

WIDTH, HEADS, TOKENS = 8, 2, 5


def prepared(network: nn.Module, *x: Tensor, target: Target | None = None, rows: int | None = None) -> Prepared:
    """What the engines are given of a network and its examples; explained is the largest output of each."""
    size = rows or len(x[0])
    with torch.no_grad():
        outputs = torch.cat([network(*(t[at : at + size] for t in x)) for at in range(0, len(x[0]), size)])
    target = target or Target.classes(outputs.argmax(1))
    return Prepared(
        model=network, x=x, origin=x, target=target, outputs=outputs, probe=probe(network, x, x, target, rows=rows)
    )


def examples(count: int = 4, tokens: int = TOKENS, seed: int = 1) -> Tensor:
    """(count, tokens, 8), float64."""
    return torch.randn(count, tokens, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class ByHand(nn.Module):
    """Attention in single steps; `how` says with which calls."""

    def __init__(self, how: str = "matmul", *, causal: bool = False) -> None:
        super().__init__()
        self.how, self.causal = how, causal
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, over: Tensor | None = None) -> Tensor:
        over = x if over is None else over
        q, k, v = (
            each.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for each in (self.query(x), self.key(over), self.value(over))
        )
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril() if self.causal else None
        mixed = getattr(self, f"_{self.how}")(q, k, v, mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _scores(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        return scores if mask is None else scores.masked_fill(~mask, float("-inf"))

    def _matmul(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return functional.dropout(torch.softmax(self._scores(q, k, mask), -1), 0.1, self.training) @ v

    def _bmm(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        weights = self._scores(q, k, mask).softmax(-1, dtype=torch.float64).type_as(v)
        return torch.bmm(weights.flatten(0, 1), v.flatten(0, 1)).unflatten(0, v.shape[:2])

    def _baddbmm(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        bias = torch.zeros(1, q.shape[2], k.shape[2], dtype=q.dtype)
        bias = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
        scores = torch.baddbmm(bias, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5)
        return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).unflatten(0, v.shape[:2])

    def _einsum(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        scores = scores if mask is None else scores + torch.zeros_like(scores[0, 0]).masked_fill(~mask, float("-inf"))
        return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(3), v)

    def _turned(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Values first, as attention over the places of pictures is written (values: channels by places)."""
        weights = torch.softmax(self._scores(q, k, mask), -1)
        return torch.matmul(v.mT, weights.mT).mT

    def _fused(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=mask is not None)

    def _masked(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def _added(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        bias = None if mask is None else torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, float("-inf"))
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=q.shape[-1] ** -0.5)


HOW = ("matmul", "bmm", "baddbmm", "einsum", "turned", "fused", "masked", "added")


class Layers(nn.Module):
    """Attention beside a skip connection, `depth` times; read at `read`: first, last or mean. (N, T, 8) to (N, 3)."""

    def __init__(self, depth: int = 2, how: str = "matmul", *, causal: bool = False, read: str = "first") -> None:
        super().__init__()
        self.layers = nn.ModuleList(ByHand(how, causal=causal) for _ in range(depth))
        self.norm, self.head, self.read = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3), read

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        x = self.norm(x)
        return self.head({"first": x[:, 0], "last": x[:, -1], "mean": x.mean(1)}[self.read])


class Torchs(nn.Module):
    """nn.MultiheadAttention, twice; its weights are asked for or not."""

    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True) for _ in range(2))
        self.head, self.weights = nn.Linear(WIDTH, 3), weights

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x, x, x, need_weights=self.weights)[0]
        return self.head(x[:, 0])


class Translator(nn.Module):
    """An encoder of two layers, and a decoder of two that reads it: (N, 5, 8) and (N, 3, 8) to (N, 3)."""

    def __init__(self, *, own: bool = True) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(ByHand() for _ in range(2))
        self.own = nn.ModuleList(ByHand(causal=True) for _ in range(2)) if own else None
        self.cross = nn.ModuleList(ByHand() for _ in range(2))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, source: Tensor, text: Tensor) -> Tensor:
        for layer in self.encoder:
            source = source + layer(source)
        for at, cross in enumerate(self.cross):
            if self.own is not None:
                text = text + self.own[at](text)
            text = text + cross(text, source)
        return self.head(text[:, -1])


class Merging(nn.Module):
    """Pairs of tokens are merged between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = ByHand(), ByHand(), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.first(x)).unflatten(1, (-1, 2)).mean(2)
        return self.head((x + self.second(x)).mean(1))


class Windows(nn.Module):
    """Tokens attend within windows of two, folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = ByHand(), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.attention(x.unflatten(1, (-1, 2)).flatten(0, 1))
        return self.head((x + mixed.unflatten(0, (len(x), -1)).flatten(1, 2)).mean(1))


class SideBySide(nn.Module):
    """One layer, run on the two halves of a sequence, and then put together."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = ByHand(), nn.Linear(WIDTH, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head((left + self.layer(left)).mean(1) * (right + self.layer(right)).mean(1))


class BothWays(nn.Module):
    """Two sequences that attend to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.there, self.back = (ByHand() for _ in range(4))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        left, right = left + self.left(left), right + self.right(right)
        left, right = left + self.there(left, right), right + self.back(right, left)
        return self.head(left.mean(1) + right.mean(1))


class Pooled(nn.Module):
    """Two layers, and then one learned query that reads all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.pool = nn.ModuleList(ByHand() for _ in range(2)), ByHand()
        self.query, self.head = nn.Parameter(torch.ones(1, 1, WIDTH)), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return self.head(self.pool(self.query.expand(len(x), -1, -1), x)[:, 0])


class Rescaled(nn.Module):
    """Weights that no longer sum to one when they meet the values."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(x @ x.mT, -1) * 0.5
        return self.head((weights @ x)[:, 0])


def made(network: nn.Module, seed: int = 0) -> nn.Module:
    """In evaluation mode and float64, with weights from a seed."""
    return ready(network, seed)


def by_hand(layer: ByHand, x: Tensor) -> Tensor:
    """The weights of one attention, (examples, heads, queries, keys): softmax of scaled products, head by head."""
    weights = torch.zeros(len(x), HEADS, x.shape[1], x.shape[1], dtype=x.dtype)
    size = WIDTH // HEADS
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = layer.query(x)[..., part] @ layer.key(x)[..., part].mT / size**0.5
        if layer.causal:
            scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=x.dtype).triu(1)
        weights[:, head] = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return weights
