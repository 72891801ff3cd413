"""Which numbers of attacks are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from workers.robustness.outcome import RobustnessOutcome, Share

METRIC_NAMES = (
    "clean_accuracy", "robust_accuracy", "attack_success", "median_epsilon", "largest_shift", "attack_gradients",
    "attack_forwards", "attack_checks_failed", "attack_checks_not_run", "adversarials_rechecked",
)  # fmt: skip


def measurements(outcome: RobustnessOutcome) -> tuple[Measurement, ...]:
    """Shares at each budget, accuracies where there are labels, and what the attacks cost."""
    facets = {"norm": outcome.norm, "goal": outcome.goal, "attack": "all"}
    points = list[Measurement]()
    if outcome.accuracy:
        points.append(_share("clean_accuracy", outcome.clean, None, {}))
    for at in outcome.curve:
        if outcome.accuracy:
            points.append(_share("robust_accuracy", at.robust, at.epsilon, facets))
        if at.broken is not None:
            points.append(_share("attack_success", at.broken, at.epsilon, facets))
        if at.shift is not None:
            points.append(
                Measurement(
                    metric="largest_shift", epsilon=at.epsilon, facets=facets, value=at.shift.value, low=at.shift.low,
                    high=at.shift.high, n=at.shift.n,
                )
            )  # fmt: skip
    if outcome.accuracy:
        for named in outcome.named:
            for at, one in zip(outcome.curve, named.robust, strict=True):
                points.append(_share("robust_accuracy", one, at.epsilon, {**facets, "attack": named.name}))
    return (*points, *_nearest(outcome, facets), *_costs(outcome, facets))


def _nearest(outcome: RobustnessOutcome, facets: dict[str, str]) -> list[Measurement]:
    nearest = outcome.nearest
    if nearest is None or nearest.median is None:
        return []
    both = nearest.low is not None and nearest.high is not None
    return [
        Measurement(
            metric="median_epsilon", facets=facets, value=nearest.median, low=nearest.low if both else None,
            high=nearest.high if both else None, n=nearest.n,
        )
    ]  # fmt: skip


def _costs(outcome: RobustnessOutcome, facets: dict[str, str]) -> list[Measurement]:
    ran = [each for each in outcome.verdicts if each.verdict != "not run"]
    failed = sum(each.verdict == "fail" for each in ran)
    points = [
        Measurement(metric="attack_gradients", facets=facets, value=outcome.gradients, n=outcome.examples),
        Measurement(metric="attack_forwards", facets=facets, value=outcome.forwards, n=outcome.examples),
    ]
    if ran:
        points.append(Measurement(metric="attack_checks_failed", facets=facets, value=failed, n=len(ran)))
    if outcome.verdicts:
        left = len(outcome.verdicts) - len(ran)
        points.append(Measurement(metric="attack_checks_not_run", facets=facets, value=left, n=len(outcome.verdicts)))
    if outcome.again is not None and outcome.again.n:
        share = outcome.again.confirmed / outcome.again.n
        points.append(Measurement(metric="adversarials_rechecked", facets=facets, value=share, n=outcome.again.n))
    return points


def _share(metric: str, of: Share, epsilon: float | None, facets: dict[str, str]) -> Measurement:
    return Measurement(metric=metric, epsilon=epsilon, facets=facets, value=of.value, low=of.low, high=of.high, n=of.n)
