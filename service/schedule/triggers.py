"""Which events is a schedule due for beside its clock? Found from rows, so that none is lost while nobody looked.

A trigger is not retroactive: only what happened after the schedule was made counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.compliance.load import shipped
from service.contracts.status import WorkState
from service.store.tables import Model, Work
from service.store.tables_compliance import ComplianceReport, Policy, Schedule, Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Caused:
    """One event that a schedule fires on; its window begins at the schedule's last time."""

    key: str
    cause: str
    at: datetime
    begin: datetime


def causes(session: Session, row: Schedule, now: datetime) -> Iterator[Caused]:
    """Every event so far that the schedule fires on, whether it has or not."""
    begin = row.previous_at or row.start_at
    if "new_version" in row.triggers:
        ready = session.execute(
            select(Model.id, Work.ended_at)
            .join(Work, Work.id == Model.work_id)
            .where(
                Model.tenant == row.tenant,
                Model.name == row.model_name,
                Work.state == WorkState.SUCCEEDED.value,
                Work.ended_at > row.created_at,
            )
            .order_by(Work.ended_at)
        )
        for model, ended in ready:
            assert ended is not None, "asked for above"
            yield Caused(key=f"new_version:{model}", cause="new version", at=ended, begin=min(begin, ended))
    if "library_change" in row.triggers:
        yield from _demands(session, row, now, begin)
    if "waiver_expiry" in row.triggers:
        ended_waivers = session.execute(
            select(Waiver.id, Waiver.expires_at)
            .where(
                Waiver.tenant == row.tenant,
                or_(Waiver.model_name.is_(None), Waiver.model_name == row.model_name),
                Waiver.decision == "granted",
                Waiver.expires_at > row.created_at,
                Waiver.expires_at <= now,
            )
            .order_by(Waiver.expires_at)
        )
        for waiver, expired in ended_waivers:
            yield Caused(key=f"waiver_expiry:{waiver}", cause="waiver expiry", at=expired, begin=min(begin, expired))


def _demands(session: Session, row: Schedule, now: datetime, begin: datetime) -> Iterator[Caused]:
    """Revisions of the policy, which pins a library; without a policy, the library that a new release brings."""
    if name := row.task.get("policy"):
        revisions = session.execute(
            select(Policy.id, Policy.created_at)
            .where(Policy.tenant == row.tenant, Policy.name == name, Policy.created_at > row.created_at)
            .order_by(Policy.created_at)
        )
        for policy, made in revisions:
            yield Caused(key=f"library_change:{policy}", cause="policy change", at=made, begin=min(begin, made))
        return
    about = session.scalar(
        select(ComplianceReport.about)
        .where(ComplianceReport.schedule_id == row.id, ComplianceReport.generated_at.is_not(None))
        .order_by(ComplianceReport.as_of.desc(), ComplianceReport.id.desc())
        .limit(1)
    )
    library = shipped().name
    if about is not None and about["library"] != library:
        yield Caused(key=f"library_change:{library}", cause="library change", at=now, begin=min(begin, now))
