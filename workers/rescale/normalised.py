"""How is the change of what is normalised (softmax, layer norm) shared among the numbers it is normalised over?

Softmax: p_i = exp(z_i - L), L = log Σ exp z. The rescale rule on the exponential gives Δp_i = μ_i (Δz_i - ΔL), where
μ_i is the logarithmic mean of p_i and p'_i; as Σ Δp_i = 0, ΔL = Σ w_j Δz_j with w = μ / Σμ. So the multipliers are
those of the Jacobian diag(p) - p pᵀ with p replaced: diag(μ) - μ μᵀ / Σμ. They add up, and like softmax they do not
notice what is added to all z alike. (captum's rule for nn.Softmax takes from each the mean over the whole batch; that
does not add up, and examples then depend on each other.)

Norms: y = c / s with c = x - mean and s = √(v + ε), v the mean of c²: centring is linear, v of second degree, and
Δs = Δv / (s + s'), without a division by Δv; the quotient is that of `secants`, which no small s' makes large.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from workers.rescale.secants import Given, Pair, only


def softmax(pair: Pair, given: Given, received: Given) -> Given:
    """exp z / Σ exp z along an axis."""
    arrived = received[0]
    if arrived is None:
        return given
    axis = pair.here.argument("dim")
    mean, weights = _means(*pair.x, [axis])
    return (mean * (arrived - (weights * arrived).sum(axis, keepdim=True)),)


def log_softmax(pair: Pair, given: Given, received: Given) -> Given:
    """z - log Σ exp z along an axis."""
    arrived = received[0]
    if arrived is None:
        return given
    axis = pair.here.argument("dim")
    _, weights = _means(*pair.x, [axis])
    return (arrived - weights * arrived.sum(axis, keepdim=True),)


def log_sum_exp(pair: Pair, given: Given, received: Given) -> Given:
    """log Σ exp z along axes."""
    arrived, (x, origin) = received[0], pair.x
    if arrived is None:
        return given
    axes = [each % x.ndim for each in pair.here.argument("dim")] or list(range(x.ndim))
    _, weights = _means(x, origin, axes)
    if not pair.here.argument("keepdim"):
        for axis in sorted(axes):
            arrived = arrived.unsqueeze(axis)
    return (weights * arrived,)


def _means(z: Tensor, origin: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """μ, the logarithmic mean of softmax z and softmax z', and w = μ / Σμ; zero where both are."""
    log_p, log_origin = (each - torch.logsumexp(each, axes, keepdim=True) for each in (z, origin))
    apart = (log_p - log_origin).abs()  # NaN where both are masked by -inf, and there μ is 0
    share = torch.where(apart > 0, -torch.expm1(-apart) / apart, 1)
    mean = (torch.maximum(log_p, log_origin).exp() * share).nan_to_num_(nan=0.0)
    total = mean.sum(axes, keepdim=True)
    return mean, torch.where(total > 0, mean / total, 0)


def layer_norm(pair: Pair, given: Given, received: Given) -> Given:
    """Each example over its last axes."""
    size = prod(pair.here.argument("normalized_shape"))
    return _normed(pair, given, received, lambda x: x.reshape(-1, size))


def root_mean_square_norm(pair: Pair, given: Given, received: Given) -> Given:
    """As layer norm, without centring."""
    size = prod(pair.here.argument("normalized_shape"))
    return _normed(pair, given, received, lambda x: x.reshape(-1, size), centred=False)


def group_norm(pair: Pair, given: Given, received: Given) -> Given:
    """Each example over groups of channels."""
    rows = len(pair.x[0]) * pair.here.argument("group")
    return _normed(pair, given, received, lambda x: x.reshape(rows, -1), channels=True)


def batch_norm(pair: Pair, given: Given, received: Given) -> Given:
    """By statistics of the batch: instance norm, which puts its examples among the channels."""
    channels = pair.x[0].shape[1]
    return _normed(pair, given, received, lambda x: x.transpose(0, 1).reshape(channels, -1), channels=True)


def _normed(
    pair: Pair, given: Given, received: Given, flat: Callable[[Tensor], Tensor], *, centred: bool = True,
    channels: bool = False,
) -> Given:  # fmt: skip
    """flat: from the shape of x to (groups, numbers of each). channels: the weight lies along axis 1, not the last."""
    arrived, weight = received[0], pair.here.argument("weight")
    if arrived is None:
        return given
    shape, ndim = pair.x[0].shape, pair.x[0].ndim
    if weight is not None:
        arrived = arrived * (weight.view(-1, *[1] * (ndim - 2)) if channels else weight)
    arrived, c, c_origin = flat(arrived), *(_centred(flat(each), centred=centred) for each in pair.x)
    epsilon = pair.here.argument("eps")
    epsilon = torch.finfo(c.dtype).eps if epsilon is None else epsilon
    s, s_origin = ((each.square().mean(1, keepdim=True) + epsilon).sqrt() for each in (c, c_origin))
    both = s + s_origin
    of_s = -(arrived * (c / s + c_origin / s_origin)).sum(1, keepdim=True) / both
    made = 2 * arrived / both + of_s * (c + c_origin) / (both * c.shape[1])
    return only(given, _unflat(_centred(made, centred=centred), shape, flat))


def _centred(rows: Tensor, *, centred: bool) -> Tensor:
    return rows - rows.mean(1, keepdim=True) if centred else rows


def _unflat(rows: Tensor, shape: torch.Size, flat: Callable[[Tensor], Tensor]) -> Tensor:
    """The reverse of `flat`, found by where it puts each place."""
    places = flat(torch.arange(rows.numel(), device=rows.device).view(shape))
    made = torch.empty_like(rows).flatten()
    made[places.flatten()] = rows.flatten()
    return made.view(shape)
