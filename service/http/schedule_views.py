"""How do schedules and slots look from outside? As the values of service/contracts/schedules.py."""

import json

from pydantic import TypeAdapter

from service.contracts.problem import Reason
from service.contracts.schedules import AuditTask, CatchUp, Purpose, ReportTask, ScheduleView, SlotState, SlotView, Task
from service.schedule.plan import LATE
from service.store.tables_compliance import Schedule, Slot

TASK: TypeAdapter[AuditTask | ReportTask] = TypeAdapter(Task)
PURPOSE: TypeAdapter[Purpose] = TypeAdapter(Purpose)
CATCH_UP: TypeAdapter[CatchUp] = TypeAdapter(CatchUp)
STATE: TypeAdapter[SlotState] = TypeAdapter(SlotState)


def show_schedule(row: Schedule) -> ScheduleView:
    """A schedule."""
    return ScheduleView(
        id=row.id,
        name=row.name,
        purpose=PURPOSE.validate_python(row.purpose),
        model_name=row.model_name,
        cron=row.cron,
        zone=row.zone,
        start_at=row.start_at,
        end_at=row.end_at,
        catch_up=CATCH_UP.validate_python(row.catch_up),
        triggers=tuple(row.triggers),
        task=TASK.validate_json(json.dumps(row.task)),
        state="ended" if row.ended_at else "paused" if row.paused_at else "running",
        next_at=None if row.paused_at else row.next_at,
        tzdata=row.tzdata,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def show_slot(row: Slot) -> SlotView:
    """What came of one time."""
    return SlotView(
        id=row.id,
        key=row.key,
        cause=row.cause,
        nominal_at=row.nominal_at,
        window_from=row.window_from,
        window_to=row.window_to,
        state=STATE.validate_python(row.state),
        late=row.state == "started" and row.late_seconds > LATE.total_seconds(),
        late_seconds=row.late_seconds,
        attempt=row.attempt,
        reason=None if row.reason is None else Reason.model_validate_json(json.dumps(row.reason)),
        audit=row.audit_id,
        report=row.report_id,
        created_at=row.created_at,
    )
