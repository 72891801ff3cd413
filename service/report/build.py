"""How does an audit become a report? Plain values in, the twin out: no database, no clock, no drawing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.problem import Reason
from service.contracts.provenance import Provenance
from service.contracts.section import Number, Section
from service.contracts.status import AnalysisState, AuditState
from service.report import wording
from service.report.twin import (
    AuditReport,
    Raised,
    ReportedArtifact,
    ReportedAudit,
    ReportedInput,
    ReportedModel,
    ReportSection,
    SectionCounts,
    Summary,
    moment,
)
from service.report.untested import not_tested

SCOPE = (
    "This report states what was measured on the model and data named here, with the doubt of each number. It is not a"
    " certificate, not an assessment of conformity and not legal advice; what follows from the numbers is for the"
    " people responsible to decide."
)
GRAVEST_FIRST = ("failure", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The audit as it was asked for."""

    id: str
    state: AuditState
    submitted_at: datetime
    closed_at: datetime | None
    submitted_by: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The model; its manifest is None where inspection refused or never reached it."""

    name: str
    version: str
    source_digest: str
    facts: ModelFacts
    manifest: ModelManifest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedInput:
    """A dataset in a role; its manifest is None where inspection refused or never reached it."""

    role: str
    name: str
    source_digest: str
    facts: DatasetFacts
    manifest: DatasetManifest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Bytes an analysis left behind."""

    name: str
    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One analysis as it stands: a section and provenance when it succeeded, a reason when it did not."""

    id: str
    kind: str
    kind_version: int
    state: AnalysisState
    parameters: Mapping[str, JsonValue]
    section: Section | None = None
    reason: Reason | None = None
    provenance: Provenance | None = None
    artifacts: Sequence[Artifact] = ()


def build(
    *,
    title: str,
    audit: Submitted,
    model: Audited,
    inputs: Sequence[UsedInput],
    analyses: Sequence[Answered],
    kinds: Mapping[str, str],
    made_at: datetime,
    lamina_version: str,
) -> AuditReport:
    """The report of an audit. `analyses` in the order asked for; `kinds`: kind -> title of all that could be asked."""
    sections = tuple(_section(analysis, kinds.get(analysis.kind, analysis.kind)) for analysis in analyses)
    used = tuple(_input(given) for given in inputs)
    return AuditReport(
        title=title,
        scope=SCOPE,
        audit=ReportedAudit(
            id=audit.id,
            state=audit.state,
            submitted_at=moment(audit.submitted_at),
            closed_at=None if audit.closed_at is None else moment(audit.closed_at),
            submitted_by=audit.submitted_by,
            tenant=audit.tenant,
        ),
        model=_model(model),
        inputs=used,
        summary=_summary(sections),
        raised=_raised(sections),
        sections=sections,
        not_tested=not_tested(sections, used, model.manifest, kinds),
        made_at=moment(made_at),
        lamina_version=lamina_version,
    )


def _model(model: Audited) -> ReportedModel:
    manifest = model.manifest
    return ReportedModel(
        name=model.name,
        version=model.version,
        source_digest=model.source_digest,
        canonical_digest=manifest.canonical_digest if manifest else None,
        format=f"{manifest.format}, torch {manifest.torch_version}; rewritten by {manifest.rewriter}"[:256]
        if manifest
        else None,
        facts=model.facts,
        declared=wording.declared_of_model(model.facts),
        notes=manifest.notes if manifest else (),
        layers=_count(len(manifest.layers)) if manifest else None,
        parameters=_count(manifest.parameters) if manifest else None,
    )


def _input(given: UsedInput) -> ReportedInput:
    return ReportedInput(
        role=given.role,
        name=given.name,
        digest=given.source_digest,
        canonical_digest=given.manifest.canonical_digest if given.manifest else None,
        examples=_count(given.manifest.examples) if given.manifest else None,
        facts=given.facts,
        declared=wording.declared_of_dataset(given.facts),
    )


def _section(analysis: Answered, title: str) -> ReportSection:
    return ReportSection(
        analysis=analysis.id,
        kind=analysis.kind,
        kind_version=analysis.kind_version,
        title=title,
        state=analysis.state,
        parameters=dict(analysis.parameters),
        settings=wording.settings(analysis.parameters),
        section=analysis.section,
        reason=analysis.reason,
        provenance=analysis.provenance,
        run=wording.run(analysis.provenance) if analysis.provenance else (),
        artifacts=tuple(
            ReportedArtifact(name=kept.name, media_type=kept.media_type, digest=kept.digest, size=_count(kept.size))
            for kept in analysis.artifacts
        ),
        counts=_counts(analysis.section),
    )


def _counts(section: Section | None) -> SectionCounts:
    severities = Counter(finding.severity for finding in section.findings) if section else Counter[str]()
    passed = Counter(control.passed for control in section.controls) if section else Counter[bool | None]()
    return SectionCounts(
        failures=_count(severities["failure"]),
        warnings=_count(severities["warning"]),
        notes=_count(severities["note"]),
        controls_passed=_count(passed[True]),
        controls_failed=_count(passed[False]),
        controls_not_applicable=_count(passed[None]),
        not_applicable=_count(len(section.not_applicable) if section else 0),
    )


def _summary(sections: Sequence[ReportSection]) -> Summary:
    states = Counter(part.state for part in sections)
    closed = (AnalysisState.SUCCEEDED, AnalysisState.FAILED, AnalysisState.CANCELLED)
    controls = [control.passed for part in sections if part.section for control in part.section.controls]
    return Summary(
        analyses=_count(len(sections)),
        succeeded=_count(states[AnalysisState.SUCCEEDED]),
        failed=_count(states[AnalysisState.FAILED]),
        cancelled=_count(states[AnalysisState.CANCELLED]),
        open=_count(len(sections) - sum(states[state] for state in closed)),
        findings=_count(sum(len(part.section.findings) for part in sections if part.section)),
        controls_passed=_count(sum(passed is True for passed in controls)),
        controls_failed=_count(sum(passed is False for passed in controls)),
    )


def _raised(sections: Sequence[ReportSection]) -> tuple[Raised, ...]:
    """Every finding, gravest first; within one severity in the order of the report."""
    found = [
        Raised(severity=one.severity, code=one.code, meaning=one.meaning, title=part.title, section=index)
        for index, part in enumerate(sections)
        for one in (part.section.findings if part.section else ())
    ]
    return tuple(sorted(found, key=lambda one: GRAVEST_FIRST.index(one.severity)))


def _count(value: int) -> Number:
    return Number(value=value, count=True)
