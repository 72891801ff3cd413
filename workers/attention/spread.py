"""How wide does an attention look: over how many tokens, and how far?

Entropy as in Clark et al., arXiv:1906.04341, section 3; distance as in Dosovitskiy et al., arXiv:2010.11929, appendix
D.7: each query's mean distance to what it attends to, by its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(weights: Tensor, asking: Tensor) -> Tensor:
    """(n,), nat: of a query's weights, mean over heads and the queries `asking` (n, queries).

    weights: (n, heads, queries, keys). 0 where a query attends to one token; ln(keys) where to all alike.
    """
    return _mean(entropy_of(weights), asking)


def entropy_of(shares: Tensor) -> Tensor:
    """(...), nat: of (..., k) that sum to one along the last axis."""
    return -torch.xlogy(shares, shares).sum(-1)


def distance(weights: Tensor, asking: Tensor, places: Tensor | None = None) -> Tensor:
    """(n,): from a query to what it attends to, mean over heads and the queries `asking` (n, queries).

    places: (tokens, axes); a token with NaN lies nowhere: as a query it is left out, as a key its weight is. Along a
    line, in tokens, where None.
    """
    if places is None:
        places = torch.arange(weights.shape[-1], dtype=weights.dtype).unsqueeze(1)
    somewhere = ~places.isnan().any(1)
    settled = places.nan_to_num().to(weights.dtype)
    apart = torch.linalg.vector_norm(settled[:, None] - settled[None, :], dim=-1)
    seen = weights * somewhere
    sums = seen.sum(-1)
    far = (seen * apart).sum(-1) / torch.where(sums > 0, sums, torch.ones_like(sums))
    return _mean(far, asking & somewhere)


def _mean(values: Tensor, asking: Tensor) -> Tensor:
    """Over heads and the queries that ask: (n, heads, queries) to (n,); 0 where none does."""
    kept = asking.to(values.dtype).expand(len(values), -1)
    return (values.mean(1) * kept).sum(1) / kept.sum(1).clamp(min=1)


def grid(tokens: int, height: int, width: int) -> tuple[int, int, int] | None:
    """Rows, columns and leading tokens of a picture cut into `tokens` square patches, in reading order.

    The fewest leading tokens (a class token, registers), up to 8 and fewer than patches, with which it comes out; None
    where it does not.
    """
    for leading in range(min(9, (tokens + 1) // 2)):
        for rows in range(1, height + 1):
            columns, rest = divmod(tokens - leading, rows)
            whole = not rest and columns and height % rows == 0 and width % columns == 0
            if whole and height // rows == width // columns and rows * columns > 1:
                return rows, columns, leading
    return None


def on_grid(rows: int, columns: int, leading: int) -> Tensor:
    """(leading + rows columns, 2), in patches; leading tokens lie nowhere."""
    lattice = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(torch.float64)
    return torch.cat([torch.full((leading, 2), float("nan"), dtype=torch.float64), lattice])
