"""What may be asked of the store? Every read a request makes, by name; the session decides whose rows are seen.

Pages are keyset pages: `after` is the (created_at, id) of the last row of the page before, newest first unless said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload, selectinload

from service.contracts.status import OPEN, WorkState
from service.store.base import UtcTime
from service.store.tables import (
    Analysis,
    ApiKey,
    Artifact,
    Audit,
    Blob,
    Dataset,
    Model,
    Principal,
    Work,
    Worker,
)

Row = TypeVar("Row")
After = tuple[datetime, UUID]
OPEN_STATES = [state.value for state in OPEN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Conditions on what is asked for: every member that is given must hold."""

    def given(self) -> dict[str, Any]:
        """The members that are given, by name."""
        every = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in every if value is not None}


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """One page of rows; `next` is the `after` of the following page, None at the end."""

    rows: Sequence[Row]
    next: After | None


def blob(session: Session, tenant: UUID, digest: str) -> Blob | None:
    """Held bytes; None if they are not, or not any more."""
    found = session.get(Blob, (tenant, digest))
    return None if found is None or found.deleted_at is not None else found


def given_up_at(session: Session, tenant: UUID, digest: str) -> datetime | None:
    """When held bytes were given up; None if they were not."""
    found = session.get(Blob, (tenant, digest))
    return None if found is None else found.deleted_at


def model(session: Session, model_id: UUID) -> Model | None:
    """A model, with its inspection's work."""
    return session.scalar(select(Model).where(Model.id == model_id))


def models_page(session: Session, *, limit: int, after: After | None = None, name: str | None = None) -> Slice[Model]:
    """Models, newest first; those called `name` only, if given."""
    where = [] if name is None else [Model.name == name]
    return page_of(session, select(Model).where(*where), Model, limit, after)


def dataset(session: Session, dataset_id: UUID) -> Dataset | None:
    """A dataset, with its inspection's work."""
    return session.scalar(select(Dataset).where(Dataset.id == dataset_id))


def datasets_page(
    session: Session, *, limit: int, after: After | None = None, name: str | None = None
) -> Slice[Dataset]:
    """Datasets, newest first; those called `name` only, if given."""
    where = [] if name is None else [Dataset.name == name]
    return page_of(session, select(Dataset).where(*where), Dataset, limit, after)


def audit(session: Session, audit_id: UUID) -> Audit | None:
    """An audit with its model, inputs and analyses (each with its work), without what the analyses gave."""
    return session.scalar(select(Audit).where(Audit.id == audit_id).options(*_whole_audit()))


def audits_page(
    session: Session,
    *,
    limit: int,
    after: After | None = None,
    model_id: UUID | None = None,
    state: str | None = None,
) -> Slice[Audit]:
    """Audits, newest first; of one model, or in one state (an AuditState's value), if given."""
    statement = select(Audit).options(*_whole_audit())
    if model_id is not None:
        statement = statement.where(Audit.model_id == model_id)
    if state is not None:
        statement = statement.where(_in_state(state))
    return page_of(session, statement, Audit, limit, after)


def analysis(session: Session, analysis_id: UUID) -> Analysis | None:
    """An analysis with everything stored of it and the rows of its artifacts."""
    return session.scalar(select(Analysis).where(Analysis.id == analysis_id).options(selectinload(Analysis.artifacts)))


def artifact(session: Session, artifact_id: UUID) -> Artifact | None:
    """A stored file's row."""
    return session.scalar(select(Artifact).where(Artifact.id == artifact_id))


def report_artifacts(session: Session, audit_id: UUID) -> dict[str, Artifact]:
    """The files of an audit's report by name (report.html, report.json); none until it is drawn."""
    found = session.scalars(select(Artifact).where(Artifact.audit_id == audit_id, Artifact.analysis_id.is_(None)))
    return {row.name: row for row in found}


def report_work(session: Session, audit: Audit) -> Work | None:
    """The work that draws an audit's report; None until the audit is closed."""
    return None if audit.report_work_id is None else session.scalar(select(Work).where(Work.id == audit.report_work_id))


def principals_page(session: Session, *, limit: int, after: After | None = None) -> Slice[Principal]:
    """Principals, newest first."""
    return page_of(session, select(Principal), Principal, limit, after)


def keys_page(
    session: Session, *, limit: int, after: After | None = None, principal_id: UUID | None = None
) -> Slice[ApiKey]:
    """Keys, newest first; of one principal, if given."""
    where = [] if principal_id is None else [ApiKey.principal_id == principal_id]
    return page_of(session, select(ApiKey).where(*where), ApiKey, limit, after)


def workers(session: Session, *, since: datetime) -> Sequence[Worker]:
    """Workers heard of since then, the latest first."""
    return session.scalars(
        select(Worker).where(Worker.last_seen_at >= since).order_by(Worker.last_seen_at.desc(), Worker.id)
    ).all()


def _whole_audit() -> tuple[Any, ...]:
    # Outcomes and sections may be megabytes; a list of audits shows none of them.
    light = selectinload(Audit.analyses).defer(Analysis.outcome, raiseload=True)
    heavy = (Analysis.section, Analysis.provenance)
    return (
        joinedload(Audit.model),
        selectinload(Audit.inputs),
        light,
        *(selectinload(Audit.analyses).defer(column, raiseload=True) for column in heavy),
    )


def _in_state(state: str) -> ColumnElement[bool]:
    """An audit's state as a condition on its row and its analyses' work; see `service.work.shown.audit_state`."""
    begun = (
        select(Analysis.id)
        .outerjoin(Work, Work.id == Analysis.work_id)
        .where(
            Analysis.audit_id == Audit.id,
            or_(Analysis.ended_at.is_not(None), Work.state.not_in([WorkState.QUEUED.value])),
        )
        .exists()
    )
    open_ = Audit.closed_at.is_(None)
    conditions: dict[str, ColumnElement[bool]] = {
        "queued": and_(open_, ~begun),
        "running": and_(open_, begun),
        "finished": and_(~open_, Audit.cancel_requested_at.is_(None)),
        "cancelled": and_(~open_, Audit.cancel_requested_at.is_not(None)),
    }
    return conditions[state]


def keyset(
    statement: Select[Any], table: Any, most: Any, there: Any = None, *, newest_first: bool = True
) -> Select[Any]:
    """Up to `most` rows in order of time, those after a place `there` (a tuple of SQL) only if given."""
    time: InstrumentedAttribute[datetime] = table.created_at
    if there is not None:
        here = tuple_(time, table.id)
        statement = statement.where(here < there if newest_first else here > there)
    order = (time.desc(), table.id.desc()) if newest_first else (time, table.id)
    return statement.order_by(*order).limit(most)


def page_of(session: Session, statement: Select[Any], table: Any, limit: int, after: After | None) -> Slice[Any]:
    """The newest rows of a table with `created_at` and `id` that a statement finds, from a place on."""
    there = None if after is None else tuple_(literal(after[0], UtcTime()), literal(after[1], Uuid()))
    # One row more than asked for, so that the end is known without a second question.
    found = session.scalars(keyset(statement, table, limit + 1, there)).all()
    last = found[limit - 1] if len(found) > limit else None
    return Slice(found[:limit], None if last is None else (last.created_at, last.id))
