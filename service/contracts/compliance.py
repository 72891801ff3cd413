"""What words do assessment and report share? Controls, what they demand, what was found, and the statuses.

A status says what the evidence shows. It is never a legal conclusion, and there is no score over statuses.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from service.contracts.base import WHOLE, Digest, Name, Text, Value

Comparator = Literal["<=", ">=", "==", "<", ">"]
Rule = Literal["ci", "point", "exact"]
Basis = Literal["D", "S", "P", "O", "A"]
Source = Literal["measurement", "ledger", "schedule", "waiver", "attestation", "dataset"]
Time = Annotated[AwareDatetime, Field(strict=False)]
ControlId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,15}-[0-9]{2,3}$")]
Reference = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{1,31}\.[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")]


class Status(StrEnum):
    """What the evidence shows of a requirement or a control, from the best to the worst."""

    NOT_APPLICABLE = "not_applicable"
    MET = "met"
    INSUFFICIENT = "insufficient_evidence"
    STALE = "stale"
    NOT_MET = "not_met"


class Why(StrEnum):
    """Why evidence is insufficient."""

    NONE = "none"
    UNMEASURED = "unmeasured"
    SUBJECT_CHANGED = "subject_changed"
    CONFIG_MISMATCH = "config_mismatch"
    UNVERIFIED = "unverified"
    POWER = "power"
    GUARD = "guard"
    NO_THRESHOLD = "no_threshold"
    NO_BASELINE = "no_baseline"
    INCONCLUSIVE = "inconclusive"


class Requirement(Value):
    """What one piece of evidence must show: a metric compared with a threshold, on enough examples, lately enough."""

    source: Source
    kinds: Annotated[tuple[str, ...], Field(max_length=32, strict=False)] = Field(
        (), description="Kinds of analysis whose measurements count; empty: any."
    )
    family: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Family of kinds whose measurements count; null: any."
    )
    metric: Annotated[str, Field(max_length=64)] = Field(description="A word of the measurement vocabulary.")
    relative_to: Literal["nothing", "declared", "baseline", "baseline_ratio"] = Field(
        "nothing",
        description="What is taken off the measured value first: the declared level, the approved baseline's value, or "
        "(ratio) what it is divided by.",
    )
    over: Literal["latest", "worst", "total"] = Field(
        "latest",
        description="latest: of the latest audit that answers. worst: of the latest audit of every kind that does, all "
        "its lines (layers, classes). total: everything fresh added up; n counts analyses.",
    )
    config: dict[str, Annotated[str, Field(max_length=256)]] = Field(
        default_factory=dict, description="Facets or parameters that the evidence must have been taken with, as text."
    )
    role: Annotated[str, Field(max_length=64)] | None = Field(None, description="Dataset role that is needed.")
    op: Comparator
    threshold: float | None = Field(description="None: the organisation must set it.")
    rule: Rule
    n: Annotated[int, Field(ge=1), WHOLE] = Field(description="Examples that are enough.")
    fresh: Annotated[int, Field(ge=1, le=3660), WHOLE] = Field(description="Days, for the risk tier `high`.")
    basis: Basis
    applies: Text = Field("", description="The predicate of this requirement alone; empty: wherever the control does.")
    statement: Text = Field("", description="What the requirement says, in words.")


class Control(Value):
    """One compliance control: a sentence that evidence can bear out."""

    id: ControlId
    title: Name
    meaning: Text = Field(description="Why it is asked, and what a failure would mean.")
    applies: Text = Field(
        "", description="The predicate, in the language of `service.compliance.predicate`; empty: always."
    )
    guard: ControlId | None = Field(None, description="A control that must be met for this one's evidence to count.")
    references: Annotated[tuple[Reference, ...], Field(max_length=64, strict=False)] = ()
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1, max_length=16, strict=False)]


class FrameworkItem(Value):
    """One item of a framework, by number and theme; never its text."""

    id: Annotated[str, Field(max_length=64)]
    theme: Name


class Framework(Value):
    """A framework that controls refer to, with its legal status and the day that was true."""

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{1,31}$")]
    name: Name
    status: Text
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    items: Annotated[tuple[FrameworkItem, ...], Field(max_length=256, strict=False)]


class Added(Value):
    """One of the measurements that a total adds up."""

    measurement: str
    analysis: str


class Evidence(Value):
    """One measured value that answered a requirement, and where it stands."""

    source: Source
    metric: Annotated[str, Field(max_length=64)]
    value: float
    low: float | None = None
    high: float | None = None
    n: Annotated[int, Field(ge=0), WHOLE]
    measured: float | None = Field(None, description="The measured value, where `value` is a difference or a ratio.")
    reference: float | None = Field(None, description="The declared level or the baseline's value it is relative to.")
    layer: str | None = None
    facets: dict[str, str] = Field(default_factory=dict)
    kind: str | None = None
    audit: str | None = None
    analysis: str | None = None
    measurement: str | None = None
    added: Annotated[tuple[Added, ...], Field(max_length=20_000, strict=False)] = Field(
        (), description="For a total: every measurement it adds up, the oldest first."
    )
    series_key: Digest | None = None
    model_version: str | None = None
    dataset: str | None = None
    at: Time
    said: Text = Field("", description="For attestations and records: what was said, and by whom.")


class Judged(Value):
    """One requirement, what answered it, and what that shows."""

    requirement: Requirement
    threshold: float | None = Field(description="The one applied: the library's, or the organisation's.")
    threshold_owner: Text = Field("", description="Who set it, where it is the organisation's; with the reason.")
    threshold_reason: Text = ""
    status: Status
    why: Why | None = None
    said: Text = Field(description="The status in a sentence, with the figures that led to it.")
    evidence: Evidence | None = None
    attempts: Annotated[int, Field(ge=0), WHOLE] = Field(0, description="Runs in the window that asked this question.")
    failed_attempts: Annotated[int, Field(ge=0), WHOLE] = 0
    age_days: float | None = None
    fresh_days: Annotated[int, Field(ge=1), WHOLE]
    deciding_n: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        None, description="Where inconclusive: about how many examples would decide, were the value to stay."
    )


class Excepted(Value):
    """A waiver or a marking as not applicable that is in force."""

    id: str
    effect: Literal["waived", "not_applicable"]
    reason: Text
    compensating: Text
    requested_by: Name
    decided_by: Name
    granted_at: Time
    expires_at: Time
    renewals: Annotated[int, Field(ge=0), WHOLE] = 0


class Assessed(Value):
    """One control: its status is the worst of its requirements'; overlays never replace it."""

    control: Control
    status: Status
    said: Text
    judged: Annotated[tuple[Judged, ...], Field(max_length=16, strict=False)] = ()
    exception: Excepted | None = None
    changed_from: Status | None = Field(None, description="Its status in the report before, where that was another.")
    retried: bool = False
    tailored: bool = Field(default=False, description="The organisation changed or added it.")


class Assessment(Value):
    """Every control of a policy, assessed for one model at one time."""

    as_of: Time
    model_name: Name
    model_version: str
    model_digest: Digest
    library: Annotated[str, Field(max_length=128)]
    policy: Annotated[str, Field(max_length=160)]
    policy_digest: Digest
    tier: Literal["high", "medium", "low"]
    controls: Annotated[tuple[Assessed, ...], Field(max_length=512, strict=False)]


def counts(assessed: tuple[Assessed, ...]) -> dict[str, int]:
    """How many controls have each status, in the words of Status; every word is there."""
    return {status.value: sum(one.status is status for one in assessed) for status in Status}
