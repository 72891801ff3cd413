"""How is a picture corrupted in its own raw units, whatever its size, layout and channels? Also frames of a video."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from service.contracts.outcome import NotApplicable
from workers.corruption.image.blur import BLUR
from workers.corruption.image.digital import DIGITAL, QUANTISE, SATURATE
from workers.corruption.image.geometry import GEOMETRY
from workers.corruption.image.noise import NOISE
from workers.corruption.image.weather import WEATHER
from workers.corruption.source import Numbers, kept_within
from workers.corruption.spec import Corruption
from workers.kind import AnalysisError
from workers.subject.subject import Subject, along_channels

IMAGE = (*NOISE, *BLUR, *WEATHER, *DIGITAL, SATURATE, QUANTISE, *GEOMETRY)
LEAST_SIDE = 8
_COLOURS, _LOOKED_AT = 3, 64
_SLACK = 1e-6
"""Of the range between the bounds: what rounding may have added to a legal value."""


def images(subject: Subject, raw: tuple[Tensor, ...], position: int, dtype: torch.dtype) -> Numbers:
    """The source of input number `position`, raw (N, ...) with axes H, W and at most C and T.

    Raises AnalysisError where it has other axes, a side below 8, or values outside its declared bounds.
    """
    facts = subject.declared[position]
    letters = facts.layout[1:]
    if sorted(letters.replace("C", "").replace("T", "")) != ["H", "W"]:
        raise AnalysisError(
            "image-layout",
            f"the layout {facts.layout} does not say which axes are height and width",
            remedy="Declare the layout of the images with the letters N, C, H and W.",
        )
    height, width = (facts.shape[letters.index(axis)] for axis in "HW")
    if min(height, width) < LEAST_SIDE:
        raise AnalysisError(
            "image-size",
            f"images of {height} x {width} are smaller than {LEAST_SIDE} pixels: blocks and blurs mean nothing there",
            remedy="Ask for an analysis of single pixels, as occlusion.",
        )
    like = raw[position][:1].double().cpu()
    low, high = (along_channels(each, facts, like) for each in (facts.bounds.low, facts.bounds.high))
    _refuse_beyond(raw[position], facts, low, high)

    def one(index: int, corruption: Corruption, strength: float, draws: torch.Generator) -> tuple[Tensor, float]:
        own = raw[position][index : index + 1].double().cpu()
        given = (own - low) / (high - low)
        shown = _pictures(given[0], letters)
        made = torch.stack([corruption.apply(each, strength, draws) for each in shown])
        changed = _laid_out(kept_within(made, shown, 0.0, 1.0), letters)
        distance = float((changed - given[0]).square().mean().sqrt())
        if distance == 0:
            return own[0], 0.0
        return kept_within(low + changed[None] * (high - low), own, low, high)[0], distance

    fitting, skipped = _fitting(facts.shape[letters.index("C")] if "C" in letters else 1)
    return Numbers(
        subject=subject, raw=raw, position=position, dtype=dtype, corruptions=fitting, skipped=skipped,
        unit="root mean square, share of the range between the bounds", one=one,
    )  # fmt: skip


def _fitting(channels: int) -> tuple[tuple[Corruption, ...], tuple[NotApplicable, ...]]:
    """Colours are saturated, and what has none is quantised."""
    left, because = (
        (QUANTISE, "pictures of three channels are saturated in its place")
        if channels == _COLOURS
        else (SATURATE, f"it is about the colours of three channels, and these pictures have {channels}")
    )
    return tuple(each for each in IMAGE if each is not left), (NotApplicable(subject=left.name, because=because),)


def _pictures(example: Tensor, letters: str) -> Tensor:
    """(frames, channels, H, W)."""
    order = [letters.index(axis) for axis in "TCHW" if axis in letters]
    made = example.permute(order)
    if "C" not in letters:
        made = made.unsqueeze(-3)
    return made if "T" in letters else made.unsqueeze(0)


def _laid_out(pictures: Tensor, letters: str) -> Tensor:
    """As one example is."""
    made = pictures if "T" in letters else pictures[0]
    if "C" not in letters:
        made = made.squeeze(-3)
    order = [axis for axis in "TCHW" if axis in letters]
    return made.permute([order.index(axis) for axis in letters])


def _refuse_beyond(raw: Tensor, facts: InputFacts, low: Tensor, high: Tensor) -> None:
    """Values of another scale than the declared one would be corrupted by much too little or too much."""
    slack = _SLACK * (high - low)
    beyond, least, most = 0, inf, -inf
    for some in torch.split(raw, _LOOKED_AT):
        given = some.double().cpu()
        if not bool(torch.isfinite(given).all()):
            raise AnalysisError(
                "not-finite", "an image holds NaN or infinity", remedy="Leave such images out of the evaluation data."
            )
        beyond += int(((given < low - slack) | (given > high + slack)).flatten(1).any(1).sum())
        least, most = min(least, float(given.min())), max(most, float(given.max()))
    if beyond:
        raise AnalysisError(
            "bounds",
            f"{beyond} of {len(raw)} images lie outside the declared bounds {facts.bounds.low[0]:g} to"
            f" {facts.bounds.high[0]:g}: their values go from {least:g} to {most:g}",
            remedy="Declare the bounds and the preprocessing in the raw units of the images.",
        )
