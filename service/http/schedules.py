"""Endpoints of schedules: make one, see when it fires and what came of it, pause, go on, run now, end."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.api import Page
from service.contracts.base import Name
from service.contracts.problem import Fault
from service.contracts.schedules import (
    FireTime,
    FireTimes,
    PreviewSubmission,
    ScheduleSubmission,
    ScheduleView,
    SlotView,
    TimesQuery,
)
from service.http.endpoint import IDEMPOTENCY_KEY, LINK, LOCATION, Answer, Resource, by_id
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, invalid, missing
from service.http.schedule_views import show_schedule, show_slot
from service.schedule.tick import run_now
from service.schedule.times import BadTime, check, remark, upcoming, zone_of
from service.store.questions import page_of
from service.store.tables_compliance import Schedule, Slot
from service.work.refusals import Conflict
from service.work.scheduled import Starter
from service.work.schedules import end, make_schedule, pause, resume

schedules = Resource(
    tag="schedules",
    about="What happens on a clock or on events: audits, or compliance reports. Times are kept in a zone with its "
    "summer time; every time that was due is a slot, also one that was missed.",
    parameter=by_id("schedule"),
)


class SchedulesQuery(PageQuery):
    """Which schedules."""

    model_name: Name | None = Field(None, description="Schedules of the model of this name only.")


class SchedulesPage(Page[ScheduleView]):
    """One page of schedules."""


class SlotsPage(Page[SlotView]):
    """One page of slots."""


SHOWN = (Answer(status=200, description="The schedule.", model=ScheduleView),)


@schedules.endpoint(
    "POST",
    "/v1/schedules",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="Made.", model=ScheduleView, headers=(LOCATION,)),),
    problems=("conflict", "idempotency-mismatch"),
)
def create_schedule(call: Call[NoQuery, ScheduleSubmission]) -> Reply:
    """Make a schedule.

    It runs with the rights of who makes it. Model and data are found by name each time it fires. The first window
    begins at its start.
    """

    def make(session: Session) -> Reply:
        row = make_schedule(
            session,
            call.body,
            catalog=call.parts.catalog,
            tenant=call.caller.tenant,
            principal=call.caller.principal,
            now=call.now,
        )
        return Reply(value=show_schedule(row), status=201, headers={"Location": f"/v1/schedules/{row.id}"})

    return once(call, ScheduleView, make)


@schedules.endpoint(
    "GET",
    "/v1/schedules",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=SchedulesPage, headers=(LINK,)),),
)
def list_schedules(call: Call[SchedulesQuery, None]) -> Reply:
    """List schedules.

    Those that have ended stay: their slots are evidence.
    """
    name = call.query.model_name
    statement = select(Schedule) if name is None else select(Schedule).where(Schedule.model_name == name)
    with call.reads() as session:
        page = page_of(session, statement, Schedule, call.query.limit, start(call))
        items = tuple(show_schedule(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=SchedulesPage(items=items, next=cursor), headers=headers)


@schedules.endpoint("GET", "/v1/schedules/{id}", scope="read", answers=SHOWN)
def get_schedule(call: Call[NoQuery, None]) -> Reply:
    """Show a schedule."""
    with call.reads() as session:
        return Reply(value=show_schedule(_row(session, call.id)))


@schedules.endpoint("DELETE", "/v1/schedules/{id}", scope="submit", answers=SHOWN)
def end_schedule(call: Call[NoQuery, None]) -> Reply:
    """End a schedule.

    It never fires again. What it has started goes on; its slots stay.
    """
    with call.writes() as session:
        row = end(session, _row(session, call.id), actor=call.caller.principal, now=call.now)
        return Reply(value=show_schedule(row))


@schedules.endpoint("POST", "/v1/schedules/{id}/pause", scope="submit", answers=SHOWN, problems=("conflict",))
def pause_schedule(call: Call[NoQuery, None]) -> Reply:
    """Pause a schedule.

    What is due meanwhile is caught up when it goes on, as its `catch_up` says.
    """
    with call.writes() as session:
        try:
            row = pause(session, _row(session, call.id), actor=call.caller.principal, now=call.now)
        except Conflict as error:
            raise Refusal("conflict", f"{error}.") from error
        return Reply(value=show_schedule(row))


@schedules.endpoint("POST", "/v1/schedules/{id}/resume", scope="submit", answers=SHOWN, problems=("conflict",))
def resume_schedule(call: Call[NoQuery, None]) -> Reply:
    """Let a paused schedule go on."""
    with call.writes() as session:
        try:
            row = resume(session, _row(session, call.id), actor=call.caller.principal, now=call.now)
        except Conflict as error:
            raise Refusal("conflict", f"{error}.") from error
        return Reply(value=show_schedule(row))


@schedules.endpoint(
    "POST",
    "/v1/schedules/{id}/run-now",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=202, description="The slot, with what it started.", model=SlotView),),
    problems=("conflict", "idempotency-mismatch"),
)
def run_schedule_now(call: Call[NoQuery, None]) -> Reply:
    """Fire a schedule now.

    Beside its times, and over the window since the last of them.
    """

    def make(session: Session) -> Reply:
        row = _row(session, call.id)
        if row.ended_at is not None:
            raise Refusal("conflict", "The schedule has ended; make another.")
        if row.start_at > call.now:
            raise Refusal("conflict", "The schedule has not begun: its first window begins at its start.")
        starter = Starter(clock=call.parts.clock, settings=call.parts.settings, catalog=call.parts.catalog)
        key = call.request.headers.get("Idempotency-Key") or call.now.isoformat()
        slot = run_now(session, row, starter, key=key, actor=call.caller.principal, now=call.now)
        return Reply(value=show_slot(slot), status=202)

    reply = once(call, SlotView, make)
    call.parts.ring()
    return reply


@schedules.endpoint(
    "GET",
    "/v1/schedules/{id}/slots",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=SlotsPage, headers=(LINK,)),),
)
def list_slots(call: Call[PageQuery, None]) -> Reply:
    """List what came of every time a schedule was due."""
    with call.reads() as session:
        row = _row(session, call.id)
        statement = select(Slot).where(Slot.schedule_id == row.id)
        page = page_of(session, statement, Slot, call.query.limit, start(call))
        items = tuple(show_slot(slot) for slot in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=SlotsPage(items=items, next=cursor), headers=headers)


@schedules.endpoint(
    "GET",
    "/v1/schedules/{id}/next",
    scope="read",
    answers=(Answer(status=200, description="The times.", model=FireTimes),),
)
def list_fire_times(call: Call[TimesQuery, None]) -> Reply:
    """Show when a schedule fires next."""
    with call.reads() as session:
        row = _row(session, call.id)
    if row.cron is None or row.ended_at is not None:
        return Reply(value=FireTimes(items=()))
    times = upcoming(row.cron, row.zone, max(call.now, row.start_at), call.query.n, row.end_at)
    return Reply(value=FireTimes(items=_shown(times, row.zone)))


@schedules.endpoint(
    "POST",
    "/v1/schedule-previews",
    scope="read",
    answers=(Answer(status=200, description="The times.", model=FireTimes),),
)
def preview_schedule(call: Call[NoQuery, PreviewSubmission]) -> Reply:
    """Try a line of cron.

    Shows when it would fire from now on; nothing is made.
    """
    try:
        check(call.body.cron, call.body.zone, call.now)
    except BadTime as error:
        raise invalid([Fault(pointer=f"/{error.where}", detail=str(error))]) from error
    times = upcoming(call.body.cron, call.body.zone, call.now, call.body.n)
    return Reply(value=FireTimes(items=_shown(times, call.body.zone)))


def _shown(times: Sequence[datetime], zone: str) -> tuple[FireTime, ...]:
    local = zone_of(zone)
    return tuple(FireTime(at=at, local=at.astimezone(local).isoformat(), remark=remark(at, zone)) for at in times)


def _row(session: Session, schedule_id: UUID) -> Schedule:
    row = session.get(Schedule, schedule_id)
    if row is None:
        raise missing("schedule")
    return row
