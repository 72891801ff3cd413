"""Which rows does compliance add? What is due when, what is demanded and excepted, what was concluded and signed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, String, Text, Uuid, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

import service.store.tables  # noqa: F401  # the rows that these refer to
from service.store.base import Base, DigestText, Id, Owned, Word

OPEN_ALERT = text("closed_at IS NULL")
CURRENT_BASELINE = text("replaced_at IS NULL")


class Schedule(Owned, Base):
    """What is to happen on a clock or on an event: audits, or a compliance report.

    `task` is the submission to make, as the asker wrote it. `next_at` is the next nominal time (UTC) that has no slot
    yet; null when there is none any more. Schedules are ended, never deleted: their slots are evidence.
    """

    __tablename__ = "schedule"
    __table_args__ = (
        Index("ix_schedule_tenant_created", "tenant", "created_at", "id"),
        Index("ix_schedule_next", "next_at"),
    )

    id: Mapped[Id]
    name: Mapped[Word]
    purpose: Mapped[str] = mapped_column(String(16))
    model_name: Mapped[Word]
    cron: Mapped[str | None] = mapped_column(String(128))
    zone: Mapped[str] = mapped_column(String(64))
    start_at: Mapped[datetime]
    end_at: Mapped[datetime | None]
    catch_up: Mapped[str] = mapped_column(String(16))
    triggers: Mapped[list[Any]]
    task: Mapped[dict[str, Any]]
    next_at: Mapped[datetime | None]
    previous_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    tzdata: Mapped[str] = mapped_column(String(32))


class Slot(Owned, Base):
    """One time (or event) at which a schedule was due, and what came of it. Unique, so that no slot runs twice.

    `key` is `time:2026-10-25T00:30:00Z`, `new_version:<model id>` and so on. What it started stands in the same
    transaction as the slot itself.
    """

    __tablename__ = "slot"
    __table_args__ = (
        Unique("schedule_id", "key"),
        Index("ix_slot_schedule_nominal", "schedule_id", "nominal_at", "id"),
    )

    id: Mapped[Id]
    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedule.id"))
    key: Mapped[str] = mapped_column(String(160))
    cause: Mapped[str] = mapped_column(String(32))
    nominal_at: Mapped[datetime]
    window_from: Mapped[datetime]
    window_to: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    late_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    reason: Mapped[dict[str, Any] | None]
    audit_id: Mapped[UUID | None] = mapped_column(ForeignKey("audit.id"), index=True)
    report_id: Mapped[UUID | None] = mapped_column(ForeignKey("compliance_report.id"), index=True)


class Policy(Owned, Base):
    """One revision of what an organisation demands: the pinned library, thresholds with owner and reason, own controls.

    Revisions are added, never changed: old verdicts were given under old ones.
    """

    __tablename__ = "policy"
    __table_args__ = (Unique("tenant", "name", "revision"),)

    id: Mapped[Id]
    name: Mapped[Word]
    revision: Mapped[int] = mapped_column(Integer)
    content: Mapped[dict[str, Any]]
    digest: Mapped[DigestText]


class Baseline(Owned, Base):
    """An audit whose measurements a person approved as what later ones are compared with, until the next one."""

    __tablename__ = "baseline"
    __table_args__ = (
        Index("ix_baseline_model", "tenant", "model_name", "created_at", "id"),
        # Of two people who approve at once, one is told that the other has.
        Index(
            "uq_baseline_current",
            "tenant",
            "model_name",
            unique=True,
            sqlite_where=CURRENT_BASELINE,
            postgresql_where=CURRENT_BASELINE,
        ),
    )

    id: Mapped[Id]
    model_name: Mapped[Word]
    audit_id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"))
    reason: Mapped[str] = mapped_column(Text)
    replaced_at: Mapped[datetime | None]


class Waiver(Owned, Base):
    """An exception somebody asked for and somebody else granted: `waived`, or `not_applicable`. It ends by itself.

    `created_by` asked; `decided_by` must be another person.
    """

    __tablename__ = "waiver"
    __table_args__ = (Index("ix_waiver_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    effect: Mapped[str] = mapped_column(String(16))
    control: Mapped[str] = mapped_column(String(64))
    model_name: Mapped[str | None] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(Text)
    compensating: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    renews_id: Mapped[UUID | None] = mapped_column(ForeignKey("waiver.id"))
    decision: Mapped[str | None] = mapped_column(String(16))
    decided_by: Mapped[UUID | None] = mapped_column(Uuid)
    decided_at: Mapped[datetime | None]
    decision_comment: Mapped[str] = mapped_column(Text, default="")
    withdrawn_at: Mapped[datetime | None]


class Attestation(Owned, Base):
    """What a named person (`created_by`) states of a control, and until when it counts."""

    __tablename__ = "attestation"
    __table_args__ = (Index("ix_attestation_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    control: Mapped[str] = mapped_column(String(64))
    model_name: Mapped[str | None] = mapped_column(String(128))
    role: Mapped[Word]
    statement: Mapped[str] = mapped_column(Text)
    document_digest: Mapped[str | None] = mapped_column(String(71))
    document_title: Mapped[str] = mapped_column(String(200), default="")
    expires_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class LegalHold(Owned, Base):
    """Somebody (`created_by`) forbids that files of a model, all its versions, or of one audit go. Ended, not deleted.

    `lifted_by` must be another person.
    """

    __tablename__ = "legal_hold"
    __table_args__ = (Index("ix_legal_hold_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    model_name: Mapped[str | None] = mapped_column(String(128))
    audit_id: Mapped[UUID | None] = mapped_column(ForeignKey("audit.id"))
    reason: Mapped[str] = mapped_column(Text)
    lifted_by: Mapped[UUID | None] = mapped_column(Uuid)
    lifted_at: Mapped[datetime | None]
    lift_reason: Mapped[str] = mapped_column(Text, default="")


class ComplianceReport(Owned, Base):
    """One report on one model over one window; made by work, then signed off by people."""

    __tablename__ = "compliance_report"
    __table_args__ = (
        Index("ix_compliance_report_tenant_created", "tenant", "created_at", "id"),
        Index("ix_compliance_report_model", "tenant", "model_name", "as_of", "id"),
        # A report has one later revision at most, so that of two corrections one is refused.
        Index("uq_compliance_report_supersedes", "supersedes_id", unique=True),
    )

    id: Mapped[Id]
    title: Mapped[Word]
    model_name: Mapped[Word]
    model_id: Mapped[UUID] = mapped_column(ForeignKey("model.id"))
    policy_id: Mapped[UUID | None] = mapped_column(ForeignKey("policy.id"))
    schedule_id: Mapped[UUID | None] = mapped_column(ForeignKey("schedule.id"), index=True)
    window_from: Mapped[datetime]
    window_to: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64))
    as_of: Mapped[datetime]
    late_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    trigger: Mapped[str] = mapped_column(String(32))
    frameworks: Mapped[list[Any]]
    revision: Mapped[int] = mapped_column(Integer, default=1)
    supersedes_id: Mapped[UUID | None] = mapped_column(ForeignKey("compliance_report.id"))
    state: Mapped[str] = mapped_column(String(16))
    twin_digest: Mapped[str | None] = mapped_column(String(71))
    counts: Mapped[dict[str, Any] | None]
    about: Mapped[dict[str, Any] | None]
    generated_at: Mapped[datetime | None]
    reason: Mapped[dict[str, Any] | None]
    work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"), index=True)


class ReportFile(Owned, Base):
    """One file of a compliance report: its twin, page, document, statement or the zip of all; bytes are a blob."""

    __tablename__ = "report_file"
    __table_args__ = (Unique("report_id", "name"),)

    id: Mapped[Id]
    report_id: Mapped[UUID] = mapped_column(ForeignKey("compliance_report.id"))
    name: Mapped[Word]
    media_type: Mapped[Word]
    digest: Mapped[DigestText]
    size: Mapped[int] = mapped_column(BigInteger)


class Verdict(Owned, Base):
    """What a report concluded of one evidence requirement (`position`), or of a whole control (`position` -1)."""

    __tablename__ = "verdict"
    __table_args__ = (
        Unique("report_id", "control", "position"),
        Index("ix_verdict_line", "tenant", "model_name", "control", "position", "as_of", "id"),
    )

    id: Mapped[Id]
    report_id: Mapped[UUID] = mapped_column(ForeignKey("compliance_report.id"))
    model_name: Mapped[Word]
    control: Mapped[str] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(Integer)
    as_of: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(32))
    waived: Mapped[bool] = mapped_column(Boolean, default=False)
    metric: Mapped[str | None] = mapped_column(String(64))
    value: Mapped[float | None] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    n: Mapped[int | None] = mapped_column(Integer)
    threshold: Mapped[float | None] = mapped_column(Float)
    analysis_id: Mapped[UUID | None] = mapped_column(ForeignKey("analysis.id"))


class SignOff(Owned, Base):
    """What a person (`created_by`) did with a report: prepared, reviewed, approved or rejected it.

    `digest` is the twin's, so a signature cannot be moved to another report; `signature` is the service's Ed25519 over
    the statement of who, what and when.
    """

    __tablename__ = "sign_off"
    __table_args__ = (Index("ix_sign_off_report", "report_id", "created_at", "id"),)

    id: Mapped[Id]
    report_id: Mapped[UUID] = mapped_column(ForeignKey("compliance_report.id"))
    step: Mapped[str] = mapped_column(String(16))
    name: Mapped[Word]
    role: Mapped[Word]
    comment: Mapped[str] = mapped_column(Text, default="")
    digest: Mapped[DigestText]
    key_id: Mapped[str] = mapped_column(String(71))
    signature: Mapped[str] = mapped_column(String(128))


class Chain(Owned, Base):
    """How far a tenant's log is sealed: the lock of its appender, and what the next entry is joined to.

    `frontier` holds the roots of the tree's complete subtrees, largest first, so that appending costs O(log n).
    """

    __tablename__ = "chain"

    tenant: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    chain_hash: Mapped[DigestText]
    frontier: Mapped[list[Any]]


class TreeHead(Owned, Base):
    """A signed statement of a tenant's whole log: its size, its Merkle root and the hash of its chain."""

    __tablename__ = "tree_head"
    __table_args__ = (Index("ix_tree_head_tenant_size", "tenant", "size"),)

    id: Mapped[Id]
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[DigestText]
    chain_hash: Mapped[DigestText]
    key_id: Mapped[str] = mapped_column(String(71))
    signature: Mapped[str] = mapped_column(String(128))


class SigningKey(Base):
    """A public key that this service signs or has signed with; the private half is a file, never a row.

    `succeeds`: the key that retired in its favour when it was made, and `vouched`, that key's signature over it.
    """

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(String(71), primary_key=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    succeeds: Mapped[str | None] = mapped_column(String(71))
    vouched: Mapped[str | None] = mapped_column(String(128))


class Webhook(Owned, Base):
    """Where alerts go. Its secret is derived from the service's own and `generation`, and stored nowhere."""

    __tablename__ = "webhook"
    __table_args__ = (Index("ix_webhook_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    url: Mapped[str] = mapped_column(String(2048))
    least: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int] = mapped_column(Integer, default=1)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    last_delivered_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class MailRecipient(Owned, Base):
    """Whom alerts are mailed to, through the operator's mail server."""

    __tablename__ = "mail_recipient"
    __table_args__ = (Index("ix_mail_recipient_tenant_created", "tenant", "created_at", "id"),)

    id: Mapped[Id]
    address: Mapped[str] = mapped_column(String(254))
    least: Mapped[str] = mapped_column(String(16))
    failures: Mapped[int] = mapped_column(Integer, default=0)
    last_delivered_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class Alert(Owned, Base):
    """A transition somebody should know of; open until what raised it is over, and never open twice."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("ix_alert_tenant_created", "tenant", "created_at", "id"),
        Index("uq_alert_open", "tenant", "key", unique=True, sqlite_where=OPEN_ALERT, postgresql_where=OPEN_ALERT),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(255))
    severity: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
    model_name: Mapped[str | None] = mapped_column(String(128))
    closed_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None] = mapped_column(Uuid)


class Delivery(Owned, Base):
    """One message to one webhook or one recipient of mail, sent by work; `log` holds every try.

    The message never changes between tries.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Unique("webhook_id", "alert_id", "event"),
        Unique("recipient_id", "alert_id", "event"),
        Index("ix_delivery_tenant_created", "tenant", "created_at", "id"),
    )

    id: Mapped[Id]
    webhook_id: Mapped[UUID | None] = mapped_column(ForeignKey("webhook.id"))
    recipient_id: Mapped[UUID | None] = mapped_column(ForeignKey("mail_recipient.id"))
    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alert.id"))
    event: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    log: Mapped[list[Any]]
    work_id: Mapped[UUID | None] = mapped_column(ForeignKey("work.id"), index=True)
