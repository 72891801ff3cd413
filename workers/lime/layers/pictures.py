"""How are the surrogates of an example's layers drawn, early to deep, the output's last?

Each layer on its own scale: which features drive it is what a strip compares; the tables beside it hold the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workers.lime.layers.case import Case
from workers.lime.layers.chosen import thinned
from workers.lime.layers.outcome import LayersOutcome
from workers.lime.outcome import Shown
from workers.neighbourhoods.ids import IdsNeighbourhood
from workers.neighbourhoods.image import ImageNeighbourhood
from workers.neighbourhoods.text_samples import TextNeighbourhood
from workers.neighbourhoods.words import NONE
from workers.pictures.layers import MOST_LAYERS, LayerLine
from workers.pictures.segments import MOST_TARGETS, Parted, segment_strip
from workers.pictures.strip import MOST_FEATURES, bar_strip
from workers.pictures.words import MOST_LINES, MOST_TOKENS, token_lines
from workers.surrogate.neighbourhood import Floats, Neighbourhood

MOST_PICTURED = 4
OUTPUT = "output"
"""What stands in the place of a layer's name."""

_UNIT = "of each layer's largest coefficient"
_MEANING = "Blue: more of what is read with the feature, orange: less."
_CAPTION = (
    "Each layer has its own scale. Without colour: not kept by the layer's surrogate. The tables below hold the"
    " numbers, and say which surrogates may be read."
)

Drawing = tuple[Shown, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """One example. names: of layers, early to deep, the output's last. cuts: which of them everything passes through.
    values, errors: (names, K), as shares."""

    index: int
    around: Neighbourhood
    names: tuple[str, ...]
    cuts: tuple[bool, ...]
    values: Floats
    errors: Floats

    def of(self, names: Sequence[str]) -> _Strip:
        """These rows."""
        rows = [self.names.index(name) for name in names]
        return replace(
            self, names=tuple(names), cuts=tuple(self.cuts[at] for at in rows), values=self.values[rows],
            errors=self.errors[rows],
        )  # fmt: skip

    def thinned(self, most: int) -> _Strip:
        """So many rows at most, the output among them, evenly over depth; cuts first."""
        kept = thinned(self.cuts[:-1], most - 1)
        return self.of([*(self.names[at] for at in kept), self.names[-1]])


def pictures(case: Case, outcome: LayersOutcome, arrays: Mapping[str, Tensor]) -> tuple[Drawing, ...]:
    """Of the first examples, in the reading that most layers have; none where it is read of no layer."""
    reading = outcome.leading
    if reading is None:
        return ()
    strips = [_strip(case, outcome, arrays, reading, each.index) for each in outcome.explained[:MOST_PICTURED]]
    if all(isinstance(each.around, ImageNeighbourhood) for each in strips):
        return (_of_images(strips, reading),)
    return tuple(_of_one(each, reading, outcome) for each in strips)


def _strip(case: Case, outcome: LayersOutcome, arrays: Mapping[str, Tensor], reading: str, index: int) -> _Strip:
    found = outcome.read_at(index, reading)
    rows = [*(each.explanation for each in found), 0]
    values = arrays[f"coefficients/{index}"][rows].numpy()
    errors = arrays[f"errors/{index}"][rows].numpy()
    errors = np.where(errors < 0, np.abs(values), errors)  # unknown: as wide as what cannot be told from 0
    largest = np.abs(values).max(1, keepdims=True)
    scale = np.where(largest > 0, largest, 1.0)
    cuts = {layer.key for layer in outcome.layers if layer.cut}
    return _Strip(
        index=index, around=case.at(index), names=(*(each.key for each in found), OUTPUT),
        cuts=(*(each.key in cuts for each in found), True), values=values / scale, errors=errors / scale,
    )  # fmt: skip


def _title(reading: str) -> str:
    return f"What drives each layer, early to deep: {reading}"[:128]


def _of_images(strips: Sequence[_Strip], reading: str) -> Drawing:
    """All examples in one, with the layers that are read of all of them."""
    common = [name for name in strips[0].names if all(name in each.names for each in strips)]
    names = strips[0].of(common).thinned(MOST_TARGETS).names
    parted = []
    for each in (strip.of(names) for strip in strips):
        assert isinstance(each.around, ImageNeighbourhood)
        parted.append(
            Parted(
                picture=each.around.picture, labels=each.around.segments.labels, coefficients=each.values,
                errors=each.errors,
            )
        )  # fmt: skip
    labels = [f"example {each.index}" for each in strips]
    shown = Shown(
        artifact="layers.png",
        title=_title(reading),
        alternative=f"The first {len(strips)} examples, one a row, and beside each its segments, coloured by their"
        f" coefficients in {len(names) - 1} layers, early to deep, and in the output.",
        caption=f"{_MEANING} Hatched: not told from 0. {_CAPTION}{_some(len(names), len(common))}",
        index=None,
    )
    return shown, segment_strip(parted, names, _UNIT, names=labels, meaning=_MEANING)


def _of_one(strip: _Strip, reading: str, outcome: LayersOutcome) -> Drawing:
    around = strip.around
    if isinstance(around, TextNeighbourhood | IdsNeighbourhood):
        return _of_words(strip, around, reading)
    return _of_bars(strip, reading, outcome)


def _of_words(strip: _Strip, around: TextNeighbourhood | IdsNeighbourhood, reading: str) -> Drawing:
    """The text as it reads, once for each layer."""
    if isinstance(around, IdsNeighbourhood):
        words, features = list(around.names), list(range(len(around.names)))
    else:
        stretches = [each for each in around.units.stretches if each.feature != NONE or each.text.strip()]
        words, features = [each.text for each in stretches], [each.feature for each in stretches]
    cut, drawn = words[:MOST_TOKENS], strip.thinned(MOST_LINES)
    padded = np.concatenate([drawn.values, np.zeros((len(drawn.names), 1))], axis=1)
    along = torch.from_numpy(padded[:, features[: len(cut)]])
    lines = [LayerLine(name, values) for name, values in zip(drawn.names, along, strict=True)]
    shown = Shown(
        artifact=f"layers-{strip.index}.png",
        title=f"Example {strip.index}. {_title(reading)}"[:128],
        alternative=f"The text of example {strip.index}, once for each layer, early to deep, and for the output, each"
        " unit on a ground coloured by its coefficient.",
        caption=f"{_MEANING} {_CAPTION}{_some(len(drawn.names), len(strip.names))}"
        + (f" The first {len(cut)} of {len(words)} units." if len(cut) < len(words) else ""),
        index=strip.index,
    )
    return shown, token_lines(cut, lines, _UNIT, meaning=_MEANING)


def _of_bars(strip: _Strip, reading: str, outcome: LayersOutcome) -> Drawing:
    """A bar for each feature and layer."""
    drawn = strip.thinned(MOST_LAYERS)
    strongest = np.argsort(-np.abs(drawn.values).max(0), kind="stable")[:MOST_FEATURES]
    rows = np.sort(strongest)
    names = [strip.around.names[int(at)] for at in rows]
    more = f" The {len(rows)} largest of {len(strip.around.names)}." if len(rows) < len(strip.around.names) else ""
    shown = Shown(
        artifact=f"layers-{strip.index}.png",
        title=f"Example {strip.index}. {_title(reading)}"[:128],
        alternative=f"For each {outcome.noun} of example {strip.index} a row, and in it a bar for each layer, early to"
        " deep, and for the output, as long as the coefficient.",
        caption=f"{_MEANING} {_CAPTION}{more}{_some(len(drawn.names), len(strip.names))}",
        index=strip.index,
    )
    png = bar_strip(names, drawn.names, drawn.values[:, rows], drawn.errors[:, rows], _UNIT, meaning=_MEANING)
    return shown, png


def _some(drawn: int, there: int) -> str:
    return f" {drawn - 1} of {there - 1} layers, those first through which everything passes." if drawn < there else ""
