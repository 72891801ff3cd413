"""Compliance: what is due when, what is demanded and excepted, what was concluded, signed and told, and a sealed log.

The log takes no changes any more: triggers refuse DELETE, and every UPDATE but the one that gives an event its place in
its tenant's chain. Who owns the database can drop them; then the chain and the signed heads show what was changed.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()  # microseconds since 1970, UTC
TABLES = (
    "schedule",
    "policy",
    "baseline",
    "waiver",
    "attestation",
    "legal_hold",
    "compliance_report",
    "report_file",
    "verdict",
    "sign_off",
    "slot",
    "chain",
    "tree_head",
    "signing_key",
    "webhook",
    "mail_recipient",
    "alert",
    "delivery",
)
SHARED = frozenset({"signing_key"})
SYSTEM = "current_setting('app.system', true) = 'on'"
ASKING = "NULLIF(current_setting('app.tenant', true), '')::uuid"
UNSEALED = sa.text("chain_number IS NULL")
STEPS = {"ix_measurement_series": "model_name", "ix_measurement_version": "model_id"}
KEPT = (
    *("id", "subject_type", "subject_id", "action", "before", "after", "detail", "tenant", "created_by", "created_at"),
)


def owned() -> list[sa.Column[Any]]:
    """Whose row it is, who made it, and when."""
    return [
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    ]


def upgrade() -> None:
    """Make the tables, give events their place in a chain per tenant, and close the log."""
    schedules()
    what_is_demanded()
    what_was_concluded()
    slots()
    what_is_sealed()
    who_is_told()
    what_was_there()
    if op.get_bind().dialect.name == "postgresql":
        row_level_security()
        close_the_log_of_postgres()
    else:
        close_the_log_of_sqlite()


def downgrade() -> None:
    """Open the log, take the columns back, remove the tables; policies go with theirs."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change() CASCADE")
    else:
        op.execute("DROP TRIGGER event_is_not_deleted")
        op.execute("DROP TRIGGER event_is_not_changed")
    op.drop_index("ix_artifact_digest", "artifact")
    for name in STEPS:
        op.drop_index(name, "measurement")
    with op.batch_alter_table("event") as event:
        event.drop_constraint(op.f("uq_event_tenant_chain_number"), type_="unique")
        event.drop_index("ix_event_unsealed")
        event.create_unique_constraint(op.f("uq_event_chain_number"), ["chain_number"])
        event.drop_column("leaf_hash")
    with op.batch_alter_table("analysis") as analysis:
        analysis.drop_constraint(op.f("fk_analysis_replays_id_analysis"), type_="foreignkey")
        analysis.drop_index(op.f("ix_analysis_replays_id"))
        analysis.drop_column("replays_id")
    for table in reversed(TABLES):
        op.drop_table(table)


def row_level_security() -> None:
    """One policy a table for its tenant, one for the system; public keys are everybody's."""
    for table in TABLES:
        if table not in SHARED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY own_rows ON {table} USING (tenant = {ASKING})")
            op.execute(f"CREATE POLICY system_rows ON {table} USING ({SYSTEM})")


def close_the_log_of_sqlite() -> None:
    """Refuse what would change history."""
    changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in KEPT)
    op.execute(
        "CREATE TRIGGER event_is_not_deleted BEFORE DELETE ON event"
        " BEGIN SELECT RAISE(ABORT, 'the log is kept: no event is deleted'); END"
    )
    op.execute(
        f"CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event WHEN OLD.chain_number IS NOT NULL OR {changed}"
        " BEGIN SELECT RAISE(ABORT, 'the log is kept: no event is changed'); END"
    )


def close_the_log_of_postgres() -> None:
    """Refuse what would change history. JSON has no equality there, so it is compared as the text it is kept as."""
    changed = " OR ".join(
        f'OLD."{column}"{cast} IS DISTINCT FROM NEW."{column}"{cast}'
        for column in KEPT
        for cast in ["::text" if column == "detail" else ""]
    )
    op.execute(
        f"""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR TG_OP = 'TRUNCATE' THEN
                RAISE EXCEPTION 'the log is kept: no event is deleted';
            ELSIF OLD.chain_number IS NOT NULL OR {changed} THEN
                RAISE EXCEPTION 'the log is kept: no event is changed';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER event_is_kept BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER event_is_not_emptied BEFORE TRUNCATE ON event"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def what_was_there() -> None:
    """Files are found by their bytes, lines by steps; an analysis may repeat another; events are counted per tenant."""
    op.create_index("ix_artifact_digest", "artifact", ["tenant", "digest"])
    for name, whose in STEPS.items():
        op.create_index(name, "measurement", ["tenant", whose, "metric", "series_key", "created_at", "id"])
    with op.batch_alter_table("analysis") as analysis:
        analysis.add_column(sa.Column("replays_id", sa.Uuid(), nullable=True))
        analysis.create_index(op.f("ix_analysis_replays_id"), ["replays_id"])
        analysis.create_foreign_key(op.f("fk_analysis_replays_id_analysis"), "analysis", ["replays_id"], ["id"])
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("leaf_hash", sa.String(71), nullable=True))
        event.drop_constraint(op.f("uq_event_chain_number"), type_="unique")
        event.create_unique_constraint(op.f("uq_event_tenant_chain_number"), ["tenant", "chain_number"])
        event.create_index("ix_event_unsealed", ["tenant", "id"], sqlite_where=UNSEALED, postgresql_where=UNSEALED)


def schedules() -> None:
    """What is due on a clock or on an event."""
    op.create_table(
        "schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("cron", sa.String(length=128), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("start_at", TIME, nullable=False),
        sa.Column("end_at", TIME, nullable=True),
        sa.Column("catch_up", sa.String(length=16), nullable=False),
        sa.Column("triggers", sa.JSON(), nullable=False),
        sa.Column("task", sa.JSON(), nullable=False),
        sa.Column("next_at", TIME, nullable=True),
        sa.Column("previous_at", TIME, nullable=True),
        sa.Column("paused_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("tzdata", sa.String(length=32), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index("ix_schedule_next", "schedule", ["next_at"], unique=False)
    op.create_index("ix_schedule_tenant_created", "schedule", ["tenant", "created_at", "id"], unique=False)


def what_is_demanded() -> None:
    """Policies, approved baselines, exceptions, attestations and legal holds."""
    op.create_table(
        "policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        sa.UniqueConstraint("tenant", "name", "revision", name=op.f("uq_policy_tenant_name_revision")),
    )
    op.create_table(
        "baseline",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("replaced_at", TIME, nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_baseline_audit_id_audit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_baseline")),
    )
    op.create_index("ix_baseline_model", "baseline", ["tenant", "model_name", "created_at", "id"], unique=False)
    op.create_index(
        "uq_baseline_current",
        "baseline",
        ["tenant", "model_name"],
        unique=True,
        sqlite_where=sa.text("replaced_at IS NULL"),
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "waiver",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=False),
        sa.Column("control", sa.String(length=64), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("compensating", sa.Text(), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("renews_id", sa.Uuid(), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("decision_comment", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", TIME, nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["renews_id"], ["waiver.id"], name=op.f("fk_waiver_renews_id_waiver")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiver")),
    )
    op.create_index("ix_waiver_tenant_created", "waiver", ["tenant", "created_at", "id"], unique=False)
    op.create_table(
        "attestation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("control", sa.String(length=64), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=True),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("document_digest", sa.String(length=71), nullable=True),
        sa.Column("document_title", sa.String(length=200), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("withdrawn_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attestation")),
    )
    op.create_index("ix_attestation_tenant_created", "attestation", ["tenant", "created_at", "id"], unique=False)
    op.create_table(
        "legal_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=True),
        sa.Column("audit_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifted_by", sa.Uuid(), nullable=True),
        sa.Column("lifted_at", TIME, nullable=True),
        sa.Column("lift_reason", sa.Text(), nullable=False),
        *owned(),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_legal_hold_audit_id_audit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    op.create_index("ix_legal_hold_tenant_created", "legal_hold", ["tenant", "created_at", "id"], unique=False)


def what_was_concluded() -> None:
    """Reports, their files, verdicts and signatures."""
    op.create_table(
        "compliance_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=True),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("window_from", TIME, nullable=False),
        sa.Column("window_to", TIME, nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("as_of", TIME, nullable=False),
        sa.Column("late_seconds", sa.Float(), nullable=False),
        sa.Column("trigger", sa.String(length=32), nullable=False),
        sa.Column("frameworks", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("supersedes_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("twin_digest", sa.String(length=71), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("about", sa.JSON(), nullable=True),
        sa.Column("generated_at", TIME, nullable=True),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_compliance_report_model_id_model")),
        sa.ForeignKeyConstraint(["policy_id"], ["policy.id"], name=op.f("fk_compliance_report_policy_id_policy")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_compliance_report_schedule_id_schedule")
        ),
        sa.ForeignKeyConstraint(
            ["supersedes_id"],
            ["compliance_report.id"],
            name=op.f("fk_compliance_report_supersedes_id_compliance_report"),
        ),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_compliance_report_work_id_work")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compliance_report")),
    )
    op.create_index(
        "ix_compliance_report_model", "compliance_report", ["tenant", "model_name", "as_of", "id"], unique=False
    )
    op.create_index(op.f("ix_compliance_report_schedule_id"), "compliance_report", ["schedule_id"], unique=False)
    op.create_index(
        "ix_compliance_report_tenant_created", "compliance_report", ["tenant", "created_at", "id"], unique=False
    )
    op.create_index(op.f("ix_compliance_report_work_id"), "compliance_report", ["work_id"], unique=False)
    op.create_index("uq_compliance_report_supersedes", "compliance_report", ["supersedes_id"], unique=True)
    op.create_table(
        "report_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("media_type", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        *owned(),
        sa.ForeignKeyConstraint(
            ["report_id"], ["compliance_report.id"], name=op.f("fk_report_file_report_id_compliance_report")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_file")),
        sa.UniqueConstraint("report_id", "name", name=op.f("uq_report_file_report_id_name")),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("control", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("as_of", TIME, nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("waived", sa.Boolean(), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("analysis_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.id"], name=op.f("fk_verdict_analysis_id_analysis")),
        sa.ForeignKeyConstraint(
            ["report_id"], ["compliance_report.id"], name=op.f("fk_verdict_report_id_compliance_report")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
        sa.UniqueConstraint("report_id", "control", "position", name=op.f("uq_verdict_report_id_control_position")),
    )
    op.create_index(
        "ix_verdict_line", "verdict", ["tenant", "model_name", "control", "position", "as_of", "id"], unique=False
    )
    op.create_table(
        "sign_off",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("key_id", sa.String(length=71), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        *owned(),
        sa.ForeignKeyConstraint(
            ["report_id"], ["compliance_report.id"], name=op.f("fk_sign_off_report_id_compliance_report")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_off")),
    )
    op.create_index("ix_sign_off_report", "sign_off", ["report_id", "created_at", "id"], unique=False)


def slots() -> None:
    """What came of each time that was due."""
    op.create_table(
        "slot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("nominal_at", TIME, nullable=False),
        sa.Column("window_from", TIME, nullable=False),
        sa.Column("window_to", TIME, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("late_seconds", sa.Float(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=True),
        sa.Column("audit_id", sa.Uuid(), nullable=True),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_slot_audit_id_audit")),
        sa.ForeignKeyConstraint(
            ["report_id"], ["compliance_report.id"], name=op.f("fk_slot_report_id_compliance_report")
        ),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_slot_schedule_id_schedule")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
        sa.UniqueConstraint("schedule_id", "key", name=op.f("uq_slot_schedule_id_key")),
    )
    op.create_index(op.f("ix_slot_audit_id"), "slot", ["audit_id"], unique=False)
    op.create_index(op.f("ix_slot_report_id"), "slot", ["report_id"], unique=False)
    op.create_index("ix_slot_schedule_nominal", "slot", ["schedule_id", "nominal_at", "id"], unique=False)


def what_is_sealed() -> None:
    """How far each tenant's log is sealed, and the signed statements of it."""
    op.create_table(
        "chain",
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("chain_hash", sa.String(length=71), nullable=False),
        sa.Column("frontier", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_chain")),
    )
    op.create_table(
        "tree_head",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=71), nullable=False),
        sa.Column("chain_hash", sa.String(length=71), nullable=False),
        sa.Column("key_id", sa.String(length=71), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tree_head")),
    )
    op.create_index("ix_tree_head_tenant_size", "tree_head", ["tenant", "size"], unique=False)
    op.create_table(
        "signing_key",
        sa.Column("id", sa.String(length=71), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("retired_at", TIME, nullable=True),
        sa.Column("succeeds", sa.String(length=71), nullable=True),
        sa.Column("vouched", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
    )


def who_is_told() -> None:
    """Webhooks, recipients of mail, alerts and what was sent."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("least", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_delivered_at", TIME, nullable=True),
        sa.Column("disabled_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index("ix_webhook_tenant_created", "webhook", ["tenant", "created_at", "id"], unique=False)
    op.create_table(
        "mail_recipient",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("least", sa.String(length=16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_delivered_at", TIME, nullable=True),
        sa.Column("disabled_at", TIME, nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_recipient")),
    )
    op.create_index("ix_mail_recipient_tenant_created", "mail_recipient", ["tenant", "created_at", "id"], unique=False)
    op.create_table(
        "alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        *owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index("ix_alert_tenant_created", "alert", ["tenant", "created_at", "id"], unique=False)
    op.create_index(
        "uq_alert_open",
        "alert",
        ["tenant", "key"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("log", sa.JSON(), nullable=False),
        sa.Column("work_id", sa.Uuid(), nullable=True),
        *owned(),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_delivery_alert_id_alert")),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["mail_recipient.id"], name=op.f("fk_delivery_recipient_id_mail_recipient")
        ),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhook.id"], name=op.f("fk_delivery_webhook_id_webhook")),
        sa.ForeignKeyConstraint(["work_id"], ["work.id"], name=op.f("fk_delivery_work_id_work")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("webhook_id", "alert_id", "event", name=op.f("uq_delivery_webhook_id_alert_id_event")),
        sa.UniqueConstraint("recipient_id", "alert_id", "event", name=op.f("uq_delivery_recipient_id_alert_id_event")),
    )
    op.create_index("ix_delivery_tenant_created", "delivery", ["tenant", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_delivery_work_id"), "delivery", ["work_id"], unique=False)
