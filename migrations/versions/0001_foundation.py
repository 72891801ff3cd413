"""The foundation: who asks, what they handed in, what was asked, what runs, what came of it.

On PostgreSQL every row of a tenant also stands behind row-level security, as a second wall behind the session's own
filter. A transaction sees the rows of `app.tenant`, or of everyone where work, the schedule or key look-up set
`app.system`. The policies bind every role but the tables' owner; to bind the service too, let it connect as a role
without BYPASSRLS that does not own the tables, or run ALTER TABLE ... FORCE ROW LEVEL SECURITY.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.BigInteger()  # microseconds since 1970, UTC
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNED = (
    "principal",
    "api_key",
    "idempotency_key",
    "work",
    "outbox",
    "event",
    "blob",
    "dataset",
    "model",
    "audit",
    "analysis",
    "input",
    "artifact",
    "measurement",
)
TABLES = (
    "tenant",
    "principal",
    "api_key",
    "idempotency_key",
    "work",
    "outbox",
    "event",
    "worker",
    "blob",
    "dataset",
    "model",
    "audit",
    "analysis",
    "input",
    "artifact",
    "measurement",
)
ONE_SOURCE = (
    "(CASE WHEN dataset_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN model_id IS NULL THEN 0 ELSE 1 END)"
    " + (CASE WHEN analysis_id IS NULL THEN 0 ELSE 1 END) = 1"
)
SYSTEM = "current_setting('app.system', true) = 'on'"
ASKING = "NULLIF(current_setting('app.tenant', true), '')::uuid"


def owned() -> list[sa.Column[Any]]:
    """Whose row it is, who made it, and when."""
    return [
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    ]


def upgrade() -> None:
    """Make every table, and on PostgreSQL its policies."""
    who_asks()
    work()
    what_was_handed_in()
    what_was_asked()
    what_came_of_it()
    if op.get_bind().dialect.name == "postgresql":
        row_level_security()


def downgrade() -> None:
    """Remove every table; policies go with theirs."""
    for table in reversed(TABLES):
        op.drop_table(table)


def row_level_security() -> None:
    """One policy a table for its tenant, one for the system."""
    for table, column in (("tenant", "id"), *((name, "tenant") for name in OWNED)):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_rows ON {table} USING ({column} = {ASKING})")
        op.execute(f"CREATE POLICY system_rows ON {table} USING ({SYSTEM})")


def who_asks() -> None:
    """Tenants, and who acts for them."""
    op.create_table(
        "tenant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("name", name=op.f("uq_tenant_name")),
    )
    op.create_table(
        "principal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principal")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_principal_tenant_name")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("label", sa.String(128), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.Column("last_used_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_api_key_principal_id_principal")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    op.create_index(op.f("ix_api_key_principal_id"), "api_key", ["principal_id"])
    op.create_table(
        "idempotency_key",
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(71), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(512), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_idempotency_key")),
    )


def work() -> None:
    """What runs, what happened, who works."""
    op.create_table(
        "work",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("needs", sa.String(128), nullable=False),
        sa.Column("group_key", sa.String(128), nullable=True),
        sa.Column("solo", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(128), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("announced_at", TIME, nullable=True),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("stage", sa.String(128), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_work_state"),
        ),
        sa.CheckConstraint(
            "type IN ('inspection', 'analysis', 'part', 'report', 'delivery')", name=op.f("ck_work_type")
        ),
    )
    op.create_index(op.f("ix_work_group"), "work", ["group_key", "state"])
    op.create_index(op.f("ix_work_state_lease"), "work", ["state", "lease_until"])
    op.create_index(op.f("ix_work_subject_id"), "work", ["subject_id"])
    op.create_index(op.f("ix_work_tenant_state"), "work", ["tenant", "state"])
    op.create_table(
        "outbox",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_outbox_work_id_work")),
    )
    op.create_index(op.f("ix_outbox_work_id"), "outbox", ["work_id"])
    op.create_table(
        "event",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("subject_type", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("before", sa.String(16), nullable=True),
        sa.Column("after", sa.String(16), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("chain_number", sa.BigInteger(), nullable=True),
        sa.Column("chain_hash", sa.String(71), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("chain_number", name=op.f("uq_event_chain_number")),
    )
    op.create_index(op.f("ix_event_subject"), "event", ["tenant", "subject_type", "subject_id", "id"])
    op.create_table(
        "worker",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(128), nullable=False),
        sa.Column("sandbox_level", sa.String(32), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("lamina_version", sa.String(32), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_index(op.f("ix_worker_last_seen_at"), "worker", ["last_seen_at"])


def what_was_handed_in() -> None:
    """Bytes, and what they were registered as."""
    op.create_table(
        "blob",
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("references", sa.Integer(), nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_blob")),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("source_digest", sa.String(71), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("canonical_digest", sa.String(71), nullable=True),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.Column("refusal", sa.JSON(), nullable=True),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_dataset_work_id_work")),
        sa.UniqueConstraint("tenant", "name", "version", name=op.f("uq_dataset_tenant_name_version")),
    )
    op.create_index(op.f("ix_dataset_tenant_created"), "dataset", ["tenant", "created_at", "id"])
    op.create_index(op.f("ix_dataset_work_id"), "dataset", ["work_id"])
    op.create_table(
        "model",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("follows_id", sa.Uuid(), nullable=True),
        sa.Column("source_digest", sa.String(71), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("canonical_digest", sa.String(71), nullable=True),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.Column("refusal", sa.JSON(), nullable=True),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.ForeignKeyConstraint(["follows_id"], ["model.id"], name=op.f("fk_model_follows_id_model")),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_model_work_id_work")),
        sa.UniqueConstraint("tenant", "name", "version", name=op.f("uq_model_tenant_name_version")),
    )
    op.create_index(op.f("ix_model_tenant_created"), "model", ["tenant", "created_at", "id"])
    op.create_index(op.f("ix_model_work_id"), "model", ["work_id"])


def what_was_asked() -> None:
    """Audits and their analyses."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("cancel_requested_at", TIME, nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("report_work_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_audit_model_id_model")),
        sa.ForeignKeyConstraint(["report_work_id"], ["work.id"], name=op.f("fk_audit_report_work_id_work")),
    )
    op.create_index(op.f("ix_audit_model_id"), "audit", ["model_id"])
    op.create_index(op.f("ix_audit_tenant_created"), "audit", ["tenant", "created_at", "id"])
    op.create_table(
        "analysis",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("kind_version", sa.Integer(), nullable=False),
        sa.Column("queue", sa.String(16), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("parameters_digest", sa.String(71), nullable=False),
        sa.Column("digest", sa.String(71), nullable=True),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("section", sa.JSON(), nullable=True),
        sa.Column("provenance", sa.JSON(), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_analysis_audit_id_audit")),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_analysis_work_id_work")),
        sa.UniqueConstraint("audit_id", "position", name=op.f("uq_analysis_audit_id_position")),
    )
    op.create_index(op.f("ix_analysis_digest"), "analysis", ["digest"])
    op.create_index(
        op.f("ix_analysis_open"),
        "analysis",
        ["tenant", "audit_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(op.f("ix_analysis_tenant_created"), "analysis", ["tenant", "created_at", "id"])
    op.create_index(op.f("ix_analysis_work_id"), "analysis", ["work_id"])
    op.create_table(
        "input",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(128), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=True),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("analysis_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_input")),
        sa.CheckConstraint(ONE_SOURCE, name=op.f("ck_input_one_source")),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.id"], name=op.f("fk_input_analysis_id_analysis")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_input_audit_id_audit")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_input_dataset_id_dataset")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_input_model_id_model")),
        sa.UniqueConstraint("audit_id", "role", name=op.f("uq_input_audit_id_role")),
    )
    op.create_index(op.f("ix_input_dataset_id"), "input", ["dataset_id"])


def what_came_of_it() -> None:
    """Files and points of history."""
    op.create_table(
        "artifact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("analysis_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.id"], name=op.f("fk_artifact_analysis_id_analysis")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_artifact_audit_id_audit")),
        sa.UniqueConstraint("audit_id", "analysis_id", "name", name=op.f("uq_artifact_audit_id_analysis_id_name")),
    )
    op.create_index(op.f("ix_artifact_analysis_id"), "artifact", ["analysis_id"])
    op.create_index(op.f("ix_artifact_audit_id"), "artifact", ["audit_id"])
    op.create_table(
        "measurement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("series_key", sa.String(71), nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("analysis_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("kind_version", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("layer", sa.String(512), nullable=True),
        sa.Column("class_name", sa.String(128), nullable=True),
        sa.Column("target", sa.String(128), nullable=True),
        sa.Column("epsilon", sa.Float(), nullable=True),
        sa.Column("facets", sa.Text(), nullable=False),
        sa.Column("dataset_name", sa.String(128), nullable=True),
        sa.Column("dataset_role", sa.String(128), nullable=True),
        sa.Column("dataset_digest", sa.String(71), nullable=True),
        sa.Column("parameters_digest", sa.String(71), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement")),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.id"], name=op.f("fk_measurement_analysis_id_analysis")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_measurement_audit_id_audit")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_measurement_model_id_model")),
    )
    op.create_index(op.f("ix_measurement_analysis_id"), "measurement", ["analysis_id"])
    op.create_index(op.f("ix_measurement_audit"), "measurement", ["audit_id", "created_at", "id"])
    op.create_index(
        op.f("ix_measurement_layer"), "measurement", ["tenant", "model_name", "metric", "layer", "created_at", "id"]
    )
    op.create_index(op.f("ix_measurement_line"), "measurement", ["tenant", "series_key", "created_at", "id"])
    op.create_index(op.f("ix_measurement_model"), "measurement", ["tenant", "model_name", "metric", "created_at", "id"])
    op.create_index(op.f("ix_measurement_name"), "measurement", ["tenant", "model_name", "created_at", "id"])
    op.create_index(op.f("ix_measurement_time"), "measurement", ["tenant", "created_at", "id"])
