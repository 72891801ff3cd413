"""What do the attacks on all examples say together?"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import Computed, Partial
from workers.numerics.intervals import mean_t, wilson
from workers.passes.asked import ROLE
from workers.robustness.case import Case
from workers.robustness.findings import findings
from workers.robustness.honesty.verdict import Verdict
from workers.robustness.outcome import (
    Again,
    At,
    Mean,
    Named,
    Nearest,
    OfClass,
    Ran,
    RobustnessOutcome,
    Share,
)
from workers.robustness.parameters import RobustnessParameters
from workers.robustness.pictures import pictures
from workers.robustness.shown import nearest, worst
from workers.robustness.worst import median
from workers.subject.subject import Subject

_MOST_CLASSES = 200


def merge(
    subject: Subject, parameters: RobustnessParameters, partials: Sequence[Partial]
) -> Computed[RobustnessOutcome]:
    """The outcome, the arrays behind it, and pictures of the worst."""
    case = Case.of(subject, parameters)
    (made,) = partials
    values: dict[str, Any] = made.values
    arrays = made.arrays
    n, attacked, aim = len(case), case.attacked, case.aim
    clean, at = arrays["clean"], arrays["at"]
    shown = worst(case, arrays, [each["name"] for each in values["stages"]], values["survive"])
    drawn = pictures(case, shown, arrays)
    missing = [NotApplicable.model_validate(each) for each in values["missing"]]
    outcome = RobustnessOutcome(
        norm=parameters.norm, unit=attacked.unit, input_unit=attacked.facts.unit, goal=parameters.goal,
        broken=aim.broken, judged=aim.judged, classes=aim.classes, limit=aim.limit, limit_unit=aim.unit,
        embedded=attacked.embedded, black_box=subject.black_box, blind=values["blind"], examples=n,
        available=len(subject.examples[ROLE].inputs), settings=case.settings.as_json(), rows=values["rows"],
        clean=_share(clean), curve=_curve(case, arrays), by_class=_by_class(case, clean, at),
        ran=tuple(Ran.model_validate(each) for each in values["stages"]),
        named=tuple(
            Named(name=name, robust=tuple(Share.of(wilson(held, n), held) for held in counts))
            for name, counts in values["named"].items()
        ),
        nearest=_nearest(arrays, case.settings.epsilons, sought=values["sought"]), worst=shown,
        verdicts=tuple(Verdict.model_validate(each) for each in values["verdicts"]),
        again=None if values["again"] is None else Again.model_validate(values["again"]),
        stored=len(arrays["index"]), stored_of=int((clean & (at < len(case.settings.epsilons))).sum()),
        notes=(*attacked.notes, *aim.notes), pictures=tuple(each for each, _ in drawn), not_applicable=tuple(missing),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    return Computed(outcome=outcome, arrays=arrays, pictures={each.artifact: png for each, png in drawn})


def _share(which: Tensor) -> Share:
    count = int(which.sum())
    return Share.of(wilson(count, len(which)), count)


def _curve(case: Case, arrays: dict[str, Tensor]) -> tuple[At, ...]:
    clean, at = arrays["clean"], arrays["at"]
    made = []
    for place, epsilon in enumerate(case.settings.epsilons):
        held = clean & (at > place)
        right = int(clean.sum())
        broken = int((clean & ~held).sum())
        made.append(
            At(
                epsilon=epsilon, robust=_share(held),
                broken=Share.of(wilson(broken, right), broken) if right else None,
                shift=_mean(arrays["shift"][:, place]) if "shift" in arrays else None,
            )
        )  # fmt: skip
    return tuple(made)


def _mean(values: Tensor) -> Mean:
    made = mean_t(values.tolist())
    low = None if made.low is None else max(0.0, made.low)
    return Mean(value=made.value, low=low, high=made.high, n=made.n)


def _by_class(case: Case, clean: Tensor, at: Tensor) -> tuple[OfClass, ...]:
    """By label; none without labels."""
    if case.aim.judged != "labels" or case.aim.truth is None:
        return ()
    truth, names = case.aim.truth, case.subject.facts.output.classes
    made = []
    for label in torch.unique(truth).tolist()[:_MOST_CLASSES]:
        which = truth == label
        made.append(
            OfClass(
                name=(names[label] if label < len(names) else str(label))[:128], clean=_share(clean[which]),
                robust=tuple(
                    _share(clean[which] & (at[which] > place)) for place in range(len(case.settings.epsilons))
                ),
            )
        )  # fmt: skip
    return tuple(made)


def _nearest(arrays: dict[str, Tensor], epsilons: tuple[float, ...], *, sought: bool) -> Nearest | None:
    clean = arrays["clean"]
    if not bool(clean.any()):
        return None
    held = (arrays["at"] >= len(epsilons)) & (arrays["nearest"] < 0)
    distance = torch.where(held, torch.inf, nearest(arrays))
    found = distance[clean].tolist()
    value, low, high = (each if each is not None and isfinite(each) else None for each in median(found))
    return Nearest(
        median=value, low=low, high=high, n=len(found), censored=sum(not isfinite(each) for each in found),
        sought=sought,
    )  # fmt: skip
