"""What happens on a clock, and what came of it? Schedules: make, look ahead, look back, pause, run now, end."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from lamina.commands.audits import read_analysis, read_input
from lamina.commands.shown import AsJson, Home, client, remark, say, show_json, show_table
from lamina.commands.written import moment, submission
from lamina.failure import Usage

if TYPE_CHECKING:
    from service.contracts.schedules import AuditTask, FireTimes, ReportTask, ScheduleView, SlotView

schedules = typer.Typer(no_args_is_help=True, help="Audits and compliance reports on a clock, or on events.")
ScheduleId = Annotated[UUID, typer.Argument(help="Id of the schedule.")]
Count = Annotated[int, typer.Option("-n", min=1, max=100, help="How many times.")]
Zone = Annotated[str, typer.Option(help="IANA zone of the times; summer time is kept in it.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(schedules, name="schedule", rich_help_panel="Comply")


@schedules.command("create")
def create(  # noqa: PLR0917  # typer reads options by name
    name: Annotated[str, typer.Argument(help="What people will call it.")],
    model: Annotated[str, typer.Option(help="Name of the model; NAME@VERSION pins a version [the latest].")],
    cron: Annotated[
        str | None, typer.Option(help='Minute, hour, day of month, month, day of week: "30 6 * * 1".')
    ] = None,
    zone: Zone = "UTC",
    trigger: Annotated[
        list[str] | None, typer.Option(help="Fire on new_version, library_change or waiver_expiry; may be repeated.")
    ] = None,
    analyse: Annotated[
        list[str] | None,
        typer.Option("--analysis", help="An audit: KIND, or KIND=PARAMETERS as JSON."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option("--input", help="Of an audit: ROLE=DATASET by NAME.")] = None,
    policy: Annotated[str | None, typer.Option(help="Of a report: the name of its policy.")] = None,
    framework: Annotated[list[str] | None, typer.Option(help="Of a report: show this framework [all].")] = None,
    start: Annotated[str | None, typer.Option("--from", help="From when on [default: now].")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Until when [default: until it is ended].")] = None,
    catch_up: Annotated[
        str | None, typer.Option(help="Times that nobody saw: latest_only, each_period (12 at most) or skip.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule: of an audit if --analysis is given, else of a compliance report over each time's window."""
    from service.contracts.schedules import ScheduleSubmission

    model_name, _, version = model.partition("@")
    wanted = submission(
        ScheduleSubmission,
        name=name,
        model_name=model_name,
        cron=cron,
        zone=zone,
        start_at=None if start is None else moment(start),
        end_at=None if end is None else moment(end),
        catch_up=catch_up,
        triggers=tuple(trigger or ()),
        task=_task(name, version or None, analyse or (), dataset or (), policy, framework or ()),
    )
    with client(home) as service:
        made = service.make_schedule(wanted)
        times = service.fire_times(made.id, 3)
    if as_json:
        show_json(made)
        return
    _show(made)
    _show_times(times)


@schedules.command("list")
def list_schedules(
    model: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Schedules, newest first; those that have ended stay."""
    with client(home) as service:
        found = list(service.schedules(model_name=model))
    if as_json:
        show_json(found)
        return
    rows = (
        (view.name, view.purpose, view.model_name, _when(view), view.state, _minute(view.next_at), view.id)
        for view in found
    )
    show_table(("name", "of", "model", "when", "state", "next (UTC)", "id"), rows)


@schedules.command("show")
def show(schedule: ScheduleId, home: Home = None, as_json: AsJson = False) -> None:
    """One schedule: when it fires, and what it starts."""
    with client(home) as service:
        _tell(service.schedule(schedule), as_json=as_json)


@schedules.command("pause")
def pause(schedule: ScheduleId, home: Home = None, as_json: AsJson = False) -> None:
    """Pause a schedule; what is due meanwhile is caught up when it goes on, as its --catch-up says."""
    with client(home) as service:
        _tell(service.pause_schedule(schedule), as_json=as_json)


@schedules.command("resume")
def resume(schedule: ScheduleId, home: Home = None, as_json: AsJson = False) -> None:
    """Let a paused schedule go on."""
    with client(home) as service:
        _tell(service.resume_schedule(schedule), as_json=as_json)


@schedules.command("end")
def end_schedule(schedule: ScheduleId, home: Home = None, as_json: AsJson = False) -> None:
    """End a schedule for good; what it has started goes on, and its slots stay."""
    with client(home) as service:
        _tell(service.end_schedule(schedule), as_json=as_json)


@schedules.command("run")
def run(schedule: ScheduleId, home: Home = None, as_json: AsJson = False) -> None:
    """Fire a schedule now, beside its times, over the window since the last of them."""
    with client(home) as service:
        slot = service.run_schedule_now(schedule)
    if as_json:
        show_json(slot)
    else:
        _show_slots([slot])


@schedules.command("next")
def following(schedule: ScheduleId, count: Count = 10, home: Home = None, as_json: AsJson = False) -> None:
    """When a schedule fires next, with what clocks do around then."""
    with client(home) as service:
        found = service.fire_times(schedule, count)
    if as_json:
        show_json(found)
        return
    if not found.items:
        remark("it fires at no time: it has ended, or waits for events alone")
    _show_times(found)


@schedules.command("try")
def preview(
    cron: Annotated[str, typer.Argument(help='A line of cron, quoted: "30 2 * * *".')],
    zone: Zone = "UTC",
    count: Count = 10,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """When a line of cron would fire; nothing is made."""
    from service.contracts.schedules import PreviewSubmission

    wanted = submission(PreviewSubmission, cron=cron, zone=zone, n=count)
    with client(home) as service:
        found = service.preview_schedule(wanted)
    if as_json:
        show_json(found)
    else:
        _show_times(found)


@schedules.command("slots")
def slots(
    schedule: ScheduleId,
    most: Annotated[int, typer.Option(min=1, help="Most slots to show.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Every time a schedule was due, newest first, and what came of it, also where nothing did."""
    from itertools import islice

    with client(home) as service:
        found = list(islice(service.slots(schedule), most + 1))
    if len(found) > most:
        remark(f"there are more than {most} slots; these are the newest (--most shows more)")
    if as_json:
        show_json(found[:most])
    else:
        _show_slots(found[:most])


def _task(
    name: str,
    version: str | None,
    analyses: Iterable[str],
    inputs: Iterable[str],
    policy: str | None,
    frameworks: Iterable[str],
) -> "AuditTask | ReportTask":
    from service.contracts.schedules import AuditTask, DatasetByName, ReportTask

    asked, filled = tuple(map(read_analysis, analyses)), dict(map(read_input, inputs))
    if not asked:
        if filled:
            raise Usage("--input is of an audit: give --analysis as well")
        return submission(ReportTask, title=name, model_version=version, policy=policy, frameworks=tuple(frameworks))
    if policy is not None or tuple(frameworks):
        raise Usage("--policy and --framework are of a report, and --analysis makes this an audit; make two schedules")
    named = {}
    for role, text in filled.items():
        dataset, _, dataset_version = text.partition("@")
        named[role] = submission(DatasetByName, name=dataset, version=dataset_version or None)
    return submission(AuditTask, title=name, model_version=version, inputs=named, analyses=asked)


def _tell(view: "ScheduleView", *, as_json: bool) -> None:
    if as_json:
        show_json(view)
    else:
        _show(view)


def _show(view: "ScheduleView") -> None:
    say(
        f"{view.name}  {view.state}\nid {view.id}\nof {view.purpose}, model {view.model_name}\nwhen {_when(view)}\n"
        f"missed times: {view.catch_up.replace('_', ' ')}\nnext {_minute(view.next_at) or 'none'}"
    )


def _show_times(times: "FireTimes") -> None:
    rows = ((f"{each.at:%Y-%m-%d %H:%M}", each.local, each.remark) for each in times.items)
    show_table(("UTC", "in its zone", "clocks"), rows)


def _show_slots(found: "Iterable[SlotView]") -> None:
    rows = (
        (
            f"{slot.nominal_at:%Y-%m-%d %H:%M}",
            slot.cause.replace("_", " "),
            f"{slot.state}{' (late)' if slot.late else ''}",
            slot.attempt,
            slot.reason.detail if slot.reason else None,
            slot.audit or slot.report,
        )
        for slot in found
    )
    show_table(("due (UTC)", "why", "what came of it", ">attempt", "reason", "audit or report"), rows)


def _when(view: "ScheduleView") -> str:
    parts = [f"{view.cron} ({view.zone})"] if view.cron else []
    return ", ".join([*parts, *(each.replace("_", " ") for each in view.triggers)])


def _minute(at: object) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"
