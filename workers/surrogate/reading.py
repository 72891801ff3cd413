"""What is told of an example: every label's surrogate, how far it can be trusted, and the verdict?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.drawn import Drawn
from workers.surrogate.evidence import Evidence
from workers.surrogate.explained import Explained, Local, OtherWidth
from workers.surrogate.held_out import held_out
from workers.surrogate.kept import Kept, kept
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.settings import Settings
from workers.surrogate.stability import features_index, values_index
from workers.surrogate.verdict import Signs, verdict
from workers.surrogate.weights import effective
from workers.surrogate.whole import Whole


def read(drawn: Drawn, evidence: Evidence, found: Whole, settings: Settings, seed: int) -> Explained:
    """Everything that is told of the example. found: of the same evidence."""
    answer = kept(evidence, settings, seed)
    reading = _Reading(
        drawn, evidence, found, answer, settings,
        *held_out(evidence, settings),
        features_index(answer.resampled.kept),
        values_index(answer.resampled.kept, answer.resampled.coefficients, answer.errors, settings.confidence),
        answer.unsure(settings.confidence),
        answer.weight(answer.resampled),
        {width: (answer.overlap(other), answer.weight(other)) for width, other in answer.by_width.items()},
    )  # fmt: skip
    return Explained(
        labels=tuple(reading.local(label) for label in range(evidence.labels)),
        samples=drawn.samples,
        distinct=drawn.distinct,
        lost=drawn.lost,
        effective=effective(evidence.weights),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """Of all labels, (L,) each. widths: by kernel width, the shares of features and of weight that it keeps."""

    drawn: Drawn
    evidence: Evidence
    whole: Whole
    kept: Kept
    settings: Settings
    held_out: Floats
    whole_held_out: Floats
    stable_features: Floats
    stable_values: Floats
    unsure: Floats
    weight: Floats
    widths: dict[float, tuple[Floats, Floats]]

    def local(self, label: int) -> Local:
        answer, between = self.kept.answer, self.whole.gaps[label]
        value, confidence = float(self.evidence.values[label]), self.settings.confidence
        local = value + float(answer.at_example[0, label])
        said, reason = verdict(self._signs(label))
        return Local(
            coefficients=answer.coefficients[0, label],
            errors=self.kept.errors[label],
            freedom=self.kept.freedom[label],
            whole=self.whole.coefficients[label],
            whole_errors=self.whole.errors[label],
            chosen=answer.ordered(label),
            intercept=local - float(answer.coefficients[0, label] @ self.evidence.example),
            r2=float(answer.r2[0, label]),
            held_out=float(self.held_out[label]),
            whole_held_out=float(self.whole_held_out[label]),
            prediction=value,
            local=local,
            stable_features=float(self.stable_features[label]),
            stable_values=float(self.stable_values[label]),
            overlap=float(self.whole.overlaps[label]),
            gap=None if between is None else between.size,
            gap_error=None if between is None else between.error,
            settled=(between is None or between.clear(confidence)) if self.settings.settle else None,
            widths=tuple(
                OtherWidth(width=width, r2=float(self.kept.by_width[width].r2[0, label]), overlap=float(shares[label]))
                for width, (shares, _) in self.widths.items()
            ),
            verdict=said,
            reason=reason,
        )

    def _signs(self, label: int) -> Signs:
        y, value = self.evidence.y[:, label], self.evidence.values[label]
        largest = float(np.abs(y + value).max())
        off, deviation = abs(float(self.kept.answer.at_example[0, label])), float(self.kept.deviation[label])
        return Signs(
            change=float(np.abs(y).max()) / largest if largest > 0 else 0.0,
            held_out=float(self.held_out[label]),
            whole=float(self.whole_held_out[label]),
            off=off / deviation if deviation > 0 else 0.0,
            unsure=float(self.unsure[label]),
            kept=float(self.weight[label]),
            by_width=min(((float(kept[label]), width) for width, (_, kept) in self.widths.items()), default=None),
            features=int(self.kept.answer.kept[0, label].sum()),
            unknowns=self.evidence.features + 1,
            distinct=self.drawn.distinct,
            draws=len(self.evidence.clusters),
            lost=self.drawn.lost / self.drawn.samples,
        )
