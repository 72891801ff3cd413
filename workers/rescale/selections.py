"""How is the change of a maximum shared between the entry that won at the input and the one that won at the baseline?

captum's rule for max-pooling, kept here for every maximum: with M the larger of y and y', the entry that wins at the
input has the contribution M - y', the one that wins at the baseline y - M; divided by an entry's own change this is its
multiplier. They add up to y - y'. Of a minimum, M is the smaller. Windows that overlap add up (captum's unpooling
keeps one of them, so that its contributions fall short there).
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.rescale.secants import Given, Pair, ratio


def _crossed(y: Tensor, y_origin: Tensor, *, least: bool) -> tuple[Tensor, Tensor]:
    """What the winners at input and baseline contribute."""
    between = torch.minimum(y, y_origin) if least else torch.maximum(y, y_origin)
    return between - y_origin, y - between


def pooled(pair: Pair, given: Given, received: Given) -> Given:
    """Pooling that tells where in its plane each maximum lies: the winner's index counts along the pooled axes."""
    arrived, derivative = received[0], given[0]
    if arrived is None or derivative is None:
        return given
    planes = 3 if "3d" in pair.here.name else 2
    x, origin = (each.flatten(-planes) for each in pair.x)
    (y, y_origin), (at, at_origin) = (
        [each.flatten(-planes) for each in pair.result(position)] for position in range(2)
    )
    own, other = _crossed(y, y_origin, least=False)
    arrived = arrived.flatten(-planes)
    change = torch.zeros_like(x).scatter_add(-1, at, arrived * own).scatter_add(-1, at_origin, arrived * other)
    return (ratio(change, x, origin, derivative.flatten(-planes)).view_as(derivative),)


def extreme(pair: Pair, given: Given, received: Given) -> Given:
    """The largest or smallest along axes, or of all."""
    arrived, derivative = received[0], given[0]
    if arrived is None or derivative is None:
        return given
    least, axes = pair.here.name in ("min", "amin"), _axes(pair)
    x, origin, slope = (_last(each, axes) for each in (*pair.x, derivative))
    at, at_origin = ((each.argmin if least else each.argmax)(-1, keepdim=True) for each in (x, origin))
    own, other = _crossed(x.gather(-1, at), origin.gather(-1, at_origin), least=least)
    arrived = arrived.reshape(own.shape)
    change = torch.zeros_like(x).scatter_add(-1, at, arrived * own).scatter_add(-1, at_origin, arrived * other)
    return (_back(ratio(change, x, origin, slope), axes, derivative.shape),)


def larger(pair: Pair, given: Given, received: Given) -> Given:
    """The larger or smaller of two tensors, element by element."""
    arrived, (a, a_origin), (b, b_origin) = received[0], pair.operand(0), pair.operand(1)
    if arrived is None:
        return given
    least = pair.here.name == "minimum"
    own, other = _crossed(*pair.result(), least=least)
    first, first_origin = (a <= b, a_origin <= b_origin) if least else (a >= b, a_origin >= b_origin)
    changes = [
        arrived * (own * here + other * there) for here, there in ((first, first_origin), (~first, ~first_origin))
    ]
    return tuple(
        None if slope is None else ratio(change, x, origin, slope)
        for slope, change, (x, origin) in zip(given, changes, ((a, a_origin), (b, b_origin)), strict=True)
    )


def _axes(pair: Pair) -> list[int]:
    ndim = pair.x[0].ndim
    if not any(each.name == "dim" for each in pair.here.operation._schema.arguments):
        return list(range(ndim))
    axes = pair.here.argument("dim")
    chosen = [axes] if isinstance(axes, int) else list(axes) or list(range(ndim))
    return sorted(each % ndim for each in chosen)


def _last(tensor: Tensor, axes: list[int]) -> Tensor:
    """`tensor` with `axes` flattened into one, the last."""
    kept = [axis for axis in range(tensor.ndim) if axis not in axes]
    return tensor.permute(*kept, *axes).flatten(len(kept))


def _back(tensor: Tensor, axes: list[int], shape: torch.Size) -> Tensor:
    """The reverse of `_last`."""
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*kept, *axes]
    return tensor.reshape([shape[axis] for axis in order]).permute([order.index(axis) for axis in range(len(shape))])
