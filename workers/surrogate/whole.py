"""What does the surrogate on all features say, and how sure is its order?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.errors import Sandwich, standard_errors
from workers.surrogate.evidence import Evidence
from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ranks import Gap, gap, overlap
from workers.surrogate.ridge import on_all
from workers.surrogate.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """coefficients, errors: (L, K). gaps: at the last rank kept, by label. overlaps: (L,), of two runs' first ranks."""

    coefficients: Floats
    errors: Floats
    gaps: tuple[Gap | None, ...]
    overlaps: Floats

    def settled(self, confidence: float) -> bool:
        """Whether every label's order is clear at the last rank kept."""
        return all(each is None or each.clear(confidence) for each in self.gaps)


def whole(evidence: Evidence, settings: Settings, seed: int) -> Whole:
    """Settling asks this after each block."""
    sums = Centred.of(evidence.all(), evidence.features)
    coefficients = on_all(sums, settings.alpha)[0]
    z = evidence.z - sums.z[0]
    sandwich = Sandwich.of(evidence.clusters, z[1:], evidence.weights[1:], sums.zz[0], settings.alpha, evidence.total)
    residuals = evidence.y - sums.y[0] - z @ coefficients.T
    count = settings.kept(evidence.features)
    draws = np.random.default_rng(seed).standard_normal((2 * settings.repeats, evidence.features))
    errors, overlaps, gaps = np.empty_like(coefficients), np.empty(evidence.labels), []
    known = evidence.known
    for label, own in enumerate(coefficients):
        covariance = sandwich.covariance(residuals[1:, label])
        errors[label] = np.where(known, standard_errors(covariance), np.inf)
        gaps.append(gap(own, covariance, evidence.example, count, known))
        overlaps[label] = overlap(own, covariance, evidence.example, count, draws)
    return Whole(coefficients, errors, tuple(gaps), overlaps)
