"""What do requests and answers about history look like? Baselines, lines, buckets, comparisons."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.contracts.base import Name, Text, Value

BaselineState = Literal["current", "replaced"]


class BaselineSubmission(Value):
    """Approve an audit as what later measurements of a model are compared with."""

    model_name: Name = Field(description="Name of the model, all versions.")
    audit: UUID = Field(description="Id of an audit of a version of it, finished, with measurements.")
    reason: Annotated[Text, Field(min_length=1)] = Field(description="Why this audit: what was looked at, and by whom.")


class BaselineView(Value):
    """An approved baseline."""

    id: UUID
    model_name: str
    model_version: str
    audit: UUID
    audit_title: str
    reason: str
    state: BaselineState
    approved_by: UUID
    approved_by_name: str
    approved_at: datetime
    replaced_at: datetime | None
