"""What does a child need on its desk? The job as a value, and the canonical files it names."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.job import (
    Analyse,
    InspectDataset,
    InspectModel,
    Member,
    StagedAnalysis,
    StagedDataset,
    StagedModel,
)
from service.contracts.manifest import CANONICAL, DatasetManifest, ModelManifest
from service.contracts.provenance import Provenance
from service.settings import Settings
from service.store.tables import Analysis, Artifact, Audit, Dataset, Model, Principal
from service.work.claim import Claim
from service.work.release import ARRAYS, result_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A job, the files it needs by name, and whether who submitted the model is trusted."""

    job: Analyse | InspectModel | InspectDataset
    files: dict[str, str]
    trusted: bool


class InputGone(Exception):
    """A row that the work was about does not exist any more."""


def _trusted(session: Session, principal: UUID) -> bool:
    row = session.get(Principal, principal)
    return row is not None and row.trusted and row.disabled_at is None


def stage_inspection(session: Session, claim: Claim) -> Staged:
    """An inspection of the model or dataset that the work is about."""
    model = session.get(Model, claim.subject_id)
    if model is not None:
        return Staged(
            job=InspectModel(member=str(claim.work_id), facts=ModelFacts.model_validate(model.facts)),
            files={"source": model.source_digest},
            trusted=_trusted(session, model.created_by),
        )
    dataset = session.get(Dataset, claim.subject_id)
    if dataset is None:
        raise InputGone(f"no model or dataset {claim.subject_id}")
    return Staged(
        job=InspectDataset(member=str(claim.work_id), facts=DatasetFacts.model_validate(dataset.facts)),
        files={"source": dataset.source_digest},
        trusted=_trusted(session, dataset.created_by),
    )


def stage_analyses(session: Session, claims: Sequence[Claim], settings: Settings, level: str) -> Staged:
    """The analyses of one audit on one model, as one job."""
    analyses = [session.get_one(Analysis, claim.subject_id) for claim in claims]
    audit = session.get_one(Audit, analyses[0].audit_id)
    model = session.get_one(Model, audit.model_id)
    manifest = ModelManifest.model_validate(model.manifest)
    canonical = CANONICAL[manifest.format]
    files = {canonical: _needed(model.canonical_digest)}
    inputs = {}
    earlier: dict[str, StagedAnalysis] = {}
    for index, row in enumerate(audit.inputs):
        if row.analysis_id is not None:
            earlier[row.role] = _earlier(session, row.analysis_id, index, files)
            continue
        if row.dataset_id is None:
            raise InputGone(f"role {row.role} is filled by something other than a dataset or an analysis")
        dataset = session.get_one(Dataset, row.dataset_id)
        name = f"input-{index}.safetensors"
        files[name] = _needed(dataset.canonical_digest)
        inputs[row.role] = StagedDataset(
            file=name,
            name=dataset.name,
            digest=files[name],
            facts=DatasetFacts.model_validate(dataset.facts),
            manifest=DatasetManifest.model_validate(dataset.manifest),
        )
    threads, memory = _plan(session, analyses[0], settings)
    job = Analyse(
        members=tuple(
            Member(
                id=str(claim.work_id),
                kind=row.kind,
                kind_version=row.kind_version,
                parameters=row.parameters,
                digest=_needed(row.digest),
            )
            for claim, row in zip(claims, analyses, strict=True)
        ),
        model=StagedModel(
            file=canonical,
            name=model.name,
            version=model.version,
            digest=files[canonical],
            facts=ModelFacts.model_validate(model.facts),
            manifest=manifest,
        ),
        inputs=inputs,
        analyses=earlier,
        device=settings.device,
        threads=threads,
        memory_bytes=memory,
        sandbox_level=level,
    )
    return Staged(job=job, files=files, trusted=_trusted(session, model.created_by))


def _plan(session: Session, analysis: Analysis, settings: Settings) -> tuple[int, int]:
    """Threads and bytes for the engines: the settings', or those that the analysis had which this one repeats.

    A replay is an audit of its own, so its plan is its job's; everything else of a plan follows from these two.
    """
    first = None if analysis.replays_id is None else session.get_one(Analysis, analysis.replays_id)
    if first is None or first.provenance is None:
        return settings.child_threads, settings.child_engine_bytes
    kept = Provenance.model_validate_json(json.dumps(first.provenance))
    memory = kept.plan.get("memory_bytes")
    return kept.machine.threads, memory if isinstance(memory, int) else settings.child_engine_bytes


def _earlier(session: Session, analysis_id: UUID, index: int, files: dict[str, str]) -> StagedAnalysis:
    """An earlier analysis as an input; its arrays are added to `files`."""
    row = session.get_one(Analysis, analysis_id)
    audit = session.get_one(Audit, row.audit_id)
    arrays = session.scalar(select(Artifact.digest).where(Artifact.analysis_id == row.id, Artifact.name == ARRAYS))
    name = None if arrays is None else f"analysis-{index}.safetensors"
    if name is not None and arrays is not None:
        files[name] = arrays
    return StagedAnalysis(
        file=name,
        file_digest=arrays,
        digest=result_digest(session, row),
        analysis=str(row.id),
        kind=row.kind,
        kind_version=row.kind_version,
        parameters=row.parameters,
        parameters_digest=row.parameters_digest,
        model_name=audit.model.name,
        model_version=audit.model.version,
        model_digest=_needed(audit.model.canonical_digest),
        datasets={
            each.role: _needed(each.dataset.canonical_digest) for each in audit.inputs if each.dataset is not None
        },
    )


def _needed(digest: str | None) -> str:
    if digest is None:
        raise InputGone("an input has no canonical form; its inspection has not finished")
    return digest
