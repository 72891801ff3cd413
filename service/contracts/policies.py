"""What may an organisation demand, and how are a policy and its controls shown? Values of requests and answers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.contracts.base import WHOLE, Digest, Integer, Name, Text, Value, digest_of_value
from service.contracts.compliance import Control, ControlId, Framework

Tier = Literal["high", "medium", "low"]
Role = Literal["provider", "deployer", "both"]
Jurisdiction = Literal["CA", "EU", "UK", "US"]


class Declared(Value):
    """Levels that the organisation declares; those that a model's facts declare go before them."""

    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    robust_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    epsilon: Annotated[float, Field(gt=0)] | None = Field(None, description="L-infinity, in raw units.")


class Override(Value):
    """Another threshold, number of examples or freshness than the library's; somebody answers for it."""

    control: ControlId
    requirement: Annotated[int, Field(ge=1, le=16), WHOLE] = Field(1, description="Which of its requirements, from 1.")
    threshold: float | None = None
    n: Annotated[int, Field(ge=1), WHOLE] | None = None
    fresh: Annotated[int, Field(ge=1, le=3660), WHOLE] | None = Field(None, description="Days, for the tier high.")
    owner: Name = Field(description="Who answers for it.")
    reason: Annotated[str, Field(min_length=10, max_length=4000)] = Field(description="Why it is another.")


class PolicyContent(Value):
    """One revision of a policy."""

    library: Annotated[str, Field(max_length=128)] | None = Field(
        None, description="Id and version of the library, such as `lamina-core 2026.11.0`; null: the one shipped now."
    )
    tier: Tier | None = Field(None, description="How fresh evidence must be: null takes the model's declared tier.")
    role: Role = Field("provider", description="The organisation's part.")
    jurisdictions: Annotated[tuple[Jurisdiction, ...], Field(max_length=8, strict=False)] = Field(
        (), description="Where the models are used."
    )
    declared: Declared = Declared()
    frameworks: Annotated[tuple[str, ...], Field(max_length=32, strict=False)] = Field(
        (), description="Frameworks to show in reports; empty: all."
    )
    overrides: Annotated[tuple[Override, ...], Field(max_length=256, strict=False)] = ()
    controls: Annotated[tuple[Control, ...], Field(max_length=128, strict=False)] = Field(
        (), description="Controls of its own; their ids begin with ORG-."
    )
    owners: dict[ControlId, Name] = Field(default_factory=dict, description="Control to who answers for it.")
    statement: Text = Field("", description="What the policy is for.")

    @property
    def digest(self) -> str:
        """Of its RFC 8785 form."""
        return digest_of_value(self.model_dump(mode="json"))


class PolicySubmission(Value):
    """Demand something: a new policy, or the next revision of the one of this name."""

    name: Name = Field(description="What it is called; its revisions are counted from 1.")
    content: PolicyContent


class PolicyView(Value):
    """One revision of a policy."""

    id: UUID
    name: str
    revision: Integer
    content: PolicyContent
    digest: Digest = Field(description="Of the content's RFC 8785 form.")
    library: str = Field(description="The library that it is checked against, by id and version.")
    created_by: UUID
    created_at: datetime


class ControlInForce(Value):
    """A control as a policy has it: the thresholds applied, and who answers for each that is not the library's."""

    control: Control
    own: bool = Field(description="The organisation added it.")
    overrides: tuple[Override, ...] = Field((), description="What the organisation set otherwise, each accounted for.")
    owner: str = Field("", description="Who answers for the control; empty: nobody is named.")


class ControlsInForce(Value):
    """The library, and every control as it is assessed under a policy."""

    library: str
    as_of: str
    disclaimer: str
    frameworks: tuple[Framework, ...]
    policy: str = Field(description="Name and revision; empty: the library as it is shipped.")
    policy_digest: Digest
    controls: tuple[ControlInForce, ...]
