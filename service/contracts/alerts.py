"""What do requests and answers about alerts and webhooks look like?"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from service.contracts.base import Integer, Text, Value

Severity = Literal["low", "medium", "high", "critical"]
DeliveryState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
MAIL_ADDRESS = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+$"
"""ASCII, without quotes or comments: nothing in it can end a header or a command."""


class WebhookSubmission(Value):
    """Say where alerts are to go."""

    url: Annotated[str, Field(min_length=8, max_length=2048)] = Field(description="An https URL, out in the open.")
    least: Severity = Field("medium", description="Alerts of this severity and above are sent.")


class WebhookView(Value):
    """A webhook without its secret, which the service does not store."""

    id: UUID
    url: str
    least: Severity
    failures: Integer = Field(description="Messages in a row that did not get there.")
    last_delivered_at: datetime | None
    disabled_at: datetime | None
    created_by: UUID
    created_at: datetime


class WebhookMade(WebhookView):
    """A webhook just made, or its secret changed; `secret` is shown this once."""

    secret: str = Field(description="whsec_..., as Standard Webhooks has it: verify signatures with it.")


class RecipientSubmission(Value):
    """Say whom alerts are mailed to."""

    address: Annotated[str, Field(min_length=6, max_length=254, pattern=MAIL_ADDRESS)] = Field(
        description="A mail address, as alerts@example.org."
    )
    least: Severity = Field("medium", description="Alerts of this severity and above are sent.")


class RecipientView(Value):
    """Whom alerts are mailed to."""

    id: UUID
    address: str
    least: Severity
    failures: Integer = Field(description="Messages in a row that the mail server did not take.")
    last_delivered_at: datetime | None = Field(description="When the mail server took one last.")
    disabled_at: datetime | None
    created_by: UUID
    created_at: datetime


class AlertView(Value):
    """Something that somebody should know of."""

    id: UUID
    key: str
    severity: Severity
    text: Text
    model_name: str | None
    detail: dict[str, JsonValue]
    created_at: datetime
    closed_at: datetime | None
    acknowledged_by: UUID | None


class TryView(Value):
    """One try to deliver a message."""

    at: datetime
    said: str
    status: Integer | None


class DeliveryView(Value):
    """A message to a webhook or a recipient of mail, and every try."""

    id: UUID
    webhook: UUID | None
    recipient: UUID | None
    alert: UUID
    event: str
    state: DeliveryState
    tries: tuple[TryView, ...]
    created_at: datetime
