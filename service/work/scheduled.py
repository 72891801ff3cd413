"""What does a schedule start when it fires? An audit or a report, resolved by name then, with its maker's rights."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.clock import Clock
from service.contracts.api import AuditSubmission, InputSubmission
from service.contracts.problem import Reason
from service.contracts.schedules import AuditTask, DatasetByName, ReportTask, Task
from service.schedule.tick import CannotStart
from service.settings import Settings
from service.store.tables import Dataset, Model, Principal
from service.store.tables_compliance import Policy, Schedule, Slot
from service.work.audits import submit
from service.work.compliance_reports import Wanted, ask_for_report
from service.work.refusals import Invalid, OverOpenWork

TASK: TypeAdapter[AuditTask | ReportTask] = TypeAdapter(Task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts what slots are for."""

    clock: Clock
    settings: Settings
    catalog: Catalog

    def start(self, session: Session, schedule: Schedule, slot: Slot) -> None:
        """Start an audit or a report for a slot, in its transaction. Raises CannotStart."""
        maker = session.get(Principal, schedule.created_by)
        if maker is None or maker.disabled_at is not None:
            raise _cannot(
                "schedule-maker-disabled",
                "Who made this schedule is disabled, and it runs with their rights.",
                "End it, and let somebody else make it again.",
            )
        task = TASK.validate_python(schedule.task, strict=False)
        model = _model(session, schedule, task.model_version)
        now = self.clock.now()
        if isinstance(task, AuditTask):
            slot.audit_id = self._audit(session, schedule, task, model, now)
        else:
            slot.report_id = _report(session, schedule, slot, task, model, now)

    def _audit(self, session: Session, schedule: Schedule, task: AuditTask, model: Model, now: datetime) -> UUID:
        submission = AuditSubmission(
            title=task.title,
            model=model.id,
            inputs={
                role: InputSubmission(dataset=_dataset(session, schedule, role, named))
                for role, named in task.inputs.items()
            },
            analyses=task.analyses,
        )
        try:
            return submit(
                session,
                submission,
                tenant=schedule.tenant,
                principal=schedule.created_by,
                catalog=self.catalog,
                settings=self.settings,
                now=now,
            ).id
        except Invalid as error:
            said = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in error.faults)
            remedy = "End the schedule, and make it again as it should be."
            raise _cannot("schedule-audit-invalid", said, remedy) from error
        except OverOpenWork as error:
            raise _busy(error) from error


def _report(session: Session, schedule: Schedule, slot: Slot, task: ReportTask, model: Model, now: datetime) -> UUID:
    policy = None
    if task.policy is not None:
        policy = session.scalars(
            select(Policy.id)
            .where(Policy.tenant == schedule.tenant, Policy.name == task.policy)
            .order_by(Policy.revision.desc())
            .limit(1)
        ).first()
        if policy is None:
            raise _cannot("schedule-policy-gone", f"There is no policy {task.policy!r}.", "Make one of this name.")
    wanted = Wanted(
        title=task.title,
        model=model,
        policy=policy,
        schedule=schedule.id,
        window_from=slot.window_from,
        window_to=slot.window_to,
        zone=schedule.zone,
        late_seconds=slot.late_seconds,
        trigger=slot.cause,
        frameworks=task.frameworks,
    )
    try:
        return ask_for_report(session, wanted, tenant=schedule.tenant, principal=schedule.created_by, now=now).id
    except OverOpenWork as error:
        raise _busy(error) from error


def _model(session: Session, schedule: Schedule, version: str | None) -> Model:
    """The version asked for, or the latest that is ready."""
    ready = select(Model).where(
        Model.tenant == schedule.tenant, Model.name == schedule.model_name, Model.canonical_digest.is_not(None)
    )
    if version is not None:
        ready = ready.where(Model.version == version)
    found = session.scalars(ready.order_by(Model.created_at.desc(), Model.id.desc()).limit(1)).first()
    if found is None:
        wanted = f"version {version!r} of the model" if version else "version of the model"
        raise _cannot(
            "schedule-model-gone",
            f"No {wanted} {schedule.model_name!r} is ready.",
            "Register a version of it; the schedule goes on.",
        )
    return found


def _dataset(session: Session, schedule: Schedule, role: str, named: DatasetByName) -> UUID:
    ready = select(Dataset.id).where(
        Dataset.tenant == schedule.tenant, Dataset.name == named.name, Dataset.canonical_digest.is_not(None)
    )
    if named.version is not None:
        ready = ready.where(Dataset.version == named.version)
    found = session.scalars(ready.order_by(Dataset.created_at.desc(), Dataset.id.desc()).limit(1)).first()
    if found is None:
        raise _cannot(
            "schedule-dataset-gone",
            f"No dataset {named.name!r} for the role {role} is ready.",
            "Register a version of it; the schedule goes on.",
        )
    return found


def _busy(error: OverOpenWork) -> CannotStart:
    return CannotStart(Reason(code="too-much-open-work", detail=str(error), permanent=False), later=True)


def _cannot(code: str, detail: str, remedy: str) -> CannotStart:
    return CannotStart(Reason(code=code, detail=detail[:4000], remedy=remedy))
