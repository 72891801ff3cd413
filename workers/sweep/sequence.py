"""Along which axis of each layer's units does the input's sequence lie: its tokens, its time steps?

Lengths alone can be fooled: sixteen channels behind sixteen steps look like time. Two things cannot. Where the model
takes a sequence that is one step shorter, the axis that becomes one shorter is time, and one that shortens otherwise
has other steps than the input. Else one position after the other is changed: along time the change lands where it was
made, in a stretch around it or more strongly than any other position's. A layer of which neither tells has no axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor, nn

from workers.sweep.looks import Place
from workers.sweep.probe import Probe, Tap
from workers.sweep.watch import Watch

_POSITIONS = 8
"""Positions that are changed, evenly over the sequence."""

_LEAST = 5
"""With fewer, the strongest change lands in its own place by chance too often: once in 5⁵ for five."""

_CLEARLY = 1.1
"""By how much its own change must be stronger than any other's: rounding decides nothing."""

_SMALL = 1e-6
"""Of the largest change of a layer: less is rounding."""

Values = Mapping[Place, Tensor]


def followed(model: nn.Module, probe: Probe, x: tuple[Tensor, ...], axis: int) -> Probe:
    """The probe with the axis of each tap along which the sequence of the first moving input lies, where it is shown.

    x: what the model is called with; axis: that of the sequence in the first input of `probe.inputs`, examples first.
    """
    first = next(iter(probe.inputs.values()), None)
    if first is None or x[first].ndim <= axis or x[first].shape[axis] < 2:
        return probe
    few, length = _few(x, probe), x[first].shape[axis]
    whole, rows = _run(model, few), len(few[0])
    shorter = _run(model, _shorter(few, probe, first, axis))
    able = [tap for tap in probe.taps if tap.layout is not None and tap.place in whole]
    found = {
        tap.key: _shortened(_units(tap, whole, rows), _units(tap, shorter, rows), length)
        for tap in able
        if tap.place in shorter
    }
    left = [tap for tap in able if tap.key not in found and length in tap.shape]
    if left:
        found |= _landing(model, few, first, axis, left, whole)
    return replace(probe, taps=tuple(replace(tap, sequence=found.get(tap.key)) for tap in probe.taps))


def _few(x: tuple[Tensor, ...], probe: Probe) -> tuple[Tensor, ...]:
    """As few rows as the model takes, of the first examples."""
    rows = probe.rows or max(2, probe.least_rows)
    some = (each[:rows] for each in x)
    return tuple(torch.cat([t, t[-1:].expand(rows - len(t), *t.shape[1:])]) if len(t) < rows else t for t in some)


def _run(model: nn.Module, given: tuple[Tensor, ...] | None) -> Values:
    """What the layers give, up to where the model takes no input of this length."""
    seen: dict[Place, Tensor] = {}
    if given is None:
        return seen

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        seen[layer, call, position] = tensor.clone()
        return tensor

    # Another length is another input, which the model may refuse: what ran before it did has told its own.
    refusals = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)
    with suppress(*refusals), torch.no_grad(), Watch(model, see) as watch:
        watch.run(tuple(each.clone() for each in given))
    return seen


def _units(tap: Tap, values: Values, rows: int) -> Tensor | None:
    """(rows, units...); None where these rows cannot be told apart."""
    layout, value = tap.layout, values[tap.place]
    if layout is None or layout.axis is None:
        return None if layout is None else layout.split(value, rows)
    if value.ndim <= layout.axis or value.shape[layout.axis] != rows * layout.factor:
        return None
    return layout.split(value, rows)


# --- a second length


def _shorter(few: tuple[Tensor, ...], probe: Probe, first: int, axis: int) -> tuple[Tensor, ...] | None:
    """All that is as long as the sequence, without its last step; None where another moving input is as long."""
    length = few[first].shape[axis]
    if any(length in few[at].shape[1:] for at in probe.inputs.values() if at != first):
        return None
    return tuple(
        each.narrow(axis, 0, length - 1).contiguous()
        if at == first or (not each.is_floating_point() and each.ndim > axis and each.shape[axis] == length)
        else each
        for at, each in enumerate(few)
    )


def _shortened(whole: Tensor | None, shorter: Tensor | None, length: int) -> int | None:
    """The one axis that is a step shorter where the sequence is, and was as long as it."""
    if whole is None or shorter is None or whole.ndim != shorter.ndim:
        return None
    sizes = list(zip(whole.shape[1:], shorter.shape[1:], strict=True))
    changed = [axis for axis, (before, after) in enumerate(sizes) if before != after]
    return changed[0] if len(changed) == 1 and sizes[changed[0]] == (length, length - 1) else None


# --- where a change lands


def _landing(
    model: nn.Module, few: tuple[Tensor, ...], first: int, axis: int, taps: Sequence[Tap], whole: Values
) -> dict[str, int | None]:
    """By tap, the one axis along which changes land where they are made."""
    x, rows = few[first], len(few[0])
    length = x.shape[axis]
    tried = sorted({round(i * (length - 1) / (_POSITIONS - 1)) for i in range(_POSITIONS)})
    if len(tried) < _LEAST:
        return {}
    shape = x.select(axis, 0).shape[1:]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(x)
    change = noise * x.square().mean().sqrt()
    felt: dict[tuple[str, int], list[Tensor]] = {}
    for position in tried:
        moved = x.clone()
        moved.select(axis, position).add_(change)
        values = _run(model, (*few[:first], moved, *few[first + 1 :]))
        for tap in taps:
            now, before = (_units(tap, each, rows) for each in (values, whole))
            for at in (at for at, size in enumerate(tap.shape) if size == length):
                if now is not None and before is not None:
                    felt.setdefault((tap.key, at), []).append(_along(now[0] - before[0], at))
    lands = {where for where, each in felt.items() if _lands(torch.stack(each), tried)}
    return {
        tap.key: at
        for tap in taps
        for at in range(len(tap.shape))
        if [each for each in lands if each[0] == tap.key] == [(tap.key, at)]
    }


def _along(change: Tensor, axis: int) -> Tensor:
    """The magnitude of the change at each index of one axis: (length,), float64."""
    return change.abs().double().movedim(axis, 0).flatten(1).sum(1).cpu()


def _lands(felt: Tensor, tried: Sequence[int]) -> bool:
    """felt: (positions tried, length), how strongly each index feels the change of each position.

    Either every position reaches a stretch that holds itself, and later ones no earlier stretch; or what each position
    feels most is its own change.
    """
    if not bool(felt.isfinite().all()) or not bool(felt.any()):
        return False
    own = felt[:, list(tried)]
    if own.argmax(0).tolist() == list(range(len(tried))) and bool((own.diagonal() > 0).all()):
        return bool((own.diagonal() > _CLEARLY * _second(own)).all())
    reached = felt > _SMALL * felt.max()
    first, last = reached.int().argmax(1), felt.shape[1] - 1 - reached.flip(1).int().argmax(1)
    places = torch.tensor(tried)
    whole = reached.sum(1) == last - first + 1
    inside = (first <= places) & (places <= last)
    onward = bool((first.diff() >= 0).all()) and bool((last.diff() >= 0).all())
    return bool((whole & inside).all()) and onward and bool((first.diff() + last.diff()).any())


def _second(own: Tensor) -> Tensor:
    """What each position feels of the others' changes, at most."""
    return own.masked_fill(torch.eye(len(own), dtype=torch.bool), 0).amax(0)
