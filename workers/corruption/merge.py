"""What does the outcome say of the values of all examples, kinds and severities?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.corruption.case import Case
from workers.corruption.findings import findings
from workers.corruption.of_texts import Texts
from workers.corruption.outcome import Average, Cell, CorruptionOutcome, Edited, Group, Kind, OfClass, Shown
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.sheet import sheet
from workers.corruption.spec import Corruption
from workers.corruption.summary import Floats, lost, mean, share
from workers.kind import AnalysisError, Computed, Context, Partial
from workers.numerics.determinism import seed_for
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_MOST_CLASSES = 100
_SHOWN_SEVERITY = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """clean: (n,). of: by kind (severities, n). known: (n,), examples whose numbers are all finite."""

    case: Case
    arrays: dict[str, Tensor]
    clean: Floats
    of: dict[str, Floats]
    known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    seed: int

    @property
    def bounded(self) -> bool:
        return self.case.judge.higher_is_better

    def average(self, of: Floats) -> Average:
        """The mean of a number of each example, (n,)."""
        own = of[self.known]
        return Average.of(share(own) if self.bounded else mean(own, self.seed))

    def drop(self, corrupted: Floats) -> Average:
        """How much worse than clean, paired by example, (n,)."""
        clean, own = self.clean[self.known], corrupted[self.known]
        return Average.of(lost(clean, own) if self.bounded else mean(own - clean, self.seed))


def merge(
    subject: Subject, parameters: CorruptionParameters, partials: Sequence[Partial], context: Context
) -> Computed[CorruptionOutcome]:
    """The outcome with its sheet of pictures. Raises AnalysisError where no example has a number throughout."""
    case = Case.of(subject, parameters)
    arrays = {name: each for partial in partials for name, each in partial.arrays.items()}
    values = _values(case, arrays, context.digest)
    cells = tuple(
        _cell(values, corruption, at) for corruption in case.corruptions for at in range(len(parameters.severities))
    )
    worst = max(cells, key=lambda each: each.drop.value)
    whole = np.mean([each.mean(axis=0) for each in values.of.values()], axis=0)
    pictures = _pictures(case, context.digest)
    outcome = CorruptionOutcome(
        kind=case.kind, reading=case.judge.reading, unit=case.judge.unit, against=case.judge.against,
        distance_unit=case.source.unit, precision=parameters.precision, alarm=parameters.alarm, examples=len(case),
        available=len(subject.examples[ROLE].inputs), severities=parameters.ascending,
        class_count=_class_count(case), labelled=subject.examples[ROLE].labels is not None,
        clean=values.average(values.clean),
        cells=cells, kinds=tuple(_kind(values, each) for each in case.corruptions),
        groups=tuple(_groups(values)), mean=values.average(whole), drop=values.drop(whole),
        worst=worst, classes=tuple(_classes(values, worst)), pictures=tuple(each for each, _ in pictures),
        texts=_texts(case, context.digest), notes=case.notes,
        not_applicable=(*case.missing, *_unknown(values)),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    return Computed(outcome=outcome, arrays=arrays, pictures={shown.artifact: png for shown, png in pictures})


def _values(case: Case, arrays: dict[str, Tensor], digest: str) -> _Values:
    clean = arrays["value/clean"].numpy()
    of = {each.name: arrays[f"value/{each.name}"].numpy() for each in case.corruptions}
    known = np.ones(len(clean), dtype=np.bool_)
    if not case.judge.higher_is_better:
        known = arrays["finite/clean"].numpy() != 0
        for name in of:
            known &= (arrays[f"finite/{name}"].numpy() != 0).all(axis=0)
    if not known.any():
        raise AnalysisError(
            "not-finite",
            "for every example the model gives NaN or infinity under some corruption, and no mean can be taken",
            remedy="Ask for fewer corruptions or lower severities, or for float64.",
        )
    return _Values(case, arrays, clean, of, known, seed_for(digest, 0))


def _cell(values: _Values, corruption: Corruption, at: int) -> Cell:
    severity, own = values.case.parameters.ascending[at], values.of[corruption.name][at]
    distance = values.arrays[f"distance/{corruption.name}"][at]
    return Cell(
        corruption=corruption.name, severity=severity, strength=corruption.at(severity),
        value=values.average(own), drop=values.drop(own), distance=float(distance.mean()),
        unchanged=int((distance == 0).sum()),
        not_finite=int((values.arrays[f"finite/{corruption.name}"][at] == 0).sum()),
    )  # fmt: skip


def _kind(values: _Values, corruption: Corruption) -> Kind:
    own = values.of[corruption.name].mean(axis=0)
    return Kind(
        corruption=corruption.name, group=corruption.group, title=corruption.title, strength=corruption.strength,
        value=values.average(own), drop=values.drop(own),
    )  # fmt: skip


def _groups(values: _Values) -> list[Group]:
    groups = dict.fromkeys(each.group for each in values.case.corruptions)
    made = []
    for group in groups:
        own = [values.of[each.name] for each in values.case.corruptions if each.group == group]
        for at, severity in enumerate(values.case.parameters.ascending):
            of = np.mean([each[at] for each in own], axis=0)
            made.append(Group(group=group, severity=severity, value=values.average(of)))
    return made


def _classes(values: _Values, worst: Cell) -> list[OfClass]:
    """Of accuracy alone: of what has no label no class is known."""
    labels = values.case.judge.labels
    if labels is None:
        return []
    names = values.case.subject.facts.output.classes
    at = values.case.parameters.ascending.index(worst.severity)
    corrupted, own = values.of[worst.corruption][at], labels.numpy()
    return [
        OfClass(
            class_name=names[label] if label < len(names) else f"number {label}",
            clean=Average.of(share(values.clean[own == label])),
            corrupted=Average.of(share(corrupted[own == label])),
        )
        for label in np.unique(own).tolist()[:_MOST_CLASSES]
    ]


def _class_count(case: Case) -> int:
    if case.judge.form == "sign":
        return 2
    return case.clean.shape[1] if case.judge.form == "classes" else 0


def _unknown(values: _Values) -> list[NotApplicable]:
    lost = np.flatnonzero(~values.known)
    if not len(lost):
        return []
    because = (
        f"the model gives NaN or infinity for {len(lost)} of {len(values.known)} examples, clean or under some"
        f" corruption; they are in no mean. The first is example {int(lost[0])}"
    )
    return [NotApplicable(subject=f"{len(lost)} examples", because=because)]


# --- what is shown


def _shown_severity(case: Case) -> int:
    """3, or the nearest that was asked for."""
    return min(case.parameters.ascending, key=lambda each: (abs(each - _SHOWN_SEVERITY), each))


def _pictures(case: Case, digest: str) -> list[tuple[Shown, bytes]]:
    return [] if case.kind != "image" else [sheet(case, _shown_severity(case), digest)]


def _texts(case: Case, digest: str) -> tuple[Edited, ...]:
    if not isinstance(case.source, Texts):
        return ()
    severity = _shown_severity(case)
    made = [Edited(corruption="none", text=case.source.texts[0][:4000])]
    return tuple(
        made
        + [
            Edited(corruption=each.name, text=case.source.shown(each, severity, 0, digest)[:4000])
            for each in case.corruptions
        ]
    )
