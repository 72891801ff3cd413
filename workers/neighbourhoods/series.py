"""What does the network read of a series of which some segments are hidden?

A segment is a stretch of steps, of one channel or of all; padding is none. As for images in lime 0.2.0.1 each is shown
or hidden by a fair coin, a hidden one is filled, and the distance is the cosine distance. Fills are made in raw units.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.neighbourhoods.image import KERNEL_WIDTH, Coins
from workers.neighbourhoods.steps import Span, Steps, steps_of
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats, Samples

_LEAST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSettings:
    """What is hidden together, what stands in its place, and which steps are padding.

    segments: of time, as equally long as they can be; as many as there are steps where there are fewer. channels: each
    has segments of its own, or all are hidden together. fill: the segment's own mean (which of one step is that step),
    the mean of the channel, a line from the step before to the step behind, or `constant` (raw units); of each channel.
    padding: where neither a mask nor a length is an input, steps at the end at which every channel holds this raw value
    are padding; None: none are.
    """

    segments: int = 20
    channels: Literal["apart", "together"] = "apart"
    fill: Literal["mean", "channel", "linear", "constant"] = "channel"
    constant: float = 0.0
    padding: float | None = 0.0

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        return cast("dict[str, JsonValue]", asdict(self))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeriesNeighbourhood:
    """One example of a network that reads a series, segments of it hidden.

    spans: its K features. raw, filled: (channels, steps), in raw units, as it is and with every segment hidden.
    labels: (channels, steps), the feature of each, K where it is none.
    channels: their names, empty where there is one without. steps: which are no padding, and how that is known.
    example: what the network reads, one row for each input. hidden: one row of input number `position`, all segments
    hidden. places: `labels`, laid out as it is.
    """

    spans: tuple[Span, ...]
    raw: Floats
    filled: Floats
    labels: NDArray[np.int64]
    channels: tuple[str, ...]
    steps: Steps
    settings: SeriesSettings
    example: tuple[Tensor, ...]
    hidden: Tensor
    position: int
    places: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Steps from 0, both ends included, and the channel where it is not all of them."""
        return tuple(each.said(self.channels) for each in self.spans)

    @property
    def kernel_width(self) -> float:
        """lime's for images."""
        return KERNEL_WIDTH

    @property
    def binary(self) -> bool:
        """Shown or hidden."""
        return True

    @property
    def inert(self) -> tuple[int, ...]:
        """The features of which nothing changes when they are hidden, by any network."""
        moved = (self.hidden != self.example[self.position]).flatten().cpu()
        touched = {*self.places.flatten().cpu()[moved].tolist()}
        return tuple(at for at in range(len(self.spans)) if at not in touched)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the explanation must know."""
        return (self.steps.said,) if self.steps.padded else ()

    def stream(self, seed: int, paired: bool) -> Coins:
        """lime's for an image of as many segments and `RandomState(seed)`, where not paired. seed: below 2**32."""
        return Coins(len(self.spans), seed, paired=paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """The series with the segments shown that are 1, bit for bit the example's where all are; other inputs repeat.

        Where a weight is exactly 0 or 1, torch.lerp gives its one end or the other exactly.
        """
        shown = self.example[self.position]
        z = torch.from_numpy(np.concatenate([samples.z, np.ones((len(samples), 1))], axis=1)).to(shown)
        weights = z.index_select(1, self.places.flatten()).view(-1, *self.places.shape)
        masked = torch.lerp(self.hidden, shown, weights)
        return tuple(
            masked if position == self.position else each.repeat(len(z), *[1] * (each.ndim - 1))
            for position, each in enumerate(self.example)
        )

    def shares(self, attribution: Tensor) -> Floats:
        """(K,): the sum over each feature of an attribution of the series, shaped as it is."""
        each = attribution.detach().to("cpu", torch.float64).flatten().numpy()
        count = len(self.spans)
        return np.asarray(np.bincount(self.places.flatten().cpu().numpy(), each, count + 1)[:count], dtype=np.float64)

    def as_json(self) -> dict[str, JsonValue]:
        """Segments, fill and padding."""
        made: dict[str, JsonValue] = {
            "kind": "series", "input": self.position, "features": len(self.spans),
            "segments": len({(each.start, each.stop) for each in self.spans}), "channels": self.settings.channels,
            "fill": self.settings.fill, "padding_by": self.steps.by, "padded": self.steps.padded,
        }  # fmt: skip
        return made | ({"constant": self.settings.constant} if self.settings.fill == "constant" else {})


def series(case: Predicting, index: int, settings: SeriesSettings) -> SeriesNeighbourhood:
    """The neighbourhood of example `index`: of the first input that is a series.

    Raises AnalysisError where there is none, its values are not finite, it has fewer than 4 segments in all, or the
    settings do not fit it.
    """
    position, along = _series_input(case)
    facts = case.subject.declared[position]
    shown = case.x[position][index : index + 1]
    given = case.raw[position][index]
    raw = _planes(given.double().cpu(), along)
    if not bool(np.isfinite(raw).all()):
        raise AnalysisError(
            "series", f"the series of example {index} holds NaN or infinity", remedy="Leave that example out."
        )
    padding = None if settings.padding is None else float(given.new_tensor(settings.padding))  # as its dtype has it
    steps = steps_of(case, index, raw, padding)
    parts = _parts(steps.real, settings.segments)
    spans = _spans(parts, 1 if settings.channels == "together" else len(raw))
    if len(spans) < _LEAST:
        raise AnalysisError(
            "series",
            f"the series of example {index} has {len(spans)} segments, from {int(steps.real.sum())} steps that are no"
            f" padding; a surrogate of a series needs {_LEAST}",
            remedy="Ask for more segments, or leave that example out.",
        )
    filled = np.where(steps.real, _filled(raw, parts, steps.real, settings, facts), raw)
    labels = _labels(spans, parts, raw.shape)
    hidden = case.subject.prepared(_laid_out(filled, along).unsqueeze(0).to(shown), position)
    return SeriesNeighbourhood(
        spans=spans, raw=raw, filled=filled, channels=_names(facts, len(raw), along), steps=steps, settings=settings,
        example=tuple(each[index : index + 1] for each in case.x), hidden=hidden, position=position,
        labels=labels, places=_laid_out(labels, along).to(shown.device),
    )  # fmt: skip


def _series_input(case: Predicting) -> tuple[int, int | None]:
    """Which input, and the axis of its channels in one example, None where it has none."""
    for position, facts in enumerate(case.subject.declared):
        letters = facts.layout[1:]
        if facts.kind == "series" and letters.count("T") == 1 and len(letters) in (1, 2):
            return position, None if len(letters) == 1 else 1 - letters.index("T")
    declared = ", ".join(f"{facts.kind} {facts.layout}" for facts in case.subject.declared)
    raise AnalysisError(
        "series",
        f"no input of the model is declared as a series with an axis T and at most one other; it reads {declared}",
        remedy="Declare the input as what it is (NTC, NCT or NT), or ask for the LIME of its own kind.",
    )


def _planes(example: Tensor, along: int | None) -> Floats:
    """(channels, steps)."""
    return np.asarray((example.unsqueeze(0) if along is None else example.movedim(along, 0)).numpy())


def _laid_out(planes: NDArray[np.generic], along: int | None) -> Tensor:
    """(channels, steps) as one example is."""
    made = torch.from_numpy(np.ascontiguousarray(planes))
    return made[0] if along is None else made.movedim(0, along).contiguous()


def _names(facts: InputFacts, count: int, along: int | None) -> tuple[str, ...]:
    if along is None or count == 1:
        return ()
    return facts.feature_names or tuple(f"channel {at}" for at in range(count))


def _parts(real: NDArray[np.bool_], segments: int) -> tuple[NDArray[np.int64], ...]:
    """The steps of each segment of time."""
    if segments < 1:
        raise AnalysisError("series", f"{segments} segments cannot be made", remedy="Ask for at least one.")
    steps = np.flatnonzero(real)
    return tuple(np.array_split(steps, min(segments, len(steps)))) if len(steps) else ()


def _spans(parts: tuple[NDArray[np.int64], ...], channels: int) -> tuple[Span, ...]:
    """Channel by channel, in time; of all channels at once where `channels` is 1."""
    return tuple(
        Span(int(part[0]), int(part[-1]) + 1, channel if channels > 1 else None)
        for channel in range(channels)
        for part in parts
    )


def _labels(spans: tuple[Span, ...], parts: tuple[NDArray[np.int64], ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(channels, steps): the feature of each, K for padding."""
    made = np.full(shape, len(spans))
    for feature, span in enumerate(spans):
        made[slice(None) if span.channel is None else span.channel, parts[feature % len(parts)]] = feature
    return made


def _filled(
    raw: Floats, parts: tuple[NDArray[np.int64], ...], real: NDArray[np.bool_], settings: SeriesSettings,
    facts: InputFacts,
) -> Floats:  # fmt: skip
    """(channels, steps), every segment hidden."""
    if settings.fill == "channel":
        return np.broadcast_to(raw[:, real].mean(axis=1, keepdims=True), raw.shape)
    if settings.fill == "constant":
        return np.full_like(raw, _constant(settings.constant, facts))
    made = raw.copy()
    for at, part in enumerate(parts):
        if settings.fill == "mean" or len(parts) == 1:
            made[:, part] = raw[:, part].mean(axis=1, keepdims=True)
        else:
            ends = [*(parts[at - 1][-1:] if at else ()), *(parts[at + 1][:1] if at + 1 < len(parts) else ())]
            made[:, part] = np.stack([np.interp(part, ends, channel[ends]) for channel in raw])
    return made


def _constant(value: float, facts: InputFacts) -> float:
    low, high = max(facts.bounds.low), min(facts.bounds.high)
    if not low <= value <= high:
        raise AnalysisError(
            "series",
            f"the constant {value:g} lies outside the declared bounds, which have {low:g} to {high:g} in common",
            remedy="Give it in raw units, between the declared low and high of every channel.",
        )
    return value
