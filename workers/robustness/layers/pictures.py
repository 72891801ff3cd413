"""Where in each layer's maps does an attack land?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.pictures.layers import MOST_LAYERS, LayerMap, layer_strip, spread
from workers.robustness.layers.case import Case
from workers.robustness.layers.outcome import Shown
from workers.subject.subject import along_channels

_SHOWN = 4
_ROWS = 8


def picture(case: Case, arrays: Mapping[str, Tensor]) -> list[tuple[Shown, bytes]]:
    """The first adversarials, and beside each how far every place of each layer's maps is carried; none but for
    images that are broken."""
    facts = case.subject.facts.input
    if facts.kind != "image" or case.threat.embedded or "adversarials" not in arrays:
        return []
    made, index = arrays["adversarials"][:_SHOWN], arrays["broken"][:_SHOWN]
    device = case.threat.x.device
    x, made = case.threat.x[index.to(device)], made.to(device)
    taps = [tap for tap in case.layers.taps if len(tap.shape) == 3]
    taps = [taps[at] for at in spread(len(taps), MOST_LAYERS - 1)]
    through = case.through(_ROWS * max(1, sum(tap.bytes_per_example for tap in taps)))
    clean, changed = (through.known(rows, index.to(device), taps) for rows in (x, made))
    axis = facts.channel_axis
    maps = [LayerMap("input", _carried(case.threat.reads(x), case.threat.reads(made), axis))]
    taps = [tap for tap in taps if all(bool(each[tap.key].isfinite().all()) for each in (clean, changed))]
    maps += [LayerMap(tap.key, _carried(clean[tap.key], changed[tap.key], 0)) for tap in taps]
    low, high = (along_channels(ends, facts, made) for ends in (facts.bounds.low, facts.bounds.high))
    shown = ((made - low) / (high - low)).clamp(0, 1).movedim(axis + 1, 1).cpu()
    if shown.shape[1] not in (1, 3):
        shown = shown.mean(1, keepdim=True)
    said = Shown(
        artifact="displaced.png",
        title="Where each layer is carried",
        alternative=f"The first {len(made)} adversarials, one a row, and beside each its layers, early to deep,"
        " coloured by how far the attack carries each place of their maps.",
        caption="The sum over channels of |h(x') - h(x)|, as a share of the layer's own total at the example, so that"
        " layers can be compared; all is above zero.",
    )
    names = [f"example {at}" for at in index.tolist()]
    return [(said, layer_strip(shown, maps, "share", names=names, meaning="the bluer, the farther carried"))]


def _carried(clean: Tensor, changed: Tensor, channel: int) -> Tensor:
    """(rows, h, w), float64: of |h(x)| in all; zero where that is zero."""
    found = (changed - clean).abs().double().sum(channel + 1).cpu()
    whole = clean.abs().double().flatten(1).sum(1).cpu().reshape(-1, 1, 1)
    return torch.where(whole > 0, found / whole.clamp(min=1e-300), 0.0)
