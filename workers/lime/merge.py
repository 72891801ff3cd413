"""What do the surrogates of all examples say together?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import AnalysisError, Computed, Partial
from workers.lime.across import picks, summaries
from workers.lime.case import Case, Kind
from workers.lime.findings import findings, place
from workers.lime.outcome import Compared, Example, LimeOutcome, Shown, Verified
from workers.lime.parameters import LimeParameters
from workers.lime.spec import Drawn
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

MOST_PICTURED, MOST_TARGETS_PICTURED = 4, 3


def merge(
    kind: Kind, subject: Subject, parameters: LimeParameters, partials: Sequence[Partial]
) -> Computed[LimeOutcome]:
    """Examples in their order; then the pick, the summaries and the pictures."""
    case = Case.of(kind, subject, parameters)
    explained = tuple(Example.model_validate(each) for each in _listed(partials, "explained"))
    arrays = {name: each for partial in partials for name, each in partial.arrays.items()}
    meanings = {each.index: kind.meaning(case.at(each.index)) for each in explained}
    chosen, whole = (
        {each.index: arrays[f"{name}/{each.index}"].tolist() for each in explained}
        for name in ("coefficients", "whole")
    )
    picked, unpicked = picks(explained, chosen, meanings, parameters.pick)
    pictures, undrawn = _pictures(case, explained, arrays)
    missing = [NotApplicable.model_validate(each) for each in _listed(partials, "missing")]
    rows = partials[0].values["rows"]
    assert isinstance(rows, int)
    outcome = LimeOutcome(
        noun=kind.noun, settings=parameters.settings(rows).as_json(), engine=parameters.engine,
        targets=parameters.targets, scale=case.scale, unit=case.unit, precision=parameters.precision,
        examples=len(case), available=len(subject.examples[ROLE].inputs), explained=explained, picks=picked,
        summaries=summaries(explained, whole, meanings),
        verified=tuple(Verified.model_validate(each) for each in _listed(partials, "verified")),
        compared=tuple(Compared.model_validate(each) for each in _listed(partials, "compared")),
        pictures=tuple(shown for shown, _ in pictures), not_applicable=(*missing, *unpicked, *undrawn),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(kind, outcome)})
    return Computed(outcome=outcome, arrays=arrays, pictures={shown.artifact: png for shown, png in pictures})


def _listed(partials: Sequence[Partial], name: str) -> list[JsonValue]:
    found: list[JsonValue] = []
    for partial in partials:
        values = partial.values[name]
        assert isinstance(values, list)
        found += values
    return found


def _pictures(
    case: Case, explained: Sequence[Example], arrays: dict[str, Tensor]
) -> tuple[tuple[tuple[Shown, bytes], ...], list[NotApplicable]]:
    """Of the first examples and targets; why not, where they cannot be drawn."""
    if case.kind.pictures is None:
        return (), []
    found = []
    for example in explained[:MOST_PICTURED]:
        coefficients, errors, whole = (
            arrays[f"{name}/{example.index}"][:MOST_TARGETS_PICTURED] for name in ("coefficients", "errors", "whole")
        )
        names = tuple(
            one.target + (f": {one.class_name}" if one.class_name else "")
            for one in example.explanations[:MOST_TARGETS_PICTURED]
        )
        found.append(
            Drawn(
                case=case.predicting, index=example.index, neighbourhood=case.at(example.index), targets=names,
                coefficients=coefficients, errors=torch.where(errors < 0, coefficients.abs() + 1, errors), whole=whole,
                unit=case.unit,
            )
        )  # fmt: skip
    try:
        made = case.kind.pictures(found)
    except AnalysisError as refused:
        return (), [NotApplicable(subject="pictures", because=refused.detail)]
    return tuple((_with_doubt(shown, explained[:MOST_PICTURED]), png) for shown, png in made), []


def _with_doubt(shown: Shown, explained: Sequence[Example]) -> Shown:
    """The caption says which of what is drawn must not be read."""
    unread = [
        place(example, one)
        for example in explained
        for one in example.explanations[:MOST_TARGETS_PICTURED]
        if not one.legible and shown.index in (None, example.index)
    ]
    if not unread:
        return shown
    return shown.model_copy(update={"caption": f"{shown.caption} Not to be read: {'; '.join(unread)}."[:4000]})
