"""How is a series corrupted in the standard deviations of its channels, its padding left alone?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from service.contracts.facts import InputFacts
from service.contracts.outcome import NotApplicable
from workers.corruption.series import CHANNEL_LOSS, SERIES
from workers.corruption.source import Numbers, kept_within
from workers.corruption.spec import Corruption
from workers.kind import AnalysisError
from workers.neighbourhoods.steps import Steps, steps_of
from workers.passes.predicting import Predicting
from workers.subject.subject import Subject

_LEAST_STEPS = 2


def series(
    subject: Subject, raw: tuple[Tensor, ...], position: int, dtype: torch.dtype, padding: float | None
) -> Numbers:
    """The source of input number `position`, raw (N, ...) with an axis T and at most C.

    padding: the raw value that steps at the end hold where neither a mask nor a length is an input; None: none are.
    Raises AnalysisError where it has other axes, or an example is not finite or has fewer than two real steps.
    """
    facts = subject.declared[position]
    along = _channel_axis(facts)
    planes = [_planes(each, along) for each in raw[position]]
    steps = _steps(subject, raw, position, planes, padding)
    every = torch.cat([plane[:, torch.from_numpy(each.real)] for plane, each in zip(planes, steps, strict=True)], dim=1)
    mean, deviation = every.mean(1), every.std(1, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    low, high = (_per_channel(each, len(mean)) for each in (facts.bounds.low, facts.bounds.high))

    def one(index: int, corruption: Corruption, strength: float, draws: torch.Generator) -> tuple[Tensor, float]:
        own, real = planes[index], torch.from_numpy(steps[index].real)
        z = ((own[:, real] - mean[:, None]) / scale[:, None]).T.contiguous()
        made = corruption.apply(z, strength, draws)
        moved = made != z
        changed = torch.where(moved, mean + made * scale, own[:, real].T).T
        legal = kept_within(changed, own[:, real], low[:, None], high[:, None])
        distance = float(((legal - own[:, real]) / scale[:, None]).square().mean().sqrt())
        filled = own.clone()
        filled[:, real] = legal
        return _laid_out(filled, along), distance

    lost = len(mean) > 1
    return Numbers(
        subject=subject, raw=raw, position=position, dtype=dtype,
        corruptions=tuple(each for each in SERIES if lost or each is not CHANNEL_LOSS),
        skipped=() if lost else (NotApplicable(subject=CHANNEL_LOSS.name, because="the series has one channel"),),
        unit="root mean square, standard deviations of the channel", one=one,
        notes=(*_padded(steps), *_constant(deviation), *_beyond(every, low, high)),
    )  # fmt: skip


def _channel_axis(facts: InputFacts) -> int | None:
    """The axis of the channels in one example, None where it has none."""
    letters = facts.layout[1:]
    if letters.count("T") != 1 or len(letters) > 2:
        raise AnalysisError(
            "series-layout",
            f"the layout {facts.layout} is no series with an axis T and at most one other",
            remedy="Declare the input as what it is: NTC, NCT or NT.",
        )
    return None if len(letters) == 1 else 1 - letters.index("T")


def _planes(example: Tensor, along: int | None) -> Tensor:
    """(channels, steps), float64."""
    given = example.double().cpu()
    return given.unsqueeze(0) if along is None else given.movedim(along, 0)


def _laid_out(planes: Tensor, along: int | None) -> Tensor:
    return planes[0] if along is None else planes.movedim(0, along)


def _per_channel(values: tuple[float, ...], count: int) -> Tensor:
    return (
        torch.tensor(values, dtype=torch.float64).expand(count) if len(values) == 1 else torch.tensor(values).double()
    )


def _steps(
    subject: Subject, raw: tuple[Tensor, ...], position: int, planes: list[Tensor], padding: float | None
) -> list[Steps]:
    """Which steps of each example are real."""
    case = Predicting(
        subject=subject, network=nn.Identity(), raw=raw, x=raw, labels=None, targets=(), batch=None,
        values=torch.empty(len(planes), 0),
    )  # fmt: skip
    value = None if padding is None else float(raw[position].new_tensor(padding))  # as its dtype has it
    found = [steps_of(case, index, np.asarray(plane), value) for index, plane in enumerate(planes)]
    for index, (plane, each) in enumerate(zip(planes, found, strict=True)):
        if not bool(torch.isfinite(plane).all()) or each.real.sum() < _LEAST_STEPS:
            raise AnalysisError(
                "series",
                f"the series of example {index} holds NaN or infinity, or fewer than {_LEAST_STEPS} steps that are no"
                " padding",
                remedy="Leave such examples out of the evaluation data.",
            )
    return found


def _padded(steps: list[Steps]) -> tuple[str, ...]:
    padded = [each for each in steps if each.padded]
    if not padded:
        return ()
    return (
        f"{len(padded)} of {len(steps)} series end in padding, which stays as it is; of the first: {padded[0].said}",
    )


def _constant(deviation: Tensor) -> tuple[str, ...]:
    still = int((deviation == 0).sum())
    return (f"{still} channels are constant; a raw unit stands for their standard deviation.",) if still else ()


def _beyond(every: Tensor, low: Tensor, high: Tensor) -> tuple[str, ...]:
    beyond = float(((every < low[:, None]) | (every > high[:, None])).double().mean())
    if not beyond:
        return ()
    return (f"{beyond:.1%} of the values lie outside the declared bounds, which reach as far as each of them here.",)
