"""Which stretches of a series does a prediction rest on?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3; features are stretches of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from service.contracts.base import WHOLE
from workers.lime.kind import lime_kind
from workers.lime.outcome import Shown
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Around, Drawn, Lime
from workers.neighbourhoods.series import SeriesNeighbourhood, SeriesSettings, series
from workers.passes.predicting import Predicting
from workers.pictures.colours import RAISES
from workers.pictures.series import MOST_PANELS, PartedSeries, shaded_series
from workers.surrogate.neighbourhood import Floats

_MOST_APART = 200


class LimeSeriesParameters(LimeParameters):
    """What to explain, how the series is parted, and what stands for a part that is hidden."""

    segments: Annotated[int, Field(ge=1, le=500), WHOLE] = Field(
        20, description="Of time, as equally long as they can be; one for each step where there are fewer."
    )
    channels: Literal["auto", "apart", "together"] = Field(
        "auto",
        description="Whether each channel has segments of its own, or all are hidden together; auto: apart where that"
        " makes no more than 200 segments.",
    )
    fill: Literal["mean", "channel", "linear", "constant"] = Field(
        "channel",
        description="What stands for a hidden segment: its channel's mean, its own mean (of one step: itself), a line"
        " from the step before to the step behind, or a constant.",
    )
    constant: float = Field(0.0, ge=-1e12, le=1e12, description="Of that fill, in raw units.")
    padding: Literal["value", "none"] = Field(
        "value",
        description="Whether steps at the end that hold `padding_value` are padding, where neither a mask nor a length"
        " is an input.",
    )
    padding_value: float = Field(0.0, ge=-1e12, le=1e12, description="What padding holds, in raw units.")

    def series(self, channels: int) -> SeriesSettings:
        """What the neighbourhood of a series of so many channels is made with."""
        apart = channels * self.segments <= _MOST_APART if self.channels == "auto" else self.channels == "apart"
        return SeriesSettings(
            segments=self.segments, channels="apart" if apart else "together", fill=self.fill, constant=self.constant,
            padding=self.padding_value if self.padding == "value" else None,
        )  # fmt: skip


def _around(case: Predicting, parameters: LimeSeriesParameters) -> Around:
    declared = next((each for each in case.subject.declared if each.kind == "series"), case.subject.facts.input)
    settings = parameters.series(declared.channels if "C" in declared.layout else 1)

    def at(index: int) -> SeriesNeighbourhood:
        return series(case, index, settings)

    return at


def _meaning(around: SeriesNeighbourhood) -> tuple[str, ...] | None:
    """The same steps of the same channel, in whichever example."""
    return around.names


def _shares(around: SeriesNeighbourhood, attribution: Tensor) -> Floats:
    return around.shares(attribution)


def _notes(around: SeriesNeighbourhood) -> tuple[str, ...]:
    still = [around.names[k] for k in around.inert]
    if not still:
        return around.notes
    named = "; ".join(still[:_NAMED]) + ("; …" if len(still) > _NAMED else "")
    return (*around.notes, f"{len(still)} segments are the same when they are hidden: {named}.")


_NAMED = 8


def _pictures(drawn: Sequence[Drawn]) -> tuple[tuple[Shown, bytes], ...]:
    return tuple(_picture(each) for each in drawn)


def _picture(one: Drawn) -> tuple[Shown, bytes]:
    """The series over time, once for each target; of many channels those with the largest coefficients."""
    around: SeriesNeighbourhood = one.neighbourhood
    labels = _labels(around)
    chosen = _channels(one, labels, max(1, MOST_PANELS // len(one.targets)))
    part = PartedSeries(
        values=around.raw[chosen], labels=labels[chosen], coefficients=one.coefficients.numpy(),
        errors=one.errors.numpy(),
    )  # fmt: skip
    names = [around.channels[at] for at in chosen] if around.channels else []
    fewer = f" {len(chosen)} of {len(labels)} channels, those with the largest coefficients."
    shown = Shown(
        artifact=f"series-{one.index}.png",
        title=f"Example {one.index}: what the surrogates rest on",
        alternative=f"The series of example {one.index} over time, a panel for each target and channel, each segment on"
        " a ground coloured by its coefficient.",
        caption=f"{RAISES} Without colour: not kept. Hatched: not told from 0. Grey: padding. The table below holds the"
        f" numbers.{fewer if len(chosen) < len(labels) else ''}",
        index=one.index,
    )
    return shown, shaded_series(part, one.targets, one.unit, channels=names)


def _labels(around: SeriesNeighbourhood) -> NDArray[np.int64]:
    """(channels, steps): the feature of each, K where it is none."""
    made = np.full(around.raw.shape, len(around.spans))
    for feature, span in enumerate(around.spans):
        steps = np.flatnonzero(around.steps.real[span.start : span.stop]) + span.start
        made[slice(None) if span.channel is None else span.channel, steps] = feature
    return made


def _channels(one: Drawn, labels: NDArray[np.int64], most: int) -> list[int]:
    """At most `most`, in their order."""
    weight = np.append(one.coefficients.abs().sum(0).numpy(), 0.0)
    heaviest = np.argsort(-weight[labels].sum(1), kind="stable")[:most]
    return sorted(int(at) for at in heaviest)


KIND = lime_kind(
    Lime(
        name="lime_series",
        version=1,
        title="LIME: the stretches of a series",
        question="Which stretches of a series does a prediction rest on?",
        source="Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3",
        noun="segment",
        inputs=("series",),
        parameters=LimeSeriesParameters,
        around=_around,
        absent="what fills a hidden segment",
        meaning=_meaning,
        shares=_shares,
        position=lambda around: around.position,
        notes=_notes,
        pictures=_pictures,
        limits=(
            "A hidden segment is filled, and the fill may look like something of its own: another one asks otherwise.",
            "Segments are cut at equal lengths, wherever an event begins or ends; more of them cut it finer.",
        ),
        formula="""
        Time is parted into `segments` stretches, of each channel or of all together; padding is in none of them. A
        sample shows or hides each by a fair coin and fills what is hidden (`fill`, in raw units); *z* is 1 where a
        segment is shown. Distance and kernel are those of LIME for pictures: 1 − sqrt(shown / K), 0.25 wide. lime has
        no series; for equal seeds the samples are those it draws for a picture of as many segments.
        """,
        literature="""Ribeiro, Singh and Guestrin: *"Why should I trust you?": explaining the predictions of any
        classifier*, arXiv:1602.04938, sections 3 and 4. Stability: Visani et al. 2020, arXiv:2001.11757. Samples until
        the ranking settles: Zhou, Hooker and Wang 2021, arXiv:2106.07875.""",
    )
)
