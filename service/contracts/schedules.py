"""What do requests and answers about schedules look like?"""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from service.contracts.api import AnalysisSubmission, Role, Version
from service.contracts.base import WHOLE, Integer, Name, Value
from service.contracts.problem import Reason

Purpose = Literal["audits", "report"]
CatchUp = Literal["latest_only", "each_period", "skip"]
Trigger = Literal["new_version", "library_change", "waiver_expiry"]
SlotState = Literal["started", "missed", "skipped", "failed", "waiting"]
Moment = Annotated[AwareDatetime, Field(strict=False)]
CronLine = Annotated[str, Field(min_length=9, max_length=128)]
ZoneName = Annotated[str, Field(min_length=1, max_length=64)]


class DatasetByName(Value):
    """A dataset in a role, found when the schedule fires."""

    name: Name
    version: Version | None = Field(None, description="Null: the latest that is ready then.")


class AuditTask(Value):
    """The audit that a schedule asks for each time."""

    purpose: Literal["audits"] = "audits"
    title: Name = Field("scheduled audit", description="What people will call each audit.")
    model_version: Version | None = Field(None, description="Null: the latest version that is ready then.")
    inputs: dict[Role, DatasetByName] = Field(default_factory=dict, description="Role to dataset.")
    analyses: Annotated[tuple[AnalysisSubmission, ...], Field(min_length=1, max_length=64, strict=False)] = Field(
        description="Analyses to run."
    )


class ReportTask(Value):
    """The compliance report that a schedule asks for each time, over the window between its two times."""

    purpose: Literal["report"] = "report"
    title: Name = Field("compliance report", description="What people will call each report.")
    model_version: Version | None = Field(None, description="Null: the latest version that is ready then.")
    policy: Name | None = Field(None, description="Name of the policy; its newest revision then counts.")
    frameworks: Annotated[tuple[str, ...], Field(max_length=32, strict=False)] = Field(
        (), description="Frameworks to show; empty: the policy's."
    )


Task = Annotated[AuditTask | ReportTask, Field(discriminator="purpose")]


class ScheduleSubmission(Value):
    """Ask that something happens on a clock, on events, or both."""

    name: Name = Field(description="What people will call it.")
    model_name: Name = Field(description="Name of the model, all versions.")
    cron: CronLine | None = Field(
        None, description="Minute, hour, day of month, month, day of week, in `zone`; null: on events alone."
    )
    zone: ZoneName = Field("UTC", description="IANA zone; summer time is kept in it.")
    start_at: Moment | None = Field(None, description="From when on; null: from now. The first window begins here.")
    end_at: Moment | None = Field(None, description="Until when; null: until it is ended.")
    catch_up: CatchUp | None = Field(
        None,
        description="What becomes of times that no scheduler saw: the latest only (audits), each period, up to 12 "
        "(reports), or none.",
    )
    triggers: Annotated[tuple[Trigger, ...], Field(max_length=8, strict=False)] = Field(
        (), description="Events it fires on as well; `library_change` is for reports."
    )
    task: Task

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.cron is None and not self.triggers:
            raise ValueError("give a cron line, triggers, or both: this would never fire")
        return self


class ScheduleView(Value):
    """A schedule."""

    id: UUID
    name: str
    purpose: Purpose
    model_name: str
    cron: str | None
    zone: str
    start_at: datetime
    end_at: datetime | None
    catch_up: CatchUp
    triggers: tuple[str, ...]
    task: Task
    state: Literal["running", "paused", "ended"]
    next_at: datetime | None
    tzdata: str
    created_by: UUID
    created_at: datetime


class SlotView(Value):
    """One time or event at which a schedule was due, and what came of it."""

    id: UUID
    key: str
    cause: str
    nominal_at: datetime
    window_from: datetime
    window_to: datetime
    state: SlotState
    late: bool = Field(description="Begun more than six hours after its time.")
    late_seconds: float
    attempt: Integer
    reason: Reason | None
    audit: UUID | None
    report: UUID | None
    created_at: datetime


class FireTime(Value):
    """One time at which it will fire."""

    at: datetime
    local: str = Field(description="The same in the schedule's zone.")
    remark: str = Field(description="That clocks change around then; empty otherwise.")


class FireTimes(Value):
    """The next times at which a schedule fires."""

    items: tuple[FireTime, ...]


class TimesQuery(Value):
    """How many."""

    n: Annotated[int, Field(ge=1, le=100)] = Field(10, description="How many times.")


class PreviewSubmission(Value):
    """Try a line of cron."""

    cron: CronLine
    zone: ZoneName = "UTC"
    n: Annotated[int, Field(ge=1, le=100), WHOLE] = 10
