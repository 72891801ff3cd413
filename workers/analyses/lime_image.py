"""Which parts of a picture does a prediction rest on?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from service.contracts.base import WHOLE
from workers.lime.kind import lime_kind
from workers.lime.outcome import Shown
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Around, Drawn, Lime
from workers.neighbourhoods.image import ImageNeighbourhood, ImageSettings, image
from workers.neighbourhoods.segments import Segmentation
from workers.passes.predicting import Predicting
from workers.pictures.colours import RAISES
from workers.pictures.segments import Parted, segment_strip
from workers.surrogate.neighbourhood import Floats

_Row = Annotated[tuple[Annotated[int, Field(ge=0, le=2**31), WHOLE], ...], Field(max_length=1024, strict=False)]


class LimeImageParameters(LimeParameters):
    """What to explain, how the picture is parted, and what stands for a part that is hidden."""

    segmentation: Segmentation = Field(
        "auto", description="How the picture is parted; auto: a grid below 32 pixels a side, else SLIC. Its labels are"
        " renumbered from 0, whatever they are."
    )  # fmt: skip
    cells: Annotated[int, Field(ge=2, le=32), WHOLE] = Field(8, description="Of a grid, along each side.")
    segments: Annotated[int, Field(ge=4, le=1000), WHOLE] = Field(50, description="Of SLIC: about how many.")
    compactness: float = Field(10.0, gt=0, le=1e4, description="Of SLIC: how square segments are.")
    given: Annotated[tuple[_Row, ...], Field(max_length=1024, strict=False)] = Field(
        (), description="Of given segments: a label for each pixel, one row of the picture after another."
    )
    fill: Literal["mean", "blur", "colour"] = Field(
        "mean", description="What stands for a hidden segment: its mean colour, the picture blurred, or one colour."
    )
    blur: float = Field(0.0, ge=0, le=1000, description="Pixels, one standard deviation; 0 for a tenth of the side.")
    colour: Annotated[tuple[float, ...], Field(min_length=1, max_length=64, strict=False)] = Field(
        (0.0,), description="In raw units: one number for all channels, or one for each."
    )

    @property
    def image(self) -> ImageSettings:
        """What the neighbourhood is made with."""
        return ImageSettings(
            segmentation=self.segmentation, cells=self.cells, segments=self.segments, compactness=self.compactness,
            given=self.given, fill=self.fill, blur=self.blur, colour=self.colour,
        )  # fmt: skip


def _around(case: Predicting, parameters: LimeImageParameters) -> Around:
    settings = parameters.image

    def at(index: int) -> ImageNeighbourhood:
        return image(case, index, settings)

    return at


def _meaning(around: ImageNeighbourhood) -> tuple[str, ...] | None:
    """The cells of a grid lie where they lie in every picture; other segments are one picture's own."""
    same = around.settings.method(*around.segments.labels.shape) in ("grid", "given")
    return around.names if same else None


def _shares(around: ImageNeighbourhood, attribution: Tensor) -> Floats:
    places = around.places.cpu().expand_as(attribution).flatten()
    sums = torch.zeros(around.segments.count, dtype=torch.float64)
    return sums.index_add_(0, places, attribution.double().flatten()).numpy()


def _pictures(drawn: Sequence[Drawn]) -> tuple[tuple[Shown, bytes], ...]:
    examples = [
        Parted(
            picture=each.neighbourhood.picture, labels=each.neighbourhood.segments.labels,
            coefficients=each.coefficients.numpy(), errors=each.errors.numpy(),
        )
        for each in drawn
    ]  # fmt: skip
    names = [f"example {each.index}" for each in drawn]
    same = {each.targets for each in drawn}
    targets = drawn[0].targets if len(same) == 1 else tuple(each.partition(": ")[0] for each in drawn[0].targets)
    shown = Shown(
        artifact="segments.png",
        title="Which segments the surrogates rest on",
        alternative=f"The first {len(drawn)} examples, one a row, and beside each its segments, coloured by their"
        f" coefficients for {', '.join(targets)}.",
        caption=f"{RAISES} Hatched: not told from 0. Segments without colour are not kept. Each row has its own scale,"
        " written beside it; the tables below hold the numbers. The first examples, not chosen.",
        index=None,
    )
    return ((shown, segment_strip(examples, targets, drawn[0].unit, names=names)),)


def _notes(around: ImageNeighbourhood) -> tuple[str, ...]:
    still = [around.names[k] for k in around.inert]
    if not still:
        return ()
    named = ", ".join(still[:8]) + (", …" if len(still) > 8 else "")
    return (f"{len(still)} segments look the same when they are hidden, so that no model can miss them: {named}.",)


def _arrays(around: ImageNeighbourhood) -> Mapping[str, Tensor]:
    return {"segments": torch.from_numpy(around.segments.labels.copy()).to(torch.int32)}


KIND = lime_kind(
    Lime(
        name="lime_image",
        version=1,
        title="LIME: the parts of a picture",
        question="Which parts of a picture does a prediction rest on?",
        source="Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3",
        noun="segment",
        inputs=("image",),
        parameters=LimeImageParameters,
        around=_around,
        absent="what fills a hidden segment",
        meaning=_meaning,
        shares=_shares,
        position=lambda around: around.position,
        notes=_notes,
        pictures=_pictures,
        arrays=_arrays,
        limits=(
            "A hidden segment is filled, and the fill may look like something of its own: another one asks otherwise.",
            "A segment is the smallest thing that is seen: what a model reads inside one, or across many, is not told.",
        ),
        formula="""
        The picture is parted into K segments (`segmentation`). A sample shows or hides each by a fair coin and fills
        what is hidden (`fill`); *z* is 1 where a segment is shown. The distance is that of cosines,
        1 − sqrt(shown / K), and the kernel is 0.25 wide, as in lime. Equal seeds draw the samples of lime 0.2.0.1 bit
        for bit where `paired` is off. lime hides the wrong segments where labels begin at 1, as scikit-image's SLIC has
        them; here they are renumbered. The artifact also holds `segments/EXAMPLE`, (H, W).
        """,
        literature="""Ribeiro, Singh and Guestrin: *"Why should I trust you?": explaining the predictions of any
        classifier*, arXiv:1602.04938, sections 3 and 4. Stability: Visani et al. 2020, arXiv:2001.11757. Samples until
        the ranking settles: Zhou, Hooker and Wang 2021, arXiv:2106.07875.""",
    )
)
