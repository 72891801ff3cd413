"""What does a child need on its desk? The job as a value, and the canonical files it names."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.job import (
    Analyse,
    InspectDataset,
    InspectModel,
    Member,
    StagedDataset,
    StagedModel,
)
from service.contracts.manifest import CANONICAL, DatasetManifest, ModelManifest
from service.settings import Settings
from service.store.tables import Analysis, Audit, Dataset, Model, Principal
from service.work.claim import Claim


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
    for index, row in enumerate(audit.inputs):
        if row.dataset_id is None:
            raise InputGone(f"role {row.role} is filled by something other than a dataset")
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
        device=settings.device,
        threads=settings.child_threads,
        memory_bytes=settings.child_engine_bytes,
        sandbox_level=level,
    )
    return Staged(job=job, files=files, trusted=_trusted(session, model.created_by))


def _needed(digest: str | None) -> str:
    if digest is None:
        raise InputGone("an input has no canonical form; its inspection has not finished")
    return digest
