"""What does the network say of many versions of the same few examples?

A version changes the inputs of all examples at once. Versions are made when their turn comes and share batches of a
given number of rows, so that memory does not grow with how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workers.sweep.halving import Chunks
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.target import Target

Version = Callable[[int], tuple[Tensor, ...]]
"""From its number to the network's inputs, each (n, ...): those of all n examples."""


def scores(ready: Prepared, count: int, version: Version, rows: int) -> Tensor:
    """The target for each version of each example: (count, n), float64, on the CPU.

    rows: how many run at once, unless the network takes one batch size only; half of them where the device has no
    memory for as many. Raises SweepRefused where it has none for one.
    """
    n, fixed = len(ready), ready.probe.rows
    size = fixed or max(rows, 1)
    chunks = Chunks(min(size, n), max(1, size // n), fixed=fixed)

    def some(start: int, stop: int) -> Tensor:
        made = [version(i) for i in range(start, stop)]
        batch = tuple(torch.cat(each) for each in zip(*made, strict=True))
        together = chunks.points if chunks.examples == 1 else len(batch[0])
        return torch.cat([
            _score(ready, tuple(each[at : at + together] for each in batch), at + start * n)
            for at in range(0, len(batch[0]), together)
        ])  # fmt: skip

    with torch.no_grad():
        return torch.cat(list(chunks.over(count, some))).reshape(count, n)


def with_inputs(ready: Prepared, versions: Sequence[tuple[Tensor, ...]]) -> Prepared:
    """The versions as examples of their own, n rows of the first, then of the next; same targets and baselines."""
    times = len(versions)
    x = tuple(torch.cat(each) for each in zip(*versions, strict=True))
    origin = tuple(
        each if len(each) == 1 else each.repeat(times, *[1] * (each.ndim - 1)) for each in ready.origin
    )  # fmt: skip
    target = _targets(ready.target, 0, times * len(ready))
    given = outputs(ready.model, x, ready.probe.rows, ready.target)
    return replace(ready, x=x, origin=origin, target=target, outputs=given, labels=None)


def ends(ready: Prepared, rows: int) -> tuple[Tensor, Tensor]:
    """F(x) and F(x'): each (n,), float64, on the CPU."""
    at_x, at_origin = scores(ready, 2, lambda which: (ready.x, origin(ready))[which], rows)
    return at_x, at_origin


def origin(ready: Prepared) -> tuple[Tensor, ...]:
    """The baselines with a row for each example; inputs of integers as they are in x."""
    return tuple(
        base.expand_as(x) if x.is_floating_point() else x for base, x in zip(ready.origin, ready.x, strict=True)
    )


def _score(ready: Prepared, batch: tuple[Tensor, ...], start: int) -> Tensor:
    """batch: rows `start` and on, which belong to the examples in turn."""
    count, least = len(batch[0]), ready.probe.rows or ready.probe.least_rows
    if count < least:
        batch = tuple(torch.cat([each, each[-1:].expand(least - count, *each.shape[1:])]) for each in batch)
    given = tuple(each.clone() for each in batch) if ready.probe.clones_input else batch
    chosen = _targets(ready.target, start, start + count)
    return chosen.select(ready.model(*given), count).to("cpu", torch.float64)


def _targets(target: Target, start: int, stop: int) -> Target:
    """The targets of rows start:stop, where the examples repeat along the rows."""
    if target.index is None or len(target.index) == 1:
        return target
    return replace(target, index=target.index[torch.arange(start, stop) % len(target.index)])
