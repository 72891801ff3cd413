"""How do rows look from outside? As the values of service/contracts/api.py, with the states service/work derives."""

import hashlib

from service.contracts.api import (
    AnalysisDetail,
    AnalysisView,
    ArtifactView,
    AuditView,
    BlobView,
    DatasetView,
    InputView,
    KeyView,
    ModelView,
    PrincipalView,
    WorkerView,
)
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.problem import Reason
from service.store.tables import Analysis, ApiKey, Artifact, Audit, Blob, Dataset, Input, Model, Principal, Worker
from service.work.shown import analysis_state, audit_state, counts, intake_state, progress


def show_model(row: Model) -> ModelView:
    """A model as the API shows it."""
    return ModelView(
        id=row.id,
        name=row.name,
        version=row.version,
        follows=row.follows_id,
        state=intake_state(row),
        source_digest=row.source_digest,
        canonical_digest=row.canonical_digest,
        facts=ModelFacts.model_validate(row.facts),
        manifest=None if row.manifest is None else ModelManifest.model_validate(row.manifest),
        refusal=_reason(row.refusal),
        created_by=row.created_by,
        created_at=row.created_at,
    )


def show_dataset(row: Dataset) -> DatasetView:
    """A dataset as the API shows it."""
    return DatasetView(
        id=row.id,
        name=row.name,
        version=row.version,
        state=intake_state(row),
        source_digest=row.source_digest,
        canonical_digest=row.canonical_digest,
        facts=DatasetFacts.model_validate(row.facts),
        manifest=None if row.manifest is None else DatasetManifest.model_validate(row.manifest),
        refusal=_reason(row.refusal),
        created_by=row.created_by,
        created_at=row.created_at,
    )


def show_audit(row: Audit, *, report_ready: bool) -> AuditView:
    """An audit as the API shows it, with its analyses in the order they were asked for."""
    return AuditView(
        id=row.id,
        title=row.title,
        state=audit_state(row),
        progress=progress(row.analyses),
        counts=counts(row.analyses),
        model=row.model_id,
        model_name=row.model.name,
        model_version=row.model.version,
        inputs=tuple(_input(filled) for filled in row.inputs),
        analyses=tuple(show_analysis(analysis) for analysis in row.analyses),
        report_ready=report_ready,
        created_by=row.created_by,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def show_analysis(row: Analysis) -> AnalysisView:
    """An analysis as the API shows it within its audit."""
    return AnalysisView(
        id=row.id,
        audit=row.audit_id,
        kind=row.kind,
        kind_version=row.kind_version,
        parameters=row.parameters,
        digest=row.digest,
        state=analysis_state(row),
        progress=1.0 if row.ended_at is not None else 0.0 if row.work is None else row.work.progress,
        stage="" if row.work is None or row.ended_at is not None else row.work.stage,
        attempt=0 if row.work is None else row.work.attempt,
        reason=_reason(row.reason),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def show_detail(row: Analysis) -> AnalysisDetail:
    """An analysis with everything stored of it."""
    return AnalysisDetail(
        **show_analysis(row).model_dump(),
        outcome=row.outcome,
        section=row.section,
        provenance=row.provenance,
        artifacts=tuple(show_artifact(artifact) for artifact in row.artifacts),
    )


def show_artifact(row: Artifact) -> ArtifactView:
    """An artifact as the API shows it; its bytes are at /v1/artifacts/{id}."""
    return ArtifactView(
        id=row.id,
        analysis=row.analysis_id,
        name=row.name,
        title=row.title,
        media_type=row.media_type,
        digest=row.digest,
        size=row.size,
    )


def show_blob(blob: Blob) -> BlobView:
    """A blob as the API shows it."""
    return BlobView(digest=blob.digest, size=blob.size, created_at=blob.created_at)


def show_principal(row: Principal) -> PrincipalView:
    """A principal as the API shows it."""
    return PrincipalView(
        id=row.id,
        name=row.name,
        kind=row.kind,
        trusted=row.trusted,
        disabled_at=row.disabled_at,
        created_at=row.created_at,
    )


def show_key(row: ApiKey) -> KeyView:
    """A key as the API shows it: never its secret, nor the secret's hash."""
    return KeyView(
        id=row.id,
        principal=row.principal_id,
        prefix=row.prefix,
        label=row.label,
        scopes=tuple(row.scopes),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
    )


def show_worker(row: Worker, *, alive: bool) -> WorkerView:
    """A worker as the registry last saw it; its machine's name and process are not for everybody who asks."""
    return WorkerView(
        id="worker-" + hashlib.sha256(row.id.encode()).hexdigest()[:12],
        queues=tuple(row.queues),
        device=row.device,
        sandbox_level=row.sandbox_level,
        kinds=row.kinds,
        last_seen_at=row.last_seen_at,
        alive=alive,
    )


def _input(row: Input) -> InputView:
    name = "" if row.dataset is None else f"{row.dataset.name} {row.dataset.version}"
    return InputView(role=row.role, dataset=row.dataset_id, analysis=row.analysis_id, name=name)


def _reason(stored: dict[str, object] | None) -> Reason | None:
    return None if stored is None else Reason.model_validate(stored)
