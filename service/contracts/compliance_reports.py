"""What do requests and answers about compliance reports look like?"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from service.contracts.api import Version
from service.contracts.base import WHOLE, Digest, Integer, Name, Text, Value
from service.contracts.problem import Reason

ReportState = Literal["waiting", "generated", "in_review", "approved", "rejected", "superseded", "failed"]
SignStep = Literal["submitted", "reviewed", "approved", "rejected"]
ReportForm = Literal["html", "pdf", "json", "dsse", "zip"]
ExportForm = Literal["oscal", "oscal-plan", "oscal-catalog", "cyclonedx", "model-index"]
Moment = Annotated[AwareDatetime, Field(strict=False)]


class ComplianceReportSubmission(Value):
    """Ask for a compliance report on one version of one model over one window."""

    title: Name = Field("compliance report", description="What people will call it.")
    model_name: Name = Field(description="Name of the model.")
    model_version: Version | None = Field(None, description="Its version; null: the latest that is ready.")
    policy: Name | None = Field(None, description="Name of the policy; null: the library as it is shipped.")
    frameworks: Annotated[tuple[str, ...], Field(max_length=32, strict=False)] = Field(
        (), description="Ids of the frameworks to show; empty: all of the library's."
    )
    window_from: Moment = Field(description="Start of the window, which belongs to it.")
    window_to: Moment = Field(description="End of the window, which does not; evidence is judged as of this time.")
    zone: Annotated[str, Field(max_length=64)] = Field("UTC", description="IANA zone that times are shown in.")


class ReportFileView(Value):
    """One form of a report."""

    form: ReportForm
    name: str
    media_type: str
    digest: Digest
    size: Integer


class SignOffView(Value):
    """What a person did with a report; `signature` is the service's Ed25519 (base64) over who, what and when."""

    step: SignStep
    principal: UUID
    name: str
    role: str
    comment: str
    digest: Digest
    key_id: str
    signature: str
    at: datetime


class ComplianceReportView(Value):
    """A compliance report: what it is about, how far it is, what it counted, and who signed it."""

    id: UUID
    title: str
    model: UUID
    model_name: str
    model_version: str
    policy: UUID | None
    schedule: UUID | None
    window_from: datetime
    window_to: datetime
    zone: str
    as_of: datetime
    late_seconds: float
    trigger: str
    revision: Integer
    supersedes: UUID | None
    state: ReportState
    twin_digest: Digest | None
    counts: dict[str, Integer] = Field(description="Number of controls by status; empty until it is generated.")
    reason: Reason | None
    files: tuple[ReportFileView, ...]
    sign_offs: tuple[SignOffView, ...]
    created_by: UUID
    created_at: datetime
    generated_at: datetime | None


class SignOffSubmission(Value):
    """Say, as a person, what you have seen and what you make of it."""

    step: SignStep = Field(description="submitted: for review; reviewed; approved; rejected.")
    digest: Digest = Field(description="Digest of the twin you have read: what is signed is that, and nothing else.")
    role: Name = Field(description="In what capacity: auditor, model-risk officer, owner, ...")
    comment: Text = Field("", description="What the record should say; needed to reject.")


class LinkSubmission(Value):
    """Ask for a link that opens a report in a browser without a key, for a while."""

    form: Literal["html", "pdf", "json", "zip"] = Field("html", description="Which form it opens.")
    hours: Annotated[int, Field(ge=1, le=720), WHOLE] = Field(168, description="Hours until it expires.")


class LinkView(Value):
    """A link; whoever has it can read that one file until it expires."""

    url: str = Field(description="Path and query on this service.")
    expires_at: datetime
