"""What do the samples say of every label, and how far can each be trusted?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.drawn import Drawn
from workers.surrogate.errors import Sandwich, standard_errors
from workers.surrogate.evidence import Evidence
from workers.surrogate.explained import Explained, Local, OtherWidth
from workers.surrogate.gram import Centred
from workers.surrogate.held_out import held_out
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ranks import Gap, gap
from workers.surrogate.ridge import Fitted, on_all, on_chosen
from workers.surrogate.selection import select
from workers.surrogate.settings import Settings
from workers.surrogate.stability import features_index, membership, values_index
from workers.surrogate.verdict import Signs, verdict
from workers.surrogate.weights import effective

_OTHER_WIDTHS = (0.5, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The surrogate on all features. coefficients, errors: (L, K). gaps: at the last rank kept, by label."""

    coefficients: Floats
    errors: Floats
    gaps: tuple[Gap | None, ...]

    def settled(self, confidence: float) -> bool:
        """Whether every label's order is clear at the last rank kept."""
        return all(each is None or each.clear(confidence) for each in self.gaps)


def whole(evidence: Evidence, settings: Settings) -> Whole:
    """What settling asks after each block."""
    sums = Centred.of(evidence.all()[None], evidence.features)
    coefficients = on_all(sums, settings.alpha)[0]
    z = evidence.z - sums.z[0]
    sandwich = Sandwich.of(
        evidence.clusters, z[1:], evidence.weights[1:], sums.zz[0], settings.alpha, float(evidence.weights.sum())
    )
    residuals = evidence.y - sums.y[0] - z @ coefficients.T
    errors, gaps = np.empty_like(coefficients), []
    count = evidence.features if settings.selection == "none" else settings.features
    for label in range(evidence.labels):
        influence = sandwich.influence(residuals[1:, label])
        errors[label] = standard_errors(influence)
        gaps.append(gap(coefficients[label], influence, evidence.example, count))
    return Whole(coefficients, errors, tuple(gaps))


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """Surrogates of several sets of samples: (B, L, ...). kept, coefficients: in the features' own order."""

    sums: Centred
    fitted: Fitted
    kept: Floats
    coefficients: Floats


def _sets(moments: Floats, evidence: Evidence, settings: Settings) -> _Sets:
    sums = Centred.of(moments, evidence.features)
    chosen = select(sums, evidence.example, settings.selection, settings.features, len(evidence.z))
    fitted = on_chosen(sums, chosen, settings.alpha)
    return _Sets(sums, fitted, membership(chosen, evidence.features), fitted.spread(evidence.features))


def read(drawn: Drawn, evidence: Evidence, found: Whole, settings: Settings, seed: int) -> Explained:
    """Everything that is told of the example. found: of the same evidence."""
    total, folds = evidence.all(), evidence.folds()
    answer = _sets(total[None], evidence, settings)
    without = _sets(total - folds, evidence, settings)
    repeats = _sets(evidence.resampled(settings.repeats, seed), evidence, settings)
    errors = _errors(evidence, answer, settings.alpha)
    widths = {each * evidence.width: evidence.under(each * evidence.width) for each in _OTHER_WIDTHS}
    others = {width: _sets(sums[None], evidence, settings) for width, sums in widths.items() if sums is not None}
    weight = np.abs(answer.coefficients[0])
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    told = _Told(
        answer=answer,
        errors=errors,
        held_out=held_out(folds, without.sums, without.coefficients),
        whole_held_out=held_out(folds, without.sums, on_all(without.sums, settings.alpha)),
        stable_features=features_index(repeats.kept),
        stable_values=values_index(repeats.kept, repeats.coefficients, errors, settings.confidence),
        overlap=(repeats.kept * answer.kept).sum(2).mean(0) / np.maximum(answer.kept[0].sum(1), 1),
        unsure=(weight * (np.abs(answer.coefficients[0]) <= settings.confidence * errors)).sum(1),
        kept=(repeats.kept * weight).sum(2).mean(0),
        widths={
            width: (
                other.fitted.r2[0],
                (other.kept[0] * answer.kept[0]).sum(1) / np.maximum(answer.kept[0].sum(1), 1),
                (other.kept[0] * weight).sum(1),
            )
            for width, other in others.items()
        },
    )
    return Explained(
        labels=tuple(_local(label, evidence, drawn, found, told, settings) for label in range(evidence.labels)),
        samples=drawn.samples,
        distinct=drawn.distinct,
        lost=drawn.lost,
        effective=effective(evidence.weights),
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Told:
    answer: _Sets
    errors: Floats
    held_out: Floats
    whole_held_out: Floats
    stable_features: Floats
    stable_values: Floats
    overlap: Floats
    unsure: Floats
    kept: Floats
    widths: dict[float, tuple[Floats, Floats, Floats]]


def _errors(evidence: Evidence, answer: _Sets, alpha: float) -> Floats:
    """(L, K): of the coefficients of the features chosen, as if their choice were given; 0 elsewhere."""
    found = np.zeros((evidence.labels, evidence.features))
    for label in range(evidence.labels):
        columns = np.flatnonzero(answer.kept[0, label])
        if not len(columns):
            continue
        z = evidence.z[:, columns] - answer.sums.z[0, columns]
        zz = answer.sums.zz[0][np.ix_(columns, columns)]
        sandwich = Sandwich.of(evidence.clusters, z[1:], evidence.weights[1:], zz, alpha, float(evidence.weights.sum()))
        residual = evidence.y[:, label] - answer.sums.y[0, label] - z @ answer.coefficients[0, label, columns]
        found[label, columns] = standard_errors(sandwich.influence(residual[1:]))
    return found


def _local(label: int, evidence: Evidence, drawn: Drawn, found: Whole, told: _Told, settings: Settings) -> Local:
    coefficients = told.answer.coefficients[0, label]
    order = told.answer.fitted.chosen[0, label]
    order = order[order >= 0]
    order = order[np.argsort(-np.abs(coefficients[order]), kind="stable")]
    value = float(evidence.values[label])
    local = value + float(told.answer.fitted.at_example[0, label])
    y = evidence.y[:, label]
    deviation = float(np.sqrt(told.answer.sums.yy[0, label] / evidence.weights.sum()))
    spread = float(np.abs(y).max())
    least = min(((float(w[2][label]), width) for width, w in told.widths.items()), default=None)
    words = verdict(
        Signs(
            change=spread / max(float(np.abs(y + value).max()), np.finfo(np.float64).tiny),
            held_out=float(told.held_out[label]),
            whole=float(told.whole_held_out[label]),
            off=abs(local - value) / deviation if deviation > 0 else 0.0,
            unsure=float(told.unsure[label]),
            kept=float(told.kept[label]),
            by_width=least,
            features=len(order),
            unknowns=evidence.features + 1,
            distinct=drawn.distinct,
            lost=drawn.lost / drawn.samples,
        )
    )
    between = found.gaps[label]
    return Local(
        coefficients=coefficients,
        errors=told.errors[label],
        whole=found.coefficients[label],
        whole_errors=found.errors[label],
        chosen=tuple(int(each) for each in order),
        intercept=local - float(coefficients @ evidence.example),
        r2=float(told.answer.fitted.r2[0, label]),
        held_out=float(told.held_out[label]),
        whole_held_out=float(told.whole_held_out[label]),
        prediction=value,
        local=local,
        stable_features=float(told.stable_features[label]),
        stable_values=float(told.stable_values[label]),
        overlap=float(told.overlap[label]),
        gap=None if between is None else between.size,
        gap_error=None if between is None else between.error,
        settled=(between is None or between.clear(settings.confidence)) if settings.settle else None,
        widths=tuple(
            OtherWidth(width=width, r2=float(r2[label]), overlap=float(overlap[label]))
            for width, (r2, overlap, _) in told.widths.items()
        ),
        verdict=words[0],
        reason=words[1],
    )
