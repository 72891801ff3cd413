"""How does a compliance report come about? Plain values in, the twin out: no database, no clock, no drawing."""

from collections import Counter
from collections.abc import Sequence

from service.contracts.compliance import Assessed, Framework, Status
from service.contracts.section import Blank, Number
from service.report import wording as facts
from service.report.compliance import wording
from service.report.compliance.back import (
    EvidenceAnnex,
    EvidenceRow,
    FrameworkControl,
    FrameworkRow,
    Frameworks,
    FrameworkView,
    LogHead,
)
from service.report.compliance.changes import change_lines, changes
from service.report.compliance.explained import explanations
from service.report.compliance.front import (
    AssessedModel,
    Changes,
    DataInRole,
    Headline,
    Identity,
    OpenWaiver,
    StatusCounts,
    Summary,
)
from service.report.compliance.given import Analysed, Given
from service.report.compliance.layerwise import layers
from service.report.compliance.limits import limitations, never_assessed
from service.report.compliance.people import attestations, exceptions, sign_off
from service.report.compliance.results import gravest, kind_of, results
from service.report.compliance.robust import robustness
from service.report.compliance.twin import ComplianceReport
from service.report.twin import moment

SCOPE = (
    "This report sets measurements of one model version beside what its organisation demands of it, control by control:"
    " what was measured, how surely, how fresh, what changed, what was excepted by whom until when, and what was not"
    " assessed."
)
DISCLAIMER = (
    "A status says what the evidence shows. It is not a finding of conformity, not a certificate and not legal advice;"
    " references to frameworks map themes, and what follows from them is for the people responsible to decide."
)
VIEWS = (
    "The same results, in the order of each framework chosen. Items are named by number and theme; none of their text"
    " is repeated. An item that no control speaks to is not covered by this service."
)
NO_VIEWS = "No framework was chosen for this report."
ANNEX = (
    "Every analysis the results rest on. The command runs one again with its stored plan and compares; the leaf hash"
    " places its end in the log, whose signed head stands first."
)
NO_EVIDENCE = "No analysis stands behind this report."
UNCOVERED = "not covered by this service"


def build(given: Given) -> ComplianceReport:
    """The twin of a report. Raises pydantic's ValidationError where a value is longer than the twin allows."""
    changed = changes(given)
    return ComplianceReport(
        identity=_identity(given),
        summary=_summary(given, changed),
        changes=changed,
        controls=results(given),
        explanations=explanations(given),
        robustness=robustness(given),
        layers=layers(given),
        exceptions=exceptions(given),
        attestations=attestations(given),
        frameworks=_frameworks(given),
        limitations=limitations(given),
        sign_off=sign_off(given),
        evidence=_evidence(given),
    )


def _identity(given: Given) -> Identity:
    asked, subject, assessment = given.asked, given.subject, given.assessment
    return Identity(
        report=asked.id,
        title=asked.title,
        revision=wording.counted(asked.revision),
        supersedes=asked.supersedes,
        organisation=wording.short(asked.organisation),
        period_from=moment(asked.window_from),
        period_to=moment(asked.window_to),
        zone=asked.zone,
        period=wording.local_window(asked.window_from, asked.window_to, asked.zone),
        as_of=moment(asked.as_of),
        model=AssessedModel(
            name=subject.name,
            version=subject.version,
            source_digest=subject.source_digest,
            canonical_digest=subject.canonical_digest,
            tier=assessment.tier,
            declared=facts.declared_of_model(subject.facts) if subject.facts else (),
        ),
        data=tuple(
            DataInRole(
                role=each.role,
                name=each.name,
                version=each.version,
                digest=each.digest,
                examples=wording.counted_or(each.examples, "inspection did not accept it"),
            )
            for each in sorted(given.data, key=lambda each: (each.role, each.name, each.version))
        ),
        library=assessment.library,
        policy=assessment.policy,
        policy_digest=assessment.policy_digest,
        generator=wording.short(f"Lamina {asked.lamina_version}"),
        schedule=asked.schedule,
        cause=asked.cause.replace("_", " "),
        asked_by=wording.short(asked.asked_by),
        late=_late(asked.late_seconds),
        scope=SCOPE,
        disclaimer=DISCLAIMER,
    )


def _late(seconds: float) -> Number | Blank:
    if seconds <= 0:
        return Blank(because="it was begun on time")
    return Number(value=round(seconds / wording.HOUR, 2), unit="hours")


# --- summary ---------------------------------------------------------------------------------------------------------


def _summary(given: Given, changed: Changes) -> Summary:
    assessed = given.assessment.controls
    counts = _counts(assessed)
    worst = [one for status in wording.WORST_FIRST[:2] for one in assessed if one.status is status]
    return Summary(
        sentence=f"{counts.met.display} met of {counts.applicable.display} applicable"
        f" ({counts.not_assessed.display} not assessed)",
        counts=counts,
        failed=tuple(_headline(one, given) for one in worst),
        not_assessed=tuple(_headline(one, given) for one in assessed if one.status is Status.INSUFFICIENT),
        waivers=tuple(_open(one) for one in assessed if one.exception),
        changed=change_lines(changed),
        never_assessed=never_assessed(given),
    )


def _counts(assessed: Sequence[Assessed]) -> StatusCounts:
    found = Counter(one.status for one in assessed)
    number = wording.counted
    return StatusCounts(
        met=number(found[Status.MET]),
        not_met=number(found[Status.NOT_MET]),
        stale=number(found[Status.STALE]),
        insufficient_evidence=number(found[Status.INSUFFICIENT]),
        not_applicable=number(found[Status.NOT_APPLICABLE]),
        applicable=number(len(assessed) - found[Status.NOT_APPLICABLE]),
        not_assessed=number(found[Status.STALE] + found[Status.INSUFFICIENT]),
        total=number(len(assessed)),
        waived=number(sum(bool(one.exception and one.exception.effect == "waived") for one in assessed)),
        attested=number(sum(one.status is Status.MET and kind_of(one) == "attested" for one in assessed)),
    )


def _headline(one: Assessed, given: Given) -> Headline:
    waived = one.exception if one.exception and one.exception.effect == "waived" else None
    return Headline(
        control=one.control.id,
        title=one.control.title,
        status=one.status,
        said=one.said,
        owner=wording.word_or(given.owners.get(one.control.id), "nobody is named as its owner"),
        waived_until=moment(waived.expires_at) if waived else Blank(because="not waived"),
    )


def _open(one: Assessed) -> OpenWaiver:
    assert one.exception is not None
    return OpenWaiver(
        control=one.control.id,
        title=one.control.title,
        status=one.status,
        decided_by=one.exception.decided_by,
        expires_at=moment(one.exception.expires_at),
    )


# --- frameworks ------------------------------------------------------------------------------------------------------


def _frameworks(given: Given) -> Frameworks:
    views = tuple(_view(framework, given.assessment.controls) for framework in given.frameworks)
    return Frameworks(said=VIEWS if views else NO_VIEWS, views=views)


def _view(framework: Framework, assessed: Sequence[Assessed]) -> FrameworkView:
    rows = []
    for item in framework.items:
        speaking = [one for one in assessed if f"{framework.id}.{item.id}" in one.control.references]
        shown = ", ".join(f"{one.control.id} {wording.STATUS[one.status]}" for one in speaking)
        rows.append(
            FrameworkRow(
                item=wording.short(item.id),
                theme=item.theme,
                controls=tuple(FrameworkControl(control=one.control.id, status=one.status) for one in speaking),
                shown=wording.long(shown or UNCOVERED),
                status=gravest([one.status for one in speaking]) if speaking else None,
            )
        )
    covered = sum(row.status is not None for row in rows)
    return FrameworkView(
        id=framework.id,
        name=framework.name,
        legal_status=framework.status,
        as_of=framework.as_of,
        covered=wording.counted(covered),
        not_covered=wording.counted(len(rows) - covered),
        rows=tuple(rows),
    )


# --- evidence --------------------------------------------------------------------------------------------------------


def _evidence(given: Given) -> EvidenceAnnex:
    head = given.anchor
    return EvidenceAnnex(
        said=ANNEX if given.analyses else NO_EVIDENCE,
        head=None
        if head is None
        else LogHead(
            size=wording.counted(head.size),
            root=head.root,
            chain_hash=head.chain_hash,
            key_id=head.key_id,
            signature=head.signature,
            signed_at=moment(head.signed_at),
            unsealed=wording.counted(head.unsealed),
        ),
        analyses=tuple(_row(each) for each in sorted(given.analyses, key=_when)),
    )


def _when(each: Analysed) -> tuple[bool, float, str]:
    return each.ended_at is None, each.ended_at.timestamp() if each.ended_at else 0.0, each.id


def _row(each: Analysed) -> EvidenceRow:
    unsealed = "its end is not sealed into the log yet"
    return EvidenceRow(
        analysis=each.id,
        audit=each.audit,
        kind=wording.short(f"{each.kind} {each.kind_version}"),
        title=wording.name(each.title),
        state=each.state,
        config_digest=each.config_digest,
        seed=wording.word_or(each.provenance.seed if each.provenance else None, "it never ran"),
        environment_digest=wording.word_or(each.environment_digest, "not recorded"),
        code_version=wording.word_or(each.code_version, "not recorded"),
        started_at=wording.when_or(each.started_at, "it never started"),
        ended_at=wording.when_or(each.ended_at, "it has not ended"),
        result_digest=wording.word_or(each.result_digest, "it has no result"),
        event_number=wording.counted_or(each.event_number, unsealed),
        leaf_hash=wording.word_or(each.leaf_hash, unsealed),
        replay=f"lamina reproduce {each.id}",
        said=wording.long(each.said),
        parameters=dict(each.parameters),
    )
