"""Which rows are there? Who asks, what they handed in, what was asked, what came of it.

`work` is the truth about everything that runs (service/work); an analysis shows its work's state and has none of
its own. What is only ever read whole is JSON; what is filtered, joined or charted is a column.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.contracts.status import OPEN, WorkState, WorkType
from service.store.base import Base, DigestText, Id, Owned, RowNumber, Word


def _one_of(column: str, words: type[WorkState] | type[WorkType]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Tenant(Base):
    """An organisation. `stored_bytes` is kept by guarded updates, so a cap cannot be raced past."""

    __tablename__ = "tenant"

    id: Mapped[Id]
    name: Mapped[Word] = mapped_column(unique=True)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime]


class Principal(Owned, Base):
    """A person or a service that acts. Trust is set by the operator on the command line, never over HTTP."""

    __tablename__ = "principal"
    __table_args__ = (UniqueConstraint("tenant", "name"),)

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[Word]
    trusted: Mapped[bool] = mapped_column(Boolean, default=False)
    disabled_at: Mapped[datetime | None]


class ApiKey(Owned, Base):
    """One of a principal's keys: found by its public prefix, proved by the SHA-256 of its secret."""

    __tablename__ = "api_key"

    id: Mapped[Id]
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principal.id"), index=True)
    prefix: Mapped[str] = mapped_column(String(32), unique=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    label: Mapped[Word]
    scopes: Mapped[list[Any]]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Blob(Owned, Base):
    """Bytes by digest, per tenant: no sharing across tenants, since "already here" would tell who has what."""

    __tablename__ = "blob"

    tenant: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest: Mapped[DigestText] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    references: Mapped[int] = mapped_column(Integer, default=0)
    deleted_at: Mapped[datetime | None]


class Model(Owned, Base):
    """One version of a model: what came in, what was made of it, and the version it follows."""

    __tablename__ = "model"
    __table_args__ = (
        UniqueConstraint("tenant", "name", "version"),
        Index("ix_model_tenant_created", "tenant", "created_at", "id"),
    )

    id: Mapped[Id]
    name: Mapped[Word]
    version: Mapped[str] = mapped_column(String(64))
    follows_id: Mapped[UUID | None] = mapped_column(ForeignKey("model.id"))
    source_digest: Mapped[DigestText]
    facts: Mapped[dict[str, Any]]
    canonical_digest: Mapped[str | None] = mapped_column(String(71))
    manifest: Mapped[dict[str, Any] | None]
    refusal: Mapped[dict[str, Any] | None]
    work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"), index=True)
    work: Mapped["Work | None"] = relationship(lazy="joined", viewonly=True)


class Dataset(Owned, Base):
    """One version of a dataset, in raw units."""

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("tenant", "name", "version"),
        Index("ix_dataset_tenant_created", "tenant", "created_at", "id"),
    )

    id: Mapped[Id]
    name: Mapped[Word]
    version: Mapped[str] = mapped_column(String(64))
    source_digest: Mapped[DigestText]
    facts: Mapped[dict[str, Any]]
    canonical_digest: Mapped[str | None] = mapped_column(String(71))
    manifest: Mapped[dict[str, Any] | None]
    refusal: Mapped[dict[str, Any] | None]
    work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"), index=True)
    work: Mapped["Work | None"] = relationship(lazy="joined", viewonly=True)


class Audit(Owned, Base):
    """A request for analyses of one model. `remaining` counts analyses not yet ended; at zero the audit closes."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    title: Mapped[Word]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("model.id"), index=True)
    remaining: Mapped[int] = mapped_column(Integer)
    cancel_requested_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    report_work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"))
    model: Mapped[Model] = relationship(lazy="joined", viewonly=True)
    inputs: Mapped[list["Input"]] = relationship(viewonly=True, order_by="Input.role")
    analyses: Mapped[list["Analysis"]] = relationship(viewonly=True, order_by="Analysis.position")


class Input(Owned, Base):
    """What fills a role of an audit: a dataset, another model or an earlier analysis; exactly one of them."""

    __tablename__ = "input"
    __table_args__ = (
        UniqueConstraint("audit_id", "role"),
        CheckConstraint(
            "(CASE WHEN dataset_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN model_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN analysis_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_source",
        ),
    )

    id: Mapped[Id]
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"))
    role: Mapped[Word]
    dataset_id: Mapped[UUID | None] = mapped_column(ForeignKey("dataset.id"), index=True)
    model_id: Mapped[UUID | None] = mapped_column(ForeignKey("model.id"))
    analysis_id: Mapped[UUID | None] = mapped_column(ForeignKey("analysis.id"))
    dataset: Mapped[Dataset | None] = relationship(lazy="joined", viewonly=True)


class Analysis(Owned, Base):
    """One kind, run once with its parameters; kind is text, so that a new kind needs no migration.

    `work_id` is null while the inputs are not ready; `reason` says why there will never be an outcome. `replays_id` is
    the analysis that this one repeats with its stored plan.
    """

    __tablename__ = "analysis"
    __table_args__ = (
        UniqueConstraint("audit_id", "position"),
        Index("ix_analysis_tenant_created", "tenant", "created_at", "id"),
        Index(
            "ix_analysis_open",
            "tenant",
            "audit_id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"))
    position: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(64))
    kind_version: Mapped[int] = mapped_column(Integer)
    queue: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]]
    parameters_digest: Mapped[DigestText]
    digest: Mapped[str | None] = mapped_column(String(71), index=True)
    replays_id: Mapped[UUID | None] = mapped_column(ForeignKey("analysis.id"), index=True)
    work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"), index=True)
    outcome: Mapped[dict[str, Any] | None]
    section: Mapped[dict[str, Any] | None]
    provenance: Mapped[dict[str, Any] | None]
    reason: Mapped[dict[str, Any] | None]
    ended_at: Mapped[datetime | None]
    work: Mapped["Work | None"] = relationship(lazy="joined", viewonly=True)
    artifacts: Mapped[list["Artifact"]] = relationship(viewonly=True, order_by="Artifact.name")


class Artifact(Owned, Base):
    """A named file of an analysis or of an audit's report; its bytes are a blob."""

    __tablename__ = "artifact"
    __table_args__ = (
        UniqueConstraint("audit_id", "analysis_id", "name"),
        Index("ix_artifact_digest", "tenant", "digest"),
    )

    id: Mapped[Id]
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"), index=True)
    analysis_id: Mapped[UUID | None] = mapped_column(ForeignKey("analysis.id"), index=True)
    name: Mapped[Word]
    title: Mapped[str] = mapped_column(String(200), default="")
    media_type: Mapped[Word]
    digest: Mapped[DigestText]
    size: Mapped[int] = mapped_column(BigInteger)


class Measurement(Owned, Base):
    """One point of history. `series_key` names its line; model version and dataset digest belong to the point."""

    __tablename__ = "measurement"
    __table_args__ = (
        Index("ix_measurement_line", "tenant", "series_key", "created_at", "id"),
        Index("ix_measurement_model", "tenant", "model_name", "metric", "created_at", "id"),
        Index("ix_measurement_layer", "tenant", "model_name", "metric", "layer", "created_at", "id"),
        Index("ix_measurement_name", "tenant", "model_name", "created_at", "id"),
        Index("ix_measurement_audit", "audit_id", "created_at", "id"),
        Index("ix_measurement_time", "tenant", "created_at", "id"),
        # For steps from line to line: of a model, and of one version of it.
        Index("ix_measurement_series", "tenant", "model_name", "metric", "series_key", "created_at", "id"),
        Index("ix_measurement_version", "tenant", "model_id", "metric", "series_key", "created_at", "id"),
    )

    id: Mapped[Id]
    series_key: Mapped[DigestText]
    model_name: Mapped[Word]
    model_version: Mapped[str] = mapped_column(String(64))
    model_id: Mapped[UUID] = mapped_column(ForeignKey("model.id"))
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"))
    analysis_id: Mapped[UUID] = mapped_column(ForeignKey("analysis.id"), index=True)
    kind: Mapped[str] = mapped_column(String(64))
    kind_version: Mapped[int] = mapped_column(Integer)
    metric: Mapped[str] = mapped_column(String(64))
    layer: Mapped[str | None] = mapped_column(String(512))
    class_name: Mapped[str | None] = mapped_column(String(128))
    target: Mapped[str | None] = mapped_column(String(128))
    epsilon: Mapped[float | None] = mapped_column(Float)
    facets: Mapped[str] = mapped_column(Text, default="{}")
    dataset_name: Mapped[str | None] = mapped_column(String(128))
    dataset_role: Mapped[str | None] = mapped_column(String(128))
    dataset_digest: Mapped[str | None] = mapped_column(String(71))
    parameters_digest: Mapped[DigestText]
    value: Mapped[float] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    n: Mapped[int] = mapped_column(Integer)


class Work(Owned, Base):
    """One unit of work: the only stored state of anything that runs. See service/work."""

    __tablename__ = "work"
    __table_args__ = (
        CheckConstraint(_one_of("state", WorkState), name="state"),
        CheckConstraint(_one_of("type", WorkType), name="type"),
        Index("ix_work_state_lease", "state", "lease_until"),
        Index("ix_work_tenant_state", "tenant", "state"),
        Index("ix_work_group", "group_key", "state"),
    )

    id: Mapped[Id]
    type: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    queue: Mapped[str] = mapped_column(String(16))
    needs: Mapped[str] = mapped_column(String(128), default="")
    group_key: Mapped[str | None] = mapped_column(String(128))
    solo: Mapped[bool] = mapped_column(Boolean, default=False)
    state: Mapped[str] = mapped_column(String(16), default=WorkState.QUEUED.value)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    stage: Mapped[str] = mapped_column(String(128), default="")
    reason: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @property
    def open(self) -> bool:
        """Whether it has yet to end."""
        return WorkState(self.state) in OPEN


class Outbox(Owned, Base):
    """Work the dispatcher has yet to announce to the broker; written in the transaction that queued it."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True, autoincrement=True)
    work_id: Mapped[UUID] = mapped_column(ForeignKey("work.id"), index=True)
    queue: Mapped[str] = mapped_column(String(16))


class Event(Owned, Base):
    """What happened, written in the transaction that made it happen.

    The database refuses to change or delete a row, but for its place in the tenant's chain: `chain_number` (from 0),
    `leaf_hash` and `chain_hash` are filled once, by the appender, after the commit.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("tenant", "chain_number"),
        Index("ix_event_subject", "tenant", "subject_type", "subject_id", "id"),
        Index(
            "ix_event_unsealed",
            "tenant",
            "id",
            sqlite_where=text("chain_number IS NULL"),
            postgresql_where=text("chain_number IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True, autoincrement=True)
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    action: Mapped[str] = mapped_column(String(64))
    before: Mapped[str | None] = mapped_column(String(16))
    after: Mapped[str | None] = mapped_column(String(16))
    detail: Mapped[dict[str, Any]]
    chain_number: Mapped[int | None] = mapped_column(BigInteger)
    leaf_hash: Mapped[str | None] = mapped_column(String(71))
    chain_hash: Mapped[str | None] = mapped_column(String(71))


class Worker(Base):
    """A worker that is or was there: what it serves, how tight its sandbox is, and when it was last seen."""

    __tablename__ = "worker"

    id: Mapped[Word] = mapped_column(primary_key=True)
    queues: Mapped[list[Any]]
    device: Mapped[Word]
    sandbox_level: Mapped[str] = mapped_column(String(32))
    kinds: Mapped[dict[str, Any]]
    lamina_version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyKey(Owned, Base):
    """A request already answered: the same key and body get the same answer for a day."""

    __tablename__ = "idempotency_key"

    tenant: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    fingerprint: Mapped[DigestText]
    status: Mapped[int] = mapped_column(Integer)
    location: Mapped[str | None] = mapped_column(String(512))
    body: Mapped[dict[str, Any]]
