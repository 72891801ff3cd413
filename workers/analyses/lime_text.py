"""Which words of a text does a prediction rest on?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from service.contracts.base import WHOLE
from workers.lime.kind import lime_kind
from workers.lime.outcome import Shown
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Around, Drawn, Lime
from workers.neighbourhoods.ids import IdsNeighbourhood
from workers.neighbourhoods.text import text
from workers.neighbourhoods.text_samples import TextNeighbourhood, TextSettings
from workers.neighbourhoods.words import NONE, Unit
from workers.passes.predicting import Predicting
from workers.pictures.colours import RAISES
from workers.pictures.layers import LayerLine
from workers.pictures.words import MOST_TOKENS, token_lines
from workers.surrogate.neighbourhood import Floats

Neighbourhood = TextNeighbourhood | IdsNeighbourhood


class LimeTextParameters(LimeParameters):
    """What to explain, what is taken away together, and what stands in its place."""

    unit: Unit = Field("word", description="What is taken away: words as lime splits them, tokens, or sentences.")
    together: bool = Field(
        default=True, description="Units that read the same are one feature; else each occurrence is one of its own."
    )
    mask: Annotated[str, Field(max_length=64)] = Field(
        "", description="A text in the place of what is taken away; empty to take it out, as lime does."
    )
    mask_id: Annotated[int, Field(ge=-1, le=2**31), WHOLE] = Field(
        -1, description="Where the model reads ids and no text: the id in that place; -1 for the model's pad id, or 0."
    )

    @property
    def text(self) -> TextSettings:
        """What the neighbourhood is made with."""
        return TextSettings(
            unit=self.unit, together=self.together, mask=self.mask or None,
            mask_id=None if self.mask_id < 0 else self.mask_id,
        )  # fmt: skip


def _around(case: Predicting, parameters: LimeTextParameters) -> Around:
    settings = parameters.text

    def at(index: int) -> Neighbourhood:
        return text(case, index, settings)

    return at


def _meaning(around: Neighbourhood) -> tuple[str, ...] | None:
    """The same word in another text is the same feature; a position of ids is not."""
    return around.names if isinstance(around, TextNeighbourhood) else None


def _shares(around: Neighbourhood, attribution: Tensor) -> Floats:
    return around.shares(attribution)


def _position(around: Neighbourhood) -> int:
    return around.position if isinstance(around, IdsNeighbourhood) else 0


def _notes(around: Neighbourhood) -> tuple[str, ...]:
    return around.notes if isinstance(around, TextNeighbourhood) else ()


def _pictures(drawn: Sequence[Drawn]) -> tuple[tuple[Shown, bytes], ...]:
    return tuple(_picture(each) for each in drawn)


def _picture(one: Drawn) -> tuple[Shown, bytes]:
    """The text as it reads, once for each target."""
    words, features = _read(one.neighbourhood)
    cut = words[:MOST_TOKENS]
    padded = torch.cat([one.coefficients, torch.zeros(len(one.targets), 1, dtype=one.coefficients.dtype)], 1)
    along = padded[:, torch.tensor(features[: len(cut)], dtype=torch.int64)]
    lines = [LayerLine(name, values) for name, values in zip(one.targets, along, strict=True)]
    of = f" The first {len(cut)} of {len(words)} are shown." if len(cut) < len(words) else ""
    shown = Shown(
        artifact=f"text-{one.index}.png",
        title=f"Example {one.index}: what the surrogates rest on",
        alternative=f"The text of example {one.index}, once for each target, each word on a ground coloured by its"
        " coefficient.",
        caption=f"{RAISES} Without colour: not kept. The table below holds the numbers.{of}",
        index=one.index,
    )
    return shown, token_lines(cut, lines, one.unit)


def _read(around: Neighbourhood) -> tuple[list[str], list[int]]:
    """What stands in the text, but for white space, and the feature of each, NONE where it is of none."""
    if isinstance(around, IdsNeighbourhood):
        return list(around.names), list(range(len(around.names)))
    found = [each for each in around.units.stretches if each.feature != NONE or each.text.strip()]
    return [each.text for each in found], [each.feature for each in found]


KIND = lime_kind(
    Lime(
        name="lime_text",
        version=1,
        title="LIME: the words of a text",
        question="Which words of a text does a prediction rest on?",
        source="Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3",
        noun="unit",
        inputs=("text", "tokens"),
        parameters=LimeTextParameters,
        around=_around,
        absent="nothing, or the mask,",
        meaning=_meaning,
        shares=_shares,
        position=_position,
        notes=_notes,
        pictures=_pictures,
        limits=(
            "A text without some of its words is seldom a sentence, and the model may answer to that.",
            "Order is in no feature: what a word means by standing beside another is told of neither.",
        ),
        formula="""
        The text is split into units: words where lime splits it, tokens, or sentences (`unit`), which end at a line's
        end and at . ! ? … where white space follows, but not behind a title, an initial or a short form that belongs to
        what follows ("Dr. Smith", "e.g. this"); "etc." and its like end one. A sample takes away as many units as are
        drawn evenly from 1 to all of them, all occurrences at once where `together`; *z* is 1 where a unit is there.
        The distance is 100 times that of cosines, and the kernel is 25 wide, as in lime. Equal seeds draw the samples
        of lime 0.2.0.1 bit for bit where `paired` is off. What is left is put together from the tokens of the text
        where seeded samples show that tokenising it again gives the same, and is tokenised otherwise. A text longer
        than the model reads is explained as far as it is read. Where the model reads ids and no text, each position
        that is no padding is a unit, and `mask_id` stands in its place.
        """,
        literature="""Ribeiro, Singh and Guestrin: *"Why should I trust you?": explaining the predictions of any
        classifier*, arXiv:1602.04938, sections 3 and 4. Stability: Visani et al. 2020, arXiv:2001.11757. Samples until
        the ranking settles: Zhou, Hooker and Wang 2021, arXiv:2106.07875.""",
    )
)
