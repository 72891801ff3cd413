"""What do the first sections hold? Identity, summary, changes, and the compliance controls one by one."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field

from service.contracts.base import Digest, Name, Text, Value
from service.contracts.compliance import Added, Basis, Source, Status, Why
from service.contracts.section import Blank, Cell, Number
from service.report.twin import Facts, Moment, Notes, Short

Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Field(max_length=20_000, strict=False)]
Maybe = Annotated[Number | Blank, Field(discriminator="type")]
When = Annotated[Moment | Blank, Field(discriminator="type")]
Found = Annotated[Status, Field(strict=False)]


class AssessedModel(Value):
    """Which version of which model: evidence taken on other bytes does not count."""

    name: Name
    version: Short
    source_digest: Digest
    canonical_digest: Digest | None
    tier: Literal["high", "medium", "low"]
    declared: Facts


class DataInRole(Value):
    """A dataset the evidence was taken on."""

    role: Short
    name: Name
    version: Short
    digest: Digest
    examples: Maybe


class Identity(Value):
    """What this document is of: model, data, window and demands, and what made it."""

    report: Short
    title: Name
    revision: Number
    supersedes: Short | None
    organisation: Short
    period_from: Moment
    period_to: Moment = Field(description="Not part of the window itself.")
    zone: Short
    period: Text = Field(description="The window as the clocks of its zone show it.")
    as_of: Moment
    model: AssessedModel
    data: Many[DataInRole]
    library: Short
    policy: Short
    policy_digest: Digest
    generator: Short
    schedule: Short | None
    cause: Short
    asked_by: Short
    state: Literal["generated"] = Field(
        "generated", description="At the making; signatures come later and stand beside the twin."
    )
    late: Maybe = Field(description="Hours after it was due; absent where it was on time.")
    scope: Text
    disclaimer: Text


class StatusCounts(Value):
    """How many controls have each status. Counts, never a score."""

    met: Number
    not_met: Number
    stale: Number
    insufficient_evidence: Number
    not_applicable: Number
    applicable: Number
    not_assessed: Number = Field(description="Stale or insufficient evidence: applicable, and no verdict that holds.")
    total: Number
    waived: Number = Field(description="Under a waiver in force; each is still counted with its own status.")
    attested: Number = Field(description="Met by what a named person states alone: attested, not measured.")


class Headline(Value):
    """One control that a reader must see first."""

    control: Short
    title: Name
    status: Found
    said: Text
    owner: Cell
    waived_until: When


class OpenWaiver(Value):
    """A waiver in force, in one line."""

    control: Short
    title: Name
    status: Found
    decided_by: Name
    expires_at: Moment


class Summary(Value):
    """The first page."""

    sentence: Text = Field(description="X met of Y applicable (Z not assessed).")
    counts: StatusCounts
    failed: Many[Headline] = Field(description="Not met or stale, the worst first.")
    not_assessed: Many[Headline] = Field(description="Insufficient evidence, with why.")
    waivers: Many[OpenWaiver]
    changed: Notes
    never_assessed: Notes = Field(description="What no control of this report could show.")


class Since(Value):
    """The report that changes are told from."""

    report: Short
    as_of: Moment
    digest: Digest
    approved: Text = Field(description="By whom and when; or that it never was.")


class Transition(Value):
    """A control whose status is another than before."""

    control: Short
    title: Name
    before: Text
    after: Found
    said: Text


class Delta(Value):
    """A measured value beside the one of the report before."""

    control: Short
    metric: Name
    before: Maybe
    after: Maybe
    change: Maybe = Field(description="After minus before, with its interval where both have one.")
    reading: Text


class ThresholdChange(Value):
    """A demand that moved; the measurement may not have."""

    control: Short
    metric: Name
    before: Cell
    after: Cell
    set_by: Text
    reason: Text


class VersionChange(Value):
    """Something the assessment rests on that is another than before."""

    what: Name
    before: Short
    after: Short


class WaiverChange(Value):
    """A waiver that began or ended since."""

    control: Short
    what: Short
    at: Moment
    by: Short


class MissedRun(Value):
    """A slot that did not go as it should."""

    schedule: Name
    purpose: Short
    due: Moment
    state: Short
    said: Text


class Changes(Value):
    """What is different since the last signed report."""

    since: Since | None
    said: Text
    transitions: Many[Transition]
    measured: Many[Delta]
    thresholds: Many[ThresholdChange]
    versions: Many[VersionChange]
    waivers: Many[WaiverChange]
    missed: Many[MissedRun]


class HistoryPoint(Value):
    """One period of a requirement's line."""

    as_of: Moment
    status: Found
    number: Maybe
    n: Maybe
    threshold: Maybe
    report: Short | None = Field(description="None: this report.")


class EvidenceLink(Value):
    """Where the evidence stands."""

    source: Source
    audit: Short | None
    analysis: Short | None
    measurement: Short | None
    kind: Short | None
    dataset: Short | None
    layer: Text | None
    facets: Text
    measured: Maybe = Field(
        description="What was measured, where the value is a difference, a ratio or a total (of that: the latest)."
    )
    reference: Maybe
    added: Many[Added] = Field(description="Every measurement that a total adds up, the oldest first.")
    at: Moment
    said: Text


class RequirementResult(Value):
    """One requirement, what answered it, and what that shows."""

    metric: Name
    word: Annotated[str, Field(max_length=64)] = Field(description="The metric's word in the vocabulary.")
    statement: Text
    direction: Short
    relative_to: Short
    status: Found
    why: Annotated[Why, Field(strict=False)] | None
    said: Text
    value: Maybe
    n: Maybe
    enough_n: Number
    deciding_n: Maybe
    operator: Short
    threshold: Maybe
    threshold_shown: Text = Field(description="Operator and threshold as a reader sees them.")
    rule: Short
    basis: Basis
    basis_said: Short
    set_by: Short
    reason: Text
    age: Maybe
    fresh: Number
    attempts: Number
    failed_attempts: Number
    evidence: EvidenceLink | None
    history: Annotated[tuple[HistoryPoint, ...], Field(max_length=12, strict=False)] = Field(
        description="Up to twelve periods, oldest first; the last is this one."
    )


class ExceptionInForce(Value):
    """The waiver or marking that lies over a control; its status stays what it is."""

    effect: Short
    said: Text
    expires_at: Moment


class ControlResult(Value):
    """One compliance control; its status is the worst of its requirements'."""

    id: Short
    title: Name
    meaning: Text
    status: Found
    said: Text
    owner: Cell
    kind_of_evidence: Literal["measured", "attested", "recorded"]
    references: Notes
    changed_from: Text
    remarks: Notes
    exception: ExceptionInForce | None
    requirements: Annotated[tuple[RequirementResult, ...], Field(max_length=16, strict=False)]
