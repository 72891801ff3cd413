"""Which examples does the least break, and what was changed of them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from workers.robustness.case import Case
from workers.robustness.outcome import Change, Line, Worst

_CHANGES = 12
"""Features shown of each example: those changed most."""
_STEPS = 1000
_LINES = 4


def worst(
    case: Case, arrays: dict[str, Tensor], stages: Sequence[str], survive: Mapping[str, bool]
) -> tuple[Worst, ...]:
    """The examples broken by the least, at most as many as pictures are asked for.

    stages: names of the attacks. survive: by the number of an example, whether it breaks in 8 bits too, where that was
    asked.
    """
    rows = ordered(arrays)[: case.parameters.pictures]
    return tuple(_worst(case, arrays, row, stages, survive) for row in rows)


def ordered(arrays: dict[str, Tensor]) -> list[int]:
    """The rows of what is stored, that broken by the least first."""
    index, distance = arrays["index"], nearest(arrays)
    return sorted(range(len(index)), key=lambda row: (float(distance[index[row]]), int(index[row])))


def nearest(arrays: dict[str, Tensor]) -> Tensor:
    """How far each example has to be moved at most, float64 (N,): drawn in or sought where it was, else as it broke."""
    return torch.where(arrays["nearest"] >= 0, arrays["nearest"], arrays["distance"])


def _worst(
    case: Case, arrays: dict[str, Tensor], row: int, stages: Sequence[str], survive: Mapping[str, bool]
) -> Worst:
    at = int(arrays["index"][row])
    truth = "" if case.aim.truth is None else _name(case, int(case.aim.truth[at]))
    line, changes = None, tuple[Change, ...]()
    facts = case.attacked.facts
    if not case.attacked.embedded and facts.kind == "table":
        changes = _changes(case, arrays["made"][row], at)
    elif not case.attacked.embedded and facts.kind == "series" and len(facts.shape) == 2:
        line = _line(case, arrays["made"][row], at)
    return Worst(
        index=at, truth=truth, before=_said(case, arrays["before"][at]), after=_said(case, arrays["after"][row]),
        epsilon=float(arrays["epsilon"][row]), distance=float(nearest(arrays)[at]),
        by=stages[int(arrays["by"][at])], survives=survive.get(str(at)), changes=changes, line=line,
    )  # fmt: skip


def _said(case: Case, read: Tensor) -> str:
    return _name(case, int(read.argmax())) if case.aim.classes else f"{float(read):.4g}"


def _name(case: Case, number: int) -> str:
    names = case.subject.facts.output.classes
    return (names[number] if number < len(names) else f"number {number}")[:128]


def _changes(case: Case, made: Tensor, at: int) -> tuple[Change, ...]:
    x, space = case.attacked.x[at].cpu(), case.attacked.space
    before, after = x.flatten().double(), made.flatten().double()
    unit = space.unit.cpu().double().expand(1, *x.shape)[0].flatten()
    moved = (after - before) / unit
    chosen = moved.abs().argsort(descending=True, stable=True)[:_CHANGES].tolist()
    names = case.attacked.facts.feature_names
    return tuple(
        Change(
            name=names[place][:128] if place < len(names) else f"feature {place}", before=float(before[place]),
            after=float(after[place]), units=float(moved[place]),
        )
        for place in chosen
        if float(moved[place]) != 0
    )  # fmt: skip


def _line(case: Case, made: Tensor, at: int) -> Line:
    """The channel that is changed most, in standard deviations."""
    x, axis = case.attacked.x[at].cpu(), case.attacked.facts.channel_axis
    unit = case.attacked.space.unit.cpu().expand(1, *x.shape)[0]
    moved = ((made - x) / unit).movedim(axis, 0).flatten(1).abs().sum(1)
    channel = int(moved.argmax())
    names = case.attacked.facts.feature_names
    before, after = (each.movedim(axis, 0)[channel].flatten()[:_STEPS] for each in (x, made))
    return Line(
        name=names[channel][:128] if channel < len(names) else f"channel {channel}",
        before=tuple(map(float, before)), after=tuple(map(float, after)),
    )  # fmt: skip


def pictured(case: Case, rows: Sequence[Worst], arrays: dict[str, Tensor]) -> list[tuple[Worst, Tensor, Tensor]]:
    """(the example, (channels, H, W) before and after, 0 to 1 within the bounds), of images."""
    place = {int(index): row for row, index in enumerate(arrays["index"])}
    letters = case.attacked.facts.layout[1:]
    space = case.attacked.space
    span = (space.high - space.low).cpu()
    made = []
    for each in rows:
        x, after = case.attacked.x[each.index].cpu(), arrays["made"][place[each.index]]
        first, second = (_laid_out(((some[None] - space.low.cpu()) / span)[0], letters) for some in (x, after))
        made.append((each, first, second))
    return made


def _laid_out(x: Tensor, letters: str) -> Tensor:
    """(channels, H, W); of a video the middle frame, of pictures without channels one."""
    if "T" in letters:
        x = x.select(letters.index("T"), x.shape[letters.index("T")] // 2)
        letters = letters.replace("T", "")
    if "C" not in letters:
        x, letters = x[None], "C" + letters
    return x.permute(*(letters.index(letter) for letter in "CHW")).to(torch.float64)
