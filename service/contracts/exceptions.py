"""What do requests and answers about waivers and attestations look like?"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from service.contracts.base import Digest, Integer, Name, Text, Value
from service.contracts.compliance import ControlId

Moment = Annotated[AwareDatetime, Field(strict=False)]
Words = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]
Effect = Literal["waived", "not_applicable"]
WaiverState = Literal["asked", "refused", "granted", "in_force", "expired", "withdrawn"]
AttestationState = Literal["current", "expired", "withdrawn"]


class WaiverSubmission(Value):
    """Ask for an exception to one control; another person decides on it."""

    control: ControlId = Field(description="The control it is about.")
    model_name: Name | None = Field(None, description="The model it is for; null: every model.")
    effect: Effect = Field(
        "waived",
        description="waived: its status stays what it is, beside the exception. not_applicable: it is not assessed.",
    )
    reason: Words = Field(description="Why the exception is needed.")
    compensating: Words = Field(description="What stands in for the control until then.")
    starts_at: Moment | None = Field(
        None, description="From when on; null: from now, or from the end of what it renews. Never before now."
    )
    expires_at: Moment | None = Field(
        None, description="When it ends by itself; null: 90 days after its start, and 180 at most."
    )
    renews: UUID | None = Field(None, description="The granted waiver that it carries on, for the same control.")


class WaiverDecision(Value):
    """Decide on a waiver, as a person who did not ask for it."""

    decision: Literal["granted", "refused"]
    comment: Text = Field("", description="What the record should say; needed to refuse.")


class WaiverView(Value):
    """A waiver: what was asked, what was decided by whom, and where it stands now."""

    id: UUID
    control: str
    model_name: str | None
    effect: Effect
    reason: str
    compensating: str
    starts_at: datetime
    expires_at: datetime
    renews: UUID | None
    renewals: Integer = Field(description="How many waivers it carries on, one after the other.")
    state: WaiverState = Field(
        description="asked: not decided yet. granted: it starts later. in_force. expired: undecided or not."
    )
    requested_by: UUID
    requested_by_name: str
    requested_at: datetime
    decision: Literal["granted", "refused"] | None
    decided_by: UUID | None
    decided_by_name: str | None
    decided_at: datetime | None
    comment: str
    withdrawn_at: datetime | None


class AttestationSubmission(Value):
    """State something of a control, as a named person, for a limited time."""

    control: ControlId = Field(description="The control it is about, one that asks for a statement.")
    model_name: Name | None = Field(None, description="The model it is about; null: every model.")
    role: Name = Field(description="In what capacity: product owner, risk officer, ...")
    statement: Words = Field(description="What is stated, in words that can be held against whoever states it.")
    document_title: Annotated[str, Field(max_length=200)] = Field("", description="The document it rests on.")
    document_digest: Digest | None = Field(None, description="Digest of that document as it was then.")
    expires_at: Moment = Field(description="Until when it counts: 366 days from now at most.")


class AttestationView(Value):
    """A statement of a named person, and whether it still counts."""

    id: UUID
    control: str
    model_name: str | None
    role: str
    statement: str
    document_title: str
    document_digest: Digest | None
    expires_at: datetime
    withdrawn_at: datetime | None
    state: AttestationState
    stated_by: UUID
    stated_by_name: str
    stated_at: datetime
