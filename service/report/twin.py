"""What does a report say, apart from how it looks? The JSON twin: every value a reader is shown, by pointer.

A twin is complete in itself. Whatever is derived (counts, lists of facts, what was not tested) is derived once, in
`build`, and stored; HTML is drawn from the twin alone, so an old twin still shows what it showed when it was made.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, computed_field

from service.contracts.base import Digest, Integer, Name, Text, Value, canonical_json
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.outcome import Severity
from service.contracts.problem import Reason
from service.contracts.provenance import Provenance
from service.contracts.section import Cell, Number, Section, Shown
from service.contracts.status import AnalysisState, AuditState

SCHEMA_VERSION = 1
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
Short = Annotated[str, Field(max_length=256)]


class Moment(Shown):
    """A point in time, in UTC, to the second as a reader sees it."""

    type: Literal["moment"] = "moment"
    at: Annotated[AwareDatetime, Field(strict=False), AfterValidator(lambda at: at.astimezone(UTC))]

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents this order; mypy cannot follow it
    @property
    def display(self) -> str:
        """Day and month in words, so that no reader takes one for the other."""
        return f"{self.at.day} {MONTHS[self.at.month - 1]} {self.at.year}, {self.at:%H:%M:%S} UTC"


def moment(at: datetime) -> Moment:
    """A time as the twin holds it; refuses one without a zone."""
    return Moment(at=at)


class Fact(Value):
    """One line of a list: what, and its value."""

    label: Name
    cell: Cell


Facts = Annotated[tuple[Fact, ...], Field(max_length=200, strict=False)]
Notes = Annotated[tuple[Text, ...], Field(max_length=1000, strict=False)]


class ReportedAudit(Value):
    """Which audit this is the report of."""

    id: Short
    state: Annotated[AuditState, Field(strict=False)]
    submitted_at: Moment
    closed_at: Moment | None
    submitted_by: Short
    tenant: Short


class ReportedModel(Value):
    """What was audited: the bytes as received, the form that was run, and what its owner says of it."""

    name: Name
    version: Short
    source_digest: Digest
    canonical_digest: Digest | None
    format: Short | None
    facts: ModelFacts
    declared: Facts
    notes: Notes
    layers: Number | None
    parameters: Number | None


class ReportedInput(Value):
    """What it was audited on, in which role."""

    role: Short
    name: Name
    digest: Digest
    canonical_digest: Digest | None
    examples: Number | None
    facts: DatasetFacts
    declared: Facts


class ReportedArtifact(Value):
    """Bytes kept beside the report, by digest: the evidence the numbers were taken from."""

    name: Short
    media_type: Short
    digest: Digest
    size: Number


class SectionCounts(Value):
    """What one section holds, counted."""

    failures: Number
    warnings: Number
    notes: Number
    controls_passed: Number
    controls_failed: Number
    controls_not_applicable: Number
    not_applicable: Number


class ReportSection(Value):
    """One analysis of the audit: its section if it ended well, the reason if it did not."""

    analysis: Short
    kind: Short
    kind_version: Annotated[Integer, Field(ge=1)]
    title: Name
    state: Annotated[AnalysisState, Field(strict=False)]
    parameters: dict[str, JsonValue]
    settings: Facts = Field(description="The parameters, as a reader sees them.")
    section: Section | None
    reason: Reason | None
    provenance: Provenance | None
    run: Facts = Field(description="The provenance, as a reader sees it.")
    artifacts: Annotated[tuple[ReportedArtifact, ...], Field(max_length=1000, strict=False)]
    counts: SectionCounts


class Raised(Value):
    """A finding on the first page: what was raised, and in which section it stands."""

    severity: Severity
    code: Short
    meaning: Text
    title: Name
    section: Annotated[Integer, Field(ge=0)] = Field(description="Index into `sections`.")


class Summary(Value):
    """The audit, counted. Counts of what ran, never a score."""

    analyses: Number
    succeeded: Number
    failed: Number
    cancelled: Number
    open: Number
    findings: Number
    controls_passed: Number
    controls_failed: Number


class AuditReport(Value):
    """The report of one audit."""

    schema_version: Annotated[Integer, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    title: Name
    scope: Text = Field(description="What this report is, and what it is not.")
    audit: ReportedAudit
    model: ReportedModel
    inputs: Annotated[tuple[ReportedInput, ...], Field(max_length=100, strict=False)]
    summary: Summary
    raised: Annotated[tuple[Raised, ...], Field(max_length=20_000, strict=False)]
    sections: Annotated[tuple[ReportSection, ...], Field(max_length=1000, strict=False)]
    not_tested: Notes
    made_at: Moment
    lamina_version: Short


def write(report: AuditReport) -> bytes:
    """The twin's bytes: RFC 8785, so that equal reports have equal digests."""
    return canonical_json(report.model_dump(mode="json"))


def read(content: bytes) -> AuditReport:
    """The report that `write` wrote. Raises pydantic's ValidationError where a display string is not its value's."""
    return AuditReport.model_validate_json(content)
