"""How much of what changes does the surrogate tell on samples it was not fitted to?

Ten folds, features chosen anew in each: what leave-one-out in closed form (generalised cross-validation) takes for
given, the choice of features, is what overfits here. A fold's error comes from its moments, so no sample is read again.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import explained


def held_out(folds: Floats, without: Centred, coefficients: Floats) -> Floats:
    """(L,): R², weighted, over all folds, against the mean of the samples that were fitted to.

    folds: (F, D, D), moments of the samples left out. without: of the F sets of all others. coefficients: (F, L, K),
    of the surrogates fitted to those.
    """
    features, labels = without.features, without.labels
    from_mean = np.zeros((len(folds), labels, 1 + features + labels))
    from_mean[:, :, 0] = -without.y
    from_mean[:, np.arange(labels), 1 + features + np.arange(labels)] = 1.0
    from_fit = from_mean.copy()
    from_fit[:, :, 0] += np.einsum("flk,fk->fl", coefficients, without.z)
    from_fit[:, :, 1 : 1 + features] = -coefficients
    residual, total = (np.einsum("fli,fij,flj->l", each, folds, each) for each in (from_fit, from_mean))
    return explained(residual, total)
