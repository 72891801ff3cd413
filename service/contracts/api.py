"""What do requests and answers of the API look like? The same values serve the service, its OpenAPI and the client."""

from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import Field, JsonValue, model_validator

from service.contracts.base import WHOLE, Digest, Integer, Name, Text, Value
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.problem import Reason
from service.contracts.status import AnalysisState, AuditState, IntakeState

Version = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Role = Annotated[
    str, Field(pattern=r"^(evaluation|background|training|before|after|reference_model|concept:[A-Za-z0-9_-]{1,64})$")
]
Scope = Literal["read", "submit", "admin"]
Item = TypeVar("Item")
Fraction = Annotated[float, Field(ge=0, le=1)]
KindName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class BlobView(Value):
    """Stored bytes."""

    digest: Digest
    size: Integer
    created_at: datetime


class ModelSubmission(Value):
    """Register a model: which bytes, called what, and what its owner declares of it."""

    name: Name = Field(description="Name shared by all versions of the model; history runs along it.")
    version: Version = Field(description="Version, unique within the name.")
    blob: Digest = Field(description="Digest of the uploaded file.")
    facts: ModelFacts = Field(description="Declared facts, in raw units.")
    follows: UUID | None = Field(None, description="Id of the version this one follows; null for the first.")


class DatasetSubmission(Value):
    """Register a dataset: which bytes, called what, and what its owner declares of it."""

    name: Name = Field(description="Name shared by all versions of the dataset.")
    version: Version = Field("1", description="Version, unique within the name.")
    blob: Digest = Field(description="Digest of the uploaded file.")
    facts: DatasetFacts = Field(description="Declared facts, in raw units.")


class ModelView(Value):
    """A model as the service knows it."""

    id: UUID
    name: Name
    version: str
    follows: UUID | None
    state: IntakeState
    source_digest: Digest
    canonical_digest: Digest | None
    facts: ModelFacts
    manifest: ModelManifest | None
    refusal: Reason | None
    created_by: UUID
    created_at: datetime


class DatasetView(Value):
    """A dataset as the service knows it."""

    id: UUID
    name: Name
    version: str
    state: IntakeState
    source_digest: Digest
    canonical_digest: Digest | None
    facts: DatasetFacts
    manifest: DatasetManifest | None
    refusal: Reason | None
    created_by: UUID
    created_at: datetime


class InputSubmission(Value):
    """What fills a role: a dataset, or an analysis that has ended."""

    dataset: UUID | None = Field(None, description="Id of a dataset.")
    analysis: UUID | None = Field(None, description="Id of an earlier analysis, in the roles `before` and `after`.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.dataset is None) == (self.analysis is None):
            raise ValueError("give a dataset or an analysis, and one of them only")
        return self


class AnalysisSubmission(Value):
    """One analysis asked for."""

    kind: KindName = Field(description="Name of an analysis kind; see /v1/kinds.")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="Its parameters; defaults fill the rest."
    )


class AuditSubmission(Value):
    """Ask for analyses of one model on inputs by role."""

    title: Name = Field("audit", description="What people will call it.")
    model: UUID = Field(description="Id of a model.")
    inputs: dict[Role, InputSubmission] = Field(
        default_factory=dict, description="Role to input; the kinds say which roles they need."
    )
    analyses: Annotated[tuple[AnalysisSubmission, ...], Field(min_length=1, max_length=64, strict=False)] = Field(
        description="Analyses to run."
    )


class ArtifactView(Value):
    """A stored file of an analysis or of a report."""

    id: UUID
    analysis: UUID | None
    name: str
    title: str
    media_type: str
    digest: Digest
    size: Integer


class AnalysisView(Value):
    """One analysis: how far it is, and what came of it."""

    id: UUID
    audit: UUID
    kind: str
    kind_version: Integer
    parameters: dict[str, JsonValue]
    digest: Digest | None
    state: AnalysisState
    progress: Fraction
    stage: str
    attempt: Integer
    reason: Reason | None
    created_at: datetime
    ended_at: datetime | None


class AnalysisDetail(AnalysisView):
    """One analysis with everything stored of it."""

    outcome: dict[str, JsonValue] | None
    section: dict[str, JsonValue] | None
    provenance: dict[str, JsonValue] | None
    artifacts: tuple[ArtifactView, ...]


class InputView(Value):
    """What fills a role of an audit."""

    role: str
    dataset: UUID | None
    analysis: UUID | None = None
    name: str


class AuditView(Value):
    """An audit: its counts, and its analyses."""

    id: UUID
    title: str
    state: AuditState
    progress: Fraction
    counts: dict[str, Integer] = Field(description="Number of analyses by state.")
    model: UUID
    model_name: str
    model_version: str
    inputs: tuple[InputView, ...]
    analyses: tuple[AnalysisView, ...]
    report_ready: bool
    created_by: UUID
    created_at: datetime
    closed_at: datetime | None


class KindView(Value):
    """One analysis kind of the catalogue."""

    name: str
    version: Integer
    family: str
    title: str
    question: str
    source: str
    queue: str
    roles: tuple[str, ...] = Field(description="Of the datasets that it needs.")
    optional_roles: tuple[str, ...] = Field((), description="Of the datasets that it uses where they are given.")
    analysis_roles: tuple[str, ...] = Field((), description="Of the earlier analyses that it needs.")
    metrics: tuple[str, ...]
    controls: tuple[str, ...]
    parameters: dict[str, JsonValue] = Field(description="JSON Schema of the parameters.")
    outcome: dict[str, JsonValue] = Field(description="JSON Schema of the outcome.")


class MeasurementView(Value):
    """One point of history."""

    id: UUID
    series_key: Digest
    model_name: str
    model_version: str
    model: UUID
    audit: UUID
    analysis: UUID
    kind: str
    kind_version: Integer
    metric: str
    unit: str
    direction: str
    layer: str | None
    class_name: str | None
    target: str | None
    epsilon: float | None
    facets: dict[str, str]
    dataset_name: str | None
    dataset_role: str | None
    dataset_digest: Digest | None
    dataset_changed: bool = Field(description="True when the previous point of the line had another dataset digest.")
    parameters_digest: Digest
    value: float
    low: float | None
    high: float | None
    n: Integer
    created_at: datetime


class PrincipalSubmission(Value):
    """Make a principal of one's own tenant."""

    name: Name = Field(description="Unique within the tenant.")
    kind: Literal["person", "service"] = Field("service", description="A person or a service.")


class PrincipalView(Value):
    """A principal; trust is set by the operator, never over HTTP."""

    id: UUID
    name: str
    kind: str
    trusted: bool
    disabled_at: datetime | None
    created_at: datetime


class KeySubmission(Value):
    """Make a key for a principal."""

    principal: UUID = Field(description="Whose key it will be.")
    label: Name = Field("key", description="What it is for.")
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=3, strict=False)] = Field(
        ("read", "submit"), description="What it may do."
    )
    days: Annotated[int, Field(ge=1, le=3650), WHOLE] = Field(365, description="Days until it expires.")


class KeyView(Value):
    """A key without its secret."""

    id: UUID
    principal: UUID
    prefix: str
    label: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class KeyMade(KeyView):
    """A key just made; its secret is shown this once."""

    secret: str


class Page(Value, Generic[Item]):
    """One page; `next` is the cursor of the following one, null at the end."""

    items: tuple[Item, ...]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class Whoami(Value):
    """Who a key speaks for."""

    principal: UUID
    name: str
    tenant: UUID
    tenant_name: str
    trusted: bool
    scopes: tuple[Scope, ...]


class WorkerView(Value):
    """A worker as the registry last saw it."""

    id: str
    queues: tuple[str, ...]
    device: str
    sandbox_level: str
    kinds: dict[str, Integer]
    last_seen_at: datetime
    alive: bool


class Readiness(Value):
    """Whether requests can be served, and what is degraded."""

    status: Literal["ready", "degraded", "unready"]
    database: Text
    migrations: Text
    broker: Text
    workers: tuple[WorkerView, ...]


class Health(Value):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str
