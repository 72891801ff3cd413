"""What do requests and answers about legal holds look like?"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.contracts.base import Name, Value
from service.contracts.exceptions import Words

HoldState = Literal["in_force", "lifted"]


class HoldSubmission(Value):
    """Forbid that files of a model, or of one audit, are given up. Name one of the two."""

    model_name: Name | None = Field(None, description="Name of the model: all audits of all its versions.")
    audit: UUID | None = Field(None, description="Id of one audit.")
    reason: Words = Field(description="Why: the claim, the inquiry, the order.")


class HoldLift(Value):
    """End a hold, as a person who did not place it."""

    reason: Words = Field(description="Why it is no longer needed.")


class HoldView(Value):
    """A legal hold: on what, placed by whom and why, and where it stands now."""

    id: UUID
    model_name: str | None
    audit: UUID | None
    audit_title: str | None
    reason: str
    state: HoldState
    placed_by: UUID
    placed_by_name: str
    placed_at: datetime
    lifted_by: UUID | None
    lifted_by_name: str | None
    lifted_at: datetime | None
    lift_reason: str
