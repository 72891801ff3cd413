"""How does a model or a dataset come in? Its bytes are held, its name is free, and its inspection is queued."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.contracts.api import DatasetSubmission, ModelSubmission
from service.contracts.problem import Fault
from service.contracts.status import WorkType
from service.settings import Settings
from service.store.base import new_id
from service.store.holdings import NotHeld, refer
from service.store.ledger import record
from service.store.tables import Dataset, Model
from service.work.queue import enqueue
from service.work.refusals import Conflict, Invalid

# Every worker can inspect, and needs no device for it.
INSPECTION_QUEUE = "cpu"
Version = TypeVar("Version", Model, Dataset)


def register_model(
    session: Session, submission: ModelSubmission, *, tenant: UUID, principal: UUID, settings: Settings, now: datetime
) -> Model:
    """A new version of a model, on its way to inspection. Raises Invalid (blob, follows), Conflict (version taken)."""
    faults = []
    if submission.follows is not None:
        name = session.scalar(select(Model.name).where(Model.id == submission.follows))
        if name is None:
            faults.append(Fault(pointer="/follows", detail="there is no such model"))
        elif name != submission.name:
            faults.append(
                Fault(pointer="/follows", detail=f"that is a version of {name!r}; versions share their model's name")
            )
    _take(session, tenant, submission.blob, faults)
    model = Model(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        name=submission.name,
        version=submission.version,
        follows_id=submission.follows,
        source_digest=submission.blob,
        facts=submission.facts.model_dump(mode="json"),
    )
    return _inspect(session, model, settings=settings)


def register_dataset(
    session: Session, submission: DatasetSubmission, *, tenant: UUID, principal: UUID, settings: Settings, now: datetime
) -> Dataset:
    """A new version of a dataset, on its way to inspection. Raises Invalid (blob) or Conflict (name, version)."""
    _take(session, tenant, submission.blob, [])
    dataset = Dataset(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        name=submission.name,
        version=submission.version,
        source_digest=submission.blob,
        facts=submission.facts.model_dump(mode="json"),
    )
    return _inspect(session, dataset, settings=settings)


def _take(session: Session, tenant: UUID, digest: str, faults: list[Fault]) -> None:
    """Count the use of the blob, or say with every other fault that it is not there."""
    try:
        refer(session, tenant, digest)
    except NotHeld:
        faults.append(Fault(pointer="/blob", detail="these bytes are not here; upload them to /v1/blobs first"))
    if faults:
        raise Invalid(faults)


def _inspect(session: Session, row: Version, *, settings: Settings) -> Version:
    work = enqueue(
        session,
        type=WorkType.INSPECTION,
        subject_id=row.id,
        tenant=row.tenant,
        created_by=row.created_by,
        queue=INSPECTION_QUEUE,
        max_attempts=settings.max_attempts,
        now=row.created_at,
    )
    row.work_id = work.id
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"{row.name!r} already has a version {row.version!r}; choose another version") from error
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=row.created_by,
        now=row.created_at,
        subject_type=row.__tablename__,
        subject_id=row.id,
        action="registered",
    )
    return row
