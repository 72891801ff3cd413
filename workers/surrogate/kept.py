"""What do the samples say of every label on the features that the surrogate keeps, and would it keep them again?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.errors import Sandwich, standard_errors
from workers.surrogate.evidence import Evidence
from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import Fitted, on_chosen
from workers.surrogate.selection import select
from workers.surrogate.settings import Settings

_OTHER_WIDTHS = (0.5, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The surrogate of all samples, one set, with its errors and their degrees of freedom, (L, K); of resamples, a set
    each; and by kernel width."""

    answer: Fitted
    errors: Floats
    freedom: Floats
    deviation: Floats
    resampled: Fitted
    by_width: dict[float, Fitted]

    def weight(self, other: Fitted) -> Floats:
        """(L,): the share of the answer's weight, Σ|coefficient|, that other surrogates keep; their mean."""
        sizes = np.abs(self.answer.coefficients[0])
        total = sizes.sum(axis=1)
        shares = (sizes * other.kept).sum(axis=2).mean(axis=0) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, shares, 1.0)

    def unsure(self, confidence: float) -> Floats:
        """(L,): the share of the answer's weight that lies within so many of its own errors."""
        sizes = np.abs(self.answer.coefficients[0])
        total = sizes.sum(axis=1)
        return np.asarray((sizes * (sizes <= confidence * self.errors)).sum(axis=1) / np.where(total > 0, total, 1.0))

    def overlap(self, other: Fitted) -> Floats:
        """(L,): the share of the answer's features that another surrogate keeps."""
        own = self.answer.kept[0]
        return np.asarray((own * other.kept[0]).sum(axis=1) / np.maximum(own.sum(axis=1), 1.0))


def kept(evidence: Evidence, settings: Settings, seed: int) -> Kept:
    """No forward pass: all of it is read from moments."""
    sums = Centred.of(evidence.all(), evidence.features)
    answer = _fitted(sums, evidence, settings)
    widths = {each * evidence.width: evidence.under(each * evidence.width) for each in _OTHER_WIDTHS}
    errors, freedom = _errors(evidence, sums, answer, settings.alpha)
    members = evidence.resampled(settings.repeats, seed)
    resampled = [
        _fitted(
            Centred.of(evidence.example_sums + evidence.moments(members[part]), evidence.features), evidence, settings
        )
        for part in evidence.parts(len(members), settings.kept(evidence.features))
    ]
    return Kept(
        answer=answer,
        errors=errors,
        freedom=freedom,
        deviation=np.sqrt(sums.yy[0] / evidence.total),
        resampled=Fitted.joined(resampled),
        by_width={
            width: _fitted(Centred.of(found, evidence.features), evidence, settings)
            for width, found in widths.items()
            if found is not None
        },
    )


def _fitted(sums: Centred, evidence: Evidence, settings: Settings) -> Fitted:
    chosen = select(sums, evidence.example, settings.selection, settings.features, len(evidence.z))
    return on_chosen(sums, chosen, settings.alpha)


def _errors(evidence: Evidence, sums: Centred, answer: Fitted, alpha: float) -> tuple[Floats, Floats]:
    """(L, K) each: of the coefficients of the features chosen, as if their choice were given; 0 elsewhere, infinite
    where the samples do not tell it. Beside them the degrees of freedom, 1 elsewhere."""
    found, known = np.zeros((evidence.labels, evidence.features)), evidence.known
    freedom = np.ones_like(found)
    for label in range(evidence.labels):
        columns = np.flatnonzero(answer.kept[0, label])
        if not len(columns):
            continue
        z = evidence.z[:, columns] - sums.z[0, columns]
        zz = sums.zz[0][np.ix_(columns, columns)]
        sandwich = Sandwich.of(evidence.clusters, z[1:], evidence.weights[1:], zz, alpha, evidence.total)
        residual = evidence.y[:, label] - sums.y[0, label] - z @ answer.coefficients[0, label, columns]
        errors = standard_errors(sandwich.covariance(residual[1:]))
        found[label, columns] = np.where(known[columns], errors, np.inf)
        freedom[label, columns] = sandwich.freedom()
    return found, freedom
