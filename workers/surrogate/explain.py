"""Why does a network say this of one example? The surrogate of every label, from samples to verdict.

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, algorithm 1; samples are appended until the
order of the features is clear as Zhou, Hooker and Wang have it ("S-LIME", arXiv:2106.07875).
"""

from __future__ import annotations

from workers.surrogate.drawn import Drawn, Told
from workers.surrogate.evidence import Evidence
from workers.surrogate.explained import Explained
from workers.surrogate.neighbourhood import Neighbourhood, Predict
from workers.surrogate.reading import read
from workers.surrogate.settings import Settings
from workers.surrogate.whole import whole

_GROWTH = 1.5
"""Each block makes the samples so many times as many: few looks, so that a gap is not found clear by looking often."""


def explain(
    neighbourhood: Neighbourhood, predict: Predict, settings: Settings, seed: int, told: Told | None = None
) -> Explained:
    """The surrogates of one example, whose stream begins at numpy's RandomState(seed).

    told: takes the share of the count budget that is spent, ascending, at its end 1. Raises NoSurrogate where no right
    number can be given, ValueError for settings that contradict each other, and what the network raises.
    """
    tell = told or _nobody
    budget = max(settings.samples, settings.most) if settings.settle else settings.samples
    width = neighbourhood.kernel_width if settings.kernel_width is None else settings.kernel_width
    drawn = Drawn(neighbourhood, predict, settings, seed)
    block = settings.samples
    while True:
        _draw(drawn, block, budget, tell)
        evidence = Evidence.of(drawn, width)
        found = whole(evidence, settings, seed)
        block = min(int(_GROWTH * drawn.samples), budget) - drawn.samples
        if block <= 0 or found.settled(settings.confidence):
            break
    explained = read(drawn, evidence, found, settings, seed)
    tell(1.0)
    return explained


def _draw(drawn: Drawn, block: int, budget: int, tell: Told) -> None:
    before = drawn.samples / budget
    drawn.draw(block, lambda share: tell(before + share * block / budget))


def _nobody(_: float) -> None:
    pass
