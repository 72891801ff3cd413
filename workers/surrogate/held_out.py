"""How much of what changes does the surrogate tell on samples it was not fitted to?

Ten folds, features chosen anew in each: what leave-one-out in closed form (generalised cross-validation) takes for
given, the choice of features, is what overfits here. A fold's error comes from its moments, so no sample is read again.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.evidence import Evidence
from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import explained, on_all, on_chosen
from workers.surrogate.selection import select
from workers.surrogate.settings import Settings


def held_out(evidence: Evidence, settings: Settings) -> tuple[Floats, Floats]:
    """(L,) and (L,): R², weighted, over all folds, against the mean of the samples that were fitted to; of the
    surrogate on the features it chooses, and of that on all features."""
    folds, everything = evidence.folds(), evidence.all()
    residual, whole, total = (np.zeros(evidence.labels) for _ in range(3))
    for part in evidence.parts(len(folds), settings.kept(evidence.features)):
        left = evidence.moments(folds[part])
        fitted_to = Centred.of(everything - left, evidence.features)
        chosen = select(fitted_to, evidence.example, settings.selection, settings.features, len(evidence.z))
        total += _squares(left, fitted_to, np.zeros((len(left), evidence.labels, evidence.features)))
        residual += _squares(left, fitted_to, on_chosen(fitted_to, chosen, settings.alpha).coefficients)
        whole += _squares(left, fitted_to, on_all(fitted_to, settings.alpha))
    return explained(residual, total), explained(whole, total)


def _squares(left: Floats, fitted_to: Centred, coefficients: Floats) -> Floats:
    """(L,): Σ w (y - surrogate)² over the samples left out. coefficients: (F, L, K)."""
    features, labels = fitted_to.features, fitted_to.labels
    of = np.arange(labels)
    difference = np.zeros((len(left), labels, 1 + features + labels))
    difference[:, :, 0] = np.einsum("flk,fk->fl", coefficients, fitted_to.z) - fitted_to.y
    difference[:, :, 1 : 1 + features] = -coefficients
    difference[:, of, 1 + features + of] = 1.0
    return np.asarray(np.maximum((difference @ left * difference).sum(axis=(0, 2)), 0.0))
