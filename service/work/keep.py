"""What is stored of an analysis that succeeded? Its outcome, its files, and every number as a point of history."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.contracts.base import canonical_json, digest_of_value
from service.contracts.job import ArtifactFile, Succeeded
from service.contracts.outcome import Measurement as Point
from service.settings import Settings
from service.store.base import new_id
from service.store.blobs import Stored
from service.store.holdings import hold, refer
from service.store.ledger import points_evidence
from service.store.tables import Analysis, Artifact, Audit, Dataset, Input, Measurement, Model

# The dataset a number is about, where an analysis reads several.
FIRST_ROLE = "evaluation"


def keep_artifacts(
    session: Session,
    analysis: Analysis,
    files: tuple[ArtifactFile, ...],
    stored: Mapping[str, Stored],
    *,
    settings: Settings,
    now: datetime,
) -> list[Artifact]:
    """A row for every file, its bytes counted as the tenant's. Raises OverQuota."""
    rows = []
    for file in sorted(files, key=lambda file: stored[file.file].digest):  # blobs are locked in one order
        kept = stored[file.file]
        hold(
            session,
            tenant=analysis.tenant,
            principal=analysis.created_by,
            stored=kept,
            most_bytes=settings.tenant_bytes,
            now=now,
        )
        refer(session, analysis.tenant, kept.digest)
        rows.append(
            Artifact(
                id=new_id(),
                tenant=analysis.tenant,
                created_by=analysis.created_by,
                created_at=now,
                audit_id=analysis.audit_id,
                analysis_id=analysis.id,
                name=file.file,
                title=file.title,
                media_type=file.media_type,
                digest=kept.digest,
                size=kept.size,
            )
        )
    session.add_all(rows)
    session.flush()
    return rows


def keep_measurements(
    session: Session, analysis: Analysis, result: Succeeded, *, now: datetime, own: Mapping[str, Point] | None = None
) -> list[str]:
    """A point of history for every number, each on the line that its series key names; returns their evidence.

    `own` are points that the service adds, by the kind that they are of.
    """
    if not result.measurements and not own:
        return []
    model = session.execute(
        select(Model.id, Model.name, Model.version).join(Audit).where(Audit.id == analysis.audit_id)
    ).one()
    inputs = session.execute(
        select(Input.role, Dataset.name, Dataset.canonical_digest)
        .join(Dataset, Input.dataset_id == Dataset.id)
        .where(Input.audit_id == analysis.audit_id)
        .order_by(Input.role != FIRST_ROLE, Input.role)
        .limit(1)
    ).one_or_none()
    role, dataset, dataset_digest = inputs if inputs is not None else (None, None, None)
    shared: dict[str, Any] = {
        "tenant": analysis.tenant,
        "model_name": model.name,
        "kind": analysis.kind,
        "kind_version": analysis.kind_version,
        "dataset_name": dataset,
        "dataset_role": role,
        "parameters_digest": analysis.parameters_digest,
    }
    beside: dict[str, Any] = {
        "created_by": analysis.created_by,
        "created_at": now,
        "model_id": model.id,
        "model_version": model.version,
        "audit_id": analysis.audit_id,
        "analysis_id": analysis.id,
        "dataset_digest": dataset_digest,
    }
    rows = [_row(point, shared, beside) for point in result.measurements]
    rows += [_row(point, {**shared, "kind": kind, "kind_version": 1}, beside) for kind, point in (own or {}).items()]
    session.execute(insert(Measurement), rows)
    return points_evidence(rows)


def series_key(shared: Mapping[str, Any], point: Point) -> str:
    """The name of a line of history: equal for points that may be joined by a line, and for no others.

    `shared` holds tenant, model_name, kind, kind_version, dataset_name, dataset_role and parameters_digest. Model
    version and dataset digest belong to the point, so a line runs across versions.
    """
    return digest_of_value(
        {
            **shared,
            "tenant": str(shared["tenant"]),
            "metric": point.metric,
            "layer": point.layer,
            "class_name": point.class_name,
            "target": point.target,
            "epsilon": point.epsilon,
            "facets": {**point.facets},
        }
    )


def _row(point: Point, shared: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **shared,
        **beside,
        "id": new_id(),
        "series_key": series_key(shared, point),
        "metric": point.metric,
        "layer": point.layer,
        "class_name": point.class_name,
        "target": point.target,
        "epsilon": point.epsilon,
        "facets": canonical_json({**point.facets}).decode(),
        "value": point.value,
        "low": point.low,
        "high": point.high,
        "n": point.n,
    }
