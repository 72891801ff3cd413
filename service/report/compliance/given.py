"""What is a compliance report made of? Plain values, filled from the store by whoever asks; nothing here reads one.

All times carry a zone. Names of people are names as shown to readers, not identifiers of principals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from service.contracts.compliance import Assessment, Framework, Status
from service.contracts.facts import ModelFacts
from service.contracts.provenance import Provenance
from service.contracts.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The report as it was asked for. Nothing in it depends on when it is written, so that writing again is the same.

    `window_from` belongs to the window, `window_to` does not. `late_seconds`: how long after it was due it was begun.
    `schedule` is the schedule's name; None: asked for by hand. `cause`: what started it, as a slot records it.
    """

    id: str
    title: str
    organisation: str
    window_from: datetime
    window_to: datetime
    zone: str
    as_of: datetime
    cause: str
    asked_by: str
    lamina_version: str
    schedule: str | None = None
    late_seconds: float = 0.0
    revision: int = 1
    supersedes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The version of the model that was assessed; `canonical_digest` is None where inspection did not accept it."""

    name: str
    version: str
    source_digest: str
    canonical_digest: str | None
    facts: ModelFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUsed:
    """A dataset that the evidence was taken on, in its role; `examples` None where it was not inspected."""

    role: str
    name: str
    version: str
    digest: str
    examples: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an earlier report concluded of one requirement (`position`), or of a whole control (`position` -1)."""

    control: str
    position: int
    status: Status
    metric: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The last report before this one that was approved, or (none was) the last one made: what changes are told from.

    `datasets`: role -> digest. `approved_at` and `approved_by` None: it was never approved, which the report says.
    """

    id: str
    as_of: datetime
    window_to: datetime
    twin_digest: str
    model_version: str
    model_digest: str
    library: str
    policy: str
    policy_digest: str
    lamina_version: str
    datasets: Mapping[str, str]
    verdicts: Sequence[Verdict]
    approved_at: datetime | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What one earlier report concluded, for the lines of history; oldest first, without the report being made."""

    report: str
    as_of: datetime
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlot:
    """A time at which a schedule of this model was due within the window, and what came of it."""

    schedule: str
    purpose: str
    nominal_at: datetime
    state: str
    late_seconds: float = 0.0
    attempt: int = 1
    said: str = ""
    audit: str | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverGiven:
    """An exception that was asked for, whatever came of it. `starts_at` <= in force < `expires_at`, if granted."""

    id: str
    control: str
    effect: Literal["waived", "not_applicable"]
    reason: str
    compensating: str
    requested_by: str
    requested_at: datetime
    starts_at: datetime
    expires_at: datetime
    decision: Literal["granted", "refused"] | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str = ""
    withdrawn_at: datetime | None = None
    renewals: int = 0
    covers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationGiven:
    """What a named person stated of a control, and until when that counts."""

    id: str
    control: str
    who: str
    role: str
    statement: str
    stated_at: datetime
    expires_at: datetime
    document_title: str = ""
    document_digest: str | None = None
    withdrawn_at: datetime | None = None
    covers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement of the assessed version: the latest of its line within the window.

    `baseline` is the value that the approved baseline holds for the same line, if there is one.
    """

    id: str
    analysis: str
    kind: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    at: datetime
    layer: str | None = None
    class_name: str | None = None
    target: str | None = None
    epsilon: float | None = None
    facets: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None
    role: str | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """One analysis that the evidence comes from, or that was asked for in the window and failed.

    `title` and `family` are the kind's in the catalogue. `result_digest`: of the outcome as it is stored.
    `event_number` and `leaf_hash`: where the log says that it ended; None while that event is not sealed yet.
    """

    id: str
    audit: str
    kind: str
    kind_version: int
    title: str
    family: str
    state: str
    parameters: Mapping[str, JsonValue]
    config_digest: str
    digest: str | None = None
    section: Section | None = None
    provenance: Provenance | None = None
    said: str = ""
    submitted_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result_digest: str | None = None
    environment_digest: str | None = None
    code_version: str | None = None
    event_number: int | None = None
    leaf_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One example of an analysis that a reader may be shown: candidates all, of which the report draws a few.

    `said`: what was predicted and what it rested on, in a sentence with its figures.
    """

    analysis: str
    example: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The signed head of the organisation's log that the evidence was read under."""

    size: int
    root: str
    chain_hash: str
    key_id: str
    signature: str
    signed_at: datetime
    unsealed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who must do what before the report counts as approved. `who`: a name or a role."""

    step: str
    who: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Everything a report is made of.

    `owners`: control -> who answers for it. `periods`: oldest first, at most the last eleven are shown beside this one.
    `runners`: who submitted the audits; they may not approve. `anchor` None: the log has no signed head yet.
    `measurements` of one analysis stand in the order of its layers, and are shown in it.
    `synthetic`: names of datasets that were made rather than collected, where that is known.
    """

    asked: Asked
    subject: Subject
    assessment: Assessment
    data: Sequence[DataUsed] = ()
    frameworks: Sequence[Framework] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    prior: Prior | None = None
    periods: Sequence[Period] = ()
    slots: Sequence[DueSlot] = ()
    waivers: Sequence[WaiverGiven] = ()
    attestations: Sequence[AttestationGiven] = ()
    measurements: Sequence[Measured] = ()
    analyses: Sequence[Analysed] = ()
    examples: Sequence[Explained] = ()
    anchor: Anchor | None = None
    runners: Sequence[str] = ()
    signers: Sequence[Signer] = ()
    synthetic: Sequence[str] = ()
