"""What does each control read like? Its requirements with value, interval, n, threshold, age, and twelve periods."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from service.contracts.compliance import Assessed, Evidence, Judged, Source, Status
from service.contracts.section import Blank, Number
from service.report.compliance import wording
from service.report.compliance.front import (
    ControlResult,
    EvidenceLink,
    ExceptionInForce,
    HistoryPoint,
    RequirementResult,
)
from service.report.compliance.given import Given, Verdict
from service.report.twin import moment

PERIODS = 12
NO_EVIDENCE = "no evidence answered this requirement"
STATED: frozenset[Source] = frozenset({"attestation"})


class Past(NamedTuple):
    """What an earlier report concluded of one requirement."""

    report: str
    as_of: datetime
    verdict: Verdict


Lines = dict[tuple[str, int], list[Past]]


def results(given: Given) -> tuple[ControlResult, ...]:
    """Every control, in the order of the assessment."""
    lines = _lines(given)
    return tuple(_result(one, given, lines) for one in given.assessment.controls)


def kind_of(assessed: Assessed) -> Literal["measured", "attested", "recorded"]:
    """What a control rests on: `measured` where a measurement takes part, `attested` where people's word is all."""
    sources = {requirement.source for requirement in assessed.control.requirements}
    return "measured" if "measurement" in sources else "attested" if sources == STATED else "recorded"


def _lines(given: Given) -> Lines:
    """Earlier verdicts by control and position, oldest first."""
    lines: Lines = {}
    for period in sorted(given.periods, key=lambda period: (period.as_of, period.report)):
        for verdict in period.verdicts:
            past = Past(period.report, period.as_of, verdict)
            lines.setdefault((verdict.control, verdict.position), []).append(past)
    return lines


def _result(assessed: Assessed, given: Given, lines: Lines) -> ControlResult:
    control = assessed.control
    remarks = []
    if assessed.retried:
        remarks.append("Run more than once in the window; the latest run counts, never the best.")
    if assessed.tailored:
        remarks.append("Changed or added by the organisation: not as the library has it.")
    if control.guard:
        remarks.append(f"Its evidence counts only while {control.guard} is met.")
    return ControlResult(
        id=control.id,
        title=control.title,
        meaning=control.meaning,
        status=assessed.status,
        said=assessed.said,
        owner=wording.word_or(given.owners.get(control.id), "nobody is named as its owner"),
        kind_of_evidence=kind_of(assessed),
        references=tuple(control.references),
        changed_from="" if assessed.changed_from is None else wording.STATUS[assessed.changed_from],
        remarks=tuple(remarks),
        exception=_exception(assessed),
        requirements=tuple(
            _requirement(judged, given, lines.get((control.id, place), ()))
            for place, judged in enumerate(assessed.judged)
        ),
    )


def _exception(assessed: Assessed) -> ExceptionInForce | None:
    given = assessed.exception
    if given is None:
        return None
    effect = "waived" if given.effect == "waived" else "marked as not applicable"
    return ExceptionInForce(
        effect=effect,
        said=wording.long(f"Asked for by {given.requested_by}, granted by {given.decided_by}: {given.reason}"),
        expires_at=moment(given.expires_at),
    )


def _requirement(judged: Judged, given: Given, past: Sequence[Past]) -> RequirementResult:
    asked, found = judged.requirement, judged.evidence
    whose = judged.threshold_owner
    return RequirementResult(
        metric=wording.title_of(asked.metric),
        word=asked.metric,
        statement=asked.statement,
        direction=wording.direction_of(asked.metric),
        relative_to=wording.RELATIVE[asked.relative_to],
        status=judged.status,
        why=judged.why,
        said=judged.said,
        value=_value(found, asked.metric),
        n=Blank(because=NO_EVIDENCE) if found is None else wording.counted(found.n),
        enough_n=wording.counted(asked.n),
        deciding_n=wording.counted_or(judged.deciding_n, "only told where the evidence is inconclusive"),
        operator=asked.op,
        threshold=_threshold(judged.threshold),
        threshold_shown=wording.demand(asked.op, judged.threshold),
        rule=wording.RULES[asked.rule],
        basis=asked.basis,
        basis_said=wording.BASES[asked.basis],
        set_by=wording.short(whose or "the library"),
        reason=judged.threshold_reason,
        age=Blank(because=NO_EVIDENCE)
        if judged.age_days is None
        else Number(value=round(judged.age_days, 2), unit="days"),
        fresh=Number(value=judged.fresh_days, unit="days", count=True),
        attempts=wording.counted(judged.attempts),
        failed_attempts=wording.counted(judged.failed_attempts),
        evidence=None if found is None else _link(found, asked.metric),
        history=_history(judged, given, past),
    )


def _value(found: Evidence | None, metric: str) -> Number | Blank:
    if found is None:
        return Blank(because=NO_EVIDENCE)
    return wording.estimate(found.value, found.low, found.high, found.n, metric=metric)


def _threshold(value: float | None) -> Number | Blank:
    return Blank(because="no threshold is set") if value is None else wording.chosen(value)


def _link(found: Evidence, metric: str) -> EvidenceLink:
    facets = "; ".join(f"{name} {value}" for name, value in sorted(found.facets.items()))
    return EvidenceLink(
        source=found.source,
        audit=found.audit,
        analysis=found.analysis,
        measurement=found.measurement,
        kind=found.kind,
        dataset=found.dataset,
        layer=found.layer,
        facets=wording.long(facets),
        measured=wording.estimate_or(found.measured, "the value itself was measured", metric=metric),
        reference=wording.estimate_or(found.reference, "compared with nothing else", metric=metric),
        added=found.added,
        at=moment(found.at),
        said=found.said,
    )


def _history(judged: Judged, given: Given, past: Sequence[Past]) -> tuple[HistoryPoint, ...]:
    """Up to eleven periods before this one, and this one."""
    found = judged.evidence
    current = HistoryPoint(
        as_of=moment(given.asked.as_of),
        status=judged.status,
        number=_value(found, judged.requirement.metric),
        n=Blank(because=NO_EVIDENCE) if found is None else wording.counted(found.n),
        threshold=_threshold(judged.threshold),
        report=None,
    )
    earlier = [_point(each) for each in past if each.verdict.metric == judged.requirement.metric]
    return (*earlier[-(PERIODS - 1) :], current)


def _point(past: Past) -> HistoryPoint:
    verdict = past.verdict
    number: Number | Blank = Blank(because="no value then")
    if verdict.value is not None:
        number = wording.estimate(verdict.value, verdict.low, verdict.high, verdict.n, metric=verdict.metric or "")
    return HistoryPoint(
        as_of=moment(past.as_of),
        status=verdict.status,
        number=number,
        n=wording.counted_or(verdict.n, "no value then"),
        threshold=_threshold(verdict.threshold),
        report=past.report,
    )


def gravest(found: Sequence[Status]) -> Status:
    """The worst of several statuses; one that does not apply counts only where nothing else is there."""
    return next(status for status in wording.WORST_FIRST if status in found)
